/* Pseudonyms of names, and the way back where the names are known. */
#include "pulmo/pseudonym.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/digest.h"
#include "pulmo/image.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

#define DIGITS (PULMO_PSEUDONYM - 1)

/* ---- one name ---- */

static const char *const domains[] = {"pulmo patient", "pulmo path", "pulmo pattern", "pulmo time"};

/* domain NUL name: no name of one domain can be a name of another. */
pulmo_status pulmo_pseudonym_of(const pulmo_pseudonym_key *key, pulmo_name_kind kind,
                                const char *name, size_t bytes, char out[PULMO_PSEUDONYM])
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest digest;
    const size_t domain_bytes = strlen(domains[kind]) + 1;
    char *whole = malloc(domain_bytes + bytes);
    if (!whole)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a pseudonym");
    memcpy(whole, domains[kind], domain_bytes);
    memcpy(whole + domain_bytes, name, bytes);
    pulmo_status status =
        pulmo_hmac(key->bytes, sizeof key->bytes, whole, domain_bytes + bytes, &digest);
    free(whole);
    PULMO_TRY(status);
    pulmo_digest_hex(&digest, hex);
    memcpy(out, hex, DIGITS);
    out[DIGITS] = '\0';
    return PULMO_OK;
}

/* ---- many ---- */

typedef struct known_name {
    char pseudonym[PULMO_PSEUDONYM];
    char *name;
    size_t shown; /* bytes of the name that the pseudonym stands for: all but a path's ending */
} known_name;

struct pulmo_pseudonyms {
    pulmo_pseudonym_key key;
    known_name *known;
    size_t count, room;
};

pulmo_status pulmo_pseudonyms_create(const pulmo_pseudonym_key *key, pulmo_pseudonyms **out)
{
    pulmo_pseudonyms *names = calloc(1, sizeof *names);
    if (!names)
        return pulmo_fail(PULMO_MEMORY, "out of memory for pseudonyms");
    names->key = *key;
    *out = names;
    return PULMO_OK;
}

void pulmo_pseudonyms_destroy(pulmo_pseudonyms *names)
{
    if (!names)
        return;
    for (size_t i = 0; i < names->count; i++)
        free(names->known[i].name);
    free(names->known);
    explicit_bzero(&names->key, sizeof names->key);
    free(names);
}

const pulmo_pseudonym_key *pulmo_pseudonyms_key(const pulmo_pseudonyms *names)
{
    return &names->key;
}

static pulmo_status make_room(pulmo_pseudonyms *names)
{
    if (names->count < names->room)
        return PULMO_OK;
    const size_t room = names->room ? 2 * names->room : 1024;
    known_name *larger = realloc(names->known, room * sizeof *larger);
    if (!larger)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu pseudonyms", room);
    names->known = larger;
    names->room = room;
    return PULMO_OK;
}

pulmo_status pulmo_pseudonyms_add(pulmo_pseudonyms *names, pulmo_name_kind kind, const char *name,
                                  size_t bytes, char out[PULMO_PSEUDONYM])
{
    PULMO_TRY(make_room(names));
    PULMO_TRY(pulmo_pseudonym_of(&names->key, kind, name, bytes, out));
    known_name *added = &names->known[names->count];
    *added = (known_name){.shown = bytes};
    added->name = pulmo_format("%.*s", (int)bytes, name);
    if (!added->name)
        return PULMO_MEMORY;
    memcpy(added->pseudonym, out, PULMO_PSEUDONYM);
    /* Other endings may be a part of a name: 1.2.840.113619, scan.Smith. */
    if (kind == PULMO_NAME_PATH)
        added->shown -= strlen(pulmo_image_suffix(added->name));
    names->count++;
    return PULMO_OK;
}

static int by_pseudonym(const void *a, const void *b)
{
    return memcmp(((const known_name *)a)->pseudonym, ((const known_name *)b)->pseudonym, DIGITS);
}

void pulmo_pseudonyms_sort(pulmo_pseudonyms *names)
{
    if (names->count > 0)
        qsort(names->known, names->count, sizeof *names->known, by_pseudonym);
}

/* `text` begins with the pseudonym. */
static const known_name *find(const pulmo_pseudonyms *names, const char *text)
{
    known_name wanted;
    if (names->count == 0)
        return NULL;
    memcpy(wanted.pseudonym, text, DIGITS);
    return bsearch(&wanted, names->known, names->count, sizeof wanted, by_pseudonym);
}

const char *pulmo_pseudonyms_find(const pulmo_pseudonyms *names, const char *pseudonym)
{
    const known_name *found = strlen(pseudonym) < DIGITS ? NULL : find(names, pseudonym);
    return found ? found->name : NULL;
}

/* ---- in a text ---- */

#define DIGIT "0123456789abcdef"

const char *pulmo_pseudonyms_unknown(const pulmo_pseudonyms *names, const char *text)
{
    while (*text) {
        const size_t run = strspn(text, DIGIT);
        if (run == DIGITS && !find(names, text))
            return text;
        text += run;
        text += strcspn(text, DIGIT);
    }
    return NULL;
}

char *pulmo_pseudonyms_reveal(const void *context, const char *text)
{
    const pulmo_pseudonyms *names = context;
    pulmo_text shown;
    char *out = NULL;
    if (pulmo_text_open(&shown) != PULMO_OK)
        return NULL;
    while (*text) {
        const size_t run = strspn(text, DIGIT);
        const size_t other = strcspn(text + run, DIGIT);
        const known_name *found = run == DIGITS ? find(names, text) : NULL;
        if (found)
            fwrite(found->name, 1, found->shown, shown.stream);
        else
            fwrite(text, 1, run, shown.stream);
        fwrite(text + run, 1, other, shown.stream);
        text += run + other;
    }
    if (pulmo_text_take(&shown, &out) != PULMO_OK)
        return NULL;
    return out;
}
