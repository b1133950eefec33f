/* Many runs over a grid of settings. */
#ifndef PULMO_SWEEP_H
#define PULMO_SWEEP_H

#include <stdbool.h>
#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/log.h"
#include "pulmo/status.h"
#include "pulmo/train.h"

typedef struct pulmo_sweep_options {
    const pulmo_config *config; /* of all trials; train.run_dir holds theirs */
    const pulmo_grid *grid;
    bool overwrite;  /* trains anew what is finished */
    int part, parts; /* of the trials only every parts-th, counted from `part`: for jobs that share
                        a sweep; 0 and 1 for all */
    int at_once;     /* groups of ranks that train side by side, at most; 0: with a bank as many as
                        ranks, else 1 */
    pulmo_report_writer *report; /* of each trial; or NULL */
    pulmo_log_level level;       /* below verbose, trials after the first are quiet */
} pulmo_sweep_options;

/* Trains every point of the grid as pulmo_train would, in train.run_dir/KEY=VALUE,..., and writes
 * sweep.csv (and sweep_groups.csv, over seeds) there and on rank 0's stdout. Finished trials are
 * kept. Where trials failed, the status is the first one's, after the rest is done. Collective. */
pulmo_status pulmo_sweep(pulmo_comm *comm, const pulmo_sweep_options *options);

#endif
