/* `pulmo bench`: throughput of the parts. The last line of stdout is one JSON object. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "pulmo/backbone.h"
#include "pulmo/bench.h"

enum {
    KEY_THREADS = 1000,
    KEY_BATCH,
    KEY_SIZE,
    KEY_SECONDS,
    KEY_LAYERS,
    KEY_WEIGHTS,
    KEY_ELEMENTS,
    KEY_INPUT,
    KEY_DUMP,
    KEY_SOURCE,
    KEY_DECODE,
    KEY_DATA,
    KEYS_END
};

/* The benchmarks to which an option means something. */
static const struct {
    const char *name, *in;
} option_of[KEYS_END - KEY_THREADS] = {
    [KEY_THREADS - KEY_THREADS] = {"threads", "conv pack train step"},
    [KEY_BATCH - KEY_THREADS] = {"batch", "conv train step"},
    [KEY_SIZE - KEY_THREADS] = {"size", "conv pack train step"},
    [KEY_SECONDS - KEY_THREADS] = {"seconds", "conv pack train step"},
    [KEY_LAYERS - KEY_THREADS] = {"layers", "conv"},
    [KEY_WEIGHTS - KEY_THREADS] = {"weights", "conv train step"},
    [KEY_ELEMENTS - KEY_THREADS] = {"elements", "allreduce"},
    [KEY_INPUT - KEY_THREADS] = {"input", "conv"},
    [KEY_DUMP - KEY_THREADS] = {"dump", "conv"},
    [KEY_SOURCE - KEY_THREADS] = {"source", "pack"},
    [KEY_DECODE - KEY_THREADS] = {"decode", "pack"},
    [KEY_DATA - KEY_THREADS] = {"data", "train"},
};

typedef struct bench_arguments {
    common_options common;
    const char *what, *weights, *input, *dump, *source, *decode, *data;
    int threads, batch, size, layers;
    long elements;
    double seconds;
    bool given[KEYS_END - KEY_THREADS];
} bench_arguments;

static error_t parse(int key, char *argument, struct argp_state *state)
{
    bench_arguments *a = state->input;
    if (key >= KEY_THREADS && key < KEYS_END)
        a->given[key - KEY_THREADS] = true;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_THREADS:
        a->threads = (int)parse_long(state, "--threads", argument, 1, 4096);
        return 0;
    case KEY_BATCH:
        a->batch = (int)parse_long(state, "--batch", argument, 1, 4096);
        return 0;
    case KEY_SIZE:
        a->size = (int)parse_long(state, "--size", argument, 32, 4096);
        return 0;
    case KEY_SECONDS:
        a->seconds = (double)parse_long(state, "--seconds", argument, 1, 3600);
        return 0;
    case KEY_ELEMENTS:
        a->elements = parse_long(state, "--elements", argument, 1, 1L << 40);
        return 0;
    case KEY_LAYERS:
        a->layers = 1;
        return 0;
    case KEY_WEIGHTS:
        a->weights = argument;
        return 0;
    case KEY_INPUT:
        a->input = argument;
        return 0;
    case KEY_SOURCE:
        a->source = argument;
        return 0;
    case KEY_DECODE:
        if (strcmp(argument, "exact") != 0 && strcmp(argument, "fast") != 0)
            argp_error(state, "--decode: \"%s\" must be exact or fast", argument);
        a->decode = argument;
        return 0;
    case KEY_DATA:
        a->data = argument;
        return 0;
    case KEY_DUMP:
        a->dump = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (a->what)
            argp_error(state, "one benchmark at a time");
        a->what = argument;
        return 0;
    case ARGP_KEY_END:
        if (!a->what || (strcmp(a->what, "conv") != 0 && strcmp(a->what, "pack") != 0 &&
                         strcmp(a->what, "train") != 0 && strcmp(a->what, "step") != 0 &&
                         strcmp(a->what, "allreduce") != 0))
            argp_error(state, "which benchmark: conv, pack, train, step or allreduce");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static pulmo_status time_training(const bench_arguments *a, pulmo_comm *comm)
{
    pulmo_config config;
    PULMO_TRY(load_some(&a->common, "bench train", KEYS_OF_TRAINING, &config));
    if (a->data)
        snprintf(config.data.path, sizeof config.data.path, "%s", a->data);
    if (a->weights)
        snprintf(config.model.weights, sizeof config.model.weights, "%s", a->weights);
    if (a->given[KEY_BATCH - KEY_THREADS])
        config.train.batch = a->batch;
    const pulmo_bench_train_options options = {
        .config = &config, .threads = a->threads, .size_px = a->size, .seconds = a->seconds};
    return pulmo_bench_train(comm, &options);
}

static pulmo_status run_bench(const bench_arguments *a, pulmo_comm *comm)
{
    const pulmo_bench_conv_options conv = {.weights = a->weights,
                                           .input = a->input,
                                           .dump = a->dump,
                                           .threads = a->threads,
                                           .batch = a->batch,
                                           .size_px = a->size,
                                           .layers = a->layers,
                                           .seconds = a->seconds};
    const pulmo_bench_pack_options pack = {.source = a->source,
                                           .decode = a->decode,
                                           .threads = a->threads,
                                           .size_px = a->size,
                                           .seconds = a->seconds};
    const pulmo_bench_step_options step = {.weights = a->weights ? a->weights : "",
                                           .size_px = a->size,
                                           .batch = a->batch,
                                           .threads = a->threads,
                                           .seconds = a->seconds};
    if (strcmp(a->what, "conv") == 0)
        return pulmo_bench_conv(comm, &conv);
    if (strcmp(a->what, "pack") == 0)
        return pulmo_bench_pack(comm, &pack);
    if (strcmp(a->what, "step") == 0)
        return pulmo_bench_step(comm, &step);
    if (strcmp(a->what, "train") == 0)
        return time_training(a, comm);
    return pulmo_bench_allreduce(comm, (size_t)a->elements);
}

static const struct argp_option bench_options[] = {
    {"threads", KEY_THREADS, "N", 0,
     "conv, pack, train, step: threads a rank (default: the CPUs given, over the ranks)", 0},
    {"batch", KEY_BATCH, "N", 0,
     "conv: images a batch (default 16); step, train: over all ranks (default 16; train: as "
     "configured)",
     0},
    {"size", KEY_SIZE, "PX", 0,
     "conv, pack, step: height and width; train: of demo images (default 224)", 0},
    {"seconds", KEY_SECONDS, "N", 0, "conv, pack, train, step: how long (default 5)", 0},
    {"layers", KEY_LAYERS, NULL, 0, "conv: a table of layers", 0},
    {"weights", KEY_WEIGHTS, "FILE", 0,
     "conv: convolutions (default: random ones of the same shape); train, step: default as in "
     "training",
     0},
    {"input", KEY_INPUT, "FILE", 0,
     "conv: a batch of normalised images, raw float32 (batch, 3, size, size)", 0},
    {"dump", KEY_DUMP, "FILE", 0, "conv: write the batch's features, raw float32", 0},
    {"source", KEY_SOURCE, "DIR", 0,
     "pack: class folders of JPEGs (default: demo images, drawn first)", 0},
    {"decode", KEY_DECODE, "exact|fast", 0, "pack: how (default exact)", 0},
    {"data", KEY_DATA, "PACKED", 0,
     "train: packed directory (default: demo images, drawn and packed first); settings by -c "
     "and --set",
     0},
    {"elements", KEY_ELEMENTS, "N", 0,
     "allreduce: parameters summed (default 6423298, the default head's)", 0},
    {0},
};
static const struct argp_child bench_children[] = {{&common_argp, 0, NULL, 1}, {0}};
static const struct argp bench_argp = {
    bench_options,
    parse,
    "conv|pack|train|step|allreduce",
    "Throughput of the convolutions, of packing, of training, of training steps with exact "
    "sums beside plain ones, and of the gradient "
    "sum, also under mpirun. The last line of stdout is "
    "one JSON object.",
    bench_children,
    NULL,
    NULL};

pulmo_status command_bench(int argc, char **argv, pulmo_comm **comm)
{
    bench_arguments a = {.common.level = PULMO_LOG_NORMAL,
                         .batch = 16,
                         .size = 224,
                         .seconds = 5,
                         .elements = 6423298,
                         .decode = "exact"};
    parse_arguments(&bench_argp, argc, argv, &a);
    if (strcmp(a.what, "train") != 0 && (a.common.settings.path || a.common.settings.count > 0))
        return pulmo_fail(PULMO_USAGE,
                          "bench %s takes no configuration: leave out --config and --set; bench "
                          "train measures with settings",
                          a.what);
    PULMO_TRY(start_ranks(&a.common, comm));
    for (int i = 0; i < KEYS_END - KEY_THREADS; i++)
        if (a.given[i] && !strstr(option_of[i].in, a.what))
            pulmo_warn("--%s means nothing to bench %s", option_of[i].name, a.what);
    (void)pulmo_blas_setup();
    return run_bench(&a, *comm);
}
