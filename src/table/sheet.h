/* Inside the table room: tables in memory. */
#ifndef PULMO_TABLE_SHEET_H
#define PULMO_TABLE_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "words.h"

/* The columns that are wanted of one file. */
typedef struct table {
    char *path;             /* as errors name it */
    words header;           /* every column of the file */
    size_t columns;         /* wanted */
    bool *has;              /* (columns): whether the file has it */
    size_t rows, rows_room; /* without the header */
    size_t *line;           /* (rows), from 1: where the row begins in the file */
    size_t *cell;           /* (rows, columns): offset into text; of "" where the file has none */
    char *text;
    size_t text_bytes, text_room;
} table;

/* Reads a file of comma, semicolon, tab or space separated values (RFC 4180 quotes, an UTF-8 byte
 * order mark, any ends of lines, gzip). Without `header`, the columns are named #1, #2, ...
 * PULMO_CONFIG where there is no such file, PULMO_IO where it cannot be read, PULMO_DATA with
 * file, line and rule where it is not such a table. Owned by the caller (table_free). */
pulmo_status table_read(const char *path, const words *wanted, bool header, table *out);
/* The same for a file of one name per line. */
pulmo_status table_read_names(const char *path, table *out);
void table_free(table *t);
const char *table_cell(const table *t, size_t row, size_t column);

/* The character that separates the columns of a header line: the most frequent of comma, semicolon
 * and tab outside quotes; a space where there is none of them. */
char table_delimiter(const char *line, size_t bytes);

#define TABLES_MAX 8
#define ROW_NONE   UINT32_MAX

/* Several tables as one: a row is a row of each of them, or of some. */
typedef struct sheet {
    words wanted; /* columns */
    table table[TABLES_MAX];
    size_t tables;
    size_t rows;
    uint32_t *row;               /* (rows, tables), ROW_NONE where the table has none for it */
    size_t unjoined[TABLES_MAX]; /* rows for which the table has none */
} sheet;

/* A row below the other. Owned by the caller, as all of a sheet (sheet_free). */
pulmo_status sheet_stack(sheet *s);
/* Each row of the first table with the row of each further one whose cell is equal. `by` has a
 * word for each further table: COLUMN or LEFT=RIGHT; its columns are among the wanted. PULMO_DATA
 * where two rows of a further table have one key and differ. */
pulmo_status sheet_join(sheet *s, const words *by);
void sheet_free(sheet *s);

/* NULL where no table has this cell for the row. */
const char *sheet_cell(const sheet *s, size_t row, size_t column);
/* Which table has it, and in which line; of the row itself where none has. */
typedef struct cell_place {
    const char *path;
    size_t line;
} cell_place;
cell_place sheet_place(const sheet *s, size_t row, size_t column);
/* PULMO_DATA with "FILE:LINE: column "NAME": " before the words. */
pulmo_status sheet_fail(const sheet *s, size_t row, size_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Whether any table has the column. */
bool sheet_has(const sheet *s, size_t column);

#endif
