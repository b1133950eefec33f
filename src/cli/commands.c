/* train, evaluate, predict, inspect, demo-data: arguments in, one call of a room below. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "pulmo/demo.h"
#include "pulmo/interrupt.h"
#include "pulmo/infer.h"
#include "pulmo/inspect.h"
#include "pulmo/report.h"
#include "pulmo/train.h"

enum {
    KEY_OVERWRITE = 1000,
    KEY_DATA,
    KEY_SPLIT,
    KEY_WEIGHTS,
    KEY_OUT,
    KEY_THREADS,
    KEY_FORMAT,
    KEY_SEED,
    KEY_TRAIN,
    KEY_VAL,
    KEY_TEST,
    KEY_PLAIN
};

/* ---- train ---- */

typedef struct train_arguments {
    common_options common;
    int overwrite;
    const char *weights;
} train_arguments;

static error_t parse_train(int key, char *argument, struct argp_state *state)
{
    train_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_OVERWRITE:
        a->overwrite = 1;
        return 0;
    case KEY_WEIGHTS:
        a->weights = argument;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument \"%s\"; settings are given with --set KEY=VALUE",
                   argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *train_help(int key, const char *text, void *input)
{
    (void)input;
    return help_with_keys(
        key, text, "data|augment|model|train|bank|optim|eval",
        "\nExit status: 0 done, 1 runtime or MPI failure, 2 usage or configuration, 65 bad data or "
        "weights, 74 I/O,\n"
        "75 interrupted after a checkpoint (run the same command again to go on).\n");
}

pulmo_status command_train(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"overwrite", KEY_OVERWRITE, NULL, 0, "start anew in a run directory that holds a run", 0},
        {"weights", KEY_WEIGHTS, "FILE", 0, "VGG16 convolutions", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {options,
                                     parse_train,
                                     "-c FILE",
                                     "Trains on packed data: the head alone, or with it the "
                                     "convolutions down to model.trainable. Under mpirun or "
                                     "srun, on all ranks.\v ",
                                     children,
                                     train_help,
                                     NULL};
    train_arguments a = {.common.level = PULMO_LOG_NORMAL};
    pulmo_config config;
    parse_arguments(&argp, argc, argv, &a);
    PULMO_TRY(load_some(&a.common, "train", KEYS_OF_TRAINING, &config));
    if (a.weights)
        snprintf(config.model.weights, sizeof config.model.weights, "%s", a.weights);
    pulmo_interrupt_listen(); /* a signal may come while the ranks still find each other */
    PULMO_TRY(start_ranks(&a.common, comm));
    return pulmo_train(*comm, &config, a.overwrite, pulmo_report_of_run);
}

/* ---- evaluate ---- */

static pulmo_status report_evaluation(const pulmo_evaluate_options *o)
{
    pulmo_report_options options;
    pulmo_report_options_init(&options);
    options.run = o->out;
    options.weights = o->weights;
    options.threads = o->threads;
    return pulmo_report(&options);
}

typedef struct evaluate_arguments {
    common_options common;
    pulmo_evaluate_options options;
    const char **runs;
} evaluate_arguments;

static error_t parse_evaluate(int key, char *argument, struct argp_state *state)
{
    evaluate_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_DATA:
        a->options.data = argument;
        return 0;
    case KEY_SPLIT:
        a->options.split = argument;
        return 0;
    case KEY_WEIGHTS:
        a->options.weights = argument;
        return 0;
    case KEY_OUT:
        a->options.out = argument;
        return 0;
    case KEY_THREADS:
        a->options.threads = (int)parse_long(state, "--threads", argument, 0, 4096);
        return 0;
    case ARGP_KEY_ARG:
        a->runs[a->options.run_count++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (a->options.run_count == 0 || !a->options.data)
            argp_error(state, "RUN and --data PACKED are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

pulmo_status command_evaluate(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"data", KEY_DATA, "PACKED", 0, "packed directory", 0},
        {"split", KEY_SPLIT, "NAME", 0, "train, val or test (default test)", 0},
        {"weights", KEY_WEIGHTS, "FILE", 0, "VGG16 convolutions", 0},
        {"out", KEY_OUT, "DIR", 0, "write results.h5, predictions.csv and report.html there", 0},
        {"threads", KEY_THREADS, "N", 0, "compute threads a rank (default: the CPUs given)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {options,
                                     parse_evaluate,
                                     "RUN... --data PACKED",
                                     "Metrics of a trained model on a packed split, on stdout. RUN "
                                     "is a run directory or a model.h5; "
                                     "of several, the probabilities (and thresholds) are averaged. "
                                     "--set eval.threshold=NUMBER decides by "
                                     "another threshold than the model's, --set eval.tta=K "
                                     "averages K views of each image, drawn from the "
                                     "augmentation that the model was trained with.",
                                     children,
                                     NULL,
                                     NULL};
    pulmo_config config;
    evaluate_arguments a = {.common.level = PULMO_LOG_NORMAL,
                            .options = {.split = "test", .weights = ""}};
    a.runs = calloc((size_t)argc + 1, sizeof *a.runs);
    if (!a.runs)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    a.options.runs = a.runs;
    parse_arguments(&argp, argc, argv, &a);
    a.options.settings = &a.common.settings;
    pulmo_status status = load_use(&a.common, "evaluate", KEYS_OF_USE, &config, &a.options.weights,
                                   &a.options.threads);
    if (status == PULMO_OK)
        status = start_ranks(&a.common, comm);
    if (status == PULMO_OK)
        status = pulmo_evaluate(*comm, &a.options);
    if (status == PULMO_OK && a.options.out)
        status = pulmo_agree(*comm, pulmo_comm_rank(*comm) == 0 ? report_evaluation(&a.options)
                                                                : PULMO_OK);
    free(a.runs);
    return status;
}

/* ---- predict ---- */

typedef struct predict_arguments {
    common_options common;
    pulmo_predict_options options;
    const char **inputs;
} predict_arguments;

static error_t parse_predict(int key, char *argument, struct argp_state *state)
{
    predict_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_WEIGHTS:
        a->options.weights = argument;
        return 0;
    case KEY_THREADS:
        a->options.threads = (int)parse_long(state, "--threads", argument, 0, 4096);
        return 0;
    case KEY_FORMAT:
        if (strcmp(argument, "csv") != 0 && strcmp(argument, "json") != 0)
            argp_error(state, "--format: \"%s\" must be csv or json", argument);
        a->options.json = strcmp(argument, "json") == 0;
        return 0;
    case ARGP_KEY_ARG:
        if (!a->options.run)
            a->options.run = argument;
        else
            a->inputs[a->options.input_count++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (a->options.input_count == 0)
            argp_error(state, "RUN and at least one image, directory or - are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

pulmo_status command_predict(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"format", KEY_FORMAT, "csv|json", 0, "of the lines on stdout (default csv)", 0},
        {"weights", KEY_WEIGHTS, "FILE", 0, "VGG16 convolutions", 0},
        {"threads", KEY_THREADS, "N", 0, "compute threads (default: the CPUs given)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {options,
                                     parse_predict,
                                     "RUN IMAGE-or-DIR...",
                                     "Class and probabilities of each image, one line each on "
                                     "stdout. Directories are searched for "
                                     "JPEGs; - reads a list of files from stdin, one per line "
                                     "or NUL-ended (find -print0). Of two classes an image is "
                                     "called the finding (positive_class) from the probability "
                                     "`threshold` on, which `rule` chose; each line names them. "
                                     "--set "
                                     "eval.threshold=NUMBER and --set eval.tta=K as in "
                                     "evaluate. Exit status 65 if a file could not be used.",
                                     children,
                                     NULL,
                                     NULL};
    pulmo_config config;
    predict_arguments a = {.common.level = PULMO_LOG_NORMAL, .options = {.weights = ""}};
    a.inputs = calloc((size_t)argc + 1, sizeof *a.inputs);
    if (!a.inputs)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    parse_arguments(&argp, argc, argv, &a);
    a.options.inputs = a.inputs;
    a.options.settings = &a.common.settings;
    pulmo_status status = load_use(&a.common, "predict", KEYS_OF_USE, &config, &a.options.weights,
                                   &a.options.threads);
    if (status == PULMO_OK)
        status = start_ranks(&a.common, comm);
    if (status == PULMO_OK && pulmo_comm_size(*comm) > 1)
        status = pulmo_fail(
            PULMO_USAGE, "predict runs as one process; start it without mpirun (it uses all CPUs)");
    if (status == PULMO_OK)
        status = pulmo_predict(*comm, &a.options);
    free(a.inputs);
    return status;
}

/* ---- report ---- */

typedef struct report_arguments {
    common_options common;
    pulmo_report_options options;
} report_arguments;

static error_t parse_report(int key, char *argument, struct argp_state *state)
{
    report_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_DATA:
        a->options.data = argument;
        return 0;
    case KEY_WEIGHTS:
        a->options.weights = argument;
        return 0;
    case KEY_OUT:
        a->options.out = argument;
        return 0;
    case KEY_PLAIN:
        a->options.overlays = 0;
        return 0;
    case KEY_THREADS:
        a->options.threads = (int)parse_long(state, "--threads", argument, 0, 4096);
        return 0;
    case ARGP_KEY_ARG:
        if (a->options.run)
            argp_error(state, "one run at a time; \"%s\" is a second", argument);
        a->options.run = argument;
        return 0;
    case ARGP_KEY_END:
        if (!a->options.run)
            argp_error(state, "RUN is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

pulmo_status command_report(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"data", KEY_DATA, "PACKED", 0,
         "packed directory, for thumbnails (default: where the results say)", 0},
        {"weights", KEY_WEIGHTS, "FILE", 0, "VGG16 convolutions, for Grad-CAM", 0},
        {"no-overlays", KEY_PLAIN, NULL, 0, "thumbnails without Grad-CAM", 0},
        {"out", KEY_OUT, "FILE", 0, "the page (default RUN/report.html)", 0},
        {"threads", KEY_THREADS, "N", 0, "compute threads (default: the CPUs given)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {options,
                                     parse_report,
                                     "RUN",
                                     "One page that tells of a run, report.html, and "
                                     "MODEL_CARD.md, from its results.h5. RUN is a run "
                                     "directory or what evaluate wrote with --out. The page needs "
                                     "no network and nothing beside it.",
                                     children,
                                     NULL,
                                     NULL};
    report_arguments a = {.common.level = PULMO_LOG_NORMAL};
    (void)comm;
    pulmo_config config;
    pulmo_report_options_init(&a.options);
    parse_arguments(&argp, argc, argv, &a);
    PULMO_TRY(load_use(&a.common, "report", KEYS_OF_LOOK, &config, &a.options.weights,
                       &a.options.threads));
    pulmo_log_setup(a.common.level, 0, 1);
    return pulmo_report(&a.options);
}

/* ---- inspect ---- */

typedef struct inspect_arguments {
    common_options common;
    const char *path;
} inspect_arguments;

static error_t parse_inspect(int key, char *argument, struct argp_state *state)
{
    inspect_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case ARGP_KEY_ARG:
        if (a->path)
            argp_error(state, "one file at a time");
        a->path = argument;
        return 0;
    case ARGP_KEY_END:
        if (!a->path)
            argp_error(state, "a file is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

pulmo_status command_inspect(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {
        NULL, parse_inspect, "FILE", "What an HDF5 file of pulmo's holds.", children, NULL, NULL};
    inspect_arguments a = {.common.level = PULMO_LOG_NORMAL};
    pulmo_config config;
    (void)comm;
    parse_arguments(&argp, argc, argv, &a);
    PULMO_TRY(load_some(&a.common, "inspect", "", &config));
    return pulmo_inspect(a.path, stdout);
}

/* ---- demo-data ---- */

typedef struct demo_arguments {
    common_options common;
    pulmo_demo_options options;
} demo_arguments;

static error_t parse_demo(int key, char *argument, struct argp_state *state)
{
    demo_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_SEED:
        a->options.seed = (uint64_t)parse_long(state, "--seed", argument, 0, 4294967295);
        return 0;
    case KEY_TRAIN:
        a->options.images[0] = (int)parse_long(state, "--train", argument, 2, 1000000);
        return 0;
    case KEY_VAL:
        a->options.images[1] = (int)parse_long(state, "--val", argument, 0, 1000000);
        return 0;
    case KEY_TEST:
        a->options.images[2] = (int)parse_long(state, "--test", argument, 0, 1000000);
        return 0;
    case KEY_THREADS:
        a->options.threads = (int)parse_long(state, "--threads", argument, 0, 4096);
        return 0;
    case ARGP_KEY_ARG:
        if (a->options.directory)
            argp_error(state, "one destination at a time");
        a->options.directory = argument;
        return 0;
    case ARGP_KEY_END:
        if (!a->options.directory)
            argp_error(state, "a destination directory is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

pulmo_status command_demo(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"seed", KEY_SEED, "N", 0, "the same seed, the same images (default 0)", 0},
        {"train", KEY_TRAIN, "N", 0, "images of train, both classes together", 0},
        {"val", KEY_VAL, "N", 0, "images of val", 0},
        {"test", KEY_TEST, "N", 0, "images of test", 0},
        {"threads", KEY_THREADS, "N", 0, "threads (default: the CPUs given)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {
        options,
        parse_demo,
        "DEST",
        "Draws chest-X-ray-like phantoms as JPEGs: train/ val/ test/ with NORMAL/ and PNEUMONIA/. "
        "They are drawings, not medical images.",
        children,
        NULL,
        NULL};
    demo_arguments a = {.common.level = PULMO_LOG_NORMAL};
    (void)comm;
    pulmo_config config;
    pulmo_demo_options_init(&a.options);
    parse_arguments(&argp, argc, argv, &a);
    PULMO_TRY(load_some(&a.common, "demo-data", "", &config));
    pulmo_log_setup(a.common.level, 0, 1);
    return pulmo_demo_write(&a.options);
}
