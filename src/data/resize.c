/* Antialiased bilinear resize with Pillow's arithmetic: a horizontal pass rounded to 8 bits, then
 * a vertical one; a triangle filter as wide as the scale; coefficients in 22-bit fixed point.
 * Integers throughout: the same pixels on every machine.
 * The horizontal pass and the stream are described in resize.h. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/image.h"
#include "pulmo/isa.h"
#include "pulmo/memory.h"
#include "resize.h"

#define PRECISION_BITS RESIZE_BITS
#define ROWS           RESIZE_ROWS

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define WIDE __attribute__((target_clones("default", "avx2")))
#else
#define WIDE
#endif

static void taps_free(resize_taps *t)
{
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): it mixes up the two tables of one resizer */
    free(t->first);
    free(t->count);
    free(t->weight);
    free(t->pair);
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    memset(t, 0, sizeof *t);
}

void resize_pair(resize_taps *t, int outputs)
{
    size_t most = (size_t)t->most, pairs = (most + 1) / 2;
    const uint32_t low = (1u << RESIZE_LOW_BITS) - 1;
    for (size_t x = 0; x < (size_t)outputs; x++)
        for (size_t k = 0; k < pairs; k++) {
            const int32_t *w = t->weight + x * most + 2 * k;
            int32_t first = 2 * (int)k < t->count[x] ? w[0] : 0,
                    second = 2 * (int)k + 1 < t->count[x] ? w[1] : 0;
            uint32_t *to = t->pair + 2 * (x * pairs + k);
            to[0] = ((uint32_t)first & low) | ((uint32_t)second & low) << 16;
            to[1] = ((uint32_t)(first >> RESIZE_LOW_BITS) & 0xFFFF) |
                    (uint32_t)(second >> RESIZE_LOW_BITS) << 16;
        }
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Weights of one output, normalised to 1, then in fixed point, rounded away from zero at half. */
static void fill_taps(resize_taps *t, int position, double scale, double filter_scale, int inputs,
                      double *raw)
{
    double center = (position + 0.5) * scale, support = filter_scale, shrink = 1.0 / filter_scale,
           sum = 0;
    int first = (int)(center - support + 0.5), last = (int)(center + support + 0.5);
    if (first < 0)
        first = 0;
    if (last > inputs)
        last = inputs;
    for (int i = 0; i < last - first; i++) {
        raw[i] = triangle((i + first - center + 0.5) * shrink); /* rounded in Pillow's order */
        sum += raw[i];
    }
    for (int i = 0; i < last - first; i++) {
        double value = (sum != 0.0 ? raw[i] / sum : raw[i]) * (1 << PRECISION_BITS);
        t->weight[(size_t)position * (size_t)t->most + (size_t)i] =
            (int32_t)(value < 0 ? value - 0.5 : value + 0.5);
    }
    t->first[position] = first;
    t->count[position] = last - first;
}

static pulmo_status taps_make(int inputs, int outputs, resize_taps *t)
{
    double scale = (double)inputs / outputs, filter_scale = scale < 1.0 ? 1.0 : scale;
    memset(t, 0, sizeof *t);
    t->most = (int)ceil(filter_scale) * 2 + 1;
    t->first = malloc((size_t)outputs * sizeof *t->first);
    t->count = malloc((size_t)outputs * sizeof *t->count);
    t->weight = calloc((size_t)outputs * (size_t)t->most, sizeof *t->weight);
    t->pair = malloc((size_t)outputs * (size_t)(t->most + 1) * sizeof *t->pair);
    double *raw = malloc((size_t)t->most * sizeof *raw);
    bool whole = t->first && t->count && t->weight && t->pair && raw;
    for (int i = 0; whole && i < outputs; i++)
        fill_taps(t, i, scale, filter_scale, inputs, raw);
    free(raw);
    if (whole)
        resize_pair(t, outputs);
    if (whole)
        return PULMO_OK;
    taps_free(t);
    return pulmo_fail(PULMO_MEMORY, "out of memory for a resize");
}

static inline uint8_t clip8(int32_t sum)
{
    int32_t value = sum >> PRECISION_BITS;
    if (value < 0)
        value = 0;
    return (uint8_t)(value > 255 ? 255 : value);
}

void resize_interleave_ref(const uint8_t *const rows[ROWS], size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < ROWS; r++)
            out[i * ROWS + r] = rows[r][i];
}

void resize_horizontal_ref(const resize_taps *t, const uint8_t *restrict in, int channels,
                           int outputs, uint8_t *const rows[ROWS])
{
    for (int x = 0; x < outputs; x++) {
        const int32_t *weight = t->weight + (size_t)x * (size_t)t->most;
        for (int c = 0; c < channels; c++) {
            const uint8_t *from = in + ((size_t)t->first[x] * (size_t)channels + (size_t)c) * ROWS;
            int32_t sum[ROWS];
            for (int r = 0; r < ROWS; r++)
                sum[r] = 1 << (PRECISION_BITS - 1);
            for (int i = 0; i < t->count[x]; i++, from += (size_t)channels * ROWS)
                for (int r = 0; r < ROWS; r++)
                    sum[r] += from[r] * weight[i];
            for (int r = 0; r < ROWS; r++)
                rows[r][x * channels + c] = clip8(sum[r]);
        }
    }
}

WIDE static void vertical_row(const uint8_t *restrict in, size_t stride, const int32_t *weight,
                              int count, int32_t *restrict sums, uint8_t *restrict out)
{
    for (size_t i = 0; i < stride; i++)
        sums[i] = 1 << (PRECISION_BITS - 1);
    for (int k = 0; k < count; k++)
        for (size_t i = 0; i < stride; i++)
            sums[i] += in[(size_t)k * stride + i] * weight[k];
    for (size_t i = 0; i < stride; i++)
        out[i] = clip8(sums[i]);
}

/* ---- the stream ---- */

void resizer_free(resizer *r)
{
    taps_free(&r->across);
    taps_free(&r->down);
    free(r->waiting);
    free(r->mixed);
    free(r->narrow);
    memset(r, 0, sizeof *r);
}

pulmo_status resizer_begin(resizer *r, int height_px, int width_px, int channels, int out_height_px,
                           int out_width_px)
{
    size_t in = (size_t)width_px * (size_t)channels, wide = (size_t)out_width_px * (size_t)channels;
    *r = (resizer){.height = height_px,
                   .width = width_px,
                   .channels = channels,
                   .out_height = out_height_px,
                   .out_width = out_width_px};
    pulmo_status status = taps_make(width_px, out_width_px, &r->across);
    if (status == PULMO_OK)
        status = taps_make(height_px, out_height_px, &r->down);
    r->waiting = calloc(in, ROWS);
    r->mixed = malloc(in * ROWS);
    r->narrow =
        malloc(wide * ((size_t)height_px +
                       ROWS)); /* the last block may be less than full, and is narrowed whole */
    if (status == PULMO_OK && (!r->waiting || !r->mixed || !r->narrow))
        status = pulmo_fail(PULMO_MEMORY, "out of memory for a resize");
    if (status != PULMO_OK)
        resizer_free(r);
    return status;
}

/* A pass that would change nothing is left out, as Pillow does. */
static bool keeps_width(const resizer *r)
{
    return r->width == r->out_width;
}

uint8_t *resizer_row(resizer *r)
{
    size_t in = (size_t)r->width * (size_t)r->channels;
    return keeps_width(r) ? r->narrow + in * (size_t)r->rows
                          : r->waiting + in * (size_t)(r->rows % ROWS);
}

/* The block in `mixed`, that ends with the last row taken; rows that were not given are narrowed
 * with it, and forgotten. */
static void narrow_mixed(resizer *r)
{
    size_t wide = (size_t)r->out_width * (size_t)r->channels,
           first = (size_t)((r->rows - 1) / ROWS * ROWS);
    uint8_t *to[ROWS];
    for (size_t k = 0; k < ROWS; k++)
        to[k] = r->narrow + wide * (first + k);
    (pulmo_isa_available(PULMO_ISA_AVX2) ? resize_horizontal_avx2 : resize_horizontal_ref)(
        &r->across, r->mixed, r->channels, r->out_width, to);
}

static void narrow_waiting(resizer *r)
{
    size_t in = (size_t)r->width * (size_t)r->channels;
    const uint8_t *from[ROWS];
    for (size_t k = 0; k < ROWS; k++)
        from[k] = r->waiting + in * k;
    (pulmo_isa_available(PULMO_ISA_AVX2) ? resize_interleave_avx2
                                         : resize_interleave_ref)(from, in, r->mixed);
    narrow_mixed(r);
}

void resizer_took(resizer *r)
{
    r->rows++;
    if (!keeps_width(r) && (r->rows % ROWS == 0 || r->rows == r->height))
        narrow_waiting(r);
}

static pulmo_status vertical(resizer *r, uint8_t *out)
{
    size_t stride = (size_t)r->out_width * (size_t)r->channels;
    int32_t *sums = malloc(stride * sizeof *sums);
    if (!sums)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a resize");
    for (int y = 0; y < r->out_height; y++)
        vertical_row(r->narrow + (size_t)r->down.first[y] * stride, stride,
                     r->down.weight + (size_t)y * (size_t)r->down.most, r->down.count[y], sums,
                     out + (size_t)y * stride);
    free(sums);
    return PULMO_OK;
}

pulmo_status resizer_end(resizer *r, pulmo_image *out)
{
    size_t bytes = (size_t)r->out_width * (size_t)r->channels * (size_t)r->out_height;
    *out = (pulmo_image){.height_px = r->out_height,
                         .width_px = r->out_width,
                         .channels = r->channels,
                         .pixels = malloc(bytes)};
    pulmo_status status =
        out->pixels ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory for an image");
    if (status == PULMO_OK && r->height == r->out_height)
        memcpy(out->pixels, r->narrow, bytes);
    else if (status == PULMO_OK)
        status = vertical(r, out->pixels);
    if (status != PULMO_OK)
        pulmo_image_free(out);
    resizer_free(r);
    return status;
}

pulmo_status pulmo_image_resize(const pulmo_image *source, int height_px, int width_px,
                                pulmo_image *out)
{
    resizer r;
    size_t in = (size_t)source->width_px * (size_t)source->channels;
    memset(out, 0, sizeof *out);
    PULMO_TRY(resizer_begin(&r, source->height_px, source->width_px, source->channels, height_px,
                            width_px));
    for (int y = 0; y < source->height_px; y++) {
        memcpy(resizer_row(&r), source->pixels + in * (size_t)y, in);
        resizer_took(&r);
    }
    return resizer_end(&r, out);
}
