/* Brightness and what else changes values, not places. Names and meanings are torchvision's; the
 * tests hold them against Pillow and the definitions. Basic operations in a fixed order: the same
 * bits on every machine. */
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "photometric.h"

#define BLUR_RADIUS_MAX 32

static inline float clamp255(float x)
{
    if (x < 0)
        return 0;
    return x > 255.0f ? 255.0f : x;
}

static size_t plane_pixels(planes p)
{
    return (size_t)p.height * (size_t)p.width;
}

/* ---- histograms ---- */

/* Pixels per level of the flat histogram, and half of that to begin with; 0 leaves all as it is.
 */
static uint32_t equalize_step(const uint32_t histogram[256], size_t pixels)
{
    for (int v = 255; v >= 0; v--) {
        if (histogram[v] == 0)
            continue;
        uint32_t rest = (uint32_t)pixels - histogram[v];
        if (rest > 0)
            return rest / 255;
    }
    return 0;
}

/* Pillow's ImageOps.equalize of one channel, whose values are rounded to whole levels first. */
static void equalize(float *plane, size_t pixels)
{
    uint32_t histogram[256] = {0};
    float to[256];
    for (size_t i = 0; i < pixels; i++) {
        plane[i] = rintf(plane[i]);
        histogram[(uint8_t)plane[i]]++;
    }
    const uint32_t step = equalize_step(histogram, pixels);
    if (step == 0)
        return;
    uint32_t sum = step / 2;
    for (int v = 0; v < 256; v++) {
        uint32_t level = sum / step;
        if (level > 255)
            level = 255;
        to[v] = (float)level;
        sum += histogram[v];
    }
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t value = (uint8_t)plane[i];
        plane[i] = to[value];
    }
}

/* The darkest value becomes 0, the brightest 255. */
static void autocontrast(float *plane, size_t pixels)
{
    float low = plane[0];
    float high = plane[0];
    for (size_t i = 1; i < pixels; i++) {
        const float value = plane[i];
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    if (high <= low)
        return;
    const float scale = 255.0f / (high - low);
    for (size_t i = 0; i < pixels; i++) {
        const float above = plane[i] - low;
        plane[i] = clamp255(above * scale);
    }
}

/* ---- brightness, contrast, gamma ---- */

/* Rec. 601 grey of the image, averaged in row order: what torchvision's contrast turns about. */
static float grey_mean(const float *values, int channels, size_t pixels)
{
    double sum = 0;
    for (size_t i = 0; i < pixels; i++) {
        float grey = values[i];
        if (channels > 1) {
            const float green = values[pixels + i];
            const float blue = values[2 * pixels + i];
            grey = 0.2989f * grey + 0.587f * green + 0.114f * blue;
        }
        sum += (double)grey;
    }
    const double mean = sum / (double)pixels;
    return (float)mean;
}

/* The logarithm of 2^e m, m near 1. */
static inline float log2_near_one(float m, float e)
{
    const float below = m - 1.0f;
    const float above = m + 1.0f;
    const float s = below / above;
    const float s2 = s * s;
    float series = 0.412198583f + s2 * 0.320598898f;
    series = 0.577078016f + s2 * series;
    series = 0.961796694f + s2 * series;
    series = 2.88539008f + s2 * series;
    return e + s * series;
}

/* 2^f for a fraction f. */
static inline float exp2_of_fraction(float f)
{
    float series = 0.000154035304f + f * 1.52527338e-05f;
    series = 0.00133335581f + f * series;
    series = 0.00961812911f + f * series;
    series = 0.0555041087f + f * series;
    series = 0.240226507f + f * series;
    series = 0.693147181f + f * series;
    return 1.0f + f * series;
}

/* x to the power g for 0 <= x <= 1, to about 1e-6, in basic operations alone: unlike powf, whose
 * last bits differ between processors, and the compiler can use vectors. x is 2^e m with m near 1;
 * its logarithm is a series in (m - 1) / (m + 1), and 2^t one in t's fraction. */
static inline float power(float x, float g)
{
    const float tiny =
        1e-30f; /* black has a logarithm too, and no branch keeps the loop out of vectors */
    int32_t bits;
    const int32_t one_exponent = 1 << 23;
    const int32_t root_half = 0x3f3504f3; /* the bits of sqrt(1/2) */
    float m = x + tiny;
    memcpy(&bits, &m, sizeof bits);
    const int32_t above = bits - root_half;
    const int32_t e = above / one_exponent - (above < 0);
    bits -= e * one_exponent;
    memcpy(&m, &bits, sizeof m);
    const float logarithm = log2_near_one(m, (float)e);
    const float t = g * logarithm;
    const int32_t k = (int32_t)(t - 0.5f);
    const float f = t - (float)k;
    const float two_f = exp2_of_fraction(f);
    const int32_t exponent = k < -126 ? 0 : k + 127; /* 0 makes the whole 0: black stays black */
    const int32_t lit = x > 0;
    const int32_t scale_bits = lit * exponent * one_exponent;
    float scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    return two_f * scale;
}

static void scale_values(float *values, size_t count, float factor, float offset)
{
    for (size_t i = 0; i < count; i++) {
        const float scaled = values[i] * factor;
        values[i] = clamp255(scaled + offset);
    }
}

static void change_gamma(float *values, size_t count, float gamma)
{
    for (size_t i = 0; i < count; i++) {
        const float part = values[i] / 255.0f;
        values[i] = 255.0f * power(part, gamma);
    }
}

static void change_levels(const pulmo_augment_draw *d, planes p)
{
    const size_t pixels = plane_pixels(p);
    const size_t count = (size_t)p.channels * pixels;
    const float brightness = (float)d->brightness;
    const float contrast = (float)d->contrast;
    const float gamma = (float)d->gamma;
    if (d->brightness != 1.0)
        scale_values(p.values, count, brightness, 0);
    if (d->contrast != 1.0) {
        const float mean = grey_mean(p.values, p.channels, pixels);
        const float rest = (1.0f - contrast) * mean;
        scale_values(p.values, count, contrast, rest);
    }
    if (d->gamma != 1.0)
        change_gamma(p.values, count, gamma);
}

/* ---- neighbourhoods ---- */

/* The mean of 3 x 3 pixels, that in the middle five times. */
static inline float smooth_at(const float *up, const float *here, const float *down, int x)
{
    const float middle = 5.0f * here[x];
    float sum = up[x - 1] + up[x] + up[x + 1];
    sum = sum + here[x - 1] + middle + here[x + 1];
    sum = sum + down[x - 1] + down[x] + down[x + 1];
    return sum / 13.0f;
}

/* torchvision's adjust_sharpness: between the image and its smooth self; the border stays. */
static void sharpen(float *plane, int height, int width, float factor, float *copy)
{
    const size_t pixels = (size_t)height * (size_t)width;
    const float rest = 1.0f - factor;
    assert(copy);
    memcpy(copy, plane, pixels * sizeof *copy);
    for (int y = 1; y < height - 1; y++) {
        const ptrdiff_t row = (ptrdiff_t)y * width;
        const float *here = copy + row;
        float *to = plane + row;
        for (int x = 1; x < width - 1; x++) {
            const float smooth = smooth_at(here - width, here, here + width, x);
            const float mixed = factor * here[x] + rest * smooth;
            to[x] = clamp255(mixed);
        }
    }
}

/* Without the edge pixel twice: -1 is 1. */
static int reflect(int at, int side)
{
    if (at < 0)
        at = -at;
    if (at >= side)
        at = 2 * side - 2 - at;
    if (at < 0)
        return 0;
    return at >= side ? side - 1 : at;
}

typedef struct blur_kernel {
    int radius;
    float weight[2 * BLUR_RADIUS_MAX + 1];
} blur_kernel;

static double gaussian(int at, double sigma)
{
    const double sigmas = at / sigma;
    return pulmo_exp(-0.5 * sigmas * sigmas);
}

/* torchvision's, of 2 ceil(3 sigma) + 1 weights. */
static blur_kernel make_blur_kernel(double sigma)
{
    int radius = (int)ceil(3 * sigma);
    if (radius > BLUR_RADIUS_MAX)
        radius = BLUR_RADIUS_MAX;
    blur_kernel out = {.radius = radius};
    double sum = 0;
    for (int i = -radius; i <= radius; i++)
        sum += gaussian(i, sigma);
    for (int i = -radius; i <= radius; i++) {
        const double weight = gaussian(i, sigma) / sum;
        out.weight[i + radius] = (float)weight;
    }
    return out;
}

static void blur_row(const blur_kernel *kernel, const float *from, int width, float *to)
{
    const int radius = kernel->radius;
    for (int x = 0; x < width; x++) {
        float value = 0;
        for (int i = -radius; i <= radius; i++) {
            const int column = reflect(x + i, width);
            value += kernel->weight[i + radius] * from[column];
        }
        to[x] = value;
    }
}

/* Of all rows of `from`, row y of the blurred image. */
static void blur_columns(const blur_kernel *kernel, const float *from, int height, int width, int y,
                         float *to)
{
    memset(to, 0, (size_t)width * sizeof *to);
    const int radius = kernel->radius;
    for (int i = -radius; i <= radius; i++) {
        const float weight = kernel->weight[i + radius];
        const ptrdiff_t source_y = reflect(y + i, height);
        const float *row = from + source_y * width;
        for (int x = 0; x < width; x++)
            to[x] += weight * row[x];
    }
}

/* torchvision's gaussian_blur, one direction after the other. */
static void blur(float *plane, int height, int width, double sigma, float *copy)
{
    assert(copy);
    const blur_kernel kernel = make_blur_kernel(sigma);
    for (int y = 0; y < height; y++) {
        const ptrdiff_t row = (ptrdiff_t)y * width;
        blur_row(&kernel, plane + row, width, copy + row);
    }
    for (int y = 0; y < height; y++) {
        const ptrdiff_t row = (ptrdiff_t)y * width;
        blur_columns(&kernel, copy, height, width, y, plane + row);
    }
}

/* Independent for every value; of whole images the same numbers for each channel would be grey
 * noise. */
static void add_noise(planes p, double sigma, pulmo_rng rng)
{
    const size_t count = (size_t)p.channels * plane_pixels(p);
    for (size_t i = 0; i < count; i++) {
        const double normal = pulmo_rng_normal(&rng);
        const double noise = 255.0 * sigma * normal;
        const float noisy = p.values[i] + (float)noise;
        p.values[i] = clamp255(noisy);
    }
}

/* ---- all of it ---- */

static void change_histograms(const pulmo_augment_draw *d, planes p)
{
    const size_t pixels = plane_pixels(p);
    float *plane = p.values;
    for (int c = 0; c < p.channels; c++) {
        if (d->equalize)
            equalize(plane, pixels);
        if (d->autocontrast)
            autocontrast(plane, pixels);
        plane += pixels;
    }
}

static void change_focus(const pulmo_augment_draw *d, planes p, float *copy)
{
    const size_t pixels = plane_pixels(p);
    float *plane = p.values;
    const float sharpness = (float)d->sharpness;
    for (int c = 0; c < p.channels; c++) {
        if (d->sharpness != 1.0)
            sharpen(plane, p.height, p.width, sharpness, copy);
        if (d->blur > 0)
            blur(plane, p.height, p.width, d->blur, copy);
        plane += pixels;
    }
}

bool photometric_apply(const pulmo_augment_draw *d, planes p)
{
    const bool sharpens = d->sharpness != 1.0;
    const bool blurs = d->blur > 0;
    const bool focused = sharpens || blurs;
    float *copy = NULL;
    if (focused) {
        copy = malloc(plane_pixels(p) * sizeof *copy);
        if (!copy)
            return false;
    }
    change_histograms(d, p);
    change_levels(d, p);
    if (focused)
        change_focus(d, p, copy);
    if (d->noise > 0)
        add_noise(p, d->noise, d->rng);
    free(copy);
    return true;
}
