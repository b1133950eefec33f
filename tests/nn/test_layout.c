/* Where trained tensors stand: kinds, layers, names and offsets of fine-tuned convolutions and the
 * head in one vector. Expected values are torchvision's names and sizes, counted by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pulmo/head.h"
#include "pulmo/tuned.h"

#include "layout_room.h"

typedef struct expected {
    const char *name;
    pulmo_tensor_kind kind;
    int layer, rows, cols;
} expected;

/* Two convolutions of VGG16's fifth block below a head of one hidden layer on pooled maxima. */
static const expected both[] = {
    {"features.26.weight", PULMO_CONV_WEIGHT, 0, 512, 512 * 9},
    {"features.26.bias", PULMO_CONV_BIAS, 0, 512, 1},
    {"features.28.weight", PULMO_CONV_WEIGHT, 1, 512, 512 * 9},
    {"features.28.bias", PULMO_CONV_BIAS, 1, 512, 1},
    {"classifier.0.weight", PULMO_LINEAR_WEIGHT, 0, 256, 512},
    {"classifier.0.bias", PULMO_LINEAR_BIAS, 0, 256, 1},
    {"classifier.3.weight", PULMO_LINEAR_WEIGHT, 1, 3, 256},
    {"classifier.3.bias", PULMO_LINEAR_BIAS, 1, 3, 1},
};
#define BOTH  8
#define CONVS 4 /* tensors of the convolutions */

static pulmo_head_spec head_spec(void)
{
    pulmo_head_spec spec;
    pulmo_head_spec_init(&spec);
    spec.pool = PULMO_POOL_MAX;
    spec.hidden_layers = 1;
    spec.hidden[0] = 256;
    spec.classes = 3;
    return spec;
}

static pulmo_tuned_spec tuned_spec(void)
{
    pulmo_tuned_spec spec = {.channels = 512, .height = 14, .width = 14, .layers = 2};
    for (int l = 0; l < spec.layers; l++) {
        spec.layer[l].in_channels = 512;
        spec.layer[l].out_channels = 512;
        spec.layer[l].feature_index = 26 + 2 * l;
    }
    return spec;
}

/* Returns the parameters of the expected tensors. */
static size_t assert_tensors(const pulmo_layout *layout, const expected *want, int count)
{
    size_t offset = 0;
    assert_int_equal(layout->tensors, count);
    for (int t = 0; t < count; t++) {
        const pulmo_tensor *tensor = &layout->tensor[t];
        assert_string_equal(tensor->name, want[t].name);
        assert_int_equal(tensor->kind, want[t].kind);
        assert_int_equal(tensor->layer, want[t].layer);
        assert_int_equal(tensor->rows, want[t].rows);
        assert_int_equal(tensor->cols, want[t].cols);
        assert_int_equal(tensor->offset, offset);
        offset += pulmo_tensor_count(tensor);
    }
    assert_int_equal(layout->parameters, offset);
    return offset;
}

static void test_head_alone(void **state)
{
    pulmo_head_spec head = head_spec();
    pulmo_layout layout;
    (void)state;
    pulmo_head_layout_of(&head, &layout);
    assert_int_equal(assert_tensors(&layout, both + CONVS, BOTH - CONVS), 132099);
}

static void test_convolutions_alone(void **state)
{
    pulmo_tuned_spec tuned = tuned_spec();
    pulmo_layout layout;
    (void)state;
    pulmo_tuned_layout_of(&tuned, &layout);
    assert_int_equal(assert_tensors(&layout, both, CONVS), 4719616);
    assert_int_equal(pulmo_tuned_parameters(&tuned), 4719616);
}

static void test_both(void **state)
{
    pulmo_head_spec head = head_spec();
    pulmo_tuned_spec tuned = tuned_spec();
    pulmo_layout layout;
    (void)state;
    pulmo_tuned_layout_with_head(&tuned, &head, &layout);
    assert_int_equal(assert_tensors(&layout, both, BOTH), 4719616 + 132099);
}

/* A tensor is found by what it is, in either part of the vector. */
static void test_find(void **state)
{
    pulmo_head_spec head = head_spec();
    pulmo_tuned_spec tuned = tuned_spec();
    pulmo_layout layout;
    (void)state;
    pulmo_tuned_layout_with_head(&tuned, &head, &layout);
    for (int t = 0; t < BOTH; t++) {
        assert_int_equal(pulmo_layout_find(&layout, both[t].kind, both[t].layer), t);
        assert_ptr_equal(pulmo_layout_get(&layout, both[t].kind, both[t].layer), &layout.tensor[t]);
        assert_int_equal(pulmo_tensor_is_bias(&layout.tensor[t]), t % 2);
    }
}

/* As many tensors as there can be. */
static void test_largest(void **state)
{
    static pulmo_layout layout;
    (void)state;
    memset(&layout, 0, sizeof layout);
    for (int l = 0; l < PULMO_CONVS_MAX; l++)
        layout_add(&layout, PULMO_CONV_WEIGHT, l, "features.0", 2, 9);
    for (int l = 0; l < PULMO_LINEARS_MAX; l++)
        layout_add(&layout, PULMO_LINEAR_WEIGHT, l, "classifier.0", 3, 5);
    assert_int_equal(layout.tensors, PULMO_TENSORS_MAX);
    assert_int_equal(layout.parameters, 20 * PULMO_CONVS_MAX + 18 * PULMO_LINEARS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_alone), cmocka_unit_test(test_convolutions_alone),
        cmocka_unit_test(test_both), cmocka_unit_test(test_find), cmocka_unit_test(test_largest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
