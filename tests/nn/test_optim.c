/* Optimisers and schedules against PyTorch's trajectories; the same bits however a vector is cut.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pulmo/optim.h"
#include "pulmo/rng.h"

#define STEPS 5
#define WIDTH 4

/* PyTorch 2:
 *   p = torch.tensor([0.5, -1.25, 3.0, 0.0], requires_grad=True); o = OPTIMISER([p], ...)
 *   for row in gradients: p.grad = torch.tensor(row); o.step(); print(p) */
static const float start[WIDTH] = {0.5f, -1.25f, 3.0f, 0.0f};
static const float gradients[STEPS][WIDTH] = {
    {0.1f, -0.2f, 1e-3f, 0.0f}, {0.3f, 0.2f, -2e-3f, 1e-8f},  {-0.4f, -0.1f, 5.0f, 0.25f},
    {0.0f, 0.7f, -1.0f, -0.5f}, {1.5f, -0.05f, 0.02f, 1e-4f},
};

typedef struct trajectory {
    const char *torch; /* the expression that gave the numbers */
    pulmo_optim_kind kind;
    double lr, beta1, beta2, eps, weight_decay, momentum;
    float after[STEPS][WIDTH];
} trajectory;

static const trajectory trajectories[] = {
    {"torch.optim.Adam([p], lr=1e-2)",
     PULMO_OPTIM_ADAM,
     1e-2,
     0.9,
     0.999,
     1e-8,
     0,
     0,
     {{0.49000001f, -1.24000001f, 2.99000001f, 0.0f},
      {0.480822206f, -1.24052632f, 2.99366093f, -0.0030827669f},
      {0.481436223f, -1.23877907f, 2.98727417f, -0.00947090238f},
      {0.481939197f, -1.24355817f, 2.98328447f, -0.00661184359f},
      {0.476910561f, -1.24723136f, 2.97989082f, -0.00419626292f}}},
    {"torch.optim.Adam([p], lr=1e-2, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)",
     PULMO_OPTIM_ADAM,
     1e-2,
     0.8,
     0.95,
     1e-6,
     0.1,
     0,
     {{0.490000069f, -1.24000001f, 2.99000001f, 0.0f},
      {0.48038438f, -1.23561811f, 2.98000598f, -5.51605408e-05f},
      {0.480068862f, -1.22900927f, 2.97254395f, -0.00697697746f},
      {0.479198426f, -1.23166108f, 2.96770048f, -0.00345352944f},
      {0.472954333f, -1.23212767f, 2.96345997f, -0.000646100147f}}},
    {"torch.optim.AdamW([p], lr=1e-2, weight_decay=0.1)",
     PULMO_OPTIM_ADAMW,
     1e-2,
     0.9,
     0.999,
     1e-8,
     0.1,
     0,
     {{0.489500016f, -1.23874998f, 2.98699999f, 0.0f},
      {0.479832709f, -1.23803759f, 2.987674f, -0.0030827669f},
      {0.479966909f, -1.23505235f, 2.97829962f, -0.00946781971f},
      {0.479989916f, -1.23859644f, 2.9713316f, -0.00659929309f},
      {0.474481285f, -1.24103105f, 2.96496654f, -0.00417711306f}}},
    {"torch.optim.SGD([p], lr=0.1)",
     PULMO_OPTIM_SGD,
     0.1,
     0,
     0,
     0,
     0,
     0,
     {{0.49000001f, -1.23000002f, 2.9999001f, 0.0f},
      {0.460000008f, -1.25f, 3.00010014f, -9.99999972e-10f},
      {0.5f, -1.24000001f, 2.50010014f, -0.0250000022f},
      {0.5f, -1.31000006f, 2.60010004f, 0.0249999985f},
      {0.349999994f, -1.30500007f, 2.59809995f, 0.024989998f}}},
    {"torch.optim.SGD([p], lr=0.1, momentum=0.9, weight_decay=0.01)",
     PULMO_OPTIM_SGD,
     0.1,
     0,
     0,
     0,
     0.01,
     0.9,
     {{0.489499986f, -1.22874999f, 2.99690008f, 0.0f},
      {0.449560493f, -1.2283963f, 2.99131322f, -9.99999972e-10f},
      {0.453165382f, -1.21684957f, 2.48329377f, -0.0250000022f},
      {0.455956608f, -1.27524066f, 2.12359285f, 0.00252499687f},
      {0.308012754f, -1.32151735f, 1.79573846f, 0.0272849705f}}},
};
#define TRAJECTORIES (sizeof trajectories / sizeof *trajectories)

static pulmo_optim_spec spec_of(const trajectory *t)
{
    pulmo_optim_spec spec;
    pulmo_optim_spec_init(&spec);
    spec.kind = t->kind;
    spec.lr = t->lr;
    spec.beta1 = t->beta1;
    spec.beta2 = t->beta2;
    spec.eps = t->eps;
    spec.weight_decay = t->weight_decay;
    spec.momentum = t->momentum;
    return spec;
}

/* PyTorch groups a few products otherwise: an update differs by some roundings of itself, its
 * addition to the parameter by one of the parameter; a step carries the earlier ones on. */
static void trajectories_are_pytorchs(void **state)
{
    (void)state;
    for (size_t k = 0; k < TRAJECTORIES; k++) {
        const trajectory *t = &trajectories[k];
        pulmo_optim_spec spec = spec_of(t);
        float p[WIDTH], m[WIDTH] = {0}, v[WIDTH] = {0};
        float *const states[2] = {m, v};
        double moved[WIDTH] = {0};
        memcpy(p, start, sizeof p);
        for (int s = 0; s < STEPS; s++) {
            const pulmo_optim_update update =
                pulmo_optim_update_of(&spec, spec.lr, (uint64_t)s + 1);
            pulmo_optim_step(&update, WIDTH, p, gradients[s], states);
            for (int i = 0; i < WIDTH; i++) {
                double want = (double)t->after[s][i];
                moved[i] += fabs(want - (double)(s ? t->after[s - 1][i] : start[i]));
                double tolerance = (s + 1) * 0x1p-23 * fabs(want) + 16 * 0x1p-24 * moved[i];
                if (!(fabs((double)p[i] - want) <= tolerance))
                    fail_msg("%s: step %d, element %d: %.9g, not %.9g", t->torch, s + 1, i,
                             (double)p[i], want);
            }
        }
    }
}

static void defaults_are_pytorchs(void **state)
{
    (void)state;
    pulmo_optim_spec spec;
    pulmo_optim_spec_init(&spec);
    assert_true(spec.kind == PULMO_OPTIM_ADAM && spec.lr == 1e-3 && spec.beta1 == 0.9 &&
                spec.beta2 == 0.999);
    assert_true(spec.eps == 1e-8 && spec.weight_decay == 0 &&
                spec.schedule == PULMO_SCHEDULE_CONSTANT);
    assert_int_equal(pulmo_optim_states(&spec), 2);
    spec.kind = PULMO_OPTIM_ADAMW;
    assert_int_equal(pulmo_optim_states(&spec), 2);
    spec.kind = PULMO_OPTIM_SGD;
    assert_int_equal(pulmo_optim_states(&spec), 1);
    spec.momentum = 0;
    assert_int_equal(pulmo_optim_states(&spec), 0);
}

#define LENGTH 1003

static void fill(float *out, uint32_t which)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 31, PULMO_RNG_TEST, which, 0);
    for (int i = 0; i < LENGTH; i++)
        out[i] = (float)(pulmo_rng_normal(&rng) * exp(4 * pulmo_rng_normal(&rng)));
}

/* Updates in ranges of `piece`, last range first; piece 0 is all at once. */
static void run_in_pieces(const pulmo_optim_spec *spec, size_t piece, float *p, float *m, float *v)
{
    float gradient[LENGTH];
    fill(p, 1);
    memset(m, 0, LENGTH * sizeof *m);
    memset(v, 0, LENGTH * sizeof *v);
    for (uint32_t step = 1; step <= 4; step++) {
        const pulmo_optim_update update = pulmo_optim_update_of(spec, 0.01 / step, step);
        fill(gradient, 10 + step);
        size_t size = piece ? piece : LENGTH;
        for (size_t at = (LENGTH - 1) / size * size + size; at > 0; at -= size) {
            size_t first = at - size, count = LENGTH - first < size ? LENGTH - first : size;
            float *const states[2] = {m + first, v + first};
            pulmo_optim_step(&update, count, p + first, gradient + first, states);
        }
    }
}

static void ranges_do_not_change_bits(void **state)
{
    (void)state;
    const size_t pieces[] = {1, 3, 16, 64, 500, 1002};
    static float want[3][LENGTH], have[3][LENGTH];
    for (size_t k = 0; k < TRAJECTORIES; k++) {
        pulmo_optim_spec spec = spec_of(&trajectories[k]);
        run_in_pieces(&spec, 0, want[0], want[1], want[2]);
        for (size_t i = 0; i < LENGTH; i++)
            assert_true(isfinite(want[0][i]));
        for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++) {
            run_in_pieces(&spec, pieces[j], have[0], have[1], have[2]);
            assert_memory_equal(have, want, sizeof want);
        }
    }
}

static void assert_rate(const pulmo_optim_spec *spec, double done, double total, double want)
{
    double have = pulmo_optim_rate(spec, done, 1.0 / 8, total);
    if (!(fabs(have - want) <= 1e-14))
        fail_msg("rate after %g of %g is %.17g, not %.17g", done, total, have, want);
}

static void schedules_are_pytorchs(void **state)
{
    (void)state;
    /* CosineAnnealingLR(SGD([p], lr=0.1), T_max=10, eta_min=0.001), its rate before each of eleven
     * epochs */
    const double cosine[11] = {0.1,
                               0.09757729755661011,
                               0.0905463412215599,
                               0.07959536998847742,
                               0.0657963412215599,
                               0.0505,
                               0.03520365877844011,
                               0.02140463001152259,
                               0.010453658778440109,
                               0.0034227024433899004,
                               0.001};
    /* StepLR(SGD([p], lr=0.1), 3, 0.5) */
    const double step[10] = {0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.0125};
    pulmo_optim_spec spec;
    pulmo_optim_spec_init(&spec);
    spec.lr = 0.1;
    for (int i = 0; i < 10; i++)
        assert_rate(&spec, i, 10, 0.1);
    spec.schedule = PULMO_SCHEDULE_COSINE;
    spec.min_lr = 0.001;
    for (int i = 0; i < 11; i++)
        assert_rate(&spec, i, 10, cosine[i]);
    assert_rate(&spec, 12, 10, 0.001); /* stays at the end */
    spec.schedule = PULMO_SCHEDULE_STEP;
    spec.step_epochs = 3;
    spec.step_gamma = 0.5;
    for (int i = 0; i < 10; i++)
        assert_rate(&spec, i, 10, step[i]);
    assert_rate(&spec, 2.999, 10, 0.1);
}

/* Eight batches an epoch, sixteen in the warm-up: its b-th update has b sixteenths of the rate. */
static void warm_up_is_linear_then_the_schedule(void **state)
{
    (void)state;
    const double batch = 1.0 / 8;
    pulmo_optim_spec spec;
    pulmo_optim_spec_init(&spec);
    spec.lr = 0.2;
    spec.warmup_epochs = 2;
    const pulmo_schedule all[3] = {PULMO_SCHEDULE_CONSTANT, PULMO_SCHEDULE_COSINE,
                                   PULMO_SCHEDULE_STEP};
    for (int k = 0; k < 3; k++) {
        spec.schedule = all[k];
        for (int b = 1; b <= 16; b++)
            assert_rate(&spec, (b - 1) * batch, 12, 0.2 * b / 16);
        assert_rate(&spec, 2, 12, 0.2); /* no jump where the schedule takes over */
    }
    spec.schedule = PULMO_SCHEDULE_COSINE; /* its one cycle is what is left after the warm-up */
    assert_rate(&spec, 7, 12, 0.1);
    assert_rate(&spec, 12, 12, 0);
    spec.warmup_epochs = 20; /* longer than the run: never reaches lr, never divides by nothing */
    assert_rate(&spec, 12 - batch, 12, 0.12);
    spec.warmup_epochs = 12;
    assert_rate(&spec, 11.5 - batch, 12, 0.2 * 11.5 / 12);
    assert_rate(&spec, 12, 12, 0);
    spec.warmup_epochs = batch / 3; /* shorter than a batch: never above lr */
    assert_rate(&spec, 0, 12, 0.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trajectories_are_pytorchs),
        cmocka_unit_test(defaults_are_pytorchs),
        cmocka_unit_test(ranges_do_not_change_bits),
        cmocka_unit_test(schedules_are_pytorchs),
        cmocka_unit_test(warm_up_is_linear_then_the_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
