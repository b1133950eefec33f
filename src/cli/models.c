/* explain, export, weights: arguments in, one call of a room below. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "pulmo/export.h"
#include "pulmo/infer.h"
#include "pulmo/weights_check.h"

enum { KEY_OUT = 1000, KEY_CLASS, KEY_WEIGHTS, KEY_THREADS, KEY_FORMAT, KEY_NORMALIZATION };

/* ---- explain ---- */

typedef struct explain_arguments {
    common_options common;
    pulmo_explain_options options;
    const char **inputs;
} explain_arguments;

static error_t parse_explain(int key, char *argument, struct argp_state *state)
{
    explain_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_OUT:
        a->options.out = argument;
        return 0;
    case KEY_CLASS:
        a->options.class_name = argument;
        return 0;
    case KEY_WEIGHTS:
        a->options.weights = argument;
        return 0;
    case KEY_THREADS:
        a->options.threads = (int)parse_long(state, "--threads", argument, 0, 4096);
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
        if (!a->options.out)
            argp_error(state, "--out DIR is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

pulmo_status command_explain(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"out", KEY_OUT, "DIR", 0, "where the overlays NAME.png and maps.h5 go", 0},
        {"class", KEY_CLASS, "NAME", 0,
         "class to explain (default: of each image the predicted one)", 0},
        {"weights", KEY_WEIGHTS, "FILE", 0, "VGG16 convolutions", 0},
        {"threads", KEY_THREADS, "N", 0, "compute threads (default: the CPUs given)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {options,
                                     parse_explain,
                                     "RUN IMAGE-or-DIR... --out DIR",
                                     "Where the model looks: Grad-CAM (Selvaraju et al. 2017) at "
                                     "the last convolution, in colour over each "
                                     "image, and the maps themselves in maps.h5. One CSV line an "
                                     "image on stdout. Directories are searched "
                                     "for JPEGs; - reads a list of files from stdin, one per line "
                                     "or NUL-ended (find -print0). Exit status "
                                     "65 if a file could not be used.",
                                     children,
                                     NULL,
                                     NULL};
    pulmo_config config;
    explain_arguments a = {.common.level = PULMO_LOG_NORMAL, .options = {.weights = ""}};
    (void)comm;
    a.inputs = calloc((size_t)argc + 1, sizeof *a.inputs);
    if (!a.inputs)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    parse_arguments(&argp, argc, argv, &a);
    a.options.inputs = a.inputs;
    pulmo_log_setup(a.common.level, 0, 1);
    pulmo_status status = load_use(&a.common, "explain", KEYS_OF_LOOK, &config, &a.options.weights,
                                   &a.options.threads);
    if (status == PULMO_OK)
        status = pulmo_explain(&a.options);
    free(a.inputs);
    return status;
}

/* ---- export ---- */

typedef struct export_arguments {
    common_options common;
    pulmo_export_options options;
    bool format_given;
} export_arguments;

static error_t parse_export(int key, char *argument, struct argp_state *state)
{
    export_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_OUT:
        a->options.out = argument;
        return 0;
    case KEY_WEIGHTS:
        a->options.weights = argument;
        return 0;
    case KEY_NORMALIZATION:
        a->options.with_normalization = true;
        return 0;
    case KEY_FORMAT:
        if (strcmp(argument, "onnx") != 0 && strcmp(argument, "safetensors") != 0)
            argp_error(state, "--format: \"%s\" must be onnx or safetensors", argument);
        a->options.safetensors = strcmp(argument, "safetensors") == 0;
        a->format_given = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->options.run)
            argp_error(state, "one run at a time; \"%s\" is a second", argument);
        a->options.run = argument;
        return 0;
    case ARGP_KEY_END:
        if (!a->options.run || !a->options.out || !a->format_given)
            argp_error(state, "RUN, --format and --out FILE are needed");
        if (a->options.safetensors && a->options.with_normalization)
            argp_error(state,
                       "--with-normalization is for --format onnx: safetensors holds no graph");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

pulmo_status command_export(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"format", KEY_FORMAT, "onnx|safetensors", 0,
         "onnx: convolutions, head and softmax, any batch; safetensors: torchvision's names", 0},
        {"out", KEY_OUT, "FILE", 0, "the file; it appears whole or not at all", 0},
        {"with-normalization", KEY_NORMALIZATION, NULL, 0,
         "onnx: the input is RGB in 0..1, normalised inside", 0},
        {"weights", KEY_WEIGHTS, "FILE", 0, "VGG16 convolutions", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {
        options,
        parse_export,
        "RUN --format onnx|safetensors --out FILE",
        "Writes the whole model, convolutions and head, for other programs. What they need to "
        "know besides (classes, threshold, preprocessing, where it comes from) is in the file's "
        "metadata.",
        children,
        NULL,
        NULL};
    export_arguments a = {.common.level = PULMO_LOG_NORMAL, .options = {.weights = ""}};
    pulmo_config config;
    (void)comm;
    parse_arguments(&argp, argc, argv, &a);
    PULMO_TRY(load_use(&a.common, "export", "model.weights", &config, &a.options.weights, NULL));
    pulmo_log_setup(a.common.level, 0, 1);
    return pulmo_export(&a.options);
}

/* ---- weights ---- */

typedef struct weights_arguments {
    common_options common;
    const char *action, *path;
} weights_arguments;

static error_t parse_weights(int key, char *argument, struct argp_state *state)
{
    weights_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case ARGP_KEY_ARG:
        if (!a->action) {
            if (strcmp(argument, "check") != 0)
                argp_error(state, "\"%s\" is no action; there is check", argument);
            a->action = argument;
        } else if (!a->path)
            a->path = argument;
        else
            argp_error(state, "one file at a time; \"%s\" is a second", argument);
        return 0;
    case ARGP_KEY_END:
        if (!a->action)
            argp_error(state, "an action is needed: check");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *weights_help(int key, const char *text, void *input)
{
    (void)input;
    return help_with_keys(key, text, "model", "");
}

pulmo_status command_weights(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {NULL,
                                     parse_weights,
                                     "check [FILE]",
                                     "Says what a file of VGG16 weights is: format, names, "
                                     "preprocessing, layers, digests, and the result of "
                                     "a known-answer pass. Without FILE: the one that train would "
                                     "take. Formats: safetensors (torchvision's "
                                     "and timm's names), PyTorch's .pth, Keras' .h5, ONNX. Exit "
                                     "status 65 if train would refuse it.\v ",
                                     children,
                                     weights_help,
                                     NULL};
    weights_arguments a = {.common.level = PULMO_LOG_NORMAL};
    pulmo_config config;
    (void)comm;
    parse_arguments(&argp, argc, argv, &a);
    pulmo_log_setup(a.common.level, 0, 1);
    PULMO_TRY(load_some(&a.common, "weights", "model.*", &config));
    if (a.path)
        snprintf(config.model.weights, sizeof config.model.weights, "%s", a.path);
    return pulmo_weights_check(stdout, &config);
}
