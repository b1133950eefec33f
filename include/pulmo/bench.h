/* Benchmarks: each measures for so many seconds and prints on rank 0 a summary on stderr and one
 * JSON object, the last line of stdout. Where `rate` is given, images per second go there in place
 * of the object. All are collective and return the same status on every rank; options are borrowed
 * for the call. */
#ifndef PULMO_BENCH_H
#define PULMO_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/status.h"

typedef struct pulmo_bench_conv_options {
    const char *weights; /* NULL: random ones of the same shape */
    const char *input;   /* NULL, or a file of raw float32 (batch, 3, size, size), normalised */
    const char *dump;    /* NULL, or where the batch's features go, raw float32 */
    int threads;         /* per rank; 0: the CPUs given */
    int batch, size_px;
    bool layers; /* also a table of layers */
    double seconds;
    double *rate; /* NULL: the object is printed */
} pulmo_bench_conv_options;
/* The frozen convolutions on a batch that stays in memory. */
pulmo_status pulmo_bench_conv(pulmo_comm *comm, const pulmo_bench_conv_options *options);

typedef struct pulmo_bench_pack_options {
    const char *source;   /* class folders of images; NULL: demo images, drawn first */
    const char *decode;   /* "exact" or "fast" */
    int threads, size_px; /* per rank, 0: the CPUs given; of packed images */
    double seconds;
    double *rate; /* NULL: the object is printed */
} pulmo_bench_pack_options;
/* Packs the source over and over into a scratch directory in $TMPDIR: listing, reading, decoding,
 * resizing, digests, audit, shards, manifest. */
pulmo_status pulmo_bench_pack(pulmo_comm *comm, const pulmo_bench_pack_options *options);

typedef struct pulmo_bench_train_options {
    const pulmo_config *config; /* data.path "": demo images, drawn and packed first */
    int threads, size_px;       /* per rank, 0: train.threads; of demo images */
    double seconds;
} pulmo_bench_train_options;
/* Trains as configured, without validation, in a scratch run directory. */
pulmo_status pulmo_bench_train(pulmo_comm *comm, const pulmo_bench_train_options *options);

typedef struct pulmo_bench_step_options {
    const char *weights; /* "" for the usual places */
    bool drawn;          /* in place of weights: random ones of the same shape */
    bool alone;          /* only as training sends gradients, not beside integer sums */
    int trainable;       /* PULMO_TRAINABLE_... */
    int size_px, batch;  /* of drawn images; the global batch */
    int threads;         /* per rank; 0: the CPUs given */
    double seconds;      /* at least */
    double *rate;        /* NULL: the object is printed */
} pulmo_bench_step_options;
/* Training steps of the default head, and of the convolutions that `trainable` says, with gradients
 * as training sends them (train.exchange: auto) and as integer sums always, by turns. */
pulmo_status pulmo_bench_step(pulmo_comm *comm, const pulmo_bench_step_options *options);

typedef struct pulmo_bench_report_options {
    const char *weights; /* NULL or "": random ones of the same shape */
    const char *against; /* what an earlier report printed, or NULL */
    int threads;         /* 0: the CPUs given */
    int size_px;
    double seconds; /* of each measurement, about */
} pulmo_bench_report_options;
/* All of the machine in one table: FMA peaks, bandwidth, convolutions, training steps, packing, a
 * bank, the start; with ratios to an earlier report. The table is on stdout, too. One process:
 * PULMO_USAGE under a launcher. */
pulmo_status pulmo_bench_report(pulmo_comm *comm, const pulmo_bench_report_options *options);

/* The sum over all ranks of so many parameters' gradient, as exact integers and as floats: bytes
 * and seconds in place of images. */
pulmo_status pulmo_bench_allreduce(pulmo_comm *comm, size_t elements);

#endif
