/* Inside the preparation room: files sorted by what they may share. */
#ifndef PULMO_PREP_KEYS_H
#define PULMO_PREP_KEYS_H

#include <stdint.h>

#include "parts.h"

/* What files are sorted by. */
typedef enum key_kind { KEY_BYTES, KEY_PIXELS, KEY_GROUP, KEY_PATIENT } key_kind;

/* The key of a file; borrowed from the list or the records. */
typedef struct keyed {
    const void *bytes;
    int count;
    uint32_t index; /* of the file in the list */
} keyed;

/* File `i`'s key of a kind. */
keyed key_of(const source_list *list, const image_record *records, uint32_t i, key_kind kind);
/* As strcmp, of the keys alone. */
int keys_compare(const keyed *x, const keyed *y);
/* Usable files in order of a key, equal keys in order of the list; of KEY_PATIENT only files whose
 * patient is certain. `out` is owned by the caller (free). */
pulmo_status keys_sort(const source_list *list, const image_record *records, key_kind kind,
                       keyed **out, uint32_t *count);
/* The end of the keys that equal the one at `first`. */
uint32_t keys_end_of_equal(const keyed *keys, uint32_t count, uint32_t first);

#endif
