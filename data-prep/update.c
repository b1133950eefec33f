/* New files beside a finished pack: what is packed, what is new, what has changed. */
#include "update.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "seen.h"

#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/packed.h"

/* ---- the manifest ---- */

/* A column of numbers that are below `end`. */
static pulmo_status read_numbers(pulmo_h5 *file, const char *base, const char *what, uint64_t count,
                                 int end, int32_t **out)
{
    char name[96];
    snprintf(name, sizeof name, "%s/%s", base, what);
    int32_t *numbers = malloc((count + 1) * sizeof *numbers);
    if (!numbers)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a split");
    *out = numbers;
    PULMO_TRY(pulmo_h5_read(file, name, PULMO_H5_I32, 1, &count, numbers));
    for (uint64_t i = 0; i < count; i++) {
        if (numbers[i] >= 0 && numbers[i] < end)
            continue;
        return pulmo_fail(PULMO_DATA,
                          "%s: /%s: holds %d, must be 0 to %d; the pack is damaged: pack anew with "
                          "--overwrite",
                          pulmo_h5_path(file), name, numbers[i], end - 1);
    }
    return PULMO_OK;
}

static pulmo_status read_texts(pulmo_h5 *file, const char *base, const char *what, uint64_t count,
                               char ***out)
{
    char name[96];
    uint64_t found = 0;
    snprintf(name, sizeof name, "%s/%s", base, what);
    PULMO_TRY(pulmo_h5_read_strings(file, name, &found, out));
    if (found == count)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "%s: /%s: lists of a split differ in length; pack again with "
                      "--overwrite",
                      pulmo_h5_path(file), name);
}

static pulmo_status read_sketches(pulmo_h5 *file, const char *base, old_split *split)
{
    char name[96];
    const uint64_t dims[] = {split->cut.count, PULMO_SKETCH_BYTES};
    snprintf(name, sizeof name, "%s/sketches", base);
    split->sketches = malloc(((size_t)split->cut.count + 1) * PULMO_SKETCH_BYTES);
    if (!split->sketches)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a split");
    return pulmo_h5_read(file, name, PULMO_H5_U8, 2, dims, split->sketches);
}

/* The kept columns, as far as there are any. */
static pulmo_status read_kept(pulmo_h5 *file, const char *base, old_split *split)
{
    int named = 0;
    if (pulmo_h5_has_attribute(file, base, "kept"))
        PULMO_TRY(pulmo_h5_get_texts(file, base, "kept", &named, &split->kept_names));
    for (size_t k = 0; k < (size_t)named && k < PULMO_LIST_MAX; k++) {
        char name[96];
        char what[32];
        snprintf(what, sizeof what, "kept/%zu", k);
        snprintf(name, sizeof name, "%s/%s", base, what);
        if (!pulmo_h5_exists(file, name))
            return PULMO_OK;
        PULMO_TRY(read_texts(file, base, what, split->cut.count, &split->kept[k]));
        split->kept_count = k + 1;
    }
    return PULMO_OK;
}

/* Packs without tables do not have it, nor do those of 0.1.0. */
static pulmo_status read_given(pulmo_h5 *file, const char *base, old_split *split)
{
    char name[96];
    snprintf(name, sizeof name, "%s/given", base);
    if (!pulmo_h5_exists(file, name))
        return PULMO_OK;
    return read_numbers(file, base, "given", split->cut.count, PULMO_SPLITS, &split->given);
}

static pulmo_status read_columns(pulmo_h5 *file, const char *base, old_split *split)
{
    uint32_t count = split->cut.count;
    PULMO_TRY(read_texts(file, base, "paths", count, &split->paths));
    PULMO_TRY(read_texts(file, base, "groups", count, &split->groups));
    PULMO_TRY(read_texts(file, base, "digests", count, &split->digests));
    PULMO_TRY(read_texts(file, base, "pixel_digests", count, &split->pixel_digests));
    return read_kept(file, base, split);
}

static pulmo_status read_split(pulmo_h5 *file, int s, const old_pack *old, old_split *split)
{
    char base[64];
    bool has_folds = s == PULMO_SPLIT_TRAIN && old->folds > 0;
    snprintf(base, sizeof base, "splits/%s", pulmo_split_name(s));
    if (!pulmo_h5_exists(file, base))
        return PULMO_OK;
    PULMO_TRY(pulmo_cut_read(file, base, &split->cut));
    uint32_t count = split->cut.count;
    PULMO_TRY(read_numbers(file, base, "labels", count, old->classes, &split->labels));
    if (has_folds)
        PULMO_TRY(read_numbers(file, base, "folds", count, old->folds, &split->fold));
    PULMO_TRY(read_sketches(file, base, split));
    PULMO_TRY(read_given(file, base, split));
    return read_columns(file, base, split);
}

static pulmo_status compare(const char *path, const char *text, const pulmo_config *asked,
                            pulmo_config *theirs)
{
    pulmo_status status = PULMO_OK;
    pulmo_config_init(theirs);
    PULMO_TRY(pulmo_config_parse(theirs, path, text));
    char *differing = pulmo_config_section_differences(asked, theirs, "pack");
    if (!differing)
        return pulmo_fail(PULMO_MEMORY, "out of memory for options");
    if (*differing)
        status = pulmo_fail(PULMO_USAGE,
                            "%s: was packed with other options (%s); --update keeps the options: "
                            "give the same ones, or pack anew with --overwrite",
                            path, differing);
    free(differing);
    return status;
}

static pulmo_status check_options(pulmo_h5 *file, const pulmo_config *asked)
{
    char *text = NULL;
    if (!pulmo_h5_exists(file, "config"))
        return pulmo_fail(PULMO_USAGE,
                          "%s: was packed by a pulmo that had no --update; pack anew with "
                          "--overwrite",
                          pulmo_h5_path(file));
    pulmo_config *theirs = malloc(sizeof *theirs);
    if (!theirs)
        return pulmo_fail(PULMO_MEMORY, "out of memory for options");
    pulmo_status status = pulmo_h5_read_text(file, "config", &text);
    if (status == PULMO_OK)
        status = compare(pulmo_h5_path(file), text, asked, theirs);
    free(text);
    free(theirs);
    return status;
}

/* By another key all names would differ. */
static pulmo_status check_key(pulmo_h5 *file, const source_list *list)
{
    char *theirs = NULL;
    pulmo_status status = PULMO_OK;
    if (!list->names || !pulmo_h5_has_attribute(file, "/", "pseudonyms"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, "/", "pseudonyms", &theirs));
    if (strcmp(theirs, list->key_name) != 0)
        status = pulmo_fail(PULMO_USAGE,
                            "%s: its pseudonyms are by the key %s, and pack.key_file is the key "
                            "%s; --update keeps the key: say where that one is",
                            pulmo_h5_path(file), theirs, list->key_name);
    free(theirs);
    return status;
}

/* Packs of 0.1.0 do not say it. */
static pulmo_status read_patients(pulmo_h5 *file, old_pack *old)
{
    char *text = NULL;
    if (!pulmo_h5_has_attribute(file, "/", "patients"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, "/", "patients", &text));
    old->all_known = strcmp(text, "known") == 0;
    free(text);
    return PULMO_OK;
}

static pulmo_status read_manifest(pulmo_h5 *file, const pulmo_config *asked, old_pack *old)
{
    uint64_t reasons = 0;
    int64_t channels = 0;
    PULMO_TRY(pulmo_h5_check_kind(file, "manifest", PULMO_PACK_FORMAT_VERSION,
                                  "pack anew with --overwrite"));
    PULMO_TRY(check_key(file, old->list));
    PULMO_TRY(check_options(file, asked));
    PULMO_TRY(read_patients(file, old));
    PULMO_TRY(pulmo_h5_get_texts(file, "/", "classes", &old->classes, &old->class_names));
    PULMO_TRY(pulmo_h5_get_int(file, "/", "channels", &channels));
    old->channels = (int)channels;
    PULMO_TRY(pulmo_framing_read(file, "/", &old->framing));
    PULMO_TRY(pulmo_formats_read(file, &old->formats));
    for (int s = 0; s < PULMO_SPLITS; s++)
        PULMO_TRY(read_split(file, s, old, &old->split[s]));
    PULMO_TRY(pulmo_h5_read_strings(file, "refused/paths", &old->refused, &old->refused_paths));
    PULMO_TRY(pulmo_h5_read_strings(file, "refused/reasons", &reasons, &old->refused_reasons));
    if (reasons != old->refused)
        return pulmo_fail(PULMO_DATA, "%s: lists of refused files differ in length",
                          pulmo_h5_path(file));
    PULMO_TRY(pulmo_h5_read_strings(file, "audit/similar", &old->similar_count, &old->similar));
    return pulmo_h5_read_strings(file, "audit/leaks", &old->leak_count, &old->leaks);
}

/* ---- files ---- */

/* Where a path stood. */
typedef struct old_place {
    const char *path;
    int8_t split;
    uint32_t place;
    bool found;
} old_place;

static int by_path(const void *a, const void *b)
{
    const old_place *x = a;
    const old_place *y = b;
    return strcmp(x->path, y->path);
}

static pulmo_status list_places(const old_pack *old, old_place **out, size_t *count)
{
    size_t all = old->refused;
    size_t at = 0;
    for (int s = 0; s < PULMO_SPLITS; s++)
        all += old->split[s].cut.count;
    old_place *places = malloc((all + 1) * sizeof *places);
    if (!places)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu files", all);
    for (int s = 0; s < PULMO_SPLITS; s++) {
        const old_split *split = &old->split[s];
        for (uint32_t i = 0; i < split->cut.count; i++)
            places[at++] = (old_place){split->paths[i], (int8_t)s, i, false};
    }
    for (uint32_t i = 0; i < old->refused; i++)
        places[at++] = (old_place){old->refused_paths[i], UPDATE_REFUSED, i, false};
    qsort(places, all, sizeof *places, by_path);
    *out = places;
    *count = all;
    return PULMO_OK;
}

/* What files changed, in words. */
static pulmo_status note(text_lines *lines, const char *path, const char *what)
{
    return lines_add(lines, "%s: %s", path, what);
}

/* A file whose size or time is another is read: one that was only touched or copied is the same. */
static pulmo_status check_contents(const old_pack *old, const source_file *file, uint32_t i,
                                   const seen_files *seen, text_lines *changed)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest digest;
    const seen_file *before = seen_find(seen, file->path);
    if (before && before->size_bytes != file->size_bytes)
        return note(changed, file->path, "has another size than when it was packed");
    if (before && before->modified_ns == file->modified_ns)
        return PULMO_OK;
    char *path = source_file_place(old->list->root, file);
    pulmo_status status = path ? pulmo_digest_of_file(path, &digest) : PULMO_MEMORY;
    free(path);
    PULMO_TRY(status);
    pulmo_digest_hex(&digest, hex);
    const old_split *split = &old->split[old->split_of[i]];
    if (strcmp(hex, split->digests[old->place[i]]) == 0)
        return PULMO_OK;
    return note(changed, file->path, "has changed since it was packed");
}

/* A refused file that is another now is as good as a new one. */
static bool is_mended(const source_file *file, const seen_files *seen)
{
    if (file->refusal)
        return false;
    const seen_file *before = seen_find(seen, file->path);
    if (!before || before->size_bytes != file->size_bytes)
        return true;
    return before->modified_ns != file->modified_ns;
}

static void match_files(old_pack *old, old_place *places, size_t count, const seen_files *seen)
{
    const source_list *list = old->list;
    source_list *fresh = &old->fresh;
    for (uint32_t i = 0; i < list->count; i++) {
        const source_file *file = &list->file[i];
        const old_place wanted = {.path = file->path};
        old_place *found = bsearch(&wanted, places, count, sizeof wanted, by_path);
        bool is_new = true;
        if (found) {
            found->found = true;
            is_new = found->split == UPDATE_REFUSED && is_mended(file, seen);
        }
        if (!is_new) {
            old->split_of[i] = found->split;
            old->place[i] = found->place;
            continue;
        }
        old->split_of[i] = UPDATE_NEW;
        old->place[i] = (uint32_t)fresh->count;
        fresh->file[fresh->count] = *file;
        fresh->count++;
    }
}

/* A name goes with its file: of a pseudonym, the patient may be known by other files. */
static pulmo_status note_pseudonym(const old_pack *old, const old_place *place, text_lines *changed)
{
    if (place->split == UPDATE_REFUSED)
        return lines_add(changed, "no file there was packed as %s", place->path);
    const char *patient = old->split[place->split].groups[place->place];
    return lines_add(changed, "no file of patient %s there was packed as %s", patient, place->path);
}

/* A file that is there is none of the list's where its row, or its name in a list, is gone. */
static pulmo_status note_missing(const old_pack *old, const old_place *place, text_lines *changed)
{
    if (old->list->names)
        return note_pseudonym(old, place, changed);
    char *path = pulmo_format("%s/%s", old->list->root, place->path);
    if (!path)
        return PULMO_MEMORY;
    bool is_there = access(path, F_OK) == 0;
    free(path);
    if (is_there)
        return note(changed, place->path, "is left out now: a table or a list takes it no more");
    return note(changed, place->path, "is missing");
}

static pulmo_status find_changes(const old_pack *old, const old_place *places, size_t count,
                                 const seen_files *seen, text_lines *changed)
{
    for (size_t i = 0; i < count; i++)
        if (!places[i].found)
            PULMO_TRY(note_missing(old, &places[i], changed));
    for (uint32_t i = 0; i < old->list->count; i++) {
        if (old->split_of[i] < 0)
            continue;
        const source_file *file = &old->list->file[i];
        PULMO_TRY(update_check_meaning(old, i, changed));
        PULMO_TRY(check_contents(old, file, i, seen, changed));
    }
    return PULMO_OK;
}

static pulmo_status refuse_changes(const old_pack *old, const char *destination,
                                   const text_lines *changed)
{
    for (size_t i = 0; i < changed->count; i++)
        pulmo_warn("%s", changed->text[i]);
    const char *what = "files that are packed there changed or were removed";
    const char *rows = old->list->labels ? " and what the table says of them" : "";
    if (changed->count == 1)
        what = "file that is packed there changed or was removed";
    return pulmo_fail(PULMO_DATA,
                      "%s: %zu %s (listed above), the "
                      "first: %s; --update adds files only: restore them%s, or pack anew with "
                      "--overwrite",
                      destination, changed->count, what, changed->text[0], rows);
}

static bool is_class(const old_pack *old, const char *label)
{
    for (int k = 0; k < old->classes; k++)
        if (strcmp(old->class_names[k], label) == 0)
            return true;
    return false;
}

/* Classes are numbered in order of their names: another class would renumber them in old shards. */
static pulmo_status check_classes(const old_pack *old, const char *destination)
{
    for (size_t i = 0; i < old->fresh.count; i++) {
        const source_file *file = &old->fresh.file[i];
        if (!is_class(old, file->label))
            return pulmo_fail(PULMO_DATA,
                              "%s: is of class %s, which the pack in %s does not have; pack anew "
                              "with --overwrite",
                              file->path, file->label, destination);
    }
    return PULMO_OK;
}

static pulmo_status sort_files(old_pack *old, const char *destination, bool is_root)
{
    old_place *places = NULL;
    size_t count = 0;
    seen_files seen = {0};
    text_lines changed = {0};
    pulmo_status status = list_places(old, &places, &count);
    if (status == PULMO_OK)
        status = seen_read(destination, &seen);
    if (status == PULMO_OK)
        match_files(old, places, count, &seen);
    if (status == PULMO_OK && is_root)
        status = find_changes(old, places, count, &seen, &changed);
    if (status == PULMO_OK && changed.count > 0)
        status = refuse_changes(old, destination, &changed);
    if (status == PULMO_OK)
        status = check_classes(old, destination);
    lines_free(&changed);
    seen_free(&seen);
    free(places);
    return status;
}

/* ---- opening ---- */

static pulmo_status open_local(const char *destination, const pulmo_config *asked, bool is_root,
                               old_pack *old)
{
    pulmo_h5 *file = NULL;
    size_t count = old->list->count + 1;
    char *path = pulmo_format("%s/manifest.h5", destination);
    old->split_of = malloc(count * sizeof *old->split_of);
    old->place = malloc(count * sizeof *old->place);
    old->fresh.file = malloc(count * sizeof *old->fresh.file);
    pulmo_status status = PULMO_OK;
    if (!path || !old->split_of || !old->place || !old->fresh.file)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for %zu files", count));
    PULMO_GOTO(pulmo_h5_open(path, &file));
    PULMO_GOTO(read_manifest(file, asked, old));
    PULMO_GOTO(sort_files(old, destination, is_root));
out:
    pulmo_h5_close(file);
    free(path);
    return status;
}

pulmo_status update_open(const char *destination, const source_list *list,
                         const pulmo_config *asked, bool is_root, old_pack **out)
{
    old_pack *old = calloc(1, sizeof *old);
    if (!old)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an older pack");
    old->list = list;
    old->folds = (int)asked->pack.folds;
    old->fresh.root = list->root;
    old->fresh.names = list->names; /* borrowed */
    old->fresh.headers = list->headers;
    memcpy(old->fresh.header, list->header, sizeof list->header);
    pulmo_status status = open_local(destination, asked, is_root, old);
    if (status == PULMO_OK)
        *out = old;
    else
        update_close(old);
    return status;
}

static void free_split(old_split *split)
{
    free(split->cut.first);
    free(split->labels);
    free(split->fold);
    free(split->given);
    free(split->sketches);
    free(split->paths);
    free(split->groups);
    free(split->digests);
    free(split->pixel_digests);
    for (size_t k = 0; k < split->kept_count; k++)
        free(split->kept[k]);
    free(split->kept_names);
}

void update_close(old_pack *old)
{
    if (!old)
        return;
    for (int s = 0; s < PULMO_SPLITS; s++) {
        free_split(&old->split[s]);
        pulmo_dataset_close(old->data[s]);
    }
    free(old->refused_paths);
    free(old->refused_reasons);
    free(old->similar);
    free(old->leaks);
    free(old->class_names);
    free(old->split_of);
    free(old->place);
    free(old->fresh.file);
    free(old);
}

/* ---- records ---- */

static int value_of(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit ? strchr(digits, digit) : NULL;
    return found ? (int)(found - digits) : -1;
}

static pulmo_status digest_of_hex(const char *hex, pulmo_digest *out)
{
    for (size_t i = 0; i < PULMO_DIGEST_BYTES; i++) {
        int high = value_of(hex[2 * i]);
        int low = high < 0 ? -1 : value_of(hex[2 * i + 1]);
        if (low < 0)
            return pulmo_fail(PULMO_DATA, "\"%.80s\" is not a digest", hex);
        out->bytes[i] = (uint8_t)(16 * high + low);
    }
    return PULMO_OK;
}

static pulmo_status old_record(const old_pack *old, uint32_t file, image_record *record)
{
    const old_split *split = &old->split[old->split_of[file]];
    uint32_t place = old->place[file];
    memset(record, 0, sizeof *record);
    PULMO_TRY(digest_of_hex(split->digests[place], &record->digest));
    PULMO_TRY(digest_of_hex(split->pixel_digests[place], &record->pixel_digest));
    const uint8_t *sketch = split->sketches + (size_t)place * PULMO_SKETCH_BYTES;
    memcpy(record->sketch, sketch, PULMO_SKETCH_BYTES);
    record->usable = 1;
    record->channels = (uint8_t)old->channels;
    return PULMO_OK;
}

static pulmo_status fill_record(const old_pack *old, const part_store *fresh, uint32_t file,
                                part_store *out)
{
    uint32_t place = old->place[file];
    const char *reason = NULL;
    image_record *record = &out->records[file];
    memset(record, 0, sizeof *record);
    if (old->split_of[file] >= 0)
        return old_record(old, file, record);
    if (old->split_of[file] == UPDATE_REFUSED) {
        reason = old->refused_reasons[place];
    } else {
        *record = fresh->records[place];
        reason = fresh->reasons[place];
        out->facts[file] = fresh->facts[place]; /* moved */
        fresh->facts[place] = NULL;
    }
    if (!reason)
        return PULMO_OK;
    out->reasons[file] = pulmo_strdup(reason);
    return out->reasons[file] ? PULMO_OK : PULMO_MEMORY;
}

pulmo_status update_store(old_pack *old, const char *destination, const part_store *fresh,
                          part_store *out)
{
    size_t count = old->list->count;
    *out = *fresh;
    out->list = old->list;
    out->old = old;
    out->files = NULL;
    out->records = malloc((count + 1) * sizeof *out->records);
    out->reasons = calloc(count + 1, sizeof *out->reasons);
    out->facts = calloc(count + 1, sizeof *out->facts);
    pulmo_status status = PULMO_OK;
    if (!out->records || !out->reasons || !out->facts)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for %zu records", count));
    PULMO_GOTO(parts_share(out, out));
    for (int s = 0; s < PULMO_SPLITS; s++) {
        const char *name = pulmo_split_name(s);
        PULMO_GOTO(pulmo_dataset_open(destination, name, 1, &old->data[s]));
    }
    for (uint32_t i = 0; i < count; i++)
        PULMO_GOTO(fill_record(old, fresh, i, out));
out:
    if (status != PULMO_OK)
        parts_close(out);
    return status;
}
