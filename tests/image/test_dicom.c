/* DICOM files: what is taken gives the grey that the standard's formulas give of its stored values;
 * what is not is refused by name. Every file here is written by dicoms.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "pulmo/image.h"

#include "dicoms.h"
#include "jpegs.h"
#include "support.h"

#define ROWS    13
#define COLUMNS 17 /* odd: rows of bytes do not begin on words */
#define VALUES  (ROWS * COLUMNS)

static uint16_t values[VALUES];
static pulmo_decode_spec plain;

static int start(void **state)
{
    (void)state;
    pulmo_decode_spec_init(&plain);
    for (int i = 0; i < VALUES; i++)
        values[i] = (uint16_t)(i * 4095 / (VALUES - 1));
    return 0;
}

static dicom_kind image_kind(void)
{
    return (dicom_kind){.rows = ROWS, .columns = COLUMNS};
}

static pulmo_image decode(dicom_bytes file, pulmo_decode_notes *notes)
{
    pulmo_image image;
    assert_ok(pulmo_image_decode(file.data, file.size, &plain, &image, notes));
    free(file.data);
    assert_int_equal(image.width_px, COLUMNS);
    assert_int_equal(image.height_px, ROWS);
    assert_int_equal(image.channels, 1);
    return image;
}

static void refuse(dicom_bytes file, const char *word)
{
    pulmo_image image;
    assert_refused(pulmo_image_decode(file.data, file.size, &plain, &image, NULL), PULMO_DATA,
                   word);
    assert_null(image.pixels);
    free(file.data);
}

/* `level` gives the grey of a stored value, not rounded. */
static void check(const dicom_kind *kind, double (*level)(int stored))
{
    pulmo_image image = decode(dicom_make(kind, values), NULL);
    for (int i = 0; i < VALUES; i++)
        assert_int_equal(image.pixels[i], (int)(level(values[i]) + 0.5));
    pulmo_image_free(&image);
}

/* ---- what is taken ---- */

static double full_level(int stored)
{
    return stored * 255.0 / 4095;
}

static double turned_level(int stored)
{
    return 255 - (int)(full_level(stored) + 0.5);
}

static void twelve_bits_are_scaled(void **state)
{
    (void)state;
    dicom_kind kind = image_kind();
    check(&kind, full_level);
    kind.photometric = "MONOCHROME1";
    check(&kind, turned_level);
    kind.shape = "INVERSE"; /* no second time */
    check(&kind, turned_level);
    kind.photometric = "MONOCHROME2";
    check(&kind, turned_level);
    kind.shape = "IDENTITY";
    check(&kind, full_level);
}

static double window_level(int stored)
{
    const double x = 2.0 * stored - 100;
    const double level = ((x - 1999.5) / 2999 + 0.5) * 255; /* center 2000, width 3000 */
    if (level < 0)
        return 0;
    return level > 255 ? 255 : level;
}

static void the_first_window_of_several_is_taken(void **state)
{
    (void)state;
    dicom_kind kind = image_kind();
    kind.slope = "2";
    kind.intercept = "-100";
    kind.center = "2000\\17";
    kind.width = "3000\\4";
    check(&kind, window_level);
    kind.function = "LINEAR";
    check(&kind, window_level);
    kind.center = "1";
    plain.window = "2000,3000";
    check(&kind, window_level);
    plain.window = NULL;
}

static double sigmoid_level(int stored)
{
    return 255 / (1 + exp(-4 * (stored - 2000.0) / 1500));
}

static void functions_of_windows_are_read(void **state)
{
    (void)state;
    dicom_kind kind = image_kind();
    kind.center = "2000";
    kind.width = "1500";
    kind.function = "SIGMOID";
    check(&kind, sigmoid_level);
    kind.function = "LINEAR_EXACT";
    pulmo_image image = decode(dicom_make(&kind, values), NULL);
    for (int i = 0; i < VALUES; i++) {
        double level = ((values[i] - 2000.0) / 1500 + 0.5) * 255;
        level = level < 0 ? 0 : level;
        level = level > 255 ? 255 : level;
        assert_int_equal(image.pixels[i], (int)(level + 0.5));
    }
    pulmo_image_free(&image);
}

static const uint16_t table[] = {1000, 700, 30, 900, 0, 512};

static double table_level(int stored)
{
    int at = stored - 100;
    at = at < 0 ? 0 : at;
    at = at > 5 ? 5 : at;
    return table[at] * 255.0 / 1023;
}

static void tables_are_looked_up(void **state)
{
    (void)state;
    dicom_kind kind = image_kind();
    kind.table_first = 100;
    kind.table_count = 6;
    kind.modality_table = table;
    kind.slope = "3"; /* a table is in its place */
    for (int i = 0; i < VALUES; i++)
        values[i] = (uint16_t)(95 + i % 16);
    check(&kind, table_level);
    kind.modality_table = NULL;
    kind.slope = NULL;
    kind.voi_table = table;
    kind.center = "5"; /* and here */
    kind.width = "5";
    check(&kind, table_level);
    start(state);
}

/* Of signed values, the table's first input may be below 0, and is written as SS. */
static void signed_values_meet_a_signed_table(void **state)
{
    (void)state;
    dicom_kind kind = image_kind();
    kind.is_signed = 1;
    kind.voi_table = table;
    kind.table_first = -2;
    kind.table_count = 6;
    for (int i = 0; i < VALUES; i++)
        values[i] = (uint16_t)((i % 16 - 8) & 0xFFF); /* -8 to 7 in 12 bits */
    pulmo_image image = decode(dicom_make(&kind, values), NULL);
    for (int i = 0; i < VALUES; i++)
        assert_int_equal(image.pixels[i], (int)(table_level(i % 16 - 8 + 102) + 0.5));
    pulmo_image_free(&image);
    start(state);
}

/* Overlays once lay in the bits above and below those stored. */
static void bits_beside_those_stored_are_nothing(void **state)
{
    (void)state;
    uint16_t shifted[VALUES];
    dicom_kind kind = image_kind();
    kind.stored = 10;
    kind.high_bit = 11;
    for (int i = 0; i < VALUES; i++)
        shifted[i] = (uint16_t)(0xF003 | (i * 4 & 0xFFC));
    pulmo_image image = decode(dicom_make(&kind, shifted), NULL);
    for (int i = 0; i < VALUES; i++)
        assert_int_equal(image.pixels[i], (int)((i & 0x3FF) * 255.0 / 1023 + 0.5));
    pulmo_image_free(&image);
}

static void eight_bits_are_what_they_are(void **state)
{
    (void)state;
    dicom_kind kind = image_kind();
    kind.allocated = 8;
    kind.stored = 8;
    for (int i = 0; i < VALUES; i++)
        values[i] = (uint16_t)(i % 256);
    pulmo_image image = decode(dicom_make(&kind, values), NULL);
    for (int i = 0; i < VALUES; i++)
        assert_int_equal(image.pixels[i], i % 256);
    pulmo_image_free(&image);
    start(state);
}

/* ---- how it is coded ---- */

static dicom_bytes deflated(const dicom_kind *kind)
{
    dicom_bytes file = dicom_make(kind, values);
    dicom_bytes out = dicom_begin("1.2.840.10008.1.2.1.99");
    z_stream z = {.next_in = file.data + file.meta_end,
                  .avail_in = (uInt)(file.size - file.meta_end),
                  .next_out = out.data + out.size,
                  .avail_out = (uInt)(DICOM_ROOM - out.size)};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    out.size += z.total_out;
    free(file.data);
    return out;
}

static void deflated_files_are_inflated(void **state)
{
    (void)state;
    const dicom_kind kind = image_kind();
    pulmo_image image = decode(deflated(&kind), NULL);
    for (int i = 0; i < VALUES; i++)
        assert_int_equal(image.pixels[i], (int)(full_level(values[i]) + 0.5));
    pulmo_image_free(&image);
    dicom_bytes cut = deflated(&kind);
    cut.size -= 20;
    refuse(cut, "is truncated: its deflated data");
    dicom_bytes hurt = deflated(&kind);
    hurt.data[hurt.meta_end + 4] ^= 0xFF;
    hurt.data[hurt.meta_end + 5] ^= 0xFF;
    refuse(hurt, "is");
}

/* 90 MB of zeros in 90 kB: more than any film is packed. */
static void a_small_file_inflates_to_little(void **state)
{
    enum { ZEROS = 90 << 20 };
    uint8_t *zeros = calloc(1, ZEROS);
    dicom_bytes bomb = dicom_begin("1.2.840.10008.1.2.1.99");
    z_stream z = {.next_in = zeros,
                  .avail_in = ZEROS,
                  .next_out = bomb.data + bomb.size,
                  .avail_out = (uInt)(DICOM_ROOM - bomb.size)};
    (void)state;
    assert_non_null(zeros);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    free(zeros);
    bomb.size += z.total_out;
    refuse(bomb, "inflates to more than");
}

/* RLE of PS3.5, annex G: a segment of high bytes, one of low bytes, each as literal runs. */
static size_t encode_rle(uint8_t *out)
{
    size_t at = 64;
    memset(out, 0, at);
    out[0] = 2;
    for (int segment = 0; segment < 2; segment++) {
        const size_t begins = at;
        memcpy(out + 4 + 4 * segment, &begins, 4);
        for (int i = 0; i < VALUES; i++) {
            if (i % 100 == 0)
                out[at++] = (uint8_t)((VALUES - i < 100 ? VALUES - i : 100) - 1);
            out[at++] = (uint8_t)(segment == 0 ? values[i] >> 8 : values[i]);
        }
        at += at % 2;
    }
    return at;
}

static void run_lengths_are_read(void **state)
{
    (void)state;
    uint8_t frame[4096] = {0};
    dicom_kind kind = image_kind();
    kind.transfer = "1.2.840.10008.1.2.5";
    const size_t bytes = encode_rle(frame);
    pulmo_image image = decode(dicom_encapsulate(&kind, frame, bytes), NULL);
    for (int i = 0; i < VALUES; i++)
        assert_int_equal(image.pixels[i], (int)(full_level(values[i]) + 0.5));
    pulmo_image_free(&image);
    refuse(dicom_encapsulate(&kind, frame, 200), "cannot be decoded");
}

static jpeg_bytes grey_jpeg(void)
{
    const jpeg_kind kind = {.width = COLUMNS,
                            .height = ROWS,
                            .in = JCS_GRAYSCALE,
                            .stored = JCS_GRAYSCALE,
                            .quality = 90};
    uint8_t pixels[VALUES];
    for (int i = 0; i < VALUES; i++)
        pixels[i] = test_pixel(i % COLUMNS, i / COLUMNS, 0);
    return make_jpeg(&kind, pixels);
}

static dicom_kind jpeg_kind_of(void)
{
    dicom_kind kind = image_kind();
    kind.transfer = "1.2.840.10008.1.2.4.50";
    kind.allocated = 8;
    kind.stored = 8;
    return kind;
}

/* Two libraries of one origin: the JPEG alone gives the same pixels. */
static void a_jpeg_inside_is_as_one_outside(void **state)
{
    (void)state;
    pulmo_image alone;
    const dicom_kind kind = jpeg_kind_of();
    jpeg_bytes jpeg = grey_jpeg();
    assert_ok(pulmo_image_decode(jpeg.data, jpeg.size, &plain, &alone, NULL));
    pulmo_image image = decode(dicom_encapsulate(&kind, jpeg.data, jpeg.size), NULL);
    assert_memory_equal(image.pixels, alone.pixels, VALUES);
    pulmo_image_free(&image);
    pulmo_image_free(&alone);
    free(jpeg.data);
}

static void a_jpeg_of_another_size_is_refused(void **state)
{
    (void)state;
    dicom_kind kind = jpeg_kind_of();
    jpeg_bytes jpeg = grey_jpeg();
    kind.rows = 64000; /* and nothing of that size is allocated */
    refuse(dicom_encapsulate(&kind, jpeg.data, jpeg.size), "and its JPEG 17 and 13");
    kind = jpeg_kind_of();
    refuse(dicom_encapsulate(&kind, jpeg.data, jpeg.size / 2), "cannot be decoded");
    refuse(dicom_encapsulate(&kind, values, 200), "said to be JPEG and are not");
    refuse(dicom_make(&kind, values), "uses explicit length"); /* DCMTK says so */
    free(jpeg.data);
}

/* ---- what is refused ---- */

static void what_is_not_an_x_ray_is_refused(void **state)
{
    (void)state;
    dicom_kind kind = image_kind();
    kind.modality = "CT";
    refuse(dicom_make(&kind, values), "is of modality CT, and CR, DX are taken");
    plain.modalities = "[DX, CT]";
    pulmo_image image = decode(dicom_make(&kind, values), NULL);
    pulmo_image_free(&image);
    plain.modalities = "any";
    image = decode(dicom_make(&kind, values), NULL);
    pulmo_image_free(&image);
    plain.modalities = NULL;
    kind = image_kind();
    kind.photometric = "RGB";
    kind.samples = 3;
    refuse(dicom_make(&kind, values), "is in colour (RGB, 3 samples)");
    kind = image_kind();
    kind.frames = "12";
    refuse(dicom_make(&kind, values), "has 12 frames; must be 1");
    kind = image_kind();
    kind.no_pixels = true;
    refuse(dicom_make(&kind, values), "without pixels");
    kind = image_kind();
    kind.transfer = "1.2.840.10008.1.2.4.90";
    refuse(dicom_encapsulate(&kind, values, 100), "in JPEG 2000, which pulmo does not read");
    kind.transfer = "1.2.840.99999.7";
    refuse(dicom_make(&kind, values), "1.2.840.99999.7");
    kind = image_kind();
    kind.stored = 7;
    refuse(dicom_make(&kind, values), "has 7 bits of 16");
    kind = image_kind();
    kind.high_bit = 5;
    refuse(dicom_make(&kind, values), "HighBit is 5");
    kind = image_kind();
    kind.center = "1";
    kind.width = "0";
    refuse(dicom_make(&kind, values), "WindowWidth 0");
}

static void sizes_are_checked_before_anything_is_made(void **state)
{
    (void)state;
    pulmo_image image;
    pulmo_decode_notes notes;
    dicom_kind kind = image_kind();
    kind.no_pixels = true;
    kind.rows = 65535;
    kind.columns = 65535;
    dicom_bytes file = dicom_make(&kind, values);
    dicom_head(&file, 0x7FE00010, "OW", 100);
    file.size += 100;
    assert_refused(pulmo_image_decode(file.data, file.size, &plain, &image, &notes), PULMO_DATA,
                   "65535 x 65535 is more than");
    assert_true(notes.too_large);
    free(file.data);
    kind.rows = 1000;
    kind.columns = 1000;
    file = dicom_make(&kind, values);
    dicom_head(&file, 0x7FE00010, "OW", 100);
    file.size += 100;
    refuse(file, "is truncated: its pixels are 100 bytes");
}

/* Cut anywhere, the file is refused or whole, and nothing is read beyond its end. */
static void every_cut_is_refused(void **state)
{
    (void)state;
    dicom_kind kind = image_kind();
    kind.voi_table = table;
    kind.table_count = 6;
    dicom_bytes file = dicom_make(&kind, values);
    for (size_t size = 132; size < file.size; size++) {
        pulmo_image image;
        uint8_t *cut = malloc(size);
        memcpy(cut, file.data, size);
        assert_int_equal(pulmo_image_decode(cut, size, &plain, &image, NULL), PULMO_DATA);
        free(cut);
    }
    free(file.data);
}

/* Sequences within one another would use up the stack. */
static void deep_sequences_are_refused(void **state)
{
    (void)state;
    const dicom_kind kind = image_kind();
    dicom_bytes file = dicom_describe(&kind);
    for (int i = 0; i < 100000; i++) {
        dicom_head(&file, 0x00081140, "SQ", 0xFFFFFFFF);
        dicom_item_head(&file, 0xFFFEE000, 0xFFFFFFFF);
    }
    refuse(file, "more than 16 sequences within one another");
}

static void lengths_are_held_against_what_is_there(void **state)
{
    (void)state;
    const dicom_kind kind = image_kind();
    dicom_bytes file = dicom_describe(&kind);
    dicom_head(&file, 0x00291010, "OB", 0xFFFFFFF0);
    file.size += 50;
    refuse(file, "element (0029,1010) has 4294967280 bytes, of which 50 are there");
    file = dicom_describe(&kind);
    dicom_head(&file, 0x00291010, "SQ", 20);
    dicom_item_head(&file, 0xFFFEE000, 30); /* longer than its sequence */
    file.size += 100;
    refuse(file, "(FFFE,E000) has 30 bytes, of which 12 are there");
    file = dicom_describe(&kind);
    for (int i = 0; i < 200000; i++)
        dicom_head(&file, 0x00291010, "LO", 0);
    refuse(file, "more than 100000 elements");
}

/* Random damage ends in pixels or a reason; sanitizers say whether it reads what is not there. */
static void damage_is_survived(void **state)
{
    (void)state;
    dicom_kind kind = image_kind();
    kind.voi_table = table;
    kind.table_count = 6;
    jpeg_bytes jpeg = grey_jpeg();
    const dicom_kind with_jpeg = jpeg_kind_of();
    dicom_bytes whole[] = {dicom_make(&kind, values),
                           dicom_encapsulate(&with_jpeg, jpeg.data, jpeg.size)};
    uint64_t random = 1;
    for (int round = 0; round < 6000; round++) {
        const dicom_bytes *from = &whole[round % 2];
        pulmo_image image;
        uint8_t *data = malloc(from->size);
        memcpy(data, from->data, from->size);
        for (int i = 0; i < 1 + round % 4; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            data[132 + (random >> 33) % (from->size - 132)] = (uint8_t)(random >> 20);
        }
        const pulmo_status got = pulmo_image_decode(data, from->size, &plain, &image, NULL);
        assert_true(got == PULMO_OK || got == PULMO_DATA);
        pulmo_image_free(&image);
        free(data);
    }
    free(whole[0].data);
    free(whole[1].data);
    free(jpeg.data);
}

/* ---- headers ---- */

static void headers_are_noted(void **state)
{
    (void)state;
    pulmo_decode_notes notes;
    dicom_kind kind = image_kind();
    kind.patient = " P-0017 ";
    const int wanted[] = {pulmo_header_find("PatientSex"), pulmo_header_find("PatientAge"),
                          pulmo_header_find("Modality")};
    plain.header = wanted;
    plain.headers = 3;
    pulmo_image image = decode(dicom_make(&kind, values), &notes);
    pulmo_image_free(&image);
    assert_true(notes.has_header);
    assert_string_equal(notes.patient, "P-0017");
    assert_memory_equal(notes.header,
                        "\0"
                        "041Y\0DX",
                        9); /* there is no sex */
    kind.patient = "  ";
    image = decode(dicom_make(&kind, values), &notes);
    pulmo_image_free(&image);
    assert_string_equal(notes.patient, "");
    kind.patient = "a\nb\xE9";
    image = decode(dicom_make(&kind, values), &notes);
    pulmo_image_free(&image);
    assert_string_equal(notes.patient, "a?b\xC3\xA9"); /* of no character set: Latin-1 */
    plain.headers = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twelve_bits_are_scaled),
        cmocka_unit_test(the_first_window_of_several_is_taken),
        cmocka_unit_test(functions_of_windows_are_read),
        cmocka_unit_test(tables_are_looked_up),
        cmocka_unit_test(signed_values_meet_a_signed_table),
        cmocka_unit_test(bits_beside_those_stored_are_nothing),
        cmocka_unit_test(eight_bits_are_what_they_are),
        cmocka_unit_test(deflated_files_are_inflated),
        cmocka_unit_test(a_small_file_inflates_to_little),
        cmocka_unit_test(run_lengths_are_read),
        cmocka_unit_test(a_jpeg_inside_is_as_one_outside),
        cmocka_unit_test(a_jpeg_of_another_size_is_refused),
        cmocka_unit_test(what_is_not_an_x_ray_is_refused),
        cmocka_unit_test(sizes_are_checked_before_anything_is_made),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(deep_sequences_are_refused),
        cmocka_unit_test(lengths_are_held_against_what_is_there),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(headers_are_noted),
    };
    if (strcmp(pulmo_dicom_library(), "not built in") == 0) {
        printf("skipped: pulmo was built without DCMTK\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, start, NULL);
}
