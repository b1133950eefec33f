/* The files of a source, listed in name order. */
#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "pulmo/memory.h"
#include "pulmo/text.h"

#define DEPTH_MAX 16

typedef struct pattern {
    regex_t regex;
    bool there;
} pattern;

typedef struct patterns {
    pattern group, label, exclude, hold[PULMO_SPLITS];
} patterns;

/* ---- names ---- */

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

int group_of_name(const char *name, char *out, size_t out_bytes)
{
    const char *dot = strrchr(name, '.');
    size_t length = dot ? (size_t)(dot - name) : strlen(name), sure = 0;
    const char *study = strncmp(name, "IM-", 3) == 0 ? name : strstr(name, "-IM-");
    if (strncmp(name, "person", 6) == 0 && digits(name + 6) > 0 &&
        name[6 + digits(name + 6)] == '_') {
        length = 6 + digits(name + 6);
        sure = length + 1 + strcspn(name + length + 1, "_."); /* with the kind */
    } else if (study) {
        const char *number = study + (study == name ? 3 : 4);
        if (digits(number) > 0)
            sure = length = (size_t)(number - name) + digits(number);
    }
    snprintf(out, out_bytes, "%.*s", (int)length, name);
    return (int)sure;
}

static pulmo_status compile(const char *key, const char *text, bool wants_group, pattern *out)
{
    char words[160];
    if (!*text)
        return PULMO_OK;
    int code = regcomp(&out->regex, text, REG_EXTENDED);
    if (code != 0) {
        regerror(code, &out->regex, words, sizeof words);
        return pulmo_fail(PULMO_CONFIG,
                          "pack.%s: \"%s\": is not an extended regular expression: %s", key, text,
                          words);
    }
    out->there = true;
    if (!wants_group || out->regex.re_nsub >= 1)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG, "pack.%s: \"%s\": must have a group, as in ^(person[0-9]+)_",
                      key, text);
}

static pulmo_status compile_all(const pulmo_config *config, patterns *p)
{
    PULMO_TRY(compile("group_pattern", config->pack.group_pattern, true, &p->group));
    PULMO_TRY(compile("label_pattern", config->pack.label_pattern, true, &p->label));
    PULMO_TRY(compile("exclude_pattern", config->pack.exclude_pattern, false, &p->exclude));
    PULMO_TRY(compile("val_pattern", config->pack.val_pattern, false, &p->hold[PULMO_SPLIT_VAL]));
    PULMO_TRY(
        compile("test_pattern", config->pack.test_pattern, false, &p->hold[PULMO_SPLIT_TEST]));
    const double fraction[PULMO_SPLITS] = {0, config->pack.val_fraction,
                                           config->pack.test_fraction};
    if (fraction[PULMO_SPLIT_VAL] + fraction[PULMO_SPLIT_TEST] > 0.95)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.val_fraction and pack.test_fraction leave nothing to train on: %g "
                          "+ %g, must be at most 0.95",
                          fraction[PULMO_SPLIT_VAL], fraction[PULMO_SPLIT_TEST]);
    for (int s = PULMO_SPLIT_VAL; s <= PULMO_SPLIT_TEST; s++)
        if (p->hold[s].there && fraction[s] > 0)
            return pulmo_fail(
                PULMO_CONFIG,
                "pack.%s_pattern and pack.%s_fraction (%g): each says what %s is; leave one out",
                pulmo_split_name(s), pulmo_split_name(s), fraction[s], pulmo_split_name(s));
    return PULMO_OK;
}

static void free_patterns(patterns *p)
{
    pattern *all[] = {&p->group, &p->label, &p->exclude, &p->hold[PULMO_SPLIT_VAL],
                      &p->hold[PULMO_SPLIT_TEST]};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i]->there)
            regfree(&all[i]->regex);
}

static bool matches(const pattern *p, const char *text)
{
    return p->there && regexec(&p->regex, text, 0, NULL, 0) == 0;
}

/* The pattern's first group in `name`; false where it does not match. */
static bool matched(const pattern *p, const char *name, char *out, size_t out_bytes)
{
    regmatch_t found[2];
    if (!p->there || regexec(&p->regex, name, 2, found, 0) != 0 || found[1].rm_so < 0 ||
        found[1].rm_eo == found[1].rm_so)
        return false;
    snprintf(out, out_bytes, "%.*s", (int)(found[1].rm_eo - found[1].rm_so), name + found[1].rm_so);
    return true;
}

/* ---- walking ---- */

typedef struct walk {
    source_list *list;
    const patterns *patterns;
    const char *label; /* the class folder */
    size_t below;      /* offset of a path's part below it */
    int split;
} walk;

/* The split of a file given in split `given`, `below` its class folder. */
static pulmo_status hold(source_list *list, const patterns *p, const char *below, int given,
                         int *split)
{
    bool val = matches(&p->hold[PULMO_SPLIT_VAL], below),
         test = matches(&p->hold[PULMO_SPLIT_TEST], below);
    if (val && test)
        return pulmo_fail(
            PULMO_CONFIG,
            "%s: %s: matches both pack.val_pattern and pack.test_pattern; a file is in one split",
            list->root, below);
    *split = given;
    if (val)
        *split = PULMO_SPLIT_VAL;
    if (test)
        *split = PULMO_SPLIT_TEST;
    if (val || test)
        list->held[*split]++;
    else if (p->hold[given].there) {
        *split = PULMO_SPLIT_TRAIN;
        list->moved[given]++;
    }
    return PULMO_OK;
}

/* Room for one more file, all zeros, and not counted yet. */
static pulmo_status next_file(source_list *list, source_file **out)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 1024;
        source_file *larger = realloc(list->file, room * sizeof *larger);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "out of memory for %zu files", room);
        list->file = larger;
        list->room = room;
    }
    *out = &list->file[list->count];
    memset(*out, 0, sizeof **out);
    return PULMO_OK;
}

/* Bytes beyond ASCII as \xE9. Owned by the caller; NULL for want of memory. */
static char *escaped(const char *text)
{
    size_t length = strlen(text), at = 0;
    char *out = malloc(4 * length + 1);
    if (!out)
        return NULL;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < 0x80)
            at += (size_t)snprintf(out + at, 5, "%c", *p);
        else
            at += (size_t)snprintf(out + at, 5, "\\x%02X", *p);
    }
    return out;
}

/* A file that the list itself tells to be of no use. */
static pulmo_status add_refused(const walk *w, const char *path, const char *reason)
{
    source_file *file = NULL;
    PULMO_TRY(next_file(w->list, &file));
    file->path = pulmo_text_is_utf8(path) ? pulmo_strdup(path) : escaped(path);
    file->group = file->path ? pulmo_strdup(file->path) : NULL;
    file->label = pulmo_strdup(w->label);
    file->refusal = pulmo_strdup(reason);
    file->split = w->split;
    w->list->count++;
    bool made = file->path && file->group && file->label && file->refusal;
    return made ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status add_file(const walk *w, const char *path, const char *name,
                             const struct stat *about)
{
    source_list *list = w->list;
    source_file *file = NULL;
    char group[256], label[256];
    int split = 0;
    if (matches(&w->patterns->exclude, path + w->below)) {
        list->excluded++;
        return PULMO_OK;
    }
    if (!pulmo_text_is_utf8(path))
        return add_refused(w, path, "its name is not UTF-8; rename it");
    PULMO_TRY(hold(list, w->patterns, path + w->below, w->split, &split));
    PULMO_TRY(next_file(list, &file));
    bool by_pattern = matched(&w->patterns->group, name, group, sizeof group);
    int sure = by_pattern ? (int)strlen(group) : group_of_name(name, group, sizeof group);
    if (!matched(&w->patterns->label, name, label, sizeof label))
        snprintf(label, sizeof label, "%s", w->label);
    *file = (source_file){.path = pulmo_strdup(path),
                          .group = pulmo_strdup(group),
                          .label = pulmo_strdup(label),
                          .split = split,
                          .size_bytes = about->st_size,
                          .modified_ns =
                              (int64_t)about->st_mtim.tv_sec * 1000000000 + about->st_mtim.tv_nsec};
    list->count++;
    if (!file->path || !file->group || !file->label)
        return PULMO_MEMORY;
    file->sure = by_pattern ? file->group : file->path + strlen(file->path) - strlen(name);
    file->sure_bytes = sure;
    return PULMO_OK;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}
static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "__MACOSX") != 0;
}

static pulmo_status list_folder(const char *root, const char *path, struct dirent ***entries,
                                int *count)
{
    char *full = *path ? pulmo_format("%s/%s", root, path) : pulmo_strdup(root);
    if (!full)
        return PULMO_MEMORY;
    *count = scandir(full, entries, is_visible, by_bytes);
    pulmo_status status = PULMO_OK;
    if (*count < 0)
        status = pulmo_fail(PULMO_IO, "%s: cannot list the directory: %s", full, strerror(errno));
    free(full);
    return status;
}

static void free_entries(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

/* Why ROOT/PATH cannot be opened, where that is the name's own fault: a link that leads nowhere or
 * round in a circle. 0 where it can. Other failures may pass, and must cost no image: PULMO_IO. */
static pulmo_status look(const char *root, const char *path, struct stat *about, int *own_fault)
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

static pulmo_status walk_class(const walk *w, const char *path, int depth);

static pulmo_status visit(const walk *w, const char *path, const char *name, int depth)
{
    struct stat about;
    int fault = 0;
    char reason[128];
    char *child = pulmo_format("%s/%s", path, name);
    if (!child)
        return PULMO_MEMORY;
    pulmo_status status = look(w->list->root, child, &about, &fault);
    snprintf(reason, sizeof reason, "cannot be opened: %s", strerror(fault));
    if (status == PULMO_OK && fault)
        status = add_refused(w, child, reason);
    else if (status == PULMO_OK && S_ISDIR(about.st_mode))
        status = walk_class(w, child, depth + 1);
    else if (status == PULMO_OK)
        status = add_file(w, child, name, &about);
    free(child);
    return status;
}

/* Everything below a class folder belongs to the class, as in torchvision's ImageFolder. */
static pulmo_status walk_class(const walk *w, const char *path, int depth)
{
    struct dirent **entries = NULL;
    int count = 0;
    if (depth > DEPTH_MAX)
        return pulmo_fail(PULMO_DATA, "%s/%s: more than %d folders deep; is it a loop of links?",
                          w->list->root, path, DEPTH_MAX);
    PULMO_TRY(list_folder(w->list->root, path, &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++)
        status = visit(w, path, entries[i]->d_name, depth);
    free_entries(entries, count);
    return status;
}

static pulmo_status find_folder(const char *root, const char *path, bool *folder)
{
    struct stat about;
    int fault = 0;
    PULMO_TRY(look(root, path, &about, &fault));
    *folder = fault == 0 && S_ISDIR(about.st_mode);
    return PULMO_OK;
}

/* The files of one class folder, `path` of the source. */
static pulmo_status walk_class_folder(const walk *w, const char *path)
{
    source_list *list = w->list;
    size_t before = list->count + list->excluded;
    if (!pulmo_text_is_utf8(w->label))
        return pulmo_fail(PULMO_DATA,
                          "%s/%s: the name of a class folder must be UTF-8 text; rename it",
                          list->root, path);
    PULMO_TRY(walk_class(w, path, 0));
    if (before < list->count + list->excluded)
        return PULMO_OK;
    return lines_add(&list->notes, "%s/%s: is an empty folder; it makes no class", list->root,
                     path);
}

/* What stands in `path` of the source beside or as class folders; counts the folders. */
static pulmo_status walk_entry(const walk *w, const char *path, int *folders)
{
    bool folder = false;
    PULMO_TRY(find_folder(w->list->root, path, &folder));
    *folders += folder;
    return folder ? walk_class_folder(w, path) : PULMO_OK;
}

/* The class folders in `path` of the source ("" for its root). */
static pulmo_status walk_classes(source_list *list, const patterns *p, const char *path, int split)
{
    struct dirent **entries = NULL;
    int count = 0, folders = 0;
    PULMO_TRY(list_folder(list->root, path, &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++) {
        const char *name = entries[i]->d_name;
        char *child = *path ? pulmo_format("%s/%s", path, name) : pulmo_strdup(name);
        const walk w = {.list = list,
                        .patterns = p,
                        .label = name,
                        .below = child ? strlen(child) + 1 : 0,
                        .split = split};
        status = child ? walk_entry(&w, child, &folders) : PULMO_MEMORY;
        free(child);
    }
    free_entries(entries, count);
    if (status == PULMO_OK && folders == 0)
        return pulmo_fail(
            PULMO_DATA,
            "%s%s%s: has no class folders; a source is CLASS/*.jpeg or train|val|test/CLASS/*.jpeg",
            list->root, *path ? "/" : "", path);
    return status;
}

/* A folder beside the splits that is taken for one, or would be taken for a class. */
static pulmo_status judge_folder(source_list *list, const char *name)
{
    static const char *const alike[] = {"train",      "training", "val",    "valid",
                                        "validation", "test",     "testing"};
    bool folder = false;
    if (pulmo_split_find(name) >= 0)
        return PULMO_OK;
    PULMO_TRY(find_folder(list->root, name, &folder));
    if (!folder)
        return PULMO_OK;
    for (size_t i = 0; i < sizeof alike / sizeof *alike; i++)
        if (strcasecmp(name, alike[i]) == 0)
            return pulmo_fail(
                PULMO_DATA,
                "%s/%s: looks like a split, which are named train, val and test; rename it",
                list->root, name);
    if (!list->has_splits)
        return PULMO_OK;
    return lines_add(&list->notes, "%s/%s: stands beside train, val or test and is left out",
                     list->root, name);
}

static pulmo_status judge_folders(source_list *list)
{
    struct dirent **entries = NULL;
    int count = 0;
    PULMO_TRY(list_folder(list->root, "", &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++)
        status = judge_folder(list, entries[i]->d_name);
    free_entries(entries, count);
    return status;
}

/* Which of train/ val/ test/ there are, and the mark of drawn data. */
static pulmo_status look_around(source_list *list, bool given[PULMO_SPLITS])
{
    struct stat about;
    int fault = 0;
    for (int s = 0; s < PULMO_SPLITS; s++) {
        PULMO_TRY(find_folder(list->root, pulmo_split_name(s), &given[s]));
        list->has_splits = list->has_splits || given[s];
    }
    PULMO_TRY(look(list->root, "DEMO", &about, &fault));
    list->is_demo = fault == 0;
    return PULMO_OK;
}

static pulmo_status walk_source(source_list *list, const patterns *p)
{
    struct stat about;
    bool given[PULMO_SPLITS] = {false};
    if (stat(list->root, &about) != 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s", list->root, strerror(errno));
    if (!S_ISDIR(about.st_mode))
        return pulmo_fail(PULMO_DATA, "%s: is a file; a source is a directory of class folders",
                          list->root);
    PULMO_TRY(look_around(list, given));
    PULMO_TRY(judge_folders(list));
    for (int s = 0; s < PULMO_SPLITS; s++)
        if (given[s])
            PULMO_TRY(walk_classes(list, p, pulmo_split_name(s), s));
    return list->has_splits ? PULMO_OK : walk_classes(list, p, "", PULMO_SPLIT_TRAIN);
}

/* A pattern that matches nothing, or leaves nothing, is a mistake. */
static pulmo_status judge_patterns(const source_list *list, const patterns *p,
                                   const pulmo_config *config)
{
    const char *const text[PULMO_SPLITS] = {"", config->pack.val_pattern,
                                            config->pack.test_pattern};
    if (p->exclude.there && list->excluded == 0)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.exclude_pattern: \"%s\": matches none of the %zu files in %s",
                          config->pack.exclude_pattern, list->count, list->root);
    if (list->count == 0 && list->excluded > 0)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.exclude_pattern: \"%s\": matches all of the %zu files in %s",
                          config->pack.exclude_pattern, list->excluded, list->root);
    if (list->count == 0)
        return pulmo_fail(PULMO_DATA, "%s: its class folders hold no files", list->root);
    size_t train = 0;
    for (size_t i = 0; i < list->count; i++)
        train += list->file[i].split == PULMO_SPLIT_TRAIN;
    for (int s = PULMO_SPLIT_VAL; s <= PULMO_SPLIT_TEST; s++) {
        if (!p->hold[s].there)
            continue;
        if (list->held[s] == 0)
            return pulmo_fail(PULMO_CONFIG,
                              "pack.%s_pattern: \"%s\": matches none of the %zu files in %s; it is "
                              "matched on paths below the class "
                              "folders, such as %s of %s",
                              pulmo_split_name(s), text[s], list->count, list->root,
                              strrchr(list->file[0].path, '/') + 1, list->file[0].path);
        if (train == 0)
            return pulmo_fail(
                PULMO_CONFIG,
                "pack.%s_pattern: \"%s\": leaves none of the %zu files in %s to train on",
                pulmo_split_name(s), text[s], list->count, list->root);
    }
    return PULMO_OK;
}

pulmo_status source_list_make(const char *root, const pulmo_config *config, source_list *out)
{
    patterns p = {0};
    memset(out, 0, sizeof *out);
    out->root = root;
    pulmo_status status = compile_all(config, &p);
    if (status == PULMO_OK)
        status = walk_source(out, &p);
    if (status == PULMO_OK)
        status = judge_patterns(out, &p, config);
    free_patterns(&p);
    if (status != PULMO_OK)
        source_list_free(out);
    return status;
}

void source_list_free(source_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->file[i].path);
        free(list->file[i].group);
        free(list->file[i].label);
        free(list->file[i].refusal);
    }
    free(list->file);
    lines_free(&list->notes);
    memset(list, 0, sizeof *list);
}
