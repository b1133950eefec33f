/* What any HDF5 file holds, and whether it is what was written. Not collective. */
#ifndef PULMO_INSPECT_H
#define PULMO_INSPECT_H

#include <stdbool.h>
#include <stdio.h>

#include "pulmo/status.h"

/* Says in words what an HDF5 file holds: its kind, its attributes, its datasets with shapes and
 * small values. Of a run or a packed data set, which are directories: what it is, of which images,
 * and what came of it, in a few lines; with `all` everything that results.h5 or the manifest
 * holds. PULMO_DATA where a part cannot be read. */
pulmo_status pulmo_inspect(const char *path, bool all, FILE *out);

/* Compares a file, or every .h5 in a directory and below, with the digests in it: every dataset,
 * attribute and row. A line on `out` for each thing that differs. PULMO_DATA where there are any or
 * nothing to compare; PULMO_IO where a file cannot be read. */
pulmo_status pulmo_verify(const char *path, FILE *out);

#endif
