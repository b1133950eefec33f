/* Files by what they share: bytes, pixels, group, patient. */
#include "keys.h"

#include <stdlib.h>
#include <string.h>

int keys_compare(const keyed *x, const keyed *y)
{
    int common = x->count < y->count ? x->count : y->count;
    int order = memcmp(x->bytes, y->bytes, (size_t)common);
    if (order != 0)
        return order;
    return x->count - y->count;
}

static int by_key(const void *a, const void *b)
{
    const keyed *x = a;
    const keyed *y = b;
    int order = keys_compare(x, y);
    if (order != 0)
        return order;
    return (x->index > y->index) - (x->index < y->index);
}

keyed key_of(const source_list *list, const image_record *records, uint32_t i, key_kind kind)
{
    const source_file *file = &list->file[i];
    const image_record *record = &records[i];
    switch (kind) {
    case KEY_BYTES:
        return (keyed){record->digest.bytes, PULMO_DIGEST_BYTES, i};
    case KEY_PIXELS:
        return (keyed){record->pixel_digest.bytes, PULMO_DIGEST_BYTES, i};
    case KEY_GROUP:
        return (keyed){file->group, (int)strlen(file->group), i};
    default:
        return (keyed){file->sure, file->sure_bytes, i};
    }
}

pulmo_status keys_sort(const source_list *list, const image_record *records, key_kind kind,
                       keyed **out, uint32_t *count)
{
    keyed *keys = malloc((list->count + 1) * sizeof *keys);
    if (!keys)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        bool unsure = list->file[i].sure_bytes == 0;
        if (!records[i].usable || (kind == KEY_PATIENT && unsure))
            continue;
        keys[kept] = key_of(list, records, i, kind);
        kept++;
    }
    qsort(keys, kept, sizeof *keys, by_key);
    *out = keys;
    *count = kept;
    return PULMO_OK;
}

uint32_t keys_end_of_equal(const keyed *keys, uint32_t count, uint32_t first)
{
    uint32_t end = first + 1;
    while (end < count && keys_compare(&keys[end], &keys[first]) == 0)
        end++;
    return end;
}
