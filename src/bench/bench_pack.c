/* `pulmo bench pack`: all of packing, timed from the outside. */
#include "bench_room.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/bench.h"
#include "pulmo/clock.h"
#include "pulmo/config.h"
#include "pulmo/dataset.h"
#include "pulmo/file.h"
#include "pulmo/isa.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/pack.h"
#include "pulmo/split.h"

#define DEMO_IMAGES 400

typedef struct timing {
    uint64_t images; /* of one pack */
    int packs;
    double seconds, cpu_seconds; /* of all packs; processor time of all ranks */
    double best_s;
} timing;

static pulmo_status count_images(const char *packed, uint64_t *images)
{
    *images = 0;
    for (int s = 0; s < PULMO_SPLITS; s++) {
        pulmo_dataset *dataset = NULL;
        const char *split = pulmo_split_name(s);
        PULMO_TRY(pulmo_dataset_open(packed, split, 1, &dataset));
        *images += pulmo_dataset_info_of(dataset)->count;
        pulmo_dataset_close(dataset);
    }
    return PULMO_OK;
}

/* One pack of all ranks, into `out`. */
static pulmo_status time_pack(pulmo_comm *comm, const pulmo_pack_options *options, timing *out)
{
    PULMO_TRY(pulmo_barrier(comm));
    double began_s = pulmo_now_s();
    double began_cpu_s = pulmo_cpu_s();
    PULMO_TRY(pulmo_pack(comm, options));
    double seconds = pulmo_now_s() - began_s;
    double cpu_seconds = pulmo_cpu_s() - began_cpu_s;
    int64_t cpu_us = (int64_t)(cpu_seconds * 1e6);
    PULMO_TRY(pulmo_max_f64(comm, &seconds, 1));
    PULMO_TRY(pulmo_sum_i64(comm, &cpu_us, 1));
    out->seconds += seconds;
    out->cpu_seconds += (double)cpu_us / 1e6;
    out->best_s = fmin(out->best_s, seconds);
    out->packs++;
    return PULMO_OK;
}

/* A finished pack would be left alone. */
static pulmo_status remove_pack(pulmo_comm *comm, const char *packed)
{
    pulmo_status status = PULMO_OK;
    if (pulmo_comm_rank(comm) == 0 && !pulmo_directory_remove(packed))
        status = pulmo_fail(PULMO_IO, "%s: cannot be removed: %s", packed, strerror(errno));
    return pulmo_agree(comm, status);
}

static pulmo_status time_packs(pulmo_comm *comm, const pulmo_pack_options *options, double seconds,
                               timing *out)
{
    *out = (timing){.best_s = INFINITY};
    do {
        PULMO_TRY(time_pack(comm, options, out));
        if (out->packs == 1)
            PULMO_TRY(pulmo_agree(comm, count_images(options->destination, &out->images)));
        PULMO_TRY(remove_pack(comm, options->destination));
    } while (out->seconds < seconds);
    return PULMO_OK;
}

static void report_packs(const pulmo_bench_pack_options *o, const timing *t, int ranks)
{
    double images = (double)t->images * t->packs;
    double rate = images / t->seconds;
    double best_rate = (double)t->images / t->best_s;
    double cpu_rate = images / t->cpu_seconds;
    fprintf(stderr, "%d times %llu images to %d x %d, decode %s, %d ranks x %d threads: ", t->packs,
            (unsigned long long)t->images, o->size_px, o->size_px, o->decode, ranks, o->threads);
    fprintf(stderr, "%.1f images/s (best %.1f), %.1f per second of processor time\n", rate,
            best_rate, cpu_rate);
    if (o->rate) {
        *o->rate = rate;
        return;
    }
    const bench_member members[] = {
        BENCH_NUMBER("images_per_second", 3, rate),
        BENCH_NUMBER("best_images_per_second", 3, best_rate),
        BENCH_NUMBER("images_per_cpu_second", 3, cpu_rate),
        BENCH_NUMBER("images", 0, (double)t->images),
        BENCH_NUMBER("packs", 0, t->packs),
        BENCH_TEXT("decode", o->decode),
        BENCH_NUMBER("size", 0, o->size_px),
        BENCH_NUMBER("threads", 0, o->threads),
        BENCH_NUMBER("ranks", 0, ranks),
        BENCH_TEXT("isa", pulmo_isa_available(PULMO_ISA_AVX2) ? "avx2" : "ref"),
    };
    BENCH_PRINT_JSON(members);
}

/* Threads per rank where none were asked for: the CPUs over the node's ranks. */
static int threads_per_rank(const pulmo_comm *comm)
{
    int ranks = pulmo_comm_node_size(comm);
    int threads = pulmo_cpu_count();
    if (ranks > 0)
        threads /= ranks;
    return threads > 0 ? threads : 1;
}

static pulmo_status configure_pack(const pulmo_bench_pack_options *o, pulmo_config *config)
{
    char setting[64];
    pulmo_config_init(config);
    snprintf(setting, sizeof setting, "pack.size=%d", o->size_px);
    PULMO_TRY(pulmo_config_set(config, setting));
    snprintf(setting, sizeof setting, "pack.decode=%s", o->decode);
    PULMO_TRY(pulmo_config_set(config, setting));
    return pulmo_config_set(config, "pack.leaks=allow");
}

/* In a scratch directory that there is. */
static pulmo_status pack_in(pulmo_comm *comm, const pulmo_bench_pack_options *o,
                            const pulmo_config *config, const char *scratch, timing *out)
{
    char *packed = pulmo_format("%s/packed", scratch);
    char *demo = pulmo_format("%s/demo", scratch);
    const pulmo_pack_options options = {.source = o->source ? o->source : demo,
                                        .destination = packed,
                                        .config = config,
                                        .threads = o->threads,
                                        .overwrite = 1};
    pulmo_status status = packed && demo ? PULMO_OK : PULMO_MEMORY;
    status = pulmo_agree(comm, status);
    if (status == PULMO_OK)
        status = time_packs(comm, &options, o->seconds, out);
    free(packed);
    free(demo);
    return status;
}

pulmo_status pulmo_bench_pack(pulmo_comm *comm, const pulmo_bench_pack_options *options)
{
    pulmo_bench_pack_options resolved = *options;
    const int images = options->source ? 0 : DEMO_IMAGES;
    const int rank = pulmo_comm_rank(comm);
    const int size = pulmo_comm_size(comm);
    char scratch[PULMO_TEXT_BYTES] = "";
    pulmo_config config;
    timing t = {0};
    if (resolved.threads == 0)
        resolved.threads = threads_per_rank(comm);
    PULMO_TRY(configure_pack(options, &config));
    pulmo_log_setup(PULMO_LOG_QUIET, rank, size);
    pulmo_status status = PULMO_OK;
    if (rank == 0)
        status = bench_scratch_make(images, scratch, sizeof scratch);
    PULMO_TRY(pulmo_agree(comm, status));
    status = pulmo_bcast(comm, scratch, sizeof scratch, 0);
    if (status == PULMO_OK)
        status = pack_in(comm, &resolved, &config, scratch, &t);
    if (rank == 0)
        bench_scratch_remove(scratch);
    status =
        pulmo_agree(comm, status); /* a launcher ends all ranks when the first one has failed */
    if (status == PULMO_OK && rank == 0)
        report_packs(&resolved, &t, size);
    return status;
}
