/* How good a classifier is, with uncertainty. Pure functions on labels and probabilities: no MPI,
 * no files. Not collective.
 *
 * Where a quantity is undefined:
 *   no samples               everything is NaN; counts and a class's own figures are 0
 *   a class without samples  its recall and F1 are 0 (scikit-learn's zero_division=0); macro means
 *                            count it, balanced accuracy leaves it out; its AUC and average
 *                            precision are NaN and left out of the means; of two classes,
 *                            sensitivity or specificity is NaN
 *   a class never predicted  its precision is 0; of two, its predictive value is NaN
 *   fewer than two of a class  the AUC's interval is NaN
 *   all scores equal         AUC 0.5
 *   DeLong's variance is 0   (classes separated completely, scores all equal) the AUC's interval is
 *                            Newcombe's (2006, method 5)
 * Labels outside the classes and probabilities outside [0, 1] (or NaN) are PULMO_DATA. */
#ifndef PULMO_METRICS_H
#define PULMO_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/operating.h"
#include "pulmo/stats.h"
#include "pulmo/status.h"

#define PULMO_CALIBRATION_BINS 10

/* The scored images of a split; borrowed for the call. */
typedef struct pulmo_scored {
    uint32_t count;
    int classes;
    const int32_t *labels;      /* (count) */
    const float *probabilities; /* (count, classes) */
    const int32_t *predicted;   /* (count) classes decided before; NULL: by pulmo_metrics_class */
    /* (count, classes), or NULL. Areas and curves order images by the margin of a class's logit
     * over all others' in double, the logarithm of its odds; without logits by the probability,
     * which as a float is 1 from a margin of 17 on, so that images tie that do not. */
    const float *logits;
    double temperature; /* that logits are divided by; 0: 1 */
    /* Whose image each is: (count) numbers below `patients`; NULL: each of a patient of its own.
     * Where a patient has several, intervals are by patient (pulmo/stats.h). */
    uint32_t patients;
    const uint32_t *patient;
} pulmo_scored;

/* A class against the rest, as pulmo/stats.h takes it. All arrays are owned (pulmo_side_free). */
typedef struct pulmo_side {
    pulmo_truth truth;   /* patients are borrowed from the scored images */
    double *score;       /* (count): what images are ordered by */
    double *probability; /* (count) */
    double *log_odds;    /* (count): by the logits' margins where there are any */
    bool *called;        /* (count): the class is predicted */
} pulmo_side;

/* How probabilities of two classes become one of them: class `positive`, the finding, is predicted
 * from probability `threshold` on. Means nothing where there are more classes. */
typedef struct pulmo_decision {
    int positive;
    double threshold;
} pulmo_decision;

typedef struct pulmo_class_metrics {
    double precision, recall, f1;
    double auc, average_precision; /* one against the rest, as are the three below */
    pulmo_interval sensitivity,
        specificity;       /* NaN where there is none of the class, or nothing else */
    pulmo_interval auc_ci; /* DeLong, or Newcombe; NaN with fewer than two on a side */
    uint32_t support;
} pulmo_class_metrics;

typedef struct pulmo_metrics {
    uint32_t count, correct;
    int classes;
    pulmo_sample sample; /* sides: the decision's positive class and the rest */
    double accuracy;
    pulmo_interval accuracy_ci; /* as all shares': Wilson 1927, or by patient (pulmo_share) */
    double balanced_accuracy;   /* mean recall over classes with support */
    double macro_precision, macro_recall, macro_f1;
    double weighted_precision, weighted_recall, weighted_f1;
    /* Of two classes, for the finding; NaN where there are more. The predictive values are
     * the precision of the finding and of the other class. */
    pulmo_interval sensitivity, specificity, positive_value, negative_value;
    double auc, average_precision; /* two classes: the finding's; more: mean one against the rest */
    double weighted_auc, weighted_average_precision; /* means one against the rest, by support */
    pulmo_interval auc_ci; /* two classes: DeLong 1988, by Sun and Xu 2014, or Newcombe; NaN else */
    double log_loss;       /* mean of -log(probability of the label), that at least 2^-149 */
    double brier; /* two classes: mean (p - y)^2 of the finding; more: mean sum over classes */
    double calibration_error; /* ECE: over bins [b/10, (b+1)/10) of the predicted class's
                                 probability, |mean probability - accuracy| weighted by the bin's
                                 share */
    uint32_t *confusion;      /* (classes, classes): row the truth, column the prediction; owned */
    pulmo_class_metrics *per_class; /* (classes); owned */
} pulmo_metrics;

/* The class that an image's probabilities (classes) stand for. Of two, by `by`; of more, the
 * largest probability (the lowest index wins a tie), and `by` may be NULL. */
int pulmo_metrics_class(int classes, const pulmo_decision *by, const float *probabilities);

/* Class `class` against the rest. Of two classes it is called from `by`'s threshold on, of its
 * positive class; of more where it is the largest. PULMO_DATA as pulmo_metrics_compute,
 * PULMO_MEMORY. */
pulmo_status pulmo_side_of(const pulmo_scored *scored, const pulmo_decision *by, int class,
                           pulmo_side *out);
void pulmo_side_free(pulmo_side *side); /* also of one that is all zeros */

/* Which of two classes is the finding by the names: the one that is not called normal, negative,
 * healthy or no finding (in either case; "-", "_" and spaces are alike), nor "No X" beside X. -1
 * where that does not tell, and where there are not two classes. */
int pulmo_metrics_finding(int classes, const char *const *names);

/* Classes are predicted by pulmo_metrics_class. Freed by pulmo_metrics_free. */
pulmo_status pulmo_metrics_compute(const pulmo_scored *scored, const pulmo_decision *by,
                                   pulmo_metrics *out);
void pulmo_metrics_free(pulmo_metrics *metrics);

/* ---- what a finding's probabilities are worth in use (use.c) ---- */

/* One figure per patient: of the largest probability of its images, or their mean; a patient has
 * the finding where any of its images has. */
typedef struct pulmo_per_patient {
    pulmo_interval auc, sensitivity, specificity; /* called from the decision's threshold on */
} pulmo_per_patient;

#define PULMO_BENEFITS 99 /* thresholds 0.01, 0.02, ..., 0.99 */

typedef struct pulmo_use {
    pulmo_calibration_line line;
    pulmo_smooth_curve curve; /* owned */
    pulmo_benefit benefit[PULMO_BENEFITS];
    pulmo_operating_point point[PULMO_OPERATING_RULES];
    pulmo_per_patient largest, mean; /* NaN where no patient has several images */
} pulmo_use;

/* Of class by->positive against the rest. Freed by pulmo_use_free. */
pulmo_status pulmo_use_compute(const pulmo_scored *scored, const pulmo_decision *by,
                               pulmo_use *out);
void pulmo_use_free(pulmo_use *use); /* also of one that is all zeros */

/* The AUC of class `positive` against the rest, with an interval that allows for patients of
 * several images: whole patients are drawn with replacement (the cluster bootstrap: Field and Welsh
 * 2007), 2,000 times, with the same numbers each time; the interval is from the 2.5th percentile to
 * the 97.5th. patient (count): numbers below `patients`. NaN where undefined; bounds NaN where most
 * draws lack a class. */
pulmo_status pulmo_auc_of_patients(const pulmo_scored *scored, int positive, uint32_t patients,
                                   const uint32_t *patient, pulmo_interval *out);

/* ---- beside another number of each image, as a score of how it was taken (beside.c) ---- */

/* The covariate-adjusted AUC: Janes and Pepe, "Adjusting for covariate effects on classification
 * accuracy using the covariate-adjusted receiver operating characteristic curve", Biometrika 96
 * (2009), 371-382. The chance that an image of class `positive` has a higher score than one of the
 * rest that is like it in `other` (count): the area of their AROC, the mean over positives of the
 * place that each takes among the rest with its covariate. Those are estimated by the rest within a
 * caliper of PULMO_CALIPER standard deviations of `other` (of the two classes' variances the mean:
 * Austin, "Optimal caliper widths for propensity-score matching", Pharmaceutical Statistics 10
 * (2011), 150-161), of many the nearest hundred. A positive that has none like it is not compared.
 * The interval is that of pulmo_auc_of_patients, the pairs staying what they are. NaN where
 * undefined. */
#define PULMO_CALIPER 0.2
typedef struct pulmo_alike {
    pulmo_interval auc;
    uint32_t positives, compared;
} pulmo_alike;
pulmo_status pulmo_auc_alike(const pulmo_scored *scored, int positive, const double *other,
                             uint32_t patients, const uint32_t *patient, pulmo_alike *out);

/* Spearman's rank correlation of the scores for class `class` with `other` (count); ties take their
 * mean rank. `of_rest`: of the images that are not of the class alone. NaN for fewer than two
 * images, and where either does not vary. */
pulmo_status pulmo_rank_correlation(const pulmo_scored *scored, int class, bool of_rest,
                                    const double *other, double *out);

/* The threshold that a rule means on these scores, for class `positive` of two: "0.5" or another
 * number in [0, 1], "youden" (largest sensitivity + specificity - 1; of several, the highest
 * threshold), "accuracy" (most right; of several, the highest threshold), "sensitivity>=X" (the
 * highest threshold that reaches X), "specificity>=X" (the lowest that does). Thresholds stand
 * half-way between neighbouring probabilities, since a class is decided by its probability, not by
 * its margin; one that no score may reach is above 1 if a score is 1.
 * Unless there are two classes and samples of both only a number is allowed. PULMO_CONFIG for a
 * text that is not a rule, or a rule that cannot be used. */
pulmo_status pulmo_metrics_threshold(const char *rule, const pulmo_scored *val, int positive,
                                     double *out);

/* True for a rule that is a number, which was chosen by nobody. *number may be NULL. */
bool pulmo_metrics_rule_given(const char *rule, double *number);

/* The same errors without probabilities, to be found before training rather than after it. */
pulmo_status pulmo_metrics_rule_check(const char *rule, const pulmo_scored *val, int positive);

/* Points of the ROC curve from (0, 0) to (1, 1), a point per distinct score, for class `positive`
 * against the rest; threshold[0] is infinite (scikit-learn's roc_curve with
 * drop_intermediate=False). Thresholds are probabilities, and equal where margins differ by less
 * than a float tells. A rate of none is NaN. */
typedef struct pulmo_roc {
    uint32_t points;
    double *fpr, *tpr, *threshold; /* owned */
} pulmo_roc;
pulmo_status pulmo_roc_compute(const pulmo_scored *scored, int positive, pulmo_roc *out);
void pulmo_roc_free(pulmo_roc *roc);

/* The precision-recall curve from (recall 0, precision 1) down to the lowest score: scikit-learn's
 * points in reverse. average_precision is the sum of precision times the gain in recall. Without
 * positives recall and average_precision are NaN. */
typedef struct pulmo_pr {
    uint32_t points;
    double *precision, *recall, *threshold; /* owned */
    double average_precision;
} pulmo_pr;
pulmo_status pulmo_pr_compute(const pulmo_scored *scored, int positive, pulmo_pr *out);
void pulmo_pr_free(pulmo_pr *pr);

/* The reliability curve of class `positive` against the rest: scikit-learn's calibration_curve with
 * n_bins=PULMO_CALIBRATION_BINS and strategy "uniform", empty bins kept with NaN. */
typedef struct pulmo_calibration {
    uint32_t count[PULMO_CALIBRATION_BINS];
    double predicted[PULMO_CALIBRATION_BINS]; /* mean probability of the bin */
    double observed[PULMO_CALIBRATION_BINS];  /* share of positives in it */
} pulmo_calibration;
pulmo_status pulmo_calibration_compute(const pulmo_scored *scored, int positive,
                                       pulmo_calibration *out);

/* Temperature scaling: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks",
 * ICML 2017, section 4.2. The temperature T in [PULMO_TEMPERATURE_MIN, PULMO_TEMPERATURE_MAX] that
 * minimises the mean -log softmax(logits / T) of the labels; logits (n, classes). The loss is
 * convex in 1/T: the root of its slope is found by halving. Scores that are all right, or no better
 * than chance, have their least loss at an end of the range, which is returned. PULMO_DATA unless
 * logits are finite and there is at least one. */
#define PULMO_TEMPERATURE_MIN 0.05
#define PULMO_TEMPERATURE_MAX 20.0
pulmo_status pulmo_temperature_fit(uint32_t n, int classes, const int32_t *labels,
                                   const float *logits, double *out);

#endif
