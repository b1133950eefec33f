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
    pulmo_image decoded[CHUNK];   /* those that could be read, in order */
    size_t bad;
} prediction;

static pulmo_status decode_task(void *context, int task, int thread)
{
    prediction *p = context;
    const pulmo_model *model = p->model;
    (void)thread;
    return input_image_read(p->paths[task], &model->framing, model->size_px, p->options->pixels_max,
                            &p->decoded[task]);
}

static pulmo_status view_task(void *context, int task, int thread)
{
    prediction *p = context;
    const pulmo_model *model = p->model;
    const pulmo_image *image = &p->decoded[task];
    const int shape[3] = {image->height_px, image->width_px, image->channels};
    float *out = p->images + (size_t)task * p->image_floats;
    (void)thread;
    return pulmo_view_apply(&p->views, p->view, image->pixels, shape, model->mean, model->std, out);
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
    pulmo_csv_name(stdout, path);
    putchar(',');
    pulmo_csv_name(stdout, class_of(p, probabilities));
    pulmo_csv_scores(stdout, p->model, probabilities, p->model->threshold);
    putchar('\n');
}

/* Spelled as in CSV. */
static json_t *json_name(const char *name)
{
    char *spelled = pulmo_name_spelled(name);
    json_t *text = spelled ? json_string(spelled) : NULL;
    free(spelled);
    return text;
}

/* A value of NULL is one that there was no memory for; the object is then marked by `*whole`. */
static void set(json_t *object, const char *key, json_t *value, bool *whole)
{
    if (json_object_set_new(object, key, value) != 0)
        *whole = false;
}

static json_t *json_probabilities(const pulmo_model *model, const float *probabilities, bool *whole)
{
    json_t *object = json_object();
    for (int k = 0; k < model->classes; k++) {
        json_t *probability = json_real((double)probabilities[k]);
        char *name = pulmo_name_spelled(model->class_names[k]);
        set(object, name ? name : "", name ? probability : NULL, whole);
        if (!name)
            json_decref(probability);
        free(name);
    }
    return object;
}

static json_t *json_prediction(const prediction *p, const char *path, const float *probabilities,
                               bool *whole)
{
    const pulmo_model *model = p->model;
    json_t *object = json_object();
    set(object, "path", json_name(path), whole);
    set(object, "class", json_name(class_of(p, probabilities)), whole);
    set(object, "probabilities", json_probabilities(model, probabilities, whole), whole);
    if (model->classes == 2) {
        const char *finding = model->class_names[model->positive.index];
        set(object, "positive_class", json_name(finding), whole);
        set(object, "threshold", json_real(model->threshold), whole);
    }
    set(object, "rule", json_string(pulmo_decision_rule(model)), whole);
    return object;
}

/* One JSON object per line. What standard output refuses is reported when the program ends. */
static pulmo_status print_json(const prediction *p, const char *path, const float *probabilities)
{
    bool whole = true;
    json_t *object = json_prediction(p, path, probabilities, &whole);
    if (whole)
        whole = json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0;
    json_decref(object);
    if (!whole && !ferror(stdout))
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory for its line", path);
    putchar('\n');
    return PULMO_OK;
}

/* ---- scoring ---- */

/* Reads a chunk's images once, whatever views are drawn of them; *out: how many could be. */
static pulmo_status decode_chunk(prediction *p, int count, int *out)
{
    int good = 0;
    pulmo_pool_try_all(p->backbone->pool, count, decode_task, p, p->failure);
    for (int i = 0; i < count; i++) {
        if (!input_costs_one_image(p->failure[i].status))
            return pulmo_failure_raise(&p->failure[i]);
        if (p->failure[i].status != PULMO_OK)
            continue;
        const pulmo_image image = p->decoded[i];
        p->decoded[i] = (pulmo_image){0};
        p->decoded[good] = image;
        good++;
    }
    *out = good;
    return PULMO_OK;
}

static void free_chunk(prediction *p)
{
    for (int i = 0; i < CHUNK; i++)
        pulmo_image_free(&p->decoded[i]);
}

/* Logits of one view of the images that could be read. */
static pulmo_status score_view(prediction *p, int good)
{
    PULMO_TRY(pulmo_pool_try(p->backbone->pool, good, view_task, p));
    pulmo_backbone_features(p->backbone, good, p->images, p->features);
    pulmo_head_logits(p->head, good, p->features, p->logits);
    return PULMO_OK;
}

/* The mean of all views' logits, as in a run. */
static pulmo_status score_views(prediction *p, int good)
{
    const int views = p->views.views;
    const int values = good * p->model->classes;
    p->view = 0;
    if (views == 1)
        return score_view(p, good);
    memset(p->sums, 0, (size_t)values * sizeof *p->sums);
    for (p->view = 0; p->view < views; p->view++) {
        PULMO_TRY(score_view(p, good));
        for (int i = 0; i < values; i++)
            p->sums[i] += (double)p->logits[i];
    }
    for (int i = 0; i < values; i++) {
        const double mean = p->sums[i] / views;
        p->logits[i] = (float)mean;
    }
    return PULMO_OK;
}

static pulmo_status print_line(const prediction *p, const char *path, const float *probabilities)
{
    if (p->options->json)
        return print_json(p, path, probabilities);
    print_csv(p, path, probabilities);
    return PULMO_OK;
}

static pulmo_status print_chunk(prediction *p, int count)
{
    const float *probabilities = p->probabilities;
    for (int i = 0; i < count; i++) {
        const pulmo_failure *failure = &p->failure[i];
        if (failure->status != PULMO_OK) {
            pulmo_warn("%s", failure->report);
            p->bad++;
            continue;
        }
        PULMO_TRY(print_line(p, p->paths[i], probabilities));
        probabilities += p->model->classes;
    }
    fflush(stdout);
    return PULMO_OK;
}

static pulmo_status predict_chunk(prediction *p, char *const *paths, int count)
{
    int good = 0;
    p->paths = paths;
    pulmo_status status = decode_chunk(p, count, &good);
    if (status == PULMO_OK)
        status = score_views(p, good);
    free_chunk(p);
    PULMO_TRY(status);
    PULMO_TRY(pulmo_model_probabilities(p->model, good, p->logits, p->probabilities));
    return print_chunk(p, count);
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
    pulmo_status status = PULMO_OK;
    for (size_t at = 0; status == PULMO_OK && at < list->count; at += CHUNK) {
        size_t count = list->count - at;
        if (count > CHUNK)
            count = CHUNK;
        status = predict_chunk(p, list->paths + at, (int)count);
        pulmo_progress_update(&progress, (double)(at + count), NULL);
    }
    pulmo_progress_end(&progress);
    PULMO_TRY(status);
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
