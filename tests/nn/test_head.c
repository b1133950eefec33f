/* The head as its header promises it: PyTorch's numbers, its shape, dropout, and what it refuses or
 * reports. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/heads.h"

static void assert_near(const float *have, const float *want, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)have[i] - (double)want[i]) <= tolerance))
            fail_msg("element %zu is %.9g, not %.9g", i, (double)have[i], (double)want[i]);
}

/* ---- PyTorch's numbers ---- */

/* torch.tensor([s * math.sin(f * (i + 1)) for i in range(n)], dtype=torch.float64).float() */
static void wave(float *out, int n, double f, double s)
{
    for (int i = 0; i < n; i++)
        out[i] = (float)(s * sin(f * (i + 1)));
}

/* With wave() as above, in PyTorch 2:
 *   x = wave(24, 1.7, 2).reshape(2, 3, 2, 2); W1 = wave(24, 2.3, 1).reshape(4, 6); b1 = wave(4,
 * 0.7, 0.5) W2 = wave(12, 3.1, 1).reshape(3, 4); b2 = wave(3, 1.1, 0.25) f =
 * torch.cat([F.adaptive_avg_pool2d(x, 1).flatten(1), F.adaptive_max_pool2d(x, 1).flatten(1)], 1) z
 * = F.linear(F.relu(F.linear(f, W1, b1)), W2, b2) l = F.cross_entropy(z, torch.tensor([2, 0]),
 * weight=torch.tensor([0.5, 1, 2.5]), label_smoothing=0.1, reduction='sum'); l.backward() */
static const float torch_logits[6] = {0.242177144f, 0.357040048f, 0.2467421f,
                                      0.24254182f,  0.363015145f, 0.258162588f};
static const double torch_loss = 3.36500502;
static const float torch_gradient[43] = {
    -0.0517141521f,
    -0.063618727f,
    -0.0589057915f,
    -0.62779665f,
    -0.542456329f,
    -0.620435476f,
    0.0511341356f,
    0.0629242286f,
    0.0582782067f,
    0.620607436f,
    0.536239386f,
    0.613287508f,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    -0.309386432f,
    0.305818856f,
    0,
    0,
    0.528988481f,
    0.157625794f,
    0,
    0,
    1.1821624f,
    0.358150601f,
    0,
    0,
    -1.71115077f,
    -0.515776396f,
    0,
    0,
    0.4645693f,
    0.99778533f,
    -1.46235454f,
};

static void numbers_are_pytorchs(void **state)
{
    (void)state;
    pulmo_head_spec spec = {.channels = 3,
                            .height = 2,
                            .width = 2,
                            .pool = PULMO_POOL_AVGMAX,
                            .hidden_layers = 1,
                            .hidden = {4},
                            .classes = 3};
    const float weights[3] = {0.5f, 1, 2.5f};
    const int32_t labels[2] = {2, 0};
    const uint32_t samples[2] = {0, 1};
    float x[24], logits[6];
    network net;
    network_open(&net, &spec, 8, 1);
    pulmo_head_destroy(net.head);
    net.loss = (pulmo_loss_spec){0.1, weights};
    assert_int_equal(pulmo_head_create(&spec, &net.loss, 8, 1, net.parameters, &net.head),
                     PULMO_OK);
    wave(x, 24, 1.7, 2);
    wave(net.parameters, 24, 2.3, 1);
    wave(net.parameters + 24, 4, 0.7, 0.5);
    wave(net.parameters + 28, 12, 3.1, 1);
    wave(net.parameters + 40, 3, 1.1, 0.25);

    pulmo_microbatch_input input = {2, x, labels, samples, 0, 0};
    pulmo_microbatch_result result;
    pulmo_head_microbatch_run(net.head, 0, &input, &result);
    float *have = gradients(&net, 0);
    /* Fewer than 20 roundings a number, of terms below 4, here and there. */
    const double tolerance = 2 * 20 * 4 * 0x1p-24;
    assert_float_equal((float)result.loss, (float)torch_loss, (float)tolerance);
    assert_float_equal((float)result.weight, 3.0f, 0);
    assert_near(have, torch_gradient, 43, tolerance);
    pulmo_head_logits(net.head, 2, x, logits);
    assert_near(logits, torch_logits, 6, tolerance);
    free(have);
    network_close(&net);
}

/* L = torch.tensor(rows, dtype=torch.float64); w = torch.tensor([0.5, 1, 2.5], dtype=torch.float64)
 * F.cross_entropy(L, torch.tensor([0, 2, 1, 1]), weight=None or w, label_smoothing=0 or 0.1,
 * reduction='none') */
static const float ce_rows[4][3] = {
    {1.5f, -0.25f, 0.75f}, {0.125f, 2, -3}, {-1, 0.5f, 0.25f}, {30, -30, 10}};
static const int ce_labels[4] = {0, 2, 1, 1};
static const double ce_torch[4][4] = {
    {0.4984334547431499, 5.1485001000519794, 0.6941121864019144, 60.00000000206116},
    {0.5817667880764832, 4.877666766718646, 0.7524455197352478, 56.66666666872783},
    {0.24921672737157494, 12.871250250129949, 0.6941121864019144, 60.00000000206116},
    {0.4115861819335041, 12.051841905123885, 0.7630825926153116, 57.66666666879653},
};
/* The same with reduction='mean'. */
static const double ce_mean[4] = {16.58526143581455, 15.719636435814552, 14.762915833192917,
                                  14.178635469693845};

static void cross_entropy_is_pytorchs(void **state)
{
    (void)state;
    const float weights[3] = {0.5f, 1, 2.5f};
    for (int form = 0; form < 4; form++) {
        pulmo_loss_spec loss = {form % 2 ? 0.1 : 0, form / 2 ? weights : NULL};
        double sum = 0, total = 0;
        for (int i = 0; i < 4; i++) {
            double weight, have = pulmo_cross_entropy(&loss, 3, ce_rows[i], ce_labels[i], &weight);
            assert_true(fabs(have - ce_torch[form][i]) <= 1e-14 * (1 + have));
            sum += have;
            total += weight;
        }
        assert_true(fabs(sum / total - ce_mean[form]) <= 1e-14 * ce_mean[form]);
    }
}

static void softmax_survives_large_logits(void **state)
{
    (void)state;
    const float logits[6] = {1e4f, 1e4f, -1e4f, 0, 88, 0};
    float p[6];
    pulmo_softmax(2, 3, logits, p);
    assert_true(p[0] == 0.5f && p[1] == 0.5f && p[2] == 0);
    assert_true(p[4] == 1.0f && p[3] == (float)exp(-88.0) && p[5] == p[3]);
    pulmo_loss_spec loss = {0, NULL};
    double weight;
    assert_true(pulmo_cross_entropy(&loss, 3, logits, 2, &weight) == 2e4 + log(2.0));
}

/* ---- shape ---- */

static void layout_is_torchvisions(void **state)
{
    (void)state;
    pulmo_head_spec spec;
    pulmo_layout layout;
    pulmo_head_spec_init(&spec);
    assert_int_equal(pulmo_head_inputs(&spec), 25088);
    spec.hidden_layers = 2;
    spec.hidden[0] = 256;
    spec.hidden[1] = 64;
    spec.classes = 3;
    pulmo_head_layout_of(&spec, &layout);
    const char *names[6] = {"classifier.0.weight", "classifier.0.bias",   "classifier.3.weight",
                            "classifier.3.bias",   "classifier.6.weight", "classifier.6.bias"};
    const int rows[6] = {256, 256, 64, 64, 3, 3}, cols[6] = {25088, 1, 256, 1, 64, 1};
    size_t offset = 0;
    assert_int_equal(layout.tensors, 6);
    for (int t = 0; t < 6; t++) {
        assert_string_equal(layout.tensor[t].name, names[t]);
        assert_int_equal(layout.tensor[t].rows, rows[t]);
        assert_int_equal(layout.tensor[t].cols, cols[t]);
        assert_true(layout.tensor[t].offset == offset);
        offset += (size_t)rows[t] * (size_t)cols[t];
    }
    assert_true(layout.parameters == offset);
    spec.pool = PULMO_POOL_AVG;
    assert_int_equal(pulmo_head_inputs(&spec), 512);
    spec.pool = PULMO_POOL_MAX;
    assert_int_equal(pulmo_head_inputs(&spec), 512);
    spec.pool = PULMO_POOL_AVGMAX;
    assert_int_equal(pulmo_head_inputs(&spec), 1024);
}

static void initial_weights_are_linears(void **state)
{
    (void)state;
    pulmo_head_spec spec = small_spec();
    pulmo_layout layout;
    pulmo_head_layout_of(&spec, &layout);
    float *a = malloc(layout.parameters * sizeof *a), *b = malloc(layout.parameters * sizeof *b);
    assert_non_null(a);
    assert_non_null(b);
    pulmo_head_parameters_init(&spec, 1, a);
    pulmo_head_parameters_init(&spec, 1, b);
    assert_memory_equal(a, b, layout.parameters * sizeof *a);
    pulmo_head_parameters_init(&spec, 2, b);
    for (int t = 0; t < layout.tensors; t++) {
        size_t count = (size_t)layout.tensor[t].rows * (size_t)layout.tensor[t].cols;
        double bound = 1 / sqrt(layout.tensor[t / 2 * 2].cols), sum = 0, square = 0, both = 0;
        for (size_t i = layout.tensor[t].offset; i < layout.tensor[t].offset + count; i++) {
            double x = (double)a[i] / bound;
            assert_true(fabs(x) <= 1 + 0x1p-23);
            sum += x;
            square += x * x;
            both += x * ((double)b[i] / bound);
        }
        /* Five standard deviations of a uniform variable's mean, mean square and of a product of
         * two. */
        double n = (double)count;
        assert_true(fabs(sum / n) < 5 * sqrt(1 / 3.0 / n));
        assert_true(fabs(square / n - 1 / 3.0) < 5 * sqrt(4 / 45.0 / n));
        assert_true(fabs(both / n) < 5 * sqrt(1 / 9.0 / n));
    }
    free(a);
    free(b);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    const pulmo_loss_spec plain = {0, NULL}, smooth = {1.0, NULL};
    const float nothing[1] = {0};
    pulmo_head *head = NULL;
    pulmo_head_spec spec = small_spec(), bad;
#define REFUSED(field, wrong, word)                                                                \
    bad = spec;                                                                                    \
    bad.field = wrong;                                                                             \
    assert_int_equal(pulmo_head_create(&bad, &plain, 8, 1, nothing, &head), PULMO_CONFIG);         \
    assert_non_null(strstr(pulmo_error(), word));                                                  \
    assert_null(head)
    REFUSED(classes, 0, "0 classes");
    REFUSED(classes, 1001, "1001 classes");
    REFUSED(hidden_layers, 9, "9 hidden layers");
    REFUSED(hidden[1], 0, "hidden layer 2");
    REFUSED(dropout, 1.0, "dropout 1");
    REFUSED(dropout, (double)NAN, "dropout");
    REFUSED(channels, 0, "0 x 3 x 5");
    REFUSED(height, 1 << 30, "2^27");
#undef REFUSED
    assert_int_equal(pulmo_head_create(&spec, &smooth, 8, 1, nothing, &head), PULMO_CONFIG);
    assert_non_null(strstr(pulmo_error(), "label smoothing 1"));
    assert_int_equal(pulmo_head_create(&spec, &plain, 0, 1, nothing, &head), PULMO_CONFIG);
    pulmo_head_destroy(NULL);
}

/* ---- dropout ---- */

/* With features of one and no hidden layer, a row of the weight's gradient is the logit's
 * gradient times the mask. */
static float *mask_of(network *net, uint64_t seed, uint32_t epoch, uint32_t sample, int place)
{
    size_t inputs = floats_of(&net->spec);
    float *x = malloc(8 * inputs * sizeof *x);
    float *mask = malloc(inputs * sizeof *mask);
    const int32_t labels[8] = {0};
    uint32_t samples[8] = {71, 72, 73, 74, 75, 76, 77, 78};
    assert_non_null(x);
    assert_non_null(mask);
    samples[place] = sample;
    for (size_t i = 0; i < 8 * inputs; i++)
        x[i] = i / inputs == (size_t)place;
    pulmo_microbatch_input input = {8, x, labels, samples, seed, epoch};
    pulmo_microbatch_result result;
    pulmo_head_microbatch_run(net->head, 0, &input, &result);
    pulmo_head_microbatch_gradient(net->head, 0, &(pulmo_block){0, 0, 1, 0, (int)inputs}, mask);
    float most = 0;
    for (size_t i = 0; i < inputs; i++)
        most = fmaxf(most, fabsf(mask[i]));
    for (size_t i = 0; i < inputs; i++)
        mask[i] = fabsf(mask[i]) / most;
    free(x);
    return mask;
}

static void dropout_is_keyed_by_the_sample(void **state)
{
    (void)state;
    pulmo_head_spec spec = {
        .channels = 4000, .height = 1, .width = 1, .classes = 2, .dropout = 0.3};
    network net;
    network_open(&net, &spec, 8, 1);
    float *a = mask_of(&net, 1, 0, 5, 0);
    double kept = 0;
    for (int i = 0; i < 4000; i++) {
        assert_true(a[i] == 0 || a[i] == 1);
        kept += (double)a[i];
    }
    assert_true(fabs(kept / 4000 - 0.7) < 5 * sqrt(0.3 * 0.7 / 4000));
    float *same = mask_of(&net, 1, 0, 5, 6);
    assert_memory_equal(a, same, 4000 * sizeof *a);
    float *others[3] = {mask_of(&net, 2, 0, 5, 0), mask_of(&net, 1, 1, 5, 0),
                        mask_of(&net, 1, 0, 6, 0)};
    for (int k = 0; k < 3; k++) {
        double agree = 0;
        for (int i = 0; i < 4000; i++)
            agree += a[i] == others[k][i];
        /* Two independent masks agree with probability 0.7^2 + 0.3^2. */
        assert_true(fabs(agree / 4000 - 0.58) < 5 * sqrt(0.58 * 0.42 / 4000));
        free(others[k]);
    }
    free(a);
    free(same);
    network_close(&net);
}

/* Kept values grow by 1 / (1 - p): with a zero weight matrix p = 1/2 at two classes, so the
 * gradient is half the scaled feature. */
static void dropout_is_inverted(void **state)
{
    (void)state;
    pulmo_head_spec spec = {.channels = 64, .height = 1, .width = 1, .classes = 2, .dropout = 0.75};
    network net;
    network_open(&net, &spec, 8, 1);
    memset(net.parameters, 0, net.layout.parameters * sizeof(float));
    float x[64], row[64];
    const int32_t label = 1;
    const uint32_t sample = 9;
    for (int i = 0; i < 64; i++)
        x[i] = (float)(i + 1);
    pulmo_microbatch_input input = {1, x, &label, &sample, 3, 0};
    pulmo_microbatch_result result;
    pulmo_head_microbatch_run(net.head, 0, &input, &result);
    pulmo_head_microbatch_gradient(net.head, 0, &(pulmo_block){0, 0, 1, 0, 64}, row);
    int kept = 0;
    for (int i = 0; i < 64; i++) {
        assert_true(row[i] == 0 || row[i] == 0.5f * 4 * x[i]);
        kept += row[i] > 0;
    }
    assert_in_range(kept, 3, 32);
    network_close(&net);
}

/* ---- what must be noticed ---- */

static int finite_with(network *net, float *x, size_t at, float value)
{
    const int32_t labels[8] = {0, 1, 2, 0, 1, 2, 0, 1};
    const uint32_t samples[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float was = x[at];
    pulmo_microbatch_input input = {8, x, labels, samples, 1, 0};
    pulmo_microbatch_result result;
    x[at] = value;
    pulmo_head_microbatch_run(net->head, 0, &input, &result);
    x[at] = was;
    return result.finite;
}

static void not_a_number_is_noticed(void **state)
{
    (void)state;
    const pulmo_pooling pools[4] = {PULMO_POOL_FLATTEN, PULMO_POOL_AVG, PULMO_POOL_MAX,
                                    PULMO_POOL_AVGMAX};
    for (int p = 0; p < 4; p++) {
        pulmo_head_spec spec = small_spec();
        spec.pool = pools[p];
        spec.dropout = 0;
        float *x = noise(8 * floats_of(&spec), 6);
        network net;
        network_open(&net, &spec, 8, 1);
        assert_true(finite_with(&net, x, 0, 0.5f));
        const size_t places[4] = {0, 7, floats_of(&spec) - 1, 8 * floats_of(&spec) - 1};
        for (int i = 0; i < 4; i++) {
            assert_false(finite_with(&net, x, places[i], NAN));
            assert_false(finite_with(&net, x, places[i], INFINITY));
        }
        for (int t = 0; t < net.layout.tensors; t++) {
            float *weight = net.parameters + net.layout.tensor[t].offset, was = *weight;
            *weight = NAN;
            assert_false(finite_with(&net, x, 0, 0.5f));
            assert_false(isfinite(pulmo_head_microbatch_bound(net.head, 0, 0)));
            *weight = was;
        }
        assert_true(finite_with(&net, x, 0, 0.5f));
        free(x);
        network_close(&net);
    }
}

static void ties_go_to_the_lowest_class(void **state)
{
    (void)state;
    pulmo_head_spec spec = {.channels = 4, .height = 1, .width = 1, .classes = 3};
    network net;
    network_open(&net, &spec, 8, 1);
    memset(net.parameters, 0, net.layout.parameters * sizeof(float));
    float *x = noise(12, 8);
    const int32_t labels[3] = {0, 1, 2};
    const uint32_t samples[3] = {0, 1, 2};
    pulmo_microbatch_input input = {3, x, labels, samples, 0, 0};
    pulmo_microbatch_result result;
    pulmo_head_microbatch_run(net.head, 0, &input, &result);
    assert_int_equal(result.correct, 1);
    assert_true(fabs(result.loss - 3 * log(3.0)) < 1e-14);
    free(x);
    network_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_pytorchs),
        cmocka_unit_test(cross_entropy_is_pytorchs),
        cmocka_unit_test(softmax_survives_large_logits),
        cmocka_unit_test(layout_is_torchvisions),
        cmocka_unit_test(initial_weights_are_linears),
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(dropout_is_keyed_by_the_sample),
        cmocka_unit_test(dropout_is_inverted),
        cmocka_unit_test(not_a_number_is_noticed),
        cmocka_unit_test(ties_go_to_the_lowest_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
