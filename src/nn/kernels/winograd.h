/* Winograd F(m x m, 3x3) for m = 5, 6 and 7, data into the transformed space and out of it, for a
 * vector `vec` of LANES reals with load, store, splat, add, sub, mul, fma_ (a * b + c) and fnma_
 * (c - a * b): Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4.
 *
 * A tile has m + 2 interpolation points: pairs +-p, infinity, and 0 where m is even. With
 * N(x) the product of (x - q) over the finite ones, and M_p(x) = N(x) / (x^2 - p^2), which has
 * every second power of x alone:
 *
 *   B^T  (t, t)  row of +-p: x M_p(x) +- p M_p(x); of 0: N(x) / x; of infinity: N(x)
 *   G    (t, 3)  row of a finite q: (1, q, q^2) over that row's polynomial at q
 *   A^T  (m, t)  column of q: its powers
 *
 * so that the two of a pair share their even and their odd part. points.h has the points. */
#ifndef PULMO_WINOGRAD_H
#define PULMO_WINOGRAD_H

#include <stddef.h>

#include "plane.h"
#include "points.h"

#define INLINE static inline __attribute__((always_inline))

/* ---- inputs ---- */

/* The polynomial in x^2 with these coefficients, of which the last, of x^2n, is 1. */
INLINE vec every_second(const double *coefficient, const vec *d, const int n)
{
    vec sum = d[2 * n];
#pragma GCC unroll 4
    for (int k = n - 1; k >= 0; k--)
        sum = fma_(splat((real)coefficient[k]), d[2 * k], sum);
    return sum;
}

/* t = B^T d, one dimension. */
INLINE void input_1d(const wino *w, const vec *d, vec *t)
{
    const int n = w->pairs, zero = w->zero;
    if (zero)
        t[0] = every_second(w->all, d, n);
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        const vec p = splat((real)w->power[i][1]);
        vec odd = every_second(w->others[i], d + zero, n - 1);
        vec even = every_second(w->others[i], d + zero + 1, n - 1);
        t[zero + 2 * i] = fma_(p, odd, even);
        t[zero + 2 * i + 1] = fnma_(p, odd, even);
    }
    t[zero + 2 * n] = every_second(w->all, d + zero, n);
}

/* One place of all vectors. */
INLINE void store_line(real *to, vec t[VECTORS][TILE_IN_MOST], const int x, bool past)
{
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; j++)
        if (past)
            store_past(to + j * LANES, t[j][x]);
        else
            store(to + j * LANES, t[j][x]);
}

/* All vectors of a block of channels. What is `ahead` in the rows is fetched; `past`: V goes past
 * the caches, a whole line at a time. */
INLINE void input_tile(const wino *w, const real *from, size_t row_reals, size_t ahead, bool past,
                       real *to, size_t apart)
{
    const int in = w->out + 2;
    vec half[VECTORS][TILE_IN_MOST][TILE_IN_MOST];
    for (int x = 0; x < in; x++)
        for (int j = 0; j < VECTORS; j++) {
            vec d[TILE_IN_MOST], t[TILE_IN_MOST];
#pragma GCC unroll 9
            for (int y = 0; y < in; y++) {
                const real *at = from + y * row_reals + x * CHANNEL_BLOCK + j * LANES;
                if (j == 0)
                    prefetch(at + ahead);
                d[y] = load(at);
            }
            input_1d(w, d, t);
#pragma GCC unroll 9
            for (int y = 0; y < in; y++)
                half[j][y][x] = t[y];
        }
    for (int y = 0; y < in; y++) {
        vec t[VECTORS][TILE_IN_MOST];
        real *at = to + in * y * apart;
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)
            input_1d(w, half[j][y], t[j]);
#pragma GCC unroll 9
        for (int x = 0; x < in; x++)
            store_line(at + x * apart, t, x, past);
    }
}

/* ---- outputs ---- */

/* y = A^T m, one dimension. */
INLINE void output_1d(const wino *w, const vec *m, vec *y)
{
    const int n = w->pairs, zero = w->zero, out = w->out;
    vec part[2][PAIRS_MOST]; /* even, odd */
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        part[0][i] = add(m[zero + 2 * i], m[zero + 2 * i + 1]);
        part[1][i] = sub(m[zero + 2 * i], m[zero + 2 * i + 1]);
    }
    y[0] = zero ? add(m[0], part[0][0]) : part[0][0];
#pragma GCC unroll 4
    for (int i = 1; i < n; i++)
        y[0] = add(y[0], part[0][i]);
#pragma GCC unroll 7
    for (int k = 1; k < out; k++) {
        const vec power = splat((real)w->power[0][k]);
        const vec first = part[k % 2][0];
        y[k] = k < out - 1 ? mul(power, first) : fma_(power, first, m[out + 1]);
#pragma GCC unroll 4
        for (int i = 1; i < n; i++)
            y[k] = fma_(splat((real)w->power[i][k]), part[k % 2][i], y[k]);
    }
}

/* The columns of A^T M A: what each row's output_1d takes. What is `ahead` of each point is
 * fetched, if that is not 0. */
INLINE void output_columns(const wino *w, const real *from, size_t apart, size_t ahead,
                           vec half[TILE_OUT_MOST][TILE_IN_MOST])
{
    const int out = w->out, in = out + 2;
    for (int x = 0; x < in; x++) {
        vec m[TILE_IN_MOST], y[TILE_OUT_MOST];
#pragma GCC unroll 9
        for (int r = 0; r < in; r++) {
            if (ahead > 0)
                prefetch(from + (in * r + x) * apart + ahead);
            m[r] = load(from + (in * r + x) * apart);
        }
        output_1d(w, m, y);
#pragma GCC unroll 7
        for (int r = 0; r < out; r++)
            half[r][x] = y[r];
    }
}

#endif
