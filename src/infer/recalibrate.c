/* `pulmo evaluate --recalibrate`: intercept and slope refitted on a part of the new patients. */
#include "recalibrate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/elementary.h"
#include "pulmo/file.h"
#include "pulmo/memory.h"
#include "pulmo/operating.h"
#include "pulmo/rng.h"
#include "pulmo/text.h"

#define PARTS       5
#define ROW_COLUMNS 28

/* What is done to the log-odds. */
typedef enum manner { AS_TRAINED, INTERCEPT_ALONE, BOTH, MANNERS } manner;

static const char *const manner_names[MANNERS] = {"as trained", "intercept", "intercept and slope"};

/* log-odds become intercept + slope * log-odds. */
typedef struct line {
    double intercept, slope;
} line;

typedef struct recalibration {
    const pulmo_model *model;
    const pulmo_split_scores *scores;
    pulmo_side side;
    uint32_t count, patients;
    uint32_t *patient; /* (count) */
    int *part;         /* (patients) */
    int parts;
    double *log_odds[MANNERS]; /* (count) each */
    line fitted[MANNERS];      /* means over the parts */
    const char *why_not;       /* no slope could be fitted; NULL: it was */
} recalibration;

static void free_all(recalibration *r)
{
    for (int m = 0; m < MANNERS; m++)
        free(r->log_odds[m]);
    free(r->patient);
    free(r->part);
    pulmo_side_free(&r->side);
}

static pulmo_truth truth_of(const recalibration *r)
{
    return (pulmo_truth){r->count, r->side.truth.positive, r->patients, r->patient};
}

/* ---- parts ---- */

/* Whether any image of each patient has the finding. */
static bool *find_positive(const recalibration *r)
{
    bool *positive = calloc((size_t)r->patients + 1, sizeof *positive);
    for (uint32_t i = 0; positive && i < r->count; i++)
        if (r->side.truth.positive[i])
            positive[r->patient[i]] = true;
    return positive;
}

/* Deals the patients of one side out in turn. */
static uint32_t deal_side(recalibration *r, const uint32_t *order, const bool *positive, bool side)
{
    uint32_t dealt = 0;
    for (uint32_t k = 0; k < r->patients; k++) {
        const uint32_t patient = order[k];
        if (positive[patient] != side)
            continue;
        r->part[patient] = (int)(dealt % (uint32_t)r->parts);
        dealt++;
    }
    return dealt;
}

/* Of either side at least one patient must be in each part, so that the others have two sides. */
static pulmo_status deal(recalibration *r)
{
    pulmo_rng rng;
    uint32_t *order = malloc(((size_t)r->patients + 1) * sizeof *order);
    bool *positive = find_positive(r);
    r->part = calloc((size_t)r->patients + 1, sizeof *r->part);
    pulmo_status status = PULMO_OK;
    if (!order || !positive || !r->part) {
        status = pulmo_fail(PULMO_MEMORY, "out of memory for %u patients", r->patients);
    } else {
        uint32_t with = 0;
        pulmo_rng_at(&rng, 0, PULMO_RNG_RECALIBRATE, 0, 0);
        pulmo_rng_permutation(&rng, r->patients, order);
        for (uint32_t k = 0; k < r->patients; k++)
            with += positive[k];
        const uint32_t least = with < r->patients - with ? with : r->patients - with;
        r->parts = least < PARTS ? (int)least : PARTS;
        if (r->parts >= 2) {
            deal_side(r, order, positive, true);
            deal_side(r, order, positive, false);
        }
    }
    free(order);
    free(positive);
    return status;
}

/* ---- fitting ---- */

/* The images that a part's line is fitted to. */
typedef struct others {
    uint32_t count;
    bool *positive;
    double *log_odds;
} others;

static void take_others(const recalibration *r, int part, others *to)
{
    to->count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->part[r->patient[i]] == part)
            continue;
        to->positive[to->count] = r->side.truth.positive[i];
        to->log_odds[to->count] = r->side.log_odds[i];
        to->count++;
    }
}

/* Points alone are wanted, so that whose images they are plays no part. Where a slope does not
 * exist, as where the sides are separated, the intercept alone is taken. */
static pulmo_status fit_part(recalibration *r, int part, others *scratch, line out[MANNERS])
{
    pulmo_calibration_line fit;
    take_others(r, part, scratch);
    const pulmo_truth truth = {.count = scratch->count, .positive = scratch->positive};
    PULMO_TRY(pulmo_calibration_line_of(&truth, scratch->log_odds, &fit));
    out[AS_TRAINED] = (line){0, 1};
    out[INTERCEPT_ALONE] = (line){fit.in_the_large.it.value, 1};
    out[BOTH] = (line){fit.intercept.it.value, fit.slope.it.value};
    if (isfinite(out[BOTH].intercept) && isfinite(out[BOTH].slope))
        return PULMO_OK;
    r->why_not = fit.slope.undefined ? fit.slope.undefined : "the fit does not end";
    out[BOTH] = out[INTERCEPT_ALONE];
    return PULMO_OK;
}

static void apply(recalibration *r, int part, const line lines[MANNERS])
{
    for (int m = 0; m < MANNERS; m++) {
        r->fitted[m].intercept += lines[m].intercept / r->parts;
        r->fitted[m].slope += lines[m].slope / r->parts;
        for (uint32_t i = 0; i < r->count; i++)
            if (r->part[r->patient[i]] == part)
                r->log_odds[m][i] = lines[m].intercept + lines[m].slope * r->side.log_odds[i];
    }
}

static pulmo_status fit_all(recalibration *r)
{
    const size_t room = (size_t)r->count + 1;
    others scratch = {.positive = malloc(room * sizeof *scratch.positive),
                      .log_odds = malloc(room * sizeof *scratch.log_odds)};
    pulmo_status status = PULMO_OK;
    bool whole = scratch.positive && scratch.log_odds;
    for (int m = 0; m < MANNERS; m++) {
        r->log_odds[m] = malloc(room * sizeof *r->log_odds[m]);
        whole = whole && r->log_odds[m];
    }
    if (!whole)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for %u images", r->count);
    for (int part = 0; part < r->parts && status == PULMO_OK; part++) {
        line lines[MANNERS];
        status = fit_part(r, part, &scratch, lines);
        if (status == PULMO_OK)
            apply(r, part, lines);
    }
    free(scratch.positive);
    free(scratch.log_odds);
    return status;
}

/* ---- figures ---- */

typedef struct figures {
    pulmo_calibration_line line;
    pulmo_metrics metrics;
} figures;

static double probability_of(double log_odds)
{
    return 1 / (1 + pulmo_exp(-log_odds));
}

/* (count, 2), of the log-odds of one manner. */
static void fill_probabilities(const recalibration *r, manner m, float *out)
{
    const int positive = r->model->positive.index;
    for (uint32_t i = 0; i < r->count; i++) {
        const double p = probability_of(r->log_odds[m][i]);
        out[2 * (size_t)i + (size_t)positive] = (float)p;
        out[2 * (size_t)i + (size_t)(1 - positive)] = (float)(1 - p);
    }
}

static pulmo_status find_figures(const recalibration *r, manner m, float *probabilities,
                                 figures *out)
{
    const pulmo_truth truth = truth_of(r);
    const pulmo_decision by = pulmo_model_decision(r->model);
    const pulmo_scored scored = {.count = r->count,
                                 .classes = 2,
                                 .labels = r->scores->info->labels,
                                 .probabilities = probabilities,
                                 .patients = r->patients,
                                 .patient = r->patient};
    fill_probabilities(r, m, probabilities);
    PULMO_TRY(pulmo_calibration_line_of(&truth, r->log_odds[m], &out->line));
    return pulmo_metrics_compute(&scored, &by, &out->metrics);
}

/* ---- telling ---- */

static void put_interval(FILE *out, pulmo_interval it)
{
    char text[64];
    if (isnan(it.value))
        snprintf(text, sizeof text, "undefined");
    else if (isnan(it.low))
        snprintf(text, sizeof text, "%.4f", it.value);
    else
        snprintf(text, sizeof text, "%.4f (%.4f to %.4f)", it.value, it.low, it.high);
    fprintf(out, "  %-*s", ROW_COLUMNS, text);
}

static void put_value(FILE *out, double value)
{
    put_interval(out, (pulmo_interval){value, NAN, NAN});
}

static void put_title(FILE *out, const char *title)
{
    fprintf(out, "\n%-28s", title);
}

static void put_calibration(FILE *out, const figures found[MANNERS])
{
    put_title(out, "calibration intercept");
    for (int m = 0; m < MANNERS; m++)
        put_interval(out, found[m].line.in_the_large.it);
    put_title(out, "calibration slope");
    for (int m = 0; m < MANNERS; m++)
        put_interval(out, found[m].line.slope.it);
    put_title(out, "Brier score");
    for (int m = 0; m < MANNERS; m++)
        put_value(out, found[m].metrics.brier);
    put_title(out, "log loss");
    for (int m = 0; m < MANNERS; m++)
        put_value(out, found[m].metrics.log_loss);
}

static void put_decisions(FILE *out, double threshold, const figures found[MANNERS])
{
    char title[64];
    put_title(out, "accuracy");
    for (int m = 0; m < MANNERS; m++)
        put_interval(out, found[m].metrics.accuracy_ci);
    snprintf(title, sizeof title, "sensitivity, from %.4f on", threshold);
    put_title(out, title);
    for (int m = 0; m < MANNERS; m++)
        put_interval(out, found[m].metrics.sensitivity);
    put_title(out, "specificity");
    for (int m = 0; m < MANNERS; m++)
        put_interval(out, found[m].metrics.specificity);
}

static void put_table(FILE *out, const recalibration *r, const figures found[MANNERS])
{
    fprintf(out,
            "\nRecalibration, cross-fitted: %u patients in %d parts; each part's log-odds by the "
            "fit to the others",
            r->patients, r->parts);
    put_title(out, "");
    for (int m = 0; m < MANNERS; m++)
        fprintf(out, "  %-*s", ROW_COLUMNS, manner_names[m]);
    put_title(out, "added, mean of the parts");
    for (int m = 0; m < MANNERS; m++)
        put_value(out, r->fitted[m].intercept);
    put_title(out, "times, mean of the parts");
    for (int m = 0; m < MANNERS; m++)
        put_value(out, r->fitted[m].slope);
    put_calibration(out, found);
    put_decisions(out, r->model->threshold, found);
    fputc('\n', out);
}

/* The fit to all images, for images to come; its figures on these would flatter it. */
static void put_recipe(FILE *out, const recalibration *r, const pulmo_calibration_line *all)
{
    if (r->why_not)
        fprintf(out, "In some parts no slope could be fitted (%s): the intercept alone is there\n",
                r->why_not);
    if (all->slope.undefined)
        return;
    fprintf(out,
            "For new images from there: log-odds = %.4f + %.4f x log-odds of the model (fit to "
            "all %u images)\n",
            all->intercept.it.value, all->slope.it.value, r->count);
}

/* ---- the table of images ---- */

static void put_images(FILE *out, const recalibration *r)
{
    const pulmo_dataset_info *info = r->scores->info;
    fputs("path,patient,label,part,p,p_intercept,p_intercept_and_slope\n", out);
    for (uint32_t i = 0; i < r->count; i++) {
        pulmo_csv_name(out, info->paths[i]);
        fputc(',', out);
        pulmo_csv_name(out, info->groups[i]);
        fputc(',', out);
        pulmo_csv_name(out, info->class_names[info->labels[i]]);
        fprintf(out, ",%d", r->part[r->patient[i]] + 1);
        for (int m = 0; m < MANNERS; m++)
            fprintf(out, ",%.9g", probability_of(r->log_odds[m][i]));
        fputc('\n', out);
    }
}

pulmo_status recalibrate_forget(const char *directory)
{
    if (!directory)
        return PULMO_OK;
    char *path = pulmo_format("%s/recalibrated.csv", directory);
    pulmo_status status = path ? PULMO_OK : PULMO_MEMORY;
    if (path && unlink(path) != 0 && errno != ENOENT)
        status = pulmo_fail(PULMO_IO, "%s: of an earlier evaluation, cannot be removed: %s", path,
                            strerror(errno));
    free(path);
    return status;
}

static pulmo_status write_images(const recalibration *r, const char *directory)
{
    pulmo_text text;
    PULMO_TRY(pulmo_directory_make(directory));
    char *path = pulmo_format("%s/recalibrated.csv", directory);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_text_open(&text);
    if (status == PULMO_OK) {
        put_images(text.stream, r);
        status = pulmo_text_write(&text, path);
    }
    free(path);
    return status;
}

/* ---- all of it ---- */

static pulmo_status tell(FILE *out, const recalibration *r)
{
    figures found[MANNERS] = {0};
    float *probabilities = malloc((2 * (size_t)r->count + 1) * sizeof *probabilities);
    pulmo_status status = PULMO_OK;
    if (!probabilities)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for %u images", r->count);
    for (int m = 0; m < MANNERS && status == PULMO_OK; m++)
        status = find_figures(r, (manner)m, probabilities, &found[m]);
    if (status == PULMO_OK) {
        put_table(out, r, found);
        put_recipe(out, r, &found[AS_TRAINED].line);
    }
    for (int m = 0; m < MANNERS; m++)
        pulmo_metrics_free(&found[m].metrics);
    free(probabilities);
    return status;
}

static pulmo_status prepare(recalibration *r)
{
    const pulmo_scored scored = pulmo_split_scored(r->model, r->scores);
    const pulmo_decision by = pulmo_model_decision(r->model);
    r->count = scored.count;
    PULMO_TRY(pulmo_side_of(&scored, &by, by.positive, &r->side));
    r->patient = malloc(((size_t)r->count + 1) * sizeof *r->patient);
    if (!r->patient)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u images", r->count);
    PULMO_TRY(pulmo_names_number(r->scores->info->groups, r->count, r->patient, &r->patients));
    return deal(r);
}

static pulmo_status recalibrate(FILE *out, recalibration *r, const char *directory)
{
    PULMO_TRY(prepare(r));
    if (r->parts < 2) {
        fprintf(out,
                "\nRecalibration cannot be computed: it needs two patients with %s and two "
                "without\n",
                r->model->class_names[r->model->positive.index]);
        return PULMO_OK;
    }
    PULMO_TRY(fit_all(r));
    PULMO_TRY(tell(out, r));
    return directory ? write_images(r, directory) : PULMO_OK;
}

pulmo_status recalibrate_say(FILE *out, const pulmo_model *model, const pulmo_split_scores *scores,
                             const char *directory)
{
    recalibration r = {.model = model, .scores = scores};
    if (model->classes != 2) {
        fprintf(out, "\nRecalibration is of two classes; the model has %d\n", model->classes);
        return PULMO_OK;
    }
    const pulmo_status status = recalibrate(out, &r, directory);
    free_all(&r);
    return status;
}
