/* Inside the audit room.
 *
 *   cues.c         numbers of an image that know no anatomy
 *   measure.c      those of a data set, by all ranks
 *   ridge.c        logistic regression on them
 *   audit.c        cross-validation on training images; a model's scores beside cue scores
 *   audit_file.c   /audit of results.h5
 *   audit_text.c   the lines at the end of a run */
#ifndef PULMO_AUDIT_ROOM_H
#define PULMO_AUDIT_ROOM_H

#include "pulmo/audit.h"

#define AUDIT_NO_FOLD (-1)
#define AUDIT_FOLDS   5   /* of training, by patient */
#define AUDIT_RIDGE   1.0 /* of standardised cues' weights */

/* What a cue is called in files. Static. */
const char *audit_cue_name(int cue);

/* Cues of one image, pixels (height, width, channels); channels 1 or 3, which are averaged. `room`
 * is audit_cues_floats(height, width) floats. The same bits on every machine. Pure. */
size_t audit_cues_floats(int height_px, int width_px);
void audit_cues_of(const uint8_t *pixels, int height_px, int width_px, int channels, float *room,
                   float cues[PULMO_CUES]);

/* Images that a cue model is fitted to; borrowed. */
typedef struct audit_images {
    uint32_t count;
    const float *cues;     /* (count, PULMO_CUES) */
    const int32_t *labels; /* (count) */
    const int32_t *folds;  /* (count) */
} audit_images;

/* Means and standard deviations (of a population) of cues over the images that are not of fold
 * `left_out`; AUDIT_NO_FOLD: over all. Not collective. */
void audit_standardise(const audit_images *of, int left_out, double mean[PULMO_CUES],
                       double deviation[PULMO_CUES]);

/* A linear model of a class against the rest. A cue of deviation 0 plays no part in it. */
typedef struct audit_line {
    double mean[PULMO_CUES], deviation[PULMO_CUES];
    double weight[PULMO_CUES], intercept;
} audit_line;

/* Fits `weight` and `intercept`, given mean and deviation, to the images not of fold `left_out`;
 * all zeros where these have no image of the class or no other. Not collective. */
void audit_fit_line(const audit_images *of, int left_out, int class, audit_line *out);
/* The margin of an image: the logarithm of the odds that it is of the class. */
double audit_margin(const audit_line *line, const float cues[PULMO_CUES]);

#endif
