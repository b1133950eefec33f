/* Inside the nn room: what the head's files share.
 *
 *   head.c           create, forward, all microbatches at once
 *   head_loss.c      cross-entropy and softmax
 *   head_products.c  products with weights, forward and back
 *   head_backward.c  back through the layers, and bounds on gradients
 *   head_gradient.c  gradients of a microbatch, and what is below the head
 *   head_score.c     logits without dropout
 *   head_spec.c      shapes, tensors and initial values
 *   head_sums.c      integer sums over microbatches
 *   head_logit.c     one logit's gradient, for explanations */
#ifndef PULMO_HEAD_ROOM_H
#define PULMO_HEAD_ROOM_H

#include <stdbool.h>

#include "counts.h"
#include "head_kernels.h"
#include "head_real.h"
#include "pulmo/head.h"

#define LAYERS_MAX (PULMO_HIDDEN_MAX + 1)
/* Rows are computed in whole blocks of so many. */
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
    pulmo_layout layout;
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

/* A linear layer's weight (out, in) and bias (out). */
static inline const real *head_weight(const pulmo_head *head, int layer)
{
    return head->parameters + pulmo_layout_get(&head->layout, PULMO_LINEAR_WEIGHT, layer)->offset;
}
static inline const real *head_bias(const pulmo_head *head, int layer)
{
    return head->parameters + pulmo_layout_get(&head->layout, PULMO_LINEAR_BIAS, layer)->offset;
}

static inline const real *layer_input(const workspace *space, int layer)
{
    return layer == 0 ? space->first : space->input[layer];
}

/* Row n of a matrix of so many columns. */
static inline real *head_row(real *matrix, int n, int cols)
{
    return matrix + (size_t)n * (size_t)cols;
}
static inline const real *head_const_row(const real *matrix, int n, int cols)
{
    return matrix + (size_t)n * (size_t)cols;
}

/* A microbatch's samples and products of layer 0. */
static inline head_group head_first_group(const workspace *space)
{
    return (head_group){.x = space->first, .y = space->output[0]};
}

/* Reals of a workspace's matrix (rows, width); every one starts on a cache line. */
static inline size_t head_matrix(const pulmo_head *head, int width)
{
    return (size_t)head->rows * whole_lines((size_t)width);
}

/* Dropout stands before layer l (l > 0), or before layer 0 where it is the only one. */
static inline bool head_drops(const pulmo_head *head, int layer)
{
    return head->spec.dropout > 0 && (layer > 0 || head->layers == 1);
}

/* All microbatches on a pool: layer 0's weights are gone through once. */
typedef struct head_work {
    pulmo_head *head;
    int microbatches, outs; /* microbatches in all; outputs of layer 0 a task */
    const pulmo_microbatch_input *inputs;
    pulmo_microbatch_result *results;
    const float *features; /* scoring: of the first image */
    float *logits;
    int images;
} head_work;

/* The loss of one row of logits with PyTorch's meaning, and its gradient by them. */
double head_row_loss(const pulmo_loss_spec *loss, int classes, const real *row, int label);
void head_row_delta(const pulmo_loss_spec *loss, int classes, const real *row, int label,
                    real *delta);
double head_class_weight(const pulmo_loss_spec *loss, int k);

/* At least the largest magnitude of a microbatch's gradient by a tensor. */
double head_bound_of(const pulmo_head *head, const workspace *space, int tensor);

/* A microbatch's features into layer 0's input; rows beyond its samples become zeros. */
void head_fill_input(const pulmo_head *head, workspace *space, int count, const float *features);
/* Outputs [first, first + outs) of a layer's product with its weights, for groups of samples. */
void head_products(const pulmo_head *head, int layer, const head_group *groups, int count,
                   int first, int outs);
/* Layer 0's products of work->microbatches groups, shared out over the pool. */
void head_run_products(head_work *work, pulmo_pool *pool);
/* The gradient (rows, in) by a layer's inputs, from its delta; dropout is not in it. */
void head_input_gradient(const pulmo_head *head, const workspace *space, int layer, real *out);
/* The deltas of all layers below the last, from the last one's. */
void head_backward(const pulmo_head *head, workspace *space);
/* From layer 0's products, which are in output[0] already, to the logits. */
void head_forward(const pulmo_head *head, workspace *space, bool dropout);

#endif
