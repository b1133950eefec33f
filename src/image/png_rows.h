/* Inside the image room: samples of a PNG, of 1 to 16 bits, to pixels of 8 bits. The rule, with
 * halves rounded up: a sample v of n bits becomes 255 v / (2^n - 1), and over black 255 a v /
 * (2^n - 1)^2 where the alpha is a. A colour that tRNS calls transparent becomes black. */
#ifndef PULMO_IMAGE_PNG_ROWS_H
#define PULMO_IMAGE_PNG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PNG_LEVELS 256

/* How the rows of one image are converted. Samples of 1, 2 and 4 bits take a byte each, those of
 * 16 bits two, the higher first. */
typedef struct png_form {
    int bits;         /* of a sample as stored */
    int colours;      /* samples of a pixel: 1 or 3, and alpha */
    bool has_alpha;   /* as a sample of every pixel */
    bool has_table;   /* samples are looked up: palettes, and grey of few bits */
    int table_levels; /* how many of `table` there are */
    uint8_t table[PNG_LEVELS][3];
    bool has_key;    /* one colour is transparent */
    uint16_t key[3]; /* that colour, by samples as stored */
    int channels;    /* of a converted pixel: 1 or 3 */
} png_form;

/* Fills the table for grey of up to 8 bits; `key` (or -1) is the transparent level. */
void png_form_set_grey(png_form *form, int key);
/* Sets one colour of a palette, over black. */
void png_form_set_colour(png_form *form, int index, const uint8_t rgb[3], int alpha);
/* When the palette is whole: one channel is enough where all its colours are grey. */
void png_form_end_palette(png_form *form);

/* Whether rows as stored are the pixels already. */
bool png_form_is_plain(const png_form *form);
/* One row of `width` pixels. False if a sample is beyond the table. */
bool png_row_convert(const png_form *form, const uint8_t *in, size_t width, uint8_t *out);

#endif
