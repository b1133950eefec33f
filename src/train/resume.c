/* Checkpoints of a run: when they are due, writing them, and going on from one. */
#include <string.h>
#include <sys/stat.h>

#include "pulmo/clock.h"
#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "run.h"

bool run_checkpoint_due(const run *r)
{
    double seconds = r->config->train.checkpoint_seconds;
    int64_t batches = r->config->train.checkpoint_batches;
    bool by_time = is_root(r) && seconds > 0 && pulmo_now_s() - r->checkpoint_s >= seconds;
    return r->batches_since > 0 && (by_time || (batches > 0 && r->batches_since >= (uint64_t)batches));
}

pulmo_status run_checkpoint(run *r)
{
    pulmo_status status = PULMO_OK;
    pulmo_watch_beat(r->comm, "writing a checkpoint");
    if (is_root(r)) status = fence_check(r->fence);
    if (is_root(r) && status == PULMO_OK) status = checkpoint_write(r->checkpoint_path, &r->identity, &r->state);
    r->checkpoint_s = pulmo_now_s();
    r->batches_since = 0;
    return pulmo_agree(r->comm, status);
}

/* Sends rank 0's state to all, but for the best parameters, which it alone keeps. */
static pulmo_status share_state(run *r)
{
    run_state *state = &r->state;
    run_state copy = *state;
    PULMO_TRY(pulmo_bcast(r->comm, &copy, sizeof copy, 0));
    copy.parameter = state->parameter; /* the pointers are each rank's own */
    copy.best = state->best;
    copy.average = state->average;
    copy.history = state->history;
    memcpy(copy.optim, state->optim, sizeof copy.optim);
    *state = copy;
    size_t bytes = state->parameters * sizeof(float);
    PULMO_TRY(pulmo_bcast(r->comm, state->parameter, bytes, 0));
    for (int k = 0; k < state->states; k++) PULMO_TRY(pulmo_bcast(r->comm, state->optim[k], bytes, 0));
    if (state->average) PULMO_TRY(pulmo_bcast(r->comm, state->average, bytes, 0));
    return pulmo_bcast(r->comm, state->history, state->history_rows * sizeof *state->history, 0);
}

/* What processes that were killed had begun to write: each may be as large as a checkpoint. */
static void remove_leftovers(const run *r)
{
    static const char *const names[] = {"checkpoint.h5", "config.yaml",     "history.csv", "model.h5",
                                        "MODEL_CARD.md", "predictions.csv", "report.html", "results.h5"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) pulmo_file_remove_leftovers(r->directory, names[i]);
}

pulmo_status run_resume(run *r)
{
    struct stat about;
    pulmo_status status = PULMO_OK;
    int found = 0;
    if (is_root(r)) remove_leftovers(r);
    if (is_root(r) && stat(r->checkpoint_path, &about) == 0) {
        found = 1;
        status = checkpoint_read(r->checkpoint_path, &r->identity, &r->state);
    }
    PULMO_TRY(pulmo_agree(r->comm, status));
    if (!pulmo_any(r->comm, found)) return PULMO_OK;
    PULMO_TRY(share_state(r));
    stepper_ready(r->stepper);
    pulmo_info("going on from %s: epoch %u, batch %u", r->checkpoint_path, r->state.epoch + 1, r->state.batch + 1);
    return PULMO_OK;
}

pulmo_status run_interrupted(run *r)
{
    PULMO_TRY(run_checkpoint(r));
    return pulmo_fail(PULMO_INTERRUPTED,
                      "interrupted in epoch %u after %u batches; checkpoint written to %s; run the "
                      "same command again to go on",
                      r->state.epoch + 1, r->state.batch, r->checkpoint_path);
}
