/* The model as ONNX (IR version 8, operator set 13):
 *
 *   input (batch, 3, size, size)
 *     - [Sub Div] - (Conv Relu)+ MaxPool ... - pooling - (Gemm Relu)* Gemm - logits
 *     - [Div by the temperature] - Softmax - probabilities (batch, classes)
 *
 *   pooling: flatten: Flatten
 *            avg, max: GlobalAveragePool or GlobalMaxPool, Flatten
 *            avgmax: both, Concat
 *            of several blocks: GlobalAveragePool of each one's MaxPool, Concat, Flatten
 *
 * Written by the wire format of protobuf (protobuf.dev, "Encoding"), field numbers from onnx.proto.
 * The length of a message is not known before its end, so five bytes are kept for it and filled in
 * later: a varint may have leading zero groups. */
#include <string.h>

#include "export_room.h"

enum { TYPE_FLOAT = 1 };                        /* TensorProto.DataType */
enum { ATTRIBUTE_INT = 2, ATTRIBUTE_INTS = 7 }; /* AttributeProto.AttributeType */

/* ---- the wire format ---- */

#define GROUP_BITS    7 /* of a varint's byte; the eighth says that another one follows */
#define GROUP_MASK    0x7f
#define GROUP_FOLLOWS 0x80
#define LENGTH_BYTES  5 /* kept for the length of a message */
#define LENGTHS       2 /* wire type of fields that begin with their length */

static void put_varint(byte_buffer *b, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;
    while (value > GROUP_MASK) {
        bytes[count++] = (uint8_t)((value & GROUP_MASK) | GROUP_FOLLOWS);
        value >>= GROUP_BITS;
    }
    bytes[count++] = (uint8_t)value;
    buffer_add(b, bytes, count);
}

static void put_int(byte_buffer *b, int field, int64_t value)
{
    put_varint(b, (uint64_t)field << 3);
    put_varint(b, (uint64_t)value);
}

static void put_bytes(byte_buffer *b, int field, const void *data, size_t size)
{
    put_varint(b, (uint64_t)field << 3 | LENGTHS);
    put_varint(b, size);
    buffer_add(b, data, size);
}

static void put_text(byte_buffer *b, int field, const char *text)
{
    put_bytes(b, field, text, strlen(text));
}

/* Returns what end_message needs. */
static size_t begin_message(byte_buffer *b, int field)
{
    put_varint(b, (uint64_t)field << 3 | LENGTHS);
    buffer_add(b, "\x80\x80\x80\x80", LENGTH_BYTES);
    return b->size;
}

static void end_message(byte_buffer *b, size_t begun)
{
    size_t length = b->size - begun;
    if (b->failed)
        return;
    uint8_t *bytes = b->bytes + begun - LENGTH_BYTES;
    for (int i = 0; i < LENGTH_BYTES; i++) {
        bytes[i] = length & GROUP_MASK;
        if (i + 1 < LENGTH_BYTES)
            bytes[i] |= GROUP_FOLLOWS;
        length >>= GROUP_BITS;
    }
}

/* ---- tensors and nodes of a GraphProto ---- */

static void put_tensor(byte_buffer *b, const char *name, const int64_t *dims, int rank,
                       const float *values)
{
    size_t message = begin_message(b, 5);
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        put_int(b, 1, dims[i]);
        count *= (size_t)dims[i];
    }
    put_int(b, 2, TYPE_FLOAT);
    put_text(b, 8, name);
    put_bytes(b, 9, values, count * sizeof *values);
    end_message(b, message);
}

static void put_ints(byte_buffer *b, const char *name, const int64_t *values, int count)
{
    size_t message = begin_message(b, 5);
    put_text(b, 1, name);
    for (int i = 0; i < count; i++)
        put_int(b, 8, values[i]);
    put_int(b, 20, ATTRIBUTE_INTS);
    end_message(b, message);
}

static void put_attribute(byte_buffer *b, const char *name, int64_t value)
{
    size_t message = begin_message(b, 5);
    put_text(b, 1, name);
    put_int(b, 3, value);
    put_int(b, 20, ATTRIBUTE_INT);
    end_message(b, message);
}

/* A node named after its output. The caller adds attributes and ends the message. */
static size_t begin_node(byte_buffer *b, const char *type, const char *const *inputs, int count,
                         const char *output)
{
    size_t message = begin_message(b, 1);
    for (int i = 0; i < count; i++)
        put_text(b, 1, inputs[i]);
    put_text(b, 2, output);
    put_text(b, 3, output);
    put_text(b, 4, type);
    return message;
}

static void put_node(byte_buffer *b, const char *type, const char *input, const char *output)
{
    end_message(b, begin_node(b, type, &input, 1, output));
}

/* ---- the graph ---- */

#define NAME 64

/* Adds a node that takes `at`, whose name then becomes the node's. */
static void put_step(byte_buffer *b, const char *type, char at[NAME], const char *output)
{
    put_node(b, type, at, output);
    snprintf(at, NAME, "%s", output);
}

static void put_normalization(byte_buffer *b, char at[NAME])
{
    const char *sub[] = {at, "mean"};
    const char *div[] = {"centred", "std"};
    end_message(b, begin_node(b, "Sub", sub, 2, "centred"));
    end_message(b, begin_node(b, "Div", div, 2, "normalised"));
    snprintf(at, NAME, "normalised");
}

/* "features.INDEX" with a suffix. */
static void name_feature(char out[NAME], int index, const char *suffix)
{
    snprintf(out, NAME, "features.%d%s", index, suffix);
}

static void put_max_pool(byte_buffer *b, int index, char at[NAME])
{
    static const int64_t twos[2] = {2, 2};
    const char *input = at;
    char out[NAME];
    name_feature(out, index, "");
    size_t node = begin_node(b, "MaxPool", &input, 1, out);
    put_ints(b, "kernel_shape", twos, 2);
    put_ints(b, "strides", twos, 2);
    end_message(b, node);
    snprintf(at, NAME, "%s", out);
}

static void put_convolution(byte_buffer *b, const pulmo_conv *conv, char at[NAME])
{
    static const int64_t threes[2] = {3, 3};
    static const int64_t ones[4] = {1, 1, 1, 1};
    int index = conv->feature_index;
    char weight[NAME], bias[NAME], out[NAME];
    name_feature(weight, index, ".weight");
    name_feature(bias, index, ".bias");
    name_feature(out, index, "");
    const char *inputs[] = {at, weight, bias};
    size_t node = begin_node(b, "Conv", inputs, 3, out);
    put_ints(b, "kernel_shape", threes, 2);
    put_ints(b, "pads", ones, 4);
    put_ints(b, "strides", ones, 2);
    end_message(b, node);
    snprintf(at, NAME, "%s", out);
    name_feature(out, index + 1, "");
    put_step(b, "Relu", at, out);
    if (conv->pool_after)
        put_max_pool(b, index + 2, at);
}

/* A node of one output and an axis of 1, whose name `at` becomes. */
static void put_along_channels(byte_buffer *b, const char *type, const char *const *inputs,
                               int count, const char *output, char at[NAME])
{
    size_t node = begin_node(b, type, inputs, count, output);
    put_attribute(b, "axis", 1);
    end_message(b, node);
    snprintf(at, NAME, "%s", output);
}

static void put_pooling(byte_buffer *b, pulmo_pooling pool, char at[NAME])
{
    const char *both[] = {"average", "maximum"};
    const char *input = at;
    switch (pool) {
    case PULMO_POOL_AVG:
        put_step(b, "GlobalAveragePool", at, "average");
        break;
    case PULMO_POOL_MAX:
        put_step(b, "GlobalMaxPool", at, "maximum");
        break;
    case PULMO_POOL_AVGMAX:
        put_node(b, "GlobalAveragePool", at, "average");
        put_node(b, "GlobalMaxPool", at, "maximum");
        put_along_channels(b, "Concat", both, 2, "pooled", at);
        break;
    case PULMO_POOL_FLATTEN:
        break;
    }
    put_along_channels(b, "Flatten", &input, 1, "flat", at);
}

/* The averages of several blocks, named after their max-pools, side by side. */
static void put_averages(byte_buffer *b, const exporting *e, char at[NAME])
{
    const pulmo_weights *weights = e->weights;
    char names[PULMO_BLOCKS_MAX][NAME];
    const char *inputs[PULMO_BLOCKS_MAX];
    const char *pooled = at;
    int block = 1;
    int count = 0;
    for (int i = 0; i < weights->convs; i++) {
        const pulmo_conv *conv = &weights->conv[i];
        char max_pool[NAME];
        if (!conv->pool_after)
            continue;
        name_feature(max_pool, conv->feature_index + 2, "");
        if (pulmo_block_set_has(e->model->tuned.averaged, block++)) {
            name_feature(names[count], conv->feature_index + 2, ".average");
            put_node(b, "GlobalAveragePool", max_pool, names[count]);
            inputs[count] = names[count];
            count++;
        }
    }
    put_along_channels(b, "Concat", inputs, count, "averages", at);
    put_along_channels(b, "Flatten", &pooled, 1, "flat", at);
}

static void put_linear(byte_buffer *b, const pulmo_layout *layout, int layer, char at[NAME],
                       const char *output)
{
    const pulmo_tensor *weight = pulmo_layout_get(layout, PULMO_LINEAR_WEIGHT, layer);
    const pulmo_tensor *bias = pulmo_layout_get(layout, PULMO_LINEAR_BIAS, layer);
    const char *inputs[] = {at, weight->name, bias->name};
    size_t node = begin_node(b, "Gemm", inputs, 3, output);
    put_attribute(b, "transB", 1);
    end_message(b, node);
    snprintf(at, NAME, "%s", output);
}

static void put_head(byte_buffer *b, const pulmo_layout *layout, char at[NAME])
{
    const pulmo_tensor *top = &layout->tensor[layout->tensors - 1];
    for (int l = 0; l < top->layer; l++) {
        const int index = 3 * l;
        char out[NAME];
        snprintf(out, sizeof out, "classifier.%d", index);
        put_linear(b, layout, l, at, out);
        snprintf(out, sizeof out, "classifier.%d", index + 1);
        put_step(b, "Relu", at, out);
    }
    put_linear(b, layout, top->layer, at, "logits");
}

static void put_conv_weights(byte_buffer *b, const pulmo_conv *conv)
{
    const int64_t dims[4] = {conv->out_channels, conv->in_channels, 3, 3};
    char name[NAME];
    name_feature(name, conv->feature_index, ".weight");
    put_tensor(b, name, dims, 4, conv->weight);
    name_feature(name, conv->feature_index, ".bias");
    put_tensor(b, name, dims, 1, conv->bias);
}

static void put_head_weights(byte_buffer *b, const pulmo_model *model)
{
    for (int t = 0; t < model->layout.tensors; t++) {
        const pulmo_tensor *tensor = &model->layout.tensor[t];
        const int64_t dims[2] = {tensor->rows, tensor->cols};
        const float *values = model->parameters + tensor->offset;
        int rank = 2;
        if (pulmo_tensor_is_bias(tensor))
            rank = 1;
        put_tensor(b, tensor->name, dims, rank, values);
    }
}

static void put_initializers(byte_buffer *b, const exporting *e)
{
    const int64_t per_channel[4] = {1, 3, 1, 1};
    const pulmo_model *model = e->model;
    const pulmo_weights *weights = e->weights;
    for (int i = 0; i < weights->convs; i++)
        put_conv_weights(b, &weights->conv[i]);
    put_head_weights(b, model);
    if (model->temperature != 1) {
        const float temperature = (float)model->temperature;
        put_tensor(b, "temperature", NULL, 0, &temperature);
    }
    if (!e->options->with_normalization)
        return;
    put_tensor(b, "mean", per_channel, 4, model->mean);
    put_tensor(b, "std", per_channel, 4, model->std);
}

/* A ValueInfoProto: float32, the first side of any length. */
static void put_value(byte_buffer *b, int field, const char *name, const int *sides, int count)
{
    size_t value = begin_message(b, field);
    put_text(b, 1, name);
    size_t type = begin_message(b, 2);
    size_t tensor = begin_message(b, 1);
    put_int(b, 1, TYPE_FLOAT);
    size_t shape = begin_message(b, 2);
    size_t side = begin_message(b, 1);
    put_text(b, 2, "batch");
    end_message(b, side);
    for (int i = 0; i < count; i++) {
        side = begin_message(b, 1);
        put_int(b, 1, sides[i]);
        end_message(b, side);
    }
    end_message(b, shape);
    end_message(b, tensor);
    end_message(b, type);
    end_message(b, value);
}

static void put_probabilities(byte_buffer *b, double temperature, const char *logits)
{
    const char *scaling[] = {logits, "temperature"};
    const char *input = logits;
    if (temperature != 1) {
        size_t division = begin_node(b, "Div", scaling, 2, "scaled");
        end_message(b, division);
        input = "scaled";
    }
    size_t node = begin_node(b, "Softmax", &input, 1, "probabilities");
    put_attribute(b, "axis", 1);
    end_message(b, node);
}

/* All nodes, from "input" to "probabilities". */
static void put_layers(byte_buffer *b, const exporting *e)
{
    const pulmo_weights *weights = e->weights;
    const pulmo_model *model = e->model;
    char at[NAME] = "input";
    if (e->options->with_normalization)
        put_normalization(b, at);
    for (int i = 0; i < weights->convs; i++)
        put_convolution(b, &weights->conv[i], at);
    if (model->tuned.averaged != 0)
        put_averages(b, e, at);
    else
        put_pooling(b, model->head.pool, at);
    put_head(b, &model->layout, at);
    put_probabilities(b, model->temperature, at);
}

static void put_graph(byte_buffer *b, const exporting *e)
{
    const pulmo_model *model = e->model;
    const int side = model->size_px;
    const int image[3] = {3, side, side};
    size_t graph = begin_message(b, 7);
    put_layers(b, e);
    put_text(b, 2, "pulmo");
    put_initializers(b, e);
    put_value(b, 11, "input", image, 3);
    put_value(b, 12, "probabilities", &model->classes, 1);
    put_value(b, 12, "logits", &model->classes, 1);
    end_message(b, graph);
}

static void put_facts(byte_buffer *b, const export_facts *facts)
{
    for (int i = 0; i < facts->count; i++) {
        size_t fact = begin_message(b, 14);
        put_text(b, 1, facts->key[i]);
        put_text(b, 2, facts->value[i]);
        end_message(b, fact);
    }
}

pulmo_status export_onnx(exporting *e, byte_buffer *out)
{
    const char *input = "RGB in 0..1, minus mean, over std";
    if (e->options->with_normalization)
        input = "RGB in 0..1";
    facts_add(&e->facts, "input", "%s", input);
    put_int(out, 1, 8);
    put_text(out, 2, "pulmo");
    put_text(out, 3, PULMO_VERSION);
    size_t operators = begin_message(out, 8);
    put_text(out, 1, "");
    put_int(out, 2, 13);
    end_message(out, operators);
    put_facts(out, &e->facts);
    put_graph(out, e);
    return PULMO_OK;
}
