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
        to[v] = level > 255 ? 255.0f : (float)level;
        sum += histogram[v];
    }
    for (size_t i = 0; i < pixels; i++)
        plane[i] = to[(uint8_t)plane[i]];
}

/* The darkest value becomes 0, the brightest 255. */
static void autocontrast(float *plane, size_t pixels)
{
    float low = plane[0], high = plane[0];
    for (size_t i = 1; i < pixels; i++) {
        low = plane[i] < low ? plane[i] : low;
        high = plane[i] > high ? plane[i] : high;
    }
    if (high <= low)
        return;
    float scale = 255.0f / (high - low);
    for (size_t i = 0; i < pixels; i++)
        plane[i] = clamp255((plane[i] - low) * scale);
}

/* ---- brightness, contrast, gamma ---- */

/* Rec. 601 grey of the image, averaged in row order: what torchvision's contrast turns about. */
static float grey_mean(const float *values, int channels, size_t pixels)
{
    double sum = 0;
    for (size_t i = 0; i < pixels; i++) {
        float grey = values[i];
        if (channels > 1)
            grey = 0.2989f * grey + 0.587f * values[pixels + i] + 0.114f * values[2 * pixels + i];
        sum += (double)grey;
    }
    return (float)(sum / (double)pixels);
}

/* x to the power g for 0 <= x <= 1, to about 1e-6, in basic operations alone: unlike powf, whose
 * last bits differ between processors, and the compiler can use vectors. x is 2^e m with m near 1;
 * its logarithm is a series in (m - 1) / (m + 1), and 2^t one in t's fraction. */
static inline float power(float x, float g)
{
    const float tiny =
        1e-30f; /* black has a logarithm too, and no branch keeps the loop out of vectors */
    int32_t bits;
    float m = x + tiny;
    memcpy(&bits, &m, sizeof bits);
    int32_t e = (bits - 0x3f3504f3) / (1 << 23) - (bits < 0x3f3504f3); /* 0x3f3504f3 is sqrt(1/2) */
    bits -= e * (1 << 23);
    memcpy(&m, &bits, sizeof m);
    float s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
    float log2 =
        (float)e +
        s * (2.88539008f +
             s2 * (0.961796694f + s2 * (0.577078016f + s2 * (0.412198583f + s2 * 0.320598898f))));
    float t = g * log2;
    int32_t k = (int32_t)(t - 0.5f);
    float f = t - (float)k;
    float two_f =
        1.0f +
        f * (0.693147181f +
             f * (0.240226507f +
                  f * (0.0555041087f +
                       f * (0.00961812911f +
                            f * (0.00133335581f + f * (0.000154035304f + f * 1.52527338e-05f))))));
    int32_t exponent = k < -126 ? 0 : k + 127; /* 0 makes the whole 0: black stays black */
    int32_t lit = x > 0;
    int32_t scale_bits = lit * exponent * (1 << 23);
    float scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    return two_f * scale;
}

static void scale_values(float *values, size_t count, float factor, float offset)
{
    for (size_t i = 0; i < count; i++)
        values[i] = clamp255(values[i] * factor + offset);
}

static void change_levels(const pulmo_augment_draw *d, planes p)
{
    const size_t pixels = plane_pixels(p), count = (size_t)p.channels * pixels;
    const float contrast = (float)d->contrast, gamma = (float)d->gamma;
    if (d->brightness != 1.0)
        scale_values(p.values, count, (float)d->brightness, 0);
    if (d->contrast != 1.0) {
        float rest = (1.0f - contrast) * grey_mean(p.values, p.channels, pixels);
        scale_values(p.values, count, contrast, rest);
    }
    if (d->gamma != 1.0)
        for (size_t i = 0; i < count; i++)
            p.values[i] = 255.0f * power(p.values[i] / 255.0f, gamma);
}

/* ---- neighbourhoods ---- */

/* The mean of 3 x 3 pixels, that in the middle five times. */
static inline float smooth_at(const float *up, const float *here, const float *down, int x)
{
    float above = up[x - 1] + up[x] + up[x + 1];
    float sum =
        above + here[x - 1] + 5.0f * here[x] + here[x + 1] + down[x - 1] + down[x] + down[x + 1];
    return sum / 13.0f;
}

/* torchvision's adjust_sharpness: between the image and its smooth self; the border stays. */
static void sharpen(float *plane, int height, int width, float factor, float *copy)
{
    assert(copy);
    memcpy(copy, plane, (size_t)height * (size_t)width * sizeof *copy);
    for (int y = 1; y < height - 1; y++) {
        const float *here = copy + (ptrdiff_t)y * width;
        float *to = plane + (ptrdiff_t)y * width;
        for (int x = 1; x < width - 1; x++) {
            float smooth = smooth_at(here - width, here, here + width, x);
            to[x] = clamp255(factor * here[x] + (1.0f - factor) * smooth);
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
    return exp(-0.5 * (at / sigma) * (at / sigma));
}

/* torchvision's, of 2 ceil(3 sigma) + 1 weights. */
static blur_kernel make_blur_kernel(double sigma)
{
    blur_kernel out = {.radius = (int)ceil(3 * sigma)};
    double sum = 0;
    if (out.radius > BLUR_RADIUS_MAX)
        out.radius = BLUR_RADIUS_MAX;
    for (int i = -out.radius; i <= out.radius; i++)
        sum += gaussian(i, sigma);
    for (int i = -out.radius; i <= out.radius; i++)
        out.weight[i + out.radius] = (float)(gaussian(i, sigma) / sum);
    return out;
}

static void blur_row(const blur_kernel *kernel, const float *from, int width, float *to)
{
    const int radius = kernel->radius;
    for (int x = 0; x < width; x++) {
        float value = 0;
        for (int i = -radius; i <= radius; i++)
            value += kernel->weight[i + radius] * from[reflect(x + i, width)];
        to[x] = value;
    }
}

/* Of all rows of `from`, row y of the blurred image. */
static void blur_columns(const blur_kernel *kernel, const float *from, int height, int width, int y,
                         float *to)
{
    memset(to, 0, (size_t)width * sizeof *to);
    for (int i = -kernel->radius; i <= kernel->radius; i++) {
        const float weight = kernel->weight[i + kernel->radius];
        const float *row = from + (ptrdiff_t)reflect(y + i, height) * width;
        for (int x = 0; x < width; x++)
            to[x] += weight * row[x];
    }
}

/* torchvision's gaussian_blur, one direction after the other. */
static void blur(float *plane, int height, int width, double sigma, float *copy)
{
    assert(copy);
    const blur_kernel kernel = make_blur_kernel(sigma);
    for (int y = 0; y < height; y++)
        blur_row(&kernel, plane + (ptrdiff_t)y * width, width, copy + (ptrdiff_t)y * width);
    for (int y = 0; y < height; y++)
        blur_columns(&kernel, copy, height, width, y, plane + (ptrdiff_t)y * width);
}

/* Independent for every value; of whole images the same numbers for each channel would be grey
 * noise. */
static void add_noise(planes p, double sigma, pulmo_rng rng)
{
    const size_t count = (size_t)p.channels * plane_pixels(p);
    for (size_t i = 0; i < count; i++) {
        float noise = (float)(255.0 * sigma * pulmo_rng_normal(&rng));
        p.values[i] = clamp255(p.values[i] + noise);
    }
}

/* ---- all of it ---- */

static void change_histograms(const pulmo_augment_draw *d, planes p)
{
    const size_t pixels = plane_pixels(p);
    float *plane = p.values;
    for (int c = 0; c < p.channels; c++, plane += pixels) {
        if (d->equalize)
            equalize(plane, pixels);
        if (d->autocontrast)
            autocontrast(plane, pixels);
    }
}

static void change_focus(const pulmo_augment_draw *d, planes p, float *copy)
{
    const size_t pixels = plane_pixels(p);
    float *plane = p.values;
    for (int c = 0; c < p.channels; c++, plane += pixels) {
        if (d->sharpness != 1.0)
            sharpen(plane, p.height, p.width, (float)d->sharpness, copy);
        if (d->blur > 0)
            blur(plane, p.height, p.width, d->blur, copy);
    }
}

bool photometric_apply(const pulmo_augment_draw *d, planes p)
{
    const bool focused = d->sharpness != 1.0 || d->blur > 0;
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
