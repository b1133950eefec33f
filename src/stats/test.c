/* Tests: of pairs, of a margin, of many at once; and a patient's score. */
#include <math.h>
#include <stdlib.h>

#include "stats_room.h"

double pulmo_mcnemar(uint64_t only_first, uint64_t only_second)
{
    if (only_first == only_second)
        return 1;
    double fewer = (double)only_first;
    double more = (double)only_second;
    if (only_first > only_second) {
        fewer = (double)only_second;
        more = (double)only_first;
    }
    /* P(X <= k) of n pairs at a half is I_1/2(n - k, k + 1) (DLMF 8.17.5). */
    const double tail = stats_beta(0.5, more, fewer + 1);
    return fmin(1, 2 * tail);
}

bool pulmo_not_inferior(const pulmo_difference *of, double margin, double *p)
{
    *p = NAN;
    if (of->error > 0) {
        const double apart = of->difference.value + margin;
        const double z = apart / of->error;
        const double tail = stats_normal_p(z) / 2;
        *p = 1 - tail;
        if (z > 0)
            *p = tail;
    }
    return of->difference.low > -margin;
}

/* ---- many at once ---- */

typedef struct ordered_p {
    double p;
    uint32_t at;
} ordered_p;

static int compare_p(const void *left, const void *right)
{
    const ordered_p *a = left;
    const ordered_p *b = right;
    if (a->p < b->p)
        return -1;
    if (a->p != b->p)
        return 1;
    if (a->at < b->at)
        return -1;
    return a->at > b->at;
}

pulmo_status pulmo_holm(uint32_t count, double *p)
{
    uint32_t tests = 0;
    double least = 0;
    ordered_p *order = calloc((size_t)count + 1, sizeof *order);
    if (!order)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u tests", count);
    for (uint32_t i = 0; i < count; i++)
        if (!isnan(p[i]))
            order[tests++] = (ordered_p){p[i], i};
    qsort(order, tests, sizeof *order, compare_p);
    for (uint32_t i = 0; i < tests; i++) {
        const ordered_p *of = &order[i];
        const double corrected = of->p * (tests - i);
        least = fmax(least, fmin(1, corrected));
        p[of->at] = least;
    }
    free(order);
    return PULMO_OK;
}

/* ---- a patient's score ---- */

static void merge_largest(const pulmo_truth *truth, const double *scores, double *score)
{
    for (uint32_t i = 0; i < truth->count; i++) {
        double *of = &score[truth->patient[i]];
        *of = fmax(*of, scores[i]); /* of a NaN and a number the number */
    }
}

/* `score` holds sums until the end. */
static void merge_mean(const pulmo_truth *truth, const double *scores, double *score)
{
    for (uint32_t i = 0; i < truth->count; i++) {
        double *of = &score[truth->patient[i]];
        if (isnan(*of))
            *of = scores[i];
        else
            *of += scores[i];
    }
}

pulmo_status pulmo_merge_patients(const pulmo_truth *truth, const double *scores, pulmo_merge how,
                                  double *score, bool *positive)
{
    uint32_t *images = calloc((size_t)truth->patients + 1, sizeof *images);
    if (!images)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u patients", truth->patients);
    for (uint32_t p = 0; p < truth->patients; p++) {
        score[p] = NAN;
        positive[p] = false;
    }
    for (uint32_t i = 0; i < truth->count; i++) {
        const uint32_t patient = truth->patient[i];
        positive[patient] |= truth->positive[i];
        images[patient]++;
    }
    if (how == PULMO_MERGE_LARGEST)
        merge_largest(truth, scores, score);
    else
        merge_mean(truth, scores, score);
    for (uint32_t p = 0; p < truth->patients; p++)
        if (how == PULMO_MERGE_MEAN && images[p] > 0)
            score[p] /= images[p];
    free(images);
    return PULMO_OK;
}
