/* Inside the train room: choosing among epochs: their figures, the best one's parameters, and when
 * to stop early. Not collective. */
#ifndef PULMO_SELECTION_H
#define PULMO_SELECTION_H

#include "pulmo/history.h"
#include "pulmo/step.h"

typedef struct best_epoch {
    /* (parameters). Rank 0 alone keeps them while a run trains; on other ranks this is the state's
     * `parameter` itself, and run_finish sends the best there. */
    float *parameters;
    bool own;            /* whether this rank keeps them */
    double value;        /* of the monitored quantity, larger is better */
    double val_loss;     /* decides ties */
    double val_accuracy; /* for the report */
    uint32_t epoch;      /* counted from 1; 0: none yet */
} best_epoch;

typedef struct selection {
    pulmo_epoch_row *history; /* (room): a row per epoch that is done */
    uint32_t room;            /* epochs configured */
    best_epoch best;
    uint32_t since_best; /* epochs done after the best one */
    bool finished;       /* stopped early or through all epochs */
} selection;

/* For `epochs` epochs; with `keeps_best`, memory of its own for the best one's parameters, which
 * begin as the state's are. Owned by the caller, who ends it with free before the state's. */
pulmo_status selection_create(const pulmo_state *state, uint32_t epochs, bool keeps_best,
                              selection *out);
void selection_free(selection *it);

/* What train.monitor (PULMO_MONITOR_...) looks at: larger is better. */
double selection_value(int monitor, const pulmo_epoch_row *row);
/* The same as a person reads it: the loss itself. */
double selection_shown(int monitor, const pulmo_epoch_row *row);
/* Whether an epoch is better than the best so far: by its value, then by its loss on val. */
bool selection_is_better(const selection *it, double value, double val_loss);
/* The epoch that the state has just done is the best so far. */
void selection_keep(selection *it, const pulmo_state *state, double value);
/* It is not. */
void selection_pass(selection *it);
/* Whether so many epochs have passed without a better one; never for a patience of 0. */
bool selection_stops_early(const selection *it, int64_t patience);

#endif
