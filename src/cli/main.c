/* pulmo: the only main(). Finds the command, runs it, prints one error, ends with its status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "pulmo/h5.h"
#include "pulmo/image.h"
#include "pulmo/text.h"

/* Before MPI runs, only launchers' variables tell which rank this is. */
static int number_of(const char *const names[4])
{
    for (int i = 0; i < 4; i++) {
        const char *text = names[i] ? getenv(names[i]) : NULL;
        if (text)
            return atoi(text);
    }
    return 0;
}

static int launched_rank(void)
{
    static const char *const names[4] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                         "SLURM_PROCID"};
    return number_of(names);
}

static bool first_of_node(void)
{
    static const char *const names[4] = {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
                                         "SLURM_LOCALID"};
    return number_of(names) == 0;
}

static int refuse_command(const char *typed)
{
    const command *near = command_near(typed);
    if (launched_rank() > 0)
        return 2;
    if (near && *typed) {
        fprintf(stderr, "pulmo: there is no command \"%s\"; did you mean %s?\n", typed, near->name);
        fputs("\"pulmo --help\" lists the commands.\n", stderr);
        return 2;
    }
    if (*typed)
        fprintf(stderr, "pulmo: there is no command \"%s\"\n\n", typed);
    print_usage(stderr);
    return 2;
}

static bool joining, joined; /* the ranks know of each other */

/* Launchers end all ranks when the first one fails: rank 0 must have said why by then. */
static void let_rank_0_speak(void)
{
    const struct timespec nap = {.tv_sec = 1};
    if (!joined)
        nanosleep(&nap, NULL);
}

/* What argp prints goes nowhere until unmute. */
static void mute(FILE *stream, int *kept)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fflush(stream);
    *kept = fcntl(fileno(stream), F_DUPFD_CLOEXEC, 0);
    if (nowhere < 0 || *kept < 0 || dup2(nowhere, fileno(stream)) < 0)
        exit(2);
    close(nowhere);
}

static void unmute(FILE *stream, int kept)
{
    fflush(stream);
    dup2(kept, fileno(stream));
    close(kept);
}

/* Of many ranks with the same wrong argument, one reports it. */
static pulmo_status parse_arguments(const command *c, int argc, char **argv, arguments *a)
{
    int out = -1, err = -1;
    if (launched_rank() <= 0)
        return arguments_parse(c, argc, argv, a);
    mute(stdout, &out);
    mute(stderr, &err);
    pulmo_status status = arguments_parse(c, argc, argv, a);
    unmute(stdout, out);
    unmute(stderr, err);
    return status;
}

static pulmo_status start_ranks(arguments *a)
{
    joining = true;
    PULMO_TRY(pulmo_dist_start(&a->comm));
    joined = true;
    pulmo_log_setup(a->level, pulmo_comm_rank(a->comm), pulmo_comm_size(a->comm));
    return PULMO_OK;
}

/* A full disk is an error, whenever it was met; a reader that has had enough ("| head") is none,
 * and all that a pipe fails by. */
static pulmo_status check_output(void)
{
    struct stat about;
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return PULMO_OK;
    if (fstat(STDOUT_FILENO, &about) == 0 && (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode)))
        return PULMO_OK;
    return pulmo_fail(PULMO_IO, "cannot write to standard output: %s",
                      errno ? strerror(errno) : "a write failed; is its disk full?");
}

static pulmo_status run_command(arguments *a)
{
    const command *c = a->command;
    pulmo_log_setup(a->level, 0, 1);
    PULMO_TRY(c->load ? c->load(a) : load_settings(a));
    if (c->starts_mpi)
        PULMO_TRY(start_ranks(a));
    return c->run(a);
}

static void report_failure(pulmo_status status, const pulmo_comm *comm)
{
    const char *what = status == PULMO_INTERRUPTED ? "stopped" : "error";
    const char *why = *pulmo_error() ? pulmo_error() : pulmo_status_text(status);
    int rank = comm ? pulmo_comm_rank(comm) : launched_rank();
    if (rank == 0) {
        fprintf(stderr, "pulmo: %s: %s\n", what, why);
    } else if (!joining && first_of_node()) {
        let_rank_0_speak(); /* the launcher then ends this one, unless its node alone is in trouble
                             */
        fprintf(stderr, "pulmo: rank %d: %s: %s\n", rank, what, why);
    }
}

static int run(const command *c, int argc, char **argv)
{
    char name[64];
    arguments a;
    snprintf(name, sizeof name, "pulmo %s", c->name);
    argv[0] = name;
    signal(SIGPIPE, SIG_IGN); /* training continues when nobody reads */
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is an error of writing */
    pulmo_status status = parse_arguments(c, argc, argv, &a);
    if (status == PULMO_OK)
        status = run_command(&a);
    if (status == PULMO_OK)
        status = check_output();
    if (status != PULMO_OK)
        report_failure(status, a.comm);
    pulmo_dist_end(a.comm);
    arguments_free(&a);
    return pulmo_status_exit(status);
}

/* ---- pulmo help, pulmo --version ---- */

/* The list of commands, one command's help, and what the installation is made with: the manual page
 * and completion. argv[0] is "help". */
static int help(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const command *c = command_find(what);
    char asked[] = "--help", *help_argv[] = {NULL, asked, NULL};
    if (c)
        return run(c, 2, help_argv);
    if (strcmp(what, "--man") == 0)
        print_manual(stdout);
    else if (strcmp(what, "--complete") == 0)
        print_completions(stdout, argc - 2, argv + 2);
    else if (*what && what[0] != '-')
        return refuse_command(what);
    else
        print_usage(stdout);
    return 0;
}

static void print_version(void)
{
    char mpi[128], hdf5[64];
    pulmo_dist_library(mpi, sizeof mpi);
    pulmo_h5_library(hdf5, sizeof hdf5);
    printf("pulmo %s (commit %s)\n", PULMO_VERSION, PULMO_COMMIT);
    printf("%s\n%s\n%s\n", mpi, hdf5, pulmo_jpeg_library());
    print_blas(stdout);
}

static bool is_one_of(const char *text, const char *one, const char *other)
{
    return strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

int main(int argc, char **argv)
{
    argp_err_exit_status = 2;
    if (launched_rank() > 0)
        atexit(let_rank_0_speak);
    const char *name = argc > 1 ? argv[1] : "";
    const command *c = command_find(name);
    if (c)
        return run(c, argc - 1, argv + 1);
    if (strcmp(name, "help") == 0)
        return help(argc - 1, argv + 1);
    if (is_one_of(name, "--help", "-h")) {
        print_usage(stdout);
        return 0;
    }
    if (is_one_of(name, "--version", "-V")) {
        print_version();
        return 0;
    }
    return refuse_command(name);
}
