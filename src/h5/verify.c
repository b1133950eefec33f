/* Values compared with the digests in the file, and rows with their sums. */
#include <stdlib.h>
#include <string.h>

#include "h5_room.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

/* ---- checking ---- */

/* What stands in the file, line by line, compared with what was gathered. */
typedef struct comparison {
    pulmo_h5_differs each;
    void *context;
    uint64_t differences;
} comparison;

static void tell(comparison *to, const char *name, const char *what)
{
    char words[H5_NAME_BYTES + 64];
    snprintf(words, sizeof words, "%s %s", name, what);
    to->each(to->context, words);
    to->differences++;
}

/* The stored line that `at` begins: its name in place, ended by a NUL, and its digest before it.
 * NULL at the end, or where it is not a line. */
static char *next_line(char **at, char **hex)
{
    char *line = *at;
    char *end = strchr(line, '\n');
    if (!end || end - line < PULMO_DIGEST_HEX + 2)
        return NULL;
    *end = '\0';
    *at = end + 1;
    line[PULMO_DIGEST_HEX - 1] = '\0';
    *hex = line;
    return line + PULMO_DIGEST_HEX + 1;
}

static void compare_line(const content_line *line, const char *hex, comparison *to)
{
    char found[PULMO_DIGEST_HEX];
    pulmo_digest_hex(&line->digest, found);
    if (strcmp(found, hex) != 0)
        tell(to, line->name, "is not what was written");
}

/* Which of two names comes first, below 0 for the stored one; one that has ended comes last. */
static int order_of(const char *stored, const content *c, size_t line)
{
    if (line == c->lines)
        return -1;
    if (!stored)
        return 1;
    return strcmp(stored, c->line[line].name);
}

/* Both lists are ordered by name. `text` is written over. */
static void compare(const content *c, char *text, comparison *to)
{
    size_t line = 0;
    char *hex = NULL;
    char *stored = next_line(&text, &hex);
    while (stored || line < c->lines) {
        int order = order_of(stored, c, line);
        if (order < 0)
            tell(to, stored, "is missing");
        else if (order > 0)
            tell(to, c->line[line].name, "was added");
        else
            compare_line(&c->line[line], hex, to);
        if (order <= 0)
            stored = next_line(&text, &hex);
        if (order >= 0)
            line++;
    }
}

static pulmo_status check_values(content *c, comparison *to)
{
    char *text = NULL;
    char *wanted = NULL;
    char hex[PULMO_DIGEST_HEX] = "";
    PULMO_TRY(pulmo_h5_get_text(c->file, "/", H5_DIGEST_NAME, &wanted));
    pulmo_status status = pulmo_h5_read_text(c->file, H5_TEXT_NAME, &text);
    if (status == PULMO_OK) {
        pulmo_digest digest = pulmo_digest_of(text, strlen(text));
        pulmo_digest_hex(&digest, hex);
        if (strcmp(hex, wanted) != 0)
            tell(to, "/" H5_TEXT_NAME, "is not what its digest was made of");
        status = h5_content_gather(c);
    }
    if (status == PULMO_OK)
        compare(c, text, to);
    free(wanted);
    free(text);
    return status;
}

/* With the lock held. */
static pulmo_status compare_content(pulmo_h5 *file, comparison *to)
{
    content c = {.file = file};
    if (!pulmo_h5_has_attribute(file, "/", H5_DIGEST_NAME)) {
        PULMO_TRY(h5_unsaid_of(file));
        if (pulmo_h5_exists(file, H5_TEXT_NAME))
            tell(to, "/@" H5_DIGEST_NAME, "is missing or cannot be read");
        return PULMO_OK;
    }
    pulmo_status status = check_values(&c, to);
    h5_content_free(&c);
    file->has_digests = status == PULMO_OK;
    return status;
}

/* As many as a line of text holds. */
static void keep_some(void *context, const char *what)
{
    char *some = context;
    size_t at = strlen(some);
    if (at + strlen(what) + 3 < H5_NAME_BYTES)
        snprintf(some + at, H5_NAME_BYTES - at, "%s%s", at > 0 ? ", " : "", what);
}

pulmo_status h5_content_check(pulmo_h5 *file)
{
    char some[H5_NAME_BYTES] = "";
    comparison to = {.each = keep_some, .context = some};
    PULMO_TRY(compare_content(file, &to));
    if (to.differences == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "%s: %s (%llu differ in all): the file is damaged or was changed; restore it "
                      "from a copy, or make it anew",
                      file->path, some, (unsigned long long)to.differences);
}

/* ---- verifying all, rows too ---- */

/* Row `i`, into `row`. Only what is damaged differs: out of memory says nothing of the file. */
static pulmo_status verify_row(pulmo_h5 *file, const char *name, pulmo_h5_type type, uint64_t i,
                               void *row, comparison *to)
{
    char words[H5_NAME_BYTES];
    pulmo_status status = pulmo_h5_read_rows(file, name, type, i, 1, row);
    if (status != PULMO_DATA)
        return status;
    pulmo_error_clear();
    snprintf(words, sizeof words, "/%s: row %llu", name, (unsigned long long)i);
    tell(to, words, "is not what was written");
    return PULMO_OK;
}

/* Rows of one dataset, read one by one. */
static pulmo_status verify_rows(pulmo_h5 *file, const char *name, comparison *to)
{
    pulmo_h5_shape shape;
    PULMO_TRY(pulmo_h5_shape_of(file, name, &shape));
    uint64_t values = 1;
    for (int i = 1; i < shape.rank; i++)
        values *= shape.dims[i];
    double *row = malloc(values * sizeof *row + 1); /* the widest type */
    if (!row)
        return pulmo_fail(PULMO_MEMORY, "%s: /%s: out of memory", file->path, name);
    uint64_t rows = shape.rank > 0 ? shape.dims[0] : 0;
    pulmo_status status = PULMO_OK;
    for (uint64_t i = 0; i < rows && status == PULMO_OK; i++)
        status = verify_row(file, name, shape.type, i, row, to);
    free(row);
    return status;
}

/* Names of datasets that have sums of rows. */
typedef struct names {
    char *name[16];
    int count;
    pulmo_status status;
} names;

static void note_sums(void *context, const char *name, const pulmo_h5_shape *shape,
                      const char *attribute, const char *value)
{
    static const char ending[] = "_xxh3";
    names *n = context;
    size_t length = strlen(name);
    (void)value;
    bool ends = length > sizeof ending && strcmp(name + length - (sizeof ending - 1), ending) == 0;
    if (!shape || attribute || !ends || n->count == 16)
        return;
    char *own = pulmo_format("%.*s", (int)(length - (sizeof ending - 1)), name);
    if (own)
        n->name[n->count++] = own;
    else
        n->status = PULMO_MEMORY;
}

static pulmo_status verify_all_rows(pulmo_h5 *file, comparison *to)
{
    names n = {.count = 0};
    pulmo_status status = pulmo_h5_visit(file, note_sums, &n);
    if (status == PULMO_OK)
        status = n.status;
    for (int i = 0; i < n.count; i++) {
        if (status == PULMO_OK)
            status = verify_rows(file, n.name[i], to);
        free(n.name[i]);
    }
    return status;
}

pulmo_status pulmo_h5_verify(pulmo_h5 *file, pulmo_h5_differs each, void *context,
                             uint64_t *differences)
{
    comparison to = {.each = each, .context = context};
    h5_lock();
    pulmo_status status = compare_content(file, &to);
    h5_unlock();
    if (status == PULMO_OK)
        status = verify_all_rows(file, &to);
    if (status == PULMO_OK && file->is_sealed)
        status = h5_unsaid_of(file); /* what could not be looked for is none */
    *differences = to.differences;
    return status;
}

pulmo_status pulmo_h5_content_digest(pulmo_h5 *file, char hex[PULMO_DIGEST_HEX])
{
    char *text = NULL;
    *hex = '\0';
    if (!pulmo_h5_has_attribute(file, "/", H5_DIGEST_NAME))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, "/", H5_DIGEST_NAME, &text));
    snprintf(hex, PULMO_DIGEST_HEX, "%s", text);
    free(text);
    return PULMO_OK;
}

bool pulmo_h5_is_verified(const pulmo_h5 *file)
{
    return file->is_sealed || file->has_digests;
}

void pulmo_h5_say_unverified(const pulmo_h5 *file)
{
    if (!pulmo_h5_is_verified(file))
        pulmo_info("%s: written without digests; not verified", file->path);
}
