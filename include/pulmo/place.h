/* Where the files are that came with the program: below the prefix of an installation, wherever
 * that was moved to, or in the checkout of a build. Not collective. */
#ifndef PULMO_PLACE_H
#define PULMO_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define PULMO_PLACE_BYTES 1200

typedef enum pulmo_place {
    PULMO_PLACE_CONFIGS, /* configurations */
    PULMO_PLACE_JOBS,    /* scripts for schedulers, and quickstart.sh */
    PULMO_PLACE_TOOLS,   /* fetch-weights */
    PULMO_PLACES
} pulmo_place;

/* The path of `name` ("" for the directory), as it is below the program's own place; false where
 * nothing readable is there. */
bool pulmo_place_find(pulmo_place place, const char *name, char out[PULMO_PLACE_BYTES]);
/* The program's own path; false where the system does not tell. */
bool pulmo_place_program(char out[PULMO_PLACE_BYTES]);

#endif
