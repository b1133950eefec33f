/* Inside the train room: what each epoch of a run has left of every trained tensor, its digest,
 * whose arithmetic made them and in what time. Kept by rank 0; goes with the checkpoint. Not
 * collective. */
#ifndef PULMO_TRAIL_H
#define PULMO_TRAIL_H

#include "pulmo/digest.h"
#include "pulmo/layout.h"
#include "pulmo/spent.h"

typedef struct trail {
    const pulmo_layout *layout; /* borrowed */
    uint32_t room;              /* epochs configured; 0 on ranks that keep none */
    pulmo_digest *digest;       /* (room, layout->tensors): none where it is not known */
    int64_t arithmetic;         /* of all epochs; PULMO_ARITHMETIC_MIXED: of several versions */
    pulmo_spent spent;          /* since trail_create, and before this process */
} trail;

/* Owned by the caller, who ends it with free. PULMO_MEMORY. */
pulmo_status trail_create(const pulmo_layout *layout, uint32_t epochs, trail *out);
void trail_free(trail *it);

/* The digests after an epoch, counted from 0: (layout->tensors). Borrowed. */
pulmo_digest *trail_row(const trail *it, uint32_t epoch);
/* Fills that row from the parameters (layout->parameters). */
void trail_take(trail *it, uint32_t epoch, const float *parameters);

#endif
