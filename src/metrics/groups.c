/* The figures of each group of images. */
#include "pulmo/groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "pulmo/operating.h"
#include "pulmo/text.h"
#include "metrics_groups.h"
#include "metrics_room.h"

const pulmo_group_measure_words pulmo_group_measures[PULMO_GROUP_MEASURE_COUNT] = {
#define X(id, name, words) {name, words},
    PULMO_GROUP_MEASURES(X)
#undef X
};

#define NOBODY UINT32_MAX

/* One group's images, with room for all; then the next one's. */
typedef struct workplace {
    uint32_t images;
    uint32_t *image; /* (images): which ones */
    bool *positive;  /* (images) */
    bool *negative, *called, *spared;
    double *score, *log_odds;
    uint32_t *patient; /* (images), counted anew in each group */
    uint32_t patients;
    uint32_t *of_all; /* (all images): patient */
    uint32_t all_patients;
    uint32_t *renamed; /* (all patients): in this group, or NOBODY */
} workplace;

static void workplace_free(workplace *w)
{
    free(w->image);
    free(w->positive);
    free(w->negative);
    free(w->called);
    free(w->spared);
    free(w->score);
    free(w->log_odds);
    free(w->patient);
    free(w->of_all);
    free(w->renamed);
}

static bool workplace_is_whole(const workplace *w)
{
    const void *const parts[] = {w->image, w->positive, w->negative, w->called, w->spared,
                                 w->score, w->log_odds, w->patient,  w->of_all, w->renamed};
    for (size_t i = 0; i < PULMO_COUNT_OF(parts); i++)
        if (!parts[i])
            return false;
    return true;
}

static pulmo_status workplace_make(const pulmo_group_source *source, workplace *w)
{
    const size_t room = (size_t)source->count + 1;
    *w = (workplace){.image = calloc(room, sizeof *w->image),
                     .positive = calloc(room, sizeof *w->positive),
                     .negative = calloc(room, sizeof *w->negative),
                     .called = calloc(room, sizeof *w->called),
                     .spared = calloc(room, sizeof *w->spared),
                     .score = calloc(room, sizeof *w->score),
                     .log_odds = calloc(room, sizeof *w->log_odds),
                     .patient = calloc(room, sizeof *w->patient),
                     .of_all = calloc(room, sizeof *w->of_all),
                     .renamed = calloc(room, sizeof *w->renamed)};
    if (!workplace_is_whole(w))
        return pulmo_fail(PULMO_MEMORY, "out of memory for groups of %u images", source->count);
    return pulmo_names_number(source->patients, source->count, w->of_all, &w->all_patients);
}

/* ---- one group ---- */

/* Patients are counted from 0 on in each group. */
static void take_images(const group_split *split, uint32_t group, uint32_t count, workplace *w)
{
    w->images = 0;
    w->patients = 0;
    for (uint32_t p = 0; p < w->all_patients; p++)
        w->renamed[p] = NOBODY;
    for (uint32_t i = 0; i < count; i++) {
        if (split->member[i] != group)
            continue;
        uint32_t *renamed = &w->renamed[w->of_all[i]];
        if (*renamed == NOBODY)
            *renamed = w->patients++;
        w->patient[w->images] = *renamed;
        w->image[w->images++] = i;
    }
}

static void take_scores(const pulmo_side *side, workplace *w)
{
    for (uint32_t k = 0; k < w->images; k++) {
        const uint32_t i = w->image[k];
        w->positive[k] = side->truth.positive[i];
        w->negative[k] = !w->positive[k];
        w->called[k] = side->called[i];
        w->spared[k] = !w->called[k];
        w->score[k] = side->score[i];
        w->log_odds[k] = side->log_odds[i];
    }
}

static pulmo_status compute(const workplace *w, pulmo_group *out)
{
    const pulmo_truth truth = {w->images, w->positive, w->patients, w->patient};
    pulmo_sample sample;
    pulmo_area area;
    pulmo_estimate prevalence, sensitivity, specificity;
    pulmo_calibration_line line;
    PULMO_TRY(pulmo_sample_of(&truth, &sample));
    PULMO_TRY(pulmo_share(&truth, NULL, w->positive, &prevalence));
    PULMO_TRY(pulmo_share(&truth, w->positive, w->called, &sensitivity));
    PULMO_TRY(pulmo_share(&truth, w->negative, w->spared, &specificity));
    PULMO_TRY(pulmo_area_of(&truth, w->score, &area));
    PULMO_TRY(pulmo_calibration_line_of(&truth, w->log_odds, &line));
    out->images = w->images;
    out->patients = w->patients;
    for (uint32_t k = 0; k < w->images; k++)
        out->positives += w->positive[k];
    const uint32_t least = PULMO_GROUP_PATIENTS;
    out->is_small = sample.positives < least || sample.negatives < least;
    out->value[PULMO_GROUP_PREVALENCE] = prevalence.it;
    out->value[PULMO_GROUP_AUC] = area.auc;
    out->value[PULMO_GROUP_SENSITIVITY] = sensitivity.it;
    out->value[PULMO_GROUP_SPECIFICITY] = specificity.it;
    out->value[PULMO_GROUP_INTERCEPT] = line.in_the_large.it;
    out->value[PULMO_GROUP_SLOPE] = line.slope.it;
    return PULMO_OK;
}

/* ---- all of them ---- */

/* What all groups share. */
typedef struct grouping {
    const pulmo_scored *scored;
    const pulmo_decision *by;
    const pulmo_group_source *source;
    workplace place;
    pulmo_groups *out;
} grouping;

/* Makes room for one more; NULL where there is none. */
static pulmo_group *next_group(pulmo_groups *out)
{
    pulmo_group *more = realloc(out->group, ((size_t)out->count + 1) * sizeof *more);
    if (!more)
        return NULL;
    out->group = more;
    more += out->count++;
    memset(more, 0, sizeof *more);
    return more;
}

static pulmo_status add_group(grouping *g, const char *column, const char *name,
                              const pulmo_side *side)
{
    pulmo_group *group = next_group(g->out);
    if (!group)
        return pulmo_fail(PULMO_MEMORY, "out of memory for groups");
    group->column = pulmo_strdup(column);
    group->name = pulmo_strdup(name);
    if (!group->column || !group->name)
        return PULMO_MEMORY;
    take_scores(side, &g->place);
    return compute(&g->place, group);
}

/* All groups of a column, of one class. A bin between cuts that were given may be empty. */
static pulmo_status add_class(grouping *g, const group_wish *wish, const group_split *split,
                              int class)
{
    pulmo_side side;
    PULMO_TRY(pulmo_side_of(g->scored, g->by, class, &side));
    pulmo_status status = PULMO_OK;
    for (uint32_t group = 0; status == PULMO_OK && group < split->groups; group++) {
        take_images(split, group, g->source->count, &g->place);
        if (g->place.images == 0)
            continue;
        status = add_group(g, wish->name, split->name[group], &side);
        if (status != PULMO_OK)
            break;
        pulmo_group *added = &g->out->group[g->out->count - 1];
        added->class = class;
        added->is_blank = split->has_blank && group + 1 == split->groups;
    }
    pulmo_side_free(&side);
    return status;
}

/* Of two classes the finding, of more each. */
static pulmo_status add_column(grouping *g, const group_wish *wish)
{
    group_split split;
    const bool two = g->scored->classes == 2;
    const int first = two ? g->by->positive : 0;
    const int end = two ? first + 1 : g->scored->classes;
    pulmo_status status = group_split_of(g->source, wish, &split);
    for (int k = first; status == PULMO_OK && k < end; k++)
        status = add_class(g, wish, &split, k);
    group_split_free(&split);
    return status;
}

pulmo_status pulmo_groups_compute(const pulmo_scored *scored, const pulmo_decision *decision,
                                  const pulmo_group_source *source, const char *by,
                                  pulmo_groups *out)
{
    grouping g = {.scored = scored, .by = decision, .source = source, .out = out};
    group_wish *wish = NULL;
    uint32_t wishes = 0;
    *out = (pulmo_groups){0};
    PULMO_TRY(group_wishes(by, source->columns, source->names, &wish, &wishes));
    pulmo_status status = workplace_make(source, &g.place);
    for (uint32_t i = 0; status == PULMO_OK && i < wishes; i++)
        status = add_column(&g, &wish[i]);
    workplace_free(&g.place);
    free(wish);
    if (status != PULMO_OK)
        pulmo_groups_free(out);
    return status;
}

void pulmo_groups_free(pulmo_groups *groups)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        free(groups->group[i].column);
        free(groups->group[i].name);
    }
    free(groups->group);
    *groups = (pulmo_groups){0};
}
