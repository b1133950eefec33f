/* What training does to an image, different for every (seed, epoch, sample). Not collective. */
#ifndef PULMO_AUGMENT_H
#define PULMO_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/rng.h"
#include "pulmo/status.h"

/* Parameter names and meanings are torchvision's. A pair with equal ends, or 0, is "off". */
typedef struct pulmo_augment_spec {
    double crop_scale[2]; /* RandomResizedCrop.scale: part of the area, (0, 1]; [1, 1] off */
    double crop_ratio[2]; /* RandomResizedCrop.ratio: width / height */
    double hflip;         /* RandomHorizontalFlip.p */
    double rotate_deg;    /* RandomRotation(+-degrees) */
    double translate[2];  /* RandomAffine.translate: part of width, of height */
    double scale[2]; /* RandomAffine.scale: factor range, [1, 1] off; below 1 the image is smaller,
                        with black around it */
    double brightness[2]; /* ColorJitter: factor range, [1, 1] off */
    double contrast[2];
    double gamma[2];     /* adjust_gamma: exponent range, drawn log-uniformly */
    double equalize;     /* RandomEqualize.p */
    double autocontrast; /* RandomAutocontrast.p */
    double sharpness[2]; /* adjust_sharpness: factor range, [1, 1] off; 0 is smooth, 2 twice as
                            sharp */
    double blur[2];      /* GaussianBlur.sigma range, px; [0, 0] off */
    double noise;        /* GaussianNoise.sigma, part of the full scale */
    double erasing;      /* RandomErasing.p, with its defaults of scale and ratio */
    /* Each image is augmented at a strength drawn from this range: at 1 as said above, at 0 not at
     * all but flipped, between them with every range and probability (hflip excepted) shrunk to
     * that part. [1, 1] off. */
    double strength[2];
    bool strength_of_light; /* strength is of light, focus and noise alone: crops, rotation, shift
                              and scale keep their ranges */
} pulmo_augment_spec;

/* Everything off. */
void pulmo_augment_spec_init(pulmo_augment_spec *spec);
/* Refuses (PULMO_CONFIG) ranges that make no sense. */
pulmo_status pulmo_augment_spec_check(const pulmo_augment_spec *spec);

/* What was drawn for one image. */
typedef struct pulmo_augment_draw {
    double crop_x, crop_y; /* part of the source, px; with scale below 1 it may reach beyond it */
    double crop_width, crop_height;
    bool flip;
    double angle_deg, shift_x, shift_y; /* shift as part of width, height */
    double brightness, contrast, gamma;
    bool equalize, autocontrast;
    double sharpness, blur, noise;
    int erase_x, erase_y, erase_width, erase_height; /* px; a height of 0 erases nothing */
    pulmo_rng rng;                                   /* where noise is looked up */
} pulmo_augment_draw;

void pulmo_augment_draw_at(const pulmo_augment_spec *spec, uint64_t seed, uint64_t epoch,
                           uint64_t sample, int height_px, int width_px, pulmo_augment_draw *out);

/* The geometric operations are composed into one inverse map (crop-resize, then flip, rotation,
 * translation, scale; outside the source is black) and sampled once, bilinear: a crop is never
 * larger than the image it fills, so nothing shrinks and no filter is needed (scale below 1 shrinks
 * without one, as torchvision's does); then equalize (on whole levels), autocontrast, brightness,
 * contrast, gamma, sharpness, blur, noise on [0, 1], each clamped to it; then (x - mean) / std per
 * channel; then erasing, to 0. source (H, W, C) uint8 with C 1 or 3; out (3, H, W) float32 (grey is
 * repeated). `draw` NULL means none: only scaled to [0, 1] and normalised, which is what validation
 * and test see. The same bits for the same arguments on every machine of a tier. Fails only when
 * out of memory, and never without a draw. */
pulmo_status pulmo_augment_apply(const pulmo_augment_draw *draw, const uint8_t *source,
                                 int height_px, int width_px, int channels, const float mean[3],
                                 const float std[3], float *out);

#endif
