/* A weights file is read whole and in order, or refused with the file, what is wrong and the way
 * out. */
#include <math.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pulmo/weights.h"

/* Two layers of 16 channels: weights 3x16x9 and 16x16x9 floats, each followed by 16 biases. */
#define W0                                                                                         \
    "\"features.0.weight\":{\"dtype\":\"F32\",\"shape\":[16,3,3,3],\"data_offsets\":[0,1728]}"
#define B0 "\"features.0.bias\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[1728,1792]}"
#define W3                                                                                         \
    "\"features.3.weight\":{\"dtype\":\"F32\",\"shape\":[16,16,3,3],\"data_offsets\":[1792,11008]" \
    "}"
#define B3 "\"features.3.bias\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[11008,11072]}"

#define DATA_BYTES 11072
#define WHOLE      "{" W0 "," B0 "," W3 "," B3 "}"

static char path[64];

static float value_at(size_t i)
{
    return (float)i * 0.25f - 7.0f;
}

/* Writes a file with this header and `data_bytes` of data, in which float `odd_at` is `odd`. */
static void write_file(const char *header, size_t data_bytes, size_t odd_at, float odd)
{
    FILE *file = fopen(path, "wb");
    uint64_t length = strlen(header);
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        fputc((int)(length >> (8 * i) & 0xff), file);
    fwrite(header, 1, length, file);
    for (size_t i = 0; i * sizeof(float) < data_bytes; i++) {
        float value = i == odd_at ? odd : value_at(i);
        fwrite(&value, 1, sizeof value, file);
    }
    assert_int_equal(fclose(file), 0);
}

static void assert_refused(const char *expected)
{
    pulmo_weights weights;
    assert_int_equal(pulmo_weights_read(path, &weights), PULMO_WEIGHTS);
    if (!strstr(pulmo_error(), path) || !strstr(pulmo_error(), expected))
        fail_msg("the report should name %s and say \"%s\": %s", path, expected, pulmo_error());
    assert_null(weights.storage);
}

static void test_reads(void **state)
{
    pulmo_weights weights;
    (void)state;
    write_file(WHOLE, DATA_BYTES, SIZE_MAX, 0);
    assert_int_equal(pulmo_weights_read(path, &weights), PULMO_OK);
    assert_int_equal(weights.convs, 2);
    assert_int_equal(weights.conv[0].in_channels, 3);
    assert_int_equal(weights.conv[1].in_channels, 16);
    assert_int_equal(weights.conv[1].out_channels, 16);
    assert_int_equal(weights.conv[1].feature_index, 3);
    assert_true(weights.conv[0].pool_after && weights.conv[1].pool_after);
    for (size_t i = 0; i < 432; i++)
        assert_true(weights.conv[0].weight[i] == value_at(i));
    for (size_t i = 0; i < 2304; i++)
        assert_true(weights.conv[1].weight[i] == value_at(448 + i));
    for (size_t i = 0; i < 16; i++)
        assert_true(weights.conv[1].bias[i] == value_at(2752 + i));
    pulmo_weights_free(&weights);
}

/* A header that is wrong in one place, and what the report should say. */
static const struct {
    const char *header, *says;
} headers[] = {
    {"[1, 2", "not a JSON object"},
    {"[1, 2]", "not a JSON object"},
    {"{" W0 "," W0 "}", "not a JSON object"},
    {"{}", "do not end where the file does"},
    {"{" W0 "," B0 "," W3
     ",\"features.3.bia\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[11008,11072]}}",
     "features.3.bias: is missing"},
    {"{" W0 "," B0 "," W3
     ",\"features.3.bias\":{\"dtype\":\"F64\",\"shape\":[16],\"data_offsets\":[11008,11072]}}",
     "features.3.bias: has a dtype"},
    {"{" W0 "," B0 "," W3
     ",\"features.3.bias\":{\"dtype\":\"F32\",\"shape\":[16,1],\"data_offsets\":[11008,11072]}}",
     "wrong rank"},
    {"{" W0 "," B0 "," W3
     ",\"features.3.bias\":{\"dtype\":\"F32\",\"shape\":[15],\"data_offsets\":[11008,11072]}}",
     "bytes its shape needs"},
    {"{" W0 "," B0 "," W3
     ",\"features.3.bias\":{\"dtype\":\"F32\",\"shape\":[-16],\"data_offsets\":[11008,11072]}}",
     "out of range"},
    {"{" W0 "," B0 "," W3
     ",\"features.3.bias\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[11004,11072]}}",
     "overlap or leave gaps"},
    {"{" W0 "," B0 "," W3
     ",\"features.3.bias\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[11012,11072]}}",
     "overlap or leave gaps"},
    {"{" W0 "," B0 "," W3 ",\"features.3.bias\":3}",
     "features.3.bias: its data_offsets are not two integers"},
    {"{" W0 ",\"empty\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[1728,1728]}," B0 "," W3
     "}",
     "do not end where the file does"},
    {"{" W0 "," B0 ",\"features.3.weight\":{\"dtype\":\"F32\",\"shape\":[65536,65536,65536,65536],"
     "\"data_offsets\":[1792,11008]}," B3 "}",
     "larger than the file"},
    {"{" W0 "," B0 ",\"features.3.weight\":{\"dtype\":\"F32\",\"shape\":[3,16,48,1],\"data_"
     "offsets\":[1792,11008]}," B3 "}",
     "not a 3 x 3"},
    {"{" W0 "," B0 ",\"features.3.weight\":{\"dtype\":\"F32\",\"shape\":[8,32,3,3],\"data_"
     "offsets\":[1792,11008]}," B3 "}",
     "channels that the layer before gives"},
    {"{" W0 "," B0 ",\"features.4.weight\":{\"dtype\":\"F32\",\"shape\":[16,16,3,3],\"data_"
     "offsets\":[1792,11008]}," B3 "}",
     "by 2 (ReLU) or 3"},
};

static void test_refuses_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        write_file(headers[i].header, DATA_BYTES, SIZE_MAX, 0);
        assert_refused(headers[i].says);
    }
}

static void test_refuses_data(void **state)
{
    (void)state;
    write_file(WHOLE, DATA_BYTES - 4, SIZE_MAX, 0);
    assert_refused("truncated");
    write_file(WHOLE, DATA_BYTES + 4, SIZE_MAX, 0);
    assert_refused("something behind");
    write_file(WHOLE, DATA_BYTES, 500, NAN);
    assert_refused("features.3.weight: holds a value that is not finite");
    write_file(WHOLE, DATA_BYTES, 440, INFINITY);
    assert_refused("features.0.bias: holds a value that is not finite");
    for (size_t size = 0; size < 8 + strlen(WHOLE); size += 7) { /* cut inside the header */
        write_file(WHOLE, DATA_BYTES, SIZE_MAX, 0);
        assert_int_equal(truncate(path, (off_t)size), 0);
        assert_refused(size < 8 ? "shorter than" : "beyond the file");
    }
    assert_int_equal(unlink(path), 0);
    assert_refused("cannot open");
}

static void test_finds(void **state)
{
    char *found = NULL;
    (void)state;
    assert_int_equal(setenv("PULMO_WEIGHTS", "/from/environment", 1), 0);
    assert_int_equal(pulmo_weights_find("/given", &found), PULMO_OK);
    assert_string_equal(found, "/given");
    free(found);
    assert_int_equal(pulmo_weights_find("", &found), PULMO_OK);
    assert_string_equal(found, "/from/environment");
    free(found);
    assert_int_equal(unsetenv("PULMO_WEIGHTS"), 0);
    assert_int_equal(setenv("XDG_CACHE_HOME", "/nowhere", 1), 0);
    assert_int_equal(pulmo_weights_find(NULL, &found), PULMO_WEIGHTS);
    assert_non_null(strstr(pulmo_error(), "/nowhere/pulmo/vgg16_features.safetensors"));
    assert_non_null(strstr(pulmo_error(), "pulmo weights fetch"));
    assert_non_null(strstr(pulmo_error(), "$PULMO_WEIGHTS"));
}

/* cron, sbatch --export=NONE and containers leave HOME unset: the password database knows. */
static void test_finds_home(void **state)
{
    char *found = NULL, wanted[512];
    const struct passwd *me = getpwuid(getuid());
    (void)state;
    if (!me)
        skip();
    snprintf(wanted, sizeof wanted, "%s/.cache/pulmo/vgg16_features.safetensors", me->pw_dir);
    assert_int_equal(unsetenv("PULMO_WEIGHTS"), 0);
    assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
    for (int empty = 0; empty < 2; empty++) {
        assert_int_equal(empty ? setenv("HOME", "", 1) : unsetenv("HOME"), 0);
        if (pulmo_weights_find(NULL, &found) == PULMO_OK)
            assert_string_equal(found, wanted);
        else
            assert_non_null(strstr(pulmo_error(), wanted));
        free(found);
        found = NULL;
    }
    assert_int_equal(setenv("HOME", "/nowhere", 1), 0);
    assert_int_equal(pulmo_weights_find(NULL, &found), PULMO_WEIGHTS);
    assert_non_null(strstr(pulmo_error(), " /nowhere/.cache/pulmo/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),        cmocka_unit_test(test_refuses_headers),
        cmocka_unit_test(test_refuses_data), cmocka_unit_test(test_finds),
        cmocka_unit_test(test_finds_home),
    };
    snprintf(path, sizeof path, "/tmp/pulmo-weights-%ld.safetensors", (long)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
