/* Inside the preparation room: names that are probably one, and count as several. */
#ifndef PULMO_PREP_ALIKE_H
#define PULMO_PREP_ALIKE_H

#include "plan.h"

/* A line for classes whose names differ only by case, blanks around them, a no-break space, or as
 * "12" and "12.0" do, with an example of two. Nothing is merged. PULMO_MEMORY. */
pulmo_status alike_classes(const pack_plan *plan, text_lines *out);
/* The same of patients that a rule told. `split` (list count) is each file's split, -1 for refused
 * files: the line says how many would stand in several splits. */
pulmo_status alike_patients(const source_list *list, const int *split, text_lines *out);

#endif
