/* What a run leaves in plain text: history.csv, predictions.csv, and the lines at its end. */
#include <math.h>
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
        char *name = pulmo_format("p_%s", model->class_names[k]);
        fputc(',', out);
        pulmo_csv_field(out, name ? name : model->class_names[k]);
        free(name);
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
        pulmo_csv_field(out, model->class_names[model->positive.index]);
        fprintf(out, ",%.9g,", threshold);
    } else {
        fputs(",,", out);
    }
    pulmo_csv_field(out, pulmo_decision_rule(model));
}

static void csv_rows(FILE *out, const pulmo_model *model, const pulmo_split_scores *scores)
{
    const pulmo_dataset_info *info = scores->info;
    for (uint32_t i = 0; i < info->count; i++) {
        const float *row = scores->probabilities + (size_t)i * (size_t)info->classes;
        int called = scores->predicted ? scores->predicted[i] : pulmo_model_class(model, row);
        double threshold = scores->thresholds ? scores->thresholds[i] : model->threshold;
        fprintf(out, "%s,", scores->split);
        pulmo_csv_field(out, info->paths[i]);
        fputc(',', out);
        pulmo_csv_field(out, info->groups[i]);
        fputc(',', out);
        pulmo_csv_field(out, info->class_names[info->labels[i]]);
        fputc(',', out);
        pulmo_csv_field(out, info->class_names[called]);
        pulmo_csv_scores(out, model, row, threshold);
        for (int k = 0; k < info->kept; k++) {
            fputc(',', out);
            pulmo_csv_field(out, info->kept_columns[k][i]);
        }
        fputc('\n', out);
    }
}

/* Names of the columns that pack.keep kept; both splits have the same. */
static void csv_kept_names(FILE *out, const pulmo_results *r)
{
    const pulmo_split_scores *any = r->val ? r->val : r->test;
    for (int k = 0; any && k < any->info->kept; k++) {
        fputc(',', out);
        pulmo_csv_field(out, any->info->kept_names[k]);
    }
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

/* scikit-learn's classification_report, with four digits. */
static void print_report(FILE *out, const pulmo_model *model, const pulmo_metrics *m, int wide)
{
    fprintf(out, "\n%*s %10s%10s%10s%10s\n\n", wide, "", "precision", "recall", "f1-score",
            "support");
    for (int k = 0; k < m->classes; k++) {
        const pulmo_class_metrics *c = &m->per_class[k];
        fprintf(out, "%*s %10.4f%10.4f%10.4f%10u\n", wide, model->class_names[k], c->precision,
                c->recall, c->f1, c->support);
    }
    fprintf(out, "\n%*s %10s%10s%10.4f%10u\n", wide, "accuracy", "", "", m->accuracy, m->count);
    fprintf(out, "%*s %10.4f%10.4f%10.4f%10u\n", wide, "macro avg", m->macro_precision,
            m->macro_recall, m->macro_f1, m->count);
    fprintf(out, "%*s %10.4f%10.4f%10.4f%10u\n", wide, "weighted avg", m->weighted_precision,
            m->weighted_recall, m->weighted_f1, m->count);
}

static void print_confusion(FILE *out, const pulmo_model *model, const pulmo_metrics *m, int wide)
{
    fprintf(out, "\nConfusion matrix (rows: true, columns: predicted)\n%*s", wide, "");
    for (int k = 0; k < m->classes; k++)
        fprintf(out, "  %9.9s", model->class_names[k]);
    for (int j = 0; j < m->classes; j++) {
        fprintf(out, "\n%*s", wide, model->class_names[j]);
        for (int k = 0; k < m->classes; k++)
            fprintf(out, "  %9u", m->confusion[j * m->classes + k]);
    }
    fprintf(out, "\n\n");
}

static void print_rest(FILE *out, const pulmo_metrics *m)
{
    fprintf(out,
            "\nBalanced accuracy %.4f  average precision %.4f  Brier score %.4f  calibration error "
            "%.4f\n",
            m->balanced_accuracy, m->average_precision, m->brier, m->calibration_error);
    if (m->classes > 2)
        fprintf(out,
                "One against the rest: AUC %.4f macro, %.4f weighted  average precision %.4f "
                "macro, %.4f weighted\n",
                m->auc, m->weighted_auc, m->average_precision, m->weighted_average_precision);
}

static void print_interval(FILE *out, const char *name, pulmo_interval it)
{
    fprintf(out, "  %s ", name);
    if (isnan(it.value))
        fputs("undefined", out);
    else
        fprintf(out, "%.4f", it.value);
    if (!isnan(it.low))
        fprintf(out, " (%.4f\u2013%.4f)", it.low, it.high);
}

/* Of more than two classes, each against the rest. */
static void print_each(FILE *out, const pulmo_model *model, const pulmo_metrics *m, int wide)
{
    for (int k = 0; m->classes > 2 && k < m->classes; k++) {
        fprintf(out, "%*s", wide, model->class_names[k]);
        print_interval(out, "sensitivity", m->per_class[k].sensitivity);
        print_interval(out, "specificity", m->per_class[k].specificity);
        print_interval(out, "AUC", m->per_class[k].auc_ci);
        fputc('\n', out);
    }
}

static void print_table(FILE *out, const pulmo_model *model, const pulmo_metrics *m)
{
    int wide = 12;
    for (int k = 0; k < m->classes; k++)
        if ((int)strlen(model->class_names[k]) > wide)
            wide = (int)strlen(model->class_names[k]);
    print_report(out, model, m, wide);
    print_rest(out, m);
    print_each(out, model, m, wide);
    print_confusion(out, model, m, wide);
}

/* The split's name as it stands at a line's start. */
static void print_headline(FILE *out, const char *split, const pulmo_metrics *m)
{
    char title[32];
    snprintf(title, sizeof title, "%s", split);
    if (title[0] >= 'a' && title[0] <= 'z')
        title[0] = (char)(title[0] - 'a' + 'A');
    fprintf(out, "Total correct: %u, total %s images: %u\n", m->correct, split, m->count);
    fprintf(out, "%s accuracy: %.4f (95 %% CI %.4f\u2013%.4f)", title, m->accuracy,
            m->accuracy_ci.low, m->accuracy_ci.high);
    if (m->classes == 2)
        fprintf(out, "  sensitivity %.4f (%.4f\u2013%.4f)  specificity %.4f (%.4f\u2013%.4f)",
                m->sensitivity.value, m->sensitivity.low, m->sensitivity.high, m->specificity.value,
                m->specificity.low, m->specificity.high);
    fprintf(out, "  AUC %.4f", m->auc);
    if (m->classes == 2)
        fprintf(out, " (%.4f\u2013%.4f)", m->auc_ci.low, m->auc_ci.high);
    fputc('\n', out);
}

/* A rule that is a number was chosen by nobody, and so was the mean of several models' thresholds.
 */
static void print_threshold(FILE *out, const pulmo_model *model, int models)
{
    const char *rule = model->threshold_rule;
    bool chosen = models == 1 && !pulmo_metrics_rule_given(rule, NULL);
    fprintf(out, "Positive class: %s, from probability %.4f on (%s%s)",
            model->class_names[model->positive.index], model->threshold, rule,
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
    const pulmo_scored scored = pulmo_split_scored(scores);
    const pulmo_decision by = pulmo_model_decision(model);
    PULMO_TRY(pulmo_metrics_compute(&scored, &by, &metrics));
    if (model->is_demo || info->is_demo)
        fprintf(out, "DEMO data: drawn phantoms, not medical images\n");
    print_headline(out, scores->split, &metrics);
    if (model->classes == 2)
        print_threshold(out, model, models);
    print_table(out, model, &metrics);
    pulmo_metrics_free(&metrics);
    return PULMO_OK;
}
