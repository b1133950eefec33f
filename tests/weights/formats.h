/* What the tests of weight files share: a network of two convolutions of 16 channels with a
 * max-pool after each, its values, and bytes to build files from. */
#ifndef PULMO_TEST_FORMATS_H
#define PULMO_TEST_FORMATS_H

#include "pulmo/weights.h"
#include "support.h"

enum { W0 = 16 * 3 * 9, W1 = 16 * 16 * 9, ALL = W0 + 16 + W1 + 16 };
static const int counts[4] = {W0, 16, W1, 16};
static const char *const names[4] = {"features.0.weight", "features.0.bias", "features.3.weight",
                                     "features.3.bias"};

static char *directory, *path;
static float values[ALL];
static pulmo_weights original;

static inline const float *values_of(int tensor)
{
    const float *at = values;
    for (int i = 0; i < tensor; i++)
        at += counts[i];
    return at;
}

/* ---- bytes ---- */

typedef struct bytes {
    uint8_t at[1 << 16];
    size_t size;
} bytes;

static inline void add(bytes *b, const void *data, size_t size)
{
    assert_true(b->size + size <= sizeof b->at);
    memcpy(b->at + b->size, data, size);
    b->size += size;
}
static inline void add_byte(bytes *b, int value)
{
    add(b, &(uint8_t){(uint8_t)value}, 1);
}
static inline void add_words(bytes *b, const char *words)
{
    add(b, words, strlen(words));
}
static inline void add_number(bytes *b, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        add_byte(b, (int)(value >> (8 * i) & 0xff));
}

static inline void write_file(const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void assert_reads(void)
{
    pulmo_weights weights;
    assert_ok(pulmo_weights_read_as(path, PULMO_PREPROCESSING_TORCHVISION, &weights));
    assert_memory_equal(&weights.digest, &original.digest, sizeof original.digest);
    assert_int_equal(weights.convs, 2);
    for (int t = 0; t < 4; t++)
        assert_memory_equal(t % 2 ? weights.conv[t / 2].bias : weights.conv[t / 2].weight,
                            values_of(t), (size_t)counts[t] * 4);
    pulmo_weights_free(&weights);
}

static inline void assert_bad(const char *why)
{
    pulmo_weights weights;
    assert_refused(pulmo_weights_read(path, &weights), PULMO_WEIGHTS, why);
    assert_non_null(strstr(pulmo_error(), path));
    assert_null(weights.storage);
}

/* Every cut, and every byte of the pickles changed in three ways: read or refused, never worse. */
static inline void sweep(const bytes *whole, size_t changed)
{
    pulmo_weights weights;
    for (size_t size = 0; size < whole->size; size += size < 2000 ? 13 : 211) {
        write_file(whole->at, size);
        assert_int_equal(pulmo_weights_read(path, &weights), PULMO_WEIGHTS);
    }
    for (size_t at = 0; at < changed; at++)
        for (int way = 1; way <= 3; way++) {
            bytes *b = malloc(sizeof *b);
            assert_non_null(b);
            *b = *whole;
            const uint8_t changes[] = {(uint8_t)(b->at[at] ^ 0x80), (uint8_t)(b->at[at] + 1), 0xff};
            b->at[at] = changes[way - 1];
            write_file(b->at, b->size);
            pulmo_status status = pulmo_weights_read(path, &weights);
            if (status == PULMO_OK)
                pulmo_weights_free(&weights);
            else
                assert_int_equal(status, PULMO_WEIGHTS);
            free(b);
        }
}

static inline void read_back(bytes *b)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    b->size = fread(b->at, 1, sizeof b->at, file);
    fclose(file);
}

static inline int setup(void **state)
{
    static bytes b;
    (void)state;
    directory = scratch_directory();
    path = pulmo_format("%s/weights", directory);
    fill_normal(values, ALL, 4);
    char header[1024];
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":[16,3,3,3],\"data_offsets\":[0,%d]},\"%s\":{"
             "\"dtype\":\"F32\",\"shape\":[16],\"data_"
             "offsets\":[%d,%d]},"
             "\"%s\":{\"dtype\":\"F32\",\"shape\":[16,16,3,3],\"data_offsets\":[%d,%d]},\"%s\":{"
             "\"dtype\":\"F32\",\"shape\":[16],\"data_"
             "offsets\":[%d,%d]}}",
             names[0], 4 * W0, names[1], 4 * W0, 4 * (W0 + 16), names[2], 4 * (W0 + 16),
             4 * (W0 + 16 + W1), names[3], 4 * (W0 + 16 + W1), 4 * ALL);
    add_number(&b, strlen(header), 8);
    add_words(&b, header);
    add(&b, values, sizeof values);
    write_file(b.at, b.size);
    assert_ok(pulmo_weights_read(path, &original));
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    pulmo_weights_free(&original);
    free(path);
    remove_directory(directory);
    return 0;
}

#endif
