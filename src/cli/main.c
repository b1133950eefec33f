/* pulmo: the only main(). Finds the command, runs it, prints one error, ends with its status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "pulmo/crash.h"
#include "pulmo/h5.h"
#include "pulmo/image.h"
#include "pulmo/spent.h"
#include "pulmo/text.h"
#include "pulmo/weights.h"

/* A full disk is an error whenever it was met. A reader that has had enough ("| head") is not, and
 * a pipe fails for no other reason. */
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

/* libhdf5 ends the process by itself where it has no memory for its own state. */
static void tell_end_in_library(void)
{
    if (!pulmo_h5_is_at_work())
        return;
    pulmo_h5_leave();
    fputs("pulmo: error: libhdf5 ended the program, as it does when it is out of memory\n", stderr);
    _exit(pulmo_status_exit(PULMO_MEMORY));
}

static pulmo_status run_command(arguments *a)
{
    const command *c = a->command;
    pulmo_log_setup(a->level, 0, 1);
    PULMO_TRY(pulmo_h5_begin());
    PULMO_TRY(find_configuration(a));
    PULMO_TRY(c->load ? c->load(a) : load_settings(a));
    if (c->starts_mpi)
        PULMO_TRY(launch_ranks(a));
    return c->run(a);
}

static void report_failure(pulmo_status status, const pulmo_comm *comm)
{
    const char *what = status == PULMO_INTERRUPTED ? "stopped" : "error";
    const char *why = *pulmo_error() ? pulmo_error() : pulmo_status_text(status);
    int rank = comm ? pulmo_comm_rank(comm) : launched_rank();
    char prefix[48];
    if (rank == 0) {
        snprintf(prefix, sizeof prefix, "pulmo: %s: ", what);
        pulmo_say(prefix, why);
    } else if (launch_failed_here(status) || (!launch_begun() && launched_first_of_node())) {
        launch_wait(); /* the launcher then ends this rank, unless its node alone is in trouble */
        snprintf(prefix, sizeof prefix, "pulmo: rank %d: %s: ", rank, what);
        pulmo_say(prefix, why);
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
    pulmo_status status = launch_parse(c, argc, argv, &a);
    if (status == PULMO_OK)
        status = run_command(&a);
    if (status == PULMO_OK)
        status = pulmo_h5_unsaid("what was done may be incomplete");
    if (status == PULMO_OK)
        status = check_output();
    status = pulmo_h5_blame(status);
    if (status != PULMO_OK)
        report_failure(status, a.comm);
    pulmo_dist_end(a.comm);
    arguments_free(&a);
    return pulmo_status_exit(status);
}

/* ---- pulmo help, pulmo --version ---- */

static int refuse_command(const char *typed)
{
    const command *near = command_near(commands, typed);
    if (launched_rank() > 0)
        return 2;
    if (near && *typed) {
        fprintf(stderr, "pulmo: there is no command \"%s\"; did you mean %s?\n", typed, near->name);
        fputs("\"pulmo --help\" lists the commands.\n", stderr);
        return 2;
    }
    if (*typed)
        fprintf(stderr, "pulmo: there is no command \"%s\"\n\n", typed);
    print_usage(commands, stderr);
    return 2;
}

static void print_version(FILE *out)
{
    char mpi[128], hdf5[64];
    pulmo_dist_library(mpi, sizeof mpi);
    pulmo_h5_library(hdf5, sizeof hdf5);
    fprintf(out, "pulmo %s (commit %s)\n", PULMO_VERSION, pulmo_commit());
    fprintf(out, "%s\n%s\n", mpi, hdf5);
    fprintf(out, "%s\n%s\n", pulmo_jpeg_library(), pulmo_png_library());
    fprintf(out, "DICOM: %s\n", pulmo_dicom_library());
    fprintf(out, "%s\n", pulmo_blas_library());
}

static void print_commands(FILE *out)
{
    print_usage(commands, out);
}

/* Prints on stdout, and ends as a command does. */
static int print_whole(void (*print)(FILE *out))
{
    print(stdout);
    pulmo_status status = check_output();
    if (status != PULMO_OK)
        report_failure(status, NULL);
    return pulmo_status_exit(status);
}

/* The list of commands, one command's help, and what an installation and shells ask for. argv[0] is
 * "help". */
static int help(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const command *c = command_find(commands, what);
    char asked[] = "--help", *help_argv[] = {NULL, asked, NULL};
    if (c)
        return run(c, 2, help_argv);
    if (strcmp(what, "--man") == 0)
        return print_whole(print_manual);
    if (strcmp(what, "--complete") == 0) {
        print_completions(stdout, argc - 2, argv + 2);
        return 0;
    }
    if (*what && what[0] != '-')
        return refuse_command(what);
    return print_whole(print_commands);
}

static bool is_one_of(const char *text, const char *one, const char *other)
{
    return strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

/* A descriptor that was closed before the program began would become the next file that it opens,
 * and what is printed would be written into that. Such ones refuse what they are not for. */
static void fill_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        bool closed = fcntl(fd, F_GETFD) < 0 && errno == EBADF;
        if (closed)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

int main(int argc, char **argv)
{
    const pulmo_crash_hooks hooks = {.lacked = pulmo_h5_lacked_memory, .leave = pulmo_h5_leave};
    argp_err_exit_status = 2;
    fill_descriptors();
    pulmo_crash_watch(&hooks);
    atexit(tell_end_in_library);
    if (launched_rank() > 0)
        atexit(launch_wait);
    const char *name = argc > 1 ? argv[1] : "";
    const command *c = command_find(commands, name);
    if (c)
        return run(c, argc - 1, argv + 1);
    if (strcmp(name, "help") == 0)
        return help(argc - 1, argv + 1);
    if (is_one_of(name, "--help", "-h"))
        return print_whole(print_commands);
    if (is_one_of(name, "--version", "-V"))
        return print_whole(print_version);
    return refuse_command(name);
}
