#include "selection.h"

#include <math.h>
#include <string.h>

#include "pulmo/config.h"
#include "pulmo/memory.h"

static void copy_parameters(selection *it, const pulmo_state *state)
{
    size_t bytes = state->parameters * sizeof(float);
    if (it->best.own)
        memcpy(it->best.parameters, pulmo_state_current(state), bytes);
}

pulmo_status selection_create(const pulmo_state *state, uint32_t epochs, bool keeps_best,
                              selection *out)
{
    memset(out, 0, sizeof *out);
    out->room = epochs;
    out->best.own = keeps_best;
    out->best.value = -INFINITY;
    out->best.val_loss = INFINITY;
    out->best.parameters = state->parameter;
    if (keeps_best)
        out->best.parameters = pulmo_alloc(state->parameters, sizeof(float));
    out->history = pulmo_alloc(epochs, sizeof *out->history);
    if (!out->best.parameters || !out->history) {
        selection_free(out);
        return PULMO_MEMORY;
    }
    copy_parameters(out, state);
    return PULMO_OK;
}

void selection_free(selection *it)
{
    if (it->best.own)
        pulmo_free(it->best.parameters);
    pulmo_free(it->history);
    memset(it, 0, sizeof *it);
}

double selection_value(int monitor, const pulmo_epoch_row *row)
{
    if (monitor == PULMO_MONITOR_AUC)
        return row->val_auc;
    if (monitor == PULMO_MONITOR_LOSS)
        return -row->val_loss;
    return row->val_accuracy;
}

double selection_shown(int monitor, const pulmo_epoch_row *row)
{
    return fabs(selection_value(monitor, row));
}

bool selection_is_better(const selection *it, double value, double val_loss)
{
    const best_epoch *best = &it->best;
    if (best->epoch == 0 || value > best->value)
        return true;
    return value == best->value && val_loss < best->val_loss;
}

void selection_keep(selection *it, const pulmo_state *state, double value)
{
    const pulmo_epoch_row *row = &it->history[state->epoch];
    it->best.value = value;
    it->best.val_loss = row->val_loss;
    it->best.val_accuracy = row->val_accuracy;
    it->best.epoch = state->epoch + 1;
    it->since_best = 0;
    copy_parameters(it, state);
}

void selection_pass(selection *it)
{
    it->since_best++;
}

bool selection_stops_early(const selection *it, int64_t patience)
{
    return patience > 0 && it->since_best >= patience;
}
