/* Inside the preparation room: folds for cross-validation. */
#ifndef PULMO_PREP_FOLDS_H
#define PULMO_PREP_FOLDS_H

#include "plan.h"
#include "update.h"

/* Deals the files of train out to config->pack.folds folds: what belongs together (sets of
 * `together`, audit.h) stays in one, and each fold gets about its part of each class. `split` (list
 * count) is each file's, -1 for refused ones. Files of `old` (may be NULL) keep their folds. Fills
 * plan->folds and plan->fold. */
pulmo_status folds_make(const source_list *list, const old_pack *old, uint32_t *together,
                        const int *split, const pulmo_config *config, pack_plan *plan);

#endif
