/* What a run leaves: results.h5, history.csv, predictions.csv, and the lines at its end.
 *
 * results.h5
 *   /README                                       what this file is
 *   /history/{epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,val_auc}   (epochs)
 *   /SPLIT/{paths,groups,labels,predictions} (N), /SPLIT/probabilities (N, classes)   SPLIT: val, test
 *   /SPLIT/confusion (classes, classes), /SPLIT/roc/{fpr,tpr,threshold}
 *   attributes of /SPLIT: the metrics with their 95 % intervals
 *   attributes of /: pulmo_kind "results", state, classes, threshold, provenance
 * No times in it: equal runs give equal files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "train.h"

#define RESULTS_FORMAT_VERSION 1

static const char readme[] =
    "Results of a pulmo run. /history holds a value an epoch. /val and /test hold, for every image of the split, its path, "
    "patient, label, probabilities and predicted class; everything else in them is computed from these. Attributes of a split "
    "are its metrics with 95 % intervals (Wilson for proportions, DeLong for the AUC). Class names are the attribute classes "
    "of the root. This is research software, not a medical device.\n";

/* ---- history ---- */

typedef struct column {
    const char *name, *long_name;
    size_t offset;
} column;

static const column columns[] = {
    {"lr", "learning rate at the epoch's start", offsetof(epoch_row, lr)},
    {"train_loss", "mean loss over the epoch's augmented images", offsetof(epoch_row, train_loss)},
    {"train_accuracy", "accuracy over the epoch's augmented images", offsetof(epoch_row, train_accuracy)},
    {"val_loss", "mean loss on val after the epoch", offsetof(epoch_row, val_loss)},
    {"val_accuracy", "accuracy on val after the epoch, at threshold 0.5", offsetof(epoch_row, val_accuracy)},
    {"val_auc", "area under the ROC curve on val after the epoch", offsetof(epoch_row, val_auc)},
};
#define COLUMNS (sizeof columns / sizeof columns[0])

static double cell(const epoch_row *row, size_t c)
{
    double value;
    memcpy(&value, (const char *)row + columns[c].offset, sizeof value);
    return value;
}

static pulmo_status write_history(pulmo_h5 *file, const run_state *state)
{
    char name[64];
    uint64_t epochs = state->epoch;
    double *values = malloc((epochs + 1) * sizeof *values);
    int64_t *numbers = malloc((epochs + 1) * sizeof *numbers);
    pulmo_status status = values && numbers ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory for the history");
    for (uint64_t e = 0; status == PULMO_OK && e < epochs; e++) numbers[e] = (int64_t)e + 1;
    if (status == PULMO_OK) status = pulmo_h5_write(file, "history/epoch", PULMO_H5_I64, 1, &epochs, numbers);
    if (status == PULMO_OK) status = pulmo_h5_make_scale(file, "history/epoch", "epoch");
    for (size_t c = 0; status == PULMO_OK && c < COLUMNS; c++) {
        for (uint64_t e = 0; e < epochs; e++) values[e] = cell(&state->history[e], c);
        snprintf(name, sizeof name, "history/%s", columns[c].name);
        status = pulmo_h5_write(file, name, PULMO_H5_F64, 1, &epochs, values);
        if (status == PULMO_OK) status = pulmo_h5_set_text(file, name, "long_name", columns[c].long_name);
        if (status == PULMO_OK) status = pulmo_h5_attach_scale(file, name, 0, "history/epoch");
    }
    free(values);
    free(numbers);
    return status;
}

static pulmo_status write_history_csv(const char *directory, const run_state *state)
{
    char *text = NULL;
    size_t length = 0;
    char *path = pulmo_format("%s/history.csv", directory);
    FILE *out = open_memstream(&text, &length);
    if (!path || !out) return pulmo_fail(PULMO_MEMORY, "out of memory for history.csv");
    fputs("epoch", out);
    for (size_t c = 0; c < COLUMNS; c++) fprintf(out, ",%s", columns[c].name);
    for (uint32_t e = 0; e < state->epoch; e++) {
        fprintf(out, "\n%u", e + 1);
        for (size_t c = 0; c < COLUMNS; c++) {
            double value = cell(&state->history[e], c);
            if (isnan(value)) fputc(',', out);
            else fprintf(out, ",%.17g", value);
        }
    }
    fputc('\n', out);
    fclose(out);
    pulmo_status status = pulmo_file_write(path, text, length);
    free(text);
    free(path);
    return status;
}

/* ---- splits ---- */

static pulmo_status set_interval(pulmo_h5 *file, const char *object, const char *name, pulmo_interval it)
{
    char bound[96];
    PULMO_TRY(pulmo_h5_set_real(file, object, name, it.value));
    snprintf(bound, sizeof bound, "%s_low95", name);
    PULMO_TRY(pulmo_h5_set_real(file, object, bound, it.low));
    snprintf(bound, sizeof bound, "%s_high95", name);
    return pulmo_h5_set_real(file, object, bound, it.high);
}

static pulmo_status write_metrics(pulmo_h5 *file, const char *split, const pulmo_metrics *m)
{
    PULMO_TRY(pulmo_h5_set_int(file, split, "count", m->count));
    PULMO_TRY(pulmo_h5_set_int(file, split, "correct", m->correct));
    PULMO_TRY(set_interval(file, split, "accuracy", m->accuracy_ci));
    PULMO_TRY(set_interval(file, split, "auc", m->auc_ci));
    if (m->classes == 2) {
        PULMO_TRY(set_interval(file, split, "sensitivity", m->sensitivity));
        PULMO_TRY(set_interval(file, split, "specificity", m->specificity));
    }
    PULMO_TRY(pulmo_h5_set_real(file, split, "balanced_accuracy", m->balanced_accuracy));
    PULMO_TRY(pulmo_h5_set_real(file, split, "log_loss", m->log_loss));
    PULMO_TRY(pulmo_h5_set_real(file, split, "brier", m->brier));
    return pulmo_h5_set_real(file, split, "calibration_error", m->calibration_error);
}

static pulmo_status write_roc(pulmo_h5 *file, const split_scores *scores)
{
    char name[64];
    pulmo_roc roc;
    const pulmo_dataset_info *info = scores->info;
    PULMO_TRY(pulmo_roc_compute(info->count, info->classes, info->labels, scores->probabilities, 1, &roc));
    uint64_t points = roc.points;
    const char *const names[3] = {"fpr", "tpr", "threshold"};
    const double *const values[3] = {roc.fpr, roc.tpr, roc.threshold};
    pulmo_status status = PULMO_OK;
    for (int i = 0; status == PULMO_OK && i < 3; i++) {
        snprintf(name, sizeof name, "%s/roc/%s", scores->split, names[i]);
        status = pulmo_h5_write(file, name, PULMO_H5_F64, 1, &points, values[i]);
    }
    pulmo_roc_free(&roc);
    return status;
}

static pulmo_status write_images(pulmo_h5 *file, const pulmo_model *model, const split_scores *scores)
{
    char name[64];
    const pulmo_dataset_info *info = scores->info;
    uint64_t dims[2] = {info->count, (uint64_t)info->classes};
    int32_t *classes = malloc(((size_t)info->count + 1) * sizeof *classes);
    if (!classes) return pulmo_fail(PULMO_MEMORY, "out of memory for predictions");
    for (uint32_t i = 0; i < info->count; i++)
        classes[i] = pulmo_model_class(model, scores->probabilities + (size_t)i * (size_t)info->classes);
    snprintf(name, sizeof name, "%s/predictions", scores->split);
    pulmo_status status = pulmo_h5_write(file, name, PULMO_H5_I32, 1, dims, classes);
    free(classes);
    PULMO_TRY(status);
    snprintf(name, sizeof name, "%s/labels", scores->split);
    PULMO_TRY(pulmo_h5_write(file, name, PULMO_H5_I32, 1, dims, info->labels));
    snprintf(name, sizeof name, "%s/paths", scores->split);
    PULMO_TRY(pulmo_h5_write_strings(file, name, info->count, info->paths));
    snprintf(name, sizeof name, "%s/groups", scores->split);
    PULMO_TRY(pulmo_h5_write_strings(file, name, info->count, info->groups));
    snprintf(name, sizeof name, "%s/probabilities", scores->split);
    PULMO_TRY(pulmo_h5_write(file, name, PULMO_H5_F32, 2, dims, scores->probabilities));
    return pulmo_h5_set_text(file, name, "long_name", "probability of each class (N, classes)");
}

static pulmo_status write_split(pulmo_h5 *file, const pulmo_model *model, const split_scores *scores)
{
    pulmo_metrics metrics;
    char name[64];
    const pulmo_dataset_info *info = scores->info;
    PULMO_TRY(write_images(file, model, scores));
    PULMO_TRY(pulmo_metrics_compute(info->count, info->classes, info->labels, scores->probabilities, model->threshold, &metrics));
    uint64_t dims[2] = {(uint64_t)info->classes, (uint64_t)info->classes};
    int64_t *counts = malloc(dims[0] * dims[0] * sizeof *counts);
    pulmo_status status = counts ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory for the confusion matrix");
    for (uint64_t i = 0; status == PULMO_OK && i < dims[0] * dims[0]; i++) counts[i] = metrics.confusion[i];
    snprintf(name, sizeof name, "%s/confusion", scores->split);
    if (status == PULMO_OK) status = pulmo_h5_write(file, name, PULMO_H5_I64, 2, dims, counts);
    if (status == PULMO_OK) status = pulmo_h5_set_text(file, name, "long_name", "images: row the true class, column the predicted");
    if (status == PULMO_OK) status = write_metrics(file, scores->split, &metrics);
    free(counts);
    pulmo_metrics_free(&metrics);
    PULMO_TRY(status);
    return info->classes == 2 ? write_roc(file, scores) : PULMO_OK;
}

void csv_field(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void csv_rows(FILE *out, const pulmo_model *model, const split_scores *scores)
{
    const pulmo_dataset_info *info = scores->info;
    for (uint32_t i = 0; i < info->count; i++) {
        const float *row = scores->probabilities + (size_t)i * (size_t)info->classes;
        fprintf(out, "%s,", scores->split);
        csv_field(out, info->paths[i]);
        fputc(',', out);
        csv_field(out, info->groups[i]);
        fputc(',', out);
        csv_field(out, info->class_names[info->labels[i]]);
        fputc(',', out);
        csv_field(out, info->class_names[pulmo_model_class(model, row)]);
        for (int k = 0; k < info->classes; k++) fprintf(out, ",%.9g", (double)row[k]);
        fputc('\n', out);
    }
}

static pulmo_status write_predictions_csv(const run_results *r)
{
    char *text = NULL;
    size_t length = 0;
    char *path = pulmo_format("%s/predictions.csv", r->directory);
    FILE *out = open_memstream(&text, &length);
    if (!path || !out) return pulmo_fail(PULMO_MEMORY, "out of memory for predictions.csv");
    fputs("split,path,patient,label,predicted", out);
    for (int k = 0; k < r->model->classes; k++) {
        fputs(",p_", out);
        csv_field(out, r->model->class_names[k]);
    }
    fputc('\n', out);
    if (r->val) csv_rows(out, r->model, r->val);
    if (r->test) csv_rows(out, r->model, r->test);
    fclose(out);
    pulmo_status status = pulmo_file_write(path, text, length);
    free(text);
    free(path);
    return status;
}

/* ---- the file ---- */

static pulmo_status write_provenance(pulmo_h5 *file, const run_results *r)
{
    PULMO_TRY(pulmo_h5_set_text(file, "/", "pulmo_kind", "results"));
    PULMO_TRY(pulmo_h5_set_int(file, "/", "format_version", RESULTS_FORMAT_VERSION));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "program_version", PULMO_VERSION));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "state", r->finished ? "finished" : "running"));
    PULMO_TRY(pulmo_h5_set_texts(file, "/", "classes", r->model->classes, (const char *const *)r->model->class_names));
    PULMO_TRY(pulmo_h5_set_int(file, "/", "demo", r->model->is_demo));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "threshold_rule", r->model->threshold_rule));
    PULMO_TRY(pulmo_h5_set_real(file, "/", "threshold", r->model->threshold));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "weights_sha256", r->model->weights_digest));
    PULMO_TRY(pulmo_h5_set_int(file, "/", "ranks", pulmo_comm_size(r->comm)));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "host", pulmo_comm_host(r->comm)));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "isa", r->model->isa));
    if (r->head_digest) PULMO_TRY(pulmo_h5_set_text(file, "/", "head_sha256", r->head_digest));
    if (!r->identity) return PULMO_OK;
    PULMO_TRY(pulmo_h5_set_text(file, "/", "data_sha256", r->identity->data_digest));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "blas", r->identity->blas));
    PULMO_TRY(pulmo_h5_set_int(file, "/", "best_epoch", r->model->best_epoch));
    char *echo = pulmo_config_echo(r->identity->config);
    if (!echo) return pulmo_fail(PULMO_MEMORY, "out of memory for the configuration");
    pulmo_status status = pulmo_h5_write_text(file, "config", echo);
    free(echo);
    return status;
}

/* The chain by which viewers that know NeXus open on a plot. */
static pulmo_status mark_default(pulmo_h5 *file)
{
    static const char *const axes[] = {"epoch"};
    PULMO_TRY(pulmo_h5_set_text(file, "/", "default", "history"));
    PULMO_TRY(pulmo_h5_set_text(file, "history", "NX_class", "NXdata"));
    PULMO_TRY(pulmo_h5_set_text(file, "history", "signal", "train_loss"));
    return pulmo_h5_set_texts(file, "history", "axes", 1, axes);
}

static pulmo_status write_file(pulmo_h5 *file, const run_results *r)
{
    PULMO_TRY(write_provenance(file, r));
    PULMO_TRY(pulmo_h5_write_text(file, "README", readme));
    if (r->state && r->state->epoch > 0) {
        PULMO_TRY(write_history(file, r->state));
        PULMO_TRY(mark_default(file));
    }
    if (r->val) PULMO_TRY(write_split(file, r->model, r->val));
    return r->test ? write_split(file, r->model, r->test) : PULMO_OK;
}

pulmo_status results_write(const run_results *r)
{
    pulmo_h5 *file = NULL;
    if (r->state) PULMO_TRY(write_history_csv(r->directory, r->state));
    PULMO_TRY(write_predictions_csv(r));
    /* results.h5 comes last: where it says "finished", everything else is there. */
    char *path = pulmo_format("%s/results.h5", r->directory);
    if (!path) return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_create(path, &file);
    free(path);
    PULMO_TRY(status);
    status = write_file(file, r);
    if (status == PULMO_OK) return pulmo_h5_commit(file);
    pulmo_h5_close(file);
    return status;
}

bool results_finished(const char *directory)
{
    struct stat about;
    pulmo_h5 *file = NULL;
    char *state = NULL, *path = pulmo_format("%s/results.h5", directory);
    bool finished = false;
    if (path && stat(path, &about) == 0 && pulmo_h5_open(path, &file) == PULMO_OK &&
        pulmo_h5_get_text(file, "/", "state", &state) == PULMO_OK)
        finished = strcmp(state, "finished") == 0;
    pulmo_h5_close(file);
    free(state);
    free(path);
    pulmo_error_clear();
    return finished;
}

/* ---- the lines at the end ---- */

static void print_table(FILE *out, const pulmo_model *model, const pulmo_metrics *m)
{
    int wide = 12;
    for (int k = 0; k < m->classes; k++)
        if ((int)strlen(model->class_names[k]) > wide) wide = (int)strlen(model->class_names[k]);
    fprintf(out, "\n%*s  precision  recall  f1-score  support\n", wide, "");
    for (int k = 0; k < m->classes; k++) {
        const pulmo_class_metrics *c = &m->per_class[k];
        fprintf(out, "%*s  %9.4f  %6.4f  %8.4f  %7u\n", wide, model->class_names[k], c->precision, c->recall, c->f1, c->support);
    }
    fprintf(out, "%*s  %9.4f  %6.4f  %8.4f  %7u\n", wide, "macro avg", m->macro_precision, m->macro_recall, m->macro_f1, m->count);
    fprintf(out, "%*s  %9.4f  %6.4f  %8.4f  %7u\n", wide, "weighted avg", m->weighted_precision, m->weighted_recall, m->weighted_f1, m->count);
    fprintf(out, "\nConfusion matrix (rows: true, columns: predicted)\n%*s", wide, "");
    for (int k = 0; k < m->classes; k++) fprintf(out, "  %9.9s", model->class_names[k]);
    for (int j = 0; j < m->classes; j++) {
        fprintf(out, "\n%*s", wide, model->class_names[j]);
        for (int k = 0; k < m->classes; k++) fprintf(out, "  %9u", m->confusion[j * m->classes + k]);
    }
    fprintf(out, "\n\n");
}

/* The split's name as it stands at a line's start. */
static void print_headline(FILE *out, const char *split, const pulmo_metrics *m)
{
    char title[32];
    snprintf(title, sizeof title, "%s", split);
    if (title[0] >= 'a' && title[0] <= 'z') title[0] = (char)(title[0] - 'a' + 'A');
    fprintf(out, "Total correct: %u, total %s images: %u\n", m->correct, split, m->count);
    fprintf(out, "%s accuracy: %.4f (95 %% CI %.4f\u2013%.4f)", title, m->accuracy, m->accuracy_ci.low, m->accuracy_ci.high);
    if (m->classes == 2)
        fprintf(out, "  sensitivity %.4f (%.4f\u2013%.4f)  specificity %.4f (%.4f\u2013%.4f)", m->sensitivity.value,
                m->sensitivity.low, m->sensitivity.high, m->specificity.value, m->specificity.low, m->specificity.high);
    fprintf(out, "  AUC %.4f", m->auc);
    if (m->classes == 2) fprintf(out, " (%.4f\u2013%.4f)", m->auc_ci.low, m->auc_ci.high);
    fputc('\n', out);
}

pulmo_status results_print(FILE *out, const pulmo_model *model, const split_scores *scores)
{
    pulmo_metrics metrics;
    const pulmo_dataset_info *info = scores->info;
    PULMO_TRY(pulmo_metrics_compute(info->count, info->classes, info->labels, scores->probabilities, model->threshold, &metrics));
    if (model->is_demo || info->is_demo) fprintf(out, "DEMO data: drawn phantoms, not medical images\n");
    print_headline(out, scores->split, &metrics);
    if (model->classes == 2)
        fprintf(out, "Positive class: %s, from probability %.4f on (%s)\n", model->class_names[1], model->threshold, model->threshold_rule);
    print_table(out, model, &metrics);
    pulmo_metrics_free(&metrics);
    return PULMO_OK;
}
