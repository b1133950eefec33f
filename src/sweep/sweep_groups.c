/* What came of a sweep over seeds or folds: a line per group of trials that differ in seed or fold
 * alone. */
#include <math.h>

#include "sweep_room.h"

/* ---- means and deviations ---- */

/* How many trials a group has. */
static uint64_t group_size(const pulmo_grid *grid)
{
    uint64_t size = 1;
    for (int a = 0; a < grid->axes; a++) {
        if (sweep_is_repeat(grid, a))
            size *= (uint64_t)grid->axis[a].count;
    }
    return size;
}

/* A group's trial number `member`, of the group that begins with `first`. */
static const sweep_trial *group_member(const sweep *s, uint64_t first, uint64_t member)
{
    uint64_t number = first;
    for (int a = s->grid->axes - 1; a >= 0; a--) {
        if (!sweep_is_repeat(s->grid, a))
            continue;
        uint64_t count = (uint64_t)s->grid->axis[a].count;
        uint64_t index = member % count;
        number += index * sweep_trials_apart(s->grid, a);
        member /= count;
    }
    return &s->trials[number];
}

sweep_spread sweep_spread_of_values(const double *values, int count)
{
    sweep_spread out = {.mean = NAN, .deviation = NAN};
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        sum += values[i];
        out.count++;
    }
    if (out.count > 0)
        out.mean = sum / out.count;
    for (int i = 0; i < count; i++) {
        double distance = values[i] - out.mean;
        if (!isnan(distance))
            squares += distance * distance;
    }
    if (out.count > 1)
        out.deviation = sqrt(squares / (out.count - 1));
    return out;
}

/* A figure over the group that begins with trial `first`. */
static sweep_spread spread_of(const sweep *s, uint64_t first, sweep_figure figure)
{
    double values[SWEEP_TRIALS_MAX];
    const int size = (int)group_size(s->grid);
    for (int m = 0; m < size; m++) {
        const sweep_trial *member = group_member(s, first, (uint64_t)m);
        values[m] = sweep_figure_of(member, figure);
    }
    return sweep_spread_of_values(values, size);
}

/* The trial stands for its group: it has the first seed and the first fold. */
static bool begins_group(const sweep *s, uint64_t trial)
{
    for (int a = 0; a < s->grid->axes; a++) {
        if (!sweep_is_repeat(s->grid, a))
            continue;
        if (pulmo_grid_index(s->grid, trial, a) != 0)
            return false;
    }
    return true;
}

/* What a group's trials are called. */
static const char *repeats_named(const pulmo_grid *grid)
{
    bool seeds = sweep_axis_of(grid, "train.seed") >= 0;
    bool folds = sweep_axis_of(grid, SWEEP_FOLD_KEY) >= 0;
    if (seeds && folds)
        return "runs";
    return folds ? "folds" : "seeds";
}

/* ---- the file ---- */

static void write_heading(FILE *out, const pulmo_grid *grid)
{
    for (int a = 0; a < grid->axes; a++) {
        if (!sweep_is_repeat(grid, a))
            fprintf(out, "%s,", grid->axis[a].key);
    }
    fputs(repeats_named(grid), out);
    for (int f = 0; f < SWEEP_FIGURES; f++) {
        const char *column = sweep_figure_named[f].column;
        fprintf(out, ",%s_mean,%s_sd", column, column);
    }
    fputc('\n', out);
}

static void write_group(FILE *out, const sweep *s, uint64_t first)
{
    sweep_spread loss = spread_of(s, first, SWEEP_VAL_LOSS);
    for (int a = 0; a < s->grid->axes; a++) {
        if (sweep_is_repeat(s->grid, a))
            continue;
        const char *value = pulmo_grid_value(s->grid, first, a);
        pulmo_csv_field(out, value);
        fputc(',', out);
    }
    fprintf(out, "%d", loss.count);
    for (int f = 0; f < SWEEP_FIGURES; f++) {
        sweep_spread of = spread_of(s, first, (sweep_figure)f);
        sweep_csv_number(out, of.mean);
        sweep_csv_number(out, of.deviation);
    }
    fputc('\n', out);
}

void sweep_groups_csv(FILE *out, const sweep *s)
{
    write_heading(out, s->grid);
    for (uint64_t t = 0; t < s->count; t++) {
        if (begins_group(s, t))
            write_group(out, s, t);
    }
}

/* ---- the terminal ---- */

static const sweep_figure shown[] = {SWEEP_VAL_ACCURACY, SWEEP_VAL_AUC, SWEEP_TEST_ACCURACY,
                                     SWEEP_TEST_AUC};
static const size_t shown_count = sizeof shown / sizeof shown[0];

static void show_heading(FILE *out, const pulmo_grid *grid)
{
    unsigned long long size = group_size(grid);
    const char *repeats = repeats_named(grid);
    fprintf(out, "\nOver %llu %s: mean and standard deviation\n", size, repeats);
    for (int a = 0; a < grid->axes; a++) {
        const pulmo_grid_axis *axis = &grid->axis[a];
        if (!sweep_is_repeat(grid, a))
            fprintf(out, "%*s  ", sweep_axis_width(axis), axis->key);
    }
    fprintf(out, "%5s", repeats);
    for (size_t k = 0; k < shown_count; k++) {
        sweep_figure figure = shown[k];
        fprintf(out, "  %16s", sweep_figure_named[figure].heading);
    }
    fputc('\n', out);
}

static void show_spread(FILE *out, const sweep_spread *of)
{
    if (of->count == 0) {
        fprintf(out, "  %16s", "-");
        return;
    }
    double deviation = of->count > 1 ? of->deviation : 0.0;
    fprintf(out, "  %6.4f \u00b1 %6.4f ", of->mean, deviation);
}

static void show_group(FILE *out, const sweep *s, uint64_t first)
{
    sweep_spread loss = spread_of(s, first, SWEEP_VAL_LOSS);
    for (int a = 0; a < s->grid->axes; a++) {
        if (sweep_is_repeat(s->grid, a))
            continue;
        const pulmo_grid_axis *axis = &s->grid->axis[a];
        int width = sweep_axis_width(axis);
        const char *value = pulmo_grid_value(s->grid, first, a);
        fprintf(out, "%*s  ", width, value);
    }
    fprintf(out, "%5d", loss.count);
    for (size_t k = 0; k < shown_count; k++) {
        sweep_spread of = spread_of(s, first, shown[k]);
        show_spread(out, &of);
    }
    fputc('\n', out);
}

void sweep_groups_shown(FILE *out, const sweep *s)
{
    show_heading(out, s->grid);
    for (uint64_t t = 0; t < s->count; t++) {
        if (begins_group(s, t))
            show_group(out, s, t);
    }
}
