/* PyTorch's files, whole, damaged and hostile, built here byte by byte from the formats'
 * descriptions; tests/cli/test_peers.sh has those that PyTorch writes itself. Every damage is
 * refused with one reason and status PULMO_WEIGHTS, and nothing is read beyond the file (the
 * sanitizers watch). */
#include <zip.h>

#include "pickles.h"

/* ---- pickles ---- */

/* How a state dict may be wrong. */
typedef struct wrongs {
    const char *storage_type; /* "FloatStorage" */
    const char *module, *function;
    int64_t numel_extra, offset, stride_last, side;
    int skip;     /* tensor to leave out; -1 none */
    int rank;     /* of convolutions' weights */
    int again;    /* rank of a second tensor of the first's name, at the end; 0 none */
    bool one_key; /* every tensor says it lies in storage "0" */
} wrongs;
static const wrongs right = {.storage_type = "FloatStorage",
                             .module = "torch._utils",
                             .function = "_rebuild_tensor_v2",
                             .stride_last = 1,
                             .side = 3,
                             .skip = -1,
                             .rank = 4};

static void add_shape(bytes *b, int tensor, const wrongs *w, bool strides)
{
    const int64_t inputs = tensor == 0 ? 3 : 16;
    const int64_t sizes[4] = {16, inputs, w->side, 3},
                  steps[4] = {inputs * 9, 9, 3, w->stride_last};
    add_byte(b, '(');
    if (tensor % 2)
        add_int(b, strides ? 1 : 16);
    else
        for (int i = 0; i < w->rank; i++)
            add_int(b, strides ? steps[i] : sizes[i]);
    add_byte(b, 't');
}

static void add_tensor(bytes *b, int tensor, const wrongs *w)
{
    char key[8];
    snprintf(key, sizeof key, "%d", w->one_key ? 0 : tensor);
    add_text(b, names[tensor]);
    add_name(b, w->module, w->function);
    add_words(b, "((");
    add_text(b, "storage");
    add_name(b, "torch", w->storage_type);
    add_text(b, key);
    add_text(b, "cpu");
    add_int(b, counts[tensor] + w->numel_extra);
    add_words(b, "tQ");
    add_int(b, w->offset);
    add_shape(b, tensor, w, false);
    add_shape(b, tensor, w, true);
    add_byte(b, 0x89);
    add_empty_dict(b);
    add_words(b, "tR");
}

static void add_state(bytes *b, const wrongs *w)
{
    add_words(b, "\x80\x02");
    add_empty_dict(b);
    add_byte(b, '(');
    for (int t = 3; t >= 0; t--)
        if (t != w->skip)
            add_tensor(b, t, w);
    if (w->again) {
        wrongs second = *w;
        second.rank = w->again;
        add_tensor(b, 0, &second);
    }
    add_words(b, "u.");
}

static void add_stream(bytes *b, const wrongs *w)
{
    add_stream_head(b);
    add_state(b, w);
    add_words(b, "\x80\x02](");
    for (int t = 0; t < 4; t++)
        if (t != w->skip)
            add_text(b, (char[]){(char)('0' + t), 0});
    add_words(b, "e.");
    for (int t = 0; t < 4; t++) {
        if (t == w->skip)
            continue;
        add_number(b, (uint64_t)counts[t], 8);
        add(b, values_of(t), (size_t)counts[t] * 4);
    }
}

static void make_stream(const wrongs *w)
{
    static bytes b;
    b.size = 0;
    add_stream(&b, w);
    write_file(b.at, b.size);
}

static void test_stream(void **state)
{
    wrongs w;
    (void)state;
    make_stream(&right);
    assert_reads();
    w = right;
    w.skip = 3;
    make_stream(&w);
    assert_bad("features.3.bias: is missing");
    w = right;
    w.skip = 0;
    make_stream(&w);
    assert_bad("features.0.weight: is missing");
    w = right;
    w.storage_type = "DoubleStorage";
    make_stream(&w);
    assert_bad("truncated"); /* elements of 8 bytes do not fit */
    w = right;
    w.storage_type = "IntStorage";
    make_stream(&w);
    assert_bad("dtype other than float32");
    w = right;
    w.storage_type = "EvilStorage";
    make_stream(&w);
    assert_bad("names torch.EvilStorage");
    w = right;
    w.module = "os";
    w.function = "system";
    make_stream(&w);
    assert_bad("names os.system");
    w = right;
    w.module = "builtins";
    w.function = "eval";
    make_stream(&w);
    assert_bad("not run here");
    w = right;
    w.numel_extra = 1;
    make_stream(&w);
    assert_bad("shorter than its pickle says");
    w = right;
    w.numel_extra = -1;
    make_stream(&w);
    assert_bad("reaches beyond its storage");
    w = right;
    w.offset = 1;
    make_stream(&w);
    assert_bad("reaches beyond its storage");
    w = right;
    w.offset = -1;
    make_stream(&w);
    assert_bad("reaches beyond its storage");
    w = right;
    w.stride_last = INT64_MAX / 2;
    make_stream(&w);
    assert_bad("reaches beyond its storage");
    w = right;
    w.stride_last = -1;
    make_stream(&w);
    assert_bad("reaches beyond its storage");
    w = right;
    w.side = (int64_t)1 << 40;
    make_stream(&w);
    assert_bad("size out of range");
    w = right;
    w.side = 0;
    make_stream(&w);
    assert_bad("size out of range");
}

/* Of one name, a convolution and then a classifier's matrix: no layer would be left to end with. */
static void test_one_name_twice(void **state)
{
    static const int ranks[] = {2, 4};
    wrongs w = right;
    (void)state;
    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        w.again = ranks[i];
        make_stream(&w);
        assert_bad("features.0.weight: is there twice");
    }
}

/* A whole stream whose state dict is this program. */
static void make_program(const void *program, size_t size)
{
    static bytes b;
    b.size = 0;
    add_stream_head(&b);
    add_words(&b, "\x80\x02");
    add(&b, program, size);
    add_words(&b, ".\x80\x02].");
    write_file(b.at, b.size);
}
#define PROGRAM(text) make_program(text, sizeof(text) - 1)

static void test_hostile_pickles(void **state)
{
    (void)state;
    PROGRAM("cos\nsystem\n(X\x02\0\0\0lstR");
    assert_bad("names os.system");
    PROGRAM("\x8c\x02os\x8c\x06system\x93)R");
    assert_bad("names os.system");
    PROGRAM("(S'ls'\nios\nsystem\n");
    assert_bad("opcode 0x53");
    PROGRAM("(ios\nsystem\n");
    assert_bad("opcode 0x69");
    PROGRAM("}P1\n");
    assert_bad("opcode 0x50");
    PROGRAM("R");
    assert_bad("empty stack");
    PROGRAM(")R");
    assert_bad("empty stack");
    PROGRAM("K\1)R");
    assert_bad("calls something that is no name");
    PROGRAM("ctorch\nFloatStorage\n)R");
    assert_bad("calls a storage type");
    PROGRAM("Q");
    assert_bad("empty stack");
    PROGRAM(")Q");
    assert_bad("something else than a whole storage");
    PROGRAM("t");
    assert_bad("misses a mark");
    PROGRAM("(u");
    assert_bad("no dict");
    PROGRAM("}(K\1u");
    assert_bad("key without a value");
    PROGRAM("s");
    assert_bad("no dict");
    PROGRAM("a");
    assert_bad("no list");
    PROGRAM("h\x05");
    assert_bad("never kept");
    PROGRAM("j\xff\xff\xff\xff");
    assert_bad("never kept");
    PROGRAM("Nr\xff\xff\xff\x7f");
    assert_bad("larger than any state dict");
    PROGRAM("X\xff\xff\xff\xff");
    assert_bad("holds a text of");
    PROGRAM("\x8d\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_bad("holds a text of");
    PROGRAM("X\xff\xff\xff\x7f");
    assert_bad("truncated");
    PROGRAM("\x8a\xff");
    assert_bad("truncated");
    PROGRAM("NN");
    assert_bad("more than one value");
    PROGRAM("N");
    assert_bad("no state dict");
    PROGRAM("]q\0h\0a"); /* a list in itself */
    assert_bad("no state dict");
    PROGRAM("}q\0(h\0h\0u"); /* a dict in itself */
    assert_bad("is missing");
    PROGRAM("ctorch._utils\n_rebuild_tensor_v2\n)R");
    assert_bad("makes a tensor of something else");
    PROGRAM("}N0");
    assert_bad("opcode 0x30");
}

/* A file of 40 MB of marks or of kept values ends at the limit, not in all the memory. */
static void test_large_pickles(void **state)
{
    const size_t size = 40u << 20;
    uint8_t *program = malloc(size);
    (void)state;
    assert_non_null(program);
    memcpy(program, "\x80\x02", 2);
    memset(program + 2, '(', size - 2);
    write_file(program, size);
    assert_bad("larger than any state dict");
    for (size_t i = 2; i + 1 < size; i += 2)
        memcpy(program + i, "]0", 2);
    for (size_t i = 2; i + 1 < size; i += 2)
        memcpy(program + i, "N\x94", 2);
    write_file(program, size);
    assert_bad("larger than any state dict");
    free(program);
}

static void test_damaged_stream(void **state)
{
    static bytes b;
    (void)state;
    b.size = 0;
    add_stream(&b, &right);
    sweep(&b, b.size - ALL * 4);
}

/* ---- archives ---- */

typedef struct archive_wrongs {
    const wrongs *state;
    const char *byteorder, *pickle_name;
    size_t storage_bytes_extra, pickle_bytes; /* pickle_bytes > 0: that many zeros instead */
    bool deflated;
} archive_wrongs;

static void add_entry(zip_t *zip, const char *name, const void *data, size_t size, bool deflated)
{
    zip_source_t *source = zip_source_buffer(zip, data, size, 0);
    zip_int64_t at = zip_file_add(zip, name, source, 0);
    assert_true(at >= 0);
    assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)at,
                                              deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0),
                     0);
}

static void make_archive(const archive_wrongs *w)
{
    static bytes b;
    int error = 0;
    char name[64];
    unlink(path);
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_EXCL, &error);
    uint8_t *zeros = calloc(1, w->pickle_bytes + 1),
            *room = calloc(1, sizeof values + w->storage_bytes_extra);
    assert_true(zip && zeros && room);
    b.size = 0;
    add_state(&b, w->state);
    snprintf(name, sizeof name, "net/%s", w->pickle_name);
    if (w->pickle_bytes)
        add_entry(zip, name, zeros, w->pickle_bytes, true);
    else
        add_entry(zip, name, b.at, b.size, w->deflated);
    add_entry(zip, "net/byteorder", w->byteorder, strlen(w->byteorder), false);
    memcpy(room, values, sizeof values);
    for (int t = 0; t < 4; t++) {
        snprintf(name, sizeof name, "net/data/%d", t);
        add_entry(zip, name, room + (values_of(t) - values) * 4,
                  (size_t)counts[t] * 4 + (t == 3 ? w->storage_bytes_extra : 0), w->deflated);
    }
    assert_int_equal(zip_close(zip), 0);
    free(zeros);
    free(room);
}

static void test_archive(void **state)
{
    const archive_wrongs good = {.state = &right, .byteorder = "little", .pickle_name = "data.pkl"};
    archive_wrongs w;
    wrongs double_storage = right, one_key = right, wrapped = right;
    (void)state;
    make_archive(&good);
    assert_reads();
    w = good;
    w.deflated = true;
    make_archive(&w);
    assert_reads();
    w = good;
    w.byteorder = "big";
    make_archive(&w);
    assert_bad("big-endian");
    w = good;
    w.pickle_name = "model.pkl";
    make_archive(&w);
    assert_bad("without PyTorch's data.pkl");
    w = good;
    w.storage_bytes_extra = 4;
    make_archive(&w);
    assert_bad("has 68 bytes, not 64");
    w = good;
    w.storage_bytes_extra = (size_t)600 << 20;
    w.deflated = true;
    make_archive(&w); /* a bomb of 600 kB */
    assert_bad("at most");
    w = good;
    w.pickle_bytes = (size_t)100 << 20;
    make_archive(&w);
    assert_bad("at most");
    double_storage.storage_type = "DoubleStorage";
    w = good;
    w.state = &double_storage;
    make_archive(&w);
    assert_bad("dtype other than float32");
    one_key.one_key = true; /* a storage found once must be long enough for who asks next */
    w.state = &one_key;
    make_archive(&w);
    assert_bad("a storage is shorter than its pickle says");
    wrapped.numel_extra = (int64_t)1
                          << 62; /* four times that is the right number again, modulo 2^64 */
    w.state = &wrapped;
    make_archive(&w);
    assert_bad("bytes are read");
}

static void test_damaged_archive(void **state)
{
    static bytes b;
    const archive_wrongs good = {
        .state = &right, .byteorder = "little", .pickle_name = "data.pkl", .deflated = true};
    const archive_wrongs stored = {
        .state = &right, .byteorder = "little", .pickle_name = "data.pkl"};
    (void)state;
    make_archive(&good);
    read_back(&b);
    sweep(&b, 400);
    make_archive(&stored);
    read_back(&b);
    uint8_t *found = NULL; /* one bit of a storage: the checksum tells */
    for (size_t i = 0; i + 4 * W0 <= b.size && !found; i++)
        if (memcmp(b.at + i, values, 64) == 0)
            found = b.at + i;
    assert_non_null(found);
    found[2] ^= 1;
    write_file(b.at, b.size);
    assert_bad("damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),          cmocka_unit_test(test_one_name_twice),
        cmocka_unit_test(test_hostile_pickles), cmocka_unit_test(test_large_pickles),
        cmocka_unit_test(test_damaged_stream),  cmocka_unit_test(test_archive),
        cmocka_unit_test(test_damaged_archive),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
