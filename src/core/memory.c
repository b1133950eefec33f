/* Aligned blocks, and how much memory this process may use. */
#include "pulmo/memory.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "pulmo/status.h"

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

void *pulmo_alloc(size_t count, size_t size)
{
    size_t bytes = 0;
    void *block = NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - HUGE_PAGE_BYTES) {
        pulmo_fail(PULMO_MEMORY, "cannot allocate %zu x %zu bytes: more than an address can hold", count, size);
        return NULL;
    }
    size_t align = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : PULMO_ALIGN;
    size_t rounded = (bytes + PULMO_ALIGN - 1) / PULMO_ALIGN * PULMO_ALIGN;
    if (rounded == 0) rounded = PULMO_ALIGN;
    if (posix_memalign(&block, align, rounded) != 0) {
        pulmo_fail(PULMO_MEMORY, "cannot allocate %zu bytes: out of memory", rounded);
        return NULL;
    }
    if (align == HUGE_PAGE_BYTES) (void)madvise(block, rounded, MADV_HUGEPAGE);
    memset(block, 0, rounded);
    return block;
}

void pulmo_free(void *block) { free(block); }

char *pulmo_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length >= 0) return text;
    pulmo_fail(PULMO_MEMORY, "cannot allocate a string: out of memory");
    return NULL;
}

char *pulmo_strdup(const char *text) { return pulmo_format("%s", text); }

/* The number in a one-number file; false if there is none ("max" included). */
static bool read_number(const char *path, uint64_t *out)
{
    unsigned long long value = 0;
    FILE *file = fopen(path, "r");
    if (!file) return false;
    bool found = fscanf(file, "%llu", &value) == 1;
    fclose(file);
    if (found) *out = value;
    return found;
}

/* The value in bytes of "KEY:   123 kB" in a /proc file. */
static bool read_kb(const char *path, const char *key, uint64_t *out)
{
    char line[256];
    bool found = false;
    FILE *file = fopen(path, "r");
    if (!file) return false;
    while (!found && fgets(line, sizeof line, file)) {
        unsigned long long kb = 0;
        size_t length = strlen(key);
        if (strncmp(line, key, length) == 0 && sscanf(line + length, ": %llu", &kb) == 1) {
            *out = kb * 1024;
            found = true;
        }
    }
    fclose(file);
    return found;
}

/* Lowers *room to what the memory limits of the group `path` under `root` and of its parents leave. */
static void limit_by_group(const char *root, char *path, const char *limit_name,
                           const char *usage_name, uint64_t *room)
{
    for (;;) {
        char file[1024];
        uint64_t limit = 0, usage = 0;
        snprintf(file, sizeof file, "%s%s/%s", root, path, limit_name);
        bool limited = read_number(file, &limit);
        snprintf(file, sizeof file, "%s%s/%s", root, path, usage_name);
        if (limited && read_number(file, &usage)) {
            uint64_t left = limit > usage ? limit - usage : 0;
            if (left < *room) *room = left;
        }
        char *slash = strrchr(path, '/');
        if (!slash) return;
        *slash = '\0';
    }
}

uint64_t pulmo_memory_available_bytes(void)
{
    uint64_t room = UINT64_MAX;
    (void)read_kb("/proc/meminfo", "MemAvailable", &room);
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[900];
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = '\0';
        if (controllers[1] == '\0')
            limit_by_group("/sys/fs/cgroup", path, "memory.max", "memory.current", &room);
        else if (strstr(controllers, "memory"))
            limit_by_group("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes",
                           "memory.usage_in_bytes", &room);
    }
    if (file) fclose(file);
    return room;
}

uint64_t pulmo_memory_resident_bytes(void)
{
    uint64_t bytes = 0;
    (void)read_kb("/proc/self/status", "VmRSS", &bytes);
    return bytes;
}

uint64_t pulmo_memory_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}
