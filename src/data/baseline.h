/* Inside the data room: the commonest X-ray file, a grey baseline JPEG, straight into a resizer.
 *
 * Most of a decoder's time goes into Huffman codes. Here one table look-up gives a coefficient's
 * run, size and value, and eight rows of pixels leave the inverse transform in the order in which
 * the resize wants them. The pixels are libjpeg's to the last bit. Whatever is not plain (more
 * components, other coding, EXIF turning, a byte out of place, coefficients that no encoder writes)
 * is left to libjpeg, with its messages: this file never refuses a file. */
#ifndef PULMO_DATA_BASELINE_H
#define PULMO_DATA_BASELINE_H

#include <stdbool.h>

#include "resize.h"

/* True with `out` (owned by the caller) and `notes` filled; false where libjpeg shall look.
 * `out_height_px` and `out_width_px` are those of the resize. */
bool baseline_decode(const uint8_t *data, size_t size, const pulmo_decode_spec *spec,
                     int out_height_px, int out_width_px, pulmo_image *out,
                     pulmo_decode_notes *notes);

/* How much libjpeg's scaled decoding shall keep of a side: 8 (all), 4, 2 or 1 eighths. */
unsigned baseline_eighths(unsigned width_px, unsigned height_px, const pulmo_decode_spec *spec);

/* The orientation (1 to 8) in an APP1 segment, 1 where it has none or makes no sense. */
int exif_orientation(const uint8_t *data, size_t size);

/* Two blocks of dequantised coefficients, (8, 8), to pixels: column x of block b at out + (8 * b +
 * x) * 8, top to bottom. The sum of a block's magnitudes is at most BASELINE_SUM_MAX, so that
 * nothing overflows 16 bits. Needs AVX2. */
#define BASELINE_SUM_MAX 5800
void baseline_idct_pair(const int16_t *first, const int16_t *second, uint8_t *out);
/* The same for one block to `side` x `side` pixels (1, 2, 4), rows at `stride`: libjpeg's reduced
 * transforms. Needs AVX2. */
void baseline_idct_small(const int16_t *coefficients, int side, uint8_t *out, size_t stride);

#endif
