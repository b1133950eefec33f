/* JPEGs for tests, made with libjpeg: every kind that pack may meet, and damage to order. */
#ifndef PULMO_TEST_JPEGS_H
#define PULMO_TEST_JPEGS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "exifs.h"

typedef struct jpeg_kind {
    int width, height;
    J_COLOR_SPACE in, stored; /* of the pixels given, of the file */
    int h_factor, v_factor;   /* of the first component; 0 leaves libjpeg's choice */
    int progressive, arithmetic, restart_rows, quality; /* quality 0: 92 */
    const uint8_t *app;                                 /* a marker to put in, or NULL */
    unsigned app_bytes;
    int app_marker;
} jpeg_kind;

typedef struct jpeg_bytes {
    unsigned char *data;
    unsigned long size;
} jpeg_bytes;

/* Grey of a soft gradient with a disc, so that lossy compression stays near it. */
static inline uint8_t test_pixel(int x, int y, int c)
{
    int dx = x - 30, dy = y - 20, inside = dx * dx + dy * dy < 200;
    return (uint8_t)((x + 2 * y + (inside ? 60 : 0) + 25 * c) % 256);
}

/* `pixels` (H, W, channels of kind->in); free(result.data). */
static inline jpeg_bytes make_jpeg(const jpeg_kind *kind, const uint8_t *pixels)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jpeg_bytes out = {NULL, 0};
    jpeg.err =
        jpeg_std_error(&errors); /* ends the test program on an error: it is the test's own */
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &out.data, &out.size);
    jpeg.image_width = (JDIMENSION)kind->width;
    jpeg.image_height = (JDIMENSION)kind->height;
    jpeg.in_color_space = kind->in;
    jpeg.input_components = 3;
    if (kind->in == JCS_GRAYSCALE)
        jpeg.input_components = 1;
    if (kind->in == JCS_CMYK)
        jpeg.input_components = 4;
    jpeg_set_defaults(&jpeg);
    jpeg_set_colorspace(&jpeg, kind->stored);
    jpeg_set_quality(&jpeg, kind->quality ? kind->quality : 92, TRUE);
    if (kind->h_factor) {
        jpeg.comp_info[0].h_samp_factor = kind->h_factor;
        jpeg.comp_info[0].v_samp_factor = kind->v_factor;
    }
    jpeg.restart_in_rows = kind->restart_rows;
    if (kind->progressive)
        jpeg_simple_progression(&jpeg);
    jpeg.arith_code = kind->arithmetic;
    jpeg_start_compress(&jpeg, TRUE);
    if (kind->app)
        jpeg_write_marker(&jpeg, kind->app_marker, kind->app, kind->app_bytes);
    size_t stride = (size_t)kind->width * (size_t)jpeg.input_components;
    while (jpeg.next_scanline < jpeg.image_height) {
        uint8_t *row = malloc(stride);
        memcpy(row, pixels + stride * jpeg.next_scanline, stride);
        JSAMPROW rows[1] = {row};
        jpeg_write_scanlines(&jpeg, rows, 1);
        free(row);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return out;
}

/* The test picture, (H, W, channels). */
static inline uint8_t *make_pixels(int width, int height, int channels)
{
    uint8_t *pixels = malloc((size_t)width * (size_t)height * (size_t)channels), *p = pixels;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++)
                *p++ = test_pixel(x, y, c);
    return pixels;
}

static inline jpeg_bytes make_grey_jpeg(int width, int height)
{
    jpeg_kind kind = {
        .width = width, .height = height, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE};
    uint8_t *pixels = make_pixels(width, height, 1);
    jpeg_bytes out = make_jpeg(&kind, pixels);
    free(pixels);
    return out;
}

#endif
