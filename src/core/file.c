/* Files that appear whole or not at all, and directories. */
#include "pulmo/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pulmo/memory.h"

#define UNKNOWN_SIZE_ROOM_BYTES ((size_t)1 << 16)

/* ---- reading ---- */

/* Reads up to `room` bytes; fewer only at the end of the file, negative after a failure. */
static ssize_t read_until_full(int fd, uint8_t *to, size_t room)
{
    size_t size = 0;
    while (size < room) {
        ssize_t got = read(fd, to + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    return (ssize_t)size;
}

/* One byte more than the file has, so that its end is seen without growing. */
static size_t first_room(const struct stat *about, size_t max_bytes)
{
    size_t room = UNKNOWN_SIZE_ROOM_BYTES;
    if (about->st_size > 0)
        room = (size_t)about->st_size + 1;
    if (room > max_bytes)
        room = max_bytes + 1;
    return room;
}

/* A file that grows, or whose size is not known, is read in larger and larger pieces. `*bytes`
 * belongs to the caller, whatever the status. */
static pulmo_status read_open_file(int fd, const char *path, size_t room, size_t max_bytes,
                                   uint8_t **bytes, size_t *size_bytes)
{
    size_t size = 0;
    for (;;) {
        uint8_t *larger = realloc(*bytes, room);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "%s: out of memory", path);
        *bytes = larger;
        ssize_t got = read_until_full(fd, *bytes + size, room - size);
        if (got < 0)
            return pulmo_fail(PULMO_IO, "%s: cannot be read: %s", path, strerror(errno));
        size += (size_t)got;
        if (size > max_bytes)
            return pulmo_fail(PULMO_DATA, "%s: is larger than %zu bytes", path, max_bytes);
        if (size < room)
            break;
        room *= 2;
    }
    *size_bytes = size;
    return PULMO_OK;
}

pulmo_status pulmo_file_read(const char *path, size_t max_bytes, uint8_t **data, size_t *size_bytes)
{
    uint8_t *bytes = NULL;
    struct stat about = {0};
    /* Without O_NONBLOCK the open would wait for a pipe's writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s", path, strerror(errno));
    bool known = fstat(fd, &about) == 0;
    if (known && (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode))) {
        close(fd);
        return pulmo_fail(PULMO_DATA, "%s: is a pipe, must be a file", path);
    }
    size_t room = first_room(&about, max_bytes);
    pulmo_status status = read_open_file(fd, path, room, max_bytes, &bytes, size_bytes);
    close(fd);
    if (status == PULMO_OK)
        *data = bytes;
    else
        free(bytes);
    return status;
}

/* ---- looking ---- */

pulmo_status pulmo_file_look(const char *path, bool *there)
{
    struct stat about;
    *there = stat(path, &about) == 0;
    if (*there || errno == ENOENT || errno == ENOTDIR)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO,
                      "%s: cannot be looked at: %s; run the same command again when it can", path,
                      strerror(errno));
}

/* ---- writing ---- */

/* Opens the directory that holds `path`. */
static int open_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int length = slash == path ? 1 : (int)(slash - path);
    char *directory = pulmo_format("%.*s", length, path);
    if (!directory) {
        errno = ENOMEM;
        return -1;
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(directory);
    return fd;
}

/* A failure here comes too late to leave the old file in place, so only what says that data may be
 * lost counts. Some file systems cannot sync a directory (EINVAL), and one may write to some that
 * one may not read (EACCES). */
static pulmo_status sync_directory_of(const char *path)
{
    int fd = open_directory_of(path);
    bool failed;
    if (fd < 0)
        failed = errno != EACCES;
    else
        failed = fsync(fd) != 0 && errno != EINVAL && errno != EROFS;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (failed)
        return pulmo_fail(PULMO_IO, "%s: cannot sync its directory: %s", path, strerror(reason));
    return PULMO_OK;
}

pulmo_status pulmo_file_publish(const char *temporary, const char *path)
{
    int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (!synced)
        return pulmo_fail(PULMO_IO, "%s: cannot be written to disk: %s", path, strerror(reason));
    if (rename(temporary, path) != 0)
        return pulmo_fail(PULMO_IO, "%s: cannot take its place: %s", path, strerror(errno));
    return sync_directory_of(path);
}

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t wrote = write(fd, data, bytes);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        data += wrote;
        bytes -= (size_t)wrote;
    }
    return true;
}

bool pulmo_file_write_at(int fd, const void *data, size_t bytes, uint64_t offset)
{
    const uint8_t *from = data;
    while (bytes > 0) {
        ssize_t wrote = pwrite(fd, from, bytes, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        from += wrote;
        offset += (uint64_t)wrote;
        bytes -= (size_t)wrote;
    }
    return true;
}

/* Writes and closes. */
static pulmo_status fill_and_close(int fd, const char *path, const void *data, size_t size_bytes)
{
    bool whole = write_all(fd, data, size_bytes);
    int reason = errno;
    bool closed = close(fd) == 0;
    if (whole && !closed)
        reason = errno;
    if (whole && closed)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO, "%s: cannot be written: %s", path, strerror(reason));
}

pulmo_status pulmo_file_write(const char *path, const void *data, size_t size_bytes)
{
    pulmo_status status = PULMO_OK;
    char *temporary = pulmo_file_temporary_name(path);
    if (!temporary)
        return PULMO_MEMORY;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        status = pulmo_fail(PULMO_IO, "%s: cannot be created: %s", path, strerror(errno));
        goto out;
    }
    status = fill_and_close(fd, path, data, size_bytes);
    if (status == PULMO_OK)
        status = pulmo_file_publish(temporary, path);
    if (status != PULMO_OK)
        unlink(temporary);
out:
    free(temporary);
    return status;
}

/* ---- temporary files ---- */

static const char temporary_mark[] = ".tmp.";

/* The random number tells processes apart whose hosts gave them the same process number. */
char *pulmo_file_temporary_name(const char *path)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) < 0)
        random = (uint32_t)time(NULL);
    return pulmo_format("%s%s%ld.%08x", path, temporary_mark, (long)getpid(), (unsigned)random);
}

/* True for a name that pulmo_file_temporary_name makes of the first `length` bytes of `name`. */
static bool is_temporary_of(const char *entry, const char *name, size_t length)
{
    size_t mark_bytes = sizeof temporary_mark - 1;
    if (strncmp(entry, name, length) != 0)
        return false;
    if (strncmp(entry + length, temporary_mark, mark_bytes) != 0)
        return false;
    const char *numbers = entry + length + mark_bytes;
    return *numbers && numbers[strspn(numbers, "0123456789abcdef.")] == '\0';
}

/* True for the temporary file of any name. */
static bool is_temporary(const char *entry)
{
    const char *mark = strstr(entry, temporary_mark);
    return mark && is_temporary_of(entry, entry, (size_t)(mark - entry));
}

void pulmo_file_remove_leftovers(const char *directory, const char *name)
{
    size_t length = strlen(name);
    DIR *listing = opendir(directory);
    if (!listing)
        return;
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        if (is_temporary_of(entry->d_name, name, length))
            (void)unlinkat(dirfd(listing), entry->d_name, 0);
    }
    closedir(listing);
}

static bool is_idle(int directory, const char *entry, double idle_s)
{
    struct stat about;
    if (fstatat(directory, entry, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    return S_ISREG(about.st_mode) && difftime(time(NULL), about.st_mtime) > idle_s;
}

void pulmo_file_remove_abandoned(const char *directory, double idle_s)
{
    DIR *listing = opendir(directory);
    if (!listing)
        return;
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        if (is_temporary(entry->d_name) && is_idle(dirfd(listing), entry->d_name, idle_s))
            (void)unlinkat(dirfd(listing), entry->d_name, 0);
    }
    closedir(listing);
}

/* ---- directories ---- */

/* Looks at what is there only after a refusal: a directory may exist where one may not make any. */
static pulmo_status make_one(const char *path)
{
    struct stat about;
    if (mkdir(path, 0777) == 0)
        return PULMO_OK;
    int reason = errno;
    bool there = stat(path, &about) == 0;
    if (there && S_ISDIR(about.st_mode))
        return PULMO_OK;
    if (there)
        return pulmo_fail(PULMO_IO, "%s: is not a directory; remove it or name another place",
                          path);
    return pulmo_fail(PULMO_IO, "%s: cannot make the directory: %s", path, strerror(reason));
}

pulmo_status pulmo_file_full_path(const char *path, char **out)
{
    *out = realpath(path, NULL);
    if (!*out && errno != ENOMEM)
        *out = pulmo_strdup("");
    if (*out)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "%s: out of memory for its full path", path);
}

/* Bytes of a path without its last part. */
static size_t parent_bytes(const char *path, size_t bytes)
{
    while (bytes > 0 && path[bytes - 1] != '/')
        bytes--;
    while (bytes > 0 && path[bytes - 1] == '/')
        bytes--;
    return bytes;
}

/* The real path of what there is of `path`, and the rest as it is; ends with a slash, or has one
 * before each part. NULL for want of memory. */
static char *real_path(const char *path)
{
    const char *top = *path == '/' ? "/" : ".";
    size_t there = strlen(path);
    char *part = pulmo_strdup(path);
    char *real = part ? realpath(part, NULL) : NULL;
    while (part && !real && errno != ENOMEM && there > 0) {
        there = parent_bytes(path, there);
        part[there] = '\0';
        real = realpath(there > 0 ? part : top, NULL);
    }
    free(part);
    if (!real)
        return NULL;
    const char *rest = path + there;
    rest += strspn(rest, "/");
    char *whole = pulmo_format("%s/%s", strcmp(real, "/") == 0 ? "" : real, rest);
    free(real);
    return whole;
}

bool pulmo_file_is_inside(const char *path, const char *directory)
{
    char *inner = real_path(path);
    char *outer = real_path(directory);
    bool inside = false;
    if (inner && outer) {
        size_t length = strlen(outer);
        while (length > 0 && outer[length - 1] == '/')
            length--;
        inside = strncmp(inner, outer, length) == 0 && inner[length] == '/';
    }
    free(outer);
    free(inner);
    return inside;
}

pulmo_status pulmo_directory_make(const char *path)
{
    if (!*path)
        return pulmo_fail(PULMO_IO, "cannot make a directory without a name; give its path");
    char *copy = pulmo_strdup(path);
    if (!copy)
        return PULMO_MEMORY;
    pulmo_status status = PULMO_OK;
    /* Each prefix that ends before a slash, then the whole. */
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = make_one(copy);
        *slash = '/';
        if (status != PULMO_OK)
            break;
    }
    if (status == PULMO_OK)
        status = make_one(copy);
    free(copy);
    return status;
}

#define WALK_OPEN_MOST 16 /* directories that are held open at once */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

bool pulmo_directory_remove(const char *path)
{
    return nftw(path, remove_one, WALK_OPEN_MOST, FTW_DEPTH | FTW_PHYS) == 0;
}
