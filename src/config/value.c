/* Values as text and back, each type's rule in one place. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/text.h"
#include "schema.h"

#define NUMBERS_MAX PULMO_LIST_MAX

static void *field_of(const config_key *key, pulmo_config *config)
{
    return (char *)config + key->offset;
}
static const void *field_in(const config_key *key, const pulmo_config *config)
{
    return (const char *)config + key->offset;
}

/* Parses one number at *at and leaves *at behind it and the blanks after it. */
static bool take_number(const char **at, bool whole, double *value)
{
    char *end = NULL;
    while (isspace((unsigned char)**at))
        (*at)++;
    /* Hexadecimal, "inf" and "nan" are not settings. */
    const char *digits = *at + (**at == '-' || **at == '+');
    if (!isdigit((unsigned char)*digits) && *digits != '.')
        return false;
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        return false;
    errno = 0;
    *value = whole ? (double)strtoll(*at, &end, 10) : strtod(*at, &end);
    if (end == *at || errno == ERANGE || !isfinite(*value))
        return false;
    *at = end;
    while (isspace((unsigned char)**at))
        (*at)++;
    return true;
}

/* Parses "[a, b, ...]" or one bare number; returns how many, or -1 if it is neither. */
static int take_numbers(const char *text, bool whole, bool *bracketed, double *values)
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

void number_print(double value, char out[32])
{
    bool whole = value == floor(value) && fabs(value) < 1e15;
    snprintf(out, 32, whole ? "%.0f" : "%.10g", value);
    char *exponent = strchr(out, 'e');
    if (!exponent)
        return;
    /* "1e+30" and "1e-08" without the plus and the zero */
    char *digits = exponent + 1 + (exponent[1] == '-');
    size_t skipped = strspn(digits, "+0");
    memmove(digits, digits + skipped, strlen(digits + skipped) + 1);
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

static pulmo_status check_range(const config_key *key, const char *text, const double *values,
                                int count)
{
    char low[32], high[32];
    number_print(key->minimum, low);
    number_print(key->maximum, high);
    for (int i = 0; i < count; i++) {
        if (values[i] < key->minimum || values[i] > key->maximum)
            return pulmo_fail(PULMO_CONFIG, "\"%s\": must be between %s and %s", text, low, high);
    }
    return PULMO_OK;
}

void key_print_choices(const config_key *key, char *out, size_t out_bytes)
{
    size_t at = 0;
    for (int i = 0; key->choices[i] && at < out_bytes; i++) {
        const char *between = i > 0 ? "|" : "";
        at += (size_t)snprintf(out + at, out_bytes - at, "%s%s", between, key->choices[i]);
    }
}

static pulmo_status store_choice(const config_key *key, int *field, const char *text)
{
    char choices[VALUE_BYTES];
    for (int i = 0; key->choices[i]; i++) {
        if (strcmp(key->choices[i], text) != 0)
            continue;
        *field = i;
        return PULMO_OK;
    }
    key_print_choices(key, choices, sizeof choices);
    return pulmo_fail(PULMO_CONFIG, "\"%s\": must be one of %s", text, choices);
}

static pulmo_status store_text(const config_key *key, char *field, const char *text)
{
    if (!pulmo_text_is_utf8(text))
        return pulmo_fail(PULMO_CONFIG,
                          "\"%s\": is not UTF-8, as config.yaml and checkpoints are, so that the "
                          "run could not be resumed; rename what it names, or give a link to it",
                          text);
    if (strlen(text) >= key->bytes)
        return pulmo_fail(PULMO_CONFIG, "\"%.40s...\": longer than %zu bytes", text,
                          key->bytes - 1);
    memset(field, 0, key->bytes);
    memcpy(field, text, strlen(text));
    return PULMO_OK;
}

/* A list of numbers as key_print writes it, into VALUE_BYTES. False for what is not such a list. */
static bool normal_list(const char *text, char *out)
{
    char number[32];
    const size_t room = VALUE_BYTES - sizeof number - 4;
    const char *at = text + strspn(text, " ");
    size_t end = 0;
    do {
        const char *before = end > 0 ? ", " : "[";
        double value = 0;
        at++; /* behind the bracket or the comma */
        if (!take_number(&at, false, &value))
            return false;
        print_real(value, number);
        end += (size_t)sprintf(out + end, "%s%s", before, number);
    } while (*at == ',' && end < room);
    if (*at != ']')
        return false;
    memcpy(out + end, "]", sizeof "]");
    at++;
    return at[strspn(at, " ")] == '\0';
}

/* A word as it stands; a list as its echo reads, since a run is known again by its echo. */
static pulmo_status store_weights(const config_key *key, char *field, const char *text)
{
    char list[VALUE_BYTES];
    if (text[strspn(text, " ")] != '[')
        return store_text(key, field, text);
    if (!normal_list(text, list))
        return pulmo_fail(PULMO_CONFIG, "\"%s\": must be a word, or numbers as in [1, 2.5]", text);
    return store_text(key, field, list);
}

/* What a single number stands for where a pair is wanted. */
static bool widen(const config_key *key, double values[2])
{
    double x = values[0];
    if (key->type == KEY_SHIFT || key->type == KEY_RANGE) {
        values[1] = x;
        return true;
    }
    if (key->type == KEY_JITTER) {
        values[0] = x < 1 ? 1 - x : 0;
        values[1] = 1 + x;
        return true;
    }
    if (x == 0) { /* "0 switches it off": a factor of 1 */
        values[0] = values[1] = 1;
        return true;
    }
    return false;
}

static pulmo_status store_pair(const config_key *key, double *field, const char *text)
{
    double values[NUMBERS_MAX];
    bool bracketed = false;
    int count = take_numbers(text, false, &bracketed, values);
    if (count == 1 && !bracketed && widen(key, values))
        count = 2;
    if (count != 2)
        return pulmo_fail(PULMO_CONFIG, "\"%s\": must be two numbers, as in %s", text,
                          key->initial);
    if (key->type != KEY_SHIFT && values[0] > values[1])
        return pulmo_fail(PULMO_CONFIG, "\"%s\": the first number must not be above the second",
                          text);
    PULMO_TRY(check_range(key, text, values, 2));
    memcpy(field, values, 2 * sizeof *field);
    return PULMO_OK;
}

static pulmo_status store_ints(const config_key *key, pulmo_int_list *field, const char *text)
{
    double values[NUMBERS_MAX];
    bool bracketed = false;
    int count = take_numbers(text, true, &bracketed, values);
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

pulmo_status key_store(const config_key *key, pulmo_config *config, const char *text)
{
    void *field = field_of(key, config);
    const char *at = text;
    double value = 0;
    switch (key->type) {
    case KEY_TEXT:
    case KEY_MAP:
        return store_text(key, field, text);
    case KEY_WEIGHTS:
        return store_weights(key, field, text);
    case KEY_CHOICE:
        return store_choice(key, field, text);
    case KEY_INTS:
        return store_ints(key, field, text);
    case KEY_PAIR:
    case KEY_RANGE:
    case KEY_JITTER:
    case KEY_SHIFT:
        return store_pair(key, field, text);
    case KEY_INT:
        if (!take_number(&at, true, &value) || *at != '\0')
            return pulmo_fail(PULMO_CONFIG, "\"%s\": must be a whole number", text);
        PULMO_TRY(check_range(key, text, &value, 1));
        *(int64_t *)field = (int64_t)value;
        return PULMO_OK;
    case KEY_REAL:
        if (!take_number(&at, false, &value) || *at != '\0')
            return pulmo_fail(PULMO_CONFIG, "\"%s\": must be a number", text);
        PULMO_TRY(check_range(key, text, &value, 1));
        *(double *)field = value;
        return PULMO_OK;
    }
    return PULMO_OK;
}

void key_print(const config_key *key, const pulmo_config *config, char *out, size_t out_bytes)
{
    const void *field = field_in(key, config);
    char first[32], second[32];
    switch (key->type) {
    case KEY_TEXT:
    case KEY_MAP:
    case KEY_WEIGHTS:
        snprintf(out, out_bytes, "%s", (const char *)field);
        break;
    case KEY_INT:
        snprintf(out, out_bytes, "%lld", (long long)*(const int64_t *)field);
        break;
    case KEY_REAL:
        print_real(*(const double *)field, first);
        snprintf(out, out_bytes, "%s", first);
        break;
    case KEY_PAIR:
    case KEY_RANGE:
    case KEY_JITTER:
    case KEY_SHIFT:
        print_real(((const double *)field)[0], first);
        print_real(((const double *)field)[1], second);
        snprintf(out, out_bytes, "[%s, %s]", first, second);
        break;
    case KEY_CHOICE:
        snprintf(out, out_bytes, "%s", key->choices[*(const int *)field]);
        break;
    case KEY_INTS: {
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
