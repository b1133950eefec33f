/* ONNX: a protobuf message, read as far as it is needed: ModelProto.graph (7); GraphProto.node (1)
 * and .initializer (5); NodeProto.input (1), .op_type (4) and .attribute (5); AttributeProto.name
 * (1), .f (2), .i (3), .s (4) and .ints (8); TensorProto.dims (1), .data_type (2), .float_data (4),
 * .int32_data (5), .name (8), .raw_data (9), .data_location (14).
 *
 * Names differ between exporters, so layers are found by the graph: its nodes stand in the order of
 * their work, and a VGG begins with Conv, BatchNormalization, Relu and MaxPool alone. What follows
 * is not looked at. */
#include <string.h>

#include "protobuf.h"
#include "weights_room.h"

#define INPUTS_MAX 5 /* of BatchNormalization: x, scale, shift, mean, variance */

/* ---- tensors ---- */

/* Fields of a TensorProto, unchecked. */
typedef struct tensor_fields {
    uint64_t type, elsewhere;
    piece raw, floats, words;
} tensor_fields;

static element_type type_of(uint64_t data_type)
{
    switch (data_type) {
    case 1:
        return ELEMENT_FLOAT32;
    case 10:
        return ELEMENT_FLOAT16;
    case 16:
        return ELEMENT_BFLOAT16;
    default:
        return ELEMENT_OTHER;
    }
}

static pulmo_status take_fields(const weight_file *file, piece message, source_tensor *out,
                                tensor_fields *fields)
{
    field f;
    bool broken = false;
    while (piece_next_field(&message, &f, &broken)) {
        if (f.number == 1 && !field_take_ints(&f, 4, out->shape, &out->rank))
            return weights_bad(file, "%s: has a shape of the wrong rank", out->name);
        if (f.number == 2 && f.wire == WIRE_VARINT)
            fields->type = f.value;
        if (f.number == 4 && f.wire == WIRE_BYTES)
            fields->floats = f.bytes;
        if (f.number == 5 && f.wire == WIRE_BYTES)
            fields->words = f.bytes;
        if (f.number == 9 && f.wire == WIRE_BYTES)
            fields->raw = f.bytes;
        if (f.number == 14 && f.wire == WIRE_VARINT)
            fields->elsewhere = f.value;
    }
    if (broken)
        return weights_bad(file, "%s: is damaged", out->name);
    return PULMO_OK;
}

/* Elements of 16 bits, each in a varint. */
static pulmo_status unpack_words(weight_file *file, piece words, int64_t count, source_tensor *out)
{
    void *block = NULL;
    PULMO_TRY(weights_block(file, 2 * (uint64_t)count, &block));
    uint8_t *to = block;
    int64_t got = 0;
    uint64_t value = 0;
    for (; got < count && piece_take_varint(&words, &value); got++) {
        to[0] = (uint8_t)value;
        to[1] = (uint8_t)(value >> 8);
        to += 2;
    }
    if (got < count || words.at != words.end)
        return weights_bad(file, "%s: does not take the bytes its shape needs", out->name);
    out->at = block;
    return PULMO_OK;
}

static pulmo_status read_tensor(weight_file *file, piece message, source_tensor *out)
{
    tensor_fields fields = {0};
    int64_t count = 0;
    PULMO_TRY(take_fields(file, message, out, &fields));
    out->type = type_of(fields.type);
    if (out->type == ELEMENT_OTHER)
        return weights_bad(file, "%s: has a dtype other than float32, float16 and bfloat16",
                           out->name);
    if (fields.elsewhere)
        return weights_bad(file, "%s: its data are in another file; save the model in one file",
                           out->name);
    PULMO_TRY(source_elements(file, out, &count));
    source_dense(out);
    bool in_words = fields.words.at && !fields.raw.at;
    if (in_words && out->type != ELEMENT_FLOAT32)
        return unpack_words(file, fields.words, count, out);
    piece data = fields.floats;
    if (fields.raw.at)
        data = fields.raw;
    const int64_t each = (int64_t)element_bytes(out->type);
    if (data.end - data.at != count * each)
        return weights_bad(file, "%s: does not take the bytes its shape needs", out->name);
    out->at = data.at;
    return PULMO_OK;
}

static bool is_called(piece message, piece name)
{
    field f;
    bool ignored = false;
    while (piece_next_field(&message, &f, &ignored)) {
        bool says_name = f.number == 8 && f.wire == WIRE_BYTES;
        if (says_name && pieces_equal(f.bytes, name))
            return true;
    }
    return false;
}

static pulmo_status find_initializer(weight_file *file, piece graph, piece name, source_tensor *out)
{
    field f;
    bool broken = false;
    source_name((const char *)name.at, (size_t)(name.end - name.at), out->name);
    while (piece_next_field(&graph, &f, &broken)) {
        bool initializer = f.number == 5 && f.wire == WIRE_BYTES;
        if (initializer && is_called(f.bytes, name))
            return read_tensor(file, f.bytes, out);
    }
    return weights_bad(file, "%s: is missing among the initializers", out->name);
}

/* ---- attributes ---- */

typedef struct attribute {
    piece name, text;
    float real;
    uint64_t number;
    int64_t ints[8];
    int count;
} attribute;

/* What must be said, since its default in ONNX is not a VGG's: Conv pads by 0 and MaxPool has
 * strides of 1. */
enum { SAYS_PADS = 1, SAYS_STRIDES = 2, SAYS_KERNEL = 4 };

typedef struct node {
    piece type, input[INPUTS_MAX];
    int inputs;
    bool pool;
    int said;
    double epsilon; /* of BatchNormalization */
    bool plain;     /* attributes are those of a VGG's layer */
} node;

static bool take_attribute(piece message, attribute *a)
{
    field f;
    bool broken = false;
    memset(a, 0, sizeof *a);
    while (piece_next_field(&message, &f, &broken)) {
        uint32_t bits = (uint32_t)f.value;
        if (f.number == 1 && f.wire == WIRE_BYTES)
            a->name = f.bytes;
        if (f.number == 2 && f.wire == WIRE_FIXED32)
            memcpy(&a->real, &bits, sizeof bits);
        if (f.number == 3 && f.wire == WIRE_VARINT)
            a->number = f.value;
        if (f.number == 4 && f.wire == WIRE_BYTES)
            a->text = f.bytes;
        if (f.number == 8 && !field_take_ints(&f, 8, a->ints, &a->count))
            return false;
    }
    return !broken && a->name.at;
}

static bool ints_are(const attribute *a, int count, int64_t wanted)
{
    for (int i = 0; i < a->count; i++)
        if (a->ints[i] != wanted)
            return false;
    return a->count == count;
}

/* SAME, of 3 x 3 with stride 1, pads by 1. */
static bool auto_pad_fits(const attribute *a, node *n)
{
    bool upper = piece_is_word(a->text, "SAME_UPPER");
    bool lower = piece_is_word(a->text, "SAME_LOWER");
    bool same = upper || lower;
    if (same)
        n->said |= SAYS_PADS;
    if (piece_is_word(a->text, "NOTSET"))
        return true;
    return same == !n->pool;
}

/* Convolutions pad by 1 with stride 1; pools are 2 x 2 with stride 2, unpadded; batch normalisation
 * works by its running statistics, per channel. Adds to n->said what the attribute settles. */
static bool attribute_fits(piece message, node *n)
{
    attribute a;
    if (!take_attribute(message, &a))
        return false;
    if (piece_is_word(a.name, "auto_pad"))
        return auto_pad_fits(&a, n);
    if (piece_is_word(a.name, "strides")) {
        n->said |= SAYS_STRIDES;
        return ints_are(&a, 2, n->pool ? 2 : 1);
    }
    if (piece_is_word(a.name, "kernel_shape")) {
        n->said |= SAYS_KERNEL;
        return ints_are(&a, 2, n->pool ? 2 : 3);
    }
    if (piece_is_word(a.name, "pads")) {
        n->said |= SAYS_PADS;
        return ints_are(&a, 4, n->pool ? 0 : 1);
    }
    if (piece_is_word(a.name, "dilations"))
        return ints_are(&a, a.count, 1);
    if (piece_is_word(a.name, "epsilon")) {
        /* PyTorch's 1e-5, which a float32 only comes near: equal weights fold to equal ones. */
        n->epsilon = a.real == 1e-5f ? 1e-5 : (double)a.real;
        return a.real >= 0;
    }
    if (piece_is_word(a.name, "spatial"))
        return a.number == 1;
    if (piece_is_word(a.name, "ceil_mode"))
        return a.number == 0;
    if (piece_is_word(a.name, "training_mode"))
        return a.number == 0;
    return true;
}

/* ---- nodes ---- */

static int needed_attributes(const node *n)
{
    if (n->pool)
        return SAYS_STRIDES | SAYS_KERNEL;
    if (piece_is_word(n->type, "Conv"))
        return SAYS_PADS;
    return 0;
}

static bool read_node(piece message, node *out)
{
    field f;
    bool broken = false;
    piece whole = message;
    memset(out, 0, sizeof *out);
    out->epsilon = 1e-5; /* ONNX's default */
    while (piece_next_field(&message, &f, &broken)) {
        bool input = f.number == 1 && f.wire == WIRE_BYTES;
        if (input && out->inputs < INPUTS_MAX) {
            out->input[out->inputs] = f.bytes;
            out->inputs++;
        }
        if (f.number == 4 && f.wire == WIRE_BYTES)
            out->type = f.bytes;
    }
    if (broken || !out->type.at)
        return false;
    out->pool = piece_is_word(out->type, "MaxPool");
    out->plain = true;
    while (piece_next_field(&whole, &f, &broken)) {
        bool is_attribute = f.number == 5 && f.wire == WIRE_BYTES;
        if (is_attribute && !attribute_fits(f.bytes, out))
            out->plain = false;
    }
    int needed = needed_attributes(out);
    int given = out->said & needed;
    if (given != needed)
        out->plain = false;
    return true;
}

/* ---- the graph ---- */

typedef struct graph_walk {
    weight_file *file;
    piece graph;
    source_conv *last; /* NULL before the first convolution */
    bool relu;         /* it has been met since the last convolution */
} graph_walk;

static pulmo_status add_conv(graph_walk *w, const node *n)
{
    weight_file *file = w->file;
    if (!w->relu)
        return weights_bad(file, "convolution %d is not followed by a Relu", file->convs);
    if (file->convs == PULMO_CONVS_MAX)
        return weights_bad(file, "has more convolutions than any VGG");
    if (!n->plain)
        return weights_bad(file, "convolution %d is not 3 x 3 with stride 1 and padding 1",
                           file->convs + 1);
    if (n->inputs != 2 && n->inputs != 3)
        return weights_bad(file, "convolution %d has no weights", file->convs + 1);
    w->last = &file->conv[file->convs];
    file->convs++;
    w->relu = false;
    PULMO_TRY(find_initializer(file, w->graph, n->input[1], &w->last->weight));
    if (n->inputs == 2)
        return PULMO_OK;
    return find_initializer(file, w->graph, n->input[2], &w->last->bias);
}

static pulmo_status add_norm(graph_walk *w, const node *n)
{
    weight_file *file = w->file;
    source_norm *norm = &w->last->norm;
    bool complete = n->plain && n->inputs == INPUTS_MAX;
    if (!complete || norm->there)
        return weights_bad(file,
                           "batch normalisation after convolution %d is not that of a "
                           "trained network (scale, shift, mean, variance)",
                           file->convs);
    norm->there = true;
    norm->epsilon = n->epsilon;
    PULMO_TRY(find_initializer(file, w->graph, n->input[1], &norm->scale));
    PULMO_TRY(find_initializer(file, w->graph, n->input[2], &norm->shift));
    PULMO_TRY(find_initializer(file, w->graph, n->input[3], &norm->mean));
    return find_initializer(file, w->graph, n->input[4], &norm->variance);
}

static pulmo_status add_relu(graph_walk *w)
{
    if (w->last->bias.rank == 0 && !w->last->norm.there)
        return weights_bad(w->file, "convolution %d has no bias", w->file->convs);
    w->relu = true;
    return PULMO_OK;
}

static pulmo_status add_pool(graph_walk *w, const node *n)
{
    if (!n->plain)
        return weights_bad(w->file, "the max-pool after convolution %d is not 2 x 2 with stride 2",
                           w->file->convs);
    w->last->pool_after = true;
    return PULMO_OK;
}

/* One node; *over where it is not a part of a VGG's convolutions. */
static pulmo_status add_node(graph_walk *w, const node *n, bool *over)
{
    const bool before_relu = w->last && !w->relu;
    const bool behind_relu = w->last && w->relu;
    if (piece_is_word(n->type, "Constant"))
        return PULMO_OK;
    if (piece_is_word(n->type, "Identity"))
        return PULMO_OK;
    if (piece_is_word(n->type, "Conv"))
        return add_conv(w, n);
    if (before_relu && piece_is_word(n->type, "BatchNormalization"))
        return add_norm(w, n);
    if (before_relu && piece_is_word(n->type, "Relu"))
        return add_relu(w);
    if (behind_relu && n->pool && !w->last->pool_after)
        return add_pool(w, n);
    *over = true;
    return PULMO_OK;
}

/* Conv [BatchNormalization] Relu [MaxPool] again and again; ends at the first node of another
 * kind. */
static pulmo_status read_graph(weight_file *file, piece graph)
{
    graph_walk walk = {.file = file, .graph = graph, .relu = true};
    field f;
    bool broken = false, over = false;
    node n;
    while (!over && piece_next_field(&graph, &f, &broken)) {
        if (f.number != 1 || f.wire != WIRE_BYTES)
            continue;
        if (!read_node(f.bytes, &n))
            return weights_bad(file, "a node is damaged");
        PULMO_TRY(add_node(&walk, &n, &over));
    }
    if (broken)
        return weights_bad(file, "is damaged, or truncated");
    if (!walk.last || !walk.relu)
        return weights_bad(file,
                           "its graph does not begin with Conv, Relu and MaxPool as a VGG's does");
    if (!walk.last->pool_after)
        return weights_bad(file, "no max-pool follows its last convolution");
    return PULMO_OK;
}

pulmo_status weights_read_onnx(weight_file *file)
{
    piece model = {file->bytes, file->bytes + file->size};
    piece graph = {0};
    field f;
    bool broken = false;
    file->format = "ONNX";
    file->naming = "by the graph's order";
    while (piece_next_field(&model, &f, &broken)) {
        bool is_graph = f.number == 7 && f.wire == WIRE_BYTES;
        if (is_graph)
            graph = f.bytes;
    }
    if (broken || !graph.at)
        return weights_bad(file, "is not a whole ONNX model: truncated or damaged");
    return read_graph(file, graph);
}
