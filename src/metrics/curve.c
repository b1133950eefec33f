/* The ROC and precision-recall curves of a class against the rest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_room.h"

/* ---- ROC ---- */

static bool roc_allocate(pulmo_roc *roc, uint32_t images)
{
    size_t points = (size_t)images + 1;
    roc->fpr = malloc(points * sizeof *roc->fpr);
    roc->tpr = malloc(points * sizeof *roc->tpr);
    roc->threshold = malloc(points * sizeof *roc->threshold);
    return roc->fpr && roc->tpr && roc->threshold;
}

static void roc_add(pulmo_roc *roc, double fpr, double tpr, double threshold)
{
    roc->fpr[roc->points] = fpr;
    roc->tpr[roc->points] = tpr;
    roc->threshold[roc->points] = threshold;
    roc->points++;
}

static uint32_t count_positives(const metrics_score *all, uint32_t n)
{
    uint32_t positives = 0;
    for (uint32_t i = 0; i < n; i++)
        positives += all[i].positive;
    return positives;
}

/* From the highest score down, a point where a score ends. */
static void roc_walk(const metrics_score *all, uint32_t n, pulmo_roc *roc)
{
    const uint32_t positives = count_positives(all, n);
    const uint32_t negatives = n - positives;
    uint32_t found = 0, alarms = 0;
    double threshold = INFINITY;
    roc_add(roc, 0, 0, threshold);
    for (uint32_t i = n; i > 0; i--) {
        const metrics_score *here = &all[i - 1];
        if (here->positive)
            found++;
        else
            alarms++;
        bool tied = i > 1 && all[i - 2].score == here->score;
        if (tied)
            continue;
        double fpr = metrics_ratio(alarms, negatives);
        double tpr = metrics_ratio(found, positives);
        threshold =
            fmin(threshold, here->probability); /* a float's last bit may go the other way */
        roc_add(roc, fpr, tpr, threshold);
    }
}

pulmo_status pulmo_roc_compute(const pulmo_scored *scored, int positive, pulmo_roc *out)
{
    memset(out, 0, sizeof *out);
    PULMO_TRY(metrics_check(scored));
    metrics_score *all = metrics_sorted(scored, positive);
    if (!all || !roc_allocate(out, scored->count)) {
        free(all);
        pulmo_roc_free(out);
        return pulmo_fail(PULMO_MEMORY, "out of memory for a ROC curve of %u images",
                          scored->count);
    }
    roc_walk(all, scored->count, out);
    free(all);
    return PULMO_OK;
}

void pulmo_roc_free(pulmo_roc *roc)
{
    free(roc->fpr);
    free(roc->tpr);
    free(roc->threshold);
    memset(roc, 0, sizeof *roc);
}

/* ---- precision and recall ---- */

/* A rate back as a whole number; a rate of none is NaN, its number 0. */
static double number_of(double rate, double of)
{
    return of > 0 ? rint(rate * of) : 0;
}

pulmo_status pulmo_pr_compute(const pulmo_scored *scored, int positive, pulmo_pr *out)
{
    pulmo_roc roc;
    double positives = 0;
    memset(out, 0, sizeof *out);
    PULMO_TRY(pulmo_roc_compute(scored, positive, &roc));
    for (uint32_t i = 0; i < scored->count; i++)
        positives += scored->labels[i] == positive;
    double negatives = scored->count - positives;
    /* Precision takes the place of the false positive rate, which is not needed any more. */
    double *precision = roc.fpr;
    for (uint32_t i = 0; i < roc.points; i++) {
        double found = number_of(roc.tpr[i], positives);
        double alarms = number_of(roc.fpr[i], negatives);
        precision[i] = i == 0 ? 1 : found / (found + alarms);
        if (i > 0)
            out->average_precision += (roc.tpr[i] - roc.tpr[i - 1]) * precision[i];
    }
    if (positives == 0) {
        roc.tpr[0] = NAN;
        out->average_precision = NAN;
    }
    out->points = roc.points;
    out->precision = precision;
    out->recall = roc.tpr;
    out->threshold = roc.threshold;
    return PULMO_OK;
}

void pulmo_pr_free(pulmo_pr *pr)
{
    free(pr->precision);
    free(pr->recall);
    free(pr->threshold);
    memset(pr, 0, sizeof *pr);
}
