/* Which class is the finding, and from which probability on: rules against scikit-learn's curves,
 * and figures that follow the finding wherever it stands. */
#include "scored.h"

/* ---- thresholds ---- */

static double threshold(const char *rule)
{
    double out = NAN;
    assert_int_equal(threshold_of(rule, TWO, 2, two_labels, two_scores[0], &out), PULMO_OK);
    return out;
}

/* From roc_curve's fpr, tpr, thresholds: np.argmax(tpr - fpr); the first tpr >= X; the last
 * 1 - fpr >= X; then half-way to the next threshold. */
static void thresholds_are_where_the_curve_says(void **state)
{
    (void)state;
    assert_true(threshold("0.5") == 0.5);
    assert_true(threshold("0") == 0);
    assert_true(threshold("1") == 1);
    assert_true(threshold("youden") == 0.31640625);
    assert_true(threshold("accuracy") ==
                0.4140625); /* the first np.argmax of (tpr P + (1 - fpr) N) / (P + N) */
    assert_true(threshold("sensitivity>=0.8") == 0.2421875);
    assert_true(threshold("sensitivity>=0.95") == 0.17578125);
    assert_true(threshold("sensitivity>=1") == 0.17578125);
    assert_true(threshold("specificity>=0.8") == 0.33203125);
    assert_true(threshold("specificity>=0.95") == 0.390625);
    assert_true(threshold("specificity>=1.0") == 0.4140625);
    assert_true(threshold("specificity>=0") == 1 / 256.0); /* below every score */
}

/* What is asked for is reached on the scores it was chosen on, for every X. */
static void thresholds_reach_what_they_say(void **state)
{
    (void)state;
    for (int percent = 0; percent <= 100; percent++) {
        char rule[32];
        pulmo_metrics m;
        snprintf(rule, sizeof rule, "sensitivity>=%.2f", percent / 100.0);
        assert_int_equal(compute(TWO, 2, two_labels, two_scores[0], threshold(rule), &m), PULMO_OK);
        assert_true(m.sensitivity.value >= percent / 100.0 - ROUNDING);
        assert_true(m.sensitivity.value <
                    percent / 100.0 + 1 / 16.0 + ROUNDING); /* and no lower than need be */
        pulmo_metrics_free(&m);
        snprintf(rule, sizeof rule, "specificity>=%.2f", percent / 100.0);
        assert_int_equal(compute(TWO, 2, two_labels, two_scores[0], threshold(rule), &m), PULMO_OK);
        assert_true(m.specificity.value >= percent / 100.0 - ROUNDING);
        pulmo_metrics_free(&m);
    }
    /* A negative of probability 1: only a threshold above 1 leaves it out. */
    const int32_t labels[2] = {0, 1};
    const float scores[2][2] = {{0, 1}, {0.5f, 0.5f}};
    double out = 0;
    assert_int_equal(threshold_of("specificity>=1", 2, 2, labels, scores[0], &out), PULMO_OK);
    assert_true(out > 1 && out < 1.000001);
}

static void useless_rules_are_refused(void **state)
{
    (void)state;
    const char *wrong[] = {"",
                           "half",
                           "0.5x",
                           "1.5",
                           "-0.1",
                           "nan",
                           "inf",
                           "Youden",
                           "sensitivity",
                           "sensitivity>=",
                           "sensitivity>=2",
                           "sensitivity>0.9",
                           "specificity>=0.9 ",
                           "specificity>=x",
                           "0.5 0.6"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double out;
        assert_int_equal(threshold_of(wrong[i], TWO, 2, two_labels, two_scores[0], &out),
                         PULMO_CONFIG);
        assert_non_null(strstr(pulmo_error(), "eval.threshold"));
        assert_int_equal(rule_check(wrong[i], TWO, 2, two_labels), PULMO_CONFIG);
    }
    const int32_t healthy[2] = {0, 0};
    assert_int_equal(rule_check("youden", THREE, 3, three_labels), PULMO_CONFIG);
    assert_non_null(strstr(pulmo_error(), "needs two classes, there are 3"));
    assert_int_equal(rule_check("youden", 0, 2, NULL), PULMO_CONFIG);
    assert_non_null(strstr(pulmo_error(), "needs a val split"));
    assert_int_equal(rule_check("sensitivity>=0.9", 2, 2, healthy), PULMO_CONFIG);
    assert_non_null(strstr(pulmo_error(), "all its 2 images are of class 0"));
    assert_int_equal(rule_check("0.25", 0, 3, NULL), PULMO_OK);
    assert_int_equal(rule_check("youden", TWO, 2, two_labels), PULMO_OK);
}

/* ---- which class is the finding ---- */

/* The same images with the classes' places swapped. */
static int32_t swapped_labels[TWO];
static float swapped_scores[TWO][2];

static void swap_classes(void)
{
    for (int i = 0; i < TWO; i++) {
        swapped_labels[i] = 1 - two_labels[i];
        swapped_scores[i][0] = two_scores[i][1];
        swapped_scores[i][1] = two_scores[i][0];
    }
}

static void same_interval(pulmo_interval a, pulmo_interval b)
{
    assert_true(a.value == b.value && a.low == b.low && a.high == b.high);
}

/* Every figure goes by the class that is named, wherever it stands. */
static void figures_follow_the_finding(void **state)
{
    const double thresholds[] = {0.25, 0.375, 0.5};
    pulmo_metrics second, first;
    (void)state;
    swap_classes();
    for (int t = 0; t < 3; t++) {
        const pulmo_scored scored = scored_of(TWO, 2, swapped_labels, swapped_scores[0]);
        const pulmo_decision by = {0, thresholds[t]};
        assert_int_equal(compute(TWO, 2, two_labels, two_scores[0], thresholds[t], &second),
                         PULMO_OK);
        assert_int_equal(pulmo_metrics_compute(&scored, &by, &first), PULMO_OK);
        assert_int_equal(first.correct, second.correct);
        for (int k = 0; k < 4; k++)
            assert_int_equal(first.confusion[3 - k], second.confusion[k]);
        same_interval(first.sensitivity, second.sensitivity);
        same_interval(first.specificity, second.specificity);
        same_interval(first.positive_value, second.positive_value);
        same_interval(first.negative_value, second.negative_value);
        same_interval(first.auc_ci, second.auc_ci);
        assert_true(first.average_precision == second.average_precision);
        assert_true(first.brier == second.brier && first.log_loss == second.log_loss);
        assert_true(first.calibration_error == second.calibration_error);
        assert_true(first.sensitivity.value != first.specificity.value);
        assert_true(first.average_precision != first.per_class[1].average_precision);
        pulmo_metrics_free(&first);
        pulmo_metrics_free(&second);
    }
}

static void rules_follow_the_finding(void **state)
{
    static const char *const rules[] = {"0.3", "youden", "accuracy", "sensitivity>=0.95",
                                        "specificity>=0.8"};
    const pulmo_scored scored = scored_of(TWO, 2, swapped_labels, swapped_scores[0]);
    (void)state;
    swap_classes();
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        double first = NAN, other = NAN;
        assert_int_equal(pulmo_metrics_threshold(rules[i], &scored, 0, &first), PULMO_OK);
        assert_true(first == threshold(rules[i]));
        assert_int_equal(pulmo_metrics_threshold(rules[i], &scored, 1, &other), PULMO_OK);
        assert_true(i == 0 || other != first);
    }
}

static void a_decision_names_the_finding(void **state)
{
    const float row[2] = {0.25f, 0.75f}, three[3] = {0.25f, 0.5f, 0.25f};
    (void)state;
    assert_int_equal(pulmo_metrics_class(2, &(pulmo_decision){1, 0.75}, row), 1);
    assert_int_equal(pulmo_metrics_class(2, &(pulmo_decision){1, 0.76}, row), 0);
    assert_int_equal(pulmo_metrics_class(2, &(pulmo_decision){0, 0.25}, row), 0);
    assert_int_equal(pulmo_metrics_class(2, &(pulmo_decision){0, 0.26}, row), 1);
    assert_int_equal(pulmo_metrics_class(3, NULL, three), 1);
}

static void names_tell_the_finding(void **state)
{
    static const struct {
        const char *names[2];
        int finding;
    } cases[] = {
        {{"COVID", "NORMAL"}, 0},
        {{"NORMAL", "PNEUMONIA"}, 1},
        {{"Healthy", "tb"}, 1},
        {{"NoFinding", "Zoster"}, 1},
        {{"Effusion", "No Finding"}, 0},
        {{"no_finding", "x"}, 1},
        {{"DISEASE", "no_disease"}, 0},
        {{"no pneumonia", "Pneumonia"}, 1},
        {{"nodule", "lung"}, -1},
        {{"NO-FINDING", "x"}, 1},
        {{"Pneumonia", "negative"}, 0},
        {{"BACTERIA", "VIRUS"}, -1},
        {{"healthy", "normal"}, -1},
        {{"ABNORMAL", "NORMAL"}, 0},
        {{"non-normal", "x"}, -1},
        {{"normals", "x"}, -1},
        {{"", "norm"}, -1},
        {{"Atelectasis", "No Atelectasis"}, 0},
        {{"No Pneumonia", "Pneumonia"}, 1},
        {{"No Mass", "Nodule"}, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (pulmo_metrics_finding(2, cases[i].names) != cases[i].finding)
            fail_msg("%s, %s", cases[i].names[0], cases[i].names[1]);
    const char *const three[] = {"A", "NORMAL", "Z"};
    assert_int_equal(pulmo_metrics_finding(3, three), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds_are_where_the_curve_says),
        cmocka_unit_test(thresholds_reach_what_they_say),
        cmocka_unit_test(useless_rules_are_refused),
        cmocka_unit_test(figures_follow_the_finding),
        cmocka_unit_test(rules_follow_the_finding),
        cmocka_unit_test(a_decision_names_the_finding),
        cmocka_unit_test(names_tell_the_finding),
    };
    return cmocka_run_group_tests(tests, fill_data, NULL);
}
