/* Names that are probably one: spreadsheets and hands write one name in several ways. */
#include "alike.h"

#include <stdlib.h>
#include <string.h>

#include "names.h"

#include "pulmo/memory.h"
#include "pulmo/text.h"

#define HOW "differ only by case, blanks around them, a no-break space or \".0\""

typedef struct seen_name {
    const char *name; /* borrowed */
    const char *told; /* what a header gives as folded, or NULL; borrowed */
    char *folded;     /* equal for names that are alike; owned */
    unsigned splits;  /* one bit each */
} seen_name;

typedef struct seen_names {
    seen_name *seen;
    size_t count;
} seen_names;

/* Names that are like another one. */
typedef struct alike_names {
    size_t names;
    size_t torn; /* sets of them that would be in several splits, were they one name */
    const char *one, *other;
} alike_names;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const seen_name *)a)->name, ((const seen_name *)b)->name);
}

static int by_folded(const void *a, const void *b)
{
    const seen_name *x = a;
    const seen_name *y = b;
    int order = strcmp(x->folded, y->folded);
    return order ? order : strcmp(x->name, y->name);
}

static void free_names(seen_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->seen[i].folded);
    free(names->seen);
}

/* Each name once. */
static void merge_equal(seen_names *names)
{
    size_t kept = 0;
    seen_name *seen = names->seen;
    qsort(seen, names->count, sizeof *seen, by_name);
    for (size_t i = 0; i < names->count; i++) {
        if (kept > 0 && strcmp(seen[kept - 1].name, seen[i].name) == 0) {
            seen[kept - 1].splits |= seen[i].splits;
            if (!seen[kept - 1].told)
                seen[kept - 1].told = seen[i].told;
            continue;
        }
        seen[kept] = seen[i];
        kept++;
    }
    names->count = kept;
}

/* A pseudonym says nothing: it is the name that is compared, by the pseudonym of what it has in
 * common with others, as headers tell it. An unknown name is like its own pseudonym alone. */
static pulmo_status fold_hidden(const source_list *list, seen_name *seen)
{
    char hidden[PULMO_PSEUDONYM];
    const char *given = pulmo_pseudonyms_find(list->names, seen->name);
    const char *folded = seen->told ? seen->told : seen->name;
    if (!seen->told && given) {
        PULMO_TRY(names_fold_patient(list, given, hidden));
        folded = hidden;
    }
    seen->folded = pulmo_strdup(folded);
    return seen->folded ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status fold_plain(seen_name *seen)
{
    seen->folded = pulmo_text_fold(seen->name);
    return seen->folded ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status fold_all(seen_names *names, const source_list *list)
{
    for (size_t i = 0; i < names->count; i++) {
        seen_name *seen = &names->seen[i];
        const bool is_hidden = list && list->names;
        pulmo_status status = is_hidden ? fold_hidden(list, seen) : fold_plain(seen);
        if (status != PULMO_OK)
            return pulmo_fail(status, "out of memory for names");
    }
    qsort(names->seen, names->count, sizeof *names->seen, by_folded);
    return PULMO_OK;
}

static void count_set(const seen_name *set, size_t count, alike_names *out)
{
    unsigned splits = 0;
    if (count < 2)
        return;
    for (size_t i = 0; i < count; i++)
        splits |= set[i].splits;
    const bool is_torn = (splits & (splits - 1)) != 0;
    if (out->names == 0) {
        out->one = set[0].name;
        out->other = set[1].name;
    }
    out->names += count;
    out->torn += is_torn;
}

static alike_names count_alike(const seen_names *names)
{
    alike_names found = {0};
    const seen_name *seen = names->seen;
    size_t first = 0;
    for (size_t i = 1; i <= names->count; i++) {
        if (i < names->count && strcmp(seen[first].folded, seen[i].folded) == 0)
            continue;
        count_set(seen + first, i - first, &found);
        first = i;
    }
    return found;
}

/* Without a list names are as they are. */
static pulmo_status find_alike(seen_names *names, const source_list *list, alike_names *out)
{
    merge_equal(names);
    PULMO_TRY(fold_all(names, list));
    *out = count_alike(names);
    return PULMO_OK;
}

static pulmo_status make_room(seen_names *names, size_t room)
{
    names->seen = calloc(room + 1, sizeof *names->seen);
    if (names->seen)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for %zu names", room);
}

pulmo_status alike_classes(const pack_plan *plan, text_lines *out)
{
    seen_names names = {0};
    alike_names found = {0};
    PULMO_TRY(make_room(&names, (size_t)plan->classes));
    for (int k = 0; k < plan->classes; k++)
        names.seen[k].name = plan->class_names[k];
    names.count = (size_t)plan->classes;
    pulmo_status status = find_alike(&names, NULL, &found);
    if (status == PULMO_OK && found.names > 0)
        status = lines_add(out,
                           "CLASSES ALIKE: \"%s\" and \"%s\" " HOW
                           ", and are classes of their own; %zu names are so in all. Where they "
                           "are one, write them alike, or give both one name by pack.label_map",
                           found.one, found.other, found.names);
    free_names(&names);
    return status;
}

static pulmo_status describe_patients(const alike_names *found, text_lines *out)
{
    char torn[128] = "";
    if (found->names == 0)
        return PULMO_OK;
    if (found->torn > 0)
        snprintf(torn, sizeof torn,
                 "; %zu patient%s would then stand in several splits, and scores be too good",
                 found->torn, pulmo_plural(found->torn));
    return lines_add(out,
                     "PATIENTS ALIKE: \"%s\" and \"%s\" " HOW
                     ", and count as two patients; %zu names are so in all. They may be one%s. "
                     "Where they are, write them alike and pack anew",
                     found->one, found->other, found->names, torn);
}

pulmo_status alike_patients(const source_list *list, const int *split, text_lines *out)
{
    seen_names names = {0};
    alike_names found = {0};
    PULMO_TRY(make_room(&names, list->count));
    for (size_t i = 0; i < list->count; i++) {
        const source_file *file = &list->file[i];
        if (split[i] < 0 || file->sure_bytes == 0)
            continue;
        names.seen[names.count] =
            (seen_name){.name = file->group, .told = file->folded, .splits = 1u << split[i]};
        names.count++;
    }
    pulmo_status status = find_alike(&names, list, &found);
    if (status == PULMO_OK)
        status = describe_patients(&found, out);
    free_names(&names);
    return status;
}
