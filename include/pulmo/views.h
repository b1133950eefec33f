/* Views of an image whose logits are averaged: eval.tta, eval.crops. Not collective. */
#ifndef PULMO_VIEWS_H
#define PULMO_VIEWS_H

#include "pulmo/augment.h"
#include "pulmo/config.h"
#include "pulmo/model.h"

/* The views of an image whose logits are averaged: the image itself, then augmented ones, or fixed
 * crops. They depend on the image's pixels and the view alone: the same on any rank, in a run and
 * in a prediction. */
typedef struct pulmo_view_spec {
    int views;    /* 1: the image itself alone */
    bool cropped; /* those of torchvision's FiveCrop or TenCrop, of 7/8 of height and width: corners
                     from the upper left on, row by row, the centre; then their mirror images */
    pulmo_augment_spec augment;
} pulmo_view_spec;
void pulmo_views_from(const pulmo_config *config, pulmo_view_spec *out);
/* PULMO_CONFIG where both keys ask for views. */
pulmo_status pulmo_views_check(const pulmo_config *config);
/* Changes what a model decides by to what the settings say: eval.threshold, a number; eval.tta and
 * augment, from which the views are drawn, or eval.crops. NULL changes nothing. PULMO_CONFIG for a
 * rule, which only training can choose, or views that cannot be drawn. */
pulmo_status pulmo_model_adjust(pulmo_model *model, const pulmo_settings *settings);
/* The views a model was validated with, or adjusted to. */
pulmo_status pulmo_views_of_model(const pulmo_model *model, pulmo_view_spec *out);
/* pixels (H, W, C) to view `view` (3, H, W), normalised. Of one channel, or the same stored as
 * three equal ones: the same bits. PULMO_MEMORY. */
pulmo_status pulmo_view_apply(const pulmo_view_spec *spec, int view, const uint8_t *pixels,
                              const int shape[3], const float mean[3], const float std[3],
                              float *out);

#endif
