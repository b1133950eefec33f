/* Half precision as the feature bank stores it: every half there is, and rounding where two are
 * equally near. The numbers come from the format's definition, by ldexp; tests/cli/test_bank.sh
 * compares with numpy. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/features/bank_room.h"

static float value_of(unsigned bits)
{
    int exponent = (int)(bits >> 10 & 31u), fraction = (int)(bits & 1023u);
    double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return (float)(bits & 0x8000u ? -magnitude : magnitude);
}

/* The finite halves, at every remainder of a vector's length and in the end of the output's own
 * memory. */
static void all_halves_come_back(void **state)
{
    (void)state;
    enum { COUNT = 63488 };
    uint16_t *bits = malloc(COUNT * sizeof *bits), *again = malloc(COUNT * sizeof *again);
    float *out = malloc(COUNT * sizeof *out);
    size_t finite = 0;
    assert_true(bits && again && out);
    for (unsigned b = 0; b < 65536; b++)
        if ((b & 0x7c00u) != 0x7c00u)
            bits[finite++] = (uint16_t)b;
    assert_int_equal(finite, COUNT);
    for (size_t count = COUNT - 17; count <= COUNT; count++) {
        uint16_t *end = (uint16_t *)(void *)out + count;
        memmove(end, bits, count * sizeof *bits);
        bank_from_half(count, end, out);
        for (size_t i = 0; i < count; i++) {
            const float wanted = value_of(bits[i]);
            assert_memory_equal(&out[i], &wanted, sizeof wanted);
        }
    }
    assert_true(bank_to_half(COUNT, out, again));
    assert_memory_equal(again, bits, COUNT * sizeof *bits);
    free(bits);
    free(again);
    free(out);
}

/* Between two neighbours: just below the middle down, just above it up, the middle itself to the
 * even one. */
static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    for (unsigned b = 0; b + 1 < 0x7c00u; b++) {
        const float low = value_of(b), high = value_of(b + 1), middle = (low + high) / 2;
        const float values[6] = {nextafterf(middle, low),  middle,  nextafterf(middle, high),
                                 -nextafterf(middle, low), -middle, -nextafterf(middle, high)};
        uint16_t out[6];
        const unsigned even = b % 2 == 0 ? b : b + 1;
        assert_true(bank_to_half(6, values, out));
        const unsigned wanted[3] = {b, even, b + 1};
        for (int i = 0; i < 6; i++)
            assert_int_equal(out[i], wanted[i % 3] | (i < 3 ? 0 : 0x8000u));
    }
}

static void what_does_not_fit_is_told(void **state)
{
    (void)state;
    const float fits[2] = {65504, 65519.996f}, large = 65520, infinite = INFINITY, none = NAN;
    uint16_t out[2];
    assert_true(bank_to_half(2, fits, out));
    assert_int_equal(out[0], 0x7bff);
    assert_int_equal(out[1], 0x7bff);
    assert_false(bank_to_half(1, &large, out));
    assert_false(bank_to_half(1, &infinite, out));
    assert_false(bank_to_half(1, &none, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_halves_come_back),
        cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(what_does_not_fit_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
