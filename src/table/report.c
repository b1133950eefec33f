/* What became of rows and files, in words. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/text.h"

#include "labels.h"

static pulmo_label_lines as_lines(const words *list)
{
    return (pulmo_label_lines){list->count, (const char *const *)list->word};
}

pulmo_label_lines pulmo_labels_kept(const pulmo_labels *labels)
{
    return as_lines(&labels->kept_names);
}

pulmo_label_report pulmo_labels_report(const pulmo_labels *labels)
{
    pulmo_label_report report = {
        .rows = labels->sheet.rows,
        .notes = as_lines(&labels->notes),
        .rows_without_file = as_lines(&labels->rows_without_file),
        .files_without_row = as_lines(&labels->files_without_row),
    };
    memcpy(report.fate, labels->fate, sizeof report.fate);
    return report;
}

pulmo_status labels_note(pulmo_labels *labels, const char *format, ...)
{
    char *line = NULL;
    va_list arguments;
    va_start(arguments, format);
    int bytes = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (bytes < 0)
        return pulmo_fail(PULMO_MEMORY, "out of memory for notes");
    pulmo_status status = words_add(&labels->notes, line, (size_t)bytes);
    free(line);
    return status;
}

static pulmo_status describe_tables(pulmo_labels *labels)
{
    const sheet *s = &labels->sheet;
    const char *first = s->table[0].path;
    const char *others = s->tables > 1 ? " and others" : "";
    for (size_t i = 1; i < s->tables; i++) {
        if (s->unjoined[i] > 0)
            PULMO_TRY(labels_note(labels, "rows of %s without a row in %s: %zu of %zu",
                                  s->table[0].path, s->table[i].path, s->unjoined[i], s->rows));
    }
    PULMO_TRY(labels_note(labels, "%zu row%s of labels in %s%s, %zu of them of a file", s->rows,
                          pulmo_plural(s->rows), first, others, labels->rows_matched));
    if (labels->rows_without_file.count == 0)
        return PULMO_OK;
    return labels_note(labels, "rows without a file: %zu, the first: %s",
                       labels->rows_without_file.count, labels->rows_without_file.word[0]);
}

static int by_files(const void *a, const void *b)
{
    const unnamed_label *left = a;
    const unnamed_label *right = b;
    if (left->files != right->files)
        return left->files > right->files ? -1 : 1;
    return strcmp(left->label, right->label);
}

#define UNNAMED_SHOWN 8

static void print_unnamed(FILE *out, const pulmo_labels *labels)
{
    const char *between = ": ";
    fputs("labels that pack.label_map leaves out", out);
    for (size_t i = 0; i < labels->unnamed_count; i++) {
        const unnamed_label *unnamed = &labels->unnamed[i];
        if (i == UNNAMED_SHOWN) {
            fputs(" and others", out);
            return;
        }
        fprintf(out, "%s%s %zu", between, unnamed->label, unnamed->files);
        between = ", ";
    }
}

/* Labels that pack.label_map names but for their case. */
static pulmo_status describe_near(pulmo_labels *labels)
{
    for (size_t i = 0; i < labels->unnamed_count; i++) {
        const char *label = labels->unnamed[i].label;
        const char *near = NULL;
        PULMO_TRY(pulmo_label_map_near(labels->map, label, &near));
        if (near)
            PULMO_TRY(labels_note(labels, PULMO_LABEL_NEAR_NOTE, near, label));
    }
    return PULMO_OK;
}

static pulmo_status describe_unnamed(pulmo_labels *labels)
{
    pulmo_text text = {0};
    char *line = NULL;
    unnamed_label *all = labels->unnamed;
    if (labels->unnamed_count == 0)
        return PULMO_OK;
    qsort(all, labels->unnamed_count, sizeof *all, by_files);
    PULMO_TRY(pulmo_text_open(&text));
    print_unnamed(text.stream, labels);
    PULMO_TRY(pulmo_text_take(&text, &line));
    pulmo_status status = words_add_text(&labels->notes, line);
    free(line);
    return status;
}

/* Names of pack.label_map that are no label of any image: slips of the pen, most often. */
static pulmo_status describe_unmet(pulmo_labels *labels)
{
    words unmet = {0};
    pulmo_status status = label_map_unmet(labels->map, &unmet);
    char *list = words_join(&unmet, UNNAMED_SHOWN);
    if (status == PULMO_OK && list && unmet.count > 0)
        status =
            labels_note(labels, "warning: pack.label_map names labels that no image has: %s", list);
    free(list);
    words_free(&unmet);
    return status;
}

/* Other labels that hold the finding's name are counted as without it: perhaps not as meant. */
static pulmo_status describe_within(pulmo_labels *labels)
{
    const label_rules *rules = &labels->rules;
    size_t count = labels->within_count;
    if (count == 0)
        return PULMO_OK;
    char *examples = words_join(&labels->within_cells, WITHIN_SHOWN);
    if (!examples)
        return pulmo_fail(PULMO_MEMORY, "out of memory for notes");
    pulmo_status status = labels_note(
        labels, "warning: \"%s\" is within other labels of %zu image%s, which count as %s: %s",
        rules->positive, count, pulmo_plural(count), rules->negative, examples);
    free(examples);
    return status;
}

pulmo_status labels_describe(pulmo_labels *labels)
{
    if (labels->has_tables)
        PULMO_TRY(describe_tables(labels));
    for (int fate = PULMO_LABEL_TAKEN + 1; fate < PULMO_LABEL_FATE_COUNT; fate++) {
        if (labels->fate[fate] > 0)
            PULMO_TRY(labels_note(labels, "left out: %zu image%s %s", labels->fate[fate],
                                  pulmo_plural(labels->fate[fate]),
                                  label_fate_text((pulmo_label_fate)fate)));
    }
    bool gives_classes = labels->rules.label != NO_COLUMN || labels->rules.positive;
    if (labels->has_tables && gives_classes)
        PULMO_TRY(describe_unmet(labels));
    PULMO_TRY(describe_within(labels));
    PULMO_TRY(describe_unnamed(labels));
    return describe_near(labels);
}
