/* Pixels against an outside reference: PULMO_TEST_DATA/golden holds what Pillow makes of 16 files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pulmo/file.h"
#include "pulmo/h5.h"
#include "pulmo/image.h"
#include "pulmo/memory.h"

#define SIDE   224
#define PIXELS (SIDE * SIDE)

/* Counts the samples that differ; fails where one differs by more than a level. */
static size_t compare(const pulmo_image *image, const uint8_t *golden, const char *path)
{
    size_t different = 0;
    for (size_t i = 0; i < PIXELS; i++)
        for (size_t c = 0; c < 3; c++) {
            int mine = image->pixels[image->channels == 1 ? i : 3 * i + c],
                apart = abs(mine - golden[3 * i + c]);
            if (apart > 1)
                fail_msg("%s: sample %zu, channel %zu is %d, must be %d", path, i, c, mine,
                         golden[3 * i + c]);
            different += apart > 0;
        }
    return different;
}

static size_t check_file(const char *root, const char *path, const uint8_t *golden)
{
    pulmo_decode_spec spec;
    pulmo_image full, small;
    uint8_t *data = NULL;
    size_t size = 0;
    char *name = pulmo_format("%s/data/%s", root, path);
    pulmo_decode_spec_init(&spec);
    assert_int_equal(pulmo_file_read(name, 1 << 28, &data, &size), PULMO_OK);
    assert_int_equal(pulmo_image_decode(data, size, &spec, &full, NULL), PULMO_OK);
    assert_int_equal(pulmo_image_resize(&full, SIDE, SIDE, &small), PULMO_OK);
    size_t different = compare(&small, golden, path);
    pulmo_image_free(&full);
    pulmo_image_free(&small);
    free(data);
    free(name);
    return different;
}

static void equals_pillow(void **state)
{
    const char *root = *state;
    char *name = pulmo_format("%s/golden/vgg16_pool5.h5", root), **paths = NULL;
    uint64_t count = 0;
    size_t different = 0;
    pulmo_h5 *file = NULL;
    uint8_t *golden = malloc(3 * PIXELS);
    assert_int_equal(pulmo_h5_open(name, &file), PULMO_OK);
    assert_int_equal(pulmo_h5_read_strings(file, "path", &count, &paths), PULMO_OK);
    assert_true(count > 0);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(pulmo_h5_read_rows(file, "pixels", PULMO_H5_U8, i, 1, golden), PULMO_OK);
        different += check_file(root, paths[i], golden);
    }
    print_message("%zu of %llu samples differ\n", different,
                  (unsigned long long)(count * 3 * PIXELS));
    assert_true((double)different <= 0.001 * (double)(count * 3 * PIXELS));
    pulmo_h5_close(file);
    free(paths);
    free(golden);
    free(name);
}

int main(void)
{
    char *root = getenv("PULMO_TEST_DATA");
    if (!root) {
        puts("skipped: PULMO_TEST_DATA is not set");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(equals_pillow, root)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
