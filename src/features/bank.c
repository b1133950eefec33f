/* The feature bank: what a split's features are keyed by, what of them is there, and reading. */
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
#include "pulmo/rng.h"
#include "pulmo/split.h"

#define MB (1024.0 * 1024.0)
#define ABANDONED_S                                                                                \
    600 /* a shard that is being written grows every few seconds; what a killed process left does  \
           not */

/* ---- keys ---- */

/* The digest of a known image's features: two programs, tiers or weights that give others do not
 * share a bank. */
static pulmo_status probe(const pulmo_bank *b, char hex[PULMO_DIGEST_HEX])
{
    const pulmo_backbone *backbone = b->parts.backbone;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(b->parts.dataset[PULMO_BANK_TRAIN]);
    size_t pixels = 3 * (size_t)info->height_px * (size_t)info->width_px;
    size_t floats = (size_t)backbone->channels * (size_t)backbone->height * (size_t)backbone->width;
    float *image = pulmo_alloc(pixels, sizeof *image),
          *features = pulmo_alloc(floats, sizeof *features);
    pulmo_status status = image && features ? PULMO_OK : PULMO_MEMORY;
    if (status == PULMO_OK) {
        pulmo_rng rng;
        pulmo_rng_at(&rng, 1, PULMO_RNG_TEST, 0, 0);
        for (size_t i = 0; i < pixels; i++)
            image[i] = pulmo_rng_uniform(&rng) * 4 - 2;
        pulmo_backbone_features(backbone, 1, image, features);
        pulmo_digest digest = pulmo_digest_of(features, floats * sizeof *features);
        pulmo_digest_hex(&digest, hex);
    }
    pulmo_free(image);
    pulmo_free(features);
    return status;
}

static char *made_of(const pulmo_bank *b, pulmo_bank_split split, const char *probed)
{
    const pulmo_backbone *backbone = b->parts.backbone;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(b->parts.dataset[split]);
    char weights[PULMO_DIGEST_HEX], *views = NULL, *text = NULL;
    pulmo_digest_hex(&backbone->weights_digest, weights);
    if (split == PULMO_BANK_TRAIN || b->averaged.views > 1) {
        char *augment = pulmo_config_section_lines(b->parts.config, "augment");
        if (augment && split == PULMO_BANK_TRAIN)
            views = pulmo_format("seed: %llu\n%s", (unsigned long long)b->seed, augment);
        if (augment && split != PULMO_BANK_TRAIN)
            views = pulmo_format("views to average\n%s", augment);
        free(augment);
    } else {
        views = pulmo_strdup("");
    }
    int frozen = pulmo_frozen_blocks_from(b->parts.config);
    if (views)
        text = pulmo_format(
            "data: %s\nweights: %s\npreprocessing: %s, mean %.9g %.9g %.9g, std %.9g %.9g "
            "%.9g\nfrozen blocks: %d\n"
            "pooling: %s\nisa: %s\nfeatures of a known image: %s\nprecision: %s\n%s",
            info->digest_hex, weights, pulmo_preprocessing_name(backbone->preprocessing),
            (double)backbone->mean[0], (double)backbone->mean[1], (double)backbone->mean[2],
            (double)backbone->std[0], (double)backbone->std[1], (double)backbone->std[2],
            frozen == PULMO_FROZEN_ALL ? 5 : frozen,
            pulmo_pooling_name(b->pooled ? b->parts.head->pool : PULMO_POOL_FLATTEN),
            pulmo_isa_name(backbone->isa), probed, b->set[split].form.half ? "half" : "float",
            views);
    free(views);
    return text;
}

/* ---- what there is ---- */

/* Files of a view: small enough to go on from when interrupted, few enough to be open all at once.
 */
static uint32_t shards_for(uint32_t count)
{
    uint32_t shards = count / 256, most = (count + 7) / 8;
    if (shards < 32)
        shards = 32;
    if (shards > 128)
        shards = 128;
    return shards < most ? shards : most;
}

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
    fed.height = fed.width = 1;
    fed.pool = PULMO_POOL_FLATTEN;
    return fed;
}

static pulmo_status describe_set(pulmo_bank *b, pulmo_bank_split split, const char *root,
                                 const char *probed)
{
    struct bank_set *set = &b->set[split];
    const pulmo_config *config = b->parts.config;
    const pulmo_backbone *backbone = b->parts.backbone;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(b->parts.dataset[split]);
    bank_form *form = &set->form;
    form->split = pulmo_split_name((int)split);
    form->half = config->bank.precision == PULMO_PRECISION_HALF;
    form->channels = b->pooled ? pulmo_head_inputs(b->parts.head) : backbone->channels;
    form->height = b->pooled ? 1 : backbone->height;
    form->width = b->pooled ? 1 : backbone->width;
    form->count = info->count;
    form->labels = info->labels;
    form->shards = shards_for(info->count);
    int64_t views =
        config->bank.views < config->train.epochs ? config->bank.views : config->train.epochs;
    set->views = split == PULMO_BANK_TRAIN ? (uint32_t)views : (uint32_t)b->averaged.views;
    form->text = made_of(b, split, probed);
    if (!form->text)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the bank");
    pulmo_digest digest = pulmo_digest_of(form->text, strlen(form->text));
    pulmo_digest_hex(&digest, form->key);
    form->directory = pulmo_format("%s/%s-%.16s", root, form->split, form->key);
    return form->directory ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status create_local(pulmo_bank *b)
{
    const pulmo_config *config = b->parts.config;
    const pulmo_backbone *backbone = b->parts.backbone;
    char probed[PULMO_DIGEST_HEX];
    if (!backbone->trunk)
        return pulmo_fail(PULMO_CONFIG,
                          "train.features: bank keeps the features of frozen convolutions, and "
                          "with model.trainable: all "
                          "there are none; freeze a block or use train.features: fresh");
    b->pooled = pools_first(config, backbone);
    b->seed = (uint64_t)(config->bank.seed < 0 ? config->train.seed : config->bank.seed);
    pulmo_augment_from(config, &b->augment);
    pulmo_views_from(config, &b->averaged);
    PULMO_TRY(pulmo_augment_spec_check(&b->augment));
    PULMO_TRY(probe(b, probed));
    char *root = *config->bank.path ? pulmo_strdup(config->bank.path)
                                    : pulmo_format("%s/bank", config->data.path);
    pulmo_status status = root ? PULMO_OK : PULMO_MEMORY;
    for (int s = 0; s < PULMO_BANK_SPLITS && status == PULMO_OK; s++)
        status = describe_set(b, (pulmo_bank_split)s, root, probed);
    free(root);
    b->floats = (size_t)b->set[0].form.channels * (size_t)b->set[0].form.height *
                (size_t)b->set[0].form.width;
    return status;
}

/* True if the shard is there and fits its key. One that does not is told of and computed anew. */
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

/* Rank 0: lists what is missing; units (all of them) has room for all. */
static uint32_t list_missing(const pulmo_bank *b, bank_unit *units)
{
    uint32_t missing = 0;
    for (uint32_t s = 0; s < PULMO_BANK_SPLITS; s++)
        for (uint32_t v = 0; v < b->set[s].views; v++)
            for (uint32_t f = 0; b->set[s].form.count > 0 && f < b->set[s].form.shards; f++)
                if (!is_there(&b->set[s].form, (bank_place){v, f}))
                    units[missing++] = (bank_unit){s, v, f};
    return missing;
}

static uint64_t bytes_of(const pulmo_bank *b, const bank_unit *unit)
{
    const bank_form *form = &b->set[unit->split].form;
    uint32_t images = pulmo_shard_first(form->count, unit->shard + 1, form->shards) -
                      pulmo_shard_first(form->count, unit->shard, form->shards);
    return images * (b->floats * (form->half ? 2u : 4u) + 16) + 8192;
}

/* Says what is to be done, and refuses what the disk has no room for. Rank 0. */
static pulmo_status check_room(const pulmo_bank *b, const bank_unit *units, uint32_t missing,
                               uint32_t all)
{
    const bank_form *form = &b->set[PULMO_BANK_TRAIN].form;
    struct statvfs disk;
    uint64_t need = 0;
    for (uint32_t i = 0; i < missing; i++)
        need += bytes_of(b, &units[i]);
    if (missing == 0) {
        pulmo_info("feature bank: all there, %u view%s in %s", b->set[PULMO_BANK_TRAIN].views,
                   b->set[PULMO_BANK_TRAIN].views == 1 ? "" : "s", form->directory);
        return PULMO_OK;
    }
    if (statvfs(form->directory, &disk) != 0)
        return pulmo_fail(PULMO_IO, "%s: %s", form->directory, strerror(errno));
    double room = (double)disk.f_bavail * (double)disk.f_frsize;
    pulmo_info(
        "feature bank: %u of %u shards to compute for %u view%s in %s; needs %.1f MB, %.1f GB free",
        missing, all, b->set[PULMO_BANK_TRAIN].views,
        b->set[PULMO_BANK_TRAIN].views == 1 ? "" : "s", form->directory, (double)need / MB,
        room / MB / 1024.0);
    if ((double)need < room)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO,
                      "%s: the feature bank needs %.1f MB and %.1f MB are free; make room, name "
                      "another place with bank.path, or use fewer "
                      "bank.views, bank.precision: half or model.pool: avg",
                      form->directory, (double)need / MB, room / MB);
}

static pulmo_status prepare(const pulmo_bank *b, bank_unit *units, uint32_t all, uint32_t *missing)
{
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        if (b->set[s].form.count > 0)
            if (pulmo_directory_make(b->set[s].form.directory) != PULMO_OK)
                return pulmo_fail_in(PULMO_IO,
                                     "the feature bank has no place (bank.path names another)");
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        if (b->set[s].form.count > 0)
            pulmo_file_remove_abandoned(b->set[s].form.directory, ABANDONED_S);
    *missing = list_missing(b, units);
    return check_room(b, units, *missing, all);
}

/* Computes what is missing. Collective. */
static pulmo_status complete(pulmo_bank *b)
{
    pulmo_comm *comm = b->parts.comm;
    uint32_t all = 0, missing = 0;
    for (int s = 0; s < PULMO_BANK_SPLITS; s++)
        if (b->set[s].form.count > 0)
            all += b->set[s].views * b->set[s].form.shards;
    bank_unit *units = calloc(all + 1, sizeof *units);
    pulmo_status status = pulmo_agree(
        comm, units ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory for the bank's plan"));
    if (status == PULMO_OK)
        status = pulmo_agree(comm, pulmo_comm_rank(comm) == 0 ? prepare(b, units, all, &missing)
                                                              : PULMO_OK);
    if (status == PULMO_OK)
        status = pulmo_bcast(comm, &missing, sizeof missing, 0);
    if (status == PULMO_OK && missing > 0)
        status = pulmo_bcast(comm, units, missing * sizeof *units, 0);
    if (status == PULMO_OK && missing > 0)
        status = bank_build(b, units, missing);
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

static bank_shard *shard_open_of(struct bank_set *set, bank_place place)
{
    for (int i = 0; i < 2; i++)
        if (set->open[i].shard && set->open[i].number == place.view)
            return set->open[i].shard[place.shard];
    return NULL;
}

/* With the lock held for writing. Epochs take views in turn: an odd one's place is free again two
 * views on. */
static pulmo_status open_shard(struct bank_set *set, bank_place place)
{
    struct bank_view *view = &set->open[0];
    for (int i = 0; i < 2; i++)
        if (set->open[i].shard && set->open[i].number == place.view)
            view = &set->open[i];
    if (!view->shard || view->number != place.view) {
        if (view->shard && (!set->open[1].shard || set->open[1].number < view->number))
            view = &set->open[1];
        close_view(set, view);
        view->shard = calloc(set->form.shards, sizeof(bank_shard *));
        if (!view->shard)
            return pulmo_fail(PULMO_MEMORY, "out of memory for the bank");
        view->number = place.view;
    }
    if (view->shard[place.shard])
        return PULMO_OK; /* another thread was faster */
    pulmo_status status = bank_shard_open(&set->form, place, &view->shard[place.shard]);
    return status == PULMO_OK
               ? status
               : pulmo_fail_in(
                     status,
                     "a shard of the feature bank that was there is not any more; run again");
}

pulmo_status pulmo_bank_read(pulmo_bank *b, pulmo_bank_split split, uint32_t view, uint32_t sample,
                             float *out)
{
    struct bank_set *set = &b->set[split];
    bank_place place = {view, (uint32_t)((uint64_t)sample * set->form.shards / set->form.count)};
    while (sample >= pulmo_shard_first(set->form.count, place.shard + 1, set->form.shards))
        place.shard++;
    pulmo_status status = PULMO_OK;
    for (;;) {
        pthread_rwlock_rdlock(&set->lock);
        const bank_shard *shard = shard_open_of(set, place);
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

pulmo_status pulmo_bank_fill(void *context, uint32_t epoch, uint32_t sample, float *out)
{
    pulmo_bank *b = context;
    return pulmo_bank_read(b, PULMO_BANK_TRAIN, epoch % pulmo_bank_views(b, PULMO_BANK_TRAIN),
                           sample, out);
}
