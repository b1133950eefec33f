/* What happens in a run, for programs: events.jsonl in its directory, one JSON object a line. Not
 * collective. */
#ifndef PULMO_EVENTS_H
#define PULMO_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

/* ---- writing ---- */

/* A member of an event's object: a text, or a number where `text` is NULL. A number that is not
 * finite becomes null. */
typedef struct pulmo_event_field {
    const char *name;
    const char *text;
    double number;
} pulmo_event_field;

#define PULMO_EVENT_TEXT(name_, value)   ((pulmo_event_field){.name = (name_), .text = (value)})
#define PULMO_EVENT_NUMBER(name_, value) ((pulmo_event_field){.name = (name_), .number = (value)})

typedef struct pulmo_events pulmo_events;

/* Opens DIRECTORY/events.jsonl to append to; warnings of this process become events from then on.
 * NULL, with a warning, where it cannot be opened: a run is worth more than its events. One at a
 * time. Owned by the caller, who ends it with close. */
pulmo_events *pulmo_events_open(const char *directory);
void pulmo_events_close(pulmo_events *events); /* NULL is a no-op */

/* Appends {"event": kind, "time": now in UTC, fields...} in one write. Where that fails a warning
 * says so, once, and no more are written. NULL `events` is a no-op. Thread safe. */
void pulmo_events_write(pulmo_events *events, const char *kind, const pulmo_event_field *fields,
                        size_t count);
/* Whether so many seconds have passed since an event of this kind was last found due. `kind` is a
 * literal. False for NULL `events`. */
bool pulmo_events_due(pulmo_events *events, double seconds);

/* ---- for people ---- */

/* Shows on stdout how the run stands, in a few lines. On a terminal it is drawn again each second
 * until the run ends or Ctrl-C; elsewhere, and with `once`, once. */
pulmo_status pulmo_watch_run(const char *run, bool once);

#endif
