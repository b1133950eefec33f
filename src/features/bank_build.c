/* Computing a feature bank's shards: each by one rank on its threads, in rounds, so that no rank is
 * left behind when another fails or is asked to stop. */
#include <string.h>

#include "bank_room.h"
#include "pulmo/features.h"
#include "pulmo/specs.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/packed.h"

typedef struct builder {
    pulmo_bank *b;
    pulmo_image_reader *reader[PULMO_BANK_SPLITS]; /* made when first needed */
    float *features; /* (PULMO_IMAGE_CHUNK, C, h, w) of the backbone */
    float *pooled;   /* (PULMO_IMAGE_CHUNK, floats): the same memory where nothing is pooled */
    pulmo_progress progress;
    uint32_t done; /* images */
} builder;

static size_t backbone_floats(const pulmo_bank *b)
{
    const pulmo_backbone *backbone = b->parts.backbone;
    return (size_t)backbone->channels * (size_t)backbone->height * (size_t)backbone->width;
}

static pulmo_status open_builder(pulmo_bank *b, builder *out)
{
    memset(out, 0, sizeof *out);
    out->b = b;
    out->features = pulmo_alloc(PULMO_IMAGE_CHUNK, backbone_floats(b) * sizeof(float));
    out->pooled =
        b->pooled ? pulmo_alloc(PULMO_IMAGE_CHUNK, b->floats * sizeof(float)) : out->features;
    return out->features && out->pooled ? PULMO_OK : PULMO_MEMORY;
}

static void close_builder(builder *work)
{
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        pulmo_image_reader_destroy(work->reader[s]);
    if (work->pooled != work->features)
        pulmo_free(work->pooled);
    pulmo_free(work->features);
}

static pulmo_status add_chunk(builder *work, const bank_unit *unit, uint32_t first, uint32_t count,
                              bank_writer *writer)
{
    const pulmo_bank *b = work->b;
    const pulmo_image_view view = {.augment = &b->augment,
                                   .averaged =
                                       unit->split == PULMO_BANK_TRAIN ? NULL : &b->averaged,
                                   .seed = b->seed,
                                   .number = unit->view};
    const float *images = NULL;
    PULMO_TRY(pulmo_image_reader_read(work->reader[unit->split], &view, first, count, &images));
    pulmo_backbone_features(b->parts.backbone, (int)count, images, work->features);
    for (uint32_t i = 0; b->pooled && i < count; i++)
        pulmo_head_pool(b->parts.head, work->features + i * backbone_floats(b),
                        work->pooled + i * b->floats);
    PULMO_TRY(bank_writer_add(writer, count, work->pooled));
    work->done += count;
    pulmo_watch_beat(b->parts.comm, "building the feature bank");
    pulmo_progress_update(&work->progress, work->done, NULL);
    return PULMO_OK;
}

/* All ranks' shards go to one disk, and what was written is on it only when the last is synced. */
static void allow_commit(const pulmo_bank *b, uint32_t images)
{
    double bytes =
        (double)images * (double)b->floats * sizeof(float) * pulmo_comm_size(b->parts.comm);
    pulmo_watch_allow(b->parts.comm, "writing a shard of the feature bank",
                      bytes / PULMO_SLOWEST_DISK_BYTES_PER_SECOND);
}

/* A signal ends it between two chunks, without a shard. */
static pulmo_status build_unit(builder *work, const bank_unit *unit)
{
    pulmo_bank *b = work->b;
    const bank_form *form = &b->set[unit->split].form;
    bank_writer *writer = NULL;
    uint32_t first = pulmo_shard_first(form->count, unit->shard, form->shards);
    uint32_t end = pulmo_shard_first(form->count, unit->shard + 1, form->shards);
    if (!work->reader[unit->split])
        PULMO_TRY(pulmo_image_reader_create(b->parts.dataset[unit->split], b->parts.backbone,
                                            &work->reader[unit->split]));
    PULMO_TRY(bank_writer_create(form, (bank_place){unit->view, unit->shard}, &writer));
    pulmo_status status = PULMO_OK;
    for (uint32_t at = first; at < end && status == PULMO_OK && !pulmo_interrupt_wanted();
         at += PULMO_IMAGE_CHUNK)
        status = add_chunk(work, unit, at,
                           end - at < PULMO_IMAGE_CHUNK ? end - at : PULMO_IMAGE_CHUNK, writer);
    if (status == PULMO_OK && !pulmo_interrupt_wanted()) {
        allow_commit(b, end - first);
        return bank_writer_commit(writer);
    }
    bank_writer_abandon(writer);
    return status;
}

static pulmo_status build_rounds(builder *work, const bank_unit *units, uint32_t count)
{
    pulmo_comm *comm = work->b->parts.comm;
    uint32_t rank = (uint32_t)pulmo_comm_rank(comm), size = (uint32_t)pulmo_comm_size(comm);
    for (uint32_t at = 0; at < count; at += size) {
        pulmo_status status = at + rank < count ? build_unit(work, &units[at + rank]) : PULMO_OK;
        PULMO_TRY(pulmo_agree(comm, status));
        if (pulmo_any(comm, pulmo_interrupt_wanted()))
            return pulmo_fail(PULMO_INTERRUPTED,
                              "interrupted while the feature bank was built; about %u of %u "
                              "missing shards are there now; run the same "
                              "command again to go on",
                              at, count);
    }
    return PULMO_OK;
}

static uint32_t images_of(const pulmo_bank *b, const bank_unit *unit)
{
    const bank_form *form = &b->set[unit->split].form;
    return pulmo_shard_first(form->count, unit->shard + 1, form->shards) -
           pulmo_shard_first(form->count, unit->shard, form->shards);
}

pulmo_status bank_build(pulmo_bank *b, const bank_unit *units, uint32_t count)
{
    builder work;
    uint32_t rank = (uint32_t)pulmo_comm_rank(b->parts.comm),
             size = (uint32_t)pulmo_comm_size(b->parts.comm), mine = 0;
    for (uint32_t i = rank; i < count; i += size)
        mine += images_of(b, &units[i]);
    pulmo_status status = pulmo_agree(b->parts.comm, open_builder(b, &work));
    if (status == PULMO_OK) {
        pulmo_progress_begin(&work.progress, "  feature bank", "img", mine);
        status = build_rounds(&work, units, count);
        if (status == PULMO_OK)
            pulmo_progress_end(&work.progress);
    }
    close_builder(&work);
    return status;
}
