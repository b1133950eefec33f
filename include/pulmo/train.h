/* A training run. */
#ifndef PULMO_TRAIN_H
#define PULMO_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/status.h"

/* Writes what people look at, from the results in config->train.run_dir. */
typedef pulmo_status pulmo_report_writer(const pulmo_config *config);

/* Trains as configured and leaves the results in config->train.run_dir. Resumes from a checkpoint
 * that is there. A finished run is refused (PULMO_USAGE) unless `overwrite`, and so is a directory
 * that another run holds. `report` (or NULL) is called on rank 0 once the results stand, when the
 * run has given its memory back and still holds its directory; its failure is a warning. On
 * SIGTERM, SIGINT, SIGUSR1 and near a time limit a checkpoint is written and PULMO_INTERRUPTED
 * returned. `config` is borrowed for the call. Collective. */
pulmo_status pulmo_train(pulmo_comm *comm, const pulmo_config *config, bool overwrite,
                         pulmo_report_writer *report);

/* Whether the data take the configuration: what pulmo_train refuses (PULMO_CONFIG, PULMO_DATA)
 * before it trains, as far as settings and packed data tell. Not collective; `comm` says who warns.
 */
pulmo_status pulmo_train_check(pulmo_comm *comm, const pulmo_config *config);
/* Whether that depends on the key, "section.key". */
bool pulmo_train_check_reads(const char *key);

typedef struct pulmo_train_timing {
    uint64_t images; /* of all ranks */
    double seconds;
    /* Of the slowest rank: the frozen trunk; fine-tuned convolutions, forward and backward; the
     * head and its gradients; the update. */
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

#endif
