/* Augmentation: one inverse map sampled once; then what photometric.c does to the values. */
#include "pulmo/augment.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "photometric.h"

#define CROP_TRIES 10 /* torchvision's */

void pulmo_augment_spec_init(pulmo_augment_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    for (int i = 0; i < 2; i++)
        spec->crop_scale[i] = spec->crop_ratio[i] = spec->brightness[i] = spec->contrast[i] =
            spec->gamma[i] = spec->sharpness[i] = spec->scale[i] = spec->strength[i] = 1.0;
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

/* torchvision's RandomResizedCrop.get_params. */
static void draw_crop(const pulmo_augment_spec *spec, pulmo_rng *rng, int height, int width,
                      pulmo_augment_draw *out)
{
    double area = (double)height * width;
    double low = log(spec->crop_ratio[0]), high = log(spec->crop_ratio[1]);
    for (int i = 0; i < CROP_TRIES; i++) {
        double target = area * pulmo_rng_range(rng, spec->crop_scale[0], spec->crop_scale[1]);
        double aspect = exp(pulmo_rng_range(rng, low, high));
        int w = (int)rint(sqrt(target * aspect)), h = (int)rint(sqrt(target / aspect));
        if (w <= 0 || w > width || h <= 0 || h > height)
            continue;
        out->crop_y = pulmo_rng_below(rng, (uint32_t)(height - h + 1));
        out->crop_x = pulmo_rng_below(rng, (uint32_t)(width - w + 1));
        out->crop_width = w;
        out->crop_height = h;
        return;
    }
    /* The whole image as far as the ratio allows, from its centre. */
    double ratio = (double)width / height;
    if (ratio < spec->crop_ratio[0])
        out->crop_height = rint(width / spec->crop_ratio[0]);
    else if (ratio > spec->crop_ratio[1])
        out->crop_width = rint(height * spec->crop_ratio[1]);
    out->crop_x = floor((width - out->crop_width) / 2);
    out->crop_y = floor((height - out->crop_height) / 2);
}

/* A shift of whole pixels, as torchvision's RandomAffine draws it; part of the side. */
static double draw_shift(pulmo_rng *rng, double most, int side)
{
    return rint(pulmo_rng_range(rng, -most * side, most * side)) / side;
}

/* torchvision's RandomErasing.get_params, of scale [0.02, 0.33] and ratio [0.3, 3.3]. */
static void draw_erasing(pulmo_rng *rng, int height, int width, pulmo_augment_draw *out)
{
    double area = (double)height * width;
    for (int i = 0; i < CROP_TRIES; i++) {
        double target = area * pulmo_rng_range(rng, 0.02, 0.33),
               aspect = exp(pulmo_rng_range(rng, log(0.3), log(3.3)));
        int h = (int)rint(sqrt(target * aspect)), w = (int)rint(sqrt(target / aspect));
        if (h < 1 || w < 1 || h >= height || w >= width)
            continue;
        out->erase_y = (int)pulmo_rng_below(rng, (uint32_t)(height - h + 1));
        out->erase_x = (int)pulmo_rng_below(rng, (uint32_t)(width - w + 1));
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
    if (spec->equalize > 0)
        out->equalize = (double)pulmo_rng_uniform(rng) < spec->equalize;
    if (spec->autocontrast > 0)
        out->autocontrast = (double)pulmo_rng_uniform(rng) < spec->autocontrast;
    if (!is_off(spec->sharpness))
        out->sharpness = pulmo_rng_range(rng, spec->sharpness[0], spec->sharpness[1]);
    if (spec->blur[1] > 0)
        out->blur = pulmo_rng_range(rng, spec->blur[0], spec->blur[1]);
    if (spec->erasing > 0 && (double)pulmo_rng_uniform(rng) < spec->erasing)
        draw_erasing(rng, height, width, out);
    if (!is_off(spec->scale))
        scale_by(pulmo_rng_range(rng, spec->scale[0], spec->scale[1]), out);
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
        own = at_strength(spec, pulmo_rng_range(&rng, spec->strength[0], spec->strength[1]));
        spec = &own;
    }
    memset(out, 0, sizeof *out);
    out->crop_width = width_px;
    out->crop_height = height_px;
    out->brightness = out->contrast = out->gamma = out->sharpness = 1.0;
    if (!is_off(spec->crop_scale))
        draw_crop(spec, &rng, height_px, width_px, out);
    if (spec->hflip > 0)
        out->flip = (double)pulmo_rng_uniform(&rng) < spec->hflip;
    if (spec->rotate_deg > 0)
        out->angle_deg = pulmo_rng_range(&rng, -spec->rotate_deg, spec->rotate_deg);
    if (spec->translate[0] > 0)
        out->shift_x = draw_shift(&rng, spec->translate[0], width_px);
    if (spec->translate[1] > 0)
        out->shift_y = draw_shift(&rng, spec->translate[1], height_px);
    if (!is_off(spec->brightness))
        out->brightness = pulmo_rng_range(&rng, spec->brightness[0], spec->brightness[1]);
    if (!is_off(spec->contrast))
        out->contrast = pulmo_rng_range(&rng, spec->contrast[0], spec->contrast[1]);
    if (!is_off(spec->gamma))
        out->gamma = exp(pulmo_rng_range(&rng, log(spec->gamma[0]), log(spec->gamma[1])));
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
    double angle = d->angle_deg * pi / 180.0, c = cos(angle), s = sin(angle);
    double cx = (width - 1) / 2.0, cy = (height - 1) / 2.0;
    double zoom_x = d->crop_width / width, zoom_y = d->crop_height / height,
           mirror = d->flip ? -1.0 : 1.0;
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

/* Every channel of one place at once; planes are `plane` apart. */
static void sample(const inverse_map *map, const uint8_t *source, int height, int width,
                   int channels, float *out)
{
    size_t plane = (size_t)height * (size_t)width, step = (size_t)channels;
    for (int y = 0; y < height; y++) {
        double row_u = map->u0 + map->uy * y, row_v = map->v0 + map->vy * y;
        for (int x = 0; x < width; x++, out++) {
            float u = (float)(row_u + map->ux * x), v = (float)(row_v + map->vx * x);
            bool inside = settle(&u, width) && settle(&v, height);
            int i = inside ? (int)u : 0, j = inside ? (int)v : 0;
            corners q = {.at = source + ((size_t)j * (size_t)width + (size_t)i) * step,
                         .right = i + 1 < width ? step : 0,
                         .below = j + 1 < height ? (size_t)width * step : 0,
                         .a = u - (float)i,
                         .b = v - (float)j};
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

/* To 0 after normalisation, the mean of the images the network knows. */
static void erase(const pulmo_augment_draw *d, int width, size_t pixels, float *out)
{
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < d->erase_height; y++) {
            float *row = out + (size_t)c * pixels + (size_t)(d->erase_y + y) * (size_t)width +
                         (size_t)d->erase_x;
            memset(row, 0, (size_t)d->erase_width * sizeof *row);
        }
}

pulmo_status pulmo_augment_apply(const pulmo_augment_draw *draw, const uint8_t *source,
                                 int height_px, int width_px, int channels, const float mean[3],
                                 const float std[3], float *out)
{
    size_t pixels = (size_t)height_px * (size_t)width_px;
    if (draw) {
        inverse_map map = invert(draw, height_px, width_px);
        sample(&map, source, height_px, width_px, channels, out);
        if (!photometric_apply(draw, (planes){out, channels, height_px, width_px}))
            return pulmo_fail(PULMO_MEMORY, "out of memory augmenting an image");
    } else {
        for (int c = 0; c < channels; c++)
            plain_plane(source + c, pixels, channels, out + (size_t)c * pixels);
    }
    /* Last plane first: a grey image's one plane is the first, and is needed until the end. */
    for (int c = 2; c >= 0; c--) {
        const float *from = out + (channels == 1 ? 0 : (size_t)c * pixels);
        float *to = out + (size_t)c * pixels, m = mean[c], s = std[c];
        for (size_t i = 0; i < pixels; i++)
            to[i] = (from[i] / 255.0f - m) / s;
    }
    if (draw && draw->erase_height > 0)
        erase(draw, width_px, pixels, out);
    return PULMO_OK;
}
