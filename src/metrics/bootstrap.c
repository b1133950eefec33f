/* Intervals where images are not independent: whole patients are drawn again, with all that is
 * theirs. */
#include "metrics_room.h"

#include <math.h>
#include <stdlib.h>

#include "pulmo/rng.h"

#define RESAMPLES 2000
#define SEED      1 /* equal scores give equal intervals */

/* An image in the order of scores. */
typedef struct scored_image {
    double score;
    uint32_t patient;
    bool positive;
} scored_image;

typedef struct bootstrap {
    scored_image *image; /* (images), lowest score first */
    uint32_t images, patients;
    uint32_t *times; /* (patients): how often each was drawn */
    double *area;    /* (RESAMPLES) */
} bootstrap;

static int compare_images(const void *left, const void *right)
{
    const scored_image *a = left;
    const scored_image *b = right;
    return (a->score > b->score) - (a->score < b->score);
}

static int compare_reals(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The area under the ROC curve of the patients that were drawn; NaN without both sides. */
static double area_drawn(const bootstrap *b)
{
    double positives = 0, negatives = 0, pairs = 0;
    for (uint32_t i = 0, next; i < b->images; i = next) {
        double tied_positives = 0, tied_negatives = 0;
        const double score = b->image[i].score;
        for (next = i; next < b->images && b->image[next].score == score; next++) {
            const scored_image *image = &b->image[next];
            const double times = b->times[image->patient];
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

static void draw_patients(bootstrap *b, pulmo_rng *rng)
{
    for (uint32_t p = 0; p < b->patients; p++)
        b->times[p] = 0;
    for (uint32_t p = 0; p < b->patients; p++)
        b->times[pulmo_rng_below(rng, b->patients)]++;
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

static void resample(bootstrap *b, pulmo_interval *out)
{
    pulmo_rng rng;
    uint32_t defined = 0;
    for (uint32_t r = 0; r < RESAMPLES; r++) {
        pulmo_rng_at(&rng, SEED, PULMO_RNG_BOOTSTRAP, r, 0);
        draw_patients(b, &rng);
        const double area = area_drawn(b);
        if (!isnan(area))
            b->area[defined++] = area;
    }
    if (defined < RESAMPLES / 2)
        return; /* too few patients of one side for an interval */
    qsort(b->area, defined, sizeof *b->area, compare_reals);
    out->low = quantile(b->area, defined, 0.025);
    out->high = quantile(b->area, defined, 0.975);
}

static void take_images(bootstrap *b, const pulmo_scored *scored, int positive,
                        const uint32_t *patient)
{
    for (uint32_t i = 0; i < b->images; i++) {
        const double score = metrics_score_of(scored, i, positive);
        const bool is_positive = scored->labels[i] == positive;
        b->image[i] = (scored_image){score, patient[i], is_positive};
        b->times[patient[i]] = 1;
    }
    qsort(b->image, b->images, sizeof *b->image, compare_images);
}

pulmo_status pulmo_auc_of_patients(const pulmo_scored *scored, int positive, uint32_t patients,
                                   const uint32_t *patient, pulmo_interval *out)
{
    bootstrap b = {.images = scored->count, .patients = patients};
    pulmo_status status = PULMO_OK;
    *out = (pulmo_interval){NAN, NAN, NAN};
    PULMO_TRY(metrics_check(scored));
    b.image = calloc((size_t)b.images + 1, sizeof *b.image);
    b.times = calloc((size_t)patients + 1, sizeof *b.times);
    b.area = calloc(RESAMPLES, sizeof *b.area);
    if (b.image && b.times && b.area) {
        take_images(&b, scored, positive, patient);
        out->value = area_drawn(&b);
        if (!isnan(out->value))
            resample(&b, out);
    } else {
        status = pulmo_fail(PULMO_MEMORY, "out of memory for an interval of the AUC");
    }
    free(b.image);
    free(b.times);
    free(b.area);
    return status;
}
