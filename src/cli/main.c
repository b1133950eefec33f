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
#include "pulmo/head.h"
#include "pulmo/h5.h"
#include "pulmo/image.h"
#include "pulmo/text.h"

static const command commands[] = {
    {"pack", "class folders of JPEGs into sharded HDF5", command_pack},
    {"preview", "a contact sheet of packed images and what training sees of them", command_preview},
    {"train", "train the head, and as many blocks as you say, also under mpirun or srun",
     command_train},
    {"sweep", "train every combination of some settings, and one table of what came of it",
     command_sweep},
    {"evaluate", "metrics of a trained model on a packed split", command_evaluate},
    {"predict", "class and probability of single images", command_predict},
    {"explain", "where the model looks: Grad-CAM over single images", command_explain},
    {"export", "the whole model as ONNX or safetensors", command_export},
    {"weights", "check: which VGG16 a file of weights is", command_weights},
    {"report", "one page that tells of a run, and its model card", command_report},
    {"inspect", "what a shard, manifest, model, checkpoint or results file holds", command_inspect},
    {"bench", "throughput of the parts: conv, pack, train, step, allreduce", command_bench},
    {"demo-data", "draw a chest-X-ray-like data set", command_demo},
};
#define COMMANDS ((int)(sizeof commands / sizeof commands[0]))

static void print_usage(FILE *out)
{
    fprintf(out, "Usage: pulmo COMMAND [OPTION...]\n"
                 "Trains a VGG16, its convolutions frozen up to a block of your choice, on chest "
                 "X-rays: on one machine or a cluster.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s  %s\n", commands[i].name, commands[i].does);
    fprintf(out,
            "\n\"pulmo COMMAND --help\" says more. Research software, not a medical device.\n");
}

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

/* A command's name at most two letters away from what was typed, or NULL. */
static const char *close_command(const char *typed)
{
    const char *close = NULL;
    int nearest = 3;
    for (int i = 0; i < COMMANDS; i++) {
        int away = pulmo_text_distance(typed, commands[i].name);
        if (away < nearest) {
            nearest = away;
            close = commands[i].name;
        }
    }
    return close;
}

static int refuse_command(const char *typed)
{
    const char *close = close_command(typed);
    if (launched_rank() > 0)
        return 2;
    if (close && *typed) {
        fprintf(stderr, "pulmo: there is no command \"%s\"; did you mean %s?\n", typed, close);
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

void parse_arguments(const struct argp *argp, int argc, char **argv, void *input)
{
    const bool silent =
        launched_rank() > 0; /* of many ranks with the same wrong argument one speaks */
    int out = -1, err = -1;
    if (silent)
        mute(stdout, &out);
    if (silent)
        mute(stderr, &err);
    argp_parse(argp, argc, argv, 0, NULL, input);
    if (silent)
        unmute(stdout, out);
    if (silent)
        unmute(stderr, err);
}

pulmo_status start_ranks(const common_options *common, pulmo_comm **out)
{
    pulmo_log_setup(common->level, 0, 1);
    joining = true;
    PULMO_TRY(pulmo_dist_start(out));
    joined = true;
    pulmo_log_setup(common->level, pulmo_comm_rank(*out), pulmo_comm_size(*out));
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

static int run(const command *c, int argc, char **argv)
{
    char name[64];
    pulmo_comm *comm = NULL;
    snprintf(name, sizeof name, "pulmo %s", c->name);
    argv[0] = name;
    signal(SIGPIPE, SIG_IGN); /* training goes on when nobody reads */
    signal(SIGXFSZ, SIG_IGN); /* so is a file-size limit */
    pulmo_status status = c->run(argc, argv, &comm);
    if (status == PULMO_OK)
        status = check_output();
    const char *what = status == PULMO_INTERRUPTED ? "stopped" : "error",
               *why = *pulmo_error() ? pulmo_error() : pulmo_status_text(status);
    int rank = comm ? pulmo_comm_rank(comm) : launched_rank();
    if (status != PULMO_OK && rank == 0) {
        fprintf(stderr, "pulmo: %s: %s\n", what, why);
    } else if (status != PULMO_OK && !joining && first_of_node()) {
        let_rank_0_speak(); /* and the launcher end this one, unless the trouble is its node's alone
                             */
        fprintf(stderr, "pulmo: rank %d: %s: %s\n", rank, what, why);
    }
    pulmo_dist_end(comm);
    return pulmo_status_exit(status);
}

static void print_version(void)
{
    char mpi[128], hdf5[64];
    pulmo_dist_library(mpi, sizeof mpi);
    pulmo_h5_library(hdf5, sizeof hdf5);
    printf("pulmo %s (commit %s)\n%s\n%s\n%s\n%s\n", PULMO_VERSION, PULMO_COMMIT, mpi, hdf5,
           pulmo_jpeg_library(), pulmo_blas_library());
}

int main(int argc, char **argv)
{
    argp_err_exit_status = 2;
    if (launched_rank() > 0)
        atexit(let_rank_0_speak);
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        print_version();
        return 0;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return run(&commands[i], argc - 1, argv + 1);
    return refuse_command(name);
}
