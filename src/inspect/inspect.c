/* `pulmo inspect`: any HDF5 file, with a little more said of pulmo's own. */
#include "pulmo/inspect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"

#define SMALL       12 /* values shown one by one */
#define NUMBERS_MAX ((uint64_t)1 << 26)
#define VALUE_WIDTH 100 /* bytes of an attribute shown */
#define TEXT_WIDTH  48  /* of a text, or of the first and the last of many */

typedef struct inspection {
    pulmo_h5 *file;
    FILE *out;
} inspection;

/* At most `width` bytes of a text's first line, no character cut in two; what would move the cursor
 * is shown as "?". */
static void show_text(FILE *out, const char *text, size_t width)
{
    size_t length = strcspn(text, "\n"), shown = length < width ? length : width;
    while (shown < length && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--;
    for (size_t i = 0; i < shown; i++)
        fputc((unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i], out);
    if (text[shown])
        fputs(" ...", out);
}

static uint64_t count_of(const pulmo_h5_shape *shape)
{
    uint64_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= shape->dims[i];
    return count;
}

static void shape_in_words(const pulmo_h5_shape *shape, char *out, size_t bytes)
{
    static const char *const types[] = {"uint8",  "int32",   "int64",
                                        "uint64", "float32", "float64",
                                        "text",   "float16", "of a type not pulmo's"};
    size_t at = 0;
    if (shape->rank == 0)
        at += (size_t)snprintf(out, bytes, "one ");
    for (int i = 0; i < shape->rank && at < bytes; i++)
        at += (size_t)snprintf(out + at, bytes - at, "%s%llu", i ? " x " : "",
                               (unsigned long long)shape->dims[i]);
    if (at < bytes)
        snprintf(out + at, bytes - at, "%s%s", shape->rank ? " " : "", types[shape->type]);
}

static void show_strings(const inspection *in, const char *name, const pulmo_h5_shape *shape)
{
    char **strings = NULL, *text = NULL;
    uint64_t count = 0;
    pulmo_status status = PULMO_OK;
    if (shape->rank == 0)
        status = pulmo_h5_read_text(in->file, name, &text);
    if (shape->rank == 1)
        status = pulmo_h5_read_strings(in->file, name, &count, &strings);
    if (status != PULMO_OK)
        fprintf(in->out, "unreadable: %s", pulmo_error());
    if (text)
        show_text(in->out, text, TEXT_WIDTH);
    if (count > 0)
        show_text(in->out, strings[0], TEXT_WIDTH);
    if (count > 1)
        fputs(" to ", in->out);
    if (count > 1)
        show_text(in->out, strings[count - 1], TEXT_WIDTH);
    free(strings);
    free(text);
}

static void show_numbers(const inspection *in, const char *name, const pulmo_h5_shape *shape)
{
    uint64_t count = count_of(shape);
    if (count == 0 || count > NUMBERS_MAX)
        return;
    double *values = malloc(count * sizeof *values), sum = 0, low = INFINITY, high = -INFINITY;
    if (!values ||
        pulmo_h5_read(in->file, name, PULMO_H5_F64, shape->rank, shape->dims, values) != PULMO_OK) {
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
        for (uint64_t i = 0; i < count; i++)
            fprintf(in->out, "%s%.*g", i ? " " : "", shape->type < PULMO_H5_F32 ? 15 : 6,
                    values[i]);
    else
        fprintf(in->out, "min %.6g  mean %.6g  max %.6g", low, sum / (double)count, high);
    free(values);
}

static void on_entry(void *context, const char *name, const pulmo_h5_shape *shape,
                     const char *attribute, const char *value)
{
    const inspection *in = context;
    char words[96];
    /* What HDF5 itself keeps to tie scales to datasets says nothing to people. */
    static const char *const plumbing[] = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"};
    if (attribute) {
        for (size_t i = 0; i < sizeof plumbing / sizeof plumbing[0]; i++)
            if (strcmp(attribute, plumbing[i]) == 0)
                return;
        fprintf(in->out, "%s%-24s ", strcmp(name, ".") == 0 ? "  " : "      @", attribute);
        show_text(in->out, value, VALUE_WIDTH);
        fputc('\n', in->out);
        return;
    }
    if (strcmp(name, ".") == 0)
        return;
    if (!shape) {
        fprintf(in->out, "  /%s\n", name);
        return;
    }
    shape_in_words(shape, words, sizeof words);
    fprintf(in->out, "  /%-28s %-24s ", name, words);
    if (shape->type == PULMO_H5_STRING)
        show_strings(in, name, shape);
    else if (shape->type != PULMO_H5_OTHER && strcmp(name, "images") != 0)
        show_numbers(in, name, shape);
    fputc('\n', in->out);
}

/* Images a class, for a shard. */
static void show_classes(const inspection *in)
{
    pulmo_h5_shape shape;
    int classes = 0;
    char **names = NULL;
    if (!pulmo_h5_exists(in->file, "labels") ||
        pulmo_h5_shape_of(in->file, "labels", &shape) != PULMO_OK || shape.rank != 1 ||
        shape.dims[0] > NUMBERS_MAX ||
        pulmo_h5_get_texts(in->file, "/", "classes", &classes, &names) != PULMO_OK)
        return;
    int32_t *labels = malloc((shape.dims[0] + 1) * sizeof *labels);
    if (labels &&
        pulmo_h5_read(in->file, "labels", PULMO_H5_I32, 1, shape.dims, labels) == PULMO_OK)
        for (int k = 0; k < classes; k++) {
            uint64_t count = 0;
            for (uint64_t i = 0; i < shape.dims[0]; i++)
                count += labels[i] == k;
            fputs("  ", in->out);
            show_text(in->out, names[k], TEXT_WIDTH);
            fprintf(in->out, "%*s %llu images\n",
                    strlen(names[k]) < 24 ? (int)(24 - strlen(names[k])) : 0, "",
                    (unsigned long long)count);
        }
    free(labels);
    free(names);
}

pulmo_status pulmo_inspect(const char *path, FILE *out)
{
    inspection in = {.out = out};
    char *kind = NULL;
    PULMO_TRY(pulmo_h5_open(path, &in.file));
    bool ours = pulmo_h5_has_attribute(in.file, "/", "pulmo_kind") &&
                pulmo_h5_get_text(in.file, "/", "pulmo_kind", &kind) == PULMO_OK;
    fprintf(out, "%s: %s", path, ours ? "pulmo " : "an HDF5 file not written by pulmo");
    if (ours)
        show_text(out, kind, TEXT_WIDTH);
    fputc('\n', out);
    if (ours && strcmp(kind, "shard") == 0)
        show_classes(&in);
    pulmo_status status = pulmo_h5_visit(in.file, on_entry, &in);
    free(kind);
    pulmo_h5_close(in.file);
    return status;
}
