/* `pulmo evaluate`: a trained model on a packed split. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "train.h"

static pulmo_status check_fit(const pulmo_model *model, const pulmo_dataset_info *info,
                              const pulmo_evaluate_options *o, const char *run)
{
    if (info->count == 0)
        return pulmo_fail(PULMO_DATA, "%s: the %s split is empty", o->data, o->split);
    if (info->height_px != model->size_px || info->width_px != model->size_px)
        return pulmo_fail(
            PULMO_DATA,
            "%s: images are %d x %d px, the model takes %d x %d; pack with pack.size %d", o->data,
            info->height_px, info->width_px, model->size_px, model->size_px, model->size_px);
    bool same = info->classes == model->classes;
    for (int k = 0; same && k < model->classes; k++)
        same = strcmp(info->class_names[k], model->class_names[k]) == 0;
    if (!same)
        return pulmo_fail(PULMO_DATA, "%s: its classes are not the model's (%s has %d)", o->data,
                          run, model->classes);
    return PULMO_OK;
}

pulmo_weights_choice model_weights_choice(const pulmo_model *model, const char *path)
{
    return (pulmo_weights_choice){
        .path = path, .preprocessing = pulmo_preprocessing_of(model->preprocessing), .any = true};
}

pulmo_status check_model_weights(const pulmo_model *model, const pulmo_digest *values,
                                 const char *run)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest_hex(values, hex);
    if (strcmp(hex, model->weights_digest) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_WEIGHTS,
                      "%s was trained on other frozen weights (SHA-256 of their values %.12s..., "
                      "not %.12s...); give that file as --weights",
                      run, model->weights_digest, hex);
}

pulmo_status model_weights_read(const pulmo_model *model, const char *run, const char *path,
                                pulmo_weights *out)
{
    const pulmo_weights_choice choice = model_weights_choice(model, path);
    PULMO_TRY(pulmo_weights_open(&choice, out));
    pulmo_status status = check_model_weights(model, &out->digest, run);
    if (status == PULMO_OK)
        status = pulmo_model_apply(model, out);
    if (status != PULMO_OK)
        pulmo_weights_free(out);
    return status;
}

pulmo_status check_model_backbone(const pulmo_model *model, const pulmo_backbone *backbone,
                                  const char *run)
{
    PULMO_TRY(check_model_weights(model, &backbone->weights_digest, run));
    if (backbone->channels != model->head.channels || backbone->height != model->head.height ||
        backbone->width != model->head.width)
        return pulmo_fail(PULMO_WEIGHTS, "%s: its head does not fit the frozen network's features",
                          run);
    return PULMO_OK;
}

/* What training left is not to be written over by what evaluating it gives. */
static pulmo_status check_out(const char *out)
{
    static const char *const of_runs[] = {"checkpoint.h5", "model.h5", "history.csv"};
    struct stat about;
    for (size_t i = 0; out && i < sizeof of_runs / sizeof of_runs[0]; i++) {
        char *path = pulmo_format("%s/%s", out, of_runs[i]);
        bool there = path && stat(path, &about) == 0;
        free(path);
        if (!path)
            return PULMO_MEMORY;
        if (there)
            return pulmo_fail(PULMO_USAGE,
                              "--out %s: is a training run (it holds %s), whose results would be "
                              "lost; give another directory",
                              out, of_runs[i]);
    }
    return PULMO_OK;
}

static pulmo_status write_out(pulmo_comm *comm, const pulmo_evaluate_options *o,
                              const pulmo_model *model, int threads, const split_scores *scores)
{
    PULMO_TRY(results_print(stdout, model, scores));
    if (!o->out)
        return PULMO_OK;
    PULMO_TRY(pulmo_directory_make(o->out));
    char *place = realpath(o->runs[0], NULL), digest[PULMO_DIGEST_HEX];
    model_head_digest(model, digest);
    const run_results results = {.directory = o->out,
                                 .model = model,
                                 .test = scores,
                                 .comm = comm,
                                 .data = o->data,
                                 .model_place = place,
                                 .head_digest = o->run_count == 1 ? digest : NULL,
                                 .models = o->run_count,
                                 .threads = threads,
                                 .finished = true};
    pulmo_status status = results_write(&results);
    free(place);
    PULMO_TRY(status);
    printf("Results: %s/results.h5\n", o->out);
    return PULMO_OK;
}

/* The models' mean so far. */
typedef struct ensemble {
    pulmo_model model;     /* the first one's, which stands for all when results are written */
    double *probabilities; /* (count, classes): sums over models */
    double threshold;      /* sum */
    bool rules_differ;
    int threads;
} ensemble;

/* One model's probabilities, added. Logits are kept where there is only one model. */
static pulmo_status add_scores(pulmo_comm *comm, const pulmo_model *model,
                               const pulmo_backbone *backbone, const char *run,
                               pulmo_dataset *dataset, split_scores *scores, ensemble *all)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(dataset);
    const pulmo_loss_spec loss = {0};
    const char *scratch = getenv("TMPDIR");
    view_spec views;
    feature_source source = {
        .dataset = dataset, .backbone = backbone, .views = &views, .label = "  features"};
    feature_store *features = NULL;
    scorer with = {.pool = backbone->pool};
    pulmo_status status;
    source.directory = scratch && *scratch ? scratch : "/tmp";
    PULMO_GOTO(pulmo_agree(comm, check_model_backbone(model, backbone, run)));
    PULMO_GOTO(pulmo_agree(comm, views_of_model(model, &views)));
    PULMO_GOTO(feature_store_create(comm, &source, &features));
    PULMO_GOTO(
        pulmo_agree(comm, pulmo_head_create(&model->head, &loss, SCORE_MICROBATCH,
                                            SCORE_MICROBATCHES, model->parameters, &with.head)));
    pulmo_free(scores->logits);
    scores->logits = NULL;
    PULMO_GOTO(feature_store_logits(comm, features, &with, info->classes, &scores->logits));
    pulmo_model_probabilities(model, (int)info->count, scores->logits, scores->probabilities);
    for (size_t i = 0; i < (size_t)info->count * (size_t)info->classes; i++)
        all->probabilities[i] += (double)scores->probabilities[i];
    all->threshold += model->threshold;
    all->threads = backbone->threads;
out:
    pulmo_head_destroy(with.head);
    feature_store_destroy(features);
    return status;
}

static pulmo_status write_report(const pulmo_evaluate_options *o)
{
    pulmo_report_options options;
    pulmo_report_options_init(&options);
    options.run = o->out;
    options.weights = o->weights;
    options.threads = o->threads;
    return pulmo_report(&options);
}

static pulmo_status add_model(pulmo_comm *comm, const pulmo_evaluate_options *o, int which,
                              pulmo_dataset *dataset, split_scores *scores, ensemble *all)
{
    const char *run = o->runs[which];
    pulmo_model model;
    pulmo_backbone backbone;
    memset(&model, 0, sizeof model);
    pulmo_status status = pulmo_model_read(run, &model);
    if (status == PULMO_OK)
        status = model_adjust(&model, o->settings);
    if (status == PULMO_OK)
        status = check_fit(&model, pulmo_dataset_info_of(dataset), o, run);
    status = pulmo_agree(comm, status);
    if (status == PULMO_OK) {
        const pulmo_weights_choice choice = model_weights_choice(&model, o->weights);
        status = pulmo_backbone_open_trained(comm, &choice, &model, o->threads, &backbone);
        if (status == PULMO_OK) {
            status = add_scores(comm, &model, &backbone, run, dataset, scores, all);
            pulmo_backbone_close(&backbone);
        }
    }
    if (status == PULMO_OK && which > 0 &&
        strcmp(model.threshold_rule, all->model.threshold_rule) != 0)
        all->rules_differ = true;
    if (status == PULMO_OK && which == 0)
        all->model = model;
    else
        pulmo_model_free(&model);
    return status;
}

/* Means over models: probabilities, and logits and a threshold that go with them. */
static void take_mean(const pulmo_dataset_info *info, int models, ensemble *all,
                      split_scores *scores)
{
    if (models == 1)
        return;
    for (size_t i = 0; i < (size_t)info->count * (size_t)info->classes; i++) {
        scores->probabilities[i] = (float)(all->probabilities[i] / models);
        scores->logits[i] = (float)log(fmax(all->probabilities[i] / models, 1e-45));
    }
    all->model.temperature = 1;
    if (!all->rules_differ && pulmo_metrics_rule_given(all->model.threshold_rule, NULL))
        return; /* one number for all */
    all->model.threshold = all->threshold / models;
    snprintf(all->model.threshold_rule, sizeof all->model.threshold_rule, "mean of %d models",
             models);
}

pulmo_status pulmo_evaluate(pulmo_comm *comm, const pulmo_evaluate_options *o)
{
    pulmo_dataset *dataset = NULL;
    ensemble all;
    split_scores scores = {.split = o->split};
    memset(&all, 0, sizeof all);
    pulmo_status status = check_out(o->out);
    if (status == PULMO_OK)
        status = pulmo_dataset_open(o->data, o->split, 0, &dataset);
    if (status == PULMO_OK) {
        scores.info = pulmo_dataset_info_of(dataset);
        size_t values = (size_t)scores.info->count * (size_t)scores.info->classes + 1;
        scores.probabilities = pulmo_alloc(values, sizeof(float));
        all.probabilities = pulmo_alloc(values, sizeof(double));
        if (!scores.probabilities || !all.probabilities)
            status = PULMO_MEMORY;
    }
    PULMO_GOTO(pulmo_agree(comm, status));
    for (int i = 0; i < o->run_count; i++)
        PULMO_GOTO(add_model(comm, o, i, dataset, &scores, &all));
    take_mean(scores.info, o->run_count, &all, &scores);
    PULMO_GOTO(pulmo_agree(comm, pulmo_comm_rank(comm) == 0
                                     ? write_out(comm, o, &all.model, all.threads, &scores)
                                     : PULMO_OK));
    if (o->out && pulmo_comm_rank(comm) == 0)
        status = write_report(o);
    status = pulmo_agree(comm, status);
out:
    pulmo_free(scores.logits);
    pulmo_free(scores.probabilities);
    pulmo_free(all.probabilities);
    pulmo_dataset_close(dataset);
    pulmo_model_free(&all.model);
    return status;
}
