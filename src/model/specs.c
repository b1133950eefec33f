/* What a configuration means to the other rooms. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/specs.h"

pulmo_weights_choice pulmo_weights_choice_from(const pulmo_config *config)
{
    int preprocessing = config->model.preprocessing;
    return (pulmo_weights_choice){
        .path = config->model.weights,
        .preprocessing = (pulmo_preprocessing)preprocessing,
        .any = !config->model.weights_check,
    };
}

void pulmo_augment_from(const pulmo_config *config, pulmo_augment_spec *out)
{
    pulmo_augment_spec_init(out);
    bool of_light = config->augment.strength_of == PULMO_STRENGTH_OF_LIGHT;
    memcpy(out->crop_scale, config->augment.crop_scale, sizeof out->crop_scale);
    memcpy(out->crop_ratio, config->augment.crop_ratio, sizeof out->crop_ratio);
    memcpy(out->translate, config->augment.translate, sizeof out->translate);
    memcpy(out->brightness, config->augment.brightness, sizeof out->brightness);
    memcpy(out->contrast, config->augment.contrast, sizeof out->contrast);
    memcpy(out->gamma, config->augment.gamma, sizeof out->gamma);
    memcpy(out->scale, config->augment.scale, sizeof out->scale);
    memcpy(out->sharpness, config->augment.sharpness, sizeof out->sharpness);
    memcpy(out->blur, config->augment.blur, sizeof out->blur);
    memcpy(out->strength, config->augment.strength, sizeof out->strength);
    out->strength_of_light = of_light;
    out->equalize = config->augment.equalize;
    out->autocontrast = config->augment.autocontrast;
    out->noise = config->augment.noise;
    out->erasing = config->augment.erasing;
    out->hflip = config->augment.hflip;
    out->rotate_deg = config->augment.rotate_deg;
}

void pulmo_optim_from(const pulmo_config *config, pulmo_optim_spec *out)
{
    pulmo_optim_spec_init(out);
    out->kind = (pulmo_optim_kind)config->optim.name;
    out->lr = config->optim.lr;
    out->beta1 = config->optim.beta1;
    out->beta2 = config->optim.beta2;
    out->eps = config->optim.eps;
    out->weight_decay = config->optim.weight_decay;
    out->momentum = config->optim.momentum;
    out->schedule = (pulmo_schedule)config->optim.schedule;
    out->warmup_epochs = config->optim.warmup_epochs;
    out->step_epochs = config->optim.step_epochs;
    out->step_gamma = config->optim.step_gamma;
    out->min_lr = config->optim.min_lr;
}

int pulmo_frozen_blocks_from(const pulmo_config *config)
{
    int trainable = config->model.trainable;
    if (trainable == PULMO_TRAINABLE_HEAD)
        return PULMO_FROZEN_ALL;
    return PULMO_TRAINABLE_ALL - trainable;
}

static pulmo_status averaged_from(const pulmo_config *config, pulmo_block_set *out)
{
    const pulmo_int_list *blocks = &config->model.pool_blocks;
    const char *pool = pulmo_pooling_name((pulmo_pooling)config->model.pool);
    *out = 0;
    for (int i = 0; i < blocks->count; i++) {
        if (i > 0 && blocks->value[i] <= blocks->value[i - 1])
            return pulmo_fail(PULMO_CONFIG,
                              "model.pool_blocks: %d behind %d: blocks must ascend, as in [4, 5]",
                              (int)blocks->value[i], (int)blocks->value[i - 1]);
        *out |= pulmo_block_set_of((int)blocks->value[i]);
    }
    if (blocks->count > 1 && config->model.pool != (int)PULMO_POOL_AVG)
        return pulmo_fail(PULMO_CONFIG,
                          "model.pool_blocks: %d blocks with model.pool: %s: outputs of several "
                          "blocks are averaged; set model.pool: avg, or model.pool_blocks: []",
                          blocks->count, pool);
    return PULMO_OK;
}

pulmo_status pulmo_backbone_cut_from(const pulmo_config *config, pulmo_backbone_cut *out)
{
    out->frozen_blocks = pulmo_frozen_blocks_from(config);
    return averaged_from(config, &out->averaged);
}

pulmo_status pulmo_head_from(const pulmo_config *config, const pulmo_backbone *backbone,
                             int classes, pulmo_head_spec *out)
{
    const int hidden_layers = config->model.hidden.count;
    pulmo_head_spec_init(out);
    if (hidden_layers > PULMO_HIDDEN_MAX)
        return pulmo_fail(PULMO_CONFIG, "model.hidden: %d layers; at most %d", hidden_layers,
                          PULMO_HIDDEN_MAX);
    out->channels = backbone->channels;
    out->height = backbone->height;
    out->width = backbone->width;
    if (backbone->tuned.layers > 0)
        pulmo_tuned_shape(&backbone->tuned, &out->channels, &out->height, &out->width);
    out->pool = (pulmo_pooling)config->model.pool;
    out->hidden_layers = hidden_layers;
    for (int i = 0; i < out->hidden_layers; i++)
        out->hidden[i] = (int)config->model.hidden.value[i];
    out->dropout = config->model.dropout;
    out->classes = classes;
    if (!pulmo_head_fits(out))
        return pulmo_fail(PULMO_CONFIG,
                          "model.pool: flatten makes %d x %d x %d inputs, more than a layer can "
                          "have; take avg, max or avgmax",
                          out->channels, out->height, out->width);
    return PULMO_OK;
}

/* n / (classes * n_class), scikit-learn's "balanced". */
static pulmo_status balanced_weights(const pulmo_dataset_info *info, float *out)
{
    uint32_t *counts = calloc((size_t)info->classes, sizeof *counts);
    if (!counts)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the class counts");
    for (uint32_t i = 0; i < info->count; i++)
        counts[info->labels[i]]++;
    for (int k = 0; k < info->classes; k++) {
        double even = (double)info->classes * counts[k];
        out[k] = 0.0f; /* a class without images has no part in any loss */
        if (counts[k] > 0)
            out[k] = (float)((double)info->count / even);
    }
    free(counts);
    return PULMO_OK;
}

/* "[w, ...]": a finite weight of 0 or more for each class. */
static bool parse_weights(const char *text, int classes, float *out)
{
    const char *at = text;
    int count = 0;
    if (*at != '[')
        return false;
    do {
        char *end = NULL;
        at++; /* behind the bracket or the comma */
        double weight = strtod(at, &end);
        if (end == at)
            return false;
        if (!isfinite(weight) || weight < 0)
            return false;
        if (count < classes)
            out[count] = (float)weight;
        count++;
        at = end + strspn(end, " ");
    } while (*at == ',');
    bool closed = strcmp(at, "]") == 0;
    return closed && count == classes;
}

pulmo_status pulmo_class_weights_from(const pulmo_config *config, const pulmo_dataset_info *info,
                                      float *out)
{
    const char *text = config->optim.class_weights;
    for (int k = 0; k < info->classes; k++)
        out[k] = 1.0f;
    if (strcmp(text, "none") == 0)
        return PULMO_OK;
    if (strcmp(text, "balanced") == 0)
        return balanced_weights(info, out);
    if (parse_weights(text, info->classes, out))
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "optim.class_weights: \"%s\": must be none, balanced, or [w, ...] with one "
                      "weight of 0 or more for each of the %d classes",
                      text, info->classes);
}
