/* JPEG files by libjpeg-turbo, with Pillow's pixels. libjpeg leaves by longjmp on a fatal error, so
 * that everything to be freed is in `decoder`, never in an automatic variable. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exif.h"
#include "formats.h"
#include "jpeg_trap.h"
#include "sink.h"

#define SIDE_MAX 65500 /* libjpeg's own limit */
/* Each scan of a progressive file walks the whole image, however few bytes it has: with arithmetic
 * coding, none. Encoders make 6 to 14 scans, all of a film's bits one by one some 50. What has more
 * is made to waste time where the image is large. */
#define SCANS_ALWAYS     32
#define SCANS_MAX        500
#define SAMPLES_MAX_MORE ((uint64_t)1 << 29) /* of the scans beyond SCANS_ALWAYS, all together */

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    jpeg_trap trap;
    image_sink sink;
    uint8_t *cmyk_row; /* (output_width, 4), of a file of four components */
} decoder;

/* ---- what the header says ---- */

static pulmo_status check_header(const struct jpeg_decompress_struct *jpeg,
                                 const pulmo_decode_spec *spec, pulmo_decode_notes *notes)
{
    uint64_t pixels = (uint64_t)jpeg->image_width * jpeg->image_height;
    notes->too_large = pixels > spec->pixels_max;
    if (notes->too_large)
        return pulmo_fail(PULMO_DATA, "%u x %u is more than %llu pixels", jpeg->image_width,
                          jpeg->image_height, (unsigned long long)spec->pixels_max);
    if (jpeg->image_width > SIDE_MAX || jpeg->image_height > SIDE_MAX)
        return pulmo_fail(PULMO_DATA, "%u x %u has a side of more than %d pixels",
                          jpeg->image_width, jpeg->image_height, SIDE_MAX);
    const int components = jpeg->num_components;
    if (components != 1 && components != 3 && components != 4)
        return pulmo_fail(PULMO_DATA, "has %d components; must be 1, 3 or 4", components);
    return PULMO_OK;
}

static bool is_icc(jpeg_saved_marker_ptr marker)
{
    if (marker->data_length < 12)
        return false;
    return memcmp(marker->data, "ICC_PROFILE", 12) == 0;
}

static void note_header(const struct jpeg_decompress_struct *jpeg, pulmo_decode_notes *notes)
{
    notes->source_width_px = (int)jpeg->image_width;
    notes->source_height_px = (int)jpeg->image_height;
    notes->source_channels = jpeg->num_components;
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next) {
        if (m->marker == JPEG_APP0 + 1 && notes->orientation == 1)
            notes->orientation = exif_orientation(m->data, m->data_length);
        if (m->marker == JPEG_APP0 + 2 && is_icc(m))
            notes->had_icc = true;
    }
}

/* How many eighths of a side libjpeg's scaled decoding keeps: 8 is all, else 4, 2 or 1. */
static unsigned kept_eighths(const struct jpeg_decompress_struct *jpeg,
                             const pulmo_decode_spec *spec)
{
    unsigned width = jpeg->image_width;
    unsigned height = jpeg->image_height;
    uint64_t shorter = width < height ? width : height;
    if (spec->fast_target_px <= 0)
        return 8;
    const uint64_t target = (uint64_t)spec->fast_target_px;
    for (unsigned eighths = 1; eighths < 8; eighths *= 2) {
        const uint64_t kept = shorter * eighths / 8;
        if (kept >= target)
            return eighths;
    }
    return 8;
}

static void choose_output(struct jpeg_decompress_struct *jpeg, const pulmo_decode_spec *spec)
{
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->do_fancy_upsampling = TRUE;
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK)
        jpeg->out_color_space = JCS_CMYK;
    else if (jpeg->jpeg_color_space != JCS_GRAYSCALE)
        jpeg->out_color_space = JCS_RGB;
    jpeg->scale_num = kept_eighths(jpeg, spec);
    jpeg->scale_denom = 8;
}

/* ---- rows ---- */

/* Pillow's rounding of a * b / 255. */
static int multiply255(int a, int b)
{
    int product = a * b + 128;
    return ((product >> 8) + product) >> 8;
}

/* Adobe's inverted CMYK to RGB, as Pillow's convert("RGB") does. */
static void cmyk_to_rgb(const uint8_t *in, size_t width, uint8_t *out)
{
    for (size_t x = 0; x < width; x++, in += 4, out += 3) {
        int light = in[3]; /* 255 - K, the file holding it inverted */
        for (int k = 0; k < 3; k++) {
            const int ink = 255 - in[k];
            int value = light - multiply255(ink, light);
            if (value < 0)
                value = 0;
            out[k] = (uint8_t)value;
        }
    }
}

static int channels_of(const struct jpeg_decompress_struct *jpeg)
{
    return jpeg->out_color_space == JCS_GRAYSCALE ? 1 : 3;
}

static pulmo_status make_room(decoder *d, const pulmo_decode_spec *spec, int orientation)
{
    const struct jpeg_decompress_struct *jpeg = &d->jpeg;
    const int height = (int)jpeg->output_height;
    const int width = (int)jpeg->output_width;
    if (jpeg->out_color_space == JCS_CMYK) {
        d->cmyk_row = malloc((size_t)width * 4);
        if (!d->cmyk_row)
            return pulmo_fail(PULMO_MEMORY, "out of memory for %d x %d pixels", width, height);
    }
    return sink_begin(&d->sink, spec, height, width, channels_of(jpeg), orientation);
}

/* libjpeg gives one row a call, however many are asked for, unless chroma is upsampled by rows. */
static void read_rows(decoder *d)
{
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *to = sink_row(&d->sink);
        JSAMPROW row = d->cmyk_row ? d->cmyk_row : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (d->cmyk_row)
            cmyk_to_rgb(d->cmyk_row, jpeg->output_width, to);
        sink_took(&d->sink);
    }
}

/* ---- decoding ---- */

static pulmo_status fail_truncated(void)
{
    return pulmo_fail(PULMO_DATA, "is truncated: the file ends before the image does");
}

static int scans_max(const struct jpeg_decompress_struct *jpeg)
{
    const uint64_t pixels = (uint64_t)jpeg->image_width * jpeg->image_height;
    const uint64_t samples = pixels * (uint64_t)jpeg->num_components;
    const uint64_t more = SAMPLES_MAX_MORE / samples;
    if (more > SCANS_MAX - SCANS_ALWAYS)
        return SCANS_MAX;
    return SCANS_ALWAYS + (int)more;
}

/* libjpeg calls this now and then while it walks the scans. */
static void on_progress(j_common_ptr common)
{
    const struct jpeg_decompress_struct *jpeg = (j_decompress_ptr)common;
    jpeg_trap *trap = (jpeg_trap *)common->err;
    const int most = scans_max(jpeg);
    if (jpeg->input_scan_number <= most)
        return;
    snprintf(trap->text, sizeof trap->text, "has more than %d scans", most);
    longjmp(trap->leave, 1);
}

static pulmo_status read_image(decoder *d, const pulmo_decode_spec *spec, pulmo_decode_notes *notes)
{
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_save_markers(jpeg, JPEG_APP0 + 2, 0xFFFF);
    jpeg_read_header(jpeg, TRUE);
    PULMO_TRY(check_header(jpeg, spec, notes));
    note_header(jpeg, notes);
    choose_output(jpeg, spec);
    jpeg_start_decompress(jpeg);
    PULMO_TRY(make_room(d, spec, notes->orientation));
    read_rows(d);
    jpeg_finish_decompress(jpeg);
    return PULMO_OK;
}

/* Everything that may leave by longjmp. */
static pulmo_status decode_trapped(decoder *d, const void *data, size_t size,
                                   const pulmo_decode_spec *spec, pulmo_decode_notes *notes)
{
    d->jpeg.err = &d->trap.manager;
    if (setjmp(d->trap.leave)) {
        if (d->trap.out_of_memory)
            return pulmo_fail(PULMO_MEMORY, "out of memory for a JPEG");
        if (d->trap.premature_end)
            return fail_truncated();
        if (d->trap.warning[0])
            return pulmo_fail(PULMO_DATA, "is damaged: %s", d->trap.warning);
        return pulmo_fail(PULMO_DATA, "cannot be decoded: %s", d->trap.text);
    }
    jpeg_create_decompress(&d->jpeg);
    d->progress.progress_monitor = on_progress;
    d->jpeg.progress = &d->progress;
    jpeg_mem_src(&d->jpeg, data, (unsigned long)size);
    return read_image(d, spec, notes);
}

static void decoder_destroy(decoder *d)
{
    jpeg_destroy_decompress(&d->jpeg);
    sink_free(&d->sink);
    free(d->cmyk_row);
    free(d);
}

pulmo_status jpeg_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                         pulmo_image *out, pulmo_decode_notes *notes)
{
    decoder *d = calloc(1, sizeof *d);
    if (!d)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a decoder");
    jpeg_trap_set(&d->trap);
    pulmo_status status = decode_trapped(d, data, size_bytes, spec, notes);
    if (status == PULMO_OK)
        status = sink_end(&d->sink, out);
    decoder_destroy(d);
    return status;
}

#define TEXT_OF(x)      #x
#define VERSION_TEXT(x) TEXT_OF(x)

const char *pulmo_jpeg_library(void)
{
#ifdef LIBJPEG_TURBO_VERSION
    return "libjpeg-turbo " VERSION_TEXT(LIBJPEG_TURBO_VERSION);
#else
    return "libjpeg " VERSION_TEXT(JPEG_LIB_VERSION);
#endif
}
