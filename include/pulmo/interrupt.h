/* Signals that ask a long command to keep what it has and end: SIGTERM, SIGINT, SIGUSR1. Not
 * collective. */
#ifndef PULMO_INTERRUPT_H
#define PULMO_INTERRUPT_H

#include <stdbool.h>

/* Takes the signals over. A second SIGINT ends the process as usual. */
void pulmo_interrupt_listen(void);
/* True once one has come. */
bool pulmo_interrupt_wanted(void);

#endif
