/* Splits as columns, and their shards, written by all ranks and threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "packing.h"
#include "tabled.h"

#include "pulmo/interrupt.h"
#include "pulmo/memory.h"
#include "pulmo/pool.h"

#define APPENDED                                                                                   \
    16 /* images written to a shard at once: the HDF5 library is one thread's at a time */

static pulmo_status make_form(packing *p)
{
    int size = (int)p->options.config->pack.size;
    bool fast = p->options.config->pack.decode == PULMO_DECODE_FAST;
    snprintf(p->resize, sizeof p->resize, "antialiased bilinear to %d x %d, 8-bit, as Pillow", size,
             size);
    p->form = (pulmo_packed_form){.height_px = size,
                                  .width_px = size,
                                  .channels = p->plan.channels,
                                  .classes = p->plan.classes,
                                  .class_names = (const char *const *)p->plan.class_names,
                                  .resize = p->resize,
                                  .decode = fast ? "libjpeg, scaled integer DCT"
                                                 : "libjpeg, accurate integer DCT",
                                  .is_demo = p->list.is_demo};
    return PULMO_OK;
}

static pulmo_status make_sketches(packing *p, int s)
{
    uint32_t n = p->plan.count[s];
    uint8_t *sketches = malloc(((size_t)n + 1) * SKETCH);
    if (!sketches)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the %s split", pulmo_split_name(s));
    for (uint32_t i = 0; i < n; i++)
        memcpy(sketches + (size_t)i * SKETCH, p->store.records[p->plan.order[s][i]].sketch, SKETCH);
    p->split[s].sketches = sketches;
    return PULMO_OK;
}

/* Shards of an older pack stay; new images behind them are cut evenly. */
static pulmo_status make_first(packing *p, int s)
{
    pulmo_packed_split *split = &p->split[s];
    const old_split *old = p->old ? &p->old->split[s] : NULL;
    uint32_t per_shard = (uint32_t)p->options.config->pack.shard_images;
    if (!old || old->count == 0)
        return PULMO_OK;
    uint32_t added = split->count - old->count;
    uint32_t more = (added + per_shard - 1) / per_shard;
    split->shards = old->shards + more;
    uint32_t *first = malloc(((size_t)split->shards + 1) * sizeof *first);
    if (!first)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u shards", split->shards);
    memcpy(first, old->first, old->shards * sizeof *first);
    for (uint32_t k = 0; k < more; k++)
        first[old->shards + k] = old->count + pulmo_shard_first(added, k, more);
    first[split->shards] = split->count;
    split->first = first;
    return PULMO_OK;
}

/* The columns of a split, in packed order; all in one block that is freed with it. */
static pulmo_status make_split(packing *p, int s)
{
    uint32_t n = p->plan.count[s], per_shard = (uint32_t)p->options.config->pack.shard_images;
    int32_t *labels = malloc((2 * (size_t)n + 1) * sizeof *labels); /* and folds behind them */
    bool folds = s == PULMO_SPLIT_TRAIN && p->plan.folds > 0;
    const char **columns = malloc((4 * (size_t)n + 1) * sizeof *columns);
    char(*hex)[PULMO_DIGEST_HEX] = malloc((2 * (size_t)n + 1) * sizeof *hex);
    p->split[s] = (pulmo_packed_split){.name = pulmo_split_name(s),
                                       .count = n,
                                       .shards = n ? (n + per_shard - 1) / per_shard : 1,
                                       .patients = p->plan.patients[s],
                                       .folds = p->plan.folds,
                                       .fold = labels && folds ? labels + n : NULL,
                                       .labels = labels,
                                       .paths = columns,
                                       .groups = columns + n,
                                       .digests = columns + 2 * (size_t)n,
                                       .pixel_digests = columns + 3 * (size_t)n};
    if (!labels || !columns || !hex) {
        free(hex);
        if (columns)
            columns[4 * (size_t)n] = NULL;
        return pulmo_fail(PULMO_MEMORY, "out of memory for the %s split", pulmo_split_name(s));
    }
    columns[4 * (size_t)n] = (const char *)hex; /* kept to be freed */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t f = p->plan.order[s][i];
        pulmo_digest_hex(&p->store.records[f].digest, hex[2 * i]);
        pulmo_digest_hex(&p->store.records[f].pixel_digest, hex[2 * i + 1]);
        labels[i] = p->plan.label[f];
        if (folds)
            labels[n + i] = p->plan.fold[f];
        columns[i] = p->list.file[f].path;
        columns[n + i] = p->list.file[f].group;
        columns[2 * (size_t)n + i] = hex[2 * i];
        columns[3 * (size_t)n + i] = hex[2 * i + 1];
    }
    PULMO_TRY(make_sketches(p, s));
    PULMO_TRY(make_first(p, s));
    return tabled_columns(&p->list, p->plan.order[s], &p->split[s]);
}

static void free_split(pulmo_packed_split *split)
{
    tabled_columns_free(split);
    if (split->labels && split->paths)
        free((void *)(uintptr_t)split->paths[4 * (size_t)split->count]);
    free((void *)(uintptr_t)split->labels);
    free((void *)(uintptr_t)split->sketches);
    free((void *)(uintptr_t)split->first);
    free((void *)(uintptr_t)split->paths);
}

static bool is_there(const packing *p, int s, uint32_t shard)
{
    char *path = pulmo_shard_path(p->place.out, pulmo_split_name(s), shard, p->split[s].shards);
    bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

/* The shard's images, APPENDED at a time. */
static pulmo_status append_images(const packing *p, part_store *store, int s, uint32_t shard,
                                  pulmo_shard_writer *writer, uint8_t *pixels)
{
    const pulmo_packed_split *split = &p->split[s];
    size_t bytes = (size_t)p->form.height_px * (size_t)p->form.width_px * (size_t)p->form.channels;
    uint32_t end = pulmo_packed_first(split, shard + 1), gathered = 0;
    for (uint32_t i = pulmo_packed_first(split, shard); i < end; i++) {
        PULMO_TRY(
            parts_read(store, p->plan.order[s][i], p->form.channels, pixels + gathered++ * bytes));
        if (gathered < APPENDED && i + 1 < end)
            continue;
        PULMO_TRY(pulmo_shard_append(writer, gathered, pixels));
        gathered = 0;
    }
    return PULMO_OK;
}

static pulmo_status write_shard(const packing *p, part_store *store, int s, uint32_t shard,
                                uint8_t *pixels)
{
    pulmo_shard_writer *writer = NULL;
    bool packed = p->old && shard < p->old->split[s].shards;
    if (packed || is_there(p, s, shard))
        return PULMO_OK;
    if (pulmo_interrupt_wanted())
        return pulmo_fail(
            PULMO_INTERRUPTED,
            "interrupted; finished shards are kept in %s: run the same command again to resume",
            p->place.work);
    PULMO_TRY(pulmo_shard_create(p->place.out, &p->form, &p->split[s], shard, &writer));
    pulmo_status status = append_images(p, store, s, shard, writer, pixels);
    if (status == PULMO_OK)
        return pulmo_shard_commit(writer);
    pulmo_shard_abandon(writer);
    return status;
}

/* Shards of one rank, shared out among its threads. */
typedef struct shard_work {
    const packing *p;
    int rank, size;
} shard_work;

/* The shard that is number `turn` over all splits. */
static pulmo_status write_turn(const packing *p, part_store *store, uint32_t turn)
{
    uint8_t *pixels =
        pulmo_alloc(APPENDED * 3, (size_t)p->form.height_px * (size_t)p->form.width_px);
    pulmo_status status = pixels ? PULMO_OK : PULMO_MEMORY;
    int s = 0;
    while (p->split[s].count == 0 || turn >= p->split[s].shards)
        turn -= p->split[s].count ? p->split[s].shards : 0, s++;
    if (status == PULMO_OK)
        status = write_shard(p, store, s, turn, pixels);
    pulmo_free(pixels);
    return status;
}

static pulmo_status shard_task(void *context, int task, int thread)
{
    const shard_work *w = context;
    part_store store = {0};
    (void)thread;
    PULMO_TRY(parts_share(&w->p->store, &store));
    pulmo_status status = write_turn(w->p, &store, (uint32_t)(task * w->size + w->rank));
    parts_unshare(&store);
    return status;
}

pulmo_status packing_write_shards(packing *p)
{
    shard_work w = {.p = p, .rank = pulmo_comm_rank(p->comm), .size = pulmo_comm_size(p->comm)};
    uint32_t shards = 0;
    pulmo_pool *pool = NULL;
    for (int s = 0; s < PULMO_SPLITS; s++)
        shards += p->split[s].count ? p->split[s].shards : 0;
    uint32_t mine = (shards + (uint32_t)(w.size - w.rank) - 1) / (uint32_t)w.size;
    PULMO_TRY(pulmo_pool_create(p->options.threads, &pool));
    pulmo_status status = pulmo_pool_try(pool, (int)mine, shard_task, &w);
    pulmo_pool_destroy(pool);
    return status;
}

pulmo_status packing_make_splits(packing *p)
{
    PULMO_TRY(make_form(p));
    for (int s = 0; s < PULMO_SPLITS; s++)
        PULMO_TRY(make_split(p, s));
    return PULMO_OK;
}

void packing_free_splits(packing *p)
{
    for (int s = 0; s < PULMO_SPLITS; s++)
        free_split(&p->split[s]);
}
