/* A configuration as text: the echo, a section, what binds a model, differences, and --help. */
#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/text.h"
#include "schema.h"

#define HELP_NAME_COLUMNS 20
#define HELP_COLUMNS      78 /* argp breaks lines of 79 itself */

/* ---- YAML ---- */

/* The code point at *at, which is moved behind it; the text is UTF-8 (key_store sees to it). */
static uint32_t next_point(const char **at)
{
    uint32_t lead = (uint8_t) * (*at)++;
    if (lead < 0x80)
        return lead;
    int more = 1;
    if (lead >= 0xE0)
        more = lead >= 0xF0 ? 3 : 2;
    uint32_t point = lead & (0x3Fu >> more);
    for (; more > 0 && **at; more--)
        point = point << 6 | ((uint8_t) * (*at)++ & 0x3Fu);
    return point;
}

/* What a YAML reader takes as it stands: control characters are errors to it, and what Unicode
 * calls a line break is folded to a space. */
static bool is_plain(uint32_t point)
{
    bool is_control = point < 0x20 || (point >= 0x7F && point < 0xA0);
    bool is_break = point == 0x2028 || point == 0x2029;
    bool is_mark = point == 0xFEFF || point == 0xFFFE || point == 0xFFFF;
    return !is_control && !is_break && !is_mark;
}

static void print_quoted(FILE *out, const char *value)
{
    fputc('"', out);
    while (*value) {
        const char *begin = value;
        uint32_t point = next_point(&value);
        if (point == '"' || point == '\\')
            fputc('\\', out);
        if (point == '\n')
            fputs("\\n", out);
        else if (is_plain(point))
            fwrite(begin, 1, (size_t)(value - begin), out);
        else
            fprintf(out, "\\u%04X", point);
    }
    fputc('"', out);
}

/* Text is quoted, since YAML could take it for something else; a list of numbers stays one. */
static void print_yaml_value(FILE *out, const config_key *key, const char *value)
{
    bool is_list = value[0] == '[' && key->type == KEY_WEIGHTS;
    bool is_text = key->type == KEY_TEXT || key->type == KEY_MAP || key->type == KEY_WEIGHTS;
    if (is_text && !is_list)
        print_quoted(out, value);
    else
        fputs(value, out);
}

/* The keys that `section` (NULL: all) and `binding_only` leave, each section under its name. */
static void print_keys(FILE *out, const pulmo_config *config, const char *section,
                       bool binding_only)
{
    int count = 0;
    const char *begun = "";
    const config_key *keys = schema_keys(&count);
    for (int i = 0; i < count; i++) {
        const config_key *key = &keys[i];
        char value[VALUE_BYTES];
        if (binding_only && !key->binds)
            continue;
        if (section && strcmp(section, key->section) != 0)
            continue;
        if (strcmp(begun, key->section) != 0)
            fprintf(out, "%s:\n", key->section);
        begun = key->section;
        key_print(key, config, value, sizeof value);
        fprintf(out, "  %s: ", key->name);
        print_yaml_value(out, key, value);
        fputc('\n', out);
    }
}

static char *keys_text(const pulmo_config *config, const char *section, bool binding_only)
{
    pulmo_text text;
    char *out = NULL;
    if (pulmo_text_open(&text) != PULMO_OK)
        return NULL;
    print_keys(text.stream, config, section, binding_only);
    if (pulmo_text_take(&text, &out) != PULMO_OK)
        return NULL;
    return out;
}

char *pulmo_config_echo(const pulmo_config *config)
{
    return keys_text(config, NULL, false);
}

char *pulmo_config_binding_lines(const pulmo_config *config)
{
    return keys_text(config, NULL, true);
}

char *pulmo_config_section_lines(const pulmo_config *config, const char *section)
{
    return keys_text(config, section, false);
}

/* ---- differences ---- */

/* A part of the keys, and how their differences are joined. */
typedef struct comparison {
    const char *section; /* NULL: the binding keys of all */
    const char *between;
} comparison;

static bool compares(const comparison *c, const config_key *key)
{
    if (c->section)
        return strcmp(key->section, c->section) == 0;
    return key->binds;
}

static void print_difference(FILE *out, const config_key *key, const char *a, const char *b)
{
    fprintf(out, "%s.%s: ", key->section, key->name);
    print_yaml_value(out, key, a);
    fputs(", not ", out);
    print_yaml_value(out, key, b);
}

static char *differences(const pulmo_config *mine, const pulmo_config *other, comparison which)
{
    pulmo_text text;
    int count = 0;
    char *out = NULL;
    const char *between = "";
    const config_key *keys = schema_keys(&count);
    if (pulmo_text_open(&text) != PULMO_OK)
        return NULL;
    for (int i = 0; i < count; i++) {
        char a[VALUE_BYTES], b[VALUE_BYTES];
        if (!compares(&which, &keys[i]))
            continue;
        key_print(&keys[i], mine, a, sizeof a);
        key_print(&keys[i], other, b, sizeof b);
        if (strcmp(a, b) == 0)
            continue;
        fputs(between, text.stream);
        print_difference(text.stream, &keys[i], a, b);
        between = which.between;
    }
    if (pulmo_text_take(&text, &out) != PULMO_OK)
        return NULL;
    return out;
}

char *pulmo_config_differences(const pulmo_config *mine, const pulmo_config *other)
{
    return differences(mine, other, (comparison){.between = "\n"});
}

char *pulmo_config_section_differences(const pulmo_config *mine, const pulmo_config *other,
                                       const char *section)
{
    return differences(mine, other, (comparison){section, "; "});
}

/* ---- help ---- */

/* Above this, a limit only guards arithmetic: a person wants to know the lower one. */
#define LIMIT_OF_INTEREST 1e8

static void print_range(FILE *out, const config_key *key)
{
    char low[32], high[32];
    number_print(key->minimum, low);
    number_print(key->maximum, high);
    if (key->maximum > LIMIT_OF_INTEREST)
        fprintf(out, "%s or more", low);
    else
        fprintf(out, "%s to %s", low, high);
}

/* "help (a|b|c; default a)"; where the default is nothing, the help says what that means. */
static void print_help_text(FILE *out, const config_key *key)
{
    char choices[VALUE_BYTES];
    bool has_range = key->minimum > -DBL_MAX, has_default = key->initial[0] != '\0';
    fputs(key->help, out);
    if (!key->choices && !has_range && !has_default)
        return;
    fputs(" (", out);
    if (key->choices) {
        key_print_choices(key, choices, sizeof choices);
        fputs(choices, out);
    } else if (has_range) {
        print_range(out, key);
    }
    if ((key->choices || has_range) && has_default)
        fputs("; ", out);
    if (has_default)
        fprintf(out, "default %s", key->initial);
    fputc(')', out);
}

/* Up to a blank; what stands in brackets is one word. */
static int word_length(const char *words)
{
    int length = 0, depth = 0;
    while (words[length] && (words[length] != ' ' || depth > 0)) {
        if (words[length] == '[')
            depth++;
        else if (words[length] == ']')
            depth--;
        length++;
    }
    return length;
}

/* Words in a column of its own, the cursor standing at its start. */
static void print_column(FILE *out, const char *words)
{
    const int start = 2 + HELP_NAME_COLUMNS + 1;
    int at = start;
    while (*words) {
        int length = word_length(words);
        if (at > start && at + 1 + length > HELP_COLUMNS) {
            fprintf(out, "\n%*s", start, "");
            at = start;
        } else if (at > start) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", length, words);
        at += length;
        words += length;
        words += strspn(words, " ");
    }
    fputc('\n', out);
}

static void print_help_line(FILE *out, const config_key *key)
{
    pulmo_text text;
    char *words = NULL;
    if (pulmo_text_open(&text) != PULMO_OK)
        return;
    print_help_text(text.stream, key);
    if (pulmo_text_take(&text, &words) != PULMO_OK)
        return;
    fprintf(out, "  %-*s ", HELP_NAME_COLUMNS, key->name);
    print_column(out, words);
    free(words);
}

void pulmo_config_help(FILE *out, const char *keys)
{
    char name[PULMO_KEY_BYTES];
    const char *begun = "";
    for (int i = 0; pulmo_config_key_name(i, keys, name); i++) {
        const config_key *key = key_named(name);
        if (strcmp(begun, key->section) != 0)
            fprintf(out, "%s:\n", key->section);
        begun = key->section;
        print_help_line(out, key);
    }
}
