/* Pixels: JPEG files in and out, and an antialiased resize. Not collective. Nothing here keeps
 * state: the same bytes give the same pixels on every machine and thread. */
#ifndef PULMO_IMAGE_H
#define PULMO_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

/* (H, W, C) uint8; C is 1 (grey) or 3 (RGB). Freed by pulmo_image_free. */
typedef struct pulmo_image {
    int height_px, width_px, channels;
    uint8_t *pixels; /* owned by the image */
} pulmo_image;

/* Frees the pixels and clears the image, which may be cleared already. */
void pulmo_image_free(pulmo_image *image);

/* ---- decoding ---- */

/* How to decode. */
typedef struct pulmo_decode_spec {
    uint64_t pixels_max; /* an image of more is refused before anything is allocated */
    int fast_target_px;  /* > 0: libjpeg may scale by 1/2, 1/4 or 1/8 while both sides keep this */
} pulmo_decode_spec;

/* At most 178956970 pixels, Pillow's own limit (1/4 GiB of RGB, rounded down), and no scaled
 * decoding. */
void pulmo_decode_spec_init(pulmo_decode_spec *spec);

/* What a decode noticed. */
typedef struct pulmo_decode_notes {
    char warning[200]; /* libjpeg's first warning of corrupt data, or "" */
    bool had_icc;      /* a colour profile was ignored */
    bool too_large;    /* refused for pixels_max or libjpeg's longest side */
    int orientation;   /* EXIF's, which was applied; 1 if none */
    int source_height_px, source_width_px, source_channels;
} pulmo_decode_notes;

/* Decodes a JPEG in memory by libjpeg-turbo, to Pillow's pixels.
 *
 * The accurate integer DCT and fancy upsampling are used. Grey stays one channel; YCbCr, RGB, CMYK
 * and YCCK become RGB (CMYK as Pillow's convert("RGB")); EXIF's orientation is applied. `out` is
 * owned by the caller, and empty after a failure. `notes` may be NULL.
 * Errors: PULMO_DATA with the reason for what is not a JPEG, empty, truncated, too large or beyond
 * the library; PULMO_MEMORY. */
pulmo_status pulmo_jpeg_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                               pulmo_image *out, pulmo_decode_notes *notes);

/* pulmo_jpeg_decode and pulmo_image_resize in one, to the same pixels.
 *
 * Rows are resized as they are decoded, so that the whole image never stands in memory, except
 * where EXIF turns it. `height_px` and `width_px` of 0 leave the size as it is. */
pulmo_status pulmo_jpeg_decode_resized(const void *data, size_t size_bytes,
                                       const pulmo_decode_spec *spec, int height_px, int width_px,
                                       pulmo_image *out, pulmo_decode_notes *notes);

/* ---- changing and writing ---- */

/* Antialiased bilinear resize with Pillow's arithmetic (Image.resize, BILINEAR, no reducing_gap).
 *
 * A separable triangle filter whose support grows with the scale, 22-bit fixed-point coefficients,
 * rounded to 8 bits between the passes. `out` is owned by the caller. Errors: PULMO_MEMORY. */
pulmo_status pulmo_image_resize(const pulmo_image *source, int height_px, int width_px,
                                pulmo_image *out);

/* Makes three channels that are equal everywhere one, in place. True if the image is (now) grey. */
bool pulmo_image_collapse_grey(pulmo_image *image);

/* Writes the image as a JPEG, whole or not at all; `quality` is libjpeg's, 1 to 100. */
pulmo_status pulmo_jpeg_write(const char *path, const pulmo_image *image, int quality);

/* The libjpeg-turbo that pulmo was built with, as in "libjpeg-turbo 2.1.5". */
const char *pulmo_jpeg_library(void);

#endif
