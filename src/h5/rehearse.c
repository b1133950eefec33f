/* Files that carry no seal are other programs', or altered: libhdf5, which parses them without one
 * fault or another in each release, walks through them in a child process first. What ends the
 * child would have ended this process (docs/decisions/0014-hostile-hdf5.md). */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "h5_room.h"
#include "pulmo/memory.h"

#define CPU_S_MAX  60
#define WAIT_S_MAX 300
#define GARBAGE    0x5a
#define MEMORY_MAX ((uint64_t)1 << 30)
#define READ_BYTES_MAX                                                                             \
    ((uint64_t)1 << 26) /* of one dataset; the rest is read as its beginning is */
#define LAST_DESCRIPTOR 2
#define LACKED          71 /* the child's status where the library was refused memory */

/* ---- the child ---- */

static void limit(int resource, uint64_t most)
{
    struct rlimit now;
    if (getrlimit(resource, &now) != 0 || now.rlim_cur <= most)
        return;
    now.rlim_cur = most;
    setrlimit(resource, &now);
}

/* Address space that this process has; 0 where the system does not say. */
static uint64_t address_space(void)
{
    char text[64] = "";
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    return got > 0 ? strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* A crash is to be no more than an end: no handler of MPI's, no core, nothing on the terminal. */
static void settle(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS,  SIGABRT, SIGFPE,
                                  SIGILL,  SIGTERM, SIGINT,  SIGALRM};
    const uint64_t space = address_space();
    for (size_t i = 0; i < PULMO_COUNT_OF(signals); i++)
        signal(signals[i], SIG_DFL);
    alarm(WAIT_S_MAX);
    mallopt(M_PERTURB,
            GARBAGE); /* a pointer that was never set, or was freed, ends the child surely */
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, CPU_S_MAX);
    if (space > 0)
        limit(RLIMIT_AS, space + MEMORY_MAX);
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    H5set_free_list_limits(0, 0, 0, 0, 0, 0);
    for (int fd = 0; nowhere >= 0 && fd <= LAST_DESCRIPTOR; fd++)
        dup2(nowhere, fd);
}

/* What the child's end says of the file. */
static pulmo_status judge(const char *path, int status)
{
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == LACKED))
        return PULMO_OK;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return pulmo_fail(PULMO_RUNTIME, "%s: the process that looks at it waited for %d s in vain",
                          path, WAIT_S_MAX);
    const char *how = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "found by a sanitizer";
    return pulmo_fail(PULMO_DATA,
                      "%s: libhdf5 cannot walk through it (%s): the file is damaged, or made to do "
                      "harm",
                      path, how);
}

pulmo_status h5_in_child(const char *path, void (*work)(void *), void *context, bool *lacked)
{
    int status = 0;
    const pid_t child = fork();
    if (child < 0)
        return pulmo_fail(PULMO_RUNTIME, "%s: cannot be looked at by a process of its own: %s",
                          path, strerror(errno));
    if (child == 0) {
        settle();
        h5_lock_in_child();
        work(context);
        _exit(pulmo_h5_lacked_memory() ? LACKED : 0);
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return pulmo_fail(PULMO_RUNTIME, "%s: the process that looks at it is lost: %s", path,
                              strerror(errno));
    *lacked = WIFEXITED(status) && WEXITSTATUS(status) == LACKED;
    return judge(path, status);
}

/* ---- the walk ---- */

/* All that reading may do with the file. What it says is for who opens it next. */
static void read_dataset(pulmo_h5 *file, const char *name, const pulmo_h5_shape *shape)
{
    uint64_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= shape->dims[i];
    if (shape->type == PULMO_H5_OTHER || shape->type == PULMO_H5_STRING)
        return;
    if (count == 0 || count > READ_BYTES_MAX / sizeof(double))
        return;
    if (pulmo_h5_check_shape(file, name, shape->rank, shape->dims) != PULMO_OK)
        return;
    double *values = malloc(count * sizeof *values);
    if (values)
        (void)pulmo_h5_read(file, name, PULMO_H5_F64, shape->rank, shape->dims, values);
    free(values);
}

static void read_strings(pulmo_h5 *file, const char *name, const pulmo_h5_shape *shape)
{
    char **strings = NULL;
    char *text = NULL;
    uint64_t count = 0;
    if (shape->rank == 0 && pulmo_h5_read_text(file, name, &text) == PULMO_OK)
        free(text);
    if (shape->rank == 1 && pulmo_h5_read_strings(file, name, &count, &strings) == PULMO_OK)
        free(strings);
}

static void on_object(void *context, const char *name, const pulmo_h5_shape *shape,
                      const char *attribute, const char *value)
{
    pulmo_h5 *file = context;
    (void)value;
    if (!shape || attribute)
        return;
    if (shape->type == PULMO_H5_STRING)
        read_strings(file, name, shape);
    else
        read_dataset(file, name, shape);
}

static void walk(void *context)
{
    pulmo_h5 *file = context;
    if (h5_file_open(file) != PULMO_OK)
        return;
    (void)h5_content_check(file);
    (void)pulmo_h5_visit(file, on_object, file);
    H5Fclose(file->id);
}

pulmo_status h5_rehearse(pulmo_h5 *file)
{
    bool lacked = false;
    h5_lock();
    pulmo_status status = h5_in_child(file->path, walk, file, &lacked);
    h5_unlock();
    file->is_modest = status == PULMO_OK && !lacked;
    return status;
}
