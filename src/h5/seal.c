/* The seal at the end of a file, behind HDF5's own end: SHA-256 of all bytes before it, checked
 * before libhdf5 interprets any of them.
 *
 *   HDF5's bytes             body_bytes
 *   holes (n, 2) uint64      offset and length of what is left out: rows that have sums of their
 * own "pulmoEnd"               8 bytes version, n               uint32 each body_bytes uint64
 *   SHA-256                  32 bytes, of all before it but the holes
 *
 * All little-endian. libhdf5 and its tools do not look behind the end that a file's superblock
 * names; those that change a file drop the seal. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "h5_room.h"

#include "pulmo/file.h"

#define SEAL_VERSION  1
#define BUFFER_BYTES  ((size_t)1 << 18)
#define HOLES_MAX     ((uint32_t)1 << 24)
#define MARK          "pulmoEnd"
#define COVERED_BYTES (sizeof(seal_end) - PULMO_DIGEST_BYTES) /* of the end */

typedef struct seal_end {
    char mark[8];
    uint32_t version, holes;
    uint64_t body_bytes;
    pulmo_digest digest;
} seal_end;

_Static_assert(sizeof(seal_end) == 56, "as it stands in files");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are stored as they are held");

/* A file and where its parts stand. */
typedef struct sealed {
    const char *path;
    int fd;
    uint8_t *buffer; /* (BUFFER_BYTES) */
    h5_hole *hole;
    seal_end end;
} sealed;

/* False with errno set; 0 there for an early end. */
static bool read_at(int fd, uint64_t offset, size_t bytes, void *out)
{
    uint8_t *to = out;
    while (bytes > 0) {
        ssize_t got = pread(fd, to, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            if (got == 0)
                errno = 0;
            return false;
        }
        to += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return true;
}

static pulmo_status cannot_read(const char *path)
{
    if (errno == 0)
        return pulmo_fail(PULMO_DATA, "%s: is cut short", path);
    return pulmo_fail(PULMO_IO, "%s: cannot be read: %s", path, strerror(errno));
}

static pulmo_status add_bytes(const sealed *s, pulmo_digester *digester, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t bytes = BUFFER_BYTES;
        if (to - from < bytes)
            bytes = (size_t)(to - from);
        if (!read_at(s->fd, from, bytes, s->buffer))
            return cannot_read(s->path);
        pulmo_digester_add(digester, s->buffer, bytes);
        from += bytes;
    }
    return PULMO_OK;
}

static pulmo_status add_body(const sealed *s, pulmo_digester *digester)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < s->end.holes; i++) {
        const h5_hole *hole = &s->hole[i];
        PULMO_TRY(add_bytes(s, digester, at, hole->offset));
        at = hole->offset + hole->bytes;
    }
    return add_bytes(s, digester, at, s->end.body_bytes);
}

/* The digest of a file whose holes and end are known. */
static pulmo_status digest_of(const sealed *s, pulmo_digest *out)
{
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    pulmo_status status = add_body(s, digester);
    pulmo_digester_add(digester, s->hole, s->end.holes * sizeof *s->hole);
    pulmo_digester_add(digester, &s->end, COVERED_BYTES);
    *out = pulmo_digester_end(digester);
    return status;
}

/* ---- writing ---- */

static int by_offset(const void *a, const void *b)
{
    const h5_hole *first = a;
    const h5_hole *second = b;
    return (first->offset > second->offset) - (first->offset < second->offset);
}

/* Holes in order, neighbours made one; how many there are then. */
static uint32_t merge(h5_hole *hole, size_t count)
{
    uint32_t merged = 0;
    qsort(hole, count, sizeof *hole, by_offset);
    for (size_t i = 0; i < count; i++) {
        h5_hole *last = merged > 0 ? &hole[merged - 1] : NULL;
        if (last && last->offset + last->bytes == hole[i].offset)
            last->bytes += hole[i].bytes;
        else
            hole[merged++] = hole[i];
    }
    return merged;
}

static pulmo_status append(sealed *s)
{
    off_t size = lseek(s->fd, 0, SEEK_END);
    if (size < 0)
        return cannot_read(s->path);
    size_t holes_bytes = s->end.holes * sizeof *s->hole;
    uint64_t body_bytes = (uint64_t)size;
    memcpy(s->end.mark, MARK, sizeof s->end.mark);
    s->end.version = SEAL_VERSION;
    s->end.body_bytes = body_bytes;
    PULMO_TRY(digest_of(s, &s->end.digest));
    bool whole = pulmo_file_write_at(s->fd, s->hole, holes_bytes, body_bytes);
    if (whole)
        whole = pulmo_file_write_at(s->fd, &s->end, sizeof s->end, body_bytes + holes_bytes);
    if (whole)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO, "%s: cannot be written: %s", s->path, strerror(errno));
}

/* Closing may be where a disk says that it is full. */
static pulmo_status close_written(const sealed *s, pulmo_status status)
{
    if (close(s->fd) == 0 || status != PULMO_OK)
        return status;
    return pulmo_fail(PULMO_IO, "%s: cannot be written: %s", s->path, strerror(errno));
}

pulmo_status h5_seal_append(const pulmo_h5 *file, const h5_hole *holes, size_t count)
{
    sealed s = {.path = file->path};
    s.fd = open(file->temporary, O_RDWR | O_CLOEXEC);
    if (s.fd < 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be written: %s", s.path, strerror(errno));
    pulmo_status status = PULMO_OK;
    s.buffer = malloc(BUFFER_BYTES);
    s.hole = malloc((count + 1) * sizeof *s.hole);
    if (!s.buffer || !s.hole) {
        status = pulmo_fail(PULMO_MEMORY, "%s: out of memory", s.path);
        goto out;
    }
    if (count > 0)
        memcpy(s.hole, holes, count * sizeof *holes);
    s.end.holes = merge(s.hole, count);
    status = append(&s);
out:
    free(s.hole);
    free(s.buffer);
    return close_written(&s, status);
}

/* ---- checking ---- */

static pulmo_status fail_seal(const sealed *s, const char *what)
{
    return pulmo_fail(PULMO_DATA,
                      "%s: %s: the file is damaged; restore it from a copy, or make it anew",
                      s->path, what);
}

/* Holes must be in order, apart, and within the body. */
static bool holes_fit(const sealed *s)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < s->end.holes; i++) {
        const h5_hole *hole = &s->hole[i];
        if (hole->offset < at || hole->offset > s->end.body_bytes)
            return false;
        if (hole->bytes > s->end.body_bytes - hole->offset)
            return false;
        at = hole->offset + hole->bytes;
    }
    return true;
}

/* Whether the file ends as a sealed one does; s->end is filled then. */
static pulmo_status find_seal(sealed *s, bool *found)
{
    off_t size = lseek(s->fd, 0, SEEK_END);
    *found = false;
    if (size < (off_t)sizeof s->end)
        return PULMO_OK;
    uint64_t end_at = (uint64_t)size - sizeof s->end;
    if (!read_at(s->fd, end_at, sizeof s->end, &s->end))
        return cannot_read(s->path);
    *found = memcmp(s->end.mark, MARK, sizeof s->end.mark) == 0;
    if (!*found)
        return PULMO_OK;
    if (s->end.version != SEAL_VERSION)
        return pulmo_fail(PULMO_DATA, "%s: its seal has version %u, this program reads %d; %s",
                          s->path, s->end.version, SEAL_VERSION,
                          "the file is damaged, or of a later release");
    uint64_t holes_bytes = s->end.holes * (uint64_t)sizeof *s->hole;
    bool fits = s->end.holes <= HOLES_MAX && holes_bytes <= end_at;
    if (!fits || s->end.body_bytes != end_at - holes_bytes)
        return fail_seal(s, "its length is not what its seal says");
    return PULMO_OK;
}

static pulmo_status check_sealed(sealed *s)
{
    pulmo_digest found = {{0}};
    size_t holes_bytes = s->end.holes * sizeof *s->hole;
    s->buffer = malloc(BUFFER_BYTES);
    s->hole = calloc(s->end.holes + 1u, sizeof *s->hole);
    if (!s->buffer || !s->hole)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", s->path);
    if (!read_at(s->fd, s->end.body_bytes, holes_bytes, s->hole))
        return cannot_read(s->path);
    if (!holes_fit(s))
        return fail_seal(s, "its seal contradicts itself");
    PULMO_TRY(digest_of(s, &found));
    if (memcmp(found.bytes, s->end.digest.bytes, sizeof found.bytes) == 0)
        return PULMO_OK;
    return fail_seal(s, "its bytes are not those that were written (SHA-256)");
}

pulmo_status h5_seal_check(const char *path, bool *is_sealed)
{
    sealed s = {.path = path};
    bool found = false;
    *is_sealed = false;
    s.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s.fd < 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s", path, strerror(errno));
    pulmo_status status = find_seal(&s, &found);
    if (status == PULMO_OK && found)
        status = check_sealed(&s);
    *is_sealed = status == PULMO_OK && found;
    free(s.hole);
    free(s.buffer);
    close(s.fd);
    return status;
}
