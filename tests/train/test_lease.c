/* The lease of a run directory: one owner, who gives signs of life; the dead are followed, the
 * living are not. Other hosts and other Slurm jobs are played by the file that they would leave. */
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "lease.h"
#include "pulmo/clock.h"
#include "pulmo/interrupt.h"

/* How far the wall clock is ahead: where it is set back meanwhile, the time that one took before is
 * that far away. */
static time_t ahead_s;

int clock_gettime(clockid_t clock, struct timespec *out)
{
    long status = syscall(SYS_clock_gettime, clock, out);
    if (clock == CLOCK_REALTIME)
        out->tv_sec += ahead_s;
    return (int)status;
}

#define OTHER_NONCE "0123456789abcdef0123456789abcdef"

typedef struct place {
    char *directory, *owner; /* DIRECTORY/owner */
} place;

static place *open_place(void)
{
    place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->directory = scratch_directory();
    p->owner = pulmo_format("%s/owner", p->directory);
    assert_non_null(p->owner);
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
    return p;
}

static void close_place(place *p)
{
    free(p->owner);
    remove_directory(p->directory);
    free(p);
}

static bool exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

/* The file that a run on another host would leave. */
static void leave_owner(const place *p, const char *job, int restarts)
{
    FILE *file = fopen(p->owner, "w");
    assert_non_null(file);
    fprintf(file, "nonce %s\nhost far\nspace elsewhere\npid 1\nbegan 1\njob %s\nrestarts %d\n",
            OTHER_NONCE, job, restarts);
    assert_int_equal(fclose(file), 0);
}

static struct timespec sign_of(const char *path)
{
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    return about.st_mtim;
}

static void it_is_taken_and_given_up(void **state)
{
    place *p = open_place();
    lease *mine = NULL;
    (void)state;
    assert_ok(lease_take(p->directory, &mine));
    assert_true(exists(p->owner));
    assert_ok(lease_check(mine));
    lease_release(mine);
    assert_false(exists(p->owner));
    assert_ok(lease_take(p->directory, &mine)); /* free again */
    lease_release(mine);
    lease_release(NULL);
    close_place(p);
}

static void a_living_process_keeps_it(void **state)
{
    place *p = open_place();
    lease *mine = NULL, *other = NULL;
    char pid[64];
    (void)state;
    assert_ok(lease_take(p->directory, &mine));
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_refused(lease_take(p->directory, &other), PULMO_USAGE, "another pulmo is at work here");
    assert_non_null(strstr(pulmo_error(), pid));
    assert_non_null(strstr(pulmo_error(), p->directory));
    assert_null(other);
    assert_ok(lease_check(mine));
    lease_release(mine);
    close_place(p);
}

/* A process that ended without giving it up, as a kill leaves it. */
static void a_dead_process_is_followed(void **state)
{
    place *p = open_place();
    lease *mine = NULL;
    int status = 1;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        lease *its = NULL;
        _exit(lease_take(p->directory, &its) == PULMO_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(exists(p->owner));
    double began_s = pulmo_now_s();
    assert_ok(lease_take(p->directory, &mine));
    assert_true(pulmo_now_s() - began_s < 3); /* proved, not waited for */
    assert_ok(lease_check(mine));
    lease_release(mine);
    close_place(p);
}

/* Slurm has started the job again: the earlier start is dead, wherever it ran. */
static void an_earlier_start_of_the_job_is_followed(void **state)
{
    place *p = open_place();
    lease *mine = NULL;
    (void)state;
    leave_owner(p, "4711", 0);
    setenv("SLURM_JOB_ID", "4711", 1);
    setenv("SLURM_RESTART_COUNT", "1", 1);
    double began_s = pulmo_now_s();
    assert_ok(lease_take(p->directory, &mine));
    assert_true(pulmo_now_s() - began_s < 3);
    lease_release(mine);
    close_place(p);
}

/* Touches the file every 0.2 s, as another host's owner would. Returns the process. */
static pid_t play_the_living(const char *path)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    for (int i = 0; i < 300; i++) {
        utimensat(AT_FDCWD, path, NULL, 0);
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    }
    _exit(0);
}

static void another_host_that_gives_signs_keeps_it(void **state)
{
    place *p = open_place();
    lease *mine = NULL;
    (void)state;
    leave_owner(p, "4711", 3);
    setenv("SLURM_JOB_ID", "4712", 1); /* another job proves nothing */
    pid_t living = play_the_living(p->owner);
    double began_s = pulmo_now_s();
    assert_refused(lease_take(p->directory, &mine), PULMO_USAGE, "host far");
    assert_non_null(strstr(pulmo_error(), "Slurm job 4711"));
    assert_true(pulmo_now_s() - began_s < LEASE_SILENCE_S / 2);
    kill(living, SIGKILL);
    waitpid(living, NULL, 0);
    close_place(p);
}

/* Who finds another's number in the file writes nothing more, and leaves the file alone. */
static void what_another_took_is_lost(void **state)
{
    place *p = open_place();
    lease *mine = NULL;
    (void)state;
    assert_ok(lease_take(p->directory, &mine));
    leave_owner(p, "-", 0);
    assert_refused(lease_check(mine), PULMO_RUNTIME, "has taken this run over");
    lease_release(mine);
    assert_true(exists(p->owner));
    close_place(p);
}

static void a_file_that_is_gone_is_lost(void **state)
{
    place *p = open_place();
    lease *mine = NULL;
    (void)state;
    assert_ok(lease_take(p->directory, &mine));
    assert_int_equal(remove(p->owner), 0);
    assert_refused(lease_check(mine), PULMO_RUNTIME, "writes nothing more");
    lease_release(mine);
    close_place(p);
}

static void an_owner_gives_signs(void **state)
{
    place *p = open_place();
    lease *mine = NULL;
    (void)state;
    assert_ok(lease_take(p->directory, &mine));
    struct timespec first = sign_of(p->owner), now = first;
    double began_s = pulmo_now_s();
    while (now.tv_sec == first.tv_sec && now.tv_nsec == first.tv_nsec &&
           pulmo_now_s() - began_s < 4 * LEASE_SIGN_S) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        now = sign_of(p->owner);
    }
    assert_true(now.tv_sec > first.tv_sec);
    lease_release(mine);
    close_place(p);
}

/* Another host would take over from one that gives none. */
static void it_gives_signs_though_the_clock_is_set_back(void **state)
{
    ahead_s = 3600;
    an_owner_gives_signs(state);
    ahead_s = 0;
}

/* Text that is not an owner's has an owner who is not known; waiting for a sign can be cut short.
 * In a process of its own, which keeps the signal. */
static void waiting_ends_with_a_signal(void **state)
{
    place *p = open_place();
    int status = 1;
    (void)state;
    FILE *file = fopen(p->owner, "w");
    assert_non_null(file);
    fputs("not an owner\n", file);
    fclose(file);
    pid_t child = fork();
    if (child == 0) {
        lease *its = NULL;
        pulmo_interrupt_listen();
        raise(SIGTERM);
        _exit(lease_take(p->directory, &its) == PULMO_INTERRUPTED ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close_place(p);
}

static void a_directory_that_is_not_there_is_refused(void **state)
{
    lease *mine = NULL;
    (void)state;
    assert_refused(lease_take("/nonexistent/run", &mine), PULMO_IO, "/nonexistent/run/owner");
    assert_null(mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_taken_and_given_up),
        cmocka_unit_test(a_living_process_keeps_it),
        cmocka_unit_test(a_dead_process_is_followed),
        cmocka_unit_test(an_earlier_start_of_the_job_is_followed),
        cmocka_unit_test(another_host_that_gives_signs_keeps_it),
        cmocka_unit_test(what_another_took_is_lost),
        cmocka_unit_test(a_file_that_is_gone_is_lost),
        cmocka_unit_test(an_owner_gives_signs),
        cmocka_unit_test(it_gives_signs_though_the_clock_is_set_back),
        cmocka_unit_test(waiting_ends_with_a_signal),
        cmocka_unit_test(a_directory_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
