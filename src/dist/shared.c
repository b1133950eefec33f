/* One copy a node: POSIX shared memory, made by the node's first rank, opened by the others and
 * unlinked as soon as all have it, so that nothing stays behind. Space is reserved before use: a
 * full /dev/shm is an error here, not a bus error later. Where sharing is impossible, every rank
 * gets a copy of its own, with a warning. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "comm.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

struct pulmo_shared {
    void *base;
    size_t bytes;
    int mapped; /* else allocated */
};

static void name_of(char out[64])
{
    static int number = 0;
    snprintf(out, 64, "/pulmo.%ld.%d", (long)getpid(), number++);
}

/* Makes (first rank) or opens the node's memory; NULL with the reason in *reason. */
static void *map_memory(const char *name, size_t bytes, int make, int *reason)
{
    int fd = shm_open(name, make ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);
    void *base = MAP_FAILED;
    *reason = errno;
    if (fd < 0) return NULL;
    *reason = make ? posix_fallocate(fd, 0, (off_t)bytes) : 0;
    if (*reason == 0) {
        base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        *reason = errno;
    }
    close(fd);
    if (base == MAP_FAILED) return NULL;
    (void)madvise(base, bytes, MADV_HUGEPAGE);
    return base;
}

/* Collective over the node. NULL where this rank has none. */
static void *share(pulmo_comm *comm, size_t bytes, int *reason)
{
    char name[64];
    void *base = NULL;
    int made = 1;
    name_of(name);
    MPI_Bcast(name, sizeof name, MPI_CHAR, 0, comm->node);
    if (comm->node_rank == 0) {
        base = map_memory(name, bytes, 1, reason);
        made = base != NULL;
    }
    MPI_Bcast(&made, 1, MPI_INT, 0, comm->node);
    if (comm->node_rank != 0 && made) base = map_memory(name, bytes, 0, reason);
    MPI_Barrier(comm->node);
    if (comm->node_rank == 0) shm_unlink(name);
    return base;
}

pulmo_status pulmo_shared_create(pulmo_comm *comm, size_t bytes, void **base, int *owner, pulmo_shared **out)
{
    int reason = 0;
    pulmo_shared *shared = calloc(1, sizeof *shared);
    PULMO_TRY(pulmo_agree(comm, shared ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "cannot allocate a handle")));
    shared->bytes = bytes;
    /* A rank alone on its node shares with nobody; all must take the same way through the barriers. */
    int wanted = pulmo_any(comm, comm->node_size > 1);
    if (wanted) shared->base = share(comm, bytes, &reason);
    int failed = wanted && pulmo_any(comm, shared->base == NULL);
    if (failed && shared->base) munmap(shared->base, bytes);
    if (failed && comm->node_rank == 0)
        pulmo_warn("ranks of host %s cannot share %zu MB in /dev/shm (%s): each keeps a copy of its own", comm->host,
                   bytes >> 20, reason ? strerror(reason) : "another node failed");
    shared->mapped = wanted && !failed;
    if (!shared->mapped) shared->base = pulmo_alloc(bytes, 1);
    pulmo_status status = pulmo_agree(comm, shared->base ? PULMO_OK : PULMO_MEMORY);
    if (status != PULMO_OK) {
        pulmo_shared_destroy(shared);
        return status;
    }
    *base = shared->base;
    *owner = !shared->mapped || comm->node_rank == 0;
    *out = shared;
    return PULMO_OK;
}

pulmo_status pulmo_shared_publish(pulmo_comm *comm, pulmo_shared *shared)
{
    atomic_thread_fence(memory_order_seq_cst);
    PULMO_TRY(mpi_status(MPI_Barrier(comm->node), "publishing shared memory"));
    atomic_thread_fence(memory_order_seq_cst);
    /* From here on nobody writes: a stray write is better a fault than a wrong model. */
    if (shared->mapped) (void)mprotect(shared->base, shared->bytes, PROT_READ);
    return PULMO_OK;
}

void pulmo_shared_destroy(pulmo_shared *shared)
{
    if (!shared) return;
    if (shared->mapped) munmap(shared->base, shared->bytes);
    else pulmo_free(shared->base);
    free(shared);
}
