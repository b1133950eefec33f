/* Pixels: image files in, JPEGs out, and an antialiased resize. Not collective. Nothing here keeps
 * state: the same bytes give the same pixels on every machine and thread. */
#ifndef PULMO_IMAGE_H
#define PULMO_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/framing.h"
#include "pulmo/status.h"

/* (H, W, C) uint8; C is 1 (grey) or 3 (RGB). Freed by pulmo_image_free. */
typedef struct pulmo_image {
    int height_px, width_px, channels;
    uint8_t *pixels; /* owned by the image */
} pulmo_image;

/* Frees the pixels and clears the image, which may be cleared already. */
void pulmo_image_free(pulmo_image *image);

/* ---- decoding ---- */

/* Of a DICOM file's header: elements at most, and bytes of one's value with the NUL behind it. */
#define PULMO_HEADERS_MAX        8
#define PULMO_HEADER_VALUE_BYTES 64
#define PULMO_PATIENT_BYTES      264

/* How to decode. */
typedef struct pulmo_decode_spec {
    uint64_t pixels_max; /* an image of more is refused before anything is allocated */
    int fast_target_px;  /* > 0: a JPEG may be scaled by 1/2, 1/4 or 1/8 while both sides keep this
                          */
    int height_px, width_px; /* to resize to; 0: the image's own size */
    pulmo_fit fit;           /* how to that shape; of the image's own size: as to a square */
    bool crop_border;        /* cut uniform borders first */
    /* of DICOM files alone; borrowed for the call */
    const char *window;     /* "CENTER,WIDTH" in place of what the file says; NULL: as it says */
    const char *modalities; /* that are taken, "CR, DX" or "any"; NULL: CR and DX */
    const int *header;      /* (headers): elements of the header to note, by pulmo_header_find */
    int headers;            /* at most PULMO_HEADERS_MAX */
} pulmo_decode_spec;

/* At most 178956970 pixels, Pillow's own limit (1/4 GiB of RGB, rounded down), no scaled decoding,
 * the image's own size, squashed, with its borders. */
void pulmo_decode_spec_init(pulmo_decode_spec *spec);
/* The same for an image of size_px x size_px by a framing, which is kept (must outlive the spec);
 * size_px 0: of its own size. */
void pulmo_decode_spec_framed(pulmo_decode_spec *spec, const pulmo_framing *framing, int size_px);

/* What a decode noticed. */
typedef struct pulmo_decode_notes {
    pulmo_image_format format;
    bool had_icc;    /* a colour profile was ignored */
    bool had_gamma;  /* a PNG's gamma other than sRGB's was ignored */
    bool too_large;  /* refused for pixels_max */
    int orientation; /* EXIF's, which was applied; 1 if none */
    int source_height_px, source_width_px, source_channels;
    bool has_header;                   /* it is a DICOM file */
    char patient[PULMO_PATIENT_BYTES]; /* its PatientID; "" if it has none */
    /* the values of spec->header, "" where there is none, each ended by NUL */
    char header[PULMO_HEADERS_MAX * PULMO_HEADER_VALUE_BYTES];
} pulmo_decode_notes;

/* Decodes an image file in memory, known by its first bytes whatever its name ends with, and
 * resizes it as pulmo_image_resize does.
 *
 * What pack, predict, explain and preview see of a file is this. Rows are resized as they are
 * decoded, so that the whole image does not stand in memory, except where EXIF turns it or borders
 * are sought. An image whose three channels are equal everywhere becomes grey (one channel).
 *
 * Fit, of an upright image of h x w to H x W:
 *   squash: pulmo_image_resize.
 *   crop: where w H > h W the columns left to left + round(h W / H) are resized, where
 *     left = floor((w - that width) / 2), else rows in the same way.
 *   pad: where w H > h W the image is resized to round(h W / w) rows and W columns, and stands at
 *     row floor((H - those rows) / 2) of a black image, else columns in the same way.
 *   Halves are rounded up. So of an odd number of cut or black lines the one more is at the bottom
 *   or on the right. An image of the wanted aspect is the same under all three.
 *
 * Border: a line (a row or a column of what is left) is of the frame where at least 98 % of its
 * pixels are black (no channel above 16) or at least 98 % are white (none below 239). Lines of the
 * frame are cut from the top, bottom, left and right, in this order and again until no side has
 * one, but at most a fifth of the image's height (width) from each side.
 *
 * JPEG: by libjpeg-turbo, to Pillow's pixels: the accurate integer DCT and fancy upsampling; YCbCr,
 * CMYK and YCCK become RGB (CMYK as Pillow's convert("RGB")); EXIF's orientation is applied.
 *
 * PNG: by libpng, of 1 to 16 bits, interlaced or not; the first picture of an animation. A sample v
 * of n bits becomes 255 v / (2^n - 1), rounded, so 16 bits become v / 257. What is transparent, by
 * alpha, tRNS or palette, is laid over black. Gamma, chromaticities and profiles are ignored: the
 * stored values are what is seen. The orientation of an eXIf chunk is applied. A wrong checksum of
 * any chunk is damage. An interlaced image stands in memory whole.
 *
 * DICOM, where pulmo is built with DCMTK: one frame of grey, 8 to 16 bits stored, uncompressed,
 * deflated, RLE, JPEG (baseline, extended, lossless) or JPEG-LS. Stored values become grey by PS3.3
 * C.11: modality table, or slope and intercept; VOI table, or window, or else the full range; the
 * result rounded to 8 bits, halves up; inverted once for MONOCHROME1 or the shape INVERSE. Spaces
 * of pixels, overlays and padding values are not looked at.
 *
 * `out` is owned by the caller, and empty after a failure. `notes` may be NULL.
 * Errors: PULMO_DATA with the reason for what is of no known format, empty, truncated, damaged, too
 * large or beyond the library; PULMO_MEMORY. */
pulmo_status pulmo_image_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                                pulmo_image *out, pulmo_decode_notes *notes);

/* Whether a file that is met in a directory is to be taken for an image: by the suffix of its name
 * (.jpg, .jpeg, .png, .dcm, .dicom, in any case), else by its first bytes. What is known but not
 * read (GIF, TIFF, BMP) is not taken. A file that cannot be opened is, so that reading it says why;
 * what is not a regular file and has no such suffix is not. */
bool pulmo_image_is_file(const char *path);
/* The end of a path that names a format that is read, as ".jpeg", in any case; "" if there is none.
 * Points into `path`, or to static storage. */
const char *pulmo_image_suffix(const char *path);
/* Whether a file may be DICOM by its name, which is not that of another format that is read. */
bool pulmo_image_may_be_dicom(const char *path);
/* Whether a file bears DICOM's mark, whatever its name and whatever else it begins as. False for
 * one that cannot be read. */
bool pulmo_image_is_dicom(const char *path);

/* ---- headers of DICOM files ---- */

/* The element of a keyword of PS3.6, as "PatientAge", that may be kept; -1 if there is none. */
int pulmo_header_find(const char *keyword);
/* The keyword of element 0, 1 and so on; NULL behind the last. Static storage. */
const char *pulmo_header_keyword(int element);
/* Whether `text` can be a decode spec's window: blank, or "CENTER,WIDTH". PULMO_CONFIG with the
 * rule. */
pulmo_status pulmo_window_check(const char *text);

/* The DCMTK that pulmo was built with, as in "DCMTK 3.6.7", or "not built in". */
const char *pulmo_dicom_library(void);

/* ---- changing and writing ---- */

/* Antialiased bilinear resize with Pillow's arithmetic (Image.resize, BILINEAR, no reducing_gap).
 *
 * A separable triangle filter whose support grows with the scale, 22-bit fixed-point coefficients,
 * rounded to 8 bits between the passes. `out` is owned by the caller. Errors: PULMO_MEMORY. */
pulmo_status pulmo_image_resize(const pulmo_image *source, int height_px, int width_px,
                                pulmo_image *out);

/* Makes three channels that are equal everywhere one, in place. True if the image is (now) grey. */
bool pulmo_image_collapse_grey(pulmo_image *image);

/* A padded image without the black lines beside it (on the sides that have more of them), squashed
 * to the size it has: for comparing images, whose pads are alike. `out` is owned by the caller.
 * Errors: PULMO_MEMORY. */
pulmo_status pulmo_image_unpad(const pulmo_image *image, pulmo_image *out);

/* Writes the image as a JPEG, whole or not at all; `quality` is libjpeg's, 1 to 100. */
pulmo_status pulmo_jpeg_write(const char *path, const pulmo_image *image, int quality);

/* The libraries that pulmo was built with, as in "libjpeg-turbo 2.1.5" and "libpng 1.6.39". */
const char *pulmo_jpeg_library(void);
const char *pulmo_png_library(void);

#endif
