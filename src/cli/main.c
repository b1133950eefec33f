/* pulmo: the only main(). Finds the command, runs it, prints one error, ends with its status. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

static const command commands[] = {
    {"pack", "class folders of JPEGs into sharded HDF5", command_pack},
    {"preview", "a contact sheet of packed images and what training sees of them", command_preview},
    {"train", "train a head on the frozen network, also under mpirun or srun", command_train},
    {"sweep", "train every combination of some settings, and one table of what came of it", command_sweep},
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
                 "Trains a VGG16 with frozen convolutions on chest X-rays, on one machine or a cluster.\n\n");
    for (int i = 0; i < COMMANDS; i++) fprintf(out, "  %-10s  %s\n", commands[i].name, commands[i].does);
    fprintf(out, "\n\"pulmo COMMAND --help\" says more. Research software, not a medical device.\n");
}

/* Before MPI runs, only launchers' variables tell which rank this is. */
static int launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i])) return atoi(getenv(names[i]));
    return 0;
}

static bool joined; /* the ranks know of each other */

/* Launchers end all ranks when the first one fails: rank 0 must have said why by then. */
static void let_rank_0_speak(void)
{
    const struct timespec nap = {.tv_sec = 1};
    if (!joined) nanosleep(&nap, NULL);
}

void parse_arguments(const struct argp *argp, int argc, char **argv, void *input)
{
    /* Of many ranks with the same wrong argument one speaks. */
    if (launched_rank() > 0 && (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))) exit(2);
    argp_parse(argp, argc, argv, 0, NULL, input);
}

pulmo_status start_ranks(const common_options *common, pulmo_comm **out)
{
    pulmo_log_setup(common->level, 0, 1);
    PULMO_TRY(pulmo_dist_start(out));
    joined = true;
    pulmo_log_setup(common->level, pulmo_comm_rank(*out), pulmo_comm_size(*out));
    return PULMO_OK;
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
    /* A reader that has had enough ("| head") is no error; a full disk is. */
    if (fflush(stdout) != 0 && errno != EPIPE && status == PULMO_OK)
        status = pulmo_fail(PULMO_IO, "cannot write to standard output: %s", strerror(errno));
    int rank = comm ? pulmo_comm_rank(comm) : launched_rank();
    if (status != PULMO_OK && rank == 0)
        fprintf(stderr, "pulmo: %s: %s\n", status == PULMO_INTERRUPTED ? "stopped" : "error",
                *pulmo_error() ? pulmo_error() : pulmo_status_text(status));
    pulmo_dist_end(comm);
    return pulmo_status_exit(status);
}

int main(int argc, char **argv)
{
    argp_err_exit_status = 2;
    if (launched_rank() > 0) atexit(let_rank_0_speak);
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("pulmo %s\n", PULMO_VERSION);
        return 0;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0) return run(&commands[i], argc - 1, argv + 1);
    if (launched_rank() == 0) {
        if (*name) fprintf(stderr, "pulmo: there is no command \"%s\"\n\n", name);
        print_usage(stderr);
    }
    return 2;
}
