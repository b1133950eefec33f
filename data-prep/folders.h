/* Inside the preparation room: the folders of a source. */
#ifndef PULMO_PREP_FOLDERS_H
#define PULMO_PREP_FOLDERS_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "source.h"

/* PATH/NAME; where either is "", the other alone. Owned by the caller; NULL for want of memory. */
char *folder_path(const char *path, const char *name);

/* What stands in ROOT/PATH, hidden files left out, in an order that depends on names alone. Owned
 * by the caller (folder_list_free). */
pulmo_status folder_list(const char *root, const char *path, struct dirent ***entries, int *count);
/* The same with hidden ones. */
pulmo_status folder_list_all(const char *root, const char *path, struct dirent ***entries,
                             int *count);
bool folder_is_hidden(const struct dirent *entry);
void folder_list_free(struct dirent **entries, int count);
/* Whether entry `i` is called masks (or mask) and stands beside one called images (or image): what
 * is in it is no image of its class. */
bool folder_is_of_masks(struct dirent *const *entries, int count, int i);

/* Why ROOT/PATH cannot be opened, where that is the name's own fault: a link that leads nowhere or
 * round in a circle. 0 where it can. Other failures may pass, and must cost no image: PULMO_IO. */
pulmo_status folder_look(const char *root, const char *path, struct stat *about, int *own_fault);
/* Whether ROOT/PATH is a directory. */
pulmo_status folder_find(const char *root, const char *path, bool *folder);

/* Folders that are splits by another name are PULMO_DATA; folders beside splits make a note. */
pulmo_status folders_judge(source_list *list);
/* Without splits: several data sets in one folder, or one a level further down, are PULMO_DATA with
 * the path that was probably meant; so are splits within class folders, with how to turn them. */
pulmo_status folders_judge_nesting(const source_list *list);

#endif
