/* Scores of images from a CSV file: which column is what, and the rows as numbers. */
#include "pulmo/scores.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

#include "sheet.h"

#define ABSENT SIZE_MAX

static const char *const path_names[] = {"path", "image", "file", "filename", NULL};
/* Not "class": that is what `pulmo predict` and others call the predicted one. */
static const char *const label_names[] = {"label", "truth", "true_label", NULL};
static const char *const patient_names[] = {"patient", "patient_id", "group", NULL};
static const char *const class_prefixes[] = {"p_", "prob_", NULL};

/* What the columns of a file are: each is a place among those wanted, or ABSENT. */
typedef struct layout {
    words wanted;
    size_t path, label, patient, split, predicted, threshold, positive;
    size_t first_class; /* `given` columns from here on */
    int given;          /* class columns */
    size_t first_more;
    words classes; /* their names */
} layout;

/* What texts are borrowed from, and what the rows are read with. */
typedef struct reading {
    table table;
    layout columns;
    size_t *row; /* (count): of the table */
} reading;

static const char *cell_of(const reading *r, size_t row, size_t column)
{
    return column == ABSENT ? "" : table_cell(&r->table, row, column);
}

static pulmo_status fail_at(const reading *r, size_t row, size_t column, const char *rule)
{
    return pulmo_fail(PULMO_DATA, "%s:%zu: column \"%s\" holds \"%s\": %s", r->table.path,
                      r->table.line[row], r->columns.wanted.word[column], cell_of(r, row, column),
                      rule);
}

/* ---- columns ---- */

static pulmo_status want(layout *l, const char *name, size_t *place)
{
    *place = l->wanted.count;
    return words_add_text(&l->wanted, name);
}

/* The first of the names that the header has. */
static pulmo_status want_any(layout *l, const words *header, const char *const *names,
                             size_t *place)
{
    *place = ABSENT;
    for (; *names; names++)
        if (words_find(header, *names) >= 0)
            return want(l, *names, place);
    return PULMO_OK;
}

static pulmo_status want_if_there(layout *l, const words *header, const char *name, size_t *place)
{
    const char *const names[] = {name, NULL};
    return want_any(l, header, names, place);
}

static const char *class_of_column(const char *column)
{
    for (const char *const *prefix = class_prefixes; *prefix; prefix++) {
        const size_t bytes = strlen(*prefix);
        if (strncmp(column, *prefix, bytes) == 0 && column[bytes])
            return column + bytes;
    }
    return NULL;
}

static pulmo_status add_class(layout *l, const char *column, const char *name)
{
    size_t place = 0;
    PULMO_TRY(want(l, column, &place));
    l->given++;
    return words_add_text(&l->classes, name);
}

/* Columns that say by their prefix that they are a class's probability. */
static pulmo_status want_prefixed(layout *l, const words *header)
{
    for (size_t i = 0; i < header->count; i++) {
        const char *name = class_of_column(header->word[i]);
        if (name)
            PULMO_TRY(add_class(l, header->word[i], name));
    }
    return PULMO_OK;
}

static pulmo_status want_labelled(layout *l, const words *header, const words *labels)
{
    for (size_t i = 0; i < header->count; i++) {
        const char *name = header->word[i];
        if (words_find(labels, name) >= 0 && words_find(&l->wanted, name) < 0)
            PULMO_TRY(add_class(l, name, name));
    }
    return PULMO_OK;
}

static pulmo_status check_columns(const layout *l, const char *path)
{
    if (l->path == ABSENT)
        return pulmo_fail(PULMO_DATA,
                          "%s: has no column of images: call it path (or image, file, filename)",
                          path);
    if (l->label == ABSENT)
        return pulmo_fail(PULMO_DATA,
                          "%s: has no column of true classes: call it label (or truth, "
                          "true_label)",
                          path);
    if (l->given == 0)
        return pulmo_fail(PULMO_DATA,
                          "%s: has no column of probabilities: call that of class NAME p_NAME, or "
                          "NAME as the labels do",
                          path);
    return PULMO_OK;
}

/* The different words of a column, at most `most` of them. */
static pulmo_status distinct(const table *t, size_t column, size_t most, words *out)
{
    for (size_t i = 0; i < t->rows && out->count < most; i++) {
        const char *word = table_cell(t, i, column);
        if (words_find(out, word) < 0)
            PULMO_TRY(words_add_text(out, word));
    }
    return PULMO_OK;
}

#define LABELS_MOST 1000

/* Labels may name the columns of probabilities. */
static pulmo_status read_labels(const char *path, const char *column, words *out)
{
    words wanted = {0};
    table t;
    pulmo_status status = words_add_text(&wanted, column);
    if (status == PULMO_OK)
        status = table_read(path, &wanted, true, &t);
    if (status == PULMO_OK) {
        status = distinct(&t, 0, LABELS_MOST, out);
        table_free(&t);
    }
    words_free(&wanted);
    return status;
}

static pulmo_status want_classes(layout *l, const words *header, const char *path)
{
    words labels = {0};
    l->first_class = l->wanted.count;
    PULMO_TRY(want_prefixed(l, header));
    if (l->given > 0 || l->label == ABSENT)
        return PULMO_OK;
    pulmo_status status = read_labels(path, l->wanted.word[l->label], &labels);
    if (status == PULMO_OK)
        status = want_labelled(l, header, &labels);
    words_free(&labels);
    return status;
}

static pulmo_status find_columns(layout *l, const words *header, const pulmo_scores_wish *wish,
                                 const char *path)
{
    PULMO_TRY(want_any(l, header, path_names, &l->path));
    PULMO_TRY(want_any(l, header, label_names, &l->label));
    PULMO_TRY(want_any(l, header, patient_names, &l->patient));
    PULMO_TRY(want_if_there(l, header, "split", &l->split));
    PULMO_TRY(want_if_there(l, header, "predicted", &l->predicted));
    PULMO_TRY(want_if_there(l, header, "threshold", &l->threshold));
    PULMO_TRY(want_if_there(l, header, "positive_class", &l->positive));
    PULMO_TRY(want_classes(l, header, path));
    PULMO_TRY(check_columns(l, path));
    l->first_more = l->wanted.count;
    for (int i = 0; i < wish->mores; i++)
        PULMO_TRY(words_add_text(&l->wanted, wish->more[i]));
    return PULMO_OK;
}

static pulmo_status read_header(const char *path, const pulmo_scores_wish *wish, layout *l)
{
    const words nothing = {0};
    table t;
    PULMO_TRY(table_read(path, &nothing, true, &t));
    pulmo_status status = find_columns(l, &t.header, wish, path);
    table_free(&t);
    return status;
}

/* A further column may be one that is read anyway: the table has a word once. */
static size_t more_column(const layout *l, const char *name)
{
    return (size_t)words_find(&l->wanted, name);
}

/* ---- rows ---- */

/* Which split is meant: the one wished, else test where there is one, else that of all rows. */
static pulmo_status choose_split(const reading *r, const pulmo_scores_wish *wish, const char **out)
{
    const size_t column = r->columns.split;
    const char *first = cell_of(r, 0, column);
    const char *other = NULL;
    *out = wish->split;
    for (size_t i = 0; i < r->table.rows && !*out; i++) {
        const char *cell = cell_of(r, i, column);
        if (strcmp(cell, "test") == 0)
            *out = "test";
        else if (strcmp(cell, first) != 0)
            other = cell;
    }
    if (*out)
        return PULMO_OK;
    *out = first;
    if (!other)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_DATA,
        "%s: has rows of the splits \"%s\" and \"%s\" and none of \"test\"; say which is "
        "meant with --split",
        r->table.path, first, other);
}

static pulmo_status choose_rows(reading *r, const pulmo_scores_wish *wish, uint32_t *count)
{
    const size_t rows = r->table.rows;
    const bool all = r->columns.split == ABSENT;
    *count = 0;
    if (rows == 0 || rows >= UINT32_MAX)
        return pulmo_fail(PULMO_DATA, "%s: has %zu rows below its header: must be 1 to 2^32 - 2",
                          r->table.path, rows);
    r->row = malloc(rows * sizeof *r->row);
    if (!r->row)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory for %zu rows", r->table.path, rows);
    const char *split = "";
    if (!all)
        PULMO_TRY(choose_split(r, wish, &split));
    for (size_t i = 0; i < rows; i++)
        if (all || strcmp(cell_of(r, i, r->columns.split), split) == 0)
            r->row[(*count)++] = i;
    if (*count == 0)
        return pulmo_fail(PULMO_DATA, "%s: no row is of the split \"%s\"", r->table.path, split);
    return PULMO_OK;
}

/* ---- classes ---- */

/* Of two classes one column is enough: the other is what labels call it. */
static pulmo_status add_other_class(reading *r)
{
    layout *l = &r->columns;
    words labels = {0};
    if (l->given != 1)
        return PULMO_OK;
    pulmo_status status = distinct(&r->table, l->label, LABELS_MOST, &labels);
    for (size_t i = 0; status == PULMO_OK && i < labels.count; i++)
        if (words_find(&l->classes, labels.word[i]) < 0)
            status = words_add_text(&l->classes, labels.word[i]);
    words_free(&labels);
    if (status == PULMO_OK && l->classes.count == 1) {
        char *other = pulmo_format("not %s", l->classes.word[0]);
        status = other ? words_add_text(&l->classes, other) : PULMO_MEMORY;
        free(other);
    }
    if (status == PULMO_OK && l->classes.count > 2)
        return pulmo_fail(PULMO_DATA,
                          "%s: has probabilities of one class, and labels of %zu; give each class "
                          "a column p_NAME",
                          r->table.path, l->classes.count);
    return status;
}

static pulmo_status read_class(const reading *r, size_t row, size_t column, int32_t *out)
{
    *out = words_find(&r->columns.classes, cell_of(r, row, column));
    if (*out >= 0)
        return PULMO_OK;
    char *names = words_join(&r->columns.classes, 8);
    char *rule =
        pulmo_format("must be a class that has a column of probabilities (%s)", names ? names : "");
    pulmo_status status = rule ? fail_at(r, row, column, rule) : PULMO_MEMORY;
    free(names);
    free(rule);
    return status;
}

static pulmo_status read_number(const reading *r, size_t row, size_t column, double *out)
{
    const char *text = cell_of(r, row, column);
    char *end = NULL;
    *out = strtod(text, &end);
    if (end == text || *end || !(*out >= 0 && *out <= 1))
        return fail_at(r, row, column, "must be a probability, a number from 0 to 1");
    return PULMO_OK;
}

#define SUM_MOST_OFF 0.01

/* An image's probabilities (classes). */
static pulmo_status read_probabilities(const reading *r, size_t row, int classes, double *out)
{
    const layout *l = &r->columns;
    double sum = 0;
    for (int k = 0; k < l->given; k++) {
        PULMO_TRY(read_number(r, row, l->first_class + (size_t)k, &out[k]));
        sum += out[k];
    }
    if (l->given < classes)
        out[1] = 1 - out[0];
    else if (fabs(sum - 1) > SUM_MOST_OFF)
        return pulmo_fail(PULMO_DATA,
                          "%s:%zu: the classes' probabilities add up to %g: must be 1 (of several "
                          "findings at once, give each its own file with one column)",
                          r->table.path, r->table.line[row], sum);
    return PULMO_OK;
}

/* ---- all of them ---- */

static pulmo_status read_row(const reading *r, uint32_t image, pulmo_scores *out)
{
    const layout *l = &r->columns;
    const size_t row = r->row[image];
    const size_t k = (size_t)out->classes;
    out->paths[image] = r->table.text + r->table.cell[row * r->table.columns + l->path];
    out->patient_names[image] = out->paths[image];
    PULMO_TRY(read_class(r, row, l->label, &out->labels[image]));
    PULMO_TRY(read_probabilities(r, row, out->classes, out->probabilities + image * k));
    if (l->predicted != ABSENT)
        PULMO_TRY(read_class(r, row, l->predicted, &out->predicted[image]));
    if (l->patient == ABSENT)
        return PULMO_OK;
    if (pulmo_cell_is_blank(cell_of(r, row, l->patient)))
        return fail_at(r, row, l->patient,
                       "each image has a patient; leave the column out where they are not known");
    out->patient_names[image] = r->table.text + r->table.cell[row * r->table.columns + l->patient];
    return PULMO_OK;
}

/* A cell that must be the same in all rows; "" where the column is absent. */
static pulmo_status read_common(const reading *r, size_t column, uint32_t count, const char **out)
{
    *out = cell_of(r, r->row[0], column);
    for (uint32_t i = 1; i < count; i++)
        if (strcmp(*out, cell_of(r, r->row[i], column)) != 0)
            return fail_at(r, r->row[i], column,
                           "must be the same in all rows; leave the column out, and say it with "
                           "--threshold or --class");
    return PULMO_OK;
}

/* A file of several models has a threshold of each, and what they predicted. */
static bool has_own_decisions(const layout *l)
{
    return l->predicted != ABSENT;
}

static pulmo_status read_decision(const reading *r, pulmo_scores *out)
{
    const layout *l = &r->columns;
    const char *threshold = "";
    const char *positive = "";
    PULMO_TRY(read_common(r, l->positive, out->count, &positive));
    pulmo_status status = read_common(r, l->threshold, out->count, &threshold);
    if (status != PULMO_OK && has_own_decisions(l)) {
        pulmo_error_clear();
        threshold = "";
        status = PULMO_OK;
    }
    PULMO_TRY(status);
    out->positive = words_find(&l->classes, positive);
    if (*positive && out->positive < 0)
        return fail_at(r, r->row[0], l->positive, "must be one of the classes");
    out->threshold = NAN;
    if (*threshold)
        return read_number(r, r->row[0], l->threshold, &out->threshold);
    return PULMO_OK;
}

static pulmo_status check_paths(const reading *r, const pulmo_scores *s)
{
    uint32_t different = 0;
    uint32_t *number = malloc(((size_t)s->count + 1) * sizeof *number);
    uint32_t *first = malloc(((size_t)s->count + 1) * sizeof *first);
    pulmo_status status = PULMO_MEMORY;
    if (number && first)
        status = pulmo_names_number((const char *const *)s->paths, s->count, number, &different);
    for (uint32_t i = 0; status == PULMO_OK && i < s->count; i++)
        first[i] = UINT32_MAX;
    for (uint32_t i = 0; status == PULMO_OK && different < s->count && i < s->count; i++) {
        uint32_t *seen = &first[number[i]];
        if (*seen != UINT32_MAX)
            status = pulmo_fail(
                PULMO_DATA, "%s:%zu: \"%s\" stands in line %zu too; each image has one row",
                s->file, r->table.line[r->row[i]], s->paths[i], r->table.line[r->row[*seen]]);
        *seen = i;
    }
    free(number);
    free(first);
    return status;
}

static pulmo_status allocate(pulmo_scores *out, bool predicted)
{
    const size_t count = out->count;
    const size_t values = count * (size_t)out->classes;
    out->paths = calloc(count, sizeof *out->paths);
    out->patient_names = calloc(count, sizeof *out->patient_names);
    out->labels = calloc(count, sizeof *out->labels);
    out->patient = calloc(count, sizeof *out->patient);
    out->probabilities = calloc(values, sizeof *out->probabilities);
    out->predicted = predicted ? calloc(count, sizeof *out->predicted) : NULL;
    const bool whole = out->paths && out->patient_names && out->labels && out->patient &&
                       out->probabilities && (out->predicted || !predicted);
    if (whole)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "%s: out of memory for %zu rows", out->file, count);
}

static pulmo_status take_mores(const reading *r, const pulmo_scores_wish *wish, pulmo_scores *out)
{
    const table *t = &r->table;
    out->mores = wish->mores;
    out->has_more = calloc((size_t)wish->mores + 1, sizeof *out->has_more);
    out->more = calloc((size_t)wish->mores + 1, sizeof *out->more);
    if (!out->has_more || !out->more)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", out->file);
    for (int m = 0; m < wish->mores; m++) {
        const size_t column = more_column(&r->columns, wish->more[m]);
        out->has_more[m] = t->has[column];
        out->more[m] = calloc((size_t)out->count + 1, sizeof *out->more[m]);
        if (!out->more[m])
            return pulmo_fail(PULMO_MEMORY, "%s: out of memory for %u rows", out->file, out->count);
        for (uint32_t i = 0; i < out->count; i++)
            out->more[m][i] = t->text + t->cell[r->row[i] * t->columns + column];
    }
    return PULMO_OK;
}

static pulmo_status read_rows(reading *r, const pulmo_scores_wish *wish, pulmo_scores *out)
{
    PULMO_TRY(add_other_class(r));
    PULMO_TRY(choose_rows(r, wish, &out->count));
    out->classes = (int)r->columns.classes.count;
    out->class_names = r->columns.classes.word;
    out->patients_told = r->columns.patient != ABSENT;
    PULMO_TRY(allocate(out, r->columns.predicted != ABSENT));
    for (uint32_t i = 0; i < out->count; i++)
        PULMO_TRY(read_row(r, i, out));
    PULMO_TRY(read_decision(r, out));
    PULMO_TRY(check_paths(r, out));
    PULMO_TRY(take_mores(r, wish, out));
    return pulmo_names_number((const char *const *)out->patient_names, out->count, out->patient,
                              &out->patients);
}

/* A table that a configuration names and that is not there is a fault of the configuration; scores
 * are a command's input, as a run is. */
static pulmo_status check_input(const char *path)
{
    bool there = false;
    PULMO_TRY(pulmo_file_look(path, &there));
    if (there)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s", path, strerror(ENOENT));
}

pulmo_status pulmo_scores_read(const char *path, const pulmo_scores_wish *wish, pulmo_scores *out)
{
    static const pulmo_scores_wish nothing;
    const pulmo_scores_wish *wished = wish ? wish : &nothing;
    memset(out, 0, sizeof *out);
    reading *r = calloc(1, sizeof *r);
    pulmo_status status = PULMO_MEMORY;
    out->held = r;
    out->file = pulmo_strdup(path);
    if (!r || !out->file)
        goto out;
    PULMO_GOTO(check_input(path));
    PULMO_GOTO(read_header(path, wished, &r->columns));
    PULMO_GOTO(table_read(path, &r->columns.wanted, true, &r->table));
    PULMO_GOTO(read_rows(r, wished, out));
out:
    if (status != PULMO_OK)
        pulmo_scores_free(out);
    return status;
}

void pulmo_scores_free(pulmo_scores *s)
{
    reading *r = s->held;
    if (r) {
        table_free(&r->table);
        words_free(&r->columns.wanted);
        words_free(&r->columns.classes);
        free(r->row);
    }
    for (int m = 0; s->more && m < s->mores; m++)
        free(s->more[m]);
    free(s->more);
    free(s->has_more);
    free(s->paths);
    free(s->patient_names);
    free(s->labels);
    free(s->patient);
    free(s->probabilities);
    free(s->predicted);
    free(s->file);
    free(r);
    memset(s, 0, sizeof *s);
}
