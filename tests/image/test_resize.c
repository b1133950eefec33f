/* Resize: against the same sums in doubles, written the slow way, and what must hold of any resize.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "pulmo/image.h"
#include "pulmo/isa.h"
#include "pulmo/rng.h"

#include "resize.h"

static pulmo_image noise(int height, int width, int channels, uint32_t which)
{
    pulmo_rng rng;
    size_t bytes = (size_t)height * (size_t)width * (size_t)channels;
    pulmo_image image = {
        .height_px = height, .width_px = width, .channels = channels, .pixels = malloc(bytes)};
    assert_non_null(image.pixels);
    pulmo_rng_at(&rng, 3, PULMO_RNG_TEST, which, 0);
    for (size_t i = 0; i < bytes; i++)
        image.pixels[i] = (uint8_t)pulmo_rng_u32(&rng);
    return image;
}

/* Weight of input i for output o, before the division by the sum. */
static double weight(int o, int i, int inputs, int outputs)
{
    double scale = (double)inputs / outputs, wide = scale < 1 ? 1 : scale;
    double far = fabs((i + 0.5 - (o + 0.5) * scale) / wide);
    return far < 1 ? 1 - far : 0;
}

static uint8_t to_byte(double x)
{
    if (x > 255)
        return 255;
    return (uint8_t)(x < 0 ? 0 : floor(x + 0.5));
}

/* Rows, then columns, each rounded to 8 bits, in doubles. */
static double *slow_line(const uint8_t *in, int inputs, size_t step, int outputs, double *out)
{
    for (int o = 0; o < outputs; o++) {
        double sum = 0, total = 0;
        for (int i = 0; i < inputs; i++) {
            double w = weight(o, i, inputs, outputs);
            sum += w * in[(size_t)i * step];
            total += w;
        }
        out[o] = sum / total;
    }
    return out;
}

static void slow_resize(const pulmo_image *in, int height, int width, uint8_t *out)
{
    size_t c = (size_t)in->channels, stride = (size_t)width * c;
    uint8_t *between = malloc((size_t)in->height_px * stride);
    double line[512];
    for (int y = 0; y < in->height_px; y++)
        for (size_t k = 0; k < c; k++) {
            slow_line(in->pixels + (size_t)y * (size_t)in->width_px * c + k, in->width_px, c, width,
                      line);
            for (int x = 0; x < width; x++)
                between[(size_t)y * stride + (size_t)x * c + k] = to_byte(line[x]);
        }
    for (size_t x = 0; x < stride; x++) {
        slow_line(between + x, in->height_px, stride, height, line);
        for (int y = 0; y < height; y++)
            out[(size_t)y * stride + x] = to_byte(line[y]);
    }
    free(between);
}

/* 22-bit coefficients move a sum by less than 1e-3 of a level: a pixel may differ by one level, and
 * only where the sum lies that close to a half (sides in simple proportion give many such ties). */
static void check_against_slow(int h, int w, int channels, int out_h, int out_w)
{
    pulmo_image source = noise(h, w, channels, (uint32_t)(h * 1000 + w)), got;
    size_t bytes = (size_t)out_h * (size_t)out_w * (size_t)channels, different = 0;
    uint8_t *wanted = malloc(bytes);
    assert_int_equal(pulmo_image_resize(&source, out_h, out_w, &got), PULMO_OK);
    assert_int_equal(got.height_px, out_h);
    assert_int_equal(got.width_px, out_w);
    assert_int_equal(got.channels, channels);
    slow_resize(&source, out_h, out_w, wanted);
    for (size_t i = 0; i < bytes; i++) {
        assert_in_range(got.pixels[i] - wanted[i] + 1, 0, 2);
        different += got.pixels[i] != wanted[i];
    }
    assert_true(different * 50 <= bytes);
    free(wanted);
    pulmo_image_free(&got);
    pulmo_image_free(&source);
}

static void equals_the_slow_way(void **state)
{
    (void)state;
    check_against_slow(97, 131, 1, 32, 40);
    check_against_slow(97, 131, 3, 32, 40);
    check_against_slow(40, 40, 3, 41, 39);
    check_against_slow(9, 17, 1, 64, 64); /* grows */
    check_against_slow(400, 10, 1, 16, 64);
    check_against_slow(33, 50, 1, 33, 20); /* one pass only */
    check_against_slow(33, 50, 3, 20, 50);
    check_against_slow(1, 1, 3, 5, 7);
}

static void equal_size_is_a_copy(void **state)
{
    (void)state;
    pulmo_image source = noise(20, 30, 3, 1), got;
    assert_int_equal(pulmo_image_resize(&source, 20, 30, &got), PULMO_OK);
    assert_ptr_not_equal(source.pixels, got.pixels);
    assert_memory_equal(source.pixels, got.pixels, 20 * 30 * 3);
    pulmo_image_free(&got);
    pulmo_image_free(&source);
}

/* Weights sum to 1: a flat image stays flat, black and white ones exactly so. */
static void flat_stays_flat(void **state)
{
    (void)state;
    for (int level = 0; level <= 255; level += 51) {
        pulmo_image source = noise(301, 203, 1, 2), got;
        memset(source.pixels, level, 301 * 203);
        assert_int_equal(pulmo_image_resize(&source, 64, 48, &got), PULMO_OK);
        for (int i = 0; i < 64 * 48; i++)
            assert_int_equal(got.pixels[i], level);
        pulmo_image_free(&got);
        pulmo_image_free(&source);
    }
}

/* A grey image gives the channel values its RGB copy gives. */
static void grey_equals_rgb(void **state)
{
    (void)state;
    pulmo_image grey = noise(83, 120, 1, 4), rgb = noise(83, 120, 3, 4), small_grey, small_rgb;
    for (int i = 0; i < 83 * 120; i++)
        memset(rgb.pixels + 3 * i, grey.pixels[i], 3);
    assert_int_equal(pulmo_image_resize(&grey, 50, 60, &small_grey), PULMO_OK);
    assert_int_equal(pulmo_image_resize(&rgb, 50, 60, &small_rgb), PULMO_OK);
    assert_true(pulmo_image_collapse_grey(&small_rgb));
    assert_int_equal(small_rgb.channels, 1);
    assert_memory_equal(small_rgb.pixels, small_grey.pixels, 50 * 60);
    pulmo_image_free(&grey);
    pulmo_image_free(&rgb);
    pulmo_image_free(&small_grey);
    pulmo_image_free(&small_rgb);
}

static void colour_does_not_collapse(void **state)
{
    (void)state;
    pulmo_image image = noise(5, 5, 3, 5);
    memset(image.pixels, 9, 75);
    image.pixels[74] = 10; /* the very last sample */
    assert_false(pulmo_image_collapse_grey(&image));
    assert_int_equal(image.channels, 3);
    image.pixels[74] = 9;
    assert_true(pulmo_image_collapse_grey(&image));
    assert_true(pulmo_image_collapse_grey(&image));
    pulmo_image_free(&image);
}

/* Both versions of the horizontal pass, with coefficients that also overshoot: the same bytes. */
static void versions_agree(void **state)
{
    (void)state;
    enum { WIDTH = 77, MOST = 9, OUTPUTS = 23, ROWS = RESIZE_ROWS };
    if (!pulmo_isa_available(PULMO_ISA_AVX2)) {
        print_message("skipped: this CPU lacks AVX2\n");
        skip();
    }
    for (int channels = 1; channels <= 3; channels += 2) {
        pulmo_image image = noise(ROWS, WIDTH, channels, 6);
        size_t n = (size_t)(WIDTH * channels);
        int first[OUTPUTS], count[OUTPUTS];
        int32_t weight[OUTPUTS * MOST];
        static uint8_t mixed[2][WIDTH * 3 * ROWS], out[2][ROWS][OUTPUTS * 3];
        const uint8_t *rows[ROWS];
        uint8_t *to[2][ROWS];
        for (int i = 0; i < OUTPUTS; i++) {
            first[i] = i * 3;
            count[i] = 1 + i % MOST;
            for (int k = 0; k < MOST; k++)
                weight[i * MOST + k] = ((i * 7 + k * 5) % 13 - 5) * (1 << 18);
        }
        for (int r = 0; r < ROWS; r++) {
            rows[r] = image.pixels + (size_t)r * n;
            to[0][r] = out[0][r];
            to[1][r] = out[1][r];
        }
        uint32_t pair[OUTPUTS * (MOST + 1)];
        resize_taps taps = {
            .most = MOST, .first = first, .count = count, .weight = weight, .pair = pair};
        resize_pair(&taps, OUTPUTS);
        resize_interleave_ref(rows, n, mixed[0]);
        resize_interleave_avx2(rows, n, mixed[1]);
        assert_memory_equal(mixed[0], mixed[1], n * ROWS);
        resize_horizontal_ref(&taps, mixed[0], channels, OUTPUTS, to[0]);
        resize_horizontal_avx2(&taps, mixed[0], channels, OUTPUTS, to[1]);
        assert_memory_equal(out[0], out[1], sizeof out[0]);
        pulmo_image_free(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_slow_way),      cmocka_unit_test(equal_size_is_a_copy),
        cmocka_unit_test(flat_stays_flat),          cmocka_unit_test(grey_equals_rgb),
        cmocka_unit_test(colour_does_not_collapse), cmocka_unit_test(versions_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
