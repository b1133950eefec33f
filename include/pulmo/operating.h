/* What a model's probabilities are worth in use: calibration, net benefit, operating points. Pure
 * functions on arrays. Not collective. Images, patients, intervals and `undefined` are as in
 * pulmo/stats.h. */
#ifndef PULMO_OPERATING_H
#define PULMO_OPERATING_H

#include "pulmo/stats.h"

/* ---- calibration ---- */

/* log(p / (1 - p)); infinite for 0 and 1. */
double pulmo_log_odds(double probability);

/* The logistic regressions of the finding on the log-odds (Cox 1958; Van Calster et al. 2019): what
 * probabilities of a model that is calibrated have is intercept 0 and slope 1. Maximum likelihood
 * by Newton, intervals of Wald; where patients repeat, from the sandwich of patients (Liang and
 * Zeger 1986, times patients / (patients - 1)). */
typedef struct pulmo_calibration_line {
    pulmo_estimate in_the_large; /* intercept where the slope is held at 1 */
    pulmo_estimate intercept;    /* of both together */
    pulmo_estimate slope;
} pulmo_calibration_line;

/* log_odds (count), finite, else all are undefined. So they are where one side is empty; the slope
 * where a threshold separates the sides, or all log-odds are equal. */
pulmo_status pulmo_calibration_line_of(const pulmo_truth *truth, const double *log_odds,
                                       pulmo_calibration_line *out);

/* The share of the finding over the probability, smoothed: locally linear with tricube weights over
 * the nearest two thirds of the images (Cleveland 1979), no robustness rounds, computed at points
 * that are a hundredth of the range apart and linear between: R's lowess(p, y, f = 2/3, iter = 0).
 * Austin and Steyerberg 2019: the integrated calibration index is the mean of |smoothed - p|. It
 * has no interval: it cannot be below 0, so that drawn again it is mostly larger, and percentiles
 * of that may all lie above it. */
typedef struct pulmo_smooth_curve {
    uint32_t points;       /* images */
    double *p, *share;     /* (points), lowest p first; owned */
    double index;          /* ICI */
    const char *undefined; /* why there is no curve, or NULL */
} pulmo_smooth_curve;

/* p (count), of the finding. Undefined for fewer than three images or one value of p. */
pulmo_status pulmo_smooth_curve_of(const pulmo_truth *truth, const double *p,
                                   pulmo_smooth_curve *out);
void pulmo_smooth_curve_free(pulmo_smooth_curve *curve);

/* ---- net benefit ---- */

/* Vickers and Elkin 2006: at threshold t the share of true positives less that of false ones times
 * t / (1 - t), of all images; beside it what treating all is worth. Treating none is worth 0. */
typedef struct pulmo_benefit {
    double threshold;
    pulmo_interval model, treat_all, gain; /* gain: the model less the better of all and none */
} pulmo_benefit;
/* At a probability `threshold` in [0, 1); an image is treated from it on. */
pulmo_status pulmo_benefit_at(const pulmo_truth *truth, const double *p, double threshold,
                              pulmo_benefit *out);

/* ---- operating points ---- */

#define PULMO_PREVALENCES 4
extern const double pulmo_prevalences[PULMO_PREVALENCES]; /* 0.01, 0.05, 0.10, 0.30 */

/* How a threshold is chosen. */
typedef enum pulmo_operating_rule {
    PULMO_AS_CALLED,         /* as images are called: intervals as of shares */
    PULMO_AT_SPECIFICITY_90, /* the lowest threshold that reaches it */
    PULMO_AT_SPECIFICITY_95,
    PULMO_AT_SENSITIVITY_90, /* the highest that reaches it */
    PULMO_AT_SENSITIVITY_95,
    PULMO_OPERATING_RULES
} pulmo_operating_rule;

/* Intervals of a point that was chosen on these images are by the bootstrap, which chooses it again
 * each time. Those of the first: shares, their ratio by Donner and Zou 2012, predictive values from
 * that. A ratio whose denominator is 0 is infinite. */
typedef struct pulmo_operating_point {
    double threshold; /* the lowest score that is called positive; infinite where none is */
    pulmo_interval sensitivity, specificity;
    pulmo_interval likelihood_positive, likelihood_negative;
    pulmo_interval predictive_positive[PULMO_PREVALENCES], predictive_negative[PULMO_PREVALENCES];
    const char *undefined;
} pulmo_operating_point;

/* All of them, out (PULMO_OPERATING_RULES). score (count), higher for more of the finding; called
 * (count), for the first, which has no threshold of its own (NaN). */
pulmo_status pulmo_operating_points(const pulmo_truth *truth, const double *score,
                                    const bool *called, pulmo_operating_point *out);

#endif
