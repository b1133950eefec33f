/* Decoding and resizing in one: the pixels, the notes and the refusals of decoding, then resizing,
 * for every kind of file, for a width or height that stays, and for damaged files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "pulmo/image.h"
#include "pulmo/rng.h"

#include "jpegs.h"

#define W 61 /* odd sides: the last blocks are part full */
#define H 45

static void check_notes(const pulmo_decode_notes *got, const pulmo_decode_notes *wanted)
{
    assert_int_equal(got->had_icc, wanted->had_icc);
    assert_int_equal(got->too_large, wanted->too_large);
    assert_int_equal(got->orientation, wanted->orientation);
    assert_int_equal(got->source_height_px, wanted->source_height_px);
    assert_int_equal(got->source_width_px, wanted->source_width_px);
    assert_int_equal(got->source_channels, wanted->source_channels);
}

static void check_pixels(const pulmo_image *got, const pulmo_image *whole, int height, int width)
{
    pulmo_image wanted;
    assert_int_equal(pulmo_image_resize(whole, height, width, &wanted), PULMO_OK);
    assert_int_equal(got->height_px, height);
    assert_int_equal(got->width_px, width);
    assert_int_equal(got->channels, wanted.channels);
    size_t bytes = (size_t)height * (size_t)width * (size_t)wanted.channels;
    assert_memory_equal(got->pixels, wanted.pixels, bytes);
    pulmo_image_free(&wanted);
}

/* Returns whether the file could be decoded at all. */
static bool both_agree(jpeg_bytes jpeg, int fast_target, int height, int width)
{
    pulmo_decode_spec spec;
    pulmo_decode_notes notes, whole_notes;
    pulmo_image got, whole;
    char reason[400];
    pulmo_decode_spec_init(&spec);
    spec.pixels_max = 4000000; /* damaged headers may claim anything */
    spec.fast_target_px = fast_target;
    pulmo_status wanted = pulmo_image_decode(jpeg.data, jpeg.size, &spec, &whole, &whole_notes);
    snprintf(reason, sizeof reason, "%s", pulmo_error());
    spec.height_px = height;
    spec.width_px = width;
    pulmo_status status = pulmo_image_decode(jpeg.data, jpeg.size, &spec, &got, &notes);
    assert_int_equal(status, wanted);
    check_notes(&notes, &whole_notes);
    if (status == PULMO_OK) {
        check_pixels(&got, &whole, height, width);
    } else {
        assert_string_equal(pulmo_error(), reason);
        assert_null(got.pixels);
    }
    pulmo_image_free(&got);
    pulmo_image_free(&whole);
    return status == PULMO_OK;
}

/* To a smaller, a larger and a mixed size, and with either side as it is. */
static void check_sizes(const jpeg_kind *of, int channels)
{
    static const int sizes[][2] = {{16, 20}, {90, 100}, {20, 90}, {H, 30}, {30, W}, {H, W}};
    jpeg_kind kind = *of;
    kind.width = W;
    kind.height = H;
    uint8_t *pixels = make_pixels(W, H, channels);
    jpeg_bytes jpeg = make_jpeg(&kind, pixels);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int fast_target = 0; fast_target <= 32; fast_target += 8)
            assert_true(both_agree(jpeg, fast_target, sizes[s][0], sizes[s][1]));
    free(jpeg.data);
    free(pixels);
}

static void every_kind(void **state)
{
    (void)state;
    for (int coding = 0; coding < 8; coding++) {
        jpeg_kind kind = {.in = JCS_GRAYSCALE,
                          .stored = JCS_GRAYSCALE,
                          .progressive = coding & 1,
                          .arithmetic = coding >> 1 & 1,
                          .restart_rows = coding >> 2};
        check_sizes(&kind, 1);
        kind.in = JCS_RGB;
        kind.stored = JCS_YCbCr;
        check_sizes(&kind, 3);
        kind.h_factor = 1;
        kind.v_factor = 2;
        check_sizes(&kind, 3);
        kind.h_factor = 0;
        kind.in = JCS_CMYK;
        kind.stored = JCS_YCCK;
        check_sizes(&kind, 4);
    }
}

static void turned_by_exif(void **state)
{
    (void)state;
    uint8_t exif[64];
    for (int orientation = 1; orientation <= 8; orientation++) {
        jpeg_kind kind = {.in = JCS_GRAYSCALE,
                          .stored = JCS_GRAYSCALE,
                          .app = exif,
                          .app_bytes = make_exif(exif, orientation, 1),
                          .app_marker = JPEG_APP0 + 1};
        check_sizes(&kind, 1);
        kind.in = JCS_RGB;
        kind.stored = JCS_YCbCr;
        check_sizes(&kind, 3);
    }
}

/* Cut anywhere, and bytes changed at random. */
static void damaged(void **state)
{
    (void)state;
    pulmo_rng rng;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 77, 0);
    int decoded = 0;
    int refused = 0;
    uint8_t *pixels = make_pixels(W, H, 1);
    for (int progressive = 0; progressive < 2; progressive++) {
        jpeg_kind kind = {.width = W,
                          .height = H,
                          .in = JCS_GRAYSCALE,
                          .stored = JCS_GRAYSCALE,
                          .progressive = progressive};
        jpeg_bytes jpeg = make_jpeg(&kind, pixels);
        for (unsigned long cut = 0; cut < jpeg.size; cut += 7)
            assert_false(both_agree((jpeg_bytes){jpeg.data, cut}, 0, 16, 20));
        for (int round = 0; round < 1500; round++) {
            uint32_t at = 2 + pulmo_rng_below(&rng, (uint32_t)jpeg.size - 2);
            uint8_t before = jpeg.data[at];
            jpeg.data[at] = (uint8_t)pulmo_rng_u32(&rng);
            if (both_agree(jpeg, round % 3 * 16, 16, 20))
                decoded++;
            else
                refused++;
            jpeg.data[at] = before;
        }
        free(jpeg.data);
    }
    assert_true(decoded > 100);
    assert_true(refused > 100);
    free(pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(turned_by_exif),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
