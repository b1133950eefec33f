/* Signals that ask for a checkpoint and an end: SIGTERM, SIGINT, SIGUSR1. */
#ifndef PULMO_INTERRUPT_H
#define PULMO_INTERRUPT_H

#include <stdbool.h>

/* Takes the signals over. A second SIGINT ends the process as usual. */
void interrupt_listen(void);
/* True once one has come. */
bool interrupt_wanted(void);

#endif
