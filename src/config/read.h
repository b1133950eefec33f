/* Inside the config room, and for its tests: reading a file. */
#ifndef PULMO_CONFIG_READ_H
#define PULMO_CONFIG_READ_H

#include "pulmo/config.h"

/* Reads a file that a person wrote over what is there. A key's name of an earlier version is
 * PULMO_CONFIG with the name that it has now. */
pulmo_status config_read(pulmo_config *config, const char *path);

#endif
