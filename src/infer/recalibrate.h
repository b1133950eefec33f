/* Inside the infer room: what a model's probabilities would be worth on these images once they were
 * fitted to such images. */
#ifndef PULMO_INFER_RECALIBRATE_H
#define PULMO_INFER_RECALIBRATE_H

#include <stdio.h>

#include "pulmo/results.h"

/* Logistic recalibration (Cox 1958; Van Calster et al. 2019) by cross-fitting: patients are dealt
 * out to five parts, those with the finding first, and the log-odds of each part's images get the
 * intercept, or intercept and slope, that fit the images of the other parts best. Prints
 * calibration, Brier score, log loss and the figures at the model's threshold before and after, and
 * what would be applied to new images. With a directory, recalibrated.csv has every image's
 * probabilities. The same images, the same parts, in whatever order they stand. Where that cannot
 * be done, as of one class, a line says why. PULMO_MEMORY, PULMO_IO. By rank 0. */
pulmo_status recalibrate_say(FILE *out, const pulmo_model *model, const pulmo_split_scores *scores,
                             const char *directory);
/* Removes what an earlier evaluation left of that; NULL is a no-op. */
pulmo_status recalibrate_forget(const char *directory);

#endif
