/* What is read is what was written: seals, digests of values, sums of rows. */
#include "scratch.h"

#include <sys/wait.h>

#include "pulmo/digest.h"
#include "pulmo/file.h"
#include "pulmo/h5.h"

/* HDF5 1.10 loses memory of its own when object headers are damaged. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

#define SEAL_BYTES 56 /* behind a file whose rows are all within it */
#define WEIGHTS    4000
#define ROWS       5
#define ROW        48

static float weights[WEIGHTS];
static uint8_t pixels[ROWS][ROW];
static uint16_t halves[2][3] = {{0x3c00, 0x4000, 0xc200}, {0, 0x8000, 0x7bff}};

static int set_up(void **state)
{
    (void)state;
    open_scratch("file.h5");
    for (int i = 0; i < WEIGHTS; i++)
        weights[i] = (float)i / 7;
    for (int i = 0; i < ROWS * ROW; i++)
        pixels[i / ROW][i % ROW] = (uint8_t)(i * 37 + 1);
    return 0;
}

/* A little of all that pulmo's files hold. */
static void write_values(pulmo_h5 *file)
{
    static const char *const classes[] = {"NORMAL", "b\xc3\xa4r"};
    const uint64_t many = WEIGHTS, five = ROWS, dims[2] = {ROWS, ROW}, few[2] = {2, 3}, none = 0;
    const int64_t index[ROWS] = {0, 1, 2, 3, -4};
    assert_ok(pulmo_h5_create_rows(file, "images", PULMO_H5_U8, 2, dims));
    assert_ok(pulmo_h5_write(file, "index", PULMO_H5_I64, 1, &five, index));
    assert_ok(pulmo_h5_write(file, "head/weight", PULMO_H5_F32, 1, &many, weights));
    assert_ok(pulmo_h5_write(file, "empty", PULMO_H5_I32, 1, &none, NULL));
    assert_ok(pulmo_h5_write_strings(file, "names", 2, classes));
    assert_ok(pulmo_h5_write_text(file, "config", "train:\n  seed: 1\n"));
    assert_ok(pulmo_h5_make_scale(file, "index", "image"));
    assert_ok(pulmo_h5_attach_scale(file, "images", 0, "index"));
    assert_ok(pulmo_h5_create_plain(file, "features", PULMO_H5_F16, 2, few));
    assert_ok(pulmo_h5_write_rows(file, "features", 0, 2, halves));
    assert_ok(pulmo_h5_set_kind(file, "test", 1));
    assert_ok(pulmo_h5_set_real(file, "/", "threshold", 0.25));
    assert_ok(pulmo_h5_set_texts(file, "/", "classes", 2, classes));
    assert_ok(pulmo_h5_set_int(file, "head", "count", -7));
    assert_ok(pulmo_h5_set_text(file, "names", "long_name", ""));
}

static void write_file(bool sealed)
{
    pulmo_h5 *file = NULL;
    assert_ok(pulmo_h5_create(path, &file));
    write_values(file);
    assert_ok(pulmo_h5_write_byte_rows(file, "images", 0, 3, ROW, pixels[0]));
    assert_ok(pulmo_h5_write_rows(file, "images", 3, 2, pixels[3]));
    if (sealed)
        assert_ok(pulmo_h5_seal(file));
    assert_ok(pulmo_h5_commit(file));
}

static uint8_t *slurp(size_t *size)
{
    uint8_t *bytes = NULL;
    assert_ok(pulmo_file_read(path, 1 << 24, &bytes, size));
    return bytes;
}

static void spill(const void *bytes, size_t size)
{
    assert_ok(pulmo_file_write(path, bytes, size));
}

/* Where these bytes stand in others, once. */
static uint8_t *place_in(uint8_t *all, size_t size, const void *wanted, size_t bytes)
{
    uint8_t *at = memmem(all, size, wanted, bytes);
    assert_non_null(at);
    return at;
}

/* Reads all that write_values and write_file wrote. PULMO_OK only where it is that. */
static pulmo_status read_all(pulmo_h5 *file)
{
    float back[WEIGHTS], widened[6];
    uint8_t rows[ROWS][ROW];
    const uint64_t many = WEIGHTS;
    char *text = NULL, **names = NULL;
    double threshold = 0;
    int64_t count = 0;
    uint64_t strings = 0;
    PULMO_TRY(pulmo_h5_read(file, "head/weight", PULMO_H5_F32, 1, &many, back));
    assert_memory_equal(back, weights, sizeof back);
    for (uint64_t i = 0; i < ROWS; i++)
        PULMO_TRY(pulmo_h5_read_rows(file, "images", PULMO_H5_U8, i, 1, rows[i]));
    assert_memory_equal(rows, pixels, sizeof rows);
    PULMO_TRY(pulmo_h5_read_rows(file, "features", PULMO_H5_F32, 0, 2, widened));
    assert_true(widened[0] == 1 && widened[1] == 2 && widened[2] == -3 && widened[5] == 65504);
    PULMO_TRY(pulmo_h5_get_real(file, "/", "threshold", &threshold));
    assert_true(threshold == 0.25);
    PULMO_TRY(pulmo_h5_get_int(file, "head", "count", &count));
    assert_int_equal(count, -7);
    PULMO_TRY(pulmo_h5_read_strings(file, "names", &strings, &names));
    assert_int_equal(strings, 2);
    assert_string_equal(names[1], "b\xc3\xa4r");
    free(names);
    PULMO_TRY(pulmo_h5_read_text(file, "config", &text));
    assert_string_equal(text, "train:\n  seed: 1\n");
    free(text);
    return PULMO_OK;
}

static void keep(void *context, const char *what)
{
    char *all = context;
    strcat(strcat(all, what), "; ");
}

/* What differs, as pulmo_h5_verify says it. */
static const char *differences(void)
{
    static char all[4096];
    pulmo_h5 *file = NULL;
    uint64_t count = 0;
    *all = '\0';
    assert_ok(pulmo_h5_open(path, &file));
    assert_ok(pulmo_h5_verify(file, keep, all, &count));
    assert_int_equal(count > 0, *all != '\0');
    pulmo_h5_close(file);
    return all;
}

static void test_round_trip(void **state)
{
    pulmo_h5 *file = NULL;
    (void)state;
    write_file(true);
    assert_ok(pulmo_h5_open(path, &file));
    assert_true(pulmo_h5_is_verified(file));
    assert_ok(read_all(file));
    pulmo_h5_close(file);
    assert_string_equal(differences(), "");
}

/* Every byte of the file, changed alone: refused, or what is read is what was written. */
static void test_every_byte(void **state)
{
    size_t size = 0, refused = 0;
    (void)state;
    write_file(true);
    uint8_t *bytes = slurp(&size);
    for (size_t i = 0; i < size; i++) {
        pulmo_h5 *file = NULL;
        bytes[i] ^= (uint8_t)(1 << i % 8);
        FILE *out = fopen(path, "r+b");
        assert_non_null(out);
        fseek(out, (long)i, SEEK_SET);
        fputc(bytes[i], out);
        fclose(out);
        pulmo_status status = pulmo_h5_open(path, &file);
        if (status == PULMO_OK)
            status = read_all(file);
        pulmo_h5_close(file);
        assert_true(status == PULMO_OK || status == PULMO_DATA);
        refused += status == PULMO_DATA;
        bytes[i] ^= (uint8_t)(1 << i % 8);
        out = fopen(path, "r+b");
        fseek(out, (long)i, SEEK_SET);
        fputc(bytes[i], out);
        fclose(out);
    }
    /* Only the seal's own mark, without which values are compared, and HDF5's sums of rows. */
    assert_true(refused >= size - 8 - 4 * ROWS);
    free(bytes);
}

/* Cut off anywhere. */
static void test_cut(void **state)
{
    size_t size = 0;
    (void)state;
    write_file(true);
    uint8_t *bytes = slurp(&size);
    for (size_t cut = 0; cut < size; cut += cut + 200 < size ? 97 : 1) {
        pulmo_h5 *file = NULL;
        spill(bytes, cut);
        pulmo_status status = pulmo_h5_open(path, &file);
        if (status == PULMO_OK)
            status = read_all(file);
        pulmo_h5_close(file);
        assert_true(status == PULMO_OK || status == PULMO_DATA);
        if (cut < size / 2)
            assert_int_equal(status, PULMO_DATA);
    }
    free(bytes);
}

/* Other tools drop the seal: values are compared with their digests then. */
static void test_values(void **state)
{
    const double threshold = 0.25;
    size_t size = 0;
    pulmo_h5 *file = NULL;
    (void)state;
    write_file(true);
    uint8_t *bytes = slurp(&size);
    uint8_t *mark = place_in(bytes, size, "pulmoEnd", 8);
    size_t body = (size_t)(mark - bytes);
    spill(bytes, body);
    assert_ok(pulmo_h5_open(path, &file));
    assert_true(pulmo_h5_is_verified(file));
    assert_ok(read_all(file));
    pulmo_h5_close(file);
    assert_string_equal(differences(), "");

    /* In an object's header, which has a sum of its own. */
    uint8_t *value = place_in(bytes, body, &threshold, sizeof threshold);
    value[7] ^= 0x40;
    spill(bytes, body);
    assert_refused(pulmo_h5_open(path, &file), PULMO_DATA, "file.h5");
    value[7] ^= 0x40;

    uint8_t *seed = place_in(bytes, body, "seed: 1", 7);
    seed[6] = '2';
    spill(bytes, body);
    assert_refused(pulmo_h5_open(path, &file), PULMO_DATA, "/config is not what was written");
    seed[6] = '1';

    uint8_t *row = place_in(bytes, body, pixels[3], ROW);
    row[5] ^= 1;
    spill(bytes, body);
    assert_ok(pulmo_h5_open(path, &file));
    assert_refused(read_all(file), PULMO_DATA, "images");
    pulmo_h5_close(file);
    assert_string_equal(differences(), "/images: row 3 is not what was written; ");
    row[5] ^= 1;

    uint8_t *feature = place_in(bytes, body, halves[1], sizeof halves[1]);
    feature[1] ^= 4;
    spill(bytes, body);
    assert_ok(pulmo_h5_open(path, &file));
    assert_refused(read_all(file), PULMO_DATA, "file.h5: /features: row 1 is not what was written");
    pulmo_h5_close(file);
    free(bytes);
}

/* Written by h5py into a sealed file: what is not pulmo's is named. */
static void test_edited(void **state)
{
    pulmo_h5 *file = NULL;
    (void)state;
    write_file(true);
    char *edit = pulmo_format("/usr/bin/python3 -c 'import h5py' 2>/dev/null || exit 77; "
                              "/usr/bin/python3 -c \"import h5py; f = h5py.File('%s', 'r+'); "
                              "f.attrs['note'] = 'mine'; del f['empty']; "
                              "f.attrs.modify('threshold', 0.5)\"",
                              path);
    int status = WEXITSTATUS(system(edit));
    free(edit);
    if (status == 77) {
        print_message("skipped: h5py is not installed\n");
        skip();
    }
    assert_int_equal(status, 0);
    assert_refused(pulmo_h5_open(path, &file), PULMO_DATA, "/@note was added");
    assert_non_null(strstr(pulmo_error(), "(3 differ in all)"));
}

/* What h5repack makes of the file, with these options, is read. */
static void repacked(const char *options)
{
    pulmo_h5 *file = NULL;
    write_file(true);
    char *repack = pulmo_format("command -v h5repack > /dev/null || exit 77; h5dump '%s' > "
                                "/dev/null && h5repack %s '%s' '%s.new' && mv '%s.new' '%s'",
                                path, options, path, path, path, path);
    int status = WEXITSTATUS(system(repack));
    free(repack);
    if (status == 77) {
        print_message("skipped: h5repack is not installed\n");
        return;
    }
    assert_int_equal(status, 0);
    assert_ok(pulmo_h5_open(path, &file));
    assert_true(pulmo_h5_is_verified(file));
    assert_ok(read_all(file));
    pulmo_h5_close(file);
    assert_string_equal(differences(), "");
}

/* The digests are those that h5py and hashlib give for the rules in docs/reference/files.md; h5dump
 * and h5repack read the file. */
static void test_others_agree(void **state)
{
    (void)state;
    write_file(true);
    char *recompute = pulmo_format("/usr/bin/python3 -c 'import h5py' 2>/dev/null || exit 77; "
                                   "/usr/bin/python3 %s/tests/tools/content_digests.py '%s'",
                                   PULMO_SOURCE, path);
    int status = WEXITSTATUS(system(recompute));
    free(recompute);
    if (status == 77)
        print_message("skipped: h5py is not installed\n");
    else
        assert_int_equal(status, 0);
    repacked("");
    repacked("-l CHUNK=100 -f GZIP=9"); /* which takes less room than its values */
}

/* Of files without digests, the library's zeros for a chunk that its index does not find are no
 * values. The index is a B-tree of version 1: a chunk's key holds its first row. */
static void test_lost_chunk(void **state)
{
    size_t size = 0;
    pulmo_h5 *file = NULL;
    uint8_t row[ROW];
    const uint64_t key[3] = {3, 0, 0}; /* row, column, element */
    (void)state;
    write_file(false);
    uint8_t *bytes = slurp(&size);
    uint8_t *at = place_in(bytes, size, key, sizeof key);
    *at = 2;
    spill(bytes, size - SEAL_BYTES);
    assert_ok(pulmo_h5_open(path, &file));
    assert_false(pulmo_h5_is_verified(file));
    assert_ok(pulmo_h5_read_rows(file, "images", PULMO_H5_U8, 0, 1, row));
    assert_refused(pulmo_h5_read_rows(file, "images", PULMO_H5_U8, 3, 1, row), PULMO_DATA,
                   "file.h5: /images: lacks a part of its values");
    pulmo_h5_close(file);
    free(bytes);
}

static void test_unwritten_row(void **state)
{
    pulmo_h5 *file = NULL;
    (void)state;
    assert_ok(pulmo_h5_create(path, &file));
    write_values(file);
    assert_ok(pulmo_h5_write_rows(file, "images", 0, 3, pixels[0]));
    assert_refused(pulmo_h5_seal(file), PULMO_RUNTIME, "row 3 was never written");
    pulmo_h5_close(file);
}

/* xxHash's own vectors: XXH3_64bits of nothing, and of one byte of its sanity buffer. */
static void test_xxh3(void **state)
{
    (void)state;
    assert_int_equal(pulmo_xxh3(NULL, 0), 0x2D06800538D394C2u);
    const uint8_t first = 0;
    assert_int_equal(pulmo_xxh3(&first, 1), 0xC44BDFF4074EECDBu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_edited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_others_agree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_chunk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unwritten_row, set_up, tear_down),
        cmocka_unit_test(test_xxh3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
