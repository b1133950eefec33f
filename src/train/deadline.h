/* Inside the train room: when a run must have stopped by itself, and what it needs for that. Rank
 * 0's; times are pulmo_now_s's. Not collective. */
#ifndef PULMO_DEADLINE_H
#define PULMO_DEADLINE_H

#include <stdbool.h>

#include "pulmo/status.h"

typedef struct deadline {
    double end_s;        /* INFINITY: no limit */
    const char *source;  /* the setting that it comes from */
    double grace_s;      /* for all that is not measured */
    double checkpoint_s; /* the longest time that a checkpoint took; a guess before the first */
    double batch_s;      /* the longest time between two looks at the clock */
    double looked_s;     /* the last look; 0: none yet */
    bool writing;        /* a checkpoint is under way, which the last one has to wait for */
    bool near;           /* what the last look found */
} deadline;

/* The earlier of `limit_s` seconds (0: none; train.time_limit_seconds) from began_s on and
 * SLURM_JOB_END_TIME, which Slurm 23.02 and jobs' scripts set. A time that is not a number is
 * PULMO_USAGE; one that is past is ignored with a warning. `checkpoint_bytes` is for the guess. */
pulmo_status deadline_find(deadline *it, double limit_s, double began_s, double checkpoint_bytes);
/* A checkpoint was written, in so many seconds. */
void deadline_checkpoint_took(deadline *it, double took_s);
/* What was done until now_s since the last look does not count as time between two looks. */
void deadline_skip(deadline *it, double now_s);
/* Looks at the clock, which shows now_s: true where there may be no time for another batch and a
 * checkpoint. Never at the first look, so that a run whose limit is too short advances all the
 * same. */
bool deadline_look(deadline *it, double now_s);

#endif
