/* Keys by their names, those of earlier versions, and choices by theirs. */
#include <stdio.h>
#include <string.h>

#include "pulmo/text.h"
#include "schema.h"

#define CLOSE_ENOUGH 3 /* edits, for "did you mean" */
#define PART_OF_NAME 2 /* so many edits is a part from the whole name */

/* ---- close names ---- */

/* Edits to the beginning of a key's name, up to the end of one of its words, and two for the rest:
 * "groop" is near group_pattern. Short names are near to everything. */
static int distance_to_words(const char *key, const char *name)
{
    int least = CLOSE_ENOUGH + 1;
    char words[64];
    const int edits_most = strlen(name) < 5 ? 0 : 1;
    for (const char *end = strchr(key, '_'); end; end = strchr(end + 1, '_')) {
        snprintf(words, sizeof words, "%.*s", (int)(end - key), key);
        int edits = pulmo_text_distance(name, words);
        if (edits <= edits_most && edits + PART_OF_NAME < least)
            least = edits + PART_OF_NAME;
    }
    return least;
}

/* Part of a name, or the right name in a wrong section, is nearer than its letters say. */
static int distance_to(const config_key *key, const char *section, const char *name)
{
    bool same_section = strcmp(key->section, section) == 0;
    if (same_section && strstr(key->name, name))
        return PART_OF_NAME;
    if (!same_section && strcmp(key->name, name) == 0)
        return 1;
    int edits = pulmo_text_distance(name, key->name) + pulmo_text_distance(section, key->section);
    int by_words = same_section ? distance_to_words(key->name, name) : edits;
    return by_words < edits ? by_words : edits;
}

static const config_key *closest(const char *section, const char *name, int *away)
{
    int count = 0;
    const config_key *keys = schema_keys(&count), *close = NULL;
    *away = CLOSE_ENOUGH + 1;
    for (int i = 0; i < count; i++) {
        int this_far = distance_to(&keys[i], section, name);
        if (this_far < *away) {
            *away = this_far;
            close = &keys[i];
        }
    }
    return close;
}

static bool section_exists(const char *section)
{
    int count = 0;
    const config_key *keys = schema_keys(&count);
    for (int i = 0; i < count; i++) {
        if (strcmp(keys[i].section, section) == 0)
            return true;
    }
    return false;
}

/* ---- finding ---- */

static const config_key *find_exactly(const char *section, const char *name)
{
    int count = 0;
    const config_key *keys = schema_keys(&count);
    for (int i = 0; i < count; i++) {
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

static const former_key *find_former(const char *section, const char *name)
{
    int count = 0;
    const former_key *former = schema_former_keys(&count);
    for (int i = 0; i < count; i++) {
        if (strcmp(former[i].section, section) == 0 && strcmp(former[i].name, name) == 0)
            return &former[i];
    }
    return NULL;
}

/* The command whose --help lists the keys of a section. */
static const char *help_of(const char *section)
{
    if (strcmp(section, "pack") == 0)
        return "\"pulmo pack --help\" lists the keys of pack";
    return "\"pulmo train --help\" lists all, \"pulmo pack --help\" those of pack";
}

static void report_unknown(const char *section, const char *name)
{
    int away = 0;
    const config_key *close = closest(section, name, &away);
    const char *what = section_exists(section) ? "unknown key" : "unknown section";
    if (close)
        pulmo_fail(PULMO_CONFIG, "%s %s.%s; did you mean %s.%s?", what, section, name,
                   close->section, close->name);
    else
        pulmo_fail(PULMO_CONFIG, "%s %s.%s; %s", what, section, name, help_of(section));
}

const config_key *key_find(const char *section, const char *name)
{
    const config_key *key = find_exactly(section, name);
    const former_key *former = find_former(section, name);
    if (key)
        return key;
    if (former)
        pulmo_fail(PULMO_CONFIG, "%s.%s is named %s.%s now", section, name, former->now_section,
                   former->now_name);
    else
        report_unknown(section, name);
    return NULL;
}

const config_key *key_find_stored(const char *section, const char *name)
{
    const former_key *former = find_former(section, name);
    if (former)
        return find_exactly(former->now_section, former->now_name);
    return key_find(section, name);
}

const config_key *key_named(const char *key)
{
    char section[64] = "", name[64] = "";
    if (sscanf(key, "%63[^.].%63[^=]", section, name) != 2)
        return NULL;
    return find_exactly(section, name);
}

/* ---- lists of keys ---- */

/* Whether one entry of a list, of `length` letters, takes the key of `key_length`. */
static bool entry_takes(const char *entry, size_t length, const char *key, size_t key_length)
{
    if (length > 0 && entry[length - 1] == '*')
        return strncmp(key, entry, length - 1) == 0;
    if (strncmp(key, entry, length) != 0)
        return false;
    bool whole_section = memchr(entry, '.', length) == NULL && key[length] == '.';
    return whole_section || length == key_length;
}

bool key_among(const char *key, const char *keys)
{
    size_t key_length = strcspn(key, "=");
    if (!keys)
        return true;
    for (const char *entry = keys; *entry;) {
        size_t length = strcspn(entry, "|");
        if (entry_takes(entry, length, key, key_length))
            return true;
        entry += length;
        if (*entry == '|')
            entry++;
    }
    return false;
}

bool pulmo_config_key_name(int index, const char *keys, char out[PULMO_KEY_BYTES])
{
    int count = 0;
    const config_key *all = schema_keys(&count);
    for (int i = 0; i < count; i++) {
        snprintf(out, PULMO_KEY_BYTES, "%s.%s", all[i].section, all[i].name);
        if (key_among(out, keys) && index-- == 0)
            return true;
    }
    return false;
}

/* ---- choices ---- */

const char *pulmo_config_choice(const char *key, int index)
{
    const config_key *known = key_named(key);
    if (!known || known->type != KEY_CHOICE || index < 0)
        return NULL;
    for (int i = 0; i < index; i++) {
        if (!known->choices[i])
            return NULL;
    }
    return known->choices[index];
}

int pulmo_config_choice_find(const char *key, const char *text)
{
    const config_key *known = key_named(key);
    if (!known || known->type != KEY_CHOICE)
        return -1;
    for (int i = 0; known->choices[i]; i++) {
        if (strcmp(known->choices[i], text) == 0)
            return i;
    }
    return -1;
}
