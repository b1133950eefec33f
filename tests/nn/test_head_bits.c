/* The head gives the same bits however samples are grouped, microbatches are ordered and tensors
 * are cut.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/heads.h"
#include "head_kernels.h"
#include "sufficient.h"
#include "pulmo/isa.h"

/* Every image's logits, alone and in company, at every place of a microbatch, in microbatches of
 * many sizes. */
static void logits_do_not_depend_on_company(void **state)
{
    (void)state;
    const int sizes[] = {8, 1, 2, 3, 5, 13, 16, 32}, n = 37;
    pulmo_head_spec spec = small_spec();
    size_t floats = floats_of(&spec), row = 3 * sizeof(float);
    float *x = noise((size_t)n * floats, 1), *shifted = malloc((size_t)n * floats * sizeof *x);
    float first[3 * 37];
    assert_non_null(shifted);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        float all[3 * 37], one[3], moved[3 * 37];
        network net;
        network_open(&net, &spec, sizes[s], 0);
        pulmo_head_logits(net.head, n, x, all);
        if (s == 0)
            memcpy(first, all, sizeof first);
        assert_memory_equal(all, first, sizeof first);
        for (int i = 0; i < n; i++) {
            pulmo_head_logits(net.head, 1, x + (size_t)i * floats, one);
            assert_memory_equal(one, all + 3 * i, row);
            assert_true(all[3 * i] != all[3 * ((i + 1) % n)]);
        }
        for (int by = 1; by < sizes[s] && by < n; by++) {
            for (int i = 0; i < n; i++)
                memcpy(shifted + (size_t)i * floats, x + (size_t)((i + by) % n) * floats,
                       floats * sizeof *x);
            pulmo_head_logits(net.head, n, shifted, moved);
            for (int i = 0; i < n; i++)
                assert_memory_equal(moved + 3 * i, all + 3 * ((i + by) % n), row);
        }
        network_close(&net);
    }
    free(x);
    free(shifted);
}

/* The shape that real training has: long sums are cut into panels. */
static void real_shapes_do_not_depend_on_place(void **state)
{
    (void)state;
    pulmo_head_spec spec;
    pulmo_head_spec_init(&spec);
    spec.hidden_layers = 1;
    spec.hidden[0] = 256;
    size_t floats = floats_of(&spec);
    float *x = noise(11 * floats, 12), all[22], one[16];
    network net;
    network_open(&net, &spec, 8, 0);
    pulmo_head_logits(net.head, 11, x, all);
    for (int i = 1; i <= 10; i++) {
        int count = 11 - i < 8 ? 11 - i : 8;
        pulmo_head_logits(net.head, count, x + (size_t)i * floats, one);
        assert_memory_equal(one, all + 2 * i, (size_t)count * 2 * sizeof(float));
    }
    free(x);
    network_close(&net);
}

/* A microbatch's gradient is the float sum, in sample order, of its samples' own: no sample's
 * numbers depend on the others, on its place or on how full the microbatch is. */
static void a_microbatch_is_its_samples_in_order(void **state)
{
    (void)state;
    pulmo_head_spec spec = small_spec();
    size_t floats = floats_of(&spec);
    const int32_t labels[8] = {0, 2, 1, 1, 0, 2, 2, 0};
    const uint32_t samples[8] = {5, 900, 17, 3, 4, 8, 100000, 0};
    float *x = noise(8 * floats, 2);
    network net;
    network_open(&net, &spec, 8, 2);
    for (int count = 1; count <= 8; count++) {
        pulmo_microbatch_input input = {count, x, labels, samples, 11, 2};
        pulmo_microbatch_result whole, single;
        double loss = 0;
        int correct = 0;
        float *sum = calloc(net.layout.parameters, sizeof *sum);
        assert_non_null(sum);
        for (int n = 0; n < count; n++) {
            pulmo_microbatch_input one = {1, x + (size_t)n * floats, labels + n, samples + n, 11,
                                          2};
            pulmo_head_microbatch_run(net.head, 1, &one, &single);
            float *part = gradients(&net, 1);
            for (size_t i = 0; i < net.layout.parameters; i++)
                sum[i] += part[i];
            loss += single.loss;
            correct += single.correct;
            free(part);
        }
        pulmo_head_microbatch_run(net.head, 0, &input, &whole);
        float *have = gradients(&net, 0);
        for (size_t i = 0; i < net.layout.parameters; i++)
            assert_true(have[i] == sum[i]);
        assert_true(whole.loss == loss);
        assert_int_equal(whole.correct, correct);
        assert_true(whole.weight == count);
        free(have);
        free(sum);
    }
    free(x);
    network_close(&net);
}

static void blocks_do_not_change_bits(void **state)
{
    (void)state;
    pulmo_head_spec spec = small_spec();
    const int32_t labels[8] = {0, 2, 1, 1, 0, 2, 2, 0};
    const uint32_t samples[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float *x = noise(8 * floats_of(&spec), 3), *tile = malloc(64 * 1024 * sizeof *tile);
    assert_non_null(tile);
    network net;
    network_open(&net, &spec, 8, 1);
    pulmo_microbatch_input input = {7, x, labels, samples, 1, 0};
    pulmo_microbatch_result result;
    pulmo_head_microbatch_run(net.head, 0, &input, &result);
    float *whole = gradients(&net, 0);
    const int sides[][2] = {{16, 16}, {16, 48}, {32, 512}, {64, 1024}, {1, 16}};
    for (size_t s = 0; s < sizeof sides / sizeof *sides; s++)
        for (int t = 0; t < net.layout.tensors; t++) {
            const pulmo_tensor *tensor = &net.layout.tensor[t];
            for (int r = 0; r < tensor->rows; r += sides[s][0])
                for (int c = 0; c < tensor->cols; c += sides[s][1]) {
                    int rows = tensor->rows - r < sides[s][0] ? tensor->rows - r : sides[s][0];
                    int cols = tensor->cols - c < sides[s][1] ? tensor->cols - c : sides[s][1];
                    pulmo_head_microbatch_gradient(net.head, 0, &(pulmo_block){t, r, rows, c, cols},
                                                   tile);
                    for (int i = 0; i < rows; i++)
                        assert_memory_equal(tile + (size_t)i * (size_t)cols,
                                            whole + tensor->offset +
                                                (size_t)(r + i) * (size_t)tensor->cols + (size_t)c,
                                            (size_t)cols * sizeof(float));
                }
        }
    free(whole);
    free(tile);
    free(x);
    network_close(&net);
}

/* Rows from factors that have been elsewhere (other strides, no alignment) are those of
 * microbatch_gradient, on every tier. */
static void factors_give_the_gradient(void **state)
{
    (void)state;
    pulmo_head_spec spec = small_spec();
    const int32_t labels[8] = {0, 2, 1, 1, 0, 2, 2, 0};
    const uint32_t samples[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float *x = noise(8 * floats_of(&spec), 5);
    network net;
    network_open(&net, &spec, 8, 1);
    pulmo_microbatch_input input = {7, x, labels, samples, 1, 0};
    pulmo_microbatch_result result;
    pulmo_head_microbatch_run(net.head, 0, &input, &result);
    float *whole = gradients(&net, 0);
    int tiers = 0, rows = 0;
    for (int t = 0; t < net.layout.tensors; t++) {
        const pulmo_tensor *tensor = &net.layout.tensor[t];
        if (tensor->kind != PULMO_LINEAR_WEIGHT)
            continue;
        size_t in = (size_t)tensor->cols, out = (size_t)tensor->rows, width = in + out + 3;
        float *sent = malloc((8 * width + 1) * sizeof *sent), *row = malloc(in * sizeof *row);
        assert_non_null(sent);
        assert_non_null(row);
        pulmo_sufficient_factors here, there;
        pulmo_head_microbatch_factors(net.head, 0, tensor->layer, &here);
        assert_int_equal(here.count, 7);
        for (size_t n = 0; n < 7; n++) {
            memcpy(sent + 1 + n * width, here.input + n * here.input_stride, in * sizeof *sent);
            memcpy(sent + 1 + n * width + in, here.delta + n * here.delta_stride,
                   out * sizeof *sent);
        }
        there = (pulmo_sufficient_factors){.count = 7,
                                           .input = sent + 1,
                                           .delta = sent + 1 + in,
                                           .input_stride = width,
                                           .delta_stride = width};
        for (int isa = PULMO_ISA_REF; isa < PULMO_ISA_COUNT; isa++) {
            if (!pulmo_isa_available((pulmo_isa)isa))
                continue;
            tiers++;
            for (int r = 0; r < tensor->rows; r++, rows++) {
                int col = r % tensor->cols, cols = tensor->cols - col;
                sufficient_row_tier((pulmo_isa)isa, &there, r, col, cols, row);
                assert_memory_equal(row, whole + tensor->offset + (size_t)r * in + (size_t)col,
                                    (size_t)cols * sizeof *row);
            }
        }
        free(sent);
        free(row);
    }
    assert_true(tiers >= 2 && rows > 10);
    free(whole);
    free(x);
    network_close(&net);
}

typedef struct thread_work {
    network *net;
    const float *x;
    int first;
} thread_work;

static void *run_microbatches(void *context)
{
    const thread_work *work = context;
    const int32_t labels[8] = {0, 2, 1, 1, 0, 2, 2, 0};
    size_t floats = floats_of(&work->net->spec);
    for (int s = work->first; s < 8; s += 2) {
        uint32_t samples[8];
        for (uint32_t n = 0; n < 8; n++)
            samples[n] = 8 * (uint32_t)s + n;
        pulmo_microbatch_input input = {8, work->x + 8 * (size_t)s * floats, labels, samples, 1, 0};
        pulmo_microbatch_result result;
        pulmo_head_microbatch_run(work->net->head, s, &input, &result);
    }
    return NULL;
}

static void threads_do_not_change_bits(void **state)
{
    (void)state;
    pulmo_head_spec spec = small_spec();
    float *x = noise(64 * floats_of(&spec), 4), *want[8];
    network net;
    pthread_t thread[2];
    network_open(&net, &spec, 8, 8);
    thread_work work[2] = {{&net, x, 0}, {&net, x, 1}};
    (void)run_microbatches(&work[1]);
    (void)run_microbatches(&work[0]);
    for (int s = 0; s < 8; s++)
        want[s] = gradients(&net, s);
    for (int again = 0; again < 20; again++) {
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, run_microbatches, &work[i]), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(thread[i], NULL);
        for (int s = 0; s < 8; s++) {
            float *have = gradients(&net, s);
            assert_memory_equal(have, want[s], net.layout.parameters * sizeof *have);
            free(have);
        }
    }
    for (int s = 0; s < 8; s++)
        free(want[s]);
    free(x);
    network_close(&net);
}

/* All microbatches on a pool give the bits of microbatch by microbatch, and so do logits; every
 * tier that the machine has gives those of the first. */
static void all_at_once_is_the_same(void **state)
{
    (void)state;
    pulmo_head_spec spec = small_spec();
    const int32_t labels[21] = {0, 2, 1, 1, 0, 2, 2, 0, 1, 1, 0, 2, 0, 0, 1, 2, 2, 1, 0, 1, 2};
    uint32_t samples[21];
    float *x = noise(21 * floats_of(&spec), 6), single[63], pooled[63], first[63];
    float *gradient[3] = {0};
    for (uint32_t n = 0; n < 21; n++)
        samples[n] = 3 * n;
    for (int tier = 0; tier < PULMO_ISA_COUNT; tier++) {
        const char *name = pulmo_isa_name((pulmo_isa)tier);
        if (!pulmo_isa_available((pulmo_isa)tier)) {
            print_message("no %s here: not tried\n", name);
            continue;
        }
        setenv("PULMO_ISA", name, 1);
        network one, all;
        pulmo_pool *pool = NULL;
        pulmo_microbatch_input inputs[3];
        pulmo_microbatch_result want[3], have[3];
        assert_int_equal(pulmo_pool_create(3, &pool), PULMO_OK);
        network_open(&one, &spec, 8, 3);
        network_open(&all, &spec, 8, 3);
        for (int s = 0; s < 3; s++) {
            inputs[s] = (pulmo_microbatch_input){s < 2 ? 8 : 5,
                                                 x + (size_t)s * 8 * floats_of(&spec),
                                                 labels + 8 * s,
                                                 samples + 8 * s,
                                                 11,
                                                 2};
            pulmo_head_microbatch_run(one.head, s, &inputs[s], &want[s]);
        }
        pulmo_head_run(all.head, pool, 3, inputs, have);
        for (int s = 0; s < 3; s++) {
            float *a = gradients(&one, s), *b = gradients(&all, s);
            assert_memory_equal(a, b, one.layout.parameters * sizeof *a);
            assert_true(want[s].loss == have[s].loss && have[s].loss != have[(s + 1) % 3].loss);
            if (gradient[s])
                assert_memory_equal(a, gradient[s], one.layout.parameters * sizeof *a);
            free(gradient[s]);
            gradient[s] = a;
            free(b);
        }
        pulmo_head_logits(one.head, 21, x, single);
        pulmo_head_logits_on(all.head, pool, 21, x, pooled);
        assert_memory_equal(single, pooled, sizeof single);
        if (tier == PULMO_ISA_REF)
            memcpy(first, single, sizeof first);
        assert_memory_equal(single, first, sizeof first);
        network_close(&one);
        network_close(&all);
        pulmo_pool_destroy(pool);
    }
    unsetenv("PULMO_ISA");
    for (int s = 0; s < 3; s++)
        free(gradient[s]);
    free(x);
}

/* Sums over microbatches as integers, against microbatch_gradient's floats rounded one by one
 * (ldexp and llrint round a double to nearest even, too), and the gradient that they make, for
 * blocks that begin and end anywhere; every tier. */
static void microbatches_add_up_as_integers(void **state)
{
    (void)state;
    pulmo_head_spec spec = small_spec();
    const int32_t labels[8] = {0, 2, 1, 1, 0, 2, 2, 0};
    const uint32_t samples[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float *x = noise(24 * floats_of(&spec), 6), *microbatch[3];
    network net;
    network_open(&net, &spec, 8, 3);
    for (int s = 0; s < 3; s++) {
        pulmo_microbatch_input input = {
            s < 2 ? 8 : 5, x + (size_t)s * 8 * floats_of(&spec), labels, samples, 11, 2};
        pulmo_microbatch_result result;
        pulmo_head_microbatch_run(net.head, s, &input, &result);
        microbatch[s] = gradients(&net, s);
    }
    for (int t = 0; t < net.layout.tensors; t++) {
        const pulmo_tensor *tensor = &net.layout.tensor[t];
        if (tensor->kind != PULMO_LINEAR_WEIGHT)
            continue;
        pulmo_sufficient_factors factors[3];
        int row = tensor->rows > 4 ? 3 : 0, col = tensor->cols > 8 ? 5 : 0;
        const pulmo_block block = {t, row, tensor->rows - row, col, tensor->cols - col};
        size_t count = (size_t)block.rows * (size_t)block.cols, cols = (size_t)block.cols;
        int64_t *want = calloc(count, sizeof *want), *have = malloc(count * sizeof *have);
        float *gradient = malloc(count * sizeof *gradient);
        assert_true(want && have && gradient);
        for (int s = 0; s < 3; s++) {
            pulmo_head_microbatch_factors(net.head, s, tensor->layer, &factors[s]);
            for (size_t i = 0; i < count; i++) {
                size_t at = tensor->offset + ((size_t)row + i / cols) * (size_t)tensor->cols +
                            (size_t)col + i % cols;
                want[i] += llrint(ldexp((double)microbatch[s][at], 40));
            }
        }
        for (int isa = PULMO_ISA_REF; isa < PULMO_ISA_COUNT; isa++) {
            if (!pulmo_isa_available((pulmo_isa)isa))
                continue;
            head_kernels_of((pulmo_isa)isa)->sums(factors, 3, &block, 0x1p40, have, cols);
            assert_memory_equal(have, want, count * sizeof *want);
            head_kernels_of((pulmo_isa)isa)
                ->gradient(factors, 3, &block, 0x1p40, 0.3, NULL, gradient);
            for (size_t i = 0; i < count; i++) {
                const float step = (float)((double)want[i] * 0x1p-40 * 0.3);
                assert_memory_equal(&gradient[i], &step, sizeof step);
            }
        }
        free(want);
        free(have);
        free(gradient);
    }
    for (int s = 0; s < 3; s++)
        free(microbatch[s]);
    free(x);
    network_close(&net);
}

/* The reference tier as it is built for every processor, with the C library's fma, against each
 * tier that this machine has: products forward and back, of shapes that leave rests. */
extern const head_kernels head_kernels_table__ref;

typedef struct products {
    float forward[HEAD_ROWS * 19], back[HEAD_ROWS * 1111];
} products;

static void multiply(const head_kernels *kernels, const float *x, const float *w, products *out)
{
    const head_rows group = {.x = x, .y = out->forward};
    kernels->dot(&group, 1, HEAD_ROWS, w, 1111, 19, 0, 19);
    kernels->back(x, HEAD_ROWS, w, 1111, 19, out->back);
}

static void portable_products_are_every_tiers(void **state)
{
    (void)state;
    float *x = noise((size_t)HEAD_ROWS * 1111, 3), *w = noise((size_t)19 * 1111, 4);
    products *want = calloc(1, sizeof *want), *have = calloc(1, sizeof *have);
    assert_non_null(want);
    assert_non_null(have);
    multiply(&head_kernels_table__ref, x, w, want);
    for (int isa = PULMO_ISA_REF; isa < PULMO_ISA_COUNT; isa++) {
        if (!pulmo_isa_available((pulmo_isa)isa))
            continue;
        multiply(head_kernels_of((pulmo_isa)isa), x, w, have);
        assert_memory_equal(have, want, sizeof *want);
    }
    assert_true(want->forward[0] != want->forward[1] && want->back[0] != want->back[1]);
    free(want);
    free(have);
    free(x);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_do_not_depend_on_company),
        cmocka_unit_test(real_shapes_do_not_depend_on_place),
        cmocka_unit_test(a_microbatch_is_its_samples_in_order),
        cmocka_unit_test(blocks_do_not_change_bits),
        cmocka_unit_test(factors_give_the_gradient),
        cmocka_unit_test(all_at_once_is_the_same),
        cmocka_unit_test(microbatches_add_up_as_integers),
        cmocka_unit_test(threads_do_not_change_bits),
        cmocka_unit_test(portable_products_are_every_tiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
