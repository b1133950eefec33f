/* Agreement, data between ranks, and what a failing rank does to the others. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agreed.h"
#include "pulmo/memory.h"

static int rank(void)
{
    return pulmo_comm_rank(world);
}
static int size(void)
{
    return pulmo_comm_size(world);
}

static void test_world(void **state)
{
    (void)state;
    CHECK(rank() >= 0 && rank() < size());
    CHECK(pulmo_comm_node_size(world) >= 1 && pulmo_comm_node_size(world) <= size());
    CHECK(pulmo_comm_nodes(world) >= 1 && pulmo_comm_nodes(world) <= size());
    CHECK(strlen(pulmo_comm_host(world)) > 0);
    const char *launched = getenv("OMPI_COMM_WORLD_SIZE");
    if (!launched)
        launched = getenv("PMI_SIZE");
    CHECK(!launched || atoi(launched) == size());
}

static void test_any(void **state)
{
    (void)state;
    CHECK(!pulmo_any(world, 0));
    for (int r = 0; r < size(); r++)
        CHECK(pulmo_any(world, rank() == r) == 1);
    CHECK(pulmo_any(world, 256) == 1); /* a flag is not cut to a byte */
}

/* Whoever fails, all ranks have the same status and the same words. */
static void test_agree_on_failure(void **state)
{
    (void)state;
    CHECK(pulmo_agree(world, PULMO_OK) == PULMO_OK);
    for (int bad = 0; bad < size(); bad++) {
        char expected[512];
        pulmo_error_clear();
        pulmo_status local =
            rank() == bad ? pulmo_fail(PULMO_DATA, "file %d is broken", bad) : PULMO_OK;
        CHECK(pulmo_agree(world, local) == PULMO_DATA);
        if (bad == 0)
            snprintf(expected, sizeof expected, "file 0 is broken");
        else
            snprintf(expected, sizeof expected, "rank %d on host %s: file %d is broken", bad,
                     pulmo_comm_host(world), bad);
        CHECK(strcmp(pulmo_error(), expected) == 0 || pulmo_comm_nodes(world) > 1);
        CHECK(strstr(pulmo_error(), "is broken") != NULL);
    }
}

static void test_agree_lowest_speaks(void **state)
{
    (void)state;
    pulmo_status local =
        pulmo_fail(rank() == 0 ? PULMO_IO : PULMO_CONFIG, "rank %d's own words", rank());
    CHECK(pulmo_agree(world, local) == PULMO_IO);
    CHECK(strcmp(pulmo_error(), "rank 0's own words") == 0);
}

static void test_agree_without_words(void **state)
{
    (void)state;
    pulmo_error_clear();
    CHECK(pulmo_agree(world, rank() == size() - 1 ? PULMO_MEMORY : PULMO_OK) == PULMO_MEMORY);
    CHECK(size() == 1 || strstr(pulmo_error(), pulmo_status_text(PULMO_MEMORY)) != NULL);
}

static void test_agree_long_report(void **state)
{
    char words[5000];
    (void)state;
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    pulmo_status local = rank() == size() - 1 ? pulmo_fail(PULMO_DATA, "%s", words) : PULMO_OK;
    CHECK(pulmo_agree(world, local) == PULMO_DATA);
    CHECK(strlen(pulmo_error()) > 4000);
}

static void test_same(void **state)
{
    char text[2000];
    (void)state;
    CHECK(pulmo_same(world, "the recipe", "flour") == PULMO_OK);
    CHECK(pulmo_same(world, "nothing", "") == PULMO_OK);
    /* Texts that differ only beyond what the report shows must be told apart too. */
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    if (rank() == size() - 1)
        text[sizeof text - 2] = 'b';
    CHECK(pulmo_same(world, "a long text", text) == (size() == 1 ? PULMO_OK : PULMO_RUNTIME));
    CHECK(size() == 1 || strstr(pulmo_error(), "a long text") != NULL);
}

static void test_bcast(void **state)
{
    (void)state;
    for (int root = 0; root < size(); root++) {
        unsigned char data[1000];
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = (unsigned char)(rank() == root ? i * 7 + (size_t)root : 0);
        CHECK(pulmo_bcast(world, data, sizeof data, root) == PULMO_OK);
        int good = 1;
        for (size_t i = 0; i < sizeof data; i++)
            good = good && data[i] == (unsigned char)(i * 7 + (size_t)root);
        CHECK(good);
        CHECK(pulmo_bcast(world, NULL, 0, root) == PULMO_OK);
    }
}

/* What is named comes from the root; a pointer between stays each rank's own. */
static void test_bcast_fields(void **state)
{
    (void)state;
    for (int root = 0; root < size(); root++) {
        struct {
            int32_t a;
            const char *own;
            double b;
            char text[5];
        } it = {.a = 100 + rank(), .own = "mine", .b = rank() / 8.0};
        const char *own = it.own;
        snprintf(it.text, sizeof it.text, "r%d", rank());
        const pulmo_field fields[] = {PULMO_FIELD(it.a), PULMO_FIELD(it.b), PULMO_FIELD(it.text)};
        CHECK(pulmo_bcast_fields(world, fields, 3, root) == PULMO_OK);
        CHECK(it.a == 100 + root && it.b == root / 8.0 && it.own == own);
        CHECK(it.text[0] == 'r' && atoi(it.text + 1) == root);
        CHECK(pulmo_bcast_fields(world, NULL, 0, root) == PULMO_OK);
    }
}

static void test_reductions(void **state)
{
    (void)state;
    double values[3] = {-1.0 * rank(), rank() == size() - 1 ? 5e300 : -DBL_MAX,
                        rank() == 0 ? INFINITY : 0};
    CHECK(pulmo_max_f64(world, values, 3) == PULMO_OK);
    CHECK(values[0] == 0.0 && values[1] == 5e300 && isinf(values[2]));
    int64_t sums[2] = {((int64_t)1 << 40) + rank(), -rank()};
    CHECK(pulmo_sum_i64(world, sums, 2) == PULMO_OK);
    int64_t n = size(), triangle = n * (n - 1) / 2;
    CHECK(sums[0] == n * ((int64_t)1 << 40) + triangle && sums[1] == -triangle);
    float reals[2] = {1, (float)rank()};
    CHECK(pulmo_sum_f32(world, reals, 2) == PULMO_OK);
    CHECK(reals[0] == (float)n && reals[1] == (float)triangle);
    CHECK(pulmo_sum_i64(world, NULL, 0) == PULMO_OK);
}

/* A byte that tells where it comes from. */
static char byte_of(int r, size_t i)
{
    return (char)(r * 31 + (int)(i % 97));
}

static void gather(size_t mine, const size_t *expected)
{
    size_t counts[64], all_bytes = 0, at = 0;
    void *all = NULL;
    char *piece = malloc(mine + 1);
    for (size_t i = 0; i < mine; i++)
        piece[i] = byte_of(rank(), i);
    CHECK(pulmo_gather_all(world, mine ? piece : NULL, mine, &all, &all_bytes, counts) == PULMO_OK);
    int good = 1;
    for (int r = 0; r < size(); r++) {
        good = good && counts[r] == expected[r];
        for (size_t i = 0; i < counts[r]; i++)
            good = good && ((char *)all)[at + i] == byte_of(r, i);
        at += counts[r];
    }
    CHECK(good && at == all_bytes);
    pulmo_free(all);
    free(piece);
}

static void test_gather(void **state)
{
    size_t expected[64];
    (void)state;
    for (int r = 0; r < size(); r++)
        expected[r] = (size_t)r * 1000 + 1;
    gather(expected[rank()], expected);
    for (int r = 0; r < size(); r++)
        expected[r] = r % 2 ? 0 : 17; /* some empty */
    gather(expected[rank()], expected);
    for (int r = 0; r < size(); r++)
        expected[r] = r == size() - 1 ? 5 : 0; /* rank 0 empty */
    gather(expected[rank()], expected);
    for (int r = 0; r < size(); r++)
        expected[r] = 0;
    gather(0, expected);
}

/* More than an int counts: 2 GB and a bit, in one message and joined. */
static void test_large(void **state)
{
    (void)state;
    if (!getenv("PULMO_TEST_LARGE"))
        skip(); /* needs 5 GB a rank */
    size_t bytes = ((size_t)1 << 31) + 12345, counts[64], all_bytes = 0;
    void *all = NULL;
    char *data = pulmo_alloc(bytes, 1);
    CHECK(data != NULL);
    if (rank() == 0)
        data[bytes - 1] = data[bytes / 2] = 42;
    CHECK(pulmo_bcast(world, data, bytes, 0) == PULMO_OK);
    CHECK(data[bytes - 1] == 42 && data[bytes / 2] == 42 && data[0] == 0);
    size_t mine = rank() == 0 ? bytes : 3;
    CHECK(pulmo_gather_all(world, data, mine, &all, &all_bytes, counts) == PULMO_OK);
    CHECK(all_bytes == bytes + 3 * (size_t)(size() - 1) && ((char *)all)[bytes - 1] == 42);
    pulmo_free(all);
    pulmo_free(data);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_world),
    cmocka_unit_test(test_any),
    cmocka_unit_test(test_agree_on_failure),
    cmocka_unit_test(test_agree_lowest_speaks),
    cmocka_unit_test(test_agree_without_words),
    cmocka_unit_test(test_agree_long_report),
    cmocka_unit_test(test_same),
    cmocka_unit_test(test_bcast),
    cmocka_unit_test(test_bcast_fields),
    cmocka_unit_test(test_reductions),
    cmocka_unit_test(test_gather),
    cmocka_unit_test(test_large),
};
RUN_AGREED(tests)
