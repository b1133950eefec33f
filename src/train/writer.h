/* Inside the train room: the thread that writes checkpoints while training goes on. By rank 0, from
 * one thread. Not collective.
 *
 *   training   give: a copy │ goes on ...                          │ collect
 *   writer                  │ temporary file, fsync, rename │ done │
 *
 * There is one copy of what a checkpoint holds, so that one is written at a time: none overtakes
 * another. */
#ifndef PULMO_WRITER_H
#define PULMO_WRITER_H

#include "checkpoint.h"
#include "lease.h"

typedef struct writer writer;

typedef struct writer_parts {
    const char *path;             /* of the checkpoint; kept */
    const run_identity *identity; /* kept */
    const lease *lease;           /* looked at before each write; kept. NULL: there is none */
    pulmo_state_shape shape;
    const pulmo_layout *layout; /* kept */
    uint32_t epochs;            /* configured */
} writer_parts;

/* What came of a write. */
typedef struct writer_done {
    pulmo_failure failure; /* none: the checkpoint stands */
    double took_s;
    uint32_t epoch, batch; /* at which it resumes, from 0 */
} writer_done;

/* Allocates the copy (the state's vectors and the best parameters) and starts the thread. Owned by
 * the caller. PULMO_MEMORY, PULMO_RUNTIME. */
pulmo_status writer_create(const writer_parts *parts, writer **out);
/* Ends what was given to it first; warns of a failure that nobody collected. NULL is a no-op. */
void writer_destroy(writer *w);

/* Copies all of it and has it written. The write before must have been collected. */
void writer_give(writer *w, const pulmo_state *state, const selection *chosen, const trail *left);
/* Whether a write is under way. NULL writes nothing. */
bool writer_is_busy(writer *w);
/* True with *out filled, once per write, when one has ended; with `wait`, the one under way is
 * waited for. */
bool writer_collect(writer *w, bool wait, writer_done *out);

#endif
