/* Messages and progress on stderr. */
#include "pulmo/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "pulmo/text.h"

#define TERMINAL_INTERVAL_S 0.1
#define FILE_INTERVAL_S     30.0

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pulmo_log_level log_level = PULMO_LOG_NORMAL;
static int log_rank = 0;
static int log_size = 1;
static pulmo_log_reveal reveal_line = NULL;
static const void *reveal_context = NULL;
static pulmo_log_listener warning_listener = NULL;
static void *listener_context = NULL;
static bool line_open = false; /* a progress line stands on the terminal */

void pulmo_log_setup(pulmo_log_level level, int rank, int size)
{
    log_level = level;
    log_rank = rank;
    log_size = size;
}

void pulmo_log_set_reveal(pulmo_log_reveal reveal, const void *context)
{
    reveal_line = reveal;
    reveal_context = context;
}

void pulmo_log_set_listener(pulmo_log_listener listener, void *context)
{
    warning_listener = listener;
    listener_context = context;
}

static bool speaks(void)
{
    return log_rank == 0 && log_level >= PULMO_LOG_NORMAL;
}

/* With names in place of pseudonyms where there are any to see. Owned by the caller; NULL for want
 * of memory. */
static char *line_of(const char *format, va_list arguments)
{
    char *line = NULL;
    if (vasprintf(&line, format, arguments) < 0)
        return NULL;
    char *shown = reveal_line ? reveal_line(reveal_context, line) : NULL;
    if (!shown)
        return line;
    free(line);
    return shown;
}

static void show_line(FILE *out, const char *prefix, const char *line)
{
    if (line_open)
        fputs("\r\033[K", out);
    fputs(prefix, out);
    pulmo_text_show(out, line, SIZE_MAX);
    fputc('\n', out);
}

/* stderr has no buffer: a line is put together first, or others' come in between its letters. */
void pulmo_say(const char *prefix, const char *line)
{
    char *whole = NULL;
    size_t bytes = 0;
    pthread_mutex_lock(&lock);
    FILE *out = open_memstream(&whole, &bytes);
    if (out)
        show_line(out, prefix, line);
    const bool is_whole = out && fclose(out) == 0;
    if (is_whole)
        fwrite(whole, 1, bytes, stderr);
    else
        show_line(stderr, prefix, line);
    line_open = false;
    fflush(stderr);
    pthread_mutex_unlock(&lock);
    free(whole);
}

static void write_line(const char *prefix, const char *format, va_list arguments)
{
    char *line = line_of(format, arguments);
    pulmo_say(prefix, line ? line : "(out of memory for a message)");
    free(line);
}

void pulmo_info(const char *format, ...)
{
    if (!speaks())
        return;
    va_list arguments;
    va_start(arguments, format);
    write_line("", format, arguments);
    va_end(arguments);
}

void pulmo_debug(const char *format, ...)
{
    if (log_rank != 0 || log_level < PULMO_LOG_VERBOSE)
        return;
    va_list arguments;
    va_start(arguments, format);
    write_line("", format, arguments);
    va_end(arguments);
}

static void tell_listener(const char *format, va_list arguments)
{
    char *line = NULL;
    if (!warning_listener || vasprintf(&line, format, arguments) < 0)
        return;
    warning_listener(listener_context, line);
    free(line);
}

void pulmo_warn(const char *format, ...)
{
    char prefix[48] = "warning: ";
    if (log_size > 1)
        snprintf(prefix, sizeof prefix, "warning: rank %d: ", log_rank);
    va_list arguments;
    va_start(arguments, format);
    write_line(prefix, format, arguments);
    va_end(arguments);
    va_start(arguments, format);
    tell_listener(format, arguments);
    va_end(arguments);
}

/* Of warnings that were given; a place that is taken twice costs a repetition. */
#define WARNINGS_KNOWN 64
static _Atomic uint64_t known_warnings[WARNINGS_KNOWN];

/* FNV-1a (Fowler, Noll, Vo), never 0. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    return hash | 1;
}

void pulmo_warn_once(bool here, const char *format, ...)
{
    char words[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    const uint64_t hash = hash_of(words);
    _Atomic uint64_t *place = &known_warnings[hash / 2 % WARNINGS_KNOWN];
    const bool is_new = atomic_exchange(place, hash) != hash;
    if (is_new && here)
        pulmo_warn("%s", words);
}

void pulmo_progress_begin(pulmo_progress *progress, const char *label, const char *unit,
                          double total)
{
    memset(progress, 0, sizeof *progress);
    progress->label = label;
    progress->unit = unit;
    progress->total = total;
    progress->started_s = pulmo_now_s();
    progress->shown_s = progress->started_s;
}

static void format_duration(double seconds, char *out, size_t out_bytes)
{
    long whole = seconds > 0 ? (long)(seconds + 0.5) : 0;
    if (whole >= 3600)
        snprintf(out, out_bytes, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(out, out_bytes, "%ld:%02ld", whole / 60, whole % 60);
}

void pulmo_progress_update(pulmo_progress *progress, double done, const char *note)
{
    progress->done = done;
    if (!speaks())
        return;
    bool terminal = isatty(STDERR_FILENO);
    double now_s = pulmo_now_s();
    if (now_s - progress->shown_s < (terminal ? TERMINAL_INTERVAL_S : FILE_INTERVAL_S))
        return;
    progress->shown_s = now_s;

    double elapsed_s = now_s - progress->started_s;
    double rate = elapsed_s > 0 ? (done - progress->skipped) / elapsed_s : 0;
    char left[32] = "--:--";
    if (rate > 0)
        format_duration((progress->total - done) / rate, left, sizeof left);
    char bar[24] = "";
    if (terminal) {
        int filled = progress->total > 0 ? (int)(20 * done / progress->total) : 0;
        for (int i = 0; i < 20; i++)
            bar[i] = i < filled ? '#' : '.';
        bar[20] = ' ';
        bar[21] = '\0';
    }
    pthread_mutex_lock(&lock);
    fprintf(stderr, "%s  %s %s%.0f/%.0f  %.1f %s/s  ETA %s%s%s%s", terminal ? "\r\033[K" : "",
            progress->label, bar, done, progress->total, rate, progress->unit, left,
            note ? "  " : "", note ? note : "", terminal ? "" : "\n");
    fflush(stderr);
    line_open = terminal;
    pthread_mutex_unlock(&lock);
}

void pulmo_progress_end(pulmo_progress *progress)
{
    (void)progress;
    pthread_mutex_lock(&lock);
    if (line_open)
        fputs("\r\033[K", stderr);
    line_open = false;
    pthread_mutex_unlock(&lock);
}
