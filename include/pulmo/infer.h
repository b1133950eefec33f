/* What a trained model makes of images: evaluate, predict, explain, preview. */
#ifndef PULMO_INFER_H
#define PULMO_INFER_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/status.h"

typedef struct pulmo_evaluate_options {
    const char *const
        *runs; /* run directories or model files; of several, the probabilities are averaged */
    int run_count;
    const char *data;               /* packed directory */
    const char *split;              /* "test" */
    const char *weights;            /* "" for the usual places */
    const char *out;                /* directory for results.h5 and predictions.csv, or NULL */
    int threads;                    /* 0: the CPUs given */
    const pulmo_settings *settings; /* NULL, or what to do unlike the model: eval.threshold (a
                                       number), eval.tta, augment (of the views) */
    const char *by;     /* columns that images are grouped by (pulmo/groups.h), or NULL */
    bool audit;         /* for shortcuts, where the first run has cue models */
    bool recalibrate;   /* also shows what probabilities fitted to these images would give */
    bool allow_overlap; /* with images that the runs were made of: above 1 % of them is PULMO_DATA
                           else */
} pulmo_evaluate_options;

/* Metrics of a trained model on a packed split, printed on stdout by rank 0. Collective. */
pulmo_status pulmo_evaluate(pulmo_comm *comm, const pulmo_evaluate_options *options);

typedef struct pulmo_predict_options {
    const char *run;
    const char *weights;
    const char *const *inputs; /* files, directories, or "-" for a list of paths on stdin */
    int input_count;
    bool json; /* else CSV */
    int threads;
    int64_t pixels_max;             /* images of more are not read: pack.pixels_max */
    const pulmo_settings *settings; /* as in evaluate */
} pulmo_predict_options;

/* One line an image on stdout, in the order given. A file that cannot be read is reported on
 * stderr and the rest done; the status is then PULMO_DATA. Not collective: one process. */
pulmo_status pulmo_predict(pulmo_comm *comm, const pulmo_predict_options *options);

typedef struct pulmo_explain_options {
    const char *run;
    const char *weights;       /* "" for the usual places */
    const char *out;           /* directory for the overlays and maps.h5 */
    const char *class_name;    /* NULL: of each image the class that the model predicts */
    const char *const *inputs; /* as in predict */
    int input_count;
    int threads;
    int64_t pixels_max; /* as in predict */
} pulmo_explain_options;

/* Grad-CAM of each image: an overlay PNG and a map in maps.h5; one CSV line an image on stdout. Bad
 * files are as in predict. pulmo/explain.h has the same as a library call. Not collective. */
pulmo_status pulmo_explain(const pulmo_explain_options *options);

typedef struct pulmo_preview_options {
    const char *data;  /* packed directory */
    const char *split; /* "train" */
    const char *out;   /* the PNG */
    int rows, views;   /* images, taken from the classes in turn; augmented views of each */
    const pulmo_config *config; /* augmentation and train.seed; kept for the call */
} pulmo_preview_options;

/* A contact sheet: a row an image, first as it is packed, then as training sees it in its first
 * epochs, to the very crop and turn. The same arguments, the same bytes. Not collective. */
pulmo_status pulmo_preview(const pulmo_preview_options *options);

#endif
