/* Memory: aligned blocks, and how much this process may use. Not collective. */
#ifndef PULMO_MEMORY_H
#define PULMO_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

/* Blocks are aligned to this many bytes: a cache line and an AVX-512 register. */
#define PULMO_ALIGN 64

/* How many elements an array has; not for pointers. */
#define PULMO_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Returns `count * size` zeroed bytes aligned to PULMO_ALIGN, or NULL with the report set
 * (also when the product overflows). Blocks of 2 MB and more ask for huge pages.
 * Owned by the caller, who frees with pulmo_free. */
void *pulmo_alloc(size_t count, size_t size);
void pulmo_free(void *block);

/* A formatted string owned by the caller (free), or NULL with the report set. */
char *pulmo_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A copy owned by the caller (free), or NULL with the report set. */
char *pulmo_strdup(const char *text);

/* PULMO_MEMORY where this process may use fewer than `bytes` (by the machine's available memory and
 * the limits of its control groups, v1 and v2; cached files do not count as used), which is what
 * all ranks of its node need together: the report says what needs them (`what`, formatted) and how
 * to need less
 * (`remedy`). To be asked before anything large is allocated: Linux promises memory that it does
 * not have, and kills a process that takes it at its word. */
pulmo_status pulmo_memory_need(uint64_t bytes, const char *remedy, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

#endif
