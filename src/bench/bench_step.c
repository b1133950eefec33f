/* Training steps whose gradients travel as training sends them beside steps that send integer sums
 * always. Images are drawn once and stay in memory: no reading, no augmentation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_room.h"
#include "pulmo/bench.h"
#include "pulmo/clock.h"
#include "pulmo/isa.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "pulmo/specs.h"
#include "pulmo/step.h"

enum { AUTO, SUMS, EXCHANGES };
enum { CLASSES = 2, TURN_BATCHES = 3, ROUNDS_MOST = 200 };

/* Images per second over all ranks of training steps of the default head: with gradients as
 * training sends them (train.exchange: auto), and as integer sums always; medians of short turns
 * that follow each other. */
typedef struct step_result {
    double images_per_second, sums_images_per_second;
    double over_sums; /* median of the ratios of neighbouring turns */
    /* Of each of the two: seconds from the end of a batch until its gradients have travelled, were
     * nothing done meanwhile, and of the update alone. */
    double travel_s[2], update_s[2];
    int rounds, threads;
} step_result;

typedef struct contender {
    pulmo_config config;
    pulmo_state state;
    pulmo_stepper *stepper;
    double rates[ROUNDS_MOST];
} contender;

typedef struct bench {
    pulmo_comm *comm;
    pulmo_backbone backbone;
    pulmo_head_spec head;
    pulmo_layout layout;
    pulmo_optim_spec optim;
    pulmo_loss_spec loss;
    pulmo_dataset_info data;
    pulmo_batch batch;
    float *images;
    uint32_t *samples;
    int32_t *labels;
    int count; /* of contenders that take part */
    contender contenders[EXCHANGES];
} bench;

/* The default head, fed by the backbone's features, as `exchange` has it. */
static pulmo_status configure(bench *b, contender *c, int exchange,
                              const pulmo_bench_step_options *options)
{
    pulmo_config *config = &c->config;
    pulmo_config_init(config);
    config->train.batch = options->batch;
    config->model.trainable = options->trainable;
    config->train.epochs = 1;
    config->train.exchange = exchange;
    PULMO_TRY(pulmo_head_from(config, &b->backbone, CLASSES, &b->head));
    pulmo_optim_from(config, &b->optim);
    pulmo_tuned_layout_with_head(&b->backbone.tuned, &b->head, &b->layout);
    return PULMO_OK;
}

static pulmo_status open_contender(bench *b, contender *c)
{
    const pulmo_state_shape shape = {.parameters = b->layout.parameters,
                                     .states = pulmo_optim_states(&b->optim)};
    PULMO_TRY(pulmo_state_create(&shape, &c->state));
    const pulmo_tuned_spec *tuned = &b->backbone.tuned;
    float *of_head = c->state.parameter + pulmo_tuned_parameters(tuned);
    pulmo_head_parameters_init(&b->head, 1, of_head);
    if (tuned->layers > 0)
        pulmo_tuned_parameters_init(tuned, &b->backbone.weights, c->state.parameter);
    const pulmo_stepper_parts parts = {
        .comm = b->comm,
        .backbone = &b->backbone,
        .head = &b->head,
        .loss = &b->loss,
        .optim = &b->optim,
        .data = &b->data,
        .config = &c->config,
        .state = &c->state,
    };
    return pulmo_stepper_create(&parts, &c->stepper);
}

static void draw_image(uint32_t sample, float *image, size_t floats)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, sample, 0);
    for (size_t k = 0; k < floats; k++)
        image[k] = pulmo_rng_uniform(&rng) * 4 - 2;
}

static pulmo_status draw_samples(bench *b, uint32_t first, uint32_t count, int size_px)
{
    size_t side = (size_t)size_px;
    size_t floats = 3 * side * side;
    size_t image_bytes = floats * sizeof *b->images;
    b->images = pulmo_alloc(count + 1, image_bytes);
    b->samples = pulmo_alloc(count + 1, sizeof *b->samples);
    b->labels = pulmo_alloc(count + 1, sizeof *b->labels);
    if (!b->images || !b->samples || !b->labels)
        return PULMO_MEMORY;
    float *image = b->images;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t sample = first + i;
        b->samples[i] = sample;
        b->labels[i] = (int32_t)(sample % CLASSES);
        draw_image(sample, image, floats);
        image += floats;
    }
    return PULMO_OK;
}

/* This rank's part of the one batch. */
static pulmo_status fill_batch(bench *b, const pulmo_bench_step_options *options)
{
    const int rank = pulmo_comm_rank(b->comm);
    const int size = pulmo_comm_size(b->comm);
    const uint32_t global = (uint32_t)options->batch;
    const pulmo_config *config = &b->contenders[AUTO].config;
    const uint32_t microbatch = (uint32_t)config->train.microbatch;
    const pulmo_microbatches part = pulmo_microbatches_of(global, microbatch, rank, size);
    uint32_t first = part.first * microbatch;
    uint32_t end = first + part.count * microbatch;
    if (end > global)
        end = global;
    uint32_t count = end > first ? end - first : 0;
    PULMO_TRY(draw_samples(b, first, count, options->size_px));
    b->batch = (pulmo_batch){.global_count = global,
                             .first_microbatch = part.first,
                             .count = count,
                             .samples = b->samples,
                             .labels = b->labels,
                             .images = b->images};
    return PULMO_OK;
}

static pulmo_status open_local(bench *b, const pulmo_bench_step_options *options)
{
    static const int exchange[EXCHANGES] = {PULMO_EXCHANGE_AUTO, PULMO_EXCHANGE_SUMS};
    b->count = options->alone ? 1 : EXCHANGES;
    b->data.count = (uint32_t)options->batch;
    b->data.height_px = options->size_px;
    b->data.width_px = options->size_px;
    for (int i = 0; i < b->count && i < EXCHANGES; i++) {
        contender *c = &b->contenders[i];
        PULMO_TRY(configure(b, c, exchange[i], options));
        PULMO_TRY(open_contender(b, c));
    }
    return fill_batch(b, options);
}

/* A few batches on end, each one's sum hidden behind the next one's features, and the last one's
 * update: images per second. */
static pulmo_status take_turn(bench *b, contender *c, double *rate)
{
    PULMO_TRY(pulmo_barrier(b->comm));
    double began_s = pulmo_now_s();
    for (int i = 0; i < TURN_BATCHES; i++) {
        pulmo_step_wishes wishes = {0};
        PULMO_TRY(pulmo_stepper_take(c->stepper, PULMO_OK, &b->batch, &wishes));
    }
    PULMO_TRY(pulmo_stepper_finish(c->stepper));
    double seconds = pulmo_now_s() - began_s;
    PULMO_TRY(pulmo_max_f64(b->comm, &seconds, 1));
    double images = TURN_BATCHES * (double)b->batch.global_count;
    *rate = images / seconds;
    return PULMO_OK;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    int above = *x > *y;
    int below = *x < *y;
    return above - below;
}

static double median(const double *values, int count)
{
    double sorted[ROUNDS_MOST];
    size_t values_count = (size_t)count;
    memcpy(sorted, values, values_count * sizeof *sorted);
    qsort(sorted, values_count, sizeof *sorted, ascending);
    double lower = sorted[(count - 1) / 2];
    double upper = sorted[count / 2];
    return (lower + upper) / 2;
}

/* Each round in another order, so that a neighbour's heat or cache is nobody's advantage. */
static pulmo_status run_round(bench *b, int round)
{
    for (int i = 0; i < b->count; i++) {
        int number = (i + round) % b->count;
        contender *c = &b->contenders[number];
        PULMO_TRY(take_turn(b, c, &c->rates[round]));
    }
    return PULMO_OK;
}

static pulmo_status warm_up(bench *b)
{
    double rate;
    for (int i = 0; i < b->count; i++)
        PULMO_TRY(take_turn(b, &b->contenders[i], &rate));
    return PULMO_OK;
}

/* At least two rounds, and for the seconds asked. */
static pulmo_status run_rounds(bench *b, double seconds, int *rounds)
{
    bool more = true;
    PULMO_TRY(warm_up(b));
    double began_s = pulmo_now_s();
    for (*rounds = 0; more && *rounds < ROUNDS_MOST; ++*rounds) {
        PULMO_TRY(run_round(b, *rounds));
        double passed_s = pulmo_now_s() - began_s;
        bool wanted = *rounds < 2 || passed_s < seconds;
        more = pulmo_any(b->comm, wanted);
    }
    return PULMO_OK;
}

static void sum_up(const bench *b, int rounds, step_result *out)
{
    const double *auto_rates = b->contenders[AUTO].rates;
    const double *sums_rates = b->contenders[SUMS].rates;
    double ratios[ROUNDS_MOST];
    out->rounds = rounds;
    out->threads = b->backbone.threads;
    out->images_per_second = median(auto_rates, rounds);
    if (b->count == 1)
        return;
    for (int i = 0; i < rounds; i++)
        ratios[i] = auto_rates[i] / sums_rates[i];
    out->sums_images_per_second = median(sums_rates, rounds);
    out->over_sums = median(ratios, rounds);
}

static void sleep_for(double seconds)
{
    double whole = floor(seconds);
    double rest_ns = (seconds - whole) * 1e9;
    const struct timespec pause = {.tv_sec = (time_t)whole, .tv_nsec = (long)rest_ns};
    if (seconds > 0)
        nanosleep(&pause, NULL);
}

/* One batch; its sum and update at once, or the update after the sum has had time enough. */
static pulmo_status time_finish(bench *b, contender *c, double pause_s, double *seconds)
{
    pulmo_step_wishes wishes = {0};
    PULMO_TRY(pulmo_stepper_take(c->stepper, PULMO_OK, &b->batch, &wishes));
    sleep_for(pause_s);
    double began_s = pulmo_now_s();
    PULMO_TRY(pulmo_stepper_finish(c->stepper));
    *seconds = pulmo_now_s() - began_s;
    return pulmo_max_f64(b->comm, seconds, 1);
}

static pulmo_status time_parts(bench *b, step_result *out)
{
    enum { TIMES = 3 };
    for (int k = 0; k < EXCHANGES; k++) {
        contender *c = &b->contenders[k];
        double both[TIMES], update[TIMES];
        for (int i = 0; i < TIMES; i++) {
            PULMO_TRY(time_finish(b, c, 0, &both[i]));
            double pause_s = 1.5 * both[i];
            PULMO_TRY(time_finish(b, c, pause_s, &update[i]));
        }
        double both_s = median(both, TIMES);
        double update_s = median(update, TIMES);
        out->update_s[k] = update_s;
        out->travel_s[k] = fmax(0, both_s - update_s);
    }
    return PULMO_OK;
}

static void close_bench(bench *b, bool opened)
{
    for (int k = 0; k < EXCHANGES; k++) {
        contender *c = &b->contenders[k];
        pulmo_stepper_destroy(c->stepper);
        pulmo_state_free(&c->state);
    }
    if (opened)
        pulmo_backbone_close(&b->backbone);
    pulmo_free(b->images);
    pulmo_free(b->samples);
    pulmo_free(b->labels);
    free(b);
}

static pulmo_status measure_steps(pulmo_comm *comm, const pulmo_bench_step_options *options,
                                  step_result *out)
{
    const pulmo_weights_choice choice = {.path = options->weights, .drawn = options->drawn};
    const pulmo_config config = {.model = {.trainable = options->trainable}};
    const pulmo_backbone_cut cut = {.frozen_blocks = pulmo_frozen_blocks_from(&config)};
    bool opened = false;
    int rounds = 0;
    pulmo_status status = PULMO_OK;
    memset(out, 0, sizeof *out);
    bench *b = pulmo_calloc_agreed(comm, sizeof *b, "cannot allocate the benchmark", &status);
    if (!b)
        return status;
    b->comm = comm;
    status = pulmo_backbone_open_cut(comm, &choice, options->size_px, options->threads, &cut,
                                     &b->backbone);
    opened = status == PULMO_OK;
    PULMO_GOTO(status);
    PULMO_GOTO(pulmo_agree(comm, open_local(b, options)));
    PULMO_GOTO(run_rounds(b, options->seconds, &rounds));
    sum_up(b, rounds, out);
    if (!options->alone)
        status = time_parts(b, out);
out:
    close_bench(b, opened);
    return status;
}

static void report_steps(const pulmo_bench_step_options *o, const step_result *r, int ranks,
                         pulmo_isa isa)
{
    fprintf(stderr, "%d ranks of %d threads, batch %d, %d rounds: ", ranks, r->threads, o->batch,
            r->rounds);
    fprintf(stderr, "%.2f images/s as training sends gradients", r->images_per_second);
    if (r->over_sums > 0)
        fprintf(stderr, ", %.2f as integer sums; ratio %.3f", r->sums_images_per_second,
                r->over_sums);
    fputc('\n', stderr);
    if (o->rate) {
        *o->rate = r->images_per_second;
        return;
    }
    const bench_member members[] = {
        BENCH_NUMBER("images_per_second", 3, r->images_per_second),
        BENCH_NUMBER("integer_sums_images_per_second", 3, r->sums_images_per_second),
        BENCH_NUMBER("over_integer_sums", 4, r->over_sums),
        BENCH_NUMBER("travel_s", 5, r->travel_s[AUTO]),
        BENCH_NUMBER("update_s", 5, r->update_s[AUTO]),
        BENCH_NUMBER("integer_sums_travel_s", 5, r->travel_s[SUMS]),
        BENCH_NUMBER("integer_sums_update_s", 5, r->update_s[SUMS]),
        BENCH_NUMBER("rounds", 0, r->rounds),
        BENCH_NUMBER("batch", 0, o->batch),
        BENCH_NUMBER("threads", 0, r->threads),
        BENCH_NUMBER("ranks", 0, ranks),
        BENCH_TEXT("isa", pulmo_isa_name(isa)),
    };
    BENCH_PRINT_JSON(members);
}

pulmo_status pulmo_bench_step(pulmo_comm *comm, const pulmo_bench_step_options *options)
{
    step_result result;
    pulmo_isa isa;
    PULMO_TRY(pulmo_agree(comm, pulmo_isa_choose(&isa)));
    PULMO_TRY(measure_steps(comm, options, &result));
    if (pulmo_comm_rank(comm) == 0)
        report_steps(options, &result, pulmo_comm_size(comm), isa);
    return PULMO_OK;
}
