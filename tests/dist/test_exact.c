/* Order-independent sums: the same bits however the terms are dealt to ranks, close to the true
 * sum by the bound that exact.h derives, and the same on every CPU tier. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exact_tier.h"
#include "agreed.h"
#include "pulmo/digest.h"
#include "pulmo/exact.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"

/* SHA-256 of the sum of the microbatches below, from any number of ranks. */
#define KNOWN "b662b9c1c5aa9b8d5d5c8d1e1b37c276763473ac365cbd8fdee2edfe6c8f94ad"

#define LIMIT ((int64_t)1 << 50)

static int rank(void)
{
    return pulmo_comm_rank(world);
}
static int size(void)
{
    return pulmo_comm_size(world);
}

/* ---- the exponent ---- */

/* n * (B * 2^E + 1/2) <= 2^50, without rounding: B * 2^E is exact, n has 32 bits. */
static int fits(double bound, uint32_t microbatches, int exponent)
{
    long double term = (long double)ldexp(bound, exponent) + 0.5L;
    return term <= (long double)LIMIT / microbatches;
}

static void test_exponent(void **state)
{
    static const double bounds[] = {1e-45, FLT_MIN, 1e-30, 0x1p-20, 0.1,     1,     nextafter(1, 2),
                                    1e8,   FLT_MAX, 1e38,  DBL_MIN, DBL_MAX, 5e-324};
    static const uint32_t microbatches[] = {
        1, 2, 3, 7, 8, 9, 1000, 1u << 20, (1u << 31) + 1, UINT32_MAX};
    int good = 1;
    (void)state;
    for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
        for (size_t s = 0; s < sizeof microbatches / sizeof microbatches[0]; s++) {
            int e = pulmo_exact_exponent(bounds[b], microbatches[s]);
            good = good && fits(bounds[b], microbatches[s], e);
            /* and no smaller than it must be: at most 3 of the 50 bits are given away */
            good = good && (e == 1000 || !fits(bounds[b], microbatches[s], e + 3));
        }
    }
    CHECK(good);
    CHECK(pulmo_exact_exponent(0, 5) == 0);
}

/* ---- rounding ---- */

static void test_ties_to_even(void **state)
{
    static const float values[] = {0.5f,  1.5f,   2.5f, -0.5f, -1.5f, -2.5f,
                                   0.75f, -0.75f, 0.0f, -0.0f, 1.25f, 3.0f};
    static const int64_t rounded[] = {0, 2, 2, 0, -2, -2, 1, -1, 0, 0, 1, 3};
    int64_t sums[12];
    (void)state;
    for (int i = 0; i < 12; i++)
        sums[i] = 100 * i;
    pulmo_exact_add(sums, values, 12, 0);
    int good = 1;
    for (int i = 0; i < 12; i++)
        good = good && sums[i] == 100 * i + rounded[i];
    CHECK(good);
}

/* Any float of magnitude below `bound`, zeros and denormals among them. */
static float draw(pulmo_rng *rng, double bound)
{
    uint32_t kind = pulmo_rng_u32(rng) % 8;
    double u = 2.0 * (double)pulmo_rng_uniform(rng) - 1.0;
    if (kind == 0)
        return 0.0f;
    if (kind == 1)
        return (float)(u * 1e-42); /* denormal */
    if (kind == 2)
        return (float)(u < 0 ? -bound : bound); /* the bound itself */
    if (kind == 3)
        return (float)(u * bound * ldexp(1, -(int)(pulmo_rng_u32(rng) % 60)));
    return (float)(u * bound);
}

static void test_rounds_as_defined(void **state)
{
    static const float bounds[] = {1e-38f, 1e-3f, 1.0f, 1e8f, 1e38f};
    enum { COUNT = 2003 };
    static float values[COUNT];
    static int64_t sums[COUNT];
    pulmo_rng rng;
    int good = 1;
    (void)state;
    for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
        int e = pulmo_exact_exponent(bounds[b], 8);
        pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, b, 0);
        memset(sums, 0, sizeof sums);
        for (int i = 0; i < COUNT; i++)
            values[i] = draw(&rng, bounds[b]);
        pulmo_exact_add(sums, values, COUNT, e);
        for (int i = 0; i < COUNT; i++)
            good = good && sums[i] == llrint(ldexp((double)values[i], e));
    }
    CHECK(good);
}

/* Every tier of this CPU gives the plain tier's bits, at every length and alignment. */
static void test_tiers_equal(void **state)
{
    enum { COUNT = 300 };
    float values[COUNT], out[COUNT], expected_out[COUNT];
    int64_t sums[COUNT], expected[COUNT];
    pulmo_rng rng;
    int good = 1, tiers = 0;
    (void)state;
    pulmo_rng_at(&rng, 2, PULMO_RNG_TEST, 0, 0);
    for (int i = 0; i < COUNT; i++)
        values[i] = draw(&rng, 3.7);
    int e = pulmo_exact_exponent(3.7, 11);
    for (int isa = PULMO_ISA_REF; isa < PULMO_ISA_COUNT; isa++) {
        if (!pulmo_isa_available((pulmo_isa)isa)) {
            print_message("tier %s: this CPU does not have it\n", pulmo_isa_name((pulmo_isa)isa));
            continue;
        }
        tiers++;
        for (size_t first = 0; first < 9; first++) {
            for (size_t count = 0; first + count <= COUNT; count += 1 + count / 7) {
                for (int i = 0; i < COUNT; i++)
                    sums[i] = expected[i] = i * 12345678901;
                memset(out, 0, sizeof out);
                memset(expected_out, 0, sizeof expected_out);
                pulmo_exact_add_tier((pulmo_isa)isa, sums + first, values + first, count, e);
                pulmo_exact_add_tier(PULMO_ISA_REF, expected + first, values + first, count, e);
                pulmo_exact_finish_tier((pulmo_isa)isa, sums + first, count, e, 0.1, out + first);
                pulmo_exact_finish_tier(PULMO_ISA_REF, expected + first, count, e, 0.1,
                                        expected_out + first);
                good = good && memcmp(sums, expected, sizeof sums) == 0 &&
                       memcmp(out, expected_out, sizeof out) == 0;
            }
        }
    }
    CHECK(good && tiers >= 1);
}

static void test_finish(void **state)
{
    static const int64_t sums[] = {0, 1, -1, LIMIT, -LIMIT, 3, 12345678901234};
    float out[7];
    int good = 1;
    (void)state;
    for (int e = -150; e <= 250; e += 25) {
        pulmo_exact_finish(sums, 7, e, 0.125, out);
        for (int i = 0; i < 7; i++) {
            float expected = (float)(ldexp((double)sums[i], -e) * 0.125);
            good = good && memcmp(&out[i], &expected, sizeof expected) == 0;
        }
    }
    CHECK(good);
}

/* ---- sums of many microbatches ---- */

enum { MICROBATCHES = 24, WIDTH = 1031 };

/* Microbatch s of a batch: columns of cancelling, tiny, huge and random terms. */
static void microbatch_values(int microbatch, float *out)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 3, PULMO_RNG_TEST, (uint64_t)microbatch, 0);
    for (int i = 0; i < WIDTH; i++) {
        switch (i % 5) {
        case 0:
            out[i] = (const float[]){1e8f, 1.0f, -1e8f}[microbatch % 3];
            break;
        case 1:
            out[i] = (float)(microbatch + 1) * 1e-44f;
            break; /* denormals */
        case 2:
            out[i] = microbatch % 2 ? -0.1f : 0.3f;
            break;
        case 3:
            out[i] = microbatch == 7 ? 9.9e7f : 1e-3f;
            break;
        default:
            out[i] = draw(&rng, 1e8);
            break;
        }
    }
}

static double microbatch_bound(void)
{
    float values[WIDTH];
    double bound = 0;
    for (int s = 0; s < MICROBATCHES; s++) {
        microbatch_values(s, values);
        for (int i = 0; i < WIDTH; i++)
            bound = fmax(bound, fabs((double)values[i]));
    }
    return bound;
}

/* The sum over the microbatches that `owner` deals to this rank, finished; (WIDTH). */
static void summed(int (*owner)(int microbatch, int ranks), float *out)
{
    float values[WIDTH];
    int64_t *sums = pulmo_alloc(WIDTH, sizeof *sums);
    pulmo_exact_sum *flight = NULL;
    int e = pulmo_exact_exponent(microbatch_bound(), MICROBATCHES);
    for (int s = 0; s < MICROBATCHES; s++) {
        if (owner(s, size()) != rank())
            continue;
        microbatch_values(s, values);
        pulmo_exact_add(sums, values, WIDTH, e);
    }
    CHECK(pulmo_exact_create(world, 1, &flight) == PULMO_OK);
    pulmo_exact_push(flight, sums, WIDTH);
    for (int i = 0; i < 10; i++)
        pulmo_exact_poll(flight);
    CHECK(pulmo_exact_wait(flight) == PULMO_OK);
    pulmo_exact_destroy(flight);
    pulmo_exact_finish(sums, WIDTH, e, 1.0, out);
    pulmo_free(sums);
}

static int in_turn(int microbatch, int ranks)
{
    return microbatch % ranks;
}
static int in_blocks(int microbatch, int ranks)
{
    return microbatch * ranks / MICROBATCHES;
}
static int backwards(int microbatch, int ranks)
{
    return ranks - 1 - microbatch % ranks;
}
static int all_on_last(int microbatch, int ranks)
{
    (void)microbatch;
    return ranks - 1;
}

/* The digest of the right answer: one rank's, computed here by every rank for itself. */
static void summed_alone(float *out)
{
    float values[WIDTH];
    int64_t sums[WIDTH] = {0};
    int e = pulmo_exact_exponent(microbatch_bound(), MICROBATCHES);
    for (int s = MICROBATCHES - 1; s >= 0; s--) {
        microbatch_values(s, values);
        pulmo_exact_add(sums, values, WIDTH, e);
    }
    pulmo_exact_finish(sums, WIDTH, e, 1.0, out);
}

static void test_same_bits_however_dealt(void **state)
{
    int (*const owners[])(int, int) = {in_turn, in_blocks, backwards, all_on_last};
    float alone[WIDTH], out[WIDTH];
    (void)state;
    summed_alone(alone);
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        summed(owners[i], out);
        CHECK(memcmp(out, alone, sizeof out) == 0);
    }
}

/* The bits themselves are the same for any number of ranks: a known answer ties 1, 2, 3, 4
 * together. */
static void test_known_bits(void **state)
{
    char hex[PULMO_DIGEST_HEX];
    float out[WIDTH];
    (void)state;
    summed(in_turn, out);
    pulmo_digest digest = pulmo_digest_of(out, sizeof out);
    pulmo_digest_hex(&digest, hex);
    print_message("sum: %s\n", hex);
    CHECK(strcmp(hex, KNOWN) == 0);
}

/* Against the true sum: every float is an integer times 2^-149, here below 2^27 in magnitude, so
 * that two 128-bit halves hold it. */
static void test_error_bound(void **state)
{
    float values[WIDTH], out[WIDTH];
    __int128 high[WIDTH] = {0}, low[WIDTH] = {0}; /* units of 2^-40 and of 2^-149 */
    double bound = microbatch_bound(), worst = 0;
    int e = pulmo_exact_exponent(bound, MICROBATCHES);
    (void)state;
    for (int s = 0; s < MICROBATCHES; s++) {
        microbatch_values(s, values);
        for (int i = 0; i < WIDTH; i++) {
            double big = trunc(ldexp((double)values[i], 40)),
                   rest = (double)values[i] - ldexp(big, -40);
            high[i] += (__int128)big;
            low[i] += (__int128)ldexp(rest, 149);
        }
    }
    summed(in_turn, out);
    for (int i = 0; i < WIDTH; i++) {
        long double truth = ldexpl((long double)high[i], -40) + ldexpl((long double)low[i], -149);
        double error = (double)fabsl((long double)out[i] - truth);
        /* n * 2^(-E-1) from the integers, then one rounding to float */
        double allowed = ldexp(MICROBATCHES, -e - 1) + fabs((double)truth) * FLT_EPSILON / 2;
        worst = fmax(worst, error / allowed);
    }
    CHECK(worst <= 1.0);
    CHECK(worst > 0.01); /* the bound means something */
    /* 1e8 + 1 - 1e8, eight times: 8, which a plain float sum does not give in any order. */
    CHECK(out[0] == 8.0f && out[5] == 8.0f);
    float plain = 0;
    for (int s = 0; s < MICROBATCHES; s++) {
        microbatch_values(s, values);
        plain += values[0];
    }
    CHECK(plain != 8.0f);
}

/* ---- against rational arithmetic ---- */

/* A fixed-point number that holds any sum of floats: 32-bit digits in signed 64-bit places, the
 * lowest worth 2^-149. */
enum { PLACES = 10 };
typedef struct wide {
    int64_t place[PLACES];
} wide;

/* Adds digits * 2^power, |digits| < 2^62; below 2^-149 the digits must be zeros. */
static void wide_add(wide *sum, int64_t digits, int power)
{
    int at = power + 149;
    if (at < 0) {
        digits /= (int64_t)1 << -at;
        at = 0;
    }
    __int128 shifted = (__int128)digits * ((__int128)1 << at % 32);
    for (int p = at / 32; p < PLACES && shifted != 0; p++) {
        int64_t low = (int64_t)(shifted % ((__int128)1 << 32));
        sum->place[p] += low;
        shifted = (shifted - low) / ((__int128)1 << 32);
    }
}

static void wide_add_float(wide *sum, float value)
{
    int exponent = 0;
    int64_t digits =
        (int64_t)ldexpf(frexpf(value, &exponent), 24); /* value = digits * 2^(exponent - 24) */
    wide_add(sum, digits, exponent - 24);
}

/* |sum - other| in units of 2^-149, as a double: exact where it is below 2^53, and never too small
 * by more than 2^-50 of it. */
static double wide_distance(const wide *sum, const wide *other)
{
    __int128 carry = 0;
    int64_t digit[PLACES];
    for (int p = 0; p < PLACES; p++) {
        __int128 value = (__int128)sum->place[p] - other->place[p] + carry;
        digit[p] = (int64_t)(value & (((__int128)1 << 32) - 1));
        carry = (value - digit[p]) / ((__int128)1 << 32);
    }
    double distance = (double)(int64_t)carry * ldexp(1, 32 * PLACES);
    for (int p = PLACES - 1; p >= 0; p--)
        distance += ldexp((double)digit[p], 32 * p);
    return fabs(distance);
}

typedef struct column {
    const char *name;
    float value[8]; /* of the eight microbatches */
} column;

static const column columns[] = {
    {"cancelling", {1e8f, 1, -1e8f, 1e8f, 1, -1e8f, 1, 0}},
    {"the same backwards", {0, 1, -1e8f, 1, 1e8f, -1e8f, 1, 1e8f}},
    {"small beside large", {1e8f, 1e-3f, 1e-3f, 1e-3f, 1e-3f, 1e-3f, 1e-3f, -1e8f}},
    {"denormals alone", {1e-45f, 3e-45f, -1e-45f, 1.1e-38f, -1.1e-38f, 5e-41f, 1e-45f, 1e-45f}},
    {"denormals and their border",
     {0x1p-126f, -0x1.fffffcp-127f, 0x1p-149f, 0x1p-126f, 0x1p-149f, 0, 0, -0x1p-126f}},
    {"the largest, all of one sign",
     {FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX}},
    {"the largest, cancelling",
     {FLT_MAX, -FLT_MAX, FLT_MAX, -FLT_MAX, FLT_MAX, -FLT_MAX, FLT_MAX, -FLT_MAX}},
    {"one beside zeros", {0, 0, 0, 0, 0, -0.1f, 0, 0}},
    {"zeros", {0, -0.0f, 0, 0, -0.0f, 0, 0, 0}},
};

/* Each column as a tensor of its own, summed over ranks: |sum - truth| <= microbatches * 2^(-E-1),
 * as exact.h derives, and the finished float is the nearest to the integer's value. */
static void test_against_rationals(void **state)
{
    int good = 1;
    (void)state;
    for (size_t k = 0; k < sizeof columns / sizeof columns[0]; k++) {
        wide truth = {{0}}, got = {{0}};
        double bound = 0;
        int64_t sum = 0;
        float out = 0;
        pulmo_exact_sum *flight = NULL;
        for (int s = 0; s < 8; s++) {
            wide_add_float(&truth, columns[k].value[s]);
            bound = fmax(bound, fabs((double)columns[k].value[s]));
        }
        int e = pulmo_exact_exponent(bound, 8);
        for (int s = rank(); s < 8; s += size())
            pulmo_exact_add(&sum, &columns[k].value[s], 1, e);
        CHECK(pulmo_exact_create(world, 1, &flight) == PULMO_OK);
        pulmo_exact_push(flight, &sum, 1);
        CHECK(pulmo_exact_wait(flight) == PULMO_OK);
        pulmo_exact_destroy(flight);
        pulmo_exact_finish(&sum, 1, e, 1.0, &out);
        /* Below 2^-149 the integer's units are finer than any float's: their digits are zeros in
         * sums of so few. */
        wide_add(&got, sum, -e);
        double error = wide_distance(&got, &truth), allowed = ldexp(8, -e - 1 + 149);
        int fine = error <= allowed && sum <= LIMIT && sum >= -LIMIT &&
                   out == (float)ldexp((double)sum, -e);
        if (!fine)
            print_error("%s: sum %lld * 2^%d, error %g of %g\n", columns[k].name, (long long)sum,
                        -e, error, allowed);
        good = good && fine;
    }
    CHECK(good);
}

/* A sum beyond float's range is infinite when finished, on every rank, and not another number; the
 * mean, which is what training takes, is finite. */
static void test_beyond_float(void **state)
{
    float value = FLT_MAX, out = 0, mean = 0;
    int64_t sum = 0;
    int e = pulmo_exact_exponent((double)value, 8);
    (void)state;
    for (int s = 0; s < 8; s++)
        pulmo_exact_add(&sum, &value, 1, e);
    pulmo_exact_finish(&sum, 1, e, 1.0, &out);
    pulmo_exact_finish(&sum, 1, e, 1.0 / 8, &mean);
    CHECK(isinf(out) && mean == FLT_MAX);
}

/* As many microbatches as there can be, all at the bound: the integers stay within 2^50 together.
 */
static void test_no_overflow(void **state)
{
    static const uint32_t microbatches[] = {1, 3, 8, 65536, 1u << 31, UINT32_MAX};
    static const float values[] = {FLT_MAX, -FLT_MAX, 1, -0x1.fffffep-1f, FLT_MIN, 0x1p-149f};
    int good = 1;
    (void)state;
    for (size_t s = 0; s < sizeof microbatches / sizeof microbatches[0]; s++)
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            int64_t one = 0;
            pulmo_exact_add(&one, &values[v], 1,
                            pulmo_exact_exponent(fabs((double)values[v]), microbatches[s]));
            __int128 all = (__int128)one * microbatches[s];
            good = good && one != 0 && all <= LIMIT && all >= -LIMIT;
        }
    CHECK(good);
}

/* ---- in flight ---- */

/* Several pieces, with rounds of polling; the other end may be late. */
static void test_many_pieces(void **state)
{
    size_t count = ((size_t)1 << 22) * 2 + 77; /* 129 pieces */
    int64_t *sums = pulmo_alloc(count, sizeof *sums);
    pulmo_exact_sum *flight = NULL;
    (void)state;
    CHECK(sums != NULL);
    for (size_t i = 0; i < count; i++)
        sums[i] = (int64_t)i * (rank() + 1) - LIMIT / 8;
    CHECK(pulmo_exact_create(world, 1, &flight) == PULMO_OK);
    pulmo_exact_push(flight, sums, count);
    for (int i = 0; i < 100 * (rank() + 1); i++)
        pulmo_exact_poll(flight);
    CHECK(pulmo_exact_wait(flight) == PULMO_OK);
    pulmo_exact_destroy(flight);
    int64_t n = size();
    int good = 1;
    for (size_t i = 0; i < count; i++)
        good = good && sums[i] == (int64_t)i * (n * (n + 1) / 2) - n * (LIMIT / 8);
    CHECK(good);
    pulmo_free(sums);
}

static void test_empty(void **state)
{
    pulmo_exact_sum *flight = NULL;
    (void)state;
    CHECK(pulmo_exact_create(world, 1, &flight) == PULMO_OK);
    pulmo_exact_push(flight, NULL, 0);
    pulmo_exact_poll(flight);
    CHECK(pulmo_exact_wait(flight) == PULMO_OK);
    pulmo_exact_destroy(flight);
}

/* Parts of different length, none among them, joined while a sum travels. */
static void test_parts(void **state)
{
    int ranks = size(), *counts = pulmo_alloc((size_t)ranks * 2, sizeof *counts);
    size_t total = 0, first = 0;
    (void)state;
    for (int r = 0; r < ranks; r++) {
        counts[r] = r == 1 ? 0 : 70001 * (r + 1);
        if (r < rank())
            first += (size_t)counts[r];
        total += (size_t)counts[r];
    }
    float *all = pulmo_alloc(total, sizeof *all);
    int64_t sums[2] = {1, rank()};
    pulmo_exact_sum *flight = NULL;
    CHECK(counts != NULL && all != NULL);
    for (int i = 0; i < counts[rank()]; i++)
        all[first + (size_t)i] = (float)(first + (size_t)i) + 0.25f;
    CHECK(pulmo_exact_create(world, 3, &flight) == PULMO_OK);
    pulmo_exact_push(flight, sums, 1);
    pulmo_exact_push_parts(flight, all, counts);
    pulmo_exact_push(flight, sums + 1, 1);
    for (int i = 0; i < 10; i++)
        pulmo_exact_poll(flight);
    CHECK(pulmo_exact_wait(flight) == PULMO_OK);
    pulmo_exact_destroy(flight);
    int good = sums[0] == ranks && sums[1] == ranks * (ranks - 1) / 2;
    for (size_t i = 0; i < total; i++)
        good = good && all[i] == (float)i + 0.25f;
    CHECK(good);
    pulmo_free(all);
    pulmo_free(counts);
}

/* Other collectives may run while a sum travels. */
static void test_beside_other_calls(void **state)
{
    int64_t sums[3] = {1, rank(), -1};
    double most = rank();
    pulmo_exact_sum *flight = NULL;
    (void)state;
    CHECK(pulmo_exact_create(world, 1, &flight) == PULMO_OK);
    pulmo_exact_push(flight, sums, 3);
    CHECK(pulmo_max_f64(world, &most, 1) == PULMO_OK);
    CHECK(pulmo_agree(world, PULMO_OK) == PULMO_OK);
    CHECK(pulmo_exact_wait(flight) == PULMO_OK);
    pulmo_exact_destroy(flight);
    CHECK(most == size() - 1 && sums[0] == size() && sums[1] == size() * (size() - 1) / 2 &&
          sums[2] == -size());
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_exponent),
    cmocka_unit_test(test_ties_to_even),
    cmocka_unit_test(test_rounds_as_defined),
    cmocka_unit_test(test_tiers_equal),
    cmocka_unit_test(test_finish),
    cmocka_unit_test(test_same_bits_however_dealt),
    cmocka_unit_test(test_known_bits),
    cmocka_unit_test(test_error_bound),
    cmocka_unit_test(test_many_pieces),
    cmocka_unit_test(test_empty),
    cmocka_unit_test(test_beside_other_calls),
    cmocka_unit_test(test_parts),
    cmocka_unit_test(test_against_rationals),
    cmocka_unit_test(test_beyond_float),
    cmocka_unit_test(test_no_overflow),
};
RUN_AGREED(tests)
