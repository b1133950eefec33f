/* The AUC's interval where images are not independent: whole patients are drawn again. */
#include "metrics_room.h"

#include <math.h>
#include <stdlib.h>

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
static void area_drawn(const void *context, const uint32_t *drawn, double *area)
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
    *area = metrics_ratio(pairs, positives * negatives);
}

pulmo_status pulmo_auc_of_patients(const pulmo_scored *scored, int positive, uint32_t patients,
                                   const uint32_t *patient, pulmo_interval *out)
{
    scored_images all = {.count = scored->count};
    const pulmo_statistic area = {area_drawn, &all, 1};
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
    pulmo_status status = pulmo_bootstrap(&area, patients, scored->count, out);
    free(all.image);
    return status;
}
