/* Datasets, read whole or by rows, and rows compared with their sums. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "h5_room.h"
#include "pulmo/memory.h"

#define NAME_BYTES_MAX 4096 /* longer ones are none of ours */

bool pulmo_h5_exists(pulmo_h5 *file, const char *name)
{
    char path[NAME_BYTES_MAX];
    const size_t length = strlen(name);
    bool found = length < sizeof path;
    h5_lock();
    /* Every group on the way must be asked for. */
    for (size_t i = 1; found && i <= length; i++) {
        if (name[i] != '/' && name[i] != '\0')
            continue;
        snprintf(path, sizeof path, "%.*s", (int)i, name);
        found = H5Lexists(file->id, path, H5P_DEFAULT) > 0;
    }
    H5Eclear2(H5E_DEFAULT);
    h5_unlock();
    return found;
}

/* With the lock held and h->dataset open. */
static pulmo_status shape_open(const pulmo_h5 *file, h5_handles *h, const char *name,
                               pulmo_h5_shape *out)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    memset(out, 0, sizeof *out);
    h->type = H5Dget_type(h->dataset);
    h->space = H5Dget_space(h->dataset);
    int type = h->type < 0 ? -1 : h5_type_of(h->type, &out->string_bytes);
    int rank = h->space < 0 ? -1 : H5Sget_simple_extent_ndims(h->space);
    /* A null space calls itself a scalar, but there is nothing to read. */
    if (type < 0 || rank < 0 || rank > PULMO_H5_RANK_MAX ||
        H5Sget_simple_extent_type(h->space) == H5S_NULL)
        return h5_fail(file, name, "has a type or shape that pulmo does not write");
    H5Sget_simple_extent_dims(h->space, dims, NULL);
    out->type = (pulmo_h5_type)type;
    out->rank = rank;
    uint64_t count = 1;
    for (int i = 0; i < rank; i++) {
        out->dims[i] = dims[i];
        if (dims[i] && count > H5_ELEMENTS_MAX / dims[i])
            return h5_fail(file, name, "is too large to be true");
        count *= dims[i];
    }
    const char *why = h5_disbelief(file->id, h->dataset, H5Tget_size(h->type));
    return why ? h5_fail(file, name, why) : PULMO_OK;
}

static pulmo_status open_shape(pulmo_h5 *file, h5_handles *h, const char *name, pulmo_h5_shape *out)
{
    h->dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (h->dataset < 0)
        return h5_fail(file, name, "is missing or damaged");
    return shape_open(file, h, name, out);
}

pulmo_status pulmo_h5_shape_of(pulmo_h5 *file, const char *name, pulmo_h5_shape *out)
{
    h5_handles h = h5_no_handles;
    h5_lock();
    pulmo_status status = open_shape(file, &h, name, out);
    return h5_end(file, &h, name, status);
}

static pulmo_status check_dims(const pulmo_h5 *file, const char *name, const pulmo_h5_shape *shape,
                               int rank, const uint64_t *dims)
{
    bool fits = shape->rank == rank && shape->type != PULMO_H5_STRING;
    for (int i = 0; fits && i < rank; i++)
        fits = dims[i] == shape->dims[i];
    if (fits)
        return PULMO_OK;
    char found[160] = "", wanted[160] = "";
    size_t f = 0, w = 0;
    for (int i = 0; i < shape->rank; i++)
        f += (size_t)snprintf(found + f, sizeof found - f, "%s%llu", i ? " x " : "",
                              (unsigned long long)shape->dims[i]);
    for (int i = 0; i < rank; i++)
        w += (size_t)snprintf(wanted + w, sizeof wanted - w, "%s%llu", i ? " x " : "",
                              (unsigned long long)dims[i]);
    return pulmo_fail(
        PULMO_DATA,
        "%s: /%s: has shape (%s)%s, must be (%s) numbers; the file is damaged or of another kind",
        file->path, name, found, shape->type == PULMO_H5_STRING ? " of strings" : "", wanted);
}

/* Opens a dataset of these dimensions. */
static pulmo_status open_checked(pulmo_h5 *file, h5_handles *h, const char *name, int rank,
                                 const uint64_t *dims)
{
    pulmo_h5_shape shape;
    PULMO_TRY(open_shape(file, h, name, &shape));
    return check_dims(file, name, &shape, rank, dims);
}

pulmo_status pulmo_h5_check_shape(pulmo_h5 *file, const char *name, int rank, const uint64_t *dims)
{
    h5_handles h = h5_no_handles;
    h5_lock();
    pulmo_status status = open_checked(file, &h, name, rank, dims);
    return h5_end(file, &h, name, status);
}

/* What is read of a dataset. */
typedef struct request {
    const char *name;
    hid_t type; /* in memory */
    uint64_t first, count;
    void *out;
} request;

/* With the dataset open and its rows selected, or h->space all of it and h->memory none. */
static pulmo_status read_selected(const pulmo_h5 *file, const h5_handles *h, const char *name,
                                  hid_t type, void *out)
{
    bool all = h->memory < 0;
    hid_t memory = all ? H5S_ALL : h->memory;
    hid_t space = all ? H5S_ALL : h->space;
    if (H5Dread(h->dataset, type, memory, space, H5P_DEFAULT, out) < 0)
        return h5_fail(file, name, "cannot be read: the file is damaged");
    return PULMO_OK;
}

/* Rows that have sums, read as they are stored, compared; then converted where another type is
 * wanted. */
static pulmo_status read_compared(const pulmo_h5 *file, const h5_handles *h, const request *r,
                                  const uint64_t *sums)
{
    hid_t stored = h5_stored_type(h);
    size_t bytes = H5Tget_size(stored);
    size_t points = (size_t)H5Sget_select_npoints(h->memory < 0 ? h->space : h->memory);
    size_t row_bytes = points / r->count * bytes;
    bool as_stored = H5Tequal(stored, r->type) > 0;
    void *rows = as_stored ? r->out : malloc(points * bytes + 1);
    if (!rows)
        return pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", file->path, r->name);
    pulmo_status status = read_selected(file, h, r->name, stored, rows);
    if (status == PULMO_OK)
        status = h5_check_rows(file, r->name, sums, r->first, r->count, row_bytes, rows);
    if (!as_stored)
        free(rows);
    if (status == PULMO_OK && !as_stored)
        status = read_selected(file, h, r->name, r->type, r->out);
    return status;
}

static pulmo_status read_sums(pulmo_h5 *file, const char *sums_name, uint64_t rows, uint64_t **out)
{
    uint64_t *sums = malloc((rows + 1) * sizeof *sums);
    if (!sums)
        return pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", file->path, sums_name);
    pulmo_status status = pulmo_h5_read(file, sums_name, PULMO_H5_U64, 1, &rows, sums);
    if (status == PULMO_OK)
        *out = sums;
    else
        free(sums);
    return status;
}

/* The rows' sums that are stored beside a dataset, looked up once. `*out` is NULL where there are
 * none; borrowed from the file. PULMO_DATA where they are not one per row. */
static pulmo_status row_sums(pulmo_h5 *file, const char *name, uint64_t rows, const uint64_t **out)
{
    uint64_t *sums = NULL;
    const h5_record *known = h5_record_find(file, name);
    *out = NULL;
    if (known) {
        *out = known->sums;
        return PULMO_OK;
    }
    char *sums_name = h5_sums_name(name);
    if (!sums_name)
        return PULMO_MEMORY;
    pulmo_status status = PULMO_OK;
    if (pulmo_h5_exists(file, sums_name))
        status = read_sums(file, sums_name, rows, &sums);
    free(sums_name);
    PULMO_TRY(status);
    *out = sums;
    return h5_record_sums(file, name, rows, sums);
}

static pulmo_status read_open(pulmo_h5 *file, const h5_handles *h, const request *r)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    const uint64_t *sums = NULL;
    H5Sget_simple_extent_dims(h->space, dims, NULL);
    if (H5Sget_simple_extent_ndims(h->space) > 0)
        PULMO_TRY(row_sums(file, r->name, dims[0], &sums));
    if (sums)
        return read_compared(file, h, r, sums);
    /* The library gives zeros for what it does not find. */
    if (!file->is_sealed && !h5_has_chunks(h, r->first, r->count))
        return h5_fail(file, r->name, "lacks a part of its values: the file is damaged");
    return read_selected(file, h, r->name, r->type, r->out);
}

pulmo_status pulmo_h5_read(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                           const uint64_t *dims, void *out)
{
    h5_handles h = h5_no_handles;
    h5_lock();
    pulmo_status status = open_checked(file, &h, name, rank, dims);
    uint64_t points = 1;
    for (int i = 0; status == PULMO_OK && i < rank; i++)
        points *= dims[i];
    const request all = {
        .name = name, .type = h5_memory_type(type), .count = rank > 0 ? dims[0] : 1, .out = out};
    if (status == PULMO_OK && points > 0)
        status = read_open(file, &h, &all);
    return h5_end(file, &h, name, status);
}

pulmo_status pulmo_h5_read_finite(pulmo_h5 *file, const char *name, int rank, const uint64_t *dims,
                                  float *out)
{
    uint64_t count = 1;
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_F32, rank, dims, out));
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(out[i]))
            return pulmo_fail(
                PULMO_DATA,
                "%s: /%s: value %llu is %g, must be a number: the file is damaged, or "
                "its training diverged",
                file->path, name, (unsigned long long)i, (double)out[i]);
    }
    return PULMO_OK;
}

pulmo_status pulmo_h5_read_rows(pulmo_h5 *file, const char *name, pulmo_h5_type type,
                                uint64_t first, uint64_t count, void *out)
{
    h5_handles h = h5_no_handles;
    const request rows = {name, h5_memory_type(type), first, count, out};
    if (count == 0)
        return PULMO_OK;
    h5_lock();
    pulmo_status status = h5_select_rows(file, &h, name, first, count);
    if (status == PULMO_OK)
        status = read_open(file, &h, &rows);
    return h5_end(file, &h, name, status);
}

/* Reads `count` strings of `bytes` each into one block: pointers first, then the text. */
static pulmo_status read_block(const pulmo_h5 *file, const h5_handles *h, const char *name,
                               uint64_t count, size_t bytes, char ***out)
{
    if (count > H5_ELEMENTS_MAX / (bytes + 1) || count * (bytes + 1) > (uint64_t)8 << 30)
        return h5_fail(file, name, "is too large to be true");
    char *raw = malloc(count * bytes + 1);
    char **strings = malloc(count * (sizeof *strings + bytes + 1) + sizeof *strings);
    hid_t type = h5_string_type(bytes), stored = H5Dget_type(h->dataset);
    H5Tset_cset(
        type,
        H5Tget_cset(stored)); /* the library does not convert ASCII, which other programs write */
    H5Tclose(stored);
    pulmo_status status = PULMO_OK;
    if (!raw || !strings)
        status = pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", file->path, name);
    else if (!file->is_sealed && count > 0 && !h5_has_chunks(h, 0, count))
        status = h5_fail(file, name, "lacks a part of its values: the file is damaged");
    else if (count > 0 && H5Dread(h->dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) < 0)
        status = h5_fail(file, name, "cannot be read: the file is damaged");
    for (uint64_t i = 0; status == PULMO_OK && i < count; i++) {
        strings[i] = (char *)(strings + count) + i * (bytes + 1);
        memcpy(strings[i], raw + i * bytes, bytes);
        strings[i][bytes] = '\0';
    }
    H5Tclose(type);
    free(raw);
    if (status == PULMO_OK)
        *out = strings;
    else
        free(strings);
    return status;
}

pulmo_status pulmo_h5_read_strings(pulmo_h5 *file, const char *name, uint64_t *count,
                                   char ***strings)
{
    h5_handles h = h5_no_handles;
    pulmo_h5_shape shape = {0};
    h5_lock();
    pulmo_status status = open_shape(file, &h, name, &shape);
    if (status == PULMO_OK && (shape.type != PULMO_H5_STRING || shape.rank != 1))
        status = h5_fail(file, name, "must be a list of strings");
    if (status == PULMO_OK)
        status = read_block(file, &h, name, shape.dims[0], shape.string_bytes, strings);
    if (status == PULMO_OK)
        *count = shape.dims[0];
    return h5_end(file, &h, name, status);
}

pulmo_status pulmo_h5_read_text(pulmo_h5 *file, const char *name, char **out)
{
    h5_handles h = h5_no_handles;
    pulmo_h5_shape shape = {0};
    char **strings = NULL;
    h5_lock();
    pulmo_status status = open_shape(file, &h, name, &shape);
    if (status == PULMO_OK && (shape.type != PULMO_H5_STRING || shape.rank != 0))
        status = h5_fail(file, name, "must be one string");
    if (status == PULMO_OK)
        status = read_block(file, &h, name, 1, shape.string_bytes, &strings);
    if (status == PULMO_OK) {
        *out = pulmo_strdup(strings[0]);
        if (!*out)
            status = PULMO_MEMORY;
    }
    free(strings);
    return h5_end(file, &h, name, status);
}
