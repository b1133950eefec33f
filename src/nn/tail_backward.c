/* The trainable convolutions, backward: a layer's gradient by its weights, unit by unit, then by
 * its input. Every number is one fixed chain of operations; threads share out units and parts. */
#include <math.h>
#include <string.h>

#include "tail_room.h"

typedef struct passing {
    pulmo_tail *tail;
    const tail_layer *layer;
    const float *from;
    const tail_plane *source, *to;
} passing;

/* The features' gradient, one block of channels of one image, into a plane. */
static void arrive_task(void *context, int task, int thread)
{
    const passing *p = context;
    const tail_plane *to = p->to;
    int blocks = to->channels / TAIL_BLOCK, image = task / blocks, block = task % blocks;
    (void)thread;
    for (int i = 0; i < TAIL_BLOCK; i++) {
        const float *from =
            p->from + ((size_t)image * (size_t)to->channels + (size_t)(block * TAIL_BLOCK + i)) *
                          (size_t)to->height * (size_t)to->width;
        for (int y = 0; y < to->height; y++)
            for (int x = 0; x < to->width; x++)
                to->data[(size_t)image * to->image_reals +
                         (((size_t)block * (size_t)to->rows + (size_t)y + 1) * (size_t)to->columns +
                          (size_t)x + 1) *
                             TAIL_BLOCK +
                         (size_t)i] = (real)from[(size_t)y * (size_t)to->width + (size_t)x];
    }
}

/* An odd last row or column belongs to no pooled cell. */
static void clear_unpooled(const tail_plane *p, int image, int block)
{
    size_t row_reals = (size_t)p->columns * TAIL_BLOCK;
    real *at =
        p->data + (size_t)image * p->image_reals + (size_t)block * (size_t)p->rows * row_reals;
    tail_clear_frame(p, image, block);
    if (p->height % 2)
        memset(at + (size_t)p->height * row_reals, 0, row_reals * sizeof *at);
    for (int y = 1; p->width % 2 && y <= p->height; y++)
        memset(at + (size_t)y * row_reals + (size_t)p->width * TAIL_BLOCK, 0,
               TAIL_BLOCK * sizeof *at);
}

static void unpool_task(void *context, int task, int thread)
{
    const passing *p = context;
    const tail_plane *to = p->to;
    int blocks = to->channels / TAIL_BLOCK, image = task / blocks, block = task % blocks;
    (void)thread;
    clear_unpooled(to, image, block);
    p->tail->kernels->unpool(p->source, &p->layer->values, to, image, block);
}

static void clear_task(void *context, int task, int thread)
{
    const passing *p = context;
    int blocks = p->to->channels / TAIL_BLOCK;
    (void)thread;
    tail_clear_frame(p->to, task / blocks, task % blocks);
}

static tail_plane plane_in(const tail_plane *shape, real *data)
{
    tail_plane out = *shape;
    out.data = data;
    return out;
}

/* From the gradient by a pooled layer's output, in plane `source` of the other buffer, to tail->dy.
 */
static void unpool(pulmo_tail *tail, const tail_layer *layer, const tail_plane *source)
{
    tail->dy = plane_in(&layer->values, tail->gradient[tail->current]);
    passing p = {.tail = tail, .layer = layer, .source = source, .to = &tail->dy};
    pulmo_pool_run(tail->pool, tail->n * layer->outputs / TAIL_BLOCK, unpool_task, &p);
}

void pulmo_tail_backward(pulmo_tail *tail, const float *gradient)
{
    const tail_layer *last = &tail->layer[tail->layers - 1];
    tail->current = 0;
    tail_plane pooled = plane_in(&last->out, tail->gradient[1]);
    passing p = {.tail = tail, .from = gradient, .to = &pooled};
    pulmo_pool_run(tail->pool, tail->n * last->outputs / TAIL_BLOCK, arrive_task, &p);
    unpool(tail, last, &pooled);
}

void pulmo_tail_below(pulmo_tail *tail, int layer)
{
    const tail_layer *it = &tail->layer[layer], *lower = &tail->layer[layer - 1];
    tail_plane out = plane_in(&it->in, tail->gradient[1 - tail->current]);
    const tail_convolution what = {.in = &tail->dy,
                                   .out = &out,
                                   .tiles = &it->tiles,
                                   .u = it->turned,
                                   .mask = lower->pool_after ? NULL : &it->in};
    passing p = {.tail = tail, .to = &out};
    if (!lower->pool_after)
        pulmo_pool_run(tail->pool, tail->n * it->inputs / TAIL_BLOCK, clear_task, &p);
    tail_convolve(tail, &what);
    if (lower->pool_after) {
        unpool(tail, lower, &out);
        return;
    }
    tail->current = 1 - tail->current;
    tail->dy = out;
}

/* ---- bounds ---- */

typedef struct measuring {
    pulmo_tail *tail;
    const tail_plane *plane;
    bool sums;
} measuring;

static void moments_task(void *context, int task, int thread)
{
    const measuring *m = context;
    pulmo_tail *tail = m->tail;
    int blocks = m->plane->channels / TAIL_BLOCK, image = task / blocks, block = task % blocks;
    size_t at = (size_t)image * (size_t)tail->most_channels + (size_t)block * TAIL_BLOCK;
    double sums[TAIL_BLOCK];
    (void)thread;
    tail->kernels->moments(m->plane, image, block, tail->squares + at, sums);
    if (m->sums)
        for (int i = 0; i < TAIL_BLOCK; i++)
            tail->bias_gradient[at + (size_t)i] = (real)sums[i];
}

/* The largest norm of a channel, an image each; infinite where one is NaN. */
static void norms_of(pulmo_tail *tail, const tail_plane *plane, bool sums, double *norms)
{
    measuring m = {.tail = tail, .plane = plane, .sums = sums};
    pulmo_pool_run(tail->pool, tail->n * plane->channels / TAIL_BLOCK, moments_task, &m);
    for (int n = 0; n < tail->n; n++) {
        double most = 0;
        for (int c = 0; c < plane->channels; c++) {
            double square = tail->squares[(size_t)n * (size_t)tail->most_channels + (size_t)c];
            if (!(square <= most))
                most = isnan(square) ? INFINITY : square;
        }
        norms[n] = sqrt(most);
    }
}

/* An element of the exact gradient is sum over pixels of dy x, at most the product of the two
 * channels' norms (Cauchy and Schwarz), image by image; and so is the sum of the magnitudes of a
 * slot's units. The computed one differs by the transforms' rounding: the absolute sums of B^T's,
 * A's and G^T's rows are below 5.2, 7.3 and 2.7, hence its error below (5.2 * 7.3 * 2.7)^2 (tiles +
 * 20) 2^-24 times the norms' product, below 0.2 for 256 tiles. The factor 2 covers it, and the
 * norms' own rounding. */
void pulmo_tail_bounds(pulmo_tail *tail, int layer, double *weight, double *bias)
{
    const tail_layer *it = &tail->layer[layer];
    double *x = tail->norms, *dy = tail->norms + tail->images;
    norms_of(tail, &it->in, false, x);
    norms_of(tail, &tail->dy, true, dy);
    *weight = *bias = 0;
    for (int first = 0; first < tail->n; first += tail->slot) {
        double slot_weight = 0, slot_bias = 0;
        for (int n = first; n < first + tail->slot && n < tail->n; n++) {
            double most = 0;
            for (int k = 0; k < it->outputs; k++)
                most = fmax(
                    most,
                    fabs((double)tail
                             ->bias_gradient[(size_t)n * (size_t)tail->most_channels + (size_t)k]));
            if (x[n] > 0 && dy[n] > 0)
                slot_weight += 2 * x[n] * dy[n] + 0x1p-120;
            slot_bias += isfinite(dy[n]) ? most : INFINITY;
        }
        *weight = fmax(*weight, slot_weight);
        *bias = fmax(*bias, slot_bias * (1 + 0x1p-40));
    }
}

const float *pulmo_tail_bias_gradient(const pulmo_tail *tail, int image)
{
    return (const float *)(const void *)(tail->bias_gradient +
                                         (size_t)image * (size_t)tail->most_channels);
}

/* ---- the gradient by the weights ---- */

typedef struct unit {
    tail_tiles tiles;
    int number;
    real *v, *m;
} unit;

#define UNITS_MOST 64 /* of a wave */

typedef struct wave {
    pulmo_tail *tail;
    const tail_layer *layer;
    int number; /* of the layer */
    unit unit[UNITS_MOST];
    int units;
    int input_tasks, spread_tasks; /* a unit */
    int across, parts;             /* parts of a unit: side by side, of all */
    int group, groups;             /* units of a task; tasks of a part */
    pulmo_tail_sink sink;
    void *context;
} wave;

#define BLOCKS_A_TASK  4
#define TASKS_A_THREAD 8

static void transform_task(void *context, int task, int thread)
{
    const wave *w = context;
    const tail_layer *it = w->layer;
    int each = w->input_tasks + w->spread_tasks;
    const unit *u = &w->unit[task / each];
    (void)thread;
    task %= each;
    bool input = task < w->input_tasks;
    int blocks = (input ? it->inputs : it->outputs) / TAIL_BLOCK,
        first = BLOCKS_A_TASK * (input ? task : task - w->input_tasks);
    int count = blocks - first < BLOCKS_A_TASK ? blocks - first : BLOCKS_A_TASK;
    if (input)
        w->tail->kernels->input(&it->in, &u->tiles, first, count, u->v);
    else
        w->tail->kernels->spread(&w->tail->dy, &u->tiles, first, count, u->m);
}

/* One part of one unit: values (rows, 9, stride). */
static void make_part(const wave *w, const unit *u, const pulmo_tail_part *part, real *du,
                      real *values)
{
    const tail_layer *it = w->layer;
    int tiles = u->tiles.count;
    size_t m_point = tail_point_reals(it->outputs, tiles),
           v_point = tail_point_reals(it->inputs, tiles);
    const real *m = u->m + (size_t)part->row * (size_t)tiles,
               *v = u->v + (size_t)part->col * (size_t)tiles;
    for (int point = 0; point < TAIL_POINTS; point++, m += m_point, v += v_point)
        w->tail->kernels->outer(m, v, m_point, v_point, tiles, part->rows, part->stride,
                                du + (size_t)point * (size_t)part->rows * (size_t)part->stride);
    w->tail->kernels->filter_gradient(du, part->rows, part->stride, values);
}

/* A part of some units, so that what the sink adds it to stays in a cache. */
static void part_task(void *context, int task, int thread)
{
    const wave *w = context;
    const tail_layer *it = w->layer;
    real *du = w->tail->scratch + (size_t)thread * w->tail->scratch_reals,
         *values = du + TAIL_POINTS * TAIL_PART * TAIL_PART;
    pulmo_tail_part part = {.layer = w->number, .values = (const float *)(const void *)values};
    int place = task / w->groups, first = task % w->groups * w->group, end = first + w->group;
    part.row = place / w->across * TAIL_PART;
    part.col = place % w->across * TAIL_PART;
    part.rows = it->outputs - part.row < TAIL_PART ? it->outputs - part.row : TAIL_PART;
    part.stride = it->inputs - part.col < TAIL_PART ? it->inputs - part.col : TAIL_PART;
    part.cols = it->true_inputs - part.col < part.stride ? it->true_inputs - part.col : part.stride;
    for (int i = first; i < end && i < w->units; i++) {
        part.unit = w->unit[i].number;
        make_part(w, &w->unit[i], &part, du, values);
        w->sink(w->context, &part);
    }
}

static void run_wave(wave *w)
{
    pulmo_pool_run(w->tail->pool, w->units * (w->input_tasks + w->spread_tasks), transform_task, w);
    /* All units of a part together where that leaves every thread tasks enough. */
    w->group = (w->parts * w->units + TASKS_A_THREAD * w->tail->threads - 1) /
               (TASKS_A_THREAD * w->tail->threads);
    if (w->group > w->units)
        w->group = w->units;
    w->groups = (w->units + w->group - 1) / w->group;
    pulmo_pool_run(w->tail->pool, w->parts * w->groups, part_task, w);
    w->units = 0;
}

/* Puts a unit's arrays behind those of the wave's others; false if there is no room. */
static bool add_unit(wave *w, int number, const tail_tiles *tiles)
{
    size_t v = TAIL_POINTS * tail_point_reals(w->layer->inputs, tiles->count),
           m = TAIL_POINTS * tail_point_reals(w->layer->outputs, tiles->count);
    unit *u = &w->unit[w->units], *before = u - 1;
    real *at = w->tail->wave;
    if (w->units == UNITS_MOST)
        return false;
    if (w->units > 0)
        at = before->m + TAIL_POINTS * tail_point_reals(w->layer->outputs, before->tiles.count);
    if (at + v + m > w->tail->wave + w->tail->wave_reals)
        return false;
    *u = (unit){.tiles = *tiles, .number = number, .v = at, .m = at + v};
    w->units++;
    return true;
}

void pulmo_tail_gradients(pulmo_tail *tail, int layer, pulmo_tail_sink sink, void *context)
{
    const tail_layer *it = &tail->layer[layer];
    wave w = {.tail = tail, .layer = it, .number = layer, .sink = sink, .context = context};
    int inputs = it->inputs / TAIL_BLOCK, outputs = it->outputs / TAIL_BLOCK;
    w.input_tasks = (inputs + BLOCKS_A_TASK - 1) / BLOCKS_A_TASK;
    w.spread_tasks = (outputs + BLOCKS_A_TASK - 1) / BLOCKS_A_TASK;
    w.across = (it->inputs + TAIL_PART - 1) / TAIL_PART;
    w.parts = w.across * ((it->outputs + TAIL_PART - 1) / TAIL_PART);
    int each = it->tiles.down * it->tiles.across,
        unit_tiles = tail_unit_tiles(&it->tiles, tail->slot), number = 0;
    for (int first = 0; first < tail->n; first += tail->slot) {
        int images = tail->n - first < tail->slot ? tail->n - first : tail->slot,
            end = (first + images) * each;
        for (int at = first * each; at < end; at += unit_tiles, number++) {
            tail_tiles tiles = it->tiles;
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
