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

#define CHUNK                                                                                      \
    64 /* images decoded together, then taken by the trunk: all threads do the one, then all the   \
          other */

/* ---- scoring ---- */

typedef struct work {
    const pulmo_predict_options *options;
    const pulmo_model *model;
    const pulmo_backbone *backbone;
    pulmo_head *head;
    float *images, *features, *logits, *probabilities; /* (CHUNK, ...) */
    double *sums;                                      /* (CHUNK, classes): of the views' logits */
    pulmo_view_spec views;
    int view; /* the one at hand */
    char *const *paths;
    pulmo_failure failure[CHUNK]; /* of each image */
    size_t bad;
} work;

static pulmo_status load_image(const work *w, const char *path, float *out)
{
    pulmo_image image = {0};
    PULMO_TRY(input_image_read_resized(path, w->model->size_px, &image));
    const int shape[3] = {image.height_px, image.width_px, image.channels};
    pulmo_status status = pulmo_view_apply(&w->views, w->view, image.pixels, shape, w->model->mean,
                                           w->model->std, out);
    pulmo_image_free(&image);
    return status;
}

static pulmo_status load_task(void *context, int task, int thread)
{
    work *w = context;
    size_t floats = 3 * (size_t)w->model->size_px * (size_t)w->model->size_px;
    (void)thread;
    return load_image(w, w->paths[task], w->images + (size_t)task * floats);
}

static void print_csv(const work *w, const char *path, const float *row)
{
    pulmo_csv_field(stdout, path);
    putchar(',');
    pulmo_csv_field(stdout, w->model->class_names[pulmo_model_class(w->model, row)]);
    pulmo_csv_scores(stdout, w->model, row);
    putchar('\n');
}

/* JSON is UTF-8: of a name that is not, each byte is taken for a character of Latin-1. */
static json_t *json_path(const char *path)
{
    json_t *text = json_string(path);
    if (text)
        return text;
    char *latin = malloc(2 * strlen(path) + 1), *at = latin;
    if (!latin)
        return NULL;
    for (const unsigned char *c = (const unsigned char *)path; *c; c++) {
        if (*c >= 0x80)
            *at++ = (char)(0xc0 | *c >> 6);
        *at++ = (char)(*c >= 0x80 ? 0x80 | (*c & 0x3f) : *c);
    }
    text = json_stringn(latin, (size_t)(at - latin));
    free(latin);
    return text;
}

/* One JSON object a line. */
static void print_json(const work *w, const char *path, const float *row)
{
    json_t *object = json_object(), *probabilities = json_object();
    for (int k = 0; k < w->model->classes; k++)
        json_object_set_new(probabilities, w->model->class_names[k], json_real((double)row[k]));
    json_object_set_new(object, "path", json_path(path));
    json_object_set_new(object, "class",
                        json_string(w->model->class_names[pulmo_model_class(w->model, row)]));
    json_object_set_new(object, "probabilities", probabilities);
    if (w->model->classes == 2) {
        const char *finding = w->model->class_names[w->model->positive.index];
        json_object_set_new(object, "positive_class", json_string(finding));
        json_object_set_new(object, "threshold", json_real(w->model->threshold));
    }
    json_object_set_new(object, "rule", json_string(pulmo_decision_rule(w->model)));
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
}

/* One view of a chunk's images, which are read anew for it; returns how many could be. */
static int score_view(work *w, int count)
{
    size_t floats = 3 * (size_t)w->model->size_px * (size_t)w->model->size_px;
    pulmo_pool_try_all(w->backbone->pool, count, load_task, w, w->failure);
    int good = 0;
    for (int i = 0; i < count; i++) { /* the good ones move together */
        if (w->failure[i].status != PULMO_OK)
            continue;
        if (good != i)
            memcpy(w->images + (size_t)good * floats, w->images + (size_t)i * floats,
                   floats * sizeof(float));
        good++;
    }
    pulmo_backbone_features(w->backbone, good, w->images, w->features);
    pulmo_head_logits(w->head, good, w->features, w->logits);
    return good;
}

/* The mean of all views' logits, as in a run. */
static int score_views(work *w, int count)
{
    int values = count * w->model->classes, good = 0;
    w->view = 0;
    if (w->views.views == 1)
        return score_view(w, count);
    memset(w->sums, 0, (size_t)values * sizeof *w->sums);
    for (w->view = 0; w->view < w->views.views; w->view++) {
        good = score_view(w, count);
        for (int i = 0; i < good * w->model->classes; i++)
            w->sums[i] += (double)w->logits[i];
    }
    for (int i = 0; i < good * w->model->classes; i++)
        w->logits[i] = (float)(w->sums[i] / w->views.views);
    return good;
}

static void score_chunk(work *w, char *const *paths, int count)
{
    w->paths = paths;
    int good = score_views(w, count);
    pulmo_model_probabilities(w->model, good, w->logits, w->probabilities);
    for (int i = 0, at = 0; i < count; i++) {
        if (w->failure[i].status != PULMO_OK) {
            pulmo_warn("%s", w->failure[i].report);
            w->bad++;
            continue;
        }
        const float *row = w->probabilities + (size_t)at++ * (size_t)w->model->classes;
        if (w->options->json)
            print_json(w, paths[i], row);
        else
            print_csv(w, paths[i], row);
    }
    fflush(stdout);
}

static pulmo_status predict_list(work *w, const input_list *l)
{
    size_t floats = 3 * (size_t)w->model->size_px * (size_t)w->model->size_px,
           classes = (size_t)w->model->classes;
    size_t features =
        (size_t)w->backbone->channels * (size_t)w->backbone->height * (size_t)w->backbone->width;
    const pulmo_loss_spec loss = {0};
    w->images = pulmo_alloc(CHUNK * floats, sizeof(float));
    w->features = pulmo_alloc(CHUNK * features, sizeof(float));
    w->logits = pulmo_alloc(2 * CHUNK * classes, sizeof(float));
    w->sums = pulmo_alloc(CHUNK * classes, sizeof *w->sums);
    if (!w->images || !w->features || !w->logits || !w->sums)
        return PULMO_MEMORY;
    PULMO_TRY(pulmo_views_of_model(w->model, &w->views));
    w->probabilities = w->logits + CHUNK * classes;
    PULMO_TRY(pulmo_head_create(&w->model->head, &loss, PULMO_SCORE_MICROBATCH, 1,
                                w->model->parameters, &w->head));
    if (!w->options->json) {
        printf("path,class");
        pulmo_csv_score_columns(stdout, w->model);
        putchar('\n');
    }
    pulmo_progress progress;
    pulmo_progress_begin(&progress, "  predict", "img", (double)l->count);
    for (size_t at = 0; at < l->count; at += CHUNK) {
        size_t count = l->count - at < CHUNK ? l->count - at : CHUNK;
        score_chunk(w, l->paths + at, (int)count);
        pulmo_progress_update(&progress, (double)(at + count), NULL);
    }
    pulmo_progress_end(&progress);
    return input_list_outcome(l, w->bad);
}

pulmo_status pulmo_predict(pulmo_comm *comm, const pulmo_predict_options *o)
{
    input_list l = {0};
    pulmo_model model;
    pulmo_backbone backbone;
    pulmo_weights_choice choice;
    memset(&model, 0, sizeof model);
    work *w = calloc(1, sizeof *w);
    pulmo_status status = w ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory");
    PULMO_GOTO(status);
    PULMO_GOTO(pulmo_model_read(o->run, &model));
    PULMO_GOTO(pulmo_model_adjust(&model, o->settings));
    PULMO_GOTO(input_list_collect(o->inputs, o->input_count, &l));
    choice = pulmo_model_weights_choice(&model, o->weights);
    PULMO_GOTO(pulmo_backbone_open_trained(comm, &choice, &model, o->threads, &backbone));
    w->options = o;
    w->model = &model;
    w->backbone = &backbone;
    status = pulmo_model_check_backbone(&model, &backbone, o->run);
    if (status == PULMO_OK)
        status = predict_list(w, &l);
    pulmo_head_destroy(w->head);
    pulmo_free(w->images);
    pulmo_free(w->features);
    pulmo_free(w->logits);
    pulmo_free(w->sums);
    pulmo_backbone_close(&backbone);
out:
    input_list_free(&l);
    pulmo_model_free(&model);
    free(w);
    return status;
}
