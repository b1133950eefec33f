/* Files that claim more than they hold: refused before memory is asked for. */
#include "cost.h"
#include "scratch.h"

#include "pulmo/h5.h"

static int set_up(void **state)
{
    (void)state;
    return open_scratch("file.h5");
}

enum { SIDE = 65536 };

/* 65536 x 65536 numbers of which none is stored, one chunk a row. */
static void make_claim(const char *name)
{
    const uint64_t dims[2] = {SIDE, SIDE};
    pulmo_h5 *file = NULL;
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_h5_create_rows(file, name, PULMO_H5_F32, 2, dims));
    assert_ok(pulmo_h5_commit(file));
}

static void test_shape(void **state)
{
    const uint64_t dims[2] = {SIDE, SIDE};
    pulmo_h5_shape shape;
    pulmo_h5 *file = NULL;
    (void)state;
    make_claim("weights");
    assert_ok(pulmo_h5_open(path, &file));
    const cost before = cost_now();
    assert_refused(pulmo_h5_shape_of(file, "weights", &shape), PULMO_DATA,
                   "claims more values than the file can hold");
    assert_refused(pulmo_h5_check_shape(file, "weights", 2, dims), PULMO_DATA,
                   "claims more values than the file can hold");
    assert_refused(pulmo_h5_check_shape(file, "weight", 2, dims), PULMO_DATA, "is missing");
    assert_cost(&before, 0.1, 16);
    pulmo_h5_close(file);
}

static void test_held_shape(void **state)
{
    const uint64_t dims[2] = {20, 1000}, turned[2] = {1000, 20};
    static float values[20000];
    pulmo_h5 *file = NULL;
    (void)state;
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_h5_write(file, "weights", PULMO_H5_F32, 2, dims, values));
    assert_ok(pulmo_h5_commit(file));
    assert_ok(pulmo_h5_open(path, &file));
    assert_ok(pulmo_h5_check_shape(file, "weights", 2, dims));
    assert_refused(pulmo_h5_check_shape(file, "weights", 2, turned), PULMO_DATA,
                   "has shape (20 x 1000), must be (1000 x 20) numbers");
    pulmo_h5_close(file);
}

/* Files of other programs: what deflate can have packed is read, what lies in other files is not.
 */
static void test_foreign(void **state)
{
    char *command = pulmo_format(
        "/usr/bin/python3 -c 'import h5py' 2>/dev/null || exit 77; "
        "/usr/bin/python3 -c \"import h5py, numpy as n; f = h5py.File('%s', 'w'); "
        "f.create_dataset('packed', data=n.zeros(10**6, 'f4'), compression='gzip'); "
        "f.create_dataset('wide', shape=(4,), maxshape=(None,), chunks=(10**9,), dtype='f4'); "
        "f.create_dataset('away', shape=(4,), dtype='u1', external=[('/etc/passwd', 0, 4)])\"",
        path);
    const int made = system(command);
    pulmo_h5 *file = NULL;
    pulmo_h5_shape shape;
    const uint64_t million = 1000000;
    (void)state;
    free(command);
    if (made != 0)
        skip();
    float *values = malloc(million * sizeof *values);
    assert_non_null(values);
    assert_ok(pulmo_h5_open(path, &file));
    assert_ok(pulmo_h5_read(file, "packed", PULMO_H5_F32, 1, &million, values));
    assert_refused(pulmo_h5_shape_of(file, "wide", &shape), PULMO_DATA, "claims larger chunks");
    assert_refused(pulmo_h5_shape_of(file, "away", &shape), PULMO_DATA,
                   "keeps its values in other files");
    pulmo_h5_close(file);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shape, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_held_shape, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
