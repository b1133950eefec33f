/* Dimension scales, and walking through a file. */
#include <hdf5_hl.h>
#include <stdlib.h>
#include <string.h>

#include "h5_room.h"

#define VALUE_BYTES 512
#define DEPTH_MAX   64

pulmo_status pulmo_h5_make_scale(pulmo_h5 *file, const char *name, const char *label)
{
    h5_lock();
    hid_t scale = H5Dopen2(file->id, name, H5P_DEFAULT);
    pulmo_status status = PULMO_OK;
    if (scale < 0 || H5DSset_scale(scale, label) < 0)
        status = h5_fail(file, name, "cannot become a dimension scale");
    if (scale >= 0)
        H5Dclose(scale);
    h5_unlock();
    return status;
}

pulmo_status pulmo_h5_attach_scale(pulmo_h5 *file, const char *dataset, int dim, const char *scale)
{
    h5_lock();
    hid_t id = H5Dopen2(file->id, dataset, H5P_DEFAULT),
          scale_id = H5Dopen2(file->id, scale, H5P_DEFAULT);
    pulmo_status status = PULMO_OK;
    if (id < 0 || scale_id < 0 || H5DSattach_scale(id, scale_id, (unsigned)dim) < 0)
        status = h5_fail(file, dataset, "cannot be given its dimension scale");
    if (id >= 0)
        H5Dclose(id);
    if (scale_id >= 0)
        H5Dclose(scale_id);
    h5_unlock();
    return status;
}

/* ---- walking ---- */

typedef struct walk {
    const pulmo_h5 *file;
    pulmo_h5_visitor visit;
    pulmo_h5_dataset_visitor visit_dataset; /* instead of `visit` */
    void *context;
    const char *object;
} walk;

static void free_texts_in_words(const pulmo_h5 *file, hid_t attribute, char out[VALUE_BYTES])
{
    char **texts = NULL;
    int count = 0;
    size_t at = 0;
    if (h5_attribute_texts(file, attribute, "an attribute", &count, &texts) != PULMO_OK) {
        pulmo_error_clear();
        return;
    }
    out[0] = '\0';
    for (int i = 0; i < count && at < VALUE_BYTES; i++)
        at += (size_t)snprintf(out + at, VALUE_BYTES - at, "%s%s", i ? ", " : "", texts[i]);
    free(texts);
}

/* One attribute's value in words, at most VALUE_BYTES. */
static void value_in_words(const pulmo_h5 *file, hid_t attribute, char out[VALUE_BYTES])
{
    size_t bytes = 0;
    double numbers[16];
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    hssize_t points = H5Sget_simple_extent_npoints(space);
    int ours = h5_type_of(type, &bytes);
    size_t at = 0;
    snprintf(out, VALUE_BYTES, "(%lld values)", (long long)points);
    if (ours == PULMO_H5_STRING && points > 0 && points < 4096 && bytes < 65536 &&
        (size_t)points * bytes <= H5_STRING_MAX) {
        char *raw = malloc((size_t)points * bytes + 1);
        if (raw && H5Aread(attribute, type, raw) >= 0) {
            out[0] = '\0';
            for (hssize_t i = 0; i < points && at < VALUE_BYTES; i++)
                at += (size_t)snprintf(out + at, VALUE_BYTES - at, "%s%.*s", i ? ", " : "",
                                       (int)strnlen(raw + (size_t)i * bytes, bytes),
                                       raw + (size_t)i * bytes);
        }
        free(raw);
    } else if (h5_is_free_text(type) && points > 0 && points < 4096) {
        free_texts_in_words(file, attribute, out);
    } else if (ours >= 0 && ours != PULMO_H5_STRING && points > 0 && points <= 16 &&
               H5Aread(attribute, H5T_NATIVE_DOUBLE, numbers) >= 0) {
        for (hssize_t i = 0; i < points && at < VALUE_BYTES; i++)
            at +=
                (size_t)snprintf(out + at, VALUE_BYTES - at, "%s%.10g", i ? ", " : "", numbers[i]);
    }
    H5Sclose(space);
    H5Tclose(type);
}

static herr_t on_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    const walk *w = context;
    char value[VALUE_BYTES];
    (void)info;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return -1;
    value_in_words(w->file, attribute, value);
    H5Aclose(attribute);
    w->visit(w->context, w->object, NULL, name, value);
    return 0;
}

static void shape_of(hid_t dataset, pulmo_h5_shape *out)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    memset(out, 0, sizeof *out);
    int ours = h5_type_of(type, &out->string_bytes), rank = H5Sget_simple_extent_ndims(space);
    out->type = ours < 0 ? PULMO_H5_OTHER : (pulmo_h5_type)ours;
    if (rank > PULMO_H5_RANK_MAX || H5Sget_simple_extent_type(space) == H5S_NULL)
        out->type = PULMO_H5_OTHER;
    out->rank = rank < PULMO_H5_RANK_MAX ? rank : PULMO_H5_RANK_MAX;
    if (rank < 0)
        out->rank = 0;
    H5Sget_simple_extent_dims(space, dims, NULL);
    for (int i = 0; i < out->rank; i++)
        out->dims[i] = dims[i];
    H5Sclose(space);
    H5Tclose(type);
}

/* A group that holds itself would never end. */
static bool too_deep(const char *name)
{
    int depth = 0;
    for (const char *c = name; *c; c++)
        depth += *c == '/';
    return depth > DEPTH_MAX;
}

static herr_t on_object(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    walk *w = context;
    pulmo_h5_shape shape;
    if (too_deep(name))
        return -1;
    hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    if (object < 0)
        return -1;
    w->object = name;
    bool dataset = info->type == H5O_TYPE_DATASET;
    if (dataset)
        shape_of(object, &shape);
    w->visit(w->context, name, dataset ? &shape : NULL, NULL, NULL);
    herr_t looked = H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, on_attribute, w);
    H5Oclose(object);
    return looked < 0 ? -1 : 0;
}

static herr_t on_dataset(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    const walk *w = context;
    pulmo_h5_shape shape;
    if (too_deep(name))
        return -1;
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    if (object < 0)
        return -1;
    shape_of(object, &shape);
    w->visit_dataset(w->context, name, &shape);
    H5Oclose(object);
    return 0;
}

static pulmo_status walk_through(pulmo_h5 *file, H5O_iterate_t on_each, walk *w)
{
    h5_lock();
    pulmo_status status = PULMO_OK;
    if (H5Ovisit2(file->id, H5_INDEX_NAME, H5_ITER_INC, on_each, w, H5O_INFO_BASIC) < 0)
        status = h5_fail(file, NULL, "cannot be walked through: the file is damaged");
    h5_unlock();
    return status;
}

pulmo_status pulmo_h5_visit(pulmo_h5 *file, pulmo_h5_visitor visit, void *context)
{
    walk w = {.file = file, .visit = visit, .context = context, .object = "/"};
    return walk_through(file, on_object, &w);
}

pulmo_status pulmo_h5_visit_datasets(pulmo_h5 *file, pulmo_h5_dataset_visitor visit, void *context)
{
    walk w = {.file = file, .visit_dataset = visit, .context = context};
    return walk_through(file, on_dataset, &w);
}
