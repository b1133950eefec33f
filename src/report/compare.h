/* Inside the report room: several models on the same images.
 *
 *   compare_input.c    a run, an evaluation or a CSV of scores → compare_input
 *   compare_align.c    the images that all have, and which are missing
 *   compare_measure.c  each one's figures, and those of pairs
 *   compare.c          pulmo_compare: which files, the text on stdout
 *   compare_json.c     the same as JSON
 *   compare_page.c     the same as a page */
#ifndef PULMO_REPORT_COMPARE_H
#define PULMO_REPORT_COMPARE_H

#include "pulmo/scores.h"
#include "pulmo/stats.h"
#include "report_room.h"

#define COMPARE_INPUTS_MAX 16
#define COMPARE_PAIRS_MAX  (COMPARE_INPUTS_MAX * (COMPARE_INPUTS_MAX - 1) / 2)
#define COMPARE_NAMED      10 /* images that a list in text names */

/* X(name, key in JSON, words) */
#define COMPARE_MEASURES(X)                                                                        \
    X(AUC, "auc", "AUC")                                                                           \
    X(SENSITIVITY, "sensitivity", "Sensitivity")                                                   \
    X(SPECIFICITY, "specificity", "Specificity")                                                   \
    X(ACCURACY, "accuracy", "Accuracy")

typedef enum compare_measure {
#define X(name, key, words) COMPARE_##name,
    COMPARE_MEASURES(X)
#undef X
        COMPARE_MEASURE_COUNT
} compare_measure;
extern const char *const compare_keys[COMPARE_MEASURE_COUNT];
extern const char *const compare_words[COMPARE_MEASURE_COUNT];

/* One model's scores of its images, in its own order. */
typedef struct compare_input {
    const char *name; /* as it was given; borrowed */
    char letter;      /* A, B, ... */
    bool is_file;     /* a CSV: `scores`; else `run` and `split` */
    pulmo_scores scores;
    report run;
    const report_split *split;
    /* What both have; borrowed from them. */
    uint32_t count;
    int classes;
    char **class_names;
    char **paths, **patients; /* (count) */
    const int32_t *labels;    /* (count) */
    bool patients_told;
    /* Owned. */
    int finding;
    double threshold;    /* NaN where classes are told without one */
    double *score;       /* (count): what images are ordered by */
    double *probability; /* (count): of the finding */
    bool *called;        /* (count): as the finding */
    int32_t *predicted;  /* (count) */
} compare_input;

/* Images that an input lacks and another has. */
typedef struct compare_missing {
    uint32_t count;
    const char **paths; /* (count); owned, the texts borrowed */
} compare_missing;

/* Two of them on the common images. */
typedef struct compare_pair {
    int first, second;
    pulmo_difference difference[COMPARE_MEASURE_COUNT];
    double holm[COMPARE_MEASURE_COUNT]; /* p of all pairs, corrected for their number */
    double mcnemar;                     /* exact, by image */
    bool not_inferior[COMPARE_MEASURE_COUNT];
    double p_inferior[COMPARE_MEASURE_COUNT];
} compare_pair;

typedef struct comparison {
    int inputs;
    compare_input input[COMPARE_INPUTS_MAX];
    compare_missing missing[COMPARE_INPUTS_MAX];
    double margin; /* NaN: none was given */
    /* The images that all have, in the order of the first. Owned. */
    uint32_t count;
    uint32_t *row[COMPARE_INPUTS_MAX]; /* (count): where each stands in that input */
    bool *positive, *negative;         /* (count) */
    uint32_t *patient;                 /* (count) */
    double *score[COMPARE_INPUTS_MAX]; /* (count) */
    bool *called[COMPARE_INPUTS_MAX], *spared[COMPARE_INPUTS_MAX], *right[COMPARE_INPUTS_MAX];
    pulmo_truth truth;
    pulmo_sample sample;
    bool patients_told;
    /* What is told of them. */
    pulmo_estimate measure[COMPARE_INPUTS_MAX][COMPARE_MEASURE_COUNT];
    int pairs;
    compare_pair pair[COMPARE_PAIRS_MAX];
} comparison;

/* Owned by the caller (compare_input_close). `threshold` NaN: each one's own. */
pulmo_status compare_input_open(const char *path, const char *split, compare_input *out);
void compare_input_close(compare_input *input);
/* Which class is compared: `wanted`, or NULL for the one that the inputs name alike. PULMO_CONFIG
 * names the ways out. */
pulmo_status compare_choose_finding(comparison *c, const char *wanted);
/* Scores and calls for the finding. */
pulmo_status compare_input_call(compare_input *input, double threshold);

/* PULMO_DATA where no image is common, or one has another class in another input. */
pulmo_status compare_align(comparison *c);
pulmo_status compare_measure_all(comparison *c);
/* In words: how a measure's intervals and tests are made. */
const char *compare_method(const comparison *c, compare_measure m);
/* An image that `right` alone gets right: of the pair's first (0) or second (1). */
bool compare_alone(const comparison *c, const compare_pair *p, int which, uint32_t image);

void compare_text(FILE *out, const comparison *c);
pulmo_status compare_json(FILE *out, const comparison *c);
void compare_page(FILE *out, const comparison *c);

#endif
