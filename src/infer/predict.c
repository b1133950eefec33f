/* `pulmo predict`: class and probability of single images. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/features.h"
#include "pulmo/infer.h"
#include "pulmo/results.h"
#include "pulmo/text.h"
#include "pulmo/specs.h"

#define CHUNK 64 /* images: all threads decode them, then all are at the trunk */

/* ---- images ---- */

typedef struct prediction {
    const pulmo_predict_options *options;
    const pulmo_model *model;
    const pulmo_backbone *backbone;
    pulmo_head *head;
    size_t image_floats;
    float *images, *features, *logits, *probabilities; /* (CHUNK, ...) */
    double *sums;                                      /* (CHUNK, classes): of the views' logits */
    pulmo_view_spec views;
    int view; /* the one at hand */
    char *const *paths;
    pulmo_failure failure[CHUNK]; /* of each image */
    size_t bad;
} prediction;

static pulmo_status load_image(const prediction *p, const char *path, float *out)
{
    const pulmo_model *model = p->model;
    pulmo_image image = {0};
    PULMO_TRY(input_image_read_resized(path, model->size_px, &image));
    const int shape[3] = {image.height_px, image.width_px, image.channels};
    const uint8_t *pixels = image.pixels;
    pulmo_status status =
        pulmo_view_apply(&p->views, p->view, pixels, shape, model->mean, model->std, out);
    pulmo_image_free(&image);
    return status;
}

static pulmo_status load_task(void *context, int task, int thread)
{
    prediction *p = context;
    (void)thread;
    float *image = p->images + (size_t)task * p->image_floats;
    return load_image(p, p->paths[task], image);
}

/* ---- lines ---- */

static const char *class_of(const prediction *p, const float *probabilities)
{
    const int class = pulmo_model_class(p->model, probabilities);
    return p->model->class_names[class];
}

static void print_csv_header(const prediction *p)
{
    printf("path,class");
    pulmo_csv_score_columns(stdout, p->model);
    putchar('\n');
}

static void print_csv(const prediction *p, const char *path, const float *probabilities)
{
    pulmo_csv_field(stdout, path);
    putchar(',');
    pulmo_csv_field(stdout, class_of(p, probabilities));
    pulmo_csv_scores(stdout, p->model, probabilities, p->model->threshold);
    putchar('\n');
}

/* A byte as a character of Latin-1, in UTF-8. Returns where it ends. */
static char *put_latin(char *to, unsigned char byte)
{
    if (byte < 0x80) {
        *to++ = (char)byte;
    } else {
        *to++ = (char)(0xc0 | byte >> 6);
        *to++ = (char)(0x80 | (byte & 0x3f));
    }
    return to;
}

/* JSON is UTF-8: of a name that is not, each byte is taken for a character of Latin-1. */
static json_t *json_path(const char *path)
{
    json_t *text = json_string(path);
    if (text)
        return text;
    const size_t room = 2 * strlen(path) + 1;
    char *latin = malloc(room);
    char *end = latin;
    if (!latin)
        return NULL;
    for (const char *c = path; *c; c++)
        end = put_latin(end, (unsigned char)*c);
    const size_t bytes = (size_t)(end - latin);
    text = json_stringn(latin, bytes);
    free(latin);
    return text;
}

static json_t *json_probabilities(const pulmo_model *model, const float *probabilities)
{
    json_t *object = json_object();
    for (int k = 0; k < model->classes; k++) {
        json_t *probability = json_real((double)probabilities[k]);
        json_object_set_new(object, model->class_names[k], probability);
    }
    return object;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, json_string(text));
}

/* One JSON object per line. */
static void print_json(const prediction *p, const char *path, const float *probabilities)
{
    const pulmo_model *model = p->model;
    json_t *object = json_object();
    json_object_set_new(object, "path", json_path(path));
    set_text(object, "class", class_of(p, probabilities));
    json_object_set_new(object, "probabilities", json_probabilities(model, probabilities));
    if (model->classes == 2) {
        const char *finding = model->class_names[model->positive.index];
        set_text(object, "positive_class", finding);
        json_object_set_new(object, "threshold", json_real(model->threshold));
    }
    set_text(object, "rule", pulmo_decision_rule(model));
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
}

/* ---- scoring ---- */

/* Moves the images that could be read together; returns how many there are. */
static int keep_good(prediction *p, int count)
{
    const size_t floats = p->image_floats;
    const float *from = p->images;
    float *to = p->images;
    int good = 0;
    for (int i = 0; i < count; i++) {
        if (p->failure[i].status == PULMO_OK) {
            if (good != i)
                memcpy(to, from, floats * sizeof *to);
            to += floats;
            good++;
        }
        from += floats;
    }
    return good;
}

/* One view of a chunk's images, which are read anew for it; returns how many could be. */
static int score_view(prediction *p, int count)
{
    pulmo_pool_try_all(p->backbone->pool, count, load_task, p, p->failure);
    int good = keep_good(p, count);
    pulmo_backbone_features(p->backbone, good, p->images, p->features);
    pulmo_head_logits(p->head, good, p->features, p->logits);
    return good;
}

/* The mean of all views' logits, as in a run. */
static int score_views(prediction *p, int count)
{
    const int classes = p->model->classes;
    const int views = p->views.views;
    const size_t room = (size_t)(count * classes);
    int good = 0;
    p->view = 0;
    if (views == 1)
        return score_view(p, count);
    memset(p->sums, 0, room * sizeof *p->sums);
    for (p->view = 0; p->view < views; p->view++) {
        good = score_view(p, count);
        for (int i = 0; i < good * classes; i++)
            p->sums[i] += (double)p->logits[i];
    }
    for (int i = 0; i < good * classes; i++) {
        const double mean = p->sums[i] / views;
        p->logits[i] = (float)mean;
    }
    return good;
}

static void predict_chunk(prediction *p, char *const *paths, int count)
{
    p->paths = paths;
    int good = score_views(p, count);
    pulmo_model_probabilities(p->model, good, p->logits, p->probabilities);
    const float *probabilities = p->probabilities;
    for (int i = 0; i < count; i++) {
        const pulmo_failure *failure = &p->failure[i];
        if (failure->status != PULMO_OK) {
            pulmo_warn("%s", failure->report);
            p->bad++;
            continue;
        }
        if (p->options->json)
            print_json(p, paths[i], probabilities);
        else
            print_csv(p, paths[i], probabilities);
        probabilities += p->model->classes;
    }
    fflush(stdout);
}

static pulmo_status allocate(prediction *p)
{
    const pulmo_backbone *backbone = p->backbone;
    const size_t side = (size_t)p->model->size_px;
    const size_t scores = CHUNK * (size_t)p->model->classes;
    const size_t cells = (size_t)backbone->height * (size_t)backbone->width;
    const size_t features = cells * (size_t)backbone->channels;
    p->image_floats = 3 * side * side;
    p->images = pulmo_alloc(CHUNK * p->image_floats, sizeof *p->images);
    p->features = pulmo_alloc(CHUNK * features, sizeof *p->features);
    p->logits = pulmo_alloc(scores, sizeof *p->logits);
    p->probabilities = pulmo_alloc(scores, sizeof *p->probabilities);
    p->sums = pulmo_alloc(scores, sizeof *p->sums);
    const bool inputs = p->images && p->features;
    const bool outputs = p->logits && p->probabilities && p->sums;
    if (!inputs || !outputs)
        return PULMO_MEMORY;
    return PULMO_OK;
}

static void release(prediction *p)
{
    pulmo_head_destroy(p->head);
    pulmo_free(p->images);
    pulmo_free(p->features);
    pulmo_free(p->logits);
    pulmo_free(p->probabilities);
    pulmo_free(p->sums);
}

static pulmo_status predict_list(prediction *p, const input_list *list)
{
    const pulmo_model *model = p->model;
    const pulmo_loss_spec loss = {0};
    pulmo_progress progress;
    PULMO_TRY(pulmo_model_check_backbone(model, p->backbone, p->options->run));
    PULMO_TRY(allocate(p));
    PULMO_TRY(pulmo_views_of_model(model, &p->views));
    PULMO_TRY(pulmo_head_create(&model->head, &loss, PULMO_SCORE_MICROBATCH, 1, model->parameters,
                                &p->head));
    if (!p->options->json)
        print_csv_header(p);
    pulmo_progress_begin(&progress, "  predict", "img", (double)list->count);
    for (size_t at = 0; at < list->count; at += CHUNK) {
        size_t count = list->count - at;
        if (count > CHUNK)
            count = CHUNK;
        predict_chunk(p, list->paths + at, (int)count);
        pulmo_progress_update(&progress, (double)(at + count), NULL);
    }
    pulmo_progress_end(&progress);
    return input_list_outcome(list, p->bad);
}

pulmo_status pulmo_predict(pulmo_comm *comm, const pulmo_predict_options *o)
{
    input_list list = {0};
    pulmo_model model = {0};
    pulmo_backbone backbone;
    pulmo_weights_choice choice;
    pulmo_status status;
    prediction *p = calloc(1, sizeof *p);
    if (!p)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %d images at a time", CHUNK);
    PULMO_GOTO(pulmo_model_read(o->run, &model));
    PULMO_GOTO(pulmo_model_adjust(&model, o->settings));
    PULMO_GOTO(input_list_collect(o->inputs, o->input_count, &list));
    choice = pulmo_model_weights_choice(&model, o->weights);
    PULMO_GOTO(pulmo_backbone_open_trained(comm, &choice, &model, o->threads, &backbone));
    p->options = o;
    p->model = &model;
    p->backbone = &backbone;
    status = predict_list(p, &list);
    release(p);
    pulmo_backbone_close(&backbone);
out:
    input_list_free(&list);
    pulmo_model_free(&model);
    free(p);
    return status;
}
