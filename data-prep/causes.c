/* Why a class has no image in train: where its files went, with counts. */
#include "causes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAUSES_MOST 5 /* reasons that are told apart */

/* Files that one reason refuses. */
typedef struct cause {
    const char *reason, *first; /* the first file's path */
    size_t files;
} cause;

typedef struct whereabouts {
    size_t files, left_out, others; /* others: refused by more reasons */
    size_t in[PULMO_SPLITS];
    cause refused[CAUSES_MOST];
    size_t causes;
} whereabouts;

static void count_refusal(whereabouts *w, const char *path, const char *reason)
{
    for (size_t i = 0; i < w->causes; i++) {
        cause *known = &w->refused[i];
        if (strcmp(known->reason, reason) != 0)
            continue;
        known->files++;
        return;
    }
    if (w->causes == CAUSES_MOST) {
        w->others++;
        return;
    }
    w->refused[w->causes] = (cause){reason, path, 1};
    w->causes++;
}

static void find_files(const source_list *list, const pack_plan *plan, const int *split, int class,
                       whereabouts *w)
{
    size_t refused = 0; /* they stand in the order of the list */
    for (size_t i = 0; i < list->count; i++) {
        const source_file *file = &list->file[i];
        bool usable = plan->label[i] >= 0;
        size_t place = refused;
        refused += !usable;
        if (strcmp(file->label, plan->class_names[class]) != 0)
            continue;
        w->files++;
        if (!usable)
            count_refusal(w, file->path, plan->refused_reasons.text[place]);
        else if (split[i] < 0)
            w->left_out++;
        else
            w->in[split[i]]++;
    }
}

static pulmo_status put_into_words(const whereabouts *w, text_lines *out)
{
    for (size_t i = 0; i < w->causes; i++) {
        const cause *c = &w->refused[i];
        PULMO_TRY(lines_add(out, "%zu refused: %s (the first: %s)", c->files, c->reason, c->first));
    }
    if (w->others > 0)
        PULMO_TRY(lines_add(out, "%zu refused for other reasons", w->others));
    for (int s = PULMO_SPLIT_VAL; s <= PULMO_SPLIT_TEST; s++)
        if (w->in[s] > 0)
            PULMO_TRY(lines_add(out, "%zu in %s", w->in[s], pulmo_split_name(s)));
    if (w->left_out > 0)
        return lines_add(out, "%zu left out, as leaks between splits", w->left_out);
    return PULMO_OK;
}

pulmo_status causes_fail(const source_list *list, const pack_plan *plan, const int *split,
                         int class)
{
    whereabouts w = {0};
    text_lines lines = {0};
    char *words = NULL;
    find_files(list, plan, split, class, &w);
    pulmo_status status = put_into_words(&w, &lines);
    if (status == PULMO_OK)
        status = lines_join(&lines, "; ", &words);
    if (status == PULMO_OK)
        status = pulmo_fail(PULMO_DATA,
                            "%s: class %s has no usable image in train; every class needs some. "
                            "Files of the class: %zu: %s",
                            list->root, plan->class_names[class], w.files, words);
    lines_free(&lines);
    free(words);
    return status;
}
