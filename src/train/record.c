#include "record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/file.h"
#include "pulmo/isa.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

#define SHOWN_DIGITS 16 /* of a digest, for people */

/* ---- what it is ---- */

static bool holds(const char *run, const char *name)
{
    char *path = pulmo_format("%s/%s", run, name);
    bool is_there = path && access(path, F_OK) == 0;
    free(path);
    return is_there;
}

/* There is no results.h5: what there is instead. */
static pulmo_status refuse_without_results(const char *run)
{
    if (!holds(run, "."))
        return pulmo_fail(PULMO_USAGE,
                          "%s: is no directory; give the one that \"pulmo train\" wrote", run);
    if (holds(run, "checkpoint.h5"))
        return pulmo_fail(PULMO_USAGE,
                          "%s: the run was interrupted before its first epoch ended, so that there "
                          "is nothing to compare with; resume it with its own \"pulmo train\"",
                          run);
    if (holds(run, "sweep.csv"))
        return pulmo_fail(PULMO_USAGE,
                          "%s: is a sweep, of many runs; give the directory of one of its trials",
                          run);
    return pulmo_fail(PULMO_USAGE,
                      "%s: there is no results.h5 in it; give a directory that \"pulmo train\" "
                      "wrote",
                      run);
}

/* What could not be looked for is not absent. */
static pulmo_status check_looks(const record *it)
{
    return pulmo_h5_unsaid(pulmo_h5_path(it->file));
}

/* Files that pulmo writes as results, and that no training made. */
static pulmo_status check_is_trained(const record *it)
{
    bool joins_folds = pulmo_h5_has_attribute(it->file, "/", "folds");
    bool is_trained = pulmo_h5_exists(it->file, "config") && pulmo_h5_exists(it->file, "history");
    PULMO_TRY(check_looks(it));
    if (joins_folds)
        return pulmo_fail(PULMO_USAGE,
                          "%s: joins the folds of a cross-validation; reproduce the run of each "
                          "fold, whose directories lie beside it",
                          it->run);
    if (!is_trained)
        return pulmo_fail(PULMO_USAGE,
                          "%s: holds an evaluation, nothing was trained there; give the directory "
                          "that \"pulmo train\" wrote",
                          it->run);
    return PULMO_OK;
}

static pulmo_status refuse_arithmetic(const record *it, int64_t theirs)
{
    char *version = NULL;
    if (theirs == PULMO_ARITHMETIC_MIXED)
        return pulmo_fail(PULMO_CONFIG,
                          "%s: was begun by one version of pulmo and resumed by another, whose "
                          "arithmetic differs: no version gives its bits",
                          it->run);
    PULMO_TRY(pulmo_h5_get_text(it->file, "/", "program_version", &version));
    pulmo_status status = pulmo_fail(
        PULMO_CONFIG,
        "%s: was made by pulmo %s with version %lld of the arithmetic, this is pulmo " PULMO_VERSION
        " with version %d: their bits differ; reproduce it with a pulmo of its own arithmetic",
        it->run, version, (long long)theirs, PULMO_ARITHMETIC);
    free(version);
    return status;
}

static pulmo_status check_arithmetic(const record *it)
{
    int64_t theirs = 0;
    PULMO_TRY(pulmo_arithmetic_read(it->file, &theirs));
    PULMO_TRY(check_looks(it));
    return theirs == PULMO_ARITHMETIC ? PULMO_OK : refuse_arithmetic(it, theirs);
}

/* ---- how it was made ---- */

static pulmo_status copy_text(pulmo_h5 *file, const char *object, const char *name, size_t bytes,
                              char *out)
{
    char *text = NULL;
    PULMO_TRY(pulmo_h5_get_text(file, object, name, &text));
    pulmo_status status = PULMO_OK;
    if (strlen(text) < bytes)
        memcpy(out, text, strlen(text) + 1);
    else
        status = pulmo_fail(PULMO_DATA, "%s: %s of %s is too long: the file is damaged",
                            pulmo_h5_path(file), name, object);
    free(text);
    return status;
}

static pulmo_status read_identity(record *it)
{
    record_made *made = &it->made;
    PULMO_TRY(copy_text(it->file, "/", "data_sha256", PULMO_DIGEST_HEX, made->data_digest));
    PULMO_TRY(copy_text(it->file, "/", "weights_sha256", PULMO_DIGEST_HEX, made->weights_digest));
    if (pulmo_h5_has_attribute(it->file, "/", "init_sha256"))
        PULMO_TRY(copy_text(it->file, "/", "init_sha256", PULMO_DIGEST_HEX, made->start_digest));
    return copy_text(it->file, "/", "preprocessing", sizeof made->preprocessing,
                     made->preprocessing);
}

static pulmo_status read_settings(record *it)
{
    char *text = NULL;
    pulmo_config *config = &it->made.config;
    pulmo_config_init(config);
    PULMO_TRY(pulmo_h5_read_text(it->file, "config", &text));
    pulmo_status status = pulmo_config_parse(config, pulmo_h5_path(it->file), text);
    free(text);
    /* The digest of the weights is a stronger proof than the known answer. */
    config->model.weights_check = false;
    return status;
}

static void take_places_there(const pulmo_config *all, pulmo_config *out)
{
    if (access(all->model.weights, R_OK) == 0)
        memcpy(out->model.weights, all->model.weights, sizeof out->model.weights);
    memcpy(out->train.init, all->train.init, sizeof out->train.init);
    if (access(all->bank.path, R_OK) == 0)
        memcpy(out->bank.path, all->bank.path, sizeof out->bank.path);
}

/* What does not bind stands in config.yaml alone, which people may edit: of it the places are taken
 * that are there. Digests tell whether they hold what they must. */
static pulmo_status read_weights_place(record *it)
{
    if (!holds(it->run, "config.yaml"))
        return PULMO_OK;
    char *path = pulmo_format("%s/config.yaml", it->run);
    pulmo_config *all = malloc(sizeof *all);
    pulmo_status status = PULMO_MEMORY;
    if (path && all) {
        pulmo_config_init(all);
        status = pulmo_config_read_stored(all, path);
    }
    if (status == PULMO_OK)
        take_places_there(all, &it->made.config);
    free(all);
    free(path);
    if (status != PULMO_CONFIG)
        return status;
    pulmo_warn("%s; weights and bank are looked for in their usual places", pulmo_error());
    pulmo_error_clear();
    return PULMO_OK;
}

static pulmo_status read_places(record *it)
{
    pulmo_config *config = &it->made.config;
    PULMO_TRY(copy_text(it->file, "provenance", "data_path", sizeof config->data.path,
                        config->data.path));
    if (pulmo_h5_has_attribute(it->file, "provenance", "data_fold"))
        PULMO_TRY(pulmo_h5_get_int(it->file, "provenance", "data_fold", &config->data.fold));
    PULMO_TRY(check_looks(it));
    return read_weights_place(it);
}

/* ---- what each epoch gave ---- */

static pulmo_status fail_damaged(const record *it, const char *what)
{
    return pulmo_fail(PULMO_DATA, "%s: %s: the file is damaged", pulmo_h5_path(it->file), what);
}

static pulmo_status read_column(record *it, size_t column, double *values)
{
    char name[64];
    const uint64_t dims = it->made.epochs;
    const pulmo_history_column *of = &pulmo_history_columns[column];
    snprintf(name, sizeof name, "history/%s", of->name);
    PULMO_TRY(pulmo_h5_read(it->file, name, PULMO_H5_F64, 1, &dims, values));
    for (uint32_t e = 0; e < it->made.epochs; e++)
        memcpy((char *)&it->row[e] + of->offset, &values[e], sizeof values[e]);
    return PULMO_OK;
}

static pulmo_status read_history(record *it)
{
    pulmo_h5_shape shape;
    PULMO_TRY(pulmo_h5_shape_of(it->file, "history/epoch", &shape));
    uint64_t most = (uint64_t)it->made.config.train.epochs;
    if (shape.rank != 1 || shape.dims[0] < 1 || shape.dims[0] > most)
        return fail_damaged(it, "its history has more epochs than train.epochs, or none");
    it->made.epochs = (uint32_t)shape.dims[0];
    it->row = calloc(it->made.epochs, sizeof *it->row);
    double *values = calloc(it->made.epochs, sizeof *values);
    pulmo_status status = PULMO_OK;
    if (!it->row || !values)
        status = pulmo_fail(PULMO_MEMORY, "%s: out of memory for the history", it->run);
    for (size_t c = 0; status == PULMO_OK && c < PULMO_HISTORY_COLUMNS; c++)
        status = read_column(it, c, values);
    free(values);
    return status;
}

static pulmo_status read_end(record *it)
{
    int64_t best = 0;
    char state[16];
    PULMO_TRY(copy_text(it->file, "/", "state", sizeof state, state));
    it->made.finished = strcmp(state, "finished") == 0;
    PULMO_TRY(pulmo_h5_get_int(it->file, "/", "best_epoch", &best));
    if (best < 1 || best > it->made.epochs)
        return fail_damaged(it, "its best_epoch is none of its epochs");
    it->made.best_epoch = (uint32_t)best;
    if (!it->made.finished)
        return PULMO_OK;
    return copy_text(it->file, "/", "head_sha256", sizeof it->head_digest, it->head_digest);
}

static pulmo_status read_all(record *it)
{
    PULMO_TRY(pulmo_h5_check_kind(it->file, "results", PULMO_RESULTS_FORMAT_VERSION,
                                  "reproduce it with the pulmo that wrote it"));
    PULMO_TRY(check_is_trained(it));
    PULMO_TRY(check_arithmetic(it));
    PULMO_TRY(read_identity(it));
    PULMO_TRY(read_settings(it));
    PULMO_TRY(read_places(it));
    PULMO_TRY(read_history(it));
    return read_end(it);
}

pulmo_status record_open(const char *run, record *out)
{
    out->run = run;
    char *path = pulmo_format("%s/results.h5", run);
    if (!path)
        return PULMO_MEMORY;
    bool is_there = false;
    pulmo_status status = pulmo_file_look(path, &is_there);
    if (status == PULMO_OK)
        status = is_there ? pulmo_h5_open(path, &out->file) : refuse_without_results(run);
    free(path);
    PULMO_TRY(status);
    pulmo_h5_say_unverified(out->file);
    return read_all(out);
}

void record_close(record *it)
{
    pulmo_h5_close(it->file);
    free(it->row);
    for (int t = 0; t < PULMO_TENSORS_MAX; t++)
        free(it->digest[t]);
}

/* ---- digests ---- */

static pulmo_status read_digest(record *it, int tensor)
{
    char name[64];
    uint64_t count = 0;
    snprintf(name, sizeof name, "digests/%s", it->layout->tensor[tensor].name);
    PULMO_TRY(pulmo_h5_read_strings(it->file, name, &count, &it->digest[tensor]));
    if (count == it->made.epochs)
        return PULMO_OK;
    return fail_damaged(it, "its digests and its history have different numbers of epochs");
}

pulmo_status record_read_digests(record *it, const pulmo_layout *layout)
{
    it->layout = layout;
    if (!pulmo_h5_exists(it->file, "digests"))
        return check_looks(it);
    for (int t = 0; t < layout->tensors; t++)
        PULMO_TRY(read_digest(it, t));
    return PULMO_OK;
}

/* "" where it is not known. */
static const char *digest_of(const record *it, int tensor, uint32_t epoch)
{
    return it->digest[tensor] ? it->digest[tensor][epoch] : "";
}

uint32_t record_unknown(const record *it, uint32_t epochs)
{
    uint32_t unknown = 0;
    for (uint32_t e = 0; e < epochs; e++)
        unknown += *digest_of(it, 0, e) == '\0';
    return unknown;
}

/* ---- the same data and weights ---- */

pulmo_status record_check_data(const record *it, const char *digest, const char *path)
{
    if (strcmp(it->made.data_digest, digest) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "%s: was trained on other data than %s (data_sha256 %.*s there, %.*s here); "
                      "give what it was trained on with --data",
                      it->run, path, SHOWN_DIGITS, it->made.data_digest, SHOWN_DIGITS, digest);
}

pulmo_status record_check_weights(const record *it, const char *digest, const char *preprocessing)
{
    const record_made *made = &it->made;
    if (strcmp(made->weights_digest, digest) != 0)
        return pulmo_fail(PULMO_CONFIG,
                          "%s: was trained with other weights (weights_sha256 %.*s there, %.*s "
                          "here); give its own with --weights",
                          it->run, SHOWN_DIGITS, made->weights_digest, SHOWN_DIGITS, digest);
    if (strcmp(made->preprocessing, preprocessing) != 0)
        return pulmo_fail(PULMO_CONFIG,
                          "%s: its weights were read as %s, this file is read as %s; give the file "
                          "that it was trained with, with --weights",
                          it->run, made->preprocessing, preprocessing);
    return PULMO_OK;
}

pulmo_status record_check_start(const record *it, const char *digest)
{
    const char *theirs = it->made.start_digest;
    if (strcmp(theirs, digest) == 0)
        return PULMO_OK;
    if (!*digest)
        return pulmo_fail(PULMO_CONFIG,
                          "%s: was started from another run (head SHA-256 %.*s), which is not in "
                          "its config.yaml as train.init",
                          it->run, SHOWN_DIGITS, theirs);
    return pulmo_fail(
        PULMO_CONFIG,
        "%s: train.init: %s was trained anew since (head SHA-256 %.*s then, %.*s now)", it->run,
        it->made.config.train.init, SHOWN_DIGITS, theirs, SHOWN_DIGITS, digest);
}

/* ---- the same numbers ---- */

static pulmo_status fail_digest(const record *it, uint32_t epoch, const char *what,
                                const char *theirs, const char *mine)
{
    return pulmo_fail(PULMO_DATA, "epoch %u: %s differs: %s has %.*s..., this machine made %.*s...",
                      epoch + 1, what, it->run, SHOWN_DIGITS, theirs, SHOWN_DIGITS, mine);
}

static pulmo_status check_tensors(const record *it, uint32_t epoch, const pulmo_digest *digest)
{
    for (int t = 0; t < it->layout->tensors; t++) {
        char mine[PULMO_DIGEST_HEX];
        const char *theirs = digest_of(it, t, epoch);
        pulmo_digest_hex(&digest[t], mine);
        if (*theirs && strcmp(theirs, mine) != 0)
            return fail_digest(it, epoch, it->layout->tensor[t].name, theirs, mine);
    }
    return PULMO_OK;
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

pulmo_status record_check_epoch(const record *it, uint32_t epoch, const pulmo_digest *digest,
                                const pulmo_epoch_row *row)
{
    PULMO_TRY(check_tensors(it, epoch, digest));
    for (size_t c = 0; c < PULMO_HISTORY_COLUMNS; c++) {
        double theirs = pulmo_history_cell(&it->row[epoch], c);
        double mine = pulmo_history_cell(row, c);
        if (!same_number(theirs, mine))
            return pulmo_fail(PULMO_DATA,
                              "epoch %u: %s differs: %s has %.17g, this machine made %.17g",
                              epoch + 1, pulmo_history_columns[c].name, it->run, theirs, mine);
    }
    return PULMO_OK;
}

pulmo_status record_check_head(const record *it, const char *digest)
{
    if (strcmp(it->head_digest, digest) == 0)
        return PULMO_OK;
    return fail_digest(it, it->made.best_epoch - 1, "Head SHA-256", it->head_digest, digest);
}

/* The first image whose logits (count, classes) differ, or `count`. */
static uint32_t first_other(const pulmo_dataset_info *info, const float *theirs, const float *mine)
{
    size_t classes = (size_t)info->classes;
    uint32_t i = 0;
    while (i < info->count && memcmp(theirs, mine, classes * sizeof *mine) == 0) {
        theirs += classes;
        mine += classes;
        i++;
    }
    return i;
}

pulmo_status record_check_scores(const record *it, const pulmo_split_scores *scores)
{
    char name[64];
    const pulmo_dataset_info *info = scores->info;
    const uint64_t dims[2] = {info->count, (uint64_t)info->classes};
    float *theirs = pulmo_alloc((size_t)info->count * (size_t)info->classes, sizeof *theirs);
    if (!theirs)
        return PULMO_MEMORY;
    snprintf(name, sizeof name, "%s/logits", scores->split);
    pulmo_status status = pulmo_h5_read(it->file, name, PULMO_H5_F32, 2, dims, theirs);
    uint32_t other = info->count;
    if (status == PULMO_OK)
        other = first_other(info, theirs, scores->logits);
    if (other < info->count)
        status = pulmo_fail(PULMO_DATA, "%s: the logits of image %u differ from those in %s",
                            scores->split, other, it->run);
    pulmo_free(theirs);
    return status;
}
