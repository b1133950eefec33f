/* A thread that ends the process when it has made no progress for too long: a peer that hangs
 * or a link that is down leaves the others waiting inside MPI for ever, where nothing else can
 * reach them. _exit and not MPI_Abort, which may itself wait for the lost peer. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "comm.h"
#include "pulmo/clock.h"

#define LOOK_EVERY_S 0.2

static void *watch(void *argument)
{
    pulmo_comm *comm = argument;
    const struct timespec nap = {.tv_nsec = (long)(LOOK_EVERY_S * 1e9)};
    while (!atomic_load(&comm->stop)) {
        nanosleep(&nap, NULL);
        if (pulmo_now_s() - atomic_load(&comm->beat_s) < comm->limit_s) continue;
        if (atomic_load(&comm->stop)) break;
        fprintf(stderr,
                "pulmo: rank %d of %d on host %s: no progress for %.0f s while %s; a rank or a link is down or stuck; "
                "ending the job (train.stall_seconds sets the limit)\n",
                comm->rank, comm->size, comm->host, comm->limit_s, atomic_load(&comm->doing));
        fflush(stderr);
        _exit(1);
    }
    return NULL;
}

pulmo_status pulmo_watch_start(pulmo_comm *comm, double limit_s)
{
    if (limit_s <= 0 || comm->watching) return PULMO_OK;
    comm->limit_s = limit_s;
    atomic_store(&comm->stop, 0);
    pulmo_watch_beat(comm, "starting");
    if (pthread_create(&comm->watcher, NULL, watch, comm) != 0)
        return pulmo_fail(PULMO_RUNTIME, "cannot start the thread that watches for stalls");
    comm->watching = 1;
    return PULMO_OK;
}

void pulmo_watch_beat(pulmo_comm *comm, const char *doing)
{
    atomic_store(&comm->doing, doing);
    atomic_store(&comm->beat_s, pulmo_now_s());
}

void pulmo_watch_stop(pulmo_comm *comm)
{
    if (!comm->watching) return;
    atomic_store(&comm->stop, 1);
    pthread_join(comm->watcher, NULL);
    comm->watching = 0;
}
