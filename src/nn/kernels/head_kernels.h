/* The kernels of the head: products of samples with weights, and sums of microbatches' gradients as
 * integers. Pure functions on pointers, one set a tier; CONTRACT.md says what each owes. */
#ifndef PULMO_HEAD_KERNELS_H
#define PULMO_HEAD_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "pulmo/head.h"
#include "pulmo/isa.h"

/* Inputs whose products are summed before they are added to the rest: y is a sum of such sums. */
#define HEAD_PANEL 1024
/* Lanes that a panel's products are summed on, however wide a tier's vectors are. */
#define HEAD_LANES 16
/* Samples that `dot` and `back` take are a multiple of this. */
#define HEAD_ROWS 8

/* A group of samples: x (rows, inputs), y (rows, outputs). */
typedef struct head_rows {
    const float *x;
    float *y;
} head_rows;

typedef struct head_kernels {
    const char *name;
    /* For outputs [first, first + outs): y[n][o] = sum of x[n][i] w[o][i]; w (outputs, inputs). An
     * element is one fixed chain: within a panel input i falls on lane i modulo HEAD_LANES, a fused
     * multiply-add a lane, halves of the lanes added until one is left, panels in order; it does
     * not depend on the tier, nor on the other samples and outputs of the call. */
    void (*dot)(const head_rows *groups, int count, int rows, const float *w, size_t inputs,
                int outputs, int first, int outs);
    /* out (rows, inputs) = delta (rows, outputs) times w (outputs, inputs): one chain of fused
     * multiply-adds per element, over the outputs in order, the same on every tier. */
    void (*back)(const float *delta, int rows, const float *w, size_t inputs, int outputs,
                 float *out);
    /* sums[r][c] = the sum over microbatches of round(g * scale), ties to even, for the block's
     * elements; g is a microbatch's gradient as pulmo_sufficient_factors tells, each product
     * rounded: the same bits on every tier. Magnitudes as exact.h promises. Rows of `sums` are
     * `stride` apart. */
    void (*sums)(const pulmo_sufficient_factors *microbatches, int count, const pulmo_block *block,
                 double scale, int64_t *sums, size_t stride);
    /* out (rows, cols) = (float)(what `sums` gives / scale * by): what exact.h's finish makes of
     * it. */
    void (*gradient)(const pulmo_sufficient_factors *microbatches, int count,
                     const pulmo_block *block, double scale, double by,
                     const pulmo_prefetch *prefetch, float *out);
} head_kernels;

/* Never NULL. */
const head_kernels *head_kernels_of(pulmo_isa isa);

#endif
