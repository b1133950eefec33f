/* MPI gets on with a sum in flight only inside its own calls, and the compute loop comes by too
 * seldom for a network: a thread looks in every millisecond while a sum travels, and sleeps
 * otherwise. It holds the MPI lock while it does, so that MPI sees one thread at a time. */
#include <stdlib.h>
#include <time.h>

#include "comm.h"

#define LOOK_EVERY_NS 1000000

struct helper {
    pthread_t thread;
    pthread_cond_t changed; /* goes with the MPI lock, as do the fields below */
    helper_step *step;      /* NULL: nothing to look after */
    void *context;
    int stop;
};

static void *help(void *argument)
{
    pulmo_comm *comm = argument;
    helper *it = comm->helper;
    const struct timespec nap = {.tv_nsec = LOOK_EVERY_NS};
    pthread_mutex_lock(&comm->mpi);
    while (!it->stop) {
        if (!it->step) {
            pthread_cond_wait(&it->changed, &comm->mpi);
        } else if (it->step(it->context)) {
            it->step = NULL;
        } else {
            pthread_mutex_unlock(&comm->mpi);
            nanosleep(&nap, NULL);
            pthread_mutex_lock(&comm->mpi);
        }
    }
    pthread_mutex_unlock(&comm->mpi);
    return NULL;
}

/* Without the thread sums still travel, whenever they are polled or waited for. */
static void start(pulmo_comm *comm)
{
    if (comm->level < MPI_THREAD_SERIALIZED)
        return;
    helper *it = calloc(1, sizeof *it);
    if (!it)
        return;
    pthread_cond_init(&it->changed, NULL);
    comm->helper = it;
    if (pthread_create(&it->thread, NULL, help, comm) == 0)
        return;
    comm->helper = NULL;
    pthread_cond_destroy(&it->changed);
    free(it);
}

void helper_watch(pulmo_comm *comm, helper_step *step, void *context)
{
    if (step && !comm->helper)
        start(comm);
    if (!comm->helper)
        return;
    comm->helper->step = step;
    comm->helper->context = context;
    pthread_cond_signal(&comm->helper->changed);
}

void helper_stop(pulmo_comm *comm)
{
    helper *it = comm->helper;
    if (!it)
        return;
    pthread_mutex_lock(&comm->mpi);
    it->stop = 1;
    pthread_cond_signal(&it->changed);
    pthread_mutex_unlock(&comm->mpi);
    pthread_join(it->thread, NULL);
    pthread_cond_destroy(&it->changed);
    free(it);
    comm->helper = NULL;
}
