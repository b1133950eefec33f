/* A fixed set of threads that run numbered tasks: a generation counter starts a run, an
 * atomic counter hands out tasks, another counts the threads that are through. */
#include "pulmo/pool.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "pulmo/clock.h"

#define SPIN_S 50e-6

typedef struct worker {
    pulmo_pool *pool;
    int thread;
    pthread_t handle;
} worker;

struct pulmo_pool {
    int threads;
    worker *workers; /* threads - 1 of them: thread 1 .. threads-1 */
    int started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_cond_t finished;
    atomic_uint generation; /* a new value is a new run; changed under the lock */
    atomic_bool stop;
    atomic_int next_task;
    atomic_int running; /* workers not yet through with this run */
    int tasks;
    pulmo_task task;
    void *context;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void run_tasks(pulmo_pool *pool, int thread)
{
    for (;;) {
        int task = atomic_fetch_add_explicit(&pool->next_task, 1, memory_order_relaxed);
        if (task >= pool->tasks)
            return;
        pool->task(pool->context, task, thread);
    }
}

/* Returns when the generation is no longer `seen`: spins a little, then sleeps. */
static unsigned wait_for_run(pulmo_pool *pool, unsigned seen)
{
    double until_s = pulmo_now_s() + SPIN_S;
    unsigned now;
    while ((now = atomic_load_explicit(&pool->generation, memory_order_acquire)) == seen) {
        if (pulmo_now_s() < until_s) {
            relax();
            continue;
        }
        pthread_mutex_lock(&pool->lock);
        while (atomic_load(&pool->generation) == seen)
            pthread_cond_wait(&pool->wake, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
    return now;
}

static void *worker_main(void *argument)
{
    worker *self = argument;
    pulmo_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_run(pool, seen);
        if (atomic_load(&pool->stop))
            return NULL;
        run_tasks(pool, self->thread);
        if (atomic_fetch_sub_explicit(&pool->running, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

pulmo_status pulmo_pool_create(int threads, pulmo_pool **out)
{
    pulmo_pool *pool = calloc(1, sizeof *pool);
    worker *workers = calloc((size_t)threads, sizeof *workers);
    if (!pool || !workers) {
        free(pool);
        free(workers);
        return pulmo_fail(PULMO_MEMORY, "cannot allocate a pool of %d threads", threads);
    }
    pool->threads = threads;
    pool->workers = workers;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (int thread = 1; thread < threads; thread++) {
        worker *self = &pool->workers[pool->started];
        self->pool = pool;
        self->thread = thread;
        if (pthread_create(&self->handle, NULL, worker_main, self) != 0) {
            pulmo_pool_destroy(pool);
            return pulmo_fail(PULMO_RUNTIME, "cannot start thread %d of %d; ask for fewer",
                              thread + 1, threads);
        }
        pool->started++;
    }
    *out = pool;
    return PULMO_OK;
}

static void start_run(pulmo_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

void pulmo_pool_destroy(pulmo_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    start_run(pool);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

int pulmo_pool_threads(const pulmo_pool *pool)
{
    return pool->threads;
}

void pulmo_pool_run(pulmo_pool *pool, int tasks, pulmo_task task, void *context)
{
    pool->tasks = tasks;
    pool->task = task;
    pool->context = context;
    atomic_store(&pool->next_task, 0);
    if (pool->threads == 1 || tasks <= 1) {
        run_tasks(pool, 0);
        return;
    }
    atomic_store(&pool->running, pool->threads - 1);
    start_run(pool);
    run_tasks(pool, 0);
    double until_s = pulmo_now_s() + SPIN_S;
    while (atomic_load_explicit(&pool->running, memory_order_acquire) > 0) {
        if (pulmo_now_s() < until_s) {
            relax();
            continue;
        }
        pthread_mutex_lock(&pool->lock);
        while (atomic_load(&pool->running) > 0)
            pthread_cond_wait(&pool->finished, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* ---- tasks that can fail ---- */

typedef struct attempt {
    pulmo_trial task;
    void *context;
    atomic_int failed_task; /* the lowest number yet, INT_MAX for none; changed under the lock */
    pthread_mutex_t lock;
    pulmo_failure failure; /* of failed_task */
} attempt;

static void keep_lowest(attempt *a, int task, pulmo_status status)
{
    pthread_mutex_lock(&a->lock);
    if (task < atomic_load(&a->failed_task)) {
        atomic_store(&a->failed_task, task);
        pulmo_failure_keep(&a->failure, status);
    }
    pthread_mutex_unlock(&a->lock);
}

/* Tasks are handed out in order: whatever is below a task that failed has been begun and ends. */
static void attempt_task(void *context, int task, int thread)
{
    attempt *a = context;
    if (task > atomic_load(&a->failed_task))
        return;
    pulmo_status status = a->task(a->context, task, thread);
    if (status != PULMO_OK)
        keep_lowest(a, task, status);
}

pulmo_status pulmo_pool_try(pulmo_pool *pool, int tasks, pulmo_trial task, void *context)
{
    attempt a = {.task = task, .context = context};
    atomic_init(&a.failed_task, INT_MAX);
    pthread_mutex_init(&a.lock, NULL);
    pulmo_pool_run(pool, tasks, attempt_task, &a);
    pthread_mutex_destroy(&a.lock);
    return pulmo_failure_raise(&a.failure);
}
