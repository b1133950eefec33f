/* A packed data set, read. Labels and names are held in memory, pixels are read when asked for. */
#include "pulmo/dataset.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/h5.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "pulmo/packed.h"

#include "packed_room.h"

#define OPEN_SHARDS 8 /* files held open at once */

typedef struct open_shard {
    pulmo_h5 *file;
    uint32_t shard;
    uint64_t used; /* when, in reads */
} open_shard;

struct pulmo_dataset {
    pulmo_dataset_info info;
    char *directory, split[64];
    int fold;        /* -1: the split as packed; else `split` is its part of train */
    pulmo_cut cut;   /* of the split as packed */
    uint32_t *index; /* (info.count): places in the files; NULL where they are the same */
    int32_t *labels;
    char **class_names, **paths, **groups;
    char **kept_names, ***kept_columns;
    char **digests; /* of the source files; only while opening */
    char *digest_hex;
    pthread_mutex_t lock; /* of the open shards */
    open_shard open[OPEN_SHARDS];
    uint64_t reads;
};

static pulmo_status check_kind(pulmo_h5 *file, const char *kind)
{
    return pulmo_h5_check_kind(file, kind, PULMO_PACK_FORMAT_VERSION,
                               "the data set is damaged or mixed up: pack again with --overwrite");
}

static pulmo_status read_form(pulmo_h5 *file, pulmo_dataset *d)
{
    int64_t height = 0, width = 0, channels = 0, demo = 0;
    PULMO_TRY(check_kind(file, "manifest"));
    PULMO_TRY(pulmo_h5_get_texts(file, "/", "classes", &d->info.classes, &d->class_names));
    if (d->info.classes < 1 || d->info.classes > PULMO_CLASSES_MAX)
        return packed_damaged(file, "has no classes, or too many");
    PULMO_TRY(packed_get_int(file, "/", "height", 32, 32768, &height));
    PULMO_TRY(packed_get_int(file, "/", "width", 32, 32768, &width));
    PULMO_TRY(packed_get_int(file, "/", "channels", 1, 3, &channels));
    PULMO_TRY(packed_get_int(file, "/", "demo", 0, 1, &demo));
    if (channels == 2)
        return packed_damaged(file, "has 2 channels");
    d->info.height_px = (int)height;
    d->info.width_px = (int)width;
    d->info.channels = (int)channels;
    d->info.is_demo = (int)demo;
    d->info.class_names = (const char *const *)d->class_names;
    return pulmo_framing_read(file, "/", &d->info.framing);
}

static pulmo_status read_names(pulmo_h5 *file, const char *base, const char *what, uint64_t wanted,
                               char ***out)
{
    char name[128];
    uint64_t count = 0;
    snprintf(name, sizeof name, "%s/%s", base, what);
    PULMO_TRY(pulmo_h5_read_strings(file, name, &count, out));
    return count == wanted ? PULMO_OK : packed_damaged(file, "lists of a split differ in length");
}

static pulmo_status check_labels(pulmo_h5 *file, const pulmo_dataset *d)
{
    char what[160];
    for (uint32_t i = 0; i < d->info.count; i++) {
        if (d->labels[i] >= 0 && d->labels[i] < d->info.classes)
            continue;
        snprintf(what, sizeof what, "label %u of split %s is %d, must be 0 to %d", i, d->split,
                 d->labels[i], d->info.classes - 1);
        return packed_damaged(file, what);
    }
    return PULMO_OK;
}

static pulmo_status read_labels(pulmo_h5 *file, const char *base, pulmo_dataset *d)
{
    char name[128], what[256];
    uint64_t count = d->info.count;
    pulmo_h5_shape shape;
    snprintf(name, sizeof name, "%s/labels", base);
    PULMO_TRY(pulmo_h5_shape_of(file, name, &shape));
    if (shape.rank != 1 || shape.dims[0] != count) {
        snprintf(what, sizeof what, "/%s has %llu labels, the split's count is %llu", name,
                 (unsigned long long)(shape.rank == 1 ? shape.dims[0] : 0),
                 (unsigned long long)count);
        return packed_damaged(file, what);
    }
    d->labels = malloc((count ? count : 1) * sizeof *d->labels);
    if (!d->labels)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", pulmo_h5_path(file));
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_I32, 1, &count, d->labels));
    d->info.labels = d->labels;
    return check_labels(file, d);
}

/* The split's digest, worked out again: finds what changed in the manifest since it was written. */
static pulmo_status check_digest(pulmo_h5 *file, const pulmo_dataset *d)
{
    char *resize = NULL, *decode = NULL, hex[PULMO_DIGEST_HEX];
    pulmo_status status = pulmo_h5_get_text(file, "/", "resize", &resize);
    if (status == PULMO_OK)
        status = pulmo_h5_get_text(file, "/", "decode", &decode);
    if (status == PULMO_OK) {
        const pulmo_packed_form form = {.height_px = d->info.height_px,
                                        .width_px = d->info.width_px,
                                        .channels = d->info.channels,
                                        .classes = d->info.classes,
                                        .class_names = d->info.class_names,
                                        .resize = resize,
                                        .decode = decode};
        const pulmo_packed_split split = {.name = d->split,
                                          .count = d->info.count,
                                          .shards = d->cut.shards,
                                          .labels = d->labels,
                                          .paths = d->info.paths,
                                          .groups = d->info.groups,
                                          .digests = (const char *const *)d->digests};
        status = packed_digest(&form, &split, hex);
    }
    if (status == PULMO_OK && strcmp(hex, d->digest_hex) != 0)
        status = packed_damaged(
            file,
            "labels, paths or digests of the split are not those its attribute sha256 was made of");
    free(resize);
    free(decode);
    return status;
}

/* Columns of a table of labels, if any were kept. */
static pulmo_status read_kept(pulmo_h5 *file, const char *base, pulmo_dataset *d)
{
    int kept = 0;
    if (!pulmo_h5_has_attribute(file, base, "kept"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_texts(file, base, "kept", &kept, &d->kept_names));
    d->kept_columns = calloc((size_t)kept + 1, sizeof *d->kept_columns);
    if (!d->kept_columns)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", pulmo_h5_path(file));
    d->info.kept_names = (const char *const *)d->kept_names;
    d->info.kept_columns = (const char *const *const *)d->kept_columns;
    for (int k = 0; k < kept; k++) {
        char name[32];
        snprintf(name, sizeof name, "kept/%d", k);
        d->info.kept++;
        PULMO_TRY(read_names(file, base, name, d->info.count, &d->kept_columns[k]));
    }
    return PULMO_OK;
}

static pulmo_status read_split(pulmo_h5 *file, pulmo_dataset *d)
{
    char base[96];
    snprintf(base, sizeof base, "splits/%s", d->split);
    PULMO_TRY(pulmo_cut_read(file, base, &d->cut));
    const uint64_t count = d->cut.count;
    d->info.count = d->cut.count;
    PULMO_TRY(pulmo_h5_get_text(file, base, "sha256", &d->digest_hex));
    PULMO_TRY(read_labels(file, base, d));
    PULMO_TRY(read_names(file, base, "paths", count, &d->paths));
    PULMO_TRY(read_names(file, base, "groups", count, &d->groups));
    PULMO_TRY(read_names(file, base, "digests", count, &d->digests));
    d->info.paths = (const char *const *)d->paths;
    d->info.groups = (const char *const *)d->groups;
    d->info.digest_hex = d->digest_hex;
    PULMO_TRY(read_kept(file, base, d));
    return check_digest(file, d);
}

static pulmo_status no_such_split(const pulmo_dataset *d, pulmo_h5 *file)
{
    char there[128] = "";
    for (int i = 0; i < PULMO_SPLITS; i++) {
        const char *name = pulmo_split_name(i);
        char path[64];
        snprintf(path, sizeof path, "splits/%s", name);
        if (!pulmo_h5_exists(file, path))
            continue;
        snprintf(there + strlen(there), sizeof there - strlen(there), "%s%s", *there ? ", " : "",
                 name);
    }
    return pulmo_fail(PULMO_DATA, "%s: has no split \"%s\"; there are: %s", d->directory, d->split,
                      *there ? there : "none");
}

/* An absent split is an empty one, with a digest that says so. */
static pulmo_status make_empty(pulmo_dataset *d)
{
    d->digest_hex = pulmo_strdup("absent");
    d->info.digest_hex = d->digest_hex;
    return d->digest_hex ? PULMO_OK : PULMO_MEMORY;
}

/* ---- shards ---- */

static bool is_absent(const char *path)
{
    struct stat about;
    if (stat(path, &about) == 0)
        return false;
    return errno == ENOENT || errno == ENOTDIR;
}

static pulmo_status check_shard(const pulmo_dataset *d, uint32_t shard, pulmo_h5 *file)
{
    pulmo_h5_shape shape;
    char what[192];
    uint32_t end = pulmo_cut_first(&d->cut, shard + 1);
    uint64_t count = end - pulmo_cut_first(&d->cut, shard);
    PULMO_TRY(check_kind(file, "shard"));
    PULMO_TRY(pulmo_h5_shape_of(file, "images", &shape));
    const uint64_t wanted[4] = {count, (uint64_t)d->info.height_px, (uint64_t)d->info.width_px,
                                (uint64_t)d->info.channels};
    if (shape.type == PULMO_H5_U8 && shape.rank == 4 &&
        memcmp(shape.dims, wanted, sizeof wanted) == 0)
        return PULMO_OK;
    snprintf(what, sizeof what,
             "/images is not the %llu x %d x %d x %d bytes that the manifest says",
             (unsigned long long)count, d->info.height_px, d->info.width_px, d->info.channels);
    return packed_damaged(file, what);
}

/* A shard of another packing may have the same shape: its images are told by their sources'
 * digests. */
static pulmo_status check_samples(const pulmo_dataset *d, uint32_t shard, pulmo_h5 *file)
{
    uint32_t first = pulmo_cut_first(&d->cut, shard);
    const uint64_t wanted = pulmo_cut_first(&d->cut, shard + 1) - first;
    uint64_t count = 0;
    char **digests = NULL;
    if (wanted == 0)
        return PULMO_OK;
    int32_t *labels = malloc(wanted * sizeof *labels);
    if (!labels)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", pulmo_h5_path(file));
    pulmo_status status = pulmo_h5_read(file, "labels", PULMO_H5_I32, 1, &wanted, labels);
    if (status == PULMO_OK)
        status = pulmo_h5_read_strings(file, "digests", &count, &digests);
    bool same = status == PULMO_OK && count == wanted;
    for (uint64_t i = 0; same && i < wanted; i++)
        same = labels[i] == d->labels[first + i] && strcmp(digests[i], d->digests[first + i]) == 0;
    if (status == PULMO_OK && !same)
        status =
            packed_damaged(file, "labels or digests of its images are not those in the manifest");
    free(labels);
    free(digests);
    return status;
}

/* Only what is not there needs packing again. A file that cannot be read for a moment (EIO, ESTALE,
 * EACCES, EMFILE) may be whole. */
static pulmo_status explain_unopened(const pulmo_dataset *d, const char *path)
{
    if (is_absent(path))
        return pulmo_fail_in(
            PULMO_DATA,
            "%s: a shard that the manifest lists is missing; pack again with --overwrite",
            d->directory);
    return pulmo_fail_in(PULMO_IO,
                         "%s: a shard cannot be read, though it is there; check its permissions "
                         "and the file system, then run the same command again",
                         d->directory);
}

static pulmo_status open_checked(const pulmo_dataset *d, uint32_t shard, pulmo_h5 **out)
{
    char *path = pulmo_shard_path(d->directory, d->split, shard, d->cut.shards);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, out);
    if (status == PULMO_IO)
        status = explain_unopened(d, path);
    free(path);
    PULMO_TRY(status);
    status = check_shard(d, shard, *out);
    if (status == PULMO_OK)
        return PULMO_OK;
    pulmo_h5_close(*out);
    *out = NULL;
    return status;
}

/* With the lock held: the shard's file, opened in place of the one unused for longest if need be.
 */
static pulmo_status shard_file(pulmo_dataset *d, uint32_t shard, pulmo_h5 **out)
{
    open_shard *oldest = &d->open[0];
    d->reads++;
    for (int i = 0; i < OPEN_SHARDS; i++) {
        open_shard *o = &d->open[i];
        if (o->file && o->shard == shard) {
            o->used = d->reads;
            *out = o->file;
            return PULMO_OK;
        }
        if (o->used < oldest->used)
            oldest = o;
    }
    pulmo_h5_close(oldest->file);
    oldest->file = NULL;
    oldest->used = 0;
    PULMO_TRY(open_checked(d, shard, &oldest->file));
    oldest->shard = shard;
    oldest->used = d->reads;
    *out = oldest->file;
    return PULMO_OK;
}

static uint32_t shard_of(const pulmo_dataset *d, uint32_t index)
{
    uint32_t low = 0;
    uint32_t high = d->cut.shards; /* where shard low begins <= index < where high does */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (pulmo_cut_first(&d->cut, middle) <= index)
            low = middle;
        else
            high = middle;
    }
    return low;
}

pulmo_status pulmo_dataset_read(pulmo_dataset *d, uint32_t index, uint8_t *pixels)
{
    pulmo_h5 *file = NULL;
    if (index >= d->info.count)
        return pulmo_fail(PULMO_RUNTIME, "%s: image %u of split %s, which has %u", d->directory,
                          index, d->split, d->info.count);
    if (d->index)
        index = d->index[index];
    uint32_t shard = shard_of(d, index);
    uint32_t row = index - pulmo_cut_first(&d->cut, shard);
    pthread_mutex_lock(&d->lock);
    pulmo_status status = shard_file(d, shard, &file);
    if (status == PULMO_OK)
        status = pulmo_h5_read_rows(file, "images", PULMO_H5_U8, row, 1, pixels);
    pthread_mutex_unlock(&d->lock);
    return status;
}

/* ---- folds ---- */

static pulmo_status check_folds(pulmo_h5 *file, const int32_t *fold, uint64_t count, int64_t folds)
{
    for (uint64_t i = 0; i < count; i++)
        if (fold[i] < 0 || fold[i] >= folds)
            return packed_damaged(file, "/splits/train/folds has a number that is not a fold");
    return PULMO_OK;
}

static pulmo_status read_folds(pulmo_h5 *file, const pulmo_dataset *d, int64_t *folds,
                               int32_t *fold)
{
    const uint64_t count = d->cut.count;
    pulmo_h5_shape shape;
    if (!pulmo_h5_has_attribute(file, "splits/train", "folds"))
        return pulmo_fail(PULMO_CONFIG,
                          "data.fold: %d: %s was packed without folds; pack with pack.folds: 5",
                          d->fold, d->directory);
    PULMO_TRY(packed_get_int(file, "splits/train", "folds", 3, 1000, folds));
    if (d->fold >= *folds)
        return pulmo_fail(PULMO_CONFIG, "data.fold: %d: %s has %lld folds: 0 to %lld", d->fold,
                          d->directory, (long long)*folds, (long long)*folds - 1);
    PULMO_TRY(pulmo_h5_shape_of(file, "splits/train/folds", &shape));
    if (shape.rank != 1 || shape.dims[0] != count)
        return packed_damaged(file, "/splits/train/folds is not one number per image");
    PULMO_TRY(pulmo_h5_read(file, "splits/train/folds", PULMO_H5_I32, 1, &count, fold));
    return check_folds(file, fold, count, *folds);
}

/* The split that images of fold `fold` make when d->fold is tested on. */
static int split_of_fold(const pulmo_dataset *d, int fold, int folds)
{
    if (fold == d->fold)
        return PULMO_SPLIT_TEST;
    return fold == (d->fold + 1) % folds ? PULMO_SPLIT_VAL : PULMO_SPLIT_TRAIN;
}

/* Keeps the images of one part, in stored order. The names' characters stay where they are. */
static pulmo_status keep_part(pulmo_dataset *d, const int32_t *fold, int folds, int part)
{
    uint32_t kept = 0;
    d->index = malloc(((size_t)d->cut.count + 1) * sizeof *d->index);
    if (!d->index)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", d->directory);
    for (uint32_t i = 0; i < d->cut.count; i++) {
        if (split_of_fold(d, fold[i], folds) != part)
            continue;
        d->index[kept] = i;
        d->labels[kept] = d->labels[i];
        d->paths[kept] = d->paths[i];
        d->groups[kept] = d->groups[i];
        for (int c = 0; c < d->info.kept; c++)
            d->kept_columns[c][kept] = d->kept_columns[c][i];
        kept++;
    }
    d->info.count = kept;
    return PULMO_OK;
}

/* A digest of its own for each part of each fold: of the whole split's, and of what is in it. */
static pulmo_status digest_part(pulmo_dataset *d, int part)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    pulmo_digester_add(digester, d->digest_hex, strlen(d->digest_hex));
    pulmo_digester_add(digester, &part, sizeof part);
    pulmo_digester_add(digester, d->index, d->info.count * sizeof *d->index);
    pulmo_digest digest = pulmo_digester_end(digester);
    pulmo_digest_hex(&digest, hex);
    free(d->digest_hex);
    d->digest_hex = pulmo_strdup(hex);
    d->info.digest_hex = d->digest_hex;
    return d->digest_hex ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status choose_part(pulmo_dataset *d, const int32_t *fold, int folds, const char *split)
{
    int part = pulmo_split_find(split);
    if (part < 0)
        return pulmo_fail(PULMO_DATA, "%s: a fold has no split \"%s\"; there are: train, val, test",
                          d->directory, split);
    PULMO_TRY(keep_part(d, fold, folds, part));
    return digest_part(d, part);
}

/* Keeps what `split` is of the fold d->fold. */
static pulmo_status open_fold(pulmo_h5 *file, pulmo_dataset *d, const char *split)
{
    int64_t folds = 0;
    int32_t *fold = malloc(((size_t)d->cut.count + 1) * sizeof *fold);
    if (!fold)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", pulmo_h5_path(file));
    pulmo_status status = read_folds(file, d, &folds, fold);
    if (status == PULMO_OK)
        status = choose_part(d, fold, (int)folds, split);
    free(fold);
    return status;
}

/* ---- opening ---- */

/* A missing shard is better found now than in the middle of an epoch. */
static pulmo_status check_shards(const pulmo_dataset *d)
{
    for (uint32_t s = 0; s < d->cut.shards; s++) {
        pulmo_h5 *shard = NULL;
        PULMO_TRY(open_checked(d, s, &shard));
        pulmo_status status = check_samples(d, s, shard);
        pulmo_h5_close(shard);
        PULMO_TRY(status);
    }
    return PULMO_OK;
}

/* d->split and its shards; of a fold, the part of it that is `split`. */
static pulmo_status open_split(pulmo_h5 *file, pulmo_dataset *d, const char *split,
                               int may_be_absent)
{
    char base[96];
    PULMO_TRY(read_form(file, d));
    snprintf(base, sizeof base, "splits/%s", d->split);
    if (!pulmo_h5_exists(file, base))
        return may_be_absent ? make_empty(d) : no_such_split(d, file);
    PULMO_TRY(read_split(file, d));
    PULMO_TRY(check_shards(d));
    if (d->fold < 0)
        return PULMO_OK;
    return open_fold(file, d, split);
}

static pulmo_status open_manifest(const pulmo_dataset *d, pulmo_h5 **out)
{
    char *path = pulmo_format("%s/manifest.h5", d->directory);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, out);
    if (status == PULMO_IO && is_absent(path))
        status = pulmo_fail_in(PULMO_DATA,
                               "%s is not a packed data set (\"pulmo pack SOURCE DEST\" makes one)",
                               d->directory);
    free(path);
    return status;
}

static pulmo_status open_all(pulmo_dataset *d, const char *split, int may_be_absent)
{
    pulmo_h5 *file = NULL;
    PULMO_TRY(open_manifest(d, &file));
    pulmo_status status = open_split(file, d, split, may_be_absent);
    pulmo_h5_close(file);
    free(d->digests);
    d->digests = NULL;
    return status;
}

pulmo_status pulmo_dataset_open_fold(const char *directory, int fold, const char *split,
                                     int may_be_absent, pulmo_dataset **out)
{
    pulmo_dataset *d = calloc(1, sizeof *d);
    if (!d)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", directory);
    pthread_mutex_init(&d->lock, NULL);
    d->fold = fold;
    d->directory = pulmo_strdup(directory);
    snprintf(d->split, sizeof d->split, "%s", fold < 0 ? split : "train");
    pulmo_status status = d->directory ? open_all(d, split, may_be_absent) : PULMO_MEMORY;
    if (status == PULMO_OK)
        *out = d;
    else
        pulmo_dataset_close(d);
    return status;
}

pulmo_status pulmo_dataset_open(const char *directory, const char *split, int may_be_absent,
                                pulmo_dataset **out)
{
    return pulmo_dataset_open_fold(directory, -1, split, may_be_absent, out);
}

void pulmo_dataset_close(pulmo_dataset *d)
{
    if (!d)
        return;
    for (int i = 0; i < OPEN_SHARDS; i++)
        pulmo_h5_close(d->open[i].file);
    pthread_mutex_destroy(&d->lock);
    free(d->index);
    free(d->cut.first);
    free(d->labels);
    free(d->class_names);
    free(d->paths);
    free(d->groups);
    for (int k = 0; k < d->info.kept; k++)
        free(d->kept_columns[k]);
    free(d->kept_columns);
    free(d->kept_names);
    free(d->digests);
    free(d->digest_hex);
    free(d->directory);
    free(d);
}

const pulmo_dataset_info *pulmo_dataset_info_of(const pulmo_dataset *d)
{
    return &d->info;
}

pulmo_status pulmo_dataset_sources(const pulmo_dataset *d, char ***out)
{
    pulmo_h5 *file = NULL;
    char base[96];
    *out = NULL;
    if (d->info.count == 0)
        return PULMO_OK;
    snprintf(base, sizeof base, "splits/%s", d->split);
    PULMO_TRY(open_manifest(d, &file));
    pulmo_status status = read_names(file, base, "digests", d->cut.count, out);
    pulmo_h5_close(file);
    if (status != PULMO_OK) {
        free(*out);
        *out = NULL;
        return status;
    }
    for (uint32_t i = 0; d->index && i < d->info.count; i++)
        (*out)[i] = (*out)[d->index[i]]; /* which is never before i */
    return PULMO_OK;
}
