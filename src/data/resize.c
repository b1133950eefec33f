/* Antialiased bilinear resize with Pillow's arithmetic: a horizontal pass rounded to 8 bits, then
 * a vertical one; a triangle filter as wide as the scale; coefficients in 22-bit fixed point.
 * Integers throughout: the same pixels on every machine.
 * The horizontal pass is described in resize.h. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/image.h"
#include "pulmo/isa.h"
#include "pulmo/memory.h"
#include "resize.h"

#define PRECISION_BITS RESIZE_BITS
#define ROWS RESIZE_ROWS

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define WIDE __attribute__((target_clones("default", "avx2")))
#else
#define WIDE
#endif

static void taps_free(resize_taps *t)
{
    free(t->first);
    free(t->count);
    free(t->weight);
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Weights of one output, normalised to 1, then in fixed point, rounded away from zero at half. */
static void fill_taps(resize_taps *t, int position, double scale, double filter_scale, int inputs, double *raw)
{
    double center = (position + 0.5) * scale, support = filter_scale, shrink = 1.0 / filter_scale, sum = 0;
    int first = (int)(center - support + 0.5), last = (int)(center + support + 0.5);
    if (first < 0) first = 0;
    if (last > inputs) last = inputs;
    for (int i = 0; i < last - first; i++) {
        raw[i] = triangle((i + first - center + 0.5) * shrink); /* rounded in Pillow's order */
        sum += raw[i];
    }
    for (int i = 0; i < last - first; i++) {
        double value = (sum != 0.0 ? raw[i] / sum : raw[i]) * (1 << PRECISION_BITS);
        t->weight[(size_t)position * (size_t)t->most + (size_t)i] = (int32_t)(value < 0 ? value - 0.5 : value + 0.5);
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
    double *raw = malloc((size_t)t->most * sizeof *raw);
    bool whole = t->first && t->count && t->weight && raw;
    for (int i = 0; whole && i < outputs; i++) fill_taps(t, i, scale, filter_scale, inputs, raw);
    free(raw);
    if (whole) return PULMO_OK;
    taps_free(t);
    return pulmo_fail(PULMO_MEMORY, "out of memory for a resize");
}

static inline uint8_t clip8(int32_t sum)
{
    int32_t value = sum >> PRECISION_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void resize_interleave_ref(const uint8_t *const rows[ROWS], size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < ROWS; r++) out[i * ROWS + r] = rows[r][i];
}

void resize_horizontal_ref(const resize_taps *t, const uint8_t *restrict in, int channels, int outputs,
                           uint8_t *const rows[ROWS])
{
    for (int x = 0; x < outputs; x++) {
        const int32_t *weight = t->weight + (size_t)x * (size_t)t->most;
        for (int c = 0; c < channels; c++) {
            const uint8_t *from = in + ((size_t)t->first[x] * (size_t)channels + (size_t)c) * ROWS;
            int32_t sum[ROWS];
            for (int r = 0; r < ROWS; r++) sum[r] = 1 << (PRECISION_BITS - 1);
            for (int i = 0; i < t->count[x]; i++, from += (size_t)channels * ROWS)
                for (int r = 0; r < ROWS; r++) sum[r] += from[r] * weight[i];
            for (int r = 0; r < ROWS; r++) rows[r][x * channels + c] = clip8(sum[r]);
        }
    }
}

static pulmo_status horizontal(const pulmo_image *source, int width_px, pulmo_image *out)
{
    resize_taps t;
    size_t channels = (size_t)source->channels, in = (size_t)source->width_px * channels, wide = (size_t)width_px * channels;
    PULMO_TRY(taps_make(source->width_px, width_px, &t));
    uint8_t *mixed = malloc(in * ROWS), *spill = malloc(wide);
    out->pixels = malloc(wide * (size_t)source->height_px);
    bool whole = mixed && spill && out->pixels, avx2 = pulmo_isa_available(PULMO_ISA_AVX2);
    resize_interleave interleave = avx2 ? resize_interleave_avx2 : resize_interleave_ref;
    resize_horizontal horizontal_block = avx2 ? resize_horizontal_avx2 : resize_horizontal_ref;
    for (int y = 0; whole && y < source->height_px; y += ROWS) {
        const uint8_t *from[ROWS];
        uint8_t *to[ROWS];
        for (int r = 0; r < ROWS; r++) {
            bool inside = y + r < source->height_px; /* the last block repeats its last row, into nowhere */
            from[r] = source->pixels + in * (size_t)(inside ? y + r : source->height_px - 1);
            to[r] = inside ? out->pixels + wide * (size_t)(y + r) : spill;
        }
        interleave(from, in, mixed);
        horizontal_block(&t, mixed, source->channels, width_px, to);
    }
    free(mixed);
    free(spill);
    taps_free(&t);
    if (!whole) return pulmo_fail(PULMO_MEMORY, "out of memory for a resize");
    out->height_px = source->height_px;
    out->width_px = width_px;
    out->channels = source->channels;
    return PULMO_OK;
}

WIDE static void vertical_row(const uint8_t *restrict in, size_t stride, const int32_t *weight, int count,
                              int32_t *restrict sums, uint8_t *restrict out)
{
    for (size_t i = 0; i < stride; i++) sums[i] = 1 << (PRECISION_BITS - 1);
    for (int k = 0; k < count; k++)
        for (size_t i = 0; i < stride; i++) sums[i] += in[(size_t)k * stride + i] * weight[k];
    for (size_t i = 0; i < stride; i++) out[i] = clip8(sums[i]);
}

static pulmo_status vertical(const pulmo_image *source, int height_px, pulmo_image *out)
{
    resize_taps t;
    size_t stride = (size_t)source->width_px * (size_t)source->channels;
    PULMO_TRY(taps_make(source->height_px, height_px, &t));
    int32_t *sums = malloc(stride * sizeof *sums);
    out->pixels = malloc(stride * (size_t)height_px);
    bool whole = sums && out->pixels;
    for (int y = 0; whole && y < height_px; y++)
        vertical_row(source->pixels + (size_t)t.first[y] * stride, stride, t.weight + (size_t)y * (size_t)t.most,
                     t.count[y], sums, out->pixels + (size_t)y * stride);
    free(sums);
    taps_free(&t);
    if (!whole) return pulmo_fail(PULMO_MEMORY, "out of memory for a resize");
    out->height_px = height_px;
    out->width_px = source->width_px;
    out->channels = source->channels;
    return PULMO_OK;
}

static pulmo_status copy_image(const pulmo_image *source, pulmo_image *out)
{
    size_t bytes = (size_t)source->height_px * (size_t)source->width_px * (size_t)source->channels;
    *out = *source;
    out->pixels = malloc(bytes);
    if (!out->pixels) return pulmo_fail(PULMO_MEMORY, "out of memory for an image");
    memcpy(out->pixels, source->pixels, bytes);
    return PULMO_OK;
}

/* A pass that would change nothing is left out, as Pillow does. */
pulmo_status pulmo_image_resize(const pulmo_image *source, int height_px, int width_px, pulmo_image *out)
{
    pulmo_image between = {0};
    bool across = source->width_px != width_px, down = source->height_px != height_px;
    memset(out, 0, sizeof *out);
    pulmo_status status = PULMO_OK;
    if (!across && !down) status = copy_image(source, out);
    else if (!across) status = vertical(source, height_px, out);
    else if (!down) status = horizontal(source, width_px, out);
    else {
        status = horizontal(source, width_px, &between);
        if (status == PULMO_OK) status = vertical(&between, height_px, out);
    }
    pulmo_image_free(&between);
    if (status != PULMO_OK) pulmo_image_free(out);
    return status;
}

int pulmo_image_collapse_grey(pulmo_image *image)
{
    size_t count = (size_t)image->height_px * (size_t)image->width_px;
    if (image->channels == 1) return 1;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = image->pixels + 3 * i;
        if (p[0] != p[1] || p[1] != p[2]) return 0;
    }
    for (size_t i = 0; i < count; i++) image->pixels[i] = image->pixels[3 * i];
    image->channels = 1;
    return 1;
}
