/* The plan of a pack: classes, splits carved by patient and class, order, and the leak audit. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prep.h"
#include "pulmo/dataset.h"
#include "pulmo/memory.h"
#include "pulmo/rng.h"

#define SPLIT_MEANINGFUL 50  /* images below which a given split says nothing */
#define HASH_AWAY 6          /* bits in which near duplicates' hashes may differ */
#define THUMB_AWAY 2.0       /* mean difference of their thumbnails, levels, after removing the mean */

/* ---- small things ---- */

pulmo_status lines_add(text_lines *lines, const char *format, ...)
{
    va_list arguments;
    if (lines->count == lines->room) {
        size_t room = lines->room ? 2 * lines->room : 16;
        char **larger = realloc(lines->text, room * sizeof *larger);
        if (!larger) return pulmo_fail(PULMO_MEMORY, "out of memory for findings");
        lines->text = larger;
        lines->room = room;
    }
    va_start(arguments, format);
    int length = vasprintf(&lines->text[lines->count], format, arguments);
    va_end(arguments);
    if (length < 0) return pulmo_fail(PULMO_MEMORY, "out of memory for findings");
    lines->count++;
    return PULMO_OK;
}

void lines_free(text_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) free(lines->text[i]);
    free(lines->text);
    memset(lines, 0, sizeof *lines);
}

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
    if (i < j) parent[j] = i;
    else parent[i] = j;
}

/* ---- classes ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static pulmo_status find_classes(const source_list *list, pack_plan *plan)
{
    char **all = malloc(list->count * sizeof *all);
    if (!all) return pulmo_fail(PULMO_MEMORY, "out of memory for class names");
    for (size_t i = 0; i < list->count; i++) all[i] = list->file[i].label;
    qsort(all, list->count, sizeof *all, by_text);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || strcmp(all[kept - 1], all[i]) != 0) all[kept++] = all[i];
    plan->class_names = all;
    plan->classes = (int)kept;
    if (kept < 2) return pulmo_fail(PULMO_DATA, "%s: has one class only (%s); two or more class folders are needed", list->root, all[0]);
    if (kept > PULMO_CLASSES_MAX) return pulmo_fail(PULMO_DATA, "%s: has %zu classes; at most %d", list->root, kept, PULMO_CLASSES_MAX);
    return PULMO_OK;
}

static int class_of(const pack_plan *plan, const char *label)
{
    char *const *found = bsearch(&label, plan->class_names, (size_t)plan->classes, sizeof *plan->class_names, by_text);
    return (int)(found - plan->class_names);
}

static pulmo_status sort_out(const source_list *list, const image_record *records, pack_plan *plan)
{
    plan->label = malloc(list->count * sizeof *plan->label);
    if (!plan->label) return pulmo_fail(PULMO_MEMORY, "out of memory for labels");
    plan->channels = 1;
    for (size_t i = 0; i < list->count; i++) {
        plan->label[i] = records[i].usable ? class_of(plan, list->file[i].label) : -1;
        if (records[i].usable && records[i].channels == 3) plan->channels = 3;
        if (records[i].usable) continue;
        PULMO_TRY(lines_add(&plan->refused_paths, "%s", list->file[i].path));
        PULMO_TRY(lines_add(&plan->refused_reasons, "%s", records[i].reason));
    }
    return PULMO_OK;
}

/* ---- what belongs together ---- */

typedef struct keyed {
    const char *text;
    const void *bytes;
    uint32_t index;
} keyed;

static int by_group(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int by_digest(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, PULMO_DIGEST_BYTES);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

typedef struct joining {
    const source_list *list;
    const image_record *records;
    pack_plan *plan;
    uint32_t *parent;
    keyed *keys;
    uint32_t usable;
} joining;

static void join_patients(joining *j)
{
    qsort(j->keys, j->usable, sizeof *j->keys, by_group);
    for (uint32_t i = 1; i < j->usable; i++)
        if (strcmp(j->keys[i - 1].text, j->keys[i].text) == 0) join_sets(j->parent, j->keys[i - 1].index, j->keys[i].index);
}

static pulmo_status join_identical(joining *j)
{
    const source_file *file = j->list->file;
    qsort(j->keys, j->usable, sizeof *j->keys, by_digest);
    for (uint32_t i = 1; i < j->usable; i++) {
        const keyed *a = &j->keys[i - 1], *b = &j->keys[i];
        if (memcmp(a->bytes, b->bytes, PULMO_DIGEST_BYTES) != 0) continue;
        join_sets(j->parent, a->index, b->index);
        bool torn = j->plan->label[a->index] != j->plan->label[b->index];
        PULMO_TRY(lines_add(&j->plan->identical, "%s = %s%s", file[a->index].path, file[b->index].path, torn ? " (in different classes!)" : ""));
    }
    return PULMO_OK;
}

static double thumb_difference(const image_record *a, const image_record *b)
{
    double shift = 0, away = 0;
    for (int i = 0; i < THUMB * THUMB; i++) shift += (double)a->thumb[i] - b->thumb[i];
    shift /= THUMB * THUMB;
    for (int i = 0; i < THUMB * THUMB; i++) {
        double d = (double)a->thumb[i] - b->thumb[i] - shift;
        away += d < 0 ? -d : d;
    }
    return away / (THUMB * THUMB);
}

static pulmo_status join_similar(joining *j)
{
    const image_record *records = j->records;
    for (uint32_t a = 0; a < j->list->count; a++) {
        if (!records[a].usable) continue;
        for (uint32_t b = a + 1; b < j->list->count; b++) {
            if (!records[b].usable || __builtin_popcountll(records[a].hash ^ records[b].hash) > HASH_AWAY) continue;
            if (memcmp(&records[a].digest, &records[b].digest, sizeof records[a].digest) == 0) continue;
            if (thumb_difference(&records[a], &records[b]) > THUMB_AWAY) continue;
            join_sets(j->parent, a, b);
            PULMO_TRY(lines_add(&j->plan->similar, "%s ~ %s", j->list->file[a].path, j->list->file[b].path));
        }
    }
    return PULMO_OK;
}

/* parent[] of sets that stay on one side of every split. */
static pulmo_status join_all(const source_list *list, const image_record *records, pack_plan *plan, uint32_t *parent)
{
    joining j = {.list = list, .records = records, .plan = plan, .parent = parent};
    j.keys = malloc(list->count * sizeof *j.keys);
    if (!j.keys) return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    for (uint32_t i = 0; i < list->count; i++) {
        parent[i] = i;
        if (!records[i].usable) continue;
        j.keys[j.usable++] = (keyed){.text = list->file[i].group, .bytes = records[i].digest.bytes, .index = i};
    }
    join_patients(&j);
    pulmo_status status = join_identical(&j);
    if (status == PULMO_OK) status = join_similar(&j);
    free(j.keys);
    return status;
}

/* ---- carving ---- */

typedef struct carving {
    const source_list *list;
    pack_plan *plan;
    uint32_t *parent;
    int *split;         /* (count): where each file goes */
    uint32_t *sets;     /* roots of sets of train, one class at a time */
    uint32_t *set_size; /* (count), by root: files in train */
} carving;

/* Moves shuffled sets of one class to `to` until the wanted number of images is reached; a set
 * that would overshoot by more than it lacked is passed over. */
static void take_sets(carving *c, uint32_t count, double wanted, int to)
{
    double taken = 0;
    for (uint32_t i = 0; i < count && taken < wanted; i++) {
        uint32_t root = c->sets[i], size = c->set_size[root];
        if (size == 0 || taken + size - wanted > wanted - taken) continue;
        taken += size;
        c->set_size[root] = 0;
        for (uint32_t f = 0; f < c->list->count; f++)
            if (c->split[f] == SPLIT_TRAIN && join_find(c->parent, f) == root) c->split[f] = to;
    }
}

/* A set belongs to the class of its first file. */
static void carve_class(carving *c, int class, const double fraction[SPLITS], uint64_t seed)
{
    uint32_t count = 0;
    double images = 0;
    pulmo_rng rng;
    for (uint32_t f = 0; f < c->list->count; f++) {
        if (c->split[f] != SPLIT_TRAIN) continue;
        if (c->plan->label[join_find(c->parent, f)] == class) images++;
        if (join_find(c->parent, f) == f && c->plan->label[f] == class) c->sets[count++] = f;
    }
    pulmo_rng_at(&rng, seed, PULMO_RNG_SPLIT, (uint64_t)class, 0);
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = pulmo_rng_below(&rng, i), swap = c->sets[i - 1];
        c->sets[i - 1] = c->sets[j];
        c->sets[j] = swap;
    }
    take_sets(c, count, fraction[SPLIT_TEST] * images, SPLIT_TEST);
    take_sets(c, count, fraction[SPLIT_VAL] * images, SPLIT_VAL);
}

/* What becomes of a split that was given: kept, or merged into train to be carved anew. */
static pulmo_status judge_given(carving *c, int split, double *fraction)
{
    uint32_t given = 0, train = 0;
    const char *name = split_names[split];
    for (uint32_t f = 0; f < c->list->count; f++) {
        given += c->split[f] == split;
        train += c->split[f] == SPLIT_TRAIN;
    }
    if (*fraction <= 0) return PULMO_OK;
    if (given >= SPLIT_MEANINGFUL && given * 100 >= train) {
        double unused = *fraction;
        *fraction = 0;
        return lines_add(&c->plan->carve, "%s: the %u images given are kept; %g of train was not carved", name, given, unused);
    }
    if (given == 0) return lines_add(&c->plan->carve, "%s: %g of train carved out, by patient and class", name, *fraction);
    for (uint32_t f = 0; f < c->list->count; f++)
        if (c->split[f] == split) c->split[f] = SPLIT_TRAIN;
    return lines_add(&c->plan->carve, "%s: the %u images given are too few to mean anything and join train; %g of train carved out instead, by patient and class",
                     name, given, *fraction);
}

static pulmo_status carve(carving *c, const pulmo_config *config)
{
    double fraction[SPLITS] = {0, config->pack.val_fraction, config->pack.test_fraction};
    if (fraction[SPLIT_VAL] + fraction[SPLIT_TEST] > 0.95)
        return pulmo_fail(PULMO_CONFIG, "pack.val_fraction and pack.test_fraction leave nothing to train on: %g + %g", fraction[SPLIT_VAL], fraction[SPLIT_TEST]);
    PULMO_TRY(judge_given(c, SPLIT_VAL, &fraction[SPLIT_VAL]));
    PULMO_TRY(judge_given(c, SPLIT_TEST, &fraction[SPLIT_TEST]));
    if (fraction[SPLIT_VAL] <= 0 && fraction[SPLIT_TEST] <= 0) return PULMO_OK;
    /* A set that already stands in a given split stays whole there only if none of it is in train:
     * such leaks are reported by the audit, not moved. */
    for (uint32_t f = 0; f < c->list->count; f++)
        if (c->split[f] == SPLIT_TRAIN) c->set_size[join_find(c->parent, f)]++;
    for (int k = 0; k < c->plan->classes; k++) carve_class(c, k, fraction, (uint64_t)config->pack.seed);
    return PULMO_OK;
}

/* ---- audit across splits ---- */

static pulmo_status audit_patients(const source_list *list, pack_plan *plan, const int *split)
{
    keyed *keys = malloc((list->count + 1) * sizeof *keys);
    uint32_t usable = 0;
    if (!keys) return pulmo_fail(PULMO_MEMORY, "out of memory for the audit");
    for (uint32_t i = 0; i < list->count; i++)
        if (plan->label[i] >= 0) keys[usable++] = (keyed){.text = list->file[i].group, .index = i};
    qsort(keys, usable, sizeof *keys, by_group);
    pulmo_status status = PULMO_OK;
    for (uint32_t i = 0, end; i < usable && status == PULMO_OK; i = end) {
        unsigned splits = 0;
        int first_class = plan->label[keys[i].index];
        bool classes = false;
        for (end = i; end < usable && strcmp(keys[end].text, keys[i].text) == 0; end++) {
            splits |= 1u << split[keys[end].index];
            classes = classes || plan->label[keys[end].index] != first_class;
        }
        if (splits & (splits - 1))
            status = lines_add(&plan->shared_patients, "%s: in splits%s%s%s", keys[i].text, splits & 1 ? " train" : "", splits & 2 ? " val" : "", splits & 4 ? " test" : "");
        if (status == PULMO_OK && classes) status = lines_add(&plan->shared_patients, "%s: in several classes", keys[i].text);
    }
    free(keys);
    return status;
}

/* ---- order ---- */

/* Within a split: by class, then in the list's order of paths. */
static pulmo_status set_order(const source_list *list, pack_plan *plan, const int *split)
{
    for (int s = 0; s < SPLITS; s++) {
        plan->order[s] = malloc((list->count + 1) * sizeof *plan->order[s]);
        if (!plan->order[s]) return pulmo_fail(PULMO_MEMORY, "out of memory for the order");
        for (int k = 0; k < plan->classes; k++)
            for (uint32_t f = 0; f < list->count; f++)
                if (split[f] == s && plan->label[f] == k) plan->order[s][plan->count[s]++] = f;
    }
    for (int k = 0; k < plan->classes; k++) {
        uint32_t images = 0;
        for (uint32_t i = 0; i < plan->count[SPLIT_TRAIN]; i++) images += plan->label[plan->order[SPLIT_TRAIN][i]] == k;
        bool elsewhere = plan->count[SPLIT_TRAIN] == 0; /* a source that is only to be tested on */
        if (images == 0 && !elsewhere)
            return pulmo_fail(PULMO_DATA, "%s: class %s has no usable image in train; every class needs some", list->root, plan->class_names[k]);
    }
    if (plan->count[0] + plan->count[1] + plan->count[2] == 0)
        return pulmo_fail(PULMO_DATA, "%s: none of its %zu files can be used; the first: %s: %s", list->root, list->count,
                          plan->refused_paths.text[0], plan->refused_reasons.text[0]);
    return PULMO_OK;
}

pulmo_status pack_plan_make(const source_list *list, const image_record *records, const pulmo_config *config, pack_plan *out)
{
    carving c = {.list = list, .plan = out};
    pulmo_status status = PULMO_OK;
    memset(out, 0, sizeof *out);
    c.parent = malloc(list->count * sizeof *c.parent);
    c.split = malloc(list->count * sizeof *c.split);
    c.sets = malloc(list->count * sizeof *c.sets);
    c.set_size = calloc(list->count, sizeof *c.set_size);
    if (!c.parent || !c.split || !c.sets || !c.set_size) PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for the plan"));
    PULMO_GOTO(find_classes(list, out));
    PULMO_GOTO(sort_out(list, records, out));
    for (size_t i = 0; i < list->count; i++) c.split[i] = records[i].usable ? list->file[i].split : -1;
    PULMO_GOTO(join_all(list, records, out, c.parent));
    PULMO_GOTO(carve(&c, config));
    PULMO_GOTO(audit_patients(list, out, c.split));
    PULMO_GOTO(set_order(list, out, c.split));
out:
    free(c.parent);
    free(c.split);
    free(c.sets);
    free(c.set_size);
    if (status != PULMO_OK) pack_plan_free(out);
    return status;
}

void pack_plan_free(pack_plan *plan)
{
    for (int s = 0; s < SPLITS; s++) free(plan->order[s]);
    free(plan->class_names);
    free(plan->label);
    lines_free(&plan->refused_paths);
    lines_free(&plan->refused_reasons);
    lines_free(&plan->identical);
    lines_free(&plan->similar);
    lines_free(&plan->shared_patients);
    lines_free(&plan->carve);
    memset(plan, 0, sizeof *plan);
}
