/* results.h5: one file that reports all of a run. docs/reference/files.md describes it for readers.
 *
 *   /README                                  what this file is
 *   /classes (K)                             names; a dimension scale
 *   /config                                  the settings that make the model, YAML
 *   /history/{epoch,lr,train_loss,...} (E)   one value per epoch
 *   /digests/TENSOR (E)                      results_digests.c
 *   /SPLIT/...                               results_split.c; val, test, or what was evaluated
 *   /audit/...                               src/audit/audit_file.c
 *   /data/...                                results_data.c
 *   /seen/{train,val}/...                    results_seen.c
 *   /provenance                              where, when and on how many ranks it ran
 *   attributes of /: pulmo_kind "results", format_version, state, classes, demo, positive_class,
 *       positive_class_by, threshold, threshold_rule, temperature, best_epoch,
 *       trained_convolutions, models, folds (cross-validation alone), program_version, arithmetic,
 *       features, weights_sha256, preprocessing, data_sha256, head_sha256
 *
 * Runs of one configuration on the same data differ in the attributes of /provenance alone, which
 * has ranks, threads, host, places and times: h5diff --exclude-path /provenance. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"
#include "results_room.h"

static const char readme[] = "Results of a pulmo run.\n"
                             "/history holds one value per epoch, /digests a digest of every "
                             "trained tensor, which \"pulmo reproduce\" compares.\n"
                             "/val and /test hold, for every "
                             "image of the split, its path, patient, label, logits,\n"
                             "probabilities and predicted class; everything else in them is "
                             "computed from these: the confusion matrix (row the true\n"
                             "class, column the predicted), figures of each class, ROC, "
                             "precision-recall and calibration curves. Attributes of a\n"
                             "split are its metrics with 95 % intervals by image (Wilson, DeLong)\n"
                             "or, where patients have several, by patient (intervals_by), NaN "
                             "where undefined.\n"
                             "Of two classes the attribute "
                             "positive_class of / names the finding, which is predicted from its "
                             "probability `threshold` on.\n"
                             "/audit tells how far cues that know no anatomy tell classes, and "
                             "how the model's scores stand beside them.\n"
                             "/data tells what was packed and what its leak audit found. Only "
                             "/provenance tells where, when and on how many ranks it ran:\n"
                             "two runs of one configuration on the same data differ nowhere else.\n"
                             "This is research software, not a medical device.\n";

/* ---- history ---- */

static pulmo_status write_columns(pulmo_h5 *file, const pulmo_run_history *history, double *values)
{
    char name[64];
    for (size_t c = 0; c < PULMO_HISTORY_COLUMNS; c++) {
        const char *column = pulmo_history_columns[c].name;
        const results_field field = {
            column, pulmo_history_columns[c].long_name, "1", PULMO_H5_F64, 1, {history->epochs},
            values};
        for (uint32_t e = 0; e < history->epochs; e++)
            values[e] = pulmo_history_cell(&history->row[e], c);
        PULMO_TRY(results_put(file, "history", &field));
        snprintf(name, sizeof name, "history/%s", column);
        PULMO_TRY(pulmo_h5_attach_scale(file, name, 0, "history/epoch"));
    }
    static const char *const more[] = {"val_loss"};
    PULMO_TRY(pulmo_h5_set_texts(file, "history", "auxiliary_signals", 1, more));
    return results_mark_plot(file, "history", "train_loss", "epoch", "Loss per epoch");
}

static pulmo_status write_history(pulmo_h5 *file, const pulmo_run_history *history)
{
    const size_t room = (size_t)history->epochs + 1;
    double *values = malloc(room * sizeof *values);
    int64_t *numbers = malloc(room * sizeof *numbers);
    const results_field epochs = {"epoch", "epoch, counted from 1", "1",    PULMO_H5_I64,
                                  1,       {history->epochs},       numbers};
    pulmo_status status = PULMO_OK;
    if (!values || !numbers)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for the history");
    for (uint32_t e = 0; status == PULMO_OK && e < history->epochs; e++)
        numbers[e] = (int64_t)e + 1;
    if (status == PULMO_OK)
        status = results_put(file, "history", &epochs);
    if (status == PULMO_OK)
        status = pulmo_h5_make_scale(file, "history/epoch", "epoch");
    if (status == PULMO_OK)
        status = write_columns(file, history, values);
    free(values);
    free(numbers);
    return status;
}

static pulmo_status write_epochs(pulmo_h5 *file, const pulmo_run_history *history)
{
    PULMO_TRY(write_history(file, history));
    return results_digests(file, history);
}

/* ---- provenance ---- */

static pulmo_status write_config(pulmo_h5 *file, const pulmo_config *config)
{
    char *text = pulmo_config_binding_lines(config);
    if (!text)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the configuration");
    pulmo_status status = pulmo_h5_write_text(file, "config", text);
    free(text);
    return status;
}

/* The libraries that the numbers and the file came through. */
static pulmo_status write_libraries(pulmo_h5 *file)
{
    char mpi[128], hdf5[64];
    pulmo_dist_library(mpi, sizeof mpi);
    pulmo_h5_library(hdf5, sizeof hdf5);
    const char *const names[] = {mpi, hdf5, pulmo_blas_library()};
    return pulmo_h5_set_texts(file, "provenance", "libraries", PULMO_COUNT_OF(names), names);
}

static pulmo_status write_program(pulmo_h5 *file)
{
    char *command = pulmo_command_line();
    if (!command)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the command line");
    const pulmo_h5_text_attribute texts[] = {
        {"program_version", PULMO_VERSION},
        {"commit", pulmo_commit()},
        {"command", command},
    };
    pulmo_status status = pulmo_h5_set_text_list(file, "provenance", texts, PULMO_COUNT_OF(texts));
    free(command);
    PULMO_TRY(status);
    return write_libraries(file);
}

/* What is not finished has no end yet. */
static pulmo_status write_times(pulmo_h5 *file, const pulmo_results *r)
{
    char now[PULMO_UTC_BYTES];
    pulmo_utc_now(now);
    PULMO_TRY(pulmo_h5_set_text(file, "provenance", "started", r->spent->began));
    if (r->finished)
        PULMO_TRY(pulmo_h5_set_text(file, "provenance", "ended", now));
    PULMO_TRY(pulmo_h5_set_int(file, "provenance", "sessions", r->spent->sessions));
    const double wall_s = pulmo_spent_wall_s(r->spent);
    return pulmo_h5_set_real(file, "provenance", "wall_seconds", wall_s);
}

static pulmo_status write_places(pulmo_h5 *file, const pulmo_results *r)
{
    char *packed = NULL;
    char *model = NULL;
    pulmo_status status = pulmo_file_full_path(r->data ? r->data : "", &packed);
    if (status == PULMO_OK)
        status = pulmo_file_full_path(r->model_place ? r->model_place : "", &model);
    const pulmo_h5_text_attribute texts[] = {
        {"NX_class", "NXcollection"},
        {"data_path", packed},
        {"model", model},
        {"host", pulmo_comm_host(r->comm)},
    };
    if (status == PULMO_OK)
        status = pulmo_h5_set_text_list(file, "provenance", texts, PULMO_COUNT_OF(texts));
    free(packed);
    free(model);
    return status;
}

/* All that may differ between runs with equal results. */
static pulmo_status write_provenance(pulmo_h5 *file, const pulmo_results *r)
{
    const pulmo_h5_int_attribute numbers[] = {
        {"threads", r->threads},
        {"ranks", pulmo_comm_size(r->comm)},
    };
    PULMO_TRY(write_places(file, r));
    PULMO_TRY(write_program(file));
    if (r->spent)
        PULMO_TRY(write_times(file, r));
    const int fold = r->origin ? r->origin->config->data.fold : -1;
    if (fold >= 0)
        PULMO_TRY(pulmo_h5_set_int(file, "provenance", "data_fold", fold));
    if (r->kernels)
        PULMO_TRY(pulmo_h5_set_text(file, "provenance", "kernels", r->kernels));
    return pulmo_h5_set_int_list(file, "provenance", numbers, PULMO_COUNT_OF(numbers));
}

static pulmo_status write_origin(pulmo_h5 *file, const pulmo_results *r)
{
    const pulmo_results_origin *origin = r->origin;
    const pulmo_h5_text_attribute of_model[] = {
        {"program_version", PULMO_VERSION},
        {"weights_sha256", r->model->weights_digest},
        {"preprocessing", r->model->preprocessing},
    };
    PULMO_TRY(pulmo_h5_set_text_list(file, "/", of_model, PULMO_COUNT_OF(of_model)));
    PULMO_TRY(pulmo_arithmetic_write(file, r->history ? r->history->arithmetic : PULMO_ARITHMETIC));
    if (r->head_digest)
        PULMO_TRY(pulmo_h5_set_text(file, "/", "head_sha256", r->head_digest));
    if (!origin)
        return PULMO_OK;
    const pulmo_h5_text_attribute of_run[] = {
        {"data_sha256", origin->data_digest},
        {"features", origin->features},
    };
    PULMO_TRY(pulmo_h5_set_text_list(file, "/", of_run, PULMO_COUNT_OF(of_run)));
    if (*origin->start_digest)
        PULMO_TRY(pulmo_h5_set_text(file, "/", "init_sha256", origin->start_digest));
    return write_config(file, origin->config);
}

static pulmo_status write_classes(pulmo_h5 *file, const pulmo_model *model)
{
    const char *const *names = (const char *const *)model->class_names;
    PULMO_TRY(pulmo_h5_set_texts(file, "/", "classes", model->classes, names));
    PULMO_TRY(pulmo_h5_write_strings(file, "classes", (uint64_t)model->classes, names));
    PULMO_TRY(
        pulmo_h5_set_text(file, "classes", "long_name", "names of the classes, in label order"));
    return pulmo_h5_make_scale(file, "classes", "class");
}

/* ---- what is replaced ---- */

/* Results first: without them the rest is no run. */
static const char *const results_files[] = {"results.h5",  "predictions.csv", "history.csv",
                                            "groups.csv",  "model.h5",        "metrics.json",
                                            "events.jsonl"};
static const char *const report_files[] = {"report.html", "share.html", "MODEL_CARD.md"};

/* What tells a run; the last one an evaluation has, too. */
static const char *const signs_of_run[] = {"checkpoint.h5", "model.h5", "history.csv",
                                           "results.h5"};

pulmo_status pulmo_results_check_out(const char *out, bool replaces)
{
    size_t signs = PULMO_COUNT_OF(signs_of_run);
    if (replaces)
        signs--;
    for (size_t i = 0; i < signs; i++) {
        bool there = false;
        char *path = pulmo_format("%s/%s", out, signs_of_run[i]);
        if (!path)
            return PULMO_MEMORY;
        pulmo_status status = pulmo_file_look(path, &there);
        free(path);
        PULMO_TRY(status);
        if (there)
            return pulmo_fail(PULMO_USAGE,
                              "--out %s: holds results of a run (%s), which would be lost or mixed "
                              "with others; give another directory",
                              out, signs_of_run[i]);
    }
    return PULMO_OK;
}

static pulmo_status remove_file(const char *directory, const char *name)
{
    char *path = pulmo_format("%s/%s", directory, name);
    pulmo_status status = PULMO_OK;
    if (!path)
        return PULMO_MEMORY;
    if (remove(path) != 0 && errno != ENOENT)
        status = pulmo_fail(PULMO_IO, "%s: cannot remove what is to be replaced: %s", path,
                            strerror(errno));
    free(path);
    return status;
}

/* They are of other results by now. */
static pulmo_status remove_reports(const char *directory)
{
    for (size_t i = 0; i < PULMO_COUNT_OF(report_files); i++)
        PULMO_TRY(remove_file(directory, report_files[i]));
    return PULMO_OK;
}

/* ---- the file ---- */

/* What a viewer opens first. */
static const char *shown_first(const pulmo_results *r)
{
    const pulmo_split_scores *scores = r->test ? r->test : r->val;
    if (r->finished && scores)
        return scores->split;
    return r->history && r->history->epochs > 0 ? "history" : NULL;
}

static pulmo_status write_root(pulmo_h5 *file, const pulmo_results *r)
{
    const pulmo_model *model = r->model;
    const char *first = shown_first(r);
    const pulmo_h5_text_attribute texts[] = {
        {"state", r->finished ? "finished" : "running"},
        {"threshold_rule", model->threshold_rule},
        {"NX_class", "NXroot"},
    };
    const pulmo_h5_int_attribute numbers[] = {
        {"demo", model->is_demo},
        {"best_epoch", model->best_epoch},
        {"trained_convolutions", model->tuned.layers},
        {"models", r->models > 1 ? r->models : 1},
    };
    PULMO_TRY(pulmo_h5_set_kind(file, "results", PULMO_RESULTS_FORMAT_VERSION));
    PULMO_TRY(pulmo_h5_set_text_list(file, "/", texts, PULMO_COUNT_OF(texts)));
    PULMO_TRY(pulmo_h5_set_int_list(file, "/", numbers, PULMO_COUNT_OF(numbers)));
    if (r->folds > 0)
        PULMO_TRY(pulmo_h5_set_int(file, "/", "folds", r->folds));
    if (r->overlap > 0)
        PULMO_TRY(pulmo_h5_set_int(file, "/", "overlap_images", r->overlap));
    PULMO_TRY(pulmo_positive_write(file, model));
    PULMO_TRY(pulmo_h5_set_real(file, "/", "threshold", model->threshold));
    PULMO_TRY(pulmo_h5_set_real(file, "/", "temperature", model->temperature));
    if (first)
        PULMO_TRY(pulmo_h5_set_text(file, "/", "default", first));
    return pulmo_h5_write_text(file, "README", readme);
}

static pulmo_status write_file(pulmo_h5 *file, const pulmo_results *r)
{
    PULMO_TRY(write_root(file, r));
    PULMO_TRY(write_classes(file, r->model));
    PULMO_TRY(write_origin(file, r));
    PULMO_TRY(write_provenance(file, r));
    const pulmo_model *model = r->model;
    if (r->history && r->history->epochs > 0)
        PULMO_TRY(write_epochs(file, r->history));
    if (r->val)
        PULMO_TRY(results_split(file, model, r->val));
    if (r->test)
        PULMO_TRY(results_split(file, model, r->test));
    if (r->groups)
        PULMO_TRY(results_groups(file, r));
    if (r->audit)
        PULMO_TRY(pulmo_audit_write(file, r->audit));
    if (!r->finished || !r->data)
        return PULMO_OK;
    PULMO_TRY(results_seen(file, r));
    return results_data(file, r);
}

/* Those of earlier results go where there are none. */
static pulmo_status groups_csv(const pulmo_results *r)
{
    static const char name[] = "groups.csv";
    if (!r->groups)
        return remove_file(r->directory, name);
    char *path = pulmo_format("%s/%s", r->directory, name);
    if (!path)
        return PULMO_MEMORY;
    const char *const *class_names = (const char *const *)r->model->class_names;
    pulmo_status status = pulmo_groups_csv(path, r->groups, class_names);
    free(path);
    return status;
}

pulmo_status pulmo_results_write(const pulmo_results *r)
{
    pulmo_h5 *file = NULL;
    if (r->history)
        PULMO_TRY(results_history_csv(r->directory, r->history));
    PULMO_TRY(results_predictions_csv(r));
    PULMO_TRY(groups_csv(r));
    /* results.h5 comes last: where it says "finished", everything else is there. */
    char *path = pulmo_format("%s/results.h5", r->directory);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_create(path, &file);
    free(path);
    PULMO_TRY(status);
    pulmo_h5_free_texts(file);
    status = write_file(file, r);
    if (status == PULMO_OK)
        status = results_json(file, r);
    if (status != PULMO_OK) {
        pulmo_h5_close(file);
        return status;
    }
    PULMO_TRY(pulmo_h5_commit(file));
    return r->finished ? remove_reports(r->directory) : PULMO_OK;
}

static pulmo_status read_state(const char *path, bool *finished)
{
    pulmo_h5 *file = NULL;
    char *state = NULL;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = pulmo_h5_get_text(file, "/", "state", &state);
    if (status == PULMO_OK)
        *finished = strcmp(state, "finished") == 0;
    pulmo_h5_close(file);
    free(state);
    return status;
}

pulmo_status pulmo_results_finished(const char *directory, bool *finished)
{
    bool there = false;
    char *path = pulmo_format("%s/results.h5", directory);
    *finished = false;
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_file_look(path, &there);
    if (status == PULMO_OK && there)
        status = read_state(path, finished);
    free(path);
    return status;
}

void pulmo_results_remove_leftovers(const char *directory)
{
    for (size_t i = 0; i < PULMO_COUNT_OF(results_files); i++)
        pulmo_file_remove_leftovers(directory, results_files[i]);
    for (size_t i = 0; i < PULMO_COUNT_OF(report_files); i++)
        pulmo_file_remove_leftovers(directory, report_files[i]);
}

pulmo_status pulmo_results_remove(const char *directory)
{
    for (size_t i = 0; i < PULMO_COUNT_OF(results_files); i++)
        PULMO_TRY(remove_file(directory, results_files[i]));
    return remove_reports(directory);
}
