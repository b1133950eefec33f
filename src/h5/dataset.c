/* Datasets, written whole or by rows. */
#include <stdlib.h>
#include <string.h>

#include "h5_room.h"
#include "pulmo/memory.h"

static uint64_t elements(int rank, const uint64_t *dims)
{
    uint64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    return count;
}

/* ---- writing ---- */

#define SUM_BYTES   4                   /* of a chunk's checksum */
#define CHUNK_BYTES ((uint64_t)1 << 21) /* far from the library's limit of 4 GiB */
#define WHOLE_BYTES                                                                                \
    ((uint64_t)1 << 13) /* up to here a dataset lies in one piece, without a checksum */

/* As many as CHUNK_BYTES allows. */
static uint64_t rows_of_chunk(size_t row_bytes)
{
    return row_bytes < CHUNK_BYTES ? CHUNK_BYTES / row_bytes : 1;
}

/* Chunks of `chunk_rows` rows, or of rows_of_chunk where that is 0. Only chunks can have checksums:
 * a bit that fell over on disk must become neither a pixel nor a weight. */
static void set_chunks(hid_t properties, size_t row_bytes, int rank, const uint64_t *dims,
                       uint64_t chunk_rows)
{
    hsize_t chunk[PULMO_H5_RANK_MAX];
    for (int i = 0; i < rank; i++)
        chunk[i] = dims[i];
    if (chunk_rows == 0)
        chunk_rows = rows_of_chunk(row_bytes);
    chunk[0] = chunk_rows < dims[0] ? chunk_rows : dims[0];
    H5Pset_chunk(properties, rank, chunk);
    H5Pset_fletcher32(properties);
}

/* Makes the dataset; leaves it open in *h. */
static pulmo_status make(pulmo_h5 *file, h5_handles *h, const char *name, hid_t type, int rank,
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
    PULMO_TRY(h5_make_groups(file, name));
    h->dataset =
        H5Dcreate2(file->id, name, type, h->space, H5P_DEFAULT, h->properties, H5P_DEFAULT);
    return h->dataset >= 0 ? PULMO_OK : h5_fail(file, name, "cannot be created");
}

static pulmo_status write_typed(pulmo_h5 *file, const char *name, hid_t file_type,
                                hid_t memory_type, int rank, const uint64_t *dims, const void *data)
{
    h5_handles h = h5_no_handles;
    pulmo_status status = make(file, &h, name, file_type, rank, dims, 0);
    if (status == PULMO_OK && elements(rank, dims) > 0 &&
        H5Dwrite(h.dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        status = h5_fail(file, name, "cannot be written");
    if (status == PULMO_OK)
        status = h5_record_whole(file, name, file_type, rank, dims, data);
    return h5_end(file, &h, name, status);
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

/* Behind `bytes` of data, little-endian. */
static void put_sum(uint8_t *data, size_t bytes)
{
    const uint32_t sum = fletcher32(data, bytes);
    for (int k = 0; k < SUM_BYTES; k++)
        data[bytes + (size_t)k] = (uint8_t)(sum >> 8 * k);
}

/* How a large dataset is cut. */
typedef struct cut {
    uint64_t rows, chunk_rows;
    size_t row_bytes, chunk_bytes;
} cut;

static cut cut_of(hid_t type, int rank, const uint64_t *dims)
{
    cut c = {.rows = dims[0], .row_bytes = elements(rank - 1, dims + 1) * H5Tget_size(type)};
    c.chunk_rows = rows_of_chunk(c.row_bytes);
    c.chunk_bytes = c.chunk_rows * c.row_bytes;
    return c;
}

/* All rows, a chunk at a time, as the file has it: the last one ends with zeros, behind each is its
 * checksum. Unlocks for all but the writing: it is other threads' turn then. */
static pulmo_status write_chunks(const pulmo_h5 *file, hid_t dataset, const char *name,
                                 const cut *c, const uint8_t *data, pulmo_digester *digester)
{
    pulmo_status status = PULMO_OK;
    hsize_t at[H5S_MAX_RANK] = {0};
    uint8_t *chunk = malloc(c->chunk_bytes + SUM_BYTES);
    if (!chunk)
        return pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", file->path, name);
    for (; at[0] < c->rows && status == PULMO_OK; at[0] += c->chunk_rows) {
        const uint64_t left = c->rows - at[0];
        const size_t bytes = (left < c->chunk_rows ? left : c->chunk_rows) * c->row_bytes;
        const uint8_t *rows = data + at[0] * c->row_bytes;
        h5_unlock();
        pulmo_digester_add(digester, rows, bytes);
        memcpy(chunk, rows, bytes);
        memset(chunk + bytes, 0, c->chunk_bytes - bytes);
        put_sum(chunk, c->chunk_bytes);
        h5_lock();
        if (H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, at, c->chunk_bytes + SUM_BYTES, chunk) < 0)
            status = h5_fail(file, name, "cannot be written");
    }
    free(chunk);
    return status;
}

/* As write_typed, of what may take its time. */
static pulmo_status write_large(pulmo_h5 *file, const char *name, hid_t type, int rank,
                                const uint64_t *dims, const void *data)
{
    h5_handles h = h5_no_handles;
    pulmo_digester *digester = NULL;
    const cut c = cut_of(type, rank, dims);
    pulmo_status status = make(file, &h, name, type, rank, dims, 0);
    if (status == PULMO_OK)
        status = h5_digest_begin(type, rank, dims, &digester);
    if (status == PULMO_OK)
        status = write_chunks(file, h.dataset, name, &c, data, digester);
    if (digester) {
        pulmo_digest digest = pulmo_digester_end(digester);
        if (status == PULMO_OK)
            status = h5_record_digest(file, name, &digest);
    }
    return h5_end(file, &h, name, status);
}

pulmo_status pulmo_h5_write(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                            const uint64_t *dims, const void *data)
{
    h5_lock();
    /* Both types are little-endian (seal.c): what is given is what is stored. */
    if (rank > 0 && elements(rank, dims) * H5Tget_size(h5_file_type(type)) > CHUNK_BYTES)
        return write_large(file, name, h5_file_type(type), rank, dims, data);
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

static pulmo_status record_rows(pulmo_h5 *file, const char *name, hid_t type, int rank,
                                const uint64_t *dims)
{
    size_t row_bytes = elements(rank - 1, dims + 1) * H5Tget_size(type);
    return h5_record_rows(file, name, dims[0], row_bytes);
}

pulmo_status pulmo_h5_create_rows(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                                  const uint64_t *dims)
{
    h5_handles h = h5_no_handles;
    h5_lock();
    pulmo_status status = make(file, &h, name, h5_file_type(type), rank, dims, 1);
    if (status == PULMO_OK)
        status = record_rows(file, name, h5_file_type(type), rank, dims);
    return h5_end(file, &h, name, status);
}

pulmo_status pulmo_h5_create_plain(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                                   const uint64_t *dims)
{
    h5_handles h = h5_no_handles;
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
    pulmo_status status = h5_make_groups(file, name);
    if (status == PULMO_OK) {
        h.dataset = H5Dcreate2(file->id, name, h5_file_type(type), h.space, H5P_DEFAULT,
                               h.properties, H5P_DEFAULT);
        if (h.dataset < 0)
            status = h5_fail(file, name, "cannot be created");
    }
    if (status == PULMO_OK)
        status = record_rows(file, name, h5_file_type(type), rank, dims);
    return h5_end(file, &h, name, status);
}

pulmo_status pulmo_h5_place_of(pulmo_h5 *file, const char *name, uint64_t *offset_bytes,
                               uint64_t *size_bytes)
{
    h5_handles h = h5_no_handles;
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
    return h5_end(file, &h, name, status);
}

/* ---- rows ---- */

pulmo_status pulmo_h5_write_rows(pulmo_h5 *file, const char *name, uint64_t first, uint64_t count,
                                 const void *rows)
{
    h5_handles h = h5_no_handles;
    h5_lock();
    pulmo_status status = count ? h5_select_rows(file, &h, name, first, count) : PULMO_OK;
    if (status == PULMO_OK && count &&
        H5Dwrite(h.dataset, h5_stored_type(&h), h.memory, h.space, H5P_DEFAULT, rows) < 0)
        status = h5_fail(file, name, "cannot be written");
    if (status == PULMO_OK)
        h5_record_given(file, name, first, count, rows);
    return h5_end(file, &h, name, status);
}

pulmo_status pulmo_h5_write_byte_rows(pulmo_h5 *file, const char *name, uint64_t first,
                                      uint64_t count, size_t row_bytes, const uint8_t *rows)
{
    h5_handles h = h5_no_handles;
    size_t chunk_bytes = row_bytes + SUM_BYTES;
    uint8_t *chunks = malloc(count * chunk_bytes + 1);
    if (!chunks)
        return pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", file->path, name);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *to = chunks + i * chunk_bytes;
        memcpy(to, rows + i * row_bytes, row_bytes);
        put_sum(to, row_bytes);
    }
    h5_lock();
    pulmo_status status = count ? h5_select_rows(file, &h, name, first, count) : PULMO_OK;
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
    status = h5_end(file, &h, name, status);
    free(chunks);
    if (status == PULMO_OK)
        h5_record_given(file, name, first, count, rows);
    return status;
}
