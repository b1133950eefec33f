/* The kernels' bodies, written once for a vector of LANES floats. Each tier's file defines the
 * vector type and these operations, and includes this:
 *
 *   vec, LANES
 *   PANEL_VECTORS   vectors per panel
 *   TILE_ROWS       tiles per register block
 *   GEMM_CHANNELS   a chunk of a chain
 *   load, store, prefetch, splat, add, sub, mul, max_
 *   fma_ (a * b + c), fnma_ (c - a * b)
 *   TIER(name)
 *
 * The transforms are winograd.h's. */
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "winograd.h"

_Static_assert(PIXEL_REALS == CHANNEL_BLOCK, "the transforms step from pixel to pixel");

#define PANEL       (PANEL_VECTORS * LANES)
#define LINE_FLOATS 16 /* a cache line; channels are a multiple of it */

static size_t offset_of(const pulmo_plane *p, int image, int channel, int row, int column)
{
    return (size_t)image * p->image_floats +
           (((size_t)(channel / CHANNEL_BLOCK) * (size_t)p->rows + (size_t)row) *
                (size_t)p->columns +
            (size_t)column) *
               CHANNEL_BLOCK +
           (size_t)(channel % CHANNEL_BLOCK);
}

/* Tiles that are fetched ahead: far enough for the rows to arrive, near enough for them to stay. */
#define INPUT_AHEAD  2
#define OUTPUT_AHEAD 1

/* Asks for `lines` pixels of `rows` rows of one block of channels. */
INLINE void fetch(const float *from, size_t row_floats, const int rows, const int lines)
{
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < lines; x++)
            prefetch(from + (size_t)y * row_floats + (size_t)x * CHANNEL_BLOCK);
}

/* ---- input ---- */

void TIER(pulmo_k_wino43_input)(const pulmo_plane *in, const pulmo_tiles *tiles,
                                const pulmo_transformed *v)
{
    int each = tiles->down * tiles->across;
    size_t row_floats = (size_t)in->columns * CHANNEL_BLOCK;
    /* Along the rows of one block of channels after another: six streams, which can be fetched
     * ahead. */
    for (int c = 0; c < in->channels; c += LANES)
        for (int t = 0; t < tiles->count; t++) {
            int image = (tiles->first + t) / each, place = (tiles->first + t) % each;
            int row = place / tiles->across * WINO_OUT, column = place % tiles->across * WINO_OUT;
            const float *from = in->data + offset_of(in, image, c, row, column);
            if (c % CHANNEL_BLOCK == 0)
                fetch(from + (INPUT_AHEAD * WINO_OUT + 2) * CHANNEL_BLOCK, row_floats, WINO_IN,
                      WINO_OUT);
            input_tile(from, row_floats, v->data + (size_t)t * (size_t)v->channels + (size_t)c,
                       v->point_floats);
        }
}

/* ---- GEMM ---- */

/* rows x (vectors * LANES) of M, over `count` of c input channels; one chain of fused multiply-adds
 * an element, over c in order: it goes on from M where `more`. Of `ahead`, wanted next, `lines`
 * cache lines are fetched for each LINE_FLOATS of them. */
INLINE void gemm_block(const float *v, const float *u, float *m, int c, int count, int k, int more,
                       const float *ahead, int lines, const int rows, const int vectors)
{
    vec sum[TILE_ROWS][PANEL_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            sum[r][j] = more ? load(m + (size_t)r * (size_t)k + (size_t)j * LANES) : splat(0.0f);
    for (int from = 0; from < count; from += LINE_FLOATS) {
        for (int i = 0; i < lines; i++, ahead += LINE_FLOATS)
            prefetch(ahead);
        for (int i = from; i < from + LINE_FLOATS; i++) {
            vec w[PANEL_VECTORS];
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                w[j] = load(u + ((size_t)i * (size_t)vectors + (size_t)j) * LANES);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                vec x = splat(v[(size_t)r * (size_t)c + (size_t)i]);
#pragma GCC unroll 4
                for (int j = 0; j < vectors; j++)
                    sum[r][j] = fma_(x, w[j], sum[r][j]);
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            store(m + (size_t)r * (size_t)k + (size_t)j * LANES, sum[r][j]);
}

/* One panel of outputs: for all tiles a chunk of its weights at a time, which stays in L1
 * meanwhile. */
INLINE void gemm_panel(const float *v, const float *u, float *m, int tiles, int c, int k,
                       const int vectors)
{
    int groups = (tiles + TILE_ROWS - 1) / TILE_ROWS,
        lines = (vectors * LANES + groups - 1) / groups;
    for (int from = 0; from < c; from += GEMM_CHANNELS) {
        int count = c - from < GEMM_CHANNELS ? c - from : GEMM_CHANNELS, t = 0;
        const float *x = v + from, *w = u + (size_t)from * (size_t)vectors * LANES,
                    *ahead = w + (size_t)count * (size_t)vectors * LANES;
        for (; t + TILE_ROWS <= tiles; t += TILE_ROWS, ahead += count * lines)
            gemm_block(x + (size_t)t * (size_t)c, w, m + (size_t)t * (size_t)k, c, count, k,
                       from > 0, ahead, lines, TILE_ROWS, vectors);
        for (; t + 2 <= tiles; t += 2)
            gemm_block(x + (size_t)t * (size_t)c, w, m + (size_t)t * (size_t)k, c, count, k,
                       from > 0, ahead, 0, 2, vectors);
        if (t < tiles)
            gemm_block(x + (size_t)t * (size_t)c, w, m + (size_t)t * (size_t)k, c, count, k,
                       from > 0, ahead, 0, 1, vectors);
    }
}

void TIER(pulmo_k_wino43_gemm)(const float *v, const float *u, float *m, int tiles, int c, int k)
{
    int at = 0;
    for (; at + PANEL <= k; at += PANEL)
        gemm_panel(v, u + (size_t)at * (size_t)c, m + at, tiles, c, k, PANEL_VECTORS);
    /* Where K is no multiple of a panel, one vector at a time. */
    for (; at < k; at += LANES)
        gemm_panel(v, u + (size_t)at * (size_t)c, m + at, tiles, c, k, 1);
}

/* ---- output ---- */

INLINE void add_bias(vec bias, vec y[4][4])
{
    const vec zero = splat(0.0f);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
#pragma GCC unroll 4
        for (int x = 0; x < 4; x++)
            y[r][x] = max_(add(y[r][x], bias), zero);
}

INLINE void write_tile(const pulmo_plane *out, float *to, int row, int column, vec y[4][4])
{
    size_t row_floats = (size_t)out->columns * CHANNEL_BLOCK;
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
#pragma GCC unroll 4
        for (int x = 0; x < 4; x++)
            if (row + r < out->height && column + x < out->width)
                store(to + (size_t)r * row_floats + (size_t)x * CHANNEL_BLOCK, y[r][x]);
}

INLINE void write_pooled(const pulmo_plane *out, float *to, int row, int column, vec y[4][4])
{
    size_t row_floats = (size_t)out->columns * CHANNEL_BLOCK;
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++)
#pragma GCC unroll 2
        for (int x = 0; x < 2; x++)
            if (row + r < out->height && column + x < out->width)
                store(to + (size_t)r * row_floats + (size_t)x * CHANNEL_BLOCK,
                      max_(max_(y[2 * r][2 * x], y[2 * r][2 * x + 1]),
                           max_(y[2 * r + 1][2 * x], y[2 * r + 1][2 * x + 1])));
}

void TIER(pulmo_k_wino43_output)(const pulmo_transformed *m, const pulmo_tiles *tiles,
                                 const float *bias, int pool, const pulmo_plane *out)
{
    int each = tiles->down * tiles->across, side = pool ? WINO_OUT / 2 : WINO_OUT;
    size_t row_floats = (size_t)out->columns * CHANNEL_BLOCK;
    for (int t = 0; t < tiles->count; t++) {
        int image = (tiles->first + t) / each, place = (tiles->first + t) % each;
        int row = place / tiles->across * side, column = place % tiles->across * side;
        for (int k = 0; k < m->channels; k += LANES) {
            vec y[4][4];
            float *to = out->data + offset_of(out, image, k, row + 1, column + 1);
            if (k % CHANNEL_BLOCK == 0)
                fetch(to + OUTPUT_AHEAD * side * CHANNEL_BLOCK, row_floats, side, side);
            output_tile(m->data + (size_t)t * (size_t)m->channels + (size_t)k, m->point_floats, y);
            add_bias(load(bias + k), y);
            if (pool)
                write_pooled(out, to, row, column, y);
            else
                write_tile(out, to, row, column, y);
        }
    }
}

/* ---- first layer ---- */

/* `pixels` neighbouring outputs of one row, one panel of channels. */
INLINE void direct_block(const float *image, int stride, size_t plane, const float *weights,
                         const float *bias, float *out, size_t block_floats, const int pixels,
                         const int vectors)
{
    vec sum[TILE_ROWS][PANEL_VECTORS];
    const vec zero = splat(0.0f);
#pragma GCC unroll 8
    for (int r = 0; r < pixels; r++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            sum[r][j] = load(bias + j * LANES);
    for (int tap = 0; tap < 27; tap++) {
        const float *from = image + (size_t)(tap / 9) * plane +
                            (size_t)(tap % 9 / 3) * (size_t)stride + (size_t)(tap % 3);
#pragma GCC unroll 8
        for (int r = 0; r < pixels; r++) {
            vec x = splat(from[r]);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                sum[r][j] = fma_(x, load(weights + (tap * vectors + j) * LANES), sum[r][j]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < pixels; r++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            store(out + (size_t)(j * LANES / CHANNEL_BLOCK) * block_floats +
                      (size_t)r * CHANNEL_BLOCK + (size_t)(j * LANES % CHANNEL_BLOCK),
                  max_(sum[r][j], zero));
}

INLINE void direct_row(const pulmo_image3 *image, const float *weights, const float *bias,
                       const pulmo_plane *out, int channel, int row, int to, const int vectors)
{
    size_t block_floats = (size_t)out->rows * (size_t)out->columns * CHANNEL_BLOCK,
           plane = (size_t)image->rows * (size_t)image->stride;
    const float *from = image->data + (size_t)row * (size_t)image->stride;
    int x = 0;
    for (; x + TILE_ROWS <= out->width; x += TILE_ROWS)
        direct_block(from + x, image->stride, plane, weights, bias,
                     out->data + offset_of(out, 0, channel, to, x + 1), block_floats, TILE_ROWS,
                     vectors);
    for (; x < out->width; x++)
        direct_block(from + x, image->stride, plane, weights, bias,
                     out->data + offset_of(out, 0, channel, to, x + 1), block_floats, 1, vectors);
}

void TIER(pulmo_k_direct3)(const pulmo_image3 *image, const float *weights, const float *bias,
                           int row, int rows, const pulmo_plane *out, int to)
{
    for (int y = 0; y < rows; y++) {
        int at = 0;
        for (; at + PANEL <= out->channels; at += PANEL)
            direct_row(image, weights + at * 27, bias + at, out, at, row + y, to + y,
                       PANEL_VECTORS);
        for (; at < out->channels; at += LANES)
            direct_row(image, weights + at * 27, bias + at, out, at, row + y, to + y, 1);
    }
}

/* ---- peak ---- */

double TIER(pulmo_k_fma_peak)(long rounds, float *sink)
{
    enum { CHAINS = 12 };
    vec sum[CHAINS], x = splat(0.999f), y = splat(0.001f);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        sum[i] = splat((float)i);
    for (long r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = fma_(sum[i], x, y);
        __asm__ volatile("" ::: "memory");
    }
    vec all = sum[0];
#pragma GCC unroll 12
    for (int i = 1; i < CHAINS; i++)
        all = add(all, sum[i]);
    store(sink, all);
    return 2.0 * CHAINS * LANES * (double)rounds;
}

const pulmo_kernels TIER(pulmo_kernels_table) = {
    .name = TIER_NAME,
    .lanes = LANES,
    .panel = PANEL,
    .wino43_input = TIER(pulmo_k_wino43_input),
    .wino43_gemm = TIER(pulmo_k_wino43_gemm),
    .wino43_output = TIER(pulmo_k_wino43_output),
    .direct3 = TIER(pulmo_k_direct3),
    .fma_peak = TIER(pulmo_k_fma_peak),
};
