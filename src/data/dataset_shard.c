/* Shards of a packed data set, and images out of them, checked as they are read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dataset_room.h"
#include "pulmo/memory.h"

pulmo_status dataset_check_kind(pulmo_h5 *file, const char *kind)
{
    return pulmo_h5_check_kind(file, kind, PULMO_PACK_FORMAT_VERSION,
                               "the data set is damaged or mixed up: pack again with --overwrite");
}

bool dataset_is_absent(const char *path)
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
    PULMO_TRY(dataset_check_kind(file, "shard"));
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

/* Strings of the shard's images, against the manifest's. */
static pulmo_status compare_strings(pulmo_h5 *file, const char *name, char *const *wanted,
                                    uint64_t images, bool *same)
{
    uint64_t count = 0;
    char **strings = NULL;
    PULMO_TRY(pulmo_h5_read_strings(file, name, &count, &strings));
    *same = *same && count == images;
    for (uint64_t i = 0; *same && i < images; i++)
        *same = strcmp(strings[i], wanted[i]) == 0;
    free(strings);
    return PULMO_OK;
}

static pulmo_status compare_labels(pulmo_h5 *file, const int32_t *wanted, uint64_t images,
                                   bool *same)
{
    int32_t *labels = malloc(images * sizeof *labels);
    if (!labels)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", pulmo_h5_path(file));
    pulmo_status status = pulmo_h5_read(file, "labels", PULMO_H5_I32, 1, &images, labels);
    if (status == PULMO_OK)
        *same = memcmp(labels, wanted, images * sizeof *labels) == 0;
    free(labels);
    return status;
}

/* A shard of another packing may have the same shape: its images are told by the digests of their
 * sources and pixels. */
static pulmo_status check_samples(const pulmo_dataset *d, uint32_t shard, pulmo_h5 *file)
{
    uint32_t first = pulmo_cut_first(&d->cut, shard);
    const uint64_t images = pulmo_cut_first(&d->cut, shard + 1) - first;
    bool same = true;
    if (images == 0)
        return PULMO_OK;
    PULMO_TRY(compare_labels(file, d->labels + first, images, &same));
    PULMO_TRY(compare_strings(file, "digests", d->digests + first, images, &same));
    if (pulmo_h5_exists(file, "pixel_digests"))
        PULMO_TRY(compare_strings(file, "pixel_digests", d->pixel_digests + first, images, &same));
    if (same)
        return PULMO_OK;
    return packed_damaged(file, "labels or digests of its images are not those in the manifest");
}

/* Only what is not there needs packing again. A file that cannot be read for a moment (EIO, ESTALE,
 * EACCES, EMFILE) may be whole. */
static pulmo_status explain_unopened(const pulmo_dataset *d, const char *path)
{
    if (dataset_is_absent(path))
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

/* A pack that is made anew meanwhile has other images under the same names, in files that are as
 * whole as the first. */
static pulmo_status check_unchanged(const pulmo_dataset *d, uint32_t shard, pulmo_h5 *file)
{
    char hex[PULMO_DIGEST_HEX];
    PULMO_TRY(pulmo_h5_content_digest(file, hex));
    if (strcmp(hex, d->shard_digest[shard]) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "%s: is another file than when this program began: the data set was packed "
                      "anew meanwhile; run the same command again",
                      pulmo_h5_path(file));
}

static pulmo_status open_again(const pulmo_dataset *d, uint32_t shard, pulmo_h5 **out)
{
    pulmo_h5 *file = NULL;
    PULMO_TRY(open_checked(d, shard, &file));
    pulmo_status status = check_unchanged(d, shard, file);
    if (status == PULMO_OK)
        *out = file;
    else
        pulmo_h5_close(file);
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
    PULMO_TRY(open_again(d, shard, &oldest->file));
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

/* ---- pixels of shards without digests ---- */

static bool is_grey(const uint8_t *pixels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *rgb = pixels + 3 * i;
        if (rgb[0] != rgb[1] || rgb[0] != rgb[2])
            return false;
    }
    return true;
}

/* SHA-256 as the manifest has it: a grey image's is of one channel. */
static pulmo_status digest_pixels(const pulmo_dataset *d, const uint8_t *pixels, pulmo_digest *out)
{
    const size_t count = (size_t)d->info.height_px * (size_t)d->info.width_px;
    if (d->info.channels == 1 || !is_grey(pixels, count)) {
        *out = pulmo_digest_of(pixels, count * (size_t)d->info.channels);
        return PULMO_OK;
    }
    uint8_t *grey = malloc(count);
    if (!grey)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", d->directory);
    for (size_t i = 0; i < count; i++)
        grey[i] = pixels[3 * i];
    *out = pulmo_digest_of(grey, count);
    free(grey);
    return PULMO_OK;
}

/* `place` is the image's in the split as packed. */
static pulmo_status check_pixels(const pulmo_dataset *d, uint32_t place, const uint8_t *pixels)
{
    pulmo_digest digest;
    char hex[PULMO_DIGEST_HEX];
    PULMO_TRY(digest_pixels(d, pixels, &digest));
    pulmo_digest_hex(&digest, hex);
    if (strcmp(hex, d->pixel_digests[place]) == 0)
        return PULMO_OK;
    uint32_t shard = shard_of(d, place);
    char *path = pulmo_shard_path(d->directory, d->split, shard, d->cut.shards);
    pulmo_status status =
        pulmo_fail(PULMO_DATA, "%s: other pixels than were packed (SHA-256): the file is damaged",
                   path ? path : d->directory);
    free(path);
    return status;
}

/* ---- one image ---- */

static pulmo_status read_place(pulmo_dataset *d, uint32_t place, uint8_t *pixels, bool *verified)
{
    pulmo_h5 *file = NULL;
    uint32_t shard = shard_of(d, place);
    uint32_t row = place - pulmo_cut_first(&d->cut, shard);
    pthread_mutex_lock(&d->lock);
    pulmo_status status = shard_file(d, shard, &file);
    if (status == PULMO_OK) {
        *verified = pulmo_h5_is_verified(file);
        status = pulmo_h5_read_rows(file, "images", PULMO_H5_U8, row, 1, pixels);
    }
    pthread_mutex_unlock(&d->lock);
    return status;
}

pulmo_status pulmo_dataset_read(pulmo_dataset *d, uint32_t index, uint8_t *pixels)
{
    bool verified = true;
    if (index >= d->info.count)
        return pulmo_fail(PULMO_RUNTIME, "%s: image %u of split %s, which has %u", d->directory,
                          index, d->split, d->info.count);
    uint32_t place = d->index ? d->index[index] : index;
    pulmo_status status = read_place(d, place, pixels, &verified);
    if (status == PULMO_OK && !verified && d->pixel_digests)
        status = check_pixels(d, place, pixels);
    if (status == PULMO_DATA)
        return pulmo_fail_in(
            status,
            "image %s cannot be read (restore its shard from a copy, or pack again "
            "with --overwrite)",
            d->info.paths[index]);
    return status;
}

/* ---- all shards ---- */

/* A missing shard is better found now than in the middle of an epoch. */
pulmo_status dataset_check_shards(pulmo_dataset *d)
{
    d->shard_digest = calloc((size_t)d->cut.shards + 1, sizeof *d->shard_digest);
    if (!d->shard_digest)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", d->directory);
    for (uint32_t s = 0; s < d->cut.shards; s++) {
        pulmo_h5 *shard = NULL;
        PULMO_TRY(open_checked(d, s, &shard));
        pulmo_status status = check_samples(d, s, shard);
        if (status == PULMO_OK)
            status = pulmo_h5_content_digest(shard, d->shard_digest[s]);
        d->is_unverified = d->is_unverified || !pulmo_h5_is_verified(shard);
        pulmo_h5_close(shard);
        PULMO_TRY(status);
    }
    return PULMO_OK;
}
