/* Inside the preparation room: which ways out of an error there are, by what was given. */
#ifndef PULMO_PREP_WAYS_H
#define PULMO_PREP_WAYS_H

#include "source.h"

/* All are parts of a sentence, of static storage. */

/* How to get splits that pulmo makes, in place of those that leak: "without pack.table_split, ..."
 */
const char *ways_to_split(const source_list *list, const pulmo_config *config);
/* How to tell patients by another rule. pack.group_pattern plays no part where a table tells them.
 */
const char *ways_to_patients(const source_list *list);
/* How to tell patients whom no rule tells. */
const char *ways_to_unknown(const pulmo_config *config);

/* Whether pack.table_patient tells the patients of all files that can be used, or of some. */
typedef enum table_part { TABLE_OF_NONE, TABLE_OF_SOME, TABLE_OF_ALL } table_part;
table_part ways_table_part(const source_list *list);

#endif
