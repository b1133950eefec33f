/* How the convolutions, frozen and fine-tuned, lie in memory: activations in planes, tiles of
 * Winograd F(m x m, 3x3) on them, and the two transformed arrays. Written for `real` (real.h). */
#ifndef PULMO_PLANE_H
#define PULMO_PLANE_H

#include <stddef.h>

#include "counts.h"
#include "real.h"

/* A tile of m x m outputs from (m + 2) x (m + 2) inputs, whose points are as many products per pair
 * of channels; m is 5, 6 or 7. */
#define TILE_OUT_MOST 7
#define TILE_IN_MOST  9

static inline int tile_in(int out)
{
    return out + 2;
}

static inline int tile_points(int out)
{
    return tile_in(out) * tile_in(out);
}

/* Channels that are stored together. */
#define CHANNEL_BLOCK 16

/* ---- activations ---- */

/* An activation or its gradient: (images, C / 16, rows, columns, 16), each image in a frame of
 * zeros: pixel (y, x) is at row y + 1, column x + 1. Rows and columns are padded so that whole
 * tiles can be read. */
typedef struct pulmo_plane {
    real *data;
    int channels;      /* a multiple of 16 */
    int height, width; /* of the image, without frame */
    int rows, columns; /* with frame and padding */
    size_t image_reals;
} pulmo_plane;

/* From a row of the plane to the next. */
static inline size_t plane_row_reals(const pulmo_plane *p)
{
    return (size_t)p->columns * CHANNEL_BLOCK;
}

/* From a block of channels to the next. */
static inline size_t plane_block_reals(const pulmo_plane *p)
{
    return p->rows * plane_row_reals(p);
}

/* The 16 channels of a block at one row and column, counted with the frame. */
static inline real *plane_at(const pulmo_plane *p, int image, int block, int row, int column)
{
    size_t cell = (size_t)row * p->columns + column;
    return p->data + image * p->image_reals + block * plane_block_reals(p) + cell * CHANNEL_BLOCK;
}

/* ---- tiles ---- */

/* A run of tiles, numbered over images, then rows, then columns of tiles. */
typedef struct pulmo_tiles {
    int out; /* a tile's side in the output */
    int first, count;
    int down, across; /* tiles of one image */
} pulmo_tiles;

typedef struct tile {
    int image, down, across;
} tile;

/* The run's tile number t. */
static inline tile tile_at(const pulmo_tiles *tiles, int t)
{
    int each = tiles->down * tiles->across;
    int number = tiles->first + t;
    int place = number % each;
    return (tile){number / each, place / tiles->across, place % tiles->across};
}

/* ---- transformed arrays ---- */

/* V and M, of a run's inputs and outputs, are (points, C / 16, tiles, 16): a block of channels is a
 * column of vectors over tiles, which products by vectors of channels and sums over tiles (the
 * gradient by the weights) stream alike. U, of weights, is (points, K / panel, C, panel), a tier's
 * panel being a multiple of 16; where K is not a multiple of it, the rest are panels of 16. In all
 * of them points stand a cache line further apart than they are long: else those of a tile would
 * fall into one set of the caches. */
#define POINT_PAD 16

static inline size_t point_reals(int channels, int tiles)
{
    return (size_t)channels * tiles + POINT_PAD;
}

static inline size_t weight_point_reals(int inputs, int outputs)
{
    return (size_t)inputs * outputs + POINT_PAD;
}

/* V and M of a run, V first. */
static inline size_t run_reals(int out, int inputs, int outputs, int tiles)
{
    size_t points = (size_t)tile_points(out);
    return points * (point_reals(inputs, tiles) + point_reals(outputs, tiles));
}

/* How wide the panel is that holds output k. */
static inline int panel_width(int panel, int outputs, int k)
{
    return k < outputs / panel * panel ? panel : CHANNEL_BLOCK;
}

/* Where weight (c, k) of one point stands. */
static inline size_t weight_offset(int panel, int inputs, int outputs, int c, int k)
{
    int width = panel_width(panel, outputs, k);
    int first = k / width * width;
    return (size_t)first * inputs + (size_t)c * width + (k - first);
}

#endif
