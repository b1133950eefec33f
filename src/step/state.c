/* What an update changes, allocated and freed. */
#include <string.h>

#include "pulmo/memory.h"
#include "pulmo/step.h"

int pulmo_state_vectors(const pulmo_state_shape *shape)
{
    return 1 + shape->states + (shape->averages ? 1 : 0);
}

pulmo_status pulmo_state_create(const pulmo_state_shape *shape, pulmo_state *out)
{
    memset(out, 0, sizeof *out);
    out->parameters = shape->parameters;
    out->states = shape->states;
    out->parameter = pulmo_alloc(shape->parameters, sizeof(float));
    bool whole = out->parameter != NULL;
    for (int k = 0; k < shape->states; k++) {
        out->optim[k] = pulmo_alloc(shape->parameters, sizeof(float));
        whole = whole && out->optim[k];
    }
    if (shape->averages) {
        out->average = pulmo_alloc(shape->parameters, sizeof(float));
        whole = whole && out->average;
    }
    if (whole)
        return PULMO_OK;
    pulmo_state_free(out);
    return pulmo_fail_in(PULMO_MEMORY, "%zu trained parameters", shape->parameters);
}

void pulmo_state_free(pulmo_state *state)
{
    pulmo_free(state->parameter);
    pulmo_free(state->average);
    for (int k = 0; k < 2; k++)
        pulmo_free(state->optim[k]);
    memset(state, 0, sizeof *state);
}

const float *pulmo_state_current(const pulmo_state *state)
{
    return state->average ? state->average : state->parameter;
}
