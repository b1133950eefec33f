/* Tests: of pairs, of a margin, of many at once; and a patient's score. */
#include <math.h>
#include <stdlib.h>

#include "stats_room.h"

double pulmo_mcnemar(uint64_t only_first, uint64_t only_second)
{
    const uint64_t fewer = only_first < only_second ? only_first : only_second;
    const double all = (double)(only_first + only_second);
    const double low = (double)fewer;
    if (2 * fewer >= only_first + only_second)
        return 1;
    /* P(X <= k) of n pairs at a half is I_1/2(n - k, k + 1) (DLMF 8.17.5). */
    return fmin(1, 2 * stats_beta(0.5, all - low, low + 1));
}

bool pulmo_not_inferior(const pulmo_difference *of, double margin, double *p)
{
    *p = NAN;
    if (of->error > 0) {
        const double z = (of->difference.value + margin) / of->error;
        const double both = stats_normal_p(z);
        *p = z > 0 ? both / 2 : 1 - both / 2;
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
    if (a->p != b->p)
        return a->p > b->p ? 1 : -1;
    return (a->at > b->at) - (a->at < b->at);
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
        least = fmax(least, fmin(1, order[i].p * (tests - i)));
        p[order[i].at] = least;
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
        *of = isnan(*of) ? scores[i] : *of + scores[i];
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
        positive[truth->patient[i]] |= truth->positive[i];
        images[truth->patient[i]]++;
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
