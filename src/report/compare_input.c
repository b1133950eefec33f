/* What is compared: a run, an evaluation, or a CSV of scores, each as the same arrays. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/memory.h"
#include "pulmo/metrics.h"
#include "compare.h"

/* ---- a file ---- */

static pulmo_status open_file(const char *path, const char *split, compare_input *out)
{
    const pulmo_scores_wish wish = {.split = split};
    pulmo_scores *s = &out->scores;
    PULMO_TRY(pulmo_scores_read(path, &wish, s));
    out->is_file = true;
    out->count = s->count;
    out->classes = s->classes;
    out->class_names = s->class_names;
    out->paths = s->paths;
    out->patients = s->patient_names;
    out->labels = s->labels;
    out->patients_told = s->patients_told;
    return PULMO_OK;
}

/* ---- a run ---- */

static const report_split *find_split(const report *r, const char *split)
{
    for (int i = 0; i < r->splits; i++)
        if (!split || strcmp(r->split[i].name, split) == 0)
            return &r->split[i];
    return NULL;
}

static pulmo_status open_run(const char *path, const char *split, compare_input *out)
{
    report *r = &out->run;
    PULMO_TRY(report_read(path, r));
    const report_split *s = find_split(r, split);
    if (!s)
        return pulmo_fail(PULMO_DATA, "%s: holds no scores of the split \"%s\"", path,
                          split ? split : "test");
    out->split = s;
    out->count = s->count;
    out->classes = r->classes;
    out->class_names = r->class_names;
    out->paths = s->paths.text;
    out->patients = s->groups.text;
    out->labels = s->labels;
    out->patients_told = !r->patients_unknown;
    return PULMO_OK;
}

/* results.h5 by its name, or a directory that holds it; all else is a table. */
static bool is_run(const char *path)
{
    struct stat about;
    const size_t length = strlen(path);
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return true;
    return length > 3 && strcmp(path + length - 3, ".h5") == 0;
}

pulmo_status compare_input_open(const char *path, const char *split, compare_input *out)
{
    out->name = path;
    if (is_run(path))
        return open_run(path, split, out);
    return open_file(path, split, out);
}

void compare_input_close(compare_input *input)
{
    pulmo_scores_free(&input->scores);
    report_free(&input->run);
    free(input->score);
    free(input->probability);
    free(input->called);
    free(input->predicted);
}

/* ---- the finding ---- */

static int class_of_name(const compare_input *input, const char *name)
{
    for (int k = 0; k < input->classes; k++)
        if (strcmp(input->class_names[k], name) == 0)
            return k;
    return -1;
}

/* The class that the input itself calls its finding; -1 where it does not. */
static int own_finding(const compare_input *input)
{
    if (input->classes != 2)
        return -1;
    if (!input->is_file)
        return input->run.positive.index;
    if (input->scores.positive >= 0)
        return input->scores.positive;
    return pulmo_metrics_finding(input->classes, (const char *const *)input->class_names);
}

static pulmo_status name_finding(const comparison *c, const char **out)
{
    *out = NULL;
    for (int i = 0; i < c->inputs; i++) {
        const compare_input *input = &c->input[i];
        const int own = own_finding(input);
        if (own < 0)
            continue;
        const char *name = input->class_names[own];
        if (*out && strcmp(*out, name) != 0)
            return pulmo_fail(
                PULMO_CONFIG,
                "%s: its finding is %s, that of another is %s; say with --class which "
                "one is compared",
                input->name, name, *out);
        *out = name;
    }
    if (*out)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "%s: nothing says which of its %d classes is the finding; say it with "
                      "--class, as in --class %s",
                      c->input[0].name, c->input[0].classes,
                      c->input[0].class_names[c->input[0].classes - 1]);
}

pulmo_status compare_choose_finding(comparison *c, const char *wanted)
{
    const char *name = wanted;
    if (!name)
        PULMO_TRY(name_finding(c, &name));
    for (int i = 0; i < c->inputs; i++) {
        compare_input *input = &c->input[i];
        input->finding = class_of_name(input, name);
        if (input->finding < 0)
            return pulmo_fail(PULMO_DATA,
                              "%s: has no class \"%s\"; its classes are %s, %s%s: names are "
                              "compared exactly",
                              input->name, name, input->class_names[0], input->class_names[1],
                              input->classes > 2 ? ", ..." : "");
    }
    return PULMO_OK;
}

/* ---- scores and calls ---- */

static pulmo_status allocate(compare_input *input)
{
    const size_t room = (size_t)input->count + 1;
    input->score = malloc(room * sizeof *input->score);
    input->probability = malloc(room * sizeof *input->probability);
    input->called = malloc(room * sizeof *input->called);
    input->predicted = calloc(room, sizeof *input->predicted);
    if (input->score && input->probability && input->called && input->predicted)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "%s: out of memory for %u scores", input->name, input->count);
}

static int largest(const double *row, int classes)
{
    int best = 0;
    for (int k = 1; k < classes; k++)
        if (row[k] > row[best])
            best = k;
    return best;
}

#define CALLED_FROM 0.5 /* where nobody says another threshold */

static double threshold_of_file(const pulmo_scores *s, double wished)
{
    if (!isnan(wished))
        return wished;
    return isnan(s->threshold) ? CALLED_FROM : s->threshold;
}

static void take_file(compare_input *input, double wished)
{
    const pulmo_scores *s = &input->scores;
    const size_t classes = (size_t)s->classes;
    const bool by_threshold = classes == 2 && !(s->predicted && isnan(wished));
    input->threshold = classes == 2 ? threshold_of_file(s, wished) : NAN;
    if (!by_threshold && isnan(s->threshold))
        input->threshold = NAN;
    for (uint32_t i = 0; i < s->count; i++) {
        const double *row = s->probabilities + i * classes;
        input->probability[i] = row[input->finding];
        input->score[i] = row[input->finding];
        if (by_threshold)
            input->predicted[i] =
                row[input->finding] >= input->threshold ? input->finding : 1 - input->finding;
        else
            input->predicted[i] = s->predicted ? s->predicted[i] : largest(row, s->classes);
    }
}

static pulmo_status take_run(compare_input *input, double wished)
{
    const report *r = &input->run;
    const report_split *s = input->split;
    const pulmo_scored scored = report_scored(r, s);
    const pulmo_decision by = {r->positive.index, r->threshold};
    pulmo_side side;
    PULMO_TRY(pulmo_side_of(&scored, &by, input->finding, &side));
    input->threshold = NAN;
    if (r->classes == 2)
        input->threshold = isnan(wished) ? r->threshold : wished;
    for (uint32_t i = 0; i < s->count; i++) {
        input->score[i] = side.score[i];
        input->probability[i] = side.probability[i];
        input->predicted[i] = s->predictions[i];
        if (r->classes == 2 && !isnan(wished)) {
            const bool called = side.probability[i] >= wished;
            input->predicted[i] = called ? input->finding : 1 - input->finding;
        }
    }
    pulmo_side_free(&side);
    return PULMO_OK;
}

pulmo_status compare_input_call(compare_input *input, double threshold)
{
    PULMO_TRY(allocate(input));
    if (input->is_file)
        take_file(input, threshold);
    else
        PULMO_TRY(take_run(input, threshold));
    for (uint32_t i = 0; i < input->count; i++)
        input->called[i] = input->predicted[i] == input->finding;
    return PULMO_OK;
}
