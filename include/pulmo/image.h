/* Pixels: JPEG files in, antialiased resize. Not collective; pure but for the file read. */
#ifndef PULMO_IMAGE_H
#define PULMO_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

/* (H, W, C) uint8, C is 1 (grey) or 3 (RGB). */
typedef struct pulmo_image {
    int height_px, width_px, channels;
    uint8_t *pixels; /* owned by the image */
} pulmo_image;

void pulmo_image_free(pulmo_image *image);

/* More pixels than this are refused before anything is allocated. */
#define PULMO_IMAGE_PIXELS_MAX 178956970u /* Pillow's own limit: 1/4 GiB of RGB, rounded down */

typedef struct pulmo_decode_spec {
    uint64_t pixels_max;
    int fast_target_px; /* > 0: let libjpeg scale by 1/2, 1/4, 1/8 while both sides stay at least
                           this */
} pulmo_decode_spec;
void pulmo_decode_spec_init(pulmo_decode_spec *spec);

/* What a decode noticed; text for a manifest. */
typedef struct pulmo_decode_notes {
    char warning[200]; /* libjpeg's own corrupt-data warning, or "" */
    int had_icc;       /* a colour profile was ignored */
    int orientation;   /* EXIF orientation that was applied, 1 if none */
    int source_height_px, source_width_px, source_channels;
} pulmo_decode_notes;

/* Decodes a JPEG in memory by libjpeg-turbo with the accurate integer DCT and fancy upsampling,
 * giving Pillow's pixels: grey stays one channel; YCbCr, RGB, CMYK and YCCK become RGB
 * (CMYK as Pillow's convert("RGB")); EXIF orientation is applied. Every refusal (not a JPEG,
 * empty, truncated, arithmetic beyond the library, too many pixels) is PULMO_DATA with the
 * reason; never exits or longjmps to the caller. `notes` may be NULL. */
pulmo_status pulmo_jpeg_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                               pulmo_image *out, pulmo_decode_notes *notes);

/* pulmo_jpeg_decode and pulmo_image_resize in one, and the same pixels: rows are resized as they
 * are decoded, so that no memory is needed for the whole image (but where EXIF turns it). */
pulmo_status pulmo_jpeg_decode_resized(const void *data, size_t size_bytes,
                                       const pulmo_decode_spec *spec, int height_px, int width_px,
                                       pulmo_image *out, pulmo_decode_notes *notes);

/* Antialiased bilinear resize with Pillow's arithmetic (Image.resize, BILINEAR, reducing_gap
 * none): separable triangle filter whose support grows with the scale, 8-bit intermediate
 * rounding, 22-bit fixed-point coefficients. Owned by the caller. */
pulmo_status pulmo_image_resize(const pulmo_image *source, int height_px, int width_px,
                                pulmo_image *out);

/* Three equal channels become one in place; returns 1 if the image is (now) grey. */
int pulmo_image_collapse_grey(pulmo_image *image);

/* Writes (H, W, C) as a JPEG of the given quality (whole or not at all). */
pulmo_status pulmo_jpeg_write(const char *path, const pulmo_image *image, int quality);

#endif
