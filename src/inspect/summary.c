/* `pulmo inspect DIRECTORY`: a run or a packed data set in a few lines. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "inspect_room.h"
#include "pulmo/h5.h"
#include "pulmo/inspect.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

typedef struct summary {
    pulmo_h5 *file;
    const char *directory;
    FILE *out;
} summary;

/* ---- attributes that may be absent ---- */

static void show(const summary *s, const char *text)
{
    pulmo_text_show(s->out, text, SIZE_MAX);
}

/* "" where it is absent. The caller frees it; NULL where there is no memory. */
static char *text_of(const summary *s, const char *object, const char *name)
{
    char *text = NULL;
    if (pulmo_h5_has_attribute(s->file, object, name) &&
        pulmo_h5_get_text(s->file, object, name, &text) == PULMO_OK)
        return text;
    pulmo_error_clear();
    return pulmo_strdup("");
}

static void show_attribute(const summary *s, const char *object, const char *name)
{
    char *text = text_of(s, object, name);
    show(s, text ? text : "");
    free(text);
}

/* "NORMAL, PNEUMONIA" */
static void show_classes(const summary *s)
{
    char **names = NULL;
    int count = 0;
    if (pulmo_h5_get_texts(s->file, "/", "classes", &count, &names) != PULMO_OK)
        pulmo_error_clear();
    for (int i = 0; i < count; i++) {
        fputs(i ? ", " : "", s->out);
        show(s, names[i]);
    }
    free(names);
}

/* NaN where it is absent. */
static double real_of(const summary *s, const char *object, const char *name)
{
    double value = NAN;
    if (!pulmo_h5_has_attribute(s->file, object, name) ||
        pulmo_h5_get_real(s->file, object, name, &value) != PULMO_OK)
        pulmo_error_clear();
    return value;
}

/* -1 where it is absent. */
static long count_of(const summary *s, const char *object, const char *name)
{
    double value = real_of(s, object, name);
    return isfinite(value) ? (long)value : -1;
}

/* ---- lines ---- */

static void begin_line(const summary *s, const char *what)
{
    fprintf(s->out, "  %-8s ", what);
}

/* "3647 train images of 2100 patients, ..." of the splits' groups below `parent`. */
static void show_splits(const summary *s, const char *parent)
{
    const char *between = "";
    begin_line(s, "images");
    for (int split = 0; split < PULMO_SPLITS; split++) {
        char group[64];
        snprintf(group, sizeof group, "%s/%s", parent, pulmo_split_name(split));
        long images = count_of(s, group, "count");
        long patients = count_of(s, group, "patients");
        if (images < 0)
            continue;
        fprintf(s->out, "%s%ld %s", between, images, pulmo_split_name(split));
        if (patients >= 0)
            fprintf(s->out, " (%ld patients)", patients);
        between = ", ";
    }
    fputs("; ", s->out);
    show_classes(s);
    if (count_of(s, "/", "demo") == 1)
        fputs("; DEMO: drawn, not medical images", s->out);
    fputc('\n', s->out);
}

/* ", AUC 0.8303 (0.7558 to 0.9047)"; nothing where it is not known. */
static void show_metric(const summary *s, const char *object, const char *name, const char *words,
                        const char *before)
{
    char low_name[64], high_name[64];
    snprintf(low_name, sizeof low_name, "%s_low95", name);
    snprintf(high_name, sizeof high_name, "%s_high95", name);
    double value = real_of(s, object, name);
    double low = real_of(s, object, low_name);
    double high = real_of(s, object, high_name);
    if (!isfinite(value))
        return;
    fprintf(s->out, "%s%s %.4f", before, words, value);
    if (isfinite(low) && isfinite(high))
        fprintf(s->out, " (%.4f to %.4f)", low, high);
}

static void show_result(const summary *s, const char *group, const char *split)
{
    if (!pulmo_h5_exists(s->file, group))
        return;
    begin_line(s, split);
    show_metric(s, group, "accuracy", "accuracy", "");
    show_metric(s, group, "sensitivity", "sensitivity", ", ");
    show_metric(s, group, "specificity", "specificity", ", ");
    show_metric(s, group, "auc", "AUC", ", ");
    fputc('\n', s->out);
}

static void show_results(const summary *s)
{
    bool any = false;
    for (int split = PULMO_SPLIT_VAL; split < PULMO_SPLITS; split++) {
        char group[64];
        snprintf(group, sizeof group, "/%s", pulmo_split_name(split));
        any = any || pulmo_h5_exists(s->file, group);
        show_result(s, group, pulmo_split_name(split));
    }
    if (any)
        return;
    begin_line(s, "result");
    fputs("none yet\n", s->out);
}

/* "; ended 2026-11-30T21:03:55Z after 31 min" */
static void show_times(const summary *s)
{
    const double wall_s = real_of(s, "provenance", "wall_seconds");
    char *ended = text_of(s, "provenance", "ended");
    if (ended && *ended && isfinite(wall_s)) {
        fputs("; ended ", s->out);
        show(s, ended);
        fputs(" after ", s->out);
        pulmo_duration_print(s->out, wall_s);
    }
    free(ended);
}

/* The first line of a run. */
static void show_state(const summary *s)
{
    pulmo_h5_shape epochs = {0};
    long best = count_of(s, "/", "best_epoch");
    show(s, s->directory);
    fputs(": ", s->out);
    show_attribute(s, "/", "state");
    if (pulmo_h5_exists(s->file, "/history/epoch") &&
        pulmo_h5_shape_of(s->file, "/history/epoch", &epochs) == PULMO_OK && epochs.rank == 1)
        fprintf(s->out, ", %llu epochs", (unsigned long long)epochs.dims[0]);
    if (best > 0)
        fprintf(s->out, ", the best is %ld", best);
    show_times(s);
    fputc('\n', s->out);
}

static void show_model(const summary *s)
{
    long trained = count_of(s, "/", "trained_convolutions");
    double threshold = real_of(s, "/", "threshold");
    char *positive = text_of(s, "/", "positive_class");
    begin_line(s, "model");
    if (trained > 0)
        fprintf(s->out, "%ld convolutions and the head trained", trained);
    else
        fputs("the head trained", s->out);
    if (positive && *positive && isfinite(threshold)) {
        fputs("; ", s->out);
        show(s, positive);
        fprintf(s->out, " from probability %.4f on", threshold);
    }
    fputs("; head ", s->out);
    show_attribute(s, "/", "head_sha256");
    fputc('\n', s->out);
    free(positive);
}

static void show_run(const summary *s)
{
    show_state(s);
    show_splits(s, "/data");
    show_model(s);
    show_results(s);
}

static void show_pack(const summary *s)
{
    show(s, s->directory);
    fputs(": a packed data set\n", s->out);
    show_splits(s, "/splits");
    begin_line(s, "pixels");
    fprintf(s->out, "%ld x %ld px, ", count_of(s, "/", "width"), count_of(s, "/", "height"));
    show_attribute(s, "/", "resize");
    fputc('\n', s->out);
    begin_line(s, "patients");
    show_attribute(s, "/", "patients_by");
    fputc('\n', s->out);
}

/* ---- directories ---- */

static pulmo_status show_file(const char *directory, const char *path, FILE *out)
{
    char *kind = NULL;
    summary s = {.directory = directory, .out = out};
    PULMO_TRY(pulmo_h5_open(path, &s.file));
    pulmo_status status = pulmo_h5_get_text(s.file, "/", "pulmo_kind", &kind);
    if (status == PULMO_OK && strcmp(kind, "manifest") == 0)
        show_pack(&s);
    else if (status == PULMO_OK)
        show_run(&s);
    if (status == PULMO_OK)
        pulmo_h5_say_unverified(s.file);
    free(kind);
    pulmo_h5_close(s.file);
    return status;
}

/* The path of the file that says most of a directory; PULMO_IO where it holds neither. The caller
 * frees it. */
static pulmo_status choose_file(const char *directory, char **out)
{
    static const char *const names[] = {"results.h5", "manifest.h5"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat about;
        *out = pulmo_format("%s/%s", directory, names[i]);
        if (!*out)
            return pulmo_fail(PULMO_MEMORY, "out of memory");
        if (stat(*out, &about) == 0)
            return PULMO_OK;
        free(*out);
        *out = NULL;
    }
    return pulmo_fail(
        PULMO_IO,
        "%s: holds neither results.h5 nor manifest.h5; inspect takes a .h5 file, a run "
        "or a packed data set",
        directory);
}

static bool is_directory(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

pulmo_status pulmo_inspect(const char *path, bool all, FILE *out)
{
    char *chosen = NULL;
    if (!is_directory(path))
        return inspect_file(path, out);
    PULMO_TRY(choose_file(path, &chosen));
    pulmo_status status = all ? inspect_file(chosen, out) : show_file(path, chosen, out);
    free(chosen);
    return status;
}
