/* model.h5: the trainable layers of the best epoch and all that is needed to use them.
 *
 *   /head/classifier.N.weight (out, in), /head/classifier.N.bias (out)   float32
 *   /mean, /std (3) float32; /hidden (layers) int64, where there are hidden layers
 *   /pool_blocks (blocks) int64, where the averaged outputs of several blocks are the features
 *   /config   the run's configuration, from whose augment section views are drawn
 *   and where convolutions were trained:
 *   /trunk/features.N.weight (out, in, 3, 3), /trunk/features.N.bias (out)   float32
 *   /trunk/layers (layers, 5) int64: N, inputs, outputs, block, 1 where a max-pool follows
 *   attributes of /: pulmo_kind "model", format_version, classes, pool, dropout, channels, height,
 *       width, size_px, fit, border, decoding (pulmo/framing.h), pseudonyms (where the pack has
 * them), positive_class, positive_class_by, threshold_rule, threshold, temperature, best_epoch,
 * demo, weights_sha256 (of the pretrained convolutions' values), preprocessing, arithmetic,
 * frozen_blocks
 * (-1: all), tta */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model_room.h"

#include "pulmo/config.h"
#include "pulmo/h5.h"
#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "pulmo/packed.h"
#include "pulmo/specs.h"

#define MODEL_FORMAT_VERSION 2

const char *pulmo_pooling_name(pulmo_pooling pool)
{
    return pulmo_config_choice("model.pool", (int)pool);
}

static int pooling_of(const char *name)
{
    return pulmo_config_choice_find("model.pool", name);
}

/* Where a tensor stands in the file, and its shape there. */
typedef struct tensor_dataset {
    char name[64];
    int rank;
    uint64_t dims[4];
} tensor_dataset;

static bool is_of_convolution(const pulmo_tensor *tensor)
{
    if (tensor->kind == PULMO_CONV_WEIGHT)
        return true;
    return tensor->kind == PULMO_CONV_BIAS;
}

static tensor_dataset dataset_of(const pulmo_tensor *tensor)
{
    uint64_t rows = (uint64_t)tensor->rows;
    uint64_t cols = (uint64_t)tensor->cols;
    tensor_dataset set = {.rank = 1, .dims = {rows}};
    const char *group = "head";
    if (is_of_convolution(tensor))
        group = "trunk";
    snprintf(set.name, sizeof set.name, "%s/%s", group, tensor->name);
    if (tensor->kind == PULMO_LINEAR_WEIGHT) {
        set.rank = 2;
        set.dims[1] = cols;
    }
    if (tensor->kind == PULMO_CONV_WEIGHT) {
        set.rank = 4;
        set.dims[1] = cols / 9;
        set.dims[2] = 3;
        set.dims[3] = 3;
    }
    return set;
}

/* ---- writing ---- */

/* Attributes of the file itself. */
static pulmo_status set_int(pulmo_h5 *file, const char *name, int64_t value)
{
    return pulmo_h5_set_int(file, "/", name, value);
}

static pulmo_status set_real(pulmo_h5 *file, const char *name, double value)
{
    return pulmo_h5_set_real(file, "/", name, value);
}

static pulmo_status set_text(pulmo_h5 *file, const char *name, const char *value)
{
    return pulmo_h5_set_text(file, "/", name, value);
}

static pulmo_status write_layout(pulmo_h5 *file, const pulmo_layout *layout,
                                 const float *parameters)
{
    for (int t = 0; t < layout->tensors; t++) {
        const pulmo_tensor *tensor = &layout->tensor[t];
        tensor_dataset set = dataset_of(tensor);
        const float *from = parameters + tensor->offset;
        PULMO_TRY(pulmo_h5_write(file, set.name, PULMO_H5_F32, set.rank, set.dims, from));
    }
    return PULMO_OK;
}

/* Columns of /trunk/layers. */
enum { INDEX, INPUTS, OUTPUTS, BLOCK, POOL_AFTER, LAYER_COLUMNS };

static void fill_row(const pulmo_tuned_spec *tuned, int layer, int64_t row[LAYER_COLUMNS])
{
    row[INDEX] = tuned->layer[layer].feature_index;
    row[INPUTS] = tuned->layer[layer].in_channels;
    row[OUTPUTS] = tuned->layer[layer].out_channels;
    row[BLOCK] = tuned->layer[layer].block;
    row[POOL_AFTER] = tuned->layer[layer].pool_after;
}

static pulmo_status write_trunk(pulmo_h5 *file, const pulmo_model *model)
{
    const pulmo_tuned_spec *tuned = &model->tuned;
    int64_t rows[PULMO_CONVS_MAX][LAYER_COLUMNS];
    const uint64_t dims[2] = {(uint64_t)tuned->layers, LAYER_COLUMNS};
    pulmo_layout layout;
    if (tuned->layers == 0)
        return PULMO_OK;
    pulmo_tuned_layout_of(tuned, &layout);
    for (int l = 0; l < tuned->layers; l++)
        fill_row(tuned, l, rows[l]);
    PULMO_TRY(pulmo_h5_write(file, "trunk/layers", PULMO_H5_I64, 2, dims, rows));
    return write_layout(file, &layout, model->storage);
}

static pulmo_status write_shape(pulmo_h5 *file, const pulmo_model *model)
{
    const pulmo_head_spec *head = &model->head;
    const char *pool = pulmo_pooling_name(head->pool);
    const uint64_t three = 3;
    const uint64_t hidden = (uint64_t)head->hidden_layers;
    int64_t widths[PULMO_HIDDEN_MAX] = {0};
    for (int i = 0; i < head->hidden_layers; i++)
        widths[i] = head->hidden[i];
    PULMO_TRY(set_text(file, "pool", pool));
    PULMO_TRY(model_blocks_write(file, model->tuned.averaged));
    if (hidden > 0)
        PULMO_TRY(pulmo_h5_write(file, "hidden", PULMO_H5_I64, 1, &hidden, widths));
    PULMO_TRY(set_real(file, "dropout", head->dropout));
    PULMO_TRY(set_int(file, "channels", head->channels));
    PULMO_TRY(set_int(file, "height", head->height));
    PULMO_TRY(set_int(file, "width", head->width));
    PULMO_TRY(set_int(file, "size_px", model->size_px));
    PULMO_TRY(pulmo_framing_write(file, &model->framing));
    if (model->hides_names)
        PULMO_TRY(set_int(file, "pseudonyms", 1));
    PULMO_TRY(pulmo_h5_write(file, "mean", PULMO_H5_F32, 1, &three, model->mean));
    return pulmo_h5_write(file, "std", PULMO_H5_F32, 1, &three, model->std);
}

static pulmo_status write_facts(pulmo_h5 *file, const pulmo_model *model)
{
    const pulmo_tuned_spec *tuned = &model->tuned;
    int frozen_blocks = PULMO_FROZEN_ALL;
    if (tuned->layers > 0)
        frozen_blocks = tuned->frozen_blocks;
    PULMO_TRY(set_text(file, "threshold_rule", model->threshold_rule));
    PULMO_TRY(set_real(file, "threshold", model->threshold));
    PULMO_TRY(set_real(file, "temperature", model->temperature));
    PULMO_TRY(set_int(file, "best_epoch", model->best_epoch));
    PULMO_TRY(set_int(file, "demo", model->is_demo));
    PULMO_TRY(set_text(file, "weights_sha256", model->weights_digest));
    PULMO_TRY(set_text(file, "preprocessing", model->preprocessing));
    PULMO_TRY(pulmo_arithmetic_write(file, PULMO_ARITHMETIC));
    PULMO_TRY(set_int(file, "frozen_blocks", frozen_blocks));
    PULMO_TRY(set_int(file, "tta", model->tta));
    return pulmo_h5_write_text(file, "config", model->config);
}

static pulmo_status write_model(pulmo_h5 *file, const pulmo_model *model)
{
    const char *const *names = (const char *const *)model->class_names;
    PULMO_TRY(pulmo_h5_set_kind(file, "model", MODEL_FORMAT_VERSION));
    PULMO_TRY(pulmo_h5_set_texts(file, "/", "classes", model->classes, names));
    PULMO_TRY(write_shape(file, model));
    PULMO_TRY(pulmo_positive_write(file, model));
    PULMO_TRY(write_facts(file, model));
    PULMO_TRY(write_trunk(file, model));
    return write_layout(file, &model->layout, model->parameters);
}

pulmo_status pulmo_model_write(const char *path, const pulmo_model *model)
{
    pulmo_h5 *file = NULL;
    PULMO_TRY(pulmo_h5_create(path, &file));
    pulmo_status status = write_model(file, model);
    if (status == PULMO_OK)
        status = pulmo_h5_seal(file);
    if (status == PULMO_OK)
        return pulmo_h5_commit(file);
    pulmo_h5_close(file);
    return status;
}

/* ---- reading ---- */

static pulmo_status get_int(pulmo_h5 *file, const char *name, int64_t low, int64_t high, int *out)
{
    int64_t value = 0;
    PULMO_TRY(pulmo_h5_get_int(file, "/", name, &value));
    bool inside = value >= low && value <= high;
    if (!inside)
        return pulmo_fail(
            PULMO_DATA, "%s: attribute %s is %lld; must be %lld to %lld: the file is damaged",
            pulmo_h5_path(file), name, (long long)value, (long long)low, (long long)high);
    *out = (int)value;
    return PULMO_OK;
}

static pulmo_status get_real(pulmo_h5 *file, const char *name, double low, double high, double *out)
{
    PULMO_TRY(pulmo_h5_get_real(file, "/", name, out));
    const double value = *out;
    bool inside = value >= low && value <= high; /* false for a NaN */
    if (inside)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: attribute %s is %g; must be %g to %g: the file is damaged",
                      pulmo_h5_path(file), name, value, low, high);
}

static pulmo_status get_text(pulmo_h5 *file, const char *name, char *out, size_t out_bytes)
{
    char *text = NULL;
    PULMO_TRY(pulmo_h5_get_text(file, "/", name, &text));
    snprintf(out, out_bytes, "%s", text);
    free(text);
    return PULMO_OK;
}

#define WIDTH_MAX 65536 /* of a layer */

static pulmo_status fail_hidden(pulmo_h5 *file, int layer, int64_t width)
{
    return pulmo_fail(PULMO_DATA, "%s: /hidden[%d] is %lld; must be 1 to %d: the file is damaged",
                      pulmo_h5_path(file), layer, (long long)width, WIDTH_MAX);
}

static pulmo_status read_hidden(pulmo_h5 *file, pulmo_head_spec *head)
{
    pulmo_h5_shape shape;
    int64_t widths[PULMO_HIDDEN_MAX];
    if (!pulmo_h5_exists(file, "hidden"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_shape_of(file, "hidden", &shape));
    uint64_t layers = shape.dims[0];
    bool fits = layers >= 1 && layers <= PULMO_HIDDEN_MAX;
    if (shape.rank != 1 || !fits)
        return pulmo_fail(PULMO_DATA, "%s: /hidden must hold 1 to %d widths: the file is damaged",
                          pulmo_h5_path(file), PULMO_HIDDEN_MAX);
    PULMO_TRY(pulmo_h5_read(file, "hidden", PULMO_H5_I64, 1, shape.dims, widths));
    head->hidden_layers = (int)layers;
    for (int i = 0; i < head->hidden_layers; i++) {
        int64_t width = widths[i];
        if (width < 1 || width > WIDTH_MAX)
            return fail_hidden(file, i, width);
        head->hidden[i] = (int)width;
    }
    return PULMO_OK;
}

/* A number for each of an image's channels, none below `low`. */
static pulmo_status read_channels(pulmo_h5 *file, const char *name, float low, float *out)
{
    uint64_t three = 3;
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_F32, 1, &three, out));
    for (int i = 0; i < 3; i++) {
        const float value = out[i];
        bool fits = value >= low && value <= FLT_MAX; /* false for a NaN */
        if (!fits)
            return pulmo_fail(
                PULMO_DATA, "%s: /%s[%d] is %g; must be %g to %g: the file is damaged",
                pulmo_h5_path(file), name, i, (double)value, (double)low, (double)FLT_MAX);
    }
    return PULMO_OK;
}

static pulmo_status read_shape(pulmo_h5 *file, pulmo_model *model)
{
    char pool[16];
    pulmo_head_spec *head = &model->head;
    PULMO_TRY(get_text(file, "pool", pool, sizeof pool));
    int pooling = pooling_of(pool);
    if (pooling < 0)
        return pulmo_fail(PULMO_DATA,
                          "%s: attribute pool is \"%s\"; must be flatten, avg, max or avgmax",
                          pulmo_h5_path(file), pool);
    head->pool = (pulmo_pooling)pooling;
    PULMO_TRY(model_blocks_read(file, &model->tuned.averaged));
    PULMO_TRY(read_hidden(file, head));
    PULMO_TRY(get_real(file, "dropout", 0, 1, &head->dropout));
    PULMO_TRY(get_int(file, "channels", 1, 65536, &head->channels));
    PULMO_TRY(get_int(file, "height", 1, 1024, &head->height));
    PULMO_TRY(get_int(file, "width", 1, 1024, &head->width));
    if (!pulmo_head_fits(head))
        return pulmo_fail(
            PULMO_DATA,
            "%s: attributes channels, height and width make %d x %d x %d inputs, more "
            "than a layer can have: the file is damaged",
            pulmo_h5_path(file), head->channels, head->height, head->width);
    PULMO_TRY(get_int(file, "size_px", 32, 32768, &model->size_px));
    PULMO_TRY(pulmo_framing_read(file, "/", &model->framing));
    model->hides_names = pulmo_h5_has_attribute(file, "/", "pseudonyms");
    PULMO_TRY(read_channels(file, "mean", -FLT_MAX, model->mean));
    return read_channels(file, "std", FLT_MIN, model->std);
}

static pulmo_status fail_layer(pulmo_h5 *file, int layer, int64_t value)
{
    return pulmo_fail(PULMO_DATA,
                      "%s: /trunk/layers[%d] holds %lld; must be 0 to %d: the file is damaged",
                      pulmo_h5_path(file), layer, (long long)value, WIDTH_MAX);
}

static pulmo_status read_layer(pulmo_h5 *file, const int64_t row[LAYER_COLUMNS], int layer,
                               pulmo_tuned_spec *tuned)
{
    for (int i = 0; i < LAYER_COLUMNS; i++) {
        if (row[i] < 0 || row[i] > WIDTH_MAX)
            return fail_layer(file, layer, row[i]);
    }
    tuned->layer[layer].feature_index = (int)row[INDEX];
    tuned->layer[layer].in_channels = (int)row[INPUTS];
    tuned->layer[layer].out_channels = (int)row[OUTPUTS];
    tuned->layer[layer].block = (int)row[BLOCK];
    tuned->layer[layer].pool_after = row[POOL_AFTER] != 0;
    return PULMO_OK;
}

static pulmo_status fail_layers(pulmo_h5 *file)
{
    return pulmo_fail(PULMO_DATA,
                      "%s: /trunk/layers must hold 1 to %d layers of %d values: the file is "
                      "damaged",
                      pulmo_h5_path(file), PULMO_CONVS_MAX, LAYER_COLUMNS);
}

#define BLOCKS_MAX                                                                                 \
    16 /* a shorter shift than an int has bits, and more blocks than images have sides */

/* Which convolutions were trained. Their place in the network is checked where they are used. */
static pulmo_status read_layers(pulmo_h5 *file, pulmo_model *model)
{
    pulmo_h5_shape shape;
    pulmo_tuned_spec *tuned = &model->tuned;
    int64_t rows[PULMO_CONVS_MAX][LAYER_COLUMNS];
    if (!pulmo_h5_exists(file, "trunk/layers"))
        return PULMO_OK;
    PULMO_TRY(get_int(file, "frozen_blocks", 0, BLOCKS_MAX, &tuned->frozen_blocks));
    PULMO_TRY(pulmo_h5_shape_of(file, "trunk/layers", &shape));
    uint64_t layers = shape.dims[0];
    if (shape.rank != 2 || shape.dims[1] != LAYER_COLUMNS)
        return fail_layers(file);
    bool fits = layers >= 1 && layers <= PULMO_CONVS_MAX;
    if (!fits)
        return fail_layers(file);
    PULMO_TRY(pulmo_h5_read(file, "trunk/layers", PULMO_H5_I64, 2, shape.dims, rows));
    tuned->layers = (int)layers;
    for (int l = 0; l < tuned->layers; l++)
        PULMO_TRY(read_layer(file, rows[l], l, tuned));
    tuned->channels = tuned->layer[0].in_channels;
    tuned->height = model->size_px >> tuned->frozen_blocks;
    tuned->width = tuned->height;
    return PULMO_OK;
}

static pulmo_status read_layout(pulmo_h5 *file, const pulmo_layout *layout, float *parameters)
{
    for (int t = 0; t < layout->tensors; t++) {
        const pulmo_tensor *tensor = &layout->tensor[t];
        tensor_dataset set = dataset_of(tensor);
        float *to = parameters + tensor->offset;
        PULMO_TRY(pulmo_h5_read_finite(file, set.name, set.rank, set.dims, to));
    }
    return PULMO_OK;
}

/* Whether the file holds the tensors at all: attributes may say any size. */
static pulmo_status check_layout(pulmo_h5 *file, const pulmo_layout *layout)
{
    for (int t = 0; t < layout->tensors; t++) {
        tensor_dataset set = dataset_of(&layout->tensor[t]);
        PULMO_TRY(pulmo_h5_check_shape(file, set.name, set.rank, set.dims));
    }
    return PULMO_OK;
}

static pulmo_status read_tensors(pulmo_h5 *file, pulmo_model *model)
{
    pulmo_layout below;
    pulmo_tuned_layout_of(&model->tuned, &below);
    pulmo_head_layout_of(&model->head, &model->layout);
    PULMO_TRY(check_layout(file, &below));
    PULMO_TRY(check_layout(file, &model->layout));
    size_t parameters = below.parameters + model->layout.parameters;
    model->storage = pulmo_alloc(parameters, sizeof(float));
    if (!model->storage)
        return PULMO_MEMORY;
    model->parameters = model->storage + below.parameters;
    PULMO_TRY(read_layout(file, &below, model->storage));
    return read_layout(file, &model->layout, model->parameters);
}

static pulmo_status read_facts(pulmo_h5 *file, pulmo_model *model)
{
    const size_t rule_bytes = sizeof model->threshold_rule;
    const size_t digest_bytes = sizeof model->weights_digest;
    const size_t preprocessing_bytes = sizeof model->preprocessing;
    const double threshold_max = nextafter(1, 2); /* just above 1: what nothing may reach */
    int demo = 0;
    PULMO_TRY(get_text(file, "threshold_rule", model->threshold_rule, rule_bytes));
    PULMO_TRY(get_real(file, "threshold", 0, threshold_max, &model->threshold));
    PULMO_TRY(get_real(file, "temperature", PULMO_TEMPERATURE_MIN, PULMO_TEMPERATURE_MAX,
                       &model->temperature));
    PULMO_TRY(get_int(file, "best_epoch", 0, 1 << 30, &model->best_epoch));
    PULMO_TRY(get_int(file, "demo", 0, 1, &demo));
    model->is_demo = demo != 0;
    PULMO_TRY(get_text(file, "weights_sha256", model->weights_digest, digest_bytes));
    PULMO_TRY(get_text(file, "preprocessing", model->preprocessing, preprocessing_bytes));
    PULMO_TRY(get_int(file, "tta", 1, 1000, &model->tta));
    return pulmo_h5_read_text(file, "config", &model->config);
}

static pulmo_status read_classes(pulmo_h5 *file, pulmo_model *model)
{
    PULMO_TRY(pulmo_h5_get_texts(file, "/", "classes", &model->classes, &model->class_names));
    if (model->classes < 2)
        return pulmo_fail(PULMO_DATA, "%s: attribute classes has %d names; must be 2 or more",
                          pulmo_h5_path(file), model->classes);
    model->head.classes = model->classes;
    return PULMO_OK;
}

static pulmo_status read_model(pulmo_h5 *file, pulmo_model *model)
{
    PULMO_TRY(pulmo_h5_check_kind(file, "model", MODEL_FORMAT_VERSION,
                                  "give a run directory or its model.h5"));
    PULMO_TRY(read_classes(file, model));
    PULMO_TRY(read_shape(file, model));
    const char *const *names = (const char *const *)model->class_names;
    PULMO_TRY(pulmo_positive_read(file, model->classes, names, &model->positive));
    PULMO_TRY(read_facts(file, model));
    PULMO_TRY(read_layers(file, model));
    return read_tensors(file, model);
}

/* The file of a run directory, or the file itself; NULL for want of memory. */
static char *path_of(const char *run)
{
    struct stat about;
    if (stat(run, &about) != 0)
        return pulmo_strdup(run);
    if (!S_ISDIR(about.st_mode))
        return pulmo_strdup(run);
    return pulmo_format("%s/model.h5", run);
}

pulmo_status pulmo_model_read(const char *run, pulmo_model *out)
{
    pulmo_h5 *file = NULL;
    char *path = path_of(run);
    memset(out, 0, sizeof *out);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = read_model(file, out);
    if (status == PULMO_OK)
        pulmo_h5_say_unverified(file);
    pulmo_h5_close(file);
    free(path);
    if (status == PULMO_OK)
        return PULMO_OK;
    pulmo_model_free(out);
    return pulmo_fail_in(status, "cannot use the model of %s", run);
}

void pulmo_model_head_digest(const pulmo_model *model, char *hex)
{
    const size_t tuned = pulmo_tuned_parameters(&model->tuned);
    const size_t values = tuned + model->layout.parameters;
    const size_t bytes = values * sizeof(float);
    pulmo_digest digest = pulmo_digest_of(model->storage, bytes);
    pulmo_digest_hex(&digest, hex);
}

void pulmo_model_free(pulmo_model *model)
{
    pulmo_free(model->storage);
    free(model->class_names);
    free(model->config);
    memset(model, 0, sizeof *model);
}

static float cooled(float logit, double temperature)
{
    return (float)((double)logit / temperature);
}

pulmo_status pulmo_model_probabilities(const pulmo_model *model, int n, const float *logits,
                                       float *probabilities)
{
    const size_t count = (size_t)n * (size_t)model->classes;
    const double temperature = model->temperature;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(logits[i]))
            return pulmo_fail(
                PULMO_DATA,
                "a score is %g, which stands for no class: the model's weights are too "
                "large to compute with; train again, with a lower optim.lr",
                (double)logits[i]);
    }
    if (temperature != 1) {
        for (size_t i = 0; i < count; i++)
            probabilities[i] = cooled(logits[i], temperature);
        logits = probabilities;
    }
    pulmo_softmax(n, model->classes, logits, probabilities);
    return PULMO_OK;
}

static bool same_layer(const pulmo_tuned_spec *a, const pulmo_tuned_spec *b, int l)
{
    if (a->layer[l].in_channels != b->layer[l].in_channels)
        return false;
    if (a->layer[l].out_channels != b->layer[l].out_channels)
        return false;
    if (a->layer[l].feature_index != b->layer[l].feature_index)
        return false;
    return a->layer[l].pool_after == b->layer[l].pool_after;
}

pulmo_status model_apply(const pulmo_model *model, pulmo_weights *weights)
{
    pulmo_tuned_spec theirs;
    const pulmo_tuned_spec *mine = &model->tuned;
    if (mine->layers == 0)
        return PULMO_OK;
    PULMO_TRY(
        pulmo_tuned_spec_of(weights, mine->frozen_blocks, model->size_px, mine->isa, &theirs));
    bool same = theirs.layers == mine->layers;
    for (int l = 0; same && l < mine->layers; l++)
        same = same_layer(&theirs, mine, l);
    if (!same)
        return pulmo_fail(
            PULMO_WEIGHTS,
            "the model's %d fine-tuned convolutions do not fit these weights: give the "
            "file it was trained on",
            mine->layers);
    pulmo_tuned_apply(mine, model->storage, weights);
    return PULMO_OK;
}

pulmo_decision pulmo_model_decision(const pulmo_model *model)
{
    int positive = model->positive.index;
    return (pulmo_decision){.positive = positive, .threshold = model->threshold};
}

int pulmo_model_class(const pulmo_model *model, const float *probabilities)
{
    const pulmo_decision by = pulmo_model_decision(model);
    return pulmo_metrics_class(model->classes, &by, probabilities);
}
