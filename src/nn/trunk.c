/* The frozen convolutions: a direct first layer, then Winograd F(4x4, 3x3).
 *
 * Activations stay in one blocked layout, framed by zeros, from the first layer to the last. The
 * first layer's output, the largest, never stands whole: the second layer takes it a band of rows
 * at a time. Early blocks, whose activations are large, go through a few images at a time; deep
 * ones, whose weights are large, take the whole batch, so that each transformed weight serves many
 * tiles. A task is a run of tiles that one thread takes through input transform, 36 products and
 * output transform with buffers of its own. Which tiles share a task changes no bit: every output
 * element is one fixed chain of operations. */
#include "pulmo/trunk.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "trunk_room.h"

#define EARLY_IMAGES 1 /* images at once in blocks 1 to 3 */
#define EARLY_BLOCKS 3
#define BLOCK_FLOATS                                                                               \
    138240 /* V and M of a run for few channels: 540 kB; with the weights of 64 x 64 about an L2   \
            */
#define RUN_TILES_LEAST                                                                            \
    128 /* tiles a run where weights are large, so that their stream is used well */
#define RUN_TILES_MOST 132
#define BAND_ROWS                                                                                  \
    32 /* at most, of the first two layers together: 64 channels of 34 rows are 2 MB, two rows of  \
          them done twice */

void pulmo_trunk_spec_init(pulmo_trunk_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->height_px = spec->width_px = 224;
    spec->batch = 16;
    spec->fine_tuned_from = PULMO_CONVS_MAX;
}

static int round_up(int value, int unit)
{
    return (value + unit - 1) / unit * unit;
}

pulmo_plane trunk_plane_of(int channels, int height, int width)
{
    pulmo_plane p = {.channels = channels, .height = height, .width = width};
    p.rows = round_up(height, WINO_OUT) + 2;
    p.columns = round_up(width, WINO_OUT) + 2;
    p.image_floats = (size_t)channels * (size_t)p.rows * (size_t)p.columns;
    return p;
}

pulmo_plane trunk_input_plane(const layer *l)
{
    return trunk_plane_of(l->pack.in_channels, l->height, l->width);
}
pulmo_plane trunk_output_plane(const layer *l)
{
    return trunk_plane_of(l->pack.out_channels, l->out_height, l->out_width);
}

pulmo_tiles trunk_tiles_of(const layer *l)
{
    return (pulmo_tiles){.down = (l->height + WINO_OUT - 1) / WINO_OUT,
                         .across = (l->width + WINO_OUT - 1) / WINO_OUT};
}

int trunk_run_tiles(const layer *l, int total, int threads)
{
    int floats = WINO_POINTS * (l->pack.in_channels + l->pack.out_channels);
    int most = BLOCK_FLOATS / floats;
    if (most < RUN_TILES_LEAST && l->pack.out_channels > 64)
        most = RUN_TILES_LEAST;
    if (most < 8)
        most = 8;
    if (most > RUN_TILES_MOST)
        most = RUN_TILES_MOST;
    int runs = round_up((total + most - 1) / most, threads);
    int each = (total + runs - 1) / runs;
    if (each < 1)
        return 1;
    return each > RUN_TILES_MOST ? RUN_TILES_MOST : each;
}

static size_t point_floats(int channels)
{
    return (size_t)RUN_TILES_MOST * (size_t)channels + POINT_PAD;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Bands of whole rows of tiles, as many of them as give every thread the same. */
static int band_rows(int height, int threads)
{
    int bands = round_up((height + BAND_ROWS - 1) / BAND_ROWS, threads);
    return round_up((height + bands - 1) / bands, WINO_OUT);
}

pulmo_plane trunk_band_plane(const pulmo_trunk *trunk)
{
    return trunk_plane_of(trunk->layer[0].pack.out_channels, trunk->band_rows, trunk->width_px);
}

/* Shapes of all layers and sizes of the arena's parts. */
static void lay_out(pulmo_trunk *trunk, const pulmo_trunk_spec *spec, const pulmo_weights *weights,
                    int threads)
{
    trunk_layer packs[PULMO_CONVS_MAX];
    int height = spec->height_px, width = spec->width_px, block = 1;
    trunk->kernels = pulmo_kernels_of(spec->isa);
    trunk->layers = trunk_pack_layers(spec, weights, packs, NULL);
    trunk->batch = spec->batch > 0 ? spec->batch : 1;
    trunk->height_px = height;
    trunk->width_px = width;
    trunk->stride = width + 2 + 16; /* register blocks may read past a row's end */
    trunk->image_floats = (3 * (size_t)(height + 2) + 1) * (size_t)trunk->stride;
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
        if (packs[i].direct && trunk->layers > 1 && !packs[0].pool_after)
            trunk->band_rows = band_rows(l->height, threads);
        if (i == 0 && trunk->band_rows)
            continue; /* only ever in scratch */
        /* A first layer that is not taken in bands is written whole and pooled where it is. */
        size_t out = packs[i].direct
                         ? trunk_plane_of(packs[i].out_channels, l->height, l->width).image_floats
                         : trunk_output_plane(l).image_floats;
        if (i == 0 && !packs[i].direct)
            out = max_size(out, trunk_input_plane(l).image_floats);
        if (l->block <= EARLY_BLOCKS)
            trunk->early_floats = max_size(trunk->early_floats, EARLY_IMAGES * out);
        if (l->block > EARLY_BLOCKS || (l->block == EARLY_BLOCKS && packs[i].pool_after) ||
            i + 1 == trunk->layers)
            trunk->late_floats = max_size(trunk->late_floats, (size_t)trunk->batch * out);
        size_t scratch = WINO_POINTS *
                         (point_floats(packs[i].in_channels) + point_floats(packs[i].out_channels));
        if (i == 1 && trunk->band_rows)
            scratch += trunk_band_plane(trunk).image_floats;
        trunk->scratch_floats = max_size(trunk->scratch_floats, scratch);
    }
    trunk->scratch_floats = (trunk->scratch_floats + 15) / 16 * 16 * (size_t)threads;
    trunk->early_floats = (trunk->early_floats + 15) / 16 * 16;
    trunk->late_floats = (trunk->late_floats + 15) / 16 * 16;
    trunk->image_floats = (trunk->image_floats + 15) / 16 * 16;
}

places trunk_arena_of(const pulmo_trunk *trunk)
{
    places at = {.late = {0, trunk->late_floats}};
    at.early[0] = at.late[1];
    at.early[1] = at.early[0] + trunk->early_floats;
    at.framed = at.early[1] + trunk->early_floats;
    at.scratch =
        max_size(at.framed + EARLY_IMAGES * trunk->image_floats, at.late[1] + trunk->late_floats);
    at.end = at.scratch + trunk->scratch_floats;
    return at;
}

size_t pulmo_trunk_arena_bytes(const pulmo_trunk_spec *spec, const pulmo_weights *weights,
                               int threads)
{
    pulmo_trunk trunk;
    memset(&trunk, 0, sizeof trunk);
    lay_out(&trunk, spec, weights, threads);
    return trunk_arena_of(&trunk).end * sizeof(float);
}

/* ---- making ---- */

pulmo_status pulmo_trunk_create(const pulmo_trunk_spec *spec, const pulmo_weights *weights,
                                const void *packed, pulmo_pool *pool, pulmo_trunk **out)
{
    if (spec->height_px < 32 || spec->width_px < 32)
        return pulmo_fail(PULMO_DATA, "images of %d x %d px: both sides must be at least 32",
                          spec->height_px, spec->width_px);
    pulmo_trunk *trunk = calloc(1, sizeof *trunk);
    if (!trunk)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the trunk");
    pulmo_status status = PULMO_OK;
    lay_out(trunk, spec, weights, pulmo_pool_threads(pool));
    const layer *last = &trunk->layer[trunk->layers - 1];
    if (last->out_height < 1 || last->out_width < 1) {
        status = pulmo_fail(
            PULMO_DATA,
            "images of %d x %d px: the weights' max-pools leave nothing of them; pack larger ones",
            spec->height_px, spec->width_px);
        goto out;
    }
    trunk->pool = pool;
    if (!packed) {
        trunk->own_packed = pulmo_alloc(pulmo_trunk_packed_bytes(spec, weights), 1);
        if (!trunk->own_packed)
            PULMO_GOTO(PULMO_MEMORY);
        PULMO_GOTO(pulmo_trunk_pack(spec, weights, pool, trunk->own_packed));
        packed = trunk->own_packed;
    }
    trunk->packed = packed;
    trunk->arena = pulmo_alloc(trunk_arena_of(trunk).end, sizeof(float));
    trunk->stage_s =
        pulmo_alloc((size_t)pulmo_pool_threads(pool), PULMO_ALIGN); /* a cache line each, or more */
    if (!trunk->arena || !trunk->stage_s)
        PULMO_GOTO(PULMO_MEMORY);
    *out = trunk;
    return PULMO_OK;
out:
    pulmo_trunk_destroy(trunk);
    return status;
}

void pulmo_trunk_destroy(pulmo_trunk *trunk)
{
    if (!trunk)
        return;
    pulmo_free(trunk->stage_s);
    pulmo_free(trunk->arena);
    pulmo_free(trunk->own_packed);
    free(trunk);
}

void pulmo_trunk_shape(const pulmo_trunk *trunk, int *channels, int *height, int *width)
{
    const layer *last = &trunk->layer[trunk->layers - 1];
    *channels = last->pack.out_channels;
    *height = last->out_height;
    *width = last->out_width;
}

/* ---- forward ---- */

/* Runs layers [first, end) on `images` images; `here` holds the input and gets swapped with
 * `there`; the last layer writes to `last` where that is not NULL. Returns where the output is. */
static float *run_layers(pulmo_trunk *trunk, int first, int end, int images, const float *source,
                         float *here, float *there, float *last)
{
    for (int i = first; i < end; i++) {
        layer *l = &trunk->layer[i];
        float *to = i + 1 == end && last ? last : there;
        pass p = {.trunk = trunk,
                  .layer = l,
                  .in = trunk_input_plane(l),
                  .out = trunk_output_plane(l),
                  .images = images,
                  .source = source};
        if (l->pack.direct && l->pack.pool_after)
            p.out = trunk_plane_of(l->pack.out_channels, l->height, l->width);
        p.in.data = here;
        p.out.data = to;
        p.framed = trunk->arena + trunk_arena_of(trunk).framed;
        trunk_run_layer(&p);
        there = here;
        here = to;
    }
    return here;
}

typedef struct leaving {
    const pulmo_plane *plane;
    float *features;
} leaving;

/* One image's blocks of channels to torchvision's order. */
static void leave_task(void *context, int task, int thread)
{
    const leaving *l = context;
    const pulmo_plane *p = l->plane;
    int blocks = p->channels / CHANNEL_BLOCK;
    size_t cells = (size_t)p->height * (size_t)p->width;
    const float *from =
        p->data + (size_t)task * (size_t)p->rows * (size_t)p->columns * CHANNEL_BLOCK;
    float *to = l->features + ((size_t)(task / blocks) * (size_t)p->channels +
                               (size_t)(task % blocks) * CHANNEL_BLOCK) *
                                  cells;
    (void)thread;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++)
            for (int c = 0; c < CHANNEL_BLOCK; c++)
                to[(size_t)c * cells + (size_t)y * (size_t)p->width + (size_t)x] =
                    from[((size_t)(y + 1) * (size_t)p->columns + (size_t)(x + 1)) * CHANNEL_BLOCK +
                         (size_t)c];
}

static int early_layers(const pulmo_trunk *trunk)
{
    int n = 0;
    while (n < trunk->layers && trunk->layer[n].block <= EARLY_BLOCKS)
        n++;
    return n;
}

static void forward_batch(pulmo_trunk *trunk, int n, const float *images, float *features)
{
    int early = early_layers(trunk);
    places place = trunk_arena_of(trunk);
    float *d0 = trunk->arena + place.late[0], *d1 = trunk->arena + place.late[1];
    size_t each = trunk_output_plane(&trunk->layer[early - 1]).image_floats;
    for (int at = 0; at < n; at += EARLY_IMAGES) {
        int count = n - at < EARLY_IMAGES ? n - at : EARLY_IMAGES;
        (void)run_layers(
            trunk, trunk->band_rows ? 1 : 0, early, count,
            images + (size_t)at * 3 * (size_t)trunk->height_px * (size_t)trunk->width_px,
            trunk->arena + place.early[0], trunk->arena + place.early[1], d0 + (size_t)at * each);
    }
    pulmo_plane last = trunk_output_plane(&trunk->layer[trunk->layers - 1]);
    last.data = run_layers(trunk, early, trunk->layers, n, NULL, d0, d1, NULL);
    leaving leave = {.plane = &last, .features = features};
    pulmo_pool_run(trunk->pool, n * last.channels / CHANNEL_BLOCK, leave_task, &leave);
}

void pulmo_trunk_forward(pulmo_trunk *trunk, int n, const float *images, float *features)
{
    int channels, height, width;
    pulmo_trunk_shape(trunk, &channels, &height, &width);
    for (int at = 0; at < n; at += trunk->batch)
        forward_batch(trunk, n - at < trunk->batch ? n - at : trunk->batch,
                      images + (size_t)at * 3 * (size_t)trunk->height_px * (size_t)trunk->width_px,
                      features + (size_t)at * (size_t)channels * (size_t)height * (size_t)width);
}
