/* The thread that writes checkpoints, and its copy of what they hold.
 *
 *   IDLE ── give ──► GIVEN ── the thread has written it, or has not ──► DONE ── collect ──► IDLE
 *
 * The copy is the training thread's in IDLE and DONE, the writer's in GIVEN. */
#include "writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/log.h"

typedef enum phase { IDLE, GIVEN, DONE } phase;

struct writer {
    writer_parts parts;
    pulmo_state state;
    selection chosen;
    trail left;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t change;
    phase phase;
    bool stop;
    writer_done done;
};

/* ---- the copy ---- */

static void copy_state(pulmo_state *to, const pulmo_state *from)
{
    const size_t bytes = from->parameters * sizeof(float);
    memcpy(to->parameter, from->parameter, bytes);
    for (int k = 0; k < from->states; k++)
        memcpy(to->optim[k], from->optim[k], bytes);
    if (from->average)
        memcpy(to->average, from->average, bytes);
    to->step = from->step;
    to->epoch = from->epoch;
    to->batch = from->batch;
    to->sums = from->sums;
}

static void copy_selection(selection *to, const selection *from, size_t parameters)
{
    float *own = to->best.parameters;
    memcpy(own, from->best.parameters, parameters * sizeof(float));
    to->best = from->best;
    to->best.parameters = own;
    to->best.own = true;
    memcpy(to->history, from->history, from->room * sizeof *from->history);
    to->since_best = from->since_best;
    to->finished = from->finished;
}

static void copy_trail(trail *to, const trail *from)
{
    const size_t digests = (size_t)from->room * (size_t)from->layout->tensors;
    if (digests > 0)
        memcpy(to->digest, from->digest, digests * sizeof *from->digest);
    to->arithmetic = from->arithmetic;
    to->spent = from->spent;
    pulmo_spent_stop(&to->spent);
}

/* ---- the thread ---- */

/* Without the lock: the copy is this thread's. */
static pulmo_status write_copy(const writer *w)
{
    const writer_parts *parts = &w->parts;
    if (parts->lease)
        PULMO_TRY(lease_check(parts->lease));
    return checkpoint_write(parts->path, parts->identity, &w->state, &w->chosen, &w->left);
}

static void serve(writer *w)
{
    pthread_mutex_unlock(&w->lock);
    double began_s = pulmo_now_s();
    pulmo_failure_keep(&w->done.failure, write_copy(w));
    w->done.took_s = pulmo_now_s() - began_s;
    w->done.epoch = w->state.epoch;
    w->done.batch = w->state.batch;
    pthread_mutex_lock(&w->lock);
    w->phase = DONE;
    pthread_cond_broadcast(&w->change);
}

static void *writer_main(void *argument)
{
    writer *w = argument;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        if (w->phase == GIVEN)
            serve(w);
        else if (w->stop)
            break;
        else
            pthread_cond_wait(&w->change, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- from outside ---- */

static pulmo_status allocate(writer *w)
{
    PULMO_TRY(pulmo_state_create(&w->parts.shape, &w->state));
    PULMO_TRY(selection_create(&w->state, w->parts.epochs, true, &w->chosen));
    return trail_create(w->parts.layout, w->parts.epochs, &w->left);
}

static pulmo_status start(writer *w)
{
    if (pthread_create(&w->thread, NULL, writer_main, w) != 0)
        return pulmo_fail(PULMO_RUNTIME, "cannot start the thread that writes checkpoints");
    w->started = true;
    return PULMO_OK;
}

pulmo_status writer_create(const writer_parts *parts, writer **out)
{
    writer *w = calloc(1, sizeof *w);
    if (!w)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the writer of checkpoints");
    w->parts = *parts;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->change, NULL);
    pulmo_status status = allocate(w);
    if (status == PULMO_OK)
        status = start(w);
    if (status == PULMO_OK)
        *out = w;
    else
        writer_destroy(w);
    return status;
}

void writer_destroy(writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->change);
    pthread_mutex_unlock(&w->lock);
    if (w->started)
        pthread_join(w->thread, NULL);
    if (w->phase == DONE && w->done.failure.status != PULMO_OK)
        pulmo_warn("%s", w->done.failure.report);
    pthread_cond_destroy(&w->change);
    pthread_mutex_destroy(&w->lock);
    trail_free(&w->left);
    selection_free(&w->chosen);
    pulmo_state_free(&w->state);
    free(w);
}

void writer_give(writer *w, const pulmo_state *state, const selection *chosen, const trail *left)
{
    copy_state(&w->state, state);
    copy_selection(&w->chosen, chosen, state->parameters);
    copy_trail(&w->left, left);
    pthread_mutex_lock(&w->lock);
    w->phase = GIVEN;
    pthread_cond_broadcast(&w->change);
    pthread_mutex_unlock(&w->lock);
}

bool writer_is_busy(writer *w)
{
    if (!w)
        return false;
    pthread_mutex_lock(&w->lock);
    bool busy = w->phase == GIVEN;
    pthread_mutex_unlock(&w->lock);
    return busy;
}

bool writer_collect(writer *w, bool wait, writer_done *out)
{
    pthread_mutex_lock(&w->lock);
    while (wait && w->phase == GIVEN)
        pthread_cond_wait(&w->change, &w->lock);
    bool ended = w->phase == DONE;
    if (ended) {
        *out = w->done;
        w->phase = IDLE;
    }
    pthread_mutex_unlock(&w->lock);
    return ended;
}
