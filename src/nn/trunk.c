/* The frozen convolutions, one image a task: im2col and OpenBLAS's GEMM.
 *
 * An image is computed whole by one thread with shapes that depend on the layer alone, so its
 * bits depend on nothing else. */
#include "pulmo/trunk.h"

#include <cblas.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/memory.h"

typedef struct layer {
    pulmo_conv conv;
    int height, width; /* of its input and of its output before the pool */
    const float *weight, *bias; /* in the packed block */
} layer;

struct pulmo_trunk {
    int layers;
    layer layer[PULMO_CONVS_MAX];
    pulmo_pool *pool;
    void *own_packed;
    float *arena;
    size_t plane_floats, column_floats; /* a thread's parts: two activations and one im2col */
    int channels, height, width;
    size_t image_floats, feature_floats;
    int measuring;
    double seconds[PULMO_CONVS_MAX];
    const float *images;
    float *features;
};

#define COLUMN_ROWS 8 /* output rows unfolded at once */

void pulmo_trunk_spec_init(pulmo_trunk_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->height_px = spec->width_px = 224;
    spec->batch = 16;
}

static int layers_of(const pulmo_trunk_spec *spec, const pulmo_weights *weights)
{
    int blocks = 0;
    for (int i = 0; i < weights->convs; i++) {
        blocks += weights->conv[i].pool_after;
        if (spec->blocks > 0 && blocks == spec->blocks) return i + 1;
    }
    return weights->convs;
}

static size_t conv_floats(const pulmo_conv *conv) { return (size_t)conv->out_channels * (size_t)conv->in_channels * 9; }
static size_t aligned(size_t floats) { return (floats + 15) / 16 * 16; }

size_t pulmo_trunk_packed_bytes(const pulmo_trunk_spec *spec, const pulmo_weights *weights)
{
    size_t floats = 0;
    for (int i = 0; i < layers_of(spec, weights); i++)
        floats += aligned(conv_floats(&weights->conv[i])) + aligned((size_t)weights->conv[i].out_channels);
    return floats * sizeof(float);
}

pulmo_status pulmo_trunk_pack(const pulmo_trunk_spec *spec, const pulmo_weights *weights, pulmo_pool *pool, void *packed)
{
    float *at = packed;
    (void)pool;
    for (int i = 0; i < layers_of(spec, weights); i++) {
        const pulmo_conv *conv = &weights->conv[i];
        memcpy(at, conv->weight, conv_floats(conv) * sizeof *at);
        at += aligned(conv_floats(conv));
        memcpy(at, conv->bias, (size_t)conv->out_channels * sizeof *at);
        at += aligned((size_t)conv->out_channels);
    }
    return PULMO_OK;
}

/* Shapes of all layers, and what a thread needs. */
static void lay_out(pulmo_trunk *trunk, const pulmo_trunk_spec *spec, const pulmo_weights *weights)
{
    int height = spec->height_px, width = spec->width_px;
    trunk->layers = layers_of(spec, weights);
    trunk->image_floats = 3 * (size_t)height * (size_t)width;
    for (int i = 0; i < trunk->layers; i++) {
        layer *l = &trunk->layer[i];
        l->conv = weights->conv[i];
        l->height = height;
        l->width = width;
        size_t out = (size_t)l->conv.out_channels * (size_t)height * (size_t)width;
        size_t column = (size_t)l->conv.in_channels * 9 * COLUMN_ROWS * (size_t)width;
        if (out > trunk->plane_floats) trunk->plane_floats = out;
        if (column > trunk->column_floats) trunk->column_floats = column;
        if (l->conv.pool_after) {
            height /= 2;
            width /= 2;
        }
        trunk->channels = l->conv.out_channels;
    }
    trunk->height = height;
    trunk->width = width;
    trunk->feature_floats = (size_t)trunk->channels * (size_t)height * (size_t)width;
    trunk->plane_floats = aligned(trunk->plane_floats);
    trunk->column_floats = aligned(trunk->column_floats);
}

static size_t thread_floats(const pulmo_trunk *trunk) { return 2 * trunk->plane_floats + trunk->column_floats; }

size_t pulmo_trunk_arena_bytes(const pulmo_trunk_spec *spec, const pulmo_weights *weights, int threads)
{
    pulmo_trunk trunk;
    memset(&trunk, 0, sizeof trunk);
    lay_out(&trunk, spec, weights);
    return thread_floats(&trunk) * (size_t)threads * sizeof(float);
}

pulmo_status pulmo_trunk_create(const pulmo_trunk_spec *spec, const pulmo_weights *weights, const void *packed,
                                pulmo_pool *pool, pulmo_trunk **out)
{
    if (spec->height_px < 32 || spec->width_px < 32)
        return pulmo_fail(PULMO_DATA, "images of %d x %d px: both sides must be at least 32", spec->height_px, spec->width_px);
    pulmo_trunk *trunk = calloc(1, sizeof *trunk);
    if (!trunk) return pulmo_fail(PULMO_MEMORY, "cannot allocate the trunk");
    lay_out(trunk, spec, weights);
    trunk->pool = pool;
    if (!packed) {
        trunk->own_packed = pulmo_alloc(pulmo_trunk_packed_bytes(spec, weights), 1);
        if (trunk->own_packed) (void)pulmo_trunk_pack(spec, weights, pool, trunk->own_packed);
        packed = trunk->own_packed;
    }
    trunk->arena = pulmo_alloc(thread_floats(trunk) * (size_t)pulmo_pool_threads(pool), sizeof(float));
    if (!packed || !trunk->arena) {
        pulmo_trunk_destroy(trunk);
        return PULMO_MEMORY;
    }
    const float *at = packed;
    for (int i = 0; i < trunk->layers; i++) {
        trunk->layer[i].weight = at;
        at += aligned(conv_floats(&trunk->layer[i].conv));
        trunk->layer[i].bias = at;
        at += aligned((size_t)trunk->layer[i].conv.out_channels);
    }
    *out = trunk;
    return PULMO_OK;
}

void pulmo_trunk_destroy(pulmo_trunk *trunk)
{
    if (!trunk) return;
    pulmo_free(trunk->arena);
    pulmo_free(trunk->own_packed);
    free(trunk);
}

void pulmo_trunk_shape(const pulmo_trunk *trunk, int *channels, int *height, int *width)
{
    *channels = trunk->channels;
    *height = trunk->height;
    *width = trunk->width;
}

/* Rows [row, row + rows) of the output, unfolded: (I * 9, rows * W). */
static void unfold(const float *in, int channels, int height, int width, int row, int rows, float *column)
{
    for (int c = 0; c < channels; c++)
        for (int k = 0; k < 9; k++) {
            int dy = k / 3 - 1, dx = k % 3 - 1;
            for (int y = row; y < row + rows; y++, column += width) {
                int from = y + dy;
                memset(column, 0, (size_t)width * sizeof *column);
                if (from < 0 || from >= height) continue;
                const float *source = in + ((size_t)c * (size_t)height + (size_t)from) * (size_t)width;
                int first = dx < 0 ? 1 : 0, last = dx > 0 ? width - 1 : width;
                memcpy(column + first, source + first + dx, (size_t)(last - first) * sizeof *column);
            }
        }
}

static void bias_relu(float *out, const float *bias, int channels, size_t plane)
{
    for (int c = 0; c < channels; c++)
        for (size_t i = 0; i < plane; i++) {
            float x = out[(size_t)c * plane + i] + bias[c];
            out[(size_t)c * plane + i] = x > 0 ? x : 0;
        }
}

static void max_pool(const float *in, int channels, int height, int width, float *out)
{
    for (int c = 0; c < channels; c++)
        for (int y = 0; y < height / 2; y++)
            for (int x = 0; x < width / 2; x++) {
                const float *a = in + ((size_t)c * (size_t)height + 2 * (size_t)y) * (size_t)width + 2 * x;
                float top = a[0] > a[1] ? a[0] : a[1], bottom = a[width] > a[width + 1] ? a[width] : a[width + 1];
                *out++ = top > bottom ? top : bottom;
            }
}

static void run_layer(const layer *l, const float *in, float *out, float *column)
{
    int m = l->conv.out_channels, k = l->conv.in_channels * 9;
    size_t plane = (size_t)l->height * (size_t)l->width;
    for (int row = 0; row < l->height; row += COLUMN_ROWS) {
        int rows = l->height - row < COLUMN_ROWS ? l->height - row : COLUMN_ROWS;
        unfold(in, l->conv.in_channels, l->height, l->width, row, rows, column);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, rows * l->width, k, 1.0f, l->weight, k, column,
                    rows * l->width, 0.0f, out + (size_t)row * (size_t)l->width, (int)plane);
    }
    bias_relu(out, l->bias, m, plane);
}

static void image_task(void *context, int task, int thread)
{
    pulmo_trunk *trunk = context;
    float *arena = trunk->arena + (size_t)thread * thread_floats(trunk);
    float *out = arena, *other = arena + trunk->plane_floats, *column = other + trunk->plane_floats;
    const float *in = trunk->images + (size_t)task * trunk->image_floats;
    for (int i = 0; i < trunk->layers; i++) {
        const layer *l = &trunk->layer[i];
        double began_s = trunk->measuring ? pulmo_now_s() : 0;
        run_layer(l, in, out, column);
        in = out;
        if (l->conv.pool_after) {
            max_pool(out, l->conv.out_channels, l->height, l->width, other);
            in = other;
        } else {
            out = other;
            other = (float *)(uintptr_t)in;
        }
        if (trunk->measuring && thread == 0) trunk->seconds[i] += pulmo_now_s() - began_s;
    }
    memcpy(trunk->features + (size_t)task * trunk->feature_floats, in, trunk->feature_floats * sizeof *in);
}

void pulmo_trunk_forward(pulmo_trunk *trunk, int n, const float *images, float *features)
{
    trunk->images = images;
    trunk->features = features;
    pulmo_pool_run(trunk->pool, n, image_task, trunk);
}

void pulmo_trunk_measure(pulmo_trunk *trunk, int on)
{
    trunk->measuring = on;
    memset(trunk->seconds, 0, sizeof trunk->seconds);
}

int pulmo_trunk_times(const pulmo_trunk *trunk, pulmo_trunk_layer_time *out, int max)
{
    int block = 1, within = 1;
    for (int i = 0; i < trunk->layers && i < max; i++) {
        const layer *l = &trunk->layer[i];
        memset(&out[i], 0, sizeof out[i]);
        snprintf(out[i].name, sizeof out[i].name, "conv%u_%u", (unsigned char)block, (unsigned char)within++);
        snprintf(out[i].method, sizeof out[i].method, "im2col");
        out[i].seconds = trunk->seconds[i];
        out[i].direct_flop = 2.0 * (double)conv_floats(&l->conv) * l->height * l->width;
        if (l->conv.pool_after) {
            block++;
            within = 1;
        }
    }
    return trunk->layers;
}
