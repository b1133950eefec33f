/* What came of a sweep: a line a trial, best on val first, and a line a group of trials that differ
 * in their seed alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"
#include "sweep_room.h"

/* ---- a trial's figures ---- */

static pulmo_status history_value(pulmo_h5 *file, const char *name, int64_t epoch, double *out)
{
    *out = NAN;
    if (!pulmo_h5_exists(file, name))
        return PULMO_OK;
    return pulmo_h5_read_rows(file, name, PULMO_H5_F64, (uint64_t)epoch - 1, 1, out);
}

static pulmo_status split_value(pulmo_h5 *file, const char *split, const char *name, double *out)
{
    *out = NAN;
    if (!pulmo_h5_exists(file, split) || !pulmo_h5_has_attribute(file, split, name))
        return PULMO_OK;
    return pulmo_h5_get_real(file, split, name, out);
}

static pulmo_status read_figures(pulmo_h5 *file, sweep_trial *trial)
{
    char *digest = NULL;
    PULMO_TRY(pulmo_h5_get_int(file, "/", "best_epoch", &trial->best_epoch));
    if (trial->best_epoch < 1)
        return pulmo_fail(PULMO_DATA, "%s: best_epoch is %lld", pulmo_h5_path(file),
                          (long long)trial->best_epoch);
    PULMO_TRY(history_value(file, "history/val_loss", trial->best_epoch, &trial->val_loss));
    PULMO_TRY(history_value(file, "history/val_accuracy", trial->best_epoch, &trial->val_accuracy));
    PULMO_TRY(history_value(file, "history/val_auc", trial->best_epoch, &trial->val_auc));
    PULMO_TRY(split_value(file, "test", "accuracy", &trial->test_accuracy));
    PULMO_TRY(split_value(file, "test", "auc", &trial->test_auc));
    PULMO_TRY(pulmo_h5_get_text(file, "/", "head_sha256", &digest));
    snprintf(trial->head_digest, sizeof trial->head_digest, "%s", digest);
    free(digest);
    return PULMO_OK;
}

pulmo_status sweep_read_trial(const char *directory, sweep_trial *trial)
{
    pulmo_h5 *file = NULL;
    char *path = pulmo_format("%s/results.h5", directory);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = read_figures(file, trial);
    pulmo_h5_close(file);
    free(path);
    return status;
}

/* ---- order ---- */

typedef struct ranked {
    const sweep_trial *trial;
    uint64_t number;
    double value; /* larger is better; NaN last */
} ranked;

static double value_of(const sweep *s, const sweep_trial *trial)
{
    if (trial->state != SWEEP_FINISHED)
        return NAN;
    switch (s->options->config->train.monitor) {
    case PULMO_MONITOR_AUC:
        return trial->val_auc;
    case PULMO_MONITOR_LOSS:
        return -trial->val_loss;
    default:
        return trial->val_accuracy;
    }
}

/* Ties go to the lower val loss, then to the grid's order. */
static int compare(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (isnan(a->value) != isnan(b->value))
        return isnan(a->value) ? 1 : -1;
    if (!isnan(a->value) && a->value != b->value)
        return a->value > b->value ? -1 : 1;
    if (!isnan(a->value) && a->trial->val_loss != b->trial->val_loss)
        return a->trial->val_loss < b->trial->val_loss ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static ranked *rank_trials(const sweep *s)
{
    ranked *order = calloc(s->count, sizeof *order);
    for (uint64_t t = 0; order && t < s->count; t++)
        order[t] = (ranked){&s->trials[t], t, value_of(s, &s->trials[t])};
    if (order)
        qsort(order, s->count, sizeof *order, compare);
    return order;
}

/* ---- trials ---- */

static void put_number(FILE *out, double value)
{
    if (isnan(value))
        fputs(",", out);
    else
        fprintf(out, ",%.9g", value);
}

static const char *const states[] = {"waiting", "finished", "failed"};

static void trials_csv(FILE *out, const sweep *s, const ranked *order)
{
    fputs("place", out);
    for (int a = 0; a < s->grid->axes; a++)
        fprintf(out, ",%s", s->grid->axis[a].key);
    fputs(",state,best_epoch,val_loss,val_accuracy,val_auc,test_accuracy,test_auc,head_sha256,"
          "directory,reason\n",
          out);
    for (uint64_t i = 0; i < s->count; i++) {
        const sweep_trial *t = order[i].trial;
        bool finished = t->state == SWEEP_FINISHED;
        fprintf(out, "%llu", (unsigned long long)i + 1);
        for (int a = 0; a < s->grid->axes; a++) {
            fputc(',', out);
            pulmo_csv_field(
                out, s->grid->axis[a].value[pulmo_grid_value_of(s->grid, order[i].number, a)]);
        }
        fprintf(out, ",%s,", states[t->state]);
        if (finished)
            fprintf(out, "%lld", (long long)t->best_epoch);
        const double values[] = {t->val_loss, t->val_accuracy, t->val_auc, t->test_accuracy,
                                 t->test_auc};
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
            put_number(out, finished ? values[k] : NAN);
        fprintf(out, ",%s,", finished ? t->head_digest : "");
        pulmo_csv_field(out, t->name);
        fputc(',', out);
        pulmo_csv_field(out, t->reason);
        fputc('\n', out);
    }
}

static int width_of(const pulmo_grid_axis *axis)
{
    size_t width = strlen(axis->key);
    for (int v = 0; v < axis->count; v++)
        if (strlen(axis->value[v]) > width)
            width = strlen(axis->value[v]);
    return (int)width;
}

static void show_number(FILE *out, double value)
{
    if (isnan(value))
        fprintf(out, "  %9s", "-");
    else
        fprintf(out, "  %9.4f", value);
}

static void trials_shown(FILE *out, const sweep *s, const ranked *order)
{
    int monitor = s->options->config->train.monitor;
    fprintf(out, "Best by val %s first\n%5s", pulmo_config_choice("train.monitor", monitor),
            "place");
    for (int a = 0; a < s->grid->axes; a++)
        fprintf(out, "  %*s", width_of(&s->grid->axis[a]), s->grid->axis[a].key);
    fprintf(out, "  %5s  %9s  %9s  %9s  %9s  %9s\n", "epoch", "val loss", "val acc", "val auc",
            "test acc", "test auc");
    for (uint64_t i = 0; i < s->count; i++) {
        const sweep_trial *t = order[i].trial;
        fprintf(out, "%5llu", (unsigned long long)i + 1);
        for (int a = 0; a < s->grid->axes; a++)
            fprintf(out, "  %*s", width_of(&s->grid->axis[a]),
                    s->grid->axis[a].value[pulmo_grid_value_of(s->grid, order[i].number, a)]);
        if (t->state == SWEEP_FINISHED) {
            fprintf(out, "  %5lld", (long long)t->best_epoch);
            const double values[] = {t->val_loss, t->val_accuracy, t->val_auc, t->test_accuracy,
                                     t->test_auc};
            for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
                show_number(out, values[k]);
            fputc('\n', out);
        } else {
            fprintf(out, "  %s: %.100s\n", states[t->state], t->reason);
        }
    }
}

/* ---- groups: over seeds ---- */

enum { VAL_LOSS, VAL_ACCURACY, VAL_AUC, TEST_ACCURACY, TEST_AUC, FIGURES };
static const char *const figure_names[FIGURES] = {"val_loss", "val_accuracy", "val_auc",
                                                  "test_accuracy", "test_auc"};

static double figure_of(const sweep_trial *t, int figure)
{
    const double values[FIGURES] = {t->val_loss, t->val_accuracy, t->val_auc, t->test_accuracy,
                                    t->test_auc};
    return values[figure];
}

static int seed_axis(const pulmo_grid *grid)
{
    for (int a = 0; a < grid->axes; a++)
        if (strcmp(grid->axis[a].key, "train.seed") == 0 && grid->axis[a].count > 1)
            return a;
    return -1;
}

typedef struct spread {
    int count;
    double mean, deviation; /* of the sample: n - 1 */
} spread;

/* Trials of the group that `first` begins: those that differ from it in the seed alone. */
static spread spread_of(const sweep *s, int seeds, uint64_t first, int figure)
{
    uint64_t step = 1;
    for (int a = s->grid->axes - 1; a > seeds; a--)
        step *= (uint64_t)s->grid->axis[a].count;
    spread out = {0};
    double sum = 0, squares = 0;
    for (int v = 0; v < s->grid->axis[seeds].count; v++) {
        const sweep_trial *t = &s->trials[first + (uint64_t)v * step];
        if (t->state != SWEEP_FINISHED || isnan(figure_of(t, figure)))
            continue;
        sum += figure_of(t, figure);
        out.count++;
    }
    out.mean = out.count ? sum / out.count : NAN;
    for (int v = 0; v < s->grid->axis[seeds].count; v++) {
        const sweep_trial *t = &s->trials[first + (uint64_t)v * step];
        if (t->state != SWEEP_FINISHED || isnan(figure_of(t, figure)))
            continue;
        squares += (figure_of(t, figure) - out.mean) * (figure_of(t, figure) - out.mean);
    }
    out.deviation = out.count > 1 ? sqrt(squares / (out.count - 1)) : NAN;
    return out;
}

static void groups_csv(FILE *out, const sweep *s, int seeds)
{
    bool comma = false;
    for (int a = 0; a < s->grid->axes; a++)
        if (a != seeds)
            fprintf(out, "%s%s", comma ? "," : "", s->grid->axis[a].key), comma = true;
    fprintf(out, "%sseeds", comma ? "," : "");
    for (int f = 0; f < FIGURES; f++)
        fprintf(out, ",%s_mean,%s_sd", figure_names[f], figure_names[f]);
    fputc('\n', out);
    for (uint64_t t = 0; t < s->count; t++) {
        if (pulmo_grid_value_of(s->grid, t, seeds) != 0)
            continue;
        comma = false;
        for (int a = 0; a < s->grid->axes; a++) {
            if (a == seeds)
                continue;
            if (comma)
                fputc(',', out);
            pulmo_csv_field(out, s->grid->axis[a].value[pulmo_grid_value_of(s->grid, t, a)]);
            comma = true;
        }
        fprintf(out, "%s%d", comma ? "," : "", spread_of(s, seeds, t, VAL_LOSS).count);
        for (int f = 0; f < FIGURES; f++) {
            spread of = spread_of(s, seeds, t, f);
            put_number(out, of.mean);
            put_number(out, of.deviation);
        }
        fputc('\n', out);
    }
}

static void groups_shown(FILE *out, const sweep *s, int seeds)
{
    static const int shown[] = {VAL_ACCURACY, VAL_AUC, TEST_ACCURACY, TEST_AUC};
    fprintf(out, "\nOver %d seeds: mean and standard deviation\n", s->grid->axis[seeds].count);
    for (int a = 0; a < s->grid->axes; a++)
        if (a != seeds)
            fprintf(out, "%*s  ", width_of(&s->grid->axis[a]), s->grid->axis[a].key);
    fprintf(out, "%5s  %16s  %16s  %16s  %16s\n", "seeds", "val acc", "val auc", "test acc",
            "test auc");
    for (uint64_t t = 0; t < s->count; t++) {
        if (pulmo_grid_value_of(s->grid, t, seeds) != 0)
            continue;
        for (int a = 0; a < s->grid->axes; a++)
            if (a != seeds)
                fprintf(out, "%*s  ", width_of(&s->grid->axis[a]),
                        s->grid->axis[a].value[pulmo_grid_value_of(s->grid, t, a)]);
        fprintf(out, "%5d", spread_of(s, seeds, t, VAL_LOSS).count);
        for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++) {
            spread of = spread_of(s, seeds, t, shown[k]);
            if (of.count == 0)
                fprintf(out, "  %16s", "-");
            else
                fprintf(out, "  %6.4f \u00b1 %6.4f ", of.mean, of.count > 1 ? of.deviation : 0.0);
        }
        fputc('\n', out);
    }
}

/* ---- files ---- */

/* One of both tables, whole or not at all. */
static pulmo_status write_table(const sweep *s, const char *file, const ranked *order, int seeds)
{
    pulmo_text text;
    char *path = pulmo_format("%s/%s", s->options->config->train.run_dir, file);
    pulmo_status status = path ? pulmo_text_open(&text) : PULMO_MEMORY;
    if (status == PULMO_OK) {
        if (order)
            trials_csv(text.stream, s, order);
        else
            groups_csv(text.stream, s, seeds);
        status = pulmo_text_write(&text, path);
    }
    free(path);
    return status;
}

pulmo_status sweep_write_tables(const sweep *s, FILE *out)
{
    ranked *order = rank_trials(s);
    int seeds = seed_axis(s->grid);
    pulmo_status status = order ? write_table(s, "sweep.csv", order, seeds)
                                : pulmo_fail(PULMO_MEMORY, "out of memory for the table");
    if (status == PULMO_OK && seeds >= 0)
        status = write_table(s, "sweep_groups.csv", NULL, seeds);
    if (status == PULMO_OK && out) {
        trials_shown(out, s, order);
        if (seeds >= 0)
            groups_shown(out, s, seeds);
        fprintf(out, "\nTable: %s/sweep.csv\n", s->options->config->train.run_dir);
        fflush(out);
    }
    free(order);
    return status;
}
