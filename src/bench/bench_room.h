/* Inside the bench room.
 *
 *   bench_conv.c       the frozen convolutions
 *   bench_pack.c       packing
 *   bench_train.c      training
 *   bench_step.c       training steps, with gradients exchanged in two ways
 *   bench_allreduce.c  the sum of a gradient
 *   bench_report.c     all of them, and what bounds them, in one table
 *   bench_bank.c       a feature bank, for that table
 *   bench_room.c       what they share */
#ifndef PULMO_BENCH_ROOM_H
#define PULMO_BENCH_ROOM_H

#include <stddef.h>

#include "pulmo/backbone.h"
#include "pulmo/dist.h"
#include "pulmo/status.h"

/* A scratch directory in $TMPDIR, with so many demo images in demo/; none is left after a failure.
 * Not collective. */
pulmo_status bench_scratch_make(int images, char *path, size_t bytes);
void bench_scratch_remove(const char *path);
/* Packs the demo images of a scratch directory. Collective. */
pulmo_status bench_pack_demo(pulmo_comm *comm, const char *scratch, int size, const char *packed);
/* Packs the demo images of a scratch directory and makes a bank there, one view of each: images per
 * second, without the packing. Collective. */
pulmo_status bench_bank(pulmo_comm *comm, const pulmo_backbone *backbone, int size_px,
                        const char *scratch, double *rate);

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
