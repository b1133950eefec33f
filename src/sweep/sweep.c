/* A sweep: one ordinary training run for each point of a grid, in a directory named after its
 * values; the first on all ranks, the others on groups of them side by side where that is faster.
 * What is finished is kept, so that the same command resumes a sweep. A trial that fails is
 * reported, and the others are trained. */
#include "sweep_room.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/file.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

/* ---- one trial ---- */

/* Where stdout was, while a trial's last lines go to a file. */
typedef struct diversion {
    int kept, file; /* -1: none */
    char *path;     /* of the file; a name of its own until the trial has ended well */
} diversion;

static pulmo_status divert_stdout(const char *directory, diversion *to)
{
    PULMO_TRY(pulmo_directory_make(directory));
    to->path = pulmo_format("%s/output.txt.new", directory);
    if (!to->path)
        return PULMO_MEMORY;
    fflush(stdout);
    to->file = open(to->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (to->file >= 0)
        to->kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (to->kept < 0 || dup2(to->file, STDOUT_FILENO) < 0)
        return pulmo_fail(PULMO_IO, "%s: %s", to->path, strerror(errno));
    return PULMO_OK;
}

/* output.txt, or nothing where the trial has failed. */
static void keep_output(diversion *of, bool ended_well)
{
    const char *ending = strrchr(of->path, '.');
    char *path = pulmo_format("%.*s", (int)(ending - of->path), of->path);
    if (!ended_well || !path || rename(of->path, path) != 0)
        unlink(of->path);
    free(path);
    free(of->path);
}

static void restore_stdout(diversion *from, bool ended_well)
{
    if (from->kept >= 0) {
        fflush(stdout);
        dup2(from->kept, STDOUT_FILENO);
        close(from->kept);
    }
    if (from->file >= 0)
        close(from->file);
    if (from->path)
        keep_output(from, ended_well);
}

/* A run's last lines, which are on stdout, go to a file beside its results: the sweep's stdout is
 * its table. */
static pulmo_status train_aside(const sweep *s, const pulmo_config *config)
{
    diversion aside = {.kept = -1, .file = -1};
    pulmo_status status = PULMO_OK;
    if (pulmo_comm_rank(s->comm) == 0)
        status = divert_stdout(config->train.run_dir, &aside);
    status = pulmo_agree(s->comm, status);
    if (status == PULMO_OK)
        status = pulmo_train(s->comm, config, s->options->overwrite, s->options->report);
    restore_stdout(&aside, status == PULMO_OK);
    return status;
}

static void note_failure(const sweep *s, sweep_trial *trial)
{
    trial->state = SWEEP_FAILED;
    snprintf(trial->reason, sizeof trial->reason, "%s", pulmo_error());
    for (char *c = trial->reason; *c; c++) {
        if (*c == '\n')
            *c = ' ';
    }
    if (pulmo_comm_rank(s->comm) == 0)
        pulmo_warn("  %s failed: %s", trial->name, trial->reason);
}

/* Whether this command is to train a trial. Those of other parts are only looked at. */
static bool is_ours(const sweep *s, uint64_t number)
{
    return number % (uint64_t)s->options->parts == (uint64_t)s->options->part;
}

/* Reads the figures of a finished run, which must be the one that would be trained now. */
static void take_finished(sweep *s, uint64_t number, const pulmo_config *config)
{
    sweep_trial *trial = &s->trials[number];
    trial->state = SWEEP_FINISHED;
    pulmo_status status = sweep_made_now(config, &s->made);
    if (status == PULMO_OK)
        status = sweep_check_same(config, &s->made);
    if (status == PULMO_OK)
        status = sweep_read_trial(config->train.run_dir, trial);
    if (status == PULMO_OK)
        return;
    note_failure(s, trial);
    if (!is_ours(s, number))
        trial->state = SWEEP_WAITING;
    pulmo_error_clear();
}

/* How a trial stands. By rank 0. */
static pulmo_status look_at_trial(sweep *s, uint64_t number)
{
    pulmo_config *config = NULL;
    PULMO_TRY(sweep_configure(s, number, &config));
    bool anew = s->options->overwrite && is_ours(s, number);
    bool finished = false;
    pulmo_status status = PULMO_OK;
    if (!anew)
        status = pulmo_results_finished(config->train.run_dir, &finished);
    if (finished)
        take_finished(s, number, config);
    free(config);
    if (status == PULMO_MEMORY)
        return status;
    pulmo_error_clear(); /* of results that cannot be read training knows what is to be done */
    return PULMO_OK;
}

/* What others, at work beside us, have finished meanwhile; then the tables. By the rank 0 of a
 * group. */
static pulmo_status write_tables(sweep *s, FILE *out)
{
    for (uint64_t t = 0; t < s->count; t++) {
        if (s->trials[t].state == SWEEP_WAITING)
            PULMO_TRY(look_at_trial(s, t));
    }
    return sweep_write_tables(s, out);
}

/* A trial as rank `root` knows it, to all. */
static pulmo_status share_trial(const sweep *s, uint64_t number, int root)
{
    sweep_trial *trial = &s->trials[number];
    const pulmo_field fields[] = {
        PULMO_FIELD(trial->state),      PULMO_FIELD(trial->reason), PULMO_FIELD(trial->status),
        PULMO_FIELD(trial->best_epoch), PULMO_FIELD(trial->figure), PULMO_FIELD(trial->head_digest),
    };
    int count = (int)(sizeof fields / sizeof fields[0]);
    return pulmo_bcast_fields(s->comm, fields, count, root);
}

static void report_trial(const sweep *s, uint64_t number, double began_s)
{
    const sweep_trial *trial = &s->trials[number];
    if (trial->state != SWEEP_FINISHED)
        return;
    double took_s = pulmo_now_s() - began_s;
    pulmo_info("  %llu of %llu: val acc %.4f  auc %.4f  loss %.4f (epoch %lld), %.1f s",
               (unsigned long long)number + 1, (unsigned long long)s->count,
               trial->figure[SWEEP_VAL_ACCURACY], trial->figure[SWEEP_VAL_AUC],
               trial->figure[SWEEP_VAL_LOSS], (long long)trial->best_epoch, took_s);
}

/* Failures are noted; only what ends the sweep is returned. */
static pulmo_status train_trial(sweep *s, uint64_t number, const pulmo_config *config)
{
    sweep_trial *trial = &s->trials[number];
    double began_s = pulmo_now_s();
    int rank = pulmo_comm_rank(s->comm), size = pulmo_comm_size(s->comm);
    if (!s->beside)
        pulmo_info("%s", trial->name);
    if (s->quiet && s->options->level == PULMO_LOG_NORMAL)
        pulmo_log_setup(PULMO_LOG_QUIET, rank, size);
    pulmo_status status = train_aside(s, config);
    pulmo_log_setup(s->options->level, rank, size);
    if (status == PULMO_INTERRUPTED || status == PULMO_MPI)
        return status;
    s->quiet = true;
    trial->state = SWEEP_FINISHED;
    if (status == PULMO_OK && rank == 0)
        status = sweep_read_trial(config->train.run_dir, trial);
    if (status != PULMO_OK)
        note_failure(s, trial);
    trial->status = status;
    report_trial(s, number, began_s);
    pulmo_error_clear();
    return PULMO_OK;
}

/* The tables, without what an earlier sweep left of folds that are trained anew. */
static pulmo_status write_after_trial(sweep *s)
{
    PULMO_TRY(write_tables(s, NULL));
    return sweep_remove_folds(s);
}

/* A trial that was stopped has taken an older one's place, or has left all as it was. By rank 0;
 * the report stays that of the stop. */
static void write_after_stop(sweep *s, const pulmo_config *config)
{
    bool finished = false;
    pulmo_failure stopped;
    pulmo_failure_keep(&stopped, PULMO_INTERRUPTED);
    pulmo_status status = pulmo_results_finished(config->train.run_dir, &finished);
    if (status == PULMO_OK && !finished)
        status = write_after_trial(s);
    if (status != PULMO_OK)
        pulmo_warn("%s", pulmo_error());
    pulmo_failure_raise(&stopped);
}

static pulmo_status run_trial(sweep *s, uint64_t number)
{
    pulmo_config *config = NULL;
    bool root = pulmo_comm_rank(s->comm) == 0;
    pulmo_status status = pulmo_agree(s->comm, sweep_configure(s, number, &config));
    if (status == PULMO_OK)
        status = train_trial(s, number, config);
    if (status == PULMO_INTERRUPTED && root)
        write_after_stop(s, config);
    free(config);
    PULMO_TRY(status);
    if (root)
        status = write_after_trial(s);
    PULMO_TRY(pulmo_agree(s->comm, status));
    if (!pulmo_any(s->comm, pulmo_interrupt_wanted()))
        return PULMO_OK;
    return pulmo_fail(
        PULMO_INTERRUPTED,
        "interrupted after trial %llu of %llu; run the same command again%s to resume",
        (unsigned long long)number + 1, (unsigned long long)s->count,
        s->options->overwrite ? " without --overwrite" : "");
}

/* ---- side by side ---- */

/* Group g of G has the ranks r with r G / size = g. */
static int group_of_rank(int rank, int groups, int size)
{
    return (int)((int64_t)rank * groups / size);
}
static int first_rank_of(int group, int groups, int size)
{
    return (int)(((int64_t)group * size + groups - 1) / groups);
}

/* The i-th trial of the list belongs to group i mod groups. */
static pulmo_status share_groups(const sweep *s, const uint64_t *list, uint64_t count, int groups)
{
    int size = pulmo_comm_size(s->comm);
    for (uint64_t i = 0; i < count; i++) {
        int group = (int)(i % (uint64_t)groups);
        PULMO_TRY(share_trial(s, list[i], first_rank_of(group, groups, size)));
    }
    return PULMO_OK;
}

static pulmo_status run_groups(sweep *s, const uint64_t *list, uint64_t count, int groups)
{
    int size = pulmo_comm_size(s->comm), rank = pulmo_comm_rank(s->comm);
    int group = group_of_rank(rank, groups, size);
    sweep own = *s;
    own.beside = true;
    own.quiet = true;
    pulmo_info("%llu trials on %d groups of ranks, side by side", (unsigned long long)count,
               groups);
    PULMO_TRY(pulmo_comm_split(s->comm, group, &own.comm));
    pulmo_status status = PULMO_OK;
    for (uint64_t i = (uint64_t)group; status == PULMO_OK && i < count; i += (uint64_t)groups)
        status = run_trial(&own, list[i]);
    pulmo_comm_join(own.comm);
    pulmo_log_setup(s->options->level, rank, size);
    PULMO_TRY(pulmo_agree(s->comm, status));
    return share_groups(s, list, count, groups);
}

/* From a bank a batch is little more than the update, which ranks do not share: trials side by side
 * waste nothing. */
static int groups_for(const sweep *s, uint64_t count)
{
    int size = pulmo_comm_size(s->comm);
    int most = s->options->at_once;
    bool from_bank = s->options->config->train.features == PULMO_FEATURES_BANK;
    if (most == 0)
        most = from_bank ? size : 1;
    if (most > size)
        most = size;
    return (uint64_t)most > count ? (int)count : most;
}

/* ---- all of them ---- */

static pulmo_status check_options(const sweep *s)
{
    const pulmo_sweep_options *o = s->options;
    if (!*o->config->train.run_dir)
        return pulmo_fail(PULMO_CONFIG, "train.run_dir is not set; give the directory for the "
                                        "sweep's runs, in the configuration or as "
                                        "--set train.run_dir=DIR");
    bool no_part = o->parts < 1 || o->part < 0 || o->part >= o->parts;
    if (no_part || o->at_once < 0)
        return pulmo_fail(
            PULMO_USAGE,
            "part %d of %d, %d at once: parts count from 0, and there must be at least one",
            o->part, o->parts, o->at_once);
    if (s->count > SWEEP_TRIALS_MAX)
        return pulmo_fail(PULMO_CONFIG, "the grid has %llu trials; at most %d",
                          (unsigned long long)s->count, SWEEP_TRIALS_MAX);
    return PULMO_OK;
}

/* Names all trials, and makes sure of their configurations before any of them is trained. */
static pulmo_status plan_local(sweep *s)
{
    PULMO_TRY(check_options(s));
    s->trials = calloc(s->count, sizeof *s->trials);
    if (!s->trials)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the trials");
    for (uint64_t t = 0; t < s->count; t++) {
        pulmo_config *config = NULL;
        s->trials[t].name = sweep_name(s->grid, t, -1);
        if (!s->trials[t].name)
            return PULMO_MEMORY;
        PULMO_TRY(sweep_configure(s, t, &config));
        free(config);
    }
    if (pulmo_comm_rank(s->comm) != 0)
        return PULMO_OK;
    PULMO_TRY(sweep_check_data(s));
    return pulmo_directory_make(s->options->config->train.run_dir);
}

/* Banks are keyed by the seed of their augmentations. */
static void note_banks(const sweep *s)
{
    const pulmo_config *config = s->options->config;
    bool bank_a_seed = config->train.features == PULMO_FEATURES_BANK && config->bank.seed < 0;
    if (bank_a_seed && sweep_axis_of(s->grid, "train.seed") >= 0)
        pulmo_info(
            "note: each seed has a feature bank of its own; with bank.seed: 0 they share one");
}

static void announce(const sweep *s)
{
    const pulmo_sweep_options *o = s->options;
    const char *plural = pulmo_plural(s->count);
    pulmo_info("sweep: %llu trial%s below %s; after the first a line each (-v: all they say)",
               (unsigned long long)s->count, plural, o->config->train.run_dir);
    if (o->parts > 1)
        pulmo_info("part %d of %d: every %dth of them, counted from %d", o->part, o->parts,
                   o->parts, o->part + 1);
    note_banks(s);
}

/* The first trial has all ranks, which build the bank; the others are trained in groups. */
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

/* All ranks learn how each trial stands. Collective. */
static pulmo_status look_at_all(sweep *s)
{
    bool root = pulmo_comm_rank(s->comm) == 0;
    pulmo_status status = PULMO_OK;
    for (uint64_t t = 0; root && status == PULMO_OK && t < s->count; t++)
        status = look_at_trial(s, t);
    PULMO_TRY(pulmo_agree(s->comm, status));
    for (uint64_t t = 0; t < s->count; t++)
        PULMO_TRY(share_trial(s, t, 0));
    return PULMO_OK;
}

static pulmo_status run_ours(sweep *s)
{
    pulmo_status status = PULMO_OK;
    uint64_t count = 0;
    uint64_t *list = pulmo_calloc_agreed(s->comm, s->count * sizeof *list,
                                         "out of memory for the trials", &status);
    if (!list)
        return status;
    status = look_at_all(s);
    for (uint64_t t = 0; status == PULMO_OK && t < s->count; t++) {
        if (s->trials[t].state == SWEEP_WAITING && is_ours(s, t))
            list[count++] = t;
    }
    if (status == PULMO_OK)
        status = run_list(s, list, count);
    free(list);
    return status;
}

/* The status of the first trial that failed, and how many did. */
static pulmo_status count_failed(const sweep *s, uint64_t *failed)
{
    pulmo_status first = PULMO_OK;
    for (uint64_t t = 0; t < s->count; t++) {
        const sweep_trial *trial = &s->trials[t];
        if (trial->state != SWEEP_FAILED)
            continue;
        pulmo_status status = trial->status == PULMO_OK ? PULMO_CONFIG : trial->status;
        if (first == PULMO_OK)
            first = status;
        ++*failed;
    }
    return first;
}

static pulmo_status run_all(sweep *s)
{
    pulmo_status status = PULMO_OK;
    announce(s);
    PULMO_TRY(run_ours(s));
    if (pulmo_comm_rank(s->comm) == 0)
        status = write_tables(s, stdout);
    if (pulmo_comm_rank(s->comm) == 0 && status == PULMO_OK)
        status = sweep_write_folds(s, stdout);
    PULMO_TRY(pulmo_agree(s->comm, status));
    uint64_t failed = 0;
    status = count_failed(s, &failed);
    if (status == PULMO_OK)
        return PULMO_OK;
    return pulmo_fail(status, "%llu of %llu trial%s failed; %s/sweep.csv says why",
                      (unsigned long long)failed, (unsigned long long)s->count,
                      pulmo_plural(s->count), s->options->config->train.run_dir);
}

pulmo_status pulmo_sweep(pulmo_comm *comm, const pulmo_sweep_options *options)
{
    sweep s = {.comm = comm,
               .options = options,
               .grid = options->grid,
               .count = pulmo_grid_trials(options->grid)};
    pulmo_spent_begin(&s.spent);
    pulmo_interrupt_listen();
    pulmo_status status = pulmo_agree(comm, plan_local(&s));
    if (status == PULMO_OK)
        status = run_all(&s);
    for (uint64_t t = 0; s.trials && t < s.count; t++)
        free(s.trials[t].name);
    free(s.trials);
    return status;
}
