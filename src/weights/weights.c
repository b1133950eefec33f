/* Weight files: which format one is, its layers checked and copied, and the digest of what they
 * hold. */
#include "pulmo/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "weights_room.h"

/* ---- the file ---- */

static pulmo_status map_file(weight_file *file)
{
    struct stat about;
    int descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return pulmo_fail(PULMO_WEIGHTS, "%s: cannot open the weights: %s", file->path,
                          strerror(errno));
    pulmo_status status = PULMO_OK;
    if (fstat(descriptor, &about) != 0)
        status = pulmo_fail(PULMO_IO, "%s: cannot be read: %s", file->path, strerror(errno));
    else if (!S_ISREG(about.st_mode))
        status = weights_bad(file, "is no regular file");
    else if (about.st_size < 8)
        status = weights_bad(file, "is shorter than a safetensors header");
    if (status == PULMO_OK) {
        void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (bytes == MAP_FAILED)
            status = pulmo_fail(PULMO_IO, "%s: cannot be read: %s", file->path, strerror(errno));
        else
            file->bytes = bytes, file->size = (uint64_t)about.st_size;
    }
    close(descriptor);
    return status;
}

/* By the first bytes. ONNX begins with its version as field 1; a safetensors header with 8 such
 * bytes as its length has "{" behind them. */
static pulmo_status read_by_format(weight_file *file)
{
    const uint8_t *b = file->bytes;
    if (memcmp(b, "PK\3\4", 4) == 0)
        return weights_read_torch_zip(file);
    if (memcmp(b, "\x89HDF\r\n\x1a\n", 8) == 0)
        return weights_read_keras(file);
    if (b[0] == 0x80 && b[1] >= 2 && b[1] <= 5)
        return weights_read_torch_stream(file);
    if (b[0] == 0x08 && b[1] > 0 && b[1] < 64 && b[2] != 0 && !(file->size > 8 && b[8] == '{'))
        return weights_read_onnx(file);
    return weights_read_safetensors(file);
}

/* ---- layers ---- */

static pulmo_status check_conv(const weight_file *file, int index, int64_t inputs)
{
    const source_tensor *w = &file->conv[index].weight, *b = &file->conv[index].bias;
    if (w->rank != 4)
        return weights_bad(file, "%s: has a shape of the wrong rank", w->name);
    if (b->rank != 1)
        return weights_bad(file, "%s: has a shape of the wrong rank", b->name);
    if (w->shape[2] != 3 || w->shape[3] != 3)
        return weights_bad(file, "%s: is not a 3 x 3 convolution", w->name);
    if (w->shape[1] != inputs)
        return weights_bad(file, "%s: does not take the channels that the layer before gives",
                           w->name);
    if (b->shape[0] != w->shape[0])
        return weights_bad(file, "%s: does not match its weight", b->name);
    if (w->shape[0] % 16 != 0)
        return weights_bad(file, "%s: has a width that is not a multiple of 16", w->name);
    if (w->shape[0] > 8192 || inputs > 8192)
        return weights_bad(file, "%s: is wider than any VGG", w->name);
    return PULMO_OK;
}

/* Copies in the order (O, I, 3, 3), or (O) for a bias. False where a value is not finite. */
static bool copy_values(const source_tensor *t, bool turn, float *to)
{
    int64_t size[4] = {1, 1, 1, 1}, stride[4] = {0};
    bool finite = true;
    for (int i = 0; i < t->rank; i++) {
        size[4 - t->rank + i] = t->shape[i];
        stride[4 - t->rank + i] = t->stride[i];
    }
    for (int64_t o = 0; o < size[0]; o++)
        for (int64_t i = 0; i < size[1]; i++)
            for (int64_t y = 0; y < size[2]; y++)
                for (int64_t x = 0; x < size[3]; x++) {
                    int64_t from = turn ? size[1] - 1 - i : i;
                    memcpy(to,
                           t->at +
                               (o * stride[0] + from * stride[1] + y * stride[2] + x * stride[3]) *
                                   (int64_t)sizeof(float),
                           sizeof *to);
                    finite = finite && isfinite(*to);
                    to++;
                }
    return finite;
}

static pulmo_status check_layers(const weight_file *file, size_t *floats)
{
    int64_t inputs = 3;
    *floats = 0;
    for (int i = 0; i < file->convs; i++) {
        PULMO_TRY(check_conv(file, i, inputs));
        *floats += (size_t)(file->conv[i].weight.shape[0] * (9 * inputs + 1));
        inputs = file->conv[i].weight.shape[0];
    }
    return PULMO_OK;
}

static pulmo_status copy_layers(const weight_file *file, bool turn_first, pulmo_weights *out)
{
    size_t floats;
    int feature = 0;
    PULMO_TRY(check_layers(file, &floats));
    float *room = pulmo_alloc(floats, sizeof *room);
    if (!room)
        return PULMO_MEMORY;
    out->storage = room;
    out->convs = file->convs;
    for (int i = 0; i < file->convs; i++) {
        const source_conv *from = &file->conv[i];
        pulmo_conv *to = &out->conv[i];
        *to = (pulmo_conv){.in_channels = (int)from->weight.shape[1],
                           .out_channels = (int)from->weight.shape[0],
                           .pool_after = from->pool_after,
                           .feature_index = feature,
                           .weight = room};
        feature += from->pool_after ? 3 : 2;
        if (!copy_values(&from->weight, turn_first && i == 0, room))
            return weights_bad(file, "%s: holds a value that is not finite", from->weight.name);
        room += (size_t)to->in_channels * (size_t)to->out_channels * 9;
        to->bias = room;
        if (!copy_values(&from->bias, false, room))
            return weights_bad(file, "%s: holds a value that is not finite", from->bias.name);
        room += to->out_channels;
    }
    return PULMO_OK;
}

/* ---- preprocessing ---- */

static const char *const preprocessings[] = {"auto", "torchvision", "caffe", "caffe-rgb"};

const char *pulmo_preprocessing_name(pulmo_preprocessing preprocessing)
{
    return preprocessings[preprocessing];
}

pulmo_preprocessing pulmo_preprocessing_of(const char *name)
{
    for (int i = 0; i <= PULMO_PREPROCESSING_CAFFE_RGB; i++)
        if (strcmp(name, preprocessings[i]) == 0)
            return (pulmo_preprocessing)i;
    return PULMO_PREPROCESSING_AUTO;
}

const float pulmo_torchvision_mean[3] = {0.485f, 0.456f, 0.406f};
const float pulmo_torchvision_std[3] = {0.229f, 0.224f, 0.225f};

/* Caffe's 255 x - m is (x - m / 255) / (1 / 255). */
static void set_preprocessing(pulmo_weights *out, pulmo_preprocessing preprocessing)
{
    static const double caffe_mean[3] = {123.68, 116.779, 103.939}; /* RGB */
    out->preprocessing = preprocessing;
    for (int c = 0; c < 3; c++) {
        bool torchvision = preprocessing == PULMO_PREPROCESSING_TORCHVISION;
        out->mean[c] = torchvision ? pulmo_torchvision_mean[c] : (float)(caffe_mean[c] / 255);
        out->std[c] = torchvision ? pulmo_torchvision_std[c] : (float)(1 / 255.0);
    }
}

/* ---- reading ---- */

static pulmo_status digest_values(pulmo_weights *out)
{
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    pulmo_digester_add(digester, "pulmo VGG 1", 11);
    for (int i = 0; i < out->convs; i++) {
        const pulmo_conv *conv = &out->conv[i];
        const int32_t shape[3] = {conv->in_channels, conv->out_channels, conv->pool_after};
        pulmo_digester_add(digester, shape, sizeof shape);
        pulmo_digester_add(digester, conv->weight,
                           (size_t)conv->in_channels * (size_t)conv->out_channels * 9 *
                               sizeof(float));
        pulmo_digester_add(digester, conv->bias, (size_t)conv->out_channels * sizeof(float));
    }
    out->digest = pulmo_digester_end(digester);
    return PULMO_OK;
}

static pulmo_status read_all(weight_file *file, pulmo_preprocessing preprocessing,
                             pulmo_weights *out)
{
    PULMO_TRY(map_file(file));
    PULMO_TRY(read_by_format(file));
    if (preprocessing == PULMO_PREPROCESSING_AUTO)
        preprocessing = file->caffe ? PULMO_PREPROCESSING_CAFFE : PULMO_PREPROCESSING_TORCHVISION;
    PULMO_TRY(copy_layers(file, preprocessing == PULMO_PREPROCESSING_CAFFE, out));
    set_preprocessing(out, preprocessing);
    out->format = file->format;
    out->naming = file->naming;
    out->proof_of = "";
    out->answer_away = -1;
    out->file_digest = pulmo_digest_of(file->bytes, (size_t)file->size);
    if (file->caffe)
        pulmo_md5_hex(file->bytes, (size_t)file->size, out->published);
    return digest_values(out);
}

pulmo_status pulmo_weights_read_as(const char *path, pulmo_preprocessing preprocessing,
                                   pulmo_weights *out)
{
    weight_file *file = calloc(1, sizeof *file);
    memset(out, 0, sizeof *out);
    if (!file)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", path);
    file->path = path;
    pulmo_status status = read_all(file, preprocessing, out);
    for (int i = 0; i < file->blocks; i++)
        pulmo_free(file->block[i]);
    if (file->bytes)
        munmap((void *)(uintptr_t)file->bytes, (size_t)file->size);
    free(file);
    if (status != PULMO_OK)
        pulmo_weights_free(out);
    return status;
}

pulmo_status pulmo_weights_read(const char *path, pulmo_weights *out)
{
    return pulmo_weights_read_as(path, PULMO_PREPROCESSING_AUTO, out);
}

void pulmo_weights_free(pulmo_weights *weights)
{
    pulmo_free(weights->storage);
    memset(weights, 0, sizeof *weights);
}

pulmo_status pulmo_weights_random(unsigned seed, pulmo_weights *out)
{
    static const int widths[13] = {64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512};
    static const int index[13] = {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28};
    memset(out, 0, sizeof *out);
    size_t total = 0;
    for (int i = 0; i < 13; i++)
        total += (size_t)widths[i] * (size_t)(i ? widths[i - 1] : 3) * 9 + (size_t)widths[i];
    float *at = pulmo_alloc(total, sizeof *at);
    if (!at)
        return PULMO_MEMORY;
    out->storage = at;
    out->convs = 13;
    for (int i = 0; i < 13; i++) {
        pulmo_conv *conv = &out->conv[i];
        conv->in_channels = i ? widths[i - 1] : 3;
        conv->out_channels = widths[i];
        conv->feature_index = index[i];
        conv->pool_after = i == 12 || index[i + 1] - index[i] == 3;
        size_t count = (size_t)conv->out_channels * (size_t)conv->in_channels * 9;
        double deviation = sqrt(2.0 / (9.0 * conv->in_channels));
        pulmo_rng rng;
        pulmo_rng_at(&rng, seed, PULMO_RNG_TEST, (uint64_t)i, 0);
        conv->weight = at;
        for (size_t k = 0; k < count; k++)
            *at++ = (float)(deviation * pulmo_rng_normal(&rng));
        conv->bias = at;
        at += conv->out_channels;
    }
    set_preprocessing(out, PULMO_PREPROCESSING_TORCHVISION);
    out->format = out->naming = "random numbers";
    out->proof_of = "";
    out->answer_away = -1;
    return digest_values(out);
}
