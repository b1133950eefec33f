/* Text that is printed into memory, its end checked; fields of CSV. */
#include "pulmo/text.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"

#define NAME_LETTERS 32 /* of a name that count in a distance */

/* Room for `more` bytes and a NUL; doubled, so that each byte is moved about once. */
static bool grow(pulmo_text *text, size_t more)
{
    size_t wanted = text->length + more + 1;
    if (wanted <= text->room)
        return true;
    size_t room = wanted > 2 * text->room ? wanted : 2 * text->room;
    char *larger = realloc(text->bytes, room);
    if (!larger)
        return false;
    text->bytes = larger;
    text->room = room;
    return true;
}

/* Called by stdio; 0 is an error there. */
static ssize_t append(void *cookie, const char *data, size_t bytes)
{
    pulmo_text *text = cookie;
    if (!grow(text, bytes)) {
        text->failed = true;
        return 0;
    }
    memcpy(text->bytes + text->length, data, bytes);
    text->length += bytes;
    text->bytes[text->length] = '\0';
    return (ssize_t)bytes;
}

/* A stream of our own, since glibc's open_memstream forgets that it ran out of memory: neither
 * ferror nor fclose tells. */
pulmo_status pulmo_text_open(pulmo_text *text)
{
    static const cookie_io_functions_t functions = {.write = append};
    memset(text, 0, sizeof *text);
    if (grow(text, 0)) {
        text->bytes[0] = '\0';
        text->stream = fopencookie(text, "w", functions);
    }
    if (text->stream)
        return PULMO_OK;
    pulmo_text_discard(text);
    return pulmo_fail(PULMO_MEMORY, "out of memory for a text");
}

static pulmo_status close_stream(pulmo_text *text)
{
    if (fclose(text->stream) != 0)
        text->failed = true;
    text->stream = NULL;
    if (!text->failed)
        return PULMO_OK;
    pulmo_text_discard(text);
    return pulmo_fail(PULMO_MEMORY, "out of memory for a text");
}

pulmo_status pulmo_text_take(pulmo_text *text, char **out)
{
    PULMO_TRY(close_stream(text));
    *out = text->bytes;
    text->bytes = NULL;
    return PULMO_OK;
}

pulmo_status pulmo_text_write(pulmo_text *text, const char *path)
{
    PULMO_TRY(close_stream(text));
    pulmo_status status = pulmo_file_write(path, text->bytes, text->length);
    pulmo_text_discard(text);
    return status;
}

void pulmo_text_discard(pulmo_text *text)
{
    if (text->stream)
        fclose(text->stream);
    free(text->bytes);
    memset(text, 0, sizeof *text);
}

void pulmo_csv_field(FILE *out, const char *field)
{
    if (!strpbrk(field, ",\"\r\n")) {
        fputs(field, out);
        return;
    }
    fputc('"', out);
    for (const char *at = field; *at; at++) {
        if (*at == '"')
            fputc('"', out);
        fputc(*at, out);
    }
    fputc('"', out);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

int pulmo_text_distance(const char *a, const char *b)
{
    int row[NAME_LETTERS + 1];
    int n = (int)strnlen(b, NAME_LETTERS);
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; *a; a++, i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = diagonal + (*a != b[j - 1]);
            int insert_or_delete = smaller(row[j], row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = smaller(change, insert_or_delete);
        }
    }
    return row[n];
}

/* Where the second byte of a UTF-8 character may lie that begins with `first` (RFC 3629, chapter
 * 4): no character has two spellings, and halves of UTF-16 are none. */
static bool goes_on(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return second >= 0x80 && second <= 0xBF;
    }
}

size_t pulmo_character_bytes(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] >= 0xF5 || !goes_on(p[0], p[1]))
        return 0;
    const size_t bytes = 2 + (size_t)(p[0] >= 0xE0) + (size_t)(p[0] >= 0xF0);
    for (size_t i = 2; i < bytes; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return bytes;
}

bool pulmo_text_is_utf8(const char *text)
{
    while (*text) {
        size_t bytes = pulmo_character_bytes(text);
        if (bytes == 0)
            return false;
        text += bytes;
    }
    return true;
}

/* ---- what people see ---- */

/* ASCII's, and those of ISO 6429 from U+0080 to U+009F, of which some terminals obey each. */
static bool is_control(const char *character)
{
    const unsigned char *p = (const unsigned char *)character;
    if (p[0] < 0x20 || p[0] == 0x7F)
        return true;
    return p[0] == 0xC2 && p[1] < 0xA0;
}

#define HEX_BYTES 4 /* of \x1b */

/* What stands for the next character of a text, or for a byte that is of none. */
typedef struct shown_piece {
    size_t taken, bytes; /* of the text; of `text` */
    char text[2 * HEX_BYTES + 1];
} shown_piece;

static shown_piece piece_at(const char *text)
{
    shown_piece piece = {0};
    const size_t bytes = pulmo_character_bytes(text);
    piece.taken = bytes > 0 ? bytes : 1;
    if (bytes > 0 && !is_control(text)) {
        memcpy(piece.text, text, bytes);
        piece.bytes = bytes;
        return piece;
    }
    for (size_t i = 0; i < piece.taken; i++)
        snprintf(piece.text + i * HEX_BYTES, HEX_BYTES + 1, "\\x%02x", (unsigned char)text[i]);
    piece.bytes = piece.taken * HEX_BYTES;
    return piece;
}

size_t pulmo_text_show(FILE *out, const char *text, size_t bytes)
{
    size_t at = 0;
    while (text[at]) {
        const shown_piece piece = piece_at(text + at);
        if (at + piece.taken > bytes)
            break;
        fwrite(piece.text, 1, piece.bytes, out);
        at += piece.taken;
    }
    return at;
}

int pulmo_text_width(const char *text, size_t bytes)
{
    size_t width = 0;
    for (size_t at = 0; text[at];) {
        const shown_piece piece = piece_at(text + at);
        at += piece.taken;
        if (at > bytes)
            break;
        width += piece.bytes;
    }
    return (int)width;
}

char *pulmo_name_spelled(const char *name)
{
    char *out = malloc(HEX_BYTES * strlen(name) + 1);
    char *to = out;
    if (!out)
        return NULL;
    while (*name) {
        const shown_piece piece = piece_at(name);
        if (*name == '\\')
            *to++ = '\\';
        memcpy(to, piece.text, piece.bytes);
        to += piece.bytes;
        name += piece.taken;
    }
    *to = '\0';
    return out;
}

void pulmo_csv_name_after(FILE *out, const char *prefix, const char *name)
{
    const char *quote = strpbrk(name, ",\"") ? "\"" : "";
    fputs(quote, out);
    fputs(prefix, out);
    while (*name) {
        const shown_piece piece = piece_at(name);
        if (*name == '\\' || *name == '"')
            fputc(*name, out);
        fwrite(piece.text, 1, piece.bytes, out);
        name += piece.taken;
    }
    fputs(quote, out);
}

void pulmo_csv_name(FILE *out, const char *name)
{
    pulmo_csv_name_after(out, "", name);
}

/* A capital of Latin-1 in UTF-8, by its second byte; 0x97 is the times sign. */
static bool is_latin_capital(const char *p)
{
    unsigned char second = (unsigned char)p[1];
    return p[0] == '\xC3' && second >= 0x80 && second <= 0x9E && second != 0x97;
}

/* Bytes of a space that does not break lines, or has no width; 0 where none begins. */
static size_t odd_space(const char *p)
{
    static const char *const spaces[] = {"\xC2\xA0", "\xE2\x80\xAF", "\xEF\xBB\xBF"};
    for (size_t i = 0; i < PULMO_COUNT_OF(spaces); i++) {
        size_t bytes = strlen(spaces[i]);
        if (strncmp(p, spaces[i], bytes) == 0)
            return bytes;
    }
    return 0;
}

/* The length of "12.0" without ".0". */
static size_t whole_number(const char *text, size_t length)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '.' || length == digits + 1)
        return length;
    size_t zeros = strspn(text + digits + 1, "0");
    return digits + 1 + zeros == length ? digits : length;
}

char *pulmo_text_fold(const char *text)
{
    char *out = malloc(strlen(text) + 1);
    size_t at = 0;
    if (!out)
        return NULL;
    while (*text) {
        size_t space = odd_space(text);
        bool is_blank = space > 0 || isspace((unsigned char)*text);
        if (is_blank && at > 0)
            out[at++] = ' ';
        else if (is_latin_capital(text)) {
            out[at++] = *text++;
            out[at++] = (char)(*text + 0x20);
        } else if (!is_blank)
            out[at++] = (char)tolower((unsigned char)*text);
        text += space > 0 ? space : 1;
    }
    while (at > 0 && out[at - 1] == ' ')
        at--;
    out[at] = '\0';
    out[whole_number(out, at)] = '\0';
    return out;
}

bool pulmo_cell_is_blank(const char *cell)
{
    static const char *const blanks[] = {"",     "nan",  "na",  "n/a",  "n.a.",
                                         "<na>", "#n/a", "nat", "null", "none"};
    const size_t count = sizeof blanks / sizeof *blanks;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(blanks[i], cell) == 0)
            return true;
    }
    return false;
}

const char *pulmo_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

const char *pulmo_are(uint64_t count)
{
    return count == 1 ? "is" : "are";
}

void pulmo_duration_print(FILE *out, double seconds)
{
    const long whole = seconds > 0 ? lrint(seconds) : 0;
    if (whole >= 3600)
        fprintf(out, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
    else if (whole >= 60)
        fprintf(out, "%ld min", whole / 60);
    else
        fprintf(out, "%ld s", whole);
}

static int compare_names(const void *left, const void *right)
{
    const char *const *const *a = left;
    const char *const *const *b = right;
    return strcmp(**a, **b);
}

pulmo_status pulmo_names_number(const char *const *names, uint32_t count, uint32_t *number,
                                uint32_t *different)
{
    const char *const **order = malloc(((size_t)count + 1) * sizeof *order);
    if (!order)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an order of %u names", count);
    for (uint32_t i = 0; i < count; i++)
        order[i] = &names[i];
    qsort(order, count, sizeof *order, compare_names);
    *different = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool is_new = i == 0 || strcmp(*order[i - 1], *order[i]) != 0;
        if (is_new)
            ++*different;
        if (number)
            number[order[i] - names] = *different - 1;
    }
    free(order);
    return PULMO_OK;
}
