/* A test program's scratch directory, and a path in it. */
#ifndef PULMO_TEST_SCRATCH_H
#define PULMO_TEST_SCRATCH_H

#include "support.h"

static char *directory, *path;

/* Before each test; always 0, as cmocka wants it. */
static inline int open_scratch(const char *name)
{
    directory = scratch_directory();
    path = pulmo_format("%s/%s", directory, name);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_directory(directory);
    free(path);
    return 0;
}

#endif
