/* Features and scores of a fixed split. Under a frozen trunk a split's features never change:
 * each rank computes those of its share once a run and keeps them in an unnamed file, so that
 * memory does not grow with the split. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/file.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "bank_room.h"
#include "images.h"
#include "pulmo/features.h"
#include "pulmo/packed.h"
#include "pulmo/specs.h"

#define CHUNK (4 * IMAGE_CHUNK) /* images scored at once */

struct pulmo_feature_store {
    int file; /* -1 where they are in a pulmo_bank */
    pulmo_bank *bank;
    pulmo_bank_split split;
    uint32_t first, count; /* this rank's samples */
    int views;     /* stored one after the other: all samples' view 0, then their view 1 ... */
    size_t floats; /* of one image */
    float *chunk;  /* (CHUNK, floats) */
    char path[PULMO_TEXT_BYTES];
};

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

/* A file without a name in the run directory: gone with the process, however it ends. */
static pulmo_status open_unnamed(const char *directory, pulmo_feature_store *store)
{
    snprintf(store->path, sizeof store->path, "%s", directory);
    store->file = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (store->file >= 0)
        return PULMO_OK;
    /* Not every file system has O_TMPFILE. */
    snprintf(store->path, sizeof store->path, "%s/.features-XXXXXX", directory);
    store->file = mkostemp(store->path, O_CLOEXEC);
    if (store->file < 0)
        return pulmo_fail(PULMO_IO, "%s: cannot make a temporary file for features: %s", directory,
                          strerror(errno));
    unlink(store->path);
    return PULMO_OK;
}

/* Where image `at` of the store begins in the file, in bytes. */
static off_t offset_of(const pulmo_feature_store *store, uint64_t at)
{
    return (off_t)(at * store->floats * sizeof(float));
}

static size_t chunk_bytes(const pulmo_feature_store *store, uint32_t count)
{
    size_t image_bytes = store->floats * sizeof(float);
    return count * image_bytes;
}

static pulmo_status write_chunk(pulmo_feature_store *store, uint64_t at, uint32_t count)
{
    const size_t bytes = chunk_bytes(store, count);
    const uint64_t offset = (uint64_t)offset_of(store, at);
    if (pulmo_file_write_at(store->file, store->chunk, bytes, offset))
        return PULMO_OK;
    return pulmo_fail(PULMO_IO,
                      "%s: cannot write features: %s; make room or choose another train.run_dir",
                      store->path, strerror(errno));
}

static pulmo_status read_from_bank(const pulmo_feature_store *store, uint64_t at, uint32_t count)
{
    uint32_t view = (uint32_t)(at / store->count);
    uint32_t within = (uint32_t)(at % store->count);
    uint32_t first = store->first + within;
    float *features = store->chunk;
    for (uint32_t i = 0; i < count; i++) {
        PULMO_TRY(bank_read(store->bank, store->split, view, first + i, features));
        features += store->floats;
    }
    return PULMO_OK;
}

static pulmo_status read_chunk(const pulmo_feature_store *store, uint64_t at, uint32_t count)
{
    if (store->bank)
        return read_from_bank(store, at, count);
    char *data = (char *)store->chunk;
    size_t left = chunk_bytes(store, count);
    off_t offset = offset_of(store, at);
    while (left > 0) {
        ssize_t got = pread(store->file, data, left, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return pulmo_fail(PULMO_IO, "%s: cannot read features back: %s", store->path,
                              got < 0 ? strerror(errno) : "the file is too short");
        data += got;
        offset += got;
        left -= (size_t)got;
    }
    return PULMO_OK;
}

/* ---- computing ---- */

/* Features of a chunk of this rank's images in one view. */
static pulmo_status compute_chunk(pulmo_feature_store *store, const pulmo_feature_source *source,
                                  const image_chunk *chunk)
{
    uint64_t before = (uint64_t)chunk->view * store->count;
    uint32_t at = chunk->first - store->first;
    pulmo_backbone_features(source->backbone, (int)chunk->count, chunk->images, store->chunk);
    return write_chunk(store, before + at, chunk->count);
}

/* Each chunk in all its views. */
static pulmo_status compute_local(pulmo_comm *comm, pulmo_feature_store *store,
                                  image_reader *reader, const pulmo_feature_source *source)
{
    const uint32_t views = (uint32_t)store->views;
    const image_span span = {.view = {.averaged = source->views},
                             .views = views,
                             .first = store->first,
                             .count = store->count};
    image_chunk chunk;
    pulmo_progress progress;
    pulmo_progress_begin(&progress, source->label, "img", store->count);
    image_reader_begin(reader, &span);
    PULMO_TRY(image_reader_next(reader, &chunk));
    while (chunk.count > 0) {
        PULMO_TRY(compute_chunk(store, source, &chunk));
        pulmo_watch_beat(comm, source->label);
        const bool in_all_views = chunk.view == views - 1;
        const uint32_t done = chunk.first - store->first + chunk.count;
        if (in_all_views)
            pulmo_progress_update(&progress, done, NULL);
        if (in_all_views && pulmo_interrupt_wanted())
            return pulmo_fail(PULMO_INTERRUPTED,
                              "interrupted; run the same command again to resume");
        PULMO_TRY(image_reader_next(reader, &chunk));
    }
    pulmo_progress_end(&progress);
    return PULMO_OK;
}

static pulmo_status create_local(pulmo_comm *comm, const pulmo_feature_source *source,
                                 pulmo_feature_store *store)
{
    image_reader *reader = NULL;
    PULMO_TRY(image_reader_create(source->dataset, source->backbone, &reader));
    pulmo_status status = open_unnamed(source->directory, store);
    if (status == PULMO_OK)
        status = compute_local(comm, store, reader, source);
    image_reader_destroy(reader);
    return status;
}

/* With this rank's share of a split and no features yet; NULL when out of memory. */
static pulmo_feature_store *new_store(const pulmo_comm *comm, uint32_t samples, int views,
                                      size_t floats)
{
    uint32_t rank = (uint32_t)pulmo_comm_rank(comm);
    uint32_t size = (uint32_t)pulmo_comm_size(comm);
    uint32_t end = pulmo_shard_first(samples, rank + 1, size);
    size_t image_bytes = floats * sizeof(float);
    pulmo_feature_store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->file = -1;
    store->first = pulmo_shard_first(samples, rank, size);
    store->count = end - store->first;
    store->views = views;
    store->floats = floats;
    store->chunk = pulmo_alloc(CHUNK, image_bytes);
    if (store->chunk)
        return store;
    pulmo_feature_store_destroy(store);
    return NULL;
}

pulmo_status pulmo_feature_store_of_bank(pulmo_comm *comm, pulmo_bank *b, pulmo_bank_split split,
                                         uint32_t samples, pulmo_feature_store **out)
{
    int views = (int)pulmo_bank_views(b, split);
    size_t floats = pulmo_bank_floats(b);
    pulmo_feature_store *store = new_store(comm, samples, views, floats);
    pulmo_status status = PULMO_OK;
    if (!store)
        status = pulmo_fail(PULMO_MEMORY, "cannot allocate the feature store");
    status = pulmo_agree(comm, status);
    if (status != PULMO_OK) { /* another rank has no memory */
        pulmo_feature_store_destroy(store);
        return status;
    }
    store->bank = b;
    store->split = split;
    *out = store;
    return PULMO_OK;
}

pulmo_status pulmo_feature_store_create(pulmo_comm *comm, const pulmo_feature_source *source,
                                        pulmo_feature_store **out)
{
    const uint32_t samples = pulmo_dataset_info_of(source->dataset)->count;
    const size_t floats = pulmo_backbone_floats(source->backbone);
    pulmo_feature_store *store = new_store(comm, samples, source->views->views, floats);
    pulmo_status status = PULMO_OK;
    if (store)
        status = create_local(comm, source, store);
    else
        status = pulmo_fail(PULMO_MEMORY, "cannot allocate the feature store");
    status = pulmo_agree(comm, status);
    if (status != PULMO_OK) {
        pulmo_feature_store_destroy(store);
        return status;
    }
    pulmo_debug("%s of %u images computed, %u of them here", source->label, samples, store->count);
    *out = store;
    return PULMO_OK;
}

void pulmo_feature_store_destroy(pulmo_feature_store *store)
{
    if (!store)
        return;
    if (store->file >= 0)
        close(store->file);
    pulmo_free(store->chunk);
    free(store);
}

/* ---- scoring ---- */

/* The fine-tuned convolutions of the chunk's images, as many at once as there is room for. */
static void run_tuned(const pulmo_feature_store *store, const pulmo_scorer *with, uint32_t count,
                      float *above)
{
    const uint32_t most = (uint32_t)with->tuned_images;
    const float *below = store->chunk;
    for (uint32_t i = 0; i < count; i += most) {
        uint32_t part = at_most(count - i, most);
        pulmo_tuned_forward(with->tuned, (int)part, below, above);
        below += part * store->floats;
        above += part * with->head_floats;
    }
}

/* One view's logits of this rank's samples. `above` (CHUNK, the head's features) is used where
 * convolutions were fine-tuned. */
static pulmo_status logits_of_view(const pulmo_feature_store *store, const pulmo_scorer *with,
                                   int view, float *above, int classes, float *out)
{
    const float *features = with->tuned ? above : store->chunk;
    uint64_t before = (uint64_t)view * store->count;
    for (uint32_t at = 0; at < store->count; at += CHUNK) {
        uint32_t left = store->count - at;
        uint32_t count = at_most(left, CHUNK);
        size_t place = (size_t)at * (size_t)classes;
        float *logits = out + place;
        PULMO_TRY(read_chunk(store, before + at, count));
        if (with->tuned)
            run_tuned(store, with, count, above);
        pulmo_head_logits_on(with->head, with->pool, (int)count, features, logits);
    }
    return PULMO_OK;
}

/* The views' mean; `view` is room for one view's. */
static pulmo_status logits_local(const pulmo_feature_store *store, const pulmo_scorer *with,
                                 float *above, int classes, float *view, float *mine)
{
    size_t count = (size_t)store->count * (size_t)classes;
    if (store->views == 1)
        return logits_of_view(store, with, 0, above, classes, mine);
    double *sums = calloc(count + 1, sizeof *sums);
    if (!sums)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the views' logits");
    pulmo_status status = PULMO_OK;
    for (int v = 0; v < store->views && status == PULMO_OK; v++) {
        status = logits_of_view(store, with, v, above, classes, view);
        for (size_t i = 0; i < count; i++)
            sums[i] += (double)view[i];
    }
    for (size_t i = 0; i < count; i++)
        mine[i] = (float)(sums[i] / store->views);
    free(sums);
    return status;
}

pulmo_status pulmo_feature_store_logits(pulmo_comm *comm, const pulmo_feature_store *store,
                                        const pulmo_scorer *with, int classes, float **out)
{
    void *all = NULL;
    size_t all_bytes = 0;
    size_t logits = (size_t)store->count * (size_t)classes;
    size_t above_floats = with->tuned ? CHUNK * with->head_floats : 1;
    float *mine = pulmo_alloc(logits, sizeof *mine);
    float *view = pulmo_alloc(logits, sizeof *view);
    float *above = pulmo_alloc(above_floats, sizeof *above);
    pulmo_status status = PULMO_MEMORY;
    if (mine && view && above)
        status = logits_local(store, with, above, classes, view, mine);
    status = pulmo_agree(comm, status);
    if (status == PULMO_OK)
        status = pulmo_gather_all(comm, mine, logits * sizeof *mine, &all, &all_bytes, NULL);
    pulmo_free(mine);
    pulmo_free(view);
    pulmo_free(above);
    *out = all;
    return status;
}
