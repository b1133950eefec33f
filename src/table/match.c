/* Rows to files: whose class, patient and split each file has. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pulmo/memory.h"
#include "pulmo/text.h"

#include "labels.h"

typedef struct matcher {
    pulmo_labels *labels;
    const char *const *paths;
    size_t count;
    tail_index *files;
    uint32_t *owner; /* (count): the row that a file has its label from, or ROW_NONE */
    pulmo_file_label *out;
} matcher;

int split_of_word(const char *word)
{
    static const struct {
        const char *word;
        int split;
    } known[] = {
        {"train", PULMO_SPLIT_TRAIN},  {"training", PULMO_SPLIT_TRAIN},
        {"val", PULMO_SPLIT_VAL},      {"valid", PULMO_SPLIT_VAL},
        {"validate", PULMO_SPLIT_VAL}, {"validation", PULMO_SPLIT_VAL},
        {"dev", PULMO_SPLIT_VAL},      {"test", PULMO_SPLIT_TEST},
        {"testing", PULMO_SPLIT_TEST},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcasecmp(known[i].word, word) == 0)
            return known[i].split;
    }
    return -1;
}

/* ---- a row ---- */

static pulmo_status judge_row(const pulmo_labels *labels, size_t row, bool *selected)
{
    *selected = true;
    for (size_t i = 0; i < labels->where.count && *selected; i++) {
        const char *cell = sheet_cell(&labels->sheet, row, labels->columns.where[i]);
        PULMO_TRY(condition_judge(&labels->where.one[i], cell, selected));
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
    cell_place place = sheet_place(&labels->sheet, row, column);
    return pulmo_fail(PULMO_DATA,
                      "%s:%zu: column \"%s\": is not UTF-8; iconv -f LATIN1 -t UTF-8 converts such "
                      "a table",
                      place.path, place.line, labels->sheet.wanted.word[column]);
}

static pulmo_status take_split(const pulmo_labels *labels, size_t row, pulmo_file_label *out)
{
    size_t column = labels->columns.split;
    const char *cell = NULL;
    out->split = -1;
    PULMO_TRY(take_cell(labels, row, column, &cell));
    if (column != NO_COLUMN && !cell && out->fate == PULMO_LABEL_TAKEN)
        out->fate = PULMO_LABEL_UNJOINED;
    if (!cell || !*cell)
        return PULMO_OK;
    out->split = split_of_word(cell);
    if (out->split >= 0)
        return PULMO_OK;
    cell_place place = sheet_place(&labels->sheet, row, column);
    return pulmo_fail(PULMO_DATA,
                      "%s:%zu: column \"%s\": \"%s\": is not a split; they are train, val "
                      "(validate) and test",
                      place.path, place.line, labels->sheet.wanted.word[column], cell);
}

static void count_unnamed(pulmo_labels *labels, const char *label)
{
    for (size_t i = 0; i < labels->unnamed_count; i++) {
        if (strcmp(labels->unnamed[i].label, label) != 0)
            continue;
        labels->unnamed[i].files++;
        return;
    }
    if (labels->unnamed_count == UNNAMED_MOST)
        return;
    labels->unnamed[labels->unnamed_count] = (unnamed_label){label, 1};
    labels->unnamed_count++;
}

/* All that the row says; its kept cells go to `kept` (keep.count). */
static pulmo_status read_row(const pulmo_labels *labels, size_t row, pulmo_file_label *out,
                             const char **kept, const char **unnamed)
{
    ruling ruled = {0};
    PULMO_TRY(rules_apply(&labels->rules, &labels->sheet, row, &ruled));
    *out = (pulmo_file_label){.fate = ruled.fate, .label = ruled.label};
    *unnamed = ruled.unnamed;
    if (out->label && !pulmo_text_is_utf8(out->label))
        PULMO_TRY(take_cell(labels, row, labels->rules.label, &out->label));
    PULMO_TRY(take_cell(labels, row, labels->columns.patient, &out->patient));
    if (out->patient && !*out->patient)
        out->patient = NULL;
    PULMO_TRY(take_split(labels, row, out));
    for (size_t i = 0; i < labels->keep.count; i++) {
        PULMO_TRY(take_cell(labels, row, labels->columns.kept[i], &kept[i]));
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

static bool differs(const char *a, const char *b)
{
    if (!a || !b)
        return a != b;
    return strcmp(a, b) != 0;
}

static const char *shown(const char *text)
{
    return text ? text : "";
}

static disagreement compare(const pulmo_labels *labels, const pulmo_file_label *a,
                            const pulmo_file_label *b)
{
    if (a->fate != b->fate)
        return (disagreement){"class", pulmo_label_fate_text(a->fate),
                              pulmo_label_fate_text(b->fate)};
    if (differs(a->label, b->label))
        return (disagreement){"class", shown(a->label), shown(b->label)};
    if (differs(a->patient, b->patient))
        return (disagreement){"patient", shown(a->patient), shown(b->patient)};
    if (a->split != b->split)
        return (disagreement){"split", a->split < 0 ? "" : pulmo_split_name(a->split),
                              b->split < 0 ? "" : pulmo_split_name(b->split)};
    for (size_t i = 0; i < labels->keep.count; i++) {
        if (differs(a->kept[i], b->kept[i]))
            return (disagreement){labels->keep.word[i], a->kept[i], b->kept[i]};
    }
    return (disagreement){0};
}

static pulmo_status judge_second(const matcher *m, size_t row, uint32_t file,
                                 const pulmo_file_label *second)
{
    const pulmo_labels *labels = m->labels;
    disagreement found = compare(labels, &m->out[file], second);
    if (!found.what)
        return PULMO_OK;
    cell_place first = sheet_place(&labels->sheet, m->owner[file], labels->columns.path);
    cell_place here = sheet_place(&labels->sheet, row, labels->columns.path);
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
    const char *unnamed = NULL;
    labels->rows_matched++;
    if (m->owner[file] != ROW_NONE) {
        pulmo_file_label second;
        PULMO_TRY(read_row(labels, row, &second, spare, &unnamed));
        return judge_second(m, row, file, &second);
    }
    m->owner[file] = (uint32_t)row;
    const char **kept = labels->kept_cells + file * labels->keep.count;
    PULMO_TRY(read_row(labels, row, mine, kept, &unnamed));
    if (mine->fate == PULMO_LABEL_UNNAMED)
        count_unnamed(labels, unnamed);
    return PULMO_OK;
}

/* ---- all rows ---- */

static pulmo_status fail_ambiguous(const matcher *m, cell_place place, const char *path,
                                   const tail_match *match)
{
    return pulmo_fail(PULMO_DATA,
                      "%s:%zu: \"%s\": may be %s or %s; name more of the path in the table, or "
                      "leave the others out by pack.exclude_pattern",
                      place.path, place.line, path, m->paths[match->first], m->paths[match->other]);
}

static pulmo_status add_line(words *lines, cell_place place, const char *path)
{
    char *line = pulmo_format("%s:%zu: %s", place.path, place.line, path);
    if (!line)
        return PULMO_MEMORY;
    pulmo_status status = words_add(lines, line, strlen(line));
    free(line);
    return status;
}

static pulmo_status place_row(matcher *m, size_t row, const char *path, const tail_match *match)
{
    pulmo_labels *labels = m->labels;
    bool selected = true, has_file = match->file < m->count;
    PULMO_TRY(judge_row(labels, row, &selected));
    if (selected && has_file)
        return give_row(m, row, match->file);
    if (has_file && m->owner[match->file] == ROW_NONE)
        m->out[match->file].fate = PULMO_LABEL_NOT_WHERE;
    if (!selected)
        return PULMO_OK;
    cell_place place = sheet_place(&labels->sheet, row, labels->columns.path);
    if (match->file == TAIL_AMBIGUOUS)
        return fail_ambiguous(m, place, path, match);
    return add_line(&labels->rows_without_file, place, path);
}

/* Finds files of `names` (count) and hands each to `visit`. */
typedef pulmo_status (*name_visit)(void *context, size_t index, const tail_match *match);

static pulmo_status match_names(const matcher *m, const char *const *names, size_t count,
                                name_visit visit, void *context)
{
    tail_index *index = NULL;
    PULMO_TRY(tail_index_make(names, count, &index));
    tail_match *found = malloc((count + 1) * sizeof *found);
    pulmo_status status = PULMO_OK;
    if (found)
        tail_match_all(index, m->files, found);
    else
        status = pulmo_fail(PULMO_MEMORY, "out of memory for %zu names", count);
    for (size_t i = 0; i < count && status == PULMO_OK; i++)
        status = visit(context, i, &found[i]);
    free(found);
    tail_index_free(index);
    return status;
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
    for (size_t r = 0; r < labels->sheet.rows; r++) {
        path[r] = sheet_cell(&labels->sheet, r, labels->columns.path);
        if (path[r] && *path[r])
            continue;
        cell_place place = sheet_place(&labels->sheet, r, labels->columns.path);
        return pulmo_fail(PULMO_DATA, "%s:%zu: column \"%s\" (pack.table_path) is blank",
                          place.path, place.line, labels->sheet.wanted.word[labels->columns.path]);
    }
    return PULMO_OK;
}

static pulmo_status fail_unmatched(const matcher *m, const char *first_row)
{
    const sheet *s = &m->labels->sheet;
    return pulmo_fail(PULMO_DATA,
                      "%s: none of its %zu rows is of any of the %zu files; the first row: %s; the "
                      "first file: %s",
                      s->table[0].path, s->rows, m->count, first_row,
                      m->count > 0 ? m->paths[0] : "none");
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

/* ---- lists of splits ---- */

typedef struct list_visit {
    matcher *m;
    int split;
    int *listed;  /* (count): the split whose list names the file, or -1 */
    size_t *line; /* (count): where */
    size_t missing;
} list_visit;

static pulmo_status visit_name(void *context, size_t index, const tail_match *match)
{
    list_visit *v = context;
    const matcher *m = v->m;
    const table *list = &m->labels->list[v->split];
    const cell_place here = {list->path, list->line[index]};
    if (match->file == TAIL_AMBIGUOUS)
        return fail_ambiguous(m, here, table_cell(list, index, 0), match);
    if (match->file == TAIL_NONE) {
        v->missing++;
        return PULMO_OK;
    }
    int before = v->listed[match->file];
    if (before >= 0 && before != v->split)
        return pulmo_fail(PULMO_DATA, "%s:%zu and %s:%zu: both list %s; a file is in one split",
                          m->labels->list[before].path, v->line[match->file], here.path, here.line,
                          m->paths[match->file]);
    v->listed[match->file] = v->split;
    v->line[match->file] = here.line;
    return PULMO_OK;
}

static pulmo_status match_list(list_visit *v)
{
    const table *list = &v->m->labels->list[v->split];
    const char **names = malloc((list->rows + 1) * sizeof *names);
    if (!names)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", list->path);
    for (size_t i = 0; i < list->rows; i++)
        names[i] = table_cell(list, i, 0);
    v->missing = 0;
    pulmo_status status = match_names(v->m, names, list->rows, visit_name, v);
    free(names);
    if (status != PULMO_OK || v->missing == 0)
        return status;
    char *note =
        pulmo_format("names in %s without a file: %zu of %zu", list->path, v->missing, list->rows);
    if (!note)
        return PULMO_MEMORY;
    status = words_add(&v->m->labels->notes, note, strlen(note));
    free(note);
    return status;
}

/* With a list of train, what no list names is of no split. */
static void give_splits(const matcher *m, const int *listed)
{
    for (size_t f = 0; f < m->count; f++) {
        pulmo_file_label *file = &m->out[f];
        if (listed[f] >= 0)
            file->split = listed[f];
        else if (m->labels->has_list[PULMO_SPLIT_TRAIN] && file->fate == PULMO_LABEL_TAKEN)
            file->fate = PULMO_LABEL_NO_LIST;
    }
}

static pulmo_status match_lists(matcher *m)
{
    list_visit v = {.m = m};
    bool any = false;
    for (int s = 0; s < PULMO_SPLITS; s++)
        any = any || m->labels->has_list[s];
    if (!any)
        return PULMO_OK;
    v.listed = malloc((m->count + 1) * sizeof *v.listed);
    v.line = malloc((m->count + 1) * sizeof *v.line);
    pulmo_status status = PULMO_OK;
    if (!v.listed || !v.line)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for lists of splits");
    for (size_t f = 0; f < m->count && status == PULMO_OK; f++)
        v.listed[f] = -1;
    for (v.split = 0; v.split < PULMO_SPLITS && status == PULMO_OK; v.split++) {
        if (m->labels->has_list[v.split])
            status = match_list(&v);
    }
    if (status == PULMO_OK)
        give_splits(m, v.listed);
    free(v.listed);
    free(v.line);
    return status;
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
        bool missing = m->out[f].fate == PULMO_LABEL_NO_ROW;
        if (missing && !tail_is_image(m->paths[f]))
            continue;
        labels->fate[m->out[f].fate]++;
        if (missing)
            PULMO_TRY(words_add(&labels->files_without_row, m->paths[f], strlen(m->paths[f])));
    }
    return labels_describe(labels);
}

static pulmo_status match_all(matcher *m)
{
    size_t cells = m->count * m->labels->keep.count;
    m->owner = malloc((m->count + 1) * sizeof *m->owner);
    m->labels->kept_cells = calloc(cells + 1, sizeof *m->labels->kept_cells);
    if (!m->owner || !m->labels->kept_cells)
        return pulmo_fail(PULMO_MEMORY, "out of memory for labels of %zu files", m->count);
    begin_files(m);
    PULMO_TRY(tail_index_make(m->paths, m->count, &m->files));
    if (m->labels->has_tables)
        PULMO_TRY(match_rows(m));
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
