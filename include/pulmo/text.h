/* Text that is printed into memory and becomes a string or a file, and fields of CSV.
 * Not collective. */
#ifndef PULMO_TEXT_H
#define PULMO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pulmo/status.h"

/* Print to `stream`; the rest is private. Must stay where it was opened. */
typedef struct pulmo_text {
    FILE *stream;
    char *bytes;
    size_t length, room;
    bool failed;
} pulmo_text;

/* Begins an empty text. Ended by exactly one of the three functions below. PULMO_MEMORY. */
pulmo_status pulmo_text_open(pulmo_text *text);

/* Ends the text as a string. Owned by the caller (free). PULMO_MEMORY where any of what was
 * printed did not fit: a text is whole or it is an error. */
pulmo_status pulmo_text_take(pulmo_text *text, char **out);

/* Ends the text as the file `path`, whole or not at all. PULMO_MEMORY, PULMO_IO. */
pulmo_status pulmo_text_write(pulmo_text *text, const char *path);

/* Ends the text unread; nothing happens to one that has ended or is all zeros. */
void pulmo_text_discard(pulmo_text *text);

/* A field of CSV (RFC 4180): in double quotes, with those inside doubled, where it holds a comma,
 * a double quote or an end of line. */
void pulmo_csv_field(FILE *out, const char *field);

/* Bytes of the UTF-8 character that `text`, which is not empty, begins with; 0 where none does. */
size_t pulmo_character_bytes(const char *text);
bool pulmo_text_is_utf8(const char *text);

/* A text that came from outside, for people's eyes, on one line: control characters, among them the
 * escapes that a terminal obeys, and bytes that are not UTF-8 as \x1b. At most `bytes` of it, no
 * character cut in two. Returns how many bytes of the text that was. */
size_t pulmo_text_show(FILE *out, const char *text, size_t bytes);
/* How many bytes that prints. */
int pulmo_text_width(const char *text, size_t bytes);

/* The same of a name that programs read, with each backslash doubled besides: no two names are
 * spelled alike, and each can be had back. Always UTF-8. Owned by the caller (free); NULL for want
 * of memory. */
char *pulmo_name_spelled(const char *name);
/* A name so spelled as a field of CSV, behind a prefix that needs no quotes. */
void pulmo_csv_name_after(FILE *out, const char *prefix, const char *name);
void pulmo_csv_name(FILE *out, const char *name);

/* What a name has in common with those that a person takes for it: small letters (of ASCII and
 * Latin-1), no blanks around it, blanks for no-break spaces, and 12 for a spreadsheet's 12.0. For
 * comparing alone. Owned by the caller (free); NULL for want of memory. */
char *pulmo_text_fold(const char *text);

/* Whether a cell of a table says nothing: it is empty, or nan, NA, N/A, N.A., <NA>, #N/A, NaT, null
 * or None in any case. */
bool pulmo_cell_is_blank(const char *cell);

/* What a noun ends with beside a number: "" for one, else "s". */
const char *pulmo_plural(uint64_t count);
/* "is" for one, else "are". */
const char *pulmo_are(uint64_t count);

/* "1 h 05 min", "12 min", "8 s"; what is below zero, or no number, is 0 s. */
void pulmo_duration_print(FILE *out, double seconds);

/* Letters inserted, deleted or changed between two names (Levenshtein's distance), for "did you
 * mean"; of `b`, the first 32 letters count. */
int pulmo_text_distance(const char *a, const char *b);

/* Numbers names by their order, from 0 on, equal ones alike: number (count), or NULL where it is
 * not wanted. *different: how many there are. PULMO_MEMORY. */
pulmo_status pulmo_names_number(const char *const *names, uint32_t count, uint32_t *number,
                                uint32_t *different);

#endif
