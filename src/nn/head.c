/* The head, a microbatch at a time, or all microbatches of a batch at once with the same bits.
 * Products are computed for ROWS rows however many samples a microbatch holds, so a sample's
 * numbers do not depend on its neighbours; gradient sums over a microbatch's samples run in sample
 * order. */
#include "pulmo/head.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "head_room.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "pulmo/split.h"

#ifdef PULMO_HEAD_DOUBLE
static bool as_they_are(const pulmo_head *head, const float *features, const real **first)
{
    (void)head;
    (void)features;
    (void)first;
    return false;
}
#else
/* Features that are layer 0's input just as they stand need no copy. */
static bool as_they_are(const pulmo_head *head, const float *features, const real **first)
{
    if (head->spec.pool != PULMO_POOL_FLATTEN)
        return false;
    *first = features;
    return true;
}
#endif

static size_t workspace_reals(const pulmo_head *head)
{
    size_t count = 0;
    for (int l = 0; l < head->layers; l++) {
        size_t in = head_matrix(head, head->width[l]);
        size_t out = head_matrix(head, head->width[l + 1]);
        count += in + 2 * out;
        if (head_drops(head, l))
            count += in; /* dropout's factors on the inputs */
    }
    return count;
}

static void place_workspace(const pulmo_head *head, workspace *space, real *at)
{
    for (int l = 0; l < head->layers; l++) {
        size_t in = head_matrix(head, head->width[l]);
        size_t out = head_matrix(head, head->width[l + 1]);
        space->input[l] = at;
        space->output[l] = at + in;
        space->delta[l] = at + in + out;
        at += in + 2 * out;
        if (!head_drops(head, l))
            continue;
        space->scale[l] = at;
        at += in;
    }
}

static bool features_fit(int channels, int height, int width)
{
    if (channels < 1 || height < 1 || width < 1)
        return false;
    int64_t features = (int64_t)channels * height * width;
    return features <= INT32_MAX / 16;
}

/* Settings that cannot be; files and configurations are checked before they get here. */
static pulmo_status check_spec(const pulmo_head_spec *spec, const pulmo_loss_spec *loss,
                               int microbatch, int microbatches)
{
    if (!features_fit(spec->channels, spec->height, spec->width))
        return pulmo_fail(
            PULMO_CONFIG,
            "head: features of %d x %d x %d: every side must be 1 or more, the product below 2^27",
            spec->channels, spec->height, spec->width);
    if (spec->classes < 1 || spec->classes > PULMO_CLASSES_MAX)
        return pulmo_fail(PULMO_CONFIG, "head: %d classes: must be 1 to %d", spec->classes,
                          PULMO_CLASSES_MAX);
    if (spec->hidden_layers < 0 || spec->hidden_layers > PULMO_HIDDEN_MAX)
        return pulmo_fail(PULMO_CONFIG, "head: %d hidden layers: must be 0 to %d",
                          spec->hidden_layers, PULMO_HIDDEN_MAX);
    for (int l = 0; l < spec->hidden_layers; l++)
        if (spec->hidden[l] < 1)
            return pulmo_fail(PULMO_CONFIG, "head: hidden layer %d has width %d: must be 1 or more",
                              l + 1, spec->hidden[l]);
    if (!(spec->dropout >= 0 && spec->dropout < 1))
        return pulmo_fail(PULMO_CONFIG, "head: dropout %g: must be in [0, 1)", spec->dropout);
    if (!(loss->label_smoothing >= 0 && loss->label_smoothing < 1))
        return pulmo_fail(PULMO_CONFIG, "head: label smoothing %g: must be in [0, 1)",
                          loss->label_smoothing);
    if (microbatch < 1 || microbatches < 0)
        return pulmo_fail(PULMO_CONFIG,
                          "head: %d microbatches of %d samples: a microbatch must hold 1 or more",
                          microbatches, microbatch);
    return PULMO_OK;
}

static void set_widths(pulmo_head *head)
{
    const pulmo_head_spec *spec = &head->spec;
    head->width[0] = pulmo_head_inputs(spec);
    for (int l = 0; l < spec->hidden_layers; l++)
        head->width[l + 1] = spec->hidden[l];
    head->width[head->layers] = spec->classes;
}

/* A workspace for each microbatch, and one for logits. */
static bool allocate_spaces(pulmo_head *head)
{
    size_t spaces = (size_t)head->microbatches + 1;
    size_t each = workspace_reals(head);
    head->groups = calloc(spaces, sizeof *head->groups);
    head->spaces = calloc(spaces, sizeof *head->spaces);
    head->storage = pulmo_alloc(spaces, each * sizeof(real));
    if (!head->spaces || !head->storage || !head->groups)
        return false;
    real *at = head->storage;
    for (size_t s = 0; s < spaces; s++) {
        workspace *space = &head->spaces[s];
        place_workspace(head, space, at);
        at += each;
    }
    return true;
}

pulmo_status pulmo_head_create(const pulmo_head_spec *spec, const pulmo_loss_spec *loss,
                               int microbatch, int microbatches, const float *parameters,
                               pulmo_head **out)
{
    pulmo_isa isa;
    PULMO_TRY(check_spec(spec, loss, microbatch, microbatches));
    PULMO_TRY(pulmo_isa_choose(&isa));
    pulmo_head *head = calloc(1, sizeof *head);
    if (!head)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the head");
    head->spec = *spec;
    head->loss = *loss;
    head->kernels = head_kernels_of(isa);
    head->microbatch = microbatch;
    head->microbatches = microbatches;
    int row_blocks = divide_up(microbatch, ROWS);
    head->rows = row_blocks * ROWS;
    head->layers = spec->hidden_layers + 1;
    head->parameters = (const real *)(const void *)parameters;
    pulmo_head_layout_of(spec, &head->layout);
    set_widths(head);
    if (!allocate_spaces(head)) {
        pulmo_head_destroy(head);
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the head's workspace of %d microbatches",
                          microbatches + 1);
    }
    *out = head;
    return PULMO_OK;
}

void pulmo_head_destroy(pulmo_head *head)
{
    if (!head)
        return;
    pulmo_free(head->storage);
    pulmo_free(head->below);
    free(head->spaces);
    free(head->groups);
    free(head);
}

/* ---- forward ---- */

/* One image's features (C, h, w) pooled, in a fixed order. */
static void pool_features(const pulmo_head_spec *spec, const float *features, real *out)
{
    int cells = spec->height * spec->width;
    if (spec->pool == PULMO_POOL_FLATTEN) {
        int values = spec->channels * cells;
        for (int i = 0; i < values; i++)
            out[i] = (real)features[i];
        return;
    }
    for (int c = 0; c < spec->channels; c++) {
        size_t place = (size_t)c * (size_t)cells;
        const float *plane = features + place;
        real sum = 0;
        real most = (real)plane[0];
        for (int i = 0; i < cells; i++) {
            real value = (real)plane[i];
            sum += value;
            if (value > most || isnan(plane[i]))
                most = value; /* a NaN stays */
        }
        if (spec->pool == PULMO_POOL_MAX)
            out[c] = most;
        else
            out[c] = sum / (real)cells;
        if (spec->pool == PULMO_POOL_AVGMAX)
            out[spec->channels + c] = most;
    }
}

void pulmo_head_pool(const pulmo_head_spec *spec, const float *features, float *out)
{
    pool_features(spec, features, (real *)(void *)out);
}

void head_fill_input(const pulmo_head *head, workspace *space, int count, const float *features)
{
    size_t floats = pulmo_head_floats(&head->spec);
    int width = head->width[0];
    bool full = count == head->rows;
    bool whole = full && !head_drops(head, 0);
    real *row = space->input[0];
    space->count = count;
    space->first = space->input[0];
    if (whole && as_they_are(head, features, &space->first))
        return;
    for (int n = 0; n < count; n++) {
        pool_features(&head->spec, features, row);
        features += floats;
        row += width;
    }
    size_t row_bytes = (size_t)width * sizeof *row;
    int empty = head->rows - count;
    memset(row, 0, (size_t)empty * row_bytes);
}

/* One sample's factors on a layer's inputs. */
static void draw_mask(double dropout, pulmo_rng *rng, int width, real *scale)
{
    const real keep = (real)(1.0 / (1.0 - dropout));
    for (int i = 0; i < width; i++) {
        double drawn = (double)pulmo_rng_uniform(rng);
        scale[i] = drawn < dropout ? 0 : keep;
    }
}

/* Draws the masks of all layers, a sample's in layer order, and applies the first layer's. */
static void draw_dropout(const pulmo_head *head, workspace *space,
                         const pulmo_microbatch_input *input)
{
    for (int n = 0; n < input->count; n++) {
        pulmo_rng rng;
        uint32_t sample = input->samples[n];
        pulmo_rng_at(&rng, input->seed, PULMO_RNG_DROPOUT, input->epoch, sample);
        for (int l = 0; l < head->layers; l++) {
            int width = head->width[l];
            if (!head_drops(head, l))
                continue;
            real *scale = head_row(space->scale[l], n, width);
            draw_mask(head->spec.dropout, &rng, width, scale);
        }
    }
}

static void apply_dropout(const pulmo_head *head, workspace *space, int layer)
{
    size_t samples = (size_t)space->count;
    size_t width = (size_t)head->width[layer];
    size_t count = samples * width;
    real *input = space->input[layer];
    const real *scale = space->scale[layer];
    for (size_t i = 0; i < count; i++)
        input[i] *= scale[i];
}

static void add_bias(real *y, const real *bias, int rows, int outputs)
{
    for (int n = 0; n < rows; n++) {
        for (int o = 0; o < outputs; o++)
            y[o] += bias[o];
        y += outputs;
    }
}

/* Written so that a NaN passes, as PyTorch's does: it must reach the loss to be noticed. */
static void rectify(const real *y, real *to, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = y[i] <= 0 ? 0 : y[i];
}

/* From layer 0's products, which are in output[0] already, to the logits. */
void head_forward(const pulmo_head *head, workspace *space, bool dropout)
{
    for (int l = 0; l < head->layers; l++) {
        int out = head->width[l + 1];
        real *y = space->output[l];
        if (l > 0) {
            const head_group group = {.x = space->input[l], .y = y};
            if (dropout && head_drops(head, l))
                apply_dropout(head, space, l);
            head_products(head, l, &group, 1, 0, out);
        }
        const real *bias = head_bias(head, l);
        add_bias(y, bias, head->rows, out);
        if (l + 1 < head->layers)
            rectify(y, space->input[l + 1], head->rows * out);
    }
}

static int argmax(const real *row, int classes)
{
    int best = 0;
    for (int k = 1; k < classes; k++) {
        if (row[k] > row[best])
            best = k;
    }
    return best;
}

static bool all_finite(const real *row, int count)
{
    for (int k = 0; k < count; k++) {
        double value = (double)row[k];
        if (!isfinite(value))
            return false;
    }
    return true;
}

static void run_loss(const pulmo_head *head, workspace *space, const pulmo_microbatch_input *input,
                     pulmo_microbatch_result *result)
{
    int classes = head->spec.classes;
    int last = head->layers - 1;
    size_t delta_bytes = (size_t)classes * sizeof(real);
    const pulmo_loss_spec *loss = &head->loss;
    memset(result, 0, sizeof *result);
    result->finite = true;
    for (int n = 0; n < head->rows; n++) {
        const real *row = head_const_row(space->output[last], n, classes);
        real *delta = head_row(space->delta[last], n, classes);
        memset(delta, 0, delta_bytes);
        if (n >= input->count)
            continue;
        int label = input->labels[n];
        bool correct = argmax(row, classes) == label;
        head_row_delta(loss, classes, row, label, delta);
        result->loss += head_row_loss(loss, classes, row, label);
        result->weight += head_class_weight(loss, label);
        result->correct += correct;
        if (!all_finite(delta, classes))
            result->finite = false;
    }
    if (!isfinite(result->loss))
        result->finite = false;
}

/* ---- a microbatch ---- */

/* What comes before layer 0. */
static void begin_microbatch(pulmo_head *head, int microbatch_index,
                             const pulmo_microbatch_input *input)
{
    workspace *space = &head->spaces[microbatch_index];
    space->features = input->features;
    head_fill_input(head, space, input->count, input->features);
    draw_dropout(head, space, input);
    if (head_drops(head, 0))
        apply_dropout(head, space, 0);
    head->groups[microbatch_index] = head_first_group(space);
}

/* What comes after it. */
static void end_microbatch(pulmo_head *head, int microbatch_index,
                           const pulmo_microbatch_input *input, pulmo_microbatch_result *result)
{
    workspace *space = &head->spaces[microbatch_index];
    head_forward(head, space, true);
    run_loss(head, space, input, result);
    head_backward(head, space);
    for (int t = 0; t < head->layout.tensors; t++) {
        space->bound[t] = head_bound_of(head, space, t);
        if (!isfinite(space->bound[t]))
            result->finite = false;
    }
}

void pulmo_head_microbatch_run(pulmo_head *head, int microbatch_index,
                               const pulmo_microbatch_input *input, pulmo_microbatch_result *result)
{
    begin_microbatch(head, microbatch_index, input);
    const head_group *group = &head->groups[microbatch_index];
    head_products(head, 0, group, 1, 0, head->width[1]);
    end_microbatch(head, microbatch_index, input, result);
}

/* ---- all microbatches on a pool: layer 0's weights are gone through once ---- */

static void begin_task(void *context, int task, int thread)
{
    const head_work *work = context;
    (void)thread;
    begin_microbatch(work->head, task, &work->inputs[task]);
}

static void products_task(void *context, int task, int thread)
{
    const head_work *work = context;
    const pulmo_head *head = work->head;
    int first = task * work->outs;
    int left = head->width[1] - first;
    int outs = left < work->outs ? left : work->outs;
    (void)thread;
    head_products(head, 0, head->groups, work->microbatches, first, outs);
}

static void end_task(void *context, int task, int thread)
{
    const head_work *work = context;
    (void)thread;
    end_microbatch(work->head, task, &work->inputs[task], &work->results[task]);
}

/* A multiple of every tier's register block of outputs. */
#define OUTPUTS_UNIT 12

/* Two tasks per thread, of whole register blocks. */
void head_run_products(head_work *work, pulmo_pool *pool)
{
    int width = work->head->width[1];
    int wanted = 2 * pulmo_pool_threads(pool);
    int each = divide_up(width, wanted);
    int units = divide_up(each, OUTPUTS_UNIT);
    work->outs = units * OUTPUTS_UNIT;
    int tasks = divide_up(width, work->outs);
    pulmo_pool_run(pool, tasks, products_task, work);
}

void pulmo_head_run(pulmo_head *head, pulmo_pool *pool, int microbatches,
                    const pulmo_microbatch_input *inputs, pulmo_microbatch_result *results)
{
    head_work work = {
        .head = head, .microbatches = microbatches, .inputs = inputs, .results = results};
    if (microbatches == 0)
        return;
    pulmo_pool_run(pool, microbatches, begin_task, &work);
    head_run_products(&work, pool);
    pulmo_pool_run(pool, microbatches, end_task, &work);
}
