/* Computing a feature bank's shards: each by one rank on its threads, in rounds, so that no rank is
 * left behind when another fails or is asked to stop. */
#include <string.h>

#include "bank_room.h"
#include "images.h"
#include "pulmo/features.h"
#include "pulmo/specs.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/packed.h"

typedef struct builder {
    pulmo_bank *b;
    image_reader *reader[PULMO_BANK_SPLITS]; /* made when first needed */
    float *features;                         /* (IMAGE_CHUNK, C, h, w) of the backbone */
    float *pooled; /* (IMAGE_CHUNK, floats): the same memory where nothing is pooled */
    pulmo_progress progress;
    uint32_t done; /* images */
} builder;

static pulmo_status open_builder(pulmo_bank *b, builder *out)
{
    size_t floats = pulmo_backbone_floats(b->parts.backbone);
    memset(out, 0, sizeof *out);
    out->b = b;
    size_t image_bytes = floats * sizeof(float);
    size_t pooled_bytes = b->floats * sizeof(float);
    out->features = pulmo_alloc(IMAGE_CHUNK, image_bytes);
    out->pooled = out->features;
    if (b->pooled)
        out->pooled = pulmo_alloc(IMAGE_CHUNK, pooled_bytes);
    return out->features && out->pooled ? PULMO_OK : PULMO_MEMORY;
}

static void close_builder(builder *work)
{
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        image_reader_destroy(work->reader[s]);
    if (work->pooled != work->features)
        pulmo_free(work->pooled);
    pulmo_free(work->features);
}

static void pool_chunk(builder *work, uint32_t count)
{
    const pulmo_bank *b = work->b;
    size_t floats = pulmo_backbone_floats(b->parts.backbone);
    const float *features = work->features;
    float *pooled = work->pooled;
    for (uint32_t i = 0; i < count; i++) {
        pulmo_head_pool(b->parts.head, features, pooled);
        features += floats;
        pooled += b->floats;
    }
}

static pulmo_status add_chunk(builder *work, const image_chunk *chunk, bank_writer *writer)
{
    const pulmo_bank *b = work->b;
    pulmo_backbone_features(b->parts.backbone, (int)chunk->count, chunk->images, work->features);
    if (b->pooled)
        pool_chunk(work, chunk->count);
    PULMO_TRY(bank_writer_add(writer, chunk->count, work->pooled));
    work->done += chunk->count;
    pulmo_watch_beat(b->parts.comm, "building the feature bank");
    pulmo_progress_update(&work->progress, work->done, NULL);
    return PULMO_OK;
}

/* All ranks' shards go to one disk, and what was written is on it only when the last is synced. */
static void allow_commit(const pulmo_bank *b, uint32_t images)
{
    double ranks = pulmo_comm_size(b->parts.comm);
    double bytes = (double)images * (double)b->floats * sizeof(float) * ranks;
    double seconds = bytes / PULMO_SLOWEST_DISK_BYTES_PER_SECOND;
    pulmo_watch_allow(b->parts.comm, "writing a shard of the feature bank", seconds);
}

static pulmo_status open_reader(builder *work, uint32_t split)
{
    const pulmo_bank_parts *parts = &work->b->parts;
    if (work->reader[split])
        return PULMO_OK;
    pulmo_dataset *dataset = parts->dataset[split];
    return image_reader_create(dataset, parts->backbone, &work->reader[split]);
}

/* The next chunk; none after a signal, which is not kept waiting until one more is read. */
static pulmo_status next_chunk(image_reader *reader, image_chunk *out)
{
    *out = (image_chunk){.count = 0};
    return pulmo_interrupt_wanted() ? PULMO_OK : image_reader_next(reader, out);
}

/* A signal ends it between two chunks. */
static pulmo_status add_images(builder *work, const bank_unit *unit, bank_writer *writer)
{
    const pulmo_bank *b = work->b;
    const bank_form *form = &b->set[unit->split].form;
    image_reader *reader = work->reader[unit->split];
    image_span span = {
        .view = {.augment = &b->augment, .seed = b->seed, .number = unit->view},
        .views = 1,
        .first = pulmo_shard_first(form->count, unit->shard, form->shards),
        .count = bank_shard_images(form, unit->shard),
    };
    image_chunk chunk;
    if (unit->split != PULMO_BANK_TRAIN)
        span.view.averaged = &b->averaged;
    image_reader_begin(reader, &span);
    PULMO_TRY(next_chunk(reader, &chunk));
    while (chunk.count > 0 && !pulmo_interrupt_wanted()) {
        PULMO_TRY(add_chunk(work, &chunk, writer));
        PULMO_TRY(next_chunk(reader, &chunk));
    }
    return PULMO_OK;
}

/* Nothing appears where a signal ended it. */
static pulmo_status build_unit(builder *work, const bank_unit *unit)
{
    const bank_form *form = &work->b->set[unit->split].form;
    bank_place place = {unit->view, unit->shard};
    bank_writer *writer = NULL;
    PULMO_TRY(open_reader(work, unit->split));
    PULMO_TRY(bank_writer_create(form, place, &writer));
    pulmo_status status = add_images(work, unit, writer);
    if (status != PULMO_OK || pulmo_interrupt_wanted()) {
        bank_writer_abandon(writer);
        return status;
    }
    uint32_t images = bank_shard_images(form, unit->shard);
    allow_commit(work->b, images);
    return bank_writer_commit(writer);
}

static pulmo_status build_rounds(builder *work, const bank_unit *units, uint32_t count)
{
    pulmo_comm *comm = work->b->parts.comm;
    uint32_t rank = (uint32_t)pulmo_comm_rank(comm);
    uint32_t size = (uint32_t)pulmo_comm_size(comm);
    for (uint32_t at = 0; at < count; at += size) {
        pulmo_status status = PULMO_OK;
        uint32_t own = at + rank;
        if (own < count)
            status = build_unit(work, &units[own]);
        PULMO_TRY(pulmo_agree(comm, status));
        if (pulmo_any(comm, pulmo_interrupt_wanted()))
            return pulmo_fail(PULMO_INTERRUPTED,
                              "interrupted while the feature bank was built; about %u of %u "
                              "missing shards are there now; run the same "
                              "command again to resume",
                              at, count);
    }
    return PULMO_OK;
}

/* Images of this rank's units. */
static uint32_t images_here(const pulmo_bank *b, const bank_unit *units, uint32_t count)
{
    const pulmo_comm *comm = b->parts.comm;
    uint32_t rank = (uint32_t)pulmo_comm_rank(comm);
    uint32_t size = (uint32_t)pulmo_comm_size(comm);
    uint32_t images = 0;
    for (uint32_t i = rank; i < count; i += size) {
        const bank_unit *unit = &units[i];
        const bank_form *form = &b->set[unit->split].form;
        images += bank_shard_images(form, unit->shard);
    }
    return images;
}

pulmo_status bank_build(pulmo_bank *b, const bank_unit *units, uint32_t count)
{
    builder work;
    pulmo_status status = pulmo_agree(b->parts.comm, open_builder(b, &work));
    if (status == PULMO_OK) {
        uint32_t images = images_here(b, units, count);
        pulmo_progress_begin(&work.progress, "  feature bank", "img", images);
        status = build_rounds(&work, units, count);
        if (status == PULMO_OK)
            pulmo_progress_end(&work.progress);
    }
    close_builder(&work);
    return status;
}
