/* Inside the config room: what the reader of files gives to a grid. */
#ifndef PULMO_CONFIG_GRID_H
#define PULMO_CONFIG_GRID_H

#include "pulmo/config.h"

/* Another axis, its values as --set takes them. */
pulmo_status grid_add_axis(pulmo_grid *grid, const char *key, int count, char *const *values);

#endif
