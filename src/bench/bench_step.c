/* Training steps whose gradients travel as training sends them beside steps that send integer sums
 * always. Images are drawn once and stay in memory: no reading, no augmentation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "pulmo/bench.h"
#include "pulmo/exact.h"
#include "pulmo/isa.h"
#include "pulmo/specs.h"
#include "pulmo/step.h"

enum { AUTO, SUMS, WAYS };
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
    contender ways[WAYS];
} bench;

static pulmo_status open_contender(bench *b, int way, const pulmo_bench_step_options *options)
{
    contender *c = &b->ways[way];
    pulmo_config_init(&c->config);
    c->config.train.batch = options->batch;
    c->config.train.epochs = 1;
    c->config.train.exchange = way == AUTO ? PULMO_EXCHANGE_AUTO : PULMO_EXCHANGE_SUMS;
    PULMO_TRY(pulmo_head_from(&c->config, &b->backbone, CLASSES, &b->head));
    pulmo_optim_from(&c->config, &b->optim);
    pulmo_head_layout_of(&b->head, &b->layout);
    const pulmo_state_shape shape = {.parameters = b->layout.parameters,
                                     .states = pulmo_optim_states(&b->optim)};
    PULMO_TRY(pulmo_state_create(&shape, &c->state));
    pulmo_head_parameters_init(&b->head, 1, c->state.parameter);
    const pulmo_stepper_parts parts = {.comm = b->comm,
                                       .backbone = &b->backbone,
                                       .head = &b->head,
                                       .loss = &b->loss,
                                       .optim = &b->optim,
                                       .data = &b->data,
                                       .config = &c->config,
                                       .state = &c->state};
    return pulmo_stepper_create(&parts, &c->stepper);
}

/* This rank's part of the one batch. */
static pulmo_status fill_batch(bench *b, const pulmo_bench_step_options *options)
{
    uint32_t global = (uint32_t)options->batch,
             microbatch = (uint32_t)b->ways[AUTO].config.train.microbatch;
    pulmo_microbatches part = pulmo_microbatches_of(global, microbatch, pulmo_comm_rank(b->comm),
                                                    pulmo_comm_size(b->comm));
    uint32_t first = part.first * microbatch, end = (part.first + part.count) * microbatch;
    if (end > global)
        end = global;
    uint32_t count = end > first ? end - first : 0;
    size_t floats = 3 * (size_t)options->size_px * (size_t)options->size_px;
    b->images = pulmo_alloc(count + 1, floats * sizeof *b->images);
    b->samples = pulmo_alloc(count + 1, sizeof *b->samples);
    b->labels = pulmo_alloc(count + 1, sizeof *b->labels);
    if (!b->images || !b->samples || !b->labels)
        return PULMO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        pulmo_rng rng;
        pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, first + i, 0);
        b->samples[i] = first + i;
        b->labels[i] = (int32_t)((first + i) % CLASSES);
        for (size_t k = 0; k < floats; k++)
            b->images[i * floats + k] = pulmo_rng_uniform(&rng) * 4 - 2;
    }
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
    b->data.count = (uint32_t)options->batch;
    b->data.height_px = b->data.width_px = options->size_px;
    for (int way = 0; way < WAYS; way++)
        PULMO_TRY(open_contender(b, way, options));
    return fill_batch(b, options);
}

/* A few batches on end, each one's sum hidden behind the next one's features, and the last one's
 * update: images a second. */
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
    *rate = TURN_BATCHES * (double)b->batch.global_count / seconds;
    return PULMO_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int count)
{
    double sorted[ROUNDS_MOST];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* Each round in another order, so that a neighbour's heat or cache is nobody's advantage. */
static pulmo_status run_rounds(bench *b, double seconds, step_result *out)
{
    double warm_up, ratios[ROUNDS_MOST];
    int more = 1;
    for (int way = 0; way < WAYS; way++)
        PULMO_TRY(take_turn(b, &b->ways[way], &warm_up));
    double began_s = pulmo_now_s();
    for (out->rounds = 0; more && out->rounds < ROUNDS_MOST; out->rounds++) {
        for (int i = 0; i < WAYS; i++) {
            contender *c = &b->ways[(i + out->rounds) % WAYS];
            PULMO_TRY(take_turn(b, c, &c->rates[out->rounds]));
        }
        ratios[out->rounds] = b->ways[AUTO].rates[out->rounds] / b->ways[SUMS].rates[out->rounds];
        more = pulmo_any(b->comm, pulmo_now_s() - began_s < seconds || out->rounds < 2);
    }
    out->images_per_second = median(b->ways[AUTO].rates, out->rounds);
    out->sums_images_per_second = median(b->ways[SUMS].rates, out->rounds);
    out->over_sums = median(ratios, out->rounds);
    out->threads = b->backbone.threads;
    return PULMO_OK;
}

/* One batch; its sum and update at once, or the update after the sum has had time enough. */
static pulmo_status time_finish(bench *b, contender *c, double pause_s, double *seconds)
{
    pulmo_step_wishes wishes = {0};
    PULMO_TRY(pulmo_stepper_take(c->stepper, PULMO_OK, &b->batch, &wishes));
    const struct timespec pause = {.tv_sec = (time_t)pause_s,
                                   .tv_nsec = (long)((pause_s - floor(pause_s)) * 1e9)};
    if (pause_s > 0)
        nanosleep(&pause, NULL);
    double began_s = pulmo_now_s();
    PULMO_TRY(pulmo_stepper_finish(c->stepper));
    *seconds = pulmo_now_s() - began_s;
    return pulmo_max_f64(b->comm, seconds, 1);
}

static pulmo_status time_parts(bench *b, step_result *out)
{
    enum { TIMES = 3 };
    for (int way = 0; way < WAYS; way++) {
        double both[TIMES], update[TIMES];
        for (int i = 0; i < TIMES; i++) {
            PULMO_TRY(time_finish(b, &b->ways[way], 0, &both[i]));
            PULMO_TRY(time_finish(b, &b->ways[way], 1.5 * both[i], &update[i]));
        }
        out->update_s[way] = median(update, TIMES);
        out->travel_s[way] = fmax(0, median(both, TIMES) - out->update_s[way]);
    }
    return PULMO_OK;
}

static void close_bench(bench *b, bool opened)
{
    for (int way = 0; way < WAYS; way++) {
        pulmo_stepper_destroy(b->ways[way].stepper);
        pulmo_state_free(&b->ways[way].state);
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
    const pulmo_weights_choice choice = {.path = options->weights};
    bool opened = false;
    memset(out, 0, sizeof *out);
    pulmo_status status = PULMO_OK;
    bench *b = pulmo_calloc_agreed(comm, sizeof *b, "cannot allocate the benchmark", &status);
    if (!b)
        return status;
    b->comm = comm;
    status = pulmo_backbone_open(comm, &choice, options->size_px, options->threads, &b->backbone);
    opened = status == PULMO_OK;
    PULMO_GOTO(status);
    PULMO_GOTO(pulmo_agree(comm, open_local(b, options)));
    PULMO_GOTO(run_rounds(b, options->seconds, out));
    status = time_parts(b, out);
out:
    close_bench(b, opened);
    return status;
}

pulmo_status pulmo_bench_step(pulmo_comm *comm, const pulmo_bench_step_options *options)
{
    step_result r;
    pulmo_isa isa;
    PULMO_TRY(pulmo_agree(comm, pulmo_isa_choose(&isa)));
    PULMO_TRY(measure_steps(comm, options, &r));
    if (pulmo_comm_rank(comm) != 0)
        return PULMO_OK;
    fprintf(
        stderr,
        "%d ranks of %d threads, batch %d, %d rounds: %.2f images/s as training sends gradients, "
        "%.2f as integer sums; ratio %.3f\n",
        pulmo_comm_size(comm), r.threads, options->batch, r.rounds, r.images_per_second,
        r.sums_images_per_second, r.over_sums);
    printf("{\"images_per_second\": %.3f, \"integer_sums_images_per_second\": %.3f, "
           "\"over_integer_sums\": %.4f, "
           "\"travel_s\": %.5f, \"update_s\": %.5f, \"integer_sums_travel_s\": %.5f, "
           "\"integer_sums_update_s\": %.5f, \"rounds\": %d, "
           "\"batch\": %d, \"threads\": %d, \"ranks\": %d, "
           "\"isa\": \"%s\"}\n",
           r.images_per_second, r.sums_images_per_second, r.over_sums, r.travel_s[0], r.update_s[0],
           r.travel_s[1], r.update_s[1], r.rounds, options->batch, r.threads, pulmo_comm_size(comm),
           pulmo_isa_name(isa));
    return PULMO_OK;
}
