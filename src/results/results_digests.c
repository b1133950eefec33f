/* /digests: what each trained tensor was after each epoch, by which `pulmo reproduce` tells the
 * first one that differs. */
#include <stdio.h>
#include <stdlib.h>

#include "results_room.h"

/* The texts of one tensor, a column of the table. */
typedef struct column {
    char (*hex)[PULMO_DIGEST_HEX]; /* (epochs) */
    const char **text;             /* (epochs) */
} column;

static size_t digests_of(const pulmo_run_history *history)
{
    return (size_t)history->epochs * (size_t)history->layout->tensors;
}

static bool knows_any(const pulmo_run_history *history)
{
    if (!history->digest)
        return false;
    size_t count = digests_of(history);
    for (size_t i = 0; i < count; i++) {
        if (!pulmo_digest_is_none(&history->digest[i]))
            return true;
    }
    return false;
}

/* An epoch that is not known, as one before a checkpoint without digests, is an empty text. */
static void fill_column(const pulmo_run_history *history, int tensor, const column *to)
{
    const pulmo_digest *digest = history->digest + tensor;
    for (uint32_t e = 0; e < history->epochs; e++) {
        to->hex[e][0] = '\0';
        if (!pulmo_digest_is_none(digest))
            pulmo_digest_hex(digest, to->hex[e]);
        to->text[e] = to->hex[e];
        digest += history->layout->tensors;
    }
}

static pulmo_status put_column(pulmo_h5 *file, const pulmo_run_history *history, int tensor,
                               const column *from)
{
    char name[64];
    const char *own = history->layout->tensor[tensor].name;
    const results_field field = {
        own,       "digest after the epoch: SHA-256 of the XXH3 of pieces of 64 KiB",
        NULL,      PULMO_H5_STRING,
        1,         {history->epochs},
        from->text};
    PULMO_TRY(results_put(file, "digests", &field));
    snprintf(name, sizeof name, "digests/%s", own);
    return pulmo_h5_attach_scale(file, name, 0, "history/epoch");
}

pulmo_status results_digests(pulmo_h5 *file, const pulmo_run_history *history)
{
    if (!knows_any(history))
        return PULMO_OK;
    const column one = {.hex = calloc(history->epochs, sizeof *one.hex),
                        .text = calloc(history->epochs, sizeof *one.text)};
    pulmo_status status = PULMO_OK;
    if (!one.hex || !one.text)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for the digests of epochs");
    for (int t = 0; status == PULMO_OK && t < history->layout->tensors; t++) {
        fill_column(history, t, &one);
        status = put_column(file, history, t, &one);
    }
    free(one.text);
    free(one.hex);
    return status;
}
