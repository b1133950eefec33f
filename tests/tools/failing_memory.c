/* Memory that fails, for LD_PRELOAD: the n-th allocation that the program's own code asks for
 * (malloc, calloc, realloc, posix_memalign), not what libraries ask for.
 *
 *   MEMORY_AT     n, from 1; without it nothing fails
 *   MEMORY_CALL   only this one counts
 *   MEMORY_LEAST  only allocations of at least so many bytes count
 *   MEMORY_MOST   only allocations of at most so many bytes count
 *   MEMORY_RANK   only in this rank of mpirun
 *   MEMORY_LOG    a file to which a line is added at the failure ("failed CALL BYTES") and at the
 *                 end of the process ("counted CALLS") */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rank.h"

/* The C library's own. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

static atomic_long calls;
static long wanted;
static size_t least, most;
static const char *only;
static const char *program_begin, *program_end;

static void note(const char *what, unsigned long number)
{
    char line[80];
    const char *log = getenv("MEMORY_LOG");
    int fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (fd < 0)
        return;
    int length = snprintf(line, sizeof line, "%s %lu\n", what, number);
    (void)!write(fd, line, (size_t)length);
    close(fd);
}

/* Where the program's own code stands in memory. */
static void find_program(void)
{
    char line[512], path[256], own[256];
    unsigned long begin = 0, end = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length < 0 ? 0 : length] = '\0';
    while (maps && fgets(line, sizeof line, maps)) {
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &begin, &end, rights, path) != 4)
            continue;
        if (strcmp(path, own) != 0 || rights[2] != 'x')
            continue;
        program_begin = (const char *)begin;
        program_end = (const char *)end;
    }
    if (maps)
        fclose(maps);
}

static size_t number(const char *name, size_t otherwise)
{
    const char *value = getenv(name);
    return value ? (size_t)atol(value) : otherwise;
}

__attribute__((constructor)) static void begin(void)
{
    find_program();
    only = getenv("MEMORY_CALL");
    least = number("MEMORY_LEAST", 0);
    most = number("MEMORY_MOST", SIZE_MAX);
    size_t rank = (size_t)atol(rank_told());
    if (number("MEMORY_RANK", rank) == rank)
        wanted = (long)number("MEMORY_AT", 0);
}

__attribute__((destructor)) static void end(void)
{
    if (wanted > 0)
        note("counted", (unsigned long)atomic_load(&calls));
}

static bool fails(const char *call, size_t bytes, const void *caller)
{
    const char *from = caller;
    char what[32];
    if (wanted == 0 || from < program_begin || from >= program_end)
        return false;
    if (bytes < least || bytes > most || (only && strcmp(only, call) != 0))
        return false;
    if (atomic_fetch_add(&calls, 1) + 1 != wanted)
        return false;
    snprintf(what, sizeof what, "failed %s", call);
    note(what, bytes);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes)
{
    return fails("malloc", bytes, __builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size)
{
    if (fails("calloc", count * size, __builtin_return_address(0)))
        return NULL;
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t bytes)
{
    if (fails("realloc", bytes, __builtin_return_address(0)))
        return NULL;
    return __libc_realloc(block, bytes);
}

int posix_memalign(void **out, size_t align, size_t bytes)
{
    if (fails("posix_memalign", bytes, __builtin_return_address(0)))
        return ENOMEM;
    *out = __libc_memalign(align, bytes);
    return *out ? 0 : ENOMEM;
}
