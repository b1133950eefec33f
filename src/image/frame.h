/* Inside the image room: which part of an image is wanted, and where it goes. A line is a row or a
 * column. All integers: the same windows on every machine. */
#ifndef PULMO_IMAGE_FRAME_H
#define PULMO_IMAGE_FRAME_H

#include "pulmo/image.h"

/* A rectangle of an image, px. */
typedef struct image_window {
    int top, left, height, width;
} image_window;

/* The largest part of a window that has the aspect of (height, width), in the middle; of an odd
 * number of lines that are cut, the one more is cut at the bottom or on the right. */
image_window frame_crop(image_window of, int height, int width);

/* Where in (height, width) an image goes that keeps its aspect: as large as fits, its other side
 * rounded to the nearest (halves up), in the middle; of an odd number of black lines, the one more
 * is at the bottom or on the right. */
image_window frame_pad(image_window of, int height, int width);

/* The image without its frame, by the rule in pulmo/image.h. */
image_window frame_border(const pulmo_image *image);

/* The window of an image as the spec wants it: cut, resized and padded by its fit. `out` is owned
 * by the caller, and empty after a failure. Errors: PULMO_MEMORY. */
pulmo_status frame_apply(const pulmo_image *image, image_window window,
                         const pulmo_decode_spec *spec, pulmo_image *out);

/* Replaces an image by one of (height, width), black around it; it stands at the window, which is
 * of its size. On failure (PULMO_MEMORY) the image is empty. */
pulmo_status frame_surround(pulmo_image *image, image_window window, int height, int width);

#endif
