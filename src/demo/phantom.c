/* Chest-X-ray-like phantoms, drawn from a few smooth shapes.
 *
 * A patient has an anatomy (torso, lungs, ribs, heart, spine); an image of him a pose, an exposure
 * and noise. Pneumonia adds soft consolidations (bacterial) or a diffuse mottle (viral) inside the
 * lungs, often faint. Healthy and sick lungs alike have vessels, haze and soft shadows of the chest
 * wall, and exposure varies more than disease does, so that brightness does not give the class
 * away. */
#include <math.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdlib.h>

#include "phantom.h"

#include "pulmo/elementary.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"

#define RIBS      9
#define BLOBS_MAX 4
#define LATTICE   32
#define VESSELS   16

/* Value noise: random numbers on a grid, smoothly joined. */
typedef struct noise {
    float value[LATTICE + 1][LATTICE + 1];
} noise;

typedef struct blob {
    double x, y, rx, ry, strength;
} blob;

typedef struct vessel {
    double x, y, cosine, sine, length, bend, width;
} vessel;

/* All lengths in units of half the image's width; the origin is the centre, y points down. */
typedef struct phantom {
    /* anatomy; pairs are of the image's left and right */
    double lung_x, lung_y, lung_rx, lung_ry, lung_tilt, body_rx, shoulder_y, shoulder_slope, neck;
    double heart_x, heart_y, heart_rx, heart_ry, mediastinum, spine_width, spine_strength, trachea;
    double rib_first, rib_step, rib_curve, rib_strength, scapula, chest_wall;
    double diaphragm[2], dome[2], clavicle_y, clavicle_slope;
    vessel vessels[2][VESSELS];
    double vessel_strength;
    /* pose and exposure */
    double angle, zoom, shift_x, shift_y, gain, offset, gamma, grain, haze, border;
    bool marker_left;
    /* disease */
    int blobs;
    blob blob[BLOBS_MAX];
    double mottle;
    noise coarse, fine;
} phantom;

/* From 0 to 1 as `t` is, level at both ends. */
static double ease(double t)
{
    return t * t * (3 - 2 * t);
}

/* 0 below `low`, 1 above `high`. */
static double smooth(double low, double high, double x)
{
    double t = (x - low) / (high - low);
    t = fmin(fmax(t, 0), 1);
    return ease(t);
}

/* The reverse: 1 below `low`, 0 above `high`. */
static double fade(double low, double high, double x)
{
    return 1 - smooth(low, high, x);
}

static double bell(double x, double width)
{
    double t = x / width;
    if (t < -4 || t > 4)
        return 0;
    return pulmo_exp(-t * t);
}

static void fill_noise(noise *n, pulmo_rng *rng)
{
    for (int y = 0; y <= LATTICE; y++) {
        float *row = n->value[y];
        for (int x = 0; x <= LATTICE; x++)
            row[x] = pulmo_rng_uniform(rng) * 2 - 1;
    }
}

/* The value at `share` of the way from cell `k` of a row to the next one. */
static double between(const float *row, unsigned k, double share)
{
    double left = (double)row[k];
    double right = (double)row[k + 1];
    return left * (1 - share) + right * share;
}

/* Around -1 to 1; `frequency` cells a unit. */
static double noise_at(const noise *n, double x, double y, double frequency)
{
    double u = (x + 2) * frequency;
    double v = (y + 2) * frequency;
    int column = (int)floor(u);
    int row = (int)floor(v);
    double across = ease(u - column);
    double down = ease(v - row);
    unsigned i = (unsigned)column % LATTICE;
    unsigned j = (unsigned)row % LATTICE;
    double upper = between(n->value[j], i, across);
    double lower = between(n->value[j + 1], i, across);
    return upper * (1 - down) + lower * down;
}

/* ---- drawing lots ---- */

/* A quantity of the phantom and the range it is drawn from. */
typedef struct lot {
    size_t offset;
    double low, high;
} lot;
#define LOT(field, low, high)                                                                      \
    {                                                                                              \
        offsetof(phantom, field), low, high                                                        \
    }

/* In the order in which they are drawn, on which every demo's bytes depend. */
static const lot anatomy[] = {
    LOT(lung_x, 0.41, 0.47),         LOT(lung_y, -0.10, 0.02),        LOT(lung_rx, 0.29, 0.36),
    LOT(lung_ry, 0.54, 0.68),        LOT(lung_tilt, 0.08, 0.26),      LOT(body_rx, 0.88, 1.10),
    LOT(shoulder_y, -0.84, -0.70),   LOT(shoulder_slope, 0.15, 0.45), LOT(neck, 0.22, 0.34),
    LOT(mediastinum, 0.13, 0.18),    LOT(heart_x, 0.08, 0.17),        LOT(heart_y, 0.18, 0.30),
    LOT(heart_rx, 0.24, 0.36),       LOT(heart_ry, 0.22, 0.33),       LOT(spine_width, 0.07, 0.11),
    LOT(spine_strength, 0.08, 0.20), LOT(trachea, 0.05, 0.12),        LOT(rib_first, -0.68, -0.56),
    LOT(rib_step, 0.13, 0.17),       LOT(rib_curve, 0.35, 0.75),      LOT(rib_strength, 0.05, 0.13),
    LOT(scapula, 0.0, 0.12),         LOT(chest_wall, 0.0, 0.12),      LOT(diaphragm[0], 0.34, 0.48),
    LOT(diaphragm[1], 0.02, 0.08),   LOT(dome[0], 0.5, 1.4),          LOT(dome[1], 0.5, 1.4),
    LOT(clavicle_y, -0.66, -0.56),   LOT(clavicle_slope, 0.05, 0.35),
};

static const lot exposure[] = {
    LOT(angle, -0.10, 0.10),   LOT(zoom, 0.94, 1.16),    LOT(shift_x, -0.08, 0.08),
    LOT(shift_y, -0.06, 0.08), LOT(gain, 0.75, 1.15),    LOT(offset, -0.06, 0.12),
    LOT(gamma, 0.75, 1.35),    LOT(grain, 0.008, 0.025), LOT(haze, 0.0, 0.10),
};

static void draw_lots(phantom *p, const lot *lots, size_t count, pulmo_rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        const lot *drawn = &lots[i];
        char *place = (char *)p + drawn->offset;
        *(double *)place = pulmo_rng_range(rng, drawn->low, drawn->high);
    }
}

static void draw_vessel(vessel *v, double mediastinum, pulmo_rng *rng)
{
    double angle = pulmo_rng_range(rng, -1.2, 1.3);
    v->x = mediastinum + pulmo_rng_range(rng, 0.0, 0.08);
    v->y = pulmo_rng_range(rng, -0.12, 0.18);
    v->cosine = pulmo_cos(angle);
    v->sine = pulmo_sin(angle);
    v->length = pulmo_rng_range(rng, 0.18, 0.52);
    v->bend = pulmo_rng_range(rng, -0.7, 0.7);
    v->width = pulmo_rng_range(rng, 0.009, 0.020);
}

static void draw_vessels(phantom *p, pulmo_rng *rng)
{
    p->vessel_strength = pulmo_rng_range(rng, 0.05, 0.11);
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < VESSELS; i++)
            draw_vessel(&p->vessels[side][i], p->mediastinum, rng);
}

static void draw_anatomy(phantom *p, pulmo_rng *rng)
{
    draw_lots(p, anatomy, PULMO_COUNT_OF(anatomy), rng);
    p->diaphragm[1] += p->diaphragm[0]; /* drawn as how much lower it is */
    draw_vessels(p, rng);
}

static void draw_exposure(phantom *p, pulmo_rng *rng)
{
    draw_lots(p, exposure, PULMO_COUNT_OF(exposure), rng);
    p->border = 0;
    if (pulmo_rng_below(rng, 4) == 0)
        p->border = pulmo_rng_range(rng, 0.02, 0.07);
    p->marker_left = pulmo_rng_below(rng, 2) == 1;
    fill_noise(&p->coarse, rng);
    fill_noise(&p->fine, rng);
}

static void draw_blob(const phantom *p, blob *b, pulmo_rng *rng)
{
    bool right = pulmo_rng_below(rng, 2) != 0;
    double from_centre = p->lung_x + pulmo_rng_range(rng, -0.12, 0.12);
    b->x = right ? from_centre : -from_centre;
    b->y = p->lung_y + pulmo_rng_range(rng, -0.34, 0.34);
    b->rx = pulmo_rng_range(rng, 0.09, 0.24);
    b->ry = pulmo_rng_range(rng, 0.09, 0.26);
    b->strength = pulmo_rng_range(rng, 0.15, 0.42);
}

static void draw_disease(phantom *p, int kind, pulmo_rng *rng)
{
    if (kind == 1) {
        p->blobs = 1 + (int)pulmo_rng_below(rng, BLOBS_MAX - 1);
        for (int i = 0; i < p->blobs; i++)
            draw_blob(p, &p->blob[i], rng);
    }
    if (kind == 2)
        p->mottle = pulmo_rng_range(rng, 0.15, 0.34);
}

/* ---- the picture ---- */

/* Side 0 is the image's left, where x is negative. */
static double sign_of(int side)
{
    return side ? 1.0 : -1.0;
}

/* How far inside a lung: 0 outside, 1 well inside. */
static double lung(const phantom *p, double x, double y, int side)
{
    double out = sign_of(side) * x;
    double below = y - p->lung_y;
    double centre = p->lung_x + p->lung_tilt * below * 0.6;
    double from_centre = out - centre;
    double dy = below / p->lung_ry;
    double narrowing = 1;
    if (dy < 0)
        narrowing += 0.3 * dy;
    double dx = from_centre / (p->lung_rx * narrowing);
    double radius2 = dx * dx + dy * dy;
    if (radius2 > 1.2)
        return 0;
    double from_top = from_centre + 0.08;
    double dome = p->diaphragm[side] + p->dome[side] * from_top * from_top;
    double within = fade(0.80, 1.06, sqrt(radius2));
    double above = fade(dome - 0.04, dome + 0.03, y);
    double inner = smooth(p->mediastinum - 0.05, p->mediastinum + 0.03, out);
    return within * above * inner;
}

/* Torso with shoulders and neck; around it is air. */
static double body(const phantom *p, double x, double y)
{
    double out = fabs(x);
    double shoulder = p->shoulder_y + p->shoulder_slope * (out - p->neck);
    double above = smooth(shoulder - 0.05, shoulder + 0.05, y);
    double within_neck = fade(p->neck - 0.03, p->neck + 0.06, out);
    double waist = out + 0.06 * y * y;
    double side = fade(p->body_rx - 0.06, p->body_rx + 0.03, waist);
    return fmax(above, within_neck) * side;
}

static double ribs(const phantom *p, double x, double y)
{
    double sum = 0;
    double out = fabs(x);
    double curve = p->rib_curve * out * out;
    for (int i = 0; i < RIBS; i++) {
        double at_spine = p->rib_first + i * p->rib_step;
        double centre = at_spine + curve - 0.12 * out;
        sum += bell(y - centre, 0.028);
    }
    double from_spine = smooth(0.06, 0.2, out);
    return sum * from_spine * fade(0.8, 0.95, out);
}

static double spine(const phantom *p, double x, double y)
{
    double vertebrae = 0.8 + 0.2 * pulmo_cos(y * 42);
    return p->spine_strength * bell(x, p->spine_width) * vertebrae;
}

static double clavicle(const phantom *p, double out, double y)
{
    double slope = p->clavicle_slope * (out - 0.3);
    double across = y - p->clavicle_y + slope;
    double from_sternum = smooth(0.05, 0.12, out);
    return 0.15 * bell(across, 0.032) * from_sternum * fade(0.66, 0.8, out);
}

static double scapula(const phantom *p, double out, double y)
{
    double dx = (out - 0.80) / 0.17;
    double dy = (y + 0.28) / 0.34;
    return p->scapula * fade(0.7, 1.0, dx * dx + dy * dy);
}

static double bones(const phantom *p, double x, double y)
{
    double out = fabs(x);
    double sum = spine(p, x, y);
    sum += p->rib_strength * ribs(p, x, y);
    sum += clavicle(p, out, y);
    return sum + scapula(p, out, y);
}

/* `out`, `y`: the point, x counted away from the spine. */
static double vessel_at(const vessel *v, double out, double y)
{
    double dx = out - v->x;
    double dy = y - v->y;
    double along = dx * v->cosine + dy * v->sine;
    if (along < 0 || along > v->length)
        return 0;
    double bend = v->bend * along * along;
    double across = -dx * v->sine + dy * v->cosine - bend;
    double width = v->width * (1 - 0.7 * along / v->length);
    return bell(across, width) * (1 - along / v->length);
}

static double vessels(const phantom *p, double x, double y, int side)
{
    double sum = 0;
    double out = sign_of(side) * x;
    for (int i = 0; i < VESSELS; i++)
        sum += vessel_at(&p->vessels[side][i], out, y);
    return p->vessel_strength * sum / (1 + 0.35 * sum);
}

static double consolidation(const phantom *p, const blob *b, double x, double y)
{
    double dx = (x - b->x) / b->rx;
    double dy = (y - b->y) / b->ry;
    double distance2 = dx * dx + dy * dy;
    if (distance2 > 8)
        return 0;
    double edge = distance2 + 0.5 * noise_at(&p->fine, x, y, 7);
    double texture = 0.8 + 0.4 * noise_at(&p->coarse, x, y, 12);
    return b->strength * pulmo_exp(-fmax(0, edge)) * texture;
}

static double mottle(const phantom *p, double x, double y)
{
    double fine = noise_at(&p->fine, x, y, 11);
    double grain = fine + 0.7 * noise_at(&p->coarse, y, x, 15);
    double patches = 0.6 + 0.4 * noise_at(&p->coarse, x, y, 2);
    return p->mottle * fmax(0, grain + 0.25) * patches;
}

static double disease(const phantom *p, double x, double y)
{
    double sum = 0;
    for (int i = 0; i < p->blobs; i++)
        sum += consolidation(p, &p->blob[i], x, y);
    if (p->mottle > 0)
        sum += mottle(p, x, y);
    return sum;
}

/* How much of a point the heart covers, 0 to 0.9. */
static double heart(const phantom *p, double x, double y)
{
    double dx = (x - p->heart_x) / p->heart_rx;
    double dy = (y - p->heart_y) / p->heart_ry;
    double radius2 = dx * dx + dy * dy + 0.5 * dx * dy;
    if (radius2 >= 1.3)
        return 0;
    return 0.9 * fade(0.75, 1.1, sqrt(radius2));
}

/* What a lung shows instead of the tissue around it. */
static double lung_value(const phantom *p, double x, double y, int side, double tissue)
{
    double out = fabs(x);
    double air = 0.17 + p->haze + 0.05 * noise_at(&p->coarse, y, x, 3);
    double value = air + vessels(p, x, y, side) + disease(p, x, y);
    /* The lungs are thinner towards their rims. */
    double outer_rim = 0.06 * smooth(0.35, 0.75, out);
    double inner_rim = 0.10 * bell(out - p->mediastinum, 0.12);
    value += outer_rim + inner_rim;
    double covered = heart(p, x, y);
    return value * (1 - covered) + tissue * covered;
}

static double soft_tissue(const phantom *p, double x, double y)
{
    double uneven = 0.56 + 0.06 * noise_at(&p->coarse, x, y, 3);
    double tissue = uneven + 0.12 * smooth(0.25, 0.8, y);
    return tissue - 0.14 * smooth(0.7, 1.05, fabs(x));
}

static double chest_wall(const phantom *p, double x, double y)
{
    double dx = (fabs(x) - 0.5) / 0.34;
    double dy = (y - 0.28) / 0.30;
    return p->chest_wall * fade(0.3, 1.0, dx * dx + dy * dy);
}

/* Brightness, 0 (air) to about 1 (bone), at a point. */
static double brightness_at(const phantom *p, double x, double y)
{
    double inside = body(p, x, y);
    if (inside <= 0)
        return 0;
    int side = x > 0;
    double in_lung = lung(p, x, y, side);
    double tissue = soft_tissue(p, x, y);
    double value = tissue * (1 - in_lung);
    if (in_lung > 0)
        value += lung_value(p, x, y, side, tissue) * in_lung;
    value += chest_wall(p, x, y);
    value -= p->trachea * bell(x, 0.05) * fade(-0.25, -0.05, y);
    return (value + bones(p, x, y)) * inside;
}

/* The side's letter, burnt in at the top: an R of 5 x 7 dots. */
static bool marker_dot(const phantom *p, int x, int y, int width, int dot)
{
    static const unsigned char rows[7] = {0x1E, 0x11, 0x11, 0x1E, 0x14, 0x12, 0x11};
    int left = width - 8 * dot;
    if (p->marker_left)
        left = 2 * dot;
    int top = 2 * dot;
    if (x < left || y < top)
        return false;
    int i = (x - left) / dot;
    int j = (y - top) / dot;
    if (i >= 5 || j >= 7)
        return false;
    return rows[j] >> (4 - i) & 1;
}

static uint8_t level(const phantom *p, double value, pulmo_rng *rng)
{
    double v = p->gain * value;
    if (value > 0.02)
        v += p->offset;
    double exposed = pulmo_pow(v < 0 ? 0 : v, p->gamma);
    double noisy = exposed + p->grain * pulmo_rng_normal(rng);
    if (noisy >= 1)
        return 255;
    if (noisy <= 0)
        return 0;
    return (uint8_t)(noisy * 255 + 0.5);
}

/* Under the collimator's leaves, along the image's rims. */
static bool shuttered(const phantom *p, const pulmo_image *image, int x, int y)
{
    double across = p->border * image->width_px;
    double down = p->border * image->height_px;
    bool at_side = x < across || x > image->width_px - across;
    return at_side || y < down || y > image->height_px - down;
}

static void draw_pixels(const phantom *p, pulmo_image *image, pulmo_rng *rng)
{
    int w = image->width_px;
    int h = image->height_px;
    int dot = w / 100 > 0 ? w / 100 : 1;
    double c = pulmo_cos(p->angle) / p->zoom;
    double s = pulmo_sin(p->angle) / p->zoom;
    uint8_t *pixel = image->pixels;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double u = (2.0 * x - w) / w - p->shift_x;
            double v = (2.0 * y - h) / w - p->shift_y;
            double brightness = brightness_at(p, u * c - v * s, u * s + v * c);
            *pixel = level(p, brightness, rng);
            if (shuttered(p, image, x, y))
                *pixel = (uint8_t)(*pixel / 16);
            if (marker_dot(p, x, y, w, dot))
                *pixel = 245;
            pixel++;
        }
}

/* One channel, of a drawn width and shape. */
static pulmo_status make_canvas(pulmo_image *out, pulmo_rng *rng)
{
    out->width_px = 300 + (int)pulmo_rng_below(rng, 301);
    double shape = pulmo_rng_range(rng, 0.70, 0.98);
    out->height_px = (int)(out->width_px * shape);
    out->channels = 1;
    size_t width = (size_t)out->width_px;
    out->pixels = malloc(width * (size_t)out->height_px);
    if (!out->pixels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a phantom");
    return PULMO_OK;
}

pulmo_status phantom_draw(uint64_t seed, int kind, uint32_t patient, uint32_t image,
                          pulmo_image *out)
{
    pulmo_rng rng;
    phantom *p = calloc(1, sizeof *p);
    if (!p)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a phantom");
    pulmo_rng_at(&rng, seed, PULMO_RNG_DEMO, patient, 0);
    draw_anatomy(p, &rng);
    pulmo_rng_at(&rng, seed, PULMO_RNG_DEMO, patient, 1 + image);
    draw_exposure(p, &rng);
    draw_disease(p, kind, &rng);
    pulmo_status status = make_canvas(out, &rng);
    if (status == PULMO_OK)
        draw_pixels(p, out, &rng);
    free(p);
    return status;
}
