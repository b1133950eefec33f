/* Random numbers against published values, digests, reports, memory. */
#include "support.h"

#include "core_room.h"
#include "pulmo/digest.h"
#include "pulmo/isa.h"

/* Known answers of Philox4x32-10, from the Random123 distribution's test vectors (Salmon et al.
 * 2011). */
static void test_philox(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t out[4];
        philox(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

static void test_rng_is_looked_up(void **state)
{
    pulmo_rng a, b;
    (void)state;
    pulmo_rng_at(&a, 5, PULMO_RNG_AUGMENT, 3, 77);
    for (int i = 0; i < 9; i++)
        (void)pulmo_rng_u32(&a);
    uint32_t tenth = pulmo_rng_u32(&a);
    pulmo_rng_at(&b, 5, PULMO_RNG_AUGMENT, 3, 77);
    for (int i = 0; i < 9; i++)
        (void)pulmo_rng_u32(&b);
    assert_int_equal(pulmo_rng_u32(&b), tenth);
    pulmo_rng_at(&b, 5, PULMO_RNG_AUGMENT, 3, 78);
    for (int i = 0; i < 9; i++)
        (void)pulmo_rng_u32(&b);
    assert_int_not_equal(pulmo_rng_u32(&b), tenth);
}

/* Means and variances within 6 standard errors. */
static void test_distributions(void **state)
{
    enum { N = 200000 };
    pulmo_rng rng;
    double uniform = 0, normal = 0, square = 0, below = 0;
    (void)state;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 0, 0);
    for (int i = 0; i < N; i++) {
        double u = (double)pulmo_rng_uniform(&rng), x = pulmo_rng_normal(&rng);
        uint32_t k = pulmo_rng_below(&rng, 7);
        assert_true(u >= 0 && u < 1 && k < 7);
        uniform += u / N;
        normal += x / N;
        square += x * x / N;
        below += (double)k / N;
    }
    assert_true(fabs(uniform - 0.5) < 6 * sqrt(1 / 12.0 / N));
    assert_true(fabs(normal) < 6 / sqrt(N));
    assert_true(fabs(square - 1) < 6 * sqrt(2.0 / N));
    assert_true(fabs(below - 3) < 6 * 2 / sqrt(N));
}

static void test_permutation(void **state)
{
    enum { N = 1000 };
    uint32_t order[N], again[N];
    int seen[N] = {0}, fixed = 0;
    pulmo_rng rng;
    (void)state;
    pulmo_rng_at(&rng, 9, PULMO_RNG_SHUFFLE, 4, 0);
    pulmo_rng_permutation(&rng, N, order);
    for (int i = 0; i < N; i++) {
        seen[order[i]]++;
        fixed += order[i] == (uint32_t)i;
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(seen[i], 1);
    assert_true(fixed < 10); /* one is expected */
    pulmo_rng_at(&rng, 9, PULMO_RNG_SHUFFLE, 5, 0);
    pulmo_rng_permutation(&rng, N, again);
    assert_memory_not_equal(order, again, sizeof order);
}

/* FIPS 180-2, appendix B. */
static void test_digest(void **state)
{
    char hex[PULMO_DIGEST_HEX];
    (void)state;
    pulmo_digest digest = pulmo_digest_of("abc", 3);
    pulmo_digest_hex(&digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    pulmo_digester *digester = NULL;
    assert_ok(pulmo_digester_create(&digester));
    pulmo_digester_add(digester, "a", 1);
    pulmo_digester_add(digester, "bc", 2);
    pulmo_digest parts = pulmo_digester_end(digester);
    assert_memory_equal(&parts, &digest, sizeof digest);
    assert_refused(pulmo_digest_of_file("/nonexistent/file", &digest), PULMO_IO,
                   "/nonexistent/file");
}

/* RFC 4231, test cases 2 and 6: a key below a block of SHA-256, and one above it. */
static void test_hmac(void **state)
{
    static const char question[] = "what do ya want for nothing?";
    static const char larger[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    char hex[PULMO_DIGEST_HEX];
    uint8_t key[131];
    pulmo_digest digest;
    (void)state;
    assert_ok(pulmo_hmac("Jefe", 4, question, strlen(question), &digest));
    pulmo_digest_hex(&digest, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    assert_ok(pulmo_hmac(key, sizeof key, larger, strlen(larger), &digest));
    pulmo_digest_hex(&digest, hex);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_reports(void **state)
{
    (void)state;
    assert_int_equal(pulmo_fail(PULMO_DATA, "%s: broken", "file"), PULMO_DATA);
    assert_int_equal(pulmo_fail_in(PULMO_DATA, "reading"), PULMO_DATA);
    assert_string_equal(pulmo_error(), "reading: file: broken");
    pulmo_fail(PULMO_IO, "again %s", pulmo_error()); /* the old report as an argument */
    assert_string_equal(pulmo_error(), "again reading: file: broken");
    for (int i = 0; i < 2000; i++)
        pulmo_fail_in(PULMO_IO, "deeper");
    assert_true(strlen(pulmo_error()) < 4096);
    pulmo_error_clear();
    assert_string_equal(pulmo_error(), "");
    assert_int_equal(pulmo_status_exit(PULMO_OK), 0);
    assert_int_equal(pulmo_status_exit(PULMO_CONFIG), 2);
    assert_int_equal(pulmo_status_exit(PULMO_WEIGHTS), 65);
    assert_int_equal(pulmo_status_exit(PULMO_IO), 74);
    assert_int_equal(pulmo_status_exit(PULMO_INTERRUPTED), 75);
}

static void test_memory(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes < (8u << 20); bytes = bytes * 3 + 1) {
        unsigned char *block = pulmo_alloc(bytes, 1);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % PULMO_ALIGN, 0);
        for (size_t i = 0; i < bytes; i += 511)
            assert_int_equal(block[i], 0);
        pulmo_free(block);
    }
    assert_null(pulmo_alloc(SIZE_MAX / 2, 3));
    assert_non_null(strstr(pulmo_error(), "cannot allocate"));
    assert_true(memory_available_bytes() > (1u << 20));
}

/* What cannot be held is refused with the need, its reason and the way out. */
static void test_memory_need(void **state)
{
    const uint64_t pebibyte = (uint64_t)1 << 50;
    (void)state;
    if (memory_available_bytes() == UINT64_MAX)
        skip();
    assert_int_equal(pulmo_memory_need(4096, "use less", "a page"), PULMO_OK);
    assert_int_equal(pulmo_memory_need(pebibyte, "use less", "a net of %d layers", 99),
                     PULMO_MEMORY);
    assert_non_null(strstr(pulmo_error(), "a net of 99 layers needs 1073741824 MB on "));
    assert_non_null(strstr(pulmo_error(), " MB are free or allowed; use less"));
}

static void test_isa(void **state)
{
    pulmo_isa isa;
    (void)state;
    setenv("PULMO_ISA", "ref", 1);
    assert_ok(pulmo_isa_choose(&isa));
    assert_int_equal(isa, PULMO_ISA_REF);
    setenv("PULMO_ISA", "sse", 1);
    assert_refused(pulmo_isa_choose(&isa), PULMO_USAGE, "sse");
#if defined(__aarch64__)
    setenv("PULMO_ISA", "avx2", 1);
    assert_int_equal(pulmo_isa_widest(), PULMO_ISA_NEON);
#else
    setenv("PULMO_ISA", "neon", 1);
#endif
    assert_refused(pulmo_isa_choose(&isa), PULMO_USAGE, "does not have it");
    unsetenv("PULMO_ISA");
    assert_ok(pulmo_isa_choose(&isa));
    assert_true(pulmo_isa_available(isa));
    assert_true(pulmo_cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox),        cmocka_unit_test(test_rng_is_looked_up),
        cmocka_unit_test(test_distributions), cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_digest),        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_reports),       cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_need),   cmocka_unit_test(test_isa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
