/* The test images of a sweep's folds, read back from the folds' results. */
#include "sweep_pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "pulmo/h5.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

void pool_free(pool *p)
{
    for (int i = 0; p->fold && i < p->folds; i++) {
        pool_fold *of = &p->fold[i];
        free(of->paths);
        free(of->groups);
        pulmo_dataset_close(of->set);
    }
    for (int k = 0; p->columns && k < p->kept; k++)
        free(p->columns[k]);
    free(p->columns);
    free(p->fold);
    free(p->paths);
    free(p->groups);
    free(p->labels);
    free(p->predicted);
    free(p->patient);
    free(p->thresholds);
    free(p->probabilities);
    free(p->logits);
    pulmo_model_free(&p->model);
}

/* ---- reading the folds ---- */

static pulmo_status out_of_memory(void)
{
    return pulmo_fail(PULMO_MEMORY, "out of memory for the folds' images");
}

/* Room for `more` images behind those there are. */
static pulmo_status pool_grow(pool *p, uint32_t more)
{
    const size_t images = (size_t)p->count + more;
    const size_t values = images * (size_t)p->model.classes;
    const struct {
        void **array;
        size_t bytes;
    } arrays[] = {
        {(void **)&p->paths, images * sizeof *p->paths},
        {(void **)&p->groups, images * sizeof *p->groups},
        {(void **)&p->labels, images * sizeof *p->labels},
        {(void **)&p->predicted, images * sizeof *p->predicted},
        {(void **)&p->patient, images * sizeof *p->patient},
        {(void **)&p->thresholds, images * sizeof *p->thresholds},
        {(void **)&p->probabilities, values * sizeof *p->probabilities},
        {(void **)&p->logits, values * sizeof *p->logits},
    };
    const size_t count = sizeof arrays / sizeof arrays[0];
    for (size_t i = 0; i < count; i++) {
        void *larger = realloc(*arrays[i].array, arrays[i].bytes + 1);
        if (!larger)
            return out_of_memory();
        *arrays[i].array = larger;
    }
    return PULMO_OK;
}

static pulmo_status read_texts(pulmo_h5 *file, const char *name, char ***texts, uint32_t *count)
{
    uint64_t found = 0;
    PULMO_TRY(pulmo_h5_read_strings(file, name, &found, texts));
    *count = (uint32_t)found;
    return PULMO_OK;
}

/* The test images of one fold's results, behind those of the folds before. */
static pulmo_status add_images(pulmo_h5 *file, int fold, pool *p)
{
    pool_fold *of = &p->fold[fold];
    double threshold;
    uint32_t count, groups;
    PULMO_TRY(pulmo_h5_get_real(file, "/", "threshold", &threshold));
    PULMO_TRY(read_texts(file, "test/paths", &of->paths, &count));
    PULMO_TRY(read_texts(file, "test/groups", &of->groups, &groups));
    PULMO_TRY(pool_grow(p, count));
    const size_t first = p->count;
    const size_t K = (size_t)p->model.classes;
    const uint64_t rows[] = {count};
    const uint64_t matrix[] = {count, K};
    int32_t *labels = p->labels + first;
    int32_t *predicted = p->predicted + first;
    float *probabilities = p->probabilities + first * K;
    PULMO_TRY(pulmo_h5_read(file, "test/labels", PULMO_H5_I32, 1, rows, labels));
    PULMO_TRY(pulmo_h5_read(file, "test/predictions", PULMO_H5_I32, 1, rows, predicted));
    PULMO_TRY(pulmo_h5_read(file, "test/probabilities", PULMO_H5_F32, 2, matrix, probabilities));
    if (groups != count)
        return pulmo_fail(PULMO_DATA, "%s: %u images of test have %u patients", pulmo_h5_path(file),
                          count, groups);
    for (uint32_t i = 0; i < count; i++) {
        p->paths[first + i] = of->paths[i];
        p->groups[first + i] = of->groups[i];
        p->thresholds[first + i] = threshold;
    }
    p->count += count;
    return PULMO_OK;
}

static pulmo_status add_fold(const char *directory, int fold, pool *p)
{
    pulmo_h5 *file = NULL;
    if (fold == 0)
        PULMO_TRY(pulmo_model_read(directory, &p->model));
    char *path = pulmo_format("%s/results.h5", directory);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = add_images(file, fold, p);
    if (status == PULMO_OK)
        status = pulmo_results_patients(file, &p->known);
    pulmo_h5_close(file);
    free(path);
    return status;
}

/* One model stands for all: its threshold is the mean, by which nothing is decided. */
static void describe_models(pool *p)
{
    double sum = 0;
    for (uint32_t i = 0; i < p->count; i++)
        sum += p->thresholds[i];
    p->model.threshold = sum / p->count;
    p->model.temperature = 1;
    p->model.best_epoch = 0;
    snprintf(p->model.threshold_rule, sizeof p->model.threshold_rule, "each fold's own");
    const size_t values = (size_t)p->count * (size_t)p->model.classes;
    for (size_t i = 0; i < values; i++) {
        float probability = fmaxf(p->probabilities[i], 1e-45F);
        p->logits[i] = (float)pulmo_log((double)probability);
    }
}

/* The columns of pack.keep, from the packed folds, whose images are in the order of the results. */
static pulmo_status open_sets(const sweep *s, int axis, pool *p)
{
    const pulmo_config *config = s->options->config;
    const char *test = pulmo_split_name(PULMO_SPLIT_TEST);
    uint64_t count = 0;
    for (int fold = 0; fold < p->folds; fold++) {
        pool_fold *of = &p->fold[fold];
        const char *value = s->grid->axis[axis].value[fold];
        int number = (int)strtol(value, NULL, 10);
        PULMO_TRY(pulmo_dataset_open_fold(config->data.path, number, test, false, &of->set));
        count += pulmo_dataset_info_of(of->set)->count;
    }
    if (count == p->count)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: its folds have %llu test images, the trials scored %u",
                      config->data.path, (unsigned long long)count, p->count);
}

static pulmo_status count_packed(const sweep *s, pool *p)
{
    pulmo_dataset *all = NULL;
    const char *train = pulmo_split_name(PULMO_SPLIT_TRAIN);
    const pulmo_config *config = s->options->config;
    PULMO_TRY(pulmo_dataset_open(config->data.path, train, false, &all));
    p->packed = pulmo_dataset_info_of(all)->count;
    pulmo_dataset_close(all);
    return PULMO_OK;
}

static pulmo_status join_columns(pool *p)
{
    p->kept = pulmo_dataset_info_of(p->fold[0].set)->kept;
    p->columns = calloc((size_t)p->kept + 1, sizeof *p->columns);
    if (!p->columns)
        return out_of_memory();
    for (int k = 0; k < p->kept; k++) {
        const char **column = malloc(((size_t)p->count + 1) * sizeof *column);
        if (!column)
            return out_of_memory();
        p->columns[k] = column;
        for (int fold = 0; fold < p->folds; fold++) {
            const pulmo_dataset *set = p->fold[fold].set;
            const pulmo_dataset_info *info = pulmo_dataset_info_of(set);
            for (uint32_t i = 0; i < info->count; i++)
                *column++ = info->kept_columns[k][i];
        }
    }
    return PULMO_OK;
}

static pulmo_status check_images(const sweep *s, const pool *p)
{
    uint32_t different;
    PULMO_TRY(pulmo_names_number(p->paths, p->count, NULL, &different));
    if (different == p->count)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "%s: %u images stand in the test sets of several folds: these are not folds "
                      "of one packed set",
                      s->options->config->train.run_dir, p->count - different);
}

static pulmo_status read_results(const sweep *s, uint64_t first, int axis, pool *p)
{
    const char *run_dir = s->options->config->train.run_dir;
    const uint64_t apart = sweep_trials_apart(s->grid, axis);
    for (int fold = 0; fold < p->folds; fold++) {
        const uint64_t number = first + (uint64_t)fold * apart;
        const sweep_trial *trial = &s->trials[number];
        char *directory = pulmo_format("%s/%s", run_dir, trial->name);
        if (!directory)
            return PULMO_MEMORY;
        pulmo_status status = add_fold(directory, fold, p);
        free(directory);
        PULMO_TRY(status);
    }
    return PULMO_OK;
}

pulmo_status pool_read(const sweep *s, uint64_t first, int axis, pool *out)
{
    pool *p = out;
    p->folds = s->grid->axis[axis].count;
    p->fold = calloc((size_t)p->folds, sizeof *p->fold);
    if (!p->fold)
        return out_of_memory();
    PULMO_TRY(read_results(s, first, axis, p));
    PULMO_TRY(check_images(s, p));
    PULMO_TRY(pulmo_names_number(p->groups, p->count, p->patient, &p->patients));
    describe_models(p);
    PULMO_TRY(open_sets(s, axis, p));
    PULMO_TRY(count_packed(s, p));
    return join_columns(p);
}
