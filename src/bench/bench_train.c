/* `pulmo bench train`: images a second of training, and where the time goes. */
#include "bench_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/bench.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/pack.h"
#include "pulmo/train.h"

#define DEMO_IMAGES 256

/* Demo images, packed; on all ranks. */
static pulmo_status pack_demo(pulmo_comm *comm, const char *scratch, int size, const char *packed)
{
    char setting[64], *demo = pulmo_format("%s/demo", scratch);
    pulmo_config config;
    pulmo_config_init(&config);
    snprintf(setting, sizeof setting, "pack.size=%d", size);
    pulmo_status status = demo ? pulmo_config_set(&config, setting) : PULMO_MEMORY;
    if (status == PULMO_OK)
        status = pulmo_config_set(&config, "pack.leaks=allow");
    status = pulmo_agree(comm, status);
    const pulmo_pack_options options = {.source = demo, .destination = packed, .config = &config};
    if (status == PULMO_OK)
        status = pulmo_pack(comm, &options);
    free(demo);
    return status;
}

static pulmo_status set_path(char *field, size_t bytes, const char *directory, const char *name)
{
    int wrote = snprintf(field, bytes, "%s/%s", directory, name);
    if (wrote > 0 && (size_t)wrote < bytes)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO, "%s: the path is too long", directory);
}

static void report(const pulmo_train_timing *t, int ranks, const pulmo_config *config)
{
    double rate = (double)t->images / t->seconds;
    const char *from = config->train.features == PULMO_FEATURES_BANK ? "bank" : "fresh";
    fprintf(stderr,
            "%llu images in %.2f s, %d rank%s of %d thread%s, %s features: %.2f images/s\n"
            "of the time: %.1f %% features, %.1f %% trained convolutions, %.1f %% head, %.1f %% "
            "update; compute waited %.2f %% for data, "
            "%.2f %% for sums\n",
            (unsigned long long)t->images, t->seconds, ranks, ranks == 1 ? "" : "s", t->threads,
            t->threads == 1 ? "" : "s", from, rate, 100 * t->features_s / t->seconds,
            100 * t->tuned_s / t->seconds, 100 * t->head_s / t->seconds,
            100 * t->update_s / t->seconds, 100 * t->data_s / t->seconds,
            100 * t->sums_s / t->seconds);
    printf("{\"images_per_second\": %.3f, \"images\": %llu, \"seconds\": %.3f, \"features\": %.5f, "
           "\"trained_convolutions\": %.5f, "
           "\"head\": %.5f, \"update\": %.5f, "
           "\"waiting_for_data\": %.5f, \"waiting_for_sums\": %.5f, \"batch\": %lld, \"from\": "
           "\"%s\", \"threads\": %d, \"ranks\": %d, "
           "\"isa\": \"%s\"}\n",
           rate, (unsigned long long)t->images, t->seconds, t->features_s / t->seconds,
           t->tuned_s / t->seconds, t->head_s / t->seconds, t->update_s / t->seconds,
           t->data_s / t->seconds, t->sums_s / t->seconds, (long long)config->train.batch, from,
           t->threads, ranks, t->isa);
}

pulmo_status pulmo_bench_train(pulmo_comm *comm, const pulmo_bench_train_options *o)
{
    char scratch[PULMO_TEXT_BYTES] = "";
    pulmo_config config = *o->config;
    pulmo_train_timing timing;
    bool root = pulmo_comm_rank(comm) == 0, draw = !*config.data.path;
    pulmo_log_setup(PULMO_LOG_QUIET, pulmo_comm_rank(comm), pulmo_comm_size(comm));
    pulmo_status status = PULMO_OK;
    if (root)
        status = bench_scratch_make(draw ? DEMO_IMAGES : 0, scratch, sizeof scratch);
    PULMO_TRY(pulmo_agree(comm, status));
    PULMO_TRY(pulmo_bcast(comm, scratch, sizeof scratch, 0));
    status = set_path(config.train.run_dir, sizeof config.train.run_dir, scratch, "run");
    if (status == PULMO_OK && draw)
        status = set_path(config.data.path, sizeof config.data.path, scratch, "packed");
    config.train.patience = 0; /* val has no part in this */
    if (o->threads > 0)
        config.train.threads = o->threads;
    status = pulmo_agree(comm, status);
    if (status == PULMO_OK && draw)
        status = pack_demo(comm, scratch, o->size_px, config.data.path);
    if (status == PULMO_OK)
        status = pulmo_train_measure(comm, &config, o->seconds, &timing);
    if (root)
        bench_scratch_remove(scratch);
    if (status == PULMO_OK && root)
        report(&timing, pulmo_comm_size(comm), &config);
    return status;
}
