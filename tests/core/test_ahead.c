/* Items made ahead: in order, whoever makes them, and while the caller is at the batch before. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "pulmo/ahead.h"
#include "pulmo/clock.h"

enum { ITEMS = 7, MANY = 100, PATIENCE_S = 20, DEPTH = 5, THREADS = 8 };

typedef struct factory {
    pulmo_pool *pool;
    pulmo_ahead *ahead;
    int items;           /* in all */
    int fails[2];        /* items, counted over all batches, that fail; -1: none */
    double slow_s;       /* what an item takes */
    atomic_int made;     /* in all */
    atomic_int by_owner; /* made by the thread that owns the pool */
    pthread_t owner;
    atomic_int by_thread[THREADS];
    uint64_t batch[DEPTH]; /* planned for the place */
    int value[DEPTH][ITEMS];
} factory;

static int plan(void *context, uint64_t batch, int place)
{
    factory *f = context;
    const int left = f->items - (int)batch * ITEMS;
    f->batch[place] = batch;
    if (left <= 0)
        return PULMO_AHEAD_END;
    return left < ITEMS ? left : ITEMS;
}

static pulmo_status make(void *context, const pulmo_ahead_item *it)
{
    factory *f = context;
    const int number = (int)it->batch * ITEMS + it->item;
    const double until_s = pulmo_now_s() + f->slow_s;
    while (pulmo_now_s() < until_s) {
    }
    f->value[it->place][it->item] = number;
    atomic_fetch_add(&f->by_thread[it->thread], 1);
    if (pthread_equal(pthread_self(), f->owner))
        atomic_fetch_add(&f->by_owner, 1);
    atomic_fetch_add(&f->made, 1);
    if (number == f->fails[0] || number == f->fails[1])
        return pulmo_fail(PULMO_DATA, "item %d", number);
    return PULMO_OK;
}

static pulmo_ahead_work work_of(factory *f)
{
    return (pulmo_ahead_work){.items = ITEMS,
                              .depth = PULMO_AHEAD_BATCHES,
                              .threads = 1,
                              .plan = plan,
                              .make = make,
                              .context = f};
}

static void fill_factory(factory *f)
{
    memset(f, 0, sizeof *f);
    f->items = MANY;
    f->fails[0] = -1;
    f->fails[1] = -1;
    f->owner = pthread_self();
}

static void open_factory(factory *f, int threads)
{
    const pulmo_ahead_work work = work_of(f);
    fill_factory(f);
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
        assert_int_equal(f->batch[batch.place], batch.number);
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

static void wait_for(const factory *f, int items)
{
    const double until_s = pulmo_now_s() + PATIENCE_S;
    while (atomic_load(&f->made) < items && pulmo_now_s() < until_s)
        nap();
}

/* Of any depth and number of threads, with no pool that helps: all places but the lent one's are
 * filled, by the ring's own threads. */
static void a_deep_ring_of_several_threads(void **state)
{
    static factory f;
    pulmo_ahead_batch batch;
    (void)state;
    for (int depth = 1; depth <= DEPTH; depth++) {
        pulmo_ahead_work work = work_of(&f);
        work.depth = depth;
        work.threads = depth;
        fill_factory(&f);
        assert_ok(pulmo_ahead_create(&work, NULL, &f.ahead));
        pulmo_ahead_begin(f.ahead);
        pulmo_ahead_next(f.ahead, &batch);
        wait_for(&f, depth * ITEMS);
        nap();
        assert_int_equal(atomic_load(&f.made), depth * ITEMS);
        pulmo_ahead_begin(f.ahead);
        assert_int_equal(take_all(&f), MANY);
        assert_int_equal(atomic_load(&f.by_owner), 0);
        int by_threads = 0;
        for (int i = 0; i < depth; i++)
            by_threads += atomic_load(&f.by_thread[i]);
        assert_true(by_threads >= depth * ITEMS + MANY);
        pulmo_ahead_destroy(f.ahead);
    }
}

/* Every second batch has no items: it comes in its turn, and is not the end. */
static int plan_gaps(void *context, uint64_t batch, int place)
{
    (void)place;
    const factory *f = context;
    if (batch == (uint64_t)f->items)
        return PULMO_AHEAD_END;
    return batch % 2 ? 0 : 1;
}

static void an_empty_batch_is_not_the_end(void **state)
{
    static factory f;
    pulmo_ahead_batch batch;
    pulmo_ahead_work work = work_of(&f);
    (void)state;
    work.plan = plan_gaps;
    fill_factory(&f);
    f.items = 9;
    assert_ok(pulmo_ahead_create(&work, NULL, &f.ahead));
    pulmo_ahead_begin(f.ahead);
    for (int i = 0; i < f.items; i++) {
        pulmo_ahead_next(f.ahead, &batch);
        assert_false(batch.ended);
        assert_int_equal(batch.number, i);
        assert_int_equal(batch.count, i % 2 ? 0 : 1);
        assert_ok(pulmo_ahead_outcome(&batch));
    }
    pulmo_ahead_next(f.ahead, &batch);
    assert_true(batch.ended);
    pulmo_ahead_destroy(f.ahead);
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
        cmocka_unit_test(a_deep_ring_of_several_threads),
        cmocka_unit_test(an_empty_batch_is_not_the_end),
        cmocka_unit_test(failures_stay_with_their_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
