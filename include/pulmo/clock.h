/* Time. Not collective. */
#ifndef PULMO_CLOCK_H
#define PULMO_CLOCK_H

/* Seconds of a clock that only goes forward. */
double pulmo_now_s(void);
/* Processor seconds used by all threads of this process. */
double pulmo_cpu_s(void);

#endif
