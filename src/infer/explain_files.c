/* `pulmo explain`: an overlay PNG per image, and all maps in one HDF5 file.
 *
 * A model of a pack of pseudonyms names no file here: NAME is image-0001 and so on, in the order of
 * the lines on stdout, which say which is which, and no path is kept.
 *
 *   DIR/NAME.png   what the model sees of the image, in grey under its map in colour; class and
 * probability as text chunks DIR/maps.h5    /maps/NAME (h, w) float32 in [0, 1], with path, class
 * and probability as attributes */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "inputs.h"
#include "overlay.h"
#include "pulmo/explain.h"
#include "pulmo/file.h"
#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/infer.h"
#include "pulmo/text.h"

#define OVERLAY_SIDE_MOST 1024 /* larger images are shrunk for their overlay */

typedef struct explaining {
    const pulmo_explain_options *options;
    const pulmo_model *model;
    int class_index;
    pulmo_explainer *explainer;
    pulmo_h5 *maps;
    size_t turn; /* which image it is, of those that are given */
    size_t bad;
} explaining;

static pulmo_status find_class(const pulmo_model *model, const char *name, int *out)
{
    *out = -1; /* the predicted one */
    if (!name)
        return PULMO_OK;
    char known[512] = "";
    for (int k = 0; k < model->classes; k++) {
        size_t at = strlen(known);
        if (strcmp(model->class_names[k], name) == 0) {
            *out = k;
            return PULMO_OK;
        }
        const char *comma = k > 0 ? ", " : "";
        snprintf(known + at, sizeof known - at, "%s%s", comma, model->class_names[k]);
    }
    return pulmo_fail(PULMO_USAGE, "--class: \"%s\" is not a class of the model; it has %s", name,
                      known);
}

/* Bytes of a name that leave room for a number and an ending in a file's name. */
#define NAME_BYTES_MAX 230

/* Whole characters of the first `bytes`, at most as many as a name may have. */
static int name_bytes(const char *base, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        size_t step = pulmo_character_bytes(base + at);
        step = step > 0 ? step : 1;
        if (at + step > NAME_BYTES_MAX)
            break;
        at += step;
    }
    return (int)at;
}

/* The file's name without folders and ending; another image of the same name gets a number. */
static char *name_by_file(const explaining *e, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    const char *end = dot && dot > base ? dot : base + strlen(base);
    const int length = name_bytes(base, (size_t)(end - base));
    for (int number = 1;; number++) {
        char *name = number == 1 ? pulmo_format("%.*s", length, base)
                                 : pulmo_format("%.*s-%d", length, base, number);
        char *dataset = name ? pulmo_format("maps/%s", name) : NULL;
        bool taken = dataset && pulmo_h5_exists(e->maps, dataset);
        free(dataset);
        if (!taken)
            return name;
        free(name);
    }
}

/* What the image is called in files. Owned by the caller; NULL for want of memory. */
static char *name_for(const explaining *e, const char *path)
{
    if (e->model->hides_names)
        return pulmo_format("image-%04zu", e->turn + 1);
    return name_by_file(e, path);
}

/* The class that is explained. */
static const char *class_of(const explaining *e, const pulmo_explanation *found)
{
    return e->model->class_names[found->class_index];
}

static double probability_of(const pulmo_explanation *found)
{
    return (double)found->probabilities[found->class_index];
}

static const char *predicted_of(const explaining *e, const pulmo_explanation *found)
{
    return e->model->class_names[found->predicted];
}

/* Spelled as in the lines on stdout: strings of HDF5 are UTF-8. */
static pulmo_status set_path(const explaining *e, const char *dataset, const char *path)
{
    char *spelled = pulmo_name_spelled(path);
    if (!spelled)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", path);
    pulmo_status status = pulmo_h5_set_text(e->maps, dataset, "path", spelled);
    free(spelled);
    return status;
}

static pulmo_status write_map(const explaining *e, const char *name, const char *path,
                              const pulmo_explanation *found)
{
    uint64_t dims[2] = {(uint64_t)found->height, (uint64_t)found->width};
    char *dataset = pulmo_format("maps/%s", name);
    if (!dataset)
        return PULMO_MEMORY;
    pulmo_status status;
    PULMO_GOTO(pulmo_h5_write(e->maps, dataset, PULMO_H5_F32, 2, dims, found->map));
    if (!e->model->hides_names)
        PULMO_GOTO(set_path(e, dataset, path));
    PULMO_GOTO(pulmo_h5_set_text(e->maps, dataset, "class", class_of(e, found)));
    PULMO_GOTO(pulmo_h5_set_real(e->maps, dataset, "probability", probability_of(found)));
    PULMO_GOTO(pulmo_h5_set_text(e->maps, dataset, "predicted", predicted_of(e, found)));
    PULMO_GOTO(pulmo_h5_set_real(e->maps, dataset, "largest", found->largest));
    status = pulmo_h5_set_text(e->maps, dataset, "long_name",
                               "Grad-CAM at the last convolution, divided by its largest value");
out:
    free(dataset);
    return status;
}

/* A smaller image in `out` where the sides are too long; else `out` stays empty. */
static pulmo_status limit_side(const pulmo_image *image, pulmo_image *out)
{
    int longer = image->height_px;
    if (image->width_px > longer)
        longer = image->width_px;
    if (longer <= OVERLAY_SIDE_MOST)
        return PULMO_OK;
    const int height = image->height_px * OVERLAY_SIDE_MOST / longer;
    const int width = image->width_px * OVERLAY_SIDE_MOST / longer;
    return pulmo_image_resize(image, height > 0 ? height : 1, width > 0 ? width : 1, out);
}

static pulmo_status write_overlay(const explaining *e, const char *file, const char *path,
                                  const pulmo_image *image, const pulmo_explanation *found)
{
    pulmo_image small = {0}, overlay = {0};
    uint8_t *png = NULL;
    size_t bytes = 0;
    char probability[32];
    snprintf(probability, sizeof probability, "%.6g", probability_of(found));
    const png_note texts[] = {
        {"Title", "Grad-CAM overlay"},
        {"Source", e->model->hides_names ? "not kept: names are pseudonyms" : path},
        {"Class", class_of(e, found)},
        {"Probability", probability},
        {"Predicted", predicted_of(e, found)},
        {"Description", "Colour: where the image speaks for the class, from dark violet (little) "
                        "to pale yellow (most)"},
        {"Disclaimer", "Research software, not a medical device"},
        {"Software", "pulmo " PULMO_VERSION}};
    const int text_count = (int)(sizeof texts / sizeof texts[0]);
    pulmo_status status = PULMO_OK;
    PULMO_GOTO(limit_side(image, &small));
    if (small.pixels)
        image = &small;
    PULMO_GOTO(pulmo_explain_overlay(image, found, &overlay));
    PULMO_GOTO(overlay_png(&overlay, texts, text_count, &png, &bytes));
    status = pulmo_file_write(file, png, bytes);
out:
    free(png);
    pulmo_image_free(&small);
    pulmo_image_free(&overlay);
    return status;
}

static void print_line(const explaining *e, const char *path, const char *file,
                       const pulmo_explanation *found)
{
    pulmo_csv_name(stdout, path);
    putchar(',');
    pulmo_csv_name(stdout, class_of(e, found));
    printf(",%.9g,", probability_of(found));
    pulmo_csv_name(stdout, predicted_of(e, found));
    putchar(',');
    pulmo_csv_name(stdout, file);
    putchar('\n');
}

/* An image as the model takes it, and as it is shown: the same part of it in its own size. */
typedef struct both_images {
    pulmo_image taken, shown;
} both_images;

static pulmo_status read_both(const explaining *e, const char *path, both_images *out)
{
    const pulmo_framing *framing = &e->model->framing;
    const int64_t most = e->options->pixels_max;
    PULMO_TRY(input_image_read(path, framing, e->model->size_px, most, &out->taken));
    return input_image_read(path, framing, 0, most, &out->shown);
}

static void free_both(both_images *images)
{
    pulmo_image_free(&images->taken);
    pulmo_image_free(&images->shown);
}

static pulmo_status write_one(const explaining *e, const char *path, const both_images *images)
{
    pulmo_explanation found = {0};
    char *name = name_for(e, path);
    char *file = NULL;
    if (name)
        file = pulmo_format("%s/%s.png", e->options->out, name);
    pulmo_status status = file ? PULMO_OK : PULMO_MEMORY;
    PULMO_GOTO(status);
    PULMO_GOTO(pulmo_explain_map(e->explainer, &images->taken, e->class_index, &found));
    PULMO_GOTO(write_map(e, name, path, &found));
    PULMO_GOTO(write_overlay(e, file, path, &images->shown, &found));
    print_line(e, path, file, &found);
    if (found.largest <= 0)
        pulmo_info("%s: nothing in it speaks for %s; its map is empty", path, class_of(e, &found));
out:
    pulmo_explanation_free(&found);
    free(name);
    free(file);
    return status;
}

static pulmo_status write_head(const explaining *e)
{
    PULMO_TRY(pulmo_h5_set_kind(e->maps, "maps", 1));
    PULMO_TRY(pulmo_h5_set_text(e->maps, "/", "method",
                                "Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) at the last "
                                "convolution, after its ReLU"));
    PULMO_TRY(pulmo_h5_set_text(e->maps, "/", "run", e->options->run));
    PULMO_TRY(pulmo_h5_set_text(e->maps, "/", "weights_sha256", e->model->weights_digest));
    PULMO_TRY(pulmo_positive_write(e->maps, e->model));
    PULMO_TRY(pulmo_h5_set_real(e->maps, "/", "threshold", e->model->threshold));
    PULMO_TRY(pulmo_h5_set_text(e->maps, "/", "threshold_rule", e->model->threshold_rule));
    return pulmo_h5_set_texts(e->maps, "/", "classes", e->model->classes,
                              (const char *const *)e->model->class_names);
}

/* A file that cannot be read is reported and the rest done; a disk that is full ends it. */
static pulmo_status explain_list(explaining *e, const input_list *list)
{
    pulmo_progress progress;
    puts("path,class,probability,predicted,overlay");
    pulmo_progress_begin(&progress, "  explain", "img", (double)list->count);
    pulmo_status status = PULMO_OK;
    for (size_t i = 0; i < list->count && status == PULMO_OK; i++) {
        both_images images = {0};
        e->turn = i;
        status = read_both(e, list->paths[i], &images);
        if (status == PULMO_OK) {
            status = write_one(e, list->paths[i], &images);
        } else if (input_costs_one_image(status)) {
            pulmo_warn("%s", pulmo_error());
            e->bad++;
            status = PULMO_OK;
        }
        free_both(&images);
        pulmo_progress_update(&progress, (double)(i + 1), NULL);
    }
    pulmo_progress_end(&progress);
    return status;
}

/* ---- what an earlier list left ---- */

/* The maps of a list that is replaced, "maps/NAME". */
typedef struct older {
    char **maps; /* owned */
    size_t count, room;
    bool failed; /* out of memory */
} older;

static void keep_name(older *o, const char *map)
{
    if (o->count == o->room) {
        const size_t room = 2 * o->room + 16;
        char **maps = realloc(o->maps, room * sizeof *maps);
        o->failed = o->failed || !maps;
        if (!maps)
            return;
        o->maps = maps;
        o->room = room;
    }
    char *copy = pulmo_strdup(map);
    o->failed = o->failed || !copy;
    if (copy)
        o->maps[o->count++] = copy;
}

static void look_at_old(void *context, const char *name, const pulmo_h5_shape *shape,
                        const char *attribute, const char *value)
{
    older *o = context;
    static const char group[] = "maps/";
    (void)value;
    if (!shape || attribute || strncmp(name, group, strlen(group)) != 0)
        return;
    if (!strchr(name + strlen(group), '/'))
        keep_name(o, name);
}

/* What is not a list of maps, or cannot be read, is replaced without a look. */
static void find_old(const char *path, older *out)
{
    pulmo_h5 *file = NULL;
    struct stat about;
    if (stat(path, &about) != 0)
        return;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = pulmo_h5_check_kind(file, "maps", 1, "");
    if (status == PULMO_OK)
        status = pulmo_h5_visit(file, look_at_old, out);
    pulmo_h5_close(file);
    if (status != PULMO_OK)
        pulmo_error_clear();
}

/* Removes overlays that the new list does not name. */
static pulmo_status remove_old(const explaining *e, const older *old)
{
    for (size_t i = 0; i < old->count; i++) {
        if (pulmo_h5_exists(e->maps, old->maps[i]))
            continue;
        const char *name = strchr(old->maps[i], '/') + 1;
        char *file = pulmo_format("%s/%s.png", e->options->out, name);
        if (!file)
            return PULMO_MEMORY;
        remove(file);
        free(file);
    }
    return PULMO_OK;
}

/* The new list in the old one's place, whose other overlays go first: what is named is there. */
static pulmo_status replace_list(explaining *e, const char *path)
{
    older old = {0};
    find_old(path, &old);
    pulmo_status status = PULMO_OK;
    if (old.failed)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for %s", path);
    if (status == PULMO_OK)
        status = remove_old(e, &old);
    for (size_t i = 0; i < old.count; i++)
        free(old.maps[i]);
    free(old.maps);
    PULMO_TRY(status);
    pulmo_h5 *maps = e->maps;
    e->maps = NULL;
    return pulmo_h5_commit(maps);
}

static pulmo_status run(explaining *e, const input_list *list)
{
    char *path = pulmo_format("%s/maps.h5", e->options->out);
    pulmo_status status = path ? pulmo_directory_make(e->options->out) : PULMO_MEMORY;
    PULMO_GOTO(status);
    pulmo_file_remove_abandoned(e->options->out, PULMO_ABANDONED_S);
    PULMO_GOTO(
        pulmo_explainer_open(e->model, e->options->weights, e->options->threads, &e->explainer));
    PULMO_GOTO(pulmo_h5_create(path, &e->maps));
    PULMO_GOTO(write_head(e));
    PULMO_GOTO(explain_list(e, list));
    status = replace_list(e, path);
    if (status == PULMO_OK)
        status = input_list_outcome(list, e->bad);
out:
    pulmo_h5_close(e->maps);
    pulmo_explainer_close(e->explainer);
    free(path);
    return status;
}

pulmo_status pulmo_explain(const pulmo_explain_options *options)
{
    pulmo_model model;
    input_list list = {0};
    explaining e = {.options = options, .model = &model};
    PULMO_TRY(pulmo_model_read(options->run, &model));
    pulmo_status status;
    PULMO_GOTO(find_class(&model, options->class_name, &e.class_index));
    PULMO_GOTO(input_list_collect(options->inputs, options->input_count, &list));
    status = run(&e, &list);
out:
    input_list_free(&list);
    pulmo_model_free(&model);
    return status;
}
