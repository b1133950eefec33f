/* Threads that share tasks, and the failures that travel back from them. */
#include "support.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "pulmo/clock.h"
#include "pulmo/pool.h"

typedef struct tally {
    atomic_int times[500];
    atomic_int wrong;
    int threads;
} tally;

static void count_task(void *context, int task, int thread)
{
    tally *t = context;
    atomic_fetch_add(&t->times[task], 1);
    if (thread < 0 || thread >= t->threads)
        atomic_fetch_add(&t->wrong, 1);
}

static void test_pool(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        pulmo_pool *pool = NULL;
        static tally t;
        memset(&t, 0, sizeof t);
        t.threads = threads;
        assert_ok(pulmo_pool_create(threads, &pool));
        assert_int_equal(pulmo_pool_threads(pool), threads);
        for (int round = 0; round < 200; round++)
            pulmo_pool_run(pool, round % 3 == 0 ? 500 : round % 7, count_task, &t);
        pulmo_pool_run(pool, 0, count_task, &t);
        pulmo_pool_destroy(pool);
        assert_int_equal(atomic_load(&t.wrong), 0);
        assert_int_equal(atomic_load(&t.times[499]), 67);
    }
    pulmo_pool_destroy(NULL);
}

/* Tasks of `fails` fail, a lower one later in time than a higher one. */
typedef struct trial {
    const bool *fails;
    atomic_int begun;
} trial;

static pulmo_status try_task(void *context, int task, int thread)
{
    trial *t = context;
    (void)thread;
    atomic_fetch_add(&t->begun, 1);
    if (!t->fails[task])
        return PULMO_OK;
    double until_s = pulmo_now_s() + (task == 10 ? 0.02 : 0);
    while (pulmo_now_s() < until_s) {
    }
    return pulmo_fail(task % 2 ? PULMO_IO : PULMO_DATA, "task %d", task);
}

static void test_try(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        bool fails[1000] = {false};
        pulmo_pool *pool = NULL;
        assert_ok(pulmo_pool_create(threads, &pool));
        trial all_well = {.fails = fails};
        pulmo_error_clear();
        assert_ok(pulmo_pool_try(pool, 1000, try_task, &all_well));
        assert_int_equal(atomic_load(&all_well.begun), 1000);
        assert_string_equal(pulmo_error(), "");
        for (int task = 10; task < 1000; task++)
            fails[task] = true;
        trial failing = {.fails = fails};
        assert_int_equal(pulmo_pool_try(pool, 1000, try_task, &failing), PULMO_DATA);
        assert_string_equal(pulmo_error(), "task 10");
        /* Task 10 and what other threads had begun when it, or a later one, had failed. */
        assert_true(atomic_load(&failing.begun) >= 11);
        assert_true(atomic_load(&failing.begun) <= 11 + 2 * (threads - 1));
        pulmo_pool_destroy(pool);
    }
}

static void test_failure(void **state)
{
    static pulmo_failure failure;
    (void)state;
    pulmo_fail(PULMO_IO, "of before");
    assert_ok(pulmo_failure_raise(&failure)); /* zeros are none, and leave the report alone */
    assert_string_equal(pulmo_error(), "of before");
    pulmo_failure_keep(&failure, PULMO_IO);
    pulmo_error_clear();
    assert_int_equal(pulmo_failure_raise(&failure), PULMO_IO);
    assert_string_equal(pulmo_error(), "of before");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_try),
        cmocka_unit_test(test_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
