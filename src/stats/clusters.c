/* Sums over each patient's images, and what they tell of means over images. */
#include <math.h>
#include <stdlib.h>

#include "stats_room.h"

double stats_ratio(double a, double b)
{
    if (b > 0)
        return a / b;
    return NAN;
}

uint32_t stats_patients(const pulmo_truth *truth)
{
    if (truth->patient)
        return truth->patients;
    return truth->count;
}

uint32_t stats_patient_of(const pulmo_truth *truth, uint32_t image)
{
    if (truth->patient)
        return truth->patient[image];
    return image;
}

stats_cluster *stats_clusters(const pulmo_truth *truth)
{
    const size_t patients = stats_patients(truth);
    stats_cluster *all = calloc(patients + 1, sizeof *all);
    if (!all)
        (void)pulmo_fail(PULMO_MEMORY, "out of memory for %zu patients", patients);
    return all;
}

pulmo_status stats_repeats(const pulmo_truth *truth, bool *out)
{
    *out = false;
    if (!truth->patient)
        return PULMO_OK;
    bool *seen = calloc((size_t)truth->patients + 1, sizeof *seen);
    if (!seen)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u patients", truth->patients);
    for (uint32_t i = 0; i < truth->count && !*out; i++) {
        bool *before = &seen[truth->patient[i]];
        *out = *before;
        *before = true;
    }
    free(seen);
    return PULMO_OK;
}

/* ---- who was sampled ---- */

static void count_sides(const stats_cluster *clusters, uint32_t count, pulmo_sample *out)
{
    for (uint32_t p = 0; p < count; p++) {
        const stats_cluster *of = &clusters[p];
        out->patients += of->count > 0;
        out->positives += of->first > 0;
        out->negatives += of->second > 0;
        out->by_patient |= of->count > 1;
    }
    const bool few_positive = out->positives < PULMO_FEW_PATIENTS;
    const bool few_negative = out->negatives < PULMO_FEW_PATIENTS;
    out->few = few_positive || few_negative;
}

pulmo_status pulmo_sample_of(const pulmo_truth *truth, pulmo_sample *out)
{
    *out = (pulmo_sample){0};
    stats_cluster *clusters = stats_clusters(truth);
    if (!clusters)
        return PULMO_MEMORY;
    for (uint32_t i = 0; i < truth->count; i++) {
        const bool positive = truth->positive[i];
        stats_cluster *of = &clusters[stats_patient_of(truth, i)];
        of->count++;
        of->first += positive;
        of->second += !positive;
    }
    count_sides(clusters, stats_patients(truth), out);
    free(clusters);
    return PULMO_OK;
}

/* ---- means over images ---- */

/* Both means, and how many images and clusters they are over. */
static void take_means(const stats_cluster *clusters, uint32_t count, stats_means *m)
{
    for (uint32_t p = 0; p < count; p++) {
        const stats_cluster *of = &clusters[p];
        m->first += of->first;
        m->second += of->second;
        m->images += of->count;
        m->clusters += of->count > 0;
    }
    m->first = stats_ratio(m->first, m->images);
    m->second = stats_ratio(m->second, m->images);
}

/* Squares and products of what a cluster's sums are off its images' share of the means. */
static void add_squares(const stats_cluster *of, stats_means *m)
{
    const double a = of->first - m->first * of->count;
    const double b = of->second - m->second * of->count;
    m->var_first += a * a;
    m->var_second += b * b;
    m->covariance += a * b;
}

stats_means stats_means_of(const stats_cluster *clusters, uint32_t count)
{
    stats_means m = {0};
    take_means(clusters, count, &m);
    for (uint32_t p = 0; p < count; p++) {
        if (clusters[p].count > 0)
            add_squares(&clusters[p], &m);
    }
    const double correction = stats_ratio(m.clusters, m.clusters - 1);
    const double square = m.images * m.images;
    const double scale = correction / square;
    m.var_first *= scale;
    m.var_second *= scale;
    m.covariance *= scale;
    return m;
}

pulmo_interval stats_wilson(double share, double images, double z)
{
    const double z2 = z * z;
    const double stretch = 1 + z2 / images;
    const double shift = z2 / (2 * images);
    const double centre = (share + shift) / stretch;
    const double sampled = share * (1 - share) / images;
    const double added = z2 / (4 * images * images);
    const double error = sqrt(sampled + added);
    const double half = z / stretch * error;
    pulmo_interval out = {.value = share};
    out.low = fmax(0, centre - half);
    out.high = fmin(1, centre + half);
    /* At the ends the bound is exactly 0 or 1, which rounding may miss. */
    if (share <= 0)
        out.low = 0;
    if (share >= 1)
        out.high = 1;
    return out;
}

/* Where the share is 0 or 1, images tell no variance: each patient then counts once. So it is where
 * all patients are of one share, which has a variance of 0. */
pulmo_interval stats_wilson_of(double share, double variance, double images, double clusters)
{
    const double rest = 1 - share;
    const double alone = share * rest;
    double effective = clusters;
    if (isnan(share) || clusters < 2)
        return (pulmo_interval){share, NAN, NAN};
    if (alone > 0 && variance > 0)
        effective = fmin(alone / variance, images);
    const double quantile = stats_t95(clusters - 1);
    return stats_wilson(share, effective, quantile);
}

/* The distance of a bound, from how far either share's own bound is. */
static double square_and_add(double a, double b, double r)
{
    const double product = 2 * r * a * b;
    const double square = a * a - product + b * b;
    return sqrt(fmax(0, square));
}

pulmo_interval stats_square_and_add(pulmo_interval first, pulmo_interval second, double r)
{
    const double below = second.value - second.low;
    const double above = second.high - second.value;
    const double first_below = first.value - first.low;
    const double first_above = first.high - first.value;
    const double low = square_and_add(below, first_above, r);
    const double high = square_and_add(above, first_below, r);
    pulmo_interval out = {.value = second.value - first.value};
    out.low = fmax(-1, out.value - low);
    out.high = fmin(1, out.value + high);
    return out;
}
