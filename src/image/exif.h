/* Inside the image room: the one thing that pulmo reads from EXIF, which way up an image is. */
#ifndef PULMO_IMAGE_EXIF_H
#define PULMO_IMAGE_EXIF_H

#include <stddef.h>
#include <stdint.h>

#include "pulmo/image.h"

/* The orientation (1 to 8) that an APP1 segment states; 1 (upright) where it states none or makes
 * no sense. Reads nothing beyond `size` bytes. */
int exif_orientation(const uint8_t *data, size_t size);
/* The same of what follows "Exif\0\0" there, which is all that PNG's eXIf holds. */
int exif_tiff_orientation(const uint8_t *tiff, size_t length);

/* Turns and mirrors the image so that it is upright; its pixels are replaced. On failure
 * (PULMO_MEMORY) the image is as it was. */
pulmo_status exif_turn(pulmo_image *image, int orientation);

#endif
