/* What the order of scores alone decides: the area under the ROC curve and its interval. */
#include <math.h>
#include <stdlib.h>

#include "metrics_room.h"

/* ---- area ---- */

/* Numbers of positives and negatives. */
typedef struct tally {
    double positives, negatives;
} tally;

static void tally_add(tally *t, bool positive)
{
    if (positive)
        t->positives++;
    else
        t->negatives++;
}

/* Placements of one side: a positive's is the part of negatives below it (ties count half), a
 * negative's the part of positives above it. */
typedef struct placements {
    double sum, squares;
} placements;

static void placements_add(placements *p, double place, double times)
{
    p->sum += times * place;
    p->squares += times * place * place;
}

/* Of the mean of `count` placements. */
static double variance_of_mean(const placements *p, double count)
{
    double variance = (p->squares - p->sum * p->sum / count) / (count - 1);
    return fmax(0, variance) / count;
}

/* Those of the scores from `begin` on that are equal; returns where they end. */
static uint32_t tally_ties(const metrics_score *all, uint32_t n, uint32_t begin, tally *tied)
{
    const double score = all[begin].score;
    uint32_t at = begin;
    *tied = (tally){0};
    while (at < n && all[at].score == score) {
        tally_add(tied, all[at].positive);
        at++;
    }
    return at;
}

/* AUC and DeLong's variance in one pass over the sorted scores. Sun and Xu 2014, eq. 5 and 6: var =
 * var(placements of positives) / P + var(of negatives) / N. */
static void delong(const metrics_score *all, uint32_t n, double *auc, double *variance)
{
    tally whole = {0}, seen = {0}, tied;
    placements of_positives = {0}, of_negatives = {0};
    for (uint32_t i = 0; i < n; i++)
        tally_add(&whole, all[i].positive);
    *auc = NAN;
    *variance = NAN;
    if (whole.positives == 0 || whole.negatives == 0)
        return;
    for (uint32_t at = 0; at < n;) {
        at = tally_ties(all, n, at, &tied);
        double below = seen.negatives + tied.negatives / 2;
        double above = whole.positives - seen.positives - tied.positives + tied.positives / 2;
        placements_add(&of_positives, below / whole.negatives, tied.positives);
        placements_add(&of_negatives, above / whole.positives, tied.negatives);
        seen.positives += tied.positives;
        seen.negatives += tied.negatives;
    }
    *auc = of_positives.sum / whole.positives;
    if (whole.positives < 2 || whole.negatives < 2)
        return;
    *variance = variance_of_mean(&of_positives, whole.positives) +
                variance_of_mean(&of_negatives, whole.negatives);
}

/* ---- the area's interval ---- */

/* Newcombe 2006 (part 2), method 5: the areas whose own standard error of Hanley and McNeil, with
 * the mean of both classes' sizes in its numerator, lies within 1.96 of the one found. As Wilson's
 * it has a width where DeLong's variance is 0. */
static bool is_near(double area, double found, const tally *sides)
{
    const double positives = sides->positives;
    const double negatives = sides->negatives;
    double k = (positives + negatives) / 2 - 1;
    double apart = found - area;
    double below = k * (1 - area) / (2 - area);
    double above = k * area / (1 + area);
    double spread = 1 + below + above;
    double variance = area * (1 - area) * spread / (positives * negatives);
    return apart * apart < METRICS_Z95 * METRICS_Z95 * variance;
}

/* Between `out`, which is too far, and the area found. */
static double newcombe_end(double out, double found, const tally *sides)
{
    double in = found;
    for (int i = 0; i < 60; i++) {
        double middle = (out + in) / 2;
        if (is_near(middle, found, sides))
            in = middle;
        else
            out = middle;
    }
    return in;
}

static pulmo_interval area_interval(double area, double variance, uint32_t positives, uint32_t n)
{
    pulmo_interval out = {area, NAN, NAN};
    if (isnan(variance))
        return out;
    if (variance > 0) {
        double half = METRICS_Z95 * sqrt(variance);
        out.low = fmax(0, area - half);
        out.high = fmin(1, area + half);
    } else {
        const tally sides = {positives, n - positives};
        out.low = newcombe_end(0, area, &sides);
        out.high = newcombe_end(1, area, &sides);
    }
    return out;
}

/* ---- each class against the rest ---- */

static pulmo_status rank_class(const pulmo_scored *scored, int class, pulmo_class_metrics *out)
{
    pulmo_pr pr;
    double variance = NAN;
    metrics_score *all = metrics_sorted(scored, class);
    if (!all)
        return pulmo_fail(PULMO_MEMORY, "out of memory: cannot rank %u scores", scored->count);
    delong(all, scored->count, &out->auc, &variance);
    free(all);
    PULMO_TRY(pulmo_pr_compute(scored, class, &pr));
    out->average_precision = pr.average_precision;
    pulmo_pr_free(&pr);
    out->auc_ci = area_interval(out->auc, variance, out->support, scored->count);
    return PULMO_OK;
}

pulmo_status metrics_rank_classes(const pulmo_scored *scored, pulmo_metrics *out)
{
    for (int k = 0; k < scored->classes; k++)
        PULMO_TRY(rank_class(scored, k, &out->per_class[k]));
    return PULMO_OK;
}
