/* From stored values to grey: the formulas and the examples of PS3.3 C.11, written out here again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "dicom_map.h"
#include "support.h"

static uint8_t grey[1 << 16];

static dicom_mapping plain(int bits, bool is_signed)
{
    return (dicom_mapping){.bits = bits, .is_signed = is_signed, .slope = 1};
}

static dicom_mapping windowed(dicom_shape shape, double center, double width)
{
    dicom_mapping m = plain(13, true);
    m.window = (dicom_window){true, shape, center, width};
    return m;
}

static uint8_t rounded(double level)
{
    if (level < 0)
        level = 0;
    if (level > 255)
        level = 255;
    return (uint8_t)(level + 0.5);
}

/* Of a signed value in 13 bits. */
static int grey_at(int stored)
{
    return grey[stored & 0x1FFF];
}

/* ---- windows ---- */

/* C.11.2.1.2.1, for an output of 0 to 255. */
static double linear(double x, double c, double w)
{
    if (x <= c - 0.5 - (w - 1) / 2)
        return 0;
    if (x > c - 0.5 + (w - 1) / 2)
        return 255;
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255;
}

/* C.11.2.1.3.2 */
static double linear_exact(double x, double c, double w)
{
    if (x <= c - w / 2)
        return 0;
    if (x > c + w / 2)
        return 255;
    return ((x - c) / w + 0.5) * 255;
}

/* C.11.2.1.3.1 */
static double sigmoid(double x, double c, double w)
{
    return 255 / (1 + exp(-4 * (x - c) / w));
}

static void every_window_is_the_standards(void **state)
{
    static const double windows[][2] = {{2048, 4096}, {2048, 1},    {0, 100},   {0, 1},
                                        {-37.5, 812}, {1000.25, 2}, {40, 399.5}};
    static double (*const functions[])(double, double, double) = {linear, linear_exact, sigmoid};
    (void)state;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
        for (int shape = 0; shape < 3; shape++) {
            const double center = windows[i][0];
            const double width = windows[i][1];
            const dicom_mapping m = windowed((dicom_shape)shape, center, width);
            assert_ok(dicom_map_check(&m));
            dicom_map_table(&m, grey);
            for (int x = -4096; x < 4096; x++)
                assert_int_equal(grey_at(x), rounded(functions[shape](x, center, width)));
        }
}

/* The ends that the notes to these sections name. */
static void the_ends_are_those_of_the_notes(void **state)
{
    (void)state;
    dicom_mapping m = windowed(DICOM_LINEAR, 0, 100);
    dicom_map_table(&m, grey);
    assert_int_equal(grey_at(-50), 0);
    assert_int_equal(grey_at(-49), 3); /* ((-49 + 0.5) / 99 + 0.5) * 255 = 2.58 */
    assert_int_equal(grey_at(49), 255);
    m = windowed(DICOM_LINEAR, 2048, 1);
    dicom_map_table(&m, grey);
    assert_int_equal(grey_at(2047), 0);
    assert_int_equal(grey_at(2048), 255);
    m = windowed(DICOM_LINEAR_EXACT, 2048, 4096);
    dicom_map_table(&m, grey);
    assert_int_equal(grey_at(0), 0);
    assert_int_equal(grey_at(4095), 255); /* 4095 / 4096 * 255 = 254.94 */
    assert_int_equal(grey_at(2048), 128); /* 127.5: halves go up */
}

static void the_window_is_of_rescaled_values(void **state)
{
    (void)state;
    dicom_mapping m = plain(12, false);
    m.slope = 2.5;
    m.intercept = -1024;
    m.window = (dicom_window){true, DICOM_LINEAR, 500, 3000};
    dicom_map_table(&m, grey);
    for (int x = 0; x < 4096; x++)
        assert_int_equal(grey[x], rounded(linear(2.5 * x - 1024, 500, 3000)));
}

/* ---- the full range ---- */

static void without_a_window_the_range_is_full(void **state)
{
    (void)state;
    for (int bits = 8; bits <= 16; bits++) {
        const int last = (1 << bits) - 1;
        dicom_mapping m = plain(bits, false);
        dicom_map_table(&m, grey);
        for (int x = 0; x <= last; x++)
            assert_int_equal(grey[x], rounded(x * 255.0 / last));
        m = plain(bits, true);
        dicom_map_table(&m, grey);
        assert_int_equal(grey[1 << (bits - 1)], 0); /* the least of two's complement */
        assert_int_equal(grey[last], rounded(((1 << (bits - 1)) - 1) * 255.0 / last)); /* -1 */
        assert_int_equal(grey[(1 << (bits - 1)) - 1], 255);
    }
}

/* 8 bits of full range are what they are: DICOM of a JPEG's pixels gives the JPEG's pixels. */
static void eight_bits_stay(void **state)
{
    (void)state;
    const dicom_mapping m = plain(8, false);
    dicom_map_table(&m, grey);
    for (int x = 0; x < 256; x++)
        assert_int_equal(grey[x], x);
}

static void a_falling_slope_turns_the_range(void **state)
{
    (void)state;
    dicom_mapping m = plain(10, false);
    m.slope = -0.5;
    m.intercept = 7;
    dicom_map_table(&m, grey);
    for (int x = 0; x < 1024; x++)
        assert_int_equal(grey[x], rounded((1023 - x) * 255.0 / 1023));
}

static void inversion_is_last(void **state)
{
    (void)state;
    dicom_mapping m = windowed(DICOM_LINEAR, 10, 77);
    m.inverted = true;
    dicom_map_table(&m, grey);
    for (int x = -4096; x < 4096; x++)
        assert_int_equal(grey_at(x), 255 - rounded(linear(x, 10, 77)));
}

/* ---- tables ---- */

static void tables_end_where_they_end(void **state)
{
    static const uint16_t squares[] = {0, 1, 4, 9, 16, 25, 36, 49, 64, 81};
    static const uint16_t steps[] = {100, 200, 1023};
    (void)state;
    dicom_mapping m = plain(8, true);
    m.modality = (dicom_lut){10, -3, 10, squares};
    m.slope = 0; /* not looked at */
    assert_ok(dicom_map_check(&m));
    dicom_map_table(&m, grey);
    assert_int_equal(grey[128], 0);                        /* -128: below the first */
    assert_int_equal(grey[0xFD], 0);                       /* -3 is the first */
    assert_int_equal(grey[2], rounded(25 * 255.0 / 1023)); /* the range is of the table's 10 bits */
    assert_int_equal(grey[6], rounded(81 * 255.0 / 1023));
    assert_int_equal(grey[127], rounded(81 * 255.0 / 1023));
    m.voi = (dicom_lut){3, 16, 10, steps};
    m.window = (dicom_window){true, DICOM_LINEAR, 1, 2}; /* a table is before a window */
    dicom_map_table(&m, grey);
    assert_int_equal(grey[0], rounded(100 * 255.0 / 1023));
    assert_int_equal(grey[1], rounded(100 * 255.0 / 1023)); /* 16 */
    assert_int_equal(grey[2], 255);                         /* 25: beyond the last */
}

/* ---- what cannot be ---- */

static void odd_mappings_are_refused(void **state)
{
    (void)state;
    dicom_mapping m = plain(12, false);
    m.slope = 0;
    assert_refused(dicom_map_check(&m), PULMO_DATA, "RescaleSlope 0");
    m.slope = 1e308; /* values beyond a double, whose range divided by itself became a NaN, and 0 */
    assert_refused(dicom_map_check(&m), PULMO_DATA, "RescaleSlope 1e+308");
    m.slope = 1e-300; /* values that are all the intercept */
    m.intercept = 1;
    assert_refused(dicom_map_check(&m), PULMO_DATA, "which must differ");
    m.intercept = 0;
    m.slope = NAN;
    assert_refused(dicom_map_check(&m), PULMO_DATA, "must");
    m = windowed(DICOM_LINEAR, 0, 0.5);
    assert_refused(dicom_map_check(&m), PULMO_DATA, "WindowWidth 0.5");
    m = windowed(DICOM_SIGMOID, 0, 0.5);
    assert_ok(dicom_map_check(&m));
    m = windowed(DICOM_LINEAR_EXACT, 0, 0);
    assert_refused(dicom_map_check(&m), PULMO_DATA, "must");
    m = windowed(DICOM_SIGMOID, INFINITY, 1);
    assert_refused(dicom_map_check(&m), PULMO_DATA, "must");
}

static void windows_are_read(void **state)
{
    static const char *const good[] = {"2048,4096", " 2048 , 4096 ", "[2048, 4096]", "2048.0,4096"};
    static const char *const bad[] = {"2048", "2048,",    "2048,0.5",   "2048,4096,1",
                                      "a,b",  "2048,inf", "[2048,4096", "nan,7"};
    dicom_window window;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(dicom_window_read(good[i], &window));
        assert_true(window.there && window.shape == DICOM_LINEAR);
        assert_true(window.center == 2048 && window.width == 4096);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_refused(dicom_window_read(bad[i], &window), PULMO_CONFIG, bad[i]);
    }
    assert_ok(dicom_window_read(" ", &window));
    assert_false(window.there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_window_is_the_standards),
        cmocka_unit_test(the_ends_are_those_of_the_notes),
        cmocka_unit_test(the_window_is_of_rescaled_values),
        cmocka_unit_test(without_a_window_the_range_is_full),
        cmocka_unit_test(eight_bits_stay),
        cmocka_unit_test(a_falling_slope_turns_the_range),
        cmocka_unit_test(inversion_is_last),
        cmocka_unit_test(tables_end_where_they_end),
        cmocka_unit_test(odd_mappings_are_refused),
        cmocka_unit_test(windows_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
