/* The frozen convolutions: images in, features out. Not collective.
 *
 * The bits of an image's features depend on the image, the weights and the ISA tier alone:
 * not on the batch it is in, its place there, the number of threads, or the rank. */
#ifndef PULMO_TRUNK_H
#define PULMO_TRUNK_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/isa.h"
#include "pulmo/pool.h"
#include "pulmo/status.h"
#include "pulmo/weights.h"

typedef struct pulmo_trunk pulmo_trunk;

typedef struct pulmo_trunk_spec {
    int height_px, width_px; /* of the input images; at least 32 */
    int blocks;              /* how many blocks (ending in a max-pool) to evaluate; 0 means all */
    /* Leaves out the max-pool of the last block evaluated, so that the features are what its last
     * convolution gives after ReLU: (512, 14, 14) for VGG16 at 224 x 224, which Grad-CAM looks at.
     * Their 2 x 2 maxima are the usual features, bit for bit. Packed weights serve both. */
    bool keep_last_resolution;
    /* Blocks whose outputs, after their max-pools, are averaged over their cells: the features are
     * these averages, the channels of all blocks in block order, (C, 1, 1). The last block
     * evaluated must be among them; with keep_last_resolution its output stands behind the others'
     * averages as it is. None (default): the features are the last block's output. */
    pulmo_block_set averaged;
    pulmo_isa isa;
    /* The first convolution that was trained (tuned.h), counted from 0; PULMO_CONVS_MAX (default):
     * none. From it on, filters are transformed and the first layer is computed as in training, so
     * that features are bit for bit what pulmo_tuned_forward gives. */
    int fine_tuned_from;
    int batch; /* images computed at once, at most; sets the size of the arena; default 16 */
} pulmo_trunk_spec;

void pulmo_trunk_spec_init(pulmo_trunk_spec *spec);

/* Bytes of the packed (transformed) weights: the same for equal spec and weights, 64-aligned. */
size_t pulmo_trunk_packed_bytes(const pulmo_trunk_spec *spec, const pulmo_weights *weights);

/* Fills `packed`, PULMO_ALIGN-aligned and of that many bytes; position independent, so that one
 * copy in shared memory serves all processes of a node. Cannot fail. */
void pulmo_trunk_pack(const pulmo_trunk_spec *spec, const pulmo_weights *weights, pulmo_pool *pool,
                      void *packed);

/* `packed` and `pool` are kept: they must outlive the trunk. `weights` is borrowed for the call
 * (shapes only). With packed == NULL the trunk packs into memory of its own.
 * Owned by the caller. */
pulmo_status pulmo_trunk_create(const pulmo_trunk_spec *spec, const pulmo_weights *weights,
                                const void *packed, pulmo_pool *pool, pulmo_trunk **out);
void pulmo_trunk_destroy(pulmo_trunk *trunk); /* NULL is a no-op */

/* Bytes of the arena that create would allocate, for the memory plan before a run. */
size_t pulmo_trunk_arena_bytes(const pulmo_trunk_spec *spec, const pulmo_weights *weights,
                               int threads);

/* Shape (C, H, W) of one image's features; with keep_last_resolution, of the last block's. */
void pulmo_trunk_shape(const pulmo_trunk *trunk, int *channels, int *height, int *width);
/* Averages that stand before the last block's output, with keep_last_resolution; else 0. */
int pulmo_trunk_averages_below(const pulmo_trunk *trunk);

/* images (n, 3, H, W) float32, normalised; features (n, C, h, w) float32, torchvision's order.
 * Any n >= 0; more than spec.batch are computed in parts. Cannot fail. */
void pulmo_trunk_forward(pulmo_trunk *trunk, int n, const float *images, float *features);

/* Seconds and floating-point operations per layer since measuring began, for `pulmo bench conv`.
 * A layer is a convolution with its ReLU and pool. */
typedef struct pulmo_trunk_layer_time {
    char name[16];         /* "conv1_1" ... */
    char method[24];       /* "direct", "F(6x6,3x3)" ... */
    double seconds;        /* wall time, all threads together */
    double gemm_thread_s;  /* thread-seconds in the GEMM (or direct) stage; 0 if not measured */
    double total_thread_s; /* thread-seconds in all stages; 0 if not measured */
    double gemm_flop;      /* operations done in the GEMM stage */
    double direct_flop;    /* operations a direct convolution would have done */
} pulmo_trunk_layer_time;

/* Turns measuring on or off (off after create) and clears the sums. */
void pulmo_trunk_measure(pulmo_trunk *trunk, bool on);
/* The rate of fused multiply-adds of one thread now, in FLOP/s, by the tier's own vectors: what the
 * GEMM stage is compared with. Takes about `seconds`. */
double pulmo_trunk_peak(pulmo_isa isa, double seconds);
/* Fills up to `max` entries; returns the number of layers. */
int pulmo_trunk_times(const pulmo_trunk *trunk, pulmo_trunk_layer_time *out, int max);

#endif
