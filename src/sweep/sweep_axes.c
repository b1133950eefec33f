/* Axes of the grid: which of them repeat trials, how far trials are apart along one. */
#include <string.h>

#include "sweep_room.h"

bool sweep_is_repeat(const pulmo_grid *grid, int axis)
{
    const pulmo_grid_axis *it = &grid->axis[axis];
    bool is_seed = strcmp(it->key, "train.seed") == 0;
    bool is_fold = strcmp(it->key, SWEEP_FOLD_KEY) == 0;
    if (it->count < 2)
        return false;
    return is_seed || is_fold;
}

bool sweep_has_repeats(const pulmo_grid *grid)
{
    for (int a = 0; a < grid->axes; a++) {
        if (sweep_is_repeat(grid, a))
            return true;
    }
    return false;
}

int sweep_axis_of(const pulmo_grid *grid, const char *key)
{
    for (int a = 0; a < grid->axes; a++) {
        const pulmo_grid_axis *it = &grid->axis[a];
        bool is_named = strcmp(it->key, key) == 0;
        if (is_named && it->count > 1)
            return a;
    }
    return -1;
}

uint64_t sweep_trials_apart(const pulmo_grid *grid, int axis)
{
    uint64_t apart = 1;
    for (int a = grid->axes - 1; a > axis; a--)
        apart *= (uint64_t)grid->axis[a].count;
    return apart;
}
