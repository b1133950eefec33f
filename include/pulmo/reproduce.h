/* A run trained again, and compared with what it left. */
#ifndef PULMO_REPRODUCE_H
#define PULMO_REPRODUCE_H

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/status.h"

/* All are borrowed for the call. */
typedef struct pulmo_reproduce_options {
    const char *run; /* a run directory; nothing is written there */
    const char *out; /* where to train and what to keep; NULL: a directory made in the current one,
                        and removed */
    int epochs;      /* to train, the first ones; 0: as many as the run has */
    /* Of it places (data.path, model.weights, bank.path; "": as the run tells) and what a machine
     * differs in: threads, checkpoints, limits. All else comes from the run. */
    const pulmo_config *config;
} pulmo_reproduce_options;

/* Trains as `run` did, by the settings, the data and the weights that its results.h5 names, and
 * compares after every epoch: the digest of each trained tensor, then the history; at the end of a
 * finished run the head's digest and the scores. Prints on standard output what was reproduced.
 * PULMO_DATA names the first epoch and tensor that differ. Refused before anything is trained
 * (PULMO_USAGE, PULMO_CONFIG): what is no run, other data or weights, another arithmetic. As
 * pulmo_train, PULMO_INTERRUPTED after a signal; the same call with the same `out` resumes.
 * Collective. */
pulmo_status pulmo_reproduce(pulmo_comm *comm, const pulmo_reproduce_options *options);

#endif
