/* Ranks: a communicator, agreement, and memory shared within a node. The only room that
 * includes <mpi.h> (the command line starts and ends MPI through pulmo_dist_start/end).
 *
 * A rank never leaves alone: local work returns a status, then pulmo_agree makes it everyone's. */
#ifndef PULMO_DIST_H
#define PULMO_DIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

typedef struct pulmo_comm pulmo_comm;

/* Starts MPI (thread level: serialized) and gives the world. A process that no launcher started (by
 * launchers' variables) is one rank of one without MPI, which would cost it a second and a daemon.
 * Refuses (PULMO_USAGE) when a
 * launcher's own variables (SLURM_NTASKS, PMI_SIZE, ...) say that this process is one of
 * several but MPI sees only one: N singletons from a mismatched launcher; names the command
 * that would work. MPI is called by one thread at a time; the room sees to that. Collective. Owned
 * by the caller, ended by pulmo_dist_end. */
pulmo_status pulmo_dist_start(pulmo_comm **out);
/* Collective. NULL is a no-op. */
void pulmo_dist_end(pulmo_comm *comm);
/* Collective. The ranks of the same `color` (0 or more) among themselves, in the same order: work
 * side by side. Until pulmo_comm_join nothing may be done with `comm`. Owned by the caller. */
pulmo_status pulmo_comm_split(pulmo_comm *comm, int color, pulmo_comm **out);
/* Collective over the group. NULL is a no-op. */
void pulmo_comm_join(pulmo_comm *group);

int pulmo_comm_rank(const pulmo_comm *comm);
int pulmo_comm_size(const pulmo_comm *comm);
int pulmo_comm_node_size(const pulmo_comm *comm);
int pulmo_comm_nodes(const pulmo_comm *comm);
const char *pulmo_comm_host(const pulmo_comm *comm);

/* Collective. Every rank gets the worst status of all; where it is not PULMO_OK, the report of
 * the lowest failing rank is every rank's report ("rank 3 on host n2: ..." for size > 1). */
pulmo_status pulmo_agree(pulmo_comm *comm, pulmo_status local);
#ifdef __clang_analyzer__ /* which does not look into other files: a failure here is one of all */
static inline pulmo_status pulmo_agree_analyzed(pulmo_comm *comm, pulmo_status local)
{
    pulmo_status all = pulmo_agree(comm, local);
    return local != PULMO_OK ? local : all;
}
#define pulmo_agree(comm, local) pulmo_agree_analyzed(comm, local)
#endif

/* Collective. Zeroed memory on every rank, or on none: NULL with *status set, `message` being the
 * report of a rank that had none. Owned by the caller (free). */
void *pulmo_calloc_agreed(pulmo_comm *comm, size_t bytes, const char *message,
                          pulmo_status *status);

/* Collective. True on every rank if true on any. */
bool pulmo_any(pulmo_comm *comm, bool flag);

/* Collective; MPI failures end as PULMO_MPI with MPI's words. */
pulmo_status pulmo_bcast(pulmo_comm *comm, void *data, size_t bytes, int root);
/* The same for fields of a struct whose pointers are each rank's own: they are named one by one,
 * and travel in one message. The sizes must be the same on all ranks. */
typedef struct pulmo_field {
    void *data;
    size_t bytes;
} pulmo_field;
#define PULMO_FIELD(lvalue)                                                                        \
    {                                                                                              \
        &(lvalue), sizeof(lvalue)                                                                  \
    }
pulmo_status pulmo_bcast_fields(pulmo_comm *comm, const pulmo_field *fields, int count, int root);
pulmo_status pulmo_barrier(pulmo_comm *comm);
pulmo_status pulmo_max_f64(pulmo_comm *comm, double *values, int count);     /* in place */
pulmo_status pulmo_sum_i64(pulmo_comm *comm, int64_t *values, size_t count); /* in place */
pulmo_status pulmo_sum_f32(pulmo_comm *comm, float *values,
                           size_t count); /* in place; order unspecified: benchmarks only */
/* Pieces of different length (0 allowed) joined in rank order on every rank. `all` is owned by
 * the caller (pulmo_free); counts[r] bytes came from rank r, NULL if not wanted. */
pulmo_status pulmo_gather_all(pulmo_comm *comm, const void *piece, size_t bytes, void **all,
                              size_t *all_bytes, size_t *counts);
/* Fails on every rank (PULMO_RUNTIME) unless all ranks hold the same text; `what` names it. */
pulmo_status pulmo_same(pulmo_comm *comm, const char *what, const char *text);

/* ---- one copy per node ---- */

typedef struct pulmo_shared pulmo_shared;
/* Collective over all ranks. `*base` points at `bytes` bytes, PULMO_ALIGN-aligned, shared by the
 * ranks of a node. *owner is 1 on the node's rank that shall fill it; call pulmo_shared_publish on
 * all ranks after that. */
pulmo_status pulmo_shared_create(pulmo_comm *comm, size_t bytes, void **base, int *owner,
                                 pulmo_shared **out);
pulmo_status pulmo_shared_publish(pulmo_comm *comm, pulmo_shared *shared);
void pulmo_shared_destroy(pulmo_shared *shared); /* Collective. NULL is a no-op. */

/* ---- being watched ---- */

/* Starts a thread that ends the process (_exit, status 1, one line on stderr) when the job has made
 * no progress for `limit_s` seconds; 0 turns it off. `limit_name` (kept: static text) is what sets
 * the limit, for that line. Waiting for others inside this room is not a
 * fault while one of them works. Ends the job: a rank not heard from for so long, one at work
 * without a beat for so long, or all ranks waiting for each other; the line names rank, host and
 * what it was at. Without datagrams between the hosts each rank goes by its own waiting, and cannot
 * say who is missing. Time in which the whole process was stopped does not count. Collective. */
pulmo_status pulmo_watch_start(pulmo_comm *comm, double limit_s, const char *limit_name);
/* This rank gets on, with `doing` (kept: static text). Every collective call is a beat as well. */
void pulmo_watch_beat(pulmo_comm *comm, const char *doing);
/* A beat, after which as much as `extra_s` more than the limit may go by until the next: for what
 * no beat can come from, as the sync of a large file. On ranks that wait for it as well: without
 * datagrams each goes by its own waiting. */
void pulmo_watch_allow(pulmo_comm *comm, const char *doing, double extra_s);
/* Not collective. A rank that is watched no more is taken to have come to its end. */
void pulmo_watch_stop(pulmo_comm *comm);

/* A launcher that answers SIGINT and SIGTERM by killing its ranks before they can do anything.
 * jobs/mpirun.sh stands between the two: with it there is none, and with MPICH's Hydra. */
typedef enum pulmo_killer {
    PULMO_KILLER_NONE,
    PULMO_KILLER_MPIRUN, /* Open MPI 4's, unless it was told to wait */
    PULMO_KILLER_PRTERUN /* Open MPI 5's, always: mpirun becomes prterun */
} pulmo_killer;
/* Not collective. */
pulmo_killer pulmo_launcher_killer(void);

/* The MPI library that runs, in its own words, without its end of line; also before
 * pulmo_dist_start. Not collective. */
void pulmo_dist_library(char *out, size_t bytes);

#endif
