/* Which files of a directory are taken for images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pulmo/image.h"

static char folder[] = "/tmp/pulmo-test-XXXXXX";

static int start(void **state)
{
    (void)state;
    return !mkdtemp(folder) || chdir(folder) != 0;
}

static int end(void **state)
{
    (void)state;
    return chdir("/") != 0 || rmdir(folder) != 0;
}

static bool is_taken(const char *name, const char *content, size_t bytes)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    const bool taken = pulmo_image_is_file(name);
    unlink(name);
    return taken;
}

static void by_suffix(void **state)
{
    static const char *const images[] = {"a.jpeg", "a.JPG", "a.png", "a.PnG", "a.dcm", "a.b.DICOM"};
    static const char *const others[] = {"a.txt", "a.jpeg.txt", "png", "a.", "a.jpe", ".hidden"};
    (void)state;
    for (size_t i = 0; i < sizeof images / sizeof images[0]; i++)
        assert_true(is_taken(images[i], "words", 5));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(is_taken(others[i], "words", 5));
}

static void by_first_bytes(void **state)
{
    char dicom[132] = {0};
    (void)state;
    memcpy(dicom + 128, "DICM", 4);
    assert_true(is_taken("IM000001", dicom, sizeof dicom));
    assert_false(is_taken("IM000001", dicom, sizeof dicom - 1));
    assert_true(is_taken("1.2.840.113619", dicom, sizeof dicom));
    assert_true(is_taken("picture", "\xFF\xD8\xFF\xE0", 4));
    assert_true(is_taken("picture.tmp", "\x89PNG\r\n\x1a\n", 8));
    assert_false(is_taken("picture", "GIF89a", 6));
    assert_false(is_taken("words", "BM begins a text", 16));
    assert_false(is_taken("empty", "", 0));
}

/* Nothing that is not a regular file is opened: a pipe would never answer. */
static void what_is_no_regular_file(void **state)
{
    (void)state;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_false(pulmo_image_is_file("pipe"));
    assert_int_equal(unlink("pipe"), 0);
    assert_false(pulmo_image_is_file("/tmp"));
    assert_true(pulmo_image_is_file("absent")); /* reading it says why */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_suffix),
        cmocka_unit_test(by_first_bytes),
        cmocka_unit_test(what_is_no_regular_file),
    };
    return cmocka_run_group_tests(tests, start, end);
}
