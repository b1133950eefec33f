/* Inside the nn room: a layout being made. */
#ifndef PULMO_LAYOUT_ROOM_H
#define PULMO_LAYOUT_ROOM_H

#include "pulmo/layout.h"

/* Adds a layer's weight (outs, ins) and bias (outs, 1) behind the tensors that are there, named
 * `name`.weight and `name`.bias. `weight` is PULMO_CONV_WEIGHT or PULMO_LINEAR_WEIGHT; `ins` of a
 * convolution counts its nine taps. */
void layout_add(pulmo_layout *layout, pulmo_tensor_kind weight, int layer, const char *name,
                int outs, int ins);
/* Adds all tensors of `more` behind those that are there. */
void layout_append(pulmo_layout *layout, const pulmo_layout *more);

#endif
