/* The cues of a data set's images: each rank measures its part of them. */
#include "audit_room.h"

#include "pulmo/memory.h"

#define CHUNK 256 /* images between two beats */

typedef struct measuring {
    pulmo_dataset *dataset;
    const pulmo_dataset_info *info;
    uint32_t first; /* image of the chunk */
    size_t pixel_bytes, room_floats;
    uint8_t *pixels; /* (threads, H, W, C) */
    float *room;     /* (threads, audit_cues_floats) */
    float *cues;     /* (count of this rank, PULMO_CUES), from the chunk's first on */
} measuring;

static pulmo_status measure_one(void *context, int task, int thread)
{
    const measuring *m = context;
    const pulmo_dataset_info *info = m->info;
    uint8_t *pixels = m->pixels + (size_t)thread * m->pixel_bytes;
    float *room = m->room + (size_t)thread * m->room_floats;
    float *cues = m->cues + (size_t)task * PULMO_CUES;
    PULMO_TRY(pulmo_dataset_read(m->dataset, m->first + (uint32_t)task, pixels));
    audit_cues_of(pixels, info->height_px, info->width_px, info->channels, room, cues);
    return PULMO_OK;
}

/* Images [first, end) into cues, which begin with the first. */
static pulmo_status measure_part(pulmo_comm *comm, pulmo_pool *pool, measuring *m, uint32_t first,
                                 uint32_t end)
{
    for (uint32_t at = first; at < end; at += CHUNK) {
        const uint32_t count = end - at < CHUNK ? end - at : CHUNK;
        m->first = at;
        pulmo_watch_beat(comm, "measuring cues of images");
        PULMO_TRY(pulmo_pool_try(pool, (int)count, measure_one, m));
        m->cues += (size_t)count * PULMO_CUES;
    }
    return PULMO_OK;
}

static pulmo_status measure_local(pulmo_comm *comm, pulmo_pool *pool, pulmo_dataset *dataset,
                                  float **part, size_t *bytes)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(dataset);
    const uint64_t rank = (uint64_t)pulmo_comm_rank(comm);
    const uint64_t size = (uint64_t)pulmo_comm_size(comm);
    const uint32_t first = (uint32_t)(rank * info->count / size);
    const uint32_t end = (uint32_t)((rank + 1) * info->count / size);
    const size_t threads = (size_t)pulmo_pool_threads(pool);
    const size_t plane = (size_t)info->height_px * (size_t)info->width_px;
    measuring m = {.dataset = dataset, .info = info};
    m.pixel_bytes = plane * (size_t)info->channels;
    m.room_floats = audit_cues_floats(info->height_px, info->width_px);
    m.pixels = pulmo_alloc(threads, m.pixel_bytes);
    m.room = pulmo_alloc(threads, m.room_floats * sizeof *m.room);
    *bytes = (size_t)(end - first) * PULMO_CUES * sizeof **part;
    *part = pulmo_alloc(*bytes + 1, 1);
    m.cues = *part;
    pulmo_status status = PULMO_MEMORY;
    if (m.pixels && m.room && m.cues)
        status = measure_part(comm, pool, &m, first, end);
    pulmo_free(m.pixels);
    pulmo_free(m.room);
    return status;
}

pulmo_status pulmo_cues_measure(pulmo_comm *comm, pulmo_pool *pool, pulmo_dataset *dataset,
                                float **out)
{
    float *part = NULL;
    void *all = NULL; /* in the order of ranks, which is that of the images */
    size_t bytes = 0, all_bytes = 0;
    *out = NULL;
    if (pulmo_dataset_info_of(dataset)->count == 0)
        return PULMO_OK;
    pulmo_status status = pulmo_agree(comm, measure_local(comm, pool, dataset, &part, &bytes));
    if (status == PULMO_OK)
        status = pulmo_gather_all(comm, part, bytes, &all, &all_bytes, NULL);
    pulmo_free(part);
    *out = all;
    return status;
}
