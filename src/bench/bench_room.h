/* Inside the bench room. */
#ifndef PULMO_BENCH_ROOM_H
#define PULMO_BENCH_ROOM_H

#include <stddef.h>

#include "pulmo/status.h"

/* A scratch directory in $TMPDIR, with so many demo images in demo/. Not collective. */
pulmo_status bench_scratch_make(int images, char *path, size_t bytes);
void bench_scratch_remove(const char *path);

#endif
