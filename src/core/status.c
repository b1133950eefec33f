/* Status codes and this thread's error report. */
#include "pulmo/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char report[PULMO_REPORT_BYTES];

int pulmo_status_exit(pulmo_status status)
{
    static const int exits[] = {
#define X(name, exit_status, text) exit_status,
        PULMO_STATUS_LIST(X)
#undef X
    };
    return exits[status];
}

const char *pulmo_status_text(pulmo_status status)
{
    static const char *const texts[] = {
#define X(name, exit_status, text) text,
        PULMO_STATUS_LIST(X)
#undef X
    };
    return texts[status];
}

pulmo_status(pulmo_fail)(pulmo_status status, const char *format, ...)
{
    /* Formatted apart: an argument may be the old report itself. */
    char fresh[PULMO_REPORT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fresh, sizeof fresh, format, arguments);
    va_end(arguments);
    memcpy(report, fresh, sizeof report);
    return status;
}

pulmo_status(pulmo_fail_in)(pulmo_status status, const char *format, ...)
{
    char context[PULMO_REPORT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    if (length < 0)
        return status;
    size_t at = (size_t)length < sizeof context ? (size_t)length : sizeof context - 1;
    /* The report is cut short where the two do not fit together. */
    size_t old_bytes = strlen(report), room = sizeof context - 1 - at;
    const char *between = ": ";
    size_t between_bytes = room < 2 ? room : 2;
    if (old_bytes > room - between_bytes)
        old_bytes = room - between_bytes;
    memcpy(context + at, between, between_bytes);
    memcpy(context + at + between_bytes, report, old_bytes);
    context[at + between_bytes + old_bytes] = '\0';
    memcpy(report, context, sizeof report);
    return status;
}

const char *pulmo_error(void)
{
    return report;
}

void pulmo_failure_keep(pulmo_failure *failure, pulmo_status status)
{
    failure->status = status;
    failure->report[0] = '\0';
    if (status != PULMO_OK)
        memcpy(failure->report, report, sizeof report);
}

pulmo_status pulmo_failure_raise(const pulmo_failure *failure)
{
    if (failure->status != PULMO_OK)
        memcpy(report, failure->report, sizeof report);
    return failure->status;
}

void pulmo_error_clear(void)
{
    report[0] = '\0';
}
