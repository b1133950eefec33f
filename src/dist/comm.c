/* Ranks and what they say to each other. */
#include "comm.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/digest.h"

#define REPORT_BYTES  4096
#define ABORT_LIMIT_S 10

pulmo_status mpi_status(int code, const char *what)
{
    char words[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS)
        return PULMO_OK;
    MPI_Error_string(code, words, &length);
    return pulmo_fail(PULMO_MPI, "%s: MPI says: %s", what, words);
}

/* ---- waiting ---- */

void wait_begin(pulmo_comm *comm, const char *what)
{
    atomic_store(&comm->beat_s, pulmo_now_s());
    atomic_store(&comm->waiting, what);
    pthread_mutex_lock(&comm->mpi);
}

pulmo_status wait_end(pulmo_comm *comm, int code)
{
    char phrase[96];
    pthread_mutex_unlock(&comm->mpi);
    snprintf(phrase, sizeof phrase, "waiting for %s", atomic_exchange(&comm->waiting, NULL));
    atomic_store(&comm->beat_s, pulmo_now_s());
    atomic_store(&comm->extra_s, 0);
    return mpi_status(code, phrase);
}

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

static pulmo_status open_world(pulmo_comm *comm)
{
    PULMO_TRY(open_ranks(comm, MPI_Comm_dup(MPI_COMM_WORLD, &comm->world)));
    PULMO_TRY(launcher_check_after(comm->size));
    if (comm->size > 1)
        keep_freed_memory();
    return PULMO_OK;
}

pulmo_status pulmo_dist_start(pulmo_comm **out)
{
    PULMO_TRY(launcher_check_before());
    pulmo_comm *comm = new_comm();
    if (!comm)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the communicator");
    pulmo_status status = start_mpi(&comm->level);
    if (status != PULMO_OK) {
        free_comm(comm);
        return status;
    }
    status = open_world(comm);
    if (status == PULMO_OK)
        *out = comm;
    else
        pulmo_dist_end(comm);
    return status;
}

void pulmo_dist_end(pulmo_comm *comm)
{
    if (!comm)
        return;
    close_ranks(comm);
    wait_begin(comm, "all ranks to end");
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

/* ---- agreement ---- */

typedef struct failure {
    int status;
    char host[HOST_BYTES];
    char report[REPORT_BYTES];
} failure;

pulmo_status(pulmo_agree)(pulmo_comm *comm, pulmo_status local)
{
    failure it;
    int mine = local == PULMO_OK ? INT32_MAX : comm->rank, first = INT32_MAX;
    if (comm->size == 1)
        return local;
    wait_begin(comm, "all ranks to agree");
    PULMO_TRY(wait_end(comm, MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm->world)));
    if (first == INT32_MAX)
        return PULMO_OK;
    memset(&it, 0, sizeof it);
    it.status = local;
    snprintf(it.host, sizeof it.host, "%s", comm->host);
    snprintf(it.report, sizeof it.report, "%s",
             *pulmo_error() ? pulmo_error() : pulmo_status_text(local));
    wait_begin(comm, "a failed rank's report");
    PULMO_TRY(wait_end(comm, MPI_Bcast(&it, sizeof it, MPI_BYTE, first, comm->world)));
    /* What failed on rank 0 needs no address: it speaks for everybody anyway. */
    if (first == 0)
        return pulmo_fail((pulmo_status)it.status, "%s", it.report);
    return pulmo_fail((pulmo_status)it.status, "rank %d on host %s: %s", first, it.host, it.report);
}

bool pulmo_any(pulmo_comm *comm, bool flag)
{
    int mine = flag != 0, any = mine;
    if (comm->size == 1)
        return mine;
    wait_begin(comm, "all ranks to say yes or no");
    return wait_end(comm, MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, comm->world)) == PULMO_OK
               ? any
               : mine;
}

pulmo_status pulmo_same(pulmo_comm *comm, const char *what, const char *text)
{
    char root[512] = "", mine[512] = "";
    pulmo_digest digest = pulmo_digest_of(text, strlen(text)), first = digest;
    snprintf(mine, sizeof mine, "%s", text);
    memcpy(root, mine, sizeof root);
    PULMO_TRY(pulmo_bcast(comm, root, sizeof root, 0));
    PULMO_TRY(pulmo_bcast(comm, &first, sizeof first, 0));
    pulmo_status status = PULMO_OK;
    if (memcmp(&digest, &first, sizeof first) != 0)
        status =
            pulmo_fail(PULMO_RUNTIME,
                       "ranks differ in %s: \"%s\" here, \"%s\" on rank 0; all must be the same",
                       what, mine, root);
    return pulmo_agree(comm, status);
}
