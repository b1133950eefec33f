/* metrics.json: what attributes of results.h5 say of a run and its splits, for programs that do not
 * read HDF5. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"
#include "results_room.h"

/* What an attribute is. Those that a file does not have are left out. */
typedef enum kind { TEXT, WHOLE, REAL, INTERVAL } kind;

typedef struct member {
    const char *name;
    kind kind;
} member;

static const member of_run[] = {
    {"state", TEXT},          {"program_version", TEXT}, {"best_epoch", WHOLE},
    {"positive_class", TEXT}, {"threshold", REAL},       {"threshold_rule", TEXT},
    {"temperature", REAL},    {"models", WHOLE},         {"overlap_images", WHOLE},
    {"head_sha256", TEXT},    {"data_sha256", TEXT},     {"weights_sha256", TEXT},
    {"init_sha256", TEXT},
};

/* What may differ between runs with equal results. */
static const member of_provenance[] = {
    {"started", TEXT},         {"ended", TEXT},  {"wall_seconds", REAL}, {"sessions", WHOLE},
    {"command", TEXT},         {"host", TEXT},   {"ranks", WHOLE},       {"threads", WHOLE},
    {"program_version", TEXT}, {"commit", TEXT},
};

static const member of_split[] = {
    {"count", WHOLE},
    {"correct", WHOLE},
    {"patients", WHOLE},
    {"intervals_by", TEXT},
    {"accuracy", INTERVAL},
    {"auc", INTERVAL},
    {"sensitivity", INTERVAL},
    {"specificity", INTERVAL},
    {"positive_predictive_value", INTERVAL},
    {"negative_predictive_value", INTERVAL},
    {"balanced_accuracy", REAL},
    {"average_precision", REAL},
    {"macro_precision", REAL},
    {"macro_recall", REAL},
    {"macro_f1", REAL},
    {"weighted_precision", REAL},
    {"weighted_recall", REAL},
    {"weighted_f1", REAL},
    {"weighted_auc", REAL},
    {"weighted_average_precision", REAL},
    {"brier", REAL},
    {"log_loss", REAL},
    {"calibration_error", REAL},
};

static pulmo_status fail_memory(void)
{
    return pulmo_fail(PULMO_MEMORY, "metrics.json: out of memory");
}

/* Takes `value`. */
static pulmo_status put(json_t *to, const char *name, json_t *value)
{
    return json_object_set_new(to, name, value) == 0 ? PULMO_OK : fail_memory();
}

static pulmo_status put_text(pulmo_h5 *file, const char *object, const char *name, json_t *to)
{
    char *text = NULL;
    PULMO_TRY(pulmo_h5_get_text(file, object, name, &text));
    json_t *value = json_string(text);
    free(text);
    return put(to, name, value);
}

static pulmo_status put_whole(pulmo_h5 *file, const char *object, const char *name, json_t *to)
{
    int64_t number = 0;
    PULMO_TRY(pulmo_h5_get_int(file, object, name, &number));
    return put(to, name, json_integer(number));
}

/* What is undefined is null. */
static pulmo_status put_real(pulmo_h5 *file, const char *object, const char *name, json_t *to)
{
    double number = NAN;
    PULMO_TRY(pulmo_h5_get_real(file, object, name, &number));
    return put(to, name, isfinite(number) ? json_real(number) : json_null());
}

static pulmo_status put_interval(pulmo_h5 *file, const char *object, const char *name, json_t *to)
{
    static const char *const ends[] = {"", "_low95", "_high95"};
    for (size_t e = 0; e < PULMO_COUNT_OF(ends); e++) {
        char full[96];
        snprintf(full, sizeof full, "%s%s", name, ends[e]);
        PULMO_TRY(put_real(file, object, full, to));
    }
    return PULMO_OK;
}

static pulmo_status put_member(pulmo_h5 *file, const char *object, const member *it, json_t *to)
{
    if (!pulmo_h5_has_attribute(file, object, it->name))
        return PULMO_OK;
    switch (it->kind) {
    case TEXT:
        return put_text(file, object, it->name, to);
    case WHOLE:
        return put_whole(file, object, it->name, to);
    case REAL:
        return put_real(file, object, it->name, to);
    case INTERVAL:
        break;
    }
    return put_interval(file, object, it->name, to);
}

/* What attributes of a group say, as a member of its name. */
static pulmo_status put_group(pulmo_h5 *file, const char *group, const member *members,
                              size_t count, json_t *to)
{
    json_t *object = json_object();
    if (!object || put(to, group, object) != PULMO_OK)
        return fail_memory();
    for (size_t i = 0; i < count; i++)
        PULMO_TRY(put_member(file, group, &members[i], object));
    return PULMO_OK;
}

static pulmo_status put_split(pulmo_h5 *file, const char *split, json_t *to)
{
    return put_group(file, split, of_split, PULMO_COUNT_OF(of_split), to);
}

static pulmo_status put_classes(const pulmo_model *model, json_t *to)
{
    json_t *names = json_array();
    if (!names || put(to, "classes", names) != PULMO_OK)
        return fail_memory();
    for (int k = 0; k < model->classes; k++)
        if (json_array_append_new(names, json_string(model->class_names[k])) != 0)
            return fail_memory();
    return PULMO_OK;
}

static pulmo_status fill(pulmo_h5 *file, const pulmo_results *r, json_t *to)
{
    for (size_t i = 0; i < PULMO_COUNT_OF(of_run); i++)
        PULMO_TRY(put_member(file, "/", &of_run[i], to));
    PULMO_TRY(put_group(file, "provenance", of_provenance, PULMO_COUNT_OF(of_provenance), to));
    PULMO_TRY(put_classes(r->model, to));
    if (r->val)
        PULMO_TRY(put_split(file, r->val->split, to));
    if (r->test)
        PULMO_TRY(put_split(file, r->test->split, to));
    return PULMO_OK;
}

static pulmo_status write_text(const char *directory, const json_t *all)
{
    char *text = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    char *line = text ? pulmo_format("%s\n", text) : NULL;
    char *path = pulmo_format("%s/metrics.json", directory);
    pulmo_status status = line && path ? PULMO_OK : fail_memory();
    if (status == PULMO_OK)
        status = pulmo_file_write(path, line, strlen(line));
    free(text);
    free(line);
    free(path);
    return status;
}

pulmo_status results_json(pulmo_h5 *file, const pulmo_results *r)
{
    json_t *all = json_object();
    if (!all)
        return fail_memory();
    pulmo_status status = fill(file, r, all);
    if (status == PULMO_OK)
        status = write_text(r->directory, all);
    json_decref(all);
    return status;
}
