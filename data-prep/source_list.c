/* The end of a list of files. */
#include <stdlib.h>
#include <string.h>

#include "source.h"

void source_file_free(source_file *file)
{
    free(file->path);
    free(file->group);
    free(file->label);
    free(file->refusal);
    memset(file, 0, sizeof *file);
}

void source_list_free(source_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        source_file_free(&list->file[i]);
    free(list->file);
    lines_free(&list->notes);
    lines_free(&list->table_notes);
    pulmo_labels_free(list->labels);
    memset(list, 0, sizeof *list);
}
