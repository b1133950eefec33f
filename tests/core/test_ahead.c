/* Items made ahead: in order, whoever makes them, and while the caller is at the batch before. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "pulmo/ahead.h"
#include "pulmo/clock.h"

enum { ITEMS = 7, MANY = 100, PATIENCE_S = 20 };

typedef struct factory {
    pulmo_pool *pool;
    pulmo_ahead *ahead;
    int items;           /* in all */
    int fails[2];        /* items, counted over all batches, that fail; -1: none */
    double slow_s;       /* what an item takes */
    atomic_int made;     /* in all */
    atomic_int by_owner; /* made by the thread that owns the pool */
    pthread_t owner;
    int value[PULMO_AHEAD_BATCHES][ITEMS];
} factory;

static int size(const void *context, uint64_t batch)
{
    const factory *f = context;
    const int left = f->items - (int)batch * ITEMS;
    if (left <= 0)
        return 0;
    return left < ITEMS ? left : ITEMS;
}

static pulmo_status make(void *context, uint64_t batch, int item, int place)
{
    factory *f = context;
    const int number = (int)batch * ITEMS + item;
    const double until_s = pulmo_now_s() + f->slow_s;
    while (pulmo_now_s() < until_s) {
    }
    f->value[place][item] = number;
    if (pthread_equal(pthread_self(), f->owner))
        atomic_fetch_add(&f->by_owner, 1);
    atomic_fetch_add(&f->made, 1);
    if (number == f->fails[0] || number == f->fails[1])
        return pulmo_fail(PULMO_DATA, "item %d", number);
    return PULMO_OK;
}

static void open_factory(factory *f, int threads)
{
    const pulmo_ahead_work work = {.items = ITEMS, .size = size, .make = make, .context = f};
    memset(f, 0, sizeof *f);
    f->items = MANY;
    f->fails[0] = -1;
    f->fails[1] = -1;
    f->owner = pthread_self();
    assert_ok(pulmo_pool_create(threads, &f->pool));
    assert_ok(pulmo_ahead_create(&work, f->pool, &f->ahead));
}

static void close_factory(factory *f)
{
    pulmo_ahead_destroy(f->ahead);
    pulmo_pool_destroy(f->pool);
}

static void nap(void)
{
    const struct timespec millisecond = {.tv_nsec = 1000000};
    nanosleep(&millisecond, NULL);
}

/* Takes all batches; returns their items, which must come in order. */
static int take_all(factory *f)
{
    int items = 0;
    pulmo_ahead_batch batch;
    pulmo_ahead_next(f->ahead, &batch);
    while (batch.count > 0) {
        assert_int_equal(batch.number, items / ITEMS);
        for (int i = 0; i < batch.count; i++) {
            assert_int_equal(f->value[batch.place][i], items);
            items++;
        }
        pulmo_ahead_next(f->ahead, &batch);
    }
    pulmo_ahead_next(f->ahead, &batch); /* the end stays the end */
    assert_int_equal(batch.count, 0);
    return items;
}

static void all_items_come_in_order(void **state)
{
    static factory f;
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        open_factory(&f, threads);
        for (int items = 0; items <= MANY; items += 5) {
            f.items = items;
            pulmo_ahead_begin(f.ahead);
            assert_int_equal(take_all(&f), items);
            pulmo_ahead_halt(f.ahead);
        }
        close_factory(&f);
    }
    pulmo_ahead_destroy(NULL);
}

/* The caller holds the first batch and asks for nothing. */
static void the_next_batch_is_made_meanwhile(void **state)
{
    static factory f;
    pulmo_ahead_batch batch;
    (void)state;
    open_factory(&f, 1);
    pulmo_ahead_begin(f.ahead);
    pulmo_ahead_next(f.ahead, &batch);
    const double until_s = pulmo_now_s() + PATIENCE_S;
    while (atomic_load(&f.made) < 2 * ITEMS && pulmo_now_s() < until_s)
        nap();
    for (int naps = 0; naps < 20; naps++) /* no third one: its place is the lent one's */
        nap();
    assert_int_equal(atomic_load(&f.made), 2 * ITEMS);
    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(f.value[batch.place][i], i);
    close_factory(&f);
}

/* A caller that waits works. */
static void the_pool_helps(void **state)
{
    static factory f;
    (void)state;
    open_factory(&f, 2);
    f.slow_s = 1e-3;
    pulmo_ahead_begin(f.ahead);
    assert_int_equal(take_all(&f), MANY);
    assert_true(atomic_load(&f.by_owner) > 0);
    assert_int_equal(atomic_load(&f.made), MANY);
    close_factory(&f);
}

static void failures_stay_with_their_items(void **state)
{
    static factory f;
    pulmo_ahead_batch batch;
    (void)state;
    open_factory(&f, 2);
    f.fails[0] = ITEMS + 5;
    f.fails[1] = ITEMS + 3;
    pulmo_ahead_begin(f.ahead);
    pulmo_ahead_next(f.ahead, &batch);
    assert_ok(pulmo_ahead_outcome(&batch));
    pulmo_ahead_next(f.ahead, &batch);
    assert_int_equal(pulmo_ahead_outcome(&batch), PULMO_DATA);
    assert_string_equal(pulmo_error(), "item 10");
    for (int i = 0; i < batch.count; i++)
        assert_int_equal(batch.failures[i].status, i == 3 || i == 5 ? PULMO_DATA : PULMO_OK);
    pulmo_ahead_next(f.ahead, &batch);
    assert_ok(pulmo_ahead_outcome(&batch));
    /* From the beginning again, in the middle of it. */
    f.fails[1] = -1;
    pulmo_ahead_halt(f.ahead);
    pulmo_ahead_begin(f.ahead);
    assert_int_equal(take_all(&f), MANY);
    close_factory(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_items_come_in_order),
        cmocka_unit_test(the_next_batch_is_made_meanwhile),
        cmocka_unit_test(the_pool_helps),
        cmocka_unit_test(failures_stay_with_their_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
