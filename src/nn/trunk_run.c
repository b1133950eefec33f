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
    plane_place at = plane_place_of(&p->out, task);
    (void)thread;
    pulmo_plane_clear_frame(&p->out, at.image, at.block);
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
    double *stages = trunk_stages_of(trunk, thread);
    stages[stage] += now_s - *before_s;
    *before_s = now_s;
}

static float *scratch_of(const pulmo_trunk *trunk, int thread)
{
    int threads = pulmo_pool_threads(trunk->pool);
    size_t each = trunk->scratch_floats / threads;
    size_t first = trunk_arena_of(trunk).scratch;
    float *scratch = trunk->arena + first;
    return scratch + thread * each;
}

/* Takes a run of tiles of `in` through the layer to `out`. */
static void convolve_run(const layer_pass *p, const pulmo_plane *in, const pulmo_plane *out,
                         const pulmo_tiles *tiles, float *scratch, int thread)
{
    pulmo_trunk *trunk = p->trunk;
    const pulmo_kernels *kernels = trunk->kernels;
    const trunk_layer *w = &p->layer->pack;
    const float *u = trunk->packed + w->weight_at;
    const float *bias = trunk->packed + w->bias_at;
    int inputs = w->in_channels;
    int blocks = plane_blocks(inputs);
    size_t v_point = point_reals(inputs, tiles->count);
    float *v = scratch;
    float *m = v + tile_points(tiles->out) * v_point;
    double before_s = start_of_stage(trunk);
    kernels->input(in, tiles, 0, blocks, v);
    end_stage(trunk, thread, INPUT, &before_s);
    pulmo_wino_products(kernels, tiles, v, u, m, inputs, w->out_channels);
    end_stage(trunk, thread, GEMM, &before_s);
    bool pool = w->pool_after && !trunk_pools_apart(p->layer);
    kernels->output(m, tiles, bias, pool, out);
    end_stage(trunk, thread, OUTPUT, &before_s);
}

static void run_task(void *context, int task, int thread)
{
    const layer_pass *p = context;
    pulmo_tiles tiles = pulmo_tiles_of_run(&p->tiles, task, p->run);
    float *scratch = scratch_of(p->trunk, thread);
    convolve_run(p, &p->in, &p->out, &tiles, scratch, thread);
}

/* ---- the first layer ---- */

static void clear(float *values, size_t count)
{
    memset(values, 0, count * sizeof *values);
}

static float *framed_image(const layer_pass *p, int image)
{
    size_t place = image * p->trunk->image_floats;
    return p->framed + place;
}

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
    size_t right = stride - 1 - width;
    size_t pixels = (size_t)height * width;
    size_t framed_pixels = (height + 2) * stride;
    const float *from = p->source + task * pixels;
    float *row = framed_image(p, image);
    (void)thread;
    row += channel * framed_pixels;
    clear(row, stride);
    for (int y = 0; y < height; y++) {
        row += stride;
        row[0] = 0;
        memcpy(row + 1, from, width * sizeof *row);
        clear(row + 1 + width, right);
        from += width;
    }
    clear(row + stride, stride);
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
    const float *weight = trunk->packed + w->weight_at;
    const float *bias = trunk->packed + w->bias_at;
    pulmo_image3 framed = {.stride = trunk->stride};
    framed.data = framed_image(p, image);
    framed.rows = trunk->height_px + 2;
    trunk->kernels->direct3(&framed, weight, bias, row, rows, out, to);
}

static void first_task(void *context, int task, int thread)
{
    const layer_pass *p = context;
    int height = p->trunk->height_px;
    int tasks = divide_up(height, TASK_ROWS);
    int image = task / tasks;
    int place = task % tasks;
    int row = place * TASK_ROWS;
    int rows = smaller(height - row, TASK_ROWS);
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
    int seen = above + rows + below;
    band.data = scratch_of(trunk, thread);
    band.height = rows;
    int blocks = plane_blocks(band.channels);
    for (int block = 0; block < blocks; block++)
        pulmo_plane_clear_frame(&band, 0, block);
    first_rows(p, image, row - above, seen, &band, 1 - above);
    return band;
}

/* The second layer's tiles on a band of so many rows, a run at a time. */
static void convolve_band(const layer_pass *p, const pulmo_plane *band, const pulmo_plane *out,
                          int rows, int thread)
{
    const layer *l = p->layer;
    pulmo_tiles all = pulmo_tiles_of(l->pack.tile, rows, l->width);
    all.count = image_tiles(&all);
    int each = pulmo_run_tiles(&all, l->pack.in_channels, l->pack.out_channels, 1);
    int runs = divide_up(all.count, each);
    float *scratch = band->data + band->image_reals;
    for (int run = 0; run < runs; run++) {
        pulmo_tiles tiles = pulmo_tiles_of_run(&all, run, each);
        convolve_run(p, band, out, &tiles, scratch, thread);
    }
}

/* A band of the second layer's output: the first layer's rows, then the tiles on them. */
static void band_task(void *context, int task, int thread)
{
    const layer_pass *p = context;
    const layer *l = p->layer;
    int band_rows = p->trunk->band_rows;
    int image = task / p->bands;
    int place = task % p->bands;
    int row = place * band_rows;
    int left = l->height - row;
    int rows = smaller(left, band_rows);
    int out_row = l->pack.pool_after && !trunk_pools_apart(l) ? row / 2 : row;
    double before_s = start_of_stage(p->trunk);
    pulmo_plane band = make_band(p, image, row, rows, thread);
    end_stage(p->trunk, thread, FIRST_ROWS, &before_s);
    pulmo_plane out = p->out;
    out.data += image * out.image_reals;
    size_t row_reals = plane_row_reals(&out);
    out.data += out_row * row_reals;
    out.height -= out_row;
    convolve_band(p, &band, &out, rows, thread);
}

/* ---- a layer ---- */

/* One block of channels of one image. */
static void pool_task(void *context, int task, int thread)
{
    const layer_pass *p = context;
    plane_place at = plane_place_of(&p->pooled, task);
    double before_s = start_of_stage(p->trunk);
    pulmo_plane_clear_frame(&p->pooled, at.image, at.block);
    p->trunk->kernels->pool(&p->out, &p->pooled, at.image, at.block);
    end_stage(p->trunk, thread, OUTPUT, &before_s);
}

/* Puts the images where the first convolution finds them. */
static void enter_images(const pulmo_trunk *trunk, layer_pass *p, bool banded)
{
    if (banded || p->layer->pack.direct)
        pulmo_pool_run(trunk->pool, p->images * 3, enter_task, p);
    else if (p->layer == trunk->layer)
        pulmo_pool_run(trunk->pool, p->images, enter_blocked_task, p);
}

static void convolve_in_bands(const pulmo_trunk *trunk, layer_pass *p)
{
    p->bands = divide_up(p->layer->height, trunk->band_rows);
    int tasks = p->images * p->bands;
    pulmo_pool_run(trunk->pool, tasks, band_task, p);
}

static void convolve_directly(const pulmo_trunk *trunk, layer_pass *p)
{
    int each = divide_up(trunk->height_px, TASK_ROWS);
    int tasks = p->images * each;
    pulmo_pool_run(trunk->pool, tasks, first_task, p);
}

static void convolve_in_runs(const pulmo_trunk *trunk, layer_pass *p)
{
    const layer *l = p->layer;
    int threads = pulmo_pool_threads(trunk->pool);
    p->tiles = pulmo_tiles_of(l->pack.tile, l->height, l->width);
    int each = image_tiles(&p->tiles);
    int total = p->images * each;
    p->tiles.count = total;
    p->run = pulmo_run_tiles(&p->tiles, l->pack.in_channels, l->pack.out_channels, threads);
    int runs = divide_up(total, p->run);
    pulmo_pool_run(trunk->pool, runs, run_task, p);
}

static void convolve_layer(const pulmo_trunk *trunk, layer_pass *p, bool banded)
{
    if (banded)
        convolve_in_bands(trunk, p);
    else if (p->layer->pack.direct)
        convolve_directly(trunk, p);
    else
        convolve_in_runs(trunk, p);
}

void trunk_run_layer(layer_pass *p)
{
    pulmo_trunk *trunk = p->trunk;
    ptrdiff_t number = p->layer - trunk->layer;
    layer *l = &trunk->layer[number];
    bool second = number == 1;
    bool banded = trunk->band_rows && second;
    size_t threads = (size_t)pulmo_pool_threads(trunk->pool);
    int blocks = plane_blocks(p->out.channels);
    int frames = p->images * blocks;
    double began_s = start_of_stage(trunk);
    if (trunk->measuring)
        memset(trunk->stage_s, 0, threads * PULMO_ALIGN);
    pulmo_pool_run(trunk->pool, frames, frame_task, p);
    enter_images(trunk, p, banded);
    convolve_layer(trunk, p, banded);
    if (trunk_pools_apart(l))
        pulmo_pool_run(trunk->pool, frames, pool_task, p);
    if (!trunk->measuring)
        return;
    double seconds = pulmo_now_s() - began_s;
    trunk_add_times(trunk, l, seconds);
}
