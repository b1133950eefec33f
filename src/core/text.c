/* Text that is printed into memory, its end checked; fields of CSV. */
#include "pulmo/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"

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

/* Of a UTF-8 character that begins so; -1 where none does. */
static int bytes_to_follow(unsigned char first)
{
    if (first < 0x80)
        return 0;
    if (first < 0xC2 || first >= 0xF5)
        return -1;
    return 1 + (first >= 0xE0) + (first >= 0xF0);
}

bool pulmo_text_is_utf8(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        int more = bytes_to_follow(*p);
        if (more < 0)
            return false;
        for (p++; more > 0; more--, p++)
            if ((*p & 0xC0) != 0x80)
                return false;
    }
    return true;
}

const char *pulmo_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}
