/* The leak audit: the same picture, or the same patient, on both sides of a split. */
#include "audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "update.h"

#include "pulmo/log.h"
#include "pulmo/memory.h"

/* Sketches this near (of a length of 200: a correlation of 0.9875) are looked at more closely. */
#define NEAR_DISTANCE2 1000
/* Packed pixels that correlate so are one picture: copies saved again at JPEG quality 20, at half
 * the size, with another gamma (1.3), brightness or contrast stay above 0.985; of 13.6 million
 * pairs of different X-rays of the Kermany set, none exceeds 0.951. */
#define NEAR_CORRELATION 0.98
/* An image is compared with at most this many others whose sketches look alike, so that a folder of
 * blank plates does not take hours. */
#define NEAR_LOOKS 32

/* ---- sets ---- */

uint32_t join_find(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

void join_sets(uint32_t *parent, uint32_t i, uint32_t j)
{
    i = join_find(parent, i);
    j = join_find(parent, j);
    if (i < j)
        parent[j] = i;
    else
        parent[i] = j;
}

typedef struct keyed {
    const void *bytes;
    int count;
    uint32_t index;
} keyed;

static int compare_keys(const keyed *x, const keyed *y)
{
    int order = memcmp(x->bytes, y->bytes, (size_t)(x->count < y->count ? x->count : y->count));
    return order ? order : x->count - y->count;
}

static int by_key(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = compare_keys(x, y);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* What files are sorted by. */
typedef enum key_kind { KEY_BYTES, KEY_PIXELS, KEY_GROUP, KEY_PATIENT } key_kind;

static keyed key_of(const source_list *list, const image_record *records, uint32_t i, key_kind kind)
{
    const source_file *file = &list->file[i];
    switch (kind) {
    case KEY_BYTES:
        return (keyed){records[i].digest.bytes, PULMO_DIGEST_BYTES, i};
    case KEY_PIXELS:
        return (keyed){records[i].pixel_digest.bytes, PULMO_DIGEST_BYTES, i};
    case KEY_GROUP:
        return (keyed){file->group, (int)strlen(file->group), i};
    default:
        return (keyed){file->sure, file->sure_bytes, i};
    }
}

/* Usable files in order of a key, equal keys in order of the list. Owned by the caller. */
static pulmo_status sort_files(const source_list *list, const image_record *records, key_kind kind,
                               keyed **out, uint32_t *count)
{
    keyed *keys = malloc((list->count + 1) * sizeof *keys);
    if (!keys)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    *count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!records[i].usable || (kind == KEY_PATIENT && list->file[i].sure_bytes == 0))
            continue;
        keys[(*count)++] = key_of(list, records, i, kind);
    }
    qsort(keys, *count, sizeof *keys, by_key);
    *out = keys;
    return PULMO_OK;
}

/* Files of an equal key become one set; `found` (may be NULL) is called for each pair of
 * neighbours. */
typedef pulmo_status (*pair_found)(audit *a, uint32_t x, uint32_t y);

static pulmo_status join_equal(audit *a, key_kind kind, uint32_t *parent, pair_found found)
{
    keyed *keys = NULL;
    uint32_t count = 0;
    PULMO_TRY(sort_files(a->list, a->records, kind, &keys, &count));
    pulmo_status status = PULMO_OK;
    for (uint32_t i = 1; i < count && status == PULMO_OK; i++) {
        if (compare_keys(&keys[i - 1], &keys[i]) != 0)
            continue;
        if (found)
            status = found(a, keys[i - 1].index, keys[i].index);
        join_sets(parent, keys[i - 1].index, keys[i].index);
    }
    free(keys);
    return status;
}

/* ---- near duplicates ---- */

typedef struct search {
    part_store *store;
    uint32_t *file; /* of each sketch: of files of equal pixels, the first */
    uint8_t *pixels[2];
    int channels;
    uint32_t loaded, looks; /* the file in pixels[0]; how often it was compared */
    near_pair *pairs;
    size_t count, room;
    pulmo_status status;
} search;

static double correlation(const uint8_t *x, const uint8_t *y, size_t n)
{
    int64_t sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    for (size_t i = 0; i < n; i++) {
        sx += x[i];
        sy += y[i];
        sxx += x[i] * x[i];
        syy += y[i] * y[i];
        sxy += x[i] * y[i];
    }
    double count = (double)n, xx = (double)sxx - (double)sx * (double)sx / count,
           yy = (double)syy - (double)sy * (double)sy / count;
    double xy = (double)sxy - (double)sx * (double)sy / count;
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

static pulmo_status compare(search *s, uint32_t a, uint32_t b)
{
    size_t samples = (size_t)s->store->size_px * (size_t)s->store->size_px * (size_t)s->channels;
    if (s->loaded != a) {
        PULMO_TRY(parts_read(s->store, a, s->channels, s->pixels[0]));
        s->loaded = a;
        s->looks = 0;
    }
    s->looks++;
    PULMO_TRY(parts_read(s->store, b, s->channels, s->pixels[1]));
    if (correlation(s->pixels[0], s->pixels[1], samples) < NEAR_CORRELATION)
        return PULMO_OK;
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        near_pair *larger = realloc(s->pairs, room * sizeof *larger);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "out of memory for near duplicates");
        s->pairs = larger;
        s->room = room;
    }
    s->pairs[s->count++] = (near_pair){a, b};
    return PULMO_OK;
}

static bool look(void *context, uint32_t a, uint32_t b)
{
    search *s = context;
    s->status = compare(s, s->file[a], s->file[b]);
    return s->status == PULMO_OK && s->looks < NEAR_LOOKS;
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Of files that are packed already the pairs are known: only new ones are looked up. */
static pulmo_status new_first(search *s, uint32_t count, uint32_t *queries)
{
    uint32_t old = 0, at = 0;
    uint32_t *packed = malloc(((size_t)count + 1) * sizeof *packed);
    if (!packed)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    for (uint32_t i = 0; i < count; i++) {
        if (update_split_of(s->store->old, s->file[i]) >= 0)
            packed[old++] = s->file[i];
        else
            s->file[at++] = s->file[i];
    }
    memcpy(s->file + at, packed, old * sizeof *packed);
    free(packed);
    *queries = at;
    return PULMO_OK;
}

/* One file of each picture that can be compared, in the list's order. */
static pulmo_status choose_files(search *s, uint32_t *count, uint32_t *queries)
{
    keyed *keys = NULL;
    uint32_t usable = 0;
    PULMO_TRY(sort_files(s->store->list, s->store->records, KEY_PIXELS, &keys, &usable));
    *count = 0;
    for (uint32_t i = 0; i < usable; i++) {
        const image_record *record = &s->store->records[keys[i].index];
        if (record->channels == 3)
            s->channels = 3;
        if (record->sketch[0] == 0 || (i > 0 && compare_keys(&keys[i - 1], &keys[i]) == 0))
            continue;
        s->file[(*count)++] = keys[i].index;
    }
    free(keys);
    qsort(s->file, *count, sizeof *s->file, by_index);
    return new_first(s, *count, queries);
}

pulmo_status audit_near(part_store *store, near_pair **pairs, size_t *count)
{
    uint32_t files = 0, queries = 0;
    size_t pixels = 3 * (size_t)store->size_px * (size_t)store->size_px;
    search s = {.store = store, .channels = 1, .loaded = UINT32_MAX};
    int8_t(*sketches)[SKETCH] = malloc((store->list->count + 1) * sizeof *sketches);
    s.file = malloc((store->list->count + 1) * sizeof *s.file);
    s.pixels[0] = malloc(2 * pixels);
    s.pixels[1] = s.pixels[0] + pixels;
    pulmo_status status = PULMO_OK;
    if (!sketches || !s.file || !s.pixels[0])
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for the audit"));
    PULMO_GOTO(choose_files(&s, &files, &queries));
    for (uint32_t i = 0; i < files; i++)
        memcpy(sketches[i], store->records[s.file[i]].sketch, SKETCH);
    PULMO_GOTO(near_pairs(sketches, files, queries, NEAR_DISTANCE2, look, &s));
    PULMO_GOTO(s.status);
    *pairs = s.pairs;
    *count = s.count;
out:
    if (status != PULMO_OK)
        free(s.pairs);
    free(sketches);
    free(s.file);
    free(s.pixels[0]);
    return status;
}

/* ---- what belongs together ---- */

static const char *path_of(const audit *a, uint32_t i)
{
    return a->list->file[i].path;
}

static const char *torn(const audit *a, uint32_t x, uint32_t y)
{
    return a->plan->label[x] != a->plan->label[y] ? " (in different classes!)" : "";
}

static pulmo_status list_identical(audit *a, uint32_t x, uint32_t y)
{
    return lines_add(&a->plan->identical, "%s = %s%s", path_of(a, x), path_of(a, y), torn(a, x, y));
}

/* Equal pixels of unequal files. */
static pulmo_status list_same_pixels(audit *a, uint32_t x, uint32_t y)
{
    if (join_find(a->copies, x) == join_find(a->copies, y))
        return PULMO_OK;
    return lines_add(&a->plan->similar, "%s ~ %s: the same pixels%s", path_of(a, x), path_of(a, y),
                     torn(a, x, y));
}

static pulmo_status join_near(audit *a, const near_pair *near, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (join_find(a->copies, near[i].a) == join_find(a->copies, near[i].b))
            continue;
        join_sets(a->copies, near[i].a, near[i].b);
        PULMO_TRY(lines_add(&a->plan->similar, "%s ~ %s%s", path_of(a, near[i].a),
                            path_of(a, near[i].b), torn(a, near[i].a, near[i].b)));
    }
    return PULMO_OK;
}

pulmo_status audit_make(const part_store *store, const near_pair *near, size_t near_count,
                        pack_plan *plan, audit *out)
{
    size_t count = store->list->count;
    *out = (audit){.list = store->list, .records = store->records, .plan = plan, .old = store->old};
    out->together = malloc((count + 1) * sizeof *out->together);
    out->copies = malloc((count + 1) * sizeof *out->copies);
    pulmo_status status = PULMO_OK;
    if (!out->together || !out->copies)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for the audit"));
    for (uint32_t i = 0; i < count; i++)
        out->together[i] = out->copies[i] = i;
    PULMO_GOTO(join_equal(out, KEY_BYTES, out->copies, list_identical));
    PULMO_GOTO(join_equal(out, KEY_PIXELS, out->copies, list_same_pixels));
    PULMO_GOTO(join_near(out, near, near_count));
    PULMO_GOTO(join_equal(out, KEY_GROUP, out->together, NULL));
    for (uint32_t i = 0; i < count; i++)
        join_sets(out->together, i, join_find(out->copies, i));
out:
    if (status != PULMO_OK)
        audit_free(out);
    return status;
}

void audit_free(audit *a)
{
    free(a->together);
    free(a->copies);
    a->together = a->copies = NULL;
}

/* ---- across splits ---- */

static bool several(unsigned splits)
{
    return (splits & (splits - 1)) != 0;
}

/* Pictures in more than one split: a line a picture, with its first file in each. */
static pulmo_status list_copies(audit *a, const int *split)
{
    size_t count = a->list->count;
    uint32_t(*first)[PULMO_SPLITS] =
        malloc((count + 1) * sizeof *first); /* by root; count is none */
    if (!first)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    for (size_t root = 0; root < count; root++)
        for (int s = 0; s < PULMO_SPLITS; s++)
            first[root][s] = (uint32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *place = split[i] >= 0 ? &first[join_find(a->copies, i)][split[i]] : NULL;
        if (place && *place == count)
            *place = i;
    }
    pulmo_status status = PULMO_OK;
    for (uint32_t root = 0; root < count; root++)
        for (int s = 0, from = -1; s < PULMO_SPLITS && status == PULMO_OK; s++) {
            if (first[root][s] == count)
                continue;
            uint32_t x = first[root][from < 0 ? s : from], y = first[root][s];
            bool same = memcmp(&a->records[x].digest, &a->records[y].digest,
                               sizeof a->records[x].digest) == 0;
            if (from >= 0)
                status = lines_add(&a->plan->leaks, "%s: %s and %s",
                                   same ? "identical files" : "one picture", path_of(a, x),
                                   path_of(a, y));
            from = s;
        }
    free(first);
    return status;
}

/* One patient for certain, in more than one split. */
static pulmo_status list_sure_patients(audit *a, const int *split)
{
    keyed *keys = NULL;
    uint32_t count = 0;
    PULMO_TRY(sort_files(a->list, a->records, KEY_PATIENT, &keys, &count));
    pulmo_status status = PULMO_OK;
    for (uint32_t i = 0, end; i < count && status == PULMO_OK; i = end) {
        unsigned splits = 0;
        uint32_t other = i;
        for (end = i; end < count && compare_keys(&keys[end], &keys[i]) == 0; end++) {
            splits |= 1u << split[keys[end].index];
            if (split[keys[end].index] != split[keys[i].index] && other == i)
                other = end;
        }
        if (several(splits))
            status = lines_add(&a->plan->leaks, "patient %.*s: %s and %s", keys[i].count,
                               (const char *)keys[i].bytes, path_of(a, keys[i].index),
                               path_of(a, keys[other].index));
    }
    free(keys);
    return status;
}

/* The files of one group: where they stand. */
typedef struct group_seen {
    uint32_t first;
    unsigned splits; /* one bit each */
    bool classes;    /* several */
    bool apart;      /* by cases that are numbered apart */
} group_seen;

static void see_file(const audit *a, const int *split, uint32_t f, group_seen *seen)
{
    const source_file *file = &a->list->file[f], *first = &a->list->file[seen->first];
    if (split[f] >= 0)
        seen->splits |= 1u << split[f];
    seen->classes = seen->classes || a->plan->label[f] != a->plan->label[seen->first];
    seen->apart = seen->apart || file->sure_bytes != first->sure_bytes ||
                  memcmp(file->sure, first->sure, (size_t)file->sure_bytes) != 0;
}

/* Lists a patient of several splits or classes. */
static pulmo_status list_group(audit *a, const group_seen *seen)
{
    const char *patient = a->list->file[seen->first].group;
    const char *maybe = "";
    bool in[PULMO_SPLITS];
    for (int s = 0; s < PULMO_SPLITS; s++)
        in[s] = (seen->splits >> s & 1) != 0;
    if (seen->apart)
        maybe = " (by cases that are numbered apart; taken for different patients unless listed as "
                "a leak)";
    if (several(seen->splits))
        PULMO_TRY(lines_add(&a->plan->shared_patients, "%s: in splits%s%s%s%s", patient,
                            in[PULMO_SPLIT_TRAIN] ? " train" : "",
                            in[PULMO_SPLIT_VAL] ? " val" : "", in[PULMO_SPLIT_TEST] ? " test" : "",
                            maybe));
    if (seen->classes)
        return lines_add(&a->plan->mixed_patients, "%s: in several classes", patient);
    return PULMO_OK;
}

static pulmo_status count_group(audit *a, const group_seen *seen)
{
    a->plan->patients_all += seen->splits != 0;
    for (int s = 0; s < PULMO_SPLITS; s++)
        a->plan->patients[s] += seen->splits >> s & 1;
    return PULMO_OK;
}

/* Calls `visit` for every patient that names tell, certain or not. */
static pulmo_status each_group(audit *a, const int *split,
                               pulmo_status (*visit)(audit *a, const group_seen *seen))
{
    keyed *keys = NULL;
    uint32_t count = 0;
    PULMO_TRY(sort_files(a->list, a->records, KEY_GROUP, &keys, &count));
    pulmo_status status = PULMO_OK;
    for (uint32_t i = 0, end; i < count && status == PULMO_OK; i = end) {
        group_seen seen = {.first = keys[i].index};
        for (end = i; end < count && compare_keys(&keys[end], &keys[i]) == 0; end++)
            see_file(a, split, keys[end].index, &seen);
        if (a->list->file[seen.first].sure_bytes > 0)
            status = visit(a, &seen);
    }
    free(keys);
    return status;
}

/* Of every leaking set, what is not in its last split goes. */
static pulmo_status drop_leaks(audit *a, int *split)
{
    size_t count = a->list->count;
    uint32_t *parent = a->copies; /* needed no more: grows into sets of pictures and patients */
    PULMO_TRY(join_equal(a, KEY_PATIENT, parent, NULL));
    int *last = malloc((count + 1) * sizeof *last);
    if (!last)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    for (size_t i = 0; i < count; i++)
        last[i] = -1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t root = join_find(parent, i);
        if (split[i] > last[root])
            last[root] = split[i];
    }
    pulmo_status status = PULMO_OK;
    for (uint32_t i = 0; i < count && status == PULMO_OK; i++) {
        int kept = last[join_find(parent, i)];
        if (split[i] < 0 || split[i] == kept || update_split_of(a->old, i) >= 0)
            continue;
        split[i] = -1;
        status = lines_add(&a->plan->refused_paths, "%s", path_of(a, i));
        if (status == PULMO_OK)
            status = lines_add(&a->plan->refused_reasons,
                               "left out: its patient or picture stands in %s as well",
                               pulmo_split_name(kept));
    }
    free(last);
    return status;
}

pulmo_status audit_splits(audit *a, int *split, bool drop)
{
    PULMO_TRY(list_copies(a, split));
    PULMO_TRY(list_sure_patients(a, split));
    PULMO_TRY(each_group(a, split, list_group));
    if (drop && a->plan->leaks.count > 0)
        PULMO_TRY(drop_leaks(a, split));
    return each_group(a, split, count_group); /* of what is left */
}
