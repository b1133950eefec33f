/* The frozen convolutions against a direct evaluation in double, against outside values, and
 * against themselves in other batches and on other numbers of threads. */
#include "support.h"

#include "pulmo/h5.h"
#include "pulmo/head.h"
#include "pulmo/trunk.h"

/* ---- a direct evaluation in double ---- */

static double *naive(const pulmo_weights *weights, int layers, const float *image, int height,
                     int width, int *c, int *h, int *w)
{
    double *here = malloc((size_t)(3 * height * width) * sizeof *here);
    *c = 3, *h = height, *w = width;
    for (int i = 0; i < 3 * height * width; i++)
        here[i] = (double)image[i];
    for (int l = 0; l < layers; l++) {
        const pulmo_conv *conv = &weights->conv[l];
        int out = conv->out_channels, H = *h, W = *w;
        double *there = calloc((size_t)(out * H * W), sizeof *there);
        for (int k = 0; k < out; k++)
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++) {
                    double sum = (double)conv->bias[k];
                    for (int i = 0; i < *c; i++)
                        for (int t = 0; t < 9; t++) {
                            int yy = y + t / 3 - 1, xx = x + t % 3 - 1;
                            if (yy < 0 || yy >= H || xx < 0 || xx >= W)
                                continue;
                            sum += (double)conv->weight[(k * *c + i) * 9 + t] *
                                   here[(i * H + yy) * W + xx];
                        }
                    there[(k * H + y) * W + x] = sum > 0 ? sum : 0;
                }
        free(here);
        here = there;
        *c = out;
        if (!conv->pool_after)
            continue;
        *h = H / 2, *w = W / 2;
        double *pooled = malloc((size_t)(out * *h * *w) * sizeof *pooled);
        for (int k = 0; k < out; k++)
            for (int y = 0; y < *h; y++)
                for (int x = 0; x < *w; x++) {
                    const double *at = here + (k * H + 2 * y) * W + 2 * x;
                    pooled[(k * *h + y) * *w + x] =
                        fmax(fmax(at[0], at[1]), fmax(at[W], at[W + 1]));
                }
        free(here);
        here = pooled;
    }
    return here;
}

/* A small network with odd widths: `pools` says after which layers. */
static void small_network(pulmo_weights *out, const int *widths, const int *pools, int convs)
{
    size_t total = 0;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < convs; i++)
        total += (size_t)(widths[i] * ((i ? widths[i - 1] : 3) * 9 + 1));
    float *at = pulmo_alloc(total, sizeof *at);
    out->storage = at;
    out->convs = convs;
    for (int i = 0; i < convs; i++) {
        int in = i ? widths[i - 1] : 3;
        out->conv[i] =
            (pulmo_conv){.in_channels = in, .out_channels = widths[i], .pool_after = pools[i]};
        fill_normal(at, (size_t)(widths[i] * in * 9), (unsigned)i);
        for (int k = 0; k < widths[i] * in * 9; k++)
            at[k] *= (float)sqrt(2.0 / (9 * in));
        out->conv[i].weight = at;
        at += widths[i] * in * 9;
        fill_normal(at, (size_t)widths[i], (unsigned)(100 + i));
        for (int k = 0; k < widths[i]; k++)
            at[k] *= 0.1f;
        out->conv[i].bias = at;
        at += widths[i];
    }
}

static void run_spec(const pulmo_trunk_spec *spec, const pulmo_weights *weights, int threads, int n,
                     const float *images, float **features, int shape[3])
{
    pulmo_pool *pool = NULL;
    pulmo_trunk *trunk = NULL;
    assert_ok(pulmo_pool_create(threads, &pool));
    assert_ok(pulmo_trunk_create(spec, weights, NULL, pool, &trunk));
    pulmo_trunk_shape(trunk, &shape[0], &shape[1], &shape[2]);
    *features = malloc((size_t)n * (size_t)(shape[0] * shape[1] * shape[2]) * sizeof(float) + 1);
    pulmo_trunk_forward(trunk, n, images, *features);
    pulmo_trunk_destroy(trunk);
    pulmo_pool_destroy(pool);
}

static void run(const pulmo_weights *weights, int height, int width, int blocks, pulmo_isa isa,
                int threads, int batch, int n, const float *images, float **features, int shape[3])
{
    pulmo_trunk_spec spec;
    pulmo_trunk_spec_init(&spec);
    spec.height_px = height, spec.width_px = width, spec.blocks = blocks, spec.isa = isa,
    spec.batch = batch;
    run_spec(&spec, weights, threads, n, images, features, shape);
}

/* A layer's error, element by element, is bounded and tested in test_kernels.c. Over several layers
 * the worst case says little; here an error of a coefficient, an edge or a channel is looked for,
 * which is at least 1e-3 of the features' norm, where rounding is 1e-6. */
#define RMS_BOUND 1e-5

static void check_shape(int height, int width, int blocks)
{
    static const int widths[] = {16, 48, 32, 80, 16, 64}, pools[] = {0, 1, 0, 1, 0, 1};
    pulmo_weights weights;
    small_network(&weights, widths, pools, 6);
    size_t floats = 3 * (size_t)(height * width);
    float *image = malloc(floats * sizeof *image);
    fill_normal(image, floats, 7);
    int c, h, w, layers = blocks ? 2 * blocks : 6;
    double *truth = naive(&weights, layers, image, height, width, &c, &h, &w);
    float *expected = malloc((size_t)(c * h * w) * sizeof *expected);
    for (int i = 0; i < c * h * w; i++)
        expected[i] = (float)truth[i];
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
        int shape[3];
        float *features = NULL;
        if (!pulmo_isa_available((pulmo_isa)isa)) {
            print_message("skipped: tier %s: this CPU lacks it\n", pulmo_isa_name((pulmo_isa)isa));
            continue;
        }
        run(&weights, height, width, blocks, (pulmo_isa)isa, 2, 4, 1, image, &features, shape);
        assert_int_equal(shape[0], c);
        assert_int_equal(shape[1], h);
        assert_int_equal(shape[2], w);
        double error = relative_rms(features, expected, (size_t)(c * h * w));
        if (!(error < RMS_BOUND))
            fail_msg("%d x %d, %s: relative RMS error %g", height, width,
                     pulmo_isa_name((pulmo_isa)isa), error);
        free(features);
    }
    free(expected);
    free(truth);
    free(image);
    pulmo_weights_free(&weights);
}

static void test_shapes(void **state)
{
    (void)state;
    check_shape(32, 32, 0);
    check_shape(33, 47, 0);
    check_shape(46, 35, 2);
    check_shape(61, 34, 1);
}

/* VGG11 pools after its first layer. */
static void test_pool_after_first(void **state)
{
    static const int widths[] = {32, 16}, pools[] = {1, 1};
    pulmo_weights weights;
    (void)state;
    small_network(&weights, widths, pools, 2);
    float image[3 * 37 * 42], *features = NULL;
    int c, h, w, shape[3];
    fill_normal(image, sizeof image / sizeof *image, 3);
    double *truth = naive(&weights, 2, image, 37, 42, &c, &h, &w);
    run(&weights, 37, 42, 0, PULMO_ISA_REF, 1, 2, 1, image, &features, shape);
    for (int i = 0; i < c * h * w; i++)
        assert_true(fabs((double)features[i] - truth[i]) < 1e-4);
    free(features);
    free(truth);
    pulmo_weights_free(&weights);
}

/* The bits of an image's features do not depend on its company, its place, the threads or the tier.
 */
static void test_same_bits(void **state)
{
    static const int widths[] = {16, 32, 48, 64}, pools[] = {0, 1, 0, 1};
    enum { N = 7, SIDE = 36 };
    pulmo_weights weights;
    (void)state;
    small_network(&weights, widths, pools, 4);
    size_t floats = 3 * SIDE * SIDE;
    float *images = malloc(N * floats * sizeof *images);
    fill_normal(images, N * floats, 5);
    float *wanted = NULL;
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
        int shape[3];
        float *all = NULL, *one = NULL;
        if (!pulmo_isa_available((pulmo_isa)isa))
            continue;
        run(&weights, SIDE, SIDE, 0, (pulmo_isa)isa, 1, N, N, images, &all, shape);
        size_t each = (size_t)(shape[0] * shape[1] * shape[2]);
        if (!wanted) {
            wanted = malloc(N * each * sizeof *wanted);
            memcpy(wanted, all, N * each * sizeof *wanted);
        }
        assert_memory_equal(all, wanted, N * each * sizeof *wanted);
        for (int threads = 1; threads <= 3; threads++)
            for (int batch = 1; batch <= 5; batch += 2) {
                run(&weights, SIDE, SIDE, 0, (pulmo_isa)isa, threads, batch, N, images, &one,
                    shape);
                assert_memory_equal(one, all, N * each * sizeof *all);
                free(one);
            }
        for (int i = 0; i < N; i++) {
            run(&weights, SIDE, SIDE, 0, (pulmo_isa)isa, 2, 16, 1, images + (size_t)i * floats,
                &one, shape);
            assert_memory_equal(one, all + (size_t)i * each, each * sizeof *all);
            free(one);
        }
        free(all);
    }
    free(wanted);
    free(images);
    pulmo_weights_free(&weights);
}

static float pooled(const float *plane, int width, int y, int x)
{
    const float *at = plane + 2 * y * width + 2 * x;
    return fmaxf(fmaxf(at[0], at[1]), fmaxf(at[width], at[width + 1]));
}

/* Without the last pool, `blocks` blocks of `weights` give what pools to the usual features. */
static void check_kept(const pulmo_weights *weights, pulmo_isa isa, int blocks, int height,
                       int width)
{
    enum { N = 3 };
    size_t floats = N * 3 * (size_t)(height * width);
    float *images = malloc(floats * sizeof *images), *small = NULL, *kept = NULL;
    int shape[3], full[3];
    pulmo_trunk_spec spec;
    fill_normal(images, floats, 9);
    pulmo_trunk_spec_init(&spec);
    spec.height_px = height, spec.width_px = width, spec.blocks = blocks, spec.isa = isa,
    spec.batch = 2;
    run_spec(&spec, weights, 2, N, images, &small, shape);
    size_t packed_bytes = pulmo_trunk_packed_bytes(&spec, weights);
    spec.keep_last_resolution = 1;
    run_spec(&spec, weights, 2, N, images, &kept, full);
    assert_int_equal(pulmo_trunk_packed_bytes(&spec, weights), packed_bytes);
    assert_int_equal(full[0], shape[0]);
    assert_int_equal(full[1] / 2, shape[1]);
    assert_int_equal(full[2] / 2, shape[2]);
    const float *at = small;
    for (int plane = 0; plane < N * full[0]; plane++)
        for (int y = 0; y < shape[1]; y++)
            for (int x = 0; x < shape[2]; x++) {
                float value = pooled(kept + plane * full[1] * full[2], full[2], y, x);
                assert_memory_equal(&value, at++, sizeof value);
            }
    free(images);
    free(small);
    free(kept);
}

static void test_keep_last_resolution(void **state)
{
    static const int widths[] = {16, 48, 32, 80, 16, 64}, pools[] = {0, 1, 0, 1, 0, 1};
    static const int one_width[] = {32, 16},
                     one_pools[] = {1, 1}; /* the direct layer is a block of its own */
    pulmo_weights weights, first;
    (void)state;
    small_network(&weights, widths, pools, 6);
    small_network(&first, one_width, one_pools, 2);
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
        if (!pulmo_isa_available((pulmo_isa)isa))
            continue;
        for (int blocks = 0; blocks <= 3; blocks++) {
            check_kept(&weights, (pulmo_isa)isa, blocks, 32, 40);
            check_kept(&weights, (pulmo_isa)isa, blocks, 35,
                       33); /* a last row and column outside every pool */
        }
        check_kept(&first, (pulmo_isa)isa, 1, 33, 32);
    }
    pulmo_weights_free(&weights);
    pulmo_weights_free(&first);
}

/* ---- averaged blocks ---- */

enum { BLOCKS = 5, AVERAGED_IMAGES = 5 };

/* The averages of one block's output, as a head makes them of it: (AVERAGED_IMAGES, channels). */
static float *block_averages(const pulmo_trunk_spec *spec, const pulmo_weights *weights, int block,
                             const float *images, int *channels)
{
    pulmo_trunk_spec until = *spec;
    float *features = NULL;
    int shape[3];
    until.blocks = block;
    until.averaged = 0;
    until.keep_last_resolution = false;
    run_spec(&until, weights, 1, AVERAGED_IMAGES, images, &features, shape);
    const pulmo_head_spec head = {
        .channels = shape[0], .height = shape[1], .width = shape[2], .pool = PULMO_POOL_AVG};
    size_t each = (size_t)(shape[0] * shape[1] * shape[2]);
    float *out = malloc((size_t)(AVERAGED_IMAGES * shape[0]) * sizeof *out);
    for (int n = 0; n < AVERAGED_IMAGES; n++)
        pulmo_head_pool(&head, features + (size_t)n * each, out + n * shape[0]);
    free(features);
    *channels = shape[0];
    return out;
}

/* Bit for bit what heads make of the blocks one by one, whatever the batch and the threads. */
static void check_averaged(const pulmo_trunk_spec *spec, const pulmo_weights *weights, int threads,
                           const float *images)
{
    float *features = NULL;
    int shape[3], at = 0;
    run_spec(spec, weights, threads, AVERAGED_IMAGES, images, &features, shape);
    assert_int_equal(shape[1], 1);
    assert_int_equal(shape[2], 1);
    for (int block = 1; block <= BLOCKS; block++) {
        int channels = 0;
        if (!pulmo_block_set_has(spec->averaged, block))
            continue;
        float *wanted = block_averages(spec, weights, block, images, &channels);
        size_t bytes = (size_t)channels * sizeof *wanted;
        for (int n = 0; n < AVERAGED_IMAGES; n++)
            assert_memory_equal(features + n * shape[0] + at, wanted + n * channels, bytes);
        at += channels;
        free(wanted);
    }
    assert_int_equal(at, shape[0]);
    free(features);
}

static void check_averages_below(pulmo_trunk_spec *spec, const pulmo_weights *weights,
                                 const float *image)
{
    pulmo_pool *pool = NULL;
    pulmo_trunk *trunk = NULL;
    pulmo_block_set averaged = spec->averaged;
    float *kept = NULL, *all = NULL;
    int shape[3];
    spec->keep_last_resolution = true;
    assert_ok(pulmo_pool_create(2, &pool));
    assert_ok(pulmo_trunk_create(spec, weights, NULL, pool, &trunk));
    int below = pulmo_trunk_averages_below(trunk);
    pulmo_trunk_shape(trunk, &shape[0], &shape[1], &shape[2]);
    size_t values = (size_t)(shape[0] * shape[1] * shape[2]);
    float *features = malloc(((size_t)below + values) * sizeof *features);
    pulmo_trunk_forward(trunk, 1, image, features);
    pulmo_trunk_destroy(trunk);
    pulmo_pool_destroy(pool);
    spec->averaged = 0;
    run_spec(spec, weights, 1, 1, image, &kept, shape);
    assert_memory_equal(features + below, kept, values * sizeof *kept);
    spec->averaged = averaged;
    spec->keep_last_resolution = false;
    run_spec(spec, weights, 1, 1, image, &all, shape);
    assert_memory_equal(features, all, (size_t)below * sizeof *all);
    free(features);
    free(kept);
    free(all);
}

static void test_averaged(void **state)
{
    static const int widths[] = {16, 48, 32, 80, 16, 64}, pools[] = {0, 1, 1, 1, 1, 1};
    static const int sets[][BLOCKS + 1] = {{4, 5}, {1, 3, 5}, {1, 2, 3, 4, 5}, {5}};
    enum { HEIGHT = 46, WIDTH = 67 };
    pulmo_weights weights;
    pulmo_trunk_spec spec;
    (void)state;
    small_network(&weights, widths, pools, 6);
    size_t floats = 3 * HEIGHT * WIDTH;
    float *images = malloc(AVERAGED_IMAGES * floats * sizeof *images);
    fill_normal(images, AVERAGED_IMAGES * floats, 13);
    pulmo_trunk_spec_init(&spec);
    spec.height_px = HEIGHT, spec.width_px = WIDTH;
    for (int i = 0; i < 4; i++) {
        spec.averaged = 0;
        for (int b = 0; sets[i][b]; b++)
            spec.averaged |= pulmo_block_set_of(sets[i][b]);
        for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
            if (!pulmo_isa_available((pulmo_isa)isa))
                continue;
            spec.isa = (pulmo_isa)isa;
            for (spec.batch = 1; spec.batch <= 5; spec.batch += 2)
                check_averaged(&spec, &weights, 1 + spec.batch / 2, images);
        }
        check_averages_below(&spec, &weights, images);
    }
    free(images);
    pulmo_weights_free(&weights);
}

static void test_averaged_blocks_end_with_the_last(void **state)
{
    static const int widths[] = {16, 48, 32}, pools[] = {1, 1, 1};
    pulmo_weights weights;
    pulmo_pool *pool = NULL;
    pulmo_trunk *trunk = NULL;
    pulmo_trunk_spec spec;
    (void)state;
    small_network(&weights, widths, pools, 3);
    assert_ok(pulmo_pool_create(1, &pool));
    pulmo_trunk_spec_init(&spec);
    spec.averaged = pulmo_block_set_of(2);
    assert_refused(pulmo_trunk_create(&spec, &weights, NULL, pool, &trunk), PULMO_WEIGHTS,
                   "must end with block 3");
    spec.averaged |= pulmo_block_set_of(3) | pulmo_block_set_of(4);
    assert_refused(pulmo_trunk_create(&spec, &weights, NULL, pool, &trunk), PULMO_WEIGHTS,
                   "must end with block 3");
    pulmo_pool_destroy(pool);
    pulmo_weights_free(&weights);
}

/* All images together and each alone are within rounding of the truth. */
static void check_golden(const char *what, const pulmo_trunk_spec *spec,
                         const pulmo_weights *weights, int n, const float *images,
                         const float *truth)
{
    int shape[3];
    float *features = NULL;
    double worst = 0;
    run_spec(spec, weights, 2, n, images, &features, shape);
    size_t each = (size_t)(shape[0] * shape[1] * shape[2]);
    double error = relative_rms(features, truth, (size_t)n * each);
    for (int i = 0; i < n; i++)
        worst = fmax(worst, relative_rms(features + i * each, truth + i * each, each));
    print_message("pool5 against PyTorch in float64, %s, %s: relative RMS error %.2e, of the worst "
                  "image %.2e\n",
                  pulmo_isa_name(spec->isa), what, error, worst);
    assert_true(error <= 5e-6);
    assert_true(worst <= 1e-5);
    free(features);
}

/* PyTorch's float64 features of real images. */
static void test_golden(void **state)
{
    char *path = outside_data("golden/vgg16_pool5.h5");
    const char *weights_path = getenv("PULMO_WEIGHTS");
    (void)state;
    if (!path || !weights_path) {
        print_message("skipped: PULMO_TEST_DATA and PULMO_WEIGHTS are not both set\n");
        free(path);
        skip();
    }
    enum { N = 16, SIDE = 224 };
    const uint64_t pixel_dims[4] = {N, SIDE, SIDE, 3}, pool_dims[4] = {N, 512, 7, 7};
    const size_t plane = SIDE * SIDE, each = 512 * 7 * 7;
    uint8_t *pixels = malloc(N * plane * 3);
    float *truth = malloc(N * each * sizeof *truth),
          *images = malloc(N * plane * 3 * sizeof *images);
    pulmo_h5 *file = NULL;
    pulmo_weights weights;
    pulmo_trunk_spec spec;
    assert_ok(pulmo_h5_open(path, &file));
    assert_ok(pulmo_h5_read(file, "pixels", PULMO_H5_U8, 4, pixel_dims, pixels));
    assert_ok(pulmo_h5_read(file, "pool5", PULMO_H5_F32, 4, pool_dims, truth));
    pulmo_h5_close(file);
    assert_ok(pulmo_weights_read(weights_path, &weights));
    for (size_t n = 0; n < N; n++)
        for (size_t i = 0; i < plane; i++)
            for (size_t c = 0; c < 3; c++)
                images[(n * 3 + c) * plane + i] =
                    ((float)pixels[(n * plane + i) * 3 + c] / 255.0f - weights.mean[c]) /
                    weights.std[c];
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
        if (!pulmo_isa_available((pulmo_isa)isa))
            continue;
        pulmo_trunk_spec_init(&spec);
        spec.isa = (pulmo_isa)isa;
        check_golden("frozen", &spec, &weights, N, images, truth);
        spec.fine_tuned_from = 0;
        check_golden("as in training", &spec, &weights, N, images, truth);
    }
    pulmo_weights_free(&weights);
    free(pixels);
    free(truth);
    free(images);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),    cmocka_unit_test(test_pool_after_first),
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_keep_last_resolution),
        cmocka_unit_test(test_averaged),  cmocka_unit_test(test_averaged_blocks_end_with_the_last),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
