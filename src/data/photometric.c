/* Brightness and what else changes values, not places. Names and meanings are torchvision's; the
 * tests hold them against Pillow and the definitions. Basic operations in a fixed order: the same
 * bits on every machine. */
#include <assert.h>
#include <math.h>
#include <stdbool.h>
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
static size_t plane_of(planes p)
{
    return (size_t)p.height * (size_t)p.width;
}

/* ---- histograms ---- */

/* Pillow's ImageOps.equalize of one channel, whose values are rounded to whole levels first. */
static void equalize(float *plane, size_t pixels)
{
    uint32_t histogram[256] = {0}, step = 0, sum;
    float to[256];
    for (size_t i = 0; i < pixels; i++) {
        plane[i] = rintf(plane[i]);
        histogram[(uint8_t)plane[i]]++;
    }
    for (int v = 255; v >= 0 && step == 0; v--)
        step = histogram[v] ? (uint32_t)pixels - histogram[v] : 0;
    step /= 255;
    if (step == 0)
        return;
    sum = step / 2;
    for (int v = 0; v < 256; sum += histogram[v], v++) {
        int level = (int)(sum / step);
        to[v] = level > 255 ? 255.0f : (float)level;
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
    for (size_t i = 0; i < pixels; i++)
        sum += channels == 1 ? (double)values[i]
                             : (double)(0.2989f * values[i] + 0.587f * values[pixels + i] +
                                        0.114f * values[2 * pixels + i]);
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

static void levels(const pulmo_augment_draw *d, planes p)
{
    size_t pixels = plane_of(p), count = (size_t)p.channels * pixels;
    float *values = p.values, brightness = (float)d->brightness, contrast = (float)d->contrast,
          gamma = (float)d->gamma;
    if (d->brightness != 1.0)
        for (size_t i = 0; i < count; i++)
            values[i] = clamp255(values[i] * brightness);
    if (d->contrast != 1.0) {
        float rest = (1.0f - contrast) * grey_mean(values, p.channels, pixels);
        for (size_t i = 0; i < count; i++)
            values[i] = clamp255(values[i] * contrast + rest);
    }
    if (d->gamma != 1.0)
        for (size_t i = 0; i < count; i++)
            values[i] = 255.0f * power(values[i] / 255.0f, gamma);
}

/* ---- neighbourhoods ---- */

/* torchvision's adjust_sharpness: between the image and its 3 x 3 mean with a centre of weight 5;
 * the border stays. */
static void sharpen(float *plane, int height, int width, float factor, float *copy)
{
    assert(copy);
    memcpy(copy, plane, (size_t)height * (size_t)width * sizeof *copy);
    for (int y = 1; y < height - 1; y++)
        for (int x = 1; x < width - 1; x++) {
            const float *c = copy + (size_t)y * (size_t)width + x, *up = c - width,
                        *down = c + width;
            float smooth = (up[-1] + up[0] + up[1] + c[-1] + 5.0f * c[0] + c[1] + down[-1] +
                            down[0] + down[1]) /
                           13.0f;
            plane[(size_t)y * (size_t)width + (size_t)x] =
                clamp255(factor * c[0] + (1.0f - factor) * smooth);
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

/* torchvision's gaussian_blur with a kernel of 2 ceil(3 sigma) + 1, one direction after the other.
 */
static void blur(float *plane, int height, int width, double sigma, float *copy)
{
    assert(copy);
    float kernel[2 * BLUR_RADIUS_MAX + 1] = {0};
    double sum = 0;
    int radius = (int)ceil(3 * sigma);
    if (radius > BLUR_RADIUS_MAX)
        radius = BLUR_RADIUS_MAX;
    for (int i = -radius; i <= radius; i++)
        sum += exp(-0.5 * (i / sigma) * (i / sigma));
    for (int i = -radius; i <= radius; i++)
        kernel[i + radius] = (float)(exp(-0.5 * (i / sigma) * (i / sigma)) / sum);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            float value = 0;
            for (int i = -radius; i <= radius; i++)
                value += kernel[i + radius] *
                         plane[(size_t)y * (size_t)width + (size_t)reflect(x + i, width)];
            copy[(size_t)y * (size_t)width + (size_t)x] = value;
        }
    for (int y = 0; y < height; y++) {
        float *row = plane + (size_t)y * (size_t)width;
        memset(row, 0, (size_t)width * sizeof *row);
        for (int i = -radius; i <= radius; i++) {
            const float *from = copy + (size_t)reflect(y + i, height) * (size_t)width;
            for (int x = 0; x < width; x++)
                row[x] += kernel[i + radius] * from[x];
        }
    }
}

/* Independent for every value; of whole images the same numbers for each channel would be grey
 * noise. */
static void add_noise(planes p, double sigma, pulmo_rng rng)
{
    size_t count = (size_t)p.channels * plane_of(p);
    for (size_t i = 0; i < count; i++)
        p.values[i] = clamp255(p.values[i] + (float)(255.0 * sigma * pulmo_rng_normal(&rng)));
}

bool photometric_apply(const pulmo_augment_draw *d, planes p)
{
    size_t pixels = plane_of(p);
    bool near = d->sharpness != 1.0 || d->blur > 0;
    float *copy = near ? malloc(pixels * sizeof *copy) : NULL;
    if (near && !copy)
        return false;
    for (int c = 0; c < p.channels; c++) {
        if (d->equalize)
            equalize(p.values + (size_t)c * pixels, pixels);
        if (d->autocontrast)
            autocontrast(p.values + (size_t)c * pixels, pixels);
    }
    levels(d, p);
    for (int c = 0; c < p.channels; c++) {
        if (d->sharpness != 1.0)
            sharpen(p.values + (size_t)c * pixels, p.height, p.width, (float)d->sharpness, copy);
        if (d->blur > 0)
            blur(p.values + (size_t)c * pixels, p.height, p.width, d->blur, copy);
    }
    if (d->noise > 0)
        add_noise(p, d->noise, d->rng);
    free(copy);
    return true;
}
