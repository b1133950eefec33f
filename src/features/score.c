/* Features and scores of a fixed split. Under a frozen trunk a split's features never change:
 * each rank computes those of its share once a run and keeps them in an unnamed file, so that
 * memory does not grow with the split. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "bank_room.h"
#include "pulmo/features.h"
#include "pulmo/specs.h"

#define CHUNK (4 * PULMO_IMAGE_CHUNK) /* images scored at once */

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

static pulmo_status write_chunk(pulmo_feature_store *store, uint64_t at, uint32_t count)
{
    const char *data = (const char *)store->chunk;
    size_t bytes = (size_t)count * store->floats * sizeof(float), done = 0;
    off_t offset = (off_t)((size_t)at * store->floats * sizeof(float));
    while (done < bytes) {
        ssize_t wrote = pwrite(store->file, data + done, bytes - done, offset + (off_t)done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return pulmo_fail(
                PULMO_IO,
                "%s: cannot write features: %s; make room or choose another train.run_dir",
                store->path, strerror(errno));
        done += (size_t)wrote;
    }
    return PULMO_OK;
}

static pulmo_status read_chunk(const pulmo_feature_store *store, uint64_t at, uint32_t count)
{
    if (store->bank) {
        uint32_t view = (uint32_t)(at / store->count),
                 first = store->first + (uint32_t)(at % store->count);
        for (uint32_t i = 0; i < count; i++)
            PULMO_TRY(pulmo_bank_read(store->bank, store->split, view, first + i,
                                      store->chunk + i * store->floats));
        return PULMO_OK;
    }
    char *data = (char *)store->chunk;
    size_t bytes = (size_t)count * store->floats * sizeof(float), done = 0;
    off_t offset = (off_t)((size_t)at * store->floats * sizeof(float));
    while (done < bytes) {
        ssize_t got = pread(store->file, data + done, bytes - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return pulmo_fail(PULMO_IO, "%s: cannot read features back: %s", store->path,
                              got < 0 ? strerror(errno) : "the file is too short");
        done += (size_t)got;
    }
    return PULMO_OK;
}

/* ---- computing ---- */

/* Each chunk in all its views. */
static pulmo_status compute_local(pulmo_comm *comm, pulmo_feature_store *store,
                                  pulmo_image_reader *reader, const pulmo_feature_source *source)
{
    pulmo_progress progress;
    pulmo_progress_begin(&progress, source->label, "img", store->count);
    for (uint32_t at = 0; at < store->count; at += PULMO_IMAGE_CHUNK) {
        uint32_t count =
            store->count - at < PULMO_IMAGE_CHUNK ? store->count - at : PULMO_IMAGE_CHUNK;
        for (int v = 0; v < store->views; v++) {
            const pulmo_image_view view = {.averaged = source->views, .number = (uint32_t)v};
            const float *images = NULL;
            PULMO_TRY(pulmo_image_reader_read(reader, &view, store->first + at, count, &images));
            pulmo_backbone_features(source->backbone, (int)count, images, store->chunk);
            PULMO_TRY(write_chunk(store, (uint64_t)v * store->count + at, count));
            pulmo_watch_beat(comm, source->label);
        }
        pulmo_progress_update(&progress, at + count, NULL);
        if (pulmo_interrupt_wanted())
            return pulmo_fail(PULMO_INTERRUPTED,
                              "interrupted; run the same command again to go on");
    }
    pulmo_progress_end(&progress);
    return PULMO_OK;
}

static pulmo_status create_local(pulmo_comm *comm, const pulmo_feature_source *source,
                                 pulmo_feature_store *store)
{
    pulmo_image_reader *reader = NULL;
    PULMO_TRY(pulmo_image_reader_create(source->dataset, source->backbone, &reader));
    pulmo_status status = open_unnamed(source->directory, store);
    if (status == PULMO_OK)
        status = compute_local(comm, store, reader, source);
    pulmo_image_reader_destroy(reader);
    return status;
}

/* With this rank's share of a split and no features yet; NULL when out of memory. */
static pulmo_feature_store *new_store(const pulmo_comm *comm, uint32_t samples, int views,
                                      size_t floats)
{
    uint64_t rank = (uint64_t)pulmo_comm_rank(comm), size = (uint64_t)pulmo_comm_size(comm);
    pulmo_feature_store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->file = -1;
    store->first = (uint32_t)(rank * samples / size);
    store->count = (uint32_t)((rank + 1) * samples / size) - store->first;
    store->views = views;
    store->floats = floats;
    store->chunk = pulmo_alloc(CHUNK, floats * sizeof(float));
    if (store->chunk)
        return store;
    pulmo_feature_store_destroy(store);
    return NULL;
}

pulmo_status pulmo_feature_store_of_bank(pulmo_comm *comm, pulmo_bank *b, pulmo_bank_split split,
                                         uint32_t samples, pulmo_feature_store **out)
{
    pulmo_feature_store *store =
        new_store(comm, samples, (int)pulmo_bank_views(b, split), pulmo_bank_floats(b));
    pulmo_status status = pulmo_agree(
        comm, store ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "cannot allocate the feature store"));
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
    const pulmo_backbone *backbone = source->backbone;
    size_t floats = (size_t)backbone->channels * (size_t)backbone->height * (size_t)backbone->width;
    pulmo_feature_store *store = new_store(comm, pulmo_dataset_info_of(source->dataset)->count,
                                           source->views->views, floats);
    pulmo_status status = store ? create_local(comm, source, store)
                                : pulmo_fail(PULMO_MEMORY, "cannot allocate the feature store");
    status = pulmo_agree(comm, status);
    if (status == PULMO_OK)
        pulmo_debug("%s of %u images computed, %u of them here", source->label,
                    pulmo_dataset_info_of(source->dataset)->count, store->count);
    if (status == PULMO_OK)
        *out = store;
    else
        pulmo_feature_store_destroy(store);
    return status;
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

/* One view's logits of this rank's samples. `above` (CHUNK, the head's features) is used where
 * there is a tuned. */
static pulmo_status logits_of_view(const pulmo_feature_store *store, const pulmo_scorer *with,
                                   int view, float *above, int classes, float *out)
{
    for (uint32_t at = 0; at < store->count; at += CHUNK) {
        uint32_t count = store->count - at < CHUNK ? store->count - at : CHUNK;
        PULMO_TRY(read_chunk(store, (uint64_t)view * store->count + at, count));
        if (with->tuned)
            for (uint32_t i = 0; i < count; i += (uint32_t)with->tuned_images) {
                uint32_t part = count - i < (uint32_t)with->tuned_images
                                    ? count - i
                                    : (uint32_t)with->tuned_images;
                pulmo_tuned_forward(with->tuned, (int)part, store->chunk + i * store->floats,
                                    above + i * with->head_floats);
            }
        pulmo_head_logits_on(with->head, with->pool, (int)count, with->tuned ? above : store->chunk,
                             out + (size_t)at * (size_t)classes);
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
    size_t all_bytes = 0, bytes = (size_t)store->count * (size_t)classes * sizeof(float);
    float *mine = pulmo_alloc(bytes ? bytes : 1, 1), *view = pulmo_alloc(bytes ? bytes : 1, 1),
          *above = pulmo_alloc(with->tuned ? CHUNK * with->head_floats : 1, sizeof(float));
    pulmo_status status = mine && view && above
                              ? logits_local(store, with, above, classes, view, mine)
                              : PULMO_MEMORY;
    status = pulmo_agree(comm, status);
    if (status == PULMO_OK)
        status = pulmo_gather_all(comm, mine, bytes, &all, &all_bytes, NULL);
    pulmo_free(mine);
    pulmo_free(view);
    pulmo_free(above);
    *out = all;
    return status;
}
