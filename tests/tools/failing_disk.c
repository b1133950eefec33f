/* A disk that fails, for LD_PRELOAD: the n-th call of a kind on anything below a directory.
 *
 *   DISK_UNDER   the directory, absolute; without it nothing happens
 *   DISK_CALL    write (also pwrite, ftruncate), fsync, rename, close, open (for writing),
 *                or any of them; or look (open for reading)
 *   DISK_AT      n, from 1: which call of that kind in this process
 *   DISK_ERROR   ENOSPC, EIO, EROFS, EDQUOT; or KILL: SIGKILL in place of the call, or half-way
 *                through a write; or SLOW: the call takes DISK_SECONDS longer, and does its work
 *   DISK_LASTS   1: all calls after it fail as well, as on a full disk
 *   DISK_RANK    only in this rank of mpirun or srun
 *   DISK_LOG     a file to which a line is added for each failure ("failed CALL PATH"), for each
 *                file that took its place ("renamed PATH"), and at the end of the process
 *                ("counted CALLS")
 *
 * What it cannot fail: writes through a memory map, and those that the C library makes by itself
 * for stdio. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "rank.h"

#define PATH_BYTES 4096

static atomic_long calls;

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static void note(const char *what, const char *path)
{
    char line[PATH_BYTES + 64];
    if (!*setting("DISK_LOG"))
        return;
    int length = snprintf(line, sizeof line, "%s %s\n", what, path);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, setting("DISK_LOG"),
                          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    (void)!syscall(SYS_write, fd, line, (size_t)length);
    syscall(SYS_close, fd);
}

static bool my_rank(void)
{
    const char *rank = rank_told();
    return !*setting("DISK_RANK") || strcmp(setting("DISK_RANK"), *rank ? rank : "0") == 0;
}

static bool below(const char *path)
{
    const char *under = setting("DISK_UNDER");
    size_t length = strlen(under);
    return length > 0 && strncmp(path, under, length) == 0 &&
           (path[length] == '/' || path[length] == '\0' || path[length] == ' ') && my_rank();
}

/* The path of an open file, also of one that has no name (any more). */
static const char *path_of(int fd, char path[PATH_BYTES])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_BYTES - 1);
    path[length < 0 ? 0 : length] = '\0';
    return path;
}

static const char *absolute(const char *path, char out[PATH_BYTES])
{
    char here[PATH_BYTES];
    if (*path == '/' || !getcwd(here, sizeof here))
        snprintf(out, PATH_BYTES, "%s", path);
    else if (snprintf(out, PATH_BYTES, "%s/%s", here, path) >= PATH_BYTES)
        out[0] = '\0';
    return out;
}

static int error_wanted(void)
{
    static const struct {
        const char *name;
        int number;
    } errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EROFS", EROFS}, {"EDQUOT", EDQUOT}};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (strcmp(setting("DISK_ERROR"), errors[i].name) == 0)
            return errors[i].number;
    return EIO;
}

static bool doze(double seconds)
{
    struct timespec nap = {.tv_sec = (time_t)seconds,
                           .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&nap, NULL);
    return false;
}

/* True if this call shall fail: errno is set then. */
static bool fails(const char *call, const char *path)
{
    char what[32];
    bool any = strcmp(setting("DISK_CALL"), "any") == 0 && strcmp(call, "look") != 0;
    if (!below(path) || (!any && strcmp(setting("DISK_CALL"), call) != 0))
        return false;
    long at = atol(setting("DISK_AT")), mine = atomic_fetch_add(&calls, 1) + 1;
    if (at < 1 || mine < at || (mine > at && !*setting("DISK_LASTS")))
        return false;
    snprintf(what, sizeof what, "failed %s", call);
    note(what, path);
    if (strcmp(setting("DISK_ERROR"), "SLOW") == 0)
        return doze(atof(setting("DISK_SECONDS")));
    if (strcmp(setting("DISK_ERROR"), "KILL") == 0 && strcmp(call, "write") != 0)
        raise(SIGKILL);
    errno = error_wanted();
    return true;
}

/* In place of a write that fails: a killed one has done half of its work. */
static void half_killed(int fd, const void *data, size_t bytes, off_t offset)
{
    if (strcmp(setting("DISK_ERROR"), "KILL") != 0)
        return;
    (void)!syscall(SYS_pwrite64, fd, data, bytes / 2, offset);
    raise(SIGKILL);
}

__attribute__((destructor)) static void count(void)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", atomic_load(&calls));
    if (*setting("DISK_UNDER") && my_rank() && atomic_load(&calls) > 0)
        note("counted", text);
}

/* ---- the calls ---- */

ssize_t write(int fd, const void *data, size_t bytes)
{
    char path[PATH_BYTES];
    if (fd <= STDERR_FILENO || !fails("write", path_of(fd, path)))
        return syscall(SYS_write, fd, data, bytes);
    half_killed(fd, data, bytes, lseek(fd, 0, SEEK_CUR));
    return -1;
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
    char path[PATH_BYTES];
    if (!fails("write", path_of(fd, path)))
        return syscall(SYS_pwrite64, fd, data, bytes, offset);
    half_killed(fd, data, bytes, offset);
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    return pwrite64(fd, data, bytes, offset);
}

int ftruncate64(int fd, off64_t length)
{
    char path[PATH_BYTES];
    if (!fails("write", path_of(fd, path)))
        return (int)syscall(SYS_ftruncate, fd, length);
    half_killed(fd, "", 0, 0);
    return -1;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int fsync(int fd)
{
    char path[PATH_BYTES];
    return fails("fsync", path_of(fd, path)) ? -1 : (int)syscall(SYS_fsync, fd);
}

/* A close that fails has closed all the same. */
int close(int fd)
{
    char path[PATH_BYTES];
    if (!*setting("DISK_UNDER"))
        return (int)syscall(SYS_close, fd);
    int flags = fcntl(fd, F_GETFL);
    bool writer = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
    bool failed = writer && fails("close", path_of(fd, path));
    int reason = errno, done = (int)syscall(SYS_close, fd);
    if (!failed)
        return done;
    errno = reason;
    return -1;
}

int rename(const char *from, const char *to)
{
    char path[PATH_BYTES];
    if (fails("rename", absolute(to, path)))
        return -1;
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (done == 0 && below(path))
        note("renamed", path);
    return done;
}

int open64(const char *name, int flags, ...)
{
    char path[PATH_BYTES];
    mode_t mode = 0;
    va_list arguments;
    va_start(arguments, flags);
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
        mode = va_arg(arguments, mode_t);
    va_end(arguments);
    bool writer = (flags & O_ACCMODE) != O_RDONLY;
    if (fails(writer ? "open" : "look", absolute(name, path)))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode);
}

int open(const char *name, int flags, ...)
{
    mode_t mode = 0;
    va_list arguments;
    va_start(arguments, flags);
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
        mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return open64(name, flags, mode);
}
