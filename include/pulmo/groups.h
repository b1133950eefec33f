/* A classifier's figures in each group of images: by sex, age, view, device, file format. Pure
 * functions: no files, no MPI. Not collective.
 *
 * Groups are the values of a column. Numbers of more than six different values are
 * cut into bins: at the numbers given, else at the quartiles of these images; a bin holds its lower
 * end and not its upper one, and its name says both. An age as DICOM writes it (045Y, 006M, 003W,
 * 010D) is a number of years. Cells that say nothing (pulmo_cell_is_blank) are a group of their
 * own.
 *
 * A group is too small for a claim where fewer than PULMO_GROUP_PATIENTS patients have an image of
 * the class, or as few have one of the rest (pulmo_sample_of); of such a group figures are shown
 * and nothing is claimed. What cannot be computed is NaN. */
#ifndef PULMO_GROUPS_H
#define PULMO_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/metrics.h"
#include "pulmo/stats.h"
#include "pulmo/status.h"

#define PULMO_GROUP_PATIENTS 30

/* What is known of the scored images besides. Borrowed for the call. */
typedef struct pulmo_group_source {
    uint32_t count;
    const char *const *paths;        /* (count): their endings tell the column "format" */
    const char *const *patients;     /* (count): equal names, one patient */
    int columns;                     /* may be 0 */
    const char *const *names;        /* (columns) */
    const char *const *const *cells; /* (columns, count) */
} pulmo_group_source;

/* X(NAME, name in files, words) */
#define PULMO_GROUP_MEASURES(X)                                                                    \
    X(PREVALENCE, "prevalence", "Prevalence")                                                      \
    X(AUC, "auc", "AUC")                                                                           \
    X(SENSITIVITY, "sensitivity", "Sensitivity")                                                   \
    X(SPECIFICITY, "specificity", "Specificity")                                                   \
    X(INTERCEPT, "calibration_intercept", "Calibration intercept")                                 \
    X(SLOPE, "calibration_slope", "Calibration slope")

typedef enum pulmo_group_measure {
#define X(name, ...) PULMO_GROUP_##name,
    PULMO_GROUP_MEASURES(X)
#undef X
        PULMO_GROUP_MEASURE_COUNT
} pulmo_group_measure;

typedef struct pulmo_group_measure_words {
    const char *name, *words;
} pulmo_group_measure_words;
extern const pulmo_group_measure_words pulmo_group_measures[PULMO_GROUP_MEASURE_COUNT];

/* One group, one class against the rest. */
typedef struct pulmo_group {
    char *column, *name; /* owned: "Age", "18 to below 40" */
    int class;
    uint32_t images, positives;                      /* of the class */
    uint32_t patients;                               /* images where patients are not told apart */
    bool is_blank;                                   /* of images whose cell says nothing */
    bool is_small;                                   /* too small for a claim */
    pulmo_interval value[PULMO_GROUP_MEASURE_COUNT]; /* the intercept: at slope 1 */
} pulmo_group;

/* Column after column, class after class (of two the finding alone), group after group. */
typedef struct pulmo_groups {
    uint32_t count;
    pulmo_group *group; /* (count); owned */
} pulmo_groups;

/* Whether images can be grouped by what `by` names: "Sex,ViewPosition,Age", with cuts
 * "Sex,Age:18:40:65". PULMO_USAGE with the columns there are, where a column has more than
 * 40 values, and where cuts are given for what is no number. */
pulmo_status pulmo_groups_check(const char *by, const pulmo_group_source *source);

/* Groups by each of them. PULMO_USAGE as above, PULMO_DATA, PULMO_MEMORY. Owned by the caller
 * (pulmo_groups_free). */
pulmo_status pulmo_groups_compute(const pulmo_scored *scored, const pulmo_decision *decision,
                                  const pulmo_group_source *source, const char *by,
                                  pulmo_groups *out);
void pulmo_groups_free(pulmo_groups *groups);

#endif
