/* What a configuration means to the rooms that work: their specifications, made from its keys.
 * Pure; not collective. */
#ifndef PULMO_SPECS_H
#define PULMO_SPECS_H

#include "pulmo/augment.h"
#include "pulmo/backbone.h"
#include "pulmo/config.h"
#include "pulmo/dataset.h"
#include "pulmo/head.h"
#include "pulmo/model.h"
#include "pulmo/optim.h"
#include "pulmo/weights.h"

const char *pulmo_pooling_name(pulmo_pooling pool);
pulmo_weights_choice pulmo_weights_choice_from(const pulmo_config *config);
void pulmo_augment_from(const pulmo_config *config, pulmo_augment_spec *out);
void pulmo_optim_from(const pulmo_config *config, pulmo_optim_spec *out);
/* Blocks that model.trainable leaves frozen, or PULMO_FROZEN_ALL. */
int pulmo_frozen_blocks_from(const pulmo_config *config);
/* What of the network is frozen, and what the head takes of it. PULMO_CONFIG for model.pool_blocks
 * that do not ascend, or that model.pool does not average. */
pulmo_status pulmo_backbone_cut_from(const pulmo_config *config, pulmo_backbone_cut *out);
pulmo_status pulmo_head_from(const pulmo_config *config, const pulmo_backbone *backbone,
                             int classes, pulmo_head_spec *out);
/* Which class is the finding: model.positive_class, or what the names tell (pulmo_metrics_finding),
 * or the last of two. PULMO_CONFIG for a name that is not a class, for one where there are not two,
 * and where eval.threshold is a rule that needs to know and nothing tells. */
pulmo_status pulmo_positive_from(const pulmo_config *config, const pulmo_dataset_info *info,
                                 pulmo_positive *out);
/* A weight per class, from optim.class_weights; `out` (classes). */
pulmo_status pulmo_class_weights_from(const pulmo_config *config, const pulmo_dataset_info *info,
                                      float *out);

#endif
