/* Shards and manifests, written. The layout stands in pulmo/packed.h. */
#include "pulmo/packed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/dataset.h"
#include "pulmo/digest.h"
#include "pulmo/h5.h"
#include "pulmo/memory.h"

#include "packed_room.h"

char *pulmo_shard_path(const char *directory, const char *split, uint32_t shard, uint32_t shards)
{
    return pulmo_format("%s/%s-%05u-of-%05u.h5", directory, split, shard, shards);
}

uint32_t pulmo_packed_first(const pulmo_packed_split *split, uint32_t shard)
{
    const pulmo_cut cut = {split->count, split->shards, split->first};
    return pulmo_cut_first(&cut, shard);
}

/* ---- shards ---- */

struct pulmo_shard_writer {
    pulmo_h5 *file;
    uint64_t next;
    size_t image_bytes;
};

static pulmo_status describe_form(pulmo_h5 *file, const char *kind, const pulmo_packed_form *form)
{
    PULMO_TRY(pulmo_h5_set_kind(file, kind, PULMO_PACK_FORMAT_VERSION));
    const pulmo_h5_text_attribute texts[] = {
        {"resize", form->resize},
        {"decode", form->decode},
    };
    PULMO_TRY(pulmo_h5_set_texts(file, "/", "classes", form->classes, form->class_names));
    PULMO_TRY(pulmo_h5_set_text_list(file, "/", texts, PULMO_COUNT_OF(texts)));
    PULMO_TRY(pulmo_framing_write(file, &form->framing));
    PULMO_TRY(packed_write_formats(file, form->formats));
    return pulmo_h5_set_int(file, "/", "demo", form->is_demo);
}

/* What a dataset holds, in words. */
static pulmo_status set_long_name(pulmo_h5 *file, const char *dataset, const char *words)
{
    return pulmo_h5_set_text(file, dataset, "long_name", words);
}

/* A dataset of strings. */
typedef struct column {
    const char *name;
    const char *const *strings;
} column;

/* /index is the dimension scale of every per-image dataset. */
static pulmo_status write_index(pulmo_h5 *file, uint32_t first, uint64_t count)
{
    const uint64_t room = count > 0 ? count : 1;
    int64_t *index = malloc(room * sizeof *index);
    if (!index)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate %llu indices", (unsigned long long)count);
    const int64_t begin = first;
    for (uint64_t i = 0; i < count; i++)
        index[i] = begin + (int64_t)i;
    pulmo_status status = pulmo_h5_write(file, "index", PULMO_H5_I64, 1, &count, index);
    free(index);
    PULMO_TRY(status);
    PULMO_TRY(set_long_name(file, "index", "place of the image in its split"));
    return pulmo_h5_make_scale(file, "index", "image");
}

static pulmo_status write_samples(pulmo_h5 *file, const pulmo_packed_form *form,
                                  const pulmo_packed_split *split, uint32_t first, uint64_t count)
{
    static const char *const scaled[] = {"images", "labels",  "paths",
                                         "groups", "digests", "pixel_digests"};

    const column columns[] = {
        {"paths", split->paths},
        {"groups", split->groups},
        {"digests", split->digests},
        {"pixel_digests", split->pixel_digests},
    };
    const uint64_t height = (uint64_t)form->height_px;
    const uint64_t width = (uint64_t)form->width_px;
    const uint64_t channels = (uint64_t)form->channels;
    const uint64_t dims[4] = {count, height, width, channels};
    const int32_t *labels = split->labels + first;
    PULMO_TRY(write_index(file, first, count));
    PULMO_TRY(pulmo_h5_create_rows(file, "images", PULMO_H5_U8, 4, dims));
    PULMO_TRY(pulmo_h5_write(file, "labels", PULMO_H5_I32, 1, &count, labels));
    for (size_t i = 0; i < PULMO_COUNT_OF(columns); i++) {
        const column *c = &columns[i];
        const char *const *strings = c->strings + first;
        PULMO_TRY(pulmo_h5_write_strings(file, c->name, count, strings));
    }
    for (size_t i = 0; i < PULMO_COUNT_OF(scaled); i++)
        PULMO_TRY(pulmo_h5_attach_scale(file, scaled[i], 0, "index"));
    PULMO_TRY(set_long_name(file, "images", "images (N, H, W, C), 8 bits a channel"));
    PULMO_TRY(set_long_name(file, "labels", "class index; names in the attribute classes of /"));
    PULMO_TRY(set_long_name(file, "groups", "patient"));
    PULMO_TRY(set_long_name(file, "digests", "SHA-256 of the source file"));
    return set_long_name(file, "pixel_digests", "SHA-256 of the packed pixels");
}

static pulmo_status start_shard(pulmo_h5 *file, const pulmo_packed_form *form,
                                const pulmo_packed_split *split, uint32_t shard)
{
    const uint32_t first = pulmo_packed_first(split, shard);
    const uint32_t end = pulmo_packed_first(split, shard + 1);
    const uint64_t count = end - first;
    const pulmo_h5_int_attribute place[] = {
        {"shard", shard},
        {"shards", split->shards},
    };
    PULMO_TRY(describe_form(file, "shard", form));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "split", split->name));
    PULMO_TRY(pulmo_h5_set_int_list(file, "/", place, PULMO_COUNT_OF(place)));
    return write_samples(file, form, split, first, count);
}

static size_t image_bytes_of(const pulmo_packed_form *form)
{
    const size_t pixels = (size_t)form->height_px * (size_t)form->width_px;
    return pixels * (size_t)form->channels;
}

static pulmo_status create_shard_file(const char *directory, const pulmo_packed_split *split,
                                      uint32_t shard, pulmo_h5 **out)
{
    char *path = pulmo_shard_path(directory, split->name, shard, split->shards);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_create(path, out);
    free(path);
    return status;
}

pulmo_status pulmo_shard_create(const char *directory, const pulmo_packed_form *form,
                                const pulmo_packed_split *split, uint32_t shard,
                                pulmo_shard_writer **out)
{
    pulmo_shard_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate a shard writer");
    writer->image_bytes = image_bytes_of(form);
    pulmo_status status = create_shard_file(directory, split, shard, &writer->file);
    if (status == PULMO_OK)
        status = start_shard(writer->file, form, split, shard);
    if (status == PULMO_OK)
        *out = writer;
    else
        pulmo_shard_abandon(writer);
    return status;
}

pulmo_status pulmo_shard_append(pulmo_shard_writer *writer, uint32_t count, const uint8_t *pixels)
{
    const uint64_t first = writer->next;
    writer->next += count;
    return pulmo_h5_write_byte_rows(writer->file, "images", first, count, writer->image_bytes,
                                    pixels);
}

pulmo_status pulmo_shard_commit(pulmo_shard_writer *writer)
{
    pulmo_status status = pulmo_h5_seal(writer->file);
    if (status == PULMO_OK)
        status = pulmo_h5_commit(writer->file);
    else
        pulmo_h5_close(writer->file);
    free(writer);
    return status;
}

void pulmo_shard_abandon(pulmo_shard_writer *writer)
{
    if (!writer)
        return;
    pulmo_h5_close(writer->file);
    free(writer);
}

/* ---- the manifest ---- */

static void add_text(pulmo_digester *digester, const char *text)
{
    const size_t bytes = strlen(text) + 1; /* with its end */
    pulmo_digester_add(digester, text, bytes);
}

pulmo_status packed_digest(const pulmo_packed_form *form, const pulmo_packed_split *split,
                           bool of_pixels, char hex[PULMO_DIGEST_HEX])
{
    pulmo_digester *digester = NULL;
    char shape[96];
    PULMO_TRY(pulmo_digester_create(&digester));
    snprintf(shape, sizeof shape, "%u x %d x %d x %d", split->count, form->height_px,
             form->width_px, form->channels);
    add_text(digester, shape);
    add_text(digester, form->resize);
    add_text(digester, form->decode);
    for (int k = 0; k < form->classes; k++)
        add_text(digester, form->class_names[k]);
    for (uint32_t i = 0; i < split->count; i++) {
        const int class = split->labels[i];
        char label[16];
        snprintf(label, sizeof label, "%d", class);
        add_text(digester, label);
        add_text(digester, split->paths[i]);
        add_text(digester, split->digests[i]);
        if (of_pixels)
            add_text(digester, split->pixel_digests[i]);
    }
    pulmo_digest digest = pulmo_digester_end(digester);
    pulmo_digest_hex(&digest, hex);
    return PULMO_OK;
}

/* Columns stand under numbers: their names may hold what names in HDF5 may not ("AP/PA"). */
static pulmo_status write_kept(pulmo_h5 *file, const char *base, const pulmo_packed_split *split)
{
    if (split->kept == 0)
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_set_texts(file, base, "kept", split->kept, split->kept_names));
    for (int k = 0; k < split->kept; k++) {
        const char *const *strings = split->kept_columns[k];
        char name[128];
        snprintf(name, sizeof name, "%s/kept/%d", base, k);
        PULMO_TRY(pulmo_h5_write_strings(file, name, split->count, strings));
        PULMO_TRY(set_long_name(file, name, split->kept_names[k]));
    }
    return PULMO_OK;
}

static pulmo_status write_first(pulmo_h5 *file, const char *name, const pulmo_packed_split *split)
{
    const uint64_t count = (uint64_t)split->shards + 1;
    int64_t *first = malloc(count * sizeof *first);
    if (!first)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate %u shards", split->shards);
    for (uint64_t i = 0; i < count; i++)
        first[i] = split->first[i];
    pulmo_status status = pulmo_h5_write(file, name, PULMO_H5_I64, 1, &count, first);
    free(first);
    return status;
}

/* What only some splits have. */
static pulmo_status write_extras(pulmo_h5 *file, const char *base, const pulmo_packed_split *split)
{
    char name[128];
    const uint64_t sketches[] = {split->count, PULMO_SKETCH_BYTES};
    snprintf(name, sizeof name, "%s/first", base);
    if (split->first)
        PULMO_TRY(write_first(file, name, split));
    snprintf(name, sizeof name, "%s/sure_patients", base);
    if (split->sure)
        PULMO_TRY(pulmo_h5_write_strings(file, name, split->count, split->sure));
    snprintf(name, sizeof name, "%s/sketches", base);
    if (split->sketches)
        return pulmo_h5_write(file, name, PULMO_H5_U8, 2, sketches, split->sketches);
    return PULMO_OK;
}

static pulmo_status write_folds(pulmo_h5 *file, const char *base, const pulmo_packed_split *split)
{
    const uint64_t count = split->count;
    char name[128];
    if (!split->fold)
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_set_int(file, base, "folds", split->folds));
    snprintf(name, sizeof name, "%s/folds", base);
    return pulmo_h5_write(file, name, PULMO_H5_I32, 1, &count, split->fold);
}

/* Where fractions or folds made the splits, these are others than the source named. */
static pulmo_status write_given(pulmo_h5 *file, const char *base, const pulmo_packed_split *split)
{
    const uint64_t count = split->count;
    char name[128];
    if (!split->given)
        return PULMO_OK;
    snprintf(name, sizeof name, "%s/given", base);
    return pulmo_h5_write(file, name, PULMO_H5_I32, 1, &count, split->given);
}

static pulmo_status write_strings(pulmo_h5 *file, const char *base, const pulmo_packed_split *split)
{
    const column columns[] = {
        {"paths", split->paths},
        {"groups", split->groups},
        {"digests", split->digests},
        {"pixel_digests", split->pixel_digests},
    };
    for (size_t i = 0; i < PULMO_COUNT_OF(columns); i++) {
        const column *c = &columns[i];
        char name[128];
        snprintf(name, sizeof name, "%s/%s", base, c->name);
        PULMO_TRY(pulmo_h5_write_strings(file, name, split->count, c->strings));
    }
    return PULMO_OK;
}

static pulmo_status write_split(pulmo_h5 *file, const pulmo_packed_form *form,
                                const pulmo_packed_split *split)
{
    char base[96];
    char name[128];
    char hex[PULMO_DIGEST_HEX];
    char pixels_hex[PULMO_DIGEST_HEX];
    const uint64_t count = split->count;
    const pulmo_h5_int_attribute numbers[] = {
        {"count", split->count},
        {"shards", split->shards},
        {"patients", split->patients},
    };
    snprintf(base, sizeof base, "splits/%s", split->name);
    PULMO_TRY(packed_digest(form, split, false, hex));
    PULMO_TRY(packed_digest(form, split, true, pixels_hex));
    PULMO_TRY(pulmo_h5_set_int_list(file, base, numbers, PULMO_COUNT_OF(numbers)));
    PULMO_TRY(pulmo_h5_set_text(file, base, "sha256", hex));
    PULMO_TRY(pulmo_h5_set_text(file, base, "pixels_sha256", pixels_hex));
    snprintf(name, sizeof name, "%s/labels", base);
    PULMO_TRY(pulmo_h5_write(file, name, PULMO_H5_I32, 1, &count, split->labels));
    PULMO_TRY(write_extras(file, base, split));
    PULMO_TRY(write_folds(file, base, split));
    PULMO_TRY(write_given(file, base, split));
    PULMO_TRY(write_strings(file, base, split));
    return write_kept(file, base, split);
}

/* A dataset of lines. */
typedef struct findings {
    const char *name;
    const pulmo_lines *lines;
} findings;

static pulmo_status write_findings(pulmo_h5 *file, const findings *found, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const pulmo_lines *lines = found[i].lines;
        PULMO_TRY(pulmo_h5_write_strings(file, found[i].name, lines->count, lines->text));
    }
    return PULMO_OK;
}

static pulmo_status write_table(pulmo_h5 *file, const pulmo_manifest *manifest)
{
    const findings of_table[] = {
        {"table/notes", &manifest->table_notes},
        {"table/rows_without_file", &manifest->rows_without_file},
        {"table/files_without_row", &manifest->files_without_row},
    };
    if (!manifest->has_table)
        return PULMO_OK;
    return write_findings(file, of_table, PULMO_COUNT_OF(of_table));
}

static pulmo_status write_manifest(pulmo_h5 *file, const pulmo_manifest *manifest)
{
    const pulmo_packed_form *form = &manifest->form;
    const pulmo_h5_int_attribute shape[] = {
        {"height", form->height_px},
        {"width", form->width_px},
        {"channels", form->channels},
    };
    const pulmo_h5_text_attribute texts[] = {
        {"carve", manifest->split_notes},
        {"patients", manifest->patients},
        {"patients_by", manifest->patients_by},
    };
    const findings of_audit[] = {
        {"refused/paths", &manifest->refused_paths},
        {"refused/reasons", &manifest->refused_reasons},
        {"audit/identical", &manifest->identical},
        {"audit/similar", &manifest->similar},
        {"audit/shared_patients", &manifest->shared_patients},
        {"audit/mixed_patients", &manifest->mixed_patients},
        {"audit/leaks", &manifest->leaks},
    };
    PULMO_TRY(describe_form(file, "manifest", form));
    PULMO_TRY(pulmo_h5_set_int_list(file, "/", shape, PULMO_COUNT_OF(shape)));
    PULMO_TRY(pulmo_h5_set_text_list(file, "/", texts, PULMO_COUNT_OF(texts)));
    if (manifest->pseudonyms && *manifest->pseudonyms)
        PULMO_TRY(pulmo_h5_set_text(file, "/", "pseudonyms", manifest->pseudonyms));
    PULMO_TRY(pulmo_h5_write_text(file, "options", manifest->options));
    PULMO_TRY(pulmo_h5_write_text(file, "config", manifest->config));
    for (int s = 0; s < manifest->splits; s++)
        PULMO_TRY(write_split(file, form, &manifest->split[s]));
    PULMO_TRY(write_table(file, manifest));
    return write_findings(file, of_audit, PULMO_COUNT_OF(of_audit));
}

pulmo_status pulmo_manifest_write(const char *directory, const pulmo_manifest *manifest)
{
    pulmo_h5 *file = NULL;
    char *path = pulmo_format("%s/manifest.h5", directory);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_create(path, &file);
    free(path);
    PULMO_TRY(status);
    status = write_manifest(file, manifest);
    if (status == PULMO_OK)
        status = pulmo_h5_seal(file);
    if (status == PULMO_OK)
        return pulmo_h5_commit(file);
    pulmo_h5_close(file);
    return status;
}

void pulmo_dataset_digest(const char *const of_splits[PULMO_SPLITS], char hex[PULMO_DIGEST_HEX])
{
    char all[PULMO_SPLITS * PULMO_DIGEST_HEX] = "";
    size_t at = 0;
    for (int i = 0; i < PULMO_SPLITS; i++) {
        const char *blank = i > 0 ? " " : "";
        snprintf(all + at, sizeof all - at, "%s%s", blank, of_splits[i]);
        at += strlen(all + at);
    }
    pulmo_digest digest = pulmo_digest_of(all, at);
    pulmo_digest_hex(&digest, hex);
}
