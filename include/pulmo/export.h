/* A model for other programs. */
#ifndef PULMO_EXPORT_H
#define PULMO_EXPORT_H

#include <stdbool.h>
#include "pulmo/status.h"

typedef struct pulmo_export_options {
    const char *run;
    const char *weights;     /* "" for the usual places */
    const char *out;         /* the file */
    bool safetensors;        /* else ONNX */
    bool with_normalization; /* ONNX: the input is RGB in [0, 1] and normalised by the graph */
} pulmo_export_options;

/* Convolutions and head in one file for other programs; what it holds is drawn in export_onnx.c and
 * export_safetensors.c. The file appears whole or not at all. Not collective. */
pulmo_status pulmo_export(const pulmo_export_options *options);

#endif
