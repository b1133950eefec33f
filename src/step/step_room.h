/* Inside the step room: what the parts of a training step share.
 *
 *   step.c      a batch: features, microbatches, the head's gradients, their sum
 *   sufficient.c   the two ways in which the head's gradients reach all ranks
 *   descend.c   trained convolutions: forward, and down through them bucket by bucket
 *   update.c    sums to gradients to parameters */
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

enum { SUM_LOSS, SUM_WEIGHT, SUM_CORRECT, SUM_COUNT, SUMS };
/* The small maximum: one entry each, then a bound a tensor of the head. */
enum { MAX_STATUS, MAX_SIGNAL, MAX_CHECKPOINT, MAX_LOSS, MAX_WEIGHT, MAX_BOUNDS };

/* How the gradient of one of the head's weights gets to all ranks (sufficient.c). */
typedef struct weight_way {
    bool factors; /* else sums go */
    float *all;   /* (batch, width): an input and a delta of each of the batch's samples; NULL where
                     they do not travel */
    size_t width; /* inputs + outputs */
    int *counts;  /* (2, ranks): see pulmo_exact_push_parts */
    pulmo_sufficient_factors *microbatch; /* (microbatches): of all microbatches of the batch, or,
                                  for sums, of this rank's */
    int microbatches;
} weight_way;

struct pulmo_stepper {
    pulmo_stepper_parts parts;
    pulmo_layout layout; /* of all that is trained: the tuned's tensors, then the head's */
    int tuned_tensors;   /* how many are the tuned's */
    pulmo_head *head;
    pulmo_tuned *tuned; /* NULL where the head alone is trained */
    uint32_t microbatch;
    int microbatches_room; /* microbatches of this rank in a batch, at the most */
    int microbatches;      /* of the batch at hand */
    float *features; /* (microbatches_room * microbatch, C, h, w): below the tuned, if there is one;
                        NULL where they come from a pulmo_bank */
    const float *fed;      /* the batch's: `features`, or a bank's */
    size_t feature_floats; /* of one image */
    float *above, *below;  /* (microbatches_room * microbatch, head_floats): features above the
                              tuned, the loss's  gradient by them */
    size_t head_floats;
    pulmo_microbatch_input *inputs;   /* (microbatches_room) */
    pulmo_microbatch_result *results; /* (microbatches_room) */
    double maxima[MAX_BOUNDS + PULMO_TENSORS_MAX];
    int64_t *sums; /* (sum_count + SUMS); a convolution's weights in the order (O, tap, I) */
    size_t sum_at[PULMO_TENSORS_MAX],
        sum_count; /* where a tensor's sums begin; a weight that goes by factors has none */
    weight_way way[PULMO_HIDDEN_MAX + 1]; /* of the head's weights */
    int exponent[PULMO_TENSORS_MAX];
    int exponent_loss, exponent_weight;
    float *tiles; /* (threads, tile_floats) */
    size_t tile_floats;
    int tile_first[PULMO_TENSORS_MAX + 1]; /* number of a head tensor's first tile */
    double *squares;                  /* (update tasks): parts of the gradient's squared norm */
    pthread_mutex_t locks[SUM_LOCKS]; /* of parts of a convolution's sums */
    pulmo_batch batch;                /* the batch at hand */
    pulmo_exact_sum *flight;          /* the sum that travels; NULL if none */
    double rate;                      /* of the update that belongs to it */
    int lowest;                       /* lowest layer of the tuned that takes part in it */
    double waited_s;
    pulmo_step_times times;
};

/* Whether a tensor is a fine-tuned convolution's; else it is the head's. */
static inline bool stepper_is_tuned(const pulmo_tensor *tensor)
{
    return tensor->kind == PULMO_CONV_WEIGHT || tensor->kind == PULMO_CONV_BIAS;
}

/* ---- sufficient.c ---- */

/* One rank and the head alone: nothing travels, and an update is made as soon as the batch's
 * microbatches have run. */
bool stepper_alone(const pulmo_stepper_parts *parts);
/* Whether a tensor is a weight of the head that goes by factors. */
bool stepper_by_factors(const pulmo_stepper_parts *parts, const pulmo_tensor *tensor);
uint64_t stepper_ways_bytes(const pulmo_stepper_parts *parts, const pulmo_layout *layout);
pulmo_status stepper_ways_create(pulmo_stepper *step);
void stepper_ways_destroy(pulmo_stepper *step);
/* After the microbatches have run: factors into their places. */
void stepper_ways_fill(pulmo_stepper *step);
/* Sends the factors with the sum in flight. Collective. */
void stepper_ways_push(pulmo_stepper *step);

/* ---- descend.c ---- */

/* How many updates a layer of the tuned has sat out by its block's unfreeze epoch; *frozen if it
 * still does in `epoch`. */
uint64_t stepper_missed(const pulmo_stepper *step, int layer, uint32_t epoch, bool *frozen);
/* The head's features of the batch at hand, from step->features. */
const float *stepper_climb(pulmo_stepper *step);
/* Gradients of the layers that take part, from the head's down; each one's sum takes off as it is
 * ready. Collective. */
pulmo_status stepper_descend(pulmo_stepper *step, uint32_t microbatches);

/* ---- update.c ---- */

int stepper_update_tasks(const pulmo_stepper *step);
/* One optimiser step from the summed gradients; `weight` is the batch's. */
void stepper_update(pulmo_stepper *step, double weight);

#endif
