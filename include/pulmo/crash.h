/* Crashes of libraries that were refused memory.
 *
 * libhdf5 and libcrypto do not look at every pointer that they get, and crash where there is no
 * memory. Such a crash ends the program with one error and the status of PULMO_MEMORY. A crash
 * counts as such where the innermost function, but for the C library's, is a library's, and the
 * thread was refused memory before (errno, or `lacked`). Any other crash is a fault of the program
 * and ends it by the signal, as ever, after the addresses of what was at work. */
#ifndef PULMO_CRASH_H
#define PULMO_CRASH_H

#include <stdbool.h>

/* What other rooms know; both are called in the thread that crashed, and must be safe in a handler
 * of signals. */
typedef struct pulmo_crash_hooks {
    bool (*lacked)(void); /* whether a library has been refused memory before */
    void (*leave)(void);  /* removes what is half-written */
} pulmo_crash_hooks;

/* Not collective, once. Signals that already have a handler, as a sanitizer's or a debugger's, keep
 * it. */
void pulmo_crash_watch(const pulmo_crash_hooks *hooks);

#endif
