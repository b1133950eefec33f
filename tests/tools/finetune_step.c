/* finetune_step WEIGHTS TRAINABLE THREADS BATCH SECONDS [DUMP_DIR]: training steps on given
 * features at the cut, as a run takes them: forward, backward, exact sums, update. One warm-up step
 * is plain gradient descent with rate 1, so that parameters before minus after are the gradient;
 * with DUMP_DIR it is left there for others to check: features.f32, labels.i32, before.f32,
 * after.f32 (tuned then head, torchvision's order), loss.txt. Then Adam, timed. The last line of
 * stdout is one JSON object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/rng.h"
#include "pulmo/exact.h"
#include "pulmo/specs.h"
#include "pulmo/step.h"

#define HIDDEN  256
#define CLASSES 2

static int dump(const char *directory, const char *name, const void *data, size_t bytes)
{
    char path[4096];
    if (!directory)
        return 0;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *out = fopen(path, "wb");
    if (!out) {
        perror(path);
        return 1;
    }
    int bad = fwrite(data, 1, bytes, out) != bytes;
    return fclose(out) != 0 || bad;
}

static int frozen_blocks(pulmo_config *config, const char *trainable)
{
    char text[64];
    snprintf(text, sizeof text, "model.trainable=%s", trainable);
    return pulmo_config_set(config, text) == PULMO_OK ? pulmo_frozen_blocks_from(config) : -2;
}

typedef struct bench {
    pulmo_backbone backbone; /* as if its features had been read from a cache: no trunk */
    pulmo_head_spec head;
    pulmo_layout layout;
    pulmo_config config;
    pulmo_optim_spec optim;
    pulmo_loss_spec loss;
    pulmo_dataset_info data;
    pulmo_state state;
    pulmo_stepper *stepper;
    pulmo_batch batch;
    float *features;
} bench;

static pulmo_status open_bench(pulmo_comm *comm, bench *b, char **argv)
{
    pulmo_config_init(&b->config);
    int frozen = frozen_blocks(&b->config, argv[2]);
    if (frozen < 0)
        return pulmo_fail(PULMO_USAGE, "%s: must be block5, block4, block3, block2 or all",
                          argv[2]);
    const pulmo_weights_choice choice = {.path = argv[1], .any = true};
    b->config.train.batch = atoi(argv[4]);
    b->backbone.threads = atoi(argv[3]);
    PULMO_TRY(pulmo_isa_choose(&b->backbone.isa));
    PULMO_TRY(pulmo_weights_open(&choice, &b->backbone.weights));
    PULMO_TRY(pulmo_pool_create(b->backbone.threads, &b->backbone.pool));
    PULMO_TRY(pulmo_tuned_spec_of(&b->backbone.weights, frozen, 224, b->backbone.isa,
                                  &b->backbone.tuned));
    b->backbone.channels = b->backbone.tuned.channels;
    b->backbone.height = b->backbone.width = b->backbone.tuned.height;
    PULMO_TRY(pulmo_head_from(&b->config, &b->backbone, CLASSES, &b->head));
    b->head.hidden_layers = 1;
    b->head.hidden[0] = HIDDEN;
    b->head.dropout = 0;
    pulmo_tuned_layout_with_head(&b->backbone.tuned, &b->head, &b->layout);
    const pulmo_state_shape shape = {.parameters = b->layout.parameters, .states = 2};
    PULMO_TRY(pulmo_state_create(&shape, &b->state));
    pulmo_tuned_parameters_init(&b->backbone.tuned, &b->backbone.weights, b->state.parameter);
    pulmo_head_parameters_init(&b->head, 1,
                               b->state.parameter + pulmo_tuned_parameters(&b->backbone.tuned));
    pulmo_optim_spec_init(&b->optim);
    b->data.count = (uint32_t)b->config.train.batch;
    b->data.height_px = b->data.width_px = 224;
    const pulmo_stepper_parts parts = {.comm = comm,
                                       .backbone = &b->backbone,
                                       .head = &b->head,
                                       .loss = &b->loss,
                                       .optim = &b->optim,
                                       .data = &b->data,
                                       .config = &b->config,
                                       .state = &b->state};
    return pulmo_stepper_create(&parts, &b->stepper);
}

static void fill_batch(bench *b)
{
    uint32_t count = (uint32_t)b->config.train.batch;
    size_t floats = (size_t)count * (size_t)b->backbone.channels * (size_t)b->backbone.height *
                    (size_t)b->backbone.width;
    uint32_t *samples = malloc(count * sizeof *samples);
    int32_t *labels = malloc(count * sizeof *labels);
    b->features = malloc(floats * sizeof *b->features);
    pulmo_rng rng;
    pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 0, 0);
    /* Like a ReLU's output, or an image's. */
    for (size_t i = 0; i < floats; i++) {
        double x = pulmo_rng_normal(&rng);
        b->features[i] = b->backbone.channels == 3 || x > 0 ? (float)x : 0;
    }
    for (uint32_t i = 0; i < count; i++)
        samples[i] = i, labels[i] = (int32_t)(i % CLASSES);
    b->batch = (pulmo_batch){.global_count = count,
                             .count = count,
                             .samples = samples,
                             .labels = labels,
                             .images = b->features};
}

static pulmo_status one_step(bench *b)
{
    pulmo_step_wishes wishes = {0};
    PULMO_TRY(pulmo_stepper_take(b->stepper, PULMO_OK, &b->batch, &wishes));
    return pulmo_stepper_finish(b->stepper);
}

static pulmo_status run_bench(bench *b, double seconds, const char *directory)
{
    size_t bytes = b->layout.parameters * sizeof(float), count = (size_t)b->batch.count;
    char loss[64];
    fill_batch(b);
    count = b->batch.count;
    int bad = dump(directory, "before.f32", b->state.parameter, bytes);
    bad |= dump(directory, "features.f32", b->features,
                count * (size_t)b->backbone.channels * (size_t)b->backbone.height *
                    (size_t)b->backbone.width * sizeof(float));
    bad |= dump(directory, "labels.i32", b->batch.labels, count * sizeof(int32_t));
    b->optim = (pulmo_optim_spec){.kind = PULMO_OPTIM_SGD, .lr = 1};
    b->config.optim.trunk_lr_scale = 1;
    b->config.optim.trunk_lr_decay = 1;
    PULMO_TRY(one_step(b));
    snprintf(loss, sizeof loss, "%.9g\n", b->state.sums.loss / b->state.sums.weight);
    bad |= dump(directory, "after.f32", b->state.parameter, bytes) |
           dump(directory, "loss.txt", loss, strlen(loss));
    if (bad)
        return pulmo_fail(PULMO_IO, "%s: cannot write the dump", directory);
    if (directory)
        return PULMO_OK;
    pulmo_optim_spec_init(&b->optim);
    b->optim.lr = 1e-5;
    pulmo_tuned_parameters_init(&b->backbone.tuned, &b->backbone.weights, b->state.parameter);
    pulmo_stepper_ready(b->stepper);
    PULMO_TRY(one_step(b));
    double began_s = pulmo_now_s(), last_s = began_s, best_s = 1e30;
    int steps = 0;
    while (pulmo_now_s() - began_s < seconds || steps < 3) {
        PULMO_TRY(one_step(b));
        double now_s = pulmo_now_s();
        if (now_s - last_s < best_s)
            best_s = now_s - last_s;
        last_s = now_s;
        steps++;
    }
    printf("{\"images_per_second\": %.2f, \"best_step_s\": %.4f, \"steps\": %d, \"batch\": %u, "
           "\"threads\": %d, \"isa\": \"%s\"}\n",
           steps * (double)count / (last_s - began_s), best_s, steps, b->batch.count,
           b->backbone.threads, pulmo_isa_name(b->backbone.isa));
    return PULMO_OK;
}

int main(int argc, char **argv)
{
    static bench b;
    pulmo_comm *comm = NULL;
    if (argc < 6) {
        fprintf(stderr, "finetune_step WEIGHTS TRAINABLE THREADS BATCH SECONDS [DUMP_DIR]\n");
        return 2;
    }
    pulmo_status status = pulmo_dist_start(&comm);
    if (status == PULMO_OK)
        status = open_bench(comm, &b, argv);
    if (status == PULMO_OK)
        status = run_bench(&b, atof(argv[5]), argc > 6 ? argv[6] : NULL);
    if (status != PULMO_OK)
        fprintf(stderr, "finetune_step: %s\n", pulmo_error());
    pulmo_stepper_destroy(b.stepper);
    pulmo_state_free(&b.state);
    pulmo_weights_free(&b.backbone.weights);
    pulmo_pool_destroy(b.backbone.pool);
    free((void *)(uintptr_t)b.batch.samples);
    free((void *)(uintptr_t)b.batch.labels);
    free(b.features);
    if (comm)
        pulmo_dist_end(comm);
    return pulmo_status_exit(status);
}
