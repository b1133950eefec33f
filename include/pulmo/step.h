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
#include "pulmo/loader.h"
#include "pulmo/optim.h"
#include "pulmo/tuned.h"

/* ---- what an update changes (state.c) ---- */

/* Sums over the batches of the epoch so far, exact over ranks. */
typedef struct pulmo_epoch_sums {
    double loss, weight;
    int64_t correct, count;
} pulmo_epoch_sums;

typedef struct pulmo_state {
    size_t parameters;
    int states;            /* vectors of optimiser state, at most 2 */
    float *parameter;      /* (parameters) */
    float *optim[2];       /* (parameters) each, NULL beyond `states` */
    float *average;        /* (parameters): their exponential moving average; NULL without one */
    uint64_t step;         /* updates done */
    uint32_t epoch, batch; /* the next batch to take; both count from 0 */
    pulmo_epoch_sums sums;
} pulmo_state;

typedef struct pulmo_state_shape {
    size_t parameters;
    int states;
    bool averages;
} pulmo_state_shape;

/* Vectors of `parameters` floats in such a state. */
int pulmo_state_vectors(const pulmo_state_shape *shape);
/* Zeros. Owned by the caller, who ends it with free. Not collective. */
pulmo_status pulmo_state_create(const pulmo_state_shape *shape, pulmo_state *out);
void pulmo_state_free(pulmo_state *state);
/* The parameters that are validated and kept: the average, where there is one. Borrowed. */
const float *pulmo_state_current(const pulmo_state *state);

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

/* `parts` and what they point at are kept. Owned by the caller. Not collective. */
pulmo_status pulmo_stepper_create(const pulmo_stepper_parts *parts, pulmo_stepper **out);
void pulmo_stepper_destroy(pulmo_stepper *step); /* NULL is a no-op */
/* Bytes create would allocate, but for small change. */
uint64_t pulmo_stepper_bytes(const pulmo_stepper_parts *parts);

/* What the ranks decide together with a batch. */
typedef struct pulmo_step_wishes {
    bool interrupted; /* in: this rank got a signal; out: any did */
    bool checkpoint;  /* in: this rank wants one (time or count); out: any does */
} pulmo_step_wishes;

/* Takes a batch: its features while the last batch's exchange is under way, then that batch's
 * update, then this batch's gradients, whose exchange begins. When the wishes come back set, the
 * batch's gradients are held back: the state is that after all batches before this one. `status` is
 * this rank's loading status. Collective. */
pulmo_status pulmo_stepper_take(pulmo_stepper *step, pulmo_status status, const pulmo_batch *batch,
                                pulmo_step_wishes *wishes);
/* Begins the exchange of a batch that was held back. Collective. */
pulmo_status pulmo_stepper_release(pulmo_stepper *step);
/* Waits for the exchange under way, if any, and makes its update. Collective. */
pulmo_status pulmo_stepper_finish(pulmo_stepper *step);

/* Seconds spent since create. */
typedef struct pulmo_step_times {
    double features_s, tuned_s, head_s, update_s;
    double waited_s; /* for exchanges */
} pulmo_step_times;
const pulmo_step_times *pulmo_stepper_times(const pulmo_stepper *step);

/* Makes the fine-tuned convolutions, if any, ready for these parameters (theirs first; borrowed for
 * the call), to score with between batches: *tuned is NULL where there are none, *images is what
 * they take at once. Before the next batch they must get the state's own again:
 * pulmo_stepper_ready. Not collective. */
void pulmo_stepper_score_with(pulmo_stepper *step, const float *parameters, pulmo_tuned **tuned,
                              int *images);
void pulmo_stepper_ready(pulmo_stepper *step);

#endif
