/* Augmentation: one inverse map sampled once; then what photometric.c does to the values. */
#include "pulmo/augment.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "photometric.h"

#define CROP_TRIES 10 /* torchvision's */

void pulmo_augment_spec_init(pulmo_augment_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    double *const factors[] = {spec->crop_scale, spec->crop_ratio, spec->brightness,
                               spec->contrast,   spec->gamma,      spec->sharpness,
                               spec->scale,      spec->strength};
    for (size_t f = 0; f < sizeof factors / sizeof factors[0]; f++)
        factors[f][0] = factors[f][1] = 1.0;
}

/* Comparisons are written so that a NaN fails them. */
static pulmo_status check_pair(const char *name, const double pair[2], double low, double high)
{
    if (pair[0] <= pair[1] && pair[0] >= low && pair[1] <= high)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "augment.%s: [%g, %g]: must be two numbers in order, from %g to %g", name,
                      pair[0], pair[1], low, high);
}

static pulmo_status check_value(const char *name, double value, double high)
{
    if (value >= 0 && value <= high)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG, "augment.%s: %g: must be from 0 to %g", name, value, high);
}

pulmo_status pulmo_augment_spec_check(const pulmo_augment_spec *spec)
{
    PULMO_TRY(check_pair("crop_scale", spec->crop_scale, 1e-4, 1));
    PULMO_TRY(check_pair("crop_ratio", spec->crop_ratio, 0.01, 100));
    PULMO_TRY(check_pair("scale", spec->scale, 0.1, 10));
    PULMO_TRY(check_pair("gamma", spec->gamma, 0.01, 100));
    PULMO_TRY(check_pair("brightness", spec->brightness, 0, 100));
    PULMO_TRY(check_pair("contrast", spec->contrast, 0, 100));
    PULMO_TRY(check_pair("sharpness", spec->sharpness, 0, 100));
    PULMO_TRY(check_pair("blur", spec->blur, 0, 10));
    PULMO_TRY(check_pair("strength", spec->strength, 0, 1));
    PULMO_TRY(check_value("equalize", spec->equalize, 1));
    PULMO_TRY(check_value("autocontrast", spec->autocontrast, 1));
    PULMO_TRY(check_value("noise", spec->noise, 1));
    PULMO_TRY(check_value("erasing", spec->erasing, 1));
    PULMO_TRY(check_value("hflip", spec->hflip, 1));
    PULMO_TRY(check_value("rotate_deg", spec->rotate_deg, 180));
    PULMO_TRY(check_value("translate", spec->translate[0], 1));
    PULMO_TRY(check_value("translate", spec->translate[1], 1));
    return PULMO_OK;
}

/* ---- drawing ---- */

static bool is_off(const double pair[2])
{
    return pair[0] == 1.0 && pair[1] == 1.0;
}

static double draw_from(pulmo_rng *rng, const double pair[2])
{
    return pulmo_rng_range(rng, pair[0], pair[1]);
}

/* A factor from a range, 1 where it is off: then nothing is drawn. */
static double draw_factor(pulmo_rng *rng, const double pair[2])
{
    return is_off(pair) ? 1.0 : draw_from(rng, pair);
}

static bool draw_chance(pulmo_rng *rng, double probability)
{
    return probability > 0 && (double)pulmo_rng_uniform(rng) < probability;
}

/* Rectangles: which part of the image's area they have, and the logarithm of their sides' ratio. */
typedef struct rectangles {
    const double *part;
    double log_ratio[2];
} rectangles;

/* Sides, px: `larger` grows with the ratio. */
static void draw_sides(pulmo_rng *rng, const rectangles *from, double area, int *larger,
                       int *smaller)
{
    double target = area * draw_from(rng, from->part);
    double ratio = exp(draw_from(rng, from->log_ratio));
    *larger = (int)rint(sqrt(target * ratio));
    *smaller = (int)rint(sqrt(target / ratio));
}

/* The first pixel of `length` in a side. */
static uint32_t draw_begin(pulmo_rng *rng, int side, int length)
{
    return pulmo_rng_below(rng, (uint32_t)(side - length + 1));
}

/* The whole image as far as the ratio allows, from its centre. */
static void crop_centre(const pulmo_augment_spec *spec, int height, int width,
                        pulmo_augment_draw *out)
{
    double ratio = (double)width / height;
    if (ratio < spec->crop_ratio[0])
        out->crop_height = rint(width / spec->crop_ratio[0]);
    else if (ratio > spec->crop_ratio[1])
        out->crop_width = rint(height * spec->crop_ratio[1]);
    out->crop_x = floor((width - out->crop_width) / 2);
    out->crop_y = floor((height - out->crop_height) / 2);
}

/* torchvision's RandomResizedCrop.get_params. */
static void draw_crop(const pulmo_augment_spec *spec, pulmo_rng *rng, int height, int width,
                      pulmo_augment_draw *out)
{
    const double area = (double)height * width;
    const rectangles crops = {.part = spec->crop_scale,
                              .log_ratio = {log(spec->crop_ratio[0]), log(spec->crop_ratio[1])}};
    for (int i = 0; i < CROP_TRIES; i++) {
        int w, h;
        draw_sides(rng, &crops, area, &w, &h);
        if (w <= 0 || w > width || h <= 0 || h > height)
            continue;
        out->crop_y = draw_begin(rng, height, h);
        out->crop_x = draw_begin(rng, width, w);
        out->crop_width = w;
        out->crop_height = h;
        return;
    }
    crop_centre(spec, height, width, out);
}

/* A shift of whole pixels, as torchvision's RandomAffine draws it; part of the side. */
static double draw_shift(pulmo_rng *rng, double most, int side)
{
    return rint(pulmo_rng_range(rng, -most * side, most * side)) / side;
}

/* torchvision's RandomErasing.get_params, of scale [0.02, 0.33] and ratio [0.3, 3.3]. */
static void draw_erasing(pulmo_rng *rng, int height, int width, pulmo_augment_draw *out)
{
    static const double part[2] = {0.02, 0.33};
    const double area = (double)height * width;
    const rectangles holes = {.part = part, .log_ratio = {log(0.3), log(3.3)}};
    for (int i = 0; i < CROP_TRIES; i++) {
        int h, w;
        draw_sides(rng, &holes, area, &h, &w);
        if (h < 1 || w < 1 || h >= height || w >= width)
            continue;
        out->erase_y = (int)draw_begin(rng, height, h);
        out->erase_x = (int)draw_begin(rng, width, w);
        out->erase_height = h;
        out->erase_width = w;
        return;
    }
}

/* About the middle, as torchvision's RandomAffine scales: a larger part of the source makes a
 * smaller image. */
static void scale_by(double factor, pulmo_augment_draw *out)
{
    double width = out->crop_width / factor, height = out->crop_height / factor;
    out->crop_x += (out->crop_width - width) / 2;
    out->crop_y += (out->crop_height - height) / 2;
    out->crop_width = width;
    out->crop_height = height;
}

/* What came later is drawn after what was there before, so that a seed keeps its meaning. */
static void draw_later_ones(const pulmo_augment_spec *spec, pulmo_rng *rng, int height, int width,
                            pulmo_augment_draw *out)
{
    out->equalize = draw_chance(rng, spec->equalize);
    out->autocontrast = draw_chance(rng, spec->autocontrast);
    out->sharpness = draw_factor(rng, spec->sharpness);
    if (spec->blur[1] > 0)
        out->blur = draw_from(rng, spec->blur);
    if (draw_chance(rng, spec->erasing))
        draw_erasing(rng, height, width, out);
    if (!is_off(spec->scale))
        scale_by(draw_from(rng, spec->scale), out);
    out->noise = spec->noise;
    if (spec->noise > 0)
        out->rng = *rng;
}

static void shrink(double pair[2], double strength)
{
    for (int i = 0; i < 2; i++)
        pair[i] = 1.0 + (pair[i] - 1.0) * strength;
}

static void shrink_ratio(double pair[2], double strength)
{
    for (int i = 0; i < 2; i++)
        pair[i] = exp(log(pair[i]) * strength);
}

/* The ranges of one image. Blur keeps its way to 0, which is none, as the others keep theirs to 1.
 */
static pulmo_augment_spec at_strength(const pulmo_augment_spec *spec, double strength)
{
    pulmo_augment_spec out = *spec;
    double geometry = spec->strength_of_light ? 1.0 : strength;
    shrink(out.crop_scale, geometry);
    shrink_ratio(out.crop_ratio, geometry);
    shrink(out.scale, geometry);
    shrink(out.brightness, strength);
    shrink(out.contrast, strength);
    shrink_ratio(out.gamma, strength);
    shrink(out.sharpness, strength);
    for (int i = 0; i < 2; i++) {
        out.translate[i] *= geometry;
        out.blur[i] *= strength;
    }
    out.rotate_deg *= geometry;
    out.equalize *= strength;
    out.autocontrast *= strength;
    out.noise *= strength;
    out.erasing *= strength;
    return out;
}

void pulmo_augment_draw_at(const pulmo_augment_spec *spec, uint64_t seed, uint64_t epoch,
                           uint64_t sample, int height_px, int width_px, pulmo_augment_draw *out)
{
    pulmo_rng rng;
    pulmo_augment_spec own;
    pulmo_rng_at(&rng, seed, PULMO_RNG_AUGMENT, epoch, sample);
    if (!is_off(spec->strength)) {
        own = at_strength(spec, draw_from(&rng, spec->strength));
        spec = &own;
    }
    memset(out, 0, sizeof *out);
    out->crop_width = width_px;
    out->crop_height = height_px;
    out->gamma = 1.0;
    if (!is_off(spec->crop_scale))
        draw_crop(spec, &rng, height_px, width_px, out);
    out->flip = draw_chance(&rng, spec->hflip);
    if (spec->rotate_deg > 0)
        out->angle_deg = pulmo_rng_range(&rng, -spec->rotate_deg, spec->rotate_deg);
    if (spec->translate[0] > 0)
        out->shift_x = draw_shift(&rng, spec->translate[0], width_px);
    if (spec->translate[1] > 0)
        out->shift_y = draw_shift(&rng, spec->translate[1], height_px);
    out->brightness = draw_factor(&rng, spec->brightness);
    out->contrast = draw_factor(&rng, spec->contrast);
    if (!is_off(spec->gamma)) {
        const double logs[2] = {log(spec->gamma[0]), log(spec->gamma[1])};
        out->gamma = exp(draw_from(&rng, logs));
    }
    draw_later_ones(spec, &rng, height_px, width_px, out);
}

/* ---- applying ---- */

/* Where in the source (pixel centres at whole numbers) an output pixel comes from:
 * u = u0 + ux x + uy y, v = v0 + vx x + vy y. */
typedef struct inverse_map {
    double u0, ux, uy, v0, vx, vy;
} inverse_map;

static inverse_map invert(const pulmo_augment_draw *d, int height, int width)
{
    const double pi = 3.14159265358979323846;
    const double angle = d->angle_deg * pi / 180.0, c = cos(angle), s = sin(angle);
    const double mirror = d->flip ? -1.0 : 1.0;
    double zoom_x = d->crop_width / width, zoom_y = d->crop_height / height;
    double cx = (width - 1) / 2.0, cy = (height - 1) / 2.0;
    /* Undo the shift, then the rotation (counter-clockwise on the screen, y pointing down), about
     * the centre; then the flip; then crop and resize. */
    double tx = -cx - d->shift_x * width, ty = -cy - d->shift_y * height;
    inverse_map map;
    map.ux = mirror * c * zoom_x;
    map.uy = -mirror * s * zoom_x;
    map.vx = s * zoom_y;
    map.vy = c * zoom_y;
    map.u0 = map.ux * tx + map.uy * ty + d->crop_x + (cx + 0.5) * zoom_x - 0.5;
    map.v0 = map.vx * tx + map.vy * ty + d->crop_y + (cy + 0.5) * zoom_y - 0.5;
    return map;
}

/* A coordinate up to half a pixel outside belongs to the edge pixel; further out is black. */
static inline bool settle(float *at, int side)
{
    if (!(*at > -0.5f - 1e-4f && *at < (float)side - 0.5f + 1e-4f))
        return false;
    if (*at < 0)
        *at = 0;
    if (*at > (float)(side - 1))
        *at = (float)(side - 1);
    return true;
}

/* Four neighbours of a place in the source, and how near it is to the right and lower ones. */
typedef struct corners {
    const uint8_t *at;
    size_t right, below;
    float a, b;
} corners;

static inline float blend(const corners *q, int c)
{
    const uint8_t *p = q->at + c;
    float top = (float)p[0] * (1.0f - q->a) + (float)p[q->right] * q->a;
    float bottom = (float)p[q->below] * (1.0f - q->a) + (float)p[q->below + q->right] * q->a;
    return top * (1.0f - q->b) + bottom * q->b;
}

/* (H, W, C) uint8 */
typedef struct source_image {
    const uint8_t *pixels;
    int height, width, channels;
} source_image;

static inline corners corners_at(const source_image *source, float u, float v)
{
    const int column = (int)u, row = (int)v;
    const size_t step = (size_t)source->channels, row_step = (size_t)source->width * step;
    corners q;
    q.at = source->pixels + (size_t)row * row_step + (size_t)column * step;
    q.right = column + 1 < source->width ? step : 0;
    q.below = row + 1 < source->height ? row_step : 0;
    q.a = u - (float)column;
    q.b = v - (float)row;
    return q;
}

/* Every channel of one place at once; planes are `plane` apart. */
static void sample_source(const inverse_map *map, const source_image *source, float *out)
{
    const int height = source->height, width = source->width, channels = source->channels;
    const size_t plane = (size_t)height * (size_t)width;
    for (int y = 0; y < height; y++) {
        double row_u = map->u0 + map->uy * y, row_v = map->v0 + map->vy * y;
        for (int x = 0; x < width; x++, out++) {
            float u = (float)(row_u + map->ux * x), v = (float)(row_v + map->vx * x);
            const bool inside = settle(&u, width) && settle(&v, height);
            if (!inside)
                u = v = 0;
            const corners q = corners_at(source, u, v);
            for (int c = 0; c < channels; c++)
                out[(size_t)c * plane] = inside ? blend(&q, c) : 0.0f;
        }
    }
}

static void plain_plane(const uint8_t *source, size_t pixels, int step, float *out)
{
    for (size_t i = 0; i < pixels; i++)
        out[i] = (float)source[i * (size_t)step];
}

static void plain_planes(const source_image *source, size_t pixels, float *out)
{
    for (int c = 0; c < source->channels; c++) {
        plain_plane(source->pixels + c, pixels, source->channels, out);
        out += pixels;
    }
}

/* Last plane first: a grey image's one plane is the first, and is needed until the end. */
static void normalise(float *values, int channels, size_t pixels, const float mean[3],
                      const float std[3])
{
    for (int c = 2; c >= 0; c--) {
        float *to = values + (size_t)c * pixels;
        const float *from = channels == 1 ? values : to;
        const float m = mean[c], s = std[c];
        for (size_t i = 0; i < pixels; i++)
            to[i] = (from[i] / 255.0f - m) / s;
    }
}

/* To 0 after normalisation, the mean of the images the network knows. */
static void erase(const pulmo_augment_draw *d, int width, size_t pixels, float *out)
{
    const size_t bytes = (size_t)d->erase_width * sizeof *out;
    float *corner = out + (ptrdiff_t)d->erase_y * width + d->erase_x;
    for (int c = 0; c < 3; c++) {
        for (int y = 0; y < d->erase_height; y++)
            memset(corner + (ptrdiff_t)y * width, 0, bytes);
        corner += pixels;
    }
}

pulmo_status pulmo_augment_apply(const pulmo_augment_draw *draw, const uint8_t *source,
                                 int height_px, int width_px, int channels, const float mean[3],
                                 const float std[3], float *out)
{
    const source_image image = {source, height_px, width_px, channels};
    const size_t pixels = (size_t)height_px * (size_t)width_px;
    if (draw) {
        inverse_map map = invert(draw, height_px, width_px);
        sample_source(&map, &image, out);
        if (!photometric_apply(draw, (planes){out, channels, height_px, width_px}))
            return pulmo_fail(PULMO_MEMORY, "out of memory augmenting an image");
    } else {
        plain_planes(&image, pixels, out);
    }
    normalise(out, channels, pixels, mean, std);
    if (draw && draw->erase_height > 0)
        erase(draw, width_px, pixels, out);
    return PULMO_OK;
}
