/* Inside the dist room: what a communicator is made of, and how its files work together. */
#ifndef PULMO_DIST_COMM_H
#define PULMO_DIST_COMM_H

#include <mpi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "pulmo/dist.h"

#define HOST_BYTES 256

typedef struct heartbeat heartbeat;
typedef struct helper helper;

/* A process that no launcher started is one rank of one, and does without MPI: MPI_COMM_NULL stands
 * in its communicators, and every call here returns before it would be used. */
struct pulmo_comm {
    MPI_Comm world, node;
    MPI_Comm
        sums; /* all ranks: sums in flight alone, whose pieces are in no order with other calls */
    int rank, size, node_rank, node_size, nodes;
    char host[HOST_BYTES];
    pthread_mutex_t mpi; /* held for every MPI call: one thread at a time */
    int level;           /* MPI's thread level */
    helper *helper;      /* moves sums on while this rank computes; NULL until there is one */
    /* what this rank is at, written by the main thread and read by the watch */
    _Atomic(double) beat_s;
    _Atomic(double) extra_s;       /* allowed beside the limit, until the next beat */
    _Atomic(const char *) doing;   /* its work; static text */
    _Atomic(const char *) waiting; /* what it waits for inside MPI; NULL while it works */
    /* the watch */
    pthread_t watcher;
    int watching;
    double limit_s;
    const char *limit_name; /* what sets it; static text */
    atomic_int stop;
    heartbeat *heartbeat; /* NULL: no word from other ranks */
};

/* PULMO_OK, or PULMO_MPI with MPI's words for `code`. */
pulmo_status mpi_status(int code, const char *what);

/* Around every MPI call that waits for other ranks: `what` is static text. They take and leave
 * the MPI lock. wait_end turns the call's code into a status, and counts as a beat. */
void wait_begin(pulmo_comm *comm, const char *what);
pulmo_status wait_end(pulmo_comm *comm, int code);

/* The helper thread (helper.c) calls `step` now and then, with the MPI lock held, until it says
 * that all is done. One at a time; NULL: none. The MPI lock is held. */
typedef bool helper_step(void *context);
void helper_watch(pulmo_comm *comm, helper_step *step, void *context);
void helper_stop(pulmo_comm *comm);

/* Whether the environment has a variable of a launcher that MPI could learn of other ranks from. */
bool launcher_is_there(void);

/* PULMO_USAGE where launchers' variables show that this process is one of several that MPI does
 * not join; once before MPI_Init, once when the size is known. */
pulmo_status launcher_check_before(void);
pulmo_status launcher_check_after(int size);

#endif
