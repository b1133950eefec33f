/* HDF5 files: what is written reads back, appears whole or not at all, and damage is an error. */
#include "scratch.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "pulmo/file.h"
#include "pulmo/h5.h"

/* HDF5 1.10 loses memory of its own when object headers are damaged. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

static int set_up(void **state)
{
    (void)state;
    return open_scratch("file.h5");
}

static const uint8_t pixels[2 * 3 * 2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255};
static const double reals[4] = {0.1, -1e300, 5e-324, 3};
static const char *const names[3] = {"NORMAL", "", "b\xc3\xa4r"};

static void write_file(const char *to)
{
    pulmo_h5 *file = NULL;
    const uint64_t dims[3] = {2, 3, 2}, four = 4, none = 0;
    assert_ok(pulmo_h5_create(to, &file));
    assert_ok(pulmo_h5_create_rows(file, "images", PULMO_H5_U8, 3, dims));
    assert_ok(pulmo_h5_write_rows(file, "images", 1, 1, pixels + 6));
    assert_ok(pulmo_h5_write_rows(file, "images", 0, 1, pixels));
    assert_ok(pulmo_h5_write(file, "group/deep/reals", PULMO_H5_F64, 1, &four, reals));
    assert_ok(pulmo_h5_write(file, "scale", PULMO_H5_F64, 1, &four, reals));
    assert_ok(pulmo_h5_write(file, "empty", PULMO_H5_I32, 1, &none, NULL));
    assert_ok(pulmo_h5_write_strings(file, "names", 3, names));
    assert_ok(pulmo_h5_write_strings(file, "no_names", 0, NULL));
    assert_ok(pulmo_h5_write_text(file, "text", "two\nlines"));
    assert_ok(pulmo_h5_set_text(file, "/", "kind", "test"));
    assert_ok(pulmo_h5_set_text(file, "/", "nothing", ""));
    assert_ok(pulmo_h5_set_texts(file, "/", "classes", 3, names));
    assert_ok(pulmo_h5_set_int(file, "group", "count", -7));
    assert_ok(pulmo_h5_set_int(file, "group", "count", 1ll << 40)); /* in place of the first */
    assert_ok(pulmo_h5_set_real(file, "images", "scale", 0.5));
    assert_ok(pulmo_h5_make_scale(file, "scale", "axis"));
    assert_ok(pulmo_h5_attach_scale(file, "group/deep/reals", 0, "scale"));
    assert_ok(pulmo_h5_commit(file));
}

static void test_round_trip(void **state)
{
    pulmo_h5 *file = NULL;
    pulmo_h5_shape shape;
    uint8_t back[12], row[6];
    double values[4], real = 0;
    uint64_t count = 0, whole[3] = {2, 3, 2}, none[3] = {0, 3, 2};
    const uint64_t four = 4;
    int64_t integer = 0;
    char **strings = NULL, *text = NULL;
    int texts = 0;
    (void)state;
    write_file(path);
    assert_ok(pulmo_h5_open(path, &file));
    assert_string_equal(pulmo_h5_path(file), path);
    assert_ok(pulmo_h5_shape_of(file, "images", &shape));
    assert_true(shape.type == PULMO_H5_U8 && shape.rank == 3 && shape.dims[0] == 2 &&
                shape.dims[2] == 2);
    assert_ok(pulmo_h5_read(file, "images", PULMO_H5_U8, 3, whole, back));
    assert_memory_equal(back, pixels, sizeof back);
    assert_refused(pulmo_h5_read(file, "images", PULMO_H5_U8, 3, none, back), PULMO_DATA,
                   "must be (0 x 3 x 2)");
    assert_ok(pulmo_h5_read_rows(file, "images", PULMO_H5_U8, 1, 1, row));
    assert_memory_equal(row, pixels + 6, sizeof row);
    assert_ok(pulmo_h5_read(file, "group/deep/reals", PULMO_H5_F64, 1, &four, values));
    assert_memory_equal(values, reals, sizeof values);
    assert_ok(pulmo_h5_read(file, "scale", PULMO_H5_F64, 1, &four, values));
    assert_memory_equal(values, reals, sizeof values);
    assert_ok(pulmo_h5_read_strings(file, "names", &count, &strings));
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(strings[i], names[i]);
    free(strings);
    assert_ok(pulmo_h5_read_strings(file, "no_names", &count, &strings));
    assert_int_equal(count, 0);
    free(strings);
    assert_ok(pulmo_h5_read_text(file, "text", &text));
    assert_string_equal(text, "two\nlines");
    free(text);
    assert_ok(pulmo_h5_get_text(file, "/", "nothing", &text));
    assert_string_equal(text, "");
    free(text);
    assert_ok(pulmo_h5_get_texts(file, "/", "classes", &texts, &strings));
    assert_int_equal(texts, 3);
    assert_string_equal(strings[2], names[2]);
    free(strings);
    assert_ok(pulmo_h5_get_int(file, "group", "count", &integer));
    assert_true(integer == 1ll << 40);
    assert_ok(pulmo_h5_get_real(file, "images", "scale", &real));
    assert_true(real == 0.5);
    assert_true(pulmo_h5_exists(file, "group/deep/reals") &&
                !pulmo_h5_exists(file, "group/none/reals"));
    assert_true(pulmo_h5_has_attribute(file, "/", "kind") &&
                !pulmo_h5_has_attribute(file, "/", "none"));
    pulmo_h5_close(file);
}

static void test_refusals(void **state)
{
    pulmo_h5 *file = NULL;
    uint8_t back[12];
    double real;
    uint64_t count, wrong[3] = {2, 3, 3};
    char **strings = NULL, *text = NULL;
    (void)state;
    write_file(path);
    assert_ok(pulmo_h5_open(path, &file));
    assert_refused(pulmo_h5_read(file, "images", PULMO_H5_U8, 3, wrong, back), PULMO_DATA,
                   "(2 x 3 x 2)");
    assert_refused(pulmo_h5_read(file, "nothing", PULMO_H5_U8, 3, wrong, back), PULMO_DATA,
                   "nothing");
    assert_refused(pulmo_h5_read(file, "names", PULMO_H5_U8, 1, wrong, back), PULMO_DATA,
                   "strings");
    assert_refused(pulmo_h5_read_rows(file, "images", PULMO_H5_U8, 1, 2, back), PULMO_DATA,
                   "rows 1 to 3 of 2");
    assert_refused(pulmo_h5_read_strings(file, "images", &count, &strings), PULMO_DATA, "images");
    assert_refused(pulmo_h5_get_text(file, "/", "none", &text), PULMO_DATA, "none");
    assert_refused(pulmo_h5_get_text(file, "/", "classes", &text), PULMO_DATA, "classes");
    assert_refused(pulmo_h5_get_real(file, "/", "kind", &real), PULMO_DATA, "kind");
    pulmo_h5_close(file);
    assert_refused(pulmo_h5_open("/nonexistent/x.h5", &file), PULMO_IO, "/nonexistent/x.h5");
    assert_refused(pulmo_h5_open(directory, &file), PULMO_IO, "directory");
    assert_refused(pulmo_h5_create("/nonexistent/x.h5", &file), PULMO_IO, "/nonexistent/x.h5");
}

static char *slurp(const char *name, size_t *size)
{
    struct stat about;
    assert_int_equal(stat(name, &about), 0);
    char *bytes = malloc((size_t)about.st_size + 1);
    FILE *in = fopen(name, "rb");
    *size = fread(bytes, 1, (size_t)about.st_size, in);
    fclose(in);
    return bytes;
}

static void spill(const char *name, const char *bytes, size_t size)
{
    FILE *out = fopen(name, "wb");
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    fclose(out);
}

/* A file of another kind, of another version, or of another program's is told by its name, what it
 * is and the way out. */
static void test_kind(void **state)
{
    pulmo_h5 *file = NULL;
    (void)state;
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_h5_set_kind(file, "model", 3));
    assert_ok(pulmo_h5_commit(file));
    assert_ok(pulmo_h5_open(path, &file));
    assert_ok(pulmo_h5_check_kind(file, "model", 3, "give a model"));
    assert_int_equal(pulmo_h5_check_kind(file, "shard", 3, "pack again"), PULMO_DATA);
    assert_non_null(
        strstr(pulmo_error(), "file.h5: is not a shard file but a model file; pack again"));
    pulmo_error_clear();
    assert_int_equal(pulmo_h5_check_kind(file, "model", 2, "train again"), PULMO_DATA);
    assert_non_null(
        strstr(pulmo_error(), "file.h5: format version 3, this program reads 2; train again"));
    pulmo_error_clear();
    pulmo_h5_close(file);
    write_file(path);
    assert_ok(pulmo_h5_open(path, &file));
    assert_int_equal(pulmo_h5_check_kind(file, "model", 3, "give a model"), PULMO_DATA);
    assert_non_null(strstr(pulmo_error(), "pulmo_kind"));
    pulmo_error_clear();
    pulmo_h5_close(file);
}

/* No times in it: equal contents, equal bytes. */
static void test_same_bytes(void **state)
{
    size_t a_size, b_size;
    char *other = pulmo_format("%s/other.h5", directory);
    (void)state;
    write_file(path);
    sleep(1);
    write_file(other);
    char *a = slurp(path, &a_size), *b = slurp(other, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
    free(other);
}

static int files_in_directory(void)
{
    char *command = pulmo_format("ls -A '%s' | wc -l", directory);
    FILE *out = popen(command, "r");
    int count = -1;
    assert_int_equal(fscanf(out, "%d", &count), 1);
    pclose(out);
    free(command);
    return count;
}

/* Given up, or out of room while writing: what stood there stands, and nothing else does. */
static void test_whole_or_not_at_all(void **state)
{
    pulmo_h5 *file = NULL;
    size_t before_size, after_size;
    struct rlimit old, tight;
    const uint64_t many = 1 << 20;
    (void)state;
    write_file(path);
    char *before = slurp(path, &before_size);
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_h5_set_text(file, "/", "kind", "half"));
    pulmo_h5_close(file);
    assert_int_equal(files_in_directory(), 1);

    double *values = calloc(many, sizeof *values);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 100000; /* as good as a full disk */
    setrlimit(RLIMIT_FSIZE, &tight);
    assert_ok(pulmo_h5_create(path, &file));
    pulmo_status status = pulmo_h5_write(file, "big", PULMO_H5_F64, 1, &many, values);
    if (status == PULMO_OK)
        status = pulmo_h5_commit(file);
    else
        pulmo_h5_close(file);
    const uint64_t rows[2] = {
        4, 50000}; /* a row stays in the library's cache until its dataset is closed */
    pulmo_status by_rows = pulmo_h5_create(path, &file);
    if (by_rows == PULMO_OK)
        by_rows = pulmo_h5_create_rows(file, "images", PULMO_H5_U8, 2, rows);
    for (uint64_t i = 0; by_rows == PULMO_OK && i < 4; i++)
        by_rows = pulmo_h5_write_rows(file, "images", i, 1, values);
    if (by_rows == PULMO_OK)
        by_rows = pulmo_h5_commit(file);
    else
        pulmo_h5_close(file);
    pulmo_status plain = pulmo_file_write(path, values, many * sizeof *values);
    setrlimit(RLIMIT_FSIZE, &old);
    free(values);
    assert_int_equal(status, PULMO_IO);
    assert_int_equal(by_rows, PULMO_IO);
    assert_int_equal(plain, PULMO_IO);
    assert_int_equal(files_in_directory(), 1);
    char *after = slurp(path, &after_size);
    assert_int_equal(after_size, before_size);
    assert_memory_equal(after, before, before_size);
    free(before);
    free(after);
}

static int on_disk(const char *disk, const char *command)
{
    char *words = pulmo_format("cd '%s' && { %s; } > /dev/null 2>&1", disk, command);
    int status = system(words);
    free(words);
    return status;
}

/* A file system that is really read-only, then really full; only root can make one. */
static void test_full_disk(void **state)
{
    enum { MANY = 1 << 17 };
    (void)state;
    if (geteuid() != 0 || on_disk(directory, "mount -t tmpfs -o size=512k pulmo-test .") != 0) {
        print_message("skipped: may not mount a small file system\n");
        skip();
    }
    const uint64_t many = MANY;
    double *values = calloc(MANY, sizeof *values);
    char *end = pulmo_format("umount -l '%s'", directory);
    size_t size, again = 0;
    pulmo_h5 *file = NULL;
    write_file(path);
    char *before = slurp(path, &size), *after = NULL;
    int sealed = on_disk(directory, "mount -o remount,ro .");
    pulmo_status refused = pulmo_h5_create(path, &file);
    pulmo_status written = pulmo_file_write(path, "x", 1);
    pulmo_status made = pulmo_directory_make(directory);
    sealed |= on_disk(directory, "mount -o remount,rw .");
    pulmo_status status = pulmo_h5_create(path, &file);
    if (status == PULMO_OK)
        status = pulmo_h5_write(file, "big", PULMO_H5_F64, 1, &many, values);
    bool named = strstr(pulmo_error(), "file.h5") != NULL;
    if (status == PULMO_OK)
        status = pulmo_h5_commit(file);
    else
        pulmo_h5_close(file);
    int left = files_in_directory();
    pulmo_status plain = pulmo_file_write(path, values, MANY * sizeof *values);
    /* The room of what failed is free again, though the library may still hold the file. */
    int room = on_disk(directory, "head -c 300000 /dev/zero > x && rm x");
    after = slurp(path, &again);
    bool same = size == again && memcmp(before, after, size) == 0;
    int ended = on_disk("/", end);
    free(end);
    free(before);
    free(after);
    free(values);
    assert_int_equal(ended, 0);
    assert_int_equal(status, PULMO_IO);
    assert_true(named);
    assert_int_equal(left, 1);
    assert_int_equal(plain, PULMO_IO);
    assert_int_equal(room, 0);
    assert_int_equal(sealed, 0);
    assert_int_equal(refused, PULMO_IO);
    assert_int_equal(written, PULMO_IO);
    assert_int_equal(made, PULMO_OK); /* it is there */
    assert_true(same);
}

static void look(void *context, const char *name, const pulmo_h5_shape *shape,
                 const char *attribute, const char *value)
{
    (void)name, (void)shape, (void)attribute, (void)value;
    ++*(int *)context;
}

/* Damaged anywhere: an answer or an error, never a crash. */
static void test_damage(void **state)
{
    size_t size;
    (void)state;
    write_file(path);
    char *good = slurp(path, &size), *bad = malloc(size),
         *other = pulmo_format("%s/bad.h5", directory);
    for (size_t i = 0; i < 240; i++) {
        pulmo_h5 *file = NULL;
        size_t cut = size;
        memcpy(bad, good, size);
        if (i % 3 == 0)
            cut = size * i / 240;
        else
            bad[(i * 7919) % size] ^= (char)(1 << i % 8 | 0x40);
        spill(other, bad, cut);
        if (pulmo_h5_open(other, &file) != PULMO_OK) {
            assert_non_null(strstr(pulmo_error(), "bad.h5"));
            continue;
        }
        double values[64];
        uint64_t count;
        char **strings = NULL;
        int seen = 0;
        pulmo_h5_shape shape;
        if (pulmo_h5_shape_of(file, "group/deep/reals", &shape) == PULMO_OK && shape.rank == 1 &&
            shape.dims[0] <= 64)
            (void)pulmo_h5_read(file, "group/deep/reals", PULMO_H5_F64, 1, shape.dims, values);
        if (pulmo_h5_read_strings(file, "names", &count, &strings) == PULMO_OK)
            free(strings);
        (void)pulmo_h5_visit(file, look, &seen);
        pulmo_h5_close(file);
    }
    free(good);
    free(bad);
    free(other);
}

/* The tools that people know read it; skipped, visibly, where they are not installed. */
static void test_other_tools(void **state)
{
    (void)state;
    write_file(path);
    char *dump = pulmo_format(
        "command -v h5dump > /dev/null || exit 77; h5dump -d /names '%s' | grep -q NORMAL", path);
    char *h5py = pulmo_format("/usr/bin/python3 -c 'import h5py' 2>/dev/null || exit 77; "
                              "/usr/bin/python3 -c \"import h5py; "
                              "f = h5py.File('%s'); assert f['images'].shape == (2, 3, 2); assert "
                              "f['names'][0] == b'NORMAL'; "
                              "assert f.attrs['kind'] == b'test' or f.attrs['kind'] == 'test'; "
                              "assert f['group/deep/reals'].dims[0][0].name == '/scale'\"",
                              path);
    int a = WEXITSTATUS(system(dump)), b = WEXITSTATUS(system(h5py));
    if (a == 77)
        print_message("skipped: h5dump is not installed\n");
    else
        assert_int_equal(a, 0);
    if (b == 77)
        print_message("skipped: h5py is not installed\n");
    else
        assert_int_equal(b, 0);
    free(dump);
    free(h5py);
}

/* Whatever the path names that is not a readable HDF5 file: which it is, and never a wait. */
static void test_not_ours(void **state)
{
    pulmo_h5 *file = NULL;
    char noise[4096];
    pulmo_rng rng;
    (void)state;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)pulmo_rng_u32(&rng);
    spill(path, noise, 0);
    assert_refused(pulmo_h5_open(path, &file), PULMO_DATA, "file.h5");
    spill(path, noise, sizeof noise);
    assert_refused(pulmo_h5_open(path, &file), PULMO_DATA, "not an HDF5 file");
    spill(path, "\211HDF\r\n\032\n", 8); /* the signature alone */
    assert_refused(pulmo_h5_open(path, &file), PULMO_DATA, "file.h5");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(pulmo_h5_open(path, &file), PULMO_IO, "pipe");
    assert_refused(pulmo_h5_open("/dev/zero", &file), PULMO_IO, "device");
    assert_null(file);
}

/* A directory where the file should go: the final rename is refused and nothing is left beside it.
 */
static void test_in_the_way(void **state)
{
    pulmo_h5 *file = NULL;
    (void)state;
    assert_int_equal(mkdir(path, 0777), 0);
    assert_ok(pulmo_h5_create(path, &file));
    assert_refused(pulmo_h5_commit(file), PULMO_IO, "file.h5");
    assert_int_equal(files_in_directory(), 1);
}

/* Attributes larger than an object header holds, lists in several chunks, rows never
 * written. */
static void test_sizes(void **state)
{
    enum { LONG = 200000, MANY = 700000 };
    pulmo_h5 *file = NULL;
    char *words = calloc(LONG + 1, 1), *back = NULL;
    int32_t *numbers = malloc(MANY * sizeof *numbers), *read = malloc(MANY * sizeof *read);
    const uint64_t many = MANY, rows[2] = {3, 4};
    uint8_t got[12];
    (void)state;
    memset(words, 'w', LONG);
    memset(got, 7, sizeof got);
    for (int i = 0; i < MANY; i++)
        numbers[i] = i * 31;
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_h5_set_text(file, "/", "long", words));
    assert_ok(pulmo_h5_write(file, "numbers", PULMO_H5_I32, 1, &many, numbers));
    assert_ok(pulmo_h5_create_rows(file, "rows", PULMO_H5_U8, 2, rows));
    assert_ok(pulmo_h5_write_rows(file, "rows", 1, 1, "abcd"));
    assert_ok(pulmo_h5_commit(file));
    assert_ok(pulmo_h5_open(path, &file));
    assert_ok(pulmo_h5_get_text(file, "/", "long", &back));
    assert_string_equal(back, words);
    assert_ok(pulmo_h5_read(file, "numbers", PULMO_H5_I32, 1, &many, read));
    assert_memory_equal(read, numbers, MANY * sizeof *read);
    assert_ok(pulmo_h5_read(file, "rows", PULMO_H5_U8, 2, rows, got));
    assert_memory_equal(got, "\0\0\0\0abcd\0\0\0\0", 12);
    assert_refused(pulmo_h5_read_rows(file, "rows", PULMO_H5_U8, UINT64_MAX, 2, got), PULMO_DATA,
                   "of 3");
    pulmo_h5_close(file);
    free(words);
    free(back);
    free(numbers);
    free(read);
}

/* One bit of the data turned over: an error that names file and dataset, not another number. */
static void test_checksums(void **state)
{
    enum { MANY = 5000 };
    float *numbers = malloc(MANY * sizeof *numbers);
    uint8_t rows[4][64];
    const uint64_t many = MANY, dims[2] = {4, 64};
    size_t size, found = 0;
    pulmo_h5 *file = NULL;
    (void)state;
    for (int i = 0; i < MANY; i++)
        numbers[i] = (float)i;
    for (int i = 0; i < 256; i++)
        rows[i / 64][i % 64] = (uint8_t)(i * 37);
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_h5_write(file, "weights", PULMO_H5_F32, 1, &many, numbers));
    assert_ok(pulmo_h5_create_rows(file, "images", PULMO_H5_U8, 2, dims));
    assert_ok(pulmo_h5_write_rows(file, "images", 0, 4, rows));
    assert_ok(pulmo_h5_commit(file));
    char *bytes = slurp(path, &size);
    for (size_t i = 0; i + 64 <= size; i++) {
        bool weight = memcmp(bytes + i, numbers + 3000, 64) == 0;
        if (!weight && memcmp(bytes + i, rows[2], 64) != 0)
            continue;
        bytes[i + 5] ^= 0x10;
        found++;
    }
    assert_int_equal(found, 2);
    spill(path, bytes, size);
    assert_refused(pulmo_h5_open(path, &file), PULMO_DATA, "not those that were written");
    spill(path, bytes, size - 56); /* without the seal, as files of version 0.1.0 are */
    assert_ok(pulmo_h5_open(path, &file));
    assert_refused(pulmo_h5_read(file, "weights", PULMO_H5_F32, 1, &many, numbers), PULMO_DATA,
                   "weights");
    assert_ok(pulmo_h5_read_rows(file, "images", PULMO_H5_U8, 0, 2, rows));
    assert_refused(pulmo_h5_read_rows(file, "images", PULMO_H5_U8, 2, 1, rows), PULMO_DATA,
                   "file.h5: /images");
    assert_ok(pulmo_h5_read_rows(file, "images", PULMO_H5_U8, 3, 1, rows));
    pulmo_h5_close(file);
    free(numbers);
    free(bytes);
}

/* ---- threads ---- */

static void *read_often(void *context)
{
    long *wrong = context;
    for (int i = 0; i < 200; i++) {
        pulmo_h5 *file = NULL;
        uint8_t row[6] = {0};
        if (pulmo_h5_open(path, &file) != PULMO_OK) {
            ++*wrong;
            continue;
        }
        *wrong +=
            pulmo_h5_read_rows(file, "images", PULMO_H5_U8, (uint64_t)i % 2, 1, row) != PULMO_OK;
        *wrong += memcmp(row, pixels + i % 2 * 6, sizeof row) != 0;
        /* A failure on one thread must not be told on another. */
        *wrong += pulmo_h5_read_rows(file, "none", PULMO_H5_U8, 0, 1, row) != PULMO_DATA ||
                  !strstr(pulmo_error(), "none");
        pulmo_h5_close(file);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    long wrong[4] = {0};
    (void)state;
    write_file(path);
    char *said = pulmo_format("%s/said", directory);
    struct stat about;
    fflush(stderr);
    int kept = dup(STDERR_FILENO), made = 0;
    assert_non_null(freopen(said, "w", stderr));
    for (int t = 0; t < 4; t++)
        made += pthread_create(&threads[t], NULL, read_often, &wrong[t]) == 0;
    for (int t = 0; t < made; t++)
        pthread_join(threads[t], NULL);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_int_equal(made, 4);
    for (int t = 0; t < 4; t++)
        assert_int_equal(wrong[t], 0);
    assert_int_equal(stat(said, &about), 0);
    assert_int_equal(about.st_size, 0); /* the library printed nothing of its own, on any thread */
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_whole_or_not_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_tools, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_checksums, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
