/* Our element types and HDF5's, and a type and shape in words. */
#include <string.h>

#include "h5_room.h"

/* IEEE 754's binary16, little-endian; the library has no name for it. Kept for ever, as its own
 * types are. */
static hid_t half_type(void)
{
    static hid_t type = -1;
    if (type >= 0)
        return type;
    type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

hid_t h5_memory_type(pulmo_h5_type type)
{
    switch (type) {
    case PULMO_H5_U8:
        return H5T_NATIVE_UINT8;
    case PULMO_H5_I32:
        return H5T_NATIVE_INT32;
    case PULMO_H5_I64:
        return H5T_NATIVE_INT64;
    case PULMO_H5_U64:
        return H5T_NATIVE_UINT64;
    case PULMO_H5_F32:
        return H5T_NATIVE_FLOAT;
    case PULMO_H5_F64:
        return H5T_NATIVE_DOUBLE;
    case PULMO_H5_F16:
        return half_type();
    case PULMO_H5_STRING:
    case PULMO_H5_OTHER:
        break;
    }
    return -1;
}

hid_t h5_file_type(pulmo_h5_type type)
{
    switch (type) {
    case PULMO_H5_U8:
        return H5T_STD_U8LE;
    case PULMO_H5_I32:
        return H5T_STD_I32LE;
    case PULMO_H5_I64:
        return H5T_STD_I64LE;
    case PULMO_H5_U64:
        return H5T_STD_U64LE;
    case PULMO_H5_F32:
        return H5T_IEEE_F32LE;
    case PULMO_H5_F64:
        return H5T_IEEE_F64LE;
    case PULMO_H5_F16:
        return half_type();
    case PULMO_H5_STRING:
    case PULMO_H5_OTHER:
        break;
    }
    return -1;
}

hid_t h5_string_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, bytes > 0 ? bytes : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

hid_t h5_free_text_type(void)
{
    hid_t type = h5_string_type(1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_strpad(type, H5T_STR_NULLTERM);
    return type;
}

bool h5_is_free_text(hid_t type)
{
    return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0;
}

int h5_type_of(hid_t type, size_t *string_bytes)
{
    size_t bytes = H5Tget_size(type);
    H5T_class_t class = H5Tget_class(type);
    *string_bytes = 0;
    if (class == H5T_STRING) {
        if (H5Tis_variable_str(type) != 0 || bytes > H5_STRING_MAX)
            return -1;
        *string_bytes = bytes;
        return PULMO_H5_STRING;
    }
    if (class == H5T_FLOAT && (bytes == 2 || bytes == 4))
        return PULMO_H5_F32;
    if (class == H5T_FLOAT && bytes == 8)
        return PULMO_H5_F64;
    if (class != H5T_INTEGER)
        return -1;
    /* Ours is one that holds every value of theirs. */
    bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
    if (bytes == 1)
        return is_signed ? PULMO_H5_I32 : PULMO_H5_U8;
    if (bytes == 2 || (bytes == 4 && is_signed))
        return PULMO_H5_I32;
    if (bytes == 4)
        return PULMO_H5_I64;
    if (bytes == 8)
        return is_signed ? PULMO_H5_I64 : PULMO_H5_U64;
    return -1;
}

/* ---- in words, for digests ---- */

const char *h5_class_name(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return H5Tget_sign(type) == H5T_SGN_2 ? "int" : "uint";
    case H5T_FLOAT:
        return "float";
    case H5T_STRING:
        return "string";
    default:
        return NULL;
    }
}

void h5_put_shape(char *out, size_t out_bytes, hid_t type, int rank, const uint64_t *dims)
{
    size_t at = (size_t)snprintf(out, out_bytes, "%s %zu", h5_class_name(type), H5Tget_size(type));
    for (int i = 0; i < rank && at < out_bytes; i++)
        at += (size_t)snprintf(out + at, out_bytes - at, " %llu", (unsigned long long)dims[i]);
}

pulmo_status h5_digest_begin(hid_t type, int rank, const uint64_t *dims, pulmo_digester **out)
{
    char shape[256];
    PULMO_TRY(pulmo_digester_create(out));
    h5_put_shape(shape, sizeof shape, type, rank, dims);
    pulmo_digester_add(*out, shape, strlen(shape));
    pulmo_digester_add(*out, "\n", 1);
    return PULMO_OK;
}
