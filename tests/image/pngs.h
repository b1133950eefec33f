/* PNGs for tests, written here from the specification (ISO/IEC 15948), without libpng: every colour
 * type, depth and filter, interlaced or not, and chunks to order. */
#ifndef PULMO_TEST_PNGS_H
#define PULMO_TEST_PNGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum { PNG_GREY = 0, PNG_RGB = 2, PNG_PALETTE = 3, PNG_GREY_ALPHA = 4, PNG_RGBA = 6 };

typedef struct png_bytes {
    uint8_t *data;
    size_t size;
} png_bytes;

typedef struct png_kind {
    int width, height, type, bits;
    bool interlaced;
    const uint8_t *palette; /* (colours, 3), or NULL */
    size_t colours;
    const uint8_t *trns; /* the chunk's body, or NULL */
    size_t trns_bytes;
    const char *extra; /* a chunk before the image, or NULL */
    const uint8_t *extra_body;
    size_t extra_bytes;
    size_t idat_bytes; /* of one IDAT; 0: all in one */
} png_kind;

static inline size_t samples_of(int type)
{
    static const size_t samples[] = {1, 0, 3, 1, 2, 0, 4};
    return samples[type];
}

static inline void put_bytes(png_bytes *out, const void *data, size_t size)
{
    out->data = realloc(out->data, out->size + size + 1);
    if (size > 0)
        memcpy(out->data + out->size, data, size);
    out->size += size;
}

static inline void set_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline uint32_t get_u32(const uint8_t *from)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 8 | from[i];
    return value;
}

static inline void put_u32(png_bytes *out, uint32_t value)
{
    uint8_t bytes[4];
    set_u32(bytes, value);
    put_bytes(out, bytes, 4);
}

static inline void put_chunk(png_bytes *out, const char *name, const void *body, size_t size)
{
    put_u32(out, (uint32_t)size);
    const size_t from = out->size;
    put_bytes(out, name, 4);
    put_bytes(out, body, size);
    put_u32(out, (uint32_t)crc32(0, out->data + from, (uInt)(size + 4)));
}

/* Where a chunk's length stands; the `nth` of that name. SIZE_MAX: there is none. */
static inline size_t find_chunk(png_bytes png, const char *name, int nth)
{
    for (size_t at = 8; at + 12 <= png.size; at += 12 + get_u32(png.data + at))
        if (memcmp(png.data + at + 4, name, 4) == 0 && nth-- == 0)
            return at;
    return SIZE_MAX;
}

/* The checksum of the chunk at `at`, made right again. */
static inline void mend_chunk(png_bytes png, size_t at)
{
    const uint32_t size = get_u32(png.data + at);
    set_u32(png.data + at + 8 + size, (uint32_t)crc32(0, png.data + at + 4, (uInt)size + 4));
}

/* ---- filters ---- */

static inline int paeth(int a, int b, int c)
{
    const int p = a + b - c;
    const int from_a = abs(p - a), from_b = abs(p - b), from_c = abs(p - c);
    if (from_a <= from_b && from_a <= from_c)
        return a;
    return from_b <= from_c ? b : c;
}

static inline uint8_t predicted(int filter, const uint8_t *row, const uint8_t *above, size_t at,
                                size_t step)
{
    const int a = at >= step ? row[at - step] : 0;
    const int b = above ? above[at] : 0;
    const int c = above && at >= step ? above[at - step] : 0;
    switch (filter) {
    case 1:
        return (uint8_t)a;
    case 2:
        return (uint8_t)b;
    case 3:
        return (uint8_t)((a + b) / 2);
    case 4:
        return (uint8_t)paeth(a, b, c);
    default:
        return 0;
    }
}

/* ---- rows ---- */

typedef struct png_pass {
    int x, y, step_x, step_y;
} png_pass;

/* Puts the sample, `bits` wide, as the `at`th of a row. */
static inline void put_sample(uint8_t *row, size_t at, int bits, unsigned value)
{
    if (bits == 16) {
        row[2 * at] = (uint8_t)(value >> 8);
        row[2 * at + 1] = (uint8_t)value;
        return;
    }
    const size_t bit = at * (size_t)bits;
    row[bit / 8] |= (uint8_t)(value << (8 - bits - (int)(bit % 8)));
}

/* The scanlines of one pass, filtered by each of the five filters in turn. */
static inline void put_pass(png_bytes *out, const png_kind *kind, const uint16_t *samples,
                            png_pass pass)
{
    const size_t n = samples_of(kind->type);
    const size_t step = n * (size_t)kind->bits / 8 ? n * (size_t)kind->bits / 8 : 1;
    const size_t room = (size_t)kind->width * n * 2 + 1;
    uint8_t *rows[2] = {malloc(room), malloc(room)};
    int count = 0;
    if (pass.x >= kind->width)
        goto out;
    const size_t pixels = (size_t)((kind->width - pass.x + pass.step_x - 1) / pass.step_x);
    const size_t bytes = (pixels * n * (size_t)kind->bits + 7) / 8;
    for (int y = pass.y; y < kind->height; y += pass.step_y, count++) {
        uint8_t *row = rows[count % 2];
        const uint8_t *above = count > 0 ? rows[(count + 1) % 2] : NULL;
        const uint8_t filter = (uint8_t)((count + kind->bits) % 5);
        memset(row, 0, bytes);
        for (size_t i = 0; i < pixels; i++)
            for (size_t c = 0; c < n; c++) {
                const size_t x = (size_t)pass.x + i * (size_t)pass.step_x;
                const size_t from = ((size_t)y * (size_t)kind->width + x) * n + c;
                put_sample(row, i * n + c, kind->bits, samples[from]);
            }
        put_bytes(out, &filter, 1);
        for (size_t at = 0; at < bytes; at++) {
            const uint8_t left = (uint8_t)(row[at] - predicted(filter, row, above, at, step));
            put_bytes(out, &left, 1);
        }
    }
out:
    free(rows[0]);
    free(rows[1]);
}

/* All scanlines as they are compressed; `samples` (H, W, C). */
static inline png_bytes make_scanlines(const png_kind *kind, const uint16_t *samples)
{
    static const png_pass adam7[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                     {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    png_bytes lines = {NULL, 0};
    if (!kind->interlaced) {
        put_pass(&lines, kind, samples, (png_pass){0, 0, 1, 1});
        return lines;
    }
    for (size_t i = 0; i < 7; i++)
        put_pass(&lines, kind, samples, adam7[i]);
    return lines;
}

static inline png_bytes deflated(png_bytes lines)
{
    uLongf size = compressBound((uLong)lines.size);
    png_bytes out = {malloc(size), 0};
    compress2(out.data, &size, lines.data, (uLong)lines.size, 6);
    out.size = size;
    return out;
}

/* ---- whole files ---- */

/* Signature and all chunks before the image. */
static inline png_bytes begin_png(const png_kind *kind)
{
    png_bytes out = {NULL, 0};
    uint8_t header[13] = {0};
    set_u32(header, (uint32_t)kind->width);
    set_u32(header + 4, (uint32_t)kind->height);
    header[8] = (uint8_t)kind->bits;
    header[9] = (uint8_t)kind->type;
    header[12] = kind->interlaced;
    put_bytes(&out, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(&out, "IHDR", header, sizeof header);
    if (kind->palette)
        put_chunk(&out, "PLTE", kind->palette, 3 * kind->colours);
    if (kind->trns)
        put_chunk(&out, "tRNS", kind->trns, kind->trns_bytes);
    if (kind->extra)
        put_chunk(&out, kind->extra, kind->extra_body, kind->extra_bytes);
    return out;
}

/* The file with this as its compressed image. */
static inline png_bytes make_png_of(const png_kind *kind, png_bytes image)
{
    png_bytes out = begin_png(kind);
    const size_t step = kind->idat_bytes ? kind->idat_bytes : image.size + 1;
    for (size_t at = 0; at < image.size; at += step) {
        const size_t left = image.size - at;
        put_chunk(&out, "IDAT", image.data + at, left < step ? left : step);
    }
    put_chunk(&out, "IEND", NULL, 0);
    return out;
}

/* `samples` (H, W, C of the type); free(result.data). */
static inline png_bytes make_png(const png_kind *kind, const uint16_t *samples)
{
    png_bytes lines = make_scanlines(kind, samples);
    png_bytes image = deflated(lines);
    png_bytes out = make_png_of(kind, image);
    free(image.data);
    free(lines.data);
    return out;
}

#endif
