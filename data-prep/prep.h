/* Inside the preparation room: the files of a source, what became of each, and the plan. */
#ifndef PULMO_PREP_H
#define PULMO_PREP_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/config.h"
#include "pulmo/digest.h"
#include "pulmo/pack.h"
#include "pulmo/packed.h"
#include "pulmo/split.h"

/* Text, a line at a time (plan.c). */
typedef struct text_lines {
    char **text;
    size_t count, room;
} text_lines;
pulmo_status lines_add(text_lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void lines_free(text_lines *lines);

/* ---- source.c: what there is to pack ---- */

typedef struct source_file {
    char *path;  /* relative to the source */
    char *group; /* patient, as far as the name tells: images of one group are never carved apart */
    char *label; /* class name */
    const char *sure; /* equal only for images of one patient for certain; inside path or group, not
                         ended by NUL */
    int sure_bytes;   /* 0: the name tells nothing for certain */
    int split;        /* as given by folder or pattern */
    int64_t size_bytes, modified_ns;
} source_file;

typedef struct source_list {
    const char *root;
    source_file *file;
    size_t count, room;
    bool has_splits; /* train/ val/ test/ were given */
    bool is_demo;
    size_t held[PULMO_SPLITS]; /* files that the split's pattern matches: they alone are that split;
                            0 without a pattern */
    size_t moved[PULMO_SPLITS]; /* files of the split's folder that its pattern does not match: they
                             join train */
    size_t excluded;            /* files left out of the list by a pattern */
    text_lines notes;           /* on folders that give nothing */
} source_list;

/* Lists a source in an order that depends on names alone. Owned by the caller. */
pulmo_status source_list_make(const char *root, const pulmo_config *config, source_list *out);
void source_list_free(source_list *list);

/* The patient in a file name, by the Kermany set's names: person123_bacteria_4 -> person123,
 * IM-0115-0001 -> IM-0115, NORMAL2-IM-0927-0001 -> NORMAL2-IM-0927; else the name without its
 * ending. Writes to `out`. Returns how many of the name's first bytes name one patient for certain:
 * the set numbers bacterial and viral cases apart (person123_bacteria and person123_virus are two
 * children), and a name of another form says nothing (0). */
int group_of_name(const char *name, char *out, size_t out_bytes);

/* ---- near.c: images that look alike ---- */

#define SKETCH 64 /* numbers that describe how an image looks */

/* The image's low frequencies, without its brightness and contrast: 8 x 8 of a cosine transform of
 * its 16 x 16 cell means, scaled to a length of about SKETCH_LENGTH. The first is not 0 where the
 * image has contrast enough to be compared at all. */
#define SKETCH_LENGTH 200
void sketch_make(const uint8_t *pixels, int height_px, int width_px, int channels,
                 int8_t out[SKETCH]);

/* Called for pairs a < b; returns false to hear of no further b for this a. */
typedef bool (*near_visit)(void *context, uint32_t a, uint32_t b);
/* All pairs of `count` sketches whose squared distance is at most `distance2`, by a k-d tree
 * (Bentley 1975). In order of a; of b unspecified, but always the same. */
pulmo_status near_pairs(const int8_t (*sketches)[SKETCH], uint32_t count, int distance2,
                        near_visit visit, void *context);

/* ---- parts.c: decoding, resumable ---- */

typedef struct image_record {
    pulmo_digest digest, pixel_digest; /* of the file, of the packed pixels (grey as one channel) */
    int8_t sketch[SKETCH];
    uint64_t offset; /* of the pixels in the part's file */
    uint8_t usable, channels, had_icc;
} image_record;

/* What became of every file, in the list's order; the pixels lie in DEST/.pack. */
typedef struct part_store {
    const source_list *list;
    const char *work; /* DEST/.pack; kept */
    int size_px;
    image_record *records;
    char **reasons;       /* (list count): of refused files, else NULL */
    const uint8_t *fresh; /* of parts_fill; kept, may be NULL */
    struct part_files *files;
} part_store;

/* Decodes what is not decoded yet, shared out among ranks and `threads` threads. Returns
 * PULMO_INTERRUPTED after a signal, with every whole part kept. `key` says what the pixels depend
 * on. *fresh, owned by the caller (free), tells the parts that this rank has decoded just now.
 * Collective. */
pulmo_status parts_fill(pulmo_comm *comm, const source_list *list,
                        const pulmo_pack_options *options, const char *work,
                        const pulmo_digest *key, uint8_t **fresh);
/* Reads all records. Not collective: after parts_fill on all ranks. Owned by the caller. */
pulmo_status parts_open(const source_list *list, const pulmo_config *config, const char *work,
                        const pulmo_digest *key, part_store *out);
/* Pixels of one file, (H, W, channels): grey is repeated where `channels` is 3. Refuses what is not
 * as recorded; what was written a moment ago by this very process is taken as it is. */
pulmo_status parts_read(part_store *store, uint32_t file, int channels, uint8_t *pixels);
void parts_close(part_store *store);
/* The same records, for another thread to read pixels with. `store` must outlive it. Owned by the
 * caller, ended by parts_unshare. */
pulmo_status parts_share(const part_store *store, part_store *out);
void parts_unshare(part_store *store);

/* ---- plan.c: who is where ---- */

/* Two files whose packed pixels are nearly the same. */
typedef struct near_pair {
    uint32_t a, b;
} near_pair;

typedef struct pack_plan {
    int classes;
    char **class_names;
    int channels;
    uint32_t *order[PULMO_SPLITS]; /* indices into the list, in packed order */
    uint32_t count[PULMO_SPLITS];
    int32_t *label; /* (list count), -1 for a refused file */
    size_t
        bad; /* refused files that cannot be used; what is left out on request comes after them */
    text_lines refused_paths, refused_reasons, identical, similar, shared_patients, leaks, carve;
} pack_plan;

/* Class names alone; to be called before anything is decoded. */
pulmo_status plan_classes(const source_list *list, pack_plan *plan);
/* Decides splits and order from the list, its records and the near duplicates among them, and
 * audits for leaks. Cannot tell whether leaks are wanted: the caller looks at plan->leaks. */
pulmo_status plan_make(const part_store *store, const near_pair *near, size_t near_count,
                       const pulmo_config *config, pack_plan *plan);
void pack_plan_free(pack_plan *plan);

/* ---- audit.c: what belongs together ---- */

/* Sets of files: find's result is the smallest index of the set. */
uint32_t join_find(uint32_t *parent, uint32_t i);
void join_sets(uint32_t *parent, uint32_t i, uint32_t j);

typedef struct audit {
    const source_list *list;
    const image_record *records;
    pack_plan *plan;
    uint32_t *together; /* parents of sets that stay on one side of a carved split: one group, or
                           one picture */
    uint32_t *copies;   /* parents of sets of one picture */
} audit;

/* Finds pairs of nearly the same pixels: alike by sketch, confirmed by the correlation of their
 * pixels. `pairs` is owned by the caller (free). */
pulmo_status audit_near(part_store *store, near_pair **pairs, size_t *count);
/* Fills the sets and the plan's lists of identical and similar files. Owned by the caller. */
pulmo_status audit_make(const part_store *store, const near_pair *near, size_t near_count,
                        pack_plan *plan, audit *out);
void audit_free(audit *a);
/* Lists patients in several splits or classes, and leaks: one picture, or surely one patient, in
 * more than one split. With `drop`, a leaking file that is not in the last of its set's splits
 * (train before val before test) gets split -1 and a line among the refused. `split` (list count)
 * is as carved, -1 for refused files. */
pulmo_status audit_splits(audit *a, int *split, bool drop);

#endif
