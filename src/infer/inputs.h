/* Inside the infer room: image files that a user names, for predict and explain. */
#ifndef PULMO_INFER_INPUTS_H
#define PULMO_INFER_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/image.h"
#include "pulmo/status.h"

typedef struct input_list {
    char **paths;
    size_t count, room;
    size_t missed; /* entries of directories that could not be looked at: reported, not listed */
    bool by_stdin; /* "-" was among the inputs: the list may be empty */
} input_list;

/* Files as they are named, the images of directories and those below them in name order, and for
 * "-" the paths on stdin: one per line, or ended by NULs where there are any (find -print0); a byte
 * order mark before them is skipped, a list in UTF-16 is PULMO_DATA. Links
 * are followed, but not back to a folder that they stand in. PULMO_USAGE if there is no image,
 * unless "-" is among the inputs: a list from stdin may be empty. On failure the list is freed. */
pulmo_status input_list_collect(const char *const *inputs, int count, input_list *out);
void input_list_free(input_list *list);

/* Whether the others are done when one image fails so: not where it is this process that fails. */
bool input_costs_one_image(pulmo_status status);

/* How a command over the list ends, of whose images `bad` could not be used. */
pulmo_status input_list_outcome(const input_list *list, size_t bad);

/* Decodes a file of at most `pixels_max` pixels; what is seen is what a model of this framing
 * takes, size_px x size_px, to the bit as pack makes it; size_px 0: the same in the file's own
 * size. Errors name the file. */
pulmo_status input_image_read(const char *path, const pulmo_framing *framing, int size_px,
                              int64_t pixels_max, pulmo_image *out);

#endif
