/* Lines of text, one a finding. */
#include "lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/text.h"

pulmo_status lines_add(text_lines *lines, const char *format, ...)
{
    va_list arguments;
    if (lines->count == lines->room) {
        size_t room = lines->room ? 2 * lines->room : 16;
        char **larger = realloc(lines->text, room * sizeof *larger);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "out of memory for findings");
        lines->text = larger;
        lines->room = room;
    }
    va_start(arguments, format);
    int length = vasprintf(&lines->text[lines->count], format, arguments);
    va_end(arguments);
    if (length < 0)
        return pulmo_fail(PULMO_MEMORY, "out of memory for findings");
    lines->count++;
    return PULMO_OK;
}

pulmo_status lines_append(text_lines *lines, const text_lines *more)
{
    for (size_t i = 0; i < more->count; i++)
        PULMO_TRY(lines_add(lines, "%s", more->text[i]));
    return PULMO_OK;
}

pulmo_status lines_join(const text_lines *lines, const char *between, char **out)
{
    pulmo_text text;
    PULMO_TRY(pulmo_text_open(&text));
    for (size_t i = 0; i < lines->count; i++)
        fprintf(text.stream, "%s%s", i > 0 ? between : "", lines->text[i]);
    return pulmo_text_take(&text, out);
}

void lines_free(text_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->text[i]);
    free(lines->text);
    memset(lines, 0, sizeof *lines);
}
