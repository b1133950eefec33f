/* `pulmo preview`. */
#include "cli.h"
#include "pulmo/infer.h"

enum { KEY_OUT = 1000, KEY_SPLIT, KEY_ROWS, KEY_VIEWS };

typedef struct preview_arguments {
    common_options common;
    pulmo_preview_options options;
} preview_arguments;

static error_t parse(int key, char *argument, struct argp_state *state)
{
    preview_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_OUT:
        a->options.out = argument;
        return 0;
    case KEY_SPLIT:
        a->options.split = argument;
        return 0;
    case KEY_ROWS:
        a->options.rows = (int)parse_long(state, "--rows", argument, 1, 200);
        return 0;
    case KEY_VIEWS:
        a->options.views = (int)parse_long(state, "--views", argument, 0, 50);
        return 0;
    case ARGP_KEY_ARG:
        if (a->options.data)
            argp_error(state, "unexpected argument \"%s\"", argument);
        a->options.data = argument;
        return 0;
    case ARGP_KEY_END:
        if (!a->options.data)
            argp_error(state, "a packed directory is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *preview_help(int key, const char *text, void *input)
{
    (void)input;
    return help_with_keys(key, text, "augment", "");
}

pulmo_status command_preview(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"out", KEY_OUT, "FILE", 0, "the sheet, a PNG (default preview.png)", 0},
        {"split", KEY_SPLIT, "NAME", 0, "train (default), val or test", 0},
        {"rows", KEY_ROWS, "N", 0, "images, from the classes in turn (default 8)", 0},
        {"views", KEY_VIEWS, "N", 0,
         "augmented views of each: those of the first epochs (default 6)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {
        options,  parse,
        "PACKED", "A contact sheet of packed images and what training sees of them.\v ",
        children, preview_help,
        NULL};
    preview_arguments a = {
        .common.level = PULMO_LOG_NORMAL,
        .options = {.out = "preview.png", .split = "train", .rows = 8, .views = 6}};
    pulmo_config config;
    (void)comm;
    parse_arguments(&argp, argc, argv, &a);
    pulmo_log_setup(a.common.level, 0, 1);
    PULMO_TRY(load_some(&a.common, "preview", "augment.*|train.seed", &config));
    a.options.config = &config;
    return pulmo_preview(&a.options);
}
