/* Inside the data room: a packed data set that is open.
 *
 *   dataset.c        the manifest
 *   dataset_fold.c   one fold's part of a split
 *   dataset_class.c  its classes as another names them
 *   identity.c       by what its images are found again
 *   dataset_shard.c  shards, and images out of them */
#ifndef PULMO_DATASET_ROOM_H
#define PULMO_DATASET_ROOM_H

#include <pthread.h>
#include <stdbool.h>

#include "packed_room.h"
#include "pulmo/dataset.h"

#define OPEN_SHARDS 8 /* files held open at once */

typedef struct open_shard {
    pulmo_h5 *file;
    uint32_t shard;
    uint64_t used; /* when, in reads */
} open_shard;

struct pulmo_dataset {
    pulmo_dataset_info info;
    char *directory, split[64];
    int fold;        /* -1: the split as packed; else `split` is its part of train */
    pulmo_cut cut;   /* of the split as packed */
    uint32_t *index; /* (info.count): places in the files; NULL where they are the same */
    int32_t *labels;
    char **class_names, **paths, **groups;
    uint32_t *patient; /* (info.count) */
    char **kept_names, ***kept_columns;
    char **digests; /* of the source files; only while opening */
    char *
        *pixel_digests; /* of the split as packed; only while opening, or where a shard has none */
    char *digest_hex;
    /* (cut.shards): of what each shard holds, as it was compared with the manifest; "" of one
     * without digests. */
    char (*shard_digest)[PULMO_DIGEST_HEX];
    bool of_pixels;       /* that digest covers pixels */
    bool is_unverified;   /* some of its files carry no digests */
    pthread_mutex_t lock; /* of the open shards */
    open_shard open[OPEN_SHARDS];
    uint64_t reads;
};

/* PULMO_DATA for a file of another kind or version. */
pulmo_status dataset_check_kind(pulmo_h5 *file, const char *kind);
/* Opens its manifest again. */
pulmo_status dataset_open_manifest(const pulmo_dataset *d, pulmo_h5 **out);
/* True only where nothing stands there. */
bool dataset_is_absent(const char *path);
/* Opens each shard and compares it with the manifest. */
pulmo_status dataset_check_shards(pulmo_dataset *d);
/* What a digest in the manifest is of: an image's source file, or its pixels as they were packed.
 */
typedef enum digest_of_image { DIGEST_OF_SOURCE, DIGEST_OF_PIXELS } digest_of_image;

/* SHA-256 of each image's source file or pixels in hexadecimal, (count), read from the manifest
 * again. Owned by the caller: one free(*out) frees all; NULL where there are no images. */
pulmo_status dataset_digests(const pulmo_dataset *dataset, digest_of_image of, char ***out);
/* Keeps what `split` is of the fold d->fold. */
pulmo_status dataset_choose_fold(pulmo_h5 *manifest, pulmo_dataset *d, const char *split);

#endif
