/* Looking things up in the table: commands, options, choices, and names close to what was typed. */
#include <ctype.h>
#include <string.h>

#include "cli.h"
#include "pulmo/text.h"

#define CLOSE_ENOUGH   2 /* edits, for "did you mean" */
#define PREFIX_LETTERS 2 /* at least, for the same of a command's beginning */

/* ---- commands ---- */

const command *command_find(const command *table, const char *name)
{
    for (const command *c = table; c->name; c++) {
        if (strcmp(name, c->name) == 0)
            return c;
    }
    return NULL;
}

/* Edits from one to the other, none where one begins with the other: "eval", "training". */
static int command_distance(const char *typed, const char *name)
{
    size_t length = strlen(typed), name_length = strlen(name);
    size_t shared = length < name_length ? length : name_length;
    if (shared >= PREFIX_LETTERS && strncmp(typed, name, shared) == 0)
        return 0;
    return pulmo_text_distance(typed, name);
}

static void copy_in_lower_case(const char *text, char *out, size_t out_bytes)
{
    size_t length = 0;
    for (; text[length] && length + 1 < out_bytes; length++)
        out[length] = (char)tolower((unsigned char)text[length]);
    out[length] = '\0';
}

const command *command_near(const command *table, const char *typed)
{
    const command *near = NULL;
    int nearest = CLOSE_ENOUGH + 1;
    char lower[64];
    copy_in_lower_case(typed, lower, sizeof lower);
    for (const command *c = table; c->name; c++) {
        int away = command_distance(lower, c->name);
        if (away < nearest) {
            nearest = away;
            near = c;
        }
    }
    return near;
}

/* ---- options ---- */

/* What every command takes besides the table's: argp's own. */
static const command_option argp_options[] = {
    {.name = "help", .letter = '?', .help = "this list"},
    {.name = "usage", .help = "a short list"},
    {.name = "version", .letter = 'V', .help = "the program's version"},
    {0},
};

const command_option *option_next(const command *c, const command_option *o)
{
    const command_option *const lists[3] = {c->options, common_options, argp_options};
    bool is_next = o == NULL;
    for (int i = 0; i < 3; i++) {
        for (const command_option *each = lists[i]; each && each->name; each++) {
            if (is_next)
                return each;
            is_next = each == o;
        }
    }
    return NULL;
}

const command_option *option_find(const command *c, const char *name, size_t length)
{
    const command_option *found = NULL, *o = NULL;
    while ((o = option_next(c, o)) != NULL) {
        if (strncmp(o->name, name, length) != 0)
            continue;
        if (o->name[length] == '\0')
            return o;
        if (!found)
            found = o;
    }
    return found;
}

const command_option *option_of_letter(const command *c, char letter)
{
    const command_option *o = NULL;
    while ((o = option_next(c, o)) != NULL) {
        if (o->letter == letter)
            return o;
    }
    return NULL;
}

const command_option *option_near(const command *c, const char *typed)
{
    const command_option *near = NULL, *o = NULL;
    int nearest = CLOSE_ENOUGH + 1;
    while ((o = option_next(c, o)) != NULL) {
        int away = pulmo_text_distance(typed, o->name);
        if (away < nearest) {
            nearest = away;
            near = o;
        }
    }
    return near;
}

/* ---- keys ---- */

/* The same letters; "-" of an option is "_" of a key. */
static bool same_name(const char *option, const char *key)
{
    while (*option && (*option == *key || (*option == '-' && *key == '_'))) {
        option++;
        key++;
    }
    return *option == '\0' && *key == '\0';
}

bool key_of_option_name(const command *c, const char *typed, char out[PULMO_KEY_BYTES])
{
    for (int i = 0; pulmo_config_key_name(i, c->keys, out); i++) {
        if (same_name(typed, strchr(out, '.') + 1))
            return true;
    }
    return false;
}

/* ---- choices ---- */

bool choice_next(const char **choices, choice *out)
{
    const char *at = *choices;
    if (*at == '\0')
        return false;
    out->text = at;
    out->length = strcspn(at, "|");
    at += out->length;
    if (*at == '|')
        at++;
    *choices = at;
    return true;
}

bool choice_among(const char *choices, const char *text)
{
    choice one;
    size_t length = strlen(text);
    while (choice_next(&choices, &one)) {
        if (one.length == length && strncmp(one.text, text, length) == 0)
            return true;
    }
    return false;
}

void choices_print(const char *choices, char *out, size_t out_bytes)
{
    choice one;
    const char *between = "";
    out[0] = '\0';
    while (choice_next(&choices, &one)) {
        size_t used = strlen(out);
        snprintf(out + used, out_bytes - used, "%s%.*s", between, (int)one.length, one.text);
        between = strchr(choices, '|') ? ", " : " or ";
    }
}
