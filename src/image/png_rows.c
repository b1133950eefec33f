/* Samples of a PNG to pixels of 8 bits: see the header. */
#include "png_rows.h"

#include <string.h>

#define MOST8  255u
#define MOST16 65535u
#define DOWN16 257u /* 65535 / 255 */

/* ---- samples ---- */

static unsigned sample16(const uint8_t *in)
{
    return (unsigned)in[0] << 8 | in[1];
}

/* v / 257, rounded. */
static uint8_t level16(unsigned v)
{
    return (uint8_t)((v + DOWN16 / 2) / DOWN16);
}

static uint8_t over_black8(unsigned v, unsigned alpha)
{
    return (uint8_t)((v * alpha + MOST8 / 2) / MOST8);
}

static uint8_t over_black16(unsigned v, unsigned alpha)
{
    const uint64_t most = (uint64_t)MOST16 * DOWN16;
    const uint64_t product = (uint64_t)v * alpha;
    return (uint8_t)((product + most / 2) / most);
}

/* ---- tables ---- */

void png_form_set_grey(png_form *form, int key)
{
    const int levels = 1 << form->bits;
    const int step = 255 / (levels - 1);
    form->has_table = true;
    form->table_levels = levels;
    form->channels = 1;
    for (int i = 0; i < levels; i++)
        form->table[i][0] = (uint8_t)(i * step);
    if (key >= 0 && key < levels)
        form->table[key][0] = 0;
}

void png_form_set_colour(png_form *form, int index, const uint8_t rgb[3], int alpha)
{
    form->has_table = true;
    if (form->table_levels <= index)
        form->table_levels = index + 1;
    for (int c = 0; c < 3; c++)
        form->table[index][c] = over_black8(rgb[c], (unsigned)alpha);
}

void png_form_end_palette(png_form *form)
{
    form->channels = 1;
    for (int i = 0; i < form->table_levels; i++) {
        const uint8_t *colour = form->table[i];
        if (colour[0] != colour[1] || colour[0] != colour[2])
            form->channels = 3;
    }
}

/* ---- rows ---- */

static bool is_in_table(const png_form *form, const uint8_t *in, size_t width)
{
    uint8_t most = 0;
    for (size_t x = 0; x < width; x++)
        most = in[x] > most ? in[x] : most;
    return most < form->table_levels;
}

static void look_up(const png_form *form, const uint8_t *in, size_t width, uint8_t *out)
{
    if (form->channels == 1) {
        for (size_t x = 0; x < width; x++)
            out[x] = form->table[in[x]][0];
        return;
    }
    for (size_t x = 0; x < width; x++, out += 3)
        memcpy(out, form->table[in[x]], 3);
}

static void convert_opaque(const png_form *form, const uint8_t *in, size_t width, uint8_t *out)
{
    const size_t samples = width * (size_t)form->channels;
    if (form->bits == 8) {
        memcpy(out, in, samples);
        return;
    }
    for (size_t i = 0; i < samples; i++) {
        const unsigned v = sample16(in + 2 * i);
        out[i] = level16(v);
    }
}

static void convert_alpha8(int channels, const uint8_t *in, size_t width, uint8_t *out)
{
    for (size_t x = 0; x < width; x++) {
        const unsigned alpha = in[channels];
        for (int c = 0; c < channels; c++)
            out[c] = over_black8(in[c], alpha);
        in += channels + 1;
        out += channels;
    }
}

static void convert_alpha16(int channels, const uint8_t *in, size_t width, uint8_t *out)
{
    for (size_t x = 0; x < width; x++) {
        const ptrdiff_t last = 2 * (ptrdiff_t)channels;
        const unsigned alpha = sample16(in + last);
        for (int c = 0; c < channels; c++) {
            const unsigned v = sample16(in + 2 * (ptrdiff_t)c);
            out[c] = over_black16(v, alpha);
        }
        in += last + 2;
        out += channels;
    }
}

/* Makes the pixels of the transparent colour black. */
static void apply_key(const png_form *form, const uint8_t *in, size_t width, uint8_t *out)
{
    const size_t channels = (size_t)form->channels;
    const size_t sample_bytes = form->bits == 16 ? 2 : 1;
    for (size_t x = 0; x < width; x++) {
        bool same = true;
        for (size_t c = 0; c < channels; c++) {
            const unsigned v = sample_bytes == 2 ? sample16(in) : in[0];
            same = same && v == form->key[c];
            in += sample_bytes;
        }
        if (same)
            memset(out + x * channels, 0, channels);
    }
}

bool png_form_is_plain(const png_form *form)
{
    return form->bits == 8 && !form->has_table && !form->has_alpha && !form->has_key;
}

bool png_row_convert(const png_form *form, const uint8_t *in, size_t width, uint8_t *out)
{
    if (form->has_table) {
        if (!is_in_table(form, in, width))
            return false;
        look_up(form, in, width, out);
        return true;
    }
    if (!form->has_alpha)
        convert_opaque(form, in, width, out);
    else if (form->bits == 16)
        convert_alpha16(form->channels, in, width, out);
    else
        convert_alpha8(form->channels, in, width, out);
    if (form->has_key)
        apply_key(form, in, width, out);
    return true;
}
