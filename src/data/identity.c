/* By what images are found again: read from a manifest, kept in another file. */
#include "pulmo/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_room.h"
#include "pulmo/h5.h"
#include "pulmo/memory.h"

static pulmo_status make_room(uint32_t count, pulmo_identities *out)
{
    const size_t room = (size_t)count + 1;
    *out = (pulmo_identities){.count = count};
    out->files = calloc(room, sizeof *out->files);
    out->pixels = calloc(room, sizeof *out->pixels);
    if (out->files && out->pixels)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for what tells %u images", count);
}

static pulmo_status make_sketches(pulmo_identities *out)
{
    out->sketches = calloc((size_t)out->count + 1, sizeof *out->sketches);
    if (out->sketches)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for what tells %u images", out->count);
}

/* ---- of a data set ---- */

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool parse_digest(const char *hex, pulmo_digest *out)
{
    if (strlen(hex) != PULMO_DIGEST_HEX - 1)
        return false;
    for (size_t i = 0; i < PULMO_DIGEST_BYTES; i++) {
        const int high = digit_of(hex[2 * i]);
        const int low = digit_of(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static pulmo_status read_digests(const pulmo_dataset *d, digest_of_image kind, pulmo_digest *out)
{
    char **hex = NULL;
    PULMO_TRY(dataset_digests(d, kind, &hex));
    bool right = true;
    for (uint32_t i = 0; i < d->info.count && right; i++)
        right = parse_digest(hex[i], &out[i]);
    free(hex);
    if (right)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: the manifest has a digest that is none; pack anew",
                      d->directory);
}

/* The place of the data set's image in the manifest's columns; never before it. */
static uint32_t place_of(const pulmo_dataset *d, uint32_t image)
{
    return d->index ? d->index[image] : image;
}

/* Packs of earlier releases have none. */
static pulmo_status read_sketches(pulmo_h5 *file, const char *base, const pulmo_dataset *d,
                                  pulmo_identities *out)
{
    char name[128];
    const uint64_t dims[] = {d->cut.count, PULMO_SKETCH_BYTES};
    snprintf(name, sizeof name, "%s/sketches", base);
    if (!pulmo_h5_exists(file, name))
        return PULMO_OK;
    int8_t(*all)[PULMO_SKETCH_BYTES] = malloc(((size_t)d->cut.count + 1) * sizeof *all);
    if (!all)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", d->directory);
    out->sketches = all;
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_U8, 2, dims, all));
    for (uint32_t i = 0; d->index && i < d->info.count; i++)
        memcpy(all[i], all[place_of(d, i)], sizeof *all);
    return PULMO_OK;
}

/* The same: their names of patients are not all certain. */
static pulmo_status read_patients(pulmo_h5 *file, const char *base, const pulmo_dataset *d,
                                  pulmo_identities *out)
{
    char name[128];
    uint64_t count = 0;
    snprintf(name, sizeof name, "%s/sure_patients", base);
    if (!pulmo_h5_exists(file, name))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_read_strings(file, name, &count, &out->patients));
    if (count != d->cut.count)
        return packed_damaged(file, "lists of a split differ in length");
    for (uint32_t i = 0; d->index && i < d->info.count; i++)
        out->patients[i] = out->patients[place_of(d, i)];
    return PULMO_OK;
}

static pulmo_status read_key(pulmo_h5 *file, const char *object, pulmo_identities *out)
{
    if (pulmo_h5_has_attribute(file, object, "pseudonyms"))
        return pulmo_h5_get_text(file, object, "pseudonyms", &out->key_name);
    out->key_name = pulmo_strdup("");
    return out->key_name ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status read_columns(pulmo_h5 *file, const pulmo_dataset *d, pulmo_identities *out)
{
    char base[96];
    snprintf(base, sizeof base, "splits/%s", d->split);
    PULMO_TRY(read_key(file, "/", out));
    if (d->info.count == 0)
        return PULMO_OK;
    PULMO_TRY(read_sketches(file, base, d, out));
    return read_patients(file, base, d, out);
}

static pulmo_status read_all(const pulmo_dataset *d, pulmo_identities *out)
{
    pulmo_h5 *file = NULL;
    PULMO_TRY(read_digests(d, DIGEST_OF_SOURCE, out->files));
    PULMO_TRY(read_digests(d, DIGEST_OF_PIXELS, out->pixels));
    PULMO_TRY(dataset_open_manifest(d, &file));
    pulmo_status status = read_columns(file, d, out);
    pulmo_h5_close(file);
    return status;
}

pulmo_status pulmo_identities_of(const pulmo_dataset *d, pulmo_identities *out)
{
    pulmo_status status = make_room(d->info.count, out);
    if (status == PULMO_OK)
        status = read_all(d, out);
    if (status != PULMO_OK)
        pulmo_identities_free(out);
    return status;
}

/* ---- in another file ---- */

static pulmo_status write_rows(pulmo_h5 *file, const char *group, const char *column,
                               uint64_t count, uint64_t bytes, const void *rows)
{
    char name[128];
    const uint64_t dims[] = {count, bytes};
    snprintf(name, sizeof name, "%s/%s", group, column);
    return pulmo_h5_write(file, name, PULMO_H5_U8, 2, dims, rows);
}

static pulmo_status write_columns(pulmo_h5 *file, const char *group, const pulmo_identities *all)
{
    char name[128];
    const uint64_t count = all->count;
    PULMO_TRY(write_rows(file, group, "files", count, PULMO_DIGEST_BYTES, all->files));
    PULMO_TRY(write_rows(file, group, "pixels", count, PULMO_DIGEST_BYTES, all->pixels));
    if (all->sketches)
        PULMO_TRY(write_rows(file, group, "sketches", count, PULMO_SKETCH_BYTES, all->sketches));
    if (!all->patients)
        return PULMO_OK;
    snprintf(name, sizeof name, "%s/patients", group);
    return pulmo_h5_write_strings(file, name, count, (const char *const *)all->patients);
}

pulmo_status pulmo_identities_write(pulmo_h5 *file, const char *group, const pulmo_identities *all)
{
    PULMO_TRY(pulmo_h5_set_int(file, group, "count", all->count));
    if (all->key_name && *all->key_name)
        PULMO_TRY(pulmo_h5_set_text(file, group, "pseudonyms", all->key_name));
    return all->count > 0 ? write_columns(file, group, all) : PULMO_OK;
}

static pulmo_status read_rows(pulmo_h5 *file, const char *group, const char *column, uint64_t count,
                              uint64_t bytes, void *rows)
{
    char name[128];
    const uint64_t dims[] = {count, bytes};
    snprintf(name, sizeof name, "%s/%s", group, column);
    return pulmo_h5_read(file, name, PULMO_H5_U8, 2, dims, rows);
}

static pulmo_status read_extras(pulmo_h5 *file, const char *group, pulmo_identities *out)
{
    char name[128];
    uint64_t named = 0;
    snprintf(name, sizeof name, "%s/sketches", group);
    if (pulmo_h5_exists(file, name)) {
        PULMO_TRY(make_sketches(out));
        PULMO_TRY(
            read_rows(file, group, "sketches", out->count, PULMO_SKETCH_BYTES, out->sketches));
    }
    snprintf(name, sizeof name, "%s/patients", group);
    if (!pulmo_h5_exists(file, name))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_read_strings(file, name, &named, &out->patients));
    if (named == out->count)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: /%s: has %llu names of %u images", pulmo_h5_path(file), name,
                      (unsigned long long)named, out->count);
}

static pulmo_status read_group(pulmo_h5 *file, const char *group, pulmo_identities *out)
{
    const uint64_t count = out->count;
    PULMO_TRY(read_key(file, group, out));
    if (count == 0)
        return PULMO_OK;
    PULMO_TRY(read_rows(file, group, "files", count, PULMO_DIGEST_BYTES, out->files));
    PULMO_TRY(read_rows(file, group, "pixels", count, PULMO_DIGEST_BYTES, out->pixels));
    return read_extras(file, group, out);
}

/* The count, if there are so many rows in the file: memory is asked for by it. */
static pulmo_status read_count(pulmo_h5 *file, const char *group, uint32_t *out)
{
    char name[128];
    int64_t count = 0;
    PULMO_TRY(packed_get_int(file, group, "count", 0, UINT32_MAX - 1, &count));
    *out = (uint32_t)count;
    if (count == 0)
        return PULMO_OK;
    const uint64_t dims[] = {(uint64_t)count, PULMO_DIGEST_BYTES};
    snprintf(name, sizeof name, "%s/files", group);
    return pulmo_h5_check_shape(file, name, 2, dims);
}

pulmo_status pulmo_identities_read(pulmo_h5 *file, const char *group, pulmo_identities *out)
{
    uint32_t count = 0;
    PULMO_TRY(read_count(file, group, &count));
    pulmo_status status = make_room(count, out);
    if (status == PULMO_OK)
        status = read_group(file, group, out);
    if (status != PULMO_OK)
        pulmo_identities_free(out);
    return status;
}

void pulmo_identities_free(pulmo_identities *all)
{
    free(all->files);
    free(all->pixels);
    free(all->patients);
    free(all->sketches);
    free(all->key_name);
    memset(all, 0, sizeof *all);
}
