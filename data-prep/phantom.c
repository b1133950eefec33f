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
#include <string.h>

#include "pulmo/demo.h"
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

static double smooth(double low, double high, double x)
{
    double t = (x - low) / (high - low);
    t = fmin(fmax(t, 0), 1);
    return t * t * (3 - 2 * t);
}

static double bell(double x, double width)
{
    double t = x / width;
    return t < -4 || t > 4 ? 0 : exp(-t * t);
}

static void fill_noise(noise *n, pulmo_rng *rng)
{
    for (int y = 0; y <= LATTICE; y++)
        for (int x = 0; x <= LATTICE; x++)
            n->value[y][x] = pulmo_rng_uniform(rng) * 2 - 1;
}

/* Around -1 to 1; `frequency` cells a unit. */
static double noise_at(const noise *n, double x, double y, double frequency)
{
    double u = (x + 2) * frequency, v = (y + 2) * frequency;
    int i = (int)floor(u), j = (int)floor(v);
    double a = u - i, b = v - j;
    a = a * a * (3 - 2 * a);
    b = b * b * (3 - 2 * b);
    const float *top = n->value[(unsigned)j % LATTICE],
                *bottom = n->value[(unsigned)j % LATTICE + 1];
    unsigned k = (unsigned)i % LATTICE;
    double upper = (double)top[k] * (1 - a) + (double)top[k + 1] * a;
    double lower = (double)bottom[k] * (1 - a) + (double)bottom[k + 1] * a;
    return upper * (1 - b) + lower * b;
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

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void draw_lots(phantom *p, const lot *lots, size_t count, pulmo_rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        double *value = (double *)((char *)p + lots[i].offset);
        *value = pulmo_rng_range(rng, lots[i].low, lots[i].high);
    }
}

static void draw_vessels(phantom *p, pulmo_rng *rng)
{
    p->vessel_strength = pulmo_rng_range(rng, 0.05, 0.11);
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < VESSELS; i++) {
            vessel *v = &p->vessels[side][i];
            double angle = pulmo_rng_range(rng, -1.2, 1.3);
            v->x = p->mediastinum + pulmo_rng_range(rng, 0.0, 0.08);
            v->y = pulmo_rng_range(rng, -0.12, 0.18);
            v->cosine = cos(angle);
            v->sine = sin(angle);
            v->length = pulmo_rng_range(rng, 0.18, 0.52);
            v->bend = pulmo_rng_range(rng, -0.7, 0.7);
            v->width = pulmo_rng_range(rng, 0.009, 0.020);
        }
}

static void draw_anatomy(phantom *p, pulmo_rng *rng)
{
    draw_lots(p, anatomy, COUNT_OF(anatomy), rng);
    p->diaphragm[1] += p->diaphragm[0]; /* drawn as how much lower it is */
    draw_vessels(p, rng);
}

static void draw_exposure(phantom *p, pulmo_rng *rng)
{
    draw_lots(p, exposure, COUNT_OF(exposure), rng);
    p->border = 0;
    if (pulmo_rng_below(rng, 4) == 0)
        p->border = pulmo_rng_range(rng, 0.02, 0.07);
    p->marker_left = pulmo_rng_below(rng, 2) == 1;
    fill_noise(&p->coarse, rng);
    fill_noise(&p->fine, rng);
}

static void draw_disease(phantom *p, int kind, pulmo_rng *rng)
{
    if (kind == 1) {
        p->blobs = 1 + (int)pulmo_rng_below(rng, BLOBS_MAX - 1);
        for (int i = 0; i < p->blobs; i++) {
            double side = pulmo_rng_below(rng, 2) ? 1 : -1;
            blob *b = &p->blob[i];
            b->x = side * (p->lung_x + pulmo_rng_range(rng, -0.12, 0.12));
            b->y = p->lung_y + pulmo_rng_range(rng, -0.34, 0.34);
            b->rx = pulmo_rng_range(rng, 0.09, 0.24);
            b->ry = pulmo_rng_range(rng, 0.09, 0.26);
            b->strength = pulmo_rng_range(rng, 0.15, 0.42);
        }
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
    double centre = p->lung_x + p->lung_tilt * (y - p->lung_y) * 0.6;
    double dy = (y - p->lung_y) / p->lung_ry, from_centre = sign_of(side) * x - centre;
    double dx = from_centre / (p->lung_rx * (dy < 0 ? 1 + 0.3 * dy : 1));
    double radius2 = dx * dx + dy * dy;
    if (radius2 > 1.2)
        return 0;
    double dome = p->diaphragm[side] + p->dome[side] * (from_centre + 0.08) * (from_centre + 0.08);
    double inner = smooth(p->mediastinum - 0.05, p->mediastinum + 0.03, sign_of(side) * x);
    return (1 - smooth(0.80, 1.06, sqrt(radius2))) * (1 - smooth(dome - 0.04, dome + 0.03, y)) *
           inner;
}

/* Torso with shoulders and neck; around it is air. */
static double body(const phantom *p, double x, double y)
{
    double out = fabs(x);
    double shoulder = p->shoulder_y + p->shoulder_slope * (out - p->neck);
    double above = smooth(shoulder - 0.05, shoulder + 0.05, y);
    double within_neck = 1 - smooth(p->neck - 0.03, p->neck + 0.06, out);
    double side = 1 - smooth(p->body_rx - 0.06, p->body_rx + 0.03, out + 0.06 * y * y);
    return fmax(above, within_neck) * side;
}

static double ribs(const phantom *p, double x, double y)
{
    double sum = 0, out = fabs(x);
    for (int i = 0; i < RIBS; i++) {
        double centre = p->rib_first + i * p->rib_step + p->rib_curve * out * out - 0.12 * out;
        sum += bell(y - centre, 0.028);
    }
    return sum * smooth(0.06, 0.2, out) * (1 - smooth(0.8, 0.95, out));
}

static double bones(const phantom *p, double x, double y)
{
    double out = fabs(x);
    double sum = p->spine_strength * bell(x, p->spine_width) * (0.8 + 0.2 * cos(y * 42));
    sum += p->rib_strength * ribs(p, x, y);
    double clavicle = y - p->clavicle_y + p->clavicle_slope * (out - 0.3);
    sum += 0.15 * bell(clavicle, 0.032) * smooth(0.05, 0.12, out) * (1 - smooth(0.66, 0.8, out));
    double blade_x = (out - 0.80) / 0.17, blade_y = (y + 0.28) / 0.34;
    return sum + p->scapula * (1 - smooth(0.7, 1.0, blade_x * blade_x + blade_y * blade_y));
}

static double vessels(const phantom *p, double x, double y, int side)
{
    double sum = 0;
    for (int i = 0; i < VESSELS; i++) {
        const vessel *v = &p->vessels[side][i];
        double dx = sign_of(side) * x - v->x, dy = y - v->y, along = dx * v->cosine + dy * v->sine;
        if (along < 0 || along > v->length)
            continue;
        double across = -dx * v->sine + dy * v->cosine - v->bend * along * along;
        sum += bell(across, v->width * (1 - 0.7 * along / v->length)) * (1 - along / v->length);
    }
    return p->vessel_strength * sum / (1 + 0.35 * sum);
}

static double disease(const phantom *p, double x, double y)
{
    double sum = 0;
    for (int i = 0; i < p->blobs; i++) {
        const blob *b = &p->blob[i];
        double dx = (x - b->x) / b->rx, dy = (y - b->y) / b->ry, distance2 = dx * dx + dy * dy;
        if (distance2 > 8)
            continue;
        double edge = distance2 + 0.5 * noise_at(&p->fine, x, y, 7);
        sum += b->strength * exp(-fmax(0, edge)) * (0.8 + 0.4 * noise_at(&p->coarse, x, y, 12));
    }
    if (p->mottle > 0) {
        double grain = noise_at(&p->fine, x, y, 11) + 0.7 * noise_at(&p->coarse, y, x, 15);
        sum += p->mottle * fmax(0, grain + 0.25) * (0.6 + 0.4 * noise_at(&p->coarse, x, y, 2));
    }
    return sum;
}

/* What a lung shows instead of the tissue around it. */
static double lung_value(const phantom *p, double x, double y, int side, double tissue)
{
    double air = 0.17 + p->haze + 0.05 * noise_at(&p->coarse, y, x, 3);
    double hx = (x - p->heart_x) / p->heart_rx, hy = (y - p->heart_y) / p->heart_ry;
    double heart2 = hx * hx + hy * hy + 0.5 * hx * hy;
    double value = air + vessels(p, x, y, side) + disease(p, x, y);
    /* The lungs are thinner towards their rims. */
    value += 0.06 * smooth(0.35, 0.75, fabs(x)) + 0.10 * bell(fabs(x) - p->mediastinum, 0.12);
    if (heart2 >= 1.3)
        return value;
    double covered = 0.9 * (1 - smooth(0.75, 1.1, sqrt(heart2)));
    return value * (1 - covered) + tissue * covered;
}

/* Brightness, 0 (air) to about 1 (bone), at a point. */
static double brightness_at(const phantom *p, double x, double y)
{
    double inside = body(p, x, y);
    if (inside <= 0)
        return 0;
    int side = x > 0;
    double in_lung = lung(p, x, y, side);
    double tissue = 0.56 + 0.06 * noise_at(&p->coarse, x, y, 3) + 0.12 * smooth(0.25, 0.8, y);
    tissue -= 0.14 * smooth(0.7, 1.05, fabs(x));
    double value = tissue * (1 - in_lung);
    if (in_lung > 0)
        value += lung_value(p, x, y, side, tissue) * in_lung;
    double wall_x = (fabs(x) - 0.5) / 0.34, wall_y = (y - 0.28) / 0.30;
    value += p->chest_wall * (1 - smooth(0.3, 1.0, wall_x * wall_x + wall_y * wall_y));
    value -= p->trachea * bell(x, 0.05) * (1 - smooth(-0.25, -0.05, y));
    return (value + bones(p, x, y)) * inside;
}

/* The side's letter, burnt in at the top: an R of 5 x 7 dots. */
static bool marker_dot(const phantom *p, int x, int y, int width, int dot)
{
    static const unsigned char rows[7] = {0x1E, 0x11, 0x11, 0x1E, 0x14, 0x12, 0x11};
    int left = p->marker_left ? 2 * dot : width - 8 * dot, i = (x - left) / dot,
        j = (y - 2 * dot) / dot;
    return x >= left && y >= 2 * dot && i < 5 && j < 7 && (rows[j] >> (4 - i) & 1);
}

static uint8_t level(const phantom *p, double value, pulmo_rng *rng)
{
    double v = p->gain * value + p->offset * (value > 0.02);
    v = pow(v < 0 ? 0 : v, p->gamma) + p->grain * pulmo_rng_normal(rng);
    if (v >= 1)
        return 255;
    return (uint8_t)(v <= 0 ? 0 : v * 255 + 0.5);
}

static void draw_pixels(const phantom *p, pulmo_image *image, pulmo_rng *rng)
{
    int w = image->width_px, h = image->height_px, dot = w / 100 > 0 ? w / 100 : 1;
    double c = cos(p->angle) / p->zoom, s = sin(p->angle) / p->zoom;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double u = (2.0 * x - w) / w - p->shift_x, v = (2.0 * y - h) / w - p->shift_y;
            uint8_t *pixel = &image->pixels[(size_t)y * (size_t)w + (size_t)x];
            *pixel = level(p, brightness_at(p, u * c - v * s, u * s + v * c), rng);
            bool shut = x < p->border * w || x > w - p->border * w || y < p->border * h ||
                        y > h - p->border * h;
            if (shut)
                *pixel = (uint8_t)(*pixel / 16);
            if (marker_dot(p, x, y, w, dot))
                *pixel = 245;
        }
}

pulmo_status pulmo_demo_draw(uint64_t seed, int kind, uint32_t patient, uint32_t image,
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
    out->width_px = 300 + (int)pulmo_rng_below(&rng, 301);
    out->height_px = (int)(out->width_px * pulmo_rng_range(&rng, 0.70, 0.98));
    out->channels = 1;
    out->pixels = malloc((size_t)out->width_px * (size_t)out->height_px);
    pulmo_status status = PULMO_OK;
    if (out->pixels)
        draw_pixels(p, out, &rng);
    else
        status = pulmo_fail(PULMO_MEMORY, "out of memory for a phantom");
    free(p);
    return status;
}
