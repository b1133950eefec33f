/* A model ready to run: frozen trunk, head parameters, preprocessing, class names. */
#ifndef PULMO_NETWORK_H
#define PULMO_NETWORK_H

#include "pulmo/digest.h"
#include "pulmo/dist.h"
#include "pulmo/head.h"
#include "pulmo/isa.h"
#include "pulmo/pool.h"
#include "pulmo/status.h"
#include "pulmo/trunk.h"

/* The frozen part, one packed copy a node. */
typedef struct pulmo_backbone {
    pulmo_isa isa;
    const char *blas;  /* OpenBLAS's kernel set */
    int threads;       /* compute threads of this rank */
    int channels, height, width; /* of the features */
    float mean[3], std[3];
    pulmo_preprocessing preprocessing;
    pulmo_digest weights_digest;      /* of their values, in whatever file they came */
    pulmo_digest weights_file_digest; /* of that file */
    uint64_t packed_bytes, arena_bytes; /* packed is shared by the node's ranks */
    pulmo_pool *pool;
    pulmo_shared *shared;
    pulmo_trunk *trunk;
} pulmo_backbone;

/* Reads the weights, packs them once a node, and
 * makes sure that all ranks have the same file, ISA tier and OpenBLAS kernels. Images are
 * size_px x size_px. `threads` 0: the CPUs of the node over its ranks. Collective.
 * `out` is owned by the caller, who ends it with close; on failure there is nothing to close. */
pulmo_status pulmo_backbone_open(pulmo_comm *comm, const pulmo_weights_choice *choice, int size_px, int threads,
                                 pulmo_backbone *out);
void pulmo_backbone_close(pulmo_backbone *backbone); /* Collective. */

/* What model.h5 holds. */
typedef struct pulmo_model {
    pulmo_head_spec head;
    pulmo_head_layout layout;
    float *parameters; /* (layout.parameters), owned */
    int size_px;
    float mean[3], std[3];
    int classes;
    char **class_names;   /* owned: one block */
    char threshold_rule[64];
    double threshold;     /* two classes: class 1 is predicted from this probability on */
    double temperature;   /* logits are divided by it; 1 unless fitted on val */
    int best_epoch;       /* counted from 1 */
    int is_demo;
    char weights_digest[PULMO_DIGEST_HEX];
    char isa[16];
    char preprocessing[16]; /* as which the frozen weights are read: a pulmo_preprocessing's name */
} pulmo_model;

/* `run` is a run directory or a model file. Not collective. Freed by pulmo_model_free. */
pulmo_status pulmo_model_read(const char *run, pulmo_model *out);
pulmo_status pulmo_model_write(const char *path, const pulmo_model *model);
void pulmo_model_free(pulmo_model *model);

/* Probabilities (n, classes) of logits (n, classes): softmax(logits / temperature). The two may be one array. */
void pulmo_model_probabilities(const pulmo_model *model, int n, const float *logits, float *probabilities);

/* The class that probabilities (classes) stand for: with two, the threshold decides; else the largest. */
int pulmo_model_class(const pulmo_model *model, const float *probabilities);

#endif
