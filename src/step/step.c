/* One batch: the update of the batch before, this batch's gradients, and the beginning of their
 * exchange. At most one exchange is under way.
 *
 *            batch t                                       exchange of batch t-1
 *            ───────                                       ─────────────────────
 *   take ──► features by the frozen convolutions           IN FLIGHT: a helper thread moves it
 *            (they read no trained parameter)              on, the features' loop polls it
 *               │                                             │
 *               ├────────────── wait ◄────────────────────────┘
 *               ▼
 *            UPDATE of t-1                                 no flight
 *               ▼
 *            forward through fine-tuned convolutions and head; the head's backward pass
 *               ▼
 *            ONE SMALL MAXIMUM over ranks: failures, signals, wishes, bounds
 *               ├── a rank failed ─────► every rank returns the failure; no flight
 *               ├── wishes came back ──► HELD: the state is that after t-1; then release, or end
 *               ▼
 * release ─► gradients to integers or sufficient factors; their exchange begins
 *               ▼
 *            backward through fine-tuned convolutions, layer by layer, each sent as it is ready
 *               ▼
 *            IN FLIGHT ──► take(t+1), or finish: wait, UPDATE of t
 *
 * A rank alone that trains the head alone has nothing to exchange: release makes the update at
 * once. Updates come in the order of plain synchronous training. Nothing depends on which rank or
 * thread does what: a microbatch's arithmetic is fixed, and integers are summed.
 * docs/explanation/states.md has the invariants. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pulmo/clock.h"
#include "step_room.h"

/* ---- features ---- */

#define FEATURE_IMAGES 16 /* as many as the convolutions take together */

/* Floats of one of the loader's images. */
static size_t loaded_floats(const pulmo_stepper *step)
{
    const pulmo_dataset_info *data = step->parts.data;
    size_t height = (size_t)data->height_px;
    size_t width = (size_t)data->width_px;
    return 3 * height * width;
}

/* A few images at a time, so that the exchange under way advances in between. */
static void compute_features(pulmo_stepper *step)
{
    const pulmo_batch *batch = &step->batch;
    const float *images = batch->images;
    float *features = step->features.computed;
    size_t each_loaded = loaded_floats(step);
    size_t each_computed = step->features.image_floats;
    for (uint32_t at = 0; at < batch->count; at += FEATURE_IMAGES) {
        int left = (int)(batch->count - at);
        int count = stepper_least(left, FEATURE_IMAGES);
        pulmo_backbone_features(step->parts.backbone, count, images, features);
        images += (size_t)count * each_loaded;
        features += (size_t)count * each_computed;
        if (step->exchange.under_way)
            pulmo_exact_poll(step->exchange.flight);
        pulmo_watch_beat(step->parts.comm, "computing features");
    }
}

static void begin_batch(pulmo_stepper *step, const pulmo_batch *batch)
{
    double began_s = pulmo_now_s();
    int microbatch = (int)step->microbatches.samples;
    step->batch = *batch;
    step->microbatches.count = stepper_divide_up((int)batch->count, microbatch);
    if (step->parts.banked) {
        step->features.batch = batch->images;
    } else {
        step->features.batch = step->features.computed;
        compute_features(step);
    }
    step->times.features_s += pulmo_now_s() - began_s;
}

/* ---- the update of the batch before ---- */

static void update_parameters(pulmo_stepper *step)
{
    double began_s = pulmo_now_s();
    double weight = stepper_sums_count(step);
    stepper_update(step, weight);
    step->times.update_s += pulmo_now_s() - began_s;
}

/* Waits for the exchange under way, which ends in every case. Collective. */
static pulmo_status wait_for_exchange(pulmo_stepper *step)
{
    step->exchange.under_way = false;
    return pulmo_exact_wait(step->exchange.flight);
}

pulmo_status pulmo_stepper_finish(pulmo_stepper *step)
{
    if (!step->exchange.under_way)
        return PULMO_OK;
    double began_s = pulmo_now_s();
    PULMO_TRY(wait_for_exchange(step));
    step->times.waited_s += pulmo_now_s() - began_s;
    update_parameters(step);
    return PULMO_OK;
}

/* ---- this batch's microbatches ---- */

static void run_microbatches(pulmo_stepper *step, const float *features)
{
    const pulmo_batch *batch = &step->batch;
    step_microbatches *microbatches = &step->microbatches;
    for (int s = 0; s < microbatches->count; s++) {
        uint32_t at = (uint32_t)s * microbatches->samples;
        size_t place = at * step->features.head_floats;
        int left = (int)(batch->count - at);
        int count = stepper_least(left, (int)microbatches->samples);
        microbatches->inputs[s] = (pulmo_microbatch_input){
            .count = count,
            .features = features + place,
            .labels = batch->labels + at,
            .samples = batch->samples + at,
            .seed = (uint64_t)step->parts.config->train.seed,
            .epoch = batch->epoch,
        };
    }
    pulmo_head_run(step->head, step->parts.backbone->pool, microbatches->count,
                   microbatches->inputs, microbatches->results);
}

/* Forward through all that is trained, and back through the head. */
static void run_batch(pulmo_stepper *step)
{
    double began_s = pulmo_now_s();
    const float *features = stepper_tuned_forward(step);
    double forward_s = pulmo_now_s();
    run_microbatches(step, features);
    step->times.tuned_s += forward_s - began_s;
    step->times.head_s += pulmo_now_s() - forward_s;
}

/* ---- the small maximum ---- */

/* The files of this rank's microbatches that did not give finite gradients. */
static void name_not_finite(const pulmo_stepper *step, char *names, size_t bytes)
{
    const step_microbatches *microbatches = &step->microbatches;
    size_t at = 0;
    names[0] = '\0';
    for (uint32_t i = 0; i < step->batch.count && at < bytes; i++) {
        uint32_t microbatch = i / microbatches->samples;
        if (microbatches->results[microbatch].finite)
            continue;
        uint32_t sample = step->batch.samples[i];
        const char *path = step->parts.data->paths[sample];
        int length = snprintf(names + at, bytes - at, " %s", path);
        at += (size_t)length;
    }
}

static pulmo_status fail_not_finite(const pulmo_stepper *step)
{
    char names[1024];
    name_not_finite(step, names, sizeof names);
    return pulmo_fail(PULMO_RUNTIME,
                      "epoch %u, batch %u: the loss or a gradient is not finite; lower optim.lr "
                      "(now %g) or look at the microbatch's images:%s",
                      step->batch.epoch + 1, step->batch.number + 1, step->parts.config->optim.lr,
                      names);
}

static void raise_to(double *most, double value)
{
    *most = fmax(*most, value);
}

/* A microbatch's part of this rank's; returns whether all of it is finite. */
static bool raise_by_microbatch(pulmo_stepper *step, int microbatch)
{
    const pulmo_microbatch_result *result = &step->microbatches.results[microbatch];
    double *maxima = step->microbatches.maxima;
    raise_to(&maxima[MAX_LOSS], fabs(result->loss));
    raise_to(&maxima[MAX_WEIGHT], result->weight);
    for (int t = 0; t < stepper_head_tensors(step); t++) {
        double bound = pulmo_head_microbatch_bound(step->head, microbatch, t);
        raise_to(&maxima[MAX_BOUNDS + t], bound);
    }
    return result->finite;
}

/* This rank's part. */
static void fill_maxima(pulmo_stepper *step, pulmo_status *status, const pulmo_step_wishes *wishes)
{
    double *maxima = step->microbatches.maxima;
    bool finite = true;
    memset(maxima, 0, sizeof step->microbatches.maxima);
    for (int s = 0; s < step->microbatches.count; s++) {
        if (!raise_by_microbatch(step, s))
            finite = false;
    }
    if (*status == PULMO_OK && !finite)
        *status = fail_not_finite(step);
    maxima[MAX_STATUS] = *status;
    maxima[MAX_SIGNAL] = wishes->interrupted;
    maxima[MAX_CHECKPOINT] = wishes->checkpoint;
}

/* ---- the exchange ---- */

/* Exponents from the bounds of all ranks' microbatches. */
static void set_exponents(pulmo_stepper *step, uint32_t microbatches)
{
    const double *maxima = step->microbatches.maxima;
    step_sums *sums = &step->sums;
    for (int t = 0; t < stepper_head_tensors(step); t++) {
        double bound = maxima[MAX_BOUNDS + t];
        int tensor = step->head_first + t;
        sums->exponent[tensor] = pulmo_exact_exponent(bound, microbatches);
    }
    sums->loss_exponent = pulmo_exact_exponent(maxima[MAX_LOSS], microbatches);
    sums->weight_exponent = pulmo_exact_exponent(maxima[MAX_WEIGHT], microbatches);
}

/* The learning rate of the batch at hand. */
static double rate_of_batch(const pulmo_stepper *step)
{
    const pulmo_config *config = step->parts.config;
    uint32_t batch = (uint32_t)config->train.batch;
    double batches = pulmo_batches(step->parts.data->count, batch);
    double epochs = (double)config->train.epochs;
    double epoch = step->batch.epoch + step->batch.number / batches;
    return pulmo_optim_rate(step->parts.optim, epoch, 1 / batches, epochs);
}

/* Begins the exchange and sends everything, the convolutions' sums as they come. Collective. */
static pulmo_status begin_exchange(pulmo_stepper *step, uint32_t microbatches)
{
    step->exchange.under_way = true;
    stepper_sufficient_push(step);
    stepper_sums_push(step);
    double began_s = pulmo_now_s();
    pulmo_status status = stepper_tuned_backward(step, microbatches);
    step->times.tuned_s += pulmo_now_s() - began_s;
    if (status != PULMO_OK)
        (void)wait_for_exchange(step); /* what has been sent must arrive before the end */
    return status;
}

pulmo_status pulmo_stepper_release(pulmo_stepper *step)
{
    uint32_t microbatches = pulmo_batches(step->batch.global_count, step->microbatches.samples);
    set_exponents(step, microbatches);
    stepper_sufficient_fill(step);
    double began_s = pulmo_now_s();
    stepper_sums_fill(step);
    step->times.head_s += pulmo_now_s() - began_s;
    step->exchange.rate = rate_of_batch(step);
    if (!stepper_is_alone(&step->parts))
        return begin_exchange(step, microbatches);
    update_parameters(step); /* nothing travels: the factors are used where they stand */
    return PULMO_OK;
}

pulmo_status pulmo_stepper_take(pulmo_stepper *step, pulmo_status status, const pulmo_batch *batch,
                                pulmo_step_wishes *wishes)
{
    double *maxima = step->microbatches.maxima;
    int entries = MAX_BOUNDS + stepper_head_tensors(step);
    step->microbatches.count = 0;
    if (status == PULMO_OK)
        begin_batch(step, batch);
    PULMO_TRY(pulmo_stepper_finish(step));
    run_batch(step);
    fill_maxima(step, &status, wishes);
    PULMO_TRY(pulmo_max_f64(step->parts.comm, maxima, entries));
    if (maxima[MAX_STATUS] != PULMO_OK)
        return pulmo_agree(step->parts.comm, status);
    wishes->interrupted = maxima[MAX_SIGNAL] > 0;
    wishes->checkpoint = maxima[MAX_CHECKPOINT] > 0;
    if (wishes->interrupted || wishes->checkpoint)
        return PULMO_OK;
    return pulmo_stepper_release(step);
}
