/* A run trained again from what its results say of it, and compared with them epoch by epoch. */
#include "pulmo/reproduce.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/text.h"
#include "run.h"

/* ---- the run that is to be reproduced ---- */

/* What may be another here than it was there; "": as the run tells. */
static void take_places(const pulmo_config *here, pulmo_config *config)
{
    if (*here->data.path)
        memcpy(config->data.path, here->data.path, sizeof config->data.path);
    if (*here->model.weights)
        memcpy(config->model.weights, here->model.weights, sizeof config->model.weights);
    if (*here->bank.path)
        memcpy(config->bank.path, here->bank.path, sizeof config->bank.path);
    config->train.threads = here->train.threads;
    config->train.loader_threads = here->train.loader_threads;
    config->train.exchange = here->train.exchange;
    config->train.checkpoint_batches = here->train.checkpoint_batches;
    config->train.checkpoint_seconds = here->train.checkpoint_seconds;
    config->train.stall_seconds = here->train.stall_seconds;
    config->train.time_limit_seconds = here->train.time_limit_seconds;
}

static pulmo_status open_record(const pulmo_reproduce_options *o, record *it)
{
    PULMO_TRY(record_open(o->run, it));
    if (o->epochs > 0 && (uint32_t)o->epochs > it->made.epochs)
        return pulmo_fail(PULMO_USAGE, "--epochs %d: %s has %u epoch%s; at most that", o->epochs,
                          o->run, it->made.epochs, pulmo_plural(it->made.epochs));
    take_places(o->config, &it->made.config);
    if (*it->made.config.data.path)
        return PULMO_OK;
    return pulmo_fail(PULMO_USAGE, "%s: does not say where its data was; give it with --data",
                      o->run);
}

/* ---- where it is trained ---- */

static pulmo_status set_place(const char *path, pulmo_config *config)
{
    size_t bytes = strlen(path) + 1;
    if (bytes > sizeof config->train.run_dir)
        return pulmo_fail(PULMO_USAGE, "%s: the path is too long", path);
    memcpy(config->train.run_dir, path, bytes);
    return PULMO_OK;
}

static pulmo_status check_place(const pulmo_reproduce_options *o, const char *path)
{
    if (pulmo_file_is_inside(path, o->run))
        return pulmo_fail(PULMO_USAGE,
                          "%s: lies in %s, where nothing is written; give another directory with "
                          "--out",
                          path, o->run);
    bool finished = false;
    if (o->out)
        PULMO_TRY(pulmo_results_finished(o->out, &finished));
    if (finished)
        return pulmo_fail(PULMO_USAGE,
                          "%s: holds a finished run; give another directory with --out", o->out);
    return PULMO_OK;
}

/* In the current directory, which all nodes see where they see a run directory. */
static pulmo_status make_place(const pulmo_reproduce_options *o, pulmo_config *config)
{
    char scratch[] = "pulmo-reproduce-XXXXXX";
    PULMO_TRY(check_place(o, o->out ? o->out : scratch));
    if (o->out)
        return set_place(o->out, config);
    if (!mkdtemp(scratch))
        return pulmo_fail(PULMO_IO,
                          "a scratch directory cannot be made here: %s; give another place with "
                          "--out",
                          strerror(errno));
    return set_place(scratch, config);
}

static void remove_place(const char *path)
{
    if (*path && !pulmo_directory_remove(path))
        pulmo_warn("%s: the scratch directory cannot be removed: %s", path, strerror(errno));
}

/* ---- training again ---- */

/* All that the run did, to its last lines. */
static bool is_whole(const run *r)
{
    const record_made *made = &r->record->made;
    return made->finished && r->epochs_most == made->epochs;
}

static void say_what_is_compared(const run *r)
{
    uint32_t epochs = r->epochs_most;
    uint32_t unknown = record_unknown(r->record, epochs);
    pulmo_info("reproducing %u epoch%s of %s", epochs, pulmo_plural(epochs), r->record->run);
    if (unknown > 0)
        pulmo_info("%s: %u of them %s from a pulmo that kept no digests of tensors: there the "
                   "history alone is compared",
                   r->record->run, unknown, pulmo_are(unknown));
}

/* A training that was kept and is resumed: its epochs so far. */
static pulmo_status check_resumed(const run *r)
{
    for (uint32_t e = 0; e < r->state.epoch && e < r->epochs_most; e++)
        PULMO_TRY(run_check_epoch(r, e));
    return PULMO_OK;
}

static pulmo_status prepare_to_compare(run *r)
{
    PULMO_TRY(record_read_digests(r->record, &r->network.layout));
    say_what_is_compared(r);
    return check_resumed(r);
}

/* The model and the scores of a whole run. */
static pulmo_status check_whole(const run *r)
{
    PULMO_TRY(record_check_head(r->record, r->head_digest));
    if (val_info(r)->count > 0)
        PULMO_TRY(record_check_scores(r->record, &r->scores.val));
    if (test_info(r)->count > 0)
        PULMO_TRY(record_check_scores(r->record, &r->scores.test));
    return PULMO_OK;
}

/* The last lines of standard output. */
static void print_whole(const run *r)
{
    uint32_t epochs = r->epochs_most;
    uint32_t unknown = record_unknown(r->record, epochs);
    printf("reproduced: %u epoch%s", epochs, pulmo_plural(epochs));
    if (unknown > 0)
        printf(" (%u by history alone)", unknown);
    printf(", Head SHA-256 %s\n", r->head_digest);
}

static void print_part(const run *r)
{
    const record_made *made = &r->record->made;
    printf("reproduced: %u of %u epochs", r->epochs_most, made->epochs);
    if (made->finished && made->best_epoch <= r->epochs_most)
        printf(", Head SHA-256 %s", r->head_digest);
    if (!made->finished)
        printf(" of a run that has not finished");
    putchar('\n');
}

/* By rank 0. Not collective. */
static pulmo_status compare_end(run *r)
{
    const record_made *made = &r->record->made;
    bool has_best = made->finished && made->best_epoch <= r->epochs_most;
    if (is_whole(r)) {
        PULMO_TRY(check_whole(r));
        print_whole(r);
        return PULMO_OK;
    }
    run_digest_head(r);
    if (has_best)
        PULMO_TRY(record_check_head(r->record, r->head_digest));
    print_part(r);
    return PULMO_OK;
}

static pulmo_status train_again(run *r)
{
    PULMO_TRY(run_begin(r, false));
    PULMO_TRY(pulmo_agree(r->comm, is_root(r) ? prepare_to_compare(r) : PULMO_OK));
    PULMO_TRY(run_epochs(r));
    if (is_whole(r) && !r->selection.finished)
        return pulmo_fail(PULMO_DATA, "epoch %u: %s ended with it, this machine would train on",
                          r->state.epoch, r->record->run);
    if (is_whole(r))
        PULMO_TRY(run_finish(r));
    return pulmo_agree(r->comm, is_root(r) ? compare_end(r) : PULMO_OK);
}

static pulmo_status train_record(pulmo_comm *comm, const pulmo_reproduce_options *o, record *it)
{
    run *r = NULL;
    PULMO_TRY(run_create(comm, &it->made.config, &r));
    r->record = it;
    r->passing = !o->out;
    r->epochs_most = o->epochs > 0 ? (uint32_t)o->epochs : it->made.epochs;
    pulmo_status status = train_again(r);
    lease *owned = r->lease; /* on rank 0 */
    run_close(r);
    lease_release(owned);
    return status;
}

/* ---- all of it ---- */

static pulmo_status reproduce(pulmo_comm *comm, const pulmo_reproduce_options *o, record *it)
{
    const bool first = pulmo_comm_rank(comm) == 0;
    pulmo_config *config = &it->made.config;
    pulmo_status status = first ? open_record(o, it) : PULMO_OK;
    if (first && status == PULMO_OK)
        status = make_place(o, config);
    PULMO_TRY(pulmo_agree(comm, status));
    it->run = o->run;
    status = pulmo_bcast(comm, &it->made, sizeof it->made, 0);
    if (status == PULMO_OK)
        status = train_record(comm, o, it);
    if (o->out)
        return status;
    if (first)
        remove_place(config->train.run_dir);
    if (status == PULMO_INTERRUPTED)
        return pulmo_fail(status, "interrupted, and what was trained is removed; with --out DIR it "
                                  "is kept, and the same command resumes");
    return status;
}

pulmo_status pulmo_reproduce(pulmo_comm *comm, const pulmo_reproduce_options *options)
{
    pulmo_status status = PULMO_OK;
    record *it = pulmo_calloc_agreed(comm, sizeof *it, "cannot allocate the run's record", &status);
    if (!it)
        return status;
    status = reproduce(comm, options, it);
    record_close(it);
    free(it);
    return status;
}
