/* Inside the preparation room: findings in words, gathered while a pack is planned. */
#ifndef PULMO_PREP_LINES_H
#define PULMO_PREP_LINES_H

#include <stddef.h>

#include "pulmo/status.h"

/* Lines of text, one a finding. All zero is an empty list. */
typedef struct text_lines {
    char **text;
    size_t count, room;
} text_lines;

/* Adds a line. On failure (PULMO_MEMORY) the lines are as they were. */
pulmo_status lines_add(text_lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds copies of all of `more`. PULMO_MEMORY. */
pulmo_status lines_append(text_lines *lines, const text_lines *more);
/* All lines as one text, parted by `between`. Owned by the caller (free). */
pulmo_status lines_join(const text_lines *lines, const char *between, char **out);
/* Frees all lines; the list is empty again. */
void lines_free(text_lines *lines);

#endif
