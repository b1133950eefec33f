/* results.h5 → report. Refuses a file whose lists do not fit each other. */
#include "report_room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "pulmo/file.h"
#include "pulmo/h5.h"
#include "pulmo/memory.h"
#include "pulmo/packed.h"
#include "pulmo/results.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

static pulmo_status damaged(pulmo_h5 *file, const char *what)
{
    return pulmo_fail(PULMO_DATA, "%s: %s; the file is damaged: train or evaluate again",
                      pulmo_h5_path(file), what);
}

static pulmo_status empty_text(char **out)
{
    *out = pulmo_strdup("");
    if (!*out)
        return PULMO_MEMORY;
    return PULMO_OK;
}

/* "" where the attribute is missing. */
static pulmo_status get_text(pulmo_h5 *file, const char *object, const char *name, char **out)
{
    if (pulmo_h5_has_attribute(file, object, name))
        return pulmo_h5_get_text(file, object, name, out);
    return empty_text(out);
}

static pulmo_status get_int(pulmo_h5 *file, const char *object, const char *name, int64_t *out)
{
    *out = 0;
    if (!pulmo_h5_has_attribute(file, object, name))
        return PULMO_OK;
    return pulmo_h5_get_int(file, object, name, out);
}

/* Attributes of texts and of integers, and where they go. */
typedef struct text_field {
    const char *object, *name;
    char **out;
} text_field;

typedef struct int_field {
    const char *object, *name;
    int64_t *out;
} int_field;

static pulmo_status get_texts(pulmo_h5 *file, const text_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const text_field *field = &fields[i];
        PULMO_TRY(get_text(file, field->object, field->name, field->out));
    }
    return PULMO_OK;
}

static pulmo_status get_ints(pulmo_h5 *file, const int_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int_field *field = &fields[i];
        PULMO_TRY(get_int(file, field->object, field->name, field->out));
    }
    return PULMO_OK;
}

/* ---- the root ---- */

static pulmo_status read_classes(pulmo_h5 *file, report *r)
{
    PULMO_TRY(pulmo_h5_get_texts(file, "/", "classes", &r->classes, &r->class_names));
    bool fits = r->classes >= 2 && r->classes <= PULMO_CLASSES_MAX;
    if (!fits)
        return damaged(file, "has no classes, or too many");
    const char *const *names = (const char *const *)r->class_names;
    return pulmo_positive_read(file, r->classes, names, &r->positive);
}

static pulmo_status read_state(pulmo_h5 *file, report *r)
{
    char *state = NULL;
    PULMO_TRY(pulmo_h5_get_text(file, "/", "state", &state));
    r->finished = strcmp(state, "finished") == 0;
    free(state);
    r->fold = -1;
    if (pulmo_h5_has_attribute(file, "provenance", "data_fold"))
        return get_int(file, "provenance", "data_fold", &r->fold);
    return PULMO_OK;
}

void report_put_date(report *r, const struct tm *day)
{
    char month[24];
    if (strftime(month, sizeof month, "%B %Y", day))
        snprintf(r->date, sizeof r->date, "%d %s", day->tm_mday, month);
}

/* "2026-11-30T21:03:55Z" in words, in the place of the file's date, which a copy changes. */
static void take_date(report *r)
{
    struct tm when = {0};
    const char *at = r->ended;
    if (sscanf(at, "%4d-%2d-%2dT", &when.tm_year, &when.tm_mon, &when.tm_mday) != 3)
        return;
    when.tm_year -= 1900;
    when.tm_mon -= 1;
    if (when.tm_mon >= 0 && when.tm_mon < 12)
        report_put_date(r, &when);
}

static pulmo_status read_times(pulmo_h5 *file, report *r)
{
    take_date(r);
    r->wall_s = NAN;
    if (pulmo_h5_has_attribute(file, "provenance", "wall_seconds"))
        return pulmo_h5_get_real(file, "provenance", "wall_seconds", &r->wall_s);
    return PULMO_OK;
}

static pulmo_status read_config(pulmo_h5 *file, report *r)
{
    if (pulmo_h5_exists(file, "config"))
        return pulmo_h5_read_text(file, "config", &r->config);
    return empty_text(&r->config);
}

static pulmo_status read_root(pulmo_h5 *file, report *r)
{
    int64_t demo = 0;
    int64_t best = 0;
    const int_field ints[] = {
        {"/", "demo", &demo},
        {"/", "best_epoch", &best},
        {"/", "trained_convolutions", &r->trained_convolutions},
        {"/", "models", &r->models},
        {"/", "folds", &r->folds},
        {"/", "overlap_images", &r->overlap},
        {"provenance", "ranks", &r->ranks},
        {"provenance", "threads", &r->threads},
        {"provenance", "sessions", &r->sessions},
    };
    const text_field texts[] = {
        {"/", "threshold_rule", &r->threshold_rule},
        {"/", "program_version", &r->version},
        {"/", "features", &r->features},
        {"/", "weights_sha256", &r->weights_digest},
        {"/", "data_sha256", &r->data_digest},
        {"/", "head_sha256", &r->head_digest},
        {"provenance", "host", &r->host},
        {"provenance", "kernels", &r->kernels},
        {"provenance", "data_path", &r->data_path},
        {"provenance", "model", &r->model},
        {"provenance", "started", &r->started},
        {"provenance", "ended", &r->ended},
        {"provenance", "command", &r->command},
        {"provenance", "commit", &r->commit},
        {"groups", "by", &r->by},
    };
    PULMO_TRY(pulmo_h5_check_kind(
        file, "results", PULMO_RESULTS_FORMAT_VERSION,
        "give a run directory, or write one with \"pulmo evaluate RUN --data PACKED --out DIR\""));
    PULMO_TRY(read_classes(file, r));
    PULMO_TRY(read_state(file, r));
    PULMO_TRY(get_ints(file, ints, PULMO_COUNT_OF(ints)));
    r->is_demo = demo != 0;
    r->best_epoch = (int)best;
    PULMO_TRY(pulmo_h5_get_real(file, "/", "threshold", &r->threshold));
    PULMO_TRY(pulmo_h5_get_real(file, "/", "temperature", &r->temperature));
    PULMO_TRY(get_texts(file, texts, PULMO_COUNT_OF(texts)));
    PULMO_TRY(read_times(file, r));
    return read_config(file, r);
}

static pulmo_status read_column(pulmo_h5 *file, report *r, int column)
{
    char name[64];
    const char *own = pulmo_history_columns[column].name;
    double *values = pulmo_alloc(r->epochs + 1, sizeof *values);
    if (!values)
        return PULMO_MEMORY;
    r->history[column] = values;
    snprintf(name, sizeof name, "history/%s", own);
    return pulmo_h5_read(file, name, PULMO_H5_F64, 1, &r->epochs, values);
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
    for (int c = 0; c < PULMO_HISTORY_COLUMNS; c++)
        PULMO_TRY(read_column(file, r, c));
    return PULMO_OK;
}

/* ---- scores ---- */

static pulmo_status read_lines(pulmo_h5 *file, const char *group, const char *list,
                               report_lines *out)
{
    char name[128];
    snprintf(name, sizeof name, "%s/%s", group, list);
    if (!pulmo_h5_exists(file, name))
        return PULMO_OK;
    return pulmo_h5_read_strings(file, name, &out->count, &out->text);
}

pulmo_scored report_scored(const report *r, const report_split *s)
{
    return (pulmo_scored){.count = s->count,
                          .classes = r->classes,
                          .labels = s->labels,
                          .probabilities = s->probabilities,
                          .predicted = s->predictions,
                          .logits = s->logits,
                          .patients = r->is_scores ? r->scores.patients : s->patients,
                          .patient = r->is_scores ? r->scores.patient : s->patient,
                          .temperature = r->temperature};
}

static pulmo_status allocate_scores(report_split *s, int classes)
{
    const size_t count = s->count;
    const size_t values = count * (size_t)classes;
    s->labels = pulmo_alloc(count + 1, sizeof *s->labels);
    s->predictions = pulmo_alloc(count + 1, sizeof *s->predictions);
    s->probabilities = pulmo_alloc(values + 1, sizeof *s->probabilities);
    if (!s->labels || !s->predictions || !s->probabilities)
        return PULMO_MEMORY;
    return PULMO_OK;
}

static pulmo_status read_list(pulmo_h5 *file, const report_split *s, const char *list, int32_t *out)
{
    char name[128];
    uint64_t count = s->count;
    snprintf(name, sizeof name, "%s/%s", s->name, list);
    return pulmo_h5_read(file, name, PULMO_H5_I32, 1, &count, out);
}

static bool predictions_fit(const report_split *s, int classes)
{
    for (uint32_t i = 0; i < s->count; i++) {
        int predicted = s->predictions[i];
        if (predicted < 0)
            return false;
        if (predicted >= classes)
            return false;
    }
    return true;
}

/* What images are ordered by. */
static pulmo_status read_logits(pulmo_h5 *file, const report *r, report_split *s)
{
    char name[128];
    const uint64_t dims[2] = {s->count, (uint64_t)r->classes};
    snprintf(name, sizeof name, "%s/logits", s->name);
    if (!pulmo_h5_exists(file, name))
        return PULMO_OK;
    s->logits = pulmo_alloc((size_t)s->count * (size_t)r->classes + 1, sizeof *s->logits);
    if (!s->logits)
        return PULMO_MEMORY;
    return pulmo_h5_read(file, name, PULMO_H5_F32, 2, dims, s->logits);
}

static pulmo_status read_scores(pulmo_h5 *file, const report *r, report_split *s)
{
    char name[128];
    uint64_t dims[2] = {s->count, (uint64_t)r->classes};
    snprintf(name, sizeof name, "%s/probabilities", s->name);
    PULMO_TRY(pulmo_h5_check_shape(file, name, 2, dims));
    PULMO_TRY(allocate_scores(s, r->classes));
    PULMO_TRY(read_list(file, s, "labels", s->labels));
    PULMO_TRY(read_list(file, s, "predictions", s->predictions));
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_F32, 2, dims, s->probabilities));
    PULMO_TRY(read_logits(file, r, s));
    if (!predictions_fit(s, r->classes))
        return damaged(file, "a predicted class is none of the classes");
    const pulmo_scored scored = report_scored(r, s);
    const pulmo_decision by = {r->positive.index, r->threshold};
    return pulmo_metrics_compute(&scored, &by, &s->metrics);
}

static pulmo_status read_kept(pulmo_h5 *file, report_split *s)
{
    char group[96], name[24];
    if (!pulmo_h5_has_attribute(file, s->name, "kept"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_texts(file, s->name, "kept", &s->kept, &s->kept_names));
    s->kept_columns = calloc((size_t)s->kept + 1, sizeof *s->kept_columns);
    if (!s->kept_columns)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %d columns", s->kept);
    snprintf(group, sizeof group, "%s/kept", s->name);
    for (int k = 0; k < s->kept; k++) {
        snprintf(name, sizeof name, "%d", k);
        PULMO_TRY(read_lines(file, group, name, &s->kept_columns[k]));
        if (s->kept_columns[k].count != s->count)
            return damaged(file, "a kept column differs in length");
    }
    return PULMO_OK;
}

static pulmo_status number_patients(report_split *s)
{
    const char *const *groups = (const char *const *)s->groups.text;
    s->patient = pulmo_alloc((size_t)s->count + 1, sizeof *s->patient);
    if (!s->patient)
        return PULMO_MEMORY;
    return pulmo_names_number(groups, s->count, s->patient, &s->patients);
}

static pulmo_status read_split(pulmo_h5 *file, report *r, const char *split)
{
    if (!pulmo_h5_exists(file, split))
        return PULMO_OK;
    report_split *s = &r->split[r->splits];
    r->splits++;
    snprintf(s->name, sizeof s->name, "%s", split);
    PULMO_TRY(read_lines(file, split, "paths", &s->paths));
    PULMO_TRY(read_lines(file, split, "groups", &s->groups));
    const uint64_t count = s->paths.count;
    bool too_many = count >= UINT32_MAX / 2;
    if (count != s->groups.count || too_many)
        return damaged(file, "lists of a split differ in length");
    s->count = (uint32_t)count;
    PULMO_TRY(read_kept(file, s));
    PULMO_TRY(number_patients(s));
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
    out->of_pixels = pulmo_h5_has_attribute(file, group, "pixels_sha256");
    PULMO_TRY(get_text(file, group, out->of_pixels ? "pixels_sha256" : "sha256", &out->digest));
    out->images = pulmo_alloc(classes, sizeof *out->images);
    if (!out->images)
        return PULMO_MEMORY;
    snprintf(name, sizeof name, "%s/images", group);
    return pulmo_h5_read(file, name, PULMO_H5_I64, 1, &classes, out->images);
}

static pulmo_status read_refused(pulmo_h5 *file, report *r)
{
    static const char group[] = "data/refused";
    PULMO_TRY(read_lines(file, group, "paths", &r->refused));
    PULMO_TRY(read_lines(file, group, "reasons", &r->refused_reasons));
    if (r->refused.count != r->refused_reasons.count)
        return damaged(file, "lists of refused files differ in length");
    return PULMO_OK;
}

static pulmo_status read_audit(pulmo_h5 *file, report *r)
{
    static const char group[] = "data/audit";
    PULMO_TRY(read_lines(file, group, "identical", &r->identical));
    PULMO_TRY(read_lines(file, group, "similar", &r->similar));
    PULMO_TRY(read_lines(file, group, "shared_patients", &r->shared_patients));
    PULMO_TRY(read_lines(file, group, "mixed_patients", &r->mixed_patients));
    return read_lines(file, group, "leaks", &r->leaks);
}

static pulmo_status read_data(pulmo_h5 *file, report *r)
{
    pulmo_patients patients;
    r->has_data = pulmo_h5_exists(file, "data");
    const text_field texts[] = {
        {"data", "carve", &r->carve},
        {"data", "resize", &r->resize},
        {"data", "decode", &r->decode},
        {"data", "patients_by", &r->patients_by},
    };
    PULMO_TRY(get_texts(file, texts, PULMO_COUNT_OF(texts)));
    PULMO_TRY(pulmo_results_patients(file, &patients));
    r->patients_unknown = patients == PULMO_PATIENTS_UNKNOWN;
    r->patients_partly = patients == PULMO_PATIENTS_SOME;
    if (!r->has_data)
        return PULMO_OK;
    PULMO_TRY(get_int(file, "data", "height", &r->size_px));
    PULMO_TRY(pulmo_framing_read(file, "data", &r->framing));
    for (int p = 0; p < PULMO_SPLITS; p++) {
        const char *split = pulmo_split_name(p);
        PULMO_TRY(read_part(file, r, split, &r->part[p]));
    }
    PULMO_TRY(read_refused(file, r));
    return read_audit(file, r);
}

/* ---- the file ---- */

/* The date of the file, and the directory's own name for a title. */
static pulmo_status name_it(const char *directory, const struct stat *about, report *r)
{
    struct tm when;
    char *full = NULL;
    const char *title = directory;
    PULMO_TRY(pulmo_file_full_path(directory, &full));
    const char *slash = strrchr(full, '/');
    if (slash && slash[1])
        title = slash + 1;
    r->title = pulmo_strdup(title);
    free(full);
    if (gmtime_r(&about->st_mtime, &when))
        report_put_date(r, &when);
    if (!r->title)
        return PULMO_MEMORY;
    return PULMO_OK;
}

static pulmo_status read_all(pulmo_h5 *file, report *r)
{
    PULMO_TRY(read_root(file, r));
    PULMO_TRY(read_history(file, r));
    for (int i = PULMO_SPLITS - 1; i >= 0; i--) {
        const char *split = pulmo_split_name(i);
        PULMO_TRY(read_split(file, r, split));
    }
    PULMO_TRY(pulmo_audit_read(file, r->classes, &r->audit));
    return read_data(file, r);
}

/* The file of a run directory, or the file itself; NULL for want of memory. */
static char *results_of(const char *run)
{
    struct stat about;
    if (stat(run, &about) != 0)
        return pulmo_strdup(run);
    if (!S_ISDIR(about.st_mode))
        return pulmo_strdup(run);
    return pulmo_format("%s/results.h5", run);
}

pulmo_status report_read(const char *run, report *out)
{
    struct stat about;
    pulmo_h5 *file = NULL;
    memset(out, 0, sizeof *out);
    out->results_path = results_of(run);
    if (!out->results_path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(out->results_path, &file);
    if (status == PULMO_IO)
        pulmo_fail_in(status, "%s holds no results to report on (\"pulmo train\" writes them)",
                      run);
    if (status == PULMO_OK && stat(out->results_path, &about) == 0)
        status = name_it(run, &about, out);
    if (status == PULMO_OK)
        status = read_all(file, out);
    if (status == PULMO_OK)
        pulmo_h5_say_unverified(file);
    pulmo_h5_close(file);
    if (status != PULMO_OK)
        report_free(out);
    return status;
}

static void free_split(report_split *s)
{
    pulmo_free(s->labels);
    pulmo_free(s->patient);
    pulmo_free(s->predictions);
    pulmo_free(s->probabilities);
    pulmo_free(s->logits);
    free(s->paths.text);
    free(s->groups.text);
    for (int k = 0; s->kept_columns && k < s->kept; k++)
        free(s->kept_columns[k].text);
    free(s->kept_columns);
    free(s->kept_names);
    pulmo_metrics_free(&s->metrics);
}

void report_free(report *r)
{
    char *const texts[] = {r->title,       r->results_path, r->threshold_rule, r->config,
                           r->version,     r->kernels,      r->features,       r->weights_digest,
                           r->data_digest, r->head_digest,  r->host,           r->data_path,
                           r->model,       r->carve,        r->resize,         r->decode,
                           r->patients_by, r->by,           r->scores_digest,  r->held,
                           r->started,     r->ended,        r->command,        r->commit};
    const report_lines lists[] = {r->refused,         r->refused_reasons, r->identical, r->similar,
                                  r->shared_patients, r->mixed_patients,  r->leaks};
    for (size_t i = 0; i < PULMO_COUNT_OF(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < PULMO_COUNT_OF(lists); i++)
        free(lists[i].text);
    for (int i = 0; i < PULMO_HISTORY_COLUMNS; i++)
        pulmo_free(r->history[i]);
    for (int i = 0; i < r->splits; i++)
        free_split(&r->split[i]);
    for (int i = 0; i < PULMO_SPLITS; i++) {
        pulmo_free(r->part[i].images);
        free(r->part[i].digest);
    }
    pulmo_groups_free(&r->groups);
    pulmo_audit_free(&r->audit);
    free(r->class_names);
    pulmo_scores_free(&r->scores);
    memset(r, 0, sizeof *r);
}
