/* Proportions, and two of the same images. */
#include <math.h>
#include <stdlib.h>

#include "stats_room.h"

static const char no_images[] = "no such image";
static const char one_patient[] = "fewer than two patients";

pulmo_interval pulmo_wilson(uint64_t k, uint64_t n)
{
    if (n == 0)
        return STATS_NAN3;
    const double images = (double)n;
    return stats_wilson((double)k / images, images, STATS_Z95);
}

pulmo_interval pulmo_exact(uint64_t k, uint64_t n)
{
    const double hits = (double)k;
    const double misses = (double)n - hits;
    if (n == 0)
        return STATS_NAN3;
    pulmo_interval out = {hits / (double)n, 0, 1};
    if (hits > 0)
        out.low = stats_beta_quantile(0.025, hits, misses + 1);
    if (misses > 0)
        out.high = stats_beta_quantile(0.975, hits + 1, misses);
    return out;
}

/* ---- counts ---- */

static bool counts(const bool *among, uint32_t image)
{
    return !among || among[image];
}

/* Both sums of each patient; owned by the caller. */
static stats_cluster *sum_patients(const pulmo_truth *truth, const bool *among, const bool *first,
                                   const bool *second)
{
    stats_cluster *clusters = stats_clusters(truth);
    for (uint32_t i = 0; clusters && i < truth->count; i++) {
        stats_cluster *of = &clusters[stats_patient_of(truth, i)];
        if (!counts(among, i))
            continue;
        of->count++;
        of->first += first[i];
        of->second += second[i];
    }
    return clusters;
}

typedef struct pairs {
    uint64_t both, only_first, only_second, none;
} pairs;

static pairs count_pairs(const pulmo_truth *truth, const bool *among, const bool *first,
                         const bool *second)
{
    pairs n = {0};
    for (uint32_t i = 0; i < truth->count; i++) {
        if (!counts(among, i))
            continue;
        const bool in_first = first[i];
        const bool in_second = second[i];
        n.both += in_first && in_second;
        n.only_first += in_first && !in_second;
        n.only_second += !in_first && in_second;
        n.none += !in_first && !in_second;
    }
    return n;
}

/* ---- one ---- */

static pulmo_status share_of_patients(const pulmo_truth *truth, const bool *among, const bool *hit,
                                      pulmo_estimate *out)
{
    stats_cluster *clusters = sum_patients(truth, among, hit, hit);
    if (!clusters)
        return PULMO_MEMORY;
    const stats_means m = stats_means_of(clusters, truth->patients);
    free(clusters);
    out->it = stats_wilson_of(m.first, m.var_first, m.images, m.clusters);
    if (m.clusters == 1)
        out->undefined = one_patient;
    return PULMO_OK;
}

pulmo_status pulmo_share(const pulmo_truth *truth, const bool *among, const bool *hit,
                         pulmo_estimate *out)
{
    bool repeats = false;
    const pairs n = count_pairs(truth, among, hit, hit);
    *out = (pulmo_estimate){.it = pulmo_wilson(n.both, n.both + n.none)};
    if (n.both + n.none == 0)
        out->undefined = no_images;
    PULMO_TRY(stats_repeats(truth, &repeats));
    if (!repeats || out->undefined)
        return PULMO_OK;
    return share_of_patients(truth, among, hit, out);
}

/* ---- two ---- */

/* Newcombe's method 10 takes half the images off a positive determinant, but not below 0. */
static double phi_of(const pairs *n)
{
    const double both = (double)n->both;
    const double none = (double)n->none;
    const double first = (double)n->only_first;
    const double second = (double)n->only_second;
    double apart = both * none - first * second;
    if (apart > 0)
        apart = fmax(0, apart - (both + none + first + second) / 2);
    const double margins = (both + first) * (second + none) * (both + second) * (first + none);
    if (margins > 0)
        return apart / sqrt(margins);
    return 0;
}

static void compare_images(const pairs *n, pulmo_difference *out)
{
    const uint64_t all = n->both + n->only_first + n->only_second + n->none;
    const double images = (double)all;
    const double first = (double)n->only_first;
    const double second = (double)n->only_second;
    const double apart = second - first;
    out->first = pulmo_wilson(n->both + n->only_first, all);
    out->second = pulmo_wilson(n->both + n->only_second, all);
    out->difference = stats_square_and_add(out->first, out->second, phi_of(n));
    out->difference.value = apart / images;
    out->error = sqrt(first + second - apart * apart / images) / images;
    out->p = pulmo_mcnemar(n->only_first, n->only_second);
}

/* The correlation of two shares over patients; 0 where either does not vary. */
static double correlation_of(const stats_means *m)
{
    const double scale = sqrt(m->var_first * m->var_second);
    if (scale > 0)
        return m->covariance / scale;
    return 0;
}

/* Obuchowski, "On the comparison of correlated proportions for clustered data", Statistics in
 * Medicine 17 (1998), 1495-1507: the difference over its error is taken for normal. */
/* Two-sided p that both shares are alike: the square of the patients' summed differences over the
 * sum of their squares, by (K - 1) / K for K patients (Obuchowski 1998; with the variance that
 * holds where there is no difference). With one image each it is McNemar's but for (K - 1) / K. */
static double alike_p(const stats_cluster *clusters, uint32_t patients)
{
    double sum = 0;
    double squares = 0;
    double count = 0;
    for (uint32_t i = 0; i < patients; i++) {
        const double apart = clusters[i].second - clusters[i].first;
        sum += apart;
        squares += apart * apart;
        count += clusters[i].count > 0;
    }
    if (count < 2)
        return NAN;
    if (squares == 0)
        return 1;
    const double kept = (count - 1) / count;
    return stats_normal_p(sum * sqrt(kept / squares));
}

static void compare_patients(const stats_means *m, pulmo_difference *out)
{
    const double variance = m->var_first + m->var_second - 2 * m->covariance;
    out->first = stats_wilson_of(m->first, m->var_first, m->images, m->clusters);
    out->second = stats_wilson_of(m->second, m->var_second, m->images, m->clusters);
    out->difference = stats_square_and_add(out->first, out->second, correlation_of(m));
    out->error = sqrt(fmax(0, variance));
    if (m->clusters >= 2)
        return;
    out->undefined = one_patient;
    out->difference.low = NAN;
    out->difference.high = NAN;
}

pulmo_status pulmo_share_difference(const pulmo_truth *truth, const bool *among, const bool *first,
                                    const bool *second, pulmo_difference *out)
{
    bool repeats = false;
    const pairs n = count_pairs(truth, among, first, second);
    *out = (pulmo_difference){.first = STATS_NAN3,
                              .second = STATS_NAN3,
                              .difference = STATS_NAN3,
                              .error = NAN,
                              .p = NAN,
                              .only_first = n.only_first,
                              .only_second = n.only_second};
    PULMO_TRY(stats_repeats(truth, &repeats));
    if (n.both + n.only_first + n.only_second + n.none == 0) {
        out->undefined = no_images;
        return PULMO_OK;
    }
    if (!repeats) {
        compare_images(&n, out);
        return PULMO_OK;
    }
    stats_cluster *clusters = sum_patients(truth, among, first, second);
    if (!clusters)
        return PULMO_MEMORY;
    const stats_means m = stats_means_of(clusters, truth->patients);
    out->p = alike_p(clusters, truth->patients);
    free(clusters);
    compare_patients(&m, out);
    return PULMO_OK;
}
