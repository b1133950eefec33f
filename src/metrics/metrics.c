/* Metrics with intervals: counts, means over classes, proper scores. */
#include "metrics_room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/elementary.h"

/* ---- means over classes ---- */

/* A value's mean over the classes that have one: alike, and by support. */
static void mean_defined(const pulmo_metrics *m, size_t offset, double *macro, double *weighted)
{
    double sum = 0, defined = 0;
    double by_support = 0, support = 0;
    for (int k = 0; k < m->classes; k++) {
        const pulmo_class_metrics *class = &m->per_class[k];
        double value;
        memcpy(&value, (const char *)class + offset, sizeof value);
        if (isnan(value))
            continue;
        sum += value;
        defined++;
        by_support += value * class->support;
        support += class->support;
    }
    *macro = metrics_ratio(sum, defined);
    *weighted = metrics_ratio(by_support, support);
}

/* Of K classes alike (macro), and by support (weighted). */
static void average_classes(pulmo_metrics *out)
{
    double K = out->classes;
    double recalls = 0, present = 0;
    double each = out->count > 0 ? 1 / K : NAN;
    for (int k = 0; k < out->classes; k++) {
        const pulmo_class_metrics *c = &out->per_class[k];
        double part = metrics_ratio(c->support, out->count);
        out->macro_precision += each * c->precision;
        out->macro_recall += each * c->recall;
        out->macro_f1 += each * c->f1;
        out->weighted_precision += part * c->precision;
        out->weighted_recall += part * c->recall;
        out->weighted_f1 += part * c->f1;
        recalls += c->recall;
        present += c->support > 0;
    }
    out->balanced_accuracy = metrics_ratio(recalls, present);
}

/* ---- counts ---- */

static void count_decisions(const pulmo_scored *scored, const pulmo_decision *by,
                            pulmo_metrics *out)
{
    for (uint32_t i = 0; i < scored->count; i++) {
        int truth = scored->labels[i];
        int called = metrics_called(scored, by, i);
        int cell = truth * scored->classes + called;
        out->confusion[cell]++;
        out->correct += called == truth;
    }
    out->accuracy = metrics_ratio(out->correct, scored->count);
}

/* scikit-learn's zero_division: 0 where nothing was predicted or nothing is there. */
static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void class_from_confusion(const pulmo_metrics *m, int k, pulmo_class_metrics *out)
{
    const int K = m->classes;
    const uint32_t *row = m->confusion + k * K;
    const uint32_t *column = m->confusion + k;
    const uint32_t hits = row[k];
    uint32_t called = 0, support = 0;
    for (int j = 0; j < K; j++) {
        support += row[j];
        called += *column;
        column += K;
    }
    out->support = support;
    out->precision = share(hits, called);
    out->recall = share(hits, support);
    out->f1 = share(2.0 * hits, (double)called + support);
}

/* ---- probabilities ---- */

/* The bin of tenths of the predicted class's probability. */
static int bin_of(double p)
{
    const int last = PULMO_CALIBRATION_BINS - 1;
    int bin = (int)(p * PULMO_CALIBRATION_BINS);
    return bin < last ? bin : last;
}

static double calibration_error(const pulmo_scored *scored, const pulmo_decision *by)
{
    double sums[PULMO_CALIBRATION_BINS] = {0};
    double hits[PULMO_CALIBRATION_BINS] = {0};
    double error = 0;
    if (scored->count == 0)
        return NAN;
    for (uint32_t i = 0; i < scored->count; i++) {
        const float *row = metrics_row(scored, i);
        int called = metrics_called(scored, by, i);
        double sureness = (double)row[called];
        int bin = bin_of(sureness);
        sums[bin] += sureness;
        hits[bin] += called == scored->labels[i];
    }
    for (int b = 0; b < PULMO_CALIBRATION_BINS; b++)
        error += fabs(sums[b] - hits[b]) / scored->count;
    return error;
}

/* Mean of -log(probability of the label), that at least the smallest float there is. */
static double log_loss(const pulmo_scored *scored)
{
    double sum = 0;
    for (uint32_t i = 0; i < scored->count; i++) {
        const int label = scored->labels[i];
        const float *row = metrics_row(scored, i);
        double p = (double)row[label];
        sum -= pulmo_log(fmax(p, 0x1p-149));
    }
    return metrics_ratio(sum, scored->count);
}

static double square_error(float probability, bool is_label)
{
    double off = (double)probability - is_label;
    return off * off;
}

/* Of two classes the finding's square alone: the other's is the same. */
static double brier_score(const pulmo_scored *scored, int positive)
{
    double sum = 0;
    for (uint32_t i = 0; i < scored->count; i++) {
        const float *row = metrics_row(scored, i);
        const int label = scored->labels[i];
        for (int k = 0; k < scored->classes; k++)
            if (scored->classes > 2 || k == positive)
                sum += square_error(row[k], k == label);
    }
    return metrics_ratio(sum, scored->count);
}

static pulmo_status compute_ranks(const pulmo_scored *scored, const pulmo_decision *by,
                                  pulmo_metrics *out)
{
    PULMO_TRY(metrics_rank_classes(scored, by, out));
    mean_defined(out, offsetof(pulmo_class_metrics, auc), &out->auc, &out->weighted_auc);
    mean_defined(out, offsetof(pulmo_class_metrics, average_precision), &out->average_precision,
                 &out->weighted_average_precision);
    out->auc_ci = (pulmo_interval){out->auc, NAN, NAN};
    if (scored->classes == 2) {
        const pulmo_class_metrics *finding = &out->per_class[by->positive];
        out->auc = finding->auc;
        out->auc_ci = finding->auc_ci;
        out->average_precision = finding->average_precision;
    }
    return PULMO_OK;
}

/* ---- all of them ---- */

pulmo_status pulmo_metrics_compute(const pulmo_scored *scored, const pulmo_decision *by,
                                   pulmo_metrics *out)
{
    const size_t K = (size_t)scored->classes;
    memset(out, 0, sizeof *out);
    PULMO_TRY(metrics_check(scored));
    out->count = scored->count;
    out->classes = scored->classes;
    out->confusion = calloc(K * K, sizeof *out->confusion);
    out->per_class = calloc(K, sizeof *out->per_class);
    if (!out->confusion || !out->per_class) {
        pulmo_metrics_free(out);
        return pulmo_fail(PULMO_MEMORY, "out of memory for metrics of %d classes", scored->classes);
    }
    count_decisions(scored, by, out);
    for (int k = 0; k < scored->classes; k++)
        class_from_confusion(out, k, &out->per_class[k]);
    average_classes(out);
    out->calibration_error = calibration_error(scored, by);
    out->log_loss = log_loss(scored);
    out->brier = brier_score(scored, by->positive);
    pulmo_status status = metrics_take_shares(scored, by, out);
    if (status == PULMO_OK)
        status = compute_ranks(scored, by, out);
    if (status != PULMO_OK)
        pulmo_metrics_free(out);
    return status;
}

void pulmo_metrics_free(pulmo_metrics *metrics)
{
    free(metrics->confusion);
    free(metrics->per_class);
    metrics->confusion = NULL;
    metrics->per_class = NULL;
}
