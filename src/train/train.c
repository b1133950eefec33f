/* Training: the epoch loop. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/metrics.h"
#include "run.h"

static void show_progress(run *r, pulmo_progress *progress)
{
    char note[48];
    const pulmo_epoch_sums *sums = &r->state.sums;
    snprintf(note, sizeof note, "loss %.4f", sums->weight > 0 ? sums->loss / sums->weight : NAN);
    pulmo_progress_update(progress, (double)sums->count, note);
}

static pulmo_status train_batches(run *r)
{
    uint32_t batches = pulmo_batches(info_of(r->train)->count, (uint32_t)r->config->train.batch);
    pulmo_progress progress;
    pulmo_progress_begin(&progress, "  train", "img", info_of(r->train)->count);
    progress.skipped = (double)r->state.sums.count;
    for (uint32_t b = r->state.batch; b < batches; b++) {
        pulmo_batch batch;
        pulmo_status status = pulmo_loader_next(r->loader, &batch);
        pulmo_step_wishes wishes = {.interrupted = run_must_stop(r),
                                    .checkpoint = run_checkpoint_due(r)};
        PULMO_TRY(pulmo_stepper_take(r->stepper, status, &batch, &wishes));
        if (wishes.interrupted)
            return run_interrupted(r);
        if (wishes.checkpoint) {
            PULMO_TRY(run_checkpoint(r));
            PULMO_TRY(pulmo_stepper_release(r->stepper));
        }
        r->batches_since++;
        pulmo_watch_beat(r->comm, "training");
        show_progress(r, &progress);
    }
    PULMO_TRY(pulmo_stepper_finish(r->stepper));
    pulmo_progress_end(&progress);
    return PULMO_OK;
}

static double log_loss_of(const run *r, const pulmo_dataset_info *info, const float *logits)
{
    double sum = 0, weights = 0;
    for (uint32_t i = 0; i < info->count; i++) {
        double weight = 0;
        sum +=
            pulmo_cross_entropy(&r->loss, info->classes, logits + (size_t)i * (size_t)info->classes,
                                info->labels[i], &weight);
        weights += weight;
    }
    return weights > 0 ? sum / weights : NAN;
}

/* Scores val with the parameters as they are and fills the epoch's row. Collective. */
static pulmo_status validate(run *r, pulmo_epoch_row *row)
{
    const pulmo_dataset_info *info = info_of(r->val);
    pulmo_metrics metrics;
    float *logits = NULL;
    row->val_loss = row->val_accuracy = row->val_auc = NAN;
    if (info->count == 0)
        return PULMO_OK;
    PULMO_TRY(run_logits(r, r->val_features, info, pulmo_state_current(&r->state), &logits));
    PULMO_TRY(scores_set(&r->val_scores, &r->model, "val", info, logits));
    row->val_loss = log_loss_of(r, info, logits);
    const pulmo_scored scored = pulmo_split_scored(&r->val_scores);
    const pulmo_decision half = {r->model.positive.index, 0.5};
    PULMO_TRY(pulmo_agree(r->comm, pulmo_metrics_compute(&scored, &half, &metrics)));
    row->val_accuracy = metrics.accuracy;
    row->val_auc = metrics.auc;
    pulmo_metrics_free(&metrics);
    return PULMO_OK;
}

static double monitored(const run *r, const pulmo_epoch_row *row)
{
    if (r->config->train.monitor == PULMO_MONITOR_AUC)
        return row->val_auc;
    if (r->config->train.monitor == PULMO_MONITOR_LOSS)
        return -row->val_loss;
    return row->val_accuracy;
}

/* Rank 0 decides whether the epoch is the best; a tie goes to the lower val loss. */
static pulmo_status decide(run *r, const pulmo_epoch_row *row)
{
    pulmo_state *state = &r->state;
    int better = 0;
    if (info_of(r->val)->count == 0)
        better = 1;
    else if (is_root(r)) {
        double value = monitored(r, row);
        better = value > state->best_value ||
                 (value == state->best_value && row->val_loss < state->best_loss) ||
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
    pulmo_state_keep_best(state);
    return PULMO_OK;
}

static void report_epoch(const run *r, const pulmo_epoch_row *row, uint32_t images)
{
    const pulmo_state *state = &r->state;
    double seconds = pulmo_now_s() - r->epoch_began_s;
    pulmo_info("Epoch %u/%lld", state->epoch + 1, (long long)r->config->train.epochs);
    pulmo_info("  train  loss %.4f  acc %.4f   %.1f img/s", row->train_loss, row->train_accuracy,
               images / seconds);
    if (info_of(r->val)->count > 0)
        pulmo_info("  val    loss %.4f  acc %.4f   auc %.4f   best %.4f (epoch %u)", row->val_loss,
                   row->val_accuracy, row->val_auc, state->best_accuracy, state->best_epoch);
    pulmo_debug("  waited %.2f s for data, %.2f s for sums since the start",
                pulmo_loader_waited_s(r->loader), pulmo_stepper_waited_s(r->stepper));
}

static pulmo_status one_epoch(run *r)
{
    pulmo_state *state = &r->state;
    r->epoch_began_s = pulmo_now_s();
    uint32_t images = info_of(r->train)->count - (uint32_t)state->sums.count;
    PULMO_TRY(train_batches(r));
    pulmo_epoch_row *row = &state->history[state->epoch];
    row->lr = pulmo_optim_rate(&r->optim, state->epoch, (double)r->config->train.epochs);
    row->train_loss = state->sums.weight > 0 ? state->sums.loss / state->sums.weight : NAN;
    row->train_accuracy = (double)state->sums.correct / (double)state->sums.count;
    double began_s = pulmo_now_s();
    PULMO_TRY(validate(r, row));
    pulmo_debug("  %.4f s for %u images of val", pulmo_now_s() - began_s, info_of(r->val)->count);
    PULMO_TRY(decide(r, row));
    report_epoch(r, row, images);
    state->epoch++;
    state->batch = 0;
    memset(&state->sums, 0, sizeof state->sums);
    bool stop =
        r->config->train.patience > 0 && state->since_best >= (uint32_t)r->config->train.patience;
    state->finished = stop || state->epoch >= (uint32_t)r->config->train.epochs;
    if (stop && state->epoch < (uint32_t)r->config->train.epochs)
        pulmo_info("No better epoch for %lld epochs: stopping early.",
                   (long long)r->config->train.patience);
    run_writes(r, "writing results", 1);
    began_s = pulmo_now_s();
    pulmo_status status = is_root(r) ? run_snapshot(r, false, NULL) : PULMO_OK;
    status = pulmo_agree(r->comm, status);
    /* After the last one the caller writes it. */
    if (status == PULMO_OK && !state->finished && pulmo_any(r->comm, run_checkpoint_worth_it(r)))
        status = run_checkpoint(r);
    pulmo_debug("  %.4f s for results and checkpoint", pulmo_now_s() - began_s);
    return status;
}

static pulmo_status all_epochs(run *r)
{
    PULMO_TRY(pulmo_agree(r->comm, pulmo_loader_seek(r->loader, r->state.epoch, r->state.batch)));
    while (!r->state.finished) {
        PULMO_TRY(one_epoch(r));
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

pulmo_status pulmo_train(pulmo_comm *comm, const pulmo_config *config, bool overwrite,
                         pulmo_report_writer *report)
{
    pulmo_status status = PULMO_OK;
    run *r = pulmo_calloc_agreed(comm, sizeof *r, "cannot allocate the run", &status);
    if (!r)
        return status;
    r->comm = comm;
    r->config = config;
    r->directory = config->train.run_dir;
    pulmo_interrupt_listen();
    double began_s = pulmo_now_s();
    status = run_open(r, overwrite);
    if (status == PULMO_OK)
        status = pulmo_agree(comm, is_root(r) ? run_deadline_find(r, began_s) : PULMO_OK);
    if (status == PULMO_OK)
        status = all_epochs(r);
    if (status == PULMO_OK)
        status = run_finish(r);
    lease *owned = r->lease; /* on rank 0 */
    run_close(r);
    if (status == PULMO_OK && owned && lease_check(owned) == PULMO_OK)
        write_report(config, report);
    lease_release(owned);
    return status;
}