/* One logit's gradient by the pooled features, for explanations: plain loops in double, no
 * dropout. Training's own gradients are head.c's. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/head.h"
#include "pulmo/memory.h"

/* Widths of all layers and where each layer's values stand in one array. */
typedef struct chain {
    int layers, width[PULMO_HIDDEN_MAX + 2];
    size_t at[PULMO_HIDDEN_MAX + 2], values;
} chain;

static chain chain_of(const pulmo_head_spec *spec)
{
    chain c = {.layers = spec->hidden_layers + 1};
    c.width[0] = pulmo_head_inputs(spec);
    for (int l = 0; l < spec->hidden_layers; l++)
        c.width[l + 1] = spec->hidden[l];
    c.width[c.layers] = spec->classes;
    for (int l = 0; l <= c.layers; l++) {
        c.at[l] = c.values;
        c.values += (size_t)c.width[l];
    }
    return c;
}

static void pool(const pulmo_head_spec *spec, const float *features, double *out)
{
    int cells = spec->height * spec->width;
    if (spec->pool == PULMO_POOL_FLATTEN) {
        for (int i = 0; i < spec->channels * cells; i++)
            out[i] = (double)features[i];
        return;
    }
    for (int c = 0; c < spec->channels; c++) {
        const float *plane = features + (size_t)c * (size_t)cells;
        double sum = 0, most = (double)plane[0];
        for (int i = 0; i < cells; i++) {
            sum += (double)plane[i];
            if ((double)plane[i] > most)
                most = (double)plane[i];
        }
        out[c] = spec->pool == PULMO_POOL_MAX ? most : sum / cells;
        if (spec->pool == PULMO_POOL_AVGMAX)
            out[spec->channels + c] = most;
    }
}

static void forward(const chain *c, const pulmo_layout *layout, const float *parameters,
                    double *values)
{
    for (int l = 0; l < c->layers; l++) {
        const float *weight = parameters + pulmo_layout_get(layout, PULMO_LINEAR_WEIGHT, l)->offset;
        const float *bias = parameters + pulmo_layout_get(layout, PULMO_LINEAR_BIAS, l)->offset;
        const double *x = values + c->at[l];
        double *y = values + c->at[l + 1];
        bool hidden = l + 1 < c->layers;
        for (int o = 0; o < c->width[l + 1]; o++) {
            double sum = (double)bias[o];
            for (int i = 0; i < c->width[l]; i++)
                sum += (double)weight[i] * x[i];
            y[o] = hidden && sum <= 0 ? 0 : sum;
            weight += c->width[l];
        }
    }
}

/* slope[at[l] ...] becomes dy/d(value) from the class's logit down to the pooled features. A hidden
 * value of 0 has been cut by its ReLU, so nothing passes. */
static void backward(const chain *c, const pulmo_layout *layout, const float *parameters,
                     const double *values, int class_index, double *slope)
{
    memset(slope, 0, c->values * sizeof *slope);
    slope[c->at[c->layers] + (size_t)class_index] = 1;
    for (int l = c->layers - 1; l >= 0; l--) {
        const float *weight = parameters + pulmo_layout_get(layout, PULMO_LINEAR_WEIGHT, l)->offset;
        double *below = slope + c->at[l];
        const double *above = slope + c->at[l + 1];
        const double *value = values + c->at[l + 1];
        bool hidden = l + 1 < c->layers;
        for (int o = 0; o < c->width[l + 1]; o++) {
            bool cut = hidden && value[o] <= 0;
            for (int i = 0; i < c->width[l] && !cut && above[o] != 0; i++)
                below[i] += above[o] * (double)weight[i];
            weight += c->width[l];
        }
    }
}

pulmo_status pulmo_head_logit_gradient(const pulmo_head_spec *spec, const float *parameters,
                                       const float *features, int class_index, double *gradient)
{
    chain c = chain_of(spec);
    pulmo_layout layout;
    double *values = pulmo_alloc(2 * c.values, sizeof *values);
    if (!values)
        return PULMO_MEMORY;
    double *slope = values + c.values;
    pulmo_head_layout_of(spec, &layout);
    pool(spec, features, values);
    forward(&c, &layout, parameters, values);
    backward(&c, &layout, parameters, values, class_index, slope);
    memcpy(gradient, slope, (size_t)c.width[0] * sizeof *gradient);
    pulmo_free(values);
    return PULMO_OK;
}
