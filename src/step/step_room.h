/* Inside the step room: what the parts of a training step share.
 *
 *   stepper.c     creates and destroys a stepper; its memory
 *   step.c        a batch: features, microbatches, the beginning and the end of its exchange
 *   sums.c        the head's gradients and the batch's totals as integers
 *   sufficient.c  the head's gradients as sufficient factors, which travel in place of sums
 *   fine_tuned.c  fine-tuned convolutions: forward; backward, exchanged layer by layer
 *   update.c      integers to gradients to parameters
 *   state.c       what an update changes */
#ifndef PULMO_STEP_ROOM_H
#define PULMO_STEP_ROOM_H

#include <pthread.h>

#include "pulmo/exact.h"
#include "pulmo/step.h"

/* Tiles in which microbatch gradients are made, added and used: the columns' inputs and a tile of
 * gradients stay in L2. */
#define TILE_ROWS 32
#define TILE_COLS 1024
#define SUM_LOCKS 64
#define TAPS      9 /* of a 3x3 convolution */

/* A batch's totals, which travel behind the head's sums. */
enum { TOTAL_LOSS, TOTAL_WEIGHT, TOTAL_CORRECT, TOTAL_COUNT, TOTALS };
/* The small maximum: one entry each, then a bound per tensor of the head. */
enum { MAX_STATUS, MAX_SIGNAL, MAX_CHECKPOINT, MAX_LOSS, MAX_WEIGHT, MAX_BOUNDS };

/* The features of the batch at hand. */
typedef struct step_features {
    float *computed;      /* (images, C, h, w): the frozen network's; NULL where they come from a
                             pulmo_bank */
    const float *batch;   /* the batch's: `computed`, or a bank's */
    size_t image_floats;  /* of one image of `computed` */
    float *fine_tuned;    /* (images, head_floats): what the fine-tuned convolutions give the head;
                             NULL without them */
    float *head_gradient; /* (images, head_floats): the loss's gradient by `fine_tuned` */
    size_t head_floats;
} step_features;

/* This rank's microbatches of the batch at hand. */
typedef struct step_microbatches {
    uint32_t samples; /* of a full one */
    int room;         /* at most so many in a batch */
    int count;
    pulmo_microbatch_input *inputs;   /* (room) */
    pulmo_microbatch_result *results; /* (room) */
    double maxima[MAX_BOUNDS + PULMO_TENSORS_MAX];
} step_microbatches;

/* Gradients as integers (exact.h). A convolution's weights stand in the order (O, tap, I). */
typedef struct step_sums {
    int64_t *values; /* (count + TOTALS) */
    size_t count;
    size_t at[PULMO_TENSORS_MAX]; /* where a tensor's begin; those of a weight whose factors travel
                                     are not there */
    int exponent[PULMO_TENSORS_MAX];
    int loss_exponent, weight_exponent;
    pthread_mutex_t locks[SUM_LOCKS]; /* of parts of a convolution's sums */
} step_sums;

/* How the gradient of one of the head's weights reaches all ranks (sufficient.c). */
typedef struct weight_exchange {
    bool by_factors; /* else sums travel */
    float *all;      /* (batch, width): input and delta of each of the batch's samples; NULL where
                        they do not travel */
    size_t width;    /* inputs + outputs */
    int *counts;     /* (2, ranks): see pulmo_exact_push_parts */
    pulmo_sufficient_factors *factors; /* (microbatches): of all microbatches of the batch; where
                                          sums travel, of this rank's */
    int microbatches;
} weight_exchange;

/* Memory of the tasks that turn gradients into sums and sums into updates. */
typedef struct step_tiles {
    float *values; /* (threads, floats) */
    size_t floats;
    int first[PULMO_TENSORS_MAX + 1]; /* number of a head tensor's first tile of sums */
    double *squares;                  /* (update tasks): parts of the gradient's squared norm */
} step_tiles;

/* The exchange under way: the batch's whose update comes next. */
typedef struct step_exchange {
    pulmo_exact_sum *flight; /* NULL where nothing travels */
    bool under_way;
    double rate; /* learning rate of that update */
    int lowest;  /* lowest fine-tuned layer that takes part in it */
} step_exchange;

struct pulmo_stepper {
    pulmo_stepper_parts parts;
    pulmo_layout layout; /* of all that is trained: fine-tuned convolutions, then the head */
    int head_first;      /* number of the head's first tensor */
    pulmo_head *head;
    pulmo_tuned *tuned; /* NULL where the head alone is trained */
    pulmo_batch batch;  /* at hand */
    step_features features;
    step_microbatches microbatches;
    step_sums sums;
    weight_exchange weights[PULMO_LINEARS_MAX]; /* of the head's layers */
    step_tiles tiles;
    step_exchange exchange;
    pulmo_step_times times;
};

/* Whether a tensor is a fine-tuned convolution's; else it is the head's. */
static inline bool stepper_is_tuned(const pulmo_tensor *tensor)
{
    return tensor->kind == PULMO_CONV_WEIGHT || tensor->kind == PULMO_CONV_BIAS;
}
/* Tensors of the head. */
static inline int stepper_head_tensors(const pulmo_stepper *step)
{
    return step->layout.tensors - step->head_first;
}
static inline const pulmo_tensor *stepper_tensor(const pulmo_stepper *step, int number)
{
    return &step->layout.tensor[number];
}
/* Fine-tuned layers. */
static inline int stepper_layers(const pulmo_stepper *step)
{
    return step->parts.backbone->tuned.layers;
}
/* Images of this rank in the batch at hand. */
static inline int stepper_images(const pulmo_stepper *step)
{
    return step->microbatches.count > 0 ? (int)step->batch.count : 0;
}
/* Where a tensor's sums begin. */
static inline int64_t *stepper_sums(const pulmo_stepper *step, int number)
{
    return step->sums.values + step->sums.at[number];
}
/* A thread's memory for gradients. */
static inline float *stepper_tile(const pulmo_stepper *step, int thread)
{
    return step->tiles.values + (size_t)thread * step->tiles.floats;
}
/* Element (row, col) of a dense matrix of so many columns. */
static inline size_t stepper_element(int row, int cols, int col)
{
    return (size_t)row * (size_t)cols + (size_t)col;
}
/* Tasks 0 .. tasks - 1 on this rank's threads. */
static inline void stepper_run(const pulmo_stepper *step, int tasks, pulmo_task task, void *context)
{
    pulmo_pool_run(step->parts.backbone->pool, tasks, task, context);
}
static inline int stepper_divide_up(int count, int by)
{
    return (count + by - 1) / by;
}
static inline int stepper_least(int a, int b)
{
    return a < b ? a : b;
}

/* ---- sums.c ---- */

/* Tiles of a tensor of the head. */
int stepper_tiles_of(const pulmo_tensor *tensor);
/* After the microbatches have run and sufficient factors are in place: the head's sums and the
 * batch's totals. */
void stepper_sums_fill(pulmo_stepper *step);
/* Sends them with the exchange under way. Collective. */
void stepper_sums_push(pulmo_stepper *step);
/* The totals of all ranks into the state; returns the batch's weight. */
double stepper_sums_count(pulmo_stepper *step);

/* ---- sufficient.c ---- */

/* One rank and the head alone: nothing travels, and an update is made as soon as the batch's
 * microbatches have run. */
bool stepper_is_alone(const pulmo_stepper_parts *parts);
/* Whether a tensor is a weight of the head whose sufficient factors travel, or are used where they
 * stand, in place of sums. */
bool stepper_by_factors(const pulmo_stepper_parts *parts, const pulmo_tensor *tensor);
/* Memory of sums and of factors that travel. */
uint64_t stepper_exchange_bytes(const pulmo_stepper_parts *parts, const pulmo_layout *layout);
pulmo_status stepper_sufficient_create(pulmo_stepper *step);
void stepper_sufficient_destroy(pulmo_stepper *step);
/* After the microbatches have run: factors into their places. */
void stepper_sufficient_fill(pulmo_stepper *step);
/* Sends the factors with the exchange under way. Collective. */
void stepper_sufficient_push(pulmo_stepper *step);

/* ---- fine_tuned.c ---- */

/* Updates in which a fine-tuned layer has had no part, by the epoch in which its block joins. */
uint64_t stepper_frozen_updates(const pulmo_stepper *step, int layer);
/* Forward through the fine-tuned convolutions: the head's features of the batch at hand. */
const float *stepper_tuned_forward(pulmo_stepper *step);
/* Gradients of the layers that take part, from the head's down; the exchange of each one's sums
 * begins as soon as they are ready. `microbatches` is of the whole batch. Collective. */
pulmo_status stepper_tuned_backward(pulmo_stepper *step, uint32_t microbatches);

/* ---- update.c ---- */

int stepper_update_tasks(const pulmo_stepper *step);
/* One optimiser step from the sums of all ranks; `weight` is the batch's. */
void stepper_update(pulmo_stepper *step, double weight);

#endif
