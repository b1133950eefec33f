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

/* Images [first, first + count) in views from `view` on: each chunk in all of them, then the next.
 */
typedef struct image_span {
    image_view view;
    uint32_t views; /* view.number, view.number + 1 ... */
    uint32_t first, count;
} image_span;

typedef struct image_chunk {
    uint32_t view, first, count; /* count 0: the span is done */
    const float *images;         /* (count, 3, H, W), normalised; borrowed until the next call */
} image_chunk;

typedef struct image_reader image_reader;
/* Both are kept. Owned by the caller. Not collective. */
pulmo_status image_reader_create(pulmo_dataset *dataset, const pulmo_backbone *backbone,
                                 image_reader **out);
void image_reader_destroy(image_reader *reader);
/* Begins a span; what its view leads to is kept until the next one begins. Its chunks are read and
 * augmented while the caller works on the one before. */
void image_reader_begin(image_reader *reader, const image_span *span);
/* The span's next chunk. A failure is that of its first image that has one. */
pulmo_status image_reader_next(image_reader *reader, image_chunk *out);

#endif
