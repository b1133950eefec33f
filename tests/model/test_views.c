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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_equal_channels_are_one),
        cmocka_unit_test(colour_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
