/* A model ready to run: frozen trunk, head parameters, preprocessing, class names. */
#ifndef PULMO_NETWORK_H
#define PULMO_NETWORK_H

#include "pulmo/digest.h"
#include "pulmo/dist.h"
#include "pulmo/head.h"
#include "pulmo/isa.h"
#include "pulmo/pool.h"
#include "pulmo/status.h"
#include "pulmo/tuned.h"
#include "pulmo/trunk.h"

/* The frozen part, one packed copy a node. */
typedef struct pulmo_backbone {
    pulmo_isa isa;
    const char *blas;            /* OpenBLAS's kernel set */
    int threads;                 /* compute threads of this rank */
    int channels, height, width; /* of the features */
    float mean[3], std[3];
    pulmo_preprocessing preprocessing;
    pulmo_digest weights_digest;        /* of their values, in whatever file they came */
    uint64_t packed_bytes, arena_bytes; /* packed is shared by the node's ranks */
    pulmo_pool *pool;
    pulmo_shared *shared;
    pulmo_trunk *trunk; /* NULL where nothing is frozen: the features are then the images */
    pulmo_tuned_spec
        tuned; /* what stands between the features and the head; no layers where all is frozen */
    pulmo_weights weights; /* the pretrained convolutions, kept where there is a tuned */
} pulmo_backbone;

/* Blocks that are frozen; all of them. */
#define PULMO_FROZEN_ALL (-1)

/* Reads the weights, packs them once a node, and
 * makes sure that all ranks have the same file, ISA tier and OpenBLAS kernels. Images are
 * size_px x size_px. `threads` 0: the CPUs of the node over its ranks. Collective.
 * `out` is owned by the caller, who ends it with close; on failure there is nothing to close. */
pulmo_status pulmo_backbone_open(pulmo_comm *comm, const pulmo_weights_choice *choice, int size_px,
                                 int threads, pulmo_backbone *out);
/* The same, ending after `frozen_blocks` blocks: what is above is described by `tuned`. Collective.
 */
pulmo_status pulmo_backbone_open_cut(pulmo_comm *comm, const pulmo_weights_choice *choice,
                                     int size_px, int threads, int frozen_blocks,
                                     pulmo_backbone *out);
struct pulmo_model;
/* The same, all of it, with the convolutions that `model` trained in place of the pretrained ones:
 * the network as it was trained, at the frozen network's speed. Collective. */
pulmo_status pulmo_backbone_open_trained(pulmo_comm *comm, const pulmo_weights_choice *choice,
                                         const struct pulmo_model *model, int threads,
                                         pulmo_backbone *out);
/* images (n, 3, H, W) normalised to features (n, channels, height, width). Not collective. */
void pulmo_backbone_features(const pulmo_backbone *backbone, int n, const float *images,
                             float *features);
void pulmo_backbone_close(pulmo_backbone *backbone); /* Collective. */

/* The compute threads of this rank: `asked`, or, for 0, the CPUs of the node over its ranks (those
 * it is bound to where ranks are bound). Collective. */
pulmo_status pulmo_backbone_threads(pulmo_comm *comm, int asked, int *out);

/* What model.h5 holds. */
typedef struct pulmo_model {
    pulmo_head_spec head;
    pulmo_head_layout layout; /* the head's */
    pulmo_tuned_spec
        tuned; /* the trained convolutions; no layers where the head alone was trained */
    float
        *storage; /* owned: the convolutions' parameters (pulmo_tuned_layout_of), then the head's */
    float *parameters; /* the head's, in there: (layout.parameters) */
    int size_px;
    float mean[3], std[3];
    int classes;
    char **class_names; /* owned: one block */
    char threshold_rule[64];
    double threshold;   /* two classes: class 1 is predicted from this probability on */
    double temperature; /* logits are divided by it; 1 unless fitted on val */
    int best_epoch;     /* counted from 1 */
    int is_demo;
    int tta;      /* views an image was validated in; 1: itself alone */
    char *config; /* the run's configuration, from whose augment section views are drawn; owned */
    char weights_digest[PULMO_DIGEST_HEX];
    char isa[16];
    char preprocessing[16]; /* as which the frozen weights are read: a pulmo_preprocessing's name */
} pulmo_model;

/* Makes `weights` the network as trained: its convolutions above the cut become the model's (kept:
 * the model must outlive their use), in torchvision's order. Nothing changes for a model of the
 * head alone. For whatever works on weights (a trunk, an export, an explanation). PULMO_WEIGHTS if
 * the shapes differ. Not collective. */
pulmo_status pulmo_model_apply(const pulmo_model *model, pulmo_weights *weights);

/* `run` is a run directory or a model file. Not collective. Freed by pulmo_model_free. */
pulmo_status pulmo_model_read(const char *run, pulmo_model *out);
pulmo_status pulmo_model_write(const char *path, const pulmo_model *model);
void pulmo_model_free(pulmo_model *model);

/* Probabilities (n, classes) of logits (n, classes): softmax(logits / temperature). The two may be
 * one array. */
void pulmo_model_probabilities(const pulmo_model *model, int n, const float *logits,
                               float *probabilities);

/* The class that probabilities (classes) stand for: with two, the threshold decides; else the
 * largest. */
int pulmo_model_class(const pulmo_model *model, const float *probabilities);

#endif
