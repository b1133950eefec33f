/* The AUC's interval over patients, against the same bootstrap in NumPy (100,000 draws of another
 * generator) and against what must hold of any. */
#include "scored.h"

/* Percentiles of 2,000 draws scatter by about this much. */
#define SCATTER 0.02

static void assert_about(double have, double want)
{
    if (!(fabs(have - want) <= SCATTER))
        fail_msg("%.6f is not about %.6f", have, want);
}

static pulmo_interval auc_of_patients(uint32_t images_each)
{
    uint32_t patient[TWO];
    pulmo_interval out;
    const pulmo_scored scored = scored_of(TWO, 2, two_labels, two_scores[0]);
    for (uint32_t i = 0; i < TWO; i++)
        patient[i] = i / images_each;
    assert_int_equal(pulmo_auc_of_patients(&scored, 1, TWO / images_each, patient, &out), PULMO_OK);
    return out;
}

static void intervals_are_numpys(void **state)
{
    (void)state;
    const pulmo_interval alone = auc_of_patients(1), fours = auc_of_patients(4);
    NEAR(alone.value, 0.8385416666666667); /* roc_auc_score */
    assert_about(alone.low, 0.7000);
    assert_about(alone.high, 0.9437);
    NEAR(fours.value, 0.8385416666666667);
    assert_about(fours.low, 0.6730);
    assert_about(fours.high, 0.9519);
}

/* An image that a patient has three times tells nothing new. */
static void copies_tell_nothing(void **state)
{
    (void)state;
    enum { COPIES = 3 * TWO };
    static int32_t labels[COPIES];
    static float scores[COPIES][2];
    static uint32_t patient[COPIES];
    for (uint32_t i = 0; i < COPIES; i++) {
        labels[i] = two_labels[i / 3];
        memcpy(scores[i], two_scores[i / 3], sizeof scores[i]);
        patient[i] = i / 3;
    }
    const pulmo_scored scored = scored_of(COPIES, 2, labels, scores[0]);
    const pulmo_interval once = auc_of_patients(1);
    pulmo_interval thrice;
    assert_int_equal(pulmo_auc_of_patients(&scored, 1, TWO, patient, &thrice), PULMO_OK);
    INTERVAL(thrice, once.value, once.low, once.high);
}

static void one_side_has_no_area(void **state)
{
    (void)state;
    const int32_t ones[2] = {1, 1};
    const float scores[2][2] = {{0.5F, 0.5F}, {0.25F, 0.75F}};
    const uint32_t patient[2] = {0, 1};
    const pulmo_scored scored = scored_of(2, 2, ones, scores[0]);
    pulmo_interval out;
    assert_int_equal(pulmo_auc_of_patients(&scored, 1, 2, patient, &out), PULMO_OK);
    INTERVAL(out, NAN, NAN, NAN);
}

/* Classes that were decided before count as they are, whatever the threshold. */
static void decided_before(void **state)
{
    (void)state;
    const int32_t labels[3] = {0, 1, 1}, predicted[3] = {1, 1, 0}, none[3] = {0, 2, 0};
    const float scores[3][2] = {{0.9F, 0.1F}, {0.2F, 0.8F}, {0.4F, 0.6F}};
    const pulmo_decision by = {1, 0.5};
    pulmo_scored scored = scored_of(3, 2, labels, scores[0]);
    pulmo_metrics m;
    scored.predicted = predicted;
    assert_int_equal(pulmo_metrics_compute(&scored, &by, &m), PULMO_OK);
    assert_int_equal(m.correct, 1);
    NEAR(m.sensitivity.value, 0.5);
    NEAR(m.specificity.value, 0);
    NEAR(m.auc, 1);
    pulmo_metrics_free(&m);
    scored.predicted = none;
    assert_int_equal(pulmo_metrics_compute(&scored, &by, &m), PULMO_DATA);
    assert_non_null(strstr(pulmo_error(), "is taken for class 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_are_numpys),
        cmocka_unit_test(copies_tell_nothing),
        cmocka_unit_test(one_side_has_no_area),
        cmocka_unit_test(decided_before),
    };
    return cmocka_run_group_tests(tests, fill_data, NULL);
}
