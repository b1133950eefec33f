/* The fine-tuned convolutions: the same source built for double against plain direct convolutions
 * and central differences, and every tier's float build against the double one. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "pulmo/tuned.h"

/* The same functions built in double (nn_double). */
extern __typeof__(pulmo_tuned_create) tuned64_create;
extern __typeof__(pulmo_tuned_destroy) tuned64_destroy;
extern __typeof__(pulmo_tuned_use) tuned64_use;
extern __typeof__(pulmo_tuned_forward) tuned64_forward;
extern __typeof__(pulmo_tuned_backward) tuned64_backward;
extern __typeof__(pulmo_tuned_bounds) tuned64_bounds;
extern __typeof__(pulmo_tuned_bias_gradient) tuned64_bias_gradient;
extern __typeof__(pulmo_tuned_gradients) tuned64_gradients;
extern __typeof__(pulmo_tuned_below) tuned64_below;

#define IMAGES     5
#define MICROBATCH 2  /* the last microbatch is short */
#define HEIGHT     69 /* 12 x 13 tiles: more than a unit a microbatch; odd sides below the pools */
#define WIDTH      74

static pulmo_tuned_spec spec_of(pulmo_isa isa, pulmo_block_set averaged)
{
    static const int channels[] = {3, 16, 32, 48, 80, 16};
    static const int blocks[] = {1, 1, 3, 5, 5}; /* one of each tile */
    pulmo_tuned_spec spec = {.channels = 3,
                             .height = HEIGHT,
                             .width = WIDTH,
                             .layers = 5,
                             .averaged = averaged,
                             .isa = isa};
    for (int l = 0; l < spec.layers; l++) {
        spec.layer[l].in_channels = channels[l];
        spec.layer[l].out_channels = channels[l + 1];
        spec.layer[l].feature_index = l;
        spec.layer[l].pool_after = l == 1 || l == 2 || l == 4;
        spec.layer[l].block = blocks[l];
    }
    return spec;
}

typedef struct fixture {
    pulmo_layout layout;
    pulmo_block_set averaged;
    size_t features;     /* values of all images */
    float *cut, *weight; /* the loss is sum of weight * features */
    float *parameters;
    double *parameters64;
    pulmo_pool *pool;
} fixture;

static float *noise(size_t count, uint32_t which, double scale)
{
    pulmo_rng rng;
    float *out = malloc(count * sizeof *out);
    assert_non_null(out);
    /* A seed of which no ReLU and no maximum falls to the other side in single precision. */
    pulmo_rng_at(&rng, 37, PULMO_RNG_TEST, which, 0);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(scale * pulmo_rng_normal(&rng));
    return out;
}

static int set_up_with(void **state, pulmo_block_set averaged, double weight)
{
    static fixture f;
    pulmo_tuned_spec spec = spec_of(PULMO_ISA_REF, averaged);
    int channels, height, width;
    pulmo_tuned_shape(&spec, &channels, &height, &width);
    assert_int_equal(channels, averaged ? 32 + 48 + 16 : 16);
    assert_int_equal(height, averaged ? 1 : HEIGHT / 8);
    assert_int_equal(width, averaged ? 1 : WIDTH / 8);
    pulmo_tuned_layout_of(&spec, &f.layout);
    f.averaged = averaged;
    f.features = (size_t)IMAGES * (size_t)(channels * height * width);
    f.cut = noise(IMAGES * 3 * HEIGHT * WIDTH, 1, 1);
    f.weight = noise(f.features, 2, weight);
    f.parameters = malloc(f.layout.parameters * sizeof(float));
    f.parameters64 = malloc(f.layout.parameters * sizeof(double));
    for (int t = 0; t < f.layout.tensors; t++) {
        const pulmo_tensor *tensor = &f.layout.tensor[t];
        float *values = noise((size_t)tensor->rows * (size_t)tensor->cols, 10 + (uint32_t)t,
                              t % 2 ? 0.2 : 1.5 / sqrt(tensor->cols));
        for (size_t i = 0; i < (size_t)tensor->rows * (size_t)tensor->cols; i++) {
            f.parameters[tensor->offset + i] = values[i];
            f.parameters64[tensor->offset + i] = (double)values[i];
        }
        free(values);
    }
    assert_int_equal(pulmo_pool_create(3, &f.pool), PULMO_OK);
    *state = &f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, 0, 1);
}

/* Each block's averages are features: two outputs feed the layer above and the head. */
static int set_up_averaged(void **state)
{
    pulmo_block_set averaged =
        pulmo_block_set_of(1) | pulmo_block_set_of(3) | pulmo_block_set_of(5);
    return set_up_with(state, averaged, 100);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    free(f->cut);
    free(f->weight);
    free(f->parameters);
    free(f->parameters64);
    pulmo_pool_destroy(f->pool);
    return 0;
}

/* ---- plain convolutions to compare with ---- */

static double *plain_layer(const double *in, int images, int c, int k, int height, int width,
                           const double *weight, const double *bias, bool pool)
{
    int h = pool ? height / 2 : height, w = pool ? width / 2 : width;
    double *full = calloc((size_t)(height * width), sizeof *full),
           *out = calloc((size_t)images * (size_t)(k * h * w), sizeof *out);
    for (int n = 0; n < images; n++)
        for (int o = 0; o < k; o++) {
            for (int y = 0; y < height; y++)
                for (int x = 0; x < width; x++) {
                    double sum = bias[o];
                    for (int i = 0; i < c; i++)
                        for (int tap = 0; tap < 9; tap++) {
                            int yy = y + tap / 3 - 1, xx = x + tap % 3 - 1;
                            if (yy >= 0 && yy < height && xx >= 0 && xx < width)
                                sum += weight[(o * c + i) * 9 + tap] *
                                       in[((n * c + i) * height + yy) * width + xx];
                        }
                    full[y * width + x] = sum > 0 ? sum : 0;
                }
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) {
                    double most = pool ? full[2 * y * width + 2 * x] : full[y * width + x];
                    for (int q = 1; pool && q < 4; q++)
                        most = fmax(most, full[(2 * y + q / 2) * width + 2 * x + q % 2]);
                    out[((n * k + o) * h + y) * w + x] = most;
                }
        }
    free(full);
    return out;
}

/* Averages of (IMAGES, channels, cells), to where they stand among an image's `each` features. */
static void plain_averages(const double *values, int channels, int cells, size_t each, double *to)
{
    for (int n = 0; n < IMAGES; n++)
        for (int c = 0; c < channels; c++) {
            double sum = 0;
            for (int i = 0; i < cells; i++)
                sum += *values++;
            to[(size_t)n * each + (size_t)c] = sum / cells;
        }
}

static double *plain_forward(const fixture *f)
{
    pulmo_tuned_spec spec = spec_of(PULMO_ISA_REF, f->averaged);
    double *at = malloc(IMAGES * 3 * HEIGHT * WIDTH * sizeof *at);
    double *averages = calloc(f->features, sizeof *averages), *to = averages;
    int height = HEIGHT, width = WIDTH;
    for (int i = 0; i < IMAGES * 3 * HEIGHT * WIDTH; i++)
        at[i] = (double)f->cut[i];
    for (int l = 0; l < spec.layers; l++) {
        int channels = spec.layer[l].out_channels;
        double *next = plain_layer(at, IMAGES, spec.layer[l].in_channels, channels, height, width,
                                   f->parameters64 + f->layout.tensor[2 * l].offset,
                                   f->parameters64 + f->layout.tensor[2 * l + 1].offset,
                                   spec.layer[l].pool_after);
        free(at);
        at = next;
        if (!spec.layer[l].pool_after)
            continue;
        height /= 2, width /= 2;
        if (!f->averaged)
            continue;
        plain_averages(at, channels, height * width, f->features / IMAGES, to);
        to += channels;
    }
    free(f->averaged ? at : averages);
    return f->averaged ? averages : at;
}

/* ---- sums of all units ---- */

typedef struct totals {
    const fixture *f;
    pthread_mutex_t lock;
    bool wide; /* values are doubles */
    int parts, units;
    double *gradient; /* (parameters), torchvision's order */
} totals;

static void add_part(void *context, const pulmo_tuned_part *part)
{
    totals *t = context;
    const pulmo_tensor *tensor = &t->f->layout.tensor[2 * part->layer];
    const double *wide = (const double *)(const void *)part->values;
    pthread_mutex_lock(&t->lock);
    t->parts++;
    if (part->unit >= t->units)
        t->units = part->unit + 1;
    for (int r = 0; r < part->rows; r++)
        for (int tap = 0; tap < 9; tap++)
            for (int c = 0; c < part->cols; c++) {
                size_t from = (size_t)((r * 9 + tap) * part->stride + c);
                t->gradient[tensor->offset + (size_t)(part->row + r) * (size_t)tensor->cols +
                            (size_t)((part->col + c) * 9 + tap)] +=
                    t->wide ? wide[from] : (double)part->values[from];
            }
    pthread_mutex_unlock(&t->lock);
}

static void totals_open(totals *t, const fixture *f, bool wide)
{
    memset(t, 0, sizeof *t);
    t->f = f;
    t->wide = wide;
    pthread_mutex_init(&t->lock, NULL);
    t->gradient = calloc(f->layout.parameters, sizeof(double));
}

/* The whole gradient in double. */
static double *gradient64(const fixture *f, pulmo_tuned *tuned, double *features)
{
    totals t;
    totals_open(&t, f, true);
    tuned64_use(tuned, (const float *)(const void *)f->parameters64);
    tuned64_forward(tuned, IMAGES, f->cut, (float *)(void *)features);
    tuned64_backward(tuned, f->weight);
    for (int l = 4; l >= 0; l--) {
        double weight, bias;
        tuned64_bounds(tuned, l, &weight, &bias);
        tuned64_gradients(tuned, l, add_part, &t);
        for (int n = 0; n < IMAGES; n++)
            for (int k = 0; k < f->layout.tensor[2 * l + 1].rows; k++)
                t.gradient[f->layout.tensor[2 * l + 1].offset + (size_t)k] +=
                    ((const double *)(const void *)tuned64_bias_gradient(tuned, n))[k];
        if (l > 0)
            tuned64_below(tuned, l);
    }
    return t.gradient;
}

static double loss64(const fixture *f, pulmo_tuned *tuned, double *features)
{
    double loss = 0;
    tuned64_use(tuned, (const float *)(const void *)f->parameters64);
    tuned64_forward(tuned, IMAGES, f->cut, (float *)(void *)features);
    for (size_t i = 0; i < f->features; i++)
        loss += (double)f->weight[i] * features[i];
    return loss;
}

static void forward_is_a_convolution(void **state)
{
    const fixture *f = *state;
    pulmo_tuned_spec spec = spec_of(PULMO_ISA_REF, f->averaged);
    pulmo_tuned *tuned = NULL;
    double *features = calloc(f->features, sizeof *features), *wanted = plain_forward(f);
    assert_int_equal(tuned64_create(&spec, f->pool, MICROBATCH, IMAGES, &tuned), PULMO_OK);
    (void)loss64(f, tuned, features);
    for (size_t i = 0; i < f->features; i++)
        assert_true(fabs(features[i] - wanted[i]) < 1e-12 * (1 + fabs(wanted[i])));
    tuned64_destroy(tuned);
    free(features);
    free(wanted);
}

static void gradients_are_differences(void **state)
{
    const fixture *f = *state;
    pulmo_tuned_spec spec = spec_of(PULMO_ISA_REF, f->averaged);
    pulmo_tuned *tuned = NULL;
    pulmo_rng rng;
    int near = 0, tried = 0;
    double *features = calloc(f->features, sizeof *features);
    assert_int_equal(tuned64_create(&spec, f->pool, MICROBATCH, IMAGES, &tuned), PULMO_OK);
    double *gradient = gradient64(f, tuned, features);
    pulmo_rng_at(&rng, 7, PULMO_RNG_TEST, 0, 0);
    for (int t = 0; t < f->layout.tensors; t++)
        for (int i = 0; i < 3; i++, tried++) {
            const pulmo_tensor *tensor = &f->layout.tensor[t];
            size_t at =
                tensor->offset + pulmo_rng_below(&rng, (uint32_t)(tensor->rows * tensor->cols));
            const double before = f->parameters64[at], h = 1e-6;
            f->parameters64[at] = before + h;
            double up = loss64(f, tuned, features);
            f->parameters64[at] = before - h;
            double down = loss64(f, tuned, features);
            f->parameters64[at] = before;
            double slope = (up - down) / (2 * h);
            /* A step may cross the corner of a ReLU or a pool now and then, in thousands of values.
             */
            near += fabs(slope - gradient[at]) < 1e-5 * (1 + fabs(gradient[at]));
        }
    print_message("%d of %d central differences agree\n", near, tried);
    assert_true(near >= tried - 1);
    tuned64_destroy(tuned);
    free(features);
    free(gradient);
}

/* ---- the float build, every tier ---- */

static void tier_agrees(const fixture *f, pulmo_isa isa, const double *wanted,
                        const double *features64)
{
    pulmo_tuned_spec spec = spec_of(isa, f->averaged);
    pulmo_tuned *tuned = NULL;
    totals t;
    float *features = calloc(f->features, sizeof *features);
    totals_open(&t, f, false);
    assert_int_equal(pulmo_tuned_create(&spec, f->pool, MICROBATCH, IMAGES, &tuned), PULMO_OK);
    pulmo_tuned_use(tuned, f->parameters);
    pulmo_tuned_forward(tuned, IMAGES, f->cut, features);
    for (size_t i = 0; i < f->features; i++)
        assert_true(fabs((double)features[i] - features64[i]) < 1e-4 * (1 + fabs(features64[i])));
    pulmo_tuned_backward(tuned, f->weight);
    for (int l = 4; l >= 0; l--) {
        const pulmo_tensor *weight = &f->layout.tensor[2 * l], *bias = &f->layout.tensor[2 * l + 1];
        double weight_bound, bias_bound, square = 0, error = 0;
        pulmo_tuned_bounds(tuned, l, &weight_bound, &bias_bound);
        t.units = 0;
        pulmo_tuned_gradients(tuned, l, add_part, &t);
        for (int n = 0; n < IMAGES; n++)
            for (int k = 0; k < bias->rows; k++)
                t.gradient[bias->offset + (size_t)k] +=
                    (double)pulmo_tuned_bias_gradient(tuned, n)[k];
        for (size_t i = weight->offset; i < bias->offset + (size_t)bias->rows; i++) {
            square += wanted[i] * wanted[i];
            error += (t.gradient[i] - wanted[i]) * (t.gradient[i] - wanted[i]);
            /* Three microbatches: each microbatch's sum is below the bound. */
            assert_true(fabs(t.gradient[i]) <= 3 * (i < bias->offset ? weight_bound : bias_bound));
        }
        assert_true(sqrt(error / square) < 3e-5);
        if (l == 0)
            assert_true(t.units > 3); /* a microbatch of the first layer is more than one unit */
        if (l > 0)
            pulmo_tuned_below(tuned, l);
    }
    pulmo_tuned_destroy(tuned);
    free(t.gradient);
    free(features);
}

static void tiers_agree_with_double(void **state)
{
    const fixture *f = *state;
    pulmo_tuned_spec spec = spec_of(PULMO_ISA_REF, f->averaged);
    pulmo_tuned *tuned = NULL;
    double *features = calloc(f->features, sizeof *features);
    assert_int_equal(tuned64_create(&spec, f->pool, MICROBATCH, IMAGES, &tuned), PULMO_OK);
    double *wanted = gradient64(f, tuned, features);
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
        if (pulmo_isa_available((pulmo_isa)isa))
            tier_agrees(f, (pulmo_isa)isa, wanted, features);
        else
            print_message("tier %s is not on this machine: skipped\n",
                          pulmo_isa_name((pulmo_isa)isa));
    }
    tuned64_destroy(tuned);
    free(features);
    free(wanted);
}

/* ---- bits ---- */

/* Everything that crosses the interface, for one microbatch of images at a place in a batch. */
static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return hash;
}

typedef struct hashes {
    pthread_mutex_t lock;
    int first_unit, last_unit; /* of the microbatch at hand */
    uint64_t sum;              /* parts come in any order */
} hashes;

static void hash_part(void *context, const pulmo_tuned_part *part)
{
    hashes *h = context;
    if (part->unit < h->first_unit || part->unit >= h->last_unit)
        return;
    int place = part->unit - h->first_unit;
    uint64_t hash = mix(mix(mix(mix(1, &place, sizeof place), &part->layer, sizeof part->layer),
                            &part->row, sizeof part->row),
                        &part->col, sizeof part->col);
    hash = mix(hash, part->values, (size_t)(part->rows * 9 * part->stride) * sizeof(float));
    pthread_mutex_lock(&h->lock);
    h->sum += hash;
    pthread_mutex_unlock(&h->lock);
}

/* The microbatch of images {0, 1} stands first or last among `images`, run by `threads` threads. */
static uint64_t microbatch_bits(const fixture *f, int images, bool last, int threads)
{
    pulmo_tuned_spec spec = spec_of(PULMO_ISA_REF, f->averaged);
    pulmo_pool *pool = NULL;
    pulmo_tuned *tuned = NULL;
    hashes h = {.sum = 0};
    size_t cut = 3 * HEIGHT * WIDTH, each = f->features / IMAGES;
    int place = last ? images - MICROBATCH : 0;
    float *x = malloc((size_t)images * cut * sizeof *x),
          *w = malloc((size_t)images * each * sizeof *w),
          *features = malloc((size_t)images * each * sizeof *w);
    pthread_mutex_init(&h.lock, NULL);
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++)
        if (pulmo_isa_available((pulmo_isa)isa))
            spec.isa = (pulmo_isa)isa;
    for (int n = 0; n < images; n++) {
        int from = n >= place && n < place + MICROBATCH ? n - place : 2 + n % 3;
        memcpy(x + (size_t)n * cut, f->cut + (size_t)from * cut, cut * sizeof *x);
        memcpy(w + (size_t)n * each, f->weight + (size_t)from * each, each * sizeof *w);
    }
    assert_int_equal(pulmo_pool_create(threads, &pool), PULMO_OK);
    assert_int_equal(pulmo_tuned_create(&spec, pool, MICROBATCH, images, &tuned), PULMO_OK);
    pulmo_tuned_use(tuned, f->parameters);
    pulmo_tuned_forward(tuned, images, x, features);
    h.sum = mix(0, features + (size_t)place * each, MICROBATCH * each * sizeof *features);
    pulmo_tuned_backward(tuned, w);
    static const int units_a_microbatch[] = {2, 2, 1, 1, 1};
    for (int l = 4; l >= 0; l--) {
        double weight, bias;
        pulmo_tuned_bounds(tuned, l, &weight, &bias);
        for (int n = place; n < place + MICROBATCH; n++)
            h.sum += mix((uint64_t)(n - place), pulmo_tuned_bias_gradient(tuned, n),
                         (size_t)f->layout.tensor[2 * l + 1].rows * sizeof(float));
        h.first_unit = place / MICROBATCH * units_a_microbatch[l];
        h.last_unit = h.first_unit + units_a_microbatch[l];
        pulmo_tuned_gradients(tuned, l, hash_part, &h);
        if (l > 0)
            pulmo_tuned_below(tuned, l);
    }
    pulmo_tuned_destroy(tuned);
    pulmo_pool_destroy(pool);
    free(x);
    free(w);
    free(features);
    return h.sum;
}

static void a_microbatch_has_its_own_bits(void **state)
{
    const fixture *f = *state;
    uint64_t wanted = microbatch_bits(f, 2, false, 1);
    assert_true(microbatch_bits(f, 2, false, 3) == wanted);
    assert_true(microbatch_bits(f, 4, true, 2) == wanted);
    assert_true(microbatch_bits(f, 8, false, 3) == wanted);
    assert_true(microbatch_bits(f, 6, true, 1) == wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_a_convolution),
        cmocka_unit_test(gradients_are_differences),
        cmocka_unit_test(tiers_agree_with_double),
        cmocka_unit_test(a_microbatch_has_its_own_bits),
    };
    int failed = cmocka_run_group_tests_name("the last block", tests, set_up, tear_down);
    return failed +
           cmocka_run_group_tests_name("averaged blocks", tests, set_up_averaged, tear_down);
}
