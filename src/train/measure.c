/* Training timed: a run's own batches, without validation, checkpoints and results. */
#include <stdlib.h>

#include "pulmo/clock.h"
#include "pulmo/interrupt.h"
#include "run.h"

#define WARM_BATCHES 3 /* memory touched, threads and loader under way */

static pulmo_status next_batch(run *r)
{
    pulmo_batch batch;
    pulmo_step_wishes wishes = {.interrupted = pulmo_interrupt_wanted()};
    pulmo_status status = pulmo_loader_next(r->loader, &batch);
    PULMO_TRY(pulmo_stepper_take(r->stepper, status, &batch, &wishes));
    if (wishes.interrupted)
        return pulmo_fail(PULMO_INTERRUPTED, "interrupted while training was timed");
    return PULMO_OK;
}

static pulmo_train_timing timing_of(const run *r)
{
    const pulmo_step_times *times = pulmo_stepper_times(r->stepper);
    return (pulmo_train_timing){.images = (uint64_t)r->state.sums.count,
                                .seconds = pulmo_now_s(),
                                .data_s = pulmo_loader_waited_s(r->loader),
                                .sums_s = times->waited_s,
                                .features_s = times->features_s,
                                .tuned_s = times->tuned_s,
                                .head_s = times->head_s,
                                .update_s = times->update_s};
}

static pulmo_status measure(run *r, double seconds, pulmo_train_timing *out)
{
    for (int b = 0; b < WARM_BATCHES; b++)
        PULMO_TRY(next_batch(r));
    PULMO_TRY(pulmo_stepper_finish(r->stepper));
    PULMO_TRY(pulmo_barrier(r->comm));
    const pulmo_train_timing before = timing_of(r);
    do
        PULMO_TRY(next_batch(r));
    while (!pulmo_any(r->comm,
                      pulmo_now_s() - before.seconds >= seconds && pulmo_comm_rank(r->comm) == 0));
    PULMO_TRY(pulmo_stepper_finish(r->stepper));
    const pulmo_train_timing after = timing_of(r);
    /* The slowest rank's times. */
    double times[] = {after.seconds - before.seconds, after.data_s - before.data_s,
                      after.sums_s - before.sums_s,   after.features_s - before.features_s,
                      after.head_s - before.head_s,   after.update_s - before.update_s,
                      after.tuned_s - before.tuned_s};
    PULMO_TRY(pulmo_max_f64(r->comm, times, sizeof times / sizeof times[0]));
    *out = (pulmo_train_timing){.images = after.images - before.images,
                                .seconds = times[0],
                                .data_s = times[1],
                                .sums_s = times[2],
                                .features_s = times[3],
                                .head_s = times[4],
                                .update_s = times[5],
                                .tuned_s = times[6],
                                .threads = r->network.backbone.threads,
                                .isa = pulmo_isa_name(r->network.backbone.isa)};
    return PULMO_OK;
}

pulmo_status pulmo_train_measure(pulmo_comm *comm, const pulmo_config *config, double seconds,
                                 pulmo_train_timing *out)
{
    pulmo_status status = PULMO_OK;
    run *r = pulmo_calloc_agreed(comm, sizeof *r, "cannot allocate the run", &status);
    if (!r)
        return status;
    r->comm = comm;
    r->config = config;
    r->directory = config->train.run_dir;
    r->timed = true;
    pulmo_interrupt_listen();
    status = run_open(r, true);
    if (status == PULMO_OK)
        status = pulmo_agree(comm, pulmo_loader_seek(r->loader, 0, 0));
    if (status == PULMO_OK)
        status = measure(r, seconds, out);
    lease *owned = r->lease; /* on rank 0 */
    run_close(r);
    lease_release(owned);
    return status;
}
