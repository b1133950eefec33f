/* The head's kernels, written for a vector `vec` of LANES floats and a pair `wide` of vectors of as
 * many integers.
 *
 * A tier gives vec, wide, LANES, DOT_OUTS (outputs of a register block of 4 samples), BACK_VECS
 * (vectors of one of 4 samples going back), SUM_ROWS and SUM_VECS (rows and vectors of one of
 * sums), TIER(), TIER_NAME and: load, store, splat, add, mul, fma_, reduce (the sum of the lanes:
 * halves are added until one is left), wide_zero, wide_add (rounds vec * scale and adds its bits),
 * wide_store, wide_finish (the sum as float), prefetch. */
#include <string.h>

#include "head_kernels.h"

#define INLINE    static inline __attribute__((always_inline))
#define DOT_ROWS  4
#define BACK_ROWS 4
/* Adding it to a double below 2^51 leaves the integer it rounds to in the low bits; see exact.c. */
#define MAGIC 0x1.8p52

/* ---- products ---- */

/* An element's products fall on HEAD_LANES lanes on every tier: a narrower vector goes over the
 * panel as often as it takes. */
#define PASSES (HEAD_LANES / LANES)

/* One pass over the first `length` inputs, a multiple of HEAD_LANES. */
INLINE void dot_pass(int rows, int outs, const float *x, const float *w, size_t inputs,
                     size_t length, const float *ahead, vec sum[DOT_ROWS][DOT_OUTS])
{
    for (size_t i = 0; i < length; i += HEAD_LANES) {
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
}

/* Fewer than HEAD_LANES inputs at the end of a panel, with zeros behind them. */
typedef struct dot_rest {
    float x[DOT_ROWS][HEAD_LANES], w[DOT_OUTS][HEAD_LANES];
} dot_rest;

INLINE void fill_rest(int rows, int outs, const float *x, const float *w, size_t inputs,
                      size_t length, dot_rest *rest)
{
    memset(rest, 0, sizeof *rest);
    for (int n = 0; n < rows; n++)
        memcpy(rest->x[n], x + (size_t)n * inputs, length * sizeof(float));
    for (int o = 0; o < outs; o++)
        memcpy(rest->w[o], w + (size_t)o * inputs, length * sizeof(float));
}

/* Lane k of a pass and of the pass half of all further on are added first: the tree of one vector
 * of HEAD_LANES. */
INLINE void join_passes(int rows, int outs, vec sum[PASSES][DOT_ROWS][DOT_OUTS])
{
    for (int half = PASSES / 2; half > 0; half /= 2)
        for (int p = 0; p < half; p++)
            for (int n = 0; n < rows; n++)
                for (int o = 0; o < outs; o++)
                    sum[p][n][o] = add(sum[p][n][o], sum[p + half][n][o]);
}

/* y[n][o] (+)= the panel's products, for a block of constant size. */
INLINE void dot_block(int rows, int outs, const float *x, const float *w, size_t inputs,
                      size_t length, int add_up, const float *ahead, float *y, size_t outputs)
{
    vec sum[PASSES][DOT_ROWS][DOT_OUTS];
    const size_t whole = length / HEAD_LANES * HEAD_LANES;
    dot_rest rest;
    if (whole < length)
        fill_rest(rows, outs, x + whole, w + whole, inputs, length - whole, &rest);
    for (int p = 0; p < PASSES; p++) {
        const size_t at = (size_t)p * LANES;
        for (int n = 0; n < rows; n++)
            for (int o = 0; o < outs; o++)
                sum[p][n][o] = splat(0);
        dot_pass(rows, outs, x + at, w + at, inputs, whole, p > 0 ? w : ahead, sum[p]);
        if (whole == length)
            continue;
        for (int n = 0; n < rows; n++)
            for (int o = 0; o < outs; o++)
                sum[p][n][o] = fma_(load(rest.x[n] + at), load(rest.w[o] + at), sum[p][n][o]);
    }
    join_passes(rows, outs, sum);
    for (int n = 0; n < rows; n++)
        for (int o = 0; o < outs; o++) {
            float *to = y + (size_t)n * outputs + o;
            *to = add_up ? *to + reduce(sum[0][n][o]) : reduce(sum[0][n][o]);
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

/* ---- back through a layer ---- */

/* The first `vecs` vectors of columns of BACK_ROWS rows of `out`. */
INLINE void back_block(const float *delta, const float *w, size_t inputs, int outputs, int vecs,
                       float *out)
{
    vec sum[BACK_ROWS][BACK_VECS];
    for (int n = 0; n < BACK_ROWS; n++)
        for (int v = 0; v < vecs; v++)
            sum[n][v] = splat(0);
    for (int o = 0; o < outputs; o++) {
        vec weight[BACK_VECS];
        for (int v = 0; v < vecs; v++)
            weight[v] = load(w + (size_t)o * inputs + (size_t)v * LANES);
        for (int n = 0; n < BACK_ROWS; n++) {
            const vec value = splat(delta[n * outputs + o]);
            for (int v = 0; v < vecs; v++)
                sum[n][v] = fma_(value, weight[v], sum[n][v]);
        }
    }
    for (int n = 0; n < BACK_ROWS; n++)
        for (int v = 0; v < vecs; v++)
            store(out + (size_t)n * inputs + (size_t)v * LANES, sum[n][v]);
}

/* The last columns, fewer than a vector's lanes. */
INLINE void back_rest(const float *delta, const float *w, size_t inputs, int outputs, size_t cols,
                      float *out)
{
    float padded[LANES] = {0};
    for (int n = 0; n < BACK_ROWS; n++) {
        vec sum = splat(0);
        for (int o = 0; o < outputs; o++) {
            memcpy(padded, w + (size_t)o * inputs, cols * sizeof(float));
            sum = fma_(splat(delta[n * outputs + o]), load(padded), sum);
        }
        store(padded, sum);
        memcpy(out + (size_t)n * inputs, padded, cols * sizeof(float));
    }
}

/* Rows inside: a block of columns of the weights is read once from far away. */
void TIER(pulmo_k_head_back)(const float *delta, int rows, const float *w, size_t inputs,
                             int outputs, float *out)
{
    const size_t side = (size_t)BACK_VECS * LANES;
    for (size_t c = 0, cols; c < inputs; c += cols) {
        const size_t left = inputs - c;
        cols = left < LANES ? left : LANES;
        if (left >= side)
            cols = side;
        for (int n = 0; n < rows; n += BACK_ROWS) {
            const float *from = delta + (size_t)n * (size_t)outputs;
            float *to = out + (size_t)n * inputs + c;
            if (cols == side)
                back_block(from, w + c, inputs, outputs, BACK_VECS, to);
            else if (cols == LANES)
                back_block(from, w + c, inputs, outputs, 1, to);
            else
                back_rest(from, w + c, inputs, outputs, cols, to);
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
    .back = TIER(pulmo_k_head_back),
    .sums = TIER(pulmo_k_head_sums),
    .gradient = TIER(pulmo_k_head_gradient),
};
