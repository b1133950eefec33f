/* What the order of scores tells beside another number of each image: among images alike in it, and
 * how far it goes with it. */
#include "metrics_room.h"

#include <math.h>
#include <stdlib.h>

/* ---- images alike ---- */

typedef struct image_beside {
    double other, score;
    uint32_t patient;
    uint32_t begin, end; /* of a positive: those of the rest that are like it */
} image_beside;

typedef struct images_beside {
    image_beside *positive; /* (positives) */
    image_beside *rest;     /* (rest), lowest `other` first */
    uint32_t positives, rests;
} images_beside;

/* Of those equal in the other number a positive may be compared with a part: which, must not depend
 * on their scores, nor on what a sort makes of equals. */
static int compare_others(const void *left, const void *right)
{
    const image_beside *a = left;
    const image_beside *b = right;
    if (a->other != b->other)
        return a->other > b->other ? 1 : -1;
    if (a->patient != b->patient)
        return a->patient > b->patient ? 1 : -1;
    return (a->score > b->score) - (a->score < b->score);
}

static double variance_of(const image_beside *images, uint32_t count)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += images[i].other;
    const double mean = metrics_ratio(sum, count);
    for (uint32_t i = 0; i < count; i++) {
        const double off = images[i].other - mean;
        squares += off * off;
    }
    return metrics_ratio(squares, count);
}

/* The first of the rest whose number is not below that. */
static uint32_t first_from(const images_beside *of, double other)
{
    uint32_t low = 0, high = of->rests;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (of->rest[middle].other < other)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes the nearest of the rest within the caliper, one by one; of two as near the lower. */
static void find_alike(const images_beside *of, double caliper, image_beside *image)
{
    image->begin = first_from(of, image->other);
    image->end = image->begin;
    while (image->end - image->begin < METRICS_ALIKE_MAX) {
        double below = INFINITY, above = INFINITY;
        if (image->begin > 0)
            below = image->other - of->rest[image->begin - 1].other;
        if (image->end < of->rests)
            above = of->rest[image->end].other - image->other;
        if (!(fmin(below, above) <= caliper)) /* nor where that is NaN */
            break;
        if (below <= above)
            image->begin--;
        else
            image->end++;
    }
}

/* The part of a positive's like, as they were drawn, that it stands above; NaN without any. */
static double place_among(const images_beside *of, const image_beside *image, const uint32_t *drawn)
{
    double below = 0, all = 0;
    for (uint32_t j = image->begin; j < image->end; j++) {
        const image_beside *like = &of->rest[j];
        const double times = drawn[like->patient];
        all += times;
        if (like->score < image->score)
            below += times;
        else if (like->score == image->score)
            below += times / 2;
    }
    return metrics_ratio(below, all);
}

static void area_alike(const void *context, const uint32_t *drawn, double *area)
{
    const images_beside *of = context;
    double sum = 0, positives = 0;
    for (uint32_t i = 0; i < of->positives; i++) {
        const image_beside *image = &of->positive[i];
        const double times = drawn[image->patient];
        const double place = times > 0 ? place_among(of, image, drawn) : NAN;
        if (isnan(place))
            continue;
        sum += times * place;
        positives += times;
    }
    *area = metrics_ratio(sum, positives);
}

static void take_sides(images_beside *of, const pulmo_scored *scored, int positive,
                       const double *other, const uint32_t *patient)
{
    for (uint32_t i = 0; i < scored->count; i++) {
        const double score = metrics_score_of(scored, i, positive);
        const image_beside image = {.other = other[i], .score = score, .patient = patient[i]};
        if (scored->labels[i] == positive)
            of->positive[of->positives++] = image;
        else
            of->rest[of->rests++] = image;
    }
    qsort(of->rest, of->rests, sizeof *of->rest, compare_others);
}

static void match(images_beside *of, pulmo_alike *out)
{
    const double of_positives = variance_of(of->positive, of->positives);
    const double of_rest = variance_of(of->rest, of->rests);
    const double caliper = PULMO_CALIPER * sqrt((of_positives + of_rest) / 2);
    out->positives = of->positives;
    for (uint32_t i = 0; i < of->positives; i++) {
        image_beside *image = &of->positive[i];
        find_alike(of, caliper, image);
        out->compared += image->end > image->begin;
    }
}

pulmo_status pulmo_auc_alike(const pulmo_scored *scored, int positive, const double *other,
                             uint32_t patients, const uint32_t *patient, pulmo_alike *out)
{
    const size_t room = (size_t)scored->count + 1;
    images_beside of = {0};
    const pulmo_statistic area = {area_alike, &of, 1};
    *out = (pulmo_alike){.auc = {NAN, NAN, NAN}};
    PULMO_TRY(metrics_check(scored));
    of.positive = calloc(room, sizeof *of.positive);
    of.rest = calloc(room, sizeof *of.rest);
    pulmo_status status = PULMO_OK;
    if (of.positive && of.rest) {
        take_sides(&of, scored, positive, other, patient);
        match(&of, out);
        status = pulmo_bootstrap(&area, patients, scored->count, &out->auc);
    } else {
        status = pulmo_fail(PULMO_MEMORY, "out of memory for pairs of %u images", scored->count);
    }
    free(of.positive);
    free(of.rest);
    return status;
}

/* ---- rank correlation ---- */

typedef struct ranked {
    double value;
    uint32_t image;
} ranked;

static int compare_ranked(const void *left, const void *right)
{
    const ranked *a = left;
    const ranked *b = right;
    if (a->value != b->value)
        return a->value > b->value ? 1 : -1;
    return (a->image > b->image) - (a->image < b->image);
}

/* Ranks of the values, from 1 on; those tied take their mean. */
static void take_ranks(ranked *values, uint32_t count, double *rank)
{
    qsort(values, count, sizeof *values, compare_ranked);
    for (uint32_t begin = 0, end; begin < count; begin = end) {
        for (end = begin; end < count && values[end].value == values[begin].value;)
            end++;
        const double mean = (begin + 1.0 + end) / 2;
        for (uint32_t i = begin; i < end; i++)
            rank[values[i].image] = mean;
    }
}

/* Pearson's, of ranks: their mean is known. */
static double correlation(const double *x, const double *y, uint32_t count)
{
    const double mean = (count + 1.0) / 2;
    double xx = 0, yy = 0, xy = 0;
    for (uint32_t i = 0; i < count; i++) {
        const double dx = x[i] - mean;
        const double dy = y[i] - mean;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    return metrics_ratio(xy, sqrt(xx * yy));
}

typedef struct correlated {
    ranked *scores, *others; /* (count) */
    double *x, *y;           /* (count): their ranks */
    uint32_t count;
} correlated;

static void take_pairs(correlated *of, const pulmo_scored *scored, int class, bool of_rest,
                       const double *other)
{
    for (uint32_t i = 0; i < scored->count; i++) {
        if (of_rest && scored->labels[i] == class)
            continue;
        const uint32_t at = of->count++;
        of->scores[at] = (ranked){metrics_score_of(scored, i, class), at};
        of->others[at] = (ranked){other[i], at};
    }
}

pulmo_status pulmo_rank_correlation(const pulmo_scored *scored, int class, bool of_rest,
                                    const double *other, double *out)
{
    const size_t room = (size_t)scored->count + 1;
    *out = NAN;
    PULMO_TRY(metrics_check(scored));
    correlated of = {.scores = calloc(room, sizeof *of.scores),
                     .others = calloc(room, sizeof *of.others),
                     .x = calloc(room, sizeof *of.x),
                     .y = calloc(room, sizeof *of.y)};
    pulmo_status status = PULMO_OK;
    if (of.scores && of.others && of.x && of.y) {
        take_pairs(&of, scored, class, of_rest, other);
        take_ranks(of.scores, of.count, of.x);
        take_ranks(of.others, of.count, of.y);
        *out = correlation(of.x, of.y, of.count);
    } else {
        status = pulmo_fail(PULMO_MEMORY, "out of memory for ranks of %u images", scored->count);
    }
    free(of.scores);
    free(of.others);
    free(of.x);
    free(of.y);
    return status;
}
