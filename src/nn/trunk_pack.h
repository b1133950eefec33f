/* Inside the nn room: transformed weights, where they stand in the packed block. */
#ifndef PULMO_TRUNK_PACK_H
#define PULMO_TRUNK_PACK_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/trunk.h"

typedef struct trunk_layer {
    int in_channels, out_channels;
    bool pool_after;
    int tile;                  /* the side of its tiles' outputs */
    bool direct;               /* the first layer of a frozen network: no transform */
    size_t weight_at, bias_at; /* floats from the block's start */
} trunk_layer;

/* The layers that a spec asks for; returns how many. `floats` (may be NULL) gets the block's size.
 */
int trunk_pack_layers(const pulmo_trunk_spec *spec, const pulmo_weights *weights, trunk_layer *out,
                      size_t *floats);

#endif
