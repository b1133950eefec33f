/* Benchmarks that have a file of their own. */
#ifndef PULMO_CLI_BENCH_H
#define PULMO_CLI_BENCH_H

#include "pulmo/dist.h"
#include "pulmo/status.h"

typedef struct bench_pack_options {
    const char *source; /* class folders of JPEGs; NULL: demo images, drawn first */
    const char *decode; /* "exact" or "fast" */
    int threads, size;  /* a rank; of packed images */
    double seconds;
} bench_pack_options;

/* Packs the source over and over into a scratch directory in $TMPDIR: list, read, decode, resize, digests, audit, shards,
 * manifest. Collective. */
pulmo_status bench_pack(pulmo_comm *comm, const bench_pack_options *options);

#endif
