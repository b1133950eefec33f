/* The trainable convolutions, backward: a layer's gradient by its weights, unit by unit, then by
 * its input. Every number is one fixed chain of operations; threads share out units and parts. */
#include <math.h>
#include <string.h>

#include "tuned_room.h"

typedef struct passing {
    pulmo_tuned *tuned;
    const tuned_layer *layer;
    const float *from;
    const tuned_plane *source, *to;
} passing;

/* The features' gradient, one block of channels of one image, into a plane. */
static void arrive_task(void *context, int task, int thread)
{
    const passing *p = context;
    const tuned_plane *to = p->to;
    int blocks = to->channels / TUNED_BLOCK, image = task / blocks, block = task % blocks;
    (void)thread;
    for (int i = 0; i < TUNED_BLOCK; i++) {
        const float *from =
            p->from + ((size_t)image * (size_t)to->channels + (size_t)(block * TUNED_BLOCK + i)) *
                          (size_t)to->height * (size_t)to->width;
        for (int y = 0; y < to->height; y++)
            for (int x = 0; x < to->width; x++)
                to->data[(size_t)image * to->image_reals +
                         (((size_t)block * (size_t)to->rows + (size_t)y + 1) * (size_t)to->columns +
                          (size_t)x + 1) *
                             TUNED_BLOCK +
                         (size_t)i] = (real)from[(size_t)y * (size_t)to->width + (size_t)x];
    }
}

/* An odd last row or column belongs to no pooled cell. */
static void clear_unpooled(const tuned_plane *p, int image, int block)
{
    size_t row_reals = (size_t)p->columns * TUNED_BLOCK;
    real *at =
        p->data + (size_t)image * p->image_reals + (size_t)block * (size_t)p->rows * row_reals;
    tuned_clear_frame(p, image, block);
    if (p->height % 2)
        memset(at + (size_t)p->height * row_reals, 0, row_reals * sizeof *at);
    for (int y = 1; p->width % 2 && y <= p->height; y++)
        memset(at + (size_t)y * row_reals + (size_t)p->width * TUNED_BLOCK, 0,
               TUNED_BLOCK * sizeof *at);
}

static void unpool_task(void *context, int task, int thread)
{
    const passing *p = context;
    const tuned_plane *to = p->to;
    int blocks = to->channels / TUNED_BLOCK, image = task / blocks, block = task % blocks;
    (void)thread;
    clear_unpooled(to, image, block);
    p->tuned->kernels->unpool(p->source, &p->layer->values, to, image, block);
}

static void clear_task(void *context, int task, int thread)
{
    const passing *p = context;
    int blocks = p->to->channels / TUNED_BLOCK;
    (void)thread;
    tuned_clear_frame(p->to, task / blocks, task % blocks);
}

static tuned_plane plane_in(const tuned_plane *shape, real *data)
{
    tuned_plane out = *shape;
    out.data = data;
    return out;
}

/* From the gradient by a pooled layer's output, in plane `source` of the other buffer, to
 * tuned->dy.
 */
static void unpool(pulmo_tuned *tuned, const tuned_layer *layer, const tuned_plane *source)
{
    tuned->dy = plane_in(&layer->values, tuned->gradient[tuned->current]);
    passing p = {.tuned = tuned, .layer = layer, .source = source, .to = &tuned->dy};
    pulmo_pool_run(tuned->pool, tuned->n * layer->outputs / TUNED_BLOCK, unpool_task, &p);
}

void pulmo_tuned_backward(pulmo_tuned *tuned, const float *gradient)
{
    const tuned_layer *last = &tuned->layer[tuned->layers - 1];
    tuned->current = 0;
    tuned_plane pooled = plane_in(&last->out, tuned->gradient[1]);
    passing p = {.tuned = tuned, .from = gradient, .to = &pooled};
    pulmo_pool_run(tuned->pool, tuned->n * last->outputs / TUNED_BLOCK, arrive_task, &p);
    unpool(tuned, last, &pooled);
}

void pulmo_tuned_below(pulmo_tuned *tuned, int layer)
{
    const tuned_layer *it = &tuned->layer[layer], *lower = &tuned->layer[layer - 1];
    tuned_plane out = plane_in(&it->in, tuned->gradient[1 - tuned->current]);
    const tuned_convolution what = {.in = &tuned->dy,
                                    .out = &out,
                                    .tiles = &it->tiles,
                                    .u = it->turned,
                                    .mask = lower->pool_after ? NULL : &it->in};
    passing p = {.tuned = tuned, .to = &out};
    if (!lower->pool_after)
        pulmo_pool_run(tuned->pool, tuned->n * it->inputs / TUNED_BLOCK, clear_task, &p);
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
    const tuned_plane *plane;
    bool sums;
} measuring;

static void moments_task(void *context, int task, int thread)
{
    const measuring *m = context;
    pulmo_tuned *tuned = m->tuned;
    int blocks = m->plane->channels / TUNED_BLOCK, image = task / blocks, block = task % blocks;
    size_t at = (size_t)image * (size_t)tuned->most_channels + (size_t)block * TUNED_BLOCK;
    double sums[TUNED_BLOCK];
    (void)thread;
    tuned->kernels->moments(m->plane, image, block, tuned->squares + at, sums);
    if (m->sums)
        for (int i = 0; i < TUNED_BLOCK; i++)
            tuned->bias_gradient[at + (size_t)i] = (real)sums[i];
}

/* The largest norm of a channel, an image each; infinite where one is NaN. */
static void norms_of(pulmo_tuned *tuned, const tuned_plane *plane, bool sums, double *norms)
{
    measuring m = {.tuned = tuned, .plane = plane, .sums = sums};
    pulmo_pool_run(tuned->pool, tuned->n * plane->channels / TUNED_BLOCK, moments_task, &m);
    for (int n = 0; n < tuned->n; n++) {
        double most = 0;
        for (int c = 0; c < plane->channels; c++) {
            double square = tuned->squares[(size_t)n * (size_t)tuned->most_channels + (size_t)c];
            if (!(square <= most))
                most = isnan(square) ? INFINITY : square;
        }
        norms[n] = sqrt(most);
    }
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
    double *x = tuned->norms, *dy = tuned->norms + tuned->images;
    norms_of(tuned, &it->in, false, x);
    norms_of(tuned, &tuned->dy, true, dy);
    *weight = *bias = 0;
    for (int first = 0; first < tuned->n; first += tuned->microbatch) {
        double microbatch_weight = 0, microbatch_bias = 0;
        for (int n = first; n < first + tuned->microbatch && n < tuned->n; n++) {
            double most = 0;
            for (int k = 0; k < it->outputs; k++)
                most = fmax(
                    most,
                    fabs((double)tuned->bias_gradient[(size_t)n * (size_t)tuned->most_channels +
                                                      (size_t)k]));
            if (x[n] > 0 && dy[n] > 0)
                microbatch_weight += 2 * x[n] * dy[n] + 0x1p-120;
            microbatch_bias += isfinite(dy[n]) ? most : INFINITY;
        }
        *weight = fmax(*weight, microbatch_weight);
        *bias = fmax(*bias, microbatch_bias * (1 + 0x1p-40));
    }
}

const float *pulmo_tuned_bias_gradient(const pulmo_tuned *tuned, int image)
{
    return (const float *)(const void *)(tuned->bias_gradient +
                                         (size_t)image * (size_t)tuned->most_channels);
}

/* ---- the gradient by the weights ---- */

typedef struct unit {
    tuned_tiles tiles;
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

#define BLOCKS_A_TASK  4
#define TASKS_A_THREAD 8

static void transform_task(void *context, int task, int thread)
{
    const wave *w = context;
    const tuned_layer *it = w->layer;
    int each = w->input_tasks + w->spread_tasks;
    const unit *u = &w->unit[task / each];
    (void)thread;
    task %= each;
    bool input = task < w->input_tasks;
    int blocks = (input ? it->inputs : it->outputs) / TUNED_BLOCK,
        first = BLOCKS_A_TASK * (input ? task : task - w->input_tasks);
    int count = blocks - first < BLOCKS_A_TASK ? blocks - first : BLOCKS_A_TASK;
    if (input)
        w->tuned->kernels->input(&it->in, &u->tiles, first, count, u->v);
    else
        w->tuned->kernels->spread(&w->tuned->dy, &u->tiles, first, count, u->m);
}

/* One part of one unit: values (rows, 9, stride). */
static void make_part(const wave *w, const unit *u, const pulmo_tuned_part *part, real *du,
                      real *values)
{
    const tuned_layer *it = w->layer;
    int tiles = u->tiles.count;
    size_t m_point = tuned_point_reals(it->outputs, tiles),
           v_point = tuned_point_reals(it->inputs, tiles);
    const real *m = u->m + (size_t)part->row * (size_t)tiles,
               *v = u->v + (size_t)part->col * (size_t)tiles;
    for (int point = 0; point < TUNED_POINTS; point++, m += m_point, v += v_point)
        w->tuned->kernels->outer(m, v, m_point, v_point, tiles, part->rows, part->stride,
                                 du + (size_t)point * (size_t)part->rows * (size_t)part->stride);
    w->tuned->kernels->filter_gradient(du, part->rows, part->stride, values);
}

/* A part of some units, so that what the sink adds it to stays in a cache. */
static void part_task(void *context, int task, int thread)
{
    const wave *w = context;
    const tuned_layer *it = w->layer;
    real *du = w->tuned->scratch + (size_t)thread * w->tuned->scratch_reals,
         *values = du + TUNED_POINTS * TUNED_PART * TUNED_PART;
    pulmo_tuned_part part = {.layer = w->number, .values = (const float *)(const void *)values};
    int place = task / w->groups, first = task % w->groups * w->group, end = first + w->group;
    part.row = place / w->across * TUNED_PART;
    part.col = place % w->across * TUNED_PART;
    part.rows = it->outputs - part.row < TUNED_PART ? it->outputs - part.row : TUNED_PART;
    part.stride = it->inputs - part.col < TUNED_PART ? it->inputs - part.col : TUNED_PART;
    part.cols = it->true_inputs - part.col < part.stride ? it->true_inputs - part.col : part.stride;
    for (int i = first; i < end && i < w->units; i++) {
        part.unit = w->unit[i].number;
        make_part(w, &w->unit[i], &part, du, values);
        w->sink(w->context, &part);
    }
}

static void run_wave(wave *w)
{
    pulmo_pool_run(w->tuned->pool, w->units * (w->input_tasks + w->spread_tasks), transform_task,
                   w);
    /* All units of a part together where that leaves every thread tasks enough. */
    w->group = (w->parts * w->units + TASKS_A_THREAD * w->tuned->threads - 1) /
               (TASKS_A_THREAD * w->tuned->threads);
    if (w->group > w->units)
        w->group = w->units;
    w->groups = (w->units + w->group - 1) / w->group;
    pulmo_pool_run(w->tuned->pool, w->parts * w->groups, part_task, w);
    w->units = 0;
}

/* Puts a unit's arrays behind those of the wave's others; false if there is no room. */
static bool add_unit(wave *w, int number, const tuned_tiles *tiles)
{
    size_t v = TUNED_POINTS * tuned_point_reals(w->layer->inputs, tiles->count),
           m = TUNED_POINTS * tuned_point_reals(w->layer->outputs, tiles->count);
    unit *u = &w->unit[w->units], *before = u - 1;
    real *at = w->tuned->wave;
    if (w->units == UNITS_MOST)
        return false;
    if (w->units > 0)
        at = before->m + TUNED_POINTS * tuned_point_reals(w->layer->outputs, before->tiles.count);
    if (at + v + m > w->tuned->wave + w->tuned->wave_reals)
        return false;
    *u = (unit){.tiles = *tiles, .number = number, .v = at, .m = at + v};
    w->units++;
    return true;
}

void pulmo_tuned_gradients(pulmo_tuned *tuned, int layer, pulmo_tuned_sink sink, void *context)
{
    const tuned_layer *it = &tuned->layer[layer];
    wave w = {.tuned = tuned, .layer = it, .number = layer, .sink = sink, .context = context};
    int inputs = it->inputs / TUNED_BLOCK, outputs = it->outputs / TUNED_BLOCK;
    w.input_tasks = (inputs + BLOCKS_A_TASK - 1) / BLOCKS_A_TASK;
    w.spread_tasks = (outputs + BLOCKS_A_TASK - 1) / BLOCKS_A_TASK;
    w.across = (it->inputs + TUNED_PART - 1) / TUNED_PART;
    w.parts = w.across * ((it->outputs + TUNED_PART - 1) / TUNED_PART);
    int each = it->tiles.down * it->tiles.across,
        unit_tiles = tuned_unit_tiles(&it->tiles, tuned->microbatch), number = 0;
    for (int first = 0; first < tuned->n; first += tuned->microbatch) {
        int images = tuned->n - first < tuned->microbatch ? tuned->n - first : tuned->microbatch,
            end = (first + images) * each;
        for (int at = first * each; at < end; at += unit_tiles, number++) {
            tuned_tiles tiles = it->tiles;
            tiles.first = at;
            tiles.count = end - at < unit_tiles ? end - at : unit_tiles;
            if (add_unit(&w, number, &tiles))
                continue;
            run_wave(&w);
            (void)add_unit(&w, number, &tiles);
        }
    }
    if (w.units > 0)
        run_wave(&w);
}
