/* Inside the nn room: the fine-tuned convolutions' buffers. */
#ifndef PULMO_TUNED_ROOM_H
#define PULMO_TUNED_ROOM_H

#include "geometry.h"
#include "pulmo/tuned.h"

typedef struct tuned_layer {
    int inputs, outputs; /* channels; inputs rounded up to a block */
    int true_inputs;
    int tile; /* the side of its tiles' outputs */
    bool pool_after;
    size_t weight_at, bias_at; /* in the parameters */
    pulmo_plane in, values;    /* its input; its output before the pool, after the ReLU */
    pulmo_plane out;           /* after the pool; the same as values where there is none */
    pulmo_tiles tiles;         /* of one image; count unused */
    int average_at;            /* where its output's averages stand among an image's; -1: nowhere */
    /* Transformed weights: forward, and for the gradient by the data (NULL for the first). */
    real *u, *turned;
} tuned_layer;

struct pulmo_tuned {
    const pulmo_kernels *kernels;
    pulmo_pool *pool;
    int threads, microbatch, images, layers;
    int averages; /* of an image, all of its features; 0: they are the last layer's output */
    bool cut_is_averaged;   /* the cut's averages stand before all others */
    const float *gradients; /* by the averages, (n, averages): of the backward at hand */
    tuned_layer layer[PULMO_CONVS_MAX];
    real *bias[PULMO_CONVS_MAX]; /* copies of the layers' biases */
    real *storage;               /* one block for all reals below and in the layers */
    real *gradient[2];           /* planes of a layer's gradient, taken in turn */
    real *scratch; /* (threads, scratch_reals): a run's V and M, or a part's dU and dW */
    size_t scratch_reals;
    real *wave; /* V and M of some units */
    size_t wave_reals;
    double *norms;       /* (2, images): largest channel norm of the input, of the gradient */
    double *squares;     /* (images, most_channels) */
    real *bias_gradient; /* (images, most_channels) */
    int most_channels;   /* of a layer's input or output */
    int n;               /* images of the last forward */
    int current;         /* which gradient plane holds the layer at hand's */
    pulmo_plane dy;      /* the layer at hand's gradient */
};

/* `out` = convolution of `in` with transformed weights u: with bias and ReLU where `bias` is not
 * NULL, else masked. */
typedef struct tuned_convolution {
    const pulmo_plane *in, *out, *mask;
    const pulmo_tiles *tiles;
    const real *u, *bias;
} tuned_convolution;
void tuned_convolve(pulmo_tuned *tuned, const tuned_convolution *what);

/* Runs a task for each block of channels of each image. */
static inline void tuned_each_block(const pulmo_tuned *tuned, int channels, pulmo_task task,
                                    void *context)
{
    int tasks = tuned->n * plane_blocks(channels);
    pulmo_pool_run(tuned->pool, tasks, task, context);
}

/* A thread's own part of tuned->scratch. */
static inline real *tuned_scratch(const pulmo_tuned *tuned, int thread)
{
    return tuned->scratch + thread * tuned->scratch_reals;
}

/* Tiles of a unit of a layer: all units of a microbatch are about equal and hold at most
 * TUNED_UNIT_MOST. */
#define TUNED_UNIT_MOST 256
int tuned_unit_tiles(const pulmo_tiles *tiles, int microbatch);
/* Sides of a part: up to 81 transformed values of each pair stay in L2. */
#define TUNED_PART_ROWS 32
#define TUNED_PART_COLS 64

#endif
