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

bool pulmo_text_is_utf8(const char *text);

/* What a noun ends with beside a number: "" for one, else "s". */
const char *pulmo_plural(uint64_t count);

/* Letters inserted, deleted or changed between two names (Levenshtein's distance), for "did you
 * mean"; of `b`, the first 32 letters count. */
int pulmo_text_distance(const char *a, const char *b);

#endif
