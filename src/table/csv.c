/* Reading a table: libcsv parses, zlib inflates; lines are counted here. */
#include <csv.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "pulmo/memory.h"
#include "pulmo/text.h"

#include "sheet.h"

#define CHUNK_BYTES  65536
#define NO_DELIMITER '\1' /* stands in no file of text */

typedef struct reader {
    table *out;
    const words *wanted;
    bool is_names;      /* one per line, without a delimiter */
    bool header_is_due; /* the first record names the columns */
    bool begun;         /* the first record is over */
    words first;        /* its fields */
    size_t *column;     /* (header): which wanted column it is, or `columns` */
    size_t line;        /* being fed */
    size_t newlines;    /* inside the record's fields so far */
    size_t fields;      /* of the record so far */
    size_t last;        /* line of the last record */
    bool blank;         /* the record's fields so far are */
    pulmo_status status;
} reader;

const char *table_cell(const table *t, size_t row, size_t column)
{
    return t->text + t->cell[row * t->columns + column];
}

void table_free(table *t)
{
    free(t->path);
    words_free(&t->header);
    free(t->has);
    free(t->line);
    free(t->cell);
    free(t->text);
    memset(t, 0, sizeof *t);
}

char table_delimiter(const char *line, size_t bytes)
{
    static const char candidates[] = ",;\t";
    size_t most = 0;
    char best = memchr(line, ' ', bytes) ? ' ' : ',';
    for (const char *c = candidates; *c; c++) {
        size_t count = 0;
        bool quoted = false;
        for (size_t i = 0; i < bytes; i++) {
            quoted ^= line[i] == '"';
            count += !quoted && line[i] == *c;
        }
        if (count <= most)
            continue;
        most = count;
        best = *c;
    }
    return best;
}

/* ---- cells ---- */

static pulmo_status add_text(table *t, const char *bytes, size_t count, size_t *offset)
{
    if (t->text_bytes + count + 1 > t->text_room) {
        size_t room = 2 * t->text_room + count + 4096;
        char *larger = realloc(t->text, room);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "%s: out of memory", t->path);
        t->text = larger;
        t->text_room = room;
    }
    *offset = t->text_bytes;
    if (count > 0)
        memcpy(t->text + t->text_bytes, bytes, count);
    t->text[t->text_bytes + count] = '\0';
    t->text_bytes += count + 1;
    return PULMO_OK;
}

/* Room for one more row, whose cells are "". */
static pulmo_status need_row(table *t)
{
    if (t->rows == t->rows_room) {
        size_t room = t->rows_room ? 2 * t->rows_room : 1024;
        size_t *lines = realloc(t->line, room * sizeof *lines);
        if (lines)
            t->line = lines;
        size_t *cells = realloc(t->cell, room * (t->columns + 1) * sizeof *cells);
        if (cells)
            t->cell = cells;
        if (!lines || !cells)
            return pulmo_fail(PULMO_MEMORY, "%s: out of memory for %zu rows", t->path, room);
        t->rows_room = room;
    }
    size_t *cell = t->cell + t->rows * t->columns;
    memset(cell, 0, t->columns * sizeof *cell);
    return PULMO_OK;
}

static pulmo_status store_field(reader *r, size_t field, const char *bytes, size_t count)
{
    table *t = r->out;
    if (count > 0)
        r->blank = false;
    if (count == 0 || field >= t->header.count)
        return PULMO_OK;
    size_t column = r->column[field];
    if (column == t->columns)
        return PULMO_OK;
    size_t *cell = t->cell + t->rows * t->columns + column;
    return add_text(t, bytes, count, cell);
}

/* ---- records ---- */

/* The columns' names are known: which of them are wanted? */
static pulmo_status take_header(reader *r)
{
    table *t = r->out;
    r->column = malloc((t->header.count + 1) * sizeof *r->column);
    if (!r->column)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", t->path);
    for (size_t i = 0; i < t->header.count; i++) {
        int at = words_find(r->wanted, t->header.word[i]);
        r->column[i] = at < 0 ? t->columns : (size_t)at;
        if (at < 0)
            continue;
        if (t->has[at])
            return pulmo_fail(PULMO_DATA, "%s:%zu: two columns are named \"%s\"", t->path, r->line,
                              t->header.word[i]);
        t->has[at] = true;
    }
    return PULMO_OK;
}

/* The first record is the header, or there is none and it is a row. */
static pulmo_status end_first(reader *r)
{
    table *t = r->out;
    if (r->header_is_due) {
        t->header = r->first;
        memset(&r->first, 0, sizeof r->first);
        return take_header(r);
    }
    for (size_t i = 1; i <= r->first.count; i++) {
        char name[32];
        int bytes = snprintf(name, sizeof name, "#%zu", i);
        PULMO_TRY(words_add(&t->header, name, (size_t)bytes));
    }
    PULMO_TRY(take_header(r));
    PULMO_TRY(need_row(t));
    for (size_t i = 0; i < r->first.count; i++) {
        const char *field = r->first.word[i];
        PULMO_TRY(store_field(r, i, field, strlen(field)));
    }
    t->line[t->rows] = r->last;
    t->rows++;
    return PULMO_OK;
}

static pulmo_status end_row(reader *r)
{
    table *t = r->out;
    if (r->blank)
        return PULMO_OK;
    if (r->fields != t->header.count)
        return pulmo_fail(PULMO_DATA,
                          "%s:%zu: has %zu field%s, the header has %zu; a field that holds the "
                          "separator must stand in quotes",
                          t->path, r->last, r->fields, pulmo_plural(r->fields), t->header.count);
    t->line[t->rows] = r->last;
    t->rows++;
    return PULMO_OK;
}

static size_t count_newlines(const char *text, size_t count)
{
    size_t newlines = 0;
    for (size_t i = 0; i < count; i++)
        newlines += text[i] == '\n';
    return newlines;
}

static void on_field(void *bytes, size_t count, void *context)
{
    reader *r = context;
    const char *text = bytes;
    if (r->status != PULMO_OK)
        return;
    r->newlines += count_newlines(text, count);
    if (!r->begun) {
        r->status = words_add(&r->first, text ? text : "", count);
        return;
    }
    if (r->fields == 0) {
        r->status = need_row(r->out);
        r->blank = true;
    }
    if (r->status == PULMO_OK)
        r->status = store_field(r, r->fields, text, count);
    r->fields++;
}

static void on_record(int end, void *context)
{
    reader *r = context;
    (void)end;
    if (r->status != PULMO_OK)
        return;
    r->last = r->line - r->newlines;
    r->newlines = 0;
    r->status = r->begun ? end_row(r) : end_first(r);
    r->begun = true;
    r->fields = 0;
}

/* ---- the file ---- */

static pulmo_status fail_reading(const table *t, gzFile file)
{
    int code = 0;
    const char *reason = gzerror(file, &code);
    if (code == Z_ERRNO)
        return pulmo_fail(PULMO_IO, "%s: cannot be read: %s", t->path, strerror(errno));
    if (code == Z_MEM_ERROR)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory for zlib", t->path);
    return pulmo_fail(PULMO_DATA, "%s: is not whole, or not gzip: %s", t->path, reason);
}

static pulmo_status fail_parsing(const reader *r, struct csv_parser *parser)
{
    int code = csv_error(parser);
    const table *t = r->out;
    if (code != CSV_EPARSE)
        return pulmo_fail(PULMO_MEMORY, "%s:%zu: %s", t->path, r->line, csv_strerror(code));
    return pulmo_fail(PULMO_DATA,
                      "%s:%zu: a quote stands inside a field; a field that holds quotes stands in "
                      "quotes itself, with each of its own doubled",
                      t->path, r->line);
}

/* Feeds whole lines, so that errors can name them. */
static pulmo_status feed(reader *r, struct csv_parser *parser, const char *bytes, size_t count)
{
    while (count > 0 && r->status == PULMO_OK) {
        const char *end = memchr(bytes, '\n', count);
        size_t piece = end ? (size_t)(end - bytes) + 1 : count;
        if (csv_parse(parser, bytes, piece, on_field, on_record, r) != piece)
            return fail_parsing(r, parser);
        if (end)
            r->line++;
        bytes += piece;
        count -= piece;
    }
    return r->status;
}

/* What iconv calls the encoding of a text that is not bytes of ASCII: by its mark, or, without one,
 * by the zeros beside its first two letters. NULL for another. */
static const char *wide_encoding(const char *bytes, size_t count)
{
    static const struct {
        const char *name, *start;
        size_t bytes;
    } marks[] = {{"UTF-32", "\xFF\xFE\0\0", 4},
                 {"UTF-32", "\0\0\xFE\xFF", 4},
                 {"UTF-16", "\xFF\xFE", 2},
                 {"UTF-16", "\xFE\xFF", 2}};
    for (size_t i = 0; i < PULMO_COUNT_OF(marks); i++)
        if (count >= marks[i].bytes && memcmp(bytes, marks[i].start, marks[i].bytes) == 0)
            return marks[i].name;
    if (count < 4)
        return NULL;
    bool even = bytes[0] && bytes[2];
    bool odd = bytes[1] && bytes[3];
    if (even && !bytes[1] && !bytes[3])
        return "UTF-16LE";
    if (odd && !bytes[0] && !bytes[2])
        return "UTF-16BE";
    return NULL;
}

/* What is often given in place of a table. */
static pulmo_status judge_start(const table *t, const char *bytes, size_t count)
{
    bool zip = count >= 4 && memcmp(bytes, "PK\3\4", 4) == 0;
    const char *wide = wide_encoding(bytes, count);
    if (zip)
        return pulmo_fail(PULMO_DATA,
                          "%s: is a zip archive or an Excel workbook; a table is CSV (unzip it, or "
                          "save it as CSV)",
                          t->path);
    if (wide)
        return pulmo_fail(PULMO_DATA,
                          "%s: is %s; a table is UTF-8: iconv -f %s -t UTF-8 TABLE > NEW makes one",
                          t->path, wide, wide);
    if (memchr(bytes, '\0', count))
        return pulmo_fail(PULMO_DATA, "%s: holds a NUL; a table is text", t->path);
    return PULMO_OK;
}

/* The start of the file tells the delimiter; `*skip` bytes of it are a byte order mark. */
static pulmo_status begin(reader *r, struct csv_parser *parser, const char *bytes, size_t count,
                          size_t *skip)
{
    static const char mark[] = "\xEF\xBB\xBF";
    PULMO_TRY(judge_start(r->out, bytes, count));
    *skip = count >= 3 && memcmp(bytes, mark, 3) == 0 ? 3 : 0;
    if (r->is_names) {
        csv_set_delim(parser, NO_DELIMITER);
        return PULMO_OK;
    }
    const char *line = bytes + *skip;
    const char *end = memchr(line, '\n', count - *skip);
    size_t line_bytes = end ? (size_t)(end - line) : count - *skip;
    csv_set_delim(parser, (unsigned char)table_delimiter(line, line_bytes));
    return PULMO_OK;
}

static pulmo_status feed_file(reader *r, struct csv_parser *parser, gzFile file, char *buffer)
{
    bool first = true;
    for (;;) {
        size_t skip = 0;
        int got = gzread(file, buffer, CHUNK_BYTES);
        if (got < 0)
            return fail_reading(r->out, file);
        if (got == 0)
            break;
        if (first)
            PULMO_TRY(begin(r, parser, buffer, (size_t)got, &skip));
        first = false;
        PULMO_TRY(feed(r, parser, buffer + skip, (size_t)got - skip));
    }
    /* A gzip file that was cut short ends here without an error of gzread. */
    int code = 0;
    (void)gzerror(file, &code);
    return code == Z_OK || code == Z_STREAM_END ? PULMO_OK : fail_reading(r->out, file);
}

static pulmo_status feed_all(reader *r, struct csv_parser *parser, gzFile file)
{
    char *buffer = malloc(CHUNK_BYTES);
    if (!buffer)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", r->out->path);
    pulmo_status status = feed_file(r, parser, file, buffer);
    free(buffer);
    return status;
}

static pulmo_status parse(reader *r, gzFile file)
{
    struct csv_parser parser;
    unsigned char options = r->is_names ? 0 : CSV_STRICT;
    if (csv_init(&parser, options) != 0)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", r->out->path);
    pulmo_status status = feed_all(r, &parser, file);
    csv_set_opts(&parser, CSV_STRICT | CSV_STRICT_FINI); /* a quote that is open now stays open */
    if (status == PULMO_OK && csv_fini(&parser, on_field, on_record, r) != 0)
        status = pulmo_fail(PULMO_DATA, "%s:%zu: a quote that begins after this line is not closed",
                            r->out->path, r->last);
    if (status == PULMO_OK)
        status = r->status;
    csv_free(&parser);
    if (status == PULMO_OK && !r->begun)
        status = pulmo_fail(PULMO_DATA, "%s: is empty", r->out->path);
    return status;
}

static pulmo_status start(const char *path, size_t columns, table *out)
{
    size_t nothing = 0;
    memset(out, 0, sizeof *out);
    out->path = pulmo_strdup(path);
    out->columns = columns;
    out->has = calloc(columns + 1, sizeof *out->has);
    if (!out->path || !out->has)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", path);
    return add_text(out, "", 0, &nothing);
}

static pulmo_status read_file(reader *r)
{
    gzFile file = gzopen(r->out->path, "rb");
    if (!file)
        return pulmo_fail(errno == ENOENT ? PULMO_CONFIG : PULMO_IO, "%s: cannot be opened: %s",
                          r->out->path, strerror(errno));
    pulmo_status status = parse(r, file);
    gzclose(file);
    return status;
}

static pulmo_status read_table(reader *r, const char *path)
{
    pulmo_status status = start(path, r->wanted->count, r->out);
    if (status == PULMO_OK)
        status = read_file(r);
    words_free(&r->first);
    free(r->column);
    if (status != PULMO_OK)
        table_free(r->out);
    return status;
}

pulmo_status table_read(const char *path, const words *wanted, bool header, table *out)
{
    reader r = {.out = out, .wanted = wanted, .header_is_due = header, .line = 1};
    return read_table(&r, path);
}

pulmo_status table_read_names(const char *path, table *out)
{
    char name[] = "#1", *list[] = {name};
    const words wanted = {.count = 1, .word = list};
    reader r = {.out = out, .wanted = &wanted, .is_names = true, .line = 1};
    return read_table(&r, path);
}
