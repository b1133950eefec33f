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

static int32_t *weights_of(const resize_taps *t, int output)
{
    const size_t before = (size_t)output * (size_t)t->most;
    return t->weight + before;
}

/* The weight of tap k of an output, 0 where there is none. */
static int32_t weight_at(const resize_taps *t, int output, int k)
{
    if (k >= t->count[output])
        return 0;
    return weights_of(t, output)[k];
}

static uint32_t low_part(int32_t weight)
{
    const uint32_t mask = (1u << RESIZE_LOW_BITS) - 1;
    return (uint32_t)weight & mask;
}

static uint32_t high_part(int32_t weight)
{
    return (uint32_t)(weight >> RESIZE_LOW_BITS);
}

static uint32_t two_words(uint32_t first, uint32_t second)
{
    return (first & 0xFFFF) | second << 16;
}

void resize_pair(resize_taps *t, int outputs)
{
    uint32_t *to = t->pair;
    for (int x = 0; x < outputs; x++) {
        for (int k = 0; k < t->most; k += 2) {
            const int32_t first = weight_at(t, x, k);
            const int32_t second = weight_at(t, x, k + 1);
            const uint32_t low = low_part(first);
            const uint32_t high = high_part(first);
            to[0] = two_words(low, low_part(second));
            to[1] = two_words(high, high_part(second));
            to += 2;
        }
    }
}

static double triangle(double x)
{
    const double distance = fabs(x);
    if (distance < 1.0)
        return 1.0 - distance;
    return 0.0;
}

/* In fixed point, rounded away from zero at half. */
static int32_t to_fixed(double weight)
{
    const double value = weight * (1 << RESIZE_BITS);
    if (value < 0)
        return (int32_t)(value - 0.5);
    return (int32_t)(value + 0.5);
}

/* How far the filter reaches to each side, in inputs. */
static double support_of(double scale)
{
    return scale < 1.0 ? 1.0 : scale;
}

/* Weights of one output, normalised to 1. `raw` has room for them. */
static void fill_taps(resize_taps *t, int position, double scale, int inputs, double *raw)
{
    const double support = support_of(scale);
    const double shrink = 1.0 / support;
    const double center = (position + 0.5) * scale;
    int first = (int)(center - support + 0.5);
    int last = (int)(center + support + 0.5);
    if (first < 0)
        first = 0;
    if (last > inputs)
        last = inputs;
    const int count = last - first;
    double sum = 0;
    for (int i = 0; i < count; i++) {
        const double distance = i + first - center + 0.5; /* rounded in Pillow's order */
        raw[i] = triangle(distance * shrink);
        sum += raw[i];
    }
    const double whole = sum != 0.0 ? sum : 1.0;
    int32_t *weight = weights_of(t, position);
    for (int i = 0; i < count; i++) {
        const double part = raw[i] / whole;
        weight[i] = to_fixed(part);
    }
    t->first[position] = first;
    t->count[position] = count;
}

static bool taps_allocate(resize_taps *t, size_t outputs)
{
    const size_t most = (size_t)t->most;
    const size_t weights = outputs * most;
    const size_t words = outputs * (most + 1);
    t->first = malloc(outputs * sizeof *t->first);
    t->count = malloc(outputs * sizeof *t->count);
    t->weight = calloc(weights, sizeof *t->weight);
    t->pair = malloc(words * sizeof *t->pair);
    return t->first && t->count && t->weight && t->pair;
}

static pulmo_status taps_make(int inputs, int outputs, resize_taps *t)
{
    const double scale = (double)inputs / outputs;
    memset(t, 0, sizeof *t);
    const int reach = (int)ceil(support_of(scale));
    t->most = reach * 2 + 1;
    double *raw = malloc((size_t)t->most * sizeof *raw);
    if (!raw || !taps_allocate(t, (size_t)outputs)) {
        free(raw);
        taps_free(t);
        return pulmo_fail(PULMO_MEMORY, "out of memory for a resize");
    }
    for (int i = 0; i < outputs; i++)
        fill_taps(t, i, scale, inputs, raw);
    free(raw);
    resize_pair(t, outputs);
    return PULMO_OK;
}

/* ---- the passes ---- */

static const int32_t half = 1 << (RESIZE_BITS - 1); /* what rounds a sum */

static inline uint8_t clip8(int32_t sum)
{
    const int32_t value = sum >> RESIZE_BITS;
    if (value < 0)
        return 0;
    if (value > 255)
        return 255;
    return (uint8_t)value;
}

void resize_interleave_ref(const uint8_t *const rows[RESIZE_ROWS], size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        for (int r = 0; r < RESIZE_ROWS; r++)
            out[r] = rows[r][i];
        out += RESIZE_ROWS;
    }
}

/* Eight rows' sums of one channel of one output; `from` goes on by `step` per tap. */
static void weighted_sums(const int32_t *weight, int count, const uint8_t *from, size_t step,
                          int32_t sum[RESIZE_ROWS])
{
    for (int r = 0; r < RESIZE_ROWS; r++)
        sum[r] = half;
    for (int i = 0; i < count; i++) {
        for (int r = 0; r < RESIZE_ROWS; r++)
            sum[r] += from[r] * weight[i];
        from += step;
    }
}

void resize_horizontal_ref(const resize_taps *t, const uint8_t *restrict in, int channels,
                           int outputs, uint8_t *const rows[RESIZE_ROWS])
{
    const size_t step = (size_t)channels * RESIZE_ROWS;
    for (int x = 0; x < outputs; x++) {
        const int32_t *weight = weights_of(t, x);
        const int count = t->count[x];
        const size_t first = (size_t)t->first[x];
        const uint8_t *from = in + first * step;
        for (int c = 0; c < channels; c++) {
            const int at = x * channels + c;
            int32_t sum[RESIZE_ROWS];
            weighted_sums(weight, count, from, step, sum);
            for (int r = 0; r < RESIZE_ROWS; r++)
                rows[r][at] = clip8(sum[r]);
            from += RESIZE_ROWS;
        }
    }
}

WIDE static void vertical_row(const uint8_t *restrict in, size_t stride, const int32_t *weight,
                              int count, int32_t *restrict sums, uint8_t *restrict out)
{
    for (size_t i = 0; i < stride; i++)
        sums[i] = half;
    for (int k = 0; k < count; k++) {
        const int32_t factor = weight[k];
        for (size_t i = 0; i < stride; i++)
            sums[i] += in[i] * factor;
        in += stride;
    }
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

/* Bytes of a row of the source, and of a narrowed one. */
static size_t wide_bytes(const resizer *r)
{
    return (size_t)r->width * (size_t)r->channels;
}

static size_t narrow_bytes(const resizer *r)
{
    return (size_t)r->out_width * (size_t)r->channels;
}

static pulmo_status resizer_allocate(resizer *r)
{
    /* The last block may be less than full, and is narrowed whole. */
    const size_t narrow_rows = (size_t)r->height + RESIZE_ROWS;
    const size_t row_bytes = wide_bytes(r);
    PULMO_TRY(taps_make(r->width, r->out_width, &r->across));
    PULMO_TRY(taps_make(r->height, r->out_height, &r->down));
    r->waiting = calloc(row_bytes, RESIZE_ROWS);
    r->mixed = malloc(row_bytes * RESIZE_ROWS);
    r->narrow = malloc(narrow_bytes(r) * narrow_rows);
    if (r->waiting && r->mixed && r->narrow)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for a resize");
}

pulmo_status resizer_begin(resizer *r, int height_px, int width_px, int channels, int out_height_px,
                           int out_width_px)
{
    *r = (resizer){.height = height_px,
                   .width = width_px,
                   .channels = channels,
                   .out_height = out_height_px,
                   .out_width = out_width_px};
    pulmo_status status = resizer_allocate(r);
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
    const size_t row = (size_t)r->rows;
    const size_t row_bytes = wide_bytes(r);
    if (keeps_width(r))
        return r->narrow + row_bytes * row;
    const size_t place = row % RESIZE_ROWS;
    return r->waiting + row_bytes * place;
}

/* The waiting block, that ends with the last row taken, becomes narrow. Rows that were not given
 * are narrowed with it, and forgotten. */
static void narrow_waiting(resizer *r)
{
    const size_t block = (size_t)(r->rows - 1) / RESIZE_ROWS;
    const size_t from_bytes = wide_bytes(r);
    const size_t to_bytes = narrow_bytes(r);
    const size_t block_bytes = to_bytes * RESIZE_ROWS;
    uint8_t *narrow = r->narrow + block * block_bytes;
    const uint8_t *from[RESIZE_ROWS];
    uint8_t *to[RESIZE_ROWS];
    for (size_t k = 0; k < RESIZE_ROWS; k++) {
        from[k] = r->waiting + from_bytes * k;
        to[k] = narrow + to_bytes * k;
    }
    if (pulmo_isa_available(PULMO_ISA_AVX2)) {
        resize_interleave_avx2(from, from_bytes, r->mixed);
        resize_horizontal_avx2(&r->across, r->mixed, r->channels, r->out_width, to);
    } else {
        resize_interleave_ref(from, from_bytes, r->mixed);
        resize_horizontal_ref(&r->across, r->mixed, r->channels, r->out_width, to);
    }
}

void resizer_took(resizer *r)
{
    r->rows++;
    const bool block_full = r->rows % RESIZE_ROWS == 0;
    const bool last_row = r->rows == r->height;
    const bool block_ends = block_full || last_row;
    if (block_ends && !keeps_width(r))
        narrow_waiting(r);
}

static pulmo_status resize_down(const resizer *r, uint8_t *out)
{
    const resize_taps *t = &r->down;
    const size_t row_bytes = narrow_bytes(r);
    int32_t *sums = malloc(row_bytes * sizeof *sums);
    if (!sums)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a resize");
    for (int y = 0; y < r->out_height; y++) {
        const size_t first = (size_t)t->first[y];
        const uint8_t *from = r->narrow + first * row_bytes;
        const int32_t *weight = weights_of(t, y);
        vertical_row(from, row_bytes, weight, t->count[y], sums, out);
        out += row_bytes;
    }
    free(sums);
    return PULMO_OK;
}

static pulmo_status finish_image(const resizer *r, pulmo_image *out)
{
    const size_t bytes = narrow_bytes(r) * (size_t)r->out_height;
    out->height_px = r->out_height;
    out->width_px = r->out_width;
    out->channels = r->channels;
    out->pixels = malloc(bytes);
    if (!out->pixels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an image");
    if (r->height != r->out_height)
        return resize_down(r, out->pixels);
    memcpy(out->pixels, r->narrow, bytes);
    return PULMO_OK;
}

pulmo_status resizer_end(resizer *r, pulmo_image *out)
{
    pulmo_status status = finish_image(r, out);
    if (status != PULMO_OK)
        pulmo_image_free(out);
    resizer_free(r);
    return status;
}

pulmo_status pulmo_image_resize(const pulmo_image *source, int height_px, int width_px,
                                pulmo_image *out)
{
    const int height = source->height_px;
    const int width = source->width_px;
    const uint8_t *from = source->pixels;
    resizer r;
    memset(out, 0, sizeof *out);
    PULMO_TRY(resizer_begin(&r, height, width, source->channels, height_px, width_px));
    const size_t row_bytes = wide_bytes(&r);
    for (int y = 0; y < height; y++) {
        uint8_t *row = resizer_row(&r);
        memcpy(row, from, row_bytes);
        resizer_took(&r);
        from += row_bytes;
    }
    return resizer_end(&r, out);
}
