/* ONNX: a protobuf message, read by its wire format (protobuf.dev, "Encoding") as far as it is
 * needed: ModelProto.graph (7); GraphProto.node (1) and .initializer (5); NodeProto.input (1),
 * .op_type (4) and .attribute (5); AttributeProto.name (1) and .ints (8); TensorProto.dims (1),
 * .data_type (2), .float_data (4), .name (8), .raw_data (9), .data_location (14).
 *
 * Names differ between exporters, so layers are found by the graph: its nodes stand in the order of
 * their work, and a VGG begins with Conv, Relu and MaxPool alone. What follows is not looked at. */
#include <string.h>

#include "weights_room.h"

/* A part of the file. */
typedef struct piece {
    const uint8_t *at, *end;
} piece;

typedef struct field {
    uint32_t number, wire;
    uint64_t value; /* of a varint */
    piece bytes;    /* of a length-delimited field */
} field;

static bool take_varint(piece *p, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && p->at < p->end; shift += 7) {
        uint8_t byte = *p->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* The next field; false at the end, and with *broken set where the bytes are no message. */
static bool next_field(piece *p, field *f, bool *broken)
{
    uint64_t tag = 0, length = 0;
    memset(f, 0, sizeof *f);
    if (p->at == p->end)
        return false;
    *broken = true;
    if (!take_varint(p, &tag))
        return false;
    f->number = (uint32_t)(tag >> 3);
    f->wire = (uint32_t)(tag & 7);
    switch (f->wire) {
    case 0:
        if (!take_varint(p, &f->value))
            return false;
        break;
    case 1:
    case 5:
        length = f->wire == 1 ? 8 : 4;
        if ((uint64_t)(p->end - p->at) < length)
            return false;
        p->at += length;
        break;
    case 2:
        if (!take_varint(p, &length) || (uint64_t)(p->end - p->at) < length)
            return false;
        f->bytes = (piece){p->at, p->at + length};
        p->at += length;
        break;
    default:
        return false;
    }
    *broken = false;
    return true;
}

static bool same(piece a, piece b)
{
    return a.end - a.at == b.end - b.at && memcmp(a.at, b.at, (size_t)(a.end - a.at)) == 0;
}
static bool is_word(piece p, const char *word)
{
    return (size_t)(p.end - p.at) == strlen(word) && memcmp(p.at, word, strlen(word)) == 0;
}

static void copy_name(piece p, char out[NAME_BYTES])
{
    size_t length =
        (size_t)(p.end - p.at) < NAME_BYTES - 1 ? (size_t)(p.end - p.at) : NAME_BYTES - 1;
    for (size_t i = 0; i < length; i++)
        out[i] = (char)(p.at[i] < ' ' || p.at[i] > '~' ? '?' : p.at[i]);
    out[length] = '\0';
}

/* Integers of a repeated field, packed or one by one, appended. */
static bool take_ints(const field *f, int most, int64_t *out, int *count)
{
    piece p = f->bytes;
    uint64_t value = f->value;
    if (f->wire == 0) {
        if (*count == most)
            return false;
        out[(*count)++] = (int64_t)value;
        return true;
    }
    while (f->wire == 2 && p.at < p.end) {
        if (*count == most || !take_varint(&p, &value))
            return false;
        out[(*count)++] = (int64_t)value;
    }
    return f->wire == 2;
}

/* ---- tensors ---- */

static pulmo_status read_tensor(const weight_file *file, piece message, source_tensor *out)
{
    field f;
    bool broken = false;
    uint64_t type = 0, elsewhere = 0;
    piece raw = {0}, floats = {0};
    int64_t count = 1;
    while (next_field(&message, &f, &broken)) {
        if (f.number == 1 && !take_ints(&f, 4, out->shape, &out->rank))
            return weights_bad(file, "%s: has a shape of the wrong rank", out->name);
        if (f.number == 2 && f.wire == 0)
            type = f.value;
        if (f.number == 4 && f.wire == 2)
            floats = f.bytes;
        if (f.number == 9 && f.wire == 2)
            raw = f.bytes;
        if (f.number == 14 && f.wire == 0)
            elsewhere = f.value;
    }
    if (broken)
        return weights_bad(file, "%s: is damaged", out->name);
    if (type != 1)
        return weights_bad(file, "%s: has a dtype other than float32", out->name);
    if (elsewhere)
        return weights_bad(file, "%s: its data are in another file; save the model in one file",
                           out->name);
    for (int i = 0; i < out->rank; i++) {
        if (out->shape[i] < 1 || out->shape[i] > CHANNELS_MAX)
            return weights_bad(file, "%s: has a size out of range", out->name);
        count *= out->shape[i];
        if (count > (int64_t)file->size)
            return weights_bad(file, "%s: has a shape larger than the file", out->name);
    }
    if (!raw.at)
        raw = floats;
    if (raw.end - raw.at != count * (int64_t)sizeof(float))
        return weights_bad(file, "%s: does not take the bytes its shape needs", out->name);
    source_dense(out);
    out->at = raw.at;
    return PULMO_OK;
}

static pulmo_status find_initializer(const weight_file *file, piece graph, piece name,
                                     source_tensor *out)
{
    field f, inner;
    bool broken = false, ignored = false;
    copy_name(name, out->name);
    while (next_field(&graph, &f, &broken)) {
        if (f.number != 5 || f.wire != 2)
            continue;
        piece message = f.bytes;
        while (next_field(&message, &inner, &ignored))
            if (inner.number == 8 && inner.wire == 2 && same(inner.bytes, name))
                return read_tensor(file, f.bytes, out);
    }
    return weights_bad(file, "%s: is missing among the initializers", out->name);
}

/* ---- nodes ---- */

typedef struct node {
    piece type, input[3];
    int inputs;
    bool plain; /* attributes are those of a VGG's layer */
} node;

static bool all_are(const int64_t *values, int count, int64_t wanted)
{
    for (int i = 0; i < count; i++)
        if (values[i] != wanted)
            return false;
    return true;
}

/* What must be said, since its default in ONNX is not a VGG's: Conv pads by 0 and MaxPool has
 * strides of 1. */
enum { SAYS_PADS = 1, SAYS_STRIDES = 2, SAYS_KERNEL = 4 };

/* Convolutions pad by 1 with stride 1; pools are 2 x 2 with stride 2, unpadded. Adds to *said what
 * the attribute settles. */
static bool attribute_fits(piece attribute, bool pool, int *said)
{
    field f;
    bool broken = false;
    piece name = {0}, text = {0};
    int64_t ints[8];
    uint64_t number = 0;
    int count = 0;
    while (next_field(&attribute, &f, &broken)) {
        if (f.number == 1 && f.wire == 2)
            name = f.bytes;
        if (f.number == 3 && f.wire == 0)
            number = f.value;
        if (f.number == 4 && f.wire == 2)
            text = f.bytes;
        if (f.number == 8 && !take_ints(&f, 8, ints, &count))
            return false;
    }
    if (broken || !name.at)
        return false;
    if (is_word(name, "strides"))
        *said |= SAYS_STRIDES;
    if (is_word(name, "kernel_shape"))
        *said |= SAYS_KERNEL;
    if (is_word(name, "pads"))
        *said |= SAYS_PADS;
    if (is_word(name, "auto_pad")) {
        bool same = is_word(text, "SAME_UPPER") ||
                    is_word(text, "SAME_LOWER"); /* of 3 x 3 with stride 1: by 1 */
        if (same)
            *said |= SAYS_PADS;
        return is_word(text, "NOTSET") || same == !pool;
    }
    if (is_word(name, "ceil_mode"))
        return number == 0;
    if (is_word(name, "strides"))
        return count == 2 && all_are(ints, count, pool ? 2 : 1);
    if (is_word(name, "pads"))
        return count == 4 && all_are(ints, count, pool ? 0 : 1);
    if (is_word(name, "kernel_shape"))
        return count == 2 && all_are(ints, count, pool ? 2 : 3);
    if (is_word(name, "dilations"))
        return all_are(ints, count, 1);
    return true;
}

static bool read_node(piece message, node *out)
{
    field f;
    bool broken = false;
    piece whole = message;
    memset(out, 0, sizeof *out);
    while (next_field(&message, &f, &broken)) {
        if (f.number == 1 && f.wire == 2 && out->inputs < 3)
            out->input[out->inputs++] = f.bytes;
        if (f.number == 4 && f.wire == 2)
            out->type = f.bytes;
    }
    if (broken || !out->type.at)
        return false;
    bool pool = is_word(out->type, "MaxPool");
    int said = 0;
    int needed = 0;
    if (pool)
        needed = SAYS_STRIDES | SAYS_KERNEL;
    else if (is_word(out->type, "Conv"))
        needed = SAYS_PADS;
    out->plain = true;
    while (next_field(&whole, &f, &broken))
        if (f.number == 5 && f.wire == 2)
            out->plain = out->plain && attribute_fits(f.bytes, pool, &said);
    out->plain = out->plain && (said & needed) == needed;
    return true;
}

static pulmo_status add_conv(weight_file *file, piece graph, const node *n)
{
    if (file->convs == PULMO_CONVS_MAX)
        return weights_bad(file, "has more convolutions than any VGG");
    if (!n->plain)
        return weights_bad(file, "convolution %d is not 3 x 3 with stride 1 and padding 1",
                           file->convs + 1);
    if (n->inputs != 3)
        return weights_bad(file, "convolution %d has no bias", file->convs + 1);
    source_conv *conv = &file->conv[file->convs++];
    PULMO_TRY(find_initializer(file, graph, n->input[1], &conv->weight));
    return find_initializer(file, graph, n->input[2], &conv->bias);
}

/* Conv Relu [MaxPool] again and again; ends at the first node of another kind. */
static pulmo_status read_graph(weight_file *file, piece graph)
{
    field f;
    bool broken = false, relu = true;
    piece rest = graph;
    node n;
    while (next_field(&rest, &f, &broken)) {
        if (f.number != 1 || f.wire != 2)
            continue;
        if (!read_node(f.bytes, &n))
            return weights_bad(file, "a node is damaged");
        if (is_word(n.type, "Constant") || is_word(n.type, "Identity"))
            continue;
        source_conv *last = file->convs ? &file->conv[file->convs - 1] : NULL;
        if (is_word(n.type, "Conv")) {
            if (!relu)
                return weights_bad(file, "convolution %d is not followed by a Relu", file->convs);
            PULMO_TRY(add_conv(file, graph, &n));
            relu = false;
        } else if (last && !relu && is_word(n.type, "Relu"))
            relu = true;
        else if (last && relu && !last->pool_after && is_word(n.type, "MaxPool")) {
            if (!n.plain)
                return weights_bad(file,
                                   "the max-pool after convolution %d is not 2 x 2 with stride 2",
                                   file->convs);
            last->pool_after = true;
        } else
            break;
    }
    if (broken)
        return weights_bad(file, "is damaged, or truncated");
    if (file->convs == 0 || !relu)
        return weights_bad(file,
                           "its graph does not begin with Conv, Relu and MaxPool as a VGG's does");
    if (!file->conv[file->convs - 1].pool_after)
        return weights_bad(file, "no max-pool follows its last convolution");
    return PULMO_OK;
}

pulmo_status weights_read_onnx(weight_file *file)
{
    piece model = {file->bytes, file->bytes + file->size}, graph = {0};
    field f;
    bool broken = false;
    file->format = "ONNX";
    file->naming = "by the graph's order";
    while (next_field(&model, &f, &broken))
        if (f.number == 7 && f.wire == 2)
            graph = f.bytes;
    if (broken || !graph.at)
        return weights_bad(file, "is no whole ONNX model: truncated or damaged");
    return read_graph(file, graph);
}
