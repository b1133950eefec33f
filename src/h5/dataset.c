/* Datasets: written whole or by rows, read whole or by rows. */
#include <stdlib.h>
#include <string.h>

#include "h5_room.h"
#include "pulmo/memory.h"

/* Everything that a dataset operation may have open; closed by end(). */
typedef struct handles {
    hid_t dataset, space, memory, type, properties;
} handles;

static const handles none = {-1, -1, -1, -1, -1};

/* Ends an operation that has come to `status`, with closing's own failure: chunks still in the
 * library's cache are written only then, and a full disk may be met no earlier. */
static pulmo_status end(const pulmo_h5 *file, handles *h, const char *name, pulmo_status status)
{
    bool closed = h->dataset < 0 || H5Dclose(h->dataset) >= 0;
    if (!closed && file->temporary && status == PULMO_OK)
        status = h5_fail(file, name, "cannot be written");
    if (h->space >= 0)
        H5Sclose(h->space);
    if (h->memory >= 0)
        H5Sclose(h->memory);
    if (h->type >= 0)
        H5Tclose(h->type);
    if (h->properties >= 0)
        H5Pclose(h->properties);
    h5_unlock();
    return status;
}

static uint64_t elements(int rank, const uint64_t *dims)
{
    uint64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    return count;
}

/* ---- writing ---- */

#define CHUNK_BYTES ((uint64_t)1 << 21) /* far from the library's limit of 4 GiB */
#define WHOLE_BYTES                                                                                \
    ((uint64_t)1 << 13) /* up to here a dataset lies in one piece, without a checksum */

/* Chunks of `chunk_rows` rows, or of as many as CHUNK_BYTES allows. Only chunks can have checksums:
 * a bit that fell over on disk must become neither a pixel nor a weight. */
static void set_chunks(hid_t properties, size_t row_bytes, int rank, const uint64_t *dims,
                       uint64_t chunk_rows)
{
    hsize_t chunk[PULMO_H5_RANK_MAX];
    for (int i = 0; i < rank; i++)
        chunk[i] = dims[i];
    if (chunk_rows == 0)
        chunk_rows = row_bytes < CHUNK_BYTES ? CHUNK_BYTES / row_bytes : 1;
    chunk[0] = chunk_rows < dims[0] ? chunk_rows : dims[0];
    H5Pset_chunk(properties, rank, chunk);
    H5Pset_fletcher32(properties);
}

/* Makes the dataset; leaves it open in *h. */
static bool make(pulmo_h5 *file, handles *h, const char *name, hid_t type, int rank,
                 const uint64_t *dims, uint64_t chunk_rows)
{
    hsize_t sizes[PULMO_H5_RANK_MAX];
    for (int i = 0; i < rank; i++)
        sizes[i] = dims[i];
    h->space = rank > 0 ? H5Screate_simple(rank, sizes, NULL) : H5Screate(H5S_SCALAR);
    h->properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(h->properties, false);
    uint64_t bytes = elements(rank, dims) * H5Tget_size(type);
    if (rank > 0 && bytes > 0 && (chunk_rows > 0 || bytes > WHOLE_BYTES))
        set_chunks(h->properties, bytes / dims[0], rank, dims, chunk_rows);
    if (!h5_make_groups(file, name))
        return false;
    h->dataset =
        H5Dcreate2(file->id, name, type, h->space, H5P_DEFAULT, h->properties, H5P_DEFAULT);
    return h->dataset >= 0;
}

static pulmo_status write_typed(pulmo_h5 *file, const char *name, hid_t file_type,
                                hid_t memory_type, int rank, const uint64_t *dims, const void *data)
{
    handles h = none;
    pulmo_status status = PULMO_OK;
    if (!make(file, &h, name, file_type, rank, dims, 0) ||
        (elements(rank, dims) > 0 &&
         H5Dwrite(h.dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0))
        status = h5_fail(file, name, "cannot be written");
    return end(file, &h, name, status);
}

pulmo_status pulmo_h5_write(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                            const uint64_t *dims, const void *data)
{
    h5_lock();
    return write_typed(file, name, h5_file_type(type), h5_memory_type(type), rank, dims, data);
}

pulmo_status pulmo_h5_write_strings(pulmo_h5 *file, const char *name, uint64_t count,
                                    const char *const *strings)
{
    size_t longest = 1;
    for (uint64_t i = 0; i < count; i++)
        if (strlen(strings[i]) > longest)
            longest = strlen(strings[i]);
    char *block = calloc(count ? count : 1, longest);
    if (!block)
        return pulmo_fail(PULMO_MEMORY, "%s: %s: out of memory", file->path, name);
    for (uint64_t i = 0; i < count; i++)
        memcpy(block + i * longest, strings[i], strlen(strings[i]));
    h5_lock();
    hid_t type = h5_string_type(longest);
    pulmo_status status = write_typed(file, name, type, type, 1, &count, block);
    H5Tclose(type);
    free(block);
    return status;
}

pulmo_status pulmo_h5_write_text(pulmo_h5 *file, const char *name, const char *text)
{
    h5_lock();
    hid_t type = h5_string_type(strlen(text));
    pulmo_status status = write_typed(file, name, type, type, 0, NULL, text);
    H5Tclose(type);
    return status;
}

pulmo_status pulmo_h5_create_rows(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                                  const uint64_t *dims)
{
    handles h = none;
    h5_lock();
    pulmo_status status = PULMO_OK;
    if (!make(file, &h, name, h5_file_type(type), rank, dims, 1))
        status = h5_fail(file, name, "cannot be created");
    return end(file, &h, name, status);
}

pulmo_status pulmo_h5_create_plain(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                                   const uint64_t *dims)
{
    handles h = none;
    hsize_t sizes[PULMO_H5_RANK_MAX];
    for (int i = 0; i < rank; i++)
        sizes[i] = dims[i];
    h5_lock();
    h.space = H5Screate_simple(rank, sizes, NULL);
    h.properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(h.properties, false);
    H5Pset_layout(h.properties, H5D_CONTIGUOUS);
    H5Pset_alloc_time(h.properties, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(h.properties, H5D_FILL_TIME_NEVER); /* every row is written */
    if (h5_make_groups(file, name))
        h.dataset = H5Dcreate2(file->id, name, h5_file_type(type), h.space, H5P_DEFAULT,
                               h.properties, H5P_DEFAULT);
    pulmo_status status = h.dataset < 0 ? h5_fail(file, name, "cannot be created") : PULMO_OK;
    return end(file, &h, name, status);
}

pulmo_status pulmo_h5_place_of(pulmo_h5 *file, const char *name, uint64_t *offset_bytes,
                               uint64_t *size_bytes)
{
    handles h = none;
    hsize_t file_bytes = 0;
    h5_lock();
    h.dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    pulmo_status status = h.dataset < 0 ? h5_fail(file, name, "is missing or damaged") : PULMO_OK;
    haddr_t place = h.dataset < 0 ? HADDR_UNDEF : H5Dget_offset(h.dataset);
    if (status == PULMO_OK && (place == HADDR_UNDEF || H5Fget_filesize(file->id, &file_bytes) < 0))
        status = h5_fail(file, name, "is not in one piece");
    if (status == PULMO_OK) {
        *offset_bytes = place;
        *size_bytes = H5Dget_storage_size(h.dataset);
        if (place > file_bytes || *size_bytes > file_bytes - place)
            status = h5_fail(file, name, "reaches beyond the end of the file");
    }
    return end(file, &h, name, status);
}

/* ---- rows ---- */

/* Opens a dataset and selects rows [first, first + count) in it. */
static pulmo_status select_rows(pulmo_h5 *file, handles *h, const char *name, uint64_t first,
                                uint64_t count)
{
    hsize_t dims[H5S_MAX_RANK], start[H5S_MAX_RANK] = {0};
    h->dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (h->dataset < 0)
        return h5_fail(file, name, "is missing or damaged");
    h->space = H5Dget_space(h->dataset);
    int rank = H5Sget_simple_extent_ndims(h->space);
    if (rank < 1 || rank > PULMO_H5_RANK_MAX)
        return h5_fail(file, name, "has no rows");
    H5Sget_simple_extent_dims(h->space, dims, NULL);
    if (first > dims[0] || count > dims[0] - first)
        return pulmo_fail(
            PULMO_DATA,
            "%s: /%s: rows %llu to %llu of %llu: the file is damaged or of another data set",
            file->path, name, (unsigned long long)first, (unsigned long long)(first + count),
            (unsigned long long)dims[0]);
    start[0] = first;
    dims[0] = count;
    H5Sselect_hyperslab(h->space, H5S_SELECT_SET, start, NULL, dims, NULL);
    h->memory = H5Screate_simple(rank, dims, NULL);
    return PULMO_OK;
}

/* Ours for the type the dataset is stored in; the memory type rows are given in. */
static hid_t stored_type(const handles *h)
{
    size_t string_bytes = 0;
    hid_t type = H5Dget_type(h->dataset);
    int ours = h5_type_of(type, &string_bytes);
    if (ours == PULMO_H5_F32 && H5Tget_size(type) == 2)
        ours = PULMO_H5_F16;
    H5Tclose(type);
    return ours < 0 || ours == PULMO_H5_STRING ? -1 : h5_memory_type((pulmo_h5_type)ours);
}

pulmo_status pulmo_h5_write_rows(pulmo_h5 *file, const char *name, uint64_t first, uint64_t count,
                                 const void *rows)
{
    handles h = none;
    h5_lock();
    pulmo_status status = count ? select_rows(file, &h, name, first, count) : PULMO_OK;
    if (status == PULMO_OK && count &&
        H5Dwrite(h.dataset, stored_type(&h), h.memory, h.space, H5P_DEFAULT, rows) < 0)
        status = h5_fail(file, name, "cannot be written");
    return end(file, &h, name, status);
}

/* The checksum that HDF5's filter puts behind a chunk: Fletcher's, over pairs of bytes, the first
 * the higher. */
static uint32_t fletcher32(const uint8_t *data, size_t bytes)
{
    uint32_t low = 0, high = 0;
    for (size_t at = 0; at < bytes;) {
        size_t end = bytes - at < 720 ? bytes : at + 720; /* before 32 bits are full */
        for (; at < end; at += 2) {
            low += (uint32_t)data[at] << 8 | (at + 1 < bytes ? data[at + 1] : 0u);
            high += low;
        }
        low = (low & 0xFFFF) + (low >> 16);
        high = (high & 0xFFFF) + (high >> 16);
    }
    low = (low & 0xFFFF) + (low >> 16);
    high = (high & 0xFFFF) + (high >> 16);
    return high << 16 | low;
}

pulmo_status pulmo_h5_write_byte_rows(pulmo_h5 *file, const char *name, uint64_t first,
                                      uint64_t count, size_t row_bytes, const uint8_t *rows)
{
    handles h = none;
    size_t chunk_bytes = row_bytes + 4;
    uint8_t *chunks = malloc(count * chunk_bytes + 1);
    if (!chunks)
        return pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", file->path, name);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *to = chunks + i * chunk_bytes;
        uint32_t sum = fletcher32(rows + i * row_bytes, row_bytes);
        memcpy(to, rows + i * row_bytes, row_bytes);
        for (int k = 0; k < 4; k++)
            to[row_bytes + (size_t)k] = (uint8_t)(sum >> 8 * k);
    }
    h5_lock();
    pulmo_status status = count ? select_rows(file, &h, name, first, count) : PULMO_OK;
    if (status == PULMO_OK && count &&
        (uint64_t)H5Sget_select_npoints(h.memory) != count * row_bytes)
        status = pulmo_fail(PULMO_RUNTIME, "%s: /%s: a row has not %zu bytes", file->path, name,
                            row_bytes);
    for (uint64_t i = 0; i < count && status == PULMO_OK; i++) {
        hsize_t at[H5S_MAX_RANK] = {first + i};
        if (H5Dwrite_chunk(h.dataset, H5P_DEFAULT, 0, at, chunk_bytes, chunks + i * chunk_bytes) <
            0)
            status = h5_fail(file, name, "cannot be written");
    }
    status = end(file, &h, name, status);
    free(chunks);
    return status;
}

pulmo_status pulmo_h5_read_rows(pulmo_h5 *file, const char *name, pulmo_h5_type type,
                                uint64_t first, uint64_t count, void *out)
{
    handles h = none;
    h5_lock();
    pulmo_status status = count ? select_rows(file, &h, name, first, count) : PULMO_OK;
    if (status == PULMO_OK && count &&
        H5Dread(h.dataset, h5_memory_type(type), h.memory, h.space, H5P_DEFAULT, out) < 0)
        status = h5_fail(file, name, "cannot be read: the file is damaged");
    return end(file, &h, name, status);
}

/* ---- reading ---- */

bool pulmo_h5_exists(pulmo_h5 *file, const char *name)
{
    char path[256];
    bool found = true;
    h5_lock();
    /* Every group on the way must be asked for. */
    for (size_t i = 1; found && i <= strlen(name); i++) {
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
static pulmo_status shape_open(const pulmo_h5 *file, handles *h, const char *name,
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
    return PULMO_OK;
}

static pulmo_status open_shape(pulmo_h5 *file, handles *h, const char *name, pulmo_h5_shape *out)
{
    h->dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (h->dataset < 0)
        return h5_fail(file, name, "is missing or damaged");
    return shape_open(file, h, name, out);
}

pulmo_status pulmo_h5_shape_of(pulmo_h5 *file, const char *name, pulmo_h5_shape *out)
{
    handles h = none;
    h5_lock();
    pulmo_status status = open_shape(file, &h, name, out);
    return end(file, &h, name, status);
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

pulmo_status pulmo_h5_read(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                           const uint64_t *dims, void *out)
{
    handles h = none;
    pulmo_h5_shape shape;
    h5_lock();
    pulmo_status status = open_shape(file, &h, name, &shape);
    if (status == PULMO_OK)
        status = check_dims(file, name, &shape, rank, dims);
    if (status == PULMO_OK && elements(shape.rank, shape.dims) > 0 &&
        H5Dread(h.dataset, h5_memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        status = h5_fail(file, name, "cannot be read: the file is damaged");
    return end(file, &h, name, status);
}

/* Reads `count` strings of `bytes` each into one block: pointers first, then the text. */
static pulmo_status read_block(const pulmo_h5 *file, const handles *h, const char *name,
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
    handles h = none;
    pulmo_h5_shape shape = {0};
    h5_lock();
    pulmo_status status = open_shape(file, &h, name, &shape);
    if (status == PULMO_OK && (shape.type != PULMO_H5_STRING || shape.rank != 1))
        status = h5_fail(file, name, "must be a list of strings");
    if (status == PULMO_OK)
        status = read_block(file, &h, name, shape.dims[0], shape.string_bytes, strings);
    if (status == PULMO_OK)
        *count = shape.dims[0];
    return end(file, &h, name, status);
}

pulmo_status pulmo_h5_read_text(pulmo_h5 *file, const char *name, char **out)
{
    handles h = none;
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
    return end(file, &h, name, status);
}
