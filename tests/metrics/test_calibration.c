/* The reliability curve against scikit-learn; the temperature against SciPy and against its
 * definition. */
#include "scored.h"

/* Of the scores of scored.h: z2 = [0, (128 p1 - 38) / 4], z3 = 16 P. */
static float two_logits[TWO][2], three_logits[THREE][3];

static int fill_logits(void **state)
{
    fill_data(state);
    for (int i = 0; i < TWO; i++)
        two_logits[i][1] = (128 * two_scores[i][1] - 38) / 4;
    for (int i = 0; i < THREE; i++)
        for (int k = 0; k < 3; k++)
            three_logits[i][k] = 16 * three_scores[i][k];
    return 0;
}

/* Where a minimum was searched for to within `bound`. */
static void within(double have, double want, double bound, int line)
{
    if (!(fabs(have - want) <= bound))
        fail_msg("line %d: %.17g, not %.17g", line, have, want);
}

/* calibration_curve(y, p1, n_bins=10), which leaves empty bins out. */
static void curve_is_scikit_learns(void **state)
{
    (void)state;
    const uint32_t count[10] = {6, 6, 11, 10, 4, 3};
    const double observed[10] = {0, 1 / 6.0, 4 / 11.0, 0.4, 1, 1};
    const double predicted[10] = {0.048177083333333336, 0.13932291666666666, 0.24147727272727273,
                                  0.35234375,           0.4609375,           0.5442708333333334};
    pulmo_calibration curve;
    assert_int_equal(pulmo_calibration_compute(&(pulmo_scored){.count = TWO,
                                                               .classes = 2,
                                                               .labels = two_labels,
                                                               .probabilities = two_scores[0]},
                                               1, &curve),
                     PULMO_OK);
    assert_memory_equal(curve.count, count, sizeof count);
    for (int b = 0; b < 10; b++) {
        NEAR(curve.observed[b], count[b] ? observed[b] : NAN);
        NEAR(curve.predicted[b], count[b] ? predicted[b] : NAN);
    }
    const double third[10] = {NAN,  NAN,     0,       0,       2 / 9.0,
                              0.25, 2 / 7.0, 2 / 3.0, 1 / 3.0, 1}; /* class 2 of three */
    assert_int_equal(pulmo_calibration_compute(&(pulmo_scored){.count = THREE,
                                                               .classes = 3,
                                                               .labels = three_labels,
                                                               .probabilities = three_scores[0]},
                                               2, &curve),
                     PULMO_OK);
    for (int b = 0; b < 10; b++)
        NEAR(curve.observed[b], third[b]);
}

/* A score on an edge belongs below it (numpy.searchsorted, side left):
 * np.searchsorted(np.linspace(0, 1, 11)[1:-1], [0, 0.1, 0.25, 0.5, 0.5000001, 1]) is [0, 0, 2, 4,
 * 5, 9]; but float32 0.1 is a little above 0.1: 1. */
static void edges_are_numpys(void **state)
{
    (void)state;
    const float scores[6][2] = {{0, 0}, {0, 0.1f}, {0, 0.25f}, {0, 0.5f}, {0, 0.5000001f}, {0, 1}};
    const int32_t labels[6] = {0};
    const uint32_t count[10] = {1, 1, 1, 0, 1, 1, 0, 0, 0, 1};
    pulmo_calibration curve;
    assert_int_equal(
        pulmo_calibration_compute(
            &(pulmo_scored){.count = 6, .classes = 2, .labels = labels, .probabilities = scores[0]},
            1, &curve),
        PULMO_OK);
    assert_memory_equal(curve.count, count, sizeof count);
    assert_int_equal(
        pulmo_calibration_compute(
            &(pulmo_scored){.count = 0, .classes = 2, .labels = NULL, .probabilities = NULL}, 1,
            &curve),
        PULMO_OK);
    assert_true(curve.count[0] == 0 && isnan(curve.observed[0]));
    const float wrong[1][2] = {{0, NAN}};
    assert_int_equal(
        pulmo_calibration_compute(
            &(pulmo_scored){.count = 1, .classes = 2, .labels = labels, .probabilities = wrong[0]},
            1, &curve),
        PULMO_DATA);
}

/* scipy.optimize.minimize_scalar(nll, bounds=np.log([0.05, 20]), method="bounded",
 * options={"xatol": 1e-12}) over log T. */
static void temperature_is_scipys(void **state)
{
    (void)state;
    double t = 0;
    assert_int_equal(pulmo_temperature_fit(TWO, 2, two_labels, two_logits[0], &t), PULMO_OK);
    within(t, 2.654721387365921, 1e-6, __LINE__);
    assert_int_equal(pulmo_temperature_fit(THREE, 3, three_labels, three_logits[0], &t), PULMO_OK);
    within(t, 8.384416502964154, 1e-6, __LINE__);
}

static double loss_at(double t)
{
    double sum = 0;
    for (int i = 0; i < THREE; i++) {
        double parts = 0;
        for (int k = 0; k < 3; k++)
            parts += exp((double)three_logits[i][k] / t);
        sum += log(parts) - (double)three_logits[i][three_labels[i]] / t;
    }
    return sum;
}

static void no_other_temperature_is_better(void **state)
{
    (void)state;
    double best = 0;
    assert_int_equal(pulmo_temperature_fit(THREE, 3, three_labels, three_logits[0], &best),
                     PULMO_OK);
    for (double t = PULMO_TEMPERATURE_MIN; t < PULMO_TEMPERATURE_MAX; t *= 1.01)
        assert_true(loss_at(t) >= loss_at(best) - 1e-12);
}

/* Scaling all logits scales the temperature by as much. */
static void temperature_scales(void **state)
{
    (void)state;
    double once = 0, twice = 0;
    float logits[TWO][2];
    for (int i = 0; i < TWO; i++)
        for (int k = 0; k < 2; k++)
            logits[i][k] = 2 * two_logits[i][k];
    assert_int_equal(pulmo_temperature_fit(TWO, 2, two_labels, two_logits[0], &once), PULMO_OK);
    assert_int_equal(pulmo_temperature_fit(TWO, 2, two_labels, logits[0], &twice), PULMO_OK);
    NEAR(twice, 2 * once);
}

static void extremes_stay_in_range(void **state)
{
    (void)state;
    const int32_t right[2] = {0, 1}, wrong[2] = {1, 0};
    const float apart[2][2] = {{1, 0}, {0, 1}}, infinite[1][2] = {{INFINITY, 0}};
    double t = 0;
    assert_int_equal(pulmo_temperature_fit(2, 2, right, apart[0], &t), PULMO_OK);
    within(t, PULMO_TEMPERATURE_MIN, 1e-9, __LINE__);
    assert_int_equal(pulmo_temperature_fit(2, 2, wrong, apart[0], &t), PULMO_OK);
    within(t, PULMO_TEMPERATURE_MAX, 1e-9, __LINE__);
    assert_int_equal(pulmo_temperature_fit(0, 2, NULL, NULL, &t), PULMO_CONFIG);
    assert_non_null(strstr(pulmo_error(), "needs a val split"));
    assert_int_equal(pulmo_temperature_fit(1, 2, right, infinite[0], &t), PULMO_DATA);
    const int32_t none[1] = {2};
    assert_int_equal(pulmo_temperature_fit(1, 2, none, apart[0], &t), PULMO_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curve_is_scikit_learns), cmocka_unit_test(edges_are_numpys),
        cmocka_unit_test(temperature_is_scipys),  cmocka_unit_test(no_other_temperature_is_better),
        cmocka_unit_test(temperature_scales),     cmocka_unit_test(extremes_stay_in_range),
    };
    return cmocka_run_group_tests(tests, fill_logits, NULL);
}
