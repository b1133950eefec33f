/* Opening and closing a training run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "run.h"

#define MB (1024.0 * 1024.0)

static bool from_bank(const run *r)
{
    return r->config->train.features == PULMO_FEATURES_BANK;
}

static bool one_class(const pulmo_dataset_info *info)
{
    for (uint32_t i = 1; i < info->count; i++)
        if (info->labels[i] != info->labels[0])
            return false;
    return true;
}

static pulmo_status check_splits(const run *r)
{
    const pulmo_dataset_info *train = info_of(r->train), *val = info_of(r->val),
                             *test = info_of(r->test);
    if (train->count == 0)
        return pulmo_fail(PULMO_DATA, "%s: the train split is empty; pack a source with images",
                          r->config->data.path);
    if (train->height_px != train->width_px)
        return pulmo_fail(PULMO_DATA, "%s: images are %d x %d; must be square",
                          r->config->data.path, train->height_px, train->width_px);
    if (val->count == 0 && r->config->train.patience > 0)
        return pulmo_fail(
            PULMO_CONFIG,
            "%s has no val split, which early stopping and keeping the best epoch need; pack with "
            "--val-fraction 0.15, or set train.patience: 0 to keep the last epoch",
            r->config->data.path);
    if ((val->count && val->classes != train->classes) ||
        (test->count && test->classes != train->classes))
        return pulmo_fail(PULMO_DATA,
                          "%s: the splits have different classes; pack again with --overwrite",
                          r->config->data.path);
    if (val->count > 0 && r->config->train.monitor == PULMO_MONITOR_AUC && one_class(val))
        return pulmo_fail(PULMO_CONFIG,
                          "train.monitor: auc needs val images of two classes; all %u of %s are "
                          "%s; pack with --val-fraction 0.15, or set "
                          "train.monitor: loss",
                          val->count, r->config->data.path, val->class_names[val->labels[0]]);
    if (val->count > 0 && val->count < PULMO_SPLIT_MEANINGFUL && is_root(r))
        pulmo_warn("%s: val has %u images, too few to choose the best epoch or a threshold by; "
                   "pack with --val-fraction 0.15",
                   r->config->data.path, val->count);
    return PULMO_OK;
}

static pulmo_status open_data_local(run *r)
{
    const char *path = r->config->data.path;
    if (!*path)
        return pulmo_fail(
            PULMO_CONFIG,
            "data.path is not set; give the directory that \"pulmo pack\" wrote, in the "
            "configuration or as --set data.path=DIR");
    if (!*r->directory)
        return pulmo_fail(PULMO_CONFIG,
                          "train.run_dir is not set; give the directory for the results, in the "
                          "configuration or as --set train.run_dir=DIR");
    PULMO_TRY(pulmo_dataset_open(path, "train", 0, &r->train));
    PULMO_TRY(pulmo_dataset_open(path, "val", 1, &r->val));
    PULMO_TRY(pulmo_dataset_open(path, "test", 1, &r->test));
    return check_splits(r);
}

static pulmo_status check_data_same(run *r)
{
    char all[3 * PULMO_DIGEST_HEX];
    snprintf(all, sizeof all, "%s %s %s", info_of(r->train)->digest_hex,
             info_of(r->val)->digest_hex, info_of(r->test)->digest_hex);
    PULMO_TRY(pulmo_same(r->comm, "the packed data", all));
    pulmo_digest digest = pulmo_digest_of(all, strlen(all));
    pulmo_digest_hex(&digest, r->identity.data_digest);
    char *echo = pulmo_config_echo(r->config);
    if (!echo)
        return pulmo_fail(PULMO_MEMORY, "cannot compare configurations: out of memory");
    pulmo_status status = pulmo_same(r->comm, "the configuration", echo);
    free(echo);
    return status;
}

/* What processes that were killed had begun to write: each may be as large as a checkpoint. */
static void remove_leftovers(const run *r)
{
    static const char *const names[] = {"checkpoint.h5", "config.yaml",   "history.csv",
                                        "model.h5",      "MODEL_CARD.md", "predictions.csv",
                                        "report.html",   "results.h5"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        pulmo_file_remove_leftovers(r->directory, names[i]);
}

/* The run directory: made, and neither finished nor someone else's. Rank 0. */
static pulmo_status prepare_directory(run *r, int overwrite)
{
    PULMO_TRY(pulmo_directory_make(r->directory));
    PULMO_TRY(lease_take(r->directory, &r->lease));
    remove_leftovers(r);
    if (!overwrite && pulmo_results_finished(r->directory))
        return pulmo_fail(PULMO_USAGE,
                          "%s holds a finished run; choose another train.run_dir, or give "
                          "--overwrite to replace it",
                          r->directory);
    return PULMO_OK;
}

/* A run that is to be replaced, once nothing stands against the new one. Rank 0. */
static pulmo_status remove_run(const run *r)
{
    static const char *const files[] = {"checkpoint.h5", "results.h5", "model.h5"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = pulmo_format("%s/%s", r->directory, files[i]);
        if (!path)
            return PULMO_MEMORY;
        remove(path);
        free(path);
    }
    return PULMO_OK;
}

/* After the checkpoint was found to be of this configuration. Rank 0. */
static pulmo_status write_config(const run *r)
{
    char *path = pulmo_format("%s/config.yaml", r->directory), *echo = pulmo_config_echo(r->config);
    pulmo_status status = path && echo ? pulmo_file_write(path, echo, strlen(echo)) : PULMO_MEMORY;
    free(path);
    free(echo);
    return status;
}

/* Parameters as training finds them: pretrained convolutions, a new head. */
static pulmo_status build_state(run *r)
{
    pulmo_tuned_layout_with_head(&r->backbone.tuned, &r->head, &r->layout);
    const pulmo_state_shape shape = {.parameters = r->layout.parameters,
                                     .states = pulmo_optim_states(&r->optim),
                                     .epochs = (uint32_t)r->config->train.epochs,
                                     .keeps_best = is_root(r),
                                     .averages = r->config->optim.ema > 0};
    PULMO_TRY(pulmo_state_create(&shape, &r->state));
    size_t below = pulmo_tuned_parameters(&r->backbone.tuned),
           bytes = r->layout.parameters * sizeof(float);
    pulmo_head_parameters_init(&r->head, (uint64_t)r->config->train.seed,
                               r->state.parameter + below);
    if (below > 0)
        pulmo_tuned_parameters_init(&r->backbone.tuned, &r->backbone.weights, r->state.parameter);
    pulmo_weights_free(&r->backbone.weights);
    if (r->state.average)
        memcpy(r->state.average, r->state.parameter, bytes);
    pulmo_state_keep_best(&r->state);
    return PULMO_OK;
}

/* Refuses what this node cannot hold, before any of it is allocated: Linux promises memory that it
 * does not have, and kills who takes it at its word. */
static pulmo_status check_room(const run *r, const pulmo_stepper_parts *parts)
{
    pulmo_layout layout;
    pulmo_tuned_layout_with_head(&r->backbone.tuned, &r->head, &layout);
    uint64_t ranks = (uint64_t)pulmo_comm_node_size(r->comm), room = pulmo_memory_available_bytes();
    uint64_t copies = 1 + (uint64_t)pulmo_optim_states(&r->optim) + (r->config->optim.ema > 0);
    uint64_t need =
        ranks * (pulmo_stepper_bytes(parts) + copies * layout.parameters * sizeof(float)) +
        layout.parameters * sizeof(float);
    if (need <= room)
        return PULMO_OK;
    return pulmo_fail(PULMO_RUNTIME,
                      "training %zu parameters needs %.0f MB on this node (%llu rank%s) but %.0f "
                      "MB are free or allowed; use smaller "
                      "model.hidden, a smaller train.batch, a higher model.trainable, fewer ranks "
                      "on a node, or raise the memory limit",
                      layout.parameters, (double)need / MB, (unsigned long long)ranks,
                      ranks == 1 ? "" : "s", (double)room / MB);
}

/* A block can join in only above others that have. */
static pulmo_status check_unfreezing(const pulmo_int_list *epochs)
{
    for (int i = 1; i < epochs->count; i++)
        if (epochs->value[i] < epochs->value[i - 1])
            return pulmo_fail(PULMO_CONFIG,
                              "train.unfreeze_epochs: %lld after %lld: must not fall; the first "
                              "number is block5's, and gradients reach "
                              "lower blocks through it",
                              (long long)epochs->value[i], (long long)epochs->value[i - 1]);
    return PULMO_OK;
}

static pulmo_status build_local(run *r)
{
    PULMO_TRY(check_unfreezing(&r->config->train.unfreeze_epochs));
    r->model.config = pulmo_config_binding_lines(r->config);
    if (!r->model.config)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the configuration");
    const pulmo_dataset_info *data = info_of(r->train);
    PULMO_TRY(pulmo_head_from(r->config, &r->backbone, data->classes, &r->head));
    r->fed = from_bank(r) ? pulmo_bank_fed(r->config, &r->backbone, &r->head) : r->head;
    PULMO_TRY(pulmo_class_weights_from(r->config, data, r->class_weights));
    const pulmo_dataset_info *val = info_of(r->val);
    const pulmo_scored on_val = {val->count, val->classes, val->labels, NULL};
    PULMO_TRY(pulmo_positive_from(r->config, data, &r->model.positive));
    PULMO_TRY(
        pulmo_metrics_rule_check(r->config->eval.threshold, &on_val, r->model.positive.index));
    if (r->config->eval.calibration == PULMO_CALIBRATE_TEMPERATURE && val->count == 0)
        return pulmo_fail(PULMO_CONFIG, "eval.calibration: temperature needs a val split to be "
                                        "fitted on; pack with --val-fraction "
                                        "0.15, or set eval.calibration: none");
    r->loss.label_smoothing = r->config->optim.label_smoothing;
    r->loss.class_weights = r->class_weights;
    pulmo_optim_from(r->config, &r->optim);
    const pulmo_stepper_parts parts = {.comm = r->comm,
                                       .backbone = &r->backbone,
                                       .head = &r->fed,
                                       .banked = from_bank(r),
                                       .loss = &r->loss,
                                       .optim = &r->optim,
                                       .data = data,
                                       .config = r->config,
                                       .state = &r->state};
    PULMO_TRY(check_room(r, &parts));
    PULMO_TRY(build_state(r));
    return pulmo_stepper_create(&parts, &r->stepper);
}

static pulmo_status open_loader_local(run *r)
{
    pulmo_augment_spec augment;
    pulmo_loader_spec spec;
    pulmo_augment_from(r->config, &augment);
    PULMO_TRY(pulmo_augment_spec_check(&augment));
    pulmo_loader_spec_init(&spec);
    spec.seed = (uint64_t)r->config->train.seed;
    spec.batch = (uint32_t)r->config->train.batch;
    spec.microbatch = (uint32_t)r->config->train.microbatch;
    spec.rank = pulmo_comm_rank(r->comm);
    spec.size = pulmo_comm_size(r->comm);
    spec.threads = (int)r->config->train.loader_threads;
    spec.depth = 2;
    spec.shuffle = 1;
    spec.augment = &augment;
    const pulmo_loader_source source = {.fill = pulmo_bank_fill,
                                        .context = r->bank,
                                        .floats = r->bank ? pulmo_bank_floats(r->bank) : 0};
    if (r->bank)
        spec.source = &source;
    memcpy(spec.mean, r->backbone.mean, sizeof spec.mean);
    memcpy(spec.std, r->backbone.std, sizeof spec.std);
    return pulmo_loader_create(r->train, &spec, &r->loader);
}

/* The names and preprocessing that model.h5 carries; parameters are pointed at when written. */
static void describe_model(run *r)
{
    const pulmo_dataset_info *data = info_of(r->train);
    pulmo_model *model = &r->model;
    model->head = r->head;
    pulmo_head_layout_of(&r->head, &model->layout);
    model->tuned = r->backbone.tuned;
    model->storage = r->state.best;
    model->parameters = r->state.best + pulmo_tuned_parameters(&model->tuned);
    model->size_px = data->height_px;
    memcpy(model->mean, r->backbone.mean, sizeof model->mean);
    memcpy(model->std, r->backbone.std, sizeof model->std);
    model->classes = data->classes;
    model->class_names = (char **)(uintptr_t)data->class_names; /* borrowed, not written through */
    /* A rule is applied to the finished model. */
    model->threshold = 0.5;
    bool given = pulmo_metrics_rule_given(r->config->eval.threshold, &model->threshold);
    snprintf(model->threshold_rule, sizeof model->threshold_rule, "%s",
             given ? r->config->eval.threshold : "0.5");
    model->temperature = 1;
    model->is_demo = data->is_demo;
    model->tta = (int)r->config->eval.tta;
    snprintf(model->preprocessing, sizeof model->preprocessing, "%s",
             pulmo_preprocessing_name(r->backbone.preprocessing));
    memcpy(model->weights_digest, r->identity.weights_digest, sizeof model->weights_digest);
    snprintf(model->isa, sizeof model->isa, "%s", pulmo_isa_name(r->backbone.isa));
}

static void announce_positive(const run *r)
{
    const pulmo_positive *positive = &r->model.positive;
    const char *name = info_of(r->train)->class_names[positive->index];
    if (positive->by != PULMO_POSITIVE_ORDER)
        pulmo_info("positive class: %s", name);
    else if (is_root(r))
        pulmo_warn("no name tells which class is the finding: %s, the last, is taken as positive; "
                   "model.positive_class: NAME tells it",
                   name);
}

static void announce(const run *r)
{
    const pulmo_dataset_info *data = info_of(r->train);
    const pulmo_config *config = r->config;
    const pulmo_stepper_parts parts = {.comm = r->comm,
                                       .backbone = &r->backbone,
                                       .head = &r->fed,
                                       .config = config,
                                       .banked = from_bank(r)};
    double head_mb = (double)r->layout.parameters * sizeof(float) * (2 + r->state.states) / MB;
    double mine_mb =
        ((double)pulmo_stepper_bytes(&parts) + (double)r->backbone.arena_bytes) / MB + head_mb;
    pulmo_info("pulmo %s: %s%u train, %u val, %u test images of %d classes, %d x %d x %d",
               PULMO_VERSION, data->is_demo ? "DEMO data (drawn, not medical): " : "", data->count,
               info_of(r->val)->count, info_of(r->test)->count, data->classes, data->height_px,
               data->width_px, data->channels);
    pulmo_info("%d rank%s on %d node%s, %d thread%s each; %s kernels, OpenBLAS %s; %s",
               pulmo_comm_size(r->comm), pulmo_comm_size(r->comm) == 1 ? "" : "s",
               pulmo_comm_nodes(r->comm), pulmo_comm_nodes(r->comm) == 1 ? "" : "s",
               r->backbone.threads, r->backbone.threads == 1 ? "" : "s",
               pulmo_isa_name(r->backbone.isa), r->backbone.blas, pulmo_cpu_model());
    if (data->classes == 2)
        announce_positive(r);
    int64_t microbatches =
                (config->train.batch + config->train.microbatch - 1) / config->train.microbatch,
            ranks = pulmo_comm_size(r->comm);
    if (ranks > microbatches && is_root(r))
        pulmo_warn("a batch of %lld images has %lld microbatches of %lld: %lld of the %lld ranks "
                   "have no part in "
                   "it; use fewer ranks with more "
                   "threads each, or a larger train.batch or smaller train.microbatch, which "
                   "change the model",
                   (long long)config->train.batch, (long long)microbatches,
                   (long long)config->train.microbatch, (long long)(ranks - microbatches),
                   (long long)ranks);
    size_t below = pulmo_tuned_parameters(&r->backbone.tuned);
    pulmo_info("memory: %.0f MB shared a node, %.0f MB a rank besides; head of %zu parameters",
               (double)r->backbone.packed_bytes / MB, mine_mb, r->layout.parameters - below);
    if (below > 0)
        pulmo_info("trained with it: %d convolutions from features.%d up, %zu parameters",
                   r->backbone.tuned.layers, r->backbone.tuned.layer[0].feature_index, below);
}

static pulmo_status open_bank(run *r)
{
    const pulmo_bank_parts parts = {
        .comm = r->comm,
        .config = r->config,
        .backbone = &r->backbone,
        .head = &r->head,
        .dataset = {
            [PULMO_BANK_TRAIN] = r->train, [PULMO_BANK_VAL] = r->val, [PULMO_BANK_TEST] = r->test}};
    PULMO_TRY(pulmo_bank_open(&parts, &r->bank));
    bool half = r->config->bank.precision == PULMO_PRECISION_HALF;
    snprintf(r->identity.features, sizeof r->identity.features,
             "from a bank of %u augmented views of each image, in %s precision (key %.16s)",
             pulmo_bank_views(r->bank, PULMO_BANK_TRAIN), half ? "half" : "single",
             pulmo_bank_key(r->bank, PULMO_BANK_TRAIN));
    return PULMO_OK;
}

pulmo_status run_features(run *r, pulmo_bank_split split, pulmo_feature_store **out)
{
    pulmo_dataset *dataset = split == PULMO_BANK_VAL ? r->val : r->test;
    pulmo_view_spec views;
    const pulmo_feature_source source = {.dataset = dataset,
                                         .backbone = &r->backbone,
                                         .views = &views,
                                         .directory = r->directory,
                                         .label = split == PULMO_BANK_VAL ? "  val features"
                                                                          : "  test features"};
    pulmo_views_from(r->config, &views);
    if (info_of(dataset)->count == 0)
        return PULMO_OK;
    if (r->bank)
        return pulmo_feature_store_of_bank(r->comm, r->bank, split, info_of(dataset)->count, out);
    return pulmo_feature_store_create(r->comm, &source, out);
}

pulmo_status run_open(run *r, int overwrite)
{
    pulmo_comm *comm = r->comm;
    PULMO_TRY(pulmo_agree(comm, open_data_local(r)));
    PULMO_TRY(check_data_same(r));
    PULMO_TRY(pulmo_agree(comm, is_root(r) ? prepare_directory(r, overwrite) : PULMO_OK));
    const pulmo_weights_choice choice = pulmo_weights_choice_from(r->config);
    PULMO_TRY(pulmo_backbone_open_cut(comm, &choice, info_of(r->train)->height_px,
                                      (int)r->config->train.threads,
                                      pulmo_frozen_blocks_from(r->config), &r->backbone));
    r->backbone_open = true;
    pulmo_digest_hex(&r->backbone.weights_digest, r->identity.weights_digest);
    r->identity.config = r->config;
    r->identity.isa = pulmo_isa_name(r->backbone.isa);
    r->identity.blas = r->backbone.blas;
    snprintf(r->identity.features, sizeof r->identity.features, "fresh augmentations every epoch");
    PULMO_TRY(pulmo_agree(comm, build_local(r)));
    describe_model(r);
    r->checkpoint_path = pulmo_format("%s/checkpoint.h5", r->directory);
    PULMO_TRY(pulmo_agree(comm, r->checkpoint_path ? PULMO_OK : PULMO_MEMORY));
    if (overwrite)
        PULMO_TRY(pulmo_agree(comm, is_root(r) ? remove_run(r) : PULMO_OK));
    PULMO_TRY(run_resume(r));
    PULMO_TRY(pulmo_agree(comm, is_root(r) ? write_config(r) : PULMO_OK));
    announce(r);
    PULMO_TRY(pulmo_agree(comm, pulmo_watch_start(comm, r->config->train.stall_seconds)));
    if (from_bank(r))
        PULMO_TRY(open_bank(r));
    PULMO_TRY(pulmo_agree(comm, open_loader_local(r)));
    if (!r->timed)
        PULMO_TRY(run_features(r, PULMO_BANK_VAL, &r->val_features));
    r->checkpoint_s = pulmo_now_s();
    return PULMO_OK;
}

void run_close(run *r)
{
    pulmo_watch_stop(r->comm);
    pulmo_free(r->val_scores.logits);
    pulmo_free(r->val_scores.probabilities);
    pulmo_free(r->test_scores.logits);
    pulmo_free(r->test_scores.probabilities);
    pulmo_feature_store_destroy(r->val_features);
    pulmo_stepper_destroy(r->stepper);
    pulmo_loader_destroy(r->loader);
    pulmo_bank_close(r->bank);
    pulmo_state_free(&r->state);
    if (r->backbone_open)
        pulmo_backbone_close(&r->backbone);
    pulmo_dataset_close(r->train);
    pulmo_dataset_close(r->val);
    pulmo_dataset_close(r->test);
    free(r->checkpoint_path);
    free(r->model.config);
    free(r);
}
