/* The model as safetensors with torchvision's names: features.N.weight (O, I, 3, 3) and .bias of
 * the convolutions, which take RGB; classifier.0, .3, .6 ... of the head, each but the last
 * followed by ReLU and dropout, as in torchvision's VGG. What stands between them is said in
 * __metadata__: "pool" is flatten ((C, h, w), row-major), avg, max, or avgmax (all averages, then
 * all maxima); with "pool_blocks", as in [4,5], the averages of these blocks' outputs, side by
 * side.
 */
#include <errno.h>
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
    const int64_t begin = *at;
    const int64_t end = begin + bytes;
    *at = end;
    json_t *offsets = json_array();
    json_array_append_new(offsets, json_integer(begin));
    json_array_append_new(offsets, json_integer(end));
    json_t *out = json_object();
    json_object_set_new(out, "dtype", json_string("F32"));
    json_object_set_new(out, "shape", sizes);
    json_object_set_new(out, "data_offsets", offsets);
    return out;
}

static void add_tensor(json_t *header, const char *name, const int *shape, int rank, int64_t *at)
{
    json_object_set_new(header, name, tensor_entry(shape, rank, at));
}

static void add_convolution(json_t *header, const pulmo_conv *conv, int64_t *at)
{
    const int shape[4] = {conv->out_channels, conv->in_channels, 3, 3};
    const int index = conv->feature_index;
    char name[64];
    snprintf(name, sizeof name, "features.%d.weight", index);
    add_tensor(header, name, shape, 4, at);
    snprintf(name, sizeof name, "features.%d.bias", index);
    add_tensor(header, name, shape, 1, at);
}

static void add_entries(json_t *header, const exporting *e)
{
    const pulmo_layout *layout = &e->model->layout;
    const pulmo_weights *weights = e->weights;
    int64_t at = 0;
    for (int i = 0; i < weights->convs; i++)
        add_convolution(header, &weights->conv[i], &at);
    for (int t = 0; t < layout->tensors; t++) {
        const pulmo_tensor *tensor = &layout->tensor[t];
        const int shape[2] = {tensor->rows, tensor->cols};
        int rank = 2;
        if (pulmo_tensor_is_bias(tensor))
            rank = 1;
        add_tensor(header, tensor->name, shape, rank, &at);
    }
}

static void add_floats(byte_buffer *out, const float *values, size_t count)
{
    buffer_add(out, values, count * sizeof *values);
}

static void add_values(byte_buffer *out, const exporting *e)
{
    const pulmo_weights *weights = e->weights;
    const pulmo_model *model = e->model;
    for (int i = 0; i < weights->convs; i++) {
        const pulmo_conv *conv = &weights->conv[i];
        size_t outs = (size_t)conv->out_channels;
        size_t ins = (size_t)conv->in_channels;
        size_t values = outs * ins * 9;
        add_floats(out, conv->weight, values);
        add_floats(out, conv->bias, outs);
    }
    /* The head's tensors stand in this order. */
    add_floats(out, model->parameters, model->layout.parameters);
}

static json_t *metadata_of(export_facts *facts)
{
    json_t *out = json_object();
    facts_add(facts, "format", "pt");
    facts_add(facts, "input", "RGB in 0..1, minus mean, over std");
    facts_add(facts, "output", "logits; softmax(logits / temperature) gives probabilities");
    for (int i = 0; i < facts->count; i++) {
        json_t *value = json_string(facts->value[i]);
        json_object_set_new(out, facts->key[i], value);
    }
    return out;
}

/* The header's length, little-endian, and the header, padded so that the values are aligned. */
static void add_header(byte_buffer *out, const char *text)
{
    const size_t bytes = strlen(text);
    const uint64_t padded = (bytes + 7) / 8 * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(padded >> (8 * i));
    buffer_add(out, length, sizeof length);
    buffer_add(out, text, bytes);
    buffer_add(out, "       ", padded - bytes);
}

pulmo_status export_safetensors(exporting *e, byte_buffer *out)
{
    errno = 0;
    json_t *header = json_object();
    json_t *metadata = metadata_of(&e->facts);
    json_object_set_new(header, "__metadata__", metadata);
    add_entries(header, e);
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    bool whole = errno != ENOMEM; /* what there was no memory for is left out */
    if (!text || !whole) {
        free(text);
        return pulmo_fail(PULMO_MEMORY, "out of memory for a header");
    }
    add_header(out, text);
    add_values(out, e);
    free(text);
    return PULMO_OK;
}
