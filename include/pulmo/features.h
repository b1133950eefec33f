/* Features of a split kept on disk, and features to logits. */
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

/* A rank that writes slower than this is stuck to the watch. */
#define PULMO_SLOWEST_DISK_BYTES_PER_SECOND 1e6

/* ---- features and scores of a fixed split ---- */

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
