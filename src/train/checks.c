/* What is refused before anything is trained. */
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "pulmo/text.h"
#include "run.h"

#define USUAL_THRESHOLD 0.5  /* eval.threshold's default */
#define USUAL_FRACTION  0.15 /* of train that advice makes val */

static bool has_one_class(const pulmo_dataset_info *info)
{
    for (uint32_t i = 1; i < info->count; i++)
        if (info->labels[i] != info->labels[0])
            return false;
    return true;
}

static pulmo_status check_train(const run *r)
{
    const pulmo_dataset_info *train = train_info(r);
    const char *path = r->config->data.path;
    if (train->count == 0)
        return pulmo_fail(PULMO_DATA, "%s: the train split is empty; pack a source with images",
                          path);
    if (train->height_px != train->width_px)
        return pulmo_fail(PULMO_DATA, "%s: images are %d x %d; must be square", path,
                          train->height_px, train->width_px);
    return PULMO_OK;
}

static bool is_fold(const run *r)
{
    return r->config->data.fold >= 0;
}

/* How to get more images into val. A fold's is the next fold, which --val-fraction has no part in.
 */
static const char *more_val(const run *r)
{
    if (is_fold(r))
        return "pack with more images or fewer pack.folds";
    return "pack with --val-fraction 0.15";
}

/* The same where there are too few: a fraction that is too small, or was taken, is no advice. */
static const char *enough_val(const run *r)
{
    double images = (double)train_info(r)->count + val_info(r)->count;
    if (!is_fold(r) && USUAL_FRACTION * images < PULMO_SPLIT_MEANINGFUL)
        return "pack with more images";
    return more_val(r);
}

/* Early stopping and keeping the best epoch need something to choose by. */
static pulmo_status check_val(const run *r)
{
    const pulmo_dataset_info *val = val_info(r);
    const char *path = r->config->data.path;
    if (val->count == 0 && r->config->train.patience > 0)
        return pulmo_fail(
            PULMO_CONFIG,
            "%s has no val split, which early stopping and keeping the best epoch need; %s, or set "
            "train.patience: 0 to keep the last epoch",
            path, more_val(r));
    if (val->count == 0)
        return PULMO_OK;
    if (r->config->train.monitor == PULMO_MONITOR_AUC && has_one_class(val))
        return pulmo_fail(PULMO_CONFIG,
                          "train.monitor: auc needs val images of two classes; all %u of %s are "
                          "%s; %s, or set train.monitor: loss",
                          val->count, path, val->class_names[val->labels[0]], more_val(r));
    if (val->count < PULMO_SPLIT_MEANINGFUL)
        pulmo_warn_once(is_root(r),
                        "%s: val has %u image%s, too few to choose the best epoch or a threshold "
                        "by; %s",
                        path, val->count, pulmo_plural(val->count), enough_val(r));
    return PULMO_OK;
}

static bool same_classes(const pulmo_dataset_info *split, const pulmo_dataset_info *train)
{
    return split->count == 0 || split->classes == train->classes;
}

pulmo_status run_check_splits(const run *r)
{
    const pulmo_dataset_info *train = train_info(r);
    PULMO_TRY(check_train(r));
    bool val_fits = same_classes(val_info(r), train);
    bool test_fits = same_classes(test_info(r), train);
    if (!val_fits || !test_fits)
        return pulmo_fail(PULMO_DATA,
                          "%s: the splits have different classes; pack again with --overwrite",
                          r->config->data.path);
    return check_val(r);
}

/* A block can join only above others that have. */
static pulmo_status check_unfreezing(const pulmo_int_list *epochs)
{
    for (int i = 1; i < epochs->count; i++) {
        long long above = epochs->value[i - 1];
        long long below = epochs->value[i];
        if (below < above)
            return pulmo_fail(PULMO_CONFIG,
                              "train.unfreeze_epochs: %lld after %lld: must not fall; the first "
                              "number is block5's, and gradients reach lower blocks through it",
                              below, above);
    }
    return PULMO_OK;
}

/* Of more than two classes no threshold decides: one that was asked for would be ignored. */
static pulmo_status check_threshold_classes(const char *threshold, int classes)
{
    double number = 0;
    bool given = pulmo_metrics_rule_given(threshold, &number);
    if (classes == 2 || !given || number == USUAL_THRESHOLD)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_CONFIG,
        "eval.threshold: \"%s\": needs two classes, there are %d, of which the most "
        "probable one is taken; set eval.threshold: 0.5, the default, or pack one class "
        "against the rest (pack.label_map)",
        threshold, classes);
}

/* A rule is chosen on val. */
static pulmo_status check_threshold(const run *r)
{
    const char *rule = r->config->eval.threshold;
    const pulmo_dataset_info *val = val_info(r);
    PULMO_TRY(check_threshold_classes(rule, train_info(r)->classes));
    if (is_fold(r) && val->count == 0 && !pulmo_metrics_rule_given(rule, NULL))
        return pulmo_fail(PULMO_CONFIG,
                          "eval.threshold: \"%s\": needs val images to be chosen on; %s, or set "
                          "eval.threshold: 0.5",
                          rule, more_val(r));
    const pulmo_scored on_val = {
        .count = val->count, .classes = val->classes, .labels = val->labels};
    return pulmo_metrics_rule_check(rule, &on_val, r->model.positive.index);
}

pulmo_status run_check_config(const run *r)
{
    const pulmo_config *config = r->config;
    const pulmo_dataset_info *val = val_info(r);
    PULMO_TRY(check_unfreezing(&config->train.unfreeze_epochs));
    PULMO_TRY(check_threshold(r));
    PULMO_TRY(pulmo_views_check(config));
    if (config->eval.calibration == PULMO_CALIBRATE_TEMPERATURE && val->count == 0)
        return pulmo_fail(PULMO_CONFIG,
                          "eval.calibration: temperature needs a val split to be fitted on; %s, or "
                          "set eval.calibration: none",
                          more_val(r));
    return PULMO_OK;
}

pulmo_status run_check_memory(const run *r, const pulmo_stepper_parts *parts)
{
    size_t parameters = r->network.layout.parameters;
    uint64_t best = run_vector_bytes(r); /* on rank 0 */
    uint64_t copy = run_writes(r) ? run_vectors_bytes(r) : 0;
    uint64_t state = run_vectors_bytes(r) - best;
    int ranks = pulmo_comm_node_size(r->comm);
    uint64_t each = pulmo_stepper_bytes(parts) + state;
    return pulmo_memory_need((uint64_t)ranks * each + best + copy,
                             "use smaller model.hidden, a smaller train.batch, a higher "
                             "model.trainable or fewer ranks per node, or raise the memory limit",
                             "training %zu parameters on %d rank%s", parameters, ranks,
                             pulmo_plural((uint64_t)ranks));
}
