/* Writing a run's events. */
#include "pulmo/events.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

#define LARGEST_EXACT 9007199254740992.0 /* 2^53 */

struct pulmo_events {
    int fd; /* -1 after a failure */
    char *path;
    double found_due_s;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- an event as a line ---- */

static json_t *value_of(const pulmo_event_field *field)
{
    const double number = field->number;
    if (field->text)
        return json_string(field->text);
    if (!isfinite(number))
        return json_null();
    if (number == rint(number) && fabs(number) < LARGEST_EXACT)
        return json_integer((json_int_t)number);
    return json_real(number);
}

/* One line with its end; owned by the caller. NULL for want of memory. A text that is not UTF-8 is
 * left out. */
static char *line_of(const char *kind, const pulmo_event_field *fields, size_t count)
{
    char now[PULMO_UTC_BYTES];
    json_t *object = json_object();
    pulmo_utc_now(now);
    bool made = object && json_object_set_new(object, "event", json_string(kind)) == 0 &&
                json_object_set_new(object, "time", json_string(now)) == 0;
    for (size_t f = 0; made && f < count; f++) {
        json_t *value = value_of(&fields[f]);
        if (value)
            made = json_object_set_new(object, fields[f].name, value) == 0;
    }
    char *text = made ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    char *line = text ? pulmo_format("%s\n", text) : NULL;
    free(text);
    return line;
}

/* ---- the file ---- */

/* No event can be lost to a warning about events. */
static void give_up(pulmo_events *events, int error)
{
    close(events->fd);
    events->fd = -1;
    pulmo_log_set_listener(NULL, NULL);
    pulmo_warn("%s: cannot be written: %s; the run goes on without events", events->path,
               strerror(error));
}

void pulmo_events_write(pulmo_events *events, const char *kind, const pulmo_event_field *fields,
                        size_t count)
{
    if (!events || events->fd < 0)
        return;
    char *line = line_of(kind, fields, count);
    const size_t bytes = line ? strlen(line) : 0;
    int error = line ? 0 : ENOMEM;
    pthread_mutex_lock(&lock);
    errno = 0;
    if (line && write(events->fd, line, bytes) != (ssize_t)bytes)
        error = errno ? errno : ENOSPC;
    pthread_mutex_unlock(&lock);
    free(line);
    if (error != 0)
        give_up(events, error);
}

bool pulmo_events_due(pulmo_events *events, double seconds)
{
    const double now_s = pulmo_now_s();
    if (!events || events->fd < 0 || now_s - events->found_due_s < seconds)
        return false;
    events->found_due_s = now_s;
    return true;
}

static void note_warning(void *context, const char *line)
{
    const pulmo_event_field text = PULMO_EVENT_TEXT("text", line);
    pulmo_events_write(context, "warning", &text, 1);
}

/* ---- opening and closing ---- */

/* A run that was killed in the middle of a line must not spoil the next one. */
static void end_last_line(int fd)
{
    char last = '\n';
    const off_t end = lseek(fd, 0, SEEK_END);
    if (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1)
        pulmo_debug("the last line of the events is not ended");
}

pulmo_events *pulmo_events_open(const char *directory)
{
    pulmo_events *events = calloc(1, sizeof *events);
    char *path = pulmo_format("%s/events.jsonl", directory);
    if (!events || !path) {
        free(events);
        free(path);
        return NULL;
    }
    events->path = path;
    events->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (events->fd < 0) {
        pulmo_warn("%s: cannot be opened: %s; the run goes on without events", path,
                   strerror(errno));
        free(path);
        free(events);
        return NULL;
    }
    end_last_line(events->fd);
    pulmo_log_set_listener(note_warning, events);
    return events;
}

void pulmo_events_close(pulmo_events *events)
{
    if (!events)
        return;
    pulmo_log_set_listener(NULL, NULL);
    if (events->fd >= 0)
        close(events->fd);
    free(events->path);
    free(events);
}
