/* Inside the train room: checkpoint.h5, all that is needed to resume a run. */
#ifndef PULMO_CHECKPOINT_H
#define PULMO_CHECKPOINT_H

#include "pulmo/config.h"
#include "pulmo/digest.h"
#include "pulmo/step.h"
#include "selection.h"
#include "trail.h"

/* What a checkpoint must agree with to be resumed from. */
typedef struct run_identity {
    const pulmo_config *config;
    char data_digest[PULMO_DIGEST_HEX], weights_digest[PULMO_DIGEST_HEX];
    char start_digest[PULMO_DIGEST_HEX]; /* of what train.init names; "" where it names none */
    char features[128];                  /* where training's came from, in words */
} run_identity;

/* Whole or not at all; the previous one stands until then. By rank 0. Not collective. */
pulmo_status checkpoint_write(const char *path, const run_identity *identity,
                              const pulmo_state *state, const selection *chosen, const trail *left);
/* Refuses (PULMO_CONFIG) a checkpoint of other data, configuration or weights, naming what differs.
 * One of another version's arithmetic makes the trail mixed. */
pulmo_status checkpoint_read(const char *path, const run_identity *identity, pulmo_state *state,
                             selection *chosen, trail *left);

#endif
