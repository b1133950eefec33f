/* Inside the preparation room: a pack for a trained model. All its images are the test split, and
 * its classes are the model's, whether there is an image of each or not. */
#ifndef PULMO_PREP_LIKE_H
#define PULMO_PREP_LIKE_H

#include "plan.h"
#include "source.h"

#include "pulmo/pack.h"

/* Puts every file into the test split, wherever it stood; a note says so where splits were given.
 */
pulmo_status like_take_all(source_list *list);
/* The model's classes, in its order. PULMO_DATA that names every class of the list that is not
 * among them, with the way out. */
pulmo_status like_classes(const pulmo_pack_like *like, const source_list *list, pack_plan *plan);
/* What cannot be computed where only one class has images: a warning of the plan. */
pulmo_status like_judge(pack_plan *plan);
/* Adds to the text of what was asked for; *options is replaced. */
pulmo_status like_describe(const pulmo_pack_like *like, char **options);

#endif
