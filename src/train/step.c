/* One batch: features, the update of the batch before, this batch's gradients and their sum.
 *
 *   take(t):  features of t  (the sum of t-1 travels meanwhile)
 *             wait for the sum of t-1, update the parameters
 *             run this rank's slots of t
 *             one small maximum: bounds, failures, signals
 *             slot gradients -> integers, start their sum
 *
 * The order of updates is that of plain synchronous training. Nothing here depends on which
 * rank or thread does what: a slot's arithmetic is fixed, and integers are summed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "train.h"

/* Tiles in which slot gradients are made and added: a tile of floats and one of integers stay in L2. */
#define TILE_ROWS 64
#define TILE_COLS 512
#define UPDATE_CHUNK (TILE_ROWS * TILE_COLS) /* parameters a task: their gradients take a thread's tile */

enum { SUM_LOSS, SUM_WEIGHT, SUM_CORRECT, SUM_COUNT, SUMS };
/* The small maximum: one entry each, then a bound a tensor. */
enum { MAX_STATUS, MAX_SIGNAL, MAX_CHECKPOINT, MAX_NONFINITE, MAX_LOSS, MAX_WEIGHT, MAX_BOUNDS };

struct stepper {
    stepper_parts parts;
    pulmo_head_layout layout;
    pulmo_head *head;
    uint32_t slot;
    int slots_room;                 /* slots of this rank in a batch, at the most */
    int slots;                      /* of the batch at hand */
    float *features;                /* (slots_room * slot, C, h, w) */
    size_t feature_floats;          /* of one image */
    pulmo_slot_result *results;     /* (slots_room) */
    double maxima[MAX_BOUNDS + PULMO_TENSORS_MAX];
    int64_t *sums;                  /* (parameters + SUMS) */
    int exponent[PULMO_TENSORS_MAX];
    int exponent_loss, exponent_weight;
    float *tiles;                   /* (threads, TILE_ROWS * TILE_COLS) */
    int tile_first[PULMO_TENSORS_MAX + 1]; /* number of a tensor's first tile */
    pulmo_batch batch;              /* the batch at hand */
    pulmo_exact_sum *flight;        /* the sum that travels; NULL if none */
    double rate;                    /* of the update that belongs to it */
    double waited_s;
};

static int tiles_of(const pulmo_tensor *tensor)
{
    int down = (tensor->rows + TILE_ROWS - 1) / TILE_ROWS;
    int across = (tensor->cols + TILE_COLS - 1) / TILE_COLS;
    return down * across;
}

static int slots_room(const stepper_parts *parts)
{
    uint32_t batch = (uint32_t)parts->config->train.batch, slot = (uint32_t)parts->config->train.slot;
    uint32_t slots = (batch + slot - 1) / slot, size = (uint32_t)pulmo_comm_size(parts->comm);
    return (int)((slots + size - 1) / size);
}

static size_t feature_floats(const stepper_parts *parts)
{
    return (size_t)parts->head->channels * (size_t)parts->head->height * (size_t)parts->head->width;
}

uint64_t stepper_bytes(const stepper_parts *parts)
{
    pulmo_head_layout layout;
    pulmo_head_layout_of(parts->head, &layout);
    uint64_t images = (uint64_t)slots_room(parts) * (uint64_t)parts->config->train.slot;
    return images * feature_floats(parts) * sizeof(float) + layout.parameters * sizeof(int64_t);
}

static pulmo_status allocate(stepper *step)
{
    size_t images = (size_t)step->slots_room * step->slot;
    size_t threads = (size_t)step->parts.backbone->threads;
    step->features = pulmo_alloc(images ? images : 1, step->feature_floats * sizeof(float));
    step->results = pulmo_alloc((size_t)step->slots_room + 1, sizeof *step->results);
    step->sums = pulmo_alloc(step->layout.parameters + SUMS, sizeof *step->sums);
    step->tiles = pulmo_alloc(threads, TILE_ROWS * TILE_COLS * sizeof(float));
    if (!step->features || !step->results || !step->sums || !step->tiles) return PULMO_MEMORY;
    return PULMO_OK;
}

pulmo_status stepper_create(const stepper_parts *parts, stepper **out)
{
    stepper *step = calloc(1, sizeof *step);
    if (!step) return pulmo_fail(PULMO_MEMORY, "cannot allocate the trainer");
    step->parts = *parts;
    step->slot = (uint32_t)parts->config->train.slot;
    step->slots_room = slots_room(parts);
    step->feature_floats = feature_floats(parts);
    pulmo_head_layout_of(parts->head, &step->layout);
    for (int t = 0; t < step->layout.tensors; t++)
        step->tile_first[t + 1] = step->tile_first[t] + tiles_of(&step->layout.tensor[t]);
    pulmo_status status = allocate(step);
    if (status == PULMO_OK)
        status = pulmo_head_create(parts->head, parts->loss, (int)step->slot, step->slots_room,
                                   parts->state->parameter, &step->head);
    if (status == PULMO_OK) *out = step;
    else stepper_destroy(step);
    return status;
}

void stepper_destroy(stepper *step)
{
    if (!step) return;
    pulmo_head_destroy(step->head);
    pulmo_free(step->features);
    pulmo_free(step->results);
    pulmo_free(step->sums);
    pulmo_free(step->tiles);
    free(step);
}

double stepper_waited_s(const stepper *step) { return step->waited_s; }

/* ---- features ---- */

/* A few images at a time, so that the sum in flight gets on in between. */
static void compute_features(stepper *step, const pulmo_batch *batch)
{
    const pulmo_dataset_info *data = step->parts.data;
    size_t image_floats = 3 * (size_t)data->height_px * (size_t)data->width_px;
    for (uint32_t at = 0; at < batch->count; at += step->slot) {
        uint32_t count = batch->count - at < step->slot ? batch->count - at : step->slot;
        pulmo_trunk_forward(step->parts.backbone->trunk, (int)count, batch->images + at * image_floats,
                            step->features + at * step->feature_floats);
        if (step->flight) pulmo_exact_poll(step->flight);
        pulmo_watch_beat(step->parts.comm, "computing features");
    }
}

/* ---- the update ---- */

typedef struct update_work {
    stepper *step;
    double scale; /* 1 / weight of the batch */
} update_work;

static void update_range(stepper *step, double scale, int tensor, size_t first, size_t count, float *gradient)
{
    run_state *state = step->parts.state;
    size_t at = step->layout.tensor[tensor].offset + first;
    float *states[2] = {state->optim[0] ? state->optim[0] + at : NULL, state->optim[1] ? state->optim[1] + at : NULL};
    pulmo_exact_finish(step->sums + at, count, step->exponent[tensor], scale, gradient);
    pulmo_optim_step(step->parts.optim, step->rate, state->step, count, state->parameter + at, gradient, states);
}

static void update_task(void *context, int task, int thread)
{
    update_work *work = context;
    const pulmo_head_layout *layout = &work->step->layout;
    float *gradient = work->step->tiles + (size_t)thread * UPDATE_CHUNK;
    for (int t = 0; t < layout->tensors; t++) {
        size_t size = (size_t)layout->tensor[t].rows * (size_t)layout->tensor[t].cols;
        int tasks = (int)((size + UPDATE_CHUNK - 1) / UPDATE_CHUNK);
        if (task >= tasks) {
            task -= tasks;
            continue;
        }
        size_t first = (size_t)task * UPDATE_CHUNK;
        update_range(work->step, work->scale, t, first, size - first < UPDATE_CHUNK ? size - first : UPDATE_CHUNK, gradient);
        return;
    }
}

static int update_tasks(const pulmo_head_layout *layout)
{
    int tasks = 0;
    for (int t = 0; t < layout->tensors; t++) {
        size_t size = (size_t)layout->tensor[t].rows * (size_t)layout->tensor[t].cols;
        tasks += (int)((size + UPDATE_CHUNK - 1) / UPDATE_CHUNK);
    }
    return tasks;
}

pulmo_status stepper_finish(stepper *step)
{
    if (!step->flight) return PULMO_OK;
    run_state *state = step->parts.state;
    double began_s = pulmo_now_s();
    pulmo_exact_sum *flight = step->flight;
    step->flight = NULL;
    PULMO_TRY(pulmo_exact_wait(flight));
    step->waited_s += pulmo_now_s() - began_s;

    const int64_t *totals = step->sums + step->layout.parameters;
    double weight = ldexp((double)totals[SUM_WEIGHT], -step->exponent_weight);
    update_work work = {.step = step, .scale = weight > 0 ? 1.0 / weight : 0.0};
    state->step++;
    pulmo_pool_run(step->parts.backbone->pool, update_tasks(&step->layout), update_task, &work);
    state->sums.loss += ldexp((double)totals[SUM_LOSS], -step->exponent_loss);
    state->sums.weight += weight;
    state->sums.correct += totals[SUM_CORRECT];
    state->sums.count += totals[SUM_COUNT];
    state->batch++;
    return PULMO_OK;
}

/* ---- this batch's slots ---- */

static void slot_task(void *context, int task, int thread)
{
    stepper *step = context;
    const pulmo_batch *batch = &step->batch;
    uint32_t at = (uint32_t)task * step->slot;
    uint32_t left = batch->count - at;
    (void)thread;
    pulmo_slot_input input = {
        .count = (int)(left < step->slot ? left : step->slot),
        .features = step->features + at * step->feature_floats,
        .labels = batch->labels + at,
        .samples = batch->samples + at,
        .seed = (uint64_t)step->parts.config->train.seed,
        .epoch = batch->epoch,
    };
    pulmo_head_slot_run(step->head, task, &input, &step->results[task]);
}

/* Names the files of this rank's slots that did not give finite gradients. */
static pulmo_status fail_nonfinite(const stepper *step)
{
    char names[1024] = "";
    size_t at = 0;
    for (int s = 0; s < step->slots; s++) {
        if (step->results[s].finite) continue;
        for (uint32_t i = (uint32_t)s * step->slot; i < (uint32_t)(s + 1) * step->slot && i < step->batch.count; i++)
            if (at < sizeof names)
                at += (size_t)snprintf(names + at, sizeof names - at, " %s", step->parts.data->paths[step->batch.samples[i]]);
    }
    return pulmo_fail(PULMO_RUNTIME,
                      "epoch %u, batch %u: the loss or a gradient is not finite; lower optim.lr (now %g) or look at "
                      "the slot's images:%s",
                      step->batch.epoch + 1, step->batch.number + 1, step->parts.config->optim.lr, names);
}

/* This rank's part of the small maximum. */
static void local_maxima(stepper *step, pulmo_status *status, const step_wishes *wishes)
{
    double *maxima = step->maxima;
    memset(step->maxima, 0, sizeof step->maxima);
    bool finite = true;
    for (int s = 0; s < step->slots; s++) {
        const pulmo_slot_result *result = &step->results[s];
        finite = finite && result->finite;
        maxima[MAX_LOSS] = fmax(maxima[MAX_LOSS], fabs(result->loss));
        maxima[MAX_WEIGHT] = fmax(maxima[MAX_WEIGHT], result->weight);
        for (int t = 0; t < step->layout.tensors; t++)
            maxima[MAX_BOUNDS + t] = fmax(maxima[MAX_BOUNDS + t], pulmo_head_slot_bound(step->head, s, t));
    }
    for (int t = 0; t < step->layout.tensors; t++) finite = finite && isfinite(maxima[MAX_BOUNDS + t]);
    if (*status == PULMO_OK && !finite) *status = fail_nonfinite(step);
    maxima[MAX_STATUS] = *status;
    maxima[MAX_SIGNAL] = wishes->interrupted;
    maxima[MAX_CHECKPOINT] = wishes->checkpoint;
}

/* ---- gradients into integers ---- */

static void tile_task(void *context, int task, int thread)
{
    stepper *step = context;
    int t = 0;
    while (task >= step->tile_first[t + 1]) t++;
    const pulmo_tensor *tensor = &step->layout.tensor[t];
    int across = (tensor->cols + TILE_COLS - 1) / TILE_COLS, number = task - step->tile_first[t];
    pulmo_block block = {.tensor = t, .row = number / across * TILE_ROWS, .col = number % across * TILE_COLS};
    block.rows = tensor->rows - block.row < TILE_ROWS ? tensor->rows - block.row : TILE_ROWS;
    block.cols = tensor->cols - block.col < TILE_COLS ? tensor->cols - block.col : TILE_COLS;
    float *tile = step->tiles + (size_t)thread * TILE_ROWS * TILE_COLS;

    int64_t *sums = step->sums + tensor->offset + (size_t)block.row * (size_t)tensor->cols + (size_t)block.col;
    for (int r = 0; r < block.rows; r++) memset(sums + (size_t)r * (size_t)tensor->cols, 0, (size_t)block.cols * sizeof *sums);
    for (int s = 0; s < step->slots; s++) {
        pulmo_head_slot_gradient(step->head, s, &block, tile);
        for (int r = 0; r < block.rows; r++)
            pulmo_exact_add(sums + (size_t)r * (size_t)tensor->cols, tile + (size_t)r * (size_t)block.cols,
                            (size_t)block.cols, step->exponent[t]);
    }
}

static void sum_scalars(stepper *step)
{
    int64_t *totals = step->sums + step->layout.parameters;
    memset(totals, 0, SUMS * sizeof *totals);
    for (int s = 0; s < step->slots; s++) {
        totals[SUM_LOSS] += llrint(ldexp(step->results[s].loss, step->exponent_loss));
        totals[SUM_WEIGHT] += llrint(ldexp(step->results[s].weight, step->exponent_weight));
        totals[SUM_CORRECT] += step->results[s].correct;
    }
    totals[SUM_COUNT] = step->batch.count;
}

pulmo_status stepper_release(stepper *step)
{
    const pulmo_config *config = step->parts.config;
    const pulmo_dataset_info *data = step->parts.data;
    uint32_t slots = (step->batch.global_count + step->slot - 1) / step->slot;
    for (int t = 0; t < step->layout.tensors; t++)
        step->exponent[t] = pulmo_exact_exponent(step->maxima[MAX_BOUNDS + t], slots);
    step->exponent_loss = pulmo_exact_exponent(step->maxima[MAX_LOSS], slots);
    step->exponent_weight = pulmo_exact_exponent(step->maxima[MAX_WEIGHT], slots);
    pulmo_pool_run(step->parts.backbone->pool, step->tile_first[step->layout.tensors], tile_task, step);
    sum_scalars(step);
    double batches = pulmo_batches(data->count, (uint32_t)config->train.batch);
    step->rate = pulmo_optim_rate(step->parts.optim, step->batch.epoch + step->batch.number / batches,
                                  (double)config->train.epochs);
    return pulmo_exact_start(step->parts.comm, step->sums, step->layout.parameters + SUMS, &step->flight);
}

pulmo_status stepper_take(stepper *step, pulmo_status status, const pulmo_batch *batch, step_wishes *wishes)
{
    step->slots = 0;
    if (status == PULMO_OK) {
        step->batch = *batch;
        step->slots = (int)((batch->count + step->slot - 1) / step->slot);
        compute_features(step, batch);
    }
    PULMO_TRY(stepper_finish(step));
    pulmo_pool_run(step->parts.backbone->pool, step->slots, slot_task, step);
    local_maxima(step, &status, wishes);
    PULMO_TRY(pulmo_max_f64(step->parts.comm, step->maxima, MAX_BOUNDS + step->layout.tensors));
    if (step->maxima[MAX_STATUS] != PULMO_OK) return pulmo_agree(step->parts.comm, status);
    wishes->interrupted = step->maxima[MAX_SIGNAL] > 0;
    wishes->checkpoint = step->maxima[MAX_CHECKPOINT] > 0;
    if (wishes->interrupted || wishes->checkpoint) return PULMO_OK;
    return stepper_release(step);
}
