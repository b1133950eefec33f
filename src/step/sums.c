/* The head's gradients as integers, summed over this rank's microbatches, and the batch's totals:
 * loss, weight, correct answers, samples (include/pulmo/exact.h). */
#include <math.h>
#include <string.h>

#include "step_room.h"

int stepper_tiles_of(const pulmo_tensor *tensor)
{
    int down = stepper_divide_up(tensor->rows, TILE_ROWS);
    int across = stepper_divide_up(tensor->cols, TILE_COLS);
    return down * across;
}

/* A block of a bias: one column. */
static void sum_bias(pulmo_stepper *step, const pulmo_block *block, float *tile)
{
    int number = step->head_first + block->tensor;
    int exponent = step->sums.exponent[number];
    size_t rows = (size_t)block->rows;
    int64_t *sums = stepper_sums(step, number);
    sums += block->row;
    memset(sums, 0, rows * sizeof *sums);
    for (int s = 0; s < step->microbatches.count; s++) {
        pulmo_head_microbatch_gradient(step->head, s, block, tile);
        pulmo_exact_add(sums, tile, rows, exponent);
    }
}

static void sum_weight(pulmo_stepper *step, const pulmo_block *block)
{
    int number = step->head_first + block->tensor;
    const pulmo_tensor *tensor = stepper_tensor(step, number);
    const weight_exchange *weight = &step->weights[tensor->layer];
    int exponent = step->sums.exponent[number];
    size_t width = (size_t)tensor->cols;
    int64_t *sums = stepper_sums(step, number);
    sums += stepper_element(block->row, tensor->cols, block->col);
    pulmo_sufficient_sums(weight->factors, weight->microbatches, block, exponent, sums, width);
}

/* The block of a tile; its tensor counts from the head's first. */
static pulmo_block tile_block(const pulmo_stepper *step, int task)
{
    int t = 0;
    while (task >= step->tiles.first[t + 1])
        t++;
    int of_all = step->head_first + t;
    const pulmo_tensor *tensor = stepper_tensor(step, of_all);
    int across = stepper_divide_up(tensor->cols, TILE_COLS);
    int number = task - step->tiles.first[t];
    pulmo_block block = {.tensor = t};
    int down_place = number / across;
    int across_place = number % across;
    block.row = down_place * TILE_ROWS;
    block.col = across_place * TILE_COLS;
    int rows_left = tensor->rows - block.row;
    int cols_left = tensor->cols - block.col;
    block.rows = stepper_least(rows_left, TILE_ROWS);
    block.cols = stepper_least(cols_left, TILE_COLS);
    return block;
}

static void tile_task(void *context, int task, int thread)
{
    pulmo_stepper *step = context;
    const pulmo_block block = tile_block(step, task);
    int number = step->head_first + block.tensor;
    const pulmo_tensor *tensor = stepper_tensor(step, number);
    float *tile = stepper_tile(step, thread);
    if (pulmo_tensor_is_bias(tensor))
        sum_bias(step, &block, tile);
    else
        sum_weight(step, &block);
}

static int64_t *totals_of(const pulmo_stepper *step)
{
    return step->sums.values + step->sums.count;
}

static void sum_totals(pulmo_stepper *step)
{
    int64_t *totals = totals_of(step);
    memset(totals, 0, TOTALS * sizeof *totals);
    for (int s = 0; s < step->microbatches.count; s++) {
        const pulmo_microbatch_result *result = &step->microbatches.results[s];
        double loss = ldexp(result->loss, step->sums.loss_exponent);
        double weight = ldexp(result->weight, step->sums.weight_exponent);
        totals[TOTAL_LOSS] += llrint(loss);
        totals[TOTAL_WEIGHT] += llrint(weight);
        totals[TOTAL_CORRECT] += result->correct;
    }
    totals[TOTAL_COUNT] = step->batch.count;
}

void stepper_sums_fill(pulmo_stepper *step)
{
    int tiles = step->tiles.first[stepper_head_tensors(step)];
    stepper_run(step, tiles, tile_task, step);
    sum_totals(step);
}

void stepper_sums_push(pulmo_stepper *step)
{
    const step_sums *sums = &step->sums;
    size_t first = sums->at[step->head_first];
    size_t end = sums->count + TOTALS;
    int64_t *values = sums->values + first;
    pulmo_exact_push(step->exchange.flight, values, end - first);
}

double stepper_sums_count(pulmo_stepper *step)
{
    pulmo_state *state = step->parts.state;
    const int64_t *totals = totals_of(step);
    double loss = ldexp((double)totals[TOTAL_LOSS], -step->sums.loss_exponent);
    double weight = ldexp((double)totals[TOTAL_WEIGHT], -step->sums.weight_exponent);
    state->step++;
    state->batch++;
    state->sums.loss += loss;
    state->sums.weight += weight;
    state->sums.correct += totals[TOTAL_CORRECT];
    state->sums.count += totals[TOTAL_COUNT];
    return weight;
}
