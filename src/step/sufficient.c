/* The exchange of the gradients of the head's weights, in one of two ways, which give the same
 * bits:
 *
 *   sums     every rank adds its microbatches' gradients as integers, and an all-reduce sums them
 *   factors  every rank gathers all samples' inputs and deltas, the sufficient factors, and adds
 *            the gradients of all microbatches itself
 *
 * Factors of a batch are batch x (inputs + outputs) floats, against inputs x outputs integers that
 * are sent twice: for the default head and 32 images 3 MB against 103 MB. In return every rank
 * computes the whole batch's outer products. (Xie et al., "Lighter-communication distributed
 * machine learning via sufficient factor broadcasting", 2016.) */
#include <limits.h>
#include <string.h>

#include "pulmo/memory.h"
#include "step_room.h"

/* Outer products of one image cost a rank about 1 / NODE_BATCH of what summing the weight's
 * integers over the ranks of one node does (docs/explanation/scaling.md). */
#define NODE_BATCH 128

/* ---- which way ---- */

bool stepper_is_alone(const pulmo_stepper_parts *parts)
{
    bool head_alone = parts->backbone->tuned.layers == 0;
    bool automatic = parts->config->train.exchange == PULMO_EXCHANGE_AUTO;
    bool one_rank = pulmo_comm_size(parts->comm) == 1;
    return head_alone && automatic && one_rank;
}

/* Factors of one sample: the weight's inputs and outputs. */
static size_t width_of(const pulmo_tensor *weight)
{
    size_t outputs = (size_t)weight->rows;
    size_t inputs = (size_t)weight->cols;
    return outputs + inputs;
}

/* The way of train.exchange: auto. */
static bool factors_pay(const pulmo_stepper_parts *parts, const pulmo_tensor *weight)
{
    uint64_t batch = (uint64_t)parts->config->train.batch;
    uint64_t factors = batch * width_of(weight);
    if (factors > pulmo_tensor_count(weight))
        return false;
    /* Alone it is a matter of memory; between nodes the network is what costs. */
    bool alone = pulmo_comm_size(parts->comm) == 1;
    bool one_node = pulmo_comm_nodes(parts->comm) == 1;
    return alone || !one_node || batch <= NODE_BATCH;
}

bool stepper_by_factors(const pulmo_stepper_parts *parts, const pulmo_tensor *tensor)
{
    uint64_t batch = (uint64_t)parts->config->train.batch;
    int exchange = parts->config->train.exchange;
    if (tensor->kind != PULMO_LINEAR_WEIGHT)
        return false;
    if (stepper_is_alone(parts))
        return true;
    if (batch * width_of(tensor) > INT_MAX)
        return false;
    if (exchange == PULMO_EXCHANGE_SUMS)
        return false;
    return exchange == PULMO_EXCHANGE_FACTORS || factors_pay(parts, tensor);
}

/* ---- memory ---- */

uint64_t stepper_exchange_bytes(const pulmo_stepper_parts *parts, const pulmo_layout *layout)
{
    uint64_t batch = (uint64_t)parts->config->train.batch;
    uint64_t bytes = 0;
    for (int t = 0; t < layout->tensors; t++) {
        const pulmo_tensor *tensor = &layout->tensor[t];
        if (!stepper_by_factors(parts, tensor))
            bytes += pulmo_tensor_count(tensor) * sizeof(int64_t);
        else if (!stepper_is_alone(parts))
            bytes += batch * width_of(tensor) * sizeof(float);
    }
    return bytes;
}

static int head_layers(const pulmo_stepper *step)
{
    return step->parts.head->hidden_layers + 1;
}

static const pulmo_tensor *weight_of(const pulmo_stepper *step, int layer)
{
    return pulmo_layout_get(&step->layout, PULMO_LINEAR_WEIGHT, layer);
}

static int microbatches_of(const pulmo_stepper *step, uint32_t samples)
{
    int each = (int)step->microbatches.samples;
    return stepper_divide_up((int)samples, each);
}

/* Memory for factors that travel. */
static pulmo_status allocate_travelling(const pulmo_stepper *step, weight_exchange *weight)
{
    size_t batch = (size_t)step->parts.config->train.batch;
    size_t ranks = (size_t)pulmo_comm_size(step->parts.comm);
    size_t sample_bytes = weight->width * sizeof *weight->all;
    weight->all = pulmo_alloc(batch, sample_bytes);
    weight->counts = pulmo_alloc(2 * ranks, sizeof *weight->counts);
    return weight->all && weight->counts ? PULMO_OK : PULMO_MEMORY;
}

pulmo_status stepper_sufficient_create(pulmo_stepper *step)
{
    uint32_t batch = (uint32_t)step->parts.config->train.batch;
    size_t microbatches = (size_t)microbatches_of(step, batch);
    for (int l = 0; l < head_layers(step); l++) {
        const pulmo_tensor *tensor = weight_of(step, l);
        weight_exchange *weight = &step->weights[l];
        weight->by_factors = stepper_by_factors(&step->parts, tensor);
        weight->width = width_of(tensor);
        weight->factors = pulmo_alloc(microbatches, sizeof *weight->factors);
        if (!weight->factors)
            return PULMO_MEMORY;
        if (weight->by_factors && !stepper_is_alone(&step->parts))
            PULMO_TRY(allocate_travelling(step, weight));
    }
    return PULMO_OK;
}

void stepper_sufficient_destroy(pulmo_stepper *step)
{
    for (int l = 0; l < PULMO_LINEARS_MAX; l++) {
        const weight_exchange *weight = &step->weights[l];
        pulmo_free(weight->all);
        pulmo_free(weight->counts);
        pulmo_free(weight->factors);
    }
}

/* ---- a batch ---- */

/* Samples of the batch before a microbatch, which may be the one after the last. */
static uint32_t samples_before(const pulmo_stepper *step, uint32_t microbatch)
{
    uint32_t at = microbatch * step->microbatches.samples;
    uint32_t all = step->batch.global_count;
    return at < all ? at : all;
}

/* Factors into a travelling array: for each sample its input, then its delta. */
static void pack_factors(const pulmo_sufficient_factors *factors, size_t width, float *to)
{
    size_t inputs = factors->input_stride;
    size_t outputs = factors->delta_stride;
    const float *input = factors->input;
    const float *delta = factors->delta;
    for (int n = 0; n < factors->count; n++) {
        memcpy(to, input, inputs * sizeof *to);
        memcpy(to + inputs, delta, outputs * sizeof *to);
        input += inputs;
        delta += outputs;
        to += width;
    }
}

/* One of this rank's microbatches. */
static void pack_task(void *context, int task, int thread)
{
    pulmo_stepper *step = context;
    uint32_t microbatch = (uint32_t)task;
    microbatch += step->batch.first_microbatch;
    uint32_t first = samples_before(step, microbatch);
    (void)thread;
    for (int l = 0; l < head_layers(step); l++) {
        const weight_exchange *weight = &step->weights[l];
        pulmo_sufficient_factors factors;
        if (!weight->all)
            continue;
        float *place = weight->all + first * weight->width;
        pulmo_head_microbatch_factors(step->head, task, l, &factors);
        pack_factors(&factors, weight->width, place);
    }
}

/* Floats of a rank's samples. */
static int rank_floats(const pulmo_stepper *step, int rank, size_t width)
{
    uint32_t count = step->batch.global_count;
    uint32_t samples = step->microbatches.samples;
    int ranks = pulmo_comm_size(step->parts.comm);
    pulmo_microbatches part = pulmo_microbatches_of(count, samples, rank, ranks);
    uint32_t first = samples_before(step, part.first);
    uint32_t after = part.first + part.count;
    uint32_t end = samples_before(step, after);
    size_t floats = (end - first) * width;
    return (int)floats;
}

/* All microbatches of the batch, where their factors will have arrived. */
static void expect_microbatches(pulmo_stepper *step, int layer)
{
    weight_exchange *weight = &step->weights[layer];
    size_t inputs = (size_t)weight_of(step, layer)->cols;
    int ranks = pulmo_comm_size(step->parts.comm);
    weight->microbatches = microbatches_of(step, step->batch.global_count);
    for (int s = 0; s < weight->microbatches; s++) {
        pulmo_sufficient_factors *factors = &weight->factors[s];
        uint32_t first = samples_before(step, (uint32_t)s);
        uint32_t end = samples_before(step, (uint32_t)s + 1);
        factors->count = (int)(end - first);
        size_t place = first * weight->width;
        factors->input = weight->all + place;
        factors->delta = factors->input + inputs;
        factors->input_stride = weight->width;
        factors->delta_stride = weight->width;
    }
    for (int r = 0; r < ranks; r++)
        weight->counts[r] = rank_floats(step, r, weight->width);
}

void stepper_sufficient_fill(pulmo_stepper *step)
{
    int own = step->microbatches.count;
    stepper_run(step, own, pack_task, step);
    for (int l = 0; l < head_layers(step); l++) {
        weight_exchange *weight = &step->weights[l];
        if (weight->all) {
            expect_microbatches(step, l);
            continue;
        }
        weight->microbatches = own;
        for (int s = 0; s < own; s++) {
            pulmo_sufficient_factors *factors = &weight->factors[s];
            pulmo_head_microbatch_factors(step->head, s, l, factors);
        }
    }
}

void stepper_sufficient_push(pulmo_stepper *step)
{
    pulmo_exact_sum *flight = step->exchange.flight;
    for (int l = 0; l < head_layers(step); l++) {
        const weight_exchange *weight = &step->weights[l];
        if (weight->all)
            pulmo_exact_push_parts(flight, weight->all, weight->counts);
    }
}
