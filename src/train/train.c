/* Training: the epoch loop, from a checkpoint or from the start, to results. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "interrupt.h"
#include "pulmo/clock.h"
#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "train.h"

#define MB (1024.0 * 1024.0)

/* All that a run holds, in the order in which it is made. */
typedef struct run {
    pulmo_comm *comm;
    const pulmo_config *config;
    const char *directory;
    pulmo_dataset *train, *val, *test;
    pulmo_backbone backbone;
    bool backbone_open;
    pulmo_head_spec head;
    pulmo_head_layout layout;
    pulmo_optim_spec optim;
    pulmo_loss_spec loss;
    float class_weights[PULMO_CLASSES_MAX];
    run_state state;
    run_identity identity;
    pulmo_loader *loader;
    stepper *stepper;
    pulmo_head *scorer;      /* a head on the current parameters, for validation */
    feature_store *val_features;
    split_scores val_scores, test_scores;
    pulmo_model model;
    char *checkpoint_path;
    double checkpoint_s;     /* when the last one was written */
    double epoch_began_s;
} run;

static const pulmo_dataset_info *info_of(const pulmo_dataset *dataset) { return pulmo_dataset_info_of(dataset); }
static bool is_root(const run *r) { return pulmo_comm_rank(r->comm) == 0; }

/* ---- opening ---- */

static pulmo_status check_splits(const run *r)
{
    const pulmo_dataset_info *train = info_of(r->train), *val = info_of(r->val), *test = info_of(r->test);
    if (train->count == 0)
        return pulmo_fail(PULMO_DATA, "%s: the train split is empty; pack a source with images", r->config->data.path);
    if (train->height_px != train->width_px)
        return pulmo_fail(PULMO_DATA, "%s: images are %d x %d; must be square", r->config->data.path, train->height_px,
                          train->width_px);
    if (val->count == 0 && r->config->train.patience > 0)
        return pulmo_fail(PULMO_CONFIG,
                          "%s has no val split, which early stopping and keeping the best epoch need; pack with "
                          "--val-fraction 0.15, or set train.patience: 0 to keep the last epoch",
                          r->config->data.path);
    if ((val->count && val->classes != train->classes) || (test->count && test->classes != train->classes))
        return pulmo_fail(PULMO_DATA, "%s: the splits have different classes; pack again", r->config->data.path);
    return PULMO_OK;
}

static pulmo_status open_data_local(run *r)
{
    const char *path = r->config->data.path;
    if (!*path)
        return pulmo_fail(PULMO_CONFIG, "data.path is not set; give the directory that \"pulmo pack\" wrote, in the "
                                        "configuration or as --set data.path=DIR");
    if (!*r->directory)
        return pulmo_fail(PULMO_CONFIG, "train.run_dir is not set; give the directory for the results, in the "
                                        "configuration or as --set train.run_dir=DIR");
    PULMO_TRY(pulmo_dataset_open(path, "train", 0, &r->train));
    PULMO_TRY(pulmo_dataset_open(path, "val", 1, &r->val));
    PULMO_TRY(pulmo_dataset_open(path, "test", 1, &r->test));
    return check_splits(r);
}

static pulmo_status check_data_same(run *r)
{
    char all[3 * PULMO_DIGEST_HEX];
    snprintf(all, sizeof all, "%s %s %s", info_of(r->train)->digest_hex, info_of(r->val)->digest_hex,
             info_of(r->test)->digest_hex);
    PULMO_TRY(pulmo_same(r->comm, "the packed data", all));
    pulmo_digest digest = pulmo_digest_of(all, strlen(all));
    pulmo_digest_hex(&digest, r->identity.data_digest);
    char *echo = pulmo_config_echo(r->config);
    if (!echo) return pulmo_fail(PULMO_MEMORY, "cannot compare configurations: out of memory");
    pulmo_status status = pulmo_same(r->comm, "the configuration", echo);
    free(echo);
    return status;
}

/* The run directory: made, and neither finished nor someone else's. Rank 0. */
static pulmo_status prepare_directory(const run *r, int overwrite)
{
    PULMO_TRY(pulmo_directory_make(r->directory));
    if (!overwrite && results_finished(r->directory))
        return pulmo_fail(PULMO_USAGE,
                          "%s holds a finished run; choose another train.run_dir, or give --overwrite to replace it",
                          r->directory);
    if (overwrite) {
        static const char *const files[] = {"checkpoint.h5", "results.h5", "model.h5"};
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
            char *path = pulmo_format("%s/%s", r->directory, files[i]);
            if (!path) return PULMO_MEMORY;
            remove(path);
            free(path);
        }
    }
    char *path = pulmo_format("%s/config.yaml", r->directory), *echo = pulmo_config_echo(r->config);
    pulmo_status status = path && echo ? pulmo_file_write(path, echo, strlen(echo)) : PULMO_MEMORY;
    free(path);
    free(echo);
    return status;
}

static pulmo_status build_local(run *r)
{
    const pulmo_dataset_info *data = info_of(r->train);
    PULMO_TRY(head_from(r->config, &r->backbone, data->classes, &r->head));
    PULMO_TRY(class_weights_from(r->config, data, r->class_weights));
    const pulmo_dataset_info *val = info_of(r->val);
    PULMO_TRY(pulmo_metrics_rule_check(r->config->eval.threshold, val->count, val->classes, val->labels));
    r->loss.label_smoothing = r->config->optim.label_smoothing;
    r->loss.class_weights = r->class_weights;
    optim_from(r->config, &r->optim);
    pulmo_head_layout_of(&r->head, &r->layout);
    PULMO_TRY(run_state_create(r->layout.parameters, pulmo_optim_states(&r->optim), (uint32_t)r->config->train.epochs,
                               &r->state));
    pulmo_head_parameters_init(&r->head, (uint64_t)r->config->train.seed, r->state.parameter);
    memcpy(r->state.best, r->state.parameter, r->layout.parameters * sizeof(float));
    const stepper_parts parts = {.comm = r->comm, .backbone = &r->backbone, .head = &r->head, .loss = &r->loss,
                                 .optim = &r->optim, .data = data, .config = r->config, .state = &r->state};
    PULMO_TRY(stepper_create(&parts, &r->stepper));
    return pulmo_head_create(&r->head, &r->loss, (int)r->config->train.slot, 1, r->state.parameter, &r->scorer);
}

static pulmo_status open_loader_local(run *r)
{
    pulmo_augment_spec augment;
    pulmo_loader_spec spec;
    augment_from(r->config, &augment);
    PULMO_TRY(pulmo_augment_spec_check(&augment));
    pulmo_loader_spec_init(&spec);
    spec.seed = (uint64_t)r->config->train.seed;
    spec.batch = (uint32_t)r->config->train.batch;
    spec.slot = (uint32_t)r->config->train.slot;
    spec.rank = pulmo_comm_rank(r->comm);
    spec.size = pulmo_comm_size(r->comm);
    spec.threads = (int)r->config->train.loader_threads;
    spec.depth = 2;
    spec.shuffle = 1;
    spec.augment = &augment;
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
    model->layout = r->layout;
    model->parameters = r->state.best;
    model->size_px = data->height_px;
    memcpy(model->mean, r->backbone.mean, sizeof model->mean);
    memcpy(model->std, r->backbone.std, sizeof model->std);
    model->classes = data->classes;
    model->class_names = (char **)(uintptr_t)data->class_names; /* borrowed, not written through */
    snprintf(model->threshold_rule, sizeof model->threshold_rule, "%s", r->config->eval.threshold);
    model->threshold = 0.5;
    model->is_demo = data->is_demo;
    memcpy(model->weights_digest, r->identity.weights_digest, sizeof model->weights_digest);
    snprintf(model->isa, sizeof model->isa, "%s", pulmo_isa_name(r->backbone.isa));
}

static void announce(const run *r)
{
    const pulmo_dataset_info *data = info_of(r->train);
    const pulmo_config *config = r->config;
    const stepper_parts parts = {.comm = r->comm, .head = &r->head, .config = config};
    double head_mb = (double)r->layout.parameters * sizeof(float) * (2 + r->state.states) / MB;
    double mine_mb = ((double)stepper_bytes(&parts) + (double)r->backbone.arena_bytes) / MB + head_mb;
    pulmo_info("pulmo %s: %s%u train, %u val, %u test images of %d classes, %d x %d x %d", PULMO_VERSION,
               data->is_demo ? "DEMO data (drawn, not medical): " : "", data->count, info_of(r->val)->count,
               info_of(r->test)->count, data->classes, data->height_px, data->width_px, data->channels);
    pulmo_info("%d rank%s on %d node%s, %d thread%s each; %s kernels, OpenBLAS %s; %s", pulmo_comm_size(r->comm),
               pulmo_comm_size(r->comm) == 1 ? "" : "s", pulmo_comm_nodes(r->comm),
               pulmo_comm_nodes(r->comm) == 1 ? "" : "s", r->backbone.threads, r->backbone.threads == 1 ? "" : "s",
               pulmo_isa_name(r->backbone.isa), r->backbone.blas, pulmo_cpu_model());
    pulmo_info("memory: %.0f MB shared a node, %.0f MB a rank besides; head of %zu parameters",
               (double)r->backbone.packed_bytes / MB, mine_mb, r->layout.parameters);
}

/* ---- checkpoints ---- */

static bool checkpoint_due(const run *r)
{
    double seconds = r->config->train.checkpoint_seconds;
    int64_t batches = r->config->train.checkpoint_batches;
    bool by_time = is_root(r) && seconds > 0 && pulmo_now_s() - r->checkpoint_s >= seconds;
    return by_time || (batches > 0 && r->state.step > 0 && r->state.step % (uint64_t)batches == 0);
}

/* Collective. */
static pulmo_status write_checkpoint(run *r)
{
    pulmo_status status = PULMO_OK;
    pulmo_watch_beat(r->comm, "writing a checkpoint");
    if (is_root(r)) status = checkpoint_write(r->checkpoint_path, &r->identity, &r->state);
    r->checkpoint_s = pulmo_now_s();
    return pulmo_agree(r->comm, status);
}

/* Sends rank 0's state to all. */
static pulmo_status share_state(run *r)
{
    run_state *state = &r->state;
    run_state copy = *state;
    PULMO_TRY(pulmo_bcast(r->comm, &copy, sizeof copy, 0));
    copy.parameter = state->parameter; /* the pointers are each rank's own */
    copy.best = state->best;
    copy.history = state->history;
    memcpy(copy.optim, state->optim, sizeof copy.optim);
    *state = copy;
    size_t bytes = state->parameters * sizeof(float);
    PULMO_TRY(pulmo_bcast(r->comm, state->parameter, bytes, 0));
    PULMO_TRY(pulmo_bcast(r->comm, state->best, bytes, 0));
    for (int k = 0; k < state->states; k++) PULMO_TRY(pulmo_bcast(r->comm, state->optim[k], bytes, 0));
    return pulmo_bcast(r->comm, state->history, state->history_rows * sizeof *state->history, 0);
}

static pulmo_status resume(run *r)
{
    struct stat about;
    pulmo_status status = PULMO_OK;
    int found = 0;
    if (is_root(r) && stat(r->checkpoint_path, &about) == 0) {
        found = 1;
        status = checkpoint_read(r->checkpoint_path, &r->identity, &r->state);
    }
    PULMO_TRY(pulmo_agree(r->comm, status));
    if (!pulmo_any(r->comm, found)) return PULMO_OK;
    PULMO_TRY(share_state(r));
    pulmo_info("going on from %s: epoch %u, batch %u", r->checkpoint_path, r->state.epoch + 1, r->state.batch + 1);
    return PULMO_OK;
}

/* ---- epochs ---- */

static pulmo_status interrupted(run *r)
{
    PULMO_TRY(write_checkpoint(r));
    return pulmo_fail(PULMO_INTERRUPTED, "interrupted in epoch %u after %u batches; checkpoint written to %s; run the "
                                         "same command again to go on",
                      r->state.epoch + 1, r->state.batch, r->checkpoint_path);
}

static void show_progress(run *r, pulmo_progress *progress)
{
    char note[48];
    const epoch_sums *sums = &r->state.sums;
    snprintf(note, sizeof note, "loss %.4f", sums->weight > 0 ? sums->loss / sums->weight : NAN);
    pulmo_progress_update(progress, (double)sums->count, note);
}

static pulmo_status train_batches(run *r)
{
    uint32_t batches = pulmo_batches(info_of(r->train)->count, (uint32_t)r->config->train.batch);
    uint32_t already = r->state.batch;
    pulmo_progress progress;
    pulmo_progress_begin(&progress, "  train", "img", info_of(r->train)->count);
    progress.skipped = (double)r->state.sums.count;
    for (uint32_t b = already; b < batches; b++) {
        pulmo_batch batch;
        pulmo_status status = pulmo_loader_next(r->loader, &batch);
        step_wishes wishes = {.interrupted = interrupt_wanted(), .checkpoint = b > already && checkpoint_due(r)};
        PULMO_TRY(stepper_take(r->stepper, status, &batch, &wishes));
        if (wishes.interrupted) return interrupted(r);
        if (wishes.checkpoint) {
            PULMO_TRY(write_checkpoint(r));
            PULMO_TRY(stepper_release(r->stepper));
        }
        pulmo_watch_beat(r->comm, "training");
        show_progress(r, &progress);
    }
    PULMO_TRY(stepper_finish(r->stepper));
    pulmo_progress_end(&progress);
    return PULMO_OK;
}

static double log_loss_of(const run *r, const pulmo_dataset_info *info, const float *logits)
{
    double sum = 0, weights = 0;
    for (uint32_t i = 0; i < info->count; i++) {
        double weight = 0;
        sum += pulmo_cross_entropy(&r->loss, info->classes, logits + (size_t)i * (size_t)info->classes,
                                   info->labels[i], &weight);
        weights += weight;
    }
    return weights > 0 ? sum / weights : NAN;
}

/* Turns logits (kept) into scores of a split. */
static pulmo_status set_scores(split_scores *scores, const char *split, const pulmo_dataset_info *info, float *logits)
{
    pulmo_free(scores->logits);
    pulmo_free(scores->probabilities);
    scores->split = split;
    scores->info = info;
    scores->logits = logits;
    scores->probabilities = pulmo_alloc((size_t)info->count * (size_t)info->classes + 1, sizeof(float));
    if (!scores->probabilities) return PULMO_MEMORY;
    pulmo_softmax((int)info->count, info->classes, logits, scores->probabilities);
    return PULMO_OK;
}

/* Scores val with the parameters as they are and fills the epoch's row. Collective. */
static pulmo_status validate(run *r, epoch_row *row)
{
    const pulmo_dataset_info *info = info_of(r->val);
    pulmo_metrics metrics;
    float *logits = NULL;
    row->val_loss = row->val_accuracy = row->val_auc = NAN;
    if (info->count == 0) return PULMO_OK;
    PULMO_TRY(feature_store_logits(r->comm, r->val_features, r->scorer, info->classes, &logits));
    PULMO_TRY(set_scores(&r->val_scores, "val", info, logits));
    row->val_loss = log_loss_of(r, info, logits);
    PULMO_TRY(pulmo_agree(r->comm, pulmo_metrics_compute(info->count, info->classes, info->labels,
                                                         r->val_scores.probabilities, 0.5, &metrics)));
    row->val_accuracy = metrics.accuracy;
    row->val_auc = metrics.auc;
    pulmo_metrics_free(&metrics);
    return PULMO_OK;
}

static double monitored(const run *r, const epoch_row *row)
{
    if (r->config->train.monitor == PULMO_MONITOR_AUC) return row->val_auc;
    if (r->config->train.monitor == PULMO_MONITOR_LOSS) return -row->val_loss;
    return row->val_accuracy;
}

/* Rank 0 decides whether the epoch is the best; a tie goes to the lower val loss. */
static pulmo_status decide(run *r, const epoch_row *row)
{
    run_state *state = &r->state;
    int better = 0;
    if (info_of(r->val)->count == 0) better = 1;
    else if (is_root(r)) {
        double value = monitored(r, row);
        better = value > state->best_value || (value == state->best_value && row->val_loss < state->best_loss) ||
                 state->best_epoch == 0;
    }
    PULMO_TRY(pulmo_bcast(r->comm, &better, sizeof better, 0));
    if (!better) {
        state->since_best++;
        return PULMO_OK;
    }
    state->best_value = monitored(r, row);
    state->best_loss = row->val_loss;
    state->best_accuracy = row->val_accuracy;
    state->best_epoch = state->epoch + 1;
    state->since_best = 0;
    memcpy(state->best, state->parameter, state->parameters * sizeof(float));
    return PULMO_OK;
}

static void report_epoch(const run *r, const epoch_row *row, uint32_t images)
{
    const run_state *state = &r->state;
    double seconds = pulmo_now_s() - r->epoch_began_s;
    pulmo_info("Epoch %u/%lld", state->epoch + 1, (long long)r->config->train.epochs);
    pulmo_info("  train  loss %.4f  acc %.4f   %.1f img/s", row->train_loss, row->train_accuracy, images / seconds);
    if (info_of(r->val)->count > 0)
        pulmo_info("  val    loss %.4f  acc %.4f   auc %.4f   best %.4f (epoch %u)", row->val_loss, row->val_accuracy,
                   row->val_auc, state->best_accuracy, state->best_epoch);
    pulmo_debug("  waited %.2f s for data, %.2f s for sums since the start", pulmo_loader_waited_s(r->loader),
                stepper_waited_s(r->stepper));
}

static pulmo_status write_snapshot(run *r, bool finished, const char *head_digest)
{
    char *path = pulmo_format("%s/model.h5", r->directory);
    if (!path) return PULMO_MEMORY;
    r->model.best_epoch = (int)r->state.best_epoch;
    pulmo_status status = pulmo_model_write(path, &r->model);
    free(path);
    const run_results results = {.directory = r->directory, .identity = &r->identity, .state = &r->state,
                                 .model = &r->model, .comm = r->comm, .finished = finished, .head_digest = head_digest,
                                 .val = info_of(r->val)->count ? &r->val_scores : NULL,
                                 .test = finished && info_of(r->test)->count ? &r->test_scores : NULL};
    return status == PULMO_OK ? results_write(&results) : status;
}

static pulmo_status one_epoch(run *r)
{
    run_state *state = &r->state;
    r->epoch_began_s = pulmo_now_s();
    uint32_t images = info_of(r->train)->count - (uint32_t)state->sums.count;
    PULMO_TRY(train_batches(r));
    epoch_row *row = &state->history[state->epoch];
    row->lr = pulmo_optim_rate(&r->optim, state->epoch, (double)r->config->train.epochs);
    row->train_loss = state->sums.weight > 0 ? state->sums.loss / state->sums.weight : NAN;
    row->train_accuracy = (double)state->sums.correct / (double)state->sums.count;
    PULMO_TRY(validate(r, row));
    PULMO_TRY(decide(r, row));
    report_epoch(r, row, images);
    state->epoch++;
    state->batch = 0;
    memset(&state->sums, 0, sizeof state->sums);
    bool stop = r->config->train.patience > 0 && state->since_best >= (uint32_t)r->config->train.patience;
    state->finished = stop || state->epoch >= (uint32_t)r->config->train.epochs;
    if (stop && state->epoch < (uint32_t)r->config->train.epochs)
        pulmo_info("No better epoch for %lld epochs: stopping early.", (long long)r->config->train.patience);
    pulmo_status status = is_root(r) ? write_snapshot(r, false, NULL) : PULMO_OK;
    return pulmo_agree(r->comm, status);
}

static pulmo_status all_epochs(run *r)
{
    PULMO_TRY(pulmo_agree(r->comm, pulmo_loader_seek(r->loader, r->state.epoch, r->state.batch)));
    while (!r->state.finished) {
        PULMO_TRY(one_epoch(r));
        if (pulmo_any(r->comm, interrupt_wanted())) return interrupted(r);
    }
    return write_checkpoint(r);
}

/* ---- the end ---- */

/* Scores a split with the best parameters. Collective. */
static pulmo_status score_best(run *r, feature_store *features, const pulmo_dataset_info *info, const char *split,
                               split_scores *scores)
{
    pulmo_head *head = NULL;
    float *logits = NULL;
    pulmo_status status = pulmo_head_create(&r->head, &r->loss, (int)r->config->train.slot, 1, r->state.best, &head);
    PULMO_TRY(pulmo_agree(r->comm, status));
    status = feature_store_logits(r->comm, features, head, info->classes, &logits);
    pulmo_head_destroy(head);
    PULMO_TRY(status);
    return set_scores(scores, split, info, logits);
}

static pulmo_status score_test(run *r)
{
    feature_store *features = NULL;
    if (info_of(r->test)->count == 0) return PULMO_OK;
    PULMO_TRY(feature_store_create(r->comm, r->test, &r->backbone, r->directory, "  test features", &features));
    pulmo_status status = score_best(r, features, info_of(r->test), "test", &r->test_scores);
    feature_store_destroy(features);
    return status;
}

static pulmo_status finish_root(run *r)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest digest = pulmo_digest_of(r->state.best, r->state.parameters * sizeof(float));
    pulmo_digest_hex(&digest, hex);
    PULMO_TRY(write_snapshot(r, true, hex));
    if (info_of(r->val)->count > 0)
        printf("Best val acc: %.4f (epoch %u)\n", r->state.best_accuracy, r->state.best_epoch);
    if (info_of(r->test)->count > 0) PULMO_TRY(results_print(stdout, &r->model, &r->test_scores));
    else printf("No test split: \"pulmo pack --test-fraction 0.15\" makes one.\n");
    printf("Head SHA-256: %s\n", hex);
    printf("Results: %s/results.h5\n", r->directory);
    fflush(stdout);
    return PULMO_OK;
}

static pulmo_status finish(run *r)
{
    const pulmo_dataset_info *val = info_of(r->val);
    if (val->count > 0) PULMO_TRY(score_best(r, r->val_features, val, "val", &r->val_scores));
    PULMO_TRY(pulmo_agree(r->comm, pulmo_metrics_threshold(r->config->eval.threshold, val->count, val->classes, val->labels,
                                                           r->val_scores.probabilities, &r->model.threshold)));
    PULMO_TRY(score_test(r));
    pulmo_status status = is_root(r) ? finish_root(r) : PULMO_OK;
    return pulmo_agree(r->comm, status);
}

static pulmo_status start(run *r, int overwrite)
{
    pulmo_comm *comm = r->comm;
    PULMO_TRY(pulmo_agree(comm, open_data_local(r)));
    PULMO_TRY(check_data_same(r));
    PULMO_TRY(pulmo_agree(comm, is_root(r) ? prepare_directory(r, overwrite) : PULMO_OK));
    PULMO_TRY(pulmo_backbone_open(comm, r->config->model.weights, info_of(r->train)->height_px,
                                  (int)r->config->train.threads, &r->backbone));
    r->backbone_open = true;
    pulmo_digest_hex(&r->backbone.weights_digest, r->identity.weights_digest);
    r->identity.config = r->config;
    r->identity.isa = pulmo_isa_name(r->backbone.isa);
    r->identity.blas = r->backbone.blas;
    PULMO_TRY(pulmo_agree(comm, build_local(r)));
    describe_model(r);
    r->checkpoint_path = pulmo_format("%s/checkpoint.h5", r->directory);
    PULMO_TRY(pulmo_agree(comm, r->checkpoint_path ? PULMO_OK : PULMO_MEMORY));
    PULMO_TRY(resume(r));
    announce(r);
    PULMO_TRY(pulmo_agree(comm, open_loader_local(r)));
    PULMO_TRY(pulmo_agree(comm, pulmo_watch_start(comm, r->config->train.stall_seconds)));
    if (info_of(r->val)->count > 0)
        PULMO_TRY(feature_store_create(comm, r->val, &r->backbone, r->directory, "  val features", &r->val_features));
    r->checkpoint_s = pulmo_now_s();
    return PULMO_OK;
}

static void close_run(run *r)
{
    pulmo_watch_stop(r->comm);
    pulmo_free(r->val_scores.logits);
    pulmo_free(r->val_scores.probabilities);
    pulmo_free(r->test_scores.logits);
    pulmo_free(r->test_scores.probabilities);
    feature_store_destroy(r->val_features);
    pulmo_head_destroy(r->scorer);
    stepper_destroy(r->stepper);
    pulmo_loader_destroy(r->loader);
    run_state_free(&r->state);
    if (r->backbone_open) pulmo_backbone_close(&r->backbone);
    pulmo_dataset_close(r->train);
    pulmo_dataset_close(r->val);
    pulmo_dataset_close(r->test);
    free(r->checkpoint_path);
    free(r);
}

pulmo_status pulmo_train(pulmo_comm *comm, const pulmo_config *config, int overwrite)
{
    run *r = calloc(1, sizeof *r);
    PULMO_TRY(pulmo_agree(comm, r ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "cannot allocate the run")));
    r->comm = comm;
    r->config = config;
    r->directory = config->train.run_dir;
    interrupt_listen();
    pulmo_status status = start(r, overwrite);
    if (status == PULMO_OK) status = all_epochs(r);
    if (status == PULMO_OK) status = finish(r);
    close_run(r);
    return status;
}
