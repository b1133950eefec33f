/* The shortcut audit: how far the way in which images were made tells their classes without a look
 * at a lung, and how far a model goes with that.
 *
 * Cues of an image are numbers that know no anatomy: how sharp its middle is at six scales, its
 * tones, how bright its borders, corners, and eighths of its height and width are. A logistic
 * regression on the cues of the training images tells each class from the rest; what it makes of
 * images that it has not seen is their cue score. */
#ifndef PULMO_AUDIT_H
#define PULMO_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "pulmo/dataset.h"
#include "pulmo/dist.h"
#include "pulmo/metrics.h"
#include "pulmo/pool.h"
#include "pulmo/split.h"

struct pulmo_h5;

#define PULMO_CUES          39
#define PULMO_AUDIT_CLASSES 24  /* of more, there is no audit */
#define PULMO_AUDIT_LOUD    0.8 /* an AUC of cues alone above which users are warned */

/* What a cue is, in words: "how light its left border is". Static. */
const char *pulmo_cue_words(int cue);

/* Cues of all images, (count, PULMO_CUES) on every rank: each rank reads its part with the threads
 * of `pool`. NULL where there are none. Owned by the caller (pulmo_free).
 * Collective. */
pulmo_status pulmo_cues_measure(pulmo_comm *comm, pulmo_pool *pool, pulmo_dataset *dataset,
                                float **out);

/* A class against the rest, as cues tell it. */
typedef struct pulmo_cue_model {
    int32_t class;
    double weight[PULMO_CUES]; /* of standardised cues */
    double intercept;
    double single_auc[PULMO_CUES]; /* of each cue alone, on all training images */
    pulmo_interval auc; /* on training images of patients that were left out (cross-validation) */
} pulmo_cue_model;

/* What a class's scores of a split have to do with cues. NaN where undefined. */
typedef struct pulmo_cue_figures {
    pulmo_interval cues;        /* AUC of the cue score */
    pulmo_interval model;       /* AUC of the model's score */
    pulmo_interval alike;       /* the same among images alike in cue score (pulmo_auc_alike) */
    pulmo_interval cues_alike;  /* AUC of the cue score itself there: about 0.5 */
    double positives, compared; /* images of the class; those that have one like them */
    double correlation;         /* of the ranks of both scores */
    double correlation_of_rest; /* the same among images that are not of the class */
} pulmo_cue_figures;

typedef struct pulmo_audit_split {
    char name[64];
    uint32_t count;
    float *cues;  /* (count, PULMO_CUES); owned */
    float *score; /* (count, audited): margins; owned */
    pulmo_cue_figures figures[PULMO_AUDIT_CLASSES];
} pulmo_audit_split;

typedef struct pulmo_audit {
    int audited; /* classes: the finding of two, or each of more */
    pulmo_cue_model model[PULMO_AUDIT_CLASSES];
    double mean[PULMO_CUES], deviation[PULMO_CUES]; /* of the training images' cues */
    uint32_t images, patients;                      /* of training */
    /* Training images, where the audit was made; not read back. Owned. */
    float *cues;      /* (images, PULMO_CUES) */
    int32_t *labels;  /* (images) */
    int32_t *patient; /* (images): numbers, not names */
    int32_t *folds;   /* (images): of the cross-validation */
    float *score;     /* (images, audited): by models of the other folds */
    int splits;
    pulmo_audit_split split[PULMO_SPLITS]; /* judged, in the order of pulmo_audit_judge */
} pulmo_audit;

/* Fits and cross-validates the cue models on the training images. `positive`: the finding of two
 * classes, else -1. `cues` (count, PULMO_CUES) are transferred, also where it fails. With too many
 * classes `audited` is 0, with too few patients of a class its AUC NaN. Owned by the caller, who
 * ends it with pulmo_audit_free, also after a failure. Not collective. */
pulmo_status pulmo_audit_fit(const pulmo_dataset_info *train, int positive, float *cues,
                             pulmo_audit *out);
/* Holds a model's scores of a split against the cue scores of its images. `cues` as above.
 * Not collective. */
pulmo_status pulmo_audit_judge(pulmo_audit *audit, const char *split,
                               const pulmo_dataset_info *info, const pulmo_scored *scored,
                               float *cues);
void pulmo_audit_free(pulmo_audit *audit); /* all zeros is a no-op */

/* The audited class that cues tell best, an index into `model`; -1 where none has an AUC. */
int pulmo_audit_worst(const pulmo_audit *audit);
/* Cues of a class by how well each alone tells it, the best first: order (PULMO_CUES). */
void pulmo_audit_order(const pulmo_cue_model *model, int order[PULMO_CUES]);

/* /audit of an HDF5 file (src/audit/audit_file.c). Reading gives all but the training images'; an
 * audit of all zeros where the file has none. PULMO_DATA for one that does not fit `classes`. */
pulmo_status pulmo_audit_write(struct pulmo_h5 *file, const pulmo_audit *audit);
pulmo_status pulmo_audit_read(struct pulmo_h5 *file, int classes, pulmo_audit *out);

/* The lines at the end of a run. Nothing for an audit without a class. */
void pulmo_audit_print(FILE *out, const pulmo_audit *audit, const char *const *class_names);

#endif
