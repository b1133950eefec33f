#include "layout_room.h"

#include <assert.h>
#include <stdio.h>

bool pulmo_tensor_is_bias(const pulmo_tensor *tensor)
{
    return tensor->kind == PULMO_CONV_BIAS || tensor->kind == PULMO_LINEAR_BIAS;
}

size_t pulmo_tensor_count(const pulmo_tensor *tensor)
{
    size_t rows = (size_t)tensor->rows;
    size_t cols = (size_t)tensor->cols;
    return rows * cols;
}

/* `tensor` with its name and offset. */
static void add_tensor(pulmo_layout *layout, pulmo_tensor tensor, const char *name)
{
    const char *suffix = pulmo_tensor_is_bias(&tensor) ? "bias" : "weight";
    int number = layout->tensors;
    assert(number < PULMO_TENSORS_MAX);
    snprintf(tensor.name, sizeof tensor.name, "%s.%s", name, suffix);
    tensor.offset = layout->parameters;
    layout->tensor[number] = tensor;
    layout->tensors++;
    layout->parameters += pulmo_tensor_count(&tensor);
}

void layout_add(pulmo_layout *layout, pulmo_tensor_kind weight, int layer, const char *name,
                int outs, int ins)
{
    pulmo_tensor_kind bias = weight == PULMO_CONV_WEIGHT ? PULMO_CONV_BIAS : PULMO_LINEAR_BIAS;
    const pulmo_tensor of_weight = {.kind = weight, .layer = layer, .rows = outs, .cols = ins};
    const pulmo_tensor of_bias = {.kind = bias, .layer = layer, .rows = outs, .cols = 1};
    add_tensor(layout, of_weight, name);
    add_tensor(layout, of_bias, name);
}

void layout_append(pulmo_layout *layout, const pulmo_layout *more)
{
    assert(layout->tensors + more->tensors <= PULMO_TENSORS_MAX);
    for (int t = 0; t < more->tensors; t++) {
        pulmo_tensor *added = &layout->tensor[layout->tensors++];
        *added = more->tensor[t];
        added->offset += layout->parameters;
    }
    layout->parameters += more->parameters;
}

int pulmo_layout_find(const pulmo_layout *layout, pulmo_tensor_kind kind, int layer)
{
    int t = 0;
    while (t < layout->tensors &&
           (layout->tensor[t].kind != kind || layout->tensor[t].layer != layer))
        t++;
    assert(t < layout->tensors);
    return t;
}

const pulmo_tensor *pulmo_layout_get(const pulmo_layout *layout, pulmo_tensor_kind kind, int layer)
{
    int number = pulmo_layout_find(layout, kind, layer);
    return &layout->tensor[number];
}
