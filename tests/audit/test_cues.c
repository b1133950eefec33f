/* Cues of drawn images, against the definitions of src/audit/cues.c computed another way: the
 * wavelet levels as one convolution in two dimensions, in double. */
#include "support.h"

#include "audit_room.h"

#define HEIGHT 48
#define WIDTH  80
#define PIXELS (HEIGHT * WIDTH)

static uint8_t pixels[PIXELS];

static void measure(const uint8_t *of, int height, int width, int channels, float cues[PULMO_CUES])
{
    float *room = malloc(audit_cues_floats(height, width) * sizeof *room);
    assert_non_null(room);
    audit_cues_of(of, height, width, channels, room, cues);
    free(room);
}

static int cue_called(const char *name)
{
    for (int c = 0; c < PULMO_CUES; c++)
        if (strcmp(audit_cue_name(c), name) == 0)
            return c;
    fail_msg("no cue is called %s", name);
    return -1;
}

static void assert_cue(const float *cues, const char *name, double wanted)
{
    const double have = (double)cues[cue_called(name)];
    if (!(fabs(have - wanted) <= 1e-4 * (1 + fabs(wanted))))
        fail_msg("%s is %.7g, not %.7g", name, have, wanted);
}

static void draw_noise(void)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, 3, PULMO_RNG_TEST, 0, 0);
    for (int i = 0; i < PIXELS; i++) {
        const int slope = 60 + i % WIDTH + i / WIDTH;
        pixels[i] = (uint8_t)(slope + (int)pulmo_rng_below(&rng, 60));
    }
}

/* ---- detail ---- */

static int mirror(int at, int count)
{
    while (at < 0 || at >= count)
        at = at < 0 ? -1 - at : 2 * count - 1 - at;
    return at;
}

static double smoothed(const double *in, int y, int x, int step)
{
    static const double spline[5] = {1, 4, 6, 4, 1};
    double sum = 0;
    for (int i = -2; i <= 2; i++)
        for (int j = -2; j <= 2; j++) {
            const int row = mirror(y + i * step, HEIGHT);
            const int column = mirror(x + j * step, WIDTH);
            sum += spline[i + 2] * spline[j + 2] / 256 * in[row * WIDTH + column];
        }
    return sum;
}

static double deviation(const double *fine, const double *coarse)
{
    double sum = 0, squares = 0, count = 0;
    for (int y = HEIGHT / 4; y < HEIGHT - HEIGHT / 4; y++)
        for (int x = WIDTH / 4; x < WIDTH - WIDTH / 4; x++) {
            const double band = fine[y * WIDTH + x] - coarse[y * WIDTH + x];
            sum += band;
            squares += band * band;
            count++;
        }
    return sqrt(squares / count - sum / count * (sum / count));
}

static void detail_is_of_wavelet_levels(void **state)
{
    (void)state;
    static double fine[PIXELS], coarse[PIXELS];
    float cues[PULMO_CUES];
    draw_noise();
    measure(pixels, HEIGHT, WIDTH, 1, cues);
    for (int i = 0; i < PIXELS; i++)
        fine[i] = pixels[i];
    for (int level = 0; level < 6; level++) {
        char name[16];
        for (int i = 0; i < PIXELS; i++)
            coarse[i] = smoothed(fine, i / WIDTH, i % WIDTH, 1 << level);
        snprintf(name, sizeof name, "detail_%d", level + 1);
        assert_cue(cues, name, deviation(fine, coarse));
        memcpy(fine, coarse, sizeof fine);
    }
}

/* ---- tones and places ---- */

static int ascending(const void *left, const void *right)
{
    return *(const uint8_t *)left - *(const uint8_t *)right;
}

static void tones_are_percentiles(void **state)
{
    (void)state;
    static const int percents[] = {1, 5, 10, 25, 50, 75, 90, 95, 99};
    uint8_t sorted[PIXELS];
    float cues[PULMO_CUES];
    draw_noise();
    measure(pixels, HEIGHT, WIDTH, 1, cues);
    memcpy(sorted, pixels, sizeof sorted);
    qsort(sorted, PIXELS, 1, ascending);
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        char name[16];
        const int rank = (PIXELS * percents[i] + 99) / 100; /* 38.4 of 3,840 is the 39th */
        snprintf(name, sizeof name, "tone_%d", percents[i]);
        assert_cue(cues, name, sorted[rank - 1]);
    }
}

static void fill(int top, int bottom, int left, int right, uint8_t value)
{
    for (int y = top; y < bottom; y++)
        memset(pixels + y * WIDTH + left, value, (size_t)(right - left));
}

/* Borders are 3 px high and 5 wide, corners 6 by 10, eighths 6 and 10. */
static void places_are_where_they_are_called(void **state)
{
    (void)state;
    float cues[PULMO_CUES];
    fill(0, HEIGHT, 0, WIDTH, 100);
    fill(0, 6, 0, 10, 240);                /* the upper left corner */
    fill(HEIGHT - 3, HEIGHT, 0, WIDTH, 0); /* the lower border */
    fill(12, 18, 70, 80, 20);              /* row 3, column 8 */
    measure(pixels, HEIGHT, WIDTH, 1, cues);
    assert_cue(cues, "corner_top_left", 240);
    assert_cue(cues, "corner_top_right", 100);
    assert_cue(cues, "corner_bottom_left", 50);
    assert_cue(cues, "corner_bottom_right", 50);
    assert_cue(cues, "border_top", (10 * 240 + 70 * 100) / 80.0);
    assert_cue(cues, "border_bottom", 0);
    assert_cue(cues, "border_left", (6 * 240 + 39 * 100) / 48.0);
    assert_cue(cues, "border_right", (39 * 100 + 6 * 20) / 48.0);
    assert_cue(cues, "row_1", (10 * 240 + 70 * 100) / 80.0);
    assert_cue(cues, "row_2", 100);
    assert_cue(cues, "row_3", (70 * 100 + 10 * 20) / 80.0);
    assert_cue(cues, "row_8", 50);
    assert_cue(cues, "column_1", (6 * 240 + 39 * 100) / 48.0);
    assert_cue(cues, "column_8", (39 * 100 + 6 * 20) / 48.0);
}

static void an_even_image_has_no_detail(void **state)
{
    (void)state;
    float cues[PULMO_CUES];
    fill(0, HEIGHT, 0, WIDTH, 77);
    measure(pixels, HEIGHT, WIDTH, 1, cues);
    for (int level = 0; level < 6; level++)
        assert_true(cues[level] == 0);
    for (int c = 6; c < PULMO_CUES; c++)
        assert_true(cues[c] == 77);
}

/* Grey stored as three channels has the cues of one. */
static void channels_are_averaged(void **state)
{
    (void)state;
    static uint8_t three[3 * PIXELS];
    float one_has[PULMO_CUES], three_have[PULMO_CUES];
    draw_noise();
    for (int i = 0; i < 3 * PIXELS; i++)
        three[i] = pixels[i / 3];
    measure(pixels, HEIGHT, WIDTH, 1, one_has);
    measure(three, HEIGHT, WIDTH, 3, three_have);
    assert_memory_equal(one_has, three_have, sizeof one_has);
    for (int i = 0; i < PIXELS; i++) {
        three[3 * i] = 10;
        three[3 * i + 1] = 20;
        three[3 * i + 2] = 90;
    }
    measure(three, HEIGHT, WIDTH, 3, three_have);
    assert_cue(three_have, "tone_50", 40);
}

/* Smaller than any border: no division by its area. */
static void small_images_have_cues(void **state)
{
    (void)state;
    const uint8_t few[4 * 3] = {0, 50, 100, 150, 200, 250, 0, 50, 100, 150, 200, 250};
    for (int height = 1; height <= 4; height++) {
        float cues[PULMO_CUES];
        measure(few, height, 3, 1, cues);
        for (int c = 0; c < PULMO_CUES; c++)
            assert_true(isfinite(cues[c]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detail_is_of_wavelet_levels),
        cmocka_unit_test(tones_are_percentiles),
        cmocka_unit_test(places_are_where_they_are_called),
        cmocka_unit_test(an_even_image_has_no_detail),
        cmocka_unit_test(channels_are_averaged),
        cmocka_unit_test(small_images_have_cues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
