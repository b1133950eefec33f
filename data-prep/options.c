/* What a pack was asked for and of which files, as one line of text in the manifest. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>

#include "packing.h"
#include "tabled.h"

#include "pulmo/digest.h"
#include "pulmo/memory.h"

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

/* The key's name stands behind the digest of files. */
static char *behind(const source_list *list)
{
    if (!list->names)
        return pulmo_strdup("");
    return pulmo_format(", pseudonyms %s", list->key_name);
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
    char *last = behind(list);
    if (!last)
        return PULMO_MEMORY;
    *out = pulmo_format(
        "format %d, size %lld, shard_images %lld, pixels_max %lld, val_fraction %.17g, "
        "test_fraction %.17g, seed %lld, "
        "group_pattern \"%s\", label_pattern \"%s\", %sdecode %d, on_bad %d, leaks %d, files %s%s",
        1, (long long)c->pack.size, (long long)c->pack.shard_images, (long long)c->pack.pixels_max,
        c->pack.val_fraction, c->pack.test_fraction, (long long)c->pack.seed, c->pack.group_pattern,
        c->pack.label_pattern, given, c->pack.decode, c->pack.on_bad, c->pack.leaks, hex, last);
    free(last);
    return *out ? PULMO_OK : PULMO_MEMORY;
}
