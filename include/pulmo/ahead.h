/* Items made ahead of their use: a thread fills the batches of a small ring, in order, while the
 * caller works on the oldest one. Where the caller comes too early, its pool's threads help, so
 * that nothing is slower than without the thread, and nothing needs it. Not collective.
 *
 * An item's value must depend on its batch and number alone: which thread makes it, and when, is
 * open. */
#ifndef PULMO_AHEAD_H
#define PULMO_AHEAD_H

#include <stdint.h>

#include "pulmo/pool.h"
#include "pulmo/status.h"

#define PULMO_AHEAD_BATCHES 2 /* places: the caller's and the one that is filled meanwhile */

/* What is made. Both are called from several threads at once, for different items. */
typedef struct pulmo_ahead_work {
    int items; /* of a batch, at most */
    /* Items of a batch, counted from 0; 0: there is no such batch, nor a later one. */
    int (*size)(const void *context, uint64_t batch);
    /* Makes item `item` of `batch`, into place 0 .. PULMO_AHEAD_BATCHES - 1 of the caller's memory.
     */
    pulmo_status (*make)(void *context, uint64_t batch, int item, int place);
    void *context; /* kept */
} pulmo_ahead_work;

typedef struct pulmo_ahead_batch {
    uint64_t number;
    int count; /* items; 0: there are no more batches */
    int place;
    const pulmo_failure *failures; /* (count): how each item ended */
} pulmo_ahead_batch;

typedef struct pulmo_ahead pulmo_ahead;

/* Nothing is made before begin. `pool` is kept, and is the caller's own between calls.
 * PULMO_MEMORY; a thread that cannot be had is no failure. Owned by the caller. */
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
