/* Augmentation: what is drawn stays in range and is the same for the same sample; what is applied
 * is what its name says, told by cases whose answer is known without the code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "pulmo/augment.h"

#define H      40
#define W      48
#define PIXELS (H * W)

static uint8_t picture[PIXELS * 3]; /* (H, W, 3); its first PIXELS bytes also serve as a grey one */
static float out[3 * PIXELS], other[3 * PIXELS];
static const float no_mean[3], no_std[3] = {1, 1, 1};
static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};

static int start(void **state)
{
    (void)state;
    pulmo_rng rng;
    pulmo_rng_at(&rng, 9, PULMO_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof picture; i++)
        picture[i] = (uint8_t)pulmo_rng_u32(&rng);
    picture[0] = 0;
    picture[1] = 255;
    return 0;
}

static pulmo_augment_draw identity(void)
{
    return (pulmo_augment_draw){.crop_width = W,
                                .crop_height = H,
                                .brightness = 1,
                                .contrast = 1,
                                .gamma = 1,
                                .sharpness = 1};
}

/* A grey image, on a scale of 0 to 255. */
static void apply_grey(const pulmo_augment_draw *draw, float *to)
{
    pulmo_augment_apply(draw, picture, H, W, 1, no_mean, no_std, to);
    for (int i = 0; i < 3 * PIXELS; i++)
        to[i] *= 255.0f;
}

static pulmo_augment_spec rich(void)
{
    pulmo_augment_spec s;
    pulmo_augment_spec_init(&s);
    s.crop_scale[0] = 0.08;
    s.crop_ratio[0] = 0.75;
    s.crop_ratio[1] = 4.0 / 3.0;
    s.hflip = 0.5;
    s.rotate_deg = 15;
    s.translate[0] = 0.1;
    s.translate[1] = 0.05;
    s.brightness[0] = 0.8;
    s.brightness[1] = 1.3;
    s.contrast[0] = 0.5;
    s.contrast[1] = 1.5;
    s.gamma[0] = 0.5;
    s.gamma[1] = 2;
    return s;
}

/* ---- drawing ---- */

static void off_draws_nothing(void **state)
{
    (void)state;
    pulmo_augment_spec s;
    pulmo_augment_spec_init(&s);
    assert_int_equal(pulmo_augment_spec_check(&s), PULMO_OK);
    for (uint64_t i = 0; i < 20; i++) {
        pulmo_augment_draw d, nothing = identity();
        pulmo_augment_draw_at(&s, 1, 2, i, H, W, &d);
        assert_memory_equal(&d, &nothing, sizeof d);
    }
}

static void draws_are_looked_up(void **state)
{
    (void)state;
    pulmo_augment_spec s = rich();
    pulmo_augment_draw a, b;
    pulmo_augment_draw_at(&s, 1, 2, 3, H, W, &a);
    pulmo_augment_draw_at(&s, 1, 2, 3, H, W, &b);
    assert_memory_equal(&a, &b, sizeof a);
    const uint64_t elsewhere[3][3] = {{2, 2, 3}, {1, 3, 3}, {1, 2, 4}};
    for (int i = 0; i < 3; i++) {
        pulmo_augment_draw_at(&s, elsewhere[i][0], elsewhere[i][1], elsewhere[i][2], H, W, &b);
        assert_true(a.gamma != b.gamma);
    }
}

/* Ranges are kept, and used to their ends; the mean is where a uniform draw has it. */
static void draws_keep_their_ranges(void **state)
{
    (void)state;
    enum { N = 4000 };
    pulmo_augment_spec s = rich();
    double area = 0, angle = 0, flips = 0, widest = 0, log_gamma = 0;
    for (uint64_t i = 0; i < N; i++) {
        pulmo_augment_draw d;
        pulmo_augment_draw_at(&s, 1, 0, i, H, W, &d);
        double part = d.crop_width * d.crop_height / PIXELS, ratio = d.crop_width / d.crop_height;
        assert_true(d.crop_x >= 0 && d.crop_y >= 0 && d.crop_x + d.crop_width <= W &&
                    d.crop_y + d.crop_height <= H);
        assert_true(d.crop_width == rint(d.crop_width) && d.crop_x == rint(d.crop_x));
        assert_true(part > 0.06 && part <= 1 && ratio > 0.65 &&
                    ratio < 1.55); /* sides are rounded */
        assert_true(fabs(d.angle_deg) <= 15 && fabs(d.shift_x) <= 0.1 + 0.5 / W &&
                    fabs(d.shift_y) <= 0.05 + 0.5 / H);
        assert_true(fabs(d.shift_x * W - rint(d.shift_x * W)) < 1e-9);
        assert_true(d.brightness >= 0.8 && d.brightness < 1.3 && d.contrast >= 0.5 &&
                    d.contrast < 1.5);
        assert_true(d.gamma >= 0.5 && d.gamma < 2);
        area += part / N;
        angle += d.angle_deg / N;
        flips += (double)d.flip / N;
        log_gamma += log(d.gamma) / N;
        widest = part > widest ? part : widest;
    }
    /* Five standard errors of each mean. */
    assert_true(fabs(flips - 0.5) < 5 * 0.5 / sqrt(N));
    assert_true(fabs(angle) < 5 * 15 / sqrt(3.0 * N));
    assert_true(fabs(log_gamma) < 5 * log(2) / sqrt(3.0 * N));
    assert_true(area > 0.4 && area < 0.56 &&
                widest > 0.9); /* the largest crops often do not fit and are drawn anew */
}

/* No crop of this shape fits: the largest one in the middle. */
static void crop_falls_back_to_the_middle(void **state)
{
    (void)state;
    pulmo_augment_spec s;
    pulmo_augment_draw d;
    pulmo_augment_spec_init(&s);
    s.crop_scale[0] = 0.999;
    s.crop_ratio[0] = s.crop_ratio[1] = 4;
    pulmo_augment_draw_at(&s, 1, 0, 0, 40, 48, &d);
    assert_true(d.crop_x == 0 && d.crop_width == 48 * 1.0);
    s.crop_ratio[0] = s.crop_ratio[1] = 0.5;
    pulmo_augment_draw_at(&s, 1, 0, 0, 40, 48, &d);
    assert_true(d.crop_height == 40 && d.crop_width == 20 && d.crop_y == 0 && d.crop_x == 14);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    pulmo_augment_spec s = rich(), bad;
    assert_int_equal(pulmo_augment_spec_check(&s), PULMO_OK);
    double *fields[] = {&bad.crop_scale[0], &bad.crop_scale[1], &bad.crop_ratio[0],
                        &bad.hflip,         &bad.rotate_deg,    &bad.translate[0],
                        &bad.translate[1],  &bad.scale[0],      &bad.scale[1],
                        &bad.brightness[0], &bad.brightness[1], &bad.contrast[0],
                        &bad.gamma[0],      &bad.gamma[1]};
    static const double values[] = {-1, NAN, INFINITY, 1e9};
    for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            bad = s;
            *fields[f] = values[v];
            assert_int_equal(pulmo_augment_spec_check(&bad), PULMO_CONFIG);
            assert_non_null(strstr(pulmo_error(), "augment."));
        }
}

/* ---- applying: geometry ---- */

static void identity_is_plain_normalisation(void **state)
{
    (void)state;
    pulmo_augment_draw d = identity();
    for (int channels = 1; channels <= 3; channels += 2) {
        pulmo_augment_apply(NULL, picture, H, W, channels, mean, deviation, out);
        pulmo_augment_apply(&d, picture, H, W, channels, mean, deviation, other);
        assert_memory_equal(out, other, sizeof out);
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < PIXELS; i++) {
                uint8_t value = channels == 1 ? picture[i] : picture[3 * i + c];
                assert_true(out[c * PIXELS + i] ==
                            ((float)value / 255.0f - mean[c]) / deviation[c]);
            }
    }
}

static void flip_mirrors(void **state)
{
    (void)state;
    pulmo_augment_draw d = identity();
    d.flip = 1;
    apply_grey(&d, out);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            assert_true(fabsf(out[y * W + x] - (float)picture[y * W + W - 1 - x]) < 1e-4f);
}

/* A shift to the right and down moves the picture; what it leaves is black. */
static void whole_shifts_move(void **state)
{
    (void)state;
    for (int sx = -5; sx <= 5; sx += 5)
        for (int sy = -7; sy <= 7; sy += 7) {
            pulmo_augment_draw d = identity();
            d.shift_x = (double)sx / W;
            d.shift_y = (double)sy / H;
            apply_grey(&d, out);
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++) {
                    int u = x - sx, v = y - sy, inside = u >= 0 && u < W && v >= 0 && v < H;
                    assert_true(fabsf(out[y * W + x] -
                                      (inside ? (float)picture[v * W + u] : 0.0f)) < 0.05f);
                }
        }
}

/* On a square: a quarter turn counter-clockwise takes the top right corner to the top left. */
static void quarter_turns(void **state)
{
    (void)state;
    enum { S = 33 };
    static uint8_t square[S * S];
    static float turned[3 * S * S];
    for (int i = 0; i < S * S; i++)
        square[i] = picture[i];
    for (int turns = 1; turns < 4; turns++) {
        pulmo_augment_draw d = {.crop_width = S,
                                .crop_height = S,
                                .brightness = 1,
                                .contrast = 1,
                                .gamma = 1,
                                .sharpness = 1,
                                .angle_deg = 90.0 * turns};
        pulmo_augment_apply(&d, square, S, S, 1, no_mean, no_std, turned);
        for (int y = 0; y < S; y++)
            for (int x = 0; x < S; x++) {
                int u = x, v = y;
                for (int k = 0; k < turns; k++) {
                    int t = u;
                    u = S - 1 - v; /* where (x, y) was before a turn to the left */
                    v = t;
                }
                assert_true(fabsf(turned[y * S + x] * 255.0f - (float)square[v * S + u]) < 0.05f);
            }
    }
}

/* Bilinear of a crop: half-pixel centres, the edge pixel repeated outside the image only. */
static void crop_is_a_resize(void **state)
{
    (void)state;
    pulmo_augment_draw d = identity();
    d.crop_x = 6;
    d.crop_y = 10;
    d.crop_width = W / 2;
    d.crop_height = H / 2;
    apply_grey(&d, out);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            double u = 6 + (x + 0.5) / 2 - 0.5, v = 10 + (y + 0.5) / 2 - 0.5, a = u - floor(u),
                   b = v - floor(v);
            const uint8_t *p = picture + (int)floor(v) * W + (int)floor(u);
            double wanted =
                (p[0] * (1 - a) + p[1] * a) * (1 - b) + (p[W] * (1 - a) + p[W + 1] * a) * b;
            assert_true(fabs((double)out[y * W + x] - wanted) < 1e-3);
        }
}

/* At a half, with nothing else drawn: 2 x 2 pixels become one, in the middle, and the rest is
 * black; at two, the middle half is a resize. */
static void scale_is_about_the_middle(void **state)
{
    (void)state;
    pulmo_augment_spec s;
    pulmo_augment_draw d;
    pulmo_augment_spec_init(&s);
    s.scale[0] = s.scale[1] = 0.5;
    pulmo_augment_draw_at(&s, 1, 2, 3, H, W, &d);
    apply_grey(&d, out);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            int u = 2 * x - W / 2, v = 2 * y - H / 2;
            const uint8_t *p = picture + v * W + u;
            double wanted =
                u < 0 || u >= W || v < 0 || v >= H ? 0 : (p[0] + p[1] + p[W] + p[W + 1]) / 4.0;
            assert_true(fabs((double)out[y * W + x] - wanted) < 1e-3);
        }
    pulmo_augment_draw resized = identity();
    resized.crop_x = W / 4;
    resized.crop_y = H / 4;
    resized.crop_width = W / 2;
    resized.crop_height = H / 2;
    s.scale[0] = s.scale[1] = 2;
    pulmo_augment_draw_at(&s, 1, 2, 3, H, W, &d);
    assert_memory_equal(&d, &resized, sizeof d);
}

/* Factors fill their range; a strength shrinks it, unless that is light's alone; a crop keeps its
 * middle and its shape. */
static void scales_keep_their_range(void **state)
{
    (void)state;
    enum { N = 2000 };
    for (int way = 0; way < 3; way++) {
        pulmo_augment_spec s = rich(), without = rich();
        s.scale[0] = 0.6;
        s.scale[1] = 1.4;
        if (way > 0)
            s.strength[0] = s.strength[1] = without.strength[0] = without.strength[1] = 0.5;
        s.strength_of_light = without.strength_of_light = way == 2;
        double low = 10, high = 0, most = way == 1 ? 0.2 : 0.4;
        for (uint64_t i = 0; i < N; i++) {
            pulmo_augment_draw d, e;
            pulmo_augment_draw_at(&s, 1, 0, i, H, W, &d);
            pulmo_augment_draw_at(&without, 1, 0, i, H, W, &e);
            double factor = e.crop_width / d.crop_width;
            assert_true(fabs(e.crop_height / d.crop_height - factor) < 1e-12 &&
                        e.gamma == d.gamma && e.flip == d.flip);
            assert_true(fabs(d.crop_x + d.crop_width / 2 - e.crop_x - e.crop_width / 2) < 1e-9);
            assert_true(factor > 1 - most - 1e-12 && factor < 1 + most + 1e-12);
            low = fmin(low, factor);
            high = fmax(high, factor);
        }
        assert_true(low < 1 - 0.97 * most && high > 1 + 0.97 * most);
    }
}

/* Composed: crop, then flip, then rotation, then shift, as four maps one after the other say. */
static void operations_compose_in_order(void **state)
{
    (void)state;
    pulmo_augment_draw d = {.crop_x = 4,
                            .crop_y = 6,
                            .crop_width = 36,
                            .crop_height = 28,
                            .flip = 1,
                            .angle_deg = 12,
                            .shift_x = 3.0 / W,
                            .shift_y = -2.0 / H,
                            .brightness = 1,
                            .contrast = 1,
                            .gamma = 1,
                            .sharpness = 1};
    /* A picture that is linear in place: bilinear sampling is exact on it. */
    static uint8_t ramp[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        ramp[i] = (uint8_t)(2 * (i % W) + 3 * (i / W));
    pulmo_augment_apply(&d, ramp, H, W, 1, no_mean, no_std, out);
    double angle = 12 * acos(-1) / 180;
    int checked = 0;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            double px = x - 3 - (W - 1) / 2.0, py = y + 2 - (H - 1) / 2.0;
            double rx = cos(angle) * px - sin(angle) * py, ry = sin(angle) * px + cos(angle) * py;
            double fx = (W - 1) / 2.0 - rx, fy = (H - 1) / 2.0 + ry;
            double u = 4 + (fx + 0.5) * 36 / W - 0.5, v = 6 + (fy + 0.5) * 28 / H - 0.5;
            if (u < 0 || u > W - 1 || v < 0 || v > H - 1)
                continue;
            assert_true(fabs((double)out[y * W + x] * 255 - (2 * u + 3 * v)) < 2e-3);
            checked++;
        }
    assert_true(checked > PIXELS / 2);
}

/* Each channel of a colour image is sampled as a grey image of its own would be. */
static void channels_are_alike(void **state)
{
    (void)state;
    pulmo_augment_spec s = rich();
    static uint8_t rgb[PIXELS * 3];
    for (int i = 0; i < PIXELS; i++)
        memset(rgb + 3 * i, picture[i], 3);
    s.contrast[0] = s.contrast[1] = 1; /* its grey mean is rounded differently */
    for (uint64_t k = 0; k < 10; k++) {
        pulmo_augment_draw d;
        pulmo_augment_draw_at(&s, 4, 0, k, H, W, &d);
        pulmo_augment_apply(&d, picture, H, W, 1, mean, deviation, out);
        pulmo_augment_apply(&d, rgb, H, W, 3, mean, deviation, other);
        assert_memory_equal(out, other, sizeof out);
    }
}

/* ---- applying: light ---- */

static double clamp(double x)
{
    if (x < 0)
        return 0;
    return x > 255 ? 255 : x;
}

static void light_follows_its_formulas(void **state)
{
    (void)state;
    double sum = 0;
    pulmo_augment_draw d = identity();
    d.brightness = 1.4;
    d.contrast = 1.7;
    d.gamma = 0.6;
    apply_grey(&d, out);
    for (int i = 0; i < PIXELS; i++)
        sum += clamp(picture[i] * 1.4);
    for (int i = 0; i < PIXELS; i++) {
        double lit = clamp(picture[i] * 1.4),
               wanted = 255 * pow(clamp(1.7 * lit - 0.7 * sum / PIXELS) / 255, 0.6);
        assert_true(fabs((double)out[i] - wanted) < 0.05);
    }
}

/* Contrast turns about the mean of Rec. 601 grey: factor 0 leaves that mean alone. */
static void contrast_zero_is_the_grey_mean(void **state)
{
    (void)state;
    double sum = 0;
    pulmo_augment_draw d = identity();
    d.contrast = 1e-9;
    for (int i = 0; i < PIXELS; i++)
        sum += 0.2989 * picture[3 * i] + 0.587 * picture[3 * i + 1] + 0.114 * picture[3 * i + 2];
    pulmo_augment_apply(&d, picture, H, W, 3, no_mean, no_std, out);
    for (int i = 0; i < 3 * PIXELS; i++)
        assert_true(fabs((double)out[i] * 255 - sum / PIXELS) < 1e-3);
}

/* x^g in basic operations against the library's, over the whole range of both. */
static void gamma_is_a_power(void **state)
{
    (void)state;
    static const double gammas[] = {0.01, 0.1, 0.5, 0.9, 1.0001, 1.5, 2.2, 5, 40, 100};
    for (size_t g = 0; g < sizeof gammas / sizeof gammas[0]; g++) {
        pulmo_augment_draw d = identity();
        d.gamma = gammas[g];
        pulmo_augment_apply(&d, picture, H, W, 1, no_mean, no_std, out);
        assert_true(out[0] == 0.0f &&
                    fabsf(out[1] - 1.0f) < 1e-6f); /* black and white stay what they are */
        for (int i = 0; i < PIXELS; i++) {
            double wanted = pow(picture[i] / 255.0, gammas[g]);
            /* The logarithm, at most 8, is rounded to 2^-21 or so and multiplied by g. */
            assert_true(fabs((double)out[i] - wanted) <=
                        wanted * (2e-6 + 1e-6 * gammas[g]) + 1e-30);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_draws_nothing),
        cmocka_unit_test(draws_are_looked_up),
        cmocka_unit_test(draws_keep_their_ranges),
        cmocka_unit_test(crop_falls_back_to_the_middle),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(identity_is_plain_normalisation),
        cmocka_unit_test(flip_mirrors),
        cmocka_unit_test(whole_shifts_move),
        cmocka_unit_test(quarter_turns),
        cmocka_unit_test(crop_is_a_resize),
        cmocka_unit_test(scale_is_about_the_middle),
        cmocka_unit_test(scales_keep_their_range),
        cmocka_unit_test(operations_compose_in_order),
        cmocka_unit_test(channels_are_alike),
        cmocka_unit_test(light_follows_its_formulas),
        cmocka_unit_test(contrast_zero_is_the_grey_mean),
        cmocka_unit_test(gamma_is_a_power),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
