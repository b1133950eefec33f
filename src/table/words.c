/* Lists of words, as configurations and cells hold them. */
#include "words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
    char *copy = strndup(text, bytes);
    if (!copy)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a word");
    list->word[list->count] = copy;
    list->count++;
    return PULMO_OK;
}

pulmo_status words_add_text(words *list, const char *text)
{
    return words_add(list, text, strlen(text));
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
    size_t shown = list->count < most ? list->count : most;
    const char *between = "";
    for (size_t i = 0; i < shown; i++) {
        fprintf(text.stream, "%s%s", between, list->word[i]);
        between = ", ";
    }
    if (shown < list->count)
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

static bool is_blank(char c)
{
    return isspace((unsigned char)c) != 0;
}

static span trim(const char *text, size_t bytes)
{
    const char *end = text + bytes;
    while (text < end && is_blank(*text))
        text++;
    while (end > text && is_blank(end[-1]))
        end--;
    return (span){text, (size_t)(end - text)};
}

static bool is_within(span s, char first, char last)
{
    if (s.bytes < 2)
        return false;
    const char *end = s.text + s.bytes - 1;
    return *s.text == first && *end == last;
}

/* Without what stands at both ends. */
static span inside(span s)
{
    return trim(s.text + 1, s.bytes - 2);
}

static bool is_quote(char c)
{
    return c == '\'' || c == '"';
}

static span without_quotes(span s)
{
    bool quoted = is_within(s, '\'', '\'') || is_within(s, '"', '"');
    return quoted ? inside(s) : s;
}

/* Bytes up to the next separator that is not in quotes. A quote begins a word or is a letter. */
static size_t word_bytes(const char *text, size_t bytes, char separator)
{
    const char *at = text;
    const char *end = text + bytes;
    while (at < end && is_blank(*at))
        at++;
    if (at < end && is_quote(*at)) {
        const char *close = memchr(at + 1, *at, (size_t)(end - at) - 1);
        if (close)
            at = close;
    }
    const char *next = memchr(at, separator, (size_t)(end - at));
    return next ? (size_t)(next - text) : bytes;
}

static pulmo_status add_separated(words *list, span all, char separator)
{
    const char *at = all.text;
    const char *end = at + all.bytes;
    while (at < end) {
        size_t left = (size_t)(end - at);
        size_t bytes = word_bytes(at, left, separator);
        span word = without_quotes(trim(at, bytes));
        if (word.bytes > 0)
            PULMO_TRY(words_add(list, word.text, word.bytes));
        at += bytes + 1;
    }
    return PULMO_OK;
}

pulmo_status words_read(words *list, const char *text)
{
    span all = trim(text, strlen(text));
    bool is_list = is_within(all, '[', ']') || is_within(all, '{', '}');
    if (is_list)
        return add_separated(list, inside(all), ',');
    span word = without_quotes(all);
    if (word.bytes == 0)
        return PULMO_OK;
    return words_add(list, word.text, word.bytes);
}

pulmo_status words_of_join(words *list, const char *by)
{
    const char *equals = strchr(by, '=');
    size_t left_bytes = equals ? (size_t)(equals - by) : strlen(by);
    PULMO_TRY(words_add(list, by, left_bytes));
    return words_add_text(list, equals ? equals + 1 : by);
}

bool is_list_cell(const char *cell)
{
    span all = trim(cell, strlen(cell));
    if (is_within(all, '[', ']'))
        return true;
    return strpbrk(cell, "|;") != NULL;
}

pulmo_status words_of_cell(words *list, const char *cell)
{
    span all = trim(cell, strlen(cell));
    if (is_within(all, '[', ']'))
        return add_separated(list, inside(all), ',');
    char separator = strchr(cell, '|') ? '|' : ';';
    return add_separated(list, all, separator);
}

pulmo_status words_of_labels(words *list, const char *cell)
{
    if (is_list_cell(cell))
        return words_of_cell(list, cell);
    return add_separated(list, trim(cell, strlen(cell)), ',');
}

pulmo_status words_of_findings(words *list, const char *cell, const char *finding)
{
    if (strcmp(cell, finding) == 0)
        return words_of_cell(list, cell);
    return words_of_labels(list, cell);
}

/* ---- a finding's name in a cell ---- */

/* Stands beside a label and is none of it. Bytes of other characters than ASCII's may be letters.
 */
static bool is_mark(char c)
{
    return is_blank(c) || (ispunct((unsigned char)c) && !strchr("-_", c));
}

/* Whether marks that end a label, or an end of the cell, come first on this side of `at`. */
static bool is_label_end(const char *cell, const char *at, int step)
{
    while (at >= cell && *at && is_mark(*at)) {
        if (strchr("|;,/\\&+\n\r\t", *at))
            return true;
        at += step;
    }
    return at < cell || !*at;
}

static bool is_alone(const char *cell, span s)
{
    return is_label_end(cell, s.text - 1, -1) && is_label_end(cell, s.text + s.bytes, 1);
}

/* Neither a letter nor a digit on either side. */
static bool is_whole_word(const char *cell, span s)
{
    bool begins = s.text == cell || !isalnum((unsigned char)s.text[-1]);
    return begins && !isalnum((unsigned char)s.text[s.bytes]);
}

static bool is_negated(const char *cell, span s)
{
    if (s.text - cell < 3 || strncasecmp(s.text - 3, "no ", 3) != 0)
        return false;
    return is_alone(cell, (span){s.text - 3, s.bytes + 3});
}

finding_hold finding_in_cell(const char *cell, const char *finding)
{
    finding_hold most = HELD_NOT;
    span s = {cell, strlen(finding)};
    while ((s.text = strcasestr(s.text, finding)) != NULL) {
        bool counts = is_whole_word(cell, s) && !is_negated(cell, s);
        if (counts && is_alone(cell, s))
            return HELD_ALONE;
        if (counts)
            most = HELD_WITHIN;
        s.text++;
    }
    return most;
}
