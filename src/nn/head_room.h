/* Inside the nn room: what the head's files share. layout, workspaces, kernels. */
#ifndef PULMO_HEAD_ROOM_H
#define PULMO_HEAD_ROOM_H

#include "head_kernels.h"
#include "head_real.h"
#include "pulmo/head.h"

#define LAYERS_MAX (PULMO_HIDDEN_MAX + 1)
/* Rows of every GEMM. OpenBLAS, which goes backward, computes rows in groups of 2, 4, 8 ... and
 * rounds differently in a group of another size, so a shape that leaves a rest (3, 13) makes a
 * row's bits depend on its place; 8 leaves none. It also makes the bits the same for every
 * microbatch size. */
#define ROWS HEAD_ROWS

/* One microbatch's workspace: layer l takes input[l] (rows, in_l) and gives output[l] (rows,
 * out_l); delta[l] (rows, out_l) is the loss's gradient by output[l] before its ReLU. */
typedef struct workspace {
    int count;
    real *input[LAYERS_MAX];
    real *output[LAYERS_MAX];
    real *delta[LAYERS_MAX];
    real *scale[LAYERS_MAX]; /* dropout's factor on input[l]: 0 or 1 / (1 - p); NULL where there is
                                none */
    double bound[PULMO_TENSORS_MAX];
    const float *features; /* the microbatch's, kept by the caller */
    const real *first;     /* layer 0's input: input[0], or the features themselves */
    real *below;           /* (rows, in_0): the gradient by input[0]; NULL unless asked for */
} workspace;

struct pulmo_head {
    pulmo_head_spec spec;
    pulmo_head_layout layout;
    pulmo_loss_spec loss;
    int microbatch, microbatches, layers;
    int rows; /* microbatch rounded up to whole GEMMs; rows beyond a microbatch's samples are zeros
               */
    int width[LAYERS_MAX + 1]; /* width[l] is layer l's input, width[layers] the classes */
    const real *parameters;
    workspace *spaces; /* (microbatches + 1): the last is for logits */
    real *storage, *below;
    const head_kernels *kernels;
    head_group *groups; /* (microbatches + 1): layer 0's samples and products, where several
                           microbatches go through it at once */
};

static inline const real *layer_input(const workspace *space, int layer)
{
    return layer == 0 ? space->first : space->input[layer];
}

#endif
