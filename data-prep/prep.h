/* Inside the preparation room: the files of a source, what became of each, and the plan. */
#ifndef PULMO_PREP_H
#define PULMO_PREP_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/config.h"
#include "pulmo/digest.h"
#include "pulmo/pack.h"
#include "pulmo/packed.h"

#define SPLITS 3
enum { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST };
extern const char *const split_names[SPLITS];

/* ---- source.c: what there is to pack ---- */

typedef struct source_file {
    char *path;  /* relative to the source */
    char *group; /* patient */
    char *label; /* class name */
    int split;   /* as given */
    int64_t size_bytes, modified_ns;
} source_file;

typedef struct source_list {
    const char *root;
    source_file *file;
    size_t count, room;
    bool has_splits; /* train/ val/ test/ were given */
    bool is_demo;
} source_list;

/* Lists a source in an order that depends on names alone. Owned by the caller. */
pulmo_status source_list_make(const char *root, const pulmo_config *config, source_list *out);
void source_list_free(source_list *list);

/* The patient in a file name: by `pattern` (compiled by the caller elsewhere), or, with NULL, by the
 * Kermany set's names: person123_bacteria_4 -> person123, IM-0115-0001 -> IM-0115,
 * NORMAL2-IM-0927-0001 -> NORMAL2-IM-0927; else the name without its ending. Writes to `out`. */
void group_of_name(const char *name, char *out, size_t out_bytes);

/* ---- spool.c: decoding ---- */

#define THUMB 16 /* side of the thumbnail that near duplicates are told by */

typedef struct image_record {
    uint8_t usable, channels;
    uint8_t had_icc;
    uint8_t thumb[THUMB * THUMB];
    uint64_t hash;   /* difference hash of the thumbnail's neighbourhood means */
    pulmo_digest digest, pixel_digest;
    int32_t spool;   /* rank that holds the pixels */
    uint64_t offset; /* in its spool */
    char reason[192];
} image_record;

/* Decodes this rank's share of the list with `threads` threads into its spool in `destination`,
 * then gathers all records on all ranks; `out` (count) is owned by the caller (pulmo_free).
 * Collective. */
pulmo_status spool_fill(pulmo_comm *comm, const source_list *list, const pulmo_pack_options *options, image_record **out);
/* Pixels of one record from whichever spool holds them, (H, W, channels of the data set). */
typedef struct spool_reader spool_reader;
pulmo_status spool_open(const char *destination, int ranks, spool_reader **out);
pulmo_status spool_read(spool_reader *reader, const image_record *record, int size_px, int channels, uint8_t *pixels);
void spool_close(spool_reader *reader);
/* Removes this rank's spool. */
void spool_remove(const char *destination, int rank);

/* ---- plan.c: who is where ---- */

typedef struct text_lines {
    char **text;
    size_t count, room;
} text_lines;
pulmo_status lines_add(text_lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lines_free(text_lines *lines);

typedef struct pack_plan {
    int classes;
    char **class_names;
    int channels;
    uint32_t *order[SPLITS]; /* indices into the list, in packed order */
    uint32_t count[SPLITS];
    int32_t *label;          /* (list count), -1 for a refused file */
    text_lines refused_paths, refused_reasons, identical, similar, shared_patients, carve;
} pack_plan;

/* Decides classes, splits and order from the list and its records, and audits for leaks.
 * Owned by the caller. */
pulmo_status pack_plan_make(const source_list *list, const image_record *records, const pulmo_config *config, pack_plan *out);
void pack_plan_free(pack_plan *plan);

/* ---- plan.c: sets of files that must stay together ---- */

/* Union of i and j; find's result is the smallest index of the set. */
uint32_t join_find(uint32_t *parent, uint32_t i);
void join_sets(uint32_t *parent, uint32_t i, uint32_t j);

#endif
