/* Planes, tiles, runs and where a weight stands: each value has one place, and nothing else is
 * touched. */
#include "support.h"

#include "geometry.h"

#define UNTOUCHED (-7.0f)

/* A plane of `images` images, every value UNTOUCHED. */
static pulmo_plane marked_plane(int channels, int height, int width, int images)
{
    pulmo_plane plane = pulmo_plane_of(6, channels, height, width);
    size_t count = images * plane.image_reals;
    plane.data = malloc(count * sizeof(real));
    assert_non_null(plane.data);
    for (size_t i = 0; i < count; i++)
        plane.data[i] = UNTOUCHED;
    return plane;
}

static bool in_image(const pulmo_plane *plane, int row, int column)
{
    return row >= 1 && row <= plane->height && column >= 1 && column <= plane->width;
}

static void whole_tiles_can_be_read(void **state)
{
    (void)state;
    for (int out = 5; out <= 7; out++)
        for (int side = 1; side <= 17; side++) {
            pulmo_plane plane = pulmo_plane_of(out, 32, side, 20 - side);
            pulmo_tiles tiles = pulmo_tiles_of(out, side, 20 - side);
            assert_int_equal(tiles.out, out);
            assert_int_equal(plane.rows, (tiles.down - 1) * out + tile_in(out));
            assert_int_equal(plane.columns, (tiles.across - 1) * out + tile_in(out));
            assert_true(tiles.down * out >= side && (tiles.down - 1) * out < side);
            assert_true(plane.image_reals == (size_t)(32 * plane.rows * plane.columns));
        }
}

/* What clear_frame and fill leave untouched of a block is nothing, of other blocks everything. */
static void a_block_is_filled_and_framed(void **state)
{
    enum { IMAGES = 2, CHANNELS = 19, HEIGHT = 5, WIDTH = 7, CELLS = HEIGHT * WIDTH };
    float values[IMAGES * CHANNELS * CELLS];
    pulmo_plane plane = marked_plane(32, HEIGHT, WIDTH, IMAGES);
    (void)state;
    for (int i = 0; i < IMAGES * CHANNELS * CELLS; i++)
        values[i] = (float)(i + 1);
    pulmo_plane_clear_frame(&plane, 1, 1);
    pulmo_plane_fill(&plane, 1, 1, values, CHANNELS);
    for (int image = 0; image < IMAGES; image++)
        for (int c = 0; c < 32; c++)
            for (int row = 0; row < plane.rows; row++)
                for (int column = 0; column < plane.columns; column++) {
                    int cell = (row - 1) * WIDTH + column - 1;
                    float wanted = 0;
                    if (image != 1 || c < CHANNEL_BLOCK)
                        wanted = UNTOUCHED;
                    else if (in_image(&plane, row, column) && c < CHANNELS)
                        wanted = values[(image * CHANNELS + c) * CELLS + cell];
                    const real *at = plane_at(&plane, image, c / CHANNEL_BLOCK, row, column);
                    assert_true(at[c % CHANNEL_BLOCK] == wanted);
                }
    free(plane.data);
}

static void reading_is_the_way_back(void **state)
{
    enum { IMAGES = 3, CHANNELS = 48, HEIGHT = 6, WIDTH = 9, COUNT = CHANNELS * HEIGHT * WIDTH };
    static float values[IMAGES * COUNT], back[IMAGES * COUNT];
    pulmo_plane plane = marked_plane(CHANNELS, HEIGHT, WIDTH, IMAGES);
    (void)state;
    fill_normal(values, IMAGES * COUNT, 11);
    for (int task = 0; task < IMAGES * CHANNELS / CHANNEL_BLOCK; task++) {
        pulmo_plane_fill(&plane, task / 3, task % 3, values, CHANNELS);
        pulmo_plane_read(&plane, task / 3, task % 3, back);
    }
    assert_memory_equal(values, back, sizeof values);
    free(plane.data);
}

/* Runs take every tile once, in order, none longer than the most and none empty. */
static void check_runs(int out, int inputs, int outputs, int total, int threads)
{
    pulmo_tiles all = {.out = out, .count = total, .down = 3, .across = 5};
    int each = pulmo_run_tiles(&all, inputs, outputs, threads);
    int runs = divide_up(total, each);
    int taken = 0;
    assert_in_range(each, 1, pulmo_run_tiles_most(out, inputs, outputs));
    for (int run = 0; run < runs; run++) {
        pulmo_tiles tiles = pulmo_tiles_of_run(&all, run, each);
        assert_int_equal(tiles.first, taken);
        assert_in_range(tiles.count, 1, each);
        for (int t = 0; t < tiles.count; t++) {
            tile at = tile_at(&tiles, t);
            assert_in_range(at.down, 0, 2);
            assert_in_range(at.across, 0, 4);
            assert_int_equal((at.image * 3 + at.down) * 5 + at.across, taken + t);
        }
        taken += tiles.count;
    }
    assert_int_equal(taken, total);
    if (total >= 1000 * threads)
        assert_true(runs >= threads);
}

static void runs_take_every_tile_once(void **state)
{
    static const int channels[] = {16, 64, 128, 512}, totals[] = {1, 7, 131, 132, 133, 5000};
    (void)state;
    for (int c = 0; c < 4; c++)
        for (int k = 0; k < 4; k++)
            for (int i = 0; i < 6; i++)
                for (int threads = 1; threads <= 5; threads += 2)
                    check_runs(5 + i % 3, channels[c], channels[k], totals[i], threads);
    assert_true(pulmo_run_tiles_most(7, 512, 512) == 132); /* large weights serve many tiles */
    assert_true(pulmo_run_tiles_most(5, 16, 16) <= 132);
}

/* Weights of a point fill inputs * outputs places, each once; a panel's row stands together. */
static void each_weight_has_its_place(void **state)
{
    static const int panels[] = {16, 64}, outputs[] = {16, 64, 80, 144};
    (void)state;
    for (int p = 0; p < 2; p++)
        for (int o = 0; o < 4; o++) {
            enum { INPUTS = 27 };
            int k_end = outputs[o];
            bool *taken = calloc((size_t)(INPUTS * k_end), sizeof *taken);
            assert_non_null(taken);
            for (int c = 0; c < INPUTS; c++)
                for (int k = 0; k < k_end; k++) {
                    size_t at = weight_offset(panels[p], INPUTS, k_end, c, k);
                    assert_true(at < (size_t)(INPUTS * k_end));
                    assert_false(taken[at]);
                    taken[at] = true;
                    if (k % CHANNEL_BLOCK > 0)
                        assert_true(at == 1 + weight_offset(panels[p], INPUTS, k_end, c, k - 1));
                }
            free(taken);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_tiles_can_be_read),   cmocka_unit_test(a_block_is_filled_and_framed),
        cmocka_unit_test(reading_is_the_way_back),   cmocka_unit_test(runs_take_every_tile_once),
        cmocka_unit_test(each_weight_has_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
