/* Inside the image room: a resize that takes rows as they come, so that a decoder needs no memory
 * for a whole image. Its time goes into the horizontal pass: eight rows are taken at once,
 * interleaved, so that one coefficient multiplies eight neighbouring bytes. Integers throughout:
 * every version gives the same pixels. */
#ifndef PULMO_RESIZE_H
#define PULMO_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "pulmo/image.h"

#define RESIZE_ROWS 8
#define RESIZE_BITS 22 /* of a coefficient: 32 - 8 bits of pixel - 2 of headroom */

/* For each output position, the first input, how many, and their weights. */
typedef struct resize_taps {
    int most; /* weights a position */
    int *first, *count;
    int32_t *weight; /* (outputs, most), fixed point */
    uint32_t *pair;  /* (outputs, (most + 1) / 2, 2), from weight, by resize_pair */
} resize_taps;

/* For multiplication by 16-bit numbers, two at a time: a weight is high * 2^11 + low; the first
 * word of a pair holds the low parts of two neighbours, the second the high ones. Missing weights
 * are 0. */
#define RESIZE_LOW_BITS 11
void resize_pair(resize_taps *taps, int outputs);

/* ---- the stream ---- */

typedef struct resizer {
    int height, width, channels, out_height, out_width;
    resize_taps across, down;
    uint8_t *waiting; /* (ROWS, width, channels): rows that are not a block yet */
    uint8_t *mixed;   /* a block, interleaved */
    uint8_t *narrow;  /* (height, out_width, channels) */
    int rows;         /* taken so far */
} resizer;

/* Owned by the caller, ended by resizer_end or resizer_free; *r is all zero after a failure. */
pulmo_status resizer_begin(resizer *r, int height_px, int width_px, int channels, int out_height_px,
                           int out_width_px);
/* Where the next row is to be written, (width, channels); then resizer_took. */
uint8_t *resizer_row(resizer *r);
void resizer_took(resizer *r);
/* When all rows have been taken. Frees in every case; `out` is owned by the caller. */
pulmo_status resizer_end(resizer *r, pulmo_image *out);
void resizer_free(resizer *r);

/* ---- a block of rows ---- */

/* (ROWS, n) becomes (n, ROWS). */
void resize_interleave_ref(const uint8_t *const rows[RESIZE_ROWS], size_t n, uint8_t *restrict out);
/* `in` (width, channels, ROWS) to rows (outputs, channels). */
void resize_horizontal_ref(const resize_taps *taps, const uint8_t *restrict in, int channels,
                           int outputs, uint8_t *const rows[RESIZE_ROWS]);
/* Where the CPU has AVX2. */
void resize_interleave_avx2(const uint8_t *const rows[RESIZE_ROWS], size_t n,
                            uint8_t *restrict out);
void resize_horizontal_avx2(const resize_taps *taps, const uint8_t *restrict in, int channels,
                            int outputs, uint8_t *const rows[RESIZE_ROWS]);

#endif
