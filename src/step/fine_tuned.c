/* Trained convolutions in a step: up through them before the head, down through them after it.
 *
 * A layer's gradients are bounded (one small maximum over ranks), made as integers and sent before
 * the layer below is begun: its sum travels while backward goes on. */
#include <math.h>
#include <string.h>

#include "step_room.h"

uint64_t stepper_missed(const pulmo_stepper *step, int layer, uint32_t epoch, bool *frozen)
{
    const pulmo_tuned_spec *tuned = &step->parts.backbone->tuned;
    const pulmo_int_list *epochs = &step->parts.config->train.unfreeze_epochs;
    *frozen = false;
    if (epochs->count == 0)
        return 0;
    int from_top = tuned->layer[tuned->layers - 1].block - tuned->layer[layer].block;
    uint64_t missed =
        (uint64_t)epochs->value[from_top < epochs->count ? from_top : epochs->count - 1];
    *frozen = epoch < missed;
    return missed *
           pulmo_batches(step->parts.data->count, (uint32_t)step->parts.config->train.batch);
}

const float *stepper_climb(pulmo_stepper *step)
{
    if (!step->tuned)
        return step->fed;
    pulmo_tuned_forward(step->tuned, step->microbatches ? (int)step->batch.count : 0, step->fed,
                        step->above);
    pulmo_watch_beat(step->parts.comm, "going through the trained convolutions");
    return step->above;
}

static void below_task(void *context, int task, int thread)
{
    pulmo_stepper *step = context;
    (void)thread;
    pulmo_head_microbatch_features(
        step->head, task, step->below + (size_t)task * step->microbatch * step->head_floats);
}

/* Parts of different units may meet in the same sums. */
static void add_part(void *context, const pulmo_tuned_part *part)
{
    pulmo_stepper *step = context;
    int number = pulmo_layout_find(&step->layout, PULMO_CONV_WEIGHT, part->layer);
    const pulmo_tensor *tensor = &step->layout.tensor[number];
    size_t inputs = (size_t)tensor->cols / 9;
    pthread_mutex_t *lock =
        &step->locks[((size_t)part->row * inputs + (size_t)part->col) / 64 % SUM_LOCKS];
    int64_t *sums =
        step->sums + tensor->offset + (size_t)part->row * (size_t)tensor->cols + (size_t)part->col;
    pthread_mutex_lock(lock);
    for (int r = 0; r < part->rows; r++)
        for (int tap = 0; tap < 9; tap++)
            pulmo_exact_add(sums + (size_t)r * (size_t)tensor->cols + (size_t)tap * inputs,
                            part->values + (r * 9 + tap) * part->stride, (size_t)part->cols,
                            step->exponent[number]);
    pthread_mutex_unlock(lock);
}

static void clear_task(void *context, int task, int thread)
{
    const pulmo_tensor *tensor = ((const void *const *)context)[1];
    pulmo_stepper *step = ((void *const *)context)[0];
    (void)thread;
    memset(step->sums + tensor->offset + (size_t)task * (size_t)tensor->cols, 0,
           (size_t)tensor->cols * sizeof *step->sums);
}

/* One layer's sums, sent. */
static pulmo_status send_layer(pulmo_stepper *step, int layer, uint32_t microbatches)
{
    int weight_number = pulmo_layout_find(&step->layout, PULMO_CONV_WEIGHT, layer);
    int bias_number = pulmo_layout_find(&step->layout, PULMO_CONV_BIAS, layer);
    const pulmo_tensor *weight = &step->layout.tensor[weight_number];
    const pulmo_tensor *bias = &step->layout.tensor[bias_number];
    double bounds[2];
    pulmo_tuned_bounds(step->tuned, layer, &bounds[0], &bounds[1]);
    PULMO_TRY(pulmo_max_f64(step->parts.comm, bounds, 2));
    if (!isfinite(bounds[0]) || !isfinite(bounds[1]))
        return pulmo_fail(PULMO_RUNTIME,
                          "epoch %u, batch %u: the gradient of %s is not finite; lower optim.lr "
                          "(now %g) or optim.trunk_lr_scale (now %g)",
                          step->batch.epoch + 1, step->batch.number + 1, weight->name,
                          step->parts.config->optim.lr, step->parts.config->optim.trunk_lr_scale);
    step->exponent[weight_number] = pulmo_exact_exponent(bounds[0], microbatches);
    step->exponent[bias_number] = pulmo_exact_exponent(bounds[1], microbatches);
    const void *clear[2] = {step, weight};
    pulmo_pool_run(step->parts.backbone->pool, weight->rows, clear_task, clear);
    memset(step->sums + bias->offset, 0, (size_t)bias->rows * sizeof *step->sums);
    pulmo_tuned_gradients(step->tuned, layer, add_part, step);
    for (uint32_t n = 0; step->microbatches > 0 && n < step->batch.count; n++)
        pulmo_exact_add(step->sums + bias->offset, pulmo_tuned_bias_gradient(step->tuned, (int)n),
                        (size_t)bias->rows, step->exponent[bias_number]);
    pulmo_exact_push(step->flight, step->sums + weight->offset,
                     bias->offset + (size_t)bias->rows - weight->offset);
    pulmo_watch_beat(step->parts.comm, "training convolutions");
    return PULMO_OK;
}

pulmo_status stepper_descend(pulmo_stepper *step, uint32_t microbatches)
{
    int layers = step->parts.backbone->tuned.layers;
    bool frozen = false;
    step->lowest = layers;
    while (step->lowest > 0 &&
           (stepper_missed(step, step->lowest - 1, step->batch.epoch, &frozen), !frozen))
        step->lowest--;
    if (step->lowest == layers)
        return PULMO_OK;
    pulmo_pool_run(step->parts.backbone->pool, step->microbatches, below_task, step);
    pulmo_tuned_backward(step->tuned, step->below);
    for (int l = layers - 1; l >= step->lowest; l--) {
        PULMO_TRY(send_layer(step, l, microbatches));
        if (l > step->lowest)
            pulmo_tuned_below(step->tuned, l);
    }
    return PULMO_OK;
}
