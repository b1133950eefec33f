/* Inside the data room: what both the writer and the reader of packed files need. */
#ifndef PULMO_PACKED_ROOM_H
#define PULMO_PACKED_ROOM_H

#include "pulmo/digest.h"
#include "pulmo/h5.h"
#include "pulmo/packed.h"

/* SHA-256 over everything that makes a split's tensors and scores what they are: its shape, resize,
 * decode, class names and, in order, labels, paths, source digests and, but for packs of releases
 * that did not, digests of pixels. */
pulmo_status packed_digest(const pulmo_packed_form *form, const pulmo_packed_split *split,
                           bool of_pixels, char hex[PULMO_DIGEST_HEX]);

/* Formats of images, as an attribute of the root. */
pulmo_status packed_write_formats(pulmo_h5 *file, unsigned formats);

/* PULMO_DATA: `what` is wrong with the file, and how to mend it. */
pulmo_status packed_damaged(const pulmo_h5 *file, const char *what);

/* An attribute from `low` to `high`, or PULMO_DATA. */
pulmo_status packed_get_int(pulmo_h5 *file, const char *object, const char *name, int64_t low,
                            int64_t high, int64_t *out);

#endif
