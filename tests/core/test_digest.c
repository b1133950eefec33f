/* Digests where libcrypto gets no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "pulmo/digest.h"

static bool starved;

static void *take(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return starved ? NULL : malloc(bytes);
}

static void *retake(void *block, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return starved ? NULL : realloc(block, bytes);
}

static void give(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    free(block);
}

static void assert_digest(const char *text, const char *wanted)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest digest = pulmo_digest_of(text, strlen(text));
    pulmo_digest_hex(&digest, hex);
    assert_string_equal(hex, wanted);
}

/* FIPS 180-4's examples. */
#define OF_ABC        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OF_TWO_BLOCKS "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"

static void test_starved(void **state)
{
    (void)state;
    assert_digest("abc", OF_ABC);
    starved = true;
    pulmo_digester *digester = NULL;
    bool refused = pulmo_digester_create(&digester) != PULMO_OK;
    assert_digest("abc", OF_ABC);
    assert_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", OF_TWO_BLOCKS);
    starved = false;
    assert_true(refused); /* libcrypto asks through us */
    assert_digest("abc", OF_ABC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_starved)};
    if (CRYPTO_set_mem_functions(take, retake, give) != 1)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
