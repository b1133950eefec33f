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

/* images written to a shard at once: the HDF5 library is one thread's at a time */
#define APPENDED 16

/* Of all images of the pack, as bits. */
static unsigned formats_of(const packing *p)
{
    unsigned formats = p->old ? p->old->formats : 0;
    for (int s = 0; s < PULMO_SPLITS; s++)
        for (uint32_t i = 0; i < p->plan.count[s]; i++) {
            uint32_t file = p->plan.order[s][i];
            if (update_split_of(p->old, file) < 0)
                formats |= 1u << p->store.records[file].format;
        }
    return formats;
}

static pulmo_status make_form(packing *p)
{
    int size = (int)p->options.config->pack.size;
    char framed[PULMO_FRAMING_WORDS];
    const pulmo_framing framing = p->form.framing;
    const unsigned formats = formats_of(p);
    pulmo_decode_words(formats, framing.fast, p->decode);
    pulmo_framing_words(&framing, framed);
    snprintf(p->resize, sizeof p->resize, "antialiased bilinear to %d x %d, 8-bit, as Pillow%s",
             size, size, framed);
    p->form = (pulmo_packed_form){.height_px = size,
                                  .width_px = size,
                                  .channels = p->plan.channels,
                                  .classes = p->plan.classes,
                                  .class_names = (const char *const *)p->plan.class_names,
                                  .resize = p->resize,
                                  .decode = p->decode,
                                  .formats = formats,
                                  .framing = framing,
                                  .is_demo = p->list.is_demo};
    return PULMO_OK;
}

static pulmo_status make_sketches(packing *p, int s)
{
    size_t n = p->plan.count[s];
    const uint32_t *order = p->plan.order[s];
    uint8_t *sketches = malloc((n + 1) * PULMO_SKETCH_BYTES);
    if (!sketches)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the %s split", pulmo_split_name(s));
    for (size_t i = 0; i < n; i++) {
        const image_record *record = &p->store.records[order[i]];
        memcpy(sketches + i * PULMO_SKETCH_BYTES, record->sketch, PULMO_SKETCH_BYTES);
    }
    p->split[s].sketches = sketches;
    return PULMO_OK;
}

/* Patients that are certain, ended by NUL; the pointers and their characters in one block. */
static pulmo_status make_sure(packing *p, int s)
{
    size_t n = p->plan.count[s];
    const uint32_t *order = p->plan.order[s];
    size_t bytes = (n + 1) * sizeof(char *);
    for (size_t i = 0; i < n; i++)
        bytes += (size_t)p->list.file[order[i]].sure_bytes + 1;
    char **sure = malloc(bytes);
    if (!sure)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the %s split", pulmo_split_name(s));
    char *at = (char *)(sure + n + 1);
    for (size_t i = 0; i < n; i++) {
        const source_file *file = &p->list.file[order[i]];
        sure[i] = at;
        if (file->sure_bytes > 0)
            at = mempcpy(at, file->sure, (size_t)file->sure_bytes);
        *at++ = '\0';
    }
    p->split[s].sure = (const char *const *)sure;
    return PULMO_OK;
}

static uint32_t images_per_shard(const packing *p)
{
    return (uint32_t)p->options.config->pack.shard_images;
}

/* Shards of an older pack stay; new images behind them are cut evenly. */
static pulmo_status make_first(packing *p, int s)
{
    pulmo_packed_split *split = &p->split[s];
    const old_split *old = p->old ? &p->old->split[s] : NULL;
    uint32_t per_shard = images_per_shard(p);
    if (!old || old->cut.count == 0)
        return PULMO_OK;
    uint32_t added = split->count - old->cut.count;
    uint32_t more = (added + per_shard - 1) / per_shard;
    split->shards = old->cut.shards + more;
    uint32_t *first = malloc(((size_t)split->shards + 1) * sizeof *first);
    if (!first)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u shards", split->shards);
    for (uint32_t k = 0; k < old->cut.shards; k++)
        first[k] = pulmo_cut_first(&old->cut, k);
    uint32_t *first_added = first + old->cut.shards;
    for (uint32_t k = 0; k < more; k++)
        first_added[k] = old->cut.count + pulmo_shard_first(added, k, more);
    first[split->shards] = split->count;
    split->first = first;
    return PULMO_OK;
}

typedef char hex_digest[PULMO_DIGEST_HEX];

/* The columns of a split while they are filled. */
typedef struct split_columns {
    int32_t *labels;   /* (3 count): folds and given splits behind them */
    const char **text; /* (TEXT_COLUMNS, count), and `hex` behind them, to be freed with them */
    hex_digest *hex;   /* (count, 2): of the file, of the pixels */
} split_columns;

#define TEXT_COLUMNS 4

/* Gives the split its columns, of `count` images, still empty. */
static pulmo_status make_columns(pulmo_packed_split *split, split_columns *columns)
{
    size_t n = split->count;
    int32_t *labels = malloc((3 * n + 1) * sizeof *labels);
    const char **text = malloc((TEXT_COLUMNS * n + 1) * sizeof *text);
    hex_digest *hex = malloc((2 * n + 1) * sizeof *hex);
    split->labels = labels;
    split->paths = text;
    if (!labels || !text || !hex) {
        free(hex);
        if (text)
            text[TEXT_COLUMNS * n] = NULL;
        return pulmo_fail(PULMO_MEMORY, "out of memory for the %s split", split->name);
    }
    text[TEXT_COLUMNS * n] = (const char *)hex;
    split->groups = text + n;
    split->digests = text + 2 * n;
    split->pixel_digests = text + 3 * n;
    *columns = (split_columns){labels, text, hex};
    return PULMO_OK;
}

/* Fills the columns, in packed order. */
static void fill_columns(const packing *p, int s, bool folds, const split_columns *columns)
{
    size_t n = p->split[s].count;
    int32_t *labels = columns->labels;
    const char **text = columns->text;
    for (size_t i = 0; i < n; i++) {
        uint32_t f = p->plan.order[s][i];
        const source_file *file = &p->list.file[f];
        const image_record *record = &p->store.records[f];
        char *digest = columns->hex[2 * i];
        char *pixel_digest = columns->hex[2 * i + 1];
        pulmo_digest_hex(&record->digest, digest);
        pulmo_digest_hex(&record->pixel_digest, pixel_digest);
        labels[i] = p->plan.label[f];
        if (folds)
            labels[n + i] = p->plan.fold[f];
        labels[2 * n + i] = file->split;
        text[i] = file->path;
        text[n + i] = file->group;
        text[2 * n + i] = digest;
        text[3 * n + i] = pixel_digest;
    }
}

static pulmo_status make_split(packing *p, int s)
{
    uint32_t n = p->plan.count[s];
    uint32_t per_shard = images_per_shard(p);
    bool folds = s == PULMO_SPLIT_TRAIN && p->plan.folds > 0;
    split_columns columns = {0};
    pulmo_packed_split *split = &p->split[s];
    *split = (pulmo_packed_split){.name = pulmo_split_name(s),
                                  .count = n,
                                  .shards = n ? (n + per_shard - 1) / per_shard : 1,
                                  .patients = p->plan.patients[s],
                                  .folds = p->plan.folds};
    PULMO_TRY(make_columns(split, &columns));
    if (folds)
        split->fold = columns.labels + n;
    if (p->list.labels)
        split->given = columns.labels + 2 * n;
    fill_columns(p, s, folds, &columns);
    PULMO_TRY(make_sketches(p, s));
    PULMO_TRY(make_sure(p, s));
    PULMO_TRY(make_first(p, s));
    return tabled_columns(&p->list, p->plan.order[s], split);
}

/* Frees what a split owns, though it shows it as constant. */
static void free_owned(const void *owned)
{
    free((void *)(uintptr_t)owned);
}

static void free_split(pulmo_packed_split *split)
{
    size_t n = split->count;
    tabled_columns_free(split);
    if (split->labels && split->paths)
        free_owned(split->paths[TEXT_COLUMNS * n]);
    free_owned(split->labels);
    free_owned(split->sketches);
    free_owned(split->sure);
    free_owned(split->first);
    free_owned(split->paths);
}

/* Samples of an image. */
static size_t image_bytes(const pulmo_packed_form *form)
{
    size_t pixels = (size_t)form->height_px * (size_t)form->width_px;
    return pixels * (size_t)form->channels;
}

static bool is_there(const packing *p, int s, uint32_t shard)
{
    uint32_t shards = p->split[s].shards;
    char *path = pulmo_shard_path(p->place.out, pulmo_split_name(s), shard, shards);
    bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

/* The shard's images, APPENDED at a time. */
static pulmo_status append_images(const packing *p, part_store *store, int s, uint32_t shard,
                                  pulmo_shard_writer *writer, uint8_t *pixels)
{
    const pulmo_packed_split *split = &p->split[s];
    const uint32_t *order = p->plan.order[s];
    int channels = p->form.channels;
    size_t bytes = image_bytes(&p->form);
    uint32_t end = pulmo_packed_first(split, shard + 1);
    uint32_t gathered = 0;
    for (uint32_t i = pulmo_packed_first(split, shard); i < end; i++) {
        uint8_t *to = pixels + gathered * bytes;
        PULMO_TRY(parts_read(store, order[i], channels, to));
        gathered++;
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
    bool packed = p->old && shard < p->old->split[s].cut.shards;
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

/* A split without images has none. */
static uint32_t shards_of(const packing *p, int s)
{
    const pulmo_packed_split *split = &p->split[s];
    return split->count > 0 ? split->shards : 0;
}

/* The shard that is number `turn` over all splits. */
static pulmo_status write_turn(const packing *p, part_store *store, uint32_t turn)
{
    uint8_t *pixels =
        pulmo_alloc(APPENDED * 3, (size_t)p->form.height_px * (size_t)p->form.width_px);
    if (!pixels)
        return PULMO_MEMORY;
    int s = 0;
    while (turn >= shards_of(p, s)) {
        turn -= shards_of(p, s);
        s++;
    }
    pulmo_status status = write_shard(p, store, s, turn, pixels);
    pulmo_free(pixels);
    return status;
}

static pulmo_status shard_task(void *context, int task, int thread)
{
    const shard_work *w = context;
    part_store store = {0};
    (void)thread;
    PULMO_TRY(parts_share(&w->p->store, &store));
    uint32_t turn = (uint32_t)(task * w->size + w->rank);
    pulmo_status status = write_turn(w->p, &store, turn);
    parts_unshare(&store);
    return status;
}

pulmo_status packing_write_shards(packing *p)
{
    int rank = pulmo_comm_rank(p->comm);
    int size = pulmo_comm_size(p->comm);
    shard_work w = {.p = p, .rank = rank, .size = size};
    uint32_t shards = 0;
    pulmo_pool *pool = NULL;
    for (int s = 0; s < PULMO_SPLITS; s++)
        shards += shards_of(p, s);
    uint32_t ranks_from_here = (uint32_t)(size - rank);
    uint32_t mine = (shards + ranks_from_here - 1) / (uint32_t)size;
    PULMO_TRY(pulmo_pool_create(p->options.threads, &pool));
    pulmo_status status = pulmo_pool_try(pool, (int)mine, shard_task, &w);
    pulmo_pool_destroy(pool);
    return status;
}

pulmo_status packing_make_splits(packing *p)
{
    PULMO_TRY(packing_choose_framing(p));
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
