/* `pulmo inspect`: any HDF5 file, with a little more said of pulmo's own. */
#include "inspect_room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"
#include "pulmo/text.h"

#define SMALL       12 /* values shown one by one */
#define NUMBERS_MAX ((uint64_t)1 << 26)
#define VALUE_WIDTH 100 /* bytes of an attribute shown */
#define TEXT_WIDTH  48  /* of a text, or of the first and the last of many */

typedef struct inspection {
    pulmo_h5 *file;
    FILE *out;
    pulmo_status *worst; /* why something cannot be read: PULMO_MEMORY before any other */
} inspection;

static void show_unreadable(const inspection *in, pulmo_status status)
{
    fputs("unreadable: ", in->out);
    pulmo_text_show(in->out, pulmo_error(), SIZE_MAX);
    if (*in->worst != PULMO_MEMORY)
        *in->worst = status == PULMO_MEMORY ? PULMO_MEMORY : PULMO_DATA;
}

/* At most `width` bytes of a text's first line. */
static void show_text(FILE *out, const char *text, size_t width)
{
    size_t line = strcspn(text, "\n");
    size_t shown = pulmo_text_show(out, text, line < width ? line : width);
    if (text[shown])
        fputs(" ...", out);
}

/* A name in a column of `width` bytes, and a blank. */
static void show_name(FILE *out, const char *name, int width)
{
    pulmo_text_show(out, name, SIZE_MAX);
    for (int blanks = width - pulmo_text_width(name, SIZE_MAX); blanks > 0; blanks--)
        fputc(' ', out);
    fputc(' ', out);
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
    for (int i = 0; i < shape->rank && at < bytes; i++) {
        const char *by = i > 0 ? " x " : "";
        unsigned long long side = (unsigned long long)shape->dims[i];
        at += (size_t)snprintf(out + at, bytes - at, "%s%llu", by, side);
    }
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
        show_unreadable(in, status);
    if (text)
        show_text(in->out, text, TEXT_WIDTH);
    if (count > 0)
        show_text(in->out, strings[0], TEXT_WIDTH);
    if (count > 1)
        fputs(" to ", in->out);
    if (count > 1) {
        const char *last = strings[count - 1];
        show_text(in->out, last, TEXT_WIDTH);
    }
    free(strings);
    free(text);
}

static void show_each(FILE *out, const pulmo_h5_shape *shape, const double *values, uint64_t count)
{
    int digits = shape->type < PULMO_H5_F32 ? 15 : 6;
    for (uint64_t i = 0; i < count; i++) {
        const char *gap = i ? " " : "";
        fprintf(out, "%s%.*g", gap, digits, values[i]);
    }
}

static void show_range(FILE *out, const double *values, uint64_t count)
{
    double sum = 0;
    double low = INFINITY;
    double high = -INFINITY;
    for (uint64_t i = 0; i < count; i++) {
        const double value = values[i];
        sum += value;
        low = fmin(low, value);
        high = fmax(high, value);
    }
    double mean = sum / (double)count;
    fprintf(out, "min %.6g  mean %.6g  max %.6g", low, mean, high);
}

static void show_numbers(const inspection *in, const char *name, const pulmo_h5_shape *shape)
{
    uint64_t count = count_of(shape);
    if (count == 0 || count > NUMBERS_MAX)
        return;
    pulmo_status status = pulmo_h5_check_shape(in->file, name, shape->rank, shape->dims);
    double *values = status == PULMO_OK ? malloc(count * sizeof *values) : NULL;
    if (values)
        status = pulmo_h5_read(in->file, name, PULMO_H5_F64, shape->rank, shape->dims, values);
    else if (status == PULMO_OK)
        status = pulmo_fail(PULMO_MEMORY, "out of memory");
    if (status != PULMO_OK)
        show_unreadable(in, status);
    else if (count <= SMALL)
        show_each(in->out, shape, values, count);
    else
        show_range(in->out, values, count);
    free(values);
}

/* What HDF5 itself keeps to tie scales to datasets says nothing to people. */
static bool is_plumbing(const char *attribute)
{
    static const char *const names[] = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(attribute, names[i]) == 0)
            return true;
    }
    return false;
}

static void show_attribute(const inspection *in, const char *object, const char *name,
                           const char *value)
{
    bool of_root = strcmp(object, ".") == 0;
    const char *before = of_root ? "  " : "      @";
    if (is_plumbing(name))
        return;
    fputs(before, in->out);
    show_name(in->out, name, 24);
    show_text(in->out, value, VALUE_WIDTH);
    fputc('\n', in->out);
}

static void show_dataset(const inspection *in, const char *name, const pulmo_h5_shape *shape)
{
    char words[96];
    bool are_pixels = strcmp(name, "images") == 0;
    shape_in_words(shape, words, sizeof words);
    fputs("  /", in->out);
    show_name(in->out, name, 28);
    fprintf(in->out, "%-24s ", words);
    if (shape->type == PULMO_H5_STRING)
        show_strings(in, name, shape);
    else if (shape->type != PULMO_H5_OTHER && !are_pixels)
        show_numbers(in, name, shape);
    fputc('\n', in->out);
}

static void show_group(FILE *out, const char *name)
{
    fputs("  /", out);
    pulmo_text_show(out, name, SIZE_MAX);
    fputc('\n', out);
}

static void on_entry(void *context, const char *name, const pulmo_h5_shape *shape,
                     const char *attribute, const char *value)
{
    const inspection *in = context;
    if (attribute)
        show_attribute(in, name, attribute, value);
    else if (strcmp(name, ".") == 0)
        return;
    else if (shape)
        show_dataset(in, name, shape);
    else
        show_group(in->out, name);
}

static void show_class(FILE *out, const char *name, uint64_t images)
{
    int blanks = 24 - pulmo_text_width(name, TEXT_WIDTH);
    fputs("  ", out);
    show_text(out, name, TEXT_WIDTH);
    fprintf(out, "%*s %llu image%s\n", blanks > 0 ? blanks : 0, "", (unsigned long long)images,
            pulmo_plural(images));
}

/* Images per class. */
static void count_labels(const inspection *in, uint64_t count, int classes, char **names)
{
    int32_t *labels = malloc((count + 1) * sizeof *labels);
    pulmo_status status = PULMO_MEMORY;
    if (labels)
        status = pulmo_h5_read(in->file, "labels", PULMO_H5_I32, 1, &count, labels);
    for (int k = 0; k < classes && status == PULMO_OK; k++) {
        uint64_t images = 0;
        for (uint64_t i = 0; i < count; i++)
            images += labels[i] == k;
        show_class(in->out, names[k], images);
    }
    free(labels);
}

/* Images per class, for a shard. */
static void show_classes(const inspection *in)
{
    pulmo_h5_shape shape;
    int classes = 0;
    char **names = NULL;
    if (!pulmo_h5_exists(in->file, "labels"))
        return;
    if (pulmo_h5_shape_of(in->file, "labels", &shape) != PULMO_OK)
        return;
    if (shape.rank != 1 || shape.dims[0] > NUMBERS_MAX)
        return;
    if (pulmo_h5_get_texts(in->file, "/", "classes", &classes, &names) != PULMO_OK)
        return;
    count_labels(in, shape.dims[0], classes, names);
    free(names);
}

pulmo_status inspect_file(const char *path, FILE *out)
{
    pulmo_status worst = PULMO_OK;
    inspection in = {.out = out, .worst = &worst};
    char *kind = NULL;
    PULMO_TRY(pulmo_h5_open(path, &in.file));
    bool ours = pulmo_h5_has_attribute(in.file, "/", "pulmo_kind") &&
                pulmo_h5_get_text(in.file, "/", "pulmo_kind", &kind) == PULMO_OK;
    pulmo_text_show(out, path, SIZE_MAX);
    fputs(ours ? ": pulmo " : ": an HDF5 file not written by pulmo", out);
    if (ours)
        show_text(out, kind, TEXT_WIDTH);
    fputc('\n', out);
    if (ours && strcmp(kind, "shard") == 0)
        show_classes(&in);
    pulmo_status status = pulmo_h5_visit(in.file, on_entry, &in);
    free(kind);
    if (status == PULMO_OK && worst != PULMO_OK)
        status = pulmo_fail(worst, "%s: holds what cannot be read (named above)", path);
    if (status == PULMO_OK && ours)
        pulmo_h5_say_unverified(in.file);
    pulmo_h5_close(in.file);
    return status;
}
