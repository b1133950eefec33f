/* Metrics with intervals. */
#include "pulmo/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define Z95 1.959963984540054 /* the normal distribution's 0.975 quantile */

typedef struct scored {
    double score;
    bool positive;
} scored;

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

pulmo_interval pulmo_wilson(uint64_t k, uint64_t n)
{
    if (n == 0)
        return (pulmo_interval){NAN, NAN, NAN};
    double p = (double)k / (double)n, z2 = Z95 * Z95, m = (double)n;
    double centre = (p + z2 / (2 * m)) / (1 + z2 / m);
    double half = Z95 / (1 + z2 / m) * sqrt(p * (1 - p) / m + z2 / (4 * m * m));
    /* At the ends the bound is exactly 0 or 1, which rounding may miss. */
    return (pulmo_interval){p, k == 0 ? 0 : fmax(0, centre - half),
                            k == n ? 1 : fmin(1, centre + half)};
}

static pulmo_status check_input(uint32_t n, int classes, const int32_t *labels,
                                const float *probabilities)
{
    for (uint32_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] >= classes)
            return pulmo_fail(PULMO_DATA, "image %u has label %d: must be 0 to %d", i, labels[i],
                              classes - 1);
        for (int k = 0; k < classes; k++) {
            double p = (double)probabilities[(size_t)i * (size_t)classes + (size_t)k];
            if (!(p >= 0 && p <= 1))
                return pulmo_fail(PULMO_DATA,
                                  "image %u, class %d: the probability is %g: must be from 0 to 1; "
                                  "the head's parameters "
                                  "are damaged or training diverged (a lower optim.lr helps)",
                                  i, k, p);
        }
    }
    return PULMO_OK;
}

int pulmo_metrics_class(int classes, const float *probabilities, double threshold)
{
    int best = 0;
    if (classes == 2)
        return (double)probabilities[1] >= threshold;
    for (int k = 1; k < classes; k++)
        if (probabilities[k] > probabilities[best])
            best = k;
    return best;
}

/* ---- ranks ---- */

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

static scored *sorted_scores(uint32_t n, int classes, const int32_t *labels,
                             const float *probabilities, int positive)
{
    scored *all = malloc(((size_t)n + 1) * sizeof *all);
    if (!all)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        all[i] = (scored){(double)probabilities[(size_t)i * (size_t)classes + (size_t)positive],
                          labels[i] == positive};
    qsort(all, n, sizeof *all, by_score);
    return all;
}

/* AUC and DeLong's variance in one pass over the sorted scores. A positive's placement is the
 * part of negatives below it (ties count half), a negative's the part of positives above it;
 * Sun and Xu 2014, eq. 5 and 6: var = var(placements of positives) / P + var(of negatives) / N. */
static void delong(const scored *all, uint32_t n, double *auc, double *variance)
{
    double positives = 0, negatives = 0, seen_p = 0, seen_n = 0;
    double sum_p = 0, square_p = 0, sum_n = 0, square_n = 0;
    for (uint32_t i = 0; i < n; i++)
        *(all[i].positive ? &positives : &negatives) += 1;
    *auc = *variance = NAN;
    if (positives == 0 || negatives == 0)
        return;
    for (uint32_t i = 0, j; i < n; i = j) {
        double tied_p = 0, tied_n = 0;
        for (j = i; j < n && all[j].score == all[i].score; j++)
            *(all[j].positive ? &tied_p : &tied_n) += 1;
        double place_p = (seen_n + tied_n / 2) / negatives;
        double place_n = (positives - seen_p - tied_p + tied_p / 2) / positives;
        sum_p += tied_p * place_p;
        square_p += tied_p * place_p * place_p;
        sum_n += tied_n * place_n;
        square_n += tied_n * place_n * place_n;
        seen_p += tied_p;
        seen_n += tied_n;
    }
    *auc = sum_p / positives;
    if (positives < 2 || negatives < 2)
        return;
    double var_p = (square_p - sum_p * sum_p / positives) / (positives - 1);
    double var_n = (square_n - sum_n * sum_n / negatives) / (negatives - 1);
    *variance = fmax(0, var_p) / positives + fmax(0, var_n) / negatives;
}

/* Newcombe 2006 (part 2), method 5: the areas whose own standard error of Hanley and McNeil, with
 * the mean of both classes' sizes in its numerator, lies within 1.96 of the one found. As Wilson's
 * it has a width where DeLong's variance is 0. */
static bool is_near(double area, double found, double positives, double negatives)
{
    double k = (positives + negatives) / 2 - 1, apart = found - area;
    double variance = area * (1 - area) *
                      (1 + k * (1 - area) / (2 - area) + k * area / (1 + area)) /
                      (positives * negatives);
    return apart * apart < Z95 * Z95 * variance;
}

/* Between `out`, which is too far, and the area found. */
static double newcombe_end(double out, double found, double positives, double negatives)
{
    double in = found;
    for (int i = 0; i < 60; i++) {
        double middle = (out + in) / 2;
        if (is_near(middle, found, positives, negatives))
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
        out.low = fmax(0, area - Z95 * sqrt(variance));
        out.high = fmin(1, area + Z95 * sqrt(variance));
    } else {
        out.low = newcombe_end(0, area, positives, n - positives);
        out.high = newcombe_end(1, area, positives, n - positives);
    }
    return out;
}

/* Area under the curve with its interval, and average precision, of each class against the rest. */
static pulmo_status rank_classes(uint32_t n, int classes, const int32_t *labels,
                                 const float *probabilities, pulmo_metrics *out)
{
    for (int k = 0; k < classes; k++) {
        pulmo_class_metrics *c = &out->per_class[k];
        pulmo_pr pr;
        double variance = NAN;
        scored *all = sorted_scores(n, classes, labels, probabilities, k);
        if (!all)
            return pulmo_fail(PULMO_MEMORY, "cannot rank %u scores", n);
        delong(all, n, &c->auc, &variance);
        free(all);
        PULMO_TRY(pulmo_pr_compute(n, classes, labels, probabilities, k, &pr));
        c->average_precision = pr.average_precision;
        pulmo_pr_free(&pr);
        c->auc_ci = area_interval(c->auc, variance, c->support, n);
    }
    return PULMO_OK;
}

/* A value's mean over the classes that have one: alike, and by support. */
static void mean_defined(const pulmo_metrics *m, size_t offset, double *macro, double *weighted)
{
    double sum = 0, defined = 0, by_support = 0, support = 0;
    for (int k = 0; k < m->classes; k++) {
        double value;
        memcpy(&value, (const char *)&m->per_class[k] + offset, sizeof value);
        if (isnan(value))
            continue;
        sum += value;
        defined++;
        by_support += value * m->per_class[k].support;
        support += m->per_class[k].support;
    }
    *macro = ratio(sum, defined);
    *weighted = ratio(by_support, support);
}

static pulmo_status compute_ranks(uint32_t n, int classes, const int32_t *labels,
                                  const float *probabilities, pulmo_metrics *out)
{
    PULMO_TRY(rank_classes(n, classes, labels, probabilities, out));
    mean_defined(out, offsetof(pulmo_class_metrics, auc), &out->auc, &out->weighted_auc);
    mean_defined(out, offsetof(pulmo_class_metrics, average_precision), &out->average_precision,
                 &out->weighted_average_precision);
    out->auc_ci = (pulmo_interval){out->auc, NAN, NAN};
    if (classes == 2) {
        out->auc_ci = out->per_class[1].auc_ci;
        out->auc = out->auc_ci.value;
        out->average_precision = out->per_class[1].average_precision;
    }
    return PULMO_OK;
}

/* ---- counts ---- */

/* Means over classes: of K alike (macro), and by support (weighted). */
static void average_classes(pulmo_metrics *out)
{
    double K = out->classes, recalls = 0, present = 0;
    for (int k = 0; k < out->classes; k++) {
        const pulmo_class_metrics *c = &out->per_class[k];
        double part = ratio(c->support, out->count), each = out->count > 0 ? 1 / K : NAN;
        out->macro_precision += each * c->precision;
        out->macro_recall += each * c->recall;
        out->macro_f1 += each * c->f1;
        out->weighted_precision += part * c->precision;
        out->weighted_recall += part * c->recall;
        out->weighted_f1 += part * c->f1;
        recalls += c->recall;
        present += c->support > 0;
    }
    out->balanced_accuracy = ratio(recalls, present);
}

static void from_confusion(pulmo_metrics *out)
{
    size_t K = (size_t)out->classes;
    for (size_t k = 0; k < K; k++) {
        pulmo_class_metrics *c = &out->per_class[k];
        double hits = out->confusion[k * K + k], predicted = 0, support = 0;
        for (size_t j = 0; j < K; j++) {
            support += out->confusion[k * K + j];
            predicted += out->confusion[j * K + k];
        }
        c->support = (uint32_t)support;
        /* scikit-learn's zero_division: 0 where nothing was predicted or nothing is there. */
        c->precision = predicted > 0 ? hits / predicted : 0;
        c->recall = support > 0 ? hits / support : 0;
        c->f1 = predicted + support > 0 ? 2 * hits / (predicted + support) : 0;
        uint64_t others = out->count - c->support, called = (uint64_t)(predicted - hits);
        c->sensitivity = pulmo_wilson((uint64_t)hits, c->support);
        c->specificity = pulmo_wilson(others - called, others);
    }
    average_classes(out);
    const pulmo_interval none = {NAN, NAN, NAN};
    const uint32_t *m = out->confusion;
    out->sensitivity = K == 2 ? out->per_class[1].sensitivity : none;
    out->specificity = K == 2 ? out->per_class[1].specificity : none;
    out->positive_value = K == 2 ? pulmo_wilson(m[3], (uint64_t)m[1] + m[3]) : none;
    out->negative_value = K == 2 ? pulmo_wilson(m[0], (uint64_t)m[0] + m[2]) : none;
}

static void calibration(pulmo_metrics *out, const int32_t *labels, const float *probabilities,
                        double threshold)
{
    double sums[PULMO_CALIBRATION_BINS] = {0}, hits[PULMO_CALIBRATION_BINS] = {0};
    for (uint32_t i = 0; i < out->count; i++) {
        const float *row = probabilities + (size_t)i * (size_t)out->classes;
        int k = pulmo_metrics_class(out->classes, row, threshold);
        double p = (double)row[k];
        int bin = (int)(p * PULMO_CALIBRATION_BINS);
        if (bin >= PULMO_CALIBRATION_BINS)
            bin = PULMO_CALIBRATION_BINS - 1;
        out->bin_count[bin]++;
        sums[bin] += p;
        hits[bin] += k == labels[i];
    }
    for (int b = 0; b < PULMO_CALIBRATION_BINS; b++) {
        out->bin_confidence[b] = ratio(sums[b], out->bin_count[b]);
        out->bin_accuracy[b] = ratio(hits[b], out->bin_count[b]);
        if (out->bin_count[b])
            out->calibration_error += fabs(sums[b] - hits[b]) / out->count;
    }
    if (out->count == 0)
        out->calibration_error = NAN;
}

static void proper_scores(pulmo_metrics *out, const int32_t *labels, const float *probabilities)
{
    double log_sum = 0, square = 0;
    for (uint32_t i = 0; i < out->count; i++) {
        const float *row = probabilities + (size_t)i * (size_t)out->classes;
        log_sum -= log(fmax((double)row[labels[i]], 0x1p-149)); /* the smallest float there is */
        for (int k = 0; k < out->classes; k++) {
            double off = (double)row[k] - (k == labels[i]);
            if (out->classes > 2 || k == 1)
                square += off * off;
        }
    }
    out->log_loss = ratio(log_sum, out->count);
    out->brier = ratio(square, out->count);
}

pulmo_status pulmo_metrics_compute(uint32_t n, int classes, const int32_t *labels,
                                   const float *probabilities, double threshold, pulmo_metrics *out)
{
    size_t K = (size_t)classes;
    memset(out, 0, sizeof *out);
    PULMO_TRY(check_input(n, classes, labels, probabilities));
    out->count = n;
    out->classes = classes;
    out->confusion = calloc(K * K, sizeof *out->confusion);
    out->per_class = calloc(K, sizeof *out->per_class);
    if (!out->confusion || !out->per_class) {
        pulmo_metrics_free(out);
        return pulmo_fail(PULMO_MEMORY, "cannot allocate metrics of %d classes", classes);
    }
    for (uint32_t i = 0; i < n; i++) {
        int k = pulmo_metrics_class(classes, probabilities + (size_t)i * K, threshold);
        out->confusion[(size_t)labels[i] * K + (size_t)k]++;
        out->correct += k == labels[i];
    }
    out->accuracy = ratio(out->correct, n);
    out->accuracy_ci = pulmo_wilson(out->correct, n);
    from_confusion(out);
    calibration(out, labels, probabilities, threshold);
    proper_scores(out, labels, probabilities);
    pulmo_status status = compute_ranks(n, classes, labels, probabilities, out);
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

/* ---- curves and thresholds ---- */

pulmo_status pulmo_roc_compute(uint32_t n, int classes, const int32_t *labels,
                               const float *probabilities, int positive, pulmo_roc *out)
{
    memset(out, 0, sizeof *out);
    PULMO_TRY(check_input(n, classes, labels, probabilities));
    scored *all = sorted_scores(n, classes, labels, probabilities, positive);
    out->fpr = malloc(((size_t)n + 1) * sizeof(double));
    out->tpr = malloc(((size_t)n + 1) * sizeof(double));
    out->threshold = malloc(((size_t)n + 1) * sizeof(double));
    if (!all || !out->fpr || !out->tpr || !out->threshold) {
        free(all);
        pulmo_roc_free(out);
        return pulmo_fail(PULMO_MEMORY, "cannot allocate a ROC curve of %u points", n + 1);
    }
    double positives = 0, tp = 0, fp = 0;
    for (uint32_t i = 0; i < n; i++)
        positives += all[i].positive;
    double negatives = n - positives;
    out->fpr[0] = out->tpr[0] = 0;
    out->threshold[0] = INFINITY;
    out->points = 1;
    for (uint32_t i = n; i > 0; i--) {
        if (all[i - 1].positive)
            tp += 1;
        else
            fp += 1;
        if (i > 1 && all[i - 2].score == all[i - 1].score)
            continue;
        out->fpr[out->points] = ratio(fp, negatives);
        out->tpr[out->points] = ratio(tp, positives);
        out->threshold[out->points++] = all[i - 1].score;
    }
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

pulmo_status pulmo_pr_compute(uint32_t n, int classes, const int32_t *labels,
                              const float *probabilities, int positive, pulmo_pr *out)
{
    pulmo_roc roc;
    memset(out, 0, sizeof *out);
    PULMO_TRY(pulmo_roc_compute(n, classes, labels, probabilities, positive, &roc));
    double positives = 0, negatives = 0;
    for (uint32_t i = 0; i < n; i++)
        *(labels[i] == positive ? &positives : &negatives) += 1;
    /* Back to whole numbers; a rate of none is NaN, its number 0. */
    for (uint32_t i = 0; i < roc.points; i++) {
        double tp = positives > 0 ? rint(roc.tpr[i] * positives) : 0,
               fp = negatives > 0 ? rint(roc.fpr[i] * negatives) : 0;
        double precision = i == 0 ? 1 : tp / (tp + fp);
        if (i > 0)
            out->average_precision += (roc.tpr[i] - roc.tpr[i - 1]) * precision;
        roc.fpr[i] = precision;
    }
    if (positives == 0) {
        roc.tpr[0] = NAN;
        out->average_precision = NAN;
    }
    out->points = roc.points;
    out->precision = roc.fpr;
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

typedef enum rule_kind {
    RULE_NUMBER,
    RULE_YOUDEN,
    RULE_ACCURACY,
    RULE_SENSITIVITY,
    RULE_SPECIFICITY
} rule_kind;

bool pulmo_metrics_rule_given(const char *rule, double *number)
{
    char *end = NULL;
    double value = strtod(rule, &end);
    if (end == rule || *end != '\0' || !(value >= 0 && value <= 1))
        return false;
    if (number)
        *number = value;
    return true;
}

static pulmo_status parse_rule(const char *rule, rule_kind *kind, double *number)
{
    *kind = RULE_NUMBER;
    if (pulmo_metrics_rule_given(rule, number))
        return PULMO_OK;
    if (strcmp(rule, "youden") == 0)
        *kind = RULE_YOUDEN;
    if (strcmp(rule, "accuracy") == 0)
        *kind = RULE_ACCURACY;
    if (*kind != RULE_NUMBER)
        return PULMO_OK;
    if (strncmp(rule, "sensitivity>=", 13) == 0)
        *kind = RULE_SENSITIVITY;
    if (strncmp(rule, "specificity>=", 13) == 0)
        *kind = RULE_SPECIFICITY;
    if (*kind != RULE_NUMBER && pulmo_metrics_rule_given(rule + 13, number))
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "eval.threshold: \"%s\": must be a number from 0 to 1, youden, accuracy, "
                      "sensitivity>=X or specificity>=X",
                      rule);
}

/* Half-way down to the next lower score, so that the threshold does not stand on a score. What
 * nothing may reach stands half-way to 1, or just above 1 where a score is 1. */
static double between(const pulmo_roc *roc, uint32_t point)
{
    double here = point > 0 ? roc->threshold[point] : 1.0;
    double below = point + 1 < roc->points ? roc->threshold[point + 1] : 0.0;
    return here > below || point > 0 ? (here + below) / 2 : nextafter(1.0, 2.0);
}

/* What a rule makes largest: `share` of the images are positive. */
static double worth(const pulmo_roc *roc, uint32_t point, rule_kind kind, double share)
{
    if (kind == RULE_YOUDEN)
        return roc->tpr[point] - roc->fpr[point];
    return share * roc->tpr[point] + (1 - share) * (1 - roc->fpr[point]);
}

static double pick(const pulmo_roc *roc, rule_kind kind, double wanted, double share)
{
    const double rounding = 1e-12; /* 1 - 9/10 is a little below 1/10 */
    uint32_t best = 0;
    for (uint32_t i = 0; i < roc->points; i++) {
        double sensitivity = roc->tpr[i], specificity = 1 - roc->fpr[i];
        if (kind <= RULE_ACCURACY &&
            worth(roc, i, kind, share) > worth(roc, best, kind, share) + rounding)
            best = i;
        if (kind == RULE_SENSITIVITY && sensitivity >= wanted - rounding)
            return between(roc, i);
        if (kind == RULE_SPECIFICITY && specificity >= wanted - rounding)
            best = i;
    }
    return between(roc, best);
}

/* What the rule needs of the split it is to be chosen on. */
static pulmo_status check_rule(const char *rule, rule_kind kind, uint32_t n, int classes,
                               const int32_t *labels)
{
    uint32_t positives = 0;
    if (kind == RULE_NUMBER)
        return PULMO_OK;
    if (classes != 2)
        return pulmo_fail(PULMO_CONFIG,
                          "eval.threshold: \"%s\": needs two classes, there are %d; set "
                          "eval.threshold: 0.5 (of more than two classes the "
                          "most probable one is taken)",
                          rule, classes);
    if (n == 0)
        return pulmo_fail(PULMO_CONFIG, "eval.threshold: \"%s\": needs a val split to be chosen on",
                          rule);
    for (uint32_t i = 0; i < n; i++)
        positives += labels[i] == 1;
    if (positives > 0 && positives < n)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_CONFIG,
        "eval.threshold: \"%s\": val must hold both classes; all its %u images are of class %d",
        rule, n, positives > 0);
}

pulmo_status pulmo_metrics_rule_check(const char *rule, uint32_t n, int classes,
                                      const int32_t *labels)
{
    rule_kind kind;
    double number;
    PULMO_TRY(parse_rule(rule, &kind, &number));
    return check_rule(rule, kind, n, classes, labels);
}

pulmo_status pulmo_metrics_threshold(const char *rule, uint32_t n, int classes,
                                     const int32_t *labels, const float *probabilities, double *out)
{
    rule_kind kind;
    double number = 0;
    pulmo_roc roc;
    PULMO_TRY(parse_rule(rule, &kind, &number));
    PULMO_TRY(check_rule(rule, kind, n, classes, labels));
    *out = number;
    if (kind == RULE_NUMBER)
        return PULMO_OK;
    PULMO_TRY(pulmo_roc_compute(n, classes, labels, probabilities, 1, &roc));
    double positives = 0;
    for (uint32_t i = 0; i < n; i++)
        positives += labels[i] == 1;
    *out = pick(&roc, kind, number, positives / n);
    pulmo_roc_free(&roc);
    return PULMO_OK;
}
