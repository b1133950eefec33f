/* Scores that any program made → report. */
#include "report_room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "pulmo/digest.h"
#include "pulmo/elementary.h"
#include "pulmo/memory.h"

#define THRESHOLD_UNKNOWN 0.5
#define LOG_LEAST         1e-300 /* a probability of 0, as its logarithm */

/* ---- columns to group by ---- */

/* What `by` may mean: each part of it, and what stands before its first colon. */
typedef struct wanted_columns {
    char *held;        /* what the names are of */
    const char **name; /* (names) */
    int names;
} wanted_columns;

static pulmo_status want_columns(const char *by, wanted_columns *out)
{
    size_t most = 2;
    for (const char *at = by; *at; at++)
        most += 2 * (*at == ',');
    *out = (wanted_columns){.held = malloc(2 * strlen(by) + most + 1),
                            .name = calloc(most, sizeof *out->name)};
    if (!out->held || !out->name)
        return pulmo_fail(PULMO_MEMORY, "out of memory for columns");
    char *to = out->held;
    while (*by) {
        const size_t bytes = strcspn(by, ","), plain = strcspn(by, ",:");
        const size_t lengths[2] = {bytes, plain};
        for (int i = 0; i < 1 + (plain < bytes); i++) {
            out->name[out->names++] = memcpy(to, by, lengths[i]);
            to[lengths[i]] = '\0';
            to += lengths[i] + 1;
        }
        by += bytes + (by[bytes] != '\0');
    }
    return PULMO_OK;
}

/* The lists of a split are arrays of their own, of the reader's texts. */
static pulmo_status take_lines(char **text, uint64_t count, report_lines *out)
{
    out->text = malloc((count + 1) * sizeof *out->text);
    if (!out->text)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %llu images", (unsigned long long)count);
    memcpy(out->text, text, count * sizeof *text);
    out->count = count;
    return PULMO_OK;
}

static pulmo_status take_columns(const wanted_columns *wanted, report *r)
{
    report_split *s = &r->split[0];
    const pulmo_scores *scores = &r->scores;
    s->kept_names = calloc((size_t)wanted->names + 1, sizeof *s->kept_names);
    s->kept_columns = calloc((size_t)wanted->names + 1, sizeof *s->kept_columns);
    if (!s->kept_names || !s->kept_columns)
        return pulmo_fail(PULMO_MEMORY, "out of memory for columns");
    for (int m = 0; m < wanted->names; m++) {
        if (!scores->has_more[m])
            continue;
        PULMO_TRY(take_lines(scores->more[m], s->count, &s->kept_columns[s->kept]));
        s->kept_names[s->kept++] = (char *)(uintptr_t)wanted->name[m];
    }
    return PULMO_OK;
}

/* ---- the finding, and what calls it ---- */

static pulmo_status find_class(const report *r, const char *name, int *out)
{
    for (int k = 0; k < r->classes; k++) {
        if (strcmp(r->class_names[k], name) != 0)
            continue;
        *out = k;
        return PULMO_OK;
    }
    return pulmo_fail(PULMO_USAGE, "--class %s: %s has no such class; it has %s, %s%s", name,
                      r->scores.file, r->class_names[0], r->class_names[1],
                      r->classes > 2 ? " and others" : "");
}

/* The class of the largest probability is called where there are more than two. */
static pulmo_status refuse_of_many(const report *r, const char *option, const char *given)
{
    if (!given || r->classes == 2)
        return PULMO_OK;
    return pulmo_fail(PULMO_USAGE, "--%s %s: is for two classes; %s has %d, each against the rest",
                      option, given, r->scores.file, r->classes);
}

static pulmo_status choose_finding(report *r, const char *class_name)
{
    const char *const *names = (const char *const *)r->class_names;
    r->positive = (pulmo_positive){.index = -1, .by = PULMO_POSITIVE_GIVEN};
    if (class_name)
        PULMO_TRY(find_class(r, class_name, &r->positive.index));
    else if (r->classes == 2)
        r->positive.index = r->scores.positive;
    if (r->classes != 2 || r->positive.index >= 0)
        return PULMO_OK;
    r->positive.by = PULMO_POSITIVE_NAME;
    r->positive.index = pulmo_metrics_finding(r->classes, names);
    if (r->positive.index >= 0)
        return PULMO_OK;
    r->positive = (pulmo_positive){.index = 1, .by = PULMO_POSITIVE_ORDER};
    return PULMO_OK;
}

/* A threshold of the file is of the class that it names. */
static bool file_has_threshold(const report *r)
{
    const pulmo_scores *s = &r->scores;
    return !isnan(s->threshold) && (s->positive < 0 || s->positive == r->positive.index);
}

static pulmo_status choose_threshold(report *r, const char *given)
{
    const char *words = "is the file's";
    r->threshold = r->scores.threshold;
    if (given && !pulmo_metrics_rule_given(given, &r->threshold))
        return pulmo_fail(PULMO_USAGE, "--threshold %s: must be a number from 0 to 1", given);
    if (given)
        words = "was given with the command";
    else if (r->scores.predicted && !file_has_threshold(r)) {
        words = "is not known: classes are those that the file calls";
        r->threshold = NAN;
    } else if (!file_has_threshold(r)) {
        words = "was taken because the file names none";
        r->threshold = THRESHOLD_UNKNOWN;
    }
    r->threshold_rule = pulmo_strdup(words);
    return r->threshold_rule ? PULMO_OK : PULMO_MEMORY;
}

/* ---- scores ---- */

/* Logits hold what floats of probabilities near 0 and 1 cannot tell apart. */
static void take_probabilities(const pulmo_scores *scores, report_split *s)
{
    const size_t values = (size_t)s->count * (size_t)scores->classes;
    for (size_t i = 0; i < values; i++) {
        const double p = scores->probabilities[i];
        s->probabilities[i] = (float)p;
        s->logits[i] = (float)pulmo_log(fmax(p, LOG_LEAST));
    }
}

/* A threshold that was given decides anew. */
static void take_predictions(const report *r, bool is_given, report_split *s)
{
    const pulmo_decision by = {r->positive.index, r->threshold};
    for (uint32_t i = 0; i < s->count; i++) {
        const float *row = s->probabilities + (size_t)i * (size_t)r->classes;
        s->labels[i] = r->scores.labels[i];
        if (r->scores.predicted && !is_given)
            s->predictions[i] = r->scores.predicted[i];
        else
            s->predictions[i] = pulmo_metrics_class(r->classes, &by, row);
    }
}

static pulmo_status take_scores(report *r, const pulmo_report_options *o)
{
    report_split *s = &r->split[0];
    const pulmo_scores *scores = &r->scores;
    const size_t count = scores->count, values = count * (size_t)scores->classes;
    r->splits = 1;
    snprintf(s->name, sizeof s->name, "scored");
    s->count = scores->count;
    s->labels = pulmo_alloc(count + 1, sizeof *s->labels);
    s->predictions = pulmo_alloc(count + 1, sizeof *s->predictions);
    s->probabilities = pulmo_alloc(values + 1, sizeof *s->probabilities);
    s->logits = pulmo_alloc(values + 1, sizeof *s->logits);
    if (!s->labels || !s->predictions || !s->probabilities || !s->logits)
        return PULMO_MEMORY;
    PULMO_TRY(take_lines(scores->paths, count, &s->paths));
    PULMO_TRY(take_lines(scores->patient_names, count, &s->groups));
    take_probabilities(scores, s);
    take_predictions(r, o->threshold != NULL, s);
    const pulmo_scored scored = report_scored(r, s);
    const pulmo_decision by = {r->positive.index, r->threshold};
    return pulmo_metrics_compute(&scored, &by, &s->metrics);
}

/* ---- all ---- */

static pulmo_status name_it(report *r)
{
    struct stat about;
    struct tm when;
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest digest;
    const char *file = r->scores.file, *slash = strrchr(file, '/');
    PULMO_TRY(pulmo_digest_of_file(file, &digest));
    pulmo_digest_hex(&digest, hex);
    if (stat(file, &about) == 0 && gmtime_r(&about.st_mtime, &when))
        report_put_date(r, &when);
    char **const empty[] = {&r->config,      &r->kernels,     &r->features, &r->weights_digest,
                            &r->data_digest, &r->head_digest, &r->host,     &r->data_path,
                            &r->model,       &r->carve,       &r->resize,   &r->decode,
                            &r->patients_by, &r->by,          &r->started,  &r->ended,
                            &r->command,     &r->commit};
    for (size_t i = 0; i < PULMO_COUNT_OF(empty); i++)
        if (!(*empty[i] = pulmo_strdup("")))
            return PULMO_MEMORY;
    const char *own_name = slash ? slash + 1 : file;
    r->title = pulmo_strdup(r->shared ? "Scores" : own_name);
    r->version = pulmo_strdup(PULMO_VERSION);
    r->scores_digest = pulmo_strdup(hex);
    if (!r->title || !r->version || !r->scores_digest)
        return PULMO_MEMORY;
    return PULMO_OK;
}

static pulmo_status take_classes(report *r)
{
    const pulmo_scores *s = &r->scores;
    if (s->classes < 2 || s->classes > PULMO_CLASSES_MAX)
        return pulmo_fail(PULMO_DATA, "%s: has scores of %d classes: must be 2 to %d", s->file,
                          s->classes, PULMO_CLASSES_MAX);
    r->classes = s->classes;
    r->class_names = malloc((size_t)s->classes * sizeof *r->class_names);
    if (!r->class_names)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %d classes", s->classes);
    memcpy(r->class_names, s->class_names, (size_t)s->classes * sizeof *r->class_names);
    return PULMO_OK;
}

static pulmo_status fill(const pulmo_report_options *o, const wanted_columns *wanted, report *r)
{
    r->finished = true;
    r->shared = o->share != 0;
    r->temperature = 1;
    r->wall_s = NAN;
    r->fold = -1;
    r->models = 1;
    r->patients_unknown = !r->scores.patients_told;
    PULMO_TRY(name_it(r));
    PULMO_TRY(take_classes(r));
    PULMO_TRY(refuse_of_many(r, "class", o->class_name));
    PULMO_TRY(refuse_of_many(r, "threshold", o->threshold));
    PULMO_TRY(choose_finding(r, o->class_name));
    PULMO_TRY(choose_threshold(r, o->threshold));
    PULMO_TRY(take_scores(r, o));
    return take_columns(wanted, r);
}

pulmo_status report_of_scores(const pulmo_report_options *o, report *out)
{
    wanted_columns wanted;
    memset(out, 0, sizeof *out);
    pulmo_status status = want_columns(o->by ? o->by : "", &wanted);
    out->held = wanted.held;
    const pulmo_scores_wish wish = {.split = o->split, .more = wanted.name, .mores = wanted.names};
    if (status == PULMO_OK)
        status = pulmo_scores_read(o->scores, &wish, &out->scores);
    if (status == PULMO_OK) {
        out->is_scores = true;
        status = fill(o, &wanted, out);
    }
    free(wanted.name);
    if (status != PULMO_OK)
        report_free(out);
    return status;
}
