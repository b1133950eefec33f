/* A communicator: starting MPI and ending it, groups of ranks. */
#include "comm.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ABORT_LIMIT_S 10

/* Open MPI's MPI_Init ends on one rank while it is still at work on another, which then crashes in
 * it on a message (open-mpi/ompi issue 12495): of 80 starts of three hosts under srun 2, of 150
 * with this pause none. */
#define FIRST_MESSAGE_US 100000

/* ---- starting and ending ---- */

static pulmo_status start_mpi(int *level)
{
    int ready = 0, code = MPI_SUCCESS;
    MPI_Initialized(&ready);
    if (ready)
        MPI_Query_thread(level);
    else
        code = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, level);
    if (code != MPI_SUCCESS)
        return pulmo_fail(PULMO_MPI, "MPI cannot be started");
#ifdef OPEN_MPI
    int ranks = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (!ready && ranks > 1)
        usleep(FIRST_MESSAGE_US);
#endif
    /* From here on failures are statuses, not the end of the process. */
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    return PULMO_OK;
}

static pulmo_status find_node(pulmo_comm *comm)
{
    PULMO_TRY(mpi_status(MPI_Comm_split_type(comm->world, MPI_COMM_TYPE_SHARED, comm->rank,
                                             MPI_INFO_NULL, &comm->node),
                         "finding the ranks of this node"));
    MPI_Comm_set_errhandler(comm->node, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm->node, &comm->node_rank);
    MPI_Comm_size(comm->node, &comm->node_size);
    int leader = comm->node_rank == 0;
    return mpi_status(MPI_Allreduce(&leader, &comm->nodes, 1, MPI_INT, MPI_SUM, comm->world),
                      "counting nodes");
}

/* MPI makes a copy of every piece of every sum. Given back to the system each time, that memory is
 * mapped and cleared anew for each batch: 50 ms of 60 for the default head. */
static void keep_freed_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

static pulmo_comm *new_comm(void)
{
    pulmo_comm *comm = calloc(1, sizeof *comm);
    if (!comm)
        return NULL;
    pthread_mutex_init(&comm->mpi, NULL);
    comm->world = comm->node = comm->sums = MPI_COMM_NULL;
    comm->size = comm->node_size = comm->nodes = 1;
    atomic_store(&comm->doing, "starting");
    if (gethostname(comm->host, sizeof comm->host - 1) != 0)
        snprintf(comm->host, sizeof comm->host, "unknown");
    return comm;
}

/* All that follows from comm->world, which MPI gave with `code`. */
static pulmo_status open_ranks(pulmo_comm *comm, int code)
{
    PULMO_TRY(mpi_status(code, "starting MPI"));
    MPI_Comm_set_errhandler(comm->world, MPI_ERRORS_RETURN);
    PULMO_TRY(mpi_status(MPI_Comm_dup(comm->world, &comm->sums), "starting MPI"));
    MPI_Comm_rank(comm->world, &comm->rank);
    MPI_Comm_size(comm->world, &comm->size);
    return find_node(comm);
}

static void close_ranks(pulmo_comm *comm)
{
    helper_stop(comm);
    if (comm->node != MPI_COMM_NULL)
        MPI_Comm_free(&comm->node);
    if (comm->sums != MPI_COMM_NULL)
        MPI_Comm_free(&comm->sums);
    if (comm->world != MPI_COMM_NULL)
        MPI_Comm_free(&comm->world);
}

static void free_comm(pulmo_comm *comm)
{
    pthread_mutex_destroy(&comm->mpi);
    free(comm);
}

/* MPI runs; without it `world` is MPI_COMM_NULL. */
static bool has_mpi(const pulmo_comm *comm)
{
    return comm->world != MPI_COMM_NULL;
}

pulmo_status pulmo_dist_start(pulmo_comm **out)
{
    PULMO_TRY(launcher_check_before());
    pulmo_comm *comm = new_comm();
    if (!comm)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the communicator");
    if (!launcher_is_there()) {
        *out = comm;
        return PULMO_OK;
    }
    pulmo_status status = start_mpi(&comm->level);
    if (status != PULMO_OK) {
        free_comm(comm);
        return status;
    }
    /* MPI_Finalize would wait for ranks that wait for this one: they end with its process. */
    PULMO_TRY(open_ranks(comm, MPI_Comm_dup(MPI_COMM_WORLD, &comm->world)));
    status = launcher_check_after(comm->size);
    if (status != PULMO_OK) {
        pulmo_dist_end(comm);
        return status;
    }
    if (comm->size > 1)
        keep_freed_memory();
    *out = comm;
    return PULMO_OK;
}

void pulmo_dist_end(pulmo_comm *comm)
{
    if (!comm)
        return;
    bool started = has_mpi(comm);
    close_ranks(comm);
    wait_begin(comm, "all ranks to end");
    if (started)
        MPI_Finalize();
    pthread_mutex_unlock(&comm->mpi);
    pulmo_watch_stop(comm);
    free_comm(comm);
}

pulmo_status pulmo_comm_split(pulmo_comm *comm, int color, pulmo_comm **out)
{
    pulmo_comm *group = new_comm();
    PULMO_TRY(pulmo_agree(
        comm, group ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "cannot allocate a communicator")));
    if (!has_mpi(comm)) {
        *out = group;
        return PULMO_OK;
    }
    group->level = comm->level;
    pulmo_status status =
        open_ranks(group, MPI_Comm_split(comm->world, color, comm->rank, &group->world));
    if (status == PULMO_OK)
        *out = group;
    else
        pulmo_comm_join(group);
    return status;
}

void pulmo_comm_join(pulmo_comm *group)
{
    if (!group)
        return;
    pulmo_watch_stop(group);
    close_ranks(group);
    free_comm(group);
}

int pulmo_comm_rank(const pulmo_comm *comm)
{
    return comm->rank;
}
int pulmo_comm_size(const pulmo_comm *comm)
{
    return comm->size;
}
int pulmo_comm_node_size(const pulmo_comm *comm)
{
    return comm->node_size;
}
int pulmo_comm_nodes(const pulmo_comm *comm)
{
    return comm->nodes;
}
const char *pulmo_comm_host(const pulmo_comm *comm)
{
    return comm->host;
}
