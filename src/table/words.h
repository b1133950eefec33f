/* Inside the table room: lists of words, as configurations and cells hold them. */
#ifndef PULMO_TABLE_WORDS_H
#define PULMO_TABLE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/status.h"

/* All zeros is an empty list; ended by words_free. */
typedef struct words {
    size_t count, room;
    char **word;
} words;

/* Adds a copy of `bytes` bytes. On failure (PULMO_MEMORY) the list is as it was. */
pulmo_status words_add(words *list, const char *text, size_t bytes);
/* The same for a whole string. */
pulmo_status words_add_text(words *list, const char *text);
void words_free(words *list);
/* Where a word stands, or -1. */
int words_find(const words *list, const char *word);
/* "a, b, c" of at most `most` words, cut short with "..."; owned by the caller (free), NULL when
 * out of memory. */
char *words_join(const words *list, size_t most);

/* "[a, b]" is a, b; "{a: 1, b: 2}" is two words as well; other text is one word, blank text none.
 * Words may stand in single or double quotes, which are taken off. Adds to the list. */
pulmo_status words_read(words *list, const char *text);
/* The two columns of a join, "LEFT=RIGHT", or of "COLUMN", which is both. Adds them to the list. */
pulmo_status words_of_join(words *list, const char *by);
/* The labels of one cell: "a|b", "a;b", "['a', 'b']" or "a". Adds to the list. */
pulmo_status words_of_cell(words *list, const char *cell);
/* The same, and "a, b" is a and b where the cell is written as no other list. */
pulmo_status words_of_labels(words *list, const char *cell);
/* The same, but for a cell that is the finding itself. */
pulmo_status words_of_findings(words *list, const char *cell, const char *finding);
/* How a cell holds a finding's name, whatever the case of its letters. */
typedef enum finding_hold {
    HELD_NOT,    /* nowhere, but within longer words and in "No FINDING" */
    HELD_WITHIN, /* among other words of a label, as in "atypical pneumonia" */
    HELD_ALONE,  /* apart from case, separators, brackets and the like it is a label */
} finding_hold;
finding_hold finding_in_cell(const char *cell, const char *finding);
/* Whether a cell is written as a list, be it of one. */
bool is_list_cell(const char *cell);

#endif
