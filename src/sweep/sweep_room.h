/* Inside the sweep room: a sweep's trials and its tables.
 *
 *   sweep.c        goes through the grid: what is finished is kept, the rest is trained
 *   sweep_table.c  what came of it: sweep.csv, sweep_groups.csv, and the terminal */
#ifndef PULMO_SWEEP_ROOM_H
#define PULMO_SWEEP_ROOM_H

#include "pulmo/digest.h"
#include "pulmo/dataset.h"
#include "pulmo/results.h"
#include "pulmo/text.h"
#include "pulmo/sweep.h"

typedef enum sweep_state { SWEEP_WAITING, SWEEP_FINISHED, SWEEP_FAILED } sweep_state;

typedef struct sweep_trial {
    char *name; /* of its directory, from its values */
    sweep_state state;
    char reason[512]; /* of a failure */
    pulmo_status status;
    int64_t best_epoch;
    double val_loss, val_accuracy, val_auc; /* of the best epoch; NaN where there is none */
    double test_accuracy, test_auc;
    char head_digest[PULMO_DIGEST_HEX];
} sweep_trial;

typedef struct sweep {
    pulmo_comm *comm;
    const pulmo_sweep_options *options;
    const pulmo_grid *grid;
    uint64_t count;
    sweep_trial *trials; /* (count), in the grid's order; complete on rank 0 alone */
    bool beside;         /* this is one of several groups of ranks */
    bool quiet;          /* trials say a line each */
} sweep;

/* A finished trial's figures, from its results.h5. */
pulmo_status sweep_read_trial(const char *directory, sweep_trial *trial);
/* Both tables into the sweep's directory, best by train.monitor first; with `out`, on it as well.
 * By rank 0. */
pulmo_status sweep_write_tables(const sweep *s, FILE *out);

#endif
