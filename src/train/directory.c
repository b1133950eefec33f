/* The run directory: whose it is, its configuration, and what an earlier run left there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"
#include "run.h"

/* X(name): what a run and its report write. Results first: without them the rest is no run. */
#define RUN_FILE_LIST(X)                                                                           \
    X("results.h5")                                                                                \
    X("report.html")                                                                               \
    X("MODEL_CARD.md")                                                                             \
    X("predictions.csv")                                                                           \
    X("history.csv")                                                                               \
    X("model.h5")

/* What processes that were killed had begun to write: each may be as large as a checkpoint. */
static void remove_leftovers(const run *r)
{
#define X(name) name,
    static const char *const names[] = {RUN_FILE_LIST(X) "checkpoint.h5", "config.yaml"};
#undef X
    for (size_t i = 0; i < PULMO_COUNT_OF(names); i++)
        pulmo_file_remove_leftovers(r->directory, names[i]);
}

pulmo_status run_prepare_directory(run *r)
{
    PULMO_TRY(pulmo_directory_make(r->directory));
    PULMO_TRY(lease_take(r->directory, &r->lease));
    remove_leftovers(r);
    if (!r->replaces && pulmo_results_finished(r->directory))
        return pulmo_fail(PULMO_USAGE,
                          "%s holds a finished run; choose another train.run_dir, or give "
                          "--overwrite to replace it",
                          r->directory);
    return PULMO_OK;
}

static pulmo_status remove_file(const run *r, const char *name)
{
    char *path = pulmo_format("%s/%s", r->directory, name);
    pulmo_status status = PULMO_OK;
    if (!path)
        return PULMO_MEMORY;
    if (remove(path) != 0 && errno != ENOENT)
        status = pulmo_fail(PULMO_IO, "%s: cannot remove what --overwrite replaces: %s", path,
                            strerror(errno));
    free(path);
    return status;
}

pulmo_status run_remove_replaced(const run *r)
{
#define X(name) name,
    static const char *const names[] = {RUN_FILE_LIST(X)};
#undef X
    for (size_t i = 0; i < PULMO_COUNT_OF(names); i++)
        PULMO_TRY(remove_file(r, names[i]));
    return PULMO_OK;
}

pulmo_status run_write_config(const run *r)
{
    char *path = pulmo_format("%s/config.yaml", r->directory);
    char *echo = pulmo_config_echo(r->config);
    pulmo_status status = PULMO_MEMORY;
    if (path && echo)
        status = pulmo_file_write(path, echo, strlen(echo));
    free(path);
    free(echo);
    return status;
}
