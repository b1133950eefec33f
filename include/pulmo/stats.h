/* Intervals and comparisons of proportions and of areas under the ROC curve, of images that stand
 * alone or that share patients. Pure functions on arrays: no files, no MPI. Not collective. All
 * intervals are of 95 % and two-sided.
 *
 * Images of one patient are alike, so that ten of one tell less than one of ten. Where any patient
 * has several images, each function here takes whole patients as what was sampled:
 *
 *   by image (no patient twice)               by patient
 *   AUC: DeLong 1988, by Sun and Xu 2014      Obuchowski 1997
 *   a proportion: Wilson 1927                 Wilson's of as many images as would tell as much,
 *                                             by the ratio estimator's variance (Rao and Scott
 *                                             1992), with Student's t of the patients (Korn and
 *                                             Graubard 1998)
 *   a paired difference: Newcombe 1998 (10)   the same, with the correlation between patients
 *   its test: McNemar's exact                 Obuchowski 1998
 *   the rest: delta method                    the same of patients, or the cluster bootstrap
 *
 * What cannot be computed is said: `undefined` is a reason in words (static), NULL where there is a
 * value; the numbers are then NaN. */
#ifndef PULMO_STATS_H
#define PULMO_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/status.h"

/* A value and its 95 % interval. */
typedef struct pulmo_interval {
    double value, low, high;
} pulmo_interval;

/* A value that may have none. An interval may be NaN where the value is not. */
typedef struct pulmo_estimate {
    pulmo_interval it;
    const char *undefined; /* why there is no value or no interval; NULL where there are both */
} pulmo_estimate;

/* What is true of images; borrowed for the call. */
typedef struct pulmo_truth {
    uint32_t count;
    const bool *positive; /* (count): has the finding */
    uint32_t patients;
    const uint32_t *patient; /* (count), below `patients`; NULL: each image is of a patient of its
                                own */
} pulmo_truth;

/* Fewer patients of a side than this, and an interval may hold less than it says: pages say so
 * (docs/explanation/statistics.md has what was measured). */
#define PULMO_FEW_PATIENTS 60

/* Who was sampled. */
typedef struct pulmo_sample {
    uint32_t patients, positives, negatives; /* patients with an image of the side */
    bool by_patient;                         /* one of them has several images */
    bool few;                                /* a side has fewer than PULMO_FEW_PATIENTS */
} pulmo_sample;
pulmo_status pulmo_sample_of(const pulmo_truth *truth, pulmo_sample *out);

/* ---- one proportion ---- */

/* k of n, by Wilson's score interval; NaN for n = 0. */
pulmo_interval pulmo_wilson(uint64_t k, uint64_t n);
/* By Clopper and Pearson (1934), exact: never below 95 %. */
pulmo_interval pulmo_exact(uint64_t k, uint64_t n);

/* The share of hits among some images: among (count), NULL for all; hit (count). */
pulmo_status pulmo_share(const pulmo_truth *truth, const bool *among, const bool *hit,
                         pulmo_estimate *out);

/* ---- the area under the ROC curve ---- */

typedef struct pulmo_area {
    pulmo_interval auc;
    double variance;
    const char *undefined;
} pulmo_area;

/* Of the scores (count), higher for more of the finding; ties count half. Where the variance is 0
 * (sides separated, scores all equal) the interval is Newcombe's (2006, part 2, method 5), of
 * patients where those repeat. A NaN among the scores is PULMO_DATA. */
pulmo_status pulmo_area_of(const pulmo_truth *truth, const double *score, pulmo_area *out);

/* ---- two of the same images ---- */

typedef struct pulmo_difference {
    pulmo_interval first, second;
    pulmo_interval difference;        /* second less first */
    double error;                     /* standard error of the difference */
    double p;                         /* two-sided, of no difference */
    uint64_t only_first, only_second; /* images that one alone gets right; 0 for areas */
    const char *undefined;
} pulmo_difference;

/* Of the areas of two lists of scores (count), by DeLong's or Obuchowski's covariance. */
pulmo_status pulmo_area_difference(const pulmo_truth *truth, const double *first,
                                   const double *second, pulmo_difference *out);
/* Of two shares of hits among the same images. */
pulmo_status pulmo_share_difference(const pulmo_truth *truth, const bool *among, const bool *first,
                                    const bool *second, pulmo_difference *out);

/* McNemar's exact test, two-sided: twice the binomial tail of the pairs that differ, at most 1. */
double pulmo_mcnemar(uint64_t only_first, uint64_t only_second);

/* Whether the second is worse by less than `margin` (> 0): the interval's lower end lies above
 * -margin, which is a one-sided test at 0.025. *p: of its being worse by the margin or more, by the
 * normal distribution; NaN where the error is 0 or unknown. */
bool pulmo_not_inferior(const pulmo_difference *of, double margin, double *p);

/* Holm 1979: p values (count) so adjusted that all tests together err with the level of one. NaN
 * are no tests and stay. In place. PULMO_MEMORY. */
pulmo_status pulmo_holm(uint32_t count, double *p);

/* ---- whole patients drawn again ---- */

/* What is computed of the patients that were drawn: times (patients) is how often each was. NaN
 * where it is undefined. Several at once, `value` (count). */
typedef struct pulmo_statistic {
    void (*compute)(const void *context, const uint32_t *times, double *value);
    const void *context;
    uint32_t count; /* values */
} pulmo_statistic;

/* Their values of all patients, and 95 % intervals: whole patients are drawn with replacement (the
 * cluster bootstrap: Field and Welsh 2007), 2,000 times, with the same numbers each time; from the
 * 2.5th percentile to the 97.5th. `work`: the images that one computation looks at; of more than
 * 50,000 there are as many draws as make 10^8 of them, at least 200. NaN where undefined; bounds
 * NaN where most draws have no value. out (of->count). */
pulmo_status pulmo_bootstrap(const pulmo_statistic *of, uint32_t patients, uint32_t work,
                             pulmo_interval *out);

/* ---- a patient's score ---- */

typedef enum pulmo_merge { PULMO_MERGE_LARGEST, PULMO_MERGE_MEAN } pulmo_merge;

/* Of each patient one score, the largest or the mean of the images' (count), and whether any of
 * them has the finding: score and positive (truth->patients). Patients without an image get NaN and
 * false. Patients must be told. PULMO_MEMORY. */
pulmo_status pulmo_merge_patients(const pulmo_truth *truth, const double *scores, pulmo_merge how,
                                  double *score, bool *positive);

#endif
