/* The convolutions of a VGG network, read from a file. Not collective.
 *
 * Reads the safetensors container (8-byte little-endian header length, JSON header, raw
 * little-endian data) with torchvision's names: features.N.weight (O, I, 3, 3) and
 * features.N.bias (O), float32. Where blocks end is told from the numbering: two convolutions
 * are 2 apart inside a block and 3 apart across a max-pool, so VGG11, 13, 16 and 19 (without
 * batch normalisation) all load. */
#ifndef PULMO_WEIGHTS_H
#define PULMO_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/digest.h"
#include "pulmo/status.h"

#define PULMO_CONVS_MAX 32

/* One 3x3 convolution, stride 1, padding 1, followed by ReLU. */
typedef struct pulmo_conv {
    int in_channels;
    int out_channels;
    bool pool_after;     /* followed by a 2x2 max-pool of stride 2 */
    int feature_index;   /* N of features.N */
    const float *weight; /* (O, I, 3, 3) */
    const float *bias;   /* (O) */
} pulmo_conv;

/* All convolutions in order; the arrays belong to this object. */
typedef struct pulmo_weights {
    int convs;
    pulmo_conv conv[PULMO_CONVS_MAX];
    float mean[3]; /* of the preprocessing they were trained with: RGB in [0, 1] */
    float std[3];
    pulmo_digest digest; /* of the file */
    void *storage;
} pulmo_weights;

/* Reads a file. Refuses (PULMO_WEIGHTS) what is truncated, overlaps, has a wrong type, shape,
 * a missing layer, a non-finite value, or widths that do not chain. Owned by the caller. */
pulmo_status pulmo_weights_read(const char *path, pulmo_weights *out);
void pulmo_weights_free(pulmo_weights *weights);

/* Random convolutions of the same shape as VGG16 (He et al. 2015, eq. 10), for tests,
 * benchmarks and the comparison with random features. Owned by the caller. */
pulmo_status pulmo_weights_random(unsigned seed, pulmo_weights *out);

/* The path to read: `given` if not NULL or empty, $PULMO_WEIGHTS, or
 * ${XDG_CACHE_HOME:-~/.cache}/pulmo/vgg16_features.safetensors. Fails with PULMO_WEIGHTS,
 * naming every way to supply the file, when none is there. `out` is owned by the caller (free). */
pulmo_status pulmo_weights_find(const char *given, char **out);

#endif
