/* What the order of scores tells beside another number of each image: within strata of it, and how
 * far it goes with it. */
#include "metrics_room.h"

#include <math.h>
#include <stdlib.h>

/* ---- within strata ---- */

typedef struct image_within {
    double score, other;
    uint32_t patient;
    bool positive;
} image_within;

typedef struct images_within {
    image_within *image; /* (count), lowest score first */
    uint32_t *order;     /* (count): indices of images, lowest `other` first */
    uint8_t *stratum;    /* (count), of the draw at hand */
    uint32_t count;
} images_within;

static int compare_scores(const void *left, const void *right)
{
    const image_within *a = left;
    const image_within *b = right;
    return (a->score > b->score) - (a->score < b->score);
}

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

/* The rest that was drawn, and where in the order of `other` those end that are tied with the one
 * at `begin`. */
static uint32_t count_tied(const images_within *of, const uint32_t *drawn, uint32_t begin,
                           double *rest)
{
    const double value = of->image[of->order[begin]].other;
    uint32_t at = begin;
    *rest = 0;
    while (at < of->count && of->image[of->order[at]].other == value) {
        const image_within *image = &of->image[of->order[at]];
        if (!image->positive)
            *rest += drawn[image->patient];
        at++;
    }
    return at;
}

/* Each image's stratum: how many fifths of the rest lie below it. Equal values share one. */
static void cut_strata(const images_within *of, const uint32_t *drawn)
{
    double rest = 0, below = 0, tied = 0;
    for (uint32_t i = 0; i < of->count; i++) {
        const image_within *image = &of->image[i];
        if (!image->positive)
            rest += drawn[image->patient];
    }
    for (uint32_t begin = 0, end; begin < of->count; begin = end) {
        end = count_tied(of, drawn, begin, &tied);
        /* The fifth that the middle of those tied lies in. */
        const double middle = below + tied / 2;
        int stratum = rest > 0 ? (int)(PULMO_STRATA * middle / rest) : 0;
        if (stratum >= PULMO_STRATA)
            stratum = PULMO_STRATA - 1;
        for (uint32_t i = begin; i < end; i++)
            of->stratum[of->order[i]] = (uint8_t)stratum;
        below += tied;
    }
}

/* What a stratum's pairs were found to be, from the lowest score up. */
typedef struct stratum_pairs {
    double positives, rest, won;
    double tied_positives, tied_rest; /* of the score at hand */
} stratum_pairs;

static void close_ties(stratum_pairs *all)
{
    for (int s = 0; s < PULMO_STRATA; s++) {
        stratum_pairs *of = &all[s];
        of->won += of->tied_positives * (of->rest + of->tied_rest / 2);
        of->positives += of->tied_positives;
        of->rest += of->tied_rest;
        of->tied_positives = 0;
        of->tied_rest = 0;
    }
}

/* Areas within strata, each by its share of the positives. */
static double mean_area(const stratum_pairs *all)
{
    double sum = 0, positives = 0;
    for (int s = 0; s < PULMO_STRATA; s++) {
        const stratum_pairs *of = &all[s];
        if (of->rest == 0)
            continue;
        sum += of->won / of->rest;
        positives += of->positives;
    }
    return metrics_ratio(sum, positives);
}

static double area_within(const void *context, const uint32_t *drawn)
{
    const images_within *of = context;
    stratum_pairs all[PULMO_STRATA] = {0};
    cut_strata(of, drawn);
    for (uint32_t i = 0; i < of->count; i++) {
        const image_within *image = &of->image[i];
        if (i > 0 && image->score != of->image[i - 1].score)
            close_ties(all);
        stratum_pairs *at = &all[of->stratum[i]];
        const double times = drawn[image->patient];
        if (image->positive)
            at->tied_positives += times;
        else
            at->tied_rest += times;
    }
    close_ties(all);
    return mean_area(all);
}

static void take_images(images_within *of, const pulmo_scored *scored, int positive,
                        const double *other, const uint32_t *patient)
{
    for (uint32_t i = 0; i < of->count; i++) {
        image_within *image = &of->image[i];
        image->score = metrics_score_of(scored, i, positive);
        image->other = other[i];
        image->patient = patient[i];
        image->positive = scored->labels[i] == positive;
    }
    qsort(of->image, of->count, sizeof *of->image, compare_scores);
}

static void order_by_other(images_within *of, ranked *room)
{
    for (uint32_t i = 0; i < of->count; i++)
        room[i] = (ranked){of->image[i].other, i};
    qsort(room, of->count, sizeof *room, compare_ranked);
    for (uint32_t i = 0; i < of->count; i++)
        of->order[i] = room[i].image;
}

pulmo_status pulmo_auc_within(const pulmo_scored *scored, int positive, const double *other,
                              uint32_t patients, const uint32_t *patient, pulmo_interval *out)
{
    images_within of = {.count = scored->count};
    const size_t room = (size_t)of.count + 1;
    const metrics_statistic area = {area_within, &of};
    *out = (pulmo_interval){NAN, NAN, NAN};
    PULMO_TRY(metrics_check(scored));
    ranked *ranks = calloc(room, sizeof *ranks);
    of.image = calloc(room, sizeof *of.image);
    of.order = calloc(room, sizeof *of.order);
    of.stratum = calloc(room, sizeof *of.stratum);
    pulmo_status status = PULMO_MEMORY;
    if (ranks && of.image && of.order && of.stratum) {
        take_images(&of, scored, positive, other, patient);
        order_by_other(&of, ranks);
        status = metrics_bootstrap(&area, patients, out);
    } else {
        pulmo_fail(status, "out of memory for the AUC of %u images within strata", of.count);
    }
    free(ranks);
    free(of.image);
    free(of.order);
    free(of.stratum);
    return status;
}

/* ---- rank correlation ---- */

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
