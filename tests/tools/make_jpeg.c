/* make_jpeg IN OUT grey|rgb|colour HEIGHT WIDTH FRAME
 *
 * Draws the JPEG IN anew, as a JPEG of HEIGHT x WIDTH px: of one channel; of the same stored as
 * three equal ones, which decodes to the same pixels; or tinted. FRAME px around it are white and
 * black, half and half. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/image.h"

static pulmo_status read_grey(const char *path, int height, int width, pulmo_image *out)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    pulmo_decode_spec spec;
    pulmo_decode_spec_init(&spec);
    spec.height_px = height;
    spec.width_px = width;
    PULMO_TRY(pulmo_file_read(path, (size_t)1 << 26, &data, &bytes));
    pulmo_status status = pulmo_image_decode(data, bytes, &spec, out, NULL);
    free(data);
    if (status == PULMO_OK && out->channels != 1)
        return pulmo_fail(PULMO_DATA, "%s: is not grey", path);
    return status;
}

static void draw_frame(pulmo_image *image, int frame)
{
    for (int y = 0; y < image->height_px; y++)
        for (int x = 0; x < image->width_px; x++) {
            int from_bottom = image->height_px - 1 - y, from_right = image->width_px - 1 - x;
            int near_x = x < from_right ? x : from_right;
            int near_y = y < from_bottom ? y : from_bottom;
            int depth = near_x < near_y ? near_x : near_y;
            size_t at = (size_t)y * (size_t)image->width_px + (size_t)x;
            if (depth < frame)
                image->pixels[at] = depth < frame / 2 ? 255 : 0;
        }
}

static void make_three(pulmo_image *image, bool tinted)
{
    size_t count = (size_t)image->height_px * (size_t)image->width_px;
    uint8_t *three = malloc(3 * count);
    if (!three)
        exit(1);
    for (size_t i = 0; i < count; i++) {
        memset(three + 3 * i, image->pixels[i], 3);
        if (tinted)
            three[3 * i] = (uint8_t)(255 - image->pixels[i] / 2);
    }
    free(image->pixels);
    image->pixels = three;
    image->channels = 3;
}

int main(int argc, char **argv)
{
    pulmo_image image = {0};
    if (argc != 7)
        return 2;
    if (read_grey(argv[1], atoi(argv[4]), atoi(argv[5]), &image) != PULMO_OK) {
        fprintf(stderr, "%s\n", pulmo_error());
        return 1;
    }
    draw_frame(&image, atoi(argv[6]));
    if (strcmp(argv[3], "grey") != 0)
        make_three(&image, strcmp(argv[3], "colour") == 0);
    pulmo_status status = pulmo_jpeg_write(argv[2], &image, 95);
    pulmo_image_free(&image);
    return status == PULMO_OK ? 0 : 1;
}
