/* The page about a run. */
#ifndef PULMO_REPORT_H
#define PULMO_REPORT_H

#include <stdbool.h>

#include "pulmo/config.h"
#include "pulmo/status.h"

typedef struct pulmo_report_options {
    const char *run;     /* a directory that holds results.h5 */
    const char *data;    /* packed directory for thumbnails; NULL: the one that the results name */
    const char *weights; /* VGG16 convolutions for Grad-CAM; "" for the usual places */
    const char *by;      /* columns that groups are by (pulmo/groups.h); NULL: as evaluated */
    const char *out;     /* the page goes here; NULL: into the run directory */
    int overlays;        /* 0: no Grad-CAM */
    const char *scores; /* a CSV of any program's scores (pulmo/scores.h) in place of a run; NULL */
    const char *split;  /* of scores: rows of this split; NULL: test, where there is one */
    const char *class_name; /* of scores: the finding; NULL: as the file or the names tell */
    const char *threshold;  /* of scores: a number; NULL: the file's, else 0.5 */
    int share;   /* a page to give away: share.html, without pictures, paths and places */
    int threads; /* 0: the CPUs given */
} pulmo_report_options;

void pulmo_report_options_init(pulmo_report_options *options);

/* Writes report.html, one page that needs nothing beside it, and MODEL_CARD.md next to it, from
 * results.h5. Where the packed data or the weights are not at hand the page has no thumbnails or no
 * overlays, and says so. With `share` one page alone is written, in which no file, folder or
 * machine is named and no picture stands. Not collective: one process. */
pulmo_status pulmo_report(const pulmo_report_options *options);

/* Of scores: report.html and, with `by`, groups.csv, in the directory `out`. */
pulmo_status pulmo_report_scores(const pulmo_report_options *options);

/* The report of the run in config->train.run_dir, into that directory: a pulmo_report_writer. */
pulmo_status pulmo_report_of_run(const pulmo_config *config);

/* ---- two or more models on the same images ---- */

typedef struct pulmo_compare_options {
    const char *const *inputs; /* run directories, what evaluate wrote with --out, results.h5 files,
                                  CSV files of scores (pulmo/scores.h) */
    int input_count;           /* 2 to 16 */
    const char *split;         /* NULL: test where there is one */
    const char *class_name;    /* the finding; NULL: the one that the inputs name */
    double threshold;          /* from which on it is called, of all; NaN: each one's own */
    double margin;             /* of non-inferiority, above 0 and below 1; NaN: none */
    bool json;                 /* on standard output; else text */
    const char *out;           /* directory for compare.html, compare.json, differences.csv and
                                  missing.csv, or NULL */
} pulmo_compare_options;

/* Compares all pairs on the images that all have: AUC, sensitivity, specificity, accuracy, each
 * with its paired difference (pulmo/stats.h), p values corrected by Holm, McNemar's exact test,
 * non-inferiority, and the images that one alone gets right. PULMO_DATA where no image is common,
 * or where truths differ. Not collective: one process. */
pulmo_status pulmo_compare(const pulmo_compare_options *options);

#endif
