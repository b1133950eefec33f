/* Ranks and what they say to each other. */
#include "comm.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/log.h"
#include "pulmo/digest.h"
#include "pulmo/memory.h"

#define REPORT_BYTES 4096
#define PIECE_BYTES ((size_t)1 << 30)

pulmo_status mpi_status(int code, const char *what)
{
    char words[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS) return PULMO_OK;
    MPI_Error_string(code, words, &length);
    return pulmo_fail(PULMO_MPI, "%s: MPI says: %s", what, words);
}

/* ---- starting and ending ---- */

static long number_in(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : -1;
}

/* A process that MPI knows nothing of, but that a launcher started as one of several. A batch
 * script's own shell has SLURM_NTASKS too, but no step: only srun sets SLURM_STEP_NUM_TASKS
 * with a numeric SLURM_STEP_ID (the batch step and salloc's shell have none). */
static pulmo_status check_launcher(int size)
{
    long step_tasks = number_in("SLURM_STEP_NUM_TASKS"), pmi = number_in("PMI_SIZE");
    long hydra = number_in("MPI_LOCALNRANKS");
    if (size > 1) return PULMO_OK;
    if (step_tasks > 1 && getenv("SLURM_STEP_ID") && getenv("SLURM_PROCID"))
        return pulmo_fail(PULMO_USAGE,
                          "srun started %ld tasks, but MPI sees one rank in each: they would all be rank 0 of 1; start "
                          "with \"srun --mpi=pmix pulmo ...\", or with \"mpirun pulmo ...\" inside the job",
                          step_tasks);
    if (pmi > 1 || hydra > 1)
        return pulmo_fail(PULMO_USAGE,
                          "a launcher of another MPI started %ld tasks, but Open MPI sees one rank in each: they would "
                          "all be rank 0 of 1; start with Open MPI's own \"mpirun pulmo ...\"",
                          pmi > 1 ? pmi : hydra);
    return PULMO_OK;
}

static pulmo_status count_nodes(pulmo_comm *comm)
{
    int leader = comm->node_rank == 0;
    return mpi_status(MPI_Allreduce(&leader, &comm->nodes, 1, MPI_INT, MPI_SUM, comm->world), "counting nodes");
}

pulmo_status pulmo_dist_start(pulmo_comm **out)
{
    int provided = 0, ready = 0;
    pulmo_comm *comm = calloc(1, sizeof *comm);
    if (!comm) return pulmo_fail(PULMO_MEMORY, "cannot allocate the communicator");
    MPI_Initialized(&ready);
    if (!ready && MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) {
        free(comm);
        return pulmo_fail(PULMO_MPI, "MPI cannot be started");
    }
    MPI_Comm_dup(MPI_COMM_WORLD, &comm->world);
    MPI_Comm_set_errhandler(comm->world, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm->world, &comm->rank);
    MPI_Comm_size(comm->world, &comm->size);
    MPI_Comm_split_type(comm->world, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &comm->node);
    MPI_Comm_set_errhandler(comm->node, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm->node, &comm->node_rank);
    MPI_Comm_size(comm->node, &comm->node_size);
    if (gethostname(comm->host, sizeof comm->host - 1) != 0) snprintf(comm->host, sizeof comm->host, "unknown");
    pulmo_status status = count_nodes(comm);
    if (status == PULMO_OK) status = check_launcher(comm->size);
    if (status == PULMO_OK) *out = comm;
    else pulmo_dist_end(comm);
    return status;
}

void pulmo_dist_end(pulmo_comm *comm)
{
    if (!comm) return;
    pulmo_watch_stop(comm);
    MPI_Comm_free(&comm->node);
    MPI_Comm_free(&comm->world);
    MPI_Finalize();
    free(comm);
}

void pulmo_dist_abort(pulmo_comm *comm, int exit_status)
{
    if (comm && comm->size > 1) MPI_Abort(comm->world, exit_status);
    _exit(exit_status);
}

int pulmo_comm_rank(const pulmo_comm *comm) { return comm->rank; }
int pulmo_comm_size(const pulmo_comm *comm) { return comm->size; }
int pulmo_comm_node_rank(const pulmo_comm *comm) { return comm->node_rank; }
int pulmo_comm_node_size(const pulmo_comm *comm) { return comm->node_size; }
int pulmo_comm_nodes(const pulmo_comm *comm) { return comm->nodes; }
const char *pulmo_comm_host(const pulmo_comm *comm) { return comm->host; }

/* ---- agreement ---- */

typedef struct failure {
    int status;
    char host[HOST_BYTES];
    char report[REPORT_BYTES];
} failure;

pulmo_status pulmo_agree(pulmo_comm *comm, pulmo_status local)
{
    failure it;
    int mine = local == PULMO_OK ? INT32_MAX : comm->rank, first = INT32_MAX;
    if (comm->size == 1) return local;
    PULMO_TRY(mpi_status(MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm->world), "agreeing"));
    if (first == INT32_MAX) return PULMO_OK;
    memset(&it, 0, sizeof it);
    it.status = local;
    snprintf(it.host, sizeof it.host, "%s", comm->host);
    snprintf(it.report, sizeof it.report, "%s", pulmo_error());
    PULMO_TRY(mpi_status(MPI_Bcast(&it, sizeof it, MPI_BYTE, first, comm->world), "agreeing"));
    /* What failed on rank 0 needs no address: it speaks for everybody anyway. */
    if (first == 0) return pulmo_fail((pulmo_status)it.status, "%s", it.report);
    return pulmo_fail((pulmo_status)it.status, "rank %d on host %s: %s", first, it.host, it.report);
}

int pulmo_any(pulmo_comm *comm, int flag)
{
    int mine = flag != 0, any = mine;
    if (comm->size > 1 && MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, comm->world) != MPI_SUCCESS) return mine;
    return any;
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
        status = pulmo_fail(PULMO_RUNTIME, "ranks differ in %s: \"%s\" here, \"%s\" on rank 0; all must be the same",
                            what, mine, root);
    return pulmo_agree(comm, status);
}

/* ---- data ---- */

pulmo_status pulmo_bcast(pulmo_comm *comm, void *data, size_t bytes, int root)
{
    for (size_t at = 0; at < bytes && comm->size > 1; at += PIECE_BYTES) {
        size_t piece = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        PULMO_TRY(mpi_status(MPI_Bcast((char *)data + at, (int)piece, MPI_BYTE, root, comm->world), "sending to all ranks"));
    }
    return PULMO_OK;
}

pulmo_status pulmo_barrier(pulmo_comm *comm) { return mpi_status(MPI_Barrier(comm->world), "waiting for all ranks"); }

pulmo_status pulmo_max_f64(pulmo_comm *comm, double *values, int count)
{
    if (comm->size == 1) return PULMO_OK;
    return mpi_status(MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_DOUBLE, MPI_MAX, comm->world), "taking a maximum");
}

pulmo_status pulmo_sum_i64(pulmo_comm *comm, int64_t *values, size_t count)
{
    size_t most = PIECE_BYTES / sizeof *values;
    for (size_t at = 0; at < count && comm->size > 1; at += most) {
        int piece = (int)(count - at < most ? count - at : most);
        PULMO_TRY(mpi_status(MPI_Allreduce(MPI_IN_PLACE, values + at, piece, MPI_INT64_T, MPI_SUM, comm->world), "summing"));
    }
    return PULMO_OK;
}

pulmo_status pulmo_sum_f32(pulmo_comm *comm, float *values, size_t count)
{
    size_t most = PIECE_BYTES / sizeof *values;
    for (size_t at = 0; at < count && comm->size > 1; at += most) {
        int piece = (int)(count - at < most ? count - at : most);
        PULMO_TRY(mpi_status(MPI_Allreduce(MPI_IN_PLACE, values + at, piece, MPI_FLOAT, MPI_SUM, comm->world), "summing"));
    }
    return PULMO_OK;
}

pulmo_status pulmo_gather_all(pulmo_comm *comm, const void *piece, size_t bytes, void **all, size_t *all_bytes,
                              size_t *counts)
{
    int ranks = comm->size;
    uint64_t mine = bytes;
    uint64_t *sizes = calloc((size_t)ranks, sizeof *sizes);
    char *joined = NULL;
    size_t total = 0, at = 0;
    pulmo_status status = sizes ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "cannot allocate %d sizes", ranks);
    PULMO_GOTO(pulmo_agree(comm, status));
    PULMO_GOTO(mpi_status(MPI_Allgather(&mine, 1, MPI_UINT64_T, sizes, 1, MPI_UINT64_T, comm->world), "gathering sizes"));
    for (int r = 0; r < ranks; r++) total += sizes[r];
    joined = pulmo_alloc(total ? total : 1, 1);
    PULMO_GOTO(pulmo_agree(comm, joined ? PULMO_OK : PULMO_MEMORY));
    /* One broadcast a rank: pieces may differ in length and be beyond what an int counts. */
    for (int r = 0; r < ranks; r++) {
        if (r == comm->rank && bytes > 0) memcpy(joined + at, piece, bytes);
        PULMO_GOTO(pulmo_bcast(comm, joined + at, sizes[r], r));
        if (counts) counts[r] = sizes[r];
        at += sizes[r];
    }
    *all = joined;
    *all_bytes = total;
    joined = NULL;
out:
    pulmo_free(joined);
    free(sizes);
    return status;
}
