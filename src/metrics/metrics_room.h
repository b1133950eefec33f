/* Inside the metrics room.
 *
 *   scored.c       scored images: their rows, checks, order
 *   metrics.c      counts, means over classes, proper scores
 *   rank.c         what the order of scores alone decides: AUC, its interval
 *   bootstrap.c    the AUC's interval where patients have several images
 *   shares.c       proportions with intervals, by patient where patients repeat
 *   use.c          calibration, net benefit, operating points, figures per patient
 *   side.c         a class against the rest as arrays, for pulmo/stats.h
 *   beside.c       what the order of scores tells beside another number: among images alike in
 *                  it, and how far it goes with it
 *   curve.c        ROC and precision-recall curves
 *   decision.c     the class that probabilities stand for, and the threshold that a rule means
 *   calibration.c  the reliability curve, temperature scaling
 *   group_names.c  groups of images by a column: which group an image is of (metrics_groups.h)
 *   groups.c       the figures of each group
 *   history.c      the columns of a run's history */
#ifndef PULMO_METRICS_ROOM_H
#define PULMO_METRICS_ROOM_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/metrics.h"

#define METRICS_ALIKE_MAX 100 /* images that one is compared with: 2,000 times */

/* An image's score for one class, by which images are ordered, its probability, and whether it is
 * of that class. */
typedef struct metrics_score {
    double score;
    double probability;
    bool positive;
} metrics_score;

/* The score of an image for a class: the logit's margin, or without logits the probability. */
double metrics_score_of(const pulmo_scored *scored, uint32_t image, int class);

/* Scores for class `positive`, lowest first. Owned by the caller (free); NULL when out of memory.
 */
metrics_score *metrics_sorted(const pulmo_scored *scored, int positive);

/* The class that an image was, or is, taken for. */
int metrics_called(const pulmo_scored *scored, const pulmo_decision *by, uint32_t image);

/* Intervals of accuracy and of each class's sensitivity and specificity; of two classes those that
 * name one of them as the finding, NaN of more. */
pulmo_status metrics_take_shares(const pulmo_scored *scored, const pulmo_decision *by,
                                 pulmo_metrics *out);

/* a / b, or NaN where b is 0. */
double metrics_ratio(double a, double b);

/* An image's probabilities (classes). */
const float *metrics_row(const pulmo_scored *scored, uint32_t image);

/* PULMO_DATA unless labels are classes and probabilities are from 0 to 1. */
pulmo_status metrics_check(const pulmo_scored *scored);

/* Of each class against the rest: AUC with its interval, average precision. Supports are known. */
pulmo_status metrics_rank_classes(const pulmo_scored *scored, const pulmo_decision *by,
                                  pulmo_metrics *out);

#endif
