/* Planes, tiles and runs of tiles. A run is what one thread takes through input transform,
 * products and output transform; which tiles share a run changes no bit. */
#include "geometry.h"

#include <string.h>

/* V and M of a run for few channels: about an L2. */
#define RUN_REALS       245760
#define RUN_TILES_LEAST 30
/* Where weights are large, so that their stream is used well; whole register blocks. */
#define RUN_TILES_MOST 132

int pulmo_tile_of_block(int block)
{
    static const int tiles[] = {6, 6, 7, 7, 5};
    int last = (int)(sizeof tiles / sizeof *tiles);
    return tiles[smaller(block, last) - 1];
}

pulmo_plane pulmo_plane_of(int out, int channels, int height, int width)
{
    pulmo_plane p = {.channels = channels, .height = height, .width = width};
    p.rows = round_up(height, out) + 2;
    p.columns = round_up(width, out) + 2;
    p.image_reals = (size_t)channels * p.rows * p.columns;
    return p;
}

static void clear(real *values, size_t count)
{
    memset(values, 0, count * sizeof *values);
}

void pulmo_plane_clear_frame(const pulmo_plane *plane, int image, int block)
{
    size_t row_reals = plane_row_reals(plane);
    int right = plane->columns - plane->width - 1;
    int below = plane->rows - plane->height - 1;
    size_t right_reals = (size_t)right * CHANNEL_BLOCK;
    size_t below_reals = below * row_reals;
    real *row = plane_at(plane, image, block, 0, 0);
    clear(row, row_reals);
    for (int y = 0; y < plane->height; y++) {
        row += row_reals;
        clear(row, CHANNEL_BLOCK);
        clear(row + row_reals - right_reals, right_reals);
    }
    clear(row + row_reals, below_reals);
}

void pulmo_plane_fill(const pulmo_plane *plane, int image, int block, const float *from,
                      int channels)
{
    int first = block * CHANNEL_BLOCK;
    int count = smaller(channels - first, CHANNEL_BLOCK);
    size_t cells = (size_t)plane->height * plane->width;
    size_t row_pixels_reals = (size_t)plane->width * CHANNEL_BLOCK;
    real *row = plane_at(plane, image, block, 1, 1);
    from += ((size_t)image * channels + first) * cells;
    for (int y = 0; y < plane->height; y++) {
        real *to = row;
        if (count < CHANNEL_BLOCK)
            clear(row, row_pixels_reals);
        for (int x = 0; x < plane->width; x++) {
            for (int c = 0; c < count; c++)
                to[c] = (real)from[c * cells];
            from++;
            to += CHANNEL_BLOCK;
        }
        row += plane_row_reals(plane);
    }
}

void pulmo_plane_read(const pulmo_plane *plane, int image, int block, real *to)
{
    size_t cells = (size_t)plane->height * plane->width;
    int first = block * CHANNEL_BLOCK;
    to += ((size_t)image * plane->channels + first) * cells;
    const real *from = plane_at(plane, image, block, 1, 1);
    for (int c = 0; c < CHANNEL_BLOCK; c++) {
        const real *row = from + c;
        for (int y = 0; y < plane->height; y++) {
            for (int x = 0; x < plane->width; x++)
                *to++ = row[x * CHANNEL_BLOCK];
            row += plane_row_reals(plane);
        }
    }
}

void pulmo_plane_average(const pulmo_plane *plane, int image, int block, real *to)
{
    real sums[CHANNEL_BLOCK] = {0};
    real cells = (real)(plane->height * plane->width);
    const real *row = plane_at(plane, image, block, 1, 1);
    for (int y = 0; y < plane->height; y++) {
        const real *from = row;
        for (int x = 0; x < plane->width; x++) {
            for (int c = 0; c < CHANNEL_BLOCK; c++)
                sums[c] += from[c];
            from += CHANNEL_BLOCK;
        }
        row += plane_row_reals(plane);
    }
    to += (size_t)block * CHANNEL_BLOCK;
    for (int c = 0; c < CHANNEL_BLOCK; c++)
        to[c] = sums[c] / cells;
}

void pulmo_plane_spread(const pulmo_plane *plane, int image, int block, const float *from, bool add)
{
    real shares[CHANNEL_BLOCK];
    real cells = (real)(plane->height * plane->width);
    real *row = plane_at(plane, image, block, 1, 1);
    from += (size_t)block * CHANNEL_BLOCK;
    for (int c = 0; c < CHANNEL_BLOCK; c++)
        shares[c] = (real)from[c] / cells;
    for (int y = 0; y < plane->height; y++) {
        real *to = row;
        for (int x = 0; x < plane->width; x++) {
            for (int c = 0; c < CHANNEL_BLOCK; c++)
                to[c] = add ? to[c] + shares[c] : shares[c];
            to += CHANNEL_BLOCK;
        }
        row += plane_row_reals(plane);
    }
}

pulmo_tiles pulmo_tiles_of(int out, int height, int width)
{
    int down = divide_up(height, out);
    int across = divide_up(width, out);
    return (pulmo_tiles){.out = out, .down = down, .across = across};
}

int pulmo_run_tiles_most(int out, int inputs, int outputs)
{
    int channels = inputs + outputs;
    int tile_reals = tile_points(out) * channels;
    int tiles = RUN_REALS / tile_reals;
    if (outputs > 128)
        return RUN_TILES_MOST;
    if (tiles < RUN_TILES_LEAST)
        tiles = RUN_TILES_LEAST;
    return smaller(tiles, RUN_TILES_MOST);
}

int pulmo_run_tiles(const pulmo_tiles *all, int inputs, int outputs, int threads)
{
    int most = pulmo_run_tiles_most(all->out, inputs, outputs);
    int least_runs = divide_up(all->count, most);
    int runs = round_up(least_runs, threads);
    if (runs == 0)
        return 1;
    return divide_up(all->count, runs);
}

pulmo_tiles pulmo_tiles_of_run(const pulmo_tiles *all, int run, int each)
{
    pulmo_tiles tiles = *all;
    int first = run * each;
    tiles.first = first;
    tiles.count = smaller(all->count - first, each);
    return tiles;
}

void pulmo_wino_products(const pulmo_kernels *kernels, const pulmo_tiles *tiles, const real *v,
                         const real *u, real *m, int inputs, int outputs)
{
    int points = tile_points(tiles->out);
    for (int point = 0; point < points; point++) {
        kernels->gemm(v, u, m, tiles->count, inputs, outputs);
        v += point_reals(inputs, tiles->count);
        u += weight_point_reals(inputs, outputs);
        m += point_reals(outputs, tiles->count);
    }
}
