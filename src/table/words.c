/* Lists of words, as configurations and cells hold them. */
#include "words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "pulmo/text.h"

pulmo_status words_add(words *list, const char *text, size_t bytes)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 8;
        char **larger = realloc(list->word, room * sizeof *larger);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "out of memory for %zu words", room);
        list->word = larger;
        list->room = room;
    }
    char *copy = malloc(bytes + 1);
    if (!copy)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a word");
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    list->word[list->count] = copy;
    list->count++;
    return PULMO_OK;
}

void words_free(words *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->word[i]);
    free(list->word);
    memset(list, 0, sizeof *list);
}

int words_find(const words *list, const char *word)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->word[i], word) == 0)
            return (int)i;
    }
    return -1;
}

char *words_join(const words *list, size_t most)
{
    pulmo_text text = {0};
    char *out = NULL;
    if (pulmo_text_open(&text) != PULMO_OK)
        return NULL;
    for (size_t i = 0; i < list->count && i < most; i++)
        fprintf(text.stream, "%s%s", i > 0 ? ", " : "", list->word[i]);
    if (list->count > most)
        fputs(", ...", text.stream);
    if (pulmo_text_take(&text, &out) != PULMO_OK)
        return NULL;
    return out;
}

/* ---- reading ---- */

/* Text without the blanks around it. */
typedef struct span {
    const char *text;
    size_t bytes;
} span;

static span trim(const char *text, size_t bytes)
{
    while (bytes > 0 && isspace((unsigned char)*text)) {
        text++;
        bytes--;
    }
    while (bytes > 0 && isspace((unsigned char)text[bytes - 1]))
        bytes--;
    return (span){text, bytes};
}

static bool is_within(span s, char first, char last)
{
    return s.bytes >= 2 && s.text[0] == first && s.text[s.bytes - 1] == last;
}

/* Without what stands at both ends. */
static span inside(span s)
{
    return trim(s.text + 1, s.bytes - 2);
}

/* Bytes up to the next separator that is not in quotes. A quote begins a word or is a letter. */
static size_t word_bytes(const char *text, size_t bytes, char separator)
{
    size_t at = 0;
    while (at < bytes && isspace((unsigned char)text[at]))
        at++;
    if (at < bytes && (text[at] == '\'' || text[at] == '"')) {
        const char *end = memchr(text + at + 1, text[at], bytes - at - 1);
        if (end)
            at = (size_t)(end - text);
    }
    const char *next = memchr(text + at, separator, bytes - at);
    return next ? (size_t)(next - text) : bytes;
}

static pulmo_status add_separated(words *list, span all, char separator)
{
    size_t at = 0;
    while (at < all.bytes) {
        size_t bytes = word_bytes(all.text + at, all.bytes - at, separator);
        span word = trim(all.text + at, bytes);
        if (is_within(word, '\'', '\'') || is_within(word, '"', '"'))
            word = inside(word);
        if (word.bytes > 0)
            PULMO_TRY(words_add(list, word.text, word.bytes));
        at += bytes + 1;
    }
    return PULMO_OK;
}

pulmo_status words_read(words *list, const char *text)
{
    span all = trim(text, strlen(text));
    if (is_within(all, '[', ']') || is_within(all, '{', '}'))
        return add_separated(list, inside(all), ',');
    if (all.bytes == 0)
        return PULMO_OK;
    return words_add(list, all.text, all.bytes);
}

bool is_list_cell(const char *cell)
{
    return is_within(trim(cell, strlen(cell)), '[', ']') || strpbrk(cell, "|;") != NULL;
}

pulmo_status words_of_cell(words *list, const char *cell)
{
    span all = trim(cell, strlen(cell));
    if (is_within(all, '[', ']'))
        return add_separated(list, inside(all), ',');
    return add_separated(list, all, strchr(cell, '|') ? '|' : ';');
}
