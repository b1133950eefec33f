/* Who works at something, since when and how long, for /provenance. Not collective. */
#ifndef PULMO_SPENT_H
#define PULMO_SPENT_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/clock.h"

/* Wall time of work that several processes may have done in turn: a run and its resumptions. Plain
 * memory. */
typedef struct pulmo_spent {
    char began[PULMO_UTC_BYTES]; /* when the first of them began */
    double before_s;             /* wall time of those before this one */
    double since_s;              /* when this one began, by pulmo_now_s */
    int64_t sessions;            /* how many, with this one */
    bool stopped;                /* before_s is all of it */
} pulmo_spent;

/* This process begins the work, now. */
void pulmo_spent_begin(pulmo_spent *it);
/* It was begun by others: when (kept short of PULMO_UTC_BYTES), and what they took. */
void pulmo_spent_add(pulmo_spent *it, const char *began, double wall_s, int64_t sessions);
/* What was spent until now stays what it is: of a copy that is kept of this moment. */
void pulmo_spent_stop(pulmo_spent *it);
/* Of all until now, or until it was stopped; seconds. */
double pulmo_spent_wall_s(const pulmo_spent *it);

/* The commit that the program was built from; "unknown" outside a repository. */
const char *pulmo_commit(void);
/* This process's command line as a shell would take it, from /proc; "" where that does not tell.
 * Owned by the caller. NULL where there is no memory. */
char *pulmo_command_line(void);

#endif
