/* The kernels of the trainable convolutions: Winograd F(4x4, 3x3) forward, by the data and by the
 * weights. Pure functions on pointers, one set a tier; CONTRACT.md says what each owes.
 *
 * Written once for `real` (real.h).
 *
 * Transformed arrays are (36 points, C / 16, tiles, 16): a block of 16 channels is a column of
 * vectors over tiles, so that the same array can be streamed by vectors of channels or read
 * channel by channel. Transformed weights are (36, K / panel, C, panel), a tier's panel being a
 * multiple of 16; where K is no multiple of it, the rest are panels of 16. In both, points stand a
 * cache line further apart than they are long: else all 36 of a tile would fall into one set of the
 * caches. */
#ifndef PULMO_TUNED_KERNELS_H
#define PULMO_TUNED_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/isa.h"
#include "real.h"

#define TUNED_OUT    4 /* outputs of a tile, one dimension */
#define TUNED_POINTS 36
#define TUNED_BLOCK  16 /* channels stored together */

/* An activation or its gradient: (images, C / 16, rows, columns, 16), each image in a frame of
 * zeros, pixel (y, x) at row y + 1, column x + 1; rows and columns are padded so that whole tiles
 * can be read. */
typedef struct tuned_plane {
    real *data;
    int channels, height, width; /* channels: a multiple of 16 */
    int rows, columns;
    size_t image_reals;
} tuned_plane;

/* A run of tiles, numbered over images, then rows, then columns of tiles. */
typedef struct tuned_tiles {
    int first, count;
    int down, across; /* tiles of one image */
} tuned_tiles;

#define TUNED_POINT_PAD 16
static inline size_t tuned_point_reals(int channels, int tiles)
{
    return (size_t)channels * (size_t)tiles + TUNED_POINT_PAD;
}
static inline size_t tuned_weight_reals(int inputs, int outputs)
{
    return (size_t)inputs * (size_t)outputs + TUNED_POINT_PAD;
}

typedef struct tuned_kernels {
    const char *name;
    /* V = B^T d B of each tile, all 36 points; v is (36, C / 16, tiles->count, 16), of which blocks
     * [first, first + count) are filled. */
    void (*input)(const tuned_plane *in, const tuned_tiles *tiles, int first, int count, real *v);
    /* M = A dY A^T of each 4 x 4 tile of an output's gradient, laid out like V. */
    void (*spread)(const tuned_plane *gradient, const tuned_tiles *tiles, int first, int count,
                   real *m);
    /* One point: m (K / 16, tiles, 16) = v (C / 16, tiles, 16) times u (K / panel, C, panel); one
     * chain of fused multiply-adds an element, over c in order. */
    void (*gemm)(const real *v, const real *u, real *m, int tiles, int c, int k);
    /* One point: du (rows, cols), the sum over tiles, in order, of m[row] v[col]; `m` starts at a
     * block of 16 output channels and `v` at one of input channels; rows and cols are multiples
     * of 16. The next call's m and v stand m_ahead and v_ahead reals behind these: a hint. */
    void (*outer)(const real *m, const real *v, size_t m_ahead, size_t v_ahead, int tiles, int rows,
                  int cols, real *du);
    /* out = relu(A^T m A + bias). */
    void (*output)(const real *m, const tuned_tiles *tiles, const real *bias,
                   const tuned_plane *out);
    /* out = A^T m A where mask > 0 (everywhere for NULL), else 0; mask has out's shape. */
    void (*output_masked)(const real *m, const tuned_tiles *tiles, const tuned_plane *mask,
                          const tuned_plane *out);
    /* 2 x 2 max-pool of one block of channels of one image. */
    void (*pool)(const tuned_plane *in, const tuned_plane *out, int image, int block);
    /* The pool's and the ReLU's gradient: `from` goes to the first maximum of each 2 x 2 of
     * `values` where that is positive, 0 elsewhere. */
    void (*unpool)(const tuned_plane *from, const tuned_plane *values, const tuned_plane *to,
                   int image, int block);
    /* Weights g (K, C, 3, 3) of outputs [16 block, +16) as U = G g G^T: into u (36, K / panel, C,
     * panel) with C rounded up to 16. `turned`: the roles of K and C change and the taps turn by
     * 180 degrees. */
    void (*filter)(const real *g, int k, int c, int block, int turned, real *u);
    /* out (rows, 9, cols) = G^T du G, du (36, rows, cols). */
    void (*filter_gradient)(const real *du, int rows, int cols, real *out);
    /* squares[i], sums[i]: the sums over one image of channel 16 block + i, rows in `real`, then in
     * double. */
    void (*moments)(const tuned_plane *plane, int image, int block, double squares[TUNED_BLOCK],
                    double sums[TUNED_BLOCK]);
} tuned_kernels;

/* Never NULL. */
const tuned_kernels *tuned_kernels_of(pulmo_isa isa);

#endif
