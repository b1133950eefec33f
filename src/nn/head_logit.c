/* One logit's gradient by the pooled features, for explanations: plain loops in double, no
 * dropout. Training's own gradients are head.c's. */
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
        int values = spec->channels * cells;
        for (int i = 0; i < values; i++)
            out[i] = (double)features[i];
        return;
    }
    for (int c = 0; c < spec->channels; c++) {
        double sum = 0;
        double most = (double)features[0];
        for (int i = 0; i < cells; i++) {
            double value = (double)features[i];
            sum += value;
            if (value > most)
                most = value;
        }
        if (spec->pool == PULMO_POOL_MAX)
            out[c] = most;
        else
            out[c] = sum / cells;
        if (spec->pool == PULMO_POOL_AVGMAX)
            out[spec->channels + c] = most;
        features += cells;
    }
}

static const float *tensor_of(const pulmo_layout *layout, const float *parameters,
                              pulmo_tensor_kind kind, int layer)
{
    const pulmo_tensor *tensor = pulmo_layout_get(layout, kind, layer);
    return parameters + tensor->offset;
}

static void forward(const chain *c, const pulmo_layout *layout, const float *parameters,
                    double *values)
{
    for (int l = 0; l < c->layers; l++) {
        const float *weight = tensor_of(layout, parameters, PULMO_LINEAR_WEIGHT, l);
        const float *bias = tensor_of(layout, parameters, PULMO_LINEAR_BIAS, l);
        const double *x = values + c->at[l];
        double *y = values + c->at[l + 1];
        int inputs = c->width[l];
        int outputs = c->width[l + 1];
        bool hidden = l + 1 < c->layers;
        for (int o = 0; o < outputs; o++) {
            double sum = (double)bias[o];
            for (int i = 0; i < inputs; i++)
                sum += (double)weight[i] * x[i];
            if (hidden && sum <= 0)
                sum = 0;
            y[o] = sum;
            weight += inputs;
        }
    }
}

static void add_scaled(double *to, const float *row, double factor, int count)
{
    for (int i = 0; i < count; i++)
        to[i] += factor * (double)row[i];
}

/* slope[at[l] ...] becomes dy/d(value) from the class's logit down to the pooled features. A hidden
 * value of 0 has been cut by its ReLU, so nothing passes. */
static void backward(const chain *c, const pulmo_layout *layout, const float *parameters,
                     const double *values, int class_index, double *slope)
{
    size_t logits = c->at[c->layers];
    memset(slope, 0, c->values * sizeof *slope);
    slope[logits + class_index] = 1;
    for (int l = c->layers - 1; l >= 0; l--) {
        const float *weight = tensor_of(layout, parameters, PULMO_LINEAR_WEIGHT, l);
        double *below = slope + c->at[l];
        const double *above = slope + c->at[l + 1];
        const double *value = values + c->at[l + 1];
        int inputs = c->width[l];
        int outputs = c->width[l + 1];
        bool hidden = l + 1 < c->layers;
        for (int o = 0; o < outputs; o++) {
            bool cut = hidden && value[o] <= 0;
            if (!cut && above[o] != 0)
                add_scaled(below, weight, above[o], inputs);
            weight += inputs;
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
    size_t inputs = (size_t)c.width[0];
    memcpy(gradient, slope, inputs * sizeof *gradient);
    pulmo_free(values);
    return PULMO_OK;
}
