/* Patients and kept columns by the headers of DICOM files. */
#include "headers.h"

#include <stdlib.h>
#include <string.h>

#include "patients.h"
#include "update.h"

void headers_choose(source_list *list)
{
    if (!list->labels)
        return;
    const size_t kept = pulmo_labels_kept(list->labels).count;
    for (size_t k = 0; k < kept; k++) {
        const int element = pulmo_labels_header(list->labels, k);
        if (element < 0)
            continue;
        list->header[list->headers] = element;
        list->header_column[list->headers] = k;
        list->headers++;
    }
}

/* ---- cells ---- */

static size_t kept_count(const source_list *list)
{
    return pulmo_labels_kept(list->labels).count;
}

static pulmo_status make_cells(source_list *list)
{
    if (list->headers == 0 || list->header_cells)
        return PULMO_OK;
    const size_t cells = kept_count(list) * list->count;
    list->header_cells = calloc(cells + 1, sizeof *list->header_cells);
    if (list->header_cells)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for kept columns");
}

/* A file's cells, those of tables as they were: the others are to be filled. */
static const char **own_cells(source_list *list, size_t i)
{
    const size_t kept = kept_count(list);
    source_file *file = &list->file[i];
    const char **cells = list->header_cells + i * kept;
    for (size_t k = 0; k < kept; k++)
        cells[k] = file->kept ? file->kept[k] : "";
    file->kept = cells;
    return cells;
}

/* ---- what was decoded ---- */

static pulmo_status take_patient(source_list *list, source_file *file, const char *patient,
                                 const char *folded)
{
    if (*patient == '\0') {
        list->nameless++;
        return PULMO_OK;
    }
    if (!list->by_header || file->rule == PATIENT_TABLE || file->rule == PATIENT_PATTERN)
        return PULMO_OK;
    if (*folded)
        file->folded = folded;
    return source_file_set_patient(file, patient, PATIENT_HEADER);
}

/* `values` follow each other, each ended by NUL. */
static void take_values(source_list *list, size_t i, const char *values)
{
    if (list->headers == 0)
        return;
    const char **cells = own_cells(list, i);
    for (int h = 0; h < list->headers; h++) {
        cells[list->header_column[h]] = values;
        values += strlen(values) + 1;
    }
}

pulmo_status headers_apply(const part_store *store, source_list *list)
{
    PULMO_TRY(make_cells(list));
    for (size_t i = 0; i < list->count; i++) {
        const char *facts = store->facts[i];
        if (!facts)
            continue;
        const char *folded = facts + strlen(facts) + 1;
        PULMO_TRY(take_patient(list, &list->file[i], facts, folded));
        take_values(list, i, folded + strlen(folded) + 1);
    }
    list->headers_known = true;
    return PULMO_OK;
}

/* ---- what is packed already ---- */

static void adopt_cells(const old_split *split, uint32_t place, source_list *list, uint32_t i)
{
    if (list->headers == 0)
        return;
    const char **cells = own_cells(list, i);
    for (int h = 0; h < list->headers; h++) {
        const size_t k = list->header_column[h];
        if (k < split->kept_count)
            cells[k] = split->kept[k][place];
    }
}

/* The group that a file was packed in; an unknown patient stays one. */
static pulmo_status adopt_group(const old_pack *old, const source_list *list, source_file *file,
                                const char *group)
{
    const bool is_open = source_file_is_open(list, file);
    if (strcmp(group, file->group) == 0)
        return PULMO_OK;
    if (source_file_is_of_group(file, group) && !(is_open && old->all_known)) {
        free(file->group);
        file->group = file->older;
        file->older = NULL;
        return PULMO_OK;
    }
    if (is_open)
        return source_file_set_patient(file, group, PATIENT_HEADER);
    return PULMO_OK;
}

pulmo_status headers_adopt(const old_pack *old, source_list *list)
{
    PULMO_TRY(make_cells(list));
    for (uint32_t i = 0; i < list->count; i++) {
        if (old->split_of[i] < 0)
            continue;
        const old_split *split = &old->split[old->split_of[i]];
        const uint32_t place = old->place[i];
        source_file *file = &list->file[i];
        const char *group = split->groups[place];
        PULMO_TRY(adopt_group(old, list, file, group));
        adopt_cells(split, place, list, i);
    }
    return PULMO_OK;
}
