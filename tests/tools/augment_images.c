/* augment_images apply H W KEY=VALUE...: one grey image (H, W) of bytes from stdin, as pulmo
 * augments it with just these parameters, to stdout: (H, W) float32 on [0, 1]. Keys: crop=Y,X,H,W
 * flip angle shift=X,Y (of the side) brightness contrast gamma equalize autocontrast sharpness
 * blur, and scale, of the whole image, which comes first: it sets all others back. augment_images
 * draw H W COUNT: parameters drawn with the ranges that bench/augment.py names, a line each: crop
 * y, x, height, width, flip, angle, shift x, y, brightness, erased y, x, height, width. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/augment.h"

/* What is drawn when a scale is all there is to draw. */
static int scale(double factor, int height, int width, pulmo_augment_draw *d)
{
    pulmo_augment_spec spec;
    pulmo_augment_spec_init(&spec);
    spec.scale[0] = spec.scale[1] = factor;
    pulmo_augment_draw_at(&spec, 0, 0, 0, height, width, d);
    return pulmo_augment_spec_check(&spec) == PULMO_OK;
}

/* "KEY=0" or "KEY=1" */
static int set_flag(const char *text, const char *key, bool *flag)
{
    size_t length = strlen(key);
    if (strncmp(text, key, length) != 0)
        return 0;
    *flag = atoi(text + length) != 0;
    return 1;
}

static int set(pulmo_augment_draw *d, const char *text)
{
    const struct {
        const char *key;
        double *to;
    } keys[] = {{"angle=", &d->angle_deg},     {"brightness=", &d->brightness},
                {"contrast=", &d->contrast},   {"gamma=", &d->gamma},
                {"sharpness=", &d->sharpness}, {"blur=", &d->blur}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strncmp(text, keys[i].key, strlen(keys[i].key)) == 0) {
            *keys[i].to = strtod(text + strlen(keys[i].key), NULL);
            return 1;
        }
    return sscanf(text, "crop=%lf,%lf,%lf,%lf", &d->crop_y, &d->crop_x, &d->crop_height,
                  &d->crop_width) == 4 ||
           sscanf(text, "shift=%lf,%lf", &d->shift_x, &d->shift_y) == 2 ||
           set_flag(text, "flip=", &d->flip) || set_flag(text, "equalize=", &d->equalize) ||
           set_flag(text, "autocontrast=", &d->autocontrast);
}

static int apply(int height, int width, int count, char **keys)
{
    static const float none[3], one[3] = {1, 1, 1};
    size_t pixels = (size_t)height * (size_t)width;
    pulmo_augment_draw draw = {.crop_width = width,
                               .crop_height = height,
                               .brightness = 1,
                               .contrast = 1,
                               .gamma = 1,
                               .sharpness = 1};
    for (int i = 0; i < count; i++)
        if (strncmp(keys[i], "scale=", 6) == 0
                ? !scale(strtod(keys[i] + 6, NULL), height, width, &draw)
                : !set(&draw, keys[i]))
            return 2;
    uint8_t *source = malloc(pixels);
    float *out = malloc(3 * pixels * sizeof *out);
    int done = source && out && fread(source, 1, pixels, stdin) == pixels &&
               pulmo_augment_apply(&draw, source, height, width, 1, none, one, out) == PULMO_OK &&
               fwrite(out, sizeof *out, pixels, stdout) == pixels;
    free(source);
    free(out);
    return done ? 0 : 1;
}

static int draw(int height, int width, long count)
{
    pulmo_augment_spec spec;
    pulmo_augment_spec_init(&spec);
    spec.crop_scale[0] = 0.08;
    spec.crop_ratio[0] = 0.75;
    spec.crop_ratio[1] = 4.0 / 3.0;
    spec.hflip = 0.5;
    spec.rotate_deg = 15;
    spec.translate[0] = 0.1;
    spec.translate[1] = 0.05;
    spec.brightness[0] = 0.6;
    spec.brightness[1] = 1.4;
    spec.erasing = 1;
    for (long i = 0; i < count; i++) {
        pulmo_augment_draw d;
        pulmo_augment_draw_at(&spec, 0, 0, (uint64_t)i, height, width, &d);
        printf("%.9g %.9g %.9g %.9g %d %.9g %.9g %.9g %.9g %d %d %d %d\n", d.crop_y, d.crop_x,
               d.crop_height, d.crop_width, d.flip, d.angle_deg, d.shift_x, d.shift_y, d.brightness,
               d.erase_y, d.erase_x, d.erase_height, d.erase_width);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    int height = atoi(argv[2]), width = atoi(argv[3]);
    if (height < 1 || width < 1 || height > 4096 || width > 4096)
        return 2;
    if (strcmp(argv[1], "apply") == 0)
        return apply(height, width, argc - 4, argv + 4);
    return strcmp(argv[1], "draw") == 0 && argc == 5 ? draw(height, width, atol(argv[4])) : 2;
}
