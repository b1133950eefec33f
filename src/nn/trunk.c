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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "trunk_pack.h"

#define EARLY_IMAGES 1 /* images at once in blocks 1 to 3 */
#define EARLY_BLOCKS 3
#define BLOCK_FLOATS                                                                               \
    138240 /* V and M of a run for few channels: 540 kB; with the weights of 64 x 64 about an L2   \
            */
#define RUN_TILES_LEAST                                                                            \
    128 /* tiles a run where weights are large, so that their stream is used well */
#define RUN_TILES_MOST 132
#define POINT_PAD      16 /* floats between points, against cache-set conflicts */
#define ROWS_A_TASK    16 /* of the first layer alone */
#define BAND_ROWS                                                                                  \
    32 /* at most, of the first two layers together: 64 channels of 34 rows are 2 MB, two rows of  \
          them done twice */

/* ---- shapes ---- */

typedef struct layer {
    trunk_layer pack;           /* where its weights are */
    int height, width;          /* of its input */
    int out_height, out_width;  /* after the pool */
    int block;                  /* from 1 */
    double seconds, stage_s[3]; /* wall; thread-seconds a stage, of all threads */
} layer;

/* What a thread's time goes to: a layer's input, GEMM and output, and the first layer's rows where
 * the second calls for them. */
enum { INPUT, GEMM, OUTPUT, FIRST_ROWS, STAGES };

struct pulmo_trunk {
    const pulmo_kernels *kernels;
    pulmo_pool *pool;
    int layers, batch, height_px, width_px;
    layer layer[PULMO_CONVS_MAX];
    const float *packed;
    void *own_packed;
    float *arena;
    size_t early_floats, late_floats, scratch_floats,
        image_floats; /* sizes of what the arena holds; see arena_of */
    int band_rows; /* of the first layer's output made for the second at a time; 0: it is made whole
                    */
    int stride;    /* of a framed input image */
    int measuring;
    char *stage_s; /* (threads) of PULMO_ALIGN bytes: STAGES doubles of the layer at hand */
};

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

static pulmo_plane plane_of(int channels, int height, int width)
{
    pulmo_plane p = {.channels = channels, .height = height, .width = width};
    p.rows = round_up(height, WINO_OUT) + 2;
    p.columns = round_up(width, WINO_OUT) + 2;
    p.image_floats = (size_t)channels * (size_t)p.rows * (size_t)p.columns;
    return p;
}

static pulmo_plane input_plane(const layer *l)
{
    return plane_of(l->pack.in_channels, l->height, l->width);
}
static pulmo_plane output_plane(const layer *l)
{
    return plane_of(l->pack.out_channels, l->out_height, l->out_width);
}

static pulmo_tiles tiles_of(const layer *l)
{
    return (pulmo_tiles){.down = (l->height + WINO_OUT - 1) / WINO_OUT,
                         .across = (l->width + WINO_OUT - 1) / WINO_OUT};
}

/* Tiles a run: many where weights are large, few where V and M can stay in L2; evened out so that
 * threads get equal shares. */
static int run_tiles(const layer *l, int total, int threads)
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
    return each < 1 ? 1 : each > RUN_TILES_MOST ? RUN_TILES_MOST : each;
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

static pulmo_plane band_plane(const pulmo_trunk *trunk)
{
    return plane_of(trunk->layer[0].pack.out_channels, trunk->band_rows, trunk->width_px);
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
                         ? plane_of(packs[i].out_channels, l->height, l->width).image_floats
                         : output_plane(l).image_floats;
        if (i == 0 && !packs[i].direct)
            out = max_size(out, input_plane(l).image_floats);
        if (l->block <= EARLY_BLOCKS)
            trunk->early_floats = max_size(trunk->early_floats, EARLY_IMAGES * out);
        if (l->block > EARLY_BLOCKS || (l->block == EARLY_BLOCKS && packs[i].pool_after) ||
            i + 1 == trunk->layers)
            trunk->late_floats = max_size(trunk->late_floats, (size_t)trunk->batch * out);
        size_t scratch = WINO_POINTS *
                         (point_floats(packs[i].in_channels) + point_floats(packs[i].out_channels));
        if (i == 1 && trunk->band_rows)
            scratch += band_plane(trunk).image_floats;
        trunk->scratch_floats = max_size(trunk->scratch_floats, scratch);
    }
    trunk->scratch_floats = (trunk->scratch_floats + 15) / 16 * 16 * (size_t)threads;
    trunk->early_floats = (trunk->early_floats + 15) / 16 * 16;
    trunk->late_floats = (trunk->late_floats + 15) / 16 * 16;
    trunk->image_floats = (trunk->image_floats + 15) / 16 * 16;
}

/* Where things stand in the arena, in floats. Deep layers swap late[0] and late[1]; early ones
 * leave their output in late[0], and use the memory of late[1], not needed yet, for their own. */
typedef struct places {
    size_t late[2], early[2], framed, scratch, end;
} places;

static places arena_of(const pulmo_trunk *trunk)
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
    return arena_of(&trunk).end * sizeof(float);
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
    trunk->arena = pulmo_alloc(arena_of(trunk).end, sizeof(float));
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

/* ---- running a layer ---- */

typedef struct pass {
    pulmo_trunk *trunk;
    const layer *layer;
    pulmo_plane in, out;
    pulmo_tiles tiles;      /* count: of all images */
    int run, bands, images; /* bands of an image */
    const float *source;    /* of the first layer: (images, 3, H, W) */
    float *framed;          /* of the first layer: framed images */
} pass;

/* The frame and the padding of one block of channels of one image are zero again. */
static void clear_frame(const pulmo_plane *p, float *block)
{
    size_t row_floats = (size_t)p->columns * CHANNEL_BLOCK;
    memset(block, 0, row_floats * sizeof(float));
    for (int y = 1; y <= p->height; y++) {
        float *row = block + (size_t)y * row_floats;
        memset(row, 0, CHANNEL_BLOCK * sizeof(float));
        memset(row + (size_t)(p->width + 1) * CHANNEL_BLOCK, 0,
               (size_t)(p->columns - p->width - 1) * CHANNEL_BLOCK * sizeof(float));
    }
    memset(block + (size_t)(p->height + 1) * row_floats, 0,
           (size_t)(p->rows - p->height - 1) * row_floats * sizeof(float));
}

static void frame_task(void *context, int task, int thread)
{
    const pass *p = context;
    (void)thread;
    clear_frame(&p->out, p->out.data + (size_t)task * (size_t)p->out.rows * (size_t)p->out.columns *
                                           CHANNEL_BLOCK);
}

static double *stages_of(const pulmo_trunk *trunk, int thread)
{
    return (double *)(void *)(trunk->stage_s + (size_t)thread * PULMO_ALIGN);
}

/* Adds the time since *before_s to a stage of this thread. */
static void lap(pulmo_trunk *trunk, int thread, int stage, double *before_s)
{
    if (!trunk->measuring)
        return;
    double now_s = pulmo_now_s();
    stages_of(trunk, thread)[stage] += now_s - *before_s;
    *before_s = now_s;
}

static float *scratch_of(const pulmo_trunk *trunk, int thread)
{
    return trunk->arena + arena_of(trunk).scratch +
           (size_t)thread * (trunk->scratch_floats / (size_t)pulmo_pool_threads(trunk->pool));
}

/* Takes tiles of `in` through the layer to `out`. */
static void take_run(const pass *p, const pulmo_plane *in, const pulmo_plane *out,
                     const pulmo_tiles *tiles, float *scratch, int thread)
{
    pulmo_trunk *trunk = p->trunk;
    const trunk_layer *w = &p->layer->pack;
    /* Points stand as close as the run allows, an odd number of cache lines apart. */
    pulmo_transformed v = {.data = scratch,
                           .channels = w->in_channels,
                           .point_floats =
                               (size_t)tiles->count * (size_t)w->in_channels + POINT_PAD};
    pulmo_transformed m = {.data = scratch + WINO_POINTS * v.point_floats,
                           .channels = w->out_channels,
                           .point_floats =
                               (size_t)tiles->count * (size_t)w->out_channels + POINT_PAD};
    double before_s = trunk->measuring ? pulmo_now_s() : 0;
    trunk->kernels->wino43_input(in, tiles, &v);
    lap(trunk, thread, INPUT, &before_s);
    const float *u = trunk->packed + w->weight_at;
    size_t u_floats = (size_t)w->in_channels * (size_t)w->out_channels;
    for (int point = 0; point < WINO_POINTS; point++)
        trunk->kernels->wino43_gemm(
            v.data + (size_t)point * v.point_floats, u + (size_t)point * u_floats,
            m.data + (size_t)point * m.point_floats, tiles->count, w->in_channels, w->out_channels);
    lap(trunk, thread, GEMM, &before_s);
    trunk->kernels->wino43_output(&m, tiles, trunk->packed + w->bias_at, w->pool_after, out);
    lap(trunk, thread, OUTPUT, &before_s);
}

static pulmo_tiles run_of(const pulmo_tiles *all, int run, int each)
{
    pulmo_tiles tiles = *all;
    tiles.first = run * each;
    tiles.count = all->count - tiles.first < each ? all->count - tiles.first : each;
    return tiles;
}

static void run_task(void *context, int task, int thread)
{
    const pass *p = context;
    pulmo_tiles tiles = run_of(&p->tiles, task, p->run);
    take_run(p, &p->in, &p->out, &tiles, scratch_of(p->trunk, thread), thread);
}

/* ---- the first layer ---- */

/* Copies one plane of one image into its frame. */
static void enter_task(void *context, int task, int thread)
{
    const pass *p = context;
    const pulmo_trunk *trunk = p->trunk;
    int image = task / 3, channel = task % 3, height = trunk->height_px, width = trunk->width_px;
    const float *from =
        p->source + ((size_t)image * 3 + (size_t)channel) * (size_t)height * (size_t)width;
    float *to = p->framed + (size_t)image * trunk->image_floats +
                (size_t)channel * (size_t)(height + 2) * (size_t)trunk->stride;
    (void)thread;
    memset(to, 0, (size_t)trunk->stride * sizeof *to);
    for (int y = 0; y < height; y++) {
        float *row = to + (size_t)(y + 1) * (size_t)trunk->stride;
        row[0] = 0;
        memcpy(row + 1, from + (size_t)y * (size_t)width, (size_t)width * sizeof *row);
        memset(row + 1 + width, 0, (size_t)(trunk->stride - 1 - width) * sizeof *row);
    }
    memset(to + (size_t)(height + 1) * (size_t)trunk->stride, 0,
           (size_t)trunk->stride * sizeof *to);
}

/* Puts one image into the blocked layout, for a first layer that is not direct. */
static void enter_blocked_task(void *context, int image, int thread)
{
    const pass *p = context;
    const pulmo_trunk *trunk = p->trunk;
    size_t row_floats = (size_t)p->in.columns * CHANNEL_BLOCK;
    size_t cells = (size_t)trunk->height_px * (size_t)trunk->width_px;
    const float *from = p->source + (size_t)image * 3 * cells;
    float *to = p->in.data + (size_t)image * p->in.image_floats;
    (void)thread;
    memset(to, 0, p->in.image_floats * sizeof *to);
    for (int y = 0; y < trunk->height_px; y++) {
        float *pixel = to + (size_t)(y + 1) * row_floats + CHANNEL_BLOCK;
        const float *row = from + (size_t)y * (size_t)trunk->width_px;
        for (int x = 0; x < trunk->width_px; x++, pixel += CHANNEL_BLOCK)
            for (size_t c = 0; c < 3; c++)
                pixel[c] = row[c * cells + (size_t)x];
    }
}

/* Rows [row, row + rows) of one image's first layer, to `out` from its framed row `to` on. */
static void first_rows(const pass *p, int image, int row, int rows, const pulmo_plane *out, int to)
{
    const pulmo_trunk *trunk = p->trunk;
    const trunk_layer *w = &trunk->layer[0].pack;
    pulmo_image3 framed = {.data = p->framed + (size_t)image * trunk->image_floats,
                           .rows = trunk->height_px + 2,
                           .stride = trunk->stride};
    trunk->kernels->direct3(&framed, trunk->packed + w->weight_at, trunk->packed + w->bias_at, row,
                            rows, out, to);
}

static void first_task(void *context, int task, int thread)
{
    const pass *p = context;
    int tasks = (p->trunk->height_px + ROWS_A_TASK - 1) / ROWS_A_TASK, image = task / tasks,
        row = task % tasks * ROWS_A_TASK;
    int rows = p->trunk->height_px - row < ROWS_A_TASK ? p->trunk->height_px - row : ROWS_A_TASK;
    pulmo_plane out = p->out;
    double before_s = p->trunk->measuring ? pulmo_now_s() : 0;
    out.data += (size_t)image * out.image_floats;
    first_rows(p, image, row, rows, &out, row + 1);
    lap(p->trunk, thread, GEMM, &before_s);
}

/* A band of the second layer's output: the rows of the first that it sees, one above and one below
 * where the image has them, then its tiles. */
static void band_task(void *context, int task, int thread)
{
    const pass *p = context;
    pulmo_trunk *trunk = p->trunk;
    const layer *l = p->layer;
    int image = task / p->bands, row = task % p->bands * trunk->band_rows;
    int rows = l->height - row < trunk->band_rows ? l->height - row : trunk->band_rows;
    int above = row > 0, below = row + rows < l->height,
        pooled_row = l->pack.pool_after ? row / 2 : row;
    pulmo_plane band = band_plane(trunk), out = p->out;
    double before_s = trunk->measuring ? pulmo_now_s() : 0;
    band.data = scratch_of(trunk, thread);
    band.height = rows;
    for (int block = 0; block < band.channels / CHANNEL_BLOCK; block++)
        clear_frame(&band, band.data + (size_t)block * (size_t)band.rows * (size_t)band.columns *
                                           CHANNEL_BLOCK);
    first_rows(p, image, row - above, rows + above + below, &band, 1 - above);
    lap(trunk, thread, FIRST_ROWS, &before_s);
    out.data +=
        (size_t)image * out.image_floats + (size_t)pooled_row * (size_t)out.columns * CHANNEL_BLOCK;
    out.height -= pooled_row;
    pulmo_tiles all = {.down = (rows + WINO_OUT - 1) / WINO_OUT, .across = p->tiles.across};
    all.count = all.down * all.across;
    int each = run_tiles(l, all.count, 1);
    for (int run = 0; run * each < all.count; run++) {
        pulmo_tiles tiles = run_of(&all, run, each);
        take_run(p, &band, &out, &tiles, band.data + band.image_floats, thread);
    }
}

static void max_pool_in_place(const pass *p);

/* Adds up what `threads` spent in `seconds` on layer i, and on the first layer's rows in it. */
static void book(pulmo_trunk *trunk, layer *l, double seconds)
{
    double all = 0, first = 0;
    for (int t = 0; t < pulmo_pool_threads(trunk->pool); t++) {
        const double *mine = stages_of(trunk, t);
        for (int stage = 0; stage < FIRST_ROWS; stage++)
            l->stage_s[stage] += mine[stage];
        all += mine[INPUT] + mine[GEMM] + mine[OUTPUT] + mine[FIRST_ROWS];
        first += mine[FIRST_ROWS];
    }
    trunk->layer[0].stage_s[GEMM] += first;
    trunk->layer[0].seconds += all > 0 ? seconds * first / all : 0;
    l->seconds += all > 0 ? seconds * (1 - first / all) : seconds;
}

static void run_layer(pass *p)
{
    pulmo_trunk *trunk = p->trunk;
    layer *l = &trunk->layer[p->layer - trunk->layer];
    int banded = trunk->band_rows && l == &trunk->layer[1];
    double began_s = trunk->measuring ? pulmo_now_s() : 0;
    if (trunk->measuring)
        memset(trunk->stage_s, 0, (size_t)pulmo_pool_threads(trunk->pool) * PULMO_ALIGN);
    pulmo_pool_run(trunk->pool, p->images * (p->out.channels / CHANNEL_BLOCK), frame_task, p);
    if (banded || l->pack.direct)
        pulmo_pool_run(trunk->pool, p->images * 3, enter_task, p);
    else if (l == trunk->layer)
        pulmo_pool_run(trunk->pool, p->images, enter_blocked_task, p);
    p->tiles = tiles_of(l);
    p->tiles.count = p->images * p->tiles.down * p->tiles.across;
    if (banded) {
        p->bands = (l->height + trunk->band_rows - 1) / trunk->band_rows;
        pulmo_pool_run(trunk->pool, p->images * p->bands, band_task, p);
    } else if (l->pack.direct) {
        pulmo_pool_run(trunk->pool,
                       p->images * ((trunk->height_px + ROWS_A_TASK - 1) / ROWS_A_TASK), first_task,
                       p);
        if (l->pack.pool_after)
            max_pool_in_place(p);
    } else {
        p->run = run_tiles(l, p->tiles.count, pulmo_pool_threads(trunk->pool));
        pulmo_pool_run(trunk->pool, (p->tiles.count + p->run - 1) / p->run, run_task, p);
    }
    if (trunk->measuring)
        book(trunk, l, pulmo_now_s() - began_s);
}

/* VGG11 pools after its first layer: the direct layer's full-size output shrinks where it is. Rows
 * are read before they are written over. */
static void max_pool_in_place(const pass *p)
{
    const pulmo_plane full = p->out, small = output_plane(p->layer);
    size_t row = (size_t)full.columns * CHANNEL_BLOCK;
    for (int block = 0; block < p->images * full.channels / CHANNEL_BLOCK; block++) {
        const float *from = full.data + (size_t)block * (size_t)full.rows * row;
        float *to =
            full.data + (size_t)block * (size_t)small.rows * (size_t)small.columns * CHANNEL_BLOCK;
        for (int y = 0; y < small.height; y++)
            for (int x = 0; x < small.width; x++)
                for (int c = 0; c < CHANNEL_BLOCK; c++) {
                    const float *at =
                        from + (size_t)(2 * y + 1) * row + (size_t)(2 * x + 1) * CHANNEL_BLOCK + c;
                    float top = at[0] > at[CHANNEL_BLOCK] ? at[0] : at[CHANNEL_BLOCK];
                    float bottom =
                        at[row] > at[row + CHANNEL_BLOCK] ? at[row] : at[row + CHANNEL_BLOCK];
                    to[((size_t)(y + 1) * (size_t)small.columns + (size_t)(x + 1)) * CHANNEL_BLOCK +
                       (size_t)c] = top > bottom ? top : bottom;
                }
        clear_frame(&small, to);
    }
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
                  .in = input_plane(l),
                  .out = output_plane(l),
                  .images = images,
                  .source = source};
        if (l->pack.direct && l->pack.pool_after)
            p.out = plane_of(l->pack.out_channels, l->height, l->width);
        p.in.data = here;
        p.out.data = to;
        p.framed = trunk->arena + arena_of(trunk).framed;
        run_layer(&p);
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
    places place = arena_of(trunk);
    float *d0 = trunk->arena + place.late[0], *d1 = trunk->arena + place.late[1];
    size_t each = output_plane(&trunk->layer[early - 1]).image_floats;
    for (int at = 0; at < n; at += EARLY_IMAGES) {
        int count = n - at < EARLY_IMAGES ? n - at : EARLY_IMAGES;
        (void)run_layers(
            trunk, trunk->band_rows ? 1 : 0, early, count,
            images + (size_t)at * 3 * (size_t)trunk->height_px * (size_t)trunk->width_px,
            trunk->arena + place.early[0], trunk->arena + place.early[1], d0 + (size_t)at * each);
    }
    pulmo_plane last = output_plane(&trunk->layer[trunk->layers - 1]);
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

/* ---- measuring ---- */

void pulmo_trunk_measure(pulmo_trunk *trunk, int on)
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
        pulmo_tiles tiles = tiles_of(l);
        time->direct_flop = pairs * 9 * l->height * l->width;
        time->gemm_flop =
            l->pack.direct ? time->direct_flop : pairs * WINO_POINTS * tiles.down * tiles.across;
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
