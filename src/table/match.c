/* Rows to files: whose class, patient and split each file has. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "pulmo/text.h"

#include "match.h"

/* ---- a row ---- */

/* Where the table names the row's file. */
static cell_place place_of(const pulmo_labels *labels, size_t row)
{
    return sheet_place(&labels->sheet, row, labels->columns.path);
}

static pulmo_status judge_row(const pulmo_labels *labels, size_t row, bool *selected)
{
    *selected = true;
    for (size_t i = 0; i < labels->where.count; i++) {
        size_t column = labels->columns.where[i];
        const char *cell = sheet_cell(&labels->sheet, row, column);
        PULMO_TRY(condition_judge(&labels->where.one[i], cell, selected));
        if (!*selected)
            return PULMO_OK;
    }
    return PULMO_OK;
}

/* A cell that goes into the manifest, whose text is UTF-8. NULL without the column or the cell. */
static pulmo_status take_cell(const pulmo_labels *labels, size_t row, size_t column,
                              const char **out)
{
    *out = column == NO_COLUMN ? NULL : sheet_cell(&labels->sheet, row, column);
    if (!*out || pulmo_text_is_utf8(*out))
        return PULMO_OK;
    return sheet_fail(&labels->sheet, row, column,
                      "is not UTF-8; iconv -f LATIN1 -t UTF-8 converts such a table");
}

static pulmo_status take_split(const pulmo_labels *labels, size_t row, pulmo_file_label *out)
{
    size_t column = labels->columns.split;
    const char *cell = NULL;
    out->split = -1;
    PULMO_TRY(take_cell(labels, row, column, &cell));
    if (column != NO_COLUMN && !cell && out->fate == PULMO_LABEL_TAKEN)
        out->fate = PULMO_LABEL_UNJOINED;
    if (!cell || pulmo_cell_is_blank(cell))
        return PULMO_OK;
    out->split = pulmo_split_of_word(cell);
    if (out->split >= 0)
        return PULMO_OK;
    return sheet_fail(&labels->sheet, row, column,
                      "\"%s\": is not a split; they are train, val (validate) and test", cell);
}

static void count_unnamed(pulmo_labels *labels, const char *label)
{
    for (size_t i = 0; i < labels->unnamed_count; i++) {
        unnamed_label *known = &labels->unnamed[i];
        if (strcmp(known->label, label) != 0)
            continue;
        known->files++;
        return;
    }
    if (labels->unnamed_count == UNNAMED_MOST)
        return;
    labels->unnamed[labels->unnamed_count] = (unnamed_label){label, 1};
    labels->unnamed_count++;
}

/* Keeps a few cells as examples. */
static pulmo_status count_within(pulmo_labels *labels, const char *cell)
{
    words *examples = &labels->within_cells;
    labels->within_count++;
    if (examples->count > WITHIN_SHOWN || words_find(examples, cell) >= 0)
        return PULMO_OK;
    return words_add_text(examples, cell);
}

/* All that the row says; its kept cells go to `kept` (keep.count). */
static pulmo_status read_row(const pulmo_labels *labels, size_t row, pulmo_file_label *out,
                             const char **kept, ruling *ruled)
{
    const label_rules *rules = &labels->rules;
    const label_columns *columns = &labels->columns;
    PULMO_TRY(rules_apply(rules, &labels->sheet, row, ruled));
    *out = (pulmo_file_label){.fate = ruled->fate, .label = ruled->label};
    if (out->label && !pulmo_text_is_utf8(out->label))
        PULMO_TRY(take_cell(labels, row, rules->label, &out->label));
    PULMO_TRY(take_cell(labels, row, columns->patient, &out->patient));
    if (out->patient && pulmo_cell_is_blank(out->patient))
        out->patient = NULL;
    PULMO_TRY(take_split(labels, row, out));
    for (size_t i = 0; i < labels->keep.count; i++) {
        PULMO_TRY(take_cell(labels, row, columns->kept[i], &kept[i]));
        if (!kept[i])
            kept[i] = "";
    }
    out->kept = labels->keep.count > 0 ? kept : NULL;
    return PULMO_OK;
}

/* ---- a file of several rows ---- */

typedef struct disagreement {
    const char *what, *first, *second; /* `what` NULL: none */
} disagreement;

static const char *shown(const char *text)
{
    return text ? text : "";
}

static const char *split_text(int split)
{
    return split < 0 ? "" : pulmo_split_name(split);
}

/* Keeps the first difference that is found. */
static void compare(disagreement *found, const char *what, const char *first, const char *second)
{
    const char *one = shown(first);
    const char *other = shown(second);
    if (found->what || strcmp(one, other) == 0)
        return;
    *found = (disagreement){what, one, other};
}

static disagreement compare_all(const pulmo_labels *labels, const pulmo_file_label *a,
                                const pulmo_file_label *b)
{
    disagreement found = {0};
    compare(&found, "class", a->label, b->label);
    const char *a_fate = label_fate_text(a->fate);
    const char *b_fate = label_fate_text(b->fate);
    compare(&found, "class", a_fate, b_fate);
    compare(&found, "patient", a->patient, b->patient);
    const char *a_split = split_text(a->split);
    const char *b_split = split_text(b->split);
    compare(&found, "split", a_split, b_split);
    for (size_t i = 0; i < labels->keep.count; i++)
        compare(&found, labels->keep.word[i], a->kept[i], b->kept[i]);
    return found;
}

static pulmo_status judge_second(const matcher *m, size_t row, uint32_t file,
                                 const pulmo_file_label *second)
{
    const pulmo_labels *labels = m->labels;
    disagreement found = compare_all(labels, &m->out[file], second);
    if (!found.what)
        return PULMO_OK;
    cell_place first = place_of(labels, m->owner[file]);
    cell_place here = place_of(labels, row);
    return pulmo_fail(PULMO_DATA,
                      "%s:%zu and %s:%zu: are both of %s and disagree: %s \"%s\" and \"%s\"",
                      first.path, first.line, here.path, here.line, m->paths[file], found.what,
                      found.first, found.second);
}

static pulmo_status give_row(matcher *m, size_t row, uint32_t file)
{
    pulmo_labels *labels = m->labels;
    pulmo_file_label *mine = &m->out[file];
    const char *spare[PULMO_LIST_MAX];
    ruling ruled = {0};
    labels->rows_matched++;
    if (m->owner[file] != ROW_NONE) {
        pulmo_file_label second;
        PULMO_TRY(read_row(labels, row, &second, spare, &ruled));
        return judge_second(m, row, file, &second);
    }
    m->owner[file] = (uint32_t)row;
    const char **kept = labels->kept_cells + file * labels->keep.count;
    PULMO_TRY(read_row(labels, row, mine, kept, &ruled));
    if (mine->fate == PULMO_LABEL_UNNAMED)
        count_unnamed(labels, ruled.unnamed);
    return ruled.within ? count_within(labels, ruled.within) : PULMO_OK;
}

/* ---- all rows ---- */

static pulmo_status add_line(words *lines, cell_place place, const char *path)
{
    char *line = pulmo_format("%s:%zu: %s", place.path, place.line, path);
    if (!line)
        return PULMO_MEMORY;
    pulmo_status status = words_add_text(lines, line);
    free(line);
    return status;
}

static pulmo_status place_row(matcher *m, size_t row, const char *path, const tail_match *match)
{
    pulmo_labels *labels = m->labels;
    bool selected = true;
    bool has_file = match->file < m->count;
    PULMO_TRY(judge_row(labels, row, &selected));
    labels->rows_selected += selected;
    if (selected && has_file)
        return give_row(m, row, match->file);
    if (has_file && m->owner[match->file] == ROW_NONE)
        m->out[match->file].fate = PULMO_LABEL_NOT_WHERE;
    if (!selected)
        return PULMO_OK;
    cell_place place = place_of(labels, row);
    if (match->file == TAIL_AMBIGUOUS)
        return match_fail_ambiguous(m, place, path, match);
    return add_line(&labels->rows_without_file, place, path);
}

typedef struct row_visit {
    matcher *m;
    const char **path; /* (rows) */
} row_visit;

static pulmo_status visit_row(void *context, size_t row, const tail_match *match)
{
    const row_visit *v = context;
    return place_row(v->m, row, v->path[row], match);
}

static pulmo_status read_paths(const pulmo_labels *labels, const char **path)
{
    size_t column = labels->columns.path;
    for (size_t r = 0; r < labels->sheet.rows; r++) {
        path[r] = sheet_cell(&labels->sheet, r, column);
        if (path[r] && *path[r])
            continue;
        return sheet_fail(&labels->sheet, r, column, "is blank; pack.table_path names it");
    }
    return PULMO_OK;
}

/* Why pack.where takes nothing: the cell of the first row for its first condition. */
static pulmo_status fail_unselected(const pulmo_labels *labels)
{
    const sheet *s = &labels->sheet;
    const condition *first = &labels->where.one[0];
    size_t column = labels->columns.where[0];
    const char *cell = sheet_cell(s, 0, column);
    cell_place place = sheet_place(s, 0, column);
    return pulmo_fail(PULMO_CONFIG,
                      "pack.where: selects none of the %zu row%s of %s; its first condition is of "
                      "the column \"%s\", which holds \"%s\" in %s:%zu",
                      s->rows, pulmo_plural(s->rows), s->table[0].path, first->column,
                      cell ? cell : "", place.path, place.line);
}

static pulmo_status fail_unmatched(const matcher *m, const char *first_row)
{
    const pulmo_labels *labels = m->labels;
    const sheet *s = &labels->sheet;
    if (s->rows > 0 && labels->rows_selected == 0)
        return fail_unselected(labels);
    if (labels->rows_selected < s->rows)
        return pulmo_fail(
            PULMO_DATA,
            "pack.where: none of the %zu row%s that it selects of %zu is of any of the "
            "%zu file%s; the first of them: %s",
            labels->rows_selected, pulmo_plural(labels->rows_selected), s->rows, m->count,
            pulmo_plural(m->count), labels->rows_without_file.word[0]);
    return pulmo_fail(
        PULMO_DATA,
        "%s: none of its %zu row%s is of any of the %zu file%s; the first row: %s; the "
        "first file: %s",
        s->table[0].path, s->rows, pulmo_plural(s->rows), m->count, pulmo_plural(m->count),
        first_row, m->count > 0 ? m->paths[0] : "none");
}

static pulmo_status match_rows(matcher *m)
{
    const pulmo_labels *labels = m->labels;
    size_t rows = labels->sheet.rows;
    const char **path = malloc((rows + 1) * sizeof *path);
    if (!path)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu rows", rows);
    row_visit v = {.m = m, .path = path};
    pulmo_status status = read_paths(labels, path);
    if (status == PULMO_OK)
        status = match_names(m, path, rows, visit_row, &v);
    if (status == PULMO_OK && labels->rows_matched == 0)
        status = fail_unmatched(m, rows > 0 ? path[0] : "none");
    free(path);
    return status;
}

/* A blank split is no split: it would be train without a word. */
static pulmo_status judge_blank_splits(const matcher *m)
{
    const pulmo_labels *labels = m->labels;
    size_t column = labels->columns.split;
    size_t blanks = 0, first = SIZE_MAX;
    if (column == NO_COLUMN)
        return PULMO_OK;
    for (size_t f = 0; f < m->count; f++) {
        const pulmo_file_label *file = &m->out[f];
        if (file->fate != PULMO_LABEL_TAKEN || file->split >= 0)
            continue;
        blanks++;
        if (m->owner[f] < first)
            first = m->owner[f];
    }
    if (blanks == 0)
        return PULMO_OK;
    return sheet_fail(
        &labels->sheet, first, column,
        "is blank, as it is for %zu file%s in all; name the split (train, val, test), "
        "or leave such rows out by pack.where: \"%s!=\"",
        blanks, pulmo_plural(blanks), labels->sheet.wanted.word[column]);
}

/* ---- all of it ---- */

static void begin_files(const matcher *m)
{
    bool has_tables = m->labels->has_tables;
    for (size_t f = 0; f < m->count; f++) {
        m->owner[f] = ROW_NONE;
        m->out[f] = (pulmo_file_label){.split = -1};
        m->out[f].fate = has_tables ? PULMO_LABEL_NO_ROW : PULMO_LABEL_TAKEN;
    }
}

/* Files that are no images have no row and are not spoken of. */
static pulmo_status count_files(const matcher *m)
{
    pulmo_labels *labels = m->labels;
    for (size_t f = 0; f < m->count; f++) {
        pulmo_label_fate fate = m->out[f].fate;
        bool missing = fate == PULMO_LABEL_NO_ROW;
        if (missing && !tail_is_image(m->paths[f]))
            continue;
        labels->fate[fate]++;
        if (missing)
            PULMO_TRY(words_add_text(&labels->files_without_row, m->paths[f]));
    }
    return labels_describe(labels);
}

#define LABELS_SHOWN 10

/* Adds labels that are not yet in the list, one more of them than are shown at most. */
static pulmo_status add_seen(words *seen, const words *labels)
{
    for (size_t i = 0; i < labels->count && seen->count <= LABELS_SHOWN; i++) {
        const char *label = labels->word[i];
        if (words_find(seen, label) < 0)
            PULMO_TRY(words_add_text(seen, label));
    }
    return PULMO_OK;
}

/* Whether a file's cell has the finding; other labels are added to `seen`. */
static pulmo_status look_for_finding(const matcher *m, size_t file, words *seen, bool *found)
{
    const pulmo_labels *labels = m->labels;
    const label_rules *rules = &labels->rules;
    words of_cell = {0};
    if (m->owner[file] == ROW_NONE)
        return PULMO_OK;
    const char *cell = sheet_cell(&labels->sheet, m->owner[file], rules->label);
    if (!cell)
        return PULMO_OK;
    pulmo_status status = words_of_findings(&of_cell, cell, rules->positive);
    *found = status == PULMO_OK && words_find(&of_cell, rules->positive) >= 0;
    if (status == PULMO_OK && !*found)
        status = add_seen(seen, &of_cell);
    words_free(&of_cell);
    return status;
}

static pulmo_status fail_finding(const label_rules *rules, const words *seen)
{
    char *list = words_join(seen, LABELS_SHOWN);
    pulmo_status status =
        pulmo_fail(PULMO_CONFIG,
                   "pack.finding: \"%s\": no image has a label of this name; their labels are: %s",
                   rules->positive, list ? list : "");
    free(list);
    return status;
}

/* A finding that no cell names is a slip of the pen, not a class without images. */
static pulmo_status judge_finding(const matcher *m)
{
    const label_rules *rules = &m->labels->rules;
    words seen = {0};
    bool found = false;
    pulmo_status status = PULMO_OK;
    if (!rules->positive || rules->finding != NO_COLUMN)
        return PULMO_OK;
    for (size_t f = 0; f < m->count && status == PULMO_OK && !found; f++)
        status = look_for_finding(m, f, &seen, &found);
    if (status == PULMO_OK && !found && seen.count > 0)
        status = fail_finding(rules, &seen);
    words_free(&seen);
    return status;
}

static pulmo_status match_all(matcher *m)
{
    pulmo_labels *labels = m->labels;
    size_t cells = m->count * labels->keep.count;
    m->owner = malloc((m->count + 1) * sizeof *m->owner);
    labels->kept_cells = calloc(cells + 1, sizeof *labels->kept_cells);
    if (!m->owner || !labels->kept_cells)
        return pulmo_fail(PULMO_MEMORY, "out of memory for labels of %zu files", m->count);
    begin_files(m);
    PULMO_TRY(tail_index_make(m->paths, m->count, &m->files));
    if (labels->has_tables)
        PULMO_TRY(match_rows(m));
    PULMO_TRY(judge_blank_splits(m));
    PULMO_TRY(judge_finding(m));
    PULMO_TRY(match_lists(m));
    return count_files(m);
}

pulmo_status pulmo_labels_match(pulmo_labels *labels, const char *const *paths, size_t count,
                                pulmo_file_label *out)
{
    matcher m = {.labels = labels, .paths = paths, .count = count, .out = out};
    pulmo_status status = match_all(&m);
    tail_index_free(m.files);
    free(m.owner);
    return status;
}
