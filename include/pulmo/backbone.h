/* The frozen network, ready to run: one packed copy per node, the same file on all ranks. */
#ifndef PULMO_BACKBONE_H
#define PULMO_BACKBONE_H

#include "pulmo/digest.h"
#include "pulmo/dist.h"
#include "pulmo/head.h"
#include "pulmo/isa.h"
#include "pulmo/pool.h"
#include "pulmo/status.h"
#include "pulmo/tuned.h"
#include "pulmo/trunk.h"

/* The frozen part, one packed copy per node. */
typedef struct pulmo_backbone {
    pulmo_isa isa;    /* of this rank */
    char kernels[96]; /* those of all ranks: "avx512", "avx2 on 1 rank, avx512 on 3 ranks" */
    int threads;      /* compute threads of this rank */
    int channels, height, width; /* of the features */
    float mean[3], std[3];
    pulmo_preprocessing preprocessing;
    pulmo_digest weights_digest;        /* of their values, in whatever file they came */
    uint64_t packed_bytes, arena_bytes; /* packed is shared by the node's ranks */
    pulmo_pool *pool;
    pulmo_shared *shared;
    pulmo_trunk *trunk;     /* NULL where nothing is frozen: the features are then the images */
    pulmo_tuned_spec tuned; /* what stands between the features and the head; no layers where all
                               is frozen. Its `averaged` holds in both cases */
    pulmo_weights weights;  /* the pretrained convolutions, kept where some are fine-tuned */
} pulmo_backbone;

/* Blocks that are frozen; all of them. */
#define PULMO_FROZEN_ALL (-1)

/* Reads the weights, packs them once per node, and makes sure that all ranks have the same file.
 * Images are size_px x size_px. `threads` 0: the CPUs of the node
 * over its ranks. PULMO_MEMORY where the node cannot hold it. Owned by the caller, who ends it with
 * close; on failure there is nothing to close. Collective. */
pulmo_status pulmo_backbone_open(pulmo_comm *comm, const pulmo_weights_choice *choice, int size_px,
                                 int threads, pulmo_backbone *out);
typedef struct pulmo_backbone_cut {
    int frozen_blocks; /* or PULMO_FROZEN_ALL */
    /* Blocks whose averaged outputs are the head's features (pulmo_trunk_spec); the last alone
     * stands for none, so that the head does its own pooling. */
    pulmo_block_set averaged;
} pulmo_backbone_cut;
/* The same, ending after the frozen blocks: what is above is described by `tuned`. PULMO_CONFIG
 * where the averaged blocks do not end with the last one, or where one ends below the cut, whose
 * output is then not there. Collective. */
pulmo_status pulmo_backbone_open_cut(pulmo_comm *comm, const pulmo_weights_choice *choice,
                                     int size_px, int threads, const pulmo_backbone_cut *cut,
                                     pulmo_backbone *out);
struct pulmo_model;
/* The same, all of it, with the convolutions that `model` trained in place of the pretrained ones:
 * the network as it was trained, at the frozen network's speed. Collective. */
pulmo_status pulmo_backbone_open_trained(pulmo_comm *comm, const pulmo_weights_choice *choice,
                                         const struct pulmo_model *model, int threads,
                                         pulmo_backbone *out);
/* Values of one image's features: channels * height * width. Not collective. */
size_t pulmo_backbone_floats(const pulmo_backbone *backbone);
/* images (n, 3, H, W) normalised to features (n, channels, height, width). Not collective. */
void pulmo_backbone_features(const pulmo_backbone *backbone, int n, const float *images,
                             float *features);
void pulmo_backbone_close(pulmo_backbone *backbone); /* Collective. */

/* The compute threads of this rank: `asked`, or, for 0, the CPUs of the node over its ranks (those
 * it is bound to where ranks are bound). Collective. */
pulmo_status pulmo_backbone_threads(pulmo_comm *comm, int asked, int *out);

#endif
