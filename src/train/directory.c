/* The run directory: whose it is, its configuration, and what an earlier run left there. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "run.h"

/* What processes that were killed had begun to write: each may be as large as a checkpoint. */
static void remove_leftovers(const run *r)
{
    pulmo_results_remove_leftovers(r->directory);
    pulmo_file_remove_leftovers(r->directory, "checkpoint.h5");
    pulmo_file_remove_leftovers(r->directory, "config.yaml");
}

/* Results that cannot be read may be a finished run's, which is not to be trained anew over what is
 * left of it. With a checkpoint they are written again, to the same bytes. */
static pulmo_status explain_unread(const run *r, pulmo_status status)
{
    bool there = false;
    char *path = pulmo_format("%s/checkpoint.h5", r->directory);
    if (!path)
        return PULMO_MEMORY;
    pulmo_failure why;
    pulmo_failure_keep(&why, status);
    status = pulmo_file_look(path, &there);
    free(path);
    PULMO_TRY(status);
    if (there) {
        pulmo_warn("%s; it is written anew from the checkpoint", why.report);
        return PULMO_OK;
    }
    status = pulmo_failure_raise(&why);
    return pulmo_fail_in(status,
                         "%s holds a run whose results cannot be read, and no checkpoint to write "
                         "them from (restore the file from a copy, choose another train.run_dir, "
                         "or give --overwrite)",
                         r->directory);
}

static pulmo_status check_unfinished(const run *r)
{
    bool finished = false;
    pulmo_status status = pulmo_results_finished(r->directory, &finished);
    if (status == PULMO_DATA)
        status = explain_unread(r, status);
    PULMO_TRY(status);
    if (!finished)
        return PULMO_OK;
    return pulmo_fail(PULMO_USAGE,
                      "%s holds a finished run; choose another train.run_dir, or give "
                      "--overwrite to replace it",
                      r->directory);
}

pulmo_status run_prepare_directory(run *r)
{
    PULMO_TRY(pulmo_directory_make(r->directory));
    PULMO_TRY(lease_take(r->directory, &r->lease));
    remove_leftovers(r);
    return r->replaces ? PULMO_OK : check_unfinished(r);
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
