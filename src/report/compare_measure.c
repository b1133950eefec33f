/* Each one's figures on the common images, and what sets two of them apart. */
#include <math.h>

#include "compare.h"

#define X(name, key, words) key,
const char *const compare_keys[COMPARE_MEASURE_COUNT] = {COMPARE_MEASURES(X)};
#undef X
#define X(name, key, words) words,
const char *const compare_words[COMPARE_MEASURE_COUNT] = {COMPARE_MEASURES(X)};
#undef X

const char *compare_method(const comparison *c, compare_measure m)
{
    if (c->sample.by_patient) {
        if (m == COMPARE_AUC)
            return "Obuchowski 1997, by patient";
        return "Newcombe 1998 (method 10) with the variance between patients; test: Obuchowski "
               "1998";
    }
    if (m == COMPARE_AUC)
        return "DeLong 1988 (Sun and Xu 2014)";
    return "Newcombe 1998 (method 10); test: McNemar, exact";
}

/* Among which images, and what counts, for a share. */
static const bool *among_of(const comparison *c, compare_measure m)
{
    if (m == COMPARE_SENSITIVITY)
        return c->positive;
    return m == COMPARE_SPECIFICITY ? c->negative : NULL;
}

static const bool *hits_of(const comparison *c, compare_measure m, int input)
{
    if (m == COMPARE_SENSITIVITY)
        return c->called[input];
    return m == COMPARE_SPECIFICITY ? c->spared[input] : c->right[input];
}

static pulmo_status measure_input(comparison *c, int input)
{
    pulmo_area area;
    pulmo_estimate *out = c->measure[input];
    PULMO_TRY(pulmo_area_of(&c->truth, c->score[input], &area));
    out[COMPARE_AUC] = (pulmo_estimate){area.auc, area.undefined};
    for (int m = COMPARE_SENSITIVITY; m < COMPARE_MEASURE_COUNT; m++)
        PULMO_TRY(pulmo_share(&c->truth, among_of(c, m), hits_of(c, m, input), &out[m]));
    return PULMO_OK;
}

static pulmo_status measure_pair(comparison *c, compare_pair *p)
{
    pulmo_difference *d = p->difference;
    PULMO_TRY(
        pulmo_area_difference(&c->truth, c->score[p->first], c->score[p->second], &d[COMPARE_AUC]));
    for (int m = COMPARE_SENSITIVITY; m < COMPARE_MEASURE_COUNT; m++)
        PULMO_TRY(pulmo_share_difference(&c->truth, among_of(c, m), hits_of(c, m, p->first),
                                         hits_of(c, m, p->second), &d[m]));
    p->mcnemar = pulmo_mcnemar(d[COMPARE_ACCURACY].only_first, d[COMPARE_ACCURACY].only_second);
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++)
        p->not_inferior[m] = pulmo_not_inferior(&d[m], c->margin, &p->p_inferior[m]);
    return PULMO_OK;
}

static pulmo_status correct_pairs(comparison *c, int m)
{
    double p[COMPARE_PAIRS_MAX];
    for (int i = 0; i < c->pairs; i++)
        p[i] = c->pair[i].difference[m].p;
    PULMO_TRY(pulmo_holm((uint32_t)c->pairs, p));
    for (int i = 0; i < c->pairs; i++)
        c->pair[i].holm[m] = p[i];
    return PULMO_OK;
}

pulmo_status compare_measure_all(comparison *c)
{
    for (int i = 0; i < c->inputs; i++)
        PULMO_TRY(measure_input(c, i));
    for (int i = 0; i < c->inputs; i++) {
        for (int j = i + 1; j < c->inputs; j++) {
            compare_pair *p = &c->pair[c->pairs++];
            *p = (compare_pair){.first = i, .second = j};
            PULMO_TRY(measure_pair(c, p));
        }
    }
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++)
        PULMO_TRY(correct_pairs(c, m));
    return PULMO_OK;
}

bool compare_alone(const comparison *c, const compare_pair *p, int which, uint32_t image)
{
    const bool first = c->right[p->first][image];
    const bool second = c->right[p->second][image];
    return which == 0 ? first && !second : second && !first;
}
