/* DEST/.files: what a pack was made of, with times. */
#include "seen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"

#define SEEN_BYTES_MAX ((size_t)1 << 31)
#define HEX_DIGITS     (PULMO_DIGEST_HEX - 1)

/* ---- writing ---- */

static bool write_all(FILE *file, const char *hex, const source_list *list)
{
    fprintf(file, "%s\n", hex);
    for (size_t i = 0; i < list->count; i++) {
        const source_file *f = &list->file[i];
        fprintf(file, "%lld %lld %s", (long long)f->size_bytes, (long long)f->modified_ns, f->path);
        fputc('\0', file);
    }
    return !ferror(file);
}

pulmo_status seen_write(const char *destination, const pulmo_digest *files, const source_list *list)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest_hex(files, hex);
    char *path = pulmo_format("%s/" SEEN_NAME, destination);
    FILE *file = path ? fopen(path, "w") : NULL;
    bool whole = file && write_all(file, hex, list);
    if (file && fclose(file) != 0)
        whole = false;
    pulmo_status status = PULMO_OK;
    if (!whole)
        status = pulmo_fail(PULMO_IO, "%s/" SEEN_NAME ": cannot be written: %s", destination,
                            strerror(errno));
    free(path);
    return status;
}

/* ---- reading ---- */

/* The whole file as text, owned by the caller; NULL where there is none. */
static char *read_text(const char *destination, size_t *bytes)
{
    uint8_t *data = NULL;
    char *path = pulmo_format("%s/" SEEN_NAME, destination);
    bool there = path && pulmo_file_read(path, SEEN_BYTES_MAX, &data, bytes) == PULMO_OK;
    free(path);
    pulmo_error_clear();
    char *text = there ? realloc(data, *bytes + 1) : NULL;
    if (!text) {
        free(there ? data : NULL);
        return NULL;
    }
    text[*bytes] = '\0';
    return text;
}

bool seen_matches(const char *destination, const pulmo_digest *files)
{
    char hex[PULMO_DIGEST_HEX];
    char found[HEX_DIGITS];
    pulmo_digest_hex(files, hex);
    char *path = pulmo_format("%s/" SEEN_NAME, destination);
    FILE *file = path ? fopen(path, "r") : NULL;
    bool there = file && fread(found, 1, sizeof found, file) == sizeof found;
    if (file)
        fclose(file);
    free(path);
    return there && memcmp(found, hex, sizeof found) == 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const seen_file *)a)->path, ((const seen_file *)b)->path);
}

/* One record; false where it is none. */
static bool read_record(char *record, seen_file *out)
{
    char *end = NULL;
    out->size_bytes = strtoll(record, &end, 10);
    if (*end != ' ')
        return false;
    out->modified_ns = strtoll(end + 1, &end, 10);
    out->path = end + 1;
    return *end == ' ';
}

static size_t count_records(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = HEX_DIGITS + 1; i < bytes; i++)
        count += text[i] == '\0';
    return count;
}

pulmo_status seen_read(const char *destination, seen_files *out)
{
    size_t bytes = 0;
    memset(out, 0, sizeof *out);
    out->text = read_text(destination, &bytes);
    if (!out->text || bytes <= HEX_DIGITS + 1)
        return PULMO_OK;
    size_t count = count_records(out->text, bytes);
    out->file = malloc((count + 1) * sizeof *out->file);
    if (!out->file)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu files", count);
    char *record = out->text + HEX_DIGITS + 1;
    for (size_t i = 0; i < count; i++) {
        char *next = record + strlen(record) + 1;
        if (read_record(record, &out->file[out->count]))
            out->count++;
        record = next;
    }
    qsort(out->file, out->count, sizeof *out->file, by_path);
    return PULMO_OK;
}

void seen_free(seen_files *seen)
{
    free(seen->file);
    free(seen->text);
    memset(seen, 0, sizeof *seen);
}

const seen_file *seen_find(const seen_files *seen, const char *path)
{
    const seen_file wanted = {.path = path};
    if (seen->count == 0)
        return NULL;
    return bsearch(&wanted, seen->file, seen->count, sizeof wanted, by_path);
}
