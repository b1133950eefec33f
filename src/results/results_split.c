/* A split in results.h5: every image's scores, and what is computed from them.
 *
 *   /SPLIT/paths (N)                a dimension scale; groups, labels, predictions (N)
 *   /SPLIT/{logits,probabilities} (N, K)
 *   /SPLIT/confusion (K, K)
 *   /SPLIT/per_class/{precision,recall,f1,support,specificity,auc,average_precision} (K), and
 *       {recall,specificity,auc}_{low95,high95} (K)
 *   of the positive class of two; of more classes roc_0, pr_0, calibration_0, ... of each against
 * the rest: /SPLIT/roc/{fpr,tpr,threshold} /SPLIT/pr/{recall,precision,threshold}
 *   /SPLIT/calibration/{predicted,observed,count}
 *   attributes of /SPLIT: the metrics with their 95 % intervals */
#include <stdlib.h>
#include <string.h>

#include "pulmo/metrics.h"
#include "results_room.h"

pulmo_scored pulmo_split_scored(const pulmo_model *model, const pulmo_split_scores *scores)
{
    const pulmo_dataset_info *info = scores->info;
    return (pulmo_scored){.count = info->count,
                          .classes = info->classes,
                          .labels = info->labels,
                          .probabilities = scores->probabilities,
                          .predicted = scores->predicted,
                          .logits = scores->logits,
                          .temperature = model->temperature,
                          .patients = info->patients,
                          .patient = info->patient};
}

/* ---- images ---- */

static pulmo_status attach(pulmo_h5 *file, const char *group, const char *name, int dim,
                           const char *scale)
{
    char full[128];
    snprintf(full, sizeof full, "%s/%s", group, name);
    return pulmo_h5_attach_scale(file, full, dim, scale);
}

static pulmo_status write_image_fields(pulmo_h5 *file, const pulmo_split_scores *scores,
                                       const int32_t *predicted)
{
    const pulmo_dataset_info *info = scores->info;
    const uint64_t n = info->count;
    const uint64_t k = (uint64_t)info->classes;
    char scale[64];
    const results_field fields[] = {
        {"paths",
         "image, relative to the packed source",
         NULL,
         PULMO_H5_STRING,
         1,
         {n},
         info->paths},
        {"groups", "patient", NULL, PULMO_H5_STRING, 1, {n}, info->groups},
        {"labels", "true class, an index into classes", "1", PULMO_H5_I32, 1, {n}, info->labels},
        {"predictions",
         "predicted class, an index into classes",
         "1",
         PULMO_H5_I32,
         1,
         {n},
         predicted},
        {"logits",
         "output of the head before softmax and temperature",
         "1",
         PULMO_H5_F32,
         2,
         {n, k},
         scores->logits},
        {"probabilities",
         "probability of each class: softmax(logits / temperature)",
         "1",
         PULMO_H5_F32,
         2,
         {n, k},
         scores->probabilities},
    };
    snprintf(scale, sizeof scale, "%s/paths", scores->split);
    const size_t count = sizeof fields / sizeof fields[0];
    for (size_t i = 0; i < count; i++) {
        const results_field *field = &fields[i];
        PULMO_TRY(results_put(file, scores->split, field));
        if (i == 0)
            PULMO_TRY(pulmo_h5_make_scale(file, scale, "image"));
        else
            PULMO_TRY(attach(file, scores->split, field->name, 0, scale));
        if (field->rank == 2)
            PULMO_TRY(attach(file, scores->split, field->name, 1, "classes"));
    }
    return PULMO_OK;
}

static pulmo_status write_images(pulmo_h5 *file, const pulmo_model *model,
                                 const pulmo_split_scores *scores)
{
    const pulmo_dataset_info *info = scores->info;
    if (scores->predicted)
        return write_image_fields(file, scores, scores->predicted);
    int32_t *predicted = malloc(((size_t)info->count + 1) * sizeof *predicted);
    if (!predicted)
        return pulmo_fail(PULMO_MEMORY, "out of memory for predictions");
    const size_t classes = (size_t)info->classes;
    for (uint32_t i = 0; i < info->count; i++) {
        const float *row = scores->probabilities + i * classes;
        predicted[i] = pulmo_model_class(model, row);
    }
    pulmo_status status = write_image_fields(file, scores, predicted);
    free(predicted);
    return status;
}

/* ---- metrics ---- */

static pulmo_status write_metrics(pulmo_h5 *file, const char *split, const pulmo_metrics *m)
{
    const struct {
        const char *name;
        double value;
    } reals[] = {
        {"average_precision", m->average_precision},
        {"balanced_accuracy", m->balanced_accuracy},
        {"macro_precision", m->macro_precision},
        {"macro_recall", m->macro_recall},
        {"macro_f1", m->macro_f1},
        {"weighted_precision", m->weighted_precision},
        {"weighted_recall", m->weighted_recall},
        {"weighted_f1", m->weighted_f1},
        {"weighted_auc", m->weighted_auc},
        {"weighted_average_precision", m->weighted_average_precision},
        {"log_loss", m->log_loss},
        {"brier", m->brier},
        {"calibration_error", m->calibration_error},
    };
    PULMO_TRY(pulmo_h5_set_int(file, split, "count", m->count));
    PULMO_TRY(pulmo_h5_set_int(file, split, "correct", m->correct));
    PULMO_TRY(pulmo_h5_set_int(file, split, "patients", m->sample.patients));
    const char *by = m->sample.by_patient ? "patient" : "image";
    PULMO_TRY(pulmo_h5_set_text(file, split, "intervals_by", by));
    PULMO_TRY(results_interval(file, split, "accuracy", m->accuracy_ci));
    PULMO_TRY(results_interval(file, split, "auc", m->auc_ci));
    if (m->classes == 2) {
        PULMO_TRY(results_interval(file, split, "sensitivity", m->sensitivity));
        PULMO_TRY(results_interval(file, split, "specificity", m->specificity));
        PULMO_TRY(results_interval(file, split, "positive_predictive_value", m->positive_value));
        PULMO_TRY(results_interval(file, split, "negative_predictive_value", m->negative_value));
    }
    const size_t count = sizeof reals / sizeof reals[0];
    for (size_t i = 0; i < count; i++)
        PULMO_TRY(pulmo_h5_set_real(file, split, reals[i].name, reals[i].value));
    return PULMO_OK;
}

static pulmo_status write_confusion(pulmo_h5 *file, const char *split, const pulmo_metrics *m)
{
    uint64_t k = (uint64_t)m->classes;
    int64_t *counts = malloc(k * k * sizeof *counts);
    if (!counts)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the confusion matrix");
    const uint64_t cells = k * k;
    for (uint64_t i = 0; i < cells; i++)
        counts[i] = m->confusion[i];
    const results_field field = {"confusion", "images: row the true class, column the predicted",
                                 "1",         PULMO_H5_I64,
                                 2,           {k, k},
                                 counts};
    pulmo_status status = results_put(file, split, &field);
    free(counts);
    PULMO_TRY(status);
    PULMO_TRY(attach(file, split, "confusion", 0, "classes"));
    return attach(file, split, "confusion", 1, "classes");
}

static pulmo_status write_per_class(pulmo_h5 *file, const char *split, const pulmo_metrics *m)
{
    static const struct {
        const char *name, *long_name;
        size_t offset;
    } columns[] = {
        {"precision", "of the images predicted as the class, the part that is",
         offsetof(pulmo_class_metrics, precision)},
        {"recall", "of the class's images, the part that was found",
         offsetof(pulmo_class_metrics, recall)},
        {"f1", "harmonic mean of precision and recall", offsetof(pulmo_class_metrics, f1)},
        {"recall_low95", "recall: the 95 % interval's lower end (Wilson, or by patient)",
         offsetof(pulmo_class_metrics, sensitivity.low)},
        {"recall_high95", "recall: the 95 % interval's upper end (Wilson, or by patient)",
         offsetof(pulmo_class_metrics, sensitivity.high)},
        {"specificity", "of the other classes' images, the part not taken for the class",
         offsetof(pulmo_class_metrics, specificity.value)},
        {"specificity_low95", "specificity: the 95 % interval's lower end (Wilson, or by patient)",
         offsetof(pulmo_class_metrics, specificity.low)},
        {"specificity_high95", "specificity: the 95 % interval's upper end (Wilson, or by patient)",
         offsetof(pulmo_class_metrics, specificity.high)},
        {"auc", "area under the ROC curve, one class against the rest",
         offsetof(pulmo_class_metrics, auc)},
        {"auc_low95",
         "AUC: the 95 % interval's lower end (DeLong; Obuchowski by patient; Newcombe)",
         offsetof(pulmo_class_metrics, auc_ci.low)},
        {"auc_high95",
         "AUC: the 95 % interval's upper end (DeLong; Obuchowski by patient; Newcombe)",
         offsetof(pulmo_class_metrics, auc_ci.high)},
        {"average_precision", "average precision, one class against the rest",
         offsetof(pulmo_class_metrics, average_precision)},
        {"support", "images of the class", 0},
    };
    char group[80];
    double *values = malloc((size_t)m->classes * sizeof *values);
    if (!values)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %d classes", m->classes);
    snprintf(group, sizeof group, "%s/per_class", split);
    const size_t count = sizeof columns / sizeof columns[0];
    pulmo_status status = PULMO_OK;
    for (size_t c = 0; status == PULMO_OK && c < count; c++) {
        const results_field field = {
            columns[c].name, columns[c].long_name, "1", PULMO_H5_F64, 1, {(uint64_t)m->classes},
            values};
        for (int k = 0; k < m->classes; k++) {
            const pulmo_class_metrics *class = &m->per_class[k];
            const char *value = (const char *)class + columns[c].offset;
            memcpy(&values[k], value, sizeof *values);
            if (strcmp(field.name, "support") == 0)
                values[k] = class->support;
        }
        status = results_put(file, group, &field);
        if (status == PULMO_OK)
            status = attach(file, group, field.name, 0, "classes");
    }
    free(values);
    return status;
}

/* ---- curves ---- */

/* The first is what the others are drawn over. */
static pulmo_status write_fields(pulmo_h5 *file, const char *group, const results_field *fields,
                                 int count)
{
    char axis[128];
    snprintf(axis, sizeof axis, "%s/%s", group, fields[0].name);
    PULMO_TRY(results_put(file, group, &fields[0]));
    PULMO_TRY(pulmo_h5_make_scale(file, axis, fields[0].long_name));
    for (int i = 1; i < count; i++) {
        PULMO_TRY(results_put(file, group, &fields[i]));
        PULMO_TRY(attach(file, group, fields[i].name, 0, axis));
    }
    return PULMO_OK;
}

static results_field list_of_reals(const char *name, const char *long_name, uint64_t count,
                                   const double *values)
{
    return (results_field){name, long_name, "1", PULMO_H5_F64, 1, {count}, values};
}

static const char called_from[] = "probability from which on the class is predicted";

static pulmo_status write_roc(pulmo_h5 *file, const pulmo_scored *scored, int positive,
                              const char *group)
{
    pulmo_roc roc;
    PULMO_TRY(pulmo_roc_compute(scored, positive, &roc));
    const results_field fields[] = {
        list_of_reals("fpr", "1 - specificity", roc.points, roc.fpr),
        list_of_reals("tpr", "sensitivity", roc.points, roc.tpr),
        list_of_reals("threshold", called_from, roc.points, roc.threshold),
    };
    pulmo_status status = write_fields(file, group, fields, 3);
    if (status == PULMO_OK)
        status = results_mark_plot(file, group, "tpr", "fpr", "ROC curve");
    pulmo_roc_free(&roc);
    return status;
}

static pulmo_status write_pr(pulmo_h5 *file, const pulmo_scored *scored, int positive,
                             const char *group)
{
    pulmo_pr pr;
    PULMO_TRY(pulmo_pr_compute(scored, positive, &pr));
    const results_field fields[] = {
        list_of_reals("recall", "recall (sensitivity)", pr.points, pr.recall),
        list_of_reals("precision", "precision (positive predictive value)", pr.points,
                      pr.precision),
        list_of_reals("threshold", called_from, pr.points, pr.threshold),
    };
    pulmo_status status = write_fields(file, group, fields, 3);
    if (status == PULMO_OK)
        status = results_mark_plot(file, group, "precision", "recall", "Precision-recall curve");
    pulmo_pr_free(&pr);
    return status;
}

static pulmo_status write_calibration(pulmo_h5 *file, const pulmo_scored *scored, int positive,
                                      const char *group)
{
    const uint64_t bins = PULMO_CALIBRATION_BINS;
    pulmo_calibration curve;
    int64_t count[PULMO_CALIBRATION_BINS];
    PULMO_TRY(pulmo_calibration_compute(scored, positive, &curve));
    for (uint64_t b = 0; b < bins; b++)
        count[b] = curve.count[b];
    const char *images = "images in the bin; bins are tenths of the probability";
    const results_field fields[] = {
        list_of_reals("predicted", "mean probability of the bin's images", bins, curve.predicted),
        list_of_reals("observed", "part of the bin's images that is of the class", bins,
                      curve.observed),
        {"count", images, "1", PULMO_H5_I64, 1, {bins}, count},
    };
    PULMO_TRY(write_fields(file, group, fields, 3));
    return results_mark_plot(file, group, "observed", "predicted", "Calibration");
}

/* The curves of one class; `suffix` "" where there are two. */
static pulmo_status write_curves(pulmo_h5 *file, const pulmo_model *model,
                                 const pulmo_split_scores *scores, int positive, const char *suffix)
{
    static const struct {
        const char *name;
        pulmo_status (*write)(pulmo_h5 *, const pulmo_scored *, int, const char *);
    } curves[] = {{"roc", write_roc}, {"pr", write_pr}, {"calibration", write_calibration}};
    const pulmo_scored scored = pulmo_split_scored(model, scores);
    char group[96];
    const char *class = scores->info->class_names[positive];
    const size_t count = sizeof curves / sizeof curves[0];
    for (size_t i = 0; i < count; i++) {
        snprintf(group, sizeof group, "%s/%s%s", scores->split, curves[i].name, suffix);
        PULMO_TRY(curves[i].write(file, &scored, positive, group));
        PULMO_TRY(pulmo_h5_set_text(file, group, "class", class));
    }
    return PULMO_OK;
}

static pulmo_status write_all_curves(pulmo_h5 *file, const pulmo_model *model,
                                     const pulmo_split_scores *scores)
{
    char suffix[16];
    if (scores->info->classes == 2)
        return write_curves(file, model, scores, model->positive.index, "");
    for (int k = 0; k < scores->info->classes; k++) {
        snprintf(suffix, sizeof suffix, "_%d", k);
        PULMO_TRY(write_curves(file, model, scores, k, suffix));
    }
    return PULMO_OK;
}

static pulmo_status write_all_metrics(pulmo_h5 *file, const pulmo_model *model,
                                      const pulmo_split_scores *scores)
{
    const pulmo_scored scored = pulmo_split_scored(model, scores);
    const pulmo_decision by = pulmo_model_decision(model);
    pulmo_metrics metrics;
    PULMO_TRY(pulmo_metrics_compute(&scored, &by, &metrics));
    pulmo_status status = write_metrics(file, scores->split, &metrics);
    if (status == PULMO_OK)
        status = write_confusion(file, scores->split, &metrics);
    if (status == PULMO_OK)
        status = write_per_class(file, scores->split, &metrics);
    if (status == PULMO_OK && metrics.classes == 2)
        status = results_use(file, scores->split, &scored, &by);
    pulmo_metrics_free(&metrics);
    return status;
}

pulmo_status results_split(pulmo_h5 *file, const pulmo_model *model,
                           const pulmo_split_scores *scores)
{
    const char *split = scores->split;
    const char *shown = scores->info->classes == 2 ? "roc" : "roc_0";
    PULMO_TRY(write_images(file, model, scores));
    PULMO_TRY(results_kept(file, scores));
    PULMO_TRY(write_all_metrics(file, model, scores));
    PULMO_TRY(write_all_curves(file, model, scores));
    PULMO_TRY(pulmo_h5_set_text(file, split, "NX_class", "NXentry"));
    return pulmo_h5_set_text(file, split, "default", shown);
}
