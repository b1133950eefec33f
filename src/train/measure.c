/* Training timed: a run's own batches, without validation, checkpoints and results. */

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

/* Times in the order in which the slowest rank's are found. */
enum { WALL, DATA, SUMS, FEATURES, TUNED, HEAD, UPDATE, TIMES };

typedef struct reading {
    uint64_t images;
    double at[TIMES];
} reading;

static reading read_clocks(const run *r)
{
    const pulmo_step_times *times = pulmo_stepper_times(r->stepper);
    return (reading){.images = (uint64_t)r->state.sums.count,
                     .at = {[WALL] = pulmo_now_s(),
                            [DATA] = pulmo_loader_waited_s(r->loader),
                            [SUMS] = times->waited_s,
                            [FEATURES] = times->features_s,
                            [TUNED] = times->tuned_s,
                            [HEAD] = times->head_s,
                            [UPDATE] = times->update_s}};
}

/* Rank 0's clock decides. Collective. */
static bool time_is_over(const run *r, const reading *before, double seconds)
{
    bool over = pulmo_now_s() - before->at[WALL] >= seconds;
    return pulmo_any(r->comm, over && is_root(r));
}

static pulmo_status measure_batches(run *r, double seconds, pulmo_train_timing *out)
{
    double spent[TIMES];
    for (int b = 0; b < WARM_BATCHES; b++)
        PULMO_TRY(next_batch(r));
    PULMO_TRY(pulmo_stepper_finish(r->stepper));
    PULMO_TRY(pulmo_barrier(r->comm));
    const reading before = read_clocks(r);
    do
        PULMO_TRY(next_batch(r));
    while (!time_is_over(r, &before, seconds));
    PULMO_TRY(pulmo_stepper_finish(r->stepper));
    const reading after = read_clocks(r);
    for (int i = 0; i < TIMES; i++)
        spent[i] = after.at[i] - before.at[i];
    PULMO_TRY(pulmo_max_f64(r->comm, spent, TIMES)); /* the slowest rank's */
    *out = (pulmo_train_timing){.images = after.images - before.images,
                                .seconds = spent[WALL],
                                .data_s = spent[DATA],
                                .sums_s = spent[SUMS],
                                .features_s = spent[FEATURES],
                                .head_s = spent[HEAD],
                                .update_s = spent[UPDATE],
                                .tuned_s = spent[TUNED],
                                .threads = r->network.backbone.threads,
                                .isa = pulmo_isa_name(r->network.backbone.isa)};
    return PULMO_OK;
}

pulmo_status pulmo_train_measure(pulmo_comm *comm, const pulmo_config *config, double seconds,
                                 pulmo_train_timing *out)
{
    run *r = NULL;
    PULMO_TRY(run_create(comm, config, &r));
    r->timed = true;
    pulmo_status status = run_open(r, true);
    if (status == PULMO_OK)
        status = pulmo_agree(comm, pulmo_loader_seek(r->loader, 0, 0));
    if (status == PULMO_OK)
        status = measure_batches(r, seconds, out);
    lease *owned = r->lease; /* on rank 0 */
    run_close(r);
    lease_release(owned);
    return status;
}
