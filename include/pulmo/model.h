/* A trained model: its layers, class names and preprocessing, and the file that holds them. */
#ifndef PULMO_MODEL_H
#define PULMO_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/backbone.h"
#include "pulmo/framing.h"
#include "pulmo/head.h"
#include "pulmo/metrics.h"
#include "pulmo/status.h"
#include "pulmo/tuned.h"
#include "pulmo/weights.h"

struct pulmo_h5;

/* What told that a class is the finding. */
typedef enum pulmo_positive_by {
    PULMO_POSITIVE_GIVEN, /* model.positive_class */
    PULMO_POSITIVE_NAME,  /* the other class is called normal, negative, healthy, no finding */
    PULMO_POSITIVE_ORDER  /* nothing: it is the last one */
} pulmo_positive_by;

/* Of two classes the finding; index -1 where there are more. */
typedef struct pulmo_positive {
    int index;
    pulmo_positive_by by;
} pulmo_positive;

/* What model.h5 holds. */
typedef struct pulmo_model {
    pulmo_head_spec head;
    pulmo_layout layout; /* the head's */
    /* Fine-tuned convolutions; no layers where the head alone was trained. */
    pulmo_tuned_spec tuned;
    float *storage;    /* owned: the convolutions' parameters (pulmo_tuned_layout_of), then the
                          head's */
    float *parameters; /* the head's, in `storage`: (layout.parameters) */
    int size_px;
    pulmo_framing framing; /* of the images it was trained on: others are given the same */
    bool hides_names;      /* of a pack of pseudonyms: what is written with it names no files */
    float mean[3], std[3];
    int classes;
    char **class_names; /* owned: one block */
    pulmo_positive positive;
    char threshold_rule[64];
    double threshold;   /* two classes: the positive one is predicted from this probability on */
    double temperature; /* logits are divided by it; 1 unless fitted on val */
    int best_epoch;     /* counted from 1 */
    bool is_demo;       /* trained on drawn images */
    int tta;            /* views an image was validated in; 1: itself alone */
    char *config; /* owned: the run's configuration, from whose augment section views are drawn */
    char weights_digest[PULMO_DIGEST_HEX]; /* of the pretrained convolutions' values */
    char preprocessing[16]; /* as which the frozen weights are read: a pulmo_preprocessing's name */
} pulmo_model;

struct pulmo_h5;
/* The version of the arithmetic (PULMO_ARITHMETIC, _MIXED) as an attribute of a file's root, and
 * that of a file: 1 where it says none, as version 0.1.0's do. Not collective. */
pulmo_status pulmo_arithmetic_write(struct pulmo_h5 *file, int64_t arithmetic);
pulmo_status pulmo_arithmetic_read(struct pulmo_h5 *file, int64_t *out);

/* Reads model.h5. `run` is a run directory or a model file. PULMO_DATA for a file that is damaged.
 * Owned by the caller, who ends it with free. Not collective. */
pulmo_status pulmo_model_read(const char *run, pulmo_model *out);
/* Writes model.h5, whole or not at all. By one rank. Not collective. */
pulmo_status pulmo_model_write(const char *path, const pulmo_model *model);
void pulmo_model_free(pulmo_model *model);

/* Probabilities (n, classes) of logits (n, classes): softmax(logits / temperature). The two may be
 * one array. PULMO_DATA where a logit is not finite: it would become a class without a reason.
 * Pure.
 */
pulmo_status pulmo_model_probabilities(const pulmo_model *model, int n, const float *logits,
                                       float *probabilities);

/* The class that probabilities (classes) stand for, by pulmo_metrics_class at the model's
 * threshold. Pure. */
int pulmo_model_class(const pulmo_model *model, const float *probabilities);
pulmo_decision pulmo_model_decision(const pulmo_model *model);

/* The digest of all that was trained, as a run's last lines give it: hex (PULMO_DIGEST_HEX). Pure.
 */
void pulmo_model_head_digest(const pulmo_model *model, char *hex);

/* The finding as attributes of a file's root, beside its classes. A file of an earlier version has
 * none: the last class is the finding then, and where the names tell otherwise, that is said.
 * PULMO_DATA for a name that is not a class. */
pulmo_status pulmo_positive_write(struct pulmo_h5 *file, const pulmo_model *model);
pulmo_status pulmo_positive_read(struct pulmo_h5 *file, int classes, const char *const *names,
                                 pulmo_positive *out);

/* ---- the frozen weights of a trained model (model_weights.c): not collective ---- */

/* How they are to be read; the model's digest is all the proof that is asked for. `path` is kept.
 */
pulmo_weights_choice pulmo_model_weights_choice(const pulmo_model *model, const char *path);
/* Reads and checks them and applies the model to them. Owned by the caller, who ends them with
 * pulmo_weights_free. */
pulmo_status pulmo_model_weights_read(const pulmo_model *model, const char *run, const char *path,
                                      pulmo_weights *out);
/* PULMO_WEIGHTS unless the model was trained on this backbone's weights and takes its features. */
pulmo_status pulmo_model_check_backbone(const pulmo_model *model, const pulmo_backbone *backbone,
                                        const char *run);

#endif
