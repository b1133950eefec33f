/* Inside the data room: what augmentation does to values, on planes (channels, H, W) of 0 to 255.
 */
#ifndef PULMO_PHOTOMETRIC_H
#define PULMO_PHOTOMETRIC_H

#include "pulmo/augment.h"

typedef struct planes {
    float *values;
    int channels, height, width;
} planes;

/* Everything that was drawn but erasing, in the order of augment.h. False when out of memory. */
bool photometric_apply(const pulmo_augment_draw *draw, planes image);

#endif
