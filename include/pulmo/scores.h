/* Scores of images that any program made, from a CSV file. Not collective.
 *
 *   path,patient,label,p_NORMAL,p_PNEUMONIA
 *   a/1.png,17,NORMAL,0.93,0.07
 *
 * Columns by name, in any order; comma, semicolon or tab, gzip too:
 *
 * - path (image, file, filename): which image it is; may not repeat
 * - label (class, truth, true_label): a class's name
 * - p_CLASS (prob_CLASS, or CLASS alone where a label is called so): each class's probability, from
 *   0 to 1. Of two classes one column is enough
 * - patient (patient_id, group), optional: without it each image is of a patient of its own
 * - predicted, threshold, positive_class, split, optional: as predictions.csv of a run has them
 *
 * So a run's predictions.csv is such a file.
 */
#ifndef PULMO_SCORES_H
#define PULMO_SCORES_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/status.h"

typedef struct pulmo_scores_wish {
    const char *split;       /* rows of this split alone, where the file tells splits; NULL: of its
                                last one (test, where there is one) */
    const char *const *more; /* (mores) further columns that are wanted, by name */
    int mores;
} pulmo_scores_wish;

typedef struct pulmo_scores {
    char *file; /* as it was given */
    uint32_t count;
    int classes;
    char **class_names;    /* (classes): in the order of their columns */
    char **paths;          /* (count) */
    int32_t *labels;       /* (count) */
    double *probabilities; /* (count, classes) */
    bool patients_told;
    char **patient_names; /* (count); paths where patients are not told */
    uint32_t patients;
    uint32_t *patient;  /* (count), numbers below `patients` */
    int32_t *predicted; /* (count); NULL where the file does not say */
    double threshold;   /* of the positive class; NaN where none or several are said */
    int positive;       /* class that positive_class names; -1 */
    bool *has_more;     /* (mores): whether the file has the column */
    char ***more;       /* (mores)(count): cells, "" where it has none */
    int mores;
    void *held; /* what the texts are of */
} pulmo_scores;

/* `wish` may be NULL. PULMO_CONFIG where there is no such file, PULMO_DATA with file, line, value
 * and rule. Owned by the caller (pulmo_scores_free). */
pulmo_status pulmo_scores_read(const char *path, const pulmo_scores_wish *wish, pulmo_scores *out);
void pulmo_scores_free(pulmo_scores *scores);

#endif
