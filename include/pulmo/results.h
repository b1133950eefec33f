/* results.h5, history.csv and predictions.csv. */
#ifndef PULMO_RESULTS_H
#define PULMO_RESULTS_H

#include <stdbool.h>
#include <stdio.h>

#include "pulmo/audit.h"
#include "pulmo/config.h"
#include "pulmo/dataset.h"
#include "pulmo/digest.h"
#include "pulmo/dist.h"
#include "pulmo/groups.h"
#include "pulmo/history.h"
#include "pulmo/layout.h"
#include "pulmo/model.h"
#include "pulmo/spent.h"

struct pulmo_h5;

#define PULMO_RESULTS_FORMAT_VERSION 2

typedef struct pulmo_split_scores {
    const char *split;
    const pulmo_dataset_info *info;
    float *probabilities; /* (count, classes) */
    float *logits;        /* (count, classes) */
    /* Where images were not all decided by one model (cross-validation), else NULL; borrowed. */
    const int32_t *predicted; /* (count) */
    const double *thresholds; /* (count) */
} pulmo_split_scores;

/* The same as metrics take it, of this model. */
pulmo_scored pulmo_split_scored(const pulmo_model *model, const pulmo_split_scores *scores);

/* What is known of a split's images to group them by. */
pulmo_group_source pulmo_split_source(const pulmo_dataset_info *info);
/* Figures of groups of its images, by its kept columns and by format (pulmo/groups.h). */
pulmo_status pulmo_split_groups(const pulmo_model *model, const pulmo_split_scores *scores,
                                const char *by, pulmo_groups *out);
/* As a table for people; nothing where there are none. class_names (classes). */
void pulmo_groups_print(FILE *out, const pulmo_groups *groups, int classes,
                        const char *const *class_names);
/* The same as the file `path`, whole or not at all. */
pulmo_status pulmo_groups_csv(const char *path, const pulmo_groups *groups,
                              const char *const *class_names);

/* What a run was made from. All are borrowed. */
typedef struct pulmo_results_origin {
    const pulmo_config *config;
    const char *data_digest;  /* in hexadecimal */
    const char *start_digest; /* of what train.init named; "" where it named none */
    const char *features;     /* where training's came from, in words */
} pulmo_results_origin;

/* All are borrowed. */
typedef struct pulmo_run_history {
    uint32_t epochs;
    const pulmo_epoch_row *row; /* (epochs) */
    /* Of the trained tensors, and pulmo_digest_of_pieces of each after each epoch: (epochs,
     * layout->tensors), pulmo_digest_is_none where it is not known. */
    const pulmo_layout *layout;
    const pulmo_digest *digest;
    int64_t arithmetic; /* that made them all, or PULMO_ARITHMETIC_MIXED */
} pulmo_run_history;

typedef struct pulmo_results {
    const char *directory;
    const pulmo_results_origin *origin; /* NULL where nothing was trained here */
    const pulmo_run_history *history;   /* the same */
    const pulmo_model *model;
    const pulmo_split_scores *val, *test; /* NULL where there is none (yet) */
    const pulmo_audit *audit;             /* NULL where there is none (yet) */
    const pulmo_comm *comm;
    const char *head_digest;
    const char *data; /* packed directory */
    /* What training saw, and what the epoch and threshold were chosen on; NULL where nothing was
     * trained here. */
    const pulmo_dataset *trained_on, *chosen_on;
    const char *model_place; /* run directory of the model, where results are not written beside it;
                                or NULL */
    int models;              /* whose mean was scored; 0: one */
    uint32_t overlap;        /* scored images that the model was made of, or of their patients */
    int folds;               /* cross-validation: each image scored by its own fold's; 0: none */
    const char *by;          /* columns that images are grouped by, or NULL */
    const pulmo_groups *groups; /* of `test`, by them; NULL where there are none */
    const char *kernels;        /* tiers of the ranks, in words; NULL where not known */
    int threads;                /* of rank 0 */
    const pulmo_spent *spent;   /* on making them; NULL: not known */
    bool finished;
} pulmo_results;

/* results.h5, history.csv, predictions.csv, groups.csv; a report that stands there goes once they
 * are finished, since it is of others. By rank 0. */
pulmo_status pulmo_results_write(const pulmo_results *results);
/* Whether `directory` holds the results of a finished run; not where it holds none. PULMO_DATA and
 * PULMO_IO where there are results that cannot be read: they may be a finished run's. */
pulmo_status pulmo_results_finished(const char *directory, bool *finished);
/* Before other results, or pages of them, are written into `out`, which --out named: PULMO_USAGE
 * where a training run is there or, unless `replaces`, results of one or of an evaluation. */
pulmo_status pulmo_results_check_out(const char *out, bool replaces);
/* Removes what writers of these that were killed had begun. Only where no other can be at work. */
void pulmo_results_remove_leftovers(const char *directory);
/* Removes what a run, an evaluation or a set of folds has left in `directory`, for one that takes
 * its place; its checkpoint and configuration stay. PULMO_IO names what cannot be removed. */
pulmo_status pulmo_results_remove(const char *directory);
/* Whether names tell patients: of all images, of some, of none. */
typedef enum pulmo_patients {
    PULMO_PATIENTS_KNOWN,
    PULMO_PATIENTS_SOME,
    PULMO_PATIENTS_UNKNOWN
} pulmo_patients;
/* As an open results.h5 has it of its data; known where it does not say. */
pulmo_status pulmo_results_patients(struct pulmo_h5 *results, pulmo_patients *out);

/* Columns of a table of images, from a class's probabilities on: p_CLASS for each class, and what
 * the class goes by: positive_class and threshold (empty where there are not two classes), rule. */
void pulmo_csv_score_columns(FILE *out, const pulmo_model *model);
void pulmo_csv_scores(FILE *out, const pulmo_model *model, const float *probabilities,
                      double threshold);
/* The rule that the class goes by, in words. */
const char *pulmo_decision_rule(const pulmo_model *model);
/* "0.7500 (0.3006-0.9544)" with an en dash; without an interval the value alone, and where there is
 * none "undefined". */
void pulmo_interval_print(FILE *out, pulmo_interval it);
/* The lines that end a run or an evaluation. `models`: whose mean was scored; 1: `model` alone,
 * whose threshold then was chosen on val unless its rule is a number. */
pulmo_status pulmo_results_print(FILE *out, const pulmo_model *model, int models,
                                 const pulmo_split_scores *scores);

#endif
