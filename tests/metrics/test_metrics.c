/* Metrics against scikit-learn and SciPy, DeLong against its definition, and every degenerate case.
 */
#include "scored.h"

#include "pulmo/rng.h"

/* scipy.stats.binomtest(k, n).proportion_ci(method='wilson') */
static void wilson_is_scipys(void **state)
{
    (void)state;
    INTERVAL(pulmo_wilson(585, 624), 0.9375, 0.9157005859556732, 0.9539457114162443);
    INTERVAL(pulmo_wilson(3, 7), 3 / 7.0, 0.1582198552514697, 0.7495416354723428);
    INTERVAL(pulmo_wilson(0, 10), 0, 0, 0.27753279986288926);
    INTERVAL(pulmo_wilson(10, 10), 1, 0.7224672001371109, 1);
    INTERVAL(pulmo_wilson(1, 1), 1, 0.20654931437723745, 1);
    INTERVAL(pulmo_wilson(0, 0), NAN, NAN, NAN);
    for (uint64_t n = 1; n < 300; n++) { /* the ends are exact, not nearly so */
        assert_true(pulmo_wilson(0, n).low == 0 && pulmo_wilson(n, n).high == 1);
        assert_true(pulmo_wilson(1, n).low > 0);
    }
}

/* With pred = (p1 >= threshold).astype(int): confusion_matrix(y, pred), balanced_accuracy_score,
 * precision_recall_fscore_support (each class, average='macro', 'weighted'), SciPy's Wilson. */
static void two_classes_are_scikit_learns(void **state)
{
    (void)state;
    pulmo_metrics m;
    assert_int_equal(compute(TWO, 2, two_labels, two_scores[0], 0.375, &m), PULMO_OK);
    const uint32_t confusion[4] = {22, 2, 8, 8};
    assert_memory_equal(m.confusion, confusion, sizeof confusion);
    assert_int_equal(m.count, 40);
    assert_int_equal(m.correct, 30);
    NEAR(m.accuracy, 0.75);
    INTERVAL(m.accuracy_ci, 0.75, 0.5980603857923197, 0.858128813609037);
    NEAR(m.balanced_accuracy, 0.7083333333333333);
    NEAR(m.per_class[0].precision, 0.7333333333333333);
    NEAR(m.per_class[1].precision, 0.8);
    NEAR(m.per_class[0].recall, 0.9166666666666666);
    NEAR(m.per_class[1].recall, 0.5);
    NEAR(m.per_class[0].f1, 0.8148148148148148);
    NEAR(m.per_class[1].f1, 0.6153846153846154);
    assert_int_equal(m.per_class[0].support, 24);
    assert_int_equal(m.per_class[1].support, 16);
    NEAR(m.macro_precision, 0.7666666666666666);
    NEAR(m.macro_recall, 0.7083333333333333);
    NEAR(m.macro_f1, 0.7150997150997151);
    NEAR(m.weighted_precision, 0.76);
    NEAR(m.weighted_recall, 0.75);
    NEAR(m.weighted_f1, 0.735042735042735);
    INTERVAL(m.sensitivity, 0.5, 0.27999563610326017, 0.7200043638967398);
    INTERVAL(m.specificity, 0.9166666666666666, 0.7415119780678932, 0.9768411847029568);
    NEAR(m.calibration_error,
         0.153125); /* NumPy, with bins np.minimum((confidence * 10).astype(int), 9) */
    pulmo_metrics_free(&m);

    assert_int_equal(compute(TWO, 2, two_labels, two_scores[0], 0.5, &m), PULMO_OK);
    const uint32_t stricter[4] = {24, 0, 13, 3};
    assert_memory_equal(m.confusion, stricter, sizeof stricter);
    INTERVAL(m.sensitivity, 0.1875, 0.06591599071428142, 0.4300888096197414);
    INTERVAL(m.specificity, 1, 0.8620237953250198, 1);
    NEAR(m.weighted_f1, 0.5984469370146679);
    NEAR(m.calibration_error, 0.07656250000000005);
    NEAR(m.log_loss, 0.5508716115708122); /* log_loss(y, P) */
    NEAR(m.brier, 0.19261474609375);      /* brier_score_loss(y, p1.astype(float)) */
    /* roc_auc_score(y, p1); the interval from all pairs, as in DeLong 1988, in NumPy */
    INTERVAL(m.auc_ci, 0.8385416666666667, 0.7167437197389922, 0.9603396135943411);
    NEAR(m.auc, 0.8385416666666667);
    NEAR(m.per_class[0].auc, 0.8385416666666667);
    NEAR(m.per_class[1].auc, 0.8385416666666667);
    pulmo_metrics_free(&m);
}

/* The same functions on P.argmax(1); roc_auc_score(y, P, multi_class='ovr', average='macro');
 * brier_score_loss(y, P, scale_by_half=False). */
static void three_classes_are_scikit_learns(void **state)
{
    (void)state;
    pulmo_metrics m;
    assert_int_equal(compute(THREE, 3, three_labels, three_scores[0], 0.5, &m), PULMO_OK);
    const uint32_t confusion[9] = {4, 0, 14, 0, 3, 13, 0, 0, 16};
    const double precision[3] = {1, 1, 0.37209302325581395},
                 recall[3] = {0.2222222222222222, 0.1875, 1};
    const double f1[3] = {0.36363636363636365, 0.3157894736842105, 0.5423728813559322};
    const double auc[3] = {0.8576388888888888, 0.8566176470588235, 0.7849264705882353};
    const uint32_t support[3] = {18, 16, 16};
    assert_memory_equal(m.confusion, confusion, sizeof confusion);
    for (int k = 0; k < 3; k++) {
        NEAR(m.per_class[k].precision, precision[k]);
        NEAR(m.per_class[k].recall, recall[k]);
        NEAR(m.per_class[k].f1, f1[k]);
        NEAR(m.per_class[k].auc, auc[k]);
        assert_int_equal(m.per_class[k].support, support[k]);
    }
    NEAR(m.accuracy, 0.46);
    NEAR(m.balanced_accuracy, 0.46990740740740744);
    NEAR(m.macro_precision, 0.7906976744186046);
    NEAR(m.macro_f1, 0.4072662395588355);
    NEAR(m.weighted_precision, 0.7990697674418604);
    NEAR(m.weighted_recall, 0.46);
    NEAR(m.weighted_f1, 0.4055210445219366);
    NEAR(m.auc, 0.8330610021786491);
    INTERVAL(m.auc_ci, 0.8330610021786491, NAN, NAN);
    INTERVAL(m.sensitivity, NAN, NAN, NAN);
    INTERVAL(m.specificity, NAN, NAN, NAN);
    NEAR(m.log_loss, 0.9558198285599712);
    NEAR(m.brier, 0.617333984375);
    NEAR(m.calibration_error, 0.22125);
    pulmo_metrics_free(&m);
}

/* average_precision_score of each class against the rest; SciPy's Wilson of confusion_matrix's
 * columns. */
static void rest_is_scikit_learns(void **state)
{
    (void)state;
    pulmo_metrics m;
    assert_int_equal(compute(TWO, 2, two_labels, two_scores[0], 0.25, &m), PULMO_OK);
    NEAR(m.average_precision, 0.8020817395009204);
    NEAR(m.per_class[0].average_precision, 0.8893194328316611);
    NEAR(m.per_class[1].average_precision, 0.8020817395009204);
    INTERVAL(m.positive_value, 13 / 22.0, 0.3873481847631512, 0.7674418380352812);
    INTERVAL(m.negative_value, 15 / 18.0, 0.6077796189608428, 0.9416342319413856);
    pulmo_metrics_free(&m);
    assert_int_equal(compute(TWO, 2, two_labels, two_scores[0], 0.5, &m), PULMO_OK);
    INTERVAL(m.positive_value, 1, 0.4385029682449546, 1);
    INTERVAL(m.negative_value, 24 / 37.0, 0.4875902312255084, 0.7817439286607287);
    pulmo_metrics_free(&m);
    assert_int_equal(compute(TWO, 2, two_labels, two_scores[0], 1, &m), PULMO_OK);
    INTERVAL(m.positive_value, NAN, NAN, NAN); /* never predicted */
    NEAR(m.negative_value.value, 24 / 40.0);
    pulmo_metrics_free(&m);
    assert_int_equal(compute(THREE, 3, three_labels, three_scores[0], 0.5, &m), PULMO_OK);
    NEAR(m.per_class[0].average_precision, 0.8051003125039637);
    NEAR(m.per_class[1].average_precision, 0.7778517072864499);
    NEAR(m.per_class[2].average_precision, 0.6681253629500581);
    NEAR(m.average_precision, 0.7503591275801572);
    NEAR(m.weighted_average_precision, 0.7525487749771095);
    NEAR(m.weighted_auc, 0.8340441176470589);
    INTERVAL(m.positive_value, NAN, NAN, NAN);
    pulmo_metrics_free(&m);
}

/* roc_curve(y, p1, drop_intermediate=False) and precision_recall_curve(y, p1): hits of 16, false
 * alarms of 24. */
static void curves_are_scikit_learns(void **state)
{
    (void)state;
    const int fp[33] = {0,  0,  0,  0,  0,  0,  0,  0,  1,  2,  3,  4,  5,  6,  7,  8, 9,
                        10, 11, 12, 13, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};
    const int tp[33] = {0,  1,  2,  3,  4,  5,  6,  7,  7,  8,  9,  10, 11, 11, 11, 12, 13,
                        14, 14, 15, 15, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16};
    const int score[33] = {0,  74, 69, 66, 63, 60, 58, 55, 51, 49, 46, 44, 41, 40, 37, 35, 32,
                           30, 29, 27, 26, 24, 21, 18, 16, 15, 13, 12, 10, 7,  5,  2,  1};
    pulmo_roc roc;
    pulmo_pr pr;
    assert_int_equal(roc_of(TWO, 2, two_labels, two_scores[0], 1, &roc), PULMO_OK);
    assert_int_equal(pr_of(TWO, 2, two_labels, two_scores[0], 1, &pr), PULMO_OK);
    assert_int_equal(roc.points, 33);
    assert_int_equal(pr.points, 33);
    for (int i = 0; i < 33; i++) {
        NEAR(roc.fpr[i], fp[i] / 24.0);
        NEAR(roc.tpr[i], tp[i] / 16.0);
        NEAR(pr.recall[i], tp[i] / 16.0);
        NEAR(pr.precision[i], i ? tp[i] / (double)(tp[i] + fp[i]) : 1);
        assert_true(roc.threshold[i] == (i ? score[i] / 128.0 : (double)INFINITY));
        assert_true(pr.threshold[i] == roc.threshold[i]);
    }
    NEAR(pr.average_precision, 0.8020817395009204); /* average_precision_score(y, p1) */
    pulmo_roc_free(&roc);
    pulmo_pr_free(&pr);
}

/* DeLong, DeLong and Clarke-Pearson 1988, eq. 2 to 6, from all pairs. */
static pulmo_interval slow_delong(int n, const int32_t *labels, const float (*scores)[2])
{
    double place_p[200] = {0}, place_n[200] = {0}, auc = 0, var_p = 0, var_n = 0;
    int P = 0, N = 0;
    for (int i = 0; i < n; i++)
        *(labels[i] ? &P : &N) += 1;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            if (!labels[i] || labels[j])
                continue;
            double win = 0.5 * (scores[i][1] > scores[j][1]) + 0.5 * (scores[i][1] >= scores[j][1]);
            place_p[i] += win / N;
            place_n[j] += win / P;
            auc += win / P / N;
        }
    for (int i = 0; i < n; i++) {
        if (labels[i])
            var_p += (place_p[i] - auc) * (place_p[i] - auc) / (P - 1);
        else
            var_n += (place_n[i] - auc) * (place_n[i] - auc) / (N - 1);
    }
    double half = 1.959963984540054 * sqrt(var_p / P + var_n / N);
    return (pulmo_interval){auc, fmax(0, auc - half), fmin(1, auc + half)};
}

static void delong_is_its_definition(void **state)
{
    (void)state;
    for (uint32_t run = 0; run < 50; run++) {
        static int32_t labels[200];
        static float scores[200][2];
        pulmo_rng rng;
        pulmo_metrics m;
        pulmo_rng_at(&rng, 41, PULMO_RNG_TEST, run, 0);
        int n = 10 + (int)pulmo_rng_below(&rng, 190), levels = 3 + (int)pulmo_rng_below(&rng, 200);
        for (int i = 0; i < n; i++) {
            labels[i] = i < 4 ? i % 2 : pulmo_rng_below(&rng, 4) == 0;
            scores[i][1] = (float)pulmo_rng_below(&rng, (uint32_t)levels + (labels[i] ? 2 : 0)) /
                           (float)(levels + 2);
            scores[i][0] = 1 - scores[i][1];
        }
        assert_int_equal(compute((uint32_t)n, 2, labels, scores[0], 0.5, &m), PULMO_OK);
        pulmo_interval want = slow_delong(n, labels, (const float(*)[2])scores);
        NEAR(m.auc, want.value);
        /* The difference of squares loses digits, and the root halves what is left. */
        assert_true(fabs(m.auc_ci.low - want.low) < 1e-7 && fabs(m.auc_ci.high - want.high) < 1e-7);
        pulmo_metrics_free(&m);
    }
}

/* ---- degenerate cases ---- */

static void no_samples(void **state)
{
    (void)state;
    pulmo_metrics m;
    pulmo_roc roc;
    pulmo_pr pr;
    for (int classes = 2; classes <= 3; classes++) {
        assert_int_equal(compute(0, classes, NULL, NULL, 0.5, &m), PULMO_OK);
        const double nothing[] = {m.accuracy,           m.accuracy_ci.low,   m.balanced_accuracy,
                                  m.macro_precision,    m.macro_recall,      m.macro_f1,
                                  m.weighted_precision, m.weighted_recall,   m.weighted_f1,
                                  m.sensitivity.value,  m.specificity.value, m.auc,
                                  m.auc_ci.low,         m.log_loss,          m.brier,
                                  m.calibration_error,  m.per_class[0].auc};
        for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
            if (!isnan(nothing[i]))
                fail_msg("%d classes: number %zu is %g", classes, i, nothing[i]);
        assert_int_equal(m.count + m.correct + m.confusion[0] + m.per_class[0].support, 0);
        pulmo_metrics_free(&m);
    }
    assert_int_equal(roc_of(0, 2, NULL, NULL, 1, &roc), PULMO_OK);
    assert_int_equal(roc.points, 1);
    pulmo_roc_free(&roc);
    assert_int_equal(pr_of(0, 2, NULL, NULL, 1, &pr), PULMO_OK);
    assert_true(isnan(pr.average_precision) && isnan(pr.recall[0]));
    pulmo_pr_free(&pr);
}

static void a_class_is_absent(void **state)
{
    (void)state;
    const int32_t labels[3] = {0, 0, 0};
    const float scores[3][2] = {{0.75f, 0.25f}, {0.5f, 0.5f}, {1, 0}};
    pulmo_metrics m;
    pulmo_roc roc;
    pulmo_pr pr;
    assert_int_equal(compute(3, 2, labels, scores[0], 0.5, &m), PULMO_OK);
    assert_int_equal(m.correct, 2); /* 0.5 is from the threshold on */
    INTERVAL(m.sensitivity, NAN, NAN, NAN);
    NEAR(m.specificity.value, 2 / 3.0);
    INTERVAL(m.auc_ci, NAN, NAN, NAN);
    NEAR(m.balanced_accuracy, 2 / 3.0);
    NEAR(m.per_class[1].recall, 0);
    NEAR(m.per_class[1].precision, 0);
    NEAR(m.per_class[1].f1, 0);
    NEAR(m.macro_recall, 1 / 3.0);
    NEAR(m.weighted_recall, 2 / 3.0);
    pulmo_metrics_free(&m);
    assert_int_equal(roc_of(3, 2, labels, scores[0], 1, &roc), PULMO_OK);
    NEAR(roc.fpr[roc.points - 1], 1);
    NEAR(roc.tpr[roc.points - 1], NAN);
    pulmo_roc_free(&roc);
    assert_int_equal(pr_of(3, 2, labels, scores[0], 1, &pr), PULMO_OK);
    NEAR(pr.average_precision, NAN);
    NEAR(pr.precision[pr.points - 1], 0);
    pulmo_pr_free(&pr);
    /* Of three classes one is absent: the mean AUC is of the others. */
    const int32_t three[4] = {0, 1, 0, 1};
    const float wide[4][3] = {
        {0.5f, 0.25f, 0.25f}, {0.5f, 0.5f, 0}, {0.75f, 0.125f, 0.125f}, {0.25f, 0.125f, 0.625f}};
    assert_int_equal(compute(4, 3, three, wide[0], 0.5, &m), PULMO_OK);
    NEAR(m.per_class[2].auc, NAN);
    NEAR(m.per_class[0].auc, 3.5 / 4);
    NEAR(m.per_class[1].auc, 2.5 / 4);
    NEAR(m.auc, 3.0 / 4);
    assert_int_equal(m.confusion[3], 1); /* a tie of 0 and 1 goes to 0 */
    pulmo_metrics_free(&m);
}

static void ties_and_separation(void **state)
{
    (void)state;
    const int32_t labels[4] = {0, 0, 1, 1};
    const float tied[4][2] = {{0.75f, 0.25f}, {0.75f, 0.25f}, {0.75f, 0.25f}, {0.75f, 0.25f}};
    const float apart[4][2] = {{1, 0}, {0.75f, 0.25f}, {0.5f, 0.5f}, {0, 1}};
    pulmo_metrics m;
    assert_int_equal(compute(4, 2, labels, tied[0], 0.5, &m), PULMO_OK);
    /* Newcombe's interval: roots of its polynomial, by NumPy */
    INTERVAL(m.auc_ci, 0.5, 0.1122433359746682, 0.8877566640253319);
    pulmo_metrics_free(&m);
    assert_int_equal(compute(4, 2, labels, apart[0], 0.5, &m), PULMO_OK);
    INTERVAL(m.auc_ci, 1, 0.3856357044971663, 1);
    NEAR(m.accuracy, 1);
    NEAR(m.log_loss, -(log(0.75) + log(0.5)) / 4);
    pulmo_metrics_free(&m);
    assert_int_equal(compute(3, 2, labels, apart[0], 0.5, &m), PULMO_OK); /* one positive */
    INTERVAL(m.auc_ci, 1, NAN, NAN);
    pulmo_metrics_free(&m);
    /* Certain and wrong: finite. */
    const int32_t wrong[1] = {1};
    assert_int_equal(compute(1, 2, wrong, apart[0], 0.5, &m), PULMO_OK);
    NEAR(m.log_loss, 149 * log(2.0));
    NEAR(m.brier, 1);
    NEAR(m.calibration_error, 1);
    pulmo_metrics_free(&m);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const int32_t labels[2] = {0, 2};
    float scores[2][2] = {{0.5f, 0.5f}, {1, 0}};
    const int32_t fine[2] = {0, 1};
    pulmo_metrics m;
    pulmo_roc roc;
    assert_int_equal(compute(2, 2, labels, scores[0], 0.5, &m), PULMO_DATA);
    assert_non_null(strstr(pulmo_error(), "image 1 has label 2: must be 0 to 1"));
    const float bad[3] = {NAN, 1.5f, -0.25f};
    for (int i = 0; i < 3; i++) {
        scores[1][0] = bad[i];
        assert_int_equal(compute(2, 2, fine, scores[0], 0.5, &m), PULMO_DATA);
        assert_non_null(strstr(pulmo_error(), "image 1, class 0"));
        assert_int_equal(roc_of(2, 2, fine, scores[0], 1, &roc), PULMO_DATA);
    }
}

/* ---- order by margins ---- */

#define SURE 8

/* Pairs of a positive and a negative: the part where the positive's value is larger, ties half. */
static double area_of_pairs(uint32_t n, const int32_t *labels, int positive, const double *value)
{
    double won = 0;
    double pairs = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < n; j++) {
            if (labels[i] != positive || labels[j] == positive)
                continue;
            pairs++;
            won += value[i] > value[j] ? 1 : 0;
            won += value[i] == value[j] ? 0.5 : 0;
        }
    }
    return won / pairs;
}

/* Logits as a head that is too sure gives them: from a margin of 17 on a float's probability is 1,
 * and of the larger ones the other class's is 0. */
static const float sure_logits[SURE][2] = {{0, 18},   {1, 24},   {0, 31},  {0, 130},
                                           {-60, 60}, {-3, -20}, {40, -1}, {70, -70}};
static const int32_t sure_labels[SURE] = {0, 1, 0, 1, 0, 1, 0, 1};

static void sure_probabilities(float out[SURE][2])
{
    for (int i = 0; i < SURE; i++) {
        const double margin = (double)sure_logits[i][1] - (double)sure_logits[i][0];
        out[i][1] = (float)(1 / (1 + exp(-margin)));
        out[i][0] = (float)(1 / (1 + exp(margin)));
    }
}

static void images_are_ordered_by_margins(void **state)
{
    (void)state;
    float p[SURE][2];
    double margin[SURE], probability[SURE];
    pulmo_metrics m;
    pulmo_roc roc;
    pulmo_pr pr;
    pulmo_interval of_patients;
    const uint32_t patient[SURE] = {0, 1, 2, 3, 4, 5, 6, 7};
    const pulmo_decision by = {1, 0.5};
    sure_probabilities(p);
    for (int i = 0; i < SURE; i++) {
        margin[i] = (double)sure_logits[i][1] - (double)sure_logits[i][0];
        probability[i] = (double)p[i][1];
    }
    const double area = area_of_pairs(SURE, sure_labels, 1, margin);
    assert_true(fabs(area - area_of_pairs(SURE, sure_labels, 1, probability)) > 0.05);
    pulmo_scored scored = scored_of(SURE, 2, sure_labels, p[0]);
    scored.logits = sure_logits[0];
    assert_int_equal(pulmo_metrics_compute(&scored, &by, &m), PULMO_OK);
    NEAR(m.auc, area);
    NEAR(m.per_class[0].auc, area); /* of two classes both have one area */
    NEAR(m.per_class[1].auc, area);
    pulmo_metrics_free(&m);
    assert_int_equal(pulmo_auc_of_patients(&scored, 1, SURE, patient, &of_patients), PULMO_OK);
    NEAR(of_patients.value, area);
    assert_int_equal(pulmo_roc_compute(&scored, 1, &roc), PULMO_OK);
    assert_int_equal(roc.points, SURE + 1); /* all margins differ */
    for (uint32_t i = 1; i < roc.points; i++)
        assert_true(roc.threshold[i] <= roc.threshold[i - 1]);
    pulmo_roc_free(&roc);
    assert_int_equal(pulmo_pr_compute(&scored, 0, &pr), PULMO_OK);
    assert_int_equal(pr.points, SURE + 1);
    pulmo_pr_free(&pr);
}

/* Of three classes the odds of one against the rest, which the temperature has a part in. */
static void margins_of_more_classes_are_log_odds(void **state)
{
    (void)state;
    const float logits[4][3] = {{1, 2, 3}, {3, 3, 6}, {60, 10, 0}, {61, 45, 0}};
    const int32_t labels[4] = {2, 0, 0, 1};
    float p[4][3];
    double odds[4];
    pulmo_metrics m;
    for (int i = 0; i < 4; i++) {
        double part[3];
        double sum = 0;
        for (int k = 0; k < 3; k++)
            sum += part[k] = exp((double)logits[i][k] / 2.5);
        for (int k = 0; k < 3; k++)
            p[i][k] = (float)(part[k] / sum);
        odds[i] = part[0] / (part[1] + part[2]);
    }
    pulmo_scored scored = scored_of(4, 3, labels, p[0]);
    scored.logits = logits[0];
    scored.temperature = 2.5;
    assert_int_equal(pulmo_metrics_compute(&scored, &(pulmo_decision){0, 0.5}, &m), PULMO_OK);
    NEAR(m.per_class[0].auc, area_of_pairs(4, labels, 0, odds));
    pulmo_metrics_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_is_scipys),
        cmocka_unit_test(two_classes_are_scikit_learns),
        cmocka_unit_test(three_classes_are_scikit_learns),
        cmocka_unit_test(rest_is_scikit_learns),
        cmocka_unit_test(curves_are_scikit_learns),
        cmocka_unit_test(delong_is_its_definition),
        cmocka_unit_test(no_samples),
        cmocka_unit_test(a_class_is_absent),
        cmocka_unit_test(ties_and_separation),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(images_are_ordered_by_margins),
        cmocka_unit_test(margins_of_more_classes_are_log_odds),
    };
    return cmocka_run_group_tests(tests, fill_data, NULL);
}
