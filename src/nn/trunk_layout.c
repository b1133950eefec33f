/* The frozen convolutions in memory: planes of layers, and the arena. */
#include <string.h>

#include "trunk_room.h"

/* Rows of the first two layers together, at most: 64 channels of 34 rows are 2 MB, two rows of them
 * done twice. */
#define BAND_ROWS 32

bool trunk_pools_apart(const layer *l)
{
    bool pools_straddle = l->pack.direct || l->pack.tile % 2;
    return l->pack.pool_after && pools_straddle;
}

pulmo_plane trunk_input_plane(const layer *l)
{
    return pulmo_plane_of(l->pack.tile, l->pack.in_channels, l->height, l->width);
}

pulmo_plane trunk_output_plane(const layer *l)
{
    int next_block = l->pack.pool_after ? l->block + 1 : l->block;
    int side = pulmo_tile_of_block(next_block);
    return pulmo_plane_of(side, l->pack.out_channels, l->out_height, l->out_width);
}

pulmo_plane trunk_unpooled_plane(const layer *l)
{
    return pulmo_plane_of(l->pack.tile, l->pack.out_channels, l->height, l->width);
}

/* Bands of whole rows of tiles, as many of them as give every thread the same. */
static int band_rows(int side, int height, int threads)
{
    int least_bands = divide_up(height, BAND_ROWS);
    int bands = round_up(least_bands, threads);
    int rows = divide_up(height, bands);
    return round_up(rows, side);
}

pulmo_plane trunk_band_plane(const pulmo_trunk *trunk)
{
    const trunk_layer *first = &trunk->layer[0].pack;
    return pulmo_plane_of(first->tile, first->out_channels, trunk->band_rows, trunk->width_px);
}

/* Floats of one image that layer i leaves in the arena, or finds there. */
static size_t layer_floats(const pulmo_trunk *trunk, int i)
{
    const layer *l = &trunk->layer[i];
    if (i == 0 && trunk->band_rows)
        return 0; /* only ever in scratch */
    size_t in = trunk_input_plane(l).image_reals;
    size_t out = trunk_output_plane(l).image_reals;
    if (l->pack.direct || trunk_pools_apart(l)) {
        size_t unpooled = trunk_unpooled_plane(l).image_reals;
        out = larger(out, unpooled);
    }
    return i == 0 && !l->pack.direct ? larger(out, in) : out;
}

/* Floats that one thread needs for a run of layer i. */
static size_t scratch_floats(const pulmo_trunk *trunk, int i)
{
    const trunk_layer *pack = &trunk->layer[i].pack;
    if (pack->direct)
        return 0;
    int in = pack->in_channels;
    int out = pack->out_channels;
    int tiles = pulmo_run_tiles_most(pack->tile, in, out);
    size_t floats = run_reals(pack->tile, in, out, tiles);
    if (i == 1 && trunk->band_rows)
        floats += trunk_band_plane(trunk).image_reals;
    return floats;
}

/* Where the averages of the blocks' outputs stand; a layer without its max-pool ends no block. */
static void lay_out_averages(pulmo_trunk *trunk, pulmo_block_set averaged)
{
    trunk->averages = 0;
    for (int i = 0; i < trunk->layers; i++) {
        layer *l = &trunk->layer[i];
        bool is_averaged = l->pack.pool_after && pulmo_block_set_has(averaged, l->block);
        l->average_at = is_averaged ? trunk->averages : -1;
        if (is_averaged)
            trunk->averages += l->pack.out_channels;
    }
}

bool trunk_ends_averaged(const pulmo_trunk *trunk)
{
    return trunk->layer[trunk->layers - 1].average_at >= 0;
}

size_t trunk_feature_values(const pulmo_trunk *trunk)
{
    const layer *last = &trunk->layer[trunk->layers - 1];
    size_t cells = (size_t)last->out_height * last->out_width;
    size_t values = last->pack.out_channels * cells;
    if (trunk_ends_averaged(trunk))
        values = 0;
    return trunk->averages + values;
}

static void lay_out_layers(pulmo_trunk *trunk, const pulmo_trunk_spec *spec,
                           const pulmo_weights *weights, int threads)
{
    trunk_layer packs[PULMO_CONVS_MAX];
    int height = spec->height_px;
    int width = spec->width_px;
    int block = 1;
    trunk->layers = trunk_pack_layers(spec, weights, packs, NULL);
    for (int i = 0; i < trunk->layers; i++) {
        layer *l = &trunk->layer[i];
        *l = (layer){.pack = packs[i], .height = height, .width = width, .block = block};
        if (packs[i].pool_after) {
            height /= 2;
            width /= 2;
            block++;
        }
        l->out_height = height;
        l->out_width = width;
    }
    lay_out_averages(trunk, spec->averaged);
    if (packs[0].direct && trunk->layers > 1 && !packs[0].pool_after)
        trunk->band_rows = band_rows(packs[1].tile, spec->height_px, threads);
}

void trunk_lay_out(pulmo_trunk *trunk, const pulmo_trunk_spec *spec, const pulmo_weights *weights,
                   int threads)
{
    size_t early = 0;
    size_t late = 0;
    size_t scratch = 0;
    size_t framed_rows = (size_t)spec->height_px + 2;
    size_t rows = 3 * framed_rows;
    trunk->kernels = pulmo_kernels_of(spec->isa);
    trunk->batch = spec->batch > 0 ? spec->batch : 1;
    trunk->height_px = spec->height_px;
    trunk->width_px = spec->width_px;
    trunk->stride = spec->width_px + 2;
    trunk->image_floats = whole_lines(rows * trunk->stride);
    lay_out_layers(trunk, spec, weights, threads);
    for (int i = 0; i < trunk->layers; i++) {
        const layer *l = &trunk->layer[i];
        bool last_early = l->block == EARLY_BLOCKS && l->pack.pool_after;
        bool last = i + 1 == trunk->layers;
        size_t floats = layer_floats(trunk, i);
        size_t left = trunk_output_plane(l).image_reals;
        if (l->block <= EARLY_BLOCKS)
            early = larger(early, EARLY_IMAGES * floats);
        bool is_late = l->block > EARLY_BLOCKS;
        if (is_late)
            late = larger(late, trunk->batch * floats);
        else if (last_early || last)
            late = larger(late, trunk->batch * left);
        size_t run = scratch_floats(trunk, i);
        scratch = larger(scratch, run);
    }
    trunk->scratch_floats = whole_lines(scratch) * threads;
    trunk->early_floats = whole_lines(early);
    trunk->late_floats = whole_lines(late);
}

arena_places trunk_arena_of(const pulmo_trunk *trunk)
{
    arena_places at = {.late = {0, trunk->late_floats}};
    at.early[0] = at.late[1];
    at.early[1] = at.early[0] + trunk->early_floats;
    at.framed = at.early[1] + trunk->early_floats;
    size_t framed_end = at.framed + EARLY_IMAGES * trunk->image_floats;
    size_t late_end = at.late[1] + trunk->late_floats;
    at.scratch = larger(framed_end, late_end);
    at.end = at.scratch + trunk->scratch_floats;
    return at;
}

size_t pulmo_trunk_arena_bytes(const pulmo_trunk_spec *spec, const pulmo_weights *weights,
                               int threads)
{
    pulmo_trunk trunk;
    memset(&trunk, 0, sizeof trunk);
    trunk_lay_out(&trunk, spec, weights, threads);
    arena_places places = trunk_arena_of(&trunk);
    return places.end * sizeof(float);
}
