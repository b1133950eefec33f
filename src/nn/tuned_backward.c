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
    bool add; /* the averages' gradient to what stands there */
} descent;

/* The features' gradient, one block of channels of one image, into a plane. */
static void arrive_task(void *context, int task, int thread)
{
    const descent *p = context;
    plane_place at = plane_place_of(p->to, task);
    (void)thread;
    pulmo_plane_fill(p->to, at.image, at.block, p->from, p->to->channels);
}

/* The gradient by an output's averages, one block of channels of one image, into a plane. */
static void spread_task(void *context, int task, int thread)
{
    const descent *p = context;
    plane_place at = plane_place_of(p->to, task);
    size_t first = (size_t)at.image * p->tuned->averages + p->layer->average_at;
    (void)thread;
    pulmo_plane_spread(p->to, at.image, at.block, p->tuned->gradients + first, p->add);
}

/* An odd last row or column belongs to no pooled cell. */
static void clear_unpooled(const pulmo_plane *p, int image, int block)
{
    size_t row_reals = plane_row_reals(p);
    pulmo_plane_clear_frame(p, image, block);
    if (p->height % 2) {
        real *row = plane_at(p, image, block, p->height, 0);
        memset(row, 0, row_reals * sizeof *row);
    }
    if (p->width % 2 == 0)
        return;
    real *cell = plane_at(p, image, block, 1, p->width);
    for (int y = 0; y < p->height; y++) {
        memset(cell, 0, CHANNEL_BLOCK * sizeof *cell);
        cell += row_reals;
    }
}

static void unpool_task(void *context, int task, int thread)
{
    const descent *p = context;
    const pulmo_kernels *kernels = p->tuned->kernels;
    plane_place at = plane_place_of(p->to, task);
    (void)thread;
    clear_unpooled(p->to, at.image, at.block);
    kernels->unpool(p->source, &p->layer->values, p->to, at.image, at.block);
}

static void clear_task(void *context, int task, int thread)
{
    const descent *p = context;
    plane_place at = plane_place_of(p->to, task);
    (void)thread;
    pulmo_plane_clear_frame(p->to, at.image, at.block);
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
    real *free_plane = tuned->gradient[tuned->current];
    tuned->dy = plane_in(&layer->values, free_plane);
    descent p = {.tuned = tuned, .layer = layer, .source = source, .to = &tuned->dy};
    tuned_each_block(tuned, layer->outputs, unpool_task, &p);
}

void pulmo_tuned_backward(pulmo_tuned *tuned, const float *gradient)
{
    const tuned_layer *last = &tuned->layer[tuned->layers - 1];
    tuned->current = 0;
    pulmo_plane pooled = plane_in(&last->out, tuned->gradient[1]);
    descent p = {.tuned = tuned, .layer = last, .from = gradient, .to = &pooled};
    tuned->gradients = gradient;
    pulmo_task arrive = tuned->averages > 0 ? spread_task : arrive_task;
    tuned_each_block(tuned, last->outputs, arrive, &p);
    unpool(tuned, last, &pooled);
}

void pulmo_tuned_below(pulmo_tuned *tuned, int layer)
{
    const tuned_layer *it = &tuned->layer[layer];
    const tuned_layer *lower = it - 1;
    int other = 1 - tuned->current;
    pulmo_plane out = plane_in(&it->in, tuned->gradient[other]);
    tuned_convolution what = {.in = &tuned->dy, .out = &out, .tiles = &it->tiles, .u = it->turned};
    if (lower->pool_after) {
        descent more = {.tuned = tuned, .layer = lower, .to = &out, .add = true};
        tuned_convolve(tuned, &what);
        if (lower->average_at >= 0)
            tuned_each_block(tuned, lower->outputs, spread_task, &more);
        unpool(tuned, lower, &out);
        return;
    }
    descent p = {.tuned = tuned, .to = &out};
    tuned_each_block(tuned, it->inputs, clear_task, &p);
    what.mask = &it->in;
    tuned_convolve(tuned, &what);
    tuned->current = other;
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
    plane_place at = plane_place_of(m->plane, task);
    int channel = at.block * CHANNEL_BLOCK;
    size_t first = channel_place(tuned, at.image, channel);
    double *squares = tuned->squares + first;
    real *bias_gradient = tuned->bias_gradient + first;
    double sums[CHANNEL_BLOCK];
    (void)thread;
    tuned->kernels->moments(m->plane, at.image, at.block, squares, sums);
    if (!m->sums)
        return;
    for (int i = 0; i < CHANNEL_BLOCK; i++)
        bias_gradient[i] = (real)sums[i];
}

/* The square root of the largest; infinite where one is NaN. */
static double largest_norm(const double *squares, int channels)
{
    double most = 0;
    for (int c = 0; c < channels; c++) {
        if (isnan(squares[c]))
            return INFINITY;
        most = fmax(most, squares[c]);
    }
    return sqrt(most);
}

/* The largest norm of a channel, per image; infinite where one is NaN. */
static void norms_of(pulmo_tuned *tuned, const pulmo_plane *plane, bool sums, double *norms)
{
    measuring m = {.tuned = tuned, .plane = plane, .sums = sums};
    tuned_each_block(tuned, plane->channels, moments_task, &m);
    for (int n = 0; n < tuned->n; n++) {
        size_t first = channel_place(tuned, n, 0);
        const double *squares = tuned->squares + first;
        norms[n] = largest_norm(squares, plane->channels);
    }
}

/* The largest magnitude of one image's gradient by the layer's bias. */
static double largest_bias(const pulmo_tuned *tuned, int image, int outputs)
{
    size_t first = channel_place(tuned, image, 0);
    const real *gradient = tuned->bias_gradient + first;
    double most = 0;
    for (int k = 0; k < outputs; k++) {
        double magnitude = fabs((double)gradient[k]);
        most = fmax(most, magnitude);
    }
    return most;
}

/* An element of the exact gradient is sum over pixels of dy x, at most the product of the two
 * channels' norms (Cauchy and Schwarz), image by image; and so is the sum of the magnitudes of a
 * microbatch's units. The computed one differs by the transforms' rounding: summed over a tile's
 * points, |G| times the absolute sums of B^T's and A's rows is below 192 for all tiles, hence its
 * error below 192^2 (tiles + 40) 2^-24 times the norms' product, below 0.7 for 256 tiles. The
 * factor 2 covers it, and the norms' own rounding. */
void pulmo_tuned_bounds(pulmo_tuned *tuned, int layer, double *weight, double *bias)
{
    const tuned_layer *it = &tuned->layer[layer];
    double *x = tuned->norms;
    double *dy = x + tuned->images;
    double microbatch_weight = 0;
    double microbatch_bias = 0;
    norms_of(tuned, &it->in, false, x);
    norms_of(tuned, &tuned->dy, true, dy);
    *weight = 0;
    *bias = 0;
    for (int n = 0; n < tuned->n; n++) {
        if (n % tuned->microbatch == 0) {
            microbatch_weight = 0;
            microbatch_bias = 0;
        }
        if (x[n] > 0 && dy[n] > 0)
            microbatch_weight += 2 * x[n] * dy[n] + 0x1p-120;
        if (isfinite(dy[n]))
            microbatch_bias += largest_bias(tuned, n, it->outputs);
        else
            microbatch_bias = INFINITY;
        /* Sums of magnitudes grow: the whole microbatch's is the largest. */
        *weight = fmax(*weight, microbatch_weight);
        *bias = fmax(*bias, microbatch_bias * (1 + 0x1p-40));
    }
}

const float *pulmo_tuned_bias_gradient(const pulmo_tuned *tuned, int image)
{
    size_t first = channel_place(tuned, image, 0);
    const void *gradient = tuned->bias_gradient + first;
    return gradient;
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

/* V of a task's blocks of inputs. */
static void transform_input(const wave *w, const unit *u, int first)
{
    const pulmo_kernels *kernels = w->tuned->kernels;
    int blocks = plane_blocks(w->layer->inputs);
    int left = blocks - first;
    int count = smaller(left, TASK_BLOCKS);
    kernels->input(&w->layer->in, &u->tiles, first, count, u->v);
}

/* M of a task's blocks of outputs. */
static void transform_gradient(const wave *w, const unit *u, int first)
{
    const pulmo_kernels *kernels = w->tuned->kernels;
    int blocks = plane_blocks(w->layer->outputs);
    int left = blocks - first;
    int count = smaller(left, TASK_BLOCKS);
    kernels->spread(&w->tuned->dy, &u->tiles, first, count, u->m);
}

static void transform_task(void *context, int task, int thread)
{
    const wave *w = context;
    int each = w->input_tasks + w->spread_tasks;
    int number = task / each;
    int place = task % each;
    const unit *u = &w->unit[number];
    (void)thread;
    int spread_place = place - w->input_tasks;
    if (spread_place < 0)
        transform_input(w, u, place * TASK_BLOCKS);
    else
        transform_gradient(w, u, spread_place * TASK_BLOCKS);
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
    size_t m_first = (size_t)part->row * tiles;
    size_t v_first = (size_t)part->col * tiles;
    const real *m = u->m + m_first;
    const real *v = u->v + v_first;
    real *product = du;
    int points = tile_points(u->tiles.out);
    for (int point = 0; point < points; point++) {
        kernels->outer(m, v, m_point, v_point, tiles, part->rows, part->stride, product);
        m += m_point;
        v += v_point;
        product += du_point;
    }
    kernels->filter_gradient(u->tiles.out, du, part->rows, part->stride, values);
}

/* A part of some units, so that what the sink adds it to stays in a cache. */
static void part_task(void *context, int task, int thread)
{
    const wave *w = context;
    const tuned_layer *it = w->layer;
    real *du = tuned_scratch(w->tuned, thread);
    real *values = du + tile_points(it->tile) * TUNED_PART_ROWS * TUNED_PART_COLS;
    const void *made = values;
    pulmo_tuned_part part = {.layer = w->number, .values = made};
    int place = task / w->groups;
    int group = task % w->groups;
    int first = group * w->group;
    int end = smaller(first + w->group, w->units);
    int down_place = place / w->across;
    int across_place = place % w->across;
    part.row = down_place * TUNED_PART_ROWS;
    part.col = across_place * TUNED_PART_COLS;
    int outputs_left = it->outputs - part.row;
    int inputs_left = it->inputs - part.col;
    int true_left = it->true_inputs - part.col;
    part.rows = smaller(outputs_left, TUNED_PART_ROWS);
    part.stride = smaller(inputs_left, TUNED_PART_COLS);
    part.cols = smaller(true_left, part.stride);
    for (int i = first; i < end; i++) {
        const unit *u = &w->unit[i];
        part.unit = u->number;
        make_part(w, u, &part, du, values);
        w->sink(w->context, &part);
    }
}

static void run_wave(wave *w)
{
    pulmo_pool *pool = w->tuned->pool;
    int transforms = w->input_tasks + w->spread_tasks;
    pulmo_pool_run(pool, w->units * transforms, transform_task, w);
    /* All units of a part together where that leaves every thread tasks enough. */
    int tasks = THREAD_TASKS * w->tuned->threads;
    int share = divide_up(w->parts * w->units, tasks);
    w->group = smaller(share, w->units);
    w->groups = divide_up(w->units, w->group);
    pulmo_pool_run(pool, w->parts * w->groups, part_task, w);
    w->units = 0;
}

/* Puts a unit's arrays behind those of the wave's others; false if there is no room. */
static bool add_unit(wave *w, int number, const pulmo_tiles *tiles)
{
    int inputs = w->layer->inputs;
    int outputs = w->layer->outputs;
    real *at = w->tuned->wave;
    const real *wave_end = at + w->tuned->wave_reals;
    size_t reals = run_reals(tiles->out, inputs, outputs, tiles->count);
    if (w->units == UNITS_MOST)
        return false;
    if (w->units > 0) {
        const unit *before = &w->unit[w->units - 1];
        int tiles_before = before->tiles.count;
        at = before->v;
        at += run_reals(tiles->out, inputs, outputs, tiles_before);
    }
    if (at + reals > wave_end)
        return false;
    size_t v_point = point_reals(inputs, tiles->count);
    unit *added = &w->unit[w->units];
    *added = (unit){.tiles = *tiles, .number = number, .v = at};
    added->m = at + tile_points(tiles->out) * v_point;
    w->units++;
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
    int down = divide_up(it->outputs, TUNED_PART_ROWS);
    int input_blocks = plane_blocks(it->inputs);
    int output_blocks = plane_blocks(it->outputs);
    w.input_tasks = divide_up(input_blocks, TASK_BLOCKS);
    w.spread_tasks = divide_up(output_blocks, TASK_BLOCKS);
    w.across = divide_up(it->inputs, TUNED_PART_COLS);
    w.parts = w.across * down;
    int each = image_tiles(&it->tiles);
    int unit_tiles = tuned_unit_tiles(&it->tiles, tuned->microbatch);
    int number = 0;
    for (int first = 0; first < tuned->n; first += tuned->microbatch) {
        int after = first + tuned->microbatch;
        int end = smaller(after, tuned->n);
        take_microbatch(&w, first * each, end * each, unit_tiles, &number);
    }
    if (w.units > 0)
        run_wave(&w);
}
