/* Calibration: intercept and slope of a logistic regression on the log-odds. */
#include <math.h>
#include <stdlib.h>

#include "pulmo/elementary.h"
#include "pulmo/operating.h"
#include "stats_room.h"

#define ROUNDS      100
#define NEAR_ENOUGH 1e-12
#define HALVINGS    40
#define ROUNDING    1e-10 /* of a sum of likelihoods: smaller losses are none */
#define ONE_PATIENT "fewer than two patients"
#define NOT_FOUND   "the likelihood has no largest value that can be found"

double pulmo_log_odds(double probability)
{
    return pulmo_log(probability) - pulmo_log(1 - probability);
}

/* A symmetric matrix of two rows: of a model of the intercept alone, aa. */
typedef struct matrix2 {
    double aa, ab, bb;
} matrix2;

/* The regression: finding ~ intercept + slope x. */
typedef struct fit {
    const pulmo_truth *truth;
    const double *x; /* (count) */
    bool with_slope;
    double intercept, slope;
} fit;

/* 1 / (1 + exp(-z)) without overflow. */
static double logistic(double z)
{
    if (z >= 0)
        return 1 / (1 + pulmo_exp(-z));
    const double e = pulmo_exp(z);
    return e / (1 + e);
}

/* log(1 + exp(z)), without overflow and without loss where exp(z) is small. */
static double softplus(double z)
{
    const double e = pulmo_exp(-fabs(z));
    const double sum = 1 + e;
    const double lost = e - (sum - 1); /* what 1 + e rounds away */
    return fmax(z, 0) + pulmo_log(sum) + lost / sum;
}

static double linear(const fit *f, uint32_t image)
{
    return f->intercept + f->slope * f->x[image];
}

static double log_likelihood(const fit *f)
{
    double sum = 0;
    for (uint32_t i = 0; i < f->truth->count; i++) {
        const double z = linear(f, i);
        if (f->truth->positive[i])
            sum -= softplus(-z);
        else
            sum -= softplus(z);
    }
    return sum;
}

/* What Newton's method goes by: the slope of the log-likelihood and its curvature. */
typedef struct curvature {
    double a, b; /* gradient */
    matrix2 information;
} curvature;

static curvature look(const fit *f)
{
    curvature c = {0};
    for (uint32_t i = 0; i < f->truth->count; i++) {
        const double x = f->x[i];
        const double p = logistic(linear(f, i));
        const double off = f->truth->positive[i] - p;
        const double weight = p * (1 - p);
        c.a += off;
        c.b += off * x;
        c.information.aa += weight;
        c.information.ab += weight * x;
        c.information.bb += weight * x * x;
    }
    return c;
}

/* Of a model without slope the other rows are 0. */
static matrix2 inverse(const matrix2 *m, bool with_slope)
{
    matrix2 out = {0};
    if (!with_slope) {
        out.aa = 1 / m->aa;
        return out;
    }
    const double determinant = m->aa * m->bb - m->ab * m->ab;
    out.aa = m->bb / determinant;
    out.ab = -m->ab / determinant;
    out.bb = m->aa / determinant;
    return out;
}

/* A step that would lower the likelihood is halved. Returns how far it went. */
static double step(fit *f, double *likelihood)
{
    const curvature c = look(f);
    const matrix2 back = inverse(&c.information, f->with_slope);
    const fit before = *f;
    double da = back.aa * c.a + back.ab * c.b;
    double db = back.ab * c.a + back.bb * c.b;
    for (int i = 0; i < HALVINGS; i++) {
        f->intercept = before.intercept + da;
        f->slope = before.slope + db;
        const double now = log_likelihood(f);
        if (now >= *likelihood - fabs(*likelihood) * ROUNDING) {
            *likelihood = now;
            break;
        }
        da /= 2;
        db /= 2;
    }
    return fmax(fabs(da), fabs(db));
}

/* Newton's method; false where it does not end, which sides that are all but separated do. */
static bool climb(fit *f)
{
    double likelihood = log_likelihood(f);
    for (int i = 0; i < ROUNDS; i++) {
        const double moved = step(f, &likelihood);
        if (!isfinite(moved))
            return false;
        if (moved <= NEAR_ENOUGH * (1 + fabs(f->intercept) + fabs(f->slope))) {
            (void)step(f, &likelihood); /* its error is squared once more */
            return isfinite(f->intercept) && isfinite(f->slope);
        }
    }
    return false;
}

/* ---- variances ---- */

/* The score of each patient, squared and summed: what the sandwich is filled with. */
static pulmo_status filling(const fit *f, matrix2 *out, double *patients)
{
    stats_cluster *sums = stats_clusters(f->truth);
    if (!sums)
        return PULMO_MEMORY;
    *out = (matrix2){0};
    *patients = 0;
    for (uint32_t i = 0; i < f->truth->count; i++) {
        stats_cluster *of = &sums[f->truth->patient[i]];
        const double off = f->truth->positive[i] - logistic(linear(f, i));
        of->first += off;
        of->second += off * f->x[i];
        of->count++;
    }
    for (uint32_t p = 0; p < f->truth->patients; p++) {
        const stats_cluster *of = &sums[p];
        out->aa += of->first * of->first;
        out->ab += of->first * of->second;
        out->bb += of->second * of->second;
        *patients += of->count > 0;
    }
    free(sums);
    return PULMO_OK;
}

/* left * m * left of symmetric matrices. */
static matrix2 sandwich(const matrix2 *bread, const matrix2 *m)
{
    const double aa = bread->aa * m->aa + bread->ab * m->ab;
    const double ab = bread->aa * m->ab + bread->ab * m->bb;
    const double ba = bread->ab * m->aa + bread->bb * m->ab;
    const double bb = bread->ab * m->ab + bread->bb * m->bb;
    return (matrix2){.aa = aa * bread->aa + ab * bread->ab,
                     .ab = aa * bread->ab + ab * bread->bb,
                     .bb = ba * bread->ab + bb * bread->bb};
}

static pulmo_status variances(const fit *f, bool repeats, matrix2 *out, double *quantile)
{
    const curvature c = look(f);
    matrix2 inside;
    double patients = 0;
    *out = inverse(&c.information, f->with_slope);
    *quantile = STATS_Z95;
    if (!repeats)
        return PULMO_OK;
    PULMO_TRY(filling(f, &inside, &patients));
    const double scale = stats_ratio(patients, patients - 1);
    *out = sandwich(out, &inside);
    out->aa *= scale;
    out->bb *= scale;
    *quantile = NAN;
    if (patients > 1)
        *quantile = stats_t95(patients - 1);
    return PULMO_OK;
}

static pulmo_estimate wald(double value, double variance, double quantile)
{
    const double half = quantile * sqrt(variance);
    pulmo_estimate out = {.it = {value, value - half, value + half}};
    if (isnan(half))
        out.undefined = ONE_PATIENT;
    return out;
}

static pulmo_estimate without(const char *reason)
{
    return (pulmo_estimate){.it = STATS_NAN3, .undefined = reason};
}

/* ---- what stands against it ---- */

typedef struct extent {
    double low, high;
} extent;

static extent extent_of(const pulmo_truth *truth, const double *x, bool positive)
{
    extent e = {INFINITY, -INFINITY};
    for (uint32_t i = 0; i < truth->count; i++) {
        if (truth->positive[i] != positive)
            continue;
        e.low = fmin(e.low, x[i]);
        e.high = fmax(e.high, x[i]);
    }
    return e;
}

static const char *against_both(const pulmo_truth *truth, const double *x)
{
    for (uint32_t i = 0; i < truth->count; i++)
        if (!isfinite(x[i]))
            return "a probability is 0 or 1, whose log-odds are infinite";
    const extent with = extent_of(truth, x, true);
    const extent rest = extent_of(truth, x, false);
    if (with.low > with.high)
        return "no image has the finding";
    if (rest.low > rest.high)
        return "every image has the finding";
    return NULL;
}

/* The likelihood of a slope has no largest value where a threshold separates the sides, be it that
 * images of both stand on it (Albert and Anderson 1984). */
static const char *against_slope(const pulmo_truth *truth, const double *x)
{
    const extent with = extent_of(truth, x, true);
    const extent rest = extent_of(truth, x, false);
    if (fmin(with.low, rest.low) >= fmax(with.high, rest.high))
        return "all probabilities are equal";
    if (with.low >= rest.high || with.high <= rest.low)
        return "a threshold separates the sides: no slope is too steep";
    return NULL;
}

/* ---- the fits ---- */

static pulmo_status fit_in_the_large(const pulmo_truth *truth, const double *x, bool repeats,
                                     pulmo_estimate *out)
{
    fit f = {.truth = truth, .x = x, .slope = 1};
    matrix2 variance;
    double quantile = 0;
    *out = without(NOT_FOUND);
    if (!climb(&f))
        return PULMO_OK;
    PULMO_TRY(variances(&f, repeats, &variance, &quantile));
    *out = wald(f.intercept, variance.aa, quantile);
    return PULMO_OK;
}

static pulmo_status fit_both(const pulmo_truth *truth, const double *x, bool repeats,
                             pulmo_calibration_line *out)
{
    fit f = {.truth = truth, .x = x, .with_slope = true};
    matrix2 variance;
    double quantile = 0;
    out->intercept = without(NOT_FOUND);
    out->slope = out->intercept;
    if (!climb(&f))
        return PULMO_OK;
    PULMO_TRY(variances(&f, repeats, &variance, &quantile));
    out->intercept = wald(f.intercept, variance.aa, quantile);
    out->slope = wald(f.slope, variance.bb, quantile);
    return PULMO_OK;
}

pulmo_status pulmo_calibration_line_of(const pulmo_truth *truth, const double *log_odds,
                                       pulmo_calibration_line *out)
{
    bool repeats = false;
    const char *both = against_both(truth, log_odds);
    *out = (pulmo_calibration_line){without(both), without(both), without(both)};
    if (both)
        return PULMO_OK;
    PULMO_TRY(stats_repeats(truth, &repeats));
    PULMO_TRY(fit_in_the_large(truth, log_odds, repeats, &out->in_the_large));
    const char *slope = against_slope(truth, log_odds);
    out->intercept = without(slope);
    out->slope = without(slope);
    if (slope)
        return PULMO_OK;
    return fit_both(truth, log_odds, repeats, out);
}
