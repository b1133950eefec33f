/* Chest-X-ray-like phantoms, drawn from a few smooth shapes.
 *
 * A patient has an anatomy (lungs, ribs, heart, spine); an image of him a pose, an exposure and
 * noise. Pneumonia adds soft consolidations (bacterial) or a diffuse mottle (viral) inside the
 * lungs, often faint. Healthy lungs have vessels and a varying haze, and exposure varies more than
 * disease does, so that brightness does not give the class away. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/demo.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"

#define RIBS 8
#define BLOBS_MAX 4
#define LATTICE 32
#define VESSELS 14

/* Value noise: random numbers on a grid, smoothly joined. */
typedef struct noise {
    float value[LATTICE + 1][LATTICE + 1];
} noise;

typedef struct blob {
    double x, y, rx, ry, strength;
} blob;

typedef struct vessel {
    double x, y, angle, length, bend, width;
} vessel;

/* All lengths in units of half the image's width; the origin is the centre, y points down. */
typedef struct phantom {
    /* anatomy */
    double lung_x, lung_y, lung_rx, lung_ry, lung_tilt, body_rx, body_ry;
    double heart_x, heart_y, heart_rx, heart_ry, spine_width, rib_first, rib_step, rib_curve, rib_strength;
    double diaphragm[2], clavicle_slope;
    vessel vessels[2 * VESSELS];
    /* pose and exposure */
    double angle, zoom, shift_x, shift_y, gain, offset, gamma, grain, haze, border;
    int marker_left;
    /* disease */
    int blobs;
    blob blob[BLOBS_MAX];
    double mottle;
    noise coarse, fine;
} phantom;

static double smooth(double low, double high, double x)
{
    double t = (x - low) / (high - low);
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return t * t * (3 - 2 * t);
}

static double bell(double x, double width) { return exp(-x * x / (width * width)); }

static void fill_noise(noise *n, pulmo_rng *rng)
{
    for (int y = 0; y <= LATTICE; y++)
        for (int x = 0; x <= LATTICE; x++) n->value[y][x] = pulmo_rng_uniform(rng) * 2 - 1;
}

/* Around -1 to 1; `frequency` cells a unit. */
static double noise_at(const noise *n, double x, double y, double frequency)
{
    double u = (x + 2) * frequency, v = (y + 2) * frequency;
    int i = (int)floor(u), j = (int)floor(v);
    double a = u - i, b = v - j;
    a = a * a * (3 - 2 * a);
    b = b * b * (3 - 2 * b);
    const float *top = n->value[(unsigned)j % LATTICE], *bottom = n->value[(unsigned)j % LATTICE + 1];
    unsigned k = (unsigned)i % LATTICE;
    double upper = (double)top[k] * (1 - a) + (double)top[k + 1] * a, lower = (double)bottom[k] * (1 - a) + (double)bottom[k + 1] * a;
    return upper * (1 - b) + lower * b;
}

/* ---- drawing lots ---- */

static void draw_anatomy(phantom *p, pulmo_rng *rng)
{
    p->lung_x = pulmo_rng_range(rng, 0.38, 0.45);
    p->lung_y = pulmo_rng_range(rng, -0.08, 0.04);
    p->lung_rx = pulmo_rng_range(rng, 0.26, 0.33);
    p->lung_ry = pulmo_rng_range(rng, 0.50, 0.64);
    p->lung_tilt = pulmo_rng_range(rng, 0.05, 0.20);
    p->body_rx = pulmo_rng_range(rng, 0.92, 1.12);
    p->body_ry = pulmo_rng_range(rng, 1.15, 1.45);
    p->heart_x = pulmo_rng_range(rng, 0.10, 0.18);
    p->heart_y = pulmo_rng_range(rng, 0.20, 0.32);
    p->heart_rx = pulmo_rng_range(rng, 0.24, 0.34);
    p->heart_ry = pulmo_rng_range(rng, 0.22, 0.32);
    p->spine_width = pulmo_rng_range(rng, 0.07, 0.11);
    p->rib_first = pulmo_rng_range(rng, -0.62, -0.52);
    p->rib_step = pulmo_rng_range(rng, 0.13, 0.17);
    p->rib_curve = pulmo_rng_range(rng, 0.35, 0.75);
    p->rib_strength = pulmo_rng_range(rng, 0.06, 0.14);
    p->diaphragm[0] = pulmo_rng_range(rng, 0.38, 0.52);
    p->diaphragm[1] = p->diaphragm[0] + pulmo_rng_range(rng, 0.02, 0.08);
    p->clavicle_slope = pulmo_rng_range(rng, 0.1, 0.35);
    for (int i = 0; i < 2 * VESSELS; i++) {
        vessel *v = &p->vessels[i];
        double side = i < VESSELS ? -1 : 1;
        v->x = side * pulmo_rng_range(rng, 0.14, 0.22);
        v->y = pulmo_rng_range(rng, -0.08, 0.14);
        v->angle = pulmo_rng_range(rng, -1.3, 1.3);
        v->length = pulmo_rng_range(rng, 0.15, 0.42);
        v->bend = pulmo_rng_range(rng, -0.6, 0.6);
        v->width = pulmo_rng_range(rng, 0.010, 0.022);
    }
}

static void draw_exposure(phantom *p, pulmo_rng *rng)
{
    p->angle = pulmo_rng_range(rng, -0.10, 0.10);
    p->zoom = pulmo_rng_range(rng, 0.92, 1.12);
    p->shift_x = pulmo_rng_range(rng, -0.08, 0.08);
    p->shift_y = pulmo_rng_range(rng, -0.08, 0.08);
    p->gain = pulmo_rng_range(rng, 0.75, 1.15);
    p->offset = pulmo_rng_range(rng, -0.06, 0.12);
    p->gamma = pulmo_rng_range(rng, 0.75, 1.35);
    p->grain = pulmo_rng_range(rng, 0.008, 0.025);
    p->haze = pulmo_rng_range(rng, 0.0, 0.10);
    p->border = pulmo_rng_below(rng, 4) == 0 ? pulmo_rng_range(rng, 0.02, 0.07) : 0;
    p->marker_left = (int)pulmo_rng_below(rng, 2);
    fill_noise(&p->coarse, rng);
    fill_noise(&p->fine, rng);
}

static void draw_disease(phantom *p, int kind, pulmo_rng *rng)
{
    if (kind == 1) {
        p->blobs = 1 + (int)pulmo_rng_below(rng, BLOBS_MAX - 1);
        for (int i = 0; i < p->blobs; i++) {
            double side = pulmo_rng_below(rng, 2) ? 1 : -1;
            p->blob[i] = (blob){.x = side * (p->lung_x + pulmo_rng_range(rng, -0.14, 0.12)),
                                .y = p->lung_y + pulmo_rng_range(rng, -0.32, 0.38),
                                .rx = pulmo_rng_range(rng, 0.08, 0.22), .ry = pulmo_rng_range(rng, 0.08, 0.24),
                                .strength = pulmo_rng_range(rng, 0.10, 0.30)};
        }
    }
    if (kind == 2) p->mottle = pulmo_rng_range(rng, 0.10, 0.24);
}

/* ---- the picture ---- */

/* How far inside a lung: 0 outside, 1 well inside. Side -1 is the image's left. */
static double lung(const phantom *p, double x, double y, int side)
{
    double dy = (y - p->lung_y) / p->lung_ry, dx = (x - side * (p->lung_x + p->lung_tilt * (y - p->lung_y) * 0.6)) / (p->lung_rx * (dy < 0 ? 1 + 0.25 * dy : 1));
    double inside = 1 - smooth(0.78, 1.08, sqrt(dx * dx + dy * dy));
    double dome = p->diaphragm[side > 0] + 0.35 * (x - side * p->lung_x) * (x - side * p->lung_x);
    return inside * (1 - smooth(dome - 0.04, dome + 0.03, y));
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

static double vessels(const phantom *p, double x, double y)
{
    double sum = 0;
    for (int i = 0; i < 2 * VESSELS; i++) {
        const vessel *v = &p->vessels[i];
        double side = i < VESSELS ? -1 : 1, c = cos(v->angle), s = sin(v->angle);
        double dx = side * (x - v->x), dy = y - v->y, along = dx * c + dy * s;
        if (along < 0 || along > v->length) continue;
        double across = -dx * s + dy * c - v->bend * along * along;
        double width = v->width * (1 - 0.7 * along / v->length);
        if (fabs(across) < 3 * width) sum += bell(across, width) * (1 - along / v->length);
    }
    return sum;
}

static double disease(const phantom *p, double x, double y, double in_lung)
{
    double sum = 0;
    for (int i = 0; i < p->blobs; i++) {
        const blob *b = &p->blob[i];
        double dx = (x - b->x) / b->rx, dy = (y - b->y) / b->ry;
        double edge = dx * dx + dy * dy + 0.5 * noise_at(&p->fine, x, y, 7);
        sum += b->strength * exp(-fmax(0, edge)) * (0.8 + 0.4 * noise_at(&p->coarse, x, y, 12));
    }
    if (p->mottle > 0) {
        double grain = noise_at(&p->fine, x, y, 11) + 0.7 * noise_at(&p->coarse, y, x, 15);
        sum += p->mottle * fmax(0, grain + 0.25) * (0.6 + 0.4 * noise_at(&p->coarse, x, y, 2));
    }
    return sum * in_lung;
}

/* Brightness, 0 (air) to about 1 (bone), at a point of the body. */
static double brightness_at(const phantom *p, double x, double y)
{
    double body = 1 - smooth(0.9, 1.05, sqrt(x * x / (p->body_rx * p->body_rx) + y * y / (p->body_ry * p->body_ry)));
    double in_lung = fmax(lung(p, x, y, -1), lung(p, x, y, 1));
    double tissue = 0.60 + 0.06 * noise_at(&p->coarse, x, y, 3) + 0.10 * smooth(0.3, 0.9, y);
    double air = 0.20 + p->haze + 0.05 * noise_at(&p->coarse, y, x, 3);
    double value = tissue * (1 - in_lung) + air * in_lung;
    double hx = (x - p->heart_x) / p->heart_rx, hy = (y - p->heart_y) / p->heart_ry;
    value += 0.30 * (1 - smooth(0.75, 1.1, sqrt(hx * hx + hy * hy + 0.5 * hx * hy))) * in_lung;
    value += 0.22 * bell(x, p->spine_width) * (0.85 + 0.15 * cos(y * 42));
    value += p->rib_strength * ribs(p, x, y);
    double clavicle = y + 0.62 + p->clavicle_slope * (fabs(x) - 0.3);
    value += 0.16 * bell(clavicle, 0.03) * smooth(0.05, 0.12, fabs(x)) * (1 - smooth(0.6, 0.75, fabs(x)));
    value += 0.10 * vessels(p, x, y) * in_lung;
    return (value + disease(p, x, y, in_lung)) * body;
}

/* The side's letter, burnt in at the top: an R of 5 x 7 dots. */
static int marker_dot(const phantom *p, int x, int y, int width, int dot)
{
    static const unsigned char rows[7] = {0x1E, 0x11, 0x11, 0x1E, 0x14, 0x12, 0x11};
    int left = p->marker_left ? 2 * dot : width - 8 * dot, i = (x - left) / dot, j = (y - 2 * dot) / dot;
    return x >= left && y >= 2 * dot && i < 5 && j < 7 && (rows[j] >> (4 - i) & 1);
}

static uint8_t level(const phantom *p, double value, pulmo_rng *rng)
{
    double v = p->gain * value + p->offset * (value > 0.02);
    v = pow(v < 0 ? 0 : v, p->gamma) + p->grain * pulmo_rng_normal(rng);
    return (uint8_t)(v <= 0 ? 0 : v >= 1 ? 255 : v * 255 + 0.5);
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
            bool shut = x < p->border * w || x > w - p->border * w || y < p->border * h || y > h - p->border * h;
            if (shut) *pixel = (uint8_t)(*pixel / 16);
            if (marker_dot(p, x, y, w, dot)) *pixel = 245;
        }
}

pulmo_status pulmo_demo_draw(uint64_t seed, int kind, uint32_t patient, uint32_t image, pulmo_image *out)
{
    pulmo_rng rng;
    phantom *p = calloc(1, sizeof *p);
    if (!p) return pulmo_fail(PULMO_MEMORY, "out of memory for a phantom");
    pulmo_rng_at(&rng, seed, PULMO_RNG_DEMO, patient, 0);
    draw_anatomy(p, &rng);
    pulmo_rng_at(&rng, seed, PULMO_RNG_DEMO, patient, 1 + image);
    draw_exposure(p, &rng);
    draw_disease(p, kind, &rng);
    out->width_px = 300 + (int)pulmo_rng_below(&rng, 121);
    out->height_px = (int)(out->width_px * pulmo_rng_range(&rng, 0.72, 0.98));
    out->channels = 1;
    out->pixels = malloc((size_t)out->width_px * (size_t)out->height_px);
    pulmo_status status = out->pixels ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory for a phantom");
    if (status == PULMO_OK) draw_pixels(p, out, &rng);
    free(p);
    return status;
}
