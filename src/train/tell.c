/* What a run tells programs that watch it: events.jsonl. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "run.h"

#define BATCH_EVERY_S 10.0

/* Of this process, MB; NaN where the system does not tell. */
static double resident_mb(void)
{
    unsigned long pages = 0;
    unsigned long resident = 0;
    FILE *in = fopen("/proc/self/statm", "re");
    const bool known = in && fscanf(in, "%lu %lu", &pages, &resident) == 2;
    if (in)
        fclose(in);
    const double page_bytes = (double)sysconf(_SC_PAGESIZE);
    return known ? (double)resident * page_bytes / RUN_MB : NAN;
}

/* To the last epoch that may come, without val, at this rate. */
static double seconds_left(const run *r, double images_of_epoch, double rate)
{
    const double epochs = (double)r->config->train.epochs - r->state.epoch;
    const double images = epochs * train_info(r)->count - images_of_epoch;
    return rate > 0 ? images / rate : NAN;
}

static const char *monitor_name(const run *r)
{
    return pulmo_config_choice("train.monitor", r->config->train.monitor);
}

/* An epoch that is done, counted from 0. */
static void tell_epoch(const run *r, uint32_t epoch, double images_per_second)
{
    const selection *chosen = &r->selection;
    const pulmo_epoch_row *row = &chosen->history[epoch];
    const pulmo_epoch_row *kept = &chosen->history[chosen->best.epoch - 1];
    const int monitor = r->config->train.monitor;
    const double left = (double)r->config->train.epochs - (epoch + 1.0);
    const double images = left * train_info(r)->count;
    const pulmo_event_field fields[] = {
        PULMO_EVENT_NUMBER("epoch", epoch + 1.0),
        PULMO_EVENT_NUMBER("train_loss", row->train_loss),
        PULMO_EVENT_NUMBER("train_accuracy", row->train_accuracy),
        PULMO_EVENT_NUMBER("val_loss", row->val_loss),
        PULMO_EVENT_NUMBER("val_accuracy", row->val_accuracy),
        PULMO_EVENT_NUMBER("val_auc", row->val_auc),
        PULMO_EVENT_NUMBER("lr", row->lr),
        PULMO_EVENT_NUMBER("images_per_second", images_per_second),
        PULMO_EVENT_NUMBER("seconds_left", images / images_per_second),
        PULMO_EVENT_TEXT("monitor", monitor_name(r)),
        PULMO_EVENT_NUMBER("monitored", selection_shown(monitor, row)),
        PULMO_EVENT_NUMBER("best_epoch", chosen->best.epoch),
        PULMO_EVENT_NUMBER("best", selection_shown(monitor, kept)),
    };
    pulmo_events_write(r->events, "epoch", fields, PULMO_COUNT_OF(fields));
}

void run_tell_epoch(const run *r, double images_per_second)
{
    tell_epoch(r, r->state.epoch, images_per_second);
}

static void open_events(run *r, bool resumed)
{
    r->events_begun = true;
    r->events = pulmo_events_open(r->directory);
    const pulmo_event_field fields[] = {
        PULMO_EVENT_TEXT("version", PULMO_VERSION),
        PULMO_EVENT_TEXT("host", pulmo_comm_host(r->comm)),
        PULMO_EVENT_NUMBER("ranks", pulmo_comm_size(r->comm)),
        PULMO_EVENT_NUMBER("threads", r->network.backbone.threads),
        PULMO_EVENT_NUMBER("resumed", resumed),
        PULMO_EVENT_NUMBER("epoch", resumed ? r->state.epoch + 1.0 : 1.0),
        PULMO_EVENT_NUMBER("epochs", (double)r->config->train.epochs),
        PULMO_EVENT_NUMBER("images", train_info(r)->count),
        PULMO_EVENT_NUMBER("val_images", val_info(r)->count),
        PULMO_EVENT_NUMBER("test_images", test_info(r)->count),
        PULMO_EVENT_TEXT("monitor", monitor_name(r)),
    };
    pulmo_events_write(r->events, "start", fields, PULMO_COUNT_OF(fields));
}

static bool keeps_events(const run *r)
{
    return is_root(r) && !r->passing && !r->timed;
}

/* The events of a run that is replaced are that run's as long as it stands. */
void run_tell_start(run *r)
{
    const bool resumed = r->state.epoch > 0 || r->state.batch > 0;
    if (keeps_events(r) && !r->replaces)
        open_events(r, resumed);
}

/* With the first checkpoint of a run that replaces another: what happened until then. */
static void catch_up(run *r)
{
    if (!keeps_events(r) || r->events_begun)
        return;
    open_events(r, false);
    for (uint32_t e = 0; e < r->state.epoch; e++)
        tell_epoch(r, e, NAN);
}

void run_tell_batch(const run *r, const pulmo_progress *progress)
{
    const pulmo_epoch_sums *sums = &r->state.sums;
    const double done = (double)sums->count;
    /* The first batch is at work while its sums travel. */
    if (done <= progress->skipped || !pulmo_events_due(r->events, BATCH_EVERY_S))
        return;
    const double took_s = pulmo_now_s() - progress->started_s;
    const double rate = (done - progress->skipped) / took_s;
    const pulmo_event_field fields[] = {
        PULMO_EVENT_NUMBER("epoch", r->state.epoch + 1.0),
        PULMO_EVENT_NUMBER("images", done),
        PULMO_EVENT_NUMBER("of", train_info(r)->count),
        PULMO_EVENT_NUMBER("loss", sums->weight > 0 ? sums->loss / sums->weight : NAN),
        PULMO_EVENT_NUMBER("images_per_second", rate),
        PULMO_EVENT_NUMBER("seconds_left", seconds_left(r, done, rate)),
        PULMO_EVENT_NUMBER("memory_mb", resident_mb()),
        PULMO_EVENT_NUMBER("waiting_seconds", pulmo_loader_waited_s(r->loader)),
    };
    pulmo_events_write(r->events, "batch", fields, PULMO_COUNT_OF(fields));
}

void run_tell_checkpoint(run *r, const writer_done *done)
{
    catch_up(r);
    const pulmo_event_field fields[] = {
        PULMO_EVENT_NUMBER("epoch", done->epoch + 1.0),
        PULMO_EVENT_NUMBER("batch", done->batch),
        PULMO_EVENT_NUMBER("seconds", done->took_s),
    };
    pulmo_events_write(r->events, "checkpoint", fields, PULMO_COUNT_OF(fields));
}

void run_tell_end(run *r, pulmo_status status)
{
    const pulmo_event_field fields[] = {
        PULMO_EVENT_NUMBER("status", pulmo_status_exit(status)),
        PULMO_EVENT_TEXT("reason", status == PULMO_OK ? "" : pulmo_error()),
    };
    pulmo_events_write(r->events, "end", fields, PULMO_COUNT_OF(fields));
    pulmo_events_close(r->events);
    r->events = NULL;
}
