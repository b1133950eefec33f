/* The update: integer sums to gradients, the gradients' norm, the optimiser's step, the average.
 *
 * Work is cut into tasks in one way for any number of threads, and the norm is added up in the
 * tasks' order: the same bits everywhere. */
#include <math.h>
#include <string.h>

#include "step_room.h"

#define STRIP_ROWS 4 /* rows of a block whose gradient stays in L1 until it is used */
#define UPDATE_CHUNK                                                                               \
    (TILE_ROWS *                                                                                   \
     TILE_COLS) /* parameters a task, at the most: their gradients take a thread's tile */

typedef struct update_work {
    pulmo_stepper *step;
    double scale; /* 1 / weight of the batch */
    float shrink; /* on gradients */
} update_work;

static bool is_convolution(const pulmo_stepper *step, int tensor)
{
    return step->layout.tensor[tensor].kind == PULMO_CONV_WEIGHT;
}
static bool is_head_weight(const pulmo_stepper *step, int tensor)
{
    return step->layout.tensor[tensor].kind == PULMO_LINEAR_WEIGHT;
}

/* The block of a tensor that is a task, at the most. A bias is one column. */
static void block_size(const pulmo_stepper *step, int tensor, int *rows, int *cols)
{
    const pulmo_tensor *t = &step->layout.tensor[tensor];
    *cols = t->cols;
    *rows = UPDATE_CHUNK;
    if (is_head_weight(step, tensor)) {
        *rows = TILE_ROWS;
        *cols = TILE_COLS;
    } else if (is_convolution(step, tensor)) {
        /* One row of the tile is left for putting taps in order. */
        *rows = 2 * t->cols <= UPDATE_CHUNK ? UPDATE_CHUNK / t->cols - 1 : 1;
    }
}

static size_t blocks_of(const pulmo_stepper *step, int tensor, size_t *across)
{
    const pulmo_tensor *t = &step->layout.tensor[tensor];
    int rows, cols;
    block_size(step, tensor, &rows, &cols);
    *across = ((size_t)t->cols + (size_t)cols - 1) / (size_t)cols;
    return *across * (((size_t)t->rows + (size_t)rows - 1) / (size_t)rows);
}

int stepper_update_tasks(const pulmo_stepper *step)
{
    size_t tasks = 0, across;
    for (int t = 0; t < step->layout.tensors; t++)
        tasks += blocks_of(step, t, &across);
    return (int)tasks;
}

/* The block of a task; false where the tensor has no part in this update. */
static bool block_of(const pulmo_stepper *step, int task, pulmo_block *out)
{
    size_t at = (size_t)task, across = 1;
    int t = 0, rows, cols;
    for (size_t blocks = blocks_of(step, t, &across); at >= blocks;
         blocks = blocks_of(step, ++t, &across))
        at -= blocks;
    const pulmo_tensor *tensor = &step->layout.tensor[t];
    block_size(step, t, &rows, &cols);
    /* Down first: neighbours share the microbatches' inputs. */
    size_t down = ((size_t)tensor->rows + (size_t)rows - 1) / (size_t)rows;
    *out =
        (pulmo_block){.tensor = t, .row = (int)(at % down) * rows, .col = (int)(at / down) * cols};
    out->rows = tensor->rows - out->row < rows ? tensor->rows - out->row : rows;
    out->cols = tensor->cols - out->col < cols ? tensor->cols - out->col : cols;
    return !stepper_is_tuned(tensor) || tensor->layer >= step->lowest;
}

/* Sums of a convolution's weights stand in the order (O, tap, I), parameters in (O, I, tap).
 * `gradient` has room for one row more. */
static void finish_rows(const pulmo_stepper *step, const pulmo_block *block, double scale,
                        float *gradient)
{
    size_t cols = (size_t)block->cols, inputs = cols / 9, count = (size_t)block->rows * cols;
    const int64_t *sums = step->sums + step->sum_at[block->tensor] + (size_t)block->row * cols;
    float *row = gradient + count;
    for (size_t r = 0; r < count; r += cols) {
        pulmo_exact_finish(sums + r, cols, step->exponent[block->tensor], scale, row);
        for (size_t c = 0; c < inputs; c++)
            for (size_t tap = 0; tap < 9; tap++)
                gradient[r + 9 * c + tap] = row[tap * inputs + c];
    }
}

/* What the optimiser will want of a block. */
static pulmo_prefetch prefetch_of(const pulmo_stepper *step, const pulmo_block *block)
{
    const pulmo_state *state = step->parts.state;
    const pulmo_tensor *tensor = &step->layout.tensor[block->tensor];
    const float *arrays[] = {state->parameter, state->optim[0], state->optim[1], state->average};
    pulmo_prefetch prefetch = {.stride = (size_t)tensor->cols};
    size_t at = tensor->offset + (size_t)block->row * (size_t)tensor->cols + (size_t)block->col;
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        if (arrays[i])
            prefetch.at[prefetch.arrays++] = arrays[i] + at;
    return prefetch;
}

/* A block of a head's weight. */
static void finish_weight(const pulmo_stepper *step, const pulmo_block *block, double scale,
                          float *gradient)
{
    const pulmo_tensor *weight = &step->layout.tensor[block->tensor];
    const weight_way *way = &step->way[weight->layer];
    int exponent = step->exponent[block->tensor];
    size_t cols = (size_t)block->cols, width = (size_t)weight->cols;
    if (way->factors) {
        const pulmo_prefetch prefetch = prefetch_of(step, block);
        pulmo_sufficient_gradient(way->microbatch, way->microbatches, block, exponent, scale,
                                  &prefetch, gradient);
        return;
    }
    const int64_t *sums = step->sums + step->sum_at[block->tensor];
    for (int r = 0; r < block->rows; r++, gradient += cols) {
        size_t at = (size_t)(block->row + r) * width + (size_t)block->col;
        pulmo_exact_finish(sums + at, cols, exponent, scale, gradient);
    }
}

/* A block's gradient, dense, into a thread's tile. */
static float *finish_block(const update_work *work, const pulmo_block *block, int thread)
{
    const pulmo_stepper *step = work->step;
    float *gradient = step->tiles + (size_t)thread * step->tile_floats;
    if (is_convolution(step, block->tensor)) {
        finish_rows(step, block, work->scale, gradient);
    } else if (is_head_weight(step, block->tensor)) {
        finish_weight(step, block, work->scale, gradient);
    } else {
        pulmo_exact_finish(step->sums + step->sum_at[block->tensor] + block->row,
                           (size_t)block->rows, step->exponent[block->tensor], work->scale,
                           gradient);
    }
    return gradient;
}

static void average_range(pulmo_state *state, double decay, size_t at, size_t count)
{
    /* Young averages forget faster, or the first weights would weigh on them for long. */
    double young = (1.0 + (double)state->step) / (10.0 + (double)state->step);
    const float keep = (float)fmin(decay, young), take = 1.0f - keep;
    for (size_t i = at; i < at + count; i++)
        state->average[i] = keep * state->average[i] + take * state->parameter[i];
}

static void optimise_range(const update_work *work, const pulmo_tensor *tensor, size_t at,
                           size_t count, float *gradient)
{
    pulmo_stepper *step = work->step;
    const pulmo_config *config = step->parts.config;
    pulmo_state *state = step->parts.state;
    float *states[2] = {state->optim[0] ? state->optim[0] + at : NULL,
                        state->optim[1] ? state->optim[1] + at : NULL};
    double rate = step->rate;
    uint64_t number = state->step;
    bool frozen;
    if (stepper_is_tuned(tensor)) {
        rate *= config->optim.trunk_lr_scale;
        number -= stepper_missed(step, tensor->layer, UINT32_MAX, &frozen);
    }
    if (work->shrink != 1.0f)
        for (size_t i = 0; i < count; i++)
            gradient[i] *= work->shrink;
    pulmo_optim_step(step->parts.optim, rate, number, count, state->parameter + at, gradient,
                     states);
}

static void update_run(const update_work *work, const pulmo_tensor *tensor, size_t at, size_t count,
                       float *gradient)
{
    pulmo_state *state = work->step->parts.state;
    optimise_range(work, tensor, at, count, gradient);
    if (state->average)
        average_range(state, work->step->parts.config->optim.ema, at, count);
}

/* A block's gradient and its step. */
static void update_block(const update_work *work, const pulmo_block *block, int thread)
{
    const pulmo_tensor *tensor = &work->step->layout.tensor[block->tensor];
    size_t cols = (size_t)block->cols, width = (size_t)tensor->cols;
    size_t at = tensor->offset + (size_t)block->row * width + (size_t)block->col;
    float *gradient = finish_block(work, block, thread);
    if (cols == width)
        update_run(work, tensor, at, (size_t)block->rows * cols, gradient);
    else
        for (size_t r = 0; r < (size_t)block->rows; r++)
            update_run(work, tensor, at + r * width, cols, gradient + r * cols);
}

/* Convolutions that sit out still count in the average: it starts from them. */
static void update_task(void *context, int task, int thread)
{
    const update_work *work = context;
    pulmo_block block;
    if (!block_of(work->step, task, &block))
        return;
    if (!is_head_weight(work->step, block.tensor)) {
        update_block(work, &block, thread);
        return;
    }
    pulmo_block strip = block;
    for (int end = block.row + block.rows; strip.row < end; strip.row += STRIP_ROWS) {
        strip.rows = end - strip.row < STRIP_ROWS ? end - strip.row : STRIP_ROWS;
        update_block(work, &strip, thread);
    }
}

static void norm_task(void *context, int task, int thread)
{
    const update_work *work = context;
    pulmo_block block;
    double square = 0;
    if (block_of(work->step, task, &block)) {
        const float *gradient = finish_block(work, &block, thread);
        for (size_t i = 0; i < (size_t)block.rows * (size_t)block.cols; i++)
            square += (double)gradient[i] * (double)gradient[i];
    }
    work->step->squares[task] = square;
}

void stepper_update(pulmo_stepper *step, double weight)
{
    double most = step->parts.config->optim.clip_norm;
    update_work work = {.step = step, .scale = weight > 0 ? 1.0 / weight : 0.0, .shrink = 1};
    int tasks = stepper_update_tasks(step);
    if (most > 0) {
        double square = 0;
        pulmo_pool_run(step->parts.backbone->pool, tasks, norm_task, &work);
        for (int t = 0; t < tasks; t++)
            square += step->squares[t];
        if (sqrt(square) > most)
            work.shrink = (float)(most / (sqrt(square) + 1e-6));
    }
    pulmo_pool_run(step->parts.backbone->pool, tasks, update_task, &work);
    if (step->tuned && step->lowest < step->parts.backbone->tuned.layers)
        pulmo_tuned_use(step->tuned, step->parts.state->parameter);
}
