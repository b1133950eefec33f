/* What a run leaves in plain text: history.csv, predictions.csv, and the lines at its end. */
#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "pulmo/text.h"
#include "results_room.h"

/* ---- history ---- */

static void history_rows(FILE *out, const pulmo_run_history *history)
{
    fputs("epoch", out);
    for (size_t c = 0; c < PULMO_HISTORY_COLUMNS; c++)
        fprintf(out, ",%s", pulmo_history_columns[c].name);
    for (uint32_t e = 0; e < history->epochs; e++) {
        fprintf(out, "\n%u", e + 1);
        for (size_t c = 0; c < PULMO_HISTORY_COLUMNS; c++) {
            double value = pulmo_history_cell(&history->row[e], c);
            if (isnan(value))
                fputc(',', out);
            else
                fprintf(out, ",%.17g", value);
        }
    }
    fputc('\n', out);
}

/* Ends the text as DIRECTORY/NAME. */
static pulmo_status write_named(pulmo_text *text, const char *directory, const char *name)
{
    char *path = pulmo_format("%s/%s", directory, name);
    if (!path) {
        pulmo_text_discard(text);
        return PULMO_MEMORY;
    }
    pulmo_status status = pulmo_text_write(text, path);
    free(path);
    return status;
}

pulmo_status results_history_csv(const char *directory, const pulmo_run_history *history)
{
    pulmo_text text;
    PULMO_TRY(pulmo_text_open(&text));
    history_rows(text.stream, history);
    return write_named(&text, directory, "history.csv");
}

/* ---- images ---- */

const char *pulmo_decision_rule(const pulmo_model *model)
{
    return model->classes == 2 ? model->threshold_rule : "largest probability";
}

void pulmo_csv_score_columns(FILE *out, const pulmo_model *model)
{
    for (int k = 0; k < model->classes; k++) {
        fputc(',', out);
        pulmo_csv_name_after(out, "p_", model->class_names[k]);
    }
    fputs(",positive_class,threshold,rule", out);
}

void pulmo_csv_scores(FILE *out, const pulmo_model *model, const float *probabilities,
                      double threshold)
{
    for (int k = 0; k < model->classes; k++)
        fprintf(out, ",%.9g", (double)probabilities[k]);
    fputc(',', out);
    if (model->classes == 2) {
        pulmo_csv_name(out, model->class_names[model->positive.index]);
        fprintf(out, ",%.9g,", threshold);
    } else {
        fputs(",,", out);
    }
    pulmo_csv_field(out, pulmo_decision_rule(model));
}

static void csv_next_field(FILE *out, const char *text)
{
    fputc(',', out);
    pulmo_csv_field(out, text);
}

static void csv_next_name(FILE *out, const char *name)
{
    fputc(',', out);
    pulmo_csv_name(out, name);
}

static void csv_row(FILE *out, const pulmo_model *model, const pulmo_split_scores *scores,
                    uint32_t image)
{
    const pulmo_dataset_info *info = scores->info;
    const size_t classes = (size_t)info->classes;
    const float *row = scores->probabilities + image * classes;
    const int truth = info->labels[image];
    int called = pulmo_model_class(model, row);
    double threshold = model->threshold;
    if (scores->predicted)
        called = scores->predicted[image];
    if (scores->thresholds)
        threshold = scores->thresholds[image];
    fputs(scores->split, out);
    csv_next_name(out, info->paths[image]);
    csv_next_name(out, info->groups[image]);
    csv_next_name(out, info->class_names[truth]);
    csv_next_name(out, info->class_names[called]);
    pulmo_csv_scores(out, model, row, threshold);
    for (int k = 0; k < info->kept; k++)
        csv_next_field(out, info->kept_columns[k][image]);
    fputc('\n', out);
}

static void csv_rows(FILE *out, const pulmo_model *model, const pulmo_split_scores *scores)
{
    for (uint32_t i = 0; i < scores->info->count; i++)
        csv_row(out, model, scores, i);
}

/* Names of the columns that pack.keep kept; both splits have the same. */
static void csv_kept_names(FILE *out, const pulmo_results *r)
{
    const pulmo_split_scores *any = r->val ? r->val : r->test;
    for (int k = 0; any && k < any->info->kept; k++)
        csv_next_field(out, any->info->kept_names[k]);
}

pulmo_status results_predictions_csv(const pulmo_results *r)
{
    pulmo_text text;
    PULMO_TRY(pulmo_text_open(&text));
    FILE *out = text.stream;
    fputs("split,path,patient,label,predicted", out);
    pulmo_csv_score_columns(out, r->model);
    csv_kept_names(out, r);
    fputc('\n', out);
    if (r->val)
        csv_rows(out, r->model, r->val);
    if (r->test)
        csv_rows(out, r->model, r->test);
    return write_named(&text, r->directory, "predictions.csv");
}

/* ---- the lines at the end ---- */

typedef struct report_row {
    double precision, recall, f1;
    uint32_t support;
} report_row;

/* At the right end of `wide` columns; at most `bytes` of it. */
static void print_name(FILE *out, int wide, const char *name, size_t bytes)
{
    for (int blanks = wide - pulmo_text_width(name, bytes); blanks > 0; blanks--)
        fputc(' ', out);
    pulmo_text_show(out, name, bytes);
}

static void print_row(FILE *out, int wide, const char *name, report_row row)
{
    print_name(out, wide, name, SIZE_MAX);
    fprintf(out, " %10.4f%10.4f%10.4f", row.precision, row.recall, row.f1);
    fprintf(out, "%10u\n", row.support);
}

/* scikit-learn's classification_report, with four digits. */
static void print_report(FILE *out, const pulmo_model *model, const pulmo_metrics *m, int wide)
{
    const report_row macro = {m->macro_precision, m->macro_recall, m->macro_f1, m->count};
    const report_row weighted = {m->weighted_precision, m->weighted_recall, m->weighted_f1,
                                 m->count};
    fprintf(out, "\n%*s  precision    recall  f1-score   support\n\n", wide, "");
    for (int k = 0; k < m->classes; k++) {
        const pulmo_class_metrics *c = &m->per_class[k];
        const report_row row = {c->precision, c->recall, c->f1, c->support};
        print_row(out, wide, model->class_names[k], row);
    }
    fprintf(out, "\n%*s %20s", wide, "accuracy", "");
    fprintf(out, "%10.4f%10u\n", m->accuracy, m->count);
    print_row(out, wide, "macro avg", macro);
    print_row(out, wide, "weighted avg", weighted);
}

#define HEADING 9 /* bytes of a class above the confusion matrix */

static void print_confusion(FILE *out, const pulmo_model *model, const pulmo_metrics *m, int wide)
{
    fprintf(out, "\nConfusion matrix (rows: true, columns: predicted)\n%*s", wide, "");
    for (int k = 0; k < m->classes; k++)
        print_name(out, HEADING + 2, model->class_names[k], HEADING);
    const uint32_t *count = m->confusion;
    for (int j = 0; j < m->classes; j++) {
        fputc('\n', out);
        print_name(out, wide, model->class_names[j], SIZE_MAX);
        for (int k = 0; k < m->classes; k++)
            fprintf(out, "  %9u", *count++);
    }
    fprintf(out, "\n\n");
}

/* Four digits, where there is a number: of one class alone nothing can be ranked. */
static void print_value(FILE *out, double value)
{
    if (isnan(value))
        fputs("undefined", out);
    else
        fprintf(out, "%.4f", value);
}

void pulmo_interval_print(FILE *out, pulmo_interval it)
{
    print_value(out, it.value);
    if (!isnan(it.low))
        fprintf(out, " (%.4f\u2013%.4f)", it.low, it.high);
}

static void print_named(FILE *out, const char *name, double value)
{
    fprintf(out, "%s ", name);
    print_value(out, value);
}

static void print_interval(FILE *out, const char *name, pulmo_interval it)
{
    fprintf(out, "  %s ", name);
    pulmo_interval_print(out, it);
}

static void print_rest(FILE *out, const pulmo_metrics *m)
{
    fprintf(out, "\nBalanced accuracy %.4f", m->balanced_accuracy);
    print_named(out, "  average precision", m->average_precision);
    fprintf(out, "  Brier score %.4f  calibration error %.4f\n", m->brier, m->calibration_error);
    if (m->classes == 2)
        return;
    print_named(out, "One against the rest: AUC", m->auc);
    print_named(out, " macro,", m->weighted_auc);
    print_named(out, " weighted  average precision", m->average_precision);
    print_named(out, " macro,", m->weighted_average_precision);
    fputs(" weighted\n", out);
}

/* Of more than two classes, each against the rest. */
static void print_each(FILE *out, const pulmo_model *model, const pulmo_metrics *m, int wide)
{
    if (m->classes == 2)
        return;
    for (int k = 0; k < m->classes; k++) {
        const pulmo_class_metrics *c = &m->per_class[k];
        print_name(out, wide, model->class_names[k], SIZE_MAX);
        print_interval(out, "sensitivity", c->sensitivity);
        print_interval(out, "specificity", c->specificity);
        print_interval(out, "AUC", c->auc_ci);
        fputc('\n', out);
    }
}

/* The class of all images; -1 where there are several. */
static int only_class(const pulmo_metrics *m)
{
    for (int k = 0; k < m->classes; k++)
        if (m->per_class[k].support == m->count)
            return k;
    return -1;
}

/* In place of figures that would need images of another class. */
static void print_only(FILE *out, const pulmo_model *model, const pulmo_metrics *m)
{
    const int only = only_class(m);
    const char *has = "recall";
    const char *lacks = "";
    if (m->classes == 2) {
        const bool positive = only == model->positive.index;
        has = positive ? "sensitivity" : "specificity";
        lacks = positive ? "specificity, " : "sensitivity, ";
    }
    fputs("\nAll images are of class ", out);
    pulmo_text_show(out, model->class_names[only], SIZE_MAX);
    fprintf(out,
            ": accuracy is its %s. What needs images of another class cannot be computed: "
            "AUC, %sbalanced accuracy, precision, F1, average precision, predictive values, "
            "calibration\n",
            has, lacks);
}

static void print_table(FILE *out, const pulmo_model *model, const pulmo_metrics *m)
{
    int wide = 12;
    for (int k = 0; k < m->classes; k++) {
        int length = pulmo_text_width(model->class_names[k], SIZE_MAX);
        if (length > wide)
            wide = length;
    }
    if (only_class(m) >= 0) {
        print_only(out, model, m);
    } else {
        print_report(out, model, m, wide);
        print_rest(out, m);
        print_each(out, model, m, wide);
    }
    print_confusion(out, model, m, wide);
}

static void print_headline(FILE *out, const char *split, const pulmo_metrics *m)
{
    const pulmo_interval accuracy = m->accuracy_ci;
    fprintf(out, "Total correct: %u, total %s images: %u\n", m->correct, split, m->count);
    fprintf(out, "%c%s accuracy: %.4f", toupper((unsigned char)split[0]), split + 1, m->accuracy);
    fprintf(out, " (95 %% CI %.4f\u2013%.4f)", accuracy.low, accuracy.high);
    if (m->classes == 2) {
        print_interval(out, "sensitivity", m->sensitivity);
        print_interval(out, "specificity", m->specificity);
        print_interval(out, "AUC", m->auc_ci);
    } else {
        print_named(out, "  AUC", m->auc);
    }
    fputc('\n', out);
}

/* Who was sampled, which intervals are of. */
static void print_sample(FILE *out, const pulmo_metrics *m)
{
    const pulmo_sample *s = &m->sample;
    if (s->by_patient)
        fprintf(out, "Intervals: by patient (%u patients, some with several images)", s->patients);
    else
        fprintf(out, "Intervals: by image (%u patient%s of one image each)", s->patients,
                pulmo_plural(s->patients));
    if (m->classes == 2 && s->few)
        fprintf(out, "; few patients: %u with the finding, %u without", s->positives, s->negatives);
    fputc('\n', out);
}

static void print_estimate(FILE *out, const char *name, const pulmo_estimate *e)
{
    print_interval(out, name, e->it);
    if (e->undefined)
        fprintf(out, " (%s)", e->undefined);
}

static void print_patients(FILE *out, const char *how, const pulmo_per_patient *p)
{
    fprintf(out, "Per patient, by the %s probability:", how);
    print_interval(out, "AUC", p->auc);
    print_interval(out, "sensitivity", p->sensitivity);
    print_interval(out, "specificity", p->specificity);
    fputc('\n', out);
}

/* Of two classes: whether probabilities mean what they say, and what patients' figures are. */
static pulmo_status print_use(FILE *out, const pulmo_scored *scored, const pulmo_decision *by,
                              const pulmo_metrics *m)
{
    pulmo_use use;
    PULMO_TRY(pulmo_use_compute(scored, by, &use));
    fputs("Calibration:", out);
    print_estimate(out, "intercept at slope 1", &use.line.in_the_large);
    print_estimate(out, "slope", &use.line.slope);
    print_named(out, "  index", use.curve.index);
    fputc('\n', out);
    if (m->sample.by_patient) {
        print_patients(out, "largest", &use.largest);
        print_patients(out, "mean", &use.mean);
    }
    pulmo_use_free(&use);
    return PULMO_OK;
}

/* A rule that is a number was chosen by nobody, and so was the mean of several models' thresholds.
 */
static void print_threshold(FILE *out, const pulmo_model *model, int models)
{
    const char *rule = model->threshold_rule;
    bool chosen = models == 1 && !pulmo_metrics_rule_given(rule, NULL);
    fputs("Positive class: ", out);
    pulmo_text_show(out, model->class_names[model->positive.index], SIZE_MAX);
    fprintf(out, ", from probability %.4f on (%s%s)", model->threshold, rule,
            chosen ? ", chosen on val" : "");
    if (model->temperature != 1)
        fprintf(out, ", temperature %.4f", model->temperature);
    fputc('\n', out);
    if (model->positive.by == PULMO_POSITIVE_ORDER)
        fputs(
            "Nothing told which class is the finding: the last was taken (model.positive_class)\n",
            out);
}

pulmo_status pulmo_results_print(FILE *out, const pulmo_model *model, int models,
                                 const pulmo_split_scores *scores)
{
    pulmo_metrics metrics;
    const pulmo_dataset_info *info = scores->info;
    const pulmo_scored scored = pulmo_split_scored(model, scores);
    const pulmo_decision by = pulmo_model_decision(model);
    PULMO_TRY(pulmo_metrics_compute(&scored, &by, &metrics));
    if (model->is_demo || info->is_demo)
        fprintf(out, "DEMO data: drawn phantoms, not medical images\n");
    pulmo_status status = PULMO_OK;
    print_headline(out, scores->split, &metrics);
    print_sample(out, &metrics);
    if (model->classes == 2) {
        print_threshold(out, model, models);
        if (only_class(&metrics) < 0)
            status = print_use(out, &scored, &by, &metrics);
    }
    print_table(out, model, &metrics);
    pulmo_metrics_free(&metrics);
    return status;
}
