/* `pulmo sweep`: arguments in, one call of the train room. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "pulmo/interrupt.h"
#include "pulmo/report.h"
#include "pulmo/sweep.h"

enum { KEY_GRID = 1000, KEY_OVERWRITE, KEY_WEIGHTS, KEY_PART, KEY_AT_ONCE };

typedef struct sweep_arguments {
    common_options common;
    const char *grids[PULMO_GRID_AXES + 1];
    int grid_count, overwrite, part, parts, at_once;
    const char *weights;
} sweep_arguments;

static error_t parse(int key, char *argument, struct argp_state *state)
{
    sweep_arguments *a = state->input;
    char rest;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_GRID:
        if (a->grid_count > PULMO_GRID_AXES)
            argp_error(state, "--grid: more than %d keys", PULMO_GRID_AXES);
        a->grids[a->grid_count++] = argument;
        return 0;
    case KEY_OVERWRITE:
        a->overwrite = 1;
        return 0;
    case KEY_WEIGHTS:
        a->weights = argument;
        return 0;
    case KEY_PART:
        if (sscanf(argument, "%d/%d%c", &a->part, &a->parts, &rest) != 2 || a->part < 0 ||
            a->part >= a->parts)
            argp_error(state, "--part=%s: must be K/N with K from 0 to N - 1", argument);
        return 0;
    case KEY_AT_ONCE:
        if (sscanf(argument, "%d%c", &a->at_once, &rest) != 1 || a->at_once < 1)
            argp_error(state, "--at-once=%s: must be 1 or more", argument);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state,
                   "unexpected argument \"%s\"; values are given with --grid KEY=VALUE,VALUE",
                   argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *sweep_help(int key, const char *text, void *input)
{
    (void)input;
    return help_with_keys(key, text, "data|augment|model|train|bank|optim|eval",
                          "\nIn the file the grid is a section:\n  sweep:\n    optim.lr: [0.001, "
                          "0.0001]\n    model.hidden: [[256], []]\n"
                          "    train.seed: [0, 1, 2]\n\n"
                          "Exit status: 0 done, 75 interrupted (run the same command again to go "
                          "on); where trials failed, the first one's.\n");
}

/* The file with its grid, then --set and --grid. */
static pulmo_status load(const sweep_arguments *a, pulmo_config *config, pulmo_grid *grid)
{
    pulmo_config_init(config);
    pulmo_settings sets = a->common.settings;
    sets.path = NULL; /* read with its grid */
    if (a->common.settings.path)
        PULMO_TRY(pulmo_config_read_grid(config, grid, a->common.settings.path));
    PULMO_TRY(pulmo_config_apply(config, &sets));
    PULMO_TRY(pulmo_settings_check(&sets, "sweep", KEYS_OF_TRAINING));
    for (int i = 0; i < a->grid_count; i++)
        PULMO_TRY(pulmo_grid_add(grid, a->grids[i]));
    for (int i = 0; i < grid->axes; i++)
        if (strncmp(grid->axis[i].key, "pack.", 5) == 0)
            return pulmo_fail(PULMO_CONFIG,
                              "grid: %s: means nothing to training; pack once for each value and "
                              "sweep over each of the packs",
                              grid->axis[i].key);
    if (a->weights)
        snprintf(config->model.weights, sizeof config->model.weights, "%s", a->weights);
    if (grid->axes > 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "no grid: give --grid KEY=VALUE,VALUE,... or a section sweep in the file");
}

pulmo_status command_sweep(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"grid", KEY_GRID, "KEY=V,V,...", 0,
         "values of a key to try, as in optim.lr=0.001,0.0001 (repeatable: every combination)", 0},
        {"overwrite", KEY_OVERWRITE, NULL, 0, "train anew what is finished already", 0},
        {"part", KEY_PART, "K/N", 0,
         "only every N-th trial, counted from K (0 to N - 1): for N jobs that share a sweep", 0},
        {"at-once", KEY_AT_ONCE, "N", 0,
         "trials trained side by side at the most, the ranks divided among them (default: as many "
         "as ranks where features come from a "
         "bank, else 1)",
         0},
        {"weights", KEY_WEIGHTS, "FILE", 0, "VGG16 convolutions", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {
        options,
        parse,
        "-c FILE",
        "Trains every combination of some keys' values, each in a run directory of its own below "
        "train.run_dir, and writes one table, best on val first: sweep.csv and stdout. With "
        "train.seed as "
        "a key also means and spreads over seeds. What is finished is kept when the command is "
        "given again; a "
        "trial that fails is told of and the rest goes on. With train.features=bank the trials "
        "share one "
        "feature bank, built by all ranks by the first of them. Under mpirun or srun.\v ",
        children,
        sweep_help,
        NULL};
    sweep_arguments a = {.common.level = PULMO_LOG_NORMAL, .parts = 1};
    pulmo_config config;
    pulmo_grid grid = {0};
    parse_arguments(&argp, argc, argv, &a);
    pulmo_status status = load(&a, &config, &grid);
    pulmo_interrupt_listen(); /* a signal may come while the ranks still find each other */
    if (status == PULMO_OK)
        status = start_ranks(&a.common, comm);
    const pulmo_sweep_options sweep = {.config = &config,
                                       .grid = &grid,
                                       .report = pulmo_report_of_run,
                                       .overwrite = a.overwrite,
                                       .part = a.part,
                                       .parts = a.parts,
                                       .at_once = a.at_once,
                                       .level = a.common.level};
    if (status == PULMO_OK)
        status = pulmo_sweep(*comm, &sweep);
    pulmo_grid_free(&grid);
    return status;
}
