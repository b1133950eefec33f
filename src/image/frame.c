/* Windows of images: see the header. */
#include "frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "resize.h"

/* ---- aspect ---- */

/* a * b / c, to the nearest, halves up; at least 1. */
static int scaled(int a, int b, int c)
{
    const int64_t twice = 2 * (int64_t)a * b + c;
    const int64_t value = twice / (2 * (int64_t)c);
    return value > 0 ? (int)value : 1;
}

/* Whether a window is wider than (height, width) would be. */
static bool is_wider(image_window of, int height, int width)
{
    return (int64_t)of.width * height > (int64_t)of.height * width;
}

image_window frame_crop(image_window of, int height, int width)
{
    image_window part = of;
    if (is_wider(of, height, width))
        part.width = scaled(of.height, width, height);
    else
        part.height = scaled(of.width, height, width);
    part.top += (of.height - part.height) / 2;
    part.left += (of.width - part.width) / 2;
    return part;
}

image_window frame_pad(image_window of, int height, int width)
{
    image_window place = {.height = height, .width = width};
    if (is_wider(of, height, width))
        place.height = scaled(of.height, width, of.width);
    else
        place.width = scaled(of.width, height, of.height);
    place.top = (height - place.height) / 2;
    place.left = (width - place.width) / 2;
    return place;
}

/* ---- borders ---- */

#define DARK_MOST   16  /* a pixel is black up to this level */
#define LIGHT_LEAST 239 /* and white from this one on */
#define PERCENT     98  /* of a line's pixels that make it one of the frame */
#define SIDE_SHARE  5   /* at most a fifth is cut from each side */

/* The pixels of a line: where it begins, how far apart they are, how many. */
typedef struct pixel_line {
    const uint8_t *first;
    size_t step;
    int count, channels;
} pixel_line;

static const uint8_t *pixel_of(const pulmo_image *image, int row, int column)
{
    const size_t pixels = (size_t)row * (size_t)image->width_px + (size_t)column;
    return image->pixels + pixels * (size_t)image->channels;
}

static pixel_line row_of(const pulmo_image *image, image_window in, int row)
{
    const size_t channels = (size_t)image->channels;
    return (pixel_line){pixel_of(image, row, in.left), channels, in.width, image->channels};
}

static pixel_line column_of(const pulmo_image *image, image_window in, int column)
{
    const size_t row_bytes = (size_t)image->width_px * (size_t)image->channels;
    return (pixel_line){pixel_of(image, in.top, column), row_bytes, in.height, image->channels};
}

static bool is_frame(pixel_line line)
{
    int64_t dark = 0;
    int64_t light = 0;
    const uint8_t *pixel = line.first;
    for (int i = 0; i < line.count; i++) {
        uint8_t least = pixel[0];
        uint8_t most = pixel[0];
        for (int c = 1; c < line.channels; c++) {
            least = pixel[c] < least ? pixel[c] : least;
            most = pixel[c] > most ? pixel[c] : most;
        }
        dark += most <= DARK_MOST;
        light += least >= LIGHT_LEAST;
        pixel += line.step;
    }
    const int64_t enough = (int64_t)line.count * PERCENT;
    return dark * 100 >= enough || light * 100 >= enough;
}

/* How much may be cut from each side still. */
typedef struct cut_room {
    int top, bottom, left, right;
} cut_room;

static void cut_rows(const pulmo_image *image, image_window *in, cut_room *room)
{
    while (room->top > 0 && is_frame(row_of(image, *in, in->top))) {
        in->top++;
        in->height--;
        room->top--;
    }
    while (room->bottom > 0 && is_frame(row_of(image, *in, in->top + in->height - 1))) {
        in->height--;
        room->bottom--;
    }
}

static void cut_columns(const pulmo_image *image, image_window *in, cut_room *room)
{
    while (room->left > 0 && is_frame(column_of(image, *in, in->left))) {
        in->left++;
        in->width--;
        room->left--;
    }
    while (room->right > 0 && is_frame(column_of(image, *in, in->left + in->width - 1))) {
        in->width--;
        room->right--;
    }
}

image_window frame_border(const pulmo_image *image)
{
    image_window in = {.height = image->height_px, .width = image->width_px};
    const int rows = in.height / SIDE_SHARE;
    const int columns = in.width / SIDE_SHARE;
    cut_room room = {rows, rows, columns, columns};
    image_window before;
    /* A black frame may lie within a white one: what is cut on one side shows more on another. */
    do {
        before = in;
        cut_rows(image, &in, &room);
        cut_columns(image, &in, &room);
    } while (memcmp(&before, &in, sizeof in) != 0);
    return in;
}

/* ---- pixels ---- */

static pulmo_status image_make(int height, int width, int channels, pulmo_image *out)
{
    const size_t pixels = (size_t)height * (size_t)width;
    *out = (pulmo_image){.height_px = height, .width_px = width, .channels = channels};
    out->pixels = calloc(pixels, (size_t)channels);
    if (out->pixels)
        return PULMO_OK;
    *out = (pulmo_image){0};
    return pulmo_fail(PULMO_MEMORY, "out of memory for %d x %d pixels", width, height);
}

static pulmo_status resize_window(const pulmo_image *image, image_window window, int height,
                                  int width, pulmo_image *out)
{
    const size_t row_bytes = (size_t)window.width * (size_t)image->channels;
    resizer r;
    PULMO_TRY(resizer_begin(&r, window.height, window.width, image->channels, height, width));
    for (int y = 0; y < window.height; y++) {
        const uint8_t *from = pixel_of(image, window.top + y, window.left);
        memcpy(resizer_row(&r), from, row_bytes);
        resizer_took(&r);
    }
    return resizer_end(&r, out);
}

pulmo_status frame_surround(pulmo_image *image, image_window window, int height, int width)
{
    const size_t row_bytes = (size_t)image->width_px * (size_t)image->channels;
    pulmo_image around;
    pulmo_status status = image_make(height, width, image->channels, &around);
    for (int y = 0; status == PULMO_OK && y < window.height; y++) {
        const size_t pixels = (size_t)(window.top + y) * (size_t)width + (size_t)window.left;
        uint8_t *to = around.pixels + pixels * (size_t)image->channels;
        memcpy(to, pixel_of(image, y, 0), row_bytes);
    }
    pulmo_image_free(image);
    *image = around;
    return status;
}

static int longer_of(image_window window)
{
    return window.height > window.width ? window.height : window.width;
}

static pulmo_status apply_pad(const pulmo_image *image, image_window window, int height, int width,
                              pulmo_image *out)
{
    const image_window place = frame_pad(window, height, width);
    PULMO_TRY(resize_window(image, window, place.height, place.width, out));
    return frame_surround(out, place, height, width);
}

pulmo_status frame_apply(const pulmo_image *image, image_window window,
                         const pulmo_decode_spec *spec, pulmo_image *out)
{
    const bool resizes = spec->height_px > 0;
    int height = spec->height_px;
    int width = spec->width_px;
    if (spec->fit == PULMO_FIT_PAD) {
        const int side = longer_of(window);
        return apply_pad(image, window, resizes ? height : side, resizes ? width : side, out);
    }
    if (spec->fit == PULMO_FIT_CROP)
        window = frame_crop(window, resizes ? height : 1, resizes ? width : 1);
    if (!resizes) {
        height = window.height;
        width = window.width;
    }
    return resize_window(image, window, height, width, out);
}

/* ---- what was padded ---- */

static bool is_black(pixel_line line)
{
    for (int i = 0; i < line.count; i++) {
        for (int c = 0; c < line.channels; c++)
            if (line.first[c] != 0)
                return false;
        line.first += line.step;
    }
    return true;
}

/* Black lines on both sides: as many on each, or one more on the second. */
typedef struct black_lines {
    int before, after;
} black_lines;

typedef pixel_line line_function(const pulmo_image *image, image_window in, int line);

static black_lines count_black(const pulmo_image *image, image_window all, line_function *line_of,
                               int lines)
{
    black_lines black = {0};
    while (black.before < lines && is_black(line_of(image, all, black.before)))
        black.before++;
    while (black.after < lines && is_black(line_of(image, all, lines - 1 - black.after)))
        black.after++;
    if (black.before > black.after)
        black.before = black.after;
    if (black.after > black.before)
        black.after = black.before + 1;
    if (black.before + black.after >= lines) /* there is nothing else */
        black = (black_lines){0};
    return black;
}

pulmo_status pulmo_image_unpad(const pulmo_image *image, pulmo_image *out)
{
    const image_window all = {.height = image->height_px, .width = image->width_px};
    const black_lines rows = count_black(image, all, row_of, all.height);
    const black_lines columns = count_black(image, all, column_of, all.width);
    image_window inner = all;
    if (rows.before + rows.after >= columns.before + columns.after) {
        inner.top = rows.before;
        inner.height -= rows.before + rows.after;
    } else {
        inner.left = columns.before;
        inner.width -= columns.before + columns.after;
    }
    return resize_window(image, inner, all.height, all.width, out);
}
