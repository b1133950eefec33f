/* Files of weights that are small and made to take much: refused, at the cost that their size
 * justifies. */
#include "cost.h"
#include "pickles.h"

/* (storage, type, key, location, elements) */
static void add_storage(bytes *b, const char *key, int64_t elements)
{
    add_byte(b, '(');
    add_text(b, "storage");
    add_name(b, "torch", "FloatStorage");
    add_text(b, key);
    add_text(b, "cpu");
    add_int(b, elements);
    add_words(b, "tQ");
}

static void add_ints(bytes *b, int count, const int64_t *list)
{
    add_byte(b, '(');
    for (int i = 0; i < count; i++)
        add_int(b, list[i]);
    add_byte(b, 't');
}

typedef struct view {
    const char *name, *key;
    int64_t elements; /* of its storage */
    int rank;
    int64_t shape[4], stride[4];
} view;

static void add_view(bytes *b, const view *v)
{
    add_text(b, v->name);
    add_name(b, "torch._utils", "_rebuild_tensor_v2");
    add_byte(b, '(');
    add_storage(b, v->key, v->elements);
    add_int(b, 0);
    add_ints(b, v->rank, v->shape);
    add_ints(b, v->rank, v->stride);
    add_byte(b, 0x89);
    add_empty_dict(b);
    add_words(b, "tR");
}

static void begin_stream(bytes *b)
{
    b->size = 0;
    add_stream_head(b);
    add_words(b, "\x80\x02");
    add_empty_dict(b);
    add_byte(b, '(');
}

/* One storage, of zeros, called "0". */
static void end_stream(bytes *b, uint64_t elements)
{
    add_words(b, "u.\x80\x02](");
    add_text(b, "0");
    add_words(b, "e.");
    add_number(b, elements, 8);
}

/* The bytes of `b`, and behind them `floats` zeros. */
static void write_with_zeros(const bytes *b, size_t floats)
{
    const float zero = 0;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b->at, 1, b->size, file), b->size);
    for (size_t i = 0; i < floats; i++)
        assert_int_equal(fwrite(&zero, sizeof zero, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

/* A weight of 8192 x 8192 x 3 x 3 (2.4 GB) that is one element again and again. */
static void test_stride_of_zero(void **state)
{
    static bytes b;
    const view views[] = {
        {"features.0.weight", "0", 8192, 4, {8192, 3, 3, 3}, {0, 0, 0, 0}},
        {"features.0.bias", "0", 8192, 1, {8192}, {1}},
        {"features.2.weight", "0", 8192, 4, {8192, 8192, 3, 3}, {0, 0, 0, 0}},
        {"features.2.bias", "0", 8192, 1, {8192}, {1}},
    };
    (void)state;
    begin_stream(&b);
    for (size_t i = 0; i < PULMO_COUNT_OF(views); i++)
        add_view(&b, &views[i]);
    end_stream(&b, 8192);
    write_with_zeros(&b, 8192);
    const cost before = cost_now();
    assert_bad("repeats elements of its storage");
    assert_cost(&before, 0.5, 16);
}

/* 32 convolutions of 96 x 96 that are all of one storage: each fits, all together do not. */
static void test_one_storage_for_all(void **state)
{
    enum { WIDTH = 96, FLOATS = WIDTH * WIDTH * 9 };
    static bytes b;
    char weight[32], bias[32];
    (void)state;
    begin_stream(&b);
    for (int i = 0; i < PULMO_CONVS_MAX; i++) {
        const int64_t inputs = i == 0 ? 3 : WIDTH;
        const view kernel = {weight, "0", FLOATS, 4, {WIDTH, inputs, 3, 3}, {inputs * 9, 9, 3, 1}};
        const view shift = {bias, "0", FLOATS, 1, {WIDTH}, {1}};
        snprintf(weight, sizeof weight, "features.%d.weight", 2 * i);
        snprintf(bias, sizeof bias, "features.%d.bias", 2 * i);
        add_view(&b, &kernel);
        add_view(&b, &shift);
    }
    end_stream(&b, FLOATS);
    write_with_zeros(&b, FLOATS);
    const cost before = cost_now();
    assert_bad("holds more than any VGG does");
    assert_cost(&before, 0.5, 16);
}

/* Storages were looked up for each of the pickle's references, for each listed. */
static void test_many_storages(void **state)
{
    enum { KEYS = 1500 };
    bytes *b = calloc(2, sizeof *b);
    char key[16];
    (void)state;
    assert_non_null(b);
    begin_stream(b);
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "%d", i);
        add_text(b, "k");
        add_byte(b, '(');
        add_text(b, "storage");
        if (i == 0)
            add_name(b, "torch", "FloatStorage");
        else
            add_words(b, "h\x01");
        if (i == 0)
            add_words(b, "q\x01");
        add_text(b, key);
        add(b, "NK\0tQ", 5);
    }
    add_words(b, "u.\x80\x02](");
    bytes *rest = b + 1;
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "%d", i);
        add_text(rest, key);
    }
    add_words(rest, "e.");
    for (int i = 0; i < KEYS; i++)
        add_number(rest, 0, 8);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b->at, 1, b->size, file), b->size);
    assert_int_equal(fwrite(rest->at, 1, rest->size, file), rest->size);
    assert_int_equal(fclose(file), 0);
    free(b);
    const cost before = cost_now();
    assert_bad("is missing");
    assert_cost(&before, 0.5, 16);
}

/* A place for a value far beyond what the pickle could keep. */
static void test_far_place(void **state)
{
    static bytes b;
    (void)state;
    b.size = 0;
    add_stream_head(&b);
    add_words(&b, "\x80\x02}r");
    add_number(&b, 1999999, 4);
    add_words(&b, ".");
    write_file(b.at, b.size);
    assert_bad("larger than any state dict");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stride_of_zero),
        cmocka_unit_test(test_one_storage_for_all),
        cmocka_unit_test(test_many_storages),
        cmocka_unit_test(test_far_place),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
