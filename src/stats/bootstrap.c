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
    if (a < b)
        return -1;
    return a > b;
}

/* The part `rank` (0 to 1) of the sorted values lies below it: linear between neighbours, which is
 * R's type 7 (Hyndman and Fan 1996). Infinite values stand for themselves. */
static double quantile(const double *values, uint32_t count, double rank)
{
    const double at = rank * (count - 1);
    const uint32_t below = (uint32_t)at;
    const double low = values[below];
    double high = low;
    if (below + 1 < count)
        high = values[below + 1];
    if (isinf(low) || isinf(high))
        return high;
    const double part = at - below;
    return low + part * (high - low);
}

static uint32_t resamples_for(uint32_t work)
{
    const uint32_t afford = IMAGES_DRAWN / (work + 1);
    if (afford >= RESAMPLES_MOST)
        return RESAMPLES_MOST;
    if (afford <= RESAMPLES_LEAST)
        return RESAMPLES_LEAST;
    return afford;
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
    const size_t of_patients = (size_t)patients + 1;
    const size_t of_values = (size_t)values + 1;
    d->resamples = resamples_for(work);
    const size_t of_all = (size_t)values * d->resamples + 1;
    d->times = calloc(of_patients, sizeof *d->times);
    d->value = calloc(of_values, sizeof *d->value);
    d->all = calloc(of_all, sizeof *d->all);
    d->defined = calloc(of_values, sizeof *d->defined);
    return d->times && d->value && d->all && d->defined;
}

static void draws_close(draws *d)
{
    free(d->times);
    free(d->value);
    free(d->all);
    free(d->defined);
}

/* Those of one value, one draw's after another. */
static double *values_of(const draws *d, uint32_t value)
{
    const size_t begin = (size_t)value * d->resamples;
    return d->all + begin;
}

/* Of this draw what is defined. */
static void keep_values(uint32_t count, draws *d)
{
    for (uint32_t v = 0; v < count; v++) {
        const double value = d->value[v];
        if (isnan(value))
            continue;
        double *values = values_of(d, v);
        values[d->defined[v]] = value;
        d->defined[v]++;
    }
}

static void resample(const pulmo_statistic *of, uint32_t patients, draws *d)
{
    pulmo_rng rng;
    for (uint32_t r = 0; r < d->resamples; r++) {
        pulmo_rng_at(&rng, SEED, PULMO_RNG_BOOTSTRAP, r, 0);
        draw_patients(&rng, patients, d->times);
        of->compute(of->context, d->times, d->value);
        keep_values(of->count, d);
    }
}

static bool any_defined(const pulmo_statistic *of, const double *value)
{
    for (uint32_t v = 0; v < of->count; v++)
        if (!isnan(value[v]))
            return true;
    return false;
}

/* None where too few patients are of one side. */
static void take_bounds(draws *d, uint32_t value, pulmo_interval *out)
{
    const uint32_t defined = d->defined[value];
    double *values = values_of(d, value);
    if (isnan(out->value))
        return;
    if (defined < d->resamples / 2)
        return;
    qsort(values, defined, sizeof *values, compare_reals);
    out->low = quantile(values, defined, 0.025);
    out->high = quantile(values, defined, 0.975);
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
    for (uint32_t v = 0; v < of->count; v++)
        take_bounds(d, v, &out[v]);
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
