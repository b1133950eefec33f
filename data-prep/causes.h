/* Inside the preparation room: why a class has no image in train. */
#ifndef PULMO_PREP_CAUSES_H
#define PULMO_PREP_CAUSES_H

#include "plan.h"

/* PULMO_DATA with where the class's files went: refused for which reasons, in other splits, left
 * out; how many each. `split` (list count): where each file stands, -1 for nowhere. */
pulmo_status causes_fail(const source_list *list, const pack_plan *plan, const int *split,
                         int class);

#endif
