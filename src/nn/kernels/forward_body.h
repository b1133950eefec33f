/* The forward kernels, written once for a vector of LANES reals. Each tier defines the vector type
 * and these operations, and includes this and gradient_body.h:
 *
 *   vec, LANES
 *   PANEL_BLOCKS                         blocks of 16 channels per panel
 *   TILE_ROWS, OUTER_ROWS, OUTER_BLOCKS  register blocks
 *   GEMM_CHANNELS, OUTER_TILES           chunks of chains
 *   load, store, prefetch, splat, add, sub, mul, max_
 *   store_past                           to an aligned place, past the caches if the tier can
 *   past_is_done                         others may read what was stored past the caches
 *   fma_ (a * b + c), fnma_ (c - a * b)
 *   where_positive(x, y), where_equal(a, b, y), where_other(a, b, y)
 *   TIER(name)
 *
 * The transforms of data are winograd.h's. */
#include <string.h>

#include "kernels.h"
#include "winograd.h"

#define VECTORS       (CHANNEL_BLOCK / LANES)  /* of a block */
#define PANEL_VECTORS (PANEL_BLOCKS * VECTORS) /* of a panel */
#define PANEL         (PANEL_BLOCKS * CHANNEL_BLOCK)
#define LINE_REALS    16 /* floats of a cache line */

/* Tiles that are fetched ahead: far enough for the rows to arrive, near enough for them to stay. */
#define INPUT_AHEAD  2
#define OUTPUT_AHEAD 1

/* Asks for `pixels` of each of `rows` rows of one block of channels. */
INLINE void fetch(const real *from, size_t row_reals, const int rows, const int pixels)
{
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < pixels; x++)
            prefetch(from + y * row_reals + x * CHANNEL_BLOCK);
}

/* ---- input ---- */

/* Along the rows of one block of channels after another: six streams, which can be fetched ahead.
 */
static void TIER(pulmo_k_wino43_input)(const pulmo_plane *in, const pulmo_tiles *tiles, int first,
                                       int count, real *v)
{
    size_t block_reals = (size_t)tiles->count * CHANNEL_BLOCK;
    size_t row_reals = plane_row_reals(in);
    size_t apart = point_reals(in->channels, tiles->count);
    for (int block = first; block < first + count; block++)
        for (int t = 0; t < tiles->count; t++) {
            tile at = tile_at(tiles, t);
            const real *from =
                plane_at(in, at.image, block, at.down * WINO_OUT, at.across * WINO_OUT);
            real *to = v + block * block_reals + (size_t)t * CHANNEL_BLOCK;
            fetch(from + (INPUT_AHEAD * WINO_OUT + 2) * CHANNEL_BLOCK, row_reals, WINO_IN,
                  WINO_OUT);
            for (int j = 0; j < CHANNEL_BLOCK; j += LANES)
                input_tile(from + j, row_reals, to + j, apart);
        }
}

/* ---- products ---- */

/* Sums of a register block come from and go to memory between chunks of a chain, so that what they
 * multiply stays in L1: the chain of each element is the same. */

/* rows tiles x blocks of 16 outputs, over c input channels. Of `ahead`, wanted next, `lines` cache
 * lines are fetched for each 16 of them. */
INLINE void gemm_block(const real *v, const real *u, real *m, int tiles, int c, bool more,
                       const real *ahead, int lines, const int rows, const int blocks)
{
    vec sum[TILE_ROWS][PANEL_VECTORS];
    size_t block_reals = (size_t)tiles * CHANNEL_BLOCK;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < blocks * VECTORS; j++)
            sum[r][j] =
                more ? load(m + j / VECTORS * block_reals + r * CHANNEL_BLOCK + j % VECTORS * LANES)
                     : splat(0);
    for (int cb = 0; cb < c; cb += CHANNEL_BLOCK) {
        const real *x = v + (size_t)cb * tiles;
        const real *w = u + (size_t)cb * blocks * CHANNEL_BLOCK;
        for (int i = 0; i < lines; i++, ahead += LINE_REALS)
            prefetch(ahead);
        for (int i = 0; i < CHANNEL_BLOCK; i++) {
            vec weight[PANEL_VECTORS];
#pragma GCC unroll 8
            for (int j = 0; j < blocks * VECTORS; j++)
                weight[j] = load(w + (i * blocks * VECTORS + j) * LANES);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                vec value = splat(x[r * CHANNEL_BLOCK + i]);
#pragma GCC unroll 8
                for (int j = 0; j < blocks * VECTORS; j++)
                    sum[r][j] = fma_(value, weight[j], sum[r][j]);
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < blocks * VECTORS; j++)
            store(m + j / VECTORS * block_reals + r * CHANNEL_BLOCK + j % VECTORS * LANES,
                  sum[r][j]);
}

/* One panel of outputs: a chunk of its weights at a time, for all tiles. */
INLINE void gemm_panel(const real *v, const real *u, real *m, int tiles, int c, const int blocks)
{
    int groups = divide_up(tiles, TILE_ROWS);
    int lines = divide_up(blocks * CHANNEL_BLOCK * CHANNEL_BLOCK / LINE_REALS, groups);
    for (int from = 0; from < c; from += GEMM_CHANNELS) {
        int count = c - from < GEMM_CHANNELS ? c - from : GEMM_CHANNELS;
        bool more = from > 0;
        const real *x = v + (size_t)from * tiles;
        const real *w = u + (size_t)from * blocks * CHANNEL_BLOCK;
        const real *ahead = w + (size_t)count * blocks * CHANNEL_BLOCK;
        size_t ahead_step = (size_t)(count / CHANNEL_BLOCK) * lines * LINE_REALS;
        real *to = m;
        int left = tiles;
        for (; left >= TILE_ROWS; left -= TILE_ROWS) {
            gemm_block(x, w, to, tiles, count, more, ahead, lines, TILE_ROWS, blocks);
            x += TILE_ROWS * CHANNEL_BLOCK;
            to += TILE_ROWS * CHANNEL_BLOCK;
            ahead += ahead_step;
        }
        for (; left >= 2; left -= 2) {
            gemm_block(x, w, to, tiles, count, more, ahead, 0, 2, blocks);
            x += 2 * CHANNEL_BLOCK;
            to += 2 * CHANNEL_BLOCK;
        }
        if (left > 0)
            gemm_block(x, w, to, tiles, count, more, ahead, 0, 1, blocks);
    }
}

static void TIER(pulmo_k_wino43_gemm)(const real *v, const real *u, real *m, int tiles, int c,
                                      int k)
{
    int blocks = k / CHANNEL_BLOCK;
    int block = 0;
    size_t u_reals = (size_t)c * CHANNEL_BLOCK;
    size_t m_reals = (size_t)tiles * CHANNEL_BLOCK;
    for (; block + PANEL_BLOCKS <= blocks; block += PANEL_BLOCKS)
        gemm_panel(v, u + block * u_reals, m + block * m_reals, tiles, c, PANEL_BLOCKS);
    for (; block < blocks; block++)
        gemm_panel(v, u + block * u_reals, m + block * m_reals, tiles, c, 1);
}

/* ---- output ---- */

INLINE void add_bias(vec bias, vec y[4][4])
{
    const vec zero = splat(0);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
#pragma GCC unroll 4
        for (int x = 0; x < 4; x++)
            y[r][x] = max_(zero, add(y[r][x], bias)); /* a NaN passes */
}

INLINE void write_tile(const pulmo_plane *out, real *to, int row, int column, vec y[4][4])
{
    size_t row_reals = plane_row_reals(out);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
#pragma GCC unroll 4
        for (int x = 0; x < 4; x++)
            if (row + r < out->height && column + x < out->width)
                store(to + r * row_reals + x * CHANNEL_BLOCK, y[r][x]);
}

INLINE void write_pooled(const pulmo_plane *out, real *to, int row, int column, vec y[4][4])
{
    size_t row_reals = plane_row_reals(out);
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++)
#pragma GCC unroll 2
        for (int x = 0; x < 2; x++)
            if (row + r < out->height && column + x < out->width)
                store(to + r * row_reals + x * CHANNEL_BLOCK,
                      max_(max_(y[2 * r][2 * x], y[2 * r][2 * x + 1]),
                           max_(y[2 * r + 1][2 * x], y[2 * r + 1][2 * x + 1])));
}

static void TIER(pulmo_k_wino43_output)(const real *m, const pulmo_tiles *tiles, const real *bias,
                                        bool pool, const pulmo_plane *out)
{
    int side = pool ? WINO_OUT / 2 : WINO_OUT;
    size_t block_reals = (size_t)tiles->count * CHANNEL_BLOCK;
    size_t apart = point_reals(out->channels, tiles->count);
    for (int block = 0; block < out->channels / CHANNEL_BLOCK; block++)
        for (int t = 0; t < tiles->count; t++) {
            tile at = tile_at(tiles, t);
            int row = at.down * side;
            int column = at.across * side;
            const real *from = m + block * block_reals + (size_t)t * CHANNEL_BLOCK;
            real *to = plane_at(out, at.image, block, row + 1, column + 1);
            fetch(to + OUTPUT_AHEAD * side * CHANNEL_BLOCK, plane_row_reals(out), side, side);
            for (int j = 0; j < CHANNEL_BLOCK; j += LANES) {
                vec y[4][4];
                output_tile(from + j, apart, y);
                add_bias(load(bias + block * CHANNEL_BLOCK + j), y);
                if (pool)
                    write_pooled(out, to + j, row, column, y);
                else
                    write_tile(out, to + j, row, column, y);
            }
        }
}

/* ---- max-pool ---- */

static void TIER(pulmo_k_pool)(const pulmo_plane *in, const pulmo_plane *out, int image, int block)
{
    size_t row_reals = plane_row_reals(in);
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++) {
            const real *top = plane_at(in, image, block, 2 * y + 1, 2 * x + 1);
            const real *bottom = top + row_reals;
            real *to = plane_at(out, image, block, y + 1, x + 1);
            for (int j = 0; j < CHANNEL_BLOCK; j += LANES) {
                vec above = max_(load(top + j), load(top + CHANNEL_BLOCK + j));
                vec below = max_(load(bottom + j), load(bottom + CHANNEL_BLOCK + j));
                store(to + j, max_(above, below));
            }
        }
}

/* ---- weights ---- */

INLINE void filter_1d(vec g0, vec g1, vec g2, vec t[6])
{
    const vec third2 = splat((real)(2.0 / 3)), sixth = splat((real)(1.0 / 6)),
              half = splat((real)0.5), two = splat((real)2);
    const vec a = splat((real)(2.0 / 3) * A), b = splat((real)(1.0 / 6) * B);
    vec even_a = mul(third2, fma_(half, g2, g0)), odd_a = mul(a, g1);
    vec even_b = mul(sixth, fma_(two, g2, g0)), odd_b = mul(b, g1);
    const vec zero = splat(0);
    t[0] = g0;
    t[1] = sub(zero, add(even_a, odd_a));
    t[2] = sub(odd_a, even_a);
    t[3] = add(even_b, odd_b);
    t[4] = sub(even_b, odd_b);
    t[5] = g2;
}

/* 16 outputs at one input: taps (9, 16) to 36 points, which go past the caches: they are larger. */
INLINE void filter_16(const real *taps, real *u, size_t apart)
{
    for (int j = 0; j < CHANNEL_BLOCK; j += LANES) {
        vec w[6][3];
#pragma GCC unroll 3
        for (int x = 0; x < 3; x++) {
            vec t[6];
            filter_1d(load(taps + x * CHANNEL_BLOCK + j), load(taps + (3 + x) * CHANNEL_BLOCK + j),
                      load(taps + (6 + x) * CHANNEL_BLOCK + j), t);
#pragma GCC unroll 6
            for (int y = 0; y < 6; y++)
                w[y][x] = t[y];
        }
#pragma GCC unroll 6
        for (int y = 0; y < 6; y++) {
            vec t[6];
            filter_1d(w[y][0], w[y][1], w[y][2], t);
#pragma GCC unroll 6
            for (int x = 0; x < 6; x++)
                store_past(u + (6 * y + x) * apart + j, t[x]);
        }
    }
}

/* Taps (9, 16) of 16 outputs at one input, from output `first` on. */
INLINE void gather_taps(const real *g, int k, int c, int input, int first, bool turned, real *taps)
{
    for (int o = 0; o < CHANNEL_BLOCK; o++) {
        int output = first + o;
        size_t filter = turned ? (size_t)input * c + output : (size_t)output * c + input;
        bool exists = input < (turned ? k : c);
        for (int tap = 0; tap < 9; tap++) {
            int at = turned ? 8 - tap : tap;
            taps[at * CHANNEL_BLOCK + o] = exists ? g[9 * filter + tap] : 0;
        }
    }
}

static void TIER(pulmo_k_wino43_filter)(const real *g, int k, int c, int block, bool turned,
                                        real *u)
{
    int inputs = turned ? k : round_up(c, CHANNEL_BLOCK);
    int outputs = turned ? c : k;
    int first = block * CHANNEL_BLOCK;
    int width = panel_width(PANEL, outputs, first);
    size_t apart = weight_point_reals(inputs, outputs);
    u += weight_offset(PANEL, inputs, outputs, 0, first);
    for (int i = 0; i < inputs; i++) {
        real taps[9 * CHANNEL_BLOCK];
        gather_taps(g, k, c, i, first, turned, taps);
        filter_16(taps, u + (size_t)i * width, apart);
    }
    past_is_done();
}

/* ---- first layer ---- */

/* `pixels` neighbouring outputs of one row, one panel of channels. */
INLINE void direct_block(const real *image, int stride, size_t plane, const real *weights,
                         const real *bias, real *out, size_t block_reals, const int pixels,
                         const int vectors)
{
    vec sum[TILE_ROWS][PANEL_VECTORS];
    const vec zero = splat(0);
#pragma GCC unroll 8
    for (int r = 0; r < pixels; r++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            sum[r][j] = load(bias + j * LANES);
    for (int tap = 0; tap < 27; tap++) {
        const real *from = image + tap / 9 * plane + (size_t)(tap % 9 / 3) * stride + tap % 3;
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
            store(out + j / VECTORS * block_reals + r * CHANNEL_BLOCK + j % VECTORS * LANES,
                  max_(sum[r][j], zero));
}

INLINE void direct_row(const pulmo_image3 *image, const real *weights, const real *bias,
                       const pulmo_plane *out, int block, int row, int to, const int vectors)
{
    size_t plane = (size_t)image->rows * image->stride;
    size_t block_reals = plane_block_reals(out);
    const real *from = image->data + (size_t)row * image->stride;
    real *pixel = plane_at(out, 0, block, to, 1);
    int left = out->width;
    for (; left >= TILE_ROWS; left -= TILE_ROWS) {
        direct_block(from, image->stride, plane, weights, bias, pixel, block_reals, TILE_ROWS,
                     vectors);
        from += TILE_ROWS;
        pixel += TILE_ROWS * CHANNEL_BLOCK;
    }
    for (; left > 0; left--) {
        direct_block(from, image->stride, plane, weights, bias, pixel, block_reals, 1, vectors);
        from++;
        pixel += CHANNEL_BLOCK;
    }
}

static void TIER(pulmo_k_direct3)(const pulmo_image3 *image, const real *weights, const real *bias,
                                  int row, int rows, const pulmo_plane *out, int to)
{
    int blocks = out->channels / CHANNEL_BLOCK;
    for (int y = 0; y < rows; y++) {
        int block = 0;
        for (; block + PANEL_BLOCKS <= blocks; block += PANEL_BLOCKS)
            direct_row(image, weights + block * CHANNEL_BLOCK * 27, bias + block * CHANNEL_BLOCK,
                       out, block, row + y, to + y, PANEL_VECTORS);
        for (; block < blocks; block++)
            direct_row(image, weights + block * CHANNEL_BLOCK * 27, bias + block * CHANNEL_BLOCK,
                       out, block, row + y, to + y, VECTORS);
    }
}

/* ---- peak ---- */

static double TIER(pulmo_k_fma_peak)(long rounds, real *sink)
{
    enum { CHAINS = 12 };
    vec sum[CHAINS], x = splat((real)0.999), y = splat((real)0.001);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++)
        sum[i] = splat((real)i);
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
