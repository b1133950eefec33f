/* The trainable head: pooled features to logits, its loss, and its gradients, microbatch by
 * microbatch.
 *
 *   features (C, h, w) - pool - [Linear - ReLU - Dropout]* - Linear - logits
 *
 * A microbatch (a fixed number of samples) is the unit of exactness: its arithmetic is the same
 * wherever it runs, so a sum of microbatch gradients that does not depend on order gives the same
 * bits at any number of ranks and threads. Gradients are those of the SUM of the samples'
 * losses; dividing by the global batch's weight is the caller's last step. Not collective.
 * Calls for different microbatches may run at once in different threads. The bits are the same
 * on every ISA tier. */
#ifndef PULMO_HEAD_H
#define PULMO_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/isa.h"
#include "pulmo/layout.h"
#include "pulmo/pool.h"
#include "pulmo/status.h"
#include "pulmo/weights.h"

typedef enum pulmo_pooling {
    PULMO_POOL_FLATTEN,
    PULMO_POOL_AVG,
    PULMO_POOL_MAX,
    PULMO_POOL_AVGMAX
} pulmo_pooling;

typedef struct pulmo_head_spec {
    int channels, height, width; /* of one image's features */
    pulmo_pooling pool; /* flatten: C*h*w inputs in torchvision's order; avg, max: C; avgmax: 2C */
    int hidden_layers;  /* 0 .. PULMO_HIDDEN_MAX */
    int hidden[PULMO_HIDDEN_MAX];
    double dropout; /* after each hidden ReLU (on the pooled features if there is none); [0, 1) */
    int classes;
} pulmo_head_spec;

void pulmo_head_spec_init(pulmo_head_spec *spec);
/* Values of one image's features. */
size_t pulmo_head_floats(const pulmo_head_spec *spec);
/* Whether the first layer's inputs can be counted: not of features as large as a file may say. */
bool pulmo_head_fits(const pulmo_head_spec *spec);
/* Number of values after pooling, of a head that fits. */
int pulmo_head_inputs(const pulmo_head_spec *spec);

/* One image's features (C, h, w) pooled, out (pulmo_head_inputs): what the first layer gets. */
void pulmo_head_pool(const pulmo_head_spec *spec, const float *features, float *out);

/* Linear layers 0, 1, 2 ... under torchvision's names: "classifier.0", "classifier.3", ... */
void pulmo_head_layout_of(const pulmo_head_spec *spec, pulmo_layout *out);

/* torch.nn.Linear's initialisation: uniform in +-1/sqrt(in), weights and biases. */
void pulmo_head_parameters_init(const pulmo_head_spec *spec, uint64_t seed, float *parameters);

typedef struct pulmo_loss_spec {
    double label_smoothing;     /* [0, 1): torch.nn.CrossEntropyLoss's meaning */
    const float *class_weights; /* (classes) or NULL for ones; kept */
} pulmo_loss_spec;

typedef struct pulmo_head pulmo_head;

/* `parameters` is kept and read at every call. Workspace for `microbatches` microbatches of
 * `microbatch` samples. Owned by the caller. PULMO_CONFIG for a shape that cannot be. */
pulmo_status pulmo_head_create(const pulmo_head_spec *spec, const pulmo_loss_spec *loss,
                               int microbatch, int microbatches, const float *parameters,
                               pulmo_head **out);
void pulmo_head_destroy(pulmo_head *head);

typedef struct pulmo_microbatch_input {
    int count; /* 1 .. microbatch */
    const float
        *features; /* (count, C, h, w); kept until the microbatch's gradients have been taken */
    const int32_t *labels;   /* (count) */
    const uint32_t *samples; /* (count) index in the data set: keys the dropout */
    uint64_t seed;
    uint32_t epoch;
} pulmo_microbatch_input;

typedef struct pulmo_microbatch_result {
    double loss;   /* sum of weighted losses, PyTorch's numerator */
    double weight; /* sum of class weights of the labels, PyTorch's denominator */
    int correct;   /* argmax of the logits (lowest index wins a tie) is the label */
    bool finite;   /* the loss and the bounds on gradients */
} pulmo_microbatch_result;

/* Forward with dropout, loss, and backward down to each layer's input and output gradient. */
void pulmo_head_microbatch_run(pulmo_head *head, int microbatch_index,
                               const pulmo_microbatch_input *input,
                               pulmo_microbatch_result *result);

/* The same for microbatches [0, microbatches) on a pool, with the same bits, faster: the first
 * layer's weights are read once. */
void pulmo_head_run(pulmo_head *head, pulmo_pool *pool, int microbatches,
                    const pulmo_microbatch_input *inputs, pulmo_microbatch_result *results);

/* After microbatch_run: a bound on |gradient element| of a tensor, at least its largest magnitude;
 * infinite where one is NaN. */
double pulmo_head_microbatch_bound(const pulmo_head *head, int microbatch_index, int tensor);

/* After microbatch_run: the microbatch's gradient for rows [row, row+rows) x cols [col, col+cols)
 * of a tensor, into out (rows, cols) dense. The same bits however the tensor is cut into blocks
 * whose edges are multiples of 16 (or the tensor's end). */
typedef struct pulmo_block {
    int tensor, row, rows, col, cols;
} pulmo_block;
void pulmo_head_microbatch_gradient(const pulmo_head *head, int microbatch_index,
                                    const pulmo_block *block, float *out);

/* Sufficient factors: what the gradient of a weight is made of. Element (o, i) is the sum over a
 * microbatch's samples n, in their order, of delta[n * delta_stride + o] * input[n * input_stride +
 * i], each product rounded. Where a batch is small against a layer's width they are far fewer
 * numbers than the gradient. */
typedef struct pulmo_sufficient_factors {
    int count; /* samples */
    const float *input, *delta;
    size_t input_stride, delta_stride;
} pulmo_sufficient_factors;
/* After microbatch_run: those of a layer's weight; borrowed until the microbatch runs again. */
void pulmo_head_microbatch_factors(const pulmo_head *head, int microbatch_index, int layer,
                                   pulmo_sufficient_factors *out);
/* For many microbatches at once: sums (rows, cols of the block), rows `stride` apart, of
 * round(microbatch gradient * 2^exponent), as pulmo_exact_add would add them up microbatch by
 * microbatch (exact.h; the exponent must fit). The block's tensor is not looked at. Pure. */
void pulmo_sufficient_sums(const pulmo_sufficient_factors *microbatches, int count,
                           const pulmo_block *block, int exponent, int64_t *sums, size_t stride);
/* What the caller will read next for the same block: element (r, c) of it at `at[i] + r * stride +
 * c`. It is asked for while there is much to compute and little to read; NULL asks for nothing. */
typedef struct pulmo_prefetch {
    int arrays;
    const float *at[4];
    size_t stride;
} pulmo_prefetch;
/* out (rows, cols): what pulmo_exact_finish makes of these sums with this exponent and scale,
 * without the way there. Pure. */
void pulmo_sufficient_gradient(const pulmo_sufficient_factors *microbatches, int count,
                               const pulmo_block *block, int exponent, double scale,
                               const pulmo_prefetch *prefetch, float *out);

/* Allocates what pulmo_head_microbatch_features needs; to be called once before it. */
pulmo_status pulmo_head_train_below(pulmo_head *head);
/* After microbatch_run: the gradient of the microbatch's loss by its features, out (count, C, h,
 * w). Where a maximum is pooled, it goes to the first of equals, as PyTorch's does. */
void pulmo_head_microbatch_features(pulmo_head *head, int microbatch_index, float *out);

/* Without dropout: logits (n, classes), the same bits for an image whatever batch it is in and
 * whatever `microbatch` is.
 * Not for several threads at once on one head. */
void pulmo_head_logits(pulmo_head *head, int n, const float *features, float *logits);
/* The same on a pool, `microbatches` + 1 microbatches at a time; what microbatch_run left in them
 * is gone. */
void pulmo_head_logits_on(pulmo_head *head, pulmo_pool *pool, int n, const float *features,
                          float *logits);
/* The gradient of one logit, without dropout, by the values after pooling: `features` (C, h, w) of
 * one image, `gradient` (pulmo_head_inputs). In double, by plain loops: for explanations, not for
 * training. */
pulmo_status pulmo_head_logit_gradient(const pulmo_head_spec *spec, const float *parameters,
                                       const float *features, int class_index, double *gradient);
/* Softmax in double, rounded once: probabilities (n, classes). */
void pulmo_softmax(int n, int classes, const float *logits, float *probabilities);
/* Cross-entropy of one row of logits with PyTorch's meaning (weighted, smoothed), and its weight.
 */
double pulmo_cross_entropy(const pulmo_loss_spec *loss, int classes, const float *logits, int label,
                           double *weight);

#endif
