/* The AUC within strata of another number, against all pairs compared one by one, and rank
 * correlation, against scipy.stats.spearmanr. */
#include "scored.h"

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

/* By the definition: the fifth of the rest in which the middle of those with its value lies. */
static int stratum_of(uint32_t image)
{
    double below = 0, tied = 0, all = 0;
    for (uint32_t j = 0; j < COUNT; j++) {
        if (labels[j])
            continue;
        all++;
        below += other[j] < other[image];
        tied += other[j] == other[image];
    }
    const double place = (below + tied / 2) / all;
    return place >= 1 ? PULMO_STRATA - 1 : (int)(PULMO_STRATA * place);
}

/* The part of the rest of its stratum that a positive stands above, averaged over positives. */
static double by_pairs(void)
{
    double sum = 0, positives = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        double won = 0, rest = 0;
        for (uint32_t j = 0; labels[i] && j < COUNT; j++) {
            if (labels[j] || stratum_of(i) != stratum_of(j))
                continue;
            rest++;
            won += logits[i][1] > logits[j][1];
            won += 0.5 * (logits[i][1] == logits[j][1]);
        }
        if (rest > 0) {
            sum += won / rest;
            positives++;
        }
    }
    return sum / positives;
}

static pulmo_interval within(void)
{
    pulmo_interval out;
    const pulmo_scored scored = drawn();
    assert_int_equal(pulmo_auc_within(&scored, 1, other, PATIENTS, patient, &out), PULMO_OK);
    return out;
}

static void pairs_are_of_one_stratum(void **state)
{
    (void)state;
    const double parts[] = {0, 0.5, 2};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        draw_images(parts[i]);
        NEAR(within().value, by_pairs());
    }
}

/* A score that is the other number and nothing else keeps little of its area. */
static void what_the_other_tells_is_taken_away(void **state)
{
    (void)state;
    pulmo_interval all;
    draw_images(1);
    for (uint32_t i = 0; i < COUNT; i++)
        logits[i][1] = (float)other[i];
    const pulmo_scored scored = drawn();
    assert_int_equal(pulmo_auc_of_patients(&scored, 1, PATIENTS, patient, &all), PULMO_OK);
    const pulmo_interval left = within();
    assert_true(all.value > 0.7);
    assert_true(left.value < all.value - 0.1);
    assert_true(left.low < left.value && left.value < left.high);
}

/* Where the other number says nothing, nothing is taken away; the interval is about as wide. */
static void a_number_that_does_not_vary_is_one_stratum(void **state)
{
    (void)state;
    pulmo_interval all;
    draw_images(0);
    for (uint32_t i = 0; i < COUNT; i++)
        other[i] = 3;
    const pulmo_scored scored = drawn();
    assert_int_equal(pulmo_auc_of_patients(&scored, 1, PATIENTS, patient, &all), PULMO_OK);
    INTERVAL(within(), all.value, all.low, all.high);
}

/* More images of the same patients tell nothing new: patients are drawn, not images. */
static void patients_are_drawn(void **state)
{
    (void)state;
    uint32_t alone[COUNT];
    pulmo_interval by_image;
    draw_images(0.5);
    for (uint32_t i = 0; i < COUNT; i++) {
        logits[i][1] = logits[i - i % 3][1];
        other[i] = other[i - i % 3];
        alone[i] = i;
    }
    const pulmo_scored scored = drawn();
    const pulmo_interval by_patient = within();
    assert_int_equal(pulmo_auc_within(&scored, 1, other, COUNT, alone, &by_image), PULMO_OK);
    NEAR(by_patient.value, by_image.value);
    assert_true(by_patient.high - by_patient.low > 1.4 * (by_image.high - by_image.low));
}

static void one_side_has_no_pairs(void **state)
{
    (void)state;
    draw_images(0);
    for (uint32_t i = 0; i < COUNT; i++)
        labels[i] = 1;
    INTERVAL(within(), NAN, NAN, NAN);
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
        cmocka_unit_test(pairs_are_of_one_stratum),
        cmocka_unit_test(what_the_other_tells_is_taken_away),
        cmocka_unit_test(a_number_that_does_not_vary_is_one_stratum),
        cmocka_unit_test(patients_are_drawn),
        cmocka_unit_test(one_side_has_no_pairs),
        cmocka_unit_test(correlation_is_spearmans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
