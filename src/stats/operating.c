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
    if (a > 0)
        return INFINITY;
    return NAN;
}

/* What a positive (negative) result means at a prevalence, by its likelihood ratio. */
static double predictive_positive(double likelihood_ratio, double prevalence)
{
    const double odds = prevalence / (1 - prevalence);
    if (isinf(likelihood_ratio))
        return 1;
    const double after = likelihood_ratio * odds;
    return after / (1 + after);
}

static double predictive_negative(double likelihood_ratio, double prevalence)
{
    const double odds = prevalence / (1 - prevalence);
    const double after = likelihood_ratio * odds;
    return 1 / (1 + after);
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
    const double up = ratio(sensitivity, 1 - specificity);
    const double down = ratio(1 - sensitivity, specificity);
    double *positive = &value[PREDICTIVE_POSITIVE];
    double *negative = &value[PREDICTIVE_NEGATIVE];
    value[SENSITIVITY] = sensitivity;
    value[SPECIFICITY] = specificity;
    value[RATIO_POSITIVE] = up;
    value[RATIO_NEGATIVE] = down;
    for (int i = 0; i < PULMO_PREVALENCES; i++) {
        const double prevalence = pulmo_prevalences[i];
        positive[i] = predictive_positive(up, prevalence);
        negative[i] = predictive_negative(down, prevalence);
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
    if (a->score > b->score)
        return -1;
    return a->score < b->score;
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
    const double spared = r->negatives - r->alarms;
    return spared / r->negatives;
}

/* What is chosen: a threshold and its two rates. */
typedef struct choice {
    double threshold, sensitivity, specificity;
} choice;

/* Takes this point where the rule would rather have it than what it has. Specificity falls on the
 * way and the last that reaches it counts; of sensitivity the first. */
static void offer(const struct target *of, const rates *r, double threshold, choice *best)
{
    const double least = of->share - ROUNDING;
    const choice here = {threshold, sensitivity_of(r), specificity_of(r)};
    bool better = here.specificity >= least;
    if (of->of_sensitivity)
        better = !(best->sensitivity >= least);
    if (better)
        *best = here;
}

/* How often an image counts; `times` NULL: once. */
static double weight_of(const scored_image *image, const uint32_t *times)
{
    if (times)
        return times[image->patient];
    return 1;
}

static rates count_rates(const walk *w, const uint32_t *times)
{
    rates r = {0};
    for (uint32_t i = 0; i < w->count; i++) {
        const scored_image *here = &w->image[i];
        const double weight = weight_of(here, times);
        if (here->positive)
            r.positives += weight;
        else
            r.negatives += weight;
    }
    return r;
}

static bool ties_with_next(const walk *w, uint32_t at)
{
    const scored_image *here = &w->image[at];
    if (at + 1 >= w->count)
        return false;
    return here[1].score == here->score;
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
        const double weight = weight_of(here, times);
        if (here->positive)
            r.found += weight;
        else
            r.alarms += weight;
        if (ties_with_next(w, i))
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
        const choice *chosen = &best[c];
        double *own = value + (ptrdiff_t)c * VALUES;
        if (both)
            fill_values(chosen->sensitivity, chosen->specificity, own);
        for (int v = 0; v < VALUES && !both; v++)
            own[v] = NAN;
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
    const size_t room = (size_t)truth->count + 1;
    out->image = malloc(room * sizeof *out->image);
    if (!out->image)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u scores", truth->count);
    for (uint32_t i = 0; i < truth->count; i++) {
        const uint32_t patient = stats_patient_of(truth, i);
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
    const uint32_t patients = stats_patients(truth);
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
/* The square root that both bounds take of their equation. */
static double root_of(double a, double b, double c)
{
    const double square = b * b - a * c;
    return sqrt(fmax(0, square));
}

static double ratio_low(pulmo_interval p, pulmo_interval q, double r)
{
    const double off_p = p.value - p.low;
    const double off_q = q.high - q.value;
    const double product = p.value * q.value;
    const double shared = r * off_p * off_q;
    const double a = q.high * (2 * q.value - q.high);
    const double b = product - shared;
    const double c = p.low * (2 * p.value - p.low);
    const double root = root_of(a, b, c);
    return fmax(0, c / (b + root));
}

static double ratio_high(pulmo_interval p, pulmo_interval q, double r)
{
    const double off_p = p.high - p.value;
    const double off_q = q.value - q.low;
    const double product = p.value * q.value;
    const double shared = r * off_p * off_q;
    const double a = q.low * (2 * q.value - q.low);
    const double b = product - shared;
    const double c = p.high * (2 * p.value - p.high);
    if (a <= 0)
        return INFINITY;
    const double root = root_of(a, b, c);
    return (b + root) / a;
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

/* Images of both sides, and those of each that are called. */
static rates count_called(const pulmo_truth *truth, const bool *called)
{
    rates n = {0};
    for (uint32_t i = 0; i < truth->count; i++) {
        const bool positive = truth->positive[i];
        n.positives += positive;
        n.negatives += !positive;
        n.found += positive && called[i];
        n.alarms += !positive && called[i];
    }
    return n;
}

/* Of both sums over clusters; 0 where either does not vary. */
static double correlation_of(const stats_cluster *sums, uint32_t count)
{
    double xx = 0;
    double yy = 0;
    double xy = 0;
    for (uint32_t p = 0; p < count; p++) {
        const stats_cluster *of = &sums[p];
        xx += of->first * of->first;
        yy += of->second * of->second;
        xy += of->first * of->second;
    }
    if (xx > 0 && yy > 0)
        return xy / sqrt(xx * yy);
    return 0;
}

/* Of sensitivity with 1 - specificity, over patients that have images of both sides. */
static pulmo_status correlate(const pulmo_truth *truth, const bool *called, double *r)
{
    const rates n = count_called(truth, called);
    const double found = n.found / n.positives;
    const double alarms = n.alarms / n.negatives;
    stats_cluster *sums = stats_clusters(truth);
    *r = 0;
    if (!sums)
        return PULMO_MEMORY;
    for (uint32_t i = 0; i < truth->count; i++) {
        stats_cluster *of = &sums[stats_patient_of(truth, i)];
        if (truth->positive[i])
            of->first += called[i] - found;
        else
            of->second += called[i] - alarms;
    }
    *r = correlation_of(sums, stats_patients(truth));
    free(sums);
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

static pulmo_interval positive_interval(pulmo_interval ratio, double prevalence)
{
    pulmo_interval out;
    out.value = predictive_positive(ratio.value, prevalence);
    out.low = predictive_positive(ratio.low, prevalence);
    out.high = predictive_positive(ratio.high, prevalence);
    return out;
}

static pulmo_interval negative_interval(pulmo_interval ratio, double prevalence)
{
    pulmo_interval out;
    out.value = predictive_negative(ratio.value, prevalence);
    out.low = predictive_negative(ratio.high, prevalence);
    out.high = predictive_negative(ratio.low, prevalence);
    return out;
}

/* At a known prevalence a predictive value rises with the positive ratio, and falls with the
 * negative one. */
static void predict(pulmo_operating_point *out)
{
    const pulmo_interval up = out->likelihood_positive;
    const pulmo_interval down = out->likelihood_negative;
    for (int i = 0; i < PULMO_PREVALENCES; i++) {
        const double at = pulmo_prevalences[i];
        out->predictive_positive[i] = positive_interval(up, at);
        out->predictive_negative[i] = negative_interval(down, at);
    }
}

static pulmo_status given_point(const pulmo_truth *truth, const bool *called,
                                pulmo_operating_point *out)
{
    const size_t room = (size_t)truth->count + 1;
    bool *among = malloc(room * sizeof *among);
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
    bool positive = false;
    bool negative = false;
    for (uint32_t i = 0; i < truth->count; i++) {
        positive |= truth->positive[i];
        negative |= !truth->positive[i];
    }
    if (!positive)
        return "no image has the finding";
    if (!negative)
        return "every image has the finding";
    return NULL;
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
