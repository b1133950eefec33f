/* A grid over keys of the configuration: what `pulmo sweep` goes through. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "grid.h"
#include "pulmo/memory.h"
#include "schema.h"

void pulmo_grid_free(pulmo_grid *grid)
{
    for (int a = 0; a < grid->axes; a++)
        for (int v = 0; v < grid->axis[a].count; v++)
            free(grid->axis[a].value[v]);
    memset(grid, 0, sizeof *grid);
}

/* One axis a key, of keys that make a difference between runs. */
static pulmo_status begin_axis(pulmo_grid *grid, const char *key, pulmo_grid_axis **out)
{
    char section[64] = "", name[64] = "";
    if (sscanf(key, "%63[^.].%63s", section, name) != 2)
        return pulmo_fail(PULMO_CONFIG, "%s: must be section.key, as in optim.lr", key);
    const config_key *known = key_find(section, name);
    if (!known)
        return PULMO_CONFIG;
    if (strcmp(key, "train.run_dir") == 0)
        return pulmo_fail(
            PULMO_CONFIG,
            "train.run_dir: each trial has its own below the sweep's; it cannot be an axis");
    for (int a = 0; a < grid->axes; a++)
        if (strcmp(grid->axis[a].key, key) == 0)
            return pulmo_fail(PULMO_CONFIG, "%s is given twice", key);
    if (grid->axes == PULMO_GRID_AXES)
        return pulmo_fail(PULMO_CONFIG, "%s: more than %d keys in a grid", key, PULMO_GRID_AXES);
    *out = &grid->axis[grid->axes++];
    snprintf((*out)->key, sizeof(*out)->key, "%s", key);
    return PULMO_OK;
}

/* Whether the key takes the value: said here, not when its trial's turn has come. */
static pulmo_status check_value(const pulmo_grid_axis *axis, const char *text)
{
    pulmo_config *scratch = malloc(sizeof *scratch);
    if (!scratch)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a grid");
    pulmo_config_init(scratch);
    pulmo_status status = key_store(key_named(axis->key), scratch, text);
    free(scratch);
    if (status != PULMO_OK)
        return pulmo_fail_in(status, "%s", axis->key);
    return PULMO_OK;
}

static pulmo_status add_value(pulmo_grid_axis *axis, const char *text)
{
    PULMO_TRY(check_value(axis, text));
    if (axis->count == PULMO_GRID_VALUES)
        return pulmo_fail(PULMO_CONFIG, "%s: more than %d values", axis->key, PULMO_GRID_VALUES);
    for (int v = 0; v < axis->count; v++) {
        if (strcmp(axis->value[v], text) == 0)
            return pulmo_fail(PULMO_CONFIG, "%s: \"%s\" is given twice", axis->key, text);
    }
    char *copy = pulmo_strdup(text);
    if (!copy)
        return PULMO_MEMORY;
    axis->value[axis->count++] = copy;
    return PULMO_OK;
}

pulmo_status grid_add_axis(pulmo_grid *grid, const char *key, int count, char *const *values)
{
    pulmo_grid_axis *axis = NULL;
    PULMO_TRY(begin_axis(grid, key, &axis));
    if (count == 0)
        return pulmo_fail(PULMO_CONFIG, "%s: has no values", key);
    for (int v = 0; v < count; v++)
        PULMO_TRY(add_value(axis, values[v]));
    return PULMO_OK;
}

/* Up to a comma outside brackets, blanks cut off; *at behind it, NULL at the end. */
static void next_value(char **at, char **value)
{
    int depth = 0;
    char *c = *at;
    while (isspace((unsigned char)*c))
        c++;
    *value = c;
    while (*c && (*c != ',' || depth > 0)) {
        depth += (*c == '[') - (*c == ']');
        c++;
    }
    *at = *c ? c + 1 : NULL;
    while (c > *value && isspace((unsigned char)c[-1]))
        c--;
    *c = '\0';
}

pulmo_status pulmo_grid_add(pulmo_grid *grid, const char *assignment)
{
    char *copy = pulmo_strdup(assignment), *values[PULMO_GRID_VALUES];
    if (!copy)
        return PULMO_MEMORY;
    char *equals = strchr(copy, '='), *at = equals ? equals + 1 : NULL;
    pulmo_status status =
        equals ? PULMO_OK
               : pulmo_fail(PULMO_CONFIG,
                            "must be section.key=value,value,..., as in optim.lr=0.001,0.0001");
    int count = 0;
    if (equals)
        *equals = '\0';
    while (status == PULMO_OK && at && count < PULMO_GRID_VALUES)
        next_value(&at, &values[count++]);
    if (status == PULMO_OK && at)
        status = pulmo_fail(PULMO_CONFIG, "%s: more than %d values", copy, PULMO_GRID_VALUES);
    if (status == PULMO_OK)
        status = grid_add_axis(grid, copy, count, values);
    free(copy);
    return status == PULMO_OK ? status : pulmo_fail_in(status, "--grid %s", assignment);
}

uint64_t pulmo_grid_trials(const pulmo_grid *grid)
{
    uint64_t trials = 1;
    for (int a = 0; a < grid->axes; a++)
        trials *= (uint64_t)grid->axis[a].count;
    return trials;
}

int pulmo_grid_index(const pulmo_grid *grid, uint64_t trial, int axis)
{
    for (int a = grid->axes - 1; a > axis; a--)
        trial /= (uint64_t)grid->axis[a].count;
    return (int)(trial % (uint64_t)grid->axis[axis].count);
}

const char *pulmo_grid_value(const pulmo_grid *grid, uint64_t trial, int axis)
{
    return grid->axis[axis].value[pulmo_grid_index(grid, trial, axis)];
}

pulmo_status pulmo_grid_apply(const pulmo_grid *grid, uint64_t trial, pulmo_config *config)
{
    for (int a = 0; a < grid->axes; a++) {
        const char *value = pulmo_grid_value(grid, trial, a);
        char *assignment = pulmo_format("%s=%s", grid->axis[a].key, value);
        if (!assignment)
            return PULMO_MEMORY;
        pulmo_status status = pulmo_config_set(config, assignment);
        free(assignment);
        PULMO_TRY(status);
    }
    return PULMO_OK;
}
