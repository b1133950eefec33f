/* Inside the stats room.
 *
 *   special.c     quantiles of beta and Student's t, tails of the normal distribution
 *   clusters.c    sums over each patient's images
 *   share.c       proportions, two of the same images
 *   area.c        areas under the ROC curve, two of the same images
 *   bootstrap.c   whole patients drawn again
 *   test.c        McNemar, non-inferiority, Holm
 *   line.c        calibration: intercept and slope
 *   smooth.c      calibration: the smoothed curve and its index
 *   benefit.c     net benefit
 *   operating.c   operating points */
#ifndef PULMO_STATS_ROOM_H
#define PULMO_STATS_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/stats.h"

#define STATS_Z95 1.959963984540054 /* the normal distribution's 0.975 quantile */

#define STATS_NAN3 ((pulmo_interval){NAN, NAN, NAN})

/* a / b, or NaN where b is 0. */
double stats_ratio(double a, double b);

/* ---- special.c ---- */

/* The x at which the regularised incomplete beta function I_x(a, b) is `share`; a, b > 0. */
double stats_beta_quantile(double share, double a, double b);
/* I_x(a, b). */
double stats_beta(double x, double a, double b);
/* Two-sided p value of a standard normal deviate. */
double stats_normal_p(double z);
/* What |t| is above with a chance of 5 %: Student's, `freedom` > 0 degrees. */
double stats_t95(double freedom);

/* ---- clusters.c ---- */

/* How many patients there are, and whose an image is: its own where patients are not known. */
uint32_t stats_patients(const pulmo_truth *truth);
uint32_t stats_patient_of(const pulmo_truth *truth, uint32_t image);
/* Whether any patient has several images. */
pulmo_status stats_repeats(const pulmo_truth *truth, bool *out);

/* Two sums over each patient's images and how many they are of: what ratio estimators need. */
typedef struct stats_cluster {
    double first, second, count;
} stats_cluster;
/* (patients) zeros, owned by the caller (free); NULL with the report set. */
stats_cluster *stats_clusters(const pulmo_truth *truth);

/* Variances of two means over images whose sums clusters hold, and their covariance, by the ratio
 * estimator: n / (n - 1) times the sum of (x - mean m)^2 over clusters of m > 0 images, of the
 * square of all images (Cochran 1977, eq. 6.13 without the finite correction). */
typedef struct stats_means {
    double first, second; /* means */
    double var_first, var_second, covariance;
    double images, clusters; /* that count */
} stats_means;
stats_means stats_means_of(const stats_cluster *clusters, uint32_t count);

/* Wilson's interval of a share whose variance is known: of as many images as would have it. */
pulmo_interval stats_wilson_of(double share, double variance, double images, double clusters);
/* The interval of Wilson for real numbers, with a quantile of its own. */
pulmo_interval stats_wilson(double share, double images, double z);
/* Interval of second less first from their own and their correlation: Newcombe 1998, method 10. */
pulmo_interval stats_square_and_add(pulmo_interval first, pulmo_interval second, double r);

/* Two-sided p value of a standard normal deviate. */
double stats_normal_p(double z);

#endif
