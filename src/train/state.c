/* The state of a run, allocated and freed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "train.h"

pulmo_status run_state_create(size_t parameters, int states, uint32_t epochs, bool keeps_best, run_state *out)
{
    memset(out, 0, sizeof *out);
    out->parameters = parameters;
    out->states = states;
    out->history_rows = epochs;
    out->best_value = -INFINITY;
    out->best_loss = INFINITY;
    out->parameter = pulmo_alloc(parameters, sizeof(float));
    out->best = keeps_best ? pulmo_alloc(parameters, sizeof(float)) : out->parameter;
    out->history = pulmo_alloc(epochs, sizeof *out->history);
    bool whole = out->parameter && out->best && out->history;
    for (int k = 0; k < states; k++) {
        out->optim[k] = pulmo_alloc(parameters, sizeof(float));
        whole = whole && out->optim[k];
    }
    if (whole) return PULMO_OK;
    run_state_free(out);
    return pulmo_fail_in(PULMO_MEMORY, "the head's %zu parameters", parameters);
}

void run_state_free(run_state *state)
{
    if (state->best != state->parameter) pulmo_free(state->best);
    pulmo_free(state->parameter);
    pulmo_free(state->history);
    for (int k = 0; k < 2; k++) pulmo_free(state->optim[k]);
    memset(state, 0, sizeof *state);
}

void run_state_keep_best(run_state *state)
{
    if (state->best != state->parameter) memcpy(state->best, state->parameter, state->parameters * sizeof(float));
}
