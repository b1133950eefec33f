/* Where a model looks: Grad-CAM at the last convolution, for any class. Not collective.
 *
 * Source: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra, "Grad-CAM: Visual Explanations from
 * Deep Networks via Gradient-based Localization", ICCV 2017, equations 1 and 2. With A (C, h, w)
 * the activations of the last convolution after its ReLU and before its max-pool, and y the logit
 * of the class: alpha_k = 1/(h w) sum_ij dy/dA_kij, map = ReLU(sum_k alpha_k A_k). Dropout is off.
 *
 * For overlays of a few images of a packed data set:
 *
 *     pulmo_explainer *explainer = NULL;
 *     PULMO_GOTO(pulmo_explainer_open(&model, weights_path, threads, &explainer));
 *     for (each image) {
 *         pulmo_explanation map;
 *         pulmo_image image = {height_px, width_px, channels, pixels}, overlay;
 *         PULMO_GOTO(pulmo_explain_map(explainer, &image, -1, &map));
 *         status = pulmo_explain_overlay(&image, &map, &overlay);          -> RGB, the image's size
 *         if (status == PULMO_OK) status = pulmo_png_encode(&overlay, &png, &png_bytes);
 *         pulmo_image_free(&overlay);
 *         pulmo_explanation_free(&map);
 *     }
 *     pulmo_explainer_close(explainer);
 */
#ifndef PULMO_EXPLAIN_H
#define PULMO_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "pulmo/image.h"
#include "pulmo/model.h"
#include "pulmo/status.h"

typedef struct pulmo_explainer pulmo_explainer;

/* Reads the frozen weights (`weights` "" or NULL looks in the usual places) and makes a trunk of
 * its own: about 300 MB until close. PULMO_WEIGHTS unless the model was trained on these weights.
 * `model` is kept; with its `tta`, probabilities are of all views, maps of the image itself.
 * `threads` 0: the CPUs given. Owned by the caller. */
pulmo_status pulmo_explainer_open(const pulmo_model *model, const char *weights, int threads,
                                  pulmo_explainer **out);
void pulmo_explainer_close(pulmo_explainer *explainer); /* NULL is a no-op */

typedef struct pulmo_explanation {
    int class_index;   /* that the map is for */
    int predicted;     /* that the model predicts */
    int height, width; /* of the map: (14, 14) for images of 224 px */
    float *map;     /* (height, width) in [0, 1]: divided by its largest value; zeros where nothing
                       speaks for the class */
    double largest; /* that value, in logits */
    float *probabilities; /* (classes) */
} pulmo_explanation;

/* `image` is grey or RGB, framed as the model takes it (decoded by its framing, or packed): of
 * another size than the model's it is squashed to that.
 * `class_index` in [0, classes) or -1, the predicted one. What `out` holds is owned by the
 * caller, who frees it with pulmo_explanation_free. Not for several threads at once on one
 * explainer. */
pulmo_status pulmo_explain_map(pulmo_explainer *explainer, const pulmo_image *image,
                               int class_index, pulmo_explanation *out);
void pulmo_explanation_free(pulmo_explanation *explanation);

/* The map, bilinearly enlarged (PyTorch's interpolate, align_corners false), in colour over the
 * image in grey: RGB of the image's size; where the map is 0 the image is left as it is. Lightness
 * of the colours grows evenly (in OKLab) from dark violet to pale yellow. Owned by the caller. */
pulmo_status pulmo_explain_overlay(const pulmo_image *image, const pulmo_explanation *explanation,
                                   pulmo_image *out);

/* Grey or RGB as a PNG in memory, without time stamps: equal images give equal bytes.
 * `data` is owned by the caller (free). PULMO_MEMORY, PULMO_RUNTIME in libpng's words. */
pulmo_status pulmo_png_encode(const pulmo_image *image, uint8_t **data, size_t *size_bytes);

#endif
