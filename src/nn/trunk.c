/* The frozen convolutions: a direct first layer, then Winograd F(m x m, 3x3), m by block.
 *
 * Activations stay in one blocked layout, framed by zeros, from the first layer to the last. The
 * first layer's output, the largest, never stands whole: the second layer takes it a band of rows
 * at a time. Early blocks, whose activations are large, go through a few images at a time; deep
 * ones, whose weights are large, take the whole batch, so that each transformed weight serves many
 * tiles. A task is a run of tiles that one thread takes through input transform, products and
 * output transform with buffers of its own. Which tiles share a task changes no bit: every output
 * element is one fixed chain of operations. */
#include "pulmo/trunk.h"

#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "trunk_room.h"

void pulmo_trunk_spec_init(pulmo_trunk_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->height_px = 224;
    spec->width_px = 224;
    spec->batch = 16;
    spec->fine_tuned_from = PULMO_CONVS_MAX;
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
    trunk_lay_out(trunk, spec, weights, threads);
    const layer *last = &trunk->layer[trunk->layers - 1];
    if (last->out_height < 1 || last->out_width < 1) {
        status = pulmo_fail(
            PULMO_DATA,
            "images of %d x %d px: the weights' max-pools leave nothing of them; pack larger ones",
            spec->height_px, spec->width_px);
        goto out;
    }
    if (!pulmo_block_set_ends(spec->averaged, last->block)) {
        status = pulmo_fail(PULMO_WEIGHTS,
                            "the blocks whose outputs are averaged must end with block %d, the "
                            "last of these weights",
                            last->block);
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
    bool averaged = trunk_ends_averaged(trunk);
    *channels = averaged ? trunk->averages : last->pack.out_channels;
    *height = averaged ? 1 : last->out_height;
    *width = averaged ? 1 : last->out_width;
}

int pulmo_trunk_averages_below(const pulmo_trunk *trunk)
{
    return trunk_ends_averaged(trunk) ? 0 : trunk->averages;
}

/* ---- forward ---- */

/* One layer's output, (images) of a batch, and where it goes: features of `stride` values an image,
 * among which it begins at `at`. */
typedef struct reading {
    const pulmo_plane *plane;
    float *features;
    size_t at, stride;
} reading;

static float *features_of(const reading *r, int image)
{
    size_t place = image * r->stride + r->at;
    return r->features + place;
}

/* One block of channels of one image, averaged over its cells. */
static void average_task(void *context, int task, int thread)
{
    const reading *r = context;
    plane_place at = plane_place_of(r->plane, task);
    (void)thread;
    pulmo_plane_average(r->plane, at.image, at.block, features_of(r, at.image));
}

/* The same as it is. */
static void read_task(void *context, int task, int thread)
{
    const reading *r = context;
    plane_place at = plane_place_of(r->plane, task);
    pulmo_plane image = *r->plane;
    (void)thread;
    image.data += at.image * image.image_reals;
    pulmo_plane_read(&image, 0, at.block, features_of(r, at.image));
}

/* Puts a layer's output where its features are. */
static void leave(const pulmo_trunk *trunk, const pulmo_plane *plane, int images, size_t at,
                  pulmo_task task)
{
    reading r = {.plane = plane, .features = trunk->averaged, .at = at};
    r.stride = trunk_feature_values(trunk);
    int tasks = images * plane_blocks(plane->channels);
    pulmo_pool_run(trunk->pool, tasks, task, &r);
}

/* Runs layers [first, end) on `images` images; `here` holds the input and gets swapped with
 * `there`; the last layer leaves its output in `last` where that is not NULL. A max-pool apart goes
 * from `there` back to `here`. Returns where the output is. */
static float *run_layers(pulmo_trunk *trunk, int first, int end, int images, const float *source,
                         float *here, float *there, float *last)
{
    for (int i = first; i < end; i++) {
        layer *l = &trunk->layer[i];
        bool apart = trunk_pools_apart(l);
        bool is_last = i + 1 == end;
        float *to = apart ? here : there;
        if (is_last && last)
            to = last;
        layer_pass p = {.trunk = trunk,
                        .layer = l,
                        .in = trunk_input_plane(l),
                        .out = apart ? trunk_unpooled_plane(l) : trunk_output_plane(l),
                        .pooled = trunk_output_plane(l),
                        .images = images,
                        .source = source};
        p.in.data = here;
        p.out.data = apart ? there : to;
        p.pooled.data = to;
        p.framed = trunk->arena + trunk_arena_of(trunk).framed;
        trunk_run_layer(&p);
        if (l->average_at >= 0)
            leave(trunk, &p.pooled, images, l->average_at, average_task);
        if (to != here)
            there = here;
        here = to;
    }
    return here;
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
    size_t feature_values = trunk_feature_values(trunk);
    for (int at = 0; at < n; at += EARLY_IMAGES) {
        int count = smaller(n - at, EARLY_IMAGES);
        const float *source = images + at * values;
        float *to = late0 + at * each;
        trunk->averaged = features + at * feature_values;
        (void)run_layers(trunk, first, early, count, source, early0, early1, to);
    }
    pulmo_plane last = trunk_output_plane(last_layer);
    trunk->averaged = features;
    last.data = run_layers(trunk, early, trunk->layers, n, NULL, late0, late1, NULL);
    if (!trunk_ends_averaged(trunk))
        leave(trunk, &last, n, trunk->averages, read_task);
}

void pulmo_trunk_forward(pulmo_trunk *trunk, int n, const float *images, float *features)
{
    size_t each = trunk_feature_values(trunk);
    size_t values = image_values(trunk);
    for (int at = 0; at < n; at += trunk->batch) {
        int left = n - at;
        int count = smaller(left, trunk->batch);
        forward_batch(trunk, count, images, features);
        images += count * values;
        features += count * each;
    }
}
