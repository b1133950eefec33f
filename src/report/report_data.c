/* results.h5 → report. Refuses a file whose lists do not fit each other. */
#include "report_room.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "pulmo/dataset.h"
#include "pulmo/h5.h"
#include "pulmo/memory.h"
#include "pulmo/results.h"
#include "pulmo/split.h"

static pulmo_status damaged(pulmo_h5 *file, const char *what)
{
    return pulmo_fail(PULMO_DATA, "%s: %s; the file is damaged: train or evaluate again",
                      pulmo_h5_path(file), what);
}

/* "" where the attribute is missing. */
static pulmo_status get_text(pulmo_h5 *file, const char *object, const char *name, char **out)
{
    if (pulmo_h5_has_attribute(file, object, name))
        return pulmo_h5_get_text(file, object, name, out);
    *out = pulmo_strdup("");
    return *out ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status get_int(pulmo_h5 *file, const char *object, const char *name, int64_t *out)
{
    *out = 0;
    return pulmo_h5_has_attribute(file, object, name) ? pulmo_h5_get_int(file, object, name, out)
                                                      : PULMO_OK;
}

/* ---- the root ---- */

static pulmo_status read_root(pulmo_h5 *file, report *r)
{
    char *state = NULL;
    int64_t demo = 0, best = 0;
    PULMO_TRY(pulmo_h5_check_kind(
        file, "results", PULMO_RESULTS_FORMAT_VERSION,
        "give a run directory, or write one with \"pulmo evaluate RUN --data PACKED --out DIR\""));
    PULMO_TRY(pulmo_h5_get_texts(file, "/", "classes", &r->classes, &r->class_names));
    if (r->classes < 2 || r->classes > PULMO_CLASSES_MAX)
        return damaged(file, "has no classes, or too many");
    PULMO_TRY(
        pulmo_positive_read(file, r->classes, (const char *const *)r->class_names, &r->positive));
    PULMO_TRY(pulmo_h5_get_text(file, "/", "state", &state));
    r->finished = strcmp(state, "finished") == 0;
    free(state);
    PULMO_TRY(get_int(file, "/", "demo", &demo));
    PULMO_TRY(get_int(file, "/", "best_epoch", &best));
    PULMO_TRY(get_int(file, "/", "trained_convolutions", &r->trained_convolutions));
    PULMO_TRY(get_int(file, "/", "models", &r->models));
    r->is_demo = demo != 0;
    r->best_epoch = (int)best;
    PULMO_TRY(pulmo_h5_get_real(file, "/", "threshold", &r->threshold));
    PULMO_TRY(pulmo_h5_get_real(file, "/", "temperature", &r->temperature));
    PULMO_TRY(get_text(file, "/", "threshold_rule", &r->threshold_rule));
    PULMO_TRY(get_text(file, "/", "program_version", &r->version));
    PULMO_TRY(get_text(file, "/", "isa", &r->isa));
    PULMO_TRY(get_text(file, "/", "blas", &r->blas));
    PULMO_TRY(get_text(file, "/", "features", &r->features));
    PULMO_TRY(get_text(file, "/", "weights_sha256", &r->weights_digest));
    PULMO_TRY(get_text(file, "/", "data_sha256", &r->data_digest));
    PULMO_TRY(get_text(file, "/", "head_sha256", &r->head_digest));
    PULMO_TRY(get_text(file, "provenance", "host", &r->host));
    PULMO_TRY(get_text(file, "provenance", "data_path", &r->data_path));
    PULMO_TRY(get_text(file, "provenance", "model", &r->model));
    PULMO_TRY(get_int(file, "provenance", "ranks", &r->ranks));
    PULMO_TRY(get_int(file, "provenance", "threads", &r->threads));
    if (pulmo_h5_exists(file, "config"))
        return pulmo_h5_read_text(file, "config", &r->config);
    r->config = pulmo_strdup("");
    return r->config ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status read_history(pulmo_h5 *file, report *r)
{
    pulmo_h5_shape shape;
    if (!pulmo_h5_exists(file, "history"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_shape_of(file, "history/epoch", &shape));
    if (shape.rank != 1)
        return damaged(file, "/history/epoch is not a list");
    r->epochs = shape.dims[0];
    for (int c = 0; c < PULMO_HISTORY_COLUMNS; c++) {
        char name[64];
        r->history[c] = pulmo_alloc(r->epochs + 1, sizeof(double));
        if (!r->history[c])
            return PULMO_MEMORY;
        snprintf(name, sizeof name, "history/%s", pulmo_history_columns[c].name);
        PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_F64, 1, &r->epochs, r->history[c]));
    }
    return PULMO_OK;
}

/* ---- scores ---- */

static pulmo_status read_lines(pulmo_h5 *file, const char *group, const char *list,
                               report_lines *out)
{
    char name[128];
    snprintf(name, sizeof name, "%s/%s", group, list);
    return pulmo_h5_exists(file, name) ? pulmo_h5_read_strings(file, name, &out->count, &out->text)
                                       : PULMO_OK;
}

pulmo_scored report_scored(const report *r, const report_split *s)
{
    return (pulmo_scored){s->count, r->classes, s->labels, s->probabilities};
}

static pulmo_status read_scores(pulmo_h5 *file, const report *r, report_split *s)
{
    char name[128];
    uint64_t dims[2] = {s->count, (uint64_t)r->classes};
    s->labels = pulmo_alloc((size_t)s->count + 1, sizeof *s->labels);
    s->predictions = pulmo_alloc((size_t)s->count + 1, sizeof *s->predictions);
    s->probabilities =
        pulmo_alloc((size_t)s->count * (size_t)r->classes + 1, sizeof *s->probabilities);
    if (!s->labels || !s->predictions || !s->probabilities)
        return PULMO_MEMORY;
    snprintf(name, sizeof name, "%s/labels", s->name);
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_I32, 1, dims, s->labels));
    snprintf(name, sizeof name, "%s/predictions", s->name);
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_I32, 1, dims, s->predictions));
    snprintf(name, sizeof name, "%s/probabilities", s->name);
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_F32, 2, dims, s->probabilities));
    for (uint32_t i = 0; i < s->count; i++)
        if (s->predictions[i] < 0 || s->predictions[i] >= r->classes)
            return damaged(file, "a predicted class is none of the classes");
    const pulmo_scored scored = report_scored(r, s);
    const pulmo_decision by = {r->positive.index, r->threshold};
    return pulmo_metrics_compute(&scored, &by, &s->metrics);
}

static pulmo_status read_split(pulmo_h5 *file, report *r, const char *split)
{
    if (!pulmo_h5_exists(file, split))
        return PULMO_OK;
    report_split *s = &r->split[r->splits++];
    snprintf(s->name, sizeof s->name, "%s", split);
    PULMO_TRY(read_lines(file, split, "paths", &s->paths));
    PULMO_TRY(read_lines(file, split, "groups", &s->groups));
    if (s->paths.count != s->groups.count || s->paths.count >= UINT32_MAX / 2)
        return damaged(file, "lists of a split differ in length");
    s->count = (uint32_t)s->paths.count;
    return read_scores(file, r, s);
}

/* ---- data ---- */

static pulmo_status read_part(pulmo_h5 *file, const report *r, const char *split, report_part *out)
{
    char group[64], name[96];
    uint64_t classes = (uint64_t)r->classes;
    snprintf(group, sizeof group, "data/%s", split);
    if (!pulmo_h5_exists(file, group))
        return PULMO_OK;
    out->present = true;
    PULMO_TRY(get_int(file, group, "count", &out->count));
    PULMO_TRY(get_int(file, group, "patients", &out->patients));
    out->images = pulmo_alloc(classes, sizeof *out->images);
    if (!out->images)
        return PULMO_MEMORY;
    snprintf(name, sizeof name, "%s/images", group);
    return pulmo_h5_read(file, name, PULMO_H5_I64, 1, &classes, out->images);
}

static pulmo_status read_data(pulmo_h5 *file, report *r)
{
    char *patients = NULL;
    r->has_data = pulmo_h5_exists(file, "data");
    const struct {
        const char *name;
        char **out;
    } texts[] = {{"carve", &r->carve},
                 {"resize", &r->resize},
                 {"decode", &r->decode},
                 {"patients", &patients},
                 {"patients_by", &r->patients_by}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        PULMO_TRY(get_text(file, "data", texts[i].name, texts[i].out));
    r->patients_unknown = strcmp(patients, "unknown") == 0;
    free(patients);
    if (!r->has_data)
        return PULMO_OK;
    PULMO_TRY(get_int(file, "data", "height", &r->size_px));
    for (int p = 0; p < PULMO_SPLITS; p++)
        PULMO_TRY(read_part(file, r, pulmo_split_name(p), &r->part[p]));
    PULMO_TRY(read_lines(file, "data/refused", "paths", &r->refused));
    PULMO_TRY(read_lines(file, "data/refused", "reasons", &r->refused_reasons));
    if (r->refused.count != r->refused_reasons.count)
        return damaged(file, "lists of refused files differ in length");
    PULMO_TRY(read_lines(file, "data/audit", "identical", &r->identical));
    PULMO_TRY(read_lines(file, "data/audit", "similar", &r->similar));
    PULMO_TRY(read_lines(file, "data/audit", "shared_patients", &r->shared_patients));
    PULMO_TRY(read_lines(file, "data/audit", "mixed_patients", &r->mixed_patients));
    return read_lines(file, "data/audit", "leaks", &r->leaks);
}

/* ---- the file ---- */

/* The date of the file, and the directory's own name for a title. */
static pulmo_status name_it(const char *directory, const struct stat *about, report *r)
{
    struct tm when;
    char *full = realpath(directory, NULL);
    const char *slash = full ? strrchr(full, '/') : NULL;
    r->title = pulmo_strdup(slash && slash[1] ? slash + 1 : directory);
    free(full);
    if (gmtime_r(&about->st_mtime, &when))
        strftime(r->date, sizeof r->date, "%d %B %Y", &when);
    return r->title ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status read_all(pulmo_h5 *file, report *r)
{
    PULMO_TRY(read_root(file, r));
    PULMO_TRY(read_history(file, r));
    for (int i = PULMO_SPLITS - 1; i >= 0; i--)
        PULMO_TRY(read_split(file, r, pulmo_split_name(i)));
    return read_data(file, r);
}

pulmo_status report_read(const char *run, report *out)
{
    struct stat about;
    pulmo_h5 *file = NULL;
    memset(out, 0, sizeof *out);
    bool directory = stat(run, &about) == 0 && S_ISDIR(about.st_mode);
    out->results_path = directory ? pulmo_format("%s/results.h5", run) : pulmo_strdup(run);
    pulmo_status status =
        out->results_path ? pulmo_h5_open(out->results_path, &file) : PULMO_MEMORY;
    if (status == PULMO_IO)
        pulmo_fail_in(status, "%s holds no results to report on (\"pulmo train\" writes them)",
                      run);
    if (status == PULMO_OK && stat(out->results_path, &about) == 0)
        status = name_it(run, &about, out);
    if (status == PULMO_OK)
        status = read_all(file, out);
    pulmo_h5_close(file);
    if (status != PULMO_OK)
        report_free(out);
    return status;
}

static void free_split(report_split *s)
{
    pulmo_free(s->labels);
    pulmo_free(s->predictions);
    pulmo_free(s->probabilities);
    free(s->paths.text);
    free(s->groups.text);
    pulmo_metrics_free(&s->metrics);
}

void report_free(report *r)
{
    char *const texts[] = {r->title,          r->results_path, r->threshold_rule, r->config,
                           r->version,        r->isa,          r->blas,           r->features,
                           r->weights_digest, r->data_digest,  r->head_digest,    r->host,
                           r->data_path,      r->model,        r->carve,          r->resize,
                           r->decode,         r->patients_by};
    const report_lines lists[] = {r->refused,         r->refused_reasons, r->identical, r->similar,
                                  r->shared_patients, r->mixed_patients,  r->leaks};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        free(lists[i].text);
    for (int i = 0; i < PULMO_HISTORY_COLUMNS; i++)
        pulmo_free(r->history[i]);
    for (int i = 0; i < r->splits; i++)
        free_split(&r->split[i]);
    for (int i = 0; i < PULMO_SPLITS; i++)
        pulmo_free(r->part[i].images);
    free(r->class_names);
    memset(r, 0, sizeof *r);
}
