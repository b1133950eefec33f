/* The frozen convolutions, one layer of some images: tasks that threads take, each with buffers of
 * its own. */
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "trunk_room.h"

#define ROWS_A_TASK 16 /* of the first layer alone */

/* The frame and the padding of one block of channels of one image are zero again. */
static void clear_frame(const pulmo_plane *p, float *block)
{
    size_t row_floats = (size_t)p->columns * CHANNEL_BLOCK;
    memset(block, 0, row_floats * sizeof(float));
    for (int y = 1; y <= p->height; y++) {
        float *row = block + (size_t)y * row_floats;
        memset(row, 0, CHANNEL_BLOCK * sizeof(float));
        memset(row + (size_t)(p->width + 1) * CHANNEL_BLOCK, 0,
               (size_t)(p->columns - p->width - 1) * CHANNEL_BLOCK * sizeof(float));
    }
    memset(block + (size_t)(p->height + 1) * row_floats, 0,
           (size_t)(p->rows - p->height - 1) * row_floats * sizeof(float));
}

static void frame_task(void *context, int task, int thread)
{
    const pass *p = context;
    (void)thread;
    clear_frame(&p->out, p->out.data + (size_t)task * (size_t)p->out.rows * (size_t)p->out.columns *
                                           CHANNEL_BLOCK);
}

/* Adds the time since *before_s to a stage of this thread. */
static void lap(pulmo_trunk *trunk, int thread, int stage, double *before_s)
{
    if (!trunk->measuring)
        return;
    double now_s = pulmo_now_s();
    trunk_stages_of(trunk, thread)[stage] += now_s - *before_s;
    *before_s = now_s;
}

static float *scratch_of(const pulmo_trunk *trunk, int thread)
{
    return trunk->arena + trunk_arena_of(trunk).scratch +
           (size_t)thread * (trunk->scratch_floats / (size_t)pulmo_pool_threads(trunk->pool));
}

/* Takes tiles of `in` through the layer to `out`. */
static void take_run(const pass *p, const pulmo_plane *in, const pulmo_plane *out,
                     const pulmo_tiles *tiles, float *scratch, int thread)
{
    pulmo_trunk *trunk = p->trunk;
    const trunk_layer *w = &p->layer->pack;
    /* Points stand as close as the run allows, an odd number of cache lines apart. */
    pulmo_transformed v = {.data = scratch,
                           .channels = w->in_channels,
                           .point_floats =
                               (size_t)tiles->count * (size_t)w->in_channels + POINT_PAD};
    pulmo_transformed m = {.data = scratch + WINO_POINTS * v.point_floats,
                           .channels = w->out_channels,
                           .point_floats =
                               (size_t)tiles->count * (size_t)w->out_channels + POINT_PAD};
    double before_s = trunk->measuring ? pulmo_now_s() : 0;
    trunk->kernels->wino43_input(in, tiles, &v);
    lap(trunk, thread, INPUT, &before_s);
    const float *u = trunk->packed + w->weight_at;
    size_t u_floats = (size_t)w->in_channels * (size_t)w->out_channels;
    for (int point = 0; point < WINO_POINTS; point++)
        trunk->kernels->wino43_gemm(
            v.data + (size_t)point * v.point_floats, u + (size_t)point * u_floats,
            m.data + (size_t)point * m.point_floats, tiles->count, w->in_channels, w->out_channels);
    lap(trunk, thread, GEMM, &before_s);
    trunk->kernels->wino43_output(&m, tiles, trunk->packed + w->bias_at, w->pool_after, out);
    lap(trunk, thread, OUTPUT, &before_s);
}

static pulmo_tiles run_of(const pulmo_tiles *all, int run, int each)
{
    pulmo_tiles tiles = *all;
    tiles.first = run * each;
    tiles.count = all->count - tiles.first < each ? all->count - tiles.first : each;
    return tiles;
}

static void run_task(void *context, int task, int thread)
{
    const pass *p = context;
    pulmo_tiles tiles = run_of(&p->tiles, task, p->run);
    take_run(p, &p->in, &p->out, &tiles, scratch_of(p->trunk, thread), thread);
}

/* ---- the first layer ---- */

/* Copies one plane of one image into its frame. */
static void enter_task(void *context, int task, int thread)
{
    const pass *p = context;
    const pulmo_trunk *trunk = p->trunk;
    int image = task / 3, channel = task % 3, height = trunk->height_px, width = trunk->width_px;
    const float *from =
        p->source + ((size_t)image * 3 + (size_t)channel) * (size_t)height * (size_t)width;
    float *to = p->framed + (size_t)image * trunk->image_floats +
                (size_t)channel * (size_t)(height + 2) * (size_t)trunk->stride;
    (void)thread;
    memset(to, 0, (size_t)trunk->stride * sizeof *to);
    for (int y = 0; y < height; y++) {
        float *row = to + (size_t)(y + 1) * (size_t)trunk->stride;
        row[0] = 0;
        memcpy(row + 1, from + (size_t)y * (size_t)width, (size_t)width * sizeof *row);
        memset(row + 1 + width, 0, (size_t)(trunk->stride - 1 - width) * sizeof *row);
    }
    memset(to + (size_t)(height + 1) * (size_t)trunk->stride, 0,
           (size_t)trunk->stride * sizeof *to);
}

/* Puts one image into the blocked layout, for a first layer that is not direct. */
static void enter_blocked_task(void *context, int image, int thread)
{
    const pass *p = context;
    const pulmo_trunk *trunk = p->trunk;
    size_t row_floats = (size_t)p->in.columns * CHANNEL_BLOCK;
    size_t cells = (size_t)trunk->height_px * (size_t)trunk->width_px;
    const float *from = p->source + (size_t)image * 3 * cells;
    float *to = p->in.data + (size_t)image * p->in.image_floats;
    (void)thread;
    memset(to, 0, p->in.image_floats * sizeof *to);
    for (int y = 0; y < trunk->height_px; y++) {
        float *pixel = to + (size_t)(y + 1) * row_floats + CHANNEL_BLOCK;
        const float *row = from + (size_t)y * (size_t)trunk->width_px;
        for (int x = 0; x < trunk->width_px; x++, pixel += CHANNEL_BLOCK)
            for (size_t c = 0; c < 3; c++)
                pixel[c] = row[c * cells + (size_t)x];
    }
}

/* Rows [row, row + rows) of one image's first layer, to `out` from its framed row `to` on. */
static void first_rows(const pass *p, int image, int row, int rows, const pulmo_plane *out, int to)
{
    const pulmo_trunk *trunk = p->trunk;
    const trunk_layer *w = &trunk->layer[0].pack;
    pulmo_image3 framed = {.data = p->framed + (size_t)image * trunk->image_floats,
                           .rows = trunk->height_px + 2,
                           .stride = trunk->stride};
    trunk->kernels->direct3(&framed, trunk->packed + w->weight_at, trunk->packed + w->bias_at, row,
                            rows, out, to);
}

static void first_task(void *context, int task, int thread)
{
    const pass *p = context;
    int tasks = (p->trunk->height_px + ROWS_A_TASK - 1) / ROWS_A_TASK, image = task / tasks,
        row = task % tasks * ROWS_A_TASK;
    int rows = p->trunk->height_px - row < ROWS_A_TASK ? p->trunk->height_px - row : ROWS_A_TASK;
    pulmo_plane out = p->out;
    double before_s = p->trunk->measuring ? pulmo_now_s() : 0;
    out.data += (size_t)image * out.image_floats;
    first_rows(p, image, row, rows, &out, row + 1);
    lap(p->trunk, thread, GEMM, &before_s);
}

/* A band of the second layer's output: the rows of the first that it sees, one above and one below
 * where the image has them, then its tiles. */
static void band_task(void *context, int task, int thread)
{
    const pass *p = context;
    pulmo_trunk *trunk = p->trunk;
    const layer *l = p->layer;
    int image = task / p->bands, row = task % p->bands * trunk->band_rows;
    int rows = l->height - row < trunk->band_rows ? l->height - row : trunk->band_rows;
    int above = row > 0, below = row + rows < l->height,
        pooled_row = l->pack.pool_after ? row / 2 : row;
    pulmo_plane band = trunk_band_plane(trunk), out = p->out;
    double before_s = trunk->measuring ? pulmo_now_s() : 0;
    band.data = scratch_of(trunk, thread);
    band.height = rows;
    for (int block = 0; block < band.channels / CHANNEL_BLOCK; block++)
        clear_frame(&band, band.data + (size_t)block * (size_t)band.rows * (size_t)band.columns *
                                           CHANNEL_BLOCK);
    first_rows(p, image, row - above, rows + above + below, &band, 1 - above);
    lap(trunk, thread, FIRST_ROWS, &before_s);
    out.data +=
        (size_t)image * out.image_floats + (size_t)pooled_row * (size_t)out.columns * CHANNEL_BLOCK;
    out.height -= pooled_row;
    pulmo_tiles all = {.down = (rows + WINO_OUT - 1) / WINO_OUT, .across = p->tiles.across};
    all.count = all.down * all.across;
    int each = trunk_run_tiles(l, all.count, 1);
    for (int run = 0; run * each < all.count; run++) {
        pulmo_tiles tiles = run_of(&all, run, each);
        take_run(p, &band, &out, &tiles, band.data + band.image_floats, thread);
    }
}

/* VGG11 pools after its first layer: the direct layer's full-size output shrinks where it is. Rows
 * are read before they are written over. */
static void max_pool_in_place(const pass *p)
{
    const pulmo_plane full = p->out, small = trunk_output_plane(p->layer);
    size_t row = (size_t)full.columns * CHANNEL_BLOCK;
    for (int block = 0; block < p->images * full.channels / CHANNEL_BLOCK; block++) {
        const float *from = full.data + (size_t)block * (size_t)full.rows * row;
        float *to =
            full.data + (size_t)block * (size_t)small.rows * (size_t)small.columns * CHANNEL_BLOCK;
        for (int y = 0; y < small.height; y++)
            for (int x = 0; x < small.width; x++)
                for (int c = 0; c < CHANNEL_BLOCK; c++) {
                    const float *at =
                        from + (size_t)(2 * y + 1) * row + (size_t)(2 * x + 1) * CHANNEL_BLOCK + c;
                    float top = at[0] > at[CHANNEL_BLOCK] ? at[0] : at[CHANNEL_BLOCK];
                    float bottom =
                        at[row] > at[row + CHANNEL_BLOCK] ? at[row] : at[row + CHANNEL_BLOCK];
                    to[((size_t)(y + 1) * (size_t)small.columns + (size_t)(x + 1)) * CHANNEL_BLOCK +
                       (size_t)c] = top > bottom ? top : bottom;
                }
        clear_frame(&small, to);
    }
}

void trunk_run_layer(pass *p)
{
    pulmo_trunk *trunk = p->trunk;
    layer *l = &trunk->layer[p->layer - trunk->layer];
    int banded = trunk->band_rows && l == &trunk->layer[1];
    double began_s = trunk->measuring ? pulmo_now_s() : 0;
    if (trunk->measuring)
        memset(trunk->stage_s, 0, (size_t)pulmo_pool_threads(trunk->pool) * PULMO_ALIGN);
    pulmo_pool_run(trunk->pool, p->images * (p->out.channels / CHANNEL_BLOCK), frame_task, p);
    if (banded || l->pack.direct)
        pulmo_pool_run(trunk->pool, p->images * 3, enter_task, p);
    else if (l == trunk->layer)
        pulmo_pool_run(trunk->pool, p->images, enter_blocked_task, p);
    p->tiles = trunk_tiles_of(l);
    p->tiles.count = p->images * p->tiles.down * p->tiles.across;
    if (banded) {
        p->bands = (l->height + trunk->band_rows - 1) / trunk->band_rows;
        pulmo_pool_run(trunk->pool, p->images * p->bands, band_task, p);
    } else if (l->pack.direct) {
        pulmo_pool_run(trunk->pool,
                       p->images * ((trunk->height_px + ROWS_A_TASK - 1) / ROWS_A_TASK), first_task,
                       p);
        if (l->pack.pool_after)
            max_pool_in_place(p);
    } else {
        p->run = trunk_run_tiles(l, p->tiles.count, pulmo_pool_threads(trunk->pool));
        pulmo_pool_run(trunk->pool, (p->tiles.count + p->run - 1) / p->run, run_task, p);
    }
    if (trunk->measuring)
        trunk_add_times(trunk, l, pulmo_now_s() - began_s);
}
