/* Inside the train room: the state of a run and the steps that change it. */
#ifndef PULMO_TRAIN_ROOM_H
#define PULMO_TRAIN_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/config.h"
#include "pulmo/dataset.h"
#include "pulmo/dist.h"
#include "pulmo/exact.h"
#include "pulmo/head.h"
#include "pulmo/loader.h"
#include "pulmo/network.h"
#include "pulmo/optim.h"
#include "pulmo/train.h"

/* ---- what a configuration means (settings.c) ---- */

const char *pooling_name(pulmo_pooling pool);
pulmo_weights_choice weights_choice_from(const pulmo_config *config);
void augment_from(const pulmo_config *config, pulmo_augment_spec *out);
void optim_from(const pulmo_config *config, pulmo_optim_spec *out);
/* Blocks that model.trainable leaves frozen, or PULMO_FROZEN_ALL. */
int frozen_blocks_from(const pulmo_config *config);
pulmo_status head_from(const pulmo_config *config, const pulmo_backbone *backbone, int classes,
                       pulmo_head_spec *out);
/* Weights a class from optim.class_weights; `out` (classes). */
pulmo_status class_weights_from(const pulmo_config *config, const pulmo_dataset_info *info,
                                float *out);

/* Microbatches of scoring: rows a GEMM takes at once where no training run says otherwise. */
#define SCORE_MICROBATCH   8
#define SCORE_MICROBATCHES 7 /* and the head's own, of which it has one more */

/* Of all that was trained, as a run's last lines give it. hex (PULMO_DIGEST_HEX). (model.c) */
void model_head_digest(const pulmo_model *model, char *hex);

/* The frozen weights of a trained model: how they are to be read, whether these are they, and both
 * at once; its digest is all the proof that is asked for. `run` is for the report. (evaluate.c) */
pulmo_weights_choice model_weights_choice(const pulmo_model *model, const char *path);
pulmo_status check_model_weights(const pulmo_model *model, const pulmo_digest *values,
                                 const char *run);
pulmo_status model_weights_read(const pulmo_model *model, const char *run, const char *path,
                                pulmo_weights *out);
/* PULMO_WEIGHTS unless the model was trained on this backbone's weights. (evaluate.c) */
pulmo_status check_model_backbone(const pulmo_model *model, const pulmo_backbone *backbone,
                                  const char *run);

/* ---- the state of a run: all that a checkpoint holds (state.c) ---- */

/* One epoch of history. Values are NaN where there is no val split. */
typedef struct epoch_row {
    double lr, train_loss, train_accuracy, val_loss, val_accuracy, val_auc;
} epoch_row;

/* Sums over the batches of the epoch so far, exact over ranks. */
typedef struct epoch_sums {
    double loss, weight;
    int64_t correct, count;
} epoch_sums;

typedef struct run_state {
    size_t parameters;
    int states;       /* vectors of optimiser state */
    float *parameter; /* (parameters) */
    float *optim[2];  /* (parameters) each, NULL beyond `states` */
    float *average;   /* (parameters): their exponential moving average; NULL without optim.ema */
    /* (parameters): those of the best epoch. Rank 0 alone keeps them while a run goes on; on other
     * ranks this is `parameter` itself, and run_finish sends the best there. */
    float *best;
    uint64_t step;         /* updates done */
    uint32_t epoch, batch; /* the next batch to do; epochs count from 0 */
    epoch_sums sums;
    double best_value; /* of the monitored quantity, larger is better */
    double best_loss;  /* val loss of the best epoch: decides ties */
    double best_accuracy;
    uint32_t best_epoch; /* counted from 1; 0: none yet */
    uint32_t since_best;
    uint32_t finished;     /* stopped early or through all epochs */
    epoch_row *history;    /* (epochs configured), `epoch` of them filled */
    uint32_t history_rows; /* room */
} run_state;

typedef struct run_state_shape {
    size_t parameters;
    int states;
    uint32_t epochs;
    bool keeps_best; /* memory of its own for the best epoch's parameters */
    bool averages;
} run_state_shape;
pulmo_status run_state_create(const run_state_shape *shape, run_state *out);
/* The parameters that are validated and kept: the average, where there is one. */
const float *run_state_current(const run_state *state);
void run_state_free(run_state *state);
/* The parameters as they are become the best, where this rank keeps them. */
void run_state_keep_best(run_state *state);

/* ---- checkpoint.h5 (checkpoint.c) ---- */

/* What a checkpoint must agree with to be gone on with. */
typedef struct run_identity {
    const pulmo_config *config;
    char data_digest[PULMO_DIGEST_HEX], weights_digest[PULMO_DIGEST_HEX];
    const char *isa, *blas;
    char features[128]; /* where training's came from, in words */
    double stored_s;    /* time of the last checkpoint */
} run_identity;

/* Whole or not at all; the previous one stands until then. By rank 0. Not collective. */
pulmo_status checkpoint_write(const char *path, const run_identity *identity,
                              const run_state *state);
/* Refuses (PULMO_CONFIG) a checkpoint of other data, configuration or weights, naming what differs.
 */
pulmo_status checkpoint_read(const char *path, const run_identity *identity, run_state *state);

/* ---- views of an image (views.c) ---- */

/* The views of an image whose logits are averaged: the image itself, then augmented ones. They
 * depend on the image's pixels and the view alone: the same on any rank, in a run and in a
 * prediction. */
typedef struct view_spec {
    int views; /* 1: the image itself alone */
    pulmo_augment_spec augment;
} view_spec;
void views_from(const pulmo_config *config, view_spec *out);
/* Changes what a model decides by to what the settings say: eval.threshold, a number; eval.tta and
 * augment, from which the views are drawn. NULL changes nothing. PULMO_CONFIG for a rule, which
 * only training can choose, or views that cannot be drawn. */
pulmo_status model_adjust(pulmo_model *model, const pulmo_settings *settings);
/* The views a model was validated with, or adjusted to. */
pulmo_status views_of_model(const pulmo_model *model, view_spec *out);
/* pixels (H, W, C) to view `view` (3, H, W), normalised. */
pulmo_status view_apply(const view_spec *spec, int view, const uint8_t *pixels, const int shape[3],
                        const float mean[3], const float std[3], float *out);

/* ---- images of a split in stored order (images.c) ---- */

#define SLOWEST_DISK_BYTES_A_SECOND                                                                \
    1e6                /* a rank that writes slower than this is stuck to the watch */
#define IMAGE_CHUNK 16 /* images read at once, at the most */

/* Which augmentations: with `averaged`, its view `number`; else those of fresh training's epoch
 * `number` with this seed. */
typedef struct image_view {
    const view_spec *averaged;
    const pulmo_augment_spec *augment;
    uint64_t seed;
    uint32_t number;
} image_view;

typedef struct image_reader image_reader;
/* Both are kept. Owned by the caller. Not collective. */
pulmo_status image_reader_create(pulmo_dataset *dataset, const pulmo_backbone *backbone,
                                 image_reader **out);
void image_reader_destroy(image_reader *reader);
/* images (count, 3, H, W), normalised; borrowed until the next call. `view` NULL: not augmented. */
pulmo_status image_reader_read(image_reader *reader, const image_view *view, uint32_t first,
                               uint32_t count, const float **images);

/* ---- the feature bank (bank.h) ---- */

typedef struct bank bank;
typedef enum bank_split { BANK_TRAIN, BANK_VAL, BANK_TEST, BANK_SPLITS } bank_split;

/* ---- features and scores of a fixed split (score.c) ---- */

/* The features of this rank's share of a split, on disk in an unnamed file: all views. */
typedef struct feature_store feature_store;

typedef struct feature_source {
    pulmo_dataset *dataset;
    const pulmo_backbone *backbone;
    const view_spec *views;
    const char *directory; /* where the file is made */
    const char *label;     /* of the progress line */
} feature_source;
/* Computes them with the trunk. Collective. */
pulmo_status feature_store_create(pulmo_comm *comm, const feature_source *source,
                                  feature_store **out);
/* Those that a bank holds (kept), without computing anything. Collective. */
pulmo_status feature_store_of_bank(pulmo_comm *comm, bank *b, bank_split split, uint32_t samples,
                                   feature_store **out);
void feature_store_destroy(feature_store *store);
/* What turns stored features into logits. */
typedef struct scorer {
    pulmo_tuned *tuned; /* NULL where the features are the head's */
    int tuned_images;   /* its room */
    size_t head_floats; /* values of one image's features above the tuned */
    pulmo_head *head;   /* its microbatches' contents are lost */
    pulmo_pool *pool;
} scorer;
/* Logits of the whole split on every rank, (count, classes), owned by the caller (pulmo_free).
 * Collective. */
pulmo_status feature_store_logits(pulmo_comm *comm, const feature_store *store, const scorer *with,
                                  int classes, float **out);

/* ---- one batch (step.c) ---- */

typedef struct stepper stepper;

typedef struct stepper_parts {
    pulmo_comm *comm;
    const pulmo_backbone *backbone;
    const pulmo_head_spec *head;
    const pulmo_loss_spec *loss;
    const pulmo_optim_spec *optim;
    const pulmo_dataset_info *data;
    const pulmo_config *config;
    run_state *state;
    bool banked;     /* a batch's images are features already */
    bool plain_sums; /* sums in float, in MPI's order: for a benchmark to compare with, never in a
                        run */
} stepper_parts;

/* All parts are kept. */
pulmo_status stepper_create(const stepper_parts *parts, stepper **out);
void stepper_destroy(stepper *step);
uint64_t stepper_bytes(const stepper_parts *parts);

/* What the ranks decided together with this batch. */
typedef struct step_wishes {
    bool interrupted; /* in: this rank got a signal; out: any did */
    bool checkpoint;  /* in: this rank wants one (time or count); out: any does */
} step_wishes;

/* Takes a batch: its features while the last batch's sum travels, then that batch's update,
 * then this batch's gradients, whose sum is started. When the wishes come back set, the
 * batch's gradients are held back: the state is that after all batches before this one.
 * `status` is this rank's loading status. Collective. */
pulmo_status stepper_take(stepper *step, pulmo_status status, const pulmo_batch *batch,
                          step_wishes *wishes);
/* Starts the sum of a batch that was held back. Collective. */
pulmo_status stepper_release(stepper *step);
/* Waits for the sum in flight and makes its update. Collective. */
pulmo_status stepper_finish(stepper *step);
/* Seconds spent since create. */
typedef struct step_times {
    double features_s, tuned_s, head_s, update_s;
} step_times;
const step_times *stepper_times(const stepper *step);
/* Seconds spent waiting for sums. */
double stepper_waited_s(const stepper *step);
/* Makes the trained convolutions, if any, ready for these parameters (tuned's first; borrowed for
 * the call), to score with between batches: *tuned is NULL where there are none. Before the next
 * batch they must be given the state's own again: stepper_ready. Not collective. */
void stepper_score_with(stepper *step, const float *parameters, pulmo_tuned **tuned, int *images);
void stepper_ready(stepper *step);

/* ---- results (results.c) ---- */

typedef struct split_scores {
    const char *split;
    const pulmo_dataset_info *info;
    float *probabilities; /* (count, classes) */
    float *logits;        /* (count, classes) */
} split_scores;

typedef struct run_results {
    const char *directory;
    const run_identity *identity;
    const run_state *state;
    const pulmo_model *model;
    const split_scores *val, *test; /* NULL where there is none (yet) */
    const pulmo_comm *comm;
    const char *head_digest;
    const char *data;        /* packed directory */
    const char *model_place; /* run directory of the model, where results are not written beside it;
                                or NULL */
    int models;              /* whose mean was scored; 0: one */
    int threads;             /* of rank 0 */
    bool finished;
} run_results;

/* The settings that make a model, as YAML that reads back; owned by the caller (free), NULL when
 * out of memory. */
char *binding_lines(const pulmo_config *config);
/* results.h5, history.csv, predictions.csv. By rank 0. */
pulmo_status results_write(const run_results *results);
/* True if `directory` holds the results of a finished run. */
bool results_finished(const char *directory);
/* A CSV field: quoted where it must be, quotes doubled. */
void csv_field(FILE *out, const char *text);
/* The header of a class's probabilities, p_CLASS, as such a field. */
void csv_class_column(FILE *out, const char *class_name);
/* The lines that end a run or an evaluation. */
pulmo_status results_print(FILE *out, const pulmo_model *model, const split_scores *test);

#endif
