/* One batch: features, the update of the batch before, this batch's gradients and their sum.
 *
 *   take(t):  features of t  (the sum of t-1 travels meanwhile)
 *             wait for the sum of t-1, update the parameters
 *             run this rank's microbatches of t
 *             one small maximum: bounds, failures, signals
 *             microbatch gradients -> integers, start their sum
 *
 * The order of updates is that of plain synchronous training. Nothing here depends on which
 * rank or thread does what: a microbatch's arithmetic is fixed, and integers are summed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "step_room.h"

static int tiles_of(const pulmo_tensor *tensor)
{
    int down = (tensor->rows + TILE_ROWS - 1) / TILE_ROWS;
    int across = (tensor->cols + TILE_COLS - 1) / TILE_COLS;
    return down * across;
}

static int head_tensors(const pulmo_stepper *step)
{
    return step->layout.tensors - step->tuned_tensors;
}

static int microbatches_room(const pulmo_stepper_parts *parts)
{
    uint32_t batch = (uint32_t)parts->config->train.batch,
             microbatch = (uint32_t)parts->config->train.microbatch;
    uint32_t microbatches = (batch + microbatch - 1) / microbatch,
             size = (uint32_t)pulmo_comm_size(parts->comm);
    return (int)((microbatches + size - 1) / size);
}

static size_t feature_floats(const pulmo_stepper_parts *parts)
{
    const pulmo_backbone *backbone = parts->backbone;
    if (parts->banked)
        return 0; /* they stay in the loader's memory */
    return (size_t)backbone->channels * (size_t)backbone->height * (size_t)backbone->width;
}

static size_t head_floats(const pulmo_stepper_parts *parts)
{
    return (size_t)parts->head->channels * (size_t)parts->head->height * (size_t)parts->head->width;
}

static uint64_t tuned_bytes(const pulmo_stepper_parts *parts)
{
    int microbatch = (int)parts->config->train.microbatch,
        images = microbatches_room(parts) * microbatch;
    const pulmo_tuned_spec *tuned = &parts->backbone->tuned;
    return tuned->layers > 0
               ? pulmo_tuned_bytes(tuned, microbatch, images, parts->backbone->threads)
               : 0;
}

uint64_t pulmo_stepper_bytes(const pulmo_stepper_parts *parts)
{
    pulmo_layout layout;
    pulmo_tuned_layout_with_head(&parts->backbone->tuned, parts->head, &layout);
    uint64_t images =
                 (uint64_t)microbatches_room(parts) * (uint64_t)parts->config->train.microbatch,
             floats = feature_floats(parts);
    if (parts->backbone->tuned.layers > 0)
        floats += 2 * head_floats(parts);
    return images * floats * sizeof(float) + stepper_ways_bytes(parts, &layout) +
           tuned_bytes(parts);
}

static pulmo_status allocate(pulmo_stepper *step)
{
    size_t images = (size_t)step->microbatches_room * step->microbatch;
    size_t threads = (size_t)step->parts.backbone->threads;
    if (!step->parts.banked)
        step->features = pulmo_alloc(images ? images : 1, step->feature_floats * sizeof(float));
    step->inputs = pulmo_alloc((size_t)step->microbatches_room + 1, sizeof *step->inputs);
    step->results = pulmo_alloc((size_t)step->microbatches_room + 1, sizeof *step->results);
    PULMO_TRY(stepper_ways_create(step));
    step->sums = pulmo_alloc(step->sum_count + SUMS, sizeof *step->sums);
    step->tiles = pulmo_alloc(threads, step->tile_floats * sizeof(float));
    step->squares = pulmo_alloc((size_t)stepper_update_tasks(step), sizeof *step->squares);
    if ((!step->features && !step->parts.banked) || !step->inputs || !step->results ||
        !step->sums || !step->tiles || !step->squares)
        return PULMO_MEMORY;
    return PULMO_OK;
}

/* Refuses, before anything large is allocated, what this node cannot hold. */
static pulmo_status check_memory(const pulmo_stepper_parts *parts)
{
    const double mb = 1024.0 * 1024.0;
    uint64_t room = pulmo_memory_available_bytes(),
             need = pulmo_stepper_bytes(parts) * (uint64_t)pulmo_comm_node_size(parts->comm);
    if (parts->backbone->tuned.layers == 0 || need <= room)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_RUNTIME,
        "training the convolutions needs %.0f MB on this node (%d ranks) but %.0f MB are free or "
        "allowed; use a smaller "
        "train.batch, a higher model.trainable, more nodes, or raise the memory limit",
        (double)need / mb, pulmo_comm_node_size(parts->comm), (double)room / mb);
}

/* The trained convolutions, and what joins them to the head. */
static pulmo_status create_tuned(pulmo_stepper *step)
{
    const pulmo_stepper_parts *parts = &step->parts;
    size_t images = (size_t)step->microbatches_room * step->microbatch;
    for (int i = 0; i < SUM_LOCKS; i++)
        pthread_mutex_init(&step->locks[i], NULL);
    if (step->tuned_tensors == 0)
        return PULMO_OK;
    step->above = pulmo_alloc(images ? images : 1, step->head_floats * sizeof(float));
    step->below = pulmo_alloc(images ? images : 1, step->head_floats * sizeof(float));
    if (!step->above || !step->below)
        return PULMO_MEMORY;
    PULMO_TRY(pulmo_head_train_below(step->head));
    PULMO_TRY(pulmo_tuned_create(&parts->backbone->tuned, parts->backbone->pool,
                                 (int)step->microbatch, (int)images, &step->tuned));
    pulmo_stepper_ready(step);
    return PULMO_OK;
}

pulmo_status pulmo_stepper_create(const pulmo_stepper_parts *parts, pulmo_stepper **out)
{
    pulmo_stepper *step = calloc(1, sizeof *step);
    if (!step)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the trainer");
    step->parts = *parts;
    step->microbatch = (uint32_t)parts->config->train.microbatch;
    step->microbatches_room = microbatches_room(parts);
    step->feature_floats = feature_floats(parts);
    step->head_floats = head_floats(parts);
    step->tile_floats = TILE_ROWS * TILE_COLS;
    pulmo_tuned_layout_with_head(&parts->backbone->tuned, parts->head, &step->layout);
    while (stepper_is_tuned(&step->layout.tensor[step->tuned_tensors]))
        step->tuned_tensors++;
    for (int t = 0; t < step->tuned_tensors; t++)
        if (2 * (size_t)step->layout.tensor[t].cols > step->tile_floats)
            step->tile_floats = 2 * (size_t)step->layout.tensor[t].cols;
    for (int t = 0; t < head_tensors(step); t++) {
        const pulmo_tensor *tensor = &step->layout.tensor[step->tuned_tensors + t];
        int tiles = stepper_by_factors(parts, tensor) ? 0 : tiles_of(tensor);
        step->tile_first[t + 1] = step->tile_first[t] + tiles;
    }
    pulmo_status status = check_memory(parts);
    if (status == PULMO_OK)
        status = allocate(step);
    if (status == PULMO_OK)
        status = pulmo_head_create(
            parts->head, parts->loss, (int)step->microbatch, step->microbatches_room,
            parts->state->parameter + step->layout.tensor[step->tuned_tensors].offset, &step->head);
    if (status == PULMO_OK)
        status = create_tuned(step);
    if (status == PULMO_OK)
        *out = step;
    else
        pulmo_stepper_destroy(step);
    return status;
}

void pulmo_stepper_destroy(pulmo_stepper *step)
{
    if (!step)
        return;
    pulmo_head_destroy(step->head);
    pulmo_tuned_destroy(step->tuned);
    pulmo_free(step->above);
    pulmo_free(step->below);
    pulmo_free(step->squares);
    pulmo_free(step->features);
    pulmo_free(step->inputs);
    pulmo_free(step->results);
    stepper_ways_destroy(step);
    pulmo_free(step->sums);
    pulmo_free(step->tiles);
    free(step);
}

double pulmo_stepper_waited_s(const pulmo_stepper *step)
{
    return step->waited_s;
}
const pulmo_step_times *pulmo_stepper_times(const pulmo_stepper *step)
{
    return &step->times;
}

void pulmo_stepper_score_with(pulmo_stepper *step, const float *parameters, pulmo_tuned **tuned,
                              int *images)
{
    *tuned = step->tuned;
    *images = step->microbatches_room * (int)step->microbatch > 0
                  ? step->microbatches_room * (int)step->microbatch
                  : 1;
    if (step->tuned)
        pulmo_tuned_use(step->tuned, parameters);
}

void pulmo_stepper_ready(pulmo_stepper *step)
{
    if (step->tuned)
        pulmo_tuned_use(step->tuned, step->parts.state->parameter);
}

/* ---- features ---- */

#define FEATURE_IMAGES 16 /* as many as the convolutions take together */

/* A few images at a time, so that the sum in flight gets on in between. */
static void compute_features(pulmo_stepper *step, const pulmo_batch *batch)
{
    const pulmo_dataset_info *data = step->parts.data;
    step->fed = step->parts.banked ? batch->images : step->features;
    if (step->parts.banked)
        return;
    size_t image_floats = 3 * (size_t)data->height_px * (size_t)data->width_px;
    if (!step->parts.backbone->trunk)
        image_floats = step->feature_floats; /* what comes is what the tuned takes */
    for (uint32_t at = 0; at < batch->count; at += FEATURE_IMAGES) {
        uint32_t count = batch->count - at < FEATURE_IMAGES ? batch->count - at : FEATURE_IMAGES;
        pulmo_backbone_features(step->parts.backbone, (int)count, batch->images + at * image_floats,
                                step->features + at * step->feature_floats);
        if (step->flight)
            pulmo_exact_poll(step->flight);
        pulmo_watch_beat(step->parts.comm, "computing features");
    }
}

/* ---- the update of the batch before ---- */

/* The batch's totals into the state; returns its weight. */
static double count_batch(pulmo_stepper *step)
{
    pulmo_state *state = step->parts.state;
    const int64_t *totals = step->sums + step->sum_count;
    double weight = ldexp((double)totals[SUM_WEIGHT], -step->exponent_weight);
    state->step++;
    state->sums.loss += ldexp((double)totals[SUM_LOSS], -step->exponent_loss);
    state->sums.weight += weight;
    state->sums.correct += totals[SUM_CORRECT];
    state->sums.count += totals[SUM_COUNT];
    state->batch++;
    return weight;
}

static void update(pulmo_stepper *step)
{
    double began_s = pulmo_now_s();
    stepper_update(step, count_batch(step));
    step->times.update_s += pulmo_now_s() - began_s;
}

pulmo_status pulmo_stepper_finish(pulmo_stepper *step)
{
    if (!step->flight)
        return PULMO_OK;
    double began_s = pulmo_now_s();
    pulmo_exact_sum *flight = step->flight;
    step->flight = NULL;
    PULMO_TRY(pulmo_exact_wait(flight));
    step->waited_s += pulmo_now_s() - began_s;
    update(step);
    return PULMO_OK;
}

/* ---- this batch's microbatches ---- */

static void run_microbatches(pulmo_stepper *step, const float *features)
{
    const pulmo_batch *batch = &step->batch;
    for (int s = 0; s < step->microbatches; s++) {
        uint32_t at = (uint32_t)s * step->microbatch, left = batch->count - at;
        step->inputs[s] = (pulmo_microbatch_input){
            .count = (int)(left < step->microbatch ? left : step->microbatch),
            .features = features + at * step->head_floats,
            .labels = batch->labels + at,
            .samples = batch->samples + at,
            .seed = (uint64_t)step->parts.config->train.seed,
            .epoch = batch->epoch,
        };
    }
    pulmo_head_run(step->head, step->parts.backbone->pool, step->microbatches, step->inputs,
                   step->results);
}

/* Names the files of this rank's microbatches that did not give finite gradients. */
static pulmo_status fail_nonfinite(const pulmo_stepper *step)
{
    char names[1024] = "";
    size_t at = 0;
    for (int s = 0; s < step->microbatches; s++) {
        if (step->results[s].finite)
            continue;
        for (uint32_t i = (uint32_t)s * step->microbatch;
             i < (uint32_t)(s + 1) * step->microbatch && i < step->batch.count; i++)
            if (at < sizeof names)
                at += (size_t)snprintf(names + at, sizeof names - at, " %s",
                                       step->parts.data->paths[step->batch.samples[i]]);
    }
    return pulmo_fail(PULMO_RUNTIME,
                      "epoch %u, batch %u: the loss or a gradient is not finite; lower optim.lr "
                      "(now %g) or look at "
                      "the microbatch's images:%s",
                      step->batch.epoch + 1, step->batch.number + 1, step->parts.config->optim.lr,
                      names);
}

/* This rank's part of the small maximum. */
static void local_maxima(pulmo_stepper *step, pulmo_status *status, const pulmo_step_wishes *wishes)
{
    double *maxima = step->maxima;
    memset(step->maxima, 0, sizeof step->maxima);
    bool finite = true;
    for (int s = 0; s < step->microbatches; s++) {
        const pulmo_microbatch_result *result = &step->results[s];
        finite = finite && result->finite;
        maxima[MAX_LOSS] = fmax(maxima[MAX_LOSS], fabs(result->loss));
        maxima[MAX_WEIGHT] = fmax(maxima[MAX_WEIGHT], result->weight);
        for (int t = 0; t < head_tensors(step); t++)
            maxima[MAX_BOUNDS + t] =
                fmax(maxima[MAX_BOUNDS + t], pulmo_head_microbatch_bound(step->head, s, t));
    }
    for (int t = 0; t < head_tensors(step); t++)
        finite = finite && isfinite(maxima[MAX_BOUNDS + t]);
    if (*status == PULMO_OK && !finite)
        *status = fail_nonfinite(step);
    maxima[MAX_STATUS] = *status;
    maxima[MAX_SIGNAL] = wishes->interrupted;
    maxima[MAX_CHECKPOINT] = wishes->checkpoint;
}

/* ---- gradients into integers ---- */

/* A block of a bias: one column. */
static void add_bias(pulmo_stepper *step, const pulmo_block *block, float *tile)
{
    int tensor = step->tuned_tensors + block->tensor;
    int64_t *sums = step->sums + step->sum_at[tensor] + block->row;
    memset(sums, 0, (size_t)block->rows * sizeof *sums);
    for (int s = 0; s < step->microbatches; s++) {
        pulmo_head_microbatch_gradient(step->head, s, block, tile);
        pulmo_exact_add(sums, tile, (size_t)block->rows, step->exponent[tensor]);
    }
}

static void tile_task(void *context, int task, int thread)
{
    pulmo_stepper *step = context;
    int t = 0;
    while (task >= step->tile_first[t + 1])
        t++;
    const pulmo_tensor *tensor = &step->layout.tensor[step->tuned_tensors + t];
    int across = (tensor->cols + TILE_COLS - 1) / TILE_COLS, number = task - step->tile_first[t];
    pulmo_block block = {
        .tensor = t, .row = number / across * TILE_ROWS, .col = number % across * TILE_COLS};
    block.rows = tensor->rows - block.row < TILE_ROWS ? tensor->rows - block.row : TILE_ROWS;
    block.cols = tensor->cols - block.col < TILE_COLS ? tensor->cols - block.col : TILE_COLS;
    if (pulmo_tensor_is_bias(tensor)) {
        add_bias(step, &block, step->tiles + (size_t)thread * step->tile_floats);
        return;
    }
    int64_t *sums = step->sums + step->sum_at[step->tuned_tensors + t];
    const weight_way *way = &step->way[tensor->layer];
    pulmo_sufficient_sums(
        way->microbatch, way->microbatches, &block, step->exponent[step->tuned_tensors + t],
        sums + (size_t)block.row * (size_t)tensor->cols + (size_t)block.col, (size_t)tensor->cols);
}

static void sum_scalars(pulmo_stepper *step)
{
    int64_t *totals = step->sums + step->sum_count;
    memset(totals, 0, SUMS * sizeof *totals);
    for (int s = 0; s < step->microbatches; s++) {
        totals[SUM_LOSS] += llrint(ldexp(step->results[s].loss, step->exponent_loss));
        totals[SUM_WEIGHT] += llrint(ldexp(step->results[s].weight, step->exponent_weight));
        totals[SUM_CORRECT] += step->results[s].correct;
    }
    totals[SUM_COUNT] = step->batch.count;
}

/* The head's sums and the batch's totals. */
static void push_sums(pulmo_stepper *step)
{
    size_t first = step->sum_at[step->tuned_tensors];
    pulmo_exact_push(step->flight, step->sums + first, step->sum_count + SUMS - first);
}

pulmo_status pulmo_stepper_release(pulmo_stepper *step)
{
    const pulmo_config *config = step->parts.config;
    const pulmo_dataset_info *data = step->parts.data;
    uint32_t microbatches = (step->batch.global_count + step->microbatch - 1) / step->microbatch;
    for (int t = 0; t < head_tensors(step); t++)
        step->exponent[step->tuned_tensors + t] =
            pulmo_exact_exponent(step->maxima[MAX_BOUNDS + t], microbatches);
    step->exponent_loss = pulmo_exact_exponent(step->maxima[MAX_LOSS], microbatches);
    step->exponent_weight = pulmo_exact_exponent(step->maxima[MAX_WEIGHT], microbatches);
    stepper_ways_fill(step);
    double began_s = pulmo_now_s();
    pulmo_pool_run(step->parts.backbone->pool, step->tile_first[head_tensors(step)], tile_task,
                   step);
    step->times.head_s += pulmo_now_s() - began_s;
    sum_scalars(step);
    double batches = pulmo_batches(data->count, (uint32_t)config->train.batch);
    step->rate =
        pulmo_optim_rate(step->parts.optim, step->batch.epoch + step->batch.number / batches,
                         (double)config->train.epochs);
    if (stepper_alone(&step->parts)) { /* nothing travels: the factors are used where they stand */
        update(step);
        return PULMO_OK;
    }
    PULMO_TRY(pulmo_exact_begin(step->parts.comm,
                                PULMO_LINEARS_MAX + 1 + step->parts.backbone->tuned.layers,
                                &step->flight));
    stepper_ways_push(step);
    push_sums(step);
    began_s = pulmo_now_s();
    pulmo_status status = stepper_descend(step, microbatches);
    step->times.tuned_s += pulmo_now_s() - began_s;
    if (status == PULMO_OK)
        return PULMO_OK;
    (void)pulmo_exact_wait(step->flight); /* what has taken off must land before the end */
    step->flight = NULL;
    return status;
}

pulmo_status pulmo_stepper_take(pulmo_stepper *step, pulmo_status status, const pulmo_batch *batch,
                                pulmo_step_wishes *wishes)
{
    step->microbatches = 0;
    if (status == PULMO_OK) {
        step->batch = *batch;
        step->microbatches = (int)((batch->count + step->microbatch - 1) / step->microbatch);
        double began_s = pulmo_now_s();
        compute_features(step, batch);
        step->times.features_s += pulmo_now_s() - began_s;
    }
    PULMO_TRY(pulmo_stepper_finish(step));
    double began_s = pulmo_now_s();
    const float *above = stepper_climb(step);
    double climbed_s = pulmo_now_s();
    run_microbatches(step, above);
    step->times.tuned_s += climbed_s - began_s;
    step->times.head_s += pulmo_now_s() - climbed_s;
    local_maxima(step, &status, wishes);
    PULMO_TRY(pulmo_max_f64(step->parts.comm, step->maxima, MAX_BOUNDS + head_tensors(step)));
    if (step->maxima[MAX_STATUS] != PULMO_OK)
        return pulmo_agree(step->parts.comm, status);
    wishes->interrupted = step->maxima[MAX_SIGNAL] > 0;
    wishes->checkpoint = step->maxima[MAX_CHECKPOINT] > 0;
    if (wishes->interrupted || wishes->checkpoint)
        return PULMO_OK;
    return pulmo_stepper_release(step);
}
