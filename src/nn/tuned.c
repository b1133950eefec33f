/* The fine-tuned convolutions, forward. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "tuned_room.h"

#define WAVE_BYTES ((size_t)32 << 20) /* V and M of units held at once, where one is smaller */

int tuned_unit_tiles(const pulmo_tiles *tiles, int microbatch)
{
    int total = microbatch * image_tiles(tiles);
    int units = divide_up(total, TUNED_UNIT_MOST);
    return divide_up(total, units);
}

/* ---- making ---- */

/* The next `count` reals of `base`, which may be NULL while sizes are only counted. */
static real *take(real *base, size_t *at, size_t count)
{
    real *out = base ? base + *at : NULL;
    *at += whole_lines(count);
    return out;
}

/* Shapes of one layer. */
static void shape_layer(const pulmo_tuned_spec *spec, const pulmo_layout *layout, int number,
                        int height, int width, tuned_layer *out)
{
    out->true_inputs = spec->layer[number].in_channels;
    out->inputs = round_up(out->true_inputs, CHANNEL_BLOCK);
    out->outputs = spec->layer[number].out_channels;
    out->pool_after = spec->layer[number].pool_after;
    const pulmo_tensor *weight = pulmo_layout_get(layout, PULMO_CONV_WEIGHT, number);
    const pulmo_tensor *bias = pulmo_layout_get(layout, PULMO_CONV_BIAS, number);
    out->weight_at = weight->offset;
    out->bias_at = bias->offset;
    int above = smaller(number + 1, spec->layers - 1);
    int tile_above = pulmo_tile_of_block(spec->layer[above].block);
    out->tile = pulmo_tile_of_block(spec->layer[number].block);
    out->tiles = pulmo_tiles_of(out->tile, height, width);
    out->in = pulmo_plane_of(out->tile, out->inputs, height, width);
    out->values = pulmo_plane_of(out->tile, out->outputs, height, width);
    out->out = out->values;
    if (out->pool_after)
        out->out = pulmo_plane_of(tile_above, out->outputs, height / 2, width / 2);
}

/* Where the averages of outputs stand among an image's features. */
static void place_averages(pulmo_tuned *tuned, const pulmo_tuned_spec *spec)
{
    int at = 0;
    tuned->cut_is_averaged = pulmo_block_set_has(spec->averaged, spec->frozen_blocks);
    if (tuned->cut_is_averaged)
        at = spec->channels;
    for (int l = 0; l < spec->layers; l++) {
        tuned_layer *it = &tuned->layer[l];
        bool in_set = pulmo_block_set_has(spec->averaged, spec->layer[l].block);
        bool is_averaged = it->pool_after && in_set;
        it->average_at = is_averaged ? at : -1;
        if (is_averaged)
            at += it->outputs;
    }
    tuned->averages = at;
}

/* The storage of one plane of every image. */
static void place_plane(pulmo_plane *plane, int images, real *base, size_t *at)
{
    size_t reals = images * plane->image_reals;
    plane->data = take(base, at, reals);
}

/* The storage of one layer; `below` is what it reads, NULL for the first. */
static void place_layer(tuned_layer *it, const tuned_layer *below, int images, real *base,
                        size_t *at)
{
    size_t point = weight_point_reals(it->inputs, it->outputs);
    size_t weights = tile_points(it->tile) * point;
    if (below)
        it->in.data = below->out.data;
    else
        place_plane(&it->in, images, base, at);
    place_plane(&it->values, images, base, at);
    it->out.data = it->values.data;
    if (it->pool_after)
        place_plane(&it->out, images, base, at);
    it->u = take(base, at, weights);
    it->turned = NULL;
    if (below)
        it->turned = take(base, at, weights);
}

/* The most that any layer needs of what the layers share. */
typedef struct shared_sizes {
    size_t plane; /* of an image's gradient */
    size_t unit, run;
    int channels;
} shared_sizes;

static void grow_shared(shared_sizes *most, const tuned_layer *it, int microbatch)
{
    int unit_tiles = tuned_unit_tiles(&it->tiles, microbatch);
    int run_tiles = pulmo_run_tiles_most(it->tile, it->inputs, it->outputs);
    size_t unit = run_reals(it->tile, it->inputs, it->outputs, unit_tiles);
    size_t run = run_reals(it->tile, it->inputs, it->outputs, run_tiles);
    size_t part = (size_t)(tile_points(it->tile) + 9) * TUNED_PART_ROWS * TUNED_PART_COLS;
    most->plane = larger(most->plane, it->in.image_reals);
    most->plane = larger(most->plane, it->values.image_reals);
    most->unit = larger(most->unit, unit);
    most->run = larger(most->run, run);
    most->run = larger(most->run, part);
    if (it->outputs > most->channels)
        most->channels = it->outputs;
    if (it->inputs > most->channels)
        most->channels = it->inputs;
}

/* Shapes of all layers, and where each part of the storage begins; returns its size. */
static size_t lay_out(pulmo_tuned *tuned, const pulmo_tuned_spec *spec, int microbatch, int images,
                      int threads, real *base)
{
    size_t at = 0;
    shared_sizes most = {.run = 0};
    int height = spec->height;
    int width = spec->width;
    const tuned_layer *below = NULL;
    pulmo_layout layout;
    pulmo_tuned_layout_of(spec, &layout);
    for (int l = 0; l < spec->layers; l++) {
        tuned_layer *it = &tuned->layer[l];
        shape_layer(spec, &layout, l, height, width, it);
        place_layer(it, below, images, base, &at);
        grow_shared(&most, it, microbatch);
        height = it->out.height;
        width = it->out.width;
        below = it;
    }
    place_averages(tuned, spec);
    tuned->most_channels = most.channels;
    for (int i = 0; i < 2; i++)
        tuned->gradient[i] = take(base, &at, images * most.plane);
    tuned->scratch_reals = whole_lines(most.run);
    size_t scratch = threads * tuned->scratch_reals;
    tuned->scratch = take(base, &at, scratch);
    size_t wave_least = WAVE_BYTES / sizeof(real);
    tuned->wave_reals = larger(most.unit, wave_least);
    tuned->wave = take(base, &at, tuned->wave_reals);
    size_t biases = (size_t)images * tuned->most_channels;
    tuned->bias_gradient = take(base, &at, biases);
    for (int l = 0; l < spec->layers; l++) {
        int outputs = tuned->layer[l].outputs;
        tuned->bias[l] = take(base, &at, outputs);
    }
    return at;
}

uint64_t pulmo_tuned_bytes(const pulmo_tuned_spec *spec, int microbatch, int images, int threads)
{
    pulmo_tuned tuned;
    memset(&tuned, 0, sizeof tuned);
    size_t reals = lay_out(&tuned, spec, microbatch, images, threads, NULL);
    return reals * sizeof(real);
}

static bool whole_blocks(int channels)
{
    return channels % CHANNEL_BLOCK == 0;
}

static pulmo_status fail_channels(const pulmo_tuned_spec *spec, int layer)
{
    return pulmo_fail(PULMO_WEIGHTS,
                      "convolution features.%d: %d to %d channels: must follow the layer "
                      "below and be multiples of %d",
                      spec->layer[layer].feature_index, spec->layer[layer].in_channels,
                      spec->layer[layer].out_channels, CHANNEL_BLOCK);
}

static pulmo_status check_spec(const pulmo_tuned_spec *spec)
{
    int channels = spec->channels;
    for (int l = 0; l < spec->layers; l++) {
        int inputs = spec->layer[l].in_channels;
        int outputs = spec->layer[l].out_channels;
        if (inputs != channels || !whole_blocks(outputs))
            return fail_channels(spec, l);
        if (l > 0 && !whole_blocks(inputs))
            return fail_channels(spec, l);
        channels = outputs;
    }
    if (spec->layers < 1 || !spec->layer[spec->layers - 1].pool_after)
        return pulmo_fail(
            PULMO_WEIGHTS,
            "fine-tuned convolutions: there must be one at least, and a max-pool after the last");
    bool cut_is_averaged = pulmo_block_set_has(spec->averaged, spec->frozen_blocks);
    if (cut_is_averaged && !whole_blocks(spec->channels))
        return fail_channels(spec, 0);
    if (pulmo_block_set_ends(spec->averaged, spec->layer[spec->layers - 1].block))
        return PULMO_OK;
    return pulmo_fail(PULMO_WEIGHTS,
                      "the blocks whose outputs are averaged must end with the last of these "
                      "weights");
}

pulmo_status pulmo_tuned_create(const pulmo_tuned_spec *spec, pulmo_pool *pool, int microbatch,
                                int images, pulmo_tuned **out)
{
    PULMO_TRY(check_spec(spec));
    pulmo_tuned *tuned = calloc(1, sizeof *tuned);
    if (!tuned)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the fine-tuned convolutions");
    tuned->kernels = pulmo_kernels_of(spec->isa);
    tuned->pool = pool;
    tuned->threads = pulmo_pool_threads(pool);
    tuned->microbatch = microbatch;
    tuned->images = images > 0 ? images : 1;
    tuned->layers = spec->layers;
    size_t reals = lay_out(tuned, spec, microbatch, tuned->images, tuned->threads, NULL);
    tuned->storage = pulmo_alloc(reals, sizeof(real));
    size_t all_images = (size_t)tuned->images;
    size_t squares = all_images * tuned->most_channels;
    tuned->norms = pulmo_alloc(2 * all_images, sizeof(double));
    tuned->squares = pulmo_alloc(squares, sizeof(double));
    if (!tuned->storage || !tuned->norms || !tuned->squares) {
        pulmo_tuned_destroy(tuned);
        return pulmo_fail_in(PULMO_MEMORY,
                             "fine-tuned convolutions for %d images (a smaller train.batch, more "
                             "ranks, or a higher model.trainable needs less)",
                             images);
    }
    (void)lay_out(tuned, spec, microbatch, tuned->images, tuned->threads, tuned->storage);
    *out = tuned;
    return PULMO_OK;
}

void pulmo_tuned_destroy(pulmo_tuned *tuned)
{
    if (!tuned)
        return;
    pulmo_free(tuned->storage);
    pulmo_free(tuned->norms);
    pulmo_free(tuned->squares);
    free(tuned);
}

/* ---- weights ---- */

typedef struct transforming {
    pulmo_tuned *tuned;
    const real *parameters;
} transforming;

/* Blocks of outputs that a layer's weights have, forward and turned. */
static int forward_blocks(const tuned_layer *it)
{
    return plane_blocks(it->outputs);
}
static int turned_blocks(const tuned_layer *it)
{
    return it->turned ? plane_blocks(it->inputs) : 0;
}

static int filter_tasks(const tuned_layer *it)
{
    return forward_blocks(it) + turned_blocks(it);
}

/* One block of outputs of one layer, forward or turned. */
static void filter_task(void *context, int task, int thread)
{
    const transforming *job = context;
    const pulmo_kernels *kernels = job->tuned->kernels;
    const tuned_layer *it = job->tuned->layer;
    (void)thread;
    while (task >= filter_tasks(it)) {
        task -= filter_tasks(it);
        it++;
    }
    int turned = task - forward_blocks(it);
    const real *g = job->parameters + it->weight_at;
    if (turned < 0)
        kernels->filter(it->tile, g, it->outputs, it->true_inputs, task, false, it->u);
    else
        kernels->filter(it->tile, g, it->outputs, it->inputs, turned, true, it->turned);
}

void pulmo_tuned_use(pulmo_tuned *tuned, const float *parameters)
{
    transforming job = {.tuned = tuned, .parameters = (const real *)(const void *)parameters};
    int tasks = 0;
    for (int l = 0; l < tuned->layers; l++) {
        const tuned_layer *it = &tuned->layer[l];
        const real *bias = job.parameters + it->bias_at;
        size_t bias_bytes = it->outputs * sizeof *bias;
        memcpy(tuned->bias[l], bias, bias_bytes);
        tasks += filter_tasks(it);
    }
    pulmo_pool_run(tuned->pool, tasks, filter_task, &job);
}

/* ---- a convolution ---- */

typedef struct convolving {
    pulmo_tuned *tuned;
    const tuned_convolution *what;
    pulmo_tiles tiles; /* of all images */
    int run;
} convolving;

static void run_task(void *context, int task, int thread)
{
    const convolving *job = context;
    const tuned_convolution *what = job->what;
    const pulmo_kernels *kernels = job->tuned->kernels;
    pulmo_tiles tiles = pulmo_tiles_of_run(&job->tiles, task, job->run);
    int inputs = what->in->channels;
    int outputs = what->out->channels;
    size_t v_point = point_reals(inputs, tiles.count);
    real *v = tuned_scratch(job->tuned, thread);
    real *m = v + tile_points(tiles.out) * v_point;
    int blocks = plane_blocks(inputs);
    kernels->input(what->in, &tiles, 0, blocks, v);
    pulmo_wino_products(kernels, &tiles, v, what->u, m, inputs, outputs);
    if (what->bias)
        kernels->output(m, &tiles, what->bias, false, what->out);
    else
        kernels->output_masked(m, &tiles, what->mask, what->out);
}

void tuned_convolve(pulmo_tuned *tuned, const tuned_convolution *what)
{
    convolving job = {.tuned = tuned, .what = what, .tiles = *what->tiles};
    int inputs = what->in->channels;
    int outputs = what->out->channels;
    int each = image_tiles(what->tiles);
    int total = tuned->n * each;
    if (total == 0)
        return; /* a rank without microbatches */
    job.tiles.count = total;
    job.run = pulmo_run_tiles(&job.tiles, inputs, outputs, tuned->threads);
    int runs = divide_up(total, job.run);
    pulmo_pool_run(tuned->pool, runs, run_task, &job);
}

/* ---- forward ---- */

typedef struct copying {
    pulmo_tuned *tuned;
    const tuned_layer *layer;
    const float *cut;
    real *features;
    const pulmo_plane *averaged; /* to `average_at` of each image's features */
    int average_at;
} copying;

/* One block of channels of one image of the cut. */
static void enter_task(void *context, int task, int thread)
{
    const copying *job = context;
    const pulmo_plane *in = &job->layer->in;
    plane_place at = plane_place_of(in, task);
    (void)thread;
    pulmo_plane_clear_frame(in, at.image, at.block);
    pulmo_plane_fill(in, at.image, at.block, job->cut, job->layer->true_inputs);
}

static void pool_task(void *context, int task, int thread)
{
    const copying *job = context;
    const tuned_layer *it = job->layer;
    plane_place at = plane_place_of(&it->out, task);
    (void)thread;
    job->tuned->kernels->pool(&it->values, &it->out, at.image, at.block);
}

/* One block of channels of one image of an output whose averages are features. */
static void average_task(void *context, int task, int thread)
{
    const copying *job = context;
    plane_place at = plane_place_of(job->averaged, task);
    size_t first = (size_t)at.image * job->tuned->averages + job->average_at;
    (void)thread;
    pulmo_plane_average(job->averaged, at.image, at.block, job->features + first);
}

static void average(const copying *job, const pulmo_plane *plane, int average_at)
{
    copying averaging = *job;
    averaging.averaged = plane;
    averaging.average_at = average_at;
    tuned_each_block(job->tuned, plane->channels, average_task, &averaging);
}

static void leave_task(void *context, int task, int thread)
{
    const copying *job = context;
    const pulmo_plane *out = &job->layer->out;
    plane_place at = plane_place_of(out, task);
    (void)thread;
    pulmo_plane_read(out, at.image, at.block, job->features);
}

void pulmo_tuned_forward(pulmo_tuned *tuned, int n, const float *cut, float *features)
{
    copying job = {.tuned = tuned, .cut = cut, .features = (real *)(void *)features};
    tuned->n = n;
    job.layer = tuned->layer;
    tuned_each_block(tuned, job.layer->inputs, enter_task, &job);
    if (tuned->cut_is_averaged)
        average(&job, &job.layer->in, 0);
    for (int l = 0; l < tuned->layers; l++) {
        const tuned_layer *it = &tuned->layer[l];
        const tuned_convolution what = {.in = &it->in,
                                        .out = &it->values,
                                        .tiles = &it->tiles,
                                        .u = it->u,
                                        .bias = tuned->bias[l]};
        tuned_convolve(tuned, &what);
        job.layer = it;
        if (it->pool_after)
            tuned_each_block(tuned, it->outputs, pool_task, &job);
        if (it->average_at >= 0)
            average(&job, &it->out, it->average_at);
    }
    if (tuned->averages == 0)
        tuned_each_block(tuned, job.layer->outputs, leave_task, &job);
}
