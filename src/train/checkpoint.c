/* checkpoint.h5: all that is needed to resume, exactly, on any number of ranks.
 *
 *   /state/parameter, /state/best, /state/optim0, /state/optim1   (parameters) float32
 *   /state/average    (parameters) float32, with optim.ema
 *   /state/history    (epoch, 6) float64: the columns of pulmo/history.h
 *   /state/counters   (8) uint64: step, epoch, batch, correct, count, best epoch, since best,
 *                     finished
 *   /state/values     (5) float64: loss and weight of the epoch so far, best value, best loss, best
 *                     accuracy
 *   /config           the configuration, YAML
 *   attributes of /: pulmo_kind "checkpoint", format_version, data_sha256, weights_sha256,
 *       isa, blas
 *
 * Written to a temporary file, then renamed: the one before stands until the new one is whole. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "checkpoint.h"

#define CHECKPOINT_FORMAT_VERSION 1
#define COUNTERS                  8
#define VALUES                    5

static void counters_of(const pulmo_state *state, uint64_t out[COUNTERS])
{
    const uint64_t counters[COUNTERS] = {state->step,
                                         state->epoch,
                                         state->batch,
                                         (uint64_t)state->sums.correct,
                                         (uint64_t)state->sums.count,
                                         state->best_epoch,
                                         state->since_best,
                                         state->finished};
    memcpy(out, counters, sizeof counters);
}

static pulmo_status write_state(pulmo_h5 *file, const pulmo_state *state)
{
    uint64_t n = state->parameters, eight = COUNTERS, five = VALUES,
             rows[2] = {state->epoch, PULMO_HISTORY_COLUMNS};
    uint64_t counters[COUNTERS];
    const double values[VALUES] = {state->sums.loss, state->sums.weight, state->best_value,
                                   state->best_loss, state->best_accuracy};
    counters_of(state, counters);
    PULMO_TRY(pulmo_h5_write(file, "state/parameter", PULMO_H5_F32, 1, &n, state->parameter));
    PULMO_TRY(pulmo_h5_write(file, "state/best", PULMO_H5_F32, 1, &n, state->best));
    for (int k = 0; k < state->states; k++)
        PULMO_TRY(pulmo_h5_write(file, k ? "state/optim1" : "state/optim0", PULMO_H5_F32, 1, &n,
                                 state->optim[k]));
    if (state->average)
        PULMO_TRY(pulmo_h5_write(file, "state/average", PULMO_H5_F32, 1, &n, state->average));
    PULMO_TRY(pulmo_h5_write(file, "state/counters", PULMO_H5_U64, 1, &eight, counters));
    PULMO_TRY(pulmo_h5_write(file, "state/values", PULMO_H5_F64, 1, &five, values));
    if (state->epoch == 0)
        return PULMO_OK;
    return pulmo_h5_write(file, "state/history", PULMO_H5_F64, 2, rows, state->history);
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
    PULMO_TRY(pulmo_h5_set_text(file, "/", "isa", identity->isa));
    return pulmo_h5_set_text(file, "/", "blas", identity->blas);
}

pulmo_status checkpoint_write(const char *path, const run_identity *identity,
                              const pulmo_state *state)
{
    pulmo_h5 *file = NULL;
    PULMO_TRY(pulmo_h5_create(path, &file));
    pulmo_status status = write_identity(file, identity);
    if (status == PULMO_OK)
        status = write_state(file, state);
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

static pulmo_status check_identity(pulmo_h5 *file, const run_identity *identity)
{
    PULMO_TRY(pulmo_h5_check_kind(file, "checkpoint", CHECKPOINT_FORMAT_VERSION,
                                  "go on with the pulmo that wrote it"));
    PULMO_TRY(check_text(file, "data_sha256", identity->data_digest, "data set"));
    PULMO_TRY(check_text(file, "weights_sha256", identity->weights_digest, "weight file"));
    PULMO_TRY(check_config(file, identity->config));
    PULMO_TRY(check_text(file, "isa", identity->isa, "ISA tier (set PULMO_ISA)"));
    return check_text(file, "blas", identity->blas,
                      "set of OpenBLAS kernels (set OPENBLAS_CORETYPE)");
}

static pulmo_status read_counters(pulmo_h5 *file, pulmo_state *state)
{
    uint64_t counters[COUNTERS], eight = COUNTERS, five = VALUES;
    double values[VALUES];
    PULMO_TRY(pulmo_h5_read(file, "state/counters", PULMO_H5_U64, 1, &eight, counters));
    PULMO_TRY(pulmo_h5_read(file, "state/values", PULMO_H5_F64, 1, &five, values));
    if (counters[1] > state->history_rows)
        return pulmo_fail(PULMO_DATA, "%s: epoch %llu of %u: the file is damaged",
                          pulmo_h5_path(file), (unsigned long long)counters[1],
                          state->history_rows);
    state->step = counters[0];
    state->epoch = (uint32_t)counters[1];
    state->batch = (uint32_t)counters[2];
    state->sums =
        (pulmo_epoch_sums){values[0], values[1], (int64_t)counters[3], (int64_t)counters[4]};
    state->best_epoch = (uint32_t)counters[5];
    state->since_best = (uint32_t)counters[6];
    state->finished = (uint32_t)counters[7];
    state->best_value = values[2];
    state->best_loss = values[3];
    state->best_accuracy = values[4];
    return PULMO_OK;
}

static pulmo_status read_state(pulmo_h5 *file, pulmo_state *state)
{
    uint64_t n = state->parameters;
    PULMO_TRY(read_counters(file, state));
    PULMO_TRY(pulmo_h5_read(file, "state/parameter", PULMO_H5_F32, 1, &n, state->parameter));
    PULMO_TRY(pulmo_h5_read(file, "state/best", PULMO_H5_F32, 1, &n, state->best));
    for (int k = 0; k < state->states; k++)
        PULMO_TRY(pulmo_h5_read(file, k ? "state/optim1" : "state/optim0", PULMO_H5_F32, 1, &n,
                                state->optim[k]));
    if (state->average)
        PULMO_TRY(pulmo_h5_read(file, "state/average", PULMO_H5_F32, 1, &n, state->average));
    uint64_t rows[2] = {state->epoch, PULMO_HISTORY_COLUMNS};
    if (state->epoch == 0)
        return PULMO_OK;
    return pulmo_h5_read(file, "state/history", PULMO_H5_F64, 2, rows, state->history);
}

pulmo_status checkpoint_read(const char *path, const run_identity *identity, pulmo_state *state)
{
    pulmo_h5 *file = NULL;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = check_identity(file, identity);
    if (status == PULMO_OK)
        status = read_state(file, state);
    pulmo_h5_close(file);
    if (status == PULMO_DATA)
        return pulmo_fail_in(
            status,
            "cannot go on from the checkpoint (remove it or use --overwrite to start anew)");
    return status;
}
