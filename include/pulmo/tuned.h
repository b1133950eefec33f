/* The fine-tuned convolutions: from the cut, where the frozen trunk ends, to the head's features.
 *
 *   cut features (C, h, w) - [3x3 convolution - ReLU - max-pool at the end of a block]* - features
 *
 * Forward, the gradient by the data and the gradient by the weights are all Winograd
 * F(m x m, 3x3), m by block (docs/decisions/0002-winograd.md).
 * Each layer is computed for all of a batch's images before the next. Backward goes from the last
 * layer down, and each layer's gradients can be bounded, computed and sent before those of the
 * layer below are begun.
 *
 * The gradient by a layer's weights is a sum over units (a fixed number of tiles of a microbatch).
 * A unit gives the same bits wherever it runs; the caller sums them exactly. All other numbers of
 * an image depend on the image and the parameters alone. Not collective. */
#ifndef PULMO_TUNED_H
#define PULMO_TUNED_H

#include <stdint.h>

#include "pulmo/head.h"
#include "pulmo/isa.h"
#include "pulmo/pool.h"
#include "pulmo/status.h"
#include "pulmo/weights.h"

typedef struct pulmo_tuned_spec {
    /* Of one image's features at the cut; channels 3: the normalised image itself. */
    int channels, height, width;
    int frozen_blocks; /* below the cut */
    int layers;        /* 0: nothing is trained below the head */
    struct {
        int in_channels, out_channels, feature_index;
        int block; /* from 1, counted from the image */
        bool pool_after;
    } layer[PULMO_CONVS_MAX];
    /* Blocks whose outputs are averaged over their cells: the head's features are these averages,
     * (C, 1, 1), as in pulmo_trunk_spec. The lowest may be the one that ends at the cut. */
    pulmo_block_set averaged;
    pulmo_isa isa;
} pulmo_tuned_spec;

/* The convolutions above `frozen_blocks` blocks of a network that takes size_px x size_px images.
 * PULMO_CONFIG where frozen_blocks >= 0 and no block is left above them; PULMO_DATA where images
 * are too small for the max-pools. */
pulmo_status pulmo_tuned_spec_of(const pulmo_weights *weights, int frozen_blocks, int size_px,
                                 pulmo_isa isa, pulmo_tuned_spec *out);
/* Shape of one image's output. */
void pulmo_tuned_shape(const pulmo_tuned_spec *spec, int *channels, int *height, int *width);

/* Convolutions 0, 1, 2 ... from the cut up, under torchvision's names: "features.24", ... */
void pulmo_tuned_layout_of(const pulmo_tuned_spec *spec, pulmo_layout *out);
/* The tensors of both in one vector: the convolutions', then the head's. */
void pulmo_tuned_layout_with_head(const pulmo_tuned_spec *spec, const pulmo_head_spec *head,
                                  pulmo_layout *out);
/* Parameters of the convolutions: where the head's begin in that vector. */
size_t pulmo_tuned_parameters(const pulmo_tuned_spec *spec);
/* The pretrained values: where training starts. */
void pulmo_tuned_parameters_init(const pulmo_tuned_spec *spec, const pulmo_weights *weights,
                                 float *parameters);
/* Points the convolutions above the cut at trained parameters (kept), so that whatever uses
 * `weights` (the trunk, an export) uses the network as trained. */
void pulmo_tuned_apply(const pulmo_tuned_spec *spec, const float *parameters,
                       pulmo_weights *weights);

typedef struct pulmo_tuned pulmo_tuned;

/* Holds up to `images` images, in microbatches of `microbatch`. Parameters are given by
 * pulmo_tuned_use. `pool` is kept: it must outlive the object. Owned by the caller. */
pulmo_status pulmo_tuned_create(const pulmo_tuned_spec *spec, pulmo_pool *pool, int microbatch,
                                int images, pulmo_tuned **out);
void pulmo_tuned_destroy(pulmo_tuned *tuned); /* NULL is a no-op */
/* Bytes that create would allocate. */
uint64_t pulmo_tuned_bytes(const pulmo_tuned_spec *spec, int microbatch, int images, int threads);

/* Transforms the filters of these parameters (borrowed for the call). To be called after every
 * change of them. */
void pulmo_tuned_use(pulmo_tuned *tuned, const float *parameters);

/* From the features at the cut (n, C, h, w) to the head's (n, C', h', w'), torchvision's order; n
 * is at most `images`. What backward needs is kept until the next forward. */
void pulmo_tuned_forward(pulmo_tuned *tuned, int n, const float *cut, float *features);

/* ---- backward: begin, then for each layer from the last down: bounds, gradients, below ---- */

/* gradient (n, C', h', w') of the loss by the features of the last forward's images; kept until
 * the last layer is done. An output that feeds the layer above and the head, too (`averaged`), gets
 * the gradient by the layer above, and then the head's on top. */
void pulmo_tuned_backward(pulmo_tuned *tuned, const float *gradient);
/* Bounds: no sum of a microbatch's units (for the bias: of its images) is larger in magnitude, in
 * any microbatch. Infinite where a value is NaN or infinite. */
void pulmo_tuned_bounds(pulmo_tuned *tuned, int layer, double *weight, double *bias);
/* One image's gradient by the layer's bias, (O); valid from bounds to below. */
const float *pulmo_tuned_bias_gradient(const pulmo_tuned *tuned, int image);

/* Part of a unit's gradient by a layer's weights: for output row + r, tap t (0..8) and input col +
 * c, r < rows, c < cols, values[(r * 9 + t) * stride + c]. Borrowed for the call. */
typedef struct pulmo_tuned_part {
    int layer, unit, row, rows, col, cols, stride;
    const float *values;
} pulmo_tuned_part;
typedef void (*pulmo_tuned_sink)(void *context, const pulmo_tuned_part *part);
/* Calls the sink once for every part of every unit, from several threads, in any order. */
void pulmo_tuned_gradients(pulmo_tuned *tuned, int layer, pulmo_tuned_sink sink, void *context);
/* Goes down to the layer below (layer > 0). */
void pulmo_tuned_below(pulmo_tuned *tuned, int layer);

#endif
