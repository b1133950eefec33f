/* Attributes of the root, of groups and of datasets. */
#include <stdlib.h>
#include <string.h>

#include "h5_room.h"
#include "pulmo/memory.h"

#define TEXTS_MOST (1 << 20) /* of one attribute */

pulmo_status h5_make_groups(pulmo_h5 *file, const char *path)
{
    char *copy = pulmo_strdup(path);
    if (!copy)
        return PULMO_MEMORY;
    hid_t properties = H5Pcreate(H5P_GROUP_CREATE);
    bool made = true;
    H5Pset_obj_track_times(properties, false);
    for (char *slash = copy; made && (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        if (H5Lexists(file->id, copy, H5P_DEFAULT) == 0) {
            hid_t group = H5Gcreate2(file->id, copy, H5P_DEFAULT, properties, H5P_DEFAULT);
            made = group >= 0 && H5Gclose(group) >= 0;
        }
        *slash = '/';
    }
    pulmo_status status = made ? PULMO_OK : h5_fail(file, path, "cannot be created");
    H5Pclose(properties);
    free(copy);
    return status;
}

/* Opens an object; a group that is missing is made when the file is being written. */
static pulmo_status open_object(pulmo_h5 *file, const char *object, hid_t *out)
{
    bool root = strcmp(object, "/") == 0;
    *out = H5Oopen(file->id, object, H5P_DEFAULT);
    if (*out < 0 && !root && file->temporary) {
        PULMO_TRY(h5_make_groups(file, object));
        H5Eclear2(H5E_DEFAULT);
        hid_t properties = H5Pcreate(H5P_GROUP_CREATE);
        H5Pset_obj_track_times(properties, false);
        *out = H5Gcreate2(file->id, object, H5P_DEFAULT, properties, H5P_DEFAULT);
        H5Pclose(properties);
    }
    return *out >= 0 ? PULMO_OK : h5_fail(file, object, "cannot be opened");
}

/* Writes an attribute in place of one that is there. Takes the lock; closes type and space. */
static pulmo_status set_attribute(pulmo_h5 *file, const char *object, const char *name, hid_t type,
                                  hid_t space, hid_t memory, const void *value)
{
    hid_t id = -1;
    hid_t attribute = -1;
    pulmo_status status = open_object(file, object, &id);
    if (status == PULMO_OK && H5Aexists(id, name) > 0)
        H5Adelete(id, name);
    if (status == PULMO_OK) {
        attribute = H5Acreate2(id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        if (attribute < 0 || H5Awrite(attribute, memory, value) < 0)
            status = h5_fail(file, name, "cannot be written");
    }
    if (attribute >= 0)
        H5Aclose(attribute);
    if (id >= 0)
        H5Oclose(id);
    H5Sclose(space);
    return status;
}

void pulmo_h5_free_texts(pulmo_h5 *file)
{
    file->free_texts = true;
}

/* `space` is closed. */
static pulmo_status set_free_texts(pulmo_h5 *file, const char *object, const char *name,
                                   hid_t space, const char *const *texts)
{
    hid_t type = h5_free_text_type();
    pulmo_status status = set_attribute(file, object, name, type, space, type, texts);
    H5Tclose(type);
    return status;
}

static pulmo_status set_fixed_text(pulmo_h5 *file, const char *object, const char *name,
                                   const char *text)
{
    hid_t type = h5_string_type(strlen(text));
    /* An empty string still takes one byte. */
    char padded[2] = "";
    pulmo_status status =
        set_attribute(file, object, name, type, H5Screate(H5S_SCALAR), type, *text ? text : padded);
    H5Tclose(type);
    return status;
}

pulmo_status pulmo_h5_set_text(pulmo_h5 *file, const char *object, const char *name,
                               const char *text)
{
    pulmo_status status;
    h5_lock();
    if (file->free_texts)
        status = set_free_texts(file, object, name, H5Screate(H5S_SCALAR), &text);
    else
        status = set_fixed_text(file, object, name, text);
    h5_unlock();
    return status;
}

static pulmo_status set_fixed_texts(pulmo_h5 *file, const char *object, const char *name,
                                    hsize_t count, const char *const *texts)
{
    size_t longest = 1;
    for (hsize_t i = 0; i < count; i++)
        if (strlen(texts[i]) > longest)
            longest = strlen(texts[i]);
    char *block = calloc(count + 1, longest);
    if (!block)
        return pulmo_fail(PULMO_MEMORY, "%s: %s: out of memory", file->path, name);
    for (hsize_t i = 0; i < count; i++)
        memcpy(block + i * longest, texts[i], strlen(texts[i]));
    hid_t type = h5_string_type(longest);
    pulmo_status status =
        set_attribute(file, object, name, type, H5Screate_simple(1, &count, NULL), type, block);
    H5Tclose(type);
    free(block);
    return status;
}

pulmo_status pulmo_h5_set_texts(pulmo_h5 *file, const char *object, const char *name, int count,
                                const char *const *texts)
{
    const hsize_t all = (hsize_t)count;
    pulmo_status status;
    h5_lock();
    if (file->free_texts)
        status = set_free_texts(file, object, name, H5Screate_simple(1, &all, NULL), texts);
    else
        status = set_fixed_texts(file, object, name, all, texts);
    h5_unlock();
    return status;
}

pulmo_status pulmo_h5_set_int(pulmo_h5 *file, const char *object, const char *name, int64_t value)
{
    h5_lock();
    pulmo_status status = set_attribute(file, object, name, H5T_STD_I64LE, H5Screate(H5S_SCALAR),
                                        H5T_NATIVE_INT64, &value);
    h5_unlock();
    return status;
}

pulmo_status pulmo_h5_set_text_list(pulmo_h5 *file, const char *object,
                                    const pulmo_h5_text_attribute *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        PULMO_TRY(pulmo_h5_set_text(file, object, list[i].name, list[i].text));
    return PULMO_OK;
}

pulmo_status pulmo_h5_set_int_list(pulmo_h5 *file, const char *object,
                                   const pulmo_h5_int_attribute *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        PULMO_TRY(pulmo_h5_set_int(file, object, list[i].name, list[i].value));
    return PULMO_OK;
}

pulmo_status pulmo_h5_set_real(pulmo_h5 *file, const char *object, const char *name, double value)
{
    h5_lock();
    pulmo_status status = set_attribute(file, object, name, H5T_IEEE_F64LE, H5Screate(H5S_SCALAR),
                                        H5T_NATIVE_DOUBLE, &value);
    h5_unlock();
    return status;
}

/* ---- reading ---- */

/* With the lock held: opens an attribute for reading. */
static pulmo_status open_attribute(pulmo_h5 *file, const char *object, const char *name, hid_t *out)
{
    *out = H5Aopen_by_name(file->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (*out >= 0)
        return PULMO_OK;
    pulmo_status status = h5_fail(file, name, "cannot be read");
    if (status != PULMO_DATA)
        return status;
    return pulmo_fail(
        PULMO_DATA,
        "%s: attribute %s of %s is missing; the file is damaged or was not written by pulmo",
        file->path, name, object);
}

static pulmo_status get_number(pulmo_h5 *file, const char *object, const char *name, hid_t memory,
                               void *out)
{
    hid_t attribute = -1;
    h5_lock();
    pulmo_status status = open_attribute(file, object, name, &attribute);
    if (status == PULMO_OK) {
        hid_t space = H5Aget_space(attribute);
        if (H5Sget_simple_extent_npoints(space) != 1 || H5Aread(attribute, memory, out) < 0)
            status = h5_fail(file, name, "must be one number: the file is damaged");
        H5Sclose(space);
        H5Aclose(attribute);
    }
    h5_unlock();
    return status;
}

pulmo_status pulmo_h5_get_int(pulmo_h5 *file, const char *object, const char *name, int64_t *out)
{
    return get_number(file, object, name, H5T_NATIVE_INT64, out);
}

pulmo_status pulmo_h5_get_real(pulmo_h5 *file, const char *object, const char *name, double *out)
{
    return get_number(file, object, name, H5T_NATIVE_DOUBLE, out);
}

/* One block for `n` strings of at most `bytes` each: pointers first. NULL for want of memory. */
static char **block_of(size_t n, size_t bytes)
{
    char **texts = malloc(n * (sizeof *texts + bytes + 1) + sizeof *texts);
    for (size_t i = 0; texts && i < n; i++)
        texts[i] = (char *)(texts + n) + i * (bytes + 1);
    return texts;
}

static pulmo_status fail_text(const pulmo_h5 *file, const char *name)
{
    return h5_fail(file, name, "must be text: the file is damaged");
}

static pulmo_status fail_memory(const pulmo_h5 *file, const char *name)
{
    return pulmo_fail(PULMO_MEMORY, "%s: %s: out of memory", file->path, name);
}

static pulmo_status read_fixed_texts(const pulmo_h5 *file, hid_t attribute, hid_t type,
                                     const char *name, size_t n, char ***out)
{
    size_t bytes = 0;
    if (h5_type_of(type, &bytes) != PULMO_H5_STRING || bytes * n > H5_STRING_MAX)
        return fail_text(file, name);
    char *raw = malloc(n * bytes + 1);
    char **texts = block_of(n, bytes);
    pulmo_status status = PULMO_OK;
    if (!raw || !texts)
        status = fail_memory(file, name);
    else if (H5Aread(attribute, type, raw) < 0)
        status = fail_text(file, name);
    for (size_t i = 0; status == PULMO_OK && i < n; i++) {
        memcpy(texts[i], raw + i * bytes, bytes);
        texts[i][bytes] = '\0';
    }
    free(raw);
    if (status != PULMO_OK)
        free(texts);
    else
        *out = texts;
    return status;
}

/* In a block of our own, so that all texts are freed alike. */
static pulmo_status copy_texts(const pulmo_h5 *file, const char *name, const char *const *raw,
                               size_t n, char ***out)
{
    size_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t bytes = raw[i] ? strlen(raw[i]) : 0;
        longest = bytes > longest ? bytes : longest;
    }
    if (longest > H5_STRING_MAX / (n + 1))
        return fail_text(file, name);
    char **texts = block_of(n, longest);
    if (!texts)
        return fail_memory(file, name);
    for (size_t i = 0; i < n; i++) {
        const char *text = raw[i] ? raw[i] : "";
        memcpy(texts[i], text, strlen(text) + 1);
    }
    *out = texts;
    return PULMO_OK;
}

static pulmo_status read_free_texts(const pulmo_h5 *file, hid_t attribute, hid_t space,
                                    const char *name, size_t n, char ***out)
{
    char **raw = calloc(n + 1, sizeof *raw);
    hid_t memory = h5_free_text_type();
    pulmo_status status = PULMO_OK;
    if (!raw)
        status = fail_memory(file, name);
    else if (H5Aread(attribute, memory, raw) < 0)
        status = fail_text(file, name);
    else {
        status = copy_texts(file, name, (const char *const *)raw, n, out);
        H5Dvlen_reclaim(memory, space, H5P_DEFAULT, raw);
    }
    H5Tclose(memory);
    free(raw);
    return status;
}

pulmo_status h5_attribute_texts(const pulmo_h5 *file, hid_t attribute, const char *name, int *count,
                                char ***out)
{
    hid_t type = H5Aget_type(attribute);
    hid_t space = H5Aget_space(attribute);
    const hssize_t points = H5Sget_simple_extent_npoints(space);
    const size_t n = points > 0 ? (size_t)points : 0;
    pulmo_status status;
    if (points < 0 || points >= TEXTS_MOST)
        status = fail_text(file, name);
    else if (h5_is_free_text(type))
        status = read_free_texts(file, attribute, space, name, n, out);
    else
        status = read_fixed_texts(file, attribute, type, name, n, out);
    H5Sclose(space);
    H5Tclose(type);
    *count = (int)n;
    return status;
}

pulmo_status pulmo_h5_get_texts(pulmo_h5 *file, const char *object, const char *name, int *count,
                                char ***out)
{
    hid_t attribute = -1;
    h5_lock();
    pulmo_status status = open_attribute(file, object, name, &attribute);
    if (status == PULMO_OK) {
        status = h5_attribute_texts(file, attribute, name, count, out);
        H5Aclose(attribute);
    }
    h5_unlock();
    return status;
}

pulmo_status pulmo_h5_get_text(pulmo_h5 *file, const char *object, const char *name, char **out)
{
    char **texts = NULL;
    int count = 0;
    PULMO_TRY(pulmo_h5_get_texts(file, object, name, &count, &texts));
    pulmo_status status = PULMO_OK;
    if (count != 1)
        status = pulmo_fail(PULMO_DATA, "%s: attribute %s must be one text", file->path, name);
    else if (!(*out = pulmo_strdup(texts[0])))
        status = PULMO_MEMORY;
    free(texts);
    return status;
}

bool pulmo_h5_has_attribute(pulmo_h5 *file, const char *object, const char *name)
{
    h5_lock();
    bool found = H5Aexists_by_name(file->id, object, name, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    h5_unlock();
    return found;
}

/* ---- what a file is ---- */

pulmo_status pulmo_h5_set_kind(pulmo_h5 *file, const char *kind, int version)
{
    PULMO_TRY(pulmo_h5_set_text(file, "/", "pulmo_kind", kind));
    return pulmo_h5_set_int(file, "/", "format_version", version);
}

pulmo_status pulmo_h5_check_kind(pulmo_h5 *file, const char *kind, int version, const char *way_out)
{
    char *found = NULL;
    int64_t found_version = 0;
    pulmo_status status = PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, "/", "pulmo_kind", &found));
    if (strcmp(found, kind) != 0)
        status = pulmo_fail(PULMO_DATA, "%s: is not a %s file but a %.40s file; %s", file->path,
                            kind, found, way_out);
    free(found);
    PULMO_TRY(status);
    PULMO_TRY(pulmo_h5_get_int(file, "/", "format_version", &found_version));
    if (found_version == version)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: format version %lld, this program reads %d; %s", file->path,
                      (long long)found_version, version, way_out);
}
