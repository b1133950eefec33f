/* Training: the epoch loop. */
#include <math.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/metrics.h"
#include "pulmo/text.h"
#include "run.h"

/* Of the epoch so far; NaN before its first batch. */
static double mean_loss(const pulmo_epoch_sums *sums)
{
    return sums->weight > 0 ? sums->loss / sums->weight : NAN;
}

static void show_progress(run *r, pulmo_progress *progress)
{
    char note[48];
    const pulmo_epoch_sums *sums = &r->state.sums;
    snprintf(note, sizeof note, "loss %.4f", mean_loss(sums));
    pulmo_progress_update(progress, (double)sums->count, note);
}

static pulmo_status train_batches(run *r)
{
    uint32_t batches = run_batches(r);
    pulmo_progress progress;
    pulmo_progress_begin(&progress, "  train", "img", train_info(r)->count);
    progress.skipped = (double)r->state.sums.count;
    for (uint32_t b = r->state.batch; b < batches; b++) {
        pulmo_batch batch;
        pulmo_status status = pulmo_loader_next(r->loader, &batch);
        if (status == PULMO_OK)
            status = run_checkpoint_look(r);
        pulmo_step_wishes wishes = {.interrupted = run_must_stop(r),
                                    .checkpoint = run_checkpoint_due(r)};
        PULMO_TRY(pulmo_stepper_take(r->stepper, status, &batch, &wishes));
        if (wishes.interrupted)
            return run_interrupted(r);
        if (wishes.checkpoint) {
            PULMO_TRY(run_checkpoint_begin(r));
            PULMO_TRY(pulmo_stepper_release(r->stepper));
        }
        r->checkpoints.batches_since++;
        pulmo_watch_beat(r->comm, "training");
        show_progress(r, &progress);
        run_tell_batch(r, &progress);
    }
    PULMO_TRY(pulmo_stepper_finish(r->stepper));
    pulmo_progress_end(&progress);
    return PULMO_OK;
}

static double log_loss_of(const run *r, const pulmo_dataset_info *info, const float *logits)
{
    double sum = 0, weights = 0;
    const float *row = logits;
    for (uint32_t i = 0; i < info->count; i++) {
        double weight = 0;
        sum += pulmo_cross_entropy(&r->recipe.loss, info->classes, row, info->labels[i], &weight);
        weights += weight;
        row += info->classes;
    }
    return weights > 0 ? sum / weights : NAN;
}

/* Scores val with the parameters as they are and fills the epoch's row. Collective. */
static pulmo_status validate(run *r, pulmo_epoch_row *row)
{
    const pulmo_dataset_info *info = val_info(r);
    pulmo_metrics metrics;
    float *logits = NULL;
    row->val_loss = row->val_accuracy = row->val_auc = NAN;
    if (info->count == 0)
        return PULMO_OK;
    const float *parameters = pulmo_state_current(&r->state);
    PULMO_TRY(run_logits(r, r->scores.val_features, info, parameters, &logits));
    pulmo_status status = run_set_scores(&r->scores.val, &r->model, "val", info, logits);
    PULMO_TRY(pulmo_agree(r->comm, status));
    row->val_loss = log_loss_of(r, info, logits);
    const pulmo_scored scored = pulmo_split_scored(&r->model, &r->scores.val);
    const pulmo_decision half = {r->model.positive.index, 0.5};
    status = pulmo_metrics_compute(&scored, &half, &metrics);
    PULMO_TRY(pulmo_agree(r->comm, status));
    row->val_accuracy = metrics.accuracy;
    row->val_auc = metrics.auc;
    pulmo_metrics_free(&metrics);
    return PULMO_OK;
}

/* Rank 0 decides whether the epoch is the best; without val it is. Collective. */
static pulmo_status select_epoch(run *r, const pulmo_epoch_row *row)
{
    selection *chosen = &r->selection;
    double value = selection_value(r->config->train.monitor, row);
    bool better = val_info(r)->count == 0 || selection_is_better(chosen, value, row->val_loss);
    PULMO_TRY(pulmo_bcast(r->comm, &better, sizeof better, 0));
    if (better)
        selection_keep(chosen, &r->state, value);
    else
        selection_pass(chosen);
    return PULMO_OK;
}

static void report_epoch(const run *r, double rate)
{
    const best_epoch *best = &r->selection.best;
    const pulmo_epoch_row *row = &r->selection.history[r->state.epoch];
    const pulmo_epoch_row *kept = &r->selection.history[best->epoch - 1];
    const int monitor = r->config->train.monitor;
    const char *by = pulmo_config_choice("train.monitor", monitor);
    pulmo_info("Epoch %u/%lld", r->state.epoch + 1, (long long)r->config->train.epochs);
    pulmo_info("  train  loss %.4f  acc %.4f   %.1f img/s", row->train_loss, row->train_accuracy,
               rate);
    if (val_info(r)->count > 0)
        pulmo_info("  val    loss %.4f  acc %.4f   auc %.4f   best %s %.4f (epoch %u)",
                   row->val_loss, row->val_accuracy, row->val_auc, by,
                   selection_shown(monitor, kept), best->epoch);
    pulmo_debug("  waited %.2f s for data, %.2f s for sums since the start",
                pulmo_loader_waited_s(r->loader), pulmo_stepper_times(r->stepper)->waited_s);
}

/* What was learned on train in the epoch that is done. */
static void fill_train_row(const run *r, pulmo_epoch_row *row)
{
    const pulmo_epoch_sums *sums = &r->state.sums;
    double epochs = (double)r->config->train.epochs;
    row->lr = pulmo_optim_rate(&r->recipe.optim, r->state.epoch, 1.0 / run_batches(r), epochs);
    row->train_loss = mean_loss(sums);
    row->train_accuracy = (double)sums->correct / (double)sums->count;
}

/* The digests of what is validated and, if this epoch is the best, kept. */
static void note_tensors(run *r)
{
    double began_s = pulmo_now_s();
    if (!is_root(r))
        return;
    trail_take(&r->trail, r->state.epoch, pulmo_state_current(&r->state));
    pulmo_debug("  %.4f s for digests", pulmo_now_s() - began_s);
}

/* Batches, validation and the choice of the best epoch. Collective. */
static pulmo_status run_epoch(run *r)
{
    const pulmo_state *state = &r->state;
    pulmo_epoch_row *row = &r->selection.history[state->epoch];
    double began_s = pulmo_now_s();
    uint32_t images = train_info(r)->count - (uint32_t)state->sums.count;
    PULMO_TRY(train_batches(r));
    fill_train_row(r, row);
    double trained_s = pulmo_now_s();
    PULMO_TRY(validate(r, row));
    pulmo_debug("  %.4f s for %u images of val", pulmo_now_s() - trained_s, val_info(r)->count);
    note_tensors(r);
    PULMO_TRY(select_epoch(r, row));
    const double rate = images / (pulmo_now_s() - began_s);
    report_epoch(r, rate);
    run_tell_epoch(r, rate);
    return PULMO_OK;
}

/* The state stands before the next epoch, if there is one. */
static void end_epoch(run *r)
{
    pulmo_state *state = &r->state;
    int64_t patience = r->config->train.patience;
    uint32_t epochs = (uint32_t)r->config->train.epochs;
    state->epoch++;
    state->batch = 0;
    memset(&state->sums, 0, sizeof state->sums);
    bool last = state->epoch >= epochs;
    bool early = selection_stops_early(&r->selection, patience);
    r->selection.finished = last || early;
    if (early && !last)
        pulmo_info("No better epoch for %lld epoch%s: stopping early.", (long long)patience,
                   pulmo_plural((uint64_t)patience));
}

/* Results as they stand, and a checkpoint where it is worth it. Collective. */
static pulmo_status save_epoch(run *r)
{
    double began_s = pulmo_now_s();
    if (r->replaces)
        PULMO_TRY(run_checkpoint(r));
    run_expect_writing(r, "writing results", run_vector_bytes(r));
    pulmo_status status = is_root(r) ? run_snapshot(r, false, NULL) : PULMO_OK;
    PULMO_TRY(pulmo_agree(r->comm, status));
    /* After the last epoch the caller writes a checkpoint. */
    if (!r->selection.finished && pulmo_any(r->comm, run_checkpoint_worth_it(r)))
        PULMO_TRY(run_checkpoint_begin(r));
    pulmo_debug("  %.4f s for results and checkpoint", pulmo_now_s() - began_s);
    return PULMO_OK;
}

pulmo_status run_check_epoch(const run *r, uint32_t epoch)
{
    const pulmo_digest *digests = trail_row(&r->trail, epoch);
    return record_check_epoch(r->record, epoch, digests, &r->selection.history[epoch]);
}

/* The epoch that has just ended, beside the one that is reproduced. Collective. */
static pulmo_status compare_epoch(const run *r)
{
    if (!r->record)
        return PULMO_OK;
    pulmo_status status = is_root(r) ? run_check_epoch(r, r->state.epoch - 1) : PULMO_OK;
    return pulmo_agree(r->comm, status);
}

static bool has_enough(const run *r)
{
    return r->epochs_most > 0 && r->state.epoch >= r->epochs_most;
}

pulmo_status run_epochs(run *r)
{
    pulmo_status status = pulmo_loader_seek(r->loader, r->state.epoch, r->state.batch);
    PULMO_TRY(pulmo_agree(r->comm, status));
    while (!r->selection.finished && !has_enough(r)) {
        PULMO_TRY(run_epoch(r));
        end_epoch(r);
        PULMO_TRY(compare_epoch(r));
        PULMO_TRY(save_epoch(r));
        if (pulmo_any(r->comm, run_must_stop(r)))
            return run_interrupted(r);
    }
    return run_checkpoint(r);
}

/* The results are safe, so that a report which cannot be written is a warning. */
static void write_report(const pulmo_config *config, pulmo_report_writer *report)
{
    if (!report || report(config) == PULMO_OK)
        return;
    pulmo_warn("%s: no report: %s; \"pulmo report\" writes it", config->train.run_dir,
               pulmo_error());
    pulmo_error_clear();
}

/* The time limit, from rank 0's clock. Not collective. */
static pulmo_status find_deadline(run *r, double began_s)
{
    double limit_s = r->config->train.time_limit_seconds;
    return deadline_find(&r->deadline, limit_s, began_s, (double)run_vectors_bytes(r));
}

pulmo_status run_begin(run *r, bool overwrite)
{
    double began_s = pulmo_now_s();
    PULMO_TRY(run_open(r, overwrite));
    pulmo_status status = is_root(r) ? find_deadline(r, began_s) : PULMO_OK;
    PULMO_TRY(pulmo_agree(r->comm, status));
    run_tell_start(r);
    return PULMO_OK;
}

static pulmo_status train_run(run *r, bool overwrite)
{
    PULMO_TRY(run_begin(r, overwrite));
    PULMO_TRY(run_epochs(r));
    return run_finish(r);
}

pulmo_status pulmo_train(pulmo_comm *comm, const pulmo_config *config, bool overwrite,
                         pulmo_report_writer *report)
{
    run *r = NULL;
    PULMO_TRY(run_create(comm, config, &r));
    pulmo_status status = train_run(r, overwrite);
    run_tell_end(r, status);
    lease *owned = r->lease; /* on rank 0 */
    run_close(r);
    if (status == PULMO_OK && owned && lease_check(owned) == PULMO_OK)
        write_report(config, report);
    lease_release(owned);
    return status;
}
