/* `pulmo predict`: class and probability of single images. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "pulmo/ahead.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/features.h"
#include "pulmo/infer.h"
#include "pulmo/results.h"
#include "pulmo/text.h"

#define CHUNK 16 /* images at the trunk, while the next are decoded */

/* ---- images ---- */

typedef struct prediction {
    const pulmo_predict_options *options;
    const pulmo_model *model;
    const pulmo_backbone *backbone;
    const input_list *list;
    pulmo_head *head;
    pulmo_ahead *ahead;
    size_t image_floats;
    float *images; /* (PULMO_AHEAD_BATCHES, CHUNK, 3, H, W): the first view of each */
    float *view;   /* (CHUNK, 3, H, W): of those that could be read */
    float *features, *logits, *probabilities; /* (CHUNK, ...) */
    double *sums;                             /* (CHUNK, classes): of the views' logits */
    pulmo_view_spec views;
    pulmo_image decoded[PULMO_AHEAD_BATCHES][CHUNK];
    pulmo_ahead_batch chunk; /* the one at hand */
    int good[CHUNK];         /* its items that could be read, in order */
    int number;              /* of the view at hand */
    size_t bad;
} prediction;

/* Where a chunk begins in the list. */
static size_t chunk_begin(uint64_t batch)
{
    return (size_t)batch * CHUNK;
}

static int plan_chunk(void *context, uint64_t batch, int place)
{
    const prediction *p = context;
    const size_t begin = chunk_begin(batch);
    (void)place;
    if (begin >= p->list->count)
        return PULMO_AHEAD_END;
    const size_t left = p->list->count - begin;
    return left < CHUNK ? (int)left : CHUNK;
}

static pulmo_status apply_view(const prediction *p, int number, const pulmo_image *image,
                               float *out)
{
    const pulmo_model *model = p->model;
    const int shape[3] = {image->height_px, image->width_px, image->channels};
    return pulmo_view_apply(&p->views, number, image->pixels, shape, model->mean, model->std, out);
}

static float *first_view(const prediction *p, int place, int item)
{
    const size_t at = (size_t)place * CHUNK + (size_t)item;
    return p->images + at * p->image_floats;
}

/* An image is decoded once, and kept only where further views are drawn of it. */
static pulmo_status prepare_image(void *context, const pulmo_ahead_item *it)
{
    prediction *p = context;
    const pulmo_model *model = p->model;
    const char *path = p->list->paths[chunk_begin(it->batch) + (size_t)it->item];
    pulmo_image *image = &p->decoded[it->place][it->item];
    pulmo_image_free(image);
    PULMO_TRY(
        input_image_read(path, &model->framing, model->size_px, p->options->pixels_max, image));
    return apply_view(p, 0, image, first_view(p, it->place, it->item));
}

static pulmo_status view_task(void *context, int task, int thread)
{
    const prediction *p = context;
    const int item = p->good[task];
    const pulmo_image *image = &p->decoded[p->chunk.place][item];
    (void)thread;
    return apply_view(p, p->number, image, p->view + (size_t)task * p->image_floats);
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

/* *out: how many of the chunk's images could be read. */
static pulmo_status find_good(prediction *p, int *out)
{
    int good = 0;
    for (int i = 0; i < p->chunk.count; i++) {
        const pulmo_failure *failure = &p->chunk.failures[i];
        if (!input_costs_one_image(failure->status))
            return pulmo_failure_raise(failure);
        if (failure->status != PULMO_OK)
            continue;
        p->good[good] = i;
        good++;
    }
    *out = good;
    return PULMO_OK;
}

/* The first view of the images that could be read, without gaps. */
static const float *gather_first(prediction *p, int good)
{
    if (good == p->chunk.count)
        return first_view(p, p->chunk.place, 0);
    for (int i = 0; i < good; i++) {
        const float *from = first_view(p, p->chunk.place, p->good[i]);
        memcpy(p->view + (size_t)i * p->image_floats, from, p->image_floats * sizeof *from);
    }
    return p->view;
}

/* Logits of one view of the images that could be read. */
static pulmo_status score_view(prediction *p, int good)
{
    const float *images = p->view;
    pulmo_pool *pool = p->backbone->pool;
    if (p->number == 0)
        images = gather_first(p, good);
    else
        PULMO_TRY(pulmo_pool_try(pool, good, view_task, p));
    pulmo_backbone_features(p->backbone, good, images, p->features);
    pulmo_head_logits_on(p->head, pool, good, p->features, p->logits);
    return PULMO_OK;
}

/* The mean of all views' logits, as in a run. */
static pulmo_status score_views(prediction *p, int good)
{
    const int views = p->views.views;
    const int values = good * p->model->classes;
    p->number = 0;
    if (views == 1)
        return score_view(p, good);
    memset(p->sums, 0, (size_t)values * sizeof *p->sums);
    for (p->number = 0; p->number < views; p->number++) {
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

static pulmo_status print_chunk(prediction *p)
{
    const float *probabilities = p->probabilities;
    char *const *paths = p->list->paths + chunk_begin(p->chunk.number);
    for (int i = 0; i < p->chunk.count; i++) {
        const pulmo_failure *failure = &p->chunk.failures[i];
        if (failure->status != PULMO_OK) {
            pulmo_warn("%s", failure->report);
            p->bad++;
            continue;
        }
        PULMO_TRY(print_line(p, paths[i], probabilities));
        probabilities += p->model->classes;
    }
    fflush(stdout);
    return PULMO_OK;
}

static pulmo_status predict_chunk(prediction *p)
{
    int good = 0;
    PULMO_TRY(find_good(p, &good));
    PULMO_TRY(score_views(p, good));
    PULMO_TRY(pulmo_model_probabilities(p->model, good, p->logits, p->probabilities));
    return print_chunk(p);
}

static pulmo_status allocate(prediction *p)
{
    const pulmo_backbone *backbone = p->backbone;
    const size_t side = (size_t)p->model->size_px;
    const size_t scores = CHUNK * (size_t)p->model->classes;
    const size_t cells = (size_t)backbone->height * (size_t)backbone->width;
    const size_t features = cells * (size_t)backbone->channels;
    const size_t ahead = PULMO_AHEAD_BATCHES * CHUNK;
    p->image_floats = 3 * side * side;
    p->images = pulmo_alloc(ahead * p->image_floats, sizeof *p->images);
    p->view = pulmo_alloc(CHUNK * p->image_floats, sizeof *p->view);
    p->features = pulmo_alloc(CHUNK * features, sizeof *p->features);
    p->logits = pulmo_alloc(scores, sizeof *p->logits);
    p->probabilities = pulmo_alloc(scores, sizeof *p->probabilities);
    p->sums = pulmo_alloc(scores, sizeof *p->sums);
    const bool inputs = p->images && p->view && p->features;
    const bool outputs = p->logits && p->probabilities && p->sums;
    if (!inputs || !outputs)
        return PULMO_MEMORY;
    return PULMO_OK;
}

static void release(prediction *p)
{
    pulmo_ahead_destroy(p->ahead);
    pulmo_head_destroy(p->head);
    for (int place = 0; place < PULMO_AHEAD_BATCHES; place++) {
        for (int i = 0; i < CHUNK; i++)
            pulmo_image_free(&p->decoded[place][i]);
    }
    pulmo_free(p->images);
    pulmo_free(p->view);
    pulmo_free(p->features);
    pulmo_free(p->logits);
    pulmo_free(p->probabilities);
    pulmo_free(p->sums);
}

static pulmo_status prepare(prediction *p)
{
    const pulmo_model *model = p->model;
    const pulmo_loss_spec loss = {0};
    const pulmo_ahead_work work = {.items = CHUNK,
                                   .depth = PULMO_AHEAD_BATCHES,
                                   .threads = 1,
                                   .plan = plan_chunk,
                                   .make = prepare_image,
                                   .context = p};
    PULMO_TRY(pulmo_model_check_backbone(model, p->backbone, p->options->run));
    PULMO_TRY(allocate(p));
    PULMO_TRY(pulmo_views_of_model(model, &p->views));
    PULMO_TRY(pulmo_head_create(&model->head, &loss, PULMO_SCORE_MICROBATCH,
                                PULMO_SCORE_MICROBATCHES, model->parameters, &p->head));
    return pulmo_ahead_create(&work, p->backbone->pool, &p->ahead);
}

static pulmo_status predict_chunks(prediction *p)
{
    const size_t count = p->list->count;
    pulmo_progress progress;
    pulmo_status status = PULMO_OK;
    pulmo_progress_begin(&progress, "  predict", "img", (double)count);
    pulmo_ahead_begin(p->ahead);
    pulmo_ahead_next(p->ahead, &p->chunk);
    while (!p->chunk.ended) {
        const size_t done = chunk_begin(p->chunk.number) + (size_t)p->chunk.count;
        status = predict_chunk(p);
        pulmo_progress_update(&progress, (double)done, NULL);
        if (status != PULMO_OK)
            break;
        pulmo_ahead_next(p->ahead, &p->chunk);
    }
    pulmo_progress_end(&progress);
    return status;
}

static pulmo_status predict_list(prediction *p)
{
    PULMO_TRY(prepare(p));
    if (!p->options->json)
        print_csv_header(p);
    PULMO_TRY(predict_chunks(p));
    return input_list_outcome(p->list, p->bad);
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
    p->list = &list;
    status = predict_list(p);
    release(p);
    pulmo_backbone_close(&backbone);
out:
    input_list_free(&list);
    pulmo_model_free(&model);
    free(p);
    return status;
}
