/* What a finished trial's files say: its figures, its settings, its data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"
#include "pulmo/isa.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "sweep_room.h"

const sweep_figure_names sweep_figure_named[] = {
#define X(NAME, column, heading) {column, heading},
    SWEEP_FIGURE_LIST(X)
#undef X
};

/* ---- figures ---- */

static pulmo_status history_value(pulmo_h5 *file, const char *name, int64_t epoch, double *out)
{
    pulmo_h5_shape shape;
    *out = NAN;
    if (!pulmo_h5_exists(file, name))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_shape_of(file, name, &shape));
    if (shape.rank != 1)
        return pulmo_fail(PULMO_DATA, "%s: /%s is not a number per epoch: the file is damaged",
                          pulmo_h5_path(file), name);
    return pulmo_h5_read_rows(file, name, PULMO_H5_F64, (uint64_t)epoch - 1, 1, out);
}

static pulmo_status split_value(pulmo_h5 *file, const char *split, const char *name, double *out)
{
    *out = NAN;
    if (!pulmo_h5_exists(file, split) || !pulmo_h5_has_attribute(file, split, name))
        return PULMO_OK;
    return pulmo_h5_get_real(file, split, name, out);
}

static pulmo_status read_figures(pulmo_h5 *file, sweep_trial *trial)
{
    char *digest = NULL;
    double *figure = trial->figure;
    PULMO_TRY(pulmo_h5_get_int(file, "/", "best_epoch", &trial->best_epoch));
    int64_t epoch = trial->best_epoch;
    if (epoch < 1)
        return pulmo_fail(PULMO_DATA, "%s: best_epoch is %lld", pulmo_h5_path(file),
                          (long long)epoch);
    PULMO_TRY(history_value(file, "history/val_loss", epoch, &figure[SWEEP_VAL_LOSS]));
    PULMO_TRY(history_value(file, "history/val_accuracy", epoch, &figure[SWEEP_VAL_ACCURACY]));
    PULMO_TRY(history_value(file, "history/val_auc", epoch, &figure[SWEEP_VAL_AUC]));
    PULMO_TRY(split_value(file, "test", "accuracy", &figure[SWEEP_TEST_ACCURACY]));
    PULMO_TRY(split_value(file, "test", "auc", &figure[SWEEP_TEST_AUC]));
    PULMO_TRY(pulmo_h5_get_text(file, "/", "head_sha256", &digest));
    snprintf(trial->head_digest, sizeof trial->head_digest, "%s", digest);
    free(digest);
    return PULMO_OK;
}

pulmo_status sweep_read_trial(const char *directory, sweep_trial *trial)
{
    pulmo_h5 *file = NULL;
    char *path = pulmo_format("%s/results.h5", directory);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = read_figures(file, trial);
    if (status == PULMO_OK)
        pulmo_h5_say_unverified(file);
    pulmo_h5_close(file);
    free(path);
    return status;
}

double sweep_figure_of(const sweep_trial *trial, sweep_figure figure)
{
    if (trial->state != SWEEP_FINISHED)
        return NAN;
    return trial->figure[figure];
}

/* ---- whether it is the run that would be trained now ---- */

/* The digest that a run's results hold of its data. */
static pulmo_status data_digest(const pulmo_config *config, char hex[PULMO_DIGEST_HEX])
{
    pulmo_dataset *dataset[PULMO_SPLITS] = {0};
    const char *of_splits[PULMO_SPLITS];
    pulmo_status status = PULMO_OK;
    for (int i = 0; status == PULMO_OK && i < PULMO_SPLITS; i++) {
        status = pulmo_dataset_open_fold(config->data.path, (int)config->data.fold,
                                         pulmo_split_name(i), i > 0, &dataset[i]);
        if (status == PULMO_OK)
            of_splits[i] = pulmo_dataset_info_of(dataset[i])->digest_hex;
    }
    if (status == PULMO_OK)
        pulmo_dataset_digest(of_splits, hex);
    for (int i = 0; i < PULMO_SPLITS; i++)
        pulmo_dataset_close(dataset[i]);
    return status;
}

/* What a run's results say of how it was made, beside what would make it now. */
static pulmo_status check_made(pulmo_h5 *file, const char *name, const char *mine, const char *what)
{
    char *theirs = NULL;
    if (*mine == '\0')
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, "/", name, &theirs));
    pulmo_status status = PULMO_OK;
    if (strcmp(mine, theirs) != 0)
        status = pulmo_fail(PULMO_CONFIG,
                            "holds a finished run %s (%.16s there, %.16s now); choose another "
                            "train.run_dir, or give --overwrite",
                            what, theirs, mine);
    free(theirs);
    return status;
}

static pulmo_status check_arithmetic(pulmo_h5 *file)
{
    int64_t theirs = 0;
    PULMO_TRY(pulmo_arithmetic_read(file, &theirs));
    if (theirs == PULMO_ARITHMETIC)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "holds a finished run of a pulmo whose arithmetic differs in last digits; "
                      "choose another train.run_dir, or give --overwrite");
}

static pulmo_status compare_settings(const pulmo_config *config, const pulmo_config *theirs)
{
    pulmo_status status = PULMO_OK;
    char *differences = pulmo_config_differences(config, theirs);
    if (!differences)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a trial");
    if (*differences)
        status = pulmo_fail(PULMO_CONFIG,
                            "holds a finished run of other settings (%.300s); choose another "
                            "train.run_dir, or give --overwrite",
                            differences);
    free(differences);
    return status;
}

/* Results of another trial may have come beside this one's config.yaml. Those of version 0.1.0 hold
 * their settings, too. */
static pulmo_status check_own_settings(pulmo_h5 *file, const pulmo_config *config)
{
    char *text = NULL;
    pulmo_config *theirs = malloc(sizeof *theirs);
    if (!theirs)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a trial");
    pulmo_config_init(theirs);
    pulmo_status status = pulmo_h5_read_text(file, "config", &text);
    if (status == PULMO_OK)
        status = pulmo_config_parse(theirs, pulmo_h5_path(file), text);
    if (status == PULMO_OK)
        status = compare_settings(config, theirs);
    free(text);
    free(theirs);
    return status;
}

static pulmo_status check_all_made(pulmo_h5 *file, const char *data, const sweep_made *now)
{
    PULMO_TRY(check_made(file, "data_sha256", data, "on other data"));
    PULMO_TRY(check_made(file, "weights_sha256", now->weights, "with other weights"));
    return check_arithmetic(file);
}

static pulmo_status check_results(const pulmo_config *config, const sweep_made *now)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_h5 *file = NULL;
    char *path = pulmo_format("%s/results.h5", config->train.run_dir);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = data_digest(config, hex);
    if (status == PULMO_OK)
        status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = check_own_settings(file, config);
    if (status == PULMO_OK)
        status = check_all_made(file, hex, now);
    pulmo_h5_close(file);
    free(path);
    return status;
}

/* `theirs` is room for the stored settings. */
static pulmo_status check_settings(const pulmo_config *config, pulmo_config *theirs)
{
    char *path = pulmo_format("%s/config.yaml", config->train.run_dir);
    if (!path)
        return PULMO_MEMORY;
    pulmo_config_init(theirs);
    pulmo_status status = pulmo_config_read_stored(theirs, path);
    free(path);
    PULMO_TRY(status);
    return compare_settings(config, theirs);
}

pulmo_status sweep_check_same(const pulmo_config *config, const sweep_made *now)
{
    pulmo_config *theirs = malloc(sizeof *theirs);
    if (!theirs)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a trial");
    pulmo_status status = check_settings(config, theirs);
    free(theirs);
    PULMO_TRY(status);
    return check_results(config, now);
}
