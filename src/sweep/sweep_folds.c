/* Cross-validation: the test images of all folds as one set, each scored by the model that has not
 * seen it. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "pulmo/split.h"
#include "sweep_pool.h"

/* ---- what comes of them ---- */

static pulmo_status write_report(const sweep *s, const char *directory)
{
    if (!s->options->report)
        return PULMO_OK;
    pulmo_config *config = malloc(sizeof *config);
    if (!config)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a report");
    *config = *s->options->config;
    snprintf(config->train.run_dir, sizeof config->train.run_dir, "%s", directory);
    if (s->options->report(config) != PULMO_OK) {
        pulmo_warn("%s: no report: %s", directory, pulmo_error());
        pulmo_error_clear();
    }
    free(config);
    return PULMO_OK;
}

static pulmo_status write_results(const sweep *s, const pool *p, const pulmo_split_scores *scores,
                                  const char *directory)
{
    const pulmo_config *config = s->options->config;
    const pulmo_results results = {.directory = directory,
                                   .model = &p->model,
                                   .test = scores,
                                   .comm = s->comm,
                                   .data = config->data.path,
                                   .model_place = config->train.run_dir,
                                   .folds = p->folds,
                                   .threads = (int)config->train.threads,
                                   .spent = &s->spent,
                                   .finished = true};
    PULMO_TRY(pulmo_directory_make(directory));
    PULMO_TRY(pulmo_results_write(&results));
    return write_report(s, directory);
}

/* A line of cross_validation.csv, and one for people. */
typedef struct summary {
    const sweep *s;
    uint64_t first; /* trial */
    int axis;
    const char *name;
    FILE *table, *out; /* `out` may be NULL */
} summary;

static void csv_interval(FILE *out, pulmo_interval it)
{
    sweep_csv_number(out, it.value);
    sweep_csv_number(out, it.low);
    sweep_csv_number(out, it.high);
}

static void write_line(const summary *to, const pool *p, const pulmo_metrics *m, pulmo_interval auc,
                       const sweep_spread spreads[2])
{
    const pulmo_grid *grid = to->s->grid;
    for (int a = 0; a < grid->axes; a++) {
        if (a == to->axis)
            continue;
        const char *value = pulmo_grid_value(grid, to->first, a);
        pulmo_csv_field(to->table, value);
        fputc(',', to->table);
    }
    fprintf(to->table, "%d,%u,", p->folds, p->count);
    if (p->known == PULMO_PATIENTS_KNOWN)
        fprintf(to->table, "%u", p->patients);
    csv_interval(to->table, auc);
    csv_interval(to->table, m->accuracy_ci);
    csv_interval(to->table, m->sensitivity);
    csv_interval(to->table, m->specificity);
    for (int i = 0; i < 2; i++) {
        sweep_csv_number(to->table, spreads[i].mean);
        sweep_csv_number(to->table, spreads[i].deviation);
    }
    fputc(',', to->table);
    pulmo_csv_field(to->table, to->name);
    fputc('\n', to->table);
}

static void show_patients(FILE *out, const pool *p)
{
    if (p->known == PULMO_PATIENTS_KNOWN)
        fprintf(out, "%u images of %u patient%s\n", p->count, p->patients,
                pulmo_plural(p->patients));
    else if (p->known == PULMO_PATIENTS_SOME)
        fprintf(out, "%u images, patients unknown for some\n", p->count);
    else
        fprintf(out, "%u images, patients unknown\n", p->count);
}

static void show_spread(FILE *out, const char *name, const sweep_spread *of, int folds)
{
    fprintf(out, "  %s %.4f", name, of->mean);
    if (of->count > 1)
        fprintf(out, " \u00b1 %.4f", of->deviation);
    if (of->count < folds)
        fprintf(out, " (of %d)", of->count);
}

static void show_line(const summary *to, const pool *p, const pulmo_metrics *m, pulmo_interval auc,
                      const sweep_spread spreads[2])
{
    FILE *out = to->out;
    const char *drawn = p->known == PULMO_PATIENTS_KNOWN ? "patients" : "images";
    if (!out)
        return;
    fprintf(out, "\nCross-validation, %d folds, in %s: ", p->folds, to->name);
    show_patients(out, p);
    if (p->count < p->packed)
        fprintf(out, "  not all folds are in the grid: %u of %u images were tested on\n", p->count,
                p->packed);
    fprintf(out, "  all folds as one set  AUC %.4f", auc.value);
    if (!isnan(auc.low))
        fprintf(out, " (95 %% CI %.4f\u2013%.4f, %s drawn again)", auc.low, auc.high, drawn);
    fprintf(out, "  accuracy %.4f\n  mean of the folds   ", m->accuracy);
    show_spread(out, "AUC", &spreads[0], p->folds);
    show_spread(out, "accuracy", &spreads[1], p->folds);
    fputc('\n', out);
}

/* Mean and deviation of a test figure over these folds alone. */
static sweep_spread spread_of_folds(const summary *to, sweep_figure figure)
{
    const uint64_t apart = sweep_trials_apart(to->s->grid, to->axis);
    const int folds = to->s->grid->axis[to->axis].count;
    double values[PULMO_GRID_VALUES];
    for (int fold = 0; fold < folds; fold++) {
        const uint64_t number = to->first + (uint64_t)fold * apart;
        const sweep_trial *trial = &to->s->trials[number];
        values[fold] = sweep_figure_of(trial, figure);
    }
    return sweep_spread_of_values(values, folds);
}

/* Of more than two classes the first one's AUC would say little: the mean one against the rest, for
 * which there is no interval. */
static pulmo_status pooled_auc(const pool *p, const pulmo_scored *scored, const pulmo_metrics *m,
                               pulmo_interval *out)
{
    *out = (pulmo_interval){m->auc, NAN, NAN};
    if (scored->classes != 2)
        return PULMO_OK;
    return pulmo_auc_of_patients(scored, p->model.positive.index, p->patients, p->patient, out);
}

static pulmo_status summarise(const summary *to, const pool *p, const pulmo_split_scores *scores)
{
    const pulmo_scored scored = pulmo_split_scored(&p->model, scores);
    const pulmo_decision by = pulmo_model_decision(&p->model);
    const sweep_spread spreads[2] = {spread_of_folds(to, SWEEP_TEST_AUC),
                                     spread_of_folds(to, SWEEP_TEST_ACCURACY)};
    pulmo_metrics metrics;
    pulmo_interval auc;
    PULMO_TRY(pulmo_metrics_compute(&scored, &by, &metrics));
    pulmo_status status = pooled_auc(p, &scored, &metrics, &auc);
    if (status == PULMO_OK) {
        write_line(to, p, &metrics, auc, spreads);
        show_line(to, p, &metrics, auc, spreads);
    }
    pulmo_metrics_free(&metrics);
    return status;
}

static pulmo_status use_folds(const summary *to, const pool *p)
{
    const pulmo_dataset_info info = {.count = p->count,
                                     .height_px = p->model.size_px,
                                     .width_px = p->model.size_px,
                                     .framing = p->model.framing,
                                     .classes = p->model.classes,
                                     .class_names = (const char *const *)p->model.class_names,
                                     .labels = p->labels,
                                     .paths = p->paths,
                                     .groups = p->groups,
                                     .patients = p->patients,
                                     .patient = p->patient,
                                     .kept = p->kept,
                                     .kept_names =
                                         pulmo_dataset_info_of(p->fold[0].set)->kept_names,
                                     .kept_columns = (const char *const *const *)p->columns,
                                     .is_demo = p->model.is_demo};
    const pulmo_split_scores scores = {.split = pulmo_split_name(PULMO_SPLIT_TEST),
                                       .info = &info,
                                       .probabilities = p->probabilities,
                                       .logits = p->logits,
                                       .predicted = p->predicted,
                                       .thresholds = p->thresholds};
    const char *run_dir = to->s->options->config->train.run_dir;
    char *directory = pulmo_format("%s/%s", run_dir, to->name);
    if (!directory)
        return PULMO_MEMORY;
    pulmo_status status = write_results(to->s, p, &scores, directory);
    free(directory);
    PULMO_TRY(status);
    return summarise(to, p, &scores);
}

/* ---- all settings ---- */

static bool all_folds_done(const sweep *s, uint64_t first, int axis)
{
    const uint64_t apart = sweep_trials_apart(s->grid, axis);
    const int folds = s->grid->axis[axis].count;
    for (int fold = 0; fold < folds; fold++) {
        const uint64_t number = first + (uint64_t)fold * apart;
        if (s->trials[number].state != SWEEP_FINISHED)
            return false;
    }
    return true;
}

/* "folds", or where the grid has other axes "folds,optim.lr=0.001". */
static char *name_of_folds(const sweep *s, uint64_t first, int axis)
{
    if (s->grid->axes == 1)
        return pulmo_strdup("folds");
    char *values = sweep_name(s->grid, first, axis);
    if (!values)
        return NULL;
    char *name = pulmo_format("folds,%s", values);
    free(values);
    return name;
}

static pulmo_status write_one(const sweep *s, uint64_t first, int axis, FILE *table, FILE *out)
{
    char *name = name_of_folds(s, first, axis);
    if (!name)
        return PULMO_MEMORY;
    const summary to = {s, first, axis, name, table, out};
    pool p = {0};
    pulmo_status status = pool_read(s, first, axis, &p);
    if (status == PULMO_OK)
        status = use_folds(&to, &p);
    pool_free(&p);
    free(name);
    return status;
}

static void write_heading(FILE *out, const pulmo_grid *grid, int axis)
{
    static const char *const intervals[] = {"auc", "accuracy", "sensitivity", "specificity"};
    for (int a = 0; a < grid->axes; a++) {
        if (a != axis)
            fprintf(out, "%s,", grid->axis[a].key);
    }
    fputs("folds,images,patients", out);
    const size_t count = sizeof intervals / sizeof intervals[0];
    for (size_t i = 0; i < count; i++) {
        const char *name = intervals[i];
        fprintf(out, ",%s,%s_low95,%s_high95", name, name, name);
    }
    fputs(",fold_auc_mean,fold_auc_sd,fold_accuracy_mean,fold_accuracy_sd,directory\n", out);
}

static pulmo_status write_all(const sweep *s, int axis, FILE *table, FILE *out)
{
    write_heading(table, s->grid, axis);
    for (uint64_t t = 0; t < s->count; t++) {
        if (pulmo_grid_index(s->grid, t, axis) != 0)
            continue;
        if (all_folds_done(s, t, axis))
            PULMO_TRY(write_one(s, t, axis, table, out));
        else
            pulmo_info("cross-validation: not all folds of %s have finished; the same command "
                       "resumes",
                       s->trials[t].name);
    }
    return PULMO_OK;
}

static pulmo_status remove_table(const sweep *s)
{
    const char *run_dir = s->options->config->train.run_dir;
    char *path = pulmo_format("%s/cross_validation.csv", run_dir);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = PULMO_OK;
    if (remove(path) != 0 && errno != ENOENT)
        status = pulmo_fail(PULMO_IO, "%s: cannot remove what is of other trials: %s", path,
                            strerror(errno));
    free(path);
    return status;
}

static pulmo_status remove_one(const sweep *s, uint64_t first, int axis)
{
    const char *run_dir = s->options->config->train.run_dir;
    char *name = name_of_folds(s, first, axis);
    char *directory = name ? pulmo_format("%s/%s", run_dir, name) : NULL;
    pulmo_status status = directory ? pulmo_results_remove(directory) : PULMO_MEMORY;
    free(directory);
    free(name);
    return status;
}

pulmo_status sweep_remove_folds(const sweep *s)
{
    const int axis = sweep_axis_of(s->grid, SWEEP_FOLD_KEY);
    bool all_done = true;
    for (uint64_t t = 0; axis >= 0 && t < s->count; t++) {
        if (pulmo_grid_index(s->grid, t, axis) != 0 || all_folds_done(s, t, axis))
            continue;
        PULMO_TRY(remove_one(s, t, axis));
        all_done = false;
    }
    return all_done ? PULMO_OK : remove_table(s);
}

pulmo_status sweep_write_folds(const sweep *s, FILE *out)
{
    const int axis = sweep_axis_of(s->grid, SWEEP_FOLD_KEY);
    pulmo_text table;
    if (axis < 0)
        return PULMO_OK;
    PULMO_TRY(pulmo_text_open(&table));
    pulmo_status status = write_all(s, axis, table.stream, out);
    if (status == PULMO_OK)
        return sweep_write_table(s, &table, "cross_validation.csv");
    pulmo_text_discard(&table);
    return status;
}
