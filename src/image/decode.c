/* One decoder for every format, told by the first bytes of a file. */
#include <string.h>

#include "formats.h"

#define PIXELS_MAX 178956970u /* Pillow's own limit: 1/4 GiB of RGB, rounded down */

typedef pulmo_status decode_function(const void *data, size_t size_bytes,
                                     const pulmo_decode_spec *spec, pulmo_image *out,
                                     pulmo_decode_notes *notes);

typedef struct format {
    const char *name, *magic;
    size_t offset, bytes;    /* where the magic stands */
    decode_function *decode; /* NULL: known, but not read */
} format;

static const format formats[] = {
    {"a JPEG", "\xFF\xD8\xFF", 0, 3, jpeg_decode},
    {"a PNG", "\x89PNG\r\n\x1a\n", 0, 8, NULL},
    {"a DICOM file", "DICM", 128, 4, NULL},
    {"a GIF", "GIF8", 0, 4, NULL},
    {"a TIFF", "II*\0", 0, 4, NULL},
    {"a TIFF", "MM\0*", 0, 4, NULL},
    {"a BMP", "BM", 0, 2, NULL},
};

static const format *format_of(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const format *known = &formats[i];
        const size_t end = known->offset + known->bytes;
        if (size < end)
            continue;
        if (memcmp(data + known->offset, known->magic, known->bytes) == 0)
            return known;
    }
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
    if (framing->fast)
        spec->fast_target_px = size_px;
}

static pulmo_status check_format(const format *found, size_t size_bytes)
{
    if (size_bytes == 0)
        return pulmo_fail(PULMO_DATA, "is empty");
    if (found && found->decode)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "is not a JPEG but %s", found ? found->name : "something else");
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
    PULMO_TRY(found->decode(data, size_bytes, spec, out, notes));
    if (notes->warning[0]) {
        pulmo_image_free(out);
        return pulmo_fail(PULMO_DATA, "is damaged: %s", notes->warning);
    }
    pulmo_image_collapse_grey(out);
    return PULMO_OK;
}
