/* DICOM files: what is taken, and stored values on their way to the sink. DCMTK reads and
 * decompresses (dicom_set.h); what the values mean is decided here and in dicom_map.c. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dicom_layout.h"
#include "dicom_map.h"
#include "dicom_set.h"
#include "formats.h"
#include "header.h"
#include "sink.h"

/* What a deflated set may become: 100 bytes for each of its own, of which black is most. */
#define INFLATED_MAX      ((uint64_t)1 << 30)
#define INFLATED_ALWAYS   ((uint64_t)1 << 26)
#define INFLATED_PER_BYTE 100
#define TEXT_BYTES        128
#define TABLE_MOST        65536
#define MODALITIES        "CR, DX"
#define TAG_MODALITY      0x00080060u
#define TAG_PATIENT_ID    0x00100020u
/* of the group 0028, which describes the image */
#define IMAGE(element) (0x00280000u | (element))

typedef struct decoder {
    dicom_layout layout;
    dicom_set *set;
    const dicom_item *root;
    int rows, columns;
    int unit_bytes; /* of a stored value, when it is decoded */
    int shift;      /* of its lowest bit */
    dicom_mapping mapping;
    uint16_t *modality_values, *voi_values; /* of tables of bytes, unpacked; else NULL */
    uint8_t *grey;                          /* (1 << bits stored) */
    image_sink sink;
} decoder;

/* ---- elements ---- */

static double number_or(const decoder *d, uint32_t tag, double otherwise)
{
    double number = otherwise;
    if (!dicom_set_number(d->root, tag, &number))
        return otherwise;
    return number;
}

/* Elements that describe the image are of 16 bits, whatever representation a file gives them. */
static pulmo_status take_whole(double number, const char *name, int *out)
{
    const bool fits = number >= 0 && number <= UINT16_MAX; /* false for a NaN */
    if (!fits)
        return pulmo_fail(PULMO_DATA, "is damaged: its %s is %g; must be 0 to %d", name, number,
                          UINT16_MAX);
    *out = (int)number;
    return PULMO_OK;
}

/* A number that must be there; `name` is the element's. */
static pulmo_status read_number(const decoder *d, uint32_t tag, const char *name, int *out)
{
    double number = 0;
    if (!dicom_set_number(d->root, tag, &number))
        return pulmo_fail(PULMO_DATA, "has no %s", name);
    return take_whole(number, name, out);
}

static bool read_text(const decoder *d, uint32_t tag, char out[TEXT_BYTES])
{
    if (!dicom_set_text(d->set, d->root, tag, out, TEXT_BYTES))
        return false;
    header_clean(out, TEXT_BYTES);
    return *out != '\0';
}

/* ---- how the pixels are coded ---- */

typedef enum coding { NOT_READ, NATIVE, AS_JPEG, AS_RLE } coding;

/* The transfer syntaxes of PS3.6, table A-1. */
static const struct {
    const char *uid, *name;
    coding coding;
} transfers[] = {
    {"1.2.840.10008.1.2", "implicit little endian", NATIVE},
    {"1.2.840.10008.1.2.1", "explicit little endian", NATIVE},
    {"1.2.840.10008.1.2.1.99", "deflated", NATIVE},
    {"1.2.840.10008.1.2.2", "explicit big endian", NATIVE},
    {"1.2.840.10008.1.2.5", "RLE", AS_RLE},
    {"1.2.840.10008.1.2.4.50", "JPEG baseline", AS_JPEG},
    {"1.2.840.10008.1.2.4.51", "JPEG extended", AS_JPEG},
    {"1.2.840.10008.1.2.4.57", "JPEG lossless", AS_JPEG},
    {"1.2.840.10008.1.2.4.70", "JPEG lossless", AS_JPEG},
    {"1.2.840.10008.1.2.4.80", "JPEG-LS", AS_JPEG},
    {"1.2.840.10008.1.2.4.81", "JPEG-LS", AS_JPEG},
    {"1.2.840.10008.1.2.4.90", "JPEG 2000", NOT_READ},
    {"1.2.840.10008.1.2.4.91", "JPEG 2000", NOT_READ},
    {"1.2.840.10008.1.2.4.92", "JPEG 2000", NOT_READ},
    {"1.2.840.10008.1.2.4.93", "JPEG 2000", NOT_READ},
    {"1.2.840.10008.1.2.4.110", "JPEG XL", NOT_READ},
    {"1.2.840.10008.1.2.4.111", "JPEG XL", NOT_READ},
    {"1.2.840.10008.1.2.4.112", "JPEG XL", NOT_READ},
    {"1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000", NOT_READ},
    {"1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000", NOT_READ},
    {"1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", NOT_READ},
};
#define TRANSFERS (sizeof transfers / sizeof *transfers)

static pulmo_status find_coding(const char *uid, coding *out)
{
    for (size_t i = 0; i < TRANSFERS; i++) {
        if (strcmp(transfers[i].uid, uid) != 0)
            continue;
        *out = transfers[i].coding;
        if (*out != NOT_READ)
            return PULMO_OK;
        return pulmo_fail(PULMO_DATA,
                          "is a DICOM file in %s, which pulmo does not read; decompress it, as "
                          "with gdcmconv --raw",
                          transfers[i].name);
    }
    return pulmo_fail(PULMO_DATA,
                      "is a DICOM file of transfer syntax %s, which pulmo does not read; "
                      "decompress it, as with gdcmconv --raw",
                      uid);
}

/* What a codec would allocate by, before it does. */
static pulmo_status check_coding(const decoder *d, coding how)
{
    const dicom_layout *layout = &d->layout;
    if (how == NATIVE && layout->is_encapsulated)
        return pulmo_fail(PULMO_DATA, "is damaged: its pixels are compressed, and its transfer "
                                      "syntax says that they are not");
    if (how == NATIVE)
        return PULMO_OK;
    if (!layout->is_encapsulated || layout->fragments == 0)
        return pulmo_fail(PULMO_DATA, "is damaged: its pixels are not compressed, and its transfer "
                                      "syntax says that they are");
    if (how == AS_JPEG)
        return dicom_layout_check_jpeg(layout, d->rows, d->columns);
    return PULMO_OK;
}

/* ---- what is taken ---- */

/* Whether a word is in a list of words, as in "[CR, DX]"; "any" takes all. */
static bool is_listed(const char *list, const char *word)
{
    static const char between[] = " ,[]\"'";
    for (const char *at = list + strspn(list, between); *at;) {
        const size_t length = strcspn(at, between);
        if (length == strlen(word) && strncasecmp(at, word, length) == 0)
            return true;
        if (length == 3 && strncasecmp(at, "any", 3) == 0)
            return true;
        at += length;
        at += strspn(at, between);
    }
    return false;
}

static pulmo_status check_modality(const decoder *d, const pulmo_decode_spec *spec)
{
    char modality[TEXT_BYTES];
    const char *taken = spec->modalities && *spec->modalities ? spec->modalities : MODALITIES;
    if (!read_text(d, TAG_MODALITY, modality))
        strcpy(modality, "(none)");
    if (is_listed(taken, modality))
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "is of modality %.16s, and %s are taken (pack.modalities names more, or any)",
                      modality, taken);
}

static pulmo_status check_kind(decoder *d, const pulmo_decode_spec *spec)
{
    char photometric[TEXT_BYTES];
    PULMO_TRY(check_modality(d, spec));
    if (!d->layout.has_pixels)
        return pulmo_fail(PULMO_DATA, "is a DICOM file without pixels");
    if (!read_text(d, IMAGE(0x0004), photometric))
        return pulmo_fail(PULMO_DATA, "has no PhotometricInterpretation");
    const bool is_dark_first = strcmp(photometric, "MONOCHROME2") == 0;
    d->mapping.inverted = strcmp(photometric, "MONOCHROME1") == 0;
    const double samples = number_or(d, IMAGE(0x0002), 1);
    if (samples != 1 || !(is_dark_first || d->mapping.inverted))
        return pulmo_fail(PULMO_DATA, "is in colour (%.32s, %g samples); an X-ray is MONOCHROME",
                          photometric, samples);
    const double frames = number_or(d, IMAGE(0x0008), 1);
    if (frames > 1)
        return pulmo_fail(PULMO_DATA, "has %g frames; must be 1", frames);
    return PULMO_OK;
}

static pulmo_status check_size(decoder *d, const pulmo_decode_spec *spec, pulmo_decode_notes *notes)
{
    PULMO_TRY(read_number(d, IMAGE(0x0010), "Rows", &d->rows));
    PULMO_TRY(read_number(d, IMAGE(0x0011), "Columns", &d->columns));
    if (d->rows <= 0 || d->columns <= 0)
        return pulmo_fail(PULMO_DATA, "is damaged: has %d rows and %d columns", d->rows,
                          d->columns);
    notes->source_height_px = d->rows;
    notes->source_width_px = d->columns;
    notes->source_channels = 1;
    const uint64_t pixels = (uint64_t)d->rows * (uint64_t)d->columns;
    notes->too_large = pixels > spec->pixels_max;
    if (!notes->too_large)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%d x %d is more than %llu pixels", d->columns, d->rows,
                      (unsigned long long)spec->pixels_max);
}

static pulmo_status check_bits(decoder *d)
{
    int allocated = 0;
    int stored = 0;
    PULMO_TRY(read_number(d, IMAGE(0x0100), "BitsAllocated", &allocated));
    PULMO_TRY(read_number(d, IMAGE(0x0101), "BitsStored", &stored));
    int high = 0;
    PULMO_TRY(take_whole(number_or(d, IMAGE(0x0102), fmax(stored - 1, 0)), "HighBit", &high));
    if ((allocated != 8 && allocated != 16) || stored < 8 || stored > allocated)
        return pulmo_fail(PULMO_DATA,
                          "has %d bits of %d; must be 8 to 16 bits of 8 or 16 (BitsStored, "
                          "BitsAllocated)",
                          stored, allocated);
    if (high < stored - 1 || high >= allocated)
        return pulmo_fail(PULMO_DATA, "is damaged: its HighBit is %d for %d bits of %d", high,
                          stored, allocated);
    d->mapping.bits = stored;
    d->mapping.is_signed = number_or(d, IMAGE(0x0103), 0) == 1;
    d->shift = high + 1 - stored;
    d->unit_bytes = allocated / 8;
    return PULMO_OK;
}

/* ---- the mapping ---- */

/* Two values of 8 bits in a word (PS3.3, C.11.1.1). */
static pulmo_status unpack_bytes(const uint16_t *words, int count, uint16_t **out)
{
    uint16_t *values = malloc((size_t)count * sizeof *values);
    *out = values;
    if (!values)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a lookup table");
    for (int i = 0; i < count; i++)
        values[i] = words[i / 2] >> 8 * (i % 2) & 0xFF;
    return PULMO_OK;
}

/* The table in the first item of a sequence, if it is there; *unpacked is owned by the caller. */
static pulmo_status read_lut(const decoder *d, uint32_t sequence, dicom_lut *out,
                             uint16_t **unpacked)
{
    const dicom_item *item = dicom_set_first(d->root, sequence);
    const uint16_t *descriptor = NULL;
    const uint16_t *words = NULL;
    bool has_sign = false;
    bool ignored = false;
    if (!item)
        return PULMO_OK;
    const size_t described = dicom_set_words(item, IMAGE(0x3002), &descriptor, &has_sign);
    const size_t there = dicom_set_words(item, IMAGE(0x3006), &words, &ignored);
    if (described < 3)
        return pulmo_fail(PULMO_DATA, "is damaged: its lookup table has no LUTDescriptor");
    const bool is_implicit = strcmp(d->layout.transfer, transfers[0].uid) == 0;
    has_sign = has_sign || (is_implicit && d->mapping.is_signed);
    const int count = descriptor[0] == 0 ? TABLE_MOST : descriptor[0];
    const int first = has_sign ? (int16_t)descriptor[1] : descriptor[1];
    *out = (dicom_lut){.count = count, .first = first, .bits = descriptor[2], .value = words};
    if (out->bits < 8 || out->bits > 16)
        return pulmo_fail(PULMO_DATA, "has a lookup table of %d bits; must be 8 to 16", out->bits);
    if (there >= (size_t)count)
        return PULMO_OK;
    if (out->bits > 8 || 2 * there < (size_t)count)
        return pulmo_fail(PULMO_DATA, "is damaged: its lookup table has %zu values and says %d",
                          there, count);
    PULMO_TRY(unpack_bytes(words, count, unpacked));
    out->value = *unpacked;
    return PULMO_OK;
}

static pulmo_status read_window(const decoder *d, dicom_window *out)
{
    char function[TEXT_BYTES];
    const bool has_center = dicom_set_number(d->root, IMAGE(0x1050), &out->center);
    const bool has_width = dicom_set_number(d->root, IMAGE(0x1051), &out->width);
    out->there = has_center && has_width;
    out->shape = DICOM_LINEAR;
    if (!out->there || !read_text(d, IMAGE(0x1056), function) || strcmp(function, "LINEAR") == 0)
        return PULMO_OK;
    out->shape = DICOM_LINEAR_EXACT;
    if (strcmp(function, "LINEAR_EXACT") == 0)
        return PULMO_OK;
    out->shape = DICOM_SIGMOID;
    if (strcmp(function, "SIGMOID") == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "has VOILUTFunction %.32s; must be LINEAR, LINEAR_EXACT or SIGMOID "
                      "(pack.window gives a window)",
                      function);
}

/* The given window, or else the file's VOI tables, the first of several, or its first window. */
static pulmo_status read_voi(decoder *d, const pulmo_decode_spec *spec)
{
    dicom_mapping *m = &d->mapping;
    PULMO_TRY(dicom_window_read(spec->window ? spec->window : "", &m->window));
    if (m->window.there)
        return PULMO_OK;
    PULMO_TRY(read_lut(d, IMAGE(0x3010), &m->voi, &d->voi_values));
    if (m->voi.count > 0)
        return PULMO_OK;
    return read_window(d, &m->window);
}

static pulmo_status read_mapping(decoder *d, const pulmo_decode_spec *spec)
{
    char shape[TEXT_BYTES];
    dicom_mapping *m = &d->mapping;
    m->intercept = number_or(d, IMAGE(0x1052), 0);
    m->slope = number_or(d, IMAGE(0x1053), 1);
    PULMO_TRY(read_lut(d, IMAGE(0x3000), &m->modality, &d->modality_values));
    PULMO_TRY(read_voi(d, spec));
    if (read_text(d, 0x20500020u, shape) && strcmp(shape, "INVERSE") == 0)
        m->inverted = true; /* once, if it is MONOCHROME1, too */
    return dicom_map_check(m);
}

/* ---- header ---- */

/* `notes->header`: a value for each element that is asked for, each ended by NUL. */
static void note_header(const decoder *d, const pulmo_decode_spec *spec, pulmo_decode_notes *notes)
{
    char *to = notes->header;
    notes->has_header = true;
    dicom_set_text(d->set, d->root, TAG_PATIENT_ID, notes->patient, sizeof notes->patient);
    header_clean(notes->patient, sizeof notes->patient);
    for (int i = 0; i < spec->headers && i < PULMO_HEADERS_MAX; i++) {
        char *value = to;
        const uint32_t tag = header_tag(spec->header[i]);
        dicom_set_text(d->set, d->root, tag, value, PULMO_HEADER_VALUE_BYTES);
        header_clean(value, PULMO_HEADER_VALUE_BYTES);
        to += strlen(value) + 1;
    }
}

/* ---- pixels ---- */

static void map_bytes(const decoder *d, const uint8_t *from, uint8_t *to)
{
    const size_t columns = (size_t)d->columns;
    for (size_t x = 0; x < columns; x++)
        to[x] = d->grey[from[x]];
}

static void map_words(const decoder *d, const uint16_t *from, uint8_t *to)
{
    const unsigned mask = (1u << d->mapping.bits) - 1;
    const size_t columns = (size_t)d->columns;
    for (size_t x = 0; x < columns; x++)
        to[x] = d->grey[from[x] >> d->shift & mask];
}

static pulmo_status map_pixels(decoder *d)
{
    const void *pixels = NULL;
    const size_t values = (size_t)d->rows * (size_t)d->columns;
    const size_t wanted = values * (size_t)d->unit_bytes;
    const size_t there = dicom_set_pixels(d->set, d->unit_bytes, &pixels);
    if (there < wanted)
        return pulmo_fail(PULMO_DATA,
                          "is truncated: its pixels are %zu bytes, and %d x %d need %zu", there,
                          d->columns, d->rows, wanted);
    const uint8_t *bytes = pixels;
    const uint16_t *words = pixels;
    for (int y = 0; y < d->rows; y++) {
        const size_t first = (size_t)y * (size_t)d->columns;
        if (d->unit_bytes == 1)
            map_bytes(d, bytes + first, sink_row(&d->sink));
        else
            map_words(d, words + first, sink_row(&d->sink));
        sink_took(&d->sink);
    }
    return PULMO_OK;
}

static pulmo_status decompress(decoder *d)
{
    char why[DICOM_WHY_BYTES] = "";
    if (!dicom_set_decode(d->set, why))
        return pulmo_fail(PULMO_DATA, "cannot be decoded: %s", why);
    return check_bits(d); /* a codec may have changed how many are allocated */
}

/* ---- all of it ---- */

static pulmo_status open_set(decoder *d)
{
    char why[DICOM_WHY_BYTES] = "";
    const dicom_layout *layout = &d->layout;
    if (!dicom_set_open(layout->data, layout->bytes, layout->transfer, &d->set, why))
        return pulmo_fail(PULMO_DATA, "cannot be read: %s", why);
    d->root = dicom_set_root(d->set);
    return PULMO_OK;
}

static pulmo_status check_all(decoder *d, const pulmo_decode_spec *spec, pulmo_decode_notes *notes)
{
    coding how = NATIVE;
    PULMO_TRY(check_kind(d, spec));
    PULMO_TRY(find_coding(d->layout.transfer, &how));
    PULMO_TRY(check_size(d, spec, notes));
    PULMO_TRY(check_bits(d));
    PULMO_TRY(check_coding(d, how));
    PULMO_TRY(read_mapping(d, spec));
    note_header(d, spec, notes);
    return how == NATIVE ? PULMO_OK : decompress(d);
}

static pulmo_status decode(decoder *d, const void *data, size_t size, const pulmo_decode_spec *spec,
                           pulmo_decode_notes *notes)
{
    uint64_t inflated = INFLATED_ALWAYS + (uint64_t)size * INFLATED_PER_BYTE;
    if (inflated > INFLATED_MAX)
        inflated = INFLATED_MAX;
    PULMO_TRY(dicom_layout_read(data, size, inflated, &d->layout));
    PULMO_TRY(open_set(d));
    PULMO_TRY(check_all(d, spec, notes));
    d->grey = malloc((size_t)1 << d->mapping.bits);
    if (!d->grey)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a table of grey");
    dicom_map_table(&d->mapping, d->grey);
    PULMO_TRY(sink_begin(&d->sink, spec, d->rows, d->columns, 1, 1));
    return map_pixels(d);
}

pulmo_status dicom_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                          pulmo_image *out, pulmo_decode_notes *notes)
{
    decoder d = {0};
    errno = 0;
    pulmo_status status = decode(&d, data, size_bytes, spec, notes);
    /* DCMTK calls a set damaged that it had no memory for, and an element absent. */
    if (errno == ENOMEM)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for a DICOM set");
    if (status == PULMO_OK)
        status = sink_end(&d.sink, out);
    sink_free(&d.sink);
    dicom_set_close(d.set);
    dicom_layout_free(&d.layout);
    free(d.modality_values);
    free(d.voi_values);
    free(d.grey);
    return status;
}

const char *pulmo_dicom_library(void)
{
    return dicom_set_library();
}
