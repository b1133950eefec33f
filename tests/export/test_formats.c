/* Both formats of a network of two convolutions of 16 channels and a head: read back by pulmo's own
 * readers of weights, which know other programs' files, and the head by its place in the file.
 * tests/cli/test_peers.sh runs exported models in ONNX Runtime and PyTorch. */
#include "support.h"

#include "export_room.h"

enum {
    W0 = 16 * 3 * 9,
    W1 = 16 * 16 * 9,
    CONVS = W0 + 16 + W1 + 16,
    HEAD = 4 * 64 + 4 + 2 * 4 + 2
};

static char *directory, *path;
static char *class_names[] = {"NORMAL", "PNEUMONIA"};
static float values[CONVS], parameters[HEAD];
static pulmo_weights weights;
static pulmo_model model;

static int set_up(void **state)
{
    (void)state;
    directory = scratch_directory();
    path = pulmo_format("%s/exported", directory);
    fill_normal(values, CONVS, 1);
    fill_normal(parameters, HEAD, 2);
    weights.convs = 2;
    weights.conv[0] = (pulmo_conv){3, 16, true, 0, values, values + W0};
    weights.conv[1] = (pulmo_conv){16, 16, true, 3, values + W0 + 16, values + W0 + 16 + W1};
    model = (pulmo_model){.head = {.channels = 16,
                                   .height = 2,
                                   .width = 2,
                                   .pool = PULMO_POOL_FLATTEN,
                                   .hidden_layers = 1,
                                   .hidden = {4},
                                   .classes = 2},
                          .parameters = parameters,
                          .size_px = 8,
                          .mean = {0.25f, 0.5f, 0.75f},
                          .std = {1, 2, 4},
                          .classes = 2,
                          .class_names = class_names,
                          .positive.index = 1,
                          .temperature = 1.5};
    pulmo_head_layout_of(&model.head, &model.layout);
    assert_int_equal(model.layout.parameters, HEAD);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(path);
    remove_directory(directory);
    return 0;
}

typedef pulmo_status exporter(exporting *, byte_buffer *);

static byte_buffer exported(exporter *export, bool with_normalization)
{
    const pulmo_export_options options = {.with_normalization = with_normalization};
    exporting e = {.options = &options, .model = &model, .weights = &weights};
    byte_buffer out = {0};
    assert_ok(export(&e, &out));
    assert_false(out.failed || e.facts.failed);
    facts_free(&e.facts);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(out.bytes, 1, out.size, file), out.size);
    assert_int_equal(fclose(file), 0);
    return out;
}

/* The convolutions to the bit. */
static void assert_read_back(void)
{
    pulmo_weights read;
    assert_ok(pulmo_weights_read(path, &read));
    assert_int_equal(read.convs, 2);
    assert_true(read.conv[0].in_channels == 3 && read.conv[1].in_channels == 16);
    for (int i = 0; i < 2; i++) {
        size_t count = (size_t)weights.conv[i].in_channels * 16 * 9;
        assert_memory_equal(read.conv[i].weight, weights.conv[i].weight, count * sizeof(float));
        assert_memory_equal(read.conv[i].bias, weights.conv[i].bias, 16 * sizeof(float));
    }
    pulmo_weights_free(&read);
}

static const uint8_t *find(const byte_buffer *b, const void *what, size_t size)
{
    return memmem(b->bytes, b->size, what, size);
}

static bool has_text(const byte_buffer *b, const char *text)
{
    return find(b, text, strlen(text)) != NULL;
}

/* Eight bytes of length, JSON padded to eight, then the values: the head's stand last. */
static void safetensors(void **state)
{
    byte_buffer out = exported(export_safetensors, false);
    uint64_t header = 0;
    (void)state;
    assert_read_back();
    for (int i = 0; i < 8; i++)
        header |= (uint64_t)out.bytes[i] << (8 * i);
    assert_int_equal(header % 8, 0);
    assert_int_equal(out.size, 8 + header + (CONVS + HEAD) * sizeof(float));
    assert_memory_equal(out.bytes + 8 + header, values, sizeof values);
    assert_memory_equal(out.bytes + out.size - sizeof parameters, parameters, sizeof parameters);
    char *entry = pulmo_format("\"classifier.3.bias\":{\"dtype\":\"F32\",\"shape\":[2],"
                               "\"data_offsets\":[%zu,%zu]}",
                               (CONVS + HEAD - 2) * sizeof(float), (CONVS + HEAD) * sizeof(float));
    assert_true(has_text(&out, entry));
    assert_true(has_text(&out, "\"classifier.0.weight\":{\"dtype\":\"F32\",\"shape\":[4,64]"));
    free(entry);
    free(out.bytes);
}

/* The tensor's values stand after its name, as raw_data: field 9, length-delimited. */
static void assert_tensor(const byte_buffer *b, const char *name, const float *wanted, size_t count)
{
    const uint8_t *end = b->bytes + b->size;
    const uint8_t *at = b->bytes;
    size_t bytes = count * sizeof *wanted, length = strlen(name);
    while ((at = memmem(at, (size_t)(end - at), name, length)) != NULL) {
        at += length;
        const uint8_t *data = at + (bytes < 128 ? 2 : 3);
        if (*at == (9 << 3 | 2) && data + bytes <= end && memcmp(data, wanted, bytes) == 0)
            return;
    }
    fail_msg("no tensor %s of these %zu values", name, count);
}

static void onnx(void **state)
{
    byte_buffer out = exported(export_onnx, true);
    const float temperature = 1.5f;
    (void)state;
    assert_tensor(&out, "features.0.weight", values, W0);
    assert_tensor(&out, "features.3.bias", values + W0 + 16 + W1, 16);
    assert_tensor(&out, "mean", model.mean, 3);
    assert_tensor(&out, "std", model.std, 3);
    assert_tensor(&out, "temperature", &temperature, 1);
    assert_tensor(&out, "classifier.0.weight", parameters, 4 * 64);
    assert_tensor(&out, "classifier.0.bias", parameters + 4 * 64, 4);
    assert_tensor(&out, "classifier.3.weight", parameters + 4 * 64 + 4, 2 * 4);
    assert_tensor(&out, "classifier.3.bias", parameters + 4 * 64 + 4 + 2 * 4, 2);
    assert_true(has_text(&out, "normalised") && has_text(&out, "scaled"));
    free(out.bytes);
}

/* Nothing is divided where there is nothing to divide by. */
static void onnx_leaves_out_what_does_nothing(void **state)
{
    model.temperature = 1;
    byte_buffer out = exported(export_onnx, false);
    (void)state;
    model.temperature = 1.5;
    assert_read_back();
    assert_false(has_text(&out, "temperature") || has_text(&out, "normalised"));
    free(out.bytes);
}

/* Growth keeps what was there; nothing more is added after a failure. */
static void bytes_grow(void **state)
{
    byte_buffer b = {0};
    uint8_t piece[1000];
    (void)state;
    for (int i = 0; i < 200; i++) {
        memset(piece, i, sizeof piece);
        buffer_add(&b, piece, sizeof piece);
    }
    assert_int_equal(b.size, 200 * sizeof piece);
    for (size_t i = 0; i < b.size; i++)
        assert_int_equal(b.bytes[i], i / sizeof piece);
    b.failed = true;
    buffer_add(&b, piece, sizeof piece);
    assert_int_equal(b.size, 200 * sizeof piece);
    free(b.bytes);
}

/* The names of many classes are longer than any line: cut, they would be no JSON. */
static void facts_are_whole(void **state)
{
    static char text[5001];
    export_facts facts = {0};
    (void)state;
    memset(text, 'x', sizeof text - 1);
    facts_add(&facts, "classes", "[%s]", text);
    assert_false(facts.failed);
    assert_int_equal(strlen(facts.value[0]), sizeof text + 1);
    assert_string_equal(facts.key[0], "classes");
    assert_int_equal(facts.value[0][sizeof text], ']');
    for (int i = 1; i < FACTS_MAX; i++)
        facts_add(&facts, "number", "%d", i);
    assert_false(facts.failed);
    facts_add(&facts, "number", "%d", FACTS_MAX); /* not left out in silence */
    assert_true(facts.failed);
    facts_free(&facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safetensors),
        cmocka_unit_test(onnx),
        cmocka_unit_test(onnx_leaves_out_what_does_nothing),
        cmocka_unit_test(bytes_grow),
        cmocka_unit_test(facts_are_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
