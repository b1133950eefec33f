/* Test-time augmentation: the views of an image. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/metrics.h"
#include "pulmo/specs.h"
#include "pulmo/views.h"

#define VIEW_SEED 0x7669657773u
#define CROPS     5     /* four corners and the centre */
#define CROP_PART 0.875 /* of height and of width: 224 of 256 px */

void pulmo_views_from(const pulmo_config *config, pulmo_view_spec *out)
{
    out->cropped = config->eval.crops != PULMO_CROPS_NONE;
    out->views = (int)config->eval.tta;
    if (out->cropped)
        out->views = config->eval.crops == PULMO_CROPS_TEN ? 2 * CROPS : CROPS;
    pulmo_augment_from(config, &out->augment);
}

pulmo_status pulmo_views_check(const pulmo_config *config)
{
    if (config->eval.crops == PULMO_CROPS_NONE || config->eval.tta == 1)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_CONFIG,
        "eval.tta: %lld: views are drawn or they are the crops of eval.crops: %s; set "
        "one of them, and the other to eval.tta: 1 or eval.crops: none",
        (long long)config->eval.tta, pulmo_config_choice("eval.crops", config->eval.crops));
}

pulmo_status pulmo_views_of_model(const pulmo_model *model, pulmo_view_spec *out)
{
    pulmo_config config;
    pulmo_config_init(&config);
    if (model->tta > 1)
        PULMO_TRY(pulmo_config_parse(&config, "the model's configuration", model->config));
    pulmo_views_from(&config, out);
    return PULMO_OK;
}

static pulmo_status adjust_threshold(pulmo_model *model, const char *text)
{
    double number;
    if (strcmp(text, model->threshold_rule) == 0)
        return PULMO_OK;
    if (model->classes != 2)
        return pulmo_fail(
            PULMO_CONFIG,
            "eval.threshold: \"%s\": thresholds are for two classes; the model has %d, "
            "of which it takes the most probable one",
            text, model->classes);
    if (!pulmo_metrics_rule_given(text, &number))
        return pulmo_fail(PULMO_CONFIG,
                          "eval.threshold: \"%s\": must be a number from 0 to 1 here; rules are "
                          "chosen on val by \"pulmo train\" (this model's is %s)",
                          text, model->threshold_rule);
    snprintf(model->threshold_rule, sizeof model->threshold_rule, "%s", text);
    model->threshold = number;
    return PULMO_OK;
}

pulmo_status pulmo_model_adjust(pulmo_model *model, const pulmo_settings *settings)
{
    pulmo_config config;
    pulmo_view_spec views;
    if (!settings)
        return PULMO_OK;
    pulmo_config_init(&config);
    PULMO_TRY(pulmo_config_parse(&config, "the model's configuration", model->config));
    if (config.eval.crops == PULMO_CROPS_NONE)
        config.eval.tta = model->tta;
    snprintf(config.eval.threshold, sizeof config.eval.threshold, "%s", model->threshold_rule);
    PULMO_TRY(pulmo_config_apply(&config, settings));
    PULMO_TRY(pulmo_views_check(&config));
    PULMO_TRY(adjust_threshold(model, config.eval.threshold));
    pulmo_views_from(&config, &views);
    model->tta = views.views;
    free(model->config);
    model->config = pulmo_config_binding_lines(&config);
    if (!model->config)
        return pulmo_fail(PULMO_MEMORY, "cannot keep the configuration: out of memory");
    return PULMO_OK;
}

/* FNV-1a: what a view is keyed by, so that an image has its views wherever it comes from. */
static uint32_t key_of(const uint8_t *pixels, size_t bytes, size_t channels)
{
    uint32_t key = 2166136261u;
    for (size_t i = 0; i < bytes; i += channels) /* grey may be stored as three */
        key = (key ^ pixels[i]) * 16777619u;
    return key;
}

/* Of fixed crops: the whole image but for its place and its mirror. */
static void draw_crop(int view, int height, int width, pulmo_augment_draw *out)
{
    static const double places[CROPS][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0.5, 0.5}};
    const double *place = places[view % CROPS];
    pulmo_augment_spec none;
    pulmo_augment_spec_init(&none);
    pulmo_augment_draw_at(&none, VIEW_SEED, 0, 0, height, width, out);
    out->crop_height = CROP_PART * height;
    out->crop_width = CROP_PART * width;
    out->crop_y = place[0] * (height - out->crop_height);
    out->crop_x = place[1] * (width - out->crop_width);
    out->flip = view >= CROPS;
}

/* An augmented view of an image whose channels differ, or that has one. */
static pulmo_status apply_drawn(const pulmo_view_spec *spec, int view, const uint8_t *pixels,
                                const int shape[3], const float mean[3], const float std[3],
                                float *out)
{
    const int height = shape[0], width = shape[1], channels = shape[2];
    pulmo_augment_draw draw;
    size_t bytes = (size_t)height * (size_t)width * (size_t)channels;
    if (spec->cropped) {
        draw_crop(view, height, width, &draw);
    } else {
        uint32_t key = key_of(pixels, bytes, (size_t)channels);
        uint64_t epoch = (uint64_t)view;
        pulmo_augment_draw_at(&spec->augment, VIEW_SEED, epoch, key, height, width, &draw);
        draw.flip = spec->augment.hflip > 0 && view % 2 == 1;
    }
    return pulmo_augment_apply(&draw, pixels, height, width, channels, mean, std, out);
}

/* Copies the first of three channels; false where the others differ from it. */
static bool take_grey(const uint8_t *rgb, size_t count, uint8_t *grey)
{
    for (size_t i = 0; i < count; i++) {
        if (rgb[0] != rgb[1] || rgb[1] != rgb[2])
            return false;
        grey[i] = rgb[0];
        rgb += 3;
    }
    return true;
}

/* Grey may be stored as three equal channels, beside images in colour. Augmented as three it would
 * be rounded otherwise, and drawn other noise: it is made one channel first, as predict has it. */
static pulmo_status apply_three(const pulmo_view_spec *spec, int view, const uint8_t *pixels,
                                const int shape[3], const float mean[3], const float std[3],
                                float *out)
{
    const int grey_shape[3] = {shape[0], shape[1], 1};
    const size_t count = (size_t)shape[0] * (size_t)shape[1];
    uint8_t *grey = malloc(count);
    if (!grey)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a view of %d x %d px", shape[1],
                          shape[0]);
    pulmo_status status;
    if (take_grey(pixels, count, grey))
        status = apply_drawn(spec, view, grey, grey_shape, mean, std, out);
    else
        status = apply_drawn(spec, view, pixels, shape, mean, std, out);
    free(grey);
    return status;
}

pulmo_status pulmo_view_apply(const pulmo_view_spec *spec, int view, const uint8_t *pixels,
                              const int shape[3], const float mean[3], const float std[3],
                              float *out)
{
    if (view == 0 &&
        !spec->cropped) /* normalised alone: three equal channels and one give the same */
        return pulmo_augment_apply(NULL, pixels, shape[0], shape[1], shape[2], mean, std, out);
    if (shape[2] == 3)
        return apply_three(spec, view, pixels, shape, mean, std, out);
    return apply_drawn(spec, view, pixels, shape, mean, std, out);
}
