/* A data set's classes as another names them: in another order, or more of them. */
#include <stdlib.h>
#include <string.h>

#include "dataset_room.h"

static int find_class(int classes, const char *const *names, const char *name)
{
    for (int k = 0; k < classes; k++)
        if (strcmp(names[k], name) == 0)
            return k;
    return -1;
}

int pulmo_dataset_foreign_class(const pulmo_dataset *d, int classes, const char *const *names)
{
    for (int k = 0; k < d->info.classes; k++)
        if (find_class(classes, names, d->info.class_names[k]) < 0)
            return k;
    return -1;
}

/* The names and their characters in one block. Owned by the caller; NULL for want of memory. */
static char **copy_names(int classes, const char *const *names)
{
    size_t bytes = (size_t)classes * sizeof(char *);
    for (int k = 0; k < classes; k++)
        bytes += strlen(names[k]) + 1;
    char **copy = malloc(bytes);
    if (!copy)
        return NULL;
    char *at = (char *)(copy + classes);
    for (int k = 0; k < classes; k++) {
        copy[k] = at;
        at = stpcpy(at, names[k]) + 1;
    }
    return copy;
}

pulmo_status pulmo_dataset_adopt_classes(pulmo_dataset *d, int classes, const char *const *names)
{
    char **copy = copy_names(classes, names);
    if (!copy)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", d->directory);
    for (uint32_t i = 0; i < d->info.count; i++) {
        const char *name = d->info.class_names[d->labels[i]];
        d->labels[i] = find_class(classes, names, name);
    }
    free(d->class_names);
    d->class_names = copy;
    d->info.class_names = (const char *const *)copy;
    d->info.classes = classes;
    return PULMO_OK;
}
