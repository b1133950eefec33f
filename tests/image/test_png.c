/* PNGs of every kind against pixels computed from the specification. The files are
 * written by pngs.h, without libpng. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exifs.h"
#include "png_cases.h"

static uint8_t rounded(double v)
{
    return (uint8_t)floor(v + 0.5);
}

/* What a pixel is by the documented rule, in RGB. */
static void expected_pixel(const png_kind *kind, const uint16_t *in, const colours *c,
                           uint8_t out[3])
{
    const double most = kind->type == PNG_PALETTE ? 255 : (1 << kind->bits) - 1;
    const int n = kind->type == PNG_RGB || kind->type == PNG_RGBA ? 3 : 1;
    double alpha = 1;
    bool is_key = kind->trns && kind->type != PNG_PALETTE;
    for (int k = 0; k < n && is_key; k++)
        is_key = is_key && in[k] == c->key[k];
    if (kind->type == PNG_GREY_ALPHA || kind->type == PNG_RGBA)
        alpha = in[n] / most;
    else if (kind->type == PNG_PALETTE)
        alpha = kind->trns && in[0] < kind->trns_bytes ? kind->trns[in[0]] / 255.0 : 1;
    else if (is_key)
        alpha = 0;
    for (int k = 0; k < 3; k++) {
        double v = in[n == 3 ? k : 0];
        if (kind->type == PNG_PALETTE)
            v = c->palette[3 * in[0] + k];
        out[k] = rounded(255 * v * alpha / most);
    }
}

/* Against the rule; an image of equal channels has one. */
static void check_pixels(const pulmo_image *image, const png_kind *kind, const uint16_t *samples,
                         const colours *c)
{
    const size_t n = samples_of(kind->type);
    bool grey = true;
    assert_int_equal(image->width_px, kind->width);
    assert_int_equal(image->height_px, kind->height);
    for (int i = 0; i < kind->width * kind->height; i++) {
        uint8_t wanted[3];
        expected_pixel(kind, samples + (size_t)i * n, c, wanted);
        grey = grey && wanted[0] == wanted[1] && wanted[0] == wanted[2];
        for (int k = 0; k < 3; k++) {
            const uint8_t got = image->pixels[i * image->channels + k % image->channels];
            if (got != wanted[k])
                fail_msg("type %d of %d bits%s: pixel %d: %d, not %d", kind->type, kind->bits,
                         kind->interlaced ? ", interlaced" : "", i, got, wanted[k]);
        }
    }
    assert_int_equal(image->channels, grey ? 1 : 3);
}

/* Streamed into a resize, the pixels are those of the image decoded whole. */
static void check_resized(png_bytes png, const pulmo_image *whole)
{
    pulmo_image streamed, resized;
    plain.height_px = 4;
    plain.width_px = 6;
    assert_int_equal(decode(png, &streamed, NULL), PULMO_OK);
    assert_int_equal(pulmo_image_resize(whole, 4, 6, &resized), PULMO_OK);
    assert_true(streamed.channels <= resized.channels);
    for (int i = 0; i < 4 * 6 * resized.channels; i++) {
        const int from = i / resized.channels * streamed.channels;
        assert_int_equal(streamed.pixels[from + i % streamed.channels], resized.pixels[i]);
    }
    pulmo_image_free(&streamed);
    pulmo_image_free(&resized);
    pulmo_decode_spec_init(&plain);
}

static void check_kind(const png_kind *kind, const colours *c, unsigned levels)
{
    pulmo_image image;
    pulmo_decode_notes notes;
    uint16_t *samples = make_samples(kind, levels, (uint64_t)kind->width);
    png_bytes png = make_png(kind, samples);
    assert_int_equal(decode(png, &image, &notes), PULMO_OK);
    assert_int_equal(notes.source_width_px, kind->width);
    assert_int_equal(notes.source_height_px, kind->height);
    assert_int_equal(notes.source_channels, samples_of(kind->type));
    check_pixels(&image, kind, samples, c);
    check_resized(png, &image);
    pulmo_image_free(&image);
    free(png.data);
    free(samples);
}

/* Without transparency, and with one colour transparent, or a palette of alphas. */
static void check_transparency(png_kind kind, colours *c, unsigned levels)
{
    uint8_t key[6];
    kind.trns = NULL;
    check_kind(&kind, c, levels);
    if (kind.type == PNG_GREY_ALPHA || kind.type == PNG_RGBA)
        return;
    kind.trns = c->trns;
    kind.trns_bytes = kind.colours / 2 + 1;
    if (kind.type != PNG_PALETTE) {
        for (int k = 0; k < 3; k++) {
            key[2 * k] = (uint8_t)(c->key[k] >> 8);
            key[2 * k + 1] = (uint8_t)c->key[k];
        }
        kind.trns = key;
        kind.trns_bytes = 2 * samples_of(kind.type);
    }
    check_kind(&kind, c, levels);
}

static void every_kind(void **state)
{
    static const struct {
        int type, bits[6];
    } kinds[] = {{PNG_GREY, {1, 2, 4, 8, 16}},
                 {PNG_RGB, {8, 16}},
                 {PNG_PALETTE, {1, 2, 4, 8}},
                 {PNG_GREY_ALPHA, {8, 16}},
                 {PNG_RGBA, {8, 16}}};
    static const int sizes[][2] = {{1, 1}, {3, 2}, {4, 9}, {5, 5}, {8, 1}, {2, 30}, {97, 61}};
    colours c;
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (const int *bits = kinds[k].bits; *bits; bits++)
            for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
                for (int turn = 0; turn < 4; turn++) {
                    const unsigned levels = 1u << *bits;
                    png_kind kind = {.width = sizes[s][0],
                                     .height = sizes[s][1],
                                     .type = kinds[k].type,
                                     .bits = *bits,
                                     .interlaced = turn % 2,
                                     .idat_bytes = turn / 2 ? 7 : 0};
                    fill_colours(&c, levels, turn / 2);
                    if (kind.type == PNG_PALETTE) {
                        kind.palette = c.palette;
                        kind.colours = levels;
                    }
                    check_transparency(kind, &c, levels);
                }
}

/* Every 16-bit value, by the rule and by the two neighbours of each half. */
static void sixteen_bits_are_rounded(void **state)
{
    pulmo_image image;
    colours c = {0};
    (void)state;
    const png_kind kind = {.width = 256, .height = 256, .type = PNG_GREY, .bits = 16};
    uint16_t *samples = malloc(65536 * sizeof *samples);
    for (int i = 0; i < 65536; i++)
        samples[i] = (uint16_t)i;
    png_bytes png = make_png(&kind, samples);
    assert_int_equal(decode(png, &image, NULL), PULMO_OK);
    check_pixels(&image, &kind, samples, &c);
    assert_int_equal(image.pixels[128], 0);
    assert_int_equal(image.pixels[129], 1);
    assert_int_equal(image.pixels[65535 - 129], 254);
    assert_int_equal(image.pixels[65535 - 128], 255);
    pulmo_image_free(&image);
    free(png.data);
    free(samples);
}

static void grey_stored_as_colour(void **state)
{
    pulmo_image grey, colour;
    (void)state;
    png_kind kind = {.width = 20, .height = 9, .type = PNG_GREY, .bits = 8};
    uint16_t *samples = make_samples(&kind, 256, 3);
    uint16_t three[3 * 20 * 9];
    for (int i = 0; i < 3 * 20 * 9; i++)
        three[i] = samples[i / 3];
    png_bytes one = make_png(&kind, samples);
    kind.type = PNG_RGB;
    png_bytes other = make_png(&kind, three);
    assert_int_equal(decode(one, &grey, NULL), PULMO_OK);
    assert_int_equal(decode(other, &colour, NULL), PULMO_OK);
    assert_int_equal(colour.channels, 1);
    assert_memory_equal(colour.pixels, grey.pixels, 20 * 9);
    pulmo_image_free(&grey);
    pulmo_image_free(&colour);
    free(one.data);
    free(other.data);
    free(samples);
}

/* ---- what stands beside the image ---- */

static void check_turned(const pulmo_image *image, const pulmo_image *upright, int orientation)
{
    assert_int_equal(image->width_px, orientation > 4 ? H : W);
    assert_int_equal(image->height_px, orientation > 4 ? W : H);
    for (int y = 0; y < image->height_px; y++)
        for (int x = 0; x < image->width_px; x++) {
            int sx, sy;
            source_of(orientation, W, H, x, y, &sx, &sy);
            assert_int_equal(image->pixels[y * image->width_px + x], upright->pixels[sy * W + sx]);
        }
}

/* The image's last chunk, moved before IEND. */
static void append_chunk(png_bytes *png, const char *name, const void *body, size_t bytes)
{
    png->size -= 12;
    put_chunk(png, name, body, bytes);
    put_chunk(png, "IEND", NULL, 0);
}

/* eXIf is EXIF without its six bytes of header, before the image or after it. */
static void orientation_is_applied(void **state)
{
    pulmo_decode_notes notes;
    uint8_t exif[64];
    (void)state;
    pulmo_image upright = decode_freed(make_grey(NULL, NULL, 0), &notes);
    assert_int_equal(notes.orientation, 1);
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int turn = 0; turn < 4; turn++) {
            const unsigned bytes = make_exif(exif, orientation, turn % 2) - 6;
            png_bytes png = make_grey(turn / 2 ? "eXIf" : NULL, exif + 6, bytes);
            if (turn / 2 == 0)
                append_chunk(&png, "eXIf", exif + 6, bytes);
            pulmo_image image = decode_freed(png, &notes);
            assert_int_equal(notes.orientation, orientation);
            check_turned(&image, &upright, orientation);
            pulmo_image_free(&image);
        }
    for (unsigned cut = 0; cut < 22; cut++) {
        make_exif(exif, 6, 1);
        pulmo_image image = decode_freed(make_grey("eXIf", exif + 6, cut), &notes);
        assert_int_equal(notes.orientation, 1);
        pulmo_image_free(&image);
    }
    pulmo_image_free(&upright);
}

/* Gamma, profiles, texts, unknown chunks, however nonsensical: noted or not, and the same pixels.
 */
static void ancillary_chunks_change_nothing(void **state)
{
    static const uint8_t srgb_gamma[] = {0, 0, 0xB1, 0x8F}, linear[] = {0, 1, 0x86, 0xA0};
    static const struct {
        const char *chunk, *body;
        size_t bytes;
        bool icc, gamma;
    } cases[] = {
        {"gAMA", (const char *)srgb_gamma, 4, false, false},
        {"gAMA", (const char *)linear, 4, false, true},
        {"gAMA", "", 0, false, false},
        {"iCCP", "name\0\0no profile", 16, true, false},
        {"sRGB", "\0", 1, false, false},
        {"cHRM", "short", 5, false, false},
        {"bKGD", "\1\1", 2, false, false},
        {"sBIT", "\4", 1, false, false},
        {"pHYs", "nonsense", 8, false, false},
        {"hIST", "no palette", 10, false, false},
        {"tEXt", "Comment\0words", 13, false, false},
        {"zTXt", "Comment\0\0no stream", 18, false, false},
        {"iTXt", "Comment", 7, false, false},
        {"tIME", "nonsense", 8, false, false},
        {"acTL", "\0\0\0\1\0\0\0\0", 8, false, false},
        {"puLm", "unknown", 7, false, false},
    };
    pulmo_decode_notes notes;
    (void)state;
    pulmo_image wanted = decode_freed(make_grey(NULL, NULL, 0), &notes);
    assert_false(notes.had_icc || notes.had_gamma);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        png_bytes png = make_grey(cases[i].chunk, cases[i].body, cases[i].bytes);
        pulmo_image image = decode_freed(png, &notes);
        assert_memory_equal(image.pixels, wanted.pixels, W * H);
        assert_int_equal(notes.had_icc, cases[i].icc);
        assert_int_equal(notes.had_gamma, cases[i].gamma);
        pulmo_image_free(&image);
    }
    pulmo_image_free(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(sixteen_bits_are_rounded),
        cmocka_unit_test(grey_stored_as_colour),
        cmocka_unit_test(orientation_is_applied),
        cmocka_unit_test(ancillary_chunks_change_nothing),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
