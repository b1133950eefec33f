/* Who processes what, and the images on time.
 *
 * A ring of `depth` batches. Helper threads take the images of the ring's batches one by one, in
 * order, and fill their places; next() hands out the oldest batch when its last image is there.
 * An image is read and augmented by one thread from (seed, epoch, sample) alone.
 *
 * A batch of the ring goes round these states; `head` is the oldest that is not free:
 *
 *   free ----> planned ----------> filled ------> lent ------> free
 *      plan_ahead()     helpers, an        next()      the next next()
 *                       image at a time
 *
 *   planned: taken <= count and filled < count    filled: filled == count
 *
 * seek() frees all of them from any state: it marks every image as taken, so that no helper begins
 * another, waits for those that are being filled (`busy`), and plans from the new place. All of it
 * is under one lock, except the filling itself. */
#include "loader_room.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

/* One batch of the ring. */
typedef struct ring_batch {
    uint32_t epoch, number, global_count, first_microbatch, count;
    uint32_t taken, filled; /* images given to threads, images ready */
    uint32_t *samples;
    int32_t *labels;
    float *images;
    pulmo_failure failure; /* the first of its images */
} ring_batch;

struct pulmo_loader {
    pulmo_dataset *dataset;
    const pulmo_dataset_info *info;
    pulmo_loader_spec spec;
    pulmo_augment_spec augment;
    pulmo_loader_source source;
    bool augments;
    size_t image_floats, image_bytes;
    uint32_t room; /* images of this rank in a batch, at most */
    ring_batch *ring;
    uint32_t *order; /* of order_epoch */
    uint32_t order_epoch;
    uint32_t epoch, number; /* the next batch to plan */
    int head, ready;        /* the oldest planned batch, and how many are planned */
    bool lent;              /* the oldest is in the caller's hands */
    int busy;               /* images being filled now */
    pthread_mutex_t lock;
    pthread_cond_t work, progress;
    pthread_t *threads;
    int started;
    bool stop;
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

/* With the lock held. */
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

/* Planned batch i, counted from the oldest. */
static ring_batch *batch_of(const pulmo_loader *l, int i)
{
    const int place = (l->head + i) % l->spec.depth;
    return &l->ring[place];
}

/* Which samples of batch (epoch, number) are this rank's. With the lock held. */
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
    b->taken = 0;
    b->filled = 0;
    b->failure.status = PULMO_OK;
    const uint32_t *ordered = l->order + l->number * l->spec.batch + first;
    for (uint32_t i = 0; i < b->count; i++) {
        const uint32_t sample = ordered[i];
        b->samples[i] = sample;
        b->labels[i] = l->info->labels[sample];
    }
}

/* Plans batches while there is room in the ring. With the lock held. */
static void plan_ahead(pulmo_loader *l)
{
    uint32_t batches = pulmo_batches(l->info->count, l->spec.batch);
    while (l->ready < l->spec.depth && batches > 0) {
        plan_batch(l, batch_of(l, l->ready));
        l->ready++;
        l->number++;
        if (l->number == batches) {
            l->number = 0;
            l->epoch++;
        }
    }
    pthread_cond_broadcast(&l->work);
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
    if (!pixels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an image");
    PULMO_TRY(pulmo_dataset_read(l->dataset, sample, pixels));
    if (l->augments) {
        pulmo_augment_draw_at(&l->augment, l->spec.seed, epoch, sample, height, width, &draw);
        drawn = &draw;
    }
    return pulmo_augment_apply(drawn, pixels, height, width, channels, l->spec.mean, l->spec.std,
                               out);
}

/* With the lock held: the next image to fill, or NULL. */
static ring_batch *take_image(pulmo_loader *l, uint32_t *image)
{
    for (int i = 0; i < l->ready; i++) {
        ring_batch *b = batch_of(l, i);
        if (b->taken == b->count)
            continue;
        *image = b->taken++;
        return b;
    }
    return NULL;
}

static void *helper(void *argument)
{
    pulmo_loader *l = argument;
    uint8_t *pixels = malloc(l->image_bytes);
    uint32_t image = 0;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        ring_batch *b = take_image(l, &image);
        if (!b) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        l->busy++;
        pthread_mutex_unlock(&l->lock);
        float *out = b->images + image * l->image_floats;
        pulmo_status status = fill_image(l, b->epoch, b->samples[image], pixels, out);
        pthread_mutex_lock(&l->lock);
        if (b->failure.status == PULMO_OK)
            pulmo_failure_keep(&b->failure, status);
        b->filled++;
        l->busy--;
        pthread_cond_broadcast(&l->progress);
    }
    pthread_mutex_unlock(&l->lock);
    free(pixels);
    return NULL;
}

/* ---- the interface ---- */

static pulmo_status allocate(pulmo_loader *l)
{
    const size_t order_room = (size_t)l->info->count + 1;
    l->ring = calloc((size_t)l->spec.depth, sizeof *l->ring);
    l->order = malloc(order_room * sizeof *l->order);
    l->threads = calloc((size_t)l->spec.threads, sizeof *l->threads);
    if (!l->ring || !l->order || !l->threads)
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

static pulmo_status start_threads(pulmo_loader *l)
{
    for (; l->started < l->spec.threads; l->started++)
        if (pthread_create(&l->threads[l->started], NULL, helper, l) != 0)
            return pulmo_fail(PULMO_RUNTIME, "cannot start loader thread %d of %d; ask for fewer",
                              l->started + 1, l->spec.threads);
    return PULMO_OK;
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
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->progress, NULL);
    pulmo_status status = allocate(l);
    if (status == PULMO_OK)
        status = start_threads(l);
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
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->started; i++)
        pthread_join(l->threads[i], NULL);
    free_ring(l);
    pthread_cond_destroy(&l->progress);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l->order);
    free(l->threads);
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
    pthread_mutex_lock(&l->lock);
    for (int i = 0; i < l->ready; i++) { /* what nobody has begun is not begun any more */
        ring_batch *b = batch_of(l, i);
        b->taken = b->count;
    }
    while (l->busy > 0)
        pthread_cond_wait(&l->progress, &l->lock);
    l->head = 0;
    l->ready = 0;
    l->lent = false;
    l->epoch = epoch;
    l->number = number;
    plan_ahead(l);
    pthread_mutex_unlock(&l->lock);
    return PULMO_OK;
}

pulmo_status pulmo_loader_next(pulmo_loader *l, pulmo_batch *out)
{
    double began_s = pulmo_now_s();
    memset(out, 0, sizeof *out);
    if (l->info->count == 0)
        return pulmo_fail(PULMO_DATA, "the data set is empty");
    pthread_mutex_lock(&l->lock);
    if (l->lent) { /* the last batch's place is free again */
        l->head = (l->head + 1) % l->spec.depth;
        l->ready--;
        l->lent = false;
    }
    plan_ahead(l);
    ring_batch *b = &l->ring[l->head];
    while (b->filled < b->count)
        pthread_cond_wait(&l->progress, &l->lock);
    l->lent = true;
    l->waited_s += pulmo_now_s() - began_s;
    pulmo_status status = pulmo_failure_raise(&b->failure);
    pthread_mutex_unlock(&l->lock);
    *out = (pulmo_batch){.epoch = b->epoch,
                         .number = b->number,
                         .global_count = b->global_count,
                         .first_microbatch = b->first_microbatch,
                         .count = b->count,
                         .samples = b->samples,
                         .labels = b->labels,
                         .images = b->images};
    return status;
}

double pulmo_loader_waited_s(const pulmo_loader *l)
{
    return l->waited_s;
}
