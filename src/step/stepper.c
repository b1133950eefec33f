/* A stepper created and destroyed, and what may be done with it between batches. */
#include <stdlib.h>

#include "pulmo/memory.h"
#include "step_room.h"

/* ---- how much memory ---- */

/* Microbatches of this rank in a batch, at most. */
static int microbatches_at_most(const pulmo_stepper_parts *parts)
{
    int batch = (int)parts->config->train.batch;
    int microbatch = (int)parts->config->train.microbatch;
    int microbatches = stepper_divide_up(batch, microbatch);
    int ranks = pulmo_comm_size(parts->comm);
    return stepper_divide_up(microbatches, ranks);
}

/* Images of this rank in a batch, at most. */
static size_t images_at_most(const pulmo_stepper_parts *parts)
{
    size_t microbatch = (size_t)parts->config->train.microbatch;
    size_t microbatches = (size_t)microbatches_at_most(parts);
    return microbatch * microbatches;
}

/* Floats of one image's features that this rank computes; a bank's stay in the loader's memory. */
static size_t computed_floats(const pulmo_stepper_parts *parts)
{
    return parts->banked ? 0 : pulmo_backbone_floats(parts->backbone);
}

/* The fine-tuned convolutions, and what joins them to the head. */
static uint64_t tuned_bytes(const pulmo_stepper_parts *parts)
{
    const pulmo_backbone *backbone = parts->backbone;
    int microbatch = (int)parts->config->train.microbatch;
    int images = (int)images_at_most(parts);
    if (backbone->tuned.layers == 0)
        return 0;
    size_t image_bytes = pulmo_head_floats(parts->head) * sizeof(float);
    size_t joint_bytes = 2 * (size_t)images * image_bytes;
    uint64_t engine = pulmo_tuned_bytes(&backbone->tuned, microbatch, images, backbone->threads);
    return engine + joint_bytes;
}

uint64_t pulmo_stepper_bytes(const pulmo_stepper_parts *parts)
{
    const pulmo_tuned_spec *tuned = &parts->backbone->tuned;
    pulmo_layout layout;
    pulmo_tuned_layout_with_head(tuned, parts->head, &layout);
    uint64_t images = images_at_most(parts);
    uint64_t features = images * computed_floats(parts);
    uint64_t bytes = features * sizeof(float);
    bytes += stepper_exchange_bytes(parts, &layout);
    bytes += tuned_bytes(parts);
    return bytes;
}

/* ---- create ---- */

/* What is trained, and where each tensor's sums begin. */
static void lay_out_tensors(pulmo_stepper *step)
{
    const pulmo_stepper_parts *parts = &step->parts;
    const pulmo_tuned_spec *tuned = &parts->backbone->tuned;
    step_sums *sums = &step->sums;
    pulmo_tuned_layout_with_head(tuned, parts->head, &step->layout);
    for (int t = 0; t < step->layout.tensors; t++) {
        const pulmo_tensor *tensor = stepper_tensor(step, t);
        if (stepper_is_tuned(tensor))
            step->head_first = t + 1;
        sums->at[t] = sums->count;
        if (!stepper_by_factors(parts, tensor))
            sums->count += pulmo_tensor_count(tensor);
    }
}

static void lay_out_tiles(pulmo_stepper *step)
{
    step_tiles *tiles = &step->tiles;
    tiles->floats = (size_t)TILE_ROWS * TILE_COLS;
    for (int t = 0; t < step->head_first; t++) {
        /* At least a row, and one more for putting its taps in order. */
        const pulmo_tensor *tensor = stepper_tensor(step, t);
        size_t rows = 2 * (size_t)tensor->cols;
        if (rows > tiles->floats)
            tiles->floats = rows;
    }
    for (int t = 0; t < stepper_head_tensors(step); t++) {
        int number = step->head_first + t;
        const pulmo_tensor *tensor = stepper_tensor(step, number);
        int end = tiles->first[t];
        if (!stepper_by_factors(&step->parts, tensor))
            end += stepper_tiles_of(tensor);
        tiles->first[t + 1] = end;
    }
}

static pulmo_status allocate_features(pulmo_stepper *step)
{
    step_features *features = &step->features;
    size_t images = images_at_most(&step->parts);
    features->image_floats = computed_floats(&step->parts);
    features->head_floats = pulmo_head_floats(step->parts.head);
    if (step->parts.banked)
        return PULMO_OK;
    size_t image_bytes = features->image_floats * sizeof(float);
    features->computed = pulmo_alloc(images, image_bytes);
    return features->computed ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status allocate_microbatches(pulmo_stepper *step)
{
    step_microbatches *microbatches = &step->microbatches;
    microbatches->samples = (uint32_t)step->parts.config->train.microbatch;
    microbatches->room = microbatches_at_most(&step->parts);
    size_t room = (size_t)microbatches->room;
    microbatches->inputs = pulmo_alloc(room, sizeof *microbatches->inputs);
    microbatches->results = pulmo_alloc(room, sizeof *microbatches->results);
    return microbatches->inputs && microbatches->results ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status allocate_sums(pulmo_stepper *step)
{
    step_sums *sums = &step->sums;
    step_tiles *tiles = &step->tiles;
    size_t threads = (size_t)step->parts.backbone->threads;
    size_t tasks = (size_t)stepper_update_tasks(step);
    size_t tile_bytes = tiles->floats * sizeof *tiles->values;
    size_t values = sums->count + TOTALS;
    sums->values = pulmo_alloc(values, sizeof *sums->values);
    tiles->values = pulmo_alloc(threads, tile_bytes);
    tiles->squares = pulmo_alloc(tasks, sizeof *tiles->squares);
    return sums->values && tiles->values && tiles->squares ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status create_head(pulmo_stepper *step)
{
    const pulmo_stepper_parts *parts = &step->parts;
    const step_microbatches *microbatches = &step->microbatches;
    const pulmo_tensor *first = stepper_tensor(step, step->head_first);
    const float *parameters = parts->state->parameter + first->offset;
    return pulmo_head_create(parts->head, parts->loss, (int)microbatches->samples,
                             microbatches->room, parameters, &step->head);
}

/* The fine-tuned convolutions, and what joins them to the head. */
static pulmo_status create_tuned(pulmo_stepper *step)
{
    const pulmo_backbone *backbone = step->parts.backbone;
    step_features *features = &step->features;
    int microbatch = (int)step->microbatches.samples;
    size_t images = images_at_most(&step->parts);
    if (backbone->tuned.layers == 0)
        return PULMO_OK;
    size_t bytes = features->head_floats * sizeof(float);
    features->fine_tuned = pulmo_alloc(images, bytes);
    features->head_gradient = pulmo_alloc(images, bytes);
    if (!features->fine_tuned || !features->head_gradient)
        return PULMO_MEMORY;
    PULMO_TRY(pulmo_head_train_below(step->head));
    PULMO_TRY(pulmo_tuned_create(&backbone->tuned, backbone->pool, microbatch, (int)images,
                                 &step->tuned));
    pulmo_stepper_ready(step);
    return PULMO_OK;
}

/* Made once: a rank that could not make it between batches would leave the others waiting. */
static pulmo_status create_exchange(pulmo_stepper *step)
{
    if (stepper_is_alone(&step->parts))
        return PULMO_OK;
    /* Factors of each layer of the head, the head's sums, and a bucket per fine-tuned layer. */
    int buckets = PULMO_LINEARS_MAX + 1 + stepper_layers(step);
    return pulmo_exact_create(step->parts.comm, buckets, &step->exchange.flight);
}

static pulmo_status create_parts(pulmo_stepper *step)
{
    lay_out_tensors(step);
    lay_out_tiles(step);
    PULMO_TRY(allocate_features(step));
    PULMO_TRY(allocate_microbatches(step));
    PULMO_TRY(stepper_sufficient_create(step));
    PULMO_TRY(allocate_sums(step));
    PULMO_TRY(create_head(step));
    PULMO_TRY(create_exchange(step));
    return create_tuned(step);
}

pulmo_status pulmo_stepper_create(const pulmo_stepper_parts *parts, pulmo_stepper **out)
{
    pulmo_stepper *step = calloc(1, sizeof *step);
    if (!step)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the training step: out of memory");
    step->parts = *parts;
    for (int i = 0; i < SUM_LOCKS; i++)
        pthread_mutex_init(&step->sums.locks[i], NULL);
    pulmo_status status = create_parts(step);
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
    pulmo_free(step->features.computed);
    pulmo_free(step->features.fine_tuned);
    pulmo_free(step->features.head_gradient);
    pulmo_free(step->microbatches.inputs);
    pulmo_free(step->microbatches.results);
    stepper_sufficient_destroy(step);
    pulmo_exact_destroy(step->exchange.flight);
    pulmo_free(step->sums.values);
    for (int i = 0; i < SUM_LOCKS; i++)
        pthread_mutex_destroy(&step->sums.locks[i]);
    pulmo_free(step->tiles.values);
    pulmo_free(step->tiles.squares);
    free(step);
}

/* ---- between batches ---- */

const pulmo_step_times *pulmo_stepper_times(const pulmo_stepper *step)
{
    return &step->times;
}

void pulmo_stepper_score_with(pulmo_stepper *step, const float *parameters, pulmo_tuned **tuned,
                              int *images)
{
    *tuned = step->tuned;
    *images = (int)images_at_most(&step->parts);
    if (step->tuned)
        pulmo_tuned_use(step->tuned, parameters);
}

void pulmo_stepper_ready(pulmo_stepper *step)
{
    if (step->tuned)
        pulmo_tuned_use(step->tuned, step->parts.state->parameter);
}
