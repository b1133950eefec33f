/* A fixed set of threads that run numbered tasks. Not collective.
 *
 * A task's work must depend on its number alone, so that results do not depend on how many
 * threads there are or which of them ran it. */
#ifndef PULMO_POOL_H
#define PULMO_POOL_H

#include "pulmo/status.h"

typedef struct pulmo_pool pulmo_pool;

/* `thread` is 0 .. threads-1, for scratch memory of one's own. */
typedef void (*pulmo_task)(void *context, int task, int thread);

/* Starts `threads` - 1 threads; the caller is thread 0 of every run. `threads` >= 1.
 * Owned by the caller. */
pulmo_status pulmo_pool_create(int threads, pulmo_pool **out);
void pulmo_pool_destroy(pulmo_pool *pool); /* NULL is a no-op */

int pulmo_pool_threads(const pulmo_pool *pool);

/* Runs task 0 .. tasks-1, handed out in order as threads come free, and returns when all are
 * done. Not reentrant: one run at a time a pool, from one thread. Idle threads spin for about
 * 50 microseconds and then sleep. */
void pulmo_pool_run(pulmo_pool *pool, int tasks, pulmo_task task, void *context);

/* A task that can fail. Its report, which belongs to the worker's thread, travels with the status.
 */
typedef pulmo_status (*pulmo_trial)(void *context, int task, int thread);

/* As pulmo_pool_run, until one fails: no task is begun after a lower-numbered one has failed.
 * Returns the failure of the lowest number, whichever came first; its report is then the caller's.
 */
pulmo_status pulmo_pool_try(pulmo_pool *pool, int tasks, pulmo_trial task, void *context);

#endif
