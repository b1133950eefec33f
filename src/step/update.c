/* The update: integer sums to gradients, the gradients' norm, the optimiser's step, the average.
 *
 * Work is divided into tasks in one way for any number of threads, and the norm is added up in the
 * tasks' order: the same bits everywhere. */
#include <math.h>
#include <string.h>

#include "step_room.h"

#define STRIP_ROWS 4 /* rows of a block whose gradient stays in L1 until it is used */
/* Parameters of a task, at most: their gradients take a thread's tile. */
#define UPDATE_CHUNK (TILE_ROWS * TILE_COLS)

typedef struct update_work {
    pulmo_stepper *step;
    double scale;                                  /* 1 / weight of the batch */
    float shrink;                                  /* of gradients, by optim.clip_norm */
    pulmo_optim_update scalars[PULMO_TENSORS_MAX]; /* of each tensor that takes part */
} update_work;

/* ---- tasks ---- */

typedef struct block_size {
    int rows, cols;
} block_size;

/* The largest block of a tensor that is one task. */
static block_size size_of_block(const pulmo_tensor *tensor)
{
    block_size size = {.rows = UPDATE_CHUNK, .cols = tensor->cols};
    switch (tensor->kind) {
    case PULMO_LINEAR_WEIGHT:
        size.rows = TILE_ROWS;
        size.cols = TILE_COLS;
        break;
    case PULMO_CONV_WEIGHT:
        size.rows = 1;
        /* One row of the tile is left for putting taps in order. */
        if (2 * size.cols <= UPDATE_CHUNK)
            size.rows = UPDATE_CHUNK / size.cols - 1;
        break;
    case PULMO_LINEAR_BIAS:
    case PULMO_CONV_BIAS:
        break;
    }
    return size;
}

static int blocks_of(const pulmo_tensor *tensor)
{
    block_size size = size_of_block(tensor);
    int across = stepper_divide_up(tensor->cols, size.cols);
    int down = stepper_divide_up(tensor->rows, size.rows);
    return across * down;
}

int stepper_update_tasks(const pulmo_stepper *step)
{
    int tasks = 0;
    for (int t = 0; t < step->layout.tensors; t++)
        tasks += blocks_of(stepper_tensor(step, t));
    return tasks;
}

static pulmo_block block_of(const pulmo_stepper *step, int task)
{
    int t = 0;
    int number = task;
    const pulmo_tensor *tensor = stepper_tensor(step, t);
    while (number >= blocks_of(tensor)) {
        number -= blocks_of(tensor);
        t++;
        tensor = stepper_tensor(step, t);
    }
    block_size size = size_of_block(tensor);
    /* Down first: neighbours share the microbatches' inputs. */
    int down = stepper_divide_up(tensor->rows, size.rows);
    pulmo_block block = {.tensor = t};
    int down_place = number % down;
    int across_place = number / down;
    block.row = down_place * size.rows;
    block.col = across_place * size.cols;
    int rows_left = tensor->rows - block.row;
    int cols_left = tensor->cols - block.col;
    block.rows = stepper_least(rows_left, size.rows);
    block.cols = stepper_least(cols_left, size.cols);
    return block;
}

/* Whether a tensor has a part in this update: all but those of convolutions still frozen. */
static bool takes_part(const pulmo_stepper *step, const pulmo_tensor *tensor)
{
    if (!stepper_is_tuned(tensor))
        return true;
    return tensor->layer >= step->exchange.lowest;
}

/* ---- sums to gradients ---- */

/* One row, from (tap, I) to (I, tap). */
static void put_taps_last(const float *by_tap, size_t inputs, float *out)
{
    for (size_t i = 0; i < inputs; i++) {
        for (size_t tap = 0; tap < TAPS; tap++)
            *out++ = by_tap[tap * inputs + i];
    }
}

/* Whole rows of a convolution's weight. Its sums stand in the order (O, tap, I), parameters in (O,
 * I, tap). `gradient` has room for one row more. */
static void finish_convolution(const pulmo_stepper *step, const pulmo_block *block, double scale,
                               float *gradient)
{
    int exponent = step->sums.exponent[block->tensor];
    size_t cols = (size_t)block->cols;
    const int64_t *sums = stepper_sums(step, block->tensor);
    size_t rows = (size_t)block->rows;
    size_t first_row = (size_t)block->row;
    float *by_tap = gradient + rows * cols;
    sums += first_row * cols;
    for (int r = 0; r < block->rows; r++) {
        pulmo_exact_finish(sums, cols, exponent, scale, by_tap);
        put_taps_last(by_tap, cols / TAPS, gradient);
        gradient += cols;
        sums += cols;
    }
}

static size_t first_parameter(const pulmo_tensor *tensor, const pulmo_block *block)
{
    size_t within = stepper_element(block->row, tensor->cols, block->col);
    return tensor->offset + within;
}

/* What the optimiser will read of a block. */
static pulmo_prefetch prefetch_of(const pulmo_stepper *step, const pulmo_block *block)
{
    const pulmo_state *state = step->parts.state;
    const pulmo_tensor *tensor = stepper_tensor(step, block->tensor);
    pulmo_prefetch prefetch = {.stride = (size_t)tensor->cols};
    size_t at = first_parameter(tensor, block);
    prefetch.at[prefetch.arrays++] = state->parameter + at;
    for (int k = 0; k < state->states; k++)
        prefetch.at[prefetch.arrays++] = state->optim[k] + at;
    if (state->average)
        prefetch.at[prefetch.arrays++] = state->average + at;
    return prefetch;
}

/* A block of a weight of the head. */
static void finish_weight(const pulmo_stepper *step, const pulmo_block *block, double scale,
                          float *gradient)
{
    const pulmo_tensor *tensor = stepper_tensor(step, block->tensor);
    const weight_exchange *weight = &step->weights[tensor->layer];
    int exponent = step->sums.exponent[block->tensor];
    size_t cols = (size_t)block->cols;
    size_t width = (size_t)tensor->cols;
    if (weight->by_factors) {
        const pulmo_prefetch prefetch = prefetch_of(step, block);
        pulmo_sufficient_gradient(weight->factors, weight->microbatches, block, exponent, scale,
                                  &prefetch, gradient);
        return;
    }
    const int64_t *sums = stepper_sums(step, block->tensor);
    sums += stepper_element(block->row, tensor->cols, block->col);
    for (int r = 0; r < block->rows; r++) {
        pulmo_exact_finish(sums, cols, exponent, scale, gradient);
        sums += width;
        gradient += cols;
    }
}

static void finish_bias(const pulmo_stepper *step, const pulmo_block *block, double scale,
                        float *gradient)
{
    const int64_t *sums = stepper_sums(step, block->tensor);
    int exponent = step->sums.exponent[block->tensor];
    size_t rows = (size_t)block->rows;
    sums += block->row;
    pulmo_exact_finish(sums, rows, exponent, scale, gradient);
}

/* A block's gradient, dense, into a thread's tile. */
static float *finish_block(const update_work *work, const pulmo_block *block, int thread)
{
    const pulmo_stepper *step = work->step;
    const pulmo_tensor *tensor = stepper_tensor(step, block->tensor);
    float *gradient = stepper_tile(step, thread);
    switch (tensor->kind) {
    case PULMO_CONV_WEIGHT:
        finish_convolution(step, block, work->scale, gradient);
        break;
    case PULMO_LINEAR_WEIGHT:
        finish_weight(step, block, work->scale, gradient);
        break;
    case PULMO_CONV_BIAS:
    case PULMO_LINEAR_BIAS:
        finish_bias(step, block, work->scale, gradient);
        break;
    }
    return gradient;
}

/* ---- gradients to parameters ---- */

static void average_range(pulmo_state *state, double decay, size_t at, size_t count)
{
    /* A young average forgets faster, or the first weights would weigh on it for long. */
    double updates = (double)state->step;
    double young = (1.0 + updates) / (10.0 + updates);
    const float keep = (float)fmin(decay, young);
    const float take = 1.0f - keep;
    const float *parameter = state->parameter + at;
    float *average = state->average + at;
    for (size_t i = 0; i < count; i++)
        average[i] = keep * average[i] + take * parameter[i];
}

/* The part of the rate at which a trained convolution learns: the topmost block's, shrunk once for
 * each block below it (discriminative fine-tuning: Howard and Ruder 2018, section 3.2). */
static double convolution_rate(const pulmo_stepper *step, int layer)
{
    const pulmo_config *config = step->parts.config;
    const pulmo_tuned_spec *tuned = &step->parts.backbone->tuned;
    const int topmost = tuned->layer[tuned->layers - 1].block;
    double rate = config->optim.trunk_lr_scale;
    for (int block = tuned->layer[layer].block; block < topmost; block++)
        rate *= config->optim.trunk_lr_decay;
    return rate;
}

/* The optimiser's scalars for a tensor. */
static pulmo_optim_update scalars_of(const pulmo_stepper *step, const pulmo_tensor *tensor)
{
    double rate = step->exchange.rate;
    uint64_t number = step->parts.state->step;
    if (stepper_is_tuned(tensor)) {
        rate *= convolution_rate(step, tensor->layer);
        number -= stepper_frozen_updates(step, tensor->layer);
    }
    return pulmo_optim_update_of(step->parts.optim, rate, number);
}

/* The optimiser's step for parameters [at, at + count), all of one tensor. */
static void optimise_range(const update_work *work, const pulmo_optim_update *scalars, size_t at,
                           size_t count, float *gradient)
{
    pulmo_state *state = work->step->parts.state;
    float *states[2] = {NULL, NULL};
    for (int k = 0; k < state->states; k++)
        states[k] = state->optim[k] + at;
    if (work->shrink != 1.0f) {
        for (size_t i = 0; i < count; i++)
            gradient[i] *= work->shrink;
    }
    float *parameters = state->parameter + at;
    pulmo_optim_step(scalars, count, parameters, gradient, states);
}

static void update_range(const update_work *work, const pulmo_optim_update *scalars, size_t at,
                         size_t count, float *gradient)
{
    const pulmo_stepper_parts *parts = &work->step->parts;
    optimise_range(work, scalars, at, count, gradient);
    if (parts->state->average)
        average_range(parts->state, parts->config->optim.ema, at, count);
}

/* A block's gradient and its step. */
static void update_block(const update_work *work, const pulmo_block *block,
                         const pulmo_optim_update *scalars, int thread)
{
    const pulmo_tensor *tensor = stepper_tensor(work->step, block->tensor);
    size_t rows = (size_t)block->rows;
    size_t cols = (size_t)block->cols;
    size_t at = first_parameter(tensor, block);
    float *gradient = finish_block(work, block, thread);
    if (block->cols == tensor->cols) { /* whole rows stand in one range */
        update_range(work, scalars, at, rows * cols, gradient);
        return;
    }
    for (size_t r = 0; r < rows; r++) {
        update_range(work, scalars, at, cols, gradient);
        at += (size_t)tensor->cols;
        gradient += cols;
    }
}

/* A weight of the head goes strip by strip, each strip's gradient used while it is in L1. */
static void update_strips(const update_work *work, const pulmo_block *block,
                          const pulmo_optim_update *scalars, int thread)
{
    pulmo_block strip = *block;
    int end = block->row + block->rows;
    for (; strip.row < end; strip.row += STRIP_ROWS) {
        int left = end - strip.row;
        strip.rows = stepper_least(left, STRIP_ROWS);
        update_block(work, &strip, scalars, thread);
    }
}

static void update_task(void *context, int task, int thread)
{
    const update_work *work = context;
    const pulmo_block block = block_of(work->step, task);
    const pulmo_tensor *tensor = stepper_tensor(work->step, block.tensor);
    if (!takes_part(work->step, tensor))
        return;
    const pulmo_optim_update *scalars = &work->scalars[block.tensor];
    if (tensor->kind == PULMO_LINEAR_WEIGHT)
        update_strips(work, &block, scalars, thread);
    else
        update_block(work, &block, scalars, thread);
}

/* ---- the norm ---- */

static double square_of(const float *values, size_t count)
{
    double square = 0;
    for (size_t i = 0; i < count; i++) {
        double value = (double)values[i];
        square += value * value;
    }
    return square;
}

static void norm_task(void *context, int task, int thread)
{
    const update_work *work = context;
    const pulmo_block block = block_of(work->step, task);
    const pulmo_tensor *tensor = stepper_tensor(work->step, block.tensor);
    size_t rows = (size_t)block.rows;
    size_t cols = (size_t)block.cols;
    double square = 0;
    if (takes_part(work->step, tensor)) {
        const float *gradient = finish_block(work, &block, thread);
        square = square_of(gradient, rows * cols);
    }
    work->step->tiles.squares[task] = square;
}

/* The factor on gradients that brings their norm down to `most`. */
static float shrink_to(update_work *work, double most)
{
    pulmo_stepper *step = work->step;
    int tasks = stepper_update_tasks(step);
    double square = 0;
    stepper_run(step, tasks, norm_task, work);
    for (int t = 0; t < tasks; t++)
        square += step->tiles.squares[t];
    double norm = sqrt(square);
    if (norm > most)
        return (float)(most / (norm + 1e-6));
    return 1.0f;
}

/* Once a step: they take powers of the decay rates. */
static void find_scalars(update_work *work)
{
    const pulmo_stepper *step = work->step;
    for (int t = 0; t < step->layout.tensors; t++) {
        const pulmo_tensor *tensor = stepper_tensor(step, t);
        if (takes_part(step, tensor))
            work->scalars[t] = scalars_of(step, tensor);
    }
}

void stepper_update(pulmo_stepper *step, double weight)
{
    double most = step->parts.config->optim.clip_norm;
    double scale = weight > 0 ? 1.0 / weight : 0.0;
    update_work work = {.step = step, .scale = scale, .shrink = 1};
    find_scalars(&work);
    if (most > 0)
        work.shrink = shrink_to(&work, most);
    stepper_run(step, stepper_update_tasks(step), update_task, &work);
    if (step->tuned && step->exchange.lowest < stepper_layers(step))
        pulmo_tuned_use(step->tuned, step->parts.state->parameter);
}
