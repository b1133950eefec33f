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

/* Images per second over all ranks of training steps of the default head: with gradients as
 * training sends them (train.exchange: auto), and as integer sums always; medians of short turns
 * that follow each other. */
typedef struct pulmo_bench_step_result {
    double images_per_second, sums_images_per_second;
    double over_sums; /* median of the ratios of neighbouring turns */
    /* Of each of the two: seconds from the end of a batch until its gradients have travelled, were
     * nothing done meanwhile, and of the update alone. */
    double travel_s[2], update_s[2];
    int rounds, threads;
} pulmo_bench_step_result;
/* Collective. */
pulmo_status pulmo_bench_step(pulmo_comm *comm, const pulmo_bench_step_options *options,
                              pulmo_bench_step_result *out);

#endif
