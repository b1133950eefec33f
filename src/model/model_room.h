/* Inside the model room: a model and the weights it was trained on. */
#ifndef PULMO_MODEL_ROOM_H
#define PULMO_MODEL_ROOM_H

#include "pulmo/model.h"

/* Makes `weights` the network as trained: its convolutions above the cut become the model's (kept:
 * the model must outlive their use), in torchvision's order. Nothing changes for a model of the
 * head alone. For whatever works on weights (a trunk, an export, an explanation). PULMO_WEIGHTS if
 * the shapes differ. Not collective. */
pulmo_status model_apply(const pulmo_model *model, pulmo_weights *weights);

/* PULMO_WEIGHTS unless `values` is the digest of the weights that the model was trained on. `run`
 * is for the report. */
pulmo_status model_check_weights(const pulmo_model *model, const pulmo_digest *values,
                                 const char *run);

/* /pool_blocks of a model file (blocks.c). Read: PULMO_DATA for what no training writes; that the
 * last is the network's is checked where the weights are known. */
pulmo_status model_blocks_write(struct pulmo_h5 *file, pulmo_block_set averaged);
pulmo_status model_blocks_read(struct pulmo_h5 *file, pulmo_block_set *out);

#endif
