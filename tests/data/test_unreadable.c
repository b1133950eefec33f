/* A packed data set on a file system that fails for a moment: an I/O failure, and no advice to
 * throw the data set away. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <cmocka.h>

#include "pulmo/dataset.h"
#include "pulmo/memory.h"

#include "packing.h"

/* ---- reads that fail ---- */

static const char *failing; /* part of the path of files whose reads fail, or NULL */

static bool fails(int fd)
{
    char link[64], path[4096];
    if (!failing)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    return strstr(path, failing) != NULL;
}

/* These stand before the C library's for HDF5 too. */
ssize_t pread64(int fd, void *to, size_t bytes, off64_t offset)
{
    if (!fails(fd))
        return syscall(SYS_pread64, fd, to, bytes, offset);
    errno = EIO;
    return -1;
}

ssize_t pread(int fd, void *to, size_t bytes, off_t offset)
{
    return pread64(fd, to, bytes, offset);
}

ssize_t read(int fd, void *to, size_t bytes)
{
    if (!fails(fd))
        return syscall(SYS_read, fd, to, bytes);
    errno = EIO;
    return -1;
}

/* ---- tests ---- */

static int make(void **state)
{
    failing = NULL;
    *state = make_packing(1);
    return 0;
}

static int drop(void **state)
{
    failing = NULL;
    remove_packing(*state);
    return 0;
}

static void check_unreadable(pulmo_status status, const char *reason)
{
    assert_int_equal(status, PULMO_IO);
    if (!strstr(pulmo_error(), reason))
        fail_msg("\"%s\" does not say \"%s\"", pulmo_error(), reason);
    if (strstr(pulmo_error(), "--overwrite") || strstr(pulmo_error(), "missing"))
        fail_msg("\"%s\" sends a whole data set away", pulmo_error());
}

static void a_shard_that_fails_on_opening(void **state)
{
    packing *p = *state;
    pulmo_dataset *dataset = NULL;
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    failing = "train-00001-of-00002.h5";
    check_unreadable(pulmo_dataset_open(p->directory, "train", 0, &dataset), "Input/output error");
    assert_non_null(strstr(pulmo_error(), failing));
    assert_non_null(strstr(pulmo_error(), "run the same command again"));
    failing = NULL;
    assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_OK);
    pulmo_dataset_close(dataset);
}

static void a_shard_that_fails_while_in_use(void **state)
{
    packing *p = *state;
    pulmo_dataset *dataset = NULL;
    uint8_t pixels[PACK_SIDE * PACK_SIDE];
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_OK);
    assert_int_equal(pulmo_dataset_read(dataset, 0, pixels), PULMO_OK);
    failing = "train-00000-of-00002.h5";
    check_unreadable(pulmo_dataset_read(dataset, 3, pixels), "Input/output error");
    failing = "train-00001-of-00002.h5";
    check_unreadable(pulmo_dataset_read(dataset, 9, pixels), "Input/output error");
    failing = NULL;
    assert_int_equal(pulmo_dataset_read(dataset, 9, pixels), PULMO_OK);
    pulmo_dataset_close(dataset);
}

static void a_manifest_that_fails(void **state)
{
    packing *p = *state;
    pulmo_dataset *dataset = NULL;
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    failing = "manifest.h5";
    check_unreadable(pulmo_dataset_open(p->directory, "train", 0, &dataset), "manifest.h5");
}

/* What the system refuses to open is there all the same; a link to itself stands for it, since root
 * may open every file. */
static void a_shard_that_the_system_refuses(void **state)
{
    packing *p = *state;
    pulmo_dataset *dataset = NULL;
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    char *path = pulmo_shard_path(p->directory, "train", 1, 2);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(path, path), 0);
    check_unreadable(pulmo_dataset_open(p->directory, "train", 0, &dataset), path);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_shard_that_fails_on_opening, make, drop),
        cmocka_unit_test_setup_teardown(a_shard_that_fails_while_in_use, make, drop),
        cmocka_unit_test_setup_teardown(a_manifest_that_fails, make, drop),
        cmocka_unit_test_setup_teardown(a_shard_that_the_system_refuses, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
