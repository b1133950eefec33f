/* `pulmo bench`: throughput of the parts. The last line of stdout is one JSON object. */
#include <string.h>

#include "cli.h"
#include "pulmo/backbone.h"
#include "pulmo/bench.h"

#define BATCH_DEFAULT 16

/* ---- one benchmark each ---- */

static int batch_of(const arguments *a)
{
    return a->batch > 0 ? a->batch : BATCH_DEFAULT;
}

static pulmo_status bench_conv(arguments *a)
{
    const char *weights = a->config.model.weights;
    const pulmo_bench_conv_options options = {.weights = *weights ? weights : NULL,
                                              .input = a->input,
                                              .dump = a->dump,
                                              .threads = a->threads,
                                              .batch = batch_of(a),
                                              .size_px = a->size_px,
                                              .layers = a->layers,
                                              .seconds = a->seconds};
    return pulmo_bench_conv(a->comm, &options);
}

static pulmo_status bench_pack(arguments *a)
{
    const pulmo_bench_pack_options options = {.source = a->source,
                                              .decode = a->decode,
                                              .threads = a->threads,
                                              .size_px = a->size_px,
                                              .seconds = a->seconds};
    return pulmo_bench_pack(a->comm, &options);
}

static pulmo_status bench_train(arguments *a)
{
    if (a->batch > 0)
        a->config.train.batch = a->batch;
    const pulmo_bench_train_options options = {
        .config = &a->config, .threads = a->threads, .size_px = a->size_px, .seconds = a->seconds};
    return pulmo_bench_train(a->comm, &options);
}

static pulmo_status bench_step(arguments *a)
{
    const pulmo_bench_step_options options = {.weights = a->config.model.weights,
                                              .size_px = a->size_px,
                                              .batch = batch_of(a),
                                              .threads = a->threads,
                                              .seconds = a->seconds};
    return pulmo_bench_step(a->comm, &options);
}

static pulmo_status bench_allreduce(arguments *a)
{
    return pulmo_bench_allreduce(a->comm, (size_t)a->elements);
}

static pulmo_status bench_report(arguments *a)
{
    const pulmo_bench_report_options options = {.weights = a->config.model.weights,
                                                .against = a->against,
                                                .threads = a->threads,
                                                .size_px = a->size_px,
                                                .seconds = a->seconds};
    return pulmo_bench_report(a->comm, &options);
}

/* ---- the command ---- */

typedef struct benchmark {
    const char *name;
    pulmo_status (*run)(arguments *a);
} benchmark;

static const benchmark benchmarks[] = {{"conv", bench_conv},           {"pack", bench_pack},
                                       {"train", bench_train},         {"step", bench_step},
                                       {"allreduce", bench_allreduce}, {"report", bench_report}};

pulmo_status load_bench(arguments *a)
{
    const char *what = a->operands[0];
    bool has_settings = a->settings.path || a->settings.count > 0;
    if (has_settings && strcmp(what, "train") != 0)
        return pulmo_fail(PULMO_USAGE,
                          "bench %s takes no configuration: leave out --config and --set; bench "
                          "train measures with settings",
                          what);
    return load_settings_as(a, "bench train");
}

/* Options that only other benchmarks take. */
static void warn_of_options(const arguments *a)
{
    const char *what = a->operands[0];
    for (const command_option *o = a->command->options; o->name; o++) {
        if (option_given(a, o) && !choice_among(o->only, what))
            pulmo_warn("--%s means nothing to bench %s", o->name, what);
    }
}

pulmo_status run_bench(arguments *a)
{
    warn_of_options(a);
    const benchmark *b = benchmarks;
    while (strcmp(b->name, a->operands[0]) != 0) /* the parser has taken no other name */
        b++;
    return b->run(a);
}
