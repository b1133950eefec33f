/* The folders of a source: listed, and judged by their names before files are looked at. */
#include "folders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pulmo/memory.h"

#define NESTED_MOST 4 /* folders that are searched for a data set within one another */

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}
bool folder_is_hidden(const struct dirent *entry)
{
    return entry->d_name[0] == '.' || strcmp(entry->d_name, "__MACOSX") == 0;
}

static int is_visible(const struct dirent *entry)
{
    return !folder_is_hidden(entry);
}

/* Not the directory itself and the one above it. */
static int is_inside(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

char *folder_path(const char *path, const char *name)
{
    const char *between = *path && *name ? "/" : "";
    return pulmo_format("%s%s%s", path, between, name);
}

static pulmo_status list_folder(const char *root, const char *path,
                                int (*is_listed)(const struct dirent *entry),
                                struct dirent ***entries, int *count)
{
    char *full = folder_path(root, path);
    if (!full)
        return PULMO_MEMORY;
    *count = scandir(full, entries, is_listed, by_bytes);
    pulmo_status status = PULMO_OK;
    if (*count < 0)
        status = pulmo_fail(errno == ENOMEM ? PULMO_MEMORY : PULMO_IO,
                            "%s: cannot list the directory: %s", full, strerror(errno));
    free(full);
    return status;
}

pulmo_status folder_list(const char *root, const char *path, struct dirent ***entries, int *count)
{
    return list_folder(root, path, is_visible, entries, count);
}

pulmo_status folder_list_all(const char *root, const char *path, struct dirent ***entries,
                             int *count)
{
    return list_folder(root, path, is_inside, entries, count);
}

void folder_list_free(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

static bool is_named(const struct dirent *entry, const char *one, const char *several)
{
    return strcasecmp(entry->d_name, one) == 0 || strcasecmp(entry->d_name, several) == 0;
}

bool folder_is_of_masks(struct dirent *const *entries, int count, int i)
{
    bool beside_images = false;
    if (!is_named(entries[i], "mask", "masks"))
        return false;
    for (int k = 0; k < count && !beside_images; k++)
        beside_images = is_named(entries[k], "image", "images");
    return beside_images;
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

/* The first of train/ or the like in a folder, as a path of the source; NULL for none. Owned by the
 * caller. Only such names are looked at: a class folder may hold very many others. */
static pulmo_status find_split(const char *root, const char *path, char **out)
{
    struct dirent **entries = NULL;
    int count = 0;
    *out = NULL;
    PULMO_TRY(folder_list(root, path, &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK && !*out; i++) {
        bool folder = false;
        if (!is_split_like(entries[i]->d_name))
            continue;
        char *child = folder_path(path, entries[i]->d_name);
        status = child ? folder_find(root, child, &folder) : PULMO_MEMORY;
        if (folder)
            *out = child;
        else
            free(child);
    }
    folder_list_free(entries, count);
    return status;
}

/* Folders that would become classes and hold splits. */
typedef struct split_holders {
    text_lines names;
    size_t flat;      /* of them, those whose splits hold files alone: classes after all */
    char *first_flat; /* path of the first such split; owned */
} split_holders;

static pulmo_status judge_holder(const source_list *list, const char *name, split_holders *out)
{
    bool folder = false;
    char *split = NULL;
    contents inside = {0};
    PULMO_TRY(folder_find(list->root, name, &folder));
    if (folder)
        PULMO_TRY(find_split(list->root, name, &split));
    if (!split)
        return PULMO_OK;
    pulmo_status status = look_into(list->root, split, &inside);
    bool is_flat = inside.folders == 0 && inside.files > 0;
    free(inside.first);
    out->flat += is_flat;
    if (is_flat && !out->first_flat)
        out->first_flat = split;
    else
        free(split);
    return status == PULMO_OK ? lines_add(&out->names, "%s/%s", list->root, name) : status;
}

static pulmo_status find_holders(const source_list *list, split_holders *out)
{
    struct dirent **entries = NULL;
    int count = 0;
    PULMO_TRY(folder_list(list->root, "", &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++)
        status = judge_holder(list, entries[i]->d_name, out);
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

/* CLASS/train rather than train/CLASS. */
static pulmo_status fail_flat(const source_list *list, const char *path)
{
    const char *slash = strchr(path, '/');
    int class_bytes = (int)(slash - path);
    int split = pulmo_split_of_word(slash + 1);
    const char *name = pulmo_split_name(split);
    return pulmo_fail(PULMO_DATA,
                      "%s: its class folders hold train, val or test; a source is "
                      "train|val|test/CLASS: turn them round, as in mkdir -p %s && mv %s "
                      "%s/%.*s",
                      list->root, name, path, name, class_bytes, path);
}

static pulmo_status judge_holders(const source_list *list, const split_holders *holders)
{
    char *names = NULL;
    if (holders->names.count == 0)
        return PULMO_OK;
    if (holders->flat == holders->names.count)
        return fail_flat(list, holders->first_flat);
    PULMO_TRY(lines_join(&holders->names, " or ", &names));
    pulmo_status status =
        pulmo_fail(PULMO_DATA,
                   "%s: looks like a folder of data sets, not of classes: its folders hold "
                   "train, val or test. Pack one of them: %s",
                   list->root, names);
    free(names);
    return status;
}

pulmo_status folders_judge_nesting(const source_list *list)
{
    split_holders holders = {0};
    if (!list->tests) /* of a test split one class is enough */
        PULMO_TRY(judge_single(list));
    pulmo_status status = find_holders(list, &holders);
    if (status == PULMO_OK)
        status = judge_holders(list, &holders);
    free(holders.first_flat);
    lines_free(&holders.names);
    return status;
}
