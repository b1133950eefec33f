/* A map in colour over an image in grey, and PNGs in memory.
 *
 * The colours are a straight way through OKLab (B. Ottosson, "A perceptual color space for image
 * processing", 2020; the matrices are that text's): lightness grows evenly with the map's value,
 * so that more always looks brighter, in grey print and to colour-blind eyes too. */
#include <errno.h>
#include <math.h>
#include <png.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "pulmo/elementary.h"
#include "overlay.h"

#define COLOURS      256
#define OPACITY_MOST 0.75 /* so that the image stays readable below */
#define PI           3.14159265358979323846

/* ---- colours ---- */

static uint8_t srgb_byte(double linear)
{
    double v = 12.92 * linear;
    if (linear > 0.0031308) {
        const double root = pulmo_pow(linear, 1 / 2.4);
        v = 1.055 * root - 0.055;
    }
    const double positive = fmax(v, 0);
    const double clipped = fmin(positive, 1);
    return (uint8_t)lround(255 * clipped);
}

static double cube(double x)
{
    return x * x * x;
}

static double product(const double first[3], const double second[3])
{
    double sum = first[0] * second[0];
    sum += first[1] * second[1];
    sum += first[2] * second[2];
    return sum;
}

static void oklab_to_rgb(const double lab[3], uint8_t rgb[3])
{
    static const double to_cones[3][3] = {
        {1, +0.3963377774, +0.2158037573},
        {1, -0.1055613458, -0.0638541728},
        {1, -0.0894841775, -1.2914855480},
    };
    static const double to_linear[3][3] = {
        {+4.0767416621, -3.3077115913, +0.2309699292},
        {-1.2684380046, +2.6097574011, -0.3413193965},
        {-0.0041960863, -0.7034186147, +1.7076147010},
    };
    double cones[3];
    for (int i = 0; i < 3; i++) {
        const double root = product(to_cones[i], lab);
        cones[i] = cube(root);
    }
    for (int i = 0; i < 3; i++) {
        const double linear = product(to_linear[i], cones);
        rgb[i] = srgb_byte(linear);
    }
}

/* Dark violet over red and orange to pale yellow. */
static void make_colours(uint8_t colours[COLOURS][3])
{
    for (int i = 0; i < COLOURS; i++) {
        const double t = (double)i / (COLOURS - 1);
        const double hue_deg = 300 + 165 * t;
        const double hue = hue_deg * PI / 180;
        const double half_turns = 0.25 + 0.6 * t;
        const double chroma = 0.16 * pulmo_sin(PI * half_turns);
        const double lightness = 0.25 + 0.70 * t;
        const double a = chroma * pulmo_cos(hue);
        const double b = chroma * pulmo_sin(hue);
        const double lab[3] = {lightness, a, b};
        oklab_to_rgb(lab, colours[i]);
    }
}

/* ---- the map over the image ---- */

/* A place on a side of cells: from the first of two cells' centres, `part` of the way to the next.
 */
typedef struct map_place {
    int cell;
    double part;
} map_place;

/* Where pixel `at` of `pixels` stands on a side of `cells`. */
static map_place place_of_pixel(int at, int pixels, int cells)
{
    map_place out = {0, 0};
    if (cells == 1)
        return out;
    const int last = cells - 2;
    const double centre = (at + 0.5) * cells / pixels;
    const double where = fmax(0, centre - 0.5);
    out.cell = (int)where;
    if (out.cell > last)
        out.cell = last;
    out.part = fmin(where - out.cell, 1);
    return out;
}

static double between(double first, double second, double part)
{
    return (1 - part) * first + part * second;
}

static double map_at(const pulmo_explanation *e, map_place y, map_place x)
{
    const ptrdiff_t above = (ptrdiff_t)y.cell * e->width;
    const float *row = e->map + above + x.cell;
    const float *next = row;
    if (e->height > 1)
        next = row + e->width;
    const int right = e->width > 1;
    const double top = between(row[0], row[right], x.part);
    const double low = between(next[0], next[right], x.part);
    return between(top, low, y.part);
}

static double grey_of(const uint8_t *pixel, int channels)
{
    if (channels == 1)
        return pixel[0];
    const double red = 0.299 * pixel[0];
    const double green = 0.587 * pixel[1];
    const double blue = 0.114 * pixel[2];
    return red + green + blue;
}

static void draw_row(const pulmo_image *image, const pulmo_explanation *e, int y,
                     const uint8_t colours[COLOURS][3], uint8_t *to)
{
    const map_place row = place_of_pixel(y, image->height_px, e->height);
    const ptrdiff_t row_bytes = (ptrdiff_t)image->width_px * image->channels;
    const uint8_t *from = image->pixels + y * row_bytes;
    for (int x = 0; x < image->width_px; x++) {
        const map_place column = place_of_pixel(x, image->width_px, e->width);
        const double value = map_at(e, row, column);
        const double opacity = OPACITY_MOST * value * (2 - value);
        const double grey = grey_of(from, image->channels);
        const long level = lround(value * (COLOURS - 1));
        const uint8_t *colour = colours[level];
        for (int c = 0; c < 3; c++) {
            const double mixed = between(grey, colour[c], opacity);
            to[c] = (uint8_t)lround(mixed);
        }
        from += image->channels;
        to += 3;
    }
}

pulmo_status pulmo_explain_overlay(const pulmo_image *image, const pulmo_explanation *e,
                                   pulmo_image *out)
{
    uint8_t colours[COLOURS][3];
    const int height = image->height_px;
    const int width = image->width_px;
    const size_t row_bytes = 3 * (size_t)width;
    memset(out, 0, sizeof *out);
    uint8_t *pixels = malloc(row_bytes * (size_t)height);
    if (!pixels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an overlay of %d x %d px", height,
                          width);
    make_colours(colours);
    uint8_t *row = pixels;
    for (int y = 0; y < height; y++) {
        draw_row(image, e, y, colours, row);
        row += row_bytes;
    }
    out->height_px = height;
    out->width_px = width;
    out->channels = 3;
    out->pixels = pixels;
    return PULMO_OK;
}

/* ---- PNG ---- */

#define HEADER_BYTES 33 /* signature and IHDR, before which nothing may stand */
#define CHUNK_BYTES  12 /* of a chunk besides its body: length, kind, checksum */
#define TEXT_FLAGS   5  /* end of key, no compression, its method, no language, no translated key */

static void put_u32(uint8_t *to, size_t value)
{
    for (int i = 0; i < 4; i++) {
        const int shift = 24 - 8 * i;
        to[i] = (uint8_t)(value >> shift);
    }
}

static size_t text_body_bytes(const png_note *text)
{
    const size_t key_bytes = strlen(text->key);
    const size_t value_bytes = strlen(text->text);
    return key_bytes + TEXT_FLAGS + value_bytes;
}

/* An iTXt chunk, uncompressed, without language. Returns where it ends. */
static uint8_t *put_text(uint8_t *chunk, const png_note *text)
{
    const size_t key_bytes = strlen(text->key);
    const size_t value_bytes = strlen(text->text);
    const size_t body_bytes = text_body_bytes(text);
    uint8_t *kind = chunk + 4;
    uint8_t *body = chunk + 8;
    uint8_t *flags = body + key_bytes;
    uint8_t *value = flags + TEXT_FLAGS;
    put_u32(chunk, body_bytes);
    memcpy(kind, "iTXt", 4);
    memcpy(body, text->key, key_bytes);
    memset(flags, 0, TEXT_FLAGS);
    memcpy(value, text->text, value_bytes);
    const uLong start = crc32(0, NULL, 0);
    const uInt checked_bytes = (uInt)(body_bytes + 4);
    const uLong checksum = crc32(start, kind, checked_bytes);
    put_u32(body + body_bytes, checksum);
    return chunk + body_bytes + CHUNK_BYTES;
}

static pulmo_status encode_with_room(const pulmo_image *image, size_t room, uint8_t **data,
                                     size_t *size_bytes)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    png.width = (png_uint_32)image->width_px;
    png.height = (png_uint_32)image->height_px;
    png.format = PNG_FORMAT_RGB;
    if (image->channels == 1)
        png.format = PNG_FORMAT_GRAY;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
    uint8_t *out = malloc(size + room);
    if (!out)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a PNG of %d x %d px", image->height_px,
                          image->width_px);
    errno = 0;
    if (!png_image_write_to_memory(&png, out, &size, 0, image->pixels, 0, NULL)) {
        pulmo_status status = errno == ENOMEM ? PULMO_MEMORY : PULMO_RUNTIME;
        free(out);
        return pulmo_fail(status, "cannot encode a PNG of %d x %d px: %s", image->height_px,
                          image->width_px, png.message);
    }
    *data = out;
    *size_bytes = size;
    return PULMO_OK;
}

/* libpng's simplified interface knows no text: it goes between the header and the rest. */
pulmo_status overlay_png(const pulmo_image *image, const png_note *texts, int text_count,
                         uint8_t **data, size_t *size_bytes)
{
    size_t text_bytes = 0;
    for (int i = 0; i < text_count; i++)
        text_bytes += CHUNK_BYTES + text_body_bytes(&texts[i]);
    PULMO_TRY(encode_with_room(image, text_bytes, data, size_bytes));
    uint8_t *to = *data + HEADER_BYTES;
    memmove(to + text_bytes, to, *size_bytes - HEADER_BYTES);
    for (int i = 0; i < text_count; i++)
        to = put_text(to, &texts[i]);
    *size_bytes += text_bytes;
    return PULMO_OK;
}

pulmo_status pulmo_png_encode(const pulmo_image *image, uint8_t **data, size_t *size_bytes)
{
    return overlay_png(image, NULL, 0, data, size_bytes);
}
