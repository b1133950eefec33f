/* One row of an outer product's sum: row[c] = sum_n delta[n * deltas] * x[n * inputs + c], in
 * sample order, each product rounded before it is added. Columns stay in registers over all
 * samples; a column's own sum is the same in either loop and on every tier, which differ in width
 * alone. For `real`, hence a header. */
#ifndef PULMO_HEAD_OUTER_H
#define PULMO_HEAD_OUTER_H

#include <stddef.h>

#include "head_real.h"
#include "pulmo/isa.h"

typedef real lane __attribute__((vector_size(64), aligned(sizeof(real)),
                                 may_alias)); /* in pieces where registers are narrower */
enum { LANE = 64 / sizeof(real), LANES = 4 * LANE };

typedef struct outer {
    int count;             /* samples */
    size_t deltas, inputs; /* values between one sample's and the next one's */
} outer;

static inline __attribute__((always_inline)) void
outer_body(outer of, size_t cols, const real *delta, const real *x, real *row)
{
    size_t c = 0;
    for (; c + LANES <= cols; c += LANES) {
        lane sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
        for (int n = 0; n < of.count; n++) {
            const real d = delta[(size_t)n * of.deltas];
            const lane *value = (const lane *)(x + (size_t)n * of.inputs + c);
            sum0 += d * value[0];
            sum1 += d * value[1];
            sum2 += d * value[2];
            sum3 += d * value[3];
        }
        lane *out = (lane *)(row + c);
        out[0] = sum0, out[1] = sum1, out[2] = sum2, out[3] = sum3;
    }
    for (; c < cols; c++) {
        real sum = 0;
        for (int n = 0; n < of.count; n++)
            sum += delta[(size_t)n * of.deltas] * x[(size_t)n * of.inputs + c];
        row[c] = sum;
    }
}

static void outer_plain(outer of, size_t cols, const real *delta, const real *x, real *row)
{
    outer_body(of, cols, delta, x, row);
}
#if defined(__x86_64__)
/* Without FMA, whose products are not rounded. */
__attribute__((target("avx2"))) static void outer_avx2(outer of, size_t cols, const real *delta,
                                                       const real *x, real *row)
{
    outer_body(of, cols, delta, x, row);
}
__attribute__((target("avx512f,prefer-vector-width=512"))) static void
outer_avx512(outer of, size_t cols, const real *delta, const real *x, real *row)
{
    outer_body(of, cols, delta, x, row);
}
#else
#define outer_avx2   outer_plain
#define outer_avx512 outer_plain
#endif

static inline void outer_row(pulmo_isa isa, outer of, size_t cols, const real *delta, const real *x,
                             real *row)
{
    switch (isa) {
    case PULMO_ISA_AVX512:
        outer_avx512(of, cols, delta, x, row);
        return;
    case PULMO_ISA_AVX2:
        outer_avx2(of, cols, delta, x, row);
        return;
    default: /* NEON too: what every AArch64 has */
        outer_plain(of, cols, delta, x, row);
    }
}

#endif
