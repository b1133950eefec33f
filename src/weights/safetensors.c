/* safetensors: an 8-byte little-endian header length, a JSON object {"name": {"dtype", "shape",
 * "data_offsets"}, "__metadata__": {...}}, then the data, little-endian. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "weights_room.h"

#define HEADER_BYTES_MAX                                                                           \
    ((uint64_t)2 << 20) /* a VGG has a few kB of it; parsed it takes fifty times that */

typedef struct container {
    weight_file *file;
    const uint8_t *data;
    uint64_t data_bytes;
    json_t *header;
} container;

static pulmo_status parse_header(container *c)
{
    const weight_file *file = c->file;
    json_error_t error;
    if (file->size < 8)
        return weights_bad(file, "is shorter than a safetensors header");
    const uint64_t length = source_number(file->bytes, 8);
    if (length > HEADER_BYTES_MAX || length > file->size - 8)
        return weights_bad(
            file, "its header's length is beyond the file: of no known format, or truncated");
    c->data = file->bytes + 8 + length;
    c->data_bytes = file->size - 8 - length;
    errno = 0;
    c->header =
        json_loadb((const char *)file->bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!c->header && errno == ENOMEM) /* its own code says so for few of its allocations */
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory for its header", file->path);
    if (!json_is_object(c->header))
        return weights_bad(file, "its header is not a JSON object");
    return PULMO_OK;
}

typedef struct span {
    int64_t begin, end;
} span;

/* An empty tensor lies before the one that begins where it ends. */
static int by_begin(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The spans of all tensors; the caller frees them. */
static pulmo_status collect_spans(const container *c, span **out, size_t *count)
{
    const char *name;
    json_t *entry;
    span *spans = calloc(json_object_size(c->header) + 1, sizeof *spans);
    if (!spans)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", c->file->path);
    *out = spans;
    *count = 0;
    json_object_foreach(c->header, name, entry)
    {
        const json_t *offsets = json_object_get(entry, "data_offsets");
        const json_t *begin = json_array_get(offsets, 0);
        const json_t *end = json_array_get(offsets, 1);
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!json_is_integer(begin) || !json_is_integer(end))
            return weights_bad(c->file, "%s: its data_offsets are not two integers", name);
        spans[*count].begin = json_integer_value(begin);
        spans[*count].end = json_integer_value(end);
        ++*count;
    }
    return PULMO_OK;
}

/* The format's own rule: tensors fill the data without overlap, gap or rest. */
static pulmo_status check_order(const container *c, const span *spans, size_t count)
{
    int64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].begin != at || spans[i].end < at)
            return weights_bad(c->file, "its tensors overlap or leave gaps");
        at = spans[i].end;
    }
    if ((uint64_t)at != c->data_bytes)
        return weights_bad(c->file, "its tensors do not end where the file does: it is truncated "
                                    "or has something behind");
    return PULMO_OK;
}

static pulmo_status check_spans(const container *c)
{
    span *spans = NULL;
    size_t count = 0;
    pulmo_status status = collect_spans(c, &spans, &count);
    if (status == PULMO_OK) {
        qsort(spans, count, sizeof *spans, by_begin);
        status = check_order(c, spans, count);
    }
    free(spans);
    return status;
}

/* ---- tensors ---- */

static element_type type_of(const char *dtype)
{
    if (!dtype)
        return ELEMENT_OTHER;
    if (strcmp(dtype, "F32") == 0)
        return ELEMENT_FLOAT32;
    if (strcmp(dtype, "F16") == 0)
        return ELEMENT_FLOAT16;
    return strcmp(dtype, "BF16") == 0 ? ELEMENT_BFLOAT16 : ELEMENT_OTHER;
}

static int shape_of(void *context, const void *tensor, int64_t shape[4])
{
    const json_t *sizes = json_object_get(tensor, "shape");
    size_t rank = json_array_size(sizes);
    (void)context;
    if (rank > 4)
        return 0;
    for (size_t i = 0; i < rank; i++)
        shape[i] = json_integer_value(json_array_get(sizes, i));
    return (int)rank;
}

/* One tensor against its entry; spans are known to lie inside the data. */
static pulmo_status read_tensor(void *context, const void *tensor, source_tensor *out)
{
    const container *c = context;
    const char *name = out->name;
    const json_t *offsets = json_object_get(tensor, "data_offsets");
    int64_t count = 0;
    out->type = type_of(json_string_value(json_object_get(tensor, "dtype")));
    if (out->type == ELEMENT_OTHER)
        return weights_bad(c->file, "%s: has a dtype other than F32, F16 and BF16", name);
    out->rank = shape_of(context, tensor, out->shape);
    if (out->rank < 1 || json_array_size(offsets) != 2)
        return weights_bad(c->file, "%s: has a shape of the wrong rank, or no two offsets", name);
    PULMO_TRY(source_elements(c->file, out, &count));
    json_int_t begin = json_integer_value(json_array_get(offsets, 0));
    json_int_t end = json_integer_value(json_array_get(offsets, 1));
    if (end - begin != count * (int64_t)element_bytes(out->type))
        return weights_bad(c->file, "%s: does not take the bytes its shape needs", name);
    source_dense(out);
    out->at = c->data + begin;
    return PULMO_OK;
}

static pulmo_status read_layers(container *c, numbered_names *names)
{
    const tensor_reader reader = {.context = c, .shape = shape_of, .read = read_tensor};
    const char *name;
    json_t *entry;
    PULMO_TRY(parse_header(c));
    PULMO_TRY(check_spans(c));
    json_object_foreach(c->header, name, entry)
        PULMO_TRY(numbered_names_add(c->file, names, name, strlen(name), entry));
    return weights_by_numbers(c->file, names, &reader);
}

pulmo_status weights_read_safetensors(weight_file *file)
{
    container c = {.file = file};
    numbered_names names = {0};
    file->format = "safetensors";
    pulmo_status status = read_layers(&c, &names);
    numbered_names_free(&names);
    json_decref(c.header);
    return status;
}
