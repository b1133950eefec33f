/* The head's gradients: the same source built for double against central differences of its own
 * loss, and the float build against the double one within a bound carried along with the sums. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PULMO_HEAD_DOUBLE
#include "head_room.h"
#include "pulmo/head.h"
#include "pulmo/rng.h"

/* A second head, built in double (nn_double): nothing but its own values may be looked at. */
extern __typeof__(pulmo_head_create) head64_create;
extern __typeof__(pulmo_head_destroy) head64_destroy;
extern __typeof__(pulmo_head_microbatch_run) head64_microbatch_run;
extern __typeof__(pulmo_head_microbatch_bound) head64_microbatch_bound;
extern __typeof__(pulmo_head_microbatch_gradient) head64_microbatch_gradient;
extern __typeof__(pulmo_head_train_below) head64_train_below;
extern __typeof__(pulmo_head_microbatch_features) head64_microbatch_features;

#define MICROBATCH 8
#define COUNT      7 /* a short microbatch: the row that is padding must not count */

typedef struct fixture {
    pulmo_head_spec spec;
    pulmo_loss_spec loss;
    pulmo_layout layout;
    float features[MICROBATCH * 600], class_weights[10];
    int32_t labels[MICROBATCH];
    uint32_t samples[MICROBATCH];
    float *parameters;    /* (parameters) */
    double *parameters64; /* the same values */
    pulmo_head *head;     /* the library's, in float: nothing here may look inside */
    pulmo_head *head64;
} fixture;

typedef struct option {
    const char *name;
    pulmo_pooling pool;
    int hidden_layers, hidden[3], classes;
    double dropout, smoothing;
    bool weights;
} option;

static const option options[] = {
    {"softmax regression", PULMO_POOL_FLATTEN, 0, {0}, 2, 0, 0, false},
    {"avg", PULMO_POOL_AVG, 1, {19}, 2, 0, 0, false},
    {"max", PULMO_POOL_MAX, 1, {19}, 3, 0, 0, false},
    {"avgmax", PULMO_POOL_AVGMAX, 1, {19}, 3, 0, 0, false},
    {"dropout on the features", PULMO_POOL_FLATTEN, 0, {0}, 3, 0.5, 0, false},
    {"one hidden layer", PULMO_POOL_FLATTEN, 1, {19}, 2, 0.5, 0, false},
    {"two hidden layers", PULMO_POOL_FLATTEN, 2, {19, 11}, 2, 0.3, 0, false},
    {"three hidden layers", PULMO_POOL_AVG, 3, {17, 13, 9}, 4, 0.25, 0.1, true},
    {"class weights", PULMO_POOL_FLATTEN, 1, {19}, 3, 0, 0, true},
    {"label smoothing", PULMO_POOL_FLATTEN, 1, {19}, 3, 0, 0.1, false},
    {"everything", PULMO_POOL_AVGMAX, 2, {19, 11}, 5, 0.4, 0.2, true},
    {"ten classes", PULMO_POOL_FLATTEN, 1, {33}, 10, 0.5, 0.05, true},
    {"one class", PULMO_POOL_AVG, 1, {8}, 1, 0, 0, false},
};
#define OPTIONS (sizeof options / sizeof *options)

static void fixture_fill(fixture *f, uint32_t which)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 17, PULMO_RNG_TEST, which, 0);
    size_t floats = (size_t)f->spec.channels * (size_t)f->spec.height * (size_t)f->spec.width;
    for (size_t i = 0; i < MICROBATCH * floats; i++)
        f->features[i] = (float)pulmo_rng_normal(&rng);
    for (int n = 0; n < MICROBATCH; n++) {
        f->labels[n] = (int32_t)pulmo_rng_below(&rng, (uint32_t)f->spec.classes);
        f->samples[n] = pulmo_rng_below(&rng, 5000);
    }
    for (int k = 0; k < f->spec.classes; k++)
        f->class_weights[k] = 0.25f * (float)(k + 1);
    /* Twice the initial scale: no layer is close to linear. */
    for (size_t i = 0; i < f->layout.parameters; i++) {
        f->parameters[i] *= 2;
        f->parameters64[i] = (double)f->parameters[i];
    }
}

static void fixture_open(fixture *f, const option *o, uint32_t which)
{
    memset(f, 0, sizeof *f);
    pulmo_head_spec_init(&f->spec);
    f->spec.channels = 12;
    f->spec.height = 5;
    f->spec.width = 3;
    f->spec.pool = o->pool;
    f->spec.hidden_layers = o->hidden_layers;
    memcpy(f->spec.hidden, o->hidden, sizeof o->hidden);
    f->spec.classes = o->classes;
    f->spec.dropout = o->dropout;
    f->loss.label_smoothing = o->smoothing;
    f->loss.class_weights = o->weights ? f->class_weights : NULL;
    pulmo_head_layout_of(&f->spec, &f->layout);
    f->parameters = calloc(f->layout.parameters, sizeof(float));
    f->parameters64 = calloc(f->layout.parameters, sizeof(double));
    assert_non_null(f->parameters);
    assert_non_null(f->parameters64);
    pulmo_head_parameters_init(&f->spec, 5, f->parameters);
    fixture_fill(f, which);
    assert_int_equal(pulmo_head_create(&f->spec, &f->loss, MICROBATCH, 1, f->parameters, &f->head),
                     PULMO_OK);
    assert_int_equal(head64_create(&f->spec, &f->loss, MICROBATCH, 1,
                                   (const float *)(const void *)f->parameters64, &f->head64),
                     PULMO_OK);
}

static void fixture_close(fixture *f)
{
    pulmo_head_destroy(f->head);
    head64_destroy(f->head64);
    free(f->parameters);
    free(f->parameters64);
}

static pulmo_microbatch_input input_of(const fixture *f)
{
    return (pulmo_microbatch_input){COUNT, f->features, f->labels, f->samples, 99, 3};
}

static double loss64(fixture *f)
{
    pulmo_microbatch_input input = input_of(f);
    pulmo_microbatch_result result;
    head64_microbatch_run(f->head64, 0, &input, &result);
    return result.loss;
}

/* Which hidden units of the real samples are on, as a digest (FNV-1a). */
static uint64_t active_units(const fixture *f)
{
    uint64_t digest = 14695981039346656037u;
    for (int l = 0; l + 1 < f->head64->layers; l++)
        for (int i = 0; i < COUNT * f->head64->width[l + 1]; i++)
            digest = (digest ^ (f->head64->spaces[0].output[l][i] > 0)) * 1099511628211u;
    return digest;
}

/* Fourth-order central difference: the error is about h^4 of the fifth derivative plus
 * 2^-53 |loss| / h. There is no derivative where a unit crosses its ReLU's kink: none may. */
static double difference(fixture *f, size_t at)
{
    const double h = 1e-4, steps[4] = {-2 * h, -h, h, 2 * h};
    double here = f->parameters64[at], loss[4];
    (void)loss64(f);
    uint64_t active = active_units(f);
    for (int i = 0; i < 4; i++) {
        f->parameters64[at] = here + steps[i];
        loss[i] = loss64(f);
        assert_true(active_units(f) == active);
    }
    f->parameters64[at] = here;
    return (loss[0] - 8 * loss[1] + 8 * loss[2] - loss[3]) / (12 * h);
}

/* A tensor's whole gradient, in double or, for the library's head, in float made double. */
static double *gradient_of(const fixture *f, int t, bool wide)
{
    const pulmo_tensor *tensor = &f->layout.tensor[t];
    pulmo_block block = {t, 0, tensor->rows, 0, tensor->cols};
    size_t count = (size_t)tensor->rows * (size_t)tensor->cols;
    double *out = calloc(count, sizeof *out);
    float *narrow = calloc(count, sizeof *narrow);
    assert_non_null(out);
    assert_non_null(narrow);
    if (wide)
        head64_microbatch_gradient(f->head64, 0, &block, (float *)(void *)out);
    else
        pulmo_head_microbatch_gradient(f->head, 0, &block, narrow);
    for (size_t i = 0; !wide && i < count; i++)
        out[i] = (double)narrow[i];
    free(narrow);
    return out;
}

/* Relative errors of one option: of each tensor as a vector, and of each element that is not
 * lost in the differences' own rounding. */
static void check_differences(const option *o, double *vectors, double *elements)
{
    fixture f;
    fixture_open(&f, o, 0); /* numbers with which no unit stands at its kink */
    for (int t = 0; t < f.layout.tensors; t++) {
        const pulmo_tensor *tensor = &f.layout.tensor[t];
        (void)loss64(&f);
        double *gradient = gradient_of(&f, t, true), off = 0, size = 0;
        for (size_t i = 0; i < (size_t)tensor->rows * (size_t)tensor->cols; i++) {
            double wanted = difference(&f, tensor->offset + i), error = gradient[i] - wanted;
            off += error * error;
            size += wanted * wanted;
            if (fabs(wanted) > 1e-4)
                *elements = fmax(*elements, fabs(error / wanted));
            else
                assert_true(fabs(error) < 1e-10);
        }
        if (size > 0)
            *vectors = fmax(*vectors, sqrt(off / size));
        free(gradient);
    }
    fixture_close(&f);
}

static void gradients_are_the_losss(void **state)
{
    (void)state;
    double worst_vector = 0, worst_element = 0;
    for (size_t i = 0; i < OPTIONS; i++) {
        double vectors = 0, elements = 0;
        check_differences(&options[i], &vectors, &elements);
        print_message("%-24s relative error of a tensor %.1e, of an element %.1e\n",
                      options[i].name, vectors, elements);
        worst_vector = fmax(worst_vector, vectors);
        worst_element = fmax(worst_element, elements);
    }
    assert_true(worst_vector <= 1e-6);
    assert_true(worst_element <= 1e-6);
}

/* ---- the gradient by the features ---- */

/* Central differences with steps of 2^-9 that float features hold exactly; where no unit or maximum
 * changes. */
static void features_gradients_are_the_losss(void **state)
{
    (void)state;
    for (size_t i = 0; i < OPTIONS; i++) {
        fixture f;
        fixture_open(&f, &options[i], 0);
        size_t floats = (size_t)f.spec.channels * (size_t)f.spec.height * (size_t)f.spec.width;
        double *gradient = calloc(MICROBATCH * floats, sizeof *gradient), off = 0, size = 0;
        float *narrow = calloc(MICROBATCH * floats, sizeof *narrow);
        for (size_t k = 0; k < MICROBATCH * floats; k++)
            f.features[k] = roundf(f.features[k] * 4096) / 4096;
        assert_int_equal(head64_train_below(f.head64), PULMO_OK);
        assert_int_equal(pulmo_head_train_below(f.head), PULMO_OK);
        (void)loss64(&f);
        head64_microbatch_features(f.head64, 0, (float *)(void *)gradient);
        pulmo_microbatch_input input = input_of(&f);
        pulmo_microbatch_result result;
        pulmo_head_microbatch_run(f.head, 0, &input, &result);
        pulmo_head_microbatch_features(f.head, 0, narrow);
        uint64_t active = active_units(&f);
        int tried = 0;
        for (size_t k = 0; k < COUNT * floats; k += 7) {
            const float here = f.features[k], h = 0x1p-9f;
            double loss[2];
            bool same = true;
            for (int side = 0; side < 2; side++) {
                f.features[k] = side ? here + h : here - h;
                loss[side] = loss64(&f);
                same = same && active_units(&f) == active;
            }
            f.features[k] = here;
            if (!same)
                continue;
            tried++;
            double wanted = (loss[1] - loss[0]) / (2 * (double)h);
            off += (gradient[k] - wanted) * (gradient[k] - wanted);
            size += wanted * wanted;
            assert_true(fabs((double)narrow[k] - gradient[k]) < 1e-5);
        }
        print_message("%-24s relative error of the features' gradient %.1e in %d values\n",
                      options[i].name, size > 0 ? sqrt(off / size) : 0.0, tried);
        assert_true(tried > 20);
        assert_true(off <= 1e-8 * size); /* a maximum that changes hands within a step is off by a
                                            part of one value in hundreds */
        fixture_close(&f);
        free(gradient);
        free(narrow);
    }
}

/* ---- float against double ---- */

#define U 0x1p-24 /* float's unit roundoff */

/* Higham 2002, lemma 3.1: n roundings, in any order of summation, fused or not. */
static double gamma_of(int n)
{
    return n * U / (1 - n * U);
}

/* For each number of the double head's workspace, how far float's may be from it. */
typedef struct errors {
    double input[4][MICROBATCH * 600], output[4][MICROBATCH * 600], delta[4][MICROBATCH * 600];
} errors;

/* Values v with errors e go through dropout: scaled, and rounded in the factor and the product. */
static void scale_errors(const fixture *f, int l, int count, const double *value, double *error)
{
    const double *scale = f->head64->spaces[0].scale[l];
    if (!scale)
        return;
    for (int i = 0; i < count; i++)
        error[i] = error[i] * scale[i] * (1 + 3 * U) + 3 * U * fabs(value[i]);
}

static void input_errors(const fixture *f, errors *e)
{
    int cells = f->spec.height * f->spec.width, width = f->head64->width[0];
    bool averages = f->spec.pool == PULMO_POOL_AVG || f->spec.pool == PULMO_POOL_AVGMAX;
    for (int i = 0; averages && i < COUNT * f->spec.channels; i++) {
        double size = 0;
        for (int c = 0; c < cells; c++)
            size += fabs((double)f->features[i * cells + c]) / cells;
        e->input[0][i / f->spec.channels * width + i % f->spec.channels] =
            gamma_of(cells + 1) * size;
    }
    scale_errors(f, 0, COUNT * width, f->head64->spaces[0].input[0], e->input[0]);
}

static void forward_errors(const fixture *f, errors *e)
{
    const pulmo_head *head = f->head64;
    const workspace *space = &head->spaces[0];
    for (int l = 0; l < head->layers; l++) {
        int in = head->width[l], out = head->width[l + 1];
        const double *weight = f->parameters64 + f->layout.tensor[2 * l].offset,
                     *bias = f->parameters64 + f->layout.tensor[2 * l + 1].offset;
        for (int j = 0; j < COUNT * out; j++) {
            int n = j / out, o = j % out;
            double size = fabs(bias[o]), carried = 0;
            for (int i = 0; i < in; i++) {
                double w = fabs(weight[o * in + i]), error = e->input[l][n * in + i];
                carried += w * error;
                size += w * (fabs(space->input[l][n * in + i]) + error);
            }
            e->output[l][j] = carried + gamma_of(in + 2) * size;
            if (l + 1 == head->layers)
                continue;
            assert_true(fabs(space->output[l][j]) >
                        e->output[l][j]); /* on the same side of the kink */
            e->input[l + 1][j] = space->output[l][j] > 0 ? e->output[l][j] : 0;
        }
        if (l + 1 < head->layers)
            scale_errors(f, l + 1, COUNT * out, space->input[l + 1], e->input[l + 1]);
    }
}

static double log_sum(const double *row, int classes)
{
    double most = row[0], sum = 0;
    for (int k = 1; k < classes; k++)
        most = fmax(most, row[k]);
    for (int k = 0; k < classes; k++)
        sum += exp(row[k] - most);
    return most + log(sum);
}

/* The softmax in double of logits that are off by up to z: p changes by a factor of at most
 * exp(2z). */
static void loss_errors(const fixture *f, errors *e)
{
    int last = f->head64->layers - 1, classes = f->spec.classes;
    for (int n = 0; n < COUNT; n++) {
        const double *delta = f->head64->spaces[0].delta[last] + n * classes;
        const double *logits = f->head64->spaces[0].output[last] + n * classes;
        double z = 0, mass = 0;
        for (int k = 0; k < classes; k++) {
            z = fmax(z, e->output[last][n * classes + k]);
            mass += head_class_weight(&f->loss, k); /* the target's weights are at most these */
        }
        double total = log_sum(logits, classes);
        for (int k = 0; k < classes; k++)
            e->delta[last][n * classes + k] =
                mass * exp(logits[k] - total) * expm1(2 * z) + 2 * U * fabs(delta[k]) + 1e-14;
    }
}

static void backward_errors(const fixture *f, errors *e)
{
    const pulmo_head *head = f->head64;
    const workspace *space = &head->spaces[0];
    for (int l = head->layers - 1; l > 0; l--) {
        int in = head->width[l], out = head->width[l + 1];
        const double *weight = f->parameters64 + f->layout.tensor[2 * l].offset;
        for (int j = 0; j < COUNT * in; j++) {
            double size = 0, carried = 0;
            for (int o = 0; o < out; o++) {
                double w = fabs(weight[o * in + j % in]), error = e->delta[l][j / in * out + o];
                carried += w * error;
                size += w * (fabs(space->delta[l][j / in * out + o]) + error);
            }
            e->delta[l - 1][j] = carried + gamma_of(out + 1) * size;
        }
        scale_errors(f, l, COUNT * in, space->delta[l - 1], e->delta[l - 1]);
        for (int j = 0; j < COUNT * in; j++)
            if (!(space->output[l - 1][j] > 0))
                e->delta[l - 1][j] = 0;
    }
}

/* How far element (o, i) of layer l's weight gradient may be; i = -1 is the bias. */
static double gradient_error(const fixture *f, const errors *e, int l, int o, int i)
{
    const workspace *space = &f->head64->spaces[0];
    int in = f->head64->width[l], out = f->head64->width[l + 1];
    double carried = 0, size = 0;
    for (int n = 0; n < COUNT; n++) {
        double d = fabs(space->delta[l][n * out + o]), ed = e->delta[l][n * out + o];
        double x = i < 0 ? 1 : fabs(space->input[l][n * in + i]),
               ex = i < 0 ? 0 : e->input[l][n * in + i];
        carried += d * ex + x * ed + ed * ex;
        size += (d + ed) * (x + ex);
    }
    return carried + gamma_of(COUNT + 1) * size;
}

/* Largest share of its bound that an element's error takes; and the largest error of a tensor,
 * relatively. */
static void check_float(const option *o, uint32_t which, double *share, double *relative)
{
    static errors e;
    fixture f;
    fixture_open(&f, o, which);
    memset(&e, 0, sizeof e);
    pulmo_microbatch_input input = input_of(&f);
    pulmo_microbatch_result narrow, wide;
    pulmo_head_microbatch_run(f.head, 0, &input, &narrow);
    head64_microbatch_run(f.head64, 0, &input, &wide);
    assert_int_equal(narrow.correct, wide.correct);
    assert_true(narrow.finite && wide.finite);
    input_errors(&f, &e);
    forward_errors(&f, &e);
    loss_errors(&f, &e);
    backward_errors(&f, &e);
    for (int t = 0; t < f.layout.tensors; t++) {
        const pulmo_tensor *tensor = &f.layout.tensor[t];
        double *have = gradient_of(&f, t, false), *want = gradient_of(&f, t, true), off = 0,
               size = 0;
        for (int i = 0; i < tensor->rows * tensor->cols; i++) {
            double bound =
                gradient_error(&f, &e, t / 2, i / tensor->cols, t % 2 ? -1 : i % tensor->cols);
            double error = fabs(have[i] - want[i]);
            assert_true(error <= bound);
            if (bound > 0)
                *share = fmax(*share, error / bound);
            off = fmax(off, error);
            size = fmax(size, fabs(want[i]));
            assert_true(fabs(have[i]) <= pulmo_head_microbatch_bound(f.head, 0, t));
            assert_true(fabs(want[i]) <= head64_microbatch_bound(f.head64, 0, t));
        }
        if (size > 0)
            *relative = fmax(*relative, off / size);
        free(have);
        free(want);
    }
    fixture_close(&f);
}

static void float_is_near_double(void **state)
{
    (void)state;
    for (size_t i = 0; i < OPTIONS; i++) {
        double share = 0, relative = 0;
        check_float(&options[i], (uint32_t)i, &share, &relative);
        print_message("%-24s float's error: %.1e of the largest, %.1e of its bound\n",
                      options[i].name, relative, share);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_losss),
        cmocka_unit_test(features_gradients_are_the_losss),
        cmocka_unit_test(float_is_near_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
