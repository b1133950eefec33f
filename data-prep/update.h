/* Inside the preparation room: pack --update, new files beside a finished pack.
 *
 * What is packed stays where it is: the old shards, and every image's split and fold. New files are
 * decoded into parts of their own and follow the old images of their split in shards of their own.
 */
#ifndef PULMO_PREP_UPDATE_H
#define PULMO_PREP_UPDATE_H

#include "parts.h"
#include "source.h"

#include "pulmo/dataset.h"
#include "pulmo/h5.h"
#include "pulmo/packed.h"

/* A split as it was packed. */
typedef struct old_split {
    pulmo_cut cut;
    int32_t *labels, *fold; /* (count); without folds: NULL */
    int32_t *given;         /* (count): the split that the source named; NULL: not known */
    uint8_t *sketches;      /* (count, PULMO_SKETCH_BYTES) */
    char **paths, **groups, **digests, **pixel_digests;
    size_t kept_count;
    char **kept_names;           /* (kept_count); NULL without */
    char **kept[PULMO_LIST_MAX]; /* (kept_count, count): kept columns */
} old_split;

typedef struct old_pack {
    old_split split[PULMO_SPLITS];
    uint64_t refused, similar_count, leak_count;
    char **refused_paths, **refused_reasons;
    char **similar, **leaks; /* lines of its audit */
    int classes, channels;
    pulmo_framing framing;
    unsigned formats; /* of its images, as pulmo_decode_words takes them */
    int folds;        /* of train; 0 for none */
    bool all_known;   /* every patient */
    char **class_names;
    const source_list *list; /* the source as it is now; kept */
    int8_t *split_of;        /* (list count): UPDATE_NEW, UPDATE_REFUSED, or the split */
    uint32_t *place;         /* (list count): in its split, among the refused, among the new */
    source_list fresh;       /* the new files, whose text is the list's */
    pulmo_dataset *data[PULMO_SPLITS]; /* opened when first read */
} old_pack;

enum { UPDATE_NEW = -1, UPDATE_REFUSED = -2 };

/* Reads the pack in `destination` and finds which files of `list` are new. PULMO_USAGE where it
 * was packed with other options than `asked`, which is as names_visible leaves it;
 * PULMO_DATA where its manifest is damaged, and where files went or changed, which are listed on
 * stderr where `is_root`: it alone looks at files. Owned by the caller. */
pulmo_status update_open(const char *destination, const source_list *list,
                         const pulmo_config *asked, bool is_root, old_pack **out);
void update_close(old_pack *old); /* NULL is a no-op */

/* Whether class, patient, given split and kept values of a packed file are as they were, as far as
 * its path and tables tell: adds a line for the first that is another. PULMO_MEMORY. */
pulmo_status update_check_meaning(const old_pack *old, uint32_t file, text_lines *changed);

/* The split in which a file stands already; -1 for a new or refused one. `old` may be NULL. */
int update_split_of(const old_pack *old, uint32_t file);
/* Its fold; -1 without. */
int update_fold_of(const old_pack *old, uint32_t file);

/* A store of the whole list: the records of the old pack, and those of `fresh`, a store of
 * old->fresh that must outlive it. Owned by the caller (parts_close). */
pulmo_status update_store(old_pack *old, const char *destination, const part_store *fresh,
                          part_store *out);
/* One image that is packed already, (H, W, channels). Thread safe. */
pulmo_status update_read(old_pack *old, uint32_t file, int channels, uint8_t *pixels);

#endif
