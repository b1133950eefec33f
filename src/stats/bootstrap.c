/* Intervals where images are not independent: whole patients are drawn again, with all that is
 * theirs. */
#include <math.h>
#include <stdlib.h>

#include "pulmo/rng.h"
#include "stats_room.h"

#define RESAMPLES_MOST  2000
#define RESAMPLES_LEAST 200
#define IMAGES_DRAWN    100000000 /* over all draws */
#define SEED            1         /* equal scores give equal intervals */

static int compare_reals(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The part `rank` (0 to 1) of the sorted values lies below it: linear between neighbours, which is
 * R's type 7 (Hyndman and Fan 1996). Infinite values stand for themselves. */
static double quantile(const double *values, uint32_t count, double rank)
{
    const double at = rank * (count - 1);
    const uint32_t below = (uint32_t)at;
    const uint32_t next = below + 1;
    const uint32_t above = next < count ? next : below;
    const double low = values[below];
    const double high = values[above];
    if (isinf(low) || isinf(high))
        return high;
    return low + (at - below) * (high - low);
}

static uint32_t resamples_for(uint32_t work)
{
    const uint32_t afford = IMAGES_DRAWN / (work + 1);
    if (afford >= RESAMPLES_MOST)
        return RESAMPLES_MOST;
    return afford > RESAMPLES_LEAST ? afford : RESAMPLES_LEAST;
}

static void draw_patients(pulmo_rng *rng, uint32_t patients, uint32_t *times)
{
    for (uint32_t p = 0; p < patients; p++)
        times[p] = 0;
    for (uint32_t p = 0; p < patients; p++)
        times[pulmo_rng_below(rng, patients)]++;
}

/* What the draws have given. */
typedef struct draws {
    uint32_t resamples;
    uint32_t *times;   /* (patients) */
    double *value;     /* (values): of one draw */
    double *all;       /* (values, resamples): those that are defined */
    uint32_t *defined; /* (values) */
} draws;

static bool draws_open(draws *d, uint32_t patients, uint32_t work, uint32_t values)
{
    d->resamples = resamples_for(work);
    d->times = calloc((size_t)patients + 1, sizeof *d->times);
    d->value = calloc((size_t)values + 1, sizeof *d->value);
    d->all = calloc((size_t)values * d->resamples + 1, sizeof *d->all);
    d->defined = calloc((size_t)values + 1, sizeof *d->defined);
    return d->times && d->value && d->all && d->defined;
}

static void draws_close(draws *d)
{
    free(d->times);
    free(d->value);
    free(d->all);
    free(d->defined);
}

static void resample(const pulmo_statistic *of, uint32_t patients, draws *d)
{
    pulmo_rng rng;
    for (uint32_t r = 0; r < d->resamples; r++) {
        pulmo_rng_at(&rng, SEED, PULMO_RNG_BOOTSTRAP, r, 0);
        draw_patients(&rng, patients, d->times);
        of->compute(of->context, d->times, d->value);
        for (uint32_t v = 0; v < of->count; v++)
            if (!isnan(d->value[v]))
                d->all[(size_t)v * d->resamples + d->defined[v]++] = d->value[v];
    }
}

static bool any_defined(const pulmo_statistic *of, const double *value)
{
    for (uint32_t v = 0; v < of->count; v++)
        if (!isnan(value[v]))
            return true;
    return false;
}

static void take_intervals(const pulmo_statistic *of, uint32_t patients, draws *d,
                           pulmo_interval *out)
{
    for (uint32_t p = 0; p < patients; p++)
        d->times[p] = 1;
    of->compute(of->context, d->times, d->value);
    for (uint32_t v = 0; v < of->count; v++)
        out[v] = (pulmo_interval){d->value[v], NAN, NAN};
    if (!any_defined(of, d->value))
        return;
    resample(of, patients, d);
    for (uint32_t v = 0; v < of->count; v++) {
        double *values = d->all + (size_t)v * d->resamples;
        if (isnan(out[v].value) || d->defined[v] < d->resamples / 2)
            continue; /* too few patients of one side for an interval */
        qsort(values, d->defined[v], sizeof *values, compare_reals);
        out[v].low = quantile(values, d->defined[v], 0.025);
        out[v].high = quantile(values, d->defined[v], 0.975);
    }
}

pulmo_status pulmo_bootstrap(const pulmo_statistic *of, uint32_t patients, uint32_t work,
                             pulmo_interval *out)
{
    draws d = {0};
    pulmo_status status = PULMO_OK;
    if (draws_open(&d, patients, work, of->count))
        take_intervals(of, patients, &d, out);
    else
        status =
            pulmo_fail(PULMO_MEMORY, "out of memory for an interval over %u patients", patients);
    draws_close(&d);
    return status;
}
