/* The kernels of the fine-tuned convolutions' gradients, written once for a vector of LANES reals;
 * included after forward_body.h, which says what a tier defines, and followed by its table.
 *
 * The gradient by the weights is the same bilinear form as the convolution with the roles changed:
 * with Y = A^T [(G g G^T) . (B^T d B)] A, a loss of gradient dY by Y has the gradient
 * G^T [sum over tiles of (B^T d B) . (A dY A^T)] G by g. */

/* ---- transform of an output's gradient ---- */

/* t = A y, one dimension. */
INLINE void spread_1d(const wino *w, const vec *y, vec *t)
{
    const int n = w->pairs, zero = w->zero, out = w->out;
    if (zero)
        t[0] = y[0];
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        const vec p = splat((real)w->power[i][1]);
        vec even = y[0], odd = y[1]; /* odd over p */
#pragma GCC unroll 4
        for (int k = 2; k < out; k += 2)
            even = fma_(splat((real)w->power[i][k]), y[k], even);
#pragma GCC unroll 4
        for (int k = 3; k < out; k += 2)
            odd = fma_(splat((real)w->power[i][k - 1]), y[k], odd);
        t[zero + 2 * i] = fma_(p, odd, even);
        t[zero + 2 * i + 1] = fnma_(p, odd, even);
    }
    t[zero + 2 * n] = y[out - 1];
}

INLINE void spread_tile(const wino *w, const real *from, size_t row_reals, real *to, size_t apart)
{
    const int out = w->out, in = out + 2;
    vec half[TILE_IN_MOST][TILE_OUT_MOST];
    for (int x = 0; x < out; x++) {
        vec d[TILE_OUT_MOST], t[TILE_IN_MOST];
#pragma GCC unroll 7
        for (int y = 0; y < out; y++)
            d[y] = load(from + y * row_reals + x * CHANNEL_BLOCK);
        spread_1d(w, d, t);
#pragma GCC unroll 9
        for (int y = 0; y < in; y++)
            half[y][x] = t[y];
    }
    for (int y = 0; y < in; y++) {
        vec t[TILE_IN_MOST];
        spread_1d(w, half[y], t);
#pragma GCC unroll 9
        for (int x = 0; x < in; x++)
            store(to + (in * y + x) * apart, t[x]);
    }
}

INLINE void spread_tiles(const wino *w, const pulmo_plane *gradient, const pulmo_tiles *tiles,
                         int first, int count, real *m)
{
    const int out = w->out;
    size_t block_reals = (size_t)tiles->count * CHANNEL_BLOCK;
    size_t row_reals = plane_row_reals(gradient);
    size_t apart = point_reals(gradient->channels, tiles->count);
    for (int block = first; block < first + count; block++)
        for (int t = 0; t < tiles->count; t++) {
            tile at = tile_at(tiles, t);
            const real *from =
                plane_at(gradient, at.image, block, at.down * out + 1, at.across * out + 1);
            real *to = m + block * block_reals + (size_t)t * CHANNEL_BLOCK;
            for (int j = 0; j < CHANNEL_BLOCK; j += LANES)
                spread_tile(w, from + j, row_reals, to + j, apart);
        }
}

static void TIER(pulmo_k_wino_spread)(const pulmo_plane *gradient, const pulmo_tiles *tiles,
                                      int first, int count, real *m){
#define CALL(w) spread_tiles(w, gradient, tiles, first, count, m)
    WITH_SIZE(tiles->out, CALL)
#undef CALL
}

/* ---- products ---- */

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
        prefetch(ahead + t * CHANNEL_BLOCK);
#pragma GCC unroll 8
        for (int j = 0; j < blocks * VECTORS; j++)
            value[j] =
                load(v + j / VECTORS * block_reals + t * CHANNEL_BLOCK + j % VECTORS * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            vec x = splat(m[t * CHANNEL_BLOCK + r]);
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
    size_t block_reals = (size_t)tiles * CHANNEL_BLOCK;
    for (int first = 0; first < tiles; first += OUTER_TILES) {
        int end = tiles - first < OUTER_TILES ? tiles : first + OUTER_TILES;
        int group = 0;
        for (int r = 0; r < rows; group++) {
            int within = r % CHANNEL_BLOCK;
            const real *from = m + r / CHANNEL_BLOCK * block_reals + within;
            const real *ahead = v + v_ahead + group * block_reals;
            if (group >= blocks) {
                int row_block = (group - blocks) % (rows / CHANNEL_BLOCK);
                ahead = m + m_ahead + row_block * block_reals;
            }
            if (CHANNEL_BLOCK - within >= OUTER_ROWS) {
                outer_block(from, v, block_reals, first, end, cols, du + r * cols, ahead,
                            OUTER_ROWS, blocks);
                r += OUTER_ROWS;
            } else {
                outer_block(from, v, block_reals, first, end, cols, du + r * cols, ahead,
                            CHANNEL_BLOCK % OUTER_ROWS, blocks);
                r += CHANNEL_BLOCK % OUTER_ROWS;
            }
        }
    }
}

static void TIER(pulmo_k_wino_outer)(const real *m, const real *v, size_t m_ahead, size_t v_ahead,
                                     int tiles, int rows, int cols, real *du)
{
    size_t block_reals = (size_t)tiles * CHANNEL_BLOCK;
    int blocks = cols / CHANNEL_BLOCK;
    int block = 0;
    for (; block + OUTER_BLOCKS <= blocks; block += OUTER_BLOCKS)
        outer_columns(m, v + block * block_reals, m_ahead, v_ahead, tiles, rows, cols,
                      du + block * CHANNEL_BLOCK, OUTER_BLOCKS);
    for (; block < blocks; block++)
        outer_columns(m, v + block * block_reals, m_ahead, v_ahead, tiles, rows, cols,
                      du + block * CHANNEL_BLOCK, 1);
}

/* ---- out of the transformed space ---- */

/* The first `rows` x `columns` of a tile, where the mask has them; `at` counts from the same place
 * in the mask and in the output. */
INLINE void write_masked(const wino *w, vec half[TILE_OUT_MOST][TILE_IN_MOST],
                         const pulmo_plane *mask, const pulmo_plane *out, size_t at, int rows,
                         int columns)
{
    size_t row_reals = plane_row_reals(out);
    for (int r = 0; r < rows; r++, at += row_reals) {
        vec y[TILE_OUT_MOST];
        output_1d(w, half[r], y);
#pragma GCC unroll 7
        for (int x = 0; x < w->out; x++) {
            size_t here = at + x * CHANNEL_BLOCK;
            if (x >= columns)
                continue;
            if (mask)
                y[x] = where_positive(load(mask->data + here), y[x]);
            store(out->data + here, y[x]);
        }
    }
}

INLINE void output_masked_tiles(const wino *w, const real *m, const pulmo_tiles *tiles,
                                const pulmo_plane *mask, const pulmo_plane *out)
{
    size_t block_reals = (size_t)tiles->count * CHANNEL_BLOCK;
    size_t apart = point_reals(out->channels, tiles->count);
    for (int block = 0; block < out->channels / CHANNEL_BLOCK; block++)
        for (int t = 0; t < tiles->count; t++) {
            tile at = tile_at(tiles, t);
            int row = at.down * w->out;
            int column = at.across * w->out;
            int rows = smaller(out->height - row, w->out);
            int columns = smaller(out->width - column, w->out);
            const real *from = m + block * block_reals + (size_t)t * CHANNEL_BLOCK;
            size_t to = (size_t)(plane_at(out, at.image, block, row + 1, column + 1) - out->data);
            for (int j = 0; j < CHANNEL_BLOCK; j += LANES) {
                vec half[TILE_OUT_MOST][TILE_IN_MOST];
                output_columns(w, from + j, apart, j == 0 ? M_AHEAD * CHANNEL_BLOCK : 0, half);
                write_masked(w, half, mask, out, to + j, rows, columns);
            }
        }
}

static void TIER(pulmo_k_wino_output_masked)(const real *m, const pulmo_tiles *tiles,
                                             const pulmo_plane *mask, const pulmo_plane *out)
{
#define CALL(w) output_masked_tiles(w, m, tiles, mask, out)
    WITH_SIZE(tiles->out, CALL)
#undef CALL
}

/* ---- max-pool ---- */

static void TIER(pulmo_k_unpool)(const pulmo_plane *from, const pulmo_plane *values,
                                 const pulmo_plane *to, int image, int block)
{
    size_t row_reals = plane_row_reals(to);
    const size_t at[4] = {0, CHANNEL_BLOCK, row_reals, row_reals + CHANNEL_BLOCK};
    for (int y = 0; y < from->height; y++)
        for (int x = 0; x < from->width; x++) {
            const real *gradient = plane_at(from, image, block, y + 1, x + 1);
            const real *value = plane_at(values, image, block, 2 * y + 1, 2 * x + 1);
            real *out = plane_at(to, image, block, 2 * y + 1, 2 * x + 1);
            for (int j = 0; j < CHANNEL_BLOCK; j += LANES) {
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

/* g = G^T t, one dimension. */
INLINE void filter_gradient_1d(const wino *w, const vec *t, vec g[3])
{
    const int n = w->pairs, zero = w->zero;
    g[0] = zero ? mul(splat((real)w->zero_scale), t[0]) : splat(0);
    g[1] = splat(0);
    g[2] = t[zero + 2 * n];
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        const double scale = w->scale[i], p = w->power[i][1];
        vec sum = add(t[zero + 2 * i], t[zero + 2 * i + 1]);
        vec difference = sub(t[zero + 2 * i], t[zero + 2 * i + 1]);
        vec even = zero ? sum : difference;
        vec odd = zero ? difference : sum;
        g[0] = fma_(splat((real)scale), even, g[0]);
        g[1] = fma_(splat((real)(scale * p)), odd, g[1]);
        g[2] = fma_(splat((real)(scale * p * p)), even, g[2]);
    }
}

INLINE void filter_gradients(const wino *w, const real *du, int rows, int cols, real *values)
{
    const int in = w->out + 2;
    size_t apart = (size_t)rows * cols;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c += LANES) {
            const real *from = du + (size_t)r * cols + c;
            real *to = values + (size_t)r * 9 * cols + c;
            vec half[3][TILE_IN_MOST];
            for (int x = 0; x < in; x++) {
                vec t[TILE_IN_MOST], g[3];
#pragma GCC unroll 9
                for (int y = 0; y < in; y++)
                    t[y] = load(from + (in * y + x) * apart);
                filter_gradient_1d(w, t, g);
#pragma GCC unroll 3
                for (int y = 0; y < 3; y++)
                    half[y][x] = g[y];
            }
#pragma GCC unroll 3
            for (int y = 0; y < 3; y++) {
                vec g[3];
                filter_gradient_1d(w, half[y], g);
#pragma GCC unroll 3
                for (int x = 0; x < 3; x++)
                    store(to + (size_t)(3 * y + x) * cols, g[x]);
            }
        }
}

static void TIER(pulmo_k_wino_filter_gradient)(int out, const real *du, int rows, int cols,
                                               real *values)
{
#define CALL(w) filter_gradients(w, du, rows, cols, values)
    WITH_SIZE(out, CALL)
#undef CALL
}

/* ---- moments ---- */

static void TIER(pulmo_k_moments)(const pulmo_plane *plane, int image, int block,
                                  double squares[CHANNEL_BLOCK], double sums[CHANNEL_BLOCK])
{
    for (int j = 0; j < CHANNEL_BLOCK; j++)
        squares[j] = sums[j] = 0;
    for (int y = 0; y < plane->height; y++) {
        const real *row = plane_at(plane, image, block, y + 1, 1);
        real part[2][CHANNEL_BLOCK];
        vec square[VECTORS], sum[VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < VECTORS; j++)
            square[j] = sum[j] = splat(0);
        for (int x = 0; x < plane->width; x++)
#pragma GCC unroll 4
            for (int j = 0; j < VECTORS; j++) {
                vec value = load(row + x * CHANNEL_BLOCK + j * LANES);
                square[j] = fma_(value, value, square[j]);
                sum[j] = add(sum[j], value);
            }
#pragma GCC unroll 8
        for (int j = 0; j < VECTORS; j++) {
            store(part[0] + j * LANES, square[j]);
            store(part[1] + j * LANES, sum[j]);
        }
        for (int j = 0; j < CHANNEL_BLOCK; j++) {
            squares[j] += (double)part[0][j];
            sums[j] += (double)part[1][j];
        }
    }
}

const pulmo_kernels TIER(pulmo_kernels_table) = {
    .name = TIER_NAME,
    .panel = PANEL,
    .input = TIER(pulmo_k_wino_input),
    .gemm = TIER(pulmo_k_wino_gemm),
    .output = TIER(pulmo_k_wino_output),
    .direct3 = TIER(pulmo_k_direct3),
    .pool = TIER(pulmo_k_pool),
    .filter = TIER(pulmo_k_wino_filter),
    .spread = TIER(pulmo_k_wino_spread),
    .outer = TIER(pulmo_k_wino_outer),
    .output_masked = TIER(pulmo_k_wino_output_masked),
    .unpool = TIER(pulmo_k_unpool),
    .filter_gradient = TIER(pulmo_k_wino_filter_gradient),
    .moments = TIER(pulmo_k_moments),
    .fma_peak = TIER(pulmo_k_fma_peak),
};
