/* Inside the features room: images of a split in stored order, as both the bank and the feature
 * store read them. */
#ifndef PULMO_FEATURES_IMAGES_H
#define PULMO_FEATURES_IMAGES_H

#include "pulmo/augment.h"
#include "pulmo/backbone.h"
#include "pulmo/dataset.h"
#include "pulmo/views.h"

#define IMAGE_CHUNK 16 /* images read at once, at most */

/* Which augmentations: with `averaged`, its view `number`; else those of fresh training's epoch
 * `number` with this seed. */
typedef struct image_view {
    const pulmo_view_spec *averaged;
    const pulmo_augment_spec *augment;
    uint64_t seed;
    uint32_t number;
} image_view;

typedef struct image_reader image_reader;
/* Both are kept. Owned by the caller. Not collective. */
pulmo_status image_reader_create(pulmo_dataset *dataset, const pulmo_backbone *backbone,
                                 image_reader **out);
void image_reader_destroy(image_reader *reader);
/* images (count, 3, H, W), normalised; borrowed until the next call. `view` NULL: not augmented. */
pulmo_status image_reader_read(image_reader *reader, const image_view *view, uint32_t first,
                               uint32_t count, const float **images);

#endif
