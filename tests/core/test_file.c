/* Files whole or not at all, what killed writers leave, directories, and reading. */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#include "pulmo/file.h"

static int set_up(void **state)
{
    (void)state;
    return open_scratch("file");
}

static int files_in_directory(void)
{
    int count = 0;
    DIR *listing = opendir(directory);
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing))
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

static void assert_holds(const char *wanted, size_t bytes)
{
    uint8_t *data = NULL;
    size_t got = 0;
    assert_ok(pulmo_file_read(path, 1 << 20, &data, &got));
    assert_int_equal(got, bytes);
    assert_memory_equal(data, wanted, bytes);
    free(data);
}

static void test_write_and_read(void **state)
{
    static const char text[] = "one\0two\n";
    (void)state;
    assert_ok(pulmo_file_write(path, text, sizeof text));
    assert_holds(text, sizeof text);
    assert_ok(pulmo_file_write(path, "", 0));
    assert_holds("", 0);
    assert_int_equal(files_in_directory(), 1);
}

/* The limit counts bytes of the file, also of one whose size nobody knows before. */
static void test_read_limits(void **state)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    (void)state;
    assert_ok(pulmo_file_write(path, "12345", 5));
    assert_ok(pulmo_file_read(path, 5, &data, &bytes));
    assert_int_equal(bytes, 5);
    free(data);
    assert_refused(pulmo_file_read(path, 4, &data, &bytes), PULMO_DATA, "larger than 4 bytes");
    assert_refused(pulmo_file_read("/dev/zero", 1 << 18, &data, &bytes), PULMO_DATA,
                   "larger than 262144 bytes");
    assert_refused(pulmo_file_read("/nonexistent", 9, &data, &bytes), PULMO_IO, "/nonexistent");
    assert_refused(pulmo_file_read(directory, 9, &data, &bytes), PULMO_IO, directory);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(pulmo_file_read(path, 9, &data, &bytes), PULMO_DATA, "is a pipe");
}

/* A file of /proc says that it has no bytes and has many. */
static void test_read_unknown_size(void **state)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    (void)state;
    assert_ok(pulmo_file_read("/proc/self/maps", 1 << 24, &data, &bytes));
    assert_true(bytes > 100);
    assert_int_equal(data[bytes - 1], '\n');
    free(data);
}

/* A limit on sizes is as good as a full disk: the old file stands, nothing lies beside it. */
static void test_write_fails_whole(void **state)
{
    enum { MANY = 1 << 18 };
    struct rlimit old;
    char *many = calloc(MANY, 1);
    (void)state;
    assert_ok(pulmo_file_write(path, "old", 3));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    struct rlimit tight = old;
    tight.rlim_cur = MANY / 2;
    setrlimit(RLIMIT_FSIZE, &tight);
    pulmo_status status = pulmo_file_write(path, many, MANY);
    setrlimit(RLIMIT_FSIZE, &old);
    free(many);
    assert_int_equal(status, PULMO_IO);
    assert_non_null(strstr(pulmo_error(), strerror(EFBIG)));
    assert_holds("old", 3);
    assert_int_equal(files_in_directory(), 1);
}

static void test_in_the_way(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0777), 0);
    assert_refused(pulmo_file_write(path, "x", 1), PULMO_IO, "/file: cannot take its place");
    assert_int_equal(files_in_directory(), 1);
}

static void touch(const char *name, int age_s)
{
    char *file = pulmo_format("%s/%s", directory, name);
    assert_ok(pulmo_file_write(file, "x", 1));
    struct timeval times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
    assert_int_equal(utimes(file, times), 0);
    free(file);
}

static bool there(const char *name)
{
    char *file = pulmo_format("%s/%s", directory, name);
    bool found = access(file, F_OK) == 0;
    free(file);
    return found;
}

static void test_leftovers(void **state)
{
    (void)state;
    char *temporary = pulmo_file_temporary_name(path), *again = pulmo_file_temporary_name(path);
    assert_string_not_equal(temporary, again);
    assert_int_equal(strncmp(temporary, path, strlen(path)), 0);
    touch(strrchr(temporary, '/') + 1, 0);
    touch("file", 0);
    touch("file.tmp.notes", 0);
    touch("other.tmp.12.0badcafe", 0);
    pulmo_file_remove_leftovers(directory, "file");
    assert_int_not_equal(access(temporary, F_OK), 0);
    assert_true(there("file"));
    assert_true(there("file.tmp.notes"));
    assert_true(there("other.tmp.12.0badcafe"));
    free(temporary);
    free(again);
}

static void test_abandoned(void **state)
{
    (void)state;
    touch("a.tmp.12.0badcafe", 600);
    touch("b.tmp.12.0badcafe", 0);
    touch("c.tmp.notes", 600);
    touch("d", 600);
    pulmo_file_remove_abandoned(directory, 300);
    assert_false(there("a.tmp.12.0badcafe"));
    assert_true(there("b.tmp.12.0badcafe"));
    assert_true(there("c.tmp.notes"));
    assert_true(there("d"));
}

static void test_directories(void **state)
{
    (void)state;
    char *deep = pulmo_format("%s/a/b//c/", directory);
    char *blocked = pulmo_format("%s/x", path);
    struct stat about;
    assert_ok(pulmo_directory_make(deep));
    assert_ok(pulmo_directory_make(deep));
    assert_int_equal(stat(deep, &about), 0);
    assert_true(S_ISDIR(about.st_mode));
    assert_ok(pulmo_directory_make("/"));
    assert_ok(pulmo_file_write(path, "x", 1));
    assert_refused(pulmo_directory_make(blocked), PULMO_IO, "/file: is not a directory");
    assert_refused(pulmo_directory_make(""), PULMO_IO, "without a name");
    free(deep);
    free(blocked);
}

/* All that is in it goes; what a link names stays. */
static void test_remove(void **state)
{
    char *deep = pulmo_format("%s/a/b", directory);
    char *top = pulmo_format("%s/a", directory);
    char *file = pulmo_format("%s/a/b/file", directory);
    char *link = pulmo_format("%s/a/link", directory);
    struct stat about;
    (void)state;
    assert_ok(pulmo_directory_make(deep));
    assert_ok(pulmo_file_write(file, "x", 1));
    assert_ok(pulmo_file_write(path, "x", 1));
    assert_int_equal(symlink(path, link), 0);
    assert_true(pulmo_directory_remove(top));
    assert_int_equal(stat(top, &about), -1);
    assert_int_equal(stat(path, &about), 0);
    pulmo_fail(PULMO_DATA, "what went wrong before");
    assert_false(pulmo_directory_remove(top));
    assert_int_equal(errno, ENOENT);
    assert_string_equal(pulmo_error(), "what went wrong before");
    free(deep);
    free(top);
    free(file);
    free(link);
}

/* Whether DIRECTORY/`inner` is inside DIRECTORY/`outer`. */
static bool is_inside(const char *inner, const char *outer)
{
    char *one = pulmo_format("%s/%s", directory, inner);
    char *other = pulmo_format("%s/%s", directory, outer);
    bool inside = pulmo_file_is_inside(one, other);
    free(one);
    free(other);
    return inside;
}

static void test_inside(void **state)
{
    char *deep = pulmo_format("%s/a/b", directory);
    char *link = pulmo_format("%s/link", directory);
    (void)state;
    assert_ok(pulmo_directory_make(deep));
    assert_int_equal(symlink(deep, link), 0);
    assert_true(is_inside("a/b", "a"));
    assert_true(is_inside("a", "a"));
    assert_true(is_inside("a/", "a"));
    assert_true(is_inside("a", "a/"));
    assert_true(is_inside("a/b/none/yet", "a/b"));
    assert_true(is_inside("none/yet", "none"));
    assert_true(is_inside("link/file", "a"));
    assert_true(is_inside("a/b/file", "link"));
    assert_true(pulmo_file_is_inside("none/yet", "."));
    assert_true(pulmo_file_is_inside("none", "/"));
    assert_false(is_inside("a", "a/b"));
    assert_false(is_inside("ab", "a"));
    assert_false(is_inside("none/yet", "none/y"));
    assert_false(is_inside("a/../c", "a"));
    free(deep);
    free(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_and_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_unknown_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_fails_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leftovers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_abandoned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inside, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
