/* What an operation on a dataset holds open, and the rows it is about. */
#include <string.h>

#include "h5_room.h"

const h5_handles h5_no_handles = {-1, -1, -1, -1, -1};

pulmo_status h5_end(const pulmo_h5 *file, h5_handles *h, const char *name, pulmo_status status)
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

pulmo_status h5_select_rows(pulmo_h5 *file, h5_handles *h, const char *name, uint64_t first,
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

hid_t h5_stored_type(const h5_handles *h)
{
    size_t string_bytes = 0;
    hid_t type = H5Dget_type(h->dataset);
    int ours = h5_type_of(type, &string_bytes);
    if (ours == PULMO_H5_F32 && H5Tget_size(type) == 2)
        ours = PULMO_H5_F16;
    H5Tclose(type);
    return ours < 0 || ours == PULMO_H5_STRING ? -1 : h5_memory_type((pulmo_h5_type)ours);
}
