/* Images of one data set that are found again in another. */
#include <stdlib.h>
#include <string.h>

#include "overlap.h"
#include "pulmo/memory.h"
#include "pulmo/near.h"

/* Sketches at most this far apart (squared; of a length of 200: a correlation of 0.996) are taken
 * for one picture, without a look at pixels, which are not at hand. Of 13.6 million pairs of
 * different X-rays of the Kermany set the nearest are 530 apart; copies saved again at any JPEG
 * quality or half the size at most 22 (bench/overlap.py). */
#define LOOKS_DISTANCE2 300

static void strengthen(overlap_how *how, overlap_how by)
{
    if (*how < by)
        *how = by;
}

/* ---- digests ---- */

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(pulmo_digest));
}

static pulmo_status match_digests(const pulmo_digest *judged, uint32_t count,
                                  const pulmo_digest *seen, uint32_t known, overlap_how by,
                                  overlap_how *how)
{
    pulmo_digest *sorted = malloc(((size_t)known + 1) * sizeof *sorted);
    if (!sorted)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u digests", known);
    memcpy(sorted, seen, known * sizeof *sorted);
    qsort(sorted, known, sizeof *sorted, by_digest);
    for (uint32_t i = 0; i < count; i++)
        if (bsearch(&judged[i], sorted, known, sizeof *sorted, by_digest))
            strengthen(&how[i], by);
    free(sorted);
    return PULMO_OK;
}

/* ---- patients ---- */

static int by_text(const void *left, const void *right)
{
    const char *const *a = left;
    const char *const *b = right;
    return strcmp(*a, *b);
}

static pulmo_status match_patients(const pulmo_identities *judged, const pulmo_identities *seen,
                                   overlap_how *how)
{
    const uint32_t known = seen->count;
    const char **sorted = malloc(((size_t)known + 1) * sizeof *sorted);
    if (!sorted)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u patients", known);
    for (uint32_t i = 0; i < known; i++)
        sorted[i] = seen->patients[i];
    qsort(sorted, known, sizeof *sorted, by_text);
    for (uint32_t i = 0; i < judged->count; i++) {
        const char *patient = judged->patients[i];
        if (*patient && bsearch(&patient, sorted, known, sizeof *sorted, by_text))
            strengthen(&how[i], OVERLAP_PATIENT);
    }
    free(sorted);
    return PULMO_OK;
}

/* ---- looks ---- */

/* Sketches of both sets in one row, the judged ones first; blank ones tell nothing. */
typedef struct looks {
    int8_t (*sketch)[PULMO_SKETCH_BYTES];
    uint32_t *image; /* of each */
    uint32_t count, judged;
    overlap_how *how;
} looks;

static void add_sketches(const pulmo_identities *from, looks *to)
{
    for (uint32_t i = 0; i < from->count; i++) {
        if (from->sketches[i][0] == 0)
            continue;
        memcpy(to->sketch[to->count], from->sketches[i], sizeof *to->sketch);
        to->image[to->count] = i;
        to->count++;
    }
}

/* A pulmo_near_visit: one that was seen is enough. */
static bool note_look(void *context, uint32_t a, uint32_t b)
{
    const looks *l = context;
    if (b < l->judged)
        return true;
    strengthen(&l->how[l->image[a]], OVERLAP_LOOKS);
    return false;
}

static pulmo_status match_looks(const pulmo_identities *judged, const pulmo_identities *seen,
                                overlap_how *how)
{
    const size_t room = (size_t)judged->count + seen->count + 1;
    looks l = {.how = how};
    pulmo_status status = PULMO_OK;
    l.sketch = malloc(room * sizeof *l.sketch);
    l.image = malloc(room * sizeof *l.image);
    if (!l.sketch || !l.image)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for %zu sketches", room));
    add_sketches(judged, &l);
    l.judged = l.count;
    add_sketches(seen, &l);
    status = pulmo_near_pairs((const int8_t(*)[PULMO_SKETCH_BYTES])l.sketch, l.count, l.judged,
                              LOOKS_DISTANCE2, note_look, &l);
out:
    free(l.sketch);
    free(l.image);
    return status;
}

pulmo_status overlap_match(const pulmo_identities *judged, const pulmo_identities *seen,
                           overlap_means means, overlap_how *how)
{
    const uint32_t count = judged->count;
    const uint32_t known = seen->count;
    for (uint32_t i = 0; i < count; i++)
        how[i] = OVERLAP_NONE;
    if (known == 0)
        return PULMO_OK;
    PULMO_TRY(match_digests(judged->files, count, seen->files, known, OVERLAP_FILE, how));
    if (means.pixels)
        PULMO_TRY(match_digests(judged->pixels, count, seen->pixels, known, OVERLAP_PIXELS, how));
    if (means.looks)
        PULMO_TRY(match_looks(judged, seen, how));
    return means.patients ? match_patients(judged, seen, how) : PULMO_OK;
}
