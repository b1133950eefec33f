/* The head's kernels, written for a vector `vec` of LANES floats and a pair `wide` of vectors of as
 * many integers.
 *
 * A tier gives vec, wide, LANES, DOT_OUTS (outputs of a register block of 4 samples), SUM_ROWS and
 * SUM_VECS (rows and vectors of one of sums), TIER(), TIER_NAME and: load, store, splat, add, mul,
 * fma_, reduce (the sum of the lanes in a fixed tree), wide_zero, wide_add (rounds vec * scale and
 * adds its bits), wide_store, wide_finish (the sum as float), prefetch. */
#include <string.h>

#include "head_kernels.h"

#define INLINE   static inline __attribute__((always_inline))
#define DOT_ROWS 4
/* Adding it to a double below 2^51 leaves the integer it rounds to in the low bits; see exact.c. */
#define MAGIC 0x1.8p52

/* ---- products ---- */

/* y[n][o] (+)= the panel's products, for a block of constant size. */
INLINE void dot_block(int rows, int outs, const float *x, const float *w, size_t inputs,
                      size_t length, int add_up, const float *ahead, float *y, size_t outputs)
{
    vec sum[DOT_ROWS][DOT_OUTS];
    size_t i = 0;
    for (int n = 0; n < rows; n++)
        for (int o = 0; o < outs; o++)
            sum[n][o] = splat(0);
    for (; i + LANES <= length; i += LANES) {
        vec weight[DOT_OUTS];
        prefetch(ahead + i);
        for (int o = 0; o < outs; o++)
            weight[o] = load(w + (size_t)o * inputs + i);
        for (int n = 0; n < rows; n++) {
            const vec value = load(x + (size_t)n * inputs + i);
            for (int o = 0; o < outs; o++)
                sum[n][o] = fma_(value, weight[o], sum[n][o]);
        }
    }
    if (i < length) { /* the rest, with zeros behind it */
        float rest[DOT_OUTS + DOT_ROWS][LANES];
        memset(rest, 0, sizeof rest);
        for (int o = 0; o < outs; o++)
            memcpy(rest[o], w + (size_t)o * inputs + i, (length - i) * sizeof(float));
        for (int n = 0; n < rows; n++)
            memcpy(rest[DOT_OUTS + n], x + (size_t)n * inputs + i, (length - i) * sizeof(float));
        for (int n = 0; n < rows; n++)
            for (int o = 0; o < outs; o++)
                sum[n][o] = fma_(load(rest[DOT_OUTS + n]), load(rest[o]), sum[n][o]);
    }
    for (int n = 0; n < rows; n++)
        for (int o = 0; o < outs; o++) {
            float *to = y + (size_t)n * outputs + o;
            *to = add_up ? *to + reduce(sum[n][o]) : reduce(sum[n][o]);
        }
}

void TIER(pulmo_k_head_dot)(const head_rows *groups, int count, int rows, const float *w,
                            size_t inputs, int outputs, int first, int outs)
{
    size_t out = (size_t)outputs;
    for (size_t at = 0; at < inputs; at += HEAD_PANEL) {
        size_t length = inputs - at < HEAD_PANEL ? inputs - at : HEAD_PANEL;
        for (int o = first, width; o < first + outs; o += width) {
            width = o + DOT_OUTS <= first + outs ? DOT_OUTS : 1;
            const float *weight = w + (size_t)o * inputs + at,
                        *ahead = weight + (size_t)width * inputs;
            /* Each group of samples asks for one row of the weights that come next. */
            for (int g = 0, asked = 0; g < count; g++)
                for (size_t n = 0; n < (size_t)rows; n += DOT_ROWS, asked++) {
                    const float *next = asked < DOT_OUTS && o + width + asked < first + outs
                                            ? ahead + (size_t)asked * inputs
                                            : weight;
                    const float *x = groups[g].x + n * inputs + at;
                    float *y = groups[g].y + n * out + o;
                    if (width > 1)
                        dot_block(DOT_ROWS, DOT_OUTS, x, weight, inputs, length, at > 0, next, y,
                                  out);
                    else
                        dot_block(DOT_ROWS, 1, x, weight, inputs, length, at > 0, next, y, out);
                }
        }
    }
}

/* ---- gradients ---- */

INLINE float outer_one(const pulmo_sufficient_factors *microbatch, size_t r, size_t c)
{
    float sum = 0;
    for (int n = 0; n < microbatch->count; n++)
        sum += microbatch->delta[(size_t)n * microbatch->delta_stride + r] *
               microbatch->input[(size_t)n * microbatch->input_stride + c];
    return sum;
}

INLINE void outer_block(int rows, const pulmo_sufficient_factors *microbatch, size_t r, size_t c,
                        vec sum[SUM_ROWS][SUM_VECS])
{
    for (int k = 0; k < rows; k++)
        for (int v = 0; v < SUM_VECS; v++)
            sum[k][v] = splat(0);
    for (int n = 0; n < microbatch->count; n++) {
        const float *delta = microbatch->delta + (size_t)n * microbatch->delta_stride + r,
                    *input = microbatch->input + (size_t)n * microbatch->input_stride + c;
        vec value[SUM_VECS];
        for (int v = 0; v < SUM_VECS; v++)
            value[v] = load(input + v * LANES);
        for (int k = 0; k < rows; k++)
            for (int v = 0; v < SUM_VECS; v++)
                sum[k][v] = add(sum[k][v], mul(splat(delta[k]), value[v]));
    }
}

/* The bits that MAGIC itself leaves in every term. */
INLINE int64_t magic_bits(void)
{
    const double magic = MAGIC;
    int64_t bits;
    memcpy(&bits, &magic, sizeof bits);
    return bits;
}

/* What is done with an element's total: kept as an integer, or made a gradient. */
typedef struct head_ending {
    int64_t *sums;
    float *out; /* where sums is NULL */
    size_t stride;
    double scale, by;
    const pulmo_prefetch *prefetch; /* or NULL */
} head_ending;

INLINE void sums_block(int rows, const pulmo_sufficient_factors *microbatches, int count,
                       const pulmo_block *block, size_t r, size_t c, const head_ending *end)
{
    const size_t to = r * end->stride + c;
    for (int i = 0; end->prefetch && i < end->prefetch->arrays; i++)
        for (int k = 0; k < rows; k++)
            for (int v = 0; v < SUM_VECS * LANES; v += 16)
                prefetch(end->prefetch->at[i] + (r + (size_t)k) * end->prefetch->stride + c +
                         (size_t)v);

    wide total[SUM_ROWS][SUM_VECS];
    const int64_t back = (int64_t)((uint64_t)magic_bits() * (uint64_t)count);
    for (int k = 0; k < rows; k++)
        for (int v = 0; v < SUM_VECS; v++)
            total[k][v] = wide_zero();
    for (int s = 0; s < count; s++) {
        vec sum[SUM_ROWS][SUM_VECS];
        outer_block(rows, &microbatches[s], (size_t)block->row + r, (size_t)block->col + c, sum);
        for (int k = 0; k < rows; k++)
            for (int v = 0; v < SUM_VECS; v++)
                total[k][v] = wide_add(total[k][v], sum[k][v], end->scale);
    }
    for (int k = 0; k < rows; k++)
        for (int v = 0; v < SUM_VECS; v++) {
            size_t at = to + (size_t)k * end->stride + (size_t)v * LANES;
            if (end->sums)
                wide_store(end->sums + at, total[k][v], back);
            else
                store(end->out + at, wide_finish(total[k][v], back, 1.0 / end->scale, end->by));
        }
}

INLINE void sums_rest(const pulmo_sufficient_factors *microbatches, int count, size_t r, size_t c,
                      const head_ending *end, size_t to)
{
    int64_t total = 0;
    for (int s = 0; s < count; s++) {
        double shifted = (double)outer_one(&microbatches[s], r, c) * end->scale + MAGIC;
        int64_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        total += bits - magic_bits();
    }
    if (end->sums)
        end->sums[to] = total;
    else
        end->out[to] = (float)((double)total * (1.0 / end->scale) * end->by);
}

/* Columns outside: the samples' inputs to a few of them stay in L1 for all rows. */
INLINE void all_sums(const pulmo_sufficient_factors *microbatches, int count,
                     const pulmo_block *block, const head_ending *end)
{
    const size_t rows = (size_t)block->rows, cols = (size_t)block->cols, side = SUM_VECS * LANES;
    const size_t row = (size_t)block->row, col = (size_t)block->col;
    size_t c = 0;
    for (; c + side <= cols; c += side) {
        size_t r = 0;
        for (; r + SUM_ROWS <= rows; r += SUM_ROWS)
            sums_block(SUM_ROWS, microbatches, count, block, r, c, end);
        for (; r < rows; r++)
            sums_block(1, microbatches, count, block, r, c, end);
    }
    for (; c < cols; c++)
        for (size_t r = 0; r < rows; r++)
            sums_rest(microbatches, count, row + r, col + c, end, r * end->stride + c);
}

void TIER(pulmo_k_head_sums)(const pulmo_sufficient_factors *microbatches, int count,
                             const pulmo_block *block, double scale, int64_t *sums, size_t stride)
{
    const head_ending end = {.sums = sums, .stride = stride, .scale = scale};
    all_sums(microbatches, count, block, &end);
}

void TIER(pulmo_k_head_gradient)(const pulmo_sufficient_factors *microbatches, int count,
                                 const pulmo_block *block, double scale, double by,
                                 const pulmo_prefetch *prefetch, float *out)
{
    const head_ending end = {
        .out = out, .stride = (size_t)block->cols, .scale = scale, .by = by, .prefetch = prefetch};
    all_sums(microbatches, count, block, &end);
}

extern const head_kernels TIER(head_kernels_table);
const head_kernels TIER(head_kernels_table) = {
    .name = TIER_NAME,
    .dot = TIER(pulmo_k_head_dot),
    .sums = TIER(pulmo_k_head_sums),
    .gradient = TIER(pulmo_k_head_gradient),
};
