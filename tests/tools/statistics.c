/* Every statistic of the room on one set, for bench/statistics to compare with other programs.
 *
 *   statistics images|patients < SET       a line "POSITIVE PATIENT A B" per image: A and B are
 *                                          probabilities of two models
 *   statistics binomial K N [K N ...]      Wilson's and exact intervals
 *   statistics coverage STUDIES PATIENTS MOST
 *       how many of so many simulated studies' 95 % intervals hold the truth: PATIENTS of each
 * class, one to MOST images each, AUC and sensitivity 0.85
 *
 * Prints "NAME VALUE" per line, "NAME undefined REASON" where there is none. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/operating.h"
#include "pulmo/rng.h"
#include "pulmo/stats.h"

typedef struct set {
    pulmo_truth truth;
    bool *positive, *called[2], *negative;
    uint32_t *patient;
    double *score[2], *log_odds;
} set;

#define IMAGES_MOST 2000000

static void *room(size_t size)
{
    void *block = calloc(IMAGES_MOST, size);
    if (!block)
        exit(1);
    return block;
}

static void read_set(set *s, bool by_patient)
{
    int positive;
    double a, b;
    uint32_t n = 0, patient;
    s->positive = room(sizeof(bool));
    s->negative = room(sizeof(bool));
    s->patient = room(sizeof(uint32_t));
    s->log_odds = room(sizeof(double));
    for (int k = 0; k < 2; k++) {
        s->called[k] = room(sizeof(bool));
        s->score[k] = room(sizeof(double));
    }
    while (n < IMAGES_MOST && scanf("%d %u %lf %lf", &positive, &patient, &a, &b) == 4) {
        s->positive[n] = positive != 0;
        s->negative[n] = positive == 0;
        s->patient[n] = patient;
        s->score[0][n] = a;
        s->score[1][n] = b;
        s->called[0][n] = a >= 0.5;
        s->called[1][n] = b >= 0.5;
        s->log_odds[n] = pulmo_log_odds(a);
        if (patient >= s->truth.patients)
            s->truth.patients = patient + 1;
        n++;
    }
    s->truth.count = n;
    s->truth.positive = s->positive;
    s->truth.patient = by_patient ? s->patient : NULL;
}

static void say(const char *name, double value)
{
    printf("%s %.17g\n", name, value);
}

static void say_interval(const char *name, pulmo_interval it)
{
    printf("%s %.17g\n%s.low %.17g\n%s.high %.17g\n", name, it.value, name, it.low, name, it.high);
}

static void say_estimate(const char *name, const pulmo_estimate *it)
{
    if (it->undefined)
        printf("%s undefined %s\n", name, it->undefined);
    else
        say_interval(name, it->it);
}

static void say_difference(const char *name, const pulmo_difference *d)
{
    char full[64];
    if (d->undefined) {
        printf("%s undefined %s\n", name, d->undefined);
        return;
    }
    say_interval(name, d->difference);
    snprintf(full, sizeof full, "%s.p", name);
    say(full, d->p);
    snprintf(full, sizeof full, "%s.error", name);
    say(full, d->error);
}

static void fail_on(pulmo_status status)
{
    if (status == PULMO_OK)
        return;
    fprintf(stderr, "%s\n", pulmo_error());
    exit(1);
}

static void areas(const set *s)
{
    pulmo_area area;
    pulmo_difference d;
    fail_on(pulmo_area_of(&s->truth, s->score[0], &area));
    if (area.undefined)
        printf("auc undefined %s\n", area.undefined);
    say_interval("auc", area.auc);
    say("auc.variance", area.variance);
    fail_on(pulmo_area_difference(&s->truth, s->score[0], s->score[1], &d));
    say_difference("auc.difference", &d);
}

static void shares(const set *s)
{
    pulmo_estimate e;
    pulmo_difference d;
    fail_on(pulmo_share(&s->truth, s->positive, s->called[0], &e));
    say_estimate("sensitivity", &e);
    fail_on(pulmo_share_difference(&s->truth, s->positive, s->called[0], s->called[1], &d));
    say_difference("sensitivity.difference", &d);
}

static void calibration(const set *s)
{
    pulmo_calibration_line line;
    pulmo_smooth_curve curve;
    fail_on(pulmo_calibration_line_of(&s->truth, s->log_odds, &line));
    say_estimate("in_the_large", &line.in_the_large);
    say_estimate("intercept", &line.intercept);
    say_estimate("slope", &line.slope);
    fail_on(pulmo_smooth_curve_of(&s->truth, s->score[0], &curve));
    say("ici", curve.index);
    for (uint32_t i = 0; i < curve.points; i++)
        printf("smooth.%u %.17g\n", i, curve.share[i]);
    pulmo_smooth_curve_free(&curve);
}

static void benefits(const set *s)
{
    char name[64];
    for (int t = 1; t < 20; t++) {
        pulmo_benefit benefit;
        fail_on(pulmo_benefit_at(&s->truth, s->score[0], t / 20.0, &benefit));
        snprintf(name, sizeof name, "benefit.%d", t);
        say_interval(name, benefit.model);
        snprintf(name, sizeof name, "benefit_all.%d", t);
        say(name, benefit.treat_all.value);
    }
}

static void points(const set *s)
{
    pulmo_operating_point point[PULMO_OPERATING_RULES];
    char name[64];
    fail_on(pulmo_operating_points(&s->truth, s->score[0], s->called[0], point));
    for (int r = 0; r < PULMO_OPERATING_RULES; r++) {
        const struct {
            const char *name;
            pulmo_interval it;
        } all[] = {{"sensitivity", point[r].sensitivity},
                   {"specificity", point[r].specificity},
                   {"ratio_positive", point[r].likelihood_positive},
                   {"ratio_negative", point[r].likelihood_negative},
                   {"predictive_positive", point[r].predictive_positive[2]},
                   {"predictive_negative", point[r].predictive_negative[2]}};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
            snprintf(name, sizeof name, "point.%d.%s", r, all[i].name);
            say_interval(name, all[i].it);
        }
        snprintf(name, sizeof name, "point.%d.threshold", r);
        say(name, point[r].threshold);
    }
}

/* ---- coverage ---- */

/* Scores are normal with variance 1, half of it the patient's; positives stand higher by what makes
 * the AUC 0.85, and are called from what finds 0.85 of them. */
#define AUC_SHIFT 1.4657391917  /* sqrt(2) times the normal's 0.85 quantile */
#define QUANTILE  1.0364333895  /* the normal's 0.85 quantile */
#define SHARED    0.70710678119 /* sqrt(1/2) */

typedef struct tally {
    int area, share, exact, wilson;
    double area_width, share_width;
} tally;

static void draw_patient(set *s, pulmo_rng *rng, uint32_t patient, bool positive, int most)
{
    const double own = SHARED * pulmo_rng_normal(rng);
    const uint32_t images = 1 + pulmo_rng_below(rng, (uint32_t)most);
    for (uint32_t j = 0; j < images; j++) {
        const uint32_t i = s->truth.count++;
        const double score = own + SHARED * pulmo_rng_normal(rng) + (positive ? AUC_SHIFT : 0);
        s->positive[i] = positive;
        s->patient[i] = patient;
        s->score[0][i] = score;
        s->called[0][i] = score >= AUC_SHIFT - QUANTILE;
    }
}

static bool holds(pulmo_interval it, double truth)
{
    return it.low <= truth && truth <= it.high;
}

static void study(set *s, int number, uint32_t patients, int most, tally *t)
{
    pulmo_rng rng;
    pulmo_area area;
    pulmo_estimate share;
    uint64_t found = 0, all = 0;
    pulmo_rng_at(&rng, 33, PULMO_RNG_TEST, (uint64_t)number, 0);
    s->truth.count = 0;
    for (uint32_t p = 0; p < 2 * patients; p++)
        draw_patient(s, &rng, p, p < patients, most);
    for (uint32_t i = 0; i < s->truth.count; i++) {
        all += s->positive[i];
        found += s->positive[i] && s->called[0][i];
    }
    fail_on(pulmo_area_of(&s->truth, s->score[0], &area));
    fail_on(pulmo_share(&s->truth, s->positive, s->called[0], &share));
    t->area += holds(area.auc, 0.85);
    t->share += holds(share.it, 0.85);
    t->exact += holds(pulmo_exact(found, all), 0.85);
    t->wilson += holds(pulmo_wilson(found, all), 0.85);
    t->area_width += area.auc.high - area.auc.low;
    t->share_width += share.it.high - share.it.low;
}

static void coverage(set *s, int studies, uint32_t patients, int most)
{
    tally t = {0};
    s->positive = room(sizeof(bool));
    s->patient = room(sizeof(uint32_t));
    s->score[0] = room(sizeof(double));
    s->called[0] = room(sizeof(bool));
    s->truth = (pulmo_truth){0, s->positive, 2 * patients, s->patient};
    for (int i = 0; i < studies; i++)
        study(s, i, patients, most, &t);
    printf("patients %u of each class, 1 to %d images: AUC %.4f (width %.3f)  sensitivity %.4f "
           "(width %.3f)  by image alone: exact %.4f, Wilson %.4f\n",
           patients, most, (double)t.area / studies, t.area_width / studies,
           (double)t.share / studies, t.share_width / studies, (double)t.exact / studies,
           (double)t.wilson / studies);
}

int main(int count, char **arguments)
{
    set s = {0};
    char name[64];
    if (count > 1 && strcmp(arguments[1], "binomial") == 0) {
        for (int i = 2; i + 1 < count; i += 2) {
            const uint64_t k = strtoull(arguments[i], NULL, 10);
            const uint64_t n = strtoull(arguments[i + 1], NULL, 10);
            snprintf(name, sizeof name, "wilson.%d", i / 2 - 1);
            say_interval(name, pulmo_wilson(k, n));
            snprintf(name, sizeof name, "exact.%d", i / 2 - 1);
            say_interval(name, pulmo_exact(k, n));
            snprintf(name, sizeof name, "mcnemar.%d", i / 2 - 1);
            say(name, pulmo_mcnemar(k, n));
        }
        return 0;
    }
    if (count == 5 && strcmp(arguments[1], "coverage") == 0) {
        coverage(&s, atoi(arguments[2]), (uint32_t)atoi(arguments[3]), atoi(arguments[4]));
        return 0;
    }
    read_set(&s, count > 1 && strcmp(arguments[1], "patients") == 0);
    areas(&s);
    shares(&s);
    calibration(&s);
    benefits(&s);
    points(&s);
    return 0;
}
