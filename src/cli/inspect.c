/* `pulmo inspect`: any HDF5 file, with a little more said of pulmo's own. */
#include "inspect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"

#define SMALL 12        /* values shown one by one */
#define NUMBERS_MAX ((uint64_t)1 << 26)
#define VALUE_WIDTH 100 /* characters of an attribute shown */

typedef struct inspection {
    pulmo_h5 *file;
    FILE *out;
} inspection;

static uint64_t count_of(const pulmo_h5_shape *shape)
{
    uint64_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= shape->dims[i];
    return count;
}

static void shape_in_words(const pulmo_h5_shape *shape, char *out, size_t bytes)
{
    static const char *const types[] = {"uint8", "int32", "int64", "uint64", "float32", "float64", "text"};
    size_t at = 0;
    if (shape->rank == 0) at += (size_t)snprintf(out, bytes, "one ");
    for (int i = 0; i < shape->rank && at < bytes; i++)
        at += (size_t)snprintf(out + at, bytes - at, "%s%llu", i ? " x " : "", (unsigned long long)shape->dims[i]);
    if (at < bytes) snprintf(out + at, bytes - at, "%s%s", shape->rank ? " " : "", types[shape->type]);
}

static void show_strings(const inspection *in, const char *name, const pulmo_h5_shape *shape)
{
    char **strings = NULL, *text = NULL;
    uint64_t count = 0;
    if (shape->rank == 0 && pulmo_h5_read_text(in->file, name, &text) == PULMO_OK)
        fprintf(in->out, "%.*s%s", (int)strcspn(text, "\n") < 60 ? (int)strcspn(text, "\n") : 60, text, strlen(text) > 60 ? " ..." : "");
    if (shape->rank == 1 && pulmo_h5_read_strings(in->file, name, &count, &strings) == PULMO_OK && count > 0)
        fprintf(in->out, "%s%s%s", strings[0], count > 1 ? " ... " : "", count > 1 ? strings[count - 1] : "");
    free(strings);
    free(text);
}

static void show_numbers(const inspection *in, const char *name, const pulmo_h5_shape *shape)
{
    uint64_t count = count_of(shape), dims[PULMO_H5_RANK_MAX] = {0};
    if (count == 0 || count > NUMBERS_MAX) return;
    double *values = malloc(count * sizeof *values), sum = 0, low = INFINITY, high = -INFINITY;
    if (!values || pulmo_h5_read(in->file, name, PULMO_H5_F64, shape->rank, dims, values) != PULMO_OK) {
        fprintf(in->out, "unreadable: %s", pulmo_error());
        free(values);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        sum += values[i];
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    if (count <= SMALL)
        for (uint64_t i = 0; i < count; i++) fprintf(in->out, "%s%.6g", i ? " " : "", values[i]);
    else
        fprintf(in->out, "min %.6g  mean %.6g  max %.6g", low, sum / (double)count, high);
    free(values);
}

static void on_entry(void *context, const char *name, const pulmo_h5_shape *shape, const char *attribute, const char *value)
{
    const inspection *in = context;
    char words[96];
    /* What HDF5 itself keeps to tie scales to datasets says nothing to people. */
    static const char *const plumbing[] = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"};
    if (attribute) {
        for (size_t i = 0; i < sizeof plumbing / sizeof plumbing[0]; i++)
            if (strcmp(attribute, plumbing[i]) == 0) return;
        fprintf(in->out, "%s%-24s %.*s%s\n", strcmp(name, ".") == 0 ? "  " : "      @", attribute, VALUE_WIDTH, value,
                strlen(value) > VALUE_WIDTH ? " ..." : "");
        return;
    }
    if (strcmp(name, ".") == 0) return;
    if (!shape) {
        fprintf(in->out, "  /%s\n", name);
        return;
    }
    shape_in_words(shape, words, sizeof words);
    fprintf(in->out, "  /%-28s %-24s ", name, words);
    if (shape->type == PULMO_H5_STRING) show_strings(in, name, shape);
    else if (strcmp(name, "images") != 0) show_numbers(in, name, shape);
    fputc('\n', in->out);
}

/* Images a class, for a shard. */
static void show_classes(const inspection *in)
{
    pulmo_h5_shape shape;
    int classes = 0;
    char **names = NULL;
    if (!pulmo_h5_exists(in->file, "labels") || pulmo_h5_shape_of(in->file, "labels", &shape) != PULMO_OK || shape.rank != 1 ||
        pulmo_h5_get_texts(in->file, "/", "classes", &classes, &names) != PULMO_OK)
        return;
    int32_t *labels = malloc((shape.dims[0] + 1) * sizeof *labels);
    if (labels && pulmo_h5_read(in->file, "labels", PULMO_H5_I32, 1, shape.dims, labels) == PULMO_OK)
        for (int k = 0; k < classes; k++) {
            uint64_t count = 0;
            for (uint64_t i = 0; i < shape.dims[0]; i++) count += labels[i] == k;
            fprintf(in->out, "  %-24s %llu images\n", names[k], (unsigned long long)count);
        }
    free(labels);
    free(names);
}

pulmo_status inspect_file(const char *path, FILE *out)
{
    inspection in = {.out = out};
    char *kind = NULL;
    PULMO_TRY(pulmo_h5_open(path, &in.file));
    bool ours = pulmo_h5_has_attribute(in.file, "/", "pulmo_kind") && pulmo_h5_get_text(in.file, "/", "pulmo_kind", &kind) == PULMO_OK;
    fprintf(out, "%s: %s%s\n", path, ours ? "pulmo " : "an HDF5 file not written by pulmo", ours ? kind : "");
    if (ours && strcmp(kind, "shard") == 0) show_classes(&in);
    pulmo_status status = pulmo_h5_visit(in.file, on_entry, &in);
    free(kind);
    pulmo_h5_close(in.file);
    return status;
}
