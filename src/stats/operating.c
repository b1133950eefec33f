/* Operating points: what a threshold gives, and what its results mean. */
#include <math.h>
#include <stdlib.h>

#include "pulmo/operating.h"
#include "stats_room.h"

const double pulmo_prevalences[PULMO_PREVALENCES] = {0.01, 0.05, 0.10, 0.30};

#define ROUNDING 1e-12 /* 1 - 9/10 is a little below 1/10 */

/* What is reached of which, by the rules that choose a threshold. */
static const struct target {
    bool of_sensitivity;
    double share;
} targets[PULMO_OPERATING_RULES] = {
    [PULMO_AT_SPECIFICITY_90] = {false, 0.90},
    [PULMO_AT_SPECIFICITY_95] = {false, 0.95},
    [PULMO_AT_SENSITIVITY_90] = {true, 0.90},
    [PULMO_AT_SENSITIVITY_95] = {true, 0.95},
};
#define FIRST_CHOSEN (PULMO_AS_CALLED + 1)
#define CHOSEN       (PULMO_OPERATING_RULES - FIRST_CHOSEN)

/* ---- what two rates tell ---- */

/* Infinite where nothing is divided by, NaN where nothing is divided by nothing. */
static double ratio(double a, double b)
{
    if (b > 0)
        return a / b;
    return a > 0 ? INFINITY : NAN;
}

/* What a positive (negative) result means at a prevalence, by its likelihood ratio. */
static double predictive_positive(double likelihood_ratio, double prevalence)
{
    const double odds = prevalence / (1 - prevalence);
    if (isinf(likelihood_ratio))
        return 1;
    return likelihood_ratio * odds / (1 + likelihood_ratio * odds);
}

static double predictive_negative(double likelihood_ratio, double prevalence)
{
    const double odds = prevalence / (1 - prevalence);
    return 1 / (1 + likelihood_ratio * odds);
}

/* The values of one point, as a bootstrap takes them. */
enum {
    SENSITIVITY,
    SPECIFICITY,
    RATIO_POSITIVE,
    RATIO_NEGATIVE,
    PREDICTIVE_POSITIVE,
    PREDICTIVE_NEGATIVE = PREDICTIVE_POSITIVE + PULMO_PREVALENCES,
    VALUES = PREDICTIVE_NEGATIVE + PULMO_PREVALENCES
};

static void fill_values(double sensitivity, double specificity, double *value)
{
    value[SENSITIVITY] = sensitivity;
    value[SPECIFICITY] = specificity;
    value[RATIO_POSITIVE] = ratio(sensitivity, 1 - specificity);
    value[RATIO_NEGATIVE] = ratio(1 - sensitivity, specificity);
    for (int i = 0; i < PULMO_PREVALENCES; i++) {
        const double prevalence = pulmo_prevalences[i];
        value[PREDICTIVE_POSITIVE + i] = predictive_positive(value[RATIO_POSITIVE], prevalence);
        value[PREDICTIVE_NEGATIVE + i] = predictive_negative(value[RATIO_NEGATIVE], prevalence);
    }
}

/* ---- points that are chosen ---- */

typedef struct scored_image {
    double score;
    uint32_t patient;
    bool positive;
} scored_image;

/* All images, the highest score first. */
typedef struct walk {
    scored_image *image;
    uint32_t count;
} walk;

static int compare_images(const void *left, const void *right)
{
    const scored_image *a = left;
    const scored_image *b = right;
    return (a->score < b->score) - (a->score > b->score);
}

typedef struct rates {
    double found, alarms;        /* so far */
    double positives, negatives; /* of all */
} rates;

static double sensitivity_of(const rates *r)
{
    return r->found / r->positives;
}

static double specificity_of(const rates *r)
{
    return (r->negatives - r->alarms) / r->negatives;
}

/* What is chosen: a threshold and its two rates. */
typedef struct choice {
    double threshold, sensitivity, specificity;
} choice;

/* Takes this point where the rule would rather have it than what it has. Specificity falls on the
 * way and the last that reaches it counts; of sensitivity the first. */
static void offer(const struct target *of, const rates *r, double threshold, choice *best)
{
    const bool reached = best->sensitivity >= of->share - ROUNDING;
    const choice here = {threshold, sensitivity_of(r), specificity_of(r)};
    if (of->of_sensitivity && !reached)
        *best = here;
    if (!of->of_sensitivity && here.specificity >= of->share - ROUNDING)
        *best = here;
}

static rates count_rates(const walk *w, const uint32_t *times)
{
    rates r = {0};
    for (uint32_t i = 0; i < w->count; i++) {
        const double weight = times ? times[w->image[i].patient] : 1;
        if (w->image[i].positive)
            r.positives += weight;
        else
            r.negatives += weight;
    }
    return r;
}

/* All chosen points in one walk; best (CHOSEN). `times` NULL: each patient once. False without both
 * sides. */
static bool choose(const walk *w, const uint32_t *times, choice *best)
{
    rates r = count_rates(w, times);
    for (int c = 0; c < CHOSEN; c++)
        best[c] = (choice){INFINITY, 0, 1};
    if (r.positives <= 0 || r.negatives <= 0)
        return false;
    for (uint32_t i = 0; i < w->count; i++) {
        const scored_image *here = &w->image[i];
        const double weight = times ? times[here->patient] : 1;
        if (here->positive)
            r.found += weight;
        else
            r.alarms += weight;
        if (i + 1 < w->count && w->image[i + 1].score == here->score)
            continue;
        for (int c = 0; c < CHOSEN; c++)
            offer(&targets[FIRST_CHOSEN + c], &r, here->score, &best[c]);
    }
    return true;
}

static void values_drawn(const void *context, const uint32_t *times, double *value)
{
    choice best[CHOSEN];
    const bool both = choose(context, times, best);
    for (int c = 0; c < CHOSEN; c++) {
        if (both)
            fill_values(best[c].sensitivity, best[c].specificity, value + (ptrdiff_t)c * VALUES);
        for (int v = 0; v < VALUES && !both; v++)
            value[c * VALUES + v] = NAN;
    }
}

static void take_point(const pulmo_interval *of, pulmo_operating_point *out)
{
    out->sensitivity = of[SENSITIVITY];
    out->specificity = of[SPECIFICITY];
    out->likelihood_positive = of[RATIO_POSITIVE];
    out->likelihood_negative = of[RATIO_NEGATIVE];
    for (int i = 0; i < PULMO_PREVALENCES; i++) {
        out->predictive_positive[i] = of[PREDICTIVE_POSITIVE + i];
        out->predictive_negative[i] = of[PREDICTIVE_NEGATIVE + i];
    }
}

static pulmo_status walk_open(const pulmo_truth *truth, const double *score, walk *out)
{
    out->count = truth->count;
    out->image = malloc(((size_t)truth->count + 1) * sizeof *out->image);
    if (!out->image)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u scores", truth->count);
    for (uint32_t i = 0; i < truth->count; i++) {
        const uint32_t patient = truth->patient ? truth->patient[i] : i;
        out->image[i] = (scored_image){score[i], patient, truth->positive[i]};
    }
    qsort(out->image, out->count, sizeof *out->image, compare_images);
    return PULMO_OK;
}

static pulmo_status chosen_points(const pulmo_truth *truth, const double *score,
                                  pulmo_operating_point *out)
{
    walk w;
    choice best[CHOSEN];
    pulmo_interval found[CHOSEN * VALUES];
    const uint32_t patients = truth->patient ? truth->patients : truth->count;
    PULMO_TRY(walk_open(truth, score, &w));
    const pulmo_statistic of = {values_drawn, &w, CHOSEN * VALUES};
    pulmo_status status = pulmo_bootstrap(&of, patients, truth->count, found);
    (void)choose(&w, NULL, best);
    free(w.image);
    for (int c = 0; status == PULMO_OK && c < CHOSEN; c++) {
        pulmo_operating_point *point = &out[FIRST_CHOSEN + c];
        take_point(found + (ptrdiff_t)c * VALUES, point);
        point->threshold = best[c].threshold;
    }
    return status;
}

/* ---- the point that is given ---- */

/* The interval of p / q from their own and their correlation (Donner and Zou, "Closed-form
 * confidence intervals for functions of the normal mean and standard deviation", Statistical
 * Methods in Medical Research 21 (2012), 347-359, eq. 9): the ratios at which p less R q may be 0.
 * It has a lower bound where q is 0. */
static double ratio_low(pulmo_interval p, pulmo_interval q, double r)
{
    const double off_p = p.value - p.low;
    const double off_q = q.high - q.value;
    const double a = q.high * (2 * q.value - q.high);
    const double b = p.value * q.value - r * off_p * off_q;
    const double c = p.low * (2 * p.value - p.low);
    return fmax(0, c / (b + sqrt(fmax(0, b * b - a * c))));
}

static double ratio_high(pulmo_interval p, pulmo_interval q, double r)
{
    const double off_p = p.high - p.value;
    const double off_q = q.value - q.low;
    const double a = q.low * (2 * q.value - q.low);
    const double b = p.value * q.value - r * off_p * off_q;
    const double c = p.high * (2 * p.value - p.high);
    if (a <= 0)
        return INFINITY;
    return (b + sqrt(fmax(0, b * b - a * c))) / a;
}

static pulmo_interval ratio_interval(pulmo_interval p, pulmo_interval q, double r)
{
    pulmo_interval out = {ratio(p.value, q.value), NAN, NAN};
    if (isnan(out.value) || isnan(p.low) || isnan(q.low))
        return out;
    out.low = ratio_low(p, q, r);
    out.high = ratio_high(p, q, r);
    return out;
}

static pulmo_interval turned(pulmo_interval of)
{
    return (pulmo_interval){1 - of.value, 1 - of.high, 1 - of.low};
}

/* Of sensitivity with 1 - specificity, over patients that have images of both sides. */
static pulmo_status correlate(const pulmo_truth *truth, const bool *called, double *r)
{
    double positives = 0, negatives = 0, found = 0, alarms = 0;
    double xx = 0, yy = 0, xy = 0;
    stats_cluster *sums = stats_clusters(truth);
    *r = 0;
    if (!sums)
        return PULMO_MEMORY;
    for (uint32_t i = 0; i < truth->count; i++) {
        positives += truth->positive[i];
        negatives += !truth->positive[i];
        found += truth->positive[i] && called[i];
        alarms += !truth->positive[i] && called[i];
    }
    for (uint32_t i = 0; i < truth->count; i++) {
        stats_cluster *of = &sums[truth->patient ? truth->patient[i] : i];
        if (truth->positive[i])
            of->first += called[i] - found / positives;
        else
            of->second += called[i] - alarms / negatives;
    }
    const uint32_t patients = truth->patient ? truth->patients : truth->count;
    for (uint32_t p = 0; p < patients; p++) {
        xx += sums[p].first * sums[p].first;
        yy += sums[p].second * sums[p].second;
        xy += sums[p].first * sums[p].second;
    }
    free(sums);
    if (xx > 0 && yy > 0)
        *r = xy / sqrt(xx * yy);
    return PULMO_OK;
}

static pulmo_status rates_at(const pulmo_truth *truth, const bool *called, bool *among,
                             pulmo_operating_point *out)
{
    pulmo_estimate alarms, found;
    double r = 0;
    PULMO_TRY(pulmo_share(truth, truth->positive, called, &found));
    for (uint32_t i = 0; i < truth->count; i++)
        among[i] = !truth->positive[i];
    PULMO_TRY(pulmo_share(truth, among, called, &alarms));
    PULMO_TRY(correlate(truth, called, &r));
    out->sensitivity = found.it;
    out->specificity = turned(alarms.it);
    out->likelihood_positive = ratio_interval(found.it, alarms.it, r);
    out->likelihood_negative = ratio_interval(turned(found.it), out->specificity, r);
    return PULMO_OK;
}

/* At a known prevalence a predictive value rises with the positive ratio, and falls with the
 * negative one. */
static void predict(pulmo_operating_point *out)
{
    const pulmo_interval up = out->likelihood_positive;
    const pulmo_interval down = out->likelihood_negative;
    for (int i = 0; i < PULMO_PREVALENCES; i++) {
        const double at = pulmo_prevalences[i];
        out->predictive_positive[i] =
            (pulmo_interval){predictive_positive(up.value, at), predictive_positive(up.low, at),
                             predictive_positive(up.high, at)};
        out->predictive_negative[i] =
            (pulmo_interval){predictive_negative(down.value, at),
                             predictive_negative(down.high, at), predictive_negative(down.low, at)};
    }
}

static pulmo_status given_point(const pulmo_truth *truth, const bool *called,
                                pulmo_operating_point *out)
{
    bool *among = malloc(((size_t)truth->count + 1) * sizeof *among);
    if (!among)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u scores", truth->count);
    pulmo_status status = rates_at(truth, called, among, out);
    free(among);
    predict(out);
    return status;
}

/* ---- all of them ---- */

static const char *missing_side(const pulmo_truth *truth)
{
    bool positive = false, negative = false;
    for (uint32_t i = 0; i < truth->count; i++) {
        positive |= truth->positive[i];
        negative |= !truth->positive[i];
    }
    if (!positive)
        return "no image has the finding";
    return negative ? NULL : "every image has the finding";
}

pulmo_status pulmo_operating_points(const pulmo_truth *truth, const double *score,
                                    const bool *called, pulmo_operating_point *out)
{
    const char *undefined = missing_side(truth);
    pulmo_interval none[VALUES];
    for (int v = 0; v < VALUES; v++)
        none[v] = STATS_NAN3;
    for (int k = 0; k < PULMO_OPERATING_RULES; k++) {
        out[k] = (pulmo_operating_point){.threshold = NAN, .undefined = undefined};
        take_point(none, &out[k]);
    }
    PULMO_TRY(given_point(truth, called, &out[PULMO_AS_CALLED]));
    if (undefined)
        return PULMO_OK;
    return chosen_points(truth, score, out);
}
