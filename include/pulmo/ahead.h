/* Items made ahead of their use: threads fill the batches of a small ring, in order, while the
 * caller works on the oldest one. Where the caller comes too early, its pool's threads help, so
 * that nothing is slower than without the ring, and nothing needs it. Not collective.
 *
 * An item's value must depend on its batch and number alone: which thread makes it, and when, is
 * open. */
#ifndef PULMO_AHEAD_H
#define PULMO_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/pool.h"
#include "pulmo/status.h"

#define PULMO_AHEAD_BATCHES 2    /* places: the caller's and the one that is filled meanwhile */
#define PULMO_AHEAD_END     (-1) /* there is no such batch, nor a later one */

/* Which item is made, and where it goes. */
typedef struct pulmo_ahead_item {
    uint64_t batch;
    int item, place; /* in its batch; of the batch, in the caller's memory */
    int thread;      /* 0 .. threads + the pool's - 1, for scratch memory of one's own */
} pulmo_ahead_item;

typedef struct pulmo_ahead_work {
    int items;   /* of a batch, at most */
    int depth;   /* places, at least 1 */
    int threads; /* that fill them, at least 1 */
    /* Plans a batch, in their order: its items go to this place, which is free. Returns how many
     * they are, or PULMO_AHEAD_END. Called by one thread at a time. */
    int (*plan)(void *context, uint64_t batch, int place);
    /* Called from several threads at once, for different items. */
    pulmo_status (*make)(void *context, const pulmo_ahead_item *item);
    void *context; /* kept */
} pulmo_ahead_work;

typedef struct pulmo_ahead_batch {
    uint64_t number;
    int count; /* items */
    int place;
    bool ended;                    /* there are no more batches: this is none */
    const pulmo_failure *failures; /* (count): how each item ended */
} pulmo_ahead_batch;

typedef struct pulmo_ahead pulmo_ahead;

/* Nothing is made before begin. `pool` is kept, and is the caller's own between calls. Without one
 * (NULL) the caller merely waits, and a thread that cannot be had is PULMO_RUNTIME; with one it is
 * no failure. PULMO_MEMORY. Owned by the caller. */
pulmo_status pulmo_ahead_create(const pulmo_ahead_work *work, pulmo_pool *pool, pulmo_ahead **out);
/* Waits for the items that are being made; NULL is a no-op. */
void pulmo_ahead_destroy(pulmo_ahead *ahead);
/* From batch 0 on, whatever was made or lent before. */
void pulmo_ahead_begin(pulmo_ahead *ahead);
/* Waits until nothing is being made, and makes nothing more before the next begin: what `context`
 * leads to may change. */
void pulmo_ahead_halt(pulmo_ahead *ahead);
/* The next batch, all of it made; it is lent until the next call. Items that failed are in it. */
void pulmo_ahead_next(pulmo_ahead *ahead, pulmo_ahead_batch *out);
/* The failure of the batch's first item that has one. */
pulmo_status pulmo_ahead_outcome(const pulmo_ahead_batch *batch);

#endif
