/* Net benefit: what calling images positive from a probability on is worth. */
#include <math.h>
#include <stdlib.h>

#include "pulmo/operating.h"
#include "stats_room.h"

/* Of each image: 1 where a positive is treated, minus the threshold's odds where another is. The
 * net benefit is its mean, so that a mean's variance is the net benefit's. */
static double worth(bool positive, bool treated, double odds)
{
    if (!treated)
        return 0;
    if (positive)
        return 1;
    return -odds;
}

static pulmo_interval around(double value, double variance, double quantile)
{
    const double error = sqrt(fmax(0, variance));
    const double half = quantile * error;
    return (pulmo_interval){value, value - half, value + half};
}

static void take(const stats_means *m, double quantile, pulmo_benefit *out)
{
    out->model = around(m->first, m->var_first, quantile);
    out->treat_all = around(m->second, m->var_second, quantile);
    out->gain = out->model; /* over treating none */
    if (m->second > 0) {
        const double gain = m->first - m->second;
        const double alone = m->var_first + m->var_second;
        const double variance = alone - 2 * m->covariance;
        out->gain = around(gain, variance, quantile);
    }
}

static double quantile_for(bool repeats, double patients)
{
    if (patients <= 1)
        return NAN;
    if (repeats)
        return stats_t95(patients - 1);
    return STATS_Z95;
}

pulmo_status pulmo_benefit_at(const pulmo_truth *truth, const double *p, double threshold,
                              pulmo_benefit *out)
{
    const double odds = threshold / (1 - threshold);
    bool repeats = false;
    *out = (pulmo_benefit){threshold, STATS_NAN3, STATS_NAN3, STATS_NAN3};
    if (truth->count == 0)
        return PULMO_OK;
    PULMO_TRY(stats_repeats(truth, &repeats));
    stats_cluster *sums = stats_clusters(truth);
    if (!sums)
        return PULMO_MEMORY;
    for (uint32_t i = 0; i < truth->count; i++) {
        const bool positive = truth->positive[i];
        const bool treated = p[i] >= threshold;
        stats_cluster *of = &sums[stats_patient_of(truth, i)];
        of->count++;
        of->first += worth(positive, treated, odds);
        of->second += worth(positive, true, odds);
    }
    const stats_means m = stats_means_of(sums, stats_patients(truth));
    free(sums);
    const double quantile = quantile_for(repeats, m.clusters);
    take(&m, quantile, out);
    return PULMO_OK;
}
