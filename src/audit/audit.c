/* How cues tell classes, by cross-validation on training images, and what a model's scores have to
 * do with them. */
#include "audit_room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "pulmo/text.h"

#define SEED 1 /* equal data give equal folds */

/* ---- scores of cues as metrics take them ---- */

/* A class against the rest, as two classes of which 1 is the class. */
typedef struct one_class {
    uint32_t count;
    int32_t *labels;      /* (count) */
    float *logits;        /* (count, 2): 0 and the margin */
    float *probabilities; /* (count, 2) */
    double *margins;      /* (count) */
    uint32_t *patient;    /* (count) */
    uint8_t *sides;       /* (patients): of which they have images, as bits */
    uint32_t patients;
} one_class;

static void one_class_free(one_class *of)
{
    free(of->labels);
    free(of->logits);
    free(of->probabilities);
    free(of->margins);
    free(of->patient);
    free(of->sides);
}

static pulmo_status one_class_create(const pulmo_dataset_info *info, one_class *out)
{
    const size_t room = (size_t)info->count + 1;
    *out = (one_class){.count = info->count,
                       .labels = calloc(room, sizeof *out->labels),
                       .logits = calloc(2 * room, sizeof *out->logits),
                       .probabilities = calloc(2 * room, sizeof *out->probabilities),
                       .margins = calloc(room, sizeof *out->margins),
                       .patient = calloc(room, sizeof *out->patient),
                       .sides = calloc(room, sizeof *out->sides)};
    const bool scores = out->labels && out->logits && out->probabilities && out->margins;
    const bool all = scores && out->patient && out->sides;
    pulmo_status status = PULMO_OK;
    if (all)
        status = pulmo_names_number(info->groups, info->count, out->patient, &out->patients);
    else
        status = pulmo_fail(PULMO_MEMORY, "out of memory for scores of %u images", info->count);
    if (status != PULMO_OK)
        one_class_free(out);
    return status;
}

/* Margins stand `stride` apart. */
static pulmo_scored one_class_take(one_class *of, const int32_t *labels, int class,
                                   const float *margins, int stride)
{
    for (uint32_t i = 0; i < of->count; i++) {
        const size_t at = (size_t)i * (size_t)stride;
        const double margin = (double)margins[at];
        const double p = 1 / (1 + pulmo_exp(-margin));
        float *pair = of->probabilities + 2 * (size_t)i;
        of->labels[i] = labels[i] == class;
        of->margins[i] = margin;
        of->logits[2 * (size_t)i + 1] = margins[at];
        pair[0] = (float)(1 - p);
        pair[1] = (float)p;
    }
    return (pulmo_scored){.count = of->count,
                          .classes = 2,
                          .labels = of->labels,
                          .probabilities = of->probabilities,
                          .logits = of->logits};
}

/* Patients of the class or of the rest, of which there are fewer. */
static uint32_t patients_of_fewer(const one_class *of)
{
    uint32_t count[2] = {0, 0};
    memset(of->sides, 0, of->patients);
    for (uint32_t i = 0; i < of->count; i++)
        of->sides[of->patient[i]] |= (uint8_t)(1 << of->labels[i]);
    for (uint32_t p = 0; p < of->patients; p++)
        for (int side = 0; side < 2; side++)
            count[side] += (of->sides[p] >> side) & 1;
    return count[0] < count[1] ? count[0] : count[1];
}

/* ---- folds ---- */

typedef struct dealt {
    uint32_t patient, place; /* place: in a random order */
    int32_t label;           /* of the patient's first image */
} dealt;

static int compare_dealt(const void *left, const void *right)
{
    const dealt *a = left;
    const dealt *b = right;
    if (a->label != b->label)
        return a->label > b->label ? 1 : -1;
    return (a->place > b->place) - (a->place < b->place);
}

static void shuffle(const pulmo_dataset_info *info, const one_class *of, uint32_t *order,
                    dealt *patients)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, SEED, PULMO_RNG_AUDIT, 0, 0);
    pulmo_rng_permutation(&rng, of->patients, order);
    for (uint32_t p = 0; p < of->patients; p++)
        patients[order[p]] = (dealt){.patient = order[p], .place = p};
    for (uint32_t i = info->count; i-- > 0;)
        patients[of->patient[i]].label = info->labels[i];
    qsort(patients, of->patients, sizeof *patients, compare_dealt);
}

/* Patients of a class are dealt out in turn, in a random order, so that each fold has its part of
 * every class. */
static pulmo_status deal_folds(const pulmo_dataset_info *info, const one_class *of, int32_t *folds)
{
    const size_t room = (size_t)of->patients + 1;
    uint32_t *order = calloc(room, sizeof *order);
    dealt *patients = calloc(room, sizeof *patients);
    pulmo_status status = PULMO_OK;
    if (order && patients) {
        shuffle(info, of, order, patients);
        for (uint32_t p = 0; p < of->patients; p++)
            order[patients[p].patient] = p % AUDIT_FOLDS;
        for (uint32_t i = 0; i < info->count; i++)
            folds[i] = (int32_t)order[of->patient[i]];
    } else {
        status = pulmo_fail(PULMO_MEMORY, "out of memory for folds of %u patients", of->patients);
    }
    free(order);
    free(patients);
    return status;
}

/* ---- the cue models ---- */

/* Scores of the images of a fold, by a line that was fitted to the others. */
static void score_fold(const audit_images *of, int fold, pulmo_audit *out)
{
    audit_line line;
    audit_standardise(of, fold, line.mean, line.deviation);
    for (int k = 0; k < out->audited; k++) {
        audit_fit_line(of, fold, out->model[k].class, &line);
        for (uint32_t i = 0; i < of->count; i++) {
            const size_t at = (size_t)i;
            if (of->folds[i] != fold)
                continue;
            const double margin = audit_margin(&line, of->cues + at * PULMO_CUES);
            out->score[at * (size_t)out->audited + (size_t)k] = (float)margin;
        }
    }
}

static void fit_whole(const audit_images *of, pulmo_audit *out)
{
    audit_line line;
    audit_standardise(of, AUDIT_NO_FOLD, line.mean, line.deviation);
    memcpy(out->mean, line.mean, sizeof out->mean);
    memcpy(out->deviation, line.deviation, sizeof out->deviation);
    for (int k = 0; k < out->audited; k++) {
        pulmo_cue_model *model = &out->model[k];
        audit_fit_line(of, AUDIT_NO_FOLD, model->class, &line);
        memcpy(model->weight, line.weight, sizeof model->weight);
        model->intercept = line.intercept;
    }
}

/* The area of each cue alone. */
static pulmo_status rank_cues(const audit_images *of, one_class *room, pulmo_cue_model *model)
{
    const pulmo_decision by = {1, 0.5};
    for (int c = 0; c < PULMO_CUES; c++) {
        pulmo_metrics metrics;
        const pulmo_scored scored =
            one_class_take(room, of->labels, model->class, of->cues + c, PULMO_CUES);
        PULMO_TRY(pulmo_metrics_compute(&scored, &by, &metrics));
        model->single_auc[c] = metrics.auc;
        pulmo_metrics_free(&metrics);
    }
    return PULMO_OK;
}

static pulmo_status judge_training(const audit_images *of, one_class *room, pulmo_audit *out)
{
    for (int k = 0; k < out->audited; k++) {
        pulmo_cue_model *model = &out->model[k];
        const pulmo_scored scored =
            one_class_take(room, of->labels, model->class, out->score + k, out->audited);
        PULMO_TRY(pulmo_auc_of_patients(&scored, 1, room->patients, room->patient, &model->auc));
        if (patients_of_fewer(room) < AUDIT_FOLDS)
            model->auc = (pulmo_interval){NAN, NAN, NAN};
        PULMO_TRY(rank_cues(of, room, model));
    }
    return PULMO_OK;
}

/* The finding of two classes, or each of more. */
static void choose_classes(int classes, int positive, pulmo_audit *out)
{
    if (classes > PULMO_AUDIT_CLASSES)
        return;
    out->audited = positive >= 0 ? 1 : classes;
    for (int k = 0; k < out->audited; k++)
        out->model[k].class = positive >= 0 ? positive : k;
}

static pulmo_status allocate(const pulmo_dataset_info *train, pulmo_audit *out)
{
    const size_t images = train->count;
    out->labels = pulmo_alloc(images, sizeof *out->labels);
    out->patient = pulmo_alloc(images, sizeof *out->patient);
    out->folds = pulmo_alloc(images, sizeof *out->folds);
    out->score = pulmo_alloc(images * (size_t)out->audited, sizeof *out->score);
    if (!out->labels || !out->patient || !out->folds || !out->score)
        return PULMO_MEMORY;
    memcpy(out->labels, train->labels, images * sizeof *out->labels);
    return PULMO_OK;
}

pulmo_status pulmo_audit_fit(const pulmo_dataset_info *train, int positive, float *cues,
                             pulmo_audit *out)
{
    one_class room;
    memset(out, 0, sizeof *out);
    out->cues = cues;
    out->images = train->count;
    if (train->count > 0)
        choose_classes(train->classes, positive, out);
    if (out->audited == 0)
        return PULMO_OK;
    PULMO_TRY(allocate(train, out));
    PULMO_TRY(one_class_create(train, &room));
    const audit_images images = {train->count, cues, train->labels, out->folds};
    out->patients = room.patients;
    for (uint32_t i = 0; i < room.count; i++)
        out->patient[i] = (int32_t)room.patient[i];
    pulmo_status status = deal_folds(train, &room, out->folds);
    if (status == PULMO_OK) {
        for (int fold = 0; fold < AUDIT_FOLDS; fold++)
            score_fold(&images, fold, out);
        fit_whole(&images, out);
        status = judge_training(&images, &room, out);
    }
    one_class_free(&room);
    return status;
}

/* ---- a model beside them ---- */

static audit_line line_of(const pulmo_audit *audit, const pulmo_cue_model *model)
{
    audit_line line;
    memcpy(line.mean, audit->mean, sizeof line.mean);
    memcpy(line.deviation, audit->deviation, sizeof line.deviation);
    memcpy(line.weight, model->weight, sizeof line.weight);
    line.intercept = model->intercept;
    return line;
}

static void score_split(const pulmo_audit *audit, pulmo_audit_split *split)
{
    const size_t audited = (size_t)audit->audited;
    for (int k = 0; k < audit->audited; k++) {
        const audit_line line = line_of(audit, &audit->model[k]);
        for (uint32_t i = 0; i < split->count; i++) {
            const size_t at = (size_t)i;
            const double margin = audit_margin(&line, split->cues + at * PULMO_CUES);
            split->score[at * audited + (size_t)k] = (float)margin;
        }
    }
}

static pulmo_status judge_class(const pulmo_scored *model, int class, const pulmo_scored *cues,
                                const one_class *room, pulmo_cue_figures *out)
{
    const uint32_t patients = room->patients;
    const uint32_t *patient = room->patient;
    const double *margins = room->margins;
    pulmo_alike alike;
    PULMO_TRY(pulmo_auc_of_patients(cues, 1, patients, patient, &out->cues));
    PULMO_TRY(pulmo_auc_of_patients(model, class, patients, patient, &out->model));
    PULMO_TRY(pulmo_auc_alike(cues, 1, margins, patients, patient, &alike));
    out->cues_alike = alike.auc;
    PULMO_TRY(pulmo_auc_alike(model, class, margins, patients, patient, &alike));
    out->alike = alike.auc;
    out->positives = alike.positives;
    out->compared = alike.compared;
    PULMO_TRY(pulmo_rank_correlation(model, class, false, margins, &out->correlation));
    return pulmo_rank_correlation(model, class, true, margins, &out->correlation_of_rest);
}

pulmo_status pulmo_audit_judge(pulmo_audit *audit, const char *split,
                               const pulmo_dataset_info *info, const pulmo_scored *scored,
                               float *cues)
{
    one_class room;
    pulmo_audit_split *of = &audit->split[audit->splits];
    if (audit->audited == 0 || info->count == 0 || audit->splits == PULMO_SPLITS) {
        pulmo_free(cues);
        return PULMO_OK;
    }
    audit->splits++;
    snprintf(of->name, sizeof of->name, "%s", split);
    of->count = info->count;
    of->cues = cues;
    of->score = pulmo_alloc((size_t)info->count * (size_t)audit->audited, sizeof *of->score);
    if (!of->score)
        return PULMO_MEMORY;
    score_split(audit, of);
    PULMO_TRY(one_class_create(info, &room));
    pulmo_status status = PULMO_OK;
    for (int k = 0; status == PULMO_OK && k < audit->audited; k++) {
        const int class = audit->model[k].class;
        const pulmo_scored by_cues =
            one_class_take(&room, info->labels, class, of->score + k, audit->audited);
        status = judge_class(scored, class, &by_cues, &room, &of->figures[k]);
    }
    one_class_free(&room);
    return status;
}

void pulmo_audit_free(pulmo_audit *audit)
{
    pulmo_free(audit->cues);
    pulmo_free(audit->labels);
    pulmo_free(audit->patient);
    pulmo_free(audit->folds);
    pulmo_free(audit->score);
    for (int i = 0; i < audit->splits; i++) {
        pulmo_free(audit->split[i].cues);
        pulmo_free(audit->split[i].score);
    }
    memset(audit, 0, sizeof *audit);
}

/* ---- what to say first ---- */

int pulmo_audit_worst(const pulmo_audit *audit)
{
    int worst = -1;
    for (int k = 0; k < audit->audited; k++) {
        const double auc = audit->model[k].auc.value;
        if (isnan(auc))
            continue;
        if (worst < 0 || auc > audit->model[worst].auc.value)
            worst = k;
    }
    return worst;
}

/* How far an area is from telling nothing. */
static double strength(const pulmo_cue_model *model, int cue)
{
    const double off = fabs(model->single_auc[cue] - 0.5);
    return isnan(off) ? -1 : off;
}

void pulmo_audit_order(const pulmo_cue_model *model, int order[PULMO_CUES])
{
    for (int c = 0; c < PULMO_CUES; c++) {
        int at = c;
        while (at > 0 && strength(model, order[at - 1]) < strength(model, c)) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = c;
    }
}
