/* A sweep: one ordinary training run for each point of a grid, one after the other over all ranks, in a directory
 * named after its values. What is finished is kept, so that the same command goes on where it was. A trial that fails
 * is told of and the rest goes on. */
#include "sweep.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/h5.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

#define NAME_BYTES 160

/* ---- names and settings ---- */

/* "optim.lr=0.001,train.seed=2", fit for a file's name; a long one is cut and made unique by a digest. */
static char *name_of(const pulmo_grid *grid, uint64_t trial)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out) return NULL;
    for (int a = 0; a < grid->axes; a++)
        fprintf(out, "%s%s=%s", a ? "," : "", grid->axis[a].key, grid->axis[a].value[pulmo_grid_value_of(grid, trial, a)]);
    if (grid->axes == 0) fputs("only", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    bool changed = length > NAME_BYTES;
    pulmo_digest digest = pulmo_digest_of(text, length);
    for (char *c = text; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr(".,=+-_[]", *c)) continue;
        changed = changed || *c != ' '; /* blanks alone make no two values one */
        *c = '_';
    }
    if (!changed) return text;
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest_hex(&digest, hex);
    char *unique = pulmo_format("%.*s-%.12s", NAME_BYTES, text, hex);
    free(text);
    return unique;
}

static pulmo_status config_of(const sweep *s, uint64_t trial, pulmo_config *out)
{
    *out = *s->options->config;
    PULMO_TRY(pulmo_grid_apply(s->grid, trial, out));
    int wrote = snprintf(out->train.run_dir, sizeof out->train.run_dir, "%s/%s", s->options->config->train.run_dir, s->trials[trial].name);
    if (wrote > 0 && (size_t)wrote < sizeof out->train.run_dir) return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG, "train.run_dir: \"%.60s...\" is too long for a sweep's trials", s->options->config->train.run_dir);
}

/* ---- what is finished already ---- */

/* The digest that a run's results hold of its data. */
static pulmo_status data_digest(const char *path, char hex[PULMO_DIGEST_HEX])
{
    static const char *const splits[] = {"train", "val", "test"};
    char all[3 * PULMO_DIGEST_HEX] = "";
    for (int i = 0; i < 3; i++) {
        pulmo_dataset *dataset = NULL;
        PULMO_TRY(pulmo_dataset_open(path, splits[i], i > 0, &dataset));
        size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s%s", i ? " " : "", pulmo_dataset_info_of(dataset)->digest_hex);
        pulmo_dataset_close(dataset);
    }
    pulmo_digest digest = pulmo_digest_of(all, strlen(all));
    pulmo_digest_hex(&digest, hex);
    return PULMO_OK;
}

static pulmo_status check_data(const char *directory, const char *data)
{
    char hex[PULMO_DIGEST_HEX], *path = pulmo_format("%s/results.h5", directory), *theirs = NULL;
    pulmo_h5 *file = NULL;
    if (!path) return PULMO_MEMORY;
    pulmo_status status = data_digest(data, hex);
    if (status == PULMO_OK) status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK) status = pulmo_h5_get_text(file, "/", "data_sha256", &theirs);
    if (status == PULMO_OK && strcmp(hex, theirs) != 0)
        status = pulmo_fail(PULMO_CONFIG, "holds a finished run on other data; choose another train.run_dir, or give --overwrite");
    pulmo_h5_close(file);
    free(theirs);
    free(path);
    return status;
}

/* A finished run may be kept only if it is the one that would be trained now. */
static pulmo_status check_same(const pulmo_config *config)
{
    pulmo_config theirs;
    pulmo_config_init(&theirs);
    char *path = pulmo_format("%s/config.yaml", config->train.run_dir), *differences = NULL;
    pulmo_status status = path ? pulmo_config_read(&theirs, path) : PULMO_MEMORY;
    if (status == PULMO_OK) {
        differences = pulmo_config_differences(config, &theirs);
        if (!differences) status = pulmo_fail(PULMO_MEMORY, "out of memory for a trial");
    }
    if (status == PULMO_OK && *differences)
        status =
            pulmo_fail(PULMO_CONFIG, "holds a finished run of other settings (%.300s); choose another train.run_dir, or give --overwrite",
                       differences);
    free(differences);
    free(path);
    return status == PULMO_OK ? check_data(config->train.run_dir, config->data.path) : status;
}

/* ---- one trial ---- */

/* A run's last lines, which are on stdout, go to a file beside its results: the sweep's stdout is its table. */
static pulmo_status train_aside(const sweep *s, const pulmo_config *config)
{
    int kept = -1, file = -1;
    pulmo_status status = PULMO_OK;
    if (pulmo_comm_rank(s->comm) == 0) {
        char *path = pulmo_format("%s/output.txt", config->train.run_dir);
        status = path ? pulmo_directory_make(config->train.run_dir) : PULMO_MEMORY;
        fflush(stdout);
        if (status == PULMO_OK) {
            file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
            kept = file < 0 ? -1 : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
            if (kept < 0 || dup2(file, STDOUT_FILENO) < 0) status = pulmo_fail(PULMO_IO, "%s: %s", path, strerror(errno));
        }
        free(path);
    }
    status = pulmo_agree(s->comm, status);
    if (status == PULMO_OK) status = pulmo_train(s->comm, config, s->options->overwrite);
    if (kept >= 0) {
        fflush(stdout);
        dup2(kept, STDOUT_FILENO);
        close(kept);
    }
    if (file >= 0) close(file);
    return status;
}

static void note_failure(const sweep *s, sweep_trial *trial)
{
    trial->state = SWEEP_FAILED;
    snprintf(trial->reason, sizeof trial->reason, "%s", pulmo_error());
    for (char *c = trial->reason; *c; c++)
        if (*c == '\n') *c = ' ';
    if (pulmo_comm_rank(s->comm) == 0) pulmo_warn("  %s failed: %s", trial->name, trial->reason);
}

/* Rank 0 says what there is to do: 1 to train, 0 where the trial is finished or cannot be trained. */
static int wanted(const sweep *s, const pulmo_config *config, sweep_trial *trial)
{
    if (s->options->overwrite || !results_finished(config->train.run_dir)) return 1;
    trial->state = SWEEP_FINISHED;
    if (check_same(config) != PULMO_OK || sweep_read_trial(config->train.run_dir, trial) != PULMO_OK) note_failure(s, trial);
    pulmo_error_clear();
    return 0;
}

static void say_what_came(const sweep *s, uint64_t number, const sweep_trial *trial, double began_s)
{
    if (trial->state == SWEEP_FINISHED)
        pulmo_info("  %llu of %llu: val acc %.4f  auc %.4f  loss %.4f (epoch %lld), %.1f s", (unsigned long long)number + 1,
                   (unsigned long long)s->count, trial->val_accuracy, trial->val_auc, trial->val_loss, (long long)trial->best_epoch,
                   pulmo_now_s() - began_s);
}

/* Failures are noted; only what ends the sweep is returned. */
static pulmo_status run_trial(sweep *s, uint64_t number, bool *quiet, pulmo_status *worst)
{
    sweep_trial *trial = &s->trials[number];
    pulmo_config config;
    double began_s = pulmo_now_s();
    bool root = pulmo_comm_rank(s->comm) == 0;
    PULMO_TRY(pulmo_agree(s->comm, config_of(s, number, &config)));
    int train = pulmo_any(s->comm, root && wanted(s, &config, trial));
    int failed = pulmo_any(s->comm, root && trial->state == SWEEP_FAILED);
    if (failed && *worst == PULMO_OK) *worst = PULMO_CONFIG;
    if (!train) return PULMO_OK;
    pulmo_info("%s", trial->name);
    if (*quiet && s->options->level == PULMO_LOG_NORMAL)
        pulmo_log_setup(PULMO_LOG_QUIET, pulmo_comm_rank(s->comm), pulmo_comm_size(s->comm));
    pulmo_status status = train_aside(s, &config);
    pulmo_log_setup(s->options->level, pulmo_comm_rank(s->comm), pulmo_comm_size(s->comm));
    if (status == PULMO_INTERRUPTED || status == PULMO_MPI) return status;
    *quiet = true;
    trial->state = SWEEP_FINISHED;
    if (status == PULMO_OK && root) status = sweep_read_trial(config.train.run_dir, trial);
    if (status != PULMO_OK) note_failure(s, trial);
    if (status != PULMO_OK && *worst == PULMO_OK) *worst = status;
    say_what_came(s, number, trial, began_s);
    pulmo_error_clear();
    return pulmo_agree(s->comm, root ? sweep_write_tables(s, NULL) : PULMO_OK);
}

/* ---- all of them ---- */

static pulmo_status plan_local(sweep *s)
{
    const pulmo_config *config = s->options->config;
    if (!*config->train.run_dir)
        return pulmo_fail(PULMO_CONFIG, "train.run_dir is not set; give the directory for the sweep's runs, in the configuration or as "
                                        "--set train.run_dir=DIR");
    if (s->count > PULMO_SWEEP_TRIALS)
        return pulmo_fail(PULMO_CONFIG, "the grid has %llu trials; at most %d", (unsigned long long)s->count, PULMO_SWEEP_TRIALS);
    s->trials = calloc(s->count, sizeof *s->trials);
    if (!s->trials) return pulmo_fail(PULMO_MEMORY, "out of memory for the trials");
    for (uint64_t t = 0; t < s->count; t++) {
        pulmo_config trial;
        s->trials[t].name = name_of(s->grid, t);
        if (!s->trials[t].name) return PULMO_MEMORY;
        PULMO_TRY(config_of(s, t, &trial));
    }
    return pulmo_comm_rank(s->comm) == 0 ? pulmo_directory_make(config->train.run_dir) : PULMO_OK;
}

static void announce(const sweep *s)
{
    const pulmo_config *config = s->options->config;
    pulmo_info("sweep: %llu trial%s below %s; after the first a line each (-v: all they say)", (unsigned long long)s->count,
               s->count == 1 ? "" : "s", config->train.run_dir);
    for (int a = 0; a < s->grid->axes; a++)
        if (strcmp(s->grid->axis[a].key, "train.seed") == 0 && s->grid->axis[a].count > 1 &&
            config->train.features == PULMO_FEATURES_BANK && config->bank.seed < 0)
            pulmo_info("note: each seed has a feature bank of its own; with bank.seed: 0 they share one");
}

static pulmo_status run_all(sweep *s)
{
    pulmo_status worst = PULMO_OK;
    uint64_t failed = 0;
    bool quiet = false;
    announce(s);
    for (uint64_t t = 0; t < s->count; t++) {
        PULMO_TRY(run_trial(s, t, &quiet, &worst));
        if (pulmo_any(s->comm, pulmo_interrupt_wanted()))
            return pulmo_fail(PULMO_INTERRUPTED, "interrupted after %llu of %llu trials; run the same command again to go on",
                              (unsigned long long)t + 1, (unsigned long long)s->count);
    }
    bool root = pulmo_comm_rank(s->comm) == 0;
    PULMO_TRY(pulmo_agree(s->comm, root ? sweep_write_tables(s, stdout) : PULMO_OK));
    for (uint64_t t = 0; t < s->count; t++) failed += s->trials[t].state == SWEEP_FAILED;
    if (worst == PULMO_OK) return PULMO_OK;
    return pulmo_fail(worst, "%llu of %llu trials failed; %s/sweep.csv says why", (unsigned long long)failed, (unsigned long long)s->count,
                      s->options->config->train.run_dir);
}

pulmo_status pulmo_sweep(pulmo_comm *comm, const pulmo_sweep_options *options)
{
    sweep s = {.comm = comm, .options = options, .grid = options->grid, .count = pulmo_grid_trials(options->grid)};
    pulmo_interrupt_listen();
    pulmo_status status = pulmo_agree(comm, plan_local(&s));
    if (status == PULMO_OK) status = run_all(&s);
    for (uint64_t t = 0; s.trials && t < s.count; t++) free(s.trials[t].name);
    free(s.trials);
    return status;
}
