/* The trained tensors: what each one is, and where it stands in the one flat vector that holds all
 * parameters. Pure; not collective. */
#ifndef PULMO_LAYOUT_H
#define PULMO_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/weights.h"

#define PULMO_HIDDEN_MAX  8
#define PULMO_LINEARS_MAX (PULMO_HIDDEN_MAX + 1)
/* A weight and a bias of each of the head's linear layers and of each fine-tuned convolution. */
#define PULMO_TENSORS_MAX (2 * (PULMO_LINEARS_MAX + PULMO_CONVS_MAX))

typedef enum pulmo_tensor_kind {
    PULMO_CONV_WEIGHT,   /* (out, in * 9), torchvision's order */
    PULMO_CONV_BIAS,     /* (out, 1) */
    PULMO_LINEAR_WEIGHT, /* (out, in) */
    PULMO_LINEAR_BIAS    /* (out, 1) */
} pulmo_tensor_kind;

typedef struct pulmo_tensor {
    char name[32]; /* "classifier.0.weight": torchvision's numbering */
    pulmo_tensor_kind kind;
    int layer; /* counted from 0 at the input, convolutions and linear layers each by themselves */
    int rows, cols;
    size_t offset; /* of its first parameter; in floats */
} pulmo_tensor;

/* Tensors in the order of their offsets, without gaps. Starts as zeros. */
typedef struct pulmo_layout {
    int tensors;
    pulmo_tensor tensor[PULMO_TENSORS_MAX];
    size_t parameters;
} pulmo_layout;

bool pulmo_tensor_is_bias(const pulmo_tensor *tensor);
/* Parameters of a tensor. */
size_t pulmo_tensor_count(const pulmo_tensor *tensor);

/* The number of a tensor; it must be there. */
int pulmo_layout_find(const pulmo_layout *layout, pulmo_tensor_kind kind, int layer);
/* The tensor itself; it must be there. */
const pulmo_tensor *pulmo_layout_get(const pulmo_layout *layout, pulmo_tensor_kind kind, int layer);

#endif
