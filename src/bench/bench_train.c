/* `pulmo bench train`: images per second of training, and where the time goes. */
#include "bench_room.h"

#include <stdio.h>
#include <stdlib.h>

#include "pulmo/bench.h"
#include "pulmo/log.h"
#include "pulmo/text.h"
#include "pulmo/train.h"

#define DEMO_IMAGES 256

static pulmo_status set_path(char *field, size_t bytes, const char *directory, const char *name)
{
    int wrote = snprintf(field, bytes, "%s/%s", directory, name);
    if (wrote > 0 && (size_t)wrote < bytes)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO, "%s: the path is too long", directory);
}

/* Parts of the time, from 0 to 1. */
typedef struct time_shares {
    double features, tuned, head, update, data, sums;
} time_shares;

static time_shares shares_of(const pulmo_train_timing *t)
{
    const double all_s = t->seconds;
    return (time_shares){
        .features = t->features_s / all_s,
        .tuned = t->tuned_s / all_s,
        .head = t->head_s / all_s,
        .update = t->update_s / all_s,
        .data = t->data_s / all_s,
        .sums = t->sums_s / all_s,
    };
}

static void report_training(const pulmo_train_timing *t, int ranks, const pulmo_config *config)
{
    const double rate = (double)t->images / t->seconds;
    const time_shares part = shares_of(t);
    const char *from = config->train.features == PULMO_FEATURES_BANK ? "bank" : "fresh";
    fprintf(stderr, "%llu images in %.2f s, %d rank%s of %d thread%s, %s features: %.2f images/s\n",
            (unsigned long long)t->images, t->seconds, ranks, pulmo_plural((uint64_t)ranks),
            t->threads, pulmo_plural((uint64_t)t->threads), from, rate);
    fprintf(stderr,
            "of the time: %.1f %% features, %.1f %% trained convolutions, %.1f %% head, "
            "%.1f %% update; ",
            100 * part.features, 100 * part.tuned, 100 * part.head, 100 * part.update);
    fprintf(stderr, "compute waited %.2f %% for data, %.2f %% for sums\n", 100 * part.data,
            100 * part.sums);
    const bench_member members[] = {
        BENCH_NUMBER("images_per_second", 3, rate),
        BENCH_NUMBER("images", 0, (double)t->images),
        BENCH_NUMBER("seconds", 3, t->seconds),
        BENCH_NUMBER("features", 5, part.features),
        BENCH_NUMBER("trained_convolutions", 5, part.tuned),
        BENCH_NUMBER("head", 5, part.head),
        BENCH_NUMBER("update", 5, part.update),
        BENCH_NUMBER("waiting_for_data", 5, part.data),
        BENCH_NUMBER("waiting_for_sums", 5, part.sums),
        BENCH_NUMBER("batch", 0, (double)config->train.batch),
        BENCH_TEXT("from", from),
        BENCH_NUMBER("threads", 0, t->threads),
        BENCH_NUMBER("ranks", 0, ranks),
        BENCH_TEXT("isa", t->isa),
    };
    BENCH_PRINT_JSON(members);
}

/* Trains in a scratch directory that there is, with its demo images where there are no others. */
static pulmo_status train_in(pulmo_comm *comm, const pulmo_bench_train_options *o,
                             const char *scratch, pulmo_config *config, pulmo_train_timing *timing)
{
    const bool draw = !*config->data.path;
    pulmo_status status =
        set_path(config->train.run_dir, sizeof config->train.run_dir, scratch, "run");
    if (status == PULMO_OK && draw)
        status = set_path(config->data.path, sizeof config->data.path, scratch, "packed");
    config->train.patience = 0; /* val has no part in this */
    if (o->threads > 0)
        config->train.threads = o->threads;
    PULMO_TRY(pulmo_agree(comm, status));
    if (draw)
        PULMO_TRY(bench_pack_demo(comm, scratch, o->size_px, config->data.path));
    return pulmo_train_measure(comm, config, o->seconds, timing);
}

pulmo_status pulmo_bench_train(pulmo_comm *comm, const pulmo_bench_train_options *o)
{
    const int rank = pulmo_comm_rank(comm);
    const int size = pulmo_comm_size(comm);
    char scratch[PULMO_TEXT_BYTES] = "";
    pulmo_config config = *o->config;
    pulmo_train_timing timing = {0};
    pulmo_log_setup(PULMO_LOG_QUIET, rank, size);
    pulmo_status status = PULMO_OK;
    int images = *config.data.path ? 0 : DEMO_IMAGES;
    if (rank == 0)
        status = bench_scratch_make(images, scratch, sizeof scratch);
    PULMO_TRY(pulmo_agree(comm, status));
    status = pulmo_bcast(comm, scratch, sizeof scratch, 0);
    if (status == PULMO_OK)
        status = train_in(comm, o, scratch, &config, &timing);
    if (rank == 0)
        bench_scratch_remove(scratch);
    status =
        pulmo_agree(comm, status); /* a launcher ends all ranks when the first one has failed */
    if (status == PULMO_OK && rank == 0)
        report_training(&timing, size, &config);
    return status;
}
