/* Benchmarks. */
#ifndef PULMO_BENCH_H
#define PULMO_BENCH_H

#include "pulmo/dist.h"
#include "pulmo/status.h"

typedef struct pulmo_bench_step_options {
    const char *weights; /* "" for the usual places */
    int size_px, batch;  /* of drawn images; the global batch */
    int threads;         /* a rank; 0: the CPUs given */
    double seconds;      /* at least */
} pulmo_bench_step_options;

/* Images a second over all ranks of training steps of the default head: with exact sums as training
 * sends them, with exact integer sums always, and with a plain float allreduce; medians of short
 * turns that follow each other. */
typedef struct pulmo_bench_step_result {
    double exact, sums, plain;
    double exact_over_plain, sums_over_plain; /* medians of the ratios of neighbouring turns */
    /* Of the first two: seconds from the end of a batch until its gradients have travelled, were
     * nothing done meanwhile, and of the update alone. */
    double travel_s[2], update_s[2];
    int rounds, threads;
} pulmo_bench_step_result;
/* Collective. */
pulmo_status pulmo_bench_step(pulmo_comm *comm, const pulmo_bench_step_options *options,
                              pulmo_bench_step_result *out);

#endif
