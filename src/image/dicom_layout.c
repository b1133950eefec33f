/* The bytes of a DICOM file (PS3.5, chapter 7; PS3.10, chapter 7):
 *
 *   128 bytes | "DICM" | elements of group 0002, explicit little endian | the data set
 *   element    tag, [VR,] length, value       value of a sequence: items
 *   item       (FFFE,E000), length, elements  both may be of undefined length, and end by a tag
 *   Pixel Data of undefined length: an offset table and fragments, each an item of bytes */
#include "dicom_layout.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define PREAMBLE_BYTES 132
#define UNDEFINED      0xFFFFFFFFu
#define ITEM           0xFFFEE000u
#define ITEM_END       0xFFFEE00Du
#define SEQUENCE_END   0xFFFEE0DDu
#define PIXEL_DATA     0x7FE00010u
#define TRANSFER_UID   0x00020010u
#define META_GROUP     2
#define DEEPEST        16
#define ELEMENTS_MAX   100000
#define DEFLATED_UID   "1.2.840.10008.1.2.1.99"
#define BIG_ENDIAN_UID "1.2.840.10008.1.2.2"
#define IMPLICIT_UID   "1.2.840.10008.1.2"

typedef struct cursor {
    const uint8_t *data;
    size_t at;
    bool explicit_vr, big_endian;
    int depth, elements;
    dicom_layout *found;
} cursor;

typedef struct element {
    uint32_t tag, length;
    char vr[3]; /* "" where it is implicit */
} element;

/* ---- numbers ---- */

static uint32_t read16(const cursor *c, size_t at)
{
    const uint8_t *p = c->data + at;
    if (c->big_endian)
        return (uint32_t)p[0] << 8 | p[1];
    return (uint32_t)p[1] << 8 | p[0];
}

static uint32_t read32(const cursor *c, size_t at)
{
    const uint32_t first = read16(c, at);
    const uint32_t second = read16(c, at + 2);
    if (c->big_endian)
        return first << 16 | second;
    return second << 16 | first;
}

static uint32_t read_tag(const cursor *c)
{
    return read16(c, c->at) << 16 | read16(c, c->at + 2);
}

/* ---- elements ---- */

static bool is_among(const char *vr, const char *list)
{
    for (const char *p = list; *p; p += 2)
        if (memcmp(p, vr, 2) == 0)
            return true;
    return false;
}

static pulmo_status fail_truncated(uint32_t tag, uint32_t length, size_t left)
{
    return pulmo_fail(PULMO_DATA,
                      "is truncated: element (%04X,%04X) has %u bytes, of which %zu are there",
                      tag >> 16, tag & 0xFFFF, length, left);
}

static pulmo_status fail_odd(uint32_t tag, const char *what)
{
    return pulmo_fail(PULMO_DATA, "is damaged: element (%04X,%04X) %s", tag >> 16, tag & 0xFFFF,
                      what);
}

/* The VR and the length behind it, of 2 or 4 bytes (PS3.5, 7.1.2). */
static pulmo_status read_explicit(cursor *c, size_t end, element *e)
{
    static const char long_form[] = "OBODOFOLOVOWSQSVUCUNURUTUV";
    static const char short_form[] = "AEASATCSDADSDTFLFDISLOLTPNSHSLSSSTTMUIULUS";
    memcpy(e->vr, c->data + c->at + 4, 2);
    const bool is_long = is_among(e->vr, long_form);
    if (!is_long && !is_among(e->vr, short_form))
        return fail_odd(e->tag, "has a value representation that DICOM does not know");
    const size_t head = is_long ? 12 : 8;
    if (end - c->at < head)
        return fail_truncated(e->tag, 0, 0);
    e->length = is_long ? read32(c, c->at + 8) : read16(c, c->at + 6);
    c->at += head;
    return PULMO_OK;
}

/* Reads what stands before a value. */
static pulmo_status read_head(cursor *c, size_t end, element *e)
{
    memset(e, 0, sizeof *e);
    if (end - c->at < 8)
        return pulmo_fail(PULMO_DATA, "is truncated: it ends within an element");
    e->tag = read_tag(c);
    if (++c->elements > ELEMENTS_MAX)
        return pulmo_fail(PULMO_DATA, "has more than %d elements", ELEMENTS_MAX);
    const bool is_delimiter = e->tag >> 16 == ITEM >> 16;
    if (c->explicit_vr && !is_delimiter)
        return read_explicit(c, end, e);
    e->length = read32(c, c->at + 4);
    c->at += 8;
    return PULMO_OK;
}

static pulmo_status check_length(const cursor *c, size_t end, const element *e)
{
    if (e->length <= end - c->at)
        return PULMO_OK;
    return fail_truncated(e->tag, e->length, end - c->at);
}

/* ---- what elements hold ---- */

static pulmo_status walk_elements(cursor *c, size_t end, bool ends_by_tag);

/* The items of a sequence up to `end`, or to the tag that ends it. */
static pulmo_status walk_items(cursor *c, size_t end, bool ends_by_tag)
{
    while (c->at < end) {
        element item;
        PULMO_TRY(read_head(c, end, &item));
        if (item.tag == SEQUENCE_END && ends_by_tag)
            return PULMO_OK;
        if (item.tag != ITEM)
            return fail_odd(item.tag, "stands where an item of a sequence must");
        const bool open = item.length == UNDEFINED;
        if (!open)
            PULMO_TRY(check_length(c, end, &item));
        PULMO_TRY(walk_elements(c, open ? end : c->at + item.length, open));
    }
    if (!ends_by_tag)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "is truncated: it ends within a sequence");
}

static pulmo_status walk_sequence(cursor *c, size_t end, const element *e)
{
    const bool open = e->length == UNDEFINED;
    const bool was_explicit = c->explicit_vr;
    if (c->depth == DEEPEST)
        return pulmo_fail(PULMO_DATA, "has more than %d sequences within one another", DEEPEST);
    if (strcmp(e->vr, "UN") == 0)
        c->explicit_vr = false; /* PS3.5, 6.2.2, note 2 */
    c->depth++;
    pulmo_status status = walk_items(c, open ? end : c->at + e->length, open);
    c->depth--;
    c->explicit_vr = was_explicit;
    return status;
}

static void note_fragment(const cursor *c, size_t number, uint32_t bytes)
{
    dicom_layout *found = c->found;
    if (number == 0)
        return; /* the offset table */
    if (number == 1) {
        found->frame = c->data + c->at;
        found->frame_bytes = bytes;
    }
    found->fragments = number;
    found->pixel_bytes += bytes;
}

static pulmo_status walk_fragments(cursor *c, size_t end, bool is_pixels)
{
    for (size_t number = 0; c->at < end; number++) {
        element item;
        PULMO_TRY(read_head(c, end, &item));
        if (item.tag == SEQUENCE_END)
            return PULMO_OK;
        if (item.tag != ITEM || item.length == UNDEFINED)
            return fail_odd(item.tag, "stands where a fragment of pixels must");
        PULMO_TRY(check_length(c, end, &item));
        if (is_pixels)
            note_fragment(c, number, item.length);
        c->at += item.length;
    }
    return pulmo_fail(PULMO_DATA, "is truncated: it ends within its pixels");
}

static bool begins_with_item(const cursor *c, const element *e)
{
    return e->length >= 8 && e->length != UNDEFINED && read_tag(c) == ITEM;
}

static bool is_sequence(const cursor *c, const element *e)
{
    if (strcmp(e->vr, "SQ") == 0)
        return true;
    const bool undefined = e->length == UNDEFINED;
    if (c->explicit_vr)
        return undefined && strcmp(e->vr, "UN") == 0;
    return undefined || begins_with_item(c, e);
}

static pulmo_status walk_value(cursor *c, size_t end, const element *e)
{
    const bool undefined = e->length == UNDEFINED;
    const bool is_pixels = e->tag == PIXEL_DATA && c->depth == 0;
    if (!undefined)
        PULMO_TRY(check_length(c, end, e));
    if (is_pixels) {
        c->found->has_pixels = true;
        c->found->is_encapsulated = undefined;
        c->found->pixel_bytes = undefined ? 0 : e->length;
    }
    if (e->tag != PIXEL_DATA && is_sequence(c, e))
        return walk_sequence(c, end, e);
    if (undefined && e->vr[0] != 'O')
        return fail_odd(e->tag, "has no length");
    if (undefined)
        return walk_fragments(c, end, is_pixels);
    c->at += e->length;
    return PULMO_OK;
}

static pulmo_status walk_elements(cursor *c, size_t end, bool ends_by_tag)
{
    while (c->at < end) {
        element e;
        PULMO_TRY(read_head(c, end, &e));
        if (e.tag == ITEM_END && ends_by_tag)
            return PULMO_OK;
        if (e.tag >> 16 == ITEM >> 16)
            return fail_odd(e.tag, "stands outside of a sequence");
        PULMO_TRY(walk_value(c, end, &e));
    }
    if (!ends_by_tag)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "is truncated: it ends within an item");
}

/* ---- the file ---- */

static void note_transfer(const cursor *c, const element *e)
{
    char *to = c->found->transfer;
    size_t bytes = e->length;
    if (bytes > DICOM_UID_BYTES - 1)
        bytes = DICOM_UID_BYTES - 1;
    memcpy(to, c->data + c->at, bytes);
    to[bytes] = '\0';
    to[strcspn(to, " ")] = '\0'; /* UIDs are padded by NUL, wrongly by spaces too */
}

/* The elements of group 0002, whose stated length is often wrong. */
static pulmo_status read_meta(cursor *c, size_t end)
{
    while (end - c->at >= 8 && read16(c, c->at) == META_GROUP) {
        element e;
        PULMO_TRY(read_head(c, end, &e));
        PULMO_TRY(check_length(c, end, &e));
        if (e.tag == TRANSFER_UID)
            note_transfer(c, &e);
        c->at += e.length;
    }
    if (c->found->transfer[0])
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "is a DICOM file that does not say its transfer syntax (0002,0010)");
}

/* Inflates into a buffer that grows; a raw stream, without a header of zlib. */
static pulmo_status inflate_into(z_stream *z, uint64_t most, dicom_layout *out)
{
    size_t room = 1 << 20;
    int result = Z_OK;
    while (result == Z_OK) {
        uint8_t *larger = z->total_out < most ? realloc(out->inflated, room) : NULL;
        if (!larger && z->total_out >= most)
            return pulmo_fail(PULMO_DATA, "inflates to more than %llu bytes",
                              (unsigned long long)most);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "out of memory for %zu bytes", room);
        out->inflated = larger;
        z->next_out = larger + z->total_out;
        z->avail_out = (uInt)(room - z->total_out);
        result = inflate(z, Z_NO_FLUSH);
        room *= 2;
        if (room > most)
            room = most;
    }
    out->bytes = z->total_out;
    out->data = out->inflated;
    if (result == Z_STREAM_END)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "is %s: its deflated data cannot be inflated",
                      result == Z_BUF_ERROR ? "truncated" : "damaged");
}

static pulmo_status inflate_set(uint64_t most, dicom_layout *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)out->data, .avail_in = (uInt)out->bytes};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return pulmo_fail(PULMO_MEMORY, "out of memory for zlib");
    pulmo_status status = inflate_into(&z, most, out);
    inflateEnd(&z);
    return status;
}

pulmo_status dicom_layout_read(const uint8_t *data, size_t bytes, uint64_t inflated_max,
                               dicom_layout *out)
{
    memset(out, 0, sizeof *out);
    cursor meta = {.data = data, .at = PREAMBLE_BYTES, .explicit_vr = true, .found = out};
    PULMO_TRY(read_meta(&meta, bytes));
    out->data = data + meta.at;
    out->bytes = bytes - meta.at;
    if (strcmp(out->transfer, DEFLATED_UID) == 0)
        PULMO_TRY(inflate_set(inflated_max, out));
    cursor set = {.data = out->data,
                  .explicit_vr = strcmp(out->transfer, IMPLICIT_UID) != 0,
                  .big_endian = strcmp(out->transfer, BIG_ENDIAN_UID) == 0,
                  .found = out};
    return walk_elements(&set, out->bytes, false);
}

void dicom_layout_free(dicom_layout *layout)
{
    free(layout->inflated);
    memset(layout, 0, sizeof *layout);
}

/* ---- a frame of JPEG ---- */

/* The header of a frame (ITU-T T.81, B.2.2): length, precision, lines, samples, components. */
static pulmo_status check_frame_header(const uint8_t *p, int rows, int columns)
{
    const int lines = p[3] << 8 | p[4];
    const int samples = p[5] << 8 | p[6];
    if (p[7] != 1)
        return pulmo_fail(PULMO_DATA, "has %d components in its JPEG; must be 1 (grey)", p[7]);
    if (lines == rows && samples == columns)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "is damaged: says %d columns and %d rows, and its JPEG %d and %d",
                      columns, rows, samples, lines);
}

static bool is_frame_marker(int marker)
{
    const bool is_sof = marker >= 0xC0 && marker <= 0xCF;
    const bool is_other = marker == 0xC4 || marker == 0xC8 || marker == 0xCC;
    return (is_sof && !is_other) || marker == 0xF7;
}

/* Baseline, extended, lossless and JPEG-LS: what the transfer syntaxes that are read allow. */
static bool is_allowed_marker(int marker)
{
    return marker == 0xC0 || marker == 0xC1 || marker == 0xC3 || marker == 0xF7;
}

pulmo_status dicom_layout_check_jpeg(const dicom_layout *layout, int rows, int columns)
{
    const uint8_t *data = layout->frame;
    const size_t bytes = layout->frame_bytes;
    size_t at = 2;
    if (bytes < 4 || data[0] != 0xFF || data[1] != 0xD8)
        return pulmo_fail(PULMO_DATA, "is damaged: its pixels are said to be JPEG and are not");
    while (at + 10 <= bytes && data[at] == 0xFF) {
        const int marker = data[at + 1];
        if (marker == 0xFF) { /* fill */
            at++;
            continue;
        }
        if (is_frame_marker(marker) && !is_allowed_marker(marker))
            return pulmo_fail(PULMO_DATA,
                              "holds a JPEG of a kind (SOF%d) that DICOM does not allow",
                              marker - 0xC0);
        if (is_frame_marker(marker))
            return check_frame_header(data + at + 2, rows, columns);
        at += 2 + ((size_t)data[at + 2] << 8 | data[at + 3]);
    }
    return pulmo_fail(PULMO_DATA, "is damaged: its JPEG has no header");
}
