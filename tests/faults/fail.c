/* Calls that fail, for LD_PRELOAD: the n-th of a kind in this process. tests/faults/run.sh loops
 * over n. What tests/tools/failing_disk.c does for one directory and failing_memory.c for sizes,
 * this does for every call, and tells who asks:
 *
 *   own       the program's own code, known by the return address
 *   file      a library's call on a file below FAULT_UNDER, as HDF5's writes of pulmo's files
 *   library   all others
 *
 *   FAULT_AT      n, from 1; 0: nothing fails, but calls of every kind are logged
 *   FAULT_KIND    memory, write, sync, rename, close, open or read
 *   FAULT_WHOSE   own, file or library
 *   FAULT_UNDER   a directory, absolute
 *   FAULT_RANK    only in this rank of mpirun
 *   FAULT_LOG     a file for one line per call that was logged or that failed, "KIND WHOSE CALL
 *                 WHAT STACK...", where STACK has the addresses in the program, innermost first,
 *                 less its load address, as addr2line takes them
 *   FAULT_STACKS  1: also of calls of libraries that did not fail, which takes its time
 *
 * Writes to standard error never fail: nobody could be told. What the C library writes for stdio
 * fails at the call that asks for it, with the stream's error mark set as after a full disk. A
 * close that fails has closed all the same. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <regex.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../tools/rank.h"

#define PATH_BYTES            4096
#define MOST_FRAMES           48
#define CALLER                __builtin_return_address(0)
#define REAL(name)            ((__typeof__(&(name)))next(#name))
#define LET(kind, call, what) wants(kind, call, what, -1, NULL, CALLER)

/* The C library's own. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

static _Thread_local bool inside __attribute__((tls_model("initial-exec")));
static bool active;
static atomic_long calls;
static long wanted;
static const char *kind_wanted, *whose_wanted, *under, *log_name;
static uintptr_t load_address, program_begin, program_end;

static void *next(const char *name)
{
    bool was = inside;
    inside = true;
    void *found = dlsym(RTLD_NEXT, name);
    inside = was;
    return found;
}

/* ---- who asks, and what for ---- */

/* The first object is the program. */
static int see_program(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    load_address = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        program_begin = load_address + part->p_vaddr;
        program_end = program_begin + part->p_memsz;
    }
    return 1;
}

static bool in_program(const void *address)
{
    return (uintptr_t)address >= program_begin && (uintptr_t)address < program_end;
}

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

__attribute__((constructor)) static void begin(void)
{
    void *frames[2];
    const char *rank = rank_told(), *only = setting("FAULT_RANK");
    if (strcmp(program_invocation_short_name, "pulmo") != 0 || !*setting("FAULT_LOG"))
        return;
    if (*only && *rank && strcmp(rank, only) != 0)
        return;
    dl_iterate_phdr(see_program, NULL);
    (void)backtrace(frames, 2); /* loads its library now */
    kind_wanted = setting("FAULT_KIND");
    whose_wanted = setting("FAULT_WHOSE");
    under = setting("FAULT_UNDER");
    log_name = setting("FAULT_LOG");
    wanted = atol(setting("FAULT_AT"));
    active = true;
}

/* The path of an open file, also of one that has no name (any more). */
static void path_of(int fd, char path[PATH_BYTES])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_BYTES - 1);
    path[length < 0 ? 0 : length] = '\0';
}

static bool is_below(const char *path)
{
    size_t length = strlen(under);
    return length > 0 && strncmp(path, under, length) == 0;
}

static const char library[] = "library";

static const char *whose_is(const char *path, const void *caller)
{
    if (in_program(caller))
        return "own";
    return path && is_below(path) ? "file" : library;
}

static void note(const char *kind, const char *whose, const char *call, const char *what)
{
    char line[PATH_BYTES + 1024];
    void *frames[MOST_FRAMES];
    bool logs_all = wanted == 0;
    bool short_line = logs_all && whose == library && !*setting("FAULT_STACKS");
    int count = short_line ? 0 : backtrace(frames, MOST_FRAMES);
    int length =
        snprintf(line, sizeof line - 512, "%s %s %s %s", kind, whose, call, *what ? what : "-");
    for (int i = 0; i < count && length < (int)sizeof line - 32; i++)
        if (in_program(frames[i]))
            length += sprintf(line + length, " %lx", (uintptr_t)frames[i] - load_address - 1);
    line[length++] = '\n';
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log_name, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd < 0)
        return;
    (void)!syscall(SYS_write, fd, line, (size_t)length);
    syscall(SYS_close, fd);
}

/* True if this call shall fail. `fd` is -1 where `path` names the file, or there is none. */
static bool wants(const char *kind, const char *call, const char *what, int fd, const char *path,
                  const void *caller)
{
    char name[PATH_BYTES];
    if (!active || inside || (wanted > 0 && strcmp(kind, kind_wanted) != 0))
        return false;
    int reason = errno;
    inside = true;
    if (fd >= 0) {
        path_of(fd, name);
        path = name;
    } else if (path && *path != '/' && getcwd(name, sizeof name - 1 - strlen(path))) {
        strcat(strcat(name, "/"), path);
        path = name;
    }
    const char *whose = whose_is(path, caller);
    /* What Open MPI says to itself through pipes and eventfds never fails. */
    if (fd >= 0 && whose == library && *path != '/')
        kind = "none";
    bool counts = wanted > 0 && strcmp(kind, kind_wanted) == 0 && strcmp(whose, whose_wanted) == 0;
    bool fails = counts && atomic_fetch_add(&calls, 1) + 1 == wanted;
    if (fails || wanted == 0)
        note(kind, whose, call, path ? path : what);
    inside = false;
    errno = reason;
    return fails;
}

/* ---- memory, and threads ---- */

void *malloc(size_t bytes)
{
    if (!LET("memory", "malloc", ""))
        return __libc_malloc(bytes);
    errno = ENOMEM;
    return NULL;
}

void *calloc(size_t count, size_t size)
{
    if (!LET("memory", "calloc", ""))
        return __libc_calloc(count, size);
    errno = ENOMEM;
    return NULL;
}

void *realloc(void *block, size_t bytes)
{
    if (!LET("memory", "realloc", ""))
        return __libc_realloc(block, bytes);
    errno = ENOMEM;
    return NULL;
}

int posix_memalign(void **out, size_t align, size_t bytes)
{
    if (LET("memory", "posix_memalign", ""))
        return ENOMEM;
    *out = __libc_memalign(align, bytes);
    return *out ? 0 : ENOMEM;
}

/* A function that allocates inside of the C library: its own allocations are not counted again. */
#define WITHIN(kind, call, what, failing, real, ...)                                               \
    bool was = inside;                                                                             \
    if (LET(kind, call, what)) {                                                                   \
        errno = ENOMEM;                                                                            \
        return failing;                                                                            \
    }                                                                                              \
    __typeof__(&(real)) function = REAL(real);                                                     \
    inside = inside || in_program(CALLER);                                                         \
    __typeof__(function(__VA_ARGS__)) done = function(__VA_ARGS__);                                \
    inside = was;                                                                                  \
    return done;

char *strdup(const char *text)
{
    WITHIN("memory", "strdup", "", NULL, strdup, text)
}

char *strndup(const char *text, size_t bytes)
{
    WITHIN("memory", "strndup", "", NULL, strndup, text, bytes)
}

int vasprintf(char **out, const char *format, va_list arguments)
{
    WITHIN("memory", "vasprintf", "", -1, vasprintf, out, format, arguments)
}

char *realpath(const char *path, char *out)
{
    WITHIN("memory", "realpath", "", NULL, realpath, path, out)
}

int regcomp(regex_t *made, const char *pattern, int flags)
{
    WITHIN("memory", "regcomp", "", REG_ESPACE, regcomp, made, pattern, flags)
}

int scandir(const char *path, struct dirent ***names, int (*takes)(const struct dirent *),
            int (*compare)(const struct dirent **, const struct dirent **))
{
    WITHIN("memory", "scandir", path, -1, scandir, path, names, takes, compare)
}

int pthread_create(pthread_t *made, const pthread_attr_t *how, void *(*start)(void *), void *with)
{
    WITHIN("memory", "pthread_create", "", EAGAIN, pthread_create, made, how, start, with)
}

void *mmap(void *at, size_t bytes, int rights, int flags, int fd, off_t offset)
{
    if (!LET("memory", "mmap", ""))
        return (void *)syscall(SYS_mmap, at, bytes, rights, flags, fd, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

/* ---- writes ---- */

#define ON_FD(kind, call, reason, ...)                                                             \
    if (fd != STDERR_FILENO && wants(kind, #call, "", fd, NULL, CALLER)) {                         \
        errno = reason;                                                                            \
        return -1;                                                                                 \
    }                                                                                              \
    return REAL(call)(__VA_ARGS__);

ssize_t write(int fd, const void *data,
              size_t bytes){ON_FD("write", write, ENOSPC, fd, data, bytes)}

ssize_t pwrite(int fd, const void *data, size_t bytes,
               off_t offset){ON_FD("write", pwrite, ENOSPC, fd, data, bytes, offset)}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
    ON_FD("write", pwrite64, ENOSPC, fd, data, bytes, offset)
}

int ftruncate(int fd, off_t bytes)
{
    ON_FD("write", ftruncate, ENOSPC, fd, bytes)
}

int ftruncate64(int fd, off64_t bytes)
{
    ON_FD("write", ftruncate64, ENOSPC, fd, bytes)
}

int posix_fallocate(int fd, off_t offset, off_t bytes)
{
    if (wants("write", "posix_fallocate", "", fd, NULL, CALLER))
        return ENOSPC;
    return REAL(posix_fallocate)(fd, offset, bytes);
}

/* A stream without a file is memory of the program's own, whose allocations are counted. */
static bool stream_wants(const char *kind, FILE *stream, const char *call, const void *caller)
{
    int reason = errno;
    int fd = stream ? fileno(stream) : -1;
    errno = reason;
    if (fd < 0 || stream == stderr)
        return false;
    return wants(kind, call, "", fd, NULL, caller);
}

/* A stream whose error mark is set, as the C library leaves it. */
static bool stream_fails(FILE *stream, const char *call, const void *caller)
{
    if (!stream_wants("write", stream, call, caller))
        return false;
    stream->_flags |= _IO_ERR_SEEN;
    errno = ENOSPC;
    return true;
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *stream)
{
    return stream_fails(stream, "fwrite", CALLER) ? 0 : REAL(fwrite)(data, size, count, stream);
}

int fputs(const char *text, FILE *stream)
{
    return stream_fails(stream, "fputs", CALLER) ? EOF : REAL(fputs)(text, stream);
}

int puts(const char *text)
{
    return stream_fails(stdout, "puts", CALLER) ? EOF : REAL(puts)(text);
}

int fputc(int byte, FILE *stream)
{
    return stream_fails(stream, "fputc", CALLER) ? EOF : REAL(fputc)(byte, stream);
}

int putc(int byte, FILE *stream)
{
    return stream_fails(stream, "putc", CALLER) ? EOF : REAL(fputc)(byte, stream);
}

int vfprintf(FILE *stream, const char *format, va_list arguments)
{
    if (stream_fails(stream, "vfprintf", CALLER))
        return EOF;
    return REAL(vfprintf)(stream, format, arguments);
}

int fprintf(FILE *stream, const char *format, ...)
{
    if (stream_fails(stream, "fprintf", CALLER))
        return EOF;
    va_list arguments;
    va_start(arguments, format);
    int done = REAL(vfprintf)(stream, format, arguments);
    va_end(arguments);
    return done;
}

int printf(const char *format, ...)
{
    if (stream_fails(stdout, "printf", CALLER))
        return EOF;
    va_list arguments;
    va_start(arguments, format);
    int done = REAL(vfprintf)(stdout, format, arguments);
    va_end(arguments);
    return done;
}

int fflush(FILE *stream)
{
    /* Where nothing waits, nothing is written. */
    if (stream && __fpending(stream) > 0 && stream_fails(stream, "fflush", CALLER))
        return EOF;
    return REAL(fflush)(stream);
}

/* ---- syncs, renames, closes ---- */

int fsync(int fd)
{
    ON_FD("sync", fsync, EIO, fd)
}

int fdatasync(int fd)
{
    ON_FD("sync", fdatasync, EIO, fd)
}

int rename(const char *from, const char *to)
{
    if (!wants("rename", "rename", "", -1, to, CALLER))
        return REAL(rename)(from, to);
    errno = EROFS;
    return -1;
}

int link(const char *from, const char *to)
{
    if (!wants("rename", "link", "", -1, to, CALLER))
        return REAL(link)(from, to);
    errno = EROFS;
    return -1;
}

int close(int fd)
{
    bool fails = fd != STDERR_FILENO && wants("close", "close", "", fd, NULL, CALLER);
    int done = (int)syscall(SYS_close, fd);
    if (!fails)
        return done;
    errno = EIO;
    return -1;
}

int fclose(FILE *stream)
{
    bool fails = stream_wants("close", stream, "fclose", CALLER);
    int done = REAL(fclose)(stream);
    if (!fails)
        return done;
    errno = EIO;
    return EOF;
}

/* ---- opens, and what makes a file or a directory ---- */

#define ON_PATH(call, failing, reason, ...)                                                        \
    if (wants("open", #call, "", -1, path, CALLER)) {                                              \
        errno = reason;                                                                            \
        return failing;                                                                            \
    }                                                                                              \
    return REAL(call)(__VA_ARGS__);

static mode_t mode_of(int flags, va_list arguments)
{
    bool makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    return makes ? va_arg(arguments, mode_t) : 0;
}

#define OPENING(name)                                                                              \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        ON_PATH(name, -1, EMFILE, path, flags, mode)                                               \
    }

OPENING(open)
OPENING(open64)

FILE *fopen(const char *path, const char *how){ON_PATH(fopen, NULL, EMFILE, path, how)}

FILE *fopen64(const char *path, const char *how){ON_PATH(fopen64, NULL, EMFILE, path, how)}

DIR *opendir(const char *path)
{
    ON_PATH(opendir, NULL, EMFILE, path)
}

int mkostemp(char *path, int flags)
{
    ON_PATH(mkostemp, -1, EMFILE, path, flags)
}

char *mkdtemp(char *path)
{
    ON_PATH(mkdtemp, NULL, ENOSPC, path)
}

int mkdir(const char *path, mode_t mode)
{
    ON_PATH(mkdir, -1, ENOSPC, path, mode)
}

int memfd_create(const char *path, unsigned flags){ON_PATH(memfd_create, -1, EMFILE, path, flags)}

/* ---- reads ---- */

ssize_t read(int fd, void *data, size_t bytes){ON_FD("read", read, EIO, fd, data, bytes)}

ssize_t pread(int fd, void *data, size_t bytes,
              off_t offset){ON_FD("read", pread, EIO, fd, data, bytes, offset)}

ssize_t pread64(int fd, void *data, size_t bytes,
                off64_t offset){ON_FD("read", pread64, EIO, fd, data, bytes, offset)}

size_t fread(void *data, size_t size, size_t count, FILE *stream)
{
    if (!stream_wants("read", stream, "fread", CALLER))
        return REAL(fread)(data, size, count, stream);
    stream->_flags |= _IO_ERR_SEEN;
    errno = EIO;
    return 0;
}
