/* Checkpoints of a run: when they are due, writing them, going on from one, and stopping in time.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "pulmo/clock.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "run.h"

#define GRACE_MAX_S          5.0    /* launchers and batch systems are not exact to the second */
#define GRACE_PART           0.1    /* of the limit, at the most */
#define CHECKPOINT_SLACK     2.0    /* one may take so much longer than the longest before */
#define CHECKPOINT_WORTH     20.0   /* an epoch's is written after so many times what one takes */
#define BYTES_A_SECOND_GUESS 50e6   /* written to a slow disk, before one was measured */
#define SCORE_BYTES          1000.0 /* per image, at most, in results.h5 and predictions.csv */

bool run_checkpoint_due(const run *r)
{
    double seconds = r->config->train.checkpoint_seconds;
    int64_t batches = r->config->train.checkpoint_batches;
    bool by_time = is_root(r) && seconds > 0 && pulmo_now_s() - r->checkpoint_s >= seconds;
    return r->batches_since > 0 &&
           (by_time || (batches > 0 && r->batches_since >= (uint64_t)batches));
}

bool run_checkpoint_worth_it(const run *r)
{
    return is_root(r) &&
           pulmo_now_s() - r->checkpoint_s >= CHECKPOINT_WORTH * r->deadline.checkpoint_s;
}

void run_writes(run *r, const char *doing, int copies)
{
    double scores = (double)info_of(r->val)->count + (double)info_of(r->test)->count;
    double bytes = (double)r->state.parameters * sizeof(float) * copies + scores * SCORE_BYTES;
    pulmo_watch_allow(r->comm, doing, bytes / PULMO_SLOWEST_DISK_BYTES_PER_SECOND);
}

pulmo_status run_checkpoint(run *r)
{
    pulmo_status status = PULMO_OK;
    double began_s = pulmo_now_s();
    run_writes(r, "writing a checkpoint", 3 + r->state.states); /* with an average */
    if (is_root(r))
        status = lease_check(r->lease);
    if (is_root(r) && status == PULMO_OK)
        status = checkpoint_write(r->checkpoint_path, &r->identity, &r->state);
    r->checkpoint_s = pulmo_now_s();
    r->batches_since = 0;
    r->deadline.checkpoint_s = fmax(r->deadline.checkpoint_s, r->checkpoint_s - began_s);
    if (r->deadline.looked_s > 0)
        r->deadline.looked_s = r->checkpoint_s;
    return pulmo_agree(r->comm, status);
}

/* Sends rank 0's state to all, but for the best parameters, which it alone keeps. */
static pulmo_status share_state(run *r)
{
    pulmo_state *state = &r->state;
    const pulmo_field fields[] = {
        PULMO_FIELD(state->step),          PULMO_FIELD(state->epoch),
        PULMO_FIELD(state->batch),         PULMO_FIELD(state->sums),
        PULMO_FIELD(state->best_value),    PULMO_FIELD(state->best_loss),
        PULMO_FIELD(state->best_accuracy), PULMO_FIELD(state->best_epoch),
        PULMO_FIELD(state->since_best),    PULMO_FIELD(state->finished),
    };
    int count = (int)(sizeof fields / sizeof fields[0]);
    PULMO_TRY(pulmo_bcast_fields(r->comm, fields, count, 0));
    size_t bytes = state->parameters * sizeof(float);
    PULMO_TRY(pulmo_bcast(r->comm, state->parameter, bytes, 0));
    for (int k = 0; k < state->states; k++)
        PULMO_TRY(pulmo_bcast(r->comm, state->optim[k], bytes, 0));
    if (state->average)
        PULMO_TRY(pulmo_bcast(r->comm, state->average, bytes, 0));
    return pulmo_bcast(r->comm, state->history, state->history_rows * sizeof *state->history, 0);
}

pulmo_status run_resume(run *r)
{
    struct stat about;
    pulmo_status status = PULMO_OK;
    int found = 0;
    if (is_root(r) && stat(r->checkpoint_path, &about) == 0) {
        found = 1;
        status = checkpoint_read(r->checkpoint_path, &r->identity, &r->state);
    }
    PULMO_TRY(pulmo_agree(r->comm, status));
    if (!pulmo_any(r->comm, found))
        return PULMO_OK;
    PULMO_TRY(share_state(r));
    pulmo_stepper_ready(r->stepper);
    if (r->state.finished)
        pulmo_info("going on from %s: all epochs are done, the results are to be written",
                   r->checkpoint_path);
    else
        pulmo_info("going on from %s: epoch %u, batch %u", r->checkpoint_path, r->state.epoch + 1,
                   r->state.batch + 1);
    return PULMO_OK;
}

/* ---- stopping in time ---- */

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
        pulmo_warn("SLURM_JOB_END_TIME is in the past, by %.0f s: left by a job that has ended; "
                   "it is not taken for a time limit",
                   -left_s);
    return PULMO_OK;
}

pulmo_status run_deadline_find(run *r, double began_s)
{
    double job_s = INFINITY, own_s = r->config->train.time_limit_seconds, now_s = pulmo_now_s();
    run_deadline *it = &r->deadline;
    PULMO_TRY(job_seconds(&job_s));
    double job_end_s = now_s + job_s, own_end_s = own_s > 0 ? began_s + own_s : INFINITY;
    it->end_s = fmin(job_end_s, own_end_s);
    it->source = job_end_s < own_end_s ? "SLURM_JOB_END_TIME" : "train.time_limit_seconds";
    it->grace_s = fmax(0, fmin(GRACE_MAX_S, GRACE_PART * (it->end_s - began_s)));
    it->checkpoint_s =
        (double)r->state.parameters * sizeof(float) * (2 + r->state.states) / BYTES_A_SECOND_GUESS;
    if (isfinite(it->end_s))
        pulmo_debug("%.0f s until the time limit", it->end_s - now_s);
    return PULMO_OK;
}

static bool time_is_up(run *r)
{
    run_deadline *it = &r->deadline;
    double now_s = pulmo_now_s();
    if (!is_root(r) || !isfinite(it->end_s))
        return false;
    bool first = it->looked_s == 0;
    if (!first)
        it->batch_s = fmax(it->batch_s, now_s - it->looked_s);
    it->looked_s = now_s;
    it->near = !first &&
               now_s + it->batch_s + CHECKPOINT_SLACK * it->checkpoint_s + it->grace_s >= it->end_s;
    return it->near;
}

bool run_must_stop(run *r)
{
    return pulmo_interrupt_wanted() || time_is_up(r);
}

pulmo_status run_interrupted(run *r)
{
    char why[96] = "interrupted";
    if (r->deadline.near)
        snprintf(why, sizeof why, "the time limit is near (%s): stopped", r->deadline.source);
    PULMO_TRY(run_checkpoint(r));
    if (r->state.finished)
        return pulmo_fail(PULMO_INTERRUPTED,
                          "%s after the last epoch; checkpoint written to %s; run the same command "
                          "again for the results",
                          why, r->checkpoint_path);
    return pulmo_fail(PULMO_INTERRUPTED,
                      "%s in epoch %u after %u batches; checkpoint written to %s; run the "
                      "same command again to go on",
                      why, r->state.epoch + 1, r->state.batch, r->checkpoint_path);
}
