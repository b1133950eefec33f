/* Inside the config room: the keys, and their values as text and back. */
#ifndef PULMO_CONFIG_SCHEMA_H
#define PULMO_CONFIG_SCHEMA_H

#include "pulmo/config.h"

typedef enum key_type {
    KEY_TEXT,   /* char[] of `bytes`, UTF-8 */
    KEY_MAP,    /* the same: "{a: b, c: d}", which in a file may be a mapping */
    KEY_INT,    /* int64_t */
    KEY_REAL,   /* double */
    KEY_PAIR,   /* double[2]: "[low, high]", or 0 for [1, 1] */
    KEY_RANGE,  /* double[2]: "[low, high]", or one number for both */
    KEY_JITTER, /* double[2]: "[low, high]", or a number b for [max(0, 1-b), 1+b] */
    KEY_SHIFT,  /* double[2]: "[x, y]", or one number for both */
    KEY_CHOICE, /* int: index into `choices` */
    KEY_INTS,   /* pulmo_int_list: "[a, b, ...]" */
    KEY_WEIGHTS /* char[]: a word, or numbers, which are kept as "[a, b, ...]" however they came */
} key_type;

typedef struct config_key {
    const char *section, *name;
    key_type type;
    size_t offset;              /* into pulmo_config */
    size_t bytes;               /* of the field */
    const char *initial;        /* the default, as text */
    double minimum, maximum;    /* of numbers, inclusive */
    const char *const *choices; /* ends with NULL */
    bool binds;                 /* another value makes another model */
    const char *help;
} config_key;

/* A key by its name of an earlier version. */
typedef struct former_key {
    const char *section, *name;
    const char *now_section, *now_name;
} former_key;

/* Room for any value as text. */
#define VALUE_BYTES 4096

/* The tables; *count is the length. */
const config_key *schema_keys(int *count);
const former_key *schema_former_keys(int *count);

/* The key SECTION.NAME. NULL if there is none; the report then says so, with the name that it has
 * now or "did you mean" where a name is close. */
const config_key *key_find(const char *section, const char *name);
/* The same for what an earlier version wrote: takes former names too. */
const config_key *key_find_stored(const char *section, const char *name);
/* The same for "section.name", which the program itself asks for: NULL without a report. */
const config_key *key_named(const char *key);
/* Whether "section.name" (up to its end or '=') is among keys, "section.name|section.*|section";
 * NULL is all. */
bool key_among(const char *key, const char *keys);

/* Stores a value given as text. On failure the report says "VALUE: rule", without the key. */
pulmo_status key_store(const config_key *key, pulmo_config *config, const char *text);
/* The value as text that key_store takes back unchanged. */
void key_print(const config_key *key, const pulmo_config *config, char *out, size_t out_bytes);
/* "a|b|c" */
void key_print_choices(const config_key *key, char *out, size_t out_bytes);
/* A number as a person writes it: 1000000, 1e30, 0.999. */
void number_print(double value, char out[32]);

#endif
