/* Who processes what, and the images on time.
 *
 * A ring of `depth` batches (pulmo/ahead.h), in the order of epochs: a batch that gets its place is
 * planned, which writes down the samples of this rank's microbatches and their labels. Helper
 * threads fill the places; an image is read and augmented by one thread from (seed, epoch, sample)
 * alone. seek() empties the ring and begins it anew elsewhere. */
#include "loader_room.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/ahead.h"
#include "pulmo/clock.h"
#include "pulmo/memory.h"
#include "pulmo/packed.h"
#include "pulmo/rng.h"

/* ---- arithmetic ---- */

/* How many parts of `size`, the last maybe smaller, make up `whole`. */
static uint32_t parts_of(uint32_t whole, uint32_t size)
{
    const uint64_t rounded_up = (uint64_t)whole + size - 1;
    return (uint32_t)(rounded_up / size);
}

uint32_t pulmo_batches(uint32_t samples, uint32_t batch)
{
    return parts_of(samples, batch);
}

uint32_t batch_size_of(uint32_t samples, uint32_t batch, uint32_t b)
{
    uint32_t left = samples - b * batch;
    return left < batch ? left : batch;
}

pulmo_microbatches pulmo_microbatches_of(uint32_t batch_size, uint32_t microbatch, int rank,
                                         int size)
{
    const uint32_t microbatches = parts_of(batch_size, microbatch);
    const uint32_t own = (uint32_t)rank;
    const uint32_t first = pulmo_shard_first(microbatches, own, (uint32_t)size);
    const uint32_t end = pulmo_shard_first(microbatches, own + 1, (uint32_t)size);
    return (pulmo_microbatches){.first = first, .count = end - first};
}

/* ---- the ring ---- */

/* A place of the ring, and the batch that has it. */
typedef struct ring_batch {
    uint32_t epoch, number, global_count, first_microbatch, count;
    uint32_t *samples;
    int32_t *labels;
    float *images;
} ring_batch;

struct pulmo_loader {
    pulmo_dataset *dataset;
    const pulmo_dataset_info *info;
    pulmo_loader_spec spec;
    pulmo_augment_spec augment;
    pulmo_loader_source source;
    bool augments;
    size_t image_floats, image_bytes;
    uint32_t room;    /* images of this rank in a batch, at most */
    ring_batch *ring; /* (spec.depth) */
    uint8_t *pixels;  /* (spec.threads, image_bytes) */
    uint32_t *order;  /* of order_epoch */
    uint32_t order_epoch;
    uint32_t epoch, number; /* the next batch to plan */
    pulmo_ahead *ahead;
    bool begun;
    double waited_s;
};

void pulmo_loader_spec_init(pulmo_loader_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->batch = 64;
    spec->microbatch = 8;
    spec->size = 1;
    spec->threads = 1;
    spec->depth = 2;
    for (int c = 0; c < 3; c++)
        spec->std[c] = 1.0f;
}

/* Images of this rank in a batch, at most. */
static uint32_t room_of(const pulmo_loader_spec *spec)
{
    const uint32_t microbatches = parts_of(spec->batch, spec->microbatch);
    const uint32_t of_rank = parts_of(microbatches, (uint32_t)spec->size);
    return of_rank * spec->microbatch;
}

static void order_epoch(pulmo_loader *l, uint32_t epoch)
{
    const uint32_t count = l->info->count;
    pulmo_rng rng;
    if (l->order_epoch == epoch)
        return;
    l->order_epoch = epoch;
    if (l->spec.shuffle) {
        pulmo_rng_at(&rng, l->spec.seed, PULMO_RNG_SHUFFLE, epoch, 0);
        pulmo_rng_permutation(&rng, count, l->order);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        l->order[i] = i;
}

/* Which samples of batch (epoch, number) are this rank's. */
static void plan_batch(pulmo_loader *l, ring_batch *b)
{
    uint32_t microbatch = l->spec.microbatch;
    order_epoch(l, l->epoch);
    b->epoch = l->epoch;
    b->number = l->number;
    b->global_count = batch_size_of(l->info->count, l->spec.batch, l->number);
    pulmo_microbatches mine =
        pulmo_microbatches_of(b->global_count, microbatch, l->spec.rank, l->spec.size);
    const uint32_t first = mine.first * microbatch;
    uint32_t end = first + mine.count * microbatch;
    if (end > b->global_count)
        end = b->global_count;
    b->first_microbatch = mine.first;
    b->count = mine.count ? end - first : 0;
    const uint32_t *ordered = l->order + l->number * l->spec.batch + first;
    for (uint32_t i = 0; i < b->count; i++) {
        const uint32_t sample = ordered[i];
        b->samples[i] = sample;
        b->labels[i] = l->info->labels[sample];
    }
}

/* In order, so that the place in the epochs is its own to keep; `batch` counts since the seek. */
static int plan_next(void *context, uint64_t batch, int place)
{
    pulmo_loader *l = context;
    const uint32_t batches = pulmo_batches(l->info->count, l->spec.batch);
    (void)batch;
    if (batches == 0)
        return PULMO_AHEAD_END;
    plan_batch(l, &l->ring[place]);
    l->number++;
    if (l->number == batches) {
        l->number = 0;
        l->epoch++;
    }
    return (int)l->ring[place].count;
}

static pulmo_status fill_image(pulmo_loader *l, uint32_t epoch, uint32_t sample, uint8_t *pixels,
                               float *out)
{
    const pulmo_augment_draw *drawn = NULL;
    pulmo_augment_draw draw;
    const int height = l->info->height_px;
    const int width = l->info->width_px;
    const int channels = l->info->channels;
    if (l->source.fill)
        return l->source.fill(l->source.context, epoch, sample, out);
    PULMO_TRY(pulmo_dataset_read(l->dataset, sample, pixels));
    if (l->augments) {
        pulmo_augment_draw_at(&l->augment, l->spec.seed, epoch, sample, height, width, &draw);
        drawn = &draw;
    }
    return pulmo_augment_apply(drawn, pixels, height, width, channels, l->spec.mean, l->spec.std,
                               out);
}

static pulmo_status make_image(void *context, const pulmo_ahead_item *it)
{
    pulmo_loader *l = context;
    const ring_batch *b = &l->ring[it->place];
    uint8_t *pixels = l->pixels + (size_t)it->thread * l->image_bytes;
    float *out = b->images + (size_t)it->item * l->image_floats;
    return fill_image(l, b->epoch, b->samples[it->item], pixels, out);
}

/* ---- the interface ---- */

static pulmo_status allocate(pulmo_loader *l)
{
    const size_t order_room = (size_t)l->info->count + 1;
    l->ring = calloc((size_t)l->spec.depth, sizeof *l->ring);
    l->order = malloc(order_room * sizeof *l->order);
    l->pixels = malloc((size_t)l->spec.threads * l->image_bytes + 1);
    if (!l->ring || !l->order || !l->pixels)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the loader");
    for (int i = 0; i < l->spec.depth; i++) {
        ring_batch *b = &l->ring[i];
        b->samples = malloc(l->room * sizeof *b->samples);
        b->labels = malloc(l->room * sizeof *b->labels);
        b->images = pulmo_alloc(l->room, l->image_floats * sizeof *b->images);
        if (!b->samples || !b->labels || !b->images)
            return pulmo_fail(PULMO_MEMORY, "cannot allocate a batch of %u images", l->room);
    }
    return PULMO_OK;
}

static pulmo_status create_ring(pulmo_loader *l)
{
    const pulmo_ahead_work work = {.items = (int)l->room,
                                   .depth = l->spec.depth,
                                   .threads = l->spec.threads,
                                   .plan = plan_next,
                                   .make = make_image,
                                   .context = l};
    PULMO_TRY(allocate(l));
    return pulmo_ahead_create(&work, NULL, &l->ahead);
}

pulmo_status pulmo_loader_create(pulmo_dataset *dataset, const pulmo_loader_spec *spec,
                                 pulmo_loader **out)
{
    pulmo_loader *l = calloc(1, sizeof *l);
    if (!l)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the loader");
    l->dataset = dataset;
    l->info = pulmo_dataset_info_of(dataset);
    l->spec = *spec;
    l->augments = spec->augment != NULL;
    if (l->augments)
        l->augment = *spec->augment;
    if (spec->source)
        l->source = *spec->source;
    const size_t pixels = (size_t)l->info->height_px * (size_t)l->info->width_px;
    l->image_floats = 3 * pixels;
    if (spec->source)
        l->image_floats = spec->source->floats;
    l->image_bytes = (size_t)l->info->channels * pixels;
    l->room = room_of(spec);
    l->order_epoch = UINT32_MAX;
    pulmo_status status = create_ring(l);
    if (status == PULMO_OK)
        *out = l;
    else
        pulmo_loader_destroy(l);
    return status;
}

static void free_ring(pulmo_loader *l)
{
    if (!l->ring)
        return;
    for (int i = 0; i < l->spec.depth; i++) {
        ring_batch *b = &l->ring[i];
        free(b->samples);
        free(b->labels);
        pulmo_free(b->images);
    }
    free(l->ring);
}

void pulmo_loader_destroy(pulmo_loader *l)
{
    if (!l)
        return;
    pulmo_ahead_destroy(l->ahead);
    free_ring(l);
    free(l->order);
    free(l->pixels);
    free(l);
}

pulmo_status pulmo_loader_seek(pulmo_loader *l, uint32_t epoch, uint32_t number)
{
    uint32_t batches = pulmo_batches(l->info->count, l->spec.batch);
    if (number > 0 && number >= batches) {
        /* The end of an epoch is the start of the next. */
        if (number > batches)
            return pulmo_fail(PULMO_DATA, "batch %u of an epoch of %u batches", number, batches);
        number = 0;
        epoch++;
    }
    pulmo_ahead_halt(l->ahead);
    l->epoch = epoch;
    l->number = number;
    l->begun = true;
    pulmo_ahead_begin(l->ahead);
    return PULMO_OK;
}

pulmo_status pulmo_loader_next(pulmo_loader *l, pulmo_batch *out)
{
    double began_s = pulmo_now_s();
    pulmo_ahead_batch batch;
    memset(out, 0, sizeof *out);
    if (l->info->count == 0)
        return pulmo_fail(PULMO_DATA, "the data set is empty");
    if (!l->begun)
        PULMO_TRY(pulmo_loader_seek(l, 0, 0));
    pulmo_ahead_next(l->ahead, &batch);
    l->waited_s += pulmo_now_s() - began_s;
    const ring_batch *b = &l->ring[batch.place];
    *out = (pulmo_batch){.epoch = b->epoch,
                         .number = b->number,
                         .global_count = b->global_count,
                         .first_microbatch = b->first_microbatch,
                         .count = b->count,
                         .samples = b->samples,
                         .labels = b->labels,
                         .images = b->images};
    return pulmo_ahead_outcome(&batch);
}

double pulmo_loader_waited_s(const pulmo_loader *l)
{
    return l->waited_s;
}
