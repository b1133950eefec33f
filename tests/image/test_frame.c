/* Fit and border: against the same written the slow way, pixel by pixel, from the sentences in
 * pulmo/image.h; numbered examples by hand; streamed, turned and scaled decoding to the same bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pulmo/image.h"
#include "pulmo/rng.h"

#include "frame.h"
#include "exifs.h"
#include "jpegs.h"
#include "pngs.h"
#include "sink.h"

static pulmo_image flat(int height, int width, int channels, int level)
{
    size_t bytes = (size_t)height * (size_t)width * (size_t)channels;
    pulmo_image image = {height, width, channels, malloc(bytes)};
    assert_non_null(image.pixels);
    memset(image.pixels, level, bytes);
    return image;
}

static pulmo_image noise(int height, int width, int channels)
{
    pulmo_rng rng;
    pulmo_image image = flat(height, width, channels, 0);
    pulmo_rng_at(&rng, 3, PULMO_RNG_TEST, (uint64_t)height, (uint64_t)width);
    for (int i = 0; i < height * width * channels; i++)
        image.pixels[i] = (uint8_t)pulmo_rng_u32(&rng);
    return image;
}

static uint8_t *at(const pulmo_image *image, int y, int x)
{
    return image->pixels + (size_t)((y * image->width_px + x) * image->channels);
}

static void fill(pulmo_image *image, image_window window, int level)
{
    for (int y = 0; y < window.height; y++)
        for (int x = 0; x < window.width; x++)
            memset(at(image, window.top + y, window.left + x), level, (size_t)image->channels);
}

static pulmo_image part_of(const pulmo_image *image, image_window window)
{
    pulmo_image part = flat(window.height, window.width, image->channels, 0);
    for (int y = 0; y < window.height; y++)
        for (int x = 0; x < window.width; x++)
            memcpy(at(&part, y, x), at(image, window.top + y, window.left + x),
                   (size_t)image->channels);
    return part;
}

static void assert_same(const pulmo_image *got, const pulmo_image *wanted)
{
    assert_int_equal(got->height_px, wanted->height_px);
    assert_int_equal(got->width_px, wanted->width_px);
    assert_int_equal(got->channels, wanted->channels);
    size_t bytes = (size_t)got->height_px * (size_t)got->width_px * (size_t)got->channels;
    assert_memory_equal(got->pixels, wanted->pixels, bytes);
}

static void assert_window(image_window got, int top, int left, int height, int width)
{
    assert_int_equal(got.top, top);
    assert_int_equal(got.left, left);
    assert_int_equal(got.height, height);
    assert_int_equal(got.width, width);
}

/* As a decoder would: row by row. */
static pulmo_image sunk(const pulmo_image *image, const pulmo_decode_spec *spec, int orientation)
{
    image_sink sink;
    pulmo_image out;
    size_t row_bytes = (size_t)image->width_px * (size_t)image->channels;
    assert_int_equal(
        sink_begin(&sink, spec, image->height_px, image->width_px, image->channels, orientation),
        PULMO_OK);
    for (int y = 0; y < image->height_px; y++) {
        memcpy(sink_row(&sink), at(image, y, 0), row_bytes);
        sink_took(&sink);
    }
    assert_int_equal(sink_end(&sink, &out), PULMO_OK);
    return out;
}

/* ---- the slow way ---- */

/* The whole number nearest to a * b / c, the larger of two. */
static int nearest(int a, int b, int c)
{
    int best = 1;
    for (int k = 1; k <= a * b / c + 1; k++)
        if (abs(k * c - a * b) <= abs(best * c - a * b))
            best = k;
    return best;
}

static pulmo_image slow_crop(const pulmo_image *image, int height, int width)
{
    image_window window = {0, 0, image->height_px, image->width_px};
    pulmo_image out;
    if (image->width_px * height > image->height_px * width) {
        window.width = nearest(image->height_px, width, height);
        while (window.left + 1 <= image->width_px - window.width - (window.left + 1))
            window.left++;
    } else {
        window.height = nearest(image->width_px, height, width);
        while (window.top + 1 <= image->height_px - window.height - (window.top + 1))
            window.top++;
    }
    pulmo_image part = part_of(image, window);
    assert_int_equal(pulmo_image_resize(&part, height, width, &out), PULMO_OK);
    pulmo_image_free(&part);
    return out;
}

static pulmo_image slow_pad(const pulmo_image *image, int height, int width)
{
    pulmo_image out = flat(height, width, image->channels, 0), small;
    int h = height, w = width, top = 0, left = 0;
    if (image->width_px * height > image->height_px * width)
        h = nearest(image->height_px, width, image->width_px);
    else
        w = nearest(image->width_px, height, image->height_px);
    while (top + 1 <= height - h - (top + 1))
        top++;
    while (left + 1 <= width - w - (left + 1))
        left++;
    assert_int_equal(pulmo_image_resize(image, h, w, &small), PULMO_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            memcpy(at(&out, top + y, left + x), at(&small, y, x), (size_t)image->channels);
    pulmo_image_free(&small);
    return out;
}

static pulmo_image slow_fit(const pulmo_image *image, pulmo_fit fit, int height, int width)
{
    pulmo_image out;
    if (fit == PULMO_FIT_CROP)
        return slow_crop(image, height, width);
    if (fit == PULMO_FIT_PAD)
        return slow_pad(image, height, width);
    assert_int_equal(pulmo_image_resize(image, height, width, &out), PULMO_OK);
    return out;
}

static bool slow_is_frame(const pulmo_image *image, int top, int left, int height, int width)
{
    double dark = 0, light = 0, all = (double)height * width;
    for (int y = top; y < top + height; y++)
        for (int x = left; x < left + width; x++) {
            bool is_dark = true, is_light = true;
            for (int c = 0; c < image->channels; c++) {
                is_dark = is_dark && at(image, y, x)[c] < 17;
                is_light = is_light && at(image, y, x)[c] > 238;
            }
            dark += is_dark;
            light += is_light;
        }
    return dark >= 0.98 * all - 1e-9 || light >= 0.98 * all - 1e-9;
}

/* By edges, all of which move inwards. */
static image_window slow_border(const pulmo_image *image)
{
    const int h = image->height_px, w = image->width_px;
    int top = 0, left = 0, bottom = h, right = w;
    for (bool again = true; again;) {
        again = false;
        for (; top < h / 5 && slow_is_frame(image, top, left, 1, right - left); again = true)
            top++;
        for (; h - bottom < h / 5 && slow_is_frame(image, bottom - 1, left, 1, right - left);
             again = true)
            bottom--;
        for (; left < w / 5 && slow_is_frame(image, top, left, bottom - top, 1); again = true)
            left++;
        for (; w - right < w / 5 && slow_is_frame(image, top, right - 1, bottom - top, 1);
             again = true)
            right--;
    }
    return (image_window){top, left, bottom - top, right - left};
}

/* ---- fit ---- */

static void windows_by_hand(void **state)
{
    (void)state;
    /* 3 columns too many: 1 goes on the left, 2 on the right; rows the same. */
    assert_window(frame_crop((image_window){0, 0, 5, 8}, 1, 1), 0, 1, 5, 5);
    assert_window(frame_crop((image_window){0, 0, 8, 5}, 1, 1), 1, 0, 5, 5);
    assert_window(frame_crop((image_window){10, 20, 5, 8}, 9, 9), 10, 21, 5, 5);
    /* 3:4 of 10 x 20: 40/3 = 13.3 columns; 7 x 2 to 2:1 keeps 4 rows; half a row is rounded up. */
    assert_window(frame_crop((image_window){0, 0, 10, 20}, 3, 4), 0, 3, 10, 13);
    assert_window(frame_crop((image_window){0, 0, 7, 2}, 2, 1), 1, 0, 4, 2);
    assert_window(frame_crop((image_window){0, 0, 7, 5}, 1, 2), 2, 0, 3, 5);
    assert_window(frame_crop((image_window){0, 0, 6, 6}, 224, 224), 0, 0, 6, 6);
    assert_window(frame_crop((image_window){0, 0, 1, 900}, 1, 1), 0, 449, 1, 1);
    /* 3 black rows: 1 above, 2 below. 12/7 = 1.7 and 10/4 = 2.5 rows; at least one. */
    assert_window(frame_pad((image_window){0, 0, 4, 7}, 7, 7), 1, 0, 4, 7);
    assert_window(frame_pad((image_window){0, 0, 3, 7}, 4, 4), 1, 0, 2, 4);
    assert_window(frame_pad((image_window){0, 0, 5, 8}, 4, 4), 0, 0, 3, 4);
    assert_window(frame_pad((image_window){0, 0, 8, 5}, 4, 4), 0, 0, 4, 3);
    assert_window(frame_pad((image_window){0, 0, 1, 900}, 64, 64), 31, 0, 1, 64);
    assert_window(frame_pad((image_window){0, 0, 9, 9}, 64, 64), 0, 0, 64, 64);
    /* No overflow at libjpeg's longest side. */
    assert_window(frame_crop((image_window){0, 0, 65499, 65500}, 4096, 4096), 0, 0, 65499, 65499);
}

static void check_fits(int height, int width, int out_height, int out_width)
{
    for (int channels = 1; channels <= 3; channels += 2)
        for (int fit = PULMO_FIT_SQUASH; fit <= PULMO_FIT_PAD; fit++) {
            pulmo_image image = noise(height, width, channels);
            pulmo_decode_spec spec = {
                .height_px = out_height, .width_px = out_width, .fit = (pulmo_fit)fit};
            pulmo_image got = sunk(&image, &spec, 1);
            pulmo_image wanted = slow_fit(&image, spec.fit, out_height, out_width);
            assert_same(&got, &wanted);
            pulmo_image_free(&wanted);
            pulmo_image_free(&got);
            pulmo_image_free(&image);
        }
}

static void fits_equal_the_slow_way(void **state)
{
    static const int sides[][2] = {{40, 61}, {61, 40}, {40, 41}, {33, 33}, {9, 100},
                                   {100, 9}, {16, 16}, {16, 50}, {1, 7},   {8, 16}};
    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        check_fits(sides[i][0], sides[i][1], 16, 16);
        check_fits(sides[i][0], sides[i][1], 50, 50);
        check_fits(sides[i][0], sides[i][1], 17, 30);
    }
}

/* What was square before is the same under all three. */
static void a_square_has_nothing_to_fit(void **state)
{
    (void)state;
    pulmo_image image = noise(37, 37, 1);
    pulmo_decode_spec spec = {.height_px = 20, .width_px = 20};
    pulmo_image squash = sunk(&image, &spec, 1);
    for (int fit = PULMO_FIT_CROP; fit <= PULMO_FIT_PAD; fit++) {
        spec.fit = (pulmo_fit)fit;
        pulmo_image got = sunk(&image, &spec, 1);
        assert_same(&got, &squash);
        pulmo_image_free(&got);
    }
    pulmo_image_free(&squash);
    pulmo_image_free(&image);
}

/* At its own size an image is cut or padded to a square, and nothing is resized. */
static void own_size(void **state)
{
    (void)state;
    pulmo_image image = noise(30, 43, 3);
    pulmo_decode_spec spec = {.fit = PULMO_FIT_CROP};
    pulmo_image got = sunk(&image, &spec, 1);
    pulmo_image wanted = part_of(&image, (image_window){0, 6, 30, 30});
    assert_same(&got, &wanted);
    pulmo_image_free(&got);
    pulmo_image_free(&wanted);
    spec.fit = PULMO_FIT_PAD;
    got = sunk(&image, &spec, 1);
    wanted = slow_pad(&image, 43, 43);
    assert_same(&got, &wanted);
    pulmo_image_free(&got);
    pulmo_image_free(&wanted);
    pulmo_image_free(&image);
}

/* What padding put beside an image is taken away again, and nothing else. */
static void what_was_padded_is_found(void **state)
{
    static const int sides[][2] = {{40, 61}, {61, 40}, {40, 41}, {41, 40}, {33, 33}, {9, 100}};
    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        pulmo_image image = noise(sides[i][0], sides[i][1], i % 2 ? 3 : 1), inner;
        pulmo_decode_spec spec = {.fit = PULMO_FIT_PAD};
        pulmo_image padded = sunk(&image, &spec, 1);
        pulmo_image wanted = slow_fit(&image, PULMO_FIT_SQUASH, padded.height_px, padded.width_px);
        assert_int_equal(pulmo_image_unpad(&padded, &inner), PULMO_OK);
        assert_same(&inner, &wanted);
        pulmo_image_free(&wanted);
        pulmo_image_free(&inner);
        pulmo_image_free(&padded);
        pulmo_image_free(&image);
    }
    pulmo_image black = flat(9, 9, 1, 0), same;
    assert_int_equal(pulmo_image_unpad(&black, &same), PULMO_OK);
    assert_same(&same, &black);
    pulmo_image_free(&same);
    pulmo_image_free(&black);
}

/* ---- through a decoder ---- */

static pulmo_image decoded(jpeg_bytes jpeg, const pulmo_decode_spec *spec)
{
    pulmo_image image;
    assert_int_equal(pulmo_image_decode(jpeg.data, jpeg.size, spec, &image, NULL), PULMO_OK);
    return image;
}

/* Upright first, then fitted: a tall image that lies on its side is tall. */
static void files_are_fitted_upright(void **state)
{
    uint8_t exif[64];
    uint8_t *pixels = make_pixels(61, 45, 3);
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        jpeg_kind kind = {.width = 61,
                          .height = 45,
                          .in = JCS_RGB,
                          .stored = JCS_YCbCr,
                          .app = exif,
                          .app_bytes = make_exif(exif, orientation, 1),
                          .app_marker = JPEG_APP0 + 1};
        jpeg_bytes jpeg = make_jpeg(&kind, pixels);
        for (int fit = PULMO_FIT_SQUASH; fit <= PULMO_FIT_PAD; fit++) {
            const pulmo_framing framing = {.fit = (pulmo_fit)fit, .fast = orientation % 2};
            pulmo_decode_spec spec, whole_spec;
            pulmo_decode_spec_framed(&spec, &framing, 22);
            pulmo_decode_spec_init(&whole_spec);
            whole_spec.fast_target_px = framing.fast ? 22 : 0;
            pulmo_image whole = decoded(jpeg, &whole_spec), got = decoded(jpeg, &spec);
            pulmo_image wanted = slow_fit(&whole, framing.fit, 22, 22);
            assert_same(&got, &wanted);
            pulmo_image_free(&wanted);
            pulmo_image_free(&got);
            pulmo_image_free(&whole);
        }
        free(jpeg.data);
    }
    free(pixels);
}

/* PNGs keep their pixels, so that all of the way is known; interlaced ones come whole. */
static void pngs_are_fitted_as_jpegs_are(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        uint16_t samples[3 * 45 * 61] = {0};
        pulmo_image image = noise(45, 61, round % 2 ? 3 : 1);
        png_kind kind = {.width = 61,
                         .height = 45,
                         .type = round % 2 ? PNG_RGB : PNG_GREY,
                         .bits = 8,
                         .interlaced = round >= 6};
        const pulmo_framing framing = {.fit = (pulmo_fit)(round % 3)};
        pulmo_decode_spec spec;
        pulmo_image got;
        for (int i = 0; i < 45 * 61 * image.channels; i++)
            samples[i] = image.pixels[i];
        png_bytes png = make_png(&kind, samples);
        pulmo_decode_spec_framed(&spec, &framing, 22);
        assert_int_equal(pulmo_image_decode(png.data, png.size, &spec, &got, NULL), PULMO_OK);
        pulmo_image wanted = slow_fit(&image, framing.fit, 22, 22);
        assert_same(&got, &wanted);
        pulmo_image_free(&wanted);
        pulmo_image_free(&got);
        pulmo_image_free(&image);
        free(png.data);
    }
}

/* ---- borders ---- */

static void check_border(const pulmo_image *image, int top, int left, int height, int width)
{
    assert_window(frame_border(image), top, left, height, width);
    assert_window(slow_border(image), top, left, height, width);
}

static void borders_by_hand(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        pulmo_image image = flat(100, 200, channels, 128);
        check_border(&image, 0, 0, 100, 200); /* no frame */
        fill(&image, (image_window){0, 0, 7, 200}, 0);
        check_border(&image, 7, 0, 93, 200); /* above alone */
        fill(&image, (image_window){0, 0, 100, 3}, 255);
        check_border(&image, 7, 3, 93, 197); /* and white beside it: 98.5 % of its rows are black */
        fill(&image, (image_window){0, 190, 100, 10}, 255);
        check_border(&image, 7, 3, 93, 187); /* found first at the sides, then above */
        fill(&image, (image_window){60, 3, 40, 187}, 0);
        check_border(&image, 7, 3, 73, 187); /* a fifth at most: 20 of 40 rows below */
        memset(image.pixels, 0, (size_t)(100 * 200 * channels));
        check_border(&image, 20, 40, 60, 120); /* all of it is frame */
        pulmo_image_free(&image);
    }
}

static void borders_have_a_tolerance(void **state)
{
    (void)state;
    pulmo_image image = flat(100, 100, 1, 128);
    fill(&image, (image_window){0, 0, 4, 100}, 16);
    fill(&image, (image_window){96, 0, 4, 100}, 239);
    check_border(&image, 4, 0, 92, 100);
    fill(&image, (image_window){0, 0, 4, 100}, 17);
    fill(&image, (image_window){96, 0, 4, 100}, 238);
    check_border(&image, 0, 0, 100, 100);
    fill(&image, (image_window){0, 0, 4, 100}, 0);
    fill(&image, (image_window){2, 50, 1, 2}, 200); /* two of a hundred: a speck */
    check_border(&image, 4, 0, 96, 100);
    fill(&image, (image_window){2, 50, 1, 3}, 200); /* three: a letter; what is behind stays */
    check_border(&image, 2, 0, 98, 100);
    pulmo_image_free(&image);
    /* Blue is neither black nor white, though two of its channels are. */
    image = flat(50, 50, 3, 128);
    for (int x = 0; x < 50; x++) {
        memset(at(&image, 0, x), 0, 2);
        at(&image, 0, x)[2] = 255;
    }
    check_border(&image, 0, 0, 50, 50);
    pulmo_image_free(&image);
}

static void small_images_keep_their_borders(void **state)
{
    (void)state;
    pulmo_image image = flat(4, 9, 1, 0);
    check_border(&image, 0, 1, 4, 7);
    pulmo_image_free(&image);
}

/* Frames of random sides, colours and specks. */
static void borders_equal_the_slow_way(void **state)
{
    pulmo_rng rng;
    int framed = 0;
    (void)state;
    pulmo_rng_at(&rng, 5, PULMO_RNG_TEST, 8, 0);
    for (int round = 0; round < 300; round++) {
        int h = 20 + (int)pulmo_rng_below(&rng, 60), w = 20 + (int)pulmo_rng_below(&rng, 60);
        pulmo_image image = noise(h, w, round % 2 ? 3 : 1);
        for (int side = 0; side < 5; side++) {
            int depth = (int)pulmo_rng_below(&rng, 14), level = pulmo_rng_below(&rng, 2) ? 250 : 5;
            const image_window sides[] = {{0, 0, depth, w},
                                          {h - depth, 0, depth, w},
                                          {0, 0, h, depth},
                                          {0, w - depth, h, depth},
                                          {(int)pulmo_rng_below(&rng, 20), 3, 1, 1}};
            fill(&image, sides[side], side < 4 ? level : 100);
        }
        image_window wanted = slow_border(&image), got = frame_border(&image);
        assert_window(got, wanted.top, wanted.left, wanted.height, wanted.width);
        framed += wanted.height < h && wanted.width < w;
        /* And what is left is fitted as if it had been the image. */
        pulmo_decode_spec spec = {
            .height_px = 24, .width_px = 24, .fit = (pulmo_fit)(round % 3), .crop_border = true};
        pulmo_image inner = part_of(&image, wanted), out = sunk(&image, &spec, 1);
        pulmo_image fitted = slow_fit(&inner, spec.fit, 24, 24);
        assert_same(&out, &fitted);
        pulmo_image_free(&fitted);
        pulmo_image_free(&inner);
        pulmo_image_free(&out);
        pulmo_image_free(&image);
    }
    assert_true(framed > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_by_hand),
        cmocka_unit_test(fits_equal_the_slow_way),
        cmocka_unit_test(a_square_has_nothing_to_fit),
        cmocka_unit_test(own_size),
        cmocka_unit_test(what_was_padded_is_found),
        cmocka_unit_test(files_are_fitted_upright),
        cmocka_unit_test(pngs_are_fitted_as_jpegs_are),
        cmocka_unit_test(borders_by_hand),
        cmocka_unit_test(borders_have_a_tolerance),
        cmocka_unit_test(small_images_keep_their_borders),
        cmocka_unit_test(borders_equal_the_slow_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
