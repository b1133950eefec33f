/* A sweep: one ordinary training run for each point of a grid, in a directory named after its
 * values; the first on all ranks, the others on groups of them side by side where that is faster.
 * What is finished is kept, so that the same command goes on where it was. A trial that fails is
 * told of and the rest goes on. */
#include "sweep_room.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/file.h"
#include "pulmo/h5.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

#define NAME_BYTES 160

/* ---- names and settings ---- */

/* "optim.lr=0.001,train.seed=2", fit for a file's name; a long one is cut and made unique by a
 * digest. */
static char *name_of(const pulmo_grid *grid, uint64_t trial)
{
    pulmo_text whole;
    char *text = NULL;
    if (pulmo_text_open(&whole) != PULMO_OK)
        return NULL;
    for (int a = 0; a < grid->axes; a++)
        fprintf(whole.stream, "%s%s=%s", a ? "," : "", grid->axis[a].key,
                grid->axis[a].value[pulmo_grid_value_of(grid, trial, a)]);
    if (grid->axes == 0)
        fputs("only", whole.stream);
    if (pulmo_text_take(&whole, &text) != PULMO_OK)
        return NULL;
    size_t length = strlen(text);
    bool changed = length > NAME_BYTES;
    pulmo_digest digest = pulmo_digest_of(text, length);
    for (char *c = text; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr(".,=+-_[]", *c))
            continue;
        changed = changed || *c != ' '; /* blanks alone make no two values one */
        *c = '_';
    }
    if (!changed)
        return text;
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
    int wrote = snprintf(out->train.run_dir, sizeof out->train.run_dir, "%s/%s",
                         s->options->config->train.run_dir, s->trials[trial].name);
    if (wrote > 0 && (size_t)wrote < sizeof out->train.run_dir)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG, "train.run_dir: \"%.60s...\" is too long for a sweep's trials",
                      s->options->config->train.run_dir);
}

/* ---- what is finished already ---- */

/* The digest that a run's results hold of its data. */
static pulmo_status data_digest(const char *path, char hex[PULMO_DIGEST_HEX])
{
    char all[PULMO_SPLITS * PULMO_DIGEST_HEX] = "";
    for (int i = 0; i < PULMO_SPLITS; i++) {
        pulmo_dataset *dataset = NULL;
        PULMO_TRY(pulmo_dataset_open(path, pulmo_split_name(i), i > 0, &dataset));
        size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s%s", i ? " " : "",
                 pulmo_dataset_info_of(dataset)->digest_hex);
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
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = data_digest(data, hex);
    if (status == PULMO_OK)
        status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = pulmo_h5_get_text(file, "/", "data_sha256", &theirs);
    if (status == PULMO_OK && strcmp(hex, theirs) != 0)
        status = pulmo_fail(PULMO_CONFIG, "holds a finished run on other data; choose another "
                                          "train.run_dir, or give --overwrite");
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
    pulmo_status status = path ? pulmo_config_read_stored(&theirs, path) : PULMO_MEMORY;
    if (status == PULMO_OK) {
        differences = pulmo_config_differences(config, &theirs);
        if (!differences)
            status = pulmo_fail(PULMO_MEMORY, "out of memory for a trial");
    }
    if (status == PULMO_OK && *differences)
        status = pulmo_fail(PULMO_CONFIG,
                            "holds a finished run of other settings (%.300s); choose another "
                            "train.run_dir, or give --overwrite",
                            differences);
    free(differences);
    free(path);
    return status == PULMO_OK ? check_data(config->train.run_dir, config->data.path) : status;
}

/* ---- one trial ---- */

/* A run's last lines, which are on stdout, go to a file beside its results: the sweep's stdout is
 * its table. */
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
            if (kept < 0 || dup2(file, STDOUT_FILENO) < 0)
                status = pulmo_fail(PULMO_IO, "%s: %s", path, strerror(errno));
        }
        free(path);
    }
    status = pulmo_agree(s->comm, status);
    if (status == PULMO_OK)
        status = pulmo_train(s->comm, config, s->options->overwrite, s->options->report);
    if (kept >= 0) {
        fflush(stdout);
        dup2(kept, STDOUT_FILENO);
        close(kept);
    }
    if (file >= 0)
        close(file);
    return status;
}

static void note_failure(const sweep *s, sweep_trial *trial)
{
    trial->state = SWEEP_FAILED;
    snprintf(trial->reason, sizeof trial->reason, "%s", pulmo_error());
    for (char *c = trial->reason; *c; c++)
        if (*c == '\n')
            *c = ' ';
    if (pulmo_comm_rank(s->comm) == 0)
        pulmo_warn("  %s failed: %s", trial->name, trial->reason);
}

/* Whether this command is to train a trial, of which rank 0 knows how it stands. Those of other
 * parts are only looked at. */
static bool is_ours(const sweep *s, uint64_t number)
{
    return number % (uint64_t)s->options->parts == (uint64_t)s->options->part;
}

static pulmo_status look_at(sweep *s, uint64_t number)
{
    sweep_trial *trial = &s->trials[number];
    pulmo_config config;
    PULMO_TRY(config_of(s, number, &config));
    if ((s->options->overwrite && is_ours(s, number)) ||
        !pulmo_results_finished(config.train.run_dir))
        return PULMO_OK;
    trial->state = SWEEP_FINISHED;
    if (check_same(&config) != PULMO_OK ||
        sweep_read_trial(config.train.run_dir, trial) != PULMO_OK) {
        if (is_ours(s, number))
            note_failure(s, trial);
        else
            trial->state = SWEEP_WAITING;
        pulmo_error_clear();
    }
    return PULMO_OK;
}

/* What others, at work beside us, have finished meanwhile; then the tables. By the rank 0 of a
 * group. */
static pulmo_status write_tables(sweep *s, FILE *out)
{
    for (uint64_t t = 0; t < s->count; t++)
        if (s->trials[t].state == SWEEP_WAITING)
            PULMO_TRY(look_at(s, t));
    return sweep_write_tables(s, out);
}

/* A trial as rank `root` knows it, to all. */
static pulmo_status share_trial(const sweep *s, uint64_t number, int root)
{
    sweep_trial *trial = &s->trials[number];
    const pulmo_field fields[] = {
        PULMO_FIELD(trial->state),    PULMO_FIELD(trial->reason),
        PULMO_FIELD(trial->status),   PULMO_FIELD(trial->best_epoch),
        PULMO_FIELD(trial->val_loss), PULMO_FIELD(trial->val_accuracy),
        PULMO_FIELD(trial->val_auc),  PULMO_FIELD(trial->test_accuracy),
        PULMO_FIELD(trial->test_auc), PULMO_FIELD(trial->head_digest),
    };
    int count = (int)(sizeof fields / sizeof fields[0]);
    return pulmo_bcast_fields(s->comm, fields, count, root);
}

static void say_what_came(const sweep *s, uint64_t number, const sweep_trial *trial, double began_s)
{
    if (trial->state == SWEEP_FINISHED)
        pulmo_info("  %llu of %llu: val acc %.4f  auc %.4f  loss %.4f (epoch %lld), %.1f s",
                   (unsigned long long)number + 1, (unsigned long long)s->count,
                   trial->val_accuracy, trial->val_auc, trial->val_loss,
                   (long long)trial->best_epoch, pulmo_now_s() - began_s);
}

/* Failures are noted; only what ends the sweep is returned. */
static pulmo_status run_trial(sweep *s, uint64_t number)
{
    sweep_trial *trial = &s->trials[number];
    pulmo_config config;
    double began_s = pulmo_now_s();
    int rank = pulmo_comm_rank(s->comm), size = pulmo_comm_size(s->comm);
    PULMO_TRY(pulmo_agree(s->comm, config_of(s, number, &config)));
    if (!s->beside)
        pulmo_info("%s", trial->name);
    if (s->quiet && s->options->level == PULMO_LOG_NORMAL)
        pulmo_log_setup(PULMO_LOG_QUIET, rank, size);
    pulmo_status status = train_aside(s, &config);
    pulmo_log_setup(s->options->level, rank, size);
    if (status == PULMO_INTERRUPTED || status == PULMO_MPI)
        return status;
    s->quiet = true;
    trial->state = SWEEP_FINISHED;
    if (status == PULMO_OK && rank == 0)
        status = sweep_read_trial(config.train.run_dir, trial);
    if (status != PULMO_OK)
        note_failure(s, trial);
    trial->status = status;
    say_what_came(s, number, trial, began_s);
    pulmo_error_clear();
    status = pulmo_agree(s->comm, rank == 0 ? write_tables(s, NULL) : PULMO_OK);
    if (status == PULMO_OK && pulmo_any(s->comm, pulmo_interrupt_wanted()))
        status =
            pulmo_fail(PULMO_INTERRUPTED,
                       "interrupted after trial %llu of %llu; run the same command again to go on",
                       (unsigned long long)number + 1, (unsigned long long)s->count);
    return status;
}

/* ---- side by side ---- */

/* Group g of G has the ranks r with r G / size = g. */
static int group_of(int rank, int groups, int size)
{
    return (int)((int64_t)rank * groups / size);
}
static int first_of(int group, int groups, int size)
{
    return (int)(((int64_t)group * size + groups - 1) / groups);
}

/* The i-th trial of the list belongs to group i mod groups. */
static pulmo_status run_groups(sweep *s, const uint64_t *list, uint64_t count, int groups)
{
    int size = pulmo_comm_size(s->comm), rank = pulmo_comm_rank(s->comm),
        group = group_of(rank, groups, size);
    sweep own = *s;
    own.beside = own.quiet = true;
    pulmo_info("%llu trials on %d groups of ranks, side by side", (unsigned long long)count,
               groups);
    PULMO_TRY(pulmo_comm_split(s->comm, group, &own.comm));
    pulmo_status status = PULMO_OK;
    for (uint64_t i = (uint64_t)group; status == PULMO_OK && i < count; i += (uint64_t)groups)
        status = run_trial(&own, list[i]);
    pulmo_comm_join(own.comm);
    pulmo_log_setup(s->options->level, rank, size);
    PULMO_TRY(pulmo_agree(s->comm, status));
    for (uint64_t i = 0; i < count; i++)
        PULMO_TRY(share_trial(s, list[i], first_of((int)(i % (uint64_t)groups), groups, size)));
    return PULMO_OK;
}

/* From a bank a batch is little more than the update, which ranks do not share: trials side by side
 * waste nothing. */
static int groups_for(const sweep *s, uint64_t count)
{
    int size = pulmo_comm_size(s->comm), most = s->options->at_once;
    if (most == 0)
        most = s->options->config->train.features == PULMO_FEATURES_BANK ? size : 1;
    if (most > size)
        most = size;
    return (uint64_t)most > count ? (int)count : most;
}

/* ---- all of them ---- */

static pulmo_status plan_local(sweep *s)
{
    const pulmo_config *config = s->options->config;
    if (!*config->train.run_dir)
        return pulmo_fail(PULMO_CONFIG, "train.run_dir is not set; give the directory for the "
                                        "sweep's runs, in the configuration or as "
                                        "--set train.run_dir=DIR");
    if (s->options->parts < 1 || s->options->part < 0 || s->options->part >= s->options->parts ||
        s->options->at_once < 0)
        return pulmo_fail(
            PULMO_USAGE,
            "part %d of %d, %d at once: parts count from 0, and there must be one at least",
            s->options->part, s->options->parts, s->options->at_once);
    if (s->count > PULMO_SWEEP_TRIALS)
        return pulmo_fail(PULMO_CONFIG, "the grid has %llu trials; at most %d",
                          (unsigned long long)s->count, PULMO_SWEEP_TRIALS);
    s->trials = calloc(s->count, sizeof *s->trials);
    if (!s->trials)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the trials");
    for (uint64_t t = 0; t < s->count; t++) {
        pulmo_config trial;
        s->trials[t].name = name_of(s->grid, t);
        if (!s->trials[t].name)
            return PULMO_MEMORY;
        PULMO_TRY(config_of(s, t, &trial));
    }
    return pulmo_comm_rank(s->comm) == 0 ? pulmo_directory_make(config->train.run_dir) : PULMO_OK;
}

static void announce(const sweep *s)
{
    const pulmo_config *config = s->options->config;
    pulmo_info("sweep: %llu trial%s below %s; after the first a line each (-v: all they say)",
               (unsigned long long)s->count, s->count == 1 ? "" : "s", config->train.run_dir);
    if (s->options->parts > 1)
        pulmo_info("part %d of %d: every %dth of them, counted from %d", s->options->part,
                   s->options->parts, s->options->parts, s->options->part + 1);
    for (int a = 0; a < s->grid->axes; a++)
        if (strcmp(s->grid->axis[a].key, "train.seed") == 0 && s->grid->axis[a].count > 1 &&
            config->train.features == PULMO_FEATURES_BANK && config->bank.seed < 0)
            pulmo_info(
                "note: each seed has a feature bank of its own; with bank.seed: 0 they share one");
}

/* The first trial has all ranks, which build the bank; the rest goes on in groups. */
static pulmo_status run_list(sweep *s, const uint64_t *list, uint64_t count)
{
    if (count == 0)
        return PULMO_OK;
    PULMO_TRY(run_trial(s, list[0]));
    int groups = groups_for(s, count - 1);
    if (groups > 1)
        return run_groups(s, list + 1, count - 1, groups);
    for (uint64_t i = 1; i < count; i++)
        PULMO_TRY(run_trial(s, list[i]));
    return PULMO_OK;
}

static pulmo_status run_ours(sweep *s)
{
    uint64_t *list = malloc(s->count * sizeof *list), count = 0;
    pulmo_status status =
        list ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory for the trials");
    bool root = pulmo_comm_rank(s->comm) == 0;
    for (uint64_t t = 0; root && status == PULMO_OK && t < s->count; t++)
        status = look_at(s, t);
    status = pulmo_agree(s->comm, status);
    for (uint64_t t = 0; status == PULMO_OK && t < s->count; t++) {
        status = share_trial(s, t, 0);
        if (s->trials[t].state == SWEEP_WAITING && is_ours(s, t))
            list[count++] = t;
    }
    if (status == PULMO_OK)
        status = run_list(s, list, count);
    free(list);
    return status;
}

static pulmo_status run_all(sweep *s)
{
    pulmo_status worst = PULMO_OK;
    uint64_t failed = 0;
    announce(s);
    PULMO_TRY(run_ours(s));
    bool root = pulmo_comm_rank(s->comm) == 0;
    PULMO_TRY(pulmo_agree(s->comm, root ? write_tables(s, stdout) : PULMO_OK));
    for (uint64_t t = 0; t < s->count; t++) {
        if (s->trials[t].state != SWEEP_FAILED)
            continue;
        if (failed++ == 0)
            worst = s->trials[t].status == PULMO_OK ? PULMO_CONFIG : s->trials[t].status;
    }
    if (worst == PULMO_OK)
        return PULMO_OK;
    return pulmo_fail(worst, "%llu of %llu trials failed; %s/sweep.csv says why",
                      (unsigned long long)failed, (unsigned long long)s->count,
                      s->options->config->train.run_dir);
}

pulmo_status pulmo_sweep(pulmo_comm *comm, const pulmo_sweep_options *options)
{
    sweep s = {.comm = comm,
               .options = options,
               .grid = options->grid,
               .count = pulmo_grid_trials(options->grid)};
    pulmo_interrupt_listen();
    pulmo_status status = pulmo_agree(comm, plan_local(&s));
    if (status == PULMO_OK)
        status = run_all(&s);
    for (uint64_t t = 0; s.trials && t < s.count; t++)
        free(s.trials[t].name);
    free(s.trials);
    return status;
}
