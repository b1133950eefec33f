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

#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "trunk_room.h"

#define EARLY_IMAGES 1 /* images at once in blocks 1 to 3 */
#define EARLY_BLOCKS 3
/* Rows of the first two layers together, at most: 64 channels of 34 rows are 2 MB, two rows of them
 * done twice. */
#define BAND_ROWS 32

void pulmo_trunk_spec_init(pulmo_trunk_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->height_px = 224;
    spec->width_px = 224;
    spec->batch = 16;
    spec->fine_tuned_from = PULMO_CONVS_MAX;
}

pulmo_plane trunk_input_plane(const layer *l)
{
    return pulmo_plane_of(l->pack.in_channels, l->height, l->width);
}
pulmo_plane trunk_output_plane(const layer *l)
{
    return pulmo_plane_of(l->pack.out_channels, l->out_height, l->out_width);
}

/* A layer's output before its max-pool. */
static pulmo_plane unpooled_plane(const layer *l)
{
    int channels = l->pack.out_channels;
    return pulmo_plane_of(channels, l->height, l->width);
}

/* Bands of whole rows of tiles, as many of them as give every thread the same. */
static int band_rows(int height, int threads)
{
    int least_bands = divide_up(height, BAND_ROWS);
    int bands = round_up(least_bands, threads);
    int rows = divide_up(height, bands);
    return round_up(rows, WINO_OUT);
}

pulmo_plane trunk_band_plane(const pulmo_trunk *trunk)
{
    int channels = trunk->layer[0].pack.out_channels;
    return pulmo_plane_of(channels, trunk->band_rows, trunk->width_px);
}

/* Floats of one image that layer i leaves in the arena, or finds there. */
static size_t layer_floats(const pulmo_trunk *trunk, int i)
{
    const layer *l = &trunk->layer[i];
    if (i == 0 && trunk->band_rows)
        return 0; /* only ever in scratch */
    /* A first layer that is not taken in bands is written whole and pooled where it is. */
    if (l->pack.direct)
        return unpooled_plane(l).image_reals;
    size_t in = trunk_input_plane(l).image_reals;
    size_t out = trunk_output_plane(l).image_reals;
    return i == 0 ? larger(out, in) : out;
}

/* Floats that one thread needs for a run of layer i. */
static size_t scratch_floats(const pulmo_trunk *trunk, int i)
{
    const trunk_layer *pack = &trunk->layer[i].pack;
    if (pack->direct)
        return 0;
    int in = pack->in_channels;
    int out = pack->out_channels;
    int tiles = pulmo_run_tiles_most(in, out);
    size_t floats = run_reals(in, out, tiles);
    if (i == 1 && trunk->band_rows)
        floats += trunk_band_plane(trunk).image_reals;
    return floats;
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
    if (packs[0].direct && trunk->layers > 1 && !packs[0].pool_after)
        trunk->band_rows = band_rows(spec->height_px, threads);
}

/* Shapes of all layers and sizes of the arena's parts. */
static void lay_out(pulmo_trunk *trunk, const pulmo_trunk_spec *spec, const pulmo_weights *weights,
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
        if (l->block <= EARLY_BLOCKS)
            early = larger(early, EARLY_IMAGES * floats);
        bool is_late = l->block > EARLY_BLOCKS;
        if (is_late || last_early || last)
            late = larger(late, trunk->batch * floats);
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
    lay_out(&trunk, spec, weights, threads);
    arena_places places = trunk_arena_of(&trunk);
    return places.end * sizeof(float);
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
    int threads = pulmo_pool_threads(pool);
    lay_out(trunk, spec, weights, threads);
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
        size_t bytes = pulmo_trunk_packed_bytes(spec, weights);
        trunk->own_packed = pulmo_alloc(bytes, 1);
        if (!trunk->own_packed)
            PULMO_GOTO(PULMO_MEMORY);
        pulmo_trunk_pack(spec, weights, pool, trunk->own_packed);
        packed = trunk->own_packed;
    }
    trunk->packed = packed;
    size_t arena_floats = trunk_arena_of(trunk).end;
    trunk->arena = pulmo_alloc(arena_floats, sizeof(float));
    trunk->stage_s = pulmo_alloc(threads, PULMO_ALIGN); /* a cache line each */
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
        bool is_last = i + 1 == end;
        float *to = is_last && last ? last : there;
        layer_pass p = {.trunk = trunk,
                        .layer = l,
                        .in = trunk_input_plane(l),
                        .out = trunk_output_plane(l),
                        .images = images,
                        .source = source};
        if (l->pack.direct && l->pack.pool_after)
            p.out = unpooled_plane(l);
        p.in.data = here;
        p.out.data = to;
        p.framed = trunk->arena + trunk_arena_of(trunk).framed;
        trunk_run_layer(&p);
        there = here;
        here = to;
    }
    return here;
}

typedef struct reading {
    const pulmo_plane *plane;
    float *features;
} reading;

static void read_task(void *context, int task, int thread)
{
    const reading *r = context;
    plane_place at = plane_place_of(r->plane, task);
    (void)thread;
    pulmo_plane_read(r->plane, at.image, at.block, r->features);
}

/* Values of one input image. */
static size_t image_values(const pulmo_trunk *trunk)
{
    return (size_t)3 * trunk->height_px * trunk->width_px;
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
    int first = trunk->band_rows ? 1 : 0;
    arena_places place = trunk_arena_of(trunk);
    float *early0 = trunk->arena + place.early[0];
    float *early1 = trunk->arena + place.early[1];
    float *late0 = trunk->arena + place.late[0];
    float *late1 = trunk->arena + place.late[1];
    size_t values = image_values(trunk);
    const layer *last_early = &trunk->layer[early - 1];
    const layer *last_layer = &trunk->layer[trunk->layers - 1];
    size_t each = trunk_output_plane(last_early).image_reals;
    for (int at = 0; at < n; at += EARLY_IMAGES) {
        int count = smaller(n - at, EARLY_IMAGES);
        const float *source = images + at * values;
        float *to = late0 + at * each;
        (void)run_layers(trunk, first, early, count, source, early0, early1, to);
    }
    pulmo_plane last = trunk_output_plane(last_layer);
    last.data = run_layers(trunk, early, trunk->layers, n, NULL, late0, late1, NULL);
    reading r = {.plane = &last, .features = features};
    int tasks = n * plane_blocks(last.channels);
    pulmo_pool_run(trunk->pool, tasks, read_task, &r);
}

void pulmo_trunk_forward(pulmo_trunk *trunk, int n, const float *images, float *features)
{
    int channels, height, width;
    pulmo_trunk_shape(trunk, &channels, &height, &width);
    size_t each = (size_t)channels * height * width;
    size_t values = image_values(trunk);
    for (int at = 0; at < n; at += trunk->batch) {
        int left = n - at;
        int count = smaller(left, trunk->batch);
        forward_batch(trunk, count, images, features);
        images += count * values;
        features += count * each;
    }
}
