/* Inside the features room: the feature bank. Under a frozen trunk an image's features are the same
 * whenever they are computed: here they are computed once, for K augmented views of every training
 * image and for val and test as they are, and read by every later epoch and run.
 *
 * View k is what fresh training sees in its epoch k. A split's features are keyed by all that makes
 * them (data, weights, preprocessing, cut, pooling, the answer of this very program to a known
 * image, augmentations and seed, number format): another key is another directory. A view is
 * cut into shards, one file each; which ranks and threads compute a shard does not show in its
 * bytes.
 *
 *   images.c      images of a split, read in stored order
 *   bank.c        what is missing, reading
 *   bank_key.c    keys
 *   bank_build.c  computing what is missing
 *   bank_file.c   one shard, written and read
 *   bank_half.c   half precision */
#ifndef PULMO_BANK_ROOM_H
#define PULMO_BANK_ROOM_H

#include <pthread.h>

#include "pulmo/augment.h"
#include "pulmo/bank.h"
#include "pulmo/views.h"

/* ---- one shard (bank_file.c) ---- */

/* What all shards of a split share. */
typedef struct bank_form {
    const char *split;
    char *directory; /* of the split's shards */
    char *text;      /* what the key is made of, a line each */
    char key[PULMO_DIGEST_HEX];
    int channels, height, width; /* of one image's features as they are stored */
    bool half;
    uint32_t count, shards; /* images and files of a view */
    const int32_t *labels;  /* (count) */
} bank_form;

typedef struct bank_place {
    uint32_t view, shard;
} bank_place;

/* "half" or "float", as bank.precision has it. */
const char *bank_precision_name(const bank_form *form);
/* Images of a shard. */
uint32_t bank_shard_images(const bank_form *form, uint32_t shard);
/* Owned by the caller (free); NULL when out of memory. */
char *bank_shard_path(const bank_form *form, bank_place place);

typedef struct bank_writer bank_writer;
/* Nothing appears before commit, which frees the writer in every case. */
pulmo_status bank_writer_create(const bank_form *form, bank_place place, bank_writer **out);
/* features (count, C, h, w) of the shard's next images. PULMO_DATA where one does not fit half
 * precision. */
pulmo_status bank_writer_add(bank_writer *writer, uint32_t count, const float *features);
pulmo_status bank_writer_commit(bank_writer *writer);
void bank_writer_abandon(bank_writer *writer); /* NULL is a no-op */

typedef struct bank_shard bank_shard;
/* PULMO_DATA for a file that is damaged or of another key. `form` is kept. */
pulmo_status bank_shard_open(const bank_form *form, bank_place place, bank_shard **out);
void bank_shard_close(bank_shard *shard);
/* One image's features (C, h, w), checked against their sum. Thread safe. */
pulmo_status bank_shard_read(const bank_shard *shard, uint32_t sample, float *out);

/* ---- half precision (bank_half.c) ---- */

/* Rounded to nearest, ties to even; false where a value is not a finite half. */
bool bank_to_half(size_t count, const float *values, uint16_t *out);
/* Exact. `bits` may be the end of `out`'s own memory. */
void bank_from_half(size_t count, const uint16_t *bits, float *out);

/* ---- all of it (bank.c, bank_key.c, bank_build.c) ---- */

/* One shard to compute. */
typedef struct bank_unit {
    uint32_t split, view, shard;
} bank_unit;

struct pulmo_bank {
    pulmo_bank_parts parts;
    bool pooled; /* as the head pools */
    pulmo_augment_spec augment;
    pulmo_view_spec averaged; /* of val and test */
    uint64_t seed;
    size_t floats;
    struct bank_set {
        bank_form form;
        uint32_t views;
        struct bank_view {
            uint32_t number;
            bank_shard **shard; /* (form.shards), opened when first read; NULL: place not in use */
        } open[2];              /* an epoch's and, when it is read ahead, the next one's */
        pthread_rwlock_t lock;  /* of what is open */
    } set[PULMO_BANK_SPLITS];
};

/* Fills in the form and the views of all splits, and the keys of what makes their features. Needs
 * parts, seed, pooled, augment and averaged. PULMO_MEMORY. */
pulmo_status bank_describe(pulmo_bank *b);

/* One image's features. Thread safe. */
pulmo_status bank_read(pulmo_bank *b, pulmo_bank_split split, uint32_t view, uint32_t sample,
                       float *out);
/* Computes these units. Collective. */
pulmo_status bank_build(pulmo_bank *b, const bank_unit *units, uint32_t count);

#endif
