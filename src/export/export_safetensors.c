/* The model as safetensors with torchvision's names: features.N.weight (O, I, 3, 3) and .bias of
 * the convolutions, which take RGB; classifier.0, .3, .6 ... of the head, each but the last
 * followed by ReLU and dropout, as in torchvision's VGG. What stands between them is said in
 * __metadata__: "pool" is flatten ((C, h, w), row-major), avg, max, or avgmax (all averages, then
 * all maxima). */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "export_room.h"

static json_t *entry(const int *shape, int rank, int64_t *at)
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

static void add_entries(json_t *header, const exporting *e)
{
    char name[64];
    int64_t at = 0;
    for (int i = 0; i < e->weights->convs; i++) {
        const pulmo_conv *conv = &e->weights->conv[i];
        const int shape[4] = {conv->out_channels, conv->in_channels, 3, 3};
        snprintf(name, sizeof name, "features.%d.weight", conv->feature_index);
        json_object_set_new(header, name, entry(shape, 4, &at));
        snprintf(name, sizeof name, "features.%d.bias", conv->feature_index);
        json_object_set_new(header, name, entry(shape, 1, &at));
    }
    for (int t = 0; t < e->model->layout.tensors; t++) {
        const pulmo_tensor *tensor = &e->model->layout.tensor[t];
        const int shape[2] = {tensor->rows, tensor->cols};
        int rank = pulmo_tensor_is_bias(tensor) ? 1 : 2;
        json_object_set_new(header, tensor->name, entry(shape, rank, &at));
    }
}

static void add_values(byte_buffer *out, const exporting *e)
{
    for (int i = 0; i < e->weights->convs; i++) {
        const pulmo_conv *conv = &e->weights->conv[i];
        buffer_add(out, conv->weight,
                   (size_t)conv->out_channels * (size_t)conv->in_channels * 9 * sizeof(float));
        buffer_add(out, conv->bias, (size_t)conv->out_channels * sizeof(float));
    }
    buffer_add(out, e->model->parameters,
               e->model->layout.parameters * sizeof(float)); /* its tensors stand in this order */
}

pulmo_status export_safetensors(exporting *e, byte_buffer *out)
{
    json_t *header = json_object(), *metadata = json_object();
    facts_add(&e->facts, "format", "pt");
    facts_add(&e->facts, "input", "RGB in 0..1, minus mean, over std");
    facts_add(&e->facts, "output", "logits; softmax(logits / temperature) gives probabilities");
    for (int i = 0; i < e->facts.count; i++)
        json_object_set_new(metadata, e->facts.key[i], json_string(e->facts.value[i]));
    json_object_set_new(header, "__metadata__", metadata);
    add_entries(header, e);
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (!text)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    uint8_t length[8];
    size_t bytes = strlen(text), padded = (bytes + 7) / 8 * 8; /* so that the values are aligned */
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)padded >> (8 * i));
    buffer_add(out, length, sizeof length);
    buffer_add(out, text, bytes);
    buffer_add(out, "       ", padded - bytes);
    add_values(out, e);
    free(text);
    return PULMO_OK;
}
