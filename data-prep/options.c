/* What a pack was asked for, as one line of text in the manifest. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packing.h"
#include "tabled.h"

#include "pulmo/digest.h"
#include "pulmo/memory.h"

/* ---- writing ---- */

/* What the list says of every file: names, labels, patients, sizes. Unknown patients by their older
 * names: packs made before the new ones stay valid. */
static void digest_names(const source_list *list, pulmo_digester *digester)
{
    for (size_t i = 0; i < list->count; i++) {
        const source_file *f = &list->file[i];
        pulmo_digester_add_text(digester, f->path);
        pulmo_digester_add_text(digester, f->label);
        pulmo_digester_add_text(digester, f->older ? f->older : f->group);
        pulmo_digester_add(digester, &f->size_bytes, sizeof f->size_bytes);
    }
}

/* Keys that came later are named only where they are given: packs made before them stay valid. */
static void name_given(const pulmo_config *c, char *text, size_t bytes)
{
    const pulmo_framing framing = framing_from(c);
    const struct {
        const char *key, *value;
    } held[] = {{"val_pattern", c->pack.val_pattern},
                {"test_pattern", c->pack.test_pattern},
                {"exclude_pattern", c->pack.exclude_pattern},
                {"window", framing.window},
                {"modalities", framing.modalities}};
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < PULMO_COUNT_OF(held); i++) {
        const char *value = held[i].value;
        if (*value == '\0')
            continue;
        at += (size_t)snprintf(text + at, bytes - at, "%s \"%s\", ", held[i].key, value);
    }
    if (c->pack.patients_unknown)
        at += (size_t)snprintf(text + at, bytes - at, "patients_unknown, ");
    if (!c->pack.header_patient)
        at += (size_t)snprintf(text + at, bytes - at, "header_patient false, ");
    if (c->pack.fit != PULMO_FIT_SQUASH)
        at += (size_t)snprintf(text + at, bytes - at, "fit %d, ", c->pack.fit);
    if (c->pack.border)
        at += (size_t)snprintf(text + at, bytes - at, "border %d, ", c->pack.border);
    if (c->pack.aspect)
        at += (size_t)snprintf(text + at, bytes - at, "aspect %d, ", c->pack.aspect);
    if (c->pack.folds > 0)
        snprintf(text + at, bytes - at, "folds %lld, ", (long long)c->pack.folds);
}

pulmo_status options_describe(const source_list *list, const pulmo_config *c, char **out)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    digest_names(list, digester);
    tabled_digest(list, digester);
    pulmo_digest digest = pulmo_digester_end(digester);
    pulmo_digest_hex(&digest, hex);
    char given[3 * (PULMO_TEXT_BYTES + 32) + 2 * PULMO_FRAMING_TEXT + 256];
    name_given(c, given, sizeof given);
    *out = pulmo_format(
        "format %d, size %lld, shard_images %lld, pixels_max %lld, val_fraction %.17g, "
        "test_fraction %.17g, seed %lld, "
        "group_pattern \"%s\", label_pattern \"%s\", %sdecode %d, on_bad %d, leaks %d, files %s",
        1, (long long)c->pack.size, (long long)c->pack.shard_images, (long long)c->pack.pixels_max,
        c->pack.val_fraction, c->pack.test_fraction, (long long)c->pack.seed, c->pack.group_pattern,
        c->pack.label_pattern, given, c->pack.decode, c->pack.on_bad, c->pack.leaks, hex);
    return *out ? PULMO_OK : PULMO_MEMORY;
}

/* ---- comparing ---- */

/* `name value`, or a name alone, which is `true`. Borrowed from the text. */
typedef struct option {
    const char *name, *value;
    int name_bytes, value_bytes; /* as printf takes them */
} option;

/* The option at *text, which then stands at the next one; false at the end. */
static bool next_option(const char **text, option *out)
{
    const char *at = *text;
    if (*at == '\0')
        return false;
    size_t name_bytes = strcspn(at, " ,");
    const char *value = at + name_bytes;
    value += *value == ' ';
    const char *end = value + strcspn(value, ",");
    if (*value == '"') {
        const char *quote = strstr(value + 1, "\", ");
        end = quote ? quote + 1 : value + strlen(value);
    }
    *out = (option){at, value, (int)name_bytes, (int)(end - value)};
    *text = end + strspn(end, ", ");
    return true;
}

static bool is_called(const option *o, const char *name)
{
    return strlen(name) == (size_t)o->name_bytes && strncmp(o->name, name, strlen(name)) == 0;
}

static bool find_option(const char *text, const option *wanted, option *out)
{
    while (next_option(&text, out)) {
        if (out->name_bytes == wanted->name_bytes &&
            strncmp(out->name, wanted->name, (size_t)wanted->name_bytes) == 0)
            return true;
    }
    return false;
}

/* The value as a person gives it. Owned by the caller; NULL for want of memory. */
static char *value_of(const option *o)
{
    static const char *const choices[] = {"decode", "on_bad", "leaks", "fit", "border", "aspect"};
    if (!o)
        return pulmo_strdup("not given");
    if (o->value_bytes == 0)
        return pulmo_strdup("true");
    for (size_t i = 0; i < PULMO_COUNT_OF(choices); i++) {
        char key[32];
        snprintf(key, sizeof key, "pack.%s", choices[i]);
        const char *choice = pulmo_config_choice(key, atoi(o->value));
        if (is_called(o, choices[i]) && choice)
            return pulmo_strdup(choice);
    }
    bool is_fraction = is_called(o, "val_fraction") || is_called(o, "test_fraction");
    if (is_fraction)
        return pulmo_format("%g", strtod(o->value, NULL));
    return pulmo_format("%.*s", o->value_bytes, o->value);
}

/* `ours` and `theirs`: NULL where it is not given. */
static pulmo_status add_difference(const option *ours, const option *theirs, text_lines *out)
{
    const option *named = ours ? ours : theirs;
    char *now = value_of(ours);
    char *before = value_of(theirs);
    pulmo_status status = PULMO_MEMORY;
    if (now && before)
        status =
            lines_add(out, "pack.%.*s: %s, was %s", named->name_bytes, named->name, now, before);
    free(now);
    free(before);
    return status;
}

static bool is_same(const option *x, const option *y)
{
    return x->value_bytes == y->value_bytes &&
           strncmp(x->value, y->value, (size_t)x->value_bytes) == 0;
}

pulmo_status options_compare(const char *ours, const char *theirs, text_lines *out)
{
    option mine, other;
    for (const char *at = ours; next_option(&at, &mine);) {
        bool found = find_option(theirs, &mine, &other);
        bool same = found && is_same(&mine, &other);
        if (!same && !is_called(&mine, "files"))
            PULMO_TRY(add_difference(&mine, found ? &other : NULL, out));
    }
    for (const char *at = theirs; next_option(&at, &other);)
        if (!find_option(ours, &other, &mine))
            PULMO_TRY(add_difference(NULL, &other, out));
    return PULMO_OK;
}
