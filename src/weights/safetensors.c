/* safetensors: an 8-byte little-endian header length, a JSON object {"name": {"dtype", "shape",
 * "data_offsets"}, "__metadata__": {...}}, then the data, little-endian. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "weights_room.h"

#define HEADER_BYTES_MAX ((uint64_t)16 << 20)

typedef struct container {
    weight_file *file;
    const uint8_t *data;
    uint64_t data_bytes;
    json_t *header;
} container;

static pulmo_status parse_header(container *c)
{
    const weight_file *file = c->file;
    uint64_t length = 0;
    json_error_t error;
    if (file->size < 8)
        return weights_bad(file, "is shorter than a safetensors header");
    for (int i = 7; i >= 0; i--)
        length = length << 8 | file->bytes[i];
    if (length > HEADER_BYTES_MAX || length > file->size - 8)
        return weights_bad(
            file, "its header's length is beyond the file: of no known format, or truncated");
    c->data = file->bytes + 8 + length;
    c->data_bytes = file->size - 8 - length;
    c->header =
        json_loadb((const char *)file->bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(c->header))
        return weights_bad(file, "its header is not a JSON object");
    return PULMO_OK;
}

typedef struct span {
    int64_t begin, end;
} span;

static int by_begin(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) -
           (x->end < y->end); /* an empty tensor lies before the one that begins where it ends */
}

/* The format's own rule: tensors fill the data without overlap, gap or rest. */
static pulmo_status check_spans(const container *c)
{
    size_t count = 0;
    const char *name, *odd = NULL;
    json_t *entry;
    span *spans = calloc(json_object_size(c->header) + 1, sizeof *spans);
    if (!spans)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", c->file->path);
    json_object_foreach(c->header, name, entry)
    {
        const json_t *offsets = json_object_get(entry, "data_offsets");
        const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!json_is_integer(begin) || !json_is_integer(end))
            odd = name;
        spans[count].begin = json_integer_value(begin);
        spans[count++].end = json_integer_value(end);
    }
    qsort(spans, count, sizeof *spans, by_begin);
    int64_t at = 0;
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        whole = whole && spans[i].begin == at && spans[i].end >= at;
        at = spans[i].end;
    }
    free(spans);
    if (odd)
        return weights_bad(c->file, "%s: its data_offsets are not two integers", odd);
    if (!whole)
        return weights_bad(c->file, "its tensors overlap or leave gaps");
    if ((uint64_t)at != c->data_bytes)
        return weights_bad(
            c->file,
            "its tensors do not end where the file does: it is truncated or has something behind");
    return PULMO_OK;
}

/* One tensor against its entry; spans are known to lie inside the data. */
static pulmo_status find(void *context, const char *name, source_tensor *out, bool *found)
{
    const container *c = context;
    int64_t count = 1;
    const json_t *entry = json_object_get(c->header, name);
    *found = entry != NULL;
    if (!entry)
        return PULMO_OK;
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    if (!type || strcmp(type, "F32") != 0)
        return weights_bad(c->file, "%s: has a dtype other than F32", name);
    const json_t *sizes = json_object_get(entry, "shape"),
                 *offsets = json_object_get(entry, "data_offsets");
    if (json_array_size(sizes) < 1 || json_array_size(sizes) > 4 || json_array_size(offsets) != 2)
        return weights_bad(c->file, "%s: has a shape of the wrong rank, or no two offsets", name);
    out->rank = (int)json_array_size(sizes);
    for (int i = 0; i < out->rank; i++) {
        out->shape[i] = json_integer_value(json_array_get(sizes, (size_t)i));
        if (out->shape[i] < 1 || out->shape[i] > CHANNELS_MAX)
            return weights_bad(c->file, "%s: has a size out of range", name);
        count *= out->shape[i];
        if (count > (int64_t)c->file->size)
            return weights_bad(c->file, "%s: has a shape larger than the file", name);
    }
    json_int_t begin = json_integer_value(json_array_get(offsets, 0)),
               end = json_integer_value(json_array_get(offsets, 1));
    if (end - begin != count * (int64_t)sizeof(float))
        return weights_bad(c->file, "%s: does not take the bytes its shape needs", name);
    source_dense(out);
    out->at = c->data + begin;
    return PULMO_OK;
}

static pulmo_status read_all(container *c)
{
    const char *name;
    json_t *entry;
    char prefix[NAME_BYTES] = "";
    PULMO_TRY(parse_header(c));
    PULMO_TRY(check_spans(c));
    json_object_foreach(c->header, name, entry) if (weights_torch_prefix(name, prefix)) break;
    return weights_by_torch_names(c->file, prefix, find, c);
}

pulmo_status weights_read_safetensors(weight_file *file)
{
    container c = {.file = file};
    file->format = "safetensors";
    pulmo_status status = read_all(&c);
    json_decref(c.header);
    return status;
}
