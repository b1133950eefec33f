/* Intervals where images are not independent: whole patients are drawn again, with all that is
 * theirs. */
#include "metrics_room.h"

#include <math.h>
#include <stdlib.h>

#include "pulmo/rng.h"

#define RESAMPLES 2000
#define SEED      1 /* equal scores give equal intervals */

static int compare_reals(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The part `rank` (0 to 1) of the sorted values lies below it: linear between neighbours, which is
 * R's type 7 (Hyndman and Fan 1996). */
static double quantile(const double *values, uint32_t count, double rank)
{
    const double at = rank * (count - 1);
    const uint32_t below = (uint32_t)at;
    const uint32_t next = below + 1;
    const uint32_t above = next < count ? next : below;
    const double low = values[below];
    const double high = values[above];
    return low + (at - below) * (high - low);
}

/* ---- any statistic ---- */

static void draw_patients(pulmo_rng *rng, uint32_t patients, uint32_t *times)
{
    for (uint32_t p = 0; p < patients; p++)
        times[p] = 0;
    for (uint32_t p = 0; p < patients; p++)
        times[pulmo_rng_below(rng, patients)]++;
}

/* Its values over the draws that have one, (RESAMPLES); returns how many have. */
static uint32_t resample(const metrics_statistic *of, uint32_t patients, uint32_t *times,
                         double *values)
{
    pulmo_rng rng;
    uint32_t defined = 0;
    for (uint32_t r = 0; r < RESAMPLES; r++) {
        pulmo_rng_at(&rng, SEED, PULMO_RNG_BOOTSTRAP, r, 0);
        draw_patients(&rng, patients, times);
        const double value = of->value(of->context, times);
        if (!isnan(value))
            values[defined++] = value;
    }
    return defined;
}

static void take_interval(const metrics_statistic *of, uint32_t patients, uint32_t *times,
                          double *values, pulmo_interval *out)
{
    for (uint32_t p = 0; p < patients; p++)
        times[p] = 1;
    out->value = of->value(of->context, times);
    if (isnan(out->value))
        return;
    const uint32_t defined = resample(of, patients, times, values);
    if (defined < RESAMPLES / 2)
        return; /* too few patients of one side for an interval */
    qsort(values, defined, sizeof *values, compare_reals);
    out->low = quantile(values, defined, 0.025);
    out->high = quantile(values, defined, 0.975);
}

pulmo_status metrics_bootstrap(const metrics_statistic *of, uint32_t patients, pulmo_interval *out)
{
    uint32_t *times = calloc((size_t)patients + 1, sizeof *times);
    double *values = calloc(RESAMPLES, sizeof *values);
    pulmo_status status = PULMO_OK;
    *out = (pulmo_interval){NAN, NAN, NAN};
    if (times && values)
        take_interval(of, patients, times, values, out);
    else
        status =
            pulmo_fail(PULMO_MEMORY, "out of memory for an interval over %u patients", patients);
    free(times);
    free(values);
    return status;
}

/* ---- the area under the ROC curve ---- */

/* An image in the order of scores. */
typedef struct scored_image {
    double score;
    uint32_t patient;
    bool positive;
} scored_image;

typedef struct scored_images {
    scored_image *image; /* (count), lowest score first */
    uint32_t count;
} scored_images;

static int compare_images(const void *left, const void *right)
{
    const scored_image *a = left;
    const scored_image *b = right;
    return (a->score > b->score) - (a->score < b->score);
}

/* Of the patients that were drawn; NaN without both sides. */
static double area_drawn(const void *context, const uint32_t *drawn)
{
    const scored_images *of = context;
    double positives = 0, negatives = 0, pairs = 0;
    for (uint32_t i = 0, next; i < of->count; i = next) {
        double tied_positives = 0, tied_negatives = 0;
        const double score = of->image[i].score;
        for (next = i; next < of->count && of->image[next].score == score; next++) {
            const scored_image *image = &of->image[next];
            const double times = drawn[image->patient];
            if (image->positive)
                tied_positives += times;
            else
                tied_negatives += times;
        }
        pairs += tied_positives * (negatives + tied_negatives / 2);
        positives += tied_positives;
        negatives += tied_negatives;
    }
    return metrics_ratio(pairs, positives * negatives);
}

pulmo_status pulmo_auc_of_patients(const pulmo_scored *scored, int positive, uint32_t patients,
                                   const uint32_t *patient, pulmo_interval *out)
{
    scored_images all = {.count = scored->count};
    const metrics_statistic area = {area_drawn, &all};
    *out = (pulmo_interval){NAN, NAN, NAN};
    PULMO_TRY(metrics_check(scored));
    all.image = calloc((size_t)all.count + 1, sizeof *all.image);
    if (!all.image)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an interval of the AUC");
    for (uint32_t i = 0; i < all.count; i++) {
        const double score = metrics_score_of(scored, i, positive);
        const bool is_positive = scored->labels[i] == positive;
        all.image[i] = (scored_image){score, patient[i], is_positive};
    }
    qsort(all.image, all.count, sizeof *all.image, compare_images);
    pulmo_status status = metrics_bootstrap(&area, patients, out);
    free(all.image);
    return status;
}
