/* Inside the dist room: what a communicator is made of. */
#ifndef PULMO_DIST_COMM_H
#define PULMO_DIST_COMM_H

#include <mpi.h>
#include <pthread.h>
#include <stdatomic.h>

#include "pulmo/dist.h"

#define HOST_BYTES 256

struct pulmo_comm {
    MPI_Comm world, node;
    int rank, size, node_rank, node_size, nodes;
    char host[HOST_BYTES];
    /* the watch */
    pthread_t watcher;
    int watching;
    double limit_s;
    atomic_int stop;
    _Atomic(double) beat_s;
    _Atomic(const char *) doing;
};

/* PULMO_OK, or PULMO_MPI with MPI's words for `code`. */
pulmo_status mpi_status(int code, const char *what);

#endif
