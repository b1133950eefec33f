/* Digests of values: SHA-256 of every dataset and attribute, and one digest over all of them.
 *
 *   /content_digests   text: a line "SHA-256  NAME" for each, ordered by name as bytes; NAME is
 *                      /DATASET, /@ATTRIBUTE of the root, or /OBJECT@ATTRIBUTE
 *   attribute content_sha256 of /: SHA-256 of that text
 *
 * What is digested: a line "CLASS BYTES DIM DIM ...\n" (CLASS int, uint, float or string; BYTES of
 * one element; no DIM for a scalar), then the values as they are stored, little-endian, in C order.
 * Of a dataset NAME that has /NAME_xxh3, one sum per row, the line ends with " rows" and no values
 * follow. Dimension scales' references: the line "references\n", then each object's name and a NUL.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "h5_room.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

#define SLAB_BYTES          ((uint64_t)1 << 22)
#define ATTRIBUTE_BYTES_MAX ((size_t)1 << 24)

/* ---- one value ---- */

/* The dimensions of a space; -1 where there are too many. */
static int dims_of(hid_t space, uint64_t dims[PULMO_H5_RANK_MAX])
{
    hsize_t found[H5S_MAX_RANK] = {0};
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 0 || rank > PULMO_H5_RANK_MAX || H5Sget_simple_extent_type(space) == H5S_NULL)
        return -1;
    H5Sget_simple_extent_dims(space, found, NULL);
    for (int i = 0; i < rank; i++)
        dims[i] = found[i];
    return rank;
}

/* ---- references between datasets and their scales ---- */

/* For want of memory the library gives another name, and no error. */
static void add_reference(pulmo_digester *digester, hid_t object, const void *reference)
{
    char name[H5_NAME_BYTES] = "";
    errno = 0;
    H5Rget_name(object, H5R_OBJECT, reference, name, sizeof name);
    if (errno == ENOMEM)
        h5_unsaid_reset(PULMO_MEMORY);
    pulmo_digester_add_text(digester, name);
}

/* A list per dimension (DIMENSION_LIST). */
static void add_lists(pulmo_digester *digester, hid_t attribute, const hvl_t *list, size_t points)
{
    for (size_t i = 0; i < points; i++) {
        const hobj_ref_t *reference = list[i].p;
        for (size_t k = 0; k < list[i].len; k++)
            add_reference(digester, attribute, &reference[k]);
    }
}

/* Of what pulmo does not write, added or changed by others: no digest that was stored. */
static pulmo_digest digest_of_other(void)
{
    static const char other[] = "other\n";
    return pulmo_digest_of(other, sizeof other - 1);
}

/* A dataset and its dimension each (REFERENCE_LIST). */
static void add_pairs(pulmo_digester *digester, hid_t attribute, hid_t type, const uint8_t *raw,
                      size_t points)
{
    size_t bytes = H5Tget_size(type);
    size_t dimension_at = H5Tget_member_offset(type, 1);
    for (size_t i = 0; i < points; i++) {
        char number[16];
        uint32_t dimension = 0;
        hobj_ref_t reference;
        memcpy(&reference, raw + i * bytes, sizeof reference);
        memcpy(&dimension, raw + i * bytes + dimension_at, sizeof dimension);
        snprintf(number, sizeof number, "%u", dimension);
        add_reference(digester, attribute, &reference);
        pulmo_digester_add_text(digester, number);
    }
}

/* False for what H5DS does not write. */
static bool are_references(hid_t type)
{
    bool fits = false;
    hid_t inside = -1;
    if (H5Tget_class(type) == H5T_VLEN)
        inside = H5Tget_super(type);
    else if (H5Tget_class(type) == H5T_COMPOUND && H5Tget_nmembers(type) == 2)
        inside = H5Tget_member_type(type, 0);
    if (inside >= 0) {
        fits = H5Tequal(inside, H5T_STD_REF_OBJ) > 0;
        H5Tclose(inside);
    }
    if (fits && H5Tget_class(type) == H5T_COMPOUND)
        fits = H5Tget_size(type) >= H5Tget_member_offset(type, 1) + sizeof(uint32_t);
    return fits;
}

static void add_references(pulmo_digester *digester, hid_t attribute, hid_t type, hid_t space,
                           void *raw, size_t points)
{
    static const char head[] = "references\n";
    pulmo_digester_add(digester, head, sizeof head - 1);
    if (H5Tget_class(type) == H5T_VLEN) {
        add_lists(digester, attribute, raw, points);
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw);
    } else
        add_pairs(digester, attribute, type, raw, points);
}

/* ---- gathering ---- */

/* "/NAME" or "/NAME@ATTRIBUTE" of a visited object, whose own name is "." for the root. */
static char *full_name(const char *object, const char *attribute)
{
    const char *name = strcmp(object, ".") == 0 ? "" : object;
    return pulmo_format("/%s%s%s", name, attribute ? "@" : "", attribute ? attribute : "");
}

/* Takes `name`, also after a failure. */
static pulmo_status add_line(content *c, char *name, const pulmo_digest *digest)
{
    content_line *more = NULL;
    if (name)
        more = realloc(c->line, (c->lines + 1) * sizeof *more);
    if (!more) {
        free(name);
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", c->file->path);
    }
    c->line = more;
    c->line[c->lines++] = (content_line){name, *digest};
    return PULMO_OK;
}

/* Texts of any length, wherever the library keeps them. */
static pulmo_status digest_texts(const content *c, hid_t attribute, int rank, const uint64_t *dims,
                                 pulmo_digest *out)
{
    static const char head[] = "texts\n";
    char **texts = NULL;
    int count = 0;
    pulmo_digester *digester = NULL;
    PULMO_TRY(h5_attribute_texts(c->file, attribute, c->object, &count, &texts));
    pulmo_status status = pulmo_digester_create(&digester);
    if (status == PULMO_OK) {
        pulmo_digester_add(digester, head, sizeof head - 1);
        pulmo_digester_add(digester, &rank, sizeof rank);
        pulmo_digester_add(digester, dims, (size_t)rank * sizeof *dims);
        for (int i = 0; i < count; i++)
            pulmo_digester_add_text(digester, texts[i]);
        *out = pulmo_digester_end(digester);
    }
    free(texts);
    return status;
}

static pulmo_status digest_attribute(const content *c, hid_t attribute, hid_t type, hid_t space,
                                     pulmo_digest *out)
{
    uint64_t dims[PULMO_H5_RANK_MAX];
    pulmo_digester *digester = NULL;
    int rank = dims_of(space, dims);
    size_t points = (size_t)H5Sget_simple_extent_npoints(space);
    if (rank >= 0 && h5_is_free_text(type))
        return digest_texts(c, attribute, rank, dims, out);
    bool plain = h5_class_name(type) && H5Tis_variable_str(type) == 0;
    bool known = rank >= 0 && (plain || are_references(type));
    if (!known || points > ATTRIBUTE_BYTES_MAX / (H5Tget_size(type) + 1)) {
        *out = digest_of_other();
        return PULMO_OK;
    }
    void *raw = calloc(points + 1, H5Tget_size(type) + 1);
    if (!raw)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", c->file->path);
    pulmo_status status = PULMO_OK;
    if (H5Aread(attribute, type, raw) < 0)
        status = h5_fail(c->file, NULL, "has an attribute that cannot be read");
    if (status == PULMO_OK && plain)
        status = h5_digest_begin(type, rank, dims, &digester);
    else if (status == PULMO_OK)
        status = pulmo_digester_create(&digester);
    if (status == PULMO_OK && plain)
        pulmo_digester_add(digester, raw, points * H5Tget_size(type));
    else if (status == PULMO_OK)
        add_references(digester, attribute, type, space, raw, points);
    if (digester)
        *out = pulmo_digester_end(digester);
    free(raw);
    return status;
}

static pulmo_status add_attribute(content *c, hid_t object, const char *name)
{
    pulmo_digest digest;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return h5_fail(c->file, NULL, "has an attribute that cannot be opened");
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    pulmo_status status = digest_attribute(c, attribute, type, space, &digest);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    PULMO_TRY(status);
    return add_line(c, full_name(c->object, name), &digest);
}

static herr_t on_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    content *c = context;
    (void)info;
    if (strcmp(c->object, ".") == 0 && strcmp(name, H5_DIGEST_NAME) == 0)
        return 0;
    c->status = add_attribute(c, object, name);
    return c->status == PULMO_OK ? 0 : -1;
}

/* ---- datasets ---- */

/* An open dataset, for reading its values. */
typedef struct values {
    const char *name;
    hid_t dataset, type, space;
    int rank;
    uint64_t dims[PULMO_H5_RANK_MAX];
    uint64_t row_bytes; /* of the first dimension; all of a scalar */
    bool is_other;      /* not of a type and shape that pulmo writes */
} values;

static pulmo_status read_slab(const content *c, const values *v, uint64_t first, uint64_t count,
                              void *out)
{
    hsize_t start[PULMO_H5_RANK_MAX] = {first};
    hsize_t size[PULMO_H5_RANK_MAX] = {count};
    hid_t memory = H5S_ALL;
    hid_t chosen = H5S_ALL;
    for (int i = 1; i < v->rank; i++)
        size[i] = v->dims[i];
    if (v->rank > 0) {
        chosen = v->space;
        memory = H5Screate_simple(v->rank, size, NULL);
        H5Sselect_hyperslab(chosen, H5S_SELECT_SET, start, NULL, size, NULL);
    }
    bool read = H5Dread(v->dataset, v->type, memory, chosen, H5P_DEFAULT, out) >= 0;
    if (memory != H5S_ALL)
        H5Sclose(memory);
    return read ? PULMO_OK : h5_fail(c->file, v->name, "cannot be read: the file is damaged");
}

static pulmo_status add_values(const content *c, const values *v, pulmo_digester *digester)
{
    uint64_t rows = v->rank > 0 ? v->dims[0] : 1;
    uint64_t at_once = v->row_bytes > SLAB_BYTES ? 1 : SLAB_BYTES / v->row_bytes;
    void *slab = malloc(at_once * v->row_bytes);
    if (!slab)
        return pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", c->file->path, v->name);
    pulmo_status status = PULMO_OK;
    for (uint64_t at = 0; at < rows && status == PULMO_OK; at += at_once) {
        uint64_t count = rows - at < at_once ? rows - at : at_once;
        status = read_slab(c, v, at, count, slab);
        if (status == PULMO_OK)
            pulmo_digester_add(digester, slab, count * v->row_bytes);
    }
    free(slab);
    return status;
}

static pulmo_status digest_by_reading(const content *c, const values *v, pulmo_digest *out)
{
    pulmo_digester *digester = NULL;
    PULMO_TRY(h5_digest_begin(v->type, v->rank, v->dims, &digester));
    pulmo_status status = PULMO_OK;
    bool empty = v->rank > 0 && v->dims[0] == 0;
    if (!empty && v->row_bytes > 0)
        status = add_values(c, v, digester);
    *out = pulmo_digester_end(digester);
    return status;
}

/* Of a dataset whose rows have sums: its shape alone. */
static pulmo_digest digest_shape(const values *v)
{
    static const char ending[] = " rows\n";
    char shape[256];
    h5_put_shape(shape, sizeof shape - sizeof ending, v->type, v->rank, v->dims);
    size_t at = strlen(shape);
    memcpy(shape + at, ending, sizeof ending);
    return pulmo_digest_of(shape, at + sizeof ending - 1);
}

static bool has_sums(const content *c, const char *name)
{
    char sums[H5_NAME_BYTES];
    snprintf(sums, sizeof sums, "%s_xxh3", name);
    return pulmo_h5_exists(c->file, sums);
}

static pulmo_status digest_dataset(const content *c, const values *v, pulmo_digest *out)
{
    const h5_record *record = NULL;
    if (v->is_other) {
        *out = digest_of_other();
        return PULMO_OK;
    }
    if (c->file->temporary)
        record = h5_record_find(c->file, v->name);
    if (record && !record->by_rows) {
        *out = record->digest;
        return PULMO_OK;
    }
    if (has_sums(c, v->name)) {
        *out = digest_shape(v);
        return PULMO_OK;
    }
    return digest_by_reading(c, v, out);
}

/* Whether all is there though it takes less room than its values: h5repack may have packed it. */
static bool is_packed(const values *v, uint64_t rows)
{
    h5_handles h = h5_no_handles;
    h.dataset = v->dataset;
    return h5_has_chunks(&h, 0, rows);
}

/* Claims of a damaged file are not believed: values that were written have room in it. */
static pulmo_status measure(const content *c, values *v)
{
    uint64_t bytes = H5Tget_size(v->type);
    v->rank = dims_of(v->space, v->dims);
    v->is_other = v->rank < 0 || !h5_class_name(v->type) || H5Tis_variable_str(v->type) != 0;
    if (v->is_other)
        return PULMO_OK;
    for (int i = 1; i < v->rank; i++) {
        if (v->dims[i] && bytes > H5_ELEMENTS_MAX / v->dims[i])
            return h5_fail(c->file, v->name, "is too large to be true");
        bytes *= v->dims[i];
    }
    v->row_bytes = bytes;
    uint64_t rows = v->rank > 0 ? v->dims[0] : 1;
    if (c->file->temporary || bytes == 0)
        return PULMO_OK;
    if (H5Dget_storage_size(v->dataset) / bytes >= rows || is_packed(v, rows))
        return PULMO_OK;
    return h5_fail(c->file, v->name, "lacks a part of its values: the file is damaged");
}

static pulmo_status add_dataset(content *c, hid_t dataset, const char *name)
{
    pulmo_digest digest;
    values v = {.name = name, .dataset = dataset};
    v.type = H5Dget_type(dataset);
    v.space = H5Dget_space(dataset);
    pulmo_status status = measure(c, &v);
    if (status == PULMO_OK)
        status = digest_dataset(c, &v, &digest);
    H5Sclose(v.space);
    H5Tclose(v.type);
    PULMO_TRY(status);
    return add_line(c, full_name(name, NULL), &digest);
}

static pulmo_status add_object(content *c, hid_t root, const char *name, bool is_dataset)
{
    pulmo_status status = PULMO_OK;
    hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    if (object < 0)
        return h5_fail(c->file, name, "cannot be opened: the file is damaged");
    if (is_dataset)
        status = add_dataset(c, object, name);
    c->object = name;
    if (status == PULMO_OK &&
        H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, on_attribute, c) < 0) {
        status = c->status;
        if (status == PULMO_OK)
            status = h5_fail(c->file, name, "its attributes cannot be read: the file is damaged");
    }
    H5Oclose(object);
    return status;
}

static herr_t on_object(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    content *c = context;
    if (strcmp(name, H5_TEXT_NAME) == 0)
        return 0;
    c->status = add_object(c, root, name, info->type == H5O_TYPE_DATASET);
    return c->status == PULMO_OK ? 0 : -1;
}

/* ---- all of it ---- */

static int by_name(const void *a, const void *b)
{
    const content_line *first = a;
    const content_line *second = b;
    return strcmp(first->name, second->name);
}

pulmo_status h5_content_gather(content *c)
{
    bool walked =
        H5Ovisit2(c->file->id, H5_INDEX_NAME, H5_ITER_INC, on_object, c, H5O_INFO_BASIC) >= 0;
    PULMO_TRY(c->status);
    if (!walked)
        return h5_fail(c->file, NULL, "cannot be walked through: the file is damaged");
    if (c->file->is_sealed || c->file->temporary)
        PULMO_TRY(h5_unsaid_of(c->file));
    if (c->lines > 0)
        qsort(c->line, c->lines, sizeof *c->line, by_name);
    return PULMO_OK;
}

void h5_content_free(content *c)
{
    for (size_t i = 0; i < c->lines; i++)
        free(c->line[i].name);
    free(c->line);
}

/* The text of /content_digests; owned by the caller (free). */
static pulmo_status in_words(const content *c, char **out)
{
    pulmo_text text;
    PULMO_TRY(pulmo_text_open(&text));
    for (size_t i = 0; i < c->lines; i++) {
        char hex[PULMO_DIGEST_HEX];
        pulmo_digest_hex(&c->line[i].digest, hex);
        fprintf(text.stream, "%s  %s\n", hex, c->line[i].name);
    }
    return pulmo_text_take(&text, out);
}

/* ---- writing ---- */

static pulmo_status write_sums(pulmo_h5 *file, const char *name, const h5_record *record)
{
    for (uint64_t i = 0; i < record->rows; i++) {
        if (!record->given[i])
            return pulmo_fail(PULMO_RUNTIME, "%s: /%s: row %llu was never written", file->path,
                              name, (unsigned long long)i);
    }
    char *sums_name = h5_sums_name(name);
    if (!sums_name)
        return PULMO_MEMORY;
    pulmo_status status =
        pulmo_h5_write(file, sums_name, PULMO_H5_U64, 1, &record->rows, record->sums);
    free(sums_name);
    return status;
}

static pulmo_status write_all_sums(pulmo_h5 *file)
{
    size_t records = file->records; /* without those that this adds */
    for (size_t i = 0; i < records; i++) {
        const h5_record record = file->record[i];
        if (record.by_rows)
            PULMO_TRY(write_sums(file, record.name, &record));
    }
    return PULMO_OK;
}

static pulmo_status write_digests(content *c)
{
    char *text = NULL;
    char hex[PULMO_DIGEST_HEX];
    PULMO_TRY(h5_content_gather(c));
    PULMO_TRY(in_words(c, &text));
    pulmo_digest digest = pulmo_digest_of(text, strlen(text));
    pulmo_digest_hex(&digest, hex);
    pulmo_status status = pulmo_h5_write_text(c->file, H5_TEXT_NAME, text);
    free(text);
    PULMO_TRY(status);
    return pulmo_h5_set_text(c->file, "/", H5_DIGEST_NAME, hex);
}

pulmo_status pulmo_h5_seal(pulmo_h5 *file)
{
    content c = {.file = file};
    PULMO_TRY(write_all_sums(file));
    h5_lock();
    pulmo_status status = write_digests(&c);
    h5_unlock();
    h5_content_free(&c);
    file->has_digests = status == PULMO_OK;
    return status;
}
