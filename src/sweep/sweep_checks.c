/* What the data refuse of a grid, found before the first trial begins. */
#include <stdlib.h>

#include "pulmo/log.h"
#include "pulmo/train.h"
#include "sweep_room.h"

/* One trial stands for all that differ from it in keys that the data have no say in. */
static bool stands_for_others(const sweep *s, uint64_t number)
{
    for (int a = 0; a < s->grid->axes; a++) {
        const bool judged = pulmo_train_check_reads(s->grid->axis[a].key);
        if (!judged && pulmo_grid_index(s->grid, number, a) != 0)
            return false;
    }
    return true;
}

static pulmo_status check_trial(const sweep *s, uint64_t number)
{
    pulmo_config *config = NULL;
    PULMO_TRY(sweep_configure(s, number, &config));
    pulmo_status status = pulmo_train_check(s->comm, config);
    free(config);
    if (status == PULMO_CONFIG || status == PULMO_DATA)
        return pulmo_fail(status, "grid: %s: %s (no trial was begun)", s->trials[number].name,
                          pulmo_error());
    if (status == PULMO_MEMORY)
        return status;
    pulmo_error_clear(); /* what cannot be read just now is the trial's own failure */
    return PULMO_OK;
}

pulmo_status sweep_check_data(const sweep *s)
{
    const int size = pulmo_comm_size(s->comm);
    pulmo_status status = PULMO_OK;
    pulmo_log_setup(PULMO_LOG_QUIET, 0, size); /* each trial says it */
    for (uint64_t t = 0; status == PULMO_OK && t < s->count; t++)
        if (stands_for_others(s, t))
            status = check_trial(s, t);
    pulmo_log_setup(s->options->level, 0, size);
    return status;
}
