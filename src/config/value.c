/* Values as text and back, each type's rule in one place. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"

#define NUMBERS_MAX PULMO_LIST_MAX

static void *field_of(const pulmo_key *key, pulmo_config *config)
{
    return (char *)config + key->offset;
}
static const void *field_in(const pulmo_key *key, const pulmo_config *config)
{
    return (const char *)config + key->offset;
}

/* Parses one number at *at and leaves *at behind it and the blanks after it. */
static int take_number(const char **at, int whole, double *value)
{
    char *end = NULL;
    while (isspace((unsigned char)**at))
        (*at)++;
    /* Hexadecimal, "inf" and "nan" are no settings. */
    const char *digits = *at + (**at == '-' || **at == '+');
    if (!isdigit((unsigned char)*digits) && *digits != '.')
        return 0;
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        return 0;
    errno = 0;
    *value = whole ? (double)strtoll(*at, &end, 10) : strtod(*at, &end);
    if (end == *at || errno == ERANGE || !isfinite(*value))
        return 0;
    *at = end;
    while (isspace((unsigned char)**at))
        (*at)++;
    return 1;
}

/* Parses "[a, b, ...]" or one bare number; returns how many, or -1 if it is neither. */
static int take_numbers(const char *text, int whole, int *bracketed, double *values)
{
    const char *at = text;
    int count = 0;
    while (isspace((unsigned char)*at))
        at++;
    *bracketed = *at == '[';
    if (!*bracketed)
        return take_number(&at, whole, values) && *at == '\0' ? 1 : -1;
    at++;
    while (isspace((unsigned char)*at))
        at++;
    while (*at != ']') {
        if (count == NUMBERS_MAX || !take_number(&at, whole, &values[count]))
            return -1;
        count++;
        if (*at == ',' && at[1] != ']')
            at++;
        else if (*at != ']')
            return -1;
    }
    for (at++; isspace((unsigned char)*at); at++) {
    }
    return *at == '\0' ? count : -1;
}

static pulmo_status check_range(const pulmo_key *key, const char *text, const double *values,
                                int count)
{
    for (int i = 0; i < count; i++) {
        if (values[i] < key->minimum || values[i] > key->maximum)
            return pulmo_fail(PULMO_CONFIG, "\"%s\": must be between %.10g and %.10g", text,
                              key->minimum, key->maximum);
    }
    return PULMO_OK;
}

static pulmo_status store_choice(const pulmo_key *key, int *field, const char *text)
{
    size_t length = strlen(text);
    int index = 0;
    for (const char *at = key->choices; at; index++) {
        const char *bar = strchr(at, '|');
        size_t this_length = bar ? (size_t)(bar - at) : strlen(at);
        if (this_length == length && strncmp(at, text, length) == 0) {
            *field = index;
            return PULMO_OK;
        }
        at = bar ? bar + 1 : NULL;
    }
    return pulmo_fail(PULMO_CONFIG, "\"%s\": must be one of %s", text, key->choices);
}

static pulmo_status store_text(const pulmo_key *key, char *field, const char *text)
{
    if (strlen(text) >= key->bytes)
        return pulmo_fail(PULMO_CONFIG, "\"%.40s...\": longer than %zu bytes", text,
                          key->bytes - 1);
    memset(field, 0, key->bytes);
    memcpy(field, text, strlen(text));
    return PULMO_OK;
}

/* What a single number stands for where a pair is wanted. */
static int widen(const pulmo_key *key, double values[2])
{
    double x = values[0];
    if (key->type == PULMO_KEY_SHIFT) {
        values[1] = x;
        return 1;
    }
    if (key->type == PULMO_KEY_JITTER) {
        values[0] = x < 1 ? 1 - x : 0;
        values[1] = 1 + x;
        return 1;
    }
    if (x == 0) { /* "0 switches it off" */
        values[0] = values[1] = 1;
        return 1;
    }
    return 0;
}

static pulmo_status store_pair(const pulmo_key *key, double *field, const char *text)
{
    double values[NUMBERS_MAX];
    int bracketed = 0;
    int count = take_numbers(text, 0, &bracketed, values);
    if (count == 1 && !bracketed && widen(key, values))
        count = 2;
    if (count != 2)
        return pulmo_fail(PULMO_CONFIG, "\"%s\": must be two numbers, as in %s", text,
                          key->initial);
    if (key->type != PULMO_KEY_SHIFT && values[0] > values[1])
        return pulmo_fail(PULMO_CONFIG, "\"%s\": the first number must not be above the second",
                          text);
    PULMO_TRY(check_range(key, text, values, 2));
    memcpy(field, values, 2 * sizeof *field);
    return PULMO_OK;
}

static pulmo_status store_ints(const pulmo_key *key, pulmo_int_list *field, const char *text)
{
    double values[NUMBERS_MAX];
    int bracketed = 0;
    int count = take_numbers(text, 1, &bracketed, values);
    if (count < 0)
        return pulmo_fail(PULMO_CONFIG, "\"%s\": must be a list of whole numbers, as in %s", text,
                          key->initial);
    PULMO_TRY(check_range(key, text, values, count));
    memset(field, 0, sizeof *field);
    field->count = count;
    for (int i = 0; i < count; i++)
        field->value[i] = (int64_t)values[i];
    return PULMO_OK;
}

pulmo_status key_store(const pulmo_key *key, pulmo_config *config, const char *text)
{
    void *field = field_of(key, config);
    const char *at = text;
    double value = 0;
    switch (key->type) {
    case PULMO_KEY_TEXT:
        return store_text(key, field, text);
    case PULMO_KEY_CHOICE:
        return store_choice(key, field, text);
    case PULMO_KEY_INTS:
        return store_ints(key, field, text);
    case PULMO_KEY_PAIR:
    case PULMO_KEY_JITTER:
    case PULMO_KEY_SHIFT:
        return store_pair(key, field, text);
    case PULMO_KEY_INT:
        if (!take_number(&at, 1, &value) || *at != '\0')
            return pulmo_fail(PULMO_CONFIG, "\"%s\": must be a whole number", text);
        PULMO_TRY(check_range(key, text, &value, 1));
        *(int64_t *)field = (int64_t)value;
        return PULMO_OK;
    case PULMO_KEY_REAL:
        if (!take_number(&at, 0, &value) || *at != '\0')
            return pulmo_fail(PULMO_CONFIG, "\"%s\": must be a number", text);
        PULMO_TRY(check_range(key, text, &value, 1));
        *(double *)field = value;
        return PULMO_OK;
    }
    return PULMO_OK;
}

/* The shortest decimal that reads back as the same double; 10 rather than 1e+01. */
static void print_real(double value, char out[32])
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value && (fabs(value) >= 1e6 || !strstr(out, "e+")))
            return;
    }
}

static void print_choice(const pulmo_key *key, int index, char *out, size_t out_bytes)
{
    const char *at = key->choices;
    for (int i = 0; i < index; i++)
        at = strchr(at, '|') + 1;
    snprintf(out, out_bytes, "%.*s", (int)strcspn(at, "|"), at);
}

void key_print(const pulmo_key *key, const pulmo_config *config, char *out, size_t out_bytes)
{
    const void *field = field_in(key, config);
    char first[32], second[32];
    switch (key->type) {
    case PULMO_KEY_TEXT:
        snprintf(out, out_bytes, "%s", (const char *)field);
        break;
    case PULMO_KEY_INT:
        snprintf(out, out_bytes, "%lld", (long long)*(const int64_t *)field);
        break;
    case PULMO_KEY_REAL:
        print_real(*(const double *)field, first);
        snprintf(out, out_bytes, "%s", first);
        break;
    case PULMO_KEY_PAIR:
    case PULMO_KEY_JITTER:
    case PULMO_KEY_SHIFT:
        print_real(((const double *)field)[0], first);
        print_real(((const double *)field)[1], second);
        snprintf(out, out_bytes, "[%s, %s]", first, second);
        break;
    case PULMO_KEY_CHOICE:
        print_choice(key, *(const int *)field, out, out_bytes);
        break;
    case PULMO_KEY_INTS: {
        const pulmo_int_list *list = field;
        size_t at = 0;
        for (int i = 0; i < list->count && at < out_bytes; i++)
            at += (size_t)snprintf(out + at, out_bytes - at, "%s%lld", i ? ", " : "[",
                                   (long long)list->value[i]);
        if (at < out_bytes)
            snprintf(out + at, out_bytes - at, "%s", list->count ? "]" : "[]");
        break;
    }
    }
}
