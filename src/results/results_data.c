/* What the packed data was made of, copied from its manifest into results.h5, so that the file
 * reports the splits and the leak audit without the data at hand.
 *
 *   /data/SPLIT/images (K)   images of each class; attributes count, patients, sha256,
 * pixels_sha256 /data/refused/{paths,reasons}
 *   /data/audit/{identical,similar,shared_patients,mixed_patients,leaks}: one line each, absent
 *       where empty;
 *       attributes of the two groups: paths_count, ..., leaks_count
 *   attributes of /data: resize, decode, carve, patients ("known", "some", "unknown"), patients_by,
 *       fit, border, decoding (pulmo/framing.h), height, width, channels */
#include <stdlib.h>
#include <string.h>

#include "pulmo/digest.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "results_room.h"

static int by_text(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

/* How many different names there are; puts them in order. */
static int64_t count_different(char **names, uint64_t count)
{
    int64_t different = count > 0;
    if (count > 0)
        qsort(names, count, sizeof *names, by_text);
    for (uint64_t i = 1; i < count; i++)
        different += strcmp(names[i - 1], names[i]) != 0;
    return different;
}

static pulmo_status write_counts(pulmo_h5 *file, const char *group, int classes, uint64_t count,
                                 const int32_t *labels)
{
    int64_t *images = calloc((size_t)classes, sizeof *images);
    if (!images)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %d classes", classes);
    for (uint64_t i = 0; i < count; i++) {
        const int32_t label = labels[i];
        if (label >= 0 && label < classes)
            images[label]++;
    }
    const results_field field = {"images", "images of each class", "1",   PULMO_H5_I64,
                                 1,        {(uint64_t)classes},    images};
    pulmo_status status = results_put(file, group, &field);
    free(images);
    char name[96];
    snprintf(name, sizeof name, "%s/images", group);
    if (status == PULMO_OK)
        status = pulmo_h5_attach_scale(file, name, 0, "classes");
    if (status == PULMO_OK)
        status = pulmo_h5_set_int(file, group, "count", (int64_t)count);
    return status;
}

static pulmo_status copy_digest(pulmo_h5 *manifest, const char *from, pulmo_h5 *file,
                                const char *to, const char *name)
{
    char *digest = NULL;
    PULMO_TRY(pulmo_h5_get_text(manifest, from, name, &digest));
    pulmo_status status = pulmo_h5_set_text(file, to, name, digest);
    free(digest);
    return status;
}

/* Of each class of the manifest the model's, which may have another order, and more. */
typedef struct class_map {
    int count;
    int32_t *to; /* (count) */
    const pulmo_model *model;
} class_map;

static pulmo_status make_map(pulmo_h5 *manifest, const pulmo_model *model, class_map *out)
{
    char **names = NULL;
    *out = (class_map){.model = model};
    PULMO_TRY(pulmo_h5_get_texts(manifest, "/", "classes", &out->count, &names));
    out->to = calloc((size_t)out->count + 1, sizeof *out->to);
    for (int k = 0; out->to && k < out->count; k++)
        while (out->to[k] < model->classes && strcmp(model->class_names[out->to[k]], names[k]) != 0)
            out->to[k]++;
    free(names);
    return out->to ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory for classes");
}

static void map_labels(const class_map *map, uint64_t count, int32_t *labels)
{
    for (uint64_t i = 0; i < count; i++)
        if (labels[i] >= 0 && labels[i] < map->count)
            labels[i] = map->to[labels[i]];
}

static pulmo_status copy_split(pulmo_h5 *manifest, pulmo_h5 *file, const char *split,
                               const class_map *map)
{
    char from[64], to[64], name[96];
    char **groups = NULL;
    int32_t *labels = NULL;
    uint64_t count = 0;
    int64_t patients = 0;
    pulmo_status status;
    snprintf(from, sizeof from, "splits/%s", split);
    snprintf(to, sizeof to, "data/%s", split);
    if (!pulmo_h5_exists(manifest, from))
        return PULMO_OK;
    snprintf(name, sizeof name, "%s/groups", from);
    PULMO_TRY(pulmo_h5_read_strings(manifest, name, &count, &groups));
    labels = malloc((count + 1) * sizeof *labels);
    PULMO_GOTO(labels ? PULMO_OK
                      : pulmo_fail(PULMO_MEMORY, "out of memory for %llu labels",
                                   (unsigned long long)count));
    snprintf(name, sizeof name, "%s/labels", from);
    PULMO_GOTO(pulmo_h5_read(manifest, name, PULMO_H5_I32, 1, &count, labels));
    map_labels(map, count, labels);
    PULMO_GOTO(write_counts(file, to, map->model->classes, count, labels));
    patients = count_different(groups, count); /* as 0.1.0 counted them */
    if (pulmo_h5_has_attribute(manifest, from, "patients"))
        PULMO_GOTO(pulmo_h5_get_int(manifest, from, "patients", &patients));
    PULMO_GOTO(pulmo_h5_set_int(file, to, "patients", patients));
    PULMO_GOTO(copy_digest(manifest, from, file, to, "sha256"));
    if (pulmo_h5_has_attribute(manifest, from, "pixels_sha256")) /* not in packs of 0.1.0 */
        PULMO_GOTO(copy_digest(manifest, from, file, to, "pixels_sha256"));
out:
    free(groups);
    free(labels);
    return status;
}

/* A list and, as the attribute NAME_count of its group, its length. An empty one is not written:
 * h5diff calls what is empty not comparable. */
static pulmo_status copy_lines(pulmo_h5 *manifest, pulmo_h5 *file, const char *group,
                               const char *list, const char *long_name)
{
    char **lines = NULL, from[64], to[64], total[64];
    uint64_t count = 0;
    snprintf(from, sizeof from, "%s/%s", group, list);
    snprintf(to, sizeof to, "data/%s", group);
    snprintf(total, sizeof total, "%s_count", list);
    if (!pulmo_h5_exists(manifest, from))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_read_strings(manifest, from, &count, &lines));
    const results_field field = {list, long_name, NULL, PULMO_H5_STRING, 1, {count}, lines};
    pulmo_status status = count > 0 ? results_put(file, to, &field) : PULMO_OK;
    if (status == PULMO_OK)
        status = pulmo_h5_set_int(file, to, total, (int64_t)count);
    free(lines);
    return status;
}

static pulmo_status copy_text(pulmo_h5 *manifest, pulmo_h5 *file, const char *name)
{
    char *text = NULL;
    PULMO_TRY(pulmo_h5_get_text(manifest, "/", name, &text));
    pulmo_status status = pulmo_h5_set_text(file, "data", name, text);
    free(text);
    return status;
}

static pulmo_status copy_number(pulmo_h5 *manifest, pulmo_h5 *file, const char *name)
{
    int64_t number = 0;
    PULMO_TRY(pulmo_h5_get_int(manifest, "/", name, &number));
    return pulmo_h5_set_int(file, "data", name, number);
}

static pulmo_status copy_attributes(pulmo_h5 *manifest, pulmo_h5 *file)
{
    static const char *const texts[] = {"resize", "decode", "carve"};
    /* not in packs of 0.1.0 */
    static const char *const later[] = {"patients", "patients_by", "fit", "border", "decoding"};
    static const char *const numbers[] = {"height", "width", "channels"};
    for (int i = 0; i < 3; i++)
        PULMO_TRY(copy_text(manifest, file, texts[i]));
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (pulmo_h5_has_attribute(manifest, "/", later[i]))
            PULMO_TRY(copy_text(manifest, file, later[i]));
    for (int i = 0; i < 3; i++)
        PULMO_TRY(copy_number(manifest, file, numbers[i]));
    return PULMO_OK;
}

static pulmo_status copy_splits(pulmo_h5 *manifest, pulmo_h5 *file, const pulmo_model *model)
{
    class_map map;
    PULMO_TRY(make_map(manifest, model, &map));
    pulmo_status status = PULMO_OK;
    for (int s = 0; s < PULMO_SPLITS && status == PULMO_OK; s++)
        status = copy_split(manifest, file, pulmo_split_name(s), &map);
    free(map.to);
    return status;
}

static pulmo_status copy_all(pulmo_h5 *manifest, pulmo_h5 *file, const pulmo_model *model)
{
    static const struct {
        const char *group, *list, *long_name;
    } lines[] = {
        {"refused", "paths", "images that were not packed"},
        {"refused", "reasons", "why, in the order of the paths"},
        {"audit", "identical", "images that are the same picture"},
        {"audit", "similar", "images that are nearly the same"},
        {"audit", "shared_patients", "patients that stand in several splits"},
        {"audit", "mixed_patients", "patients with images in several classes"},
        {"audit", "leaks", "pictures that stand in several splits"},
    };
    PULMO_TRY(copy_attributes(manifest, file));
    PULMO_TRY(copy_splits(manifest, file, model));
    const size_t count = sizeof lines / sizeof lines[0];
    for (size_t i = 0; i < count; i++)
        PULMO_TRY(copy_lines(manifest, file, lines[i].group, lines[i].list, lines[i].long_name));
    return PULMO_OK;
}

/* Files of earlier versions do not say: their names told. */
pulmo_status pulmo_results_patients(pulmo_h5 *results, pulmo_patients *out)
{
    char *text = NULL;
    *out = PULMO_PATIENTS_KNOWN;
    if (!pulmo_h5_exists(results, "data") || !pulmo_h5_has_attribute(results, "data", "patients"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(results, "data", "patients", &text));
    if (strcmp(text, "unknown") == 0)
        *out = PULMO_PATIENTS_UNKNOWN;
    else if (strcmp(text, "some") == 0)
        *out = PULMO_PATIENTS_SOME;
    free(text);
    return PULMO_OK;
}

/* The digest of a split as it is packed now; "absent" where it is not there. */
static pulmo_status digest_now(pulmo_h5 *manifest, const char *split, char hex[PULMO_DIGEST_HEX])
{
    char base[64];
    char *text = NULL;
    snprintf(base, sizeof base, "splits/%s", split);
    snprintf(hex, PULMO_DIGEST_HEX, "absent");
    if (!pulmo_h5_exists(manifest, base))
        return PULMO_OK;
    bool of_pixels = pulmo_h5_has_attribute(manifest, base, "pixels_sha256");
    PULMO_TRY(pulmo_h5_get_text(manifest, base, of_pixels ? "pixels_sha256" : "sha256", &text));
    snprintf(hex, PULMO_DIGEST_HEX, "%s", text);
    free(text);
    return PULMO_OK;
}

/* The digest of the data set as it is packed now. */
static pulmo_status data_digest_now(pulmo_h5 *manifest, char hex[PULMO_DIGEST_HEX])
{
    char digest[PULMO_SPLITS][PULMO_DIGEST_HEX];
    const char *of_splits[PULMO_SPLITS];
    for (int s = 0; s < PULMO_SPLITS; s++) {
        PULMO_TRY(digest_now(manifest, pulmo_split_name(s), digest[s]));
        of_splits[s] = digest[s];
    }
    pulmo_dataset_digest(of_splits, hex);
    return PULMO_OK;
}

/* Whether what was trained on, or scored, is what is packed now. Digests of folds are of parts. */
static pulmo_status is_still(pulmo_h5 *manifest, const pulmo_results *r, bool *same)
{
    char now[PULMO_DIGEST_HEX];
    const pulmo_split_scores *scores = r->test ? r->test : r->val;
    const char *wanted = scores ? scores->info->digest_hex : NULL;
    *same = true;
    if (r->folds > 0 || (r->origin && r->origin->config->data.fold >= 0))
        return PULMO_OK;
    if (r->origin)
        wanted = r->origin->data_digest;
    if (!wanted)
        return PULMO_OK;
    if (r->origin)
        PULMO_TRY(data_digest_now(manifest, now));
    else
        PULMO_TRY(digest_now(manifest, scores->split, now));
    *same = strcmp(now, wanted) == 0;
    return PULMO_OK;
}

/* A pack may have been made anew while a run was trained on what it was. */
static pulmo_status copy_if_same(pulmo_h5 *manifest, pulmo_h5 *file, const pulmo_results *r)
{
    bool same = false;
    PULMO_TRY(is_still(manifest, r, &same));
    if (same)
        return copy_all(manifest, file, r->model);
    pulmo_warn(
        "%s: was packed anew since this program began: the results do not say how the images "
        "that they are of were packed",
        r->data);
    return PULMO_OK;
}

pulmo_status results_data(pulmo_h5 *file, const pulmo_results *r)
{
    pulmo_h5 *manifest = NULL;
    char *path = pulmo_format("%s/manifest.h5", r->data);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, &manifest);
    free(path);
    PULMO_TRY(status);
    status = copy_if_same(manifest, file, r);
    pulmo_h5_close(manifest);
    return status;
}

/* ---- columns that pack.keep kept: /SPLIT/kept/0, 1, ..., their names the split's attribute kept
 * ---- */

pulmo_status results_kept(pulmo_h5 *file, const pulmo_split_scores *scores)
{
    const pulmo_dataset_info *info = scores->info;
    char name[96];
    if (info->kept == 0)
        return PULMO_OK;
    for (int k = 0; k < info->kept; k++) {
        snprintf(name, sizeof name, "%s/kept/%d", scores->split, k);
        PULMO_TRY(pulmo_h5_write_strings(file, name, info->count, info->kept_columns[k]));
        PULMO_TRY(pulmo_h5_set_text(file, name, "long_name", info->kept_names[k]));
    }
    return pulmo_h5_set_texts(file, scores->split, "kept", info->kept, info->kept_names);
}
