/* The smoothed calibration curve and the integrated calibration index. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/operating.h"
#include "stats_room.h"

#define SPAN  (2.0 / 3) /* of the images that a line is fitted to */
#define APART 0.01      /* of the range, between points that are computed */
/* Points by x, lowest first. */
typedef struct points {
    uint32_t count;
    double *x, *y, *fitted; /* (count) */
    double *weight;         /* (count): scratch */
} points;

/* The points that a line is fitted to: the nearest `SPAN` of all. */
typedef struct window {
    uint32_t begin, end; /* end: the last one */
} window;

static double cube(double x)
{
    return x * x * x;
}

/* 1 near x, as where the radius is 0, and 0 from the radius on. */
static double tricube(double off, double radius)
{
    if (off <= 0.001 * radius)
        return 1;
    if (off <= 0.999 * radius)
        return cube(1 - cube(off / radius));
    return 0;
}

/* Tricube weights around x, each over their sum, from the window's first point on; those that tie
 * with its last have theirs too. Returns one past the last point with a weight. */
static uint32_t weigh(const points *p, const window *near, double x, double radius)
{
    double sum = 0;
    uint32_t at = near->begin;
    for (; at < p->count; at++) {
        const double off = fabs(p->x[at] - x);
        const double weight = tricube(off, radius);
        p->weight[at] = weight;
        const bool within = off <= 0.999 * radius;
        if (!within && p->x[at] > x)
            break;
        sum += weight;
    }
    for (uint32_t i = near->begin; i < at; i++)
        p->weight[i] /= sum; /* which is at least the weight of x itself */
    return at;
}

static double range_of(const points *p)
{
    const double least = p->x[0];
    const double most = p->x[p->count - 1];
    return most - least;
}

/* Weights become those of a line: what its value at x takes of each y. Where the points hardly vary
 * they stay those of a mean. */
static void tilt(const points *p, uint32_t begin, uint32_t end, double x)
{
    const double range = range_of(p);
    double mean = 0;
    double variance = 0;
    for (uint32_t i = begin; i < end; i++)
        mean += p->weight[i] * p->x[i];
    for (uint32_t i = begin; i < end; i++) {
        const double off = p->x[i] - mean;
        variance += p->weight[i] * off * off;
    }
    if (sqrt(variance) <= 0.001 * range)
        return;
    const double slope = (x - mean) / variance;
    for (uint32_t i = begin; i < end; i++) {
        const double off = p->x[i] - mean;
        p->weight[i] *= slope * off + 1;
    }
}

static double fit_at(const points *p, const window *near, double x)
{
    const double below = x - p->x[near->begin];
    const double above = p->x[near->end] - x;
    const double radius = fmax(below, above);
    const uint32_t end = weigh(p, near, x, radius);
    double value = 0;
    if (radius > 0)
        tilt(p, near->begin, end, x);
    for (uint32_t i = near->begin; i < end; i++)
        value += p->weight[i] * p->y[i];
    return value;
}

/* Slides to the right as long as that comes nearer. */
static void slide(const points *p, double x, window *near)
{
    while (near->end + 1 < p->count && x - p->x[near->begin] > p->x[near->end + 1] - x) {
        near->begin++;
        near->end++;
    }
}

static void interpolate(const points *p, uint32_t from, uint32_t to)
{
    const double begin = p->x[from];
    const double low = p->fitted[from];
    const double high = p->fitted[to];
    const double length = p->x[to] - begin;
    for (uint32_t i = from + 1; i < to; i++) {
        const double part = (p->x[i] - begin) / length;
        const double rest = 1 - part;
        p->fitted[i] = part * high + rest * low;
    }
}

/* Gives those that tie with `*last` its value and moves it to the last of them; returns the point
 * to compute next: the last one within `apart`, or the next there is. */
static uint32_t next_point(const points *p, uint32_t *last, double apart)
{
    const double x = p->x[*last];
    const double value = p->fitted[*last];
    const double cut = x + apart;
    uint32_t at = *last + 1;
    for (; at < p->count && p->x[at] <= cut; at++) {
        if (p->x[at] != x)
            continue;
        p->fitted[at] = value;
        *last = at;
    }
    const uint32_t within = at - 1;
    if (within > *last)
        return within;
    return *last + 1;
}

/* Cleveland 1979, as R's lowess does it with iter = 0. */
static void smooth(const points *p)
{
    const double apart = APART * range_of(p);
    uint32_t wide = (uint32_t)(SPAN * p->count + 1e-7);
    if (wide < 2)
        wide = 2;
    window near = {0, wide - 1};
    uint32_t at = 0;
    uint32_t last = 0;
    for (;;) {
        const double x = p->x[at];
        slide(p, x, &near);
        p->fitted[at] = fit_at(p, &near, x);
        interpolate(p, last, at);
        last = at;
        at = next_point(p, &last, apart);
        if (last + 1 >= p->count)
            return;
    }
}

static double index_of(const points *p)
{
    double sum = 0;
    for (uint32_t i = 0; i < p->count; i++)
        sum += fabs(p->fitted[i] - p->x[i]);
    return stats_ratio(sum, p->count);
}

/* ---- points ---- */

static bool points_open(points *p, size_t room)
{
    const size_t bytes = (room + 1) * sizeof(double);
    p->x = malloc(bytes);
    p->y = malloc(bytes);
    p->fitted = calloc(1, bytes);
    p->weight = malloc(bytes);
    return p->x && p->y && p->fitted && p->weight;
}

static void points_close(points *p)
{
    free(p->x);
    free(p->y);
    free(p->fitted);
    free(p->weight);
}

typedef struct ordered {
    double p;
    uint32_t image;
} ordered;

/* Of equal ones the first image comes first, as R orders them. */
static int compare_ordered(const void *left, const void *right)
{
    const ordered *a = left;
    const ordered *b = right;
    if (a->p < b->p)
        return -1;
    if (a->p != b->p)
        return 1;
    if (a->image < b->image)
        return -1;
    return a->image > b->image;
}

/* Owned by the caller (free). */
static ordered *order_of(const pulmo_truth *truth, const double *p)
{
    const size_t room = (size_t)truth->count + 1;
    ordered *all = malloc(room * sizeof *all);
    if (!all)
        return NULL;
    for (uint32_t i = 0; i < truth->count; i++)
        all[i] = (ordered){p[i], i};
    qsort(all, truth->count, sizeof *all, compare_ordered);
    return all;
}

/* ---- the curve ---- */

static pulmo_status smooth_all(const pulmo_truth *truth, const ordered *order,
                               pulmo_smooth_curve *out)
{
    points all = {.count = truth->count};
    if (!points_open(&all, all.count)) {
        points_close(&all);
        return pulmo_fail(PULMO_MEMORY, "out of memory for a curve of %u images", all.count);
    }
    for (uint32_t i = 0; i < all.count; i++) {
        all.x[i] = order[i].p;
        all.y[i] = truth->positive[order[i].image];
    }
    smooth(&all);
    out->index = index_of(&all);
    out->points = all.count;
    out->p = all.x;
    out->share = all.fitted;
    free(all.y);
    free(all.weight);
    return PULMO_OK;
}

static const char *against(const pulmo_truth *truth, const ordered *order)
{
    if (truth->count < 3)
        return "fewer than three images";
    if (order[0].p >= order[truth->count - 1].p)
        return "all probabilities are equal";
    return NULL;
}

pulmo_status pulmo_smooth_curve_of(const pulmo_truth *truth, const double *p,
                                   pulmo_smooth_curve *out)
{
    *out = (pulmo_smooth_curve){.index = NAN};
    ordered *order = order_of(truth, p);
    if (!order)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a curve of %u images", truth->count);
    pulmo_status status = PULMO_OK;
    out->undefined = against(truth, order);
    if (!out->undefined)
        status = smooth_all(truth, order, out);
    free(order);
    if (status != PULMO_OK)
        pulmo_smooth_curve_free(out);
    return status;
}

void pulmo_smooth_curve_free(pulmo_smooth_curve *curve)
{
    free(curve->p);
    free(curve->share);
    memset(curve, 0, sizeof *curve);
}
