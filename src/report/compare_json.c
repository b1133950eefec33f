/* A comparison as JSON. What has no value is null, with the reason beside it. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "pulmo/text.h"
#include "compare.h"

#define NAMES_MOST 1000 /* images that a list names; its count is of all */

/* A value of NULL is one that there was no memory for; `*whole` then ends as false. */
static void set(json_t *object, const char *key, json_t *value, bool *whole)
{
    if (json_object_set_new(object, key, value) != 0)
        *whole = false;
}

static void append(json_t *array, json_t *value, bool *whole)
{
    if (json_array_append_new(array, value) != 0)
        *whole = false;
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Spelled as in CSV, so that any bytes are text. */
static json_t *name(const char *text)
{
    char *spelled = pulmo_name_spelled(text);
    json_t *out = spelled ? json_string(spelled) : NULL;
    free(spelled);
    return out;
}

static json_t *interval(pulmo_interval it, const char *undefined, bool *whole)
{
    json_t *out = json_object();
    set(out, "value", number(it.value), whole);
    set(out, "low", number(it.low), whole);
    set(out, "high", number(it.high), whole);
    if (undefined)
        set(out, "undefined", json_string(undefined), whole);
    return out;
}

static json_t *model(const comparison *c, int i, bool *whole)
{
    const compare_input *input = &c->input[i];
    const char letter[2] = {input->letter, '\0'};
    json_t *out = json_object();
    set(out, "letter", json_string(letter), whole);
    set(out, "name", name(input->name), whole);
    set(out, "images", json_integer(input->count), whole);
    set(out, "threshold", number(input->threshold), whole);
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++) {
        const pulmo_estimate *e = &c->measure[i][m];
        set(out, compare_keys[m], interval(e->it, e->undefined, whole), whole);
    }
    return out;
}

static json_t *difference(const comparison *c, const compare_pair *p, int m, bool *whole)
{
    const pulmo_difference *d = &p->difference[m];
    json_t *out = interval(d->difference, d->undefined, whole);
    set(out, "standard_error", number(d->error), whole);
    set(out, "p", number(d->p), whole);
    set(out, "p_holm", number(p->holm[m]), whole);
    set(out, "method", json_string(compare_method(c, m)), whole);
    if (isnan(c->margin) || d->undefined)
        return out;
    set(out, "not_inferior", json_boolean(p->not_inferior[m]), whole);
    set(out, "p_inferior", number(p->p_inferior[m]), whole);
    return out;
}

static json_t *alone(const comparison *c, const compare_pair *p, int which, bool *whole)
{
    json_t *out = json_object();
    json_t *paths = json_array();
    json_int_t count = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if (!compare_alone(c, p, which, i))
            continue;
        count++;
        if (count <= NAMES_MOST)
            append(paths, name(c->input[0].paths[c->row[0][i]]), whole);
    }
    set(out, "count", json_integer(count), whole);
    set(out, "paths", paths, whole);
    return out;
}

static json_t *pair(const comparison *c, const compare_pair *p, bool *whole)
{
    const char first[2] = {c->input[p->first].letter, '\0'};
    const char second[2] = {c->input[p->second].letter, '\0'};
    json_t *out = json_object();
    set(out, "first", json_string(first), whole);
    set(out, "second", json_string(second), whole);
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++)
        set(out, compare_keys[m], difference(c, p, m, whole), whole);
    set(out, "mcnemar_p_by_image", number(p->mcnemar), whole);
    set(out, "only_first_right", alone(c, p, 0, whole), whole);
    set(out, "only_second_right", alone(c, p, 1, whole), whole);
    return out;
}

static json_t *missing(const comparison *c, int i, bool *whole)
{
    const compare_missing *m = &c->missing[i];
    const char letter[2] = {c->input[i].letter, '\0'};
    json_t *out = json_object();
    json_t *paths = json_array();
    for (uint32_t j = 0; j < m->count && j < NAMES_MOST; j++)
        append(paths, name(m->paths[j]), whole);
    set(out, "letter", json_string(letter), whole);
    set(out, "count", json_integer(m->count), whole);
    set(out, "paths", paths, whole);
    return out;
}

static json_t *sample(const comparison *c, bool *whole)
{
    const pulmo_sample *s = &c->sample;
    json_t *out = json_object();
    set(out, "images", json_integer(c->count), whole);
    set(out, "patients", c->patients_told ? json_integer(s->patients) : json_null(), whole);
    set(out, "patients_with_finding", json_integer(s->positives), whole);
    set(out, "patients_without", json_integer(s->negatives), whole);
    set(out, "intervals", json_string(s->by_patient ? "by patient" : "by image"), whole);
    set(out, "few_patients", json_boolean(s->few), whole);
    return out;
}

static json_t *all(const comparison *c, bool *whole)
{
    json_t *out = json_object();
    json_t *models = json_array();
    json_t *pairs = json_array();
    json_t *lacking = json_array();
    for (int i = 0; i < c->inputs; i++) {
        append(models, model(c, i, whole), whole);
        append(lacking, missing(c, i, whole), whole);
    }
    for (int i = 0; i < c->pairs; i++)
        append(pairs, pair(c, &c->pair[i], whole), whole);
    set(out, "finding", name(c->input[0].class_names[c->input[0].finding]), whole);
    set(out, "sample", sample(c, whole), whole);
    set(out, "margin", number(c->margin), whole);
    set(out, "models", models, whole);
    set(out, "pairs", pairs, whole);
    set(out, "missing", lacking, whole);
    return out;
}

pulmo_status compare_json(FILE *out, const comparison *c)
{
    bool whole = true;
    json_t *object = all(c, &whole);
    if (whole)
        whole = json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) == 0;
    json_decref(object);
    fputc('\n', out);
    if (whole || ferror(out))
        return PULMO_OK; /* what an output refuses is reported when it is closed */
    return pulmo_fail(PULMO_MEMORY, "out of memory for a comparison as JSON");
}
