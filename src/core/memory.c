/* Aligned blocks, and how much memory this process may use. */
#include "pulmo/memory.h"

#include "core_room.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

void *pulmo_alloc(size_t count, size_t size)
{
    size_t bytes = 0;
    void *block = NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - HUGE_PAGE_BYTES) {
        pulmo_fail(PULMO_MEMORY, "cannot allocate %zu x %zu bytes: more than an address can hold",
                   count, size);
        return NULL;
    }
    size_t align = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : PULMO_ALIGN;
    size_t rounded = (bytes + PULMO_ALIGN - 1) / PULMO_ALIGN * PULMO_ALIGN;
    if (rounded == 0)
        rounded = PULMO_ALIGN;
    if (posix_memalign(&block, align, rounded) != 0) {
        pulmo_fail(PULMO_MEMORY, "cannot allocate %zu bytes: out of memory", rounded);
        return NULL;
    }
    if (align == HUGE_PAGE_BYTES)
        (void)madvise(block, rounded, MADV_HUGEPAGE);
    memset(block, 0, rounded);
    return block;
}

void pulmo_free(void *block)
{
    free(block);
}

char *pulmo_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length >= 0)
        return text;
    pulmo_fail(PULMO_MEMORY, "cannot allocate a string: out of memory");
    return NULL;
}

char *pulmo_strdup(const char *text)
{
    return pulmo_format("%s", text);
}

/* The number in a one-number file; false if there is none ("max" included). */
static bool read_number(const char *path, uint64_t *out)
{
    unsigned long long value = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    bool found = fscanf(file, "%llu", &value) == 1;
    fclose(file);
    if (found)
        *out = value;
    return found;
}

/* The number after KEY in a file of lines "KEY 123" or "KEY:   123 kB"; false if there is none. */
static bool read_value(const char *path, const char *key, uint64_t *out)
{
    char line[256];
    const size_t length = strlen(key);
    bool found = false;
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file)) {
        unsigned long long value = 0;
        if (strncmp(line, key, length) != 0)
            continue;
        const char *after = line + length + (line[length] == ':');
        found = *after == ' ' && sscanf(after, "%llu", &value) == 1;
        if (found)
            *out = strstr(after, " kB") ? value * 1024 : value;
    }
    fclose(file);
    return found;
}

/* The names of a version of control groups. */
typedef struct group_names {
    const char *root, *limit, *usage, *cached[2];
} group_names;

/* What the group holds of files that were read or written: the kernel gives it up when the memory
 * is asked for. */
static uint64_t reclaimable(const char *group, const group_names *names)
{
    char file[1024];
    uint64_t sum = 0;
    snprintf(file, sizeof file, "%s/memory.stat", group);
    for (int i = 0; i < 2; i++) {
        uint64_t bytes = 0;
        if (read_value(file, names->cached[i], &bytes))
            sum += bytes;
    }
    return sum;
}

/* Lowers *room to what the memory limits of the group `path` and of its parents leave. */
static void limit_by_group(const group_names *names, char *path, uint64_t *room)
{
    for (;;) {
        char group[960], file[1024];
        uint64_t limit = 0, usage = 0;
        snprintf(group, sizeof group, "%s%s", names->root, path);
        snprintf(file, sizeof file, "%s/%s", group, names->limit);
        bool limited = read_number(file, &limit);
        snprintf(file, sizeof file, "%s/%s", group, names->usage);
        if (limited && read_number(file, &usage)) {
            uint64_t cached = reclaimable(group, names), used = usage > cached ? usage - cached : 0;
            uint64_t left = limit > used ? limit - used : 0;
            if (left < *room)
                *room = left;
        }
        char *slash = strrchr(path, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
}

uint64_t memory_available_bytes(void)
{
    static const group_names v2 = {
        "/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "active_file"}};
    static const group_names v1 = {"/sys/fs/cgroup/memory",
                                   "memory.limit_in_bytes",
                                   "memory.usage_in_bytes",
                                   {"total_inactive_file", "total_active_file"}};
    uint64_t room = UINT64_MAX;
    (void)read_value("/proc/meminfo", "MemAvailable", &room);
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[900];
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        if (controllers[1] == '\0')
            limit_by_group(&v2, path, &room);
        else if (strstr(controllers, "memory"))
            limit_by_group(&v1, path, &room);
    }
    if (file)
        fclose(file);
    return room;
}

pulmo_status pulmo_memory_need(uint64_t bytes, const char *remedy, const char *what, ...)
{
    const double mb = 1024.0 * 1024.0;
    uint64_t room = memory_available_bytes();
    char host[256] = "", whose[512];
    va_list arguments;
    if (bytes <= room)
        return PULMO_OK;
    va_start(arguments, what);
    vsnprintf(whose, sizeof whose, what, arguments);
    va_end(arguments);
    if (gethostname(host, sizeof host - 1) != 0)
        snprintf(host, sizeof host, "this host");
    return pulmo_fail(PULMO_MEMORY, "%s needs %.0f MB on %s, but %.0f MB are free or allowed; %s",
                      whose, (double)bytes / mb, host, (double)room / mb, remedy);
}
