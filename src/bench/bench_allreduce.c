/* `pulmo bench allreduce`: the sum of a gradient over the ranks, as integers and as floats. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "pulmo/bench.h"
#include "pulmo/clock.h"
#include "pulmo/exact.h"
#include "pulmo/isa.h"
#include "pulmo/memory.h"

static pulmo_status time_sums(pulmo_comm *comm, size_t count, int64_t *integers, float *reals,
                              double seconds[2])
{
    seconds[0] = seconds[1] = INFINITY;
    for (int i = 0; i < 10; i++) {
        pulmo_exact_sum *sum = NULL;
        double times[2];
        PULMO_TRY(pulmo_barrier(comm));
        double began_s = pulmo_now_s();
        PULMO_TRY(pulmo_exact_start(comm, integers, count, &sum));
        PULMO_TRY(pulmo_exact_wait(sum));
        times[0] = pulmo_now_s() - began_s;
        PULMO_TRY(pulmo_barrier(comm));
        began_s = pulmo_now_s();
        PULMO_TRY(pulmo_sum_f32(comm, reals, count));
        times[1] = pulmo_now_s() - began_s;
        PULMO_TRY(pulmo_max_f64(comm, times, 2));
        for (int k = 0; k < 2; k++)
            seconds[k] = fmin(seconds[k], times[k]);
    }
    return PULMO_OK;
}

pulmo_status pulmo_bench_allreduce(pulmo_comm *comm, size_t elements)
{
    double seconds[2];
    pulmo_isa isa;
    PULMO_TRY(pulmo_agree(comm, pulmo_isa_choose(&isa)));
    int64_t *integers = pulmo_alloc(elements, sizeof *integers);
    float *reals = pulmo_alloc(elements, sizeof *reals);
    pulmo_status status = pulmo_agree(comm, integers && reals ? PULMO_OK : PULMO_MEMORY);
    if (status == PULMO_OK)
        status = time_sums(comm, elements, integers, reals, seconds);
    pulmo_free(integers);
    pulmo_free(reals);
    PULMO_TRY(status);
    if (pulmo_comm_rank(comm) != 0)
        return PULMO_OK;
    fprintf(stderr, "%zu elements over %d ranks: exact integers %.2f ms, plain floats %.2f ms\n",
            elements, pulmo_comm_size(comm), 1e3 * seconds[0], 1e3 * seconds[1]);
    printf("{\"bytes\": %zu, \"seconds\": %.6f, \"float_seconds\": %.6f, \"elements\": %zu, "
           "\"threads\": 1, \"ranks\": %d, \"isa\": \"%s\"}\n",
           elements * sizeof(int64_t), seconds[0], seconds[1], elements, pulmo_comm_size(comm),
           pulmo_isa_name(isa));
    return PULMO_OK;
}
