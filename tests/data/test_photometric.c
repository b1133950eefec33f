/* Equalisation, contrast, sharpness against Pillow's own numbers; blur, noise and erasing against
 * their definitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "pulmo/augment.h"

#define H      20
#define W      24
#define PIXELS (H * W)

/* Pillow 9.4 on the picture below: ImageOps.equalize, ImageOps.autocontrast,
 * ImageEnhance.Sharpness(1.75) and (0.25). */
static const uint8_t equalized[] = {
    0,   75,  149, 215, 255, 255, 255, 5,   84,  151, 220, 255, 255, 255, 12,  92,  161, 223, 255,
    255, 255, 15,  103, 164, 178, 255, 255, 255, 72,  167, 255, 255, 255, 58,  159, 252, 255, 255,
    47,  146, 235, 255, 255, 33,  137, 223, 255, 255, 255, 255, 110, 220, 255, 255, 105, 215, 255,
    255, 96,  206, 255, 255, 84,  198, 255, 255, 75,  190, 255, 255, 67,  184, 33,  181, 255, 255,
    132, 255, 255, 75,  219, 255, 15,  167, 255, 255, 120, 255, 255, 58,  202, 255, 0,   151, 255,
    255, 209, 255, 63,  230, 255, 84,  254, 255, 110, 255, 255, 130, 255, 255, 149, 255, 255, 167,
    255, 12,  186, 255, 38,  206, 255, 96,  255, 255, 184, 255, 92,  255, 255, 181, 255, 84,  255,
    255, 178, 255, 81,  255, 255, 174, 255, 75,  255, 255, 72,  255, 15,  235, 255, 186, 255, 143,
    255, 96,  255, 38,  255, 255, 209, 255, 164, 255, 120, 255, 63,  255, 7,   230, 237, 255, 237,
    255, 237, 255, 237, 255, 237, 255, 237, 255, 237, 255, 237, 255, 237, 255, 237, 255, 237, 255,
    237, 255, 255, 194, 255, 250, 25,  255, 81,  255, 132, 255, 178, 255, 223, 0,   255, 54,  255,
    110, 255, 159, 255, 202, 255, 254, 108, 255, 198, 0,   255, 110, 255, 202, 5,   255, 117, 255,
    206, 7,   255, 120, 255, 209, 12,  255, 125, 255, 215, 15,  255, 110, 255, 254, 92,  255, 232,
    63,  255, 209, 41,  255, 190, 15,  255, 172, 255, 255, 151, 255, 255, 132, 255, 255, 255, 255,
    161, 7,   255, 209, 67,  255, 255, 128, 255, 255, 174, 25,  255, 223, 84,  255, 255, 139, 255,
    255, 186, 41,  139, 7,   255, 255, 146, 15,  255, 255, 151, 25,  255, 255, 161, 33,  255, 255,
    167, 41,  255, 255, 174, 51,  255, 255, 255, 209, 125, 15,  255, 255, 220, 132, 31,  255, 255,
    232, 143, 41,  255, 255, 250, 151, 54,  255, 255, 255, 164, 67,  255, 255, 255, 255, 198, 132,
    58,  255, 255, 255, 255, 190, 130, 51,  255, 255, 255, 255, 186, 125, 47,  255, 255, 255, 167,
    128, 75,  25,  255, 255, 255, 255, 255, 237, 194, 151, 110, 58,  7,   255, 255, 255, 255, 255,
    223, 181, 139, 96,  255, 255, 255, 255, 255, 232, 215, 190, 174, 151, 137, 117, 96,  67,  47,
    22,  0,   255, 255, 255, 255, 255, 255, 255, 22,  25,  31,  33,  38,  41,  47,  51,  54,  58,
    63,  67,  72,  75,  81,  84,  92,  96,  103, 105, 108, 110, 117, 120, 198, 223, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 22,  54,  84,  120, 143, 172, 194, 223, 254, 255, 255, 255, 255,
    255, 255, 255, 41,  105, 151, 202, 255, 255, 255, 255, 255, 33,  96,  146, 194, 252, 255, 255,
    255, 255, 25,  84,  139};
static const uint8_t stretched[] = {
    0,   36,  74,  110, 148, 184, 222, 2,   40,  76,  114, 150, 188, 224, 6,   42,  80,  116, 154,
    190, 228, 8,   46,  82,  90,  140, 190, 240, 34,  84,  134, 184, 234, 28,  78,  128, 178, 228,
    22,  72,  122, 172, 222, 16,  66,  116, 166, 216, 182, 244, 52,  114, 178, 240, 48,  110, 174,
    236, 44,  106, 170, 232, 40,  102, 166, 228, 36,  98,  162, 224, 32,  94,  16,  92,  168, 244,
    64,  140, 216, 36,  112, 188, 8,   84,  160, 236, 56,  132, 208, 28,  104, 180, 0,   76,  152,
    228, 108, 196, 30,  118, 208, 40,  130, 218, 52,  140, 230, 62,  152, 240, 74,  162, 252, 84,
    174, 6,   96,  184, 18,  106, 198, 44,  146, 248, 94,  196, 42,  144, 246, 92,  194, 40,  142,
    244, 90,  192, 38,  140, 242, 88,  190, 36,  138, 240, 34,  148, 8,   122, 238, 96,  212, 70,
    186, 44,  160, 18,  134, 248, 108, 222, 82,  196, 56,  170, 30,  144, 4,   118, 124, 252, 124,
    252, 124, 252, 124, 252, 124, 252, 124, 252, 124, 252, 124, 252, 124, 252, 124, 252, 124, 252,
    124, 252, 216, 100, 242, 126, 12,  152, 38,  178, 64,  204, 90,  230, 116, 0,   142, 26,  168,
    52,  194, 78,  220, 104, 246, 130, 50,  204, 102, 0,   154, 52,  206, 104, 2,   156, 54,  208,
    106, 4,   158, 56,  210, 108, 6,   160, 58,  212, 110, 8,   142, 52,  220, 130, 42,  208, 120,
    30,  198, 108, 20,  186, 98,  8,   176, 86,  255, 164, 76,  242, 154, 64,  232, 142, 232, 156,
    80,  4,   184, 108, 32,  212, 136, 60,  240, 164, 88,  12,  192, 116, 40,  220, 144, 68,  248,
    172, 96,  20,  68,  4,   198, 134, 72,  8,   202, 138, 76,  12,  206, 142, 80,  16,  210, 146,
    84,  20,  214, 150, 88,  24,  218, 154, 158, 108, 58,  8,   214, 164, 114, 64,  14,  220, 170,
    120, 70,  20,  226, 176, 126, 76,  26,  232, 182, 132, 82,  32,  250, 212, 176, 138, 102, 64,
    28,  246, 210, 172, 136, 98,  62,  24,  244, 206, 170, 132, 96,  58,  22,  240, 204, 166, 84,
    60,  36,  12,  244, 220, 196, 172, 148, 124, 100, 76,  52,  28,  4,   236, 212, 188, 164, 140,
    116, 92,  68,  44,  176, 164, 154, 142, 132, 120, 110, 98,  88,  76,  66,  54,  44,  32,  22,
    10,  0,   244, 234, 222, 212, 200, 190, 178, 10,  12,  14,  16,  18,  20,  22,  24,  26,  28,
    30,  32,  34,  36,  38,  40,  42,  44,  46,  48,  50,  52,  54,  56,  102, 116, 132, 146, 162,
    176, 192, 206, 222, 236, 252, 10,  26,  40,  56,  70,  86,  100, 116, 130, 146, 160, 176, 190,
    192, 220, 248, 20,  48,  76,  104, 132, 160, 188, 216, 244, 16,  44,  72,  100, 128, 156, 184,
    212, 240, 12,  40,  68};
static const uint8_t sharper[] = {
    40,  58,  77,  95,  114, 132, 151, 41,  60,  78,  97,  115, 134, 152, 43,  61,  80,  98,  117,
    135, 154, 44,  63,  81,  85,  117, 150, 189, 27,  67,  107, 147, 186, 31,  71,  104, 129, 175,
    28,  76,  101, 133, 172, 18,  58,  98,  138, 148, 131, 191, 36,  89,  136, 189, 42,  87,  134,
    187, 47,  93,  125, 177, 38,  91,  130, 175, 36,  89,  136, 181, 26,  87,  48,  78,  131, 191,
    49,  110, 169, 35,  88,  149, 14,  74,  120, 179, 45,  106, 159, 24,  92,  151, 10,  70,  123,
    154, 94,  159, 25,  91,  159, 37,  105, 170, 44,  110, 185, 56,  116, 181, 55,  128, 196, 67,
    142, 13,  88,  153, 19,  93,  139, 47,  120, 193, 72,  153, 38,  112, 192, 71,  158, 37,  111,
    183, 62,  151, 29,  110, 190, 76,  156, 43,  116, 160, 57,  121, 7,   93,  174, 73,  161, 52,
    140, 32,  127, 19,  99,  185, 72,  172, 59,  153, 38,  132, 25,  119, 5,   99,  102, 195, 94,
    195, 94,  195, 94,  195, 94,  195, 94,  195, 94,  195, 94,  195, 94,  195, 94,  195, 94,  195,
    94,  166, 148, 75,  183, 103, 16,  123, 29,  144, 50,  163, 63,  176, 90,  10,  118, 23,  131,
    43,  152, 64,  165, 77,  185, 105, 65,  157, 83,  10,  132, 51,  164, 92,  11,  133, 44,  165,
    93,  19,  140, 45,  166, 86,  13,  127, 46,  161, 87,  44,  111, 43,  180, 112, 46,  165, 100,
    32,  161, 94,  20,  148, 89,  21,  150, 68,  197, 129, 63,  190, 117, 49,  186, 111, 156, 125,
    72,  12,  153, 94,  33,  167, 115, 55,  189, 129, 84,  23,  157, 90,  37,  171, 112, 51,  193,
    133, 80,  50,  74,  12,  169, 114, 68,  14,  163, 116, 70,  16,  158, 111, 80,  25,  167, 113,
    74,  27,  169, 115, 69,  22,  179, 117, 119, 86,  54,  14,  176, 137, 97,  57,  17,  171, 132,
    100, 75,  27,  174, 128, 103, 70,  30,  185, 146, 106, 66,  56,  165, 167, 150, 116, 83,  49,
    24,  192, 160, 133, 108, 89,  71,  37,  192, 150, 125, 106, 80,  54,  21,  189, 164, 123, 82,
    47,  35,  16,  191, 171, 153, 133, 114, 102, 90,  78,  66,  46,  19,  187, 161, 141, 122, 110,
    90,  71,  51,  62,  128, 143, 139, 126, 113, 100, 95,  89,  84,  78,  73,  67,  62,  56,  43,
    30,  10,  191, 179, 172, 168, 161, 157, 129, 45,  23,  24,  25,  26,  27,  28,  29,  30,  31,
    40,  48,  57,  58,  59,  60,  53,  47,  40,  41,  42,  43,  44,  68,  91,  98,  113, 128, 143,
    149, 158, 164, 173, 179, 196, 22,  45,  60,  68,  75,  83,  90,  98,  105, 120, 135, 150, 135,
    136, 150, 164, 50,  64,  78,  92,  106, 120, 134, 148, 162, 48,  62,  76,  90,  104, 118, 132,
    146, 160, 46,  60,  74};
static const uint8_t smoother[] = {
    40,  58,  77,  95,  114, 132, 151, 41,  60,  78,  97,  115, 134, 152, 43,  61,  80,  98,  117,
    135, 154, 44,  63,  81,  85,  102, 120, 130, 86,  97,  107, 117, 127, 76,  86,  104, 129, 132,
    73,  76,  101, 118, 129, 78,  88,  98,  108, 148, 131, 132, 95,  104, 121, 130, 85,  102, 119,
    128, 76,  93,  125, 134, 81,  91,  115, 132, 79,  89,  106, 122, 85,  87,  48,  93,  116, 132,
    94,  110, 126, 80,  103, 119, 73,  89,  120, 136, 90,  106, 129, 84,  92,  108, 69,  85,  108,
    154, 94,  116, 84,  106, 129, 82,  105, 127, 87,  110, 125, 86,  116, 138, 98,  113, 136, 97,
    112, 72,  88,  110, 78,  93,  139, 77,  105, 134, 102, 123, 83,  112, 133, 101, 115, 82,  111,
    140, 107, 121, 88,  110, 131, 91,  113, 73,  101, 160, 57,  106, 80,  108, 144, 103, 131, 97,
    125, 91,  112, 78,  114, 142, 115, 129, 102, 123, 97,  117, 84,  104, 78,  99,  102, 136, 109,
    136, 109, 136, 109, 136, 109, 136, 109, 136, 109, 136, 109, 136, 109, 136, 109, 136, 109, 136,
    109, 166, 148, 105, 138, 103, 75,  108, 88,  114, 93,  120, 106, 133, 105, 69,  103, 82,  116,
    88,  122, 94,  135, 107, 140, 105, 65,  127, 98,  70,  102, 81,  121, 92,  70,  103, 89,  122,
    93,  64,  97,  90,  123, 101, 72,  112, 91,  131, 102, 44,  111, 88,  120, 97,  75,  122, 100,
    77,  116, 94,  79,  118, 89,  66,  105, 98,  137, 114, 92,  131, 117, 94,  126, 111, 156, 110,
    87,  72,  110, 94,  78,  124, 100, 85,  130, 114, 84,  68,  114, 105, 82,  128, 112, 96,  134,
    118, 95,  50,  74,  71,  109, 99,  83,  73,  118, 101, 85,  75,  128, 111, 80,  70,  122, 113,
    89,  72,  124, 115, 98,  81,  119, 117, 119, 101, 84,  74,  117, 107, 97,  87,  76,  128, 117,
    100, 75,  72,  131, 128, 103, 85,  75,  126, 116, 106, 96,  56,  165, 124, 105, 101, 98,  94,
    83,  133, 130, 118, 108, 89,  71,  67,  132, 135, 125, 106, 95,  84,  80,  130, 119, 123, 82,
    92,  80,  76,  132, 128, 123, 118, 114, 102, 90,  78,  66,  61,  64,  128, 131, 126, 122, 110,
    105, 101, 96,  62,  128, 100, 94,  96,  98,  100, 95,  89,  84,  78,  73,  67,  62,  56,  58,
    60,  69,  132, 134, 129, 123, 118, 112, 129, 45,  68,  69,  70,  71,  72,  73,  74,  75,  76,
    70,  63,  57,  58,  59,  60,  68,  77,  85,  86,  87,  88,  89,  68,  91,  98,  98,  98,  98,
    106, 113, 121, 128, 136, 136, 67,  60,  60,  68,  75,  83,  90,  98,  105, 105, 105, 105, 135,
    136, 150, 164, 50,  64,  78,  92,  106, 120, 134, 148, 162, 48,  62,  76,  90,  104, 118, 132,
    146, 160, 46,  60,  74};
static uint8_t picture[PIXELS];
static float out[3 * PIXELS];
static const float no_mean[3], no_std[3] = {1, 1, 1};

static int start(void **state)
{
    (void)state;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            picture[y * W + x] = (uint8_t)(40 + (x * 37 + y * 91 + x * y * 13) % 256 / 2);
    return 0;
}

static pulmo_augment_draw identity(void)
{
    return (pulmo_augment_draw){.crop_width = W,
                                .crop_height = H,
                                .brightness = 1,
                                .contrast = 1,
                                .gamma = 1,
                                .sharpness = 1};
}

/* On a scale of 0 to 255. */
static void apply(const pulmo_augment_draw *draw)
{
    assert_int_equal(pulmo_augment_apply(draw, picture, H, W, 1, no_mean, no_std, out), PULMO_OK);
    for (int i = 0; i < 3 * PIXELS; i++)
        out[i] *= 255.0f;
}

static void check_against(const uint8_t *wanted, float most)
{
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < PIXELS; i++)
            if (fabsf(out[c * PIXELS + i] - (float)wanted[i]) > most)
                fail_msg("pixel %d: %g, not %d", i, (double)out[c * PIXELS + i], wanted[i]);
}

static void pillows_numbers(void **state)
{
    (void)state;
    pulmo_augment_draw d = identity();
    d.equalize = 1;
    apply(&d);
    check_against(equalized, 1e-3f);
    d = identity();
    d.autocontrast = 1;
    apply(&d);
    check_against(stretched, 1.001f); /* Pillow cuts fractions off */
    d = identity();
    d.sharpness = 1.75;
    apply(&d);
    check_against(sharper, 1.4f); /* Pillow rounds the smooth image and cuts the result off */
    d.sharpness = 0.25;
    apply(&d);
    check_against(smoother, 1.4f);
}

static void flat_images_stay(void **state)
{
    (void)state;
    pulmo_augment_draw d = identity();
    memset(picture, 77, sizeof picture);
    d.equalize = d.autocontrast = 1;
    d.sharpness = 2;
    d.blur = 1.5;
    apply(&d);
    for (int i = 0; i < PIXELS; i++)
        assert_true(fabsf(out[i] - 77) < 1e-3f);
    start(NULL);
}

static int mirror(int at, int side)
{
    if (at < 0)
        return -at;
    return at >= side ? 2 * side - 2 - at : at;
}

/* The two-dimensional sum of the definition, in doubles. */
static void blur_is_a_gaussian(void **state)
{
    (void)state;
    const double sigma = 0.8;
    const int radius = 3; /* ceil(3 * 0.8) */
    pulmo_augment_draw d = identity();
    d.blur = sigma;
    apply(&d);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            double sum = 0, weights = 0;
            for (int j = -radius; j <= radius; j++)
                for (int i = -radius; i <= radius; i++) {
                    double w = exp(-(i * i + j * j) / (2 * sigma * sigma));
                    weights += w;
                    sum += w * picture[mirror(y + j, H) * W + mirror(x + i, W)];
                }
            assert_true(fabs(out[y * W + x] - sum / weights) < 1e-2);
        }
}

/* Over many images the noise has its mean and deviation; one sample's noise is always the same,
 * another's is not. */
static void noise_is_normal(void **state)
{
    (void)state;
    pulmo_augment_spec spec;
    double sum = 0, square = 0;
    static float again[3 * PIXELS];
    pulmo_augment_spec_init(&spec);
    spec.noise = 0.02;
    const int images = 300;
    for (int i = 0; i < images; i++) {
        pulmo_augment_draw d;
        pulmo_augment_draw_at(&spec, 1, 2, (uint64_t)i, H, W, &d);
        memcpy(again, out, sizeof out);
        apply(&d);
        if (i > 0)
            assert_memory_not_equal(again, out, sizeof out);
        for (int k = 0; k < PIXELS; k++) {
            double e = out[k] - picture[k];
            sum += e;
            square += e * e;
        }
        memcpy(again, out, sizeof out);
        apply(&d);
        assert_memory_equal(again, out, sizeof out);
    }
    double n = (double)images * PIXELS, deviation = 0.02 * 255;
    assert_true(fabs(sum / n) < 5 * deviation / sqrt(n));
    assert_true(fabs(sqrt(square / n) / deviation - 1) < 5 / sqrt(2 * n));
}

/* A rectangle of 0 after normalisation, of 2 % to 33 % of the image, as often as asked for. */
static void erasing_is_a_rectangle(void **state)
{
    (void)state;
    static const float mean[3] = {0.4f, 0.5f, 0.6f}, deviation[3] = {0.2f, 0.3f, 0.2f};
    enum { SIDE = 64 };
    static uint8_t white[SIDE * SIDE];
    static float image[3 * SIDE * SIDE];
    int erased = 0;
    pulmo_augment_spec spec;
    pulmo_augment_spec_init(&spec);
    spec.erasing = 0.3;
    memset(white, 255, sizeof white);
    for (uint64_t i = 0; i < 400; i++) {
        pulmo_augment_draw d;
        int zeros = 0;
        pulmo_augment_draw_at(&spec, 1, 2, i, SIDE, SIDE, &d);
        assert_int_equal(pulmo_augment_apply(&d, white, SIDE, SIDE, 1, mean, deviation, image),
                         PULMO_OK);
        for (int k = 0; k < SIDE * SIDE; k++) {
            bool inside = k / SIDE >= d.erase_y && k / SIDE < d.erase_y + d.erase_height &&
                          k % SIDE >= d.erase_x && k % SIDE < d.erase_x + d.erase_width;
            for (int c = 0; c < 3; c++)
                assert_true((image[c * SIDE * SIDE + k] == 0) == inside);
            zeros += inside;
        }
        assert_int_equal(zeros, d.erase_height * d.erase_width);
        if (zeros > 0)
            assert_in_range(zeros, SIDE * SIDE * 0.015, SIDE * SIDE * 0.35);
        erased += zeros > 0;
    }
    assert_in_range(erased, 80, 160);
}

/* What is new does not move what was there: the same seed draws the same crop, turn and gamma. */
static void a_seed_keeps_its_meaning(void **state)
{
    (void)state;
    pulmo_augment_spec plain, rich;
    pulmo_augment_spec_init(&plain);
    plain.crop_scale[0] = 0.5;
    plain.rotate_deg = 10;
    plain.gamma[0] = 0.8;
    plain.gamma[1] = 1.2;
    rich = plain;
    rich.equalize = rich.autocontrast = rich.erasing = 0.5;
    rich.noise = 0.01;
    rich.sharpness[0] = 0.5;
    rich.blur[1] = 1;
    for (uint64_t i = 0; i < 50; i++) {
        pulmo_augment_draw a, b;
        pulmo_augment_draw_at(&plain, 3, 1, i, 64, 64, &a);
        pulmo_augment_draw_at(&rich, 3, 1, i, 64, 64, &b);
        assert_true(a.crop_x == b.crop_x && a.crop_width == b.crop_width &&
                    a.angle_deg == b.angle_deg && a.gamma == b.gamma);
    }
}

/* A strength of 0 leaves the flip alone; one of a half halves ranges and probabilities; [0, 1]
 * fills what is between. */
static void strength_shrinks_all_but_the_flip(void **state)
{
    (void)state;
    enum { N = 4000 };
    pulmo_augment_spec spec;
    pulmo_augment_spec_init(&spec);
    spec.crop_scale[0] = 0.5;
    spec.rotate_deg = 20;
    spec.contrast[0] = 0.6;
    spec.gamma[0] = 0.25;
    spec.gamma[1] = 4;
    spec.hflip = spec.equalize = 0.5;
    spec.noise = 0.1;
    spec.blur[1] = 2;
    const double ranges[3][2] = {{0, 0}, {0.5, 0.5}, {0, 1}};
    for (int r = 0; r < 3; r++) {
        double flips = 0, even = 0, turn = 0, smallest = 1, low_gamma = 1, most_blur = 0, noise = 0;
        memcpy(spec.strength, ranges[r], sizeof spec.strength);
        for (uint64_t i = 0; i < N; i++) {
            pulmo_augment_draw d;
            pulmo_augment_draw_at(&spec, 3, 1, i, 64, 64, &d);
            double part = d.crop_width * d.crop_height / (64.0 * 64.0);
            flips += (double)d.flip / N;
            even += (double)d.equalize / N;
            turn += fabs(d.angle_deg) / N;
            noise += d.noise / N;
            smallest = part < smallest ? part : smallest;
            low_gamma = d.gamma < low_gamma ? d.gamma : low_gamma;
            most_blur = d.blur > most_blur ? d.blur : most_blur;
        }
        const double most[3] = {0, 0.5, 1}, mean[3] = {0, 0.5, 0.5};
        assert_true(fabs(flips - 0.5) < 5 * 0.5 / sqrt(N));
        assert_true(fabs(even - 0.5 * mean[r]) < 5 * 0.5 / sqrt(N));
        assert_true(fabs(turn - 10 * mean[r]) < 0.5 && fabs(noise - 0.1 * mean[r]) < 0.003);
        assert_true(fabs(smallest - (1 - 0.5 * most[r])) < 0.05); /* sides are rounded */
        assert_true(low_gamma >= pow(0.25, most[r]) - 1e-12 &&
                    low_gamma < pow(0.25, 0.9 * most[r]) + 1e-12);
        assert_true(most_blur <= 2 * most[r] && most_blur >= 1.8 * most[r]);
    }
}

/* A strength of light alone: at 0 no value changes, and crops and angles are those drawn without a
 * strength's shrinking. */
static void strength_of_light_spares_the_geometry(void **state)
{
    (void)state;
    enum { N = 500 };
    pulmo_augment_spec spec;
    pulmo_augment_spec_init(&spec);
    spec.crop_scale[0] = 0.5;
    spec.crop_ratio[0] = 0.6;
    spec.rotate_deg = 20;
    spec.translate[0] = 0.1;
    spec.contrast[0] = 0.6;
    spec.noise = 0.1;
    spec.blur[1] = 2;
    spec.strength_of_light = 1;
    double smallest = 1, steepest = 0;
    for (uint64_t i = 0; i < N; i++) {
        pulmo_augment_draw none, some;
        spec.strength[0] = spec.strength[1] = 0;
        pulmo_augment_draw_at(&spec, 3, 1, i, 64, 64, &none);
        spec.strength[0] = spec.strength[1] = 0.5;
        pulmo_augment_draw_at(&spec, 3, 1, i, 64, 64, &some);
        assert_true(none.contrast == 1.0 && none.noise == 0.0 && none.blur == 0.0);
        assert_true(some.noise == 0.05 && none.crop_x == some.crop_x &&
                    none.crop_width == some.crop_width && none.crop_height == some.crop_height &&
                    none.angle_deg == some.angle_deg && none.shift_x == some.shift_x);
        smallest = fmin(smallest, none.crop_width * none.crop_height / (64.0 * 64.0));
        steepest = fmax(steepest, fabs(none.angle_deg));
    }
    assert_true(smallest < 0.55 && steepest > 19);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    pulmo_augment_spec spec;
    pulmo_augment_spec_init(&spec);
    assert_int_equal(pulmo_augment_spec_check(&spec), PULMO_OK);
    double *wrong[] = {&spec.equalize,    &spec.autocontrast, &spec.noise,       &spec.erasing,
                       &spec.strength[1], &spec.blur[1],      &spec.sharpness[1]};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        double before = *wrong[i];
        *wrong[i] = i < 5 ? 1.01 : 1e6;
        assert_int_equal(pulmo_augment_spec_check(&spec), PULMO_CONFIG);
        *wrong[i] = before;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pillows_numbers),
        cmocka_unit_test(flat_images_stay),
        cmocka_unit_test(blur_is_a_gaussian),
        cmocka_unit_test(noise_is_normal),
        cmocka_unit_test(erasing_is_a_rectangle),
        cmocka_unit_test(a_seed_keeps_its_meaning),
        cmocka_unit_test(strength_shrinks_all_but_the_flip),
        cmocka_unit_test(strength_of_light_spares_the_geometry),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
