/* Augmentation: one inverse map sampled once; then what photometric.c does to the values. */
#include "pulmo/augment.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "photometric.h"
#include "pulmo/elementary.h"

#define CROP_TRIES 10 /* torchvision's */

/* A range of factors that changes nothing. */
static void switch_off(double pair[2])
{
    pair[0] = 1.0;
    pair[1] = 1.0;
}

void pulmo_augment_spec_init(pulmo_augment_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    double *const factors[] = {spec->crop_scale, spec->crop_ratio, spec->brightness,
                               spec->contrast,   spec->gamma,      spec->sharpness,
                               spec->scale,      spec->strength};
    const size_t count = sizeof factors / sizeof factors[0];
    for (size_t f = 0; f < count; f++)
        switch_off(factors[f]);
}

/* What a field of the specification, of one number or two, may hold. */
typedef struct limits {
    const char *name;
    size_t offset; /* of the field, bytes */
    double low, high;
} limits;

#define FIELD(name) #name, offsetof(pulmo_augment_spec, name)

static const limits pair_limits[] = {
    {FIELD(crop_scale), 1e-4, 1}, {FIELD(crop_ratio), 0.01, 100}, {FIELD(scale), 0.1, 10},
    {FIELD(gamma), 0.01, 100},    {FIELD(brightness), 0, 100},    {FIELD(contrast), 0, 100},
    {FIELD(sharpness), 0, 100},   {FIELD(blur), 0, 10},           {FIELD(strength), 0, 1},
};

static const limits value_limits[] = {
    {FIELD(equalize), 0, 1},
    {FIELD(autocontrast), 0, 1},
    {FIELD(noise), 0, 1},
    {FIELD(erasing), 0, 1},
    {FIELD(hflip), 0, 1},
    {FIELD(rotate_deg), 0, 180},
    {"translate", offsetof(pulmo_augment_spec, translate[0]), 0, 1},
    {"translate", offsetof(pulmo_augment_spec, translate[1]), 0, 1},
};

static const double *field_of(const pulmo_augment_spec *spec, const limits *limit)
{
    const void *field = (const char *)spec + limit->offset;
    return field;
}

/* Comparisons are written so that a NaN fails them. */
static pulmo_status check_pair(const pulmo_augment_spec *spec, const limits *limit)
{
    const double low = limit->low;
    const double high = limit->high;
    const double *pair = field_of(spec, limit);
    const double first = pair[0];
    const double second = pair[1];
    const bool within = first >= low && second <= high;
    if (first <= second && within)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "augment.%s: [%g, %g]: must be two numbers in order, from %g to %g",
                      limit->name, first, second, low, high);
}

static pulmo_status check_value(const pulmo_augment_spec *spec, const limits *limit)
{
    const double value = *field_of(spec, limit);
    if (value >= limit->low && value <= limit->high)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG, "augment.%s: %g: must be from %g to %g", limit->name, value,
                      limit->low, limit->high);
}

pulmo_status pulmo_augment_spec_check(const pulmo_augment_spec *spec)
{
    const size_t pairs = sizeof pair_limits / sizeof pair_limits[0];
    const size_t values = sizeof value_limits / sizeof value_limits[0];
    for (size_t i = 0; i < pairs; i++)
        PULMO_TRY(check_pair(spec, &pair_limits[i]));
    for (size_t i = 0; i < values; i++)
        PULMO_TRY(check_value(spec, &value_limits[i]));
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
    if (is_off(pair))
        return 1.0;
    return draw_from(rng, pair);
}

static bool draw_chance(pulmo_rng *rng, double probability)
{
    if (!(probability > 0))
        return false;
    const double drawn = (double)pulmo_rng_uniform(rng);
    return drawn < probability;
}

/* Rectangles: which part of the image's area they have, and the logarithm of their sides' ratio. */
typedef struct rectangles {
    const double *part;
    double log_ratio[2];
} rectangles;

static rectangles rectangles_of(const double part[2], const double ratio[2])
{
    rectangles out;
    out.part = part;
    out.log_ratio[0] = pulmo_log(ratio[0]);
    out.log_ratio[1] = pulmo_log(ratio[1]);
    return out;
}

static int rounded(double value)
{
    return (int)rint(value);
}

/* Sides, px: `larger` grows with the ratio. */
static void draw_sides(pulmo_rng *rng, const rectangles *from, double area, int *larger,
                       int *smaller)
{
    const double target = area * draw_from(rng, from->part);
    const double log_ratio = draw_from(rng, from->log_ratio);
    const double ratio = pulmo_exp(log_ratio);
    *larger = rounded(sqrt(target * ratio));
    *smaller = rounded(sqrt(target / ratio));
}

/* The first pixel of `length` in a side. */
static uint32_t draw_begin(pulmo_rng *rng, int side, int length)
{
    const int places = side - length + 1;
    return pulmo_rng_below(rng, (uint32_t)places);
}

/* The whole image as far as the ratio allows, from its centre. */
static void crop_centre(const pulmo_augment_spec *spec, int height, int width,
                        pulmo_augment_draw *out)
{
    const double ratio = (double)width / height;
    const double narrowest = spec->crop_ratio[0];
    const double widest = spec->crop_ratio[1];
    if (ratio < narrowest)
        out->crop_height = rint(width / narrowest);
    else if (ratio > widest)
        out->crop_width = rint(height * widest);
    const double rest_x = width - out->crop_width;
    const double rest_y = height - out->crop_height;
    out->crop_x = floor(rest_x / 2);
    out->crop_y = floor(rest_y / 2);
}

/* torchvision's RandomResizedCrop.get_params. */
static void draw_crop(const pulmo_augment_spec *spec, pulmo_rng *rng, int height, int width,
                      pulmo_augment_draw *out)
{
    const double area = (double)height * width;
    const rectangles crops = rectangles_of(spec->crop_scale, spec->crop_ratio);
    for (int i = 0; i < CROP_TRIES; i++) {
        int w;
        int h;
        draw_sides(rng, &crops, area, &w, &h);
        const bool empty = w <= 0 || h <= 0;
        const bool fits = w <= width && h <= height;
        if (empty || !fits)
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
    const double most_px = most * side;
    const double shift_px = pulmo_rng_range(rng, -most_px, most_px);
    return rint(shift_px) / side;
}

/* torchvision's RandomErasing.get_params, of scale [0.02, 0.33] and ratio [0.3, 3.3]. */
static void draw_erasing(pulmo_rng *rng, int height, int width, pulmo_augment_draw *out)
{
    static const double part[2] = {0.02, 0.33};
    const double area = (double)height * width;
    const rectangles holes = {.part = part, .log_ratio = {pulmo_log(0.3), pulmo_log(3.3)}};
    for (int i = 0; i < CROP_TRIES; i++) {
        int h;
        int w;
        draw_sides(rng, &holes, area, &h, &w);
        const bool empty = h < 1 || w < 1;
        const bool fits = h < height && w < width;
        if (empty || !fits)
            continue;
        const uint32_t y = draw_begin(rng, height, h);
        const uint32_t x = draw_begin(rng, width, w);
        out->erase_y = (int)y;
        out->erase_x = (int)x;
        out->erase_height = h;
        out->erase_width = w;
        return;
    }
}

/* About the middle, as torchvision's RandomAffine scales: a larger part of the source makes a
 * smaller image. */
static void scale_by(double factor, pulmo_augment_draw *out)
{
    const double width = out->crop_width / factor;
    const double height = out->crop_height / factor;
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
    for (int i = 0; i < 2; i++) {
        const double above_one = pair[i] - 1.0;
        pair[i] = 1.0 + above_one * strength;
    }
}

static void shrink_ratio(double pair[2], double strength)
{
    for (int i = 0; i < 2; i++) {
        const double logarithm = pulmo_log(pair[i]);
        pair[i] = pulmo_exp(logarithm * strength);
    }
}

/* The ranges of one image. Blur keeps its way to 0, which is none, as the others keep theirs to 1.
 */
static pulmo_augment_spec at_strength(const pulmo_augment_spec *spec, double strength)
{
    pulmo_augment_spec out = *spec;
    double geometry = strength;
    if (spec->strength_of_light)
        geometry = 1.0;
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

/* The image as it is. */
static pulmo_augment_draw unchanged(int height_px, int width_px)
{
    pulmo_augment_draw out;
    memset(&out, 0, sizeof out);
    out.crop_width = width_px;
    out.crop_height = height_px;
    out.gamma = 1.0;
    return out;
}

static void draw_rotation(const pulmo_augment_spec *spec, pulmo_rng *rng, int height, int width,
                          pulmo_augment_draw *out)
{
    const double most_deg = spec->rotate_deg;
    const double most_x = spec->translate[0];
    const double most_y = spec->translate[1];
    if (most_deg > 0)
        out->angle_deg = pulmo_rng_range(rng, -most_deg, most_deg);
    if (most_x > 0)
        out->shift_x = draw_shift(rng, most_x, width);
    if (most_y > 0)
        out->shift_y = draw_shift(rng, most_y, height);
}

/* Evenly in the logarithm, so that 1/2 is as likely as 2. */
static double draw_gamma(pulmo_rng *rng, const double pair[2])
{
    if (is_off(pair))
        return 1.0;
    const double logs[2] = {pulmo_log(pair[0]), pulmo_log(pair[1])};
    const double logarithm = draw_from(rng, logs);
    return pulmo_exp(logarithm);
}

void pulmo_augment_draw_at(const pulmo_augment_spec *spec, uint64_t seed, uint64_t epoch,
                           uint64_t sample, int height_px, int width_px, pulmo_augment_draw *out)
{
    pulmo_rng rng;
    pulmo_augment_spec own;
    pulmo_rng_at(&rng, seed, PULMO_RNG_AUGMENT, epoch, sample);
    if (!is_off(spec->strength)) {
        const double strength = draw_from(&rng, spec->strength);
        own = at_strength(spec, strength);
        spec = &own;
    }
    *out = unchanged(height_px, width_px);
    if (!is_off(spec->crop_scale))
        draw_crop(spec, &rng, height_px, width_px, out);
    out->flip = draw_chance(&rng, spec->hflip);
    draw_rotation(spec, &rng, height_px, width_px, out);
    out->brightness = draw_factor(&rng, spec->brightness);
    out->contrast = draw_factor(&rng, spec->contrast);
    out->gamma = draw_gamma(&rng, spec->gamma);
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
    const double angle = d->angle_deg * pi / 180.0;
    const double c = pulmo_cos(angle);
    const double s = pulmo_sin(angle);
    const double mirror = d->flip ? -1.0 : 1.0;
    const double zoom_x = d->crop_width / width;
    const double zoom_y = d->crop_height / height;
    const double cx = (width - 1) / 2.0;
    const double cy = (height - 1) / 2.0;
    /* Undo the shift, then the rotation (counter-clockwise on the screen, y pointing down), about
     * the centre; then the flip; then crop and resize. */
    const double tx = -cx - d->shift_x * width;
    const double ty = -cy - d->shift_y * height;
    inverse_map map;
    map.ux = mirror * c * zoom_x;
    map.uy = -mirror * s * zoom_x;
    map.vx = s * zoom_y;
    map.vy = c * zoom_y;
    const double turned_x = map.ux * tx + map.uy * ty;
    const double turned_y = map.vx * tx + map.vy * ty;
    const double half_width = cx + 0.5;
    const double half_height = cy + 0.5;
    const double centre_x = half_width * zoom_x;
    const double centre_y = half_height * zoom_y;
    map.u0 = turned_x + d->crop_x + centre_x - 0.5;
    map.v0 = turned_y + d->crop_y + centre_y - 0.5;
    return map;
}

/* A coordinate up to half a pixel outside belongs to the edge pixel; further out is black. */
static inline bool settle(float *at, int side)
{
    const float last = (float)(side - 1);
    const float low = -0.5f - 1e-4f;
    const float high = (float)side - 0.5f + 1e-4f;
    const bool inside = *at > low && *at < high;
    if (!inside)
        return false;
    if (*at < 0)
        *at = 0;
    if (*at > last)
        *at = last;
    return true;
}

/* Four neighbours of a place in the source, and how near it is to the right and lower ones. */
typedef struct corners {
    const uint8_t *at;
    size_t right, below;
    float a, b;
} corners;

static inline float between(float first, float second, float part)
{
    return first * (1.0f - part) + second * part;
}

static inline float blend(const corners *q, int c)
{
    const uint8_t *upper = q->at + c;
    const uint8_t *lower = upper + q->below;
    const float top = between(upper[0], upper[q->right], q->a);
    const float bottom = between(lower[0], lower[q->right], q->a);
    return between(top, bottom, q->b);
}

/* (H, W, C) uint8 */
typedef struct source_image {
    const uint8_t *pixels;
    int height, width, channels;
} source_image;

static inline corners corners_at(const source_image *source, float u, float v)
{
    const int column = (int)u;
    const int row = (int)v;
    const bool last_column = column + 1 >= source->width;
    const bool last_row = row + 1 >= source->height;
    const size_t step = (size_t)source->channels;
    const size_t row_step = (size_t)source->width * step;
    const uint8_t *row_at = source->pixels + (size_t)row * row_step;
    corners q;
    q.at = row_at + (size_t)column * step;
    q.right = last_column ? 0 : step;
    q.below = last_row ? 0 : row_step;
    q.a = u - (float)column;
    q.b = v - (float)row;
    return q;
}

/* Every channel of one place at once; planes are `plane` apart. */
static void sample_source(const inverse_map *map, const source_image *source, float *out)
{
    const int height = source->height;
    const int width = source->width;
    const int channels = source->channels;
    const size_t plane = (size_t)height * (size_t)width;
    for (int y = 0; y < height; y++) {
        const double row_u = map->u0 + map->uy * y;
        const double row_v = map->v0 + map->vy * y;
        for (int x = 0; x < width; x++, out++) {
            float u = (float)(row_u + map->ux * x);
            float v = (float)(row_v + map->vx * x);
            const bool inside = settle(&u, width) && settle(&v, height);
            if (!inside) {
                u = 0;
                v = 0;
            }
            const corners q = corners_at(source, u, v);
            for (int c = 0; c < channels; c++)
                out[(size_t)c * plane] = inside ? blend(&q, c) : 0.0f;
        }
    }
}

static void plain_plane(const uint8_t *source, size_t pixels, int step, float *out)
{
    for (size_t i = 0; i < pixels; i++)
        out[i] = source[i * (size_t)step];
}

static void plain_planes(const source_image *source, size_t pixels, float *out)
{
    const int channels = source->channels;
    for (int c = 0; c < channels; c++) {
        const uint8_t *first = source->pixels + c;
        plain_plane(first, pixels, channels, out);
        out += pixels;
    }
}

/* Last plane first: a grey image's one plane is the first, and is needed until the end. */
static void normalise(float *values, int channels, size_t pixels, const float mean[3],
                      const float std[3])
{
    for (int c = 2; c >= 0; c--) {
        float *to = values + (size_t)c * pixels;
        const float *from = to;
        if (channels == 1)
            from = values;
        const float m = mean[c];
        const float s = std[c];
        for (size_t i = 0; i < pixels; i++) {
            const float part = from[i] / 255.0f;
            to[i] = (part - m) / s;
        }
    }
}

/* To 0 after normalisation, the mean of the images the network knows. */
static void erase(const pulmo_augment_draw *d, int width, size_t pixels, float *out)
{
    const size_t bytes = (size_t)d->erase_width * sizeof *out;
    const ptrdiff_t above = (ptrdiff_t)d->erase_y * width;
    float *corner = out + above + d->erase_x;
    for (int c = 0; c < 3; c++) {
        float *row = corner;
        for (int y = 0; y < d->erase_height; y++) {
            memset(row, 0, bytes);
            row += width;
        }
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
        const inverse_map map = invert(draw, height_px, width_px);
        const planes values = {out, channels, height_px, width_px};
        sample_source(&map, &image, out);
        if (!photometric_apply(draw, values))
            return pulmo_fail(PULMO_MEMORY, "out of memory augmenting an image");
    } else {
        plain_planes(&image, pixels, out);
    }
    normalise(out, channels, pixels, mean, std);
    if (draw && draw->erase_height > 0)
        erase(draw, width_px, pixels, out);
    return PULMO_OK;
}
