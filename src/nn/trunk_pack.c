/* Weights for the engine: U = G g G^T in the panels the GEMM streams. */
#include "trunk_pack.h"

#include <string.h>

#include "geometry.h"

static size_t weight_floats(const trunk_layer *l)
{
    if (l->direct)
        return (size_t)9 * l->in_channels * l->out_channels;
    size_t points = (size_t)tile_points(l->tile);
    return points * weight_point_reals(l->in_channels, l->out_channels);
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
                           .tile = pulmo_tile_of_block(blocks + 1),
                           .weight_at = at};
        l->direct = layers == 0 && spec->fine_tuned_from > 0;
        if (!l->direct)
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

typedef struct packing {
    const pulmo_kernels *kernels;
    const pulmo_conv *conv;
    int tile;
    float *to;
} packing;

/* One block of outputs. */
static void pack_filters(void *context, int block, int thread)
{
    const packing *p = context;
    const pulmo_conv *conv = p->conv;
    int in = conv->in_channels;
    int out = conv->out_channels;
    (void)thread;
    p->kernels->filter(p->tile, conv->weight, out, in, block, false, p->to);
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
        p.tile = l->tile;
        p.to = block + l->weight_at;
        if (l->direct)
            pack_direct(&p);
        else
            pulmo_pool_run(pool, blocks, pack_filters, &p);
        size_t bias_bytes = out * sizeof *bias;
        memcpy(bias, p.conv->bias, bias_bytes);
    }
}
