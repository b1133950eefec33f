/* What the frozen convolutions take: seconds and operations, per layer and stage. */
#include <stdio.h>
#include <string.h>

#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "trunk_room.h"

double *trunk_stages_of(const pulmo_trunk *trunk, int thread)
{
    return (double *)(void *)(trunk->stage_s + (size_t)thread * PULMO_ALIGN);
}

void trunk_add_times(pulmo_trunk *trunk, layer *l, double seconds)
{
    double all = 0, first = 0;
    for (int t = 0; t < pulmo_pool_threads(trunk->pool); t++) {
        const double *mine = trunk_stages_of(trunk, t);
        for (int stage = 0; stage < FIRST_ROWS; stage++)
            l->stage_s[stage] += mine[stage];
        all += mine[INPUT] + mine[GEMM] + mine[OUTPUT] + mine[FIRST_ROWS];
        first += mine[FIRST_ROWS];
    }
    trunk->layer[0].stage_s[GEMM] += first;
    trunk->layer[0].seconds += all > 0 ? seconds * first / all : 0;
    l->seconds += all > 0 ? seconds * (1 - first / all) : seconds;
}

void pulmo_trunk_measure(pulmo_trunk *trunk, bool on)
{
    trunk->measuring = on;
    for (int i = 0; i < trunk->layers; i++) {
        memset(trunk->layer[i].stage_s, 0, sizeof trunk->layer[i].stage_s);
        trunk->layer[i].seconds = 0;
    }
}

int pulmo_trunk_times(const pulmo_trunk *trunk, pulmo_trunk_layer_time *out, int max)
{
    int block = 0, within = 0;
    for (int i = 0; i < trunk->layers && i < max; i++) {
        const layer *l = &trunk->layer[i];
        pulmo_trunk_layer_time *time = &out[i];
        within = l->block == block ? within + 1 : 1;
        block = l->block;
        memset(time, 0, sizeof *time);
        snprintf(time->name, sizeof time->name, "conv%d_%d", block & 0xFF, within & 0xFF);
        snprintf(time->method, sizeof time->method, "%s", l->pack.direct ? "direct" : "F(4x4,3x3)");
        time->seconds = l->seconds;
        time->gemm_thread_s = l->stage_s[GEMM];
        time->total_thread_s = l->stage_s[INPUT] + l->stage_s[GEMM] + l->stage_s[OUTPUT];
        double pairs = 2.0 * l->pack.in_channels * l->pack.out_channels;
        pulmo_tiles tiles = pulmo_tiles_of(l->height, l->width);
        time->direct_flop = pairs * 9 * l->height * l->width;
        time->gemm_flop = pairs * WINO_POINTS * tiles.down * tiles.across;
        if (l->pack.direct)
            time->gemm_flop = time->direct_flop;
    }
    return trunk->layers;
}

double pulmo_trunk_peak(pulmo_isa isa, double seconds)
{
    const pulmo_kernels *kernels = pulmo_kernels_of(isa);
    float sink[64];
    double best = 0, until_s = pulmo_now_s() + seconds;
    do {
        double began_s = pulmo_now_s(), flop = kernels->fma_peak(200000, sink);
        double rate = flop / (pulmo_now_s() - began_s);
        if (rate > best)
            best = rate;
    } while (pulmo_now_s() < until_s);
    return best;
}
