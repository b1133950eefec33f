/* How a run stands, for people. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pulmo/interrupt.h"
#include "pulmo/text.h"
#include "watched.h"

#define SILENT_S    120.0 /* a run says something every ten seconds of training */
#define CURVE_MOST  60    /* epochs that the curve shows */
#define BAR_CELLS   24
#define CURVE_STEPS 8

/* ---- parts of lines ---- */

static void print_bar(FILE *out, double part)
{
    const int full = (int)lrint(part * BAR_CELLS);
    for (int c = 0; c < BAR_CELLS; c++)
        fputs(c < full ? "█" : "░", out);
}

/* What the run has done of all its epochs, 0 to 1; NaN where that cannot be told. */
static double part_done(const watched *w)
{
    if (w->ended && w->status == 0)
        return 1; /* early, perhaps */
    const double of_epoch = w->of > 0 ? fmin(w->images / w->of, 1.0) : 0.0;
    const double part = (w->epoch - 1.0 + of_epoch) / w->epochs;
    return isfinite(part) ? fmin(fmax(part, 0.0), 1.0) : NAN;
}

/* The monitored figure after each epoch, from its least to its largest. */
static void print_curve(FILE *out, const watched *w)
{
    static const char *const block[CURVE_STEPS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const uint32_t first = w->rows > CURVE_MOST ? w->rows - CURVE_MOST : 0;
    double least = INFINITY;
    double most = -INFINITY;
    for (uint32_t e = first; e < w->rows; e++) {
        least = fmin(least, w->value[e]);
        most = fmax(most, w->value[e]);
    }
    for (uint32_t e = first; e < w->rows; e++) {
        const double height = most > least ? (w->value[e] - least) / (most - least) : 1.0;
        const int step = isfinite(height) ? (int)lrint(height * (CURVE_STEPS - 1)) : 0;
        fputs(isfinite(height) ? block[step] : " ", out);
    }
}

/* ---- lines ---- */

static void print_state(FILE *out, const watched *w)
{
    if (!w->ended && w->since_last_s > SILENT_S) {
        fputs("no event for ", out);
        pulmo_duration_print(out, w->since_last_s);
        fputs(": computing val, waiting, or killed", out);
    } else if (!w->ended)
        fputs("training", out);
    else if (w->status == 0)
        fputs("finished", out);
    else if (w->status == 75)
        fputs("interrupted after a checkpoint; the same command resumes it", out);
    else
        fprintf(out, "ended with status %.0f", w->status);
    fputs("; since ", out);
    pulmo_text_show(out, w->started, SIZE_MAX);
    fputs(", last event ", out);
    pulmo_text_show(out, w->last, SIZE_MAX);
    fputc('\n', out);
    if (w->ended && *w->reason) {
        fputs("  ", out);
        pulmo_text_show(out, w->reason, SIZE_MAX);
        fputc('\n', out);
    }
}

static void print_progress(FILE *out, const watched *w)
{
    const double part = part_done(w);
    if (!isfinite(part))
        return;
    fprintf(out, "  epoch %.0f of at most %.0f  ", w->epoch, w->epochs);
    print_bar(out, part);
    fprintf(out, " %.0f %%", floor(100 * part));
    if (!w->ended && w->left_s >= 0) {
        fputs(", at most ", out);
        pulmo_duration_print(out, w->left_s);
        fputs(" left", out);
    }
    fputc('\n', out);
}

static void print_pace(FILE *out, const watched *w)
{
    if (isfinite(w->loss))
        fprintf(out, "  train loss %.4f", w->loss);
    if (isfinite(w->rate))
        fprintf(out, "  %.1f img/s on %.0f rank%s", w->rate, w->ranks,
                pulmo_plural((uint64_t)fmax(w->ranks, 0)));
    if (isfinite(w->memory_mb))
        fprintf(out, "  %.0f MB on rank 0", w->memory_mb);
    if (isfinite(w->waiting_s) && w->waiting_s >= 1)
        fprintf(out, "  %.0f s waited for data", w->waiting_s);
    if (isfinite(w->loss) || isfinite(w->rate))
        fputc('\n', out);
}

static void print_epochs(FILE *out, const watched *w)
{
    if (w->rows == 0)
        return;
    fputs("  val ", out);
    pulmo_text_show(out, w->monitor, SIZE_MAX);
    fputc(' ', out);
    print_curve(out, w);
    if (isfinite(w->best))
        fprintf(out, " %.4f, best %.4f (epoch %.0f)", w->value[w->rows - 1], w->best,
                w->best_epoch);
    fputc('\n', out);
}

static void print_warnings(FILE *out, const watched *w)
{
    if (w->warnings == 0)
        return;
    fprintf(out, "  %u warning%s, the last: ", w->warnings, pulmo_plural(w->warnings));
    pulmo_text_show(out, w->warning, SIZE_MAX);
    fputc('\n', out);
}

static pulmo_status show(FILE *out, const char *run, bool *ended)
{
    watched w;
    PULMO_TRY(watched_read(run, &w));
    if (!*w.started) {
        watched_free(&w);
        return pulmo_fail(PULMO_DATA,
                          "%s/events.jsonl: tells of no start of a run; is it only being begun, or "
                          "another program's file?",
                          run);
    }
    pulmo_text_show(out, run, SIZE_MAX);
    fputs(": ", out);
    print_state(out, &w);
    print_progress(out, &w);
    print_pace(out, &w);
    print_epochs(out, &w);
    print_warnings(out, &w);
    *ended = w.ended;
    watched_free(&w);
    return PULMO_OK;
}

/* ---- again and again ---- */

/* In one write, so that nothing flickers; from the screen's upper left corner. */
static pulmo_status redraw(const char *run, bool *ended)
{
    pulmo_text text;
    char *drawn = NULL;
    PULMO_TRY(pulmo_text_open(&text));
    pulmo_status status = show(text.stream, run, ended);
    if (status != PULMO_OK) {
        pulmo_text_discard(&text);
        return status;
    }
    PULMO_TRY(pulmo_text_take(&text, &drawn));
    fputs("\033[H\033[2J", stdout);
    fputs(drawn, stdout);
    fflush(stdout);
    free(drawn);
    return PULMO_OK;
}

pulmo_status pulmo_watch_run(const char *run, bool once)
{
    bool ended = false;
    if (once || !isatty(STDOUT_FILENO))
        return show(stdout, run, &ended);
    pulmo_interrupt_listen();
    while (!ended && !pulmo_interrupt_wanted()) {
        PULMO_TRY(redraw(run, &ended));
        if (!ended)
            sleep(1);
    }
    return PULMO_OK;
}
