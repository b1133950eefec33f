/* EXIF's orientation. An APP1 segment is "Exif\0\0" and a TIFF file: a byte order, the offset of a
 * directory, and its entries of 12 bytes (tag, type, count, value). */
#include "exif.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES      6 /* "Exif\0\0" */
#define TIFF_HEADER_BYTES 8
#define ENTRY_BYTES       12
#define ORIENTATION_TAG   0x0112
#define TYPE_SHORT        3

static unsigned read16(const uint8_t *p, bool little)
{
    if (little)
        return p[0] | p[1] << 8;
    return p[0] << 8 | p[1];
}

static uint32_t read32(const uint8_t *p, bool little)
{
    uint32_t first = read16(p, little);
    uint32_t second = read16(p + 2, little);
    if (little)
        return first | second << 16;
    return first << 16 | second;
}

static int orientation_of_entry(const uint8_t *entry, bool little)
{
    if (read16(entry + 2, little) != TYPE_SHORT)
        return 1;
    unsigned value = read16(entry + 8, little);
    if (value < 1 || value > 8)
        return 1;
    return (int)value;
}

int exif_orientation(const uint8_t *data, size_t size)
{
    if (size < HEADER_BYTES || memcmp(data, "Exif\0\0", HEADER_BYTES) != 0)
        return 1;
    return exif_tiff_orientation(data + HEADER_BYTES, size - HEADER_BYTES);
}

int exif_tiff_orientation(const uint8_t *tiff, size_t length)
{
    if (length < TIFF_HEADER_BYTES)
        return 1;
    bool little = memcmp(tiff, "II*\0", 4) == 0;
    if (!little && memcmp(tiff, "MM\0*", 4) != 0)
        return 1;
    uint32_t directory = read32(tiff + 4, little);
    if (directory > length - 2)
        return 1;
    unsigned entries = read16(tiff + directory, little);
    for (unsigned i = 0; i < entries; i++) {
        size_t entry = (size_t)directory + 2 + ENTRY_BYTES * (size_t)i;
        if (entry + ENTRY_BYTES > length)
            return 1;
        if (read16(tiff + entry, little) == ORIENTATION_TAG)
            return orientation_of_entry(tiff + entry, little);
    }
    return 1;
}

/* The table of EXIF 2.3: what to undo for an upright image. Orientations 5 to 8 exchange rows and
 * columns. */
static bool is_transposed(int orientation)
{
    return orientation >= 5;
}

static bool is_mirrored(int orientation)
{
    return orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
}

static bool is_upside_down(int orientation)
{
    return orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
}

pulmo_status exif_turn(pulmo_image *image, int orientation)
{
    if (orientation <= 1)
        return PULMO_OK;
    size_t height = (size_t)image->height_px;
    size_t width = (size_t)image->width_px;
    size_t channels = (size_t)image->channels;
    bool transposed = is_transposed(orientation);
    size_t out_height = transposed ? width : height;
    size_t out_width = transposed ? height : width;
    uint8_t *out = malloc(height * width * channels);
    if (!out)
        return pulmo_fail(PULMO_MEMORY, "out of memory turning a %zu x %zu image", height, width);
    for (size_t y = 0; y < out_height; y++)
        for (size_t x = 0; x < out_width; x++) {
            size_t from_y = transposed ? x : y;
            size_t from_x = transposed ? y : x;
            if (is_mirrored(orientation))
                from_x = width - 1 - from_x;
            if (is_upside_down(orientation))
                from_y = height - 1 - from_y;
            memcpy(out + (y * out_width + x) * channels,
                   image->pixels + (from_y * width + from_x) * channels, channels);
        }
    free(image->pixels);
    image->pixels = out;
    image->height_px = (int)out_height;
    image->width_px = (int)out_width;
    return PULMO_OK;
}
