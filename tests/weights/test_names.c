/* The same network under other names and of other types: prefixes, half precision, batch
 * normalisation, Keras 3's counted layers, in files built here. tests/cli/test_peers.sh has what
 * PyTorch writes itself. */
#include <zip.h>

#include "formats.h"
#include "pulmo/h5.h"

/* ---- a safetensors file, tensor by tensor ---- */

typedef struct builder {
    bytes header, data;
} builder;

static void put(builder *b, const char *name, const char *dtype, const char *shape,
                const void *data, size_t size)
{
    char text[512];
    snprintf(
        text, sizeof text, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
        b->header.size == 0 ? '{' : ',', name, dtype, shape, b->data.size, b->data.size + size);
    add_words(&b->header, text);
    add(&b->data, data, size);
}

static void finish(builder *b)
{
    static bytes file;
    file.size = 0;
    add_words(&b->header, "}");
    add_number(&file, b->header.size, 8);
    add(&file, b->header.at, b->header.size);
    add(&file, b->data.at, b->data.size);
    write_file(file.at, file.size);
    b->header.size = 0;
    b->data.size = 0;
}

static const char *const shapes[4] = {"[16,3,3,3]", "[16]", "[16,16,3,3]", "[16]"};

static void put_network(builder *b, const char *prefix)
{
    static const char *const parts[2] = {"weight", "bias"};
    char name[256];
    for (int t = 0; t < 4; t++) {
        snprintf(name, sizeof name, "%s%d.%s", prefix, t < 2 ? 0 : 3, parts[t % 2]);
        put(b, name, "F32", shapes[t], values_of(t), (size_t)counts[t] * 4);
    }
}

/* ---- names ---- */

static void test_prefixes(void **state)
{
    static builder b;
    static const char *const prefixes[] = {
        "",
        "features.",
        "features.module.",
        "module.features.",
        "module.features.module.",
        "_orig_mod.backbone.features.",
        "net.encoder.",
        "model.0.features.",
    };
    (void)state;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        put_network(&b, prefixes[i]);
        finish(&b);
        assert_reads();
    }
}

/* A classifier, numbered too, is left alone wherever it stands. */
static void test_classifiers(void **state)
{
    static builder b;
    const float matrix[12] = {0};
    (void)state;
    put(&b, "classifier.0.weight", "F32", "[3,4]", matrix, sizeof matrix);
    put_network(&b, "features.");
    put(&b, "classifier.0.bias", "F32", "[3]", matrix, 12);
    finish(&b);
    assert_reads();
    put_network(&b, "");
    put(&b, "7.weight", "F32", "[3,4]", matrix, sizeof matrix);
    put(&b, "7.bias", "F32", "[3]", matrix, 12);
    finish(&b);
    assert_reads();
}

/* Of several networks the one called features is meant; of two alike, none. */
static void test_several(void **state)
{
    static builder b;
    (void)state;
    put_network(&b, "decoder.");
    put_network(&b, "features.");
    finish(&b);
    assert_reads();
    put_network(&b, "student.features.");
    put_network(&b, "teacher.features.");
    finish(&b);
    assert_bad("holds two networks (student.features.0.weight, teacher.features.0.weight)");
    put_network(&b, "layer");
    finish(&b);
    assert_bad("features.0.weight: is missing");
}

/* ---- half precision ---- */

/* Values whose bits in both short types are known by heart (IEEE 754): 1, -2, 0.5, 65504 and the
 * smallest subnormal half; 1, -2, 0.5, 2^100, 2^-133. */
static void test_elements(void **state)
{
    static builder b;
    static const uint16_t half[5] = {0x3c00, 0xc000, 0x3800, 0x7bff, 0x0001};
    static const uint16_t brain[5] = {0x3f80, 0xc000, 0x3f00, 0x7180, 0x0001};
    static const float halves[5] = {1, -2, 0.5f, 65504, 0x1p-24f};
    static const float brains[5] = {1, -2, 0.5f, 0x1p100f, 0x1p-133f};
    uint16_t bits[W1] = {0};
    pulmo_weights weights;
    (void)state;
    for (int brain_too = 0; brain_too < 2; brain_too++) {
        const char *dtype = brain_too ? "BF16" : "F16";
        for (int t = 0; t < 4; t++) {
            memcpy(bits, brain_too ? brain : half, sizeof half);
            put(&b, names[t], dtype, shapes[t], bits, (size_t)counts[t] * 2);
        }
        finish(&b);
        assert_ok(pulmo_weights_read(path, &weights));
        assert_memory_equal(weights.conv[0].weight, brain_too ? brains : halves, sizeof halves);
        assert_memory_equal(weights.conv[1].bias, brain_too ? brains : halves, sizeof halves);
        assert_int_equal(weights.rounding,
                         brain_too ? PULMO_ROUNDING_BFLOAT16 : PULMO_ROUNDING_HALF);
        pulmo_weights_free(&weights);
    }
    bits[7] = 0x7c00; /* infinity */
    for (int t = 0; t < 4; t++)
        put(&b, names[t], "F16", shapes[t], bits, (size_t)counts[t] * 2);
    finish(&b);
    assert_bad("features.0.weight: holds a value that is not finite");
}

/* Rounding shows in the values, whatever the file stores them as. */
static void test_rounding(void **state)
{
    static builder b;
    static float rounded[ALL];
    pulmo_weights weights;
    (void)state;
    assert_int_equal(original.rounding, PULMO_ROUNDING_NONE);
    for (int i = 0; i < ALL; i++)
        rounded[i] = (float)((i * 7 % 2047) - 1023) * 0x1p-12f; /* ten bits, as a half has */
    const float *at = rounded;
    for (int t = 0; t < 4; t++) {
        put(&b, names[t], "F32", shapes[t], at, (size_t)counts[t] * 4);
        at += counts[t];
    }
    finish(&b);
    assert_ok(pulmo_weights_read(path, &weights));
    assert_int_equal(weights.rounding, PULMO_ROUNDING_HALF);
    assert_string_equal(pulmo_rounding_words(weights.rounding), "rounded to half precision");
    pulmo_weights_free(&weights);
}

/* ---- batch normalisation ---- */

typedef struct norm_values {
    float scale[16], shift[16], mean[16], variance[16];
} norm_values;

static void put_norm(builder *b, const char *name, const norm_values *norm)
{
    char text[128];
    snprintf(text, sizeof text, "%s.weight", name);
    put(b, text, "F32", "[16]", norm->scale, 64);
    snprintf(text, sizeof text, "%s.bias", name);
    put(b, text, "F32", "[16]", norm->shift, 64);
    snprintf(text, sizeof text, "%s.running_mean", name);
    put(b, text, "F32", "[16]", norm->mean, 64);
    snprintf(text, sizeof text, "%s.running_var", name);
    put(b, text, "F32", "[16]", norm->variance, 64);
}

static void put_conv(builder *b, int layer, const char *number, bool bias)
{
    char text[64];
    snprintf(text, sizeof text, "features.%s.weight", number);
    put(b, text, "F32", shapes[2 * layer], values_of(2 * layer), (size_t)counts[2 * layer] * 4);
    snprintf(text, sizeof text, "features.%s.bias", number);
    if (bias)
        put(b, text, "F32", "[16]", values_of(2 * layer + 1), 64);
}

/* vgg_bn's numbering: conv 0, norm 1, ReLU 2, pool 3, conv 4, norm 5. The second has no bias. */
static void test_folds(void **state)
{
    static builder b;
    norm_values norm;
    pulmo_weights weights;
    (void)state;
    for (int c = 0; c < 16; c++) {
        norm.scale[c] = 0.5f + (float)c;
        norm.shift[c] = 3 - (float)c;
        norm.mean[c] = (float)c / 7;
        norm.variance[c] = (float)(c * c) / 100; /* 0 too: epsilon is all there is */
    }
    put_conv(&b, 0, "0", true);
    put_norm(&b, "features.1", &norm);
    put_conv(&b, 1, "4", false);
    put_norm(&b, "features.5", &norm);
    finish(&b);
    assert_ok(pulmo_weights_read(path, &weights));
    assert_int_equal(weights.convs, 2);
    assert_int_equal(weights.norms, 2);
    assert_true(weights.conv[0].pool_after && weights.conv[1].pool_after);
    assert_int_equal(weights.conv[1].feature_index, 3); /* the network that is left has no norms */
    for (int layer = 0; layer < 2; layer++)
        for (int c = 0; c < 16; c++) {
            const int each = counts[2 * layer] / 16;
            double factor = (double)norm.scale[c] / sqrt((double)norm.variance[c] + 1e-5);
            double bias = layer == 0 ? (double)values_of(1)[c] : 0;
            double wanted = (bias - (double)norm.mean[c]) * factor + (double)norm.shift[c];
            double slack = 1e-7 * (fabs(wanted) + fabs((double)norm.mean[c] * factor) + 1);
            assert_true(fabs((double)weights.conv[layer].bias[c] - wanted) <= slack);
            for (int k = 0; k < each; k++) {
                float folded = (float)((double)values_of(2 * layer)[c * each + k] * factor);
                assert_true(weights.conv[layer].weight[c * each + k] == folded);
            }
        }
    pulmo_weights_free(&weights);
}

static void test_refuses_norms(void **state)
{
    static builder b;
    static norm_values norm;
    (void)state;
    for (int c = 0; c < 16; c++)
        norm.variance[c] = 1;
    norm.variance[5] = -1;
    put_conv(&b, 0, "0", true);
    put_norm(&b, "features.1", &norm);
    finish(&b);
    assert_bad("features.1.running_var: holds a variance below 0");
    put_conv(&b, 0, "0", true);
    put(&b, "features.1.weight", "F32", "[16]", norm.scale, 64); /* group normalisation, PReLU */
    put(&b, "features.1.bias", "F32", "[16]", norm.shift, 64);
    finish(&b);
    assert_bad("features.1.running_mean: is missing");
    norm.variance[5] = 1;
    put_conv(&b, 0, "0", true);
    put_norm(&b, "features.2", &norm); /* behind the ReLU: cannot be folded */
    finish(&b);
    assert_bad("features.2.weight: is neither a convolution nor batch normalisation");
    put_conv(&b, 0, "0", false);
    finish(&b);
    assert_bad("features.0.bias: is missing");
}

/* ---- Keras 3 ---- */

static const int vgg16_blocks[13] = {64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512};

static void make_keras3(const char *container, int first_inputs, int narrow)
{
    pulmo_h5 *file = NULL;
    float *zeros = calloc((size_t)9 * 512 * 512, sizeof *zeros);
    int inputs = first_inputs;
    assert_non_null(zeros);
    assert_ok(pulmo_h5_create(path, &file));
    for (int i = 0; i < 13; i++) {
        char name[128], count[8] = "";
        uint64_t outputs = (uint64_t)(i == narrow ? 16 : vgg16_blocks[i]);
        const uint64_t dims[4] = {3, 3, (uint64_t)inputs, outputs};
        if (i > 0)
            snprintf(count, sizeof count, "_%d", i);
        zeros[0] = (float)i; /* tells layers apart */
        snprintf(name, sizeof name, "%sconv2d%s/vars/0", container, count);
        assert_ok(pulmo_h5_write(file, name, PULMO_H5_F32, 4, dims, zeros));
        snprintf(name, sizeof name, "%sconv2d%s/vars/1", container, count);
        assert_ok(pulmo_h5_write(file, name, PULMO_H5_F32, 1, &outputs, zeros));
        inputs = (int)outputs;
    }
    assert_ok(pulmo_h5_commit(file));
    free(zeros);
}

static void test_keras3(void **state)
{
    static const char *const containers[] = {"layers/", "layers/functional/layers/",
                                             "_layer_checkpoint_dependencies/"};
    pulmo_weights weights;
    (void)state;
    for (int i = 0; i < 3; i++) {
        make_keras3(containers[i], 3, -1);
        assert_ok(pulmo_weights_read(path, &weights));
        assert_true(pulmo_weights_is_vgg16(&weights));
        assert_int_equal(weights.preprocessing, PULMO_PREPROCESSING_CAFFE);
        for (int layer = 0; layer < 13; layer++)
            assert_true(weights.conv[layer].bias[0] == (float)layer);
        pulmo_weights_free(&weights);
    }
    make_keras3("layers/", 3, 12);
    assert_bad("nothing tells where blocks end");
    make_keras3("layers/", 1, -1);
    assert_bad("HDF5 without Keras' layers");
}

static void test_keras_archive(void **state)
{
    int error = 0;
    (void)state;
    unlink(path);
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_EXCL, &error);
    assert_non_null(zip);
    static const char *const entries[] = {"metadata.json", "config.json", "model.weights.h5"};
    for (int i = 0; i < 3; i++)
        assert_true(zip_file_add(zip, entries[i], zip_source_buffer(zip, "{}", 2, 0), 0) >= 0);
    assert_int_equal(zip_close(zip), 0);
    assert_bad("model.save_weights(\"FILE.weights.h5\")");
}

/* ---- the known answer ---- */

/* Weights that were rounded are still known for what they are. */
static void test_rounded_answer(void **state)
{
    const char *real = getenv("PULMO_WEIGHTS");
    pulmo_weights weights;
    (void)state;
    if (!real || !*real)
        skip();
    assert_ok(pulmo_weights_read(real, &weights));
    assert_true(pulmo_weights_is_vgg16(&weights));
    float *value = weights.storage;
    size_t count = (size_t)(weights.conv[12].bias + 512 - value);
    for (size_t i = 0; i < count; i++) { /* to the nearest bfloat16 */
        uint32_t bits;
        memcpy(&bits, &value[i], sizeof bits);
        bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
        memcpy(&value[i], &bits, sizeof bits);
    }
    assert_ok(pulmo_weights_prove(&weights)); /* not told of the rounding */
    assert_int_equal(weights.proof, PULMO_PROOF_NONE);
    weights.rounding = PULMO_ROUNDING_BFLOAT16;
    assert_ok(pulmo_weights_prove(&weights));
    assert_int_equal(weights.proof, PULMO_PROOF_ANSWER);
    pulmo_weights_free(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes),      cmocka_unit_test(test_classifiers),
        cmocka_unit_test(test_several),       cmocka_unit_test(test_elements),
        cmocka_unit_test(test_rounding),      cmocka_unit_test(test_folds),
        cmocka_unit_test(test_refuses_norms), cmocka_unit_test(test_keras3),
        cmocka_unit_test(test_keras_archive), cmocka_unit_test(test_rounded_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
