/* What a call may cost: seconds of this process's CPU, and how much higher its memory may rise than
 * it has ever been. For files that are made to take more. */
#ifndef PULMO_TEST_COST_H
#define PULMO_TEST_COST_H

#include <sys/resource.h>

#include "support.h"

typedef struct cost {
    double seconds;
    double megabytes;
} cost;

static inline cost cost_now(void)
{
    struct rusage used;
    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    const double seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
    const double micros = (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return (cost){
        .seconds = seconds + micros / 1e6,
        .megabytes = (double)used.ru_maxrss / 1024,
    };
}

/* Sanitizers slow programs down and keep what was freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COST_FACTOR 10
#else
#define COST_FACTOR 1
#endif

static inline void assert_cost(const cost *before, double seconds, double megabytes)
{
    const cost now = cost_now();
    const double took = now.seconds - before->seconds;
    const double rose = now.megabytes - before->megabytes;
    print_message("%.3f s, %.1f MB\n", took, rose);
    if (took > seconds * COST_FACTOR)
        fail_msg("took %.3f s; at most %.3f are right", took, seconds * COST_FACTOR);
    if (rose > megabytes * COST_FACTOR)
        fail_msg("took %.1f MB; at most %.1f are right", rose, megabytes * COST_FACTOR);
}

#endif
