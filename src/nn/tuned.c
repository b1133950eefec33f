/* The trainable convolutions, forward. A task is a run of tiles that one thread takes through input
 * transform, 36 products and output transform; which tiles share a run changes no bit. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "tuned_room.h"

#define RUN_REALS                                                                                  \
    138240 /* V and M of a run for few channels: 540 kB; with the weights of 64 x 64 about an L2   \
            */
#define RUN_TILES_LEAST                                                                            \
    128 /* tiles a run where weights are large, so that their stream is used well */
#define RUN_TILES_MOST 132
#define WAVE_BYTES     ((size_t)32 << 20) /* V and M of units held at once, where one is smaller */

static int round_up(int value, int unit)
{
    return (value + unit - 1) / unit * unit;
}
static size_t padded(size_t reals)
{
    return (reals + 15) / 16 * 16;
}
static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static tuned_plane plane_of(int channels, int height, int width)
{
    tuned_plane p = {.channels = channels, .height = height, .width = width};
    p.rows = round_up(height, TUNED_OUT) + 2;
    p.columns = round_up(width, TUNED_OUT) + 2;
    p.image_reals = (size_t)channels * (size_t)p.rows * (size_t)p.columns;
    return p;
}

static tuned_tiles tiles_of(int height, int width)
{
    return (tuned_tiles){.down = (height + TUNED_OUT - 1) / TUNED_OUT,
                         .across = (width + TUNED_OUT - 1) / TUNED_OUT};
}

int tuned_unit_tiles(const tuned_tiles *tiles, int microbatch)
{
    int total = microbatch * tiles->down * tiles->across,
        units = (total + TUNED_UNIT_MOST - 1) / TUNED_UNIT_MOST;
    return (total + units - 1) / units;
}

static int run_tiles(int inputs, int outputs, int total, int threads)
{
    int tiles = RUN_REALS / (TUNED_POINTS * (inputs + outputs));
    if (tiles < RUN_TILES_LEAST && outputs > 64)
        tiles = RUN_TILES_LEAST;
    if (tiles < 8)
        tiles = 8;
    if (tiles > RUN_TILES_MOST)
        tiles = RUN_TILES_MOST;
    int runs = round_up((total + tiles - 1) / tiles, threads);
    int each = (total + runs - 1) / runs;
    if (each < 1)
        return 1;
    return each > RUN_TILES_MOST ? RUN_TILES_MOST : each;
}

/* ---- making ---- */

/* The next `count` reals of `base`, which may be NULL while sizes are only counted. */
static real *take(real *base, size_t *at, size_t count)
{
    real *out = base ? base + *at : NULL;
    *at += padded(count);
    return out;
}

/* V and M of some tiles. */
static size_t transformed(int inputs, int outputs, int tiles)
{
    return TUNED_POINTS * (tuned_point_reals(inputs, tiles) + tuned_point_reals(outputs, tiles));
}

/* Shapes of all layers, and where each part of the storage begins . */
static size_t lay_out(pulmo_tuned *tuned, const pulmo_tuned_spec *spec, int microbatch, int images,
                      int threads, real *base)
{
    size_t at = 0, plane = 0, unit = 0, run = 0;
    int height = spec->height, width = spec->width;
    pulmo_layout layout;
    pulmo_tuned_layout_of(spec, &layout);
    for (int l = 0; l < spec->layers; l++) {
        tuned_layer *it = &tuned->layer[l];
        it->true_inputs = spec->layer[l].in_channels;
        it->inputs = round_up(it->true_inputs, TUNED_BLOCK);
        it->outputs = spec->layer[l].out_channels;
        it->pool_after = spec->layer[l].pool_after;
        it->weight_at = pulmo_layout_get(&layout, PULMO_CONV_WEIGHT, l)->offset;
        it->bias_at = pulmo_layout_get(&layout, PULMO_CONV_BIAS, l)->offset;
        it->tiles = tiles_of(height, width);
        it->in = plane_of(it->inputs, height, width);
        it->values = plane_of(it->outputs, height, width);
        if (it->pool_after)
            height /= 2, width /= 2;
        it->out = plane_of(it->outputs, height, width);
        it->in.data = l > 0 ? tuned->layer[l - 1].out.data
                            : take(base, &at, (size_t)images * it->in.image_reals);
        it->values.data = take(base, &at, (size_t)images * it->values.image_reals);
        it->out.data = it->pool_after ? take(base, &at, (size_t)images * it->out.image_reals)
                                      : it->values.data;
        size_t weights = TUNED_POINTS * tuned_weight_reals(it->inputs, it->outputs);
        it->u = take(base, &at, weights);
        it->turned = l > 0 ? take(base, &at, weights) : NULL;
        plane = most(plane, most(it->in.image_reals, it->values.image_reals));
        unit = most(unit,
                    transformed(it->inputs, it->outputs, tuned_unit_tiles(&it->tiles, microbatch)));
        run = most(
            run,
            transformed(it->inputs, it->outputs,
                        run_tiles(it->inputs, it->outputs, 1 << 20,
                                  1))); /* evened out over threads, runs are no longer than that */
        if (it->outputs > tuned->most_channels)
            tuned->most_channels = it->outputs;
        if (it->inputs > tuned->most_channels)
            tuned->most_channels = it->inputs;
    }
    for (int i = 0; i < 2; i++)
        tuned->gradient[i] = take(base, &at, (size_t)images * plane);
    tuned->scratch_reals = padded(most(run, (TUNED_POINTS + 9) * TUNED_PART * TUNED_PART));
    tuned->scratch = take(base, &at, (size_t)threads * tuned->scratch_reals);
    tuned->wave_reals = most(unit, WAVE_BYTES / sizeof(real));
    tuned->wave = take(base, &at, tuned->wave_reals);
    tuned->bias_gradient = take(base, &at, (size_t)images * (size_t)tuned->most_channels);
    for (int l = 0; l < spec->layers; l++)
        tuned->bias[l] = take(base, &at, (size_t)tuned->layer[l].outputs);
    return at;
}

uint64_t pulmo_tuned_bytes(const pulmo_tuned_spec *spec, int microbatch, int images, int threads)
{
    pulmo_tuned tuned;
    memset(&tuned, 0, sizeof tuned);
    return lay_out(&tuned, spec, microbatch, images, threads, NULL) * sizeof(real);
}

static pulmo_status check_spec(const pulmo_tuned_spec *spec)
{
    int channels = spec->channels;
    for (int l = 0; l < spec->layers; l++) {
        if (spec->layer[l].in_channels != channels ||
            spec->layer[l].out_channels % TUNED_BLOCK != 0 ||
            (l > 0 && channels % TUNED_BLOCK != 0))
            return pulmo_fail(PULMO_WEIGHTS,
                              "convolution features.%d: %d to %d channels: must follow the layer "
                              "below and be multiples of %d",
                              spec->layer[l].feature_index, spec->layer[l].in_channels,
                              spec->layer[l].out_channels, TUNED_BLOCK);
        channels = spec->layer[l].out_channels;
    }
    if (spec->layers < 1 || !spec->layer[spec->layers - 1].pool_after)
        return pulmo_fail(
            PULMO_WEIGHTS,
            "trainable convolutions: there must be one at least, and a max-pool after the last");
    return PULMO_OK;
}

pulmo_status pulmo_tuned_create(const pulmo_tuned_spec *spec, pulmo_pool *pool, int microbatch,
                                int images, pulmo_tuned **out)
{
    PULMO_TRY(check_spec(spec));
    pulmo_tuned *tuned = calloc(1, sizeof *tuned);
    if (!tuned)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the trainable convolutions");
    tuned->spec = *spec;
    tuned->kernels = tuned_kernels_of(spec->isa);
    tuned->pool = pool;
    tuned->threads = pulmo_pool_threads(pool);
    tuned->microbatch = microbatch;
    tuned->images = images > 0 ? images : 1;
    tuned->layers = spec->layers;
    size_t reals = lay_out(tuned, spec, microbatch, tuned->images, tuned->threads, NULL);
    tuned->storage = pulmo_alloc(reals, sizeof(real));
    tuned->norms = pulmo_alloc(2 * (size_t)tuned->images, sizeof(double));
    tuned->squares =
        pulmo_alloc((size_t)tuned->images * (size_t)tuned->most_channels, sizeof(double));
    if (!tuned->storage || !tuned->norms || !tuned->squares) {
        pulmo_tuned_destroy(tuned);
        return pulmo_fail_in(PULMO_MEMORY,
                             "trainable convolutions for %d images (a smaller train.batch, more "
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

typedef struct using
{
    pulmo_tuned *tuned;
    const real *parameters;
}
using;

/* One block of outputs of one layer, forward or turned. */
static void filter_task(void *context, int task, int thread)
{
    const using *what = context;
    pulmo_tuned *tuned = what->tuned;
    (void)thread;
    for (int l = 0; l < tuned->layers; l++) {
        const tuned_layer *it = &tuned->layer[l];
        const real *g = what->parameters + it->weight_at;
        int forward = it->outputs / TUNED_BLOCK, turned = it->turned ? it->inputs / TUNED_BLOCK : 0;
        if (task < forward) {
            tuned->kernels->filter(g, it->outputs, it->true_inputs, task, 0, it->u);
            return;
        }
        if (task < forward + turned) {
            tuned->kernels->filter(g, it->outputs, it->inputs, task - forward, 1, it->turned);
            return;
        }
        task -= forward + turned;
    }
}

void pulmo_tuned_use(pulmo_tuned *tuned, const float *parameters)
{
    using what = {.tuned = tuned, .parameters = (const real *)(const void *)parameters};
    int tasks = 0;
    for (int l = 0; l < tuned->layers; l++) {
        const tuned_layer *it = &tuned->layer[l];
        memcpy(tuned->bias[l], what.parameters + it->bias_at, (size_t)it->outputs * sizeof(real));
        tasks += it->outputs / TUNED_BLOCK + (it->turned ? it->inputs / TUNED_BLOCK : 0);
    }
    pulmo_pool_run(tuned->pool, tasks, filter_task, &what);
}

/* ---- a convolution ---- */

void tuned_clear_frame(const tuned_plane *p, int image, int block)
{
    size_t row_reals = (size_t)p->columns * TUNED_BLOCK;
    real *at =
        p->data + (size_t)image * p->image_reals + (size_t)block * (size_t)p->rows * row_reals;
    memset(at, 0, row_reals * sizeof *at);
    for (int y = 1; y <= p->height; y++) {
        real *row = at + (size_t)y * row_reals;
        memset(row, 0, TUNED_BLOCK * sizeof *row);
        memset(row + (size_t)(p->width + 1) * TUNED_BLOCK, 0,
               (size_t)(p->columns - p->width - 1) * TUNED_BLOCK * sizeof *row);
    }
    memset(at + (size_t)(p->height + 1) * row_reals, 0,
           (size_t)(p->rows - p->height - 1) * row_reals * sizeof *at);
}

typedef struct convolving {
    pulmo_tuned *tuned;
    const tuned_convolution *what;
    int run, total;
} convolving;

static void run_task(void *context, int task, int thread)
{
    const convolving *c = context;
    const tuned_convolution *what = c->what;
    pulmo_tuned *tuned = c->tuned;
    tuned_tiles tiles = *what->tiles;
    tiles.first = task * c->run;
    tiles.count = c->total - tiles.first < c->run ? c->total - tiles.first : c->run;
    size_t v_reals = tuned_point_reals(what->in->channels, tiles.count),
           m_reals = tuned_point_reals(what->out->channels, tiles.count);
    size_t u_reals = tuned_weight_reals(what->in->channels, what->out->channels);
    real *v = tuned->scratch + (size_t)thread * tuned->scratch_reals,
         *m = v + TUNED_POINTS * v_reals;
    tuned->kernels->input(what->in, &tiles, 0, what->in->channels / TUNED_BLOCK, v);
    for (int point = 0; point < TUNED_POINTS; point++)
        tuned->kernels->gemm(v + (size_t)point * v_reals, what->u + (size_t)point * u_reals,
                             m + (size_t)point * m_reals, tiles.count, what->in->channels,
                             what->out->channels);
    if (what->bias)
        tuned->kernels->output(m, &tiles, what->bias, what->out);
    else
        tuned->kernels->output_masked(m, &tiles, what->mask, what->out);
}

void tuned_convolve(pulmo_tuned *tuned, const tuned_convolution *what)
{
    convolving c = {
        .tuned = tuned, .what = what, .total = tuned->n * what->tiles->down * what->tiles->across};
    if (c.total == 0)
        return; /* a rank without microbatches */
    c.run = run_tiles(what->in->channels, what->out->channels, c.total, tuned->threads);
    pulmo_pool_run(tuned->pool, (c.total + c.run - 1) / c.run, run_task, &c);
}

/* ---- forward ---- */

typedef struct crossing {
    pulmo_tuned *tuned;
    const tuned_layer *layer;
    const float *from;
    real *to;
} crossing;

/* One block of channels of one image of the cut. */
static void enter_task(void *context, int task, int thread)
{
    const crossing *c = context;
    const tuned_plane *p = &c->layer->in;
    int blocks = p->channels / TUNED_BLOCK, image = task / blocks, block = task % blocks,
        channels = c->layer->true_inputs;
    size_t cells = (size_t)p->height * (size_t)p->width;
    (void)thread;
    tuned_clear_frame(p, image, block);
    for (int i = 0; i < TUNED_BLOCK; i++) {
        int channel = block * TUNED_BLOCK + i;
        const float *from = c->from + ((size_t)image * (size_t)channels + (size_t)channel) * cells;
        for (int y = 0; y < p->height; y++) {
            real *to =
                p->data + (size_t)image * p->image_reals +
                (((size_t)block * (size_t)p->rows + (size_t)y + 1) * (size_t)p->columns + 1) *
                    TUNED_BLOCK +
                (size_t)i;
            for (int x = 0; x < p->width; x++)
                to[(size_t)x * TUNED_BLOCK] =
                    channel < channels ? (real)from[(size_t)y * (size_t)p->width + (size_t)x] : 0;
        }
    }
}

static void pool_task(void *context, int task, int thread)
{
    const crossing *c = context;
    int blocks = c->layer->outputs / TUNED_BLOCK;
    (void)thread;
    c->tuned->kernels->pool(&c->layer->values, &c->layer->out, task / blocks, task % blocks);
}

static void leave_task(void *context, int task, int thread)
{
    const crossing *c = context;
    const tuned_plane *p = &c->layer->out;
    int blocks = p->channels / TUNED_BLOCK, image = task / blocks, block = task % blocks;
    size_t cells = (size_t)p->height * (size_t)p->width;
    (void)thread;
    for (int i = 0; i < TUNED_BLOCK; i++) {
        real *to =
            c->to +
            ((size_t)image * (size_t)p->channels + (size_t)(block * TUNED_BLOCK + i)) * cells;
        for (int y = 0; y < p->height; y++)
            for (int x = 0; x < p->width; x++)
                to[(size_t)y * (size_t)p->width + (size_t)x] =
                    p->data[(size_t)image * p->image_reals +
                            (((size_t)block * (size_t)p->rows + (size_t)y + 1) *
                                 (size_t)p->columns +
                             (size_t)x + 1) *
                                TUNED_BLOCK +
                            (size_t)i];
    }
}

void pulmo_tuned_forward(pulmo_tuned *tuned, int n, const float *cut, float *features)
{
    crossing c = {
        .tuned = tuned, .layer = &tuned->layer[0], .from = cut, .to = (real *)(void *)features};
    tuned->n = n;
    pulmo_pool_run(tuned->pool, n * tuned->layer[0].inputs / TUNED_BLOCK, enter_task, &c);
    for (int l = 0; l < tuned->layers; l++) {
        c.layer = &tuned->layer[l];
        const tuned_convolution what = {.in = &c.layer->in,
                                        .out = &c.layer->values,
                                        .tiles = &c.layer->tiles,
                                        .u = c.layer->u,
                                        .bias = tuned->bias[l]};
        tuned_convolve(tuned, &what);
        if (c.layer->pool_after)
            pulmo_pool_run(tuned->pool, n * c.layer->outputs / TUNED_BLOCK, pool_task, &c);
    }
    pulmo_pool_run(tuned->pool, n * c.layer->outputs / TUNED_BLOCK, leave_task, &c);
}
