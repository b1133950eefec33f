/* A packed data set, read. Labels and names are held in memory, pixels are read when asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_room.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

static pulmo_status read_form(pulmo_h5 *file, pulmo_dataset *d)
{
    int64_t height = 0, width = 0, channels = 0, demo = 0;
    PULMO_TRY(dataset_check_kind(file, "manifest"));
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
    d->info.hides_names = pulmo_h5_has_attribute(file, "/", "pseudonyms");
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

static pulmo_status compare_digest(pulmo_h5 *file, const pulmo_packed_form *form,
                                   const pulmo_packed_split *split, const char *attribute)
{
    char hex[PULMO_DIGEST_HEX], base[96];
    char *wanted = NULL;
    snprintf(base, sizeof base, "splits/%s", split->name);
    bool of_pixels = strcmp(attribute, "pixels_sha256") == 0;
    PULMO_TRY(packed_digest(form, split, of_pixels, hex));
    PULMO_TRY(pulmo_h5_get_text(file, base, attribute, &wanted));
    bool same = strcmp(hex, wanted) == 0;
    free(wanted);
    if (same)
        return PULMO_OK;
    return packed_damaged(
        file,
        "labels, paths or digests of the split are not those its attribute sha256 was made of");
}

/* The split's digests, worked out again: find what changed in the manifest since it was written. */
static pulmo_status check_digests(pulmo_h5 *file, const pulmo_dataset *d, const char *resize,
                                  const char *decode)
{
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
                                      .digests = (const char *const *)d->digests,
                                      .pixel_digests = (const char *const *)d->pixel_digests};
    PULMO_TRY(compare_digest(file, &form, &split, "sha256"));
    if (!d->of_pixels)
        return PULMO_OK;
    return compare_digest(file, &form, &split, "pixels_sha256");
}

static pulmo_status check_manifest(pulmo_h5 *file, const pulmo_dataset *d)
{
    char *resize = NULL, *decode = NULL;
    pulmo_status status = pulmo_h5_get_text(file, "/", "resize", &resize);
    if (status == PULMO_OK)
        status = pulmo_h5_get_text(file, "/", "decode", &decode);
    if (status == PULMO_OK)
        status = check_digests(file, d, resize, decode);
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
    d->of_pixels = pulmo_h5_has_attribute(file, base, "pixels_sha256");
    const char *attribute = d->of_pixels ? "pixels_sha256" : "sha256";
    PULMO_TRY(pulmo_h5_get_text(file, base, attribute, &d->digest_hex));
    PULMO_TRY(read_labels(file, base, d));
    PULMO_TRY(read_names(file, base, "paths", count, &d->paths));
    PULMO_TRY(read_names(file, base, "groups", count, &d->groups));
    PULMO_TRY(read_names(file, base, "digests", count, &d->digests));
    PULMO_TRY(read_names(file, base, "pixel_digests", count, &d->pixel_digests));
    d->info.paths = (const char *const *)d->paths;
    d->info.groups = (const char *const *)d->groups;
    d->info.digest_hex = d->digest_hex;
    PULMO_TRY(read_kept(file, base, d));
    return check_manifest(file, d);
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

/* ---- opening ---- */

/* Of the images that are left. */
static pulmo_status number_patients(pulmo_dataset *d)
{
    const uint32_t count = d->info.count;
    d->patient = calloc((size_t)count + 1, sizeof *d->patient);
    if (!d->patient)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory for %u patients", d->directory, count);
    d->info.patient = d->patient;
    return pulmo_names_number(d->info.groups, count, d->patient, &d->info.patients);
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
    PULMO_TRY(dataset_check_shards(d));
    if (d->fold >= 0)
        PULMO_TRY(dataset_choose_fold(file, d, split));
    return number_patients(d);
}

/* Those of pixels stay where shards have none of their own. */
static void forget_digests(pulmo_dataset *d)
{
    free(d->digests);
    d->digests = NULL;
    if (d->is_unverified)
        return;
    free(d->pixel_digests);
    d->pixel_digests = NULL;
}

pulmo_status dataset_open_manifest(const pulmo_dataset *d, pulmo_h5 **out)
{
    char *path = pulmo_format("%s/manifest.h5", d->directory);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, out);
    if (status == PULMO_IO && dataset_is_absent(path))
        status = pulmo_fail_in(PULMO_DATA,
                               "%s is not a packed data set (\"pulmo pack SOURCE DEST\" makes one)",
                               d->directory);
    free(path);
    return status;
}

static pulmo_status open_all(pulmo_dataset *d, const char *split, int may_be_absent)
{
    pulmo_h5 *file = NULL;
    PULMO_TRY(dataset_open_manifest(d, &file));
    d->is_unverified = !pulmo_h5_is_verified(file);
    pulmo_status status = open_split(file, d, split, may_be_absent);
    pulmo_h5_close(file);
    forget_digests(d);
    if (status == PULMO_OK && d->is_unverified && d->info.count > 0)
        pulmo_info("%s: %s: written without digests; not verified, but for pixels", d->directory,
                   split);
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
    free(d->shard_digest);
    free(d->labels);
    free(d->class_names);
    free(d->paths);
    free(d->groups);
    free(d->patient);
    for (int k = 0; k < d->info.kept; k++)
        free(d->kept_columns[k]);
    free(d->kept_columns);
    free(d->kept_names);
    free(d->digests);
    free(d->pixel_digests);
    free(d->digest_hex);
    free(d->directory);
    free(d);
}

const pulmo_dataset_info *pulmo_dataset_info_of(const pulmo_dataset *d)
{
    return &d->info;
}

pulmo_status dataset_digests(const pulmo_dataset *d, digest_of_image of, char ***out)
{
    const char *column = of == DIGEST_OF_PIXELS ? "pixel_digests" : "digests";
    pulmo_h5 *file = NULL;
    char base[96];
    *out = NULL;
    if (d->info.count == 0)
        return PULMO_OK;
    snprintf(base, sizeof base, "splits/%s", d->split);
    PULMO_TRY(dataset_open_manifest(d, &file));
    pulmo_status status = read_names(file, base, column, d->cut.count, out);
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
