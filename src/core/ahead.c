/* A ring of two batches: the lent one, and the one that is made meanwhile.
 *
 *   free ----> planned -----------> made ------> lent ------> free
 *      plan()      helper, or the       next()      the next next()
 *                  pool within next()
 *
 * All of it is under one lock, except the making itself. */
#include "pulmo/ahead.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct ring_batch {
    uint64_t number;
    int count;
    int taken, made; /* items given to threads, items done */
    pulmo_failure *failures;
} ring_batch;

struct pulmo_ahead {
    pulmo_ahead_work work;
    pulmo_pool *pool;
    ring_batch ring[PULMO_AHEAD_BATCHES];
    int head, planned; /* the oldest planned batch, and how many are planned */
    uint64_t next;     /* the batch to plan next */
    bool ended;        /* there is no such batch */
    bool lent;         /* the oldest is in the caller's hands */
    int busy;          /* items being made now */
    pthread_mutex_t lock;
    pthread_cond_t wanted, progress;
    pthread_t thread;
    bool started, stop;
};

static int place_of(const pulmo_ahead *ahead, int i)
{
    return (ahead->head + i) % PULMO_AHEAD_BATCHES;
}

/* Plans batches while there is room. With the lock held. */
static void plan(pulmo_ahead *ahead)
{
    while (ahead->planned < PULMO_AHEAD_BATCHES && !ahead->ended) {
        const int place = place_of(ahead, ahead->planned);
        ring_batch *b = &ahead->ring[place];
        b->count = ahead->work.size(ahead->work.context, ahead->next);
        if (b->count == 0) {
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
static bool make_one(pulmo_ahead *ahead, int batches)
{
    int i = 0;
    while (i < batches &&
           ahead->ring[place_of(ahead, i)].taken == ahead->ring[place_of(ahead, i)].count)
        i++;
    if (i >= batches)
        return false;
    const int place = place_of(ahead, i);
    ring_batch *b = &ahead->ring[place];
    const int item = b->taken;
    b->taken++;
    ahead->busy++;
    pthread_mutex_unlock(&ahead->lock);
    pulmo_status status = ahead->work.make(ahead->work.context, b->number, item, place);
    pulmo_failure_keep(&b->failures[item], status);
    pthread_mutex_lock(&ahead->lock);
    b->made++;
    ahead->busy--;
    pthread_cond_broadcast(&ahead->progress);
    return true;
}

static void *helper(void *argument)
{
    pulmo_ahead *ahead = argument;
    pthread_mutex_lock(&ahead->lock);
    while (!ahead->stop) {
        if (!make_one(ahead, ahead->planned))
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
    (void)thread;
    pthread_mutex_lock(&ahead->lock);
    while (make_one(ahead, 1)) {
    }
    pthread_mutex_unlock(&ahead->lock);
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
    for (int i = 0; i < PULMO_AHEAD_BATCHES; i++) {
        const size_t items = (size_t)work->items;
        ahead->ring[i].failures = calloc(items, sizeof(pulmo_failure));
        if (!ahead->ring[i].failures) {
            pulmo_ahead_destroy(ahead);
            return pulmo_fail(PULMO_MEMORY, "out of memory for %d items at a time", work->items);
        }
    }
    ahead->started = pthread_create(&ahead->thread, NULL, helper, ahead) == 0;
    *out = ahead;
    return PULMO_OK;
}

void pulmo_ahead_destroy(pulmo_ahead *ahead)
{
    if (!ahead)
        return;
    pthread_mutex_lock(&ahead->lock);
    ahead->stop = true;
    pthread_cond_broadcast(&ahead->wanted);
    pthread_mutex_unlock(&ahead->lock);
    if (ahead->started)
        pthread_join(ahead->thread, NULL);
    for (int i = 0; i < PULMO_AHEAD_BATCHES; i++)
        free(ahead->ring[i].failures);
    pthread_cond_destroy(&ahead->progress);
    pthread_cond_destroy(&ahead->wanted);
    pthread_mutex_destroy(&ahead->lock);
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
    if (b->taken < b->count) {
        pthread_mutex_unlock(&ahead->lock);
        pulmo_pool_run(ahead->pool, pulmo_pool_threads(ahead->pool), help, ahead);
        pthread_mutex_lock(&ahead->lock);
    }
    while (b->made < b->count)
        pthread_cond_wait(&ahead->progress, &ahead->lock);
}

void pulmo_ahead_next(pulmo_ahead *ahead, pulmo_ahead_batch *out)
{
    *out = (pulmo_ahead_batch){0};
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
