/* Inside the infer room: whether images that a model is judged by are images that it was made of.
 */
#ifndef PULMO_INFER_OVERLAP_H
#define PULMO_INFER_OVERLAP_H

#include "pulmo/dataset.h"

/* Says on stderr how many images of `judged`, called `name` ("the test split of PACKED"), `run`
 * was trained on or chosen by: a warning where there are any. Files and packed pixels are compared
 * by their SHA-256, with those of the packed set that the run's results.h5 names: a file that was
 * encoded anew has other bytes and the same pixels. Where that set cannot be read any more, or is
 * another by now, or where that file is of another model than the one of this digest, it says that
 * nothing was compared, and why. Not collective. */
void overlap_say(const char *run, const char *head_digest, const pulmo_dataset *judged,
                 const char *name);

/* The results.h5 beside the model, which `run` is or holds. Owned by the caller (free); NULL for
 * want of memory. */
char *results_beside(const char *run);

#endif
