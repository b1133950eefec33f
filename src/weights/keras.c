/* Keras' HDF5 weight files: groups of layers named blockB_convC that hold a kernel (3, 3, I, O)
 * and a bias (O), whatever the datasets' own names ("block1_conv1_W_1:0", "kernel:0") and however
 * deep they stand ("model_weights/block1_conv1/block1_conv1/kernel:0"). The convolutions are
 * Caffe's: the first takes blue, green, red. */
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
    entry at[BLOCK_CONVS][BLOCK_CONVS]; /* [block - 1][conv - 1] */
    bool many, long_name;
} survey;

static void look(void *context, const char *name, const pulmo_h5_shape *shape,
                 const char *attribute, const char *value)
{
    survey *s = context;
    int block, conv;
    const char *at = strstr(name, "block");
    (void)value;
    if (!shape || attribute || !at || sscanf(at, "block%1d_conv%1d", &block, &conv) != 2)
        return;
    if (block < 1 || block > BLOCK_CONVS || conv < 1 || conv > BLOCK_CONVS ||
        shape->type != PULMO_H5_F32)
        return;
    entry *e = &s->at[block - 1][conv - 1];
    if (strlen(name) >= sizeof e->kernel)
        s->long_name = true;
    else if (shape->rank == 4) {
        s->many = s->many || e->kernel[0];
        snprintf(e->kernel, sizeof e->kernel, "%s", name);
        for (int i = 0; i < 4; i++)
            e->shape[i] =
                (int64_t)(shape->dims[i] > CHANNELS_MAX ? CHANNELS_MAX + 1 : shape->dims[i]);
    } else if (shape->rank == 1) {
        s->many = s->many || e->bias[0];
        snprintf(e->bias, sizeof e->bias, "%s", name);
        e->biases = (int64_t)(shape->dims[0] > CHANNELS_MAX ? CHANNELS_MAX + 1 : shape->dims[0]);
    }
}

static pulmo_status check_shape(const weight_file *file, const entry *e)
{
    if (!e->bias[0])
        return weights_bad(file, "%s: has no float32 bias beside it", e->kernel);
    if (e->shape[0] != 3 && e->shape[2] == 3 && e->shape[3] == 3)
        return weights_bad(
            file,
            "%s: is in Theano's order (O, I, 3, 3); take the file with \"tf_kernels\" in its name",
            e->kernel);
    for (int i = 0; i < 4; i++)
        if (e->shape[i] < 1 || e->shape[i] > CHANNELS_MAX || (i < 2 && e->shape[i] != 3))
            return weights_bad(file, "%s: is not a 3 x 3 convolution (3, 3, I, O)", e->kernel);
    return PULMO_OK;
}

static pulmo_status read_conv(weight_file *file, pulmo_h5 *h5, const entry *e, source_conv *out)
{
    void *kernel = NULL, *bias = NULL;
    const int64_t inputs = e->shape[2], outputs = e->shape[3];
    uint64_t dims[4] = {3, 3, (uint64_t)inputs, (uint64_t)outputs}, biases = (uint64_t)e->biases;
    PULMO_TRY(check_shape(file, e));
    PULMO_TRY(weights_block(file, (uint64_t)(9 * inputs * outputs) * sizeof(float), &kernel));
    PULMO_TRY(weights_block(file, biases * sizeof(float), &bias));
    PULMO_TRY(pulmo_h5_read(h5, e->kernel, PULMO_H5_F32, 4, dims, kernel));
    PULMO_TRY(pulmo_h5_read(h5, e->bias, PULMO_H5_F32, 1, &biases, bias));
    out->weight = (source_tensor){.rank = 4,
                                  .shape = {outputs, inputs, 3, 3},
                                  .stride = {1, outputs, 3 * inputs * outputs, inputs * outputs},
                                  .at = kernel};
    out->bias = (source_tensor){.rank = 1, .shape = {e->biases}, .stride = {1}, .at = bias};
    snprintf(out->weight.name, sizeof out->weight.name, "%.*s", NAME_BYTES - 1, e->kernel);
    snprintf(out->bias.name, sizeof out->bias.name, "%.*s", NAME_BYTES - 1, e->bias);
    return PULMO_OK;
}

static pulmo_status read_all(weight_file *file, pulmo_h5 *h5, survey *s)
{
    PULMO_TRY(pulmo_h5_visit(h5, look, s));
    if (s->long_name || s->many)
        return weights_bad(file, "holds more than one kernel or bias for a layer blockB_convC");
    for (int b = 0; b < BLOCK_CONVS; b++)
        for (int c = 0; c < BLOCK_CONVS; c++) {
            const entry *e = &s->at[b][c];
            bool follows = c > 0 ? s->at[b][c - 1].kernel[0] : b == 0 || s->at[b - 1][0].kernel[0];
            if (!e->kernel[0])
                continue;
            if (!follows)
                return weights_bad(file, "%s: the layer before it is missing", e->kernel);
            if (file->convs == PULMO_CONVS_MAX)
                return weights_bad(file, "%s: is one layer too many", e->kernel);
            if (c == 0 && file->convs > 0)
                file->conv[file->convs - 1].pool_after = true;
            PULMO_TRY(read_conv(file, h5, e, &file->conv[file->convs++]));
        }
    if (file->convs == 0)
        return weights_bad(file, "is HDF5 without Keras' layers block1_conv1 ...");
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
        status = read_all(file, h5, s);
    pulmo_h5_close(h5);
    free(s);
    return status == PULMO_DATA ? PULMO_WEIGHTS : status; /* a damaged file of weights */
}
