/* What is known of datasets while a file is open: digests of what was given for writing, and sums
 * of single rows, written or read. */
#include <stdlib.h>
#include <string.h>

#include "h5_room.h"
#include "pulmo/memory.h"

char *h5_sums_name(const char *dataset)
{
    return pulmo_format("%s_xxh3", dataset);
}

static h5_record *find(const pulmo_h5 *file, const char *name)
{
    for (size_t i = 0; i < file->records; i++) {
        if (strcmp(file->record[i].name, name) == 0)
            return &file->record[i];
    }
    return NULL;
}

const h5_record *h5_record_find(const pulmo_h5 *file, const char *name)
{
    return find(file, name);
}

/* One more record, empty but for its name; NULL with the report set. */
static h5_record *add(pulmo_h5 *file, const char *name)
{
    size_t bytes = (file->records + 1) * sizeof *file->record;
    h5_record *more = realloc(file->record, bytes);
    if (more)
        file->record = more;
    char *own = more ? pulmo_strdup(name) : NULL;
    if (!own) {
        pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", file->path, name);
        return NULL;
    }
    h5_record *record = &file->record[file->records++];
    *record = (h5_record){.name = own};
    return record;
}

static uint64_t bytes_of(hid_t type, int rank, const uint64_t *dims)
{
    uint64_t bytes = H5Tget_size(type);
    for (int i = 0; i < rank; i++)
        bytes *= dims[i];
    return bytes;
}

pulmo_status h5_record_digest(pulmo_h5 *file, const char *name, const pulmo_digest *digest)
{
    h5_record *record = add(file, name);
    if (!record)
        return PULMO_MEMORY;
    record->digest = *digest;
    return PULMO_OK;
}

pulmo_status h5_record_whole(pulmo_h5 *file, const char *name, hid_t type, int rank,
                             const uint64_t *dims, const void *data)
{
    pulmo_digester *digester = NULL;
    uint64_t bytes = bytes_of(type, rank, dims);
    PULMO_TRY(h5_digest_begin(type, rank, dims, &digester));
    if (bytes > 0)
        pulmo_digester_add(digester, data, bytes);
    const pulmo_digest digest = pulmo_digester_end(digester);
    return h5_record_digest(file, name, &digest);
}

pulmo_status h5_record_rows(pulmo_h5 *file, const char *name, uint64_t rows, size_t row_bytes)
{
    h5_record *record = add(file, name);
    if (!record)
        return PULMO_MEMORY;
    record->by_rows = true;
    record->rows = rows;
    record->row_bytes = row_bytes;
    record->sums = calloc(rows + 1, sizeof *record->sums);
    record->given = calloc(rows + 1, sizeof *record->given);
    if (record->sums && record->given)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", file->path, name);
}

void h5_record_given(const pulmo_h5 *file, const char *name, uint64_t first, uint64_t count,
                     const void *rows)
{
    const h5_record *record = find(file, name);
    const uint8_t *row = rows;
    if (!record || !record->by_rows)
        return;
    for (uint64_t i = first; i < first + count; i++) {
        record->sums[i] = pulmo_xxh3(row, record->row_bytes);
        record->given[i] = 1;
        row += record->row_bytes;
    }
}

pulmo_status h5_record_sums(pulmo_h5 *file, const char *name, uint64_t rows, uint64_t *sums)
{
    h5_record *record = add(file, name);
    if (!record) {
        free(sums);
        return PULMO_MEMORY;
    }
    record->rows = rows;
    record->sums = sums;
    return PULMO_OK;
}

pulmo_status h5_check_rows(const pulmo_h5 *file, const char *name, const uint64_t *sums,
                           uint64_t first, uint64_t count, size_t row_bytes, const void *rows)
{
    const uint8_t *row = rows;
    for (uint64_t i = first; i < first + count; i++) {
        if (pulmo_xxh3(row, row_bytes) != sums[i])
            return pulmo_fail(
                PULMO_DATA, "%s: /%s: row %llu is not what was written (XXH3): the file is damaged",
                file->path, name, (unsigned long long)i);
        row += row_bytes;
    }
    return PULMO_OK;
}

void h5_records_free(pulmo_h5 *file)
{
    for (size_t i = 0; i < file->records; i++) {
        h5_record *record = &file->record[i];
        free(record->name);
        free(record->sums);
        free(record->given);
    }
    free(file->record);
}
