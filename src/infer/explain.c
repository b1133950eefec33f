/* Grad-CAM of single images.
 *
 * Between the last convolution's activations A and the head stands a max-pool, which hands each
 * gradient on to one cell of its window unchanged: the sum of dy/dA over a channel is the sum of
 * dy/dF over the pooled channel, whichever cell won. The same holds for the head's own pooling. So
 * alpha (equation 1) needs the gradient by the head's inputs alone, and no argmax. */
#include "pulmo/explain.h"

#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "pulmo/augment.h"
#include "pulmo/memory.h"
#include "pulmo/features.h"
#include "pulmo/infer.h"
#include "pulmo/results.h"
#include "pulmo/specs.h"

struct pulmo_explainer {
    const pulmo_model *model;
    pulmo_pool *pool;
    pulmo_trunk *trunk; /* without the last max-pool */
    pulmo_head *head;
    int channels, height, width; /* of A */
    float *image;                /* (3, size, size) */
    float *activations;          /* (C, h, w) */
    float *features;             /* (C, h/2, w/2): what the head takes */
    float *logits;               /* (classes) */
    double *gradient;            /* (head inputs) */
    double *alpha;               /* (C) */
};

static pulmo_status open_trunk(pulmo_explainer *e, const pulmo_weights *weights, int threads)
{
    pulmo_trunk_spec spec;
    const pulmo_head_spec *head = &e->model->head;
    pulmo_trunk_spec_init(&spec);
    PULMO_TRY(pulmo_isa_choose(&spec.isa));
    spec.height_px = spec.width_px = e->model->size_px;
    spec.batch = 1;
    spec.keep_last_resolution = 1;
    spec.fine_tuned_from = weights->convs - e->model->tuned.layers;
    PULMO_TRY(pulmo_pool_create(threads > 0 ? threads : pulmo_cpu_count(), &e->pool));
    PULMO_TRY(pulmo_trunk_create(&spec, weights, NULL, e->pool, &e->trunk));
    pulmo_trunk_shape(e->trunk, &e->channels, &e->height, &e->width);
    if (e->channels == head->channels && e->height / 2 == head->height &&
        e->width / 2 == head->width)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_WEIGHTS,
        "the model's head takes features of %d x %d x %d, the frozen weights give %d x %d x %d",
        head->channels, head->height, head->width, e->channels, e->height / 2, e->width / 2);
}

static pulmo_status open_all(pulmo_explainer *e, const char *given, int threads)
{
    const pulmo_loss_spec loss = {0};
    const pulmo_head_spec *head = &e->model->head;
    size_t side = (size_t)e->model->size_px;
    pulmo_weights weights;
    pulmo_blas_setup();
    PULMO_TRY(pulmo_model_weights_read(e->model, "the model", given, &weights));
    pulmo_status status = open_trunk(e, &weights, threads);
    pulmo_weights_free(&weights);
    PULMO_TRY(status);
    PULMO_TRY(pulmo_head_create(head, &loss, 1, 0, e->model->parameters, &e->head));
    e->image = pulmo_alloc(3 * side * side, sizeof(float));
    e->activations =
        pulmo_alloc((size_t)e->channels * (size_t)e->height * (size_t)e->width, sizeof(float));
    e->features = pulmo_alloc((size_t)head->channels * (size_t)head->height * (size_t)head->width,
                              sizeof(float));
    e->logits = pulmo_alloc((size_t)head->classes, sizeof(float));
    e->gradient = pulmo_alloc((size_t)pulmo_head_inputs(head), sizeof(double));
    e->alpha = pulmo_alloc((size_t)e->channels, sizeof(double));
    return e->image && e->activations && e->features && e->logits && e->gradient && e->alpha
               ? PULMO_OK
               : PULMO_MEMORY;
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
    pulmo_free(e->activations);
    pulmo_free(e->features);
    pulmo_free(e->logits);
    pulmo_free(e->gradient);
    pulmo_free(e->alpha);
    free(e);
}

static float largest_of_four(const float *at, int width)
{
    float top = at[0] > at[1] ? at[0] : at[1],
          low = at[width] > at[width + 1] ? at[width] : at[width + 1];
    return top > low ? top : low;
}

/* The trunk's last max-pool, 2 x 2 with stride 2; an odd last row or column is left out. */
static void pool_last(const pulmo_explainer *e)
{
    int height = e->height / 2, width = e->width / 2;
    for (int c = 0; c < e->channels; c++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                e->features[((size_t)c * (size_t)height + (size_t)y) * (size_t)width + (size_t)x] =
                    largest_of_four(e->activations +
                                        ((size_t)c * (size_t)e->height + 2 * (size_t)y) *
                                            (size_t)e->width +
                                        2 * (size_t)x,
                                    e->width);
}

/* Equation 1, through the head's pooling: the sum of dy/dF over a channel's cells. */
static void weigh_channels(const pulmo_explainer *e)
{
    const pulmo_head_spec *head = &e->model->head;
    int cells = head->height * head->width;
    for (int c = 0; c < e->channels; c++) {
        double sum = 0;
        if (head->pool == PULMO_POOL_FLATTEN)
            for (int i = 0; i < cells; i++)
                sum += e->gradient[(size_t)c * (size_t)cells + (size_t)i];
        else
            sum = e->gradient[c] +
                  (head->pool == PULMO_POOL_AVGMAX ? e->gradient[e->channels + c] : 0);
        e->alpha[c] = sum / ((double)e->height * e->width);
    }
}

/* Equation 2, divided by its largest value. */
static void draw_map(const pulmo_explainer *e, pulmo_explanation *out)
{
    size_t cells = (size_t)e->height * (size_t)e->width;
    out->largest = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < cells; i++) {
            double sum = 0;
            for (int c = 0; c < e->channels; c++)
                sum += e->alpha[c] * (double)e->activations[(size_t)c * cells + i];
            if (pass == 0 && sum > out->largest)
                out->largest = sum;
            if (pass == 1)
                out->map[i] = sum > 0 ? (float)(sum / out->largest) : 0;
        }
}

static pulmo_status prepare(const pulmo_explainer *e, const pulmo_image *image)
{
    pulmo_image resized = {0};
    PULMO_TRY(pulmo_image_resize(image, e->model->size_px, e->model->size_px, &resized));
    pulmo_augment_apply(NULL, resized.pixels, resized.height_px, resized.width_px, resized.channels,
                        e->model->mean, e->model->std, e->image);
    pulmo_image_free(&resized);
    return PULMO_OK;
}

pulmo_status pulmo_explain_map(pulmo_explainer *e, const pulmo_image *image, int class_index,
                               pulmo_explanation *out)
{
    int classes = e->model->classes;
    memset(out, 0, sizeof *out);
    if (class_index >= classes)
        return pulmo_fail(PULMO_USAGE, "class %d: the model has classes 0 to %d", class_index,
                          classes - 1);
    PULMO_TRY(prepare(e, image));
    out->map = pulmo_alloc((size_t)e->height * (size_t)e->width, sizeof(float));
    out->probabilities = pulmo_alloc((size_t)classes, sizeof(float));
    pulmo_status status = out->map && out->probabilities ? PULMO_OK : PULMO_MEMORY;
    PULMO_GOTO(status);
    pulmo_trunk_forward(e->trunk, 1, e->image, e->activations);
    pool_last(e);
    pulmo_head_logits(e->head, 1, e->features, e->logits);
    pulmo_model_probabilities(e->model, 1, e->logits, out->probabilities);
    out->predicted = pulmo_model_class(e->model, out->probabilities);
    out->class_index = class_index < 0 ? out->predicted : class_index;
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
