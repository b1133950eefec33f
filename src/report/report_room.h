/* Inside the report room: the report of a run, read back from its results.h5 so that the page and
 * the model card show what is stored and nothing else. Not collective; one process.
 *
 *   report_data.c   results.h5 → report
 *   report_scores.c scores that any program made → report
 *   report.c        pulmo_report: which files, in which order
 *   html_audit.c    the section on shortcuts
 *   html_use.c      the section on calibration and use
 *   html_made.c     when it was made, and the sections on configuration and provenance
 *   html_paper.c    methods and results in words, and reporting guidelines
 *   html.c          text and numbers as HTML
 *   report_html.c   the page's sections
 *   report_svg.c    plots
 *   report_plot.c   what they are drawn with (report_plot.h)
 *   report_groups.c groups of images, and html_groups.c the section on them
 *   report_forest.c their forest plots
 *   report_images.c thumbnails, from the packed data
 *   model_card.c    MODEL_CARD.md */
#ifndef PULMO_REPORT_ROOM_H
#define PULMO_REPORT_ROOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "pulmo/audit.h"
#include "pulmo/framing.h"
#include "pulmo/groups.h"
#include "pulmo/history.h"
#include "pulmo/metrics.h"
#include "pulmo/model.h"
#include "pulmo/report.h"
#include "pulmo/scores.h"
#include "pulmo/split.h"

/* ---- what results.h5 says ---- */

typedef struct report_lines {
    uint64_t count;
    char **text; /* owned: one block */
} report_lines;

/* A split that was scored. */
typedef struct report_split {
    char name[64];
    uint32_t count;
    int32_t *labels, *predictions; /* (count) */
    float *probabilities;          /* (count, classes) */
    float *logits;                 /* (count, classes); NULL where the file has none */
    report_lines paths, groups;
    pulmo_metrics metrics;      /* worked out again from the scores */
    int kept;                   /* columns that pack.keep kept */
    char **kept_names;          /* (kept); owned: one block */
    report_lines *kept_columns; /* (kept); owned */
    uint32_t patients;
    uint32_t *patient; /* (count): numbers of groups, below `patients` */
} report_split;

/* A split of the packed data. */
typedef struct report_part {
    bool present;
    int64_t count, patients;
    int64_t *images; /* (classes) */
    char *digest;    /* of pixels, or of files where there was none of these; "" where unknown */
    bool of_pixels;
} report_part;

typedef struct report {
    char *title; /* the last part of the directory's name */
    char *results_path;
    char date[32]; /* when the work ended, else when results.h5 was written; UTC */
    bool finished, is_demo;
    bool shared; /* to be given away: no path, picture or place is shown */
    int classes;
    char **class_names; /* owned: one block */
    pulmo_positive positive;
    double threshold, temperature;
    int best_epoch;
    int64_t models;  /* whose mean was scored; the first one's maps are shown */
    int64_t overlap; /* scored images that the model was made of, or of their patients */
    int64_t folds;   /* cross-validation: each image scored by its own fold's model; 0: none */
    char *threshold_rule, *config, *version, *kernels, *features, *weights_digest, *data_digest,
        *head_digest; /* "" where unknown */
    char *host, *data_path, *model;
    char *started, *ended, *command, *commit; /* "" where unknown */
    double wall_s; /* that the work took, over all sessions; NaN where unknown */
    int64_t sessions;
    int64_t fold; /* of the train split, that is tested on; -1: the splits as packed */
    int64_t ranks, threads, trained_convolutions;
    uint64_t epochs;
    double *history[PULMO_HISTORY_COLUMNS]; /* (epochs) each */
    int splits;                             /* scored, the one to show first: test, else val */
    report_split split[PULMO_SPLITS];
    bool has_data;
    report_part part[PULMO_SPLITS];
    int64_t size_px;
    char *carve, *resize, *decode;
    pulmo_framing framing;
    char *patients_by;     /* which rules told the patients of how many images; "" of old packs */
    bool patients_unknown; /* no name tells one */
    bool patients_partly;  /* some names tell none */
    report_lines refused, refused_reasons, identical, similar, shared_patients, leaks;
    report_lines mixed_patients; /* in several classes, though maybe of one split */
    bool is_scores;              /* of another program: nothing is known of model and data */
    pulmo_scores scores;         /* then what was read; texts are borrowed from it */
    char *scores_digest, *held;  /* SHA-256 of its file; what names of columns are of */
    char *by;                    /* columns that groups are by; "" for none */
    pulmo_groups groups;         /* of the first split, by them */
    pulmo_audit audit;           /* for shortcuts; of no class where the file has none */
} report;

/* A split's scores as metrics take them. */
pulmo_scored report_scored(const report *r, const report_split *s);

/* `run` is a directory with results.h5, or that file. Owned by the caller, who frees it. */
pulmo_status report_read(const char *run, report *out);
/* The same of the CSV file o->scores, of one split whose name is "scored". PULMO_USAGE for a class
 * or a threshold that cannot be, and as pulmo_scores_read. */
pulmo_status report_of_scores(const pulmo_report_options *o, report *out);
void report_free(report *r);

/* Sets the report's date: "1 December 2026". */
void report_put_date(report *r, const struct tm *day);

/* Groups of the first split by `by`; NULL: as results.h5 says. PULMO_USAGE as pulmo_groups_compute.
 */
pulmo_status report_group(report *r, const char *by);

/* Indices of the images that the model is surest of, of its errors or of its hits, one per patient;
 * hits so that each class has its part. Returns how many. */
#define REPORT_SHOWN 6
int report_surest(const report *r, const report_split *s, bool hits, uint32_t out[REPORT_SHOWN]);

/* ---- writing HTML ---- */

#define CLASSES_WIDE 24 /* classes that a table may have as columns */

/* The section on splits, the leak audit and what was refused; nothing where the results have no
 * data. */
void html_data(FILE *out, const report *r);

/* For the line at the top: when the work ended and how long it took, behind a dot; nothing where
 * that is not known. */
void html_when(FILE *out, const report *r);
/* The sections on configuration and provenance. */
void html_made(FILE *out, const report *r);

/* Names of columns, with a blank behind each comma, so that lines can end there. */
void html_columns(FILE *out, const char *by);

/* The section for a paper; nothing before a split has been scored. */
void html_paper(FILE *out, const report *r);

/* The section on groups; nothing where there are none. */
void html_groups(FILE *out, const report *r);

/* The section on shortcuts: what the audit found; nothing where there is none. A loud one
 * (audit_is_loud) comes right behind the result. */
void html_audit(FILE *out, const report *r);
/* Cues alone tell a class with more than PULMO_AUDIT_LOUD. */
bool audit_is_loud(const report *r);

/* The section on calibration and use; nothing where there are not two classes with images. */
pulmo_status html_use(FILE *out, const report *r, const report_split *s);
/* Who was sampled, so what intervals are of: a sentence or two. */
void html_sample(FILE *out, const pulmo_metrics *m);

/* Text into HTML: what has a meaning there is escaped, control characters and bytes that are not
 * UTF-8 are shown as U+FFFD. Also right inside quoted attributes. */
void html_text(FILE *out, const char *text);
/* The same, formatted: the result is text, never HTML. */
void html_say(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* <tag>text</tag> */
void html_tagged(FILE *out, const char *tag, const char *text);
/* "0.912", or a dash where there is no value. */
void html_number(FILE *out, double value);
/* "0.901–0.923", "-0.2 to 0.1", or a dash. */
void html_range(FILE *out, pulmo_interval interval);
/* A row of a table: the name and below it the meaning, the value, its interval. */
void html_measure(FILE *out, const char *name, const char *meaning, pulmo_interval it);
/* The whole page; PULMO_MEMORY. `images` is HTML for the section of thumbnails, or "". */
pulmo_status report_html(FILE *out, const report *r, const char *images);
extern const char report_style[];

/* ---- plots (report_svg.c): figures of their own, each with a title for those who do not see it
 * ---- */

void svg_roc(FILE *out, const report *r, const report_split *s);
void svg_pr(FILE *out, const report *r, const report_split *s);
void svg_calibration(FILE *out, const report *r, const report_split *s);
void svg_histogram(FILE *out, const report *r, const report_split *s);
void svg_loss(FILE *out, const report *r);
void svg_validation(FILE *out, const report *r);
/* A measure of each group, of one class. */
void svg_forest(FILE *out, const report *r, int class, pulmo_group_measure measure);
/* A value and its interval on a line from 0 to 1. */
void svg_interval(FILE *out, const char *name, pulmo_interval interval);

/* ---- the others ---- */

/* Thumbnails of the hardest errors and the surest hits, with Grad-CAM where the weights are at
 * hand. What cannot be had is said on the page; only running out of memory is a failure. */
pulmo_status report_images(FILE *out, const report *r, const pulmo_report_options *options);
/* MODEL_CARD.md as text. */
void model_card(FILE *out, const report *r);

#endif
