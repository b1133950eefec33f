/* Reading a run's events. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pulmo/memory.h"
#include "watched.h"

#define ROWS_MOST   1000000 /* epochs that a configuration may ask for, and more */
#define NUMBER_MOST 1e12    /* more than any figure of a run: the file is damaged */

/* ---- members of an event ---- */

static void take_number(const json_t *event, const char *name, double *out)
{
    const json_t *value = json_object_get(event, name);
    if (json_is_number(value) && fabs(json_number_value(value)) <= NUMBER_MOST)
        *out = json_number_value(value);
}

static void take_text(const json_t *event, const char *name, char *out, size_t bytes)
{
    const char *text = json_string_value(json_object_get(event, name));
    if (text)
        snprintf(out, bytes, "%s", text);
}

/* ---- what each kind of event says ---- */

static void reset(watched *out)
{
    free(out->value);
    memset(out, 0, sizeof *out);
    double *const unknown[] = {&out->epochs, &out->epoch,       &out->images,     &out->of,
                               &out->rate,   &out->left_s,      &out->loss,       &out->memory_mb,
                               &out->ranks,  &out->waiting_s,   &out->best_epoch, &out->best,
                               &out->status, &out->since_last_s};
    for (size_t i = 0; i < PULMO_COUNT_OF(unknown); i++)
        *unknown[i] = NAN;
}

/* A start that resumes goes on with what was there. */
static void take_start(const json_t *event, watched *out)
{
    if (!(json_number_value(json_object_get(event, "resumed")) > 0))
        reset(out);
    out->ended = false;
    out->reason[0] = '\0';
    take_text(event, "time", out->started, sizeof out->started);
    take_text(event, "monitor", out->monitor, sizeof out->monitor);
    take_number(event, "epochs", &out->epochs);
    take_number(event, "epoch", &out->epoch);
    take_number(event, "images", &out->of);
    take_number(event, "ranks", &out->ranks);
    out->images = 0;
}

static void take_batch(const json_t *event, watched *out)
{
    take_number(event, "epoch", &out->epoch);
    take_number(event, "images", &out->images);
    take_number(event, "of", &out->of);
    take_number(event, "loss", &out->loss);
    take_number(event, "images_per_second", &out->rate);
    take_number(event, "seconds_left", &out->left_s);
    take_number(event, "memory_mb", &out->memory_mb);
    take_number(event, "waiting_seconds", &out->waiting_s);
}

/* An epoch that was done again, after the checkpoint of an earlier one, takes its own place. */
static pulmo_status take_row(double epoch, double value, watched *out)
{
    if (epoch > (double)out->rows + 1)
        return PULMO_OK;
    const uint32_t rows = (uint32_t)epoch;
    double *larger = realloc(out->value, rows * sizeof *larger);
    if (!larger)
        return pulmo_fail(PULMO_MEMORY, "cannot read the events: out of memory");
    larger[rows - 1] = value;
    out->value = larger;
    out->rows = rows;
    return PULMO_OK;
}

static pulmo_status take_epoch(const json_t *event, watched *out)
{
    double epoch = NAN;
    double value = NAN;
    take_number(event, "epoch", &epoch);
    if (!(epoch >= 1 && epoch <= ROWS_MOST))
        return PULMO_OK;
    take_number(event, "monitored", &value);
    take_number(event, "best_epoch", &out->best_epoch);
    take_number(event, "best", &out->best);
    take_number(event, "train_loss", &out->loss);
    take_number(event, "images_per_second", &out->rate);
    take_number(event, "seconds_left", &out->left_s);
    out->epoch = epoch;
    out->images = out->of;
    return take_row(epoch, value, out);
}

static void take_end(const json_t *event, watched *out)
{
    out->ended = true;
    take_number(event, "status", &out->status);
    take_text(event, "reason", out->reason, sizeof out->reason);
}

static pulmo_status take_event(const json_t *event, watched *out)
{
    const char *kind = json_string_value(json_object_get(event, "event"));
    pulmo_status status = PULMO_OK;
    if (!kind)
        return PULMO_OK;
    if (strcmp(kind, "start") == 0)
        take_start(event, out);
    else if (strcmp(kind, "batch") == 0)
        take_batch(event, out);
    else if (strcmp(kind, "epoch") == 0)
        status = take_epoch(event, out);
    else if (strcmp(kind, "end") == 0)
        take_end(event, out);
    else if (strcmp(kind, "warning") == 0) {
        out->warnings++;
        take_text(event, "text", out->warning, sizeof out->warning);
    }
    take_text(event, "time", out->last, sizeof out->last);
    return status;
}

/* ---- the file ---- */

static void find_age(watched *out)
{
    struct tm parts = {0};
    if (strptime(out->last, "%Y-%m-%dT%H:%M:%SZ", &parts))
        out->since_last_s = difftime(time(NULL), timegm(&parts));
}

static pulmo_status read_lines(FILE *in, watched *out)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    pulmo_status status = PULMO_OK;
    while (status == PULMO_OK && (bytes = getline(&line, &room, in)) > 0) {
        json_t *event = json_loadb(line, (size_t)bytes, 0, NULL);
        if (json_is_object(event))
            status = take_event(event, out);
        json_decref(event);
    }
    free(line);
    return status;
}

pulmo_status watched_read(const char *run, watched *out)
{
    memset(out, 0, sizeof *out);
    reset(out);
    char *path = pulmo_format("%s/events.jsonl", run);
    if (!path)
        return PULMO_MEMORY;
    FILE *in = fopen(path, "re");
    pulmo_status status = PULMO_OK;
    if (!in)
        status = pulmo_fail(PULMO_IO,
                            "%s: cannot be read: %s; give the directory of a run (train.run_dir) "
                            "that \"pulmo train\" has begun",
                            path, strerror(errno));
    free(path);
    if (!in)
        return status;
    status = read_lines(in, out);
    fclose(in);
    find_age(out);
    return status;
}

void watched_free(watched *it)
{
    free(it->value);
    it->value = NULL;
    it->rows = 0;
}
