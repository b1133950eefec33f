/* Inside the image room: where a decoder's rows go. They are resized as they come, so that no image
 * stands whole in memory, except where it must be turned or its borders be found first. */
#ifndef PULMO_IMAGE_SINK_H
#define PULMO_IMAGE_SINK_H

#include <stdbool.h>

#include "frame.h"
#include "resize.h"

#include "pulmo/image.h"

typedef struct image_sink {
    pulmo_decode_spec spec;
    int orientation; /* EXIF's */
    bool streams;    /* rows go to `resize` as they come, not to `whole` */
    resizer resize;
    image_window window; /* of the image, that is resized as it comes */
    image_window place;  /* of the resized image in what is wanted */
    pulmo_image whole;   /* while rows stream only its shape */
    uint8_t *aside;      /* (width, channels): a row of which a part is wanted, or nothing */
    int rows;            /* taken so far */
} image_sink;

/* For rows of `width_px` pixels of `channels` bytes. Owned by the caller, ended by sink_end or
 * sink_free; one that is all zero may be freed. Errors: PULMO_MEMORY. */
pulmo_status sink_begin(image_sink *sink, const pulmo_decode_spec *spec, int height_px,
                        int width_px, int channels, int orientation);
/* Where the next row is to be written, (width, channels); then sink_took. */
uint8_t *sink_row(image_sink *sink);
void sink_took(image_sink *sink);
/* When all rows have been taken. Frees in every case; `out` is owned by the caller. */
pulmo_status sink_end(image_sink *sink, pulmo_image *out);
void sink_free(image_sink *sink);

#endif
