/* The fine-tuned convolutions, backward: a layer's gradient by its weights, unit by unit, then by
 * its input. Every number is one fixed chain of operations; threads share out units and parts. */
#include <math.h>
#include <string.h>

#include "tuned_room.h"

/* A gradient on its way to the plane `to`: the features' from `from`, a pooled one from `source`.
 */
typedef struct descent {
    pulmo_tuned *tuned;
    const tuned_layer *layer;
    const float *from;
    const pulmo_plane *source, *to;
} descent;

/* The features' gradient, one block of channels of one image, into a plane. */
static void arrive_task(void *context, int task, int thread)
{
    const descent *p = context;
    int blocks = p->to->channels / CHANNEL_BLOCK;
    (void)thread;
    pulmo_plane_fill(p->to, task / blocks, task % blocks, p->from, p->to->channels);
}

/* An odd last row or column belongs to no pooled cell. */
static void clear_unpooled(const pulmo_plane *p, int image, int block)
{
    size_t row_reals = plane_row_reals(p);
    pulmo_plane_clear_frame(p, image, block);
    if (p->height % 2)
        memset(plane_at(p, image, block, p->height, 0), 0, row_reals * sizeof(real));
    for (int y = 1; p->width % 2 && y <= p->height; y++)
        memset(plane_at(p, image, block, y, p->width), 0, CHANNEL_BLOCK * sizeof(real));
}

static void unpool_task(void *context, int task, int thread)
{
    const descent *p = context;
    int blocks = p->to->channels / CHANNEL_BLOCK;
    int image = task / blocks;
    int block = task % blocks;
    (void)thread;
    clear_unpooled(p->to, image, block);
    p->tuned->kernels->unpool(p->source, &p->layer->values, p->to, image, block);
}

static void clear_task(void *context, int task, int thread)
{
    const descent *p = context;
    int blocks = p->to->channels / CHANNEL_BLOCK;
    (void)thread;
    pulmo_plane_clear_frame(p->to, task / blocks, task % blocks);
}

static pulmo_plane plane_in(const pulmo_plane *shape, real *data)
{
    pulmo_plane out = *shape;
    out.data = data;
    return out;
}

/* From the gradient by a pooled layer's output, in plane `source` of the other buffer, to
 * tuned->dy. */
static void unpool(pulmo_tuned *tuned, const tuned_layer *layer, const pulmo_plane *source)
{
    tuned->dy = plane_in(&layer->values, tuned->gradient[tuned->current]);
    descent p = {.tuned = tuned, .layer = layer, .source = source, .to = &tuned->dy};
    pulmo_pool_run(tuned->pool, tuned->n * layer->outputs / CHANNEL_BLOCK, unpool_task, &p);
}

void pulmo_tuned_backward(pulmo_tuned *tuned, const float *gradient)
{
    const tuned_layer *last = &tuned->layer[tuned->layers - 1];
    tuned->current = 0;
    pulmo_plane pooled = plane_in(&last->out, tuned->gradient[1]);
    descent p = {.tuned = tuned, .from = gradient, .to = &pooled};
    pulmo_pool_run(tuned->pool, tuned->n * last->outputs / CHANNEL_BLOCK, arrive_task, &p);
    unpool(tuned, last, &pooled);
}

void pulmo_tuned_below(pulmo_tuned *tuned, int layer)
{
    const tuned_layer *it = &tuned->layer[layer];
    const tuned_layer *lower = it - 1;
    pulmo_plane out = plane_in(&it->in, tuned->gradient[1 - tuned->current]);
    const tuned_convolution what = {.in = &tuned->dy,
                                    .out = &out,
                                    .tiles = &it->tiles,
                                    .u = it->turned,
                                    .mask = lower->pool_after ? NULL : &it->in};
    descent p = {.tuned = tuned, .to = &out};
    if (!lower->pool_after)
        pulmo_pool_run(tuned->pool, tuned->n * it->inputs / CHANNEL_BLOCK, clear_task, &p);
    tuned_convolve(tuned, &what);
    if (lower->pool_after) {
        unpool(tuned, lower, &out);
        return;
    }
    tuned->current = 1 - tuned->current;
    tuned->dy = out;
}

/* ---- bounds ---- */

typedef struct measuring {
    pulmo_tuned *tuned;
    const pulmo_plane *plane;
    bool sums;
} measuring;

/* Where a channel's number of an image stands in squares and bias_gradient. */
static size_t channel_place(const pulmo_tuned *tuned, int image, int channel)
{
    return (size_t)image * tuned->most_channels + channel;
}

static void moments_task(void *context, int task, int thread)
{
    const measuring *m = context;
    pulmo_tuned *tuned = m->tuned;
    int blocks = m->plane->channels / CHANNEL_BLOCK;
    int image = task / blocks;
    int block = task % blocks;
    size_t at = channel_place(tuned, image, block * CHANNEL_BLOCK);
    double sums[CHANNEL_BLOCK];
    (void)thread;
    tuned->kernels->moments(m->plane, image, block, tuned->squares + at, sums);
    if (m->sums)
        for (int i = 0; i < CHANNEL_BLOCK; i++)
            tuned->bias_gradient[at + i] = (real)sums[i];
}

/* The largest norm of a channel, per image; infinite where one is NaN. */
static void norms_of(pulmo_tuned *tuned, const pulmo_plane *plane, bool sums, double *norms)
{
    measuring m = {.tuned = tuned, .plane = plane, .sums = sums};
    pulmo_pool_run(tuned->pool, tuned->n * plane->channels / CHANNEL_BLOCK, moments_task, &m);
    for (int n = 0; n < tuned->n; n++) {
        double most = 0;
        for (int c = 0; c < plane->channels; c++) {
            double square = tuned->squares[channel_place(tuned, n, c)];
            if (!(square <= most))
                most = isnan(square) ? INFINITY : square;
        }
        norms[n] = sqrt(most);
    }
}

/* The largest magnitude of one image's gradient by the layer's bias. */
static double largest_bias(const pulmo_tuned *tuned, int image, int outputs)
{
    const real *gradient = tuned->bias_gradient + channel_place(tuned, image, 0);
    double most = 0;
    for (int k = 0; k < outputs; k++)
        most = fmax(most, fabs((double)gradient[k]));
    return most;
}

/* An element of the exact gradient is sum over pixels of dy x, at most the product of the two
 * channels' norms (Cauchy and Schwarz), image by image; and so is the sum of the magnitudes of a
 * microbatch's units. The computed one differs by the transforms' rounding: the absolute sums of
 * B^T's, A's and G^T's rows are below 5.2, 7.3 and 2.7, hence its error below (5.2 * 7.3 * 2.7)^2
 * (tiles + 20) 2^-24 times the norms' product, below 0.2 for 256 tiles. The factor 2 covers it, and
 * the norms' own rounding. */
void pulmo_tuned_bounds(pulmo_tuned *tuned, int layer, double *weight, double *bias)
{
    const tuned_layer *it = &tuned->layer[layer];
    double *x = tuned->norms;
    double *dy = x + tuned->images;
    double microbatch_weight = 0;
    double microbatch_bias = 0;
    norms_of(tuned, &it->in, false, x);
    norms_of(tuned, &tuned->dy, true, dy);
    *weight = *bias = 0;
    for (int n = 0; n < tuned->n; n++) {
        if (n % tuned->microbatch == 0)
            microbatch_weight = microbatch_bias = 0;
        if (x[n] > 0 && dy[n] > 0)
            microbatch_weight += 2 * x[n] * dy[n] + 0x1p-120;
        microbatch_bias += isfinite(dy[n]) ? largest_bias(tuned, n, it->outputs) : INFINITY;
        /* Sums of magnitudes grow: the whole microbatch's is the largest. */
        *weight = fmax(*weight, microbatch_weight);
        *bias = fmax(*bias, microbatch_bias * (1 + 0x1p-40));
    }
}

const float *pulmo_tuned_bias_gradient(const pulmo_tuned *tuned, int image)
{
    return (const float *)(const void *)(tuned->bias_gradient + channel_place(tuned, image, 0));
}

/* ---- the gradient by the weights ---- */

typedef struct unit {
    pulmo_tiles tiles;
    int number;
    real *v, *m;
} unit;

#define UNITS_MOST 64 /* of a wave */

typedef struct wave {
    pulmo_tuned *tuned;
    const tuned_layer *layer;
    int number; /* of the layer */
    unit unit[UNITS_MOST];
    int units;
    int input_tasks, spread_tasks; /* a unit */
    int across, parts;             /* parts of a unit: side by side, of all */
    int group, groups;             /* units of a task; tasks of a part */
    pulmo_tuned_sink sink;
    void *context;
} wave;

#define TASK_BLOCKS  4 /* of channels, of a transform */
#define THREAD_TASKS 8 /* at least, that each thread gets */

static void transform_task(void *context, int task, int thread)
{
    const wave *w = context;
    const tuned_layer *it = w->layer;
    const pulmo_kernels *kernels = w->tuned->kernels;
    int each = w->input_tasks + w->spread_tasks;
    const unit *u = &w->unit[task / each];
    (void)thread;
    task %= each;
    bool input = task < w->input_tasks;
    int blocks = (input ? it->inputs : it->outputs) / CHANNEL_BLOCK;
    int first = (input ? task : task - w->input_tasks) * TASK_BLOCKS;
    int count = blocks - first < TASK_BLOCKS ? blocks - first : TASK_BLOCKS;
    if (input)
        kernels->input(&it->in, &u->tiles, first, count, u->v);
    else
        kernels->spread(&w->tuned->dy, &u->tiles, first, count, u->m);
}

/* One part of one unit: values (rows, 9, stride). */
static void make_part(const wave *w, const unit *u, const pulmo_tuned_part *part, real *du,
                      real *values)
{
    const pulmo_kernels *kernels = w->tuned->kernels;
    int tiles = u->tiles.count;
    size_t m_point = point_reals(w->layer->outputs, tiles);
    size_t v_point = point_reals(w->layer->inputs, tiles);
    size_t du_point = (size_t)part->rows * part->stride;
    const real *m = u->m + (size_t)part->row * tiles;
    const real *v = u->v + (size_t)part->col * tiles;
    for (int point = 0; point < WINO_POINTS; point++) {
        kernels->outer(m, v, m_point, v_point, tiles, part->rows, part->stride,
                       du + point * du_point);
        m += m_point;
        v += v_point;
    }
    kernels->filter_gradient(du, part->rows, part->stride, values);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* A part of some units, so that what the sink adds it to stays in a cache. */
static void part_task(void *context, int task, int thread)
{
    const wave *w = context;
    const tuned_layer *it = w->layer;
    real *du = w->tuned->scratch + thread * w->tuned->scratch_reals;
    real *values = du + WINO_POINTS * TUNED_PART * TUNED_PART;
    pulmo_tuned_part part = {.layer = w->number, .values = (const float *)(const void *)values};
    int place = task / w->groups;
    int first = task % w->groups * w->group;
    int end = smaller(first + w->group, w->units);
    part.row = place / w->across * TUNED_PART;
    part.col = place % w->across * TUNED_PART;
    part.rows = smaller(it->outputs - part.row, TUNED_PART);
    part.stride = smaller(it->inputs - part.col, TUNED_PART);
    part.cols = smaller(it->true_inputs - part.col, part.stride);
    for (int i = first; i < end; i++) {
        part.unit = w->unit[i].number;
        make_part(w, &w->unit[i], &part, du, values);
        w->sink(w->context, &part);
    }
}

static void run_wave(wave *w)
{
    pulmo_pool *pool = w->tuned->pool;
    pulmo_pool_run(pool, w->units * (w->input_tasks + w->spread_tasks), transform_task, w);
    /* All units of a part together where that leaves every thread tasks enough. */
    int tasks = THREAD_TASKS * w->tuned->threads;
    w->group = smaller(pulmo_runs_of(w->parts * w->units, tasks), w->units);
    w->groups = pulmo_runs_of(w->units, w->group);
    pulmo_pool_run(pool, w->parts * w->groups, part_task, w);
    w->units = 0;
}

/* Puts a unit's arrays behind those of the wave's others; false if there is no room. */
static bool add_unit(wave *w, int number, const pulmo_tiles *tiles)
{
    int inputs = w->layer->inputs;
    int outputs = w->layer->outputs;
    real *at = w->tuned->wave;
    if (w->units == UNITS_MOST)
        return false;
    if (w->units > 0) {
        const unit *before = &w->unit[w->units - 1];
        at = before->v + run_reals(inputs, outputs, before->tiles.count);
    }
    if (at + run_reals(inputs, outputs, tiles->count) > w->tuned->wave + w->tuned->wave_reals)
        return false;
    real *m = at + WINO_POINTS * point_reals(inputs, tiles->count);
    w->unit[w->units++] = (unit){.tiles = *tiles, .number = number, .v = at, .m = m};
    return true;
}

/* The units of one microbatch, which ends before tile `end` of the batch. */
static void take_microbatch(wave *w, int first, int end, int unit_tiles, int *number)
{
    for (int at = first; at < end; at += unit_tiles) {
        pulmo_tiles tiles = w->layer->tiles;
        tiles.first = at;
        tiles.count = smaller(end - at, unit_tiles);
        if (!add_unit(w, *number, &tiles)) {
            run_wave(w);
            (void)add_unit(w, *number, &tiles);
        }
        ++*number;
    }
}

void pulmo_tuned_gradients(pulmo_tuned *tuned, int layer, pulmo_tuned_sink sink, void *context)
{
    const tuned_layer *it = &tuned->layer[layer];
    wave w = {.tuned = tuned, .layer = it, .number = layer, .sink = sink, .context = context};
    w.input_tasks = pulmo_runs_of(it->inputs / CHANNEL_BLOCK, TASK_BLOCKS);
    w.spread_tasks = pulmo_runs_of(it->outputs / CHANNEL_BLOCK, TASK_BLOCKS);
    w.across = pulmo_runs_of(it->inputs, TUNED_PART);
    w.parts = w.across * pulmo_runs_of(it->outputs, TUNED_PART);
    int image_tiles = it->tiles.down * it->tiles.across;
    int unit_tiles = tuned_unit_tiles(&it->tiles, tuned->microbatch);
    int number = 0;
    for (int first = 0; first < tuned->n; first += tuned->microbatch) {
        int end = smaller(first + tuned->microbatch, tuned->n);
        take_microbatch(&w, first * image_tiles, end * image_tiles, unit_tiles, &number);
    }
    if (w.units > 0)
        run_wave(&w);
}
