/* HDF5 files that other programs wrote. */
#include "scratch.h"

#include <sys/wait.h>

#include "pulmo/h5.h"

static int set_up(void **state)
{
    (void)state;
    return open_scratch("file.h5");
}

static void find_types(void *context, const char *name, const pulmo_h5_shape *shape,
                       const char *attribute, const char *value)
{
    int *others = context;
    (void)value;
    if (!attribute && shape && shape->type == PULMO_H5_OTHER && strcmp(name, "signed") != 0)
        ++*others;
}

/* Numbers of any width keep their values; what we have no type for is called so and is not read. */
static void test_foreign(void **state)
{
    char *command = pulmo_format("/usr/bin/python3 -c 'import h5py' 2>/dev/null || exit 77; "
                                 "/usr/bin/python3 -c \"import h5py, numpy as n; "
                                 "f = h5py.File('%s', 'w'); f['signed'] = n.array([-2, 1], 'i1'); "
                                 "f['wide'] = n.array([4000000000], '>u4'); "
                                 "f['half'] = n.array([0.5], 'f2'); f['nothing'] = "
                                 "h5py.Empty('f4'); f['free'] = 'any length'; "
                                 "f['pair'] = n.zeros(3, [('x', 'f4'), ('y', 'i4')]); g = "
                                 "f.create_group('a'); g['loop'] = g\"",
                                 path);
    int made = WEXITSTATUS(system(command)), others = 0;
    free(command);
    (void)state;
    if (made == 77) {
        print_message("skipped: h5py is not installed\n");
        skip();
    }
    assert_int_equal(made, 0);
    pulmo_h5 *file = NULL;
    int64_t numbers[2] = {0};
    double half = 0;
    const uint64_t one = 1, two = 2;
    assert_ok(pulmo_h5_open(path, &file));
    assert_ok(pulmo_h5_read(file, "signed", PULMO_H5_I64, 1, &two, numbers));
    assert_true(numbers[0] == -2 && numbers[1] == 1);
    assert_ok(pulmo_h5_read(file, "wide", PULMO_H5_I64, 1, &one, numbers));
    assert_true(numbers[0] == 4000000000);
    assert_ok(pulmo_h5_read(file, "half", PULMO_H5_F64, 1, &one, &half));
    assert_true(half == 0.5);
    assert_refused(pulmo_h5_read(file, "nothing", PULMO_H5_F64, 0, NULL, &half), PULMO_DATA,
                   "nothing");
    assert_refused(pulmo_h5_read(file, "pair", PULMO_H5_F64, 1, &one, &half), PULMO_DATA, "pair");
    assert_ok(pulmo_h5_visit(file, find_types, &others));
    assert_int_equal(others, 3); /* nothing, free, pair */
    pulmo_h5_close(file);
}

/* A link to another file is no part of this one: what it holds was not named, and may wait for
 * ever. */
static void test_link_elsewhere(void **state)
{
    char *other = pulmo_format("%s/other.h5", directory);
    char *command = pulmo_format("/usr/bin/python3 -c 'import h5py' 2>/dev/null || exit 77; "
                                 "/usr/bin/python3 -c \"import h5py; "
                                 "h5py.File('%s', 'w')['x'] = [7.0]; f = h5py.File('%s', 'w'); "
                                 "f['own'] = [1.0]; f['inside'] = h5py.SoftLink('/own'); "
                                 "f['away'] = h5py.ExternalLink('%s', '/x')\"",
                                 other, path, other);
    int made = WEXITSTATUS(system(command));
    double value = 0;
    const uint64_t one = 1;
    pulmo_h5 *file = NULL;
    (void)state;
    free(command);
    free(other);
    if (made == 77)
        skip();
    assert_int_equal(made, 0);
    assert_ok(pulmo_h5_open(path, &file));
    assert_ok(pulmo_h5_read(file, "inside", PULMO_H5_F64, 1, &one, &value));
    assert_true(value == 1);
    assert_refused(pulmo_h5_read(file, "away", PULMO_H5_F64, 1, &one, &value), PULMO_DATA, "away");
    assert_true(value == 1);
    pulmo_h5_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_foreign, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_link_elsewhere, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
