/* Opening and closing a training run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/interrupt.h"
#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "run.h"

/* ---- data ---- */

pulmo_status run_open_data_local(run *r)
{
    const char *path = r->config->data.path;
    if (!*path)
        return pulmo_fail(PULMO_CONFIG,
                          "data.path is not set; give the directory that \"pulmo pack\" wrote, in "
                          "the configuration or as --set data.path=DIR");
    if (!*r->directory)
        return pulmo_fail(PULMO_CONFIG,
                          "train.run_dir is not set; give the directory for the results, in the "
                          "configuration or as --set train.run_dir=DIR");
    int fold = (int)r->config->data.fold;
    PULMO_TRY(pulmo_dataset_open_fold(path, fold, "train", 0, &r->data.train));
    PULMO_TRY(pulmo_dataset_open_fold(path, fold, "val", 1, &r->data.val));
    PULMO_TRY(pulmo_dataset_open_fold(path, fold, "test", 1, &r->data.test));
    return run_check_splits(r);
}

void run_close_data(run *r)
{
    pulmo_dataset_close(r->data.train);
    pulmo_dataset_close(r->data.val);
    pulmo_dataset_close(r->data.test);
}

/* All ranks read the same data; its digest becomes part of the run's identity. */
static pulmo_status check_data_same(run *r)
{
    const char *const of_splits[] = {train_info(r)->digest_hex, val_info(r)->digest_hex,
                                     test_info(r)->digest_hex};
    pulmo_dataset_digest(of_splits, r->identity.data_digest);
    return pulmo_same(r->comm, "the packed data", r->identity.data_digest);
}

static pulmo_status check_config_same(run *r)
{
    char *echo = pulmo_config_echo(r->config);
    pulmo_status status = PULMO_OK;
    if (!echo)
        status = pulmo_fail(PULMO_MEMORY, "cannot compare configurations: out of memory");
    status = pulmo_agree(r->comm, status);
    if (status == PULMO_OK)
        status = pulmo_same(r->comm, "the configuration", echo);
    free(echo);
    return status;
}

/* Another pack would be trained on for nothing. */
static pulmo_status check_recorded_data(const run *r)
{
    if (!r->record)
        return PULMO_OK;
    return record_check_data(r->record, r->identity.data_digest, r->config->data.path);
}

static pulmo_status check_recorded_weights(const run *r)
{
    if (!r->record)
        return PULMO_OK;
    const char *preprocessing = pulmo_preprocessing_name(r->network.backbone.preprocessing);
    return record_check_weights(r->record, r->identity.weights_digest, preprocessing);
}

static pulmo_status check_recorded_start(const run *r)
{
    return r->record ? record_check_start(r->record, r->identity.start_digest) : PULMO_OK;
}

/* ---- the network and its training ---- */

/* Parameters as training finds them: pretrained convolutions, a new head. */
static pulmo_status build_state(run *r)
{
    run_network *network = &r->network;
    pulmo_backbone *backbone = &network->backbone;
    pulmo_state *state = &r->state;
    const pulmo_state_shape shape = run_state_shape(r);
    PULMO_TRY(pulmo_state_create(&shape, state));
    size_t below = pulmo_tuned_parameters(&backbone->tuned);
    uint64_t seed = (uint64_t)r->config->train.seed;
    pulmo_head_parameters_init(&network->head, seed, state->parameter + below);
    if (below > 0)
        pulmo_tuned_parameters_init(&backbone->tuned, &backbone->weights, state->parameter);
    pulmo_weights_free(&backbone->weights);
    if (state->average)
        memcpy(state->average, state->parameter, shape.parameters * sizeof(float));
    uint32_t epochs = (uint32_t)r->config->train.epochs;
    PULMO_TRY(trail_create(&network->layout, is_root(r) ? epochs : 0, &r->trail));
    return selection_create(state, epochs, is_root(r), &r->selection);
}

/* What is trained, loss and optimiser as configured. */
static pulmo_status build_recipe(run *r)
{
    run_network *network = &r->network;
    run_recipe *recipe = &r->recipe;
    const pulmo_dataset_info *train = train_info(r);
    PULMO_TRY(pulmo_head_from(r->config, &network->backbone, train->classes, &network->head));
    pulmo_tuned_layout_with_head(&network->backbone.tuned, &network->head, &network->layout);
    network->trained_head = network->head;
    if (run_from_bank(r))
        network->trained_head = pulmo_bank_fed(r->config, &network->backbone, &network->head);
    PULMO_TRY(pulmo_class_weights_from(r->config, train, recipe->class_weights));
    recipe->loss.label_smoothing = r->config->optim.label_smoothing;
    recipe->loss.class_weights = recipe->class_weights;
    pulmo_optim_from(r->config, &recipe->optim);
    return PULMO_OK;
}

static pulmo_status build_local(run *r)
{
    PULMO_TRY(pulmo_positive_from(r->config, train_info(r), &r->model.positive));
    PULMO_TRY(run_check_config(r));
    PULMO_TRY(build_recipe(r));
    const pulmo_stepper_parts parts = run_stepper_parts(r);
    PULMO_TRY(run_check_memory(r, &parts));
    PULMO_TRY(build_state(r));
    return pulmo_stepper_create(&parts, &r->stepper);
}

/* Features computed from new augmentations, as long as no bank is opened. */
static void describe_identity(run *r)
{
    const pulmo_backbone *backbone = &r->network.backbone;
    run_identity *identity = &r->identity;
    pulmo_digest_hex(&backbone->weights_digest, identity->weights_digest);
    identity->config = r->config;
    snprintf(identity->features, sizeof identity->features, "fresh augmentations every epoch");
}

/* A threshold that is given holds at once; a rule is applied to the finished model. */
static void describe_threshold(run *r)
{
    pulmo_model *model = &r->model;
    const char *rule = r->config->eval.threshold;
    model->threshold = 0.5;
    bool given = pulmo_metrics_rule_given(rule, &model->threshold);
    snprintf(model->threshold_rule, sizeof model->threshold_rule, "%s", given ? rule : "0.5");
}

/* The names and preprocessing that model.h5 carries; parameters are those of the best epoch. */
static void describe_model(run *r)
{
    const pulmo_dataset_info *data = train_info(r);
    const pulmo_backbone *backbone = &r->network.backbone;
    pulmo_model *model = &r->model;
    pulmo_view_spec views;
    model->head = r->network.head;
    pulmo_head_layout_of(&model->head, &model->layout);
    model->tuned = backbone->tuned;
    model->storage = r->selection.best.parameters;
    model->parameters = model->storage + pulmo_tuned_parameters(&model->tuned);
    model->size_px = data->height_px;
    model->framing = data->framing;
    model->hides_names = data->hides_names;
    memcpy(model->mean, backbone->mean, sizeof model->mean);
    memcpy(model->std, backbone->std, sizeof model->std);
    model->classes = data->classes;
    model->class_names = (char **)(uintptr_t)data->class_names; /* borrowed, not written through */
    describe_threshold(r);
    model->temperature = 1;
    model->is_demo = data->is_demo;
    pulmo_views_from(r->config, &views);
    model->tta = views.views;
    const char *preprocessing = pulmo_preprocessing_name(backbone->preprocessing);
    snprintf(model->preprocessing, sizeof model->preprocessing, "%s", preprocessing);
    memcpy(model->weights_digest, r->identity.weights_digest, sizeof model->weights_digest);
}

static pulmo_status open_writer(run *r)
{
    const writer_parts parts = {.path = r->checkpoints.path,
                                .identity = &r->identity,
                                .lease = r->lease,
                                .shape = run_state_shape(r),
                                .layout = &r->network.layout,
                                .epochs = (uint32_t)r->config->train.epochs};
    return run_writes(r) ? writer_create(&parts, &r->checkpoints.writer) : PULMO_OK;
}

/* What is known of the model before any of it is trained. */
static pulmo_status prepare_local(run *r)
{
    PULMO_TRY(build_local(r));
    describe_model(r);
    r->model.config = pulmo_config_binding_lines(r->config);
    if (!r->model.config)
        return pulmo_fail(PULMO_MEMORY, "cannot keep the configuration: out of memory");
    r->checkpoints.path = pulmo_format("%s/checkpoint.h5", r->directory);
    return r->checkpoints.path ? open_writer(r) : PULMO_MEMORY;
}

/* ---- features and batches ---- */

static pulmo_status open_bank(run *r)
{
    const pulmo_bank_parts parts = {.comm = r->comm,
                                    .config = r->config,
                                    .backbone = &r->network.backbone,
                                    .head = &r->network.head,
                                    .dataset = {[PULMO_BANK_TRAIN] = r->data.train,
                                                [PULMO_BANK_VAL] = r->data.val,
                                                [PULMO_BANK_TEST] = r->data.test}};
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
    bool is_val = split == PULMO_BANK_VAL;
    pulmo_dataset *dataset = is_val ? r->data.val : r->data.test;
    uint32_t images = info_of(dataset)->count;
    pulmo_view_spec views;
    const pulmo_feature_source source = {.dataset = dataset,
                                         .backbone = &r->network.backbone,
                                         .views = &views,
                                         .directory = r->directory,
                                         .label = is_val ? "  val features" : "  test features"};
    pulmo_views_from(r->config, &views);
    if (images == 0)
        return PULMO_OK;
    if (r->bank)
        return pulmo_feature_store_of_bank(r->comm, r->bank, split, images, out);
    return pulmo_feature_store_create(r->comm, &source, out);
}

static pulmo_status open_loader_local(run *r)
{
    const pulmo_backbone *backbone = &r->network.backbone;
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
    spec.shuffle = true;
    spec.augment = &augment;
    const pulmo_loader_source source = {.fill = pulmo_bank_fill,
                                        .context = r->bank,
                                        .floats = r->bank ? pulmo_bank_floats(r->bank) : 0};
    if (r->bank)
        spec.source = &source;
    memcpy(spec.mean, backbone->mean, sizeof spec.mean);
    memcpy(spec.std, backbone->std, sizeof spec.std);
    return pulmo_loader_create(r->data.train, &spec, &r->loader);
}

/* ---- all of it ---- */

static pulmo_status open_network(run *r)
{
    const pulmo_weights_choice choice = pulmo_weights_choice_from(r->config);
    int size_px = train_info(r)->height_px;
    int threads = (int)r->config->train.threads;
    pulmo_backbone_cut cut;
    PULMO_TRY(pulmo_agree(r->comm, pulmo_backbone_cut_from(r->config, &cut)));
    PULMO_TRY(
        pulmo_backbone_open_cut(r->comm, &choice, size_px, threads, &cut, &r->network.backbone));
    r->network.open = true;
    describe_identity(r);
    PULMO_TRY(pulmo_agree(r->comm, check_recorded_weights(r)));
    PULMO_TRY(pulmo_agree(r->comm, prepare_local(r)));
    PULMO_TRY(run_start_from(r));
    return pulmo_agree(r->comm, check_recorded_start(r));
}

/* Resumes, and writes config.yaml; a run that replaces another begins anew and touches nothing yet
 * (run_checkpoint). */
static pulmo_status take_up(run *r)
{
    if (r->replaces)
        return PULMO_OK;
    PULMO_TRY(run_resume(r));
    return pulmo_agree(r->comm, is_root(r) ? run_write_config(r) : PULMO_OK);
}

pulmo_status run_create(pulmo_comm *comm, const pulmo_config *config, run **out)
{
    pulmo_status status = PULMO_OK;
    run *r = pulmo_calloc_agreed(comm, sizeof *r, "cannot allocate the run", &status);
    if (!r)
        return status;
    r->comm = comm;
    r->config = config;
    r->directory = config->train.run_dir;
    pulmo_interrupt_listen();
    *out = r;
    return PULMO_OK;
}

/* Where a run is reproduced, its packed data may have moved since. */
static pulmo_status open_data(run *r)
{
    pulmo_status status = run_open_data_local(r);
    if (status == PULMO_OK || !r->record)
        return status;
    return pulmo_fail_in(status, "%s: its data cannot be opened (--data gives another place)",
                         r->record->run);
}

pulmo_status run_open(run *r, bool overwrite)
{
    pulmo_comm *comm = r->comm;
    PULMO_TRY(pulmo_agree(comm, open_data(r)));
    PULMO_TRY(check_data_same(r));
    PULMO_TRY(check_config_same(r));
    PULMO_TRY(pulmo_agree(comm, check_recorded_data(r)));
    r->anew = overwrite;
    r->replaces = overwrite;
    PULMO_TRY(pulmo_agree(comm, is_root(r) ? run_prepare_directory(r) : PULMO_OK));
    PULMO_TRY(open_network(r));
    PULMO_TRY(take_up(r));
    run_announce(r);
    PULMO_TRY(pulmo_agree(
        comm, pulmo_watch_start(comm, r->config->train.stall_seconds, "train.stall_seconds")));
    if (run_from_bank(r))
        PULMO_TRY(open_bank(r));
    PULMO_TRY(pulmo_agree(comm, open_loader_local(r)));
    if (!r->timed)
        PULMO_TRY(run_features(r, PULMO_BANK_VAL, &r->scores.val_features));
    r->checkpoints.begun_s = pulmo_now_s();
    return PULMO_OK;
}

static void free_scores(run_scores *scores)
{
    pulmo_free(scores->val.logits);
    pulmo_free(scores->val.probabilities);
    pulmo_free(scores->test.logits);
    pulmo_free(scores->test.probabilities);
    pulmo_feature_store_destroy(scores->val_features);
}

void run_close(run *r)
{
    writer_destroy(r->checkpoints.writer); /* what is under way is written */
    pulmo_watch_stop(r->comm);
    free_scores(&r->scores);
    pulmo_audit_free(&r->audit);
    pulmo_stepper_destroy(r->stepper);
    pulmo_loader_destroy(r->loader);
    pulmo_bank_close(r->bank);
    trail_free(&r->trail);
    selection_free(&r->selection);
    pulmo_state_free(&r->state);
    if (r->network.open)
        pulmo_backbone_close(&r->network.backbone);
    run_close_data(r);
    free(r->checkpoints.path);
    free(r->model.config);
    free(r);
}
