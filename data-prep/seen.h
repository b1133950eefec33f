/* Inside the preparation room: DEST/.files, by which the next pack sees what was touched.
 *
 * 64 hexadecimal digits, the digest of all that follows from the list; a line end; and for each
 * file of the list "SIZE MODIFIED_NS PATH", ended by NUL. Not synced: half of it is as good as
 * none. */
#ifndef PULMO_PREP_SEEN_H
#define PULMO_PREP_SEEN_H

#include <stdbool.h>

#include "source.h"

#include "pulmo/digest.h"

#define SEEN_NAME ".files"

pulmo_status seen_write(const char *destination, const pulmo_digest *files,
                        const source_list *list);
/* Whether DEST was packed from files of this digest. */
bool seen_matches(const char *destination, const pulmo_digest *files);

/* Sizes and times of the files at the time of the pack, by path. */
typedef struct seen_file {
    const char *path;
    int64_t size_bytes, modified_ns;
} seen_file;

typedef struct seen_files {
    seen_file *file; /* (count), in order of paths */
    size_t count;
    char *text;
} seen_files;

/* Empty where there is no such file, or one without files. Owned by the caller (seen_free). */
pulmo_status seen_read(const char *destination, seen_files *out);
void seen_free(seen_files *seen);
/* NULL where the file was not there. Borrowed. */
const seen_file *seen_find(const seen_files *seen, const char *path);

#endif
