/* One of many ranks: which one, before MPI runs, who reports what is wrong, and MPI's start. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* ---- which rank ---- */

/* The first of these variables that the launcher has set; 0 without one. */
static int number_of(const char *const names[4])
{
    for (int i = 0; i < 4; i++) {
        const char *text = names[i] ? getenv(names[i]) : NULL;
        if (text)
            return atoi(text);
    }
    return 0;
}

int launched_rank(void)
{
    static const char *const names[4] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                         "SLURM_PROCID"};
    return number_of(names);
}

bool launched_first_of_node(void)
{
    static const char *const names[4] = {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
                                         "SLURM_LOCALID"};
    return number_of(names) == 0;
}

/* ---- joining ---- */

/* `joining`: MPI has been asked to start; `joined`: the ranks know of each other. */
static bool joining, joined;
static bool alone; /* what failed is no other rank's business */

bool launch_begun(void)
{
    return joining;
}

/* What is wrong with arguments and files is wrong on every rank, and rank 0 says it. */
bool launch_failed_here(pulmo_status status)
{
    if (!joining)
        return alone || status == PULMO_MEMORY;
    return !joined && status != PULMO_USAGE;
}

void launch_wait(void)
{
    const struct timespec nap = {.tv_sec = 1};
    if (!joined)
        nanosleep(&nap, NULL);
}

/* What argp prints goes nowhere until unmute. */
static pulmo_status mute(FILE *stream, int *kept)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fflush(stream);
    *kept = fcntl(fileno(stream), F_DUPFD_CLOEXEC, 0);
    bool muted = nowhere >= 0 && *kept >= 0 && dup2(nowhere, fileno(stream)) >= 0;
    int reason = errno;
    if (nowhere >= 0)
        close(nowhere);
    if (muted)
        return PULMO_OK;
    alone = true;
    return pulmo_fail(PULMO_IO, "cannot print to /dev/null: %s", strerror(reason));
}

static void unmute(FILE *stream, int kept)
{
    if (kept < 0)
        return;
    fflush(stream);
    dup2(kept, fileno(stream));
    close(kept);
}

pulmo_status launch_parse(const command *c, int argc, char **argv, arguments *a)
{
    int out = -1, err = -1;
    if (launched_rank() <= 0)
        return arguments_parse(c, argc, argv, a);
    memset(a, 0, sizeof *a);
    pulmo_status status = mute(stdout, &out);
    if (status == PULMO_OK)
        status = mute(stderr, &err);
    if (status == PULMO_OK)
        status = arguments_parse(c, argc, argv, a);
    unmute(stdout, out);
    unmute(stderr, err);
    return status;
}

pulmo_status launch_ranks(arguments *a)
{
    joining = true;
    PULMO_TRY(pulmo_dist_start(&a->comm));
    joined = true;
    pulmo_log_setup(a->level, pulmo_comm_rank(a->comm), pulmo_comm_size(a->comm));
    return PULMO_OK;
}
