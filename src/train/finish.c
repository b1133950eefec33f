/* The end of a run: results as they stand, the test split, the last lines. */
#include <stdio.h>
#include <stdlib.h>

#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "run.h"

pulmo_status run_set_scores(pulmo_split_scores *scores, const pulmo_model *model, const char *split,
                            const pulmo_dataset_info *info, float *logits)
{
    size_t count = (size_t)info->count * (size_t)info->classes;
    pulmo_free(scores->logits);
    pulmo_free(scores->probabilities);
    scores->split = split;
    scores->info = info;
    scores->logits = logits;
    scores->probabilities = pulmo_alloc(count, sizeof(float));
    if (!scores->probabilities)
        return PULMO_MEMORY;
    return pulmo_model_probabilities(model, (int)info->count, logits, scores->probabilities);
}

/* ---- files ---- */

/* Until the run ends, model.h5 changes with the best epoch alone. */
static bool is_model_written(const run *r, bool finished)
{
    return !finished && r->model_epoch == r->selection.best.epoch;
}

static pulmo_status write_model(run *r)
{
    char *path = pulmo_format("%s/model.h5", r->directory);
    if (!path)
        return PULMO_MEMORY;
    r->model.best_epoch = (int)r->selection.best.epoch;
    pulmo_status status = pulmo_model_write(path, &r->model);
    if (status == PULMO_OK)
        r->model_epoch = r->selection.best.epoch;
    free(path);
    return status;
}

static pulmo_status write_results(run *r, bool finished, const char *head_digest)
{
    const run_identity *identity = &r->identity;
    const pulmo_results_origin origin = {.config = r->config,
                                         .data_digest = identity->data_digest,
                                         .start_digest = identity->start_digest,
                                         .features = identity->features};
    const pulmo_run_history history = {.epochs = r->state.epoch,
                                       .row = r->selection.history,
                                       .layout = r->trail.layout,
                                       .digest = r->trail.digest,
                                       .arithmetic = r->trail.arithmetic};
    pulmo_results results = {.directory = r->directory,
                             .origin = &origin,
                             .history = &history,
                             .model = &r->model,
                             .comm = r->comm,
                             .finished = finished,
                             .head_digest = head_digest,
                             .data = r->config->data.path,
                             .trained_on = r->data.train,
                             .chosen_on = r->data.val,
                             .kernels = r->network.backbone.kernels,
                             .threads = r->network.backbone.threads,
                             .spent = &r->trail.spent};
    if (val_info(r)->count > 0)
        results.val = &r->scores.val;
    if (finished && test_info(r)->count > 0)
        results.test = &r->scores.test;
    if (finished)
        results.audit = &r->audit;
    return pulmo_results_write(&results);
}

pulmo_status run_snapshot(run *r, bool finished, const char *head_digest)
{
    if (r->passing)
        return PULMO_OK;
    PULMO_TRY(lease_check(r->lease));
    if (!is_model_written(r, finished))
        PULMO_TRY(write_model(r));
    return write_results(r, finished, head_digest);
}

/* ---- scores ---- */

pulmo_status run_logits(run *r, const pulmo_feature_store *features, const pulmo_dataset_info *info,
                        const float *parameters, float **out)
{
    const pulmo_backbone *backbone = &r->network.backbone;
    const pulmo_head_spec *head = &r->network.trained_head;
    const float *of_head = parameters + pulmo_tuned_parameters(&backbone->tuned);
    pulmo_scorer with = {.pool = backbone->pool, .head_floats = pulmo_head_floats(head)};
    pulmo_status status = pulmo_head_create(head, &r->recipe.loss, PULMO_SCORE_MICROBATCH,
                                            PULMO_SCORE_MICROBATCHES, of_head, &with.head);
    PULMO_GOTO(pulmo_agree(r->comm, status));
    pulmo_stepper_score_with(r->stepper, parameters, &with.tuned, &with.tuned_images);
    status = pulmo_feature_store_logits(r->comm, features, &with, info->classes, out);
    pulmo_stepper_ready(r->stepper);
out:
    pulmo_head_destroy(with.head);
    return status;
}

/* Scores a split with the best parameters. Collective. */
static pulmo_status score_best(run *r, const pulmo_feature_store *features,
                               const pulmo_dataset_info *info, const char *split,
                               pulmo_split_scores *scores)
{
    const float *best = r->selection.best.parameters;
    float *logits = NULL;
    PULMO_TRY(run_logits(r, features, info, best, &logits));
    return pulmo_agree(r->comm, run_set_scores(scores, &r->model, split, info, logits));
}

static pulmo_status score_val(run *r)
{
    run_scores *scores = &r->scores;
    if (val_info(r)->count == 0)
        return PULMO_OK;
    return score_best(r, scores->val_features, val_info(r), "val", &scores->val);
}

static pulmo_status score_test(run *r)
{
    pulmo_feature_store *features = NULL;
    if (test_info(r)->count == 0)
        return PULMO_OK;
    PULMO_TRY(run_features(r, PULMO_BANK_TEST, &features));
    pulmo_status status = score_best(r, features, test_info(r), "test", &r->scores.test);
    pulmo_feature_store_destroy(features);
    return status;
}

/* ---- the end ---- */

/* The epoch that was kept, by what it was chosen by, and its accuracy. */
static void print_best(const run *r)
{
    const best_epoch *best = &r->selection.best;
    const pulmo_epoch_row *row = &r->selection.history[best->epoch - 1];
    double value = selection_shown(r->config->train.monitor, row);
    const char *by = pulmo_config_choice("train.monitor", r->config->train.monitor);
    printf("Best val %s: %.4f (epoch %u)", by, value, best->epoch);
    if (r->config->train.monitor != PULMO_MONITOR_ACCURACY)
        printf(", its accuracy %.4f", best->val_accuracy);
    putchar('\n');
}

/* The last lines of standard output. By rank 0. */
static pulmo_status print_results(const run *r)
{
    if (val_info(r)->count > 0)
        print_best(r);
    if (test_info(r)->count > 0)
        PULMO_TRY(pulmo_results_print(stdout, &r->model, 1, &r->scores.test));
    else if (r->config->data.fold >= 0)
        printf("No test split: fold %lld holds no image.\n", (long long)r->config->data.fold);
    else
        printf("No test split: \"pulmo pack --test-fraction 0.15\" makes one.\n");
    pulmo_audit_print(stdout, &r->audit, train_info(r)->class_names);
    printf("Head SHA-256: %s\n", r->head_digest);
    printf("Results: %s/results.h5\n", r->directory);
    fflush(stdout);
    return PULMO_OK;
}

void run_digest_head(run *r)
{
    size_t bytes = run_vector_bytes(r);
    pulmo_digest digest = pulmo_digest_of(r->selection.best.parameters, bytes);
    pulmo_digest_hex(&digest, r->head_digest);
}

static pulmo_status finish_root(run *r)
{
    run_digest_head(r);
    PULMO_TRY(run_snapshot(r, true, r->head_digest));
    return r->record ? PULMO_OK : print_results(r);
}

/* All ranks hold the same logits and come to the same temperature. */
static pulmo_status calibrate(run *r)
{
    const pulmo_dataset_info *val = val_info(r);
    if (r->config->eval.calibration == PULMO_CALIBRATE_NONE)
        return PULMO_OK;
    const pulmo_split_scores *scores = &r->scores.val;
    PULMO_TRY(pulmo_temperature_fit(val->count, val->classes, val->labels, scores->logits,
                                    &r->model.temperature));
    return pulmo_model_probabilities(&r->model, (int)val->count, scores->logits,
                                     scores->probabilities);
}

/* All ranks hold the same scores and come to the same threshold. */
static pulmo_status choose_threshold(run *r)
{
    const pulmo_dataset_info *val = val_info(r);
    const char *rule = r->config->eval.threshold;
    pulmo_model *model = &r->model;
    const pulmo_scored on_val = {.count = val->count,
                                 .classes = val->classes,
                                 .labels = val->labels,
                                 .probabilities = r->scores.val.probabilities};
    snprintf(model->threshold_rule, sizeof model->threshold_rule, "%s", rule);
    return pulmo_metrics_threshold(rule, &on_val, model->positive.index, &model->threshold);
}

pulmo_status run_finish(run *r)
{
    PULMO_TRY(pulmo_bcast(r->comm, r->selection.best.parameters, run_vector_bytes(r), 0));
    PULMO_TRY(score_val(r));
    PULMO_TRY(pulmo_agree(r->comm, calibrate(r)));
    PULMO_TRY(pulmo_agree(r->comm, choose_threshold(r)));
    PULMO_TRY(score_test(r));
    PULMO_TRY(run_audit(r));
    run_expect_writing(r, "writing results", run_vector_bytes(r));
    return pulmo_agree(r->comm, is_root(r) ? finish_root(r) : PULMO_OK);
}
