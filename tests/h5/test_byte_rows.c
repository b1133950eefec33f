/* Rows of bytes whose checksums pulmo works out itself: the library takes them for its own, and the
 * file is the same as one that the library wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pulmo/h5.h"

#define ROWS 3

static uint8_t *slurp(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*bytes);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    fclose(file);
    return data;
}

static void write_by_bytes(pulmo_h5 *file, size_t length, const uint8_t *rows)
{
    assert_int_equal(pulmo_h5_write_byte_rows(file, "images", 0, 1, length, rows), PULMO_OK);
    assert_int_equal(pulmo_h5_write_byte_rows(file, "images", 1, ROWS - 1, length, rows + length),
                     PULMO_OK);
    assert_int_equal(pulmo_h5_write_byte_rows(file, "images", ROWS - 1, 2, length, rows),
                     PULMO_DATA);
    assert_non_null(strstr(pulmo_error(), "rows 2 to 4 of 3"));
    assert_int_equal(pulmo_h5_write_byte_rows(file, "images", ROWS - 1, 1, length + 1, rows),
                     PULMO_RUNTIME);
    assert_non_null(strstr(pulmo_error(), "a row has not"));
    pulmo_error_clear();
}

/* Writes the rows, reads them by the library, which checks its checksums, and gives the file's
 * bytes. */
static uint8_t *write_and_read(const char *path, size_t length, const uint8_t *rows, bool by_bytes,
                               size_t *bytes)
{
    const uint64_t dims[2] = {ROWS, length};
    uint8_t *read = malloc(ROWS * length);
    pulmo_h5 *file = NULL;
    assert_int_equal(pulmo_h5_create(path, &file), PULMO_OK);
    assert_int_equal(pulmo_h5_create_rows(file, "images", PULMO_H5_U8, 2, dims), PULMO_OK);
    if (by_bytes)
        write_by_bytes(file, length, rows);
    else
        assert_int_equal(pulmo_h5_write_rows(file, "images", 0, ROWS, rows), PULMO_OK);
    assert_int_equal(pulmo_h5_commit(file), PULMO_OK);
    assert_int_equal(pulmo_h5_open(path, &file), PULMO_OK);
    assert_int_equal(pulmo_h5_read_rows(file, "images", PULMO_H5_U8, 0, ROWS, read), PULMO_OK);
    assert_memory_equal(read, rows, ROWS * length);
    pulmo_h5_close(file);
    free(read);
    return slurp(path, bytes);
}

static void the_librarys_checksums(void **state)
{
    static const size_t lengths[] = {1, 2, 719, 720, 721, 1089, 50176};
    char directory[] = "/tmp/pulmo-rows-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/rows.h5", directory);
    for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++) {
        uint8_t *rows = malloc(ROWS * lengths[n]), *bytes[2];
        size_t sizes[2];
        for (size_t i = 0; i < ROWS * lengths[n]; i++)
            rows[i] = (uint8_t)(i % 5 == 0 ? 255 : i * 37 + i / 251);
        for (int way = 0; way < 2; way++)
            bytes[way] = write_and_read(path, lengths[n], rows, way == 1, &sizes[way]);
        assert_int_equal(sizes[0], sizes[1]);
        assert_memory_equal(bytes[0], bytes[1], sizes[0]);
        for (int way = 0; way < 2; way++)
            free(bytes[way]);
        free(rows);
    }
    unlink(path);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_librarys_checksums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
