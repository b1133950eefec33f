/* Grad-CAM of single images.
 *
 * Between the last convolution's activations A and the head stands a max-pool, which hands each
 * gradient on to one cell of its window unchanged: the sum of dy/dA over a channel is the sum of
 * dy/dF over the pooled channel, whichever cell won. The same holds for the head's own pooling. So
 * alpha (equation 1) needs the gradient by the head's inputs alone, and no argmax. Where averages
 * of lower blocks are inputs of the head too (model.pool_blocks), they stand before the last
 * block's and do not depend on A. */
#include "pulmo/explain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "pulmo/augment.h"
#include "pulmo/memory.h"
#include "pulmo/views.h"

struct pulmo_explainer {
    const pulmo_model *model;
    pulmo_pool *pool;
    pulmo_trunk *trunk; /* without the last max-pool */
    pulmo_head *head;
    int channels, height, width; /* of A */
    int below;                   /* averages of lower blocks that the head takes, too */
    size_t cells, pooled_cells;  /* of a channel, before and after the last max-pool */
    float *image;                /* (3, size, size) */
    float *forward;              /* (below), then the activations */
    float *activations;          /* (C, h, w), in `forward` */
    float *pooled;               /* (C, h/2, w/2) */
    float *features;             /* what the head takes: `pooled`, or (below + C) averages */
    float *logits;               /* (classes) */
    double *sums;                /* (classes): of the views' logits */
    pulmo_view_spec views;
    double *gradient; /* (head inputs) */
    double *alpha;    /* (C) */
};

/* ---- opening ---- */

/* That the trunk gives what the head takes. */
static pulmo_status check_features(const pulmo_explainer *e)
{
    const pulmo_head_spec *head = &e->model->head;
    const bool averaged = e->model->tuned.averaged != 0;
    const int height = averaged ? 1 : e->height / 2;
    const int width = averaged ? 1 : e->width / 2;
    const int channels = e->below + e->channels;
    const bool same_side = height == head->height && width == head->width;
    if (same_side && channels == head->channels)
        return PULMO_OK;
    return pulmo_fail(PULMO_WEIGHTS,
                      "the model's head takes features of %d x %d x %d, the frozen weights give "
                      "%d x %d x %d; give the weights it was trained on (--weights)",
                      head->channels, head->height, head->width, channels, height, width);
}

static pulmo_status open_trunk(pulmo_explainer *e, const pulmo_weights *weights, int threads)
{
    const int all_threads = threads > 0 ? threads : pulmo_cpu_count();
    pulmo_trunk_spec spec;
    pulmo_trunk_spec_init(&spec);
    PULMO_TRY(pulmo_isa_choose(&spec.isa));
    spec.height_px = e->model->size_px;
    spec.width_px = e->model->size_px;
    spec.batch = 1;
    spec.keep_last_resolution = 1;
    spec.averaged = e->model->tuned.averaged;
    spec.fine_tuned_from = weights->convs - e->model->tuned.layers;
    PULMO_TRY(pulmo_pool_create(all_threads, &e->pool));
    PULMO_TRY(pulmo_trunk_create(&spec, weights, NULL, e->pool, &e->trunk));
    pulmo_trunk_shape(e->trunk, &e->channels, &e->height, &e->width);
    e->below = pulmo_trunk_averages_below(e->trunk);
    return check_features(e);
}

static float *floats(size_t count)
{
    return pulmo_alloc(count, sizeof(float));
}

static pulmo_status allocate(pulmo_explainer *e)
{
    const pulmo_head_spec *head = &e->model->head;
    const size_t side = (size_t)e->model->size_px;
    const size_t channels = (size_t)e->channels;
    const size_t inputs = (size_t)pulmo_head_inputs(head);
    const size_t below = (size_t)e->below;
    e->cells = (size_t)e->height * (size_t)e->width;
    e->pooled_cells = (size_t)(e->height / 2) * (size_t)(e->width / 2);
    e->image = floats(3 * side * side);
    e->forward = floats(below + channels * e->cells);
    e->pooled = floats(channels * e->pooled_cells);
    e->features = floats(pulmo_head_floats(head));
    e->logits = floats((size_t)head->classes);
    e->sums = pulmo_alloc((size_t)head->classes, sizeof *e->sums);
    e->gradient = pulmo_alloc(inputs, sizeof *e->gradient);
    e->alpha = pulmo_alloc(channels, sizeof *e->alpha);
    const bool planes = e->image && e->forward && e->pooled && e->features;
    const bool scores = e->logits && e->sums && e->gradient && e->alpha;
    if (!planes || !scores)
        return PULMO_MEMORY;
    e->activations = e->forward + below;
    return PULMO_OK;
}

static pulmo_status open_all(pulmo_explainer *e, const char *given, int threads)
{
    const pulmo_loss_spec loss = {0};
    const pulmo_model *model = e->model;
    pulmo_weights weights;
    PULMO_TRY(pulmo_views_of_model(model, &e->views));
    PULMO_TRY(pulmo_model_weights_read(model, "the model", given, &weights));
    pulmo_status status = open_trunk(e, &weights, threads);
    pulmo_weights_free(&weights);
    PULMO_TRY(status);
    PULMO_TRY(pulmo_head_create(&model->head, &loss, 1, 0, model->parameters, &e->head));
    return allocate(e);
}

pulmo_status pulmo_explainer_open(const pulmo_model *model, const char *weights, int threads,
                                  pulmo_explainer **out)
{
    pulmo_explainer *e = calloc(1, sizeof *e);
    if (!e)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    e->model = model;
    pulmo_status status = open_all(e, weights, threads);
    if (status == PULMO_OK)
        *out = e;
    else
        pulmo_explainer_close(e);
    return status;
}

void pulmo_explainer_close(pulmo_explainer *e)
{
    if (!e)
        return;
    pulmo_head_destroy(e->head);
    pulmo_trunk_destroy(e->trunk);
    pulmo_pool_destroy(e->pool);
    pulmo_free(e->image);
    pulmo_free(e->forward);
    pulmo_free(e->pooled);
    pulmo_free(e->features);
    pulmo_free(e->logits);
    pulmo_free(e->sums);
    pulmo_free(e->gradient);
    pulmo_free(e->alpha);
    free(e);
}

/* ---- the map ---- */

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float largest_of_four(const float *at, int width)
{
    const float *below = at + width;
    const float upper = larger(at[0], at[1]);
    const float lower = larger(below[0], below[1]);
    return larger(upper, lower);
}

/* The trunk's last max-pool, 2 x 2 with stride 2; an odd last row or column is left out. */
static void pool_channel(const pulmo_explainer *e, const float *from, float *to)
{
    const int out_height = e->height / 2;
    const int out_width = e->width / 2;
    for (int y = 0; y < out_height; y++) {
        const float *row = from + (ptrdiff_t)2 * y * e->width;
        for (int x = 0; x < out_width; x++)
            to[x] = largest_of_four(row + 2 * x, e->width);
        to += out_width;
    }
}

static void pool_last(const pulmo_explainer *e)
{
    const float *from = e->activations;
    float *to = e->pooled;
    for (int c = 0; c < e->channels; c++) {
        pool_channel(e, from, to);
        from += e->cells;
        to += e->pooled_cells;
    }
}

/* What the head takes of `pooled` and of lower blocks. */
static void make_features(const pulmo_explainer *e)
{
    const pulmo_head_spec average = {.channels = e->channels,
                                     .height = e->height / 2,
                                     .width = e->width / 2,
                                     .pool = PULMO_POOL_AVG};
    const size_t below = (size_t)e->below;
    if (e->model->tuned.averaged == 0) {
        memcpy(e->features, e->pooled, pulmo_head_floats(&e->model->head) * sizeof *e->features);
        return;
    }
    memcpy(e->features, e->forward, below * sizeof *e->features);
    pulmo_head_pool(&average, e->pooled, e->features + below);
}

static double cells_gradient(const pulmo_explainer *e, int channel)
{
    const double *of_cells = e->gradient + (size_t)channel * e->pooled_cells;
    double sum = 0;
    for (size_t i = 0; i < e->pooled_cells; i++)
        sum += of_cells[i];
    return sum;
}

/* The sum of dy/dF over a channel's cells, through the head's pooling. */
static double channel_gradient(const pulmo_explainer *e, int channel)
{
    const pulmo_pooling pool = e->model->head.pool;
    if (pool == PULMO_POOL_FLATTEN)
        return cells_gradient(e, channel);
    double sum = e->gradient[e->below + channel];
    if (pool == PULMO_POOL_AVGMAX)
        sum += e->gradient[e->channels + channel];
    return sum;
}

/* Equation 1. */
static void weigh_channels(const pulmo_explainer *e)
{
    const double cells = (double)e->cells;
    for (int c = 0; c < e->channels; c++)
        e->alpha[c] = channel_gradient(e, c) / cells;
}

/* Equation 2 before its ReLU. */
static double evidence_at(const pulmo_explainer *e, size_t cell)
{
    const float *activation = e->activations + cell;
    double sum = 0;
    for (int c = 0; c < e->channels; c++) {
        sum += e->alpha[c] * (double)*activation;
        activation += e->cells;
    }
    return sum;
}

/* Equation 2, divided by its largest value. */
static void draw_map(const pulmo_explainer *e, pulmo_explanation *out)
{
    out->largest = 0;
    for (size_t i = 0; i < e->cells; i++) {
        double evidence = evidence_at(e, i);
        if (evidence > out->largest)
            out->largest = evidence;
    }
    for (size_t i = 0; i < e->cells; i++) {
        const double evidence = evidence_at(e, i);
        out->map[i] = 0;
        if (evidence > 0)
            out->map[i] = (float)(evidence / out->largest);
    }
}

/* Activations, features and logits of one view. */
static pulmo_status run_view(pulmo_explainer *e, const pulmo_view_spec *views,
                             const pulmo_image *resized, int view)
{
    const pulmo_model *model = e->model;
    const int shape[3] = {resized->height_px, resized->width_px, resized->channels};
    PULMO_TRY(
        pulmo_view_apply(views, view, resized->pixels, shape, model->mean, model->std, e->image));
    pulmo_trunk_forward(e->trunk, 1, e->image, e->forward);
    pool_last(e);
    make_features(e);
    pulmo_head_logits(e->head, 1, e->features, e->logits);
    return PULMO_OK;
}

/* The mean of all views' logits, as in a run; what else there is stays the image's own. */
static pulmo_status run_views(pulmo_explainer *e, const pulmo_image *resized, float *probabilities)
{
    const pulmo_view_spec itself = {.views = 1};
    const int views = e->views.views;
    const int classes = e->model->classes;
    memset(e->sums, 0, (size_t)classes * sizeof *e->sums);
    for (int view = 0; view < views; view++) {
        PULMO_TRY(run_view(e, &e->views, resized, view));
        for (int k = 0; k < classes; k++)
            e->sums[k] += (double)e->logits[k];
    }
    for (int k = 0; k < classes; k++)
        e->logits[k] = (float)(e->sums[k] / views);
    PULMO_TRY(pulmo_model_probabilities(e->model, 1, e->logits, probabilities));
    return views > 1 ? run_view(e, &itself, resized, 0) : PULMO_OK;
}

static pulmo_status run_image(pulmo_explainer *e, const pulmo_image *image, float *probabilities)
{
    const int side = e->model->size_px;
    pulmo_image resized = {0};
    PULMO_TRY(pulmo_image_resize(image, side, side, &resized));
    pulmo_status status = run_views(e, &resized, probabilities);
    pulmo_image_free(&resized);
    return status;
}

pulmo_status pulmo_explain_map(pulmo_explainer *e, const pulmo_image *image, int class_index,
                               pulmo_explanation *out)
{
    int classes = e->model->classes;
    memset(out, 0, sizeof *out);
    if (class_index >= classes)
        return pulmo_fail(PULMO_USAGE, "class %d: the model has classes 0 to %d", class_index,
                          classes - 1);
    out->map = floats(e->cells);
    out->probabilities = floats((size_t)classes);
    const bool allocated = out->map && out->probabilities;
    pulmo_status status = allocated ? PULMO_OK : PULMO_MEMORY;
    PULMO_GOTO(status);
    PULMO_GOTO(run_image(e, image, out->probabilities));
    out->predicted = pulmo_model_class(e->model, out->probabilities);
    out->class_index = class_index;
    if (class_index < 0)
        out->class_index = out->predicted;
    out->height = e->height;
    out->width = e->width;
    PULMO_GOTO(pulmo_head_logit_gradient(&e->model->head, e->model->parameters, e->features,
                                         out->class_index, e->gradient));
    weigh_channels(e);
    draw_map(e, out);
    return PULMO_OK;
out:
    pulmo_explanation_free(out);
    return status;
}

void pulmo_explanation_free(pulmo_explanation *explanation)
{
    pulmo_free(explanation->map);
    pulmo_free(explanation->probabilities);
    memset(explanation, 0, sizeof *explanation);
}
