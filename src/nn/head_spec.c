/* The head's shape: where its tensors stand and what they start from. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "layout_room.h"

#include "pulmo/head.h"
#include "pulmo/rng.h"

void pulmo_head_spec_init(pulmo_head_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->channels = 512;
    spec->height = spec->width = 7;
    spec->classes = 2;
}

size_t pulmo_head_floats(const pulmo_head_spec *spec)
{
    return (size_t)spec->channels * (size_t)spec->height * (size_t)spec->width;
}

static size_t inputs_of(const pulmo_head_spec *spec)
{
    const size_t channels = (size_t)spec->channels;
    switch (spec->pool) {
    case PULMO_POOL_FLATTEN:
        return pulmo_head_floats(spec);
    case PULMO_POOL_AVGMAX:
        return 2 * channels;
    case PULMO_POOL_AVG:
    case PULMO_POOL_MAX:
        break;
    }
    return channels;
}

bool pulmo_head_fits(const pulmo_head_spec *spec)
{
    return inputs_of(spec) <= INT_MAX;
}

int pulmo_head_inputs(const pulmo_head_spec *spec)
{
    return (int)inputs_of(spec);
}

/* torchvision's classifier has ReLU and dropout between its linear layers: 0, 3, 6 ... */
#define TORCHVISION_STRIDE 3

void pulmo_head_layout_of(const pulmo_head_spec *spec, pulmo_layout *out)
{
    memset(out, 0, sizeof *out);
    int inputs = pulmo_head_inputs(spec);
    for (int layer = 0; layer <= spec->hidden_layers; layer++) {
        int outputs = layer < spec->hidden_layers ? spec->hidden[layer] : spec->classes;
        char name[24];
        snprintf(name, sizeof name, "classifier.%d", TORCHVISION_STRIDE * layer);
        layout_add(out, PULMO_LINEAR_WEIGHT, layer, name, outputs, inputs);
        inputs = outputs;
    }
}

void pulmo_head_parameters_init(const pulmo_head_spec *spec, uint64_t seed, float *parameters)
{
    pulmo_layout layout;
    pulmo_head_layout_of(spec, &layout);
    for (int t = 0; t < layout.tensors; t++) {
        const pulmo_tensor *tensor = &layout.tensor[t];
        /* A bias has its weight's inputs. */
        const pulmo_tensor *weight = pulmo_layout_get(&layout, PULMO_LINEAR_WEIGHT, tensor->layer);
        double bound = 1.0 / sqrt(weight->cols);
        pulmo_rng rng;
        pulmo_rng_at(&rng, seed, PULMO_RNG_INIT, (uint64_t)t, 0);
        size_t count = pulmo_tensor_count(tensor);
        for (size_t i = 0; i < count; i++)
            parameters[tensor->offset + i] = (float)pulmo_rng_range(&rng, -bound, bound);
    }
}
