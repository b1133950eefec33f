/* Messages and progress for people: always on stderr, never on stdout (which is for data).
 * Thread safe. Not collective. */
#ifndef PULMO_LOG_H
#define PULMO_LOG_H

#include <stdbool.h>
#include <stddef.h>

typedef enum pulmo_log_level {
    PULMO_LOG_QUIET,
    PULMO_LOG_NORMAL,
    PULMO_LOG_VERBOSE
} pulmo_log_level;

/* Sets how much is said and by which rank. Info and progress come from rank 0 alone;
 * warnings from any rank, with its number where size > 1. */
void pulmo_log_setup(pulmo_log_level level, int rank, int size);

/* Every line is passed through `reveal` before it is shown, until the next call; NULL: as it is.
 * Its result is freed; NULL for want of memory: the line as it was. `context` must outlive that.
 * For names that files must not hold and people must see. Not while another thread writes. */
typedef char *(*pulmo_log_reveal)(const void *context, const char *line);
void pulmo_log_set_reveal(pulmo_log_reveal reveal, const void *context);

/* Every warning of this process is also given to `listener`, without prefix and as files may hold
 * it (no name revealed), until the next call; NULL: nobody. It must not warn. `context` must
 * outlive that. Not while another thread writes. */
typedef void (*pulmo_log_listener)(void *context, const char *line);
void pulmo_log_set_listener(pulmo_log_listener listener, void *context);

/* A line on stderr as it can be shown (pulmo_text_show), behind a prefix, in one write: lines of
 * several ranks do not mix. */
void pulmo_say(const char *prefix, const char *line);

/* Lines: `info` unless -q, `debug` with -v, `warn` always. A newline is added. */
void pulmo_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void pulmo_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void pulmo_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A warning that all ranks come to, in the same words: printed where `here`, and by no rank a
 * second time, whatever groups of ranks train the next trial of a sweep. */
void pulmo_warn_once(bool here, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A progress line with rate and time left. On a terminal it is redrawn in place at most ten
 * times a second; elsewhere a whole line is written at most every 30 seconds. */
typedef struct pulmo_progress {
    const char *label; /* kept: must outlive the progress */
    const char *unit;  /* kept; e.g. "img" */
    double total;
    double done;
    double started_s;
    double shown_s;
    double skipped; /* units done before this process began (a resumed run) */
} pulmo_progress;

void pulmo_progress_begin(pulmo_progress *progress, const char *label, const char *unit,
                          double total);
/* `note` is shown at the end of the line; may be NULL. */
void pulmo_progress_update(pulmo_progress *progress, double done, const char *note);
/* Clears the line on a terminal. */
void pulmo_progress_end(pulmo_progress *progress);

#endif
