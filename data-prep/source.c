/* The files of a source, listed in name order. */
#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "folders.h"
#include "headers.h"
#include "judge.h"
#include "like.h"
#include "patients.h"
#include "patterns.h"
#include "tabled.h"

#include "pulmo/memory.h"
#include "pulmo/text.h"

#define DEPTH_MAX 16

/* ---- walking ---- */

typedef struct walk {
    source_list *list;
    const patterns *patterns;
    const patient_rules *rules;
    const char *label; /* the class folder */
    size_t below;      /* offset of a path's part below it */
    bool masks;        /* within a folder of masks */
    int split;
} walk;

/* The split of a file given in split `given`, `below` its class folder. */
static pulmo_status hold(source_list *list, const patterns *p, const char *below, int given,
                         int *split)
{
    bool val = pattern_matches(&p->hold[PULMO_SPLIT_VAL], below),
         test = pattern_matches(&p->hold[PULMO_SPLIT_TEST], below);
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

/* A file that the list itself tells to be of no use. */
static pulmo_status add_refused(const walk *w, const char *path, const char *reason)
{
    source_file *file = NULL;
    if (w->masks) {
        w->list->masked++;
        return PULMO_OK;
    }
    PULMO_TRY(next_file(w->list, &file));
    file->path = pulmo_text_is_utf8(path) ? pulmo_strdup(path) : pulmo_name_spelled(path);
    file->group = file->path ? pulmo_strdup(file->path) : NULL;
    file->label = pulmo_strdup(w->label);
    file->refusal = pulmo_strdup(reason);
    file->split = w->split;
    w->list->count++;
    bool made = file->path && file->group && file->label && file->refusal;
    return made ? PULMO_OK : PULMO_MEMORY;
}

static char *span_text(const text_span *span)
{
    return pulmo_format("%.*s", (int)span->bytes, span->text);
}

/* The class by the file's name, or that of its folder. Owned by the caller. */
static char *label_of(const walk *w, const char *name)
{
    text_span found[PATTERN_SPANS];
    if (!pattern_find(&w->patterns->label, name, found) || found[1].bytes == 0)
        return pulmo_strdup(w->label);
    w->list->labelled++;
    return span_text(&found[1]);
}

/* A group of its own, which is the name of no known patient. */
static pulmo_status set_unknown(source_file *file, const text_span *older)
{
    file->group = pulmo_format("file:%s", file->path);
    file->older = span_text(older);
    return file->group && file->older ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status find_patient(const walk *w, source_file *file)
{
    patient_name name = patient_find(w->rules, file->path, w->below);
    file->rule = name.rule;
    file->sure = name.sure.text;
    file->sure_bytes = (int)name.sure.bytes;
    if (name.rule == PATIENT_UNKNOWN)
        return set_unknown(file, &name.group);
    file->group = span_text(&name.group);
    return file->group ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status add_file(const walk *w, const char *path, const char *name,
                             const struct stat *about)
{
    source_list *list = w->list;
    source_file *file = NULL;
    int split = 0;
    if (pattern_matches(&w->patterns->exclude, path + w->below)) {
        list->excluded++;
        return PULMO_OK;
    }
    if (w->masks) {
        list->masked++;
        return PULMO_OK;
    }
    if (!pulmo_text_is_utf8(path))
        return add_refused(w, path, "its name is not UTF-8; rename it");
    PULMO_TRY(hold(list, w->patterns, path + w->below, w->split, &split));
    PULMO_TRY(next_file(list, &file));
    *file = (source_file){.path = pulmo_strdup(path),
                          .label = label_of(w, name),
                          .split = split,
                          .size_bytes = about->st_size,
                          .modified_ns =
                              (int64_t)about->st_mtim.tv_sec * 1000000000 + about->st_mtim.tv_nsec};
    list->count++;
    if (!file->path || !file->label)
        return PULMO_MEMORY;
    return find_patient(w, file);
}

/* Counts a file that is left out, if it is an image. */
static pulmo_status count_left(const source_list *list, const char *path, left_images *left)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *place = folder_path(list->root, path);
    if (!place)
        return PULMO_MEMORY;
    bool is_index = strcmp(name, "DICOMDIR") == 0; /* of a disc: begins as DICOM images do */
    bool is_image = !is_index && pulmo_image_is_file(place);
    free(place);
    if (!is_image)
        return PULMO_OK;
    left->count++;
    if (!left->first)
        left->first = pulmo_strdup(path);
    return left->first ? PULMO_OK : PULMO_MEMORY;
}

/* An entry of a class folder whose name hides it. */
static pulmo_status see_hidden(const walk *w, const char *path, const char *name)
{
    char *child = folder_path(path, name);
    pulmo_status status = child ? PULMO_OK : PULMO_MEMORY;
    bool excluded = child && pattern_matches(&w->patterns->exclude, child + w->below);
    if (status == PULMO_OK && !excluded && !w->masks)
        status = count_left(w->list, child, &w->list->hidden);
    free(child);
    return status;
}

static pulmo_status walk_class(const walk *w, const char *path, int depth);

static pulmo_status visit(const walk *w, const char *path, const char *name, int depth)
{
    struct stat about;
    int fault = 0;
    char reason[128];
    char *child = folder_path(path, name);
    if (!child)
        return PULMO_MEMORY;
    pulmo_status status = folder_look(w->list->root, child, &about, &fault);
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
    PULMO_TRY(folder_list_all(w->list->root, path, &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++) {
        walk inner = *w;
        inner.masks = w->masks || folder_is_of_masks(entries, count, i);
        if (folder_is_hidden(entries[i]))
            status = see_hidden(&inner, path, entries[i]->d_name);
        else
            status = visit(&inner, path, entries[i]->d_name, depth);
    }
    folder_list_free(entries, count);
    return status;
}

/* Files that were met so far. */
static size_t listed(const source_list *list)
{
    return list->count + list->excluded + list->masked;
}

/* The files of one class folder, `path` of the source. */
static pulmo_status walk_class_folder(const walk *w, const char *path)
{
    source_list *list = w->list;
    size_t before = listed(list);
    if (!pulmo_text_is_utf8(w->label))
        return pulmo_fail(PULMO_DATA,
                          "%s/%s: the name of a class folder must be UTF-8 text; rename it",
                          list->root, path);
    PULMO_TRY(walk_class(w, path, 0));
    if (before < listed(list))
        return PULMO_OK;
    return lines_add(&list->notes, "%s/%s: is an empty folder; it makes no class", list->root,
                     path);
}

/* What stands in `path` of the source beside or as class folders; counts the folders. */
static pulmo_status walk_entry(const walk *w, const char *path, int *folders)
{
    bool folder = false;
    PULMO_TRY(folder_find(w->list->root, path, &folder));
    *folders += folder;
    if (folder)
        return walk_class_folder(w, path);
    return count_left(w->list, path, &w->list->loose);
}

/* The class folders in `path` of the source ("" for its root). */
static pulmo_status walk_classes(const walk *base, const char *path, int split)
{
    source_list *list = base->list;
    struct dirent **entries = NULL;
    int count = 0, folders = 0;
    PULMO_TRY(folder_list_all(list->root, path, &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++) {
        const char *name = entries[i]->d_name;
        char *child = folder_path(path, name);
        bool hidden = folder_is_hidden(entries[i]);
        walk w = *base;
        w.label = name;
        w.below = child ? strlen(child) + 1 : 0;
        w.split = split;
        w.masks = folder_is_of_masks(entries, count, i);
        if (!child)
            status = PULMO_MEMORY;
        else if (hidden)
            status = count_left(list, child, &list->hidden);
        else
            status = walk_entry(&w, child, &folders);
        free(child);
    }
    folder_list_free(entries, count);
    if (status == PULMO_OK && folders == 0)
        return pulmo_fail(
            PULMO_DATA,
            "%s%s%s: has no class folders; a source is CLASS/IMAGE or train|val|test/CLASS/IMAGE",
            list->root, *path ? "/" : "", path);
    return status;
}

/* Which of train/ val/ test/ there are, and the mark of drawn data. */
static pulmo_status look_around(source_list *list, bool given[PULMO_SPLITS])
{
    struct stat about;
    int fault = 0;
    for (int s = 0; s < PULMO_SPLITS; s++) {
        PULMO_TRY(folder_find(list->root, pulmo_split_name(s), &given[s]));
        list->has_splits = list->has_splits || given[s];
    }
    PULMO_TRY(folder_look(list->root, "DEMO", &about, &fault));
    list->is_demo = fault == 0;
    return PULMO_OK;
}

/* Images beside train/, val/ and test/. */
static pulmo_status see_beside_splits(source_list *list)
{
    struct dirent **entries = NULL;
    int count = 0;
    PULMO_TRY(folder_list_all(list->root, "", &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++) {
        const char *name = entries[i]->d_name;
        bool folder = false;
        status = folder_find(list->root, name, &folder);
        if (status != PULMO_OK || folder)
            continue;
        left_images *left = folder_is_hidden(entries[i]) ? &list->hidden : &list->loose;
        status = count_left(list, name, left);
    }
    folder_list_free(entries, count);
    return status;
}

/* Every file below the source, where a table says the classes. */
static pulmo_status walk_all(const walk *base)
{
    walk w = *base;
    w.label = "";
    return walk_class(&w, "", 0);
}

static pulmo_status walk_source(const walk *base, bool has_folders)
{
    source_list *list = base->list;
    struct stat about;
    bool given[PULMO_SPLITS] = {false};
    if (stat(list->root, &about) != 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s", list->root, strerror(errno));
    if (!S_ISDIR(about.st_mode))
        return pulmo_fail(PULMO_DATA, "%s: is a file; a source is a directory of class folders",
                          list->root);
    PULMO_TRY(look_around(list, given));
    if (!has_folders) {
        list->has_splits = false;
        return walk_all(base);
    }
    PULMO_TRY(folders_judge(list));
    if (!list->has_splits)
        PULMO_TRY(folders_judge_nesting(list));
    for (int s = 0; s < PULMO_SPLITS; s++)
        if (given[s])
            PULMO_TRY(walk_classes(base, pulmo_split_name(s), s));
    return list->has_splits ? see_beside_splits(list) : walk_classes(base, "", PULMO_SPLIT_TRAIN);
}

static pulmo_status note_left(source_list *list)
{
    const left_images *hidden = &list->hidden;
    const left_images *loose = &list->loose;
    if (loose->count > 0)
        PULMO_TRY(lines_add(&list->notes,
                            "%s: LEFT OUT: %zu loose image%s beside class folders, such as %s: the "
                            "folder is the class; move them into one, or name a table of labels "
                            "(pack.table, pack.table_label)",
                            list->root, loose->count, pulmo_plural(loose->count), loose->first));
    if (hidden->count == 0)
        return PULMO_OK;
    return lines_add(&list->notes,
                     "%s: LEFT OUT: %zu hidden file%s named as images, such as %s: macOS leaves "
                     "._NAME beside NAME; where they are images, rename them",
                     list->root, hidden->count, pulmo_plural(hidden->count), hidden->first);
}

static pulmo_status note_masks(source_list *list)
{
    if (list->masked == 0)
        return PULMO_OK;
    return lines_add(&list->notes,
                     "%s: LEFT OUT: %zu file%s in folders named masks beside images, which are no "
                     "images of a class; rename the folders where they are",
                     list->root, list->masked, pulmo_plural(list->masked));
}

pulmo_status source_list_make(const char *root, const pulmo_config *config, source_use use,
                              source_list *out)
{
    patterns p = {0};
    patient_rules *rules = NULL;
    memset(out, 0, sizeof *out);
    out->root = root;
    out->updates = use.updates;
    out->tests = use.tests;
    out->by_header = config->pack.header_patient != 0;
    pulmo_status status = patterns_compile(config, &p);
    if (status == PULMO_OK)
        status = tabled_check(config);
    if (status == PULMO_OK)
        status = patient_rules_create(&p.group, &rules);
    const walk base = {.list = out, .patterns = &p, .rules = rules};
    if (status == PULMO_OK)
        status = walk_source(&base, !pulmo_labels_give_classes(config));
    if (status == PULMO_OK)
        status = note_masks(out);
    if (status == PULMO_OK)
        status = note_left(out);
    if (status == PULMO_OK)
        status = tabled_apply(out, config);
    if (status == PULMO_OK)
        headers_choose(out);
    if (status == PULMO_OK && use.tests)
        status = like_take_all(out);
    if (status == PULMO_OK)
        status = judge_list(out, config);
    if (status == PULMO_OK)
        status = patterns_status();
    patient_rules_destroy(rules);
    patterns_free(&p);
    if (status != PULMO_OK)
        source_list_free(out);
    return status;
}
