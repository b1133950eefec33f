/* Optimisers and learning-rate schedules over flat vectors. Not collective, no allocation. */
#ifndef PULMO_OPTIM_H
#define PULMO_OPTIM_H

#include <stddef.h>
#include <stdint.h>

typedef enum pulmo_optim_kind {
    PULMO_OPTIM_ADAM,
    PULMO_OPTIM_ADAMW,
    PULMO_OPTIM_SGD
} pulmo_optim_kind;
typedef enum pulmo_schedule {
    PULMO_SCHEDULE_CONSTANT,
    PULMO_SCHEDULE_COSINE,
    PULMO_SCHEDULE_STEP
} pulmo_schedule;

typedef struct pulmo_optim_spec {
    pulmo_optim_kind kind;
    double lr;
    double beta1, beta2, eps; /* Adam: Kingma and Ba 2015, algorithm 1 */
    /* Adam, SGD: added to the gradient (L2); AdamW: decoupled, Loshchilov and Hutter 2019,
     * algorithm 2. */
    double weight_decay;
    double momentum; /* SGD: v = momentum v + g; p -= lr v */
    pulmo_schedule schedule;
    double
        warmup_epochs;  /* linear over these epochs; the first update has the first batch's part */
    double step_epochs; /* STEP: every so many epochs ... */
    double step_gamma;  /* ... the rate is multiplied by this */
    double min_lr;      /* COSINE: where it ends: Loshchilov and Hutter 2017, eq. 5, one cycle */
} pulmo_optim_spec;

/* PyTorch's defaults: Adam, lr 1e-3, betas 0.9 0.999, eps 1e-8, no decay, constant. */
void pulmo_optim_spec_init(pulmo_optim_spec *spec);

/* State vectors that training needs: Adam and AdamW 2 (m, v), SGD 1 (0 without momentum). */
int pulmo_optim_states(const pulmo_optim_spec *spec);

/* The rate for the update after `done` of `total` epochs, each batch being `batch` of one
 * (fractions count batches). In the warm-up it is what the end of the batch calls for: never 0,
 * which would waste the batch. */
double pulmo_optim_rate(const pulmo_optim_spec *spec, double done, double batch, double total);

/* What one update multiplies by: the scalars of a spec, a rate and the number of the update. */
typedef struct pulmo_optim_update {
    pulmo_optim_kind kind;
    float rate, momentum;
    float l2;     /* added to the gradient, times the parameter */
    float shrink; /* AdamW: of the parameter itself; else 1 */
    /* Adam, AdamW: in PyTorch's order of operations. */
    float beta1, one_beta1, beta2, one_beta2, step_size, inverse_root, eps;
} pulmo_optim_update;

/* The scalars of the `step`-th update (from 1). Powers of the betas make them dear: once for many
 * ranges. */
pulmo_optim_update pulmo_optim_update_of(const pulmo_optim_spec *spec, double rate, uint64_t step);

/* One update of n parameters. state[k] are vectors of n floats. Elementwise: ranges may be updated
 * in any order, by any thread, with the same bits. */
void pulmo_optim_step(const pulmo_optim_update *update, size_t n, float *parameters,
                      const float *gradient, float *const state[2]);

#endif
