/* ONNX's and Keras' files, whole and damaged, and the known answer. tests/cli/test_peers.sh has
 * what the onnx library writes itself. */
#include "formats.h"
#include "pulmo/h5.h"

/* ---- ONNX ---- */

static void add_varint(bytes *b, uint64_t value)
{
    for (; value > 127; value >>= 7)
        add_byte(b, (int)(value & 127) | 128);
    add_byte(b, (int)value);
}
static void add_field(bytes *b, int field, const void *data, size_t size)
{
    add_varint(b, (uint64_t)field << 3 | 2);
    add_varint(b, size);
    add(b, data, size);
}
static void add_field_text(bytes *b, int field, const char *text)
{
    add_field(b, field, text, strlen(text));
}
static void add_field_int(bytes *b, int field, uint64_t value)
{
    add_varint(b, (uint64_t)field << 3);
    add_varint(b, value);
}

typedef struct onnx_wrongs {
    uint64_t dtype, location, outputs, pad, pool;
    int skip;
    const char *after; /* op type of the node after the first convolution */
} onnx_wrongs;
static const onnx_wrongs right_onnx = {
    .dtype = 1, .outputs = 16, .pad = 1, .skip = -1, .after = "Relu"};

static void add_initializer(bytes *graph, int tensor, const onnx_wrongs *w)
{
    bytes *b = calloc(1, sizeof *b);
    assert_non_null(b);
    add_field_int(b, 1, w->outputs);
    if (tensor % 2 == 0) {
        bytes packed = {.size = 0};
        add_varint(&packed, tensor == 0 ? 3 : 16);
        add_words(&packed, "\3\3");
        add_field(b, 1, packed.at, packed.size);
    }
    add_field_int(b, 2, w->dtype);
    add_field_text(b, 8, names[tensor]);
    if (tensor == 2)
        add_field(b, 4, values_of(tensor), (size_t)counts[tensor] * 4); /* as float_data */
    else
        add_field(b, 9, values_of(tensor), (size_t)counts[tensor] * 4);
    if (w->location)
        add_field_int(b, 14, w->location);
    add_field(graph, 5, b->at, b->size);
    free(b);
}

/* pad 2: the attribute that must be there, a convolution's pads or a pool's strides, is left out.
 */
static void add_node(bytes *graph, const char *type, const char *in, const char *weight,
                     const char *bias, uint64_t pad)
{
    bytes *b = calloc(1, sizeof *b), *a = calloc(1, sizeof *a);
    assert_true(a && b);
    add_field_text(b, 1, in);
    if (weight)
        add_field_text(b, 1, weight);
    if (bias)
        add_field_text(b, 1, bias);
    add_field_text(b, 4, type);
    if (weight) {
        add_field_text(a, 1, "pads");
        for (int i = 0; i < 4; i++)
            add_field_int(a, 8, pad);
        if (pad < 2)
            add_field(b, 5, a->at, a->size);
    } else if (strcmp(type, "MaxPool") == 0) {
        const char *const said[] = {"kernel_shape", "strides"};
        for (int s = 0; s < (pad == 2 ? 1 : 2); s++) {
            a->size = 0;
            add_field_text(a, 1, said[s]);
            for (int i = 0; i < 2; i++)
                add_field_int(a, 8, 2);
            add_field(b, 5, a->at, a->size);
        }
    }
    add_field(graph, 1, b->at, b->size);
    free(a);
    free(b);
}

static void make_onnx(bytes *b, const onnx_wrongs *w)
{
    bytes *graph = calloc(1, sizeof *graph);
    assert_non_null(graph);
    for (int t = 3; t >= 0; t--)
        if (t != w->skip)
            add_initializer(graph, t, w);
    add_node(graph, "Conv", "x", names[0], names[1], w->pad);
    add_node(graph, w->after, "a", NULL, NULL, 0);
    add_node(graph, "MaxPool", "b", NULL, NULL, w->pool);
    add_node(graph, "Conv", "c", names[2], names[3], 1);
    add_node(graph, "Relu", "d", NULL, NULL, 0);
    add_node(graph, "MaxPool", "e", NULL, NULL, 0);
    add_node(graph, "Flatten", "f", NULL, NULL, 0);
    b->size = 0;
    add_field_int(b, 1, 8);
    add_field_text(b, 2, "test");
    add_field(b, 7, graph->at, graph->size);
    write_file(b->at, b->size);
    free(graph);
}

static void test_onnx(void **state)
{
    static bytes b;
    onnx_wrongs w;
    (void)state;
    make_onnx(&b, &right_onnx);
    assert_reads();
    w = right_onnx;
    w.dtype = 11;
    make_onnx(&b, &w);
    assert_bad("dtype other than float32");
    w = right_onnx;
    w.location = 1;
    make_onnx(&b, &w);
    assert_bad("in another file");
    w = right_onnx;
    w.outputs = 17;
    make_onnx(&b, &w);
    assert_bad("bytes its shape needs");
    w = right_onnx;
    w.outputs = (uint64_t)1 << 62;
    make_onnx(&b, &w);
    assert_bad("size out of range");
    w = right_onnx;
    w.pad = 0;
    make_onnx(&b, &w);
    assert_bad("padding 1");
    w.pad = 2;
    make_onnx(&b, &w);
    assert_bad("padding 1");
    w = right_onnx;
    w.pool = 2;
    make_onnx(&b, &w);
    assert_bad("2 x 2 with stride 2");
    w = right_onnx;
    w.skip = 1;
    make_onnx(&b, &w);
    assert_bad("features.0.bias: is missing among the initializers");
    w = right_onnx;
    w.after = "BatchNormalization";
    make_onnx(&b, &w);
    assert_bad("not that of a trained network");
    make_onnx(&b, &right_onnx);
    sweep(&b, 0);
    for (size_t at = 2; at < b.size;
         at += at % 97 == 0 ? 1 : 7) { /* field numbers and lengths among them */
        pulmo_weights weights;
        uint8_t before = b.at[at];
        b.at[at] ^= 0x55;
        write_file(b.at, b.size);
        pulmo_status status = pulmo_weights_read(path, &weights);
        if (status == PULMO_OK)
            pulmo_weights_free(&weights);
        else
            assert_int_equal(status, PULMO_WEIGHTS);
        b.at[at] = before;
    }
}

/* Half precision: as raw bytes, and as onnx.helper writes it, each element in a varint. */
static void add_half(bytes *graph, int tensor, uint64_t dtype)
{
    static bytes b, data;
    b.size = 0;
    data.size = 0;
    add_field_int(&b, 1, 16);
    if (tensor % 2 == 0) {
        add_field_int(&b, 1, tensor == 0 ? 3 : 16);
        add_field_int(&b, 1, 3);
        add_field_int(&b, 1, 3);
    }
    add_field_int(&b, 2, dtype);
    add_field_text(&b, 8, names[tensor]);
    for (int i = 0; i < counts[tensor]; i++) {
        if (tensor < 2)
            add_number(&data, 0xc000, 2); /* -2 in both types */
        else
            add_varint(&data, 0xc000);
    }
    add_field(&b, tensor < 2 ? 9 : 5, data.at, data.size);
    add_field(graph, 5, b.at, b.size);
}

static void test_onnx_half(void **state)
{
    static bytes b, graph;
    (void)state;
    for (int brain = 0; brain < 2; brain++) {
        pulmo_weights weights;
        b.size = 0;
        graph.size = 0;
        for (int t = 0; t < 4; t++)
            add_half(&graph, t, brain ? 16 : 10);
        for (int layer = 0; layer < 2; layer++) {
            add_node(&graph, "Conv", "x", names[2 * layer], names[2 * layer + 1], 1);
            add_node(&graph, "Relu", "x", NULL, NULL, 0);
            add_node(&graph, "MaxPool", "x", NULL, NULL, 0);
        }
        add_field_int(&b, 1, 8);
        add_field(&b, 7, graph.at, graph.size);
        write_file(b.at, b.size);
        assert_ok(pulmo_weights_read(path, &weights));
        for (int layer = 0; layer < 2; layer++)
            for (int i = 0; i < counts[2 * layer]; i++)
                assert_true(weights.conv[layer].weight[i] == -2);
        pulmo_weights_free(&weights);
    }
}

/* ---- Keras ---- */

typedef struct keras_wrongs {
    bool theano, two, no_bias, no_first;
} keras_wrongs;

/* Kernels (3, 3, I, O); those of the first layer take blue first. */
static void write_kernel(pulmo_h5 *file, const char *name, int tensor, bool turn, bool theano)
{
    const int inputs = tensor == 0 ? 3 : 16;
    float kernel[W1];
    const uint64_t dims[4] = {3, 3, (uint64_t)inputs, 16}, other[4] = {16, (uint64_t)inputs, 3, 3};
    for (int o = 0; o < 16; o++)
        for (int i = 0; i < inputs; i++)
            for (int k = 0; k < 9; k++)
                kernel[(k * inputs + (turn ? inputs - 1 - i : i)) * 16 + o] =
                    values_of(tensor)[(o * inputs + i) * 9 + k];
    assert_ok(pulmo_h5_write(file, name, PULMO_H5_F32, 4, theano ? other : dims, kernel));
}

static void make_keras(keras_wrongs w)
{
    pulmo_h5 *file = NULL;
    const uint64_t sixteen = 16;
    assert_ok(pulmo_h5_create(path, &file));
    if (!w.no_first)
        write_kernel(file, "block1_conv1/block1_conv1_W_1:0", 0, true, w.theano);
    if (!w.no_bias)
        assert_ok(pulmo_h5_write(file, "block1_conv1/block1_conv1_b_1:0", PULMO_H5_F32, 1, &sixteen,
                                 values_of(1)));
    if (w.two)
        write_kernel(file, "block1_conv1/again", 0, true, false);
    write_kernel(file, "block2_conv1/block2_conv1/kernel:0", 2, false, false);
    assert_ok(pulmo_h5_write(file, "block2_conv1/block2_conv1/bias:0", PULMO_H5_F32, 1, &sixteen,
                             values_of(3)));
    assert_ok(pulmo_h5_commit(file));
}

static void test_keras(void **state)
{
    static bytes b;
    pulmo_weights weights;
    (void)state;
    make_keras((keras_wrongs){0});
    assert_ok(pulmo_weights_read(path, &weights));
    assert_memory_equal(&weights.digest, &original.digest, sizeof original.digest);
    assert_int_equal(weights.preprocessing, PULMO_PREPROCESSING_CAFFE);
    /* 255 r - 123.68 and so on, in RGB order. */
    const double pixel[3] = {0.25, 0.5, 0.75},
                 wanted[3] = {255 * 0.25 - 123.68, 255 * 0.5 - 116.779, 255 * 0.75 - 103.939};
    for (int c = 0; c < 3; c++)
        assert_true(
            fabs((pixel[c] - (double)weights.mean[c]) / (double)weights.std[c] - wanted[c]) < 1e-4);
    pulmo_weights_free(&weights);
    make_keras((keras_wrongs){.theano = true});
    assert_bad("Theano");
    make_keras((keras_wrongs){.two = true});
    assert_bad("more than one kernel");
    make_keras((keras_wrongs){.no_bias = true});
    assert_bad("no float32 bias");
    make_keras((keras_wrongs){.no_first = true});
    assert_bad("the layer before it is missing");
    make_keras((keras_wrongs){0});
    read_back(&b);
    for (size_t size = 8; size < b.size; size += 701) {
        write_file(b.at, size);
        assert_int_equal(pulmo_weights_read(path, &weights), PULMO_WEIGHTS);
    }
}

/* ---- proof ---- */

static void test_proof(void **state)
{
    pulmo_weights weights;
    (void)state;
    assert_ok(pulmo_weights_prove(&original));
    assert_int_equal(original.proof, PULMO_PROOF_NOT_VGG16);
    assert_ok(pulmo_weights_require_proof(&original, path));
    assert_ok(pulmo_weights_random(3, &weights));
    assert_ok(pulmo_weights_prove(&weights));
    assert_int_equal(weights.proof, PULMO_PROOF_NONE);
    assert_refused(pulmo_weights_require_proof(&weights, "a.pth"), PULMO_WEIGHTS,
                   "model.weights_check=false");
    pulmo_weights_free(&weights);
}

/* The real weights prove themselves; with the first layer's channels turned, or read as Caffe's,
 * they do not. */
static void test_proof_of_real_weights(void **state)
{
    pulmo_weights weights;
    const char *real = getenv("PULMO_WEIGHTS");
    (void)state;
    if (!real || !*real)
        skip();
    assert_ok(pulmo_weights_read(real, &weights));
    assert_ok(pulmo_weights_prove(&weights));
    assert_int_equal(weights.proof, PULMO_PROOF_ANSWER);
    assert_true(weights.answer_away < 1e-5);
    float *first = weights.storage; /* (64, 3, 3, 3) */
    for (int o = 0; o < 64; o++)
        for (int k = 0; k < 9; k++) {
            float red = first[o * 27 + k];
            first[o * 27 + k] = first[o * 27 + 18 + k];
            first[o * 27 + 18 + k] = red;
        }
    assert_ok(pulmo_weights_prove(&weights));
    assert_int_equal(weights.proof, PULMO_PROOF_NONE);
    assert_true(weights.answer_away > 0.01);
    pulmo_weights_free(&weights);
    assert_ok(pulmo_weights_read_as(real, PULMO_PREPROCESSING_CAFFE_RGB, &weights));
    assert_ok(pulmo_weights_prove(&weights));
    assert_int_equal(weights.proof, PULMO_PROOF_NONE);
    pulmo_weights_free(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onnx),
        cmocka_unit_test(test_onnx_half),
        cmocka_unit_test(test_keras),
        cmocka_unit_test(test_proof),
        cmocka_unit_test(test_proof_of_real_weights),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
