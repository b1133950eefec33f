/* What joins everything: training, evaluation, prediction. */
#ifndef PULMO_TRAIN_H
#define PULMO_TRAIN_H

#include <stdbool.h>
#include <stdio.h>

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/log.h"
#include "pulmo/status.h"

/* Trains as configured and leaves the results in config->train.run_dir. Goes on from a
 * checkpoint that is there. A finished run is refused (PULMO_USAGE) unless `overwrite`.
 * On SIGTERM, SIGINT or SIGUSR1 it writes a checkpoint and returns PULMO_INTERRUPTED.
 * Collective. */
pulmo_status pulmo_train(pulmo_comm *comm, const pulmo_config *config, int overwrite);

typedef struct pulmo_train_timing {
    uint64_t images; /* of all ranks */
    double seconds;
    /* Of the slowest rank: the frozen trunk; trained convolutions, forward and back; the head and
     * its gradients; the update. */
    double features_s, tuned_s, head_s, update_s;
    double data_s, sums_s; /* compute waited for data, for sums of the ranks */
    int threads;           /* of a rank */
    const char *isa;
} pulmo_train_timing;

/* Trains as pulmo_train would, for at least so many seconds after a few batches to warm up: no
 * validation, checkpoint or result. Of train.run_dir, which is made, nothing is of use afterwards.
 * Collective. */
pulmo_status pulmo_train_measure(pulmo_comm *comm, const pulmo_config *config, double seconds,
                                 pulmo_train_timing *out);

#define PULMO_SWEEP_TRIALS 10000

typedef struct pulmo_sweep_options {
    const pulmo_config *config; /* of all trials; train.run_dir holds theirs */
    const pulmo_grid *grid;
    int overwrite;   /* trains anew what is finished */
    int part, parts; /* of the trials only every parts-th, counted from `part`: for jobs that share
                        a sweep; 0 and 1 for all */
    int at_once; /* groups of ranks that train side by side, at the most; 0: with a bank as many as
                    ranks, else 1 */
    pulmo_log_level level; /* below verbose, trials after the first are quiet */
} pulmo_sweep_options;

/* Trains every point of the grid as pulmo_train would, in train.run_dir/KEY=VALUE,..., and writes
 * sweep.csv (and sweep_groups.csv, over seeds) there and on rank 0's stdout. Finished trials are
 * kept. Where trials failed, the status is the first one's, after the rest is done. Collective. */
pulmo_status pulmo_sweep(pulmo_comm *comm, const pulmo_sweep_options *options);

typedef struct pulmo_bench_step_options {
    const char *weights; /* "" for the usual places */
    int size_px, batch;  /* of drawn images; the global batch */
    int threads;         /* a rank; 0: the CPUs given */
    double seconds;      /* at least */
} pulmo_bench_step_options;

/* Images a second over all ranks of training steps of the default head: with exact sums as training
 * sends them, with exact integer sums always, and with a plain float allreduce; medians of short
 * turns that follow each other. */
typedef struct pulmo_bench_step_result {
    double exact, sums, plain;
    double exact_over_plain, sums_over_plain; /* medians of the ratios of neighbouring turns */
    /* Of the first two: seconds from the end of a batch until its gradients have travelled, were
     * nothing done meanwhile, and of the update alone. */
    double travel_s[2], update_s[2];
    int rounds, threads;
} pulmo_bench_step_result;
/* Collective. */
pulmo_status pulmo_bench_step(pulmo_comm *comm, const pulmo_bench_step_options *options,
                              pulmo_bench_step_result *out);

typedef struct pulmo_evaluate_options {
    const char *const
        *runs; /* run directories or model files; of several, the probabilities are averaged */
    int run_count;
    const char *data;               /* packed directory */
    const char *split;              /* "test" */
    const char *weights;            /* "" for the usual places */
    const char *out;                /* directory for results.h5 and predictions.csv, or NULL */
    int threads;                    /* 0: the CPUs given */
    const pulmo_settings *settings; /* NULL, or what to do unlike the model: eval.threshold (a
                                       number), eval.tta, augment (of the views) */
} pulmo_evaluate_options;

/* Metrics of a trained model on a packed split, printed on stdout by rank 0. Collective. */
pulmo_status pulmo_evaluate(pulmo_comm *comm, const pulmo_evaluate_options *options);

typedef struct pulmo_predict_options {
    const char *run;
    const char *weights;
    const char *const *inputs; /* files, directories, or "-" for a list of paths on stdin */
    int input_count;
    int json; /* else CSV */
    int threads;
    const pulmo_settings *settings; /* as in evaluate */
} pulmo_predict_options;

/* One line an image on stdout, in the order given. A file that cannot be read is reported on
 * stderr and the rest done; the status is then PULMO_DATA. Not collective: one process. */
pulmo_status pulmo_predict(pulmo_comm *comm, const pulmo_predict_options *options);

typedef struct pulmo_explain_options {
    const char *run;
    const char *weights;       /* "" for the usual places */
    const char *out;           /* directory for the overlays and maps.h5 */
    const char *class_name;    /* NULL: of each image the class that the model predicts */
    const char *const *inputs; /* as in predict */
    int input_count;
    int threads;
} pulmo_explain_options;

/* Grad-CAM of each image: an overlay PNG and a map in maps.h5; one CSV line an image on stdout. Bad
 * files are as in predict. pulmo/explain.h has the same as a library call. Not collective. */
pulmo_status pulmo_explain(const pulmo_explain_options *options);

typedef struct pulmo_preview_options {
    const char *data;  /* packed directory */
    const char *split; /* "train" */
    const char *out;   /* the PNG */
    int rows, views;   /* images, taken from the classes in turn; augmented views of each */
    const pulmo_config *config; /* augmentation and train.seed; kept for the call */
} pulmo_preview_options;

/* A contact sheet: a row an image, first as it is packed, then as training sees it in its first
 * epochs, to the very crop and turn. The same arguments, the same bytes. Not collective. */
pulmo_status pulmo_preview(const pulmo_preview_options *options);

typedef struct pulmo_export_options {
    const char *run;
    const char *weights;     /* "" for the usual places */
    const char *out;         /* the file */
    bool safetensors;        /* else ONNX */
    bool with_normalization; /* ONNX: the input is RGB in [0, 1] and normalised by the graph */
} pulmo_export_options;

/* Convolutions and head in one file for other programs; what it holds is drawn in export_onnx.c and
 * export_safetensors.c. The file appears whole or not at all. Not collective. */
pulmo_status pulmo_export(const pulmo_export_options *options);

/* What the file of config->model.weights is, in words, with a known-answer pass through plain code
 * and through the engine. PULMO_WEIGHTS, after all has been said, where training would refuse it.
 */
pulmo_status pulmo_weights_check(FILE *out, const pulmo_config *config);

typedef struct pulmo_report_options {
    const char *run;     /* a directory that holds results.h5 */
    const char *data;    /* packed directory for thumbnails; NULL: the one that the results name */
    const char *weights; /* VGG16 convolutions for Grad-CAM; "" for the usual places */
    const char *out;     /* report.html goes here; NULL: into the run directory */
    int overlays;        /* 0: no Grad-CAM */
    int threads;         /* 0: the CPUs given */
} pulmo_report_options;

void pulmo_report_options_init(pulmo_report_options *options);

/* Writes report.html, one page that needs nothing beside it, and MODEL_CARD.md next to it, from
 * results.h5. Where the packed data or the weights are not at hand the page has no thumbnails or no
 * overlays, and says so. Not collective: one process. */
pulmo_status pulmo_report(const pulmo_report_options *options);

#endif
