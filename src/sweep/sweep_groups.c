/* What came of a sweep over folds or seeds: a line per group of trials that differ in that alone.
 */
#include <math.h>
#include <string.h>

#include "sweep_room.h"

static int axis_of(const pulmo_grid *grid, const char *key)
{
    for (int a = 0; a < grid->axes; a++) {
        const pulmo_grid_axis *axis = &grid->axis[a];
        if (strcmp(axis->key, key) == 0 && axis->count > 1)
            return a;
    }
    return -1;
}

int sweep_seed_axis(const pulmo_grid *grid)
{
    return axis_of(grid, "train.seed");
}

int sweep_group_axis(const pulmo_grid *grid)
{
    int folds = axis_of(grid, "data.fold");
    return folds >= 0 ? folds : sweep_seed_axis(grid);
}

/* What the trials of a group differ in, for a heading. */
static const char *members(const pulmo_grid *grid, int axis)
{
    return strcmp(grid->axis[axis].key, "data.fold") == 0 ? "folds" : "seeds";
}

/* ---- means and deviations ---- */

typedef struct spread {
    int count;
    double mean, deviation; /* of the sample: n - 1; NaN where there are too few */
} spread;

/* How far two trials are apart that differ in this axis alone, by one value. */
static uint64_t trials_apart(const pulmo_grid *grid, int axis)
{
    uint64_t apart = 1;
    for (int a = grid->axes - 1; a > axis; a--)
        apart *= (uint64_t)grid->axis[a].count;
    return apart;
}

/* A figure of the trials that differ from `first` in the seed alone, where they have it: into
 * values (PULMO_GRID_VALUES), in the seeds' order. Returns how many. */
static int group_values(const sweep *s, int along, uint64_t first, sweep_figure figure,
                        double *values)
{
    const uint64_t step = trials_apart(s->grid, along);
    const int along_count = s->grid->axis[along].count;
    const sweep_trial *trial = &s->trials[first];
    int count = 0;
    for (int v = 0; v < along_count; v++) {
        double value = sweep_figure_of(trial, figure);
        trial += step;
        if (!isnan(value))
            values[count++] = value;
    }
    return count;
}

static spread spread_of(const sweep *s, int along, uint64_t first, sweep_figure figure)
{
    double values[PULMO_GRID_VALUES];
    spread out = {.mean = NAN, .deviation = NAN};
    double sum = 0, squares = 0;
    out.count = group_values(s, along, first, figure, values);
    for (int i = 0; i < out.count; i++)
        sum += values[i];
    if (out.count > 0)
        out.mean = sum / out.count;
    for (int i = 0; i < out.count; i++) {
        double distance = values[i] - out.mean;
        squares += distance * distance;
    }
    if (out.count > 1)
        out.deviation = sqrt(squares / (out.count - 1));
    return out;
}

/* The trial stands for its group: it has the first seed. */
static bool begins_group(const sweep *s, uint64_t trial, int along)
{
    return pulmo_grid_index(s->grid, trial, along) == 0;
}

/* ---- the file ---- */

static void write_heading(FILE *out, const pulmo_grid *grid, int along)
{
    for (int a = 0; a < grid->axes; a++) {
        if (a != along)
            fprintf(out, "%s,", grid->axis[a].key);
    }
    fputs(members(grid, along), out);
    for (int f = 0; f < SWEEP_FIGURES; f++) {
        const char *column = sweep_figure_named[f].column;
        fprintf(out, ",%s_mean,%s_sd", column, column);
    }
    fputc('\n', out);
}

static void write_group(FILE *out, const sweep *s, uint64_t first, int along)
{
    spread loss = spread_of(s, along, first, SWEEP_VAL_LOSS);
    for (int a = 0; a < s->grid->axes; a++) {
        if (a == along)
            continue;
        const char *value = pulmo_grid_value(s->grid, first, a);
        pulmo_csv_field(out, value);
        fputc(',', out);
    }
    fprintf(out, "%d", loss.count);
    for (int f = 0; f < SWEEP_FIGURES; f++) {
        spread of = spread_of(s, along, first, (sweep_figure)f);
        sweep_csv_number(out, of.mean);
        sweep_csv_number(out, of.deviation);
    }
    fputc('\n', out);
}

void sweep_groups_csv(FILE *out, const sweep *s, int along)
{
    write_heading(out, s->grid, along);
    for (uint64_t t = 0; t < s->count; t++) {
        if (begins_group(s, t, along))
            write_group(out, s, t, along);
    }
}

/* ---- the terminal ---- */

static const sweep_figure shown[] = {SWEEP_VAL_ACCURACY, SWEEP_VAL_AUC, SWEEP_TEST_ACCURACY,
                                     SWEEP_TEST_AUC};
static const size_t shown_count = sizeof shown / sizeof shown[0];

static void show_heading(FILE *out, const pulmo_grid *grid, int along)
{
    fprintf(out, "\nOver %d %s: mean and standard deviation\n", grid->axis[along].count,
            members(grid, along));
    for (int a = 0; a < grid->axes; a++) {
        const pulmo_grid_axis *axis = &grid->axis[a];
        if (a != along)
            fprintf(out, "%*s  ", sweep_axis_width(axis), axis->key);
    }
    fprintf(out, "%5s", members(grid, along));
    for (size_t k = 0; k < shown_count; k++)
        fprintf(out, "  %16s", sweep_figure_named[shown[k]].heading);
    fputc('\n', out);
}

static void show_spread(FILE *out, const spread *of)
{
    if (of->count == 0) {
        fprintf(out, "  %16s", "-");
        return;
    }
    double deviation = of->count > 1 ? of->deviation : 0.0;
    fprintf(out, "  %6.4f \u00b1 %6.4f ", of->mean, deviation);
}

static void show_group(FILE *out, const sweep *s, uint64_t first, int along)
{
    spread loss = spread_of(s, along, first, SWEEP_VAL_LOSS);
    for (int a = 0; a < s->grid->axes; a++) {
        if (a == along)
            continue;
        int width = sweep_axis_width(&s->grid->axis[a]);
        const char *value = pulmo_grid_value(s->grid, first, a);
        fprintf(out, "%*s  ", width, value);
    }
    fprintf(out, "%5d", loss.count);
    for (size_t k = 0; k < shown_count; k++) {
        spread of = spread_of(s, along, first, shown[k]);
        show_spread(out, &of);
    }
    fputc('\n', out);
}

void sweep_groups_shown(FILE *out, const sweep *s, int along)
{
    show_heading(out, s->grid, along);
    for (uint64_t t = 0; t < s->count; t++) {
        if (begins_group(s, t, along))
            show_group(out, s, t, along);
    }
}
