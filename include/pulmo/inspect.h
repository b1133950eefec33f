/* What any HDF5 file holds. Not collective. */
#ifndef PULMO_INSPECT_H
#define PULMO_INSPECT_H

#include <stdio.h>

#include "pulmo/status.h"

/* Says in words what an HDF5 file holds: its kind, its attributes, its datasets with shapes and
 * small values. */
pulmo_status pulmo_inspect(const char *path, FILE *out);

#endif
