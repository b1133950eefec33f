/* One decoder for every format, told by the first bytes of a file. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "formats.h"

#define PIXELS_MAX 178956970u /* Pillow's own limit: 1/4 GiB of RGB, rounded down */

typedef pulmo_status decode_function(const void *data, size_t size_bytes,
                                     const pulmo_decode_spec *spec, pulmo_image *out,
                                     pulmo_decode_notes *notes);

#define SUFFIXES_MAX 2

typedef struct format {
    const char *name, *magic;
    size_t offset, bytes;    /* where the magic stands */
    decode_function *decode; /* NULL: known, but not read */
    const char *suffix[SUFFIXES_MAX];
} format;

/* A PNG's signature goes on with line ends: what a transfer as text made of them, libpng tells. */
static const format formats[] = {
    /* those that are read, in the order of pulmo_image_format */
    {"a JPEG", "\xFF\xD8\xFF", 0, 3, jpeg_decode, {".jpeg", ".jpg"}},
    {"a PNG", "\x89PNG", 0, 4, png_decode, {".png"}},
    {"a DICOM file", "DICM", 128, 4, dicom_decode, {".dcm", ".dicom"}},
    {"a GIF", "GIF8", 0, 4, NULL, {NULL}},
    {"a TIFF", "II*\0", 0, 4, NULL, {NULL}},
    {"a TIFF", "MM\0*", 0, 4, NULL, {NULL}},
    {"a BMP", "BM", 0, 2, NULL, {NULL}},
};
#define FORMATS     (sizeof formats / sizeof formats[0])
#define MAGIC_BYTES 132 /* the end of the last magic */

static bool has_magic(const format *known, const uint8_t *data, size_t size)
{
    if (size < known->offset + known->bytes)
        return false;
    return memcmp(data + known->offset, known->magic, known->bytes) == 0;
}

static const format *format_of(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (has_magic(&formats[i], data, size))
            return &formats[i];
    return NULL;
}

void pulmo_decode_spec_init(pulmo_decode_spec *spec)
{
    *spec = (pulmo_decode_spec){.pixels_max = PIXELS_MAX};
}

void pulmo_decode_spec_framed(pulmo_decode_spec *spec, const pulmo_framing *framing, int size_px)
{
    pulmo_decode_spec_init(spec);
    spec->height_px = size_px;
    spec->width_px = size_px;
    spec->fit = framing->fit;
    spec->crop_border = framing->crop_border;
    spec->window = framing->window;
    spec->modalities = framing->modalities;
    if (framing->fast)
        spec->fast_target_px = size_px;
}

/* The names of what is read, as in "a JPEG, a PNG or a DICOM file". */
static void name_read_formats(char *text, size_t bytes)
{
    const format *read[FORMATS];
    size_t count = 0;
    size_t at = 0;
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i].decode)
            read[count++] = &formats[i];
    for (size_t i = 0; i < count && at < bytes; i++) {
        const char *between = i + 1 == count ? " or " : ", ";
        if (i == 0)
            between = "";
        at += (size_t)snprintf(text + at, bytes - at, "%s%s", between, read[i]->name);
    }
}

static pulmo_status check_format(const format *found, size_t size_bytes)
{
    char names[100] = "";
    if (size_bytes == 0)
        return pulmo_fail(PULMO_DATA, "is empty");
    if (found && found->decode)
        return PULMO_OK;
    name_read_formats(names, sizeof names);
    return pulmo_fail(PULMO_DATA, "is not %s but %s", names,
                      found ? found->name : "something else");
}

pulmo_status pulmo_image_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                                pulmo_image *out, pulmo_decode_notes *notes)
{
    pulmo_decode_notes own;
    if (!notes)
        notes = &own;
    *notes = (pulmo_decode_notes){.orientation = 1};
    *out = (pulmo_image){0};
    const format *found = format_of(data, size_bytes);
    PULMO_TRY(check_format(found, size_bytes));
    notes->format = (pulmo_image_format)(found - formats);
    pulmo_status status = found->decode(data, size_bytes, spec, out, notes);
    if (status != PULMO_OK && notes->too_large)
        return pulmo_fail(status, "%s (pack.pixels_max raises the limit)", pulmo_error());
    PULMO_TRY(status);
    pulmo_image_collapse_grey(out);
    return PULMO_OK;
}

/* ---- files of a directory ---- */

static bool has_suffix(const format *known, const char *dot)
{
    for (int k = 0; k < SUFFIXES_MAX; k++)
        if (known->suffix[k] && strcasecmp(dot, known->suffix[k]) == 0)
            return true;
    return false;
}

/* The format that the name of a file says; NULL if it says none. */
static const format *named_format(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < FORMATS; i++)
        if (has_suffix(&formats[i], dot))
            return &formats[i];
    return NULL;
}

const char *pulmo_image_suffix(const char *path)
{
    return named_format(path) ? strrchr(path, '.') : "";
}

/* How many of its first bytes a file has; -1 where it cannot be opened. */
static int read_first(const char *path, uint8_t first[MAGIC_BYTES])
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    const size_t got = fread(first, 1, MAGIC_BYTES, file);
    fclose(file);
    return (int)got;
}

bool pulmo_image_is_file(const char *path)
{
    uint8_t first[MAGIC_BYTES];
    struct stat about;
    if (named_format(path))
        return true;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return false;
    const int got = read_first(path, first);
    if (got < 0)
        return true;
    const format *found = format_of(first, (size_t)got);
    return found && found->suffix[0];
}

bool pulmo_image_may_be_dicom(const char *path)
{
    const format *named = named_format(path);
    return !named || named->decode == dicom_decode;
}

bool pulmo_image_is_dicom(const char *path)
{
    uint8_t first[MAGIC_BYTES];
    const int got = read_first(path, first);
    for (size_t i = 0; i < FORMATS && got > 0; i++)
        if (formats[i].decode == dicom_decode)
            return has_magic(&formats[i], first, (size_t)got);
    return false;
}
