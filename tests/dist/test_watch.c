/* The watch: it lets a job be while any rank gets on. What it does when none does ends the
 * process, and is tried by tests/cli/test_stall.sh, which starts this program with a scenario:
 *
 *   test_watch fine|stuck|overdue|stopped|root|deadlock|left|killed|summing LIMIT_S
 *
 * ("summing" adds up gradients for two minutes, for someone to cut a link meanwhile)
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agreed.h"
#include "pulmo/clock.h"
#include "pulmo/exact.h"
#include "pulmo/memory.h"

#define LIMIT_S   1.5
#define OVERDUE_S 3.0

static int rank(void)
{
    return pulmo_comm_rank(world);
}
static int size(void)
{
    return pulmo_comm_size(world);
}

static void doze(double seconds)
{
    struct timespec nap = {.tv_sec = (time_t)seconds};
    nap.tv_nsec = (long)((seconds - (double)nap.tv_sec) * 1e9);
    nanosleep(&nap, NULL);
}

/* Works for a while, saying so. */
static void work(double seconds)
{
    for (double began_s = pulmo_now_s(); pulmo_now_s() - began_s < seconds;) {
        doze(0.05);
        pulmo_watch_beat(world, "a long task");
    }
}

/* One rank works for longer than the limit while the others wait: that is no stall. */
static void test_waiting_is_no_fault(void **state)
{
    (void)state;
    CHECK(pulmo_watch_start(world, LIMIT_S, "the test") == PULMO_OK);
    work(0.3);
    if (rank() == size() - 1)
        work(1.5 * LIMIT_S);
    CHECK(pulmo_agree(world, PULMO_OK) == PULMO_OK);
    if (rank() == 0)
        work(1.25 * LIMIT_S);
    CHECK(pulmo_barrier(world) == PULMO_OK);
    pulmo_watch_stop(world);
}

/* One rank is at one thing for longer than the limit, as was allowed. */
static void test_allowed(void **state)
{
    (void)state;
    CHECK(pulmo_watch_start(world, LIMIT_S, "the test") == PULMO_OK);
    work(0.3);
    pulmo_watch_allow(world, "writing a large file", 2 * LIMIT_S);
    if (rank() == 0)
        doze(1.75 * LIMIT_S);
    CHECK(pulmo_agree(world, PULMO_OK) == PULMO_OK);
    pulmo_watch_allow(world, "writing a large file", 2 * LIMIT_S);
    if (rank() == size() - 1)
        doze(1.75 * LIMIT_S);
    CHECK(pulmo_agree(world, PULMO_OK) == PULMO_OK);
    pulmo_watch_stop(world);
}

/* Stopped, it takes no notice; it can be started again; started twice is started once. */
static void test_start_and_stop(void **state)
{
    (void)state;
    pulmo_watch_stop(world);
    for (int i = 0; i < 3; i++) {
        CHECK(pulmo_watch_start(world, 0.2, "the test") == PULMO_OK);
        CHECK(pulmo_watch_start(world, 0.2, "the test") == PULMO_OK);
        pulmo_watch_stop(world);
    }
    doze(0.6);
    CHECK(pulmo_watch_start(world, 0, "the test") == PULMO_OK); /* no limit */
    doze(0.3);
    pulmo_watch_stop(world);
}

/* ---- scenarios ---- */

static void sum_for(double seconds)
{
    const size_t count = 1 << 20;
    int64_t *sums = pulmo_alloc(count, sizeof *sums);
    pulmo_exact_sum *flight = NULL;
    double began_s = pulmo_now_s();
    bool ready = sums && pulmo_exact_create(world, 1, &flight) == PULMO_OK;
    while (ready && !pulmo_any(world, pulmo_now_s() - began_s > seconds)) {
        pulmo_exact_push(flight, sums, count);
        work(0.1);
        if (pulmo_exact_wait(flight) != PULMO_OK)
            break;
    }
    pulmo_exact_destroy(flight);
    pulmo_free(sums);
}

static void play(const char *scenario)
{
    int last = rank() == size() - 1;
    work(0.5); /* all have been heard */
    if (strcmp(scenario, "stuck") == 0 && last)
        doze(3600);
    if (strcmp(scenario, "overdue") == 0)
        pulmo_watch_allow(world, "writing a large file", OVERDUE_S);
    if (strcmp(scenario, "overdue") == 0 && last)
        doze(3600);
    if (strcmp(scenario, "stopped") == 0 && last)
        raise(SIGSTOP);
    if (strcmp(scenario, "root") == 0 && rank() == 0)
        raise(SIGSTOP);
    if (strcmp(scenario, "deadlock") == 0 && last)
        (void)pulmo_barrier(world);
    if (strcmp(scenario, "killed") == 0 && last)
        raise(SIGKILL);
    if (strcmp(scenario, "summing") == 0)
        sum_for(120);
}

static int run_scenario(const char *scenario, double limit_s)
{
    pulmo_status status = pulmo_watch_start(world, limit_s, "the test");
    if (status == PULMO_OK)
        play(scenario);
    int leaves =
        strcmp(scenario, "left") == 0 && rank() == size() - 1; /* to do something else for ever */
    if (leaves)
        pulmo_watch_stop(world), doze(3600);
    else if (status == PULMO_OK)
        status = pulmo_agree(world, PULMO_OK);
    if (rank() == 0)
        printf("status %d\n", (int)status);
    pulmo_dist_end(world);
    return pulmo_status_exit(status);
}

pulmo_comm *world;

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_is_no_fault),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_start_and_stop),
    };
    if (pulmo_dist_start(&world) != PULMO_OK) {
        print_error("%s\n", pulmo_error());
        return 1;
    }
    if (argc == 3)
        return run_scenario(argv[1], atof(argv[2]));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pulmo_dist_end(world);
    return failed != 0;
}
