/* checkpoint.h5: all that is needed to resume, exactly, on any number of ranks.
 *
 *   /state/parameter, /state/best, /state/optim0, /state/optim1   (parameters) float32
 *   /state/average    (parameters) float32, with optim.ema
 *   /state/history    (epoch, 6) float64: the columns of pulmo/history.h
 *   /state/digests    (epoch, tensors, 32) uint8: of each tensor, trail.h; zeros where not known
 *   /state/counters   (8) uint64: step, epoch, batch, correct, count, best epoch, since best,
 *                     finished
 *   /state/values     (5) float64: loss and weight of the epoch so far, best value, best loss, best
 *                     accuracy
 *   /config           the configuration, YAML
 *   /provenance       attributes started (UTC), wall_seconds, sessions: of the work so far
 *   attributes of /: pulmo_kind "checkpoint", format_version, data_sha256, weights_sha256,
 *       arithmetic
 *
 * Written to a temporary file, then renamed: the one before stands until the new one is whole. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"
#include "pulmo/isa.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/model.h"
#include "checkpoint.h"

#define CHECKPOINT_FORMAT_VERSION 1
#define DIGESTS                   "state/digests"

/* Places in /state/counters and /state/values. */
enum { STEP, EPOCH, BATCH, CORRECT, COUNT, BEST_EPOCH, SINCE_BEST, FINISHED, COUNTERS };
enum { LOSS, WEIGHT, BEST_VALUE, BEST_LOSS, BEST_ACCURACY, VALUES };

static const char *optim_name(int k)
{
    return k == 0 ? "state/optim0" : "state/optim1";
}

/* ---- writing ---- */

static pulmo_status write_counters(pulmo_h5 *file, const pulmo_state *state,
                                   const selection *chosen)
{
    const uint64_t counters[COUNTERS] = {
        [STEP] = state->step,
        [EPOCH] = state->epoch,
        [BATCH] = state->batch,
        [CORRECT] = (uint64_t)state->sums.correct,
        [COUNT] = (uint64_t)state->sums.count,
        [BEST_EPOCH] = chosen->best.epoch,
        [SINCE_BEST] = chosen->since_best,
        [FINISHED] = chosen->finished,
    };
    const double values[VALUES] = {
        [LOSS] = state->sums.loss,
        [WEIGHT] = state->sums.weight,
        [BEST_VALUE] = chosen->best.value,
        [BEST_LOSS] = chosen->best.val_loss,
        [BEST_ACCURACY] = chosen->best.val_accuracy,
    };
    const uint64_t counter_dims = COUNTERS, value_dims = VALUES;
    PULMO_TRY(pulmo_h5_write(file, "state/counters", PULMO_H5_U64, 1, &counter_dims, counters));
    return pulmo_h5_write(file, "state/values", PULMO_H5_F64, 1, &value_dims, values);
}

static pulmo_status write_vector(pulmo_h5 *file, const char *name, const pulmo_state *state,
                                 const float *vector)
{
    const uint64_t dims = state->parameters;
    return pulmo_h5_write(file, name, PULMO_H5_F32, 1, &dims, vector);
}

static pulmo_status write_epochs(pulmo_h5 *file, uint32_t epochs, const selection *chosen,
                                 const trail *left)
{
    const uint64_t row_dims[2] = {epochs, PULMO_HISTORY_COLUMNS};
    const uint64_t digest_dims[3] = {epochs, (uint64_t)left->layout->tensors, PULMO_DIGEST_BYTES};
    if (epochs == 0)
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_write(file, "state/history", PULMO_H5_F64, 2, row_dims, chosen->history));
    return pulmo_h5_write(file, DIGESTS, PULMO_H5_U8, 3, digest_dims, left->digest);
}

static pulmo_status write_state(pulmo_h5 *file, const pulmo_state *state, const selection *chosen)
{
    PULMO_TRY(write_vector(file, "state/parameter", state, state->parameter));
    PULMO_TRY(write_vector(file, "state/best", state, chosen->best.parameters));
    for (int k = 0; k < state->states; k++)
        PULMO_TRY(write_vector(file, optim_name(k), state, state->optim[k]));
    if (state->average)
        PULMO_TRY(write_vector(file, "state/average", state, state->average));
    return write_counters(file, state, chosen);
}

static pulmo_status write_spent(pulmo_h5 *file, const pulmo_spent *spent)
{
    PULMO_TRY(pulmo_h5_set_text(file, "provenance", "started", spent->began));
    PULMO_TRY(pulmo_h5_set_int(file, "provenance", "sessions", spent->sessions));
    return pulmo_h5_set_real(file, "provenance", "wall_seconds", pulmo_spent_wall_s(spent));
}

static pulmo_status write_identity(pulmo_h5 *file, const run_identity *identity)
{
    char *echo = pulmo_config_echo(identity->config);
    if (!echo)
        return pulmo_fail(PULMO_MEMORY, "cannot write the configuration: out of memory");
    pulmo_status status = pulmo_h5_write_text(file, "config", echo);
    free(echo);
    PULMO_TRY(status);
    PULMO_TRY(pulmo_h5_set_kind(file, "checkpoint", CHECKPOINT_FORMAT_VERSION));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "data_sha256", identity->data_digest));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "weights_sha256", identity->weights_digest));
    if (!*identity->start_digest)
        return PULMO_OK;
    return pulmo_h5_set_text(file, "/", "init_sha256", identity->start_digest);
}

pulmo_status checkpoint_write(const char *path, const run_identity *identity,
                              const pulmo_state *state, const selection *chosen, const trail *left)
{
    pulmo_h5 *file = NULL;
    PULMO_TRY(pulmo_h5_create(path, &file));
    pulmo_status status = write_identity(file, identity);
    if (status == PULMO_OK)
        status = pulmo_arithmetic_write(file, left->arithmetic);
    if (status == PULMO_OK)
        status = write_spent(file, &left->spent);
    if (status == PULMO_OK)
        status = write_state(file, state, chosen);
    if (status == PULMO_OK)
        status = write_epochs(file, state->epoch, chosen, left);
    if (status == PULMO_OK)
        status = pulmo_h5_seal(file);
    if (status == PULMO_OK)
        return pulmo_h5_commit(file);
    pulmo_h5_close(file);
    return status;
}

/* ---- reading ---- */

/* A checkpoint made with another `name` cannot give the bits of a run that was never stopped. */
static pulmo_status check_text(pulmo_h5 *file, const char *name, const char *mine, const char *what)
{
    char *theirs = NULL;
    PULMO_TRY(pulmo_h5_get_text(file, "/", name, &theirs));
    pulmo_status status = PULMO_OK;
    if (strcmp(theirs, mine) != 0)
        status = pulmo_fail(
            PULMO_CONFIG,
            "%s: the checkpoint was made with another %s (%s there, %s now); use what it was made "
            "with, another train.run_dir, or --overwrite to start anew",
            pulmo_h5_path(file), what, theirs, mine);
    free(theirs);
    return status;
}

static pulmo_status check_config(pulmo_h5 *file, const pulmo_config *config)
{
    char *text = NULL;
    pulmo_config theirs;
    pulmo_config_init(&theirs);
    PULMO_TRY(pulmo_h5_read_text(file, "config", &text));
    pulmo_status status = pulmo_config_parse(&theirs, pulmo_h5_path(file), text);
    free(text);
    PULMO_TRY(status);
    char *differences = pulmo_config_differences(config, &theirs);
    if (!differences)
        return pulmo_fail(PULMO_MEMORY, "cannot compare configurations: out of memory");
    if (*differences)
        status = pulmo_fail(
            PULMO_CONFIG,
            "%s: the checkpoint was made with another configuration (%s); use the same, another "
            "train.run_dir, or --overwrite to start anew",
            pulmo_h5_path(file), differences);
    free(differences);
    return status;
}

/* One of another version's arithmetic is resumed: what it holds is worth more than the bits. */
static pulmo_status take_arithmetic(pulmo_h5 *file, trail *left)
{
    int64_t theirs = 0;
    PULMO_TRY(pulmo_arithmetic_read(file, &theirs));
    if (theirs == PULMO_ARITHMETIC)
        return PULMO_OK;
    left->arithmetic = PULMO_ARITHMETIC_MIXED;
    pulmo_warn("%s: was written by a pulmo whose arithmetic differs in last digits: the model "
               "will be neither its nor this one's to the bit",
               pulmo_h5_path(file));
    return PULMO_OK;
}

/* A checkpoint that says none began at pretrained convolutions and a new head. */
static pulmo_status check_start(pulmo_h5 *file, const char *mine)
{
    const bool had = pulmo_h5_has_attribute(file, "/", "init_sha256");
    if (had && *mine)
        return check_text(file, "init_sha256", mine, "train.init");
    if (!had && !*mine)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_CONFIG,
        "%s: the checkpoint was made %s train.init; use it as it was made, another train.run_dir, "
        "or --overwrite to start anew",
        pulmo_h5_path(file), had ? "with a run as" : "without");
}

static pulmo_status check_identity(pulmo_h5 *file, const run_identity *identity)
{
    PULMO_TRY(pulmo_h5_check_kind(file, "checkpoint", CHECKPOINT_FORMAT_VERSION,
                                  "resume with the pulmo that wrote it"));
    PULMO_TRY(check_text(file, "data_sha256", identity->data_digest, "data set"));
    PULMO_TRY(check_text(file, "weights_sha256", identity->weights_digest, "weight file"));
    PULMO_TRY(check_start(file, identity->start_digest));
    return check_config(file, identity->config);
}

static pulmo_status fail_damaged(pulmo_h5 *file, uint64_t epoch, uint32_t room)
{
    return pulmo_fail(PULMO_DATA, "%s: epoch %llu of %u: the file is damaged", pulmo_h5_path(file),
                      (unsigned long long)epoch, room);
}

static pulmo_status fail_counter(pulmo_h5 *file, const char *name, uint64_t value, uint64_t most)
{
    return pulmo_fail(
        PULMO_DATA, "%s: /state/counters: %s is %llu; must be at most %llu: the file is damaged",
        pulmo_h5_path(file), name, (unsigned long long)value, (unsigned long long)most);
}

/* What places in the history and counts of images go by. */
static pulmo_status check_counters(pulmo_h5 *file, const uint64_t counters[], uint32_t room)
{
    const uint64_t epoch = counters[EPOCH];
    const struct {
        const char *name;
        uint64_t value, most;
    } bounds[] = {
        {"batch", counters[BATCH], UINT32_MAX},
        {"count", counters[COUNT], INT64_MAX},
        {"correct", counters[CORRECT], counters[COUNT]},
        {"best epoch", counters[BEST_EPOCH], epoch},
        {"epochs since the best", counters[SINCE_BEST], epoch},
        {"finished", counters[FINISHED], 1},
    };
    if (epoch > room)
        return fail_damaged(file, epoch, room);
    for (size_t i = 0; i < PULMO_COUNT_OF(bounds); i++) {
        if (bounds[i].value > bounds[i].most)
            return fail_counter(file, bounds[i].name, bounds[i].value, bounds[i].most);
    }
    if (epoch > 0 && counters[BEST_EPOCH] == 0)
        return pulmo_fail(PULMO_DATA,
                          "%s: /state/counters: %llu epochs are done and none is the best: the "
                          "file is damaged",
                          pulmo_h5_path(file), (unsigned long long)epoch);
    return PULMO_OK;
}

static pulmo_status read_counters(pulmo_h5 *file, pulmo_state *state, selection *chosen)
{
    const uint64_t counter_dims = COUNTERS, value_dims = VALUES;
    uint64_t counters[COUNTERS];
    double values[VALUES];
    PULMO_TRY(pulmo_h5_read(file, "state/counters", PULMO_H5_U64, 1, &counter_dims, counters));
    PULMO_TRY(pulmo_h5_read(file, "state/values", PULMO_H5_F64, 1, &value_dims, values));
    PULMO_TRY(check_counters(file, counters, chosen->room));
    state->step = counters[STEP];
    state->epoch = (uint32_t)counters[EPOCH];
    state->batch = (uint32_t)counters[BATCH];
    state->sums.correct = (int64_t)counters[CORRECT];
    state->sums.count = (int64_t)counters[COUNT];
    state->sums.loss = values[LOSS];
    state->sums.weight = values[WEIGHT];
    chosen->best.epoch = (uint32_t)counters[BEST_EPOCH];
    chosen->best.value = values[BEST_VALUE];
    chosen->best.val_loss = values[BEST_LOSS];
    chosen->best.val_accuracy = values[BEST_ACCURACY];
    chosen->since_best = (uint32_t)counters[SINCE_BEST];
    chosen->finished = counters[FINISHED] != 0;
    return PULMO_OK;
}

static pulmo_status read_vector(pulmo_h5 *file, const char *name, const pulmo_state *state,
                                float *vector)
{
    const uint64_t dims = state->parameters;
    return pulmo_h5_read_finite(file, name, 1, &dims, vector);
}

static pulmo_status read_state(pulmo_h5 *file, pulmo_state *state, selection *chosen)
{
    PULMO_TRY(read_counters(file, state, chosen));
    PULMO_TRY(read_vector(file, "state/parameter", state, state->parameter));
    PULMO_TRY(read_vector(file, "state/best", state, chosen->best.parameters));
    for (int k = 0; k < state->states; k++)
        PULMO_TRY(read_vector(file, optim_name(k), state, state->optim[k]));
    if (state->average)
        PULMO_TRY(read_vector(file, "state/average", state, state->average));
    return PULMO_OK;
}

/* Checkpoints of earlier releases do not tell: what they took is not counted. */
static pulmo_status read_spent(pulmo_h5 *file, pulmo_spent *spent)
{
    char *began = NULL;
    double wall_s = 0;
    int64_t sessions = 0;
    if (!pulmo_h5_has_attribute(file, "provenance", "started"))
        return pulmo_h5_unsaid(pulmo_h5_path(file));
    PULMO_TRY(pulmo_h5_get_real(file, "provenance", "wall_seconds", &wall_s));
    PULMO_TRY(pulmo_h5_get_int(file, "provenance", "sessions", &sessions));
    PULMO_TRY(pulmo_h5_get_text(file, "provenance", "started", &began));
    pulmo_spent_add(spent, began, wall_s, sessions);
    free(began);
    return PULMO_OK;
}

/* Checkpoints of earlier releases hold no digests: those epochs' stay unknown. */
static pulmo_status read_epochs(pulmo_h5 *file, uint32_t epochs, selection *chosen, trail *left)
{
    const uint64_t row_dims[2] = {epochs, PULMO_HISTORY_COLUMNS};
    const uint64_t digest_dims[3] = {epochs, (uint64_t)left->layout->tensors, PULMO_DIGEST_BYTES};
    if (epochs == 0)
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_read(file, "state/history", PULMO_H5_F64, 2, row_dims, chosen->history));
    if (!pulmo_h5_exists(file, DIGESTS))
        return pulmo_h5_unsaid(pulmo_h5_path(file));
    return pulmo_h5_read(file, DIGESTS, PULMO_H5_U8, 3, digest_dims, left->digest);
}

pulmo_status checkpoint_read(const char *path, const run_identity *identity, pulmo_state *state,
                             selection *chosen, trail *left)
{
    pulmo_h5 *file = NULL;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = check_identity(file, identity);
    if (status == PULMO_OK)
        status = take_arithmetic(file, left);
    if (status == PULMO_OK)
        status = read_state(file, state, chosen);
    if (status == PULMO_OK)
        status = read_epochs(file, state->epoch, chosen, left);
    if (status == PULMO_OK)
        status = read_spent(file, &left->spent);
    if (status == PULMO_OK)
        pulmo_h5_say_unverified(file);
    pulmo_h5_close(file);
    if (status != PULMO_DATA)
        return status;
    return pulmo_fail_in(
        status, "cannot resume from the checkpoint (remove it or use --overwrite to start anew)");
}
