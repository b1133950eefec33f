/* What tests of tables share: files of text in a scratch directory. */
#ifndef PULMO_TEST_TABLES_H
#define PULMO_TEST_TABLES_H

#include "support.h"

/* Writes `bytes` bytes to DIRECTORY/NAME. */
static inline void put_bytes(const char *directory, const char *name, const char *text,
                             size_t bytes)
{
    char *path = pulmo_format("%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static inline void put(const char *directory, const char *name, const char *text)
{
    put_bytes(directory, name, text, strlen(text));
}

#endif
