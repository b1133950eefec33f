/* The leak audit: the same picture, or the same patient, on both sides of a split. */
#include "audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "update.h"

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

/* Files of an equal key become one set; `found` (may be NULL) is called for each pair of
 * neighbours. */
typedef pulmo_status (*pair_found)(audit *a, uint32_t x, uint32_t y);

static pulmo_status join_equal(audit *a, key_kind kind, uint32_t *parent, pair_found found)
{
    keyed *keys = NULL;
    uint32_t count = 0;
    PULMO_TRY(keys_sort(a->list, a->records, kind, &keys, &count));
    pulmo_status status = PULMO_OK;
    for (uint32_t i = 1; i < count && status == PULMO_OK; i++) {
        const keyed *before = &keys[i - 1];
        const keyed *key = &keys[i];
        if (keys_compare(before, key) != 0)
            continue;
        if (found)
            status = found(a, before->index, key->index);
        join_sets(parent, before->index, key->index);
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
    double count = (double)n;
    double xx = (double)sxx - (double)sx * (double)sx / count;
    double yy = (double)syy - (double)sy * (double)sy / count;
    double xy = (double)sxy - (double)sx * (double)sy / count;
    if (xx <= 0 || yy <= 0)
        return 0;
    return xy / sqrt(xx * yy);
}

static pulmo_status add_pair(search *s, uint32_t a, uint32_t b)
{
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        near_pair *larger = realloc(s->pairs, room * sizeof *larger);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "out of memory for near duplicates");
        s->pairs = larger;
        s->room = room;
    }
    s->pairs[s->count] = (near_pair){a, b};
    s->count++;
    return PULMO_OK;
}

static pulmo_status compare(search *s, uint32_t a, uint32_t b)
{
    part_store *store = s->store;
    size_t side = (size_t)store->size_px;
    size_t samples = side * side * (size_t)s->channels;
    if (s->loaded != a) {
        PULMO_TRY(parts_read(store, a, s->channels, s->pixels[0]));
        s->loaded = a;
        s->looks = 0;
    }
    s->looks++;
    PULMO_TRY(parts_read(store, b, s->channels, s->pixels[1]));
    double likeness = correlation(s->pixels[0], s->pixels[1], samples);
    if (likeness < NEAR_CORRELATION)
        return PULMO_OK;
    return add_pair(s, a, b);
}

static bool look(void *context, uint32_t a, uint32_t b)
{
    search *s = context;
    s->status = compare(s, s->file[a], s->file[b]);
    return s->status == PULMO_OK && s->looks < NEAR_LOOKS;
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Of files that are packed already the pairs are known: only new ones are looked up. */
static pulmo_status new_first(search *s, uint32_t count, uint32_t *queries)
{
    uint32_t old = 0;
    uint32_t at = 0;
    uint32_t *packed = malloc(((size_t)count + 1) * sizeof *packed);
    if (!packed)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t file = s->file[i];
        bool is_packed = update_split_of(s->store->old, file) >= 0;
        if (is_packed)
            packed[old++] = file;
        else
            s->file[at++] = file;
    }
    memcpy(s->file + at, packed, old * sizeof *packed);
    free(packed);
    *queries = at;
    return PULMO_OK;
}

/* One file of each picture that can be compared, in the list's order. */
static pulmo_status choose_files(search *s, uint32_t *count, uint32_t *queries)
{
    const part_store *store = s->store;
    keyed *keys = NULL;
    uint32_t usable = 0;
    uint32_t kept = 0;
    PULMO_TRY(keys_sort(store->list, store->records, KEY_PIXELS, &keys, &usable));
    for (uint32_t i = 0; i < usable; i++) {
        uint32_t file = keys[i].index;
        const image_record *record = &store->records[file];
        if (record->channels == 3)
            s->channels = 3;
        bool again = i > 0 && keys_compare(&keys[i - 1], &keys[i]) == 0;
        bool blank = record->sketch[0] == 0;
        if (!blank && !again)
            s->file[kept++] = file;
    }
    free(keys);
    qsort(s->file, kept, sizeof *s->file, by_index);
    *count = kept;
    return new_first(s, kept, queries);
}

pulmo_status audit_near(part_store *store, near_pair **pairs, size_t *count)
{
    uint32_t files = 0;
    uint32_t queries = 0;
    size_t room = store->list->count + 1;
    size_t side = (size_t)store->size_px;
    size_t pixels = 3 * side * side;
    search s = {.store = store, .channels = 1, .loaded = UINT32_MAX};
    int8_t(*sketches)[PULMO_SKETCH_BYTES] = malloc(room * sizeof *sketches);
    s.file = malloc(room * sizeof *s.file);
    s.pixels[0] = malloc(2 * pixels);
    s.pixels[1] = s.pixels[0] + pixels;
    pulmo_status status = PULMO_OK;
    if (!sketches || !s.file || !s.pixels[0])
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for the audit"));
    PULMO_GOTO(choose_files(&s, &files, &queries));
    for (uint32_t i = 0; i < files; i++) {
        const image_record *record = &store->records[s.file[i]];
        memcpy(sketches[i], record->sketch, PULMO_SKETCH_BYTES);
    }
    PULMO_GOTO(pulmo_near_pairs(sketches, files, queries, NEAR_DISTANCE2, look, &s));
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
    const int32_t *label = a->plan->label;
    return label[x] != label[y] ? " (in different classes!)" : "";
}

static pulmo_status list_identical(audit *a, uint32_t x, uint32_t y)
{
    const char *kept = path_of(a, x);
    const char *copy = path_of(a, y);
    return lines_add(&a->plan->identical, "%s = %s%s", kept, copy, torn(a, x, y));
}

static pulmo_status list_similar(audit *a, uint32_t x, uint32_t y, const char *how)
{
    const char *kept = path_of(a, x);
    const char *copy = path_of(a, y);
    return lines_add(&a->plan->similar, "%s ~ %s%s%s", kept, copy, how, torn(a, x, y));
}

static bool are_copies(const audit *a, uint32_t x, uint32_t y)
{
    return join_find(a->copies, x) == join_find(a->copies, y);
}

/* Equal pixels of unequal files. */
static pulmo_status list_same_pixels(audit *a, uint32_t x, uint32_t y)
{
    if (are_copies(a, x, y))
        return PULMO_OK;
    return list_similar(a, x, y, ": the same pixels");
}

static pulmo_status join_near(audit *a, const near_pair *near, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const near_pair *pair = &near[i];
        if (are_copies(a, pair->a, pair->b))
            continue;
        join_sets(a->copies, pair->a, pair->b);
        PULMO_TRY(list_similar(a, pair->a, pair->b, ""));
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

/* Of each set of copies, the first file in each split; list's count is none. */
typedef uint32_t split_files[PULMO_SPLITS];

static void find_first(audit *a, const int *split, split_files *first)
{
    uint32_t count = (uint32_t)a->list->count;
    for (uint32_t root = 0; root < count; root++)
        for (int s = 0; s < PULMO_SPLITS; s++)
            first[root][s] = count;
    for (uint32_t i = 0; i < count; i++) {
        int s = split[i];
        if (s < 0)
            continue;
        uint32_t *place = first[join_find(a->copies, i)];
        if (place[s] == count)
            place[s] = i;
    }
}

static pulmo_status list_leak(audit *a, uint32_t x, uint32_t y)
{
    const pulmo_digest *one = &a->records[x].digest;
    const pulmo_digest *other = &a->records[y].digest;
    bool same = memcmp(one, other, sizeof *one) == 0;
    const char *what = same ? "identical files" : "one picture";
    return lines_add(&a->plan->leaks, "%s: %s and %s", what, path_of(a, x), path_of(a, y));
}

/* One picture: a line for each split that has it, after the first one. */
static pulmo_status list_picture(audit *a, const split_files first)
{
    uint32_t none = (uint32_t)a->list->count;
    uint32_t before = none;
    for (int s = 0; s < PULMO_SPLITS; s++) {
        uint32_t file = first[s];
        if (file == none)
            continue;
        if (before != none)
            PULMO_TRY(list_leak(a, before, file));
        before = file;
    }
    return PULMO_OK;
}

/* Pictures in more than one split: a line a picture, with its first file in each. */
static pulmo_status list_copies(audit *a, const int *split)
{
    size_t count = a->list->count;
    split_files *first = malloc((count + 1) * sizeof *first); /* by root */
    if (!first)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    find_first(a, split, first);
    pulmo_status status = PULMO_OK;
    for (size_t root = 0; root < count && status == PULMO_OK; root++)
        status = list_picture(a, first[root]);
    free(first);
    return status;
}

/* Files `keys` to `end` of one patient: a line if they are in more than one split. */
static pulmo_status list_sure_patient(audit *a, const int *split, const keyed *keys,
                                      const keyed *end)
{
    unsigned splits = 0;
    const keyed *other = keys;
    for (const keyed *key = keys; key < end; key++) {
        int s = split[key->index];
        splits |= 1u << s;
        if (other == keys && s != split[keys->index])
            other = key;
    }
    if (!several(splits))
        return PULMO_OK;
    const char *patient = keys->bytes;
    const char *one = path_of(a, keys->index);
    return lines_add(&a->plan->leaks, "patient %.*s: %s and %s", keys->count, patient, one,
                     path_of(a, other->index));
}

/* One patient for certain, in more than one split. */
static pulmo_status list_sure_patients(audit *a, const int *split)
{
    keyed *keys = NULL;
    uint32_t count = 0;
    PULMO_TRY(keys_sort(a->list, a->records, KEY_PATIENT, &keys, &count));
    pulmo_status status = PULMO_OK;
    uint32_t first = 0;
    while (first < count && status == PULMO_OK) {
        uint32_t end = keys_end_of_equal(keys, count, first);
        status = list_sure_patient(a, split, keys + first, keys + end);
        first = end;
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
    const int32_t *label = a->plan->label;
    if (split[f] >= 0)
        seen->splits |= 1u << split[f];
    if (label[f] != label[seen->first])
        seen->classes = true;
    keyed case_of_file = key_of(a->list, a->records, f, KEY_PATIENT);
    keyed case_of_first = key_of(a->list, a->records, seen->first, KEY_PATIENT);
    if (keys_compare(&case_of_file, &case_of_first) != 0)
        seen->apart = true;
}

/* Lists a patient of several splits or classes. */
static pulmo_status list_group(audit *a, const group_seen *seen)
{
    const char *patient = a->list->file[seen->first].group;
    const char *maybe = "";
    const char *train = seen->splits >> PULMO_SPLIT_TRAIN & 1 ? " train" : "";
    const char *val = seen->splits >> PULMO_SPLIT_VAL & 1 ? " val" : "";
    const char *test = seen->splits >> PULMO_SPLIT_TEST & 1 ? " test" : "";
    if (seen->apart)
        maybe = " (by cases that are numbered apart; taken for different patients unless listed as "
                "a leak)";
    if (several(seen->splits))
        PULMO_TRY(lines_add(&a->plan->shared_patients, "%s: in splits%s%s%s%s", patient, train, val,
                            test, maybe));
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

/* The usable files in order of their patients. */
typedef struct groups {
    keyed *keys;
    uint32_t count;
} groups;

/* Calls `visit` for every patient that names tell, certain or not. */
static pulmo_status each_group(audit *a, const int *split, const groups *sorted,
                               pulmo_status (*visit)(audit *a, const group_seen *seen))
{
    const keyed *keys = sorted->keys;
    pulmo_status status = PULMO_OK;
    uint32_t first = 0;
    while (first < sorted->count && status == PULMO_OK) {
        uint32_t end = keys_end_of_equal(keys, sorted->count, first);
        group_seen seen = {.first = keys[first].index};
        for (uint32_t i = first; i < end; i++)
            see_file(a, split, keys[i].index, &seen);
        if (a->list->file[seen.first].sure_bytes > 0)
            status = visit(a, &seen);
        first = end;
    }
    return status;
}

static pulmo_status leave_out(audit *a, uint32_t file, int kept)
{
    pack_plan *plan = a->plan;
    PULMO_TRY(lines_add(&plan->refused_paths, "%s", path_of(a, file)));
    return lines_add(&plan->refused_reasons,
                     "left out: its patient or picture stands in %s as well",
                     pulmo_split_name(kept));
}

/* The last split of each set of `parent`, by root; -1 for none. */
static void find_last(uint32_t *parent, const int *split, uint32_t count, int *last)
{
    for (uint32_t i = 0; i < count; i++)
        last[i] = -1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t root = join_find(parent, i);
        if (split[i] > last[root])
            last[root] = split[i];
    }
}

/* Of every leaking set, what is not in its last split goes. */
static pulmo_status drop_leaks(audit *a, int *split)
{
    uint32_t count = (uint32_t)a->list->count;
    uint32_t *parent = a->copies; /* needed no more: grows into sets of pictures and patients */
    PULMO_TRY(join_equal(a, KEY_PATIENT, parent, NULL));
    int *last = malloc(((size_t)count + 1) * sizeof *last);
    if (!last)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    find_last(parent, split, count, last);
    pulmo_status status = PULMO_OK;
    for (uint32_t i = 0; i < count && status == PULMO_OK; i++) {
        int kept = last[join_find(parent, i)];
        bool packed = update_split_of(a->old, i) >= 0;
        if (split[i] < 0 || split[i] == kept || packed)
            continue;
        split[i] = -1;
        status = leave_out(a, i, kept);
    }
    free(last);
    return status;
}

pulmo_status audit_splits(audit *a, int *split, bool drop)
{
    PULMO_TRY(list_copies(a, split));
    PULMO_TRY(list_sure_patients(a, split));
    groups sorted = {0};
    PULMO_TRY(keys_sort(a->list, a->records, KEY_GROUP, &sorted.keys, &sorted.count));
    pulmo_status status = each_group(a, split, &sorted, list_group);
    if (status == PULMO_OK && drop && a->plan->leaks.count > 0)
        status = drop_leaks(a, split);
    if (status == PULMO_OK)
        status = each_group(a, split, &sorted, count_group); /* of what is left */
    free(sorted.keys);
    return status;
}
