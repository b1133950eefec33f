/* Benchmarks that have a file of their own. */
#ifndef PULMO_CLI_BENCH_H
#define PULMO_CLI_BENCH_H

#include <stddef.h>

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/status.h"

typedef struct bench_pack_options {
    const char *source; /* class folders of JPEGs; NULL: demo images, drawn first */
    const char *decode; /* "exact" or "fast" */
    int threads, size;  /* a rank; of packed images */
    double seconds;
} bench_pack_options;

/* Packs the source over and over into a scratch directory in $TMPDIR: list, read, decode, resize,
 * digests, audit, shards, manifest. Collective. */
pulmo_status bench_pack(pulmo_comm *comm, const bench_pack_options *options);

typedef struct bench_train_options {
    const pulmo_config *config; /* data.path "": demo images, drawn and packed first */
    int threads, size;          /* a rank, 0: train.threads; of demo images */
    double seconds;
} bench_train_options;

/* Trains as configured for so long, without validation, in a scratch run directory. Collective. */
pulmo_status bench_train(pulmo_comm *comm, const bench_train_options *options);

/* A scratch directory in $TMPDIR, with so many demo images in demo/. Not collective. */
pulmo_status bench_scratch_make(int images, char *path, size_t bytes);
void bench_scratch_remove(const char *path);

#endif
