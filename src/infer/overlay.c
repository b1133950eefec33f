/* A map in colour over an image in grey, and PNGs in memory.
 *
 * The colours are a straight way through OKLab (B. Ottosson, "A perceptual color space for image
 * processing", 2020; the matrices are that text's): lightness grows evenly with the map's value,
 * so that more always looks brighter, in grey print and to colour-blind eyes too. */
#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "pulmo/explain.h"
#include "pulmo/memory.h"

#define COLOURS      256
#define OPACITY_MOST 0.75 /* so that the image stays readable below */
#define PI           3.14159265358979323846

static uint8_t srgb_byte(double linear)
{
    double v = linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;
    return (uint8_t)lround(255 * fmin(fmax(v, 0), 1));
}

static void oklab_to_rgb(double lightness, double a, double b, uint8_t rgb[3])
{
    double l = lightness + 0.3963377774 * a + 0.2158037573 * b;
    double m = lightness - 0.1055613458 * a - 0.0638541728 * b;
    double s = lightness - 0.0894841775 * a - 1.2914855480 * b;
    l *= l * l, m *= m * m, s *= s * s;
    rgb[0] = srgb_byte(+4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
    rgb[1] = srgb_byte(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
    rgb[2] = srgb_byte(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s);
}

/* Dark violet over red and orange to pale yellow. */
static void make_colours(uint8_t colours[COLOURS][3])
{
    for (int i = 0; i < COLOURS; i++) {
        double t = (double)i / (COLOURS - 1), hue = (300 + 165 * t) * PI / 180,
               chroma = 0.16 * sin(PI * (0.25 + 0.6 * t));
        oklab_to_rgb(0.25 + 0.70 * t, chroma * cos(hue), chroma * sin(hue), colours[i]);
    }
}

/* Where pixel `at` of `pixels` stands on a side of `cells`: the cell before it and its distance. */
static int place(int at, int pixels, int cells, double *part)
{
    double where = (at + 0.5) * cells / pixels - 0.5;
    if (where < 0)
        where = 0;
    int cell = (int)where;
    if (cell > cells - 2)
        cell = cells > 1 ? cells - 2 : 0;
    *part = cells > 1 ? fmin(where - cell, 1) : 0;
    return cell;
}

static double map_at(const pulmo_explanation *e, int y, double part_y, int x, double part_x)
{
    const float *row = e->map + (size_t)y * (size_t)e->width + (size_t)x;
    const float *next = e->height > 1 ? row + e->width : row;
    int right = e->width > 1;
    double top = (1 - part_x) * (double)row[0] + part_x * (double)row[right];
    double low = (1 - part_x) * (double)next[0] + part_x * (double)next[right];
    return (1 - part_y) * top + part_y * low;
}

static double grey_of(const uint8_t *pixel, int channels)
{
    return channels == 1 ? pixel[0] : 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

pulmo_status pulmo_explain_overlay(const pulmo_image *image, const pulmo_explanation *e,
                                   pulmo_image *out)
{
    uint8_t colours[COLOURS][3];
    memset(out, 0, sizeof *out);
    uint8_t *pixels = malloc(3 * (size_t)image->height_px * (size_t)image->width_px);
    if (!pixels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an overlay of %d x %d px",
                          image->height_px, image->width_px);
    make_colours(colours);
    for (int y = 0; y < image->height_px; y++) {
        double part_y, part_x;
        int row = place(y, image->height_px, e->height, &part_y);
        for (int x = 0; x < image->width_px; x++) {
            size_t at = (size_t)y * (size_t)image->width_px + (size_t)x;
            int column = place(x, image->width_px, e->width, &part_x);
            double value = map_at(e, row, part_y, column, part_x);
            double opacity = OPACITY_MOST * value * (2 - value);
            double grey = grey_of(image->pixels + at * (size_t)image->channels, image->channels);
            const uint8_t *colour = colours[(int)lround(value * (COLOURS - 1))];
            for (int c = 0; c < 3; c++)
                pixels[3 * at + (size_t)c] =
                    (uint8_t)lround((1 - opacity) * grey + opacity * colour[c]);
        }
    }
    *out = (pulmo_image){.height_px = image->height_px,
                         .width_px = image->width_px,
                         .channels = 3,
                         .pixels = pixels};
    return PULMO_OK;
}

/* ---- PNG ---- */

#define HEADER_BYTES 33 /* signature and IHDR, before which nothing may stand */

static void put_u32(uint8_t *to, size_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* An iTXt chunk, uncompressed, without language; returns its bytes. With `to` NULL it is only
 * measured. */
static size_t put_text(uint8_t *to, const pulmo_png_text *text)
{
    size_t key = strlen(text->key), value = strlen(text->text), body = key + 5 + value;
    if (!to)
        return body + 12;
    put_u32(to, body);
    memcpy(to + 4, "iTXt", 4);
    memcpy(to + 8, text->key, key);
    memset(to + 8 + key, 0,
           5); /* end of key, no compression, its method, no language, no translated key */
    memcpy(to + 8 + key + 5, text->text, value);
    put_u32(to + 8 + body, crc32(crc32(0, NULL, 0), to + 4, (uInt)(body + 4)));
    return body + 12;
}

/* libpng's simplified interface knows no text: it goes between the header and the rest. */
pulmo_status pulmo_png_encode(const pulmo_image *image, const pulmo_png_text *texts, int text_count,
                              uint8_t **data, size_t *size_bytes)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    png_alloc_size_t most = 0, size;
    size_t text_bytes = 0;
    png.width = (png_uint_32)image->width_px;
    png.height = (png_uint_32)image->height_px;
    png.format = image->channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    for (int i = 0; i < text_count; i++)
        text_bytes += put_text(NULL, &texts[i]);
    most = PNG_IMAGE_PNG_SIZE_MAX(png);
    uint8_t *out = malloc(most + text_bytes);
    if (!out)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a PNG of %d x %d px", image->height_px,
                          image->width_px);
    size = most;
    if (!png_image_write_to_memory(&png, out, &size, 0, image->pixels, 0, NULL)) {
        free(out);
        return pulmo_fail(PULMO_RUNTIME, "cannot encode a PNG of %d x %d px: %s", image->height_px,
                          image->width_px, png.message);
    }
    memmove(out + HEADER_BYTES + text_bytes, out + HEADER_BYTES, size - HEADER_BYTES);
    uint8_t *to = out + HEADER_BYTES;
    for (int i = 0; i < text_count; i++)
        to += put_text(to, &texts[i]);
    *data = out;
    *size_bytes = size + text_bytes;
    return PULMO_OK;
}
