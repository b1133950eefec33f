/* `pulmo bench allreduce`: the sum of a gradient over the ranks, as integers and as floats. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "bench_room.h"
#include "pulmo/bench.h"
#include "pulmo/clock.h"
#include "pulmo/exact.h"
#include "pulmo/isa.h"
#include "pulmo/memory.h"

enum { INTEGERS, FLOATS, KINDS };
enum { TIMES = 10 };

/* What is summed, and with what. */
typedef struct summed {
    pulmo_comm *comm;
    size_t count;
    int64_t *integers; /* (count) */
    float *reals;      /* (count) */
    pulmo_exact_sum *exact;
} summed;

static pulmo_status sum_integers(const summed *it, double *seconds)
{
    PULMO_TRY(pulmo_barrier(it->comm));
    double began_s = pulmo_now_s();
    pulmo_exact_push(it->exact, it->integers, it->count);
    PULMO_TRY(pulmo_exact_wait(it->exact));
    *seconds = pulmo_now_s() - began_s;
    return PULMO_OK;
}

static pulmo_status sum_floats(const summed *it, double *seconds)
{
    PULMO_TRY(pulmo_barrier(it->comm));
    double began_s = pulmo_now_s();
    PULMO_TRY(pulmo_sum_f32(it->comm, it->reals, it->count));
    *seconds = pulmo_now_s() - began_s;
    return PULMO_OK;
}

/* The best time of each, of the slowest rank. */
static pulmo_status time_sums(const summed *it, double seconds[KINDS])
{
    seconds[INTEGERS] = INFINITY;
    seconds[FLOATS] = INFINITY;
    for (int i = 0; i < TIMES; i++) {
        double times[KINDS];
        PULMO_TRY(sum_integers(it, &times[INTEGERS]));
        PULMO_TRY(sum_floats(it, &times[FLOATS]));
        PULMO_TRY(pulmo_max_f64(it->comm, times, KINDS));
        for (int k = 0; k < KINDS; k++)
            seconds[k] = fmin(seconds[k], times[k]);
    }
    return PULMO_OK;
}

static void report_sums(size_t elements, const double seconds[KINDS], int ranks, pulmo_isa isa)
{
    fprintf(stderr, "%zu elements over %d ranks: exact integers %.2f ms, plain floats %.2f ms\n",
            elements, ranks, 1e3 * seconds[INTEGERS], 1e3 * seconds[FLOATS]);
    const bench_member members[] = {
        BENCH_NUMBER("bytes", 0, (double)(elements * sizeof(int64_t))),
        BENCH_NUMBER("seconds", 6, seconds[INTEGERS]),
        BENCH_NUMBER("float_seconds", 6, seconds[FLOATS]),
        BENCH_NUMBER("elements", 0, (double)elements),
        BENCH_NUMBER("threads", 0, 1),
        BENCH_NUMBER("ranks", 0, ranks),
        BENCH_TEXT("isa", pulmo_isa_name(isa)),
    };
    BENCH_PRINT_JSON(members);
}

static pulmo_status allocate(summed *it)
{
    it->integers = pulmo_alloc(it->count, sizeof *it->integers);
    it->reals = pulmo_alloc(it->count, sizeof *it->reals);
    if (!it->integers || !it->reals)
        return PULMO_MEMORY;
    return pulmo_exact_create(it->comm, 1, &it->exact);
}

pulmo_status pulmo_bench_allreduce(pulmo_comm *comm, size_t elements)
{
    summed it = {.comm = comm, .count = elements};
    double seconds[KINDS];
    pulmo_isa isa;
    PULMO_TRY(pulmo_agree(comm, pulmo_isa_choose(&isa)));
    pulmo_status status = pulmo_agree(comm, allocate(&it));
    if (status == PULMO_OK)
        status = time_sums(&it, seconds);
    pulmo_exact_destroy(it.exact);
    pulmo_free(it.integers);
    pulmo_free(it.reals);
    PULMO_TRY(status);
    if (pulmo_comm_rank(comm) == 0)
        report_sums(elements, seconds, pulmo_comm_size(comm), isa);
    return PULMO_OK;
}
