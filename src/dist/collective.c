/* Data between all ranks. MPI counts in int: longer data goes in pieces. */
#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comm.h"
#include "pulmo/digest.h"
#include "pulmo/memory.h"

#define PIECE_BYTES ((size_t)1 << 30)

pulmo_status pulmo_bcast(pulmo_comm *comm, void *data, size_t bytes, int root)
{
    for (size_t at = 0; at < bytes && comm->size > 1; at += PIECE_BYTES) {
        size_t piece = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        wait_begin(comm, "data sent to all ranks");
        PULMO_TRY(
            wait_end(comm, MPI_Bcast((char *)data + at, (int)piece, MPI_BYTE, root, comm->world)));
    }
    return PULMO_OK;
}

static size_t fields_bytes(const pulmo_field *fields, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += fields[i].bytes;
    return bytes;
}

pulmo_status pulmo_bcast_fields(pulmo_comm *comm, const pulmo_field *fields, int count, int root)
{
    size_t bytes = fields_bytes(fields, count);
    char *message = malloc(bytes ? bytes : 1);
    pulmo_status status = PULMO_OK;
    if (!message)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for a message of %zu bytes", bytes);
    PULMO_GOTO(pulmo_agree(comm, status));
    char *at = message;
    for (int i = 0; i < count; i++) {
        memcpy(at, fields[i].data, fields[i].bytes);
        at += fields[i].bytes;
    }
    PULMO_GOTO(pulmo_bcast(comm, message, bytes, root));
    at = message;
    for (int i = 0; i < count; i++) {
        memcpy(fields[i].data, at, fields[i].bytes);
        at += fields[i].bytes;
    }
out:
    free(message);
    return status;
}

pulmo_status pulmo_barrier(pulmo_comm *comm)
{
    if (comm->size == 1)
        return PULMO_OK;
    wait_begin(comm, "all ranks to arrive");
    return wait_end(comm, MPI_Barrier(comm->world));
}

static pulmo_status all_reduce(pulmo_comm *comm, void *values, size_t count, size_t size,
                               MPI_Datatype type, MPI_Op op)
{
    size_t most = PIECE_BYTES / size;
    for (size_t at = 0; at < count && comm->size > 1; at += most) {
        int piece = (int)(count - at < most ? count - at : most);
        wait_begin(comm, op == MPI_MAX ? "a maximum over ranks" : "a sum over ranks");
        PULMO_TRY(wait_end(comm, MPI_Allreduce(MPI_IN_PLACE, (char *)values + at * size, piece,
                                               type, op, comm->world)));
    }
    return PULMO_OK;
}

pulmo_status pulmo_max_f64(pulmo_comm *comm, double *values, int count)
{
    /* With a NaN the maximum would depend on the order, and ranks might part. */
    for (int i = 0; i < count; i++)
        assert(!isnan(values[i]));
    return all_reduce(comm, values, (size_t)count, sizeof *values, MPI_DOUBLE, MPI_MAX);
}

pulmo_status pulmo_sum_i64(pulmo_comm *comm, int64_t *values, size_t count)
{
    return all_reduce(comm, values, count, sizeof *values, MPI_INT64_T, MPI_SUM);
}

pulmo_status pulmo_sum_f32(pulmo_comm *comm, float *values, size_t count)
{
    return all_reduce(comm, values, count, sizeof *values, MPI_FLOAT, MPI_SUM);
}

/* ---- pieces of different length ---- */

/* The pieces by one call where an int counts them all. `sizes` is (ranks). */
static pulmo_status join_short(pulmo_comm *comm, const void *piece, const uint64_t *sizes,
                               char *joined)
{
    int at = 0;
    int *counts = calloc((size_t)comm->size * 2, sizeof *counts);
    pulmo_status status =
        counts ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "cannot allocate %d counts", comm->size);
    PULMO_GOTO(pulmo_agree(comm, status));
    for (int r = 0; r < comm->size; r++) {
        counts[r] = (int)sizes[r];
        counts[comm->size + r] = at;
        at += counts[r];
    }
    wait_begin(comm, "the pieces of all ranks");
    status = wait_end(comm, MPI_Allgatherv(piece, counts[comm->rank], MPI_BYTE, joined, counts,
                                           counts + comm->size, MPI_BYTE, comm->world));
out:
    free(counts);
    return status;
}

/* One broadcast a rank, in pieces. */
static pulmo_status join_long(pulmo_comm *comm, const void *piece, const uint64_t *sizes,
                              char *joined)
{
    size_t at = 0;
    for (int r = 0; r < comm->size; r++) {
        if (r == comm->rank && sizes[r] > 0)
            memcpy(joined + at, piece, sizes[r]);
        PULMO_TRY(pulmo_bcast(comm, joined + at, sizes[r], r));
        at += sizes[r];
    }
    return PULMO_OK;
}

static pulmo_status gather_sizes(pulmo_comm *comm, uint64_t mine, uint64_t *sizes)
{
    sizes[comm->rank] = mine;
    if (comm->size == 1)
        return PULMO_OK;
    wait_begin(comm, "the sizes of all ranks' pieces");
    return wait_end(comm,
                    MPI_Allgather(&mine, 1, MPI_UINT64_T, sizes, 1, MPI_UINT64_T, comm->world));
}

pulmo_status pulmo_gather_all(pulmo_comm *comm, const void *piece, size_t bytes, void **all,
                              size_t *all_bytes, size_t *counts)
{
    uint64_t *sizes = calloc((size_t)comm->size, sizeof *sizes);
    char *joined = NULL;
    size_t total = 0;
    pulmo_status status =
        sizes ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "cannot allocate %d sizes", comm->size);
    PULMO_GOTO(pulmo_agree(comm, status));
    PULMO_GOTO(gather_sizes(comm, bytes, sizes));
    for (int r = 0; r < comm->size; r++)
        total += sizes[r];
    joined = pulmo_alloc(total ? total : 1, 1);
    PULMO_GOTO(pulmo_agree(comm, joined ? PULMO_OK : PULMO_MEMORY));
    if (comm->size > 1 && total <= INT_MAX)
        status = join_short(comm, piece, sizes, joined);
    else
        status = join_long(comm, piece, sizes, joined);
    PULMO_GOTO(status);
    for (int r = 0; counts && r < comm->size; r++)
        counts[r] = sizes[r];
    *all = joined;
    *all_bytes = total;
    joined = NULL;
out:
    pulmo_free(joined);
    free(sizes);
    return status;
}

void *pulmo_calloc_agreed(pulmo_comm *comm, size_t bytes, const char *message, pulmo_status *status)
{
    void *memory = calloc(1, bytes);
    *status = pulmo_agree(comm, memory ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "%s", message));
    if (*status == PULMO_OK)
        return memory;
    free(memory);
    return NULL;
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
