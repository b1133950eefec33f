/* The feature bank: what of it is there, what is missing, and reading. */
#include "bank_room.h"
#include "pulmo/features.h"
#include "pulmo/specs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/packed.h"
#include "pulmo/text.h"

#define MB (1024.0 * 1024.0)

/* ---- what there is ---- */

static bool pools_first(const pulmo_config *config, const pulmo_backbone *backbone)
{
    return backbone->tuned.layers == 0 && config->model.pool != PULMO_POOL_FLATTEN;
}

pulmo_head_spec pulmo_bank_fed(const pulmo_config *config, const pulmo_backbone *backbone,
                               const pulmo_head_spec *head)
{
    pulmo_head_spec fed = *head;
    if (!pools_first(config, backbone))
        return fed;
    fed.channels = pulmo_head_inputs(head);
    fed.height = 1;
    fed.width = 1;
    fed.pool = PULMO_POOL_FLATTEN;
    return fed;
}

static pulmo_status create_local(pulmo_bank *b)
{
    const pulmo_config *config = b->parts.config;
    const pulmo_backbone *backbone = b->parts.backbone;
    if (!backbone->trunk)
        return pulmo_fail(PULMO_CONFIG,
                          "train.features: bank keeps the features of frozen convolutions, and "
                          "with model.trainable: all "
                          "there are none; freeze a block or use train.features: fresh");
    int64_t seed = config->bank.seed < 0 ? config->train.seed : config->bank.seed;
    b->seed = (uint64_t)seed;
    b->pooled = pools_first(config, backbone);
    if (b->pooled)
        b->floats = (size_t)pulmo_head_inputs(b->parts.head);
    else
        b->floats = pulmo_backbone_floats(backbone);
    pulmo_augment_from(config, &b->augment);
    pulmo_views_from(config, &b->averaged);
    PULMO_TRY(pulmo_augment_spec_check(&b->augment));
    return bank_describe(b);
}

/* True if the shard is there and fits its key. One that does not is reported and computed anew. */
static bool is_there(const bank_form *form, bank_place place)
{
    bank_shard *shard = NULL;
    struct stat about;
    char *path = bank_shard_path(form, place);
    bool found = path && stat(path, &about) == 0;
    if (found && bank_shard_open(form, place, &shard) != PULMO_OK) {
        pulmo_warn("%s; it is computed anew", pulmo_error());
        found = false;
    }
    pulmo_error_clear();
    bank_shard_close(shard);
    free(path);
    return found;
}

/* Shards of a split that has images, over all views. */
static uint32_t shards_of(const struct bank_set *set)
{
    return set->form.count > 0 ? set->views * set->form.shards : 0;
}

/* Appends what is missing of a split; returns how many units there are then. */
static uint32_t list_missing_of(const pulmo_bank *b, uint32_t split, bank_unit *units,
                                uint32_t missing)
{
    const struct bank_set *set = &b->set[split];
    uint32_t shards = set->form.count > 0 ? set->form.shards : 0;
    for (uint32_t view = 0; view < set->views; view++) {
        for (uint32_t shard = 0; shard < shards; shard++) {
            if (!is_there(&set->form, (bank_place){view, shard}))
                units[missing++] = (bank_unit){split, view, shard};
        }
    }
    return missing;
}

/* Rank 0: lists what is missing; `units` has room for all. */
static uint32_t list_missing(const pulmo_bank *b, bank_unit *units)
{
    uint32_t missing = 0;
    for (uint32_t s = 0; s < PULMO_BANK_SPLITS; s++)
        missing = list_missing_of(b, s, units, missing);
    return missing;
}

/* Bytes of all these shards: features, a checksum and a label per image, and HDF5's own. */
static uint64_t bytes_of(const pulmo_bank *b, const bank_unit *units, uint32_t count)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const bank_form *form = &b->set[units[i].split].form;
        uint32_t images = bank_shard_images(form, units[i].shard);
        size_t value_bytes = form->half ? 2 : 4;
        bytes += images * (b->floats * value_bytes + 16) + 12288;
    }
    return bytes;
}

/* Reports what is to be done, and refuses what the disk has no room for. Rank 0. */
static pulmo_status check_room(const pulmo_bank *b, const bank_unit *units, uint32_t missing,
                               uint32_t all)
{
    const char *directory = b->set[PULMO_BANK_TRAIN].form.directory;
    uint32_t views = b->set[PULMO_BANK_TRAIN].views;
    const char *plural = pulmo_plural(views);
    struct statvfs disk;
    if (missing == 0) {
        pulmo_info("feature bank: all there, %u view%s in %s", views, plural, directory);
        return PULMO_OK;
    }
    if (statvfs(directory, &disk) != 0)
        return pulmo_fail(PULMO_IO, "%s: %s", directory, strerror(errno));
    double need_mb = (double)bytes_of(b, units, missing) / MB;
    double free_mb = (double)disk.f_bavail * (double)disk.f_frsize / MB;
    pulmo_info("feature bank: %u of %u shards to compute for %u view%s in %s; needs %.1f MB, "
               "%.1f GB free",
               missing, all, views, plural, directory, need_mb, free_mb / 1024.0);
    if (need_mb < free_mb)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO,
                      "%s: the feature bank needs %.1f MB and %.1f MB are free; make room, name "
                      "another place with bank.path, or use fewer "
                      "bank.views, bank.precision: half or model.pool: avg",
                      directory, need_mb, free_mb);
}

/* The directories of all splits that have images, without what killed processes left there. */
static pulmo_status prepare_directories(const pulmo_bank *b)
{
    for (int s = 0; s < PULMO_BANK_SPLITS; s++) {
        const bank_form *form = &b->set[s].form;
        if (form->count == 0)
            continue;
        if (pulmo_directory_make(form->directory) != PULMO_OK)
            return pulmo_fail_in(PULMO_IO,
                                 "the feature bank has no place (bank.path names another)");
        pulmo_file_remove_abandoned(form->directory, PULMO_ABANDONED_S);
    }
    return PULMO_OK;
}

static pulmo_status plan_local(const pulmo_bank *b, bank_unit *units, uint32_t all,
                               uint32_t *missing)
{
    PULMO_TRY(prepare_directories(b));
    *missing = list_missing(b, units);
    return check_room(b, units, *missing, all);
}

/* Rank 0 finds what is missing; all ranks learn it, and compute it. `units` has room for all.
 * Collective. */
static pulmo_status complete_units(pulmo_bank *b, bank_unit *units, uint32_t all)
{
    pulmo_comm *comm = b->parts.comm;
    pulmo_status status = PULMO_OK;
    uint32_t missing = 0;
    if (pulmo_comm_rank(comm) == 0)
        status = plan_local(b, units, all, &missing);
    PULMO_TRY(pulmo_agree(comm, status));
    PULMO_TRY(pulmo_bcast(comm, &missing, sizeof missing, 0));
    if (missing == 0)
        return PULMO_OK;
    PULMO_TRY(pulmo_bcast(comm, units, missing * sizeof *units, 0));
    return bank_build(b, units, missing);
}

/* Computes what is missing. Collective. */
static pulmo_status complete(pulmo_bank *b)
{
    uint32_t all = 0;
    pulmo_status status = PULMO_OK;
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        all += shards_of(&b->set[s]);
    bank_unit *units = pulmo_calloc_agreed(b->parts.comm, (all + 1) * sizeof *units,
                                           "out of memory for the bank's plan", &status);
    if (!units)
        return status;
    status = complete_units(b, units, all);
    free(units);
    return status;
}

pulmo_status pulmo_bank_open(const pulmo_bank_parts *parts, pulmo_bank **out)
{
    pulmo_status status = PULMO_OK;
    pulmo_bank *b =
        pulmo_calloc_agreed(parts->comm, sizeof *b, "cannot allocate the bank", &status);
    if (!b)
        return status;
    b->parts = *parts;
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        pthread_rwlock_init(&b->set[s].lock, NULL);
    status = pulmo_agree(parts->comm, create_local(b));
    for (int s = 0; s < PULMO_BANK_SPLITS && status == PULMO_OK; s++)
        status = pulmo_same(parts->comm, "the key of the feature bank", b->set[s].form.key);
    if (status == PULMO_OK)
        status = complete(b);
    if (status == PULMO_OK)
        *out = b;
    else
        pulmo_bank_close(b);
    return status;
}

/* ---- reading ---- */

static void close_view(struct bank_set *set, struct bank_view *view)
{
    for (uint32_t i = 0; view->shard && i < set->form.shards; i++)
        bank_shard_close(view->shard[i]);
    free(view->shard);
    view->shard = NULL;
}

void pulmo_bank_close(pulmo_bank *b)
{
    if (!b)
        return;
    for (int s = 0; s < PULMO_BANK_SPLITS; s++) {
        for (int i = 0; i < 2; i++)
            close_view(&b->set[s], &b->set[s].open[i]);
        pthread_rwlock_destroy(&b->set[s].lock);
        free(b->set[s].form.directory);
        free(b->set[s].form.text);
    }
    free(b);
}

size_t pulmo_bank_floats(const pulmo_bank *b)
{
    return b->floats;
}
uint32_t pulmo_bank_views(const pulmo_bank *b, pulmo_bank_split split)
{
    return b->set[split].views;
}
const char *pulmo_bank_key(const pulmo_bank *b, pulmo_bank_split split)
{
    return b->set[split].form.key;
}

/* The place of a view among those that are open; NULL where it is not open. */
static struct bank_view *find_view(struct bank_set *set, uint32_t number)
{
    for (int i = 0; i < 2; i++) {
        struct bank_view *view = &set->open[i];
        if (view->shard && view->number == number)
            return view;
    }
    return NULL;
}

/* The place that one more view takes. Epochs take views in turn: the lower number's place is free
 * again two views on. */
static struct bank_view *free_place(struct bank_set *set)
{
    struct bank_view *first = &set->open[0], *second = &set->open[1];
    if (!first->shard)
        return first;
    if (!second->shard || second->number < first->number)
        return second;
    return first;
}

static bank_shard *find_shard(struct bank_set *set, bank_place place)
{
    struct bank_view *view = find_view(set, place.view);
    return view ? view->shard[place.shard] : NULL;
}

/* With the lock held for writing. */
static pulmo_status open_shard(struct bank_set *set, bank_place place)
{
    struct bank_view *view = find_view(set, place.view);
    if (!view) {
        view = free_place(set);
        close_view(set, view);
        view->shard = calloc(set->form.shards, sizeof(bank_shard *));
        if (!view->shard)
            return pulmo_fail(PULMO_MEMORY, "out of memory for the bank");
        view->number = place.view;
    }
    if (view->shard[place.shard])
        return PULMO_OK; /* another thread was faster */
    pulmo_status status = bank_shard_open(&set->form, place, &view->shard[place.shard]);
    if (status == PULMO_OK)
        return PULMO_OK;
    return pulmo_fail_in(status,
                         "a shard of the feature bank that was there is not any more; run again");
}

static uint32_t shard_of_sample(const bank_form *form, uint32_t sample)
{
    uint32_t shard = (uint32_t)((uint64_t)sample * form->shards / form->count);
    while (sample >= pulmo_shard_first(form->count, shard + 1, form->shards))
        shard++;
    return shard;
}

pulmo_status bank_read(pulmo_bank *b, pulmo_bank_split split, uint32_t view, uint32_t sample,
                       float *out)
{
    struct bank_set *set = &b->set[split];
    bank_place place = {view, shard_of_sample(&set->form, sample)};
    pulmo_status status = PULMO_OK;
    for (;;) {
        pthread_rwlock_rdlock(&set->lock);
        const bank_shard *shard = find_shard(set, place);
        if (shard)
            status = bank_shard_read(shard, sample, out);
        pthread_rwlock_unlock(&set->lock);
        if (shard)
            return status;
        pthread_rwlock_wrlock(&set->lock);
        status = open_shard(set, place);
        pthread_rwlock_unlock(&set->lock);
        if (status != PULMO_OK)
            return status;
    }
}

pulmo_status pulmo_bank_fill(void *bank, uint32_t epoch, uint32_t sample, float *out)
{
    uint32_t views = pulmo_bank_views(bank, PULMO_BANK_TRAIN);
    return bank_read(bank, PULMO_BANK_TRAIN, epoch % views, sample, out);
}
