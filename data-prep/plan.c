/* The plan of a pack: classes, splits by patient and class, order. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alike.h"
#include "audit.h"
#include "causes.h"
#include "folds.h"
#include "judge.h"
#include "patients.h"
#include "update.h"
#include "ways.h"

#include "pulmo/dataset.h"
#include "pulmo/rng.h"
#include "pulmo/text.h"

/* ---- classes ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* With what tables and pack.label_map left out: the other classes, perhaps. */
static pulmo_status fail_single(const source_list *list)
{
    char *notes = NULL;
    const bool any = list->table_notes.count > 0;
    if (any)
        PULMO_TRY(lines_join(&list->table_notes, "; ", &notes));
    pulmo_status status =
        pulmo_fail(PULMO_DATA, "%s: has one class only (%s); two or more are needed%s%s",
                   list->root, list->file[0].label, any ? ": " : "", any ? notes : "");
    free(notes);
    return status;
}

pulmo_status plan_classes(const source_list *list, pack_plan *plan)
{
    char **all = malloc(list->count * sizeof *all);
    if (!all)
        return pulmo_fail(PULMO_MEMORY, "out of memory for class names");
    for (size_t i = 0; i < list->count; i++)
        all[i] = list->file[i].label;
    qsort(all, list->count, sizeof *all, by_text);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || strcmp(all[kept - 1], all[i]) != 0)
            all[kept++] = all[i];
    plan->class_names = all;
    plan->classes = (int)kept;
    return PULMO_OK;
}

pulmo_status plan_judge_classes(const source_list *list, const pack_plan *plan)
{
    if (plan->classes < 2)
        return fail_single(list);
    if (plan->classes > PULMO_CLASSES_MAX)
        return pulmo_fail(PULMO_DATA, "%s: has %d classes; at most %d", list->root, plan->classes,
                          PULMO_CLASSES_MAX);
    return PULMO_OK;
}

/* In any order: a model's may be another than that of names. */
static int class_of(const pack_plan *plan, const char *label)
{
    int k = 0;
    while (strcmp(plan->class_names[k], label) != 0)
        k++;
    return k;
}

static pulmo_status sort_out(const part_store *store, pack_plan *plan)
{
    const source_list *list = store->list;
    const image_record *records = store->records;
    plan->label = malloc(list->count * sizeof *plan->label);
    if (!plan->label)
        return pulmo_fail(PULMO_MEMORY, "out of memory for labels");
    plan->channels = 1;
    for (size_t i = 0; i < list->count; i++) {
        const image_record *record = &records[i];
        const source_file *file = &list->file[i];
        if (record->usable) {
            plan->label[i] = class_of(plan, file->label);
            plan->profiled += record->profiled;
            if (record->channels == 3)
                plan->channels = 3;
            continue;
        }
        plan->label[i] = -1;
        PULMO_TRY(lines_add(&plan->refused_paths, "%s", file->path));
        PULMO_TRY(lines_add(&plan->refused_reasons, "%s", store->reasons[i]));
        plan->bad++;
    }
    return PULMO_OK;
}

/* ---- patients ---- */

/* Images by each rule that told a patient. Schemes of one name are counted together. */
static pulmo_status name_rules(const source_list *list, pack_plan *plan)
{
    text_lines lines = {0};
    uint32_t images[PATIENT_RULES_MAX] = {0};
    for (size_t i = 0; i < list->count; i++) {
        if (plan->label[i] < 0)
            continue;
        int base = patient_rule_base(list->file[i].rule);
        images[base]++;
    }
    plan->unknown = images[PATIENT_UNKNOWN];
    pulmo_status status = PULMO_OK;
    for (int r = 1; r <= PATIENT_RULES_MAX && status == PULMO_OK; r++) {
        int rule = r % PATIENT_RULES_MAX; /* the unknown ones last */
        if (images[rule] > 0)
            status = lines_add(&lines, "%s: %u image%s", patient_rule_name(rule), images[rule],
                               pulmo_plural(images[rule]));
    }
    if (status == PULMO_OK)
        status = lines_join(&lines, ", ", &plan->patients_by);
    lines_free(&lines);
    return status;
}

const char *plan_patients(const pack_plan *plan)
{
    if (plan->unknown == 0)
        return "known";
    return plan->patients_all > 0 ? "some" : "unknown";
}

/* ---- splitting ---- */

typedef struct splitter {
    const source_list *list;
    pack_plan *plan;
    uint32_t *together;  /* parents of sets that stay on one side */
    int *split;          /* (count): where each file goes; -1 for a refused one */
    uint32_t *sets;      /* roots of sets of train, one class at a time */
    uint32_t *set_size;  /* (count), by root: files in train, 0 once the set has gone elsewhere */
    int32_t *set_class;  /* (count), by root: class of its first file in train */
    int *goes;           /* (count), by root: where its files of train go */
    const old_pack *old; /* files that are packed already stay where they are; NULL for none */
} splitter;

/* In that split so far, and not packed already. */
static bool is_new_in(const splitter *c, uint32_t file, int split)
{
    return c->split[file] == split && update_split_of(c->old, file) < 0;
}

/* Images of a class that are in a split already. */
static uint32_t old_images(const splitter *c, int class, int split)
{
    uint32_t images = 0;
    if (!c->old)
        return 0;
    for (uint32_t f = 0; f < c->list->count; f++) {
        bool of_class = c->plan->label[f] == class;
        if (of_class && update_split_of(c->old, f) == split)
            images++;
    }
    return images;
}

/* Sends shuffled sets of one class to `to` until the wanted number of images is reached; a set
 * that would overshoot by more than it lacked is passed over. Train keeps the last set. */
static void take_sets(splitter *c, int class, uint32_t count, double wanted, int to)
{
    double taken = 0;
    uint32_t left = old_images(c, class, PULMO_SPLIT_TRAIN) > 0;
    for (uint32_t i = 0; i < count; i++)
        left += c->set_size[c->sets[i]] > 0;
    for (uint32_t i = 0; i < count && taken < wanted && left > 1; i++) {
        uint32_t root = c->sets[i];
        uint32_t size = c->set_size[root];
        double over = taken + size - wanted;
        double lacking = wanted - taken;
        if (size == 0 || over > lacking)
            continue;
        taken += size;
        left--;
        c->set_size[root] = 0;
        c->goes[root] = to;
    }
}

/* Gathers the sets of a class that have files in train. `images` is how many files. */
static uint32_t gather_class(splitter *c, int class, double *images)
{
    uint32_t count = 0;
    *images = 0;
    for (uint32_t root = 0; root < c->list->count; root++) {
        uint32_t size = c->set_size[root];
        if (size == 0 || c->set_class[root] != class)
            continue;
        *images += size;
        c->sets[count] = root;
        count++;
    }
    return count;
}

static void shuffle_sets(splitter *c, uint32_t count, pulmo_rng *rng)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = pulmo_rng_below(rng, i);
        uint32_t swap = c->sets[i - 1];
        c->sets[i - 1] = c->sets[j];
        c->sets[j] = swap;
    }
}

static void split_class(splitter *c, int class, const double fraction[PULMO_SPLITS], uint64_t seed)
{
    double images = 0;
    pulmo_rng rng;
    uint32_t count = gather_class(c, class, &images);
    pulmo_rng_at(&rng, seed, PULMO_RNG_SPLIT, (uint64_t) class, 0);
    shuffle_sets(c, count, &rng);
    /* Of what is packed already, the splits have their parts, which grow with the new. */
    double have[PULMO_SPLITS];
    for (int s = 0; s < PULMO_SPLITS; s++) {
        have[s] = old_images(c, class, s);
        if (s == PULMO_SPLIT_TRAIN || fraction[s] > 0)
            images += have[s];
    }
    for (int s = PULMO_SPLIT_TEST; s >= PULMO_SPLIT_VAL; s--) {
        double wanted = fraction[s] * images - have[s];
        take_sets(c, class, count, wanted, s);
    }
}

static pulmo_status note_held(splitter *c, int split)
{
    const source_list *list = c->list;
    const char *name = pulmo_split_name(split);
    if (list->moved[split] == 0)
        return lines_add(&c->plan->split_notes, "%s: the %zu file%s that pack.%s_pattern matches",
                         name, list->held[split], pulmo_plural(list->held[split]), name);
    return lines_add(
        &c->plan->split_notes,
        "%s: the %zu file%s that pack.%s_pattern matches; the other %zu given %s train", name,
        list->held[split], pulmo_plural(list->held[split]), name, list->moved[split],
        list->moved[split] == 1 ? "joins" : "join");
}

/* "the 8 images given are", as the beginning of a sentence. */
static const char *images_are(size_t count)
{
    return count == 1 ? "image given is" : "images given are";
}

/* The only split that pulmo ever merges into train, and only when asked for another. */
static pulmo_status replace_val(splitter *c, size_t given, const char *manner)
{
    for (uint32_t f = 0; f < c->list->count; f++)
        if (is_new_in(c, f, PULMO_SPLIT_VAL))
            c->split[f] = PULMO_SPLIT_TRAIN;
    return lines_add(&c->plan->warnings,
                     "val: the %zu %s too few to choose an epoch by (fewer than %d) and %s train; "
                     "instead, %s. Without --val-fraction val stays as it was given",
                     given, images_are(given), PULMO_SPLIT_MEANINGFUL,
                     given == 1 ? "joins" : "join", manner);
}

/* What becomes of a split that no pattern names: kept as it was given, or split off train by
 * *fraction, which is 0 afterwards where nothing is. A test set that was given is never trained
 * on. */
static pulmo_status judge_given(splitter *c, const pulmo_config *config, int split,
                                double *fraction)
{
    text_lines *notes = &c->plan->split_notes;
    const char *name = pulmo_split_name(split);
    size_t given = judge_given_count(c->list, split);
    bool by_picture = config->pack.patients_unknown && c->plan->unknown > 0;
    char manner[96];
    snprintf(manner, sizeof manner, "%g of train is split off, by %s and class", *fraction,
             by_picture ? "picture" : "patient");
    if (judge_is_split_off(c->list, config, split)) {
        if (given > 0)
            return replace_val(c, given, manner);
        return lines_add(notes, "%s: %s", name, manner);
    }
    double unused = *fraction;
    *fraction = 0;
    if (unused > 0)
        return lines_add(notes, "%s: the %zu %s kept; %g of train is not split off", name, given,
                         images_are(given), unused);
    if (split == PULMO_SPLIT_VAL && given > 0 && given < PULMO_SPLIT_MEANINGFUL)
        return lines_add(notes,
                         "val: the %zu %s too few to choose an epoch by; "
                         "--val-fraction 0.15 splits val off train",
                         given, images_are(given));
    return PULMO_OK;
}

static pulmo_status judge_splits(splitter *c, const pulmo_config *config,
                                 double fraction[PULMO_SPLITS])
{
    const source_list *list = c->list;
    if (list->excluded)
        PULMO_TRY(lines_add(&c->plan->split_notes, "%zu file%s left out by pack.exclude_pattern",
                            list->excluded, pulmo_plural(list->excluded)));
    for (int s = PULMO_SPLIT_VAL; s <= PULMO_SPLIT_TEST; s++) {
        if (list->held[s])
            PULMO_TRY(note_held(c, s));
        else
            PULMO_TRY(judge_given(c, config, s, &fraction[s]));
    }
    return PULMO_OK;
}

/* New files of a set that is packed already go where it is, among the splits that pulmo makes. */
static void follow_old(splitter *c, const double fraction[PULMO_SPLITS])
{
    for (uint32_t f = 0; f < c->list->count; f++) {
        int split = update_split_of(c->old, f);
        if (split < 0)
            continue;
        bool is_made = split == PULMO_SPLIT_TRAIN || fraction[split] > 0;
        if (!is_made)
            continue;
        uint32_t root = join_find(c->together, f);
        c->set_size[root] = 0;
        if (split > c->goes[root])
            c->goes[root] = split;
    }
}

/* Counts the new files of train in their sets, which go to train unless they are taken. */
static void count_sets(splitter *c)
{
    for (uint32_t f = 0; f < c->list->count; f++) {
        c->goes[f] = PULMO_SPLIT_TRAIN;
        if (!is_new_in(c, f, PULMO_SPLIT_TRAIN))
            continue;
        uint32_t root = join_find(c->together, f);
        if (c->set_size[root] == 0)
            c->set_class[root] = c->plan->label[f];
        c->set_size[root]++;
    }
}

/* A split that was asked for and has nothing: scores on it, and epochs chosen by it, are none. */
static pulmo_status warn_of_empty(const splitter *c, int split, double fraction)
{
    const char *name = pulmo_split_name(split);
    for (uint32_t f = 0; f < c->list->count; f++)
        if (c->split[f] == split)
            return PULMO_OK;
    return lines_add(&c->plan->warnings,
                     "%s IS EMPTY: %g of train was to be split off, and the patients of each class "
                     "are too few. Ways out: a larger --%s-fraction, a folder %s/, or "
                     "pack.%s_pattern",
                     name, fraction, name, name, name);
}

/* A class that is in train and not in a split that was asked for. Sets of several classes bring
 * images of the others, so that this is known when all are split. */
static pulmo_status note_missing(const splitter *c, int split, int class)
{
    uint32_t images[PULMO_SPLITS] = {0};
    for (uint32_t f = 0; f < c->list->count; f++)
        if (c->plan->label[f] == class && c->split[f] >= 0)
            images[c->split[f]]++;
    if (images[split] > 0 || images[PULMO_SPLIT_TRAIN] == 0)
        return PULMO_OK;
    return lines_add(&c->plan->split_notes,
                     "%s: no image of class %s: its patients in train are too few to split",
                     pulmo_split_name(split), c->plan->class_names[class]);
}

static pulmo_status judge_made(const splitter *c, int split, double fraction)
{
    if (fraction <= 0)
        return PULMO_OK;
    for (int k = 0; k < c->plan->classes; k++)
        PULMO_TRY(note_missing(c, split, k));
    return warn_of_empty(c, split, fraction);
}

static pulmo_status split_train(splitter *c, const pulmo_config *config)
{
    double fraction[PULMO_SPLITS] = {0, config->pack.val_fraction, config->pack.test_fraction};
    PULMO_TRY(judge_splits(c, config, fraction));
    if (fraction[PULMO_SPLIT_VAL] <= 0 && fraction[PULMO_SPLIT_TEST] <= 0)
        return PULMO_OK;
    count_sets(c);
    follow_old(c, fraction);
    for (int k = 0; k < c->plan->classes; k++)
        split_class(c, k, fraction, (uint64_t)config->pack.seed);
    for (uint32_t f = 0; f < c->list->count; f++) {
        if (!is_new_in(c, f, PULMO_SPLIT_TRAIN))
            continue;
        uint32_t root = join_find(c->together, f);
        c->split[f] = c->goes[root];
    }
    for (int s = PULMO_SPLIT_VAL; s <= PULMO_SPLIT_TEST; s++)
        PULMO_TRY(judge_made(c, s, fraction[s]));
    return PULMO_OK;
}

/* ---- order ---- */

/* What is packed already keeps its place. */
static void take_old(const source_list *list, pack_plan *plan, const old_pack *old, int s)
{
    plan->count[s] = 0;
    if (!old)
        return;
    for (uint32_t f = 0; f < list->count; f++) {
        uint32_t place = old->place[f];
        if (update_split_of(old, f) == s)
            plan->order[s][place] = f;
    }
    plan->count[s] = old->split[s].cut.count;
}

/* The new files of a split and class, behind those that have their place. */
static void take_class(const source_list *list, pack_plan *plan, const old_pack *old,
                       const int *split, int s, int class)
{
    uint32_t at = plan->count[s];
    for (uint32_t f = 0; f < list->count; f++) {
        bool packed = update_split_of(old, f) >= 0;
        if (split[f] != s || plan->label[f] != class || packed)
            continue;
        plan->order[s][at] = f;
        at++;
    }
    plan->count[s] = at;
}

/* Every class has an image in train, unless the source is only to be tested on; some file can be
 * used. */
static pulmo_status check_counts(const source_list *list, const pack_plan *plan, const int *split)
{
    const uint32_t *count = plan->count;
    uint32_t in_train = count[PULMO_SPLIT_TRAIN];
    const uint32_t *train = plan->order[PULMO_SPLIT_TRAIN];
    for (int k = 0; k < plan->classes && in_train > 0; k++) {
        uint32_t images = 0;
        for (uint32_t i = 0; i < in_train; i++)
            images += plan->label[train[i]] == k;
        if (images == 0)
            return causes_fail(list, plan, split, k);
    }
    if (count[0] + count[1] + count[2] == 0)
        return pulmo_fail(PULMO_DATA, "%s: none of its %zu file%s can be used; the first: %s: %s",
                          list->root, list->count, pulmo_plural(list->count),
                          plan->refused_paths.text[0], plan->refused_reasons.text[0]);
    return PULMO_OK;
}

/* Within a split: by class, then in the list's order of paths. */
static pulmo_status set_order(const source_list *list, const old_pack *old, pack_plan *plan,
                              const int *split)
{
    for (int s = 0; s < PULMO_SPLITS; s++) {
        plan->order[s] = malloc((list->count + 1) * sizeof *plan->order[s]);
        if (!plan->order[s])
            return pulmo_fail(PULMO_MEMORY, "out of memory for the order");
        take_old(list, plan, old, s);
        for (int k = 0; k < plan->classes; k++)
            take_class(list, plan, old, split, s, k);
    }
    return check_counts(list, plan, split);
}

static uint32_t count_in(const splitter *c, int split)
{
    uint32_t images = 0;
    for (uint32_t f = 0; f < c->list->count; f++)
        images += c->split[f] == split;
    return images;
}

/* Of a source that has train. */
static pulmo_status judge_dropped(const splitter *c, const pulmo_config *config, uint32_t before)
{
    if (before == 0 || count_in(c, PULMO_SPLIT_TRAIN) > 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "%s: --drop-leaks leaves no image in train: the patients or pictures of all "
                      "%u stand in val or test as well. Ways out: %s; %s; --allow-leaks packs them "
                      "as they are",
                      c->list->root, before, ways_to_split(c->list, config),
                      ways_to_patients(c->list));
}

static pulmo_status split_and_audit(splitter *c, audit *a, const pulmo_config *config)
{
    c->together = a->together;
    PULMO_TRY(split_train(c, config));
    bool drop = config->pack.leaks == PULMO_LEAKS_DROP;
    const uint32_t before = count_in(c, PULMO_SPLIT_TRAIN);
    PULMO_TRY(audit_splits(a, c->split, drop));
    if (drop)
        PULMO_TRY(judge_dropped(c, config, before));
    PULMO_TRY(alike_patients(c->list, c->split, &c->plan->warnings));
    if (config->pack.folds > 0)
        PULMO_TRY(folds_make(c->list, c->old, c->together, c->split, config, c->plan));
    return set_order(c->list, c->old, c->plan, c->split);
}

/* Of a file, before anything is split: as packed, as given, -1 for a refused one. */
static int first_split(const part_store *store, uint32_t file)
{
    int packed = update_split_of(store->old, file);
    if (packed >= 0)
        return packed;
    if (!store->records[file].usable)
        return -1;
    return store->list->file[file].split;
}

/* Findings of the older pack that are not found again: only new files are compared with all. */
static pulmo_status add_old_lines(text_lines *lines, uint64_t count, char *const *old)
{
    size_t found = lines->count;
    for (uint64_t i = 0; i < count; i++) {
        bool again = false;
        for (size_t k = 0; k < found && !again; k++)
            again = strcmp(lines->text[k], old[i]) == 0;
        if (!again)
            PULMO_TRY(lines_add(lines, "%s", old[i]));
    }
    return PULMO_OK;
}

pulmo_status plan_make(const part_store *store, const near_pair *near, size_t near_count,
                       const pulmo_config *config, pack_plan *plan)
{
    const source_list *list = store->list;
    splitter c = {.list = list, .plan = plan, .old = store->old};
    audit a = {0};
    pulmo_status status = PULMO_OK;
    size_t count = list->count;
    c.split = malloc(count * sizeof *c.split);
    c.sets = malloc(count * sizeof *c.sets);
    c.set_size = calloc(count, sizeof *c.set_size);
    c.set_class = calloc(count, sizeof *c.set_class);
    c.goes = malloc(count * sizeof *c.goes);
    if (!c.split || !c.sets || !c.set_size || !c.set_class || !c.goes)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for the plan"));
    PULMO_GOTO(sort_out(store, plan));
    PULMO_GOTO(name_rules(list, plan));
    for (size_t i = 0; i < list->count; i++)
        c.split[i] = first_split(store, (uint32_t)i);
    PULMO_GOTO(audit_make(store, near, near_count, plan, &a));
    PULMO_GOTO(split_and_audit(&c, &a, config));
    if (c.old) {
        PULMO_GOTO(add_old_lines(&plan->similar, c.old->similar_count, c.old->similar));
        PULMO_GOTO(add_old_lines(&plan->leaks, c.old->leak_count, c.old->leaks));
    }
out:
    audit_free(&a);
    free(c.split);
    free(c.sets);
    free(c.set_size);
    free(c.set_class);
    free(c.goes);
    return status;
}

void pack_plan_free(pack_plan *plan)
{
    for (int s = 0; s < PULMO_SPLITS; s++)
        free(plan->order[s]);
    free(plan->class_names);
    free(plan->label);
    lines_free(&plan->refused_paths);
    lines_free(&plan->refused_reasons);
    lines_free(&plan->identical);
    lines_free(&plan->similar);
    lines_free(&plan->shared_patients);
    lines_free(&plan->mixed_patients);
    free(plan->patients_by);
    free(plan->fold);
    lines_free(&plan->leaks);
    lines_free(&plan->split_notes);
    lines_free(&plan->warnings);
    memset(plan, 0, sizeof *plan);
}
