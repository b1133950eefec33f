/* DICOM files for tests, written byte by byte: explicit little endian unless told otherwise. */
#ifndef PULMO_TEST_DICOMS_H
#define PULMO_TEST_DICOMS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DICOM_ROOM (1 << 22)

typedef struct dicom_bytes {
    uint8_t *data; /* owned (free) */
    size_t size, meta_end;
} dicom_bytes;

static inline void dicom_put(dicom_bytes *d, const void *bytes, size_t count)
{
    memcpy(d->data + d->size, bytes, count);
    d->size += count;
}

static inline void dicom_put16(dicom_bytes *d, unsigned number)
{
    const uint8_t bytes[] = {(uint8_t)number, (uint8_t)(number >> 8)};
    dicom_put(d, bytes, 2);
}

static inline void dicom_put32(dicom_bytes *d, uint32_t number)
{
    dicom_put16(d, number & 0xFFFF);
    dicom_put16(d, number >> 16);
}

/* What stands before a value of `length` bytes. */
static inline void dicom_head(dicom_bytes *d, uint32_t tag, const char *vr, uint32_t length)
{
    dicom_put16(d, tag >> 16);
    dicom_put16(d, tag & 0xFFFF);
    dicom_put(d, vr, 2);
    const bool is_long = vr[0] == 'O' || strcmp(vr, "SQ") == 0 || strcmp(vr, "UN") == 0;
    if (!is_long) {
        dicom_put16(d, length);
        return;
    }
    dicom_put16(d, 0);
    dicom_put32(d, length);
}

static inline void dicom_text(dicom_bytes *d, uint32_t tag, const char *vr, const char *text)
{
    const size_t length = strlen(text);
    dicom_head(d, tag, vr, (uint32_t)(length + length % 2));
    dicom_put(d, text, length);
    if (length % 2 == 1)
        dicom_put(d, strcmp(vr, "UI") == 0 ? "\0" : " ", 1);
}

static inline void dicom_us(dicom_bytes *d, uint32_t tag, unsigned number)
{
    dicom_head(d, tag, "US", 2);
    dicom_put16(d, number);
}

/* An item's head, and the tags that end open items and sequences: length 0. */
static inline void dicom_item_head(dicom_bytes *d, uint32_t tag, uint32_t length)
{
    dicom_put16(d, tag >> 16);
    dicom_put16(d, tag & 0xFFFF);
    dicom_put32(d, length);
}

/* A table in a sequence of one item, both of undefined length. */
static inline void dicom_table(dicom_bytes *d, uint32_t sequence, int first, int bits,
                               const uint16_t *values, unsigned count)
{
    dicom_head(d, sequence, "SQ", 0xFFFFFFFF);
    dicom_item_head(d, 0xFFFEE000, 0xFFFFFFFF);
    dicom_head(d, 0x00283002, first < 0 ? "SS" : "US", 6);
    dicom_put16(d, count & 0xFFFF);
    dicom_put16(d, (unsigned)first & 0xFFFF);
    dicom_put16(d, (unsigned)bits);
    dicom_head(d, 0x00283006, "OW", 2 * count);
    for (unsigned i = 0; i < count; i++)
        dicom_put16(d, values[i]);
    dicom_item_head(d, 0xFFFEE00D, 0);
    dicom_item_head(d, 0xFFFEE0DD, 0);
}

/* The preamble and the meta header. */
static inline dicom_bytes dicom_begin(const char *transfer)
{
    dicom_bytes d = {.data = calloc(DICOM_ROOM, 1), .size = 128};
    if (!d.data)
        abort();
    dicom_put(&d, "DICM", 4);
    dicom_text(&d, 0x00020010, "UI", transfer);
    d.meta_end = d.size;
    return d;
}

/* What a test may want otherwise; all zero is an image of 12 bits without a window. */
typedef struct dicom_kind {
    const char *transfer, *modality, *photometric, *patient, *slope, *intercept, *center, *width,
        *function, *shape, *frames;
    int rows, columns, allocated, stored, high_bit, is_signed, samples;
    const uint16_t *modality_table, *voi_table; /* (count), of 10 bits */
    unsigned table_count;
    int table_first;
    bool no_pixels;
} dicom_kind;

static inline void dicom_maybe(dicom_bytes *d, uint32_t tag, const char *vr, const char *text)
{
    if (text)
        dicom_text(d, tag, vr, text);
}

static inline const char *dicom_or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static inline int dicom_or_number(int number, int otherwise)
{
    return number ? number : otherwise;
}

/* All but Pixel Data, in the order of tags. */
static inline dicom_bytes dicom_describe(const dicom_kind *k)
{
    dicom_bytes d = dicom_begin(dicom_or(k->transfer, "1.2.840.10008.1.2.1"));
    const int stored = dicom_or_number(k->stored, 12);
    dicom_text(&d, 0x00080060, "CS", dicom_or(k->modality, "DX"));
    dicom_maybe(&d, 0x00100020, "LO", k->patient);
    dicom_text(&d, 0x00101010, "AS", "041Y");
    dicom_us(&d, 0x00280002, (unsigned)dicom_or_number(k->samples, 1));
    dicom_text(&d, 0x00280004, "CS", dicom_or(k->photometric, "MONOCHROME2"));
    dicom_maybe(&d, 0x00280008, "IS", k->frames);
    dicom_us(&d, 0x00280010, (unsigned)k->rows);
    dicom_us(&d, 0x00280011, (unsigned)k->columns);
    dicom_us(&d, 0x00280100, (unsigned)dicom_or_number(k->allocated, 16));
    dicom_us(&d, 0x00280101, (unsigned)stored);
    dicom_us(&d, 0x00280102, (unsigned)dicom_or_number(k->high_bit, stored - 1));
    dicom_us(&d, 0x00280103, (unsigned)k->is_signed);
    dicom_maybe(&d, 0x00281050, "DS", k->center);
    dicom_maybe(&d, 0x00281051, "DS", k->width);
    dicom_maybe(&d, 0x00281052, "DS", k->intercept);
    dicom_maybe(&d, 0x00281053, "DS", k->slope);
    dicom_maybe(&d, 0x00281056, "CS", k->function);
    if (k->modality_table)
        dicom_table(&d, 0x00283000, k->table_first, 10, k->modality_table, k->table_count);
    if (k->voi_table)
        dicom_table(&d, 0x00283010, k->table_first, 10, k->voi_table, k->table_count);
    dicom_maybe(&d, 0x20500020, "CS", k->shape);
    return d;
}

/* The whole file; `values` are rows x columns stored values, as they lie. */
static inline dicom_bytes dicom_make(const dicom_kind *k, const uint16_t *values)
{
    dicom_bytes d = dicom_describe(k);
    const size_t count = (size_t)k->rows * (size_t)k->columns;
    const size_t unit = k->allocated == 8 ? 1 : 2;
    const size_t bytes = count * unit;
    if (k->no_pixels)
        return d;
    dicom_head(&d, 0x7FE00010, unit == 1 ? "OB" : "OW", (uint32_t)(bytes + bytes % 2));
    for (size_t i = 0; i < count; i++) {
        if (unit == 1)
            d.data[d.size++] = (uint8_t)values[i];
        else
            dicom_put16(&d, values[i]);
    }
    d.size += bytes % 2;
    return d;
}

/* The same with one compressed frame. */
static inline dicom_bytes dicom_encapsulate(const dicom_kind *k, const void *frame, size_t bytes)
{
    dicom_bytes d = dicom_describe(k);
    dicom_head(&d, 0x7FE00010, "OB", 0xFFFFFFFF);
    dicom_item_head(&d, 0xFFFEE000, 0);
    dicom_item_head(&d, 0xFFFEE000, (uint32_t)(bytes + bytes % 2));
    dicom_put(&d, frame, bytes);
    d.size += bytes % 2;
    dicom_item_head(&d, 0xFFFEE0DD, 0);
    return d;
}

#endif
