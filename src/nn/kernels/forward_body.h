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

#define VECTORS (CHANNEL_BLOCK / LANES) /* of a block */
#include "winograd.h"

#define PANEL_VECTORS (PANEL_BLOCKS * VECTORS) /* of a panel */
#define PANEL         (PANEL_BLOCKS * CHANNEL_BLOCK)
#define LINE_REALS    16 /* floats of a cache line */
#define SUM_CHANNELS  32 /* of a chain */

/* Tiles that are fetched ahead: far enough for the rows to arrive, near enough for them to stay. */
#define INPUT_AHEAD  2
#define OUTPUT_AHEAD 1
#define M_AHEAD      4
/* A V of more than this, which no L2 holds, goes past the caches. */
#define PAST_REALS ((size_t)1 << 19)

/* Asks for `pixels` of each of `rows` rows of one block of channels. */
INLINE void fetch(const real *from, size_t row_reals, const int rows, const int pixels)
{
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < pixels; x++)
            prefetch(from + y * row_reals + x * CHANNEL_BLOCK);
}

/* ---- input ---- */

/* Along the rows of one block of channels after another: a stream per row, fetched ahead. */
INLINE void input_tiles(const wino *w, const pulmo_plane *in, const pulmo_tiles *tiles, int first,
                        int count, real *v)
{
    const int out = w->out;
    size_t block_reals = (size_t)tiles->count * CHANNEL_BLOCK;
    size_t row_reals = plane_row_reals(in);
    size_t apart = point_reals(in->channels, tiles->count);
    size_t ahead = (size_t)(INPUT_AHEAD * out * CHANNEL_BLOCK);
    bool past = apart * tile_points(out) > PAST_REALS;
    for (int block = first; block < first + count; block++)
        for (int t = 0; t < tiles->count; t++) {
            tile at = tile_at(tiles, t);
            const real *from = plane_at(in, at.image, block, at.down * out, at.across * out);
            real *to = v + block * block_reals + (size_t)t * CHANNEL_BLOCK;
            input_tile(w, from, row_reals, ahead, past, to, apart);
        }
}

static void TIER(pulmo_k_wino_input)(const pulmo_plane *in, const pulmo_tiles *tiles, int first,
                                     int count, real *v)
{
#define CALL(w) input_tiles(w, in, tiles, first, count, v)
    WITH_SIZE(tiles->out, CALL)
#undef CALL
    past_is_done();
}

/* ---- products ---- */

/* Sums of a register block are added to memory after each SUM_CHANNELS channels, for accuracy, and
 * a panel's weights are taken in chunks of GEMM_CHANNELS, a multiple, so that what they multiply
 * stays in L1. */

/* sum = V U of rows tiles x blocks of 16 outputs, over `c` input channels. */
INLINE const real *sum_block(const real *v, const real *u, vec sum[TILE_ROWS][PANEL_VECTORS],
                             int tiles, int c, const real *ahead, int lines, const int rows,
                             const int blocks)
{
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < blocks * VECTORS; j++)
            sum[r][j] = splat(0);
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
    return ahead;
}

/* The sums of rows tiles x blocks of 16 outputs, over c input channels, to M, or onto what M has
 * (`more`). Of `ahead`, wanted next, `lines` cache lines are fetched for each 16 of them. */
INLINE void gemm_block(const real *v, const real *u, real *m, int tiles, int c, bool more,
                       const real *ahead, int lines, const int rows, const int blocks)
{
    size_t block_reals = (size_t)tiles * CHANNEL_BLOCK;
    for (int from = 0; from < c; from += SUM_CHANNELS, more = true) {
        vec sum[TILE_ROWS][PANEL_VECTORS];
        int count = c - from < SUM_CHANNELS ? c - from : SUM_CHANNELS;
        ahead = sum_block(v + (size_t)from * tiles, u + (size_t)from * blocks * CHANNEL_BLOCK, sum,
                          tiles, count, ahead, lines, rows, blocks);
        if (more)
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
                for (int j = 0; j < blocks * VECTORS; j++)
                    sum[r][j] = add(load(m + j / VECTORS * block_reals + r * CHANNEL_BLOCK +
                                         j % VECTORS * LANES),
                                    sum[r][j]);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int j = 0; j < blocks * VECTORS; j++)
                store(m + j / VECTORS * block_reals + r * CHANNEL_BLOCK + j % VECTORS * LANES,
                      sum[r][j]);
    }
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

static void TIER(pulmo_k_wino_gemm)(const real *v, const real *u, real *m, int tiles, int c, int k)
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

/* One row of a tile: A^T's last part, bias, ReLU. */
INLINE void output_row(const wino *w, const vec *half, vec bias, vec *y)
{
    const vec zero = splat(0);
    output_1d(w, half, y);
#pragma GCC unroll 7
    for (int x = 0; x < w->out; x++)
        y[x] = max_(zero, add(y[x], bias)); /* a NaN passes */
}

/* The first `rows` x `columns` of a tile's outputs. */
INLINE void write_tile(const wino *w, vec half[TILE_OUT_MOST][TILE_IN_MOST], vec bias, real *to,
                       size_t row_reals, int rows, int columns)
{
    for (int r = 0; r < rows; r++, to += row_reals) {
        vec y[TILE_OUT_MOST];
        output_row(w, half[r], bias, y);
#pragma GCC unroll 7
        for (int x = 0; x < w->out; x++)
            if (x < columns)
                store(to + x * CHANNEL_BLOCK, y[x]);
    }
}

/* The same of the maxima of each 2 x 2. */
INLINE void write_pooled(const wino *w, vec half[TILE_OUT_MOST][TILE_IN_MOST], vec bias, real *to,
                         size_t row_reals, int rows, int columns)
{
    for (int r = 0; r < rows; r++, to += row_reals) {
        vec above[TILE_OUT_MOST], below[TILE_OUT_MOST];
        output_row(w, half[2 * r], bias, above);
        output_row(w, half[2 * r + 1], bias, below);
#pragma GCC unroll 4
        for (int x = 0; x < w->out / 2; x++)
            if (x < columns)
                store(to + x * CHANNEL_BLOCK, max_(max_(above[2 * x], above[2 * x + 1]),
                                                   max_(below[2 * x], below[2 * x + 1])));
    }
}

INLINE void output_tiles(const wino *w, const real *m, const pulmo_tiles *tiles, const real *bias,
                         bool pool, const pulmo_plane *out)
{
    const int side = pool ? w->out / 2 : w->out;
    size_t block_reals = (size_t)tiles->count * CHANNEL_BLOCK;
    size_t row_reals = plane_row_reals(out);
    size_t apart = point_reals(out->channels, tiles->count);
    for (int block = 0; block < out->channels / CHANNEL_BLOCK; block++)
        for (int t = 0; t < tiles->count; t++) {
            tile at = tile_at(tiles, t);
            int row = at.down * side;
            int column = at.across * side;
            int rows = smaller(out->height - row, side);
            int columns = smaller(out->width - column, side);
            const real *from = m + block * block_reals + (size_t)t * CHANNEL_BLOCK;
            real *to = plane_at(out, at.image, block, row + 1, column + 1);
            fetch(to + OUTPUT_AHEAD * side * CHANNEL_BLOCK, row_reals, side, side);
            for (int j = 0; j < CHANNEL_BLOCK; j += LANES) {
                vec half[TILE_OUT_MOST][TILE_IN_MOST];
                vec plus = load(bias + block * CHANNEL_BLOCK + j);
                output_columns(w, from + j, apart, j == 0 ? M_AHEAD * CHANNEL_BLOCK : 0, half);
                if (pool)
                    write_pooled(w, half, plus, to + j, row_reals, rows, columns);
                else
                    write_tile(w, half, plus, to + j, row_reals, rows, columns);
            }
        }
}

static void TIER(pulmo_k_wino_output)(const real *m, const pulmo_tiles *tiles, const real *bias,
                                      bool pool, const pulmo_plane *out)
{
#define CALL(w) output_tiles(w, m, tiles, bias, pool, out)
    WITH_SIZE(tiles->out, CALL)
#undef CALL
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

/* 16 filters in double: filters are few beside tiles, and one rounding is the least there is. */
typedef struct filters {
    double of[CHANNEL_BLOCK];
} filters;

/* t = G g, one dimension. */
INLINE void filter_1d(const wino *w, const filters *g, filters *t)
{
    const int n = w->pairs, zero = w->zero;
    const double turn = zero ? 1 : -1;
    for (int o = 0; o < CHANNEL_BLOCK; o++) {
        if (zero)
            t[0].of[o] = g[0].of[o] * w->zero_scale;
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            double even = (g[0].of[o] + g[2].of[o] * w->power[i][2]) * w->scale[i];
            double odd = g[1].of[o] * (w->power[i][1] * w->scale[i]);
            t[zero + 2 * i].of[o] = even + odd;
            t[zero + 2 * i + 1].of[o] = turn * (even - odd);
        }
        t[zero + 2 * n].of[o] = g[2].of[o];
    }
}

/* 16 outputs at one input: taps (3, 3) to all points, which go past the caches: they are larger. */
INLINE void filter_16(const wino *w, filters taps[3][3], real *u, size_t apart)
{
    const int in = w->out + 2;
    filters half[3][TILE_IN_MOST];
    for (int x = 0; x < 3; x++)
        filter_1d(w, taps[x], half[x]);
    for (int y = 0; y < in; y++) {
        const filters row[3] = {half[0][y], half[1][y], half[2][y]};
        filters t[TILE_IN_MOST];
        filter_1d(w, row, t);
        for (int x = 0; x < in; x++, u += apart) {
            real rounded[CHANNEL_BLOCK];
            for (int o = 0; o < CHANNEL_BLOCK; o++)
                rounded[o] = (real)t[x].of[o];
            for (int j = 0; j < CHANNEL_BLOCK; j += LANES)
                store_past(u + j, load(rounded + j));
        }
    }
}

/* Taps, by column and row, of 16 outputs at one input, from output `first` on. */
INLINE void gather_taps(const real *g, int k, int c, int input, int first, bool turned,
                        filters taps[3][3])
{
    for (int o = 0; o < CHANNEL_BLOCK; o++) {
        int output = first + o;
        size_t filter = turned ? (size_t)input * c + output : (size_t)output * c + input;
        bool exists = input < (turned ? k : c);
        for (int tap = 0; tap < 9; tap++) {
            int at = turned ? 8 - tap : tap;
            taps[at % 3][at / 3].of[o] = exists ? (double)g[9 * filter + tap] : 0;
        }
    }
}

static void TIER(pulmo_k_wino_filter)(int out, const real *g, int k, int c, int block, bool turned,
                                      real *u)
{
    int inputs = turned ? k : round_up(c, CHANNEL_BLOCK);
    int outputs = turned ? c : k;
    int first = block * CHANNEL_BLOCK;
    int width = panel_width(PANEL, outputs, first);
    size_t apart = weight_point_reals(inputs, outputs);
    u += weight_offset(PANEL, inputs, outputs, 0, first);
    for (int i = 0; i < inputs; i++, u += width) {
        filters taps[3][3];
        gather_taps(g, k, c, i, first, turned, taps);
#define CALL(w) filter_16(w, taps, u, apart)
        WITH_SIZE(out, CALL)
#undef CALL
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
