/* The head's shape: where its tensors stand and what they start from. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pulmo/head.h"
#include "pulmo/rng.h"

void pulmo_head_spec_init(pulmo_head_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->channels = 512;
    spec->height = spec->width = 7;
    spec->classes = 2;
}

int pulmo_head_inputs(const pulmo_head_spec *spec)
{
    switch (spec->pool) {
    case PULMO_POOL_FLATTEN:
        return spec->channels * spec->height * spec->width;
    case PULMO_POOL_AVGMAX:
        return 2 * spec->channels;
    case PULMO_POOL_AVG:
    case PULMO_POOL_MAX:
        break;
    }
    return spec->channels;
}

static void add_tensor(pulmo_head_layout *out, int layer, const char *kind, int rows, int cols)
{
    pulmo_tensor *tensor = &out->tensor[out->tensors++];
    memset(tensor, 0, sizeof *tensor);
    snprintf(tensor->name, sizeof tensor->name, "classifier.%d.%s", 3 * layer, kind);
    tensor->rows = rows;
    tensor->cols = cols;
    tensor->offset = out->parameters;
    out->parameters += (size_t)rows * (size_t)cols;
}

void pulmo_head_layout_of(const pulmo_head_spec *spec, pulmo_head_layout *out)
{
    memset(out, 0, sizeof *out);
    int inputs = pulmo_head_inputs(spec);
    for (int layer = 0; layer <= spec->hidden_layers; layer++) {
        int outputs = layer < spec->hidden_layers ? spec->hidden[layer] : spec->classes;
        add_tensor(out, layer, "weight", outputs, inputs);
        add_tensor(out, layer, "bias", outputs, 1);
        inputs = outputs;
    }
}

void pulmo_head_parameters_init(const pulmo_head_spec *spec, uint64_t seed, float *parameters)
{
    pulmo_head_layout layout;
    pulmo_head_layout_of(spec, &layout);
    for (int t = 0; t < layout.tensors; t++) {
        const pulmo_tensor *tensor = &layout.tensor[t];
        double bound =
            1.0 / sqrt(layout.tensor[t - t % 2].cols); /* a bias has its weight's inputs */
        pulmo_rng rng;
        pulmo_rng_at(&rng, seed, PULMO_RNG_INIT, (uint64_t)t, 0);
        size_t count = (size_t)tensor->rows * (size_t)tensor->cols;
        for (size_t i = 0; i < count; i++)
            parameters[tensor->offset + i] = (float)pulmo_rng_range(&rng, -bound, bound);
    }
}
