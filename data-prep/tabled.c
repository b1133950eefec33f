/* What tables of labels and new names make of a listed source. */
#include "tabled.h"

#include <stdlib.h>
#include <string.h>

#include "patients.h"

#include "pulmo/memory.h"
#include "pulmo/text.h"

/* ---- keys that would say one thing twice ---- */

static pulmo_status judge_keys(const pulmo_config *config)
{
    const char *const held[PULMO_SPLITS] = {"", config->pack.val_pattern,
                                            config->pack.test_pattern};
    const char *const lists[PULMO_SPLITS] = {config->pack.train_list, config->pack.val_list,
                                             config->pack.test_list};
    if (*config->pack.label_pattern && pulmo_labels_give_classes(config))
        return pulmo_fail(PULMO_CONFIG, "pack.label_pattern: the table says the classes; leave the "
                                        "pattern out");
    for (int s = 0; s < PULMO_SPLITS; s++) {
        if (*held[s] && (*lists[s] || *config->pack.table_split))
            return pulmo_fail(
                PULMO_CONFIG, "pack.%s_pattern and %s: each says what %s is; leave one out",
                pulmo_split_name(s), *lists[s] ? "a list of its files" : "pack.table_split",
                pulmo_split_name(s));
    }
    return PULMO_OK;
}

/* ---- files ---- */

static pulmo_status replace(char **text, const char *by)
{
    char *copy = pulmo_strdup(by);
    if (!copy)
        return PULMO_MEMORY;
    free(*text);
    *text = copy;
    return PULMO_OK;
}

static pulmo_status take_label(source_file *file, const pulmo_file_label *label)
{
    if (label->label)
        PULMO_TRY(replace(&file->label, label->label));
    if (label->split >= 0)
        file->split = label->split;
    file->kept = label->kept;
    if (!label->patient)
        return PULMO_OK;
    return source_file_set_patient(file, label->patient, PATIENT_TABLE);
}

/* Closes the list up over the files that are left out, those without a path. */
static void close_up(source_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!list->file[i].path)
            continue;
        if (kept != i)
            list->file[kept] = list->file[i];
        kept++;
    }
    list->count = kept;
}

/* A split that a pattern names loses the file, too. */
static void leave_out(source_list *list, source_file *file)
{
    if (list->held[file->split] > 0)
        list->held[file->split]--;
    source_file_free(file);
}

/* ---- tables ---- */

static pulmo_status match(source_list *list, pulmo_file_label *labels)
{
    const char **paths = malloc((list->count + 1) * sizeof *paths);
    if (!paths)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu files", list->count);
    for (size_t i = 0; i < list->count; i++)
        paths[i] = list->file[i].path;
    pulmo_status status = pulmo_labels_match(list->labels, paths, list->count, labels);
    free(paths);
    return status;
}

static pulmo_status take_labels(source_list *list, const pulmo_file_label *labels)
{
    for (size_t i = 0; i < list->count; i++) {
        if (labels[i].fate == PULMO_LABEL_TAKEN)
            PULMO_TRY(take_label(&list->file[i], &labels[i]));
        else
            leave_out(list, &list->file[i]);
    }
    close_up(list);
    return PULMO_OK;
}

static pulmo_status apply_tables(source_list *list, const pulmo_config *config)
{
    if (!pulmo_labels_wanted(config))
        return PULMO_OK;
    PULMO_TRY(pulmo_labels_read(config, list->root, &list->labels));
    pulmo_file_label *labels = malloc((list->count + 1) * sizeof *labels);
    if (!labels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for labels of %zu files", list->count);
    pulmo_status status = match(list, labels);
    if (status == PULMO_OK)
        status = take_labels(list, labels);
    free(labels);
    PULMO_TRY(status);
    pulmo_label_lines notes = pulmo_labels_report(list->labels).notes;
    for (size_t i = 0; i < notes.count; i++)
        PULMO_TRY(lines_add(&list->table_notes, "%s", notes.text[i]));
    return PULMO_OK;
}

/* ---- new names of folders ---- */

/* A note on the name that was probably meant; NULL without. Owned by the caller. */
static pulmo_status find_near(const pulmo_label_map *map, const char *label, char **out)
{
    const char *near = NULL;
    PULMO_TRY(pulmo_label_map_near(map, label, &near));
    if (!near)
        return PULMO_OK;
    *out = pulmo_format(PULMO_LABEL_NEAR_NOTE, near, label);
    return *out ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status rename_labels(source_list *list, const pulmo_label_map *map)
{
    size_t unnamed = 0;
    char *first = NULL;
    char *near = NULL; /* a note on the first label that the map nearly names */
    pulmo_status status = PULMO_OK;
    for (size_t i = 0; i < list->count && status == PULMO_OK; i++) {
        source_file *file = &list->file[i];
        const char *name = pulmo_label_map_find(map, file->label);
        if (name) {
            status = replace(&file->label, name);
            continue;
        }
        if (unnamed == 0)
            status = replace(&first, file->label);
        if (status == PULMO_OK && !near)
            status = find_near(map, file->label, &near);
        unnamed++;
        leave_out(list, file);
    }
    close_up(list);
    if (status == PULMO_OK && unnamed > 0)
        status = lines_add(&list->table_notes,
                           "left out: %zu file%s of labels that pack.label_map does not name, as "
                           "\"%s\"",
                           unnamed, pulmo_plural(unnamed), first);
    if (status == PULMO_OK && near)
        status = lines_add(&list->table_notes, "%s", near);
    free(near);
    free(first);
    return status;
}

static pulmo_status apply_map(source_list *list, const pulmo_config *config)
{
    pulmo_label_map *map = NULL;
    if (pulmo_labels_give_classes(config))
        return PULMO_OK; /* the table's labels have their new names */
    PULMO_TRY(pulmo_label_map_read(config->pack.label_map, &map));
    pulmo_status status = map ? rename_labels(list, map) : PULMO_OK;
    pulmo_label_map_free(map);
    return status;
}

pulmo_status tabled_check(const pulmo_config *config)
{
    PULMO_TRY(judge_keys(config));
    return pulmo_labels_check(config);
}

pulmo_status tabled_apply(source_list *list, const pulmo_config *config)
{
    size_t listed = list->count;
    char *notes = NULL;
    PULMO_TRY(apply_tables(list, config));
    PULMO_TRY(apply_map(list, config));
    if (list->count > 0 || listed == 0)
        return PULMO_OK;
    pulmo_status status = lines_join(&list->table_notes, "; ", &notes);
    if (status == PULMO_OK)
        status = pulmo_fail(PULMO_DATA, "%s: none of its %zu file%s is left: %s", list->root,
                            listed, pulmo_plural(listed), notes);
    free(notes);
    return status;
}

/* ---- for the manifest ---- */

void tabled_digest(const source_list *list, pulmo_digester *digester)
{
    if (!list->labels)
        return;
    pulmo_label_lines kept = pulmo_labels_kept(list->labels);
    for (size_t k = 0; k < kept.count; k++)
        pulmo_digester_add_text(digester, kept.text[k]);
    for (size_t i = 0; i < list->count; i++) {
        const source_file *file = &list->file[i];
        pulmo_digester_add(digester, &file->split, sizeof file->split);
        for (size_t k = 0; file->kept && k < kept.count; k++)
            pulmo_digester_add_text(digester, file->kept[k]);
    }
}

pulmo_status tabled_columns(const source_list *list, const uint32_t *order,
                            pulmo_packed_split *split)
{
    size_t count = split->count;
    if (!list->labels || count == 0)
        return PULMO_OK;
    pulmo_label_lines kept = pulmo_labels_kept(list->labels);
    const char *const **columns = malloc((kept.count + 1) * sizeof *columns);
    const char **cells = malloc((kept.count * count + 1) * sizeof *cells);
    if (!columns || !cells) {
        free(columns);
        free(cells);
        return pulmo_fail(PULMO_MEMORY, "out of memory for kept columns");
    }
    for (size_t k = 0; k < kept.count; k++) {
        columns[k] = cells + k * count;
        for (size_t i = 0; i < count; i++) {
            const source_file *file = &list->file[order[i]];
            cells[k * count + i] = file->kept ? file->kept[k] : "";
        }
    }
    columns[kept.count] = cells; /* kept to be freed */
    split->kept = (int)kept.count;
    split->kept_names = kept.text;
    split->kept_columns = columns;
    return PULMO_OK;
}

void tabled_columns_free(pulmo_packed_split *split)
{
    if (!split->kept_columns)
        return;
    free((void *)(uintptr_t)split->kept_columns[split->kept]);
    free((void *)(uintptr_t)split->kept_columns);
    split->kept_columns = NULL;
}

static pulmo_lines from_labels(pulmo_label_lines lines)
{
    return (pulmo_lines){.count = lines.count, .text = lines.text};
}

void tabled_describe(const source_list *list, pulmo_manifest *manifest)
{
    if (list->names)
        return; /* what tables lack is told by its names: on the terminal alone */
    const text_lines *notes = &list->table_notes;
    manifest->has_table = list->labels || notes->count > 0;
    manifest->table_notes = (pulmo_lines){notes->count, (const char *const *)notes->text};
    if (!list->labels)
        return;
    pulmo_label_report report = pulmo_labels_report(list->labels);
    manifest->rows_without_file = from_labels(report.rows_without_file);
    manifest->files_without_row = from_labels(report.files_without_row);
}
