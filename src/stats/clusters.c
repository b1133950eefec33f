/* Sums over each patient's images, and what they tell of means over images. */
#include <math.h>
#include <stdlib.h>

#include "stats_room.h"

double stats_ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

stats_cluster *stats_clusters(const pulmo_truth *truth)
{
    const size_t patients = truth->patient ? truth->patients : truth->count;
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
        *out = seen[truth->patient[i]];
        seen[truth->patient[i]] = true;
    }
    free(seen);
    return PULMO_OK;
}

/* ---- who was sampled ---- */

static void count_sides(const stats_cluster *clusters, uint32_t count, pulmo_sample *out)
{
    for (uint32_t p = 0; p < count; p++) {
        out->patients += clusters[p].count > 0;
        out->positives += clusters[p].first > 0;
        out->negatives += clusters[p].second > 0;
        out->by_patient |= clusters[p].count > 1;
    }
    out->few = out->positives < PULMO_FEW_PATIENTS || out->negatives < PULMO_FEW_PATIENTS;
}

pulmo_status pulmo_sample_of(const pulmo_truth *truth, pulmo_sample *out)
{
    *out = (pulmo_sample){0};
    stats_cluster *clusters = stats_clusters(truth);
    if (!clusters)
        return PULMO_MEMORY;
    for (uint32_t i = 0; i < truth->count; i++) {
        stats_cluster *of = &clusters[truth->patient ? truth->patient[i] : i];
        of->count++;
        of->first += truth->positive[i];
        of->second += !truth->positive[i];
    }
    count_sides(clusters, truth->patient ? truth->patients : truth->count, out);
    free(clusters);
    return PULMO_OK;
}

/* ---- means over images ---- */

stats_means stats_means_of(const stats_cluster *clusters, uint32_t count)
{
    stats_means m = {0};
    for (uint32_t p = 0; p < count; p++) {
        m.first += clusters[p].first;
        m.second += clusters[p].second;
        m.images += clusters[p].count;
        m.clusters += clusters[p].count > 0;
    }
    m.first = stats_ratio(m.first, m.images);
    m.second = stats_ratio(m.second, m.images);
    for (uint32_t p = 0; p < count; p++) {
        const double a = clusters[p].first - m.first * clusters[p].count;
        const double b = clusters[p].second - m.second * clusters[p].count;
        if (clusters[p].count <= 0)
            continue;
        m.var_first += a * a;
        m.var_second += b * b;
        m.covariance += a * b;
    }
    const double scale = stats_ratio(m.clusters, m.clusters - 1) / (m.images * m.images);
    m.var_first *= scale;
    m.var_second *= scale;
    m.covariance *= scale;
    return m;
}

pulmo_interval stats_wilson(double share, double images, double z)
{
    const double z2 = z * z;
    const double stretch = 1 + z2 / images;
    const double centre = (share + z2 / (2 * images)) / stretch;
    const double spread = share * (1 - share) / images + z2 / (4 * images * images);
    const double half = z / stretch * sqrt(spread);
    pulmo_interval out = {share, fmax(0, centre - half), fmin(1, centre + half)};
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
    const double alone = share * (1 - share);
    double effective = clusters;
    if (isnan(share) || clusters < 2)
        return (pulmo_interval){share, NAN, NAN};
    if (alone > 0 && variance > 0)
        effective = fmin(alone / variance, images);
    return stats_wilson(share, effective, stats_t95(clusters - 1));
}

pulmo_interval stats_square_and_add(pulmo_interval first, pulmo_interval second, double r)
{
    const double below = second.value - second.low;
    const double above = second.high - second.value;
    const double first_below = first.value - first.low;
    const double first_above = first.high - first.value;
    const double low = below * below - 2 * r * below * first_above + first_above * first_above;
    const double high = above * above - 2 * r * above * first_below + first_below * first_below;
    pulmo_interval out = {.value = second.value - first.value};
    out.low = fmax(-1, out.value - sqrt(fmax(0, low)));
    out.high = fmin(1, out.value + sqrt(fmax(0, high)));
    return out;
}
