/* The lease of a run directory: the states of a process that asks for it.
 *
 *   READ RUN/owner
 *      ├─ no file ────────► LINK own file to the name
 *      │                       ├─ linked ──────────────────► CHECK
 *      │                       └─ the name exists by now ──► READ
 *      └─ another's file ─► DEAD?
 *            ├─ proved ───────────► RENAME own file over it ─► CHECK
 *            ├─ not, same host ───► REFUSED
 *            └─ not, other host ──► AWAIT a sign for LEASE_SILENCE_S
 *                  ├─ time stamp or nonce changes ──► REFUSED
 *                  ├─ the file goes ────────────────► READ
 *                  ├─ a signal ─────────────────────► ends, PULMO_INTERRUPTED
 *                  └─ no sign ──────────────────────► RENAME
 *
 *   CHECK: is the nonce in RUN/owner one's own?   yes ► HELD;   no ► LOST, writes nothing more
 *
 *   HELD: every LEASE_SIGN_S a thread touches the file, by its descriptor and so never another's
 *      ├─ before each file that is published ──► CHECK
 *      └─ the run ends ──► RELEASE: the thread ends; the file goes if it is still one's own
 *
 * docs/explanation/states.md says what proves death and what cannot be excluded. */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

/* What the file says, a line each. */
typedef struct owner {
    char nonce[33]; /* hexadecimal */
    char host[256];
    char space[128]; /* boot and process namespace: where `pid` means something */
    char pid[24];
    char began[24]; /* of the process, in clock ticks since boot: tells a process from one with its
                       number reused */
    char job[64];   /* Slurm's, with an array's task; "-" outside of Slurm */
    char restarts[16]; /* of that job */
} owner;

#define OWNER_FORMAT                                                                               \
    "nonce %32s\nhost %255s\nspace %127s\npid %23s\nbegan %23s\njob %63s\nrestarts %15s\n"
#define OWNER_FIELDS 7
#define DYING_TRIES  30 /* of a tenth of a second */

struct lease {
    char *path;
    owner mine;
    int file; /* of the owner file as it was made: another's file is another inode */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, stop;
};

static void sleep_for(double seconds)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)(seconds * 1e9)}, NULL);
}

/* ---- who one is ---- */

static void first_line(const char *path, char *out, size_t bytes)
{
    FILE *file = fopen(path, "r");
    snprintf(out, bytes, "-");
    if (!file)
        return;
    if (fgets(out, (int)bytes, file))
        out[strcspn(out, "\n")] = '\0';
    fclose(file);
}

/* Field 22 of /proc/PID/stat, counted after the command, which is in parentheses and may hold
 * blanks; "-" for a process that is no more, or that is dead and waits for its parent (state Z or
 * X). */
static void began_of(const char *pid, char *out, size_t bytes)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    first_line(path, line, sizeof line);
    char *at = strrchr(line, ')');
    snprintf(out, bytes, "-");
    if (at && (at[1] != ' ' || at[2] == 'Z' || at[2] == 'X'))
        return;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at)
        snprintf(out, bytes, "%.*s", (int)strcspn(at + 1, " "), at + 1);
}

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

/* A text as one word of at most `bytes` - 1 characters. */
static void copy_word(char *out, size_t bytes, const char *text)
{
    snprintf(out, bytes, "%s", *text ? text : "-");
    for (char *at = out; *at; at++)
        if (*at == ' ' || *at == '\n' || *at == '\t')
            *at = '_';
}

static pulmo_status draw_nonce(owner *me)
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return pulmo_fail(PULMO_RUNTIME, "the system gave no random number: %s", strerror(errno));
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(me->nonce + 2 * i, 3, "%02x", random[i]);
    return PULMO_OK;
}

static void name_host(owner *me)
{
    char host[256];
    if (gethostname(host, sizeof host) != 0)
        snprintf(host, sizeof host, "-");
    host[sizeof host - 1] = '\0';
    copy_word(me->host, sizeof me->host, host);
}

/* Boot and process namespace. */
static void name_space(owner *me)
{
    char boot[64], space[64] = "-";
    first_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    ssize_t length = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    space[length > 0 ? length : 1] = '\0';
    snprintf(me->space, sizeof me->space, "%s/%s", boot, space);
}

static pulmo_status describe_myself(owner *me)
{
    PULMO_TRY(draw_nonce(me));
    name_host(me);
    name_space(me);
    snprintf(me->pid, sizeof me->pid, "%ld", (long)getpid());
    began_of(me->pid, me->began, sizeof me->began);
    copy_word(me->job, sizeof me->job, environment("SLURM_JOB_ID", "-"));
    copy_word(me->restarts, sizeof me->restarts, environment("SLURM_RESTART_COUNT", "0"));
    return PULMO_OK;
}

/* ---- the file ---- */

/* What the file says now; ENOENT in errno where there is none. A file that is not understood has an
 * owner that is not known: all fields "-". A fresh open asks a network file system's server. */
static bool read_owner(const char *path, owner *out, struct timespec *sign)
{
    struct stat about;
    memset(sign, 0, sizeof *sign);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    memset(out, 0, sizeof *out);
    int fields = fscanf(file, OWNER_FORMAT, out->nonce, out->host, out->space, out->pid, out->began,
                        out->job, out->restarts);
    if (fields != OWNER_FIELDS)
        *out = (owner){"-", "-", "-", "-", "-", "-", "-"};
    if (fstat(fileno(file), &about) == 0)
        *sign = about.st_mtim;
    fclose(file);
    return true;
}

static pulmo_status fail_with_errno(const char *path, const char *what)
{
    return pulmo_fail(PULMO_IO, "%s: %s: %s", path, what, strerror(errno));
}

/* The file of this owner, whole and on the disk, under a temporary name; open as *out. */
static pulmo_status write_owner(const owner *me, const char *temporary, int *out)
{
    int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail_with_errno(temporary, "cannot be created");
    int written =
        dprintf(fd, "nonce %s\nhost %s\nspace %s\npid %s\nbegan %s\njob %s\nrestarts %s\n",
                me->nonce, me->host, me->space, me->pid, me->began, me->job, me->restarts);
    if (written < 0 || fsync(fd) != 0) {
        pulmo_status status = fail_with_errno(temporary, "cannot be written");
        close(fd);
        return status;
    }
    *out = fd;
    return PULMO_OK;
}

/* No links here (FAT, some FUSE). */
static bool links_are_missing(int error)
{
    return error == EPERM || error == EOPNOTSUPP || error == ENOSYS;
}

/* Gives the file its name: with `replace` in the place of what is there; without, *taken says
 * whether there was nothing. */
static pulmo_status take_name(const char *temporary, const char *path, bool replace, bool *taken)
{
    *taken = false;
    if (!replace) {
        /* A link that exists is the one refusal that every network file system gets right. */
        if (link(temporary, path) == 0) {
            *taken = true;
            return PULMO_OK;
        }
        if (errno == EEXIST)
            return PULMO_OK;
        if (!links_are_missing(errno))
            return fail_with_errno(path, "cannot be written");
        /* Take the name without that certainty: the check after it tells who came last. */
    }
    if (rename(temporary, path) != 0)
        return fail_with_errno(path, "cannot be written");
    *taken = true;
    return PULMO_OK;
}

/* The file, whole before it has its name. *taken says whether the directory is one's own now. */
static pulmo_status claim_directory(lease *f, bool replace, bool *taken)
{
    char *temporary = pulmo_format("%s.%s", f->path, f->mine.nonce);
    int fd = -1;
    *taken = false;
    if (!temporary)
        return PULMO_MEMORY;
    pulmo_status status = write_owner(&f->mine, temporary, &fd);
    if (status == PULMO_OK)
        status = take_name(temporary, f->path, replace, taken);
    unlink(temporary);
    free(temporary);
    if (*taken)
        f->file = fd;
    else if (fd >= 0)
        close(fd);
    return status;
}

/* ---- is the other alive? ---- */

static bool is_mine(const lease *f, const owner *other)
{
    return strcmp(f->mine.nonce, other->nonce) == 0;
}

static bool in_slurm(const owner *o)
{
    return strcmp(o->job, "-") != 0;
}

static bool same_host(const owner *me, const owner *other)
{
    return strcmp(me->space, other->space) == 0;
}

/* Dead for certain. */
static bool proved_dead(const owner *me, const owner *other, const char **why)
{
    if (same_host(me, other)) {
        char began[24];
        began_of(other->pid, began, sizeof began);
        *why = "its process is gone";
        return strcmp(began, other->began) != 0;
    }
    *why = "Slurm started its job again";
    return in_slurm(me) && strcmp(me->job, other->job) == 0 &&
           atol(me->restarts) > atol(other->restarts);
}

/* The same, with a little patience for ranks that are just being killed: mpirun may end before
 * them. */
static bool proves_dead(const owner *me, const owner *other, const char **why)
{
    bool dead = proved_dead(me, other, why);
    for (int i = 0; i < DYING_TRIES && !dead && same_host(me, other); i++) {
        sleep_for(0.1);
        dead = proved_dead(me, other, why);
    }
    return dead;
}

static pulmo_status refuse_living(const lease *f, const owner *other)
{
    char slurm[96] = "";
    int directory = (int)(strrchr(f->path, '/') - f->path);
    if (in_slurm(other))
        snprintf(slurm, sizeof slurm, ", Slurm job %s", other->job);
    return pulmo_fail(PULMO_USAGE,
                      "%.*s: another pulmo is at work here (host %s, process %s%s); wait for it, "
                      "stop it, or name another train.run_dir",
                      directory, f->path, other->host, other->pid, slurm);
}

/* Watches for a sign of life. *dead when there was none. */
static pulmo_status await_sign(const lease *f, const owner *other, struct timespec sign, bool *dead)
{
    double began = pulmo_now_s();
    pulmo_info("%s: was left by host %s, process %s; waiting %.0f s for a sign of it", f->path,
               other->host, other->pid, LEASE_SILENCE_S);
    *dead = false;
    while (pulmo_now_s() - began < LEASE_SILENCE_S) {
        owner now;
        struct timespec later;
        if (pulmo_interrupt_wanted())
            return pulmo_fail(PULMO_INTERRUPTED, "%s: interrupted before the run began", f->path);
        sleep_for(0.5);
        if (!read_owner(f->path, &now, &later))
            return PULMO_OK; /* given up: try again from the start */
        bool touched = later.tv_sec != sign.tv_sec || later.tv_nsec != sign.tv_nsec;
        if (touched || strcmp(now.nonce, other->nonce) != 0)
            return refuse_living(f, &now);
    }
    *dead = true;
    return PULMO_OK;
}

/* Whether the other is dead, proved or after its silence, and why it is taken for that. A living
 * one is refused. */
static pulmo_status judge_other(const lease *f, const owner *other, struct timespec sign,
                                bool *dead, const char **why)
{
    *dead = proves_dead(&f->mine, other, why);
    if (*dead)
        return PULMO_OK;
    if (same_host(&f->mine, other))
        return refuse_living(f, other);
    *why = "it gave no sign of life";
    return await_sign(f, other, sign, dead);
}

/* One attempt; *taken when it was successful. */
static pulmo_status try_to_take(lease *f, bool *taken)
{
    owner other;
    struct timespec sign;
    const char *why = "";
    bool dead = false;
    *taken = false;
    if (!read_owner(f->path, &other, &sign))
        return errno == ENOENT ? claim_directory(f, false, taken)
                               : fail_with_errno(f->path, "cannot be read");
    PULMO_TRY(judge_other(f, &other, sign, &dead, &why));
    if (!dead)
        return PULMO_OK; /* given up meanwhile: try again */
    pulmo_info("taking the run over from host %s, process %s: %s", other.host, other.pid, why);
    return claim_directory(f, true, taken);
}

/* ---- signs of one's own ---- */

static void *give_signs(void *context)
{
    lease *f = context;
    pthread_mutex_lock(&f->lock);
    while (!f->stop) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until); /* the other one may be set back */
        until.tv_sec += (time_t)LEASE_SIGN_S;
        pthread_cond_timedwait(&f->wake, &f->lock, &until);
        if (!f->stop)
            futimens(f->file, NULL); /* a failure shows at the next check */
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* Signals are for the thread that waits for them. */
static pulmo_status start_signs(lease *f)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&f->thread, NULL, give_signs, f);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return pulmo_fail(PULMO_RUNTIME, "cannot start a thread: %s", strerror(failed));
    f->started = true;
    return PULMO_OK;
}

/* ---- all of it ---- */

static void init_wake(pthread_cond_t *wake)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(wake, &attributes);
    pthread_condattr_destroy(&attributes);
}

static pulmo_status take_directory(lease *f)
{
    bool taken = false;
    if (!f->path)
        return PULMO_MEMORY;
    PULMO_TRY(describe_myself(&f->mine));
    while (!taken)
        PULMO_TRY(try_to_take(f, &taken));
    PULMO_TRY(lease_check(f)); /* who came later at the same moment is the owner */
    return start_signs(f);
}

pulmo_status lease_take(const char *directory, lease **out)
{
    lease *f = calloc(1, sizeof *f);
    if (!f)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", directory);
    pthread_mutex_init(&f->lock, NULL);
    init_wake(&f->wake);
    f->file = -1;
    f->path = pulmo_format("%s/owner", directory);
    pulmo_status status = take_directory(f);
    if (status == PULMO_OK)
        *out = f;
    else
        lease_release(f);
    return status;
}

pulmo_status lease_check(const lease *f)
{
    owner now;
    struct timespec sign;
    if (!read_owner(f->path, &now, &sign)) {
        bool gone = errno == ENOENT;
        return pulmo_fail(gone ? PULMO_RUNTIME : PULMO_IO,
                          "%s: %s; another program may write to the run directory, so that this "
                          "one writes nothing more",
                          f->path, strerror(errno));
    }
    if (is_mine(f, &now))
        return PULMO_OK;
    return pulmo_fail(PULMO_RUNTIME,
                      "%s: host %s, process %s (job %s, restart %s) has taken this run over; this "
                      "program writes nothing more and ends",
                      f->path, now.host, now.pid, now.job, now.restarts);
}

static void stop_signs(lease *f)
{
    if (!f->started)
        return;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
}

/* Removes the file, unless it is another's by now. */
static void give_up_file(const lease *f)
{
    owner now;
    struct timespec sign;
    if (f->file < 0)
        return;
    if (read_owner(f->path, &now, &sign) && is_mine(f, &now))
        unlink(f->path);
    close(f->file);
}

void lease_release(lease *f)
{
    if (!f)
        return;
    stop_signs(f);
    give_up_file(f);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    free(f->path);
    free(f);
}
