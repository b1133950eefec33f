/* Where the values of datasets stand in a file, and whether they stand there at all: the library
 * reads zeros for a chunk that its index does not find. */
#include <stdlib.h>

#include "h5_room.h"

/* How an open dataset is cut. */
typedef struct grid {
    hid_t dataset;
    int rank;
    hsize_t dims[H5S_MAX_RANK], chunk[H5S_MAX_RANK];
} grid;

static H5D_layout_t layout_of(hid_t dataset, grid *out)
{
    hid_t space = H5Dget_space(dataset), properties = H5Dget_create_plist(dataset);
    H5D_layout_t layout = H5Pget_layout(properties);
    out->dataset = dataset;
    out->rank = H5Sget_simple_extent_dims(space, out->dims, NULL);
    if (layout == H5D_CHUNKED)
        H5Pget_chunk(properties, H5S_MAX_RANK, out->chunk);
    H5Pclose(properties);
    H5Sclose(space);
    return layout;
}

static bool find_chunk(hid_t dataset, const hsize_t *at, h5_hole *out)
{
    haddr_t address = HADDR_UNDEF;
    hsize_t bytes = 0;
    unsigned filters = 0;
    if (H5Dget_chunk_info_by_coord(dataset, at, &filters, &address, &bytes) < 0)
        return false;
    out->offset = address;
    out->bytes = bytes;
    return address != HADDR_UNDEF && bytes > 0;
}

/* The next chunk of the grid below row `end`; false behind the last. */
static bool next_chunk(const grid *g, hsize_t *at, hsize_t end)
{
    for (int i = g->rank - 1; i >= 0; i--) {
        hsize_t limit = i == 0 ? end : g->dims[i];
        at[i] += g->chunk[i];
        if (at[i] < limit)
            return true;
        at[i] = 0;
    }
    return false;
}

bool h5_has_chunks(const h5_handles *h, uint64_t first, uint64_t count)
{
    grid g;
    h5_hole place;
    hsize_t at[H5S_MAX_RANK] = {0};
    if (layout_of(h->dataset, &g) != H5D_CHUNKED)
        return H5Dget_storage_size(h->dataset) > 0;
    at[0] = first / g.chunk[0] * g.chunk[0];
    do {
        if (!find_chunk(h->dataset, at, &place))
            return false;
    } while (next_chunk(&g, at, first + count));
    return true;
}

/* ---- what a file can hold ---- */

/* Bytes that one of the file may become: deflate's best. Other filters are not held to more. */
#define PACKED_BEST 1032

/* Whether a filter may have made the values shorter than they are. */
static bool may_be_packed(hid_t properties)
{
    for (int i = 0; i < H5Pget_nfilters(properties); i++) {
        unsigned flags = 0;
        unsigned config = 0;
        size_t values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(properties, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_FLETCHER32 && filter != H5Z_FILTER_SHUFFLE)
            return true;
    }
    return false;
}

static bool lies_elsewhere(hid_t properties, H5D_layout_t layout)
{
    return layout == H5D_VIRTUAL || H5Pget_external_count(properties) > 0;
}

/* The product, and UINT64_MAX where it is more. */
static uint64_t product_of(uint64_t bytes, int rank, const hsize_t *sizes)
{
    for (int i = 0; i < rank; i++) {
        if (sizes[i] && bytes > UINT64_MAX / sizes[i])
            return UINT64_MAX;
        bytes *= sizes[i];
    }
    return bytes;
}

const char *h5_disbelief(hid_t file, hid_t dataset, size_t element_bytes)
{
    grid g = {.rank = 0};
    hsize_t file_bytes = 0;
    const H5D_layout_t layout = layout_of(dataset, &g);
    hid_t properties = H5Dget_create_plist(dataset);
    const bool elsewhere = lies_elsewhere(properties, layout);
    const uint64_t factor = may_be_packed(properties) ? PACKED_BEST : 1;
    H5Pclose(properties);
    if (elsewhere)
        return "keeps its values in other files, which are not read";
    if (H5Fget_filesize(file, &file_bytes) < 0 || g.rank < 0)
        return "has no size";
    const uint64_t most = file_bytes * factor;
    if (product_of(element_bytes, g.rank, g.dims) > most)
        return "claims more values than the file can hold: it is damaged";
    if (layout == H5D_CHUNKED && product_of(element_bytes, g.rank, g.chunk) > most)
        return "claims larger chunks than the file can hold: it is damaged";
    return NULL;
}

/* ---- rows that have sums ---- */

/* Adds where a dataset's rows stand; `out` has room for one a row. */
static bool add_holes(hid_t dataset, uint64_t rows, h5_hole *out, size_t *count)
{
    grid g;
    hsize_t at[H5S_MAX_RANK] = {0};
    if (rows == 0)
        return true;
    if (layout_of(dataset, &g) != H5D_CHUNKED) {
        out[*count] = (h5_hole){H5Dget_offset(dataset), H5Dget_storage_size(dataset)};
        return out[(*count)++].offset != HADDR_UNDEF;
    }
    for (; at[0] < rows; at[0] += g.chunk[0]) {
        if (!find_chunk(dataset, at, &out[*count]))
            return false;
        ++*count;
    }
    return true;
}

static pulmo_status add_holes_of(const pulmo_h5 *file, const h5_record *record, h5_hole *out,
                                 size_t *count)
{
    hid_t dataset = H5Dopen2(file->id, record->name, H5P_DEFAULT);
    bool found = dataset >= 0 && add_holes(dataset, record->rows, out, count);
    pulmo_status status = found ? PULMO_OK : h5_fail(file, record->name, "cannot be written");
    if (dataset >= 0)
        H5Dclose(dataset);
    return status;
}

pulmo_status h5_holes_of(const pulmo_h5 *file, h5_hole **out, size_t *count)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < file->records; i++) {
        if (file->record[i].by_rows)
            rows += file->record[i].rows;
    }
    *count = 0;
    *out = malloc((rows + 1) * sizeof **out);
    if (!*out)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", file->path);
    for (size_t i = 0; i < file->records; i++) {
        if (file->record[i].by_rows)
            PULMO_TRY(add_holes_of(file, &file->record[i], *out, count));
    }
    return PULMO_OK;
}
