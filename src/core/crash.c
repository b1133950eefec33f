/* Which crashes are a library's for want of memory, and how the program ends then. All that the
 * handler does is safe in one: backtrace() is, once it has loaded its library. */
#include "pulmo/crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pulmo/memory.h"
#include "pulmo/status.h"

#define FRAMES_MAX  64
#define STACK_BYTES ((size_t)1 << 16)

/* Where an object's functions are. */
typedef struct range {
    uintptr_t begin, end;
} range;

static range program, c_library, loader;
static pulmo_crash_hooks known;

/* ---- who was at work ---- */

static range functions_of(const struct dl_phdr_info *info)
{
    range found = {0, 0};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        found.begin = info->dlpi_addr + part->p_vaddr;
        found.end = found.begin + part->p_memsz;
    }
    return found;
}

/* The first object is the program. */
static int see_object(struct dl_phdr_info *info, size_t size, void *seen)
{
    int *objects = seen;
    (void)size;
    if ((*objects)++ == 0)
        program = functions_of(info);
    else if (strstr(info->dlpi_name, "/libc.so"))
        c_library = functions_of(info);
    else if (strstr(info->dlpi_name, "/ld-linux"))
        loader = functions_of(info);
    return 0;
}

static bool is_in(const range *r, const void *address)
{
    return (uintptr_t)address >= r->begin && (uintptr_t)address < r->end;
}

/* The innermost address outside of the C library, to whom all else is lent; NULL where that is the
 * program's. */
static const void *culprit(void *const *frames, int count)
{
    for (int i = 0; i < count; i++) {
        if (is_in(&program, frames[i]))
            return NULL;
        if (!is_in(&c_library, frames[i]) && !is_in(&loader, frames[i]))
            return frames[i];
    }
    return NULL;
}

/* ---- the end ---- */

static void put(struct iovec *piece, const char *text)
{
    piece->iov_base = (void *)(uintptr_t)text;
    piece->iov_len = strlen(text);
}

static const char *name_of(const void *address)
{
    Dl_info found;
    if (dladdr(address, &found) == 0 || !found.dli_fname)
        return "a library";
    const char *slash = strrchr(found.dli_fname, '/');
    return slash ? slash + 1 : found.dli_fname;
}

static _Noreturn void end_for_memory(const void *at)
{
    struct iovec line[3];
    put(&line[0], "pulmo: error: out of memory: ");
    put(&line[1], name_of(at));
    put(&line[2], " crashed when it was refused some\n");
    if (known.leave)
        known.leave();
    (void)!writev(STDERR_FILENO, line, PULMO_COUNT_OF(line));
    _exit(pulmo_status_exit(PULMO_MEMORY));
}

/* The frame of the handler itself is left out. */
static void on_crash(int number, siginfo_t *info, void *unused)
{
    static const char words[] = "pulmo: crashed; what was at work:\n";
    void *frames[FRAMES_MAX];
    bool refused = errno == ENOMEM;
    bool lacked = known.lacked && known.lacked();
    bool sent = info->si_code == SI_USER; /* by another process */
    (void)unused;
    int count = backtrace(frames, FRAMES_MAX);
    const void *at = culprit(frames + 1, count - 1);
    /* The C library finds a heap that is no longer whole whoever asks it next. */
    bool broken_heap = number == SIGABRT && lacked;
    if (!sent && (broken_heap || (at && (refused || lacked))))
        end_for_memory(at);
    if (!sent) {
        (void)!write(STDERR_FILENO, words, sizeof words - 1);
        backtrace_symbols_fd(frames + 1, count - 1, STDERR_FILENO);
    }
    raise(number); /* its action is the default again */
}

/* libhdf5 that cannot begin reports that it cannot report, until the stack is full; the handler
 * has its own, in the thread that begins all. */
static void give_stack(void)
{
    static char stack[STACK_BYTES];
    const stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&own, NULL);
}

void pulmo_crash_watch(const pulmo_crash_hooks *hooks)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_sigaction = on_crash,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
    void *frames[2];
    int objects = 0;
    known = *hooks;
    give_stack();
    (void)backtrace(frames, 2); /* loads its library now */
    dl_iterate_phdr(see_object, &objects);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < PULMO_COUNT_OF(signals); i++) {
        struct sigaction present;
        if (sigaction(signals[i], NULL, &present) == 0 && present.sa_handler == SIG_DFL)
            sigaction(signals[i], &action, NULL);
    }
}
