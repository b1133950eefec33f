/* Time. Not collective. */
#ifndef PULMO_CLOCK_H
#define PULMO_CLOCK_H

/* Seconds of a clock that only goes forward. */
double pulmo_now_s(void);
/* The date and time of a clock on the wall, "2026-11-30T21:03:55Z". */
#define PULMO_UTC_BYTES 24
void pulmo_utc_now(char out[PULMO_UTC_BYTES]);
/* Processor seconds used by all threads of this process. */
double pulmo_cpu_s(void);

#endif
