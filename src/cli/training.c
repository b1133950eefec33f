/* `pulmo train`, `pulmo reproduce` and `pulmo sweep`: arguments in, one call of the rooms below. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "pulmo/interrupt.h"
#include "pulmo/report.h"
#include "pulmo/reproduce.h"
#include "pulmo/sweep.h"

/* ---- train ---- */

pulmo_status load_train(arguments *a)
{
    PULMO_TRY(load_settings(a));
    pulmo_interrupt_listen(); /* a signal may come while the ranks still find each other */
    return PULMO_OK;
}

pulmo_status run_train(arguments *a)
{
    return pulmo_train(a->comm, &a->config, a->overwrite, pulmo_report_of_run);
}

/* ---- reproduce ---- */

pulmo_status run_reproduce(arguments *a)
{
    const pulmo_reproduce_options options = {
        .run = a->operands[0], .out = a->out, .epochs = a->epochs, .config = &a->config};
    return pulmo_reproduce(a->comm, &options);
}

/* ---- sweep ---- */

void take_grid(struct argp_state *state, arguments *a, const char *argument)
{
    if (a->grid_count > PULMO_GRID_AXES)
        argp_error(state, "--grid: more than %d keys", PULMO_GRID_AXES);
    a->grids[a->grid_count++] = argument;
}

void take_part(struct argp_state *state, arguments *a, const char *argument)
{
    char rest = 0;
    int read = sscanf(argument, "%d/%d%c", &a->part, &a->parts, &rest);
    if (read != 2 || a->part < 0 || a->part >= a->parts)
        argp_error(state, "--part=%s: must be K/N with K from 0 to N - 1", argument);
}

static pulmo_status check_grid(const pulmo_grid *grid)
{
    if (grid->axes == 0)
        return pulmo_fail(
            PULMO_CONFIG,
            "no grid: give --grid KEY=VALUE,VALUE,... or a section sweep in the file");
    for (int i = 0; i < grid->axes; i++) {
        const char *key = grid->axis[i].key;
        if (strncmp(key, "pack.", 5) == 0)
            return pulmo_fail(PULMO_CONFIG,
                              "grid: %s: means nothing to training; pack once for each value and "
                              "sweep over each of the packs",
                              key);
    }
    return PULMO_OK;
}

/* The file with its grid, then --set, --grid and the other options. */
pulmo_status load_sweep(arguments *a)
{
    const char *path = a->settings.path;
    pulmo_settings sets = a->settings;
    sets.path = NULL; /* read with its grid */
    pulmo_config_init(&a->config);
    if (path)
        PULMO_TRY(pulmo_config_read_grid(&a->config, &a->grid, path));
    PULMO_TRY(pulmo_config_apply(&a->config, &sets));
    PULMO_TRY(pulmo_settings_check(&sets, a->command->name, a->command->keys));
    for (int i = 0; i < a->grid_count; i++)
        PULMO_TRY(pulmo_grid_add(&a->grid, a->grids[i]));
    PULMO_TRY(check_grid(&a->grid));
    PULMO_TRY(load_options(a));
    pulmo_interrupt_listen(); /* as in load_train */
    return PULMO_OK;
}

pulmo_status run_sweep(arguments *a)
{
    const pulmo_sweep_options options = {.config = &a->config,
                                         .grid = &a->grid,
                                         .report = pulmo_report_of_run,
                                         .overwrite = a->overwrite,
                                         .part = a->part,
                                         .parts = a->parts,
                                         .at_once = a->at_once,
                                         .level = a->level};
    return pulmo_sweep(a->comm, &options);
}
