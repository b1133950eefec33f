/* VGG convolutions from a safetensors file: an 8-byte little-endian header length, a JSON
 * object {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {...}}, then the data. */
#include "pulmo/weights.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/memory.h"
#include "pulmo/rng.h"

#define HEADER_BYTES_MAX ((uint64_t)16 << 20)
#define FILE_BYTES_MAX ((uint64_t)4 << 30)
#define FEATURES_MAX 64 /* features.0 ... : torchvision's VGG19 ends at 34 */
#define CHANNELS_MAX 65536

static const float torchvision_mean[3] = {0.485f, 0.456f, 0.406f};
static const float torchvision_std[3] = {0.229f, 0.224f, 0.225f};

/* The file in memory, and what its header says. */
typedef struct container {
    const char *path;
    char *bytes;
    uint64_t size, data_at; /* data begins here */
    json_t *header;
} container;

static pulmo_status bad(const container *file, const char *tensor, const char *what)
{
    return pulmo_fail(PULMO_WEIGHTS,
                      "%s: %s%s%s; it must be a safetensors file of VGG convolutions with torchvision's names "
                      "(data-prep/fetch-weights makes one)",
                      file->path, tensor, *tensor ? ": " : "", what);
}

static pulmo_status read_whole(container *file)
{
    FILE *in = fopen(file->path, "rb");
    if (!in) return pulmo_fail(PULMO_WEIGHTS, "%s: cannot open the weights: %s", file->path, strerror(errno));
    pulmo_status status = PULMO_OK;
    long end = fseek(in, 0, SEEK_END) == 0 ? ftell(in) : -1;
    rewind(in);
    if (end < 8 || (uint64_t)end > FILE_BYTES_MAX) status = bad(file, "", end < 0 ? "cannot be read" : end < 8 ? "is shorter than a safetensors header" : "is larger than 4 GiB");
    if (status == PULMO_OK && !(file->bytes = malloc((size_t)end))) status = pulmo_fail(PULMO_MEMORY, "%s: out of memory", file->path);
    if (status == PULMO_OK && fread(file->bytes, 1, (size_t)end, in) != (size_t)end)
        status = pulmo_fail(PULMO_IO, "%s: cannot be read: %s", file->path, strerror(errno));
    if (status == PULMO_OK) file->size = (uint64_t)end;
    fclose(in);
    return status;
}

static pulmo_status parse_header(container *file)
{
    uint64_t length = 0;
    json_error_t error;
    for (int i = 7; i >= 0; i--) length = length << 8 | (uint8_t)file->bytes[i];
    if (length > HEADER_BYTES_MAX || length > file->size - 8)
        return bad(file, "", "its header's length is beyond the file: not safetensors, or truncated");
    file->data_at = 8 + length;
    file->header = json_loadb(file->bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(file->header)) return bad(file, "", "its header is not a JSON object");
    return PULMO_OK;
}

/* Checks one tensor against its entry; *data points into the file. */
static pulmo_status find_tensor(const container *file, const char *name, int rank, int64_t shape[4], const char **data)
{
    int64_t count = 1;
    const json_t *entry = json_object_get(file->header, name);
    if (!entry) return bad(file, name, "is missing");
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    if (!type || strcmp(type, "F32") != 0) return bad(file, name, "has a dtype other than F32");
    const json_t *sizes = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    if (json_array_size(sizes) != (size_t)rank || json_array_size(offsets) != 2)
        return bad(file, name, "has a shape of the wrong rank, or no two offsets");
    for (int i = 0; i < rank; i++) {
        shape[i] = json_integer_value(json_array_get(sizes, (size_t)i));
        if (shape[i] < 1 || shape[i] > CHANNELS_MAX) return bad(file, name, "has a size out of range");
        count *= shape[i];
        if (count > (int64_t)file->size) return bad(file, name, "has a shape larger than the file"); /* so that it cannot overflow */
    }
    json_int_t begin = json_integer_value(json_array_get(offsets, 0));
    json_int_t end = json_integer_value(json_array_get(offsets, 1));
    if (begin < 0 || end < begin || (uint64_t)end > file->size - file->data_at)
        return bad(file, name, "lies beyond the end of the file: it is truncated");
    if (end - begin != count * (int64_t)sizeof(float)) return bad(file, name, "does not take the bytes its shape needs");
    *data = file->bytes + file->data_at + begin;
    return PULMO_OK;
}

typedef struct span {
    int64_t begin, end;
} span;

static int by_begin(const void *a, const void *b)
{
    const span *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* The format's own rule: tensors fill the data without overlap, gap or rest. */
static pulmo_status check_spans(const container *file)
{
    size_t count = 0;
    const char *name;
    json_t *entry;
    span *spans = calloc(json_object_size(file->header) + 1, sizeof *spans);
    if (!spans) return pulmo_fail(PULMO_MEMORY, "%s: out of memory", file->path);
    json_object_foreach(file->header, name, entry)
    {
        const json_t *offsets = json_object_get(entry, "data_offsets");
        if (strcmp(name, "__metadata__") == 0) continue;
        spans[count].begin = json_integer_value(json_array_get(offsets, 0));
        spans[count++].end = json_integer_value(json_array_get(offsets, 1));
    }
    qsort(spans, count, sizeof *spans, by_begin);
    int64_t at = 0;
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        whole = whole && spans[i].begin == at && spans[i].end >= at;
        at = spans[i].end;
    }
    free(spans);
    if (!whole) return bad(file, "", "its tensors overlap or leave gaps");
    if ((uint64_t)at != file->size - file->data_at) return bad(file, "", "its tensors do not end where the file does: it is truncated or has something behind");
    return PULMO_OK;
}

/* The convolutions there are, by index, and whether a pool follows each. */
static pulmo_status list_layers(const container *file, pulmo_weights *out)
{
    char name[64];
    for (int n = 0; n < FEATURES_MAX; n++) {
        snprintf(name, sizeof name, "features.%d.weight", n);
        if (!json_object_get(file->header, name)) continue;
        if (out->convs == PULMO_CONVS_MAX) return bad(file, name, "is one layer too many");
        if (out->convs > 0) {
            pulmo_conv *before = &out->conv[out->convs - 1];
            int apart = n - before->feature_index;
            if (apart != 2 && apart != 3) return bad(file, name, "does not follow the layer before it by 2 (ReLU) or 3 (ReLU, pool): no VGG without batch normalisation");
            before->pool_after = apart == 3;
        }
        out->conv[out->convs++].feature_index = n;
    }
    if (out->convs == 0 || out->conv[0].feature_index != 0) return bad(file, "features.0.weight", "is missing");
    out->conv[out->convs - 1].pool_after = true;
    return PULMO_OK;
}

static pulmo_status copy_layer(const container *file, pulmo_weights *out, int index, float **room)
{
    char weight_name[64], bias_name[64];
    int64_t shape[4] = {0}, bias_shape[4] = {0};
    const char *weight = NULL, *bias = NULL;
    pulmo_conv *conv = &out->conv[index];
    snprintf(weight_name, sizeof weight_name, "features.%d.weight", conv->feature_index);
    snprintf(bias_name, sizeof bias_name, "features.%d.bias", conv->feature_index);
    PULMO_TRY(find_tensor(file, weight_name, 4, shape, &weight));
    PULMO_TRY(find_tensor(file, bias_name, 1, bias_shape, &bias));
    int64_t inputs = index == 0 ? 3 : out->conv[index - 1].out_channels;
    if (shape[2] != 3 || shape[3] != 3) return bad(file, weight_name, "is not a 3 x 3 convolution");
    if (shape[1] != inputs) return bad(file, weight_name, "does not take the channels that the layer before gives");
    if (bias_shape[0] != shape[0]) return bad(file, bias_name, "does not match its weight");
    if (shape[0] % 16 != 0) return bad(file, weight_name, "has a width that is not a multiple of 16");
    size_t count = (size_t)(shape[0] * shape[1] * 9);
    float *to = *room;
    memcpy(to, weight, count * sizeof *to);
    memcpy(to + count, bias, (size_t)shape[0] * sizeof *to);
    for (size_t i = 0; i < count + (size_t)shape[0]; i++)
        if (!isfinite(to[i])) return bad(file, i < count ? weight_name : bias_name, "holds a value that is not finite");
    conv->in_channels = (int)shape[1];
    conv->out_channels = (int)shape[0];
    conv->weight = to;
    conv->bias = to + count;
    *room = to + count + (size_t)shape[0];
    return PULMO_OK;
}

static pulmo_status read_layers(const container *file, pulmo_weights *out)
{
    PULMO_TRY(check_spans(file));
    PULMO_TRY(list_layers(file, out));
    /* The tensors together are no more than the file. */
    float *room = pulmo_alloc(file->size / sizeof(float) + 1, sizeof(float));
    if (!room) return PULMO_MEMORY;
    out->storage = room;
    for (int i = 0; i < out->convs; i++) PULMO_TRY(copy_layer(file, out, i, &room));
    memcpy(out->mean, torchvision_mean, sizeof out->mean);
    memcpy(out->std, torchvision_std, sizeof out->std);
    out->digest = pulmo_digest_of(file->bytes, (size_t)file->size);
    return PULMO_OK;
}

pulmo_status pulmo_weights_read(const char *path, pulmo_weights *out)
{
    container file = {.path = path};
    memset(out, 0, sizeof *out);
    pulmo_status status = read_whole(&file);
    if (status == PULMO_OK) status = parse_header(&file);
    if (status == PULMO_OK) status = read_layers(&file, out);
    json_decref(file.header);
    free(file.bytes);
    if (status != PULMO_OK) pulmo_weights_free(out);
    return status;
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
    for (int i = 0; i < 13; i++) total += (size_t)widths[i] * (size_t)(i ? widths[i - 1] : 3) * 9 + (size_t)widths[i];
    float *at = pulmo_alloc(total, sizeof *at);
    if (!at) return PULMO_MEMORY;
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
        for (size_t k = 0; k < count; k++) *at++ = (float)(deviation * pulmo_rng_normal(&rng));
        conv->bias = at;
        at += conv->out_channels;
    }
    memcpy(out->mean, torchvision_mean, sizeof out->mean);
    memcpy(out->std, torchvision_std, sizeof out->std);
    out->digest = pulmo_digest_of(out->storage, total * sizeof(float));
    return PULMO_OK;
}

pulmo_status pulmo_weights_find(const char *given, char **out)
{
    const char *named = given && *given ? given : getenv("PULMO_WEIGHTS");
    if (named && *named) {
        *out = pulmo_strdup(named);
        return *out ? PULMO_OK : PULMO_MEMORY;
    }
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *path = cache && *cache ? pulmo_format("%s/pulmo/vgg16_features.safetensors", cache)
                                 : pulmo_format("%s/.cache/pulmo/vgg16_features.safetensors", home ? home : "");
    if (!path) return PULMO_MEMORY;
    if (access(path, R_OK) == 0) {
        *out = path;
        return PULMO_OK;
    }
    pulmo_fail(PULMO_WEIGHTS,
               "no VGG16 weights: %s is not there; run data-prep/fetch-weights (needs network once), or give a file "
               "as --weights FILE, as model.weights in the configuration, or in $PULMO_WEIGHTS",
               path);
    free(path);
    return PULMO_WEIGHTS;
}
