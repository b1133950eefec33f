/* Weights for the engine: U = G g G^T in the panels the GEMM streams. Frozen filters are
 * transformed in double and rounded once; fine-tuned ones by the kernel that transformed them in
 * training. */
#include "trunk_pack.h"

#include <string.h>

#include "geometry.h"

static size_t weight_floats(const trunk_layer *l)
{
    if (l->direct)
        return (size_t)9 * l->in_channels * l->out_channels;
    size_t point = weight_point_reals(l->in_channels, l->out_channels);
    return WINO_POINTS * point;
}

int trunk_pack_layers(const pulmo_trunk_spec *spec, const pulmo_weights *weights, trunk_layer *out,
                      size_t *floats)
{
    int blocks = 0;
    int layers = 0;
    size_t at = 0;
    while (layers < weights->convs) {
        const pulmo_conv *conv = &weights->conv[layers];
        trunk_layer *l = &out[layers];
        if (spec->blocks > 0 && blocks >= spec->blocks)
            break;
        *l = (trunk_layer){.in_channels = conv->in_channels,
                           .out_channels = conv->out_channels,
                           .pool_after = conv->pool_after,
                           .fine_tuned = layers >= spec->fine_tuned_from,
                           .weight_at = at};
        l->direct = layers == 0 && !l->fine_tuned;
        if (l->fine_tuned)
            l->in_channels = round_up(conv->in_channels, CHANNEL_BLOCK);
        at += whole_lines(weight_floats(l));
        l->bias_at = at;
        at += whole_lines(conv->out_channels);
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

static double dot3(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
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
    for (int i = 0; i < 6; i++) {
        double half[3];
        for (int x = 0; x < 3; x++) {
            const double column[3] = {(double)g[x], (double)g[3 + x], (double)g[6 + x]};
            half[x] = dot3(G[i], column);
        }
        for (int j = 0; j < 6; j++)
            *u++ = dot3(half, G[j]);
    }
}

typedef struct packing {
    const pulmo_kernels *kernels;
    const pulmo_conv *conv;
    float *to;
} packing;

/* One output of a frozen layer. */
static void pack_filter(void *context, int k, int thread)
{
    const packing *p = context;
    int in = p->conv->in_channels;
    int out = p->conv->out_channels;
    size_t first = (size_t)k * in * 9;
    size_t stride = weight_point_reals(in, out);
    int panel = p->kernels->panel;
    const float *filters = p->conv->weight + first;
    (void)thread;
    for (int c = 0; c < in; c++) {
        double u[WINO_POINTS];
        size_t at = weight_offset(panel, in, out, c, k);
        float *to = p->to + at;
        transform(filters + c * 9, u);
        for (int point = 0; point < WINO_POINTS; point++)
            to[point * stride] = (float)u[point];
    }
}

/* One block of outputs of a fine-tuned layer. */
static void pack_fine_tuned(void *context, int block, int thread)
{
    const packing *p = context;
    const pulmo_conv *conv = p->conv;
    int in = conv->in_channels;
    int out = conv->out_channels;
    (void)thread;
    p->kernels->filter(conv->weight, out, in, block, false, p->to);
}

/* The first layer's 27 taps are its "channels". */
static void pack_direct(const packing *p)
{
    int panel = p->kernels->panel;
    int out = p->conv->out_channels;
    const float *filter = p->conv->weight;
    for (int k = 0; k < out; k++) {
        for (int tap = 0; tap < 27; tap++) {
            size_t at = weight_offset(panel, 27, out, tap, k);
            p->to[at] = filter[tap];
        }
        filter += 27;
    }
}

void pulmo_trunk_pack(const pulmo_trunk_spec *spec, const pulmo_weights *weights, pulmo_pool *pool,
                      void *packed)
{
    trunk_layer layers[PULMO_CONVS_MAX];
    float *block = packed;
    int count = trunk_pack_layers(spec, weights, layers, NULL);
    packing p = {.kernels = pulmo_kernels_of(spec->isa)};
    for (int i = 0; i < count; i++) {
        const trunk_layer *l = &layers[i];
        int out = l->out_channels;
        int blocks = plane_blocks(out);
        float *bias = block + l->bias_at;
        p.conv = &weights->conv[i];
        p.to = block + l->weight_at;
        if (l->direct)
            pack_direct(&p);
        else if (l->fine_tuned)
            pulmo_pool_run(pool, blocks, pack_fine_tuned, &p);
        else
            pulmo_pool_run(pool, out, pack_filter, &p);
        size_t bias_bytes = out * sizeof *bias;
        memcpy(bias, p.conv->bias, bias_bytes);
    }
}
