/* Inside the table room: what was read, and what the match found. */
#ifndef PULMO_TABLE_LABELS_H
#define PULMO_TABLE_LABELS_H

#include "pulmo/split.h"
#include "pulmo/table.h"

#include "rules.h"
#include "sheet.h"
#include "tail.h"

/* Columns of the sheet; NO_COLUMN where not asked for. */
typedef struct label_columns {
    size_t path, patient, split;
    size_t *kept;  /* (keep.count) */
    size_t *where; /* (where.count) */
} label_columns;

/* A few words for the fate; static storage. */
const char *label_fate_text(pulmo_label_fate fate);

/* A label that pack.label_map does not name, and how many files have it. */
typedef struct unnamed_label {
    const char *label;
    size_t files;
} unnamed_label;

#define UNNAMED_MOST 64 /* so many are counted by name */
#define WITHIN_SHOWN 3  /* cells that hold the finding's name within another label */

struct pulmo_labels {
    bool has_tables, joined;
    sheet sheet;
    label_columns columns;
    label_rules rules;
    pulmo_label_map *map;
    conditions where;
    words keep, kept_names; /* columns of the tables; as they are written */
    bool has_list[PULMO_SPLITS];
    table list[PULMO_SPLITS];

    /* of the match */
    const char **kept_cells; /* (files, keep.count) */
    size_t rows_selected, rows_matched;
    size_t fate[PULMO_LABEL_FATE_COUNT];
    unnamed_label unnamed[UNNAMED_MOST];
    size_t unnamed_count;
    size_t within_count; /* files whose cell holds the finding's name within another label */
    words within_cells;  /* some of them, each once */
    words notes, rows_without_file, files_without_row;
};

/* Adds a note for people. */
pulmo_status labels_note(pulmo_labels *labels, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds the match's notes in words. */
pulmo_status labels_describe(pulmo_labels *labels);

#endif
