/* The kernels: pure functions on pointers, one set a tier. CONTRACT.md says what each owes. */
#ifndef PULMO_KERNELS_H
#define PULMO_KERNELS_H

#include <stddef.h>

#include "pulmo/isa.h"

/* F(4x4, 3x3): a tile of 4 x 4 outputs from 6 x 6 inputs, 36 products a pair of channels. */
#define WINO_OUT    4
#define WINO_IN     6
#define WINO_POINTS 36
/* Channels are stored in blocks of this many: an activation is (C / 16, rows, columns, 16). */
#define CHANNEL_BLOCK 16

/* An activation of several images, each with a frame of zeros: pixel (y, x) of the image is at
 * row y + 1, column x + 1. Rows and columns are padded so that whole tiles can be read. */
typedef struct pulmo_plane {
    float *data;
    int channels, height, width; /* of the image, without frame */
    int rows, columns;           /* with frame and padding */
    size_t image_floats;         /* (channels / 16) * rows * columns * 16 */
} pulmo_plane;

/* An image of three channels framed by zeros: (3, rows, stride), pixel (y, x) at row y + 1, column
 * x + 1. */
typedef struct pulmo_image3 {
    const float *data;
    int rows, stride;
} pulmo_image3;

/* A run of tiles, numbered over images, then rows, then columns of tiles. */
typedef struct pulmo_tiles {
    int first, count;
    int down, across; /* tiles of one image */
} pulmo_tiles;

/* V or M: (WINO_POINTS, tiles, channels), points `point_floats` apart. */
typedef struct pulmo_transformed {
    float *data;
    size_t point_floats;
    int channels;
} pulmo_transformed;

typedef struct pulmo_kernels {
    const char *name;
    int lanes; /* floats a vector */
    int panel; /* output channels a weight panel */
    /* V = B^T d B for each tile and channel of `in`. */
    void (*wino43_input)(const pulmo_plane *in, const pulmo_tiles *tiles,
                         const pulmo_transformed *v);
    /* M (tiles, K) = V (tiles, C) U (C, K) at one point; U in panels (K / panel, C, panel), the
     * last one narrower where K is no multiple. Sums over C run in order, one chain an element. */
    void (*wino43_gemm)(const float *v, const float *u, float *m, int tiles, int c, int k);
    /* out = relu(A^T M A + bias), max-pooled 2 x 2 if `pool`. */
    void (*wino43_output)(const pulmo_transformed *m, const pulmo_tiles *tiles, const float *bias,
                          int pool, const pulmo_plane *out);
    /* First layer, direct: rows [row, row + rows) of relu(conv(image) + bias), written to `out`
     * from its row `to` on, counted with the frame; weights in panels (K / panel, 27, panel). */
    void (*direct3)(const pulmo_image3 *image, const float *weights, const float *bias, int row,
                    int rows, const pulmo_plane *out, int to);
    /* Runs `rounds` times a fixed number of independent fused multiply-adds; returns their flop. */
    double (*fma_peak)(long rounds, float *sink);
} pulmo_kernels;

/* Never NULL: the tier's table, or the best one below it that this build has. */
const pulmo_kernels *pulmo_kernels_of(pulmo_isa isa);

#endif
