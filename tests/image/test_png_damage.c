/* PNGs with every kind of damage: a status and one clear reason, or a picture. The files are
 * written by pngs.h, without libpng. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "png_cases.h"

static void check_refused(png_bytes png, const char *reason)
{
    pulmo_image image = {.pixels = (uint8_t *)&image};
    pulmo_decode_notes notes;
    assert_int_equal(decode(png, &image, &notes), PULMO_DATA);
    assert_null(image.pixels);
    if (!strstr(pulmo_error(), reason))
        fail_msg("\"%s\" does not say \"%s\"", pulmo_error(), reason);
}

/* Cut anywhere, interlaced or not: truncated, never a crash, never half an image. */
static void truncated_anywhere(void **state)
{
    colours c;
    (void)state;
    fill_colours(&c, 256, false);
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        const png_kind kind = {.width = W,
                               .height = H,
                               .type = PNG_PALETTE,
                               .bits = 8,
                               .interlaced = interlaced,
                               .palette = c.palette,
                               .colours = 256,
                               .idat_bytes = 40};
        uint16_t *samples = make_samples(&kind, 256, 1);
        png_bytes png = make_png(&kind, samples);
        for (size_t cut = 4; cut < png.size; cut++)
            check_refused((png_bytes){png.data, cut}, "truncated");
        free(png.data);
        free(samples);
    }
}

/* One bit of any chunk, those that are skipped too, or of its checksum. */
static void wrong_checksums(void **state)
{
    static const char *const names[] = {"IHDR", "PLTE", "tRNS", "tEXt", "IDAT", "IEND"};
    colours c;
    (void)state;
    fill_colours(&c, 16, false);
    const png_kind kind = {.width = W,
                           .height = H,
                           .type = PNG_PALETTE,
                           .bits = 4,
                           .palette = c.palette,
                           .colours = 16,
                           .trns = c.trns,
                           .trns_bytes = 9,
                           .extra = "tEXt",
                           .extra_body = (const uint8_t *)"Comment\0words",
                           .extra_bytes = 13};
    uint16_t *samples = make_samples(&kind, 16, 1);
    png_bytes png = make_png(&kind, samples);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const size_t at = find_chunk(png, names[i], 0);
        const size_t last = at + 11 + get_u32(png.data + at);
        png.data[last] ^= 1;
        check_refused(png, "is damaged: ");
        check_refused(png, "CRC error");
        check_refused(png, names[i]);
        png.data[last] ^= 1;
    }
    pulmo_image image = decode_freed(png, NULL);
    pulmo_image_free(&image);
    free(samples);
}

/* A grey PNG with one byte of a chunk changed, and a checksum that agrees. */
static png_bytes make_changed(const char *chunk, size_t offset, uint8_t value)
{
    png_bytes png = make_grey(NULL, NULL, 0);
    const size_t at = find_chunk(png, chunk, 0);
    png.data[at + 8 + offset] = value;
    mend_chunk(png, at);
    return png;
}

static void check_refused_freed(png_bytes png, const char *reason)
{
    check_refused(png, reason);
    free(png.data);
}

static void nonsense_in_the_header(void **state)
{
    (void)state;
    check_refused_freed(make_changed("IHDR", 3, 0), "width is zero");
    check_refused_freed(make_changed("IHDR", 7, 0), "height is zero");
    check_refused_freed(make_changed("IHDR", 0, 0x80), "damaged");
    check_refused_freed(make_changed("IHDR", 8, 3), "bit depth");
    check_refused_freed(make_changed("IHDR", 9, 1), "color type");
    check_refused_freed(make_changed("IHDR", 9, 3), "is damaged: IDAT: Missing PLTE before IDAT");
    check_refused_freed(make_changed("IHDR", 10, 1), "compression");
    check_refused_freed(make_changed("IHDR", 11, 1), "filter");
    check_refused_freed(make_changed("IHDR", 12, 9), "interlace");
    check_refused_freed(make_grey("PuLM", "critical", 8), "unhandled critical chunk");
    check_refused_freed(make_grey("IHDR", "twice", 5), "out of place");
    png_bytes png = make_grey(NULL, NULL, 0);
    png.data[4] = '\n'; /* a transfer as text changed its line end */
    check_refused_freed(png, "is damaged: PNG file corrupted by ASCII conversion");
}

/* Sizes that a header claims are judged before any memory is asked for. */
static void too_many_pixels(void **state)
{
    pulmo_image image;
    pulmo_decode_notes notes;
    (void)state;
    png_bytes png = make_grey(NULL, NULL, 0);
    plain.pixels_max = W * H - 1;
    check_refused(png, "13 x 8 is more than 103 pixels");
    assert_int_equal(decode(png, &image, &notes), PULMO_DATA);
    assert_true(notes.too_large);
    plain.pixels_max = W * H;
    assert_int_equal(decode(png, &image, &notes), PULMO_OK);
    assert_false(notes.too_large);
    pulmo_image_free(&image);
    pulmo_decode_spec_init(&plain);
    const size_t at = find_chunk(png, "IHDR", 0);
    set_u32(png.data + at + 8, 0x7FFFFFFF);
    set_u32(png.data + at + 12, 0x7FFFFFFF);
    mend_chunk(png, at);
    check_refused(png, "2147483647 x 2147483647 is more than 178956970 pixels");
    set_u32(png.data + at + 8, 1000001);
    set_u32(png.data + at + 12, 2);
    mend_chunk(png, at);
    check_refused(png, "1000001 x 2 has a side of more than 1000000 pixels");
    set_u32(png.data + at + 8, 10000);
    set_u32(png.data + at + 12, 17000);
    mend_chunk(png, at);
    check_refused(png, "Not enough image data");
    free(png.data);
}

static void colours_beyond_the_palette(void **state)
{
    colours c;
    (void)state;
    fill_colours(&c, 16, false);
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        const png_kind kind = {.width = W,
                               .height = H,
                               .type = PNG_PALETTE,
                               .bits = 4,
                               .interlaced = interlaced,
                               .palette = c.palette,
                               .colours = 11};
        uint16_t *samples = make_samples(&kind, 11, 1);
        png_bytes png = make_png(&kind, samples);
        pulmo_image image = decode_freed(png, NULL);
        pulmo_image_free(&image);
        samples[W * H - 1] = 11;
        check_refused_freed(make_png(&kind, samples), "not in its palette of 11");
        free(samples);
    }
}

/* ---- the compressed image ---- */

/* A grey PNG whose scanlines are `lines` and compressed as it should be. */
static png_bytes make_of_lines(const png_kind *kind, png_bytes lines)
{
    png_bytes image = deflated(lines);
    png_bytes out = make_png_of(kind, image);
    free(image.data);
    return out;
}

static void damaged_streams(void **state)
{
    (void)state;
    const png_kind kind = {.width = W, .height = H, .type = PNG_GREY, .bits = 8};
    const uint8_t zeros[W + 1] = {0};
    uint16_t *samples = make_samples(&kind, 256, 5);
    png_bytes lines = make_scanlines(&kind, samples);
    png_bytes image = deflated(lines);

    image.data[image.size - 1] ^= 1; /* zlib's own checksum */
    check_refused_freed(make_png_of(&kind, image), "incorrect data check");
    image.data[image.size - 1] ^= 1;
    image.data[0] ^= 0x0F;
    check_refused_freed(make_png_of(&kind, image), "is damaged: IDAT");
    image.data[0] ^= 0x0F;
    put_bytes(&image, "more", 4);
    check_refused_freed(make_png_of(&kind, image), "Extra compressed data");
    check_refused_freed(make_png_of(&kind, (png_bytes){image.data, image.size - 30}),
                        "Not enough image data");
    check_refused_freed(make_png_of(&kind, (png_bytes){image.data, 0}), "IEND: out of place");

    lines.size -= W + 1;
    check_refused_freed(make_of_lines(&kind, lines), "Not enough image data");
    lines.size += W + 1;
    put_bytes(&lines, zeros, sizeof zeros);
    check_refused_freed(make_of_lines(&kind, lines), "damaged: IDAT: Too much image data");
    lines.size -= W + 1;
    lines.data[0] = 5;
    check_refused_freed(make_of_lines(&kind, lines), "bad adaptive filter value");
    free(image.data);
    free(lines.data);
    free(samples);
}

/* What is odd and right: an image in IDATs of one byte, a chunk of many bytes, bytes after the end.
 */
static void odd_and_right(void **state)
{
    (void)state;
    pulmo_image wanted = decode_freed(make_grey(NULL, NULL, 0), NULL);
    png_kind kind = {.width = W, .height = H, .type = PNG_GREY, .bits = 8, .idat_bytes = 1};
    uint16_t *samples = make_samples(&kind, 256, 5);
    const size_t bytes = 9000000;
    uint8_t *words = calloc(bytes, 1);
    png_bytes files[] = {make_png(&kind, samples), make_grey("tEXt", words, bytes),
                         make_grey(NULL, NULL, 0)};
    put_bytes(&files[2], words, 5000);
    for (size_t i = 0; i < 3; i++) {
        pulmo_image image = decode_freed(files[i], NULL);
        assert_memory_equal(image.pixels, wanted.pixels, W * H);
        pulmo_image_free(&image);
    }
    pulmo_image_free(&wanted);
    free(words);
    free(samples);
}

/* ---- damage at random ---- */

static png_bytes make_any(int round, const colours *c)
{
    static const int types[] = {PNG_GREY, PNG_RGB, PNG_PALETTE, PNG_GREY_ALPHA, PNG_RGBA};
    png_kind kind = {.width = 3 * W,
                     .height = 3 * H,
                     .type = types[round % 5],
                     .bits = round / 5 % 2 && round % 5 != 2 ? 16 : 8,
                     .interlaced = round / 10 % 2,
                     .idat_bytes = 100};
    if (kind.type == PNG_PALETTE) {
        kind.palette = c->palette;
        kind.colours = 200;
        kind.trns = c->trns;
        kind.trns_bytes = 50;
    }
    uint16_t *samples = make_samples(&kind, 1u << kind.bits, (uint64_t)round);
    png_bytes out = make_png(&kind, samples);
    free(samples);
    return out;
}

/* Bytes changed at random, half of the time under checksums that agree: a picture or a reason, and
 * the sanitizers find nothing. */
static void random_damage(void **state)
{
    pulmo_rng rng;
    colours c;
    int good = 0;
    (void)state;
    fill_colours(&c, 256, false);
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 22, 0);
    plain.pixels_max = 4000000;
    for (int round = 0; round < 1500; round++) {
        png_bytes png = make_any(round, &c);
        pulmo_image image;
        for (int k = 0; k < 1 + round % 9; k++) {
            const uint32_t at = 8 + pulmo_rng_below(&rng, (uint32_t)png.size - 8);
            png.data[at] = (uint8_t)pulmo_rng_u32(&rng);
        }
        for (size_t at = 8; round % 2 && at + 12 <= png.size; at += 12 + get_u32(png.data + at)) {
            if (get_u32(png.data + at) > png.size - at - 12)
                break;
            mend_chunk(png, at);
        }
        const pulmo_status status = decode(png, &image, NULL);
        assert_true(status == PULMO_OK || status == PULMO_DATA);
        good += status == PULMO_OK;
        if (status == PULMO_OK)
            pulmo_image_free(&image);
        else
            assert_true(strlen(pulmo_error()) > 5);
        free(png.data);
    }
    assert_true(good < 300); /* a change under zlib's checksum is nearly always found */
    pulmo_decode_spec_init(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated_anywhere),
        cmocka_unit_test(wrong_checksums),
        cmocka_unit_test(nonsense_in_the_header),
        cmocka_unit_test(too_many_pixels),
        cmocka_unit_test(colours_beyond_the_palette),
        cmocka_unit_test(damaged_streams),
        cmocka_unit_test(odd_and_right),
        cmocka_unit_test(random_damage),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
