/* Weights for the engine: U = G g G^T in the panels the GEMM streams. Frozen filters are
 * transformed in double and rounded once; fine-tuned ones by the kernel that transformed them in
 * training. */
#include "trunk_pack.h"

#include <string.h>

#include "kernels.h"
#include "pulmo/memory.h"
#include "tuned_kernels.h"

static size_t aligned(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

int trunk_pack_layers(const pulmo_trunk_spec *spec, const pulmo_weights *weights, trunk_layer *out,
                      size_t *floats)
{
    int blocks = 0, layers = 0;
    size_t at = 0;
    while (layers < weights->convs && (spec->blocks <= 0 || blocks < spec->blocks)) {
        const pulmo_conv *conv = &weights->conv[layers];
        trunk_layer *l = &out[layers];
        *l = (trunk_layer){.in_channels = conv->in_channels,
                           .out_channels = conv->out_channels,
                           .pool_after = conv->pool_after,
                           .fine_tuned = layers >= spec->fine_tuned_from,
                           .weight_at = at};
        l->direct = layers == 0 && !l->fine_tuned;
        if (l->fine_tuned)
            l->in_channels =
                (conv->in_channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK * CHANNEL_BLOCK;
        size_t points = l->direct ? 9 : WINO_POINTS;
        at += aligned(points * (size_t)l->in_channels * (size_t)l->out_channels);
        l->bias_at = at;
        at += aligned((size_t)conv->out_channels);
        blocks += conv->pool_after;
        layers++;
    }
    if (spec->keep_last_resolution && layers > 0)
        out[layers - 1].pool_after = false;
    if (floats)
        *floats = at;
    return layers;
}

size_t pulmo_trunk_packed_bytes(const pulmo_trunk_spec *spec, const pulmo_weights *weights)
{
    trunk_layer layers[PULMO_CONVS_MAX];
    size_t floats = 0;
    (void)trunk_pack_layers(spec, weights, layers, &floats);
    return floats * sizeof(float);
}

/* G, with N_i = the product of (p_i - p_j): 1, -3/2, -3/2, 6, 6 for the points 0, a, -a, b, -b. */
static void transform(const float g[9], double u[WINO_POINTS])
{
    const double a = 0.70710678118654752440, b = 1.41421356237309504880;
    const double G[6][3] = {{1, 0, 0},
                            {-1 / 1.5, -a / 1.5, -a * a / 1.5},
                            {-1 / 1.5, a / 1.5, -a * a / 1.5},
                            {1 / 6.0, b / 6.0, b * b / 6.0},
                            {1 / 6.0, -b / 6.0, b * b / 6.0},
                            {0, 0, 1}};
    double half[6][3];
    for (int i = 0; i < 6; i++)
        for (int x = 0; x < 3; x++)
            half[i][x] =
                G[i][0] * (double)g[x] + G[i][1] * (double)g[3 + x] + G[i][2] * (double)g[6 + x];
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
            u[6 * i + j] = half[i][0] * G[j][0] + half[i][1] * G[j][1] + half[i][2] * G[j][2];
}

/* Where weight (c, k) of one point stands: whole panels first, then single vectors. */
static size_t place(const pulmo_kernels *kernels, int c, int k, int in, int out)
{
    int panel = k / kernels->panel, whole = out / kernels->panel;
    int width = panel < whole ? kernels->panel : kernels->lanes;
    int base = panel < whole ? panel * kernels->panel : k / width * width;
    return (size_t)base * (size_t)in + (size_t)c * (size_t)width + (size_t)(k - base);
}

typedef struct packing {
    const pulmo_kernels *kernels;
    const pulmo_conv *conv;
    float *to;
} packing;

static void pack_filter(void *context, int k, int thread)
{
    const packing *p = context;
    int in = p->conv->in_channels, out = p->conv->out_channels;
    (void)thread;
    for (int c = 0; c < in; c++) {
        double u[WINO_POINTS];
        transform(p->conv->weight + ((size_t)k * (size_t)in + (size_t)c) * 9, u);
        size_t at = place(p->kernels, c, k, in, out);
        for (int point = 0; point < WINO_POINTS; point++)
            p->to[(size_t)point * (size_t)in * (size_t)out + at] = (float)u[point];
    }
}

typedef struct fine_tuned_packing {
    packing pack;
    const trunk_layer *layer;
    const tuned_kernels *tuned;
    float *scratch; /* (threads, thread_floats): one block's U, (WINO_POINTS, C, block) */
    size_t thread_floats;
} fine_tuned_packing;

/* One block of outputs of a fine-tuned layer. */
static void pack_fine_tuned_block(void *context, int block, int thread)
{
    const fine_tuned_packing *p = context;
    const pulmo_conv *conv = p->pack.conv;
    int in = p->layer->in_channels;
    int out = p->layer->out_channels;
    size_t filter_floats = (size_t)conv->in_channels * 9;
    size_t point_floats = tuned_weight_reals(in, TUNED_BLOCK);
    const float *filters = conv->weight + (size_t)block * TUNED_BLOCK * filter_floats;
    float *u = p->scratch + (size_t)thread * p->thread_floats;
    p->tuned->filter(filters, TUNED_BLOCK, conv->in_channels, 0, 0, u);
    for (int point = 0; point < WINO_POINTS; point++) {
        float *to = p->pack.to + (size_t)point * (size_t)in * (size_t)out;
        const float *from = u + (size_t)point * point_floats;
        for (int c = 0; c < in; c++)
            for (int k = 0; k < TUNED_BLOCK; k++)
                to[place(p->pack.kernels, c, block * TUNED_BLOCK + k, in, out)] =
                    from[c * TUNED_BLOCK + k];
    }
}

static pulmo_status pack_fine_tuned(const packing *pack, const trunk_layer *layer, pulmo_isa isa,
                                    pulmo_pool *pool)
{
    fine_tuned_packing p = {.pack = *pack, .layer = layer, .tuned = tuned_kernels_of(isa)};
    p.thread_floats = aligned(WINO_POINTS * tuned_weight_reals(layer->in_channels, TUNED_BLOCK));
    p.scratch = pulmo_alloc((size_t)pulmo_pool_threads(pool) * p.thread_floats, sizeof(float));
    if (!p.scratch)
        return PULMO_MEMORY;
    pulmo_pool_run(pool, layer->out_channels / TUNED_BLOCK, pack_fine_tuned_block, &p);
    pulmo_free(p.scratch);
    return PULMO_OK;
}

/* The first layer's 27 taps are its "channels". */
static void pack_direct(const packing *p)
{
    for (int k = 0; k < p->conv->out_channels; k++)
        for (int tap = 0; tap < 27; tap++)
            p->to[place(p->kernels, tap, k, 27, p->conv->out_channels)] =
                p->conv->weight[(size_t)k * 27 + (size_t)tap];
}

pulmo_status pulmo_trunk_pack(const pulmo_trunk_spec *spec, const pulmo_weights *weights,
                              pulmo_pool *pool, void *packed)
{
    trunk_layer layers[PULMO_CONVS_MAX];
    float *block = packed;
    int count = trunk_pack_layers(spec, weights, layers, NULL);
    for (int i = 0; i < count; i++) {
        packing p = {.kernels = pulmo_kernels_of(spec->isa),
                     .conv = &weights->conv[i],
                     .to = block + layers[i].weight_at};
        if (layers[i].direct)
            pack_direct(&p);
        else if (layers[i].fine_tuned)
            PULMO_TRY(pack_fine_tuned(&p, &layers[i], spec->isa, pool));
        else
            pulmo_pool_run(pool, p.conv->out_channels, pack_filter, &p);
        memcpy(block + layers[i].bias_at, p.conv->bias,
               (size_t)p.conv->out_channels * sizeof *block);
    }
    return PULMO_OK;
}
