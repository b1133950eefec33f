/* JPEG files by libjpeg-turbo, with Pillow's pixels. The only file with <jpeglib.h> and setjmp. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>
#include <jerror.h>

#include "pulmo/file.h"
#include "pulmo/image.h"
#include "pulmo/memory.h"
#include "resize.h"

#include "baseline.h"

#define SIDE_MAX 65500 /* libjpeg's own limit */
#define SCANS_MAX                                                                                  \
    500 /* a progressive file with more is made to waste time: each walks the whole image */

void pulmo_decode_spec_init(pulmo_decode_spec *spec)
{
    spec->pixels_max = PULMO_IMAGE_PIXELS_MAX;
    spec->fast_target_px = 0;
}

void pulmo_image_free(pulmo_image *image)
{
    free(image->pixels);
    memset(image, 0, sizeof *image);
}

/* ---- libjpeg's errors ---- */

typedef struct failure {
    struct jpeg_error_mgr manager;
    jmp_buf leave;
    char text[JMSG_LENGTH_MAX];    /* what ended it */
    char warning[JMSG_LENGTH_MAX]; /* its first complaint about the data */
    bool premature_end;
} failure;

static void on_error(j_common_ptr jpeg)
{
    failure *fail = (failure *)jpeg->err;
    jpeg->err->format_message(jpeg, fail->text);
    longjmp(fail->leave, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    failure *fail = (failure *)jpeg->err;
    if (level >= 0)
        return; /* a trace, no warning */
    if (jpeg->err->num_warnings++ == 0)
        jpeg->err->format_message(jpeg, fail->warning);
    if (jpeg->err->msg_code == JWRN_JPEG_EOF)
        fail->premature_end = true;
}

static void listen(failure *fail)
{
    memset(fail, 0, sizeof *fail);
    jpeg_std_error(&fail->manager);
    fail->manager.error_exit = on_error;
    fail->manager.emit_message = on_message;
}

/* ---- EXIF ---- */

static unsigned read16(const uint8_t *p, bool little)
{
    return little ? p[0] | p[1] << 8 : p[0] << 8 | p[1];
}
static uint32_t read32(const uint8_t *p, bool little)
{
    return little ? p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24
                  : (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int exif_orientation(const uint8_t *data, size_t size)
{
    if (size < 14 || memcmp(data, "Exif\0\0", 6) != 0)
        return 1;
    const uint8_t *tiff = data + 6;
    size_t length = size - 6;
    bool little = memcmp(tiff, "II*\0", 4) == 0;
    if (!little && memcmp(tiff, "MM\0*", 4) != 0)
        return 1;
    uint32_t at = read32(tiff + 4, little);
    if (length < 10 || at > length - 2)
        return 1;
    unsigned entries = read16(tiff + at, little);
    for (unsigned i = 0; i < entries; i++) {
        size_t entry = (size_t)at + 2 + 12 * (size_t)i;
        if (entry + 12 > length)
            return 1;
        if (read16(tiff + entry, little) != 0x0112)
            continue;
        if (read16(tiff + entry + 2, little) != 3)
            return 1; /* SHORT */
        unsigned value = read16(tiff + entry + 8, little);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

static void read_markers(const struct jpeg_decompress_struct *jpeg, pulmo_decode_notes *notes)
{
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next) {
        if (m->marker == JPEG_APP0 + 1 && notes->orientation == 1)
            notes->orientation = exif_orientation(m->data, m->data_length);
        if (m->marker == JPEG_APP0 + 2 && m->data_length >= 12 &&
            memcmp(m->data, "ICC_PROFILE", 12) == 0)
            notes->had_icc = 1;
    }
}

/* Turns the image as EXIF's orientation says. */
static pulmo_status orient(pulmo_image *image, int orientation)
{
    if (orientation <= 1)
        return PULMO_OK;
    int h = image->height_px, w = image->width_px, c = image->channels;
    bool turned = orientation >= 5;
    int oh = turned ? w : h, ow = turned ? h : w;
    uint8_t *out = malloc((size_t)h * (size_t)w * (size_t)c);
    if (!out)
        return pulmo_fail(PULMO_MEMORY, "out of memory turning a %d x %d image", h, w);
    for (int y = 0; y < oh; y++)
        for (int x = 0; x < ow; x++) {
            int sy = turned ? x : y, sx = turned ? y : x;
            if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
                sx = w - 1 - sx;
            if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
                sy = h - 1 - sy;
            memcpy(out + ((size_t)y * (size_t)ow + (size_t)x) * (size_t)c,
                   image->pixels + ((size_t)sy * (size_t)w + (size_t)sx) * (size_t)c, (size_t)c);
        }
    free(image->pixels);
    *image = (pulmo_image){.height_px = oh, .width_px = ow, .channels = c, .pixels = out};
    return PULMO_OK;
}

/* ---- decoding ---- */

/* Pillow's rounding of a * b / 255. */
static int multiply255(int a, int b)
{
    int product = a * b + 128;
    return ((product >> 8) + product) >> 8;
}

/* Adobe's inverted CMYK to RGB, as Pillow's convert("RGB") does. */
static void cmyk_to_rgb(const uint8_t *in, int width, uint8_t *out)
{
    for (int x = 0; x < width; x++, in += 4, out += 3) {
        int light = in[3]; /* 255 - K, the file holding it inverted */
        for (int k = 0; k < 3; k++) {
            int value = light - multiply255(255 - in[k], light);
            out[k] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

/* Everything that must be freed however decoding ends. */
typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    failure fail;
    uint8_t *pixels;
    uint8_t *row;      /* of CMYK */
    int height, width; /* wanted; 0 leaves the image as it is */
    bool resizes;      /* rows go to `resize` as they come, not to `pixels` */
    resizer resize;
} decoder;

static void on_progress(j_common_ptr common)
{
    failure *fail = (failure *)common->err;
    if (((j_decompress_ptr)common)->input_scan_number <= SCANS_MAX)
        return;
    snprintf(fail->text, sizeof fail->text, "has more than %d scans", SCANS_MAX);
    longjmp(fail->leave, 1);
}

static void choose_output(struct jpeg_decompress_struct *jpeg, const pulmo_decode_spec *spec)
{
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->do_fancy_upsampling = TRUE;
    bool four = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    if (four)
        jpeg->out_color_space = JCS_CMYK;
    else if (jpeg->jpeg_color_space != JCS_GRAYSCALE)
        jpeg->out_color_space = JCS_RGB;
    jpeg->scale_num = baseline_eighths(jpeg->image_width, jpeg->image_height, spec);
    jpeg->scale_denom = 8;
}

static pulmo_status check_header(const struct jpeg_decompress_struct *jpeg,
                                 const pulmo_decode_spec *spec)
{
    uint64_t pixels = (uint64_t)jpeg->image_width * jpeg->image_height;
    if (jpeg->image_width > SIDE_MAX || jpeg->image_height > SIDE_MAX || pixels > spec->pixels_max)
        return pulmo_fail(
            PULMO_DATA, "%u x %u is more than %llu pixels (pack.pixels_max raises the limit)",
            jpeg->image_width, jpeg->image_height, (unsigned long long)spec->pixels_max);
    if (jpeg->num_components != 1 && jpeg->num_components != 3 && jpeg->num_components != 4)
        return pulmo_fail(PULMO_DATA, "has %d components; must be 1, 3 or 4", jpeg->num_components);
    return PULMO_OK;
}

static int channels_of(const struct jpeg_decompress_struct *jpeg)
{
    return jpeg->out_color_space == JCS_GRAYSCALE ? 1 : 3;
}

/* An image that EXIF turns is turned before it is resized: whole, then. */
static pulmo_status make_room(decoder *d, const pulmo_decode_notes *notes)
{
    const struct jpeg_decompress_struct *jpeg = &d->jpeg;
    size_t height = jpeg->output_height, width = jpeg->output_width;
    bool four = jpeg->out_color_space == JCS_CMYK;
    d->resizes = d->height > 0 && notes->orientation <= 1;
    if (d->resizes)
        PULMO_TRY(resizer_begin(&d->resize, (int)height, (int)width, channels_of(jpeg), d->height,
                                d->width));
    d->pixels = d->resizes ? NULL : malloc(height * width * (size_t)channels_of(jpeg));
    d->row = four ? malloc(width * 4) : NULL;
    if ((d->resizes || d->pixels) && (!four || d->row))
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for %zu x %zu pixels", width, height);
}

/* May leave by longjmp: touches nothing but *d, which is not the caller's automatic variable. */
static pulmo_status decode_body(decoder *d, const pulmo_decode_spec *spec,
                                pulmo_decode_notes *notes)
{
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_save_markers(jpeg, JPEG_APP0 + 2, 0xFFFF);
    jpeg_read_header(jpeg, TRUE);
    PULMO_TRY(check_header(jpeg, spec));
    notes->source_width_px = (int)jpeg->image_width;
    notes->source_height_px = (int)jpeg->image_height;
    notes->source_channels = jpeg->num_components;
    read_markers(jpeg, notes);
    choose_output(jpeg, spec);
    jpeg_start_decompress(jpeg);
    PULMO_TRY(make_room(d, notes));
    bool four = jpeg->out_color_space == JCS_CMYK;
    size_t stride = (size_t)jpeg->output_width * (size_t)channels_of(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *to =
            d->resizes ? resizer_row(&d->resize) : d->pixels + stride * jpeg->output_scanline;
        JSAMPROW row = four ? d->row : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (four)
            cmyk_to_rgb(d->row, (int)jpeg->output_width, to);
        if (d->resizes)
            resizer_took(&d->resize);
    }
    jpeg_finish_decompress(jpeg);
    return PULMO_OK;
}

static pulmo_status truncated(void)
{
    return pulmo_fail(PULMO_DATA, "is truncated: the file ends before the image does");
}

static pulmo_status decode_guarded(decoder *d, const void *data, size_t size,
                                   const pulmo_decode_spec *spec, pulmo_decode_notes *notes)
{
    d->jpeg.err = &d->fail.manager;
    if (setjmp(d->fail.leave))
        return d->fail.premature_end
                   ? truncated()
                   : pulmo_fail(PULMO_DATA, "cannot be decoded: %s", d->fail.text);
    jpeg_create_decompress(&d->jpeg);
    d->progress.progress_monitor = on_progress;
    d->jpeg.progress = &d->progress;
    jpeg_mem_src(&d->jpeg, data, (unsigned long)size);
    return decode_body(d, spec, notes);
}

/* What the first bytes say, for files that are no JPEG. */
static const char *kind_of(const uint8_t *data, size_t size)
{
    if (size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        return "a PNG";
    if (size >= 4 && memcmp(data, "GIF8", 4) == 0)
        return "a GIF";
    if (size >= 132 && memcmp(data + 128, "DICM", 4) == 0)
        return "a DICOM file";
    if (size >= 4 && (memcmp(data, "II*\0", 4) == 0 || memcmp(data, "MM\0*", 4) == 0))
        return "a TIFF";
    if (size >= 2 && memcmp(data, "BM", 2) == 0)
        return "a BMP";
    return "something else";
}

/* The decoded image: turned, and resized unless that was done on the way. */
static pulmo_status finish(decoder *d, const pulmo_decode_notes *notes, pulmo_image *out)
{
    pulmo_image whole = {.height_px = (int)d->jpeg.output_height,
                         .width_px = (int)d->jpeg.output_width,
                         .channels = channels_of(&d->jpeg),
                         .pixels = d->pixels};
    if (d->resizes)
        return resizer_end(&d->resize, out);
    d->pixels = NULL;
    pulmo_status status = orient(&whole, notes->orientation);
    if (status == PULMO_OK && d->height > 0)
        status = pulmo_image_resize(&whole, d->height, d->width, out);
    else if (status == PULMO_OK) {
        *out = whole;
        return PULMO_OK;
    }
    pulmo_image_free(&whole);
    return status;
}

static pulmo_status decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                           int height_px, int width_px, pulmo_image *out, pulmo_decode_notes *notes)
{
    const uint8_t *bytes = data;
    memset(notes, 0, sizeof *notes);
    notes->orientation = 1;
    memset(out, 0, sizeof *out);
    if (size_bytes == 0)
        return pulmo_fail(PULMO_DATA, "is empty");
    if (size_bytes < 3 || bytes[0] != 0xFF || bytes[1] != 0xD8 || bytes[2] != 0xFF)
        return pulmo_fail(PULMO_DATA, "is not a JPEG but %s", kind_of(bytes, size_bytes));
    if (height_px > 0 && baseline_decode(bytes, size_bytes, spec, height_px, width_px, out, notes))
        return PULMO_OK;
    decoder *d = calloc(1, sizeof *d);
    if (!d)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a decoder");
    listen(&d->fail);
    d->height = height_px;
    d->width = width_px;
    pulmo_status status = decode_guarded(d, data, size_bytes, spec, notes);
    snprintf(notes->warning, sizeof notes->warning, "%.199s", d->fail.warning);
    if (status == PULMO_OK && d->fail.premature_end)
        status = truncated();
    if (status == PULMO_OK)
        status = finish(d, notes, out);
    jpeg_destroy_decompress(&d->jpeg);
    resizer_free(&d->resize);
    free(d->pixels);
    free(d->row);
    free(d);
    return status;
}

pulmo_status pulmo_jpeg_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                               pulmo_image *out, pulmo_decode_notes *notes)
{
    pulmo_decode_notes own;
    return decode(data, size_bytes, spec, 0, 0, out, notes ? notes : &own);
}

pulmo_status pulmo_jpeg_decode_resized(const void *data, size_t size_bytes,
                                       const pulmo_decode_spec *spec, int height_px, int width_px,
                                       pulmo_image *out, pulmo_decode_notes *notes)
{
    pulmo_decode_notes own;
    return decode(data, size_bytes, spec, height_px, width_px, out, notes ? notes : &own);
}

/* ---- encoding ---- */

typedef struct encoder {
    struct jpeg_compress_struct jpeg;
    failure fail;
    unsigned char *data;
    unsigned long size;
} encoder;

static pulmo_status encode_guarded(encoder *e, const pulmo_image *image, int quality)
{
    e->jpeg.err = &e->fail.manager;
    if (setjmp(e->fail.leave))
        return pulmo_fail(PULMO_DATA, "cannot be encoded: %s", e->fail.text);
    jpeg_create_compress(&e->jpeg);
    jpeg_mem_dest(&e->jpeg, &e->data, &e->size);
    e->jpeg.image_width = (JDIMENSION)image->width_px;
    e->jpeg.image_height = (JDIMENSION)image->height_px;
    e->jpeg.input_components = image->channels;
    e->jpeg.in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&e->jpeg);
    jpeg_set_quality(&e->jpeg, quality, TRUE);
    jpeg_start_compress(&e->jpeg, TRUE);
    size_t stride = (size_t)image->width_px * (size_t)image->channels;
    while (e->jpeg.next_scanline < e->jpeg.image_height) {
        JSAMPROW row = image->pixels + stride * e->jpeg.next_scanline;
        jpeg_write_scanlines(&e->jpeg, &row, 1);
    }
    jpeg_finish_compress(&e->jpeg);
    return PULMO_OK;
}

pulmo_status pulmo_jpeg_write(const char *path, const pulmo_image *image, int quality)
{
    encoder *e = calloc(1, sizeof *e);
    if (!e)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an encoder");
    listen(&e->fail);
    pulmo_status status = encode_guarded(e, image, quality);
    if (status == PULMO_OK)
        status = pulmo_file_write(path, e->data, e->size);
    else
        pulmo_fail_in(status, "%s", path);
    jpeg_destroy_compress(&e->jpeg);
    free(e->data);
    free(e);
    return status;
}
