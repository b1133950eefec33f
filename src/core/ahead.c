/* A ring of batches: the lent one, and those that are made meanwhile. `head` is the oldest that is
 * not free.
 *
 *   free ----> planned -----------> made ------> lent ------> free
 *      plan()      helpers, or the      next()      the next next()
 *                  pool within next()
 *
 * halt() and begin() free all of them from any state: nothing that is planned is taken any more,
 * and what is being made is waited for (`busy`). All of it is under one lock, except the making
 * itself. */
#include "pulmo/ahead.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct ring_batch {
    uint64_t number;
    int count;
    int taken, made; /* items given to threads, items done */
    pulmo_failure *failures;
} ring_batch;

typedef struct helper {
    pulmo_ahead *ahead;
    int number;
    pthread_t thread;
} helper;

struct pulmo_ahead {
    pulmo_ahead_work work;
    pulmo_pool *pool;
    ring_batch *ring;  /* (work.depth) */
    int head, planned; /* the oldest planned batch, and how many are planned */
    uint64_t next;     /* the batch to plan next */
    bool ended;        /* there is no such batch */
    bool lent;         /* the oldest is in the caller's hands */
    int busy;          /* items being made now */
    pthread_mutex_t lock;
    pthread_cond_t wanted, progress;
    helper *helpers; /* (work.threads) */
    int started;
    bool stop;
};

static int place_of(const pulmo_ahead *ahead, int i)
{
    return (ahead->head + i) % ahead->work.depth;
}

/* Plans batches while there is room. With the lock held. */
static void plan(pulmo_ahead *ahead)
{
    while (ahead->planned < ahead->work.depth && !ahead->ended) {
        const int place = place_of(ahead, ahead->planned);
        ring_batch *b = &ahead->ring[place];
        b->count = ahead->work.plan(ahead->work.context, ahead->next, place);
        if (b->count == PULMO_AHEAD_END) {
            ahead->ended = true;
            break;
        }
        b->number = ahead->next;
        b->taken = 0;
        b->made = 0;
        ahead->next++;
        ahead->planned++;
    }
    pthread_cond_broadcast(&ahead->wanted);
}

/* Makes one item of the first `batches` planned ones; false where all of theirs are taken. With the
 * lock held, but not while the item is made. */
static bool make_one(pulmo_ahead *ahead, int batches, int thread)
{
    int i = 0;
    while (i < batches &&
           ahead->ring[place_of(ahead, i)].taken == ahead->ring[place_of(ahead, i)].count)
        i++;
    if (i >= batches)
        return false;
    const int place = place_of(ahead, i);
    ring_batch *b = &ahead->ring[place];
    const pulmo_ahead_item item = {
        .batch = b->number, .item = b->taken, .place = place, .thread = thread};
    b->taken++;
    ahead->busy++;
    pthread_mutex_unlock(&ahead->lock);
    pulmo_status status = ahead->work.make(ahead->work.context, &item);
    pulmo_failure_keep(&b->failures[item.item], status);
    pthread_mutex_lock(&ahead->lock);
    b->made++;
    ahead->busy--;
    pthread_cond_broadcast(&ahead->progress);
    return true;
}

static void *helper_main(void *argument)
{
    const helper *self = argument;
    pulmo_ahead *ahead = self->ahead;
    pthread_mutex_lock(&ahead->lock);
    while (!ahead->stop) {
        if (!make_one(ahead, ahead->planned, self->number))
            pthread_cond_wait(&ahead->wanted, &ahead->lock);
    }
    pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

/* A thread of the pool, at the batch that the caller waits for. */
static void help(void *context, int task, int thread)
{
    pulmo_ahead *ahead = context;
    (void)task;
    pthread_mutex_lock(&ahead->lock);
    while (make_one(ahead, 1, ahead->work.threads + thread)) {
    }
    pthread_mutex_unlock(&ahead->lock);
}

/* ---- the ring ---- */

static pulmo_status allocate(pulmo_ahead *ahead)
{
    const size_t depth = (size_t)ahead->work.depth;
    const size_t threads = (size_t)ahead->work.threads;
    const size_t items = (size_t)ahead->work.items;
    ahead->ring = calloc(depth, sizeof *ahead->ring);
    ahead->helpers = calloc(threads, sizeof *ahead->helpers);
    bool whole = ahead->ring && ahead->helpers;
    for (size_t i = 0; i < depth && whole; i++) {
        ahead->ring[i].failures = calloc(items, sizeof(pulmo_failure));
        whole = ahead->ring[i].failures != NULL;
    }
    if (whole)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for %d items at a time", ahead->work.items);
}

static pulmo_status start_threads(pulmo_ahead *ahead)
{
    const int threads = ahead->work.threads;
    for (; ahead->started < threads; ahead->started++) {
        helper *h = &ahead->helpers[ahead->started];
        *h = (helper){.ahead = ahead, .number = ahead->started};
        if (pthread_create(&h->thread, NULL, helper_main, h) != 0)
            return ahead->pool ? PULMO_OK
                               : pulmo_fail(PULMO_RUNTIME,
                                            "cannot start reading thread %d of %d; ask for fewer",
                                            ahead->started + 1, threads);
    }
    return PULMO_OK;
}

pulmo_status pulmo_ahead_create(const pulmo_ahead_work *work, pulmo_pool *pool, pulmo_ahead **out)
{
    pulmo_ahead *ahead = calloc(1, sizeof *ahead);
    if (!ahead)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %d items at a time", work->items);
    ahead->work = *work;
    ahead->pool = pool;
    ahead->ended = true;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->wanted, NULL);
    pthread_cond_init(&ahead->progress, NULL);
    pulmo_status status = allocate(ahead);
    if (status == PULMO_OK)
        status = start_threads(ahead);
    if (status == PULMO_OK)
        *out = ahead;
    else
        pulmo_ahead_destroy(ahead);
    return status;
}

void pulmo_ahead_destroy(pulmo_ahead *ahead)
{
    if (!ahead)
        return;
    pthread_mutex_lock(&ahead->lock);
    ahead->stop = true;
    pthread_cond_broadcast(&ahead->wanted);
    pthread_mutex_unlock(&ahead->lock);
    for (int i = 0; i < ahead->started; i++)
        pthread_join(ahead->helpers[i].thread, NULL);
    for (int i = 0; ahead->ring && i < ahead->work.depth; i++)
        free(ahead->ring[i].failures);
    pthread_cond_destroy(&ahead->progress);
    pthread_cond_destroy(&ahead->wanted);
    pthread_mutex_destroy(&ahead->lock);
    free(ahead->helpers);
    free(ahead->ring);
    free(ahead);
}

/* With the lock held. */
static void drop_all(pulmo_ahead *ahead)
{
    ahead->planned = 0;
    ahead->ended = true;
    ahead->lent = false;
    while (ahead->busy > 0)
        pthread_cond_wait(&ahead->progress, &ahead->lock);
}

void pulmo_ahead_halt(pulmo_ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    drop_all(ahead);
    pthread_mutex_unlock(&ahead->lock);
}

void pulmo_ahead_begin(pulmo_ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    drop_all(ahead);
    ahead->next = 0;
    ahead->ended = false;
    plan(ahead);
    pthread_mutex_unlock(&ahead->lock);
}

/* All of the oldest batch, with the pool's threads where some of it is not yet begun. With the lock
 * held. */
static void complete(pulmo_ahead *ahead, const ring_batch *b)
{
    if (ahead->pool && b->taken < b->count) {
        pthread_mutex_unlock(&ahead->lock);
        pulmo_pool_run(ahead->pool, pulmo_pool_threads(ahead->pool), help, ahead);
        pthread_mutex_lock(&ahead->lock);
    }
    while (b->made < b->count)
        pthread_cond_wait(&ahead->progress, &ahead->lock);
}

void pulmo_ahead_next(pulmo_ahead *ahead, pulmo_ahead_batch *out)
{
    *out = (pulmo_ahead_batch){.ended = true};
    pthread_mutex_lock(&ahead->lock);
    if (ahead->lent) { /* the last batch's place is free again */
        ahead->head = place_of(ahead, 1);
        ahead->planned--;
        ahead->lent = false;
    }
    plan(ahead);
    if (ahead->planned > 0) {
        const int place = ahead->head;
        const ring_batch *b = &ahead->ring[place];
        complete(ahead, b);
        ahead->lent = true;
        *out = (pulmo_ahead_batch){
            .number = b->number, .count = b->count, .place = place, .failures = b->failures};
    }
    pthread_mutex_unlock(&ahead->lock);
}

pulmo_status pulmo_ahead_outcome(const pulmo_ahead_batch *batch)
{
    for (int i = 0; i < batch->count; i++)
        PULMO_TRY(pulmo_failure_raise(&batch->failures[i]));
    return PULMO_OK;
}
