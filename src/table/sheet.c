/* Several tables as one: rows below each other, or joined by a column. */
#include "sheet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/text.h"

void sheet_free(sheet *s)
{
    for (size_t i = 0; i < s->tables; i++)
        table_free(&s->table[i]);
    words_free(&s->wanted);
    free(s->row);
    memset(s, 0, sizeof *s);
}

bool sheet_has(const sheet *s, size_t column)
{
    for (size_t i = 0; i < s->tables; i++) {
        if (s->table[i].has[column])
            return true;
    }
    return false;
}

/* The rows of each table that make the sheet's row. */
static uint32_t *rows_of(const sheet *s, size_t row)
{
    return s->row + row * s->tables;
}

/* The first table that has the column and a row for this row; `tables` if none. */
static size_t table_of(const sheet *s, size_t row, size_t column)
{
    const uint32_t *of = rows_of(s, row);
    for (size_t i = 0; i < s->tables; i++) {
        bool has = s->table[i].has[column];
        if (has && of[i] != ROW_NONE)
            return i;
    }
    return s->tables;
}

const char *sheet_cell(const sheet *s, size_t row, size_t column)
{
    size_t i = table_of(s, row, column);
    if (i == s->tables)
        return NULL;
    uint32_t of = rows_of(s, row)[i];
    return table_cell(&s->table[i], of, column);
}

cell_place sheet_place(const sheet *s, size_t row, size_t column)
{
    const uint32_t *of = rows_of(s, row);
    size_t i = table_of(s, row, column);
    if (i == s->tables)
        i = 0;
    while (of[i] == ROW_NONE)
        i++;
    const table *t = &s->table[i];
    return (cell_place){t->path, t->line[of[i]]};
}

pulmo_status sheet_fail(const sheet *s, size_t row, size_t column, const char *format, ...)
{
    char reason[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    cell_place place = sheet_place(s, row, column);
    const char *name = s->wanted.word[column];
    return pulmo_fail(PULMO_DATA, "%s:%zu: column \"%s\": %s", place.path, place.line, name,
                      reason);
}

static pulmo_status make_rows(sheet *s, size_t rows)
{
    if (rows >= ROW_NONE)
        return pulmo_fail(PULMO_DATA, "%s: has %zu rows; at most %u", s->table[0].path, rows,
                          ROW_NONE - 1);
    s->rows = rows;
    size_t places = rows * s->tables;
    free(s->row);
    s->row = malloc((places + 1) * sizeof *s->row);
    if (!s->row)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu rows of tables", rows);
    for (size_t i = 0; i < places; i++)
        s->row[i] = ROW_NONE;
    return PULMO_OK;
}

pulmo_status sheet_stack(sheet *s)
{
    size_t rows = 0, at = 0;
    for (size_t i = 0; i < s->tables; i++)
        rows += s->table[i].rows;
    PULMO_TRY(make_rows(s, rows));
    for (size_t i = 0; i < s->tables; i++) {
        size_t count = s->table[i].rows;
        for (size_t r = 0; r < count; r++) {
            rows_of(s, at)[i] = (uint32_t)r;
            at++;
        }
    }
    return PULMO_OK;
}

/* ---- joining ---- */

typedef struct keyed_row {
    const char *key;
    uint32_t row;
} keyed_row;

static int by_key(const void *a, const void *b)
{
    const keyed_row *left = a;
    const keyed_row *right = b;
    return strcmp(left->key, right->key);
}

/* Those of one key in their order. */
static int by_key_and_row(const void *a, const void *b)
{
    const keyed_row *left = a;
    const keyed_row *right = b;
    int order = by_key(a, b);
    if (order != 0)
        return order;
    return left->row < right->row ? -1 : 1;
}

/* Where the two columns of a join stand among the wanted. */
typedef struct join_columns {
    int left, right;
} join_columns;

/* `names`: as they are called, left and right. */
static pulmo_status judge_columns(const sheet *s, size_t table_index, const char *by,
                                  char *const names[2], const join_columns *columns)
{
    const table *t = &s->table[table_index];
    bool found = false;
    for (size_t i = 0; i < table_index && columns->left >= 0; i++)
        found = found || s->table[i].has[columns->left];
    if (!found)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.join: \"%s\": the tables before %s have no column \"%s\"", by,
                          t->path, names[0]);
    if (columns->right < 0 || !t->has[columns->right])
        return pulmo_fail(PULMO_CONFIG, "pack.join: \"%s\": %s has no column \"%s\"", by, t->path,
                          names[1]);
    return PULMO_OK;
}

static pulmo_status find_columns(const sheet *s, size_t table_index, const char *by,
                                 join_columns *out)
{
    words names = {0};
    pulmo_status status = words_of_join(&names, by);
    if (status == PULMO_OK) {
        out->left = words_find(&s->wanted, names.word[0]);
        out->right = words_find(&s->wanted, names.word[1]);
        status = judge_columns(s, table_index, by, names.word, out);
    }
    words_free(&names);
    return status;
}

/* Two rows of one key are one only if nothing that is wanted tells them apart. */
static pulmo_status judge_twins(const table *t, const keyed_row *a, const keyed_row *b)
{
    for (size_t c = 0; c < t->columns; c++) {
        const char *first = table_cell(t, a->row, c);
        const char *second = table_cell(t, b->row, c);
        if (strcmp(first, second) == 0)
            continue;
        return pulmo_fail(PULMO_DATA,
                          "%s: lines %zu and %zu are both of \"%s\" and differ (\"%s\", \"%s\"); a "
                          "joined table has one row for each",
                          t->path, t->line[a->row], t->line[b->row], a->key, first, second);
    }
    return PULMO_OK;
}

static pulmo_status sort_rows(const table *t, size_t column, keyed_row **out)
{
    keyed_row *rows = malloc((t->rows + 1) * sizeof *rows);
    if (!rows)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", t->path);
    for (size_t r = 0; r < t->rows; r++) {
        const char *key = table_cell(t, r, column);
        rows[r] = (keyed_row){key, (uint32_t)r};
    }
    qsort(rows, t->rows, sizeof *rows, by_key_and_row);
    *out = rows;
    for (size_t r = 1; r < t->rows; r++) {
        const keyed_row *first = &rows[r - 1];
        const keyed_row *second = &rows[r];
        bool has_key = !pulmo_cell_is_blank(second->key);
        if (has_key && by_key(first, second) == 0)
            PULMO_TRY(judge_twins(t, first, second));
    }
    return PULMO_OK;
}

/* NULL where there is none, and for a blank. */
static const keyed_row *find_key(const keyed_row *sorted, size_t count, const char *key)
{
    const keyed_row wanted = {.key = key};
    if (!key || pulmo_cell_is_blank(key))
        return NULL;
    return bsearch(&wanted, sorted, count, sizeof *sorted, by_key);
}

static pulmo_status join_table(sheet *s, size_t table_index, const char *by)
{
    const table *t = &s->table[table_index];
    join_columns columns = {0};
    keyed_row *sorted = NULL;
    PULMO_TRY(find_columns(s, table_index, by, &columns));
    pulmo_status status = sort_rows(t, (size_t)columns.right, &sorted);
    for (size_t r = 0; r < s->rows && status == PULMO_OK; r++) {
        const char *key = sheet_cell(s, r, (size_t)columns.left);
        const keyed_row *found = find_key(sorted, t->rows, key);
        if (found)
            rows_of(s, r)[table_index] = found->row;
        else
            s->unjoined[table_index]++;
    }
    free(sorted);
    return status;
}

pulmo_status sheet_join(sheet *s, const words *by)
{
    if (by->count + 1 != s->tables)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.join: names %zu column%s for %zu table%s; each table but the first "
                          "is joined by one",
                          by->count, pulmo_plural(by->count), s->tables, pulmo_plural(s->tables));
    PULMO_TRY(make_rows(s, s->table[0].rows));
    for (size_t r = 0; r < s->rows; r++)
        rows_of(s, r)[0] = (uint32_t)r;
    for (size_t i = 1; i < s->tables; i++)
        PULMO_TRY(join_table(s, i, by->word[i - 1]));
    return PULMO_OK;
}
