/* Decoding: every kind of JPEG that a scanner or a web site makes gives its picture; every kind of
 * damage gives a status and a reason. */
#include "cost.h"

#include "pulmo/file.h"
#include "pulmo/image.h"
#include "pulmo/rng.h"

#include "jpegs.h"

#define W 61 /* odd sides: the last blocks are part full */
#define H 45

static pulmo_decode_spec plain;

static int start(void **state)
{
    (void)state;
    pulmo_decode_spec_init(&plain);
    return 0;
}

static pulmo_status decode(jpeg_bytes jpeg, pulmo_image *out, pulmo_decode_notes *notes)
{
    return pulmo_image_decode(jpeg.data, jpeg.size, &plain, out, notes);
}

/* The mean distance from the test picture is that of quality 92, not of a wrong picture. */
static void check_near(const pulmo_image *image, int channels, double most)
{
    double sum = 0;
    assert_int_equal(image->width_px, W);
    assert_int_equal(image->height_px, H);
    assert_int_equal(image->channels, channels);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < channels; c++)
                sum += abs(image->pixels[(y * W + x) * channels + c] - test_pixel(x, y, c));
    assert_true(sum / (W * H * channels) < most);
}

static void check_kind(jpeg_kind kind, int channels, double most)
{
    pulmo_image image;
    pulmo_decode_notes notes;
    kind.width = W;
    kind.height = H;
    uint8_t *pixels = make_pixels(W, H, channels);
    jpeg_bytes jpeg = make_jpeg(&kind, pixels);
    assert_int_equal(decode(jpeg, &image, &notes), PULMO_OK);
    assert_int_equal(notes.orientation, 1);
    assert_int_equal(notes.source_channels, channels);
    check_near(&image, channels, most);
    pulmo_image_free(&image);
    free(jpeg.data);
    free(pixels);
}

static void every_kind(void **state)
{
    static const int factors[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}};
    (void)state;
    for (int coding = 0; coding < 4; coding++) {
        jpeg_kind kind = {.in = JCS_GRAYSCALE,
                          .stored = JCS_GRAYSCALE,
                          .progressive = coding & 1,
                          .arithmetic = coding >> 1};
        check_kind(kind, 1, 3);
        kind.in = JCS_RGB;
        kind.stored = JCS_YCbCr;
        for (size_t f = 0; f < sizeof factors / sizeof factors[0]; f++) {
            kind.h_factor = factors[f][0];
            kind.v_factor = factors[f][1];
            check_kind(kind, 3, 8);
        }
        kind.stored = JCS_RGB;
        kind.h_factor = 0;
        kind.restart_rows = 1;
        check_kind(kind, 3, 3);
    }
}

/* Adobe stores CMYK inverted: what the file holds is 255 less ink. Pillow's conversion of ink c, m,
 * y, k: (255 - k) less the ink's part of it. */
static void cmyk_as_pillow(void **state)
{
    (void)state;
    static const uint8_t stored[4][4] = {
        {255, 255, 255, 255}, {0, 255, 255, 255}, {255, 255, 255, 0}, {200, 100, 50, 128}};
    static const int rgb[4][3] = {{255, 255, 255}, {0, 255, 255}, {0, 0, 0}, {100, 50, 25}};
    for (int k = 0; k < 4; k++)
        for (int ycck = 0; ycck < 2; ycck++) {
            jpeg_kind kind = {
                .width = 16, .height = 16, .in = JCS_CMYK, .stored = ycck ? JCS_YCCK : JCS_CMYK};
            uint8_t pixels[16 * 16 * 4];
            pulmo_image image;
            pulmo_decode_notes notes;
            for (int i = 0; i < 256; i++)
                memcpy(pixels + 4 * i, stored[k], 4);
            jpeg_bytes jpeg = make_jpeg(&kind, pixels);
            assert_int_equal(decode(jpeg, &image, &notes), PULMO_OK);
            assert_int_equal(notes.source_channels, 4);
            for (int c = 0; c < 3; c++) {
                const int sample = image.channels == 1 ? 100 : 3 * 100 + c;
                assert_in_range(image.pixels[sample] + 4, rgb[k][c], rgb[k][c] + 8);
            }
            pulmo_image_free(&image);
            free(jpeg.data);
        }
}

static pulmo_image decode_with_app(int marker, const uint8_t *app, unsigned bytes,
                                   pulmo_decode_notes *notes)
{
    pulmo_image image;
    jpeg_kind kind = {.width = W,
                      .height = H,
                      .in = JCS_GRAYSCALE,
                      .stored = JCS_GRAYSCALE,
                      .app = app,
                      .app_bytes = bytes,
                      .app_marker = marker};
    uint8_t *pixels = make_pixels(W, H, 1);
    jpeg_bytes jpeg = make_jpeg(&kind, pixels);
    assert_int_equal(decode(jpeg, &image, notes), PULMO_OK);
    free(jpeg.data);
    free(pixels);
    return image;
}

static void orientation_is_applied(void **state)
{
    (void)state;
    pulmo_decode_notes notes;
    uint8_t exif[64];
    pulmo_image upright = decode_with_app(JPEG_APP0 + 1, exif, make_exif(exif, 1, 1), &notes);
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int little = 0; little < 2; little++) {
            pulmo_image image =
                decode_with_app(JPEG_APP0 + 1, exif, make_exif(exif, orientation, little), &notes);
            assert_int_equal(notes.orientation, orientation);
            assert_int_equal(image.width_px, orientation > 4 ? H : W);
            assert_int_equal(image.height_px, orientation > 4 ? W : H);
            for (int y = 0; y < image.height_px; y++)
                for (int x = 0; x < image.width_px; x++) {
                    int sx, sy;
                    source_of(orientation, W, H, x, y, &sx, &sy);
                    assert_int_equal(image.pixels[y * image.width_px + x],
                                     upright.pixels[sy * W + sx]);
                }
            pulmo_image_free(&image);
        }
    pulmo_image_free(&upright);
}

/* EXIF is written by anyone: nonsense in it neither turns the image nor reads past its end. */
static void malformed_exif_is_ignored(void **state)
{
    (void)state;
    pulmo_decode_notes notes;
    uint8_t exif[64], changed[64];
    unsigned bytes = make_exif(exif, 6, 1);
    static const struct {
        unsigned at;
        uint8_t value;
    } harm[] = {
        {0, 'X'}, {6, 'Q'}, {8, 43}, {10, 0xFF}, {13, 0xFF}, {11, 1},
        {18, 4},  {24, 9},  {24, 0}, {25, 1},    {16, 0x13},
    };
    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        memcpy(changed, exif, bytes);
        changed[harm[i].at] = harm[i].value;
        pulmo_image image = decode_with_app(JPEG_APP0 + 1, changed, bytes, &notes);
        assert_int_equal(notes.orientation, 1);
        pulmo_image_free(&image);
    }
    for (unsigned cut = 0; cut < 28; cut++) {
        pulmo_image image = decode_with_app(JPEG_APP0 + 1, exif, cut, &notes);
        assert_int_equal(notes.orientation, 1);
        pulmo_image_free(&image);
    }
}

static void colour_profile_is_noted(void **state)
{
    (void)state;
    pulmo_decode_notes notes;
    pulmo_image image =
        decode_with_app(JPEG_APP0 + 2, (const uint8_t *)"ICC_PROFILE\0\1\1rest", 18, &notes);
    assert_true(notes.had_icc);
    pulmo_image_free(&image);
    image = decode_with_app(JPEG_APP0 + 2, (const uint8_t *)"MPF\0", 4, &notes);
    assert_false(notes.had_icc);
    pulmo_image_free(&image);
}

/* ---- refusals ---- */

static void check_refused(const void *data, size_t size, const char *reason)
{
    pulmo_image image = {.pixels = (uint8_t *)&image};
    pulmo_decode_notes notes;
    assert_int_equal(pulmo_image_decode(data, size, &plain, &image, &notes), PULMO_DATA);
    assert_null(image.pixels);
    if (!strstr(pulmo_error(), reason))
        fail_msg("\"%s\" does not say \"%s\"", pulmo_error(), reason);
}

static void what_is_no_jpeg(void **state)
{
    (void)state;
    uint8_t dicom[140] = {0};
    memcpy(dicom + 128, "DICM", 4);
    check_refused("", 0, "empty");
    check_refused("\xFF", 1, "not a JPEG, a PNG or a DICOM file");
    check_refused("\x89PNG\r\n\x1a\n....", 12, "truncated");
    check_refused("GIF89a......", 12, "GIF");
    check_refused("II*\0....", 8, "TIFF");
    check_refused("BM......", 8, "BMP");
    check_refused(dicom, sizeof dicom, "DICOM");
    check_refused("hello, world", 12, "is not a JPEG, a PNG or a DICOM file but something else");
    check_refused("\xFF\xD8\xFF", 3, "truncated");
    check_refused("\xFF\xD8\xFF\xD9", 4, "no image");
}

/* Cut anywhere, baseline or progressive: truncated, never a crash, never half an image. */
static void truncated_anywhere(void **state)
{
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        jpeg_kind kind = {.width = W,
                          .height = H,
                          .in = JCS_GRAYSCALE,
                          .stored = JCS_GRAYSCALE,
                          .progressive = progressive};
        uint8_t *pixels = make_pixels(W, H, 1);
        jpeg_bytes jpeg = make_jpeg(&kind, pixels);
        for (unsigned long cut = 3; cut < jpeg.size; cut += cut < 700 ? 7 : 3)
            check_refused(jpeg.data, cut, "truncated");
        check_refused(jpeg.data, jpeg.size - 2, "truncated"); /* only the end marker is missing */
        free(jpeg.data);
        free(pixels);
    }
}

/* Sets the size in the frame header to anything. */
static void claim_size(jpeg_bytes jpeg, unsigned height, unsigned width)
{
    for (unsigned long i = 2; i + 9 < jpeg.size; i++) {
        const uint8_t marker = jpeg.data[i + 1];
        const bool is_frame = marker == 0xC0 || marker == 0xC2 || marker == 0xCA;
        if (jpeg.data[i] != 0xFF || !is_frame)
            continue;
        jpeg.data[i + 5] = (uint8_t)(height >> 8);
        jpeg.data[i + 6] = (uint8_t)height;
        jpeg.data[i + 7] = (uint8_t)(width >> 8);
        jpeg.data[i + 8] = (uint8_t)width;
        return;
    }
    fail_msg("no frame header");
}

static void too_many_pixels(void **state)
{
    (void)state;
    jpeg_bytes jpeg = make_grey_jpeg(W, H);
    pulmo_image image;
    pulmo_decode_notes notes;
    plain.pixels_max = W * H;
    assert_int_equal(decode(jpeg, &image, &notes), PULMO_OK);
    assert_false(notes.too_large);
    pulmo_image_free(&image);
    plain.pixels_max = W * H - 1;
    check_refused(jpeg.data, jpeg.size, "61 x 45 is more than 2744 pixels");
    assert_int_equal(decode(jpeg, &image, &notes), PULMO_DATA);
    assert_true(notes.too_large);
    pulmo_decode_spec_init(&plain);
    claim_size(jpeg, 65000, 65000);
    check_refused(jpeg.data, jpeg.size, "65000 x 65000 is more than");
    claim_size(jpeg, 0, W);
    check_refused(jpeg.data, jpeg.size, "cannot be decoded");
    free(jpeg.data);
}

/* Damage inside the scan: libjpeg goes on with a warning, pulmo does not. */
static void a_warning_is_damage(void **state)
{
    (void)state;
    jpeg_bytes jpeg = make_grey_jpeg(W, H);
    unsigned long at = jpeg.size - 200;
    jpeg.data[at] = 0xFF; /* a restart marker that nobody announced */
    jpeg.data[at + 1] = 0xD3;
    check_refused(jpeg.data, jpeg.size, "is damaged: Corrupt JPEG data");
    free(jpeg.data);
}

/* Equal channels are one channel, in whichever way they were stored. */
static void grey_stored_as_colour(void **state)
{
    (void)state;
    pulmo_image grey, colour;
    pulmo_decode_notes notes;
    uint8_t *pixels = make_pixels(W, H, 1);
    uint8_t *three = malloc((size_t)3 * W * H);
    for (size_t i = 0; i < (size_t)W * H; i++)
        memset(three + 3 * i, pixels[i], 3);
    jpeg_kind kind = {.width = W, .height = H, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE};
    jpeg_bytes one = make_jpeg(&kind, pixels);
    kind.in = JCS_RGB;
    kind.stored = JCS_YCbCr;
    jpeg_bytes other = make_jpeg(&kind, three);
    assert_int_equal(decode(one, &grey, &notes), PULMO_OK);
    assert_int_equal(decode(other, &colour, &notes), PULMO_OK);
    assert_int_equal(notes.source_channels, 3);
    assert_int_equal(colour.channels, 1);
    assert_memory_equal(colour.pixels, grey.pixels, (size_t)W * H);
    pulmo_image_free(&grey);
    pulmo_image_free(&colour);
    free(one.data);
    free(other.data);
    free(three);
    free(pixels);
}

/* Bytes changed at random: a picture or a reason, and the sanitizers find nothing. */
static void random_damage(void **state)
{
    (void)state;
    pulmo_rng rng;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 11, 0);
    uint8_t *pixels = make_pixels(W, H, 4);
    for (int round = 0; round < 600; round++) {
        jpeg_kind kind = {.width = W,
                          .height = H,
                          .in = JCS_RGB,
                          .stored = JCS_YCbCr,
                          .progressive = round % 2,
                          .arithmetic = round / 2 % 2};
        if (round % 3 == 0)
            kind.in = JCS_CMYK, kind.stored = JCS_YCCK;
        jpeg_bytes jpeg = make_jpeg(&kind, pixels);
        pulmo_image image;
        for (int k = 0; k < 1 + round % 9; k++) {
            uint32_t at = 2 + pulmo_rng_below(&rng, (uint32_t)jpeg.size - 2);
            jpeg.data[at] = (uint8_t)pulmo_rng_u32(&rng);
        }
        plain.pixels_max = 4000000;
        pulmo_status status = decode(jpeg, &image, NULL);
        assert_true(status == PULMO_OK || status == PULMO_DATA);
        if (status == PULMO_OK)
            pulmo_image_free(&image);
        else
            assert_true(strlen(pulmo_error()) > 5);
        free(jpeg.data);
    }
    pulmo_decode_spec_init(&plain);
    free(pixels);
}

/* A progressive file of `scans` scans without data, which arithmetic coding reads as zeros. */
static jpeg_bytes make_empty_scans(int width, int height, int scans)
{
    const jpeg_kind kind = {.width = W,
                            .height = H,
                            .in = JCS_GRAYSCALE,
                            .stored = JCS_GRAYSCALE,
                            .progressive = 1,
                            .arithmetic = 1};
    uint8_t scan[] = {0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0}; /* one component, of its DC */
    uint8_t *pixels = make_pixels(W, H, 1);
    jpeg_bytes jpeg = make_jpeg(&kind, pixels);
    unsigned long size = 2;
    while (!(jpeg.data[size] == 0xFF && jpeg.data[size + 1] == 0xDA))
        size++;
    jpeg_bytes out = {malloc(size + sizeof scan * (size_t)scans + 2), size};
    assert_non_null(out.data);
    memcpy(out.data, jpeg.data, size);
    for (int i = 0; i < scans; i++, out.size += sizeof scan) {
        memcpy(out.data + out.size, scan, sizeof scan);
        scan[7] = 1; /* Ss to Se: all of the AC */
        scan[8] = 63;
    }
    memcpy(out.data + out.size, "\xFF\xD9", 2);
    out.size += 2;
    claim_size(out, height, width);
    free(jpeg.data);
    free(pixels);
    return out;
}

/* Each scan walks the whole image: 120 in a file of 1 kB took seconds. */
static void too_many_scans(void **state)
{
    (void)state;
    jpeg_bytes small = make_empty_scans(W, H, 1000);
    check_refused(small.data, small.size, "more than 500 scans");
    jpeg_bytes film = make_empty_scans(13000, 13000, 120);
    const cost before = cost_now();
    check_refused(film.data, film.size, "has more than 35 scans");
    assert_cost(&before, 2, 500);
    free(small.data);
    free(film.data);
}

/* More than any encoder makes, of a film's size. */
static void many_scans_are_read(void **state)
{
    (void)state;
    pulmo_image image;
    jpeg_bytes film = make_empty_scans(3000, 2500, 60);
    assert_int_equal(decode(film, &image, NULL), PULMO_OK);
    assert_int_equal(image.height_px, 2500);
    pulmo_image_free(&image);
    free(film.data);
}

/* Scans without data of a file in Huffman's coding: libjpeg warns, and walks them all the same. */
static void a_warning_ends_at_once(void **state)
{
    (void)state;
    const jpeg_kind kind = {
        .width = W, .height = H, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .progressive = 1};
    uint8_t *pixels = make_pixels(W, H, 1);
    jpeg_bytes jpeg = make_jpeg(&kind, pixels);
    claim_size(jpeg, 13000, 13000);
    const cost before = cost_now();
    check_refused(jpeg.data, jpeg.size, "is damaged: Corrupt JPEG data");
    assert_cost(&before, 0.3, 500);
    free(jpeg.data);
    free(pixels);
}

/* ---- scaled decoding, writing, reading ---- */

static void fast_keeps_both_sides(void **state)
{
    (void)state;
    jpeg_bytes jpeg = make_grey_jpeg(800, 600);
    static const struct {
        int target, width, height;
    } cases[] = {
        {0, 800, 600},   {75, 100, 75},   {76, 200, 150},
        {224, 400, 300}, {301, 800, 600}, {601, 800, 600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pulmo_image image;
        plain.fast_target_px = cases[i].target;
        assert_int_equal(decode(jpeg, &image, NULL), PULMO_OK);
        assert_int_equal(image.width_px, cases[i].width);
        assert_int_equal(image.height_px, cases[i].height);
        pulmo_image_free(&image);
    }
    plain.fast_target_px = 0;
    free(jpeg.data);
}

static void written_is_read(void **state)
{
    (void)state;
    char path[] = "/tmp/pulmo-test-XXXXXX";
    uint8_t *data = NULL;
    size_t size = 0;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (int channels = 1; channels <= 3; channels += 2) {
        pulmo_image image = {.height_px = H,
                             .width_px = W,
                             .channels = channels,
                             .pixels = make_pixels(W, H, channels)},
                    back;
        assert_int_equal(pulmo_jpeg_write(path, &image, 92), PULMO_OK);
        assert_int_equal(pulmo_file_read(path, 1 << 20, &data, &size), PULMO_OK);
        assert_int_equal(pulmo_image_decode(data, size, &plain, &back, NULL), PULMO_OK);
        check_near(&back, channels, 8);
        free(data);
        assert_int_equal(pulmo_file_read(path, size, &data, &size),
                         PULMO_OK); /* the limit itself is allowed */
        free(data);
        assert_int_equal(pulmo_file_read(path, size - 1, &data, &size), PULMO_DATA);
        assert_non_null(strstr(pulmo_error(), path));
        pulmo_image_free(&back);
        pulmo_image_free(&image);
    }
    unlink(path);
    assert_int_equal(pulmo_file_read(path, 100, &data, &size), PULMO_IO);
    assert_non_null(strstr(pulmo_error(), path));
    assert_int_equal(pulmo_file_read("/tmp", 100, &data, &size), PULMO_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(cmyk_as_pillow),
        cmocka_unit_test(orientation_is_applied),
        cmocka_unit_test(malformed_exif_is_ignored),
        cmocka_unit_test(colour_profile_is_noted),
        cmocka_unit_test(what_is_no_jpeg),
        cmocka_unit_test(truncated_anywhere),
        cmocka_unit_test(too_many_pixels),
        cmocka_unit_test(a_warning_is_damage),
        cmocka_unit_test(grey_stored_as_colour),
        cmocka_unit_test(random_damage),
        cmocka_unit_test(too_many_scans),
        cmocka_unit_test(many_scans_are_read),
        cmocka_unit_test(a_warning_ends_at_once),
        cmocka_unit_test(fast_keeps_both_sides),
        cmocka_unit_test(written_is_read),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
