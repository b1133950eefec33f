/* How good a classifier is, with uncertainty. Pure functions on labels and probabilities: no MPI,
 * no files. Not collective.
 *
 * Undefined quantities (a class without samples, no samples at all) are NaN. */
#ifndef PULMO_METRICS_H
#define PULMO_METRICS_H

#include <stdint.h>

#include "pulmo/status.h"

#define PULMO_CALIBRATION_BINS 10

/* A value and its 95 % interval. */
typedef struct pulmo_interval {
    double value, low, high;
} pulmo_interval;

typedef struct pulmo_class_metrics {
    double precision, recall, f1, auc; /* auc: one against the rest */
    uint32_t support;
} pulmo_class_metrics;

typedef struct pulmo_metrics {
    uint32_t count, correct;
    int classes;
    double accuracy;
    pulmo_interval accuracy_ci;          /* Wilson 1927 */
    double balanced_accuracy;            /* mean recall over classes with support */
    double macro_precision, macro_recall, macro_f1;
    double weighted_precision, weighted_recall, weighted_f1;
    pulmo_interval sensitivity, specificity; /* two classes, class 1 positive; Wilson; NaN else */
    double auc;                          /* two classes: class 1; more: mean one against the rest */
    pulmo_interval auc_ci;               /* two classes: DeLong 1988, by Sun and Xu 2014; NaN else */
    double log_loss;
    double brier;                        /* two classes: mean (p1 - y)^2; more: mean sum over classes */
    double calibration_error;            /* ECE over equal-width bins of the predicted class's probability */
    uint32_t *confusion;                 /* (classes, classes): row the truth, column the prediction; owned */
    pulmo_class_metrics *per_class;      /* (classes); owned */
    uint32_t bin_count[PULMO_CALIBRATION_BINS];
    double bin_confidence[PULMO_CALIBRATION_BINS], bin_accuracy[PULMO_CALIBRATION_BINS];
} pulmo_metrics;

/* labels (n), probabilities (n, classes). With two classes class 1 is predicted from `threshold`
 * on; with more, the largest probability (lowest index wins a tie). */
pulmo_status pulmo_metrics_compute(uint32_t n, int classes, const int32_t *labels, const float *probabilities,
                                   double threshold, pulmo_metrics *out);
void pulmo_metrics_free(pulmo_metrics *metrics);

/* Wilson's 95 % score interval of k of n. */
pulmo_interval pulmo_wilson(uint64_t k, uint64_t n);

/* The threshold that a rule means on these scores (two classes): "0.5" or another number in
 * [0, 1], "youden" (largest sensitivity + specificity - 1), "sensitivity>=X" (the highest
 * threshold that reaches X), "specificity>=X" (the lowest that does). Thresholds stand half-way
 * between neighbouring scores. With other than two classes or no samples only a number is
 * allowed. PULMO_CONFIG for a rule that is none. */
pulmo_status pulmo_metrics_threshold(const char *rule, uint32_t n, int classes, const int32_t *labels,
                                     const float *probabilities, double *out);

/* Points of the ROC curve from (0, 0) to (1, 1), a point a distinct score, for class `positive`
 * against the rest; thresholds[0] is infinite. Arrays of n + 1; returns the number of points. */
typedef struct pulmo_roc {
    uint32_t points;
    double *fpr, *tpr, *threshold; /* owned */
} pulmo_roc;
pulmo_status pulmo_roc_compute(uint32_t n, int classes, const int32_t *labels, const float *probabilities, int positive,
                               pulmo_roc *out);
void pulmo_roc_free(pulmo_roc *roc);

#endif
