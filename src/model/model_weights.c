/* The frozen weights of a trained model: how they are read, and whether these are they. */
#include <string.h>

#include "model_room.h"

pulmo_weights_choice pulmo_model_weights_choice(const pulmo_model *model, const char *path)
{
    return (pulmo_weights_choice){
        .path = path, .preprocessing = pulmo_preprocessing_of(model->preprocessing), .any = true};
}

pulmo_status model_check_weights(const pulmo_model *model, const pulmo_digest *values,
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

pulmo_status pulmo_model_weights_read(const pulmo_model *model, const char *run, const char *path,
                                      pulmo_weights *out)
{
    const pulmo_weights_choice choice = pulmo_model_weights_choice(model, path);
    PULMO_TRY(pulmo_weights_open(&choice, out));
    pulmo_status status = model_check_weights(model, &out->digest, run);
    if (status == PULMO_OK)
        status = model_apply(model, out);
    if (status != PULMO_OK)
        pulmo_weights_free(out);
    return status;
}

pulmo_status pulmo_model_check_backbone(const pulmo_model *model, const pulmo_backbone *backbone,
                                        const char *run)
{
    PULMO_TRY(model_check_weights(model, &backbone->weights_digest, run));
    const pulmo_head_spec *head = &model->head;
    bool same_side = backbone->height == head->height && backbone->width == head->width;
    if (!same_side || backbone->channels != head->channels)
        return pulmo_fail(PULMO_WEIGHTS, "%s: its head does not fit the frozen network's features",
                          run);
    return PULMO_OK;
}
