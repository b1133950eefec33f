/* The end of a list of files. */
#include <stdlib.h>
#include <string.h>

#include "patients.h"
#include "source.h"

#include "pulmo/image.h"
#include "pulmo/memory.h"

pulmo_status source_file_set_patient(source_file *file, const char *patient, int rule)
{
    char *copy = pulmo_strdup(patient);
    if (!copy)
        return PULMO_MEMORY;
    free(file->group);
    free(file->older);
    file->group = copy;
    file->older = NULL;
    file->rule = rule;
    file->sure = copy;
    file->sure_bytes = (int)strlen(copy);
    return PULMO_OK;
}

bool source_file_is_of_group(const source_file *file, const char *group)
{
    if (strcmp(group, file->group) == 0)
        return true;
    return file->older && strcmp(group, file->older) == 0;
}

bool source_file_is_open(const source_list *list, const source_file *file)
{
    if (!list->by_header || list->headers_known)
        return false;
    if (file->rule == PATIENT_TABLE || file->rule == PATIENT_PATTERN)
        return false;
    return pulmo_image_may_be_dicom(file->path);
}

char *source_file_place(const char *root, const source_file *file)
{
    return pulmo_format("%s/%s", root, file->given ? file->given : file->path);
}

void source_file_free(source_file *file)
{
    free(file->path);
    free(file->given);
    free(file->group);
    free(file->older);
    free(file->label);
    free(file->refusal);
    memset(file, 0, sizeof *file);
}

void source_list_free(source_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        source_file_free(&list->file[i]);
    free(list->file);
    free(list->header_cells);
    free(list->hidden.first);
    free(list->loose.first);
    lines_free(&list->notes);
    lines_free(&list->table_notes);
    pulmo_labels_free(list->labels);
    pulmo_pseudonyms_destroy(list->names);
    memset(list, 0, sizeof *list);
}
