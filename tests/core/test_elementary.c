/* Elementary functions against the C library's in long double, and their bits, which are one number
 * on every machine. */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "support.h"

enum { ARGUMENTS = 200000 };

/* A number in [0, 1); SplitMix64 (Steele et al. 2014). */
static double draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* The distance in units in the last place of the true value. */
static double ulps(double value, long double truth)
{
    int exponent;
    frexpl(truth, &exponent);
    if (exponent < DBL_MIN_EXP)
        exponent = DBL_MIN_EXP;
    return (double)(fabsl((long double)value - truth) / ldexpl(1, exponent - DBL_MANT_DIG));
}

typedef struct function {
    const char *name;
    double (*ours)(double);
    long double (*truth)(long double);
    double low, high;
    bool is_logarithm; /* of arguments drawn by their exponents */
} function;

static const function functions[] = {
    {"exp", pulmo_exp, expl, -740, 709, false},  {"exp near 0", pulmo_exp, expl, -1, 1, false},
    {"log", pulmo_log, logl, -1000, 1000, true}, {"log near 1", pulmo_log, logl, 0.5, 2, false},
    {"sin", pulmo_sin, sinl, -7, 7, false},      {"sin far", pulmo_sin, sinl, -1e6, 1e6, false},
    {"cos", pulmo_cos, cosl, -7, 7, false},      {"cos far", pulmo_cos, cosl, -1e6, 1e6, false},
};

static double argument(const function *f, uint64_t *state)
{
    double x = f->low + (f->high - f->low) * draw(state);
    if (!f->is_logarithm)
        return x;
    return ldexp(1 + draw(state), (int)x);
}

static void test_within_one_ulp(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        const function *f = &functions[k];
        uint64_t random = 1;
        double worst = 0, at = 0;
        for (int i = 0; i < ARGUMENTS; i++) {
            double x = argument(f, &random);
            double away = ulps(f->ours(x), f->truth((long double)x));
            if (away > worst) {
                worst = away;
                at = x;
            }
        }
        print_message("%s: at most %.3f ulp, at %.17g\n", f->name, worst, at);
        assert_true(worst < 1);
        assert_true(worst > 0.4); /* half of one is the least that rounding leaves */
    }
}

static void test_pow(void **state)
{
    uint64_t random = 5;
    (void)state;
    for (int i = 0; i < ARGUMENTS; i++) {
        double x = 1e-3 + 10 * draw(&random);
        double y = 40 * (draw(&random) - 0.5);
        double away = ulps(pulmo_pow(x, y), powl((long double)x, (long double)y));
        assert_true(away < 2 + 3 * fabs(y * log(x)));
    }
    assert_true(pulmo_pow(0, 3) == 0 && pulmo_pow(0.7, 0) == 1 && pulmo_pow(1, 1e9) == 1);
}

static void test_limits(void **state)
{
    (void)state;
    assert_true(pulmo_exp(0) == 1 && pulmo_log(1) == 0 && pulmo_sin(0) == 0 && pulmo_cos(0) == 1);
    assert_true(isinf(pulmo_exp(710)) && pulmo_exp(-746) == 0 && isnan(pulmo_exp(NAN)));
    assert_true(pulmo_exp(-INFINITY) == 0 && isinf(pulmo_exp(INFINITY)));
    assert_true(isinf(pulmo_log(0)) && isnan(pulmo_log(-1)) && isnan(pulmo_log(NAN)));
    assert_true(isnan(pulmo_sin(INFINITY)) && isnan(pulmo_cos(NAN)));
    assert_true(pulmo_log(0x1p-1074) < -744 && pulmo_exp(-745) == 0x1p-1074);
}

/* FNV-1a over the results' bits. */
static uint64_t digest_of(const function *f)
{
    uint64_t random = 9, hash = 0xcbf29ce484222325u;
    for (int i = 0; i < ARGUMENTS; i++) {
        double value = f->ours(argument(f, &random));
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3u;
    }
    return hash;
}

/* Any machine that gives others breaks the contract of bits. */
static void test_bits(void **state)
{
    int wrong = 0;
    static const uint64_t known[] = {0x4aacc4ec0b3eb65c, 0x3a24de1763be94af, 0x613225a45c264de9,
                                     0xc853ba6d0a1d8a18, 0xa69905f10e08580b, 0xd48f0205a1eff54b,
                                     0x11c6b7b56bef4202, 0xddd2bd29497de03d};
    (void)state;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        uint64_t found = digest_of(&functions[k]);
        print_message("%s: 0x%016llx\n", functions[k].name, (unsigned long long)found);
        wrong += found != known[k];
    }
    if (wrong > 0)
        fail_msg("%d of these are other bits than on other machines", wrong);
}

/* For tests/cli/test_elementary.sh, which takes fused multiply-adds away from the C library. */
static void test_library(void **state)
{
    const function library = {"exp", exp, expl, -740, 709, false};
    (void)state;
    print_message("the C library's exp: 0x%016llx\n", (unsigned long long)digest_of(&library));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_one_ulp), cmocka_unit_test(test_pow),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_bits),
        cmocka_unit_test(test_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
