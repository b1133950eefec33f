/* Inside the inspect room. */
#ifndef PULMO_INSPECT_ROOM_H
#define PULMO_INSPECT_ROOM_H

#include <stdio.h>

#include "pulmo/status.h"

/* Everything that a file holds. */
pulmo_status inspect_file(const char *path, FILE *out);

#endif
