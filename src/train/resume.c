/* Checkpoints of a run: when they are due, writing them, resuming from one, and stopping in time.
 */
#include <math.h>

#include "pulmo/clock.h"
#include "pulmo/file.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/text.h"
#include "run.h"

#define CHECKPOINT_WORTH 20.0   /* by time, one is written after so many times what one takes */
#define SCORE_BYTES      1000.0 /* per image, at most, in results.h5 and predictions.csv */

/* ---- writing ---- */

bool run_checkpoint_due(const run *r)
{
    double seconds = r->config->train.checkpoint_seconds;
    int64_t batches = r->config->train.checkpoint_batches;
    const run_checkpoints *checkpoints = &r->checkpoints;
    if (r->passing || checkpoints->batches_since == 0)
        return false;
    if (batches > 0 && checkpoints->batches_since >= (uint64_t)batches)
        return true;
    double since_s = pulmo_now_s() - checkpoints->begun_s;
    double least_s = fmax(seconds, CHECKPOINT_WORTH * checkpoints->took_s);
    bool late = is_root(r) && seconds > 0 && since_s >= least_s;
    return late && !writer_is_busy(checkpoints->writer);
}

bool run_checkpoint_worth_it(const run *r)
{
    double since_s = pulmo_now_s() - r->checkpoints.begun_s;
    return is_root(r) && since_s >= CHECKPOINT_WORTH * r->deadline.checkpoint_s;
}

void run_expect_writing(run *r, const char *doing, uint64_t bytes)
{
    uint64_t images = (uint64_t)val_info(r)->count + test_info(r)->count;
    double all_bytes = (double)bytes + (double)images * SCORE_BYTES;
    pulmo_watch_allow(r->comm, doing, all_bytes / PULMO_SLOWEST_DISK_BYTES_PER_SECOND);
}

/* A checkpoint stands. The first one of a run that replaces another is where the other ends: a run
 * that stops before, or is refused, takes nothing away. By rank 0. Not collective. */
static pulmo_status settle(run *r, const writer_done *done)
{
    PULMO_TRY(pulmo_failure_raise(&done->failure));
    r->checkpoints.took_s = done->took_s;
    deadline_checkpoint_took(&r->deadline, done->took_s);
    if (r->replaces) {
        PULMO_TRY(pulmo_results_remove(r->directory));
        PULMO_TRY(run_write_config(r));
    }
    run_tell_checkpoint(r, done);
    return PULMO_OK;
}

/* What came of the one under way: if it has ended, or, with `wait`, once it has. By rank 0. Not
 * collective. */
static pulmo_status collect(run *r, bool wait)
{
    writer_done done;
    bool ended = writer_collect(r->checkpoints.writer, wait, &done);
    r->deadline.writing = writer_is_busy(r->checkpoints.writer);
    return ended ? settle(r, &done) : PULMO_OK;
}

pulmo_status run_checkpoint_look(run *r)
{
    return run_writes(r) ? collect(r, false) : PULMO_OK;
}

/* By rank 0. Not collective. */
static pulmo_status begin_checkpoint(run *r)
{
    PULMO_TRY(collect(r, true));
    r->checkpoints.begun_s = pulmo_now_s();
    writer_give(r->checkpoints.writer, &r->state, &r->selection, &r->trail);
    r->deadline.writing = true;
    pulmo_debug("  %.4f s for a copy of what a checkpoint holds",
                pulmo_now_s() - r->checkpoints.begun_s);
    return PULMO_OK;
}

static pulmo_status checkpoint(run *r, bool wait)
{
    if (r->passing)
        return PULMO_OK;
    /* The one before may be under way. */
    run_expect_writing(r, "writing a checkpoint", 2 * run_vectors_bytes(r));
    pulmo_status status = is_root(r) ? begin_checkpoint(r) : PULMO_OK;
    if (status == PULMO_OK && wait && is_root(r))
        status = collect(r, true);
    r->checkpoints.batches_since = 0;
    deadline_skip(&r->deadline, pulmo_now_s());
    PULMO_TRY(pulmo_agree(r->comm, status));
    r->replaces = false;
    return PULMO_OK;
}

pulmo_status run_checkpoint_begin(run *r)
{
    return checkpoint(r, r->replaces);
}

pulmo_status run_checkpoint(run *r)
{
    return checkpoint(r, true);
}

/* ---- resuming ---- */

/* Sends rank 0's state to all, but for the best parameters, which it alone keeps. */
static pulmo_status share_state(run *r)
{
    pulmo_state *state = &r->state;
    selection *chosen = &r->selection;
    const pulmo_field fields[] = {
        PULMO_FIELD(state->step),        PULMO_FIELD(state->epoch),
        PULMO_FIELD(state->batch),       PULMO_FIELD(state->sums),
        PULMO_FIELD(chosen->best.value), PULMO_FIELD(chosen->best.val_loss),
        PULMO_FIELD(chosen->best.epoch), PULMO_FIELD(chosen->best.val_accuracy),
        PULMO_FIELD(chosen->since_best), PULMO_FIELD(chosen->finished),
    };
    int count = (int)(sizeof fields / sizeof fields[0]);
    PULMO_TRY(pulmo_bcast_fields(r->comm, fields, count, 0));
    size_t bytes = state->parameters * sizeof(float);
    PULMO_TRY(pulmo_bcast(r->comm, state->parameter, bytes, 0));
    for (int k = 0; k < state->states; k++)
        PULMO_TRY(pulmo_bcast(r->comm, state->optim[k], bytes, 0));
    if (state->average)
        PULMO_TRY(pulmo_bcast(r->comm, state->average, bytes, 0));
    size_t history_bytes = chosen->room * sizeof *chosen->history;
    return pulmo_bcast(r->comm, chosen->history, history_bytes, 0);
}

/* By rank 0. Not collective. */
static pulmo_status read_checkpoint(run *r, bool *found)
{
    PULMO_TRY(pulmo_file_look(r->checkpoints.path, found));
    if (!*found)
        return PULMO_OK;
    pulmo_status status =
        checkpoint_read(r->checkpoints.path, &r->identity, &r->state, &r->selection, &r->trail);
    if (status == PULMO_CONFIG && r->record)
        return pulmo_fail_in(status, "%s: is not of this run; give another directory with --out",
                             r->directory);
    PULMO_TRY(status);
    if (r->state.batch <= run_batches(r))
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: batch %u of %u: the file is damaged", r->checkpoints.path,
                      r->state.batch, run_batches(r));
}

pulmo_status run_resume(run *r)
{
    bool found = false;
    pulmo_status status = is_root(r) ? read_checkpoint(r, &found) : PULMO_OK;
    PULMO_TRY(pulmo_agree(r->comm, status));
    if (!pulmo_any(r->comm, found))
        return PULMO_OK;
    PULMO_TRY(share_state(r));
    pulmo_stepper_ready(r->stepper);
    if (r->selection.finished)
        pulmo_info("resuming from %s: all epochs are done, the results are to be written",
                   r->checkpoints.path);
    else
        pulmo_info("resuming from %s: epoch %u, batch %u", r->checkpoints.path, r->state.epoch + 1,
                   r->state.batch + 1);
    return PULMO_OK;
}

/* ---- stopping in time ---- */

bool run_must_stop(run *r)
{
    bool near = is_root(r) && deadline_look(&r->deadline, pulmo_now_s());
    return near || pulmo_interrupt_wanted();
}

pulmo_status run_interrupted(run *r)
{
    char why[96] = "interrupted";
    const char *again = r->anew ? " without --overwrite" : "";
    if (r->deadline.near)
        snprintf(why, sizeof why, "the time limit is near (%s): stopped", r->deadline.source);
    PULMO_TRY(run_checkpoint(r));
    if (r->selection.finished)
        return pulmo_fail(PULMO_INTERRUPTED,
                          "%s after the last epoch; checkpoint written to %s; run the same command "
                          "again%s for the results",
                          why, r->checkpoints.path, again);
    return pulmo_fail(PULMO_INTERRUPTED,
                      "%s in epoch %u after %u batch%s; checkpoint written to %s; run the "
                      "same command again%s to resume",
                      why, r->state.epoch + 1, r->state.batch, r->state.batch == 1 ? "" : "es",
                      r->checkpoints.path, again);
}
