/* The folders of a source: listed, and judged by their names before files are looked at. */
#include "folders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"

#define NESTED_MOST 4 /* folders that are searched for a data set within one another */

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}
static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "__MACOSX") != 0;
}

char *folder_path(const char *path, const char *name)
{
    const char *between = *path && *name ? "/" : "";
    return pulmo_format("%s%s%s", path, between, name);
}

pulmo_status folder_list(const char *root, const char *path, struct dirent ***entries, int *count)
{
    char *full = folder_path(root, path);
    if (!full)
        return PULMO_MEMORY;
    *count = scandir(full, entries, is_visible, by_bytes);
    pulmo_status status = PULMO_OK;
    if (*count < 0)
        status = pulmo_fail(PULMO_IO, "%s: cannot list the directory: %s", full, strerror(errno));
    free(full);
    return status;
}

void folder_list_free(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

pulmo_status folder_look(const char *root, const char *path, struct stat *about, int *own_fault)
{
    char *full = pulmo_format("%s/%s", root, path);
    if (!full)
        return PULMO_MEMORY;
    *own_fault = 0;
    int reason = stat(full, about) == 0 ? 0 : errno;
    pulmo_status status = PULMO_OK;
    if (reason == ENOENT || reason == ELOOP || reason == ENOTDIR)
        *own_fault = reason;
    else if (reason != 0)
        status = pulmo_fail(PULMO_IO,
                            "%s: cannot be looked at: %s; run the same command again when it can",
                            full, strerror(reason));
    free(full);
    return status;
}

pulmo_status folder_find(const char *root, const char *path, bool *folder)
{
    struct stat about;
    int fault = 0;
    PULMO_TRY(folder_look(root, path, &about, &fault));
    *folder = fault == 0 && S_ISDIR(about.st_mode);
    return PULMO_OK;
}

/* ---- judging ---- */

/* A name that people give to splits. */
static bool is_split_like(const char *name)
{
    return pulmo_split_of_word(name) >= 0;
}

/* A folder beside the splits that is taken for one, or would be taken for a class. */
static pulmo_status judge_folder(source_list *list, const char *name)
{
    bool folder = false;
    if (pulmo_split_find(name) >= 0)
        return PULMO_OK;
    PULMO_TRY(folder_find(list->root, name, &folder));
    if (!folder)
        return PULMO_OK;
    if (is_split_like(name))
        return pulmo_fail(
            PULMO_DATA, "%s/%s: looks like a split, which are named train, val and test; rename it",
            list->root, name);
    if (!list->has_splits)
        return PULMO_OK;
    return lines_add(&list->notes, "%s/%s: stands beside train, val or test and is left out",
                     list->root, name);
}

pulmo_status folders_judge(source_list *list)
{
    struct dirent **entries = NULL;
    int count = 0;
    PULMO_TRY(folder_list(list->root, "", &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++)
        status = judge_folder(list, entries[i]->d_name);
    folder_list_free(entries, count);
    return status;
}

/* What a folder holds. */
typedef struct contents {
    int folders, files, splits; /* splits: folders named like splits */
    char *first;                /* path of the first folder; owned */
} contents;

static pulmo_status look_into(const char *root, const char *path, contents *out)
{
    struct dirent **entries = NULL;
    int count = 0;
    memset(out, 0, sizeof *out);
    PULMO_TRY(folder_list(root, path, &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++) {
        const char *name = entries[i]->d_name;
        bool folder = false;
        char *child = folder_path(path, name);
        status = child ? folder_find(root, child, &folder) : PULMO_MEMORY;
        out->folders += folder;
        out->files += !folder;
        out->splits += folder && is_split_like(name);
        if (folder && !out->first)
            out->first = child;
        else
            free(child);
    }
    folder_list_free(entries, count);
    return status;
}

/* Whether train/ or the like stands in a folder. Only such names are looked at: a class folder may
 * hold very many others. */
static pulmo_status holds_splits(const char *root, const char *path, bool *holds)
{
    struct dirent **entries = NULL;
    int count = 0;
    *holds = false;
    PULMO_TRY(folder_list(root, path, &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK && !*holds; i++) {
        if (!is_split_like(entries[i]->d_name))
            continue;
        char *child = pulmo_format("%s/%s", path, entries[i]->d_name);
        status = child ? folder_find(root, child, holds) : PULMO_MEMORY;
        free(child);
    }
    folder_list_free(entries, count);
    return status;
}

/* Folders that would become classes and are data sets, by the splits that they hold. */
static pulmo_status find_sets(const source_list *list, text_lines *sets)
{
    struct dirent **entries = NULL;
    int count = 0;
    PULMO_TRY(folder_list(list->root, "", &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++) {
        const char *name = entries[i]->d_name;
        bool holds = false;
        status = folder_find(list->root, name, &holds);
        if (status == PULMO_OK && holds)
            status = holds_splits(list->root, name, &holds);
        if (status == PULMO_OK && holds)
            status = lines_add(sets, "%s/%s", list->root, name);
    }
    folder_list_free(entries, count);
    return status;
}

/* Goes down while there is one folder and nothing beside it; *path is the first that holds more.
 * Owned by the caller. */
static pulmo_status descend(const char *root, contents *inside, char **path)
{
    pulmo_status status = look_into(root, "", inside);
    for (int depth = 0; depth < NESTED_MOST && status == PULMO_OK; depth++) {
        if (inside->folders != 1 || inside->splits > 0)
            break;
        free(*path);
        *path = inside->first;
        status = look_into(root, *path, inside);
    }
    return status;
}

/* One folder only, which holds the class folders or the splits: the source is one level up. */
static pulmo_status judge_single(const source_list *list)
{
    contents inside = {0};
    char *path = NULL;
    pulmo_status status = descend(list->root, &inside, &path);
    if (status == PULMO_OK && path && (inside.folders > 1 || inside.splits > 0))
        status = pulmo_fail(PULMO_DATA,
                            "%s: holds one folder only; the data set looks like %s/%s, which holds "
                            "%d: pack that one",
                            list->root, list->root, path, inside.folders);
    free(inside.first);
    free(path);
    return status;
}

pulmo_status folders_judge_nesting(const source_list *list)
{
    text_lines sets = {0};
    char *names = NULL;
    PULMO_TRY(judge_single(list));
    pulmo_status status = find_sets(list, &sets);
    if (status == PULMO_OK && sets.count > 0)
        status = lines_join(&sets, " or ", &names);
    if (status == PULMO_OK && sets.count > 0)
        status =
            pulmo_fail(PULMO_DATA,
                       "%s: looks like a folder of data sets, not of classes: its folders hold "
                       "train, val or test. Pack one of them: %s",
                       list->root, names);
    free(names);
    lines_free(&sets);
    return status;
}
