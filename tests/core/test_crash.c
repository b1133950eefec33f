/* Which crashes are a library's for want of memory. The library is cmocka, which reads what it is
 * told to compare; each case has a process of its own. */
#include "pulmo/crash.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

#define NOWHERE 16 /* an address that nothing is at */

static bool yes(void)
{
    return true;
}

static void leave(void)
{
    (void)!write(STDERR_FILENO, "left\n", 5);
}

static void in_library(void)
{
    _assert_memory_equal((void *)(uintptr_t)NOWHERE, (void *)(uintptr_t)(2 * NOWHERE), 4, "", 1);
}

static void in_library_refused(void)
{
    errno = ENOMEM;
    in_library();
}

static void in_program_refused(void)
{
    volatile uintptr_t nowhere = NOWHERE;
    errno = ENOMEM;
    *(volatile int *)nowhere = 1;
}

/* As the C library does where the heap is broken. */
static void broken_heap(void)
{
    abort();
}

/* A child process's status, and what it wrote to standard error. */
static int run(void (*crash)(void), bool (*lacked)(void), char said[4096])
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
    int status = 0;
    int ends[2];
    size_t at = 0;
    ssize_t got = 0;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const pulmo_crash_hooks hooks = {.lacked = lacked, .leave = leave};
        dup2(ends[1], STDERR_FILENO);
        for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
            signal(signals[i], SIG_DFL); /* cmocka's, or a sanitizer's */
        pulmo_crash_watch(&hooks);
        errno = 0;
        crash();
        _exit(0);
    }
    close(ends[1]);
    while (at < 4095 && (got = read(ends[0], said + at, 4095 - at)) > 0)
        at += (size_t)got;
    said[at] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_library_that_was_refused_memory_ends_with_a_word(void **state)
{
    char said[4096];
    (void)state;
    int status = run(in_library_refused, NULL, said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(said, "left\npulmo: error: out of memory: libcmocka"));
    status = run(in_library, yes, said); /* it was refused some earlier */
    assert_true(WIFEXITED(status));
    assert_non_null(strstr(said, "crashed when it was refused some\n"));
}

static void a_broken_heap_is_whose_memory_was_refused(void **state)
{
    char said[4096];
    (void)state;
    int status = run(broken_heap, yes, said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(said, "out of memory: a library crashed"));
    status = run(broken_heap, NULL, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void other_crashes_end_by_the_signal(void **state)
{
    char said[4096];
    (void)state;
    int status = run(in_program_refused, yes, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    assert_non_null(strstr(said, "pulmo: crashed; what was at work:\n"));
    assert_null(strstr(said, "left"));
    status = run(in_library, NULL, said); /* nothing says memory */
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    assert_null(strstr(said, "out of memory"));
}

int main(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    puts("skipped: a sanitizer has the signals of crashes");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_library_that_was_refused_memory_ends_with_a_word),
        cmocka_unit_test(a_broken_heap_is_whose_memory_was_refused),
        cmocka_unit_test(other_crashes_end_by_the_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
