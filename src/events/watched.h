/* Inside the events room: a run as its events tell it. Not collective. */
#ifndef PULMO_WATCHED_H
#define PULMO_WATCHED_H

#include "pulmo/events.h"

/* What a run's events say of it. Numbers are NaN, texts "" where no event has told. */
typedef struct watched {
    char started[32], last[32];  /* UTC, as written */
    double since_last_s;         /* by this machine's clock */
    double epochs;               /* at most */
    double epoch;                /* the one at work, from 1 */
    double images, of;           /* done of its images */
    double rate, left_s;         /* images per second; to the run's end as far as can be told */
    double loss;                 /* of the epoch so far */
    double memory_mb, waiting_s; /* of rank 0 */
    double ranks;
    double best_epoch, best; /* by `monitor` */
    char monitor[16];
    uint32_t rows;     /* epochs done */
    double *value;     /* (rows) owned: of `monitor` after each epoch */
    uint32_t warnings; /* since the start */
    char warning[256]; /* the last one */
    bool ended;
    double status;    /* with which it ended */
    char reason[256]; /* why, where that is not 0 */
} watched;

/* Reads the events of `run`, a run directory, since its last fresh start. PULMO_IO where there are
 * none; a last line that is cut short, or a line that is no event, is passed over. Owned by the
 * caller, who ends it with free. */
pulmo_status watched_read(const char *run, watched *out);
void watched_free(watched *it);

#endif
