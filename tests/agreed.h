/* For tests of many ranks: a check that fails on one rank fails on all, after all have got there.
 * A failed assertion that jumped on one rank alone would leave the others waiting. */
#ifndef PULMO_TESTS_AGREED_H
#define PULMO_TESTS_AGREED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pulmo/dist.h"

/* The world, started by the test's main. */
extern pulmo_comm *world;

/* Collective. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        int good_ = (condition) != 0;                                                              \
        if (!good_)                                                                                \
            print_error("rank %d of %d: %s:%d: %s (report: %s)\n", pulmo_comm_rank(world),         \
                        pulmo_comm_size(world), __FILE__, __LINE__, #condition, pulmo_error());    \
        assert_false(pulmo_any(world, !good_));                                                    \
    } while (0)

/* main() of a test: runs `tests` between start and end; failures on any rank fail all. */
#define RUN_AGREED(tests)                                                                          \
    pulmo_comm *world;                                                                             \
    int main(void)                                                                                 \
    {                                                                                              \
        if (pulmo_dist_start(&world) != PULMO_OK) {                                                \
            print_error("%s\n", pulmo_error());                                                    \
            return 1;                                                                              \
        }                                                                                          \
        int failed = cmocka_run_group_tests(tests, NULL, NULL);                                    \
        pulmo_dist_end(world);                                                                     \
        return failed != 0;                                                                        \
    }

#endif
