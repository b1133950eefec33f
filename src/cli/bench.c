/* `pulmo bench`: throughput of the parts. The last line of stdout is one JSON object. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "cli.h"
#include "pulmo/clock.h"
#include "pulmo/exact.h"
#include "pulmo/head.h"
#include "pulmo/memory.h"
#include "pulmo/model.h"
#include "pulmo/rng.h"
#include "pulmo/bench.h"
#include "pulmo/train.h"
#include "pulmo/trunk.h"

enum {
    KEY_THREADS = 1000,
    KEY_BATCH,
    KEY_SIZE,
    KEY_SECONDS,
    KEY_LAYERS,
    KEY_WEIGHTS,
    KEY_ELEMENTS,
    KEY_INPUT,
    KEY_DUMP,
    KEY_SOURCE,
    KEY_DECODE,
    KEY_DATA,
    KEYS_END
};

/* The benchmarks to which an option means something. */
static const struct {
    const char *name, *in;
} option_of[KEYS_END - KEY_THREADS] = {
    [KEY_THREADS - KEY_THREADS] = {"threads", "conv pack train step"},
    [KEY_BATCH - KEY_THREADS] = {"batch", "conv train step"},
    [KEY_SIZE - KEY_THREADS] = {"size", "conv pack train step"},
    [KEY_SECONDS - KEY_THREADS] = {"seconds", "conv pack train step"},
    [KEY_LAYERS - KEY_THREADS] = {"layers", "conv"},
    [KEY_WEIGHTS - KEY_THREADS] = {"weights", "conv train step"},
    [KEY_ELEMENTS - KEY_THREADS] = {"elements", "allreduce"},
    [KEY_INPUT - KEY_THREADS] = {"input", "conv"},
    [KEY_DUMP - KEY_THREADS] = {"dump", "conv"},
    [KEY_SOURCE - KEY_THREADS] = {"source", "pack"},
    [KEY_DECODE - KEY_THREADS] = {"decode", "pack"},
    [KEY_DATA - KEY_THREADS] = {"data", "train"},
};

typedef struct bench_arguments {
    common_options common;
    const char *what, *weights, *input, *dump, *source, *decode, *data;
    int threads, batch, size, layers;
    long elements;
    double seconds;
    bool given[KEYS_END - KEY_THREADS];
} bench_arguments;

static error_t parse(int key, char *argument, struct argp_state *state)
{
    bench_arguments *a = state->input;
    if (key >= KEY_THREADS && key < KEYS_END)
        a->given[key - KEY_THREADS] = true;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_THREADS:
        a->threads = (int)parse_long(state, "--threads", argument, 1, 4096);
        return 0;
    case KEY_BATCH:
        a->batch = (int)parse_long(state, "--batch", argument, 1, 4096);
        return 0;
    case KEY_SIZE:
        a->size = (int)parse_long(state, "--size", argument, 32, 4096);
        return 0;
    case KEY_SECONDS:
        a->seconds = (double)parse_long(state, "--seconds", argument, 1, 3600);
        return 0;
    case KEY_ELEMENTS:
        a->elements = parse_long(state, "--elements", argument, 1, 1L << 40);
        return 0;
    case KEY_LAYERS:
        a->layers = 1;
        return 0;
    case KEY_WEIGHTS:
        a->weights = argument;
        return 0;
    case KEY_INPUT:
        a->input = argument;
        return 0;
    case KEY_SOURCE:
        a->source = argument;
        return 0;
    case KEY_DECODE:
        if (strcmp(argument, "exact") != 0 && strcmp(argument, "fast") != 0)
            argp_error(state, "--decode: \"%s\" must be exact or fast", argument);
        a->decode = argument;
        return 0;
    case KEY_DATA:
        a->data = argument;
        return 0;
    case KEY_DUMP:
        a->dump = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (a->what)
            argp_error(state, "one benchmark at a time");
        a->what = argument;
        return 0;
    case ARGP_KEY_END:
        if (!a->what || (strcmp(a->what, "conv") != 0 && strcmp(a->what, "pack") != 0 &&
                         strcmp(a->what, "train") != 0 && strcmp(a->what, "step") != 0 &&
                         strcmp(a->what, "allreduce") != 0))
            argp_error(state, "which benchmark: conv, pack, train, step or allreduce");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- conv ---- */

/* GEMM's rate a thread over all Winograd layers, FLOP/s; the first, direct layer is left out. */
static double gemm_rate(const pulmo_trunk_layer_time *times, int layers, long images)
{
    double flop = 0, seconds = 0;
    for (int i = 1; i < layers; i++) {
        flop += times[i].gemm_flop * (double)images;
        seconds += times[i].gemm_thread_s;
    }
    return seconds > 0 ? flop / seconds : 0;
}

static void print_layers(const pulmo_trunk_layer_time *times, int layers, long images, double peak)
{
    fprintf(stderr, "%-10s %-12s %9s %15s %13s %9s %11s\n", "layer", "method", "ms/image",
            "direct GFLOP/s", "GEMM GFLOP/s", "of peak", "GEMM's part");
    for (int i = 0; i < layers; i++) {
        const pulmo_trunk_layer_time *t = &times[i];
        double s = t->seconds / (double)images,
               gemm = t->gemm_flop * (double)images / t->gemm_thread_s;
        fprintf(stderr, "%-10s %-12s %9.3f %15.1f %13.1f %8.0f%% %10.0f%%\n", t->name, t->method,
                1e3 * s, t->direct_flop / s / 1e9, gemm / 1e9, 100 * gemm / peak,
                100 * t->gemm_thread_s / t->total_thread_s);
    }
}

static double direct_gflop(const pulmo_trunk_layer_time *times, int layers)
{
    double flop = 0;
    for (int i = 0; i < layers; i++)
        flop += times[i].direct_flop;
    return flop / 1e9;
}

/* Images from --input (raw float32, (batch, 3, size, size), normalised), else random ones. */
static pulmo_status fill_images(const bench_arguments *a, float *images, size_t floats)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 0, 0);
    for (size_t i = 0; i < floats; i++)
        images[i] = pulmo_rng_uniform(&rng) * 4 - 2;
    if (!a->input)
        return PULMO_OK;
    FILE *file = fopen(a->input, "rb");
    size_t got = file ? fread(images, sizeof *images, floats, file) : 0;
    if (file)
        fclose(file);
    if (got == floats)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: must hold %zu float32 values, %d x 3 x %d x %d", a->input,
                      floats, a->batch, a->size, a->size);
}

typedef struct conv_result {
    long images;
    double rate, best_rate;
} conv_result;

/* All ranks begin together; each goes on for the time asked. */
static pulmo_status time_conv(const bench_arguments *a, pulmo_comm *comm, pulmo_trunk *trunk,
                              const float *images, float *features, conv_result *out)
{
    pulmo_trunk_forward(trunk, a->batch, images, features); /* warm-up */
    pulmo_trunk_measure(trunk, 1);
    PULMO_TRY(pulmo_barrier(comm));
    double began_s = pulmo_now_s(), best_s = INFINITY;
    do {
        double before_s = pulmo_now_s();
        pulmo_trunk_forward(trunk, a->batch, images, features);
        best_s = fmin(best_s, pulmo_now_s() - before_s);
        out->images += a->batch;
    } while (pulmo_now_s() - began_s < a->seconds);
    double mine[2] = {(double)out->images / (pulmo_now_s() - began_s), a->batch / best_s};
    void *all = NULL;
    size_t bytes = 0;
    PULMO_TRY(pulmo_gather_all(comm, mine, sizeof mine, &all, &bytes, NULL));
    for (size_t r = 0; r < bytes / sizeof mine; r++) {
        out->rate += ((double *)all)[2 * r];
        out->best_rate += ((double *)all)[2 * r + 1];
    }
    pulmo_free(all);
    return PULMO_OK;
}

static void report_conv(const bench_arguments *a, int ranks, const pulmo_trunk *trunk,
                        pulmo_isa isa, const conv_result *r)
{
    pulmo_trunk_layer_time times[PULMO_CONVS_MAX];
    int layers = pulmo_trunk_times(trunk, times, PULMO_CONVS_MAX);
    double peak = pulmo_trunk_peak(isa, 0.3), gflop = direct_gflop(times, layers),
           gemm = gemm_rate(times, layers, r->images);
    fprintf(stderr,
            "%ld images of %d x %d a rank, batch %d, %d rank%s of %d threads, %s: %.2f images/s "
            "(best batches %.2f), %.1f effective GFLOP/s\n",
            r->images, a->size, a->size, a->batch, ranks, ranks == 1 ? "" : "s", a->threads,
            pulmo_isa_name(isa), r->rate, r->best_rate, r->rate * gflop);
    fprintf(stderr,
            "FMA peak of one thread %.1f GFLOP/s; Winograd GEMM stage %.1f GFLOP/s a thread, "
            "%.0f%% of it\n",
            peak / 1e9, gemm / 1e9, 100 * gemm / peak);
    if (a->layers)
        print_layers(times, layers, r->images, peak);
    printf("{\"images_per_second\": %.3f, \"best_images_per_second\": %.3f, \"effective_gflops\": "
           "%.2f, \"peak_gflops\": %.2f, "
           "\"gemm_fraction_of_peak\": %.4f, \"threads\": %d, \"ranks\": %d, \"isa\": \"%s\", "
           "\"batch\": %d, \"size\": %d}\n",
           r->rate, r->best_rate, r->rate * gflop, peak / 1e9, gemm / peak, a->threads, ranks,
           pulmo_isa_name(isa), a->batch, a->size);
}

static pulmo_status dump(const char *path, const float *values, size_t count)
{
    FILE *file = path ? fopen(path, "wb") : NULL;
    if (!path)
        return PULMO_OK;
    size_t wrote = file ? fwrite(values, sizeof *values, count, file) : 0;
    if (file && fclose(file) == 0 && wrote == count)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO, "%s: cannot be written", path);
}

static pulmo_status run_conv(const bench_arguments *a, pulmo_comm *comm, pulmo_trunk *trunk,
                             pulmo_isa isa)
{
    int channels, height, width;
    conv_result result = {0};
    pulmo_trunk_shape(trunk, &channels, &height, &width);
    size_t in = (size_t)a->batch * 3 * (size_t)a->size * (size_t)a->size;
    size_t out = (size_t)a->batch * (size_t)channels * (size_t)height * (size_t)width;
    float *images = pulmo_alloc(in, sizeof *images), *features = pulmo_alloc(out, sizeof *features);
    pulmo_status status =
        pulmo_agree(comm, images && features ? fill_images(a, images, in) : PULMO_MEMORY);
    if (status == PULMO_OK)
        status = time_conv(a, comm, trunk, images, features, &result);
    if (status == PULMO_OK && pulmo_comm_rank(comm) == 0) {
        report_conv(a, pulmo_comm_size(comm), trunk, isa, &result);
        status = dump(a->dump, features, out);
    }
    pulmo_free(images);
    pulmo_free(features);
    return pulmo_agree(comm, status);
}

/* Rank-local: weights and threads. */
static pulmo_status open_conv(const bench_arguments *a, pulmo_isa *isa, pulmo_weights *weights,
                              pulmo_pool **pool)
{
    PULMO_TRY(pulmo_isa_choose(isa));
    PULMO_TRY(a->weights ? pulmo_weights_read(a->weights, weights)
                         : pulmo_weights_random(1, weights));
    return pulmo_pool_create(a->threads, pool);
}

/* One packed copy a node, as in training. */
static pulmo_status bench_conv(bench_arguments *a, pulmo_comm *comm)
{
    pulmo_weights weights;
    pulmo_trunk_spec spec;
    pulmo_pool *pool = NULL;
    pulmo_trunk *trunk = NULL;
    pulmo_shared *shared = NULL;
    void *packed = NULL;
    int owner = 0;
    memset(&weights, 0, sizeof weights);
    pulmo_trunk_spec_init(&spec);
    spec.height_px = spec.width_px = a->size;
    spec.batch = a->batch < 16 ? a->batch : 16;
    PULMO_TRY(pulmo_backbone_threads(comm, a->threads, &a->threads));
    pulmo_status status = pulmo_agree(comm, open_conv(a, &spec.isa, &weights, &pool));
    PULMO_GOTO(status);
    PULMO_GOTO(pulmo_same(comm, "the ISA tier (set PULMO_ISA to one that all have)",
                          pulmo_isa_name(spec.isa)));
    PULMO_GOTO(pulmo_shared_create(comm, pulmo_trunk_packed_bytes(&spec, &weights), &packed, &owner,
                                   &shared));
    PULMO_GOTO(
        pulmo_agree(comm, owner ? pulmo_trunk_pack(&spec, &weights, pool, packed) : PULMO_OK));
    PULMO_GOTO(pulmo_shared_publish(comm, shared));
    PULMO_GOTO(pulmo_agree(comm, pulmo_trunk_create(&spec, &weights, packed, pool, &trunk)));
    status = run_conv(a, comm, trunk, spec.isa);
out:
    pulmo_trunk_destroy(trunk);
    pulmo_shared_destroy(shared);
    pulmo_pool_destroy(pool);
    pulmo_weights_free(&weights);
    return status;
}

/* ---- allreduce ---- */

static pulmo_status time_sums(pulmo_comm *comm, const bench_arguments *a, int64_t *integers,
                              float *reals, double seconds[2])
{
    size_t count = (size_t)a->elements;
    seconds[0] = seconds[1] = INFINITY;
    for (int i = 0; i < 10; i++) {
        pulmo_exact_sum *sum = NULL;
        double times[2];
        PULMO_TRY(pulmo_barrier(comm));
        double began_s = pulmo_now_s();
        PULMO_TRY(pulmo_exact_start(comm, integers, count, &sum));
        PULMO_TRY(pulmo_exact_wait(sum));
        times[0] = pulmo_now_s() - began_s;
        PULMO_TRY(pulmo_barrier(comm));
        began_s = pulmo_now_s();
        PULMO_TRY(pulmo_sum_f32(comm, reals, count));
        times[1] = pulmo_now_s() - began_s;
        PULMO_TRY(pulmo_max_f64(comm, times, 2));
        for (int k = 0; k < 2; k++)
            seconds[k] = fmin(seconds[k], times[k]);
    }
    return PULMO_OK;
}

static pulmo_status bench_allreduce(const bench_arguments *a, pulmo_comm *comm)
{
    double seconds[2];
    pulmo_isa isa;
    PULMO_TRY(pulmo_agree(comm, pulmo_isa_choose(&isa)));
    int64_t *integers = pulmo_alloc((size_t)a->elements, sizeof *integers);
    float *reals = pulmo_alloc((size_t)a->elements, sizeof *reals);
    pulmo_status status = pulmo_agree(comm, integers && reals ? PULMO_OK : PULMO_MEMORY);
    if (status == PULMO_OK)
        status = time_sums(comm, a, integers, reals, seconds);
    pulmo_free(integers);
    pulmo_free(reals);
    PULMO_TRY(status);
    if (pulmo_comm_rank(comm) != 0)
        return PULMO_OK;
    fprintf(stderr, "%ld elements over %d ranks: exact integers %.2f ms, plain floats %.2f ms\n",
            a->elements, pulmo_comm_size(comm), 1e3 * seconds[0], 1e3 * seconds[1]);
    printf("{\"bytes\": %ld, \"seconds\": %.6f, \"float_seconds\": %.6f, \"elements\": %ld, "
           "\"threads\": 1, \"ranks\": %d, \"isa\": \"%s\"}\n",
           a->elements * (long)sizeof(int64_t), seconds[0], seconds[1], a->elements,
           pulmo_comm_size(comm), pulmo_isa_name(isa));
    return PULMO_OK;
}

/* ---- step ---- */

static pulmo_status bench_step(const bench_arguments *a, pulmo_comm *comm)
{
    const pulmo_bench_step_options options = {.weights = a->weights ? a->weights : "",
                                              .size_px = a->size,
                                              .batch = a->batch,
                                              .threads = a->threads,
                                              .seconds = a->seconds};
    pulmo_bench_step_result r;
    pulmo_isa isa;
    PULMO_TRY(pulmo_agree(comm, pulmo_isa_choose(&isa)));
    PULMO_TRY(pulmo_bench_step(comm, &options, &r));
    if (pulmo_comm_rank(comm) != 0)
        return PULMO_OK;
    fprintf(
        stderr,
        "%d ranks of %d threads, batch %d, %d rounds: %.2f images/s as training sends gradients, "
        "%.2f as integer sums; ratio %.3f\n",
        pulmo_comm_size(comm), r.threads, a->batch, r.rounds, r.images_per_second,
        r.sums_images_per_second, r.over_sums);
    printf("{\"images_per_second\": %.3f, \"integer_sums_images_per_second\": %.3f, "
           "\"over_integer_sums\": %.4f, "
           "\"travel_s\": %.5f, \"update_s\": %.5f, \"integer_sums_travel_s\": %.5f, "
           "\"integer_sums_update_s\": %.5f, \"rounds\": %d, "
           "\"batch\": %d, \"threads\": %d, \"ranks\": %d, "
           "\"isa\": \"%s\"}\n",
           r.images_per_second, r.sums_images_per_second, r.over_sums, r.travel_s[0], r.update_s[0],
           r.travel_s[1], r.update_s[1], r.rounds, a->batch, r.threads, pulmo_comm_size(comm),
           pulmo_isa_name(isa));
    return PULMO_OK;
}

/* ---- train ---- */

static pulmo_status time_training(const bench_arguments *a, pulmo_comm *comm)
{
    pulmo_config config;
    PULMO_TRY(load_some(&a->common, "bench train", KEYS_OF_TRAINING, &config));
    if (a->data)
        snprintf(config.data.path, sizeof config.data.path, "%s", a->data);
    if (a->weights)
        snprintf(config.model.weights, sizeof config.model.weights, "%s", a->weights);
    if (a->given[KEY_BATCH - KEY_THREADS])
        config.train.batch = a->batch;
    const bench_train_options options = {
        .config = &config, .threads = a->threads, .size = a->size, .seconds = a->seconds};
    return bench_train(comm, &options);
}

pulmo_status command_bench(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"threads", KEY_THREADS, "N", 0,
         "conv, pack, train, step: threads a rank (default: the CPUs given, over the ranks)", 0},
        {"batch", KEY_BATCH, "N", 0,
         "conv: images a batch (default 16); step, train: over all ranks (default 16; train: as "
         "configured)",
         0},
        {"size", KEY_SIZE, "PX", 0,
         "conv, pack, step: height and width; train: of demo images (default 224)", 0},
        {"seconds", KEY_SECONDS, "N", 0, "conv, pack, train, step: how long (default 5)", 0},
        {"layers", KEY_LAYERS, NULL, 0, "conv: a table of layers", 0},
        {"weights", KEY_WEIGHTS, "FILE", 0,
         "conv: convolutions (default: random ones of the same shape); train, step: default as in "
         "training",
         0},
        {"input", KEY_INPUT, "FILE", 0,
         "conv: a batch of normalised images, raw float32 (batch, 3, size, size)", 0},
        {"dump", KEY_DUMP, "FILE", 0, "conv: write the batch's features, raw float32", 0},
        {"source", KEY_SOURCE, "DIR", 0,
         "pack: class folders of JPEGs (default: demo images, drawn first)", 0},
        {"decode", KEY_DECODE, "exact|fast", 0, "pack: how (default exact)", 0},
        {"data", KEY_DATA, "PACKED", 0,
         "train: packed directory (default: demo images, drawn and packed first); settings by -c "
         "and --set",
         0},
        {"elements", KEY_ELEMENTS, "N", 0,
         "allreduce: parameters summed (default 6423298, the default head's)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {
        options,
        parse,
        "conv|pack|train|step|allreduce",
        "Throughput of the convolutions, of packing, of training, of training steps with exact "
        "sums beside plain ones, and of the gradient "
        "sum, also under mpirun. The last line of stdout is "
        "one JSON object.",
        children,
        NULL,
        NULL};
    bench_arguments a = {.common.level = PULMO_LOG_NORMAL,
                         .batch = 16,
                         .size = 224,
                         .seconds = 5,
                         .elements = 6423298,
                         .decode = "exact"};
    parse_arguments(&argp, argc, argv, &a);
    if (strcmp(a.what, "train") != 0 && (a.common.settings.path || a.common.settings.count > 0))
        return pulmo_fail(PULMO_USAGE,
                          "bench %s takes no configuration: leave out --config and --set; bench "
                          "train measures with settings",
                          a.what);
    PULMO_TRY(start_ranks(&a.common, comm));
    for (int i = 0; i < KEYS_END - KEY_THREADS; i++)
        if (a.given[i] && !strstr(option_of[i].in, a.what))
            pulmo_warn("--%s means nothing to bench %s", option_of[i].name, a.what);
    (void)pulmo_blas_setup();
    if (strcmp(a.what, "conv") == 0)
        return bench_conv(&a, *comm);
    const bench_pack_options pack = {.source = a.source,
                                     .decode = a.decode,
                                     .threads = a.threads,
                                     .size = a.size,
                                     .seconds = a.seconds};
    if (strcmp(a.what, "pack") == 0)
        return bench_pack(*comm, &pack);
    if (strcmp(a.what, "step") == 0)
        return bench_step(&a, *comm);
    if (strcmp(a.what, "train") == 0)
        return time_training(&a, *comm);
    return bench_allreduce(&a, *comm);
}
