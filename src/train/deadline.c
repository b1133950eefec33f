#include "deadline.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "pulmo/clock.h"
#include "pulmo/log.h"

#define GRACE_MAX_S              5.0  /* launchers and batch systems are not exact to the second */
#define GRACE_PART               0.1  /* of the limit, at most */
#define CHECKPOINT_SLACK         2.0  /* one may take so much longer than the longest before */
#define BYTES_PER_SECOND_GUESSED 50e6 /* written to a slow disk, before one was measured */

/* Seconds left to a batch job, INFINITY where none is known. A time that is past is that of a job
 * which a shell outlived (tmux, a notebook), and limits nothing. */
static pulmo_status job_seconds(double *out)
{
    const char *text = getenv("SLURM_JOB_END_TIME");
    char *end = NULL;
    *out = INFINITY;
    if (!text || !*text)
        return PULMO_OK;
    errno = 0;
    long long when = strtoll(text, &end, 10);
    if (*end || errno != 0 || when <= 0)
        return pulmo_fail(PULMO_USAGE,
                          "SLURM_JOB_END_TIME is \"%s\"; must be seconds since 1970, as from "
                          "\"date +%%s\", or unset",
                          text);
    double left_s = (double)when - (double)time(NULL);
    if (left_s > 0)
        *out = left_s;
    else
        pulmo_warn_once(true, "SLURM_JOB_END_TIME is in the past: left by a job that has ended; it "
                              "is not taken for a time limit");
    return PULMO_OK;
}

pulmo_status deadline_find(deadline *it, double limit_s, double began_s, double checkpoint_bytes)
{
    double job_s = INFINITY, now_s = pulmo_now_s();
    PULMO_TRY(job_seconds(&job_s));
    double job_end_s = now_s + job_s;
    double own_end_s = limit_s > 0 ? began_s + limit_s : INFINITY;
    it->end_s = fmin(job_end_s, own_end_s);
    it->source = job_end_s < own_end_s ? "SLURM_JOB_END_TIME" : "train.time_limit_seconds";
    double part_s = GRACE_PART * (it->end_s - began_s);
    it->grace_s = fmax(0, fmin(GRACE_MAX_S, part_s));
    it->checkpoint_s = checkpoint_bytes / BYTES_PER_SECOND_GUESSED;
    if (isfinite(it->end_s))
        pulmo_debug("%.0f s until the time limit", it->end_s - now_s);
    return PULMO_OK;
}

void deadline_checkpoint_took(deadline *it, double took_s)
{
    it->checkpoint_s = fmax(it->checkpoint_s, took_s);
}

void deadline_skip(deadline *it, double now_s)
{
    if (it->looked_s > 0)
        it->looked_s = now_s;
}

bool deadline_look(deadline *it, double now_s)
{
    bool first = it->looked_s == 0;
    if (!isfinite(it->end_s))
        return false;
    if (!first)
        it->batch_s = fmax(it->batch_s, now_s - it->looked_s);
    it->looked_s = now_s;
    double checkpoints = CHECKPOINT_SLACK + (it->writing ? 1 : 0);
    double needed_s = it->batch_s + checkpoints * it->checkpoint_s + it->grace_s;
    it->near = !first && now_s + needed_s >= it->end_s;
    return it->near;
}
