/* Fine-tuned convolutions in a step: forward before the head, backward after it.
 *
 * A layer's gradients are bounded (one small maximum over ranks), made as integers and sent before
 * the layer below is begun: their all-reduce is under way while backward goes on. */
#include <math.h>
#include <string.h>

#include "step_room.h"

/* ---- blocks that join later ---- */

/* The epoch, from 0, in which a layer's block joins training. */
static uint64_t joining_epoch(const pulmo_stepper *step, int layer)
{
    const pulmo_tuned_spec *tuned = &step->parts.backbone->tuned;
    const pulmo_int_list *epochs = &step->parts.config->train.unfreeze_epochs;
    if (epochs->count == 0)
        return 0;
    int last_layer = tuned->layers - 1;
    int last_entry = epochs->count - 1;
    int top = tuned->layer[last_layer].block;
    int own = tuned->layer[layer].block;
    int entry = stepper_least(top - own, last_entry);
    return (uint64_t)epochs->value[entry];
}

uint64_t stepper_frozen_updates(const pulmo_stepper *step, int layer)
{
    uint32_t batch = (uint32_t)step->parts.config->train.batch;
    uint32_t batches = pulmo_batches(step->parts.data->count, batch);
    uint64_t epochs = joining_epoch(step, layer);
    return epochs * batches;
}

/* The lowest layer that takes part in the batch at hand; their number where none does. */
static int lowest_layer(const pulmo_stepper *step)
{
    int lowest = stepper_layers(step);
    while (lowest > 0 && step->batch.epoch >= joining_epoch(step, lowest - 1))
        lowest--;
    return lowest;
}

/* ---- forward ---- */

const float *stepper_tuned_forward(pulmo_stepper *step)
{
    step_features *features = &step->features;
    if (!step->tuned)
        return features->batch;
    pulmo_tuned_forward(step->tuned, stepper_images(step), features->batch, features->fine_tuned);
    pulmo_watch_beat(step->parts.comm, "going forward through the fine-tuned convolutions");
    return features->fine_tuned;
}

/* ---- backward ---- */

/* A microbatch's gradient by what the head was given. */
static void head_gradient_task(void *context, int task, int thread)
{
    pulmo_stepper *step = context;
    const step_features *features = &step->features;
    size_t first = (size_t)task * step->microbatches.samples;
    size_t place = first * features->head_floats;
    float *gradient = features->head_gradient + place;
    (void)thread;
    pulmo_head_microbatch_features(step->head, task, gradient);
}

/* A layer's tensors and where their sums stand. */
typedef struct layer_sums {
    pulmo_stepper *step;
    const pulmo_tensor *weight, *bias;
    int64_t *weight_sums; /* (rows, taps, inputs) */
    int64_t *bias_sums;   /* (rows) */
    int weight_exponent, bias_exponent;
} layer_sums;

static layer_sums sums_of_layer(pulmo_stepper *step, int layer)
{
    const pulmo_layout *layout = &step->layout;
    const step_sums *sums = &step->sums;
    int weight = pulmo_layout_find(layout, PULMO_CONV_WEIGHT, layer);
    int bias = pulmo_layout_find(layout, PULMO_CONV_BIAS, layer);
    return (layer_sums){
        .step = step,
        .weight = stepper_tensor(step, weight),
        .bias = stepper_tensor(step, bias),
        .weight_sums = stepper_sums(step, weight),
        .bias_sums = stepper_sums(step, bias),
        .weight_exponent = sums->exponent[weight],
        .bias_exponent = sums->exponent[bias],
    };
}

/* Parts of different units may meet in the same sums. */
static void add_part(void *context, const pulmo_tuned_part *part)
{
    const layer_sums *layer = context;
    int cols = layer->weight->cols;
    int inputs = cols / TAPS;
    step_sums *all = &layer->step->sums;
    size_t place = stepper_element(part->row, inputs, part->col) / 64;
    size_t number = place % SUM_LOCKS;
    pthread_mutex_t *lock = &all->locks[number];
    size_t first = stepper_element(part->row, cols, part->col);
    int64_t *sums = layer->weight_sums + first;
    size_t count = (size_t)part->cols;
    const float *values = part->values;
    pthread_mutex_lock(lock);
    for (int r = 0; r < part->rows; r++) {
        for (int tap = 0; tap < TAPS; tap++) {
            pulmo_exact_add(sums + tap * inputs, values, count, layer->weight_exponent);
            values += part->stride;
        }
        sums += cols;
    }
    pthread_mutex_unlock(lock);
}

static void clear_task(void *context, int task, int thread)
{
    const layer_sums *layer = context;
    size_t cols = (size_t)layer->weight->cols;
    (void)thread;
    size_t place = (size_t)task * cols;
    int64_t *row = layer->weight_sums + place;
    memset(row, 0, cols * sizeof *row);
}

static void sum_biases(const layer_sums *layer)
{
    const pulmo_stepper *step = layer->step;
    size_t rows = (size_t)layer->bias->rows;
    memset(layer->bias_sums, 0, rows * sizeof *layer->bias_sums);
    for (int n = 0; n < stepper_images(step); n++) {
        const float *gradient = pulmo_tuned_bias_gradient(step->tuned, n);
        pulmo_exact_add(layer->bias_sums, gradient, rows, layer->bias_exponent);
    }
}

static pulmo_status fail_not_finite(const pulmo_stepper *step, int layer)
{
    const pulmo_config *config = step->parts.config;
    const pulmo_tensor *weight = pulmo_layout_get(&step->layout, PULMO_CONV_WEIGHT, layer);
    return pulmo_fail(PULMO_RUNTIME,
                      "epoch %u, batch %u: the gradient of %s is not finite; lower optim.lr "
                      "(now %g) or optim.trunk_lr_scale (now %g)",
                      step->batch.epoch + 1, step->batch.number + 1, weight->name, config->optim.lr,
                      config->optim.trunk_lr_scale);
}

/* The exponents of a layer's sums, from the bounds of all ranks. Collective. */
static pulmo_status agree_on_exponents(pulmo_stepper *step, int layer, uint32_t microbatches)
{
    int weight = pulmo_layout_find(&step->layout, PULMO_CONV_WEIGHT, layer);
    int bias = pulmo_layout_find(&step->layout, PULMO_CONV_BIAS, layer);
    int *exponent = step->sums.exponent;
    double bounds[2];
    pulmo_tuned_bounds(step->tuned, layer, &bounds[0], &bounds[1]);
    PULMO_TRY(pulmo_max_f64(step->parts.comm, bounds, 2));
    if (!isfinite(bounds[0]) || !isfinite(bounds[1]))
        return fail_not_finite(step, layer);
    exponent[weight] = pulmo_exact_exponent(bounds[0], microbatches);
    exponent[bias] = pulmo_exact_exponent(bounds[1], microbatches);
    return PULMO_OK;
}

/* One layer's sums, made and sent. Collective. */
static pulmo_status exchange_layer(pulmo_stepper *step, int layer, uint32_t microbatches)
{
    PULMO_TRY(agree_on_exponents(step, layer, microbatches));
    layer_sums sums = sums_of_layer(step, layer);
    stepper_run(step, sums.weight->rows, clear_task, &sums);
    pulmo_tuned_gradients(step->tuned, layer, add_part, &sums);
    sum_biases(&sums);
    /* The bias stands behind its weight. */
    size_t count = pulmo_tensor_count(sums.weight);
    count += pulmo_tensor_count(sums.bias);
    pulmo_exact_push(step->exchange.flight, sums.weight_sums, count);
    pulmo_watch_beat(step->parts.comm, "training convolutions");
    return PULMO_OK;
}

pulmo_status stepper_tuned_backward(pulmo_stepper *step, uint32_t microbatches)
{
    int layers = stepper_layers(step);
    int lowest = lowest_layer(step);
    step->exchange.lowest = lowest;
    if (lowest == layers)
        return PULMO_OK;
    stepper_run(step, step->microbatches.count, head_gradient_task, step);
    pulmo_tuned_backward(step->tuned, step->features.head_gradient);
    for (int l = layers - 1; l >= lowest; l--) {
        PULMO_TRY(exchange_layer(step, l, microbatches));
        if (l > lowest)
            pulmo_tuned_below(step->tuned, l);
    }
    return PULMO_OK;
}
