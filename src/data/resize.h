/* Inside the data room: the horizontal pass of a resize, which is where its time goes. Eight rows are
 * taken at once, interleaved, so that one coefficient multiplies eight neighbouring bytes. Integers
 * throughout: every version gives the same pixels. */
#ifndef PULMO_RESIZE_H
#define PULMO_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#define RESIZE_ROWS 8
#define RESIZE_BITS 22 /* of a coefficient: 32 - 8 bits of pixel - 2 of headroom */

/* For each output position, the first input, how many, and their weights. */
typedef struct resize_taps {
    int most; /* weights a position */
    int *first, *count;
    int32_t *weight; /* (outputs, most), fixed point */
} resize_taps;

/* (ROWS, n) becomes (n, ROWS). */
typedef void (*resize_interleave)(const uint8_t *const rows[RESIZE_ROWS], size_t n, uint8_t *restrict out);
/* `in` (width, channels, ROWS) to rows (outputs, channels). */
typedef void (*resize_horizontal)(const resize_taps *taps, const uint8_t *restrict in, int channels, int outputs,
                                  uint8_t *const rows[RESIZE_ROWS]);

void resize_interleave_ref(const uint8_t *const rows[RESIZE_ROWS], size_t n, uint8_t *restrict out);
void resize_horizontal_ref(const resize_taps *taps, const uint8_t *restrict in, int channels, int outputs,
                           uint8_t *const rows[RESIZE_ROWS]);
/* Where the CPU has AVX2. */
void resize_interleave_avx2(const uint8_t *const rows[RESIZE_ROWS], size_t n, uint8_t *restrict out);
void resize_horizontal_avx2(const resize_taps *taps, const uint8_t *restrict in, int channels, int outputs,
                            uint8_t *const rows[RESIZE_ROWS]);

#endif
