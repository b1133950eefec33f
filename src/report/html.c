/* Text, numbers and intervals as HTML. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "report_room.h"

/* Bytes of the UTF-8 character at `text`, 0 if there is none. */
static int utf8_length(const unsigned char *text)
{
    static const unsigned char least[5] = {0, 0, 0xc2, 0xe0, 0xf0},
                               most[5] = {0, 0x7f, 0xdf, 0xef, 0xf4};
    int length = 1 + (text[0] >= 0x80) + (text[0] >= 0xe0) + (text[0] >= 0xf0);
    if (length > 1 && (text[0] < least[length] || text[0] > most[length]))
        return 0;
    for (int i = 1; i < length; i++) {
        int leading = text[i] & 0xc0;
        if (leading != 0x80)
            return 0;
    }
    if (text[0] == 0xe0 && text[1] < 0xa0)
        return 0; /* longer than need be */
    if (text[0] == 0xed && text[1] > 0x9f)
        return 0; /* halves of UTF-16 */
    if (text[0] == 0xf0 && text[1] < 0x90)
        return 0;
    if (text[0] == 0xf4 && text[1] > 0x8f)
        return 0; /* beyond Unicode */
    return length;
}

/* What a page may not hold; line ends and tabs it may. */
static bool is_control(unsigned char byte)
{
    if (byte == '\n' || byte == '\t')
        return false;
    return byte < 0x20 || byte == 0x7f;
}

void html_text(FILE *out, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        int length = utf8_length(at);
        if (*at == '&')
            fputs("&amp;", out);
        else if (*at == '<')
            fputs("&lt;", out);
        else if (*at == '>')
            fputs("&gt;", out);
        else if (*at == '"')
            fputs("&quot;", out);
        else if (*at == '\'')
            fputs("&#39;", out);
        else if (length == 0 || is_control(*at))
            fputs("\xef\xbf\xbd", out);
        else
            fwrite(at, 1, (size_t)length, out);
        at += length > 0 ? length : 1;
    }
}

void html_say(FILE *out, const char *format, ...)
{
    char line[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    html_text(out, line);
}

void html_tagged(FILE *out, const char *tag, const char *text)
{
    fprintf(out, "<%s>", tag);
    html_text(out, text);
    fprintf(out, "</%s>", tag);
}

void html_number(FILE *out, double value)
{
    if (isnan(value))
        fputs("\u2013", out);
    else
        fprintf(out, "%.3f", value);
}

void html_range(FILE *out, pulmo_interval it)
{
    if (isnan(it.low))
        fputs("\u2013", out);
    else
        fprintf(out, "%.3f\u2013%.3f", it.low, it.high);
}
