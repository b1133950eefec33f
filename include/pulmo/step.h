/* One training step: microbatches, gradient exchange, update; and the state that it changes. */
#ifndef PULMO_STEP_H
#define PULMO_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/backbone.h"
#include "pulmo/config.h"
#include "pulmo/dataset.h"
#include "pulmo/dist.h"
#include "pulmo/head.h"
#include "pulmo/history.h"
#include "pulmo/loader.h"
#include "pulmo/optim.h"
#include "pulmo/tuned.h"

/* ---- the state of a run: all that a checkpoint holds (state.c) ---- */

/* Sums over the batches of the epoch so far, exact over ranks. */
typedef struct pulmo_epoch_sums {
    double loss, weight;
    int64_t correct, count;
} pulmo_epoch_sums;

typedef struct pulmo_state {
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
    pulmo_epoch_sums sums;
    double best_value; /* of the monitored quantity, larger is better */
    double best_loss;  /* val loss of the best epoch: decides ties */
    double best_accuracy;
    uint32_t best_epoch; /* counted from 1; 0: none yet */
    uint32_t since_best;
    uint32_t finished;        /* stopped early or through all epochs */
    pulmo_epoch_row *history; /* (epochs configured), `epoch` of them filled */
    uint32_t history_rows;    /* room */
} pulmo_state;

typedef struct pulmo_state_shape {
    size_t parameters;
    int states;
    uint32_t epochs;
    bool keeps_best; /* memory of its own for the best epoch's parameters */
    bool averages;
} pulmo_state_shape;
pulmo_status pulmo_state_create(const pulmo_state_shape *shape, pulmo_state *out);
/* The parameters that are validated and kept: the average, where there is one. */
const float *pulmo_state_current(const pulmo_state *state);
void pulmo_state_free(pulmo_state *state);
/* The parameters as they are become the best, where this rank keeps them. */
void pulmo_state_keep_best(pulmo_state *state);

/* ---- one batch (step.c) ---- */

typedef struct pulmo_stepper pulmo_stepper;

typedef struct pulmo_stepper_parts {
    pulmo_comm *comm;
    const pulmo_backbone *backbone;
    const pulmo_head_spec *head;
    const pulmo_loss_spec *loss;
    const pulmo_optim_spec *optim;
    const pulmo_dataset_info *data;
    const pulmo_config *config;
    pulmo_state *state;
    bool banked; /* a batch's images are features already */
} pulmo_stepper_parts;

/* All parts are kept. */
pulmo_status pulmo_stepper_create(const pulmo_stepper_parts *parts, pulmo_stepper **out);
void pulmo_stepper_destroy(pulmo_stepper *step);
uint64_t pulmo_stepper_bytes(const pulmo_stepper_parts *parts);

/* What the ranks decided together with this batch. */
typedef struct pulmo_step_wishes {
    bool interrupted; /* in: this rank got a signal; out: any did */
    bool checkpoint;  /* in: this rank wants one (time or count); out: any does */
} pulmo_step_wishes;

/* Takes a batch: its features while the last batch's sum travels, then that batch's update,
 * then this batch's gradients, whose sum is started. When the wishes come back set, the
 * batch's gradients are held back: the state is that after all batches before this one.
 * `status` is this rank's loading status. Collective. */
pulmo_status pulmo_stepper_take(pulmo_stepper *step, pulmo_status status, const pulmo_batch *batch,
                                pulmo_step_wishes *wishes);
/* Starts the sum of a batch that was held back. Collective. */
pulmo_status pulmo_stepper_release(pulmo_stepper *step);
/* Waits for the sum in flight and makes its update. Collective. */
pulmo_status pulmo_stepper_finish(pulmo_stepper *step);
/* Seconds spent since create. */
typedef struct pulmo_step_times {
    double features_s, tuned_s, head_s, update_s;
} pulmo_step_times;
const pulmo_step_times *pulmo_stepper_times(const pulmo_stepper *step);
/* Seconds spent waiting for sums. */
double pulmo_stepper_waited_s(const pulmo_stepper *step);
/* Makes the trained convolutions, if any, ready for these parameters (tuned's first; borrowed for
 * the call), to score with between batches: *tuned is NULL where there are none. Before the next
 * batch they must be given the state's own again: pulmo_stepper_ready. Not collective. */
void pulmo_stepper_score_with(pulmo_stepper *step, const float *parameters, pulmo_tuned **tuned,
                              int *images);
void pulmo_stepper_ready(pulmo_stepper *step);

#endif
