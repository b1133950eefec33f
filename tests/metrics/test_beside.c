/* The AUC among images alike in another number, against all pairs compared one by one, and rank
 * correlation, against scipy.stats.spearmanr. */
#include "scored.h"

#include "metrics_room.h"

#include "pulmo/rng.h"

#define COUNT    240
#define PATIENTS 80

static int32_t labels[COUNT];
static float scores[COUNT][2], logits[COUNT][2];
static double other[COUNT];
static uint32_t patient[COUNT];

/* Images whose score and whose other number both go with the class and with each other; coarse, so
 * that many are tied. */
static void draw_images(double of_other)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 5, PULMO_RNG_TEST, 0, 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        patient[i] = i / 3;
        labels[i] = patient[i] % 5 > 1;
        other[i] = floor(4 * (pulmo_rng_normal(&rng) + labels[i]));
        const double own = pulmo_rng_normal(&rng) + 0.7 * labels[i];
        const double margin = floor(4 * (own + of_other * other[i] / 4)) / 4;
        logits[i][0] = 0;
        logits[i][1] = (float)margin;
        scores[i][1] = (float)(1 / (1 + exp(-margin)));
        scores[i][0] = 1 - scores[i][1];
    }
}

static pulmo_scored drawn(void)
{
    pulmo_scored scored = scored_of(COUNT, 2, labels, scores[0]);
    scored.logits = logits[0];
    return scored;
}

/* By the definition: a fifth of the standard deviation that the classes have on average. */
static double caliper(void)
{
    double count[2] = {0}, sum[2] = {0}, squares[2] = {0};
    for (uint32_t i = 0; i < COUNT; i++) {
        count[labels[i]]++;
        sum[labels[i]] += other[i];
        squares[labels[i]] += other[i] * other[i];
    }
    double variances = 0;
    for (int side = 0; side < 2; side++) {
        const double mean = sum[side] / count[side];
        variances += squares[side] / count[side] - mean * mean;
    }
    return 0.2 * sqrt(variances / 2);
}

/* The part of its like that a positive stands above, averaged over positives; how many have one. */
static double by_pairs(uint32_t *compared)
{
    double sum = 0;
    const double reach = caliper();
    *compared = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        double won = 0, rest = 0;
        for (uint32_t j = 0; labels[i] && j < COUNT; j++) {
            if (labels[j] || fabs(other[i] - other[j]) > reach)
                continue;
            rest++;
            won += logits[i][1] > logits[j][1];
            won += 0.5 * (logits[i][1] == logits[j][1]);
        }
        if (rest > 0) {
            sum += won / rest;
            ++*compared;
        }
    }
    return sum / *compared;
}

static pulmo_alike alike(void)
{
    pulmo_alike out;
    const pulmo_scored scored = drawn();
    assert_int_equal(pulmo_auc_alike(&scored, 1, other, PATIENTS, patient, &out), PULMO_OK);
    return out;
}

static void pairs_are_of_images_alike(void **state)
{
    (void)state;
    const double parts[] = {0, 0.5, 2};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        uint32_t compared;
        draw_images(parts[i]);
        const double wanted = by_pairs(&compared);
        const pulmo_alike have = alike();
        NEAR(have.auc.value, wanted);
        assert_true(have.auc.low < wanted && wanted < have.auc.high);
        assert_int_equal(have.compared, compared);
        assert_int_equal(have.positives, COUNT * 3 / 5);
    }
}

/* A score that is the other number and nothing else keeps nothing of its area, where the two
 * classes hardly overlap in it, too. */
static void what_the_other_tells_is_taken_away(void **state)
{
    (void)state;
    for (int apart = 0; apart <= 6; apart += 6) {
        pulmo_interval all;
        draw_images(1);
        for (uint32_t i = 0; i < COUNT; i++) {
            other[i] += apart * labels[i];
            logits[i][1] = (float)other[i];
        }
        const pulmo_scored scored = drawn();
        assert_int_equal(pulmo_auc_of_patients(&scored, 1, PATIENTS, patient, &all), PULMO_OK);
        assert_true(all.value > 0.7);
        NEAR(alike().auc.value, 0.5);
        assert_true(apart == 0 || alike().compared < alike().positives);
    }
}

/* Where the other number says nothing, nothing is taken away; the interval is about as wide. */
static void a_number_that_does_not_vary_leaves_all_pairs(void **state)
{
    (void)state;
    pulmo_interval all;
    draw_images(0);
    for (uint32_t i = 0; i < COUNT; i++)
        other[i] = 3;
    const pulmo_scored scored = drawn();
    assert_int_equal(pulmo_auc_of_patients(&scored, 1, PATIENTS, patient, &all), PULMO_OK);
    INTERVAL(alike().auc, all.value, all.low, all.high);
}

/* Of many the nearest: a positive at 0 among 150 of the rest, the nearest 100 of which it stands
 * above. */
static void of_many_the_nearest_are_compared(void **state)
{
    (void)state;
    enum { REST = 150, BOTH = REST + 2 };
    int32_t of[BOTH] = {0};
    float p[BOTH][2], margin[BOTH][2] = {{0}};
    double beside[BOTH];
    uint32_t own[BOTH];
    pulmo_alike out;
    for (int i = 0; i < BOTH; i++) {
        own[i] = (uint32_t)i;
        p[i][0] = 0.5F;
        p[i][1] = 0.5F;
        beside[i] = i % 2 == 0 ? i * 1e-3 : -i * 1e-3;
        margin[i][1] = i < METRICS_ALIKE_MAX + 2 ? -1 : 1;
    }
    of[0] = 1;
    of[1] = 1;
    beside[0] = 0;
    beside[1] = 100; /* far off, so that the caliper holds all */
    margin[0][1] = 0;
    pulmo_scored scored = scored_of(BOTH, 2, of, p[0]);
    scored.logits = margin[0];
    assert_int_equal(pulmo_auc_alike(&scored, 1, beside, BOTH, own, &out), PULMO_OK);
    NEAR(out.auc.value, 1);
    assert_int_equal(out.compared, 1);
    margin[METRICS_ALIKE_MAX + 1][1] = 1;
    assert_int_equal(pulmo_auc_alike(&scored, 1, beside, BOTH, own, &out), PULMO_OK);
    NEAR(out.auc.value, 0.99);
}

/* Of 200 as near a positive can be compared with 100: not with those of the lowest scores, and with
 * the same ones in whatever order images come. */
static void of_many_as_near_scores_choose_none(void **state)
{
    (void)state;
    enum { REST = 2 * METRICS_ALIKE_MAX, BOTH = REST + 1 };
    int32_t of[BOTH] = {1};
    float p[BOTH][2], margin[BOTH][2] = {{0}};
    double beside[BOTH] = {0};
    uint32_t own[BOTH];
    pulmo_alike out, turned;
    for (uint32_t i = 0; i < BOTH; i++) {
        own[i] = i * 7 % BOTH;
        p[i][0] = 0.5F;
        p[i][1] = 0.5F;
        margin[i][1] = own[i] % 2 == 0 ? -1 : 1;
    }
    margin[0][1] = 0;
    pulmo_scored scored = scored_of(BOTH, 2, of, p[0]);
    scored.logits = margin[0];
    assert_int_equal(pulmo_auc_alike(&scored, 1, beside, BOTH, own, &out), PULMO_OK);
    NEAR(out.auc.value, 0.5);
    for (uint32_t i = 1; i < BOTH; i++) {
        own[i] = (BOTH - i) * 7 % BOTH;
        margin[i][1] = own[i] % 2 == 0 ? -1 : 1;
    }
    assert_int_equal(pulmo_auc_alike(&scored, 1, beside, BOTH, own, &turned), PULMO_OK);
    INTERVAL(turned.auc, out.auc.value, out.auc.low, out.auc.high);
}

/* More images of the same patients tell nothing new: patients are drawn, not images. */
static void patients_are_drawn(void **state)
{
    (void)state;
    uint32_t alone[COUNT];
    pulmo_alike by_image;
    draw_images(0.5);
    for (uint32_t i = 0; i < COUNT; i++) {
        logits[i][1] = logits[i - i % 3][1];
        other[i] = other[i - i % 3];
        alone[i] = i;
    }
    const pulmo_scored scored = drawn();
    const pulmo_interval by_patient = alike().auc;
    assert_int_equal(pulmo_auc_alike(&scored, 1, other, COUNT, alone, &by_image), PULMO_OK);
    NEAR(by_patient.value, by_image.auc.value);
    assert_true(by_patient.high - by_patient.low > 1.4 * (by_image.auc.high - by_image.auc.low));
}

static void one_side_has_no_pairs(void **state)
{
    (void)state;
    for (int32_t side = 0; side < 2; side++) {
        draw_images(0);
        for (uint32_t i = 0; i < COUNT; i++)
            labels[i] = side;
        INTERVAL(alike().auc, NAN, NAN, NAN);
        assert_int_equal(alike().compared, 0);
    }
}

static void correlation_is_spearmans(void **state)
{
    (void)state;
    /* scipy.stats.spearmanr([0.1, 0.4, 0.4, 0.8, 0.9, 0.2], [1, 3, 2, 2, 7, 5]) and of the first,
     * second and last alone. */
    const int32_t of[] = {0, 0, 1, 1, 1, 0};
    const float p[][2] = {{0.9F, 0.1F}, {0.6F, 0.4F}, {0.6F, 0.4F},
                          {0.2F, 0.8F}, {0.1F, 0.9F}, {0.8F, 0.2F}};
    const double beside[] = {1, 3, 2, 2, 7, 5};
    const pulmo_scored six = scored_of(6, 2, of, p[0]);
    double all, rest;
    assert_int_equal(pulmo_rank_correlation(&six, 1, false, beside, &all), PULMO_OK);
    assert_int_equal(pulmo_rank_correlation(&six, 1, true, beside, &rest), PULMO_OK);
    NEAR(all, 0.5147058823529411);
    NEAR(rest, 0.5);
    const double flat[] = {1, 1, 1, 1, 1, 1};
    assert_int_equal(pulmo_rank_correlation(&six, 1, false, flat, &all), PULMO_OK);
    assert_true(isnan(all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_of_images_alike),
        cmocka_unit_test(what_the_other_tells_is_taken_away),
        cmocka_unit_test(a_number_that_does_not_vary_leaves_all_pairs),
        cmocka_unit_test(of_many_the_nearest_are_compared),
        cmocka_unit_test(of_many_as_near_scores_choose_none),
        cmocka_unit_test(patients_are_drawn),
        cmocka_unit_test(one_side_has_no_pairs),
        cmocka_unit_test(correlation_is_spearmans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
