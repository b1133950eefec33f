/* Overlays: where the map is 0 the image is left as it is, elsewhere it is bilinear between cells;
 * PNGs against libpng's own reader. */
#include "support.h"

#include <png.h>

#include "overlay.h"

enum { HEIGHT = 2, WIDTH = 8 };
static uint8_t grey[HEIGHT * WIDTH];

static int fill_image(void **state)
{
    (void)state;
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        grey[i] = (uint8_t)(16 * i);
    return 0;
}

static pulmo_image overlaid(float *map, int height, int width)
{
    const pulmo_image image = {
        .height_px = HEIGHT, .width_px = WIDTH, .channels = 1, .pixels = grey};
    const pulmo_explanation explanation = {.height = height, .width = width, .map = map};
    pulmo_image out;
    assert_ok(pulmo_explain_overlay(&image, &explanation, &out));
    assert_true(out.height_px == HEIGHT && out.width_px == WIDTH && out.channels == 3);
    return out;
}

static void zeros_leave_the_image(void **state)
{
    float map[] = {0, 0, 0, 0};
    pulmo_image out = overlaid(map, 2, 2);
    (void)state;
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(out.pixels[3 * i + c], grey[i]);
    pulmo_image_free(&out);
}

/* Two cells over 8 pixels have their centres at pixels 1.5 and 5.5: 0 and 1 are of the left cell
 * alone (align_corners false), 6 and 7 of the right. */
static void cells_stand_at_their_centres(void **state)
{
    float map[] = {0, 1};
    pulmo_image out = overlaid(map, 1, 2);
    (void)state;
    for (int x = 0; x < WIDTH; x++) {
        const uint8_t *pixel = out.pixels + 3 * x;
        bool is_grey = pixel[0] == pixel[1] && pixel[1] == pixel[2];
        assert_true(is_grey == (x < 2));
    }
    /* At the map's largest value the colour is pale yellow: red and green above blue. */
    const uint8_t *last = out.pixels + 3 * (WIDTH - 1);
    assert_true(last[0] > last[2] && last[1] > last[2]);
    pulmo_image_free(&out);
}

static void read_png(const uint8_t *data, size_t size, int format, uint8_t *out)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_memory(&png, data, size));
    assert_true(png.width == WIDTH && png.height == HEIGHT);
    assert_int_equal(png.format, format);
    assert_true(png_image_finish_read(&png, NULL, out, 0, NULL));
}

static const uint8_t *find(const uint8_t *data, size_t size, const char *what)
{
    return memmem(data, size, what, strlen(what));
}

static void a_png_holds_image_and_texts(void **state)
{
    const pulmo_image image = {
        .height_px = HEIGHT, .width_px = WIDTH, .channels = 1, .pixels = grey};
    const png_note texts[] = {{"Title", "lung \u2013 left"}, {"Software", "pulmo"}};
    uint8_t *data = NULL, *again = NULL, back[HEIGHT * WIDTH];
    size_t size = 0, same_size = 0;
    (void)state;
    assert_ok(overlay_png(&image, texts, 2, &data, &size));
    read_png(data, size, PNG_FORMAT_GRAY, back); /* checks the chunks' CRC, too */
    assert_memory_equal(back, grey, sizeof grey);
    const uint8_t *title = find(data, size, "iTXtTitle");
    assert_non_null(title);
    assert_memory_equal(title + 9, "\0\0\0\0\0lung \xe2\x80\x93 left", 18);
    assert_non_null(find(data, size, "iTXtSoftware"));
    assert_ok(overlay_png(&image, texts, 2, &again, &same_size));
    assert_int_equal(same_size, size);
    assert_memory_equal(again, data, size);
    free(data);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_leave_the_image),
        cmocka_unit_test(cells_stand_at_their_centres),
        cmocka_unit_test(a_png_holds_image_and_texts),
    };
    return cmocka_run_group_tests(tests, fill_image, NULL);
}
