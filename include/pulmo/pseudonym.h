/* Names that stay at home: what patients and paths are called in files that may travel.
 *
 * A pseudonym is HMAC-SHA-256 of the name under a key, cut to its first 128 bits, as 32 hexadecimal
 * digits. Each kind of name has a domain of its own, so that a patient and a path of one text have
 * nothing in common. Of n names two share a pseudonym with a probability of about n^2 / 2^129: of a
 * million, 1.5e-27. Without the key nobody can tell, or try, which name a pseudonym is of.
 *
 * The key is a file of 64 hexadecimal digits that its owner alone can read. Not collective. */
#ifndef PULMO_PSEUDONYM_H
#define PULMO_PSEUDONYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

/* ---- the key ---- */

typedef struct pulmo_pseudonym_key {
    uint8_t bytes[32];
} pulmo_pseudonym_key;

/* `given`, or where it is "" $XDG_CONFIG_HOME/pulmo/pseudonyms.key, or else the same below
 * ~/.config. Owned by the caller. PULMO_CONFIG where the environment names neither. */
pulmo_status pulmo_pseudonym_key_place(const char *given, char **out);

/* Reads the key; where there is none, makes one of mode 0600 if `make`, and says so. PULMO_CONFIG
 * where others may read it, where it is no key, and where there is none and none is to be made. */
pulmo_status pulmo_pseudonym_key_read(const char *path, bool make, pulmo_pseudonym_key *out);

#define PULMO_KEY_NAME 17 /* 16 digits and NUL */

/* What a key is called: it tells nothing of the key. */
pulmo_status pulmo_pseudonym_key_name(const pulmo_pseudonym_key *key, char out[PULMO_KEY_NAME]);

/* ---- names ---- */

#define PULMO_PSEUDONYM 33 /* 32 digits and NUL */

typedef enum pulmo_name_kind {
    PULMO_NAME_PATIENT,
    PULMO_NAME_PATH,
    PULMO_NAME_PATTERN, /* of file names, which may have names in it */
    PULMO_NAME_TIME     /* of a file, of which nothing but "the same" is to be told */
} pulmo_name_kind;

pulmo_status pulmo_pseudonym_of(const pulmo_pseudonym_key *key, pulmo_name_kind kind,
                                const char *name, size_t bytes, char out[PULMO_PSEUDONYM]);

/* Names by their pseudonyms. */
typedef struct pulmo_pseudonyms pulmo_pseudonyms;

pulmo_status pulmo_pseudonyms_create(const pulmo_pseudonym_key *key, pulmo_pseudonyms **out);
void pulmo_pseudonyms_destroy(pulmo_pseudonyms *names); /* NULL is a no-op */
/* Borrowed. */
const pulmo_pseudonym_key *pulmo_pseudonyms_key(const pulmo_pseudonyms *names);
/* Remembers a name and gives its pseudonym. */
pulmo_status pulmo_pseudonyms_add(pulmo_pseudonyms *names, pulmo_name_kind kind, const char *name,
                                  size_t bytes, char out[PULMO_PSEUDONYM]);
/* To be called when all are added, before any is sought. */
void pulmo_pseudonyms_sort(pulmo_pseudonyms *names);
/* The name of a pseudonym, with or without ending; NULL for an unknown one. Borrowed. */
const char *pulmo_pseudonyms_find(const pulmo_pseudonyms *names, const char *pseudonym);
/* The first pseudonym in `text` whose name is not known, or other 32 digits; NULL where all are.
 * Borrowed. */
const char *pulmo_pseudonyms_unknown(const pulmo_pseudonyms *names, const char *text);
/* `text` with names in place of the pseudonyms that are known: a pulmo_log_reveal, whose context is
 * the names. Owned by the caller; NULL for want of memory. */
char *pulmo_pseudonyms_reveal(const void *names, const char *text);

#endif
