/* PNG files by libpng: every colour type and depth, to 8 bits over black (png_rows.h has the rule).
 *
 * libpng inflates, checks and unfilters. It is given no ancillary chunk but tRNS, so that gamma,
 * profiles and texts cost nothing and change nothing; what pulmo wants of them it looks up itself.
 * libpng leaves by longjmp on an error, so that everything to be freed is in `decoder`, never in an
 * automatic variable. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "exif.h"
#include "formats.h"
#include "png_rows.h"
#include "sink.h"

#define SIDE_MAX        1000000u /* libpng's own advice */
#define CHUNK_BYTES_MAX ((png_alloc_size_t)64 << 20)
#define CHUNKS_KEPT_MAX 16 /* of kinds that libpng would store; it stores none */
#define READ_BYTES      65536
#define SIGNATURE_BYTES 8
#define CHUNK_BYTES     12    /* of a chunk besides its body: length, kind, checksum */
#define GAMMA_SRGB      45455 /* in gAMA: what sRGB's curve comes to */

typedef struct png_trap {
    jmp_buf leave;
    char text[160];    /* what ended it */
    char warning[160]; /* the last warning before it, or "" */
    bool premature_end;
    bool out_of_memory;
} png_trap;

typedef struct decoder {
    png_structp png;
    png_infop info;
    png_trap trap;
    const uint8_t *data; /* the file */
    size_t size, at;
    int height, width;
    png_form form;
    image_sink sink;
    size_t row_bytes; /* of a row as libpng gives it */
    uint8_t *rows;    /* such rows: one, or all of an interlaced image; NULL where none is needed */
} decoder;

/* ---- what libpng calls ---- */

static void on_error(png_structp png, png_const_charp message)
{
    png_trap *trap = png_get_error_ptr(png);
    snprintf(trap->text, sizeof trap->text, "%s", message);
    longjmp(trap->leave, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    png_trap *trap = png_get_error_ptr(png);
    snprintf(trap->warning, sizeof trap->warning, "%s", message);
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t bytes)
{
    png_trap *trap = png_get_mem_ptr(png);
    void *out = malloc(bytes);
    trap->out_of_memory = trap->out_of_memory || !out;
    return out;
}

static void on_free(png_structp png, png_voidp memory)
{
    (void)png;
    free(memory);
}

static void on_read(png_structp png, png_bytep to, size_t bytes)
{
    decoder *d = png_get_io_ptr(png);
    if (bytes > d->size - d->at) {
        d->trap.premature_end = true;
        png_error(png, "the file ends");
    }
    memcpy(to, d->data + d->at, bytes);
    d->at += bytes;
}

/* ---- chunks beside the image ---- */

/* What a chunk says of how the image is to be shown. */
static void note_chunk(const uint8_t *kind, size_t length, pulmo_decode_notes *notes)
{
    const uint8_t *body = kind + 4;
    if (memcmp(kind, "iCCP", 4) == 0)
        notes->had_icc = true;
    if (memcmp(kind, "gAMA", 4) == 0 && length == 4)
        notes->had_gamma = png_get_uint_32(body) != GAMMA_SRGB;
    if (memcmp(kind, "eXIf", 4) == 0 && notes->orientation == 1)
        notes->orientation = exif_tiff_orientation(body, length);
}

static void note_chunks(const decoder *d, pulmo_decode_notes *notes)
{
    size_t at = SIGNATURE_BYTES;
    while (d->size - at >= CHUNK_BYTES) {
        const size_t length = png_get_uint_32(d->data + at);
        if (length > d->size - at - CHUNK_BYTES)
            return;
        note_chunk(d->data + at + 4, length, notes);
        at += CHUNK_BYTES + length;
    }
}

/* ---- what the header says ---- */

static pulmo_status check_size(decoder *d, const pulmo_decode_spec *spec, pulmo_decode_notes *notes)
{
    const png_uint_32 width = png_get_image_width(d->png, d->info);
    const png_uint_32 height = png_get_image_height(d->png, d->info);
    const uint64_t pixels = (uint64_t)width * height;
    notes->too_large = pixels > spec->pixels_max;
    if (notes->too_large)
        return pulmo_fail(PULMO_DATA, "%u x %u is more than %llu pixels", width, height,
                          (unsigned long long)spec->pixels_max);
    if (width > SIDE_MAX || height > SIDE_MAX)
        return pulmo_fail(PULMO_DATA, "%u x %u has a side of more than %u pixels", width, height,
                          SIDE_MAX);
    d->width = (int)width;
    d->height = (int)height;
    return PULMO_OK;
}

static pulmo_status describe_palette(decoder *d)
{
    png_colorp colours = NULL;
    png_bytep alphas = NULL;
    int count = 0;
    int alpha_count = 0;
    if (!png_get_PLTE(d->png, d->info, &colours, &count))
        return pulmo_fail(PULMO_DATA, "is damaged: it has no palette");
    png_get_tRNS(d->png, d->info, &alphas, &alpha_count, NULL);
    for (int i = 0; i < count; i++) {
        const uint8_t rgb[3] = {colours[i].red, colours[i].green, colours[i].blue};
        const int alpha = i < alpha_count ? alphas[i] : 255;
        png_form_set_colour(&d->form, i, rgb, alpha);
    }
    png_form_end_palette(&d->form);
    return PULMO_OK;
}

/* The transparent colour of an image without alpha. */
static void describe_key(decoder *d)
{
    png_color_16p colour = NULL;
    if (d->form.has_alpha || !png_get_tRNS(d->png, d->info, NULL, NULL, &colour) || !colour)
        return;
    d->form.has_key = true;
    d->form.key[0] = colour->gray;
    if (d->form.colours == 1)
        return;
    d->form.key[0] = colour->red;
    d->form.key[1] = colour->green;
    d->form.key[2] = colour->blue;
}

static pulmo_status describe(decoder *d, pulmo_decode_notes *notes)
{
    png_form *form = &d->form;
    const unsigned type = png_get_color_type(d->png, d->info);
    form->bits = png_get_bit_depth(d->png, d->info);
    form->colours = type & PNG_COLOR_MASK_COLOR ? 3 : 1;
    form->has_alpha = type & PNG_COLOR_MASK_ALPHA;
    form->channels = form->colours;
    notes->source_width_px = d->width;
    notes->source_height_px = d->height;
    notes->source_channels = png_get_channels(d->png, d->info);
    if (type == PNG_COLOR_TYPE_PALETTE)
        return describe_palette(d);
    describe_key(d);
    if (form->bits < 8)
        png_form_set_grey(form, form->has_key ? form->key[0] : -1);
    return PULMO_OK;
}

/* ---- rows ---- */

static pulmo_status make_room(decoder *d, const pulmo_decode_spec *spec, int orientation,
                              bool interlaced)
{
    size_t rows = 1;
    if (interlaced)
        rows = (size_t)d->height;
    else if (png_form_is_plain(&d->form))
        rows = 0;
    d->row_bytes = png_get_rowbytes(d->png, d->info);
    if (rows > 0) {
        d->rows = calloc(rows, d->row_bytes);
        if (!d->rows)
            return pulmo_fail(PULMO_MEMORY, "out of memory for %d x %d pixels", d->width,
                              d->height);
    }
    return sink_begin(&d->sink, spec, d->height, d->width, d->form.channels, orientation);
}

static pulmo_status take_row(decoder *d, const uint8_t *row)
{
    uint8_t *to = sink_row(&d->sink);
    if (!png_row_convert(&d->form, row, (size_t)d->width, to))
        return pulmo_fail(PULMO_DATA, "is damaged: a pixel's colour is not in its palette of %d",
                          d->form.table_levels);
    sink_took(&d->sink);
    return PULMO_OK;
}

/* Adam7: a row is whole after the last of seven passes. */
static pulmo_status read_interlaced(decoder *d, int passes)
{
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < d->height; y++)
            png_read_row(d->png, d->rows + (size_t)y * d->row_bytes, NULL);
    for (int y = 0; y < d->height; y++)
        PULMO_TRY(take_row(d, d->rows + (size_t)y * d->row_bytes));
    return PULMO_OK;
}

static pulmo_status read_rows(decoder *d)
{
    for (int y = 0; y < d->height; y++) {
        if (!d->rows) {
            png_read_row(d->png, sink_row(&d->sink), NULL);
            sink_took(&d->sink);
            continue;
        }
        png_read_row(d->png, d->rows, NULL);
        PULMO_TRY(take_row(d, d->rows));
    }
    return PULMO_OK;
}

/* ---- decoding ---- */

/* Checksums of all chunks are checked, of those that are skipped too. */
static void set_limits(png_structp png)
{
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* check_size has the say */
    png_set_chunk_cache_max(png, CHUNKS_KEPT_MAX);
    png_set_chunk_malloc_max(png, CHUNK_BYTES_MAX);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_compression_buffer_size(png, READ_BYTES);
}

static pulmo_status read_image(decoder *d, const pulmo_decode_spec *spec, pulmo_decode_notes *notes)
{
    set_limits(d->png);
    png_set_read_fn(d->png, d, on_read);
    png_read_info(d->png, d->info);
    PULMO_TRY(check_size(d, spec, notes));
    PULMO_TRY(describe(d, notes));
    note_chunks(d, notes);
    png_set_packing(d->png);
    const int passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    /* What libpng would forgive from here on is wrong with the pixels. */
    png_set_benign_errors(d->png, 0);
    PULMO_TRY(make_room(d, spec, notes->orientation, passes > 1));
    if (passes > 1)
        PULMO_TRY(read_interlaced(d, passes));
    else
        PULMO_TRY(read_rows(d));
    png_read_end(d->png, NULL);
    return PULMO_OK;
}

static pulmo_status fail_trapped(const png_trap *trap)
{
    if (trap->out_of_memory)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a PNG's rows");
    if (trap->premature_end)
        return pulmo_fail(PULMO_DATA, "is truncated: the file ends before the image does");
    if (trap->warning[0])
        return pulmo_fail(PULMO_DATA, "is damaged: %s (%s)", trap->text, trap->warning);
    return pulmo_fail(PULMO_DATA, "is damaged: %s", trap->text);
}

/* Everything that may leave by longjmp. */
static pulmo_status decode_trapped(decoder *d, const pulmo_decode_spec *spec,
                                   pulmo_decode_notes *notes)
{
    if (setjmp(d->trap.leave))
        return fail_trapped(&d->trap);
    d->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &d->trap, on_error, on_warning,
                                      &d->trap, on_malloc, on_free);
    if (d->png)
        d->info = png_create_info_struct(d->png);
    if (!d->info)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a decoder");
    return read_image(d, spec, notes);
}

static void decoder_destroy(decoder *d)
{
    png_destroy_read_struct(&d->png, &d->info, NULL);
    sink_free(&d->sink);
    free(d->rows);
    free(d);
}

pulmo_status png_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                        pulmo_image *out, pulmo_decode_notes *notes)
{
    decoder *d = calloc(1, sizeof *d);
    if (!d)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a decoder");
    d->data = data;
    d->size = size_bytes;
    pulmo_status status = decode_trapped(d, spec, notes);
    if (status == PULMO_OK)
        status = sink_end(&d->sink, out);
    decoder_destroy(d);
    return status;
}

const char *pulmo_png_library(void)
{
    return "libpng " PNG_LIBPNG_VER_STRING;
}
