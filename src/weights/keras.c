/* Keras' HDF5 weight files. Kernels are (3, 3, I, O), biases (O).
 *
 * Keras 1 and 2 name layers: groups blockB_convC hold a kernel and a bias, whatever the datasets'
 * own names ("block1_conv1_W_1:0", "kernel:0") and however deep they stand
 * ("model_weights/block1_conv1/block1_conv1/kernel:0").
 *
 * Keras 3's .weights.h5 counts layers of a class: .../conv2d/vars/0 is the first convolution's
 * kernel, .../conv2d/vars/1 its bias, then conv2d_1, conv2d_2 ... Where blocks end is not written;
 * the widths must be those of VGG16 or VGG19, which tell.
 *
 * The convolutions are usually Caffe's: the first takes blue, green, red. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/h5.h"
#include "weights_room.h"

#define BLOCK_CONVS 8

typedef struct entry {
    char kernel[512], bias[512]; /* names of the datasets, "" where none was met */
    int64_t shape[4], biases;
} entry;

typedef struct survey {
    entry named[BLOCK_CONVS][BLOCK_CONVS]; /* [block - 1][conv - 1] */
    entry counted[PULMO_CONVS_MAX];
    char container[512]; /* what stands before the first "conv2d" */
    bool many, long_name;
} survey;

static int64_t limited(uint64_t size)
{
    if (size > CHANNELS_MAX)
        return CHANNELS_MAX + 1;
    return (int64_t)size;
}

static void note(survey *s, entry *e, const char *name, const pulmo_h5_shape *shape)
{
    if (strlen(name) >= sizeof e->kernel) {
        s->long_name = true;
        return;
    }
    if (shape->rank == 4) {
        s->many = s->many || e->kernel[0];
        snprintf(e->kernel, sizeof e->kernel, "%s", name);
        for (int i = 0; i < 4; i++)
            e->shape[i] = limited(shape->dims[i]);
    } else if (shape->rank == 1) {
        s->many = s->many || e->bias[0];
        snprintf(e->bias, sizeof e->bias, "%s", name);
        e->biases = limited(shape->dims[0]);
    }
}

/* .../blockB_convC/... */
static entry *named_layer(survey *s, const char *name)
{
    int block = 0;
    int conv = 0;
    const char *at = strstr(name, "block");
    if (!at || sscanf(at, "block%1d_conv%1d", &block, &conv) != 2)
        return NULL;
    if (block < 1 || block > BLOCK_CONVS)
        return NULL;
    if (conv < 1 || conv > BLOCK_CONVS)
        return NULL;
    return &s->named[block - 1][conv - 1];
}

static bool is_container(const survey *s, const char *name, size_t length)
{
    if (strlen(s->container) != length)
        return false;
    return memcmp(s->container, name, length) == 0;
}

/* CONTAINER/conv2d/vars/0, CONTAINER/conv2d_7/vars/1. The container is the first whose first
 * convolution takes an image; names come in order, so conv2d is met before its followers. */
static entry *counted_layer(survey *s, const char *name, const pulmo_h5_shape *shape)
{
    const bool is_kernel = shape->rank == 4;
    const char *vars = is_kernel ? "/vars/0" : "/vars/1";
    const char *at = strstr(name, "conv2d");
    int count = 0;
    int end = 0;
    if (!at || (at > name && at[-1] != '/'))
        return NULL;
    const char *after = at + strlen("conv2d");
    if (*after == '_') {
        if (sscanf(after, "_%3d%n", &count, &end) != 1 || count < 1)
            return NULL;
        after += end;
    }
    size_t length = (size_t)(at - name);
    if (strcmp(after, vars) != 0 || count >= PULMO_CONVS_MAX)
        return NULL;
    if (length >= sizeof s->container)
        return NULL;
    bool takes_image = count == 0 && is_kernel && shape->dims[2] == 3;
    bool chosen = s->counted[0].kernel[0] != '\0';
    if (takes_image && chosen)
        s->many = true;
    if (!takes_image && !(chosen && is_container(s, name, length)))
        return NULL;
    snprintf(s->container, sizeof s->container, "%.*s", (int)length, name);
    return &s->counted[count];
}

/* For every dataset of the file. An optimizer's state has its layers' names, too. */
static void look(void *context, const char *name, const pulmo_h5_shape *shape)
{
    survey *s = context;
    if (shape->type != PULMO_H5_F32)
        return;
    if (strncmp(name, "optimizer", 9) == 0)
        return;
    entry *e = named_layer(s, name);
    if (!e)
        e = counted_layer(s, name, shape);
    if (e)
        note(s, e, name, shape);
}

/* (O, I, 3, 3). */
static bool is_theanos(const entry *e)
{
    if (e->shape[0] == 3)
        return false;
    return e->shape[2] == 3 && e->shape[3] == 3;
}

/* (3, 3, I, O). */
static bool is_convolution(const entry *e)
{
    if (e->shape[0] != 3 || e->shape[1] != 3)
        return false;
    for (int i = 2; i < 4; i++) {
        int64_t channels = e->shape[i];
        if (channels < 1 || channels > CHANNELS_MAX)
            return false;
    }
    return true;
}

static pulmo_status check_shape(const weight_file *file, const entry *e)
{
    if (!e->bias[0])
        return weights_bad(file, "%s: has no float32 bias beside it", e->kernel);
    if (is_theanos(e))
        return weights_bad(
            file,
            "%s: is in Theano's order (O, I, 3, 3); take the file with \"tf_kernels\" in its name",
            e->kernel);
    if (!is_convolution(e))
        return weights_bad(file, "%s: is not a 3 x 3 convolution (3, 3, I, O)", e->kernel);
    return PULMO_OK;
}

static pulmo_status read_entry(weight_file *file, pulmo_h5 *h5, const entry *e, source_conv *out)
{
    void *kernel = NULL;
    void *bias = NULL;
    const int64_t inputs = e->shape[2];
    const int64_t outputs = e->shape[3];
    const int64_t plane = inputs * outputs;
    const uint64_t dims[4] = {3, 3, (uint64_t)inputs, (uint64_t)outputs};
    const uint64_t weights = 9 * (uint64_t)plane;
    const uint64_t biases = (uint64_t)e->biases;
    PULMO_TRY(check_shape(file, e));
    PULMO_TRY(weights_block(file, weights * sizeof(float), &kernel));
    PULMO_TRY(weights_block(file, biases * sizeof(float), &bias));
    PULMO_TRY(pulmo_h5_read(h5, e->kernel, PULMO_H5_F32, 4, dims, kernel));
    PULMO_TRY(pulmo_h5_read(h5, e->bias, PULMO_H5_F32, 1, &biases, bias));
    out->weight = (source_tensor){
        .type = ELEMENT_FLOAT32,
        .rank = 4,
        .shape = {outputs, inputs, 3, 3},
        .stride = {1, outputs, 3 * plane, plane},
        .at = kernel,
    };
    out->bias = (source_tensor){
        .type = ELEMENT_FLOAT32,
        .rank = 1,
        .shape = {e->biases},
        .stride = {1},
        .at = bias,
    };
    snprintf(out->weight.name, sizeof out->weight.name, "%.*s", NAME_BYTES - 1, e->kernel);
    snprintf(out->bias.name, sizeof out->bias.name, "%.*s", NAME_BYTES - 1, e->bias);
    return PULMO_OK;
}

static pulmo_status add_layer(weight_file *file, pulmo_h5 *h5, const entry *e, bool begins_block)
{
    if (file->convs == PULMO_CONVS_MAX)
        return weights_bad(file, "%s: is one layer too many", e->kernel);
    if (begins_block && file->convs > 0)
        file->conv[file->convs - 1].pool_after = true;
    source_conv *conv = &file->conv[file->convs];
    file->convs++;
    return read_entry(file, h5, e, conv);
}

static bool follows(const survey *s, int block, int conv)
{
    if (conv > 0)
        return s->named[block][conv - 1].kernel[0];
    return block == 0 || s->named[block - 1][0].kernel[0];
}

static pulmo_status read_named(weight_file *file, pulmo_h5 *h5, const survey *s)
{
    for (int b = 0; b < BLOCK_CONVS; b++)
        for (int c = 0; c < BLOCK_CONVS; c++) {
            const entry *e = &s->named[b][c];
            if (!e->kernel[0])
                continue;
            if (!follows(s, b, c))
                return weights_bad(file, "%s: the layer before it is missing", e->kernel);
            PULMO_TRY(add_layer(file, h5, e, c == 0));
        }
    return PULMO_OK;
}

/* What follows the VGG's own convolutions is a head, and no part of it. */
static bool widths_are(const survey *s, const int blocks[VGG_BLOCKS])
{
    int conv = 0;
    for (int b = 0; b < VGG_BLOCKS; b++)
        for (int i = 0; i < blocks[b]; i++) {
            const entry *e = &s->counted[conv];
            conv++;
            if (!e->kernel[0])
                return false;
            if (e->shape[3] != vgg_widths[b])
                return false;
        }
    return true;
}

static pulmo_status read_counted(weight_file *file, pulmo_h5 *h5, const survey *s)
{
    const int *blocks = NULL;
    for (int i = 0; i < VGG_KINDS; i++)
        if (widths_are(s, vgg_blocks[i]))
            blocks = vgg_blocks[i];
    if (!blocks)
        return weights_bad(file,
                           "%s: its layers are numbered, not named blockB_convC, and their "
                           "widths are not those of VGG16 or VGG19, so that nothing tells "
                           "where blocks end",
                           s->counted[0].kernel);
    file->naming = "Keras 3 (conv2d_N/vars, kernels HWIO)";
    const entry *e = s->counted;
    for (int b = 0; b < VGG_BLOCKS; b++)
        for (int i = 0; i < blocks[b]; i++) {
            PULMO_TRY(add_layer(file, h5, e, i == 0));
            e++;
        }
    return PULMO_OK;
}

static pulmo_status read_layers(weight_file *file, pulmo_h5 *h5, survey *s)
{
    PULMO_TRY(pulmo_h5_visit_datasets(h5, look, s));
    if (s->long_name || s->many)
        return weights_bad(file, "holds more than one kernel or bias for a layer");
    if (s->counted[0].kernel[0])
        PULMO_TRY(read_counted(file, h5, s));
    else
        PULMO_TRY(read_named(file, h5, s));
    if (file->convs == 0)
        return weights_bad(file, "is HDF5 without Keras' layers block1_conv1 ... or conv2d ...");
    file->conv[file->convs - 1].pool_after = true;
    return PULMO_OK;
}

pulmo_status weights_read_keras(weight_file *file)
{
    pulmo_h5 *h5 = NULL;
    file->format = "HDF5";
    file->naming = "Keras (blockB_convC, kernels HWIO)";
    file->caffe = true;
    survey *s = calloc(1, sizeof *s);
    if (!s)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", file->path);
    pulmo_status status = pulmo_h5_open(file->path, &h5);
    if (status == PULMO_OK)
        status = read_layers(file, h5, s);
    pulmo_h5_close(h5);
    free(s);
    return status == PULMO_DATA ? PULMO_WEIGHTS : status; /* a damaged file of weights */
}
