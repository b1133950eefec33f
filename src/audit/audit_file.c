/* /audit of results.h5.
 *
 *   /audit/names, words (39)              the cues
 *   /audit/mean, deviation (39)           of the training images' cues
 *   /audit/classes (A)                    audited classes: the finding of two, or each of more
 *   /audit/weights (A, 39), intercepts (A)
 *                                         of standardised cues: the cue score is a margin
 *   /audit/single_auc (A, 39)             AUC of each cue alone, on the training images
 *   /audit/auc (A, 3)                     AUC of cues on patients left out: value, low, high
 *   /audit/fit/{cues,labels,patients,folds,scores}
 *                                         of the training images: what all this was computed from
 *   /audit/SPLIT/{cues,scores}            (N, 39) and (N, A) of a scored split, and beside the
 *                                         model's scores:
 *   /audit/SPLIT/{auc,model_auc,model_auc_alike,auc_alike} (A, 3)
 *   /audit/SPLIT/{positives,compared,rank_correlation,rank_correlation_of_rest} (A)
 *   attributes: images, patients, folds, ridge; caliper and count of /audit/SPLIT */
#include "audit_room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"
#include "pulmo/memory.h"

#define GROUP "audit"

/* A list of numbers with its long name. */
typedef struct field {
    const char *name, *long_name;
    pulmo_h5_type type;
    int rank;
    uint64_t dims[2];
    const void *data;
} field;

static pulmo_status put(pulmo_h5 *file, const char *group, const field *f)
{
    char name[160];
    snprintf(name, sizeof name, "%s/%s", group, f->name);
    PULMO_TRY(pulmo_h5_write(file, name, f->type, f->rank, f->dims, f->data));
    PULMO_TRY(pulmo_h5_set_text(file, name, "units", "1"));
    return pulmo_h5_set_text(file, name, "long_name", f->long_name);
}

static pulmo_status put_all(pulmo_h5 *file, const char *group, const field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        PULMO_TRY(put(file, group, &fields[i]));
    return PULMO_OK;
}

/* ---- doubles of a struct for each audited class, as a row of a matrix ---- */

typedef struct column {
    const char *name, *long_name;
    size_t offset; /* of the first double */
    int values;
} column;

_Static_assert(sizeof(pulmo_interval) == 3 * sizeof(double), "value, low, high");

#define OF_MODEL(member)   offsetof(pulmo_cue_model, member)
#define OF_FIGURES(member) offsetof(pulmo_cue_figures, member)

static const column model_columns[] = {
    {"weights", "weight of each cue, standardised", OF_MODEL(weight), PULMO_CUES},
    {"intercepts", "margin of an image whose cues are all average", OF_MODEL(intercept), 1},
    {"single_auc", "AUC of each cue alone on the training images", OF_MODEL(single_auc),
     PULMO_CUES},
    {"auc", "AUC of cues on patients left out: value and 95 % interval", OF_MODEL(auc), 3},
};

static const column figure_columns[] = {
    {"auc", "AUC of the cue score: value and 95 % interval", OF_FIGURES(cues), 3},
    {"model_auc", "AUC of the model's score: value and 95 % interval", OF_FIGURES(model), 3},
    {"model_auc_alike", "the same among images alike in cue score (covariate-adjusted)",
     OF_FIGURES(alike), 3},
    {"auc_alike", "AUC of the cue score there", OF_FIGURES(cues_alike), 3},
    {"positives", "images of the class", OF_FIGURES(positives), 1},
    {"compared", "of these, those that have an image of the rest like them", OF_FIGURES(compared),
     1},
    {"rank_correlation", "of the model's score and the cue score", OF_FIGURES(correlation), 1},
    {"rank_correlation_of_rest", "the same among images that are not of the class",
     OF_FIGURES(correlation_of_rest), 1},
};

static pulmo_status put_column(pulmo_h5 *file, const char *group, const column *c,
                               const void *first, size_t bytes, int count)
{
    double matrix[PULMO_AUDIT_CLASSES * PULMO_CUES];
    const size_t values = (size_t)c->values;
    const char *record = first;
    double *row = matrix;
    const field f = {
        c->name, c->long_name, PULMO_H5_F64, values > 1 ? 2 : 1, {(uint64_t)count, values}, matrix};
    for (int k = 0; k < count; k++) {
        memcpy(row, record + c->offset, values * sizeof *row);
        row += values;
        record += bytes;
    }
    return put(file, group, &f);
}

static pulmo_status get_column(pulmo_h5 *file, const char *group, const column *c, void *first,
                               size_t bytes, int count)
{
    char name[160];
    double matrix[PULMO_AUDIT_CLASSES * PULMO_CUES];
    const size_t values = (size_t)c->values;
    const uint64_t dims[2] = {(uint64_t)count, values};
    char *record = first;
    const double *row = matrix;
    snprintf(name, sizeof name, "%s/%s", group, c->name);
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_F64, values > 1 ? 2 : 1, dims, matrix));
    for (int k = 0; k < count; k++) {
        memcpy(record + c->offset, row, values * sizeof *row);
        row += values;
        record += bytes;
    }
    return PULMO_OK;
}

/* ---- writing ---- */

static pulmo_status put_texts(pulmo_h5 *file, const char *name, const char *long_name,
                              const char *const *texts)
{
    PULMO_TRY(pulmo_h5_write_strings(file, name, PULMO_CUES, texts));
    return pulmo_h5_set_text(file, name, "long_name", long_name);
}

static pulmo_status put_names(pulmo_h5 *file)
{
    const char *names[PULMO_CUES], *words[PULMO_CUES];
    for (int c = 0; c < PULMO_CUES; c++) {
        names[c] = audit_cue_name(c);
        words[c] = pulmo_cue_words(c);
    }
    PULMO_TRY(put_texts(file, GROUP "/names", "cues of an image", names));
    return put_texts(file, GROUP "/words", "cues in words", words);
}

/* What the cue models were fitted to; not where the audit was read from a file. */
static pulmo_status put_training(pulmo_h5 *file, const pulmo_audit *audit)
{
    const uint64_t images = audit->images;
    const uint64_t audited = (uint64_t)audit->audited;
    const field fields[] = {
        {"cues", "cues of training images", PULMO_H5_F32, 2, {images, PULMO_CUES}, audit->cues},
        {"labels", "their classes", PULMO_H5_I32, 1, {images}, audit->labels},
        {"patients", "their patients, numbered", PULMO_H5_I32, 1, {images}, audit->patient},
        {"folds", "folds of the cross-validation", PULMO_H5_I32, 1, {images}, audit->folds},
        {"scores",
         "cue scores by models of the other folds",
         PULMO_H5_F32,
         2,
         {images, audited},
         audit->score},
    };
    if (!audit->cues)
        return PULMO_OK;
    return put_all(file, GROUP "/fit", fields, PULMO_COUNT_OF(fields));
}

static pulmo_status put_split(pulmo_h5 *file, const pulmo_audit *audit,
                              const pulmo_audit_split *split)
{
    char group[80];
    const uint64_t count = split->count;
    const uint64_t audited = (uint64_t)audit->audited;
    const field fields[] = {
        {"cues", "cues of the images", PULMO_H5_F32, 2, {count, PULMO_CUES}, split->cues},
        {"scores", "their cue scores", PULMO_H5_F32, 2, {count, audited}, split->score},
    };
    snprintf(group, sizeof group, GROUP "/%s", split->name);
    PULMO_TRY(put_all(file, group, fields, PULMO_COUNT_OF(fields)));
    for (size_t i = 0; i < PULMO_COUNT_OF(figure_columns); i++)
        PULMO_TRY(put_column(file, group, &figure_columns[i], split->figures,
                             sizeof split->figures[0], audit->audited));
    PULMO_TRY(pulmo_h5_set_int(file, group, "count", (int64_t)count));
    return pulmo_h5_set_real(file, group, "caliper", PULMO_CALIPER);
}

static pulmo_status put_model(pulmo_h5 *file, const pulmo_audit *audit)
{
    int32_t classes[PULMO_AUDIT_CLASSES];
    const field fields[] = {
        {"mean", "mean cues of training images", PULMO_H5_F64, 1, {PULMO_CUES}, audit->mean},
        {"deviation", "their standard deviations", PULMO_H5_F64, 1, {PULMO_CUES}, audit->deviation},
        {"classes",
         "audited classes, indices into /classes",
         PULMO_H5_I32,
         1,
         {(uint64_t)audit->audited},
         classes},
    };
    const pulmo_h5_int_attribute numbers[] = {
        {"images", audit->images},
        {"patients", audit->patients},
        {"folds", AUDIT_FOLDS},
    };
    for (int k = 0; k < audit->audited; k++)
        classes[k] = audit->model[k].class;
    PULMO_TRY(put_all(file, GROUP, fields, PULMO_COUNT_OF(fields)));
    for (size_t i = 0; i < PULMO_COUNT_OF(model_columns); i++)
        PULMO_TRY(put_column(file, GROUP, &model_columns[i], audit->model, sizeof audit->model[0],
                             audit->audited));
    PULMO_TRY(pulmo_h5_set_int_list(file, GROUP, numbers, PULMO_COUNT_OF(numbers)));
    return pulmo_h5_set_real(file, GROUP, "ridge", AUDIT_RIDGE);
}

pulmo_status pulmo_audit_write(pulmo_h5 *file, const pulmo_audit *audit)
{
    if (audit->audited == 0)
        return PULMO_OK;
    PULMO_TRY(put_names(file));
    PULMO_TRY(put_model(file, audit));
    PULMO_TRY(put_training(file, audit));
    for (int i = 0; i < audit->splits; i++)
        PULMO_TRY(put_split(file, audit, &audit->split[i]));
    return PULMO_OK;
}

/* ---- reading ---- */

static pulmo_status damaged(pulmo_h5 *file, const char *what)
{
    return pulmo_fail(PULMO_DATA, "%s: /audit: %s; the file is damaged: train or evaluate again",
                      pulmo_h5_path(file), what);
}

static pulmo_status get_classes(pulmo_h5 *file, int classes, pulmo_audit *out)
{
    pulmo_h5_shape shape;
    int32_t class[PULMO_AUDIT_CLASSES];
    PULMO_TRY(pulmo_h5_shape_of(file, GROUP "/classes", &shape));
    if (shape.rank != 1 || shape.dims[0] < 1 || shape.dims[0] > PULMO_AUDIT_CLASSES)
        return damaged(file, "has no audited classes, or too many");
    PULMO_TRY(pulmo_h5_read(file, GROUP "/classes", PULMO_H5_I32, 1, shape.dims, class));
    out->audited = (int)shape.dims[0];
    for (int k = 0; k < out->audited; k++) {
        if (class[k] < 0 || class[k] >= classes)
            return damaged(file, "an audited class is none of the classes");
        out->model[k].class = class[k];
    }
    return PULMO_OK;
}

static pulmo_status get_count(pulmo_h5 *file, const char *group, const char *name, uint32_t *out)
{
    int64_t count = 0;
    PULMO_TRY(pulmo_h5_get_int(file, group, name, &count));
    if (count < 0 || count > UINT32_MAX)
        return damaged(file, "a count is none");
    *out = (uint32_t)count;
    return PULMO_OK;
}

static bool all_finite(const double *values, int count)
{
    for (int i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

static pulmo_status get_model(pulmo_h5 *file, pulmo_audit *out)
{
    const uint64_t dims[] = {PULMO_CUES};
    PULMO_TRY(pulmo_h5_read(file, GROUP "/mean", PULMO_H5_F64, 1, dims, out->mean));
    PULMO_TRY(pulmo_h5_read(file, GROUP "/deviation", PULMO_H5_F64, 1, dims, out->deviation));
    for (size_t i = 0; i < PULMO_COUNT_OF(model_columns); i++)
        PULMO_TRY(get_column(file, GROUP, &model_columns[i], out->model, sizeof out->model[0],
                             out->audited));
    bool fits = all_finite(out->mean, PULMO_CUES) && all_finite(out->deviation, PULMO_CUES);
    for (int k = 0; k < out->audited; k++)
        fits = fits && all_finite(out->model[k].weight, PULMO_CUES) &&
               isfinite(out->model[k].intercept);
    if (!fits)
        return damaged(file, "a weight of a cue is not finite");
    PULMO_TRY(get_count(file, GROUP, "images", &out->images));
    return get_count(file, GROUP, "patients", &out->patients);
}

static pulmo_status get_split(pulmo_h5 *file, const char *name, pulmo_audit *out)
{
    char group[80];
    pulmo_audit_split *split = &out->split[out->splits];
    snprintf(group, sizeof group, GROUP "/%s", name);
    if (!pulmo_h5_exists(file, group))
        return PULMO_OK;
    out->splits++;
    snprintf(split->name, sizeof split->name, "%s", name);
    for (size_t i = 0; i < PULMO_COUNT_OF(figure_columns); i++)
        PULMO_TRY(get_column(file, group, &figure_columns[i], split->figures,
                             sizeof split->figures[0], out->audited));
    return get_count(file, group, "count", &split->count);
}

pulmo_status pulmo_audit_read(pulmo_h5 *file, int classes, pulmo_audit *out)
{
    memset(out, 0, sizeof *out);
    if (!pulmo_h5_exists(file, GROUP))
        return PULMO_OK;
    PULMO_TRY(get_classes(file, classes, out));
    PULMO_TRY(get_model(file, out));
    for (int i = 0; i < PULMO_SPLITS; i++)
        PULMO_TRY(get_split(file, pulmo_split_name(i), out));
    return PULMO_OK;
}
