/* Thumbnails: the errors the model was surest of and its surest hits, from the packed images, with
 * Grad-CAM beside them where the frozen weights are at hand. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/dataset.h"
#include "pulmo/explain.h"
#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "report_room.h"

#define SIDE_MOST 224 /* px; larger images are shrunk */

typedef struct gallery {
    FILE *out;
    const report *r;
    const report_split *s;
    const pulmo_report_options *options;
    pulmo_dataset *data;
    pulmo_model model;
    pulmo_explainer *explainer; /* NULL: no overlays */
    uint32_t *place;            /* of each scored image in the data; NULL: the same */
    uint8_t *pixels;            /* (H, W, C) */
    char why[1024];             /* no overlays */
} gallery;

/* ---- which ---- */

typedef struct candidate {
    uint32_t index;
    double sureness;
} candidate;

/* How far the image is from being called otherwise: of two classes the distance of the finding's
 * probability from the threshold; of more the probability of the predicted class. */
static double sureness_of(const report *r, const report_split *s, uint32_t image)
{
    const float *row = s->probabilities + (size_t)image * (size_t)r->classes;
    if (r->classes == 2)
        return fabs((double)row[r->positive.index] - r->threshold);
    return (double)row[s->predictions[image]];
}

/* Surest first; of equals the first image. */
static int by_sureness(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->sureness < y->sureness)
        return 1;
    if (x->sureness != y->sureness)
        return -1;
    return (x->index > y->index) - (x->index < y->index);
}

static bool patient_shown(const report_split *s, const uint32_t *shown, int count, uint32_t index)
{
    const char *patient = s->groups.text[index];
    for (int i = 0; i < count; i++) {
        const char *other = s->groups.text[shown[i]];
        if (strcmp(other, patient) == 0)
            return true;
    }
    return false;
}

/* The hits, or the errors, surest first. Returns how many. */
static uint32_t rank_candidates(const report *r, const report_split *s, bool hits, candidate *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        bool is_hit = s->labels[i] == s->predictions[i];
        if (is_hit != hits)
            continue;
        out[count].index = i;
        out[count].sureness = sureness_of(r, s, i);
        count++;
    }
    if (count > 0)
        qsort(out, count, sizeof *out, by_sureness);
    return count;
}

int report_surest(const report *r, const report_split *s, bool hits, uint32_t out[REPORT_SHOWN])
{
    const int part = (REPORT_SHOWN + r->classes - 1) / r->classes;
    const size_t room = (size_t)s->count + 1;
    int count = 0;
    uint32_t candidates = 0;
    int *of_class = calloc((size_t)r->classes, sizeof *of_class);
    candidate *all = malloc(room * sizeof *all);
    if (all && of_class)
        candidates = rank_candidates(r, s, hits, all);
    for (uint32_t c = 0; c < candidates && count < REPORT_SHOWN; c++) {
        const uint32_t image = all[c].index;
        const int32_t truth = s->labels[image];
        if (patient_shown(s, out, count, image))
            continue;
        if (hits && of_class[truth] >= part)
            continue;
        of_class[truth]++;
        out[count] = image;
        count++;
    }
    free(all);
    free(of_class);
    return count;
}

/* ---- one image ---- */

static void put_base64(FILE *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        uint32_t three = (uint32_t)data[i] << 16;
        if (left > 1)
            three |= (uint32_t)data[i + 1] << 8;
        if (left > 2)
            three |= data[i + 2];
        for (size_t d = 0; d < 4; d++) {
            const size_t shift = 18 - 6 * d;
            char digit = '=';
            if (d <= left)
                digit = digits[three >> shift & 63];
            fputc(digit, out);
        }
    }
}

static pulmo_status put_image(FILE *out, const pulmo_image *image, const char *alt)
{
    pulmo_image small = {0};
    uint8_t *png = NULL;
    size_t bytes = 0;
    const pulmo_image *shown = image;
    int longer = image->width_px;
    if (image->height_px > longer)
        longer = image->height_px;
    if (longer > SIDE_MOST) {
        const int height = image->height_px * SIDE_MOST / longer;
        const int width = image->width_px * SIDE_MOST / longer;
        PULMO_TRY(pulmo_image_resize(image, height, width, &small));
        shown = &small;
    }
    pulmo_status status = pulmo_png_encode(shown, &png, &bytes);
    if (status == PULMO_OK) {
        /* A box to tick without a script: what opens it larger, by mouse or keyboard. */
        fputs("<label class=\"zoom\"><input type=\"checkbox\" aria-label=\"larger\">", out);
        fprintf(out, "<img width=\"%d\" height=\"%d\" alt=\"", shown->width_px, shown->height_px);
        html_text(out, alt);
        fputs("\" src=\"data:image/png;base64,", out);
        put_base64(out, png, bytes);
        fputs("\"></label>", out);
    }
    free(png);
    pulmo_image_free(&small);
    return status;
}

/* Of the class that the caption names, which another threshold, other models or other views than
 * this model's own may have decided. */
static pulmo_status put_overlay(const gallery *g, const pulmo_image *image, int class_index)
{
    char alt[512];
    pulmo_explanation map;
    pulmo_image overlay = {0};
    PULMO_TRY(pulmo_explain_map(g->explainer, image, class_index, &map));
    pulmo_status status = pulmo_explain_overlay(image, &map, &overlay);
    snprintf(alt, sizeof alt, "the same image, what speaks for %.150s in colour (Grad-CAM)",
             g->r->class_names[class_index]);
    if (status == PULMO_OK)
        status = put_image(g->out, &overlay, alt);
    pulmo_image_free(&overlay);
    pulmo_explanation_free(&map);
    return status;
}

static pulmo_status put_case(const gallery *g, uint32_t index)
{
    const report *r = g->r;
    const report_split *s = g->s;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(g->data);
    const pulmo_image image = {info->height_px, info->width_px, info->channels, g->pixels};
    const int predicted = s->predictions[index];
    const char *truth = r->class_names[s->labels[index]];
    const char *called = r->class_names[predicted];
    const float *row = s->probabilities + (size_t)index * (size_t)r->classes;
    int shown = predicted;
    if (r->classes == 2)
        shown = r->positive.index;
    char alt[512];
    const uint32_t place = g->place ? g->place[index] : index;
    PULMO_TRY(pulmo_dataset_read(g->data, place, g->pixels));
    snprintf(alt, sizeof alt, "X-ray, truth %.150s, called %.150s", truth, called);
    fprintf(g->out, "<figure><div class=\"pair%s\">", g->explainer ? "" : " one");
    PULMO_TRY(put_image(g->out, &image, alt));
    if (g->explainer)
        PULMO_TRY(put_overlay(g, &image, predicted));
    fputs("</div><figcaption>called <b>", g->out);
    html_text(g->out, called);
    fputs("</b>; probability of ", g->out);
    html_text(g->out, r->class_names[shown]);
    fprintf(g->out, " %.3f", (double)row[shown]);
    if (r->classes == 2)
        fprintf(g->out, ", called from %.3f on", r->threshold);
    fputs("<br>truth: <b>", g->out);
    html_text(g->out, truth);
    fputs("</b><br><span class=\"path\">", g->out);
    html_text(g->out, s->paths.text[index]);
    fputs("</span></figcaption></figure>\n", g->out);
    return PULMO_OK;
}

static pulmo_status put_cases(const gallery *g, bool hits, const char *title, const char *none)
{
    uint32_t shown[REPORT_SHOWN];
    int count = report_surest(g->r, g->s, hits, shown);
    fprintf(g->out, "<h3>%s</h3>\n", title);
    if (count == 0)
        fprintf(g->out, "<p class=\"soft\">%s</p>\n", none);
    fputs("<div class=\"cases\">\n", g->out);
    for (int i = 0; i < count; i++)
        PULMO_TRY(put_case(g, shown[i]));
    fputs("</div>\n", g->out);
    return PULMO_OK;
}

/* ---- opening ---- */

static bool are_those_scored(const pulmo_dataset_info *info, const report_split *s)
{
    if (info->count != s->count)
        return false;
    for (uint32_t i = 0; i < info->count; i++) {
        if (strcmp(info->paths[i], s->paths.text[i]) != 0)
            return false;
        if (info->labels[i] != s->labels[i])
            return false;
    }
    return true;
}

/* All folds as one set are scored fold by fold: an image is found by its path. */
typedef struct path_place {
    const char *path;
    uint32_t place;
} path_place;

static int by_path(const void *a, const void *b)
{
    const path_place *x = a;
    const path_place *y = b;
    return strcmp(x->path, y->path);
}

/* False where a scored image is not in the data, or has another label there. */
static bool find_places(const pulmo_dataset_info *info, path_place *known, const report_split *s,
                        uint32_t *place)
{
    for (uint32_t i = 0; i < info->count; i++)
        known[i] = (path_place){info->paths[i], i};
    if (info->count > 0)
        qsort(known, info->count, sizeof *known, by_path);
    for (uint32_t i = 0; i < s->count; i++) {
        const path_place wanted = {s->paths.text[i], 0};
        const path_place *found = bsearch(&wanted, known, info->count, sizeof *known, by_path);
        if (!found || info->labels[found->place] != s->labels[i])
            return false;
        place[i] = found->place;
    }
    return true;
}

static pulmo_status match_folds(gallery *g, const pulmo_dataset_info *info, bool *matches)
{
    path_place *known = malloc(((size_t)info->count + 1) * sizeof *known);
    g->place = malloc(((size_t)g->s->count + 1) * sizeof *g->place);
    *matches = known && g->place && find_places(info, known, g->s, g->place);
    const bool without_memory = !known || !g->place;
    free(known);
    return without_memory ? pulmo_fail(PULMO_MEMORY, "out of memory for the report") : PULMO_OK;
}

static pulmo_status match_scored(gallery *g, const pulmo_dataset_info *info, bool *matches)
{
    if (g->r->folds > 0)
        return match_folds(g, info, matches);
    *matches = are_those_scored(info, g->s);
    return PULMO_OK;
}

/* As the results have it of the split when it was scored; NULL where they do not say. */
static const report_part *packed_then(const report *r, const char *split)
{
    int number = pulmo_split_find(split);
    if (number < 0 || !r->part[number].digest || !*r->part[number].digest)
        return NULL;
    return &r->part[number];
}

static pulmo_status read_digest(const char *packed, const char *split, bool of_pixels, char **out)
{
    char base[64];
    pulmo_h5 *manifest = NULL;
    char *path = pulmo_format("%s/manifest.h5", packed);
    if (!path)
        return PULMO_MEMORY;
    snprintf(base, sizeof base, "splits/%s", split);
    pulmo_status status = pulmo_h5_open(path, &manifest);
    if (status == PULMO_OK)
        status = pulmo_h5_get_text(manifest, base, of_pixels ? "pixels_sha256" : "sha256", out);
    pulmo_h5_close(manifest);
    free(path);
    return status;
}

/* Images of the same names may have been packed to another shape since. */
static pulmo_status check_packed(const gallery *g, const char *packed, const char *split)
{
    char *now = NULL;
    const report_part *then = packed_then(g->r, split);
    if (!then)
        return PULMO_OK;
    PULMO_TRY(read_digest(packed, split, then->of_pixels, &now));
    bool same = strcmp(now, then->digest) == 0;
    free(now);
    if (same)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: its %s split was packed anew since it was scored", packed,
                      split);
}

/* The packed images must be those that were scored. */
static pulmo_status open_data(gallery *g)
{
    const char *path = g->options->data;
    if (!path)
        path = g->r->data_path;
    if (!*path)
        return pulmo_fail(PULMO_DATA,
                          "the results do not say where the packed data is; give --data");
    const char *split = g->r->folds > 0 ? "train" : g->s->name;
    bool matches = false;
    PULMO_TRY(pulmo_dataset_open_fold(path, (int)g->r->fold, split, 0, &g->data));
    const pulmo_dataset_info *info = pulmo_dataset_info_of(g->data);
    PULMO_TRY(match_scored(g, info, &matches));
    if (!matches)
        return pulmo_fail(PULMO_DATA, "%s: its %s split is not the one that was scored", path,
                          split);
    PULMO_TRY(check_packed(g, path, g->r->fold >= 0 ? "train" : split));
    const size_t pixels = (size_t)info->height_px * (size_t)info->width_px;
    g->pixels = pulmo_alloc(pixels, (size_t)info->channels);
    if (!g->pixels)
        return PULMO_MEMORY;
    return PULMO_OK;
}

/* A model that another run has left there would explain what it did not decide. */
static pulmo_status check_model(const gallery *g, const char *run)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_model_head_digest(&g->model, hex);
    if (*g->r->head_digest == '\0' || strcmp(g->r->head_digest, hex) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "%s: its model is not the one that was scored (head SHA-256 %.12s..., not "
                      "%.12s...)",
                      run, hex, g->r->head_digest);
}

static void open_explainer(gallery *g)
{
    const pulmo_report_options *options = g->options;
    const char *run = options->run;
    if (*g->r->model)
        run = g->r->model;
    if (!options->overlays)
        return;
    if (g->r->folds > 0) { /* as it must be: the page says it, and nobody is warned */
        snprintf(g->why, sizeof g->why, "each fold has a model of its own; their reports have it");
        return;
    }
    pulmo_status status = pulmo_model_read(run, &g->model);
    g->model.tta = 1; /* maps are of the image itself; probabilities are in the results */
    if (status == PULMO_OK)
        status = check_model(g, run);
    if (status == PULMO_OK)
        status = pulmo_explainer_open(&g->model, options->weights, options->threads, &g->explainer);
    if (status == PULMO_OK)
        return;
    snprintf(g->why, sizeof g->why, "%s", pulmo_error());
    pulmo_warn("the report has no Grad-CAM overlays: %s", g->why);
    pulmo_error_clear();
}

static pulmo_status put_section(gallery *g)
{
    fputs("<section><h2>Images</h2>\n<p class=\"soft\">An image opens larger where it is "
          "clicked.</p>\n",
          g->out);
    if (!g->r->is_demo)
        fputs("<p class=\"banner\">This section shows images of patients. Treat the file "
              "accordingly.</p>\n",
              g->out);
    if (g->explainer)
        fputs("<p>Beside each image: where the parts are that spoke for the class it was called, "
              "in colour from violet to yellow (Grad-CAM). "
              "A map tells where the model looked. It does not tell that it was right to.",
              g->out);
    if (g->explainer)
        fputs(g->r->models > 1 ? " Maps are of the first model, and of no other.</p>\n" : "</p>\n",
              g->out);
    if (g->explainer)
        fputs("<p class=\"bar\"><span>little</span><i></i><span>most of this image</span></p>\n",
              g->out);
    if (!g->explainer && *g->why) {
        fputs("<p class=\"soft\">Without Grad-CAM: ", g->out);
        html_text(g->out, g->why);
        fputs("</p>\n", g->out);
    }
    if (g->r->classes == 2)
        fputs("<p class=\"soft\">The model is the surer of an image the farther its probability is "
              "from the threshold.</p>\n",
              g->out);
    PULMO_TRY(put_cases(g, false, "Hardest errors: wrong, and sure of it", "There are none."));
    PULMO_TRY(put_cases(g, true, "Surest hits", "There are none."));
    fputs("</section>\n", g->out);
    return PULMO_OK;
}

pulmo_status report_images(FILE *out, const report *r, const pulmo_report_options *options)
{
    gallery g = {.out = out, .r = r, .options = options};
    if (r->splits == 0)
        return PULMO_OK;
    g.s = &r->split[0];
    pulmo_status status = open_data(&g);
    if (status == PULMO_OK) {
        open_explainer(&g);
        status = put_section(&g);
    } else if (status != PULMO_MEMORY) {
        fputs("<section><h2>Images</h2><p class=\"soft\">No thumbnails: ", out);
        html_text(out, pulmo_error());
        fputs("</p></section>\n", out);
        pulmo_warn("the report has no thumbnails: %s", pulmo_error());
        pulmo_error_clear();
        status = PULMO_OK;
    }
    pulmo_explainer_close(g.explainer);
    pulmo_model_free(&g.model);
    pulmo_dataset_close(g.data);
    free(g.place);
    pulmo_free(g.pixels);
    return status;
}
