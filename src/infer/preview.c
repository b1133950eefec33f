/* `pulmo preview`: a contact sheet, since people would rather look. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/explain.h"
#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/features.h"
#include "pulmo/infer.h"
#include "pulmo/results.h"
#include "pulmo/specs.h"
#include "pulmo/weights.h"

#define CELL_MAX  168 /* px */
#define GAP       6
#define TEXT_ROOM 18 /* px above a cell */
#define GLYPH     2  /* px a dot */
#define PAPER     28
#define INK       225

/* ---- letters: 3 x 5 dots, a digit a row from the top ---- */

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
    for (size_t i = 0; i < sizeof glyphs / sizeof glyphs[0]; i++)
        if (glyphs[i].letter == toupper((unsigned char)letter))
            return glyphs[i].dots;
    return 071202; /* ? */
}

static void dot(pulmo_image *sheet, int x, int y, uint8_t value)
{
    size_t at = ((size_t)y * (size_t)sheet->width_px + (size_t)x) * (size_t)sheet->channels;
    memset(sheet->pixels + at, value, (size_t)sheet->channels);
}

/* At (x, y), no wider than `room`: of a text that is too long the end is shown, which tells files
 * apart. */
static void write_text(pulmo_image *sheet, const char *text, int x, int y, int room)
{
    size_t fits = (size_t)(room / (4 * GLYPH)), length = strlen(text);
    if (length > fits)
        text += length - fits;
    for (; *text; text++, x += 4 * GLYPH) {
        uint16_t dots = dots_of(*text);
        for (int i = 0; i < 15 * GLYPH * GLYPH; i++) {
            int dx = i % (3 * GLYPH), dy = i / (3 * GLYPH);
            if (dots >> (14 - (dy / GLYPH * 3 + dx / GLYPH)) & 1)
                dot(sheet, x + dx, y + dy, INK);
        }
    }
}

/* ---- cells ---- */

typedef struct preview {
    const pulmo_preview_options *options;
    pulmo_dataset *dataset;
    const pulmo_dataset_info *info;
    pulmo_augment_spec augment;
    pulmo_image sheet;
    int rows;        /* images shown: those asked for, or all that there are */
    int cell, left;  /* px: a cell's side, and the room for a row's text */
    uint8_t *pixels; /* of one image */
    float *view;     /* (3, H, W) */
} preview;

static int place(const preview *p, int step)
{
    return step * (p->cell + GAP);
}

/* Puts an image of the packed size into a cell. */
static pulmo_status paste(preview *p, const pulmo_image *image, int row, int column)
{
    pulmo_image small;
    int c = p->sheet.channels, x0 = GAP + place(p, column),
        y0 = TEXT_ROOM + row * (p->cell + TEXT_ROOM + GAP) + TEXT_ROOM;
    PULMO_TRY(pulmo_image_resize(image, p->cell, p->cell, &small));
    for (int y = 0; y < p->cell; y++)
        memcpy(p->sheet.pixels +
                   ((size_t)(y0 + y) * (size_t)p->sheet.width_px + (size_t)x0) * (size_t)c,
               small.pixels + (size_t)y * (size_t)p->cell * (size_t)c, (size_t)p->cell * (size_t)c);
    pulmo_image_free(&small);
    return PULMO_OK;
}

/* What the loader would give the network, back as pixels. */
static pulmo_status paste_view(preview *p, uint32_t sample, uint32_t epoch, int row)
{
    const float *mean = pulmo_torchvision_mean, *deviation = pulmo_torchvision_std;
    const pulmo_dataset_info *info = p->info;
    size_t pixels = (size_t)info->height_px * (size_t)info->width_px,
           channels = (size_t)info->channels;
    pulmo_augment_draw draw;
    pulmo_image image = {.height_px = info->height_px,
                         .width_px = info->width_px,
                         .channels = info->channels,
                         .pixels = malloc(pixels * channels)};
    if (!image.pixels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a view");
    pulmo_augment_draw_at(&p->augment, (uint64_t)p->options->config->train.seed, epoch, sample,
                          info->height_px, info->width_px, &draw);
    pulmo_status status = pulmo_augment_apply(&draw, p->pixels, info->height_px, info->width_px,
                                              info->channels, mean, deviation, p->view);
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < pixels; i++) {
            float value = rintf(255.0f * (p->view[c * pixels + i] * deviation[c] + mean[c]));
            image.pixels[i * channels + c] = (uint8_t)fminf(fmaxf(value, 0), 255);
        }
    if (status == PULMO_OK)
        status = paste(p, &image, row, (int)epoch + 1);
    pulmo_image_free(&image);
    return status;
}

static pulmo_status draw_row(preview *p, uint32_t sample, int row)
{
    const pulmo_dataset_info *info = p->info;
    int y = TEXT_ROOM + row * (p->cell + TEXT_ROOM + GAP) + 4;
    char text[1024];
    const char *path = strrchr(info->paths[sample], '/');
    PULMO_TRY(pulmo_dataset_read(p->dataset, sample, p->pixels));
    const pulmo_image image = {.height_px = info->height_px,
                               .width_px = info->width_px,
                               .channels = info->channels,
                               .pixels = p->pixels};
    PULMO_TRY(paste(p, &image, row, 0));
    snprintf(text, sizeof text, "%s  %s", info->class_names[info->labels[sample]],
             path ? path + 1 : info->paths[sample]);
    write_text(&p->sheet, text, GAP, y, p->sheet.width_px - 2 * GAP);
    for (int v = 0; v < p->options->views; v++)
        PULMO_TRY(paste_view(p, sample, (uint32_t)v, row));
    return PULMO_OK;
}

/* ---- the sheet ---- */

static pulmo_status make_sheet(preview *p)
{
    const pulmo_dataset_info *info = p->info;
    p->cell = info->width_px < CELL_MAX ? info->width_px : CELL_MAX;
    p->sheet = (pulmo_image){.height_px = TEXT_ROOM + p->rows * (p->cell + TEXT_ROOM + GAP),
                             .channels = info->channels,
                             .width_px = GAP + place(p, p->options->views + 1)};
    size_t bytes =
        (size_t)p->sheet.height_px * (size_t)p->sheet.width_px * (size_t)p->sheet.channels;
    size_t pixels = (size_t)info->height_px * (size_t)info->width_px;
    p->sheet.pixels = malloc(bytes);
    p->pixels = malloc(pixels * (size_t)info->channels);
    p->view = malloc(3 * pixels * sizeof *p->view);
    if (!p->sheet.pixels || !p->pixels || !p->view)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a contact sheet");
    memset(p->sheet.pixels, PAPER, bytes);
    write_text(&p->sheet, "as packed", GAP, 5, p->cell);
    for (int v = 0; v < p->options->views; v++) {
        char text[32];
        snprintf(text, sizeof text, "epoch %d", v + 1);
        write_text(&p->sheet, text, GAP + place(p, v + 1), 5, p->cell);
    }
    return PULMO_OK;
}

/* Turn t is of class t modulo classes, by a permutation of the seed; -1 when all of it have been
 * shown. */
static int64_t sample_of(const preview *p, const uint32_t *order, int turn)
{
    int class = turn % p->info->classes, nth = turn / p->info->classes;
    for (uint32_t i = 0; i < p->info->count; i++)
        if (p->info->labels[order[i]] == class && nth-- == 0)
            return order[i];
    return -1;
}

static pulmo_status draw_rows(preview *p)
{
    pulmo_rng rng;
    uint32_t *order = malloc(((size_t)p->info->count + 1) * sizeof *order);
    if (!order)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a contact sheet");
    pulmo_rng_at(&rng, (uint64_t)p->options->config->train.seed, PULMO_RNG_SHUFFLE, 0, 0);
    pulmo_rng_permutation(&rng, p->info->count, order);
    pulmo_status status = PULMO_OK;
    for (int turn = 0, row = 0; row < p->rows && status == PULMO_OK; turn++) {
        int64_t sample = sample_of(p, order, turn);
        if (sample >= 0)
            status = draw_row(p, (uint32_t)sample, row++);
    }
    free(order);
    return status;
}

pulmo_status pulmo_preview(const pulmo_preview_options *options)
{
    preview p = {.options = options};
    uint8_t *png = NULL;
    size_t bytes = 0;
    pulmo_status status = PULMO_OK;
    pulmo_augment_from(options->config, &p.augment);
    PULMO_TRY(pulmo_augment_spec_check(&p.augment));
    PULMO_TRY(pulmo_dataset_open(options->data, options->split, 0, &p.dataset));
    p.info = pulmo_dataset_info_of(p.dataset);
    p.rows = (uint32_t)options->rows < p.info->count ? options->rows : (int)p.info->count;
    PULMO_GOTO(make_sheet(&p));
    PULMO_GOTO(draw_rows(&p));
    PULMO_GOTO(pulmo_png_encode(&p.sheet, NULL, 0, &png, &bytes));
    PULMO_GOTO(pulmo_file_write(options->out, png, bytes));
    pulmo_info("%s: %d x %d px, %d images as packed and in the first %d epochs%s", options->out,
               p.sheet.width_px, p.sheet.height_px, p.rows, options->views,
               p.info->is_demo ? " (DEMO data: drawn phantoms)" : "");
out:
    free(png);
    free(p.view);
    free(p.pixels);
    pulmo_image_free(&p.sheet);
    pulmo_dataset_close(p.dataset);
    return status;
}
