/* `pulmo bench report`: this machine in figures, to compare machines by, and versions on one. */
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_room.h"
#include "pulmo/backbone.h"
#include "pulmo/bench.h"
#include "pulmo/clock.h"
#include "pulmo/file.h"
#include "pulmo/h5.h"
#include "pulmo/isa.h"
#include "pulmo/memory.h"
#include "pulmo/pool.h"
#include "pulmo/text.h"
#include "pulmo/trunk.h"

#define MEGABYTE          ((size_t)1 << 20)
#define ARRAY_BYTES       (128 * MEGABYTE) /* one of three that bandwidth is measured on */
#define PEAK_PART         0.1              /* of the seconds asked, for each tier */
#define IMAGES_PER_SECOND 24               /* of those asked */
#define IMAGES_MOST       240
#define STARTS            5
#define BEFORE_MAX        ((size_t)1 << 20) /* bytes of an earlier report */
#define BENCHMARK_BATCH   16

/* ---- what is measured ---- */

/* X(name in JSON, words, unit, decimals) */
#define FIGURES(X)                                                                                 \
    X(peak_ref, "FMA peak of one thread, portable", "GFLOP/s", 1)                                  \
    X(peak_neon, "FMA peak of one thread, NEON", "GFLOP/s", 1)                                     \
    X(peak_avx2, "FMA peak of one thread, AVX2", "GFLOP/s", 1)                                     \
    X(peak_avx512, "FMA peak of one thread, AVX-512", "GFLOP/s", 1)                                \
    X(memory, "memory bandwidth", "GB/s", 2)                                                       \
    X(conv_1, "convolutions, one thread", "images/s", 3)                                           \
    X(conv, "convolutions", "images/s", 3)                                                         \
    X(step_head, "training step, head alone", "images/s", 3)                                       \
    X(step_block4, "training step, blocks 4 and 5 too", "images/s", 3)                             \
    X(pack, "packing", "images/s", 2)                                                              \
    X(bank, "feature bank", "images/s", 3)                                                         \
    X(start_process, "start of the program", "ms", 2)                                              \
    X(start_network, "start of the network", "ms", 1)

enum {
#define X(name, words, unit, decimals) FIGURE_##name,
    FIGURES(X)
#undef X
        FIGURE_COUNT
};

typedef struct figure {
    const char *name, *words, *unit;
    int decimals;
} figure;

static const figure figures[FIGURE_COUNT] = {
#define X(name, words, unit, decimals) {#name, words, unit, decimals},
    FIGURES(X)
#undef X
};

typedef struct report {
    pulmo_comm *comm;
    const pulmo_bench_report_options *options;
    const char *tier;
    char weights[16]; /* "drawn", or "given" */
    int threads;
    double now[FIGURE_COUNT];    /* 0: this machine has no such figure */
    double before[FIGURE_COUNT]; /* 0: unknown */
} report;

/* ---- peak and bandwidth ---- */

static void measure_peaks(report *r)
{
    static const int of_tier[PULMO_ISA_COUNT] = {
        [PULMO_ISA_REF] = FIGURE_peak_ref,
        [PULMO_ISA_NEON] = FIGURE_peak_neon,
        [PULMO_ISA_AVX2] = FIGURE_peak_avx2,
        [PULMO_ISA_AVX512] = FIGURE_peak_avx512,
    };
    const double seconds = r->options->seconds * PEAK_PART;
    for (int tier = 0; tier < PULMO_ISA_COUNT; tier++) {
        const int which = of_tier[tier];
        if (pulmo_isa_available((pulmo_isa)tier))
            r->now[which] = pulmo_trunk_peak((pulmo_isa)tier, seconds) / 1e9;
    }
}

/* McCalpin's triad, a = b + scalar * c: two streams are read, one is written. */
typedef struct triad {
    float *a, *b, *c;
    size_t each; /* floats of a thread */
} triad;

static void triad_task(void *context, int task, int thread)
{
    const triad *t = context;
    const size_t first = (size_t)task * t->each;
    float *restrict a = t->a + first;
    const float *restrict b = t->b + first;
    const float *restrict c = t->c + first;
    (void)thread;
    for (size_t i = 0; i < t->each; i++)
        a[i] = b[i] + 0.5f * c[i];
}

/* Each thread touches its own part first, so that its memory is the nearest. */
static void touch_task(void *context, int task, int thread)
{
    const triad *t = context;
    const size_t first = (size_t)task * t->each;
    (void)thread;
    for (size_t i = 0; i < t->each; i++) {
        t->a[first + i] = 0;
        t->b[first + i] = 1;
        t->c[first + i] = 2;
    }
}

static double best_triad(pulmo_pool *pool, triad *t, double seconds)
{
    const int threads = pulmo_pool_threads(pool);
    const double bytes = 3.0 * sizeof(float) * (double)t->each * threads;
    const double until_s = pulmo_now_s() + seconds;
    double best = 0;
    pulmo_pool_run(pool, threads, touch_task, t);
    do {
        const double began_s = pulmo_now_s();
        pulmo_pool_run(pool, threads, triad_task, t);
        best = fmax(best, bytes / (pulmo_now_s() - began_s));
    } while (pulmo_now_s() < until_s);
    return best;
}

static pulmo_status measure_memory(report *r)
{
    const size_t floats = ARRAY_BYTES / sizeof(float);
    pulmo_pool *pool = NULL;
    triad t = {.each = floats / (size_t)r->threads};
    pulmo_status status = PULMO_MEMORY;
    t.a = pulmo_alloc(floats, sizeof(float));
    t.b = pulmo_alloc(floats, sizeof(float));
    t.c = pulmo_alloc(floats, sizeof(float));
    if (t.a && t.b && t.c)
        status = pulmo_pool_create(r->threads, &pool);
    if (status == PULMO_OK)
        r->now[FIGURE_memory] = best_triad(pool, &t, r->options->seconds / 5) / 1e9;
    pulmo_pool_destroy(pool);
    pulmo_free(t.a);
    pulmo_free(t.b);
    pulmo_free(t.c);
    return status;
}

/* ---- the other benchmarks ---- */

static const char *given_weights(const report *r)
{
    const char *path = r->options->weights;
    return path && *path ? path : NULL;
}

static pulmo_status measure_conv(report *r, int threads, int which)
{
    const pulmo_bench_conv_options options = {.weights = given_weights(r),
                                              .threads = threads,
                                              .batch = BENCHMARK_BATCH,
                                              .size_px = r->options->size_px,
                                              .seconds = r->options->seconds,
                                              .rate = &r->now[which]};
    return pulmo_bench_conv(r->comm, &options);
}

static pulmo_status measure_step(report *r, int trainable, int which)
{
    const pulmo_bench_step_options options = {.weights = given_weights(r),
                                              .drawn = !given_weights(r),
                                              .alone = true,
                                              .trainable = trainable,
                                              .size_px = r->options->size_px,
                                              .batch = BENCHMARK_BATCH,
                                              .threads = r->threads,
                                              .seconds = r->options->seconds,
                                              .rate = &r->now[which]};
    return pulmo_bench_step(r->comm, &options);
}

static pulmo_status measure_pack(report *r, const char *source)
{
    const pulmo_bench_pack_options options = {.source = source,
                                              .decode = "exact",
                                              .threads = r->threads,
                                              .size_px = r->options->size_px,
                                              .seconds = r->options->seconds,
                                              .rate = &r->now[FIGURE_pack]};
    return pulmo_bench_pack(r->comm, &options);
}

static pulmo_status measure_bank(report *r, const char *scratch)
{
    const pulmo_weights_choice choice = {.path = given_weights(r), .drawn = !given_weights(r)};
    pulmo_backbone backbone;
    const double began_s = pulmo_now_s();
    PULMO_TRY(pulmo_backbone_open(r->comm, &choice, r->options->size_px, r->threads, &backbone));
    if (given_weights(r)) /* else it is the time of drawing them */
        r->now[FIGURE_start_network] = 1e3 * (pulmo_now_s() - began_s);
    pulmo_status status =
        bench_bank(r->comm, &backbone, r->options->size_px, scratch, &r->now[FIGURE_bank]);
    pulmo_backbone_close(&backbone);
    return status;
}

/* Images are drawn once: that takes longer than all that is done with them. */
static pulmo_status measure_data(report *r)
{
    char scratch[PULMO_TEXT_BYTES] = "";
    const int images = (int)fmin(IMAGES_PER_SECOND * r->options->seconds, IMAGES_MOST);
    PULMO_TRY(bench_scratch_make(images, scratch, sizeof scratch));
    char *source = pulmo_format("%s/demo", scratch);
    pulmo_status status = source ? measure_pack(r, source) : PULMO_MEMORY;
    if (status == PULMO_OK)
        status = measure_bank(r, scratch);
    free(source);
    bench_scratch_remove(scratch);
    return status;
}

/* ---- the start of the program ---- */

/* `pulmo --version`, from the call to the end of the process; NaN where it cannot be started. */
static double start_once(void)
{
    extern char **environ;
    char *const arguments[] = {"pulmo", "--version", NULL};
    posix_spawn_file_actions_t actions;
    pid_t child = 0;
    int ended = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    const double began_s = pulmo_now_s();
    bool well = posix_spawn(&child, "/proc/self/exe", &actions, NULL, arguments, environ) == 0;
    well = well && waitpid(child, &ended, 0) == child && ended == 0;
    const double seconds = pulmo_now_s() - began_s;
    posix_spawn_file_actions_destroy(&actions);
    return well ? seconds : NAN;
}

static pulmo_status measure_start(report *r)
{
    double best_s = INFINITY;
    for (int i = 0; i < STARTS; i++)
        best_s = fmin(best_s, start_once());
    if (!isfinite(best_s))
        return pulmo_fail(PULMO_RUNTIME, "/proc/self/exe: the program cannot start itself");
    r->now[FIGURE_start_process] = 1e3 * best_s;
    return PULMO_OK;
}

/* ---- an earlier report ---- */

/* Members of this name that are numbers; the last one in the text counts. */
static double number_of(const char *text, const char *name)
{
    char mark[64];
    double value = 0;
    snprintf(mark, sizeof mark, "\"%s\": ", name);
    for (const char *at = strstr(text, mark); at; at = strstr(at, mark)) {
        at += strlen(mark);
        value = strtod(at, NULL);
    }
    return value;
}

static pulmo_status read_before(report *r)
{
    const char *path = r->options->against;
    uint8_t *data = NULL;
    size_t bytes = 0;
    int known = 0;
    if (!path)
        return PULMO_OK;
    PULMO_TRY(pulmo_file_read(path, BEFORE_MAX, &data, &bytes));
    char *text = malloc(bytes + 1);
    if (text) {
        memcpy(text, data, bytes);
        text[bytes] = '\0';
        for (int i = 0; i < FIGURE_COUNT; i++) {
            r->before[i] = number_of(text, figures[i].name);
            known += r->before[i] > 0;
        }
    }
    free(data);
    free(text);
    if (!text)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", path);
    if (known > 0)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_DATA, "%s: holds no figures; must be what \"pulmo bench report > FILE\" wrote", path);
}

/* ---- the table ---- */

/* Bytes; 0 where the system does not tell. */
static double cache_kb(int name)
{
    const long bytes = sysconf(name);
    return bytes > 0 ? (double)bytes / 1024 : 0;
}

static double l1_kb(void)
{
    return cache_kb(_SC_LEVEL1_DCACHE_SIZE);
}
static double l2_kb(void)
{
    return cache_kb(_SC_LEVEL2_CACHE_SIZE);
}
static double l3_kb(void)
{
    return cache_kb(_SC_LEVEL3_CACHE_SIZE);
}

static void print_machine(const report *r)
{
    char h5[64];
    pulmo_h5_library(h5, sizeof h5);
    printf("%s, %s tier, %d thread%s\n", pulmo_cpu_model(), r->tier, r->threads,
           pulmo_plural((uint64_t)r->threads));
    printf("caches: %.0f kB L1, %.0f kB L2, %.0f kB L3\n", l1_kb(), l2_kb(), l3_kb());
    printf("pulmo %s (arithmetic %d), %s; weights %s, images of %d x %d\n\n", PULMO_VERSION,
           PULMO_ARITHMETIC, h5, r->weights, r->options->size_px, r->options->size_px);
}

static void print_row(const report *r, int which)
{
    const figure *f = &figures[which];
    const double now = r->now[which];
    const double before = r->before[which];
    printf("%-36s %11.*f  %-8s", f->words, f->decimals, now, f->unit);
    if (r->options->against && before > 0)
        printf(" %11.*f  %6.3f", f->decimals, before, now / before);
    putchar('\n');
}

static void print_table(const report *r)
{
    print_machine(r);
    if (r->options->against)
        printf("%-36s %11s  %-8s %11s  %6s\n", "", "now", "", "before", "ratio");
    for (int i = 0; i < FIGURE_COUNT; i++) {
        if (r->now[i] > 0)
            print_row(r, i);
    }
    putchar('\n');
}

static void print_json(const report *r)
{
    bench_member members[FIGURE_COUNT + 10] = {
        BENCH_TEXT("report", "pulmo"),
        BENCH_TEXT("version", PULMO_VERSION),
        BENCH_TEXT("cpu", pulmo_cpu_model()),
        BENCH_TEXT("isa", r->tier),
        BENCH_TEXT("weights", r->weights),
        BENCH_NUMBER("threads", 0, r->threads),
        BENCH_NUMBER("size", 0, r->options->size_px),
        BENCH_NUMBER("l1_kb", 0, l1_kb()),
        BENCH_NUMBER("l2_kb", 0, l2_kb()),
        BENCH_NUMBER("l3_kb", 0, l3_kb()),
    };
    size_t count = 10;
    for (int i = 0; i < FIGURE_COUNT; i++) {
        const figure *f = &figures[i];
        if (r->now[i] > 0)
            members[count++] = (bench_member)BENCH_NUMBER(f->name, f->decimals, r->now[i]);
    }
    bench_print_json(members, count);
}

/* ---- the report ---- */

static pulmo_status measure_all(report *r)
{
    PULMO_TRY(measure_start(r));
    measure_peaks(r);
    PULMO_TRY(measure_memory(r));
    PULMO_TRY(measure_conv(r, 1, FIGURE_conv_1));
    PULMO_TRY(measure_conv(r, r->threads, FIGURE_conv));
    PULMO_TRY(measure_step(r, PULMO_TRAINABLE_HEAD, FIGURE_step_head));
    PULMO_TRY(measure_step(r, PULMO_TRAINABLE_BLOCK4, FIGURE_step_block4));
    return measure_data(r);
}

pulmo_status pulmo_bench_report(pulmo_comm *comm, const pulmo_bench_report_options *options)
{
    report r = {.comm = comm, .options = options, .threads = options->threads};
    pulmo_isa isa;
    if (pulmo_comm_size(comm) > 1)
        return pulmo_fail(PULMO_USAGE, "bench report: measures one process with all of its "
                                       "threads; start it without mpirun");
    if (r.threads == 0)
        r.threads = pulmo_cpu_count();
    snprintf(r.weights, sizeof r.weights, "%s", given_weights(&r) ? "given" : "drawn");
    PULMO_TRY(pulmo_isa_choose(&isa));
    r.tier = pulmo_isa_name(isa);
    PULMO_TRY(read_before(&r));
    PULMO_TRY(measure_all(&r));
    print_table(&r);
    print_json(&r);
    return PULMO_OK;
}
