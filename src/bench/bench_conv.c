/* `pulmo bench conv`: the frozen convolutions on batches of one size, from memory. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench_room.h"
#include "pulmo/backbone.h"
#include "pulmo/bench.h"
#include "pulmo/clock.h"
#include "pulmo/isa.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "pulmo/text.h"
#include "pulmo/trunk.h"

/* GEMM's rate per thread over all Winograd layers, FLOP/s; the first, direct layer is left out. */
static double gemm_rate(const pulmo_trunk_layer_time *times, int layers, long images)
{
    double flop = 0, seconds = 0;
    for (int i = 1; i < layers; i++) {
        flop += times[i].gemm_flop * (double)images;
        seconds += times[i].gemm_thread_s;
    }
    return seconds > 0 ? flop / seconds : 0;
}

static void print_layer(const pulmo_trunk_layer_time *t, double images, double peak)
{
    double seconds = t->seconds / images;
    double direct = t->direct_flop / seconds;
    double gemm = t->gemm_flop * images / t->gemm_thread_s;
    double gemm_part = t->gemm_thread_s / t->total_thread_s;
    double limit = gemm / peak * gemm_part; /* products alone at the peak, of the time taken */
    fprintf(stderr, "%-10s %-12s ", t->name, t->method);
    fprintf(stderr, "%9.3f %15.1f ", 1e3 * seconds, direct / 1e9);
    fprintf(stderr, "%13.1f ", gemm / 1e9);
    fprintf(stderr, "%8.0f%% %10.0f%% ", 100 * gemm / peak, 100 * gemm_part);
    fprintf(stderr, "%10.0f%%\n", 100 * limit);
}

static void print_layers(const pulmo_trunk_layer_time *times, int layers, long images, double peak)
{
    fprintf(stderr, "%-10s %-12s %9s %15s %13s %9s %11s %11s\n", "layer", "method", "ms/image",
            "direct GFLOP/s", "GEMM GFLOP/s", "of peak", "GEMM's part", "of limit");
    for (int i = 0; i < layers; i++)
        print_layer(&times[i], (double)images, peak);
}

static double direct_gflop(const pulmo_trunk_layer_time *times, int layers)
{
    double flop = 0;
    for (int i = 0; i < layers; i++)
        flop += times[i].direct_flop;
    return flop / 1e9;
}

/* Images from --input (raw float32, (batch, 3, size, size), normalised), else random ones. */
static pulmo_status fill_images(const pulmo_bench_conv_options *o, float *images, size_t floats)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 0, 0);
    for (size_t i = 0; i < floats; i++)
        images[i] = pulmo_rng_uniform(&rng) * 4 - 2;
    if (!o->input)
        return PULMO_OK;
    FILE *file = fopen(o->input, "rb");
    size_t got = file ? fread(images, sizeof *images, floats, file) : 0;
    if (file)
        fclose(file);
    if (got == floats)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: must hold %zu float32 values, %d x 3 x %d x %d", o->input,
                      floats, o->batch, o->size_px, o->size_px);
}

typedef struct conv_result {
    long images;
    double rate, best_rate;
} conv_result;

/* A rank's rates become those of all ranks together, added in their order. */
static pulmo_status sum_rates(pulmo_comm *comm, conv_result *result)
{
    double mine[2] = {result->rate, result->best_rate};
    void *gathered = NULL;
    size_t bytes = 0;
    PULMO_TRY(pulmo_gather_all(comm, mine, sizeof mine, &gathered, &bytes, NULL));
    const double *rates = gathered;
    result->rate = 0;
    result->best_rate = 0;
    size_t ranks = bytes / sizeof mine;
    for (size_t r = 0; r < ranks; r++) {
        result->rate += rates[0];
        result->best_rate += rates[1];
        rates += 2;
    }
    pulmo_free(gathered);
    return PULMO_OK;
}

/* All ranks begin together; each runs for the time asked. */
static pulmo_status time_conv(const pulmo_bench_conv_options *o, pulmo_comm *comm,
                              pulmo_trunk *trunk, const float *images, float *features,
                              conv_result *out)
{
    pulmo_trunk_forward(trunk, o->batch, images, features); /* warm-up */
    pulmo_trunk_measure(trunk, 1);
    PULMO_TRY(pulmo_barrier(comm));
    double began_s = pulmo_now_s();
    double best_s = INFINITY;
    do {
        double before_s = pulmo_now_s();
        pulmo_trunk_forward(trunk, o->batch, images, features);
        double taken_s = pulmo_now_s() - before_s;
        best_s = fmin(best_s, taken_s);
        out->images += o->batch;
    } while (pulmo_now_s() - began_s < o->seconds);
    double seconds = pulmo_now_s() - began_s;
    out->rate = (double)out->images / seconds;
    out->best_rate = o->batch / best_s;
    return sum_rates(comm, out);
}

static void report_conv(const pulmo_bench_conv_options *o, int ranks, const pulmo_trunk *trunk,
                        pulmo_isa isa, const conv_result *r)
{
    pulmo_trunk_layer_time times[PULMO_CONVS_MAX];
    const int layers = pulmo_trunk_times(trunk, times, PULMO_CONVS_MAX);
    const double peak = pulmo_trunk_peak(isa, 0.3);
    const double gemm = gemm_rate(times, layers, r->images);
    const double gflops = r->rate * direct_gflop(times, layers);
    const char *tier = pulmo_isa_name(isa);
    fprintf(stderr,
            "%ld images of %d x %d per rank, batch %d, %d rank%s of %d threads, %s: ", r->images,
            o->size_px, o->size_px, o->batch, ranks, pulmo_plural((uint64_t)ranks), o->threads,
            tier);
    fprintf(stderr, "%.2f images/s (best batches %.2f), %.1f effective GFLOP/s\n", r->rate,
            r->best_rate, gflops);
    fprintf(stderr,
            "FMA peak of one thread %.1f GFLOP/s; Winograd GEMM stage %.1f GFLOP/s per thread, "
            "%.0f%% of it\n",
            peak / 1e9, gemm / 1e9, 100 * gemm / peak);
    if (o->layers)
        print_layers(times, layers, r->images, peak);
    if (o->rate) {
        *o->rate = r->rate;
        return;
    }
    const bench_member members[] = {
        BENCH_NUMBER("images_per_second", 3, r->rate),
        BENCH_NUMBER("best_images_per_second", 3, r->best_rate),
        BENCH_NUMBER("effective_gflops", 2, gflops),
        BENCH_NUMBER("peak_gflops", 2, peak / 1e9),
        BENCH_NUMBER("gemm_fraction_of_peak", 4, gemm / peak),
        BENCH_NUMBER("threads", 0, o->threads),
        BENCH_NUMBER("ranks", 0, ranks),
        BENCH_TEXT("isa", tier),
        BENCH_NUMBER("batch", 0, o->batch),
        BENCH_NUMBER("size", 0, o->size_px),
    };
    BENCH_PRINT_JSON(members);
}

static pulmo_status dump_features(const char *path, const float *values, size_t count)
{
    if (!path)
        return PULMO_OK;
    size_t wrote = 0;
    FILE *file = fopen(path, "wb");
    if (file)
        wrote = fwrite(values, sizeof *values, count, file);
    if (file && fclose(file) == 0 && wrote == count)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO, "%s: cannot be written", path);
}

static pulmo_status run_conv(const pulmo_bench_conv_options *o, pulmo_comm *comm,
                             pulmo_trunk *trunk, pulmo_isa isa)
{
    int channels, height, width;
    conv_result result = {0};
    pulmo_trunk_shape(trunk, &channels, &height, &width);
    size_t batch = (size_t)o->batch;
    size_t size_px = (size_t)o->size_px;
    size_t cells = (size_t)height * (size_t)width;
    size_t in = batch * 3 * size_px * size_px;
    size_t out = batch * (size_t)channels * cells;
    float *images = pulmo_alloc(in, sizeof *images);
    float *features = pulmo_alloc(out, sizeof *features);
    pulmo_status status = PULMO_MEMORY;
    if (images && features)
        status = fill_images(o, images, in);
    status = pulmo_agree(comm, status);
    if (status == PULMO_OK)
        status = time_conv(o, comm, trunk, images, features, &result);
    if (status == PULMO_OK && pulmo_comm_rank(comm) == 0) {
        int ranks = pulmo_comm_size(comm);
        report_conv(o, ranks, trunk, isa, &result);
        status = dump_features(o->dump, features, out);
    }
    pulmo_free(images);
    pulmo_free(features);
    return pulmo_agree(comm, status);
}

/* Rank-local: weights and threads. */
static pulmo_status open_conv(const pulmo_bench_conv_options *o, pulmo_isa *isa,
                              pulmo_weights *weights, pulmo_pool **pool)
{
    PULMO_TRY(pulmo_isa_choose(isa));
    if (o->weights)
        PULMO_TRY(pulmo_weights_read(o->weights, weights));
    else
        PULMO_TRY(pulmo_weights_random(1, weights));
    return pulmo_pool_create(o->threads, pool);
}

/* One packed copy per node, as in training. */
pulmo_status pulmo_bench_conv(pulmo_comm *comm, const pulmo_bench_conv_options *options)
{
    pulmo_bench_conv_options resolved = *options;
    pulmo_bench_conv_options *o = &resolved;
    pulmo_weights weights;
    pulmo_trunk_spec spec;
    pulmo_pool *pool = NULL;
    pulmo_trunk *trunk = NULL;
    pulmo_shared *shared = NULL;
    void *packed = NULL;
    int owner = 0;
    memset(&weights, 0, sizeof weights);
    pulmo_trunk_spec_init(&spec);
    spec.height_px = o->size_px;
    spec.width_px = o->size_px;
    spec.batch = o->batch < 16 ? o->batch : 16;
    PULMO_TRY(pulmo_backbone_threads(comm, o->threads, &o->threads));
    pulmo_status status = pulmo_agree(comm, open_conv(o, &spec.isa, &weights, &pool));
    PULMO_GOTO(status);
    PULMO_GOTO(pulmo_same(comm, "the ISA tier (set PULMO_ISA to one that all have)",
                          pulmo_isa_name(spec.isa)));
    PULMO_GOTO(pulmo_shared_create(comm, pulmo_trunk_packed_bytes(&spec, &weights), &packed, &owner,
                                   &shared));
    if (owner)
        pulmo_trunk_pack(&spec, &weights, pool, packed);
    PULMO_GOTO(pulmo_shared_publish(comm, shared));
    PULMO_GOTO(pulmo_agree(comm, pulmo_trunk_create(&spec, &weights, packed, pool, &trunk)));
    status = run_conv(o, comm, trunk, spec.isa);
out:
    pulmo_trunk_destroy(trunk);
    pulmo_shared_destroy(shared);
    pulmo_pool_destroy(pool);
    pulmo_weights_free(&weights);
    return status;
}
