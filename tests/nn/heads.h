/* A small head on noise, for the tests of the head. Include after cmocka.h. */
#ifndef PULMO_TEST_HEADS_H
#define PULMO_TEST_HEADS_H

#include <stdlib.h>
#include <string.h>

#include "pulmo/head.h"
#include "pulmo/rng.h"

static inline float *noise(size_t count, uint32_t which)
{
    pulmo_rng rng;
    float *out = malloc(count * sizeof *out);
    assert_non_null(out);
    pulmo_rng_at(&rng, 23, PULMO_RNG_TEST, which, 0);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)pulmo_rng_normal(&rng);
    return out;
}

static inline pulmo_head_spec small_spec(void)
{
    pulmo_head_spec spec;
    pulmo_head_spec_init(&spec);
    spec.channels = 37;
    spec.height = 3;
    spec.width = 5;
    spec.hidden_layers = 2;
    spec.hidden[0] = 45;
    spec.hidden[1] = 18;
    spec.classes = 3;
    spec.dropout = 0.5;
    return spec;
}

static inline size_t floats_of(const pulmo_head_spec *spec)
{
    return (size_t)spec->channels * (size_t)spec->height * (size_t)spec->width;
}

typedef struct network {
    pulmo_head_spec spec;
    pulmo_loss_spec loss;
    pulmo_layout layout;
    float *parameters;
    pulmo_head *head;
} network;

static inline void network_open(network *net, const pulmo_head_spec *spec, int microbatch,
                                int microbatches)
{
    memset(net, 0, sizeof *net);
    net->spec = *spec;
    pulmo_head_layout_of(spec, &net->layout);
    net->parameters = calloc(net->layout.parameters, sizeof(float));
    assert_non_null(net->parameters);
    pulmo_head_parameters_init(spec, 7, net->parameters);
    assert_int_equal(
        pulmo_head_create(spec, &net->loss, microbatch, microbatches, net->parameters, &net->head),
        PULMO_OK);
}

static inline void network_close(network *net)
{
    pulmo_head_destroy(net->head);
    free(net->parameters);
}

/* All of a microbatch's gradients, (parameters), in one block a tensor. */
static inline float *gradients(const network *net, int microbatch_index)
{
    float *out = malloc(net->layout.parameters * sizeof *out);
    assert_non_null(out);
    for (int t = 0; t < net->layout.tensors; t++) {
        pulmo_block block = {t, 0, net->layout.tensor[t].rows, 0, net->layout.tensor[t].cols};
        pulmo_head_microbatch_gradient(net->head, microbatch_index, &block,
                                       out + net->layout.tensor[t].offset);
    }
    return out;
}

#endif
