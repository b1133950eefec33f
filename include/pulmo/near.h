/* Images that look alike, found by small sketches of them. Pure. */
#ifndef PULMO_NEAR_H
#define PULMO_NEAR_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/packed.h"
#include "pulmo/status.h"

/* The image's low frequencies, without its brightness and contrast: 8 x 8 of a cosine transform of
 * its 16 x 16 cell means, scaled to a length of about 200. The first is not 0 where
 * the image has contrast enough to be compared at all. */
void pulmo_sketch_make(const uint8_t *pixels, int height_px, int width_px, int channels,
                       int8_t out[PULMO_SKETCH_BYTES]);

/* Called for pairs a < b; returns false to hear of no further b for this a. */
typedef bool (*pulmo_near_visit)(void *context, uint32_t a, uint32_t b);
/* All pairs of `count` sketches, the first of them among the first `queries`, whose squared
 * distance is at most `distance2`, by a k-d tree (Bentley 1975). In order of a; of b unspecified,
 * but always the same. */
pulmo_status pulmo_near_pairs(const int8_t (*sketches)[PULMO_SKETCH_BYTES], uint32_t count,
                              uint32_t queries, int distance2, pulmo_near_visit visit,
                              void *context);

#endif
