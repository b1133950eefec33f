/* What paths and tables say of files that are packed, against what they said then. */
#include <string.h>

#include "update.h"

static bool is_other(const char *now, const char *before)
{
    return strcmp(now, before) != 0;
}

/* Packs that do not say what was given are believed: pulmo may have made their splits. */
static pulmo_status check_split(const source_file *file, const old_split *split, uint32_t place,
                                text_lines *changed)
{
    if (!split->given || split->given[place] == file->split)
        return PULMO_OK;
    return lines_add(changed, "%s: is given as %s, was given as %s when it was packed", file->path,
                     pulmo_split_name(file->split), pulmo_split_name(split->given[place]));
}

/* The packed column of that name; NULL where there is none, which is a matter of options. */
static char **find_kept(const old_split *split, const char *name)
{
    for (size_t k = 0; k < split->kept_count; k++)
        if (strcmp(split->kept_names[k], name) == 0)
            return split->kept[k];
    return NULL;
}

/* Values of headers are as they were where the file is. */
static pulmo_status check_kept(const old_pack *old, const source_file *file, const old_split *split,
                               uint32_t place, text_lines *changed)
{
    const pulmo_labels *labels = old->list->labels;
    if (!labels || !file->kept)
        return PULMO_OK;
    const pulmo_label_lines names = pulmo_labels_kept(labels);
    for (size_t k = 0; k < names.count; k++) {
        char **before = find_kept(split, names.text[k]);
        bool is_of_header = pulmo_labels_header(labels, k) >= 0;
        if (!before || is_of_header || !is_other(file->kept[k], before[place]))
            continue;
        return lines_add(changed, "%s: has %s \"%s\", was packed with \"%s\"", file->path,
                         names.text[k], file->kept[k], before[place]);
    }
    return PULMO_OK;
}

/* A header is as it was where the file is. */
static bool is_of_other_patient(const old_pack *old, const source_file *file, const char *group)
{
    if (source_file_is_of_group(file, group))
        return false;
    return !source_file_is_open(old->list, file);
}

pulmo_status update_check_meaning(const old_pack *old, uint32_t i, text_lines *changed)
{
    const source_file *file = &old->list->file[i];
    const old_split *split = &old->split[old->split_of[i]];
    const uint32_t place = old->place[i];
    const size_t known = changed->count;
    const char *class = old->class_names[split->labels[place]];
    const char *group = split->groups[place];
    if (is_other(class, file->label))
        return lines_add(changed, "%s: is of class %s, was packed as %s", file->path, file->label,
                         class);
    if (is_of_other_patient(old, file, group))
        return lines_add(changed, "%s: is of patient %s, was packed as %s", file->path, file->group,
                         group);
    PULMO_TRY(check_split(file, split, place, changed));
    if (changed->count > known)
        return PULMO_OK;
    return check_kept(old, file, split, place, changed);
}
