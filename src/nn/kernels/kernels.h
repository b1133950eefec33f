/* The convolutions' kernels: pure functions on pointers, one set per tier. CONTRACT.md says what
 * each owes; plane.h has the layouts. Frozen and fine-tuned convolutions share the forward ones, so
 * that both give the same bits. */
#ifndef PULMO_KERNELS_H
#define PULMO_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "plane.h"
#include "pulmo/isa.h"

/* An image of three channels framed by zeros: (3, rows, stride), pixel (y, x) at row y + 1, column
 * x + 1. */
typedef struct pulmo_image3 {
    const real *data;
    int rows, stride;
} pulmo_image3;

typedef struct pulmo_kernels {
    const char *name;
    int panel; /* output channels of a weight panel */

    /* ---- forward ---- */

    /* V = B^T d B of each tile, all points, of blocks of channels [first, first + count). */
    void (*input)(const pulmo_plane *in, const pulmo_tiles *tiles, int first, int count, real *v);
    /* One point: M (K / 16, tiles, 16) = V (C / 16, tiles, 16) times U (K / panel, C, panel); per
     * element, sums of 32 channels, each a chain of fused multiply-adds, are added in order. */
    void (*gemm)(const real *v, const real *u, real *m, int tiles, int c, int k);
    /* out = relu(A^T M A + bias), max-pooled 2 x 2 if `pool`, which needs an even tile. */
    void (*output)(const real *m, const pulmo_tiles *tiles, const real *bias, bool pool,
                   const pulmo_plane *out);
    /* First layer, direct: rows [row, row + rows) of relu(conv(image) + bias), written to `out`
     * from its row `to` on, counted with the frame; weights are (K / panel, 27, panel). */
    void (*direct3)(const pulmo_image3 *image, const real *weights, const real *bias, int row,
                    int rows, const pulmo_plane *out, int to);
    /* 2 x 2 max-pool of one block of channels of one image. */
    void (*pool)(const pulmo_plane *in, const pulmo_plane *out, int image, int block);
    /* Weights g (K, C, 3, 3) of outputs [16 block, +16) as U = G g G^T for tiles of `out` outputs,
     * C rounded up to 16; computed in double, rounded once. `turned`: the roles of K and C change
     * and the taps turn by 180 degrees. */
    void (*filter)(int out, const real *g, int k, int c, int block, bool turned, real *u);

    /* ---- backward ---- */

    /* M = A dY A^T of each tile of an output's gradient, all points, of blocks of
     * channels [first, first + count). */
    void (*spread)(const pulmo_plane *gradient, const pulmo_tiles *tiles, int first, int count,
                   real *m);
    /* One point: du (rows, cols), the sum over tiles, in order, of m[row] v[col]; `m` starts at a
     * block of 16 output channels and `v` at one of input channels; rows and cols are multiples
     * of 16. The next call's m and v stand m_ahead and v_ahead reals behind these: a hint. */
    void (*outer)(const real *m, const real *v, size_t m_ahead, size_t v_ahead, int tiles, int rows,
                  int cols, real *du);
    /* out = A^T M A where mask > 0 (everywhere for NULL), else 0; mask has out's shape. */
    void (*output_masked)(const real *m, const pulmo_tiles *tiles, const pulmo_plane *mask,
                          const pulmo_plane *out);
    /* The pool's and the ReLU's gradient: `from` goes to the first maximum of each 2 x 2 of
     * `values` where that is positive, 0 elsewhere. */
    void (*unpool)(const pulmo_plane *from, const pulmo_plane *values, const pulmo_plane *to,
                   int image, int block);
    /* values (rows, 9, cols) = G^T du G, du (points, rows, cols), for tiles of `out` outputs. */
    void (*filter_gradient)(int out, const real *du, int rows, int cols, real *values);
    /* squares[i], sums[i]: the sums over one image of channel 16 block + i, rows in `real`, then in
     * double. */
    void (*moments)(const pulmo_plane *plane, int image, int block, double squares[CHANNEL_BLOCK],
                    double sums[CHANNEL_BLOCK]);

    /* Runs `rounds` times a fixed number of independent fused multiply-adds; returns their flop. */
    double (*fma_peak)(long rounds, real *sink);
} pulmo_kernels;

/* Never NULL: the tier's table, or the best one below it that this build has. */
const pulmo_kernels *pulmo_kernels_of(pulmo_isa isa);

#endif
