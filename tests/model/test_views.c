/* One image, one result: an image of one channel and the same stored as three equal ones give the
 * same bits in every view, whatever is drawn; colour does not. */
#include "support.h"

#include "pulmo/rng.h"
#include "pulmo/views.h"

enum { HEIGHT = 40, WIDTH = 33, PIXELS = HEIGHT * WIDTH, VIEWS = 12 };

static uint8_t grey[PIXELS], three[3 * PIXELS];
static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};

static void draw_images(void)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 9, PULMO_RNG_TEST, 1, 0);
    for (int i = 0; i < PIXELS; i++) {
        grey[i] = (uint8_t)pulmo_rng_u32(&rng);
        memset(three + (size_t)(3 * i), grey[i], 3);
    }
}

/* Everything that can be drawn, at least now and then. */
static pulmo_view_spec all_augmentations(void)
{
    pulmo_config config;
    pulmo_view_spec spec;
    pulmo_config_init(&config);
    config.eval.tta = VIEWS;
    config.augment.gamma[0] = 0.5;
    config.augment.gamma[1] = 2;
    config.augment.equalize = 0.5;
    config.augment.autocontrast = 0.5;
    config.augment.sharpness[0] = 0.2;
    config.augment.sharpness[1] = 3;
    config.augment.blur[0] = 0.1;
    config.augment.blur[1] = 2;
    config.augment.noise = 0.1;
    config.augment.erasing = 0.5;
    pulmo_views_from(&config, &spec);
    return spec;
}

static void view_of(const pulmo_view_spec *spec, int view, const uint8_t *pixels, int channels,
                    float *out)
{
    const int shape[3] = {HEIGHT, WIDTH, channels};
    assert_ok(pulmo_view_apply(spec, view, pixels, shape, mean, deviation, out));
}

static void three_equal_channels_are_one(void **state)
{
    static float of_grey[3 * PIXELS], of_three[3 * PIXELS], before[3 * PIXELS];
    (void)state;
    draw_images();
    const pulmo_view_spec spec = all_augmentations();
    for (int view = 0; view < VIEWS; view++) {
        view_of(&spec, view, grey, 1, of_grey);
        view_of(&spec, view, three, 3, of_three);
        assert_memory_equal(of_grey, of_three, sizeof of_grey);
        assert_memory_not_equal(of_grey, before, sizeof of_grey); /* the views differ */
        memcpy(before, of_grey, sizeof before);
    }
}

/* One pixel in colour, the very last. */
static void colour_stays(void **state)
{
    static float of_grey[3 * PIXELS], of_colour[3 * PIXELS];
    (void)state;
    draw_images();
    three[3 * PIXELS - 1] = (uint8_t)(grey[PIXELS - 1] ^ 128);
    pulmo_config config;
    pulmo_view_spec spec;
    pulmo_config_init(&config);
    config.augment.rotate_deg = 0;
    config.augment.crop_scale[0] = 1;
    config.augment.crop_ratio[0] = config.augment.crop_ratio[1] = 1;
    config.augment.translate[0] = config.augment.translate[1] = 0;
    pulmo_views_from(&config, &spec);
    for (int view = 0; view < 3; view++) {
        view_of(&spec, view, grey, 1, of_grey);
        view_of(&spec, view, three, 3, of_colour);
        assert_memory_not_equal(of_grey, of_colour, sizeof of_grey);
    }
}

/* ---- fixed crops: sampled by hand ---- */

static double clamped(double at, int side)
{
    return fmin(fmax(at, 0), side - 1);
}

static double sampled(double y, double x)
{
    const double row = clamped(y, HEIGHT), column = clamped(x, WIDTH);
    const int top = (int)row, left = (int)column;
    const int bottom = top + 1 < HEIGHT ? top + 1 : top;
    const int right = left + 1 < WIDTH ? left + 1 : left;
    const double a = column - left, b = row - top;
    const double upper = grey[top * WIDTH + left] * (1 - a) + grey[top * WIDTH + right] * a;
    const double lower = grey[bottom * WIDTH + left] * (1 - a) + grey[bottom * WIDTH + right] * a;
    return upper * (1 - b) + lower * b;
}

/* Upper left, upper right, lower left, lower right, centre; then the mirror image of each. */
static void crops_are_corners_and_centre(void **state)
{
    (void)state;
    static const double down[] = {0, 0, 1, 1, 0.5}, across[] = {0, 1, 0, 1, 0.5};
    static float view[3 * PIXELS];
    pulmo_config config;
    pulmo_view_spec spec;
    draw_images();
    pulmo_config_init(&config);
    config.eval.crops = PULMO_CROPS_TEN;
    pulmo_views_from(&config, &spec);
    assert_int_equal(spec.views, 10);
    for (int v = 0; v < 10; v++) {
        view_of(&spec, v, grey, 1, view);
        for (int i = 0; i < PIXELS; i++) {
            const int x = v < 5 ? i % WIDTH : WIDTH - 1 - i % WIDTH;
            const double top = down[v % 5] * HEIGHT / 8, left = across[v % 5] * WIDTH / 8;
            const double grey_there =
                sampled(top + (i / WIDTH + 0.5) * 0.875 - 0.5, left + (x + 0.5) * 0.875 - 0.5);
            const double wanted = (grey_there / 255 - (double)mean[0]) / (double)deviation[0];
            assert_true(fabs((double)view[i] - wanted) < 1e-4);
        }
    }
    config.eval.crops = PULMO_CROPS_FIVE;
    pulmo_views_from(&config, &spec);
    assert_int_equal(spec.views, 5);
}

static void crops_and_draws_exclude_each_other(void **state)
{
    (void)state;
    pulmo_config config;
    pulmo_config_init(&config);
    config.eval.crops = PULMO_CROPS_FIVE;
    assert_ok(pulmo_views_check(&config));
    config.eval.tta = 2;
    assert_refused(pulmo_views_check(&config), PULMO_CONFIG, "eval.crops: five; set one of them");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_equal_channels_are_one),
        cmocka_unit_test(colour_stays),
        cmocka_unit_test(crops_are_corners_and_centre),
        cmocka_unit_test(crops_and_draws_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
