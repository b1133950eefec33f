/* `pulmo evaluate`: a trained model on a packed split. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"
#include "pulmo/memory.h"
#include "train.h"

static pulmo_status check_fit(const pulmo_model *model, const pulmo_dataset_info *info, const pulmo_evaluate_options *o)
{
    if (info->count == 0) return pulmo_fail(PULMO_DATA, "%s: the %s split is empty", o->data, o->split);
    if (info->height_px != model->size_px || info->width_px != model->size_px)
        return pulmo_fail(PULMO_DATA, "%s: images are %d x %d px, the model takes %d x %d; pack with pack.size %d", o->data,
                          info->height_px, info->width_px, model->size_px, model->size_px, model->size_px);
    bool same = info->classes == model->classes;
    for (int k = 0; same && k < model->classes; k++) same = strcmp(info->class_names[k], model->class_names[k]) == 0;
    if (!same) return pulmo_fail(PULMO_DATA, "%s: its classes are not the model's (%s has %d)", o->data, o->run, model->classes);
    return PULMO_OK;
}

pulmo_weights_choice model_weights_choice(const pulmo_model *model, const char *path)
{
    return (pulmo_weights_choice){.path = path, .preprocessing = pulmo_preprocessing_of(model->preprocessing), .any = true};
}

/* The oldest models name the digest of the file. */
pulmo_status check_model_weights(const pulmo_model *model, const pulmo_digest *values, const pulmo_digest *file, const char *run)
{
    char hex[PULMO_DIGEST_HEX], file_hex[PULMO_DIGEST_HEX];
    pulmo_digest_hex(values, hex);
    pulmo_digest_hex(file, file_hex);
    if (strcmp(hex, model->weights_digest) == 0 || strcmp(file_hex, model->weights_digest) == 0) return PULMO_OK;
    return pulmo_fail(
        PULMO_WEIGHTS,
        "%s was trained on other frozen weights (SHA-256 of their values %.12s..., not %.12s...); give that file as --weights", run,
        model->weights_digest, hex);
}

pulmo_status model_weights_read(const pulmo_model *model, const char *run, const char *path, pulmo_weights *out)
{
    const pulmo_weights_choice choice = model_weights_choice(model, path);
    PULMO_TRY(pulmo_weights_open(&choice, out));
    pulmo_status status = check_model_weights(model, &out->digest, &out->file_digest, run);
    if (status == PULMO_OK) status = pulmo_model_apply(model, out);
    if (status != PULMO_OK) pulmo_weights_free(out);
    return status;
}

pulmo_status check_model_backbone(const pulmo_model *model, const pulmo_backbone *backbone, const char *run)
{
    PULMO_TRY(check_model_weights(model, &backbone->weights_digest, &backbone->weights_file_digest, run));
    if (backbone->channels != model->head.channels || backbone->height != model->head.height || backbone->width != model->head.width)
        return pulmo_fail(PULMO_WEIGHTS, "%s: its head does not fit the frozen network's features", run);
    return PULMO_OK;
}

static pulmo_status write_out(pulmo_comm *comm, const pulmo_evaluate_options *o, const pulmo_model *model, int threads,
                              const split_scores *scores)
{
    PULMO_TRY(results_print(stdout, model, scores));
    if (!o->out) return PULMO_OK;
    PULMO_TRY(pulmo_directory_make(o->out));
    char *place = realpath(o->run, NULL);
    const run_results results = {.directory = o->out,
                                 .model = model,
                                 .test = scores,
                                 .comm = comm,
                                 .data = o->data,
                                 .model_place = place,
                                 .threads = threads,
                                 .finished = true};
    pulmo_status status = results_write(&results);
    free(place);
    PULMO_TRY(status);
    printf("Results: %s/results.h5\n", o->out);
    return PULMO_OK;
}

static pulmo_status score(pulmo_comm *comm, const pulmo_evaluate_options *o, const pulmo_model *model, const pulmo_backbone *backbone,
                          pulmo_dataset *dataset)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(dataset);
    const pulmo_loss_spec loss = {0};
    const char *scratch = getenv("TMPDIR");
    feature_store *features = NULL;
    pulmo_head *head = NULL;
    split_scores scores = {.split = o->split, .info = info};
    pulmo_status status;
    PULMO_GOTO(pulmo_agree(comm, check_model_backbone(model, backbone, o->run)));
    PULMO_GOTO(feature_store_create(comm, dataset, backbone, scratch && *scratch ? scratch : "/tmp", "  features", &features));
    PULMO_GOTO(pulmo_agree(comm, pulmo_head_create(&model->head, &loss, SCORE_SLOT, 1, model->parameters, &head)));
    const scorer with = {.head = head};
    PULMO_GOTO(feature_store_logits(comm, features, &with, info->classes, &scores.logits));
    scores.probabilities = pulmo_alloc((size_t)info->count * (size_t)info->classes, sizeof(float));
    PULMO_GOTO(pulmo_agree(comm, scores.probabilities ? PULMO_OK : PULMO_MEMORY));
    pulmo_model_probabilities(model, (int)info->count, scores.logits, scores.probabilities);
    PULMO_GOTO(pulmo_agree(comm, pulmo_comm_rank(comm) == 0 ? write_out(comm, o, model, backbone->threads, &scores) : PULMO_OK));
out:
    pulmo_head_destroy(head);
    feature_store_destroy(features);
    pulmo_free(scores.logits);
    pulmo_free(scores.probabilities);
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

pulmo_status pulmo_evaluate(pulmo_comm *comm, const pulmo_evaluate_options *o)
{
    pulmo_model model;
    pulmo_dataset *dataset = NULL;
    pulmo_backbone backbone;
    pulmo_weights_choice choice;
    memset(&model, 0, sizeof model);
    pulmo_status status = pulmo_model_read(o->run, &model);
    if (status == PULMO_OK) status = pulmo_dataset_open(o->data, o->split, 0, &dataset);
    if (status == PULMO_OK) status = check_fit(&model, pulmo_dataset_info_of(dataset), o);
    PULMO_GOTO(pulmo_agree(comm, status));
    choice = model_weights_choice(&model, o->weights);
    PULMO_GOTO(pulmo_backbone_open_trained(comm, &choice, &model, o->threads, &backbone));
    status = score(comm, o, &model, &backbone, dataset);
    pulmo_backbone_close(&backbone);
    if (status == PULMO_OK && o->out && pulmo_comm_rank(comm) == 0) status = write_report(o);
    status = pulmo_agree(comm, status);
out:
    pulmo_dataset_close(dataset);
    pulmo_model_free(&model);
    return status;
}
