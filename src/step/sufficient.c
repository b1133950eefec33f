/* The head's gradients on their way to all ranks, one of two ways for each weight, which give the
 * same bits:
 *
 *   sums      every rank adds its microbatches' gradients as integers, and the integers are summed
 *             over ranks
 *   factors   every rank sends its samples' inputs and deltas, and each adds all microbatches'
 *             gradients itself
 *
 * Factors of a batch are batch x (inputs + outputs) floats against inputs x outputs integers twice
 * over: for the default head and 32 images 3 MB against 103 MB. In return every rank does the whole
 * batch's outer products. (Xie et al., "Lighter-communication distributed machine learning via
 * sufficient factor broadcasting", 2016.) */
#include <limits.h>
#include <string.h>

#include "pulmo/memory.h"
#include "step_room.h"

/* Outer products of one image cost a rank about 1 / NODE_BATCH of what summing the weight's
 * integers over the ranks of one node does (docs/explanation/scaling.md). */
#define NODE_BATCH 128

bool stepper_alone(const pulmo_stepper_parts *parts)
{
    return pulmo_comm_size(parts->comm) == 1 && parts->backbone->tuned.layers == 0 &&
           parts->config->train.exchange == PULMO_EXCHANGE_AUTO;
}

bool stepper_by_factors(const pulmo_stepper_parts *parts, const pulmo_tensor *tensor)
{
    uint64_t batch = (uint64_t)parts->config->train.batch, rows = (uint64_t)tensor->rows,
             cols = (uint64_t)tensor->cols;
    uint64_t sent = batch * (rows + cols);
    if (tensor->kind != PULMO_LINEAR_WEIGHT)
        return false;
    if (stepper_alone(parts))
        return true;
    if (sent > INT_MAX || parts->config->train.exchange == PULMO_EXCHANGE_SUMS)
        return false;
    if (parts->config->train.exchange == PULMO_EXCHANGE_FACTORS)
        return true;
    if (sent > rows * cols)
        return false;
    /* Alone it is a matter of memory; between nodes the network is what costs. */
    return pulmo_comm_size(parts->comm) == 1 || pulmo_comm_nodes(parts->comm) > 1 ||
           batch <= NODE_BATCH;
}

static weight_way *way_of(pulmo_stepper *step, int layer)
{
    return &step->way[layer];
}

static const pulmo_tensor *weight_of(const pulmo_stepper *step, int layer)
{
    return pulmo_layout_get(&step->layout, PULMO_LINEAR_WEIGHT, layer);
}

pulmo_status stepper_ways_create(pulmo_stepper *step)
{
    size_t batch = (size_t)step->parts.config->train.batch,
           microbatches = (batch + step->microbatch - 1) / step->microbatch;
    size_t ranks = (size_t)pulmo_comm_size(step->parts.comm), at = 0;
    for (int t = 0; t < step->layout.tensors; t++) {
        const pulmo_tensor *tensor = &step->layout.tensor[t];
        step->sum_at[t] = at;
        if (stepper_by_factors(&step->parts, tensor)) {
            weight_way *way = way_of(step, tensor->layer);
            way->factors = true;
            way->width = (size_t)tensor->rows + (size_t)tensor->cols;
            if (!stepper_alone(&step->parts))
                way->all = pulmo_alloc(batch, way->width * sizeof *way->all);
            way->counts = pulmo_alloc(2 * ranks, sizeof *way->counts);
            if ((!way->all && !stepper_alone(&step->parts)) || !way->counts)
                return PULMO_MEMORY;
        } else {
            at += (size_t)tensor->rows * (size_t)tensor->cols;
        }
        if (tensor->kind != PULMO_LINEAR_WEIGHT)
            continue;
        weight_way *way = way_of(step, tensor->layer);
        way->microbatch = pulmo_alloc(microbatches, sizeof *way->microbatch);
        if (!way->microbatch)
            return PULMO_MEMORY;
    }
    step->sum_count = at;
    return PULMO_OK;
}

uint64_t stepper_ways_bytes(const pulmo_stepper_parts *parts, const pulmo_layout *layout)
{
    uint64_t bytes = 0;
    for (int t = 0; t < layout->tensors; t++) {
        const pulmo_tensor *tensor = &layout->tensor[t];
        uint64_t rows = (uint64_t)tensor->rows, cols = (uint64_t)tensor->cols;
        if (stepper_by_factors(parts, tensor))
            bytes += stepper_alone(parts)
                         ? 0
                         : (uint64_t)parts->config->train.batch * (rows + cols) * sizeof(float);
        else
            bytes += rows * cols * sizeof(int64_t);
    }
    return bytes;
}

void stepper_ways_destroy(pulmo_stepper *step)
{
    for (int l = 0; l < PULMO_LINEARS_MAX; l++) {
        pulmo_free(step->way[l].all);
        pulmo_free(step->way[l].counts);
        pulmo_free(step->way[l].microbatch);
    }
}

/* ---- a batch ---- */

static uint32_t samples_before(const pulmo_stepper *step, uint32_t microbatch)
{
    uint32_t at = microbatch * step->microbatch;
    return at < step->batch.global_count ? at : step->batch.global_count;
}

/* A microbatch's factors in one of this rank's places, an input and its delta a sample. */
static void pack_task(void *context, int task, int thread)
{
    pulmo_stepper *step = context;
    uint32_t first = samples_before(step, step->batch.first_microbatch + (uint32_t)task);
    (void)thread;
    for (int l = 0; l < step->parts.head->hidden_layers + 1; l++) {
        const weight_way *way = way_of(step, l);
        pulmo_sufficient_factors factors;
        if (!way->all)
            continue;
        pulmo_head_microbatch_factors(step->head, task, l, &factors);
        for (int n = 0; n < factors.count; n++) {
            float *to = way->all + (first + (uint32_t)n) * way->width;
            memcpy(to, factors.input + (size_t)n * factors.input_stride,
                   factors.input_stride * sizeof *to);
            memcpy(to + factors.input_stride, factors.delta + (size_t)n * factors.delta_stride,
                   factors.delta_stride * sizeof *to);
        }
    }
}

/* All microbatches of the batch, where their factors will have come to. */
static void expect_microbatches(pulmo_stepper *step, int layer)
{
    weight_way *way = way_of(step, layer);
    size_t inputs = (size_t)weight_of(step, layer)->cols;
    way->microbatches = (int)((step->batch.global_count + step->microbatch - 1) / step->microbatch);
    for (int s = 0; s < way->microbatches; s++) {
        uint32_t first = samples_before(step, (uint32_t)s),
                 end = samples_before(step, (uint32_t)s + 1);
        const float *at = way->all + first * way->width;
        way->microbatch[s] = (pulmo_sufficient_factors){.count = (int)(end - first),
                                                        .input = at,
                                                        .delta = at + inputs,
                                                        .input_stride = way->width,
                                                        .delta_stride = way->width};
    }
    for (int r = 0; r < pulmo_comm_size(step->parts.comm); r++) {
        pulmo_microbatches part = pulmo_microbatches_of(step->batch.global_count, step->microbatch,
                                                        r, pulmo_comm_size(step->parts.comm));
        uint32_t samples =
            samples_before(step, part.first + part.count) - samples_before(step, part.first);
        way->counts[r] = (int)(samples * way->width);
    }
}

void stepper_ways_fill(pulmo_stepper *step)
{
    pulmo_pool_run(step->parts.backbone->pool, step->microbatches, pack_task, step);
    for (int l = 0; l < step->parts.head->hidden_layers + 1; l++) {
        weight_way *way = way_of(step, l);
        if (way->all) {
            expect_microbatches(step, l);
            continue;
        }
        way->microbatches = step->microbatches;
        for (int s = 0; s < step->microbatches; s++)
            pulmo_head_microbatch_factors(step->head, s, l, &way->microbatch[s]);
    }
}

void stepper_ways_push(pulmo_stepper *step)
{
    for (int l = 0; l < PULMO_LINEARS_MAX; l++)
        if (step->way[l].all)
            pulmo_exact_push_parts(step->flight, step->way[l].all, step->way[l].counts);
}
