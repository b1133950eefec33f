/* Inside the infer room: image files that a user names, for predict and explain. */
#ifndef PULMO_INFER_INPUTS_H
#define PULMO_INFER_INPUTS_H

#include <stddef.h>

#include "pulmo/image.h"
#include "pulmo/status.h"

typedef struct input_list {
    char **paths;
    size_t count, room;
} input_list;

/* Files as they are named, the JPEGs of directories and those below them in name order, and for
 * "-" one path a line from stdin. PULMO_USAGE if there is none. On failure the list is freed. */
pulmo_status input_list_collect(const char *const *inputs, int count, input_list *out);
void input_list_free(input_list *list);

/* Decodes a file, any size; the report names it. */
pulmo_status input_image_read(const char *path, pulmo_image *out);
/* The same, resized to size_px x size_px on the way. */
pulmo_status input_image_read_resized(const char *path, int size_px, pulmo_image *out);

#endif
