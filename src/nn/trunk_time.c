/* What the frozen convolutions take: seconds and operations, per layer and stage. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "trunk_room.h"

double *trunk_stages_of(const pulmo_trunk *trunk, int thread)
{
    size_t place = (size_t)thread * PULMO_ALIGN;
    void *stages = trunk->stage_s + place;
    return stages;
}

void trunk_add_times(pulmo_trunk *trunk, layer *l, double seconds)
{
    int threads = pulmo_pool_threads(trunk->pool);
    double all = 0;
    double first = 0;
    for (int t = 0; t < threads; t++) {
        const double *mine = trunk_stages_of(trunk, t);
        for (int stage = 0; stage < FIRST_ROWS; stage++)
            l->stage_s[stage] += mine[stage];
        all += mine[INPUT] + mine[GEMM] + mine[OUTPUT] + mine[FIRST_ROWS];
        first += mine[FIRST_ROWS];
    }
    layer *first_layer = &trunk->layer[0];
    first_layer->stage_s[GEMM] += first;
    if (all > 0) {
        first_layer->seconds += seconds * first / all;
        l->seconds += seconds * (1 - first / all);
    } else {
        l->seconds += seconds;
    }
}

void pulmo_trunk_measure(pulmo_trunk *trunk, bool on)
{
    trunk->measuring = on;
    for (int i = 0; i < trunk->layers; i++) {
        layer *l = &trunk->layer[i];
        memset(l->stage_s, 0, sizeof l->stage_s);
        l->seconds = 0;
    }
}

/* What layer number `within` of its block took. */
static void fill_time(const layer *l, int within, pulmo_trunk_layer_time *out)
{
    int side = l->pack.tile;
    const double *stage_s = l->stage_s;
    double pairs = 2.0 * l->pack.in_channels * l->pack.out_channels;
    pulmo_tiles tiles = pulmo_tiles_of(side, l->height, l->width);
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "conv%d_%d", l->block & 0xFF, within & 0xFF);
    if (l->pack.direct)
        snprintf(out->method, sizeof out->method, "direct");
    else
        snprintf(out->method, sizeof out->method, "F(%dx%d,3x3)", side & 0xF, side & 0xF);
    out->seconds = l->seconds;
    out->gemm_thread_s = stage_s[GEMM];
    out->total_thread_s = stage_s[INPUT] + stage_s[GEMM] + stage_s[OUTPUT];
    out->direct_flop = pairs * 9 * l->height * l->width;
    out->gemm_flop = pairs * tile_points(side) * tiles.down * tiles.across;
    if (l->pack.direct)
        out->gemm_flop = out->direct_flop;
}

int pulmo_trunk_times(const pulmo_trunk *trunk, pulmo_trunk_layer_time *out, int max)
{
    int block = 0;
    int within = 0;
    for (int i = 0; i < trunk->layers && i < max; i++) {
        const layer *l = &trunk->layer[i];
        within = l->block == block ? within + 1 : 1;
        block = l->block;
        fill_time(l, within, &out[i]);
    }
    return trunk->layers;
}

double pulmo_trunk_peak(pulmo_isa isa, double seconds)
{
    const pulmo_kernels *kernels = pulmo_kernels_of(isa);
    float sink[64];
    double best = 0;
    double until_s = pulmo_now_s() + seconds;
    do {
        double began_s = pulmo_now_s();
        double flop = kernels->fma_peak(200000, sink);
        double took_s = pulmo_now_s() - began_s;
        best = fmax(best, flop / took_s);
    } while (pulmo_now_s() < until_s);
    return best;
}
