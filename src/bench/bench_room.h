/* Inside the bench room.
 *
 *   bench_conv.c       the frozen convolutions
 *   bench_pack.c       packing
 *   bench_train.c      training
 *   bench_step.c       training steps, with gradients exchanged in two ways
 *   bench_allreduce.c  the sum of a gradient
 *   bench_room.c       what they share */
#ifndef PULMO_BENCH_ROOM_H
#define PULMO_BENCH_ROOM_H

#include <stddef.h>

#include "pulmo/status.h"

/* A scratch directory in $TMPDIR, with so many demo images in demo/; none is left after a failure.
 * Not collective. */
pulmo_status bench_scratch_make(int images, char *path, size_t bytes);
void bench_scratch_remove(const char *path);

/* One member of the JSON object that a benchmark ends with: a text, or a number with so many
 * decimals. */
typedef struct bench_member {
    const char *name;
    int decimals;
    double value;
    const char *text; /* NULL: a number */
} bench_member;
#define BENCH_NUMBER(name, decimals, value)                                                        \
    {                                                                                              \
        name, decimals, value, NULL                                                                \
    }
#define BENCH_TEXT(name, text)                                                                     \
    {                                                                                              \
        name, 0, 0, text                                                                           \
    }
/* The object, one line on stdout. */
void bench_print_json(const bench_member *members, size_t count);
#define BENCH_PRINT_JSON(members) bench_print_json(members, sizeof(members) / sizeof((members)[0]))

#endif
