/* Text, numbers and intervals as HTML. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "pulmo/text.h"
#include "report_room.h"

/* What a page may not hold; line ends and tabs it may. */
static bool is_control(unsigned char byte)
{
    if (byte == '\n' || byte == '\t')
        return false;
    return byte < 0x20 || byte == 0x7f;
}

void html_text(FILE *out, const char *text)
{
    for (const char *at = text; *at;) {
        size_t length = pulmo_character_bytes(at);
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
        else if (length == 0 || is_control((unsigned char)*at))
            fputs("\xef\xbf\xbd", out);
        else
            fwrite(at, 1, length, out);
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
    else if (it.low < 0)
        fprintf(out, "%.3f to %.3f", it.low, it.high);
    else
        fprintf(out, "%.3f\u2013%.3f", it.low, it.high);
}

void html_measure(FILE *out, const char *name, const char *meaning, pulmo_interval it)
{
    fputs("<tr><th scope=\"row\">", out);
    html_text(out, name);
    fputs("<small>", out);
    html_text(out, meaning);
    fputs("</small></th><td class=\"n\">", out);
    html_number(out, it.value);
    fputs("</td><td class=\"n\">", out);
    html_range(out, it);
    fputs("</td></tr>\n", out);
}
