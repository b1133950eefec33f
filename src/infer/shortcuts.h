/* Inside the infer room: the shortcut audit of a split that a run is evaluated on. */
#ifndef PULMO_INFER_SHORTCUTS_H
#define PULMO_INFER_SHORTCUTS_H

#include "pulmo/audit.h"

/* What is audited. All are borrowed. */
typedef struct shortcuts_of {
    const char *run; /* whose results.h5 holds the cue models of its training images */
    pulmo_dataset *dataset;
    const char *split;
    const pulmo_scored *scored;
    int threads;
} shortcuts_of;

/* Measures cues of the split and, on rank 0, holds the scores against cue scores by the models of
 * the run. On other ranks, and where the run has none, *out is all zeros: that is said. Owned by
 * the caller, who ends it with pulmo_audit_free, also after a failure. Collective. */
pulmo_status shortcuts_audit(pulmo_comm *comm, const shortcuts_of *of, pulmo_audit *out);

#endif
