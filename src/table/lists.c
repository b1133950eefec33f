/* Lists of names that say which files are a split. */
#include <stdlib.h>

#include "match.h"

#include "pulmo/text.h"

typedef struct list_visit {
    matcher *m;
    int split;
    int *listed;  /* (count): the split whose list names the file, or -1 */
    size_t *line; /* (count): where */
    size_t missing;
} list_visit;

static pulmo_status fail_listed_twice(const list_visit *v, cell_place here, uint32_t file)
{
    const matcher *m = v->m;
    const table *other = &m->labels->list[v->listed[file]];
    return pulmo_fail(PULMO_DATA, "%s:%zu and %s:%zu: both list %s; a file is in one split",
                      other->path, v->line[file], here.path, here.line, m->paths[file]);
}

static pulmo_status visit_name(void *context, size_t index, const tail_match *match)
{
    list_visit *v = context;
    const matcher *m = v->m;
    const table *list = &m->labels->list[v->split];
    const cell_place here = {list->path, list->line[index]};
    if (match->file == TAIL_AMBIGUOUS)
        return match_fail_ambiguous(m, here, table_cell(list, index, 0), match);
    if (match->file == TAIL_NONE) {
        v->missing++;
        return PULMO_OK;
    }
    int before = v->listed[match->file];
    if (before >= 0 && before != v->split)
        return fail_listed_twice(v, here, match->file);
    v->listed[match->file] = v->split;
    v->line[match->file] = here.line;
    return PULMO_OK;
}

static pulmo_status fail_unlisted(const list_visit *v)
{
    const matcher *m = v->m;
    const table *list = &m->labels->list[v->split];
    const char *first_file = m->count > 0 ? m->paths[0] : "none";
    return pulmo_fail(PULMO_DATA,
                      "pack.%s_list: %s: none of its %zu name%s is of any of the %zu file%s; the "
                      "first name: %s; the first file: %s",
                      pulmo_split_name(v->split), list->path, list->rows, pulmo_plural(list->rows),
                      m->count, pulmo_plural(m->count), table_cell(list, 0, 0), first_file);
}

static pulmo_status match_list(list_visit *v)
{
    pulmo_labels *labels = v->m->labels;
    const table *list = &labels->list[v->split];
    const char **names = malloc((list->rows + 1) * sizeof *names);
    if (!names)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", list->path);
    for (size_t i = 0; i < list->rows; i++)
        names[i] = table_cell(list, i, 0);
    v->missing = 0;
    pulmo_status status = match_names(v->m, names, list->rows, visit_name, v);
    free(names);
    if (status != PULMO_OK || v->missing == 0)
        return status;
    if (v->missing == list->rows)
        return fail_unlisted(v);
    return labels_note(labels, "names in %s without a file: %zu of %zu", list->path, v->missing,
                       list->rows);
}

/* With a list of train, what no list names is of no split. */
static void give_splits(const matcher *m, const int *listed)
{
    bool all_are_listed = m->labels->has_list[PULMO_SPLIT_TRAIN];
    for (size_t f = 0; f < m->count; f++) {
        pulmo_file_label *file = &m->out[f];
        if (listed[f] >= 0)
            file->split = listed[f];
        else if (all_are_listed && file->fate == PULMO_LABEL_TAKEN)
            file->fate = PULMO_LABEL_NO_LIST;
    }
}

pulmo_status match_lists(matcher *m)
{
    list_visit v = {.m = m};
    bool any = false;
    for (int s = 0; s < PULMO_SPLITS; s++)
        any = any || m->labels->has_list[s];
    if (!any)
        return PULMO_OK;
    const size_t room = m->count + 1;
    v.listed = malloc(room * sizeof *v.listed);
    v.line = malloc(room * sizeof *v.line);
    pulmo_status status = PULMO_OK;
    if (!v.listed || !v.line)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for lists of splits");
    for (size_t f = 0; f < m->count && status == PULMO_OK; f++)
        v.listed[f] = -1;
    for (v.split = 0; v.split < PULMO_SPLITS && status == PULMO_OK; v.split++) {
        if (m->labels->has_list[v.split])
            status = match_list(&v);
    }
    if (status == PULMO_OK)
        give_splits(m, v.listed);
    free(v.listed);
    free(v.line);
    return status;
}
