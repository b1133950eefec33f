/* The update: integer sums to gradients, the gradients' norm, the optimiser's step, the average.
 *
 * Work is cut into tasks in one way for any number of threads, and the norm is added up in the tasks'
 * order: the same bits everywhere. */
#include <math.h>
#include <string.h>

#include "step_room.h"

#define UPDATE_CHUNK (TILE_ROWS * TILE_COLS) /* parameters a task, at the most: their gradients take a thread's tile */

typedef struct update_work {
    stepper *step;
    double scale; /* 1 / weight of the batch */
    float shrink; /* on gradients */
} update_work;

/* Rows of a convolution's weights, or parameters of another tensor, in a task. */
static size_t chunk_of(const stepper *step, int tensor, size_t *units)
{
    const pulmo_tensor *t = &step->layout.tensor[tensor];
    bool convolution = tensor < step->tail_tensors && tensor % 2 == 0;
    *units = convolution ? (size_t)t->rows : (size_t)t->rows * (size_t)t->cols;
    if (!convolution) return UPDATE_CHUNK;
    /* One row of the tile is left for putting taps in order. */
    return 2 * (size_t)t->cols <= UPDATE_CHUNK ? UPDATE_CHUNK / (size_t)t->cols - 1 : 1;
}

int stepper_update_tasks(const stepper *step)
{
    size_t tasks = 0, units;
    for (int t = 0; t < step->layout.tensors; t++) {
        size_t chunk = chunk_of(step, t, &units);
        tasks += (units + chunk - 1) / chunk;
    }
    return (int)tasks;
}

/* The tensor and range of a task; false where the tensor has no part in this update. */
static bool range_of(const stepper *step, int task, int *tensor, size_t *first, size_t *count)
{
    size_t at = (size_t)task, units;
    for (int t = 0; t < step->layout.tensors; t++) {
        size_t chunk = chunk_of(step, t, &units), tasks = (units + chunk - 1) / chunk;
        if (at >= tasks) {
            at -= tasks;
            continue;
        }
        size_t each = t < step->tail_tensors && t % 2 == 0 ? (size_t)step->layout.tensor[t].cols : 1;
        size_t begin = at * chunk, end = begin + chunk < units ? begin + chunk : units;
        *tensor = t;
        *first = begin * each;
        *count = (end - begin) * each;
        return t >= step->tail_tensors || t / 2 >= step->lowest;
    }
    return false;
}

/* Sums of a convolution's weights stand in the order (O, tap, I), parameters in (O, I, tap). */
static void finish_rows(const stepper *step, int tensor, size_t at, size_t count, double scale, float *gradient)
{
    size_t cols = (size_t)step->layout.tensor[tensor].cols, inputs = cols / 9;
    float *row = gradient + count;
    for (size_t r = 0; r < count; r += cols) {
        pulmo_exact_finish(step->sums + at + r, cols, step->exponent[tensor], scale, row);
        for (size_t c = 0; c < inputs; c++)
            for (size_t tap = 0; tap < 9; tap++) gradient[r + 9 * c + tap] = row[tap * inputs + c];
    }
}

/* A range's gradient, into a thread's tile. */
static float *finish_range(const update_work *work, int tensor, size_t at, size_t count, int thread)
{
    const stepper *step = work->step;
    float *gradient = step->tiles + (size_t)thread * step->tile_floats;
    if (tensor < step->tail_tensors && tensor % 2 == 0) finish_rows(step, tensor, at, count, work->scale, gradient);
    else pulmo_exact_finish(step->sums + at, count, step->exponent[tensor], work->scale, gradient);
    return gradient;
}

static void average_range(run_state *state, double decay, size_t at, size_t count)
{
    /* Young averages forget faster, or the first weights would weigh on them for long. */
    double young = (1.0 + (double)state->step) / (10.0 + (double)state->step);
    const float keep = (float)fmin(decay, young), take = 1.0f - keep;
    for (size_t i = at; i < at + count; i++) state->average[i] = keep * state->average[i] + take * state->parameter[i];
}

static void optimise_range(const update_work *work, int tensor, size_t at, size_t count, float *gradient)
{
    stepper *step = work->step;
    const pulmo_config *config = step->parts.config;
    run_state *state = step->parts.state;
    float *states[2] = {state->optim[0] ? state->optim[0] + at : NULL, state->optim[1] ? state->optim[1] + at : NULL};
    double rate = step->rate;
    uint64_t number = state->step;
    bool frozen;
    if (tensor < step->tail_tensors) {
        rate *= config->optim.trunk_lr_scale;
        number -= stepper_missed(step, tensor / 2, UINT32_MAX, &frozen);
    }
    if (work->shrink != 1.0f)
        for (size_t i = 0; i < count; i++) gradient[i] *= work->shrink;
    pulmo_optim_step(step->parts.optim, rate, number, count, state->parameter + at, gradient, states);
}

/* Convolutions that sit out still count in the average: it starts from them. */
static void update_task(void *context, int task, int thread)
{
    const update_work *work = context;
    stepper *step = work->step;
    int tensor = 0;
    size_t first = 0, count = 0;
    if (!range_of(step, task, &tensor, &first, &count)) return;
    size_t at = step->layout.tensor[tensor].offset + first;
    optimise_range(work, tensor, at, count, finish_range(work, tensor, at, count, thread));
    if (step->parts.state->average) average_range(step->parts.state, step->parts.config->optim.ema, at, count);
}

static void norm_task(void *context, int task, int thread)
{
    const update_work *work = context;
    stepper *step = work->step;
    int tensor = 0;
    size_t first = 0, count = 0;
    double square = 0;
    if (range_of(step, task, &tensor, &first, &count)) {
        size_t at = step->layout.tensor[tensor].offset + first;
        const float *gradient = finish_range(work, tensor, at, count, thread);
        for (size_t i = 0; i < count; i++) square += (double)gradient[i] * (double)gradient[i];
    }
    step->squares[task] = square;
}

void stepper_update(stepper *step, double weight)
{
    double most = step->parts.config->optim.clip_norm;
    update_work work = {.step = step, .scale = weight > 0 ? 1.0 / weight : 0.0, .shrink = 1};
    int tasks = stepper_update_tasks(step);
    if (most > 0) {
        double square = 0;
        pulmo_pool_run(step->parts.backbone->pool, tasks, norm_task, &work);
        for (int t = 0; t < tasks; t++) square += step->squares[t];
        if (sqrt(square) > most) work.shrink = (float)(most / (sqrt(square) + 1e-6));
    }
    pulmo_pool_run(step->parts.backbone->pool, tasks, update_task, &work);
    if (step->tail && step->lowest < step->tail_tensors / 2) pulmo_tail_use(step->tail, step->parts.state->parameter);
}
