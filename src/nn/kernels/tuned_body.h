/* The fine-tuned convolutions' kernels, written once for a vector of LANES reals. Each tier defines
 * the vector type and these operations, and includes this:
 *
 *   vec, LANES
 *   PANEL_BLOCKS                         blocks of 16 channels per panel
 *   TILE_ROWS, OUTER_ROWS, OUTER_BLOCKS  register blocks
 *   GEMM_CHANNELS, OUTER_TILES           chunks of chains
 *   PREFETCH_REALS                       a cache line
 *   load, store, prefetch, splat, add, sub, mul, max_
 *   store_past                           to an aligned place, past the caches if the tier can
 *   past_is_done                         others may read what was stored past the caches
 *   fma_ (a * b + c), fnma_ (c - a * b)
 *   where_positive(x, y), where_equal(a, b, y), where_other(a, b, y)
 *   TIER(name)
 *
 * The forward transforms are winograd.h's, as in body.h. The gradient by the weights is the same
 * bilinear form with the roles changed: with Y = A^T [(G g G^T) . (B^T d B)] A, a loss of gradient
 * dY by Y has the gradient G^T [sum over tiles of (B^T d B) . (A dY A^T)] G by g. */
#include "tuned_kernels.h"
#include "winograd.h"

_Static_assert(PIXEL_REALS == TUNED_BLOCK, "the transforms step from pixel to pixel");

#define VECTORS (TUNED_BLOCK / LANES) /* vectors a block */
static size_t place_of(const tuned_plane *p, int image, int block, int row, int column)
{
    return (size_t)image * p->image_reals +
           (((size_t)block * (size_t)p->rows + (size_t)row) * (size_t)p->columns + (size_t)column) *
               TUNED_BLOCK;
}

/* Where tile t of a run begins: `frame` 0 with the frame around it, 1 without. */
static size_t place_of_tile(const tuned_plane *p, const tuned_tiles *tiles, int t, int block,
                            int frame)
{
    int each = tiles->down * tiles->across, image = (tiles->first + t) / each,
        at = (tiles->first + t) % each;
    return place_of(p, image, block, at / tiles->across * TUNED_OUT + frame,
                    at % tiles->across * TUNED_OUT + frame);
}

/* ---- transforms of data ---- */

/* t = A y, one dimension: 4 values to 6 points. */
INLINE void spread_1d(const vec y[4], vec t[6])
{
    const vec half = splat((real)0.5), two = splat((real)2), a = splat(A), b = splat(B);
    vec even_a = fma_(half, y[2], y[0]), odd_a = fma_(half, y[3], y[1]); /* a^3 = a / 2 */
    vec even_b = fma_(two, y[2], y[0]), odd_b = fma_(two, y[3], y[1]);   /* b^3 = 2 b */
    t[0] = y[0];
    t[1] = fma_(a, odd_a, even_a);
    t[2] = fnma_(a, odd_a, even_a);
    t[3] = fma_(b, odd_b, even_b);
    t[4] = fnma_(b, odd_b, even_b);
    t[5] = y[3];
}

INLINE void spread_tile(const real *from, size_t row_reals, real *to, size_t point_reals)
{
    vec w[6][4];
#pragma GCC unroll 4
    for (int x = 0; x < 4; x++) {
        vec d[4], t[6];
#pragma GCC unroll 4
        for (int y = 0; y < 4; y++)
            d[y] = load(from + (size_t)y * row_reals + (size_t)x * TUNED_BLOCK);
        spread_1d(d, t);
#pragma GCC unroll 6
        for (int y = 0; y < 6; y++)
            w[y][x] = t[y];
    }
#pragma GCC unroll 6
    for (int y = 0; y < 6; y++) {
        vec t[6];
        spread_1d(w[y], t);
#pragma GCC unroll 6
        for (int x = 0; x < 6; x++)
            store(to + (size_t)(6 * y + x) * point_reals, t[x]);
    }
}

static void TIER(pulmo_k_tuned_input)(const tuned_plane *in, const tuned_tiles *tiles, int first,
                                      int count, real *v)
{
    size_t block_reals = (size_t)tiles->count * TUNED_BLOCK,
           row_reals = (size_t)in->columns * TUNED_BLOCK;
    size_t point_reals = tuned_point_reals(in->channels, tiles->count);
    for (int block = first; block < first + count; block++)
        for (int t = 0; t < tiles->count; t++) {
            const real *from = in->data + place_of_tile(in, tiles, t, block, 0);
            real *to = v + (size_t)block * block_reals + (size_t)t * TUNED_BLOCK;
            for (int j = 0; j < TUNED_BLOCK; j += LANES)
                input_tile(from + j, row_reals, to + j, point_reals);
        }
}

static void TIER(pulmo_k_tuned_spread)(const tuned_plane *gradient, const tuned_tiles *tiles,
                                       int first, int count, real *m)
{
    size_t block_reals = (size_t)tiles->count * TUNED_BLOCK,
           row_reals = (size_t)gradient->columns * TUNED_BLOCK;
    size_t point_reals = tuned_point_reals(gradient->channels, tiles->count);
    for (int block = first; block < first + count; block++)
        for (int t = 0; t < tiles->count; t++) {
            const real *from = gradient->data + place_of_tile(gradient, tiles, t, block, 1);
            real *to = m + (size_t)block * block_reals + (size_t)t * TUNED_BLOCK;
            for (int j = 0; j < TUNED_BLOCK; j += LANES)
                spread_tile(from + j, row_reals, to + j, point_reals);
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
    vec sum[TILE_ROWS][PANEL_BLOCKS * VECTORS];
    size_t block_reals = (size_t)tiles * TUNED_BLOCK;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < blocks * VECTORS; j++)
            sum[r][j] = more ? load(m + (size_t)(j / VECTORS) * block_reals + r * TUNED_BLOCK +
                                    j % VECTORS * LANES)
                             : splat(0);
    for (int cb = 0; cb < c; cb += TUNED_BLOCK) {
        const real *x = v + (size_t)cb * (size_t)tiles,
                   *w = u + (size_t)(cb * blocks) * TUNED_BLOCK;
        for (int i = 0; i < lines; i++, ahead += PREFETCH_REALS)
            prefetch(ahead);
        for (int i = 0; i < TUNED_BLOCK; i++) {
            vec weight[PANEL_BLOCKS * VECTORS];
#pragma GCC unroll 8
            for (int j = 0; j < blocks * VECTORS; j++)
                weight[j] = load(w + (i * blocks * VECTORS + j) * LANES);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                vec value = splat(x[r * TUNED_BLOCK + i]);
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
            store(m + (size_t)(j / VECTORS) * block_reals + r * TUNED_BLOCK + j % VECTORS * LANES,
                  sum[r][j]);
}

/* One panel of outputs: a chunk of its weights at a time, for all tiles. */
INLINE void gemm_panel(const real *v, const real *u, real *m, int tiles, int c, const int blocks)
{
    int groups = (tiles + TILE_ROWS - 1) / TILE_ROWS,
        lines = (blocks * TUNED_BLOCK * TUNED_BLOCK / PREFETCH_REALS + groups - 1) / groups;
    for (int from = 0; from < c; from += GEMM_CHANNELS) {
        int count = c - from < GEMM_CHANNELS ? c - from : GEMM_CHANNELS, t = 0;
        const real *x = v + (size_t)from * (size_t)tiles,
                   *w = u + (size_t)(from * blocks) * TUNED_BLOCK;
        const real *ahead = w + count * blocks * TUNED_BLOCK;
        size_t ahead_step = (size_t)(count / TUNED_BLOCK * lines) * PREFETCH_REALS;
        for (; t + TILE_ROWS <= tiles; t += TILE_ROWS, ahead += ahead_step)
            gemm_block(x + t * TUNED_BLOCK, w, m + t * TUNED_BLOCK, tiles, count, from > 0, ahead,
                       lines, TILE_ROWS, blocks);
        for (; t + 2 <= tiles; t += 2)
            gemm_block(x + t * TUNED_BLOCK, w, m + t * TUNED_BLOCK, tiles, count, from > 0, ahead,
                       0, 2, blocks);
        if (t < tiles)
            gemm_block(x + t * TUNED_BLOCK, w, m + t * TUNED_BLOCK, tiles, count, from > 0, ahead,
                       0, 1, blocks);
    }
}

static void TIER(pulmo_k_tuned_gemm)(const real *v, const real *u, real *m, int tiles, int c, int k)
{
    int block = 0, blocks = k / TUNED_BLOCK;
    size_t u_reals = (size_t)c * TUNED_BLOCK, m_reals = (size_t)tiles * TUNED_BLOCK;
    for (; block + PANEL_BLOCKS <= blocks; block += PANEL_BLOCKS)
        gemm_panel(v, u + (size_t)block * u_reals, m + (size_t)block * m_reals, tiles, c,
                   PANEL_BLOCKS);
    for (; block < blocks; block++)
        gemm_panel(v, u + (size_t)block * u_reals, m + (size_t)block * m_reals, tiles, c, 1);
}

/* rows output channels x blocks of 16 input channels, over tiles [first, end). Of `ahead`, wanted
 * next, a cache line is fetched a tile. */
INLINE void outer_block(const real *m, const real *v, size_t block_reals, int first, int end,
                        int cols, real *du, const real *ahead, const int rows, const int blocks)
{
    vec sum[OUTER_ROWS][OUTER_BLOCKS * VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < blocks * VECTORS; j++)
            sum[r][j] = first > 0 ? load(du + r * cols + j * LANES) : splat(0);
    for (int t = first; t < end; t++) {
        vec value[OUTER_BLOCKS * VECTORS];
        prefetch(ahead + t * TUNED_BLOCK);
#pragma GCC unroll 8
        for (int j = 0; j < blocks * VECTORS; j++)
            value[j] = load(v + (size_t)(j / VECTORS) * block_reals + t * TUNED_BLOCK +
                            j % VECTORS * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            vec x = splat(m[t * TUNED_BLOCK + r]);
#pragma GCC unroll 8
            for (int j = 0; j < blocks * VECTORS; j++)
                sum[r][j] = fma_(x, value[j], sum[r][j]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < blocks * VECTORS; j++)
            store(du + r * cols + j * LANES, sum[r][j]);
}

/* `blocks` blocks of columns, all rows; chunks of tiles, so that the columns' stay in L1. What the
 * next point will want of both is fetched meanwhile. */
INLINE void outer_columns(const real *m, const real *v, size_t m_ahead, size_t v_ahead, int tiles,
                          int rows, int cols, real *du, const int blocks)
{
    size_t block_reals = (size_t)tiles * TUNED_BLOCK;
    for (int first = 0; first < tiles; first += OUTER_TILES) {
        int end = tiles - first < OUTER_TILES ? tiles : first + OUTER_TILES, group = 0;
        for (int r = 0; r < rows; group++) {
            int here = r / TUNED_BLOCK, left = TUNED_BLOCK - r % TUNED_BLOCK;
            const real *from = m + (size_t)here * block_reals + r % TUNED_BLOCK;
            const real *ahead = v + v_ahead + (size_t)group * block_reals;
            if (group >= blocks)
                ahead = m + m_ahead +
                        (size_t)(group - blocks) % (size_t)(rows / TUNED_BLOCK) * block_reals;
            if (left >= OUTER_ROWS) {
                outer_block(from, v, block_reals, first, end, cols, du + r * cols, ahead,
                            OUTER_ROWS, blocks);
                r += OUTER_ROWS;
            } else {
                outer_block(from, v, block_reals, first, end, cols, du + r * cols, ahead,
                            TUNED_BLOCK % OUTER_ROWS, blocks);
                r += TUNED_BLOCK % OUTER_ROWS;
            }
        }
    }
}

static void TIER(pulmo_k_tuned_outer)(const real *m, const real *v, size_t m_ahead, size_t v_ahead,
                                      int tiles, int rows, int cols, real *du)
{
    size_t block_reals = (size_t)tiles * TUNED_BLOCK;
    int block = 0, blocks = cols / TUNED_BLOCK;
    for (; block + OUTER_BLOCKS <= blocks; block += OUTER_BLOCKS)
        outer_columns(m, v + (size_t)block * block_reals, m_ahead, v_ahead, tiles, rows, cols,
                      du + block * TUNED_BLOCK, OUTER_BLOCKS);
    for (; block < blocks; block++)
        outer_columns(m, v + (size_t)block * block_reals, m_ahead, v_ahead, tiles, rows, cols,
                      du + block * TUNED_BLOCK, 1);
}

/* ---- out of the transformed space ---- */

static void TIER(pulmo_k_tuned_output)(const real *m, const tuned_tiles *tiles, const real *bias,
                                       const tuned_plane *out)
{
    int each = tiles->down * tiles->across, blocks = out->channels / TUNED_BLOCK;
    size_t block_reals = (size_t)tiles->count * TUNED_BLOCK,
           row_reals = (size_t)out->columns * TUNED_BLOCK;
    size_t point_reals = tuned_point_reals(out->channels, tiles->count);
    const vec zero = splat(0);
    for (int block = 0; block < blocks; block++)
        for (int t = 0; t < tiles->count; t++) {
            int at = (tiles->first + t) % each, row = at / tiles->across * TUNED_OUT,
                column = at % tiles->across * TUNED_OUT;
            size_t place = place_of_tile(out, tiles, t, block, 1);
            for (int j = 0; j < TUNED_BLOCK; j += LANES) {
                vec y[4][4], shift = load(bias + block * TUNED_BLOCK + j);
                real *to = out->data + place + j;
                output_tile(m + (size_t)block * block_reals + (size_t)t * TUNED_BLOCK + j,
                            point_reals, y);
#pragma GCC unroll 4
                for (int r = 0; r < 4; r++)
#pragma GCC unroll 4
                    for (int x = 0; x < 4; x++)
                        if (row + r < out->height && column + x < out->width)
                            store(to + (size_t)r * row_reals + (size_t)x * TUNED_BLOCK,
                                  max_(zero, add(y[r][x], shift)) /* a NaN passes */);
            }
        }
}

static void TIER(pulmo_k_tuned_output_masked)(const real *m, const tuned_tiles *tiles,
                                              const tuned_plane *mask, const tuned_plane *out)
{
    int each = tiles->down * tiles->across, blocks = out->channels / TUNED_BLOCK;
    size_t block_reals = (size_t)tiles->count * TUNED_BLOCK,
           row_reals = (size_t)out->columns * TUNED_BLOCK;
    size_t point_reals = tuned_point_reals(out->channels, tiles->count);
    for (int block = 0; block < blocks; block++)
        for (int t = 0; t < tiles->count; t++) {
            int at = (tiles->first + t) % each, row = at / tiles->across * TUNED_OUT,
                column = at % tiles->across * TUNED_OUT;
            size_t place = place_of_tile(out, tiles, t, block, 1);
            for (int j = 0; j < TUNED_BLOCK; j += LANES, place += LANES) {
                vec y[4][4];
                output_tile(m + (size_t)block * block_reals + (size_t)t * TUNED_BLOCK + j,
                            point_reals, y);
#pragma GCC unroll 4
                for (int r = 0; r < 4; r++)
#pragma GCC unroll 4
                    for (int x = 0; x < 4; x++) {
                        size_t here = place + (size_t)r * row_reals + (size_t)x * TUNED_BLOCK;
                        if (row + r < out->height && column + x < out->width)
                            store(out->data + here,
                                  mask ? where_positive(load(mask->data + here), y[r][x])
                                       : y[r][x]);
                    }
            }
        }
}

/* ---- max-pool ---- */

static void TIER(pulmo_k_tuned_pool)(const tuned_plane *in, const tuned_plane *out, int image,
                                     int block)
{
    size_t row_reals = (size_t)in->columns * TUNED_BLOCK;
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++) {
            const real *from = in->data + place_of(in, image, block, 2 * y + 1, 2 * x + 1);
            real *to = out->data + place_of(out, image, block, y + 1, x + 1);
            for (int j = 0; j < TUNED_BLOCK; j += LANES)
                store(to + j, max_(max_(load(from + j), load(from + TUNED_BLOCK + j)),
                                   max_(load(from + row_reals + j),
                                        load(from + row_reals + TUNED_BLOCK + j))));
        }
}

static void TIER(pulmo_k_tuned_unpool)(const tuned_plane *from, const tuned_plane *values,
                                       const tuned_plane *to, int image, int block)
{
    size_t row_reals = (size_t)to->columns * TUNED_BLOCK,
           at[4] = {0, TUNED_BLOCK, row_reals, row_reals + TUNED_BLOCK};
    for (int y = 0; y < from->height; y++)
        for (int x = 0; x < from->width; x++) {
            const real *gradient = from->data + place_of(from, image, block, y + 1, x + 1);
            const real *value = values->data + place_of(values, image, block, 2 * y + 1, 2 * x + 1);
            real *out = to->data + place_of(to, image, block, 2 * y + 1, 2 * x + 1);
            for (int j = 0; j < TUNED_BLOCK; j += LANES) {
                vec four[4], most, rest;
#pragma GCC unroll 4
                for (int q = 0; q < 4; q++)
                    four[q] = load(value + at[q] + j);
                most = max_(max_(four[0], four[1]), max_(four[2], four[3]));
                rest = where_positive(most, load(gradient + j)); /* nothing passes a ReLU at 0 */
#pragma GCC unroll 4
                for (int q = 0; q < 4; q++) {
                    store(out + at[q] + j, where_equal(four[q], most, rest));
                    rest = where_other(four[q], most, rest);
                }
            }
        }
}

/* ---- weights ---- */

INLINE void filter_1d(vec g0, vec g1, vec g2, vec t[6])
{
    const vec third2 = splat((real)(2.0 / 3)), sixth = splat((real)(1.0 / 6)),
              half = splat((real)0.5), two = splat((real)2);
    const vec a = splat((real)(2.0 / 3) * A), b = splat((real)(1.0 / 6) * B);
    vec even_a = mul(third2, fma_(half, g2, g0)), even_b = mul(sixth, fma_(two, g2, g0)),
        odd_a = mul(a, g1), odd_b = mul(b, g1);
    const vec zero = splat(0);
    t[0] = g0;
    t[1] = sub(zero, add(even_a, odd_a));
    t[2] = sub(odd_a, even_a);
    t[3] = add(even_b, odd_b);
    t[4] = sub(even_b, odd_b);
    t[5] = g2;
}

/* 16 outputs at one input: taps (9, 16) to 36 points, which go past the caches: they are larger. */
INLINE void filter_16(const real *taps, real *u, size_t point_reals)
{
    for (int j = 0; j < TUNED_BLOCK; j += LANES) {
        vec w[6][3];
#pragma GCC unroll 3
        for (int x = 0; x < 3; x++) {
            vec t[6];
            filter_1d(load(taps + x * TUNED_BLOCK + j), load(taps + (3 + x) * TUNED_BLOCK + j),
                      load(taps + (6 + x) * TUNED_BLOCK + j), t);
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
                store_past(u + (size_t)(6 * y + x) * point_reals + j, t[x]);
        }
    }
}

static void TIER(pulmo_k_tuned_filter)(const real *g, int k, int c, int block, int turned, real *u)
{
    int inputs = turned ? k : (c + TUNED_BLOCK - 1) / TUNED_BLOCK * TUNED_BLOCK,
        outputs = turned ? c : k;
    int panel = block / PANEL_BLOCKS * PANEL_BLOCKS,
        wide = panel + PANEL_BLOCKS <= outputs / TUNED_BLOCK ? PANEL_BLOCKS : 1;
    int base = block / wide * wide;
    size_t point_reals = tuned_weight_reals(inputs, outputs);
    u += (size_t)(base * inputs + block - base) * TUNED_BLOCK;
    for (int i = 0; i < inputs; i++) {
        real taps[9 * TUNED_BLOCK];
        for (int o = 0; o < TUNED_BLOCK; o++) {
            int output = block * TUNED_BLOCK + o;
            size_t at = turned ? (size_t)i * (size_t)c + (size_t)output
                               : (size_t)output * (size_t)c + (size_t)i;
            for (int tap = 0; tap < 9; tap++)
                taps[(turned ? 8 - tap : tap) * TUNED_BLOCK + o] =
                    turned || i < c ? g[9 * at + (size_t)tap] : 0;
        }
        filter_16(taps, u + (size_t)(i * wide) * TUNED_BLOCK, point_reals);
    }
    past_is_done();
}

/* g = G^T t, one dimension. */
INLINE void filter_gradient_1d(const vec t[6], vec g[3])
{
    const vec third2 = splat((real)(2.0 / 3)), sixth = splat((real)(1.0 / 6)),
              third = splat((real)(1.0 / 3));
    const vec a = splat((real)(2.0 / 3) * A), b = splat((real)(1.0 / 6) * B);
    vec even_a = add(t[1], t[2]), even_b = add(t[3], t[4]);
    g[0] = fma_(sixth, even_b, fnma_(third2, even_a, t[0]));
    g[1] = fma_(b, sub(t[3], t[4]), mul(a, sub(t[2], t[1])));
    g[2] = fma_(third, sub(even_b, even_a), t[5]);
}

static void TIER(pulmo_k_tuned_filter_gradient)(const real *du, int rows, int cols, real *out)
{
    size_t point_reals = (size_t)rows * (size_t)cols;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c += LANES) {
            const real *from = du + (size_t)r * (size_t)cols + (size_t)c;
            real *to = out + (size_t)r * 9 * (size_t)cols + (size_t)c;
            vec w[3][6];
#pragma GCC unroll 6
            for (int x = 0; x < 6; x++) {
                vec t[6], g[3];
#pragma GCC unroll 6
                for (int y = 0; y < 6; y++)
                    t[y] = load(from + (size_t)(6 * y + x) * point_reals);
                filter_gradient_1d(t, g);
#pragma GCC unroll 3
                for (int y = 0; y < 3; y++)
                    w[y][x] = g[y];
            }
#pragma GCC unroll 3
            for (int y = 0; y < 3; y++) {
                vec g[3];
                filter_gradient_1d(w[y], g);
#pragma GCC unroll 3
                for (int x = 0; x < 3; x++)
                    store(to + (size_t)(3 * y + x) * (size_t)cols, g[x]);
            }
        }
}

/* ---- moments ---- */

static void TIER(pulmo_k_tuned_moments)(const tuned_plane *plane, int image, int block,
                                        double squares[TUNED_BLOCK], double sums[TUNED_BLOCK])
{
    for (int j = 0; j < TUNED_BLOCK; j++)
        squares[j] = sums[j] = 0;
    for (int y = 0; y < plane->height; y++) {
        const real *row = plane->data + place_of(plane, image, block, y + 1, 1);
        real part[2][TUNED_BLOCK];
        vec square[VECTORS], sum[VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < VECTORS; j++)
            square[j] = sum[j] = splat(0);
        for (int x = 0; x < plane->width; x++)
#pragma GCC unroll 4
            for (int j = 0; j < VECTORS; j++) {
                vec value = load(row + x * TUNED_BLOCK + j * LANES);
                square[j] = fma_(value, value, square[j]);
                sum[j] = add(sum[j], value);
            }
#pragma GCC unroll 8
        for (int j = 0; j < VECTORS; j++) {
            store(part[0] + j * LANES, square[j]);
            store(part[1] + j * LANES, sum[j]);
        }
        for (int j = 0; j < TUNED_BLOCK; j++) {
            squares[j] += (double)part[0][j];
            sums[j] += (double)part[1][j];
        }
    }
}

const tuned_kernels TIER(tuned_kernels_table) = {
    .name = TIER_NAME,
    .input = TIER(pulmo_k_tuned_input),
    .spread = TIER(pulmo_k_tuned_spread),
    .gemm = TIER(pulmo_k_tuned_gemm),
    .outer = TIER(pulmo_k_tuned_outer),
    .output = TIER(pulmo_k_tuned_output),
    .output_masked = TIER(pulmo_k_tuned_output_masked),
    .pool = TIER(pulmo_k_tuned_pool),
    .unpool = TIER(pulmo_k_tuned_unpool),
    .filter = TIER(pulmo_k_tuned_filter),
    .filter_gradient = TIER(pulmo_k_tuned_filter_gradient),
    .moments = TIER(pulmo_k_tuned_moments),
};
