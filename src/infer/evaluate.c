/* `pulmo evaluate`: a trained model on a packed split. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "pulmo/features.h"
#include "pulmo/infer.h"
#include "pulmo/results.h"
#include "pulmo/text.h"
#include "overlap.h"
#include "recalibrate.h"
#include "shortcuts.h"

/* "NORMAL, PNEUMONIA", as far as there is room. */
static void list_classes(const pulmo_model *model, char *out, size_t bytes)
{
    size_t at = 0;
    *out = '\0';
    for (int k = 0; k < model->classes && at < bytes; k++) {
        const char *between = k > 0 ? ", " : "";
        at += (size_t)snprintf(out + at, bytes - at, "%s%s", between, model->class_names[k]);
    }
}

/* Other hospitals call classes otherwise; names are compared exactly, in any order. The data set
 * gets the model's. */
static pulmo_status take_classes(const pulmo_model *model, pulmo_dataset *dataset,
                                 const pulmo_evaluate_options *o, const char *run)
{
    const char *const *names = (const char *const *)model->class_names;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(dataset);
    const int foreign = pulmo_dataset_foreign_class(dataset, model->classes, names);
    char theirs[256];
    if (foreign < 0)
        return pulmo_dataset_adopt_classes(dataset, model->classes, names);
    list_classes(model, theirs, sizeof theirs);
    return pulmo_fail(PULMO_DATA,
                      "%s: its class \"%s\" is not one of the model %s, which are %s; pack the set "
                      "with --like %s and pack.label_map, which gives classes the model's names "
                      "and leaves others out",
                      o->data, info->class_names[foreign], run, theirs, run);
}

static pulmo_status check_fit(const pulmo_model *model, pulmo_dataset *dataset,
                              const pulmo_evaluate_options *o, const char *run)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(dataset);
    if (info->count == 0)
        return pulmo_fail(PULMO_DATA, "%s: the %s split is empty", o->data, o->split);
    if (info->height_px != model->size_px || info->width_px != model->size_px)
        return pulmo_fail(
            PULMO_DATA, "%s: images are %d x %d px, the model takes %d x %d; pack with --like %s",
            o->data, info->height_px, info->width_px, model->size_px, model->size_px, run);
    return take_classes(model, dataset, o, run);
}

/* What makes a model what it is: its parameters and its configuration, eval.tta among it. */
static pulmo_status identify(const char *run, char hex[PULMO_DIGEST_HEX])
{
    pulmo_model model;
    PULMO_TRY(pulmo_model_read(run, &model));
    pulmo_model_head_digest(&model, hex);
    char *all = pulmo_format("%s\n%s", hex, model.config);
    pulmo_model_free(&model);
    if (!all)
        return PULMO_MEMORY;
    const pulmo_digest digest = pulmo_digest_of(all, strlen(all));
    pulmo_digest_hex(&digest, hex);
    free(all);
    return PULMO_OK;
}

/* A model that is named twice, by whatever path, would count twice in the mean. */
static pulmo_status check_twins(const pulmo_evaluate_options *o)
{
    pulmo_status status = PULMO_OK;
    if (o->run_count == 1)
        return PULMO_OK;
    char(*known)[PULMO_DIGEST_HEX] = calloc((size_t)o->run_count, sizeof *known);
    if (!known)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %d runs", o->run_count);
    for (int i = 0; i < o->run_count; i++) {
        PULMO_GOTO(identify(o->runs[i], known[i]));
        for (int j = 0; j < i; j++)
            if (strcmp(known[i], known[j]) == 0)
                PULMO_GOTO(pulmo_fail(PULMO_USAGE,
                                      "%s: is the same model as %s, which would count twice in the "
                                      "mean; give each run once",
                                      o->runs[i], o->runs[j]));
    }
out:
    free(known);
    return status;
}

/* Another shape of the same images: scores tell more of that than of the images. */
static void warn_of_framing(const pulmo_model *model, const pulmo_dataset_info *info,
                            const char *data)
{
    const pulmo_framing *theirs = &info->framing;
    const pulmo_framing *mine = &model->framing;
    for (int part = 0; part < PULMO_FRAMING_PARTS; part++) {
        if (pulmo_framing_get(theirs, part) == pulmo_framing_get(mine, part))
            continue;
        const char *name = pulmo_framing_part_of(part)->name;
        pulmo_warn("%s: was packed with %s %s, the model was trained on images with %s %s", data,
                   name, pulmo_framing_name(theirs, part), name, pulmo_framing_name(mine, part));
    }
}

/* Whether the run was made of what it is judged by. */
static pulmo_status judge_overlap(const pulmo_evaluate_options *o, const char *run,
                                  const char *name, const pulmo_dataset *dataset, FILE *table,
                                  uint32_t *shared)
{
    pulmo_model model;
    char digest[PULMO_DIGEST_HEX];
    PULMO_TRY(pulmo_model_read(run, &model));
    pulmo_model_head_digest(&model, digest);
    const overlap_case of = {.run = run,
                             .head_digest = digest,
                             .model = &model,
                             .judged = dataset,
                             .data = o->data,
                             .name = name,
                             .table = o->out ? table : NULL,
                             .allow = o->allow_overlap,
                             .shared = shared};
    pulmo_status status = overlap_judge(&of);
    pulmo_model_free(&model);
    return status;
}

static pulmo_status judge_each(const pulmo_evaluate_options *o, const pulmo_dataset *dataset,
                               FILE *table, uint32_t *shared)
{
    char *name = pulmo_format("the %s split of %s", o->split, o->data);
    pulmo_status status = name ? PULMO_OK : PULMO_MEMORY;
    for (int i = 0; i < o->run_count && status == PULMO_OK; i++)
        status = judge_overlap(o, o->runs[i], name, dataset, table, shared);
    free(name);
    return status;
}

/* The table of what was found, in place of one of an earlier evaluation. Ends the text. */
static pulmo_status write_table(const char *out, pulmo_text *table)
{
    pulmo_status status = PULMO_OK;
    if (!out) {
        pulmo_text_discard(table);
        return PULMO_OK;
    }
    char *path = pulmo_format("%s/overlap.csv", out);
    if (path)
        status = pulmo_directory_make(out);
    if (path && status == PULMO_OK)
        status = pulmo_text_write(table, path);
    pulmo_text_discard(table);
    free(path);
    return path ? status : PULMO_MEMORY;
}

/* Of each run, before anything is scored; what is found is written also where it is refused. Rank
 * 0. */
static pulmo_status judge_overlaps(const pulmo_evaluate_options *o, const pulmo_dataset *dataset,
                                   uint32_t *shared)
{
    pulmo_text table;
    pulmo_failure refusal;
    PULMO_TRY(pulmo_text_open(&table));
    fputs(OVERLAP_COLUMNS "\n", table.stream);
    pulmo_status status = judge_each(o, dataset, table.stream, shared);
    pulmo_failure_keep(&refusal, status);
    const pulmo_status written = write_table(o->out, &table);
    if (status == PULMO_OK)
        return written;
    pulmo_failure_raise(&refusal);
    return status;
}

/* Before hours of scoring, not after them. */
static pulmo_status check_by(const pulmo_evaluate_options *o, const pulmo_dataset_info *info)
{
    if (!o->by)
        return PULMO_OK;
    const pulmo_group_source source = pulmo_split_source(info);
    return pulmo_groups_check(o->by, &source);
}

/* The models' mean so far. */
typedef struct ensemble {
    pulmo_model model;     /* the first one's, which stands for all when results are written */
    double *probabilities; /* (count, classes): sums over models */
    double threshold;      /* sum */
    bool rules_differ;
    int threads;
    pulmo_audit audit;   /* of the mean's scores, on rank 0 */
    pulmo_groups groups; /* the same, by o->by */
    uint32_t overlap;    /* images that a model was made of, on rank 0 */
    pulmo_spent spent;
} ensemble;

static pulmo_status write_out(pulmo_comm *comm, const pulmo_evaluate_options *o,
                              const ensemble *all, const pulmo_split_scores *scores)
{
    const pulmo_model *model = &all->model;
    PULMO_TRY(recalibrate_forget(o->out));
    PULMO_TRY(pulmo_results_print(stdout, model, o->run_count, scores));
    pulmo_groups_print(stdout, &all->groups, model->classes, scores->info->class_names);
    pulmo_audit_print(stdout, &all->audit, scores->info->class_names);
    if (o->recalibrate)
        PULMO_TRY(recalibrate_say(stdout, model, scores, o->out));
    if (!o->out)
        return PULMO_OK;
    PULMO_TRY(pulmo_directory_make(o->out));
    pulmo_file_remove_abandoned(o->out, PULMO_ABANDONED_S);
    char digest[PULMO_DIGEST_HEX];
    pulmo_model_head_digest(model, digest);
    const pulmo_results results = {.directory = o->out,
                                   .model = model,
                                   .test = scores,
                                   .audit = &all->audit,
                                   .comm = comm,
                                   .data = o->data,
                                   .model_place = o->runs[0],
                                   .head_digest = o->run_count == 1 ? digest : NULL,
                                   .models = o->run_count,
                                   .overlap = all->overlap,
                                   .by = o->by,
                                   .groups = o->by ? &all->groups : NULL,
                                   .threads = all->threads,
                                   .spent = &all->spent,
                                   .finished = true};
    PULMO_TRY(pulmo_results_write(&results));
    printf("Results: %s/results.h5\n", o->out);
    return PULMO_OK;
}

/* One model's probabilities, added. Logits are kept where there is only one model. */
static pulmo_status add_scores(pulmo_comm *comm, const pulmo_model *model,
                               const pulmo_backbone *backbone, const char *run,
                               pulmo_dataset *dataset, pulmo_split_scores *scores, ensemble *all)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(dataset);
    const pulmo_loss_spec loss = {0};
    const char *scratch = getenv("TMPDIR");
    pulmo_view_spec views;
    pulmo_feature_source source = {
        .dataset = dataset, .backbone = backbone, .views = &views, .label = "  features"};
    pulmo_feature_store *features = NULL;
    pulmo_scorer with = {.pool = backbone->pool};
    pulmo_status status;
    source.directory = scratch && *scratch ? scratch : "/tmp";
    PULMO_GOTO(pulmo_agree(comm, pulmo_model_check_backbone(model, backbone, run)));
    PULMO_GOTO(pulmo_agree(comm, pulmo_views_of_model(model, &views)));
    PULMO_GOTO(pulmo_feature_store_create(comm, &source, &features));
    PULMO_GOTO(pulmo_agree(comm, pulmo_head_create(&model->head, &loss, PULMO_SCORE_MICROBATCH,
                                                   PULMO_SCORE_MICROBATCHES, model->parameters,
                                                   &with.head)));
    pulmo_free(scores->logits);
    scores->logits = NULL;
    PULMO_GOTO(pulmo_feature_store_logits(comm, features, &with, info->classes, &scores->logits));
    PULMO_GOTO(
        pulmo_model_probabilities(model, (int)info->count, scores->logits, scores->probabilities));
    for (size_t i = 0; i < (size_t)info->count * (size_t)info->classes; i++)
        all->probabilities[i] += (double)scores->probabilities[i];
    all->threshold += model->threshold;
    all->threads = backbone->threads;
out:
    pulmo_head_destroy(with.head);
    pulmo_feature_store_destroy(features);
    return status;
}

/* A mean of thresholds on different classes would mean nothing. */
static pulmo_status check_alike(const pulmo_model *model, const char *run, ensemble *all,
                                const char *first_run)
{
    const int positive = model->positive.index, first = all->model.positive.index;
    if (strcmp(model->threshold_rule, all->model.threshold_rule) != 0)
        all->rules_differ = true;
    if (positive == first)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "%s: its positive class is %s, that of %s is %s: their thresholds cannot be "
                      "averaged; evaluate them one by one, or train with model.positive_class",
                      run, model->class_names[positive], first_run, model->class_names[first]);
}

static pulmo_status add_model(pulmo_comm *comm, const pulmo_evaluate_options *o, int which,
                              pulmo_dataset *dataset, pulmo_split_scores *scores, ensemble *all)
{
    const char *run = o->runs[which];
    pulmo_model model;
    pulmo_backbone backbone;
    memset(&model, 0, sizeof model);
    pulmo_status status = pulmo_model_read(run, &model);
    if (status == PULMO_OK)
        status = pulmo_model_adjust(&model, o->settings);
    if (status == PULMO_OK)
        status = check_fit(&model, dataset, o, run);
    if (status == PULMO_OK && which > 0)
        status = check_alike(&model, run, all, o->runs[0]);
    status = pulmo_agree(comm, status);
    if (status == PULMO_OK && pulmo_comm_rank(comm) == 0)
        warn_of_framing(&model, pulmo_dataset_info_of(dataset), o->data);
    if (status == PULMO_OK) {
        const pulmo_weights_choice choice = pulmo_model_weights_choice(&model, o->weights);
        status = pulmo_backbone_open_trained(comm, &choice, &model, o->threads, &backbone);
        if (status == PULMO_OK) {
            status = add_scores(comm, &model, &backbone, run, dataset, scores, all);
            pulmo_backbone_close(&backbone);
        }
    }
    if (status == PULMO_OK && which == 0)
        all->model = model;
    else
        pulmo_model_free(&model);
    return status;
}

/* Means over models: probabilities, and logits and a threshold that go with them. */
static void take_mean(const pulmo_dataset_info *info, int models, ensemble *all,
                      pulmo_split_scores *scores)
{
    if (models == 1 || !scores->logits)
        return;
    for (size_t i = 0; i < (size_t)info->count * (size_t)info->classes; i++) {
        scores->probabilities[i] = (float)(all->probabilities[i] / models);
        scores->logits[i] = (float)pulmo_log(fmax(all->probabilities[i] / models, 1e-45));
    }
    all->model.temperature = 1;
    if (!all->rules_differ && pulmo_metrics_rule_given(all->model.threshold_rule, NULL))
        return; /* one number for all */
    all->model.threshold = all->threshold / models;
    snprintf(all->model.threshold_rule, sizeof all->model.threshold_rule, "mean of %d models",
             models);
}

static pulmo_status audit_mean(pulmo_comm *comm, const pulmo_evaluate_options *o,
                               pulmo_dataset *dataset, const pulmo_split_scores *scores,
                               ensemble *all)
{
    const pulmo_scored scored = pulmo_split_scored(&all->model, scores);
    const shortcuts_of of = {.run = o->runs[0],
                             .dataset = dataset,
                             .split = o->split,
                             .scored = &scored,
                             .threads = all->threads};
    if (!o->audit)
        return PULMO_OK;
    return shortcuts_audit(comm, &of, &all->audit);
}

pulmo_status pulmo_evaluate(pulmo_comm *comm, const pulmo_evaluate_options *o)
{
    pulmo_dataset *dataset = NULL;
    ensemble all;
    pulmo_split_scores scores = {.split = o->split};
    memset(&all, 0, sizeof all);
    pulmo_spent_begin(&all.spent);
    pulmo_status status = check_twins(o);
    if (status == PULMO_OK && o->out)
        status = pulmo_results_check_out(o->out, true);
    if (status == PULMO_OK)
        status = pulmo_dataset_open(o->data, o->split, 0, &dataset);
    if (status == PULMO_OK)
        status = check_by(o, pulmo_dataset_info_of(dataset));
    if (status == PULMO_OK) {
        scores.info = pulmo_dataset_info_of(dataset);
        size_t values = (size_t)scores.info->count * (size_t)scores.info->classes + 1;
        scores.probabilities = pulmo_alloc(values, sizeof(float));
        all.probabilities = pulmo_alloc(values, sizeof(double));
        if (!scores.probabilities || !all.probabilities)
            status = pulmo_fail(PULMO_MEMORY, "out of memory for %u images", scores.info->count);
    }
    if (status == PULMO_OK && pulmo_comm_rank(comm) == 0)
        status = judge_overlaps(o, dataset, &all.overlap);
    PULMO_GOTO(pulmo_agree(comm, status));
    for (int i = 0; i < o->run_count; i++)
        PULMO_GOTO(add_model(comm, o, i, dataset, &scores, &all));
    take_mean(scores.info, o->run_count, &all, &scores);
    PULMO_GOTO(audit_mean(comm, o, dataset, &scores, &all));
    if (pulmo_comm_rank(comm) == 0 && o->by)
        status = pulmo_split_groups(&all.model, &scores, o->by, &all.groups);
    if (pulmo_comm_rank(comm) == 0 && status == PULMO_OK)
        status = write_out(comm, o, &all, &scores);
    status = pulmo_agree(comm, status);
out:
    pulmo_free(scores.logits);
    pulmo_free(scores.probabilities);
    pulmo_free(all.probabilities);
    pulmo_dataset_close(dataset);
    pulmo_audit_free(&all.audit);
    pulmo_groups_free(&all.groups);
    pulmo_model_free(&all.model);
    return status;
}
