/* Statistics of a small set against R 4.2.2 with pROC 1.18.0, statsmodels 0.14, and reckonings by
 * hand; bench/statistics compares fifty sets. */
#include "support.h"

#include "pulmo/operating.h"
#include "pulmo/stats.h"
#include "stats_room.h"

#define COUNT 24

static const bool truth[COUNT] = {true,  false, false, true,  false, false, true,  false,
                                  false, true,  false, false, true,  false, false, true,
                                  false, false, true,  false, false, true,  false, false};
static const double first[COUNT] = {0.45, 0.13, 0.30, 0.74, 0.63, 0.38, 0.51, 0.20,
                                    0.54, 0.90, 0.42, 0.14, 0.41, 0.73, 0.40, 0.24,
                                    0.34, 0.15, 0.49, 0.25, 0.21, 0.76, 0.34, 0.23};
static const double second[COUNT] = {0.80, 0.56, 0.10, 0.68, 0.17, 0.32, 0.43, 0.36,
                                     0.35, 0.67, 0.16, 0.27, 0.48, 0.12, 0.41, 0.47,
                                     0.64, 0.53, 0.27, 0.42, 0.15, 0.74, 0.36, 0.07};
static uint32_t patients[COUNT]; /* two images each */
static bool called[2][COUNT];

static const pulmo_truth by_image = {.count = COUNT, .positive = truth};
static const pulmo_truth by_patient = {COUNT, truth, COUNT / 2, patients};

static int prepare(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        patients[i] = i / 2;
        called[0][i] = first[i] >= 0.5;
        called[1][i] = second[i] >= 0.5;
    }
    return 0;
}

static void near(double have, double want)
{
    if (!(fabs(have - want) <= 1e-12 * fmax(1, fabs(want))))
        fail_msg("%.17g is not %.17g", have, want);
}

static void interval_is(pulmo_interval it, double value, double low, double high)
{
    near(it.value, value);
    near(it.low, low);
    near(it.high, high);
}

/* ---- proportions ---- */

static void exact_intervals_are_statsmodels(void **state)
{
    (void)state;
    interval_is(pulmo_exact(3, 17), 3.0 / 17, 0.037985068070626, 0.4343178728442839);
    interval_is(pulmo_exact(0, 20), 0, 0, 0.16843347098308534);
    interval_is(pulmo_exact(85, 100), 0.85, 0.7646924998510451, 0.9135456143583514);
    assert_true(isnan(pulmo_exact(0, 0).value));
}

/* A patient whose images are alike is one image: the variance is that of patients. */
static void copies_of_images_tell_nothing_new(void **state)
{
    (void)state;
    enum { COPIES = 3 * COUNT };
    bool many[COPIES], hit[COPIES];
    uint32_t patient[COPIES];
    pulmo_estimate thrice;
    const double mean = 7.0 / 24;
    double squares = 0;
    for (uint32_t i = 0; i < COPIES; i++) {
        many[i] = truth[i / 3];
        hit[i] = called[0][i / 3];
        patient[i] = i / 3;
    }
    const pulmo_truth copies = {COPIES, many, COUNT, patient};
    assert_ok(pulmo_share(&copies, NULL, hit, &thrice));
    for (uint32_t i = 0; i < COUNT; i++)
        squares += (called[0][i] - mean) * (called[0][i] - mean);
    near(thrice.it.value, mean);
    /* 24 patients' mean has variance s^2 / 24; so many images would have p (1 - p) / m. */
    const double images = mean * (1 - mean) / (squares / 23 / 24),
                 t = 2.0686576104190406; /* 23 df */
    const double half =
        t / (1 + t * t / images) * sqrt(mean * (1 - mean) / images + t * t / (4 * images * images));
    near(thrice.it.high - thrice.it.low, 2 * half);
    assert_null(thrice.undefined);
}

static void nothing_is_no_share(void **state)
{
    (void)state;
    const bool none[COUNT] = {false};
    pulmo_estimate e;
    assert_ok(pulmo_share(&by_image, none, called[0], &e));
    assert_true(isnan(e.it.value));
    assert_string_equal(e.undefined, "no such image");
}

/* Five patients of two images; on four the second model is right once more, on one once less:
 * (4 / 5) 3^2 / 5 = 1.2^2. */
static void a_test_of_patients_holds_without_a_difference(void **state)
{
    (void)state;
    enum { IMAGES = 10 };
    bool sick[IMAGES], right[2][IMAGES];
    uint32_t patient[IMAGES];
    pulmo_difference d;
    for (uint32_t i = 0; i < IMAGES; i++) {
        sick[i] = i % 4 == 0;
        patient[i] = i / 2;
        right[0][i] = i % 2 == 0 || patient[i] == 4;
        right[1][i] = patient[i] != 4 || i % 2 == 0;
    }
    const pulmo_truth repeated = {IMAGES, sick, IMAGES / 2, patient};
    assert_ok(pulmo_share_difference(&repeated, NULL, right[0], right[1], &d));
    near(d.p, stats_normal_p(1.2));
}

/* Both models separate the sides, by scores of other orders: nothing tells how far chance goes. */
static void no_difference_is_certain(void **state)
{
    (void)state;
    const bool sick[] = {true, true, true, false, false, false};
    const double one[] = {0.9, 0.8, 0.7, 0.3, 0.2, 0.1};
    const double two[] = {0.7, 0.8, 0.9, 0.1, 0.2, 0.3};
    const pulmo_truth few = {6, sick, 0, NULL};
    pulmo_difference d;
    assert_ok(pulmo_area_difference(&few, one, two, &d));
    assert_non_null(d.undefined);
    assert_true(isnan(d.difference.low) && isnan(d.p));
}

/* ---- areas ---- */

static void areas_are_procs(void **state)
{
    (void)state;
    pulmo_area area;
    pulmo_difference d;
    assert_ok(pulmo_area_of(&by_image, first, &area));
    near(area.auc.value, 0.8203125);
    near(area.variance, 0.0087437220982142863);
    assert_ok(pulmo_area_difference(&by_image, first, second, &d));
    near(d.difference.value, 0.03515625);
    near(d.error, 0.11906604442605732);
    near(d.p, 0.76779007577477398);
}

/* Obuchowski's sums, written out for pairs of images instead of by sorting. */
static double variance_by_pairs(const double *score)
{
    double x[COUNT / 2] = {0}, y[COUNT / 2] = {0}, area = 0, xx = 0, yy = 0, xy = 0;
    const double m = 8, n = 16;
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++)
            if (truth[i] && !truth[j])
                area += ((score[i] > score[j]) + 0.5 * (score[i] == score[j])) / (m * n);
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            if (truth[i] == truth[j])
                continue;
            const int positive = truth[i] ? i : j, negative = truth[i] ? j : i;
            const double wins =
                (score[positive] > score[negative]) + 0.5 * (score[positive] == score[negative]);
            if (truth[i])
                x[i / 2] += (wins - area) / n;
            else
                y[i / 2] += (wins - area) / m;
        }
    }
    for (int p = 0; p < COUNT / 2; p++) {
        xx += x[p] * x[p];
        yy += y[p] * y[p];
        xy += x[p] * y[p];
    }
    /* 8 patients have a positive image, all 12 another. */
    return 8.0 / 7 * xx / (m * m) + 12.0 / 11 * yy / (n * n) + 2 * 12.0 / 11 * xy / (m * n);
}

static void areas_by_patient_are_obuchowskis(void **state)
{
    (void)state;
    pulmo_area area;
    assert_ok(pulmo_area_of(&by_patient, first, &area));
    near(area.auc.value, 0.8203125);
    near(area.variance, variance_by_pairs(first));
}

static void areas_that_are_undefined_say_why(void **state)
{
    (void)state;
    const bool one[3] = {true, true, true}, single[3] = {true, false, false};
    const double odd[3] = {0.1, NAN, 0.2};
    const pulmo_truth all = {.count = 3, .positive = one}, few = {.count = 3, .positive = single};
    pulmo_area area;
    assert_ok(pulmo_area_of(&all, first, &area));
    assert_string_equal(area.undefined, "every image has the finding");
    assert_ok(pulmo_area_of(&few, first, &area));
    near(area.auc.value, 1);
    assert_true(isnan(area.auc.low));
    assert_string_equal(area.undefined, "fewer than two patients have the finding");
    assert_refused(pulmo_area_of(&few, odd, &area), PULMO_DATA, "image 1");
}

/* ---- pairs ---- */

static void tests_of_pairs(void **state)
{
    (void)state;
    double p[4] = {0.01, 0.04, 0.03, 0.005}, one = 0;
    near(pulmo_mcnemar(3, 12), 0.03515625);
    near(pulmo_mcnemar(4, 4), 1);
    near(pulmo_mcnemar(0, 0), 1);
    near(stats_normal_p(-1.2), 0.23013934044341644);
    near(stats_normal_p(5.5) * 1e8, 3.797912493177536);
    assert_ok(pulmo_holm(4, p));
    near(p[0], 0.03);
    near(p[1], 0.06);
    near(p[2], 0.06);
    near(p[3], 0.02);
    const pulmo_difference d = {.difference = {-0.01, -0.04, 0.02}, .error = 0.0153};
    assert_true(pulmo_not_inferior(&d, 0.05, &one));
    near(one, 0.0044694897294842604); /* scipy: norm.sf(0.04 / 0.0153) */
    assert_false(pulmo_not_inferior(&d, 0.03, &one));
}

/* ---- calibration ---- */

static void lines_are_glms(void **state)
{
    (void)state;
    double log_odds[COUNT];
    pulmo_calibration_line line;
    for (int i = 0; i < COUNT; i++)
        log_odds[i] = pulmo_log_odds(first[i]);
    assert_ok(pulmo_calibration_line_of(&by_image, log_odds, &line));
    interval_is(line.in_the_large.it, -0.41462706234938501, -1.3550715494946368,
                0.52581742479586668);
    interval_is(line.intercept.it, -0.35274716086130892, -1.3717333340513558, 0.66623901232873806);
    interval_is(line.slope.it, 1.3011713544876728, 0.11158761874777356, 2.4907550902275721);
}

static void separated_sides_have_no_slope(void **state)
{
    (void)state;
    double log_odds[COUNT];
    pulmo_calibration_line line;
    for (int i = 0; i < COUNT; i++)
        log_odds[i] = truth[i] ? 1 + i : -1 - i;
    assert_ok(pulmo_calibration_line_of(&by_image, log_odds, &line));
    assert_non_null(strstr(line.slope.undefined, "separates"));
    assert_true(isnan(line.slope.it.value));
    assert_null(line.in_the_large.undefined);
    log_odds[3] = INFINITY;
    assert_ok(pulmo_calibration_line_of(&by_image, log_odds, &line));
    assert_non_null(strstr(line.in_the_large.undefined, "infinite"));
}

static void the_smoothed_curve_is_lowess(void **state)
{
    (void)state;
    static const double lowest[5] = {0.044384944147375614, 0.052631115352445371,
                                     0.060342273213805919, 0.090806515610574623,
                                     0.095473825164149206};
    pulmo_smooth_curve curve;
    assert_ok(pulmo_smooth_curve_of(&by_image, first, &curve));
    assert_int_equal(curve.points, COUNT);
    near(curve.index, 0.080271541095132973);
    for (int i = 0; i < 5; i++)
        near(curve.share[i], lowest[i]);
    pulmo_smooth_curve_free(&curve);
}

/* ---- use ---- */

static void net_benefit_is_what_it_says(void **state)
{
    (void)state;
    pulmo_benefit b;
    assert_ok(pulmo_benefit_at(&by_image, first, 0.5, &b));
    near(b.model.value, (4 - 3.0) / COUNT); /* 4 true positives, 3 false ones, odds of 1 */
    near(b.treat_all.value, (8 - 16.0) / COUNT);
    near(b.gain.value, b.model.value); /* treating none is better than all */
    assert_ok(pulmo_benefit_at(&by_image, first, 0.2, &b));
    near(b.treat_all.value, (8 - 16.0 / 4) / COUNT);
    near(b.gain.value, b.model.value - b.treat_all.value);
}

static void operating_points_reach_what_they_say(void **state)
{
    (void)state;
    pulmo_operating_point point[PULMO_OPERATING_RULES];
    assert_ok(pulmo_operating_points(&by_patient, first, called[0], point));
    near(point[PULMO_AS_CALLED].sensitivity.value, 0.5);
    near(point[PULMO_AS_CALLED].specificity.value, 13.0 / 16);
    near(point[PULMO_AS_CALLED].likelihood_positive.value, 0.5 / (3.0 / 16));
    near(point[PULMO_AS_CALLED].predictive_positive[3].value,
         0.3 * 0.5 / (0.3 * 0.5 + 0.7 * 3.0 / 16));
    near(point[PULMO_AS_CALLED].predictive_negative[3].value,
         0.7 * 13.0 / 16 / (0.7 * 13.0 / 16 + 0.3 * 0.5));
    /* Of 16 negatives one may be called: 0.74, below 0.73, which is a negative. */
    near(point[PULMO_AT_SPECIFICITY_90].threshold, 0.73);
    near(point[PULMO_AT_SPECIFICITY_90].specificity.value, 15.0 / 16);
    near(point[PULMO_AT_SPECIFICITY_95].threshold, 0.74);
    near(point[PULMO_AT_SPECIFICITY_95].sensitivity.value, 3.0 / 8);
    near(point[PULMO_AT_SENSITIVITY_90].threshold, 0.24);
    near(point[PULMO_AT_SENSITIVITY_90].sensitivity.value, 1);
    for (int r = 0; r < PULMO_OPERATING_RULES; r++) {
        assert_true(point[r].sensitivity.low <= point[r].sensitivity.value);
        assert_true(point[r].sensitivity.high >= point[r].sensitivity.value);
        assert_null(point[r].undefined);
    }
}

static void patients_have_their_largest_or_mean_score(void **state)
{
    (void)state;
    double score[COUNT / 2];
    bool positive[COUNT / 2];
    pulmo_sample sample;
    assert_ok(pulmo_merge_patients(&by_patient, first, PULMO_MERGE_LARGEST, score, positive));
    near(score[0], 0.45);
    assert_true(positive[0]);
    assert_false(positive[2]);
    assert_ok(pulmo_merge_patients(&by_patient, first, PULMO_MERGE_MEAN, score, positive));
    near(score[1], (0.30 + 0.74) / 2);
    assert_ok(pulmo_sample_of(&by_patient, &sample));
    assert_int_equal(sample.patients, 12);
    assert_int_equal(sample.positives, 8);
    assert_true(sample.by_patient);
    assert_true(sample.few);
}

/* By 60 patients of each side, one image each (docs/explanation/statistics.md). */
static void few_patients_are_below_sixty(void **state)
{
    bool positive[120];
    pulmo_sample sample;
    (void)state;
    for (int i = 0; i < 120; i++)
        positive[i] = i % 2 == 0;
    pulmo_truth of_all = {.count = 120, .positive = positive, .patients = 120};
    assert_ok(pulmo_sample_of(&of_all, &sample));
    assert_false(sample.few);
    of_all.count = of_all.patients = 119;
    assert_ok(pulmo_sample_of(&of_all, &sample));
    assert_int_equal(sample.negatives, 59);
    assert_true(sample.few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_intervals_are_statsmodels),
        cmocka_unit_test(copies_of_images_tell_nothing_new),
        cmocka_unit_test(nothing_is_no_share),
        cmocka_unit_test(a_test_of_patients_holds_without_a_difference),
        cmocka_unit_test(no_difference_is_certain),
        cmocka_unit_test(areas_are_procs),
        cmocka_unit_test(areas_by_patient_are_obuchowskis),
        cmocka_unit_test(areas_that_are_undefined_say_why),
        cmocka_unit_test(tests_of_pairs),
        cmocka_unit_test(lines_are_glms),
        cmocka_unit_test(separated_sides_have_no_slope),
        cmocka_unit_test(the_smoothed_curve_is_lowess),
        cmocka_unit_test(net_benefit_is_what_it_says),
        cmocka_unit_test(operating_points_reach_what_they_say),
        cmocka_unit_test(patients_have_their_largest_or_mean_score),
        cmocka_unit_test(few_patients_are_below_sixty),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
