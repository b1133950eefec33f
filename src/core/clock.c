#include "pulmo/clock.h"

#include <time.h>

static double read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double pulmo_now_s(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void pulmo_utc_now(char out[PULMO_UTC_BYTES])
{
    struct tm parts;
    const time_t now = time(NULL);
    gmtime_r(&now, &parts);
    strftime(out, PULMO_UTC_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

double pulmo_cpu_s(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
