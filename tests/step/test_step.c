/* Training steps on given features: the same parameters whichever way gradients reach the ranks and
 * however many there are, and a value that is not finite on one rank found by all. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/exact.h"
#include "pulmo/specs.h"
#include "pulmo/step.h"
#include "agreed.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"

enum { SIDE = 6, FLOATS = 3 * SIDE * SIDE, SAMPLES = 53, BATCH = 16, MICROBATCH = 3, CLASSES = 3 };

/* A run without convolutions: a "network" whose features are the images. */
typedef struct bench {
    pulmo_backbone backbone;
    pulmo_head_spec head;
    pulmo_layout layout;
    pulmo_loss_spec loss;
    pulmo_config config;
    pulmo_optim_spec optim;
    pulmo_dataset_info data;
    pulmo_state state;
    pulmo_stepper *stepper;
    const char *paths[SAMPLES];
    char names[SAMPLES][16];
    float images[BATCH * FLOATS];
    uint32_t samples[BATCH];
    int32_t labels[BATCH];
} bench;

static pulmo_status open_stepper(bench *b, const char *exchange)
{
    char setting[64];
    pulmo_config_init(&b->config);
    snprintf(setting, sizeof setting, "train.exchange=%s", exchange);
    PULMO_TRY(pulmo_config_set(&b->config, setting));
    PULMO_TRY(pulmo_config_set(&b->config, "model.hidden=[45, 20]"));
    b->config.train.batch = BATCH;
    b->config.train.microbatch = MICROBATCH;
    b->backbone.threads = 2;
    b->backbone.channels = 3;
    b->backbone.height = b->backbone.width = SIDE;
    PULMO_TRY(pulmo_pool_create(2, &b->backbone.pool));
    PULMO_TRY(pulmo_head_from(&b->config, &b->backbone, CLASSES, &b->head));
    pulmo_optim_from(&b->config, &b->optim);
    pulmo_head_layout_of(&b->head, &b->layout);
    const pulmo_state_shape shape = {.parameters = b->layout.parameters, .states = 2};
    PULMO_TRY(pulmo_state_create(&shape, &b->state));
    pulmo_head_parameters_init(&b->head, 1, b->state.parameter);
    const pulmo_stepper_parts parts = {.comm = world,
                                       .backbone = &b->backbone,
                                       .head = &b->head,
                                       .loss = &b->loss,
                                       .optim = &b->optim,
                                       .data = &b->data,
                                       .config = &b->config,
                                       .state = &b->state};
    return pulmo_stepper_create(&parts, &b->stepper);
}

static bench *open_bench(const char *exchange)
{
    bench *b = calloc(1, sizeof *b);
    CHECK(b != NULL);
    b->data.count = SAMPLES;
    b->data.height_px = b->data.width_px = SIDE;
    for (int i = 0; i < SAMPLES; i++) {
        snprintf(b->names[i], sizeof b->names[i], "image-%02d.jpeg", i);
        b->paths[i] = b->names[i];
    }
    b->data.paths = b->paths;
    CHECK(open_stepper(b, exchange) == PULMO_OK);
    return b;
}

static void close_bench(bench *b)
{
    pulmo_stepper_destroy(b->stepper);
    pulmo_state_free(&b->state);
    pulmo_pool_destroy(b->backbone.pool);
    free(b);
}

/* Samples [first, first + count) of the data set; sample `bad`, if it is one of them, has a NaN. */
static void fill(bench *b, uint32_t first, uint32_t count, int bad)
{
    for (uint32_t i = 0; i < count; i++) {
        pulmo_rng rng;
        b->samples[i] = first + i;
        b->labels[i] = (int32_t)(b->samples[i] % CLASSES);
        pulmo_rng_at(&rng, 9, PULMO_RNG_TEST, b->samples[i], 0);
        for (int k = 0; k < FLOATS; k++)
            b->images[i * FLOATS + (uint32_t)k] = (float)fmax(0, pulmo_rng_normal(&rng));
        if ((int)b->samples[i] == bad)
            b->images[i * FLOATS + 7] = NAN;
    }
}

static uint32_t size_of(uint32_t number)
{
    return SAMPLES - number * BATCH < BATCH ? SAMPLES - number * BATCH : BATCH;
}

/* This rank's part of batch `number`. */
static pulmo_batch batch_of(bench *b, uint32_t number, int bad)
{
    uint32_t global = size_of(number);
    pulmo_microbatches part =
        pulmo_microbatches_of(global, MICROBATCH, pulmo_comm_rank(world), pulmo_comm_size(world));
    uint32_t first = part.first * MICROBATCH, end = (part.first + part.count) * MICROBATCH;
    if (end > global)
        end = global;
    uint32_t count = end > first ? end - first : 0;
    fill(b, number * BATCH + first, count, bad);
    return (pulmo_batch){.number = number,
                         .global_count = global,
                         .first_microbatch = part.first,
                         .count = count,
                         .samples = b->samples,
                         .labels = b->labels,
                         .images = b->images};
}

static pulmo_status take(bench *b, uint32_t number, int bad)
{
    pulmo_step_wishes wishes = {0};
    pulmo_batch batch = batch_of(b, number, bad);
    return pulmo_stepper_take(b->stepper, PULMO_OK, &batch, &wishes);
}

/* The same steps by one rank alone, written down plainly. */
static void train_alone(bench *b, float *parameters)
{
    enum { MICROBATCHES = (BATCH + MICROBATCH - 1) / MICROBATCH };
    float *gradient = pulmo_alloc(b->layout.parameters, sizeof *gradient),
          *m = pulmo_alloc(b->layout.parameters, sizeof *m);
    float *v = pulmo_alloc(b->layout.parameters, sizeof *v);
    int64_t *sums = pulmo_alloc(b->layout.parameters, sizeof *sums);
    pulmo_head *head = NULL;
    pulmo_head_parameters_init(&b->head, 1, parameters);
    CHECK(gradient && m && v && sums &&
          pulmo_head_create(&b->head, &b->loss, MICROBATCH, MICROBATCHES, parameters, &head) ==
              PULMO_OK);
    for (uint32_t number = 0; number * BATCH < SAMPLES; number++) {
        uint32_t count = size_of(number), microbatches = (count + MICROBATCH - 1) / MICROBATCH;
        fill(b, number * BATCH, count, -1);
        for (uint32_t s = 0; s < microbatches; s++) {
            uint32_t at = s * MICROBATCH;
            pulmo_microbatch_input input = {
                .count = (int)(count - at < MICROBATCH ? count - at : MICROBATCH),
                .features = b->images + at * FLOATS,
                .labels = b->labels + at,
                .samples = b->samples + at};
            pulmo_microbatch_result result;
            pulmo_head_microbatch_run(head, (int)s, &input, &result);
        }
        for (int t = 0; t < b->layout.tensors; t++) {
            const pulmo_tensor *tensor = &b->layout.tensor[t];
            size_t length = (size_t)tensor->rows * (size_t)tensor->cols, at = tensor->offset;
            float *states[2] = {m + at, v + at};
            double bound = 0;
            for (uint32_t s = 0; s < microbatches; s++)
                bound = fmax(bound, pulmo_head_microbatch_bound(head, (int)s, t));
            int exponent = pulmo_exact_exponent(bound, microbatches);
            memset(sums, 0, length * sizeof *sums);
            for (uint32_t s = 0; s < microbatches; s++) {
                pulmo_block block = {t, 0, tensor->rows, 0, tensor->cols};
                pulmo_head_microbatch_gradient(head, (int)s, &block, gradient);
                pulmo_exact_add(sums, gradient, length, exponent);
            }
            pulmo_exact_finish(sums, length, exponent, 1.0 / count, gradient);
            const pulmo_optim_update update =
                pulmo_optim_update_of(&b->optim, b->config.optim.lr, number + 1);
            pulmo_optim_step(&update, length, parameters + at, gradient, states);
        }
    }
    pulmo_head_destroy(head);
    pulmo_free(gradient);
    pulmo_free(m);
    pulmo_free(v);
    pulmo_free(sums);
}

static void test_same_parameters(void **state)
{
    static const char *const ways[] = {"sums", "factors", "auto"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        bench *b = open_bench(ways[i]);
        size_t bytes = b->layout.parameters * sizeof(float);
        float *alone = pulmo_alloc(bytes, 1);
        CHECK(alone != NULL);
        CHECK(memcmp((pulmo_head_parameters_init(&b->head, 1, alone), alone), b->state.parameter,
                     bytes) == 0);
        for (uint32_t number = 0; number * BATCH < SAMPLES; number++)
            CHECK(take(b, number, -1) == PULMO_OK);
        CHECK(pulmo_stepper_finish(b->stepper) == PULMO_OK);
        CHECK(b->state.step == 4 && b->state.sums.count == SAMPLES);
        train_alone(b, alone);
        CHECK(memcmp(alone, b->state.parameter, bytes) == 0);
        pulmo_free(alone);
        close_bench(b);
    }
}

/* A NaN in one image: every rank fails with its file, the batch's update is not made. */
static void test_not_finite(void **state)
{
    static const char *const ways[] = {"sums", "factors"};
    static const int bad[] = {16, 31,
                              52}; /* of the first, of the last rank; in the short last batch */
    (void)state;
    for (int k = 0; k < 6; k++) {
        bench *b = open_bench(ways[k % 2]);
        uint32_t number = (uint32_t)bad[k / 2] / BATCH;
        for (uint32_t i = 0; i < number; i++)
            CHECK(take(b, i, -1) == PULMO_OK);
        char batch[64];
        snprintf(batch, sizeof batch, "epoch 1, batch %u: the loss or a gradient is not finite",
                 number + 1);
        CHECK(take(b, number, bad[k / 2]) == PULMO_RUNTIME);
        CHECK(strstr(pulmo_error(), batch) != NULL);
        CHECK(strstr(pulmo_error(), b->names[bad[k / 2]]) != NULL);
        CHECK(b->state.step == number);
        for (size_t i = 0; i < b->layout.parameters; i++)
            if (!isfinite(b->state.parameter[i]))
                b->state.step = 999;
        CHECK(b->state.step == number);
        close_bench(b);
    }
}

/* As many vectors as a state counts are there. */
static void test_vectors(void **state)
{
    (void)state;
    for (int states = 0; states <= 2; states++) {
        for (int averages = 0; averages < 2; averages++) {
            const pulmo_state_shape shape = {
                .parameters = 3, .states = states, .averages = averages != 0};
            pulmo_state made;
            CHECK(pulmo_state_create(&shape, &made) == PULMO_OK);
            int vectors = (made.parameter != NULL) + (made.optim[0] != NULL) +
                          (made.optim[1] != NULL) + (made.average != NULL);
            CHECK(vectors == pulmo_state_vectors(&shape));
            pulmo_state_free(&made);
        }
    }
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors),
                                          cmocka_unit_test(test_same_parameters),
                                          cmocka_unit_test(test_not_finite)};
RUN_AGREED(tests)
