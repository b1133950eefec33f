/* Winograd F(4x4, 3x3), data into the transformed space and out of it, for a vector `vec` of LANES
 * reals with load, store, splat, add, sub, mul, fma_ (a * b + c) and fnma_ (c - a * b): Lavin and
 * Gray 2016, "Fast algorithms for convolutional neural networks", section 4. Interpolation points
 * 0, +-a, +-b, infinity with a^2 = 1/2, b^2 = 2, which keep the transforms' entries near 1 and
 * their rounding errors small. */
#ifndef PULMO_WINOGRAD_H
#define PULMO_WINOGRAD_H

#include <stddef.h>

#include "plane.h"

#define A      ((real)0.70710678118654752440) /* a */
#define B      ((real)1.41421356237309504880) /* b */
#define A3     ((real)0.35355339059327376220) /* a^3 */
#define B3     ((real)2.82842712474619009760) /* b^3 */
#define INLINE static inline __attribute__((always_inline))

/* t = B^T d, one dimension. */
INLINE void input_1d(const vec d[6], vec t[6])
{
    const vec half = splat((real)0.5), two = splat((real)2), sum = splat((real)2.5);
    const vec a = splat(A), b = splat(B);
    vec even_a = fnma_(two, d[2], d[4]), odd_a = fnma_(two, d[1], d[3]);
    vec even_b = fnma_(half, d[2], d[4]), odd_b = fnma_(half, d[1], d[3]);
    t[0] = fnma_(sum, d[2], add(d[0], d[4]));
    t[1] = fma_(a, odd_a, even_a);
    t[2] = fnma_(a, odd_a, even_a);
    t[3] = fma_(b, odd_b, even_b);
    t[4] = fnma_(b, odd_b, even_b);
    t[5] = fnma_(sum, d[3], add(d[1], d[5]));
}

INLINE void input_tile(const real *from, size_t row_reals, real *to, size_t apart)
{
    vec w[6][6];
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) {
        vec d[6], t[6];
#pragma GCC unroll 6
        for (int y = 0; y < 6; y++)
            d[y] = load(from + y * row_reals + x * CHANNEL_BLOCK);
        input_1d(d, t);
#pragma GCC unroll 6
        for (int y = 0; y < 6; y++)
            w[y][x] = t[y];
    }
#pragma GCC unroll 6
    for (int y = 0; y < 6; y++) {
        vec t[6];
        input_1d(w[y], t);
#pragma GCC unroll 6
        for (int x = 0; x < 6; x++)
            store(to + (6 * y + x) * apart, t[x]);
    }
}

/* y = A^T m, one dimension. */
INLINE void output_1d(const vec m[6], vec y[4])
{
    const vec a = splat(A), b = splat(B), half = splat((real)0.5), two = splat((real)2),
              a3 = splat(A3), b3 = splat(B3);
    vec even_a = add(m[1], m[2]), odd_a = sub(m[1], m[2]);
    vec even_b = add(m[3], m[4]), odd_b = sub(m[3], m[4]);
    y[0] = add(m[0], add(even_a, even_b));
    y[1] = fma_(b, odd_b, mul(a, odd_a));
    y[2] = fma_(two, even_b, mul(half, even_a));
    y[3] = fma_(b3, odd_b, fma_(a3, odd_a, m[5]));
}

INLINE void output_tile(const real *from, size_t apart, vec y[4][4])
{
    vec w[4][6];
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) {
        vec m[6], t[4];
#pragma GCC unroll 6
        for (int r = 0; r < 6; r++)
            m[r] = load(from + (6 * r + x) * apart);
        output_1d(m, t);
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++)
            w[r][x] = t[r];
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
        output_1d(w[r], y[r]);
}

#endif
