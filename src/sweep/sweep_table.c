/* What came of a sweep: a line per trial, best on val first, in sweep.csv and on the terminal. */
#include <math.h>
#include <stdlib.h>

#include "pulmo/memory.h"
#include "sweep_room.h"

/* ---- order ---- */

typedef struct ranked {
    const sweep_trial *trial;
    uint64_t number;
    double value; /* larger is better; NaN last */
} ranked;

static double value_of(const sweep *s, const sweep_trial *trial)
{
    switch (s->options->config->train.monitor) {
    case PULMO_MONITOR_AUC:
        return sweep_figure_of(trial, SWEEP_VAL_AUC);
    case PULMO_MONITOR_LOSS:
        return -sweep_figure_of(trial, SWEEP_VAL_LOSS);
    default:
        return sweep_figure_of(trial, SWEEP_VAL_ACCURACY);
    }
}

/* Of two values: -1 where the smaller is first, 1 where it is last, 0 for equal ones. */
static int order_of(double a, double b)
{
    return (a > b) - (a < b);
}

/* Ties go to the lower val loss. */
static int compare_values(const ranked *a, const ranked *b)
{
    bool a_has_none = isnan(a->value);
    bool b_has_none = isnan(b->value);
    if (a_has_none || b_has_none)
        return (int)a_has_none - (int)b_has_none;
    int order = order_of(b->value, a->value);
    if (order != 0)
        return order;
    double a_loss = a->trial->figure[SWEEP_VAL_LOSS];
    double b_loss = b->trial->figure[SWEEP_VAL_LOSS];
    return order_of(a_loss, b_loss);
}

/* What compares equal stays in the grid's order. */
static int compare_ranked(const void *left, const void *right)
{
    const ranked *a = left;
    const ranked *b = right;
    int order = compare_values(a, b);
    if (order == 0)
        order = (a->number > b->number) - (a->number < b->number);
    return order;
}

static ranked *rank_trials(const sweep *s)
{
    ranked *order = calloc(s->count, sizeof *order);
    if (!order)
        return NULL;
    for (uint64_t t = 0; t < s->count; t++) {
        const sweep_trial *trial = &s->trials[t];
        order[t] = (ranked){trial, t, value_of(s, trial)};
    }
    qsort(order, s->count, sizeof *order, compare_ranked);
    return order;
}

/* ---- the file ---- */

static const char *const state_names[] = {"waiting", "finished", "failed"};

static void write_heading(FILE *out, const pulmo_grid *grid)
{
    fputs("place", out);
    for (int a = 0; a < grid->axes; a++)
        fprintf(out, ",%s", grid->axis[a].key);
    fputs(",state,best_epoch", out);
    for (int f = 0; f < SWEEP_FIGURES; f++)
        fprintf(out, ",%s", sweep_figure_named[f].column);
    fputs(",head_sha256,directory,reason\n", out);
}

static void write_trial(FILE *out, const pulmo_grid *grid, const ranked *row)
{
    const sweep_trial *trial = row->trial;
    bool finished = trial->state == SWEEP_FINISHED;
    for (int a = 0; a < grid->axes; a++) {
        const char *value = pulmo_grid_value(grid, row->number, a);
        fputc(',', out);
        pulmo_csv_field(out, value);
    }
    fprintf(out, ",%s,", state_names[trial->state]);
    if (finished)
        fprintf(out, "%lld", (long long)trial->best_epoch);
    for (int f = 0; f < SWEEP_FIGURES; f++) {
        double value = sweep_figure_of(trial, (sweep_figure)f);
        sweep_csv_number(out, value);
    }
    const char *digest = finished ? trial->head_digest : "";
    fprintf(out, ",%s,", digest);
    pulmo_csv_field(out, trial->name);
    fputc(',', out);
    pulmo_csv_field(out, trial->reason);
    fputc('\n', out);
}

static void trials_csv(FILE *out, const sweep *s, const ranked *order)
{
    write_heading(out, s->grid);
    for (uint64_t i = 0; i < s->count; i++) {
        fprintf(out, "%llu", (unsigned long long)i + 1);
        write_trial(out, s->grid, &order[i]);
    }
}

/* ---- the terminal ---- */

static void show_heading(FILE *out, const sweep *s)
{
    int monitor = s->options->config->train.monitor;
    const char *by = pulmo_config_choice("train.monitor", monitor);
    fprintf(out, "Best by val %s first\n", by);
    fprintf(out, "%5s", "place");
    for (int a = 0; a < s->grid->axes; a++) {
        const pulmo_grid_axis *axis = &s->grid->axis[a];
        fprintf(out, "  %*s", sweep_axis_width(axis), axis->key);
    }
    fprintf(out, "  %5s", "epoch");
    for (int f = 0; f < SWEEP_FIGURES; f++)
        fprintf(out, "  %9s", sweep_figure_named[f].heading);
    fputc('\n', out);
}

static void show_number(FILE *out, double value)
{
    if (isnan(value))
        fprintf(out, "  %9s", "-");
    else
        fprintf(out, "  %9.4f", value);
}

static void show_trial(FILE *out, const pulmo_grid *grid, const ranked *row)
{
    const sweep_trial *trial = row->trial;
    for (int a = 0; a < grid->axes; a++) {
        int width = sweep_axis_width(&grid->axis[a]);
        const char *value = pulmo_grid_value(grid, row->number, a);
        fprintf(out, "  %*s", width, value);
    }
    if (trial->state != SWEEP_FINISHED) {
        fprintf(out, "  %s: ", state_names[trial->state]);
        pulmo_text_show(out, trial->reason, 100);
        fputc('\n', out);
        return;
    }
    fprintf(out, "  %5lld", (long long)trial->best_epoch);
    for (int f = 0; f < SWEEP_FIGURES; f++)
        show_number(out, trial->figure[f]);
    fputc('\n', out);
}

static void trials_shown(FILE *out, const sweep *s, const ranked *order)
{
    show_heading(out, s);
    for (uint64_t i = 0; i < s->count; i++) {
        fprintf(out, "%5llu", (unsigned long long)i + 1);
        show_trial(out, s->grid, &order[i]);
    }
}

/* ---- files ---- */

pulmo_status sweep_write_table(const sweep *s, pulmo_text *table, const char *file)
{
    const char *run_dir = s->options->config->train.run_dir;
    char *path = pulmo_format("%s/%s", run_dir, file);
    if (!path) {
        pulmo_text_discard(table);
        return PULMO_MEMORY;
    }
    pulmo_status status = pulmo_text_write(table, path);
    free(path);
    return status;
}

static pulmo_status write_files(const sweep *s, const ranked *order)
{
    pulmo_text table;
    PULMO_TRY(pulmo_text_open(&table));
    trials_csv(table.stream, s, order);
    PULMO_TRY(sweep_write_table(s, &table, "sweep.csv"));
    if (!sweep_has_repeats(s->grid))
        return PULMO_OK;
    PULMO_TRY(pulmo_text_open(&table));
    sweep_groups_csv(table.stream, s);
    return sweep_write_table(s, &table, "sweep_groups.csv");
}

pulmo_status sweep_write_tables(const sweep *s, FILE *out)
{
    ranked *order = rank_trials(s);
    if (!order)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the table");
    pulmo_status status = write_files(s, order);
    if (status == PULMO_OK && out) {
        trials_shown(out, s, order);
        if (sweep_has_repeats(s->grid))
            sweep_groups_shown(out, s);
        fprintf(out, "\nTable: %s/sweep.csv\n", s->options->config->train.run_dir);
        fflush(out);
    }
    free(order);
    return status;
}
