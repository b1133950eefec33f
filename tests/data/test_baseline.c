/* The short way through a grey baseline JPEG: libjpeg's pixels to the last bit, and nothing that
 * libjpeg would complain of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "pulmo/image.h"
#include "pulmo/isa.h"
#include "pulmo/rng.h"

#include "../../src/data/baseline.h"
#include "jpegs.h"

#define OUT_H 32
#define OUT_W 40

/* Both ways: the short one, and libjpeg's whole image, resized. Returns whether the short one was
 * taken. */
static bool ways_agree(const uint8_t *data, size_t size, int fast_target)
{
    pulmo_decode_spec spec;
    pulmo_decode_notes notes, full_notes;
    pulmo_image got = {0}, full = {0}, wanted = {0};
    pulmo_decode_spec_init(&spec);
    spec.fast_target_px = fast_target;
    bool taken = baseline_decode(data, size, &spec, OUT_H, OUT_W, &got, &notes);
    pulmo_status status = pulmo_jpeg_decode(data, size, &spec, &full, &full_notes);
    if (taken) {
        assert_int_equal(status, PULMO_OK);
        assert_string_equal(full_notes.warning, "");
        assert_int_equal(full_notes.orientation, 1);
        assert_int_equal(full_notes.had_icc, notes.had_icc);
        assert_int_equal(full_notes.source_width_px, notes.source_width_px);
        assert_int_equal(pulmo_image_resize(&full, OUT_H, OUT_W, &wanted), PULMO_OK);
        assert_int_equal(got.channels, 1);
        assert_memory_equal(got.pixels, wanted.pixels, OUT_H * OUT_W);
    }
    pulmo_image_free(&got);
    pulmo_image_free(&full);
    pulmo_image_free(&wanted);
    return taken;
}

/* From smooth (0) to noise (255). */
static uint8_t *make_picture(int width, int height, int roughness, uint32_t which)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 5, PULMO_RNG_TEST, which, 0);
    uint8_t *pixels = make_pixels(width, height, 1);
    for (int i = 0; i < width * height; i++) {
        int value =
            pixels[i] +
            (roughness ? (int)pulmo_rng_below(&rng, (uint32_t)roughness + 1) - roughness / 2 : 0);
        pixels[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    return pixels;
}

static jpeg_bytes encode(int width, int height, int roughness, int quality, int restart_rows)
{
    jpeg_kind kind = {.width = width,
                      .height = height,
                      .in = JCS_GRAYSCALE,
                      .stored = JCS_GRAYSCALE,
                      .restart_rows = restart_rows,
                      .quality = quality};
    uint8_t *pixels =
        make_picture(width, height, roughness, (uint32_t)(width * 31 + height + quality));
    jpeg_bytes out = make_jpeg(&kind, pixels);
    free(pixels);
    return out;
}

static void need_avx2(void)
{
    if (pulmo_isa_available(PULMO_ISA_AVX2))
        return;
    print_message("skipped: this CPU lacks AVX2, libjpeg does all\n");
    skip();
}

static void libjpegs_pixels(void **state)
{
    static const int sides[][2] = {{64, 64}, {61, 45},  {8, 8},     {7, 3},   {1, 1},
                                   {9, 200}, {333, 41}, {500, 260}, {41, 333}};
    static const int targets[] = {0, 8, 16, 32, 65};
    (void)state;
    need_avx2();
    int taken = 0, all = 0;
    for (size_t s = 0; s < sizeof sides / sizeof sides[0]; s++)
        for (int quality = 10; quality <= 100; quality += 18)
            for (int roughness = 0; roughness < 256; roughness += 120)
                for (int restart = 0; restart < 3; restart++) {
                    jpeg_bytes jpeg = encode(sides[s][0], sides[s][1], roughness, quality, restart);
                    for (size_t t = 0; t < sizeof targets / sizeof targets[0]; t++, all++)
                        taken += ways_agree(jpeg.data, jpeg.size, targets[t]);
                    free(jpeg.data);
                }
    assert_true(taken * 10 > all * 9); /* not by never taking it */
}

/* Noise at the highest quality, whose coefficients may not fit: taken or left, never wrong. */
static void wild_coefficients(void **state)
{
    (void)state;
    need_avx2();
    jpeg_bytes jpeg = encode(64, 64, 510, 100, 0);
    ways_agree(jpeg.data, jpeg.size, 0);
    for (unsigned long i = 0; i + 70 < jpeg.size; i++)
        if (jpeg.data[i] == 0xFF && jpeg.data[i + 1] == 0xDB)
            memset(jpeg.data + i + 5, 255, 64); /* all steps as coarse as can be */
    assert_false(ways_agree(jpeg.data, jpeg.size, 0));
    free(jpeg.data);
}

/* What is not plain is left to libjpeg. */
static void the_rest_is_left(void **state)
{
    (void)state;
    need_avx2();
    uint8_t *pixels = make_pixels(61, 45, 3), exif[64];
    jpeg_kind odd[] = {
        {.in = JCS_RGB, .stored = JCS_YCbCr},
        {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .progressive = 1},
        {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .arithmetic = 1},
        {.in = JCS_GRAYSCALE,
         .stored = JCS_GRAYSCALE,
         .app = exif,
         .app_bytes = make_exif(exif, 6, 1),
         .app_marker = JPEG_APP0 + 1},
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        odd[i].width = 61, odd[i].height = 45;
        jpeg_bytes jpeg = make_jpeg(&odd[i], pixels);
        assert_false(ways_agree(jpeg.data, jpeg.size, 0));
        free(jpeg.data);
    }
    free(pixels);
}

/* Cut or changed anywhere: whatever the short way takes, libjpeg takes without a warning and sees
 * the same. */
static void damage(void **state)
{
    (void)state;
    need_avx2();
    pulmo_rng rng;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 77, 0);
    int taken = 0;
    for (int restart = 0; restart < 2; restart++) {
        jpeg_bytes jpeg = encode(61, 45, 60, 80, restart);
        for (unsigned long cut = 0; cut < jpeg.size; cut += 5)
            assert_false(ways_agree(jpeg.data, cut, 0));
        for (int round = 0; round < 3000; round++) {
            uint32_t at = 2 + pulmo_rng_below(&rng, (uint32_t)jpeg.size - 2);
            uint8_t before = jpeg.data[at];
            jpeg.data[at] = (uint8_t)pulmo_rng_u32(&rng);
            taken += ways_agree(jpeg.data, jpeg.size, round % 3 * 16);
            jpeg.data[at] = before;
        }
        free(jpeg.data);
    }
    assert_true(taken > 100); /* a changed bit that makes another picture */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libjpegs_pixels), cmocka_unit_test(wild_coefficients),
        cmocka_unit_test(the_rest_is_left), cmocka_unit_test(damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
