/* Images of a split to features, in stored order; features kept on disk; features to logits. */
#ifndef PULMO_FEATURES_H
#define PULMO_FEATURES_H

#include "pulmo/backbone.h"
#include "pulmo/bank.h"
#include "pulmo/dataset.h"
#include "pulmo/dist.h"
#include "pulmo/head.h"
#include "pulmo/tuned.h"
#include "pulmo/views.h"

/* Microbatches of scoring: rows a GEMM takes at once where no training run says otherwise. */
#define PULMO_SCORE_MICROBATCH   8
#define PULMO_SCORE_MICROBATCHES 7 /* and the head's own, of which it has one more */

/* ---- images of a split in stored order (images.c) ---- */

#define PULMO_SLOWEST_DISK_BYTES_PER_SECOND                                                        \
    1e6                      /* a rank that writes slower than this is stuck to the watch */
#define PULMO_IMAGE_CHUNK 16 /* images read at once, at the most */

/* Which augmentations: with `averaged`, its view `number`; else those of fresh training's epoch
 * `number` with this seed. */
typedef struct pulmo_image_view {
    const pulmo_view_spec *averaged;
    const pulmo_augment_spec *augment;
    uint64_t seed;
    uint32_t number;
} pulmo_image_view;

typedef struct pulmo_image_reader pulmo_image_reader;
/* Both are kept. Owned by the caller. Not collective. */
pulmo_status pulmo_image_reader_create(pulmo_dataset *dataset, const pulmo_backbone *backbone,
                                       pulmo_image_reader **out);
void pulmo_image_reader_destroy(pulmo_image_reader *reader);
/* images (count, 3, H, W), normalised; borrowed until the next call. `view` NULL: not augmented. */
pulmo_status pulmo_image_reader_read(pulmo_image_reader *reader, const pulmo_image_view *view,
                                     uint32_t first, uint32_t count, const float **images);

/* ---- features and scores of a fixed split (score.c) ---- */

/* The features of this rank's share of a split, on disk in an unnamed file: all views. */
typedef struct pulmo_feature_store pulmo_feature_store;

typedef struct pulmo_feature_source {
    pulmo_dataset *dataset;
    const pulmo_backbone *backbone;
    const pulmo_view_spec *views;
    const char *directory; /* where the file is made */
    const char *label;     /* of the progress line */
} pulmo_feature_source;
/* Computes them with the trunk. Collective. */
pulmo_status pulmo_feature_store_create(pulmo_comm *comm, const pulmo_feature_source *source,
                                        pulmo_feature_store **out);
/* Those that a bank holds (kept), without computing anything. Collective. */
pulmo_status pulmo_feature_store_of_bank(pulmo_comm *comm, pulmo_bank *b, pulmo_bank_split split,
                                         uint32_t samples, pulmo_feature_store **out);
void pulmo_feature_store_destroy(pulmo_feature_store *store);
/* What turns stored features into logits. */
typedef struct pulmo_scorer {
    pulmo_tuned *tuned; /* NULL where the features are the head's */
    int tuned_images;   /* its room */
    size_t head_floats; /* values of one image's features above the tuned */
    pulmo_head *head;   /* its microbatches' contents are lost */
    pulmo_pool *pool;
} pulmo_scorer;
/* Logits of the whole split on every rank, (count, classes), owned by the caller (pulmo_free).
 * Collective. */
pulmo_status pulmo_feature_store_logits(pulmo_comm *comm, const pulmo_feature_store *store,
                                        const pulmo_scorer *with, int classes, float **out);

#endif
