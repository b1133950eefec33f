/* What joins everything: training, evaluation, prediction. */
#ifndef PULMO_TRAIN_H
#define PULMO_TRAIN_H

#include <stdio.h>

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/status.h"

/* Trains as configured and leaves the results in config->train.run_dir. Goes on from a
 * checkpoint that is there. A finished run is refused (PULMO_USAGE) unless `overwrite`.
 * On SIGTERM, SIGINT or SIGUSR1 it writes a checkpoint and returns PULMO_INTERRUPTED.
 * Collective. */
pulmo_status pulmo_train(pulmo_comm *comm, const pulmo_config *config, int overwrite);

typedef struct pulmo_evaluate_options {
    const char *run;     /* run directory or model file */
    const char *data;    /* packed directory */
    const char *split;   /* "test" */
    const char *weights; /* "" for the usual places */
    const char *out;     /* directory for results.h5 and predictions.csv, or NULL */
    int threads;         /* 0: the CPUs given */
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
} pulmo_predict_options;

/* One line an image on stdout, in the order given. A file that cannot be read is reported on
 * stderr and the rest done; the status is then PULMO_DATA. Not collective: one process. */
pulmo_status pulmo_predict(pulmo_comm *comm, const pulmo_predict_options *options);

#endif
