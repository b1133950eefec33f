/* Images: what is common to all that make or change them. */
#include "pulmo/image.h"

#include <stdlib.h>
#include <string.h>

void pulmo_image_free(pulmo_image *image)
{
    free(image->pixels);
    memset(image, 0, sizeof *image);
}

static bool is_grey(const pulmo_image *image, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *rgb = image->pixels + 3 * i;
        if (rgb[0] != rgb[1] || rgb[1] != rgb[2])
            return false;
    }
    return true;
}

bool pulmo_image_collapse_grey(pulmo_image *image)
{
    size_t count = (size_t)image->height_px * (size_t)image->width_px;
    if (image->channels == 1)
        return true;
    if (!is_grey(image, count))
        return false;
    for (size_t i = 0; i < count; i++)
        image->pixels[i] = image->pixels[3 * i];
    image->channels = 1;
    return true;
}
