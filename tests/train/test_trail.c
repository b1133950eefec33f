/* The digest of each tensor after an epoch: of that tensor's parameters alone, in pieces, as
 * docs/reference/files.md says. */
#include "support.h"

#include "trail.h"

#define FIRST  40000 /* two pieces and a short one */
#define SECOND 3
#define EPOCHS 2

static const pulmo_layout layout = {
    .tensors = 2,
    .tensor = {{.name = "a.weight", .rows = 200, .cols = 200, .offset = 0},
               {.name = "a.bias", .rows = SECOND, .cols = 1, .offset = FIRST}},
    .parameters = FIRST + SECOND,
};

/* By whole buffers, from the definition. */
static pulmo_digest by_definition(const float *values, size_t count)
{
    uint8_t sums[8 * 16];
    size_t at = 0;
    const size_t floats = 16384;
    for (size_t i = 0; i < count; i += floats) {
        size_t left = count - i;
        size_t taken = left < floats ? left : floats;
        uint64_t sum = pulmo_xxh3(values + i, taken * sizeof(float));
        for (int b = 0; b < 8; b++)
            sums[at++] = (uint8_t)(sum >> (8 * b));
    }
    return pulmo_digest_of(sums, at);
}

static void digests_are_of_pieces(void **state)
{
    trail left;
    float *parameters = malloc(layout.parameters * sizeof *parameters);
    (void)state;
    assert_non_null(parameters);
    fill_normal(parameters, layout.parameters, 7);
    assert_ok(trail_create(&layout, EPOCHS, &left));
    trail_take(&left, 1, parameters);
    const pulmo_digest first = by_definition(parameters, FIRST);
    const pulmo_digest second = by_definition(parameters + FIRST, SECOND);
    const pulmo_digest *row = trail_row(&left, 1);
    assert_memory_equal(&row[0], &first, sizeof first);
    assert_memory_equal(&row[1], &second, sizeof second);
    assert_true(pulmo_digest_is_none(trail_row(&left, 0)));
    assert_false(pulmo_digest_is_none(row));
    trail_free(&left);
    free(parameters);
}

/* The last bit of one parameter changes its tensor's digest and no other. */
static void one_bit_is_seen(void **state)
{
    trail left;
    uint32_t bits = 0;
    float *parameters = malloc(layout.parameters * sizeof *parameters);
    (void)state;
    assert_non_null(parameters);
    fill_normal(parameters, layout.parameters, 8);
    assert_ok(trail_create(&layout, EPOCHS, &left));
    trail_take(&left, 0, parameters);
    memcpy(&bits, &parameters[FIRST - 1], sizeof bits);
    bits ^= 1;
    memcpy(&parameters[FIRST - 1], &bits, sizeof bits);
    trail_take(&left, 1, parameters);
    const pulmo_digest *before = trail_row(&left, 0);
    const pulmo_digest *after = trail_row(&left, 1);
    assert_memory_not_equal(&before[0], &after[0], sizeof before[0]);
    assert_memory_equal(&before[1], &after[1], sizeof before[1]);
    trail_free(&left);
    free(parameters);
}

/* Ranks that keep none. */
static void none_may_be_kept(void **state)
{
    trail left;
    (void)state;
    assert_ok(trail_create(&layout, 0, &left));
    assert_null(left.digest);
    trail_free(&left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_of_pieces),
        cmocka_unit_test(one_bit_is_seen),
        cmocka_unit_test(none_may_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
