/* One copy a node. */
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include "agreed.h"
#include "pulmo/memory.h"

static void fill(unsigned char *base, size_t bytes, int owner, unsigned seed)
{
    for (size_t i = 0; owner && i < bytes; i++)
        base[i] = (unsigned char)(i * 13 + seed);
}

static int as_filled(const unsigned char *base, size_t bytes, unsigned seed)
{
    for (size_t i = 0; i < bytes; i++)
        if (base[i] != (unsigned char)(i * 13 + seed))
            return 0;
    return 1;
}

static void share(size_t bytes, unsigned seed)
{
    pulmo_shared *shared = NULL;
    void *base = NULL;
    int owner = -1;
    CHECK(pulmo_shared_create(world, bytes, &base, &owner, &shared) == PULMO_OK);
    CHECK(base && (uintptr_t)base % PULMO_ALIGN == 0);
    /* One copy per node: one of its ranks fills it, and all see what it wrote. */
    int64_t owners = owner;
    CHECK(owner == 0 || owner == 1);
    CHECK(pulmo_sum_i64(world, &owners, 1) == PULMO_OK);
    CHECK(bytes == 0 || owners == pulmo_comm_nodes(world));
    fill(base, bytes, owner, seed);
    CHECK(pulmo_shared_publish(world, shared) == PULMO_OK);
    CHECK(as_filled(base, bytes, seed));
    pulmo_shared_destroy(shared);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {1, 63, 4096, 4097, 3000001, 0};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        share(sizes[i], (unsigned)i);
}

static void test_two_at_once(void **state)
{
    pulmo_shared *a = NULL, *b = NULL;
    void *at_a = NULL, *at_b = NULL;
    int owner = 0;
    (void)state;
    CHECK(pulmo_shared_create(world, 1000, &at_a, &owner, &a) == PULMO_OK);
    fill(at_a, 1000, owner, 1);
    CHECK(pulmo_shared_create(world, 2000, &at_b, &owner, &b) == PULMO_OK);
    fill(at_b, 2000, owner, 2);
    CHECK(pulmo_shared_publish(world, a) == PULMO_OK);
    CHECK(pulmo_shared_publish(world, b) == PULMO_OK);
    CHECK(as_filled(at_a, 1000, 1) && as_filled(at_b, 2000, 2));
    pulmo_shared_destroy(a);
    CHECK(as_filled(at_b, 2000, 2));
    pulmo_shared_destroy(b);
    pulmo_shared_destroy(NULL);
}

/* More than the machine can hold is a status on all ranks, not a signal on one. */
static void test_too_large(void **state)
{
    pulmo_shared *shared = NULL;
    void *base = NULL;
    int owner = 0;
    (void)state;
    CHECK(pulmo_shared_create(world, (size_t)1 << 60, &base, &owner, &shared) == PULMO_MEMORY);
    CHECK(shared == NULL && strlen(pulmo_error()) > 0);
}

/* Where memory cannot be shared (here: no file may be so large) each rank fills a copy of its own.
 */
static void test_copies_instead(void **state)
{
    const size_t bytes = 3 << 20;
    struct rlimit before, low;
    pulmo_shared *shared = NULL;
    void *base = NULL;
    int owner = 0;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    low = before;
    low.rlim_cur = 1 << 20;
    CHECK(setrlimit(RLIMIT_FSIZE, &low) == 0);
    pulmo_status status = pulmo_shared_create(world, bytes, &base, &owner, &shared);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(status == PULMO_OK && owner == 1);
    unsigned seed = (unsigned)pulmo_comm_rank(world); /* nobody else sees it */
    fill(base, bytes, owner, seed);
    CHECK(pulmo_shared_publish(world, shared) == PULMO_OK);
    CHECK(as_filled(base, bytes, seed));
    pulmo_shared_destroy(shared);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_sizes),
    cmocka_unit_test(test_two_at_once),
    cmocka_unit_test(test_copies_instead),
    cmocka_unit_test(test_too_large),
};
RUN_AGREED(tests)
