/* Inside the table room: which file a row means, by the longest common tail of their paths.
 *
 *   row   CheXpert-v1.0-small/train/patient00007/study1/view1_frontal.jpg
 *   file              chexpert/train/patient00007/study1/view1_frontal.jpg      4 parts in common
 */
#ifndef PULMO_TABLE_TAIL_H
#define PULMO_TABLE_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

/* Paths from their ends: the name without an ending of images, then the folders from the last to
 * the first. Sorted, so that those with the longest common tail stand beside each other. */
typedef struct tail_index tail_index;

/* `paths` are kept. NULL among them, and "", stand for nothing and are found by nothing. Owned by
 * the caller (tail_index_free). PULMO_MEMORY. */
pulmo_status tail_index_make(const char *const *paths, size_t count, tail_index **out);
void tail_index_free(tail_index *index);

#define TAIL_NONE      UINT32_MAX
#define TAIL_AMBIGUOUS (UINT32_MAX - 1)

/* What a row means among the files. */
typedef struct tail_match {
    uint32_t file;  /* or TAIL_NONE, TAIL_AMBIGUOUS */
    uint32_t other; /* where ambiguous: file `first` and this one */
    uint32_t first;
} tail_match;

/* For each row the file with the longest common tail, into `out` (rows). The tail must tell the row
 * from all others and the file from all others: it is all of either path; or no other row has it,
 * and it holds all that is not common to all rows, or a name that no other row has. So
 * patient7/study1/view1.jpg is not taken for patient8/study1/view1.jpg that is not there. And a
 * folder that the row names above the tail is one of the file's, where images are in a folder of
 * that name at that height: a/5.png is not taken for b/5.png where there is b/4.png. PULMO_MEMORY.
 */
pulmo_status tail_match_all(const tail_index *rows, const tail_index *files, tail_match *out);

/* Whether a name ends as images do: .jpg, .jpeg, .png, .dcm and so on, in any case. */
bool tail_is_image(const char *path);

#endif
