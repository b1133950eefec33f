/* Inside the preparation room: whether a listed source is what its options take it for. */
#ifndef PULMO_PREP_JUDGE_H
#define PULMO_PREP_JUDGE_H

#include "source.h"

/* A pattern that matches nothing, leaves nothing, or tells no patients apart is PULMO_CONFIG. A
 * split that would tear patients apart, because names do not tell them, is PULMO_DATA unless
 * pack.patients_unknown allows it. */
pulmo_status judge_list(const source_list *list, const pulmo_config *config);

/* The same when headers are known: patients that were open before. PULMO_CONFIG where nearly all
 * DICOM files have one PatientID. */
pulmo_status judge_headers(const source_list *list, const pulmo_config *config);

/* Files of a split, as given by folder or pattern, that can be used as far as their names tell. */
size_t judge_given_count(const source_list *list, int split);

/* Whether this split is split off train: a fraction was asked for, and none was given that is kept.
 * A given test is kept, and a val of PULMO_SPLIT_MEANINGFUL images. */
bool judge_is_split_off(const source_list *list, const pulmo_config *config, int split);

/* Files of one split that can be used and whose patient is not known; the first goes to *first, if
 * there is one. */
size_t judge_unknown(const source_list *list, int split, const char **first);

#endif
