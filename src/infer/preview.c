/* `pulmo preview`: a contact sheet, since people would rather look. */
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/explain.h"
#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/infer.h"
#include "pulmo/specs.h"
#include "pulmo/text.h"

#define CELL_MAX  168 /* px */
#define GAP       6
#define TEXT_ROOM 18 /* px above a cell */
#define GLYPH     2  /* px, a dot's side */
#define PAPER     28
#define INK       225

/* ---- letters: an octal digit per row of three dots, from the top ---- */

#define GLYPH_ROWS    5
#define GLYPH_COLUMNS 3
#define LETTER_WIDTH  ((GLYPH_COLUMNS + 1) * GLYPH) /* px, with the gap behind it */

static const struct {
    char letter;
    uint16_t dots;
} glyphs[] = {
    {'A', 025755}, {'B', 065656}, {'C', 034443}, {'D', 065556}, {'E', 074647}, {'F', 074644},
    {'G', 034553}, {'H', 055755}, {'I', 072227}, {'J', 011152}, {'K', 055655}, {'L', 044447},
    {'M', 057755}, {'N', 065555}, {'O', 025552}, {'P', 065644}, {'Q', 025563}, {'R', 065655},
    {'S', 034216}, {'T', 072222}, {'U', 055557}, {'V', 055552}, {'W', 055775}, {'X', 055255},
    {'Y', 055222}, {'Z', 071247}, {'0', 075557}, {'1', 026227}, {'2', 071747}, {'3', 071317},
    {'4', 055711}, {'5', 074717}, {'6', 074757}, {'7', 071222}, {'8', 075757}, {'9', 075717},
    {'-', 000700}, {'_', 000007}, {'.', 000002}, {'/', 011244}, {',', 000024}, {'(', 012221},
    {')', 042224}, {'+', 002720}, {'=', 007070}, {'%', 051245}, {':', 002020}, {' ', 000000},
};

static uint16_t dots_of(char letter)
{
    const size_t count = sizeof glyphs / sizeof glyphs[0];
    const int capital = toupper((unsigned char)letter);
    for (size_t i = 0; i < count; i++)
        if (glyphs[i].letter == capital)
            return glyphs[i].dots;
    return 071202; /* ? */
}

static uint8_t *pixel_at(pulmo_image *sheet, int x, int y)
{
    const ptrdiff_t row = (ptrdiff_t)y * sheet->width_px;
    const ptrdiff_t pixel = row + x;
    return sheet->pixels + pixel * sheet->channels;
}

static void draw_dot(pulmo_image *sheet, int x, int y)
{
    const size_t row_bytes = (size_t)(GLYPH * sheet->channels);
    for (int i = 0; i < GLYPH; i++) {
        uint8_t *row = pixel_at(sheet, x, y + i);
        memset(row, INK, row_bytes);
    }
}

static bool has_dot(uint16_t dots, int row, int column)
{
    const int number = row * GLYPH_COLUMNS + column;
    const int last = GLYPH_ROWS * GLYPH_COLUMNS - 1;
    return dots >> (last - number) & 1;
}

static void draw_letter(pulmo_image *sheet, char letter, int x, int y)
{
    const uint16_t dots = dots_of(letter);
    for (int row = 0; row < GLYPH_ROWS; row++) {
        for (int column = 0; column < GLYPH_COLUMNS; column++) {
            const int dot_x = x + column * GLYPH;
            const int dot_y = y + row * GLYPH;
            if (has_dot(dots, row, column))
                draw_dot(sheet, dot_x, dot_y);
        }
    }
}

/* At (x, y), no wider than `room`: of a text that is too long the end is shown, which tells files
 * apart. */
static void draw_text(pulmo_image *sheet, const char *text, int x, int y, int room)
{
    const size_t fits = (size_t)(room / LETTER_WIDTH);
    const size_t length = strlen(text);
    if (length > fits)
        text += length - fits;
    for (; *text; text++) {
        draw_letter(sheet, *text, x, y);
        x += LETTER_WIDTH;
    }
}

/* ---- cells ---- */

typedef struct preview {
    const pulmo_preview_options *options;
    pulmo_dataset *dataset;
    const pulmo_dataset_info *info;
    pulmo_augment_spec augment;
    pulmo_image sheet;
    int rows;          /* images shown: those asked for, or all that there are */
    int cell;          /* px: a cell's side */
    pulmo_image image; /* as packed */
    pulmo_image view;  /* as training sees it */
    float *floats;     /* (3, H, W), of a view */
} preview;

/* px from the left, from the top. */
static int left_of(const preview *p, int column)
{
    const int step = p->cell + GAP;
    return GAP + column * step;
}

static int top_of(const preview *p, int row)
{
    const int step = p->cell + TEXT_ROOM + GAP;
    return TEXT_ROOM + row * step;
}

/* Puts an image of the packed size into a cell. */
static pulmo_status paste(preview *p, const pulmo_image *image, int row, int column)
{
    pulmo_image small;
    PULMO_TRY(pulmo_image_resize(image, p->cell, p->cell, &small));
    const int x = left_of(p, column);
    const int y = top_of(p, row) + TEXT_ROOM;
    const size_t row_bytes = (size_t)(p->cell * small.channels);
    for (int i = 0; i < p->cell; i++) {
        uint8_t *to = pixel_at(&p->sheet, x, y + i);
        const uint8_t *from = pixel_at(&small, 0, i);
        memcpy(to, from, row_bytes);
    }
    pulmo_image_free(&small);
    return PULMO_OK;
}

static uint8_t to_byte(float value)
{
    const float rounded = rintf(value);
    const float clipped = fminf(fmaxf(rounded, 0), 255);
    return (uint8_t)clipped;
}

/* What the network is given, back as pixels. */
static void view_to_pixels(preview *p)
{
    const pulmo_image *view = &p->view;
    const int channels = view->channels;
    const size_t pixels = (size_t)view->height_px * (size_t)view->width_px;
    const float *from = p->floats;
    for (int c = 0; c < channels; c++) {
        const float mean = pulmo_torchvision_mean[c];
        const float deviation = pulmo_torchvision_std[c];
        uint8_t *to = view->pixels + c;
        for (size_t i = 0; i < pixels; i++) {
            const float part = from[i] * deviation + mean;
            *to = to_byte(255.0f * part);
            to += channels;
        }
        from += pixels;
    }
}

/* What the loader would give the network. */
static pulmo_status paste_view(preview *p, uint32_t sample, int epoch, int row)
{
    const pulmo_image *image = &p->image;
    const int height = image->height_px;
    const int width = image->width_px;
    const uint64_t seed = (uint64_t)p->options->config->train.seed;
    pulmo_augment_draw draw;
    pulmo_augment_draw_at(&p->augment, seed, (uint64_t)epoch, sample, height, width, &draw);
    PULMO_TRY(pulmo_augment_apply(&draw, image->pixels, height, width, image->channels,
                                  pulmo_torchvision_mean, pulmo_torchvision_std, p->floats));
    view_to_pixels(p);
    return paste(p, &p->view, row, epoch + 1);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return path;
    return slash + 1;
}

static pulmo_status draw_row(preview *p, uint32_t sample, int row)
{
    const pulmo_dataset_info *info = p->info;
    const int label = info->labels[sample];
    const char *class = info->class_names[label];
    const int text_top = top_of(p, row) + 4;
    const int text_room = p->sheet.width_px - 2 * GAP;
    char text[1024];
    PULMO_TRY(pulmo_dataset_read(p->dataset, sample, p->image.pixels));
    PULMO_TRY(paste(p, &p->image, row, 0));
    snprintf(text, sizeof text, "%s  %s", class, file_name(info->paths[sample]));
    draw_text(&p->sheet, text, GAP, text_top, text_room);
    for (int epoch = 0; epoch < p->options->views; epoch++)
        PULMO_TRY(paste_view(p, sample, epoch, row));
    return PULMO_OK;
}

/* ---- the sheet ---- */

static pulmo_status make_image(int height_px, int width_px, int channels, pulmo_image *out)
{
    const size_t pixels = (size_t)height_px * (size_t)width_px;
    const size_t bytes = pixels * (size_t)channels;
    out->height_px = height_px;
    out->width_px = width_px;
    out->channels = channels;
    out->pixels = malloc(bytes);
    if (!out->pixels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an image of %d x %d px", height_px,
                          width_px);
    memset(out->pixels, PAPER, bytes);
    return PULMO_OK;
}

static pulmo_status make_images(preview *p)
{
    const pulmo_dataset_info *info = p->info;
    const int height = info->height_px;
    const int width = info->width_px;
    const int channels = info->channels;
    const int sheet_width = left_of(p, p->options->views + 1);
    const int sheet_height = top_of(p, p->rows);
    const size_t pixels = (size_t)height * (size_t)width;
    PULMO_TRY(make_image(sheet_height, sheet_width, channels, &p->sheet));
    PULMO_TRY(make_image(height, width, channels, &p->image));
    PULMO_TRY(make_image(height, width, channels, &p->view));
    p->floats = pulmo_alloc(3 * pixels, sizeof *p->floats);
    if (!p->floats)
        return PULMO_MEMORY;
    return PULMO_OK;
}

static pulmo_status make_sheet(preview *p)
{
    const int views = p->options->views;
    p->cell = p->info->width_px;
    if (p->cell > CELL_MAX)
        p->cell = CELL_MAX;
    PULMO_TRY(make_images(p));
    draw_text(&p->sheet, "as packed", GAP, 5, p->cell);
    for (int column = 1; column <= views; column++) {
        const int x = left_of(p, column);
        char text[32];
        snprintf(text, sizeof text, "epoch %d", column);
        draw_text(&p->sheet, text, x, 5, p->cell);
    }
    return PULMO_OK;
}

/* Turn t is of class t modulo classes, by a permutation of the seed; -1 when all of it have been
 * shown. */
static int64_t sample_of(const preview *p, const uint32_t *order, int turn)
{
    const pulmo_dataset_info *info = p->info;
    const int class = turn % info->classes;
    int nth = turn / info->classes;
    for (uint32_t i = 0; i < info->count; i++) {
        const uint32_t sample = order[i];
        if (info->labels[sample] != class)
            continue;
        if (nth == 0)
            return sample;
        nth--;
    }
    return -1;
}

static pulmo_status draw_rows(preview *p)
{
    const uint64_t seed = (uint64_t)p->options->config->train.seed;
    const uint32_t count = p->info->count;
    const size_t room = (size_t)count + 1;
    pulmo_rng rng;
    uint32_t *order = malloc(room * sizeof *order);
    if (!order)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the order of %u images", count);
    pulmo_rng_at(&rng, seed, PULMO_RNG_SHUFFLE, 0, 0);
    pulmo_rng_permutation(&rng, count, order);
    pulmo_status status = PULMO_OK;
    int row = 0;
    for (int turn = 0; row < p->rows && status == PULMO_OK; turn++) {
        const int64_t sample = sample_of(p, order, turn);
        if (sample < 0)
            continue;
        status = draw_row(p, (uint32_t)sample, row);
        row++;
    }
    free(order);
    return status;
}

static pulmo_status write_sheet(const preview *p)
{
    const pulmo_preview_options *o = p->options;
    const char *demo = "";
    if (p->info->is_demo)
        demo = " (DEMO data: drawn phantoms)";
    uint8_t *png = NULL;
    size_t bytes = 0;
    PULMO_TRY(pulmo_png_encode(&p->sheet, &png, &bytes));
    pulmo_status status = pulmo_file_write(o->out, png, bytes);
    free(png);
    if (status == PULMO_OK)
        pulmo_info("%s: %d x %d px, %d image%s as packed and in the first %d epoch%s%s", o->out,
                   p->sheet.width_px, p->sheet.height_px, p->rows, pulmo_plural((uint64_t)p->rows),
                   o->views, pulmo_plural((uint64_t)o->views), demo);
    return status;
}

pulmo_status pulmo_preview(const pulmo_preview_options *options)
{
    preview p = {.options = options};
    pulmo_status status;
    pulmo_augment_from(options->config, &p.augment);
    PULMO_TRY(pulmo_augment_spec_check(&p.augment));
    PULMO_TRY(pulmo_dataset_open(options->data, options->split, 0, &p.dataset));
    p.info = pulmo_dataset_info_of(p.dataset);
    p.rows = options->rows;
    if ((uint32_t)p.rows > p.info->count)
        p.rows = (int)p.info->count;
    PULMO_GOTO(make_sheet(&p));
    PULMO_GOTO(draw_rows(&p));
    status = write_sheet(&p);
out:
    pulmo_free(p.floats);
    pulmo_image_free(&p.image);
    pulmo_image_free(&p.view);
    pulmo_image_free(&p.sheet);
    pulmo_dataset_close(p.dataset);
    return status;
}
