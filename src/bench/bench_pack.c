/* `pulmo bench pack`: all of packing, timed from the outside. */
#include "bench_room.h"

#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/bench.h"
#include "pulmo/clock.h"
#include "pulmo/config.h"
#include "pulmo/dataset.h"
#include "pulmo/demo.h"
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

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

pulmo_status bench_scratch_make(int images, char *path, size_t bytes)
{
    const char *parent = getenv("TMPDIR");
    snprintf(path, bytes, "%s/pulmo-bench-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(path))
        return pulmo_fail(PULMO_IO, "%s: cannot be made: %s", path, strerror(errno));
    if (images == 0)
        return PULMO_OK;
    char *demo = pulmo_format("%s/demo", path);
    if (!demo)
        return PULMO_MEMORY;
    const pulmo_demo_options options = {.directory = demo, .images = {images, 0, 0}};
    pulmo_status status = pulmo_demo_write(&options);
    free(demo);
    return status;
}

void bench_scratch_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static pulmo_status count_images(const char *packed, uint64_t *images)
{
    *images = 0;
    for (int s = 0; s < PULMO_SPLITS; s++) {
        pulmo_dataset *dataset = NULL;
        PULMO_TRY(pulmo_dataset_open(packed, pulmo_split_name(s), 1, &dataset));
        *images += pulmo_dataset_info_of(dataset)->count;
        pulmo_dataset_close(dataset);
    }
    return PULMO_OK;
}

static pulmo_status time_packs(pulmo_comm *comm, const pulmo_bench_pack_options *o,
                               const pulmo_config *config, const char *source, const char *packed,
                               timing *out)
{
    const pulmo_pack_options options = {.source = source,
                                        .destination = packed,
                                        .config = config,
                                        .threads = o->threads,
                                        .overwrite = 1};
    *out = (timing){.best_s = INFINITY};
    do {
        PULMO_TRY(pulmo_barrier(comm));
        double began_s = pulmo_now_s(), began_cpu_s = pulmo_cpu_s();
        PULMO_TRY(pulmo_pack(comm, &options));
        double times[2] = {pulmo_now_s() - began_s, 0};
        int64_t cpu_us = (int64_t)((pulmo_cpu_s() - began_cpu_s) * 1e6);
        PULMO_TRY(pulmo_max_f64(comm, times, 1));
        PULMO_TRY(pulmo_sum_i64(comm, &cpu_us, 1));
        out->seconds += times[0];
        out->cpu_seconds += (double)cpu_us / 1e6;
        out->best_s = fmin(out->best_s, times[0]);
        out->packs++;
        if (out->packs == 1)
            PULMO_TRY(pulmo_agree(comm, count_images(packed, &out->images)));
        /* A finished pack would be left alone. */
        PULMO_TRY(pulmo_agree(
            comm,
            pulmo_comm_rank(comm) == 0 && nftw(packed, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0
                ? pulmo_fail(PULMO_IO, "%s: cannot be removed: %s", packed, strerror(errno))
                : PULMO_OK));
    } while (out->seconds < o->seconds);
    return PULMO_OK;
}

static void report(const pulmo_bench_pack_options *o, const timing *t, int ranks)
{
    double images = (double)t->images * t->packs;
    fprintf(stderr,
            "%d times %llu images to %d x %d, decode %s, %d ranks x %d threads: %.1f images/s "
            "(best %.1f), %.1f a second of processor time\n",
            t->packs, (unsigned long long)t->images, o->size_px, o->size_px, o->decode, ranks,
            o->threads, images / t->seconds, (double)t->images / t->best_s,
            images / t->cpu_seconds);
    printf("{\"images_per_second\": %.3f, \"best_images_per_second\": %.3f, "
           "\"images_per_cpu_second\": %.3f, \"images\": %llu, "
           "\"packs\": %d, \"decode\": \"%s\", \"size\": %d, \"threads\": %d, \"ranks\": %d, "
           "\"isa\": \"%s\"}\n",
           images / t->seconds, (double)t->images / t->best_s, images / t->cpu_seconds,
           (unsigned long long)t->images, t->packs, o->decode, o->size_px, o->threads, ranks,
           pulmo_isa_available(PULMO_ISA_AVX2) ? "avx2" : "ref");
}

pulmo_status pulmo_bench_pack(pulmo_comm *comm, const pulmo_bench_pack_options *options)
{
    pulmo_bench_pack_options resolved = *options, *o = &resolved;
    int ranks = pulmo_comm_node_size(comm) > 0 ? pulmo_comm_node_size(comm) : 1;
    if (o->threads == 0)
        o->threads = pulmo_cpu_count() / ranks > 0 ? pulmo_cpu_count() / ranks : 1;
    char scratch[PULMO_TEXT_BYTES] = "", setting[64];
    pulmo_config config;
    timing t;
    bool root = pulmo_comm_rank(comm) == 0;
    pulmo_config_init(&config);
    snprintf(setting, sizeof setting, "pack.size=%d", o->size_px);
    PULMO_TRY(pulmo_config_set(&config, setting));
    snprintf(setting, sizeof setting, "pack.decode=%s", o->decode);
    PULMO_TRY(pulmo_config_set(&config, setting));
    PULMO_TRY(pulmo_config_set(&config, "pack.leaks=allow"));
    pulmo_log_setup(PULMO_LOG_QUIET, pulmo_comm_rank(comm), pulmo_comm_size(comm));
    pulmo_status status = PULMO_OK;
    if (root)
        status = bench_scratch_make(o->source ? 0 : DEMO_IMAGES, scratch, sizeof scratch);
    PULMO_TRY(pulmo_agree(comm, status));
    PULMO_TRY(pulmo_bcast(comm, scratch, sizeof scratch, 0));
    char *packed = pulmo_format("%s/packed", scratch), *demo = pulmo_format("%s/demo", scratch);
    status = pulmo_agree(comm, packed && demo ? PULMO_OK : PULMO_MEMORY);
    if (status == PULMO_OK)
        status = time_packs(comm, o, &config, o->source ? o->source : demo, packed, &t);
    if (root)
        bench_scratch_remove(scratch);
    free(packed);
    free(demo);
    if (status == PULMO_OK && root)
        report(o, &t, pulmo_comm_size(comm));
    return status;
}
