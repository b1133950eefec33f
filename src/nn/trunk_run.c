/* The frozen convolutions, one layer of some images: tasks that threads take, each with buffers of
 * its own. */
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "trunk_room.h"

#define TASK_ROWS 16 /* of the first layer alone */

static void frame_task(void *context, int task, int thread)
{
    const layer_pass *p = context;
    int blocks = p->out.channels / CHANNEL_BLOCK;
    (void)thread;
    pulmo_plane_clear_frame(&p->out, task / blocks, task % blocks);
}

static double start_of_stage(const pulmo_trunk *trunk)
{
    return trunk->measuring ? pulmo_now_s() : 0;
}

/* Adds the time since *before_s to a stage of this thread. */
static void end_stage(pulmo_trunk *trunk, int thread, int stage, double *before_s)
{
    if (!trunk->measuring)
        return;
    double now_s = pulmo_now_s();
    trunk_stages_of(trunk, thread)[stage] += now_s - *before_s;
    *before_s = now_s;
}

static float *scratch_of(const pulmo_trunk *trunk, int thread)
{
    size_t each = trunk->scratch_floats / pulmo_pool_threads(trunk->pool);
    return trunk->arena + trunk_arena_of(trunk).scratch + thread * each;
}

/* Takes a run of tiles of `in` through the layer to `out`. */
static void convolve_run(const layer_pass *p, const pulmo_plane *in, const pulmo_plane *out,
                         const pulmo_tiles *tiles, float *scratch, int thread)
{
    pulmo_trunk *trunk = p->trunk;
    const trunk_layer *w = &p->layer->pack;
    float *v = scratch;
    float *m = v + WINO_POINTS * point_reals(w->in_channels, tiles->count);
    double before_s = start_of_stage(trunk);
    trunk->kernels->input(in, tiles, 0, w->in_channels / CHANNEL_BLOCK, v);
    end_stage(trunk, thread, INPUT, &before_s);
    pulmo_wino_products(trunk->kernels, v, trunk->packed + w->weight_at, m, tiles->count,
                        w->in_channels, w->out_channels);
    end_stage(trunk, thread, GEMM, &before_s);
    trunk->kernels->output(m, tiles, trunk->packed + w->bias_at, w->pool_after, out);
    end_stage(trunk, thread, OUTPUT, &before_s);
}

static void run_task(void *context, int task, int thread)
{
    const layer_pass *p = context;
    pulmo_tiles tiles = pulmo_tiles_of_run(&p->tiles, task, p->run);
    convolve_run(p, &p->in, &p->out, &tiles, scratch_of(p->trunk, thread), thread);
}

/* ---- the first layer ---- */

/* Copies one plane of one image into its frame. */
static void enter_task(void *context, int task, int thread)
{
    const layer_pass *p = context;
    const pulmo_trunk *trunk = p->trunk;
    int image = task / 3;
    int channel = task % 3;
    int height = trunk->height_px;
    int width = trunk->width_px;
    size_t stride = trunk->stride;
    const float *from = p->source + (size_t)task * height * width;
    float *row = p->framed + image * trunk->image_floats + channel * (height + 2) * stride;
    (void)thread;
    memset(row, 0, stride * sizeof *row);
    for (int y = 0; y < height; y++) {
        row += stride;
        row[0] = 0;
        memcpy(row + 1, from + (size_t)y * width, width * sizeof *row);
        memset(row + 1 + width, 0, (stride - 1 - width) * sizeof *row);
    }
    memset(row + stride, 0, stride * sizeof *row);
}

/* Puts one image into the blocked layout, for a first layer that is not direct. */
static void enter_blocked_task(void *context, int image, int thread)
{
    const layer_pass *p = context;
    (void)thread;
    pulmo_plane_clear_frame(&p->in, image, 0);
    pulmo_plane_fill(&p->in, image, 0, p->source, 3);
}

/* Rows [row, row + rows) of one image's first layer, to `out` from its framed row `to` on. */
static void first_rows(const layer_pass *p, int image, int row, int rows, const pulmo_plane *out,
                       int to)
{
    const pulmo_trunk *trunk = p->trunk;
    const trunk_layer *w = &trunk->layer[0].pack;
    pulmo_image3 framed = {.data = p->framed + image * trunk->image_floats,
                           .rows = trunk->height_px + 2,
                           .stride = trunk->stride};
    trunk->kernels->direct3(&framed, trunk->packed + w->weight_at, trunk->packed + w->bias_at, row,
                            rows, out, to);
}

static void first_task(void *context, int task, int thread)
{
    const layer_pass *p = context;
    int height = p->trunk->height_px;
    int tasks = pulmo_runs_of(height, TASK_ROWS);
    int image = task / tasks;
    int row = task % tasks * TASK_ROWS;
    int rows = height - row < TASK_ROWS ? height - row : TASK_ROWS;
    pulmo_plane out = p->out;
    double before_s = start_of_stage(p->trunk);
    out.data += image * out.image_reals;
    first_rows(p, image, row, rows, &out, row + 1);
    end_stage(p->trunk, thread, GEMM, &before_s);
}

/* The first layer's rows that a band of the second sees: its own, and one above and one below where
 * the image has them. The thread's scratch holds them. */
static pulmo_plane make_band(const layer_pass *p, int image, int row, int rows, int thread)
{
    const pulmo_trunk *trunk = p->trunk;
    pulmo_plane band = trunk_band_plane(trunk);
    int above = row > 0;
    int below = row + rows < p->layer->height;
    band.data = scratch_of(trunk, thread);
    band.height = rows;
    for (int block = 0; block < band.channels / CHANNEL_BLOCK; block++)
        pulmo_plane_clear_frame(&band, 0, block);
    first_rows(p, image, row - above, rows + above + below, &band, 1 - above);
    return band;
}

/* A band of the second layer's output: the first layer's rows, then the tiles on them. */
static void band_task(void *context, int task, int thread)
{
    const layer_pass *p = context;
    const layer *l = p->layer;
    int band_rows = p->trunk->band_rows;
    int image = task / p->bands;
    int row = task % p->bands * band_rows;
    int rows = l->height - row < band_rows ? l->height - row : band_rows;
    int out_row = l->pack.pool_after ? row / 2 : row;
    double before_s = start_of_stage(p->trunk);
    pulmo_plane band = make_band(p, image, row, rows, thread);
    end_stage(p->trunk, thread, FIRST_ROWS, &before_s);
    pulmo_plane out = p->out;
    out.data += image * out.image_reals + out_row * plane_row_reals(&out);
    out.height -= out_row;
    pulmo_tiles all = pulmo_tiles_of(rows, l->width);
    all.count = all.down * all.across;
    int each = pulmo_run_tiles(l->pack.in_channels, l->pack.out_channels, all.count, 1);
    for (int run = 0; run < pulmo_runs_of(all.count, each); run++) {
        pulmo_tiles tiles = pulmo_tiles_of_run(&all, run, each);
        convolve_run(p, &band, &out, &tiles, band.data + band.image_reals, thread);
    }
}

static float max4(float a, float b, float c, float d)
{
    float top = a > b ? a : b;
    float bottom = c > d ? c : d;
    return top > bottom ? top : bottom;
}

/* One block of channels of one image, from `full` to `small` in the same memory: rows are read
 * before they are written over. */
static void max_pool_block(const pulmo_plane *full, const pulmo_plane *small, int image, int block)
{
    size_t row = plane_row_reals(full);
    for (int y = 0; y < small->height; y++)
        for (int x = 0; x < small->width; x++) {
            const float *top = plane_at(full, image, block, 2 * y + 1, 2 * x + 1);
            const float *bottom = top + row;
            float *to = plane_at(small, image, block, y + 1, x + 1);
            for (int c = 0; c < CHANNEL_BLOCK; c++)
                to[c] = max4(top[c], top[CHANNEL_BLOCK + c], bottom[c], bottom[CHANNEL_BLOCK + c]);
        }
    pulmo_plane_clear_frame(small, image, block);
}

/* VGG11 pools after its first layer: the direct layer's full-size output shrinks where it is. */
static void max_pool_in_place(const layer_pass *p)
{
    pulmo_plane small = trunk_output_plane(p->layer);
    small.data = p->out.data;
    for (int image = 0; image < p->images; image++)
        for (int block = 0; block < small.channels / CHANNEL_BLOCK; block++)
            max_pool_block(&p->out, &small, image, block);
}

/* ---- a layer ---- */

/* Puts the images where the first convolution finds them. */
static void enter_images(const pulmo_trunk *trunk, layer_pass *p, bool banded)
{
    if (banded || p->layer->pack.direct)
        pulmo_pool_run(trunk->pool, p->images * 3, enter_task, p);
    else if (p->layer == trunk->layer)
        pulmo_pool_run(trunk->pool, p->images, enter_blocked_task, p);
}

static void convolve_layer(const pulmo_trunk *trunk, layer_pass *p, bool banded)
{
    const layer *l = p->layer;
    p->tiles = pulmo_tiles_of(l->height, l->width);
    p->tiles.count = p->images * p->tiles.down * p->tiles.across;
    if (banded) {
        p->bands = pulmo_runs_of(l->height, trunk->band_rows);
        pulmo_pool_run(trunk->pool, p->images * p->bands, band_task, p);
    } else if (l->pack.direct) {
        int tasks = pulmo_runs_of(trunk->height_px, TASK_ROWS);
        pulmo_pool_run(trunk->pool, p->images * tasks, first_task, p);
        if (l->pack.pool_after)
            max_pool_in_place(p);
    } else {
        p->run = pulmo_run_tiles(l->pack.in_channels, l->pack.out_channels, p->tiles.count,
                                 pulmo_pool_threads(trunk->pool));
        pulmo_pool_run(trunk->pool, pulmo_runs_of(p->tiles.count, p->run), run_task, p);
    }
}

void trunk_run_layer(layer_pass *p)
{
    pulmo_trunk *trunk = p->trunk;
    layer *l = &trunk->layer[p->layer - trunk->layer];
    bool banded = trunk->band_rows && l == &trunk->layer[1];
    double began_s = start_of_stage(trunk);
    if (trunk->measuring)
        memset(trunk->stage_s, 0, (size_t)pulmo_pool_threads(trunk->pool) * PULMO_ALIGN);
    pulmo_pool_run(trunk->pool, p->images * (p->out.channels / CHANNEL_BLOCK), frame_task, p);
    enter_images(trunk, p, banded);
    convolve_layer(trunk, p, banded);
    if (trunk->measuring)
        trunk_add_times(trunk, l, pulmo_now_s() - began_s);
}
