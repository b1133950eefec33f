/* Areas under the ROC curve, and two of the same images. An image's placement is the part of the
 * other side that it stands on the right side of (ties count half); the area is their mean.
 *
 * Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53 (1997), 567-578:
 * with M positives, N negatives, and of each of I patients the sums of placements less the area,
 * x over its positives and y over its negatives,
 *
 *   var = S10 / M + S01 / N + 2 S11 / (M N)
 *   S10 = I10 / ((I10 - 1) M) sum x^2,  S01 alike,  S11 = I / (I - 1) sum x y
 *
 * I10 patients with a positive, I01 with a negative. Where each patient has one image that is
 * DeLong's. Placements are found as in Sun and Xu 2014, by sorting once. */
#include <math.h>
#include <stdlib.h>

#include "stats_room.h"

static const char no_positive[] = "no image has the finding";
static const char no_negative[] = "every image has the finding";
static const char few_positive[] = "fewer than two patients have the finding";
static const char few_negative[] = "fewer than two patients are without the finding";

/* ---- placements ---- */

typedef struct ranked {
    double score;
    uint32_t image;
    bool positive;
} ranked;

static int compare_ranked(const void *left, const void *right)
{
    const ranked *a = left;
    const ranked *b = right;
    if (a->score < b->score)
        return -1;
    return a->score > b->score;
}

typedef struct sides {
    double positives, negatives;
} sides;

static sides count_sides(const pulmo_truth *truth)
{
    sides n = {0};
    for (uint32_t i = 0; i < truth->count; i++) {
        const bool positive = truth->positive[i];
        n.positives += positive;
        n.negatives += !positive;
    }
    return n;
}

/* Those of the scores from `begin` on that are equal; returns where they end. */
static uint32_t tally_ties(const ranked *all, uint32_t count, uint32_t begin, sides *tied)
{
    const double score = all[begin].score;
    uint32_t at = begin;
    *tied = (sides){0};
    for (; at < count && all[at].score == score; at++) {
        const bool positive = all[at].positive;
        tied->positives += positive;
        tied->negatives += !positive;
    }
    return at;
}

/* Of each image, into place (count). Returns how many pairs are in order, of which all are exact in
 * double. */
static double place_all(const ranked *all, uint32_t count, const sides *whole, double *place)
{
    sides seen = {0};
    sides tied;
    double pairs = 0;
    uint32_t next = 0;
    for (uint32_t at = 0; at < count; at = next) {
        next = tally_ties(all, count, at, &tied);
        const double below = seen.negatives + tied.negatives / 2;
        const double above = whole->positives - seen.positives - tied.positives / 2;
        const double of_positive = below / whole->negatives;
        const double of_negative = above / whole->positives;
        for (uint32_t i = at; i < next; i++) {
            double *own = &place[all[i].image];
            if (all[i].positive)
                *own = of_positive;
            else
                *own = of_negative;
        }
        pairs += tied.positives * below;
        seen.positives += tied.positives;
        seen.negatives += tied.negatives;
    }
    return pairs;
}

static pulmo_status rank(const pulmo_truth *truth, const double *score, ranked *out)
{
    for (uint32_t i = 0; i < truth->count; i++) {
        if (isnan(score[i]))
            return pulmo_fail(PULMO_DATA, "image %u has no score: it is not a number", i);
        out[i] = (ranked){score[i], i, truth->positive[i]};
    }
    qsort(out, truth->count, sizeof *out, compare_ranked);
    return PULMO_OK;
}

/* The area, and each image's placement less it (count). Both sides have images. */
static pulmo_status deviations(const pulmo_truth *truth, const double *score, double *area,
                               double *out)
{
    const sides whole = count_sides(truth);
    const size_t room = (size_t)truth->count + 1;
    ranked *all = malloc(room * sizeof *all);
    if (!all)
        return pulmo_fail(PULMO_MEMORY, "out of memory: cannot rank %u scores", truth->count);
    pulmo_status status = rank(truth, score, all);
    if (status == PULMO_OK) {
        const double pairs = place_all(all, truth->count, &whole, out);
        const double all_pairs = whole.positives * whole.negatives;
        *area = pairs / all_pairs;
        for (uint32_t i = 0; i < truth->count; i++)
            out[i] -= *area;
    }
    free(all);
    return status;
}

/* ---- variances ---- */

typedef struct patient_sums {
    double x, y;
    bool positive, negative;
} patient_sums;

/* What the formula takes of all patients. */
typedef struct moments {
    double xx, yy, xy;
    double positives, negatives, patients; /* patients with such an image */
} moments;

static moments take_moments(const patient_sums *sums, size_t count)
{
    moments m = {0};
    for (size_t p = 0; p < count; p++) {
        const patient_sums *of = &sums[p];
        m.xx += of->x * of->x;
        m.yy += of->y * of->y;
        m.xy += of->x * of->y;
        m.positives += of->positive;
        m.negatives += of->negative;
        m.patients += of->positive || of->negative;
    }
    return m;
}

static void add_image(patient_sums *of, bool positive, double deviation)
{
    if (positive) {
        of->x += deviation;
        of->positive = true;
    } else {
        of->y += deviation;
        of->negative = true;
    }
}

static double variance_of(const moments *m, const sides *n)
{
    const double divisor10 = (m->positives - 1) * n->positives;
    const double divisor01 = (m->negatives - 1) * n->negatives;
    const double divisor11 = m->patients - 1;
    const double s10 = m->xx * m->positives / divisor10;
    const double s01 = m->yy * m->negatives / divisor01;
    const double s11 = m->xy * m->patients / divisor11;
    const double both = n->positives * n->negatives;
    const double of_positives = s10 / n->positives;
    const double of_negatives = s01 / n->negatives;
    const double shared = 2 * s11 / both;
    return of_positives + of_negatives + shared;
}

/* Of the mean whose images deviate so (count). NaN, with the reason, where a side has fewer than
 * two patients. */
static pulmo_status spread(const pulmo_truth *truth, const double *deviation, moments *m,
                           double *variance)
{
    const size_t patients = stats_patients(truth);
    const sides n = count_sides(truth);
    patient_sums *sums = calloc(patients + 1, sizeof *sums);
    if (!sums)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu patients", patients);
    for (uint32_t i = 0; i < truth->count; i++) {
        const uint32_t at = stats_patient_of(truth, i);
        add_image(&sums[at], truth->positive[i], deviation[i]);
    }
    *m = take_moments(sums, patients);
    free(sums);
    *variance = NAN;
    if (m->positives >= 2 && m->negatives >= 2)
        *variance = variance_of(m, &n);
    return PULMO_OK;
}

static const char *reason_against(const moments *m)
{
    if (m->positives < 2)
        return few_positive;
    if (m->negatives < 2)
        return few_negative;
    return NULL;
}

/* ---- the interval ---- */

/* Newcombe 2006 (part 2), method 5: the areas whose own standard error of Hanley and McNeil, with
 * the mean of both classes' sizes in its numerator, lies within 1.96 of the one found. As Wilson's
 * it has a width where DeLong's variance is 0. */
static bool is_near(double area, double found, const sides *n)
{
    const double k = (n->positives + n->negatives) / 2 - 1;
    const double apart = found - area;
    const double rest = 1 - area;
    const double below = k * rest / (2 - area);
    const double above = k * area / (1 + area);
    const double numerator = area * rest * (1 + below + above);
    const double pairs = n->positives * n->negatives;
    const double variance = numerator / pairs;
    const double limit = STATS_Z95 * STATS_Z95 * variance;
    return apart * apart < limit;
}

/* Between `out`, which is too far, and the area found. */
static double newcombe_end(double out, double found, const sides *n)
{
    double in = found;
    for (int i = 0; i < 60; i++) {
        const double middle = (out + in) / 2;
        if (is_near(middle, found, n))
            in = middle;
        else
            out = middle;
    }
    return in;
}

static pulmo_interval area_interval(double area, double variance, const moments *m)
{
    pulmo_interval out = {area, NAN, NAN};
    const sides n = {m->positives, m->negatives};
    if (isnan(variance))
        return out;
    if (variance > 0) {
        const double half = STATS_Z95 * sqrt(variance);
        out.low = fmax(0, area - half);
        out.high = fmin(1, area + half);
    } else {
        out.low = newcombe_end(0, area, &n);
        out.high = newcombe_end(1, area, &n);
    }
    return out;
}

/* ---- one ---- */

static const char *missing_side(const pulmo_truth *truth)
{
    const sides n = count_sides(truth);
    if (n.positives == 0)
        return no_positive;
    if (n.negatives == 0)
        return no_negative;
    return NULL;
}

static double *room_for(const pulmo_truth *truth)
{
    const size_t room = (size_t)truth->count + 1;
    double *values = malloc(room * sizeof *values);
    if (!values)
        (void)pulmo_fail(PULMO_MEMORY, "out of memory for %u placements", truth->count);
    return values;
}

pulmo_status pulmo_area_of(const pulmo_truth *truth, const double *score, pulmo_area *out)
{
    moments m;
    *out = (pulmo_area){.auc = STATS_NAN3, .variance = NAN, .undefined = missing_side(truth)};
    if (out->undefined)
        return PULMO_OK;
    double *deviation = room_for(truth);
    if (!deviation)
        return PULMO_MEMORY;
    pulmo_status status = deviations(truth, score, &out->auc.value, deviation);
    if (status == PULMO_OK)
        status = spread(truth, deviation, &m, &out->variance);
    free(deviation);
    PULMO_TRY(status);
    out->auc = area_interval(out->auc.value, out->variance, &m);
    out->undefined = reason_against(&m);
    return PULMO_OK;
}

/* ---- two ---- */

static const char no_variance[] =
    "the difference has no variance: scores separate the sides, or are all alike";

/* `certain`: neither area has a variance, so that nothing tells how far chance goes. */
static void take_difference(double variance, bool certain, pulmo_difference *out)
{
    const double apart = out->second.value - out->first.value;
    out->difference = (pulmo_interval){apart, NAN, NAN};
    if (isnan(variance))
        return;
    const double error = sqrt(fmax(0, variance));
    if (certain || (error == 0 && apart != 0)) {
        out->undefined = no_variance;
        return;
    }
    out->error = error;
    if (error > 0) {
        const double half = STATS_Z95 * error;
        out->difference.low = fmax(-1, apart - half);
        out->difference.high = fmin(1, apart + half);
        out->p = stats_normal_p(apart / error);
    } else {
        out->difference = (pulmo_interval){0, 0, 0}; /* one order of the images */
        out->p = 1;
    }
}

/* `first` and `second` are of room (count) each. */
static pulmo_status compare_areas(const pulmo_truth *truth, const double *scores[2],
                                  double *deviation[2], pulmo_difference *out)
{
    moments m;
    pulmo_interval *const areas[2] = {&out->first, &out->second};
    double variance = NAN;
    bool certain = true;
    for (int k = 0; k < 2; k++) {
        double area = NAN;
        PULMO_TRY(deviations(truth, scores[k], &area, deviation[k]));
        PULMO_TRY(spread(truth, deviation[k], &m, &variance));
        *areas[k] = area_interval(area, variance, &m);
        certain = certain && variance == 0;
    }
    for (uint32_t i = 0; i < truth->count; i++)
        deviation[1][i] -= deviation[0][i];
    PULMO_TRY(spread(truth, deviation[1], &m, &variance));
    out->undefined = reason_against(&m);
    take_difference(variance, certain, out);
    return PULMO_OK;
}

pulmo_status pulmo_area_difference(const pulmo_truth *truth, const double *first,
                                   const double *second, pulmo_difference *out)
{
    const double *scores[2] = {first, second};
    double *deviation[2] = {NULL, NULL};
    *out = (pulmo_difference){.first = STATS_NAN3,
                              .second = STATS_NAN3,
                              .difference = STATS_NAN3,
                              .error = NAN,
                              .p = NAN,
                              .undefined = missing_side(truth)};
    if (out->undefined)
        return PULMO_OK;
    deviation[0] = room_for(truth);
    deviation[1] = room_for(truth);
    pulmo_status status = PULMO_MEMORY;
    if (deviation[0] && deviation[1])
        status = compare_areas(truth, scores, deviation, out);
    free(deviation[0]);
    free(deviation[1]);
    return status;
}
