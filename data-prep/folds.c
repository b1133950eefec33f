/* Folds: sets of a class are dealt out, the largest first, to the fold that has least of the class.
 */
#include "folds.h"

#include <stdlib.h>

#include "audit.h"

#include "pulmo/rng.h"
#include "pulmo/text.h"

#define FOLDS_MOST 20 /* of the schema */

/* A set of files that belong together, by the class of its first one in train. */
typedef struct fold_set {
    uint32_t root, files;
    int32_t class;
    uint32_t turn; /* drawn: the order among sets of one size */
    int fold;      /* 1 more than that of a file which is packed already; 0: to be dealt */
} fold_set;

typedef struct dealer {
    const source_list *list;
    const old_pack *old;
    uint32_t *together;
    const int *split;
    pack_plan *plan;
    fold_set *set; /* (list count) by root, then in dealing order */
    uint32_t sets;
    int32_t *fold_of_root; /* (list count) */
    uint32_t images[FOLDS_MOST];
} dealer;

static int by_dealing(const void *a, const void *b)
{
    const fold_set *x = a;
    const fold_set *y = b;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    bool has_fold = x->fold != 0;
    bool other_has_fold = y->fold != 0;
    if (has_fold != other_has_fold)
        return has_fold ? -1 : 1;
    if (x->files != y->files)
        return x->files > y->files ? -1 : 1;
    return (x->turn > y->turn) - (x->turn < y->turn);
}

/* The files in train, counted in the sets of their roots. */
static void count_files(dealer *d)
{
    for (uint32_t f = 0; f < d->list->count; f++) {
        if (d->split[f] != PULMO_SPLIT_TRAIN)
            continue;
        uint32_t root = join_find(d->together, f);
        fold_set *set = &d->set[root];
        if (set->files == 0)
            set->class = d->plan->label[f];
        set->files++;
        int fold = update_fold_of(d->old, f);
        if (fold >= 0)
            set->fold = fold + 1;
    }
}

/* The sets that have files in train, in dealing order. */
static void gather_sets(dealer *d, uint64_t seed)
{
    pulmo_rng rng;
    uint32_t kept = 0;
    count_files(d);
    pulmo_rng_at(&rng, seed, PULMO_RNG_SPLIT, 0, 1);
    for (uint32_t root = 0; root < d->list->count; root++) {
        fold_set set = d->set[root];
        if (set.files == 0)
            continue;
        set.root = root;
        set.turn = pulmo_rng_below(&rng, UINT32_MAX);
        d->set[kept] = set;
        kept++;
    }
    d->sets = kept;
    qsort(d->set, kept, sizeof *d->set, by_dealing);
}

/* The fold with least of the class, and of those the one with least in all. */
static int choose_fold(const dealer *d, const uint32_t *of_class)
{
    int best = 0;
    for (int k = 1; k < d->plan->folds; k++) {
        bool less = of_class[k] < of_class[best];
        bool equal = of_class[k] == of_class[best];
        bool less_in_all = d->images[k] < d->images[best];
        if (less || (equal && less_in_all))
            best = k;
    }
    return best;
}

/* Deals the sets of one class, from `first` on; returns the first set of the next class. */
static uint32_t deal_class(dealer *d, uint32_t first, uint32_t of_class[FOLDS_MOST])
{
    int32_t class = d->set[first].class;
    uint32_t i = first;
    for (int k = 0; k < d->plan->folds; k++)
        of_class[k] = 0;
    for (; i < d->sets && d->set[i].class == class; i++) {
        const fold_set *set = &d->set[i];
        int fold = set->fold - 1;
        if (fold < 0)
            fold = choose_fold(d, of_class);
        of_class[fold] += set->files;
        d->images[fold] += set->files;
        d->fold_of_root[set->root] = fold;
    }
    return i;
}

static pulmo_status warn_of_empty(const dealer *d, const char *class, uint32_t patients,
                                  const uint32_t of_class[FOLDS_MOST])
{
    for (int k = 0; k < d->plan->folds; k++) {
        if (of_class[k] > 0)
            continue;
        PULMO_TRY(lines_add(&d->plan->warnings,
                            "fold %d: no image of class %s: it has %u patient%s in train", k, class,
                            patients, pulmo_plural(patients)));
    }
    return PULMO_OK;
}

static pulmo_status deal(dealer *d)
{
    uint32_t of_class[FOLDS_MOST] = {0};
    uint32_t first = 0;
    while (first < d->sets) {
        int32_t class = d->set[first].class;
        uint32_t next = deal_class(d, first, of_class);
        PULMO_TRY(warn_of_empty(d, d->plan->class_names[class], next - first, of_class));
        first = next;
    }
    return PULMO_OK;
}

static pulmo_status note_folds(const dealer *d)
{
    const pack_plan *plan = d->plan;
    uint32_t least = d->images[0];
    uint32_t most = d->images[0];
    for (int k = 1; k < plan->folds; k++) {
        uint32_t images = d->images[k];
        if (images < least)
            least = images;
        if (images > most)
            most = images;
    }
    const char *manner = plan->unknown > 0 ? "picture" : "patient";
    return lines_add(&d->plan->split_notes,
                     "train in %d folds of %u to %u image%s, by %s and class", plan->folds, least,
                     most, pulmo_plural(most), manner);
}

pulmo_status folds_make(const source_list *list, const old_pack *old, uint32_t *together,
                        const int *split, const pulmo_config *config, pack_plan *plan)
{
    dealer d = {.list = list, .old = old, .together = together, .split = split, .plan = plan};
    pulmo_status status = PULMO_OK;
    size_t room = list->count + 1;
    plan->folds = (int)config->pack.folds;
    plan->fold = malloc(room * sizeof *plan->fold);
    d.set = calloc(room, sizeof *d.set);
    d.fold_of_root = malloc(room * sizeof *d.fold_of_root);
    if (!plan->fold || !d.set || !d.fold_of_root)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for folds"));
    gather_sets(&d, (uint64_t)config->pack.seed);
    PULMO_GOTO(deal(&d));
    for (uint32_t f = 0; f < list->count; f++) {
        plan->fold[f] = -1;
        if (split[f] == PULMO_SPLIT_TRAIN)
            plan->fold[f] = d.fold_of_root[join_find(together, f)];
    }
    PULMO_GOTO(note_folds(&d));
out:
    free(d.set);
    free(d.fold_of_root);
    return status;
}
