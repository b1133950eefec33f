/* The interpolation points of Winograd F(m x m, 3x3), and what follows from them; winograd.h says
 * how they are used. Sought among small multiples of 1/32 by random descent on the rounding error
 * of real layers (bench/tile_sizes.py; after Barabasz et al. 2020, "Error analysis and improving
 * the accuracy of Winograd convolution for deep neural networks"). Every tier and both precisions
 * take these numbers, rounded once. */
#ifndef PULMO_POINTS_H
#define PULMO_POINTS_H

#include <stdbool.h>

#include "plane.h"

#define PAIRS_MOST 4

typedef struct wino {
    int out;   /* m */
    int pairs; /* of points +-p, p ascending */
    bool zero; /* 0 is a point */
    double power[PAIRS_MOST][TILE_OUT_MOST];
    /* From x^0 up in x^2: the product of (x^2 - q^2) over all pairs, and without pair i. */
    double all[PAIRS_MOST + 1];
    double others[PAIRS_MOST][PAIRS_MOST];
    double scale[PAIRS_MOST]; /* 1 over the polynomial of +p at p */
    double zero_scale;
} wino;

#define POWERS(p)                                                                                  \
    {                                                                                              \
        1, (p), (p) * (p), (p) * (p) * (p), (p) * (p) * (p) * (p), (p) * (p) * (p) * (p) * (p),    \
            (p) * (p) * (p) * (p) * (p) * (p)                                                      \
    }

/* Products of (y - a) ..., from y^0 up. */
#define ROOTS2(a, b)                                                                               \
    {                                                                                              \
        (a) * (b), -((a) + (b)), 1                                                                 \
    }
#define ROOTS3(a, b, c)                                                                            \
    {                                                                                              \
        -(a) * (b) * (c), (a) * (b) + (a) * (c) + (b) * (c), -((a) + (b) + (c)), 1                 \
    }
#define ROOTS4(a, b, c, d)                                                                         \
    {                                                                                              \
        (a) * (b) * (c) * (d), -((a) * (b) * ((c) + (d)) + ((a) + (b)) * (c) * (d)),               \
            (a) * (b) + (c) * (d) + ((a) + (b)) * ((c) + (d)), -((a) + (b) + (c) + (d)), 1         \
    }

/* 1 / (2 p^(1 + zero) M_p(p)), the others' squares given. */
#define SCALE2(p, b, c) (1 / (2 * (p) * ((p) * (p) - (b)) * ((p) * (p) - (c))))
#define SCALE3(p, b, c, d)                                                                         \
    (1 / (2 * (p) * ((p) * (p) - (b)) * ((p) * (p) - (c)) * ((p) * (p) - (d))))

/* m = 5: +-A, +-B, +-C, infinity. */
#define A  (8.0 / 32)
#define B  (27.0 / 32)
#define C  (56.0 / 32)
#define AA (A * A)
#define BB (B * B)
#define CC (C * C)
static const wino wino5 = {
    .out = 5,
    .pairs = 3,
    .power = {POWERS(A), POWERS(B), POWERS(C)},
    .all = ROOTS3(AA, BB, CC),
    .others = {ROOTS2(BB, CC), ROOTS2(AA, CC), ROOTS2(AA, BB)},
    .scale = {SCALE2(A, BB, CC), SCALE2(B, AA, CC), SCALE2(C, AA, BB)},
};
#undef A
#undef B
#undef C

/* m = 6: 0, +-A, +-B, +-C, infinity. */
#define A (16.0 / 32)
#define B (32.0 / 32)
#define C (64.0 / 32)
static const wino wino6 = {
    .out = 6,
    .pairs = 3,
    .zero = true,
    .power = {POWERS(A), POWERS(B), POWERS(C)},
    .all = ROOTS3(AA, BB, CC),
    .others = {ROOTS2(BB, CC), ROOTS2(AA, CC), ROOTS2(AA, BB)},
    .scale = {SCALE2(A, BB, CC) / A, SCALE2(B, AA, CC) / B, SCALE2(C, AA, BB) / C},
    .zero_scale = -1 / (AA * BB * CC),
};
#undef A
#undef B
#undef C

/* m = 7: +-A, +-B, +-C, +-D, infinity. */
#define A  (7.0 / 32)
#define B  (21.0 / 32)
#define C  (36.0 / 32)
#define D  (70.0 / 32)
#define DD (D * D)
static const wino wino7 = {
    .out = 7,
    .pairs = 4,
    .power = {POWERS(A), POWERS(B), POWERS(C), POWERS(D)},
    .all = ROOTS4(AA, BB, CC, DD),
    .others = {ROOTS3(BB, CC, DD), ROOTS3(AA, CC, DD), ROOTS3(AA, BB, DD), ROOTS3(AA, BB, CC)},
    .scale = {SCALE3(A, BB, CC, DD), SCALE3(B, AA, CC, DD), SCALE3(C, AA, BB, DD),
              SCALE3(D, AA, BB, CC)},
};
#undef A
#undef B
#undef C
#undef D
#undef AA
#undef BB
#undef CC
#undef DD

/* `call` with the size of a tile of `out` outputs, which the compiler then knows. */
#define WITH_SIZE(out, call)                                                                       \
    switch (out) {                                                                                 \
    case 5:                                                                                        \
        call(&wino5);                                                                              \
        break;                                                                                     \
    case 6:                                                                                        \
        call(&wino6);                                                                              \
        break;                                                                                     \
    default:                                                                                       \
        call(&wino7);                                                                              \
        break;                                                                                     \
    }

#endif
