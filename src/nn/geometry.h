/* Inside the nn room: planes, tiles and runs of tiles, one set for the frozen and the fine-tuned
 * convolutions. kernels/plane.h has the layouts. */
#ifndef PULMO_GEOMETRY_H
#define PULMO_GEOMETRY_H

#include "kernels.h"

/* One block of channels of one image, which is what a task on a plane mostly takes. */
typedef struct plane_place {
    int image, block;
} plane_place;

static inline int plane_blocks(int channels)
{
    return channels / CHANNEL_BLOCK;
}

static inline plane_place plane_place_of(const pulmo_plane *plane, int task)
{
    int blocks = plane_blocks(plane->channels);
    return (plane_place){.image = task / blocks, .block = task % blocks};
}

static inline int image_tiles(const pulmo_tiles *tiles)
{
    return tiles->down * tiles->across;
}

/* The side of a tile's output in a block of convolutions, counted from 1: 6 in blocks 1 and 2, 7 in
 * 3 and 4, 5 above. One table for every machine: it makes bits. */
int pulmo_tile_of_block(int block);

/* A plane without data, which whole tiles of `out` outputs can be read from. */
pulmo_plane pulmo_plane_of(int out, int channels, int height, int width);
/* The frame and the padding of one block of channels of one image become zero. */
void pulmo_plane_clear_frame(const pulmo_plane *plane, int image, int block);
/* One block of channels of one image, from `from` (images, channels, height, width); channels that
 * are missing there become zero. The frame is left alone. */
void pulmo_plane_fill(const pulmo_plane *plane, int image, int block, const float *from,
                      int channels);
/* The way back: to `to` (images, C, height, width). */
void pulmo_plane_read(const pulmo_plane *plane, int image, int block, real *to);
/* The average of every channel over its cells, summed row by row: to[...] of all channels of the
 * image, of which these are written. */
void pulmo_plane_average(const pulmo_plane *plane, int image, int block, real *to);
/* The gradient by what pulmo_plane_average gives, taken back: every cell of a channel gets its even
 * share of from[...], of all channels of the image; `add`: on top of what stands there. */
void pulmo_plane_spread(const pulmo_plane *plane, int image, int block, const float *from,
                        bool add);

/* Tiles of one image; count is 0, for the caller to set. */
pulmo_tiles pulmo_tiles_of(int out, int height, int width);
/* Tiles of a run, at most: many where weights are large, few where V and M can stay in L2. */
int pulmo_run_tiles_most(int out, int inputs, int outputs);
/* Tiles per run of all->count, evened out so that threads get equal shares. */
int pulmo_run_tiles(const pulmo_tiles *all, int inputs, int outputs, int threads);
/* The tiles of run number `run`, of all->count in runs of `each`; the last run may be short. */
pulmo_tiles pulmo_tiles_of_run(const pulmo_tiles *all, int run, int each);

/* M = V U at all points of a run. */
void pulmo_wino_products(const pulmo_kernels *kernels, const pulmo_tiles *tiles, const real *v,
                         const real *u, real *m, int inputs, int outputs);

#endif
