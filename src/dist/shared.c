/* One copy a node: memory without a name, made by the node's first rank and opened by the
 * others through /proc, so that nothing stays behind however a run ends, and /dev/shm may be
 * small (64 MB in most containers). Space is reserved before use: too little of it is an error
 * here, not a bus error later. Where sharing is impossible, every rank gets a copy of its own,
 * with a warning. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "comm.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

struct pulmo_shared {
    void *base;
    size_t bytes;
    int mapped; /* else allocated */
};

/* Where the first rank's memory is found, and how to know that it is that memory and not a
 * file of a stranger with the same number (ranks in separate process namespaces). */
typedef struct place {
    long pid;
    int fd, error;
    uint64_t device, inode;
} place;

/* The node's first rank. `it->error` is 0 or why there is no memory. */
static void make_memory(size_t bytes, place *it)
{
    struct stat about;
    it->pid = (long)getpid();
    it->fd = memfd_create("pulmo", MFD_CLOEXEC);
    it->error = it->fd < 0 ? errno : posix_fallocate(it->fd, 0, (off_t)bytes);
    if (it->error == 0 && fstat(it->fd, &about) != 0)
        it->error = errno;
    if (it->error != 0)
        return;
    it->device = (uint64_t)about.st_dev;
    it->inode = (uint64_t)about.st_ino;
}

/* The other ranks: the memory of `it`, or -1 with the reason in *error. */
static int open_memory(const place *it, int *error)
{
    char path[64];
    struct stat about;
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", it->pid, it->fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    *error = errno;
    if (fd < 0)
        return -1;
    if (fstat(fd, &about) == 0 && (uint64_t)about.st_dev == it->device &&
        (uint64_t)about.st_ino == it->inode)
        return fd;
    close(fd);
    *error = ENOENT;
    return -1;
}

static void *map_memory(int fd, size_t bytes, int *error)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    *error = errno;
    if (base == MAP_FAILED)
        return NULL;
    (void)madvise(base, bytes, MADV_HUGEPAGE);
    return base;
}

/* Collective over the node. *base is NULL, with the reason in *error, where this rank has none. */
static pulmo_status share(pulmo_comm *comm, size_t bytes, void **base, int *error)
{
    place it = {.fd = -1};
    int fd = -1, first = comm->node_rank == 0;
    if (first)
        make_memory(bytes, &it);
    wait_begin(comm, "this node's shared memory");
    pulmo_status status = wait_end(comm, MPI_Bcast(&it, sizeof it, MPI_BYTE, 0, comm->node));
    *error = it.error;
    if (status == PULMO_OK && it.error == 0)
        fd = first ? it.fd : open_memory(&it, error);
    if (fd >= 0)
        *base = map_memory(fd, bytes, error);
    /* The first rank keeps its descriptor until all have opened it. */
    wait_begin(comm, "the node's ranks to open shared memory");
    pulmo_status arrived = wait_end(comm, MPI_Barrier(comm->node));
    if (fd >= 0)
        close(fd);
    else if (first && it.fd >= 0)
        close(it.fd);
    return status == PULMO_OK ? arrived : status;
}

/* Why a rank of this node has no shared memory; 0 if all have. Collective. */
static pulmo_status node_reason(pulmo_comm *comm, int mine, int *reason)
{
    wait_begin(comm, "this node's reasons");
    return wait_end(comm, MPI_Allreduce(&mine, reason, 1, MPI_INT, MPI_MAX, comm->node));
}

/* Memory that is too small for one copy is not enough for a copy per rank either. */
static pulmo_status check_room(size_t bytes)
{
    return pulmo_memory_need(bytes, "give the job more memory", "what the ranks of a node share");
}

/* Fills shared->base by sharing or, where that fails on any node, not at all. Collective. */
static pulmo_status try_sharing(pulmo_comm *comm, pulmo_shared *shared)
{
    int error = 0, reason = 0;
    /* A rank alone on its node shares with nobody; all must take the same way through the barriers.
     */
    if (shared->bytes == 0 || !pulmo_any(comm, comm->node_size > 1))
        return PULMO_OK;
    pulmo_status status = share(comm, shared->bytes, &shared->base, &error);
    shared->mapped = shared->base != NULL;
    PULMO_TRY(pulmo_agree(comm, status));
    if (!pulmo_any(comm, shared->base == NULL))
        return PULMO_OK;
    PULMO_TRY(node_reason(comm, shared->base ? 0 : error, &reason));
    if (comm->node_rank == 0)
        pulmo_warn(
            "ranks of host %s cannot share %zu MB of memory (%s): each keeps a copy of its own",
            comm->host, shared->bytes >> 20,
            reason ? strerror(reason) : "those of another host cannot");
    if (shared->mapped)
        munmap(shared->base, shared->bytes);
    shared->mapped = 0;
    shared->base = NULL;
    return PULMO_OK;
}

pulmo_status pulmo_shared_create(pulmo_comm *comm, size_t bytes, void **base, int *owner,
                                 pulmo_shared **out)
{
    pulmo_shared *shared = calloc(1, sizeof *shared);
    pulmo_status status =
        shared ? check_room(bytes) : pulmo_fail(PULMO_MEMORY, "cannot allocate a handle");
    status = pulmo_agree(comm, status);
    if (status == PULMO_OK)
        shared->bytes = bytes;
    if (status == PULMO_OK)
        status = try_sharing(comm, shared);
    if (status == PULMO_OK && !shared->mapped)
        shared->base = pulmo_alloc(bytes, 1);
    if (status == PULMO_OK)
        status = pulmo_agree(comm, shared->base ? PULMO_OK : PULMO_MEMORY);
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
    if (!shared->mapped)
        return PULMO_OK;
    atomic_thread_fence(memory_order_seq_cst);
    wait_begin(comm, "the node's shared memory to be filled");
    PULMO_TRY(wait_end(comm, MPI_Barrier(comm->node)));
    atomic_thread_fence(memory_order_seq_cst);
    /* From here on nobody writes: a stray write is better a fault than a wrong model. */
    (void)mprotect(shared->base, shared->bytes, PROT_READ);
    return PULMO_OK;
}

void pulmo_shared_destroy(pulmo_shared *shared)
{
    if (!shared)
        return;
    if (shared->mapped)
        munmap(shared->base, shared->bytes);
    else
        pulmo_free(shared->base);
    free(shared);
}
