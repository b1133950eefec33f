/* A packed data set: manifest.h5 and shards SPLIT-00000-of-00008.h5 in one directory.
 *
 * A shard: images (N, H, W, C) uint8, one chunk an image; labels (N) int32; paths, groups,
 * digests (N) strings; attributes as pulmo/packed.h says.
 * The manifest: per split the shard names and counts, all labels, paths, groups and digests in
 * shard order, refused files with reasons, and the leak audit. Not collective. */
#ifndef PULMO_DATASET_H
#define PULMO_DATASET_H

#include <stdint.h>

#include "pulmo/digest.h"
#include "pulmo/framing.h"
#include "pulmo/split.h"
#include "pulmo/status.h"

#define PULMO_PACK_FORMAT_VERSION 1
#define PULMO_SPLIT_MEANINGFUL    50 /* images below which a split says little */

typedef struct pulmo_dataset pulmo_dataset;

typedef struct pulmo_dataset_info {
    uint32_t count; /* samples; may be 0 */
    int height_px, width_px, channels;
    pulmo_framing framing; /* how images were given that shape */
    int classes;
    const char *const *class_names; /* (classes) */
    const int32_t *labels;          /* (count) */
    const char *const *paths;       /* (count) relative to the packed source */
    const char *const *groups;      /* (count) patient */
    uint32_t patients;              /* different groups */
    const uint32_t *patient;        /* (count): whose image it is, a number below `patients` */
    int kept;                       /* columns that pack.keep names; may be 0 */
    const char *const *kept_names;  /* (kept) */
    const char *const *const *kept_columns; /* (kept, count) */
    int hides_names;                        /* paths and groups are pseudonyms */
    int is_demo;                            /* made by `pulmo demo-data` */
    const char *digest_hex; /* SHA-256 over classes, sizes and every image's source and pixels;
                               of packs of earlier releases not over pixels */
} pulmo_dataset_info;

/* Opens a split of a packed directory. A split that the manifest lacks gives an empty data set
 * when `may_be_absent`, else PULMO_DATA listing the splits there are. Checks that shards agree
 * with the manifest. Owned by the caller. */
pulmo_status pulmo_dataset_open(const char *directory, const char *split, int may_be_absent,
                                pulmo_dataset **out);
/* The same of a fold of the train split, which was packed with pack.folds: this fold is the split
 * "test", the next one (after the last the first) "val", the others "train". Other given splits
 * play no part. `fold` -1 is the splits as packed. PULMO_CONFIG where there is no such fold. */
pulmo_status pulmo_dataset_open_fold(const char *directory, int fold, const char *split,
                                     int may_be_absent, pulmo_dataset **out);
void pulmo_dataset_close(pulmo_dataset *dataset); /* NULL is a no-op */

/* Borrowed from the data set. */
const pulmo_dataset_info *pulmo_dataset_info_of(const pulmo_dataset *dataset);

/* The first of its classes that is not among these `classes` names; -1 where all are. */
int pulmo_dataset_foreign_class(const pulmo_dataset *dataset, int classes,
                                const char *const *names);
/* Gives it these classes: labels become indices into them. Each of its own must be among them. The
 * names are copied; what info said of classes before is void. PULMO_MEMORY. */
pulmo_status pulmo_dataset_adopt_classes(pulmo_dataset *dataset, int classes,
                                         const char *const *names);

/* The digest of a data set by those of its splits (digest_hex), train first: what checkpoints and
 * results hold as data_sha256. */
void pulmo_dataset_digest(const char *const of_splits[PULMO_SPLITS], char hex[PULMO_DIGEST_HEX]);

/* Reads one image, (H, W, C) uint8. PULMO_DATA, naming file and image, where its pixels are not
 * those that were packed. Thread safe. At most a few shard files are held open. */
pulmo_status pulmo_dataset_read(pulmo_dataset *dataset, uint32_t index, uint8_t *pixels);

#endif
