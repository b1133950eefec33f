/* The model as safetensors with torchvision's names: features.N.weight (O, I, 3, 3) and .bias of
 * the convolutions, which take RGB; classifier.0, .3, .6 ... of the head, each but the last
 * followed by ReLU and dropout, as in torchvision's VGG. What stands between them is said in
 * __metadata__: "pool" is flatten ((C, h, w), row-major), avg, max, or avgmax (all averages, then
 * all maxima). */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "export_room.h"

static json_t *tensor_entry(const int *shape, int rank, int64_t *at)
{
    int64_t bytes = sizeof(float);
    json_t *sizes = json_array();
    for (int i = 0; i < rank; i++) {
        bytes *= shape[i];
        json_array_append_new(sizes, json_integer(shape[i]));
    }
    json_t *out = json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", sizes, "data_offsets",
                            (json_int_t)*at, (json_int_t)(*at + bytes));
    *at += bytes;
    return out;
}

static void add_tensor(json_t *header, const char *name, const int *shape, int rank, int64_t *at)
{
    json_object_set_new(header, name, tensor_entry(shape, rank, at));
}

static void add_convolution(json_t *header, const pulmo_conv *conv, int64_t *at)
{
    const int shape[4] = {conv->out_channels, conv->in_channels, 3, 3};
    char name[64];
    snprintf(name, sizeof name, "features.%d.weight", conv->feature_index);
    add_tensor(header, name, shape, 4, at);
    snprintf(name, sizeof name, "features.%d.bias", conv->feature_index);
    add_tensor(header, name, shape, 1, at);
}

static void add_entries(json_t *header, const exporting *e)
{
    const pulmo_layout *layout = &e->model->layout;
    int64_t at = 0;
    for (int i = 0; i < e->weights->convs; i++)
        add_convolution(header, &e->weights->conv[i], &at);
    for (int t = 0; t < layout->tensors; t++) {
        const pulmo_tensor *tensor = &layout->tensor[t];
        const int shape[2] = {tensor->rows, tensor->cols};
        int rank = pulmo_tensor_is_bias(tensor) ? 1 : 2;
        add_tensor(header, tensor->name, shape, rank, &at);
    }
}

static void add_floats(byte_buffer *out, const float *values, size_t count)
{
    buffer_add(out, values, count * sizeof *values);
}

static void add_values(byte_buffer *out, const exporting *e)
{
    for (int i = 0; i < e->weights->convs; i++) {
        const pulmo_conv *conv = &e->weights->conv[i];
        size_t outs = (size_t)conv->out_channels;
        size_t ins = (size_t)conv->in_channels;
        add_floats(out, conv->weight, outs * ins * 9);
        add_floats(out, conv->bias, outs);
    }
    /* The head's tensors stand in this order. */
    add_floats(out, e->model->parameters, e->model->layout.parameters);
}

static void add_fact(json_t *metadata, const char *key, const char *value)
{
    json_object_set_new(metadata, key, json_string(value));
}

pulmo_status export_safetensors(exporting *e, byte_buffer *out)
{
    json_t *header = json_object(), *metadata = json_object();
    facts_add(&e->facts, "format", "pt");
    facts_add(&e->facts, "input", "RGB in 0..1, minus mean, over std");
    facts_add(&e->facts, "output", "logits; softmax(logits / temperature) gives probabilities");
    for (int i = 0; i < e->facts.count; i++)
        add_fact(metadata, e->facts.key[i], e->facts.value[i]);
    json_object_set_new(header, "__metadata__", metadata);
    add_entries(header, e);
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (!text)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    uint8_t length[8];
    size_t bytes = strlen(text);
    uint64_t padded = (bytes + 7) / 8 * 8; /* so that the values are aligned */
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(padded >> (8 * i));
    buffer_add(out, length, sizeof length);
    buffer_add(out, text, bytes);
    buffer_add(out, "       ", padded - bytes);
    add_values(out, e);
    free(text);
    return PULMO_OK;
}
